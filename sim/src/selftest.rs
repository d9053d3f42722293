//! The self test: every planted bug must be found, every control must stay silent.

use std::sync::Arc;

use crate::bugs::Bug;
use crate::check::Violation;
use crate::registry;
use crate::run::Verdict;
use crate::scenario::{Overrides, Scenario};

/// What came of hunting one bug.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// The bug, or control.
    pub bug: &'static Bug,
    /// Seeds run, the last one included.
    pub seeds: u64,
    /// Steps taken in all of them.
    pub steps: u64,
    /// The seed that showed it, and what was seen; `None` if nothing was.
    pub found: Option<(u64, Violation)>,
    /// What went wrong with the hunt itself.
    pub failure: Option<String>,
}

/// How a hunt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A check that should find the bug did.
    Found,
    /// Only a check from which it was not expected complained.
    FoundByAnother,
    /// Nothing complained, although the bug is there.
    Unfound,
    /// Nothing complained, and nothing should.
    Silent,
    /// A check complained of something that is safe.
    FalseAlarm,
    /// A run could not be made or judged.
    Failed,
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
            (Some((_, violation)), _) if self.bug.caught_by.contains(&violation.property) => Ending::Found,
            (Some(_), _) => Ending::FoundByAnother,
        }
    }

    /// Whether it ended as it should.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(self.ending(), Ending::Found | Ending::Silent)
    }
}

/// Hunts a bug in its scenario from `first` on, until it is found or its budget of seeds is used up.
#[must_use]
pub fn hunt(bug: &'static Bug, first: u64) -> Hunt {
    let mut hunt = Hunt { bug, seeds: 0, steps: 0, found: None, failure: None };
    let scenario = match Scenario::find(bug.scenario) {
        Ok(scenario) => scenario,
        Err(error) => {
            hunt.failure = Some(error.to_string());
            return hunt;
        }
    };
    for seed in first..first.saturating_add(bug.seeds) {
        let setup = Arc::new(scenario.resolve(seed, &Overrides::default()));
        hunt.seeds += 1;
        match registry::run_plain(&setup, Some(bug)) {
            Err(error) => hunt.failure = Some(error.to_string()),
            Ok(report) => {
                hunt.steps += report.steps;
                match report.verdict {
                    Verdict::Violated(violation) => hunt.found = Some((seed, violation)),
                    Verdict::HarnessFailed(failure) => hunt.failure = Some(failure),
                    Verdict::Held | Verdict::Inconclusive(_) => {}
                }
            }
        }
        if hunt.found.is_some() || hunt.failure.is_some() {
            break;
        }
    }
    hunt
}
