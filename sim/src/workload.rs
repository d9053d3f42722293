//! What runs on the group and what clients ask of it. Bring your own: see [`Workload`].

pub mod key_value;
pub mod library;
pub mod lock;

use std::fmt::Debug;
use std::hash::Hash;

use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use vr::Service;

use crate::check::linearizability::Call;
use crate::history::ModelName;
use crate::history::record::Op;
use crate::stage::{Ask, Found};

/// A sequential specification: what a single copy of the service would answer.
///
/// Two methods are needed: [`apply`](Model::apply) and, where a history may hold more than a few operations,
/// [`partition`](Model::partition). The others say what judges may take for granted; each has a default
/// that promises nothing. What they promise must hold in every state: a judge believes it.
pub trait Model: Clone + Eq + Hash + Debug {
    /// What is asked for. Equal operations are interchangeable.
    type Operation: Clone + Eq + Hash + Debug;
    /// What is answered.
    type Response: Clone + Eq + Hash + Debug;

    /// Applies one operation and says what it answers.
    fn apply(&mut self, operation: &Self::Operation) -> Self::Response;

    /// True if the operation can never change the state, whatever the state is (a pure observer).
    fn observes_only(_operation: &Self::Operation) -> bool {
        false
    }

    /// True if the operation leaves its partition in the same state and gives the same answer whatever the
    /// state was before (a blind write), so that what it overwrites need not be told apart any more.
    fn overwrites(_operation: &Self::Operation) -> bool {
        false
    }

    /// Operations of different partitions do not influence each other: for a key-value service, the key.
    fn partition(_operation: &Self::Operation) -> u64 {
        0
    }

    /// What the operation does to its partition if that is a register, given the response, or `None` for
    /// an unknown outcome. `None` if a register could not answer so, or has no such operation.
    ///
    /// A judge that knows registers is asked first if every operation of a partition has such a view
    /// (one of unknown outcome that [only observes](Model::observes_only) is not looked at), and if
    /// [`register_value`](Model::register_value) tells what the register holds to begin with.
    fn as_register(
        _operation: &Self::Operation,
        _response: Option<&Self::Response>,
    ) -> Option<RegisterOperation> {
        None
    }

    /// What a partition holds, seen as a register; see [`as_register`](Model::as_register).
    fn register_value(&self, _partition: u64) -> Option<u64> {
        None
    }

    /// All that was asked of a partition, each with its response if the outcome is known, as a register:
    /// what it holds to begin with, and what each operation does to it, in the same order.
    ///
    /// What holds of each operation by itself is told by [`as_register`](Model::as_register) and
    /// [`register_value`](Model::register_value). A model has its own way if it takes all operations
    /// together to see a register, which must then be linearizable exactly if the model is.
    fn all_as_register(
        &self,
        partition: u64,
        calls: &[(&Self::Operation, Option<&Self::Response>)],
    ) -> Option<(u64, Vec<RegisterOperation>)> {
        let value = self.register_value(partition)?;
        let operations = calls.iter().map(|(operation, response)| Self::as_register(operation, *response));
        Some((value, operations.collect::<Option<_>>()?))
    }

    /// About how many bytes the state owns besides its own size, so that judges can bound their memory.
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// What an operation does to a register. Equal values have equal numbers, different ones different numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegisterOperation {
    /// Sees a value and leaves it. So does a compare-and-swap that fails and says what it saw instead.
    Read(u64),
    /// Puts a value there, whatever was there before.
    Write(u64),
    /// Replaces one value by another. One that returned did so; one of unknown outcome may instead have
    /// found another value, and then has no effect. A write that says what it replaced is one of these, too.
    Swap {
        /// What it must find.
        from: u64,
        /// What it puts there.
        to: u64,
    },
    /// Sees that the value is not this one, and nothing else: a compare-and-swap that fails.
    Mismatch(u64),
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

    /// The same for a workload that scenarios know by several names, of which `name` is the one that was chosen.
    fn operation_for(_name: &str, random: &mut ChaCha8Rng, keys: u64, unique: u64) -> Self::Operation {
        Self::operation(random, keys, unique)
    }

    /// What an operation has turned out to be, where its execution has used what a primary predicted: the model
    /// cannot know that, so it is given this in place of what was asked for.
    fn as_executed(_operation: &Self::Operation, _response: &Self::Response) -> Option<Self::Operation> {
        None
    }

    /// The calls of a run as `sim check` reads them: the model that they fit, and of each call what was asked
    /// for and what was answered (null if that is unknown). `order` is the order in which calls were committed.
    /// `None`: there is no such model.
    fn export(
        _history: &[Call<Self::Operation, Self::Response>],
        _order: &[usize],
    ) -> Option<(ModelName, Vec<(Op, Value)>)> {
        None
    }

    /// The operation that a story's words ask for, if there is one like it: a workload that has none cannot
    /// appear in stories.
    fn asked_for(_ask: &Ask) -> Option<Self::Operation> {
        None
    }

    /// What a story would call this response: what was found, if the operation looked for something.
    fn found(_operation: &Self::Operation, _response: &Self::Response) -> Option<Found> {
        None
    }

    /// A digest of the service's state: equal states give equal digests, different ones different ones.
    /// Called after every execution, so keep it up to date as the state changes.
    fn digest(service: &Self::Service) -> u64;
}
