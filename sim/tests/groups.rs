//! Several groups on the same hosts: each is checked, hosts fail with all that is on them, traces say it again.

mod common;

use std::sync::Arc;

use common::{code, folder, out, sim, told_again, violations};
use sim::faults::Action;
use sim::groups::Placement;
use sim::marks::Moment;
use sim::node::Node;
use sim::registry;
use sim::replay::{Likeness, Outcome, replay};
use sim::scenario::{Overrides, Scenario};
use sim::setup::Setup;
use sim::shrink::{Limits, Shrunk, shrink};
use sim::trace::Trace;
use sim::workload::key_value::KeyValue;
use sim::world::World;
use vr::{ReplicaId, Standard};

fn setup(seed: u64) -> Setup {
    let scenario = Scenario::find("several-groups").expect("built in");
    scenario.resolve(seed, &Overrides { workload: Some("key-value"), ..Overrides::default() })
}

fn world(seed: u64) -> World<KeyValue, Standard> {
    World::new(Arc::new(setup(seed)), Standard, None, true)
}

#[test]
fn every_group_works_and_is_judged() {
    for seed in 0..20 {
        let mut world = world(seed);
        while world.step() {}
        assert_eq!(world.violation(), None, "seed {seed}");
        let environment = world.environment();
        for group in 0..environment.placement.groups() {
            let clients = environment.placement.clients(group);
            let of_group = |client: u32| clients.contains(&(client as u16));
            let calls = environment.history.iter().filter(|call| of_group(call.client));
            let answered = calls.filter(|call| call.returned.is_some()).count();
            assert!(answered >= 2 * clients.len(), "seed {seed}, g{group}: {answered} answered");
            let committed = environment.checks.of(group).ghost.operations().len();
            assert!(committed >= answered / 2, "seed {seed}, g{group}: {committed} committed");
        }
    }
}

#[test]
fn a_host_crashes_with_all_that_is_on_it_and_within_what_each_group_can_stand() {
    let (mut hits, mut alone) = (0, 0);
    for seed in 0..40 {
        let mut world = world(seed);
        let mut seen = 0;
        while world.step() {
            let environment = world.environment();
            let actions = &environment.record.as_ref().expect("it is recorded").actions;
            let crashed = actions[seen..].iter().filter_map(|done| match done.action {
                Action::Crash { replica, .. } => Some(ReplicaId(replica)),
                _ => None,
            });
            for replica in crashed {
                let beside: Vec<_> = environment.placement.beside(replica).collect();
                assert!(beside.contains(&replica));
                let down = |id: &&ReplicaId| environment.checks[**id].members[**id].role.is_none();
                assert_eq!(beside.iter().filter(down).count(), beside.len(), "seed {seed}: {beside:?}");
                (hits, alone) = if beside.len() > 1 { (hits + 1, alone) } else { (hits, alone + 1) };
            }
            seen = actions.len();
            for checks in environment.checks.iter() {
                let members = &checks.members;
                assert!(members.amnesiacs_in(members.group()) <= members.failures_tolerated());
            }
        }
        let marked = world.marks().count(Moment::CrashOfSeveralGroups);
        assert!(marked <= world.marks().count(Moment::Crash));
    }
    assert!(hits > 50 && alone > 0, "{hits} hosts of several groups, {alone} of one");
}

#[test]
fn a_pause_and_a_jump_of_the_clock_strike_the_whole_host() {
    let (mut early, mut paused) = (0, 0);
    for seed in 0..40 {
        let (_, trace) = registry::record(&Arc::new(setup(seed)), None).expect("a known workload");
        let placement = Placement::new(&trace.head.setup);
        let several = |node| match node {
            Node::Replica(replica) => placement.beside(replica).count() > 1,
            Node::Client(_) => false,
        };
        for done in &trace.decisions.actions {
            match done.action {
                Action::FireEarly { node } if several(node) => early += 1,
                Action::Pause { node, .. } if several(node) => paused += 1,
                // A link between hosts is cut for all groups, and never between two of them.
                Action::Cut { ref links, .. } => assert!(links.iter().all(|&(from, to)| {
                    let group = |node| match node {
                        Node::Replica(replica) => placement.group_of(replica),
                        Node::Client(slot) => placement.group_of_client(slot),
                    };
                    group(from) == group(to)
                })),
                _ => {}
            }
        }
    }
    assert!(early > 0 && paused > 0);
}

