//! The example of a service of one's own works, and what is wrong with such a service is found.

#[allow(dead_code, reason = "its `main` is the command line")]
#[path = "../examples/own_service.rs"]
mod bank;

use std::sync::Arc;

use bank::Bank;
use sim::registry;
use sim::replay::{Likeness, replay};
use sim::run::Verdict;
use sim::scenario::{Overrides, Scenario};
use sim::workload::Workload;

#[test]
fn the_bank_holds_under_all_faults() {
    let mut answered = 0;
    // Hosts of a supervisor are made for a service by `run_hosts_with`.
    for scenario in Scenario::builtin().filter(|scenario| scenario.name() != "supervised-groups") {
        for seed in 0..10 {
            let report = sim::run::<Bank>(&scenario.resolve(seed, &Overrides::default()));
            assert_eq!(report.verdict, Verdict::Held, "seed {seed} of {}", scenario.name());
            answered += report.marks.answered;
        }
    }
    assert!(answered > 10_000, "{answered}");
}

#[test]
fn its_runs_are_recorded_and_replayed_like_any_others() {
    assert!(registry::check_workload("nobody").is_err());
    registry::register::<Bank>();
    assert_eq!(registry::check_workload(Bank::NAME), Ok(()));
    let known = registry::check_workload("nobody").expect_err("it is unknown").to_string();
    assert!(known.ends_with(&format!(", {}", Bank::NAME)), "{known}");
    let overrides = Overrides { workload: Some(Bank::NAME), steps: Some(2_000), ..Overrides::default() };
    let setup = Arc::new(Scenario::find("crash-storm").expect("built in").resolve(3, &overrides));
    let (report, trace) = registry::record(&setup, None).expect("registered");
    assert_eq!(report.verdict, Verdict::Held);
    assert_eq!(replay(&trace, false).expect("replayable").likeness, Likeness::Exact);
}
