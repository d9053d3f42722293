//! The simulated world: replicas, clients, and the one loop that lets events happen.
//!
//! A *step* is one event dispatched: a delivery, a deadline, an action of a client, a fault. The world is
//! a value; cloned, it goes on from the same point in two ways.

use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use vr::{
    ClientEvent, Configuration, Duration, Incarnation, Instant, Member, Options, Replica, ReplicaId, Role,
    Rules, View,
};

use crate::check::liveness::{Liveness, Seen};
use crate::check::{Property, Violation};
use crate::client_slot::ClientSlot;
use crate::clock::Clock;
use crate::decisions::{Decisions, Done, Healed, Script};
use crate::digest;
use crate::environment::{ClientPort, Environment, Event, ReplicaPort, slot_of};
use crate::faults::{Action, Scene, Source, Strike};
use crate::marks::{Marks, Moment};
use crate::node::Node;
use crate::packet::{Identity, Packet};
use crate::random::{self, Draw, Purpose};
use crate::setup::{Expectation, Setup};
use crate::workload::Workload;

/// How often, in steps after the faults, convergence is looked for.
const LOOK_INTERVAL: u64 = 32;
/// How many requests each client makes after the faults.
const PROBES: u32 = 2;

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

/// What the run is in.
#[derive(Clone, Debug)]
enum Phase {
    Faults,
    /// The faults have stopped; the core has to make progress.
    Progress {
        core: Vec<ReplicaId>,
        liveness: Liveness,
    },
    /// The faults have stopped; too much memory is lost for progress.
    Stuck {
        until: u64,
        calls_before: usize,
        demanded: bool,
    },
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
    /// Who is acting: a panic while somebody does is theirs.
    acting: Option<Node>,
}

