//! Hosts on five nodes, on a network that loses, repeats and reorders: what a supervisor is told to do is done, and the
//! groups stay right, whoever crashes.
//!
//! Each test runs over many seeds. `HOST_SEEDS=5000 cargo test -p vr --release --test host` runs it over more.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use vr::host::{Contents, Envelope, Letter};
use vr::services::key_value_store::{Operation as Ask, Response as Value};
use vr::services::locks::{Operation as Lock, Response as Grant, Token};
use vr::services::{Either, KeyValueStore, Locks};
use vr::supervisor::{Operation, Refusal, Response, Ticket};
use vr::{
    Application, Client, ClientAddress, ClientEvent, ClientId, ClientOptions, ClientOutbox, Configuration,
    Consistency, Duration, Epoch, EpochStart, Execution, Freshness, GroupId, Host, HostOptions, HostOutbox,
    HostRules, Incarnation, Instant, Message, Node, OpNumber, Options, Outbox, Outcome, Payload, Read,
    Reconfiguration, Replica, ReplicaId, Reply, ReplyBody, Request, RequestBody, RequestNumber, Role,
    Service, Standard, Supervisor, View,
};

const MILLISECOND: u64 = 1_000_000;
/// How many nodes there are, if nothing else is said.
const NODES: u8 = 5;

// ---- What runs ----------------------------------------------------------------------------------

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Machine {
    Values,
    Locks,
}

#[derive(Clone, Copy, Debug)]
struct Both;

type Running = Either<KeyValueStore<u64, u64>, Locks<u64, u64>>;
type Asked = <Running as Service>::Operation;
type Answered = <Running as Service>::Response;

impl Application for Both {
    type Machine = Machine;
    type Service = Running;

    fn service(&self, machine: &Machine) -> Running {
        match machine {
            Machine::Values => Either::Left(KeyValueStore::default()),
            Machine::Locks => Either::Right(Locks::default()),
        }
    }
}

// ---- The network --------------------------------------------------------------------------------

/// Knuth's linear congruential generator, of which the upper bits are good.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

enum Delivery {
    Envelope(ReplicaId, Envelope<Both>),
    Request(ReplicaId, GroupId, Arc<Request<Asked>>),
    SupervisorRequest(ReplicaId, Arc<Request<Operation<Machine>>>),
    Read(ReplicaId, GroupId, Arc<Read<Asked>>),
    SupervisorRead(ReplicaId, Arc<Read<Operation<Machine>>>),
    Reply(ClientAddress, Reply<Answered>),
    SupervisorReply(Reply<Response<Machine>>),
}

/// What was executed where in which log, and what else has been seen.
#[derive(Default)]
struct Seen {
    logs: BTreeMap<(GroupId, OpNumber), Arc<Request<Asked>>>,
    directory: BTreeMap<OpNumber, Arc<Request<Operation<Machine>>>>,
    /// To whom each epoch of a group was to lead, as decided in the supervisor's log.
    decided: BTreeMap<(GroupId, Epoch), Configuration>,
    epochs: BTreeMap<(GroupId, Epoch), EpochStart>,
    tickets: u64,
    later_tickets: u64,
    dropped: u64,
    gone: BTreeSet<GroupId>,
    roles: BTreeMap<(GroupId, ReplicaId), Role>,
    /// The same, as those were told who watch the replicas themselves.
    watched_roles: BTreeMap<(GroupId, ReplicaId), Role>,
    /// The last epoch in which each node has taken part, in whatever life.
    taken_part: BTreeMap<(GroupId, ReplicaId), Epoch>,
    /// How many reconfigurations were refused.
    refused: u64,
    /// Whose each session of a group is.
    sessions: BTreeMap<(GroupId, ClientId), ClientAddress>,
}

impl Seen {
    fn took_part(&mut self, group: GroupId, node: ReplicaId, role: Role, epoch: Epoch) {
        if matches!(role, Role::Primary | Role::Backup | Role::ViewChange | Role::Witness) {
            let last = self.taken_part.entry((group, node)).or_insert(epoch);
            *last = epoch.max(*last);
        }
    }

    /// Who begins anew has promised nothing in the epochs to come.
    fn check_ticket(&mut self, ticket: &Ticket<Machine>, node: ReplicaId) {
        *if ticket.is_clean { &mut self.tickets } else { &mut self.later_tickets } += 1;
        let EpochStart { epoch, members, .. } = ticket.epoch;
        let first = if members.contains(node) { epoch } else { epoch.next() };
        let last = self.taken_part.get(&(ticket.group, node));
        let is_right = !ticket.is_clean || last.is_none_or(|last| *last < first);
        assert!(is_right, "{node} has taken part in {last:?}, and begins anew in {first}");
    }
}

struct Network {
    deliveries: Vec<Delivery>,
    seen: Seen,
    /// Whose host is at work.
    node: ReplicaId,
}

struct Watch<'a>(GroupId, ReplicaId, &'a mut Seen);

impl Outbox<Running> for Watch<'_> {
    fn send(&mut self, _: ReplicaId, _: Message<Running>) {
        unreachable!("an observer sends nothing")
    }

    fn reply(&mut self, _: ClientAddress, _: Reply<Answered>) {
        unreachable!("an observer answers nothing")
    }

    fn executed(&mut self, execution: Execution<'_, Running>) {
        let (place, request) = ((self.0, execution.op_number), &execution.entry.request);
        let first = self.2.logs.entry(place).or_insert_with(|| Arc::clone(request));
        assert_eq!(first, request, "the logs of {place:?} differ");
        assert!(!matches!(execution.outcome, Outcome::Duplicate), "{request:?} has two places");
        if let Some((session, _)) = request.body.of_session() {
            let first = self.2.sessions.entry((self.0, session)).or_insert(request.address);
            assert_eq!(*first, request.address, "two clients have taken up one session");
        }
    }

    fn refused(&mut self, _: vr::Refusal) {
        self.2.refused += 1;
        assert!(self.2.refused < 1_000, "what is refused is asked for again and again");
    }

    fn epoch_begins(&mut self, start: &EpochStart) {
        let first = self.2.epochs.entry((self.0, start.epoch)).or_insert(*start);
        assert_eq!(first, start, "an epoch of {} starts in two ways", self.0);
        let decided = self.2.decided.get(&(self.0, Epoch(start.epoch.0 - 1)));
        assert_eq!(Some(&start.members), decided, "{} moves as nobody decided", self.0);
    }

    fn role_changed(&mut self, role: Role, _: View) {
        self.2.watched_roles.insert((self.0, self.1), role);
    }
}

struct WatchSupervisor<'a>(ReplicaId, &'a mut Seen);

impl Outbox<Supervisor<Machine>> for WatchSupervisor<'_> {
    fn send(&mut self, _: ReplicaId, _: Message<Supervisor<Machine>>) {}

    fn reply(&mut self, _: ClientAddress, _: Reply<Response<Machine>>) {}

    fn executed(&mut self, execution: Execution<'_, Supervisor<Machine>>) {
        let request = &execution.entry.request;
        let place = execution.op_number;
        let is_new = !self.1.directory.contains_key(&place);
        let first = self.1.directory.entry(place).or_insert_with(|| Arc::clone(request));
        assert_eq!(first, request, "the supervisor's logs differ at {place}");
        if is_new
            && let Outcome::Executed(Response::Ticket(ticket)) = execution.outcome
            && let RequestBody::Operation { operation: Operation::Join { node, .. }, .. } = request.body
        {
            self.1.check_ticket(ticket, node);
        }
        for (&id, group) in execution.service.groups() {
            if let Some(next) = group.next {
                let decided = *self.1.decided.entry((id, group.epoch.epoch)).or_insert(next);
                assert_eq!(decided, next, "{id} is to move to two places");
            }
        }
    }

    fn role_changed(&mut self, role: Role, _: View) {
        self.1.watched_roles.insert((GroupId::SUPERVISOR, self.0), role);
    }
}

impl HostOutbox<Both> for Network {
    fn send(&mut self, to: ReplicaId, envelope: Envelope<Both>) {
        assert_eq!(envelope.from, self.node);
        self.deliveries.push(Delivery::Envelope(to, envelope));
    }

    fn reply(&mut self, to: ClientAddress, _: GroupId, reply: Reply<Answered>) {
        self.deliveries.push(Delivery::Reply(to, reply));
    }

    fn supervisor_reply(&mut self, _: ClientAddress, reply: Reply<Response<Machine>>) {
        self.deliveries.push(Delivery::SupervisorReply(reply));
    }

    fn no_such_group(&mut self, to: ClientAddress, group: GroupId) {
        assert!(to < ClientAddress(1 << 63), "{to} is in a host");
        self.seen.gone.insert(group);
    }

    fn group_started(&mut self, group: GroupId, _: &Ticket<Machine>) {
        let before = self.seen.roles.insert((group, self.node), Role::Standby);
        assert_eq!(before, None, "{group} runs here already");
    }

    fn group_stopped(&mut self, group: GroupId) {
        self.seen.dropped += 1;
        assert!(self.seen.roles.remove(&(group, self.node)).is_some(), "{group} did not run here");
        self.seen.watched_roles.remove(&(group, self.node));
    }

    fn role_changed(&mut self, group: GroupId, role: Role, view: View) {
        self.seen.took_part(group, self.node, role, view.epoch());
        let before = self.seen.roles.insert((group, self.node), role);
        assert!(before.is_some() || group == GroupId::SUPERVISOR, "{group} does not run here");
    }

    fn observe(&mut self, group: GroupId) -> impl Outbox<Running> {
        Watch(group, self.node, &mut self.seen)
    }

    fn observe_supervisor(&mut self) -> impl Outbox<Supervisor<Machine>> {
        WatchSupervisor(self.node, &mut self.seen)
    }
}

// ---- Clients ------------------------------------------------------------------------------------

struct ToGroup<'a>(GroupId, &'a mut Vec<Delivery>);

impl ClientOutbox<Asked> for ToGroup<'_> {
    fn send(&mut self, to: ReplicaId, request: Arc<Request<Asked>>) {
        self.1.push(Delivery::Request(to, self.0, request));
    }

    fn send_read(&mut self, to: ReplicaId, read: Arc<Read<Asked>>) {
        self.1.push(Delivery::Read(to, self.0, read));
    }
}

struct ToSupervisor<'a>(&'a mut Vec<Delivery>);

impl ClientOutbox<Operation<Machine>> for ToSupervisor<'_> {
    fn send(&mut self, to: ReplicaId, request: Arc<Request<Operation<Machine>>>) {
        self.0.push(Delivery::SupervisorRequest(to, request));
    }

    fn send_read(&mut self, to: ReplicaId, read: Arc<Read<Operation<Machine>>>) {
        self.0.push(Delivery::SupervisorRead(to, read));
    }
}

