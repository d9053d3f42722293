//! Everything around the nodes: time, the network, the checks, the counters, the record of the run.

use std::sync::Arc;

use vr::{
    Checkpoint, ClientAddress, ClientOutbox, Entry, EpochStart, Execution, GroupId, Ignored, Message,
    Observation, OpNumber, Outbox, Outcome, RarePath, Read, Refusal, ReplicaId, Reply, ReplyBody, Request,
    RequestBody, Role, Service, ViewStart,
};

use crate::bugs::Sabotage;
use crate::check::Checks;
use crate::check::linearizability::Call;
use crate::check::members::Member;
use crate::chronicle::{Cause, Chronicle, Did, Effect, Sent, Who, describe};
use crate::decisions::{Decisions, Done, Healed, Script};
use crate::digest;
use crate::event_queue::EventQueue;
use crate::faults::{Action, Ambush};
use crate::groups::{GroupChecks, Placement};
use crate::guided::coverage::Coverage;
use crate::hosts::mail::Mail;
use crate::marks::{Fault, Marks, Moment};
use crate::network::{Dropped, Fate, Network, Route, Routed, ScriptedFates};
use crate::node::Node;
use crate::packet::{Identity, Kind, Packet};
use crate::setup::{CrashTarget, Setup};
use crate::stage::{Answer, Cast, Kept, Rules, Stage, Which};
use crate::timeline::Recording;
use crate::workload::Workload;

/// Stands for the number of a request where there is none: no entry of the log has it.
pub const NOT_IN_THE_LOG: u64 = u64::MAX;

/// One of so many messages goes to another group, where groups are mixed up.
const MIXED_UP: u64 = 64;

/// For how many calls there is room from the beginning: most runs make fewer.
const ROOM: usize = 512;

/// A message on its way.
#[derive(Clone)]
pub struct Delivery<W: Workload> {
    /// Who sent it.
    pub from: Node,
    /// To whom.
    pub to: Node,
    /// In which life the sender was.
    pub life: u32,
    /// The message's number in the chronicle, if one is kept.
    pub message: u32,
    /// A digest of what it is: see [`Routed`].
    pub digest: u64,
    /// The message.
    pub packet: Packet<W::Service>,
}

/// Something that will happen.
#[derive(Clone)]
pub enum Event<W: Workload> {
    /// A message arrives.
    Deliver(Delivery<W>),
    /// A node's deadline passes.
    Timer(Node),
    /// A client makes its next request.
    Wake {
        /// The client's slot.
        slot: u16,
        /// The client's life.
        life: u32,
    },
    /// A client runs out of patience.
    Patience {
        /// The client's slot.
        slot: u16,
        /// The client's life.
        life: u32,
        /// The request it waits for.
        request: u64,
    },
    /// A fault family strikes.
    Strike(usize),
    /// An action of a script is due.
    Scripted(usize),
    /// Cut links carry messages again.
    Mend(Arc<[(Node, Node)]>),
    /// A replica starts again.
    Restart(ReplicaId),
    /// A script's heal is due.
    Heal,
}

/// A moment of the protocol at which a crash was waiting has come.
#[derive(Clone, Copy, Debug)]
pub struct Sprung {
    /// Whom it hits.
    pub replica: ReplicaId,
    /// What was waiting.
    pub ambush: Ambush,
    /// The message at whose sending the moment came.
    pub at: Identity,
}

/// A message that waits for its receiver to become normal in a later view.
#[derive(Clone)]
pub struct Parked<W: Workload> {
    view: u64,
    delay: u64,
    delivery: Delivery<W>,
}

/// Something that happens to a node once it goes on.
#[derive(Clone)]
pub struct Postponed<W: Workload> {
    /// The node.
    pub to: Node,
    /// What happens.
    pub event: Event<W>,
}

