//! `sim sweep`: many seeds.

mod github;
mod guided;
mod junit;
mod progress;
mod report;
mod shrinking;
mod summary;

use std::env;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueHint};

use crate::bugs::Bug;
use crate::records::{Head, RecordsError, Writer};
use crate::scenario::{Overrides, Scenario};
use crate::sweep::{Outcome, Plan, Progress, Shard, sweep_from};

use super::exit::Exit;
use super::text::of;
use super::{BugParser, Named, ScenarioParser, describe, number, shard, text};

pub(crate) use report::{ReportArgs, conclude};

/// How many seeds are run unless something else is said.
const DEFAULT_COUNT: u64 = 1_000;

/// Which seeds are run, how, and what is demanded of them.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Seeds are dealt out to the scenarios in turn: with n of them, seed s runs in number s mod n, counted from 0.
So --count 2000 makes 2,000 runs whatever the number of scenarios. What fails is grouped by property and
kind; of each finding the run with the lowest seed is recorded. The output does not depend on --jobs, and
the digest in the last line tells whether two sweeps were the same. Ctrl-C ends a sweep early and prints
what was done; with --jsonl, --resume goes on from there, also after a crash.

Without --shard, the part is taken from the environment of Slurm arrays, Kubernetes Indexed Jobs (which need
JOB_COMPLETIONS set to their completions), GitLab, CircleCI and Buildkite; --shard 1/1 makes everything.

Examples:
  sim sweep --count 2000 --require-marks      every scenario, every fault, every rare path
  sim sweep --seeds 1000.. --time 10m         as many seeds from 1000 on as fit into ten minutes
  sim sweep --scenario crash-storm lossy      two scenarios
  sim sweep --count 100000 --shard 2/4        the second of four parts
  sim sweep --count 100000 --jsonl a.jsonl --resume
                                              go on where the last one stopped
  sim sweep --count 2000 --junit sweep.xml --github
                                              tell the engine of a CI what was found
  sim sweep --bug M-Q2 --count 200            hunt a planted bug
  sim sweep --guided --time 10m               spend half of the steps on going on from rare places")]
pub(crate) struct SweepArgs {
    /// The seeds: A..B without B, A..=B with it, or A.. to go on from A
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    seeds: Option<Seeds>,
    /// How many seeds at most. [default: 1000, unless --seeds has an end or --time is given]
    #[arg(long, value_name = "N", value_parser = number)]
    count: Option<u64>,
    /// How long to go on at most: 60s, 5m, 2h
    #[arg(long, value_name = "TIME", value_parser = time)]
    time: Option<Duration>,
    /// Built-in scenarios, or scenario files. [default: all built-in ones, or where the bug is hunted]
    #[arg(
        long, value_name = "NAME|FILE", num_args = 1.., conflicts_with = "all_scenarios",
        value_parser = ScenarioParser, hide_possible_values = true
    )]
    scenario: Vec<String>,
    /// All built-in scenarios, also if a bug is planted
    #[arg(long)]
    all_scenarios: bool,
    /// Events dispatched in each run while faults strike. [default: as the scenario says]
    #[arg(long, value_name = "N", value_parser = number)]
    steps: Option<u64>,
    /// Threads. It changes nothing but the speed. [default: one for each core]
    #[arg(long, value_name = "N", value_parser = super::jobs)]
    jobs: Option<NonZeroUsize>,
    /// How many seeds in a hundred are run twice, to see that the result is the same
    #[arg(
        long, value_name = "PERCENT", default_value = "2",
        value_parser = RangedU64ValueParser::<u8>::new().range(0..=100)
    )]
    recheck: u8,
    /// Plant a bug into the protocol: `sim selftest --list` shows which there are
    #[arg(long, value_name = "NAME", value_parser = BugParser, hide_possible_values = true)]
    bug: Option<&'static Bug>,
    /// Make the k-th of n parts of the sweep only, from 1: `sim merge` joins their --jsonl files.
    /// [default: as the environment says, or everything]
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
    /// Write a record of each run to this file, one JSON object a line, in the order of seeds
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    jsonl: Option<PathBuf>,
    /// Go on with the file of --jsonl: what is in it is not run again. Without the file, begin it
    #[arg(long, requires = "jsonl")]
    resume: bool,
    /// Go on from rare places that earlier runs reached, in half of the steps. --count is that of all runs.
    /// What is run depends on all runs before: so it is one job (no --shard), without records to merge or to
    /// resume from (no --jsonl), and without --recheck
    #[arg(long, conflicts_with_all = ["shard", "recheck", "jsonl"])]
    guided: bool,
    #[command(flatten)]
    report: ReportArgs,
}

// ---- Reading flags -----------------------------------------------------------------------------------

/// A range of seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seeds {
    first: u64,
    /// How many; `None` for no end.
    count: Option<u64>,
}

