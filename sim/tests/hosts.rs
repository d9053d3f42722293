//! Hosts that a supervisor tells what to run: they do, whatever happens to them, and traces say it again.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{code, err, folder, out, sim, told_again, violations};
use sim::check::Violation;
use sim::chronicle::{Did, Effect};
use sim::faults::{Action, Deed};
use sim::marks::{Marks, Moment};
use sim::registry::{AnyManner, Unrunnable, run_any, run_plain};
use sim::replay::{Likeness, Outcome, replay};
use sim::run::Verdict;
use sim::scenario::{Overrides, Scenario, check_resolved};
use sim::setup::Setup;
use sim::shrink::{Limits, Shrunk, shrink};
use sim::trace::Trace;
use vr::Role;

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
    let all = marks.all();
    for mark in [
        "path:read-by-lease",
        "path:read-without-lease",
        "path:read-by-confirmation",
        "path:causal-read",
        "path:causal-read-waited",
        "path:vote-held-back",
        "moment:read-turned-to-log",
    ] {
        assert!(all.iter().any(|(name, count)| name == mark && *count > 0), "{mark}");
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

/// Role and view, the end of the log, what is executed.
type Seen = (Option<(Role, u64)>, u64, u64);

/// What replicas in hosts tell of themselves is told of each group, and adds up to what they are.
#[test]
fn everything_that_replicas_do_is_told_of_their_groups() {
    let mut told = [0_u32; 4];
    for seed in 0..6 {
        let manner = AnyManner { chronicle: true, ..AnyManner::default() };
        let run = run_any(&Arc::new(setup(seed)), None, &manner, &mut |_| {}).expect("a known workload");
        let chronicle = run.chronicle.expect("it was asked for");
        let mut known: BTreeMap<(u8, u64), Seen> = BTreeMap::new();
        for step in &chronicle.steps {
            for effect in &step.effects {
                let Effect::Did(who, did) = effect else { continue };
                let (role, last, executed) = known.entry((who.replica.0, who.group)).or_default();
                match did {
                    Did::RoleChanged { role: now, view } => *role = Some((*now, *view)),
                    Did::Appended { op_number, .. } => *last = *op_number,
                    Did::Truncated { last_kept } => *last = *last_kept,
                    Did::LogBegins { after } => (*last, *executed) = (*after, (*executed).max(*after)),
                    Did::CheckpointInstalled { op_number } => (*last, *executed) = (*op_number, *op_number),
                    Did::Executed { op_number, call, .. } => {
                        *executed = *op_number;
                        told[0] += u32::from(call.is_some());
                    }
                    Did::Begins { .. } => told[1] += 1,
                    Did::Dropped => told[2] += 1,
                    Did::ViewStarts { .. } => told[3] += u32::from(who.group > 0),
                    _ => {}
                }
            }
            for (who, state) in &step.after {
                let place = (who.replica.0, who.group);
                let Some(state) = state else {
                    known.remove(&place);
                    continue;
                };
                let seen = (Some((state.role, state.view)), state.op_number, state.commit_number);
                if step.step == 0 {
                    known.insert(place, seen);
                }
                assert_eq!(known.get(&place), Some(&seen), "{who:?} in step {} of seed {seed}", step.step);
            }
        }
    }
    assert!(told.iter().all(|&count| count > 0), "calls, starts, drops, views: {told:?}");
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
    for (command, status, shown) in [
        ("replay", 1, "S27"),
        ("trace show", 0, "VIOLATED S27"),
        // What is told is of a group, and of the host that acts.
        ("trace show", 0, " in g1 drops its replica"),
        ("trace show --list", 0, "is dropped in g1"),
        ("explain", 0, "decisive"),
    ] {
        let output = sim(&folder, &format!("{command} small.trace.jsonl"));
        assert_eq!(code(&output), status, "{command}: {}", err(&output));
        assert!(out(&output).contains(shown), "{command}: {}", out(&output));
    }
    let page = sim(&folder, "view small.trace.jsonl -o page.html");
    assert_eq!(code(&page), 0, "{}", err(&page));
    let page = std::fs::read_to_string(folder.join("page.html")).expect("it was written");
    assert!(page.contains("lanes show g1"), "the lanes of hosts are of the group that it is about");
    assert!(page.contains("in g1 r0 is asked by c0"), "what is sent is of a group");
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
            "network": {{"outlast": null}},
            "faults": {{"lingering": null}}, "supervision": {{{supervision}}}{changed}}}"#
        );
        Scenario::parse("x", &text).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(text(""), Ok(()));
    let mut wrong = setup(2);
    wrong.supervision.as_mut().expect("it has one").groups[0].hosts.push(99);
    assert!(check_resolved(&wrong).is_err());
}