/// Everything around the nodes.
#[derive(Clone)]
pub struct Environment<W: Workload> {
    /// Virtual time, in nanoseconds.
    pub now: u64,
    /// Events dispatched so far.
    pub steps: u64,
    /// What will happen.
    pub queue: EventQueue<Event<W>>,
    /// The links.
    pub network: Network,
    /// Who is where.
    pub placement: Arc<Placement>,
    /// What must hold, of each group.
    pub checks: GroupChecks,
    /// What has been counted.
    pub marks: Marks,
    /// A digest of everything that has happened.
    pub digest: u64,
    /// The life that each node is in, in the order of nodes.
    pub lives: Vec<u64>,
    /// The clients' history.
    pub history: Vec<Call<W::Operation, W::Response>>,
    /// Who made each call of the history: the process and the request's number.
    pub callers: Vec<(ClientAddress, u64)>,
    /// The linearizable reads of the history that were answered without the log, each with its version: the
    /// op-number after which the state was looked at.
    pub versions: Vec<(OpNumber, usize)>,
    /// The number of the next event of the history.
    pub history_clock: u64,
    /// What is recorded, if the run is.
    pub record: Option<Box<Decisions<W::Operation>>>,
    /// The decisions by time and place, if they are wanted.
    pub recording: Option<Box<Recording<W::Operation>>>,
    /// What happens in place of chance, if the run is scripted.
    pub script: Option<Arc<Script<W::Operation>>>,
    /// Everything that happens, if somebody wants to read it.
    pub chronicle: Option<Box<Chronicle>>,
    /// Messages that outlast the view they were sent in.
    pub parked: Vec<Parked<W>>,
    /// Crashes that wait for a moment of the protocol.
    pub ambushes: Vec<Ambush>,
    /// The ambush that this step has sprung.
    pub sprung: Option<Sprung>,
    /// A scripted action whose moment has come in this step.
    pub triggered: Option<(Identity, Action)>,
    /// The story that is played, if one is.
    pub stage: Option<Box<Stage<W>>>,
    /// What came to nodes that stand still until somebody resumes them.
    pub waiting: Vec<Postponed<W>>,
    /// What goes wrong outside of the rules: a planted bug.
    pub sabotage: Option<Sabotage>,
    /// What is reached, if somebody wants to know.
    pub coverage: Option<Box<Coverage>>,
    /// Where whoever starts looks its group up: of each, the last epoch of which the administrator knows that it has
    /// started. Another may have followed.
    pub directory: Vec<EpochStart>,
    replicas: usize,
}

impl<W: Workload> Environment<W> {
    /// The environment of a run at its beginning.
    #[must_use]
    pub fn new(setup: &Setup, script: Option<Arc<Script<W::Operation>>>, record: bool) -> Self {
        let fates = script.as_ref().map(|script| script.fates.clone());
        // A script that was made from a story takes its place.
        let story = setup.story.clone().filter(|_| script.is_none());
        let fates = fates.or_else(|| story.is_some().then(|| ScriptedFates::Told(Rules::default())));
        let placement = Arc::new(Placement::new(setup));
        let directory = (0..placement.groups()).map(|group| EpochStart::first(placement.members(group)));
        let cast = Cast { replicas: setup.nodes(), clients: setup.clients };
        let stage = story.map(|story| Box::new(Stage::new(story, cast)));
        Self {
            now: 0,
            steps: 0,
            queue: EventQueue::default(),
            network: Network::new(setup, &placement, fates),
            checks: GroupChecks::new(setup, &placement),
            marks: Marks::default(),
            digest: digest::mix(0, setup.seed),
            lives: vec![0; usize::from(setup.nodes()) + usize::from(setup.client_slots())],
            history: Vec::with_capacity(ROOM),
            callers: Vec::with_capacity(ROOM),
            versions: Vec::new(),
            history_clock: 0,
            record: record.then(Box::default),
            recording: None,
            script,
            chronicle: None,
            parked: Vec::new(),
            ambushes: Vec::new(),
            sprung: None,
            triggered: None,
            stage,
            waiting: Vec::new(),
            sabotage: None,
            coverage: None,
            directory: directory.collect(),
            placement,
            replicas: usize::from(setup.nodes()),
        }
    }

