//! Bugs of state transfer.

use vr::{CommitNumber, HeldState, OpNumber, View};

use super::{Bug, wrong};
use crate::check::Property::{L2, L4, L6, L9, Panic, S1, S2, S3, S4, S7, S9, S20};

wrong! {
    /// The published rule: cut the log to the commit-number and move to the later view at once.
    Published {
        fn state_before_transfer(&self, held: HeldState, heard: View) -> HeldState {
            HeldState { view: heard, last_normal_view: heard, op_number: held.commit_number.op_number(), ..held }
        }
    }
}
wrong! {
    /// The log is kept, but the later view is moved to at once.
    ViewAdopted {
        fn state_before_transfer(&self, held: HeldState, heard: View) -> HeldState {
            HeldState { view: heard, last_normal_view: heard, ..held }
        }
    }
}
wrong! {
    /// The end of the log that is not known to be committed is kept.
    TailKept { fn transfer_after(&self, _: CommitNumber, last: OpNumber) -> OpNumber { last } }
}
wrong! {
    /// A NewState is taken however late it comes.
    LateStateTaken { fn accepts_new_state(&self, _: View, _: View, _: Option<View>, _: bool) -> bool { true } }
}
wrong! {
    /// A replica answers in the middle of a view change, and for views it is not in.
    AnyoneAnswers { fn answers_get_state(&self, _: bool, _: View, _: View, _: bool) -> bool { true } }
}

wrong! {
    /// A later view's log is fetched from its beginning. Where that is gone a checkpoint is sent, and if it holds nothing
    /// new, nothing else ever.
    WholeLogFetched { fn transfer_after(&self, _: CommitNumber, _: OpNumber) -> OpNumber { OpNumber::ZERO } }
}
wrong! {
    /// A replica that has nothing new does not answer (M-T9). Who has fetched all as a checkpoint waits for its word.
    SilentWithoutEntries { fn answers_without_entries(&self) -> bool { false } }
}

/// The bugs of this part.
pub const BUGS: &[Bug] = &[
    Bug::new(
        "M-S1",
        "the published rule: cut the log and move to the later view at once",
        &Published,
        20_000,
        &[S20, S2, S9, S7],
    ),
    Bug::new("M-S2", "the later view is moved to at once", &ViewAdopted, 20_000, &[S20, S2, S9, S7]),
    Bug::new("M-S3", "what is not known to be committed is kept", &TailKept, 10_000, &[S9, S1]),
    Bug::new(
        "M-S4",
        "a NewState is taken however late it comes",
        &LateStateTaken,
        40_000,
        &[Panic, S4, S20, S7, S3, S9],
    ),
    Bug::new(
        "M-S5",
        "a replica answers in the middle of a view change",
        &AnyoneAnswers,
        20_000,
        &[S9, S1, S3, Panic, L6],
    ),
    Bug::new(
        "M-S6",
        "a later view's log is fetched from its beginning",
        &WholeLogFetched,
        20_000,
        &[L4, L2, L6, L9],
    ),
    Bug::new(
        "M-T9b",
        "who has nothing new does not answer",
        &SilentWithoutEntries,
        10_000,
        &[L4, L2, L6, L9],
    )
    .in_scenario("one-fault-stays"),
];