/// Counts under a key of its own, or takes and gives back a lock of its own. What it is answered tells whether each
/// request was executed exactly once.
struct Worker {
    client: Client<Asked>,
    group: GroupId,
    machine: Machine,
    done: u64,
    goal: u64,
    token: Token,
    has_read: bool,
}

impl Worker {
    fn go_on(&mut self, now: Instant, deliveries: &mut Vec<Delivery>) {
        if self.client.is_waiting() || self.done == self.goal {
            return;
        }
        let (key, token, outbox) =
            (self.client.address().0, self.token, &mut ToGroup(self.group, deliveries));
        if self.client.id().is_none() {
            return self.client.register(now, outbox);
        }
        if !std::mem::replace(&mut self.has_read, true) {
            let operation = match self.machine {
                Machine::Values => Either::Left(Ask::Get { key }),
                Machine::Locks => Either::Right(Lock::Inspect { lock: key }),
            };
            return self.client.read(now, operation, Consistency::Linearizable, outbox).expect("a session");
        }
        let operation = match self.machine {
            Machine::Values => Either::Left(Ask::Put { key, value: self.done + 1 }),
            Machine::Locks if self.done.is_multiple_of(2) => {
                Either::Right(Lock::Acquire { lock: key, owner: key })
            }
            Machine::Locks => Either::Right(Lock::Release { lock: key, token }),
        };
        self.client.request(now, operation, outbox).expect("nothing is outstanding");
    }

    fn on_reply(&mut self, now: Instant, reply: Reply<Answered>, deliveries: &mut Vec<Delivery>) {
        match self.client.on_reply(now, reply, &mut ToGroup(self.group, deliveries)) {
            Some(ClientEvent::Executed { response, .. } | ClientEvent::Observed { response, .. }) => {
                self.check(response.expect("its own service"));
            }
            None | Some(ClientEvent::Registered(_)) => {}
            other => panic!("{other:?}"),
        }
        self.go_on(now, deliveries);
    }

    fn check(&mut self, response: Either<Value<u64, u64>, Grant<u64>>) {
        let is_taken = !self.done.is_multiple_of(2);
        match response {
            Either::Left(Value::Found(value)) => {
                return assert_eq!(value.unwrap_or(0), self.done, "the latest");
            }
            Either::Right(Grant::Free) => return assert!(!is_taken, "the latest"),
            Either::Right(Grant::Taken { token, .. }) => {
                return assert!(is_taken && token == self.token, "the latest");
            }
            Either::Left(Value::Replaced(before)) => {
                assert_eq!(before.unwrap_or(0), self.done, "exactly once")
            }
            Either::Right(Grant::Granted { token }) => {
                assert!(
                    token > self.token && self.done.is_multiple_of(2),
                    "{token:?} after {:?}",
                    self.token
                );
                self.token = token;
            }
            Either::Right(Grant::Released) => assert!(is_taken),
            other => panic!("{other:?} to request {}", self.done),
        }
        self.done += 1;
        self.has_read = !self.done.is_multiple_of(3);
    }
}

// ---- The world ----------------------------------------------------------------------------------

/// Whether an envelope gets lost on its way to a node.
type Loss = Box<dyn Fn(u8, &Envelope<Both>) -> bool>;

struct World<R: HostRules + Clone> {
    hosts: Vec<Option<Host<Both, R>>>,
    all: Configuration,
    rules: R,
    incarnations: Vec<u64>,
    network: Network,
    travelling: BTreeMap<(u64, u64), Delivery>,
    sequence: u64,
    now: u64,
    random: Random,
    /// Messages lost, of a thousand.
    loss: u64,
    cut: BTreeSet<u8>,
    /// What is lost besides.
    lost: Loss,
    workers: Vec<Worker>,
    user: Client<Operation<Machine>>,
    answer: Option<Response<Machine>>,
}

fn nodes(ids: &[u8]) -> Configuration {
    Configuration::of(ids.iter().copied().map(ReplicaId)).expect("distinct nodes")
}

fn options() -> HostOptions {
    let options = Options { checkpoint_interval: 16, log_margin: 4, sessions_max: 32, ..Options::default() };
    HostOptions {
        supervisor: options,
        groups: options,
        alive_interval: Duration::from_millis(50),
        failure_timeout: Duration::from_millis(500),
        ..HostOptions::default()
    }
}

impl<R: HostRules + Clone> World<R> {
    fn new(seed: u64, rules: R) -> Self {
        Self::with(NODES, seed, rules)
    }

    fn with(count: u8, seed: u64, rules: R) -> Self {
        let all = Configuration::new(usize::from(count)).expect("a few");
        let mut world = Self {
            hosts: (0..count).map(|_| None).collect(),
            all,
            rules,
            incarnations: vec![0; usize::from(count)],
            network: Network { deliveries: Vec::new(), seen: Seen::default(), node: ReplicaId(0) },
            travelling: BTreeMap::new(),
            sequence: 0,
            now: 0,
            random: Random(seed),
            loss: 0,
            cut: BTreeSet::new(),
            lost: Box::new(|_, _| false),
            workers: Vec::new(),
            user: Client::new(ClientAddress(1), all, ClientOptions::default(), Standard, seed),
            answer: None,
        };
        world.loss = [0, 10, 50, 150][world.random.below(4) as usize];
        (0..count).for_each(|node| world.start(node));
        world
    }

    fn now(&self) -> Instant {
        Instant(self.now)
    }

    fn start(&mut self, node: u8) {
        let incarnation = &mut self.incarnations[usize::from(node)];
        let node_of_host = Node {
            id: ReplicaId(node),
            nodes: self.all,
            options: options(),
            incarnation: Incarnation(*incarnation),
            entropy: self.random.below(1 << 30),
        };
        *incarnation += 1;
        self.network.node = ReplicaId(node);
        let host = Host::start(Instant(self.now), node_of_host, Both, self.rules.clone(), &mut self.network);
        self.hosts[usize::from(node)] = Some(host);
    }

    /// The node loses its memory, and all groups that run on it with it.
    fn crash(&mut self, node: u8) {
        assert!(self.hosts[usize::from(node)].take().is_some(), "{node} is up");
        let seen = &mut self.network.seen;
        for roles in [&mut seen.roles, &mut seen.watched_roles] {
            roles.retain(|(_, at), _| *at != ReplicaId(node));
        }
    }

    fn host(&self, node: u8) -> Option<&Host<Both, R>> {
        self.hosts[usize::from(node)].as_ref()
    }

    fn at(&mut self, node: u8, act: impl FnOnce(&mut Host<Both, R>, Instant, &mut Network)) {
        let Self { hosts, network, now, .. } = self;
        let Some(host) = &mut hosts[usize::from(node)] else { return };
        network.node = ReplicaId(node);
        act(host, Instant(*now), network);
        let deadlines = host.groups().map(|(_, replica)| replica.next_deadline());
        let earliest = deadlines.chain([host.supervisor().next_deadline()]).min();
        assert!(Some(host.next_deadline()) <= earliest, "no replica is forgotten");
    }

    fn deliver(&mut self, delivery: Delivery) {
        let now = self.now();
        match delivery {
            Delivery::Envelope(to, envelope) if self.is_cut(to) || self.is_cut(envelope.from) => {}
            Delivery::Envelope(to, envelope) if (self.lost)(to.0, &envelope) => {}
            Delivery::Envelope(to, envelope) => {
                self.at(to.0, |host, now, network| host.on_envelope(now, envelope, network));
            }
            Delivery::Request(to, ..) | Delivery::SupervisorRequest(to, _) if self.is_cut(to) => {}
            Delivery::Read(to, ..) | Delivery::SupervisorRead(to, _) if self.is_cut(to) => {}
            Delivery::Request(to, group, request) => {
                self.at(to.0, |host, now, network| host.on_request(now, group, request, network));
            }
            Delivery::SupervisorRequest(to, request) => {
                self.at(to.0, |host, now, network| host.on_supervisor_request(now, request, network));
            }
            Delivery::Read(to, group, read) => {
                self.at(to.0, |host, now, network| host.on_read(now, group, read, network));
            }
            Delivery::SupervisorRead(to, read) => {
                self.at(to.0, |host, now, network| host.on_supervisor_read(now, read, network));
            }
            Delivery::Reply(to, reply) => {
                let worker = self.workers.iter_mut().find(|worker| worker.client.address() == to);
                if let Some(worker) = worker {
                    worker.on_reply(now, reply, &mut self.network.deliveries);
                }
            }
            Delivery::SupervisorReply(reply) => {
                let outbox = &mut ToSupervisor(&mut self.network.deliveries);
                if let Some(ClientEvent::Executed { response, .. } | ClientEvent::Observed { response, .. }) =
                    self.user.on_reply(now, reply, outbox)
                {
                    self.answer = Some(response);
                }
            }
        }
    }

    fn is_cut(&self, node: ReplicaId) -> bool {
        self.cut.contains(&node.0)
    }

    fn lose(&mut self, is_lost: impl Fn(u8, &Envelope<Both>) -> bool + 'static) {
        self.lost = Box::new(is_lost);
    }

    fn lose_nothing(&mut self) {
        self.lose(|_, _| false);
    }

    /// Puts what was sent on its way, each with a fate of its own.
    fn dispatch(&mut self) {
        for delivery in std::mem::take(&mut self.network.deliveries) {
            if self.random.below(1_000) < self.loss {
                continue;
            }
            let slow = if self.random.below(50) == 0 { 20_000 } else { 1_000 };
            let at = self.now + (200 + self.random.below(slow)) * 1_000;
            self.sequence += 1;
            if let Delivery::Envelope(to, envelope) = &delivery
                && self.random.below(100) == 0
            {
                let again = Delivery::Envelope(*to, envelope.clone());
                self.travelling.insert((at + self.random.below(30) * MILLISECOND, self.sequence), again);
                self.sequence += 1;
            }
            self.travelling.insert((at, self.sequence), delivery);
        }
    }

