//! A lock service with fencing tokens.
//!
//! Whoever is granted a lock gets a token higher than all tokens of that lock before, so that whatever
//! the lock protects can refuse a former owner who believes to hold it still. An acquisition that is
//! executed twice, or a release that is forgotten, changes the tokens of all who come later.

mod export;

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vr::Service;

use super::{Model, Workload};
use crate::check::linearizability::Call;
use crate::digest::of;
use crate::history::ModelName;
use crate::history::record::Op;
use crate::random::Draw;

/// How many owners contend for the locks. Few, so that a release often comes from the owner.
const OWNERS: u64 = 3;

/// The workload: acquisitions, releases and inspections of a few locks.
#[derive(Clone, Copy, Debug)]
pub struct Lock;

/// What a client asks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    /// Takes a lock if it is free. An owner who holds it already is refused as well.
    Acquire {
        /// Which lock.
        lock: u64,
        /// Who wants to hold it.
        owner: u64,
    },
    /// Frees a lock if it is the owner's.
    Release {
        /// Which lock.
        lock: u64,
        /// Who wants to hold it no longer.
        owner: u64,
    },
    /// Reads a lock: the only operation that never changes anything.
    Inspect {
        /// Which lock.
        lock: u64,
    },
}

/// What a client is told. A token counts the grants of its lock, from 1; zero stands for none so far.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Response {
    /// To an acquisition: the lock is the owner's.
    Granted {
        /// Higher than every token of this lock before.
        token: u64,
    },
    /// To an acquisition: the lock is taken.
    Refused {
        /// Who holds it.
        holder: u64,
        /// The holder's token.
        token: u64,
    },
    /// To a release: the lock is free.
    Released {
        /// The token that has ended.
        token: u64,
    },
    /// To a release: the lock is not the owner's.
    NotHeld {
        /// Who holds it, if anybody does.
        holder: Option<u64>,
    },
    /// To an inspection: the lock is taken.
    Held {
        /// Who holds it.
        holder: u64,
        /// The holder's token.
        token: u64,
    },
    /// To an inspection: the lock is free.
    Free {
        /// The last token that was granted.
        token: u64,
    },
}

/// The replicated service: every lock that was ever granted.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Never iterated, so that its order shows nowhere.
    locks: FxHashMap<u64, State>,
    /// The digests of all entries, exclusive-ored: the same in whatever order they came to be.
    digest: u64,
}

/// One lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    holder: Option<u64>,
    token: u64,
}

/// The specification: how often each lock was granted, and who holds those that are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Register {
    grants: BTreeMap<u64, u64>,
    holders: BTreeMap<u64, u64>,
}

impl Workload for Lock {
    const NAME: &'static str = "lock";
    type Operation = Operation;
    type Response = Response;
    type Service = Table;
    type Model = Register;

    fn service() -> Table {
        Table::default()
    }

    fn model() -> Register {
        Register::default()
    }

    /// Nothing has to be made unique here: the tokens are.
    fn operation(random: &mut ChaCha8Rng, keys: u64, _unique: u64) -> Operation {
        let lock = random.below(keys);
        match random.below(10) {
            0..3 => Operation::Acquire { lock, owner: random.below(OWNERS) },
            3..8 => Operation::Release { lock, owner: random.below(OWNERS) },
            _ => Operation::Inspect { lock },
        }
    }

    fn export(
        history: &[Call<Operation, Response>],
        _order: &[usize],
    ) -> Option<(ModelName, Vec<(Op, Value)>)> {
        Some(export::export(history))
    }

    fn digest(service: &Table) -> u64 {
        service.digest
    }
}

/// How many locks one piece of a snapshot holds: few, so that a snapshot has several pieces.
const LOCKS_IN_A_PART: usize = 4;

impl Service for Table {
    type Operation = Operation;
    type Response = Response;
    type SnapshotPart = Arc<[(u64, State)]>;

    fn execute(&mut self, operation: &Operation) -> Response {
        match *operation {
            Operation::Acquire { lock, owner } => self.acquire(lock, owner),
            Operation::Release { lock, owner } => self.release(lock, owner),
            Operation::Inspect { lock } => self.inspect(lock),
        }
    }

    fn observe(&self, operation: &Operation) -> Option<Response> {
        match *operation {
            Operation::Inspect { lock } => Some(self.inspect(lock)),
            _ => None,
        }
    }

