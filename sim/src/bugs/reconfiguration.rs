//! Bugs of reconfiguration.

use vr::{
    Admission, Asked, CommitNumber, Configuration, Epoch, LogSummary, MessageKind, OpNumber, Refusal,
    ReplicaId, RequestNumber, Standard, View,
};

use super::{Bug, Sabotage, wrong};
use crate::check::Property::{
    L1, L2, L3, L4, L5, L6, L7, Panic, S1, S2, S3, S4, S4b, S5, S7, S8, S9, S10, S11, S12, S13, S17, S18,
    S19, S20, S21, S22, S23, S27,
};
use crate::packet::Kind;

wrong! {
    /// An epoch ends when its Reconfiguration is prepared.
    EndsWhenPrepared { fn epoch_ends_when_prepared(&self) -> bool { true } }
}
wrong! {
    /// A primary goes on taking requests after a Reconfiguration.
    TakesRequestsAfter { fn takes_requests_at_epoch_end(&self, _: bool) -> bool { true } }
}
wrong! {
    /// The same, only by the primary of a view that has inherited the Reconfiguration.
    TakesRequestsAfterInherited { fn takes_requests_at_epoch_end(&self, is_own: bool) -> bool { !is_own } }
}
wrong! {
    /// An epoch begins in the view that the one before has come to.
    ViewKept { fn first_view(&self, epoch: Epoch, left: View) -> View { View::of(epoch, left.number()) } }
}
wrong! {
    /// Last normal views are compared without their epochs.
    EpochNotCompared {
        fn prefers_log(&self, candidate: LogSummary, best: LogSummary) -> bool {
            (candidate.last_normal_view.number(), candidate.op_number)
                > (best.last_normal_view.number(), best.op_number)
        }
    }
}
wrong! {
    /// A member without the log takes part in view changes, and answers those who recover.
    VotesWithoutLog {
        fn takes_part_while_transitioning(&self, _: MessageKind) -> bool { true }
        fn answers_recovery(&self, _: bool) -> bool { true }
    }
}
wrong! {
    /// A quorum is as large as it was in the epoch before.
    OldQuorum {
        fn quorum_group(&self, current: Configuration, previous: Configuration) -> Configuration {
            if previous.quorum() < current.quorum() { previous } else { current }
        }
    }
}
wrong! {
    /// Replaced members stop when as many members have the state as their own group would lose.
    StopsAtOldFailures {
        fn epoch_quorum(&self, _: Configuration, previous: Configuration) -> usize {
            previous.failures_tolerated().max(1)
        }
    }
}
wrong! {
    /// Every EpochStarted counts, also if one member sends several.
    StartedCountedTwice {
        fn counts_for(
            &self,
            kind: MessageKind,
            sender: ReplicaId,
            _: bool,
            uncounted: &dyn Fn() -> Option<ReplicaId>,
        ) -> ReplicaId {
            uncounted().filter(|_| kind == MessageKind::EpochStarted).unwrap_or(sender)
        }
    }
}
wrong! {
    /// A member says that it has the state before it does.
    StartedWithoutLog { fn announces_epoch(&self, _: bool) -> bool { true } }
}
wrong! {
    /// A log that is long enough is taken for that of the epoch.
    UntrustedLog {
        fn holds_epoch_start(&self, held: Option<View>, _: View) -> bool { held.is_some() }
        fn history_after(&self, _: CommitNumber, last: OpNumber) -> OpNumber { last }
    }
}
wrong! {
    /// Who joins an epoch from a checkpoint does so without the client table.
    JoinsWithoutSessions { fn restores_sessions(&self, is_joining: bool) -> bool { !is_joining } }
}
wrong! {
    /// A recovery counts the answers of two epochs together.
    EpochsMixed {
        fn hears_epoch(&self, kind: MessageKind, message: Epoch, own: Epoch) -> bool {
            message == own || matches!(kind, MessageKind::Recovery | MessageKind::RecoveryResponse)
        }
    }
}
wrong! {
    /// Who speaks of an earlier epoch is not told of the present one.
    EpochNotTold { fn tells_epoch(&self) -> bool { false } }
}
wrong! {
    /// A Reconfiguration that was executed is taken for a new one, in any epoch.
    DuplicateExecuted {
        fn reconfiguration_admission(&self, _: Admission) -> Admission { Admission::New }
        fn refusal(&self, asked: Asked) -> Option<Refusal> {
            Standard.refusal(Asked { is_of_this_epoch: true, is_same: false, ..asked })
        }
        fn executes(&self, number: RequestNumber, executed: RequestNumber) -> bool { number >= executed }
    }
}
wrong! {
    /// A Reconfiguration that is executed again, as history, ends the present epoch.
    HistoryEndsEpochs { fn epoch_after(&self, _: Epoch, own: Epoch) -> Epoch { own.next() } }
}
wrong! {
    /// A second Reconfiguration is taken while the first is not committed.
    TwoAtOnce {
        fn refusal(&self, asked: Asked) -> Option<Refusal> {
            Standard.refusal(Asked { is_ending: false, ..asked })
        }
    }
}
wrong! {
    /// A replica recovers into an epoch that ends with the log that it is sent.
    RecoversAtTheEnd { fn recovers_at_epoch_end(&self) -> bool { true } }
}