impl<W: Workload, R: Rules + Clone> World<W, R> {
    /// The world at the beginning of a run. With a script, what it says happens in place of chance.
    #[must_use]
    pub fn new(setup: Arc<Setup>, rules: R, script: Option<Arc<Script<W::Operation>>>, record: bool) -> Self {
        let mut environment = Environment::new(&setup, script, record);
        let mut clocks = random::stream(setup.seed, Purpose::Clock);
        let replicas = (0..setup.replicas)
            .map(|replica| new_replica(&setup, ReplicaId(replica), &rules, &mut clocks))
            .collect();
        let clients = (0..setup.clients)
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
            acting: None,
        };
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
        if let Some(script) = self.environment.script.clone() {
            for (index, (at, _)) in script.actions.iter().enumerate() {
                self.environment.queue.push(*at, Event::Scripted(index));
            }
            if let Some(healed) = &script.healed {
                self.environment.queue.push(healed.at, Event::Heal);
            }
        }
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
        {
            self.heal();
        }
        let Some((now, event)) = self.environment.queue.pop() else {
            self.phase = Phase::Over;
            return false;
        };
        debug_assert!(now >= self.environment.now, "time does not go back");
        self.environment.now = now;
        self.dispatch(event);
        !self.is_over()
    }

    /// Whether nothing will happen any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over) || self.environment.checks.findings.first().is_some()
    }

    fn dispatch(&mut self, event: Event<W::Operation, W::Response>) {
        match event {
            Event::Deliver { from, to, life, packet } => self.deliver(from, to, life, packet),
            Event::Timer(node) => self.timer(node),
            Event::Wake { slot, life } => self.wake(slot, life),
            Event::Patience { slot, life, request } => self.lose_patience(slot, life, request),
            Event::Strike(index) => self.strike(index),
            Event::Scripted(index) => self.scripted(index),
            Event::Mend(links) => self.mend(&links),
            Event::Restart(replica) => self.restart(replica),
            Event::Heal => self.heal(),
        }
    }

    /// Counts a step, in which `what` happened.
    fn begin_step(&mut self, what: u64) {
        self.environment.steps += 1;
        self.environment.digest =
            digest::mix(self.environment.digest, self.environment.now ^ what.rotate_left(32));
        let (step, now) = (self.environment.steps, self.environment.now);
        self.environment.checks.findings.at(step, now);
    }

    fn end_step(&mut self) {
        if self.environment.sprung.is_some() || self.environment.triggered.is_some() {
            self.spring();
        }
        if let Some(record) = &mut self.environment.record {
            record.hashes.push(self.environment.digest as u32);
        }
        if !matches!(self.phase, Phase::Faults) {
            self.look();
        }
    }

    // ---- Replicas and clients act ----------------------------------------------------------------

    fn deliver(&mut self, from: Node, to: Node, life: u64, packet: Packet<W::Operation, W::Response>) {
        let paused_until = self.paused_until(to);
        if paused_until > self.environment.now {
            self.environment.marks.moment(Moment::DeliveredAfterPause);
            return self.environment.queue.push(paused_until, Event::Deliver { from, to, life, packet });
        }
        self.environment.network.arrived(from, to);
        let identity = packet.identity(from, to);
        self.begin_step(identity.digest(0));
        if let Some(nobody) = self.receiver_is_gone(to, &packet) {
            self.environment.marks.moment(Moment::DeliveredToNobody);
            self.environment.line(Some(to), Some(identity.kind), || format!("{identity}: {nobody}"));
            return self.end_step();
        }
        self.environment.marks.delivered += 1;
        if life < self.environment.life(from) {
            self.environment.marks.moment(Moment::DeliveredFromEarlierLife);
        }
        self.environment
            .line(Some(to), Some(identity.kind), || format!("receives {}", describe(&packet, &identity)));
        match packet {
            Packet::Peer(message) => {
                self.replica_acts(to, |replica, now, port| replica.on_message(now, message, port));
            }
            Packet::Request(request) => {
                self.replica_acts(to, |replica, now, port| replica.on_request(now, request, port));
            }
            Packet::Reply(address, reply) => self.client_hears(slot_of(address).0, reply),
        }
        self.end_step();
    }

    fn receiver_is_gone(&self, to: Node, packet: &Packet<W::Operation, W::Response>) -> Option<&'static str> {
        match (to, packet) {
            (Node::Replica(replica), _) => {
                self.replicas[replica.index()].replica.is_none().then_some("the replica is down")
            }
            (Node::Client(_), Packet::Reply(address, _)) => {
                (slot_of(*address).1 != self.environment.life(to)).then_some("the client is gone")
            }
            (Node::Client(_), _) => unreachable!("only replies go to clients"),
        }
    }

    fn paused_until(&self, node: Node) -> u64 {
        match node {
            Node::Replica(replica) => self.replicas[replica.index()].paused_until,
            Node::Client(slot) => self.clients[slot as usize].paused_until,
        }
    }

    /// Lets a replica act and then looks at it.
    fn replica_acts(
        &mut self,
        node: Node,
        act: impl FnOnce(&mut Replica<W::Service, R>, Instant, &mut ReplicaPort<'_, W>),
    ) {
        let Node::Replica(id) = node else { unreachable!("a replica acts") };
        let slot = &mut self.replicas[id.index()];
        let Some(replica) = &mut slot.replica else { return };
        let now = slot.clock.read(self.environment.now);
        self.acting = Some(node);
        act(replica, now, &mut ReplicaPort { replica: id, environment: &mut self.environment });
        self.acting = None;
        self.after_replica(id);
    }

    fn after_replica(&mut self, id: ReplicaId) {
        let slot = &mut self.replicas[id.index()];
        let Some(replica) = &slot.replica else { return };
        let (role, view) = (replica.role(), replica.view());
        let before = self.environment.checks.members[id].role;
        let view_before = self.environment.checks.members[id].view;
        self.environment.checks.after_step::<W, R>(id, replica);
        let state = view.0 << 2 ^ role as u64 ^ replica.op_number().0 << 40 ^ replica.commit_number().0 << 20;
        self.environment.digest = digest::mix(self.environment.digest, state);
        let deadline_changed = slot.clock.read(slot.timer_at.min(u64::MAX >> 2)) > replica.next_deadline();
        if before != Some(role) || view_before != view {
            self.role_changed(id, before, role, view);
        }
        if deadline_changed {
            self.schedule_replica_timer(id.index());
        }
    }

    fn role_changed(&mut self, id: ReplicaId, before: Option<Role>, role: Role, view: View) {
        self.environment.line(Some(Node::Replica(id)), None, || format!("  is now {role:?} of view {view}"));
        if before == Some(Role::Recovering) && role != Role::Recovering {
            self.environment.marks.moment(Moment::Recovery);
        }
        match role {
            Role::Primary => {
                self.replicas[id.index()].was_primary_of = Some(view);
                let is_primary = |slot: &&ReplicaSlot<W, R>| {
                    slot.replica.as_ref().is_some_and(|replica| replica.role() == Role::Primary)
                };
                if self.replicas.iter().filter(is_primary).count() > 1 {
                    self.environment.marks.moment(Moment::TwoPrimaries);
                }
            }
            Role::Backup if self.replicas[id.index()].was_primary_of.take().is_some() => {
                self.environment.marks.moment(Moment::OldPrimaryCaughtUp);
            }
            _ => {}
        }
    }

    fn schedule_replica_timer(&mut self, index: usize) {
        let slot = &mut self.replicas[index];
        let Some(replica) = &slot.replica else { return };
        let at =
            slot.clock.when(replica.next_deadline()).max(self.environment.now).max(slot.timers_late_until);
        if at < slot.timer_at {
            slot.timer_at = at;
            self.environment.queue.push(at, Event::Timer(Node::Replica(ReplicaId(index as u8))));
        }
    }

    fn schedule_client_timer(&mut self, index: usize) {
        let slot = &mut self.clients[index];
        let at = slot.clock.when(slot.client.next_deadline()).max(self.environment.now);
        if at < slot.timer_at {
            slot.timer_at = at;
            self.environment.queue.push(at, Event::Timer(Node::Client(index as u16)));
        }
    }

    /// A timer event. Deadlines move away all the time; the event of an earlier one finds that out here,
    /// and is no step.
    fn timer(&mut self, node: Node) {
        let now = self.environment.now;
        let paused_until = self.paused_until(node);
        let (timer_at, due) = match node {
            Node::Replica(replica) => {
                let slot = &mut self.replicas[replica.index()];
                let deadline = slot.replica.as_ref().map_or(Instant::NEVER, Replica::next_deadline);
                (&mut slot.timer_at, slot.clock.read(now) >= deadline && now >= slot.timers_late_until)
            }
            Node::Client(client) => {
                let slot = &mut self.clients[client as usize];
                (&mut slot.timer_at, slot.clock.read(now) >= slot.client.next_deadline())
            }
        };
        if *timer_at != now {
            return;
        }
        if paused_until > now {
            *timer_at = paused_until;
            return self.environment.queue.push(paused_until, Event::Timer(node));
        }
        *timer_at = u64::MAX;
        if due { self.fire(node, None) } else { self.schedule_timer(node) }
    }

    fn schedule_timer(&mut self, node: Node) {
        match node {
            Node::Replica(replica) => self.schedule_replica_timer(replica.index()),
            Node::Client(slot) => self.schedule_client_timer(slot as usize),
        }
    }

    /// A node's timer fires; when early, at the reading that it was set for.
    fn fire(&mut self, node: Node, early: Option<Instant>) {
        self.begin_step(u64::from(node.number()) << 8 | 1);
        self.environment
            .line(Some(node), None, || format!("timer fires{}", if early.is_some() { " early" } else { "" }));
        match node {
            Node::Replica(_) => self.replica_acts(node, |replica, now, port| {
                replica.on_timeout(early.unwrap_or(now), port);
            }),
            Node::Client(slot) => {
                let client = &mut self.clients[slot as usize];
                let now = early.unwrap_or_else(|| client.clock.read(self.environment.now));
                if client.client.is_waiting() && now >= client.client.next_deadline() {
                    self.environment.marks.moment(Moment::RequestRetried);
                }
                client.client.on_timeout(now, &mut ClientPort { slot, environment: &mut self.environment });
            }
        }
        self.schedule_timer(node);
        self.end_step();
    }

    // ---- Clients ---------------------------------------------------------------------------------

    fn wake(&mut self, slot: u16, life: u32) {
        if self.environment.life(Node::Client(slot)) as u32 != life {
            return;
        }
        let paused_until = self.clients[slot as usize].paused_until;
        if paused_until > self.environment.now {
            return self.environment.queue.push(paused_until, Event::Wake { slot, life });
        }
        let client = &self.clients[slot as usize];
        if client.client.is_waiting() || (client.client.id().is_some() && client.next.is_none()) {
            return;
        }
        self.begin_step(u64::from(Node::Client(slot).number()) << 8 | 2);
        self.client_goes_on(slot);
        self.end_step();
    }

    /// The client registers, or makes the request that it has decided on.
    fn client_goes_on(&mut self, slot: u16) {
        let client = &mut self.clients[slot as usize];
        let now = client.clock.read(self.environment.now);
        if client.client.id().is_none() {
            self.environment.line(Some(Node::Client(slot)), None, || "registers".to_owned());
            client.client.register(now, &mut ClientPort { slot, environment: &mut self.environment });
            return self.schedule_client_timer(slot as usize);
        }
        let Some(operation) = client.next.take() else { return };
        let number = client.decided;
        let address = client.client.address();
        self.environment.line(Some(Node::Client(slot)), None, || format!("requests {operation:?}"));
        self.environment.checks.requested(slot, address, number, &operation);
        let called = self.environment.tick();
        client.calling = Some(self.environment.history.len());
        let call = crate::check::linearizability::Call {
            client: slot.into(),
            operation: operation.clone(),
            called,
            returned: None,
        };
        self.environment.history.push(call);
        self.environment.callers.push((address, number));
        let request = client.client.request(
            now,
            operation,
            &mut ClientPort { slot, environment: &mut self.environment },
        );
        assert_eq!(request.map(|request| request.0), Ok(number), "the proxy counts as the slot does");
        if self.setup.traffic.patience_us > 0 {
            let at = self.environment.now + self.setup.traffic.patience_us * 1_000;
            let life = self.environment.life(Node::Client(slot)) as u32;
            self.environment.queue.push(at, Event::Patience { slot, life, request: number });
        }
        self.schedule_client_timer(slot as usize);
    }

    fn client_hears(&mut self, slot: u16, reply: vr::Reply<W::Response>) {
        let client = &mut self.clients[slot as usize];
        let now = client.clock.read(self.environment.now);
        self.acting = Some(Node::Client(slot));
        let event =
            client.client.on_reply(now, reply, &mut ClientPort { slot, environment: &mut self.environment });
        self.acting = None;
        match event {
            None => self.schedule_client_timer(slot as usize),
            Some(ClientEvent::Registered(_)) => self.client_decides(slot),
            Some(ClientEvent::Executed { number, op_number, response }) => {
                let call = client.calling.take().expect("an answer to a request that was made");
                self.environment
                    .line(Some(Node::Client(slot)), None, || format!("  is answered {response:?}"));
                self.environment.checks.answered(slot, number.0, op_number, &response);
                let returned = self.environment.tick();
                self.environment.history[call].returned = Some((returned, response));
                self.environment.marks.answered += 1;
                if let Some(probes) = &mut client.probes {
                    *probes = probes.saturating_sub(1);
                }
                self.client_decides(slot);
            }
            Some(ClientEvent::Evicted) => {
                self.environment.marks.moment(Moment::ClientEvicted);
                self.start_client_over(slot);
            }
        }
    }

    /// The client decides what to ask for next, and asks at once or later.
    fn client_decides(&mut self, slot: u16) {
        let client = &mut self.clients[slot as usize];
        if client.is_done() {
            return;
        }
        let Some(pause) = client.decide(&self.setup, &mut self.environment) else { return };
        if pause == 0 && client.paused_until <= self.environment.now {
            return self.client_goes_on(slot);
        }
        let life = self.environment.life(Node::Client(slot)) as u32;
        self.environment.queue.push(self.environment.now + pause, Event::Wake { slot, life });
    }

    fn start_client_over(&mut self, slot: u16) {
        let rules = self.rules.clone();
        self.clients[slot as usize].start_over(&self.setup, rules, &mut self.environment);
        self.environment.line(Some(Node::Client(slot)), None, || "starts over as a new client".to_owned());
        self.client_goes_on(slot);
    }

    fn lose_patience(&mut self, slot: u16, life: u32, request: u64) {
        let client = &self.clients[slot as usize];
        let is_current =
            self.environment.life(Node::Client(slot)) as u32 == life && client.decided == request;
        if !is_current || client.calling.is_none() || client.probes.is_some() {
            return;
        }
        self.begin_step(u64::from(Node::Client(slot).number()) << 8 | 3);
        self.environment.marks.moment(Moment::RequestAbandoned);
        self.start_client_over(slot);
        self.end_step();
    }

    // ---- Faults ----------------------------------------------------------------------------------

    fn scene(&self) -> Scene {
        let role = |slot: &ReplicaSlot<W, R>| slot.replica.as_ref().map(Replica::role);
        let views = self.replicas.iter().filter_map(|slot| Some(slot.replica.as_ref()?.view()));
        Scene {
            roles: self.replicas.iter().map(role).collect(),
            view: views.max().unwrap_or(View::ZERO),
            clients: self.setup.clients,
        }
    }

    fn strike(&mut self, index: usize) {
        if !matches!(self.phase, Phase::Faults) {
            return;
        }
        self.begin_step((index as u64) << 8 | 4);
        let scene = self.scene();
        match self.sources[index].strike(&self.setup, &scene) {
            Strike::Nothing => {}
            Strike::Ambush(ambush) => self.environment.ambushes.push(ambush),
            Strike::Now(action) => self.perform(None, action),
        }
        let at = self.environment.now + self.sources[index].next_in(&self.setup);
        self.environment.queue.push(at, Event::Strike(index));
        self.end_step();
    }

    fn scripted(&mut self, index: usize) {
        if !matches!(self.phase, Phase::Faults) {
            return;
        }
        let Some(script) = self.environment.script.clone() else { return };
        self.begin_step((index as u64) << 8 | 5);
        self.perform(None, script.actions[index].1.clone());
        self.end_step();
    }

    /// The moment of the protocol that a crash was waiting for has come.
    fn spring(&mut self) {
        if let Some((identity, action)) = self.environment.triggered.take()
            && matches!(self.phase, Phase::Faults)
        {
            self.perform(Some(identity), action);
        }
        if let Some(sprung) = self.environment.sprung.take() {
            let crate::faults::Ambush { target, restart_after } = sprung.ambush;
            let replica = sprung.replica.0;
            self.perform(Some(sprung.at), Action::Crash { replica, target, restart_after });
        }
    }

    fn perform(&mut self, when_sent: Option<Identity>, action: Action) {
        if let Action::Crash { replica, .. } = action
            && !self.may_crash(ReplicaId(replica))
        {
            return;
        }
        self.environment.marks.action(&action);
        self.environment.line(None, None, || format!("fault: {}", describe_action(&action)));
        if let Some(record) = &mut self.environment.record {
            record.actions.push(Done { at: self.environment.now, when_sent, action: action.clone() });
        }
        let now = self.environment.now;
        match action {
            Action::Cut { links, lasts, .. } => {
                self.environment.network.cut(&links);
                self.environment.queue.push(now + lasts, Event::Mend(links));
            }
            Action::Clog { links, lasts } => self.environment.network.clog(&links, now + lasts),
            Action::Crash { replica, restart_after, .. } => self.crash(ReplicaId(replica), restart_after),
            Action::Pause { node, lasts } => {
                let until = self.paused_until_mut(node);
                *until = (now + lasts).max(*until);
            }
            Action::FireEarly { node } => self.fire_early(node),
            Action::FireLate { node, lasts } => {
                if let Node::Replica(replica) = node {
                    self.replicas[replica.index()].timers_late_until = now + lasts;
                }
            }
            Action::CrashClient { slot } => {
                if self.clients[slot as usize].calling.is_some() {
                    self.environment.marks.moment(Moment::ClientCrashedWaiting);
                }
                self.start_client_over(slot);
            }
        }
    }

    fn paused_until_mut(&mut self, node: Node) -> &mut u64 {
        match node {
            Node::Replica(replica) => &mut self.replicas[replica.index()].paused_until,
            Node::Client(slot) => &mut self.clients[slot as usize].paused_until,
        }
    }

    fn fire_early(&mut self, node: Node) {
        let deadline = match node {
            Node::Replica(id) => self.replicas[id.index()].replica.as_ref().map(Replica::next_deadline),
            Node::Client(slot) => Some(self.clients[slot as usize].client.next_deadline()),
        };
        if let Some(deadline) = deadline.filter(|&deadline| deadline != Instant::NEVER)
            && self.paused_until(node) <= self.environment.now
        {
            self.end_step();
            self.fire(node, Some(deadline));
        }
    }

    fn mend(&mut self, links: &[(Node, Node)]) {
        if matches!(self.phase, Phase::Faults) {
            self.begin_step(6);
            self.environment.network.mend(links);
            self.environment.line(None, None, || format!("mended: {} links", links.len()));
            self.end_step();
        }
    }

    /// Whether a crash stays within what the group can stand; a scenario may want more than that.
    fn may_crash(&mut self, id: ReplicaId) -> bool {
        let members = &self.environment.checks.members;
        if self.replicas[id.index()].replica.is_none() {
            return false;
        }
        let amnesiacs = members.amnesiacs() + usize::from(!members[id].is_amnesiac());
        if amnesiacs <= members.failures_tolerated() {
            return true;
        }
        if self.setup.faults.crash.as_ref().is_some_and(|crash| crash.beyond_budget) {
            self.budget_exceeded = true;
            self.environment.marks.moment(Moment::BudgetExceeded);
            return true;
        }
        self.environment.marks.moment(Moment::CrashRefused);
        false
    }

    fn crash(&mut self, id: ReplicaId, restart_after: u64) {
        let slot = &mut self.replicas[id.index()];
        if self.environment.checks.members[id].role == Some(Role::Recovering) {
            self.environment.marks.moment(Moment::CrashWhileRecovering);
        }
        slot.replica = None;
        slot.paused_until = 0;
        slot.timer_at = u64::MAX;
        slot.was_primary_of = None;
        slot.crashed_at = self.environment.now;
        self.environment.checks.crashed(id);
        self.environment.marks.moment(Moment::Crash);
        self.environment.queue.push(self.environment.now + restart_after, Event::Restart(id));
    }

    fn restart(&mut self, id: ReplicaId) {
        if self.replicas[id.index()].replica.is_some() {
            return;
        }
        if let Phase::Progress { core, .. } = &self.phase
            && !core.contains(&id)
        {
            return;
        }
        self.begin_step(u64::from(id.0) << 8 | 7);
        self.start_again(id);
        self.end_step();
    }

    fn start_again(&mut self, id: ReplicaId) {
        let node = Node::Replica(id);
        let incarnation = Incarnation(self.environment.next_life(node));
        self.environment.checks.restarted(id, incarnation);
        self.environment.marks.moment(Moment::Restart);
        self.environment.line(Some(node), None, || format!("starts again, in life {incarnation}"));
        let changing = |slot: &ReplicaSlot<W, R>| {
            slot.replica.as_ref().is_some_and(|replica| replica.role() == Role::ViewChange)
        };
        if self.replicas.iter().any(changing) {
            self.environment.marks.moment(Moment::RecoveryDuringViewChange);
        }
        let slot = &mut self.replicas[id.index()];
        if self.environment.now - slot.crashed_at < self.setup.protocol.primary_timeout_us * 1_000 {
            self.environment.marks.moment(Moment::QuickRestart);
        }
        let member = member(&self.setup, id, slot.jitter.random());
        let now = slot.clock.read(self.environment.now);
        self.acting = Some(node);
        let mut port = ReplicaPort { replica: id, environment: &mut self.environment };
        slot.replica =
            Some(Replica::recover(now, member, incarnation, self.rules.clone(), W::service(), &mut port));
        self.acting = None;
        self.after_replica(id);
        self.schedule_replica_timer(id.index());
    }

    // ---- After the faults ------------------------------------------------------------------------

    /// The faults stop: a core of replicas is brought up and connected.
    fn heal(&mut self) {
        if !matches!(self.phase, Phase::Faults) {
            return;
        }
        let members = &self.environment.checks.members;
        let ids = || (0..self.setup.replicas).map(ReplicaId);
        let (holders, amnesiacs): (Vec<_>, Vec<_>) = ids().partition(|&id| !members[id].is_amnesiac());
        let quorum = members.quorum();
        self.healed_at_step = Some(self.environment.steps);
        self.environment.network.heal();
        self.environment.ambushes.clear();
        let now = self.environment.now;
        let core = self.choose_core(quorum, &holders, &amnesiacs);
        self.environment.line(None, None, || format!("the faults stop; the core is {core:?}"));
        if let Some(record) = &mut self.environment.record {
            let names = core.iter().map(|id| id.0).collect();
            record.healed = Some(Healed { at: now, core: names });
        }
        self.isolate_the_rest(&core);
        self.wake_everybody(&core);
        if holders.len() < quorum {
            // Messages that were on their way may still be answered; then silence.
            let until = now + self.setup.protocol.view_change_timeout_us * 1_000 * 40;
            // With f + 1 of an even group the lost ones can recover, if the primary is among them.
            let demanded = holders.len() <= self.environment.checks.members.failures_tolerated();
            self.phase = Phase::Stuck { until, calls_before: self.environment.history.len(), demanded };
        } else {
            let liveness = Liveness::new(&self.setup, now, self.environment.checks.views_started());
            self.phase = Phase::Progress { core, liveness };
        }
    }

    /// Everybody, or a quorum of those who have their memory and some of those who have not.
    fn choose_core(
        &mut self,
        quorum: usize,
        holders: &[ReplicaId],
        amnesiacs: &[ReplicaId],
    ) -> Vec<ReplicaId> {
        if let Some(healed) = self.environment.script.as_ref().and_then(|script| script.healed.clone()) {
            return healed.core.into_iter().map(ReplicaId).collect();
        }
        let mut random = random::stream(self.setup.seed, Purpose::Heal);
        let everybody = random.chance(500_000) || holders.len() < quorum;
        let mut core = holders.to_vec();
        if !everybody {
            let size = quorum as u64 + random.below((holders.len() - quorum) as u64 + 1);
            while core.len() as u64 > size {
                core.remove(random.below(core.len() as u64) as usize);
            }
            self.environment.marks.moment(Moment::SmallCore);
        }
        for &id in amnesiacs {
            if everybody || random.chance(500_000) {
                core.push(id);
                self.environment.marks.moment(Moment::CoreRecovers);
            }
        }
        core.sort_unstable();
        core
    }

    fn isolate_the_rest(&mut self, core: &[ReplicaId]) {
        let replicas = (0..self.setup.replicas).map(|id| Node::Replica(ReplicaId(id)));
        let nodes: Vec<Node> = replicas.chain((0..self.setup.clients).map(Node::Client)).collect();
        let outside = |node: &Node| matches!(node, Node::Replica(id) if !core.contains(id));
        let links: Vec<(Node, Node)> = nodes
            .iter()
            .flat_map(|&from| nodes.iter().map(move |&to| (from, to)))
            .filter(|(from, to)| from != to && (outside(from) || outside(to)))
            .collect();
        self.environment.network.cut(&links);
    }

    /// Pauses end, crashed members of the core start again, clients make their last requests.
    fn wake_everybody(&mut self, core: &[ReplicaId]) {
        let now = self.environment.now;
        for index in 0..self.replicas.len() {
            self.replicas[index].paused_until = 0;
            self.replicas[index].timers_late_until = 0;
            self.schedule_replica_timer(index);
            let id = ReplicaId(index as u8);
            if self.replicas[index].replica.is_none() && core.contains(&id) {
                self.environment.queue.push(now, Event::Restart(id));
            }
        }
        for slot in 0..self.setup.clients {
            let client = &mut self.clients[slot as usize];
            client.paused_until = 0;
            client.probes = Some(PROBES);
            let idle = client.client.id().is_some() && !client.client.is_waiting();
            if idle && client.next.is_none() {
                client.decide(&self.setup, &mut self.environment);
            }
            let life = self.environment.life(Node::Client(slot)) as u32;
            self.environment.queue.push(now, Event::Wake { slot, life });
            self.schedule_client_timer(slot as usize);
        }
    }

    fn look(&mut self) {
        let now = self.environment.now;
        match &mut self.phase {
            Phase::Progress { core, liveness } => {
                if !self.environment.steps.is_multiple_of(LOOK_INTERVAL) {
                    return;
                }
                let seen: Vec<Seen> =
                    core.iter().map(|&id| seen::<W, R>(id, &self.replicas[id.index()])).collect();
                let waiting: Vec<u16> = self
                    .clients
                    .iter()
                    .filter(|client| !client.is_done())
                    .map(|client| client.slot)
                    .collect();
                if waiting.is_empty() && Liveness::converged(&seen) {
                    self.phase = Phase::Over;
                } else {
                    let checks = &mut self.environment.checks;
                    let views = checks.views_started();
                    liveness.look(now, &seen, &waiting, views, &mut checks.findings);
                }
            }
            Phase::Stuck { until, calls_before, demanded } => {
                let answered =
                    self.environment.history[*calls_before..].iter().any(|call| call.returned.is_some());
                if answered && *demanded {
                    let witness =
                        "a request was answered although more memory was lost than the group can stand";
                    self.environment.checks.findings.add(Property::Stuck, "answered", witness);
                }
                if now >= *until {
                    self.phase = Phase::Over;
                }
            }
            Phase::Faults | Phase::Over => {}
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
        self.environment.checks.findings.first()
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

    /// Whether the scenario's expectation was put to the test.
    #[must_use]
    pub fn is_stuck_as_expected(&self) -> bool {
        self.setup.expect == Expectation::Stuck && self.budget_exceeded
    }

    /// The counters.
    #[must_use]
    pub fn marks(&self) -> &Marks {
        &self.environment.marks
    }

    /// What was recorded.
    pub fn take_record(&mut self) -> Option<Box<Decisions<W::Operation>>> {
        self.environment.record.take()
    }

    /// Holds every replica's log against what it told of it.
    pub fn audit(&mut self) {
        for (index, slot) in self.replicas.iter().enumerate() {
            if let Some(replica) = &slot.replica {
                self.environment.checks.audit::<W, R>(ReplicaId(index as u8), replica);
            }
        }
    }
}

fn seen<W: Workload, R: Rules>(id: ReplicaId, slot: &ReplicaSlot<W, R>) -> Seen {
    let replica = slot.replica.as_ref();
    Seen {
        replica: id.0,
        role: replica.map(Replica::role),
        view: replica.map_or(View::ZERO, Replica::view),
        op_number: replica.map_or(0, |replica| replica.op_number().0),
        commit_number: replica.map_or(0, |replica| replica.commit_number().0),
        state: replica.map_or(0, |replica| W::digest(replica.service())),
        fetching: replica.is_some_and(Replica::is_fetching),
    }
}

fn new_replica<W: Workload, R: Rules + Clone>(
    setup: &Setup,
    id: ReplicaId,
    rules: &R,
    clocks: &mut ChaCha8Rng,
) -> ReplicaSlot<W, R> {
    let clock = draw_clock(setup, clocks);
    let mut jitter = random::stream(setup.seed, Purpose::Jitter(Node::Replica(id).number()));
    let member = member(setup, id, jitter.random());
    ReplicaSlot {
        replica: Some(Replica::new(clock.read(0), member, rules.clone(), W::service())),
        clock,
        paused_until: 0,
        timers_late_until: 0,
        timer_at: u64::MAX,
        jitter,
        crashed_at: 0,
        was_primary_of: None,
    }
}

fn draw_clock(setup: &Setup, random: &mut ChaCha8Rng) -> Clock {
    let Some(clock) = &setup.faults.clock else { return Clock::new(0, 0) };
    let mut around_zero = |max: u64| random.below(2 * max + 1) as i64 - max as i64;
    Clock::new(around_zero(clock.offset_max_us), around_zero(clock.drift_max_ppm.into()))
}

fn member(setup: &Setup, id: ReplicaId, entropy: u64) -> Member {
    let protocol = &setup.protocol;
    Member {
        id,
        group: Configuration::new(setup.replicas.into()).expect("a validated group size"),
        options: Options {
            heartbeat_interval: Duration::from_micros(protocol.heartbeat_us),
            primary_timeout: Duration::from_micros(protocol.primary_timeout_us),
            view_change_timeout: Duration::from_micros(protocol.view_change_timeout_us),
            resend_interval: Duration::from_micros(protocol.resend_us),
            abdication_timeout: Duration::from_micros(protocol.abdication_us),
            backoff_limit: protocol.backoff_limit,
            pipeline_max: protocol.pipeline_max as usize,
            sessions_max: protocol.sessions_max as usize,
        },
        entropy,
    }
}

fn describe<O: std::fmt::Debug, R: std::fmt::Debug>(packet: &Packet<O, R>, identity: &Identity) -> String {
    use vr::{Payload, RequestBody};
    let detail = match packet {
        Packet::Peer(message) => match &message.payload {
            Payload::Prepare(prepare) => {
                format!(": {:?}, commit {}", prepare.entry.request.body, prepare.commit_number)
            }
            Payload::DoViewChange(vote) => format!(
                ": log to op {}, last normal in view {}, commit {}",
                vote.log.last(),
                vote.last_normal_view,
                vote.commit_number
            ),
            Payload::StartView(start) => {
                format!(": log to op {}, commit {}", start.log.last(), start.commit_number)
            }
            Payload::RecoveryResponse(response) => match &response.state {
                Some(state) => format!(": log to op {}, commit {}", state.log.last(), state.commit_number),
                None => ": no state".to_owned(),
            },
            Payload::NewState(state) => {
                format!(": {} entries, commit {}", state.entries.len(), state.commit_number)
            }
            _ => String::new(),
        },
        Packet::Request(request) => match &request.body {
            RequestBody::Register => ": register".to_owned(),
            RequestBody::Operation { operation, .. } => format!(": {operation:?}"),
        },
        Packet::Reply(_, reply) => format!(": {:?}", reply.body),
    };
    format!("{identity}{detail}")
}

fn describe_action(action: &Action) -> String {
    let millis = |nanos: &u64| format!("{}.{:03} ms", nanos / 1_000_000, nanos / 1_000 % 1_000);
    match action {
        Action::Cut { shape, links, lasts } => {
            format!("partition {shape:?}, {} links for {}", links.len(), millis(lasts))
        }
        Action::Clog { links, lasts } => format!("{} links clogged for {}", links.len(), millis(lasts)),
        Action::Crash { replica, target, restart_after } => {
            format!("r{replica} crashes ({target:?}), starts again after {}", millis(restart_after))
        }
        Action::Pause { node, lasts } => format!("{node} stands still for {}", millis(lasts)),
        Action::FireEarly { node } => format!("{node}'s timer fires early"),
        Action::FireLate { node, lasts } => format!("{node}'s timers are late by {}", millis(lasts)),
        Action::CrashClient { slot } => format!("c{slot} crashes"),
    }
}