    /// Lets everything happen until something is true, or time is up.
    fn runs_until(&mut self, milliseconds: u64, is_true: impl Fn(&Self) -> bool) -> bool {
        let (end, mut look_at) = (self.now + milliseconds * MILLISECOND, self.now);
        loop {
            if self.now >= look_at {
                if is_true(self) {
                    return true;
                }
                look_at = self.now + MILLISECOND;
            }
            self.dispatch();
            let host_deadline = |(node, host): (u8, &Option<Host<_, _>>)| {
                host.as_ref().map(|host| (host.next_deadline().0, node))
            };
            let hosts = (0_u8..).zip(&self.hosts).filter_map(host_deadline).min();
            let worker = self.workers.iter().map(|worker| worker.client.next_deadline().0).min();
            let clients = worker.unwrap_or(u64::MAX).min(self.user.next_deadline().0);
            let message = self.travelling.first_key_value().map_or(u64::MAX, |(&(at, _), _)| at);
            let (deadline, node) = hosts.unwrap_or((u64::MAX, 0));
            let next = deadline.min(clients).min(message).max(self.now);
            if next > end {
                self.now = end;
                return is_true(self);
            }
            self.now = next;
            if message <= next {
                let (_, delivery) = self.travelling.pop_first().expect("there is one");
                self.deliver(delivery);
            } else if deadline <= next {
                self.at(node, |host, now, network| host.on_timeout(now, network));
            } else {
                self.client_timeouts();
            }
        }
    }

    fn client_timeouts(&mut self) {
        let (now, deliveries) = (self.now(), &mut self.network.deliveries);
        self.user.on_timeout(now, &mut ToSupervisor(deliveries));
        for worker in &mut self.workers {
            worker.client.on_timeout(now, &mut ToGroup(worker.group, deliveries));
        }
    }

    #[track_caller]
    fn run_until(&mut self, what: &str, is_true: impl Fn(&Self) -> bool) {
        let done = self.runs_until(60_000, is_true);
        assert!(done, "{what}: not within a minute. {:#?}", self.hosts);
    }

    fn run(&mut self, milliseconds: u64) {
        self.runs_until(milliseconds, |_| false);
    }

    // ---- What users do ----

    #[track_caller]
    fn ask(&mut self, operation: Operation<Machine>) -> Response<Machine> {
        let now = self.now();
        if self.user.id().is_none() {
            self.user.register(now, &mut ToSupervisor(&mut self.network.deliveries));
            self.run_until("a session", |world| world.user.id().is_some());
        }
        let now = self.now();
        self.user
            .request(now, operation, &mut ToSupervisor(&mut self.network.deliveries))
            .expect("a session");
        self.answer = None;
        self.run_until("an answer of the supervisor", |world| world.answer.is_some());
        self.answer.take().expect("an answer")
    }

    #[track_caller]
    fn start_group(&mut self, machine: Machine, ids: &[u8]) -> GroupId {
        match self.ask(Operation::Start { machine, nodes: nodes(ids) }) {
            Response::Started(group) => group,
            other => panic!("{other:?}"),
        }
    }

    /// Decides that a group is to move.
    #[track_caller]
    fn decide(&mut self, group: GroupId, ids: &[u8]) {
        let decided = self.ask(Operation::Move { group, nodes: nodes(ids) });
        assert_eq!(decided, Response::Decided(vec![group]));
    }

    /// Moves a group, as far as the directory can tell.
    #[track_caller]
    fn move_group(&mut self, group: GroupId, ids: &[u8]) {
        self.decide(group, ids);
        self.run_until("a record of the move", |world| !world.is_moving(group));
    }

    #[track_caller]
    fn locate(&mut self, group: GroupId) -> (Configuration, Option<Configuration>) {
        match self.ask(Operation::Where { group }) {
            Response::Found(group) => (group.epoch.members, group.next),
            other => panic!("{other:?}"),
        }
    }

    /// Who the members of a group are to be, as a node knows.
    fn locate_on(&self, node: u8, group: GroupId) -> Configuration {
        let known = self.host(node).expect("it is up").supervisor().service().group(group).expect("it runs");
        known.next.unwrap_or(known.epoch.members)
    }

    /// Lets a new client do so much work at a group, whose members it thinks are these.
    fn employ(&mut self, group: GroupId, machine: Machine, members: &[u8], goal: u64) {
        let address = ClientAddress(10 + self.workers.len() as u64);
        let entropy = self.random.below(1 << 30);
        let mut client = Client::new(address, nodes(members), ClientOptions::default(), Standard, entropy);
        client.search_on(self.all);
        let mut worker = Worker { client, group, machine, done: 0, goal, token: Token(0), has_read: false };
        worker.go_on(self.now(), &mut self.network.deliveries);
        self.workers.push(worker);
    }

    fn more_work(&mut self, more: u64) {
        let now = self.now();
        for worker in &mut self.workers {
            worker.goal += more;
            worker.go_on(now, &mut self.network.deliveries);
        }
    }

    fn work_is_done(&self) -> bool {
        self.workers.iter().all(|worker| worker.done == worker.goal)
    }

    // ---- What must be ----

    /// Whether a group works on exactly these nodes, and all of them have executed the same.
    fn runs_on(&self, group: GroupId, members: Configuration) -> bool {
        let mut ends = BTreeSet::new();
        let mut is_right = |host: &Host<Both, R>| {
            let Some(replica) = host.group(group) else { return !members.contains(host.node()) };
            ends.insert((replica.epoch(), replica.commit_number(), replica.op_number()));
            let is_normal = matches!(replica.role(), Role::Primary | Role::Backup | Role::Witness);
            members.contains(host.node()) && replica.group() == members && is_normal
        };
        let wrong = self.hosts.iter().flatten().filter(|host| !is_right(host)).count();
        let whole = ends.iter().all(|(_, committed, last)| committed.op_number() == *last);
        wrong == 0 && ends.len() == 1 && whole
    }

    /// Whether all hosts that are up know the same directory, and nothing is left to be done.
    fn is_settled(&self) -> bool {
        let mut hosts = self.hosts.iter().flatten();
        let first = hosts.next().expect("a host").supervisor().service();
        let knows = |host: &Host<Both, R>| host.supervisor().service() == first;
        first.groups().values().all(|group| group.next.is_none())
            && hosts.all(knows)
            && first.groups().iter().all(|(id, group)| self.runs_on(*id, group.epoch.members))
    }

    fn supervising(&self) -> Option<u8> {
        let is_primary = |host: &&Host<Both, R>| host.supervisor().role() == Role::Primary;
        self.hosts.iter().flatten().filter(is_primary).map(|host| host.node().0).last()
    }

    fn is_moving(&self, group: GroupId) -> bool {
        let known =
            |host: &Host<Both, R>| host.supervisor().service().group(group).is_ok_and(|it| it.next.is_some());
        self.hosts.iter().flatten().any(known)
    }

    fn replica(&self, node: u8, group: GroupId) -> Option<&Replica<Running, R::Replica>> {
        self.host(node).and_then(|host| host.group(group))
    }

    /// Whether the directory, as it is known at a node, wants a group there.
    fn is_wanted(&self, node: u8, group: GroupId) -> bool {
        let host = self.host(node).expect("it is up");
        host.supervisor().service().group(group).is_ok_and(|known| known.concerns(ReplicaId(node)))
    }

    #[track_caller]
    fn settle(&mut self) {
        self.run_until("work", Self::work_is_done);
        self.run_until("order", Self::is_settled);
        let Seen { roles, watched_roles, .. } = &self.network.seen;
        for (&(group, node), told) in roles {
            let host = self.host(node.0).expect("it is up");
            let role = match group {
                GroupId::SUPERVISOR => host.supervisor().role(),
                _ => host.group(group).expect("it was started").role(),
            };
            assert_eq!(role, *told, "{group} at {node}: what the application was told");
        }
        assert_eq!(roles, watched_roles, "whoever watches the replicas is told the same");
        let supervisors = roles.keys().filter(|(group, _)| *group == GroupId::SUPERVISOR).count();
        assert_eq!(supervisors, self.hosts.iter().flatten().count(), "the first role is told");
    }
}

