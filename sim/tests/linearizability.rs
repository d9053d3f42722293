//! On the histories of real runs, the search alone comes to the verdict of the order of commits.

use std::sync::Arc;

use sim::check::linearizability::{Verdict, judge};
use sim::check::{Properties, Property};
use sim::scenario::{Overrides, Scenario};
use sim::workload::Workload;
use sim::workload::key_value::{KeyValue, Response};
use sim::world::World;
use vr::Standard;

/// How many seeds of `leases-beyond-the-bound` are run: one in some hundreds shows a stale read.
const SEEDS_BEYOND: u64 = 1_000;

#[test]
fn the_search_alone_finds_the_histories_of_runs_linearizable() {
    let (mut operations, mut undecided) = (0, 0);
    for scenario in ["swarm", "busy-clients", "primary-hunt"] {
        let scenario = Scenario::find(scenario).expect("built in");
        for seed in 0..40 {
            let overrides = Overrides { steps: Some(800), ..Overrides::default() };
            let setup = Arc::new(scenario.resolve(seed, &overrides));
            if !setup.groups.is_empty() {
                // Each group has a history of its own.
                continue;
            }
            let mut world = World::<KeyValue, Standard>::new(setup, Standard, None, false);
            while world.step() {}
            assert_eq!(world.violation(), None, "seed {seed} of {}", scenario.name());
            let history = &world.environment().history;
            let verdict = judge(&KeyValue::model(), history, None, 2_000_000);
            match verdict {
                Verdict::Linearizable => operations += history.len(),
                // Many requests without a known outcome: too many ways, as the search says itself.
                Verdict::Undecided(_) => undecided += 1,
                Verdict::NotLinearizable(refusal) => panic!("seed {seed} of {}: {refusal}", scenario.name()),
            }
        }
    }
    assert!(
        operations > 5_000 && undecided < 12,
        "{operations} operations judged, {undecided} runs undecided"
    );
}

/// An answer of a real run, replaced by that to another operation of the same kind, is refused.
#[test]
fn a_changed_answer_is_found() {
    let overrides = Overrides { steps: Some(1_500), clients: Some(4), ..Overrides::default() };
    let setup = Arc::new(Scenario::find("calm").expect("built in").resolve(2, &overrides));
    let mut world = World::<KeyValue, Standard>::new(setup, Standard, None, false);
    while world.step() {}
    let mut history = world.environment().history.clone();
    let mut refused = 0;
    for index in 0..60 {
        let Some((at, answer)) = history[index].returned else { continue };
        let is_other = |other: &Response| {
            *other != answer && std::mem::discriminant(other) == std::mem::discriminant(&answer)
        };
        let answers = history.iter().filter_map(|call| call.returned.map(|(_, answer)| answer));
        let Some(other) = answers.into_iter().find(is_other) else { continue };
        history[index].returned = Some((at, other));
        let verdict = judge(&KeyValue::model(), &history, None, 2_000_000);
        refused += usize::from(matches!(verdict, Verdict::NotLinearizable(_)));
        history[index].returned = Some((at, answer));
    }
    assert!(refused > 30, "{refused} changed answers were refused");
}

/// The run of a seed of `leases-beyond-the-bound`, to its end or to what is violated of the properties that are on.
fn beyond_the_bound(seed: u64, off: Properties) -> World<KeyValue, Standard> {
    let scenario = Scenario::find("leases-beyond-the-bound").expect("built in");
    let setup = Arc::new(scenario.resolve(seed, &Overrides::default()));
    let mut world = World::<KeyValue, Standard>::new(setup, Standard, None, false);
    world.environment_mut().checks.turn_off(off);
    while world.step() {}
    world
}

/// That clocks keep to the bound is needed: where they do not, clients read what others have overwritten before. A
/// broken promise always comes first, and then the read on a lease that was none; here these go by without a word, until
/// a client has its answer. Then the whole of S14 does, and the search sees it in what the clients saw alone.
#[test]
fn beyond_the_bound_of_leases_clients_see_stale_values() {
    let promises = Properties::NONE.with(Property::S15).with(Property::S24);
    let (mut told, mut seen) = (0, 0);
    for seed in 0..SEEDS_BEYOND {
        let world = beyond_the_bound(seed, promises);
        let Some(violation) = world.violation() else { continue };
        assert_eq!(violation.signature(), "S14:read in the past", "seed {seed}: {violation}");
        told += 1;
        let world = beyond_the_bound(seed, promises.with(Property::S14));
        assert_eq!(world.violation(), None, "seed {seed}: nothing but reads is wrong");
        let verdict = judge(&KeyValue::model(), &world.environment().history, None, 2_000_000);
        // Where nobody had written the key in between, the value was right although it was old.
        seen += usize::from(matches!(verdict, Verdict::NotLinearizable(_)));
    }
    assert!(told >= 2 && seen >= 1, "{told} stale reads by op-numbers, {seen} by values");
}
