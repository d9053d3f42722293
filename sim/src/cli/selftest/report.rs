//! What came of the self test, for people, for a README, for machines.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::Form;
use super::table::{Side, Table};
use crate::check::Property;
use crate::cli::exit::Exit;
use crate::cli::text::{count, of};
use crate::selftest::{Ending, Faults, Find, Hunt, Outcome};

/// The whole report.
pub(super) fn page(outcomes: &[Outcome], form: Form, times: bool) -> String {
    match form {
        Form::Text => text(outcomes, times) + &summary(outcomes),
        Form::Markdown => markdown(outcomes, times),
        Form::Json => json(outcomes, times),
    }
}

/// How the self test ended.
pub(super) fn exit(outcomes: &[Outcome]) -> Exit {
    Exit::gravest(&[
        (outcomes.is_empty(), Exit::NothingRun),
        (outcomes.iter().any(|outcome| outcome.ending() == Ending::Failed), Exit::HarnessFailed),
        (outcomes.iter().any(|outcome| !outcome.is_good()), Exit::Violated),
    ])
}

// ---- Cells -------------------------------------------------------------------------------------------

/// `S4b`, or `S4b 4, S2 1` where there are several.
pub(super) fn finders(finders: &[(Property, usize)]) -> String {
    match finders {
        [] => "-".to_owned(),
        [(property, _)] => format!("{property:?}"),
        several => {
            let each = several.iter().map(|(property, count)| format!("{property:?} {count}"));
            each.collect::<Vec<_>>().join(", ")
        }
    }
}

/// A number, or a dash.
pub(super) fn number(number: Option<u64>) -> String {
    number.map_or("-".to_owned(), count)
}

/// CPU time, as exact as it can be repeated.
pub(super) fn seconds(time: Option<Duration>) -> String {
    let Some(time) = time else { return "-".to_owned() };
    match time.as_secs_f64() {
        seconds @ ..10.0 => format!("{seconds:.2} s"),
        seconds => format!("{seconds:.0} s"),
    }
}

fn finders_of(outcome: &Outcome) -> String {
    if outcome.ending() == Ending::Silent { "silent".to_owned() } else { finders(&outcome.finders()) }
}

pub(super) fn found(outcome: &Outcome) -> String {
    format!("{}/{}", outcome.found(), outcome.hunts.len())
}

// ---- For people --------------------------------------------------------------------------------------

fn text(outcomes: &[Outcome], times: bool) -> String {
    let mut columns =
        vec![("bug", Side::Left), ("found", Side::Right), ("seeds", Side::Right), ("steps", Side::Right)];
    columns.extend(times.then_some(("CPU", Side::Right)));
    columns.extend([("found by", Side::Left), ("what is wrong", Side::Left)]);
    let mut table = Table::new(columns);
    for outcome in outcomes {
        let medians = [number(outcome.seeds()), number(outcome.steps())];
        let mut cells = vec![outcome.bug.name.to_owned(), found(outcome)];
        cells.extend(medians);
        cells.extend(times.then(|| seconds(outcome.cpu())));
        cells.extend([finders_of(outcome), outcome.bug.what.to_owned()]);
        let before = cells.len() - 1;
        table.row(cells);
        if let Some(faults) = faults_in_words(outcome) {
            let mut more = vec![String::new(); before];
            more.push(faults);
            table.row(more);
        }
    }
    table.text()
}

fn faults_in_words(outcome: &Outcome) -> Option<String> {
    let (all, some) = outcome.faults();
    match (all.names().join(", "), some.names().join(", ")) {
        _ if outcome.found() == 0 => None,
        (all, some) if all.is_empty() && some.is_empty() => Some("  without any fault".to_owned()),
        (all, some) if all.is_empty() => Some(format!("  with now and then {some}")),
        (all, some) if some.is_empty() => Some(format!("  with {all}")),
        (all, some) => Some(format!("  with {all}; now and then {some}")),
    }
}

fn summary(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        if let Some(worst) = outcome.hunts.iter().filter(|hunt| !hunt.ending().is_good()).max_by_key(weight) {
            let _ = writeln!(text, "\n{}: {}", outcome.bug.name, complaint(worst));
        }
    }
    let (controls, planted): (Vec<_>, Vec<_>) = outcomes.iter().partition(|outcome| outcome.bug.is_control());
    let good = |outcomes: &[&Outcome]| outcomes.iter().filter(|outcome| outcome.is_good()).count();
    let starts = outcomes.first().map_or(0, |outcome| outcome.hunts.len() as u64);
    let _ = writeln!(
        text,
        "\n{} of {} planted bugs found from each of {}, {} of {} controls silent",
        good(&planted),
        planted.len(),
        of(starts, ("start", "starts")),
        good(&controls),
        controls.len()
    );
    text
}

fn weight(hunt: &&Hunt) -> Ending {
    hunt.ending()
}

