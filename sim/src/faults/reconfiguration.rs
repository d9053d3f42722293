//! Reconfigurations: which group the administrator asks for next. What cannot be is asked for too, to be refused.

use rand_chacha::ChaCha8Rng;
use vr::ReplicaId;

use super::{Action, Scene, Strike};
use crate::random::Draw;

/// How many requests are made while another one is not answered, in parts per million.
const IMPATIENT: u32 = 150_000;
/// How many deeds are to let a node fetch the state ahead of time.
const WARM_UP: u32 = 250_000;
/// How many requests are for what must be refused.
const IMPOSSIBLE: u32 = 80_000;
/// The largest group that is asked for.
const LARGEST: u64 = 7;

pub(super) fn strike(random: &mut ChaCha8Rng, scene: &Scene) -> Strike {
    let nodes = scene.replicas();
    if random.chance(WARM_UP) {
        return Strike::Now(Action::WarmUp { replica: random.pick(&nodes).0 });
    }
    let is_impatient = random.chance(IMPATIENT);
    let members = if random.chance(IMPOSSIBLE) { impossible(random, scene) } else { possible(random, scene) };
    if scene.administrator_waits && !is_impatient {
        return Strike::Nothing;
    }
    let mut members: Vec<u8> = members.into_iter().map(|node| node.0).collect();
    members.sort_unstable();
    Strike::Now(Action::Reconfigure { members: members.into() })
}

/// The present group once more, or one that is too small.
fn impossible(random: &mut ChaCha8Rng, scene: &Scene) -> Vec<ReplicaId> {
    if random.chance(500_000) {
        return scene.group.members().collect();
    }
    let mut few = shuffled(random, scene.replicas());
    few.truncate(1 + random.below(2) as usize);
    few
}

/// One or two are replaced, added or removed; everybody is replaced; or any nodes are taken.
fn possible(random: &mut ChaCha8Rng, scene: &Scene) -> Vec<ReplicaId> {
    let outside = scene.replicas().into_iter().filter(|&node| !scene.group.contains(node)).collect();
    let outside = shuffled(random, outside);
    let mut inside = shuffled(random, scene.group.members().collect());
    let some = 1 + random.below(2) as usize;
    match random.below(6) {
        0 | 1 if !outside.is_empty() => {
            inside.truncate(inside.len().saturating_sub(some.min(outside.len())));
            inside.extend(outside.iter().take(some));
            inside
        }
        2 if outside.len() >= 3 => outside,
        3 if !outside.is_empty() => inside.into_iter().chain(outside.into_iter().take(some)).collect(),
        4 if inside.len() > 3 => inside.split_off(some.min(inside.len() - 3)),
        _ => {
            let mut any = shuffled(random, scene.replicas());
            any.truncate(3 + random.below(LARGEST - 2) as usize);
            any
        }
    }
}

fn shuffled(random: &mut ChaCha8Rng, mut nodes: Vec<ReplicaId>) -> Vec<ReplicaId> {
    for last in (1..nodes.len()).rev() {
        nodes.swap(last, random.below(last as u64 + 1) as usize);
    }
    nodes
}
