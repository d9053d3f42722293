//! How fast the simulator is, with every online check on: `cargo bench -p sim`.
//!
//! The run is the one that harnesses are compared by: three replicas, four clients that always have a
//! request under way, one message in a hundred lost. The three benchmarks of a run make the same one and
//! count different things. Machines differ; compare ratios within one invocation.

use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use sim::check::linearizability::{Call, judge};
use sim::event_queue::EventQueue;
use sim::registry::run_plain;
use sim::run::{Report, Verdict};
use sim::scenario::{Overrides, Scenario};
use sim::setup::Setup;
use sim::workload::Workload;
use sim::workload::key_value::{KeyValue, Operation};

fn main() {
    divan::main();
}

const STEPS: u64 = 500_000;

const SCENARIO: &str = r#"{
    "description": "Three replicas, four closed-loop clients, 1 % loss.",
    "workload": "key-value",
    "steps": 500000,
    "replicas": 3,
    "clients": 4,
    "network": {
        "delay_min_us": 100, "delay_mean_us": 400, "loss": { "per_million": 10000 }, "link_capacity": 1024
    },
    "traffic": { "think_mean_us": 0, "burst_mean": 0, "patience_us": 0, "keys": 16 },
    "protocol": {
        "heartbeat_us": 20000, "primary_timeout_us": 100000, "view_change_timeout_us": 150000, "resend_us": 25000,
        "abdication_us": 200000, "backoff_limit": 4, "pipeline_max": 64, "sessions_max": 64, "request_timeout_us": 60000
    }
}"#;

fn setup() -> Arc<Setup> {
    let scenario = Scenario::parse("speed", SCENARIO).expect("a valid scenario");
    Arc::new(scenario.resolve(1, &Overrides::default()))
}

fn run(setup: &Arc<Setup>) -> Report {
    let report = run_plain(setup, None).expect("a known workload");
    assert_eq!(report.verdict, Verdict::Held);
    assert!(report.steps >= STEPS);
    report
}

/// Runs the same thing and counts one part of it.
fn counting(bencher: Bencher<'_, '_>, count: fn(&Report) -> u64) {
    let setup = setup();
    let items = count(&run(&setup));
    bencher.counter(ItemsCount::new(items)).bench_local(|| run(black_box(&setup)));
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn steps(bencher: Bencher<'_, '_>) {
    counting(bencher, |report| report.steps);
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn delivered_messages(bencher: Bencher<'_, '_>) {
    counting(bencher, |report| report.marks.delivered);
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn committed_operations(bencher: Bencher<'_, '_>) {
    counting(bencher, |report| report.committed);
}

/// A thousand short runs of the swarm, as a sweep makes them.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn swarm_seeds(bencher: Bencher<'_, '_>) {
    let scenario = Scenario::find("swarm").expect("built in");
    let setups: Vec<_> =
        (0..1_000).map(|seed| Arc::new(scenario.resolve(seed, &Overrides::default()))).collect();
    bencher.counter(ItemsCount::new(setups.len())).bench_local(|| {
        for setup in &setups {
            black_box(run_plain(setup, None).expect("a known workload"));
        }
    });
}

/// One event put in and one taken out, with so many queued.
#[divan::bench(args = [10, 1_000, 100_000])]
fn event_queue(bencher: Bencher<'_, '_>, queued: u64) {
    let mut queue = EventQueue::default();
    (0..queued).for_each(|at| queue.push(at, at));
    let mut time = queued;
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        time += 1;
        queue.push(time ^ 0x3f, time);
        black_box(queue.pop())
    });
}

/// Ten thousand operations of eight clients on one key, judged by search alone.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn linearizability_by_search(bencher: Bencher<'_, '_>) {
    let history = history(10_000, 8);
    bencher
        .counter(ItemsCount::new(history.len()))
        .bench_local(|| judge(&KeyValue::model(), black_box(&history), None, 10_000_000));
}

/// A linearizable history: each client's operation takes effect at the moment of its call.
fn history(length: u64, clients: u64) -> Vec<Call<Operation, <KeyValue as Workload>::Response>> {
    let mut model = KeyValue::model();
    let mut random = sim::random::stream(1, sim::random::Purpose::Client(0));
    (0..length)
        .map(|number| {
            let operation = KeyValue::operation(&mut random, 1, number);
            let response = sim::workload::Model::apply(&mut model, &operation);
            let called = number * 2;
            let returned = Some((called + 2 * clients - 1, response));
            Call { client: (number % clients) as u32, operation, called, returned }
        })
        .collect()
}
