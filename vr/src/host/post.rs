//! What hosts send each other, and how what a replica or a client in a host sends gets into the post.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::{Application, HostOutbox};
use crate::checkpoint::Checkpoint;
use crate::client::ClientOutbox;
use crate::epoch::{EpochStart, Refusal};
use crate::log::Entry;
use crate::message::{Message, Payload, Reply, Request, RequestBody};
use crate::outbox::{Execution, Ignored, Observation, Outbox, RarePath, Role, ViewStart};
use crate::service::Service;
use crate::supervisor::{GroupId, Operation, Supervisor};
use crate::types::{ClientAddress, Incarnation, OpNumber, ReplicaId, View};

/// What one host sends to another.
pub struct Envelope<A: Application> {
    /// Whose host sent it.
    pub from: ReplicaId,
    /// What is in it.
    pub contents: Contents<A>,
}

/// What an [`Envelope`] can hold.
pub enum Contents<A: Application> {
    /// Nothing: the sender is alive.
    Alive,
    /// A letter within the supervisor's group.
    Supervisor(Letter<Supervisor<A::Machine>>),
    /// A letter within another group.
    Group(GroupId, Letter<A::Service>),
}

impl<A: Application> Contents<A> {
    /// Within which group it is sent; none if it says only that the sender is alive.
    #[must_use]
    pub const fn group(&self) -> Option<GroupId> {
        match self {
            Self::Alive => None,
            Self::Supervisor(_) => Some(GroupId::SUPERVISOR),
            Self::Group(group, _) => Some(*group),
        }
    }

    /// Whether it asks the supervisor to replace nodes that seem to be dead.
    pub(super) fn asks_to_replace(&self) -> bool {
        let request = match self {
            Self::Supervisor(Letter::Request(request)) => request,
            Self::Supervisor(Letter::Message(Message { payload: Payload::Request(request), .. })) => request,
            _ => return false,
        };
        matches!(request.body, RequestBody::Operation { operation: Operation::Replace { .. }, .. })
    }
}

/// What is sent within one group.
pub enum Letter<S: Service> {
    /// From one replica to another.
    Message(Message<S>),
    /// From a client that lives in a host.
    Request(Arc<Request<S::Operation>>),
    /// To such a client, at its address.
    Reply(ClientAddress, Reply<S::Response>),
}

// ---- The addresses of the clients that live in hosts ---------------------------------------------

const NODE_AT: u32 = 57;
const INCARNATION_AT: u32 = 24;
/// How many clients a host can have in one life.
const CLIENTS: u64 = 1 << INCARNATION_AT;
/// Incarnations of hosts are below this.
pub(super) const INCARNATIONS: u64 = 1 << (NODE_AT - INCARNATION_AT);

/// The address of the client numbered `client` in this life of a node's host. No two clients of
/// one life have the same number.
///
/// # Panics
/// If the number is 2^24 or more.
pub(super) const fn address_in_host(node: ReplicaId, life: Incarnation, client: u64) -> ClientAddress {
    assert!(client < CLIENTS, "clients of one life of a host: fewer than 2^24");
    ClientAddress(ClientAddress::IN_HOST | (node.0 as u64) << NODE_AT | life.0 << INCARNATION_AT | client)
}

/// Whose host the client at an address lives in, if it lives in one.
pub(super) const fn host_of(address: ClientAddress) -> Option<ReplicaId> {
    if !address.is_in_host() { None } else { Some(ReplicaId((address.0 >> NODE_AT & 63) as u8)) }
}

// ---- Outboxes -----------------------------------------------------------------------------------

/// Which group an outbox belongs to.
pub(super) trait Line<A: Application> {
    type Service: Service;
    fn group(&self) -> GroupId;
    fn contents(&self, letter: Letter<Self::Service>) -> Contents<A>;
    fn reply<B: HostOutbox<A>>(
        &self,
        to: ClientAddress,
        reply: Reply<<Self::Service as Service>::Response>,
        outbox: &mut B,
    );
    fn observer<'a, B: HostOutbox<A>>(
        &self,
        outbox: &'a mut B,
    ) -> impl Outbox<Self::Service> + use<'a, A, B, Self>;
}

