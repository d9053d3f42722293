//! Sweeps: many seeds on all cores.
//!
//! Which runs there are, and what comes of them, does not depend on the number of threads: everything that
//! is kept is kept in a way that does not care in which order the runs end. Nothing is kept of runs that
//! hold but totals, so memory does not grow with their number.

mod record;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::{self, AssertUnwindSafe};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::bugs::Bug;
use crate::check::Violation;
use crate::digest;
use crate::marks::Marks;
use crate::registry;
use crate::run::{Report, Verdict, text_of};
use crate::scenario::{Overrides, Scenario};
use crate::setup::Setup;

pub use record::{Hex, Record};

/// How many of the seeds that show the same are kept: the lowest.
const KEPT: usize = 5;
/// The stack of a thread that runs simulations: as much as the main thread has, so that a run that works
/// there works here.
pub(crate) const STACK_BYTES: usize = 8 << 20;

/// Which runs a sweep is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scenarios, at least one. Seeds are dealt out to them in turn.
    pub scenarios: Vec<Scenario>,
    /// What is fixed in all of them.
    pub overrides: Overrides,
    /// The planted bug.
    pub bug: Option<&'static Bug>,
    /// The first seed.
    pub first: u64,
    /// How many seeds, all shards together; `None` to go on until stopped.
    pub count: Option<u64>,
    /// Which of the runs are made here.
    pub shard: Shard,
    /// How many threads.
    pub jobs: NonZeroUsize,
    /// How many seeds in a hundred are run twice, to see that the result is the same.
    pub recheck_percent: u8,
}

/// A part of a sweep, of several that together are the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which one, from 1.
    pub number: u64,
    /// How many there are.
    pub of: u64,
}

impl Shard {
    /// Everything.
    pub const WHOLE: Self = Self { number: 1, of: 1 };
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
        match parts {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Self { number, of }),
            _ => Err("expected k/n with k from 1 to n".to_owned()),
        }
    }
}

impl Plan {
    /// The scenario, by its place in the list, in which `seed` is run.
    #[must_use]
    pub fn scenario_of(&self, seed: u64) -> usize {
        (seed % self.scenarios.len() as u64) as usize
    }

    /// The setup of the run with this seed.
    #[must_use]
    pub fn setup(&self, seed: u64) -> Arc<Setup> {
        Arc::new(self.scenarios[self.scenario_of(seed)].resolve(seed, &self.overrides))
    }

    /// Whether the run with this seed belongs to the shard. Of n seeds in a row each shard has one, but not
    /// always the same: else it would see a few scenarios only where both numbers have a common divisor.
    fn is_mine(&self, seed: u64) -> bool {
        let of = self.shard.of;
        let turn = digest::mix(digest::of("shard"), seed / of) % of;
        (seed % of + turn) % of == self.shard.number - 1
    }

    /// The first seed from `seed` on that belongs to the sweep and to the shard.
    #[must_use]
    pub fn first_from(&self, seed: u64) -> Option<u64> {
        let mut seed = seed;
        loop {
            let index = seed.checked_sub(self.first)?;
            if self.count.is_some_and(|count| index >= count) {
                return None;
            }
            if self.is_mine(seed) {
                return Some(seed);
            }
            seed = seed.checked_add(1)?;
        }
    }

    /// The one after `seed`.
    #[must_use]
    pub fn after(&self, seed: u64) -> Option<u64> {
        self.first_from(seed.checked_add(1)?)
    }

    fn is_rechecked(&self, seed: u64) -> bool {
        // A hash, so that the choice favours no scenario.
        digest::mix(digest::of("recheck"), seed) % 100 < u64::from(self.recheck_percent)
    }
}

/// How far a sweep is: may be read while it goes on.
#[derive(Debug, Default)]
pub struct Progress {
    /// Runs that have ended.
    pub runs: AtomicU64,
    /// Their steps.
    pub steps: AtomicU64,
    /// Runs that did not hold.
    pub failures: AtomicU64,
}

/// What came of a sweep.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Sums over all runs.
    pub totals: Totals,
    /// The violations by their signature.
    pub violations: BTreeMap<String, Few<Found>>,
    /// Runs in which a check gave up, and why.
    pub inconclusive: Few<String>,
    /// Runs in which the harness failed, and how.
    pub harness_failed: Few<String>,
    /// Runs that came out differently the second time, with both digests.
    pub unequal: Few<(u64, u64)>,
    /// The same for the runs of each scenario, by its name. What is in here is not divided further.
    pub by_scenario: BTreeMap<String, Outcome>,
    /// Whether it was stopped before its end.
    pub stopped: bool,
}

