//! t
use sim::scenario::Scenario;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let scenario = Scenario::find(&args[1]).unwrap();
    let (from, to): (u64, u64) = (args[2].parse().unwrap(), args[3].parse().unwrap());
    let mut marks = sim::marks::Marks::default();
    let (mut steps, mut bad) = (0, 0);
    for seed in from..to {
        let setup = scenario.resolve(seed, &Default::default());
        let report = match setup.workload.as_str() {
            "key-value" => sim::run::run::<sim::workload::key_value::KeyValue>(&setup),
            _ => sim::run::run::<sim::workload::lock::Lock>(&setup),
        };
        steps += report.steps;
        marks.add(&report.marks);
        if report.verdict != sim::run::Verdict::Held {
            bad += 1;
            if bad < 15 { println!("{seed}: {:?} of {} steps {}", report.verdict, report.steps, report.setup.replicas); }
        }
    }
    println!("{steps} steps, bad {bad}");
    if args.len() > 4 { for (n, c) in marks.all() { if c == 0 || args[4] == "all" { println!("{n} {c}"); } } }
}