    /// An operation with a prediction is executed: from the first time on, its call in the history tells what came of it.
    #[cold]
    fn predicted(&mut self, replica: ReplicaId, execution: &Execution<'_, W::Service>) {
        let request = &execution.entry.request;
        let (RequestBody::Operation { number, operation, .. }, Outcome::Executed(response)) =
            (&request.body, &execution.outcome)
        else {
            return;
        };
        if !self.checks[replica].ghost.is_next(execution.op_number) {
            return;
        }
        let caller = (request.address, number.0);
        // The call was made a short while ago.
        let call = self.callers.iter().rposition(|&known| known == caller);
        if let (Some(call), Some(executed)) = (call, W::as_executed(operation, response)) {
            self.history[call].operation = executed;
        }
    }

    /// What a script says is due at its time.
    pub fn schedule_script(&mut self) {
        let Some(script) = &self.script else { return };
        for (index, (at, _)) in script.actions.iter().enumerate() {
            self.queue.push(*at, Event::Scripted(index));
        }
        if let Some(healed) = &script.healed {
            // After everything else that happens at that time.
            self.queue.push(healed.at + 1, Event::Heal);
        }
    }

    /// Counts a step, in which `what` happened; `cause` says the same to readers.
    #[inline]
    pub fn begin_step(&mut self, what: u64, cause: Cause) {
        self.steps += 1;
        self.digest = digest::mix(self.digest, self.now ^ what.rotate_left(32));
        self.checks.at(self.steps, self.now);
        if let Some(chronicle) = &mut self.chronicle {
            chronicle.begin(self.steps, self.now, cause);
        }
    }

    /// A message arrives, of a sender that was in this life: a step begins.
    #[inline]
    pub fn arrives(&mut self, from: Node, life: u32, message: u32, digest: u64) {
        self.begin_step(digest, Cause::Arrival(message));
        self.marks.delivered += 1;
        if u64::from(life) < self.life(from) {
            self.marks.moment(Moment::DeliveredFromEarlierLife);
        }
    }

    /// A message has come to a node that stands still.
    #[cold]
    pub fn waits(&mut self, message: u32) {
        self.marks.moment(Moment::DeliveredAfterPause);
        if let Some(chronicle) = &mut self.chronicle {
            chronicle.waits(message);
        }
    }

    /// Records what everything that happened up to this step comes to.
    #[inline]
    pub fn end_step(&mut self) {
        if let Some(record) = &mut self.record {
            record.hashes.push(self.digest as u32);
        }
    }

    /// The number of the next event of the history.
    pub const fn tick(&mut self) -> u64 {
        self.history_clock += 1;
        self.history_clock
    }

    /// The life that `node` is in.
    #[inline]
    #[must_use]
    pub fn life(&self, node: Node) -> u64 {
        self.lives[node.index(self.replicas)]
    }

    /// The address of the client process that is in a slot now.
    #[must_use]
    pub fn address_in(&self, slot: u16) -> ClientAddress {
        let returns = self.sabotage == Some(Sabotage::ClientsReturn);
        address_of(slot, if returns { 1 } else { self.life(Node::Client(slot)) })
    }

    /// The node enters its next life.
    pub fn next_life(&mut self, node: Node) -> u64 {
        let life = &mut self.lives[node.index(self.replicas)];
        *life += 1;
        *life
    }

    /// From here on nothing is sent from or to nodes outside.
    pub fn isolate(&mut self, is_outside: impl Fn(&Node) -> bool) {
        let clients = (self.lives.len() - self.replicas) as u16;
        let replicas = (0..self.replicas as u8).map(|id| Node::Replica(ReplicaId(id)));
        let nodes: Vec<Node> = replicas.chain((0..clients).map(Node::Client)).collect();
        let pairs = nodes.iter().flat_map(|&from| nodes.iter().map(move |&to| (from, to)));
        let links: Vec<(Node, Node)> =
            pairs.filter(|(from, to)| from != to && (is_outside(from) || is_outside(to))).collect();
        self.network.cut(&links);
    }

    /// Tells the chronicle what follows in this step, if one is kept.
    #[inline(always)]
    pub fn tell(&mut self, effect: impl FnOnce() -> Effect) {
        if let Some(chronicle) = &mut self.chronicle {
            write_effect(chronicle, effect);
        }
    }

