//! Sets of operations of unknown outcome that have taken effect, each with a number.

use hashbrown::HashTable;

use super::layout::number;
use super::transitions::hash_of;

/// The number of the empty set.
pub(super) const NONE_USED: u32 = 0;

/// The sets met so far. A configuration holds a number instead of a set: most sets are empty, and few
/// configurations have one of their own.
pub(super) struct UsedSets {
    /// Each in ascending order.
    sets: Vec<Box<[u32]>>,
    numbers: HashTable<u32>,
    heap_bytes: usize,
}

impl Default for UsedSets {
    fn default() -> Self {
        let mut sets = Self { sets: Vec::new(), numbers: HashTable::new(), heap_bytes: 0 };
        sets.intern(&[]);
        sets
    }
}

impl UsedSets {
    pub(super) fn get(&self, set: u32) -> &[u32] {
        &self.sets[set as usize]
    }

    /// The set with one more operation.
    pub(super) fn with(&mut self, set: u32, operation: u32) -> u32 {
        let mut with = self.get(set).to_vec();
        let place = with.partition_point(|&used| used < operation);
        with.insert(place, operation);
        self.intern(&with)
    }

    /// True if everything in `one` is in `other`.
    pub(super) fn is_subset(&self, one: u32, other: u32) -> bool {
        if one == NONE_USED || one == other {
            return true;
        }
        let mut others = self.get(other).iter();
        self.get(one).len() <= others.len()
            && self.get(one).iter().all(|used| others.any(|other| other == used))
    }

    fn intern(&mut self, set: &[u32]) -> u32 {
        let hash = hash_of(&set);
        if let Some(&known) = self.numbers.find(hash, |&number| *self.sets[number as usize] == *set) {
            return known;
        }
        let new = number(self.sets.len());
        self.heap_bytes += size_of_val(set);
        self.sets.push(set.into());
        self.numbers.insert_unique(hash, new, |&number| hash_of(&&*self.sets[number as usize]));
        new
    }

    /// About how many bytes all of it takes.
    pub(super) fn bytes(&self) -> usize {
        self.sets.capacity() * size_of::<Box<[u32]>>() + self.heap_bytes + self.numbers.allocation_size()
    }
}
