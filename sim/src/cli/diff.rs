//! `sim diff`: the first event at which two runs part.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use crate::chronicle::Chronicle;
use crate::difference::{difference, settings};
use crate::replay::{Replayed, replay};
use crate::story;
use crate::trace::Trace;

use super::exit::Exit;
use super::replay::read;
use super::text::{LABEL, complain, millis, print, styled};

/// How many settings that differ are named.
const SETTINGS: usize = 32;

/// What `sim diff` is asked for.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Both traces are replayed on this code and compared event by event: who acted on what, what followed, which
messages were sent and what befell them. A difference in time alone is told, and is none.

This is meant for two runs of one setup: one seed on two versions of the code, with and without a planted
bug, before and after a decision was changed by hand. Runs of different setups (other seeds, or a trace and
what it was shrunk to) part after a few events: then the settings that differ are all there is to learn here,
and sim trace show tells each run by itself.

Examples:
  sim diff with-bug.trace.jsonl without-bug.trace.jsonl
  sim diff recorded.trace.jsonl edited.trace.jsonl --context 10

Exits with 0 where the runs are the same, 1 where they part, 6 where a trace cannot be run, and
2 where a file is no whole trace.")]
pub(crate) struct DiffArgs {
    /// One trace.
    #[arg(value_name = "A")]
    one: PathBuf,
    /// The other.
    #[arg(value_name = "B")]
    other: PathBuf,
    /// How many events to tell before and after.
    #[arg(long, value_name = "N", default_value_t = 3)]
    context: usize,
}

/// Runs `sim diff`.
#[must_use]
pub(crate) fn run(args: &DiffArgs) -> u8 {
    let (one, other) = match (replayed(&args.one), replayed(&args.other)) {
        (Ok(one), Ok(other)) => (one, other),
        (Err(exit), _) | (_, Err(exit)) => return exit.code(),
    };
    let mut page = settings_page(&one.0, &other.0);
    let (left, right) = (chronicle(&one.1), chronicle(&other.1));
    let found = difference(left, right);
    if let Some(time) = found.time {
        let (step, at, other_at) = (left.steps[time].step, left.steps[time].time, right.steps[time].time);
        let (at, other_at) = (millis(at), millis(other_at));
        let _ = writeln!(page, "from step {step} on, times differ: {at} in A, {other_at} in B");
    }
    let Some(event) = found.event else {
        let _ = writeln!(page, "the same {} events happen in both", left.steps.len() - 1);
        return print(&page, Exit::Held).code();
    };
    context(&mut page, args.context, event, left, right);
    if one.0.head.setup != other.0.head.setup {
        page.push_str(
            "the setups differ, so the runs part early: sim trace show tells each of them by itself\n",
        );
    }
    print(&page, Exit::Violated).code()
}

fn replayed(path: &std::path::Path) -> Result<(Trace, Replayed), Exit> {
    let trace = read(path)?;
    let replayed = replay(&trace, true).map_err(|error| {
        complain(&format!("{}: {error}", path.display()));
        Exit::NotReproduced
    })?;
    Ok((trace, replayed))
}

fn chronicle(replayed: &Replayed) -> &Chronicle {
    replayed.chronicle.as_deref().expect("it was asked for")
}

fn settings_page(one: &Trace, other: &Trace) -> String {
    let mut page = String::new();
    let mut differing = settings(&one.head.setup, &other.head.setup);
    if one.head.bug != other.head.bug {
        let name = |bug: &Option<String>| bug.clone().unwrap_or_else(|| "none".to_owned());
        differing.insert(0, ("planted bug".to_owned(), name(&one.head.bug), name(&other.head.bug)));
    }
    for (name, left, right) in differing.iter().take(SETTINGS) {
        let _ = writeln!(page, "{} {name}: {left} → {right}", styled(LABEL, "setting"));
    }
    if differing.len() > SETTINGS {
        let _ = writeln!(page, "{} and {} more differ", styled(LABEL, "setting"), differing.len() - SETTINGS);
    }
    page
}

fn context(page: &mut String, context: usize, event: usize, left: &Chronicle, right: &Chronicle) {
    let mut tell = |who: &str, chronicle: &Chronicle, from: usize, to: usize| {
        for step in &chronicle.steps[from.min(chronicle.steps.len())..to.min(chronicle.steps.len())] {
            let text = story::sentence(chronicle, step.step).expect("a step of this run");
            let when = styled(LABEL, &format!("#{:<6} {:>12}", step.step, millis(step.time)));
            let _ = writeln!(page, "{who:<4} {when}  {text}");
        }
        if to > chronicle.steps.len() && from <= chronicle.steps.len() {
            let _ = writeln!(page, "{who:<4} {}", styled(LABEL, "the run ends"));
        }
    };
    tell("both", left, event.saturating_sub(context), event);
    for (who, chronicle) in [("A", left), ("B", right)] {
        tell(who, chronicle, event, event + 1 + context);
    }
}
