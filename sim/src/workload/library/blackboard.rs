//! [`vr::services::Blackboard`]: gets, puts and compare-and-swaps of a few notes.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vr::services::blackboard as service;

use super::asked::{Ask, Asked};
use super::text;
use crate::check::linearizability::Call;
use crate::history::ModelName;
use crate::history::record::{Op, asked_and_answered};
use crate::random::Draw;
use crate::stage::{self, Found};
use crate::workload::{Model, RegisterOperation, Workload};

/// How many notes can stand under a key. Few, so that a client that remembers nothing can guess the one to be
/// replaced.
const VALUES: u64 = 4;

/// The workload.
#[derive(Clone, Copy, Debug)]
pub struct Blackboard;

/// What a client asks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    /// Reads a note.
    Get {
        /// Which one.
        key: u64,
    },
    /// Writes a note, whatever stood there.
    Put {
        /// Which one.
        key: u64,
        /// What it says.
        value: u64,
    },
    /// Replaces a note if it says what is expected. None stands for no note.
    CompareAndSwap {
        /// Which one.
        key: u64,
        /// What it must say.
        expected: Option<u64>,
        /// What it says then.
        new: Option<u64>,
    },
}

/// What a client is told.
pub type Response = service::Response<u64>;

/// The service of `vr`.
type Service = vr::services::Blackboard<u64, u64>;

/// The specification: all notes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Notes(BTreeMap<u64, u64>);

impl Workload for Blackboard {
    const NAME: &'static str = "blackboard";
    type Operation = Operation;
    type Response = Response;
    type Service = Asked<Service, Operation>;
    type Model = Notes;

    fn service() -> Self::Service {
        Asked::new(Service::default())
    }

    fn model() -> Notes {
        Notes::default()
    }

    fn operation(random: &mut ChaCha8Rng, keys: u64, _unique: u64) -> Operation {
        let key = random.below(keys);
        match random.below(10) {
            0..3 => Operation::Get { key },
            3..5 => Operation::Put { key, value: 1 + random.below(VALUES) },
            _ => {
                let mut note = || Some(random.below(VALUES + 1)).filter(|&value| value > 0);
                Operation::CompareAndSwap { key, expected: note(), new: note() }
            }
        }
    }

    fn asked_for(ask: &stage::Ask) -> Option<Operation> {
        match *ask {
            stage::Ask::Get { key } => Some(Operation::Get { key }),
            stage::Ask::Put { key, element } if element > 0 => Some(Operation::Put { key, value: element }),
            _ => None,
        }
    }

    fn found(operation: &Operation, response: &Response) -> Option<Found> {
        match (*operation, response) {
            (Operation::Get { .. }, Response::Found(None)) => Some(Found::Nothing),
            (Operation::Get { key }, &Response::Found(Some(element))) => {
                Some(Found::Element { key, element })
            }
            _ => None,
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

/// Each key as a register, which holds null where there is no note.
fn op(operation: &Operation) -> Op {
    let key = Some(Notes::partition(operation).to_string());
    match *operation {
        Operation::Get { .. } => Op { kind: "read", key, ..Op::default() },
        Operation::Put { value, .. } => {
            Op { kind: "write", key, value: Some(text(Some(value))), ..Op::default() }
        }
        Operation::CompareAndSwap { expected, new, .. } => {
            Op { kind: "cas", key, from: Some(text(expected)), to: Some(text(new)), ..Op::default() }
        }
    }
}

fn answer(response: &Response) -> Value {
    match response {
        Response::Found(value) => text(*value),
        Response::Written => Value::Null,
        Response::Swapped => json!(true),
        Response::Mismatched(_) => json!(false),
    }
}

impl Ask<Service> for Operation {
    fn ask(&self, _: &Service) -> service::Operation<u64, u64> {
        match *self {
            Self::Get { key } => service::Operation::Get { key },
            Self::Put { key, value } => service::Operation::Put { key, value },
            Self::CompareAndSwap { key, expected, new } => {
                service::Operation::CompareAndSwap { key, expected, new }
            }
        }
    }
}

impl Model for Notes {
    type Operation = Operation;
    type Response = Response;

    fn apply(&mut self, operation: &Operation) -> Response {
        let found = self.0.get(&Self::partition(operation)).copied();
        match *operation {
            Operation::Get { .. } => Response::Found(found),
            Operation::Put { key, value } => {
                self.0.insert(key, value);
                Response::Written
            }
            Operation::CompareAndSwap { expected, .. } if expected != found => Response::Mismatched(found),
            Operation::CompareAndSwap { key, new, .. } => {
                self.0.remove(&key);
                self.0.extend(new.map(|new| (key, new)));
                Response::Swapped
            }
        }
    }

    fn observes_only(operation: &Operation) -> bool {
        matches!(operation, Operation::Get { .. })
    }

    fn overwrites(operation: &Operation) -> bool {
        matches!(operation, Operation::Put { .. })
    }

    fn partition(operation: &Operation) -> u64 {
        match *operation {
            Operation::Get { key } | Operation::Put { key, .. } | Operation::CompareAndSwap { key, .. } => {
                key
            }
        }
    }

    fn as_register(operation: &Operation, response: Option<&Response>) -> Option<RegisterOperation> {
        match (*operation, response) {
            (Operation::Get { .. }, Some(Response::Found(value))) => {
                Some(RegisterOperation::Read(number(*value)))
            }
            (Operation::Put { value, .. }, None | Some(Response::Written)) => {
                Some(RegisterOperation::Write(number(Some(value))))
            }
            (Operation::CompareAndSwap { expected, new, .. }, None | Some(Response::Swapped)) => {
                Some(RegisterOperation::Swap { from: number(expected), to: number(new) })
            }
            (Operation::CompareAndSwap { expected, .. }, Some(Response::Mismatched(value)))
                if expected != *value =>
            {
                Some(RegisterOperation::Read(number(*value)))
            }
            _ => None,
        }
    }

    fn register_value(&self, partition: u64) -> Option<u64> {
        Some(number(self.0.get(&partition).copied()))
    }

    fn heap_bytes(&self) -> usize {
        self.0.len().div_ceil(11) * 200
    }
}

/// No note is zero, so zero stands for none.
fn number(value: Option<u64>) -> u64 {
    value.unwrap_or(0)
}

/// As a call: `put(key 3, 17)`.
impl Debug for Operation {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let note = |note: &Option<u64>| note.map_or_else(|| "nothing".to_owned(), |note| note.to_string());
        match self {
            Self::Get { key } => write!(formatter, "get(key {key})"),
            Self::Put { key, value } => write!(formatter, "put(key {key}, {value})"),
            Self::CompareAndSwap { key, expected, new } => {
                write!(formatter, "compare-and-swap(key {key}, if {}, {})", note(expected), note(new))
            }
        }
    }
}
