//! A set of values: who is a member, what has been done, which names are taken.
//!
//! ```
//! use vr::Service;
//! use vr::services::Set;
//! use vr::services::set::{Operation, Response};
//!
//! let mut members = Set::default();
//! assert_eq!(members.execute(&Operation::Insert("ann")), Response::Inserted(true));
//! assert_eq!(members.execute(&Operation::Insert("ann")), Response::Inserted(false));
//! assert_eq!(members.execute(&Operation::Contains("bob")), Response::Contained(false));
//! assert_eq!(members.execute(&Operation::List { after: None, limit: 10 }), Response::Listed(vec!["ann"]));
//! ```

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::ops::Bound;
use std::sync::Arc;

use super::in_parts;
use crate::service::Service;

/// A set, empty to begin with. See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Set<T> {
    members: BTreeSet<T>,
}

/// What is asked of a [`Set`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operation<T> {
    /// Puts a value into the set. Answered by [`Response::Inserted`]. A value that is in it already stays as
    /// it is.
    Insert(T),
    /// Takes a value out of the set. Answered by [`Response::Removed`].
    Remove(T),
    /// Asks whether a value is in the set. Answered by [`Response::Contained`].
    Contains(T),
    /// Asks for members in ascending order. Answered by [`Response::Listed`]. To see them all, go on after
    /// the last one until the answer holds less than `limit`; it is then not one moment that is seen, but one
    /// for each request.
    List {
        /// Only members greater than this; none: from the smallest on.
        after: Option<T>,
        /// At most so many.
        limit: u32,
    },
}

/// What a [`Set`] answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Response<T> {
    /// To an insertion: true if the value was not in the set before.
    Inserted(bool),
    /// To a removal: true if the value was in the set before.
    Removed(bool),
    /// To the question for one member: true if it is in the set.
    Contained(bool),
    /// To the question for members: those asked for, in ascending order.
    Listed(Vec<T>),
}

impl<T> Set<T> {
    /// The members in ascending order, as far as this replica knows.
    pub const fn members(&self) -> &BTreeSet<T> {
        &self.members
    }
}

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self { members: BTreeSet::new() }
    }
}

/// A set of these members to begin with: the same at every replica.
impl<T: Ord> FromIterator<T> for Set<T> {
    fn from_iter<I: IntoIterator<Item = T>>(members: I) -> Self {
        Self { members: members.into_iter().collect() }
    }
}

impl<T: Ord + Clone + Debug> Service for Set<T> {
    type Operation = Operation<T>;
    type Response = Response<T>;
    /// Members in ascending order, at most [`ENTRIES_PER_PART`](super::ENTRIES_PER_PART).
    type SnapshotPart = Arc<[T]>;

    fn execute(&mut self, operation: &Operation<T>) -> Response<T> {
        match operation {
            Operation::Insert(value) => Response::Inserted(self.members.insert(value.clone())),
            Operation::Remove(value) => Response::Removed(self.members.remove(value)),
            Operation::Contains(value) => Response::Contained(self.members.contains(value)),
            Operation::List { after, limit } => Response::Listed(self.list(after.as_ref(), *limit)),
        }
    }

    fn observe(&self, operation: &Operation<T>) -> Option<Response<T>> {
        match operation {
            Operation::Contains(value) => Some(Response::Contained(self.members.contains(value))),
            Operation::List { after, limit } => Some(Response::Listed(self.list(after.as_ref(), *limit))),
            _ => None,
        }
    }

    fn snapshot(&self) -> Vec<Self::SnapshotPart> {
        in_parts(self.members.iter().cloned())
    }

    fn restore(&mut self, parts: &[Self::SnapshotPart]) {
        self.members = parts.iter().flat_map(|part| part.iter().cloned()).collect();
    }
}

impl<T: Ord + Clone> Set<T> {
    fn list(&self, after: Option<&T>, limit: u32) -> Vec<T> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.members.range((from, Bound::Unbounded)).take(limit as usize).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::most_parts_restored;
    use super::*;

    #[test]
    fn every_operation_does_what_it_says() {
        let mut set: Set<u32> = [30, 10].into_iter().collect();
        let list = |after, limit| Operation::List { after, limit };
        for (operation, response) in [
            (Operation::Contains(10), Response::Contained(true)),
            (Operation::Contains(20), Response::Contained(false)),
            (Operation::Insert(20), Response::Inserted(true)),
            (Operation::Insert(20), Response::Inserted(false)),
            (Operation::Contains(20), Response::Contained(true)),
            (list(None, 2), Response::Listed(vec![10, 20])),
            (list(Some(20), 2), Response::Listed(vec![30])),
            (list(Some(15), 1), Response::Listed(vec![20])),
            (list(Some(30), 2), Response::Listed(vec![])),
            (list(None, 0), Response::Listed(vec![])),
            (Operation::Remove(10), Response::Removed(true)),
            (Operation::Remove(10), Response::Removed(false)),
            (list(None, u32::MAX), Response::Listed(vec![20, 30])),
        ] {
            assert_eq!(set.execute(&operation), response, "{operation:?}");
        }
        assert!(set.members().iter().eq(&[20, 30]));
    }

    #[test]
    fn a_restored_one_is_the_same() {
        let parts = most_parts_restored(&Set::default(), |random| {
            let value = random.below(500);
            match random.below(6) {
                0..3 => Operation::Insert(value),
                3 => Operation::Remove(value),
                4 => Operation::Contains(value),
                _ => Operation::List { after: Some(value), limit: random.below(10) as u32 },
            }
        });
        assert!(parts > 2, "{parts}");
    }
}