fn seeds(default: u64) -> std::ops::Range<u64> {
    0..std::env::var("HOST_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(default)
}

/// Runs `story` in a world of each seed.
fn over_seeds(story: impl Fn(&mut World<Standard>)) {
    let only = std::env::var("HOST_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in only.map_or(seeds(60), |seed: u64| seed..seed + 1) {
        let told = catch_unwind(AssertUnwindSafe(|| {
            let mut world = World::new(seed, Standard);
            story(&mut world);
        }));
        assert!(told.is_ok(), "seed {seed}");
    }
}

/// Two groups, with two clients each.
fn two_groups<R: HostRules + Clone>(world: &mut World<R>, members: &[u8]) -> (GroupId, GroupId) {
    let values = world.start_group(Machine::Values, members);
    let locks = world.start_group(Machine::Locks, &[0, 1, 2, 3, 4]);
    for _ in 0..2 {
        world.employ(values, Machine::Values, members, 12);
        world.employ(locks, Machine::Locks, &[0, 1, 2, 3, 4], 12);
    }
    (values, locks)
}

#[test]
fn two_state_machines_side_by_side() {
    over_seeds(|world| {
        let (values, locks) = two_groups(world, &[1, 2, 4]);
        world.settle();
        assert!(world.runs_on(values, nodes(&[1, 2, 4])) && world.runs_on(locks, nodes(&[0, 1, 2, 3, 4])));
        assert_eq!(world.locate(values), (nodes(&[1, 2, 4]), None));
        let seen = &world.network.seen;
        assert_eq!((seen.tickets, seen.later_tickets, seen.dropped), (8, 0, 0));
    });
}

/// All groups on a node lose the memory that they had there, and get it back.
#[test]
fn a_crash_hits_all_groups_on_a_node_and_all_recover() {
    over_seeds(|world| {
        let (values, locks) = two_groups(world, &[0, 1, 2]);
        for round in 0..3 {
            world.more_work(10);
            let wait = world.random.below(30);
            world.run(wait);
            let node = world.random.below(u64::from(NODES)) as u8;
            world.crash(node);
            let wait = world.random.below(200);
            world.run(wait);
            world.start(node);
            world.settle();
            let is_there = |group| world.host(node).and_then(|host| host.group(group)).is_some();
            assert_eq!((is_there(values), is_there(locks)), (node < 3, true), "round {round}");
        }
        assert!(world.network.seen.later_tickets > 0);
    });
}

#[test]
fn a_node_that_dies_for_good_is_replaced_and_clients_find_the_new_member() {
    over_seeds(|world| {
        let (values, locks) = two_groups(world, &[0, 1, 2]);
        let wait = world.random.below(40);
        world.run(wait);
        let dead = world.random.below(3) as u8;
        world.crash(dead);
        world.more_work(20);
        let rest: Vec<u8> = (0..3).filter(|&node| node != dead).chain([3]).collect();
        world.run_until("a new member", |world| world.runs_on(values, nodes(&rest)));
        assert_eq!(world.locate(values), (nodes(&rest), None));
        assert_eq!(world.locate(locks), (nodes(&[0, 1, 2, 3, 4]), None), "nobody is left to take its place");
        // Somebody who knows the old group only.
        world.employ(values, Machine::Values, &[0, 1, 2], 5);
        world.run_until("work", World::work_is_done);
        // It comes back after all, and has no part in the group any more.
        world.start(dead);
        world.settle();
        assert!(world.runs_on(values, nodes(&rest)));
    });
}

#[test]
fn the_supervisors_primary_dies_in_the_middle_of_a_replacement() {
    let moved = Cell::new(0);
    over_seeds(|world| {
        let (values, _) = two_groups(world, &[2, 3, 4]);
        world.settle();
        world.more_work(10);
        world.crash(4);
        world.run_until("a decision", |world| world.is_moving(values));
        // Anywhere between the decision and its being recorded.
        let wait = world.random.below(3_000);
        world.now += wait * 1_000;
        let is_moving = world.is_moving(values);
        moved.set(moved.get() + u64::from(is_moving));
        let supervising = world.supervising().expect("somebody has decided");
        world.crash(supervising);
        if supervising == 2 || supervising == 3 {
            // It was one of the two who are left of the group.
            world.start(supervising);
        }
        world.run_until("work", World::work_is_done);
        world.run_until("a group of the living", |world| {
            let members =
                world.hosts.iter().flatten().filter_map(|host| host.group(values)).map(|it| it.group());
            members.clone().all(|group| !group.contains(ReplicaId(4))) && members.count() > 1
        });
        for node in [supervising, 4] {
            if world.host(node).is_none() {
                world.start(node);
            }
        }
        world.settle();
    });
    assert!(moved.get() > 0);
}

/// A node that was only cut off is replaced like a dead one. When it is back, it hears that it was.
#[test]
fn a_node_that_was_taken_for_dead_stops_what_it_no_longer_is_part_of() {
    over_seeds(|world| {
        let (values, _) = two_groups(world, &[0, 1, 2]);
        let wait = world.random.below(40);
        world.run(wait);
        let away = world.random.below(3) as u8;
        world.run_until("a replica", |world| world.host(away).expect("it is up").group(values).is_some());
        world.cut.insert(away);
        world.more_work(20);
        let moves = |world: &World<Standard>| {
            let on_it =
                |host: &Host<Both, Standard>| host.group(values).is_some_and(|it| it.epoch() > Epoch(0));
            world.hosts.iter().flatten().filter(|host| on_it(host)).count() > 2 && world.work_is_done()
        };
        world.run_until("a replacement", moves);
        assert!(world.host(away).expect("it is up").group(values).is_some(), "it knows of nothing");
        world.cut.clear();
        world.settle();
        let located = world.locate(values);
        assert!(
            world.host(away).expect("it is up").group(values).is_none(),
            "{away}: {located:?} {:?}",
            world.network.seen.decided
        );
    });
}

/// Who knows the first members only, finds the group that has left them, one after the other, after they have died.
#[test]
fn a_client_finds_its_group_after_all_members_that_it_knew_have_died() {
    for seed in seeds(60) {
        let world = &mut World::with(7, seed, Standard);
        let values = a_group(world, &[0, 1, 2]);
        let client = world.workers[0].client.group();
        world.move_group(values, &[4, 5, 6]);
        world.settle();
        (0..3).for_each(|node| world.crash(node));
        world.more_work(5);
        world.run_until("work", World::work_is_done);
        assert_eq!((client, world.workers[0].client.group()), (nodes(&[0, 1, 2]), nodes(&[4, 5, 6])));
    }
}

/// From nodes to others and back again, and somebody crashes at every point of it.
#[test]
fn a_group_is_moved_and_comes_back_to_where_it_was() {
    over_seeds(|world| {
        let (values, _) = two_groups(world, &[0, 1, 2]);
        let groups: [&[u8]; 4] = [&[2, 3, 4], &[0, 1, 2, 3, 4], &[0, 1, 3], &[0, 1, 2]];
        for members in groups {
            world.more_work(6);
            let decided = world.ask(Operation::Move { group: values, nodes: nodes(members) });
            assert_eq!(decided, Response::Decided(vec![values]));
            let wait = world.random.below(10_000);
            world.now += wait * 1_000;
            let node = world.random.below(u64::from(NODES)) as u8;
            world.crash(node);
            let wait = world.random.below(100);
            world.run(wait);
            world.start(node);
            world.settle();
            // Who has decided may have crashed, and then the others learn of it later.
            world.run_until("the move", |world| world.runs_on(values, nodes(members)));
        }
        assert!(world.network.seen.dropped > 0);
    });
}

#[test]
fn a_stopped_group_is_gone_everywhere_and_another_one_is_another_one() {
    over_seeds(|world| {
        let (values, locks) = two_groups(world, &[0, 1, 2]);
        world.settle();
        let down = world.random.below(3) as u8;
        world.crash(down);
        assert_eq!(world.ask(Operation::Stop { group: values }), Response::Stopped);
        let again = world.start_group(Machine::Values, &[0, 1, 2]);
        assert!(again > locks);
        world.start(down);
        world.workers.retain(|worker| worker.group != values);
        world.employ(again, Machine::Values, &[0, 1, 2], 10);
        world.settle();
        assert!(world.runs_on(again, nodes(&[0, 1, 2])));
        assert!(world.hosts.iter().flatten().all(|host| host.group(values).is_none()));
        assert_eq!(
            world.ask(Operation::Where { group: values }),
            Response::Refused(Refusal::Stopped(values))
        );
        // A client of the group that is gone is told so.
        world.employ(values, Machine::Values, &[0, 1, 2], 1);
        world.run_until("word of the end", |world| world.network.seen.gone.contains(&values));
    });
}

/// Everything at once: groups come and go and move, and nodes crash, one or two at a time.
#[test]
fn anything_may_happen_in_any_order() {
    over_seeds(|world| {
        two_groups(world, &[0, 1, 2]);
        for _ in 0..6 {
            world.more_work(6);
            let node = world.random.below(u64::from(NODES)) as u8;
            match world.random.below(5) {
                0 => {
                    let members = [node, (node + 1) % NODES, (node + 3) % NODES];
                    let group = world.start_group(Machine::Values, &members);
                    world.employ(group, Machine::Values, &members, 5);
                }
                1 => {
                    let group = world.workers[0].group;
                    let members = nodes(&[node, (node + 1) % NODES, (node + 2) % NODES]);
                    world.ask(Operation::Move { group, nodes: members });
                }
                2 => {
                    world.cut.insert(node);
                    let wait = world.random.below(1_000);
                    world.run(wait);
                    world.cut.clear();
                }
                _ => {}
            }
            let wait = world.random.below(20);
            world.run(wait);
            world.crash(node);
            let wait = world.random.below(1_500);
            world.run(wait);
            world.start(node);
            world.settle();
        }
    });
}

/// Groups may lose more members than they can stand. Then they stop; what they have answered stays right.
fn whatever_happens<R: HostRules + Clone>(world: &mut World<R>) {
    let (values, locks) = two_groups(world, &[0, 1, 2]);
    world.more_work(1_000);
    for _ in 0..40 {
        let wait = world.random.below(200);
        world.run(wait);
        let node = world.random.below(u64::from(NODES)) as u8;
        let is_normal =
            |host: &&Host<Both, R>| matches!(host.supervisor().role(), Role::Primary | Role::Backup);
        let normal = world.hosts.iter().flatten().filter(is_normal).count();
        match world.random.below(4) {
            // The supervisor must be able to go on, or nothing more happens.
            0 | 1 if normal > 3 => {
                let is_up = world.host(node).is_some();
                if is_up {
                    world.crash(node);
                }
                let wait = world.random.below(100);
                world.run(wait);
                world.start(node);
            }
            2 if normal > 3 => {
                let group = if world.random.below(4) == 0 { locks } else { values };
                let others = [1 + world.random.below(2) as u8, 3 + world.random.below(2) as u8];
                let members = nodes(&[node, (node + others[0]) % NODES, (node + others[1]) % NODES]);
                world.ask(Operation::Move { group, nodes: members });
            }
            _ => {
                world.cut.clear();
                if world.random.below(3) == 0 {
                    world.cut.insert(node);
                }
            }
        }
    }
}

#[test]
fn nothing_wrong_is_ever_answered() {
    over_seeds(whatever_happens);
}

// ---- Exact stories --------------------------------------------------------------------------------

/// From one replica of the supervisor to another: without these, a directory stays as it is.
fn is_directory(envelope: &Envelope<Both>) -> bool {
    matches!(envelope.contents, Contents::Supervisor(Letter::Message(_)))
}

/// What a host asks of the supervisor, also if a replica has passed it on.
fn is_errand(envelope: &Envelope<Both>) -> bool {
    match &envelope.contents {
        Contents::Supervisor(Letter::Request(_)) => true,
        Contents::Supervisor(Letter::Message(message)) => matches!(message.payload, Payload::Request(_)),
        _ => false,
    }
}

/// What it is answered.
fn is_answer(envelope: &Envelope<Both>) -> bool {
    matches!(envelope.contents, Contents::Supervisor(Letter::Reply(..)))
}

/// Whatever is sent within a group.
fn is_of_group(envelope: &Envelope<Both>) -> bool {
    matches!(envelope.contents, Contents::Group(..))
}

/// What an administrator asks of its group.
fn asked_of_group(envelope: &Envelope<Both>) -> Option<&RequestBody<Asked>> {
    match &envelope.contents {
        Contents::Group(_, Letter::Request(request)) => Some(&request.body),
        _ => None,
    }
}

fn is_reconfiguration(envelope: &Envelope<Both>) -> bool {
    matches!(asked_of_group(envelope), Some(RequestBody::Reconfiguration(_)))
}

/// A group that has done something, on a network that loses nothing by itself.
fn a_group<R: HostRules + Clone>(world: &mut World<R>, members: &[u8]) -> GroupId {
    world.loss = 0;
    let values = world.start_group(Machine::Values, members);
    world.employ(values, Machine::Values, members, 6);
    world.settle();
    values
}

/// So many clients open sessions with the supervisor that none from before is left.
fn crowd_out(world: &mut World<Standard>) {
    for address in 1_000..1_040 {
        let request = Request { address: ClientAddress(address), body: RequestBody::Register };
        let supervising = world.supervising().expect("a primary");
        world.at(supervising, |host, now, network| {
            host.on_supervisor_request(now, Arc::new(request), network);
        });
        world.run(5);
    }
    world.user = Client::new(ClientAddress(2), world.all, ClientOptions::default(), Standard, 2);
}

/// r4 was to get the group, and no more, and is to get it again, but hears of the last decision later than of the
/// ticket that the second to last made it draw. Returns the errand for it, too.
fn a_ticket_comes_before_the_decision(world: &mut World<Standard>) -> (GroupId, Envelope<Both>) {
    let values = a_group(world, &[0, 1, 2]);
    // So that r4 has asked for something before.
    world.start_group(Machine::Locks, &[0, 3, 4]);
    world.settle();
    let errand = Rc::new(RefCell::new(None));
    let sent = Rc::clone(&errand);
    world.lose(move |_, envelope| {
        let is_kept_back = envelope.from == ReplicaId(4) && is_errand(envelope);
        if is_kept_back {
            sent.replace(Some(envelope.clone()));
        }
        is_kept_back
    });
    world.move_group(values, &[1, 2, 4]);
    let seen = Rc::clone(&errand);
    world.run_until("the errand", move |_| seen.borrow().is_some());
    world.move_group(values, &[0, 1, 2]);
    // The errand arrives, and what has been decided does not; nor does the group move, before it is here.
    world.lose(|to, envelope| is_of_group(envelope) || to == 4 && is_directory(envelope));
    world.decide(values, &[1, 2, 4]);
    world.run_until("a replica", |world| world.replica(4, values).is_some());
    assert!(!world.is_wanted(4, values), "its host does not know what for");
    (values, errand.take().expect("it was sent"))
}

#[test]
fn a_replica_is_not_dropped_by_a_directory_that_is_older_than_its_ticket() {
    over_seeds(|world| {
        let (values, _) = a_ticket_comes_before_the_decision(world);
        world.run(100);
        assert!(world.replica(4, values).is_some());
        world.lose_nothing();
        world.settle();
        assert_eq!(world.network.seen.later_tickets, 0);
    });
}

/// A late copy of r4's errand arrives when its session is gone.
#[test]
fn nor_when_the_session_is_gone_in_which_it_was_drawn() {
    over_seeds(|world| {
        let (values, errand) = a_ticket_comes_before_the_decision(world);
        crowd_out(world);
        let supervising = world.supervising().map(ReplicaId).expect("a primary");
        world.network.deliveries.push(Delivery::Envelope(supervising, errand));
        world.run(100);
        assert!(world.replica(4, values).is_some());
        world.lose_nothing();
        world.settle();
        assert_eq!(world.network.seen.later_tickets, 0);
    });
}

/// r3 joins epoch 2 and is replaced in epoch 3, while its host knows of epoch 1 alone. Had it given the ticket back, as
/// one for epochs up to that, it could begin anew in epoch 2.
#[test]
fn a_replica_is_not_dropped_by_a_directory_that_is_behind_its_epoch() {
    over_seeds(|world| {
        let values = a_group(world, &[1, 2, 3]);
        world.lose(|to, envelope| to == 3 && is_of_group(envelope));
        world.move_group(values, &[1, 2, 4]);
        world.lose(|to, envelope| to == 3 && (is_of_group(envelope) || is_directory(envelope)));
        world.move_group(values, &[1, 2, 3]);
        world.lose(|to, envelope| to == 3 && is_directory(envelope));
        let has_joined = |world: &World<Standard>| {
            world.replica(3, values).is_some_and(|it| it.epoch() == Epoch(2) && it.role() == Role::Backup)
        };
        world.run_until("r3 in epoch 2", has_joined);
        // Nobody tells the supervisor of epoch 3.
        world.lose(|to, envelope| {
            to == 3 && is_directory(envelope) || [1, 2].contains(&envelope.from.0) && is_errand(envelope)
        });
        world.decide(values, &[1, 2, 4]);
        let has_begun =
            |world: &World<Standard>| world.replica(4, values).is_some_and(|it| it.epoch() == Epoch(3));
        let is_over = |world: &World<Standard>| {
            world.replica(3, values).is_none_or(|it| it.epoch() == Epoch(3) && it.role() == Role::Stopped)
        };
        world.run_until("the end of epoch 2", |world| has_begun(world) && is_over(world));
        world.run(300);
        world.lose(|_, envelope| [1, 2].contains(&envelope.from.0) && is_errand(envelope));
        world.run(300);
        assert!(world.is_wanted(3, values), "in epoch 2");
        world.lose_nothing();
        world.settle();
    });
}

/// r3 is cut off from its group, which does without it, and comes back: so the replica that has never stopped takes
/// part in epoch 2. Had its host given the ticket back in between, it could begin anew there after a crash.
#[test]
fn a_ticket_is_kept_while_its_replica_runs() {
    over_seeds(|world| {
        let values = a_group(world, &[1, 2, 3]);
        world.lose(|to, envelope| to == 3 && is_of_group(envelope));
        world.move_group(values, &[1, 2, 4]);
        world.run(200);
        assert!(world.replica(3, values).is_some() && !world.is_wanted(3, values), "it knows of nothing");
        world.move_group(values, &[1, 2, 3]);
        world.lose_nothing();
        world.settle();
        world.crash(3);
        world.start(3);
        world.settle();
        assert_eq!(world.network.seen.later_tickets, 1);
    });
}

/// r3 says that its replica is gone when the group is about to come back already.
#[test]
fn who_has_dropped_a_replica_in_time_begins_anew() {
    over_seeds(|world| {
        let values = a_group(world, &[1, 2, 3]);
        world.lose(|_, envelope| envelope.from == ReplicaId(3) && is_errand(envelope));
        world.move_group(values, &[1, 2, 4]);
        world.run_until("the drop", |world| world.replica(3, values).is_none());
        world.lose(|_, envelope| {
            is_of_group(envelope) || envelope.from == ReplicaId(3) && is_errand(envelope)
        });
        world.decide(values, &[1, 2, 3]);
        world.lose(|_, envelope| is_of_group(envelope));
        world.run_until("a replica", |world| world.replica(3, values).is_some());
        world.lose_nothing();
        world.settle();
        assert_eq!(world.network.seen.later_tickets, 0);
    });
}

/// r4 is to get a group, and the ticket comes when the group has been stopped.
#[test]
fn a_ticket_for_a_group_that_was_stopped_starts_nothing() {
    over_seeds(|world| {
        let values = a_group(world, &[0, 1, 2]);
        world.lose(|to, envelope| is_of_group(envelope) || to == 4 && is_answer(envelope));
        world.decide(values, &[1, 2, 4]);
        let has_ticket = |world: &World<Standard>| {
            let directory = world.host(4).expect("it is up").supervisor().service();
            directory.group(values).is_ok_and(|known| known.tickets.contains_key(&ReplicaId(4)))
        };
        world.run_until("a ticket", has_ticket);
        world.workers.clear();
        assert_eq!(world.ask(Operation::Stop { group: values }), Response::Stopped);
        world.settle();
        world.lose_nothing();
        world.run(3_000);
        assert_eq!(world.network.seen.dropped, 3, "those that had run");
    });
}

/// Not only at the next sign of life.
#[test]
fn what_is_decided_is_begun_at_once() {
    over_seeds(|world| {
        let values = a_group(world, &[0, 1, 2]);
        world.start_group(Machine::Locks, &[0, 3, 4]);
        world.settle();
        let joins = Rc::new(Cell::new(false));
        let seen = Rc::clone(&joins);
        world.lose(move |_, envelope| {
            seen.set(seen.get() || envelope.from == ReplicaId(4) && is_errand(envelope));
            false
        });
        world.decide(values, &[1, 2, 4]);
        world.run_until("word at r4", |world| world.is_wanted(4, values));
        world.run(25);
        assert!(joins.get());
    });
}

/// r4's errand comes too late, and r4 does not hear why.
#[test]
fn a_host_asks_for_the_same_only_once_it_has_seen_what_came_of_it() {
    over_seeds(|world| {
        let values = a_group(world, &[0, 1, 2]);
        world.lose(|_, envelope| {
            is_of_group(envelope) || envelope.from == ReplicaId(4) && is_errand(envelope)
        });
        world.decide(values, &[1, 2, 4]);
        world.run_until("word at r4", |world| world.is_wanted(4, values));
        world.lose(|to, envelope| to == 4 && is_directory(envelope));
        world.workers.clear();
        assert_eq!(world.ask(Operation::Stop { group: values }), Response::Stopped);
        let errands = |world: &World<Standard>| {
            let is_join = |request: &&Arc<Request<Operation<Machine>>>| {
                let RequestBody::Operation { operation, .. } = &request.body else { return false };
                *operation == Operation::Join { group: values, node: ReplicaId(4) }
            };
            world.network.seen.directory.values().filter(is_join).count()
        };
        world.run_until("the errand", |world| errands(world) > 0);
        world.run(500);
        assert_eq!(errands(world), 1);
        world.lose_nothing();
        world.settle();
    });
}

/// Before anybody asks the group to move, its new member has what it will need.
#[test]
fn a_node_that_is_to_become_a_member_fetches_the_state_ahead_of_time() {
    over_seeds(|world| {
        let values = a_group(world, &[1, 2, 3]);
        let committed = world.replica(1, values).expect("a member").commit_number();
        world.lose(|_, envelope| asked_of_group(envelope).is_some());
        world.decide(values, &[1, 2, 4]);
        let has_state = |world: &World<Standard>| {
            world.replica(4, values).is_some_and(|it| it.commit_number() == committed)
        };
        world.run_until("the state", has_state);
        assert_eq!(world.replica(4, values).map(Replica::epoch), Some(Epoch::ZERO));
        world.lose_nothing();
        world.settle();
    });
}

/// An epoch ends with an operation behind one of its own; and here no client asks for any.
#[test]
fn a_group_that_nobody_asks_anything_is_moved_again_and_again() {
    over_seeds(|world| {
        let values = world.start_group(Machine::Values, &[0, 1, 2]);
        for members in [[1, 2, 3], [2, 3, 4], [0, 1, 2], [1, 3, 4]] {
            world.move_group(values, &members);
            world.settle();
        }
        assert!(world.network.seen.refused < 20, "{} refused", world.network.seen.refused);
    });
}

/// r0 supervises, and its administrator has a session in {r1, r2, r3}, but nothing that it asks for arrives. Then r0
/// hears nothing of the directory any more, and somebody else supervises.
fn somebody_else_supervises(world: &mut World<Standard>) -> GroupId {
    let values = a_group(world, &[1, 2, 3]);
    world.lose(|_, envelope| envelope.from == ReplicaId(0) && is_reconfiguration(envelope));
    world.decide(values, &[2, 3, 4]);
    world.run(100);
    values
}

fn is_cut_from_directory(to: u8, envelope: &Envelope<Both>) -> bool {
    is_directory(envelope) && (to == 0 || envelope.from == ReplicaId(0))
}

/// What r0 knows is over: the group has moved there, and on.
#[test]
fn an_administrator_whose_epoch_is_over_asks_for_nothing_more() {
    over_seeds(|world| {
        let values = somebody_else_supervises(world);
        world.lose(|to, envelope| {
            is_cut_from_directory(to, envelope)
                || envelope.from == ReplicaId(0) && is_reconfiguration(envelope)
        });
        let epoch = |world: &World<Standard>| {
            world.host(1).expect("it is up").supervisor().service().group(values).map(|it| it.epoch.epoch)
        };
        world.run_until("epoch 1", |world| epoch(world) == Ok(Epoch(1)));
        world.decide(values, &[1, 2, 3]);
        world.run_until("epoch 2", |world| epoch(world) == Ok(Epoch(2)));
        world.lose(is_cut_from_directory);
        world.run(2_000);
        assert_eq!(world.host(0).map(|host| host.supervisor().role()), Some(Role::Primary), "as it thinks");
        world.lose_nothing();
        world.settle();
        assert_eq!(world.locate(values).0, nodes(&[1, 2, 3]));
    });
}

/// Both hosts that supervise ask, and the first to be heard does not get on: the other one is refused for a while.
#[test]
fn an_administrator_that_is_refused_rests() {
    let refused = Cell::new(0);
    over_seeds(|world| {
        let values = somebody_else_supervises(world);
        let is_last = |envelope: &Envelope<Both>| match &envelope.contents {
            Contents::Group(_, Letter::Message(Message { payload: Payload::Prepare(prepare), .. })) => {
                let is_end = |body: &RequestBody<_>| matches!(body, RequestBody::Reconfiguration(_));
                prepare.batch.entries().iter().any(|entry| is_end(&entry.request.body))
            }
            _ => false,
        };
        world.lose(move |to, envelope| {
            let is_kept_back = envelope.from == ReplicaId(0) && is_reconfiguration(envelope);
            is_cut_from_directory(to, envelope) || is_kept_back || is_last(envelope)
        });
        let is_ending = |world: &World<Standard>| {
            world.replica(1, values).is_some_and(|it| {
                let last = it.log().get(it.op_number()).expect("not in a checkpoint");
                matches!(last.request.body, RequestBody::Reconfiguration(_))
            })
        };
        world.run_until("a second administrator", is_ending);
        world.lose(move |to, envelope| is_cut_from_directory(to, envelope) || is_last(envelope));
        world.run(150);
        refused.set(refused.get() + world.network.seen.refused);
        assert!(world.network.seen.refused < 10, "{} refused", world.network.seen.refused);
        world.lose_nothing();
        world.settle();
    });
    assert!(refused.get() > 0);
}

/// An epoch with a witness has not started before enough of those have the state who can hold one; and r4 gets none.
#[test]
fn an_administrator_waits_until_the_epoch_has_started() {
    over_seeds(|world| {
        world.loss = 0;
        let group = |[first, second, witness]: [u8; 3]| {
            nodes(&[first, second, witness]).with_witnesses([ReplicaId(witness)]).expect("one of three")
        };
        let start = Operation::Start { machine: Machine::Values, nodes: group([1, 2, 3]) };
        let Response::Started(values) = world.ask(start) else { panic!("there is room") };
        world.employ(values, Machine::Values, &[1, 2, 3], 6);
        world.settle();
        world.lose(|to, envelope| to == 4 && is_of_group(envelope));
        world.ask(Operation::Move { group: values, nodes: group([1, 4, 0]) });
        world.run_until("a record of the move", |world| !world.is_moving(values));
        world.ask(Operation::Move { group: values, nodes: group([3, 4, 0]) });
        world.run(500);
        let refused = world.network.seen.refused;
        assert!((1..10).contains(&refused), "{refused} refused");
        world.lose_nothing();
        world.settle();
        assert_eq!(world.locate(values), (group([3, 4, 0]), None));
    });
}

/// A late copy of what r0's administrator was answered comes to the one that it has for the next epoch.
#[test]
fn an_administrator_does_not_take_up_the_session_of_another() {
    over_seeds(|world| {
        let values = a_group(world, &[1, 2, 3]);
        let supervising = world.supervising().expect("a primary");
        let answer = Rc::new(RefCell::new(None));
        let seen = Rc::clone(&answer);
        world.lose(move |to, envelope| {
            if let Contents::Group(_, Letter::Reply(_, reply)) = &envelope.contents
                && matches!(reply.body, ReplyBody::Registered { .. })
                && to == supervising
            {
                seen.replace(Some(envelope.clone()));
            }
            false
        });
        world.move_group(values, &[2, 3, 4]);
        world.lose(|_, envelope| matches!(asked_of_group(envelope), Some(RequestBody::Register)));
        world.decide(values, &[1, 2, 3]);
        world.run(30);
        let copy = answer.take().expect("it had a session");
        world.at(supervising, |host, now, network| host.on_envelope(now, copy, network));
        world.run(30);
        world.lose_nothing();
        world.settle();
    });
}

/// A host supervises, and hears that more sessions were opened in the group, or in the supervisor, than there is room
/// for: its own are gone.
#[test]
fn what_lives_in_hosts_opens_a_new_session_once_the_old_one_is_gone() {
    over_seeds(|world| {
        let values = a_group(world, &[1, 2, 3]);
        world.lose(|_, envelope| is_reconfiguration(envelope));
        world.decide(values, &[2, 3, 4]);
        world.run(100);
        for _ in 0..40 {
            world.employ(values, Machine::Values, &[1, 2, 3], 1);
            world.run_until("work", World::work_is_done);
        }
        world.workers.clear();
        world.lose_nothing();
        world.settle();

        crowd_out(world);
        world.start_group(Machine::Locks, &[0, 2, 4]);
        world.settle();
    });
}

/// Only the host that supervises asks for what is decided, and no longer than that is to be done.
#[test]
fn one_host_asks_groups_to_move_and_none_asks_a_group_that_was_stopped() {
    over_seeds(|world| {
        let values = a_group(world, &[1, 2, 3]);
        let asking = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&asking);
        world.lose(move |_, envelope| {
            let is_asked = asked_of_group(envelope).is_some();
            if is_asked {
                seen.borrow_mut().push(envelope.clone());
            }
            is_asked
        });
        let supervising = world.supervising().map(ReplicaId);
        world.decide(values, &[2, 3, 4]);
        world.run(1_000);
        assert!(!asking.borrow().is_empty());
        assert!(asking.borrow().iter().all(|asked| Some(asked.from) == supervising), "{asking:?}");
        world.workers.clear();
        assert_eq!(world.ask(Operation::Stop { group: values }), Response::Stopped);
        world.settle();
        world.run(100);
        let late = asking.take();
        world.run(3_000);
        assert!(asking.borrow().is_empty(), "{asking:?}");
        // What was asked before arrives only now. There is no client to be told.
        late.into_iter().for_each(|envelope| {
            world.at(3, |host, now, network| host.on_envelope(now, envelope, network));
        });
    });
}

