//! The log: entries in the order of their op-numbers.
//!
//! A view change, a recovery and a state transfer hand whole logs around. To make that cheap, full
//! chunks of a log are immutable and shared; a clone copies pointers and at most one partial chunk.

use std::sync::Arc;

use crate::message::{Batch, Request};
use crate::service::Prediction;
use crate::types::{OpNumber, View};

/// One position of the log: a request, and the view whose primary put it there.
#[derive(Debug)]
pub struct Entry<O> {
    /// The view in which a primary first gave the request this op-number. Never re-stamped, so it must
    /// not be used to choose between logs (see `Rules::prefers_log`).
    pub view: View,
    /// What a client asked for.
    pub request: Arc<Request<O>>,
    /// What the primary of that view predicted for it, if it needs that.
    pub predicted: Option<Box<Prediction>>,
}

impl<O> Clone for Entry<O> {
    fn clone(&self) -> Self {
        Self { view: self.view, request: Arc::clone(&self.request), predicted: self.predicted.clone() }
    }
}

const CHUNK: usize = 128;

/// The entries `start + 1..=last` of a replica's log. What comes before is in a checkpoint, or was not
/// sent along.
#[derive(Debug)]
pub struct Log<O> {
    /// The op-number before the first entry.
    start: OpNumber,
    /// The op-number before the first place in `sealed`: at most `start`, and less than a chunk before it.
    base: OpNumber,
    /// The op-number of the last entry: asked for so often that it is not computed each time.
    last: OpNumber,
    sealed: Vec<Arc<[Entry<O>]>>,
    open: Vec<Entry<O>>,
}

impl<O> Clone for Log<O> {
    fn clone(&self) -> Self {
        let &Self { start, base, last, ref sealed, ref open } = self;
        Self { start, base, last, sealed: sealed.clone(), open: open.clone() }
    }
}

impl<O> Default for Log<O> {
    fn default() -> Self {
        Self::after(OpNumber::ZERO)
    }
}

impl<O> Log<O> {
    /// An empty log whose first entry will come after `start`.
    #[must_use]
    pub const fn after(start: OpNumber) -> Self {
        Self { start, base: start, last: start, sealed: Vec::new(), open: Vec::new() }
    }

    /// The op-number before the first entry: zero while nothing was dropped in front.
    #[inline]
    #[must_use]
    pub const fn start(&self) -> OpNumber {
        self.start
    }

    /// The op-number of the last entry; that before the first one if there is none.
    #[inline]
    #[must_use]
    pub const fn last(&self) -> OpNumber {
        self.last
    }

