//! `sim merge`: joins the records of a sweep's parts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::records::{Head, Reader, Writer};
use crate::scenario::Scenario;
use crate::sweep::{Outcome, Plan, Record, Shard};

use super::exit::Exit;
use super::sweep::{ReportArgs, conclude};
use super::{Named, text};

/// The files, and what is demanded of the whole.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Every part must be there, once and complete, made by this very code with the same settings. The result is
then the same, to the byte, as if one sweep had made all runs. The same part twice is refused; but before,
both are compared run by run, and a seed that gave two results is told (exit code 5).

Examples:
  sim sweep --count 100000 --shard 1/2 --jsonl part-1.jsonl
  sim sweep --count 100000 --shard 2/2 --jsonl part-2.jsonl
  sim merge part-1.jsonl part-2.jsonl
  sim merge part-*.jsonl --jsonl whole.jsonl --junit sweep.xml --require-marks")]
pub(crate) struct MergeArgs {
    /// Files that `sim sweep --jsonl` wrote, in any order
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
    /// Write the records of the whole sweep to this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    jsonl: Option<PathBuf>,
    #[command(flatten)]
    report: ReportArgs,
}

/// Why there is no result.
enum Refusal {
    /// The files cannot be joined.
    Unusable(String),
    /// A seed gave two results.
    Unequal(String),
}

impl From<String> for Refusal {
    fn from(problem: String) -> Self {
        Self::Unusable(problem)
    }
}

/// Runs `sim merge`. Returns the exit code.
#[must_use]
pub(crate) fn run(args: &MergeArgs) -> u8 {
    let (problem, exit) = match merge(args) {
        Ok(exit) => return exit.code(),
        Err(Refusal::Unusable(problem)) => (problem, Exit::Usage),
        Err(Refusal::Unequal(problem)) => (problem, Exit::Unequal),
    };
    text::complain(&problem);
    exit.code()
}

fn merge(args: &MergeArgs) -> Result<Exit, Refusal> {
    args.report.check()?;
    let mut parts = parts(&args.files)?;
    let first = parts.values().next().expect("there is a file, and so a part");
    // What is shrunk is shrunk on all cores.
    let plan = Plan { shard: Shard::WHOLE, jobs: super::cores(), ..first.plan().clone() };
    let given = first.given().to_vec();
    let writer = match &args.jsonl {
        Some(_) if plan.count.is_none() => {
            let expected = "expected parts made with --count or --seeds A..B";
            Err(format!("--jsonl: a sweep without an end has no whole: {expected}"))?
        }
        Some(path) => {
            Some(Writer::create(path, &Head::new(&plan, &given)).map_err(|error| error.to_string())?)
        }
        None => None,
    };
    let outcome = join(&plan, &mut parts, writer)?;
    let named = |(name, scenario): (String, &Scenario)| Named { name, scenario: scenario.clone() };
    let scenarios: Vec<Named> = given.into_iter().zip(&plan.scenarios).map(named).collect();
    let (exit, shrinking) = conclude(&args.report, &plan, &scenarios, &outcome);
    if let Some(time) = shrinking {
        text::remark(&format!("shrinking took {:.2} s", time.as_secs_f64()));
    }
    Ok(exit)
}

