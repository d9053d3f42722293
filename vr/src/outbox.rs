//! Where a replica writes its effects: messages, replies, and what it has to tell of itself.

use crate::checkpoint::Checkpoint;
use crate::client_table::Registration;
use crate::epoch::{EpochStart, Refusal};
use crate::log::Entry;
use crate::message::{Message, Read, Reply};
use crate::service::Service;
use crate::types::{ClientAddress, CommitNumber, Epoch, Incarnation, OpNumber, ReplicaId, View};

/// Takes what a replica does. Only the first two methods must be implemented; the others tell of the
/// replica's progress to whoever wants to know: an application its role, a harness everything.
pub trait Outbox<S: Service> {
    /// Send `message` to another replica. It may be lost, delayed, repeated, overtaken.
    fn send(&mut self, to: ReplicaId, message: Message<S>);

    /// Send `reply` to a client.
    fn reply(&mut self, to: ClientAddress, reply: Reply<S::Response>);

    /// `entry` was put at `op_number`, the new end of the log.
    fn appended(&mut self, op_number: OpNumber, entry: &Entry<S::Operation>) {
        let _ = (op_number, entry);
    }

    /// All entries after `last_kept` were dropped.
    fn truncated(&mut self, last_kept: OpNumber) {
        let _ = last_kept;
    }

    /// A committed entry was executed.
    fn executed(&mut self, execution: Execution<'_, S>) {
        let _ = execution;
    }

    /// A read was answered.
    fn observed(&mut self, observation: Observation<'_, S>) {
        let _ = observation;
    }

    /// A checkpoint was taken of what is executed. A program that keeps state on disk might keep it there.
    fn checkpoint_taken(&mut self, checkpoint: &Checkpoint<S>) {
        let _ = checkpoint;
    }

    /// The log's entries up to `through` were dropped: they are in a checkpoint.
    fn compacted(&mut self, through: OpNumber) {
        let _ = through;
    }

    /// The log is empty now and begins after `after`. Either a witness has missed what comes before and goes on from
    /// there (`is_witness`). Or a node that is no member of the group any more, or not yet, became a witness or is none
    /// any more, and has forgotten what it held before; what it had of the state before it has again after.
    fn log_begins(&mut self, after: OpNumber, is_witness: bool) {
        let _ = (after, is_witness);
    }

    /// A checkpoint from another replica has taken the place of the state and of the whole log. `service` is
    /// what came of it.
    fn checkpoint_installed(&mut self, checkpoint: &Checkpoint<S>, service: &S) {
        let _ = (checkpoint, service);
    }

    /// The replica's role or view is another one now.
    fn role_changed(&mut self, role: Role, view: View) {
        let _ = (role, view);
    }

    /// The replica starts a view as its primary. Told before its log is replaced.
    fn view_starts(&mut self, start: &ViewStart<'_>) {
        let _ = start;
    }

    /// The replica has come to an epoch: told before it takes up its part in it.
    fn epoch_begins(&mut self, start: &EpochStart) {
        let _ = start;
    }

    /// A reconfiguration was refused, and why.
    fn refused(&mut self, reason: Refusal) {
        let _ = reason;
    }

    /// A message was ignored, and why.
    fn ignored(&mut self, reason: Ignored) {
        let _ = reason;
    }

    /// One of the paths was taken that are rare and matter.
    fn took(&mut self, path: RarePath) {
        let _ = path;
    }
}

/// What a replica is to its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Normal, and primary of its view.
    Primary,
    /// Normal, and not primary.
    Backup,
    /// Waiting for its view to start.
    ViewChange,
    /// Without its memory, waiting for answers.
    Recovering,
    /// A member of an epoch who does not have the log up to its start yet.
    Transitioning,
    /// Replaced: keeps the state for the new group until enough of that have it.
    Leaving,
    /// Replaced, and needed no more. It only says so to those who still ask.
    Stopped,
    /// No member yet; it may have been sent the state already.
    Standby,
    /// Normal, and not primary: a member that holds the log and no state.
    Witness,
}

