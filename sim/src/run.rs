//! One run from its setup to its verdict.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Once};

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use vr::{ClientAddress, OpNumber, Rules, Standard};

use crate::bugs::Sabotage;
use crate::check::linearizability::{self, Verdict as Judgement};
use crate::check::{Fact, Properties, Property, Violation};
use crate::chronicle::Chronicle;
use crate::decisions::{Decisions, Script};
use crate::environment::{Environment, NOT_IN_THE_LOG};
use crate::guided::change::{Change, What};
use crate::guided::coverage::Coverage;
use crate::guided::{Branching, Explored};
use crate::history::record::{Export, Record};
use crate::hosts::{self, AllRules};
use crate::marks::Marks;
use crate::node::Node;
use crate::setup::Setup;
use crate::timeline::{Delays, Recording, Timeline};
use crate::workload::Workload;
use crate::world::World;

/// How many configurations the search for a linearization may visit, when the order of commits does not
/// explain the clients' history.
const SEARCH_BUDGET: u64 = 2_000_000;

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything held.
    Held,
    /// A property was violated.
    Violated(Violation),
    /// A check gave up.
    Inconclusive(String),
    /// The harness itself failed.
    HarnessFailed(String),
}

/// A run's result.
#[derive(Clone, Debug)]
pub struct Report {
    /// The setup.
    pub setup: Arc<Setup>,
    /// What came of it.
    pub verdict: Verdict,
    /// Events dispatched in all.
    pub steps: u64,
    /// Events dispatched before the faults stopped.
    pub fault_steps: u64,
    /// Virtual time, in nanoseconds.
    pub time: u64,
    /// Operations committed.
    pub committed: u64,
    /// Views started by a view change.
    pub views: u64,
    /// Whether more memory was lost than the group can stand, so that no progress could be demanded.
    pub budget_exceeded: bool,
    /// The counters.
    pub marks: Marks,
    /// The digest of everything that happened.
    pub digest: u64,
    /// When each step of the story was passed, in nanoseconds; empty where none is told.
    pub story: Vec<u64>,
}

impl Report {
    /// The violation, if there is one.
    #[must_use]
    pub const fn violation(&self) -> Option<&Violation> {
        match &self.verdict {
            Verdict::Violated(violation) => Some(violation),
            _ => None,
        }
    }
}

/// A run with everything that was asked to be kept of it.
#[derive(Debug)]
pub struct Recorded<O> {
    /// The result.
    pub report: Report,
    /// The decisions, if they were recorded.
    pub decisions: Option<Box<Decisions<O>>>,
    /// Everything that happened, if it was to be kept.
    pub chronicle: Option<Box<Chronicle>>,
    /// The clients' history, if it was to be exported and fits a model of `sim check`.
    pub history: Option<Export>,
    /// The steps at which the replay's digest differed from the expected one: the first, if any.
    pub first_difference: Option<u64>,
    /// The decisions by time and place, if they were wanted.
    pub timeline: Option<Timeline<O>>,
}

/// How a run is to be made.
#[derive(Clone, Debug)]
pub struct Manner<O> {
    /// Follow these decisions in place of chance.
    pub script: Option<Arc<Script<O>>>,
    /// Record the decisions.
    pub record: bool,
    /// Keep a chronicle.
    pub chronicle: bool,
    /// Export the clients' history.
    pub history: bool,
    /// Compare the digest after each step with these, and find the first that differs.
    pub expected: Option<Arc<[u32]>>,
    /// Keep these messages from being sent.
    pub sabotage: Option<Sabotage>,
    /// Where chance decides anew, in the order of steps.
    pub redraws: Vec<Redraw>,
    /// Do not report violations of these properties.
    pub off: Properties,
    /// What is decided otherwise than the seed says, by step.
    pub changes: Arc<[Change]>,
    /// Keep the decisions by time and place.
    pub timeline: Option<Delays>,
    /// Stop after so many steps; unless something was violated by then, the run is not judged and held.
    pub limit: Option<u64>,
}

