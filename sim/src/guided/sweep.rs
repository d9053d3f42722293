//! Guided sweeps on all cores.

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::Ordering;

use super::{Corpus, Job, Made, Planner, Recipe, make};
use crate::check::Violation;
use crate::digest;
use crate::marks::Marks;
use crate::run::{Verdict, text_of};
use crate::selftest::in_parallel;
use crate::sweep::{Plan, Progress};

/// How many runs that show the same are kept: the first.
const KEPT: usize = 5;

/// What came of a guided sweep.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Runs that were made, branches included.
    pub runs: u64,
    /// How many of them were those of fresh seeds.
    pub fresh: u64,
    /// Steps that were taken. What branches share is counted once.
    pub steps: u64,
    /// Virtual time of all runs, in nanoseconds.
    pub time: u64,
    /// The counters of all runs.
    pub marks: Marks,
    /// The violations by their signature.
    pub findings: BTreeMap<String, Finding>,
    /// Runs in which a check gave up: how many, and the first, by number.
    pub inconclusive: Trouble,
    /// Runs, or jobs, in which the harness failed.
    pub harness_failed: Trouble,
    /// What was reached, and the places that were kept.
    pub corpus: Corpus,
    /// Whether it was stopped before its end.
    pub stopped: bool,
    /// The digest of all runs in their order.
    pub digest: u64,
}

/// How many runs had some trouble, and what it was first.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    /// How many.
    pub count: u64,
    /// The number of the first, and why.
    pub first: Option<(u64, String)>,
}

/// Runs that show the same violation.
#[derive(Clone, Debug)]
pub struct Finding {
    /// How many there are in all.
    pub count: u64,
    /// The first few.
    pub first: Vec<Shown>,
}

/// A run that shows a violation.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The number of the run in the sweep, from 1.
    pub number: u64,
    /// How to make it again.
    pub recipe: Recipe,
    /// The violation.
    pub violation: Violation,
}

impl Trouble {
    fn add(&mut self, number: u64, why: &str) {
        self.count += 1;
        self.first.get_or_insert_with(|| (number, why.to_owned()));
    }
}

impl Outcome {
    fn new() -> Self {
        Self {
            runs: 0,
            fresh: 0,
            steps: 0,
            time: 0,
            marks: Marks::default(),
            findings: BTreeMap::new(),
            inconclusive: Trouble::default(),
            harness_failed: Trouble::default(),
            corpus: Corpus::default(),
            stopped: false,
            digest: 0,
        }
    }

    fn add(&mut self, job: &Job, made: &Made) {
        self.runs += 1;
        self.fresh += u64::from(matches!(job, Job::Fresh { .. }));
        self.steps += made.cost;
        self.time += made.report.time;
        self.marks.add(&made.report.marks);
        self.digest = digest::mix(self.digest, made.report.digest);
        match &made.report.verdict {
            Verdict::Held => {}
            Verdict::Violated(violation) => {
                let finding = self
                    .findings
                    .entry(violation.signature())
                    .or_insert(Finding { count: 0, first: Vec::new() });
                finding.count += 1;
                if finding.first.len() < KEPT {
                    let (number, recipe) = (self.runs, made.recipe.clone());
                    finding.first.push(Shown { number, recipe, violation: violation.clone() });
                }
            }
            Verdict::Inconclusive(why) => self.inconclusive.add(self.runs, why),
            Verdict::HarnessFailed(why) => self.harness_failed.add(self.runs, why),
        }
    }
}

