//! From names to types: which workload a setup names, and under which rules it runs.

use std::fmt;
use std::sync::{Arc, Mutex};

use serde::de::DeserializeOwned;
use serde_json::Value;
use vr::Standard;

#[cfg(feature = "planted-bugs")]
use crate::bugs::Planted;
use crate::bugs::{Bug, Sabotage};
use crate::check::Properties;
use crate::chronicle::Chronicle;
use crate::decisions::{Decisions, Script};
use crate::guided::change::Change;
use crate::guided::{Branching, Explored};
use crate::history::record::Export;
use crate::run::{self, Manner, Recorded, Redraw, Report, run_hosts_with, run_with};
use crate::setup::Setup;
use crate::timeline::{Delays, Timeline};
use crate::trace::{Follows, Head, Trace};
use crate::workload::Workload;
use crate::workload::key_value::{self, KeyValue};
use crate::workload::library::{self, Library};
use crate::workload::lock::Lock;

/// The workloads that scenario files can name.
pub fn workloads() -> impl Iterator<Item = &'static str> {
    [KeyValue::NAME, key_value::PREDICTED, Lock::NAME].into_iter().chain(library::NAMES.iter().copied())
}

/// Runs a setup of one workload.
type Runner = fn(
    &Arc<Setup>,
    Option<&'static Bug>,
    &AnyManner<'_>,
    &mut dyn FnMut(u64),
) -> Result<AnyRecorded, Unrunnable>;

/// Explores a setup of one workload.
type Explorer = fn(&Arc<Setup>, Option<&'static Bug>, &[Change], Option<&Branching>) -> Vec<Explored>;

/// Workloads from outside this crate.
static REGISTERED: Mutex<Vec<(&'static str, Runner, Explorer)>> = Mutex::new(Vec::new());

/// Makes a workload of your own known by its name, so that sweeps, traces and replays can run it.
pub fn register<W: Workload>() {
    let mut registered = REGISTERED.lock().expect("nobody panics while registering");
    registered.retain(|(name, ..)| *name != W::NAME);
    registered.push((W::NAME, run_workload::<W>, explore_workload::<W>));
}

fn registered(name: &str) -> Option<(Runner, Explorer)> {
    let registered = REGISTERED.lock().expect("nobody panics while registering");
    registered.iter().find(|(known, ..)| *known == name).map(|&(_, runner, explorer)| (runner, explorer))
}

/// Says whether there is a workload of this name, here or [registered](register).
///
/// # Errors
/// [`Unrunnable::UnknownWorkload`] if there is none.
pub fn check_workload(name: &str) -> Result<(), Unrunnable> {
    if workloads().any(|known| known == name) || registered(name).is_some() {
        return Ok(());
    }
    Err(Unrunnable::UnknownWorkload(name.to_owned()))
}

/// A run that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unrunnable {
    /// The setup names no known workload.
    UnknownWorkload(String),
    /// A decision does not fit the workload.
    Misfit(String),
}

impl fmt::Display for Unrunnable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownWorkload(name) => {
                let own = REGISTERED.lock().expect("nobody panics while registering");
                let known = workloads().chain(own.iter().map(|(name, ..)| *name));
                let known = known.collect::<Vec<_>>().join(", ");
                write!(formatter, "unknown workload `{name}`: expected one of {known}")
            }
            Self::Misfit(what) => formatter.write_str(what),
        }
    }
}

impl std::error::Error for Unrunnable {}

/// How a run is to be made, whatever its workload. See [`Manner`].
#[derive(Clone, Debug, Default)]
pub struct AnyManner<'a> {
    /// Follow these decisions in place of chance.
    pub script: Option<&'a Decisions<Value>>,
    /// Record the decisions.
    pub record: bool,
    /// Keep a chronicle.
    pub chronicle: bool,
    /// Export the clients' history.
    pub history: bool,
    /// Compare the digest after each step with these.
    pub expected: Option<Arc<[u32]>>,
    /// Where chance decides anew.
    pub redraws: Vec<Redraw>,
    /// Do not report violations of these properties.
    pub off: Properties,
    /// What is decided otherwise than the seed says.
    pub changes: &'a [Change],
    /// Follow this timeline in place of chance.
    pub timed_script: Option<&'a Timeline<Value>>,
    /// Keep the decisions by time and place.
    pub timeline: Option<Delays>,
    /// Stop after so many steps.
    pub limit: Option<u64>,
}

