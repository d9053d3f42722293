//! A board on which processes leave notes for each other: values under keys, replaced on a condition.
//!
//! The condition is what stood there, by value, and nothing may stand there too: one operation posts a note
//! only where there is none, replaces the note that was read and no other, or wipes it off.
//!
//! ```
//! use vr::Service;
//! use vr::services::Blackboard;
//! use vr::services::blackboard::{Operation, Response};
//!
//! let mut board = Blackboard::default();
//! let swap = |expected, new| Operation::CompareAndSwap { key: "job 7", expected, new };
//! // Whoever comes first takes the job.
//! assert_eq!(board.execute(&swap(None, Some("ann"))), Response::Swapped);
//! assert_eq!(board.execute(&swap(None, Some("bob"))), Response::Mismatched(Some("ann")));
//! // It is done, and the note goes.
//! assert_eq!(board.execute(&swap(Some("ann"), None)), Response::Swapped);
//! assert_eq!(board.execute(&Operation::Get { key: "job 7" }), Response::Found(None));
//! ```

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use super::in_parts;
use crate::service::Service;

/// Values under keys, none to begin with. See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Blackboard<K, V> {
    notes: BTreeMap<K, V>,
}

/// What is asked of a [`Blackboard`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operation<K, V> {
    /// Reads what stands under a key. Answered by [`Response::Found`].
    Get {
        /// Which key.
        key: K,
    },
    /// Writes under a key, whatever stood there. Answered by [`Response::Written`].
    Put {
        /// Which key.
        key: K,
        /// What stands there from now on.
        value: V,
    },
    /// Replaces what stands under a key if that is as expected. Answered by [`Response::Swapped`] or
    /// [`Response::Mismatched`]. A value that has come back meanwhile is as good as one that never left:
    /// where that matters, make values unique, by a [`Counter`](super::Counter) for instance.
    CompareAndSwap {
        /// Which key.
        key: K,
        /// What must stand there; none: nothing.
        expected: Option<V>,
        /// What stands there from then on; none: nothing.
        new: Option<V>,
    },
}

/// What a [`Blackboard`] answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Response<V> {
    /// To a get: what stands there, if anything.
    Found(Option<V>),
    /// To a put.
    Written,
    /// To a compare-and-swap: what was expected stood there, and the new stands there now.
    Swapped,
    /// To a compare-and-swap: what stands there instead, if anything. It stays.
    Mismatched(Option<V>),
}

impl<K, V> Blackboard<K, V> {
    /// All that stands on the board, as far as this replica knows.
    pub const fn notes(&self) -> &BTreeMap<K, V> {
        &self.notes
    }
}

impl<K, V> Default for Blackboard<K, V> {
    fn default() -> Self {
        Self { notes: BTreeMap::new() }
    }
}

/// A board with these notes to begin with: the same at every replica.
impl<K: Ord, V> FromIterator<(K, V)> for Blackboard<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(notes: I) -> Self {
        Self { notes: notes.into_iter().collect() }
    }
}

impl<K: Ord + Clone + Debug, V: Clone + Eq + Debug> Service for Blackboard<K, V> {
    type Operation = Operation<K, V>;
    type Response = Response<V>;
    /// Notes in ascending order of their keys, at most [`ENTRIES_PER_PART`](super::ENTRIES_PER_PART).
    type SnapshotPart = Arc<[(K, V)]>;

    fn execute(&mut self, operation: &Operation<K, V>) -> Response<V> {
        match operation {
            Operation::Get { key } => Response::Found(self.notes.get(key).cloned()),
            Operation::Put { key, value } => {
                self.notes.insert(key.clone(), value.clone());
                Response::Written
            }
            Operation::CompareAndSwap { key, expected, new } => {
                let found = self.notes.get(key);
                if found != expected.as_ref() {
                    return Response::Mismatched(found.cloned());
                }
                self.replace(key, new.as_ref());
                Response::Swapped
            }
        }
    }

    fn observe(&self, operation: &Operation<K, V>) -> Option<Response<V>> {
        match operation {
            Operation::Get { key } => Some(Response::Found(self.notes.get(key).cloned())),
            _ => None,
        }
    }

    fn snapshot(&self) -> Vec<Self::SnapshotPart> {
        in_parts(self.notes.iter().map(|(key, value)| (key.clone(), value.clone())))
    }

    fn restore(&mut self, parts: &[Self::SnapshotPart]) {
        self.notes = parts.iter().flat_map(|part| part.iter().cloned()).collect();
    }
}

impl<K: Ord + Clone, V: Clone> Blackboard<K, V> {
    fn replace(&mut self, key: &K, new: Option<&V>) {
        match new {
            Some(value) => drop(self.notes.insert(key.clone(), value.clone())),
            None => drop(self.notes.remove(key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::most_parts_restored;
    use super::*;

    #[test]
    fn every_operation_does_what_it_says() {
        let mut board: Blackboard<&str, u32> = [("b", 9)].into_iter().collect();
        let swap = |expected, new| Operation::CompareAndSwap { key: "a", expected, new };
        let get = || Operation::Get { key: "a" };
        for (operation, response) in [
            (Operation::Get { key: "b" }, Response::Found(Some(9))),
            (get(), Response::Found(None)),
            (swap(Some(1), Some(2)), Response::Mismatched(None)),
            (swap(None, None), Response::Swapped),
            (swap(None, Some(1)), Response::Swapped),
            (swap(None, Some(2)), Response::Mismatched(Some(1))),
            (swap(Some(2), None), Response::Mismatched(Some(1))),
            (get(), Response::Found(Some(1))),
            (swap(Some(1), Some(3)), Response::Swapped),
            (get(), Response::Found(Some(3))),
            (Operation::Put { key: "a", value: 4 }, Response::Written),
            (get(), Response::Found(Some(4))),
            (swap(Some(4), None), Response::Swapped),
            (get(), Response::Found(None)),
        ] {
            assert_eq!(board.execute(&operation), response, "{operation:?}");
        }
        assert!(board.notes().iter().eq([(&"b", &9)]));
    }

    #[test]
    fn a_restored_one_is_the_same() {
        let parts = most_parts_restored(&Blackboard::default(), |random| {
            let key = random.below(500);
            let mut note = || Some(random.below(3)).filter(|&value| value > 0);
            match (note(), note()) {
                (Some(value), None) => Operation::Put { key, value },
                (Some(_), Some(1)) => Operation::Get { key },
                (expected, new) => Operation::CompareAndSwap { key, expected, new },
            }
        });
        assert!(parts > 2, "{parts}");
    }
}
