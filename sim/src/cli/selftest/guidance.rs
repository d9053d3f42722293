//! What guidance gains over plain seeds, for people, for a README, for machines.

use std::fmt::Write as _;

use serde::Serialize;

use super::Form;
use super::report::{self, number};
use super::table::{Side, Table};
use crate::cli::exit::Exit;
use crate::selftest::Outcome;

/// The whole report.
pub(super) fn page(plain: &[Outcome], guided: &[Outcome], form: Form) -> String {
    let pairs = pairs(plain, guided);
    match form {
        Form::Text => table(&pairs).text() + &summary(&pairs),
        Form::Markdown => table(&pairs).markdown(),
        Form::Json => json(&pairs, exit(plain, guided)),
    }
}

/// How it ended: that guidance is slower, or finds a bug in another guise, is no failure; a hunt that could not
/// be made is.
pub(super) fn exit(plain: &[Outcome], guided: &[Outcome]) -> Exit {
    let mut hunts = plain.iter().chain(guided).flat_map(|outcome| &outcome.hunts);
    Exit::gravest(&[
        (pairs(plain, guided).is_empty(), Exit::NothingRun),
        (hunts.any(|hunt| hunt.failure.is_some()), Exit::HarnessFailed),
    ])
}

/// A bug, hunted in both ways from the same starts.
type Pair<'a> = (&'a Outcome, &'a Outcome);

fn pairs<'a>(plain: &'a [Outcome], guided: &'a [Outcome]) -> Vec<Pair<'a>> {
    plain.iter().filter(|outcome| !outcome.bug.is_control()).zip(guided).collect()
}

/// How many times as fast guidance is, in hundredths; `None` if either did not find the bug mostly.
fn gain((plain, guided): &Pair<'_>) -> Option<u64> {
    Some(plain.steps()? * 100 / guided.steps()?.max(1))
}

fn table(pairs: &[Pair<'_>]) -> Table {
    let columns = vec![
        ("bug", Side::Left),
        ("plain found", Side::Right),
        ("plain steps", Side::Right),
        ("guided found", Side::Right),
        ("guided steps", Side::Right),
        ("times as fast", Side::Right),
    ];
    let mut table = Table::new(columns);
    for pair @ (plain, guided) in pairs {
        table.row(vec![
            plain.bug.name.to_owned(),
            report::found(plain),
            number(plain.steps()),
            report::found(guided),
            number(guided.steps()),
            gain(pair).map_or("-".to_owned(), hundredths),
        ]);
    }
    table
}

fn hundredths(number: u64) -> String {
    format!("{}.{:02}", number / 100, number % 100)
}

/// Bugs that take more than this are hard.
const HARD: u64 = 100_000;

fn summary(pairs: &[Pair<'_>]) -> String {
    let mut text = String::new();
    let mut group = |title: &str, wanted: &dyn Fn(u64) -> bool| {
        let pairs: Vec<_> =
            pairs.iter().filter(|(plain, _)| wanted(plain.steps().unwrap_or(u64::MAX))).collect();
        let faster = pairs.iter().filter(|pair| gain(pair).is_some_and(|gain| gain > 100)).count();
        let slower = pairs.iter().filter(|pair| gain(pair).is_none_or(|gain| gain < 100)).count();
        let mut gains: Vec<_> = pairs.iter().filter_map(|pair| gain(pair)).collect();
        gains.sort_unstable();
        let middle = gains.get(gains.len() / 2).map_or("-".to_owned(), |&gain| hundredths(gain));
        let number = pairs.len();
        let _ = writeln!(
            text,
            "{title}: of {number} faster {faster}, slower {slower}; {middle} times as fast in the median"
        );
    };
    group("\nhard bugs (100,000 steps and more)", &|steps| steps >= HARD);
    group("the others", &|steps| steps < HARD);
    text
}

/// What `sim selftest --guided --json` prints. Fields keep their names and meaning; new ones may come.
#[derive(Debug, Serialize)]
struct Json<'a> {
    /// The exit code.
    exit_code: u8,
    /// One entry for each planted bug.
    bugs: Vec<JsonPair<'a>>,
}

/// Medians of steps over the starts; null where most of them found nothing.
#[derive(Debug, Serialize)]
struct JsonPair<'a> {
    name: &'a str,
    starts: usize,
    plain_found: usize,
    plain_steps: Option<u64>,
    guided_found: usize,
    guided_steps: Option<u64>,
}

fn json(pairs: &[Pair<'_>], exit: Exit) -> String {
    let bugs = pairs.iter().map(|(plain, guided)| JsonPair {
        name: plain.bug.name,
        starts: plain.hunts.len(),
        plain_found: plain.found(),
        plain_steps: plain.steps(),
        guided_found: guided.found(),
        guided_steps: guided.steps(),
    });
    let json = Json { exit_code: exit.code(), bugs: bugs.collect() };
    serde_json::to_string(&json).expect("the result has string keys only") + "\n"
}