    /// The same, of a replica.
    #[inline(always)]
    pub fn tell_of(&mut self, who: impl Into<Who>, did: impl FnOnce() -> Did) {
        self.tell(|| Effect::Did(who.into(), did()));
    }

    /// The same, of an entry that it has executed: with the call that this answers.
    #[inline(always)]
    pub fn tell_executed<S: Service>(&mut self, who: impl Into<Who>, execution: &Execution<'_, S>) {
        if let Some(chronicle) = &mut self.chronicle {
            write_execution(chronicle, who.into(), execution);
        }
    }

    /// Hands a message to the network.
    #[inline]
    pub fn transmit(&mut self, from: Node, to: Node, packet: Packet<W::Service>) {
        let mut identity = packet.identity(from, to);
        let mut routed = self.network.route(self.now, &mut identity);
        if self.sabotage.is_some_and(|sabotage| sabotage.covers(&identity)) {
            self.network.take_back(&identity, &mut routed);
        }
        self.marks.sent[identity.kind as usize] += 1;
        if routed.clogged && !matches!(routed.route, Route::Dropped(_)) {
            self.marks.fault(Fault::Clogged);
        }
        if let Some(fate) = routed.fate {
            self.befalls(identity, fate);
        }
        if let Some(recording) = &mut self.recording {
            recording.sent(self.now, &identity, &routed);
        }
        let travels = !matches!(routed.route, Route::Dropped(_));
        if (travels && !self.ambushes.is_empty()) || self.script.is_some() {
            self.spring(&identity, &packet);
        }
        let (step, time) = (self.steps, self.now);
        let message = self
            .chronicle
            .as_deref_mut()
            .map_or(0, |chronicle| tell_sent(chronicle, (step, time), &identity, &routed, &packet));
        let life = self.life(from) as u32;
        let delivery = Delivery { from, to, life, message, digest: routed.digest, packet };
        match routed.route {
            Route::Once(at) => self.queue.push(at, Event::Deliver(delivery)),
            route => self.transmit_unusually(route, identity, delivery),
        }
    }

    /// Something befalls a message.
    #[cold]
    fn befalls(&mut self, identity: Identity, fate: Fate) {
        self.marks.fate(fate);
        if let Some(coverage) = &mut self.coverage {
            coverage.fate(self.now, &identity, fate);
        }
        if let Some(record) = &mut self.record {
            record.fates.push((identity, fate));
        }
    }

    /// Sends a message out that does not arrive once and at its time.
    #[cold]
    fn transmit_unusually(&mut self, route: Route, identity: Identity, delivery: Delivery<W>) {
        match route {
            Route::Once(at) => self.queue.push(at, Event::Deliver(delivery)),
            Route::Dropped(Dropped::Lost | Dropped::Silenced | Dropped::Kept) => {}
            Route::Dropped(Dropped::Cut) => self.marks.cut += 1,
            Route::Dropped(Dropped::Overflow) => self.marks.fault(Fault::Overflow),
            Route::Parked(view, delay) => self.parked.push(Parked { view, delay, delivery }),
            Route::Twice(first, second) => {
                self.queue.push(first, Event::Deliver(delivery.clone()));
                self.queue.push(second, Event::Deliver(delivery));
            }
            Route::Kept => self.keep(identity, false, delivery),
            Route::Copied(at) => {
                self.keep(identity, true, delivery.clone());
                self.queue.push(at, Event::Deliver(delivery));
            }
        }
    }

    /// A host with replicas of several groups has mixed them up: who gets a message that another replica has sent, if
    /// it is another one than `to`.
    #[cold]
    pub fn mixed_up(&self, to: Node, packet: &mut Packet<W::Service>) -> Option<Node> {
        let (Node::Replica(replica), Packet::Peer(_)) = (to, &*packet) else { return None };
        let placement = &self.placement;
        let beside: Vec<ReplicaId> = placement.beside(replica).collect();
        let place = beside.iter().position(|&other| other == replica)?;
        let other = beside[(place + 1) % beside.len()];
        // Not by who sent it to whom: nodes have other names once a trace is shrunk.
        let Identity { kind, view, number, .. } = packet.identity(to, to);
        let digest = [kind as u64, view, number].into_iter().fold(0, digest::mix);
        if !digest.is_multiple_of(MIXED_UP) || other == replica {
            return None;
        }
        if let Packet::Peer(message) = packet {
            let host = placement.host_of(message.from);
            message.from = placement.on_host_in(placement.group_of(other), host)?;
        }
        Some(Node::Replica(other))
    }

