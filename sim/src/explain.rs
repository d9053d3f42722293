//! What decided that a run failed: how likely the failure is from each point on.
//!
//! The run is branched: it is made again up to a point, and from there on chance decides anew, many times.
//! The share of branches that fail is the likelihood of the failure once that point is reached. Where it
//! jumps, something decisive has happened.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::decisions::Decisions;
use crate::digest;
use crate::registry::{AnyManner, Unrunnable, run_any};
use crate::replay::{Unreplayable, planted};
use crate::run::{Redraw, Verdict};
use crate::trace::{Follows, Trace};

/// In how many parts the run is divided at first.
const PARTS: u64 = 16;
/// How many steps of chance a branch has at least.
const HORIZON_MIN: u64 = 100;

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Branches at each point.
    pub branches: u32,
    /// Steps of chance in each branch; unless given, as many as were left in the run, at least a hundred.
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
    /// How many branches failed.
    pub failed: u32,
    /// Of how many.
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

/// Explains the failure that `trace` shows. Asks `stop` now and then whether it is time to end.
///
/// # Errors
/// [`Unreplayable`] if the trace names what there is not.
pub fn explain(trace: &Trace, plan: &Plan, stop: &dyn Fn() -> bool) -> Result<Explanation, Unreplayable> {
    let mut search = Search { trace, plan, stop, points: BTreeMap::new(), branches: 0, is_complete: true };
    let last = trace.head.steps;
    let end = Point { step: last, failed: plan.branches, of: plan.branches };
    search.points.insert(last, end);
    for part in 0..PARTS.min(last) {
        search.look_at(last * part / PARTS.min(last))?;
    }
    search.refine()?;
    let decisive = search.decisive()?;
    let Search { points, branches, is_complete, .. } = search;
    Ok(Explanation { points: points.into_values().collect(), decisive, branches, is_complete })
}

struct Search<'a> {
    trace: &'a Trace,
    plan: &'a Plan,
    stop: &'a dyn Fn() -> bool,
    points: BTreeMap<u64, Point>,
    branches: u64,
    is_complete: bool,
}

impl Search<'_> {
    fn look_at(&mut self, step: u64) -> Result<(), Unreplayable> {
        if (self.stop)() {
            self.is_complete = false;
        } else if !self.points.contains_key(&step) {
            let point = self.sample(step, 0)?;
            self.points.insert(step, point);
        }
        Ok(())
    }

    /// Halves the steps between two points while there is a jump in between, the largest first.
    fn refine(&mut self) -> Result<(), Unreplayable> {
        while self.is_complete {
            let points: Vec<Point> = self.points.values().copied().collect();
            let jumps = points.windows(2).filter_map(|pair| {
                let &[before, after] = pair else { return None };
                let change = after.percent().abs_diff(before.percent());
                (change >= self.plan.jump && after.step > before.step + 1).then_some((change, before, after))
            });
            let Some((_, before, after)) = jumps.max_by_key(|&(change, ..)| change) else { break };
            self.look_at(before.step.midpoint(after.step))?;
        }
        Ok(())
    }

    /// The steps at which the likelihood rose, seen again in branches that had no part in finding them: of
    /// many small changes the largest seen is always larger than it is.
    fn decisive(&mut self) -> Result<Vec<(Point, Point)>, Unreplayable> {
        let points: Vec<Point> = self.points.values().copied().collect();
        let mut found = Vec::new();
        for pair in points.windows(2) {
            let (mut before, mut after) = (pair[0], pair[1]);
            if after.step != before.step + 1 || after.percent() < before.percent() + self.plan.jump {
                continue;
            }
            if !(self.stop)() {
                before = self.sample(before.step, 1)?;
                after = if after.step == self.trace.head.steps { after } else { self.sample(after.step, 1)? };
            }
            if after.percent() >= before.percent() + self.plan.jump {
                found.push((before, after));
            }
        }
        Ok(found)
    }

    /// Branches off after `step` as often as planned. Other rounds draw other chances.
    fn sample(&mut self, step: u64, round: u64) -> Result<Point, Unreplayable> {
        let bug = planted(&self.trace.head)?;
        let setup = Arc::new(self.trace.head.setup.clone());
        let script: Option<&Decisions<_>> =
            (self.trace.head.follows == Follows::Decisions).then_some(&self.trace.decisions);
        let horizon = self.plan.horizon.unwrap_or((self.trace.head.steps - step).max(HORIZON_MIN));
        let mut failed = 0;
        for branch in 0..u64::from(self.plan.branches) {
            let salt = digest::mix(digest::mix(digest::of("explain"), step), round << 32 | branch);
            let redraw = Redraw { after: step, seed: digest::mix(setup.seed, salt), steps: step + horizon };
            let manner = AnyManner { script, redraws: vec![redraw], ..AnyManner::default() };
            let run = run_any(&setup, bug, &manner, &mut |_| {});
            let report = run.map_err(|error: Unrunnable| Unreplayable::Unrunnable(error))?.report;
            failed += u32::from(matches!(report.verdict, Verdict::Violated(_)));
        }
        self.branches += u64::from(self.plan.branches);
        Ok(Point { step, failed, of: self.plan.branches })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn kept(name: &str) -> Trace {
        Trace::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../traces").join(name))
            .expect("a kept trace")
    }

    fn plan() -> Plan {
        Plan { branches: 30, ..Plan::default() }
    }

    #[test]
    fn likelihoods_rise_to_the_failure_and_are_repeatable() {
        let trace = kept("published-recovery.trace.jsonl");
        let found = explain(&trace, &plan(), &|| false).expect("it can be replayed");
        assert_eq!(found, explain(&trace, &plan(), &|| false).unwrap());
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
        let found = explain(&trace, &plan(), &|| true).expect("it can be replayed");
        assert!(!found.is_complete);
        assert_eq!((found.branches, found.points.len()), (0, 1));
    }

    #[test]
    fn without_a_bug_nothing_fails_from_anywhere() {
        let mut trace = kept("published-recovery.trace.jsonl");
        trace.head.bug = None;
        let found = explain(&trace, &plan(), &|| false).expect("it can be replayed");
        assert!(found.points.iter().rev().skip(1).all(|point| point.failed == 0), "{found:#?}");
    }
}
