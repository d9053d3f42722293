//! A key-value service whose values are lists of numbers, kept as digests.
//!
//! Each key holds a list: `put` starts one, `append` adds to it, `delete` and `compare-and-swap` replace
//! it. A key that was never written and a key whose list is empty are the same. The service keeps only
//! what tells lists apart, a [`List`] of fixed size, so that an operation costs some nanoseconds and
//! memory is bounded by the number of keys, whereas the model keeps the elements themselves.

mod export;

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vr::{Prediction, Service};

use super::{Model, Workload};
use crate::check::linearizability::Call;
use crate::digest::{mix, of};
use crate::history::ModelName;
use crate::history::record::Op;
use crate::random::Draw;
use crate::stage::{Ask, Found};

/// What the chain of a list starts from: not zero, for [`mix`] keeps zeros.
const CHAIN: u64 = 0x243f_6a88_85a3_08d3;

/// The workload: reads, writes, appends, deletions and compare-and-swaps on a few keys.
#[derive(Clone, Copy, Debug)]
pub struct KeyValue;

/// What a client asks for. Elements differ from each other throughout a run, so a list tells who wrote it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    /// Reads a list: the only operation that never changes anything.
    Get {
        /// Which list.
        key: u64,
    },
    /// Replaces a list by one of a single element, whatever it was.
    Put {
        /// Which list.
        key: u64,
        /// The single element.
        element: u64,
    },
    /// Adds an element to the end of a list.
    Append {
        /// Which list.
        key: u64,
        /// The last element from now on.
        element: u64,
    },
    /// Empties a list.
    Delete {
        /// Which list.
        key: u64,
    },
    /// Replaces a list by one of a single element if it has the expected length. It compares lengths
    /// because a client that remembers nothing can guess one, and hardly ever a unique element.
    CompareAndSwap {
        /// Which list.
        key: u64,
        /// How many elements it must have: zero if there must be none.
        expected: u64,
        /// The single element.
        element: u64,
    },
    /// Replaces a list by one of a single element that the primary draws, whatever it was.
    Draw {
        /// Which list.
        key: u64,
        /// What was drawn; unknown to who asks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        drawn: Option<u64>,
    },
}

/// What a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// To a get: the list.
    Found(List),
    /// To a put.
    Written,
    /// To an append: the length of the list, the new element included.
    Appended(u64),
    /// To a delete: the list that is gone.
    Deleted(List),
    /// To a compare-and-swap: the list of the expected length that is gone.
    Swapped(List),
    /// To a compare-and-swap: the list of another length that stays.
    Mismatched(List),
    /// To a draw: the element.
    Drawn(u64),
}

/// What can be told of a list of numbers in a fixed size. Different lists differ in it: in their length
/// or, but for a collision of 64 bits, in their chain.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// How many elements there are.
    pub length: u64,
    /// The last element; zero if there is none. It says nothing new, but a reader knows it again.
    pub last: u64,
    /// All elements in their order, each mixed into the chain of those before it.
    pub chain: u64,
}

/// The replicated service: the lists that are not empty, by key.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// Never iterated, so that its order shows nowhere.
    lists: FxHashMap<u64, List>,
    /// The digests of all entries, exclusive-ored: the same in whatever order they came to be.
    digest: u64,
}

/// The specification: every list with all its elements, by key. Empty lists are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lists(BTreeMap<u64, Vec<u64>>);

impl Workload for KeyValue {
    const NAME: &'static str = "key-value";
    type Operation = Operation;
    type Response = Response;
    type Service = Store;
    type Model = Lists;

    fn service() -> Store {
        Store::default()
    }

    fn model() -> Lists {
        Lists::default()
    }

    fn operation(random: &mut ChaCha8Rng, keys: u64, unique: u64) -> Operation {
        let key = random.below(keys);
        // More than half of what changes a list makes it short: most have up to three elements, and so
        // do the expectations.
        match random.below(10) {
            0..3 => Operation::Get { key },
            3..5 => Operation::Put { key, element: unique },
            5..7 => Operation::Append { key, element: unique },
            7 => Operation::Delete { key },
            _ => Operation::CompareAndSwap { key, expected: random.below(4), element: unique },
        }
    }