    /// Something is done to the system: whoever counts, reads or records is told.
    pub fn note(&mut self, when_sent: Option<Identity>, action: &Action) {
        self.marks.action(action);
        self.tell(|| Effect::Fault(action.clone()));
        if let Some(coverage) = &mut self.coverage {
            coverage.actions.push((self.steps, action.clone()));
        }
        let done = || Done { at: self.now, when_sent, action: action.clone() };
        if let Some(record) = &mut self.record {
            record.actions.push(done());
        }
        if let Some(recording) = &mut self.recording {
            recording.timeline.actions.push(done());
        }
    }

    /// The faults have stopped: whoever reads or records is told who is to go on, and which links stay cut.
    pub fn note_healed(&mut self, core: &[ReplicaId], cut: &[(Node, Node)]) {
        self.tell(|| Effect::Healed(core.to_vec()));
        if !cut.is_empty() {
            self.tell(|| Effect::StaysCut(cut.to_vec()));
        }
        // A script's heal comes a moment after the time that it says.
        let scripted = self.script.as_ref().and_then(|script| Some(script.healed.as_ref()?.at));
        let at = scripted.unwrap_or(self.now);
        let healed = || Healed { at, core: core.iter().map(|id| id.0).collect(), cut: cut.to_vec() };
        if let Some(record) = &mut self.record {
            record.healed = Some(healed());
        }
        if let Some(recording) = &mut self.recording {
            recording.timeline.healed = Some(healed());
        }
    }

    // ---- Messages that a story keeps -------------------------------------------------------------

    fn keep(&mut self, identity: Identity, is_copy: bool, delivery: Delivery<W>) {
        let sent = self.now;
        let stage = self.stage.as_mut().expect("only a story keeps messages");
        stage.kept.push(Kept { identity, sent, is_copy, delivery });
    }

    /// The messages among these that a story keeps set out. Returns how many there are.
    pub fn let_go(&mut self, which: &Which) -> usize {
        let kept = self.stage.as_mut().map_or_else(Vec::new, |stage| stage.take(which));
        let count = kept.len();
        for Kept { identity, sent, is_copy, delivery } in kept {
            let at = self.now + self.network.least_delay();
            let fate = if is_copy { Fate::Twice(at - sent) } else { Fate::Held(at - sent) };
            self.decided(identity, delivery.message, fate);
            self.queue.push(at, Event::Deliver(delivery));
        }
        count
    }

    /// The messages among these that a story keeps never arrive. Returns how many there are.
    pub fn give_up(&mut self, which: &Which) -> usize {
        let kept = self.stage.as_mut().map_or_else(Vec::new, |stage| stage.take(which));
        for Kept { identity, is_copy, delivery, .. } in &kept {
            self.network.arrived(identity.from, identity.to);
            if !is_copy {
                self.decided(*identity, delivery.message, Fate::Lost);
            }
        }
        kept.len()
    }

    /// What becomes of a message was decided long after it was sent: it is written down where it belongs.
    fn decided(&mut self, identity: Identity, message: u32, fate: Fate) {
        self.marks.fate(fate);
        if let Some(record) = &mut self.record {
            record.fates.push((identity, fate));
        }
        if let Some(chronicle) = &mut self.chronicle {
            let sent = &mut chronicle.messages[message as usize];
            sent.fate = Some(fate);
            sent.dropped = (fate == Fate::Lost).then_some(Dropped::Kept);
        }
    }

    /// What came to these nodes while they stood still comes to them now.
    pub fn hand_over_waiting(&mut self, to: impl Fn(Node) -> bool) {
        let due = self.waiting.extract_if(.., |postponed| to(postponed.to));
        due.for_each(|postponed| self.queue.push(self.now, postponed.event));
    }

