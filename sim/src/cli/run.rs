//! `sim run`: one seed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::RangedU64ValueParser;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::bugs::Bug;
use crate::check::Violation;
use crate::marks::{Marks, Moment};
use crate::registry::{self, AnyManner, AnyRecorded};
use crate::run::{Report, Verdict};
use crate::scenario::Overrides;
use crate::setup::Setup;

use super::describe::{self, Messages};
use super::exit::Exit;
use super::keep::{self, JsonSmall, Kept, Small, Smallest};
use super::text::{self, BAD, DOUBTFUL, GOOD, count, line, of, seconds, styled, word};
use super::{BugParser, Named, ScenarioParser, files, number};

/// What `sim run --help` ends with.
pub(crate) const EXAMPLES: &str = "\
A run that fails is recorded in failures/, shrunk, and told with the commands to go on with. Exits
with 0 if all properties held, 1 if one was violated; `sim --help` lists the other codes.

Examples:
  sim run --seed 42                                      the scenario swarm, as long as it says
  sim run --seed 42 --steps 100000 --replicas 5          longer, on five replicas
  sim run --seed 7 --scenario crash-storm                in another scenario
  sim run --seed 7 --scenario my-scenario.json           in one of your own
  sim run --seed 2582 --scenario quick-restarts --bug M-R0
                                                         with a bug planted into the protocol
  sim run --scenario published-recovery --bug M-R0       a story, step by step
  sim run --seed 3 --trace run.trace.jsonl               record it, whether it fails or not
  sim run --seed 3 --history history.jsonl --json        what the clients saw, for sim check";

/// One seed, and what is fixed of its run.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    /// The seed: decimal, or hexadecimal after 0x. Everything follows from it
    #[arg(long, value_name = "SEED", default_value = "0", value_parser = number, allow_hyphen_values = true)]
    pub(crate) seed: u64,
    /// Events dispatched while faults strike; then they stop, and the group must recover.
    /// [default: as the scenario says]
    #[arg(long, value_name = "N", value_parser = number)]
    pub(crate) steps: Option<u64>,
    /// A built-in scenario, or a scenario file. [default: swarm, or where the bug is hunted]
    #[arg(long, value_name = "NAME|FILE", value_parser = ScenarioParser, hide_possible_values = true)]
    pub(crate) scenario: Option<String>,
    /// Replicas in the group: 1 to 9. [default: as the scenario says]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<u8>::new().range(1..=9))]
    pub(crate) replicas: Option<u8>,
    /// Clients at work at a time: 1 to 64. [default: as the scenario says]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<u16>::new().range(1..=64))]
    pub(crate) clients: Option<u16>,
    /// Plant a bug into the protocol: `sim selftest --list` shows which there are
    #[arg(long, value_name = "NAME", value_parser = BugParser, hide_possible_values = true)]
    pub(crate) bug: Option<&'static Bug>,
    /// Record the run in this file, in a folder that exists.
    /// [default: failures/SCENARIO-SEED.trace.jsonl if it fails]
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Write what the clients asked and were answered to this file, as `sim check` reads it. Its folder must
    /// exist
    #[arg(long, value_name = "FILE")]
    pub(crate) history: Option<PathBuf>,
    /// Print one JSON object, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
    /// Leave the trace of a failure as it is: by default it is also shrunk, within 30 seconds
    #[arg(long)]
    pub(crate) no_shrink: bool,
}

impl RunArgs {
    fn overrides(&self) -> Overrides {
        Overrides { steps: self.steps, replicas: self.replicas, clients: self.clients, ..super::overrides() }
    }

    /// The command that does the same again.
    fn command(&self, scenario: &str) -> String {
        let mut command = format!("sim run --seed {} --scenario {}", self.seed, word(scenario));
        let mut add = |flag: &str, value: Option<String>| {
            if let Some(value) = value {
                command.push_str(&format!(" {flag} {value}"));
            }
        };
        add("--steps", self.steps.map(|steps| steps.to_string()));
        add("--replicas", self.replicas.map(|replicas| replicas.to_string()));
        add("--clients", self.clients.map(|clients| clients.to_string()));
        add("--bug", self.bug.map(|bug| bug.name.to_owned()));
        command
    }
}

