//! One guided hunt of a planted bug.

use std::time::Duration;

use cpu_time::ThreadTime;

use super::{Made, Planner, make};
use crate::bugs::Bug;
use crate::run::Verdict;
use crate::scenario::{Overrides, Scenario};
use crate::selftest::{Faults, Find, Hunt};

/// Hunts a bug in its scenario until it is found, with fresh seeds from `first` on, within `steps` steps.
/// The hunt's seeds are runs here, branches included.
#[must_use]
pub fn hunt(bug: &'static Bug, first: u64, steps: u64) -> Hunt {
    let started = ThreadTime::now();
    let mut hunt = Hunt { bug, first, seeds: 0, steps: 0, found: None, failure: None, cpu: Duration::ZERO };
    match Scenario::find(bug.scenario) {
        Ok(scenario) => round_after_round(&mut hunt, &scenario, steps),
        Err(error) => hunt.failure = Some(error.to_string()),
    }
    hunt.cpu = started.elapsed();
    hunt
}

fn round_after_round(hunt: &mut Hunt, scenario: &Scenario, steps: u64) {
    let mut planner = Planner::new(hunt.first);
    while hunt.steps < steps {
        let jobs = planner.round();
        let mut done = Vec::new();
        for job in jobs {
            let setup = scenario.resolve(job.seed(), &Overrides::default());
            let made = match make(&setup, &job, Some(hunt.bug)) {
                Ok(made) => made,
                Err(error) => {
                    hunt.failure = Some(error.to_string());
                    return;
                }
            };
            for made in &made {
                take(hunt, made);
                if hunt.found.is_some() || hunt.failure.is_some() {
                    return;
                }
            }
            done.push((job, made));
        }
        done.iter().for_each(|(job, made)| planner.learn(job, made));
    }
}

fn take(hunt: &mut Hunt, made: &Made) {
    hunt.seeds += 1;
    hunt.steps += made.cost;
    match &made.report.verdict {
        Verdict::Violated(violation) => {
            let faults = Faults::struck(&made.report.marks);
            let (seed, steps) = (made.recipe.seed, made.report.steps);
            hunt.found = Some(Find { seed, steps, violation: violation.clone(), faults });
        }
        Verdict::HarnessFailed(failure) => hunt.failure = Some(failure.clone()),
        Verdict::Held | Verdict::Inconclusive(_) => {}
    }
}
