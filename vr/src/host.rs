//! Many groups on the same nodes: every node has a [`Host`], and the hosts run whatever the
//! [`Supervisor`] is told to run.
//!
//! A host is a value like a replica, with the same inputs. It runs a replica of the supervisor, whose group is made of
//! all nodes, and a replica of each group that the supervisor has put on its node. Users talk to the supervisor through
//! a [`Client`](crate::Client) like to any other group: start this state machine on these nodes, move it, stop it,
//! where is it? Clients of a group talk to the group, at the nodes where it is.
//!
//! # A key-value store and locks, side by side
//!
//! Four nodes in one process. What is on its way is a queue of deliveries.
//!
//! ```
//! use std::collections::VecDeque;
//! use std::sync::Arc;
//! use vr::host::Envelope;
//! use vr::services::{Either, KeyValueStore, Locks, key_value_store, locks};
//! use vr::supervisor::{Operation, Response};
//! use vr::*;
//!
//! // What can run: an application's state machines, and how each is made.
//! #[derive(Clone, Debug, PartialEq)]
//! enum Machine { Values, Locks }
//! struct Both;
//! type Running = Either<KeyValueStore<String, u64>, Locks<String, u64>>;
//! type Asked = Either<key_value_store::Operation<String, u64>, locks::Operation<String, u64>>;
//! type Answered = <Running as Service>::Response;
//!
//! impl Application for Both {
//!     type Machine = Machine;
//!     type Service = Running;
//!     fn service(&self, machine: &Machine) -> Running {
//!         match machine {
//!             Machine::Values => Either::Left(KeyValueStore::default()),
//!             Machine::Locks => Either::Right(Locks::default()),
//!         }
//!     }
//! }
//!
//! // In place of sockets.
//! type Delivery = Box<dyn FnOnce(&mut [Host<Both>], Instant, &mut Network)>;
//! #[derive(Default)]
//! struct Network {
//!     post: VecDeque<Delivery>,
//!     replies: VecDeque<Reply<Answered>>,
//!     supervisor_replies: VecDeque<Reply<Response<Machine>>>,
//!     /// Whose clients are asking.
//!     group: GroupId,
//! }
//! impl HostOutbox<Both> for Network {
//!     fn send(&mut self, to: ReplicaId, envelope: Envelope<Both>) {
//!         self.post.push_back(Box::new(move |hosts, now, network| {
//!             hosts[to.index()].on_envelope(now, envelope, network);
//!         }));
//!     }
//!     fn reply(&mut self, _: ClientAddress, _: GroupId, reply: Reply<Answered>) {
//!         self.replies.push_back(reply);
//!     }
//!     fn supervisor_reply(&mut self, _: ClientAddress, reply: Reply<Response<Machine>>) {
//!         self.supervisor_replies.push_back(reply);
//!     }
//! }
//! impl ClientOutbox<Asked> for Network {
//!     fn send(&mut self, to: ReplicaId, request: Arc<Request<Asked>>) {
//!         let group = self.group;
//!         self.post.push_back(Box::new(move |hosts, now, network| {
//!             hosts[to.index()].on_request(now, group, request, network);
//!         }));
//!     }
//! }
//! impl ClientOutbox<Operation<Machine>> for Network {
//!     fn send(&mut self, to: ReplicaId, request: Arc<Request<Operation<Machine>>>) {
//!         self.post.push_back(Box::new(move |hosts, now, network| {
//!             hosts[to.index()].on_supervisor_request(now, request, network);
//!         }));
//!     }
//! }
//!
//! struct World { hosts: Vec<Host<Both>>, network: Network, now: Instant }
//!
//! impl World {
//!     /// Lets everything happen until `client` has the answer to `operation`.
//!     fn ask<O: Clone, T>(
//!         &mut self,
//!         client: &mut Client<O>,
//!         operation: O,
//!         replies: fn(&mut Network) -> &mut VecDeque<Reply<T>>,
//!     ) -> T
//!     where
//!         Network: ClientOutbox<O>,
//!     {
//!         let World { hosts, network, now } = self;
//!         client.register(*now, network);
//!         let mut operation = Some(operation);
//!         loop {
//!             if client.id().is_some() && !client.is_waiting() {
//!                 client.request(*now, operation.take().unwrap(), network).unwrap();
//!             } else if let Some(reply) = replies(network).pop_front() {
//!                 if let Some(ClientEvent::Executed { response, .. }) = client.on_reply(*now, reply, network) {
//!                     return response;
//!                 }
//!             } else if let Some(deliver) = network.post.pop_front() {
//!                 deliver(hosts, *now, network);
//!             } else {
//!                 let deadlines = hosts.iter().map(Host::next_deadline);
//!                 *now = deadlines.min().unwrap().min(client.next_deadline());
//!                 hosts.iter_mut().for_each(|host| host.on_timeout(*now, network));
//!                 client.on_timeout(*now, network);
//!             }
//!         }
//!     }
//! }
//!
//! let (now, mut network) = (Instant(0), Network::default());
//! let nodes = Configuration::new(4).unwrap();
//! let start = |id: ReplicaId| {
//!     let (options, entropy) = (HostOptions::default(), u64::from(id.0));
//!     let node = Node { id, nodes, options, incarnation: Incarnation(0), entropy };
//!     Host::start(now, node, Both, Standard, &mut network)
//! };
//! let hosts = nodes.members().map(start).collect();
//! let mut world = World { hosts, network, now };
//!
//! // A user wants a store on the first three nodes, and locks on the last three.
//! let mut user = Client::new(ClientAddress(1), nodes, ClientOptions::default(), Standard, 1);
//! let mut groups = Vec::new();
//! for (machine, ids) in [(Machine::Values, [0, 1, 2]), (Machine::Locks, [1, 2, 3])] {
//!     let members = Configuration::of(ids.map(ReplicaId)).unwrap();
//!     let start = Operation::Start { machine, nodes: members };
//!     match world.ask(&mut user, start, |network| &mut network.supervisor_replies) {
//!         Response::Started(group) => groups.push((group, members)),
//!         other => panic!("{other:?}"),
//!     }
//! }
//!
//! // Each has its clients.
//! let (store, members) = groups[0];
//! world.network.group = store;
//! let mut client = Client::new(ClientAddress(2), members, ClientOptions::default(), Standard, 2);
//! client.search_on(nodes);
//! let put = key_value_store::Operation::Put { key: "a".to_owned(), value: 1 };
//! let answer = world.ask(&mut client, Either::Left(put), |network| &mut network.replies);
//! assert_eq!(answer, Ok(Either::Left(key_value_store::Response::Replaced(None))));
//!
//! let (locks, members) = groups[1];
//! world.network.group = locks;
//! let mut client = Client::new(ClientAddress(3), members, ClientOptions::default(), Standard, 3);
//! let acquire = locks::Operation::Acquire { lock: "printer".to_owned(), owner: 7 };
//! let answer = world.ask(&mut client, Either::Right(acquire), |network| &mut network.replies);
//! let token = locks::Token(1);
//! assert_eq!(answer, Ok(Either::Right(locks::Response::Granted { token })));
//!
//! // Where is the store?
//! let place = Operation::Where { group: store };
//! let Response::Found(found) = world.ask(&mut user, place, |network| &mut network.supervisor_replies) else {
//!     panic!("it was started")
//! };
//! assert_eq!((found.machine, found.epoch.members), (Machine::Values, groups[0].1));
//! assert!(world.hosts[3].group(store).is_none() && world.hosts[3].group(locks).is_some());
//! ```
//!
//! # What a host does of its own accord
//!
//! It holds what runs at its node against the directory, whenever either has changed:
//!
//! - A group that should run here and does not: it draws a [ticket](crate::supervisor#tickets), and starts a replica
//!   in the way that the ticket says. After a restart, that is a recovery.
//! - A group that was stopped, or that needs this node no more: it drops the replica. A member that was replaced is kept
//!   until enough of the new members have the state.
//! - A group whose primary is here has come to another epoch: it tells the supervisor.
//! - A replica here has missed an epoch that the directory knows: it tells the replica.
//!
//! The host of the supervisor's primary does more: it looks for nodes that have been silent for longer than
//! [`HostOptions::failure_timeout`], by its own clock, and asks the supervisor to replace them. What is decided is in
//! the supervisor's log, and carried out by an administrator in that host, with a [`Client`](crate::Client) of the
//! group. Should the primary change, the next one's host goes on; should both carry out what is decided, they want the
//! same. Whether somebody is dead nobody can know, and safety does not rest on it.
//!
//! # What you must keep to
//!
//! - The rules of the crate hold for hosts as a whole: one [`Incarnation`] for each start of a host, above zero for all
//!   but the first one ever, and [`Host::next_deadline`] after each input.
//! - The nodes stay the same, and the supervisor runs on all of them. If more than
//!   [`Configuration::failures_tolerated`] of them are without memory at one time, the supervisor answers no more, and
//!   nothing starts or recovers; groups that run go on.
//! - All nodes are active: a witness would not know the directory. Groups can have witnesses.
//! - Clients have addresses below 2^63. Those above belong to the clients that live in hosts.
//! - [`Application::service`] is a function of the description alone.
//! - A group's clients know [where to look](crate::Client::search_on) for it: all members that they know of may be gone
//!   for good. Any host tells them where it is.