/// Within the supervisor's group.
#[derive(Clone, Copy)]
pub(super) struct SupervisorLine;

impl<A: Application> Line<A> for SupervisorLine {
    type Service = Supervisor<A::Machine>;

    fn group(&self) -> GroupId {
        GroupId::SUPERVISOR
    }

    fn contents(&self, letter: Letter<Self::Service>) -> Contents<A> {
        Contents::Supervisor(letter)
    }

    fn reply<B: HostOutbox<A>>(
        &self,
        to: ClientAddress,
        reply: Reply<<Self::Service as Service>::Response>,
        outbox: &mut B,
    ) {
        outbox.supervisor_reply(to, reply);
    }

    fn observer<'a, B: HostOutbox<A>>(
        &self,
        outbox: &'a mut B,
    ) -> impl Outbox<Self::Service> + use<'a, A, B> {
        outbox.observe_supervisor()
    }
}

/// Within another group.
#[derive(Clone, Copy)]
pub(super) struct GroupLine(pub(super) GroupId);

impl<A: Application> Line<A> for GroupLine {
    type Service = A::Service;

    fn group(&self) -> GroupId {
        self.0
    }

    fn contents(&self, letter: Letter<A::Service>) -> Contents<A> {
        Contents::Group(self.0, letter)
    }

    fn reply<B: HostOutbox<A>>(
        &self,
        to: ClientAddress,
        reply: Reply<<A::Service as Service>::Response>,
        outbox: &mut B,
    ) {
        outbox.reply(to, self.0, reply);
    }

    fn observer<'a, B: HostOutbox<A>>(&self, outbox: &'a mut B) -> impl Outbox<A::Service> + use<'a, A, B> {
        outbox.observe(self.0)
    }
}

/// The outbox of what lives in a host and belongs to one group. What it sends to its own node goes into `own_post`.
pub(super) struct Channel<'a, A: Application, B, L> {
    pub(super) node: ReplicaId,
    pub(super) line: L,
    pub(super) outbox: &'a mut B,
    pub(super) own_post: &'a mut VecDeque<Contents<A>>,
}

impl<A: Application, B: HostOutbox<A>, L: Line<A>> Channel<'_, A, B, L> {
    fn post(&mut self, to: ReplicaId, letter: Letter<L::Service>) {
        let contents = self.line.contents(letter);
        if to == self.node {
            self.own_post.push_back(contents);
        } else {
            self.outbox.send(to, Envelope { from: self.node, contents });
        }
    }

    fn observer(&mut self) -> impl Outbox<L::Service> + '_ {
        self.line.observer(self.outbox)
    }
}

impl<A, B, L, O> ClientOutbox<O> for Channel<'_, A, B, L>
where
    A: Application,
    B: HostOutbox<A>,
    L: Line<A, Service: Service<Operation = O>>,
{
    fn send(&mut self, to: ReplicaId, request: Arc<Request<O>>) {
        self.post(to, Letter::Request(request));
    }
}