/// One execution of a committed entry.
#[derive(Debug)]
pub struct Execution<'a, S: Service> {
    /// The entry's position.
    pub op_number: OpNumber,
    /// The entry.
    pub entry: &'a Entry<S::Operation>,
    /// What came of it.
    pub outcome: Outcome<'a, S::Response>,
    /// The service afterwards.
    pub service: &'a S,
}

/// One answer to a read.
#[derive(Debug)]
pub struct Observation<'a, S: Service> {
    /// The read.
    pub read: &'a Read<S::Operation>,
    /// After which op-number it looked at the state, as the answer says.
    pub op_number: OpNumber,
    /// By what right it was answered.
    pub basis: Basis,
    /// The service that was looked at.
    pub service: &'a S,
}

/// By what right a replica answers a read without the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Basis {
    /// Enough backups have promised the primary to vote for no other view until later than now.
    Lease,
    /// Enough backups were in the primary's view after the read had come.
    Confirmation,
    /// The read asks for no more than this replica has executed.
    Causality,
}

/// What came of executing an entry.
#[derive(Debug)]
pub enum Outcome<'a, R> {
    /// A session was opened (or was open already).
    Registered(Registration),
    /// The service executed the operation and gave this response.
    Executed(&'a R),
    /// The request had been executed before; nothing was done. Does not happen: a primary gives no request
    /// two positions. Safe all the same.
    Duplicate,
    /// The session had been evicted; nothing was done.
    Evicted,
    /// The epoch has ended, and this is how the next one starts.
    Reconfigured(EpochStart),
    /// The epoch was found started, or another reconfiguration had ended it before.
    EpochChecked(Epoch),
}

/// The moment a view starts at its primary.
#[derive(Debug)]
pub struct ViewStart<'a> {
    /// The view.
    pub view: View,
    /// Whose votes were counted, and of which incarnation each was.
    pub votes: &'a [(ReplicaId, Incarnation)],
    /// Where the log of the new view ends.
    pub op_number: OpNumber,
    /// What is known to be committed.
    pub commit_number: CommitNumber,
}

/// Declares an enumeration whose members can be listed, so that a harness can count each.
macro_rules! listed {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$member_doc:meta])* $member:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$member_doc])* $member,)*
        }

        impl $name {
            /// All members, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$member),*];
        }
    };
}

listed! {
/// Why a message was ignored.
pub enum Ignored {
    /// The sender is no member of the group, or the replica itself.
    NotFromAMember,
    /// The sender has crashed since and forgotten what it said.
    StaleIncarnation,
    /// The receiver is recovering.
    Recovering,
    /// It belongs to a view that is over.
    OlderView,
    /// Only the primary sends this, and the sender is not.
    NotFromPrimary,
    /// Only the primary can use this.
    NotPrimary,
    /// It only makes sense in status normal.
    NotNormal,
    /// A StartViewChange that says no more than that its sender has come to the view in which the receiver is.
    AlreadyInThatView,
    /// A StartView of a view that has already begun here.
    ViewAlreadyStarted,
    /// A RecoveryResponse to another attempt, or to nobody who is recovering.
    OtherNonce,
    /// A Recovery of a primary that has been heard in this view, in the same incarnation, since.
    RecoveredSince,
    /// A NewState that nobody waits for any more.
    LateNewState,
    /// A NewState that begins after the end of the log.
    NewStateWithGap,
    /// A NewState that ends before what a recovery needs.
    ShortNewState,
    /// A piece of a checkpoint that nobody waits for any more.
    LateCheckpoint,
    /// A piece of another checkpoint than the one that is arriving, whose sender still sends it.
    OtherCheckpoint,
    /// A question for a checkpoint by a replica that needs none: the log is whole here.
    NoCheckpoint,
    /// A request that was superseded by a later one of its session.
    SupersededRequest,
    /// A request that is already in the log, or in the queue.
    RequestInFlight,
    /// It belongs to an epoch that is over.
    OlderEpoch,
    /// It belongs to an epoch whose members the receiver does not know yet; it has asked for them.
    LaterEpoch,
    /// News of an epoch that the receiver is in.
    AlreadyInThatEpoch,
    /// The receiver does not have the log up to the start of its epoch yet.
    Transitioning,
    /// The receiver takes no part in the epoch.
    NotAMember,
    /// Only who was replaced waits for this.
    NotReplaced,
    /// A RecoveryResponse from the end of an epoch: the next one may have begun.
    EpochEnding,
    /// A read that is already waiting.
    ReadWaiting,
    /// A witness asks for entries that are gone here, and an active member might still need them of it.
    NotCovered,
}
}

