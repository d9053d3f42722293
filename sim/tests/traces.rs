//! The traces that are kept show what they say, and those that are not right are refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use sim::bugs;
use sim::registry;
use sim::replay::{Likeness, Outcome, replay, rerecord};
use sim::scenario::{Overrides, Scenario};
use sim::trace::{Expected, Follows, Trace};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../traces")
}

fn kept() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).expect("the folder of traces");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn sim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sim")).args(arguments).output().expect("sim runs")
}

/// A file in a folder of its own, which is removed with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sim-traces-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for the test");
        Self(folder.join("trace.jsonl"))
    }

    fn holding(name: &str, content: impl AsRef<[u8]>) -> Self {
        let scratch = Self::new(name);
        fs::write(&scratch.0, content).expect("written");
        scratch
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a name in UTF-8")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.parent().expect("in a folder"));
    }
}

#[test]
fn every_kept_trace_shows_what_it_says() {
    let (mut violated, mut clean, mut healed) = (0, 0, 0);
    for path in kept() {
        let trace = Trace::read(&path).unwrap_or_else(|error| panic!("{error}"));
        assert!(trace.head.note.is_some(), "{}: says why it is kept", path.display());
        let replayed = replay(&trace, false).unwrap_or_else(|error| panic!("{error}"));
        let [core, told] = [&replayed.decisions, &trace.decisions]
            .map(|decisions| decisions.healed.as_ref().map(|healed| healed.core.clone()));
        // A trace may say nothing of it, and a run may not come so far.
        let is_as_told = told.is_none() || core.is_none() || core == told;
        assert!(is_as_told, "{}: after the faults, {core:?} go on", path.display());
        healed += usize::from(core.is_some() && told.is_some());
        match replayed.outcome {
            Outcome::Violated => violated += 1,
            Outcome::Clean => clean += 1,
            Outcome::NotReproduced => panic!("{}: no longer shows what it says", path.display()),
        }
    }
    assert!(violated >= 2 && clean >= 1, "{violated} with a violation, {clean} clean");
    assert!(healed >= 8, "of {healed} it is told who goes on after the faults");
}

#[test]
fn the_command_ends_as_the_trace_says() {
    for path in kept() {
        let expected = match Trace::read(&path).expect("a trace").head.expect {
            Expected::Violation(_) => 1,
            Expected::Clean => 0,
        };
        let output = sim(&["replay", path.to_str().expect("a name in UTF-8")]);
        assert_eq!(output.status.code(), Some(expected), "{}", path.display());
    }
}

