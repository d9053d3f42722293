//! Judges whether a recorded history is linearizable.
//!
//! A history is linearizable (Herlihy and Wing 1990) if every operation can be thought of as
//! taking effect at one instant between its call and its return, such that a single sequential
//! copy of the service, fed the operations in the order of those instants, gives every answer the
//! clients saw. An operation whose outcome is unknown may take effect at any time after its call,
//! once, or never.
//!
//! Two judges share the work:
//!
//! * [`witness`] checks one proposed order, usually the commit order of the system itself, in a
//!   single scan. Its yes is final; its no speaks only of that order.
//! * [`search`] looks for any order at all. Both its answers are final, but it may give up.
//!
//! [`judge`] asks the first and, if need be, the second.
//!
//! # What a recorder must get right
//!
//! * Times are closed intervals: where a return and a call carry the same number, the two
//!   operations are concurrent. Event numbers of the simulator, all different, are the most
//!   telling clock there is.
//! * An operation that certainly failed is a completed operation whose response says so. Only one
//!   whose outcome nobody knows is recorded without a return, and it never gets an invented one.
//! * The judges look at times alone, never at who called. A client that gives up on an operation
//!   goes on under a new number merely so that its calls remain easy to read.
//! * An empty history is linearizable. Report how much was judged next to the verdict.

pub mod search;
pub mod witness;

#[cfg(test)]
mod brute_force;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::workload::Model;

/// One operation of one client as seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<O, R> {
    /// The client that called; for the reader only, no judge looks at it.
    pub client: u32,
    /// What the client asked for.
    pub operation: O,
    /// Event number of the invocation.
    pub called: u64,
    /// Event number of the response and what it said. `None`: the outcome is unknown, the
    /// operation may take effect at any time after the call, once, or never.
    pub returned: Option<(u64, R)>,
}

/// What is known about a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Some order explains every response.
    Linearizable,
    /// No order does.
    NotLinearizable(Refusal),
    /// The budget ran out before either was certain.
    Undecided,
}

/// Where a history that is not linearizable falls apart.
///
/// Everything up to the return of [`operation`](Refusal::operation) can still be explained without
/// that return; with it, nothing can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The partition, as [`Model::partition`] numbers it.
    pub partition: u64,
    /// How many completed operations of the partition could be placed at most.
    pub placed: usize,
    /// Index in the history of the operation that must have taken effect by its return, but has no
    /// place.
    pub operation: usize,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "operation {} returned a response that no order of the operations of partition {} \
             explains; at most {} of its completed operations can be placed",
            self.operation, self.partition, self.placed,
        )
    }
}

/// Judges a history against a service that starts as `initial`.
///
/// `order`, if given, proposes a linearization as indices into `history`; a wrong proposal costs
/// one scan and nothing else. `budget` bounds the search that follows, in configurations visited
/// (see [`search::search`]).
pub fn judge<M: Model>(
    initial: &M,
    history: &[Call<M::Operation, M::Response>],
    order: Option<&[usize]>,
    budget: u64,
) -> Verdict {
    match order.map(|order| witness::check_order(initial, history, order)) {
        Some(Ok(())) => Verdict::Linearizable,
        Some(Err(_)) | None => search::search(initial, history, budget),
    }
}
