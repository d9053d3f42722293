//! What a single copy of each service would answer: the nine data types that histories can be about.
//!
//! | model | operations (members) and what is answered |
//! |---|---|
//! | `register` | `read`(key) gives the value · `write`(key, value) null · `cas`(key, from, to) true, or false where the value was not `from` |
//! | `kv` | `get`(key) gives the value · `put`, `append`(key, value) null · see [`key_value`] for more |
//! | `queue` | `enq`(value) null · `deq`, `peek` the oldest value, null where empty |
//! | `stack` | `push`(value) null · `pop`, `peek` the youngest value, null where empty |
//! | `deque` | `push_front`, `push_back`(value) null · `pop_front`, `pop_back`, `peek_front`, `peek_back` the value at that end |
//! | `pqueue` | `insert`(value) null · `poll`, `peek` the value of highest priority, null where empty |
//! | `set` | `insert`, `remove`(value) true if that changed the set · `contains`(value) |
//! | `mutex` | `acquire` true if the lock was free · `release` true if it was taken · see [`mutex`] for more |
//! | `semaphore` | `incr` true · `decr` true, or false where the count was zero |
//!
//! In a priority queue numbers, whole or decimal, are compared by what they are worth, and two spellings of a
//! number are one value; what is no number comes behind all of them, by its text.
//!
//! Where null is answered, true or the value written will do as well. Where a truth value is answered, null
//! tells nothing but that the operation has been done, in a set; a lock or a semaphore it was granted by.

pub mod container;
pub mod key_value;
pub mod mutex;
pub mod register;
pub mod semaphore;
pub mod set;

mod decimal;

use rustc_hash::FxHashMap;

use decimal::Rank;

use super::format::{Entry, History};
use super::value::{Atom, NULL, Value};
use crate::check::linearizability::Call;
use crate::workload::Model;

/// The data types by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelName {
    /// Registers by key: read, write, cas
    Register,
    /// A key-value store: get, put, append, delete, cas
    Kv,
    /// First in, first out: enq, deq, peek
    Queue,
    /// Last in, first out: push, pop, peek
    Stack,
    /// Two ends: push, pop and peek, each _front and _back
    Deque,
    /// The greatest value first: insert, poll, peek
    Pqueue,
    /// A set of values: insert, remove, contains
    Set,
    /// A lock: acquire, release
    Mutex,
    /// A counting semaphore: incr, decr
    Semaphore,
}

impl ModelName {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Register,
        Self::Kv,
        Self::Queue,
        Self::Stack,
        Self::Deque,
        Self::Pqueue,
        Self::Set,
        Self::Mutex,
        Self::Semaphore,
    ];

    /// What files and the command line call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Kv => "kv",
            Self::Queue => "queue",
            Self::Stack => "stack",
            Self::Deque => "deque",
            Self::Pqueue => "pqueue",
            Self::Set => "set",
            Self::Mutex => "mutex",
            Self::Semaphore => "semaphore",
        }
    }

    /// What it starts as unless something else is said.
    #[must_use]
    pub fn default_init(self) -> Atom {
        match self {
            Self::Register => Atom::Null,
            Self::Kv => Atom::Text(String::new()),
            Self::Queue | Self::Stack | Self::Deque | Self::Pqueue | Self::Set => Atom::List(Vec::new()),
            Self::Mutex => Atom::Truth(false),
            Self::Semaphore => Atom::Text("0".to_owned()),
        }
    }
}

/// Which value of a priority queue comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Priority {
    /// The greatest.
    #[default]
    Greatest,
    /// The smallest.
    Smallest,
}