/// Without its planted bug, a trace does not show its violation any more.
#[test]
fn a_trace_of_a_bug_that_is_gone_no_longer_reproduces() {
    let text = fs::read_to_string(folder().join("published-recovery.trace.jsonl")).expect("kept");
    let fixed = Scratch::holding("fixed", text.replace(r#""bug":"M-R0","#, ""));
    let output = sim(&["replay", fixed.path()]);
    assert_eq!(output.status.code(), Some(6));
    assert!(String::from_utf8_lossy(&output.stdout).contains("by decisions"));
}

/// A trace of many seeds and its replay by decisions end alike, on the same code.
#[test]
fn decisions_alone_make_the_same_run() {
    let mut compared = 0;
    for (scenario, bug) in [("primary-hunt", None), ("busy-clients", None), ("primary-hunt", Some("M-V11"))] {
        for seed in 0..20 {
            let scenario = Scenario::find(scenario).expect("built in");
            let overrides = Overrides { steps: Some(1_500), ..Overrides::default() };
            let setup = Arc::new(scenario.resolve(seed, &overrides));
            let bug = bug.map(|name| bugs::find(name).expect("planted"));
            let (report, trace) = registry::record(&setup, bug).expect("a known workload");
            let again = rerecord(&trace).expect("replayable");
            assert_eq!(again.head.follows, Follows::Decisions);
            match (&trace.head.expect, &again.head.expect) {
                (Expected::Clean, Expected::Clean) => {}
                (Expected::Violation(first), Expected::Violation(second)) => {
                    assert_eq!(first.signature(), second.signature(), "seed {seed}");
                    assert_eq!(first.time, second.time, "seed {seed}");
                    compared += 1;
                }
                (first, second) => {
                    panic!("seed {seed} of {}: {first:?}, then {second:?}", report.setup.scenario)
                }
            }
            let exact = replay(&again, false).expect("replayable");
            assert_eq!(exact.likeness, Likeness::Exact, "a trace that follows decisions is replayed by them");
        }
    }
    assert!(compared > 0, "only {compared} violations were compared");
}

/// A digest that differs is found at its step, and the run is made again by its decisions.
#[test]
fn the_first_step_that_differs_is_named() {
    let mut trace = Trace::read(&folder().join("published-state-transfer.trace.jsonl")).expect("kept");
    trace.decisions.hashes[9] ^= 1;
    let replayed = replay(&trace, false).expect("replayable");
    let Likeness::ByDecisions { first_difference, matched } = replayed.likeness else { panic!("not exact") };
    assert_eq!(first_difference, 10);
    assert_eq!(matched.actions.0, matched.actions.1);
    assert_eq!(matched.requests.0, matched.requests.1);
    assert_eq!(replayed.outcome, Outcome::Violated);
}

fn refused(name: &str, content: impl AsRef<[u8]>, code: i32, says: &str) {
    let scratch = Scratch::holding(name, content);
    for command in [vec!["replay", scratch.path()], vec!["trace", "show", scratch.path()]] {
        let output = sim(&command);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{name}: {stderr}");
        assert_eq!(stderr.trim_end().lines().count(), 1, "{name}: one line: {stderr}");
        assert!(stderr.contains(says), "{name}: {stderr}");
        assert!(output.stdout.is_empty(), "{name}");
    }
}

#[test]
fn a_damaged_trace_is_refused_with_one_clear_line() {
    let text = fs::read_to_string(folder().join("published-recovery.trace.jsonl")).expect("kept");
    let lines: Vec<&str> = text.lines().collect();
    refused("empty", "", 2, "an empty file");
    for (name, foreign) in
        [("no-trace", &b"{\"a\":1}\n"[..]), ("not-json", b"hello\n"), ("not-text", &[0xff, 0xfe, 0x00])]
    {
        refused(name, foreign, 2, "is not a trace: expected a first line with \"format\":\"vr-sim-trace\"");
    }
    refused("cut-in-the-head", &text[..40], 2, ":1: damaged at column 40");
    refused("not-text-later", [lines[0].as_bytes(), &[b'\n', 0xff]].concat(), 2, ":2: not text");
    refused("cut-off", lines[..lines.len() - 3].join("\n"), 2, "the file ends here");
    refused("cut-in-a-line", &text[..text.len() / 2], 2, "damaged at column");
    refused("line-missing", [&lines[..2], &lines[3..]].concat().join("\n"), 2, "lines are missing");
    refused("more", format!("{text}{{}}\n"), 2, "something follows");
    refused("newer", text.replacen("\"version\":1", "\"version\":2", 1), 2, "newer");
    refused("older", text.replacen("\"version\":1", "\"version\":0", 1), 2, "older");
    refused("unknown-bug", text.replace("\"M-R0\"", "\"M-X9\""), 6, "M-X9");
    refused("unknown-field", text.replacen("\"seed\":", "\"sead\":", 1), 2, "sead");
    refused("no-group", text.replacen("\"replicas\":4", "\"replicas\":0", 1), 2, "1 to 9 is allowed");
    refused("stranger", text.replacen("\"replica\":2", "\"replica\":4", 1), 2, ":5: r4: expected one of 4");
    let lasts = text.replacen("\"lasts\":100000000", "\"lasts\":18446744073709551615", 1);
    refused("for-ever", lasts, 2, "a hundred years");
    let with = |line| [&lines[..1], &[line], &lines[2..]].concat().join("\n");
    let still = r#"{"action":{"at":1,"do":"set-rate","node":"r0","drift_ppm":-1000000}}"#;
    refused("clock-stands-still", with(still), 2, ":2: a clock with a drift of -1000000 ppm");
    let nobody =
        r#"{"request":{"slot":0,"life":1,"number":1,"pause":0,"operation":{},"way":{"causal":{"from":9}}}}"#;
    refused("read-at-nobody", with(nobody), 2, ":2: r9: expected one of 4 replicas");
    refused("strange-client", text.replacen("\"r1\"", "\"c99\"", 1), 2, "c99: expected one of 4 replicas");
}

#[test]
fn a_trace_that_is_not_there_is_unreadable_input() {
    let output = sim(&["replay", "no/such/trace.jsonl"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no/such/trace.jsonl"));
}

/// What is written is read back, and nothing else is left in the folder.
#[test]
fn traces_are_written_whole() {
    let setup = Arc::new(Scenario::find("lossy").expect("built in").resolve(3, &Overrides::default()));
    let (_, trace) = registry::record(&setup, None).expect("a known workload");
    let scratch = Scratch::holding("whole", "what was there before");
    trace.write(&scratch.0).expect("written");
    let read = Trace::read(&scratch.0).expect("a trace");
    assert_eq!(read.head, trace.head);
    assert_eq!(read.decisions.fates, trace.decisions.fates);
    assert_eq!(read.decisions.hashes, trace.decisions.hashes);
    let files = fs::read_dir(scratch.0.parent().expect("in a folder")).expect("readable").count();
    assert_eq!(files, 1, "no temporary file is left");
}

#[test]
fn a_story_is_told_and_two_runs_are_compared() {
    let kept = |name: &str| format!("{}/../traces/{name}.trace.jsonl", env!("CARGO_MANIFEST_DIR"));
    let (recovery, transfer) = (kept("published-recovery"), kept("published-state-transfer"));
    let out = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_sim")).args(arguments).output().expect("sim runs");
        (String::from_utf8(output.stdout).expect("text"), output.status.code())
    };
    let (story, code) = out(&["trace", "show", &recovery]);
    assert_eq!(code, Some(0));
    assert!(story.contains("times out in view 0") && story.contains("VIOLATED S4b"), "{story}");
    assert!(story.lines().all(|line| line.chars().count() <= 120), "{story}");
    let (only, _) = out(&["trace", "show", &recovery, "--kind", "Recovery"]);
    assert!(only.lines().count() < story.lines().count() && only.contains("sends Recovery"), "{only}");
    let (list, _) = out(&["trace", "show", &recovery, "--list"]);
    assert!(list.lines().count() > story.lines().count());
    let (same, code) = out(&["diff", &recovery, &recovery]);
    assert_eq!((same.as_str(), code), ("the same 77 events happen in both\n", Some(0)));
    let (parts, code) = out(&["diff", &recovery, &transfer]);
    assert_eq!(code, Some(1));
    assert!(parts.contains("planted bug: M-R0 → M-S1") && parts.contains("\nB "), "{parts}");
}

#[test]
fn a_failure_is_explained() {
    let kept = |name: &str| format!("{}/../traces/{name}.trace.jsonl", env!("CARGO_MANIFEST_DIR"));
    let out = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_sim")).args(arguments).output().expect("sim runs");
        let (stdout, stderr) = (output.stdout, output.stderr);
        (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap(), output.status.code())
    };
    let (page, _, code) = out(&["explain", &kept("published-recovery")]);
    assert_eq!(code, Some(0));
    assert!(page.contains("◀ decisive") && page.contains("decisive:\n"), "{page}");
    // One event has one number: that of the branches in which it was seen again.
    for line in page.lines().filter(|line| line.contains(" → ")) {
        let (likelihood, rest) =
            line.split_once(" → ").expect("two figures").1.split_once(" %").expect("a figure");
        let step = rest.trim().split(' ').next().expect("a step");
        let in_curve =
            |line: &&str| line.starts_with(&format!("{step} ")) && line.contains(&format!(" {likelihood} %"));
        assert_eq!(page.lines().filter(in_curve).count(), 1, "{step} {likelihood}: {page}");
    }
    let (json, _, code) = out(&["explain", &kept("published-recovery"), "--json", "--branches", "20"]);
    assert_eq!(code, Some(0));
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["points"].as_array().unwrap().last().unwrap()["step"], 77);
    let (page, complaint, code) = out(&["explain", &kept("new-state-of-another-view")]);
    assert_eq!((page.as_str(), code), ("", Some(6)));
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(complaint.contains("expected one that shows a violation"), "{complaint}");
}

/// A replica stands still with a question that waits for it: from then on the run is lost, though in branches,
/// where more is asked, something else goes wrong first, and later than a hundred steps on.
#[test]
fn the_cause_is_named_and_not_what_decides_how_it_shows() {
    let whole = Scratch::new("cause");
    let run = sim(&[
        "run",
        "--seed",
        "153",
        "--scenario",
        "swarm",
        "--bug",
        "M-S4",
        "--trace",
        whole.path(),
        "--no-shrink",
    ]);
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    let small = Scratch::new("cause-shrunk");
    assert_eq!(sim(&["shrink", whole.path(), "-o", small.path()]).status.code(), Some(0));
    let explained = sim(&["explain", small.path(), "--branches", "40"]);
    let page = String::from_utf8(explained.stdout).expect("text");
    let (_, decisive) = page.split_once("decisive:\n").expect("something was decisive");
    assert!(decisive.starts_with("  0 → 100 %") && decisive.contains("stands still for"), "{page}");
    assert_eq!(decisive.lines().count(), 2, "one event, and the number of branches: {page}");
    assert!(page.contains("100 %  (in other ways)"), "{page}");
}
