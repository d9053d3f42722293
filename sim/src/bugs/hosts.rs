//! Bugs of hosts that several groups share, and of hosts that a supervisor tells what to run. They break groups other
//! than the first one, too: that they are found shows that each group is checked.

use crate::check::Property::{
    L1, L2, L3, L4, L5, L6, L10, Panic, S1, S2, S3, S4b, S8, S9, S10, S12, S15, S19, S20, S21, S24, S27, S28,
    S29, S30,
};

use super::{Bug, HostFault, Sabotage};

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
    Bug::silent(
        "M-H3",
        "a host takes every ticket for a clean one",
        Sabotage::Host(HostFault::BeginsAnew),
        200,
        &[S29],
    )
    .in_scenario("supervised-groups"),
    Bug::silent(
        "M-H4",
        "the host of the supervisor's primary replaces whom it misses, without the log",
        Sabotage::Host(HostFault::Replacement),
        2_000,
        &[S30],
    )
    .in_scenario("supervised-groups"),
    Bug::silent(
        "M-H5",
        "a host drops a replaced replica before the new members have the state",
        Sabotage::Host(HostFault::MayDrop),
        400,
        &[S27],
    )
    .in_scenario("supervised-groups"),
    Bug::silent(
        "M-H6",
        "nobody tells the supervisor that a group has moved",
        Sabotage::Host(HostFault::ReportsEpoch),
        200,
        &[L10],
    )
    .in_scenario("supervised-groups"),
    Bug::silent("M-H9", "nobody is ever taken for dead", Sabotage::Host(HostFault::MaySuspect), 200, &[L10])
        .in_scenario("supervised-groups"),
];

/// Planted, but not hunted: one seed in a thousand shows it. A host must be cut off until all other members of a group
/// have left it. `vr/tests/host.rs` tells how.
pub const RARE: &[Bug] = &[Bug::silent(
    "M-H7",
    "hosts do not tell their replicas of epochs that these have missed",
    Sabotage::Host(HostFault::PassesEpochsOn),
    5_000,
    &[L3, L10],
)
.in_scenario("supervised-groups")];