mod duties;
mod groups;
mod post;
mod rules;

use std::collections::{BTreeMap, VecDeque};
use std::fmt::{self, Debug};
use std::sync::Arc;

use crate::client::ClientOptions;
use crate::configuration::{Configuration, InvalidOptions, Options};
use crate::entropy::Entropy;
use crate::epoch::{self, EpochStart, Reconfiguration};
use crate::message::{Read, Reply, ReplyBody, Request, RequestBody};
use crate::outbox::{Outbox, Role};
use crate::replica::{Member, Replica};
use crate::rules::Standard;
use crate::service::Service;
use crate::supervisor::{self, GroupId, Refusal, Supervisor, Ticket};
use crate::types::{ClientAddress, Duration, Epoch, Incarnation, Instant, ReplicaId, View};

use duties::{Administrator, Clerk, Vigil};
use groups::Groups;
use post::{Channel, GroupLine, SupervisorLine, Unobserved, host_of};

pub use post::{Contents, Envelope, Letter};
pub use rules::HostRules;

/// What runs on hosts: makes state machines of their descriptions.
pub trait Application {
    /// Describes a state machine: part of the directory, and so the same at all hosts. An enumeration, a name, a
    /// configuration.
    type Machine: Clone + Debug;
    /// The state machine of a group. Where groups differ, an enumeration of services, for instance
    /// [`Either`](crate::services::Either).
    type Service: Service;

