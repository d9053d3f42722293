//! Faults: what strikes, when, and whom. One file for each family.
//!
//! A family draws an [`Action`] when its time has come, from a stream of its own. Actions are plain data:
//! the world applies them, a trace records them, a replay applies them again without any family.

mod client;
mod clock;
mod clog;
mod crash;
pub mod lingering;
mod partition;
mod pause;
mod reconfiguration;
mod supervision;

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use vr::{Configuration, ReplicaId, View};

use crate::groups::Placement;
use crate::node::Node;
use crate::random::{self, Purpose};
use crate::setup::{CrashTarget, PartitionShape, Setup};

pub use supervision::Deed;

/// Something that is done to the system. Times are in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// These links carry nothing for a while.
    Cut {
        /// What the cut looks like.
        shape: PartitionShape,
        /// The links, each with its direction.
        links: Arc<[(Node, Node)]>,
        /// For how long.
        lasts: u64,
    },
    /// These links keep everything for a while.
    Clog {
        /// The links, each with its direction.
        links: Arc<[(Node, Node)]>,
        /// For how long.
        lasts: u64,
    },
    /// A replica loses its memory.
    Crash {
        /// Which one.
        replica: ReplicaName,
        /// How it was chosen.
        target: CrashTarget,
        /// After how long it starts again.
        restart_after: u64,
    },
    /// A node stands still for a while.
    Pause {
        /// Which one.
        node: Node,
        /// For how long.
        lasts: u64,
    },
    /// A node's clock jumps ahead, so that its next timer fires at once.
    FireEarly {
        /// Which node.
        node: Node,
    },
    /// A node's timers do not fire for a while.
    FireLate {
        /// Which node.
        node: Node,
        /// For how long.
        lasts: u64,
    },
    /// A node's clock goes on at another rate.
    SetRate {
        /// Which node.
        node: Node,
        /// By how much it is fast from now on, in parts per million; slow, if negative.
        drift_ppm: i32,
    },
    /// A client crashes; its slot starts over with a new one.
    CrashClient {
        /// Which slot.
        slot: u16,
    },
    /// These links carry nothing until they are mended.
    Sever {
        /// The links, each with its direction.
        links: Arc<[(Node, Node)]>,
    },
    /// Severed links carry messages again.
    Mend {
        /// The links, each with its direction.
        links: Arc<[(Node, Node)]>,
    },
    /// A replica loses its memory, and stays down until it is restarted.
    Kill {
        /// Which one.
        replica: ReplicaName,
    },
    /// A replica that is down starts again.
    Restart {
        /// Which one.
        replica: ReplicaName,
    },
    /// A node stands still until it is resumed.
    Halt {
        /// Which one.
        node: Node,
    },
    /// A node goes on.
    Resume {
        /// Which one.
        node: Node,
    },
    /// The administrator asks for another group, or another one takes over and does.
    Reconfigure {
        /// Its members, in order.
        members: Arc<[ReplicaName]>,
        /// Those of them who are to be witnesses, in order.
        #[serde(default = "nobody", skip_serializing_if = "is_nobody")]
        witnesses: Arc<[ReplicaName]>,
    },
    /// A node that is no member is told to fetch the state ahead of time.
    WarmUp {
        /// Which one.
        replica: ReplicaName,
    },
    /// The supervisor's user asks for something.
    Ask(Deed),
}

fn nobody() -> Arc<[ReplicaName]> {
    Arc::new([])
}

fn is_nobody(nodes: &Arc<[ReplicaName]>) -> bool {
    nodes.is_empty()
}

/// The group of these members, with as many of these witnesses as it can have; `None` where there can be none of the
/// members.
#[must_use]
pub fn group_of(members: &[ReplicaName], witnesses: &[ReplicaName]) -> Option<Configuration> {
    let group = Configuration::of(members.iter().copied().map(ReplicaId)).ok()?;
    let witnesses = witnesses.iter().copied().map(ReplicaId).filter(|&id| group.contains(id));
    group.with_witnesses(witnesses.take(group.failures_tolerated())).ok()
}

impl Action {
    /// How long it lasts, in nanoseconds; zero for what happens at once.
    #[must_use]
    pub const fn lasts(&self) -> u64 {
        match self {
            Self::Cut { lasts, .. }
            | Self::Clog { lasts, .. }
            | Self::Pause { lasts, .. }
            | Self::FireLate { lasts, .. }
            | Self::Crash { restart_after: lasts, .. } => *lasts,
            Self::FireEarly { .. }
            | Self::SetRate { .. }
            | Self::CrashClient { .. }
            | Self::Sever { .. }
            | Self::Mend { .. }
            | Self::Kill { .. }
            | Self::Restart { .. }
            | Self::Halt { .. }
            | Self::Resume { .. }
            | Self::Reconfigure { .. }
            | Self::WarmUp { .. }
            | Self::Ask(_) => 0,
        }
    }