/// Runs `sim run`. Returns the exit code.
#[must_use]
pub(crate) fn run(args: &RunArgs) -> u8 {
    let name = args.scenario.as_deref().unwrap_or(args.bug.map_or("swarm", |bug| bug.scenario));
    let named = match Named::find(name, &args.overrides()) {
        Ok(named) => named,
        Err(problem) => {
            text::complain(&problem);
            return Exit::Usage.code();
        }
    };
    let places = [("--trace", args.trace.as_deref()), ("--history", args.history.as_deref())];
    let no_place = |(flag, path): (&str, Option<&Path>)| files::unwritable(flag, path?);
    if let Some(problem) = places.into_iter().find_map(no_place) {
        text::complain(&problem);
        return Exit::Usage.code();
    }
    let setup = Arc::new(named.scenario.resolve(args.seed, &args.overrides()));
    let exit = match simulate(&setup, args.bug, args.history.is_some()) {
        Ok((recorded, real)) => match export(args, &recorded) {
            Ok(()) => conclude(args, &named, &recorded.report, real),
            Err(exit) => exit,
        },
        Err(problem) => {
            text::complain(&problem);
            Exit::Usage
        }
    };
    exit.code()
}

/// Runs the setup under a progress bar, and takes the time.
fn simulate(
    setup: &Arc<Setup>,
    bug: Option<&'static Bug>,
    history: bool,
) -> Result<(AnyRecorded, Duration), String> {
    let bar = progress_bar(setup.steps);
    #[expect(clippy::disallowed_methods, reason = "speed is measured here, and reaches stderr only")]
    let started = Instant::now();
    let mut progress = |steps| {
        bar.set_position(steps);
        if steps > setup.steps {
            bar.set_message("faults have stopped");
        }
    };
    let manner = AnyManner { history, ..AnyManner::default() };
    let ran = registry::run_any(setup, bug, &manner, &mut progress);
    let real = started.elapsed();
    bar.finish_and_clear();
    ran.map(|recorded| (recorded, real)).map_err(|error| error.to_string())
}

/// Writes the history, if that was asked for.
fn export(args: &RunArgs, recorded: &AnyRecorded) -> Result<(), Exit> {
    let Some(path) = &args.history else { return Ok(()) };
    files::export(path, &recorded.report.setup, recorded.history.as_ref())
}

/// A bar on a terminal, nothing elsewhere.
fn progress_bar(steps: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} steps, {per_sec} {msg}");
    ProgressBar::new(steps).with_style(style.expect("the template is valid"))
}

fn conclude(args: &RunArgs, named: &Named, report: &Report, real: Duration) -> Exit {
    let (scenario, seed) = (named.scenario.name(), args.seed);
    let path = trace_path(args, scenario, report);
    let kept = path.map(|path| keep::keep(&report.setup, args.bug, report.digest, &path));
    let is_unequal =
        kept.as_ref().is_some_and(|kept| keep::complain_if_unequal(kept, scenario, seed, report.digest));
    let is_unwritten = matches!(kept, Some(Kept::Failed(_)));
    if let Some(Kept::Failed(why)) = &kept {
        text::complain(why);
    }
    let (small, shrinking) = small(args, report, kept.as_ref());
    let exit = Exit::gravest(&[
        (is_unequal, Exit::Unequal),
        (report.violation().is_none() && is_unwritten, Exit::Usage),
        (report.steps == 0 && report.verdict == Verdict::Held, Exit::NothingRun),
        (true, exit_of(&report.verdict)),
    ]);
    let page = if args.json {
        json(args, report, kept.as_ref(), small.found(), exit)
    } else {
        page(args, named, report, kept.as_ref(), &small)
    };
    let exit = text::print(&page, exit);
    text::remark(&describe::speed(report.steps, report.time, real, shrinking));
    exit
}

/// Shrinks the trace of a failure, puts the result beside it, and says how long that took.
fn small(args: &RunArgs, report: &Report, kept: Option<&Kept>) -> (Smallest, Option<Duration>) {
    // A story is as short as its author made it.
    let is_told = report.setup.story.is_some();
    let shrinks = !args.no_shrink && !is_told && report.violation().is_some();
    let path = kept.and_then(Kept::path).filter(|_| shrinks);
    let Some(path) = path else { return (Smallest::None, None) };
    #[expect(clippy::disallowed_methods, reason = "a time limit, which the output tells of")]
    let started = Instant::now();
    let stop = || started.elapsed() >= keep::TIME;
    let small = keep::keep_small(&report.setup, args.bug, path, &stop);
    (small, Some(started.elapsed()))
}

