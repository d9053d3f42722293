//! `sim replay`: runs a recorded trace again.

use std::path::PathBuf;

use crate::check::Violation;
use crate::replay::{Likeness, Outcome, Replayed, replay};
use crate::run::Verdict;
use crate::trace::{Expected, Head, Trace};
use clap::Args;

use super::exit::Exit;
use super::text::{complain, count, line, print, seconds};
use super::{files, keep};

/// What `sim replay` is asked for.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
While the code is the same, the replay is exact, and every step is compared. When it has changed, the run
is made again by the trace's decisions, each of which names the message, request or time it is about.

Exits with 1 where the expected violation occurs, 0 where a clean run was expected and held, 6 where the
trace no longer shows what it says, and 2 where the file is no whole trace.")]
pub(crate) struct ReplayArgs {
    /// The trace.
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// Write the run as it is on this code to a trace of its own.
    #[arg(long, value_name = "FILE")]
    rerecord: Option<PathBuf>,
    /// Write what the clients asked and were answered to this file, as `sim check` reads it.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
}

/// Runs `sim replay`.
#[must_use]
pub(crate) fn run(args: &ReplayArgs) -> u8 {
    let trace = match read(&args.trace) {
        Ok(trace) => trace,
        Err(exit) => return exit.code(),
    };
    let replayed = match replay(&trace, false) {
        Ok(replayed) => replayed,
        Err(error) => {
            complain(&format!("{}: {error}", args.trace.display()));
            return Exit::NotReproduced.code();
        }
    };
    if let Some(path) = &args.rerecord
        && let Err(exit) = write_again(&trace, path)
    {
        return exit.code();
    }
    if let Some(path) = &args.history
        && let Err(exit) = export(&trace, &replayed, path)
    {
        return exit.code();
    }
    print(&page(&trace, &replayed), exit(&replayed)).code()
}

fn export(trace: &Trace, replayed: &Replayed, path: &std::path::Path) -> Result<(), Exit> {
    let history = crate::replay::history(trace, replayed.likeness).map_err(|error| {
        complain(&error.to_string());
        Exit::NotReproduced
    })?;
    files::export(path, &trace.head.setup, history.as_ref())
}

fn write_again(trace: &Trace, path: &std::path::Path) -> Result<(), Exit> {
    let refused = |problem: String, exit: Exit| {
        complain(&format!("{}: {problem}", path.display()));
        exit
    };
    let again = crate::replay::rerecord(trace);
    let again = again.map_err(|error| refused(error.to_string(), Exit::NotReproduced))?;
    keep::write(&again, path).map_err(|problem| refused(problem, Exit::Usage))
}

/// Reads a trace; says what is wrong if it cannot be. That is never the code that says that a trace no longer
/// reproduces: a file that is cut is no regression.
pub(crate) fn read(path: &std::path::Path) -> Result<Trace, Exit> {
    Trace::read(path).map_err(|error| {
        complain(&error.to_string());
        Exit::Usage
    })
}

fn exit(replayed: &Replayed) -> Exit {
    match (&replayed.report.verdict, replayed.outcome) {
        (Verdict::HarnessFailed(_), _) => Exit::HarnessFailed,
        (_, Outcome::Violated) => Exit::Violated,
        (_, Outcome::Clean) => Exit::Held,
        (_, Outcome::NotReproduced) => Exit::NotReproduced,
    }
}

fn page(trace: &Trace, replayed: &Replayed) -> String {
    let mut page = String::new();
    let head = &trace.head;
    let setup = &head.setup;
    let bug = head.bug.as_ref().map_or(String::new(), |bug| format!(", with the planted bug {bug}"));
    line(&mut page, "trace", &format!("seed {} of {}{bug}", setup.seed, setup.scenario));
    if let Some(note) = &head.note {
        line(&mut page, "kept for", note);
    }
    line(&mut page, "expected", &expected(&head.expect));
    line(&mut page, "found", &found(&replayed.report.verdict));
    line(&mut page, "replay", &likeness(replayed.likeness));
    line(&mut page, "steps", &count(replayed.report.steps));
    line(&mut page, "digest", &format!("{:016x}", replayed.report.digest));
    line(&mut page, "result", &outcome(head, replayed));
    page
}

fn expected(expected: &Expected) -> String {
    match expected {
        Expected::Clean => "a clean run".to_owned(),
        Expected::Violation(violation) => described(violation),
    }
}

fn found(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Held => "a clean run".to_owned(),
        Verdict::Violated(violation) => described(violation),
        Verdict::Inconclusive(why) => format!("nothing certain: {why}"),
        Verdict::HarnessFailed(why) => format!("the harness failed: {why}"),
    }
}

fn described(violation: &Violation) -> String {
    let Violation { property, witness, step, time, .. } = violation;
    format!("{property} at step {}, {}: {witness}", count(*step), seconds(*time))
}

fn likeness(likeness: Likeness) -> String {
    match likeness {
        Likeness::Exact => "exact: every step is the same".to_owned(),
        Likeness::ByDecisions { first_difference, matched } => {
            format!(
                "by decisions, as the code has changed since (step {} is the first that differs): met {matched}",
                count(first_difference)
            )
        }
    }
}

fn outcome(head: &Head, replayed: &Replayed) -> String {
    match (replayed.outcome, &head.expect, &replayed.report.verdict) {
        (Outcome::Violated, ..) => "the violation still occurs".to_owned(),
        (Outcome::Clean, ..) => "clean, as it should be".to_owned(),
        (Outcome::NotReproduced, Expected::Violation(expected), Verdict::Violated(found)) => {
            let (expected, found) = expected.apart(found);
            format!("NOT what the trace says: expected {expected}, found {found}")
        }
        (Outcome::NotReproduced, ..) => "NOT what the trace says".to_owned(),
    }
}