fn seeds(text: &str) -> Result<Seeds, String> {
    let Some((first, end)) = text.split_once("..") else {
        return Err("expected A..B, A..=B or A..".to_owned());
    };
    let first = number(first)?;
    let reversed = || format!("the range is reversed: expected its end not to be below {first}");
    let count = match end.strip_prefix('=') {
        _ if end.is_empty() => None,
        None => Some(number(end)?.checked_sub(first).ok_or_else(reversed)?),
        Some(last) => Some(number(last)?.checked_sub(first).ok_or_else(reversed)?.saturating_add(1)),
    };
    Ok(Seeds { first, count })
}

/// Reads a time such as `60s`, `5m` or `2h`.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let seconds_each = match &text[digits.len()..] {
        "s" | "" => Some(1),
        "m" | "min" => Some(60),
        "h" => Some(3_600),
        _ => None,
    };
    let seconds = seconds_each.and_then(|each| number(digits).ok()?.checked_mul(each));
    seconds.map(Duration::from_secs).ok_or_else(|| "expected a time such as 60s, 5m or 2h".to_owned())
}

impl SweepArgs {
    /// Which runs to make, and the scenarios with the names they were given.
    fn plan(&self) -> Result<(Plan, Vec<Named>), String> {
        let overrides = Overrides { steps: self.steps, ..super::overrides() };
        let names = self.scenario_names();
        let scenarios =
            names.iter().map(|name| Named::find(name, &overrides)).collect::<Result<Vec<_>, _>>()?;
        let seeds = self.seeds.unwrap_or(Seeds { first: 0, count: None });
        let is_open = seeds.count.is_none() && self.time.is_none();
        let count = self.count.or(is_open.then_some(DEFAULT_COUNT));
        let plan = Plan {
            scenarios: scenarios.iter().map(|named| named.scenario.clone()).collect(),
            overrides,
            bug: self.bug,
            first: seeds.first,
            count: [seeds.count, count].into_iter().flatten().min(),
            shard: self.shard()?,
            jobs: self.jobs.unwrap_or_else(super::cores),
            recheck_percent: self.recheck,
        };
        Ok((plan, scenarios))
    }

    fn scenario_names(&self) -> Vec<String> {
        match self.bug {
            _ if !self.scenario.is_empty() => self.scenario.clone(),
            Some(bug) if !self.all_scenarios => vec![bug.scenario.to_owned()],
            _ => {
                let workload = super::overrides().workload;
                let fitting = Scenario::builtin().filter(|scenario| scenario.can_run(workload));
                fitting.map(|scenario| scenario.name().to_owned()).collect()
            }
        }
    }

    /// The part to make: as the command line says, or else the environment, which is then said.
    fn shard(&self) -> Result<Shard, String> {
        if let Some(shard) = self.shard {
            return Ok(shard);
        }
        let Some((shard, engine)) = shard::from_environment(&|name| env::var(name).ok())? else {
            return Ok(Shard::WHOLE);
        };
        let Shard { number, of } = shard;
        text::remark(&format!("part {number} of {of}, as {engine} says: --shard 1/1 makes everything"));
        Ok(shard)
    }
}

// ---- Running -----------------------------------------------------------------------------------------

/// Whether somebody pressed Ctrl-C.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The first Ctrl-C ends the sweep after the runs under way, so that what was done can be written; the
/// second one ends it at once.
fn heed_interrupts() {
    let heeded = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            process::exit(Exit::Interrupted.code().into());
        }
        text::remark("finishing the runs under way; Ctrl-C again ends at once");
    });
    if let Err(error) = heeded {
        text::remark(&format!("Ctrl-C will lose what was done: {error}"));
    }
}

/// Runs `sim sweep`. Returns the exit code.
#[must_use]
pub(crate) fn run(args: &SweepArgs) -> u8 {
    match sweep(args) {
        Ok(exit) => exit.code(),
        Err(problem) => {
            text::complain(&problem);
            Exit::Usage.code()
        }
    }
}

fn sweep(args: &SweepArgs) -> Result<Exit, String> {
    let (plan, scenarios) = args.plan()?;
    args.report.check()?;
    if args.guided {
        return Ok(run_guided(args, &plan));
    }
    let mut begun = begin(args, &plan, &scenarios)?;
    let done = (begun.outcome.totals.steps, begun.outcome.totals.time);
    heed_interrupts();
    #[expect(clippy::disallowed_methods, reason = "speed is measured here, and reaches stderr only")]
    let started = Instant::now();
    let unwritten = go_on(args, &plan, &mut begun, started).err();
    let real = started.elapsed();
    let outcome = &begun.outcome;
    let (exit, shrinking) = conclude(&args.report, &plan, &scenarios, outcome);
    let (steps, time) = (outcome.totals.steps - done.0, outcome.totals.time - done.1);
    text::remark(&describe::speed(steps, time, real, shrinking));
    Ok(unwritten.map_or(exit, |error| {
        text::complain(&error.to_string());
        Exit::Usage
    }))
}