    /// Tells a story of a reply.
    #[cold]
    fn tell_story(&mut self, from: ReplicaId, slot: u16, reply: &Reply<W::Response>) {
        let stage = self.stage.as_mut().expect("a story is played");
        if usize::from(slot) >= stage.answers.len() {
            // The administrator's.
            return;
        }
        match &reply.body {
            ReplyBody::Executed { number, response, .. } => {
                stage.answers(slot, Answer { number: number.0, response: digest::of(response) });
            }
            ReplyBody::NotPrimary | ReplyBody::NewEpoch(_) => stage.redirected.push((from, slot)),
            _ => {}
        }
    }

    /// The messages to `to` arrive that were to outlast the views before `view`.
    #[inline]
    pub fn release(&mut self, to: Node, view: u64) {
        let is_due = |parked: &Parked<W>| parked.delivery.to == to && parked.view <= view;
        if self.parked.iter().any(is_due) {
            self.send_on(is_due);
        }
    }

    /// All messages arrive that were to outlast something.
    pub fn release_all(&mut self) {
        self.send_on(|_| true);
    }

    #[cold]
    fn send_on(&mut self, is_due: impl Fn(&Parked<W>) -> bool) {
        let (due, parked) = std::mem::take(&mut self.parked).into_iter().partition(is_due);
        self.parked = parked;
        for Parked { delay, delivery, .. } in due {
            self.queue.push(self.now + delay, Event::Deliver(delivery));
        }
    }

    /// Sees whether an ambush or a scripted action was waiting for this message.
    #[cold]
    fn spring(&mut self, identity: &Identity, packet: &Packet<W::Service>) {
        if let Some(action) = self.script.as_ref().and_then(|script| script.triggers.get(identity)) {
            self.triggered = Some((*identity, action.clone()));
        }
        let hit = |ambush: &Ambush| self.victim(ambush.target, identity, packet);
        let Some((index, replica)) =
            self.ambushes.iter().enumerate().find_map(|(index, ambush)| Some((index, hit(ambush)?)))
        else {
            return;
        };
        let ambush = self.ambushes.remove(index);
        self.sprung = Some(Sprung { replica, ambush, at: *identity });
    }

    fn victim(
        &self,
        target: CrashTarget,
        identity: &Identity,
        packet: &Packet<W::Service>,
    ) -> Option<ReplicaId> {
        let (Node::Replica(from), Node::Replica(to)) = (identity.from, identity.to) else { return None };
        let message = match (target, identity.kind, packet) {
            (CrashTarget::AfterDoViewChange, Kind::DoViewChange, _)
            | (CrashTarget::AfterRecoveryResponse, Kind::RecoveryResponse, _)
            | (CrashTarget::AfterStartView, Kind::StartView, _) => return Some(from),
            // Of which of its groups it is does not matter to a host.
            (CrashTarget::DuringRecovery, Kind::RecoveryResponse, Packet::Mail(_))
            | (CrashTarget::BeforeQuorum, Kind::PrepareOk, Packet::Mail(_)) => return Some(to),
            (_, _, Packet::Peer(message)) => message,
            _ => return None,
        };
        match (target, identity.kind) {
            (CrashTarget::DuringRecovery, Kind::RecoveryResponse) => {
                (self.checks[to].members[to].role == Some(Role::Recovering)).then_some(to)
            }
            (CrashTarget::BeforeQuorum, Kind::PrepareOk) => {
                let members = &self.checks[to].members;
                let primary = &members[to];
                let is_new = identity.number > primary.executed.0 && primary.view == message.view;
                let holds = |member: &&Member| member.log.len() as u64 >= identity.number;
                let holders = members.iter().filter(holds).count();
                (is_new && holders >= members.quorum()).then_some(to)
            }
            _ => None,
        }
    }
}

/// Hardly any run has a chronicle: what is told to one is kept away from what every step needs.
#[cold]
#[inline(never)]
fn write_effect(chronicle: &mut Chronicle, effect: impl FnOnce() -> Effect) {
    chronicle.effect(effect());
}

