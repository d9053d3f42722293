//! Whether a run still fails in the same way.

use std::sync::Arc;

use serde_json::Value;

use super::case::Case;
use super::{Limits, Progress};
use crate::bugs::Bug;
use crate::check::Violation;
use crate::decisions::Decisions;
use crate::registry::{AnyManner, AnyRecorded, run_any};
use crate::run::Report;
use crate::setup::Setup;
use crate::timeline::{Delays, Timeline};

/// What a candidate costs beside its steps, in steps: the world has to be made.
const BEGINNING: u64 = 200;

/// Makes runs and compares what they show with what is looked for.
pub(super) struct Oracle<'a> {
    bug: Option<&'static Bug>,
    signature: String,
    limits: &'a Limits<'a>,
    /// How many runs were made.
    pub(super) candidates: u64,
    /// What they cost, in steps.
    pub(super) spent: u64,
    cut_off: bool,
    progress: &'a mut dyn FnMut(Progress),
}

/// A run that fails in the same way.
#[derive(Debug)]
pub(super) struct Failing {
    pub(super) report: Report,
    pub(super) timeline: Timeline<Value>,
    pub(super) decisions: Decisions<Value>,
}

impl Failing {
    pub(super) fn violation(&self) -> &Violation {
        self.report.violation().expect("it fails")
    }
}

impl<'a> Oracle<'a> {
    pub(super) fn new(
        bug: Option<&'static Bug>,
        signature: String,
        limits: &'a Limits<'a>,
        progress: &'a mut dyn FnMut(Progress),
    ) -> Self {
        Self { bug, signature, limits, candidates: 0, spent: 0, cut_off: false, progress }
    }

    /// The bug that is planted.
    pub(super) const fn bug(&self) -> Option<&'static Bug> {
        self.bug
    }

    /// Whether this is what is looked for.
    pub(super) fn is_same(&self, violation: &Violation) -> bool {
        violation.signature() == self.signature
    }

    /// Whether there is no time left: from then on nothing fails any more.
    pub(super) const fn is_cut_off(&self) -> bool {
        self.cut_off
    }

    /// Makes the run of a case, for `limit` steps at most.
    pub(super) fn run(&mut self, case: &Case, limit: u64, delays: Delays) -> Option<Failing> {
        let manner = AnyManner {
            timed_script: Some(&case.timeline),
            timeline: Some(delays),
            record: true,
            limit: Some(limit),
            ..AnyManner::default()
        };
        // Where a script does not end the faults, the steps do: not before the limit.
        let steps = if case.timeline.healed.is_some() { case.setup.steps } else { u64::MAX };
        self.make(Setup { steps, ..case.setup.clone() }, &manner)
    }

    /// Makes the run that decisions give which name what they are about.
    pub(super) fn run_named(
        &mut self,
        setup: &Setup,
        decisions: &Decisions<Value>,
        limit: u64,
    ) -> Option<Failing> {
        let manner = AnyManner {
            script: Some(decisions),
            timeline: Some(Delays::Unusual),
            record: true,
            limit: Some(limit),
            ..AnyManner::default()
        };
        self.make(setup.clone(), &manner)
    }

    /// Makes a run in which chance decides.
    pub(super) fn run_by_chance(&mut self, setup: &Setup, limit: u64) -> Option<Report> {
        let manner = AnyManner { limit: Some(limit), ..AnyManner::default() };
        self.fails(setup.clone(), &manner).map(|recorded| recorded.report)
    }

    fn make(&mut self, setup: Setup, manner: &AnyManner<'_>) -> Option<Failing> {
        let AnyRecorded { report, decisions, timeline, .. } = self.fails(setup, manner)?;
        let (timeline, decisions) = (timeline.unwrap_or_default(), decisions.unwrap_or_default());
        (self.progress)(Progress { decisions: decisions.len(), candidates: self.candidates });
        Some(Failing { report, timeline, decisions })
    }

    fn fails(&mut self, setup: Setup, manner: &AnyManner<'_>) -> Option<AnyRecorded> {
        self.cut_off |= self.spent >= self.limits.steps || (self.limits.stop)();
        if self.cut_off {
            return None;
        }
        self.candidates += 1;
        let recorded = run_any(&Arc::new(setup), self.bug, manner, &mut |_| {}).ok()?;
        self.spent += recorded.report.steps + BEGINNING;
        let is_same = self.is_same(recorded.report.violation()?);
        is_same.then_some(recorded)
    }
}
