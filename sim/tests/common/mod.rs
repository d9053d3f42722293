//! What tests share.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use serde_json::Value;
use sim::bugs;
use sim::check::Violation;
use sim::registry::{self, run_plain};
use sim::replay::{Likeness, Outcome, replay, rerecord};
use sim::run::Verdict;
use sim::setup::Setup;
use sim::trace::Trace;

/// An empty folder for a test, in which failures may be written. `path` has the names of the file of tests and
/// of the test.
pub(crate) fn folder(path: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(path);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The program, to be run in `folder`.
pub(crate) fn command(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
    command.args(arguments.split_whitespace()).current_dir(folder);
    // Where the tests themselves are one of several jobs, what they start must not become a part of something.
    for index in ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "CI_NODE_INDEX", "CIRCLE_NODE_INDEX"] {
        command.env_remove(index);
    }
    command.env_remove("BUILDKITE_PARALLEL_JOB").env_remove("GITHUB_STEP_SUMMARY");
    command
}

/// Runs the program in `folder`.
pub(crate) fn sim(folder: &Path, arguments: &str) -> Output {
    command(folder, arguments).output().unwrap()
}

/// Where a kept trace is.
pub(crate) fn kept(name: &str) -> String {
    format!("{}/../traces/{name}.trace.jsonl", env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub(crate) fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

pub(crate) fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// The one line of JSON that was printed.
pub(crate) fn json(output: &Output) -> Value {
    assert_eq!(out(output).lines().count(), 1, "{}", err(output));
    serde_json::from_str(out(output)).unwrap()
}

/// The violations of so many seeds with a planted bug, and how they were recorded.
pub(crate) fn violations(
    setup: impl Fn(u64) -> Setup,
    name: &str,
    seeds: u64,
) -> impl Iterator<Item = (Violation, Trace)> {
    let bug = bugs::find(name).expect("planted");
    (0..seeds).filter_map(move |seed| {
        let setup = Arc::new(setup(seed));
        let report = run_plain(&setup, Some(bug)).expect("a known workload");
        let violation = report.violation()?.clone();
        Some((violation, registry::record(&setup, Some(bug)).expect("a known workload").1))
    })
}

/// A run holds, and its trace says it again. Returns the trace, and that of the run that follows its decisions in
/// place of chance.
pub(crate) fn told_again(setup: Setup) -> (Trace, Trace) {
    let seed = setup.seed;
    let (report, trace) = registry::record(&Arc::new(setup), None).expect("a known workload");
    assert_eq!(report.verdict, Verdict::Held, "seed {seed}");
    let replayed = replay(&trace, false).expect("replayable");
    assert_eq!((replayed.likeness, replayed.outcome), (Likeness::Exact, Outcome::Clean), "seed {seed}");
    let followed = rerecord(&trace).expect("replayable");
    assert_eq!(followed.decisions.actions, trace.decisions.actions, "seed {seed}");
    assert_eq!(followed.decisions.requests, trace.decisions.requests, "seed {seed}");
    assert_eq!(followed.decisions.healed, trace.decisions.healed, "seed {seed}");
    (trace, followed)
}
