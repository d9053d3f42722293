//! Crashes: a replica loses its memory and starts again. Whether the group can stand one more is for the
//! world to say.

use rand_chacha::ChaCha8Rng;

use super::{Action, Ambush, Scene, Strike};
use crate::random::Draw;
use crate::setup::{CrashFaults, CrashTarget};

/// The longest time in which a quick restart happens, in nanoseconds: less than any timeout.
const QUICK: u64 = 3_000_000;

pub(super) fn strike(random: &mut ChaCha8Rng, faults: &CrashFaults, scene: &Scene) -> Strike {
    let target = random.pick(&faults.targets);
    let any = random.pick(&scene.replicas());
    let quick = random.chance(faults.quick_restart_per_million);
    let slow = random.around(faults.downtime_mean_us * 1_000);
    let restart_after = if quick { random.below(QUICK) } else { slow };
    let replica = match target {
        CrashTarget::Random => any,
        CrashTarget::Primary => scene.primary(scene.view),
        CrashTarget::NextPrimary => scene.primary(scene.view.next()),
        CrashTarget::AfterDoViewChange
        | CrashTarget::DuringRecovery
        | CrashTarget::BeforeQuorum
        | CrashTarget::AfterRecoveryResponse
        | CrashTarget::AfterStartView => {
            return Strike::Ambush(Ambush { target, restart_after });
        }
    };
    Strike::Now(Action::Crash { replica: replica.0, target, restart_after })
}
