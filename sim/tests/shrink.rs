//! Shrinking, on planted bugs.

mod common;

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{err, folder, json, out, sim};
use sim::bugs::{self, Bug};
use sim::decisions::Decisions;
use sim::registry;
use sim::replay::{self, Likeness, Outcome};
use sim::scenario::{Overrides, Scenario};
use sim::selftest::{self, Terms};
use sim::shrink::{Limits, Shrunk, Unshrinkable, shrink};
use sim::trace::{Expected, Follows, Trace};

/// Bugs that are found at once, of every family: safety, a panic, liveness.
const QUICK: [&str; 9] = ["M-N9", "M-Q2", "M-V2", "M-V4", "M-R1", "M-S4", "M-C7", "M-C4", "M-T4a"];

fn failing(bug: &'static Bug, seed: u64) -> Trace {
    let scenario = Scenario::find(bug.scenario).expect("built in");
    let setup = Arc::new(scenario.resolve(seed, &Overrides::default()));
    registry::record(&setup, Some(bug)).expect("a known workload").1
}

/// The first seed from `first` on that shows a planted bug.
fn found(bug: &'static Bug, first: u64) -> u64 {
    selftest::hunt(bug, &Terms::of(bug, first)).found.expect("found").seed
}

/// The trace of the first run that shows a planted bug.
fn first(name: &str) -> Trace {
    let bug = bugs::find(name).expect("planted");
    failing(bug, found(bug, 0))
}

fn unlimited(trace: &Trace) -> Shrunk {
    shrink(trace, &Limits { steps: u64::MAX, stop: &|| false }, &mut |_| {}).expect("it fails")
}

fn signature(trace: &Trace) -> Option<String> {
    match &trace.head.expect {
        Expected::Violation(violation) => Some(violation.signature()),
        Expected::Clean => None,
    }
}

/// Whether the decisions of `trace` still lead to this violation, before the faults end unless they are
/// said to.
fn still_fails(trace: &Trace, expected: &str) -> bool {
    let again = replay::rerecord(trace).expect("replayable");
    let steps = if trace.decisions.healed.is_some() { u64::MAX } else { trace.head.setup.steps };
    signature(&again).as_deref() == Some(expected) && again.head.steps <= steps
}

/// The trace without its decision at `index`; the requests behind it move up.
fn without(trace: &Trace, index: usize) -> Trace {
    let mut left = trace.clone();
    let Decisions { actions, requests, fates, healed, .. } = &mut left.decisions;
    if index < actions.len() {
        actions.remove(index);
    } else if index < actions.len() + requests.len() {
        let gone = requests.remove(index - actions.len());
        let is_behind = |made: &sim::decisions::Made<_>| {
            (made.slot, made.life) == (gone.slot, gone.life) && made.number > gone.number
        };
        requests.iter_mut().filter(|made| is_behind(made)).for_each(|made| made.number -= 1);
    } else if index < actions.len() + requests.len() + fates.len() {
        fates.remove(index - actions.len() - requests.len());
    } else {
        *healed = None;
    }
    left
}

#[test]
fn what_is_left_fails_in_the_same_way_and_nothing_can_be_taken_out() {
    for name in QUICK {
        let trace = first(name);
        let Shrunk { trace: small, before, after, is_minimal, .. } = unlimited(&trace);
        assert!(is_minimal, "{name}");
        assert!(after.decisions <= 25 && after < before, "{name}: {before:?} to {after:?}");
        assert_eq!(signature(&small), signature(&trace), "{name}");
        assert_eq!(small.head.follows, Follows::Decisions);
        let replayed = replay::replay(&small, false).expect("replayable");
        assert_eq!((replayed.likeness, replayed.outcome), (Likeness::Exact, Outcome::Violated), "{name}");
        let signature = signature(&small).expect("a violation");
        for index in 0..small.decisions.len() {
            assert!(!still_fails(&without(&small, index), &signature), "{name}: without decision {index}");
        }
    }
}

/// The bug is what makes it fail, not something that shrinking did to the run.
#[test]
fn without_its_bug_a_shrunk_trace_holds() {
    for name in QUICK {
        let mut small = unlimited(&first(name)).trace;
        small.head.bug = None;
        let replayed = replay::replay(&small, false).expect("replayable");
        assert_eq!(replayed.report.violation(), None, "{name}");
    }
}

