//! `sim shrink`: makes traces small.

use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;

use crate::check::Violation;
use crate::shrink::{Limits, Shrunk, Size, Unshrinkable};
use crate::trace::{Expected, Trace};

use super::exit::Exit;
use super::text::{self, count, line, of, word};
use super::{files, keep};

/// What `sim shrink` is asked for.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Decisions of the trace (fault actions, clients' requests, fates of messages) are taken out, replicas, clients
and waits too, and what is left is made simpler, as long as the run violates the same property in the same
way. In the end no single decision can be taken out. Of several traces that fail in the same way, the
smallest result is kept. In place of a long one, a shorter run of the same setup with another seed is taken
if one is found that fails in the same way.

The result depends on the trace and the code only, unless the time runs out: then it is the smallest so
far, and the output says so. Ctrl-C ends it early in the same way.

Examples:
  sim shrink failures/swarm-5.trace.jsonl                writes failures/swarm-5.shrunk.trace.jsonl
  sim shrink failures/swarm-5.trace.jsonl -o small.jsonl
  sim shrink failures/swarm-*.trace.jsonl --time 5m      the smallest of each finding

Exits with 0 when the smallest trace is written, 6 where a trace does not fail, or no longer does, and 2
where a file is no whole trace.")]
pub(crate) struct ShrinkArgs {
    /// The traces.
    #[arg(value_name = "TRACE", required = true)]
    traces: Vec<PathBuf>,
    /// How long to go on at most, all traces together: 30s, 5m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = super::sweep::time)]
    time: Duration,
    /// Where to write the smallest. [default: beside the trace, as NAME.shrunk.trace.jsonl]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Whether somebody pressed Ctrl-C.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The smallest of the traces that fail in one way.
struct Finding<'a> {
    path: &'a Path,
    shrunk: Shrunk,
    /// How many traces there were.
    traces: u64,
}

/// Runs `sim shrink`.
#[must_use]
pub(crate) fn run(args: &ShrinkArgs) -> u8 {
    match attempt(args) {
        Ok(exit) | Err(exit) => exit.code(),
    }
}

fn attempt(args: &ShrinkArgs) -> Result<Exit, Exit> {
    let refused = |problem: String, exit: Exit| {
        text::complain(&problem);
        exit
    };
    let traces = read(args)?;
    if let Some(problem) = args.output.as_deref().and_then(|path| files::no_place("--output", path)) {
        return Err(refused(problem, Exit::Usage));
    }
    let heeded = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            process::exit(Exit::Interrupted.code().into());
        }
    });
    if let Err(error) = heeded {
        text::remark(&format!("Ctrl-C will lose what was done: {error}"));
    }
    let findings = shrink_all(args.time, &traces)
        .map_err(|(path, error)| refused(format!("{}: {error}", path.display()), Exit::NotReproduced))?;
    let mut page = String::new();
    for finding in &findings {
        let path = args.output.clone().unwrap_or_else(|| keep::shrunk_path(finding.path));
        keep::write(&finding.shrunk.trace, &path)
            .map_err(|error| refused(format!("{}: {error}", path.display()), Exit::Usage))?;
        describe(&mut page, finding, &path);
    }
    let interrupted = INTERRUPTED.load(Ordering::Relaxed);
    Ok(text::print(&page, if interrupted { Exit::Interrupted } else { Exit::Held }))
}

/// Reads the traces. With one place to write to, they must fail in one way.
fn read(args: &ShrinkArgs) -> Result<Vec<(&Path, Trace)>, Exit> {
    let read = |path: &'_ PathBuf| -> Result<Trace, Exit> { super::replay::read(path) };
    let traces = args.traces.iter().map(|path| Ok((path.as_path(), read(path)?)));
    let traces = traces.collect::<Result<Vec<_>, Exit>>()?;
    let first = traces.first().map(|(_, trace)| signature(trace));
    let other = traces.iter().find(|(_, trace)| Some(signature(trace)) != first);
    if let (Some(_), Some((path, trace))) = (&args.output, other) {
        let (first, other) = (first.unwrap_or_default(), signature(trace));
        text::complain(&format!(
            "--output takes one finding: expected {first} in every trace, found {other} in {}",
            path.display()
        ));
        return Err(Exit::Usage);
    }
    Ok(traces)
}

