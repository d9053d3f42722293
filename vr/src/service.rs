//! The contract with the replicated application.

use std::fmt::Debug;

use crate::types::Instant;

/// What a primary has predicted for an operation (paper, section 4): part of the log's entry, and so the same at every
/// replica and in every later view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prediction {
    /// The primary's clock when it gave the operation its place. Clocks of different primaries differ: where time
    /// must not go back from one operation to the next, the service keeps the latest it has seen.
    pub time: Instant,
    /// A number that differs from one prediction to the next. It follows from [`Member::entropy`](crate::Member::entropy),
    /// so it is as hard to guess as that, which is not enough for secrets.
    pub random: u64,
}

/// A deterministic state machine that the group replicates.
///
/// Every replica executes the same operations in the same order, each exactly once; the protocol looks
/// into neither operations nor responses. Whatever an operation answers must follow from the state and
/// the operation alone: no clock, no randomness, no identity of the machine. (Where time or chance is needed, the
/// primary [predicts](Self::needs_prediction) it.)
pub trait Service {
    /// What a client asks for. Cloned once per client request, then shared by all logs.
    type Operation: Clone + Debug;
    /// What the client is told. Kept in the client table until the client's next request.
    type Response: Clone + Debug;
    /// A piece of a snapshot: as much of the state as one message should carry.
    type SnapshotPart: Clone + Debug;

    /// Executes one committed operation.
    fn execute(&mut self, operation: &Self::Operation) -> Self::Response;

    /// Whether executing `operation` takes what no replica can compute alike: the time, or something random.
    /// The primary then predicts both when it gives the operation its place in the log, and every replica
    /// [executes it with that](Self::execute_predicted).
    fn needs_prediction(&self, operation: &Self::Operation) -> bool {
        let _ = operation;
        false
    }

    /// Executes one committed operation that [needs](Self::needs_prediction) a prediction.
    fn execute_predicted(&mut self, operation: &Self::Operation, prediction: Prediction) -> Self::Response {
        let _ = prediction;
        self.execute(operation)
    }

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
