#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod administrator;
mod checkpoint;
mod client;
mod client_table;
mod configuration;
mod entropy;
mod epoch;
pub mod host;
mod lease;
mod log;
mod message;
mod outbox;
mod replica;
mod rules;
mod service;
pub mod services;
pub mod supervisor;
mod types;

pub use checkpoint::{Checkpoint, Content, SESSIONS_PER_PART};
pub use client::{Client, ClientEvent, ClientOptions, ClientOutbox, Consistency, NotReady};
pub use client_table::{ClientTable, Registration, Session};
pub use configuration::{
    Configuration, InvalidGroupSize, InvalidMembers, InvalidOptions, MAX_REPLICAS, Members, Options,
};
pub use epoch::{EpochStart, MIN_MEMBERS, Reconfiguration, Refusal};
pub use host::{Application, Host, HostOptions, HostOutbox, HostRules, Node};
pub use log::{Entry, Log};
pub use message::{
    Batch, CheckpointPart, Commit, CommitOk, DoViewChange, EpochStarted, Freshness, GetCheckpoint, GetState,
    Message, MessageKind, NewState, Nonce, Payload, Prepare, PrepareOk, Pulse, Read, Recovery,
    RecoveryResponse, Reply, ReplyBody, Request, RequestBody, StartView, StartViewChange,
};
pub use outbox::{Basis, Execution, Ignored, Observation, Outbox, Outcome, RarePath, Role, ViewStart};
pub use replica::{Member, Replica};
pub use rules::{Admission, Asked, HeldState, LogSummary, RecoveryAnswer, Rules, Standard};
pub use service::{Prediction, Service};
pub use supervisor::{GroupId, Supervisor};
pub use types::{
    ClientAddress, ClientId, CommitNumber, Duration, Epoch, Incarnation, Instant, OpNumber, ReplicaId,
    RequestNumber, View,
};
