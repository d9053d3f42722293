//! Virtual time: events in the order in which they happen.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Bits of a key that hold the event's slot; 16 million events can be queued at a time.
const SLOT_BITS: u32 = 24;
/// Bits of a key that hold the order of insertion: enough for 10^12 events.
const SEQUENCE_BITS: u32 = 40;

/// A queue of events, by time and, at the same time, in the order in which they were put in.
///
/// The heap holds keys of two words (time, sequence, slot); the events themselves stay where they are
/// until they are taken out.
#[derive(Clone, Debug)]
pub struct EventQueue<E> {
    heap: BinaryHeap<Reverse<u128>>,
    slots: Vec<Option<E>>,
    free: Vec<u32>,
    sequence: u64,
}

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), sequence: 0 }
    }
}

impl<E> EventQueue<E> {
    /// Puts `event` at `at`, in nanoseconds of virtual time.
    ///
    /// # Panics
    /// If more events are queued than slots can be numbered.
    #[inline]
    pub fn push(&mut self, at: u64, event: E) {
        let slot = self.free.pop().unwrap_or_else(|| self.new_slot());
        // It is empty. With an assignment the compiler would prepare for dropping what was in it, and copy the
        // event twice.
        self.slots[slot as usize].get_or_insert(event);
        self.put_in_order(at, slot);
    }

    #[cold]
    fn new_slot(&mut self) -> u32 {
        let slot = self.slots.len() as u32;
        assert!(slot < 1 << SLOT_BITS, "more than 2^{SLOT_BITS} events are queued");
        self.slots.push(None);
        slot
    }

    fn put_in_order(&mut self, at: u64, slot: u32) {
        self.sequence += 1;
        assert!(self.sequence < 1 << SEQUENCE_BITS, "more events than can be numbered");
        let key = u128::from(at) << 64 | u128::from(self.sequence) << SLOT_BITS | u128::from(slot);
        self.heap.push(Reverse(key));
    }

    /// Takes out the next event and says when it happens.
    pub fn pop(&mut self) -> Option<(u64, E)> {
        let Reverse(key) = self.heap.pop()?;
        let slot = key as u32 & ((1 << SLOT_BITS) - 1);
        self.free.push(slot);
        let event = self.slots[slot as usize].take().expect("a queued key has its event");
        Some(((key >> 64) as u64, event))
    }

    /// When the next event happens.
    #[must_use]
    pub fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(key)| (key >> 64) as u64)
    }

    /// How many events are queued.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing is queued.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_the_order_of_insertion() {
        let mut queue = EventQueue::default();
        for (at, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b')] {
            queue.push(at, event);
        }
        assert_eq!(queue.len(), 4);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [(1, 'a'), (2, 'b'), (5, 'c'), (5, 'd')]);
    }

    #[test]
    fn slots_are_used_again() {
        let mut queue = EventQueue::default();
        for round in 0..1_000 {
            queue.push(round, round);
            assert_eq!(queue.pop(), Some((round, round)));
        }
        assert_eq!(queue.slots.len(), 1);
        assert!(queue.is_empty());
    }
}
