//! What tests of exact schedules share: a service, the network, who is a member and what a client asks.

#![allow(dead_code, reason = "each test takes what it needs")]

pub(crate) mod nodes;

use std::collections::BTreeSet;
use std::sync::Arc;

use vr::{
    ClientAddress, ClientId, Configuration, EpochStart, Ignored, Member, Message, MessageKind, Options,
    Outbox, RarePath, ReplicaId, Reply, ReplyBody, Request, RequestBody, RequestNumber, Service,
};

/// In nanoseconds.
pub(crate) const MILLISECOND: u64 = 1_000_000;

/// Where the client is.
pub(crate) const CLIENT: ClientAddress = ClientAddress(9);

/// Adds up. To add nothing is a read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter(pub(crate) u64);

impl Service for Counter {
    type Operation = u64;
    type Response = u64;
    type SnapshotPart = u64;

    fn execute(&mut self, operation: &u64) -> u64 {
        self.0 += operation;
        self.0
    }

    fn observe(&self, operation: &u64) -> Option<u64> {
        (*operation == 0).then_some(self.0)
    }

    fn snapshot(&self) -> Vec<u64> {
        vec![self.0]
    }

    fn restore(&mut self, parts: &[u64]) {
        self.0 = parts.iter().sum();
    }
}

/// A message, and to whom it is sent.
pub(crate) type Sent<S> = (ReplicaId, Message<S>);

/// What has been sent and not been delivered, and what was told.
#[derive(Default)]
pub(crate) struct Network<S: Service> {
    pub(crate) messages: Vec<Sent<S>>,
    pub(crate) replies: Vec<(ClientAddress, ReplyBody<S::Response>)>,
    pub(crate) paths: Vec<RarePath>,
    pub(crate) ignored: Vec<Ignored>,
    /// Each way in which an epoch has begun somewhere: its number, after which operation, and its members.
    pub(crate) epochs: BTreeSet<(u64, u64, String)>,
}

impl<S: Service> Network<S> {
    /// Takes the messages of a kind that are `wanted`, by sender and receiver, off the network.
    pub(crate) fn take(&mut self, kind: MessageKind, wanted: impl Fn(u8, u8) -> bool) -> Vec<Sent<S>> {
        let is_taken =
            |(to, message): &Sent<S>| message.payload.kind() == kind && wanted(message.from.0, to.0);
        let (taken, left) = std::mem::take(&mut self.messages).into_iter().partition(is_taken);
        self.messages = left;
        taken
    }

    pub(crate) fn took(&self, path: RarePath) -> bool {
        self.paths.contains(&path)
    }
}

impl<S: Service> Outbox<S> for Network<S> {
    fn send(&mut self, to: ReplicaId, message: Message<S>) {
        self.messages.push((to, message));
    }

    fn reply(&mut self, to: ClientAddress, reply: Reply<S::Response>) {
        self.replies.push((to, reply.body));
    }

    fn took(&mut self, path: RarePath) {
        self.paths.push(path);
    }

    fn ignored(&mut self, reason: Ignored) {
        self.ignored.push(reason);
    }

    fn epoch_begins(&mut self, start: &EpochStart) {
        self.epochs.insert((start.epoch.0, start.after.0, start.members.to_string()));
    }
}

/// A group without witnesses.
pub(crate) fn group(ids: &[u8]) -> Configuration {
    Configuration::of(ids.iter().copied().map(ReplicaId)).expect("distinct nodes")
}

/// A replica of a group that is in its first epoch.
pub(crate) fn member(id: ReplicaId, group: Configuration, options: Options) -> Member {
    Member { id, epoch: EpochStart::first(group), options, entropy: u64::from(id.0) * 77 + 5 }
}

/// The client, who has no session yet, asks for one.
pub(crate) fn register() -> Arc<Request<u64>> {
    Arc::new(Request { address: CLIENT, body: RequestBody::Register })
}

/// What the first client to have a session asks for in it.
pub(crate) fn operation<O>(number: RequestNumber, operation: O) -> RequestBody<O> {
    RequestBody::Operation { client: ClientId(1), number, operation }
}
