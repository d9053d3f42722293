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
/// How many members that stay are asked to change between active and witness, which is refused.
const CHANGES_SIDES: u32 = 20_000;
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
    let witnesses = if scene.has_witnesses { witnesses(random, scene, &members) } else { Vec::new() };
    Strike::Now(Action::Reconfigure { members: members.into(), witnesses: witnesses.into() })
}

/// Who stays a member stays what it is, mostly; of the others any may become witnesses.
fn witnesses(random: &mut ChaCha8Rng, scene: &Scene, members: &[u8]) -> Vec<u8> {
    let mut becomes_witness = |&id: &u8| {
        let (is_member, is_witness) =
            (scene.group.contains(ReplicaId(id)), scene.group.is_witness(ReplicaId(id)));
        let changes_sides = random.chance(CHANGES_SIDES);
        if is_member { is_witness != changes_sides } else { random.chance(400_000) }
    };
    let mut witnesses: Vec<u8> = members.iter().copied().filter(|id| becomes_witness(id)).collect();
    while witnesses.len() > (members.len() - 1) / 2 {
        witnesses.remove(random.below(witnesses.len() as u64) as usize);
    }
    witnesses
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