/// Tells of a message that is sent, in a step and at a time, and returns its number.
#[cold]
fn tell_sent<S: Service>(
    chronicle: &mut Chronicle,
    (step, time): (u64, u64),
    identity: &Identity,
    routed: &Routed,
    packet: &Packet<S>,
) -> u32 {
    let dropped = match routed.route {
        Route::Dropped(why) => Some(why),
        _ => None,
    };
    chronicle.sent(Sent {
        identity: *identity,
        step,
        time,
        fields: describe::fields(packet),
        fate: routed.fate,
        dropped,
        clogged: routed.clogged,
        waited: false,
        arrived: Vec::new(),
    });
    chronicle.messages.len() as u32 - 1
}

#[cold]
fn write_execution<S: Service>(chronicle: &mut Chronicle, who: Who, execution: &Execution<'_, S>) {
    let request = &execution.entry.request;
    let number = describe::number(&request.body);
    let call = number.and_then(|number| chronicle.call_of(request.address, number));
    chronicle.effect(Effect::Did(who, describe::executed(execution, call)));
}

/// A replica's way out: what it sends goes to the network, what it tells goes to the checks.
pub struct ReplicaPort<'a, W: Workload> {
    /// The replica.
    pub replica: ReplicaId,
    /// Everything around it.
    pub environment: &'a mut Environment<W>,
}

impl<W: Workload> Outbox<W::Service> for ReplicaPort<'_, W> {
    #[inline]
    fn send(&mut self, to: ReplicaId, message: Message<W::Service>) {
        self.environment.checks[self.replica].sent(self.replica, to, &message);
        let (from, to) = (Node::Replica(self.replica), Node::Replica(to));
        self.environment.transmit(from, to, Packet::Peer(message));
    }

    #[inline]
    fn reply(&mut self, to: ClientAddress, reply: Reply<W::Response>) {
        self.environment.checks[self.replica].replied(self.replica, to, &reply);
        if self.environment.stage.is_some() {
            self.environment.tell_story(self.replica, slot_of(to).0, &reply);
        }
        let (from, slot) = (Node::Replica(self.replica), Node::Client(slot_of(to).0));
        self.environment.transmit(from, slot, Packet::Reply(to, reply));
    }

    #[inline]
    fn appended(&mut self, op_number: OpNumber, entry: &Entry<W::Operation>) {
        self.environment.checks[self.replica].appended(self.replica, op_number, entry);
        self.environment.tell_of(self.replica, || describe::appended(op_number, entry));
    }

    fn truncated(&mut self, last_kept: OpNumber) {
        self.environment.checks[self.replica].truncated(self.replica, last_kept);
        self.environment.tell_of(self.replica, || Did::Truncated { last_kept: last_kept.0 });
    }

    fn checkpoint_taken(&mut self, checkpoint: &Checkpoint<W::Service>) {
        self.environment.checks[self.replica].checkpoint_taken::<W>(self.replica, checkpoint);
        self.environment.marks.moment(Moment::CheckpointTaken);
    }

    fn compacted(&mut self, through: OpNumber) {
        self.environment.checks[self.replica].compacted(self.replica, through);
        self.environment.marks.moment(Moment::LogCompacted);
        self.environment.tell_of(self.replica, || Did::Compacted { through: through.0 });
    }

    fn log_begins(&mut self, after: OpNumber, is_witness: bool) {
        self.environment.checks[self.replica].log_begins(self.replica, after, is_witness);
        self.environment.digest = digest::mix(self.environment.digest, after.0 << 1 | u64::from(is_witness));
        self.environment.tell_of(self.replica, || Did::LogBegins { after: after.0 });
    }

    fn checkpoint_installed(&mut self, checkpoint: &Checkpoint<W::Service>, service: &W::Service) {
        self.environment.checks[self.replica].checkpoint_installed::<W>(self.replica, checkpoint, service);
        let op_number = checkpoint.op_number().0;
        self.environment.digest = digest::mix(self.environment.digest, op_number);
        self.environment.tell_of(self.replica, || Did::CheckpointInstalled { op_number });
    }

    #[inline]
    fn executed(&mut self, execution: Execution<'_, W::Service>) {
        if execution.entry.predicted.is_some() {
            self.environment.predicted(self.replica, &execution);
        }
        let digest = self.environment.checks[self.replica].executed::<W>(self.replica, &execution);
        self.environment.digest = digest::mix(self.environment.digest, digest);
        self.environment.tell_executed(self.replica, &execution);
    }

    fn observed(&mut self, observation: Observation<'_, W::Service>) {
        let state = W::digest(observation.service);
        self.environment.checks[self.replica].observed(self.replica, &observation, state);
        self.environment.digest = digest::mix(self.environment.digest, observation.op_number.0 ^ state);
        self.environment.tell_of(self.replica, || describe::observed(&observation));
    }

    fn view_starts(&mut self, start: &ViewStart<'_>) {
        self.environment.checks[self.replica].view_starts(self.replica, start);
        self.environment.tell_of(self.replica, || describe::view_starts(start));
    }

    fn epoch_begins(&mut self, start: &EpochStart) {
        if self.environment.checks[self.replica].epoch_begins(self.replica, start) {
            self.environment.marks.moment(Moment::FirstInEpoch);
        }
        if self.environment.checks[self.replica].members[self.replica].role == Some(Role::ViewChange) {
            self.environment.marks.moment(Moment::EpochDuringViewChange);
        }
        self.environment.digest = digest::mix(self.environment.digest, digest::of(start));
        self.environment.tell_of(self.replica, || describe::epoch_begins(start));
    }

    fn refused(&mut self, reason: Refusal) {
        self.environment.marks.refused(reason);
    }

    #[cold]
    fn ignored(&mut self, reason: Ignored) {
        self.environment.marks.ignored(reason);
        self.environment.tell_of(self.replica, || Did::Ignored { reason: format!("{reason:?}") });
    }

    #[cold]
    fn took(&mut self, path: RarePath) {
        self.environment.marks.rare(path);
        self.environment.tell_of(self.replica, || Did::Took { path: format!("{path:?}") });
    }
}