/// Sums over runs.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// How many there were.
    pub runs: u64,
    /// How many of them were run twice.
    pub rechecked: u64,
    /// How many held with not a single step.
    pub empty: u64,
    /// In how many more memory was lost than the group can stand.
    pub budget_exceeded: u64,
    /// Events dispatched.
    pub steps: u64,
    /// Events dispatched before the faults stopped.
    pub fault_steps: u64,
    /// Virtual time, in nanoseconds.
    pub time: u64,
    /// Operations committed.
    pub committed: u64,
    /// Views started by a view change.
    pub views: u64,
    /// The counters.
    pub marks: Marks,
    /// The digests of all runs. It is a sum: those of all shards add up to that of the whole.
    pub digest: u64,
}

/// A violation in a sweep.
#[derive(Clone, Debug)]
pub struct Found {
    /// The violation.
    pub violation: Violation,
    /// The digest of the run.
    pub digest: u64,
}

/// What several runs have in common: how many they are, and the ones with the lowest seeds.
#[derive(Clone, Debug)]
pub struct Few<T> {
    /// How many there are in all.
    pub count: u64,
    /// The first few, by seed.
    pub first: BTreeMap<u64, T>,
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self { count: 0, first: BTreeMap::new() }
    }
}

impl<T> Few<T> {
    fn add(&mut self, seed: u64, item: T) {
        self.count += 1;
        self.keep(seed, item);
    }

    fn keep(&mut self, seed: u64, item: T) {
        self.first.insert(seed, item);
        if self.first.len() > KEPT {
            self.first.pop_last();
        }
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        other.first.into_iter().for_each(|(seed, item)| self.keep(seed, item));
    }
}

impl Totals {
    fn add(&mut self, record: &Record) {
        self.runs += 1;
        self.rechecked += u64::from(record.again.is_some());
        self.empty += u64::from(record.steps == 0 && record.verdict == Verdict::Held);
        self.budget_exceeded += u64::from(record.budget_exceeded);
        self.steps += record.steps;
        self.fault_steps += record.fault_steps;
        self.time += record.virtual_time_ns;
        self.committed += record.committed;
        self.views += record.view_changes;
        self.marks.add(&record.marks);
        let name = digest::of(record.scenario.as_str());
        self.digest = self.digest.wrapping_add(digest::mix(digest::mix(name, record.seed), record.digest.0));
    }

    fn merge(&mut self, other: &Self) {
        self.runs += other.runs;
        self.rechecked += other.rechecked;
        self.empty += other.empty;
        self.budget_exceeded += other.budget_exceeded;
        self.steps += other.steps;
        self.fault_steps += other.fault_steps;
        self.time += other.time;
        self.committed += other.committed;
        self.views += other.views;
        self.marks.add(&other.marks);
        self.digest = self.digest.wrapping_add(other.digest);
    }
}

impl Outcome {
    /// Adds a run.
    pub fn add(&mut self, record: &Record) {
        self.sum_up(record);
        if !self.by_scenario.contains_key(&record.scenario) {
            self.by_scenario.insert(record.scenario.clone(), Self::default());
        }
        self.by_scenario.get_mut(&record.scenario).expect("it is there by now").sum_up(record);
    }

    fn sum_up(&mut self, record: &Record) {
        self.totals.add(record);
        let seed = record.seed;
        match &record.verdict {
            Verdict::Held => {}
            Verdict::Violated(violation) => {
                let few = self.violations.entry(violation.signature()).or_default();
                few.add(seed, Found { violation: violation.clone(), digest: record.digest.0 });
            }
            Verdict::Inconclusive(why) => self.inconclusive.add(seed, why.clone()),
            Verdict::HarnessFailed(why) => self.harness_failed.add(seed, why.clone()),
        }
        if let Some(digests) = record.unequal() {
            self.unequal.add(seed, digests);
        }
    }

    /// Adds the runs of another part of the sweep.
    pub fn merge(&mut self, other: Self) {
        self.totals.merge(&other.totals);
        for (signature, few) in other.violations {
            self.violations.entry(signature).or_default().merge(few);
        }
        self.inconclusive.merge(other.inconclusive);
        self.harness_failed.merge(other.harness_failed);
        self.unequal.merge(other.unequal);
        for (scenario, outcome) in other.by_scenario {
            self.by_scenario.entry(scenario).or_default().merge(outcome);
        }
        self.stopped |= other.stopped;
    }
}

