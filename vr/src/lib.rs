#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod client;
mod client_table;
mod configuration;
mod entropy;
mod log;
mod message;
mod outbox;
mod replica;
mod rules;
mod service;
pub mod services;
mod types;

pub use client::{Client, ClientEvent, ClientOptions, ClientOutbox, NotReady};
pub use client_table::{ClientTable, Registration, Session};
pub use configuration::{Configuration, InvalidGroupSize, InvalidOptions, MAX_REPLICAS, Options};
pub use log::{Entry, Log};
pub use message::{
    Commit, DoViewChange, GetState, Message, MessageKind, NewState, Nonce, Payload, Prepare, PrepareOk,
    Recovery, RecoveryResponse, Reply, ReplyBody, Request, RequestBody, StartView, StartViewChange,
};
pub use outbox::{Execution, Ignored, Outbox, Outcome, RarePath, Role, ViewStart};
pub use replica::{Member, Replica};
pub use rules::{Admission, HeldState, LogSummary, RecoveryAnswer, Rules, Standard};
pub use service::Service;
pub use types::{
    ClientAddress, ClientId, CommitNumber, Duration, Incarnation, Instant, OpNumber, ReplicaId,
    RequestNumber, View,
};
