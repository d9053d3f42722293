//! Leaves out of a register's history what nobody sees.
//!
//! To give up the return of an operation is to let it take effect at any later time, or never. With few values
//! that many write, each such operation could then be the one that a read saw, and no history of any length
//! would ever become short. But an operation may be left out altogether if nobody sees what it puts there:
//! whoever else looks for its value has returned before its call, or is called after another operation has
//! certainly overwritten it.
//!
//! For take an order that explains the whole, and leave out all such operations together. Whoever looks saw
//! what the last operation before had put there. That one is not left out, for otherwise another one would
//! have come between the two. So it is still there, still the last, and the order explains the rest.

use rustc_hash::FxHashMap;

use super::{Part, register};
use crate::history::models::Datatype;
use crate::workload::RegisterOperation;

/// How often it is asked anew who looks before every compare-and-swap counts as one that does.
const ROUNDS: usize = 8;

/// The part without the returns of the operations at these places, in ascending order, and without whatever
/// nobody sees then. `None` if it is no register's.
pub(super) fn weaker<D: Datatype>(initial: &D, part: &Part<D>, places: &[usize]) -> Option<Part<D>> {
    let operations = register::operations(initial, part)?;
    let mut returned: Vec<Option<u64>> =
        part.calls.iter().map(|call| call.returned.as_ref().map(|(returned, _)| *returned)).collect();
    let overwriters = Earliest::new(operations.iter().zip(&part.calls).zip(&returned).filter_map(
        |((operation, call), returned)| {
            let changes = operation.is_some_and(|operation| written(operation).is_some());
            changes.then_some((call.called, (*returned)?))
        },
    ));
    let ends = returned.clone();
    places.iter().for_each(|&place| returned[place] = None);
    let mut is_left_out: Vec<bool> = returned.iter().map(Option::is_none).collect();
    for round in 0.. {
        let watchers = Watchers::of(part, &operations, &returned, &is_left_out);
        let mut has_changed = false;
        for place in 0..part.calls.len() {
            let Some((operation, value)) = operations[place].and_then(|it| Some((it, written(it)?))) else {
                continue;
            };
            let is_swap = matches!(operation, RegisterOperation::Swap { .. });
            let is_seen = || {
                let first = watchers.first_call(value, part.calls[place].called);
                // The next operation that is over, if the first to look is called after that.
                let next = ends[place].and_then(|end| overwriters.at_or_after(end.saturating_add(1)));
                first.is_some_and(|first| next.is_none_or(|next| next >= first))
            };
            if is_left_out[place] && ((is_swap && round >= ROUNDS) || is_seen()) {
                is_left_out[place] = false;
                // A compare-and-swap that stays looks, too.
                has_changed |= is_swap;
            }
        }
        if !has_changed {
            break;
        }
    }
    let kept: Vec<usize> = (0..part.calls.len()).filter(|&place| !is_left_out[place]).collect();
    let mut weaker = part.choose(&kept);
    for (call, place) in weaker.calls.iter_mut().zip(kept) {
        call.returned = call.returned.take().filter(|_| returned[place].is_some());
    }
    Some(weaker)
}

/// The part with who wrote what its only operation saw, and who has overwritten it since, if the `whole` has
/// both. They are not needed, for the operation alone condemns the whole; but a reader will ask for them.
pub(super) fn with_writer<D: Datatype>(initial: &D, part: &Part<D>, whole: &Part<D>) -> Option<Part<D>> {
    let &[index] = &part.indices[..] else { return None };
    let operations = register::operations(initial, whole)?;
    let place = whole.indices.binary_search(&index).ok()?;
    let Some(RegisterOperation::Read(seen)) = operations[place] else { return None };
    let ended = |place: usize| whole.calls[place].returned.as_ref().map(|(returned, _)| *returned);
    let is_before = |writer: &usize| ended(*writer).is_some_and(|end| end < whole.calls[place].called);
    let writes = |&writer: &usize| matches!(operations[writer], Some(RegisterOperation::Write(_)));
    let writers = || (0..whole.calls.len()).filter(writes).filter(is_before);
    let writes_it = |&writer: &usize| operations[writer].and_then(written) == Some(seen);
    let writer = writers().filter(writes_it).max_by_key(|&writer| ended(writer))?;
    let is_after = |&other: &usize| Some(whole.calls[other].called) > ended(writer);
    let overwriter = writers().filter(is_after).max_by_key(|&other| whole.calls[other].called)?;
    let mut places = [writer, overwriter, place];
    places.sort_unstable();
    Some(whole.choose(&places))
}

/// What an operation puts into the register, if it does.
const fn written(operation: RegisterOperation) -> Option<u64> {
    match operation {
        RegisterOperation::Write(value) | RegisterOperation::Swap { to: value, .. } => Some(value),
        RegisterOperation::Read(_) | RegisterOperation::Mismatch(_) => None,
    }
}

/// Whose answers depend on which value they find: when they are called, by when they return.
struct Watchers {
    of_value: FxHashMap<u64, Earliest>,
    /// A compare-and-swap that failed has seen any value but one.
    of_any: Earliest,
}

impl Watchers {
    fn of<D: Datatype>(
        part: &Part<D>,
        operations: &[Option<RegisterOperation>],
        returned: &[Option<u64>],
        is_left_out: &[bool],
    ) -> Self {
        let mut of_value: FxHashMap<u64, Vec<(u64, u64)>> = FxHashMap::default();
        let mut of_any = Vec::new();
        for (place, operation) in operations.iter().enumerate().filter(|(place, _)| !is_left_out[*place]) {
            let span = (returned[place].unwrap_or(u64::MAX), part.calls[place].called);
            match *operation {
                Some(RegisterOperation::Read(value) | RegisterOperation::Swap { from: value, .. }) => {
                    of_value.entry(value).or_default().push(span);
                }
                Some(RegisterOperation::Mismatch(_)) => of_any.push(span),
                Some(RegisterOperation::Write(_)) | None => {}
            }
        }
        let of_value = of_value.into_iter().map(|(value, spans)| (value, Earliest::new(spans))).collect();
        Self { of_value, of_any: Earliest::new(of_any) }
    }

    /// The first call of those that may find `value` after `time`.
    fn first_call(&self, value: u64, time: u64) -> Option<u64> {
        let of_value = self.of_value.get(&value).and_then(|earliest| earliest.at_or_after(time));
        of_value.into_iter().chain(self.of_any.at_or_after(time)).min()
    }
}

/// Pairs of times: the smallest second one of all whose first one is not before a time.
struct Earliest(Vec<(u64, u64)>);

impl Earliest {
    fn new(pairs: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut pairs: Vec<(u64, u64)> = pairs.into_iter().collect();
        pairs.sort_unstable();
        let mut smallest = u64::MAX;
        for (_, second) in pairs.iter_mut().rev() {
            smallest = smallest.min(*second);
            *second = smallest;
        }
        Self(pairs)
    }

    fn at_or_after(&self, time: u64) -> Option<u64> {
        let place = self.0.partition_point(|(first, _)| *first < time);
        self.0.get(place).map(|(_, second)| *second)
    }
}
