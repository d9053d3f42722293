//! Bugs that cost progress.

use vr::View;

use super::{Bug, Silence, wrong};
use crate::check::Property::{L1, L2, L3, L4, L5, L6};
use crate::packet::Kind;

wrong! {
    /// A replica that is dissatisfied with its view proposes the same one.
    SameView { fn proposed_view(&self, current: View) -> View { current } }
}

/// The bugs of this part.
pub const BUGS: &[Bug] = &[
    Bug::new("M-T2", "a view that does not work is proposed again", &SameView, 400, &[L1, L3, L6]),
    Bug::silent(
        "M-T4a",
        "no StartViewChange is sent again",
        Silence::Resends(Kind::StartViewChange),
        10_000,
        &[L1, L2, L3, L6],
    ),
    Bug::silent("M-T4d", "no Recovery is sent again", Silence::Resends(Kind::Recovery), 1_000, &[L3]),
    Bug::silent(
        "M-T4e",
        "no GetState is sent again",
        Silence::Resends(Kind::GetState),
        10_000,
        &[L1, L2, L4, L6],
    ),
    Bug::silent("M-T4f", "no Request is sent again", Silence::Resends(Kind::Request), 400, &[L1, L6]),
    Bug::silent("M-T6", "no Commit is ever sent", Silence::All(Kind::Commit), 200, &[L1, L2, L5, L6]),
];
