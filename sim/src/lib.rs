//! Deterministic simulation of Viewstamped Replication: a group of real [`vr`] replicas and their clients
//! in one thread, on a virtual network and virtual clocks, under faults that all follow from one seed, and
//! checked while they run.
//!
//! Data flows one way. A [`scenario`] and a seed give a [`setup::Setup`], in which nothing is left open.
//! The setup gives a [`world::World`]; the world is stepped; the [`check`]s observe what replicas and
//! clients do; the first violation, or the end, gives a [`run::Report`]. Sweeps, traces, replays and the
//! self test are readers of that: the world knows none of them, and the replicas do not know the world.
//!
//! # Your own service
//!
//! Implement [`vr::Service`] and [`workload::Workload`] (about fifty lines: the service, a generator of
//! operations, a sequential model), and all of this is yours:
//!
//! ```
//! use sim::scenario::{Overrides, Scenario};
//! use sim::workload::key_value::KeyValue;
//!
//! let scenario = Scenario::find("swarm")?;
//! for seed in 0..10 {
//!     let report = sim::run::<KeyValue>(&scenario.resolve(seed, &Overrides::default()));
//!     assert!(report.violation().is_none(), "seed {seed}: {report:?}");
//! }
//! # Ok::<(), sim::scenario::ScenarioError>(())
//! ```
//!
//! # Determinism
//!
//! The same setup gives the same run, to the byte, in every build and on every machine. There is no clock,
//! no thread and no floating point in anything that reaches an event, and no iteration over maps with
//! random state. Each purpose draws from a stream of its own, and what befalls a message is a keyed digest
//! of what the message is; so a draw more in one place moves nothing in another.

pub mod bugs;
pub mod check;
pub mod chronicle;
pub mod cli;
pub mod client_slot;
pub mod clock;
pub mod code;
pub mod decisions;
pub mod difference;
pub mod digest;
pub mod environment;
pub mod event_queue;
pub mod explain;
pub mod faults;
pub mod groups;
pub mod guided;
pub mod history;
pub mod hosts;
pub mod marks;
pub mod network;
pub mod node;
pub mod packet;
pub mod patched;
pub mod random;
pub mod records;
pub mod registry;
pub mod replay;
pub mod run;
pub mod scenario;
pub mod selftest;
pub mod setup;
pub mod shrink;
pub mod stage;
pub mod story;
pub mod sweep;
pub mod timeline;
pub mod trace;
pub mod view;
mod whole_file;
pub mod workload;
pub mod world;

pub use run::run;
