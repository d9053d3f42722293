//! Judges whether a recorded history is linearizable.
//!
//! A history is linearizable (Herlihy and Wing 1990) if every operation can be thought of as
//! taking effect at one instant between its call and its return, such that a single sequential
//! copy of the service, fed the operations in the order of those instants, gives every answer the
//! clients saw. An operation whose outcome is unknown may take effect at any time after its call,
//! once, or never.
//!
//! Three judges share the work:
//!
//! * [`witness`] checks one proposed order, usually the commit order of the system itself, in a
//!   single scan. Its yes is final; its no speaks only of that order.
//! * `zones` judges registers to which no value is written twice, in the time it takes to sort. Both
//!   its answers are final.
//! * [`search()`] looks for any order at all. Both its answers are final, but it may give up.
//!
//! [`judge`] asks them in this order. [`explain`] says more about a no, [`linearize`] about a yes.
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

pub mod prefix;
pub mod witness;

mod bit_set;
mod contest;
mod explain;
mod layout;
mod search;
mod stale;
mod transitions;
mod used;
mod zones;

#[cfg(test)]
mod brute_force;
#[cfg(test)]
pub(crate) mod small_histories;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

pub use explain::{Candidate, Explanation, Reason, Survivor, explain, linearize, longest_prefix};
use zones::Judgement;

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
    Undecided(Reach),
}

/// How far the judges got with a partition that is undecided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The partition, as [`Model::partition`] numbers it.
    pub partition: u64,
    /// Up to so many returns of the partition there is an order that explains them.
    pub explained: usize,
    /// How many operations of the partition returned.
    pub completed: usize,
}

/// What a judgement may cost. Any limit may be huge.
#[derive(Clone, Copy)]
pub struct Budget<'a> {
    /// How many configurations the search may visit, over all partitions and explorations together. A visit
    /// costs time in proportion to the operations open at once; one that looks at many operations of unknown
    /// outcome counts for several.
    pub configurations: u64,
    /// About how many bytes the search may take, without the history itself. Up to 64 operations open at
    /// once, a configuration that has to be remembered takes some 40.
    pub bytes: u64,
    /// Asked every thousand visits or so whether to stop.
    pub interrupted: Option<&'a dyn Fn() -> bool>,
}

impl Budget<'_> {
    /// The bytes that a budget has where nothing else is said.
    pub const BYTES: u64 = 1 << 30;

    fn goes_on(&self) -> bool {
        self.configurations > 0 && !self.interrupted.is_some_and(|interrupted| interrupted())
    }
}

/// So many configurations, [`Budget::BYTES`], and no interruption.
impl From<u64> for Budget<'_> {
    fn from(configurations: u64) -> Self {
        Self { configurations, bytes: Self::BYTES, interrupted: None }
    }
}

/// Where a history that is not linearizable falls apart.
///
/// Everything before the return of [`operation`](Refusal::operation) can be explained; with that return,
/// nothing can. Operations that return later may take part, with the responses they will get. So it is the
/// same whichever judge finds it. Equal times are taken in the order of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The partition, as [`Model::partition`] numbers it. Where several are at fault, the one that was
    /// refuted first.
    pub partition: u64,
    /// How many operations of the partition returned before, all explained.
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
             explains; the {} that returned before can be explained",
            self.operation, self.partition, self.placed,
        )
    }
}

/// Judges a history against a service that starts as `initial`.
///
/// `order`, if given, proposes a linearization as indices into `history`; a wrong proposal costs
/// one scan and nothing else. `budget` bounds the search that may follow: a number of configurations, or a
/// [`Budget`].
pub fn judge<'a, M: Model>(
    initial: &M,
    history: &[Call<M::Operation, M::Response>],
    order: Option<&[usize]>,
    budget: impl Into<Budget<'a>>,
) -> Verdict {
    if order.is_some_and(|order| witness::check_order(initial, history, order).is_ok()) {
        return Verdict::Linearizable;
    }
    let mut to_search = Vec::new();
    let mut uncertain = None;
    for (partition, members) in partitions::<M>(history) {
        match zones::judge(initial, history, partition, &members) {
            Judgement::Linearizable => {}
            Judgement::NotLinearizable { refusal, is_first: true } => {
                return Verdict::NotLinearizable(refusal);
            }
            // Only where in time is uncertain, and the search may know.
            Judgement::NotLinearizable { refusal, is_first: false } => {
                uncertain = uncertain.or(Some(refusal));
                to_search.push((partition, members));
            }
            Judgement::NotCovered => to_search.push((partition, members)),
        }
    }
    let verdict = contest::contest_all(initial, history, to_search, contest::Way::USUAL, &mut budget.into());
    match (verdict, uncertain) {
        (Verdict::Undecided(_), Some(refusal)) => Verdict::NotLinearizable(refusal),
        (verdict, _) => verdict,
    }
}

/// The same, by search alone: zones are not asked.
pub fn search<'a, M: Model>(
    initial: &M,
    history: &[Call<M::Operation, M::Response>],
    budget: impl Into<Budget<'a>>,
) -> Verdict {
    let partitions = partitions::<M>(history);
    contest::contest_all(initial, history, partitions, contest::Way::USUAL, &mut budget.into())
}

/// The operations of each partition, in the order of the history.
fn partitions<M: Model>(history: &[Call<M::Operation, M::Response>]) -> BTreeMap<u64, Vec<u32>> {
    let mut members: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for (index, call) in history.iter().enumerate() {
        members.entry(M::partition(&call.operation)).or_default().push(layout::number(index));
    }
    members
}