/// Where a sweep begins.
struct Begun {
    /// What was done earlier.
    outcome: Outcome,
    /// The seed to go on with, if anything is left to do.
    next: Option<u64>,
    /// The file of records, if one is wanted.
    writer: Option<Writer>,
}

fn begin(args: &SweepArgs, plan: &Plan, scenarios: &[Named]) -> Result<Begun, String> {
    let mut outcome = Outcome::default();
    let mut next = plan.first_from(plan.first);
    let Some(path) = &args.jsonl else { return Ok(Begun { outcome, next, writer: None }) };
    let given: Vec<String> = scenarios.iter().map(|named| named.name.clone()).collect();
    let head = Head::new(plan, &given);
    let writer = if args.resume {
        let resumed = Writer::resume(path, plan, &head, &mut |record| outcome.add(record));
        resumed.map(|(writer, seed)| {
            next = seed;
            writer
        })
    } else {
        Writer::create(path, &head)
    };
    let writer = Some(writer.map_err(|error| error.to_string())?);
    if outcome.totals.runs > 0 {
        let runs = of(outcome.totals.runs, ("run", "runs"));
        let rest =
            next.map_or("nothing is left to do".to_owned(), |seed| format!("going on with seed {seed}"));
        text::remark(&format!("{}: holds {runs}, {rest}", path.display()));
    }
    Ok(Begun { outcome, next, writer })
}

fn run_guided(args: &SweepArgs, plan: &Plan) -> Exit {
    heed_interrupts();
    #[expect(clippy::disallowed_methods, reason = "speed is measured here, and reaches stderr only")]
    let started = Instant::now();
    let progress = Progress::default();
    let stop =
        || INTERRUPTED.load(Ordering::Relaxed) || args.time.is_some_and(|limit| started.elapsed() >= limit);
    let outcome = progress::shown(&progress, plan, args.time, started, || {
        crate::guided::sweep::sweep(plan, &progress, &stop)
    });
    let real = started.elapsed();
    let summary = guided::Summary::new(args, plan, &outcome);
    let page = if args.report.json { summary.json() } else { summary.page() };
    let exit = text::print(&page, summary.exit());
    text::remark(&describe::speed(outcome.steps, outcome.time, real, None));
    exit
}

/// Sweeps until the end, the time limit or Ctrl-C, and shows how far it is.
///
/// # Errors
/// If a record could not be written: that ends the sweep.
fn go_on(args: &SweepArgs, plan: &Plan, begun: &mut Begun, started: Instant) -> Result<(), RecordsError> {
    let Some(seed) = begun.next else { return Ok(()) };
    let progress = Progress::default();
    progress.runs.store(begun.outcome.totals.runs, Ordering::Relaxed);
    let stop =
        || INTERRUPTED.load(Ordering::Relaxed) || args.time.is_some_and(|limit| started.elapsed() >= limit);
    let mut written = Ok(());
    let mut keep = |record: &_| match begun.writer.as_mut().map_or(Ok(()), |writer| writer.add(record)) {
        Err(error) if written.is_ok() => {
            written = Err(error);
            ControlFlow::Break(())
        }
        // A record behind one that is missing would be in the wrong place.
        _ if written.is_err() => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let outcome = progress::shown(&progress, plan, args.time, started, || {
        sweep_from(plan, seed, &progress, &stop, &mut keep)
    });
    begun.outcome.merge(outcome);
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_half_open_closed_or_endless() {
        let range = |first, count| Ok(Seeds { first, count });
        assert_eq!(seeds("3..10"), range(3, Some(7)));
        assert_eq!(seeds("3..=10"), range(3, Some(8)));
        assert_eq!(seeds("0x10.."), range(16, None));
        assert_eq!(seeds("5..5"), range(5, Some(0)));
        assert_eq!(seeds("5..=5"), range(5, Some(1)));
        for reversed in ["9..5", "9..=5", "5..=4"] {
            let told = seeds(reversed).expect_err("it is reversed");
            assert!(told.starts_with("the range is reversed: "), "{told}");
        }
        for wrong in ["", "7", "..", "..5", "a..b", "1..=", "-1..5"] {
            assert!(seeds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_have_units() {
        assert_eq!(time("90"), Ok(Duration::from_secs(90)));
        assert_eq!(time("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(time("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(time("2h"), Ok(Duration::from_secs(7_200)));
        for wrong in ["", "s", "5d", "1.5h", "99999999999999999999h", "18446744073709551615h"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shards_count_from_one() {
        assert_eq!("2/4".parse(), Ok(Shard { number: 2, of: 4 }));
        for wrong in ["0/4", "5/4", "1/0", "0/0", "2", "a/b", ""] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
