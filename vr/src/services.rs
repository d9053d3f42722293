//! State machines that are ready to be replicated: what is wanted most often of a group that agrees.
//!
//! | service | what clients can do |
//! |---|---|
//! | [`KeyValueStore`] | get, put, delete, and scan in the order of the keys |
//! | [`Blackboard`] | get, put, and compare-and-swap under a key, by value: absence is a value too |
//! | [`Register`] | read, write, and compare-and-swap one value |
//! | [`Counter`] | add, and read: also a source of numbers that nobody else gets |
//! | [`Set`] | insert, remove, ask for one member, list all |
//! | [`Locks`] | acquire, release, and inspect locks that give fencing tokens |
//! | [`Replicated`] | the events of a [`StateMachine`] of your own |
//!
//! Each has a module of its own, which holds its `Operation` and its `Response`: both are plain data with
//! public fields, so that a transport can write them as it likes.
//!
//! # What they have in common
//!
//! - **Every operation can go through the log**, reads too, and those that only read can go without
//!   ([`Client::read`](crate::Client::read)). Of what goes through the log, whatever is answered was true at one moment
//!   between the request and the answer, and each operation is executed exactly once. One whose answer nobody
//!   waited for may have been executed, may be executed yet, or never.
//! - **Nothing is refused half.** An operation either does all that it says, or answers why not and leaves
//!   the state as it was.
//! - **Looking without asking.** The methods that take `&self` tell what *this* replica has executed
//!   ([`Replica::service`](crate::Replica::service),
//!   [`Outbox::executed`](crate::Outbox::executed)). That is some earlier state of the group, so it is good
//!   for a display or for reacting to changes, and not for decisions that the others must agree with.
//! - **Keys and values** are yours: `Ord` where they are looked for, `Eq` where they are compared, `Clone`
//!   and `Debug` everywhere. Large values are best kept in an [`Arc`], for answers and snapshots clone them.
//!   Two values that are equal must not differ in anything else that counts.
//! - **Snapshots** of services that hold many entries come in pieces of at most [`ENTRIES_PER_PART`] entries,
//!   in the order of the keys; a service of one value is one piece. Restoring gives exactly the service that
//!   the snapshot was taken of. The pieces must be those of one snapshot of the same service, all of them and
//!   in their order.
//!
//! # A lock on a group of three
//!
//! Alone, a service is a value with a method: `Counter::default().execute(&counter::Operation::Add(5))`. Here
//! three replicas keep locks, and two clients want the same one.
//!
//! ```
//! use std::collections::VecDeque;
//! use std::sync::Arc;
//! use vr::services::Locks;
//! use vr::services::locks::{Operation, Response, Token};
//! use vr::*;
//!
//! /// Locks by their names; owners are numbers.
//! type Service = Locks<String, u64>;
//! type Asked = Operation<String, u64>;
//! type Answered = Response<u64>;
//!
//! /// What is on its way, in place of sockets.
//! #[derive(Default)]
//! struct Network {
//!     messages: VecDeque<(ReplicaId, Message<Service>)>,
//!     requests: VecDeque<(ReplicaId, Arc<Request<Asked>>)>,
//!     replies: VecDeque<(ClientAddress, Reply<Answered>)>,
//! }
//!
//! impl Outbox<Service> for Network {
//!     fn send(&mut self, to: ReplicaId, message: Message<Service>) {
//!         self.messages.push_back((to, message));
//!     }
//!     fn reply(&mut self, to: ClientAddress, reply: Reply<Answered>) {
//!         self.replies.push_back((to, reply));
//!     }
//! }
//!
//! impl ClientOutbox<Asked> for Network {
//!     fn send(&mut self, to: ReplicaId, request: Arc<Request<Asked>>) {
//!         self.requests.push_back((to, request));
//!     }
//! }
//!
//! /// Delivers until the client at `address` hears of something.
//! fn wait(
//!     group: &mut [Replica<Service>],
//!     client: &mut Client<Asked>,
//!     address: ClientAddress,
//!     network: &mut Network,
//! ) -> ClientEvent<Answered> {
//!     let now = Instant(0);
//!     loop {
//!         if let Some((to, request)) = network.requests.pop_front() {
//!             group[to.index()].on_request(now, request, network);
//!         } else if let Some((to, message)) = network.messages.pop_front() {
//!             group[to.index()].on_message(now, message, network);
//!         } else {
//!             let (to, reply) = network.replies.pop_front().expect("somebody answers");
//!             assert_eq!(to, address);
//!             if let Some(event) = client.on_reply(now, reply, network) {
//!                 return event;
//!             }
//!         }
//!     }
//! }
//!
//! let now = Instant(0);
//! let members = Configuration::new(3).unwrap();
//! let mut network = Network::default();
//! let mut group: Vec<Replica<Service>> = members
//!     .members()
//!     .map(|id| {
//!         let options = Options::default();
//!         let member = Member { id, epoch: EpochStart::first(members), options, entropy: u64::from(id.0) };
//!         Replica::new(now, member, Standard, Locks::default())
//!     })
//!     .collect();
//!
//! // Two clients, both of which want to be the one that writes the backup.
//! let mut answers = Vec::new();
//! for owner in [1, 2] {
//!     let address = ClientAddress(owner);
//!     let mut client = Client::new(address, members, ClientOptions::default(), Standard, owner);
//!     client.register(now, &mut network);
//!     wait(&mut group, &mut client, address, &mut network);
//!     let acquire = Operation::Acquire { lock: "backup".to_owned(), owner };
//!     client.request(now, acquire, &mut network).unwrap();
//!     if let ClientEvent::Executed { response, .. } =
//!         wait(&mut group, &mut client, address, &mut network)
//!     {
//!         answers.push(response);
//!     }
//! }
//! let token = Token(1);
//! assert_eq!(answers, [Response::Granted { token }, Response::Taken { owner: 1, token }]);
//! ```