    fn snapshot(&self) -> Vec<Self::SnapshotPart> {
        let mut locks: Vec<_> = self.locks.iter().map(|(&lock, &state)| (lock, state)).collect();
        locks.sort_unstable_by_key(|&(lock, _)| lock);
        locks.chunks(LOCKS_IN_A_PART).map(Arc::from).collect()
    }

    fn restore(&mut self, parts: &[Self::SnapshotPart]) {
        *self = Self::default();
        for &(lock, state) in parts.iter().flat_map(|part| part.iter()) {
            self.replace(lock, state);
        }
    }
}

impl Table {
    fn acquire(&mut self, lock: u64, owner: u64) -> Response {
        let State { holder, token } = self.state(lock);
        if let Some(holder) = holder {
            return Response::Refused { holder, token };
        }
        self.replace(lock, State { holder: Some(owner), token: token + 1 });
        Response::Granted { token: token + 1 }
    }

    fn release(&mut self, lock: u64, owner: u64) -> Response {
        let State { holder, token } = self.state(lock);
        if holder != Some(owner) {
            return Response::NotHeld { holder };
        }
        self.replace(lock, State { holder: None, token });
        Response::Released { token }
    }

    fn inspect(&self, lock: u64) -> Response {
        match self.state(lock) {
            State { holder: Some(holder), token } => Response::Held { holder, token },
            State { holder: None, token } => Response::Free { token },
        }
    }

    fn state(&self, lock: u64) -> State {
        self.locks.get(&lock).copied().unwrap_or_default()
    }

    fn replace(&mut self, lock: u64, state: State) {
        if let Some(before) = self.locks.insert(lock, state) {
            self.digest ^= before.digest_at(lock);
        }
        self.digest ^= state.digest_at(lock);
    }
}

impl State {
    fn digest_at(self, lock: u64) -> u64 {
        // Owner zero is not nobody.
        of(&(lock, self.token, self.holder.is_some(), self.holder.unwrap_or(0)))
    }
}

impl Model for Register {
    type Operation = Operation;
    type Response = Response;

    fn apply(&mut self, operation: &Operation) -> Response {
        let lock = Self::partition(operation);
        let token = self.grants.get(&lock).copied().unwrap_or(0);
        let holder = self.holders.get(&lock).copied();
        match (*operation, holder) {
            (Operation::Acquire { owner, .. }, None) => {
                self.holders.insert(lock, owner);
                self.grants.insert(lock, token + 1);
                Response::Granted { token: token + 1 }
            }
            (Operation::Acquire { .. }, Some(holder)) => Response::Refused { holder, token },
            (Operation::Release { owner, .. }, Some(holder)) if holder == owner => {
                self.holders.remove(&lock);
                Response::Released { token }
            }
            (Operation::Release { .. }, holder) => Response::NotHeld { holder },
            (Operation::Inspect { .. }, Some(holder)) => Response::Held { holder, token },
            (Operation::Inspect { .. }, None) => Response::Free { token },
        }
    }

    fn observes_only(operation: &Operation) -> bool {
        matches!(operation, Operation::Inspect { .. })
    }

    fn partition(operation: &Operation) -> u64 {
        match *operation {
            Operation::Acquire { lock, .. }
            | Operation::Release { lock, .. }
            | Operation::Inspect { lock } => lock,
        }
    }
}

/// As a call: `acquire(lock 3, owner 1)`.
impl Debug for Operation {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acquire { lock, owner } => write!(formatter, "acquire(lock {lock}, owner {owner})"),
            Self::Release { lock, owner } => write!(formatter, "release(lock {lock}, owner {owner})"),
            Self::Inspect { lock } => write!(formatter, "inspect(lock {lock})"),
        }
    }
}

/// As a constructor: `Refused(owner 1, token 7)`.
impl Debug for Response {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Granted { token } => write!(formatter, "Granted(token {token})"),
            Self::Refused { holder, token } => write!(formatter, "Refused(owner {holder}, token {token})"),
            Self::Released { token } => write!(formatter, "Released(token {token})"),
            Self::NotHeld { holder: Some(holder) } => write!(formatter, "NotHeld(owner {holder})"),
            Self::NotHeld { holder: None } => write!(formatter, "NotHeld(free)"),
            Self::Held { holder, token } => write!(formatter, "Held(owner {holder}, token {token})"),
            Self::Free { token } => write!(formatter, "Free(token {token})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn service_and_model_agree() {
        let (mut service, mut model) = (Lock::service(), Lock::model());
        for operation in operations(100_000, 16) {
            assert_eq!(service.execute(&operation), model.apply(&operation), "{operation:?}");
        }
    }

