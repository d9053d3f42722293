//! [`vr::services::Locks`]: acquisitions, releases by token, and inspections.
//!
//! Unlike in the workload `lock`, all locks draw their tokens from one sequence, and whoever knows the token
//! can release; so all of them are one partition.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use vr::services::locks as service;
use vr::services::locks::Token;

use super::asked::{Ask, Asked};
use crate::random::Draw;
use crate::workload::{Model, Workload};

/// How many locks there are at most, and how many owners contend for them. Few, so that a token is soon guessed.
const LOCKS: u64 = 4;
const OWNERS: u64 = 3;

/// The workload. The locks of `sim check` know no release by token, so its histories are not exported.
#[derive(Clone, Copy, Debug)]
pub struct FencingLocks;

/// What a client asks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    /// Takes a lock if it is free.
    Acquire {
        /// Which lock.
        lock: u64,
        /// Who wants to have it.
        owner: u64,
    },
    /// Frees a lock if it is taken by a certain token. Clients of this workload remember nothing, so they name it
    /// by its age: how many grants there have been since, of any lock.
    Release {
        /// Which lock.
        lock: u64,
        /// Zero: the last token of all.
        age: u64,
    },
    /// Asks who has a lock.
    Inspect {
        /// Which lock.
        lock: u64,
    },
}

/// What a client is told.
pub type Response = service::Response<u64>;

/// The service of `vr`.
type Service = vr::services::Locks<u64, u64>;

/// The specification: how many grants there were, and who has which lock by which of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Grants {
    count: u64,
    current: BTreeMap<u64, (u64, u64)>,
}

impl Workload for FencingLocks {
    const NAME: &'static str = "fencing-locks";
    type Operation = Operation;
    type Response = Response;
    type Service = Asked<Service, Operation>;
    type Model = Grants;

    fn service() -> Self::Service {
        Asked::new(Service::default())
    }

    fn model() -> Grants {
        Grants::default()
    }

    fn operation(random: &mut ChaCha8Rng, keys: u64, _unique: u64) -> Operation {
        let locks = keys.min(LOCKS);
        let lock = random.below(locks);
        match random.below(10) {
            0..4 => Operation::Acquire { lock, owner: random.below(OWNERS) },
            4..8 => Operation::Release { lock, age: random.below(2 * locks) },
            _ => Operation::Inspect { lock },
        }
    }

    fn digest(service: &Self::Service) -> u64 {
        service.digest()
    }
}

impl Ask<Service> for Operation {
    fn ask(&self, service: &Service) -> service::Operation<u64, u64> {
        match *self {
            Self::Acquire { lock, owner } => service::Operation::Acquire { lock, owner },
            Self::Release { lock, age } => {
                let token = Token(service.last_token().0.saturating_sub(age));
                service::Operation::Release { lock, token }
            }
            Self::Inspect { lock } => service::Operation::Inspect { lock },
        }
    }
}

impl Model for Grants {
    type Operation = Operation;
    type Response = Response;

    fn apply(&mut self, operation: &Operation) -> Response {
        let (Operation::Acquire { lock, .. } | Operation::Release { lock, .. } | Operation::Inspect { lock }) =
            *operation;
        match (*operation, self.current.get(&lock).copied()) {
            (Operation::Release { age, .. }, Some((_, number))) if number + age == self.count => {
                self.current.remove(&lock);
                Response::Released
            }
            (Operation::Release { .. }, _) => Response::NotReleased,
            (_, Some((owner, number))) => Response::Taken { owner, token: Token(number) },
            (Operation::Inspect { .. }, None) => Response::Free,
            (Operation::Acquire { owner, .. }, None) => {
                self.count += 1;
                self.current.insert(lock, (owner, self.count));
                Response::Granted { token: Token(self.count) }
            }
        }
    }

    fn observes_only(operation: &Operation) -> bool {
        matches!(operation, Operation::Inspect { .. })
    }

    fn heap_bytes(&self) -> usize {
        self.current.len().div_ceil(11) * 300
    }
}

/// As a call: `acquire(lock 3, owner 1)`.
impl Debug for Operation {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acquire { lock, owner } => write!(formatter, "acquire(lock {lock}, owner {owner})"),
            Self::Release { lock, age: 0 } => write!(formatter, "release(lock {lock}, last token)"),
            Self::Release { lock, age } => {
                write!(formatter, "release(lock {lock}, token {age} before the last)")
            }
            Self::Inspect { lock } => write!(formatter, "inspect(lock {lock})"),
        }
    }
}
