//! Every message of the protocol, one type each.
//!
//! Messages between replicas carry who sent them, in which incarnation, and the view the sender was in:
//! those three are in [`Message`]; what is special to a kind is in its own type.

use std::fmt;
use std::sync::Arc;

use crate::checkpoint::Content;
use crate::epoch::{EpochStart, Reconfiguration, Refusal};
use crate::log::{Entry, Log};
use crate::service::Service;
use crate::types::{
    ClientAddress, ClientId, CommitNumber, Duration, Epoch, Incarnation, Instant, OpNumber, ReplicaId,
    RequestNumber, View,
};

/// A request of a client (paper, section 4.1). Immutable and shared from the client's proxy to every log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<O> {
    /// Where the answer is to be sent.
    pub address: ClientAddress,
    /// What is asked for.
    pub body: RequestBody<O>,
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestBody<O> {
    /// Open a session. Executed through the log, whose op-number becomes the [`ClientId`].
    Register,
    /// Execute an operation of the service in an open session, exactly once.
    Operation {
        /// The session.
        client: ClientId,
        /// The request's number within the session.
        number: RequestNumber,
        /// The operation.
        operation: O,
    },
    /// End the epoch: the group is to be another one. From an administrator's session.
    Reconfiguration(Box<Reconfiguration>),
    /// Tell when an epoch has started: once this is executed, the group can do without the members that were
    /// replaced. From an administrator's session.
    CheckEpoch {
        /// The session.
        client: ClientId,
        /// The request's number within the session.
        number: RequestNumber,
        /// The epoch that should have started.
        epoch: Epoch,
    },
}

impl<O> RequestBody<O> {
    /// The session, and the request's number in it; `None` for a registration.
    #[inline]
    #[must_use]
    pub const fn of_session(&self) -> Option<(ClientId, RequestNumber)> {
        match self {
            Self::Register => None,
            Self::Operation { client, number, .. } | Self::CheckEpoch { client, number, .. } => {
                Some((*client, *number))
            }
            Self::Reconfiguration(asked) => Some((asked.client, asked.number)),
        }
    }
}

/// A question of a client that changes nothing, and is answered without the log (paper, section 6.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read<O> {
    /// Where the answer is to be sent.
    pub address: ClientAddress,
    /// Which of the client's reads this is, from 1. They are counted apart from its requests.
    pub number: RequestNumber,
    /// What is asked: an operation that the service can [observe](Service::observe).
    pub operation: O,
    /// How recent the answer has to be.
    pub freshness: Freshness,
}

/// How recent the answer to a [`Read`] has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// As if it had been executed through the log: only the primary can answer.
    Linearizable,
    /// Not before this op-number, which the client has seen or caused: any replica can answer that has executed it.
    Causal(OpNumber),
}

/// An answer to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply<R> {
    /// Who answers.
    pub from: ReplicaId,
    /// The view that the answering replica is in: a hint where the primary is, no more.
    pub view: View,
    /// What it says.
    pub body: ReplyBody<R>,
}

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyBody<R> {
    /// The session is open.
    Registered {
        /// The session's id.
        client: ClientId,
    },
    /// The request was executed; this is its one result.
    Executed {
        /// The session.
        client: ClientId,
        /// The request that is answered.
        number: RequestNumber,
        /// The op-number at which it was executed.
        op_number: OpNumber,
        /// The result.
        response: R,
    },
    /// The answer to a read.
    Observed {
        /// The read that is answered.
        number: RequestNumber,
        /// The op-number after which the state was looked at.
        op_number: OpNumber,
        /// What was seen.
        response: R,
    },
    /// The operation of this read may change the state: it has to go through the log.
    NotARead {
        /// The read that is answered.
        number: RequestNumber,
    },
    /// Ask the primary of the reply's view.
    NotPrimary,
    /// The request cannot be taken now: a view change is under way, or too much is in flight.
    TryLater,
    /// An administrator's request was executed: the epoch that it asked for has begun (Reconfiguration), or
    /// started (CheckEpoch).
    Epoch {
        /// The session.
        client: ClientId,
        /// The request that is answered.
        number: RequestNumber,
        /// The op-number at which it was executed.
        op_number: OpNumber,
        /// The epoch.
        epoch: Epoch,
    },
    /// The reconfiguration is refused.
    Refused {
        /// The session.
        client: ClientId,
        /// The request that is answered.
        number: RequestNumber,
        /// Why.
        reason: Refusal,
    },
    /// Ask the primary of the reply's view, in the group of this epoch.
    NewEpoch(Box<EpochStart>),
    /// The session no longer exists. Whether its last request was executed cannot be said any more.
    Evicted {
        /// The session that was asked for.
        client: ClientId,
    },
}

