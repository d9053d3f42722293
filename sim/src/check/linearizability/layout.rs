//! The operations of one partition, laid out in time for the search.

use std::collections::BTreeSet;
use std::ops::Range;

use rustc_hash::FxHashMap;

use super::Call;
use super::bit_set::BitSet;
use crate::workload::Model;

/// The operations of one partition, laid out in time.
pub(super) struct Layout<'h, M: Model> {
    pub(super) partition: u64,
    /// Operations that returned, in the order of their calls.
    pub(super) completed: Vec<Completed>,
    /// Operations of unknown outcome, in the order of their calls. One that only observes says nothing and
    /// is left out.
    pub(super) unknown: Vec<Unknown>,
    /// The equal operations of unknown outcome, in the order of their first calls.
    pub(super) families: Vec<Family>,
    /// The returns in time order: the moments at which something may have to be decided.
    pub(super) returns: Vec<Return>,
    /// What was asked and answered; equal operations with equal responses are the same.
    pub(super) symbols: Vec<Symbol<'h, M>>,
    /// The completed operations open at each return, the next to return first; see [`Return::open`].
    open: Vec<u32>,
    /// For each completed operation, the first return among it and those called later that overwrite; one
    /// more at the end. The number of returns stands for none.
    first_overwritten: Vec<u32>,
    /// How many bits tell the open completed operations apart.
    slots: u32,
}

/// What may be taken for granted of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Never changes the state.
    Observer,
    /// Leads to the same state from everywhere.
    Overwriter,
    /// Anything else.
    Update,
}

pub(super) struct Completed {
    /// Index in the history.
    pub(super) index: u32,
    pub(super) symbol: u32,
    /// The bit that stands for the operation while it is open.
    pub(super) slot: u32,
    /// Its return, as an index into [`Layout::returns`].
    pub(super) returned: u32,
    pub(super) role: Role,
}

pub(super) struct Unknown {
    /// Index in the history.
    pub(super) index: u32,
    pub(super) family: u32,
}

pub(super) struct Family {
    pub(super) symbol: u32,
    pub(super) role: Role,
    /// Its operations, in the order of their calls.
    pub(super) members: Vec<u32>,
}

pub(super) struct Return {
    /// The completed operation that returns.
    pub(super) completed: u32,
    /// How many completed operations have been called by then.
    pub(super) called: u32,
    /// How many operations of unknown outcome have been called by then.
    pub(super) unknown: u32,
    /// Its neighbours and itself in [`Layout::open`].
    open: Range<usize>,
}

pub(super) struct Symbol<'h, M: Model> {
    pub(super) operation: &'h M::Operation,
    /// `None` where the outcome is unknown: any response is right.
    pub(super) response: Option<&'h M::Response>,
    pub(super) role: Role,
}

/// The two ends of an operation. At equal times calls come first: intervals are closed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Call,
    Return,
}

type Symbols<'h, M> = FxHashMap<(&'h <M as Model>::Operation, Option<&'h <M as Model>::Response>), u32>;

impl<'h, M: Model> Layout<'h, M> {
    /// Lays out those operations of a history that are `members` of the partition.
    pub(super) fn new(
        partition: u64,
        history: &'h [Call<M::Operation, M::Response>],
        members: &[u32],
    ) -> Self {
        let mut layout = Self {
            partition,
            completed: Vec::with_capacity(members.len()),
            unknown: Vec::new(),
            families: Vec::new(),
            returns: Vec::with_capacity(members.len()),
            symbols: Vec::new(),
            open: Vec::new(),
            first_overwritten: Vec::new(),
            slots: 0,
        };
        layout.add_all(history, members);
        layout.first_overwritten = layout.find_overwritten();
        layout
    }

    fn add_all(&mut self, history: &'h [Call<M::Operation, M::Response>], members: &[u32]) {
        let mut symbols = Symbols::<M>::default();
        let mut family_of = FxHashMap::default();
        let mut free_slots = Vec::new();
        // Ordered by return, then index, exactly as the returns themselves are met below.
        let mut open: BTreeSet<(u64, u32, u32)> = BTreeSet::new();
        for (_, end, index) in ends_in_time_order(history, members) {
            let Call { operation, returned, .. } = &history[index as usize];
            match (end, returned) {
                (End::Call, None) if M::observes_only(operation) => {}
                (End::Call, None) => {
                    let symbol = self.symbol(&mut symbols, operation, None);
                    self.add_unknown(index, symbol, &mut family_of);
                }
                (End::Call, Some((returned, response))) => {
                    let symbol = self.symbol(&mut symbols, operation, Some(response));
                    let slot = free_slots.pop().unwrap_or_else(|| self.add_slot());
                    open.insert((*returned, index, self.add_completed(index, symbol, slot)));
                }
                (End::Return, Some((_, response))) => match open.first() {
                    Some(&(_, first, completed)) if first == index => {
                        self.add_return(completed, &open);
                        free_slots.push(self.completed[completed as usize].slot);
                        open.pop_first();
                    }
                    _ => {
                        // It returns before its call: never open, so nothing gets past this return.
                        let symbol = self.symbol(&mut symbols, operation, Some(response));
                        let slot = self.add_slot();
                        let completed = self.add_completed(index, symbol, slot);
                        self.add_return(completed, &open);
                        break;
                    }
                },
                (End::Return, None) => unreachable!("only operations that returned have a return"),
            }
        }
    }

