//! What decided that a run failed: how likely the failure is from each point on.
//!
//! The run is branched: it is made again up to a point, and from there on chance decides anew, many times.
//! The share of branches that fail is the likelihood of the failure once that point is reached. Where it
//! jumps, something decisive has happened.
//!
//! A branch fails if anything is violated. One mistake shows itself in several ways, and which one comes first is
//! chance; if only the recorded one counted, the event that decides between them would be called decisive,
//! and not the one after which the run was lost. How many fail in the recorded way is counted as well.
//!
//! All branches have time until the same moment, a while after the recorded violation: so what differs from
//! point to point is what has happened, not how long there was to fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::check::Violation;
use crate::decisions::Decisions;
use crate::digest;
use crate::registry::{AnyManner, Unrunnable, run_any};
use crate::replay::{Unreplayable, planted};
use crate::run::{Redraw, Until};
use crate::trace::{Follows, Trace};

/// Into how many parts the run is divided at least, if there is time: a power of two, for it is halved.
const PARTS: u64 = 16;
/// How much longer than the recorded run a branch has time to fail: this part of it,
const MARGIN_PART: u64 = 4;
/// and at least so long, in nanoseconds of virtual time.
const MARGIN_MIN: u64 = 100_000_000;

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Branches at each point.
    pub branches: u32,
    /// Steps under faults in each branch; unless given, the faults go on until a quarter (and at least 100 ms) more
    /// virtual time has passed than at the violation.
    pub horizon: Option<u64>,
    /// By how many points of a hundred the likelihood must rise for an event to be called decisive.
    pub jump: u32,
}

impl Default for Plan {
    fn default() -> Self {
        Self { branches: 100, horizon: None, jump: 20 }
    }
}

/// How likely the failure is after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The step; 0 is the beginning.
    pub step: u64,
    /// How many branches failed, in whatever way.
    pub failed: u32,
    /// How many of these violated the same property in the same way.
    pub same: u32,
    /// Of how many branches.
    pub of: u32,
}

impl Point {
    /// The likelihood, in parts of a hundred.
    #[must_use]
    pub fn percent(&self) -> u32 {
        (self.failed * 100 + self.of / 2).checked_div(self.of).unwrap_or(0)
    }
}

/// What is known of a run's failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// The likelihoods, by step. The last is the violation.
    pub points: Vec<Point>,
    /// The steps at which it jumped, each with the point before and after, in order.
    pub decisive: Vec<(Point, Point)>,
    /// How many branches were run.
    pub branches: u64,
    /// Whether there was time to find every jump's step.
    pub is_complete: bool,
}

impl Explanation {
    /// The two points next to each other between which the likelihood rises most, if it rises.
    #[must_use]
    pub fn steepest(&self) -> Option<(Point, Point)> {
        let rises = self.points.windows(2).map(|pair| (pair[0], pair[1]));
        let rise = |(before, after): &(Point, Point)| after.percent().saturating_sub(before.percent());
        rises.max_by_key(rise).filter(|pair| rise(pair) > 0)
    }
}

/// Explains the `failure` that `trace` shows. Asks `stop` now and then whether
/// it is time to end: what is known by then is told, and the curve is coarser.
///
/// # Errors
/// [`Unreplayable`] if the trace names what there is not.
pub fn explain(
    trace: &Trace,
    failure: &Violation,
    plan: &Plan,
    stop: &dyn Fn() -> bool,
) -> Result<Explanation, Unreplayable> {
    let mut search = Search {
        trace,
        failure,
        signature: failure.signature(),
        plan,
        stop,
        points: BTreeMap::new(),
        fresh: BTreeSet::new(),
        jumps: BTreeMap::new(),
        branches: 0,
    };
    let is_complete = search.run()?.is_some();
    let decisive = search.decisive();
    let points = search.points.into_values().collect();
    Ok(Explanation { points, decisive, branches: search.branches, is_complete })
}

struct Search<'a> {
    trace: &'a Trace,
    failure: &'a Violation,
    signature: String,
    plan: &'a Plan,
    stop: &'a dyn Fn() -> bool,
    points: BTreeMap<u64, Point>,
    /// The points that were seen again, in branches that had no part in finding a jump.
    fresh: BTreeSet<u64>,
    /// The steps at which the likelihood rose, and whether it did again in fresh branches.
    jumps: BTreeMap<u64, bool>,
    branches: u64,
}

/// What is to be looked at next.
enum Task {
    /// A step at which the likelihood rose, in fresh branches.
    Confirm(Point, Point),
    /// The likelihood after a step.
    Look(u64),
}

