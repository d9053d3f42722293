//! What runs on the group and what clients ask of it. Bring your own: see [`Workload`].

pub mod key_value;
pub mod lock;

use std::fmt::Debug;
use std::hash::Hash;

use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use vr::Service;

/// A sequential specification: what a single copy of the service would answer.
pub trait Model: Clone + Eq + Hash {
    /// What is asked for.
    type Operation: Clone + Debug;
    /// What is answered.
    type Response: Clone + Eq + Debug;

    /// Applies one operation and says what it answers.
    fn apply(&mut self, operation: &Self::Operation) -> Self::Response;

    /// True if the operation can never change the state, whatever the state is (a pure observer).
    fn observes_only(_operation: &Self::Operation) -> bool {
        false
    }

    /// Operations of different partitions do not influence each other: for a key-value service, the key.
    fn partition(_operation: &Self::Operation) -> u64 {
        0
    }
}

/// A service under test: the service itself, operations for its clients, and its sequential model.
///
/// About fifty lines make a service of your own run under every fault and check of this crate: see
/// `examples/` of the repository.
pub trait Workload: Clone + Sized + 'static {
    /// What scenario files and traces call it.
    const NAME: &'static str;
    /// What a client asks for. Traces hold operations, hence the bounds.
    type Operation: Clone + Debug + Eq + Hash + Serialize + DeserializeOwned;
    /// What a client is told.
    type Response: Clone + Debug + Eq + Hash;
    /// The replicated service.
    type Service: Service<Operation = Self::Operation, Response = Self::Response> + Clone;
    /// The specification that clients' histories are judged by.
    type Model: Model<Operation = Self::Operation, Response = Self::Response>;

    /// The service in its initial state.
    fn service() -> Self::Service;

    /// The model in its initial state.
    fn model() -> Self::Model;

    /// The next operation of a client. `random` is the client's own stream; `keys` (at least 1) says over
    /// how many keys, or the like, to spread; `unique` differs at each call of a run.
    fn operation(random: &mut ChaCha8Rng, keys: u64, unique: u64) -> Self::Operation;

    /// A digest of the service's state: equal states give equal digests, different ones different ones.
    /// Called after every execution, so keep it up to date as the state changes.
    fn digest(service: &Self::Service) -> u64;
}
