//! Bugs of the normal case and of quorums.

use vr::{CommitNumber, Configuration, OpNumber, View};

use super::{Bug, wrong};
use crate::check::Property::{Panic, S1, S2, S3, S4b, S5, S6, S7, S8, S9, S10, S12, S14, S19, S20};

wrong! {
    /// A backup takes a Prepare although earlier ones are missing.
    GapAccepted { fn prepare_follows(&self, prepared: OpNumber, last: OpNumber) -> bool { prepared > last } }
}
wrong! {
    /// A backup acknowledges what it was sent, not what it holds without a gap.
    GapAcknowledged { fn acknowledged(&self, prepared: OpNumber, last: OpNumber) -> OpNumber { prepared.max(last) } }
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
        "M-N6",
        "acknowledgements are carried over into the next view",
        &AcknowledgementsCarriedOver,
        4_000,
        &[S1, S8, S2],
    )
    .in_scenario("rotating-primaries"),
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
];
