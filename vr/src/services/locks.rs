//! Locks by name, each grant with a fencing token.
//!
//! There is no clock in a replicated state machine, so no lock expires by itself. One whose owner has died is
//! released by whoever comes to that conclusion, with the token that an [inspection](Operation::Inspect)
//! shows. The conclusion may be wrong, and the owner alive after all, merely slow: so whatever the lock
//! protects should be told the token with every access, remember the highest it has seen, and refuse lower
//! ones. Then a former owner can do no harm, however late it wakes.
//!
//! ```
//! use vr::Service;
//! use vr::services::Locks;
//! use vr::services::locks::{Operation, Response, Token};
//!
//! let mut locks = Locks::default();
//! let acquire = |owner| Operation::Acquire { lock: "printer", owner };
//! assert_eq!(locks.execute(&acquire("ann")), Response::Granted { token: Token(1) });
//! assert_eq!(locks.execute(&acquire("bob")), Response::Taken { owner: "ann", token: Token(1) });
//! assert_eq!(locks.execute(&Operation::Release { lock: "printer", token: Token(1) }), Response::Released);
//! assert_eq!(locks.execute(&acquire("bob")), Response::Granted { token: Token(2) });
//! // Ann's release, repeated, does not take the lock from Bob.
//! assert_eq!(locks.execute(&Operation::Release { lock: "printer", token: Token(1) }), Response::NotReleased);
//! ```

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use super::in_parts;
use crate::service::Service;

/// Which grant this is: from 1. All locks draw from one sequence, so no two grants have the same token, and
/// each token of a lock is greater than all that the lock gave before, also if the lock was long forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// Locks by name, all free to begin with. Only locks that are taken need memory. See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Locks<K, O> {
    taken: BTreeMap<K, Grant<O>>,
    /// Of all grants so far.
    last_token: Token,
}

/// Who has a lock, and by which token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grant<O> {
    /// Who has it.
    pub owner: O,
    /// What the owner was given for it.
    pub token: Token,
}

/// What is asked of [`Locks`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operation<K, O> {
    /// Takes a lock if it is free. Answered by [`Response::Granted`] or [`Response::Taken`]. An owner who has
    /// it already is told so by the latter, which then holds that owner's own token: a process that was
    /// restarted finds its lock again.
    Acquire {
        /// Which lock.
        lock: K,
        /// Who wants to have it. Processes that must not be taken for each other need different names.
        owner: O,
    },
    /// Frees a lock if it is taken by this token, whoever asks. Answered by [`Response::Released`] or
    /// [`Response::NotReleased`].
    Release {
        /// Which lock.
        lock: K,
        /// The token of the grant that is to end.
        token: Token,
    },
    /// Asks who has a lock. Answered by [`Response::Taken`] or [`Response::Free`].
    Inspect {
        /// Which lock.
        lock: K,
    },
}

/// What [`Locks`] answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Response<O> {
    /// To an acquisition: the lock is the owner's.
    Granted {
        /// Greater than every token before.
        token: Token,
    },
    /// To an acquisition or an inspection: the lock is taken.
    Taken {
        /// Who has it.
        owner: O,
        /// The token that it was granted with.
        token: Token,
    },
    /// To a release: the lock is free now.
    Released,
    /// To a release: the lock is not taken by this token; it stays as it is, be it free or taken by another
    /// one.
    NotReleased,
    /// To an inspection: nobody has the lock.
    Free,
}

/// A piece of a snapshot of [`Locks`]: first the last token, then the locks that are taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part<K, O> {
    /// The token of the last grant of all, whether it has ended or not.
    LastToken(Token),
    /// Locks that are taken, in ascending order of their names: at most
    /// [`ENTRIES_PER_PART`](super::ENTRIES_PER_PART).
    Taken(Arc<[(K, Grant<O>)]>),
}

impl<K, O> Locks<K, O> {
    /// All locks that are taken, as far as this replica knows.
    pub const fn taken(&self) -> &BTreeMap<K, Grant<O>> {
        &self.taken
    }

    /// The token of the last grant of all, as far as this replica knows; zero if there was none.
    pub const fn last_token(&self) -> Token {
        self.last_token
    }
}

impl<K, O> Default for Locks<K, O> {
    fn default() -> Self {
        Self { taken: BTreeMap::new(), last_token: Token(0) }
    }
}

impl<K: Ord + Clone + Debug, O: Clone + Debug> Service for Locks<K, O> {
    type Operation = Operation<K, O>;
    type Response = Response<O>;
    type SnapshotPart = Part<K, O>;

