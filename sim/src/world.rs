//! The simulated world: replicas, clients, and the one loop that lets events happen.
//!
//! A *step* is one event dispatched: a delivery, a deadline, an action of a client, a fault. The world is
//! a value; cloned, it goes on from the same point in two ways.

mod administrator;
mod clients;
mod faults;
mod guide;
mod nodes;
mod progress;
mod redraw;
mod stage;

use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use vr::{Configuration, Duration, Epoch, EpochStart, Member, Options, Replica, ReplicaId, Rules, View};

use crate::check::Violation;
use crate::check::liveness::Liveness;
use crate::chronicle::{Chronicle, describe};
use crate::client_slot::ClientSlot;
use crate::clock::Clock;
use crate::decisions::{Decisions, Script};
use crate::environment::{Environment, Event};
use crate::faults::Source;
use crate::groups::Placement;
use crate::guided::change::What;
use crate::marks::{Marks, Moment};
use crate::node::Node;
use crate::random::{self, Draw, Purpose};
use crate::run::Simulated;
use crate::setup::Setup;
use crate::stage::Which;
use crate::workload::Workload;

/// Until when a node stands still that somebody has to resume.
const UNTIL_RESUMED: u64 = u64::MAX;

/// A replica's place: the process in it, if it is up, and what surrounds it.
#[derive(Clone)]
struct ReplicaSlot<W: Workload, R: Rules> {
    replica: Option<Replica<W::Service, R>>,
    clock: Clock,
    paused_until: u64,
    /// No timer fires before, in nanoseconds.
    timers_late_until: u64,
    timer_at: u64,
    jitter: ChaCha8Rng,
    /// When the last crash was, in nanoseconds.
    crashed_at: u64,
    was_primary_of: Option<View>,
}

/// Since when the core has agreed, and in which view.
#[derive(Clone, Copy, Debug)]
struct Stable {
    since: u64,
    view: View,
}

/// What the run is in.
#[derive(Clone, Debug)]
enum Phase {
    Faults,
    /// The faults have stopped: what is demanded of each group.
    Ending {
        /// The links of a fault that has stayed.
        cut: Vec<(Node, Node)>,
        endings: Vec<Ending>,
    },
    Over,
}

/// What is demanded of a group once the faults have stopped.
#[derive(Clone, Debug)]
enum Ending {
    /// The core has to make progress.
    Progress { core: Vec<ReplicaId>, liveness: Liveness, stable: Option<Stable> },
    /// Too much memory is lost for progress.
    Stuck { until: u64, calls_before: usize, demanded: bool },
    /// It was done.
    Over,
}

/// A run under way.
#[derive(Clone)]
pub struct World<W: Workload, R: Rules + Clone> {
    setup: Arc<Setup>,
    rules: R,
    replicas: Vec<ReplicaSlot<W, R>>,
    clients: Vec<ClientSlot<W, R>>,
    environment: Environment<W>,
    sources: Vec<Source>,
    phase: Phase,
    budget_exceeded: bool,
    healed_at_step: Option<u64>,
    /// The groups that the administrator has asked for, and that may still come to be; each with the epoch that
    /// it was to follow.
    ordered: Vec<(Epoch, Configuration)>,
    /// Who is acting: a panic while somebody does is theirs.
    acting: Option<Node>,
    /// How many strikes of chance are left out.
    skips: u32,
}

impl<W: Workload, R: Rules + Clone> World<W, R> {
    /// The world at the beginning of a run. With a script, what it says happens in place of chance.
    #[must_use]
    pub fn new(setup: Arc<Setup>, rules: R, script: Option<Arc<Script<W::Operation>>>, record: bool) -> Self {
        let mut environment = Environment::new(&setup, script, record);
        let mut clocks = random::stream(setup.seed, Purpose::Clock);
        let placement = Arc::clone(&environment.placement);
        let hosts: Vec<Clock> = (0..placement.hosts()).map(|_| draw_clock(&setup, &mut clocks)).collect();
        let replicas = (0..setup.nodes())
            .map(ReplicaId)
            .map(|id| new_replica(&setup, &placement, id, hosts[usize::from(placement.host_of(id))], &rules))
            .collect();
        let clients = (0..setup.client_slots())
            .map(|slot| {
                let clock = draw_clock(&setup, &mut clocks);
                ClientSlot::new(&setup, slot, clock, rules.clone(), &mut environment)
            })
            .collect();
        let sources = if environment.script.is_some() { Vec::new() } else { Source::all(&setup) };
        let mut world = Self {
            setup,
            rules,
            replicas,
            clients,
            environment,
            sources,
            phase: Phase::Faults,
            budget_exceeded: false,
            healed_at_step: None,
            ordered: Vec::new(),
            acting: None,
            skips: 0,
        };
        let on_some =
            world.setup.groups.iter().filter(|group| group.hosts.len() < world.setup.replicas.into());
        on_some.for_each(|_| world.environment.marks.moment(Moment::GroupOnSomeHosts));
        world.schedule_beginning();
        world
    }

