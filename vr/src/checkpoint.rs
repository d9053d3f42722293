//! Checkpoints: what executing the log up to some op-number has made of the service and the client table
//! (paper, section 5.1).

use std::fmt;
use std::sync::Arc;

use crate::client_table::Session;
use crate::epoch::EpochStart;
use crate::service::Service;
use crate::types::{OpNumber, ReplicaId, View};

/// The state after one op-number. Immutable and shared; the same, piece by piece, at every replica that has
/// executed that operation.
pub struct Checkpoint<S: Service> {
    op_number: OpNumber,
    sessions: Arc<[Session<S::Response>]>,
    /// How the epoch started that the log had come to; `None` in the first one.
    epoch: Option<EpochStart>,
    parts: Arc<[S::SnapshotPart]>,
}

/// How many sessions are in a piece of the client table at most: each keeps a response, of whatever size those are.
pub const SESSIONS_PER_PART: usize = 16;

/// One piece of a checkpoint.
pub enum Content<S: Service> {
    /// A piece of the client table, at most [`SESSIONS_PER_PART`] sessions, and how the epoch started that the log had
    /// come to. Those come first, and there is one at least: without them, requests would be executed twice.
    Sessions(Arc<[Session<S::Response>]>, Option<EpochStart>),
    /// A piece of the service's state.
    Service(S::SnapshotPart),
}

impl<S: Service> Checkpoint<S> {
    /// The state of `service`, `sessions` and the configuration after `op_number`.
    pub(crate) fn take(
        op_number: OpNumber,
        sessions: Arc<[Session<S::Response>]>,
        epoch: Option<EpochStart>,
        service: &S,
    ) -> Self {
        Self { op_number, sessions, epoch, parts: service.snapshot().into() }
    }

    /// How the epoch started that the log had come to; `None` in the first one.
    #[must_use]
    pub const fn epoch(&self) -> Option<EpochStart> {
        self.epoch
    }

    /// The op-number after which it was taken.
    #[must_use]
    pub const fn op_number(&self) -> OpNumber {
        self.op_number
    }

    /// The client table.
    #[must_use]
    pub fn sessions(&self) -> &[Session<S::Response>] {
        &self.sessions
    }

    /// The pieces of the service's state, in order.
    #[must_use]
    pub fn service_parts(&self) -> &[S::SnapshotPart] {
        &self.parts
    }

    /// How many pieces there are: the client table and those of the service.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.session_parts() + self.parts.len()
    }

    fn session_parts(&self) -> usize {
        self.sessions.len().div_ceil(SESSIONS_PER_PART).max(1)
    }

    /// The piece `part`, counted from 0.
    pub(crate) fn part(&self, part: usize) -> Option<Content<S>> {
        if let Some(index) = part.checked_sub(self.session_parts()) {
            return self.parts.get(index).cloned().map(Content::Service);
        }
        let sessions = self.sessions.iter().skip(part * SESSIONS_PER_PART).take(SESSIONS_PER_PART);
        Some(Content::Sessions(sessions.cloned().collect(), self.epoch))
    }
}

/// Where a checkpoint comes from that was sent by another replica.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// Who sends it, or did.
    pub(crate) from: ReplicaId,
    /// The first view whose log is known to begin with it.
    pub(crate) view: View,
    /// How often it was asked for more in vain.
    pub(crate) asked: u32,
}

/// A checkpoint of which the pieces are arriving.
pub(crate) struct Arriving<S: Service> {
    op_number: OpNumber,
    origin: Origin,
    parts: Box<[Option<Content<S>>]>,
}

impl<S: Service> Arriving<S> {
    pub(crate) fn new(op_number: OpNumber, origin: Origin, parts: usize) -> Self {
        Self { op_number, origin, parts: (0..parts).map(|_| None).collect() }
    }

    pub(crate) const fn op_number(&self) -> OpNumber {
        self.op_number
    }

    pub(crate) const fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(crate) const fn origin_mut(&mut self) -> &mut Origin {
        &mut self.origin
    }

    /// The first piece that has not arrived.
    pub(crate) fn missing(&self) -> Option<usize> {
        self.parts.iter().position(Option::is_none)
    }

    /// Keeps a piece that `from` has sent; says whether it was missing.
    pub(crate) fn put(&mut self, from: ReplicaId, part: usize, content: Content<S>) -> bool {
        let Some(place) = self.parts.get_mut(part).filter(|place| place.is_none()) else { return false };
        *place = Some(content);
        (self.origin.from, self.origin.asked) = (from, 0);
        true
    }

    /// The whole checkpoint.
    ///
    /// # Panics
    /// If a piece is missing.
    pub(crate) fn complete(self) -> Checkpoint<S> {
        let (mut sessions, mut parts) = (Vec::new(), Vec::with_capacity(self.parts.len()));
        let mut start = None;
        for part in self.parts {
            match part.expect("every piece has arrived") {
                Content::Sessions(some, epoch) => {
                    start = Some(epoch);
                    sessions.extend_from_slice(&some);
                }
                Content::Service(part) => parts.push(part),
            }
        }
        let epoch = start.expect("a checkpoint begins with its client table");
        Checkpoint { op_number: self.op_number, sessions: sessions.into(), epoch, parts: parts.into() }
    }
}

// Derived, these would ask the service itself to be cloned and shown, which need not be possible.

impl<S: Service> Clone for Content<S> {
    fn clone(&self) -> Self {
        match self {
            Self::Sessions(sessions, epoch) => Self::Sessions(Arc::clone(sessions), *epoch),
            Self::Service(part) => Self::Service(part.clone()),
        }
    }
}

impl<S: Service> Clone for Arriving<S> {
    fn clone(&self) -> Self {
        Self { op_number: self.op_number, origin: self.origin, parts: self.parts.clone() }
    }
}

impl<S: Service> fmt::Debug for Checkpoint<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Checkpoint {{ op_number: {}, parts: {} }}", self.op_number, self.parts())
    }
}

impl<S: Service> fmt::Debug for Content<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sessions(sessions, _) => write!(formatter, "{} sessions", sessions.len()),
            Self::Service(part) => part.fmt(formatter),
        }
    }
}

impl<S: Service> fmt::Debug for Arriving<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrived = self.parts.iter().flatten().count();
        write!(formatter, "checkpoint {}: {arrived} of {}", self.op_number, self.parts.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::Counter;
    use crate::types::{ClientAddress, ClientId, RequestNumber};

    /// However many sessions there are, no message holds more of them than fit into a piece.
    #[test]
    fn the_client_table_travels_in_pieces() {
        for (count, pieces) in [(1, 1), (SESSIONS_PER_PART, 1), (SESSIONS_PER_PART + 1, 2), (256, 16)] {
            let session = |number: u64| Session {
                client: ClientId(number),
                address: ClientAddress(number),
                executed: RequestNumber(number),
                last_used: OpNumber(number),
                response: None,
                epoch: None,
            };
            let sessions: Arc<[_]> = (1..=count as u64).map(session).collect();
            let taken = Checkpoint::take(OpNumber(300), Arc::clone(&sessions), None, &Counter::default());
            assert_eq!(taken.parts() - taken.service_parts().len(), pieces);
            let origin = Origin { from: ReplicaId(0), view: View::ZERO, asked: 0 };
            let mut arriving = Arriving::new(OpNumber(300), origin, taken.parts());
            for part in (0..taken.parts()).rev() {
                assert!(arriving.put(ReplicaId(0), part, taken.part(part).expect("there is one")));
            }
            assert!(taken.part(taken.parts()).is_none());
            assert_eq!(arriving.complete().sessions(), &*sessions);
        }
    }
}
