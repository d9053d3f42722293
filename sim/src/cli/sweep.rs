//! `sim sweep`: many seeds.

mod progress;
mod summary;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::RangedU64ValueParser;

use crate::bugs::Bug;
use crate::marks::Marks;
use crate::scenario::{Overrides, Scenario};
use crate::sweep::{Outcome, Plan, Progress, Shard, sweep};

use super::exit::Exit;
use super::{Named, describe, keep, number, planted_bug, text};
use summary::Summary;

/// How many seeds are run unless something else is said.
const DEFAULT_COUNT: u64 = 1_000;

/// Which seeds are run, how, and what is demanded of them.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Seeds are dealt out to the scenarios in turn: with n of them, seed s runs in number s mod n, counted from 0.
So --count 2000 makes 2,000 runs whatever the number of scenarios. What fails is grouped by property and
kind; of each finding the run with the lowest seed is recorded. The output does not depend on --jobs, and
the digest in the last line tells whether two sweeps were the same. Ctrl-C ends a sweep early and prints
what was done.

Examples:
  sim sweep --count 2000 --require-marks      every scenario, every fault, every rare path
  sim sweep --seeds 1000.. --time 10m         as many seeds from 1000 on as fit into ten minutes
  sim sweep --scenario crash-storm lossy      two scenarios
  sim sweep --count 100000 --shard 2/4        the second of four parts
  sim sweep --bug M-Q2 --count 200            hunt a planted bug")]
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
    #[arg(long, value_name = "NAME|FILE", num_args = 1.., conflicts_with = "all_scenarios")]
    scenario: Vec<String>,
    /// All built-in scenarios, also if a bug is planted
    #[arg(long)]
    all_scenarios: bool,
    /// Events dispatched in each run while faults strike. [default: as the scenario says]
    #[arg(long, value_name = "N", value_parser = number)]
    steps: Option<u64>,
    /// Threads. It changes nothing but the speed. [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// How many seeds in a hundred are run twice, to see that the result is the same
    #[arg(
        long, value_name = "PERCENT", default_value = "2",
        value_parser = RangedU64ValueParser::<u8>::new().range(0..=100)
    )]
    recheck: u8,
    /// Plant a bug into the protocol: `sim selftest --list` shows which there are
    #[arg(long, value_name = "NAME", value_parser = planted_bug)]
    bug: Option<&'static Bug>,
    /// Demand that every fault struck, and every rare path was taken, at least once
    #[arg(long)]
    require_marks: bool,
    /// Demand that this mark was reached, such as path:stale-vote-discarded
    #[arg(long, value_name = "MARK", value_parser = mark)]
    require: Vec<String>,
    /// Make the k-th of n parts of the sweep only, from 1. The digests of all parts add up to the whole's
    #[arg(long, value_name = "K/N", value_parser = shard, default_value = "1/1", hide_default_value = true)]
    shard: Shard,
    /// Print one JSON object, and nothing else
    #[arg(long)]
    json: bool,
    /// Where to put a trace of each finding
    #[arg(long, value_name = "DIR", default_value = keep::FOLDER)]
    failures: PathBuf,
    /// Leave the traces as they are: by default some runs of each finding are shrunk, within 30 seconds
    #[arg(long)]
    no_shrink: bool,
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
    let count = match end.strip_prefix('=') {
        _ if end.is_empty() => None,
        None => Some(number(end)?.saturating_sub(first)),
        Some(last) => {
            let last = number(last)?;
            Some(last.checked_sub(first).map_or(0, |difference| difference.saturating_add(1)))
        }
    };
    Ok(Seeds { first, count })
}

