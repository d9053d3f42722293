//! The contract with the replicated application.

use std::fmt::Debug;

/// A deterministic state machine that the group replicates.
///
/// Every replica executes the same operations in the same order, each exactly once; the protocol looks
/// into neither operations nor responses. Whatever an operation answers must follow from the state and
/// the operation alone: no clock, no randomness, no identity of the machine.
pub trait Service {
    /// What a client asks for. Cloned once per client request, then shared by all logs.
    type Operation: Clone + Debug;
    /// What the client is told. Kept in the client table until the client's next request.
    type Response: Clone + Debug;
    /// A piece of a snapshot: as much of the state as one message should carry.
    type SnapshotPart: Clone + Debug;

    /// Executes one committed operation.
    fn execute(&mut self, operation: &Self::Operation) -> Self::Response;

    /// What `operation` would answer now, if it is one that never changes anything, whatever the state is.
    /// `None` for all others. Such an operation can be asked as a read, which needs no place in the log.
    fn observe(&self, operation: &Self::Operation) -> Option<Self::Response> {
        let _ = operation;
        None
    }

    /// The whole state, in pieces: a function of the operations executed so far and nothing else, in the same
    /// order at every replica. Called at every checkpoint (see `Options::checkpoint_interval`), so it should
    /// share what it can rather than copy.
    fn snapshot(&self) -> Vec<Self::SnapshotPart>;

    /// Replaces the state, whatever it is, by that of a snapshot: all its pieces, in their order.
    fn restore(&mut self, parts: &[Self::SnapshotPart]);
}
