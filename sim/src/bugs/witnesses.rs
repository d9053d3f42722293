//! Bugs of witnesses.

use vr::{Configuration, OpNumber, ReplicaId, View};

use super::{Bug, wrong};
use crate::check::Property::{L1, L2, L3, L4, L6, Panic, S2, S8, S9, S20, S25, S26};

wrong! {
    /// All members take their turns as primary, witnesses too.
    WitnessAsPrimary {
        fn primary(&self, group: Configuration, view: View) -> ReplicaId { group.member_at(view.number()) }
    }
}
wrong! {
    /// A witness executes what is committed.
    WitnessExecutes { fn witness_executes(&self) -> bool { true } }
}
wrong! {
    /// A witness acknowledges what it was sent last, whatever it lacks before.
    WitnessAcknowledgesGap {
        fn acknowledged(&self, _: OpNumber, end: OpNumber, last: OpNumber, is_witness: bool) -> OpNumber {
            if is_witness { end.max(last) } else { last }
        }
    }
}
wrong! {
    /// A witness drops what one active member has a checkpoint of.
    OneCheckpoint { fn covered(&self, _: Configuration, checkpoints: &[OpNumber]) -> OpNumber { checkpoints[0] } }
}
/// The bugs of this part.
pub const BUGS: &[Bug] = &[
    Bug::new("M-W1", "a witness takes its turn as primary", &WitnessAsPrimary, 400, &[S25])
        .in_scenario("witnesses"),
    Bug::new("M-W4", "a witness executes operations", &WitnessExecutes, 400, &[S25]).in_scenario("witnesses"),
    Bug::new(
        "M-W2",
        "a witness acknowledges with a gap in its log",
        &WitnessAcknowledgesGap,
        400,
        &[S8, S2, S20, S9, Panic],
    )
    .in_scenario("witnesses"),
    Bug::new(
        "M-W3",
        "a witness drops its log when one active member has a checkpoint",
        &OneCheckpoint,
        400,
        &[S26, S2, L1, L2, L3, L4, L6],
    )
    .in_scenario("witnesses"),
];
