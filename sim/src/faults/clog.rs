//! Clogs: links that keep everything for a while and then let it go at once.

use rand_chacha::ChaCha8Rng;

use super::{Action, Scene, Strike};
use crate::node::Node;
use crate::random::Draw;
use crate::setup::ClogFaults;

pub(super) fn strike(random: &mut ChaCha8Rng, faults: &ClogFaults, scene: &Scene) -> Strike {
    let replicas = scene.replicas();
    let one = Node::Replica(random.pick(&replicas));
    let other = if random.chance(250_000) {
        Node::Client(random.below(scene.clients.into()) as u16)
    } else {
        Node::Replica(random.pick(&replicas))
    };
    if one == other {
        return Strike::Nothing;
    }
    let links = match random.below(3) {
        0 => vec![(one, other)],
        1 => vec![(other, one)],
        _ => vec![(one, other), (other, one)],
    };
    let lasts = 1 + random.around(faults.duration_mean_us * 1_000);
    Strike::Now(Action::Clog { links: links.into(), lasts })
}
