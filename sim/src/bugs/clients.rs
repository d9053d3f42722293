//! Bugs of the client table and of clients.

use vr::{Admission, OpNumber, RequestNumber};

use super::{Bug, Sabotage, wrong};
use crate::check::Property::{L1, L5, L6, L7, L9, S10, S11, S12, S13, S14, S16, S21, S28};

wrong! {
    /// Every request is new.
    NoClientTable {
        fn admission(&self, _: RequestNumber, _: RequestNumber, _: RequestNumber) -> Admission { Admission::New }
        fn executes(&self, _: RequestNumber, _: RequestNumber) -> bool { true }
    }
}
wrong! {
    /// A request with the number of the last one is new.
    EqualIsNew {
        fn admission(&self, number: RequestNumber, executed: RequestNumber, in_flight: RequestNumber) -> Admission {
            if number < executed {
                Admission::Superseded
            } else if number == in_flight {
                Admission::InFlight
            } else {
                Admission::New
            }
        }
        fn executes(&self, number: RequestNumber, executed: RequestNumber) -> bool { number >= executed }
    }
}
wrong! {
    /// What is in flight is not looked at.
    InFlightForgotten {
        fn admission(&self, number: RequestNumber, executed: RequestNumber, _: RequestNumber) -> Admission {
            match number.cmp(&executed) {
                std::cmp::Ordering::Less => Admission::Superseded,
                std::cmp::Ordering::Equal => Admission::Executed,
                std::cmp::Ordering::Greater => Admission::New,
            }
        }
        fn executes(&self, _: RequestNumber, _: RequestNumber) -> bool { true }
    }
}
wrong! {
    /// What was in flight stays in flight, even if the log has lost it.
    InFlightForEver { fn rebuilds_in_flight(&self) -> bool { false } }
}
wrong! {
    /// Backups do not keep results.
    NoResultsAtBackups { fn stores_response(&self, is_primary: bool) -> bool { is_primary } }
}
wrong! {
    /// A backup evicts the session that was opened first, the primary the one used longest ago.
    EvictionByRole {
        fn session_to_evict(&self, is_primary: bool, last_used: &[OpNumber]) -> Option<usize> {
            let oldest = (0..last_used.len()).min_by_key(|&index| last_used[index]);
            if is_primary { oldest } else { oldest.map(|_| 0) }
        }
    }
}
wrong! {
    /// A client takes any reply.
    AnyReply { fn reply_is_for(&self, _: RequestNumber, _: RequestNumber) -> bool { true } }
}

/// The bugs of this part.
pub const BUGS: &[Bug] = &[
    Bug::new("M-C1", "every request is new", &NoClientTable, 400, &[S11, S14]),
    Bug::new("M-C2", "a request with the number of the last one is new", &EqualIsNew, 400, &[S11, L1]),
    Bug::new("M-C3", "requests in flight are not recognised", &InFlightForgotten, 400, &[S11]),
    Bug::new(
        "M-C4",
        "a request that a view change dropped stays in flight",
        &InFlightForEver,
        10_000,
        &[S11, L5, L1, L6],
    ),
    Bug::new("M-C6", "backups do not keep results", &NoResultsAtBackups, 400, &[L1, S12, S21]),
    Bug::new("M-C7", "a client takes any reply for its answer", &AnyReply, 1_000, &[S12, S14]),
    Bug::silent(
        "M-C9",
        "a client that starts again goes by its old address, and counts its requests anew",
        Sabotage::ClientsReturn,
        1_000,
        &[S28, S14, S12, S13, S11, S16, L1, L5, L6, L7, L9],
    ),
    Bug::new(
        "M-C10",
        "which session makes room is not decided from the log alone",
        &EvictionByRole,
        400,
        &[S10, S21, S11],
    )
    .in_scenario("busy-clients"),
];