    fn schedule_beginning(&mut self) {
        for replica in 0..self.replicas.len() {
            self.schedule_replica_timer(replica);
        }
        for slot in 0..self.clients.len() {
            let life = self.environment.life(Node::Client(slot as u16)) as u32;
            self.environment.queue.push(0, Event::Wake { slot: slot as u16, life });
        }
        for index in 0..self.sources.len() {
            let at = self.sources[index].next_in(&self.setup);
            self.environment.queue.push(at, Event::Strike(index));
        }
        self.environment.schedule_script();
    }

    // ---- Stepping --------------------------------------------------------------------------------

    /// Lets the next event happen. False once the run is over: everything was done, or something is wrong.
    pub fn step(&mut self) -> bool {
        if self.is_over() {
            return false;
        }
        if matches!(self.phase, Phase::Faults)
            && self.environment.steps >= self.setup.steps
            && self.environment.script.as_ref().is_none_or(|script| script.healed.is_none())
            && self.environment.stage.is_none()
        {
            self.heal();
        }
        if self.environment.stage.is_some() && self.story_is_due() {
            self.play();
            return !self.is_over();
        }
        let Some((now, event)) = self.environment.queue.pop() else {
            self.nothing_left();
            return !self.is_over();
        };
        assert!(now >= self.environment.now, "time does not go back");
        self.environment.now = now;
        self.dispatch(event);
        !self.is_over()
    }

    /// Whether nothing will happen any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over) || self.environment.checks.first_violation().is_some()
    }

    fn dispatch(&mut self, event: Event<W>) {
        match event {
            Event::Deliver(delivery) => self.deliver(delivery),
            Event::Timer(node) => self.timer(node),
            Event::Wake { slot, life } => self.wake(slot, life),
            Event::Patience { slot, life, request } => self.lose_patience(slot, life, request),
            Event::Strike(index) => self.strike(index),
            Event::Scripted(index) => self.scripted(index),
            Event::Mend(links) => self.mend(&links),
            Event::Restart(replica) => self.restart(replica),
            Event::Heal if self.environment.script.is_some() => self.heal(),
            // Chance was let in since: it is for the setup to say when the faults stop.
            Event::Heal => {}
        }
    }

    fn end_step(&mut self) {
        if self.environment.sprung.is_some() || self.environment.triggered.is_some() {
            self.spring();
        }
        self.environment.end_step();
        if !matches!(self.phase, Phase::Faults) {
            self.look();
        } else if self.environment.stage.is_some() {
            self.watch_story();
        }
    }

    // ---- What can be seen ------------------------------------------------------------------------

    /// The setup.
    #[must_use]
    pub fn setup(&self) -> &Arc<Setup> {
        &self.setup
    }

    /// Everything around the nodes.
    #[must_use]
    pub fn environment(&self) -> &Environment<W> {
        &self.environment
    }

    /// The same, to change it.
    pub fn environment_mut(&mut self) -> &mut Environment<W> {
        &mut self.environment
    }

    /// The first violation, once there is one.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation> {
        self.environment.checks.first_violation()
    }

    /// Who was acting when a panic came: `None` means that the harness itself failed.
    #[must_use]
    pub fn acting(&self) -> Option<Node> {
        self.acting
    }

    /// The step at which the faults stopped.
    #[must_use]
    pub fn healed_at_step(&self) -> Option<u64> {
        self.healed_at_step
    }

    /// Whether more memory was lost than the group can stand.
    #[must_use]
    pub fn budget_exceeded(&self) -> bool {
        self.budget_exceeded
    }

    /// The counters.
    #[must_use]
    pub fn marks(&self) -> &Marks {
        &self.environment.marks
    }

    /// From here on everything that happens is kept. To be called before the first step.
    pub fn keep_chronicle(&mut self) {
        let mut chronicle = Box::new(Chronicle::new(Arc::clone(&self.environment.placement)));
        for (index, slot) in self.replicas.iter().enumerate() {
            chronicle.after(ReplicaId(index as u8), slot.replica.as_ref().map(describe::state));
        }
        self.environment.chronicle = Some(chronicle);
    }

    /// What was recorded.
    pub fn take_record(&mut self) -> Option<Box<Decisions<W::Operation>>> {
        // What a story has never let go is lost.
        self.environment.give_up(&Which::default());
        self.environment.record.take()
    }

    /// Holds every replica's log against what it told of it.
    pub fn audit(&mut self) {
        for (index, slot) in self.replicas.iter().enumerate() {
            if let Some(replica) = &slot.replica {
                let id = ReplicaId(index as u8);
                self.environment.checks[id].audit::<W, R>(id, replica);
            }
        }
    }
}