/// With another seed every stream of the simulator gives other numbers: jitter, delays, drawn operations.
/// A draw more in any of them changes less.
#[test]
fn a_shrunk_trace_does_not_depend_on_draws() {
    let mut different = Vec::new();
    for name in QUICK {
        let mut small = unlimited(&first(name)).trace;
        let signature = signature(&small).expect("a violation");
        for seed in 1..=3 {
            small.head.setup.seed = seed;
            if !still_fails(&small, &signature) {
                different.push(format!("{name} with the streams of seed {seed}"));
            }
        }
    }
    // Where timers race, their jitter may matter after all; and on the seed it depends which reads a client makes
    // without the log.
    assert!(different.len() <= QUICK.len() * 6 / 5, "{different:?}");
}

/// Where each of thousands of decisions is a link of one chain, another seed that fails sooner is the better
/// beginning; a short trace is its own.
#[test]
fn a_long_trace_that_does_not_become_small_is_found_again_sooner() {
    let bug = bugs::find("M-V14").expect("planted");
    let trace = failing(bug, 12);
    let Shrunk { trace: small, before, begun, after, is_minimal, .. } = unlimited(&trace);
    let begun = begun.expect("another seed");
    assert!(begun.steps * 2 <= before.steps && begun.decisions < before.decisions, "{before:?} {begun:?}");
    assert!(is_minimal && after.decisions <= 25, "{after:?}");
    assert_eq!(signature(&small), signature(&trace));
    assert_eq!(unlimited(&first("M-N9")).begun, None);
}

/// Where it takes a checkpoint to go wrong, and one is taken every thousand operations, none of those can be taken out
/// until checkpoints come sooner.
#[test]
fn checkpoints_come_as_soon_as_may_be() {
    let trace = first("M-K6");
    let interval = |trace: &Trace| trace.head.setup.protocol.checkpoint_interval;
    assert!(interval(&trace) > 100, "every {} operations", interval(&trace));
    let limits = Limits { steps: 8_000_000, stop: &|| false };
    let Shrunk { trace: small, after, is_minimal, steps, .. } =
        shrink(&trace, &limits, &mut |_| {}).expect("it fails");
    assert!(is_minimal && after.decisions <= 25 && interval(&small) < 10, "{after:?} with {steps} steps");
}

#[test]
fn the_same_budget_gives_the_same_trace() {
    let trace = first("M-S1");
    let mut sizes = Vec::new();
    for steps in [0, 30_000, 200_000, u64::MAX] {
        let limits = Limits { steps, stop: &|| false };
        let once = shrink(&trace, &limits, &mut |_| {}).expect("it fails");
        let again = shrink(&trace, &limits, &mut |_| {}).expect("it fails");
        assert_eq!(once.trace.head, again.trace.head);
        assert_eq!(once.trace.decisions.hashes, again.trace.decisions.hashes);
        assert_eq!(signature(&once.trace), signature(&trace), "also where there was no time");
        assert!(once.is_minimal || steps < u64::MAX, "with {steps} steps");
        assert!(!once.is_minimal || steps > 0, "with {steps} steps");
        let replayed = replay::replay(&once.trace, false).expect("replayable");
        assert_eq!(replayed.outcome, Outcome::Violated);
        sizes.push(once.after.decisions);
    }
    assert!(sizes.is_sorted_by(|one, other| one >= other), "more time, smaller traces: {sizes:?}");
}

/// Making candidates takes time too, and most of it where there are many decisions.
#[test]
fn once_the_time_is_up_no_more_candidates_are_made() {
    let is_long = |trace: &Trace| trace.decisions.len() > 200;
    let trace = QUICK.iter().map(|name| first(name)).find(is_long).expect("as many candidates, in each pass");
    for allowed in [0, 40] {
        let asked = Cell::new(0);
        let stop = || asked.replace(asked.get() + 1) >= allowed;
        let shrunk = shrink(&trace, &Limits { steps: u64::MAX, stop: &stop }, &mut |_| {});
        assert!(!shrunk.expect("it fails").is_minimal);
        let after = asked.get() - allowed;
        assert!(after < 100, "asked for {after} candidates after the end");
    }
}

#[test]
fn shrinking_again_changes_little() {
    let once = unlimited(&first("M-V2"));
    let again = unlimited(&once.trace);
    assert!(again.is_minimal && again.after <= once.after);
}

