//! [`vr::services::KeyValueStore`]: gets, puts, deletes and scans.
//!
//! A scan sees several keys at one moment, so all of them are one partition.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use vr::services::key_value_store as service;

use super::asked::{Ask, Asked};
use crate::random::Draw;
use crate::workload::{Model, Workload};

/// The workload. No model of `sim check` scans, so its histories are not exported.
#[derive(Clone, Copy, Debug)]
pub struct Store;

/// What a client asks for. Values differ from each other throughout a run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    /// Reads a value.
    Get {
        /// Whose.
        key: u64,
    },
    /// Writes a value.
    Put {
        /// Whose.
        key: u64,
        /// Which one.
        value: u64,
    },
    /// Takes a key and its value away.
    Delete {
        /// Which one.
        key: u64,
    },
    /// Reads the entries of several keys.
    Scan {
        /// Only of greater keys.
        after: Option<u64>,
        /// At most so many.
        limit: u32,
    },
}

/// What a client is told.
pub type Response = service::Response<u64, u64>;

/// The service of `vr`.
type Service = vr::services::KeyValueStore<u64, u64>;

/// The specification: all entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Entries(BTreeMap<u64, u64>);

impl Workload for Store {
    const NAME: &'static str = "store";
    type Operation = Operation;
    type Response = Response;
    type Service = Asked<Service, Operation>;
    type Model = Entries;

    fn service() -> Self::Service {
        Asked::new(Service::default())
    }

    fn model() -> Entries {
        Entries::default()
    }

    fn operation(random: &mut ChaCha8Rng, keys: u64, unique: u64) -> Operation {
        let key = random.below(keys);
        match random.below(10) {
            0..2 => Operation::Get { key },
            2..6 => Operation::Put { key, value: unique },
            6..8 => Operation::Delete { key },
            _ => {
                let after = Some(key).filter(|&key| key > 0);
                Operation::Scan { after, limit: random.below(5) as u32 }
            }
        }
    }

    fn digest(service: &Self::Service) -> u64 {
        service.digest()
    }
}

impl Ask<Service> for Operation {
    fn ask(&self, _: &Service) -> service::Operation<u64, u64> {
        match *self {
            Self::Get { key } => service::Operation::Get { key },
            Self::Put { key, value } => service::Operation::Put { key, value },
            Self::Delete { key } => service::Operation::Delete { key },
            Self::Scan { after, limit } => service::Operation::Scan { after, limit },
        }
    }
}

impl Model for Entries {
    type Operation = Operation;
    type Response = Response;

    fn apply(&mut self, operation: &Operation) -> Response {
        match *operation {
            Operation::Get { key } => Response::Found(self.0.get(&key).copied()),
            Operation::Put { key, value } => Response::Replaced(self.0.insert(key, value)),
            Operation::Delete { key } => Response::Deleted(self.0.remove(&key)),
            Operation::Scan { after, limit } => {
                let wanted = self.0.iter().filter(|(key, _)| after.is_none_or(|after| **key > after));
                let entries = wanted.map(|(&key, &value)| (key, value));
                Response::Scanned(entries.take(limit as usize).collect())
            }
        }
    }

    fn observes_only(operation: &Operation) -> bool {
        matches!(operation, Operation::Get { .. } | Operation::Scan { .. })
    }

    fn heap_bytes(&self) -> usize {
        self.0.len().div_ceil(11) * 200
    }
}

/// As a call: `put(key 3, 17)`.
impl Debug for Operation {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get { key } => write!(formatter, "get(key {key})"),
            Self::Put { key, value } => write!(formatter, "put(key {key}, {value})"),
            Self::Delete { key } => write!(formatter, "delete(key {key})"),
            Self::Scan { after: Some(key), limit } => write!(formatter, "scan(after key {key}, {limit})"),
            Self::Scan { after: None, limit } => write!(formatter, "scan(from the start, {limit})"),
        }
    }
}