/// Makes all runs of `plan`, or as many as there is time for until `stop` says so. It is asked before each
/// run; those that were begun are finished.
///
/// # Panics
/// If a thread cannot be started.
#[must_use]
pub fn sweep(plan: &Plan, progress: &Progress, stop: &(dyn Fn() -> bool + Sync)) -> Outcome {
    sweep_from(plan, plan.first, progress, stop, &mut |_| ControlFlow::Continue(()))
}

/// The same, from one seed of the plan on. `keep` is given the record of each run, in the order of seeds
/// and without gaps whatever the number of threads; it may stop the sweep as well.
///
/// # Panics
/// If no thread can be started.
#[must_use]
pub fn sweep_from(
    plan: &Plan,
    seed: u64,
    progress: &Progress,
    stop: &(dyn Fn() -> bool + Sync),
    keep: &mut Keep<'_>,
) -> Outcome {
    let first = plan.first_from(seed);
    let line = Line { next: Mutex::new(first), stopped: AtomicBool::new(false), stop };
    let order = Mutex::new(Order { next: first, waiting: BTreeMap::new(), keep });
    let mut outcome = Outcome::default();
    thread::scope(|scope| {
        let start = |_| {
            let builder = thread::Builder::new().stack_size(STACK_BYTES);
            builder.spawn_scoped(scope, || work(plan, progress, &line, &order)).ok()
        };
        // Where there are no more threads to be had, fewer do the same.
        let threads: Vec<_> = (0..plan.jobs.get()).map_while(start).collect();
        assert!(!threads.is_empty(), "a thread can be started");
        for thread in threads {
            outcome.merge(thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload)));
        }
    });
    outcome.stopped = line.stopped.into_inner();
    outcome
}

/// What is done with each record.
pub type Keep<'a> = dyn FnMut(&Record) -> ControlFlow<()> + Send + 'a;

/// Where threads queue for their next seed.
struct Line<'a> {
    next: Mutex<Option<u64>>,
    stopped: AtomicBool,
    stop: &'a (dyn Fn() -> bool + Sync),
}

impl Line<'_> {
    /// The next seed, unless there is none or it is time to stop. Seeds are handed out in order, and what
    /// was handed out is run: so those that were run are all up to some seed.
    fn next(&self, plan: &Plan) -> Option<u64> {
        let mut next = self.next.lock().expect("nobody panics in the line");
        let seed = (*next)?;
        if self.stopped.load(Ordering::Relaxed) || (self.stop)() {
            self.stopped.store(true, Ordering::Relaxed);
            return None;
        }
        *next = plan.after(seed);
        Some(seed)
    }
}

/// Puts records in the order of their seeds: runs end in any order.
struct Order<'a, 'b> {
    /// The seed whose record is to be handed on next.
    next: Option<u64>,
    /// Records of later seeds: a few, unless a run takes much longer than the others.
    waiting: BTreeMap<u64, Record>,
    keep: &'a mut Keep<'b>,
}