#[test]
fn what_does_not_fail_is_refused() {
    let limits = Limits { steps: u64::MAX, stop: &|| false };
    let mut trace = first("M-Q2");
    trace.head.bug = None;
    let refused = shrink(&trace, &limits, &mut |_| {}).expect_err("the bug is gone");
    assert!(matches!(refused, Unshrinkable::NotReproduced { .. }), "{refused}");
    trace.head.expect = Expected::Clean;
    assert_eq!(shrink(&trace, &limits, &mut |_| {}).expect_err("clean"), Unshrinkable::Clean);
}

// ---- The command -------------------------------------------------------------------------------------

#[test]
fn the_command_writes_the_smallest_beside_the_trace() {
    let folder = folder("shrink/beside");
    let bug = bugs::find("M-V2").expect("planted");
    let seed = found(bug, 0);
    let next = found(bug, seed + 1);
    failing(bug, seed).write(&folder.join("a.trace.jsonl")).expect("written");
    failing(bug, next).write(&folder.join("b.trace.jsonl")).expect("written");
    let output = sim(&folder, "shrink a.trace.jsonl b.trace.jsonl --time 5m");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let page = out(&output);
    assert!(page.contains("the smallest of 2 traces\n") && page.contains("minimal     yes"), "{page}");
    let written: Vec<_> = ["a", "b"].map(|name| format!("{name}.shrunk.trace.jsonl")).to_vec();
    let written: Vec<_> = written.iter().filter(|name| folder.join(name).is_file()).collect();
    let [path] = written[..] else { panic!("one trace for one finding: {written:?}") };
    assert!(page.contains(&format!("sim replay {path}\n")), "{page}");
    assert_eq!(sim(&folder, &format!("replay {path}")).status.code(), Some(1));
    let again = sim(&folder, &format!("shrink {path} -o elsewhere/small.jsonl"));
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    assert!(folder.join("elsewhere/small.jsonl").is_file());
}