impl<A, B, L, S> Outbox<S> for Channel<'_, A, B, L>
where
    A: Application,
    B: HostOutbox<A>,
    L: Line<A, Service = S>,
    S: Service,
{
    fn send(&mut self, to: ReplicaId, message: Message<S>) {
        self.post(to, Letter::Message(message));
    }

    fn reply(&mut self, to: ClientAddress, reply: Reply<S::Response>) {
        match host_of(to) {
            Some(host) => self.post(host, Letter::Reply(to, reply)),
            None => self.line.reply(to, reply, self.outbox),
        }
    }

    fn role_changed(&mut self, role: Role, view: View) {
        self.outbox.role_changed(self.line.group(), role, view);
        self.observer().role_changed(role, view);
    }

    fn appended(&mut self, op_number: OpNumber, entry: &Entry<S::Operation>) {
        self.observer().appended(op_number, entry);
    }

    fn truncated(&mut self, last_kept: OpNumber) {
        self.observer().truncated(last_kept);
    }

    fn executed(&mut self, execution: Execution<'_, S>) {
        self.observer().executed(execution);
    }

    fn observed(&mut self, observation: Observation<'_, S>) {
        self.observer().observed(observation);
    }

    fn checkpoint_taken(&mut self, checkpoint: &Checkpoint<S>) {
        self.observer().checkpoint_taken(checkpoint);
    }

    fn compacted(&mut self, through: OpNumber) {
        self.observer().compacted(through);
    }

    fn log_begins(&mut self, after: OpNumber, is_witness: bool) {
        self.observer().log_begins(after, is_witness);
    }

    fn checkpoint_installed(&mut self, checkpoint: &Checkpoint<S>, service: &S) {
        self.observer().checkpoint_installed(checkpoint, service);
    }

    fn view_starts(&mut self, start: &ViewStart<'_>) {
        self.observer().view_starts(start);
    }

    fn epoch_begins(&mut self, start: &EpochStart) {
        self.observer().epoch_begins(start);
    }

    fn refused(&mut self, reason: Refusal) {
        self.observer().refused(reason);
    }

    fn ignored(&mut self, reason: Ignored) {
        self.observer().ignored(reason);
    }

    fn took(&mut self, path: RarePath) {
        self.observer().took(path);
    }
}

/// Wants to know nothing.
pub(super) struct Unobserved;

impl<S: Service> Outbox<S> for Unobserved {
    fn send(&mut self, _: ReplicaId, _: Message<S>) {}
    fn reply(&mut self, _: ClientAddress, _: Reply<S::Response>) {}
}

// Derived, these would ask the application itself to be cloned and shown.

impl<A: Application> Clone for Envelope<A> {
    fn clone(&self) -> Self {
        Self { from: self.from, contents: self.contents.clone() }
    }
}

impl<A: Application> Clone for Contents<A> {
    fn clone(&self) -> Self {
        match self {
            Self::Alive => Self::Alive,
            Self::Supervisor(letter) => Self::Supervisor(letter.clone()),
            Self::Group(group, letter) => Self::Group(*group, letter.clone()),
        }
    }
}

impl<S: Service> Clone for Letter<S> {
    fn clone(&self) -> Self {
        match self {
            Self::Message(message) => Self::Message(message.clone()),
            Self::Request(request) => Self::Request(Arc::clone(request)),
            Self::Reply(address, reply) => Self::Reply(*address, reply.clone()),
        }
    }
}

impl<A: Application> fmt::Debug for Envelope<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {:?}", self.from, self.contents)
    }
}

impl<A: Application> fmt::Debug for Contents<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alive => formatter.write_str("Alive"),
            Self::Supervisor(letter) => write!(formatter, "{}: {letter:?}", GroupId::SUPERVISOR),
            Self::Group(group, letter) => write!(formatter, "{group}: {letter:?}"),
        }
    }
}

impl<S: Service> fmt::Debug for Letter<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(message) => message.fmt(formatter),
            Self::Request(request) => request.fmt(formatter),
            Self::Reply(address, reply) => write!(formatter, "to {address}: {reply:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_of_hosts_have_addresses_of_their_own() {
        let last = Incarnation(INCARNATIONS - 1);
        let mut addresses = Vec::new();
        for node in [0, 1, 63].map(ReplicaId) {
            for life in [Incarnation(0), Incarnation(1), last] {
                for client in [0, 1, CLIENTS - 1] {
                    let address = address_in_host(node, life, client);
                    assert_eq!(host_of(address), Some(node));
                    addresses.push(address);
                }
            }
        }
        let count = addresses.len();
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses.len(), count);
        assert_eq!(host_of(ClientAddress(u64::MAX >> 1)), None);
    }
}