/// A point of a run from which on chance decides anew: see [`World::redraw`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redraw {
    /// After this step.
    pub after: u64,
    /// The seed of all streams from there on.
    pub seed: u64,
    /// When the faults stop.
    pub until: Until,
}

/// When the faults of a branch stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// After so many steps in all.
    Step(u64),
    /// At this virtual time, in nanoseconds.
    Time(u64),
}

impl<O> Default for Manner<O> {
    fn default() -> Self {
        Self {
            script: None,
            record: false,
            chronicle: false,
            history: false,
            expected: None,
            sabotage: None,
            redraws: Vec::new(),
            off: Properties::NONE,
            changes: Arc::from([]),
            timeline: None,
            limit: None,
        }
    }
}

/// Runs a workload on the protocol as it should be. With a supervisor, see [`run_hosts_with`].
#[must_use]
pub fn run<W: Workload>(setup: &Setup) -> Report {
    run_with::<W, Standard>(&Arc::new(setup.clone()), Standard, Manner::default(), &mut |_| {}).report
}

/// Runs a workload under any rules, in any manner. `progress` is told the number of steps now and then.
pub fn run_with<W: Workload, R: Rules + Clone>(
    setup: &Arc<Setup>,
    rules: R,
    mut manner: Manner<W::Operation>,
    progress: &mut dyn FnMut(u64),
) -> Recorded<W::Operation> {
    let is_recorded = manner.record || manner.expected.is_some();
    let world = World::<W, R>::new(Arc::clone(setup), rules, manner.script.take(), is_recorded);
    conduct(world, manner, progress)
}

/// The same for groups that a supervisor has started on hosts. There is no history to export.
pub fn run_hosts_with<W: Workload, R: AllRules>(
    setup: &Arc<Setup>,
    rules: R,
    mut manner: Manner<W::Operation>,
    progress: &mut dyn FnMut(u64),
) -> Recorded<W::Operation> {
    let is_recorded = manner.record || manner.expected.is_some();
    let world = hosts::World::<W, R>::new(Arc::clone(setup), rules, manner.script.take(), is_recorded);
    conduct(world, manner, progress)
}

/// A world that can be conducted.
pub(crate) trait Simulated {
    /// What runs in it.
    type Workload: Workload;

    /// Lets the next event happen. False once the run is over.
    fn step(&mut self) -> bool;
    /// Whether nothing will happen any more.
    fn is_over(&self) -> bool;
    /// The setup.
    fn setup(&self) -> &Arc<Setup>;
    /// Everything around the nodes.
    fn environment(&self) -> &Environment<Self::Workload>;
    /// The same, to change it.
    fn environment_mut(&mut self) -> &mut Environment<Self::Workload>;
    /// Who was acting when a panic came: `None` means that the harness itself failed.
    fn acting(&self) -> Option<Node>;
    /// The step at which the faults stopped.
    fn healed_at_step(&self) -> Option<u64>;
    /// Whether more memory was lost than a group can stand.
    fn budget_exceeded(&self) -> bool;
    /// From here on everything that happens is kept.
    fn keep_chronicle(&mut self);
    /// What was recorded.
    fn take_record(&mut self) -> Option<Box<Decisions<<Self::Workload as Workload>::Operation>>>;
    /// From here on chance decides anew, until the faults stop after so many steps in all.
    fn redraw(&mut self, seed: u64, steps: u64);
    /// From here on the faults stop after `steps` steps in all.
    fn stop_faults_after(&mut self, steps: u64);
    /// Decides something otherwise, from here on.
    fn change(&mut self, what: &What);
    /// Holds every replica's log against what it told of it.
    fn audit(&mut self);
    /// The group of a call of the history.
    fn group_of_call(&self, call: usize) -> usize;

    /// The first violation, once there is one.
    fn violation(&self) -> Option<&Violation> {
        self.environment().checks.first_violation()
    }
}