// ---- Who is dead, and who is not ------------------------------------------------------------------

/// All members of a group on seven nodes stay, whatever their hosts are put through.
fn nobody_is_replaced(members: &[u8], hardship: impl Fn(&mut World<Standard>)) {
    for seed in seeds(60) {
        let world = &mut World::with(7, seed, Standard);
        let values = a_group(world, members);
        assert_eq!(world.supervising(), Some(0));
        hardship(world);
        world.lose_nothing();
        world.run(3_000);
        world.settle();
        let epochs: Vec<_> = world.network.seen.epochs.keys().collect();
        assert!(
            epochs.iter().all(|(_, epoch)| *epoch == Epoch::ZERO),
            "seed {seed}: all were alive: {epochs:?}"
        );
        assert_eq!(world.locate(values), (nodes(members), None));
    }
}

/// r0 waits for the acknowledgements of three others. One comes before it sleeps, and the others when it wakes up,
/// before anybody else can show that it is alive.
#[test]
fn who_has_slept_takes_nobody_for_dead() {
    nobody_is_replaced(&[0, 2, 4], |world| {
        let acknowledged = Rc::new(RefCell::new(BTreeMap::new()));
        let seen = Rc::clone(&acknowledged);
        world.lose(move |to, envelope| {
            let Contents::Supervisor(Letter::Message(message)) = &envelope.contents else { return false };
            let is_kept_back = to == 0 && matches!(message.payload, Payload::PrepareOk(_));
            if is_kept_back {
                seen.borrow_mut().insert(envelope.from.0, envelope.clone());
            }
            is_kept_back
        });
        let (now, list) = (world.now(), Operation::List { after: GroupId(0), limit: 1 });
        let outbox = &mut ToSupervisor(&mut world.network.deliveries);
        world.user.request(now, list, outbox).expect("a session");
        let seen = Rc::clone(&acknowledged);
        world.run_until("acknowledgements", move |_| seen.borrow().len() == 6);
        for (node, sleep) in [(1, 1_000), (2, 0), (3, 0)] {
            let envelope = acknowledged.borrow()[&node].clone();
            world.at(0, |host, now, network| host.on_envelope(now, envelope, network));
            world.now += sleep * MILLISECOND;
        }
        world.at(0, |host, now, network| host.on_timeout(now, network));
        world.run_until("the answer", |world| !world.user.is_waiting());
    });
}