#[test]
fn bad_input_is_told_in_one_line() {
    let folder = folder("shrink/bad");
    first("M-V2").write(&folder.join("good.trace.jsonl")).expect("written");
    first("M-V4").write(&folder.join("other.trace.jsonl")).expect("written");
    let text = fs::read_to_string(folder.join("good.trace.jsonl")).expect("written");
    fs::write(folder.join("fixed.trace.jsonl"), text.replacen(r#""bug":"M-V2","#, "", 1)).expect("written");
    let step = first("M-V2").head.steps;
    let edited = text.replacen(&format!(r#""step":{step}"#), &format!(r#""step":{}"#, step + 1), 1);
    fs::write(folder.join("edited.trace.jsonl"), edited).expect("written");
    let edited = format!(" at step {}, found it at step {step}", step + 1);
    fs::write(folder.join("damaged.trace.jsonl"), &text[..text.len() / 2]).expect("written");
    let clean = Path::new(env!("CARGO_MANIFEST_DIR")).join("../traces/new-state-of-another-view.trace.jsonl");
    let wrong = [
        ("shrink none.jsonl".to_owned(), 2, "none.jsonl: cannot be read"),
        ("shrink damaged.trace.jsonl".to_owned(), 2, "damaged.trace.jsonl:"),
        ("shrink fixed.trace.jsonl".to_owned(), 6, "no longer fails as it says: expected S2:"),
        ("shrink edited.trace.jsonl".to_owned(), 6, edited.as_str()),
        (format!("shrink {}", clean.display()), 6, "of a clean run: expected one with a violation"),
        ("shrink good.trace.jsonl other.trace.jsonl -o x".to_owned(), 2, "expected S2:"),
        ("shrink good.trace.jsonl -o .".to_owned(), 2, "expected a file"),
        ("shrink good.trace.jsonl --time soon".to_owned(), 2, "expected a time such as 60s"),
    ];
    for (arguments, code, says) in wrong {
        let output = sim(&folder, &arguments);
        let complaint = err(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments}: {complaint}");
        assert!(complaint.lines().next().is_some_and(|line| line.contains(says)), "{arguments}: {complaint}");
        assert!(output.stdout.is_empty(), "{arguments}");
    }
    let files = fs::read_dir(&folder).expect("readable").count();
    assert_eq!(files, 5, "nothing was written");
    let replayed = sim(&folder, "replay edited.trace.jsonl");
    assert_eq!(replayed.status.code(), Some(6));
    assert!(out(&replayed).contains("NOT what the trace says: expected S2:"), "{replayed:?}");
    assert!(out(&replayed).ends_with(&format!("{edited}\n")), "{replayed:?}");
}

/// What cannot be written leaves what is there as it was.
#[test]
fn a_result_that_cannot_be_written_leaves_the_old_one() {
    let folder = folder("shrink/unwritable");
    first("M-Q1").write(&folder.join("a.trace.jsonl")).expect("written");
    fs::write(folder.join("file"), "in the way").expect("written");
    let output = sim(&folder, "shrink a.trace.jsonl -o file/small.jsonl");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let told = err(&output);
    assert_eq!(told, "error: --output file/small.jsonl: file is no folder\n");
    assert_eq!(fs::read_to_string(folder.join("file")).expect("there"), "in the way");
}

/// The time limit ends it with what was found so far, which says so.
#[test]
fn without_time_the_result_says_so() {
    let folder = folder("shrink/time");
    first("M-S1").write(&folder.join("a.trace.jsonl")).expect("written");
    let output = sim(&folder, "shrink a.trace.jsonl --time 0s");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(out(&output).contains("minimal     not yet"), "{}", out(&output));
    assert_eq!(sim(&folder, "replay a.shrunk.trace.jsonl").status.code(), Some(1));
}

#[test]
fn a_sweep_that_fails_shrinks_what_it_found() {
    let folder = folder("shrink/sweep");
    // Time enough on any machine: only a time that is up makes a difference between two runs.
    let arguments = "sweep --bug M-V2 --scenario crash-storm --count 40 --shrink-time 10m";
    let (one, two) =
        (sim(&folder, &format!("{arguments} --jobs 1")), sim(&folder, &format!("{arguments} --jobs 2")));
    assert_eq!(one.status.code(), Some(1));
    assert_eq!(out(&one), out(&two));
    let page = out(&one);
    let line = page.lines().find(|line| line.starts_with("  replay ")).expect("a command to paste");
    let path = line.split_whitespace().last().expect("a path");
    assert!(path.ends_with(".shrunk.trace.jsonl") && page.contains("  shrunk  "), "{page}");
    assert_eq!(sim(&folder, &format!("replay {path}")).status.code(), Some(1));
    let arguments = "sweep --bug M-V2 --scenario crash-storm --count 40";
    let plain = sim(&folder, &format!("{arguments} --no-shrink"));
    assert!(!out(&plain).contains("shrunk"), "{}", out(&plain));
    let json = json(&sim(&folder, &format!("{arguments} --json --shrink-time 10m")));
    assert_eq!(json["findings"][0]["shrunk"]["trace"], path);
    assert_eq!(json["findings"][0]["shrunk"]["minimal"], true);
}

/// Several findings, of which the most frequent one alone could use all of the time up.
const MANY: &str = "sweep --bug M-S4 --scenario swarm --count 300 --jobs 1";

#[test]
fn every_finding_of_a_sweep_is_shrunk_before_more_runs_of_one() {
    let folder = folder("shrink/fair");
    let output = sim(&folder, &format!("{MANY} --shrink-time 15s --json"));
    assert_eq!(output.status.code(), Some(1));
    let json = json(&output);
    let findings = json["findings"].as_array().expect("a list");
    assert!(findings.len() >= 3, "{findings:?}");
    for finding in findings {
        let (before, after) = (&finding["shrunk"]["decisions_before"], &finding["shrunk"]["decisions"]);
        assert!(after.as_u64().expect("shrunk") < before.as_u64().expect("shrunk"), "{finding}");
    }
    let told = err(&output);
    assert!(told.contains("; shrinking took "), "{told}");
}

#[test]
fn what_a_sweep_had_no_time_to_shrink_is_told_with_the_command_to_go_on() {
    let folder = folder("shrink/no-time");
    let output = sim(&folder, &format!("{MANY} --shrink-time 0s"));
    assert_eq!(output.status.code(), Some(1));
    let page = out(&output);
    let told: Vec<_> = page.lines().filter(|line| line.starts_with("  shrunk ")).collect();
    assert_eq!(told.len(), page.lines().filter(|line| line.starts_with("VIOLATED ")).count(), "{page}");
    let expected = "not yet, there was no time: sim shrink failures/swarm-";
    assert!(told.iter().all(|line| line.contains(expected) && line.ends_with(" --time 5m")), "{page}");
    let told = err(&output);
    assert!(told.contains("cut short after 0 s: --shrink-time gives it more"), "{told}");
}

// ---- All planted bugs --------------------------------------------------------------------------------

/// How large a shrunk trace may be, in decisions: half of them, and all of them.
const MEDIAN: usize = 25;
const LARGEST: usize = 80;
/// How long shrinking a trace may take, on a core that does nothing else. Meant for the release profile.
const LONGEST: Duration = Duration::from_secs(10);
/// After how long it is given up: far beyond what is allowed, so that the table says how far.
const GIVEN_UP: Duration = Duration::from_secs(60);

/// What shrinking did to the first trace of a planted bug.
struct Measured {
    bug: &'static str,
    shrunk: Shrunk,
    took: Duration,
    /// With how many of [`STREAMS`] other seeds for what chance is left to decide it still fails.
    robust: u64,
}

const STREAMS: u64 = 5;

fn measured(bug: &'static Bug) -> Measured {
    let trace = failing(bug, found(bug, 0));
    let started = processor_time();
    let limits = Limits { steps: u64::MAX, stop: &|| processor_time() - started > GIVEN_UP };
    let shrunk = shrink(&trace, &limits, &mut |_| {}).expect("it fails");
    let took = processor_time() - started;
    let mut other = shrunk.trace.clone();
    let signature = signature(&other).expect("a violation");
    let still_fails = |seed: &u64| {
        other.head.setup.seed = *seed;
        still_fails(&other, &signature)
    };
    let robust = (1..=STREAMS).filter(still_fails).count() as u64;
    Measured { bug: bug.name, shrunk, took, robust }
}

const COLUMNS: &str = "bug      before after    steps after candidates seconds  robust";

impl Measured {
    fn row(&self) -> String {
        let Shrunk { trace, before, after, candidates, is_minimal, .. } = &self.shrunk;
        let Decisions { actions, requests, fates, .. } = &trace.decisions;
        let (actions, requests, fates) = (actions.len(), requests.len(), fates.len());
        format!(
            "{:7} {:>7} {:>5} {:>8} {:>5} {candidates:>10} {:>7.2}  {} of {STREAMS}  {actions} actions {requests} requests {fates} fates, {} replicas {} clients delay {}{}",
            self.bug,
            before.decisions,
            after.decisions,
            before.steps,
            after.steps,
            self.took.as_secs_f64(),
            self.robust,
            after.replicas,
            after.clients,
            trace.head.setup.network.delay_mean_us,
            if *is_minimal { "" } else { ", not minimal" },
        )
    }

    /// Writes the trace into the folder that the environment names, if it does.
    fn keep(&self) {
        if let Ok(folder) = std::env::var("OUT") {
            let path = Path::new(&folder).join(format!("{}.trace.jsonl", self.bug));
            self.shrunk.trace.write(&path).expect("written");
        }
    }
}

/// What shrinking does to the first trace of each planted bug (or of those with `BUG` in their names), and what is
/// demanded of it: sizes in every profile, times in the release profile only.
#[test]
#[ignore = "takes minutes in a release build: cargo test --release -p sim --test shrink -- --ignored --nocapture"]
fn planted_bugs_become_small_in_time() {
    let only = std::env::var("BUG").unwrap_or_default();
    println!("{COLUMNS}");
    let measure = |bug| {
        let measured = measured(bug);
        println!("{}", measured.row());
        measured.keep();
        measured
    };
    let all: Vec<Measured> = bugs::planted().filter(|bug| bug.name.contains(&only)).map(measure).collect();
    for Measured { bug, shrunk, .. } in &all {
        let replayed = replay::replay(&shrunk.trace, false).expect("replayable");
        assert_eq!(replayed.outcome, Outcome::Violated, "{bug}");
    }
    let mut sizes: Vec<usize> = all.iter().map(|measured| measured.shrunk.after.decisions).collect();
    sizes.sort_unstable();
    let (median, largest) = (sizes[sizes.len() / 2], sizes[sizes.len() - 1]);
    let slowest = all.iter().max_by_key(|measured| measured.took).expect("a bug of that name");
    println!("median {median}, largest {largest}, slowest {} with {:?}", slowest.bug, slowest.took);
    assert!(median <= MEDIAN && largest <= LARGEST, "{sizes:?}");
    if cfg!(not(debug_assertions)) {
        assert!(slowest.took <= LONGEST, "{} took {:?}", slowest.bug, slowest.took);
    }
}

/// The time that this thread has been running, which other programs do not slow down.
fn processor_time() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split_whitespace().next().and_then(|number| number.parse().ok());
    Duration::from_nanos(first.unwrap_or(0))
}
