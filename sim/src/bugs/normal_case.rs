//! Bugs of the normal case and of quorums.

use vr::{CommitNumber, Configuration, HeldState, MessageKind, OpNumber, ReplicaId, View};

use super::{Bug, wrong};
use crate::check::Property::{
    L1, L3, L6, Panic, S1, S2, S3, S4b, S5, S6, S7, S8, S9, S10, S12, S14, S19, S20,
};

wrong! {
    /// A backup takes a Prepare although earlier ones are missing.
    GapAccepted { fn prepare_follows(&self, prepared: OpNumber, last: OpNumber) -> bool { prepared > last } }
}
wrong! {
    /// A backup acknowledges what it was sent, not what it holds without a gap.
    GapAcknowledged {
        fn acknowledged(&self, first: OpNumber, _: OpNumber, last: OpNumber, _: bool) -> OpNumber { first.max(last) }
    }
}
wrong! {
    /// An acknowledgement given in an earlier view counts.
    OldAcknowledgements { fn counts_acknowledgement(&self, message: View, own: View) -> bool { message <= own } }
}
wrong! {
    /// Acknowledgements are counted, whoever sent them.
    AcknowledgementsCounted {
        fn counts_for(&self, kind: MessageKind, from: ReplicaId, _: bool, free: &dyn Fn() -> Option<ReplicaId>) -> ReplicaId {
            if kind == MessageKind::PrepareOk { free().unwrap_or(from) } else { from }
        }
    }
}
wrong! {
    /// DoViewChanges are counted, whoever sent them.
    VotesCounted {
        fn counts_for(&self, kind: MessageKind, from: ReplicaId, is_own: bool, free: &dyn Fn() -> Option<ReplicaId>) -> ReplicaId {
            if kind == MessageKind::DoViewChange && !is_own { free().unwrap_or(from) } else { from }
        }
    }
}
wrong! {
    /// The new primary's own DoViewChange counts each time that it is repeated.
    OwnVoteCountedAgain {
        fn counts_for(&self, kind: MessageKind, from: ReplicaId, is_own: bool, free: &dyn Fn() -> Option<ReplicaId>) -> ReplicaId {
            if kind == MessageKind::DoViewChange && is_own { free().unwrap_or(from) } else { from }
        }
    }
}
wrong! {
    /// A backup that hears of a later view moves there with the log that it has.
    LaterViewAdopted {
        fn state_before_transfer(&self, held: HeldState, heard: View) -> HeldState { HeldState { view: heard, ..held } }
    }
}
wrong! {
    /// The primary executes and answers as soon as the operation is in its own log.
    CommittedAtPrepare { fn replication_quorum(&self, _: Configuration) -> usize { 1 } }
}
wrong! {
    /// Acknowledgements are carried over into the next view.
    AcknowledgementsCarriedOver { fn acknowledged_at_view_start(&self, before: OpNumber) -> OpNumber { before } }
}
wrong! {
    /// A backup executes what it was sent, committed or not.
    ExecutedAtPrepare {
        fn learned_commit(&self, _: CommitNumber, last: OpNumber) -> CommitNumber { last.as_commit_number() }
    }
}
wrong! {
    /// A backup executes up to the primary's commit-number, whether it holds the entries or not.
    CommitBeyondLog {
        fn learned_commit(&self, announced: CommitNumber, _: OpNumber) -> CommitNumber { announced }
    }
}
wrong! {
    /// A backup listens to the primary of any view.
    AnyView { fn accepts_in_view(&self, _: View, _: View) -> bool { true } }
}
wrong! {
    /// One copy too few makes a commit.
    SmallReplicationQuorum {
        fn replication_quorum(&self, group: Configuration) -> usize { (group.quorum() - 1).max(1) }
    }
}
wrong! {
    /// One vote too few starts a view.
    SmallViewChangeQuorum {
        fn view_change_quorum(&self, group: Configuration) -> usize { (group.quorum() - 1).max(1) }
    }
}
wrong! {
    /// The paper's "f + 1" taken literally: too small where the group is even.
    EvenGroup {
        fn replication_quorum(&self, group: Configuration) -> usize { group.failures_tolerated() + 1 }
        fn view_change_quorum(&self, group: Configuration) -> usize { group.failures_tolerated() + 1 }
    }
}

/// The bugs of this part.
pub const BUGS: &[Bug] = &[
    Bug::new(
        "M-N1",
        "a backup takes a Prepare although earlier ones are missing",
        &GapAccepted,
        200,
        &[S6, S9, S1],
    ),
    Bug::new(
        "M-N2",
        "a backup acknowledges what it was sent although earlier ones are missing",
        &GapAcknowledged,
        400,
        &[S8, S2, S20],
    ),
    Bug::new(
        "M-N3",
        "an acknowledgement given in an earlier view counts",
        &OldAcknowledgements,
        100_000,
        &[S8, S2, S1],
    )
    .in_scenario("rotating-primaries"),
    Bug::new(
        "M-N4",
        "acknowledgements are counted, whoever sent them",
        &AcknowledgementsCounted,
        400,
        &[S8, S2],
    ),
    Bug::new(
        "M-N6",
        "acknowledgements are carried over into the next view",
        &AcknowledgementsCarriedOver,
        100_000,
        &[S1, S8, S2],
    )
    .in_scenario("rotating-primaries"),
    Bug::new("M-N7", "the primary executes and answers at once", &CommittedAtPrepare, 200, &[S8, S12, S2]),
    Bug::new(
        "M-N8",
        "a backup executes at Prepare, before the commit",
        &ExecutedAtPrepare,
        200,
        &[S8, S10, S1, S5, S7],
    ),
    Bug::new(
        "M-N9",
        "a backup executes up to the commit-number although entries are missing",
        &CommitBeyondLog,
        200,
        &[S5, S10, Panic],
    ),
    Bug::new(
        "M-N10",
        "a backup listens to the primary of any view",
        &AnyView,
        1_000,
        &[S4b, S3, S1, S9, S2, S6, S7],
    ),
    Bug::new(
        "M-N11",
        "a backup that hears of a later view moves there with the log that it has",
        &LaterViewAdopted,
        1_000,
        &[S9, S1, S20, S6, S7],
    ),
    Bug::new("M-Q1", "an operation commits with one copy too few", &SmallReplicationQuorum, 200, &[S8, S2]),
    Bug::new(
        "M-Q2",
        "a view starts with one vote too few",
        &SmallViewChangeQuorum,
        400,
        &[S2, S3, S7, S19, S4b, S9, S14, S12],
    ),
    Bug::new("M-Q3", "quorums of f + 1 in groups of even size", &EvenGroup, 400, &[S8, S2])
        .in_scenario("four-replicas"),
    Bug::new(
        "M-Q4",
        "votes for a view are counted, whoever sent them",
        &VotesCounted,
        1_000,
        &[S2, S3, S7, S9, S1, S4b, L3, L1, L6],
    ),
    Bug::new(
        "M-Q6",
        "the new primary's own vote counts each time that it is repeated",
        &OwnVoteCountedAgain,
        1_000,
        &[S2, S3, S7, S9, S1, S4b, L3, L1, L6],
    ),
];