/// Where the run is to be recorded, if it is.
fn trace_path(args: &RunArgs, scenario: &str, report: &Report) -> Option<PathBuf> {
    let is_violated = report.violation().is_some();
    let default = || keep::default_path(Path::new(keep::FOLDER), scenario, args.seed);
    args.trace.clone().or_else(|| is_violated.then(default))
}

const fn exit_of(verdict: &Verdict) -> Exit {
    match verdict {
        Verdict::Held => Exit::Held,
        Verdict::Violated(_) => Exit::Violated,
        Verdict::Inconclusive(_) => Exit::Inconclusive,
        Verdict::HarnessFailed(_) => Exit::HarnessFailed,
    }
}

// ---- For people --------------------------------------------------------------------------------------

fn page(args: &RunArgs, named: &Named, report: &Report, kept: Option<&Kept>, small: &Smallest) -> String {
    let mut page = String::new();
    describe::setup(&mut page, &report.setup, args.bug);
    page.push('\n');
    if let Some(story) = &report.setup.story {
        describe::told(&mut page, story, &report.story);
        page.push('\n');
    }
    verdict(&mut page, args, named, report, kept, small);
    page.push('\n');
    statistics(&mut page, report);
    page
}

fn verdict(
    page: &mut String,
    args: &RunArgs,
    named: &Named,
    report: &Report,
    kept: Option<&Kept>,
    small: &Smallest,
) {
    let seed = args.seed;
    match &report.verdict {
        Verdict::Held => held(page, report, kept),
        Verdict::Violated(violation) => {
            let kept = kept.expect("violations are kept");
            violated(page, report, violation);
            keep::commands(page, kept, small, seed, &args.command(&named.name));
        }
        Verdict::Inconclusive(why) => {
            page.push_str(&format!("{} {why}\n", styled(DOUBTFUL, "INCONCLUSIVE")));
            line(page, "  run again", &args.command(&named.name));
        }
        Verdict::HarnessFailed(why) => {
            page.push_str(&format!("{} at seed {seed}: {why}\n", styled(BAD, "THE HARNESS FAILED")));
            line(page, "  run again", &args.command(&named.name));
        }
    }
}

fn held(page: &mut String, report: &Report, kept: Option<&Kept>) {
    let note = if report.budget_exceeded { " (safety only: too much memory was lost)" } else { "" };
    page.push_str(&format!("{} all properties{note}\n", styled(GOOD, "HELD")));
    if let Some(path) = kept.and_then(Kept::path) {
        line(page, "  trace", &path.display().to_string());
    }
}

fn violated(page: &mut String, report: &Report, violation: &Violation) {
    page.push_str(&format!("{}\n", keep::headline(violation)));
    page.push_str(&format!("  {}\n", violation.witness));
    let Setup { scenario, seed, .. } = &*report.setup;
    line(page, "  where", &format!("seed {seed} of {scenario}, {}", keep::moment(violation)));
}

fn statistics(page: &mut String, report: &Report) {
    let after = report.steps - report.fault_steps;
    let (all, faulty) = (of(report.steps, ("step", "steps")), count(report.fault_steps));
    line(
        page,
        "length",
        &format!("{all} ({faulty} under faults, {} after), {}", count(after), virtual_time(report)),
    );
    let (committed, answered) = (count(report.committed), count(report.marks.answered));
    line(page, "operations", &format!("{committed} committed, {answered} answered"));
    describe::events(page, report.views, &report.marks);
    match report.verdict {
        Verdict::Held => describe::marks(page, &report.marks),
        // There is something more important to read.
        _ => describe::marks_in_short(page, &report.marks),
    }
    line(page, "digest", &format!("{:016x}", report.digest));
}

fn virtual_time(report: &Report) -> String {
    format!("{} of virtual time", seconds(report.time))
}

