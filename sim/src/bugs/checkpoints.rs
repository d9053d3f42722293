//! Bugs of checkpoints, and of view changes that send the end of the log only.

use vr::{CommitNumber, HeldState, MessageKind, OpNumber, View};

use super::{Bug, wrong};
use crate::check::Property::{
    L1, L2, L3, L4, L5, L6, L9, Panic, S1, S2, S5, S6, S7, S8, S9, S10, S11, S18, S19, S20, S21, S22, S26,
};

wrong! {
    /// A checkpoint leaves the client table out.
    WithoutSessions { fn checkpoint_holds_sessions(&self) -> bool { false } }
}
wrong! {
    /// A checkpoint is said to be of the operation before the one that was executed last.
    WrongLabel {
        fn checkpoint_due(&self, executed: CommitNumber, interval: u64) -> Option<OpNumber> {
            (executed.0 > 1 && executed.0 % interval == 1 % interval).then_some(executed.op_number().previous())
        }
    }
}
wrong! {
    /// The whole log is dropped, also what no checkpoint holds.
    AllDropped {
        fn compacted_through(&self, _: OpNumber, _: OpNumber, _: u64, last: OpNumber) -> OpNumber { last }
    }
}
wrong! {
    /// The log after a checkpoint is put in its place with one entry left out.
    OffByOne {
        fn entries_in_checkpoint(&self, after: OpNumber, op_number: OpNumber) -> usize {
            (op_number.0 - after.0) as usize + 1
        }
    }
}
wrong! {
    /// A replica is normal in a later view once it has a checkpoint, without that view's log.
    CheckpointAlone { fn waits_for_log_after_checkpoint(&self) -> bool { false } }
}
wrong! {
    /// A checkpoint of a later view is put in front of the end of an earlier view's log.
    CheckpointOfLaterView { fn checkpoint_precedes(&self, _: View, _: View) -> bool { true } }
}
wrong! {
    /// The last operation of a checkpoint is executed again.
    Replayed {
        fn commit_number_after_checkpoint(&self, op_number: OpNumber) -> CommitNumber {
            op_number.previous().as_commit_number()
        }
    }
}
wrong! {
    /// A new primary keeps what it has in front of the end of the log that it was sent, whatever view that is from.
    OwnLogBeforeVote {
        fn shared_prefix(&self, kind: MessageKind, held: HeldState, last_normal: View) -> OpNumber {
            let is_same = kind == MessageKind::DoViewChange || held.last_normal_view == last_normal;
            if is_same { held.op_number } else { held.commit_number.op_number() }
        }
    }
}
wrong! {
    /// A backup keeps what it has in front of the end of the new view's log, whatever view that is from.
    OwnLogBeforeView {
        fn shared_prefix(&self, kind: MessageKind, held: HeldState, last_normal: View) -> OpNumber {
            let is_same = kind == MessageKind::StartView || held.last_normal_view == last_normal;
            if is_same { held.op_number } else { held.commit_number.op_number() }
        }
    }
}
wrong! {
    /// The published rule: GetState is answered in status normal only, also where a view waits for it.
    VoteNotCompleted {
        fn answers_get_state(&self, is_normal: bool, own: View, wanted: View, _: bool) -> bool {
            is_normal && own >= wanted
        }
    }
}

/// The bugs of this part.
pub const BUGS: &[Bug] = &[
    Bug::new("M-K1", "a checkpoint without the client table", &WithoutSessions, 400, &[S21, S22, S11]),
    Bug::new("M-K2", "a checkpoint of later operations than it says", &WrongLabel, 400, &[S22, S10, S21]),
    Bug::new("M-K4", "the log is dropped beyond the checkpoint", &AllDropped, 1_000, &[S26, Panic]),
    Bug::new(
        "M-K5",
        "the log after a checkpoint is put one place too early",
        &OffByOne,
        10_000,
        &[S6, S9, S1, S10, S19, S20, Panic],
    ),
    Bug::new(
        "M-K6",
        "a checkpoint alone makes a replica normal in a later view",
        &CheckpointAlone,
        40_000,
        &[S19, S9, S20, S2, S1, S8, S7, Panic],
    ),
    Bug::new(
        "M-K7",
        "the last operation of a checkpoint is executed again",
        &Replayed,
        10_000,
        &[S5, S10, S11, Panic],
    ),
    Bug::new(
        "M-V18",
        "a new primary keeps its own log in front of the end that a vote brought",
        &OwnLogBeforeVote,
        40_000,
        &[S9, S2, S1, S18, S20],
    ),
    Bug::new(
        "M-V19",
        "a backup keeps its own log in front of the end that a StartView brought",
        &OwnLogBeforeView,
        40_000,
        &[S9, S1, S2, S20],
    ),
    Bug::new(
        "M-T14",
        "a voter does not send what its vote left out",
        &VoteNotCompleted,
        40_000,
        &[L1, L2, L3, L4, L5, L6, L9],
    ),
];

/// Planted, but not hunted: tens of thousands of seeds find it once. A story tells how it comes to it.
pub const RARE: &[Bug] = &[Bug::new(
    "M-K8",
    "a checkpoint of a later view is put in front of an earlier view's log",
    &CheckpointOfLaterView,
    0,
    &[S6, S9, S1, S2, S20, L4],
)
.in_scenario("rotating-primaries")];