    /// Under its other name, half of what is written is drawn by the primary.
    fn operation_for(name: &str, random: &mut ChaCha8Rng, keys: u64, unique: u64) -> Operation {
        match Self::operation(random, keys, unique) {
            Operation::Put { key, .. } | Operation::Delete { key } if name == PREDICTED => {
                Operation::Draw { key, drawn: None }
            }
            operation => operation,
        }
    }

    fn as_executed(operation: &Operation, response: &Response) -> Option<Operation> {
        match (operation, response) {
            (&Operation::Draw { key, .. }, &Response::Drawn(element)) => {
                Some(Operation::Draw { key, drawn: Some(element) })
            }
            _ => None,
        }
    }

    fn asked_for(ask: &Ask) -> Option<Operation> {
        Some(match *ask {
            Ask::Get { key } => Operation::Get { key },
            Ask::Put { key, element } => Operation::Put { key, element },
            Ask::Append { key, element } => Operation::Append { key, element },
            Ask::Delete { key } => Operation::Delete { key },
        })
    }

    fn found(operation: &Operation, response: &Response) -> Option<Found> {
        match (operation, response) {
            (Operation::Get { .. }, Response::Found(List { length: 0, .. })) => Some(Found::Nothing),
            (&Operation::Get { key }, Response::Found(list)) => {
                Some(Found::Element { key, element: list.last })
            }
            _ => None,
        }
    }

    fn export(
        history: &[Call<Operation, Response>],
        order: &[usize],
    ) -> Option<(ModelName, Vec<(Op, Value)>)> {
        Some(export::export(history, order))
    }

    fn digest(service: &Store) -> u64 {
        service.digest
    }
}

/// What scenarios call the workload if the primary is to draw elements.
pub const PREDICTED: &str = "key-value-predicted";

/// How many lists one piece of a snapshot holds: few, so that a snapshot has several pieces.
const LISTS_IN_A_PART: usize = 4;

impl Service for Store {
    type Operation = Operation;
    type Response = Response;
    type SnapshotPart = Arc<[(u64, List)]>;

    fn execute(&mut self, operation: &Operation) -> Response {
        match *operation {
            Operation::Get { key } => Response::Found(self.get(key)),
            Operation::Put { key, element } => {
                self.replace(key, List::EMPTY.with(element));
                Response::Written
            }
            Operation::Append { key, element } => {
                let list = self.get(key).with(element);
                self.replace(key, list);
                Response::Appended(list.length)
            }
            Operation::Delete { key } => Response::Deleted(self.replace(key, List::EMPTY)),
            Operation::CompareAndSwap { key, expected, .. } if self.get(key).length != expected => {
                Response::Mismatched(self.get(key))
            }
            Operation::CompareAndSwap { key, element, .. } => {
                Response::Swapped(self.replace(key, List::EMPTY.with(element)))
            }
            Operation::Draw { .. } => unreachable!("it is executed with a prediction"),
        }
    }

    fn needs_prediction(&self, operation: &Operation) -> bool {
        matches!(operation, Operation::Draw { .. })
    }

    fn execute_predicted(&mut self, operation: &Operation, prediction: Prediction) -> Response {
        let Operation::Draw { key, .. } = *operation else { return self.execute(operation) };
        let element = mix(prediction.time.0, prediction.random);
        self.replace(key, List::EMPTY.with(element));
        Response::Drawn(element)
    }

    fn observe(&self, operation: &Operation) -> Option<Response> {
        match *operation {
            Operation::Get { key } => Some(Response::Found(self.get(key))),
            _ => None,
        }
    }

    fn snapshot(&self) -> Vec<Self::SnapshotPart> {
        let mut lists: Vec<_> = self.lists.iter().map(|(&key, &list)| (key, list)).collect();
        lists.sort_unstable_by_key(|&(key, _)| key);
        lists.chunks(LISTS_IN_A_PART).map(Arc::from).collect()
    }

    fn restore(&mut self, parts: &[Self::SnapshotPart]) {
        *self = Self::default();
        for &(key, list) in parts.iter().flat_map(|part| part.iter()) {
            self.replace(key, list);
        }
    }
}

impl Store {
    fn get(&self, key: u64) -> List {
        self.lists.get(&key).copied().unwrap_or(List::EMPTY)
    }

    /// Puts `list` at `key`, keeps the digest up to date, and gives back what was there.
    fn replace(&mut self, key: u64, list: List) -> List {
        let before = if list == List::EMPTY { self.lists.remove(&key) } else { self.lists.insert(key, list) };
        let before = before.unwrap_or(List::EMPTY);
        self.digest ^= before.digest_at(key) ^ list.digest_at(key);
        before
    }
}

