//! Replaying traces: exactly while the code is the same, by decisions when it has changed.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::bugs::{self, Bug};
use crate::chronicle::Chronicle;
use crate::decisions::Decisions;
use crate::history::record::Export;
use crate::registry::{AnyManner, AnyRecorded, Unrunnable, run_any};
use crate::run::{Report, Verdict};
use crate::trace::{Expected, Follows, Head, Trace};

/// What a replay showed.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The run.
    pub report: Report,
    /// How it compares with the recorded one.
    pub likeness: Likeness,
    /// Whether it shows what the trace says.
    pub outcome: Outcome,
    /// Everything that happened, if it was to be kept.
    pub chronicle: Option<Box<Chronicle>>,
    /// The decisions, as they were taken this time.
    pub decisions: Decisions<Value>,
}

/// How a replay compares with the recorded run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// Every step is the same.
    Exact,
    /// The code has changed: this step is the first that differs, and the run was made again by its
    /// decisions, of which so many were met.
    ByDecisions {
        /// The first step that differs.
        first_difference: u64,
        /// How many decisions were met.
        matched: Matched,
    },
}

/// How many of a trace's decisions were met by a replay, and how many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Matched {
    /// Fault actions.
    pub actions: (usize, usize),
    /// Requests of clients.
    pub requests: (usize, usize),
    /// Fates of messages.
    pub fates: (usize, usize),
}

/// Whether a replay shows what its trace says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The expected violation occurred.
    Violated,
    /// A clean run was expected, and was clean.
    Clean,
    /// Something else happened.
    NotReproduced,
}

/// Why a trace cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreplayable {
    /// The trace names a planted bug that there is not.
    UnknownBug(String),
    /// The run cannot be made.
    Unrunnable(Unrunnable),
}

impl fmt::Display for Unreplayable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownBug(name) => {
                write!(
                    formatter,
                    "the trace names the planted bug `{name}`: expected one that `sim selftest --list` shows"
                )
            }
            Self::Unrunnable(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for Unreplayable {}

impl fmt::Display for Matched {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { actions, requests, fates } = self;
        write!(
            formatter,
            "{} of {} fault actions, {} of {} requests, {} of {} message fates",
            actions.0, actions.1, requests.0, requests.1, fates.0, fates.1
        )
    }
}

/// Replays a trace; `chronicle` keeps everything that happens.
///
/// # Errors
/// [`Unreplayable`] if the trace names what there is not.
pub fn replay(trace: &Trace, chronicle: bool) -> Result<Replayed, Unreplayable> {
    let bug = planted(&trace.head)?;
    let exact = exactly(trace, bug, chronicle)?;
    let Some(first_difference) = exact.first_difference else {
        return Ok(replayed(trace, exact, Likeness::Exact));
    };
    let again = by_decisions(trace, bug, chronicle)?;
    let matched = matched(&trace.decisions, again.decisions.as_ref());
    Ok(replayed(trace, again, Likeness::ByDecisions { first_difference, matched }))
}

/// Makes a trace of the run that the decisions of `trace` lead to on the code as it is.
///
/// # Errors
/// [`Unreplayable`] if the trace names what there is not.
pub fn rerecord(trace: &Trace) -> Result<Trace, Unreplayable> {
    let bug = planted(&trace.head)?;
    let run = by_decisions(trace, bug, false)?;
    let head = Head {
        note: trace.head.note.clone(),
        ..Head::new(&run.report, bug.map(|bug| bug.name), Follows::Decisions)
    };
    // The decisions stay those of the trace: what was not met this time may be met by other code.
    let hashes = run.decisions.map(|decisions| decisions.hashes).unwrap_or_default();
    Ok(Trace { head, decisions: Decisions { hashes, ..trace.decisions.clone() } })
}

