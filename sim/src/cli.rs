//! The command line: one file for each subcommand.
//!
//! Results go to stdout, and are the same to the byte for the same seeds, whatever the machine, the build
//! and the number of threads. Progress, speed and remarks go to stderr.

mod check;
mod completions;
mod describe;
mod diff;
mod exit;
mod explain;
mod files;
mod keep;
mod merge;
mod replay;
mod run;
mod scenario;
mod selftest;
mod shard;
mod shrink;
mod sweep;
mod text;
mod trace;
mod view;

use std::ffi::OsStr;
use std::num::NonZeroUsize;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::thread;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, CommandFactory, Parser, Subcommand};

use crate::bugs::{self, Bug};
use crate::code;
use crate::registry;
use crate::scenario::{Overrides, Scenario};
use crate::workload::Workload;
use exit::Exit;

/// Simulates a group of Viewstamped Replication replicas under faults, from a seed, and checks it.
///
/// Everything that happens follows from the seed: the same seed gives the same run on every machine.
/// Without a subcommand one seed is run, as by `sim run`.
#[derive(Debug, Parser)]
#[command(name = "sim", version = code::VERSION, args_conflicts_with_subcommands = true, after_help = examples())]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::RunArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one seed (what bare flags do)
    #[command(after_help = run::EXAMPLES)]
    Run(run::RunArgs),
    /// Run many seeds on all cores, and group what fails
    Sweep(sweep::SweepArgs),
    /// Join the parts of a sweep that was made in several jobs
    Merge(merge::MergeArgs),
    /// Make traces as small as they get
    Shrink(shrink::ShrinkArgs),
    /// Run a recorded trace again
    Replay(replay::ReplayArgs),
    /// Look at recorded traces
    #[command(subcommand)]
    Trace(trace::TraceCommand),
    /// Find the events that decided how a run ended
    Explain(explain::ExplainArgs),
    /// Find the first event at which two runs part
    Diff(diff::DiffArgs),
    /// Say whether a history of any system is linearizable, and if not, why
    Check(check::CheckArgs),
    /// Make a page of a trace: a diagram of all that happened, for a browser
    View(view::ViewArgs),
    /// List, check and show scenarios
    #[command(subcommand)]
    Scenario(scenario::ScenarioCommand),
    /// Prove that the checks bite: every planted bug must be found
    Selftest(selftest::SelftestArgs),
    /// Print what a shell needs to complete this command line
    Completions(completions::CompletionsArgs),
    /// Print the manual page
    Man(completions::ManArgs),
}

fn examples() -> String {
    format!(
        "\
Examples:
  sim --seed 42 --steps 100000            run one seed, with 100,000 steps under faults
  sim --seed 7 --scenario crash-storm     run it in another scenario
  sim sweep --count 2000                  run seeds 0 to 1999, dealt out to all scenarios
  sim sweep --time 60s --scenario swarm   run as many seeds as fit into a minute
  sim sweep --bug M-Q2 --count 200        hunt a planted bug
  sim sweep --count 2000 --jsonl a.jsonl --resume
                                          keep a record of each run; go on after a stop
  sim sweep --count 2000 --shard 1/4 --jsonl part-1.jsonl
  sim merge part-*.jsonl                  a quarter of a sweep; then all four as one
  sim shrink failures/swarm-42.trace.jsonl
  sim replay failures/swarm-42.trace.jsonl
  sim trace show failures/swarm-42.trace.jsonl
  sim explain failures/swarm-42.trace.jsonl
  sim diff before.trace.jsonl after.trace.jsonl
  sim check history.jsonl --model register
  sim view failures/swarm-42.trace.jsonl  a diagram of it, as a page for the browser
  sim scenario list
  source <(sim completions bash)          let the shell complete all of this

Exit codes:
{}",
        Exit::table()
    )
}

/// Reads the command line, does what it says, and gives the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // A panic has been reported by the time it gets here: what is left is to give it its own code.
    let code = panic::catch_unwind(AssertUnwindSafe(|| execute(&cli)));
    ExitCode::from(code.unwrap_or(Exit::HarnessFailed.code()))
}

/// The same for a workload of your own: whatever scenario is run, this workload runs in it.
///
/// ```no_run
/// # use sim::workload::key_value::KeyValue as MyWorkload;
/// fn main() -> std::process::ExitCode {
///     sim::cli::main_for::<MyWorkload>()
/// }
/// ```
#[must_use]
pub fn main_for<W: Workload>() -> ExitCode {
    registry::register::<W>();
    OWN_WORKLOAD.get_or_init(|| W::NAME);
    main()
}