    /// A state machine in its initial state: the same at every call for equal descriptions, on every node.
    fn service(&self, machine: &Self::Machine) -> Self::Service;
}

type OperationOf<A> = <<A as Application>::Service as Service>::Operation;
type ResponseOf<A> = <<A as Application>::Service as Service>::Response;

/// Takes what a host does. Only the first three methods must be implemented.
pub trait HostOutbox<A: Application> {
    /// Send `envelope` to the host of another node. It may be lost, delayed, repeated, overtaken.
    fn send(&mut self, to: ReplicaId, envelope: Envelope<A>);

    /// Send `reply` to a client of `group`.
    fn reply(&mut self, to: ClientAddress, group: GroupId, reply: Reply<ResponseOf<A>>);

    /// Send `reply` to a client of the supervisor.
    fn supervisor_reply(&mut self, to: ClientAddress, reply: Reply<supervisor::Response<A::Machine>>);

    /// A client has asked a group that was stopped. Tell it, or it will ask for ever.
    fn no_such_group(&mut self, to: ClientAddress, group: GroupId) {
        let _ = (to, group);
    }

    /// A replica of a group starts here, with this ticket. What it does, and its [role](Self::role_changed), is told
    /// after that.
    fn group_started(&mut self, group: GroupId, ticket: &Ticket<A::Machine>) {
        let _ = (group, ticket);
    }

    /// The replica of a group was dropped here: the group was stopped, or runs elsewhere.
    fn group_stopped(&mut self, group: GroupId) {
        let _ = group;
    }

    /// The role or the view of a replica here is another one now, or its first one: see [`Outbox::role_changed`]. The
    /// supervisor's is told of, too.
    fn role_changed(&mut self, group: GroupId, role: Role, view: View) {
        let _ = (group, role, view);
    }

    /// Who is told of everything else that the replica of a group tells of itself. What it is to send is not given to
    /// this outbox.
    fn observe(&mut self, group: GroupId) -> impl Outbox<A::Service> {
        let _ = group;
        Unobserved
    }

    /// Likewise for the supervisor's replica.
    fn observe_supervisor(&mut self) -> impl Outbox<Supervisor<A::Machine>> {
        Unobserved
    }
}

