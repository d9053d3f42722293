//! `sim view`: a trace as a page for the browser, or as a picture.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;

use super::exit::Exit;
use super::files;
use super::replay::read;
use super::text::{complain, count, print, remark};
use crate::explain::{Plan, explain};
use crate::replay::{Likeness, Replayed, replay};
use crate::trace::Trace;
use crate::view::{self, Likelihood, picture};

/// How long likelihoods are looked for.
const LIKELIHOOD_TIME: Duration = Duration::from_secs(30);

/// What `sim view` is asked for.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
The page is one file without anything else: open it in any browser. It starts with the causal past of the
violation, or with the end of a run that held; the rest is in it too. Press ? in the page for its keys.

Examples:
  sim view failures/swarm-42.trace.jsonl                   writes failures/swarm-42.trace.html
  sim view trace.jsonl -o page.html --likelihood           with how likely the failure was all along
  sim view trace.jsonl --likelihood=curve.json             the same, from `sim explain --json`
  sim view trace.jsonl --svg picture.svg --from 20 --to 60

Exits with 0 where something was written, 6 where the trace cannot be run, and 2 where the file is no
whole trace.")]
pub(crate) struct ViewArgs {
    /// The trace.
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// Where the page is put; beside the trace if nothing is said.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Show how likely the failure is along the run: as in a file of `sim explain --json`, or, without one,
    /// as found now, in half a minute at most.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    likelihood: Option<Option<PathBuf>>,
    /// Write a picture (SVG): instead of a page, unless -o asks for that as well.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// The first step of the picture.
    #[arg(long, value_name = "STEP", requires = "svg", value_parser = super::number)]
    from: Option<u64>,
    /// The last step of the picture.
    #[arg(long, value_name = "STEP", requires = "svg", value_parser = super::number)]
    to: Option<u64>,
}

/// Runs `sim view`.
#[must_use]
pub(crate) fn run(args: &ViewArgs) -> u8 {
    match view(args) {
        Ok(line) => print(&line, Exit::Held).code(),
        Err((exit, why)) => {
            if let Some(why) = why {
                complain(&why);
            }
            exit.code()
        }
    }
}

/// Why nothing was written; none where that has been said.
type Refused = (Exit, Option<String>);

fn view(args: &ViewArgs) -> Result<String, Refused> {
    let trace = read(&args.trace).map_err(|exit| (exit, None))?;
    let given = args.likelihood.iter().flatten().next().map(|path| read_likelihood(path)).transpose()?;
    let replayed = replay(&trace, true)
        .map_err(|error| (Exit::NotReproduced, Some(format!("{}: {error}", args.trace.display()))))?;
    let mut said = String::new();
    if let Some(path) = &args.svg {
        said += &write_picture(args, &trace, &replayed, path)?;
    }
    if args.svg.is_none() || args.output.is_some() {
        let is_asked_for = given.is_none() && args.likelihood.is_some();
        let found = if is_asked_for { find_likelihood(args, &trace, &replayed)? } else { None };
        said += &write_page(args, &trace, &replayed, given.or(found).as_ref())?;
    }
    Ok(said)
}

/// How likely the failure is along the run; nothing where it does not fail.
#[expect(clippy::disallowed_methods, reason = "a bound for the person who waits, not for what is found")]
fn find_likelihood(
    args: &ViewArgs,
    trace: &Trace,
    replayed: &Replayed,
) -> Result<Option<Likelihood>, Refused> {
    let Some(violation) = replayed.report.violation() else {
        remark("nothing fails in this trace: there is no likelihood to show");
        return Ok(None);
    };
    let started = Instant::now();
    let stop = || started.elapsed() >= LIKELIHOOD_TIME;
    let explanation = explain(trace, violation, &Plan::default(), &stop)
        .map_err(|error| (Exit::NotReproduced, Some(format!("{}: {error}", args.trace.display()))))?;
    if !explanation.is_complete {
        remark("stopped looking for likelihoods after 30 s: sim explain --time gives them more");
    }
    Ok(Some(Likelihood::from(&explanation)))
}

fn write_page(
    args: &ViewArgs,
    trace: &Trace,
    replayed: &Replayed,
    likelihood: Option<&Likelihood>,
) -> Result<String, Refused> {
    let path = args.output.clone().unwrap_or_else(|| args.trace.with_extension("html"));
    let chronicle = replayed.chronicle.as_deref().expect("a chronicle was asked for");
    let remark = match replayed.likeness {
        Likeness::Exact => None,
        Likeness::ByDecisions { first_difference, .. } => Some(format!(
            "The code has changed since this was recorded: from step {first_difference} on this is another run."
        )),
    };
    let page = view::page(&trace.head, &replayed.report, chronicle, likelihood, remark.as_deref());
    write(&path, &page.html)?;
    let (shown, steps) = (count(page.shown as u64), count(page.steps as u64));
    let of = match (page.is_past, page.shown == page.steps) {
        (_, true) => format!("all {steps} steps"),
        (true, false) => format!("{shown} of {steps} steps at first, those that led to the violation"),
        (false, false) => format!("the last {shown} of {steps} steps at first"),
    };
    Ok(format!("{}: {of}; {} kB\n", path.display(), count(page.html.len() as u64 / 1_000)))
}

fn write_picture(
    args: &ViewArgs,
    trace: &Trace,
    replayed: &Replayed,
    path: &Path,
) -> Result<String, Refused> {
    let chronicle = replayed.chronicle.as_deref().expect("a chronicle was asked for");
    let range = args.from.unwrap_or(0)..=args.to.unwrap_or(u64::MAX);
    let picture = picture::picture(&trace.head, &replayed.report, chronicle, &range).ok_or_else(|| {
        let why = format!("nothing to show: expected steps from 0 to {}", replayed.report.steps);
        (Exit::Usage, Some(why))
    })?;
    write(path, &picture.svg)?;
    Ok(format!(
        "{}: {} of {} steps\n",
        path.display(),
        count(picture.shown as u64),
        count(chronicle.steps.len() as u64)
    ))
}

fn read_likelihood(path: &Path) -> Result<Likelihood, Refused> {
    let refused = |why: String| (Exit::Usage, Some(format!("{}: {why}", path.display())));
    let text = fs::read_to_string(path).map_err(|error| refused(format!("cannot be read: {error}")))?;
    let likelihood: Likelihood = serde_json::from_str(&text).map_err(|error| {
        refused(format!(
            "no likelihood: {error}; expected {{\"points\":[{{\"step\":…,\"failed\":…,\"of\":…}}]}}"
        ))
    })?;
    match likelihood.points.iter().find(|point| point.of == 0 || point.failed > point.of) {
        Some(point) => {
            Err(refused(format!("step {}: {} of {} runs cannot fail", point.step, point.failed, point.of)))
        }
        None => Ok(likelihood),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Refused> {
    files::replace(path, text.as_bytes()).map_err(|problem| (Exit::Usage, Some(problem)))
}
