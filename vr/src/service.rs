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

    /// Executes one committed operation.
    fn execute(&mut self, operation: &Self::Operation) -> Self::Response;
}