/// Timing and bounds of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostOptions {
    /// Those of the supervisor's group. Each host has a session in it:
    /// [`sessions_max`](Options::sessions_max) should be twice the number of nodes, and as many as there are users; it
    /// must be more than the number of nodes.
    pub supervisor: Options,
    /// Those of all other groups.
    pub groups: Options,
    /// Those of the clients that live in hosts.
    pub clients: ClientOptions,
    /// How many groups there may be, the same at all nodes.
    pub groups_max: usize,
    /// How often a node shows to the supervisor's primary that it is alive: above zero.
    pub alive_interval: Duration,
    /// After which silence a node is taken for dead, and replaced: at least four times as long. A node that was
    /// replaced by mistake has lost nothing but its groups. Above the time that a restart takes, for who comes back
    /// soon needs not be replaced.
    pub failure_timeout: Duration,
}

impl Default for HostOptions {
    /// Values for a local network.
    fn default() -> Self {
        Self {
            supervisor: Options { sessions_max: 256, ..Options::default() },
            groups: Options::default(),
            clients: ClientOptions::default(),
            groups_max: 1_024,
            alive_interval: Duration::from_millis(100),
            failure_timeout: Duration::from_millis(10_000),
        }
    }
}

/// What is wrong with [`HostOptions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidHostOptions {
    /// The supervisor's group cannot work with its options.
    Supervisor(InvalidOptions),
    /// The other groups cannot work with theirs.
    Groups(InvalidOptions),
    /// The clients in hosts cannot work with theirs.
    Clients(InvalidOptions),
    /// Signs of life come too seldom.
    Lifeless,
}

impl fmt::Display for InvalidHostOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Supervisor(invalid) => write!(formatter, "the supervisor's group: {invalid}"),
            Self::Groups(invalid) => write!(formatter, "the groups: {invalid}"),
            Self::Clients(invalid) => write!(formatter, "the clients in hosts: {invalid}"),
            Self::Lifeless => formatter.write_str(
                "options whose alive interval is zero, or more than a quarter of the failure timeout",
            ),
        }
    }
}

impl std::error::Error for InvalidHostOptions {}

impl HostOptions {
    /// Whether hosts can work with these options.
    ///
    /// # Errors
    /// [`InvalidHostOptions`] unless both groups' options and the clients' are valid, and the alive interval is above
    /// zero and at most a quarter of the failure timeout.
    pub fn validate(&self) -> Result<(), InvalidHostOptions> {
        self.supervisor.validate().map_err(InvalidHostOptions::Supervisor)?;
        self.groups.validate().map_err(InvalidHostOptions::Groups)?;
        self.clients.validate().map_err(InvalidHostOptions::Clients)?;
        let is_alive = self.alive_interval > Duration(0);
        let is_often = self.alive_interval.0 <= self.failure_timeout.0 / 4;
        if is_alive && is_often { Ok(()) } else { Err(InvalidHostOptions::Lifeless) }
    }
}

/// Which node a host is, and among whom.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// The node.
    pub id: ReplicaId,
    /// All nodes: the members of the supervisor's group. They stay the same.
    pub nodes: Configuration,
    /// Timing and bounds.
    pub options: HostOptions,
    /// Zero at the first start ever, and strictly larger at each restart: below 2^33, so a counter, or a clock in
    /// seconds.
    pub incarnation: Incarnation,
    /// Feeds the jitter of timeouts: see [`Member::entropy`].
    pub entropy: u64,
}

/// The replicas at one node: the supervisor's, and those of all groups that it has put here. See the [module](self).
///
/// Like a replica it is a value, with the same inputs: a message, a request, a deadline.
pub struct Host<A: Application, R: HostRules = Standard> {
    node: Node,
    application: A,
    rules: R,
    supervisor: Replica<Supervisor<A::Machine>, R::Replica>,
    groups: Groups<A::Service, R::Replica>,
    /// Which replicas were dropped here: their tickets, and the epochs that the directory knew then, of which this node
    /// is no member. In later ones nobody has taken part here.
    dropped: BTreeMap<GroupId, (Incarnation, Epoch)>,
    clerk: Clerk<supervisor::Operation<A::Machine>, R::Replica>,
    administrators: BTreeMap<GroupId, Administrator<OperationOf<A>, R::Replica>>,
    vigil: Vigil,
    /// How many clients have lived in this host: the number of the next one.
    clients: u64,
    /// What was sent from here to here.
    own_post: VecDeque<Contents<A>>,
    /// Whether nothing has happened since everything was brought in line.
    is_settled: bool,
    entropy: Entropy,
}