/// A message from one replica to another, in a group that runs the service `S`.
pub struct Message<S: Service> {
    /// Who sent it.
    pub from: ReplicaId,
    /// The sender's incarnation. What an incarnation promised is void once the replica has crashed
    /// (Michael et al., DISC 2017).
    pub incarnation: Incarnation,
    /// The view the sender was in (0 while it recovers).
    pub view: View,
    /// What it says.
    pub payload: Payload<S>,
}

/// What replicas tell each other.
pub enum Payload<S: Service> {
    /// See [`Prepare`].
    Prepare(Prepare<S::Operation>),
    /// See [`PrepareOk`].
    PrepareOk(PrepareOk),
    /// See [`Commit`].
    Commit(Commit),
    /// See [`CommitOk`].
    CommitOk(CommitOk),
    /// See [`StartViewChange`].
    StartViewChange(StartViewChange),
    /// See [`DoViewChange`].
    DoViewChange(Box<DoViewChange<S::Operation>>),
    /// See [`StartView`].
    StartView(Arc<StartView<S::Operation>>),
    /// See [`Recovery`].
    Recovery(Recovery),
    /// See [`RecoveryResponse`].
    RecoveryResponse(Box<RecoveryResponse<S::Operation>>),
    /// See [`GetState`].
    GetState(GetState),
    /// See [`NewState`].
    NewState(Box<NewState<S::Operation>>),
    /// See [`GetCheckpoint`].
    GetCheckpoint(GetCheckpoint),
    /// See [`CheckpointPart`].
    CheckpointPart(Box<CheckpointPart<S>>),
    /// A client's request, passed on by a backup to the primary.
    Request(Arc<Request<S::Operation>>),
    /// To the members of a new epoch, from those of the one before: it has begun (section 7.1).
    StartEpoch(Box<EpochStart>),
    /// See [`EpochStarted`].
    EpochStarted(EpochStarted),
    /// To whoever speaks of an earlier epoch: that one is over, and this is the one that I know.
    NewEpoch(Box<EpochStart>),
    /// To whoever speaks of a later epoch: which is it?
    GetEpoch,
}

/// Member of a new epoch to those that it replaces: I have the state (section 7.1, step 4 of the new group).
#[derive(Clone, Copy, Debug)]
pub struct EpochStarted {
    /// The epoch that has started at the sender.
    pub epoch: Epoch,
}

/// Primary to backups: put these entries into the log, from this op-number on (paper, section 4.1, step 3;
/// batching: section 6.2).
#[derive(Clone, Debug)]
pub struct Prepare<O> {
    /// The position of the first entry.
    pub op_number: OpNumber,
    /// The primary's commit-number.
    pub commit_number: CommitNumber,
    /// What to put there.
    pub batch: Batch<O>,
}

impl<O> Prepare<O> {
    /// The position of the last entry.
    #[inline]
    #[must_use]
    pub fn last(&self) -> OpNumber {
        OpNumber(self.op_number.0 + self.batch.entries().len() as u64 - 1)
    }
}

/// The entries of one [`Prepare`]: at least one.
#[derive(Debug)]
pub enum Batch<O> {
    /// A single entry, which needs no memory of its own.
    One(Entry<O>),
    /// Several.
    Many(Arc<[Entry<O>]>),
}

impl<O> Batch<O> {
    /// The entries in the order of their op-numbers.
    #[inline]
    #[must_use]
    pub fn entries(&self) -> &[Entry<O>] {
        match self {
            Self::One(entry) => std::slice::from_ref(entry),
            Self::Many(entries) => entries,
        }
    }
}

// Derived, it would ask for operations that can be cloned.
impl<O> Clone for Batch<O> {
    #[inline]
    fn clone(&self) -> Self {
        match self {
            Self::One(entry) => Self::One(entry.clone()),
            Self::Many(entries) => Self::Many(Arc::clone(entries)),
        }
    }
}

/// The entries, of which there is at least one.
impl<O> From<Vec<Entry<O>>> for Batch<O> {
    fn from(mut entries: Vec<Entry<O>>) -> Self {
        match entries.len() {
            0 => panic!("a batch of nothing"),
            1 => Self::One(entries.remove(0)),
            _ => Self::Many(entries.into()),
        }
    }
}