    /// The replica whose host it is done to, if it is done to one.
    #[must_use]
    pub const fn host_of(&self) -> Option<ReplicaId> {
        match *self {
            Self::Crash { replica, .. } | Self::Kill { replica } | Self::Restart { replica } => {
                Some(ReplicaId(replica))
            }
            Self::Pause { node: Node::Replica(replica), .. }
            | Self::FireEarly { node: Node::Replica(replica) }
            | Self::SetRate { node: Node::Replica(replica), .. }
            | Self::FireLate { node: Node::Replica(replica), .. }
            | Self::Halt { node: Node::Replica(replica) }
            | Self::Resume { node: Node::Replica(replica) } => Some(replica),
            _ => None,
        }
    }

    /// The same, with another replica that says which host it is done to.
    #[must_use]
    pub const fn named_by(mut self, other: ReplicaId) -> Self {
        match &mut self {
            Self::Crash { replica, .. } | Self::Kill { replica } | Self::Restart { replica } => {
                *replica = other.0;
            }
            Self::Pause { node, .. }
            | Self::FireEarly { node }
            | Self::SetRate { node, .. }
            | Self::FireLate { node, .. }
            | Self::Halt { node }
            | Self::Resume { node } => *node = Node::Replica(other),
            _ => {}
        }
        self
    }

    /// Something that is done to hosts, as something that is done to replicas. What happens to a host is named by a
    /// replica on it: that of `group`, if it has one there. `None`: there is nobody to do it to.
    #[must_use]
    pub fn on_replicas(mut self, placement: &Placement, group: usize) -> Option<Self> {
        if let Some(ReplicaId(host)) = self.host_of() {
            let replica = placement.on_host_in(group, host).or_else(|| placement.on_host(host).next());
            return Some(self.named_by(replica?));
        }
        if let Self::Cut { links, .. }
        | Self::Clog { links, .. }
        | Self::Sever { links }
        | Self::Mend { links } = &mut self
        {
            *links = placement.links(links).into();
            return (!links.is_empty()).then_some(self);
        }
        Some(self)
    }

    /// The nodes that it is done to.
    pub fn nodes(&self) -> impl Iterator<Item = Node> {
        let (links, node) = match self {
            Self::Cut { links, .. }
            | Self::Clog { links, .. }
            | Self::Sever { links }
            | Self::Mend { links } => (&**links, None),
            Self::Crash { replica, .. }
            | Self::Kill { replica }
            | Self::Restart { replica }
            | Self::WarmUp { replica } => (&[][..], Some(Node::Replica(ReplicaId(*replica)))),
            Self::Reconfigure { .. } | Self::Ask(_) => (&[][..], None),
            Self::CrashClient { slot } => (&[][..], Some(Node::Client(*slot))),
            Self::Pause { node, .. }
            | Self::FireEarly { node }
            | Self::SetRate { node, .. }
            | Self::FireLate { node, .. }
            | Self::Halt { node }
            | Self::Resume { node } => (&[][..], Some(*node)),
        };
        let hosts = match self {
            Self::Ask(Deed::Start { hosts } | Deed::Move { hosts, .. }) => &**hosts,
            _ => &[],
        };
        let hosts = hosts.iter().map(|&host| Node::Replica(ReplicaId(host)));
        links.iter().flat_map(|&(from, to)| [from, to]).chain(node).chain(hosts)
    }
}

/// A replica's index in a trace.
pub type ReplicaName = u8;

/// Waits for a moment of the protocol to crash a replica.
#[derive(Clone, Copy, Debug)]
pub struct Ambush {
    /// The moment.
    pub target: CrashTarget,
    /// After how long the replica starts again, in nanoseconds.
    pub restart_after: u64,
}

/// What a family decided.
#[derive(Clone, Debug)]
pub enum Strike {
    /// Nothing fits at present.
    Nothing,
    /// Do this now.
    Now(Action),
    /// Do it when the moment comes.
    Ambush(Ambush),
}

