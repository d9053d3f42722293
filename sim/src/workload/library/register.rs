//! [`vr::services::Register`]: reads, writes and compare-and-swaps of one value.

use std::fmt::{self, Debug, Formatter};

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vr::services::register as service;

use super::asked::{Ask, Asked};
use super::text;
use crate::check::linearizability::Call;
use crate::history::ModelName;
use crate::history::record::{Op, asked_and_answered};
use crate::random::Draw;
use crate::workload::{Model, RegisterOperation, Workload};

/// How many values there are. Few, so that a client that remembers nothing can guess the one to be replaced.
const VALUES: u64 = 6;

/// The workload.
#[derive(Clone, Copy, Debug)]
pub struct Register;

/// What a client asks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    /// Reads the value.
    Read,
    /// Replaces the value.
    Write {
        /// By this.
        value: u64,
    },
    /// Replaces the value if it is the expected one.
    CompareAndSwap {
        /// None: never written.
        expected: Option<u64>,
        /// What takes its place.
        new: u64,
    },
}

/// What a client is told.
pub type Response = service::Response<Option<u64>>;

/// The specification: what was written last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Last(Option<u64>);

impl Workload for Register {
    const NAME: &'static str = "register";
    type Operation = Operation;
    type Response = Response;
    type Service = Asked<vr::services::Register<Option<u64>>, Operation>;
    type Model = Last;

    fn service() -> Self::Service {
        Asked::new(vr::services::Register::default())
    }

    fn model() -> Last {
        Last::default()
    }

    fn operation(random: &mut ChaCha8Rng, _keys: u64, _unique: u64) -> Operation {
        match random.below(10) {
            0..3 => Operation::Read,
            3..5 => Operation::Write { value: random.below(VALUES) },
            _ => {
                // Zero stands for "never written" as well, or that would never be expected in time.
                let expected = Some(random.below(VALUES)).filter(|&value| value > 0);
                Operation::CompareAndSwap { expected, new: random.below(VALUES) }
            }
        }
    }

    fn export(
        history: &[Call<Operation, Response>],
        _order: &[usize],
    ) -> Option<(ModelName, Vec<(Op, Value)>)> {
        Some((ModelName::Register, asked_and_answered(history, op, |_, response| answer(response))))
    }

    fn digest(service: &Self::Service) -> u64 {
        service.digest()
    }
}

fn op(operation: &Operation) -> Op {
    match *operation {
        Operation::Read => Op { kind: "read", ..Op::default() },
        Operation::Write { value } => Op { kind: "write", value: Some(text(Some(value))), ..Op::default() },
        Operation::CompareAndSwap { expected, new } => {
            Op { kind: "cas", from: Some(text(expected)), to: Some(text(Some(new))), ..Op::default() }
        }
    }
}

fn answer(response: &Response) -> Value {
    match response {
        Response::Value(value) => text(*value),
        Response::Written => Value::Null,
        Response::Swapped => json!(true),
        Response::Mismatched(_) => json!(false),
    }
}

impl Ask<vr::services::Register<Option<u64>>> for Operation {
    fn ask(&self, _: &vr::services::Register<Option<u64>>) -> service::Operation<Option<u64>> {
        match *self {
            Self::Read => service::Operation::Read,
            Self::Write { value } => service::Operation::Write(Some(value)),
            Self::CompareAndSwap { expected, new } => {
                service::Operation::CompareAndSwap { expected, new: Some(new) }
            }
        }
    }
}

impl Model for Last {
    type Operation = Operation;
    type Response = Response;

    fn apply(&mut self, operation: &Operation) -> Response {
        match (*operation, self.0) {
            (Operation::Read, value) => Response::Value(value),
            (Operation::Write { value }, _) => {
                self.0 = Some(value);
                Response::Written
            }
            (Operation::CompareAndSwap { expected, .. }, value) if expected != value => {
                Response::Mismatched(value)
            }
            (Operation::CompareAndSwap { new, .. }, _) => {
                self.0 = Some(new);
                Response::Swapped
            }
        }
    }

    fn observes_only(operation: &Operation) -> bool {
        *operation == Operation::Read
    }

    fn overwrites(operation: &Operation) -> bool {
        matches!(operation, Operation::Write { .. })
    }

    fn as_register(operation: &Operation, response: Option<&Response>) -> Option<RegisterOperation> {
        match (*operation, response) {
            (Operation::Read, Some(Response::Value(value))) => Some(RegisterOperation::Read(number(*value))),
            (Operation::Write { value }, None | Some(Response::Written)) => {
                Some(RegisterOperation::Write(number(Some(value))))
            }
            (Operation::CompareAndSwap { expected, new }, None | Some(Response::Swapped)) => {
                Some(RegisterOperation::Swap { from: number(expected), to: number(Some(new)) })
            }
            (Operation::CompareAndSwap { expected, .. }, Some(Response::Mismatched(value)))
                if expected != *value =>
            {
                Some(RegisterOperation::Read(number(*value)))
            }
            _ => None,
        }
    }

    fn register_value(&self, _partition: u64) -> Option<u64> {
        Some(number(self.0))
    }
}

fn number(value: Option<u64>) -> u64 {
    value.map_or(0, |value| value + 1)
}

/// As a call: `write(17)`.
impl Debug for Operation {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read => write!(formatter, "read()"),
            Self::Write { value } => write!(formatter, "write({value})"),
            Self::CompareAndSwap { expected: Some(expected), new } => {
                write!(formatter, "compare-and-swap(if {expected}, {new})")
            }
            Self::CompareAndSwap { expected: None, new } => {
                write!(formatter, "compare-and-swap(if nothing, {new})")
            }
        }
    }
}