impl List {
    /// The list of no elements.
    pub const EMPTY: Self = Self { length: 0, last: 0, chain: CHAIN };

    const fn with(self, element: u64) -> Self {
        Self { length: self.length + 1, last: element, chain: mix(self.chain, element) }
    }

    /// What this list contributes to the digest of the service: nothing if it is empty.
    fn digest_at(self, key: u64) -> u64 {
        if self.length == 0 { 0 } else { of(&(key, self.length, self.chain)) }
    }
}

impl Model for Lists {
    type Operation = Operation;
    type Response = Response;

    fn apply(&mut self, operation: &Operation) -> Response {
        match *operation {
            Operation::Get { key } => Response::Found(summary(self.elements(key))),
            Operation::Put { key, element } => {
                self.0.insert(key, vec![element]);
                Response::Written
            }
            Operation::Append { key, element } => {
                let elements = self.0.entry(key).or_default();
                elements.push(element);
                Response::Appended(elements.len() as u64)
            }
            Operation::Delete { key } => {
                let elements = self.0.remove(&key).unwrap_or_default();
                Response::Deleted(summary(&elements))
            }
            Operation::CompareAndSwap { key, expected, element } => {
                let seen = summary(self.elements(key));
                if self.elements(key).len() as u64 == expected {
                    self.0.insert(key, vec![element]);
                    Response::Swapped(seen)
                } else {
                    Response::Mismatched(seen)
                }
            }
            Operation::Draw { key, drawn: Some(element) } => {
                self.0.insert(key, vec![element]);
                Response::Drawn(element)
            }
            // It was never executed.
            Operation::Draw { drawn: None, .. } => Response::Written,
        }
    }

    fn observes_only(operation: &Operation) -> bool {
        matches!(operation, Operation::Get { .. })
    }

    fn overwrites(operation: &Operation) -> bool {
        matches!(operation, Operation::Put { .. } | Operation::Draw { drawn: Some(_), .. })
    }

    fn partition(operation: &Operation) -> u64 {
        match *operation {
            Operation::Get { key }
            | Operation::Put { key, .. }
            | Operation::Append { key, .. }
            | Operation::Delete { key }
            | Operation::CompareAndSwap { key, .. }
            | Operation::Draw { key, .. } => key,
        }
    }
}

impl Lists {
    fn elements(&self, key: u64) -> &[u64] {
        self.0.get(&key).map_or(&[], Vec::as_slice)
    }
}

/// The definition of [`List`], from all elements at once.
fn summary(elements: &[u64]) -> List {
    List {
        length: elements.len() as u64,
        last: elements.last().copied().unwrap_or(0),
        chain: elements.iter().fold(CHAIN, |chain, &element| mix(chain, element)),
    }
}

/// As a call: `put(key 3, 17)`.
impl Debug for Operation {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get { key } => write!(formatter, "get(key {key})"),
            Self::Put { key, element } => write!(formatter, "put(key {key}, {element})"),
            Self::Append { key, element } => write!(formatter, "append(key {key}, {element})"),
            Self::Delete { key } => write!(formatter, "delete(key {key})"),
            Self::CompareAndSwap { key, expected, element } => {
                write!(formatter, "compare-and-swap(key {key}, if length {expected}, {element})")
            }
            Self::Draw { key, drawn: None } => write!(formatter, "draw(key {key})"),
            Self::Draw { key, drawn: Some(element) } => write!(formatter, "draw(key {key}: {element})"),
        }
    }
}

/// As `[]`, `[17]` or `[2 more, 17; #9f3c0a115bd2e07f]`: the chain only where it says anything new.
impl Debug for List {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { length, last, chain } = self;
        match length {
            0 => write!(formatter, "[]"),
            1 => write!(formatter, "[{last}]"),
            _ => write!(formatter, "[{} more, {last}; #{chain:016x}]", length - 1),
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
        let (mut service, mut model) = (KeyValue::service(), KeyValue::model());
        for operation in operations(100_000, 16) {
            assert_eq!(service.execute(&operation), model.apply(&operation), "{operation:?}");
        }
    }