/// Opens the files, and puts them in the order of their parts: all of one sweep, each part once.
fn parts(files: &[PathBuf]) -> Result<BTreeMap<u64, Reader>, Refusal> {
    let mut parts: BTreeMap<u64, Reader> = BTreeMap::new();
    // Against which file the others are held.
    let mut first: Option<(Head, &PathBuf)> = None;
    for path in files {
        let workload = super::overrides().workload;
        let mut reader = Reader::open(path, workload).map_err(|error| error.to_string())?;
        let (head, first_path) = first.get_or_insert_with(|| (reader.head().clone(), path));
        if let Some(difference) = head.difference(reader.head()) {
            let (path, first_path) = (path.display(), first_path.display());
            Err(format!("{path}: not a part of the same sweep as {first_path}: {difference}"))?;
        }
        let Shard { number, of } = reader.plan().shard;
        if let Some(other) = parts.get_mut(&number)
            && other.plan().shard.of == of
        {
            return Err(overlap(other, &mut reader));
        }
        if let Some(other) = parts.values().next().filter(|other| other.plan().shard.of != of) {
            let (path, other_path) = (path.display(), other.path().display());
            let other = other.plan().shard;
            Err(format!(
                "{path}: part {number} of {of}, but {other_path} is part {} of {}",
                other.number, other.of
            ))?;
        }
        parts.insert(number, reader);
    }
    let of = parts.values().next().map_or(0, |part| part.plan().shard.of);
    match (1..=of).find(|number| !parts.contains_key(number)) {
        Some(missing) => Err(format!("part {missing} of {of} is missing: expected a file for each part"))?,
        None => Ok(parts),
    }
}

/// Two files of the same part: what to say about it. Before they are refused, they must agree.
fn overlap(one: &mut Reader, other: &mut Reader) -> Refusal {
    let shard = one.plan().shard;
    loop {
        match (one.next_record(), other.next_record()) {
            (Ok(Some(first)), Ok(Some(second))) if first != second => {
                return Refusal::Unequal(unequal(one, &first, other, &second));
            }
            (Ok(Some(_)), Ok(Some(_))) => {}
            (Err(error), _) | (_, Err(error)) => return Refusal::Unusable(error.to_string()),
            (Ok(_), Ok(_)) => break,
        }
    }
    let (one, other) = (one.path().display(), other.path().display());
    Refusal::Unusable(format!(
        "{other}: part {} of {}, as {one} is: expected each part once",
        shard.number, shard.of
    ))
}

fn unequal(one: &Reader, first: &Record, other: &Reader, second: &Record) -> String {
    format!(
        "seed {} of {} gave two results: digest {:016x} in {}:{}, {:016x} in {}:{}",
        first.seed,
        first.scenario,
        first.digest.0,
        one.path().display(),
        one.line(),
        second.digest.0,
        other.path().display(),
        other.line()
    )
}

/// Sums up the records of all parts, in the order of seeds as far as the parts go alike, and writes them to
/// one file if that is wanted.
fn join(
    plan: &Plan,
    parts: &mut BTreeMap<u64, Reader>,
    mut writer: Option<Writer>,
) -> Result<Outcome, Refusal> {
    let mut outcome = Outcome::default();
    loop {
        // Whose seed is the lowest of those to come.
        let turn = parts.values().filter_map(|part| Some((part.expected()?, part.plan().shard.number))).min();
        let Some((seed, number)) = turn else { break };
        let part = parts.get_mut(&number).expect("it has just been there");
        match part.next_record().map_err(|error| error.to_string())? {
            Some(record) => {
                if let Some(writer) = &mut writer {
                    writer.add(&record).map_err(|error| error.to_string())?;
                }
                outcome.add(&record);
            }
            None if part.is_cut() || plan.count.is_some() => Err(incomplete(part, seed))?,
            // Without an end, a part is as long as there was time for.
            None => {
                outcome.stopped = true;
                parts.remove(&number);
            }
        }
    }
    // What follows the end of a part is found by reading on.
    for part in parts.values_mut() {
        part.next_record().map_err(|error| error.to_string())?;
        if part.is_cut() {
            let path = part.path().display();
            Err(format!("{path}:{}: something follows the last seed: expected the end", part.line() + 1))?;
        }
    }
    Ok(outcome)
}

fn incomplete(part: &Reader, seed: u64) -> String {
    let (path, line) = (part.path().display(), part.line());
    if part.is_cut() {
        return format!(
            "{path}:{}: cut in the middle of the line: expected seed {seed} (sim sweep --resume goes on)",
            line + 1
        );
    }
    format!("{path}: ends after line {line}: expected seed {seed} (sim sweep --resume goes on)")
}