/// The workload that takes the place of every scenario's, if there is one.
static OWN_WORKLOAD: OnceLock<&'static str> = OnceLock::new();

/// What is changed in every scenario before the flags change anything: nothing but the workload.
pub(crate) fn overrides() -> Overrides {
    Overrides { workload: OWN_WORKLOAD.get().copied(), ..Overrides::default() }
}

fn execute(cli: &Cli) -> u8 {
    match &cli.command {
        None => run::run(&cli.run),
        Some(Command::Run(args)) => run::run(args),
        Some(Command::Sweep(args)) => sweep::run(args),
        Some(Command::Shrink(args)) => shrink::run(args),
        Some(Command::Replay(args)) => replay::run(args),
        Some(Command::Trace(command)) => trace::run(command),
        Some(Command::Explain(args)) => explain::run(args),
        Some(Command::Diff(args)) => diff::run(args),
        Some(Command::Check(args)) => check::run(args),
        Some(Command::View(args)) => view::run(args),
        Some(Command::Scenario(command)) => scenario::run(command),
        Some(Command::Selftest(args)) => selftest::run(args),
        Some(Command::Merge(args)) => merge::run(args),
        Some(Command::Completions(args)) => completions::run(args, Cli::command()),
        Some(Command::Man(args)) => completions::man(args, Cli::command()),
    }
}

/// The most threads that may be asked for.
const JOBS_MAX: usize = 1_024;

/// How many threads to use, from the command line.
fn jobs(text: &str) -> Result<NonZeroUsize, String> {
    let jobs = text.parse().ok().filter(|jobs: &NonZeroUsize| jobs.get() <= JOBS_MAX);
    jobs.ok_or_else(|| format!("expected 1 to {JOBS_MAX} threads"))
}

/// How many threads there are where nobody says: one for each core.
pub(crate) fn cores() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Reads a whole number: decimal, or hexadecimal after `0x`; `_` may separate digits.
pub(crate) fn number(text: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    let parsed = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        // The parser would take a sign.
        Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16),
        _ if digits.starts_with('+') => "+".parse(),
        _ => digits.parse(),
    };
    parsed
        .map_err(|_| format!("expected a whole number from 0 to {}, or 0x and hexadecimal digits", u64::MAX))
}

/// Reads the name of a planted bug, and knows all of them for shells that complete it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BugParser;

impl TypedValueParser for BugParser {
    type Value = &'static Bug;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&Arg>,
        text: &OsStr,
    ) -> Result<Self::Value, clap::Error> {
        planted_bug.parse_ref(command, arg, text)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(bugs::all().map(|bug| PossibleValue::new(bug.name))))
    }
}

/// Takes the name of a scenario or of a file as it is, and knows the built-in ones for shells that complete it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScenarioParser;

impl TypedValueParser for ScenarioParser {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&Arg>,
        text: &OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, arg, text)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Scenario::builtin_names().chain(Scenario::story_names()).map(PossibleValue::new)))
    }
}

/// Finds a planted bug by its name.
fn planted_bug(name: &str) -> Result<&'static Bug, String> {
    bugs::find(name).ok_or_else(|| {
        let names: Vec<_> = bugs::all().map(|bug| bug.name).collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// A scenario, and what it was called on the command line: commands to paste must say the same.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    /// The name of a built-in scenario, or a file.
    pub(crate) name: String,
    /// The scenario.
    pub(crate) scenario: Scenario,
}

impl Named {
    /// Finds a scenario, and sees whether the command line may change it as it does.
    pub(crate) fn find(name: &str, overrides: &Overrides) -> Result<Self, String> {
        let scenario = Scenario::find(name).map_err(|error| error.to_string())?;
        scenario.check_overrides(overrides).map_err(|error| error.to_string())?;
        check_workloads(name, &scenario)?;
        Ok(Self { name: name.to_owned(), scenario })
    }
}

/// Refuses a scenario whose workloads nobody knows, unless one of your own takes their place. The scenario itself
/// cannot say it: what is registered, a program decides.
pub(crate) fn check_workloads(name: &str, scenario: &Scenario) -> Result<(), String> {
    if overrides().workload.is_some() {
        return Ok(());
    }
    let checked = scenario.workloads().try_for_each(registry::check_workload);
    checked.map_err(|unknown| format!("{name}: workload: {unknown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        assert_eq!(number("42"), Ok(42));
        assert_eq!(number("100_000"), Ok(100_000));
        assert_eq!(number("0xff"), Ok(255));
        assert_eq!(number("18446744073709551615"), Ok(u64::MAX));
        for wrong in ["", "-1", "+1", "0x+1", "0x", "1.5", "18446744073709551616", "0x1_0000_0000_0000_0000"]
        {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }
}