fn conduct<S: Simulated>(
    mut world: S,
    manner: Manner<<S::Workload as Workload>::Operation>,
    progress: &mut dyn FnMut(u64),
) -> Recorded<<S::Workload as Workload>::Operation> {
    world.environment_mut().sabotage = manner.sabotage;
    world.environment_mut().checks.turn_off(manner.off);
    if manner.chronicle {
        world.keep_chronicle();
    }
    world.environment_mut().recording = manner.timeline.map(|delays| Box::new(Recording::new(delays)));
    let limit = manner.limit.unwrap_or(u64::MAX);
    let verdict = follow(&mut world, &manner.redraws, &manner.changes, limit, progress);
    let verdict = verdict.unwrap_or_else(|| if world.is_over() { judge(&mut world) } else { Verdict::Held });
    let decisions = world.take_record();
    let first_difference = manner.expected.and_then(|expected| {
        first_difference(&expected, &decisions.as_ref().expect("recorded to be compared").hashes)
    });
    let chronicle = world.environment_mut().chronicle.take();
    let timeline = world.environment_mut().recording.take().map(|recording| recording.timeline);
    let history = if manner.history { export(&world) } else { None };
    Recorded { report: report(&world, verdict), decisions, chronicle, history, first_difference, timeline }
}

/// Runs a workload with some changes to its end, or leaves the run in several ways, and sees what is reached.
pub fn explore<W: Workload, R: Rules + Clone>(
    setup: &Arc<Setup>,
    rules: R,
    sabotage: Option<Sabotage>,
    changes: &[Change],
    branching: Option<&Branching>,
) -> Vec<Explored> {
    let mut trunk = World::<W, R>::new(Arc::clone(setup), rules, None, false);
    trunk.environment_mut().sabotage = sabotage;
    trunk.environment_mut().coverage = Some(Box::default());
    let at = branching.map_or(u64::MAX, |branching| branching.at);
    let verdict = follow(&mut trunk, &[], changes, at, &mut |_| {});
    let Some(branching) = branching.filter(|_| verdict.is_none() && !trunk.is_over()) else {
        let verdict = verdict.unwrap_or_else(|| judge(&mut trunk));
        return vec![explored(&mut trunk, verdict)];
    };
    let branch = |(steps, changes): &(u64, Vec<Change>)| {
        let mut world = trunk.clone();
        world.environment_mut().coverage.as_mut().expect("it was asked for").branch();
        world.stop_faults_after(*steps);
        let verdict = follow(&mut world, &[], changes, u64::MAX, &mut |_| {});
        let verdict = verdict.unwrap_or_else(|| judge(&mut world));
        explored(&mut world, verdict)
    };
    branching.branches.iter().map(branch).collect()
}

fn explored(world: &mut impl Simulated, verdict: Verdict) -> Explored {
    let coverage: Box<Coverage> = world.environment_mut().coverage.take().expect("it was asked for");
    Explored { report: report(world, verdict), coverage }
}

fn first_difference(expected: &[u32], found: &[u32]) -> Option<u64> {
    let differs = expected.iter().zip(found).position(|(expected, found)| expected != found);
    let shorter = expected.len().min(found.len());
    let ends = (expected.len() != found.len()).then_some(shorter);
    differs.or(ends).map(|index| index as u64 + 1)
}

fn report(world: &impl Simulated, verdict: Verdict) -> Report {
    let environment = world.environment();
    Report {
        setup: Arc::clone(world.setup()),
        verdict,
        steps: environment.steps,
        fault_steps: world.healed_at_step().unwrap_or(environment.steps),
        time: environment.now,
        committed: environment.checks.iter().map(|checks| checks.ghost.last().0).sum(),
        views: environment.checks.iter().map(|checks| checks.views_started() as u64).sum(),
        budget_exceeded: world.budget_exceeded(),
        marks: environment.marks.clone(),
        digest: environment.digest,
        story: environment.stage.as_ref().map_or_else(Vec::new, |stage| stage.passed().to_vec()),
    }
}