fn signature(trace: &Trace) -> String {
    match &trace.head.expect {
        Expected::Violation(violation) => violation.signature(),
        Expected::Clean => "a clean run".to_owned(),
    }
}

/// Shrinks one trace after the other; each may take its share of the time that is left.
fn shrink_all<'a>(
    time: Duration,
    traces: &[(&'a Path, Trace)],
) -> Result<Vec<Finding<'a>>, (&'a Path, Unshrinkable)> {
    #[expect(clippy::disallowed_methods, reason = "a time limit, which the output tells of")]
    let started = Instant::now();
    let mut findings: Vec<(String, Finding<'a>)> = Vec::new();
    for (index, (path, trace)) in traces.iter().enumerate() {
        let left = (traces.len() - index) as u32;
        let until = started.elapsed() + time.saturating_sub(started.elapsed()) / left;
        let stop = || INTERRUPTED.load(Ordering::Relaxed) || started.elapsed() >= until;
        let limits = Limits { steps: u64::MAX, stop: &stop };
        let shrunk = keep::watched(trace, &limits).map_err(|error| (*path, error))?;
        let signature = signature(trace);
        match findings.iter_mut().find(|(known, _)| *known == signature) {
            None => findings.push((signature, Finding { path, shrunk, traces: 1 })),
            Some((_, finding)) => {
                finding.traces += 1;
                if shrunk.after < finding.shrunk.after {
                    (finding.path, finding.shrunk) = (path, shrunk);
                }
            }
        }
    }
    Ok(findings.into_iter().map(|(_, finding)| finding).collect())
}

// ---- For people --------------------------------------------------------------------------------------

fn describe(page: &mut String, finding: &Finding<'_>, path: &Path) {
    let Finding { path: from, shrunk, traces } = finding;
    let Expected::Violation(Violation { property, kind, .. }) = &shrunk.trace.head.expect else { return };
    if !page.is_empty() {
        page.push('\n');
    }
    let more =
        if *traces > 1 { format!(", the smallest of {} traces", count(*traces)) } else { String::new() };
    line(page, "trace", &format!("{}{more}", from.display()));
    line(page, "finding", &format!("{property:?} {}: {kind}", property.title()));
    line(page, "before", &size(shrunk.before));
    if let Some(begun) = shrunk.begun {
        line(page, "begun with", &format!("{}: another seed fails so much sooner", size(begun)));
    }
    line(page, "after", &size(shrunk.after));
    line(page, "decisions", &parts(&shrunk.trace));
    line(page, "minimal", minimal(shrunk.is_minimal));
    let path = word(&path.display().to_string());
    line(page, "replay", &format!("sim replay {path}"));
    line(page, "show", &format!("sim trace show {path}"));
}

fn size(size: Size) -> String {
    let Size { decisions, steps, replicas, clients } = size;
    [
        of(decisions as u64, ("decision", "decisions")),
        of(steps, ("step", "steps")),
        of(replicas.into(), ("replica", "replicas")),
        of(clients.into(), ("client", "clients")),
    ]
    .join(", ")
}

fn parts(trace: &Trace) -> String {
    let decisions = &trace.decisions;
    let parts = [
        (decisions.actions.len(), ("fault action", "fault actions")),
        (decisions.requests.len(), ("request", "requests")),
        (decisions.fates.len(), ("message fate", "message fates")),
    ];
    let parts = parts.into_iter().filter(|(number, _)| *number > 0);
    let mut parts: Vec<_> = parts.map(|(number, noun)| of(number as u64, noun)).collect();
    if decisions.healed.is_some() {
        parts.push("the end of the faults".to_owned());
    }
    if parts.is_empty() { "none: it fails by itself".to_owned() } else { parts.join(", ") }
}

const fn minimal(is_minimal: bool) -> &'static str {
    if is_minimal {
        "yes: without any one of them it does not fail"
    } else {
        "not yet: there was no more time"
    }
}
