//! Deterministic simulation of Viewstamped Replication.

pub mod digest;
pub mod random;
pub mod setup;
pub mod workload;
