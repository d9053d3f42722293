//! Hosts under simulation: real [`vr::Host`]s, each with a replica of the supervisor and those of the groups that it has
//! put there, on the virtual network and under the faults of any other run.
//!
//! A host is a node here. A fault strikes it as a whole: who crashes loses its replicas of all groups, and a link that is
//! cut is cut for all of them. Each group has clients and checks of its own; those of a group begin to work once a user has
//! been told that it is started. The user goes on to start, stop and move groups while everything else goes wrong, and
//! hosts replace those that seem to be dead. What the supervisor's log says of it is held against what happens:
//! see [`check::directory`](crate::check::directory).
//!
//! Groups have the numbers that the supervisor gives them; its own group is the first, number zero.

mod budget;
mod clients;
mod conduct;
mod ending;
mod faults;
pub mod mail;
mod port;
mod user;
mod world;

use std::fmt;

use vr::supervisor;
use vr::{Application, HostRules, Rules, Service, Supervisor};

use crate::check::Checked;
use crate::digest;

pub use world::World;

/// Describes the state machine of a group. All groups of a run have the same one; the description only has to get to
/// where it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Machine;

/// What a user asks of the supervisor.
pub type Order = supervisor::Operation<Machine>;

/// What the supervisor answers.
pub type Answer = supervisor::Response<Machine>;

/// The supervisor's service.
pub type Directory = Supervisor<Machine>;

/// What runs on the hosts: groups of one service.
pub struct Running<S>(pub fn() -> S);

impl<S: Service> Application for Running<S> {
    type Machine = Machine;
    type Service = S;

    fn service(&self, _: &Machine) -> S {
        self.0()
    }
}

impl<S> Clone for Running<S> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<S> fmt::Debug for Running<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Running")
    }
}

/// How many groups there may be at a time.
pub const GROUPS_MAX: usize = 8;

/// The supervisor's group, as checks see it.
#[derive(Clone, Copy, Debug)]
pub struct Supervising;

impl Checked for Supervising {
    type Service = Directory;

    fn service() -> Directory {
        // What it knows comes from a checkpoint; who could be named in it is not part of what is compared.
        Supervisor::new(vr::Configuration::new(1).expect("one node"), GROUPS_MAX)
    }

    fn digest(directory: &Directory) -> u64 {
        directory.snapshot().iter().fold(0, |digest, part| digest::mix(digest, digest::of(part)))
    }
}

/// The rules of hosts, and of all that lives in them.
pub trait AllRules: Rules + HostRules<Replica = Self> + Clone {}

impl<R: Rules + HostRules<Replica = R> + Clone> AllRules for R {}