/// What is there if there was time for it.
type InTime<T> = Result<Option<T>, Unreplayable>;

impl Search<'_> {
    /// Looks until there is nothing left to look at.
    fn run(&mut self) -> InTime<()> {
        let (last, of) = (self.failure.step, self.plan.branches);
        self.points.insert(last, Point { step: last, failed: of, same: of, of });
        self.fresh.insert(last);
        if last > 0 && self.look_at(0)?.is_none() {
            return Ok(None);
        }
        while let Some(task) = self.next() {
            let done = match task {
                Task::Confirm(before, after) => self.confirm(before, after)?,
                Task::Look(step) => self.look_at(step)?,
            };
            if done.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(()))
    }

    /// What says most: a jump whose step is known is seen again; else the stretch over which the likelihood
    /// changes most is halved, as long as it jumps there; else the longest one, until all are short. So the
    /// largest jump is found first, and whatever time there was, the curve spans the whole run.
    fn next(&self) -> Option<Task> {
        let points: Vec<Point> = self.points.values().copied().collect();
        let pairs = || points.windows(2).map(|pair| (pair[0], pair[1]));
        let change = |(before, after): &(Point, Point)| after.percent().abs_diff(before.percent());
        let length = |(before, after): &(Point, Point)| after.step - before.step;
        let is_new = |after: &Point| !self.jumps.contains_key(&after.step);
        let found = pairs().find(|pair| length(pair) == 1 && self.is_jump(*pair) && is_new(&pair.1));
        if let Some((before, after)) = found {
            return Some(Task::Confirm(before, after));
        }
        let long = || pairs().filter(|pair| length(pair) > 1);
        let steepest = long().max_by_key(|pair| (change(pair), length(pair)));
        let steepest = steepest.filter(|pair| change(pair) >= self.plan.jump);
        let is_coarse = |pair: &(Point, Point)| length(pair) > self.failure.step.div_ceil(PARTS);
        let (before, after) = steepest.or_else(|| long().filter(is_coarse).max_by_key(length))?;
        Some(Task::Look(before.step.midpoint(after.step)))
    }

    fn is_jump(&self, (before, after): (Point, Point)) -> bool {
        after.percent() >= before.percent() + self.plan.jump
    }

    fn look_at(&mut self, step: u64) -> InTime<()> {
        let point = self.sample(step, 0)?;
        Ok(point.map(|point| _ = self.points.insert(step, point)))
    }

    /// Sees a jump again in branches that had no part in finding it: of many small changes the largest seen
    /// is always larger than it is. What these say takes the place of what was seen first.
    fn confirm(&mut self, before: Point, after: Point) -> InTime<()> {
        for step in [before.step, after.step] {
            if self.fresh.contains(&step) {
                continue;
            }
            let Some(again) = self.sample(step, 1)? else { return Ok(None) };
            self.points.insert(step, again);
            self.fresh.insert(step);
        }
        let again = (self.points[&before.step], self.points[&after.step]);
        self.jumps.insert(after.step, self.is_jump(again));
        Ok(Some(()))
    }

    /// The jumps that were seen twice.
    fn decisive(&self) -> Vec<(Point, Point)> {
        let confirmed = self.jumps.iter().filter(|(_, is_jump)| **is_jump);
        confirmed.map(|(step, _)| (self.points[&(step - 1)], self.points[step])).collect()
    }

    /// Branches off after `step` as often as planned. Other rounds draw other chances.
    fn sample(&mut self, step: u64, round: u64) -> InTime<Point> {
        let bug = planted(&self.trace.head)?;
        let setup = Arc::new(self.trace.head.setup.clone());
        let script: Option<&Decisions<_>> =
            (self.trace.head.follows == Follows::Decisions).then_some(&self.trace.decisions);
        let margin = (self.failure.time / MARGIN_PART).max(MARGIN_MIN);
        let until = match self.plan.horizon {
            Some(steps) => Until::Step(step.saturating_add(steps)),
            None => Until::Time(self.failure.time.saturating_add(margin)),
        };
        let mut point = Point { step, failed: 0, same: 0, of: self.plan.branches };
        for branch in 0..u64::from(self.plan.branches) {
            if (self.stop)() {
                return Ok(None);
            }
            let salt = digest::mix(digest::mix(digest::of("explain"), step), round << 32 | branch);
            let redraw = Redraw { after: step, seed: digest::mix(setup.seed, salt), until };
            let manner = AnyManner { script, redraws: vec![redraw], ..AnyManner::default() };
            let run = run_any(&setup, bug, &manner, &mut |_| {});
            let report = run.map_err(|error: Unrunnable| Unreplayable::Unrunnable(error))?.report;
            self.branches += 1;
            if let Some(violation) = report.violation() {
                point.failed += 1;
                point.same += u32::from(violation.signature() == self.signature);
            }
        }
        Ok(Some(point))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::path::Path;

    use super::*;
    use crate::trace::Expected;

    fn kept(name: &str) -> Trace {
        Trace::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../traces").join(name))
            .expect("a kept trace")
    }

    fn plan() -> Plan {
        Plan { branches: 30, ..Plan::default() }
    }

    fn failure(trace: &Trace) -> Violation {
        let Expected::Violation(violation) = &trace.head.expect else { panic!("expected a violation") };
        violation.clone()
    }

    fn explained(trace: &Trace) -> Explanation {
        explain(trace, &failure(trace), &plan(), &|| false).expect("it can be replayed")
    }

    /// What is found if there is time for so many branches.
    fn after(branches: u32, trace: &Trace) -> Explanation {
        let asked = Cell::new(0);
        let stop = || asked.replace(asked.get() + 1) >= branches;
        explain(trace, &failure(trace), &plan(), &stop).expect("it can be replayed")
    }

    #[test]
    fn likelihoods_rise_to_the_failure_and_are_repeatable() {
        let trace = kept("published-recovery.trace.jsonl");
        let found = explained(&trace);
        assert_eq!(found, explained(&trace));
        assert!(found.is_complete);
        let (first, last) = (found.points.first().unwrap(), found.points.last().unwrap());
        assert_eq!((first.step, last.step, last.percent()), (0, trace.head.steps, 100));
        assert!(first.percent() < 30, "seldom from the beginning: {found:#?}");
        assert!(!found.decisive.is_empty(), "{found:#?}");
        for (before, after) in &found.decisive {
            assert_eq!(after.step, before.step + 1);
            assert!(after.percent() >= before.percent() + 20);
        }
    }

    #[test]
    fn there_may_be_no_time() {
        let trace = kept("published-recovery.trace.jsonl");
        let found = explain(&trace, &failure(&trace), &plan(), &|| true).expect("it can be replayed");
        assert!(!found.is_complete);
        assert_eq!((found.branches, found.points.len()), (0, 1));
    }

    #[test]
    fn without_a_bug_nothing_fails_from_anywhere() {
        let mut trace = kept("published-recovery.trace.jsonl");
        trace.head.bug = None;
        let found = explained(&trace);
        assert!(found.points.iter().rev().skip(1).all(|point| point.failed == 0), "{found:#?}");
    }

    #[test]
    fn with_less_time_the_curve_is_coarser_and_spans_the_whole_run() {
        let trace = kept("published-recovery.trace.jsonl");
        let whole = explained(&trace);
        // The beginning, then halves: what a point says does not depend on what else is looked at.
        for points in [1, 2, 3, 6] {
            let found = after(points * plan().branches, &trace);
            assert!(!found.is_complete, "{found:#?}");
            assert!(found.points.iter().all(|point| whole.points.contains(point)), "{found:#?}");
            let longest = found.points.windows(2).map(|pair| pair[1].step - pair[0].step).max();
            assert!(longest <= Some(trace.head.steps.div_ceil(u64::from(points.min(2)))), "{found:#?}");
            let (before, after) = found.steepest().expect("it rises somewhere");
            let decisive =
                whole.decisive.iter().any(|(_, step)| (before.step + 1..=after.step).contains(&step.step));
            assert!(decisive, "{before:?} to {after:?} of {whole:#?}");
        }
        // In the middle of a point there is no point.
        assert_eq!(after(plan().branches + 1, &trace).points.len(), 2);
    }

    #[test]
    fn whatever_is_violated_is_a_failure_and_the_same_is_counted_too() {
        let trace = kept("published-recovery.trace.jsonl");
        let same = explained(&trace);
        let other = Violation { kind: "something else".to_owned(), ..failure(&trace) };
        let other = explain(&trace, &other, &plan(), &|| false).expect("it can be replayed");
        assert_eq!(same.decisive.len(), other.decisive.len());
        for (same, other) in same.points.iter().zip(&other.points) {
            assert_eq!((same.step, same.failed), (other.step, other.failed));
            assert!(same.same <= same.failed);
            assert!(other.same == 0 || other.step == trace.head.steps, "{other:?}");
        }
        assert!(same.points.iter().rev().skip(1).any(|point| point.same > 0), "{same:#?}");
    }
}
