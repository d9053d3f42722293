//! Where to begin: a long run may be one unlucky one among many that fail in the same way, and much sooner.
//!
//! Taking decisions out of a run is slow where each is a link of one long chain of coincidences: whatever is
//! taken out makes another run of what comes behind. Where the failure is not rare, the same setup with other
//! seeds shows it after far fewer steps, and what is left to take out is little.

use super::oracle::Oracle;
use crate::registry;
use crate::run::Report;
use crate::trace::{Follows, Trace};

/// Traces with fewer decisions become small by themselves.
const MANY: usize = 1_000;
/// How many steps all tries together may take. The price is the same whether anything is found or not.
const SPENT_AT_MOST: u64 = 2_000_000;
/// A run that fails so soon is short enough.
const SOON: u64 = 1_000;

/// A trace of the same setup and another seed that fails in the same way, at most half as long.
pub(super) fn sooner(trace: &Trace, oracle: &mut Oracle<'_>) -> Option<Trace> {
    let fails_by_chance = trace.head.follows == Follows::Seed && trace.decisions.healed.is_none();
    if !fails_by_chance || trace.decisions.len() < MANY {
        return None;
    }
    let until = oracle.spent + SPENT_AT_MOST;
    let mut best: Option<Report> = None;
    let mut setup = trace.head.setup.clone();
    while oracle.spent < until && !oracle.is_cut_off() {
        let steps = best.as_ref().map_or(trace.head.steps, |report| report.steps);
        if steps <= SOON {
            break;
        }
        setup.seed = setup.seed.wrapping_add(1);
        best = oracle.run_by_chance(&setup, steps / 2).or(best);
    }
    registry::record(&best?.setup, oracle.bug()).ok().map(|(_, trace)| trace)
}
