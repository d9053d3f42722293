//! Crashes of clients: whatever was outstanding has an unknown outcome, and a new client takes over.

use rand_chacha::ChaCha8Rng;

use super::{Action, Scene, Strike};
use crate::random::Draw;

pub(super) fn strike(random: &mut ChaCha8Rng, scene: &Scene) -> Strike {
    Strike::Now(Action::CrashClient { slot: random.below(scene.clients.into()) as u16 })
}
