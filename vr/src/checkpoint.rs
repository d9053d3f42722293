//! Checkpoints: what executing the log up to some op-number has made of the service and the client table
//! (paper, section 5.1).

use std::fmt;
use std::sync::Arc;

use crate::client_table::Session;
use crate::service::Service;
use crate::types::{OpNumber, View};

/// The state after one op-number. Immutable and shared; the same, piece by piece, at every replica that has
/// executed that operation.
pub struct Checkpoint<S: Service> {
    op_number: OpNumber,
    sessions: Arc<[Session<S::Response>]>,
    parts: Arc<[S::SnapshotPart]>,
}

/// One piece of a checkpoint.
pub enum Content<S: Service> {
    /// The client table. Always the first piece: without it, requests would be executed twice.
    Sessions(Arc<[Session<S::Response>]>),
    /// A piece of the service's state.
    Service(S::SnapshotPart),
}

impl<S: Service> Checkpoint<S> {
    /// The state of `service` and `sessions` after `op_number`.
    pub(crate) fn take(op_number: OpNumber, sessions: Arc<[Session<S::Response>]>, service: &S) -> Self {
        Self { op_number, sessions, parts: service.snapshot().into() }
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
        1 + self.parts.len()
    }

    /// The piece `part`, counted from 0.
    pub(crate) fn part(&self, part: usize) -> Option<Content<S>> {
        match part.checked_sub(1) {
            None => Some(Content::Sessions(Arc::clone(&self.sessions))),
            Some(index) => self.parts.get(index).cloned().map(Content::Service),
        }
    }
}

/// A checkpoint of which the pieces are arriving.
pub(crate) struct Arriving<S: Service> {
    op_number: OpNumber,
    /// The first view whose log is known to begin with it.
    view: View,
    parts: Box<[Option<Content<S>>]>,
}

impl<S: Service> Arriving<S> {
    pub(crate) fn new(op_number: OpNumber, view: View, parts: usize) -> Self {
        Self { op_number, view, parts: (0..parts).map(|_| None).collect() }
    }

    pub(crate) const fn op_number(&self) -> OpNumber {
        self.op_number
    }

    pub(crate) const fn view(&self) -> View {
        self.view
    }

    /// The first piece that has not arrived.
    pub(crate) fn missing(&self) -> Option<usize> {
        self.parts.iter().position(Option::is_none)
    }

    pub(crate) fn put(&mut self, part: usize, content: Content<S>) {
        if let Some(place) = self.parts.get_mut(part) {
            *place = Some(content);
        }
    }

    /// The whole checkpoint.
    ///
    /// # Panics
    /// If a piece is missing.
    pub(crate) fn complete(self) -> Checkpoint<S> {
        let mut sessions = None;
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in self.parts {
            match part.expect("every piece has arrived") {
                Content::Sessions(all) => sessions = Some(all),
                Content::Service(part) => parts.push(part),
            }
        }
        let sessions = sessions.expect("a checkpoint's first piece is its client table");
        Checkpoint { op_number: self.op_number, sessions, parts: parts.into() }
    }
}

// Derived, these would ask the service itself to be cloned and shown, which need not be possible.

impl<S: Service> Clone for Content<S> {
    fn clone(&self) -> Self {
        match self {
            Self::Sessions(sessions) => Self::Sessions(Arc::clone(sessions)),
            Self::Service(part) => Self::Service(part.clone()),
        }
    }
}

impl<S: Service> Clone for Arriving<S> {
    fn clone(&self) -> Self {
        Self { op_number: self.op_number, view: self.view, parts: self.parts.clone() }
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
            Self::Sessions(sessions) => write!(formatter, "{} sessions", sessions.len()),
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
