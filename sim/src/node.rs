//! The nodes of the simulated system: replicas and client processes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vr::ReplicaId;

/// A replica or a client slot. Written `r0`, `r1`, … and `c0`, `c1`, ….
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    /// The replica with this index.
    Replica(ReplicaId),
    /// The client slot with this index. When a client crashes, its successor takes the slot over.
    Client(u16),
}

impl Node {
    /// The node's row in tables that hold replicas first and then clients.
    #[inline]
    #[must_use]
    pub const fn index(self, replicas: usize) -> usize {
        match self {
            Self::Replica(replica) => replica.index(),
            Self::Client(slot) => replicas + slot as usize,
        }
    }

    /// The number that names the node in digests and streams.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Replica(replica) => replica.0 as u16,
            Self::Client(slot) => 1 << 8 | slot,
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replica(replica) => replica.fmt(formatter),
            Self::Client(slot) => write!(formatter, "c{slot}"),
        }
    }
}

/// A text that names no node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotANode(String);

impl fmt::Display for NotANode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` is no node: expected r0, r1, … or c0, c1, …", self.0)
    }
}

impl std::error::Error for NotANode {}

impl FromStr for Node {
    type Err = NotANode;

    fn from_str(text: &str) -> Result<Self, NotANode> {
        let refused = || NotANode(text.to_owned());
        if let Some(index) = text.strip_prefix('r') {
            return index.parse().map(|index| Self::Replica(ReplicaId(index))).map_err(|_| refused());
        }
        let slot = text.strip_prefix('c').ok_or_else(refused)?;
        slot.parse().ok().filter(|&slot| slot < 1 << 8).map(Self::Client).ok_or_else(refused)
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for node in [Node::Replica(ReplicaId(8)), Node::Client(63)] {
            assert_eq!(node.to_string().parse(), Ok(node));
        }
        for wrong in ["", "x1", "r", "r-1", "c300", "r256"] {
            assert!(wrong.parse::<Node>().is_err(), "{wrong}");
        }
    }
}
