//! t
use sim::scenario::Scenario;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let scenario = Scenario::find(&args[1]).unwrap();
    let (from, to): (u64, u64) = (args[2].parse().unwrap(), args[3].parse().unwrap());
    if args.len() > 4 && args[4] == "list" {
        let setup = std::sync::Arc::new(scenario.resolve(from, &Default::default()));
        let manner = sim::run::Manner { list: true, ..Default::default() };
        let r = sim::run::run_with::<sim::workload::key_value::KeyValue, _>(
            &setup,
            vr::Standard,
            manner,
            &mut |_| {},
        );
        for l in r.lines {
            println!(
                "{:6} {:12} {} {}",
                l.step,
                l.time / 1000,
                l.node.map_or("".into(), |n| n.to_string()),
                l.text
            );
        }
        println!("{:?}", r.report.verdict);
        return;
    }
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
            if bad < 15 {
                println!("{seed}: {:?} of {} steps {}", report.verdict, report.steps, report.setup.replicas);
            }
        }
    }
    println!("{steps} steps, bad {bad}");
    if args.len() > 4 {
        for (n, c) in marks.all() {
            if c == 0 || args[4] == "all" {
                println!("{n} {c}");
            }
        }
    }
}