impl<A: Application, R: HostRules> Host<A, R> {
    /// The host of a node that has just been started, for the first time or again. After a restart, everything that
    /// ran here recovers: the supervisor's replica first, which then knows what the others are.
    ///
    /// # Panics
    /// If the node is not one of the nodes, one of those is a witness, its incarnation is 2^33 or more, the options are
    /// out of range (see [`HostOptions::validate`]), or the supervisor has no more sessions than there are nodes.
    pub fn start(
        now: Instant,
        node: Node,
        application: A,
        rules: R,
        outbox: &mut impl HostOutbox<A>,
    ) -> Self {
        let Node { id, nodes, options, incarnation, entropy } = node;
        assert!(nodes.contains(id), "{id} is not in {nodes}");
        assert!(!nodes.has_witnesses(), "hosts on {nodes}: expected no witnesses");
        assert!(incarnation.0 < post::INCARNATIONS, "incarnation {incarnation}: expected one below 2^33");
        options.validate().unwrap_or_else(|invalid| panic!("{invalid}"));
        let sessions = options.supervisor.sessions_max;
        assert!(
            sessions > nodes.size(),
            "{sessions} sessions of the supervisor, and a host on each of {nodes}"
        );
        let mut entropy = Entropy::new(entropy);
        let mut own_post = VecDeque::new();
        let epoch = EpochStart::first(nodes);
        let member = Member { id, epoch, options: options.supervisor, entropy: entropy.draw() };
        let directory = Supervisor::new(nodes, options.groups_max);
        let channel = &mut Channel { node: id, line: SupervisorLine, outbox, own_post: &mut own_post };
        let supervisor = match incarnation {
            Incarnation::ZERO => Replica::new(now, member, rules.replica(), directory),
            _ => Replica::recover(now, member, incarnation, rules.replica(), directory, channel),
        };
        channel.role_changed(supervisor.role(), supervisor.view());
        let first = post::address_in_host(id, incarnation, 0);
        Self {
            clerk: Clerk::new(first, &node, rules.replica(), entropy.draw()),
            clients: 1,
            vigil: Vigil::new(nodes, now),
            groups: Groups::none(),
            dropped: BTreeMap::new(),
            administrators: BTreeMap::new(),
            is_settled: true,
            node,
            application,
            rules,
            supervisor,
            own_post,
            entropy,
        }
    }

    // ---- Inputs ----------------------------------------------------------------------------------

    /// An envelope from another host.
    pub fn on_envelope(&mut self, now: Instant, envelope: Envelope<A>, outbox: &mut impl HostOutbox<A>) {
        let Envelope { from, contents } = envelope;
        if !self.node.nodes.contains(from) {
            return;
        }
        self.vigil.heard(from, now);
        if contents.asks_to_replace() && !self.rules.takes_replacements_from_others() {
            return;
        }
        self.receive(now, contents, outbox);
        self.settle(now, outbox);
    }

    /// A request from a client of `group`. Clients have addresses below 2^63. A reconfiguration is
    /// [refused](crate::Refusal::Supervised), as nobody but the supervisor may ask for it: see
    /// [`supervisor`](crate::supervisor#tickets).
    pub fn on_request(
        &mut self,
        now: Instant,
        group: GroupId,
        request: Arc<Request<OperationOf<A>>>,
        outbox: &mut impl HostOutbox<A>,
    ) {
        if host_of(request.address).is_some() {
            return;
        }
        if let RequestBody::Reconfiguration(asked) = &request.body
            && let Some(replica) = self.groups.get(group)
        {
            let &Reconfiguration { client, number, .. } = &**asked;
            let body = ReplyBody::Refused { client, number, reason: epoch::Refusal::Supervised };
            let reply = Reply { from: self.node.id, view: replica.view(), body };
            return outbox.reply(request.address, group, reply);
        }
        self.receive(now, Contents::Group(group, Letter::Request(request)), outbox);
        self.settle(now, outbox);
    }