impl Order<'_, '_> {
    /// Takes a record, and hands on what is in order now.
    fn add(&mut self, plan: &Plan, record: Record) -> ControlFlow<()> {
        self.waiting.insert(record.seed, record);
        while let Some(record) = self.next.and_then(|seed| self.waiting.remove(&seed)) {
            self.next = plan.after(record.seed);
            if (self.keep)(&record).is_break() {
                // Nothing is handed on any more, also of what other threads are still at.
                self.next = None;
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

/// What each thread does.
fn work(plan: &Plan, progress: &Progress, line: &Line<'_>, order: &Mutex<Order<'_, '_>>) -> Outcome {
    let mut outcome = Outcome::default();
    while let Some(seed) = line.next(plan) {
        let record = make(plan, seed);
        outcome.add(&record);
        progress.steps.fetch_add(record.steps, Ordering::Relaxed);
        progress.failures.fetch_add(u64::from(!record.has_held()), Ordering::Relaxed);
        progress.runs.fetch_add(1, Ordering::Relaxed);
        if order.lock().expect("nobody panics while keeping").add(plan, record).is_break() {
            line.stopped.store(true, Ordering::Relaxed);
        }
    }
    outcome
}

/// Makes the run with this seed.
fn make(plan: &Plan, seed: u64) -> Record {
    let setup = plan.setup(seed);
    let report = match attempt(&setup, plan.bug) {
        Ok(report) => report,
        Err(why) => return Record::failed(setup.scenario.clone(), seed, why),
    };
    let mut record = Record::of(seed, report);
    if plan.is_rechecked(seed) {
        record.again = Some(Hex(attempt(&setup, plan.bug).map_or(0, |report| report.digest)));
    }
    record
}

/// A run, or why it could not be made or judged. A sweep goes on after a panic of the harness: the other
/// seeds are worth as much as before.
fn attempt(setup: &Arc<Setup>, bug: Option<&'static Bug>) -> Result<Report, String> {
    let ran = panic::catch_unwind(AssertUnwindSafe(|| registry::run_plain(setup, bug)));
    match ran {
        Ok(report) => report.map_err(|error| error.to_string()),
        Err(payload) => Err(format!("panicked: {}", text_of(payload.as_ref()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(jobs: usize) -> Plan {
        Plan {
            scenarios: ["calm", "lossy"].map(|name| Scenario::find(name).unwrap()).to_vec(),
            overrides: Overrides { steps: Some(300), ..Overrides::default() },
            bug: None,
            first: 10,
            count: Some(24),
            shard: Shard::WHOLE,
            jobs: NonZeroUsize::new(jobs).unwrap(),
            recheck_percent: 20,
        }
    }

    fn run(plan: &Plan) -> Outcome {
        sweep(plan, &Progress::default(), &|| false)
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let (one, four) = (run(&plan(1)), run(&plan(4)));
        assert_eq!(format!("{one:?}"), format!("{four:?}"));
        assert_eq!(one.totals.runs, 24);
        assert!(one.totals.rechecked > 0);
        assert_eq!(one.unequal.count, 0);
        let of_lossy: Vec<u64> = one.by_scenario.values().map(|outcome| outcome.totals.runs).collect();
        assert_eq!(of_lossy, [12, 12]);
    }

    #[test]
    fn records_come_in_order_and_sum_up_to_the_outcome() {
        let plan = Plan { shard: Shard { number: 2, of: 3 }, ..plan(4) };
        let mut records = Vec::new();
        let outcome = sweep_from(&plan, plan.first, &Progress::default(), &|| false, &mut |record| {
            records.push(record.clone());
            ControlFlow::Continue(())
        });
        let seeds: Vec<u64> = std::iter::successors(plan.first_from(10), |&seed| plan.after(seed)).collect();
        assert!((7..=9).contains(&seeds.len()), "{seeds:?}");
        assert!(records.iter().map(|record| record.seed).eq(seeds.iter().copied()));
        let mut sum = Outcome::default();
        for record in &records {
            let text = serde_json::to_string(record).unwrap();
            sum.add(&serde_json::from_str(&text).unwrap());
        }
        assert_eq!(format!("{outcome:?}"), format!("{sum:?}"));
        let rest = sweep_from(&plan, seeds[3], &Progress::default(), &|| false, &mut |record| {
            assert_eq!(record, &records[3]);
            ControlFlow::Break(())
        });
        // How many the other threads made meanwhile depends on the machine.
        let left = seeds.len() as u64 - 3;
        assert!(rest.stopped && (1..=left).contains(&rest.totals.runs), "{}", rest.totals.runs);
    }

    #[test]
    fn shards_are_disjoint_and_make_up_the_whole() {
        let whole = run(&plan(2));
        let shards = (1..=4).map(|number| run(&Plan { shard: Shard { number, of: 4 }, ..plan(1) }));
        let mut sum = Outcome::default();
        shards.for_each(|shard| sum.merge(shard));
        assert_eq!(format!("{whole:?}"), format!("{sum:?}"));
    }

    #[test]
    fn every_shard_sees_every_scenario() {
        for number in 1..=4 {
            let plan = Plan { shard: Shard { number, of: 4 }, ..plan(1) };
            let seen: Vec<_> = (0..16).filter(|&seed| plan.is_mine(seed)).collect();
            assert_eq!(seen.len(), 4);
            assert!((0..2).all(|scenario| seen.iter().any(|&seed| plan.scenario_of(seed) == scenario)));
        }
    }

    #[test]
    fn a_sweep_that_is_stopped_says_so() {
        let outcome = sweep(&plan(2), &Progress::default(), &|| true);
        assert!(outcome.stopped);
        assert_eq!(outcome.totals.runs, 0);
        let last = Plan { first: u64::MAX - 1, count: None, ..plan(2) };
        assert_eq!(run(&last).totals.runs, 2);
    }

    #[test]
    fn only_the_lowest_seeds_are_kept() {
        let mut few = Few::default();
        (0..20).rev().for_each(|seed| few.add(seed, ()));
        assert_eq!(few.count, 20);
        assert!(few.first.keys().copied().eq(0..KEPT as u64));
    }
}