/// A data type that histories of files can be about.
pub trait Datatype: Model {
    /// The state that `init` describes.
    ///
    /// # Errors
    /// What was expected in its place.
    fn start(context: &Context<'_>, init: &Atom) -> Result<Self, String>;

    /// What an entry asks for, and what it was answered.
    ///
    /// # Errors
    /// The member of the entry that is wrong, and what was expected of it.
    fn call(context: &Context<'_>, entry: &Entry) -> Result<(Self::Operation, Self::Response), Wrong>;

    /// A response as a reader knows it from the file.
    fn say(context: &Context<'_>, response: &Self::Response) -> String;

    /// The state as a reader understands it; of a partition, where there are any.
    fn say_state(&self, context: &Context<'_>, partition: u64) -> String;

    /// What a partition is called, if it has a name.
    fn say_partition(_context: &Context<'_>, _partition: u64) -> Option<String> {
        None
    }

    /// The calls as the container that this is, if it is one.
    fn as_container<'a>(
        &'a self,
        _calls: &'a [Call<Self::Operation, Self::Response>],
    ) -> Option<(&'a container::Container, &'a [Call<container::Operation, Value>])> {
        None
    }
}

/// A member of an entry that is not as it should be, and what was expected.
pub type Wrong = (&'static str, String);

/// What the numbers of a history mean.
#[derive(Debug)]
pub struct Context<'h> {
    /// The history.
    pub history: &'h History,
    /// Which data type it is about.
    pub model: ModelName,
    /// For priority queues: a value of each rank, the lowest priority first. A rank is a place in it, from 1.
    by_rank: Vec<Value>,
    ranks: FxHashMap<Value, u64>,
}

impl<'h> Context<'h> {
    /// Of a history of `model`.
    #[must_use]
    pub fn new(history: &'h History, model: ModelName, priority: Priority) -> Self {
        let mut context = Self { history, model, by_rank: Vec::new(), ranks: FxHashMap::default() };
        if model == ModelName::Pqueue {
            context.rank_values(priority);
        }
        context
    }

    /// Orders all values by priority: numbers by what they are worth, then all others by their text. Two
    /// spellings of a number have one rank.
    fn rank_values(&mut self, priority: Priority) {
        let names = &self.history.names;
        let mut values: Vec<_> =
            (1..names.len() as Value).map(|value| (Rank::of(names.atom(value)), value)).collect();
        values.sort();
        if priority == Priority::Smallest {
            values.reverse();
        }
        let mut last = None;
        for (rank, value) in &values {
            if last.replace(rank) != Some(rank) {
                self.by_rank.push(*value);
            }
            self.ranks.insert(*value, self.by_rank.len() as u64);
        }
    }

    /// What stands for a value in the operations of a container: for priority queues its rank, else itself.
    #[must_use]
    pub fn item(&self, value: Value) -> u64 {
        if value == NULL || self.by_rank.is_empty() { value } else { self.ranks[&value] }
    }

    /// What an item of a container is called.
    #[must_use]
    pub fn say_item(&self, item: u64) -> String {
        let value =
            if item == NULL || self.by_rank.is_empty() { item } else { self.by_rank[item as usize - 1] };
        self.say(value)
    }

    /// What a value is called.
    #[must_use]
    pub fn say(&self, value: Value) -> String {
        self.history.names.atom(value).to_string()
    }

    /// The number of an atom that the history, or its initial state, speaks of.
    ///
    /// # Panics
    /// If they don't: see [`Names::intern_all`](super::Names::intern_all).
    #[must_use]
    pub fn value_of(&self, atom: &Atom) -> Value {
        self.history.names.find(atom).expect("the history speaks of it")
    }

    /// What a value is.
    #[must_use]
    pub fn atom(&self, value: Value) -> &'h Atom {
        self.history.names.atom(value)
    }

    /// The complaint that the model has no such operation.
    #[must_use]
    pub fn no_such_operation(&self, entry: &Entry, operations: &str) -> Wrong {
        let (model, name) = (self.model.name(), entry.kind.name());
        ("type", format!("a {model} has no operation {name:?}: expected {operations}"))
    }

    /// Sees that an operation that answers nothing was answered nothing.
    ///
    /// # Errors
    /// What was expected.
    pub fn nothing(&self, entry: &Entry) -> Result<(), Wrong> {
        let result = self.atom(entry.result);
        let is_fine = entry.returned.is_none()
            || matches!(result, Atom::Null | Atom::Truth(true))
            || entry.result == entry.value
            || matches!(result.text(), Some("ok" | "OK" | "true"));
        is_fine
            .then_some(())
            .ok_or_else(|| ("result", format!("{} answers null: found {result}", entry.kind.name())))
    }

    /// The truth value that an operation was answered; nothing if it says no more than that it was done.
    ///
    /// # Errors
    /// What was expected.
    pub fn truth(&self, entry: &Entry) -> Result<Option<bool>, Wrong> {
        let result = self.atom(entry.result);
        match result.truth() {
            _ if entry.returned.is_none() => Ok(None),
            Some(truth) => Ok(Some(truth)),
            None if *result == Atom::Null => Ok(None),
            None => Err(("result", format!("{} answers true or false: found {result}", entry.kind.name()))),
        }
    }
}