    fn symbol(
        &mut self,
        symbols: &mut Symbols<'h, M>,
        operation: &'h M::Operation,
        response: Option<&'h M::Response>,
    ) -> u32 {
        *symbols.entry((operation, response)).or_insert_with(|| {
            let role = match operation {
                _ if M::observes_only(operation) => Role::Observer,
                _ if M::overwrites(operation) => Role::Overwriter,
                _ => Role::Update,
            };
            self.symbols.push(Symbol { operation, response, role });
            number(self.symbols.len() - 1)
        })
    }

    fn add_slot(&mut self) -> u32 {
        self.slots += 1;
        self.slots - 1
    }

    fn add_completed(&mut self, index: u32, symbol: u32, slot: u32) -> u32 {
        let role = self.symbols[symbol as usize].role;
        self.completed.push(Completed { index, symbol, slot, returned: u32::MAX, role });
        number(self.completed.len() - 1)
    }

    fn add_unknown(&mut self, index: u32, symbol: u32, family_of: &mut FxHashMap<u32, u32>) {
        let family = *family_of.entry(symbol).or_insert(number(self.families.len()));
        if family as usize == self.families.len() {
            let role = self.symbols[symbol as usize].role;
            self.families.push(Family { symbol, role, members: Vec::new() });
        }
        self.families[family as usize].members.push(number(self.unknown.len()));
        self.unknown.push(Unknown { index, family });
    }

    fn add_return(&mut self, completed: u32, open: &BTreeSet<(u64, u32, u32)>) {
        let start = self.open.len();
        self.open.extend(open.iter().map(|&(_, _, completed)| completed));
        self.completed[completed as usize].returned = number(self.returns.len());
        self.returns.push(Return {
            completed,
            called: number(self.completed.len()),
            unknown: number(self.unknown.len()),
            open: start..self.open.len(),
        });
    }

    fn find_overwritten(&self) -> Vec<u32> {
        let mut first = number(self.returns.len());
        let mut found = vec![first; self.completed.len() + 1];
        for (id, completed) in self.completed.iter().enumerate().rev() {
            if completed.role == Role::Overwriter {
                first = first.min(completed.returned);
            }
            found[id] = first;
        }
        found
    }

    /// True if some operation leads to the same state from everywhere.
    pub(super) fn has_overwriters(&self) -> bool {
        (self.first_overwritten[0] as usize) < self.returns.len()
    }

    /// The first return among operations called from `id` on that overwrite.
    pub(super) fn first_overwritten(&self, id: u32) -> u32 {
        self.first_overwritten[id as usize]
    }

    /// How many completed operations and how many of unknown outcome have been called by a return, or at all.
    pub(super) fn called_by(&self, at: u32) -> (u32, u32) {
        match self.returns.get(at as usize) {
            Some(at) => (at.called, at.unknown),
            None => (number(self.completed.len()), number(self.unknown.len())),
        }
    }

    /// How many bits the sets of open operations need.
    pub(super) fn width(&self) -> u32 {
        self.slots
    }

    /// The completed operations open at a return that are not in `taken`, the next to return first.
    pub(super) fn untaken<'a, S: BitSet>(
        &'a self,
        at: u32,
        taken: &'a S,
    ) -> impl DoubleEndedIterator<Item = (u32, &'a Completed)> {
        self.open[self.returns[at as usize].open.clone()]
            .iter()
            .map(|&id| (id, &self.completed[id as usize]))
            .filter(|(_, completed)| !taken.contains(completed.slot))
    }

    /// About how many bytes the layout takes.
    pub(super) fn bytes(&self) -> usize {
        self.completed.capacity() * (size_of::<Completed>() + size_of::<u32>())
            + self.unknown.capacity() * (size_of::<Unknown>() + size_of::<u32>())
            + self.families.capacity() * size_of::<Family>()
            + self.returns.capacity() * size_of::<Return>()
            + self.symbols.capacity() * size_of::<Symbol<'h, M>>()
            + self.open.capacity() * size_of::<u32>()
    }
}

fn ends_in_time_order<O, R>(history: &[Call<O, R>], members: &[u32]) -> Vec<(u64, End, u32)> {
    let mut ends = Vec::with_capacity(2 * members.len());
    for &index in members {
        let Call { called, returned, .. } = &history[index as usize];
        ends.push((*called, End::Call, index));
        if let Some((returned, _)) = returned {
            ends.push((*returned, End::Return, index));
        }
    }
    ends.sort_unstable();
    ends
}

/// Narrows an index; four bytes keep configurations small.
pub(super) fn number(index: usize) -> u32 {
    u32::try_from(index).expect("fewer than 2^32 operations and states")
}