/// The clients' history of a replayed trace, made again as it was replayed; `None` if its workload fits no
/// model of `sim check`.
///
/// # Errors
/// [`Unreplayable`] if the trace names what there is not.
pub fn history(trace: &Trace, likeness: Likeness) -> Result<Option<Export>, Unreplayable> {
    let is_exact = likeness == Likeness::Exact && trace.head.follows != Follows::Decisions;
    let script = (!is_exact).then_some(&trace.decisions);
    let manner = AnyManner { script, history: true, ..AnyManner::default() };
    let run = run_any(&Arc::new(trace.head.setup.clone()), planted(&trace.head)?, &manner, &mut |_| {});
    run.map(|run| run.history).map_err(Unreplayable::Unrunnable)
}

/// The planted bug of a trace.
pub(crate) fn planted(head: &Head) -> Result<Option<&'static Bug>, Unreplayable> {
    let find = |name: &String| bugs::find(name).ok_or_else(|| Unreplayable::UnknownBug(name.clone()));
    head.bug.as_ref().map(find).transpose()
}

fn exactly(trace: &Trace, bug: Option<&'static Bug>, chronicle: bool) -> Result<AnyRecorded, Unreplayable> {
    let script = (trace.head.follows == Follows::Decisions).then_some(&trace.decisions);
    let expected = Some(Arc::from(trace.decisions.hashes.as_slice()));
    let manner = AnyManner { script, record: true, chronicle, expected, ..AnyManner::default() };
    run_any(&Arc::new(trace.head.setup.clone()), bug, &manner, &mut |_| {}).map_err(Unreplayable::Unrunnable)
}

fn by_decisions(
    trace: &Trace,
    bug: Option<&'static Bug>,
    chronicle: bool,
) -> Result<AnyRecorded, Unreplayable> {
    // A story says itself what happens, in words that mean the same on changed code.
    let is_told = trace.head.setup.story.is_some() && trace.head.follows == Follows::Seed;
    let script = Some(&trace.decisions).filter(|_| !is_told);
    let manner = AnyManner { script, record: true, chronicle, ..AnyManner::default() };
    run_any(&Arc::new(trace.head.setup.clone()), bug, &manner, &mut |_| {}).map_err(Unreplayable::Unrunnable)
}

fn replayed(trace: &Trace, run: AnyRecorded, likeness: Likeness) -> Replayed {
    let outcome = match (&trace.head.expect, &run.report.verdict) {
        (Expected::Clean, Verdict::Held) => Outcome::Clean,
        (Expected::Violation(expected), Verdict::Violated(found)) if same(expected, found, likeness) => {
            Outcome::Violated
        }
        _ => Outcome::NotReproduced,
    };
    let decisions = run.decisions.unwrap_or_default();
    Replayed { report: run.report, likeness, outcome, chronicle: run.chronicle, decisions }
}

/// An exact replay must show the very violation; on changed code the same finding is enough.
fn same(expected: &crate::check::Violation, found: &crate::check::Violation, likeness: Likeness) -> bool {
    match likeness {
        Likeness::Exact => expected.is_same(found),
        Likeness::ByDecisions { .. } => {
            expected.property == found.property
                && (expected.kind == found.kind || expected.property == crate::check::Property::Panic)
        }
    }
}

fn matched(wanted: &Decisions<Value>, met: Option<&Decisions<Value>>) -> Matched {
    let Some(met) = met else { return Matched::default() };
    let key = |made: &crate::decisions::Made<Value>| (made.slot, made.life, made.number);
    let requests: BTreeSet<_> = met.requests.iter().map(key).collect();
    let fates: BTreeSet<_> = met.fates.iter().map(|(identity, _)| *identity).collect();
    let action =
        |done: &crate::decisions::Done| (done.when_sent.is_none().then_some(done.at), done.when_sent);
    let actions: BTreeSet<_> = met.actions.iter().map(action).collect();
    Matched {
        actions: (
            wanted.actions.iter().filter(|done| actions.contains(&action(done))).count(),
            wanted.actions.len(),
        ),
        requests: (
            wanted.requests.iter().filter(|made| requests.contains(&key(made))).count(),
            wanted.requests.len(),
        ),
        fates: (
            wanted.fates.iter().filter(|(identity, _)| fates.contains(identity)).count(),
            wanted.fates.len(),
        ),
    }
}