/// Judges a run that has come to its end without a violation.
fn judge(world: &mut impl Simulated) -> Verdict {
    world.audit();
    if let Some(violation) = world.violation() {
        return Verdict::Violated(violation.clone());
    }
    if !world.environment().checks.first().findings.is_on(Property::S14) {
        return Verdict::Held;
    }
    let groups = world.environment().checks.iter().count();
    let verdicts = (0..groups).map(|group| judge_history(world, group));
    verdicts.fold(Verdict::Held, |worst, verdict| match (worst, verdict) {
        (Verdict::Violated(violation), _) => Verdict::Violated(violation),
        (worst, Verdict::Held) => worst,
        (_, verdict) => verdict,
    })
}

/// Judges what the clients of a group saw.
fn judge_history<S: Simulated>(world: &mut S, group: usize) -> Verdict {
    let order = commit_order(world, group);
    let environment = world.environment();
    let several = (environment.checks.iter().count() > 1).then(|| calls_of(world, group));
    let model = S::Workload::model();
    let judgement = match &several {
        None => linearizability::judge(&model, &environment.history, Some(&order), SEARCH_BUDGET),
        Some(calls) => {
            let history: Vec<_> = calls.iter().map(|&call| environment.history[call].clone()).collect();
            let place = |call| calls.binary_search(call).expect("a call of the group");
            let order: Vec<usize> = order.iter().map(place).collect();
            linearizability::judge(&model, &history, Some(&order), SEARCH_BUDGET)
        }
    };
    let (step, time) = (environment.steps, environment.now);
    match judgement {
        Judgement::Linearizable => Verdict::Held,
        Judgement::Undecided(_) => {
            Verdict::Inconclusive(format!("no linearization found within {SEARCH_BUDGET} configurations"))
        }
        Judgement::NotLinearizable(refusal) => {
            let call = several.map_or(refusal.operation, |calls| calls[refusal.operation]);
            let findings = &mut world.environment_mut().checks.of_mut(group).findings;
            findings.at(step, time);
            let added = findings.add(Property::S14, "not linearizable", refusal.to_string());
            added.between([Fact::Called { call }]);
            Verdict::Violated(findings.first().expect("it was added").clone())
        }
    }
}

/// The calls of a group's clients, in order.
fn calls_of(world: &impl Simulated, group: usize) -> Vec<usize> {
    let calls = 0..world.environment().history.len();
    calls.filter(|&call| world.group_of_call(call) == group).collect()
}

/// The calls of a group's clients in the order in which they were committed.
fn commit_order(world: &impl Simulated, group: usize) -> Vec<usize> {
    let environment = world.environment();
    let is_own = |call| world.group_of_call(call) == group;
    // A process numbers its requests in the order in which it makes them: to find one is to search a sorted list.
    let mut calls = FxHashMap::<ClientAddress, Vec<(u64, usize)>>::default();
    for (call, &(address, number)) in environment.callers.iter().enumerate() {
        if number != NOT_IN_THE_LOG && is_own(call) {
            calls.entry(address).or_default().push((number, call));
        }
    }
    let call_of = |address, number| {
        let of_process = calls.get(&address)?;
        let place = of_process.binary_search_by_key(&number, |&(known, _)| known).ok()?;
        Some(of_process[place].1)
    };
    let is_read = |(_, call): &(OpNumber, usize)| is_own(*call);
    let mut reads: Vec<_> = environment.versions.iter().copied().filter(is_read).collect();
    reads.sort_unstable();
    let mut reads = reads.into_iter().peekable();
    let mut order = Vec::with_capacity(environment.history.len());
    let mut reads_before = |op_number: OpNumber, order: &mut Vec<usize>| {
        while let Some((_, call)) = reads.next_if(|&(version, _)| version < op_number) {
            order.push(call);
        }
    };
    for operation in environment.checks.of(group).ghost.operations() {
        reads_before(operation.op_number, &mut order);
        let number = operation.request.filter(|_| operation.executed).map(|(_, number)| number.0);
        order.extend(number.and_then(|number| call_of(operation.address, number)));
    }
    reads_before(OpNumber(u64::MAX), &mut order);
    order
}