    #[test]
    fn digests_are_equal_exactly_if_states_are() {
        let mut digest_of = BTreeMap::new();
        let mut state_of = BTreeMap::new();
        let mut random = stream(1, Purpose::Client(0));
        let mut repeated = 0;
        let (mut service, mut model) = (KeyValue::service(), KeyValue::model());
        for _ in 0..20_000 {
            // Few elements instead of unique ones, so that many ways lead to one state.
            let element = random.below(2);
            let operation = KeyValue::operation(&mut random, 3, element);
            service.execute(&operation);
            model.apply(&operation);
            let digest = KeyValue::digest(&service);
            repeated += u32::from(digest_of.contains_key(&model.0));
            assert_eq!(*digest_of.entry(model.0.clone()).or_insert(digest), digest);
            assert_eq!(*state_of.entry(digest).or_insert(model.0.clone()), model.0);
        }
        assert!(repeated > 10_000 && digest_of.len() > 1_000, "{repeated} repeated, {}", digest_of.len());
    }

    #[test]
    fn every_kind_of_operation_and_response_occurs() {
        let mut service = KeyValue::service();
        let mut kinds = BTreeMap::<String, u32>::new();
        for operation in operations(10_000, 16) {
            let response = service.execute(&operation);
            for text in [format!("{operation:?}"), format!("{response:?}")] {
                *kinds.entry(text.split('(').next().unwrap().to_owned()).or_default() += 1;
            }
        }
        assert_eq!(kinds.len(), 5 + 6, "{kinds:?}");
        assert!(kinds.values().all(|&count| count > 300), "{kinds:?}");
    }

    #[test]
    fn partitions_do_not_influence_each_other() {
        let mut whole = KeyValue::model();
        let mut parts = BTreeMap::<u64, Lists>::new();
        for operation in operations(10_000, 8) {
            let part = parts.entry(Lists::partition(&operation)).or_default();
            assert_eq!(part.apply(&operation), whole.apply(&operation), "{operation:?}");
            assert!(part.0.len() <= 1, "a partition is one key");
        }
        assert_eq!(parts.len(), 8);
    }

    #[test]
    fn only_observers_never_change_the_state() {
        let mut model = KeyValue::model();
        let mut changing = BTreeSet::new();
        for operation in operations(10_000, 4) {
            let before = model.clone();
            model.apply(&operation);
            if model != before {
                assert!(!Lists::observes_only(&operation), "{operation:?}");
                changing.insert(format!("{operation:?}").split('(').next().unwrap().to_owned());
            }
        }
        assert_eq!(changing.len(), 4, "{changing:?}");
    }

    #[test]
    fn lists_tell_every_sequence_of_appends_apart() {
        let mut seen = BTreeSet::new();
        for sequence in 0..6_u32.pow(5) {
            let mut service = KeyValue::service();
            // The digits to the base of six: five are elements, the sixth appends nothing.
            for element in (0..5).map(|place| sequence / 6_u32.pow(place) % 6).filter(|&digit| digit < 5) {
                service.execute(&Operation::Append { key: 0, element: element.into() });
            }
            seen.insert(format!("{:?}", service.execute(&Operation::Get { key: 0 })));
        }
        let lists: usize = (0..=5).map(|length| 5_usize.pow(length)).sum();
        assert_eq!(seen.len(), lists);
    }

    #[test]
    fn traces_and_reports_are_readable() {
        let swap = Operation::CompareAndSwap { key: 3, expected: 2, element: 17 };
        let json = r#"{"compare-and-swap":{"key":3,"expected":2,"element":17}}"#;
        assert_eq!(serde_json::to_string(&swap).unwrap(), json);
        assert_eq!(serde_json::from_str::<Operation>(json).unwrap(), swap);
        assert!(serde_json::from_str::<Operation>(r#"{"get":{"key":3,"keys":4}}"#).is_err());
        assert_eq!(format!("{swap:?}"), "compare-and-swap(key 3, if length 2, 17)");
        assert_eq!(format!("{:?}", Response::Swapped(summary(&[17]))), "Swapped([17])");
        assert!(format!("{:?}", summary(&[4, 5, 6])).starts_with("[2 more, 6; #"));
    }

    fn operations(count: u64, keys: u64) -> impl Iterator<Item = Operation> {
        let mut random = stream(42, Purpose::Client(0));
        (0..count).map(move |unique| KeyValue::operation(&mut random, keys, unique))
    }
}
