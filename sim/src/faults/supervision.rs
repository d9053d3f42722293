//! What the supervisor's user does: starts, stops and moves groups, and looks where they are.

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use vr::{MIN_MEMBERS, ReplicaId};

use super::{Action, Scene, Strike};
use crate::groups;
use crate::random::Draw;

/// How many moves leave no host where it was, if there are others enough, in parts per million.
const MOVES_AWAY: u32 = 300_000;

/// Something that the user asks of the supervisor. Groups go by their numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Deed {
    /// Start a group on these hosts.
    Start {
        /// Its first members.
        hosts: Arc<[u8]>,
    },
    /// Stop a group.
    Stop {
        /// Which one.
        group: u64,
    },
    /// Move a group to these hosts.
    Move {
        /// Which one.
        group: u64,
        /// Its next members.
        hosts: Arc<[u8]>,
    },
    /// Where is a group?
    Find {
        /// Which one.
        group: u64,
    },
}

pub(super) fn strike(random: &mut ChaCha8Rng, scene: &Scene) -> Strike {
    let deed = random.below(10);
    let (group, hosts) = match &scene.groups[..] {
        [] => (0, groups::draw_hosts(random, scene.hosts)),
        groups => {
            let (group, members) = random.pick(groups);
            let others: Vec<u8> = (0..scene.hosts).filter(|&id| !members.contains(ReplicaId(id))).collect();
            let moves_away = others.len() >= MIN_MEMBERS && random.chance(MOVES_AWAY);
            (group, if moves_away { others } else { groups::draw_hosts(random, scene.hosts) })
        }
    };
    let hosts = hosts.into();
    Strike::Now(Action::Ask(match deed {
        0 => Deed::Start { hosts },
        1 if scene.groups.len() > 1 => Deed::Stop { group },
        2 | 3 => Deed::Find { group },
        _ => Deed::Move { group, hosts },
    }))
}
