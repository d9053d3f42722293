//! What takes values in and gives them back in some order: queue, stack, deque, priority queue.

use std::collections::VecDeque;

use super::{Context, Datatype, Wrong};
use crate::check::linearizability::Call;
use crate::history::format::{Entry, Kind};
use crate::history::value::{Atom, Value};
use crate::workload::Model;

/// In what order values come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Discipline {
    /// First in, first out.
    Queue,
    /// Last in, first out.
    Stack,
    /// As each operation says.
    Deque,
    /// By priority: the greatest item first.
    PriorityQueue,
}

/// The items, the front first; of a priority queue the smallest first. A priority queue works at the back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Container {
    discipline: Discipline,
    items: VecDeque<u64>,
}

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Where a queue gives its values back.
    Front,
    /// Where a queue takes its values in, and a stack does everything.
    Back,
}

/// What is asked of a container. Items are numbers above zero; null may be inserted, too, and is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Takes an item in.
    Insert(End, u64),
    /// Gives an item back; zero if there is none.
    Remove(End),
    /// Says what would be given back.
    Peek(End),
}

impl Container {
    /// A container that holds `items`, the front first.
    #[must_use]
    pub fn new(discipline: Discipline, items: impl IntoIterator<Item = u64>) -> Self {
        let mut items: VecDeque<u64> = items.into_iter().collect();
        if discipline == Discipline::PriorityQueue {
            items.make_contiguous().sort_unstable();
        }
        Self { discipline, items }
    }

    /// In what order values come back.
    #[must_use]
    pub const fn discipline(&self) -> Discipline {
        self.discipline
    }

    /// The items, the front first; of a priority queue the smallest first.
    pub fn items(&self) -> impl DoubleEndedIterator<Item = u64> {
        self.items.iter().copied()
    }
}

impl Model for Container {
    type Operation = Operation;
    type Response = u64;

    fn apply(&mut self, operation: &Operation) -> u64 {
        match *operation {
            Operation::Insert(_, item) if self.discipline == Discipline::PriorityQueue => {
                let place = self.items.partition_point(|&other| other < item);
                self.items.insert(place, item);
                0
            }
            Operation::Insert(End::Front, item) => {
                self.items.push_front(item);
                0
            }
            Operation::Insert(End::Back, item) => {
                self.items.push_back(item);
                0
            }
            Operation::Remove(End::Front) => self.items.pop_front().unwrap_or(0),
            Operation::Remove(End::Back) => self.items.pop_back().unwrap_or(0),
            Operation::Peek(End::Front) => self.items.front().copied().unwrap_or(0),
            Operation::Peek(End::Back) => self.items.back().copied().unwrap_or(0),
        }
    }

    fn observes_only(operation: &Operation) -> bool {
        matches!(operation, Operation::Peek(_))
    }

    fn heap_bytes(&self) -> usize {
        self.items.capacity() * size_of::<u64>()
    }
}

impl Datatype for Container {
    fn start(context: &Context<'_>, init: &Atom) -> Result<Self, String> {
        let items = match init {
            Atom::Null => Vec::new(),
            Atom::Text(text) if text.is_empty() => Vec::new(),
            Atom::List(items) => {
                items.iter().map(|item| context.item(context.value_of(&Atom::Text(item.clone())))).collect()
            }
            _ => {
                return Err(format!("expected a list of values, such as [] or [\"1\", \"2\"]: found {init}"));
            }
        };
        Ok(Self::new(discipline_of(context), items))
    }

    fn call(context: &Context<'_>, entry: &Entry) -> Result<(Operation, u64), Wrong> {
        let operation = operation(context, entry)?;
        if matches!(operation, Operation::Insert(..)) {
            context.nothing(entry)?;
            return Ok((operation, 0));
        }
        Ok((operation, context.item(entry.result)))
    }

    fn say(context: &Context<'_>, response: &u64) -> String {
        context.say_item(*response)
    }

    fn say_state(&self, context: &Context<'_>, _partition: u64) -> String {
        const MOST: usize = 12;
        let count = self.items.len();
        let say = |items: Vec<u64>| {
            items.into_iter().map(|item| context.say_item(item)).collect::<Vec<_>>().join(", ")
        };
        let more = if count > MOST { format!("{} more", count - MOST) } else { String::new() };
        // Of a long one, the end that matters.
        match self.discipline {
            _ if count <= MOST => format!("[{}]", say(self.items.iter().copied().collect())),
            Discipline::Queue => {
                format!("[{}, {more}]", say(self.items.iter().copied().take(MOST).collect()))
            }
            _ => format!("[{more}, {}]", say(self.items.iter().copied().skip(count - MOST).collect())),
        }
    }

    fn as_container<'a>(
        &'a self,
        calls: &'a [Call<Operation, Value>],
    ) -> Option<(&'a Container, &'a [Call<Operation, Value>])> {
        Some((self, calls))
    }
}

fn discipline_of(context: &Context<'_>) -> Discipline {
    use super::ModelName;
    match context.model {
        ModelName::Stack => Discipline::Stack,
        ModelName::Deque => Discipline::Deque,
        ModelName::Pqueue => Discipline::PriorityQueue,
        _ => Discipline::Queue,
    }
}

fn operation(context: &Context<'_>, entry: &Entry) -> Result<Operation, Wrong> {
    let discipline = discipline_of(context);
    let item = context.item(entry.value);
    Ok(match (discipline, entry.kind) {
        (Discipline::Queue, Kind::Enq) => Operation::Insert(End::Back, item),
        (Discipline::Queue, Kind::Deq) => Operation::Remove(End::Front),
        (Discipline::Queue, Kind::Peek) => Operation::Peek(End::Front),
        (Discipline::Stack, Kind::Push) => Operation::Insert(End::Back, item),
        (Discipline::Stack, Kind::Pop) => Operation::Remove(End::Back),
        (Discipline::Stack, Kind::Peek) => Operation::Peek(End::Back),
        (Discipline::Deque, Kind::PushFront) => Operation::Insert(End::Front, item),
        (Discipline::Deque, Kind::PushBack) => Operation::Insert(End::Back, item),
        (Discipline::Deque, Kind::PopFront) => Operation::Remove(End::Front),
        (Discipline::Deque, Kind::PopBack) => Operation::Remove(End::Back),
        (Discipline::Deque, Kind::PeekFront) => Operation::Peek(End::Front),
        (Discipline::Deque, Kind::PeekBack) => Operation::Peek(End::Back),
        (Discipline::PriorityQueue, Kind::Insert) => Operation::Insert(End::Back, item),
        (Discipline::PriorityQueue, Kind::Poll) => Operation::Remove(End::Back),
        (Discipline::PriorityQueue, Kind::Peek) => Operation::Peek(End::Back),
        (Discipline::Queue, _) => return Err(context.no_such_operation(entry, "enq, deq or peek")),
        (Discipline::Stack, _) => return Err(context.no_such_operation(entry, "push, pop or peek")),
        (Discipline::Deque, _) => {
            return Err(context.no_such_operation(entry, "push, pop or peek, each with _front or _back"));
        }
        (Discipline::PriorityQueue, _) => {
            return Err(context.no_such_operation(entry, "insert, poll or peek"));
        }
    })
}
