//! What was committed: the one history that all replicas must agree on.

use rustc_hash::FxHashSet;
use vr::{ClientAddress, ClientId, OpNumber, RequestNumber, View};

/// One committed operation, as it was first executed anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its position.
    pub op_number: OpNumber,
    /// The digest of the log up to here.
    pub chain: u64,
    /// The view in which it was first committed.
    pub view: View,
    /// The view in which its entry was created.
    pub created: View,
    /// Who asked for it.
    pub address: ClientAddress,
    /// The session, and the request's number in it; `None` for a registration.
    pub request: Option<(ClientId, RequestNumber)>,
    /// Whether the service executed it: false for a registration, a duplicate, a request of an evicted
    /// session.
    pub executed: bool,
    /// The digest of what came of it.
    pub outcome: u64,
    /// The digest of the service's state afterwards.
    pub state: u64,
}

/// All committed operations, in order.
#[derive(Clone, Debug, Default)]
pub struct Ghost {
    operations: Vec<Committed>,
    evicted: FxHashSet<ClientId>,
}

impl Ghost {
    /// Whether `op_number` would be the next one to be committed.
    #[inline]
    #[must_use]
    pub fn is_next(&self, op_number: OpNumber) -> bool {
        op_number.0 == self.operations.len() as u64 + 1
    }

    /// The operation at `op_number`, if one is committed there.
    #[inline]
    #[must_use]
    pub fn get(&self, op_number: OpNumber) -> Option<&Committed> {
        self.operations.get(op_number.previous().0 as usize).filter(|_| op_number > OpNumber::ZERO)
    }

    /// The last committed op-number.
    #[inline]
    #[must_use]
    pub fn last(&self) -> OpNumber {
        OpNumber(self.operations.len() as u64)
    }

    /// All committed operations.
    #[must_use]
    pub fn operations(&self) -> &[Committed] {
        &self.operations
    }

    /// Whether the session has made room for another.
    #[must_use]
    pub fn is_evicted(&self, client: ClientId) -> bool {
        self.evicted.contains(&client)
    }

    pub(super) fn evict(&mut self, client: Option<ClientId>) {
        self.evicted.extend(client);
    }

    pub(super) fn commit(&mut self, committed: Committed) {
        self.operations.push(committed);
    }
}