    /// A read from a client of `group`, likewise.
    pub fn on_read(
        &mut self,
        now: Instant,
        group: GroupId,
        read: Arc<Read<OperationOf<A>>>,
        outbox: &mut impl HostOutbox<A>,
    ) {
        if host_of(read.address).is_some() {
            return;
        }
        if self.groups.contains(group) {
            self.at_group(group, outbox, |replica, outbox| replica.on_read(now, read, outbox));
        } else {
            self.redirect(read.address, group, outbox);
        }
        self.settle(now, outbox);
    }

    /// A request from a client of the supervisor, likewise. What only hosts ask for is dropped: joining, leaving, and
    /// what has moved.
    pub fn on_supervisor_request(
        &mut self,
        now: Instant,
        request: Arc<Request<supervisor::Operation<A::Machine>>>,
        outbox: &mut impl HostOutbox<A>,
    ) {
        if host_of(request.address).is_none() && !is_for_hosts_to_ask(&request.body) {
            self.receive(now, Contents::Supervisor(Letter::Request(request)), outbox);
            self.settle(now, outbox);
        }
    }

    /// A read from a client of the supervisor, likewise.
    pub fn on_supervisor_read(
        &mut self,
        now: Instant,
        read: Arc<Read<supervisor::Operation<A::Machine>>>,
        outbox: &mut impl HostOutbox<A>,
    ) {
        if host_of(read.address).is_none() {
            self.at_supervisor(now, outbox, |replica, outbox| replica.on_read(now, read, outbox));
            self.settle(now, outbox);
        }
    }

    /// A deadline has passed, or may have: what is due by `now` is done.
    pub fn on_timeout(&mut self, now: Instant, outbox: &mut impl HostOutbox<A>) {
        if self.supervisor.next_deadline() <= now {
            self.at_supervisor(now, outbox, |replica, outbox| replica.on_timeout(now, outbox));
        }
        for group in self.groups.due(now) {
            self.at_group(group, outbox, |replica, outbox| replica.on_timeout(now, outbox));
        }
        self.client_timeouts(now, outbox);
        self.keep_vigil(now, outbox);
        self.settle(now, outbox);
    }

    /// When [`on_timeout`](Self::on_timeout) wants to be called next: the earliest of all deadlines here.
    #[must_use]
    pub fn next_deadline(&self) -> Instant {
        let replicas = self.supervisor.next_deadline().min(self.groups.next_deadline());
        replicas.min(self.clients_deadline()).min(self.vigil.due_at)
    }

    // ---- What can be seen ------------------------------------------------------------------------

    /// Which node this is.
    #[must_use]
    pub fn node(&self) -> ReplicaId {
        self.node.id
    }

    /// The supervisor's replica. Its service is the directory, as far as it is known here.
    #[must_use]
    pub fn supervisor(&self) -> &Replica<Supervisor<A::Machine>, R::Replica> {
        &self.supervisor
    }

    /// The replica of a group, if one runs here.
    #[must_use]
    pub fn group(&self, group: GroupId) -> Option<&Replica<A::Service, R::Replica>> {
        self.groups.get(group)
    }

    /// All groups that run here, in the order of their numbers; the supervisor's is none of them.
    pub fn groups(&self) -> impl Iterator<Item = (GroupId, &Replica<A::Service, R::Replica>)> {
        self.groups.iter()
    }

    // ---- Within ----------------------------------------------------------------------------------

    fn receive<B: HostOutbox<A>>(&mut self, now: Instant, contents: Contents<A>, outbox: &mut B) {
        match contents {
            Contents::Alive => {}
            Contents::Supervisor(Letter::Message(message)) => {
                self.at_supervisor(now, outbox, |replica, outbox| replica.on_message(now, message, outbox));
            }
            Contents::Supervisor(Letter::Request(request)) => {
                self.at_supervisor(now, outbox, |replica, outbox| replica.on_request(now, request, outbox));
            }
            Contents::Supervisor(Letter::Reply(address, reply)) => {
                self.on_supervisor_answer(now, address, reply, outbox);
            }
            Contents::Group(group, Letter::Message(message)) => {
                self.at_group(group, outbox, |replica, outbox| replica.on_message(now, message, outbox));
            }
            Contents::Group(group, Letter::Request(request)) if !self.groups.contains(group) => {
                self.redirect(request.address, group, outbox);
            }
            Contents::Group(group, Letter::Request(request)) => {
                self.at_group(group, outbox, |replica, outbox| replica.on_request(now, request, outbox));
            }
            Contents::Group(group, Letter::Reply(address, reply)) => {
                self.on_group_answer(now, group, address, reply, outbox);
            }
        }
    }