/// Makes as many runs as the plan says, or as there is time for until `stop` says so. It is asked before
/// each round. The plan's shard and its rechecks do not apply: each run depends on those before.
#[must_use]
pub fn sweep(plan: &Plan, progress: &Progress, stop: &dyn Fn() -> bool) -> Outcome {
    let mut outcome = Outcome::new();
    let mut planner = Planner::new(plan.first);
    let is_enough = |runs: u64| plan.count.is_some_and(|count| runs >= count);
    while !is_enough(outcome.runs) {
        if stop() {
            outcome.stopped = true;
            break;
        }
        let jobs = planner.round();
        let made = in_parallel(jobs.len(), plan.jobs, |_| 0, |index| attempt(plan, &jobs[index], progress));
        for (job, made) in jobs.iter().zip(&made) {
            match made {
                Ok(made) => {
                    for made in made {
                        if is_enough(outcome.runs) {
                            break;
                        }
                        outcome.add(job, made);
                    }
                    planner.learn(job, made);
                }
                Err(why) => {
                    outcome.runs += 1;
                    outcome.harness_failed.add(outcome.runs, why);
                }
            }
        }
    }
    outcome.corpus = planner.corpus;
    outcome
}

/// Does a job, or says why it could not be done.
fn attempt(plan: &Plan, job: &Job, progress: &Progress) -> Result<Vec<Made>, String> {
    let setup = plan.setup(job.seed());
    let made = panic::catch_unwind(AssertUnwindSafe(|| make(&setup, job, plan.bug)));
    let made = match made {
        Ok(made) => made.map_err(|error| error.to_string())?,
        Err(payload) => return Err(format!("panicked: {}", text_of(payload.as_ref()))),
    };
    let failures = made.iter().filter(|made| made.report.verdict != Verdict::Held).count() as u64;
    progress.runs.fetch_add(made.len() as u64, Ordering::Relaxed);
    progress.steps.fetch_add(made.iter().map(|made| made.cost).sum(), Ordering::Relaxed);
    progress.failures.fetch_add(failures, Ordering::Relaxed);
    Ok(made)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::bugs;
    use crate::guided;
    use crate::replay::{Likeness, Outcome as Replay, replay};
    use crate::scenario::{Overrides, Scenario};
    use crate::sweep::Shard;

    fn plan(bug: &str, jobs: usize, count: u64) -> Plan {
        let bug = bugs::find(bug).expect("a planted bug");
        Plan {
            scenarios: vec![Scenario::find(bug.scenario).expect("built in")],
            overrides: Overrides { steps: Some(600), ..Overrides::default() },
            bug: Some(bug),
            first: 5,
            count: Some(count),
            shard: Shard::WHOLE,
            jobs: NonZeroUsize::new(jobs).expect("positive"),
            recheck_percent: 0,
        }
    }

    fn run(plan: &Plan) -> Outcome {
        sweep(plan, &Progress::default(), &|| false)
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let (one, three) = (run(&plan("M-V7", 1, 150)), run(&plan("M-V7", 3, 150)));
        assert_eq!((one.runs, one.digest), (three.runs, three.digest));
        assert_eq!(format!("{:?}", one.findings), format!("{:?}", three.findings));
        assert_eq!(one.runs, 150);
        assert!(one.fresh < 150 && one.corpus.places() > 0, "{} fresh", one.fresh);
    }

    #[test]
    fn branches_can_be_made_again_and_their_traces_replay() {
        let plan = plan("M-V7", 2, 300);
        let outcome = run(&plan);
        let shown = outcome.findings.values().flat_map(|finding| &finding.first);
        let branches: Vec<_> = shown.filter(|shown| !shown.recipe.changes.is_empty()).collect();
        assert!(!branches.is_empty(), "a branch shows the bug");
        let mut kept = 0;
        for shown in branches {
            let setup = plan.setup(shown.recipe.seed);
            let (report, trace) = guided::record(&setup, &shown.recipe, plan.bug).expect("it can be run");
            assert_eq!(report.violation(), Some(&shown.violation), "run {}", shown.number);
            let replayed = replay(&trace, false).expect("it can be replayed");
            assert_eq!(replayed.likeness, Likeness::Exact);
            kept += usize::from(replayed.outcome == Replay::Violated);
        }
        assert!(kept > 0, "decisions lead to the violation again");
    }

    #[test]
    fn a_sweep_that_is_stopped_says_so() {
        let outcome = sweep(&plan("M-V7", 1, 100), &Progress::default(), &|| true);
        assert!(outcome.stopped);
        assert_eq!(outcome.runs, 0);
    }
}