use std::sync::Arc;

pub mod blackboard;
pub mod counter;
pub mod key_value_store;
pub mod locks;
pub mod register;
pub mod set;
pub mod state_machine;

pub use blackboard::Blackboard;
pub use counter::Counter;
pub use key_value_store::KeyValueStore;
pub use locks::Locks;
pub use register::Register;
pub use set::Set;
pub use state_machine::{Replicated, StateMachine};

/// How many entries (members, locks) one piece of a snapshot holds at most.
pub const ENTRIES_PER_PART: usize = 64;

/// Cuts entries into pieces of [`ENTRIES_PER_PART`], the last of which may be shorter. No entries, no piece.
fn in_parts<T>(entries: impl Iterator<Item = T>) -> Vec<Arc<[T]>> {
    let mut entries = entries.peekable();
    let mut parts = Vec::new();
    while entries.peek().is_some() {
        parts.push(entries.by_ref().take(ENTRIES_PER_PART).collect());
    }
    parts
}

/// The piece of a service that is always one.
#[track_caller]
fn only_part<T>(parts: &[T]) -> &T {
    match parts {
        [part] => part,
        _ => panic!("a snapshot of this service is one piece, not {}", parts.len()),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;
    use crate::Service;

    /// Numbers that look random: Knuth's linear congruential generator, of which the upper bits are good.
    pub(super) struct Random(u64);

    impl Random {
        pub(super) fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % bound
        }
    }

    /// Restores snapshots of a service that goes through random operations, each into one that has gone
    /// through others: both must then be equal and answer alike whatever follows. Returns how many pieces the
    /// largest snapshot had.
    pub(super) fn most_parts_restored<S>(initial: &S, draw: impl Fn(&mut Random) -> S::Operation) -> usize
    where
        S: Service<Response: PartialEq> + Clone + PartialEq + Debug,
    {
        let (mut random, mut service, mut other) = (Random(1), initial.clone(), initial.clone());
        let (mut most_parts, mut different) = (0, 0);
        for _ in 0..100 {
            for _ in 0..random.below(20) {
                service.execute(&draw(&mut random));
                other.execute(&draw(&mut random));
            }
            different += u32::from(service != other);
            let parts = service.snapshot();
            most_parts = most_parts.max(parts.len());
            let mut restored = other.clone();
            restored.restore(&parts);
            assert_eq!(restored, service);
            assert_eq!(format!("{:?}", restored.snapshot()), format!("{parts:?}"));
            answer_alike(service.clone(), restored, &mut random, &draw);
        }
        assert!(different > 50, "{different}: restoring has something to replace");
        most_parts
    }

    fn answer_alike<S>(
        mut one: S,
        mut two: S,
        random: &mut Random,
        draw: impl Fn(&mut Random) -> S::Operation,
    ) where
        S: Service<Response: PartialEq>,
    {
        for _ in 0..50 {
            let operation = draw(random);
            let observed = one.observe(&operation);
            let before = one.snapshot();
            let (first, second) = (one.execute(&operation), two.execute(&operation));
            if let Some(observed) = observed {
                assert!(observed == first, "{operation:?}: observed {observed:?}, executed {first:?}");
                assert_eq!(
                    format!("{before:?}"),
                    format!("{:?}", one.snapshot()),
                    "{operation:?} changes something"
                );
            }
            assert!(first == second, "{operation:?}: {first:?} and {second:?}");
        }
    }

    #[test]
    fn parts_are_full_but_the_last() {
        for (entries, expected) in [(0, vec![]), (1, vec![1]), (64, vec![64]), (65, vec![64, 1])] {
            let parts = in_parts(0..entries);
            assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), expected);
            assert!(parts.iter().flat_map(|part| part.iter().copied()).eq(0..entries));
        }
    }

    #[test]
    #[should_panic = "a snapshot of this service is one piece, not 2"]
    fn pieces_of_two_snapshots_are_refused() {
        only_part(&[1, 2]);
    }
}