/// What came of such a run. See [`Recorded`].
#[derive(Clone, Debug)]
pub struct AnyRecorded {
    /// The result.
    pub report: Report,
    /// The decisions, if they were recorded.
    pub decisions: Option<Decisions<Value>>,
    /// Everything that happened, if it was to be kept.
    pub chronicle: Option<Box<Chronicle>>,
    /// The clients' history, if it was to be exported and fits a model of `sim check`.
    pub history: Option<Export>,
    /// The first step whose digest differs from the expected one.
    pub first_difference: Option<u64>,
    /// The decisions by time and place, if they were wanted.
    pub timeline: Option<Timeline<Value>>,
}

/// Runs `setup`, under the rules of `bug` if one is given. `progress` is told the number of steps now and
/// then.
///
/// # Errors
/// [`Unrunnable`] if the setup or the script name what there is not.
pub fn run_any(
    setup: &Arc<Setup>,
    bug: Option<&'static Bug>,
    manner: &AnyManner<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<AnyRecorded, Unrunnable> {
    if setup.supervision.is_some() {
        return run_supervised(setup, bug, manner, progress);
    }
    match setup.workload.as_str() {
        KeyValue::NAME | key_value::PREDICTED => run_workload::<KeyValue>(setup, bug, manner, progress),
        Lock::NAME => run_workload::<Lock>(setup, bug, manner, progress),
        name if library::NAMES.contains(&name) => run_workload::<Library>(setup, bug, manner, progress),
        other => match registered(other) {
            Some((runner, _)) => runner(setup, bug, manner, progress),
            None => Err(Unrunnable::UnknownWorkload(other.to_owned())),
        },
    }
}

/// Groups that a supervisor has started run the services of the library: what hosts are made of is compiled once.
fn run_supervised(
    setup: &Arc<Setup>,
    bug: Option<&'static Bug>,
    manner: &AnyManner<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<AnyRecorded, Unrunnable> {
    let name = setup.workload.as_str();
    if library::NAMES.contains(&name) {
        return run_hosts::<Library>(setup, bug, manner, progress);
    }
    let known = library::NAMES.join(", ");
    Err(Unrunnable::Misfit(format!(
        "workload: `{name}` does not run under a supervisor: expected one of {known}"
    )))
}

fn run_hosts<W: Workload>(
    setup: &Arc<Setup>,
    bug: Option<&'static Bug>,
    manner: &AnyManner<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<AnyRecorded, Unrunnable> {
    #[cfg(feature = "planted-bugs")]
    if let Some(bug) = bug {
        let (rules, runner) = (Planted::new(bug), run_hosts_with::<W, Planted>);
        return run_typed::<W, Planted>(setup, rules, bug.sabotage, manner, progress, runner);
    }
    assert!(bug.is_none(), "this build has no planted bugs");
    let runner = run_hosts_with::<W, Standard>;
    run_typed::<W, Standard>(setup, Standard, None, manner, progress, runner)
}

fn run_workload<W: Workload>(
    setup: &Arc<Setup>,
    bug: Option<&'static Bug>,
    manner: &AnyManner<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<AnyRecorded, Unrunnable> {
    match bug {
        None => run_typed::<W, Standard>(setup, Standard, None, manner, progress, run_with::<W, Standard>),
        Some(bug) => run_planted::<W>(setup, bug, manner, progress),
    }
}

#[cfg(feature = "planted-bugs")]
fn run_planted<W: Workload>(
    setup: &Arc<Setup>,
    bug: &'static Bug,
    manner: &AnyManner<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<AnyRecorded, Unrunnable> {
    let rules = Planted::new(bug);
    run_typed::<W, Planted>(setup, rules, bug.sabotage, manner, progress, run_with::<W, Planted>)
}

#[cfg(not(feature = "planted-bugs"))]
fn run_planted<W: Workload>(
    _: &Arc<Setup>,
    bug: &'static Bug,
    _: &AnyManner<'_>,
    _: &mut dyn FnMut(u64),
) -> Result<AnyRecorded, Unrunnable> {
    Err(Unrunnable::Misfit(format!("{}: this build has no planted bugs (feature `planted-bugs`)", bug.name)))
}

/// [`run_with`] or [`run_hosts_with`].
type Conductor<O, R> = fn(&Arc<Setup>, R, Manner<O>, &mut dyn FnMut(u64)) -> Recorded<O>;

fn run_typed<W: Workload, R>(
    setup: &Arc<Setup>,
    rules: R,
    sabotage: Option<Sabotage>,
    manner: &AnyManner<'_>,
    progress: &mut dyn FnMut(u64),
    runner: Conductor<W::Operation, R>,
) -> Result<AnyRecorded, Unrunnable> {
    let script = script(manner).map_err(Unrunnable::Misfit)?.map(Arc::new);
    let expected = manner.expected.clone();
    let AnyManner { record, chronicle, history, off, timeline, limit, .. } = *manner;
    let (redraws, changes) = (manner.redraws.clone(), Arc::from(manner.changes));
    let manner = Manner {
        script,
        record,
        chronicle,
        history,
        expected,
        sabotage,
        redraws,
        off,
        changes,
        timeline,
        limit,
    };
    let Recorded { report, decisions, chronicle, history, first_difference, timeline } =
        runner(setup, rules, manner, progress);
    let decisions = decisions.map(|decisions| decisions.to_json());
    let timeline = timeline.map(|timeline| timeline.to_json());
    Ok(AnyRecorded { report, decisions, chronicle, history, first_difference, timeline })
}

/// What the run is to follow, if anything.
fn script<O: Clone + DeserializeOwned>(manner: &AnyManner<'_>) -> Result<Option<Script<O>>, String> {
    if let Some(timeline) = manner.timed_script {
        return Ok(Some(Script::timed(&timeline.with_operations()?)));
    }
    manner.script.map(|decisions| Ok(Script::new(&decisions.with_operations()?))).transpose()
}

/// Runs `setup` with some changes to its end, or leaves the run in several ways, and sees what is reached.
/// See [`crate::guided::explore`].
///
/// # Errors
/// [`Unrunnable`] if the setup names an unknown workload.
pub fn explore_any(
    setup: &Arc<Setup>,
    bug: Option<&'static Bug>,
    changes: &[Change],
    branching: Option<&Branching>,
) -> Result<Vec<Explored>, Unrunnable> {
    if setup.supervision.is_some() {
        // Nothing is known of what such a run reaches, and it is not left on its way.
        let report = run_any(setup, bug, &AnyManner { changes, ..AnyManner::default() }, &mut |_| {})?.report;
        return Ok(vec![Explored { report, coverage: Box::default() }]);
    }
    let explorer: Explorer = match setup.workload.as_str() {
        KeyValue::NAME | key_value::PREDICTED => explore_workload::<KeyValue>,
        Lock::NAME => explore_workload::<Lock>,
        name if library::NAMES.contains(&name) => explore_workload::<Library>,
        other => registered(other).ok_or_else(|| Unrunnable::UnknownWorkload(other.to_owned()))?.1,
    };
    Ok(explorer(setup, bug, changes, branching))
}

fn explore_workload<W: Workload>(
    setup: &Arc<Setup>,
    bug: Option<&'static Bug>,
    changes: &[Change],
    branching: Option<&Branching>,
) -> Vec<Explored> {
    #[cfg(feature = "planted-bugs")]
    if let Some(bug) = bug {
        return run::explore::<W, Planted>(setup, Planted::new(bug), bug.sabotage, changes, branching);
    }
    assert!(bug.is_none(), "this build has no planted bugs");
    run::explore::<W, Standard>(setup, Standard, None, changes, branching)
}

/// Runs `setup` as fast as possible.
///
/// # Errors
/// [`Unrunnable`] if the setup names an unknown workload.
pub fn run_plain(setup: &Arc<Setup>, bug: Option<&'static Bug>) -> Result<Report, Unrunnable> {
    run_any(setup, bug, &AnyManner::default(), &mut |_| {}).map(|recorded| recorded.report)
}

/// Runs `setup` and records it as a trace that expects what happened.
///
/// # Errors
/// [`Unrunnable`] if the setup names an unknown workload.
pub fn record(setup: &Arc<Setup>, bug: Option<&'static Bug>) -> Result<(Report, Trace), Unrunnable> {
    let manner = AnyManner { record: true, ..AnyManner::default() };
    let AnyRecorded { report, decisions, .. } = run_any(setup, bug, &manner, &mut |_| {})?;
    let head = Head::new(&report, bug.map(|bug| bug.name), Follows::Seed);
    let trace = Trace { head, decisions: decisions.unwrap_or_default() };
    Ok((report, trace))
}