/// A client's way out.
pub struct ClientPort<'a, W: Workload> {
    /// The client's slot.
    pub slot: u16,
    /// For which of a supervisor's groups it works, if there is a supervisor.
    pub group: Option<GroupId>,
    /// Everything around it.
    pub environment: &'a mut Environment<W>,
}

impl<W: Workload> ClientPort<'_, W> {
    /// The checks of its group.
    pub fn checks(&mut self) -> &mut Checks {
        match self.group {
            None => self.environment.checks.of_client(self.slot),
            Some(group) => self.environment.checks.of_mut(group.0 as usize),
        }
    }

    /// How the chronicle names its group.
    #[must_use]
    pub fn group_told(&self) -> u64 {
        self.group.map_or(0, |group| group.0)
    }
}

impl<W: Workload> ClientOutbox<W::Operation> for ClientPort<'_, W> {
    #[inline]
    fn send(&mut self, to: ReplicaId, request: Arc<Request<W::Operation>>) {
        let (from, to) = (Node::Client(self.slot), Node::Replica(to));
        let packet = match self.group {
            None => Packet::Request(request),
            Some(group) => Packet::Mail(Box::new(Mail::Request(group, request))),
        };
        self.environment.transmit(from, to, packet);
    }

    fn send_read(&mut self, to: ReplicaId, read: Arc<Read<W::Operation>>) {
        let (from, to) = (Node::Client(self.slot), Node::Replica(to));
        let packet = match self.group {
            None => Packet::Read(read),
            Some(group) => Packet::Mail(Box::new(Mail::Read(group, read))),
        };
        self.environment.transmit(from, to, packet);
    }
}

/// The address of a client process: its slot and its life.
#[must_use]
pub const fn address_of(slot: u16, life: u64) -> ClientAddress {
    ClientAddress(life << 16 | slot as u64)
}

/// The slot and the life of the client process at `address`.
#[must_use]
pub const fn slot_of(address: ClientAddress) -> (u16, u64) {
    (address.0 as u16, address.0 >> 16)
}
