//! What travels over the network, and by what a message is recognised in a trace.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vr::{ClientAddress, Message, MessageKind, Payload, Read, Reply, ReplyBody, Request, Service, View};

use crate::digest;
use crate::hosts::mail::Mail;
use crate::node::Node;

/// A message on its way.
pub enum Packet<S: Service> {
    /// From a replica to a replica.
    Peer(Message<S>),
    /// From a client to a replica.
    Request(Arc<Request<S::Operation>>),
    /// The same, of what needs no place in the log.
    Read(Arc<Read<S::Operation>>),
    /// From a replica to the client process at an address.
    Reply(ClientAddress, Reply<S::Response>),
    /// From or to a host of groups that a supervisor has started.
    Mail(Box<Mail<S>>),
}

// Derived, it would ask the service itself to be cloned.
impl<S: Service> Clone for Packet<S> {
    #[inline]
    fn clone(&self) -> Self {
        match self {
            Self::Peer(message) => Self::Peer(message.clone()),
            Self::Request(request) => Self::Request(Arc::clone(request)),
            Self::Read(read) => Self::Read(Arc::clone(read)),
            Self::Reply(address, reply) => Self::Reply(*address, reply.clone()),
            Self::Mail(mail) => Self::Mail(mail.clone()),
        }
    }
}

/// The kinds of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is the message of the same name")]
pub enum Kind {
    Prepare,
    PrepareOk,
    Commit,
    StartViewChange,
    DoViewChange,
    StartView,
    Recovery,
    RecoveryResponse,
    GetState,
    NewState,
    Request,
    Reply,
    // At the end, for what befalls a message depends on the number of its kind.
    GetCheckpoint,
    CheckpointPart,
    CommitOk,
    EpochStarted,
    GetEpoch,
    NewEpoch,
    Read,
    StartEpoch,
    Alive,
}

impl Kind {
    /// Whether the number of such a message is a view.
    #[must_use]
    pub const fn numbers_views(self) -> bool {
        matches!(self, Self::StartViewChange | Self::DoViewChange)
    }

    /// Whether such a message says little more than that its sender is alive.
    #[must_use]
    pub const fn is_heartbeat(self) -> bool {
        matches!(self, Self::Commit | Self::Alive)
    }

    const fn is_of_client(self) -> bool {
        matches!(self, Self::Request | Self::Read)
    }

    /// All kinds, in order.
    pub const ALL: [Self; 21] = [
        Self::Prepare,
        Self::PrepareOk,
        Self::Commit,
        Self::StartViewChange,
        Self::DoViewChange,
        Self::StartView,
        Self::Recovery,
        Self::RecoveryResponse,
        Self::GetState,
        Self::NewState,
        Self::Request,
        Self::Reply,
        Self::GetCheckpoint,
        Self::CheckpointPart,
        Self::CommitOk,
        Self::EpochStarted,
        Self::GetEpoch,
        Self::NewEpoch,
        Self::Read,
        Self::StartEpoch,
        Self::Alive,
    ];

    /// Whether messages of this kind change views, recover replicas or transfer state.
    #[inline]
    #[must_use]
    pub const fn is_rare(self) -> bool {
        !matches!(
            self,
            Self::Prepare
                | Self::PrepareOk
                | Self::Commit
                | Self::CommitOk
                | Self::Request
                | Self::Read
                | Self::Reply
                | Self::Alive
        )
    }
}

impl From<MessageKind> for Kind {
    fn from(kind: MessageKind) -> Self {
        match kind {
            MessageKind::Prepare => Self::Prepare,
            MessageKind::PrepareOk => Self::PrepareOk,
            MessageKind::Commit => Self::Commit,
            MessageKind::CommitOk => Self::CommitOk,
            MessageKind::StartViewChange => Self::StartViewChange,
            MessageKind::DoViewChange => Self::DoViewChange,
            MessageKind::StartView => Self::StartView,
            MessageKind::Recovery => Self::Recovery,
            MessageKind::RecoveryResponse => Self::RecoveryResponse,
            MessageKind::GetState => Self::GetState,
            MessageKind::NewState => Self::NewState,
            MessageKind::GetCheckpoint => Self::GetCheckpoint,
            MessageKind::CheckpointPart => Self::CheckpointPart,
            MessageKind::Request => Self::Request,
            MessageKind::StartEpoch => Self::StartEpoch,
            MessageKind::EpochStarted => Self::EpochStarted,
            MessageKind::NewEpoch => Self::NewEpoch,
            MessageKind::GetEpoch => Self::GetEpoch,
        }
    }
}

/// What a message is: enough to find it again in a run of changed code.
///
/// Not an index: an unrelated message more or less, a draw more or less, and this still names the same
/// message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Who sent it.
    pub from: Node,
    /// To whom.
    pub to: Node,
    /// Its kind.
    pub kind: Kind,
    /// The sender's view (for a request, the client's session). Where a supervisor has started several groups, its bits
    /// from the 41st to the 48th say of which one.
    pub view: u64,
    /// What it is about: an op-number, a view, a request number.
    pub number: u64,
    /// How many like it were sent before.
    pub repeat: u32,
}

/// Where in the view of an [`Identity`] the group is.
pub(crate) const GROUP_AT: u32 = 40;
/// What is there.
const GROUP: u64 = 0xff << GROUP_AT;

