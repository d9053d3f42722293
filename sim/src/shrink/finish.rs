//! From what was reduced to a trace: decisions that name what they are about, none of which can be taken
//! out.

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use super::ddmin;
use super::oracle::Oracle;
use crate::decisions::{Decisions, Made};
use crate::registry::{AnyManner, run_any};
use crate::replay::Replayed;
use crate::setup::Setup;
use crate::trace::{Follows, Head, Trace};

/// A run to be made, as a trace says it.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) setup: Setup,
    pub(super) decisions: Decisions<Value>,
    /// At which step it fails.
    pub(super) steps: u64,
}

impl Named {
    /// What the replay of a trace showed.
    pub(super) fn of(trace: &Trace, replayed: &Replayed) -> Self {
        let (setup, steps) = (trace.head.setup.clone(), replayed.report.steps);
        Self { setup, decisions: replayed.decisions.clone(), steps }
    }

    /// What a run was that has been recorded just now.
    pub(super) fn recorded(trace: &Trace) -> Self {
        Self { setup: trace.head.setup.clone(), decisions: trace.decisions.clone(), steps: trace.head.steps }
    }

    /// For how many steps a candidate is run.
    fn limit(&self) -> u64 {
        if self.decisions.healed.is_some() { self.steps * 3 + 5_000 } else { self.setup.steps }
    }

    /// Leaves room for the run to fail: with a message more or less it may take more steps.
    fn with_room(mut self) -> Self {
        if self.decisions.healed.is_none() {
            self.setup.steps = (self.steps * 2).next_multiple_of(100);
        }
        self
    }

    fn fails(&self, oracle: &mut Oracle<'_>) -> Option<Self> {
        let failing = oracle.run_named(&self.setup, &self.decisions, self.limit())?;
        let steps = failing.report.steps;
        Some(Self { steps, ..self.clone() })
    }

    fn without(&self, range: Range<usize>) -> Self {
        let mut left = self.clone();
        let Decisions { actions, requests, fates, healed, .. } = &mut left.decisions;
        let mut index = 0..;
        let mut is_in = || !index.next().is_some_and(|index| range.contains(&index));
        actions.retain(|_| is_in());
        let before = requests.len();
        requests.retain(|_| is_in());
        if requests.len() < before {
            number_anew(requests);
        }
        fates.retain(|_| is_in());
        *healed = healed.take().filter(|_| is_in());
        left
    }
}

/// A client counts its requests from one in each life: those behind one that was taken out move up.
fn number_anew(requests: &mut [Made<Value>]) {
    for index in 0..requests.len() {
        let (before, at) = requests.split_at_mut(index);
        let same = |made: &&Made<Value>| (made.slot, made.life) == (at[0].slot, at[0].life);
        at[0].number = before.iter().filter(same).count() as u64 + 1;
    }
}

/// Takes single decisions out until none can be taken out, and records what is left. Says whether it came
/// to that.
pub(super) fn finish(trace: &Trace, start: Named, oracle: &mut Oracle<'_>) -> (Trace, bool) {
    let mut named = start.with_room();
    if let Some(failing) = named.fails(oracle) {
        named = failing;
        ddmin::minimize(
            &mut named,
            |named| named.decisions.len(),
            |named, range| {
                if oracle.is_cut_off() {
                    return false;
                }
                let failing = named.without(range).fails(oracle);
                let is_kept = failing.is_some();
                *named = failing.unwrap_or_else(|| named.clone());
                is_kept
            },
        );
    }
    let is_minimal = !oracle.is_cut_off();
    (record(trace, &named.with_room(), oracle).unwrap_or_else(|| trace.clone()), is_minimal)
}

/// The trace of the run, if it fails.
fn record(trace: &Trace, named: &Named, oracle: &Oracle<'_>) -> Option<Trace> {
    let manner = AnyManner { script: Some(&named.decisions), record: true, ..AnyManner::default() };
    let ran = run_any(&Arc::new(named.setup.clone()), oracle.bug(), &manner, &mut |_| {}).ok()?;
    if !oracle.is_same(ran.report.violation()?) {
        return None;
    }
    let head = Head::new(&ran.report, oracle.bug().map(|bug| bug.name), Follows::Decisions);
    let head = Head { note: trace.head.note.clone(), ..head };
    Some(Trace { head, decisions: ran.decisions? })
}
