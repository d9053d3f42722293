//! Leaves out of a register's history what does not matter, long before every question is about little.
//!
//! Choose some values such that each compare-and-swap to a chosen value expects a chosen one. Of an order that
//! explains the whole, keep what reads or writes chosen values. A register holds in it what it held before
//! wherever one of the chosen was held, for the last operation kept is the one that had put it there. So the
//! order explains what is kept, and what is kept condemns the whole if nothing explains it. Of compare-and-swaps
//! that fail none is kept: they may have found a value that is not chosen.

use rustc_hash::{FxHashMap, FxHashSet};

use super::Part;
use crate::history::models::Datatype;
use crate::workload::RegisterOperation;

/// How many operations before the last return are the first to choose values from.
const FIRST_CHOICE: usize = 8;

/// The part without the values that do not matter: with those that the last operations before its end speak
/// of, as few as are refuted. `None` if it is no register's, or nothing is found.
pub(super) fn relevant<D: Datatype>(
    initial: &D,
    part: &Part<D>,
    is_refuted: impl Fn(&Part<D>) -> bool,
) -> Option<Part<D>> {
    let operations = operations(initial, part)?;
    let mut producers: FxHashMap<u64, Vec<u64>> = FxHashMap::default();
    for operation in operations.iter().flatten() {
        if let RegisterOperation::Swap { from, to } = *operation {
            producers.entry(to).or_default().push(from);
        }
    }
    let mut latest = part.returns();
    latest.sort_by_key(|&place| {
        let returned = part.calls[place].returned.as_ref().map(|(returned, _)| *returned);
        std::cmp::Reverse((returned, part.indices[place]))
    });
    let mut size = FIRST_CHOICE;
    while size < latest.len() {
        let chosen = chosen(latest[..size].iter().filter_map(|&place| operations[place]), &producers);
        let is_kept = |place: &usize| operations[*place].is_some_and(|operation| matters(operation, &chosen));
        let kept: Vec<usize> = (0..part.calls.len()).filter(is_kept).collect();
        // Little is gained by leaving out little.
        if 4 * kept.len() > 3 * part.calls.len() {
            return None;
        }
        let kept = part.choose(&kept);
        if is_refuted(&kept) {
            return Some(kept);
        }
        size *= 2;
    }
    None
}

/// What each operation does to the register; nothing if it only looks and its outcome is unknown.
pub(super) fn operations<D: Datatype>(initial: &D, part: &Part<D>) -> Option<Vec<Option<RegisterOperation>>> {
    let partition = D::partition(&part.calls.first()?.operation);
    initial.register_value(partition)?;
    let mut operations = Vec::with_capacity(part.calls.len());
    for call in &part.calls {
        let response = call.returned.as_ref().map(|(_, response)| response);
        if D::partition(&call.operation) != partition {
            return None;
        }
        operations.push(match response {
            None if D::observes_only(&call.operation) => None,
            _ => Some(D::as_register(&call.operation, response)?),
        });
    }
    Some(operations)
}

/// The values that operations speak of, and whatever those are made from.
fn chosen(
    operations: impl Iterator<Item = RegisterOperation>,
    producers: &FxHashMap<u64, Vec<u64>>,
) -> FxHashSet<u64> {
    let mut ahead: Vec<u64> = operations
        .filter_map(|operation| match operation {
            RegisterOperation::Read(value) | RegisterOperation::Write(value) => Some(value),
            RegisterOperation::Swap { to, .. } => Some(to),
            RegisterOperation::Mismatch(_) => None,
        })
        .collect();
    let mut chosen = FxHashSet::default();
    while let Some(value) = ahead.pop() {
        if chosen.insert(value) {
            ahead.extend(producers.get(&value).into_iter().flatten());
        }
    }
    chosen
}

/// True if an operation leaves one of the values behind.
fn matters(operation: RegisterOperation, chosen: &FxHashSet<u64>) -> bool {
    match operation {
        RegisterOperation::Read(value) | RegisterOperation::Write(value) => chosen.contains(&value),
        RegisterOperation::Swap { to, .. } => chosen.contains(&to),
        RegisterOperation::Mismatch(_) => false,
    }
}