/// What families see of the system.
#[derive(Clone, Debug)]
pub struct Scene {
    /// How many hosts there are: where there is one group, these are the replicas.
    pub hosts: u8,
    /// The latest view that any replica of a group is in.
    pub view: View,
    /// The hosts of the members of its epoch.
    pub group: Configuration,
    /// Whether there are witnesses at first: then other groups have some too.
    pub has_witnesses: bool,
    /// Whether the administrator waits for an answer.
    pub administrator_waits: bool,
    /// The groups that the supervisor has started, by their numbers, with their members.
    pub groups: Vec<(u64, Configuration)>,
    /// How many client slots there are.
    pub clients: u16,
}

impl Scene {
    /// The host of the primary of `view`.
    #[must_use]
    pub fn primary(&self, view: View) -> ReplicaId {
        self.group.active_at(view.number())
    }

    fn replicas(&self) -> Vec<ReplicaId> {
        (0..self.hosts).map(ReplicaId).collect()
    }
}

/// The families in the order in which they are numbered in events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "see setup::Faults")]
pub enum Family {
    Partition,
    Clog,
    Crash,
    Pause,
    Clock,
    Client,
    Reconfiguration,
    Supervision,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 8] = [
        Self::Partition,
        Self::Clog,
        Self::Crash,
        Self::Pause,
        Self::Clock,
        Self::Client,
        Self::Reconfiguration,
        Self::Supervision,
    ];

    const fn purpose(self) -> Purpose {
        match self {
            Self::Partition => Purpose::Partition,
            Self::Clog => Purpose::Clog,
            Self::Crash => Purpose::Crash,
            Self::Pause => Purpose::Pause,
            Self::Clock => Purpose::Timer,
            Self::Client => Purpose::ClientFault,
            Self::Reconfiguration => Purpose::Reconfiguration,
            Self::Supervision => Purpose::Supervision,
        }
    }
}

/// A family that is on, with its own stream.
#[derive(Clone, Debug)]
pub struct Source {
    family: Family,
    random: ChaCha8Rng,
}

impl Source {
    /// The families that are on in `setup`.
    #[must_use]
    pub fn all(setup: &Setup) -> Vec<Self> {
        let is_on = |family: &Family| interval_mean_us(*family, setup).is_some_and(|mean| mean > 0);
        let source = |family: Family| Self { family, random: random::stream(setup.seed, family.purpose()) };
        Family::ALL.into_iter().filter(is_on).map(source).collect()
    }

    /// The time until the family strikes next, in nanoseconds.
    pub fn next_in(&mut self, setup: &Setup) -> u64 {
        let mean = interval_mean_us(self.family, setup).expect("the family is on");
        1 + random::Draw::around(&mut self.random, mean * 1_000)
    }

    /// What the family does now.
    pub fn strike(&mut self, setup: &Setup, scene: &Scene) -> Strike {
        let (random, faults) = (&mut self.random, &setup.faults);
        match self.family {
            Family::Partition => {
                faults.partition.as_ref().map(|faults| partition::strike(random, faults, scene))
            }
            Family::Clog => faults.clog.as_ref().map(|faults| clog::strike(random, faults, scene)),
            Family::Crash => faults.crash.as_ref().map(|faults| crash::strike(random, faults, scene)),
            Family::Pause => faults.pause.as_ref().map(|faults| pause::strike(random, faults, scene)),
            Family::Clock => faults.clock.as_ref().map(|faults| clock::strike(random, faults, scene)),
            Family::Client => faults.client.as_ref().map(|_| client::strike(random, scene)),
            Family::Reconfiguration => {
                faults.reconfiguration.as_ref().map(|_| reconfiguration::strike(random, scene))
            }
            Family::Supervision => setup.supervision.as_ref().map(|_| supervision::strike(random, scene)),
        }
        .expect("the family is on")
    }
}

fn interval_mean_us(family: Family, setup: &Setup) -> Option<u64> {
    let faults = &setup.faults;
    match family {
        Family::Partition => faults.partition.as_ref().map(|faults| faults.interval_mean_us),
        Family::Clog => faults.clog.as_ref().map(|faults| faults.interval_mean_us),
        Family::Crash => faults.crash.as_ref().map(|faults| faults.interval_mean_us),
        Family::Pause => faults.pause.as_ref().map(|faults| faults.interval_mean_us),
        Family::Clock => faults.clock.as_ref().map(|faults| faults.timer_interval_mean_us),
        Family::Client => faults.client.as_ref().map(|faults| faults.crash_interval_mean_us),
        Family::Reconfiguration => faults.reconfiguration.as_ref().map(|faults| faults.interval_mean_us),
        Family::Supervision => setup.supervision.as_ref().map(|it| it.deed_interval_mean_us),
    }
}
