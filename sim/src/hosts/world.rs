//! The world of hosts, and how events happen in it.

use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use vr::{Configuration, Duration, GroupId, Host, HostOptions, Incarnation, Instant, ReplicaId, Role};

use super::clients::Customer;
use super::ending::Ending;
use super::mail::Mail;
use super::port::{HostPort, who};
use super::user::User;
use super::{AllRules, GROUPS_MAX, Running, Supervising};
use crate::check::directory::Ledger;
use crate::chronicle::{Cause, describe};
use crate::client_slot;
use crate::clock::Clock;
use crate::decisions::Script;
use crate::environment::{Delivery, Environment, Event, slot_of};
use crate::faults::Source;
use crate::marks::Moment;
use crate::node::Node;
use crate::packet::Packet;
use crate::random::{self, Purpose};
use crate::setup::{Setup, Supervision};
use crate::workload::Workload;
use crate::world::{draw_clock, options};

/// A host's place: the process in it, if it is up, and what surrounds it.
pub(super) struct HostSlot<W: Workload, R: AllRules> {
    pub(super) host: Option<Host<Running<W::Service>, R>>,
    pub(super) clock: Clock,
    pub(super) paused_until: u64,
    /// No timer fires before, in nanoseconds.
    pub(super) timers_late_until: u64,
    pub(super) timer_at: u64,
    pub(super) jitter: ChaCha8Rng,
}

/// What the run is in.
pub(super) enum Phase {
    Faults,
    /// The faults have stopped.
    Ending(Ending),
    Over,
}

/// A run of hosts under way.
pub struct World<W: Workload, R: AllRules> {
    pub(super) setup: Arc<Setup>,
    pub(super) rules: R,
    pub(super) hosts: Vec<HostSlot<W, R>>,
    pub(super) clients: Vec<Customer<W, R>>,
    pub(super) user: User<R>,
    pub(super) environment: Environment<W>,
    /// What the supervisor's log has decided.
    pub(super) ledger: Ledger,
    /// The group of each call of the history.
    pub(super) groups_of_calls: Vec<GroupId>,
    pub(super) sources: Vec<Source>,
    pub(super) phase: Phase,
    pub(super) healed_at_step: Option<u64>,
    /// Who is acting: a panic while somebody does is theirs.
    pub(super) acting: Option<Node>,
    /// How many strikes of chance are left out.
    pub(super) skips: u32,
}

impl<W: Workload, R: AllRules> World<W, R> {
    /// The world at the beginning of a run. With a script, what it says happens in place of chance.
    ///
    /// # Panics
    /// If the setup has no supervisor.
    #[must_use]
    pub fn new(setup: Arc<Setup>, rules: R, script: Option<Arc<Script<W::Operation>>>, record: bool) -> Self {
        let mut environment = Environment::new(&setup, script, record);
        let mut clocks = random::stream(setup.seed, Purpose::Clock);
        let hosts = (0..setup.replicas).map(ReplicaId).map(|id| HostSlot {
            host: None,
            clock: draw_clock(&setup, &mut clocks),
            paused_until: 0,
            timers_late_until: 0,
            timer_at: u64::MAX,
            jitter: random::stream(setup.seed, Purpose::Jitter(Node::Replica(id).number())),
        });
        let hosts = hosts.collect();
        let customer = |slot| {
            let clock = draw_clock(&setup, &mut clocks);
            Customer::new(&setup, slot, clock, rules.clone(), &mut environment)
        };
        let clients = (0..setup.clients).map(customer).collect();
        let user = User::new(&setup, draw_clock(&setup, &mut clocks), rules.clone(), &mut environment);
        let sources = if environment.script.is_some() { Vec::new() } else { Source::all(&setup) };
        let mut world = Self {
            setup,
            rules,
            hosts,
            clients,
            user,
            environment,
            ledger: Ledger::default(),
            groups_of_calls: Vec::new(),
            sources,
            phase: Phase::Faults,
            healed_at_step: None,
            acting: None,
            skips: 0,
        };
        world.schedule_beginning();
        world
    }

    fn schedule_beginning(&mut self) {
        for id in (0..self.setup.replicas).map(ReplicaId) {
            self.start_host(id, Incarnation::ZERO);
        }
        let user = self.user.slot;
        let life = self.environment.life(Node::Client(user)) as u32;
        self.environment.queue.push(0, Event::Wake { slot: user, life });
        for index in 0..self.sources.len() {
            let at = self.sources[index].next_in(&self.setup);
            self.environment.queue.push(at, Event::Strike(index));
        }
        self.environment.schedule_script();
    }

    /// All hosts: the supervisor runs on them.
    pub(super) fn nodes(&self) -> Configuration {
        self.environment.placement.members(0)
    }

    pub(super) fn supervision(&self) -> &Supervision {
        self.setup.supervision.as_ref().expect("a run of hosts has a supervisor")
    }

    // ---- Stepping --------------------------------------------------------------------------------

