//! Values by key, in the order of the keys.
//!
//! A put and a delete say what they replaced. Where a change must depend on what is there, see the
//! [blackboard](super::blackboard).
//!
//! ```
//! use vr::Service;
//! use vr::services::KeyValueStore;
//! use vr::services::key_value_store::{Operation, Response};
//!
//! let mut store = KeyValueStore::default();
//! assert_eq!(store.execute(&Operation::Put { key: "a", value: 1 }), Response::Replaced(None));
//! assert_eq!(store.execute(&Operation::Put { key: "a", value: 2 }), Response::Replaced(Some(1)));
//! assert_eq!(store.execute(&Operation::Get { key: "a" }), Response::Found(Some(2)));
//! assert_eq!(store.execute(&Operation::Delete { key: "a" }), Response::Deleted(Some(2)));
//! assert_eq!(store.execute(&Operation::Get { key: "a" }), Response::Found(None));
//! ```

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Bound;
use std::sync::Arc;

use super::in_parts;
use crate::service::Service;

/// Values by key, none to begin with. See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyValueStore<K, V> {
    entries: BTreeMap<K, V>,
}

/// What is asked of a [`KeyValueStore`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operation<K, V> {
    /// Reads the value of a key. Answered by [`Response::Found`].
    Get {
        /// Which key.
        key: K,
    },
    /// Gives a key this value, whatever it had before. Answered by [`Response::Replaced`].
    Put {
        /// Which key.
        key: K,
        /// Its value from now on.
        value: V,
    },
    /// Takes a key and its value away. Answered by [`Response::Deleted`].
    Delete {
        /// Which key.
        key: K,
    },
    /// Reads entries in ascending order of their keys. Answered by [`Response::Scanned`]. To see them all, go
    /// on after the last key until the answer holds less than `limit`; it is then not one moment that is
    /// seen, but one for each request.
    Scan {
        /// Only keys greater than this; none: from the smallest on.
        after: Option<K>,
        /// At most so many entries.
        limit: u32,
    },
}

/// What a [`KeyValueStore`] answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Response<K, V> {
    /// To a get: the value, if the key has one.
    Found(Option<V>),
    /// To a put: the value that the key had before, if any.
    Replaced(Option<V>),
    /// To a delete: the value that is gone, if there was one.
    Deleted(Option<V>),
    /// To a scan: the entries asked for, in ascending order of their keys.
    Scanned(Vec<(K, V)>),
}

impl<K, V> KeyValueStore<K, V> {
    /// All entries, as far as this replica knows.
    pub const fn entries(&self) -> &BTreeMap<K, V> {
        &self.entries
    }
}

impl<K, V> Default for KeyValueStore<K, V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new() }
    }
}

/// A store of these entries to begin with: the same at every replica.
impl<K: Ord, V> FromIterator<(K, V)> for KeyValueStore<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self { entries: entries.into_iter().collect() }
    }
}

impl<K: Ord + Clone + Debug, V: Clone + Debug> Service for KeyValueStore<K, V> {
    type Operation = Operation<K, V>;
    type Response = Response<K, V>;
    /// Entries in ascending order of their keys, at most [`ENTRIES_PER_PART`](super::ENTRIES_PER_PART).
    type SnapshotPart = Arc<[(K, V)]>;

    fn execute(&mut self, operation: &Operation<K, V>) -> Response<K, V> {
        match operation {
            Operation::Get { key } => Response::Found(self.entries.get(key).cloned()),
            Operation::Put { key, value } => {
                Response::Replaced(self.entries.insert(key.clone(), value.clone()))
            }
            Operation::Delete { key } => Response::Deleted(self.entries.remove(key)),
            Operation::Scan { after, limit } => Response::Scanned(self.scan(after.as_ref(), *limit)),
        }
    }

    fn observe(&self, operation: &Operation<K, V>) -> Option<Response<K, V>> {
        match operation {
            Operation::Get { key } => Some(Response::Found(self.entries.get(key).cloned())),
            Operation::Scan { after, limit } => Some(Response::Scanned(self.scan(after.as_ref(), *limit))),
            _ => None,
        }
    }

    fn snapshot(&self) -> Vec<Self::SnapshotPart> {
        in_parts(self.entries.iter().map(|(key, value)| (key.clone(), value.clone())))
    }

    fn restore(&mut self, parts: &[Self::SnapshotPart]) {
        self.entries = parts.iter().flat_map(|part| part.iter().cloned()).collect();
    }
}

impl<K: Ord + Clone, V: Clone> KeyValueStore<K, V> {
    fn scan(&self, after: Option<&K>, limit: u32) -> Vec<(K, V)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let entries = self.entries.range((from, Bound::Unbounded)).take(limit as usize);
        entries.map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::most_parts_restored;
    use super::*;

    #[test]
    fn every_operation_does_what_it_says() {
        let mut store: KeyValueStore<&str, u32> = [("c", 3)].into_iter().collect();
        let scan = |after, limit| Operation::Scan { after, limit };
        for (operation, response) in [
            (Operation::Get { key: "c" }, Response::Found(Some(3))),
            (Operation::Get { key: "a" }, Response::Found(None)),
            (Operation::Put { key: "a", value: 1 }, Response::Replaced(None)),
            (Operation::Put { key: "a", value: 2 }, Response::Replaced(Some(1))),
            (Operation::Get { key: "a" }, Response::Found(Some(2))),
            (scan(None, 1), Response::Scanned(vec![("a", 2)])),
            (scan(None, u32::MAX), Response::Scanned(vec![("a", 2), ("c", 3)])),
            (scan(Some("a"), 5), Response::Scanned(vec![("c", 3)])),
            (scan(Some("b"), 5), Response::Scanned(vec![("c", 3)])),
            (scan(Some("c"), 5), Response::Scanned(vec![])),
            (scan(None, 0), Response::Scanned(vec![])),
            (Operation::Delete { key: "c" }, Response::Deleted(Some(3))),
            (Operation::Delete { key: "c" }, Response::Deleted(None)),
        ] {
            assert_eq!(store.execute(&operation), response, "{operation:?}");
        }
        assert!(store.entries().iter().eq([(&"a", &2)]));
    }

    #[test]
    fn a_restored_one_is_the_same() {
        let parts = most_parts_restored(&KeyValueStore::default(), |random| {
            let key = random.below(500);
            match random.below(6) {
                0..3 => Operation::Put { key, value: random.below(3) },
                3 => Operation::Delete { key },
                4 => Operation::Get { key },
                _ => Operation::Scan { after: Some(key), limit: random.below(10) as u32 },
            }
        });
        assert!(parts > 2, "{parts}");
    }
}
