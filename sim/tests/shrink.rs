//! Shrinking, on planted bugs.

use std::sync::Arc;
use std::time::Duration;

use sim::bugs::{self, Bug};
use sim::registry;
use sim::replay::{self, Outcome};
use sim::scenario::{Overrides, Scenario};
use sim::selftest;
use sim::shrink::{Limits, Shrunk, shrink};
use sim::trace::Trace;

fn failing(bug: &'static Bug, seed: u64) -> Trace {
    let scenario = Scenario::find(bug.scenario).expect("built in");
    let setup = Arc::new(scenario.resolve(seed, &Overrides::default()));
    registry::record(&setup, Some(bug)).expect("a known workload").1
}

/// What shrinking does to the first trace of each planted bug: `cargo test --release -p sim --test shrink
/// -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes: a table for people"]
fn table() {
    let only = std::env::var("BUG").unwrap_or_default();
    let mut sizes = Vec::new();
    for bug in bugs::planted().filter(|bug| bug.name.contains(&only)) {
        let Some((seed, _)) = selftest::hunt(bug, 0).found else { continue };
        let trace = failing(bug, seed);
        let started = processor_time();
        let limits = Limits { steps: u64::MAX, stop: &|| (processor_time() - started).as_secs() > 30 };
        let shrunk: Shrunk = shrink(&trace, &limits, &mut |_| {}).expect("it fails");
        let took = (processor_time() - started).as_secs_f64();
        let Shrunk { before, after, candidates, is_minimal, .. } = shrunk;
        let again = replay::replay(&shrunk.trace, false).expect("replayable").outcome == Outcome::Violated;
        let d = &shrunk.trace.decisions;
        println!(
            "{:6} {:28} {:>5} -> {:>3} ({} a {} q {} f)  steps {:>6} -> {:>5}  replicas {} -> {}  clients {:>2} -> {}  delay {}  {:>6} candidates  {:>5} k steps {:>6.2} s{}{}",
            bug.name,
            trace_signature(&trace),
            before.decisions, after.decisions, d.actions.len(), d.requests.len(), d.fates.len(), before.steps, after.steps, before.replicas, after.replicas,
            before.clients, after.clients, shrunk.trace.head.setup.network.delay_mean_us, candidates, shrunk.steps / 1000, took,
            if is_minimal { "" } else { "  not minimal" },
            if again { "" } else { "  DOES NOT REPLAY" },
        );
        if let Ok(dir) = std::env::var("OUT") { shrunk.trace.write(&std::path::Path::new(&dir).join(format!("{}.trace.jsonl", bug.name))).unwrap(); }
        sizes.push(after.decisions);
    }
    sizes.sort_unstable();
    println!("median {}, max {:?}", sizes[sizes.len() / 2], sizes.last());
}

fn trace_signature(trace: &Trace) -> String {
    match &trace.head.expect {
        sim::trace::Expected::Violation(violation) => violation.signature(),
        sim::trace::Expected::Clean => "clean".to_owned(),
    }
}

/// The time that this thread has been running, which other programs do not slow down.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split_whitespace().next().and_then(|number| number.parse().ok());
    Duration::from_nanos(first.unwrap_or(0))
}
