//! Clocks that jump ahead, so that timers fire early, and timers that fire late, on single nodes. (Offset and drift of clocks are drawn once a run.)

use rand_chacha::ChaCha8Rng;

use super::{Action, Scene, Strike};
use crate::node::Node;
use crate::random::Draw;
use crate::setup::ClockFaults;

pub(super) fn strike(random: &mut ChaCha8Rng, faults: &ClockFaults, scene: &Scene) -> Strike {
    let node = if random.chance(100_000) {
        Node::Client(random.below(scene.clients.into()) as u16)
    } else {
        Node::Replica(random.pick(&scene.replicas()))
    };
    let late = 1 + random.around(faults.late_mean_us * 1_000);
    Strike::Now(match node {
        Node::Replica(_) if faults.late_mean_us > 0 && random.chance(400_000) => {
            Action::FireLate { node, lasts: late }
        }
        _ => Action::FireEarly { node },
    })
}