/// Nobody hears anybody, so nobody takes over; then some are heard before others.
#[test]
fn who_hears_others_again_gives_all_of_them_time() {
    nobody_is_replaced(&[1, 2, 3], |world| {
        let wait = 600 + world.random.below(200);
        world.lose(|_, _| true);
        world.run(wait);
    });
}

/// r1 hears enough of the nodes all the time, but r6 not before it supervises.
#[test]
fn who_begins_to_supervise_gives_everybody_time() {
    nobody_is_replaced(&[2, 3, 6], |world| {
        let locks = world.start_group(Machine::Locks, &[1, 2, 3, 4, 5]);
        world.settle();
        world.employ(locks, Machine::Locks, &[1, 2, 3, 4, 5], 1_000);
        world.lose(|to, envelope| to == 1 && envelope.from == ReplicaId(6));
        world.run(700);
        world.crash(0);
        world.run_until("another primary", |world| world.supervising() == Some(1));
        world.start(0);
    });
}

/// Three of seven do not hear the others.
#[test]
fn a_minority_takes_nobody_for_dead() {
    nobody_is_replaced(&[0, 1, 4], |world| {
        world.lose(|to, envelope| (to < 3) != (envelope.from.0 < 3));
        world.run(1_500);
    });
}

#[test]
fn two_of_five_that_die_at_once_are_replaced() {
    over_seeds(|world| {
        let (first, second) = (a_group(world, &[0, 1, 3]), a_group(world, &[0, 2, 4]));
        world.crash(3);
        world.crash(4);
        let are_replaced = |world: &World<Standard>| {
            [first, second].iter().all(|group| world.runs_on(*group, nodes(&[0, 1, 2])))
        };
        world.run_until("two replacements", are_replaced);
    });
}

