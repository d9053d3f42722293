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
trace's setup: so often does it still fail. Whatever is violated counts, as one mistake can show itself in
several ways; where it was not the property of the trace in the same way, that is said. Points are added
where the likelihood changes most, until the single event is found; what is called decisive was seen twice,
the second time in fresh branches, and these are the ones that are shown. If the time runs out, the curve is
coarser, and that is said.

Examples:
  sim explain failure.trace.jsonl
  sim explain failure.trace.jsonl --branches 400 --jump 10     finer, and slower
  sim explain failure.trace.jsonl --json > likelihood.json     for sim view --likelihood

Exits with 0 where the failure was explained, 6 where the trace shows none, and 2 where the file is no
whole trace.")]
pub(crate) struct ExplainArgs {
    /// The trace of a failure.
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// Branches at each point.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    branches: u32,
    /// Steps under faults in each branch [default: until a quarter, and at least 100 ms, after the violation].
    #[arg(long, value_name = "STEPS", value_parser = super::number)]
    horizon: Option<u64>,
    /// By how many percentage points the likelihood rises at a decisive event.
    #[arg(long, value_name = "POINTS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    jump: u32,
    /// How long to go on at most: 60s, 5m.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = super::sweep::time)]
    time: Duration,
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
    let started = Instant::now();
    let stop = || started.elapsed() >= args.time;
    let explanation = match explain(&trace, violation, &plan, &stop) {
        Ok(explanation) => explanation,
        Err(error) => {
            complain(&format!("{name}: {error}"));
            return Exit::NotReproduced.code();
        }
    };
    if !explanation.is_complete {
        let limit = args.time.as_secs();
        remark(&format!("stopped after {limit} s: more could be found with a larger --time"));
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
    let point = |point: &Point| {
        let Point { step, failed, same, of } = point;
        json!({ "step": step, "failed": failed, "same": same, "of": of })
    };
    let decisive: Vec<u64> = explanation.decisive.iter().map(|(_, after)| after.step).collect();
    let points: Vec<_> = explanation.points.iter().map(point).collect();
    let is_complete = explanation.is_complete;
    format!("{}\n", json!({ "points": points, "decisive": decisive, "complete": is_complete }))
}

fn page(explanation: &Explanation, chronicle: &Chronicle) -> String {
    let mut page = "how likely the failure is after each of these steps, if chance decides anew\n".to_owned();
    let is_decisive = |step| explanation.decisive.iter().any(|(_, after)| after.step == step);
    for point in &explanation.points {
        page.push_str(&bar(point, is_decisive(point.step)));
    }
    page.push('\n');
    page.push_str(&conclusion(explanation));
    for (before, after) in &explanation.decisive {
        let step = chronicle.steps.iter().find(|step| step.step == after.step);
        let text = story::sentence_with_fates(chronicle, after.step).unwrap_or_default();
        let when = styled(
            LABEL,
            &format!("#{} {}", after.step, step.map_or_else(String::new, |step| millis(step.time))),
        );
        let _ = writeln!(page, "  {} → {} %  {when}  {text}", before.percent(), after.percent());
    }
    let _ = writeln!(page, "{}", styled(LABEL, &format!("{} branches", count(explanation.branches))));
    page
}

/// The line of a point.
fn bar(point: &Point, is_decisive: bool) -> String {
    let filled = (point.percent() * BAR).div_ceil(100) as usize;
    let bar = format!("{:<width$}", "█".repeat(filled), width = BAR as usize);
    let (bar, mark) = if is_decisive { (styled(BAD, &bar), " ◀ decisive") } else { (bar, "") };
    let other = match point.failed - point.same {
        0 => String::new(),
        other if other == point.failed => "  (in other ways)".to_owned(),
        other => format!("  ({other} of {} in other ways)", point.failed),
    };
    format!("#{:<7} {bar} {:>3} %{mark}{other}\n", point.step, point.percent())
}

/// What the curve says: without the time to look everywhere, not that there is nothing.
fn conclusion(explanation: &Explanation) -> String {
    let mut text = String::new();
    if !explanation.is_complete {
        text.push_str("the time was up before the curve was fine enough");
        if let Some((before, after)) = explanation.steepest() {
            let (low, high) = (before.percent(), after.percent());
            let _ = write!(
                text,
                ": it rises most, from {low} to {high} %, between #{} and #{}",
                before.step, after.step
            );
        }
        text.push('\n');
    }
    match (explanation.decisive.is_empty(), explanation.is_complete) {
        (false, _) => text.push_str("decisive:\n"),
        (true, true) => {
            text.push_str("no single event was decisive: the likelihood rises, if at all, bit by bit\n");
        }
        (true, false) => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_complete_curve_says_that_nothing_was_decisive() {
        let point = |step, failed| Point { step, failed, same: failed, of: 100 };
        let points = vec![point(0, 3), point(952, 23), point(3_047, 100)];
        let complete = Explanation { points, is_complete: true, ..Explanation::default() };
        assert!(conclusion(&complete).starts_with("no single event was decisive"));
        let cut = Explanation { is_complete: false, ..complete };
        let told = conclusion(&cut);
        assert!(!told.contains("no single event"), "{told}");
        assert!(told.contains("from 23 to 100 %, between #952 and #3047\n"), "{told}");
        let nothing = Explanation::default();
        assert_eq!(conclusion(&nothing), "the time was up before the curve was fine enough\n");
    }

    #[test]
    fn other_violations_are_counted_apart() {
        let told = |same| bar(&Point { step: 7, failed: 40, same, of: 100 }, false);
        assert!(told(40).ends_with(" 40 %\n"), "{}", told(40));
        assert!(told(28).ends_with(" 40 %  (12 of 40 in other ways)\n"), "{}", told(28));
        assert!(told(0).ends_with(" 40 %  (in other ways)\n"), "{}", told(0));
    }
}
