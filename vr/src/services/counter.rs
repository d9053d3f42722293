//! A number to which is added.
//!
//! Besides counting, it hands out numbers: whoever adds `n` and is answered `total` is the only one ever to
//! own `total - n + 1` to `total`, as long as nobody subtracts.
//!
//! ```
//! use vr::Service;
//! use vr::services::Counter;
//! use vr::services::counter::{Operation, Response};
//!
//! let mut counter = Counter::default();
//! assert_eq!(counter.execute(&Operation::Add(5)), Response::Total(5));
//! assert_eq!(counter.execute(&Operation::Add(-2)), Response::Total(3));
//! assert_eq!(counter.execute(&Operation::Add(i64::MAX)), Response::OutOfRange(3));
//! assert_eq!(counter.execute(&Operation::Read), Response::Total(3));
//! ```

use super::only_part;
use crate::service::Service;

/// A signed number, zero to begin with. See the [module](self).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counter {
    total: i64,
}

/// What is asked of a [`Counter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Reads the total. Answered by [`Response::Total`].
    Read,
    /// Adds this much, or takes it away where it is negative. Answered by [`Response::Total`], the new one,
    /// or by [`Response::OutOfRange`].
    Add(i64),
}

/// What a [`Counter`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Response {
    /// The total, after what was added.
    Total(i64),
    /// To an addition: the sum does not fit into 64 bits. This is the total, and it stays.
    OutOfRange(i64),
}

impl Counter {
    /// A counter that begins with `total`: the same at every replica.
    #[must_use]
    pub const fn new(total: i64) -> Self {
        Self { total }
    }

    /// The total, as far as this replica knows.
    #[must_use]
    pub const fn total(&self) -> i64 {
        self.total
    }
}

impl Service for Counter {
    type Operation = Operation;
    type Response = Response;
    /// The total. There is exactly one piece.
    type SnapshotPart = i64;

    fn execute(&mut self, operation: &Operation) -> Response {
        let amount = match operation {
            Operation::Read => 0,
            Operation::Add(amount) => *amount,
        };
        let Some(total) = self.total.checked_add(amount) else {
            return Response::OutOfRange(self.total);
        };
        self.total = total;
        Response::Total(total)
    }

    fn observe(&self, operation: &Operation) -> Option<Response> {
        match operation {
            Operation::Read => Some(Response::Total(self.total)),
            _ => None,
        }
    }

    fn snapshot(&self) -> Vec<i64> {
        vec![self.total]
    }

    fn restore(&mut self, parts: &[i64]) {
        self.total = *only_part(parts);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::most_parts_restored;
    use super::*;

    #[test]
    fn every_operation_does_what_it_says() {
        let mut counter = Counter::new(7);
        for (operation, response, total) in [
            (Operation::Read, Response::Total(7), 7),
            (Operation::Add(3), Response::Total(10), 10),
            (Operation::Add(0), Response::Total(10), 10),
            (Operation::Add(-12), Response::Total(-2), -2),
            (Operation::Add(i64::MIN), Response::OutOfRange(-2), -2),
            (Operation::Add(i64::MAX), Response::Total(i64::MAX - 2), i64::MAX - 2),
            (Operation::Add(3), Response::OutOfRange(i64::MAX - 2), i64::MAX - 2),
            (Operation::Add(2), Response::Total(i64::MAX), i64::MAX),
        ] {
            assert_eq!(counter.execute(&operation), response, "{operation:?}");
            assert_eq!(counter.total(), total, "{operation:?}");
        }
    }

    #[test]
    fn a_restored_one_is_the_same() {
        let parts = most_parts_restored(&Counter::new(-3), |random| match random.below(3) {
            0 => Operation::Read,
            _ => Operation::Add(random.below(100) as i64 - 40),
        });
        assert_eq!(parts, 1);
    }
}
