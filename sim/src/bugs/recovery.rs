//! Bugs of recovery.

use vr::{Configuration, Incarnation, MessageKind, Nonce, RecoveryAnswer, ReplicaId, View};

use super::{Bug, wrong};
use crate::check::Property::{L3, L9, S1, S2, S3, S4b, S7, S9, S19, S20, S23};

wrong! {
    /// The published recovery: nobody minds which incarnation made a promise.
    Published {
        fn hears_incarnation(&self, _: Incarnation, _: Incarnation) -> bool { true }
        fn vote_still_counts(&self, _: Incarnation, _: Incarnation) -> bool { true }
        fn answer_still_counts(&self, _: Incarnation, _: Incarnation) -> bool { true }
    }
}
wrong! {
    /// A restarted replica takes part at once, with an empty log.
    NoRecovery { fn must_recover(&self) -> bool { false } }
}
wrong! {
    /// Answers to an earlier attempt count.
    AnyNonce { fn nonce_matches(&self, _: Nonce, _: Nonce) -> bool { true } }
}
wrong! {
    /// The state of whoever sent one is taken.
    AnyState {
        fn recovery_source(&self, group: Configuration, answers: &[RecoveryAnswer]) -> Option<ReplicaId> {
            let enough = answers.len() >= self.recovery_quorum(group);
            answers.iter().find(|answer| enough && answer.has_state).map(|answer| answer.from)
        }
    }
}
wrong! {
    /// One answer too few is enough.
    SmallRecoveryQuorum {
        fn recovery_quorum(&self, group: Configuration) -> usize { group.failures_tolerated().max(1) }
    }
}
wrong! {
    /// A recovering replica votes.
    VotesWhileRecovering {
        fn takes_part_while_recovering(&self, kind: MessageKind) -> bool {
            use MessageKind::{DoViewChange, RecoveryResponse, StartViewChange};
            matches!(kind, RecoveryResponse | StartViewChange | DoViewChange)
        }
    }
}
wrong! {
    /// A recovering replica takes a StartView, which may be old.
    StartViewWhileRecovering {
        fn takes_part_while_recovering(&self, kind: MessageKind) -> bool {
            matches!(kind, MessageKind::RecoveryResponse | MessageKind::StartView)
        }
    }
}
wrong! {
    /// A recovered replica forgets which view it recovered into.
    LastNormalForgotten { fn last_normal_view_after_recovery(&self, _: View) -> View { View::ZERO } }
}
wrong! {
    /// Whether a vote's sender has crashed is asked when the vote arrives, not when it is counted.
    CheckedAtArrivalOnly { fn vote_still_counts(&self, _: Incarnation, _: Incarnation) -> bool { true } }
}
wrong! {
    /// A replica answers a Recovery without remembering that its sender has crashed.
    IncarnationNotLearned { fn learns_incarnation_from_recovery(&self) -> bool { false } }
}

wrong! {
    /// Answers of replicas that have crashed since count towards a recovery.
    StaleAnswersCount { fn answer_still_counts(&self, _: Incarnation, _: Incarnation) -> bool { true } }
}
wrong! {
    /// Who has crashed is not learned from votes and answers.
    CrashesAreNotPassedOn { fn learns_incarnations_from_others(&self) -> bool { false } }
}
wrong! {
    /// A backup answers a recovering replica, and leaves it at that.
    RecoveriesIgnored { fn sees_to_recoveries(&self) -> bool { false } }
}

/// The bugs of this part that no number of seeds would find that anybody would wait for. Stories tell them.
pub const TOLD: &[Bug] = &[
    Bug::new(
        "M-R5",
        "a recovery counts answers of replicas that have crashed since",
        &StaleAnswersCount,
        0,
        &[S4b, S2],
    ),
    Bug::new("M-R7", "who has crashed is not learned from votes", &CrashesAreNotPassedOn, 0, &[S4b, S2]),
    Bug::new("M-T19", "backups leave recoveries to the primary", &RecoveriesIgnored, 0, &[L3, L9]),
];

/// The bugs of this part.
pub const BUGS: &[Bug] = &[
    Bug::new(
        "M-R0",
        "the published recovery, without crash vectors",
        &Published,
        40_000,
        &[S4b, S2, S1, S19],
    )
    .in_scenario("quick-restarts"),
    Bug::new(
        "M-R1",
        "a restarted replica takes part with an empty log",
        &NoRecovery,
        200,
        &[S19, S2, S9, S3, S4b],
    ),
    Bug::new(
        "M-R2",
        "answers to an earlier recovery are counted",
        &AnyNonce,
        40_000,
        &[S19, S4b, S2, S3, S1, S9],
    )
    .in_scenario("quick-restarts"),
    Bug::new(
        "M-R3",
        "the state of any primary is taken, not that of the latest view",
        &AnyState,
        40_000,
        &[S19, S4b, S2, S1, S7],
    )
    .in_scenario("quick-restarts"),
    Bug::new("M-R4", "one answer too few ends a recovery", &SmallRecoveryQuorum, 10_000, &[S19, S4b, S2])
        .in_scenario("quick-restarts"),
    Bug::new(
        "M-R6",
        "a recovering replica votes",
        &VotesWhileRecovering,
        1_000,
        &[S19, S20, S2, S23, S3, S4b],
    ),
    Bug::new(
        "M-R8",
        "a recovering replica takes a StartView",
        &StartViewWhileRecovering,
        40_000,
        &[S4b, S19, S7, S2, S3, S23],
    )
    .in_scenario("quick-restarts"),
    Bug::new(
        "M-R10",
        "a recovered replica forgets its last normal view",
        &LastNormalForgotten,
        400,
        &[S20, S2],
    ),
    Bug::new(
        "M-R11",
        "whether a voter has crashed is asked at arrival only",
        &CheckedAtArrivalOnly,
        40_000,
        &[S4b, S2],
    )
    .in_scenario("quick-restarts"),
    Bug::new(
        "M-R12",
        "a Recovery is answered without remembering it",
        &IncarnationNotLearned,
        40_000,
        &[S4b, S2],
    )
    .in_scenario("quick-restarts"),
];
