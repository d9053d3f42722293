//! Pauses: a node stands still while time goes on, then finds messages waiting and its timers overdue.

use rand_chacha::ChaCha8Rng;

use super::{Action, Scene, Strike};
use crate::node::Node;
use crate::random::Draw;
use crate::setup::PauseFaults;

pub(super) fn strike(random: &mut ChaCha8Rng, faults: &PauseFaults, scene: &Scene) -> Strike {
    let replicas = scene.replicas();
    let node = match random.below(10) {
        0 => Node::Client(random.below(scene.clients.into()) as u16),
        1..4 => Node::Replica(scene.primary(scene.view)),
        _ => Node::Replica(random.pick(&replicas)),
    };
    Strike::Now(Action::Pause { node, lasts: 1 + random.around(faults.duration_mean_us * 1_000) })
}
