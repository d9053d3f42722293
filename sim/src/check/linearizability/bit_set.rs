//! Sets of small numbers.

use std::hash::Hash;

/// A set of small numbers.
pub(super) trait BitSet: Clone + Default + Eq + Hash {
    fn contains(&self, bit: u32) -> bool;
    fn insert(&mut self, bit: u32);
    /// Removes a number; false if it was not there.
    fn remove(&mut self, bit: u32) -> bool;
    /// How many bytes the set owns besides its own size.
    fn heap_bytes(&self) -> usize;
}

/// Numbers below 64.
impl BitSet for u64 {
    fn contains(&self, bit: u32) -> bool {
        self & (1 << bit) != 0
    }

    fn insert(&mut self, bit: u32) {
        *self |= 1 << bit;
    }

    fn remove(&mut self, bit: u32) -> bool {
        let was_there = self.contains(bit);
        *self &= !(1 << bit);
        was_there
    }

    fn heap_bytes(&self) -> usize {
        0
    }
}

/// Any numbers, 64 to a word. The last word is never empty, so equal sets are equal vectors.
impl BitSet for Vec<u64> {
    fn contains(&self, bit: u32) -> bool {
        let word = self.get((bit / u64::BITS) as usize);
        word.is_some_and(|word| word.contains(bit % u64::BITS))
    }

    fn insert(&mut self, bit: u32) {
        let word = (bit / u64::BITS) as usize;
        if self.len() <= word {
            self.resize(word + 1, 0);
        }
        self[word].insert(bit % u64::BITS);
    }

    fn remove(&mut self, bit: u32) -> bool {
        let word = self.get_mut((bit / u64::BITS) as usize);
        let was_there = word.is_some_and(|word| word.remove(bit % u64::BITS));
        while self.last() == Some(&0) {
            self.pop();
        }
        was_there
    }

    fn heap_bytes(&self) -> usize {
        self.capacity() * size_of::<u64>()
    }
}