/// r4 comes back and cannot recover for long, so it does not know whom to tell that it is alive.
#[test]
fn who_does_not_know_the_primary_shows_itself_to_all() {
    over_seeds(|world| {
        let values = a_group(world, &[1, 2, 4]);
        world.crash(0);
        world.run_until("another primary", |world| world.supervising().is_some());
        world.start(0);
        world.settle();
        assert_ne!(world.supervising(), Some(0));
        world.crash(4);
        world.start(4);
        world.lose(|to, envelope| is_directory(envelope) && (to == 4 || envelope.from == ReplicaId(4)));
        world.run(2_000);
        world.lose_nothing();
        world.settle();
        assert_eq!(world.locate(values), (nodes(&[1, 2, 4]), None));
    });
}

/// Twenty times a second, each of the others shows the primary that it is alive.
#[test]
fn signs_of_life_are_few() {
    over_seeds(|world| {
        a_group(world, &[1, 2, 3]);
        let supervising = world.supervising();
        let signs = Rc::new(Cell::new([0, 0]));
        let seen = Rc::clone(&signs);
        world.lose(move |to, envelope| {
            if matches!(envelope.contents, Contents::Alive) {
                let [mut shown, mut others] = seen.get();
                *if Some(to) == supervising { &mut shown } else { &mut others } += 1;
                seen.set([shown, others]);
            }
            false
        });
        world.run(1_000);
        let [shown, others] = signs.get();
        assert!((70..100).contains(&shown) && others == 0, "{shown} to the primary, {others} to others");
    });
}

// ---- What hosts do not take -------------------------------------------------------------------------

#[test]
fn strangers_are_not_heard() {
    let mut world = World::new(1, Standard);
    world.settle();
    let envelope = Envelope { from: ReplicaId(NODES), contents: Contents::Alive };
    world.network.deliveries.clear();
    world.at(0, |host, now, network| host.on_envelope(now, envelope, network));
    assert!(world.network.deliveries.is_empty());
}

/// Addresses from 2^63 on belong to clients in hosts: what others ask from there would be answered to one of them.
#[test]
fn nobody_outside_asks_from_an_address_inside() {
    over_seeds(|world| {
        let values = a_group(world, &[0, 1, 2]);
        let address = ClientAddress(1 << 63 | 7 << 57);
        let (number, freshness) = (vr::RequestNumber(1), Freshness::Causal(OpNumber(0)));
        world.network.deliveries.clear();
        for group in [values, GroupId(99)] {
            let request = Arc::new(Request { address, body: RequestBody::Register });
            world.at(0, |host, now, network| host.on_request(now, group, request, network));
            let operation = Either::Left(Ask::Get { key: 1 });
            let read = Arc::new(Read { address, number, operation, freshness });
            world.at(0, |host, now, network| host.on_read(now, group, read, network));
        }
        let request = Arc::new(Request { address, body: RequestBody::Register });
        world.at(0, |host, now, network| host.on_supervisor_request(now, request, network));
        let operation = Operation::Where { group: values };
        let read = Arc::new(Read { address, number, operation, freshness });
        world.at(0, |host, now, network| host.on_supervisor_read(now, read, network));
        assert!(world.network.deliveries.is_empty());
    });
}

/// In its first epoch a group is where it was started. Of a later one, who has left tells.
#[test]
fn who_does_not_run_a_group_tells_where_it_has_moved() {
    over_seeds(|world| {
        let values = a_group(world, &[0, 1, 2]);
        let (address, number) = (ClientAddress(7), vr::RequestNumber(1));
        let ask = |world: &mut World<Standard>, node| {
            world.network.deliveries.clear();
            let request = Arc::new(Request { address, body: RequestBody::Register });
            world.at(node, |host, now, network| host.on_request(now, values, request, network));
            let (operation, freshness) = (Either::Left(Ask::Get { key: 1 }), Freshness::Linearizable);
            let read = Arc::new(Read { address, number, operation, freshness });
            world.at(node, |host, now, network| host.on_read(now, values, read, network));
            let told = |delivery: Delivery| match delivery {
                Delivery::Reply(_, Reply { body: ReplyBody::NewEpoch(start), .. }) => start.epoch,
                _ => panic!("{node} says something else"),
            };
            std::mem::take(&mut world.network.deliveries).into_iter().map(told).collect::<Vec<_>>()
        };
        assert_eq!(ask(world, 3), []);
        world.move_group(values, &[1, 2, 3]);
        world.settle();
        assert_eq!(ask(world, 0), [Epoch(1); 2]);
    });
}

#[test]
fn options_that_hosts_cannot_work_with_are_refused() {
    use vr::host::InvalidHostOptions::{Groups, Lifeless, Supervisor};
    let (good, zero) = (options(), Duration(0));
    assert_eq!(good.validate(), Ok(()));
    let no_sessions = Options { sessions_max: 0, ..good.groups };
    let invalid = no_sessions.validate().expect_err("no client could ask anything");
    let quarter = Duration(good.failure_timeout.0 / 4);
    for (options, expected) in [
        (HostOptions { supervisor: no_sessions, ..good }, Err(Supervisor(invalid))),
        (HostOptions { groups: no_sessions, ..good }, Err(Groups(invalid))),
        (HostOptions { alive_interval: zero, ..good }, Err(Lifeless)),
        (HostOptions { alive_interval: quarter, ..good }, Ok(())),
        (HostOptions { alive_interval: Duration(quarter.0 + 1), ..good }, Err(Lifeless)),
    ] {
        assert_eq!(options.validate(), expected);
    }
}

#[test]
fn a_host_that_cannot_be_does_not_start() {
    let good = Node {
        id: ReplicaId(0),
        nodes: nodes(&[0, 1, 2]),
        options: options(),
        incarnation: Incarnation(0),
        entropy: 0,
    };
    let again = Node { incarnation: Incarnation(1), ..good };
    let mute = HostOptions { alive_interval: Duration(0), ..good.options };
    for (node, expected) in [
        (good, None),
        (Node { id: ReplicaId(3), ..good }, Some("r3 is not in {r0, r1, r2}")),
        (Node { id: ReplicaId(3), ..again }, Some("r3 is not in {r0, r1, r2}")),
        (Node { incarnation: Incarnation(1 << 33), ..good }, Some("expected one below 2^33")),
        (Node { options: mute, ..good }, Some("options whose alive interval is zero")),
    ] {
        let start = || {
            let mut network = Network { deliveries: Vec::new(), seen: Seen::default(), node: node.id };
            Host::start(Instant(0), node, Both, Standard, &mut network);
        };
        let panic = catch_unwind(AssertUnwindSafe(start)).err();
        let text = panic.map(|panic| panic.downcast::<String>().expect("a text"));
        assert_eq!(text.is_some(), expected.is_some());
        assert!(text.is_none_or(|text| text.contains(expected.unwrap_or_default())));
    }
}

// ---- Without its rules ----------------------------------------------------------------------------

/// Every ticket is as good as a clean one.
#[derive(Clone, Copy)]
struct AnyTicketBegins;

impl HostRules for AnyTicketBegins {
    type Replica = Standard;

    fn replica(&self) -> Standard {
        Standard
    }

    fn begins_anew(&self, _: bool) -> bool {
        true
    }
}

/// Hosts replace whom they miss, without asking the supervisor.
#[derive(Clone, Copy)]
struct DecidesAlone;

impl HostRules for DecidesAlone {
    type Replica = Standard;

    fn replica(&self) -> Standard {
        Standard
    }

    fn replacement(
        &self,
        decided: Option<Configuration>,
        own: impl FnOnce() -> Option<Configuration>,
    ) -> Option<Configuration> {
        own().or(decided)
    }
}

/// A host takes what another one asks for, however long ago that was.
#[derive(Clone, Copy)]
struct TakesOldReplacements;

impl HostRules for TakesOldReplacements {
    type Replica = Standard;

    fn replica(&self) -> Standard {
        Standard
    }

    fn takes_replacements_from_others(&self) -> bool {
        true
    }
}

/// A group begins to move as soon as that is decided, whoever is there.
#[derive(Clone, Copy)]
struct MovesAtOnce;

impl HostRules for MovesAtOnce {
    type Replica = Standard;

    fn replica(&self) -> Standard {
        Standard
    }

    fn begins_move(&self, _: usize, _: Configuration) -> bool {
        true
    }
}

/// A replica is dropped as soon as the directory says that it is no member any more.
#[derive(Clone, Copy)]
struct DropsAtOnce;

impl HostRules for DropsAtOnce {
    type Replica = Standard;

    fn replica(&self) -> Standard {
        Standard
    }

    fn may_drop(&self, _: Role) -> bool {
        true
    }
}

/// Who hears nobody takes everybody for dead.
#[derive(Clone, Copy)]
struct SuspectsWhenCutOff;

impl HostRules for SuspectsWhenCutOff {
    type Replica = Standard;

    fn replica(&self) -> Standard {
        Standard
    }

    fn may_suspect(&self, _: usize, _: Configuration) -> bool {
        true
    }
}

/// Nobody tells replicas of the epochs that they have missed.
#[derive(Clone, Copy)]
struct KeepsEpochs;

impl HostRules for KeepsEpochs {
    type Replica = Standard;

    fn replica(&self) -> Standard {
        Standard
    }

    fn passes_epochs_on(&self) -> bool {
        false
    }
}

/// Nobody tells the supervisor of new epochs.
#[derive(Clone, Copy)]
struct ReportsNothing;

impl HostRules for ReportsNothing {
    type Replica = Standard;

    fn replica(&self) -> Standard {
        Standard
    }

    fn reports_epoch(&self, _: Role, _: Epoch, _: Epoch) -> bool {
        false
    }
}

