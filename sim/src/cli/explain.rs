//! `sim explain`: the events that decided how a run ended.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use crate::chronicle::Chronicle;
use crate::explain::{Explanation, Plan, Point, explain};
use crate::replay::replay;
use crate::run::Verdict;
use crate::story;

use super::exit::Exit;
use super::keep::headline;
use super::replay::read;
use super::text::{BAD, LABEL, complain, count, millis, print, remark, styled};

/// How wide the bar for 100 percent is.
const BAR: u32 = 40;

/// What `sim explain` is asked for.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
The run is made again up to a point, and from there on chance decides anew, with the faults of the
trace's setup: so often does it still fail. Points are added where the likelihood jumps, until the single
event is found; what is called decisive was seen twice, the second time in fresh branches.

Examples:
  sim explain failure.trace.jsonl
  sim explain failure.trace.jsonl --branches 400 --jump 10     finer, and slower
  sim explain failure.trace.jsonl --json > likelihood.json     for sim view --likelihood")]
pub(crate) struct ExplainArgs {
    /// The trace of a failure.
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// Branches at each point.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    branches: u32,
    /// Steps under faults in each branch [default: as many as were left in the run, at least 100].
    #[arg(long, value_name = "STEPS", value_parser = super::number)]
    horizon: Option<u64>,
    /// By how many percentage points the likelihood rises at a decisive event.
    #[arg(long, value_name = "POINTS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    jump: u32,
    /// Give up refining after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    time: u64,
    /// Print the likelihoods as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `sim explain`: 0 if the trace shows its failure and was explained, 6 if it shows none.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a bound for the person who waits, not for what is found")]
pub(crate) fn run(args: &ExplainArgs) -> u8 {
    let trace = match read(&args.trace) {
        Ok(trace) => trace,
        Err(exit) => return exit.code(),
    };
    let name = args.trace.display();
    let replayed = match replay(&trace, true) {
        Ok(replayed) => replayed,
        Err(error) => {
            complain(&format!("{name}: {error}"));
            return Exit::NotReproduced.code();
        }
    };
    let Verdict::Violated(violation) = &replayed.report.verdict else {
        complain(&format!("{name}: nothing fails in this trace: expected one that shows a violation"));
        return Exit::NotReproduced.code();
    };
    let plan = Plan { branches: args.branches, horizon: args.horizon, jump: args.jump };
    let (started, limit) = (Instant::now(), Duration::from_secs(args.time));
    // The trace as it runs on this code: points are steps of that run.
    let mut trace = trace;
    trace.head.steps = replayed.report.steps;
    let explanation = match explain(&trace, &plan, &|| started.elapsed() >= limit) {
        Ok(explanation) => explanation,
        Err(error) => {
            complain(&format!("{name}: {error}"));
            return Exit::NotReproduced.code();
        }
    };
    if !explanation.is_complete {
        remark(&format!("stopped after {} s: more could be found with a larger --time", args.time));
    }
    let chronicle = replayed.chronicle.as_deref().expect("it was asked for");
    let page = if args.json {
        as_json(&explanation)
    } else {
        format!("{}\n  {}\n\n{}", headline(violation), violation.witness, page(&explanation, chronicle))
    };
    print(&page, Exit::Held).code()
}

fn as_json(explanation: &Explanation) -> String {
    let point = |point: &Point| json!({ "step": point.step, "failed": point.failed, "of": point.of });
    let decisive: Vec<u64> = explanation.decisive.iter().map(|(_, after)| after.step).collect();
    let points: Vec<_> = explanation.points.iter().map(point).collect();
    format!("{}\n", json!({ "points": points, "decisive": decisive }))
}

fn page(explanation: &Explanation, chronicle: &Chronicle) -> String {
    let mut page = "how likely the failure is after each of these steps, if chance decides anew\n".to_owned();
    let is_decisive = |step| explanation.decisive.iter().any(|(_, after)| after.step == step);
    for point in &explanation.points {
        let filled = (point.percent() * BAR).div_ceil(100) as usize;
        let bar = format!("{:<width$}", "█".repeat(filled), width = BAR as usize);
        let (bar, mark) =
            if is_decisive(point.step) { (styled(BAD, &bar), " ◀ decisive") } else { (bar, "") };
        let _ = writeln!(page, "#{:<7} {bar} {:>3} %{mark}", point.step, point.percent());
    }
    page.push('\n');
    if explanation.decisive.is_empty() {
        page.push_str("no single event was decisive: the likelihood rises, if at all, bit by bit\n");
    } else {
        page.push_str("decisive:\n");
    }
    for (before, after) in &explanation.decisive {
        let step = chronicle.steps.iter().find(|step| step.step == after.step);
        let text = story::sentence(chronicle, after.step).unwrap_or_default();
        let when = styled(
            LABEL,
            &format!("#{} {}", after.step, step.map_or_else(String::new, |step| millis(step.time))),
        );
        let _ = writeln!(page, "  {} → {} %  {when}  {text}", before.percent(), after.percent());
    }
    let _ = writeln!(page, "{}", styled(LABEL, &format!("{} branches", count(explanation.branches))));
    page
}