fn complaint(hunt: &Hunt) -> String {
    let bug = hunt.bug;
    match (&hunt.found, hunt.ending()) {
        (Some(find), Ending::FoundByAnother) => format!(
            "seed {} was caught by {}, which is not one of the checks expected to: {:?}",
            find.seed, find.violation.property, bug.caught_by
        ),
        (Some(Find { seed, violation, .. }), _) => {
            let (scenario, property, witness) = (bug.scenario, violation.property, &violation.witness);
            format!("a false alarm at seed {seed} of {scenario}: {property}: {witness}")
        }
        (None, Ending::Unfound) => {
            format!("not found in {} seeds of {} from {} on", count(hunt.seeds), bug.scenario, hunt.first)
        }
        (None, _) => hunt.failure.clone().unwrap_or_default(),
    }
}

// ---- For a README ------------------------------------------------------------------------------------

fn markdown(outcomes: &[Outcome], times: bool) -> String {
    let mut columns = vec![
        ("bug", Side::Left),
        ("what is wrong", Side::Left),
        ("found", Side::Right),
        ("by", Side::Left),
        ("seeds", Side::Right),
        ("steps", Side::Right),
    ];
    columns.extend(times.then_some(("CPU", Side::Right)));
    columns.push(("faults", Side::Left));
    let mut table = Table::new(columns);
    for outcome in outcomes {
        let mut cells = vec![outcome.bug.name.to_owned(), outcome.bug.what.to_owned(), found(outcome)];
        cells.extend([finders_of(outcome), number(outcome.seeds()), number(outcome.steps())]);
        cells.extend(times.then(|| seconds(outcome.cpu())));
        cells.push(faults_in_short(outcome.faults()));
        table.row(cells);
    }
    table.markdown()
}

/// Those of all finds, and in brackets those of some.
fn faults_in_short((all, some): (Faults, Faults)) -> String {
    match (all.names().join(", "), some.names().join(", ")) {
        (all, some) if some.is_empty() => all,
        (all, some) => format!("{all} ({some})").trim_start().to_owned(),
    }
}

// ---- For machines ------------------------------------------------------------------------------------

/// What `sim selftest --json` prints. Fields keep their names and meaning; new ones may come.
#[derive(Debug, Serialize)]
struct Json<'a> {
    /// The exit code.
    exit_code: u8,
    /// One entry for each bug and control.
    bugs: Vec<JsonBug<'a>>,
}

#[derive(Debug, Serialize)]
struct JsonBug<'a> {
    name: &'a str,
    what: &'a str,
    scenario: &'a str,
    /// Whether it is safe, and nothing may be found.
    control: bool,
    /// Whether every start ended as it should.
    good: bool,
    /// From how many starts something was found, and how many there were.
    found: usize,
    starts: usize,
    /// The checks that found it, with the number of starts.
    found_by: Vec<(Property, usize)>,
    /// Medians over the starts; null if most of them found nothing.
    seeds: Option<u64>,
    steps: Option<u64>,
    /// CPU time in milliseconds, with `--times` only: it varies.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_ms: Option<u64>,
    /// Faults that had struck in all finds, and those that had in some only.
    faults_in_all: Vec<&'a str>,
    faults_in_some: Vec<&'a str>,
    hunts: Vec<JsonHunt<'a>>,
}

#[derive(Debug, Serialize)]
struct JsonHunt<'a> {
    first_seed: u64,
    seeds: u64,
    steps: u64,
    /// The seed that showed the bug, and how.
    seed: Option<u64>,
    signature: Option<String>,
    witness: Option<&'a str>,
    failure: Option<&'a str>,
}

fn json(outcomes: &[Outcome], times: bool) -> String {
    let bugs = outcomes.iter().map(|outcome| json_bug(outcome, times)).collect();
    let json = Json { exit_code: exit(outcomes).code(), bugs };
    serde_json::to_string(&json).expect("the result has string keys only") + "\n"
}

fn json_bug(outcome: &Outcome, times: bool) -> JsonBug<'_> {
    let (all, some) = outcome.faults();
    let bug = outcome.bug;
    JsonBug {
        name: bug.name,
        what: bug.what,
        scenario: bug.scenario,
        control: bug.is_control(),
        good: outcome.is_good(),
        found: outcome.found(),
        starts: outcome.hunts.len(),
        found_by: outcome.finders(),
        seeds: outcome.seeds(),
        steps: outcome.steps(),
        cpu_ms: outcome.cpu().filter(|_| times).map(|time| time.as_millis() as u64),
        faults_in_all: all.names(),
        faults_in_some: some.names(),
        hunts: outcome.hunts.iter().map(json_hunt).collect(),
    }
}

fn json_hunt(hunt: &Hunt) -> JsonHunt<'_> {
    let find = hunt.found.as_ref();
    JsonHunt {
        first_seed: hunt.first,
        seeds: hunt.seeds,
        steps: hunt.steps,
        seed: find.map(|find| find.seed),
        signature: find.map(|find| find.violation.signature()),
        witness: find.map(|find| find.violation.witness.as_str()),
        failure: hunt.failure.as_deref(),
    }
}
