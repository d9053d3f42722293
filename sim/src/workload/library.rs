//! The services of [`vr::services`], each a workload of its own.
//!
//! [`Library`] is all of them side by side, and goes by their names too: so the simulator is compiled once for
//! the lot of them, and a group that holds several services at a time is tried as well.

pub mod asked;
pub mod blackboard;
pub mod counter;
pub mod fencing_locks;
pub mod job;
pub mod register;
pub mod set;
pub mod store;

#[cfg(test)]
mod tests;

use std::fmt::{self, Debug, Formatter};

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vr::Service;

use super::{Model, RegisterOperation, Workload};
use crate::check::linearizability::Call;
use crate::digest::mix;
use crate::history::ModelName;
use crate::history::record::Op;
use crate::random::Draw;
use crate::stage::{self, Found};

pub use asked::{Ask, Asked};
use blackboard::Blackboard;
use counter::Counter;
use fencing_locks::FencingLocks;
use job::Job;
use register::Register;
use set::Set;
use store::Store;

/// The workload: operations on the service whose name the scenario chose, or on all of them in turn.
#[derive(Clone, Copy, Debug)]
pub struct Library;

/// Joins workloads to one: its operations are any of theirs, its service and its model are all of theirs side by
/// side, and so its partitions are those of each.
macro_rules! joined {
    ($($number:literal $field:ident $Part:ident),* $(,)?) => {
        /// The names of the workloads that are joined, and of all of them together.
        pub const NAMES: &[&str] = &[$($Part::NAME,)* Library::NAME];

        /// How many workloads are joined.
        const PARTS: u64 = [$($number),*].len() as u64;

        /// What a client asks for.
        #[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Operation {
            $(
                #[doc = concat!("See [`", stringify!($field), "`].")]
                $Part(<$Part as Workload>::Operation),
            )*
        }

        /// What a client is told.
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub enum Response {
            $(
                #[doc = concat!("See [`", stringify!($field), "`].")]
                $Part(<$Part as Workload>::Response),
            )*
        }

        /// The services.
        #[derive(Clone)]
        pub struct Services {
            $($field: <$Part as Workload>::Service,)*
        }

        /// A piece of a snapshot of one of the services.
        #[derive(Clone, Debug)]
        pub enum SnapshotPart {
            $(
                #[doc = concat!("See [`", stringify!($field), "`].")]
                $Part(<<$Part as Workload>::Service as Service>::SnapshotPart),
            )*
        }

        /// The specifications.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct Models {
            $($field: <$Part as Workload>::Model,)*
        }

        impl Workload for Library {
            const NAME: &'static str = "services";
            type Operation = Operation;
            type Response = Response;
            type Service = Services;
            type Model = Models;

            fn service() -> Services {
                Services { $($field: $Part::service(),)* }
            }

            fn model() -> Models {
                Models { $($field: $Part::model(),)* }
            }

            fn operation(random: &mut ChaCha8Rng, keys: u64, unique: u64) -> Operation {
                let name = NAMES[random.below(PARTS) as usize];
                Self::operation_for(name, random, keys, unique)
            }

            fn operation_for(name: &str, random: &mut ChaCha8Rng, keys: u64, unique: u64) -> Operation {
                match name {
                    $($Part::NAME => Operation::$Part($Part::operation(random, keys, unique)),)*
                    _ => Self::operation(random, keys, unique),
                }
            }

            fn asked_for(ask: &stage::Ask) -> Option<Operation> {
                None$(.or_else(|| $Part::asked_for(ask).map(Operation::$Part)))*
            }

            fn found(operation: &Operation, response: &Response) -> Option<Found> {
                match (operation, response) {
                    $((Operation::$Part(operation), Response::$Part(response)) => {
                        $Part::found(operation, response)
                    })*
                    _ => None,
                }
            }

            /// Where all calls are of one workload, as that one does.
            fn export(
                history: &[Call<Operation, Response>],
                order: &[usize],
            ) -> Option<(ModelName, Vec<(Op, Value)>)> {
                match history.first()?.operation {
                    $(Operation::$Part(_) => $Part::export(&$field(history)?, order),)*
                }
            }

            fn digest(service: &Services) -> u64 {
                let digests = [$($Part::digest(&service.$field)),*];
                digests.into_iter().fold(PARTS, mix)
            }
        }

        $(
            /// The calls of one workload, if all are of that one.
            fn $field(
                history: &[Call<Operation, Response>],
            ) -> Option<Vec<Call<<$Part as Workload>::Operation, <$Part as Workload>::Response>>> {
                let own = |call: &Call<Operation, Response>| {
                    let Operation::$Part(operation) = &call.operation else { return None };
                    let returned = match &call.returned {
                        None => None,
                        Some((at, Response::$Part(response))) => Some((*at, response.clone())),
                        Some(_) => return None,
                    };
                    let Call { client, called, .. } = *call;
                    Some(Call { client, operation: operation.clone(), called, returned })
                };
                history.iter().map(own).collect()
            }
        )*

        impl Service for Services {
            type Operation = Operation;
            type Response = Response;
            type SnapshotPart = SnapshotPart;

            fn execute(&mut self, operation: &Operation) -> Response {
                match operation {
                    $(Operation::$Part(operation) => Response::$Part(self.$field.execute(operation)),)*
                }
            }

            fn observe(&self, operation: &Operation) -> Option<Response> {
                match operation {
                    $(Operation::$Part(operation) => self.$field.observe(operation).map(Response::$Part),)*
                }
            }

            fn snapshot(&self) -> Vec<SnapshotPart> {
                let mut parts = Vec::new();
                $(parts.extend(self.$field.snapshot().into_iter().map(SnapshotPart::$Part));)*
                parts
            }

            fn restore(&mut self, parts: &[SnapshotPart]) {
                $(
                    let own = parts.iter().filter_map(|part| match part {
                        SnapshotPart::$Part(part) => Some(part.clone()),
                        _ => None,
                    });
                    self.$field.restore(&own.collect::<Vec<_>>());
                )*
            }
        }

        impl Model for Models {
            type Operation = Operation;
            type Response = Response;

            fn apply(&mut self, operation: &Operation) -> Response {
                match operation {
                    $(Operation::$Part(operation) => Response::$Part(self.$field.apply(operation)),)*
                }
            }

            fn observes_only(operation: &Operation) -> bool {
                match operation {
                    $(Operation::$Part(operation) => <$Part as Workload>::Model::observes_only(operation),)*
                }
            }

            fn overwrites(operation: &Operation) -> bool {
                match operation {
                    $(Operation::$Part(operation) => <$Part as Workload>::Model::overwrites(operation),)*
                }
            }

            fn partition(operation: &Operation) -> u64 {
                match operation {
                    $(
                        Operation::$Part(operation) => {
                            <$Part as Workload>::Model::partition(operation) * PARTS + $number
                        }
                    )*
                }
            }

            fn as_register(operation: &Operation, response: Option<&Response>) -> Option<RegisterOperation> {
                match (operation, response) {
                    $(
                        (Operation::$Part(operation), None) => {
                            <$Part as Workload>::Model::as_register(operation, None)
                        }
                        (Operation::$Part(operation), Some(Response::$Part(response))) => {
                            <$Part as Workload>::Model::as_register(operation, Some(response))
                        }
                    )*
                    _ => None,
                }
            }

            fn register_value(&self, partition: u64) -> Option<u64> {
                match partition % PARTS {
                    $($number => self.$field.register_value(partition / PARTS),)*
                    _ => None,
                }
            }

            fn heap_bytes(&self) -> usize {
                [$(self.$field.heap_bytes()),*].iter().sum()
            }
        }

        /// As that of its workload.
        impl Debug for Operation {
            fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$Part(operation) => operation.fmt(formatter),)*
                }
            }
        }

        /// As that of its workload.
        impl Debug for Response {
            fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$Part(response) => response.fmt(formatter),)*
                }
            }
        }
    };
}

/// A value as histories write it: null where there is none.
fn text(value: Option<u64>) -> Value {
    value.map_or(Value::Null, |value| Value::String(value.to_string()))
}

joined! {
    0 store Store,
    1 blackboard Blackboard,
    2 register Register,
    3 counter Counter,
    4 set Set,
    5 fencing_locks FencingLocks,
    6 job Job,
}