/// The first seed of which the story goes wrong in the way that is `expected`; by the rules it never goes wrong.
fn goes_wrong<R: HostRules + Clone>(rules: R, expected: &str, story: impl Fn(&mut World<R>)) {
    for seed in 0..500 {
        let told = catch_unwind(AssertUnwindSafe(|| story(&mut World::new(seed, rules.clone()))));
        let Err(panic) = told else { continue };
        let text =
            panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        if text.is_some_and(|text| text.contains(expected)) {
            return println!("seed {seed}: {}", text.unwrap_or_default());
        }
    }
    panic!("no seed shows it");
}

fn several_crash<R: HostRules + Clone>(world: &mut World<R>) {
    two_groups(world, &[0, 1, 2]);
    for _ in 0..4 {
        world.more_work(10);
        let wait = world.random.below(30);
        world.run(wait);
        let node = world.random.below(u64::from(NODES)) as u8;
        world.crash(node);
        world.run(5);
        world.start(node);
        world.settle();
    }
}

#[test]
fn a_host_that_ignores_its_ticket_loses_what_was_committed() {
    over_seeds(several_crash);
    goes_wrong(AnyTicketBegins, "differ", several_crash);
}

fn one_is_replaced<R: HostRules + Clone>(world: &mut World<R>) {
    let (values, _) = two_groups(world, &[0, 1, 2]);
    world.settle();
    world.crash(1);
    world.run_until("a replacement", |world| world.runs_on(values, nodes(&[0, 2, 3])));
}

#[test]
fn hosts_that_decide_without_the_log_move_groups_where_nobody_knows_of_it() {
    over_seeds(one_is_replaced);
    goes_wrong(DecidesAlone, "moves as nobody decided", one_is_replaced);
}

fn only_one_stays<R: HostRules + Clone>(world: &mut World<R>) {
    let (values, _) = two_groups(world, &[0, 1, 2]);
    world.settle();
    world.ask(Operation::Move { group: values, nodes: nodes(&[2, 3, 4]) });
    world.run_until("a record", |world| !world.is_moving(values));
    world.crash(2);
    world.run(300);
    world.start(2);
    world.settle();
}

#[test]
fn a_state_that_is_dropped_at_once_may_have_been_the_last() {
    over_seeds(only_one_stays);
    goes_wrong(DropsAtOnce, "not within a minute", only_one_stays);
}

/// Nobody notices, for it is heard, and nobody asks it anything.
fn the_supervisors_primary_is_deaf<R: HostRules + Clone>(world: &mut World<R>) {
    world.loss = 0;
    let (values, _) = two_groups(world, &[1, 2, 3]);
    world.settle();
    let supervising = world.supervising().expect("a primary");
    world.lose(move |to, _| to == supervising);
    let wait = 500 + world.random.below(50);
    world.run(wait);
    world.lose_nothing();
    world.run(3_000);
    world.settle();
    assert_eq!(world.locate(values).0, nodes(&[1, 2, 3]), "all of them were alive");
}

#[test]
fn who_was_deaf_must_not_replace_the_others() {
    over_seeds(the_supervisors_primary_is_deaf);
    goes_wrong(SuspectsWhenCutOff, "all of them were alive", the_supervisors_primary_is_deaf);
}

/// r0 misses r2, but hears nothing of the directory any more. When it is heard again, r2 has long been back.
fn who_has_missed_it_supervises_no_more<R: HostRules + Clone>(world: &mut World<R>) {
    let values = a_group(world, &[0, 1, 2]);
    assert_eq!(world.supervising(), Some(0));
    world.cut.insert(2);
    world.run(430);
    world.lose(is_cut_from_directory);
    world.run(80);
    world.cut.clear();
    world.run_until("another primary", |world| {
        let is_primary =
            |node| world.host(node).is_some_and(|host| host.supervisor().role() == Role::Primary);
        (1..NODES).any(is_primary)
    });
    world.lose_nothing();
    world.run(3_000);
    world.settle();
    assert_eq!(world.locate(values), (nodes(&[0, 1, 2]), None), "all of them were alive");
    // It does not ask for ever, and has time for what comes next.
    world.start_group(Machine::Locks, &[0, 3, 4]);
    world.settle();
}

#[test]
fn who_does_not_supervise_any_more_replaces_nobody() {
    over_seeds(who_has_missed_it_supervises_no_more);
    goes_wrong(TakesOldReplacements, "all of them were alive", who_has_missed_it_supervises_no_more);
}

/// Two of the three nodes that a group is to move to are dead. It works where it is, and moves once they are back.
fn the_next_members_are_dead<R: HostRules + Clone>(world: &mut World<R>) {
    let values = world.start_group(Machine::Values, &[0, 1, 2]);
    world.employ(values, Machine::Values, &[0, 1, 2], 4);
    world.settle();
    world.crash(3);
    world.crash(4);
    world.run(600);
    world.decide(values, &[2, 3, 4]);
    world.run(1_000);
    world.more_work(4);
    world.run_until("work", World::work_is_done);
    assert!(world.is_moving(values));
    world.start(3);
    world.start(4);
    world.settle();
    assert_eq!(world.locate(values), (nodes(&[2, 3, 4]), None));
}

#[test]
fn a_group_does_not_move_to_the_dead() {
    over_seeds(the_next_members_are_dead);
    goes_wrong(MovesAtOnce, "work: not within a minute", the_next_members_are_dead);
}

/// Otherwise the group could be moved no more: a member that is active stays so.
#[test]
fn a_witness_is_replaced_by_a_witness() {
    over_seeds(|world| {
        let group =
            |ids: &[u8], witness| nodes(ids).with_witnesses([ReplicaId(witness)]).expect("one of three");
        let started = world.ask(Operation::Start { machine: Machine::Values, nodes: group(&[0, 1, 2], 2) });
        let Response::Started(values) = started else { panic!("{started:?}") };
        world.employ(values, Machine::Values, &[0, 1, 2], 4);
        world.settle();
        for (dead, members) in [(0, group(&[1, 2, 3], 2)), (2, group(&[1, 3, 4], 4))] {
            world.crash(dead);
            world.run_until("a replacement", |world| world.runs_on(values, members));
            world.more_work(4);
            world.settle();
        }
    });
}

#[test]
fn what_only_hosts_can_know_is_not_taken_from_users() {
    over_seeds(|world| {
        let values = a_group(world, &[0, 1, 2]);
        let directory = world.host(0).expect("it is up").supervisor().service().clone();
        let (group, node, members) = (values, ReplicaId(0), nodes(&[2, 3, 4]));
        let after =
            EpochStart { epoch: Epoch(1), members, ..directory.group(values).expect("it runs").epoch };
        let client = world.user.id().expect("a session");
        for (place, operation) in [
            Operation::Join { group, node },
            Operation::Leave { group, node, ticket: Incarnation(1), until: Some(Epoch(9)) },
            Operation::Moved { group, epoch: after },
        ]
        .into_iter()
        .enumerate()
        {
            let body = RequestBody::Operation { client, number: RequestNumber(90 + place as u64), operation };
            let request = Arc::new(Request { address: world.user.address(), body });
            for node in 0..NODES {
                world
                    .at(node, |host, now, network| host.on_supervisor_request(now, request.clone(), network));
            }
            world.run(100);
        }
        world.settle();
        assert_eq!(*world.host(0).expect("it is up").supervisor().service(), directory);
    });
}

#[test]
fn nobody_but_the_supervisor_reconfigures_a_group() {
    over_seeds(|world| {
        let values = a_group(world, &[0, 1, 2]);
        let asked = Reconfiguration {
            client: ClientId(1),
            number: RequestNumber(1),
            epoch: Epoch::ZERO,
            previous: nodes(&[0, 1, 2]),
            members: nodes(&[0, 1, 3]),
        };
        let address = ClientAddress(99);
        let request = Arc::new(Request { address, body: RequestBody::Reconfiguration(Box::new(asked)) });
        for node in 0..3 {
            world.network.deliveries.clear();
            world.at(node, |host, now, network| host.on_request(now, values, request.clone(), network));
            let is_refused = |delivery: &Delivery| match delivery {
                Delivery::Reply(to, reply) => {
                    let reason = vr::Refusal::Supervised;
                    let (client, number) = (asked.client, asked.number);
                    *to == address && reply.body == ReplyBody::Refused { client, number, reason }
                }
                _ => false,
            };
            assert!(matches!(&world.network.deliveries[..], [only] if is_refused(only)));
        }
        world.settle();
        assert_eq!(world.locate(values), (nodes(&[0, 1, 2]), None));
    });
}

/// A place is given to nobody who was not heard lately, however few groups it has.
#[test]
fn who_is_not_heard_takes_nobodys_place() {
    over_seeds(|world| {
        let values = a_group(world, &[0, 1, 2]);
        world.start_group(Machine::Locks, &[0, 1, 4]);
        world.settle();
        // r3 has no group, and would be taken; it dies a moment after r2.
        world.crash(2);
        world.run(100);
        world.crash(3);
        world.run_until("a new member", |world| world.locate_on(0, values) != nodes(&[0, 1, 2]));
        assert_eq!(world.locate_on(0, values), nodes(&[0, 1, 4]));
        world.start(2);
        world.start(3);
        world.settle();
    });
}

#[test]
fn who_moves_groups_must_say_so() {
    goes_wrong(ReportsNothing, "order: not within a minute", |world| {
        let (values, _) = two_groups(world, &[0, 1, 2]);
        world.ask(Operation::Move { group: values, nodes: nodes(&[2, 3, 4]) });
        world.settle();
    });
}

/// Who was away while the whole group left cannot ask anybody who still knows of it.
fn all_leave_while_one_is_away<R: HostRules + Clone>(world: &mut World<R>) {
    let values = world.start_group(Machine::Values, &[0, 1, 2]);
    world.employ(values, Machine::Values, &[0, 1, 2], 6);
    world.settle();
    let away = world.random.below(3) as u8;
    world.cut.insert(away);
    world.ask(Operation::Move { group: values, nodes: nodes(&[3, 4, 5]) });
    let has_left = |world: &World<R>| {
        let runs = |host: &&Host<Both, R>| host.group(values).is_some();
        world.hosts.iter().flatten().filter(runs).count() == 4
    };
    world.run_until("the others' leaving", has_left);
    world.cut.clear();
    world.settle();
}

#[test]
fn a_host_tells_its_replicas_what_nobody_else_can_tell_them() {
    for seed in seeds(60) {
        all_leave_while_one_is_away(&mut World::with(6, seed, Standard));
    }
    goes_wrong(KeepsEpochs, "order: not within a minute", |world| {
        *world = World::with(6, world.random.below(1_000), KeepsEpochs);
        all_leave_while_one_is_away(world);
    });
}