    /// How many entries there are.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.last.0 - self.start.0
    }

    /// The entry at `op_number`, if the log has one.
    #[inline]
    #[must_use]
    pub fn get(&self, op_number: OpNumber) -> Option<&Entry<O>> {
        if op_number <= self.start || op_number > self.last {
            return None;
        }
        let index = (op_number.0 - self.base.0 - 1) as usize;
        match self.sealed.get(index / CHUNK) {
            Some(chunk) => Some(&chunk[index % CHUNK]),
            None => self.open.get(index - self.sealed.len() * CHUNK),
        }
    }

    /// The last entry, if there is one.
    #[inline]
    #[must_use]
    pub fn last_entry(&self) -> Option<&Entry<O>> {
        self.get(self.last())
    }

    /// The view in which the last entry was created; view 0 for an empty log.
    #[must_use]
    pub fn last_entry_view(&self) -> View {
        self.get(self.last()).map_or(View::ZERO, |entry| entry.view)
    }

    /// Puts an entry after the last one and returns its op-number.
    #[inline]
    pub fn append(&mut self, entry: Entry<O>) -> OpNumber {
        if self.open.len() == self.open.capacity() {
            self.make_room();
        }
        self.open.push(entry);
        if self.open.len() == CHUNK {
            self.seal();
        }
        self.last = self.last.next();
        self.last
    }

    /// Once, not step by step.
    #[cold]
    fn make_room(&mut self) {
        self.open.reserve_exact(CHUNK - self.open.len());
    }

    #[cold]
    fn seal(&mut self) {
        self.sealed.push(self.open.drain(..).collect());
    }

    /// Drops every entry after `last_kept`.
    ///
    /// # Panics
    /// If the log ends before `last_kept`, or begins after it.
    pub fn truncate(&mut self, last_kept: OpNumber) {
        assert!(last_kept <= self.last(), "truncate to {last_kept}, but the log ends at {}", self.last());
        assert!(last_kept >= self.start, "truncate to {last_kept}, but the log begins after {}", self.start);
        self.last = last_kept;
        let kept = (last_kept.0 - self.base.0) as usize;
        if kept / CHUNK < self.sealed.len() {
            self.open.clear();
            self.open.extend_from_slice(&self.sealed[kept / CHUNK][..kept % CHUNK]);
            self.sealed.truncate(kept / CHUNK);
        } else {
            self.open.truncate(kept % CHUNK);
        }
    }

    /// Drops every entry up to `through`.
    ///
    /// # Panics
    /// If the log ends before `through`.
    pub fn compact(&mut self, through: OpNumber) {
        assert!(through <= self.last(), "compact to {through}, but the log ends at {}", self.last());
        if through <= self.start {
            return;
        }
        let chunks = self.chunks_before(through);
        self.sealed.drain(..chunks);
        self.base.0 += (chunks * CHUNK) as u64;
        self.start = through;
    }

    /// How many sealed chunks hold nothing that comes after `start`.
    fn chunks_before(&self, start: OpNumber) -> usize {
        ((start.0 - self.base.0) as usize / CHUNK).min(self.sealed.len())
    }

    /// The end of the log, with the entries after `after` if it reaches back so far.
    #[must_use]
    pub fn suffix(&self, after: OpNumber) -> Self {
        let start = after.clamp(self.start, self.last);
        let chunks = self.chunks_before(start);
        let base = OpNumber(self.base.0 + (chunks * CHUNK) as u64);
        Self { start, base, last: self.last, sealed: self.sealed[chunks..].to_vec(), open: self.open.clone() }
    }

    /// The entries after `after`, in order.
    ///
    /// # Panics
    /// If the log begins after `after`.
    pub fn entries_after(&self, after: OpNumber) -> impl Iterator<Item = (OpNumber, &Entry<O>)> {
        assert!(after >= self.start, "entries after {after}, but the log begins after {}", self.start);
        let skipped = (after.0 - self.base.0) as usize;
        let numbers = (after.0 + 1..=self.last.0).map(OpNumber);
        // Chunk by chunk, which costs less than to look each entry up.
        let sealed = self.sealed.get(skipped / CHUNK..).unwrap_or_default();
        let entries = sealed.iter().flat_map(|chunk| chunk.iter()).chain(&self.open);
        numbers.zip(entries.skip(skipped % CHUNK))
    }

    /// So many entries after `after`, to be sent.
    ///
    /// # Panics
    /// If the log begins after `after`, or does not hold so many.
    pub(crate) fn batch_after(&self, after: OpNumber, count: usize) -> Batch<O> {
        let mut entries = self.entries_after(after).take(count).map(|(_, entry)| entry.clone());
        if count == 1 {
            return Batch::One(entries.next().expect("as many as there are to be"));
        }
        let entries: Vec<_> = entries.collect();
        assert_eq!(entries.len(), count, "as many as there are to be");
        entries.into()
    }

    /// The last op-number up to which this log and `other` hold the same entries, given that they agree
    /// up to `known`. A view's primary gives an op-number to one request only, so entries that were
    /// created in the same view at the same position are the same entry.
    ///
    /// # Panics
    /// If one of the logs begins after `known`.
    #[must_use]
    pub fn common_prefix(&self, other: &Self, known: OpNumber) -> OpNumber {
        assert!(known >= self.start.max(other.start), "logs that agree up to {known}, and begin after it");
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
        Entry { view: View(view), request: Arc::new(request), predicted: None }
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
    fn what_comes_after_any_position_is_walked_and_sent_as_it_is_held() {
        for (length, through) in [(300, 0), (300, 5), (300, 128), (300, 200), (256, 129), (127, 3)] {
            let mut log = filled(length);
            log.compact(OpNumber(through));
            for after in through..=length + 1 {
                let held: Vec<u64> =
                    log.entries_after(OpNumber(after)).map(|(op_number, _)| op_number.0).collect();
                assert_eq!(held, (after + 1..=length).collect::<Vec<_>>());
                let is_own =
                    |(op_number, entry): (OpNumber, &Entry<u64>)| entry.request.address.0 == op_number.0;
                assert!(log.entries_after(OpNumber(after)).all(is_own));
                for count in [1, 2, 130].into_iter().filter(|count| after + count <= length) {
                    let batch = log.batch_after(OpNumber(after), count as usize);
                    let sent: Vec<u64> =
                        batch.entries().iter().map(|entry| entry.request.address.0).collect();
                    assert_eq!(sent, (after + 1..=after + count).collect::<Vec<_>>());
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "the log begins after 9")]
    fn what_was_dropped_is_not_walked() {
        let mut log = filled(20);
        log.compact(OpNumber(9));
        _ = log.entries_after(OpNumber(8));
    }

    #[test]
    fn what_was_dropped_in_front_changes_no_position() {
        for length in [1, 127, 128, 129, 300] {
            for through in [0, 1, 126, 127, 128, 129, 255, 256, 299].into_iter().filter(|&at| at <= length) {
                let whole = filled(length);
                let mut log = whole.clone();
                log.compact(OpNumber(through / 2));
                log.compact(OpNumber(through));
                assert_eq!((log.start(), log.last()), (OpNumber(through), OpNumber(length)));
                assert_eq!(log.length(), length - through);
                assert!(log.get(OpNumber(through)).is_none());
                let held: Vec<u64> =
                    log.entries_after(log.start()).map(|(_, entry)| entry.request.address.0).collect();
                assert_eq!(held, (through + 1..=length).collect::<Vec<_>>());
                let suffix = whole.suffix(OpNumber(through));
                assert_eq!((suffix.start(), suffix.last()), (log.start(), log.last()));
                log.truncate(log.start());
                assert_eq!(log.append(entry(1, 7)), OpNumber(through + 1));
                assert_eq!(log.get(OpNumber(through + 1)).unwrap().view, View(1));
            }
        }
    }

    #[test]
    fn a_log_may_begin_anywhere() {
        let mut log = Log::after(OpNumber(1_000));
        assert_eq!(log.last(), OpNumber(1_000));
        for number in 1_001..=1_300 {
            assert_eq!(log.append(entry(0, number)), OpNumber(number));
        }
        assert_eq!(log.get(OpNumber(1_200)).unwrap().request.address, ClientAddress(1_200));
        assert_eq!(log.suffix(OpNumber(5)).start(), OpNumber(1_000));
        assert_eq!(log.suffix(OpNumber(2_000)).length(), 0);
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
