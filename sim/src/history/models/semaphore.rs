//! A counting semaphore: `incr` gives a permit back, `decr` takes one if there is one.

use super::{Context, Datatype, Wrong};
use crate::history::format::{Entry, Kind};
use crate::history::value::Atom;
use crate::workload::Model;

/// How many permits there are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Semaphore(u64);

/// What is asked of a semaphore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// One permit more.
    Incr,
    /// One permit less, if there is one.
    Decr,
}

impl Model for Semaphore {
    type Operation = Operation;
    type Response = bool;

    fn apply(&mut self, operation: &Operation) -> bool {
        match operation {
            Operation::Incr => self.0 += 1,
            Operation::Decr if self.0 == 0 => return false,
            Operation::Decr => self.0 -= 1,
        }
        true
    }
}

impl Datatype for Semaphore {
    fn start(_context: &Context<'_>, init: &Atom) -> Result<Self, String> {
        let count = match init {
            Atom::Null => Some(0),
            _ => init.number().and_then(|count| u64::try_from(count).ok()),
        };
        count.map(Self).ok_or_else(|| format!("expected the number of permits, such as 3: found {init}"))
    }

    /// Without a truth value the permit was given or taken.
    fn call(context: &Context<'_>, entry: &Entry) -> Result<(Operation, bool), Wrong> {
        let operation = match entry.kind {
            Kind::Incr | Kind::Release => Operation::Incr,
            Kind::Decr | Kind::Acquire => Operation::Decr,
            _ => return Err(context.no_such_operation(entry, "incr or decr")),
        };
        Ok((operation, context.truth(entry)?.unwrap_or(true)))
    }

    fn say(_context: &Context<'_>, response: &bool) -> String {
        response.to_string()
    }

    fn say_state(&self, _context: &Context<'_>, _partition: u64) -> String {
        match self.0 {
            0 => "no permit left".to_owned(),
            1 => "1 permit".to_owned(),
            count => format!("{count} permits"),
        }
    }
}