/// Backup to primary: everything up to this op-number is in my log of this view (section 4.1, step 4).
#[derive(Clone, Copy, Debug)]
pub struct PrepareOk {
    /// The last op-number that is acknowledged; all before it are too.
    pub op_number: OpNumber,
    /// The op-number of the sender's latest checkpoint: see [`Commit::covered`]. Zero if there is none, and always
    /// in a group without witnesses.
    pub checkpoint: OpNumber,
}

/// Primary to backups: everything up to here is committed, and I am alive (section 4.1, step 6).
#[derive(Clone, Copy, Debug)]
pub struct Commit {
    /// The primary's commit-number.
    pub commit_number: CommitNumber,
    /// Present if the backups are to say that they have heard this.
    pub pulse: Option<Pulse>,
    /// Up to where enough active members have a checkpoint for witnesses to drop their logs. Zero in a group without
    /// witnesses.
    pub covered: OpNumber,
}

/// Names one Commit of a view, so that it can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// Which one it is of its view, from 1.
    pub round: u64,
    /// When it was sent, by the primary's clock.
    pub sent: Instant,
}

/// Backup to primary: when I heard this, I was in your view; and for a while I help nobody to leave it.
#[derive(Clone, Copy, Debug)]
pub struct CommitOk {
    /// What is answered.
    pub pulse: Pulse,
    /// For how long after it was heard, by the backup's clock, the backup votes for no other view; zero if it
    /// promises nothing.
    pub promise: Duration,
}

/// To all: this view should begin (section 4.2, step 1).
///
/// With [`view`](Self::view) one above the message's own view it is a proposal: the sender has not moved
/// and moves only when a quorum proposes the same. With both equal, the sender has moved.
#[derive(Clone, Copy, Debug)]
pub struct StartViewChange {
    /// The view that should begin.
    pub view: View,
}

/// To the primary of the new view: my log, and what it is worth (section 4.2, step 2).
#[derive(Clone, Debug)]
pub struct DoViewChange<O> {
    /// The sender's log, or as much of its end as the new primary should need (section 5.3).
    pub log: Log<O>,
    /// The last view in which the sender's status was normal.
    pub last_normal_view: View,
    /// The sender's commit-number.
    pub commit_number: CommitNumber,
    /// The latest incarnation that the sender knows of each replica (its crash vector).
    pub incarnations: Box<[Incarnation]>,
}

/// Primary of the new view to all: the view begins with this log (section 4.2, step 4).
#[derive(Clone, Debug)]
pub struct StartView<O> {
    /// The log of the new view, or as much of its end as a backup should need (section 5.3).
    pub log: Log<O>,
    /// The last normal view of whose log it is: who was last normal there too can go on from what it holds of
    /// that view, also where it does not know it to be committed.
    pub last_normal_view: View,
    /// The primary's commit-number.
    pub commit_number: CommitNumber,
}

/// Names one attempt at a recovery, so that answers to an earlier one are not taken for answers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Nonce {
    /// The incarnation that recovers.
    pub incarnation: Incarnation,
    /// The attempt within it, from 0.
    pub attempt: u64,
}

/// A restarted replica to all: what is the state? (Section 4.3, step 1.)
#[derive(Clone, Copy, Debug)]
pub struct Recovery {
    /// Names the attempt.
    pub nonce: Nonce,
}

/// An answer to [`Recovery`] (section 4.3, step 2).
#[derive(Clone, Debug)]
pub struct RecoveryResponse<O> {
    /// The attempt that is answered.
    pub nonce: Nonce,
    /// The latest incarnation that the sender knows of each replica.
    pub incarnations: Box<[Incarnation]>,
    /// The state, from the primary of the view only.
    pub state: Option<StartView<O>>,
}

/// To any replica that is normal in `view` or later: send what comes after `after` (section 5.2).
#[derive(Clone, Copy, Debug)]
pub struct GetState {
    /// The view that the sender wants to catch up with.
    pub view: View,
    /// The op-number up to which the sender keeps its log.
    pub after: OpNumber,
    /// Whether what is needed is, too, what comes before and is not covered: the sender has a checkpoint after
    /// `after`, but a witness might need the log of it. Only in a group with witnesses.
    pub back_to_covered: bool,
}