    /// Lets the next event happen. False once the run is over: everything was done, or something is wrong.
    pub fn step(&mut self) -> bool {
        if self.is_over() {
            return false;
        }
        let is_scripted = self.environment.script.as_ref().is_some_and(|script| script.healed.is_some());
        if matches!(self.phase, Phase::Faults) && self.environment.steps >= self.setup.steps && !is_scripted {
            self.heal();
        }
        let (now, event) = self.environment.queue.pop().expect("hosts show that they are alive");
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
            Event::Restart(host) => self.restart(host),
            Event::Heal if self.environment.script.is_some() => self.heal(),
            // Chance was let in since: it is for the setup to say when the faults stop.
            Event::Heal => {}
        }
    }

    pub(super) fn end_step(&mut self) {
        if self.environment.sprung.is_some() || self.environment.triggered.is_some() {
            self.spring();
        }
        self.environment.end_step();
        self.look();
    }

    // ---- Messages and timers ---------------------------------------------------------------------

    fn deliver(&mut self, delivery: Delivery<W>) {
        let paused_until = self.paused_until(delivery.to);
        if paused_until > self.environment.now {
            self.environment.waits(delivery.message);
            return self.environment.queue.push(paused_until, Event::Deliver(delivery));
        }
        let Delivery { from, to, life, message, digest, packet } = delivery;
        self.environment.network.arrived(from, to);
        let Packet::Mail(mail) = packet else { unreachable!("hosts send and get mail") };
        if let Some(nobody) = self.receiver_is_gone(to, &mail) {
            self.environment.begin_step(digest, Cause::ArrivalAtNobody(message, nobody));
            self.environment.marks.moment(Moment::DeliveredToNobody);
            return self.end_step();
        }
        self.environment.arrives(from, life, message, digest);
        self.open(to, *mail);
        self.end_step();
    }

    fn receiver_is_gone(&self, to: Node, mail: &Mail<W::Service>) -> Option<&'static str> {
        match (to, mail.client()) {
            (Node::Replica(host), _) => self.hosts[host.index()].host.is_none().then_some("the host is down"),
            (Node::Client(_), Some(address)) => {
                (slot_of(address).1 != self.environment.life(to)).then_some("the client is gone")
            }
            (Node::Client(_), None) => unreachable!("it is for a host"),
        }
    }

    fn open(&mut self, to: Node, mail: Mail<W::Service>) {
        match mail {
            Mail::Envelope(envelope) => {
                self.host_acts(to, |host, now, port| host.on_envelope(now, envelope, port));
            }
            Mail::Request(group, request) => {
                self.host_acts(to, |host, now, port| host.on_request(now, group, request, port));
            }
            Mail::Read(group, read) => {
                self.host_acts(to, |host, now, port| host.on_read(now, group, read, port));
            }
            Mail::Order(order) => {
                self.host_acts(to, |host, now, port| host.on_supervisor_request(now, order, port));
            }
            Mail::Question(question) => {
                self.host_acts(to, |host, now, port| host.on_supervisor_read(now, question, port));
            }
            Mail::Reply(group, address, reply) => self.client_hears(slot_of(address).0, group, reply),
            Mail::Gone(group, address) => self.client_hears_of_end(slot_of(address).0, group),
            Mail::Answer(_, reply) => self.user_hears(reply),
        }
    }

    /// Lets a host act and then looks at it.
    pub(super) fn host_acts(
        &mut self,
        node: Node,
        act: impl FnOnce(&mut Host<Running<W::Service>, R>, Instant, &mut HostPort<'_, W>),
    ) {
        let Node::Replica(id) = node else { unreachable!("a host acts") };
        let slot = &mut self.hosts[id.index()];
        let Some(host) = &mut slot.host else { return };
        let now = slot.clock.read(self.environment.now);
        self.acting = Some(node);
        let Self { setup, environment, ledger, .. } = self;
        act(host, now, &mut HostPort { host: id, setup, environment, ledger });
        self.acting = None;
        self.after_host(id);
    }

    /// Looks at every replica on a host that has acted.
    pub(super) fn after_host(&mut self, id: ReplicaId) {
        let Self { hosts, environment, .. } = self;
        let slot = &hosts[id.index()];
        let Some(host) = &slot.host else { return };
        let supervisor = host.supervisor();
        environment.looks_at(GroupId::SUPERVISOR, |checks| {
            checks.after_step::<Supervising, R>(id, supervisor);
            (supervisor.role(), supervisor.view(), supervisor.commit_number())
        });
        for (group, replica) in host.groups() {
            environment.looks_at(group, |checks| {
                checks.after_step::<W, R>(id, replica);
                (replica.role(), replica.view(), replica.commit_number())
            });
        }
        self.tell_states(id);
        self.schedule_host_timer(id);
    }

    /// Tells the chronicle what the replicas on a host are, if one is kept.
    pub(super) fn tell_states(&mut self, id: ReplicaId) {
        let Some(chronicle) = &mut self.environment.chronicle else { return };
        let Some(host) = &self.hosts[id.index()].host else { return };
        chronicle.after(who(GroupId::SUPERVISOR, id), Some(describe::state(host.supervisor())));
        for (group, replica) in host.groups() {
            chronicle.after(who(group, id), Some(describe::state(replica)));
        }
    }

    pub(super) fn schedule_host_timer(&mut self, id: ReplicaId) {
        let slot = &mut self.hosts[id.index()];
        let Some(host) = &slot.host else { return };
        let deadline = slot.clock.when(host.next_deadline());
        let at = deadline.max(self.environment.now).max(slot.timers_late_until);
        if at < slot.timer_at {
            slot.timer_at = at;
            self.environment.queue.push(at, Event::Timer(Node::Replica(id)));
        }
    }

    pub(super) fn paused_until(&self, node: Node) -> u64 {
        match node {
            Node::Replica(host) => self.hosts[host.index()].paused_until,
            Node::Client(slot) if slot == self.user.slot => 0,
            Node::Client(slot) => self.clients[usize::from(slot)].slot.paused_until,
        }
    }

    /// When the node wants its timer to fire, by its own clock; never if it is down.
    pub(super) fn deadline(&self, node: Node) -> Instant {
        match node {
            Node::Replica(id) => {
                self.hosts[id.index()].host.as_ref().map_or(Instant::NEVER, Host::next_deadline)
            }
            Node::Client(slot) if slot == self.user.slot => self.user.client.next_deadline(),
            Node::Client(slot) => self.clients[usize::from(slot)].deadline(),
        }
    }

    /// A timer event. Deadlines move away all the time; the event of an earlier one finds that out here, and is no step.
    fn timer(&mut self, node: Node) {
        let now = self.environment.now;
        let (paused_until, deadline) = (self.paused_until(node), self.deadline(node));
        let (timer_at, clock, late_until) = self.timer_of(node);
        if *timer_at != now {
            return;
        }
        if paused_until > now {
            *timer_at = paused_until;
            return self.environment.queue.push(paused_until, Event::Timer(node));
        }
        *timer_at = u64::MAX;
        if clock.read(now) >= deadline && now >= late_until {
            self.fire(node)
        } else {
            self.schedule_timer(node)
        }
    }

    /// When the node's timer event is queued; its clock; and until when its timers do not fire.
    fn timer_of(&mut self, node: Node) -> (&mut u64, Clock, u64) {
        match node {
            Node::Replica(id) => {
                let slot = &mut self.hosts[id.index()];
                (&mut slot.timer_at, slot.clock, slot.timers_late_until)
            }
            Node::Client(slot) if slot == self.user.slot => (&mut self.user.timer_at, self.user.clock, 0),
            Node::Client(slot) => {
                let slot = &mut self.clients[usize::from(slot)].slot;
                (&mut slot.timer_at, slot.clock, 0)
            }
        }
    }

    pub(super) fn schedule_timer(&mut self, node: Node) {
        match node {
            Node::Replica(id) => self.schedule_host_timer(id),
            Node::Client(_) => {
                let deadline = self.deadline(node);
                let now = self.environment.now;
                let (timer_at, clock, _) = self.timer_of(node);
                let at = clock.when(deadline).max(now);
                if at < *timer_at {
                    *timer_at = at;
                    self.environment.queue.push(at, Event::Timer(node));
                }
            }
        }
    }

    fn fire(&mut self, node: Node) {
        self.environment.begin_step(u64::from(node.number()) << 8 | 1, Cause::Timer(node));
        match node {
            Node::Replica(_) => self.host_acts(node, |host, now, port| host.on_timeout(now, port)),
            Node::Client(slot) if slot == self.user.slot => self.fire_user(),
            Node::Client(slot) => self.fire_client(slot),
        }
        self.schedule_timer(node);
        self.end_step();
    }

    // ---- Hosts start -------------------------------------------------------------------------------

    pub(super) fn start_host(&mut self, id: ReplicaId, incarnation: Incarnation) {
        let options = self.host_options();
        let (nodes, rules) = (self.nodes(), self.rules.clone());
        let slot = &mut self.hosts[id.index()];
        let now = slot.clock.read(self.environment.now);
        let node = vr::Node { id, nodes, options, incarnation, entropy: slot.jitter.random() };
        self.acting = Some(Node::Replica(id));
        let Self { setup, environment, ledger, .. } = self;
        let port = &mut HostPort { host: id, setup, environment, ledger };
        slot.host = Some(Host::start(now, node, Running(W::service), rules, port));
        self.acting = None;
        self.after_host(id);
    }

    fn host_options(&self) -> HostOptions {
        let supervision = self.supervision();
        let groups = options(&self.setup);
        // Each host has a session with the supervisor, and its successor another one.
        let sessions_max = groups.sessions_max + 2 * usize::from(self.setup.replicas) + 2;
        HostOptions {
            supervisor: vr::Options { sessions_max, ..groups },
            groups,
            clients: client_slot::options(&self.setup),
            groups_max: GROUPS_MAX,
            alive_interval: Duration::from_micros(supervision.alive_interval_us),
            failure_timeout: Duration::from_micros(supervision.failure_timeout_us),
        }
    }

    /// Whether the supervisor's primary is on this host.
    pub(super) fn is_supervising(&self, id: ReplicaId) -> bool {
        let host = self.hosts[id.index()].host.as_ref();
        host.is_some_and(|host| host.supervisor().role() == Role::Primary)
    }
}