    fn execute(&mut self, operation: &Operation<K, O>) -> Response<O> {
        match operation {
            Operation::Acquire { lock, owner } => self.acquire(lock, owner),
            Operation::Release { lock, token } => self.release(lock, *token),
            Operation::Inspect { lock } => self.inspect(lock).unwrap_or(Response::Free),
        }
    }

    fn observe(&self, operation: &Operation<K, O>) -> Option<Response<O>> {
        match operation {
            Operation::Inspect { lock } => Some(self.inspect(lock).unwrap_or(Response::Free)),
            _ => None,
        }
    }

    fn snapshot(&self) -> Vec<Part<K, O>> {
        let taken = in_parts(self.taken.iter().map(|(lock, grant)| (lock.clone(), grant.clone())));
        [Part::LastToken(self.last_token)].into_iter().chain(taken.into_iter().map(Part::Taken)).collect()
    }

    fn restore(&mut self, parts: &[Part<K, O>]) {
        *self = Self::default();
        for part in parts {
            match part {
                Part::LastToken(token) => self.last_token = *token,
                Part::Taken(taken) => self.taken.extend(taken.iter().cloned()),
            }
        }
    }
}

impl<K: Ord + Clone, O: Clone> Locks<K, O> {
    fn acquire(&mut self, lock: &K, owner: &O) -> Response<O> {
        if let Some(taken) = self.inspect(lock) {
            return taken;
        }
        let token = Token(self.last_token.0 + 1);
        self.last_token = token;
        self.taken.insert(lock.clone(), Grant { owner: owner.clone(), token });
        Response::Granted { token }
    }

    fn release(&mut self, lock: &K, token: Token) -> Response<O> {
        if self.taken.get(lock).is_none_or(|grant| grant.token != token) {
            return Response::NotReleased;
        }
        self.taken.remove(lock);
        Response::Released
    }

    /// The answer if the lock is taken.
    fn inspect(&self, lock: &K) -> Option<Response<O>> {
        let Grant { owner, token } = self.taken.get(lock)?.clone();
        Some(Response::Taken { owner, token })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Random, most_parts_restored};
    use super::*;

    #[test]
    fn every_operation_does_what_it_says() {
        let mut locks = Locks::<u32, &str>::default();
        let acquire = |lock, owner| Operation::Acquire { lock, owner };
        let release = |lock, token| Operation::Release { lock, token: Token(token) };
        let inspect = |lock| Operation::Inspect { lock };
        let granted = |token| Response::Granted { token: Token(token) };
        let taken = |owner, token| Response::Taken { owner, token: Token(token) };
        for (operation, response) in [
            (inspect(7), Response::Free),
            (release(7, 0), Response::NotReleased),
            (acquire(7, "ann"), granted(1)),
            (acquire(7, "bob"), taken("ann", 1)),
            (acquire(7, "ann"), taken("ann", 1)),
            (acquire(8, "bob"), granted(2)),
            (inspect(7), taken("ann", 1)),
            (release(7, 2), Response::NotReleased),
            (release(8, 1), Response::NotReleased),
            (release(7, 1), Response::Released),
            (release(7, 1), Response::NotReleased),
            (inspect(7), Response::Free),
            (acquire(7, "bob"), granted(3)),
            (release(7, 1), Response::NotReleased),
            (inspect(7), taken("bob", 3)),
        ] {
            assert_eq!(locks.execute(&operation), response, "{operation:?}");
        }
        assert_eq!(locks.last_token(), Token(3));
        assert!(locks.taken().keys().eq(&[7, 8]));
    }

    fn operation(random: &mut Random) -> Operation<u64, u64> {
        let (lock, owner, token) = (random.below(300), random.below(3), Token(random.below(300)));
        match random.below(6) {
            0..3 => Operation::Acquire { lock, owner },
            3..5 => Operation::Release { lock: token.0, token },
            _ => Operation::Inspect { lock },
        }
    }

    #[test]
    fn a_restored_one_is_the_same() {
        let parts = most_parts_restored(&Locks::default(), operation);
        assert!(parts > 3, "{parts}: the token, and locks in several pieces");
    }

    /// A lock that is free is forgotten, and its tokens rise all the same, over a snapshot too.
    #[test]
    fn tokens_rise_for_ever() {
        let mut locks = Locks::<u8, u8>::default();
        for expected in (1..=10).map(Token) {
            let granted = locks.execute(&Operation::Acquire { lock: 1, owner: 1 });
            assert_eq!(granted, Response::Granted { token: expected });
            locks.execute(&Operation::Release { lock: 1, token: expected });
            assert!(locks.taken().is_empty());
            let parts = locks.snapshot();
            locks = Locks::default();
            locks.restore(&parts);
        }
    }
}
