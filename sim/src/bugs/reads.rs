//! Bugs of batches, of reads that do not go through the log, and of the leases that they rest on.

use vr::{CommitNumber, Configuration, Duration, Instant, OpNumber, Prediction, View};

use super::{Bug, wrong};
use crate::check::Property::{L1, Panic, S1, S2, S5, S8, S9, S10, S11, S14, S15, S16, S20, S21, S24};

wrong! {
    /// Of a batch whose beginning is here already nothing is taken, and all acknowledged.
    RestOfBatchDropped {
        fn held_of_batch(&self, first: OpNumber, end: OpNumber, _: OpNumber) -> u64 { end.next().0 - first.0 }
        fn acknowledged(&self, first: OpNumber, end: OpNumber, last: OpNumber, _: bool) -> OpNumber {
            if first <= last { end.max(last) } else { last }
        }
    }
}
wrong! {
    /// With a part of a batch committed, the primary takes the whole batch for answered.
    RestOfBatchForgotten { fn done_with(&self, _: CommitNumber, end: OpNumber) -> OpNumber { end } }
}
wrong! {
    /// Each replica executes an operation with what it predicts itself.
    OwnPrediction {
        fn prediction(&self, logged: Prediction, own: u64) -> Prediction { Prediction { random: own, ..logged } }
    }
}
wrong! {
    /// A primary answers reads as long as it takes itself for one.
    ReadsWithoutLease { fn answers_read(&self, _: bool, _: bool) -> bool { true } }
}
wrong! {
    /// A promise is counted from when it was heard of.
    LeaseFromAnswer { fn lease_begins(&self, _: Instant, answered: Instant) -> Instant { answered } }
}
wrong! {
    /// A backup votes at once, whatever it has promised.
    PromiseBroken { fn may_vote(&self, _: Instant, _: Instant) -> bool { true } }
}
wrong! {
    /// A replica that has lost its memory takes itself for free.
    PromiseForgotten { fn forgotten_promise_ends(&self, _: Instant, _: Duration) -> Instant { Instant(0) } }
}
wrong! {
    /// A promise is counted for as long as its giver keeps it by another clock.
    NoDriftMargin { fn lease_counted(&self, promised: Duration, _: u32) -> Duration { promised } }
}
wrong! {
    /// A new primary reads before what it has inherited is committed.
    InheritedNotRead { fn reads_what_is_inherited(&self, _: CommitNumber, _: OpNumber) -> bool { true } }
}
wrong! {
    /// One promise too few makes a lease.
    SmallReadQuorum {
        fn read_quorum(&self, group: Configuration) -> usize { (group.quorum() - 1).saturating_sub(1) }
    }
}
wrong! {
    /// Leases are measured by a clock that gains, and that is put back every half a second.
    WallClock {
        fn lease_clock(&self, now: Instant) -> Instant { Instant(now.0 + now.0 % 500_000_000 / 4) }
    }
}
wrong! {
    /// A replica answers causal reads whatever it has executed.
    CausalityIgnored { fn answers_causal_read(&self, _: CommitNumber, _: OpNumber) -> bool { true } }
}
wrong! {
    /// A replica passes what it has not executed yet for read.
    UncommittedVersion { fn version_read(&self, _: CommitNumber, last: OpNumber) -> OpNumber { last } }
}

wrong! {
    /// What a backup has answered to a heartbeat of an earlier view counts in the present one.
    EarlierViewConfirms { fn counts_heartbeat_answer(&self, _: View, _: View) -> bool { true } }
}

/// The bugs of this part.
pub const BUGS: &[Bug] = &[
    Bug::new(
        "M-B1",
        "of a batch whose beginning a backup holds already it takes nothing, and acknowledges all",
        &RestOfBatchDropped,
        2_000,
        &[S8, S20, S2, S9, S1],
    )
    .in_scenario("batches"),
    Bug::new(
        "M-B2",
        "with a part of a batch committed, the rest of it is never answered",
        &RestOfBatchForgotten,
        2_000,
        &[S21, L1, S11, S5],
    )
    .in_scenario("batches"),
    Bug::new(
        "M-N14",
        "each replica executes an operation with what it predicts itself",
        &OwnPrediction,
        20,
        &[S10],
    )
    .in_scenario("predicted-values"),
    Bug::new("M-L1", "a primary answers reads without a lease", &ReadsWithoutLease, 500, &[S15, S14])
        .in_scenario("lease-reads"),
    Bug::new(
        "M-L2",
        "a backup's promise is counted from when it was heard of",
        &LeaseFromAnswer,
        20_000,
        &[S15, S14],
    )
    .in_scenario("lease-reads"),
    Bug::new("M-L3", "a backup votes in spite of its promise", &PromiseBroken, 500, &[S24, S15])
        .in_scenario("lease-reads"),
    Bug::new("M-L4", "a replica forgets in a crash what it promised", &PromiseForgotten, 20_000, &[S24, S15])
        .in_scenario("lease-reads"),
    Bug::new("M-L5", "a promise is counted without a margin for clocks", &NoDriftMargin, 20_000, &[S15, S14])
        .in_scenario("lease-reads"),
    Bug::new(
        "M-L6",
        "a new primary reads before what it has inherited is committed",
        &InheritedNotRead,
        5_000,
        &[S15, S14],
    )
    .in_scenario("confirmed-reads"),
    Bug::new(
        "M-L7",
        "one answer too few makes a lease, or confirms a view",
        &SmallReadQuorum,
        1_000,
        &[S15, S14],
    )
    .in_scenario("confirmed-reads"),
    Bug::new(
        "M-L9",
        "a replica answers causal reads whatever it has executed",
        &CausalityIgnored,
        200,
        &[S16],
    )
    .in_scenario("causal-reads"),
    Bug::new(
        "M-L10",
        "a replica passes what it has prepared, and not executed, for read",
        &UncommittedVersion,
        200,
        &[S16, S14, S15],
    )
    .in_scenario("causal-reads"),
    Bug::new("M-L11", "leases are measured by a clock that is put back", &WallClock, 20_000, &[S15, S14])
        .in_scenario("lease-reads"),
    Bug::new(
        "M-L12",
        "a backup's answer to a heartbeat of an earlier view counts",
        &EarlierViewConfirms,
        1_000,
        &[S14, S15, Panic],
    )
    .in_scenario("confirmed-reads"),
];