#[test]
fn a_run_is_told_again_by_its_trace() {
    for seed in 0..10 {
        let (_, mut followed) = told_again(setup(seed));
        followed.head.setup.groups[0].hosts.push(99);
        assert!(sim::scenario::check_resolved(&followed.head.setup).is_err());
    }
}

/// Only the replicas of other groups than the first have this bug: all that is found is found in those.
#[test]
fn what_is_wrong_in_another_group_is_found_there() {
    let found = violations(setup, "M-H2", 40).collect::<Vec<_>>();
    assert!(found.len() > 5, "{} found", found.len());
    for (violation, trace) in found {
        let group = violation.group.expect("one of several groups");
        assert!(group > 0, "{violation}");
        let placement = Placement::new(&trace.head.setup);
        let named = placement.replicas(group).any(|id| violation.witness.contains(&format!("{id} ")));
        assert!(named && violation.witness.starts_with(&format!("in g{group}, ")), "{violation}");
    }
}

#[test]
fn every_group_finds_a_bug_of_the_protocol() {
    let found = violations(setup, "M-Q2", 40).collect::<Vec<_>>();
    let of = |group| found.iter().filter(|(violation, _)| violation.group == Some(group)).count();
    assert!(of(0) > 0 && of(1) > 0, "{} and {}", of(0), of(1));
}

fn shrunk(trace: &Trace) -> Trace {
    let Shrunk { trace: small, .. } =
        shrink(trace, &Limits { steps: 3_000_000, stop: &|| false }, &mut |_| {}).expect("it fails");
    let replayed = replay(&small, false).expect("replayable");
    assert_eq!((replayed.likeness, replayed.outcome), (Likeness::Exact, Outcome::Violated));
    small
}

#[test]
fn groups_that_have_no_part_in_it_are_shrunk_away() {
    let mut alone = 0;
    for (violation, trace) in violations(setup, "M-Q2", 30).take(3) {
        let small = shrunk(&trace);
        assert_eq!(small.head.expect.signature(), Some(violation.signature()));
        assert!(small.decisions.len() < trace.decisions.len());
        alone += usize::from(small.head.setup.groups.is_empty());
    }
    assert!(alone >= 2, "{alone} of 3");
}

#[test]
fn a_bug_that_takes_two_groups_is_shrunk_to_two() {
    let (violation, trace) = violations(setup, "M-H1", 20).next().expect("a violation");
    let small = shrunk(&trace);
    assert_eq!(small.head.setup.groups.len(), 2, "{:?}", small.head.setup.groups);
    assert_eq!(small.head.expect.signature(), Some(violation.signature()));
    assert!(small.decisions.len() < trace.decisions.len());
}

#[test]
fn the_command_line_tells_of_groups() {
    let folder = folder("groups/cli");
    let shown = sim(&folder, "run --scenario several-groups --seed 3 --trace run.jsonl");
    assert_eq!(code(&shown), 0);
    assert!(out(&shown).contains("\ngroups      g0  r0 to r"), "{}", out(&shown));
    assert_eq!(code(&sim(&folder, "replay run.jsonl")), 0);
    assert_eq!(code(&sim(&folder, "trace show run.jsonl --to 50")), 0);
    assert_eq!(code(&sim(&folder, "view run.jsonl -o run.html")), 0);
    let refused = sim(&folder, "run --scenario several-groups --seed 3 --history history.jsonl");
    assert!(common::err(&refused).contains("groups have a history each"), "{}", common::err(&refused));
}
