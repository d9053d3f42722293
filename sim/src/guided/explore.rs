//! Makes runs and their branches, and sees what they reach.

use std::sync::Arc;

use super::Recipe;
use super::change::Change;
use super::coverage::Coverage;
use crate::bugs::Bug;
use crate::registry::{self, Unrunnable};
use crate::run::Report;
use crate::setup::Setup;

/// A run that is left at some step in several ways.
#[derive(Clone, Debug)]
pub struct Branching {
    /// At which step.
    pub at: u64,
    /// How each branch goes on: its steps before the faults stop, counted from the beginning of the run,
    /// and its changes from `at` on.
    pub branches: Vec<(u64, Vec<Change>)>,
}

/// A run, or a branch of one, and what it reached.
#[derive(Clone, Debug)]
pub struct Explored {
    /// What came of it.
    pub report: Report,
    /// What it reached, in a branch only what is its own.
    pub coverage: Box<Coverage>,
}

/// Makes the run of a recipe, to its end or in branches. A run that is over before it branches counts as
/// its only branch.
///
/// # Errors
/// [`Unrunnable`] if the setup names an unknown workload.
pub fn explore(
    setup: &Setup,
    recipe: &Recipe,
    branching: Option<&Branching>,
    bug: Option<&'static Bug>,
) -> Result<Vec<Explored>, Unrunnable> {
    let setup: Arc<Setup> = recipe.setup(setup);
    registry::explore_any(&setup, bug, &recipe.changes, branching)
}
