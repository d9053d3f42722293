//! What is run next: a fresh seed, or a place that few runs came to, and on from there in other ways.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::change::{Change, What};
use super::corpus::{Corpus, Point};
use super::coverage::Coverage;
use super::{Branching, Recipe, explore};
use crate::bugs::Bug;
use crate::random::{self, Draw, Purpose};
use crate::registry::Unrunnable;
use crate::run::Report;
use crate::setup::Setup;

/// How many jobs are dealt out before what came of them is merged.
pub const JOBS_A_ROUND: usize = 16;
/// In how many ways a place is left.
const BRANCHES: usize = 6;
/// The shortest branch is of so many steps under faults, the longest of 32 times as many.
const BRANCH_STEPS_MIN: u64 = 64;
/// How many lengths there are, each twice the one before.
const DOUBLINGS: u64 = 6;

/// A piece of work.
#[derive(Clone, Debug)]
pub enum Job {
    /// The run of a seed.
    Fresh {
        /// The seed.
        seed: u64,
    },
    /// A run that is left in several ways.
    Branches {
        /// The run.
        recipe: Recipe,
        /// Where it is left, and how.
        branching: Branching,
    },
}

impl Job {
    /// The seed of the setup.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        match self {
            Self::Fresh { seed } => *seed,
            Self::Branches { recipe, .. } => recipe.seed,
        }
    }

    /// How many runs it makes.
    #[must_use]
    pub const fn runs(&self) -> usize {
        match self {
            Self::Fresh { .. } => 1,
            Self::Branches { branching, .. } => branching.branches.len(),
        }
    }
}

/// A run that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// How to make it again.
    pub recipe: Recipe,
    /// What came of it.
    pub report: Report,
    /// What it reached.
    pub coverage: Box<Coverage>,
    /// The steps that it cost. Branches share the way to where they part; the first one pays for it.
    pub cost: u64,
}

/// Does a job. `setup` is that of the job's seed.
///
/// # Errors
/// [`Unrunnable`] if the setup names an unknown workload.
pub fn make(setup: &Setup, job: &Job, bug: Option<&'static Bug>) -> Result<Vec<Made>, Unrunnable> {
    match job {
        Job::Fresh { .. } => {
            let recipe = Recipe::plain(setup);
            let explored = explore(setup, &recipe, None, bug)?;
            let made = explored.into_iter().map(|run| Made {
                recipe: recipe.clone(),
                cost: run.report.steps,
                report: run.report,
                coverage: run.coverage,
            });
            Ok(made.collect())
        }
        Job::Branches { recipe, branching } => {
            let explored = explore(setup, recipe, Some(branching), bug)?;
            let made = explored.into_iter().zip(&branching.branches).enumerate();
            let made = made.map(|(index, (run, (steps, changes)))| {
                let changes = recipe.changes.iter().chain(changes).cloned().collect();
                let shared = if index == 0 { 0 } else { branching.at };
                Made {
                    recipe: Recipe { seed: recipe.seed, steps: *steps, changes },
                    cost: run.report.steps - shared,
                    report: run.report,
                    coverage: run.coverage,
                }
            });
            Ok(made.collect())
        }
    }
}

/// Decides what is run next.
#[derive(Clone, Debug)]
pub struct Planner {
    /// What was reached so far.
    pub corpus: Corpus,
    random: ChaCha8Rng,
    next: u64,
    fresh_steps: u64,
    branch_steps: u64,
}

impl Planner {
    /// Fresh seeds are those from `first` on, and all else follows from it too.
    #[must_use]
    pub fn new(first: u64) -> Self {
        Self {
            corpus: Corpus::default(),
            random: random::stream(first, Purpose::Guidance),
            next: first,
            fresh_steps: 0,
            branch_steps: 0,
        }
    }

    /// The jobs of the next round.
    #[must_use]
    pub fn round(&mut self) -> Vec<Job> {
        // Branches get as many of a round's jobs as even the steps out.
        let behind = self.branch_steps < self.fresh_steps;
        let branching = if behind { JOBS_A_ROUND * 3 / 4 } else { JOBS_A_ROUND / 4 };
        (0..JOBS_A_ROUND).map(|index| self.job(index < branching)).collect()
    }

    fn job(&mut self, is_branching: bool) -> Job {
        if is_branching && let Some(point) = self.corpus.choose(&mut self.random) {
            return branches(&mut self.random, &point);
        }
        let seed = self.next;
        self.next = self.next.wrapping_add(1);
        Job::Fresh { seed }
    }

    /// Learns from a job that was done. Jobs must come in the order in which they were dealt out.
    pub fn learn(&mut self, job: &Job, made: &[Made]) {
        let cost: u64 = made.iter().map(|made| made.cost).sum();
        match job {
            Job::Fresh { .. } => self.fresh_steps += cost,
            Job::Branches { .. } => self.branch_steps += cost,
        }
        for made in made {
            self.corpus.add(made, &mut self.random);
        }
    }
}

fn branches(random: &mut ChaCha8Rng, point: &Point) -> Job {
    let at = point.step;
    let Recipe { seed, steps, changes } = &point.recipe;
    let changes = changes.iter().filter(|change| change.step <= at).cloned().collect();
    let branches = (0..BRANCHES).map(|_| {
        let length = BRANCH_STEPS_MIN << random.below(DOUBLINGS);
        (at + length, mutation(random, point, length))
    });
    let branching = Branching { at, branches: branches.collect() };
    Job::Branches { recipe: Recipe { seed: *seed, steps: (*steps).max(at), changes }, branching }
}

/// What is decided otherwise from a place on: everything, or one thing.
fn mutation(random: &mut ChaCha8Rng, point: &Point, length: u64) -> Vec<Change> {
    let at = point.step;
    let later = |random: &mut ChaCha8Rng| at + random.below(length / 2);
    let redraw = What::Redraw(random.random());
    match random.below(10) {
        0..5 => vec![Change { step: at, what: redraw }],
        5..7 => {
            let strike = Change { step: later(random), what: What::Strike(random.random()) };
            vec![Change { step: at, what: redraw }, strike]
        }
        7 => vec![Change { step: later(random), what: What::Strike(random.random()) }],
        8 => vec![Change { step: later(random), what: What::Skip }],
        _ => moved(random, point, length)
            .unwrap_or_else(|| vec![Change { step: at, what: What::Strike(random.random()) }]),
    }
}

/// One of the faults that follow happens at another time.
fn moved(random: &mut ChaCha8Rng, point: &Point, length: u64) -> Option<Vec<Change>> {
    let at = point.step;
    let following: Vec<_> =
        point.actions.iter().filter(|(step, _)| (at + 1..at + length).contains(step)).collect();
    if following.is_empty() {
        return None;
    }
    let (step, action) = following[random.below(following.len() as u64) as usize];
    let mut changes = vec![
        Change { step: step - 1, what: What::Skip },
        Change { step: at + random.below(length), what: What::Do(action.clone()) },
    ];
    changes.sort_by_key(|change| change.step);
    Some(changes)
}
