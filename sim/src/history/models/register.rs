//! Registers, one for each key: read, write, compare-and-swap.

use std::collections::BTreeMap;

use super::{Context, Datatype, Wrong};
use crate::history::format::{Entry, Kind};
use crate::history::value::{Atom, Value};
use crate::workload::{Model, RegisterOperation};

/// What each register holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Registers {
    /// What those hold that were never written.
    initial: Value,
    /// What those hold that were.
    written: BTreeMap<Value, Value>,
}

/// What is asked of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    key: Value,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    Read,
    Write(Value),
    /// `is_silent`: its client was not told whether it succeeded.
    Swap {
        from: Value,
        to: Value,
        is_silent: bool,
    },
}

/// What a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Response {
    /// To a read.
    Found(Value),
    /// To a write, or a compare-and-swap that says no more.
    Done,
    /// To a compare-and-swap: whether it replaced the value.
    Swapped(bool),
}

impl Model for Registers {
    type Operation = Operation;
    type Response = Response;

    fn apply(&mut self, operation: &Operation) -> Response {
        let Operation { key, what } = *operation;
        let value = self.written.get(&key).copied().unwrap_or(self.initial);
        match what {
            What::Read => Response::Found(value),
            What::Write(value) => {
                self.written.insert(key, value);
                Response::Done
            }
            What::Swap { from, to, is_silent } => {
                if value == from {
                    self.written.insert(key, to);
                }
                if is_silent { Response::Done } else { Response::Swapped(value == from) }
            }
        }
    }

    fn observes_only(operation: &Operation) -> bool {
        operation.what == What::Read
    }

    fn overwrites(operation: &Operation) -> bool {
        matches!(operation.what, What::Write(_))
    }

    fn partition(operation: &Operation) -> u64 {
        operation.key
    }

    fn as_register(operation: &Operation, response: Option<&Response>) -> Option<RegisterOperation> {
        match (operation.what, response) {
            (What::Read, Some(Response::Found(value))) => Some(RegisterOperation::Read(*value)),
            (What::Write(value), None | Some(Response::Done)) => Some(RegisterOperation::Write(value)),
            (What::Swap { from, to, .. }, None | Some(Response::Swapped(true))) => {
                Some(RegisterOperation::Swap { from, to })
            }
            (What::Swap { from, .. }, Some(Response::Swapped(false))) => {
                Some(RegisterOperation::Mismatch(from))
            }
            _ => None,
        }
    }

    fn register_value(&self, partition: u64) -> Option<u64> {
        Some(self.written.get(&partition).copied().unwrap_or(self.initial))
    }

    fn heap_bytes(&self) -> usize {
        // A node of the map holds eleven entries.
        self.written.len().div_ceil(11) * 200
    }
}

impl Datatype for Registers {
    fn start(context: &Context<'_>, init: &Atom) -> Result<Self, String> {
        Ok(Self { initial: context.value_of(init), written: BTreeMap::new() })
    }

    fn call(context: &Context<'_>, entry: &Entry) -> Result<(Operation, Response), Wrong> {
        let (what, response) = match entry.kind {
            Kind::Read | Kind::Get => (What::Read, Response::Found(entry.result)),
            Kind::Write | Kind::Put => {
                context.nothing(entry)?;
                (What::Write(entry.value), Response::Done)
            }
            Kind::Cas => {
                let truth = context.truth(entry)?;
                let is_silent = truth.is_none() && entry.returned.is_some();
                let swap = What::Swap { from: entry.from, to: entry.to, is_silent };
                (swap, truth.map_or(Response::Done, Response::Swapped))
            }
            _ => return Err(context.no_such_operation(entry, "read, write or cas")),
        };
        Ok((Operation { key: entry.key, what }, response))
    }

    fn say(context: &Context<'_>, response: &Response) -> String {
        match response {
            Response::Found(value) => context.say(*value),
            Response::Done => "null".to_owned(),
            Response::Swapped(truth) => truth.to_string(),
        }
    }

    fn say_state(&self, context: &Context<'_>, partition: u64) -> String {
        context.say(self.written.get(&partition).copied().unwrap_or(self.initial))
    }

    fn say_partition(context: &Context<'_>, partition: u64) -> Option<String> {
        Some(format!("key {}", context.say(partition)))
    }
}
