//! Bugs that cost progress.

use vr::{Configuration, ReplicaId, View};

use super::{Bug, Sabotage, wrong};
use crate::check::Property::{L1, L2, L3, L4, L5, L6, L7, L9};
use crate::packet::Kind;

wrong! {
    /// A replica that is dissatisfied with its view proposes the same one.
    SameView { fn proposed_view(&self, current: View) -> View { current } }
}

wrong! {
    /// A view change that comes to nothing is waited for all the same.
    StalledForEver { fn leaves_stalled_view_change(&self) -> bool { false } }
}
wrong! {
    /// Timeouts stay the same, however often they were too short.
    NoBackOff { fn doublings(&self, _: u32, _: u32) -> u32 { 0 } }
}
wrong! {
    /// A recovering replica that has enough answers asks no more, even if they are not the right ones.
    NoNewAttempt { fn asks_again(&self, answers: usize, needed: usize) -> bool { answers < needed } }
}
wrong! {
    /// The same replica is asked for state again and again.
    SamePeer { fn state_source_after(&self, _: Configuration, _: ReplicaId, peer: ReplicaId) -> ReplicaId { peer } }
}
wrong! {
    /// A replica moves as soon as one has proposed the next view.
    OneProposalSuffices { fn proposal_quorum(&self, _: Configuration) -> usize { 1 } }
}
wrong! {
    /// A primary goes on although nobody acknowledges anything.
    NeverAbdicates { fn abdicates(&self) -> bool { false } }
}
wrong! {
    /// A backup tells clients who is primary, and leaves it at that.
    RequestsIgnored { fn sees_to_requests(&self) -> bool { false } }
}
wrong! {
    /// A replica that hears of a later view change goes one view further.
    OneViewFurther { fn view_joined(&self, heard: View, _: View) -> View { heard.next() } }
}
wrong! {
    /// A replica does not join a view change that others have entered.
    JoinsNobody { fn view_joined(&self, _: View, own: View) -> View { own } }
}

/// The bugs of this part.
pub const BUGS: &[Bug] = &[
    Bug::new("M-T1", "a view change is never given up", &StalledForEver, 400, &[L1, L3, L6, L9]),
    Bug::new("M-T2", "a view that does not work is proposed again", &SameView, 400, &[L1, L3, L6, L9]),
    Bug::new("M-T3", "timeouts are never made longer", &NoBackOff, 400, &[L5, L1, L6, L9])
        .in_scenario("far-apart"),
    Bug::silent(
        "M-T4a",
        "no StartViewChange is sent again",
        Sabotage::Resends(Kind::StartViewChange),
        10_000,
        &[L1, L2, L3, L6, L9],
    ),
    Bug::silent(
        "M-T4b",
        "no DoViewChange is sent again",
        Sabotage::Resends(Kind::DoViewChange),
        400,
        &[L5, L9],
    )
    .in_scenario("rare-losses"),
    Bug::silent("M-T4c", "no Prepare is sent again", Sabotage::Resends(Kind::Prepare), 400, &[L5, L9])
        .in_scenario("rare-losses"),
    Bug::silent("M-T4d", "no Recovery is sent again", Sabotage::Resends(Kind::Recovery), 1_000, &[L3, L9]),
    Bug::silent(
        "M-T4e",
        "no GetState is sent again",
        Sabotage::Resends(Kind::GetState),
        10_000,
        &[L1, L2, L4, L6, L9],
    ),
    Bug::silent("M-T4f", "no Request is sent again", Sabotage::Resends(Kind::Request), 400, &[L1, L6, L9]),
    Bug::silent("M-T6", "no Commit is ever sent", Sabotage::All(Kind::Commit), 200, &[L1, L2, L5, L6, L9]),
    Bug::new("M-T8", "a recovery with enough answers asks no more", &NoNewAttempt, 1_000, &[L3, L7, L9]),
    Bug::new(
        "M-T9a",
        "the same replica is asked for state again and again",
        &SamePeer,
        10_000,
        &[L2, L4, L6, L9],
    )
    .in_scenario("one-fault-stays"),
    Bug::new(
        "M-T11",
        "a view is left as soon as one replica proposes the next",
        &OneProposalSuffices,
        1_000,
        &[L9],
    )
    .in_scenario("one-fault-stays"),
    Bug::new("M-T12", "a primary whom nobody can answer goes on", &NeverAbdicates, 1_000, &[L9])
        .in_scenario("one-fault-stays"),
    Bug::new("M-T13", "backups leave clients to the primary", &RequestsIgnored, 1_000, &[L9])
        .in_scenario("one-fault-stays"),
    Bug::new(
        "M-T16",
        "whoever hears of a later view goes one view further",
        &OneViewFurther,
        1_000,
        &[L5, L1, L2, L3, L6, L9],
    ),
    Bug::new(
        "M-T17",
        "a view change that others have entered is not joined",
        &JoinsNobody,
        1_000,
        &[L2, L1, L6, L9],
    )
    .in_scenario("rotating-primaries"),
];
