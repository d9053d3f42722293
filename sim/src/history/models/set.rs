//! A set of values. Each value is a partition of its own: in the set, or not.

use std::collections::BTreeSet;

use super::{Context, Datatype, Wrong};
use crate::history::format::{Entry, Kind};
use crate::history::value::{Atom, Value};
use crate::workload::Model;

/// The values in the set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Set(BTreeSet<Value>);

/// What is asked of the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    value: Value,
    what: What,
    /// Its client was not told whether anything changed.
    is_silent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    Insert,
    Remove,
    Contains,
}

impl Model for Set {
    type Operation = Operation;
    type Response = Option<bool>;

    fn apply(&mut self, operation: &Operation) -> Option<bool> {
        let truth = match operation.what {
            What::Insert => self.0.insert(operation.value),
            What::Remove => self.0.remove(&operation.value),
            What::Contains => self.0.contains(&operation.value),
        };
        (!operation.is_silent).then_some(truth)
    }

    fn observes_only(operation: &Operation) -> bool {
        operation.what == What::Contains
    }

    fn overwrites(operation: &Operation) -> bool {
        operation.is_silent && operation.what != What::Contains
    }

    fn partition(operation: &Operation) -> u64 {
        operation.value
    }

    fn heap_bytes(&self) -> usize {
        self.0.len().div_ceil(11) * 110
    }
}

impl Datatype for Set {
    fn start(context: &Context<'_>, init: &Atom) -> Result<Self, String> {
        match init {
            Atom::Null => Ok(Self::default()),
            Atom::List(items) => {
                Ok(Self(items.iter().map(|item| context.value_of(&Atom::Text(item.clone()))).collect()))
            }
            _ => Err(format!("expected a list of values, such as [] or [\"1\", \"2\"]: found {init}")),
        }
    }

    fn call(context: &Context<'_>, entry: &Entry) -> Result<(Operation, Option<bool>), Wrong> {
        let what = match entry.kind {
            Kind::Insert => What::Insert,
            Kind::Remove => What::Remove,
            Kind::Contains => What::Contains,
            _ => return Err(context.no_such_operation(entry, "insert, remove or contains")),
        };
        let truth = context.truth(entry)?;
        let is_silent = truth.is_none() && entry.returned.is_some();
        Ok((Operation { value: entry.value, what, is_silent }, truth))
    }

    fn say(_context: &Context<'_>, response: &Option<bool>) -> String {
        response.map_or_else(|| "null".to_owned(), |truth| truth.to_string())
    }

    fn say_state(&self, context: &Context<'_>, partition: u64) -> String {
        let is_in = if self.0.contains(&partition) { "in the set" } else { "not in the set" };
        format!("{} {is_in}", context.say(partition))
    }

    fn say_partition(context: &Context<'_>, partition: u64) -> Option<String> {
        Some(format!("value {}", context.say(partition)))
    }
}