const fn bug(
    name: &'static str,
    what: &'static str,
    rules: &'static (dyn vr::Rules + Sync),
    seeds: u64,
    caught_by: &'static [crate::check::Property],
) -> Bug {
    Bug::new(name, what, rules, seeds, caught_by).in_scenario("reconfigurations")
}

/// The bugs of this part.
pub const BUGS: &[Bug] = &[
    bug("M-E1", "an epoch ends when it is prepared", &EndsWhenPrepared, 400, &[S17, S18, S9, S8, Panic]),
    bug("M-E2a", "requests are taken after a Reconfiguration", &TakesRequestsAfter, 400, &[S18, S17]),
    bug(
        "M-E2b",
        "a new primary takes requests after an inherited Reconfiguration",
        &TakesRequestsAfterInherited,
        10_000,
        &[S18, S17],
    ),
    bug(
        "M-E3",
        "an epoch begins in the old view",
        &ViewKept,
        1_000,
        &[L6, S3, S17, S9, S2, S4b, S8, S19, S20, Panic],
    ),
    bug(
        "M-E4",
        "last normal views compared without epochs",
        &EpochNotCompared,
        100_000,
        &[S20, S2, S1, S8, S9, S5, S7, Panic],
    ),
    bug(
        "M-E5",
        "a member without the log votes",
        &VotesWithoutLog,
        10_000,
        &[S27, S20, S2, S4b, S9, S8, S19, S23, Panic],
    ),
    bug(
        "M-E6",
        "the old group's quorum in the new epoch",
        &OldQuorum,
        10_000,
        &[L3, S8, S2, S3, S9, S19, S4b],
    ),
    bug("M-E7a", "replaced members stop at f copies", &StopsAtOldFailures, 1_000, &[S27, S2, L7]),
    bug("M-E7b", "EpochStarted counted twice", &StartedCountedTwice, 1_000, &[S27, S2, L7]),
    bug("M-E7c", "EpochStarted without the log", &StartedWithoutLog, 1_000, &[S27, S2, L7]),
    bug(
        "M-E9",
        "an untrusted log is taken for the epoch's",
        &UntrustedLog,
        100_000,
        &[S18, S9, S1, S2, S10, S5, S7, S8, Panic],
    ),
    bug(
        "M-E10",
        "no client table for who joins",
        &JoinsWithoutSessions,
        10_000,
        &[S21, S11, S10, S12, S13, S22],
    ),
    bug(
        "M-E11",
        "a recovery mixes epochs",
        &EpochsMixed,
        100_000,
        &[L1, L2, L3, L6, L7, S19, S17, S9, S3, S4, S8, S2, S4b, S20, Panic],
    ),
    bug("M-E12", "epochs are not told of", &EpochNotTold, 1_000, &[L7, L2, L1, L3, L4, L6]),
    Bug::silent(
        "M-E13",
        "StartEpoch is not sent again",
        Sabotage::Resends(Kind::StartEpoch),
        100_000,
        &[L7, L1, L2, L3, L4, L5, L6],
    )
    .in_scenario("reconfigurations"),
    bug(
        "M-E14",
        "a duplicate Reconfiguration is executed",
        &DuplicateExecuted,
        10_000,
        &[L7, S17, S11, S18, S12],
    ),
    bug("M-E15", "history ends epochs", &HistoryEndsEpochs, 10_000, &[S10, S17, S18, Panic]),
    bug("M-E16", "two Reconfigurations at once", &TwoAtOnce, 40_000, &[S17, S18]),
];

/// Planted, but not hunted: no seeds that anybody would wait for find it. A story tells how it comes to it.
pub const RARE: &[Bug] = &[bug(
    "M-E17",
    "a recovery at the end of an epoch",
    &RecoversAtTheEnd,
    0,
    &[S19, S20, S2, S8, S1, S4b, S9],
)];
