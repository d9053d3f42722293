//! One service or another: for programs that run groups of different state machines on one [`Host`](crate::Host).
//!
//! All groups of a host run services of one type. With this that type can be two services, or more if it is nested.
//! Each group is one of them for its whole life.
//!
//! ```
//! use vr::Service;
//! use vr::services::either::{Either, OtherService};
//! use vr::services::{Counter, Register, counter, register};
//!
//! type Both = Either<Counter, Register<u8>>;
//! let mut service: Both = Either::Left(Counter::default());
//! let added = service.execute(&Either::Left(counter::Operation::Add(5)));
//! assert_eq!(added, Ok(Either::Left(counter::Response::Total(5))));
//! // What is meant for the other one changes nothing.
//! assert_eq!(service.execute(&Either::Right(register::Operation::Read)), Err(OtherService));
//! ```

use std::fmt;

use crate::service::{Prediction, Service};

/// One or the other: of services, of their operations, of their responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Either<L, R> {
    /// The one.
    Left(L),
    /// The other.
    Right(R),
}

/// The operation is meant for the other service. Nothing has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OtherService;

impl fmt::Display for OtherService {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the group runs another service")
    }
}

impl std::error::Error for OtherService {}

/// The response of the service whose operation it was.
pub type Response<L, R> = Result<Either<L, R>, OtherService>;

impl<L: Service, R: Service> Service for Either<L, R> {
    type Operation = Either<L::Operation, R::Operation>;
    type Response = Response<L::Response, R::Response>;
    type SnapshotPart = Either<L::SnapshotPart, R::SnapshotPart>;

    fn execute(&mut self, operation: &Self::Operation) -> Self::Response {
        match (self, operation) {
            (Self::Left(service), Either::Left(operation)) => Ok(Either::Left(service.execute(operation))),
            (Self::Right(service), Either::Right(operation)) => Ok(Either::Right(service.execute(operation))),
            _ => Err(OtherService),
        }
    }

    fn needs_prediction(&self, operation: &Self::Operation) -> bool {
        match (self, operation) {
            (Self::Left(service), Either::Left(operation)) => service.needs_prediction(operation),
            (Self::Right(service), Either::Right(operation)) => service.needs_prediction(operation),
            _ => false,
        }
    }

    fn execute_predicted(&mut self, operation: &Self::Operation, prediction: Prediction) -> Self::Response {
        match (self, operation) {
            (Self::Left(service), Either::Left(operation)) => {
                Ok(Either::Left(service.execute_predicted(operation, prediction)))
            }
            (Self::Right(service), Either::Right(operation)) => {
                Ok(Either::Right(service.execute_predicted(operation, prediction)))
            }
            _ => Err(OtherService),
        }
    }

    fn observe(&self, operation: &Self::Operation) -> Option<Self::Response> {
        match (self, operation) {
            (Self::Left(service), Either::Left(operation)) => {
                service.observe(operation).map(|response| Ok(Either::Left(response)))
            }
            (Self::Right(service), Either::Right(operation)) => {
                service.observe(operation).map(|response| Ok(Either::Right(response)))
            }
            _ => Some(Err(OtherService)),
        }
    }

    fn snapshot(&self) -> Vec<Self::SnapshotPart> {
        match self {
            Self::Left(service) => service.snapshot().into_iter().map(Either::Left).collect(),
            Self::Right(service) => service.snapshot().into_iter().map(Either::Right).collect(),
        }
    }

    /// # Panics
    /// If the snapshot is of the other service: a group does not change what it is.
    fn restore(&mut self, parts: &[Self::SnapshotPart]) {
        const OTHER: &str = "a snapshot of the group's own service";
        match self {
            Self::Left(service) => {
                let parts = parts.iter().map(|part| part.clone().left().expect(OTHER));
                service.restore(&parts.collect::<Vec<_>>());
            }
            Self::Right(service) => {
                let parts = parts.iter().map(|part| part.clone().right().expect(OTHER));
                service.restore(&parts.collect::<Vec<_>>());
            }
        }
    }
}

impl<L, R> Either<L, R> {
    /// The one, if it is that.
    pub fn left(self) -> Option<L> {
        match self {
            Self::Left(left) => Some(left),
            Self::Right(_) => None,
        }
    }

    /// The other, if it is that.
    pub fn right(self) -> Option<R> {
        match self {
            Self::Left(_) => None,
            Self::Right(right) => Some(right),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::most_parts_restored;
    use super::super::{Register, Set, register, set};
    use super::*;

    type Both = Either<Set<u64>, Register<u64>>;

    fn draw(random: &mut super::super::tests::Random) -> <Both as Service>::Operation {
        let value = random.below(300);
        match random.below(4) {
            0 | 1 => Either::Left(set::Operation::Insert(value)),
            2 => Either::Right(register::Operation::Write(value)),
            _ => Either::Right(register::Operation::Read),
        }
    }

    #[test]
    fn a_restored_one_is_the_same() {
        assert!(most_parts_restored(&Both::Left(Set::default()), draw) > 2);
        assert_eq!(most_parts_restored(&Both::Right(Register::new(7)), draw), 1);
    }
}