/// An answer to [`GetState`], also when there is nothing new.
#[derive(Clone, Debug)]
pub struct NewState<O> {
    /// The op-number before the first entry.
    pub after: OpNumber,
    /// The entries `after + 1, after + 2, …` of the sender's log, to its end.
    pub entries: Arc<[Entry<O>]>,
    /// Whether this is more of the log that the sender has voted with. It is not normal in the message's view,
    /// and this is no log of that view.
    pub for_vote: bool,
    /// Whether this is not the log of the message's view, in which the sender is not normal, but only what is
    /// committed: up to the start of the epoch, if the sender has been replaced, or up to where it knows it, if it
    /// changes views.
    pub is_history: bool,
    /// The sender's commit-number.
    pub commit_number: CommitNumber,
    /// Up to where the sender knows enough active members to have a checkpoint: a witness can begin its log
    /// anywhere up to here. Zero in a group without witnesses.
    pub covered: OpNumber,
}

impl<O> NewState<O> {
    /// The op-number of the last entry; that before the first one if there is none.
    #[must_use]
    pub fn last(&self) -> OpNumber {
        OpNumber(self.after.0 + self.entries.len() as u64)
    }
}

impl<O: Clone> NewState<O> {
    /// The answer without what is not known to be committed.
    pub(crate) fn committed(&self) -> Self {
        let count = (self.commit_number.0.saturating_sub(self.after.0) as usize).min(self.entries.len());
        Self { entries: self.entries[..count].into(), ..self.clone() }
    }
}

/// To any replica: send me a checkpoint that you hold, from this piece on.
#[derive(Clone, Copy, Debug)]
pub struct GetCheckpoint {
    /// Which one: it was taken at this op-number. If it is gone, a later one is as good.
    pub op_number: OpNumber,
    /// The first piece that is missing, from 0.
    pub part: usize,
}

/// An answer to [`GetCheckpoint`], or to a [`GetState`] for entries that are no longer in the log.
pub struct CheckpointPart<S: Service> {
    /// The op-number at which the checkpoint was taken.
    pub op_number: OpNumber,
    /// The latest view in which its sender was normal. The logs of this view and of later ones begin with what
    /// the checkpoint holds; those of earlier views need not.
    pub last_normal_view: View,
    /// Which piece of it this is, from 0.
    pub part: usize,
    /// How many there are.
    pub parts: usize,
    /// The piece.
    pub content: Content<S>,
}

/// The kinds of messages between replicas, without their contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is the payload of the same name")]
pub enum MessageKind {
    Prepare,
    PrepareOk,
    Commit,
    CommitOk,
    StartViewChange,
    DoViewChange,
    StartView,
    Recovery,
    RecoveryResponse,
    GetState,
    NewState,
    GetCheckpoint,
    CheckpointPart,
    Request,
    StartEpoch,
    EpochStarted,
    NewEpoch,
    GetEpoch,
}

impl MessageKind {
    /// Whether messages of this kind tell of epochs, and not of what happens in one.
    #[inline]
    #[must_use]
    pub const fn is_of_epochs(self) -> bool {
        matches!(self, Self::StartEpoch | Self::EpochStarted | Self::NewEpoch | Self::GetEpoch)
    }

    /// Whether replicas outside of the group send messages of this kind to its members, or are sent them: those
    /// that ask for state, and those that bring it.
    #[inline]
    #[must_use]
    pub const fn crosses_groups(self) -> bool {
        self.is_of_epochs()
            || self.is_state()
            || matches!(self, Self::Recovery | Self::RecoveryResponse | Self::GetState | Self::GetCheckpoint)
    }

    /// Whether messages of this kind bring state to who has asked for it.
    #[inline]
    #[must_use]
    pub const fn is_state(self) -> bool {
        matches!(self, Self::NewState | Self::CheckpointPart)
    }
}

impl<S: Service> Payload<S> {
    /// The kind of the message.
    #[inline]
    #[must_use]
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::Prepare(_) => MessageKind::Prepare,
            Self::PrepareOk(_) => MessageKind::PrepareOk,
            Self::Commit(_) => MessageKind::Commit,
            Self::CommitOk(_) => MessageKind::CommitOk,
            Self::StartViewChange(_) => MessageKind::StartViewChange,
            Self::DoViewChange(_) => MessageKind::DoViewChange,
            Self::StartView(_) => MessageKind::StartView,
            Self::Recovery(_) => MessageKind::Recovery,
            Self::RecoveryResponse(_) => MessageKind::RecoveryResponse,
            Self::GetState(_) => MessageKind::GetState,
            Self::NewState(_) => MessageKind::NewState,
            Self::GetCheckpoint(_) => MessageKind::GetCheckpoint,
            Self::CheckpointPart(_) => MessageKind::CheckpointPart,
            Self::Request(_) => MessageKind::Request,
            Self::StartEpoch(_) => MessageKind::StartEpoch,
            Self::EpochStarted(_) => MessageKind::EpochStarted,
            Self::NewEpoch(_) => MessageKind::NewEpoch,
            Self::GetEpoch => MessageKind::GetEpoch,
        }
    }
}