impl Identity {
    /// The group that the message belongs to among several that a supervisor has started; zero is the supervisor's.
    #[must_use]
    pub const fn group(&self) -> u64 {
        (self.view & GROUP) >> GROUP_AT
    }

    /// The view that its sender was in.
    #[must_use]
    pub const fn sender_view(&self) -> View {
        View(self.view & !GROUP)
    }

    /// Whether the message is from one replica to another and means something in its sender's view only.
    #[inline]
    #[must_use]
    pub const fn belongs_to_a_view(&self) -> bool {
        let is_peer = matches!((self.from, self.to), (Node::Replica(_), Node::Replica(_)));
        is_peer && !matches!(self.kind, Kind::Recovery | Kind::Request | Kind::NewEpoch | Kind::GetEpoch)
    }

    /// The number, as it is written: some kinds name a view by it.
    #[must_use]
    pub fn named_number(&self) -> String {
        if self.kind.numbers_views() { View(self.number).to_string() } else { self.number.to_string() }
    }

    /// A digest of everything but the repetition.
    #[inline]
    #[must_use]
    pub const fn digest(&self, key: u64) -> u64 {
        let nodes = (self.from.number() as u64) << 32 | (self.to.number() as u64) << 16 | self.kind as u64;
        digest::mix(digest::mix(digest::mix(key, nodes), self.view), self.number)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self { from, to, kind, repeat, .. }, number) = (self, self.named_number());
        // Of a client's message, it is the session.
        let own = self.sender_view();
        let view = if kind.is_of_client() { own.0.to_string() } else { own.to_string() };
        write!(formatter, "{from}→{to} {kind:?} view {view} number {number}")?;
        if self.group() > 0 {
            write!(formatter, " in g{}", self.group())?;
        }
        if *repeat > 0 { write!(formatter, " (again, {repeat})") } else { Ok(()) }
    }
}

impl<S: Service> Packet<S> {
    /// What the packet is, before it is known how many like it were sent.
    #[inline(always)]
    #[must_use]
    pub fn identity(&self, from: Node, to: Node) -> Identity {
        let (kind, view, number) = match self {
            Self::Peer(message) => of_message(message),
            Self::Request(request) => of_request(request),
            Self::Read(read) => of_read(read),
            Self::Reply(_, reply) => of_reply(reply),
            Self::Mail(mail) => mail.name(),
        };
        Identity { from, to, kind, view, number, repeat: 0 }
    }
}

/// A message's kind, its view or session, and its number.
pub(crate) type Name = (Kind, u64, u64);

#[inline]
pub(crate) fn of_message<S: Service>(message: &Message<S>) -> Name {
    (message.payload.kind().into(), message.view.0, payload_number(&message.payload))
}

#[inline]
pub(crate) fn of_request<O>(request: &Request<O>) -> Name {
    let (session, number) = request_number(request);
    (Kind::Request, session, number)
}

#[inline]
pub(crate) const fn of_read<O>(read: &Read<O>) -> Name {
    (Kind::Read, read.address.0, read.number.0)
}

#[inline]
pub(crate) fn of_reply<R>(reply: &Reply<R>) -> Name {
    (Kind::Reply, reply.view.0, reply_number(&reply.body))
}

#[inline]
fn payload_number<S: Service>(payload: &Payload<S>) -> u64 {
    match payload {
        Payload::Prepare(prepare) => prepare.op_number.0,
        Payload::PrepareOk(ok) => ok.op_number.0,
        Payload::Commit(commit) => commit.commit_number.0,
        Payload::CommitOk(ok) => ok.pulse.round,
        Payload::StartViewChange(start) => start.view.0,
        Payload::DoViewChange(vote) => vote.last_normal_view.0,
        Payload::StartView(start) => start.log.last().0,
        Payload::Recovery(recovery) => recovery.nonce.incarnation.0 << 32 | recovery.nonce.attempt,
        Payload::RecoveryResponse(response) => response.nonce.incarnation.0 << 32 | response.nonce.attempt,
        Payload::GetState(get) => get.after.0,
        Payload::NewState(state) => state.after.0,
        Payload::GetCheckpoint(get) => get.op_number.0 << 16 | get.part as u64,
        Payload::CheckpointPart(part) => part.op_number.0 << 16 | part.part as u64,
        Payload::Request(request) => request_number(request).1,
        Payload::StartEpoch(start) | Payload::NewEpoch(start) => start.epoch.0,
        Payload::EpochStarted(started) => started.epoch.0,
        Payload::GetEpoch => 0,
    }
}

fn request_number<O>(request: &Request<O>) -> (u64, u64) {
    match request.body.of_session() {
        None => (0, request.address.0),
        Some((client, number)) => (client.0, number.0),
    }
}

fn reply_number<R>(body: &ReplyBody<R>) -> u64 {
    match body {
        ReplyBody::Executed { number, .. }
        | ReplyBody::Epoch { number, .. }
        | ReplyBody::Refused { number, .. }
        | ReplyBody::Observed { number, .. }
        | ReplyBody::NotARead { number } => number.0,
        ReplyBody::NewEpoch(start) => start.epoch.0,
        ReplyBody::Registered { client } | ReplyBody::Evicted { client } => client.0,
        ReplyBody::NotPrimary | ReplyBody::TryLater => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_are_listed_at_their_numbers() {
        for (number, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, number, "{kind:?}");
        }
    }
}