listed! {
/// Paths through the protocol that matter and are rarely taken.
pub enum RarePath {
    /// A view started from votes with different last normal views.
    VotesOfDifferentViews,
    /// A new primary replaced its own log by a better one.
    BetterLogAdopted,
    /// A new primary cut the end of its own log when it started its view.
    TailTruncated,
    /// A new primary learned from the votes that more is committed than it knew.
    CommitLearnedFromVotes,
    /// A kept DoViewChange was discarded: its sender has crashed since.
    StaleVoteDiscarded,
    /// A kept RecoveryResponse was discarded: its sender has crashed since.
    StaleAnswerDiscarded,
    /// A StartView came to a replica with a longer log.
    StartViewToLongerLog,
    /// The primary sent a StartView again to a replica that had missed it.
    StartViewSentAgain,
    /// A recovery had enough answers but none from the right primary, and began anew.
    RecoveryRetried,
    /// A recovery completed in a later view than 0.
    RecoveredIntoLaterView,
    /// The crashed primary's own Recovery made a backup propose the next view.
    PrimaryLostItsMemory,
    /// A replica caught up with a later view by state transfer.
    CaughtUpWithLaterView,
    /// A replica fetched operations that it had missed in its own view.
    GapFetched,
    /// State was asked for again, from another replica.
    StateRequestedAgain,
    /// A Prepare arrived before its predecessors and was kept.
    PrepareKept,
    /// A request that was executed before was answered from the client table.
    AnsweredFromTable,
    /// The same, and an earlier primary had given it its place in the log.
    AnsweredForEarlierPrimary,
    /// The same, by a backup.
    AnsweredByBackup,
    /// The primary gave up for lack of acknowledgements.
    Abdicated,
    /// An abdicated primary was acknowledged after all and resumed.
    Resumed,
    /// A backup proposed a view change for a client whose request the primary does not take.
    ProposedForClient,
    /// A backup proposed a view change for a replica that the primary does not help to recover.
    ProposedForRecovery,
    /// A view change came to nothing and the next one was proposed.
    ViewChangeStalled,
    /// A session made room for another.
    SessionEvicted,
    /// An entry was not executed because its session had been evicted before.
    EvictedInLog,
    /// A request was turned away because too many operations are in flight.
    PipelineFull,
    /// A checkpoint was fetched from another replica, and waits for the log after it.
    CheckpointFetched,
    /// A checkpoint was given up in the middle for a later one.
    CheckpointSuperseded,
    /// A checkpoint came from a later view than that whose log was waited for: a later view's log is waited for now.
    CheckpointOfLaterView,
    /// A backup that had missed more of its view than the others' logs hold went on from a checkpoint.
    CheckpointInView,
    /// A replica caught up with a later view from a checkpoint.
    CheckpointIntoLaterView,
    /// A replica recovered from a checkpoint.
    CheckpointAtRecovery,
    /// A new primary needed a checkpoint to start its view.
    CheckpointAtViewStart,
    /// A new primary fetched what was missing between its log and the end of the best one.
    LogFetchedForView,
    /// A StartView brought less of the log than its receiver lacked.
    StartViewTooShort,
    /// A recovery had its answers, and fetched the log that they told of.
    LogFetchedForRecovery,
    /// A view started whose log ends with a Reconfiguration that is not known to be committed.
    ViewStartedAtEpochEnd,
    /// The primary of a view that had inherited a Reconfiguration committed it.
    EpochEndedByLaterView,
    /// A replica learned of an epoch from others, and not from its log.
    EpochLearned,
    /// A replica learned of an epoch that was not the next one.
    EpochSkipped,
    /// A replica that was recovering learned that its epoch is over, and began anew in the next one.
    RecoveryOverEpoch,
    /// A recovery was told of a log that ends its epoch, and went on asking.
    RecoveryAtEpochEnd,
    /// A new member fetched the log up to the start of its epoch.
    EpochFetched,
    /// A new member began its epoch with a checkpoint.
    CheckpointIntoEpoch,
    /// A member that had missed the end of an epoch found that its own log goes up to there.
    OwnLogTrusted,
    /// A member that had missed the end of an epoch dropped an end of its log that was not that epoch's.
    UntrustedEndOverwritten,
    /// A replaced replica told a member once more that its epoch has begun.
    StartEpochSentAgain,
    /// A replaced replica fetched the end of the epoch before it could serve it.
    LeavingCaughtUp,
    /// A replica that is needed no more told somebody of the epoch.
    StoppedTellsEpoch,
    /// A Reconfiguration that was executed before was answered from the client table.
    ReconfigurationAnsweredAgain,
    /// A client was told of an epoch's group.
    ClientToldOfEpoch,
    /// A node that is no member was sent the state ahead of time.
    WarmedUp,
    /// A node that is no member recovered: it knows again that it is none.
    OutsiderRecovered,
    /// A replica that had been replaced became a member again.
    MemberAgain,
    /// A member of a new epoch, whose first view was over, began with what those had committed who changed views.
    TransitionIntoViewChange,
    /// A request waited, as the pipeline had no room.
    RequestQueued,
    /// A reconfiguration waited likewise, and nothing behind it.
    ReconfigurationQueued,
    /// Several requests were prepared together.
    SeveralInABatch,
    /// A backup held the beginning of a batch already, but not all of it.
    BatchHeldInPart,
    /// What was committed ends in the middle of a batch.
    BatchCommittedInPart,
    /// A view change came while requests waited for room in the pipeline.
    QueueDropped,
    /// The primary answered a read on its lease.
    ReadByLease,
    /// A primary with leases had none for a read, and had its view confirmed.
    ReadWithoutLease,
    /// The primary answered a read after its view was confirmed.
    ReadByConfirmation,
    /// A read waited for what a new primary has inherited.
    ReadWaitsForInherited,
    /// A replica held its DoViewChange back: it had promised the primary to.
    VoteHeldBack,
    /// A replica answered a causal read at once.
    CausalRead,
    /// A causal read waited for what it asks for.
    CausalReadWaited,
    /// A read was turned away because too many wait.
    TooManyReads,
    /// A view started with the log of a witness.
    WitnessLogAdopted,
    /// A witness dropped the beginning of its log: enough active members have checkpoints of it.
    WitnessCompacted,
    /// A witness keeps much of its log for an active member that is behind.
    WitnessKeepsForLaggard,
    /// A witness that had missed what the others' logs do not hold any more went on from where they begin, without a
    /// checkpoint.
    WitnessBeganLater,
    /// A witness that had missed the end of an epoch began the next one with an empty log.
    WitnessBeganEpoch,
    /// A witness passed a client's request on to the primary.
    WitnessPassedOn,
    /// A backup said once more how far its checkpoint is.
    CheckpointToldAgain,
    /// A node became a witness that had some of the state.
    BecameWitness,
    /// A node that had been a witness is none any more.
    WitnessNoMore,
}
}