impl<W: Workload, R: Rules + Clone> Simulated for World<W, R> {
    type Workload = W;

    fn step(&mut self) -> bool {
        Self::step(self)
    }

    fn is_over(&self) -> bool {
        Self::is_over(self)
    }

    fn setup(&self) -> &Arc<Setup> {
        &self.setup
    }

    fn environment(&self) -> &Environment<W> {
        &self.environment
    }

    fn environment_mut(&mut self) -> &mut Environment<W> {
        &mut self.environment
    }

    fn acting(&self) -> Option<Node> {
        self.acting
    }

    fn healed_at_step(&self) -> Option<u64> {
        self.healed_at_step
    }

    fn budget_exceeded(&self) -> bool {
        self.budget_exceeded
    }

    fn keep_chronicle(&mut self) {
        Self::keep_chronicle(self);
    }

    fn take_record(&mut self) -> Option<Box<Decisions<W::Operation>>> {
        Self::take_record(self)
    }

    fn redraw(&mut self, seed: u64, steps: u64) {
        Self::redraw(self, seed, steps);
    }

    fn stop_faults_after(&mut self, steps: u64) {
        Self::stop_faults_after(self, steps);
    }

    fn change(&mut self, what: &What) {
        Self::change(self, what);
    }

    fn audit(&mut self) {
        Self::audit(self);
    }

    fn group_of_call(&self, call: usize) -> usize {
        let environment = &self.environment;
        match environment.placement.groups() {
            1 => 0,
            _ => environment.placement.group_of_client(environment.history[call].client as u16),
        }
    }
}

fn new_replica<W: Workload, R: Rules + Clone>(
    setup: &Setup,
    placement: &Placement,
    id: ReplicaId,
    clock: Clock,
    rules: &R,
) -> ReplicaSlot<W, R> {
    let mut jitter = random::stream(setup.seed, Purpose::Jitter(Node::Replica(id).number()));
    let first = EpochStart::first(placement.members(placement.group_of(id)));
    let member = member(setup, id, first, jitter.random());
    let replica = if first.members.contains(id) {
        Replica::new(clock.read(0), member, rules.clone(), W::service())
    } else {
        Replica::standby(member, rules.clone(), W::service())
    };
    assert_eq!(replica.id(), id, "the replica's own name");
    ReplicaSlot {
        replica: Some(replica),
        clock,
        paused_until: 0,
        timers_late_until: 0,
        timer_at: u64::MAX,
        jitter,
        crashed_at: 0,
        was_primary_of: None,
    }
}

pub(crate) fn draw_clock(setup: &Setup, random: &mut ChaCha8Rng) -> Clock {
    let Some(clock) = &setup.faults.clock else { return Clock::new(0, 0) };
    let mut around_zero = |max: u64| random.below(2 * max + 1) as i64 - max as i64;
    Clock::new(around_zero(clock.offset_max_us), around_zero(clock.drift_max_ppm.into()))
}

fn member(setup: &Setup, id: ReplicaId, epoch: EpochStart, entropy: u64) -> Member {
    Member { id, epoch, options: options(setup), entropy }
}

/// Timing and bounds of the replicas in a run.
pub(crate) const fn options(setup: &Setup) -> Options {
    let protocol = &setup.protocol;
    Options {
        heartbeat_interval: Duration::from_micros(protocol.heartbeat_us),
        primary_timeout: Duration::from_micros(protocol.primary_timeout_us),
        view_change_timeout: Duration::from_micros(protocol.view_change_timeout_us),
        resend_interval: Duration::from_micros(protocol.resend_us),
        abdication_timeout: Duration::from_micros(protocol.abdication_us),
        backoff_limit: protocol.backoff_limit,
        pipeline_max: protocol.pipeline_max as usize,
        batch_max: protocol.batch_max as usize,
        lease: Duration::from_micros(protocol.lease_us),
        clock_drift_ppm: protocol.clock_drift_ppm,
        sessions_max: protocol.sessions_max as usize,
        checkpoint_interval: protocol.checkpoint_interval,
        log_margin: protocol.log_margin,
        suffix_margin: protocol.suffix_margin,
    }
}
