//! [`vr::services::Set`]: insertions and removals of a few values, and questions for them.
//!
//! Nobody asks for the list of members: so each value is a partition of its own. The [store](super::store) is
//! asked for lists.

use std::collections::BTreeSet;
use std::fmt::{self, Debug, Formatter};

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vr::services::set as service;

use super::asked::{Ask, Asked};
use crate::check::linearizability::Call;
use crate::history::ModelName;
use crate::history::record::{Op, asked_and_answered};
use crate::random::Draw;
use crate::workload::{Model, Workload};

/// The workload.
#[derive(Clone, Copy, Debug)]
pub struct Set;

/// What a client asks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    /// Puts a value into the set.
    Insert {
        /// Which one.
        value: u64,
    },
    /// Takes a value out of the set.
    Remove {
        /// Which one.
        value: u64,
    },
    /// Asks whether a value is in the set.
    Contains {
        /// Which one.
        value: u64,
    },
}

/// What a client is told.
pub type Response = service::Response<u64>;

/// The specification: the values in the set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Members(BTreeSet<u64>);

impl Workload for Set {
    const NAME: &'static str = "set";
    type Operation = Operation;
    type Response = Response;
    type Service = Asked<vr::services::Set<u64>, Operation>;
    type Model = Members;

    fn service() -> Self::Service {
        Asked::new(vr::services::Set::default())
    }

    fn model() -> Members {
        Members::default()
    }

    fn operation(random: &mut ChaCha8Rng, keys: u64, _unique: u64) -> Operation {
        let value = random.below(keys);
        match random.below(10) {
            0..4 => Operation::Insert { value },
            4..8 => Operation::Remove { value },
            _ => Operation::Contains { value },
        }
    }

    fn export(
        history: &[Call<Operation, Response>],
        _order: &[usize],
    ) -> Option<(ModelName, Vec<(Op, Value)>)> {
        Some((ModelName::Set, asked_and_answered(history, op, |_, response| answer(response))))
    }

    fn digest(service: &Self::Service) -> u64 {
        service.digest()
    }
}

fn op(operation: &Operation) -> Op {
    let kind = match operation {
        Operation::Insert { .. } => "insert",
        Operation::Remove { .. } => "remove",
        Operation::Contains { .. } => "contains",
    };
    Op { kind, value: Some(json!(Members::partition(operation).to_string())), ..Op::default() }
}

fn answer(response: &Response) -> Value {
    match response {
        Response::Inserted(truth) | Response::Removed(truth) | Response::Contained(truth) => json!(truth),
        // Nobody asks for the members: let nothing explain it.
        Response::Listed(_) => json!("a list"),
    }
}

impl Ask<vr::services::Set<u64>> for Operation {
    fn ask(&self, _: &vr::services::Set<u64>) -> service::Operation<u64> {
        match *self {
            Self::Insert { value } => service::Operation::Insert(value),
            Self::Remove { value } => service::Operation::Remove(value),
            Self::Contains { value } => service::Operation::Contains(value),
        }
    }
}

impl Model for Members {
    type Operation = Operation;
    type Response = Response;

    fn apply(&mut self, operation: &Operation) -> Response {
        let was_in = self.0.contains(&Self::partition(operation));
        match *operation {
            Operation::Insert { value } => {
                self.0.insert(value);
                Response::Inserted(!was_in)
            }
            Operation::Remove { value } => {
                self.0.remove(&value);
                Response::Removed(was_in)
            }
            Operation::Contains { .. } => Response::Contained(was_in),
        }
    }

    fn observes_only(operation: &Operation) -> bool {
        matches!(operation, Operation::Contains { .. })
    }

    fn partition(operation: &Operation) -> u64 {
        match *operation {
            Operation::Insert { value } | Operation::Remove { value } | Operation::Contains { value } => {
                value
            }
        }
    }

    fn heap_bytes(&self) -> usize {
        self.0.len().div_ceil(11) * 110
    }
}

/// As a call: `insert(17)`.
impl Debug for Operation {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insert { value } => write!(formatter, "insert({value})"),
            Self::Remove { value } => write!(formatter, "remove({value})"),
            Self::Contains { value } => write!(formatter, "contains({value})"),
        }
    }
}
