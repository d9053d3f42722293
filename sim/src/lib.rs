//! Deterministic simulation of Viewstamped Replication.

pub mod bugs;
pub mod check;
pub mod client_slot;
pub mod clock;
pub mod decisions;
pub mod digest;
pub mod environment;
pub mod event_queue;
pub mod faults;
pub mod marks;
pub mod network;
pub mod node;
pub mod packet;
pub mod random;
pub mod registry;
pub mod run;
pub mod scenario;
pub mod setup;
pub mod trace;
pub mod workload;
pub mod world;