/// The clients' history as `sim check` reads it; there is not one only where there are several groups.
fn export<S: Simulated>(world: &S) -> Option<Export> {
    let environment = world.environment();
    if environment.checks.iter().count() > 1 {
        return None;
    }
    let order = commit_order(world, 0);
    let (model, said) = S::Workload::export(&environment.history, &order)?;
    let mut places = vec![None; environment.history.len()];
    for (place, &call) in (0..).zip(&order) {
        places[call] = Some(place);
    }
    // A client that starts over is another one: what it asked for before may still take effect.
    let mut clients = BTreeMap::new();
    let calls = environment.history.iter().zip(&environment.callers).zip(said).zip(places);
    let records = calls.map(|(((call, (address, _)), (op, result)), order)| {
        let newcomer = clients.len() as u64;
        let client = *clients.entry(*address).or_insert(newcomer);
        let returned = call.returned.as_ref().map(|(returned, _)| *returned);
        Record { client, call: call.called, returned, op, result, order }
    });
    Some(Export { model, records: records.collect() })
}

// ---- Panics ------------------------------------------------------------------------------------------

thread_local! {
    static SIMULATING: Cell<bool> = const { Cell::new(false) };
    static LAST_PANIC: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
}

/// Steps the world on, with changes on its way.
fn follow(
    world: &mut impl Simulated,
    redraws: &[Redraw],
    changes: &[Change],
    until: u64,
    progress: &mut dyn FnMut(u64),
) -> Option<Verdict> {
    for change in changes {
        if let Some(verdict) = catching_panics(world, &[], change.step, progress) {
            return Some(verdict);
        }
        world.change(&change.what);
    }
    catching_panics(world, redraws, until, progress)
}

/// Steps the world until there were so many steps, or to its end. A panic while a replica or client acts is a violation, any other one a
/// failure of the harness.
fn catching_panics(
    world: &mut impl Simulated,
    redraws: &[Redraw],
    until: u64,
    progress: &mut dyn FnMut(u64),
) -> Option<Verdict> {
    keep_panics_quiet();
    SIMULATING.set(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
        for redraw in redraws {
            while world.environment().steps < redraw.after && world.step() {}
            branch_off(world, redraw);
        }
        while world.environment().steps < until && world.step() {
            if world.environment().steps.is_multiple_of(1 << 14) {
                progress(world.environment().steps);
            }
        }
    }));
    SIMULATING.set(false);
    if let Some(violation) = world.violation() {
        return Some(Verdict::Violated(violation.clone()));
    }
    outcome.err().map(|payload| panicked(world, payload.as_ref()))
}

/// Lets chance decide anew, and goes on until the time for faults is over where that is a time.
fn branch_off(world: &mut impl Simulated, redraw: &Redraw) {
    match redraw.until {
        Until::Step(steps) => world.redraw(redraw.seed, steps),
        Until::Time(time) => {
            world.redraw(redraw.seed, u64::MAX);
            while world.environment().now < time && world.step() {}
            world.stop_faults_after(world.environment().steps);
        }
    }
}

fn panicked(world: &impl Simulated, payload: &(dyn Any + Send)) -> Verdict {
    let (message, place) =
        LAST_PANIC.take().unwrap_or_else(|| (text_of(payload), "unknown place".to_owned()));
    match world.acting() {
        None => Verdict::HarnessFailed(format!("{message} ({place})")),
        // Nobody asks for panics; but a world in the middle of a step cannot go on.
        Some(_) if !world.environment().checks.first().findings.is_on(Property::Panic) => Verdict::Held,
        Some(node) => Verdict::Violated(Violation {
            property: Property::Panic,
            witness: format!("{node} panicked: {message} ({place})"),
            kind: place,
            group: None,
            step: world.environment().steps,
            time: world.environment().now,
            facts: Vec::new(),
        }),
    }
}

/// The text that a panic was given.
pub(crate) fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// Panics of simulated nodes are results, not something to print.
fn keep_panics_quiet() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if SIMULATING.get() {
                let place = info.location().map_or("unknown place".to_owned(), ToString::to_string);
                LAST_PANIC.set(Some((text_of(info.payload()), place)));
            } else {
                default(info);
            }
        }));
    });
}