// ---- For machines ------------------------------------------------------------------------------------

/// What `sim run --json` prints. Fields keep their names and meaning; new ones may come.
#[derive(Debug, Serialize)]
struct Json<'a> {
    /// `held`, `violated`, `inconclusive` or `harness-failed`.
    verdict: &'static str,
    /// The exit code.
    exit_code: u8,
    /// The scenario's name.
    scenario: &'a str,
    /// The seed.
    seed: u64,
    /// The planted bug, or null.
    bug: Option<&'a str>,
    /// What was violated, or null.
    violation: Option<JsonViolation<'a>>,
    /// Why a check gave up or the harness failed, or null.
    reason: Option<&'a str>,
    /// Where the run was recorded, or null.
    trace: Option<String>,
    /// Its shrunk form, or null if none was made.
    shrunk: Option<JsonSmall>,
    /// Events dispatched in all.
    steps: u64,
    /// Events dispatched before the faults stopped.
    fault_steps: u64,
    /// Virtual time, in nanoseconds.
    virtual_time_ns: u64,
    /// Operations that were committed.
    committed: u64,
    /// Operations whose answer reached their client.
    answered: u64,
    /// Views started by a view change.
    view_changes: u64,
    /// Replicas that lost their memory.
    crashes: u64,
    /// Recoveries that came to their end.
    recoveries: u64,
    /// Whether more memory was lost than the group can stand: then only safety is demanded.
    budget_exceeded: bool,
    /// What became of messages.
    messages: Messages,
    /// Every counter, by its full name.
    marks: serde_json::Map<String, serde_json::Value>,
    /// The digest of everything that happened: 16 hexadecimal digits.
    digest: String,
    /// When each step of the story was passed, in nanoseconds, if one was told.
    #[serde(skip_serializing_if = "<[u64]>::is_empty")]
    story: &'a [u64],
    /// The resolved configuration.
    setup: &'a Setup,
}

/// A violation as it is printed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct JsonViolation<'a> {
    /// The property and the kind: what is the same in all runs that show the same fault.
    pub(crate) signature: String,
    /// The property's title.
    pub(crate) title: &'static str,
    /// The property, the kind, the witness, the step and the time in nanoseconds.
    #[serde(flatten)]
    pub(crate) violation: &'a Violation,
}

impl<'a> JsonViolation<'a> {
    /// Of a violation.
    pub(crate) fn of(violation: &'a Violation) -> Self {
        Self { signature: violation.signature(), title: violation.property.title(), violation }
    }
}

/// All counters as a JSON object.
pub(crate) fn json_marks(marks: &Marks) -> serde_json::Map<String, serde_json::Value> {
    marks.all().into_iter().map(|(name, count)| (name, count.into())).collect()
}

/// The result of a run as one line of JSON.
fn json(args: &RunArgs, report: &Report, kept: Option<&Kept>, small: Option<&Small>, exit: Exit) -> String {
    let (verdict, reason) = match &report.verdict {
        Verdict::Held => ("held", None),
        Verdict::Violated(_) => ("violated", None),
        Verdict::Inconclusive(why) => ("inconclusive", Some(why.as_str())),
        Verdict::HarnessFailed(why) => ("harness-failed", Some(why.as_str())),
    };
    let json = Json {
        verdict,
        exit_code: exit.code(),
        scenario: &report.setup.scenario,
        seed: args.seed,
        bug: args.bug.map(|bug| bug.name),
        violation: report.violation().map(JsonViolation::of),
        reason,
        trace: kept.and_then(Kept::path).map(|path| path.display().to_string()),
        shrunk: small.map(Small::json),
        steps: report.steps,
        fault_steps: report.fault_steps,
        virtual_time_ns: report.time,
        committed: report.committed,
        answered: report.marks.answered,
        view_changes: report.views,
        crashes: report.marks.count(Moment::Crash),
        recoveries: report.marks.count(Moment::Recovery),
        budget_exceeded: report.budget_exceeded,
        messages: Messages::of(&report.marks),
        marks: json_marks(&report.marks),
        digest: format!("{:016x}", report.digest),
        story: &report.story,
        setup: &report.setup,
    };
    serde_json::to_string(&json).expect("the result has string keys only") + "\n"
}
