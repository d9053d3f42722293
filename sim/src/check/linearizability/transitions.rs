//! The states of a service, each with a number, and what operations make of them.

use std::hash::{Hash, Hasher};

use hashbrown::HashTable;
use rustc_hash::FxHasher;

use super::layout::{Layout, Role, number};
use crate::workload::Model;

/// The state every exploration starts from.
pub(super) const INITIAL: u32 = 0;

/// Any state of which nobody can learn anything before it is overwritten. All that can happen in it is
/// that an operation overwrites it.
pub(super) const OVERWRITTEN: u32 = u32::MAX;

/// The operation gives another answer in this state.
const REFUSED: u32 = u32::MAX - 1;

/// The most answers remembered. They are found again by applying the operation again.
const REMEMBERED: usize = 1 << 15;

/// The states met so far, each with a number, and what the operations make of them.
pub(super) struct Transitions<M> {
    states: Vec<M>,
    numbers: HashTable<u32>,
    /// The latest answers; what hashes to the same place replaces what was there.
    answers: Vec<Answer>,
    /// What the states own besides their own size.
    heap_bytes: usize,
}

#[derive(Clone, Copy)]
struct Answer {
    state: u32,
    symbol: u32,
    next: u32,
}

impl<M: Model> Transitions<M> {
    pub(super) fn new(initial: &M, layout: &Layout<'_, M>) -> Self {
        let places = (4 * layout.completed.len()).next_power_of_two().clamp(16, REMEMBERED);
        let nothing = Answer { state: u32::MAX, symbol: u32::MAX, next: REFUSED };
        let mut transitions = Self {
            states: Vec::new(),
            numbers: HashTable::new(),
            answers: vec![nothing; places],
            heap_bytes: 0,
        };
        transitions.intern(initial.clone());
        transitions
    }

    /// The state after an operation, or `None` if it would answer something else.
    pub(super) fn step(&mut self, layout: &Layout<'_, M>, state: u32, symbol: u32) -> Option<u32> {
        if state == OVERWRITTEN {
            return self.step_from_anywhere(layout, symbol);
        }
        let place = place(state, symbol) & (self.answers.len() - 1);
        let answer = &self.answers[place];
        let next = if answer.state == state && answer.symbol == symbol {
            answer.next
        } else {
            let next = self.apply(layout, state, symbol);
            self.answers[place] = Answer { state, symbol, next };
            next
        };
        (next != REFUSED).then_some(next)
    }

    fn step_from_anywhere(&mut self, layout: &Layout<'_, M>, symbol: u32) -> Option<u32> {
        match layout.symbols[symbol as usize] {
            ref known if known.role == Role::Overwriter => self.step(layout, INITIAL, symbol),
            // It may take effect, but changes nothing.
            ref known if known.response.is_none() => Some(OVERWRITTEN),
            _ => None,
        }
    }

    fn apply(&mut self, layout: &Layout<'_, M>, state: u32, symbol: u32) -> u32 {
        let symbol = &layout.symbols[symbol as usize];
        let before = &self.states[state as usize];
        let mut after = before.clone();
        let answer = after.apply(symbol.operation);
        if symbol.response.is_some_and(|response| *response != answer) {
            return REFUSED;
        }
        if after == *before {
            return state;
        }
        debug_assert_ne!(symbol.role, Role::Observer, "an observer changed the state");
        self.intern(after)
    }

    fn intern(&mut self, model: M) -> u32 {
        let hash = hash_of(&model);
        let known = self.numbers.find(hash, |&number| self.states[number as usize] == model);
        if let Some(&known) = known {
            return known;
        }
        let new = number(self.states.len());
        assert!(new < REFUSED, "fewer than 2^32 states");
        self.heap_bytes += model.heap_bytes();
        self.states.push(model);
        self.numbers.insert_unique(hash, new, |&number| hash_of(&self.states[number as usize]));
        new
    }

    /// About how many bytes all of it takes.
    pub(super) fn bytes(&self) -> usize {
        self.states.capacity() * size_of::<M>()
            + self.heap_bytes
            + self.numbers.allocation_size()
            + self.answers.len() * size_of::<Answer>()
    }
}

fn place(state: u32, symbol: u32) -> usize {
    let both = u64::from(state) << 32 | u64::from(symbol);
    (both.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize
}

/// A hash that is the same on every machine.
pub(super) fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}