// Derived, these would ask the service itself to be cloned and shown, which need not be possible.

impl<S: Service> Clone for Message<S> {
    #[inline]
    fn clone(&self) -> Self {
        let Self { from, incarnation, view, payload } = self;
        Self { from: *from, incarnation: *incarnation, view: *view, payload: payload.clone() }
    }
}

impl<S: Service> Clone for Payload<S> {
    #[inline]
    fn clone(&self) -> Self {
        match self {
            Self::Prepare(inner) => Self::Prepare(inner.clone()),
            Self::PrepareOk(inner) => Self::PrepareOk(*inner),
            Self::Commit(inner) => Self::Commit(*inner),
            Self::CommitOk(inner) => Self::CommitOk(*inner),
            Self::StartViewChange(inner) => Self::StartViewChange(*inner),
            Self::DoViewChange(inner) => Self::DoViewChange(inner.clone()),
            Self::StartView(inner) => Self::StartView(Arc::clone(inner)),
            Self::Recovery(inner) => Self::Recovery(*inner),
            Self::RecoveryResponse(inner) => Self::RecoveryResponse(inner.clone()),
            Self::GetState(inner) => Self::GetState(*inner),
            Self::NewState(inner) => Self::NewState(inner.clone()),
            Self::GetCheckpoint(inner) => Self::GetCheckpoint(*inner),
            Self::CheckpointPart(inner) => Self::CheckpointPart(inner.clone()),
            Self::Request(inner) => Self::Request(Arc::clone(inner)),
            Self::StartEpoch(inner) => Self::StartEpoch(inner.clone()),
            Self::EpochStarted(inner) => Self::EpochStarted(*inner),
            Self::NewEpoch(inner) => Self::NewEpoch(inner.clone()),
            Self::GetEpoch => Self::GetEpoch,
        }
    }
}

impl<S: Service> Clone for CheckpointPart<S> {
    fn clone(&self) -> Self {
        let Self { op_number, last_normal_view, part, parts, ref content } = *self;
        Self { op_number, last_normal_view, part, parts, content: content.clone() }
    }
}

impl<S: Service> fmt::Debug for Message<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, incarnation, view, payload } = self;
        write!(formatter, "{from} ({incarnation}) in view {view}: {payload:?}")
    }
}

impl<S: Service> fmt::Debug for Payload<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prepare(inner) => inner.fmt(formatter),
            Self::PrepareOk(inner) => inner.fmt(formatter),
            Self::Commit(inner) => inner.fmt(formatter),
            Self::CommitOk(inner) => inner.fmt(formatter),
            Self::StartViewChange(inner) => inner.fmt(formatter),
            Self::DoViewChange(inner) => inner.fmt(formatter),
            Self::StartView(inner) => inner.fmt(formatter),
            Self::Recovery(inner) => inner.fmt(formatter),
            Self::RecoveryResponse(inner) => inner.fmt(formatter),
            Self::GetState(inner) => inner.fmt(formatter),
            Self::NewState(inner) => inner.fmt(formatter),
            Self::GetCheckpoint(inner) => inner.fmt(formatter),
            Self::CheckpointPart(inner) => inner.fmt(formatter),
            Self::Request(inner) => inner.fmt(formatter),
            Self::StartEpoch(inner) => write!(formatter, "StartEpoch({inner:?})"),
            Self::EpochStarted(inner) => inner.fmt(formatter),
            Self::NewEpoch(inner) => write!(formatter, "NewEpoch({inner:?})"),
            Self::GetEpoch => formatter.write_str("GetEpoch"),
        }
    }
}

impl<S: Service> fmt::Debug for CheckpointPart<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { op_number, part, parts, content, .. } = self;
        write!(formatter, "CheckpointPart {{ op_number: {op_number}, part: {part} of {parts}, {content:?} }}")
    }
}
