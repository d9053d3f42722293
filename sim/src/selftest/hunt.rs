//! One hunt: seed after seed, until the bug shows or the budget is used up.

use std::sync::Arc;
use std::time::Duration;

use cpu_time::ThreadTime;

use super::Faults;
use crate::bugs::Bug;
use crate::check::{Properties, Violation};
use crate::registry::{AnyManner, run_any};
use crate::run::{Report, Verdict};
use crate::scenario::{Overrides, Scenario};

/// What is fixed of a hunt.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The first seed.
    pub first: u64,
    /// How many seeds at most.
    pub seeds: u64,
    /// The properties whose violations are not reported.
    pub off: Properties,
}

impl Terms {
    /// The budget of the bug, from `first` on, with all checks on.
    #[must_use]
    pub const fn of(bug: &Bug, first: u64) -> Self {
        Self { first, seeds: bug.seeds, off: Properties::NONE }
    }
}

/// What came of hunting one bug from one start.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// The bug, or control.
    pub bug: &'static Bug,
    /// The first seed.
    pub first: u64,
    /// Seeds run, the last one included.
    pub seeds: u64,
    /// Steps taken in all of them.
    pub steps: u64,
    /// What was found, if anything was.
    pub found: Option<Find>,
    /// What went wrong with the hunt itself.
    pub failure: Option<String>,
    /// The CPU time of the thread that hunted. It varies.
    pub cpu: Duration,
}

/// A run that showed the bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Find {
    /// The seed.
    pub seed: u64,
    /// The steps of the run.
    pub steps: u64,
    /// What was seen.
    pub violation: Violation,
    /// The faults that had struck by then.
    pub faults: Faults,
}

/// How a hunt ended, the better first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// A check that should find the bug did.
    Found,
    /// Nothing complained, and nothing should.
    Silent,
    /// Only a check from which it was not expected complained.
    FoundByAnother,
    /// Nothing complained, although the bug is there.
    Unfound,
    /// A check complained of something that is safe.
    FalseAlarm,
    /// A run could not be made or judged.
    Failed,
}

impl Ending {
    /// Whether it is as it should be.
    #[must_use]
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Found | Self::Silent)
    }
}

impl Hunt {
    /// How it ended.
    #[must_use]
    pub fn ending(&self) -> Ending {
        match (&self.found, &self.failure) {
            (_, Some(_)) => Ending::Failed,
            (None, _) if self.bug.is_control() => Ending::Silent,
            (Some(_), _) if self.bug.is_control() => Ending::FalseAlarm,
            (None, _) => Ending::Unfound,
            (Some(find), _) if self.bug.caught_by.contains(&find.violation.property) => Ending::Found,
            (Some(_), _) => Ending::FoundByAnother,
        }
    }
}

/// Hunts a bug in its scenario.
#[must_use]
pub fn hunt(bug: &'static Bug, terms: &Terms) -> Hunt {
    let started = ThreadTime::now();
    let mut hunt =
        Hunt { bug, first: terms.first, seeds: 0, steps: 0, found: None, failure: None, cpu: Duration::ZERO };
    match Scenario::find(bug.scenario) {
        Ok(scenario) => seed_after_seed(&mut hunt, &scenario, terms),
        Err(error) => hunt.failure = Some(error.to_string()),
    }
    hunt.cpu = started.elapsed();
    hunt
}

fn seed_after_seed(hunt: &mut Hunt, scenario: &Scenario, terms: &Terms) {
    let manner = AnyManner { off: terms.off, ..AnyManner::default() };
    for seed in terms.first..terms.first.saturating_add(terms.seeds) {
        let setup = Arc::new(scenario.resolve(seed, &Overrides::default()));
        hunt.seeds += 1;
        match run_any(&setup, Some(hunt.bug), &manner, &mut |_| {}) {
            Err(error) => hunt.failure = Some(error.to_string()),
            Ok(recorded) => hunt.take(seed, recorded.report),
        }
        if hunt.found.is_some() || hunt.failure.is_some() {
            break;
        }
    }
}

impl Hunt {
    fn take(&mut self, seed: u64, report: Report) {
        self.steps += report.steps;
        match report.verdict {
            Verdict::Violated(violation) => {
                let faults = Faults::struck(&report.marks);
                self.found = Some(Find { seed, steps: report.steps, violation, faults });
            }
            Verdict::HarnessFailed(failure) => self.failure = Some(failure),
            Verdict::Held | Verdict::Inconclusive(_) => {}
        }
    }
}
