//! Hosts that a supervisor tells what to run: they do, whatever happens to them, and traces say it again.

mod common;

use std::sync::Arc;

use common::{code, err, folder, out, sim, told_again, violations};
use sim::check::Violation;
use sim::faults::{Action, Deed};
use sim::marks::{Marks, Moment};
use sim::registry::{Unrunnable, run_plain};
use sim::replay::{Likeness, Outcome, replay};
use sim::run::Verdict;
use sim::scenario::{Overrides, Scenario, check_resolved};
use sim::setup::Setup;
use sim::shrink::{Limits, Shrunk, shrink};
use sim::trace::Trace;

fn setup(seed: u64) -> Setup {
    Scenario::find("supervised-groups").expect("built in").resolve(seed, &Overrides::default())
}

/// The first violation with a planted bug, and how it was recorded.
fn violation(name: &str, seeds: u64) -> (Violation, Trace) {
    violations(setup, name, seeds).next().expect("a violation")
}

#[test]
fn groups_start_move_and_stop_while_hosts_crash() {
    let mut marks = Marks::default();
    let mut committed = 0;
    for seed in 0..60 {
        let report = run_plain(&Arc::new(setup(seed)), None).expect("a known workload");
        assert_eq!(report.verdict, Verdict::Held, "seed {seed}");
        committed += report.committed;
        marks.add(&report.marks);
    }
    assert!(committed > 5_000, "{committed}");
    for moment in [
        Moment::BegunByTicket,
        Moment::RecoveredByTicket,
        Moment::ReplicaDropped,
        Moment::ReplicaStopped,
        Moment::GroupStarted,
        Moment::GroupStopped,
        Moment::MoveDecided,
        Moment::MoveRecorded,
        Moment::ReplacementDecided,
        Moment::TicketGivenBack,
        Moment::OrderRefused,
        Moment::ClientToldOfStop,
        Moment::CrashOfSeveralGroups,
        Moment::CrashWhileRecovering,
    ] {
        assert!(marks.count(moment) > 0, "{moment:?}");
    }
}

#[test]
fn a_run_is_told_again_by_its_trace() {
    for seed in 0..10 {
        let (trace, _) = told_again(setup(seed));
        let asked = |done: &sim::decisions::Done| matches!(done.action, Action::Ask(Deed::Move { .. }));
        assert!(seed > 0 || trace.decisions.actions.iter().any(asked), "the user's deeds are part of it");
    }
}

#[test]
fn what_goes_wrong_in_hosts_is_shrunk_and_shown() {
    let (violation, trace) = violation("M-H5", 100);
    let limits = Limits { steps: 3_000_000, stop: &|| false };
    let Shrunk { trace: small, .. } = shrink(&trace, &limits, &mut |_| {}).expect("it fails again");
    let replayed = replay(&small, false).expect("replayable");
    assert_eq!((replayed.likeness, replayed.outcome), (Likeness::Exact, Outcome::Violated));
    assert_eq!(small.head.expect.signature(), Some(violation.signature()));
    assert!(small.decisions.len() < trace.decisions.len() / 2, "{}", small.decisions.len());
    let folder = folder("hosts/shrunk");
    small.write(&folder.join("small.trace.jsonl")).expect("a folder of our own");
    for (command, status, shown) in
        [("replay", 1, "S27"), ("trace show", 0, "VIOLATED S27"), ("explain", 0, "decisive")]
    {
        let output = sim(&folder, &format!("{command} small.trace.jsonl"));
        assert_eq!(code(&output), status, "{command}: {}", err(&output));
        assert!(out(&output).contains(shown), "{command}: {}", out(&output));
    }
    let page = sim(&folder, "view small.trace.jsonl -o page.html");
    assert_eq!(code(&page), 0, "{}", err(&page));
}

#[test]
fn what_cannot_run_under_a_supervisor_is_refused() {
    let mut other = setup(1);
    other.workload = "lock".to_owned();
    let refused = run_plain(&Arc::new(other), None).expect_err("it is no service of the library");
    assert!(matches!(refused, Unrunnable::Misfit(what) if what.starts_with("workload: `lock` does not run")));
    let text = |changed: &str| {
        let supervision =
            r#""alive_interval_us": 10000, "failure_timeout_us": 200000, "deed_interval_mean_us": 50000"#;
        let text = format!(
            r#"{{"description": "x", "workload": "store", "replicas": 3, "spares": 0, "witnesses": 0, "clients": 2,
            "network": {{"outlast": null}}, "traffic": {{"fast_read_percent": 0, "causal_read_percent": 0}},
            "faults": {{"lingering": null}}, "supervision": {{{supervision}}}{changed}}}"#
        );
        Scenario::parse("x", &text).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(text(""), Ok(()));
    let mut wrong = setup(2);
    wrong.supervision.as_mut().expect("it has one").groups[0].hosts.push(99);
    assert!(check_resolved(&wrong).is_err());
}
