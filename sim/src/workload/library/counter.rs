//! [`vr::services::Counter`]: additions, some of which do not fit, and reads.

use std::fmt::{self, Debug, Formatter};

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use vr::services::counter as service;

use super::asked::{Ask, Asked};
use crate::random::Draw;
use crate::workload::{Model, Workload};

/// Two of them do not fit.
const HUGE: i64 = i64::MAX / 3 * 2;

/// The workload. No model of `sim check` counts, so its histories are not exported.
#[derive(Clone, Copy, Debug)]
pub struct Counter;

/// What a client asks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    /// Reads the total.
    Read,
    /// Adds to it.
    Add {
        /// So much; less than nothing takes away.
        amount: i64,
    },
}

/// What a client is told.
pub type Response = service::Response;

/// The specification: the sum of all that was added and fitted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sum(i128);

impl Workload for Counter {
    const NAME: &'static str = "counter";
    type Operation = Operation;
    type Response = Response;
    type Service = Asked<vr::services::Counter, Operation>;
    type Model = Sum;

    fn service() -> Self::Service {
        Asked::new(vr::services::Counter::default())
    }

    fn model() -> Sum {
        Sum::default()
    }

    /// Amounts differ widely, so that a total tells which of them are in it.
    fn operation(random: &mut ChaCha8Rng, _keys: u64, _unique: u64) -> Operation {
        match random.below(10) {
            0..4 => Operation::Read,
            4 => Operation::Add { amount: random.pick(&[HUGE, -HUGE]) },
            _ => Operation::Add { amount: random.below(2_000_001) as i64 - 1_000_000 },
        }
    }

    fn digest(service: &Self::Service) -> u64 {
        service.digest()
    }
}

impl Ask<vr::services::Counter> for Operation {
    fn ask(&self, _: &vr::services::Counter) -> service::Operation {
        match *self {
            Self::Read => service::Operation::Read,
            Self::Add { amount } => service::Operation::Add(amount),
        }
    }
}

impl Model for Sum {
    type Operation = Operation;
    type Response = Response;

    fn apply(&mut self, operation: &Operation) -> Response {
        let total = |sum: i128| i64::try_from(sum).ok();
        let now = total(self.0).expect("only what fits is kept");
        let Operation::Add { amount } = *operation else { return Response::Total(now) };
        let sum = self.0 + i128::from(amount);
        let Some(new) = total(sum) else { return Response::OutOfRange(now) };
        self.0 = sum;
        Response::Total(new)
    }

    fn observes_only(operation: &Operation) -> bool {
        *operation == Operation::Read
    }
}

/// As a call: `add(17)`.
impl Debug for Operation {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read => write!(formatter, "read()"),
            Self::Add { amount } => write!(formatter, "add({amount})"),
        }
    }
}
