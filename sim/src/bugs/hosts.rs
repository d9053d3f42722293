//! Bugs of hosts that several groups share. They break groups other than the first one, too: that they are found shows
//! that each group is checked.

use crate::check::Property::{
    L1, L2, L3, L4, L5, L6, Panic, S1, S2, S3, S4b, S8, S9, S10, S12, S15, S19, S20, S21, S24, S28,
};

use super::{Bug, Sabotage};

/// All bugs of this family.
pub const BUGS: &[Bug] = &[
    Bug::silent(
        "M-H1",
        "now and then a host hands a message to another group's replica",
        Sabotage::WrongGroup,
        200,
        &[S9, S8, S1, S2, S10, S12, S15, S20, S21, S24, S28, L1, L2, L3, L4, L5, L6, Panic],
    )
    .in_scenario("several-groups"),
    Bug::silent(
        "M-H2",
        "a host that starts again recovers its first group only",
        Sabotage::OneRecovery,
        200,
        &[S19, S4b, S3, S2],
    )
    .in_scenario("several-groups"),
];
