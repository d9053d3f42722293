//! The log: entries in the order of their op-numbers.
//!
//! A view change, a recovery and a state transfer hand whole logs around. To make that cheap, full
//! chunks of a log are immutable and shared; a clone copies pointers and at most one partial chunk.

use std::sync::Arc;

use crate::message::Request;
use crate::types::{OpNumber, View};

/// One position of the log: a request, and the view whose primary put it there.
#[derive(Debug)]
pub struct Entry<O> {
    /// The view in which a primary first gave the request this op-number. Never re-stamped, so it must
    /// not be used to choose between logs (see `Rules::prefers_log`).
    pub view: View,
    /// What a client asked for.
    pub request: Arc<Request<O>>,
}

impl<O> Clone for Entry<O> {
    fn clone(&self) -> Self {
        Self { view: self.view, request: Arc::clone(&self.request) }
    }
}

const CHUNK: usize = 128;

/// The entries `1..=last` of a replica's log.
#[derive(Debug)]
pub struct Log<O> {
    sealed: Vec<Arc<[Entry<O>]>>,
    open: Vec<Entry<O>>,
}

impl<O> Clone for Log<O> {
    fn clone(&self) -> Self {
        Self { sealed: self.sealed.clone(), open: self.open.clone() }
    }
}

impl<O> Default for Log<O> {
    fn default() -> Self {
        Self { sealed: Vec::new(), open: Vec::new() }
    }
}

impl<O> Log<O> {
    /// The op-number of the last entry; zero for an empty log.
    #[inline]
    #[must_use]
    pub fn last(&self) -> OpNumber {
        OpNumber((self.sealed.len() * CHUNK + self.open.len()) as u64)
    }

    /// The entry at `op_number`, if the log has one.
    #[inline]
    #[must_use]
    pub fn get(&self, op_number: OpNumber) -> Option<&Entry<O>> {
        let index = usize::try_from(op_number.0.checked_sub(1)?).ok()?;
        match self.sealed.get(index / CHUNK) {
            Some(chunk) => Some(&chunk[index % CHUNK]),
            None => self.open.get(index - self.sealed.len() * CHUNK),
        }
    }

    /// The view in which the last entry was created; view 0 for an empty log.
    #[must_use]
    pub fn last_entry_view(&self) -> View {
        self.get(self.last()).map_or(View::ZERO, |entry| entry.view)
    }

    /// Puts an entry after the last one and returns its op-number.
    pub fn append(&mut self, entry: Entry<O>) -> OpNumber {
        self.open.push(entry);
        if self.open.len() == CHUNK {
            self.sealed.push(self.open.drain(..).collect());
        }
        self.last()
    }

    /// Drops every entry after `last_kept`.
    ///
    /// # Panics
    /// If the log ends before `last_kept`.
    pub fn truncate(&mut self, last_kept: OpNumber) {
        assert!(last_kept <= self.last(), "truncate to {last_kept}, but the log ends at {}", self.last());
        let kept = last_kept.0 as usize;
        if kept / CHUNK < self.sealed.len() {
            self.open.clear();
            self.open.extend_from_slice(&self.sealed[kept / CHUNK][..kept % CHUNK]);
            self.sealed.truncate(kept / CHUNK);
        } else {
            self.open.truncate(kept % CHUNK);
        }
    }

    /// The entries after `after`, in order.
    pub fn entries_after(&self, after: OpNumber) -> impl Iterator<Item = (OpNumber, &Entry<O>)> {
        (after.0 + 1..=self.last().0).map(|number| {
            let op_number = OpNumber(number);
            (op_number, self.get(op_number).expect("within the log"))
        })
    }

    /// The last op-number up to which this log and `other` hold the same entries, given that they agree
    /// up to `known`. A view's primary gives an op-number to one request only, so entries that were
    /// created in the same view at the same position are the same entry.
    #[must_use]
    pub fn common_prefix(&self, other: &Self, known: OpNumber) -> OpNumber {
        let mut common = known;
        let end = self.last().min(other.last());
        while common < end
            && self.get(common.next()).map(|e| e.view) == other.get(common.next()).map(|e| e.view)
        {
            common = common.next();
        }
        assert!(common <= end, "logs that agree up to {common} of {end}");
        common
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::RequestBody;
    use crate::types::ClientAddress;

    fn entry(view: u64, address: u64) -> Entry<u64> {
        let request = Request { address: ClientAddress(address), body: RequestBody::Register };
        Entry { view: View(view), request: Arc::new(request) }
    }

    fn filled(length: u64) -> Log<u64> {
        let mut log = Log::default();
        for number in 1..=length {
            assert_eq!(log.append(entry(0, number)), OpNumber(number));
        }
        log
    }

    fn addresses(log: &Log<u64>) -> Vec<u64> {
        log.entries_after(OpNumber::ZERO).map(|(_, entry)| entry.request.address.0).collect()
    }

    #[test]
    fn behaves_like_a_vector_over_chunk_borders() {
        for length in [0, 1, 127, 128, 129, 256, 300] {
            for kept in [0, 1, 126, 127, 128, 129, 255, 256, 299] {
                if kept > length {
                    continue;
                }
                let mut log = filled(length);
                let shared = log.clone();
                log.truncate(OpNumber(kept));
                assert_eq!(log.last(), OpNumber(kept));
                log.append(entry(1, 1_000));
                let expected: Vec<u64> = (1..=kept).chain([1_000]).collect();
                assert_eq!(addresses(&log), expected);
                assert_eq!(addresses(&shared), (1..=length).collect::<Vec<_>>(), "a clone is not touched");
            }
        }
    }

    #[test]
    fn positions_outside_the_log_hold_nothing() {
        let log = filled(130);
        assert!(log.get(OpNumber::ZERO).is_none());
        assert!(log.get(OpNumber(131)).is_none());
        assert_eq!(log.get(OpNumber(130)).unwrap().request.address, ClientAddress(130));
    }

    #[test]
    fn the_common_prefix_ends_where_the_views_of_creation_part() {
        let mut left = filled(200);
        let mut right = left.clone();
        left.append(entry(1, 5));
        right.append(entry(2, 5));
        assert_eq!(left.common_prefix(&right, OpNumber::ZERO), OpNumber(200));
        assert_eq!(left.common_prefix(&filled(7), OpNumber(3)), OpNumber(7));
    }
}