    #[test]
    fn tokens_rise_with_every_grant() {
        let mut service = Lock::service();
        let mut last = BTreeMap::<u64, u64>::new();
        for operation in operations(10_000, 4) {
            if let Response::Granted { token } = service.execute(&operation) {
                let before = last.insert(Register::partition(&operation), token);
                assert!(before.unwrap_or(0) < token, "{operation:?}");
            }
        }
    }

    #[test]
    fn digests_are_equal_exactly_if_states_are() {
        let mut digest_of = BTreeMap::new();
        let mut state_of = BTreeMap::new();
        let mut random = stream(1, Purpose::Client(0));
        let mut repeated = 0;
        // Tokens only rise, so many short runs: each starts over and finds other ways to the same states.
        for _ in 0..2_000 {
            let (mut service, mut model) = (Lock::service(), Lock::model());
            for _ in 0..20 {
                let operation = Lock::operation(&mut random, 3, 0);
                service.execute(&operation);
                model.apply(&operation);
                let digest = Lock::digest(&service);
                let state = (model.grants.clone(), model.holders.clone());
                repeated += u32::from(digest_of.contains_key(&state));
                assert_eq!(*digest_of.entry(state.clone()).or_insert(digest), digest);
                assert_eq!(*state_of.entry(digest).or_insert(state.clone()), state);
            }
        }
        assert!(repeated > 10_000 && digest_of.len() > 500, "{repeated} repeated, {}", digest_of.len());
    }

    #[test]
    fn every_kind_of_operation_and_response_occurs() {
        let mut service = Lock::service();
        let mut kinds = BTreeMap::<String, u32>::new();
        for operation in operations(10_000, 16) {
            let response = service.execute(&operation);
            for text in [format!("{operation:?}"), format!("{response:?}")] {
                *kinds.entry(text.split('(').next().unwrap().to_owned()).or_default() += 1;
            }
        }
        assert_eq!(kinds.len(), 3 + 6, "{kinds:?}");
        assert!(kinds.values().all(|&count| count > 300), "{kinds:?}");
    }

    #[test]
    fn partitions_do_not_influence_each_other() {
        let mut whole = Lock::model();
        let mut parts = BTreeMap::<u64, Register>::new();
        for operation in operations(10_000, 8) {
            let part = parts.entry(Register::partition(&operation)).or_default();
            assert_eq!(part.apply(&operation), whole.apply(&operation), "{operation:?}");
            assert!(part.grants.len() <= 1, "a partition is one lock");
        }
        assert_eq!(parts.len(), 8);
    }

    #[test]
    fn only_observers_never_change_the_state() {
        let mut model = Lock::model();
        let mut changing = BTreeSet::new();
        for operation in operations(10_000, 4) {
            let before = model.clone();
            model.apply(&operation);
            if model != before {
                assert!(!Register::observes_only(&operation), "{operation:?}");
                changing.insert(format!("{operation:?}").split('(').next().unwrap().to_owned());
            }
        }
        assert_eq!(changing.len(), 2, "{changing:?}");
    }

    #[test]
    fn traces_and_reports_are_readable() {
        let acquire = Operation::Acquire { lock: 3, owner: 1 };
        let json = r#"{"acquire":{"lock":3,"owner":1}}"#;
        assert_eq!(serde_json::to_string(&acquire).unwrap(), json);
        assert_eq!(serde_json::from_str::<Operation>(json).unwrap(), acquire);
        assert!(serde_json::from_str::<Operation>(r#"{"inspect":{"lock":3,"owner":1}}"#).is_err());
        assert_eq!(format!("{acquire:?}"), "acquire(lock 3, owner 1)");
        assert_eq!(format!("{:?}", Response::NotHeld { holder: None }), "NotHeld(free)");
    }

    fn operations(count: u64, keys: u64) -> impl Iterator<Item = Operation> {
        let mut random = stream(42, Purpose::Client(0));
        (0..count).map(move |unique| Lock::operation(&mut random, keys, unique))
    }
}