pub(super) fn time(text: &str) -> Result<Duration, String> {
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

fn shard(text: &str) -> Result<Shard, String> {
    let parts = text.split_once('/').and_then(|(k, n)| Some((number(k).ok()?, number(n).ok()?)));
    match parts {
        Some((number, of)) if (1..=of).contains(&number) => Ok(Shard { number, of }),
        _ => Err("expected k/n with k from 1 to n".to_owned()),
    }
}

fn mark(name: &str) -> Result<String, String> {
    let known = Marks::default().all();
    if known.iter().any(|(known, _)| known == name) {
        return Ok(name.to_owned());
    }
    let group = name.split(':').next().unwrap_or_default();
    let prefix = format!("{group}:");
    let names: Vec<_> =
        known.into_iter().map(|(name, _)| name).filter(|name| name.starts_with(&prefix)).collect();
    Err(if names.is_empty() {
        "expected GROUP:NAME with a group of fault, partition, crash, moment, path, ignored, sent".to_owned()
    } else {
        format!("expected one of {}", names.join(", "))
    })
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
        let cores = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let plan = Plan {
            scenarios: scenarios.iter().map(|named| named.scenario.clone()).collect(),
            overrides,
            bug: self.bug,
            first: seeds.first,
            count: [seeds.count, count].into_iter().flatten().min(),
            shard: self.shard,
            jobs: self.jobs.unwrap_or_else(cores),
            recheck_percent: self.recheck,
        };
        Ok((plan, scenarios))
    }

    fn scenario_names(&self) -> Vec<String> {
        match self.bug {
            _ if !self.scenario.is_empty() => self.scenario.clone(),
            Some(bug) if !self.all_scenarios => vec![bug.scenario.to_owned()],
            _ => Scenario::builtin().map(|scenario| scenario.name().to_owned()).collect(),
        }
    }

    /// The marks that are demanded and were not reached.
    fn unmet(&self, marks: &Marks) -> Vec<String> {
        let mut unmet = if self.require_marks { describe::missing_marks(marks) } else { Vec::new() };
        let zero = marks.all().into_iter().filter(|(_, count)| *count == 0);
        let more = zero.map(|(name, _)| name).filter(|name| self.require.contains(name));
        let more: Vec<_> = more.filter(|name| !unmet.contains(name)).collect();
        unmet.extend(more);
        unmet
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
    let (plan, scenarios) = match args.plan() {
        Ok(planned) => planned,
        Err(problem) => {
            text::complain(&problem);
            return Exit::Usage.code();
        }
    };
    heed_interrupts();
    #[expect(clippy::disallowed_methods, reason = "speed is measured here, and reaches stderr only")]
    let started = Instant::now();
    let outcome = watched(&plan, args.time, started);
    let real = started.elapsed();
    let summary = Summary::new(args, &plan, &scenarios, &outcome);
    let page = if args.json { summary.json() } else { summary.page() };
    let exit = text::print(&page, summary.exit());
    summary.complain();
    text::remark(&describe::speed(outcome.totals.steps, outcome.totals.time, real));
    exit.code()
}

/// Sweeps until the end, the time limit or Ctrl-C, and shows how far it is.
fn watched(plan: &Plan, limit: Option<Duration>, started: Instant) -> Outcome {
    let progress = Progress::default();
    let stop =
        || INTERRUPTED.load(Ordering::Relaxed) || limit.is_some_and(|limit| started.elapsed() >= limit);
    progress::shown(&progress, plan, limit, started, || sweep(plan, &progress, &stop))
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
        assert_eq!(seeds("9..5"), range(9, Some(0)));
        assert_eq!(seeds("9..=5"), range(9, Some(0)));
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
        assert_eq!(shard("2/4"), Ok(Shard { number: 2, of: 4 }));
        for wrong in ["0/4", "5/4", "1/0", "0/0", "2", "a/b", ""] {
            assert!(shard(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn marks_are_known_by_their_full_names() {
        assert_eq!(mark("moment:crash"), Ok("moment:crash".to_owned()));
        assert!(mark("moment:crush").unwrap_err().contains("moment:crash, "));
        assert!(mark("crash").unwrap_err().starts_with("expected one of crash:random, "));
        assert!(mark("").unwrap_err().starts_with("expected GROUP:NAME"));
    }
}
