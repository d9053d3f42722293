//! The same seed gives the same run: twice in a process, in every build, on every machine; and a world
//! that was copied goes on like the original.

use std::sync::Arc;

use sim::registry::run_plain;
use sim::scenario::{Overrides, Scenario};
use sim::workload::key_value::KeyValue;
use sim::world::World;
use vr::Standard;

fn digest(scenario: &str, seed: u64, steps: u64) -> u64 {
    let overrides = Overrides { steps: Some(steps), ..Overrides::default() };
    let setup = Arc::new(Scenario::find(scenario).expect("built in").resolve(seed, &overrides));
    run_plain(&setup, None).expect("a known workload").digest
}

/// These digests change whenever the protocol, the simulator or a scenario does; then write the new ones
/// here. They must not depend on the build or the machine: the test runs in both profiles.
#[test]
fn digests_are_the_same_in_every_build_and_on_every_machine() {
    let digests = ["swarm", "crash-storm", "busy-clients", "supervised-groups"]
        .map(|scenario| digest(scenario, 42, 20_000));
    assert_eq!(digests.map(|digest| format!("{digest:016x}")), GOLDEN);
}

const GOLDEN: [&str; 4] = ["b2dfa46b61467626", "3acd4a0609c4a9c0", "8f3f311a079faf00", "d6c6f92f0b0f053b"];

#[test]
fn a_seed_run_twice_gives_one_digest_and_two_seeds_two() {
    for scenario in Scenario::builtin() {
        let name = scenario.name();
        assert_eq!(digest(name, 7, 2_000), digest(name, 7, 2_000), "{name}");
        assert_ne!(digest(name, 7, 2_000), digest(name, 8, 2_000), "{name}");
    }
}

#[test]
fn a_copied_world_goes_on_like_the_original() {
    let overrides = Overrides { steps: Some(3_000), replicas: Some(3), ..Overrides::default() };
    let setup = Arc::new(Scenario::find("primary-hunt").expect("built in").resolve(11, &overrides));
    let mut original = World::<KeyValue, Standard>::new(setup, Standard, None, false);
    for _ in 0..1_000 {
        original.step();
    }
    let mut copy = original.clone();
    while original.step() {}
    while copy.step() {}
    assert_eq!(original.environment().digest, copy.environment().digest);
    assert_eq!(original.environment().steps, copy.environment().steps);
}

/// A draw for one purpose moves nothing for another: with another number of client keys, faults strike at
/// the same times.
#[test]
fn streams_do_not_disturb_each_other() {
    let overrides =
        Overrides { steps: Some(2_000), replicas: Some(3), clients: Some(4), ..Overrides::default() };
    let setup = Scenario::find("crash-storm").expect("built in").resolve(3, &overrides);
    let mut other = setup.clone();
    other.traffic.keys += 7;
    let actions = |setup| {
        let (_, trace) = sim::registry::record(&Arc::new(setup), None).expect("a known workload");
        let timed = trace.decisions.actions.into_iter().filter(|done| done.when_sent.is_none());
        timed.map(|done| done.at).take(3).collect::<Vec<_>>()
    };
    let (first, second) = (actions(setup), actions(other));
    assert!(!first.is_empty());
    assert_eq!(first, second);
}