    /// Does what follows from an input, until nothing more does.
    fn settle<B: HostOutbox<A>>(&mut self, now: Instant, outbox: &mut B) {
        loop {
            while let Some(contents) = self.own_post.pop_front() {
                self.receive(now, contents, outbox);
            }
            if std::mem::replace(&mut self.is_settled, true) {
                return;
            }
            self.attend(now, outbox);
        }
    }

    fn at_supervisor<B: HostOutbox<A>>(
        &mut self,
        now: Instant,
        outbox: &mut B,
        act: impl FnOnce(&mut Replica<Supervisor<A::Machine>, R::Replica>, &mut Channel<'_, A, B, SupervisorLine>),
    ) {
        let Self { node, supervisor, own_post, .. } = self;
        let before = (supervisor.role(), supervisor.view(), supervisor.commit_number());
        act(supervisor, &mut Channel { node: node.id, line: SupervisorLine, outbox, own_post });
        let after = (supervisor.role(), supervisor.view(), supervisor.commit_number());
        if before.0 != Role::Primary && after.0 == Role::Primary {
            self.vigil.begin(now);
        }
        self.is_settled &= before == after;
    }

    /// Does something with the replica of `group`, if it runs here: what is not here is like a node that is down.
    fn at_group<B: HostOutbox<A>>(
        &mut self,
        group: GroupId,
        outbox: &mut B,
        act: impl FnOnce(&mut Replica<A::Service, R::Replica>, &mut Channel<'_, A, B, GroupLine>),
    ) {
        let Self { node, groups, own_post, is_settled, .. } = self;
        groups.with(group, |replica| {
            let before = (replica.role(), replica.view());
            act(replica, &mut Channel { node: node.id, line: GroupLine(group), outbox, own_post });
            *is_settled &= before == (replica.role(), replica.view());
        });
    }

    /// Tells a client where a group is that does not run here.
    fn redirect<B: HostOutbox<A>>(&mut self, to: ClientAddress, group: GroupId, outbox: &mut B) {
        let Self { node, supervisor, own_post, .. } = self;
        match supervisor.service().group(group) {
            Ok(known) if known.epoch.epoch > Epoch::ZERO => {
                let (view, body) =
                    (View::of(known.epoch.epoch, 0), ReplyBody::NewEpoch(Box::new(known.epoch)));
                let reply = Reply { from: node.id, view, body };
                let channel = &mut Channel { node: node.id, line: GroupLine(group), outbox, own_post };
                Outbox::<A::Service>::reply(channel, to, reply);
            }
            Err(Refusal::Stopped(_)) if host_of(to).is_none() => outbox.no_such_group(to, group),
            _ => {}
        }
    }
}

/// Whether only a host can say what this says.
fn is_for_hosts_to_ask<M>(body: &RequestBody<supervisor::Operation<M>>) -> bool {
    use supervisor::Operation::{Join, Leave, Moved};
    let RequestBody::Operation { operation, .. } = body else { return false };
    matches!(operation, Join { .. } | Leave { .. } | Moved { .. })
}

// Derived, these would ask too much, or too little, of the application.

impl<A: Application<Service: Clone> + Clone, R: HostRules + Clone> Clone for Host<A, R> {
    fn clone(&self) -> Self {
        Self {
            node: self.node,
            application: self.application.clone(),
            rules: self.rules.clone(),
            supervisor: self.supervisor.clone(),
            groups: self.groups.clone(),
            dropped: self.dropped.clone(),
            clerk: self.clerk.clone(),
            administrators: self.administrators.clone(),
            vigil: self.vigil.clone(),
            clients: self.clients,
            own_post: self.own_post.clone(),
            is_settled: self.is_settled,
            entropy: self.entropy,
        }
    }
}

impl<A: Application, R: HostRules> Debug for Host<A, R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roles = self.groups.iter().map(|(id, replica)| (id.0, replica.role()));
        let all: Vec<_> = [(0, self.supervisor.role())].into_iter().chain(roles).collect();
        write!(formatter, "Host {{ node: {}, roles: {all:?} }}", self.node.id)
    }
}
