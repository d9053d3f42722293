//! One value that is read, written, and replaced on a condition.
//!
//! For whatever the whole group of clients must agree on: the current configuration, who is leader, where the
//! last backup is.
//!
//! ```
//! use vr::Service;
//! use vr::services::Register;
//! use vr::services::register::{Operation, Response};
//!
//! let mut leader = Register::new(None);
//! let elect = |name| Operation::CompareAndSwap { expected: None, new: Some(name) };
//! assert_eq!(leader.execute(&elect("ann")), Response::Swapped);
//! assert_eq!(leader.execute(&elect("bob")), Response::Mismatched(Some("ann")));
//! assert_eq!(leader.execute(&Operation::Read), Response::Value(Some("ann")));
//! ```

use std::fmt::Debug;

use super::only_part;
use crate::service::Service;

/// One value. See the [module](self).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Register<V> {
    value: V,
}

/// What is asked of a [`Register`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operation<V> {
    /// Reads the value. Answered by [`Response::Value`].
    Read,
    /// Replaces the value, whatever it was. Answered by [`Response::Written`].
    Write(V),
    /// Replaces the value if it is the expected one. Answered by [`Response::Swapped`] or
    /// [`Response::Mismatched`]. A value that has come back meanwhile is as good as one that never left:
    /// where that matters, make values unique, by a [`Counter`](super::Counter) for instance.
    CompareAndSwap {
        /// What the value must equal.
        expected: V,
        /// What it is from then on; the expected value itself will do.
        new: V,
    },
}

/// What a [`Register`] answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Response<V> {
    /// To a read: the value.
    Value(V),
    /// To a write.
    Written,
    /// To a compare-and-swap: the value was the expected one, and is the new one now.
    Swapped,
    /// To a compare-and-swap: the value that was found instead, and stays.
    Mismatched(V),
}

impl<V> Register<V> {
    /// A register that holds `value` to begin with: the same at every replica.
    pub const fn new(value: V) -> Self {
        Self { value }
    }

    /// The value, as far as this replica knows.
    pub const fn value(&self) -> &V {
        &self.value
    }
}

impl<V: Clone + Eq + Debug> Service for Register<V> {
    type Operation = Operation<V>;
    type Response = Response<V>;
    /// The value. There is exactly one piece.
    type SnapshotPart = V;

    fn execute(&mut self, operation: &Operation<V>) -> Response<V> {
        match operation {
            Operation::Read => Response::Value(self.value.clone()),
            Operation::Write(value) => {
                self.value = value.clone();
                Response::Written
            }
            Operation::CompareAndSwap { expected, new } if self.value == *expected => {
                self.value = new.clone();
                Response::Swapped
            }
            Operation::CompareAndSwap { .. } => Response::Mismatched(self.value.clone()),
        }
    }

    fn observe(&self, operation: &Operation<V>) -> Option<Response<V>> {
        match operation {
            Operation::Read => Some(Response::Value(self.value.clone())),
            _ => None,
        }
    }

    fn snapshot(&self) -> Vec<V> {
        vec![self.value.clone()]
    }

    fn restore(&mut self, parts: &[V]) {
        self.value = only_part(parts).clone();
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::most_parts_restored;
    use super::*;

    #[test]
    fn every_operation_does_what_it_says() {
        let mut register = Register::new("first");
        let swap = |expected, new| Operation::CompareAndSwap { expected, new };
        for (operation, response, value) in [
            (Operation::Read, Response::Value("first"), "first"),
            (Operation::Write("second"), Response::Written, "second"),
            (swap("first", "third"), Response::Mismatched("second"), "second"),
            (swap("second", "third"), Response::Swapped, "third"),
            (swap("third", "third"), Response::Swapped, "third"),
            (Operation::Read, Response::Value("third"), "third"),
        ] {
            assert_eq!(register.execute(&operation), response, "{operation:?}");
            assert_eq!(*register.value(), value, "{operation:?}");
        }
    }

    #[test]
    fn a_restored_one_is_the_same() {
        let parts = most_parts_restored(&Register::new(0), |random| match random.below(3) {
            0 => Operation::Read,
            1 => Operation::Write(random.below(5)),
            _ => Operation::CompareAndSwap { expected: random.below(5), new: random.below(5) },
        });
        assert_eq!(parts, 1);
    }
}
