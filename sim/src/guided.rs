//! Guided sweeps: runs that reach new territory are gone on from in other ways.
//!
//! A sweep that draws every run from its seed alone starts from nothing each time. A guided one keeps what
//! is rare: whenever a run reaches something that was not seen before (see [`coverage`]), the place is
//! kept, and later runs go there again and on from there with other decisions: faults, requests and fates
//! drawn anew, a fault more, one less, one moved. Half of the steps go to fresh seeds, so that no kind of
//! run is left out for what happened to be found first.
//!
//! Jobs are dealt out in rounds of a fixed size, and what came of a round is merged in the order of its
//! jobs; so the result does not depend on the number of threads.

pub mod change;
mod corpus;
pub mod coverage;
mod explore;
mod hunt;
mod mutate;
pub mod sweep;

use std::sync::Arc;

use crate::bugs::Bug;
use crate::registry::{self, AnyManner, Unrunnable};
use crate::replay;
use crate::run::Report;
use crate::setup::Setup;
use crate::trace::{Follows, Head, Trace};
use change::Change;

pub use corpus::Corpus;
pub use explore::{Branching, Explored, explore};
pub use hunt::hunt;
pub use mutate::{JOBS_A_ROUND, Job, Made, Planner, make};

/// All that it takes to make a guided run again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The seed.
    pub seed: u64,
    /// How many steps there are before the faults stop.
    pub steps: u64,
    /// What is decided otherwise than the seed says, in order.
    pub changes: Arc<[Change]>,
}

impl Recipe {
    /// The run of a seed as it is.
    #[must_use]
    pub fn plain(setup: &Setup) -> Self {
        Self { seed: setup.seed, steps: setup.steps, changes: Arc::from([]) }
    }

    /// The setup of the run, from that of its seed.
    #[must_use]
    pub fn setup(&self, setup: &Setup) -> Arc<Setup> {
        Arc::new(Setup { steps: self.steps, ..setup.clone() })
    }
}

/// Makes the run of a recipe again and keeps it as a trace by decisions, which expects what happens when
/// they are followed.
///
/// # Errors
/// [`Unrunnable`] if the setup names an unknown workload.
pub fn record(
    setup: &Setup,
    recipe: &Recipe,
    bug: Option<&'static Bug>,
) -> Result<(Report, Trace), Unrunnable> {
    let manner = AnyManner { record: true, changes: &recipe.changes, ..AnyManner::default() };
    let recorded = registry::run_any(&recipe.setup(setup), bug, &manner, &mut |_| {})?;
    let head = Head::new(&recorded.report, bug.map(|bug| bug.name), Follows::Decisions);
    let decisions = recorded.decisions.unwrap_or_default();
    let trace = replay::rerecord(&Trace { head, decisions }).map_err(|error| match error {
        replay::Unreplayable::Unrunnable(error) => error,
        replay::Unreplayable::UnknownBug(_) => unreachable!("its name was written a moment ago"),
    })?;
    Ok((recorded.report, trace))
}
