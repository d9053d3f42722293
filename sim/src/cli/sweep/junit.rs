//! The result of a sweep as JUnit XML, which most engines for CI show as a table.
//!
//! A suite is a scenario, and a case of it a property: so the number of cases does not grow with that of
//! seeds, and the history of a case means something. Further cases stand for what else makes a sweep fail, so
//! that a case fails exactly if the exit code is not 0. There are no times in it: they would differ.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::check::Property;
use crate::cli::exit::Exit;
use crate::cli::text::of;
use crate::sweep::{Few, Found, Outcome};

use super::summary::Summary;

/// The whole file.
pub(super) fn text(summary: &Summary<'_>) -> String {
    let mut report = Report::new("sim sweep");
    let mut names: Vec<&str> = Vec::new();
    for named in summary.scenarios {
        let name = named.scenario.name();
        if !names.contains(&name) {
            names.push(name);
            report.add_test_suite(scenario(summary, name));
        }
    }
    report.add_test_suite(whole(summary));
    report.to_string().expect("a report can be written")
}

fn scenario(summary: &Summary<'_>, name: &str) -> TestSuite {
    let mut suite = TestSuite::new(name);
    let none = Outcome::default();
    let outcome = summary.outcome.by_scenario.get(name).unwrap_or(&none);
    let mut add = |title: String, problem: Option<Problem>| {
        let status = match problem {
            _ if outcome.totals.runs == 0 => skipped("no seed was run in this scenario"),
            None => TestCaseStatus::success(),
            Some(problem) => problem.status(),
        };
        let mut case = TestCase::new(title, status);
        case.set_classname(name);
        suite.add_test_case(case);
    };
    let applies = |property: &&Property| **property != Property::Story || summary.is_story(name);
    for &property in Property::ALL.iter().filter(applies) {
        add(format!("{property:?} {}", property.title()), violated(summary, outcome, property));
    }
    let unequal =
        summary.unequal().into_iter().filter(|(seed, _)| summary.scenario(*seed).scenario.name() == name);
    let unequal = unequal.map(|(seed, (first, second))| {
        (seed, format!("seed {seed} gave two results: digests {first:016x} and {second:016x}"))
    });
    add("the same seed gives the same result".to_owned(), troubled(summary, "unequal", unequal));
    let reasons = |few: &Few<String>| few.first.clone().into_iter();
    let gave_up = troubled(summary, "inconclusive", reasons(&outcome.inconclusive));
    add("no check gave up".to_owned(), gave_up);
    let failed = troubled(summary, "harness", reasons(&outcome.harness_failed));
    add("the harness worked".to_owned(), failed);
    let empty = (outcome.totals.empty > 0).then(|| {
        Problem::error("empty", format!("nothing happened in {}", of(outcome.totals.empty, ("run", "runs"))))
    });
    add("something happened in every run".to_owned(), empty);
    suite
}

/// What can be said of the sweep as a whole only.
fn whole(summary: &Summary<'_>) -> TestSuite {
    let mut suite = TestSuite::new("sweep");
    let mut add = |title: &str, problem: Option<Problem>| {
        let mut case = TestCase::new(title, problem.map_or_else(TestCaseStatus::success, |it| it.status()));
        case.set_classname("sweep");
        suite.add_test_case(case);
    };
    let is_empty = summary.outcome.totals.runs == 0;
    add("seeds were run", is_empty.then(|| Problem::error("nothing", "nothing was run".to_owned())));
    let is_interrupted = summary.exit() == Exit::Interrupted;
    add(
        "the sweep came to its end",
        is_interrupted.then(|| Problem::error("interrupted", "interrupted before its end".to_owned())),
    );
    let unmet = summary.unmet.join(", ");
    add(
        "every mark was reached that must be",
        (!unmet.is_empty()).then(|| Problem::failure("marks", format!("not reached: {unmet}"))),
    );
    suite
}

/// Why a case is not a success.
struct Problem {
    kind: NonSuccessKind,
    /// One word.
    class: String,
    /// One line.
    message: String,
    /// What else there is to say, in lines.
    details: String,
}

impl Problem {
    fn new(kind: NonSuccessKind, class: &str, message: String) -> Self {
        Self { kind, class: class.to_owned(), message, details: String::new() }
    }

    fn failure(class: &str, message: String) -> Self {
        Self::new(NonSuccessKind::Failure, class, message)
    }

    fn error(class: &str, message: String) -> Self {
        Self::new(NonSuccessKind::Error, class, message)
    }

    fn status(self) -> TestCaseStatus {
        let mut status = TestCaseStatus::non_success(self.kind);
        status.set_type(self.class).set_message(self.message).set_description(self.details);
        status
    }
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(why);
    status
}

/// In which ways a property was violated.
fn violated(summary: &Summary<'_>, outcome: &Outcome, property: Property) -> Option<Problem> {
    let ways = outcome.violations.values().filter_map(|few| {
        let (&seed, found) = few.first.first_key_value()?;
        (found.violation.property == property).then_some((few, seed, found))
    });
    let mut problem: Option<Problem> = None;
    for (few, seed, found) in ways {
        let first = || Problem::failure(&found.violation.signature(), found.violation.witness.clone());
        problem.get_or_insert_with(first).details.push_str(&way(summary, few, seed, found));
    }
    problem
}

fn way(summary: &Summary<'_>, few: &Few<Found>, seed: u64, found: &Found) -> String {
    let seeds: Vec<String> = few.first.keys().map(u64::to_string).collect();
    let more = if few.count > few.first.len() as u64 { ", …" } else { "" };
    format!(
        "{} ({})\n  {}\n  seeds {}{more}\n  {}\n",
        found.violation.kind,
        of(few.count, ("run", "runs")),
        found.violation.witness,
        seeds.join(", "),
        summary.command(seed)
    )
}

/// A trouble that befell some runs.
fn troubled(
    summary: &Summary<'_>,
    class: &str,
    runs: impl Iterator<Item = (u64, String)>,
) -> Option<Problem> {
    let mut problem: Option<Problem> = None;
    for (seed, why) in runs {
        let details = format!("seed {seed}: {why}\n  {}\n", summary.command(seed));
        problem.get_or_insert_with(|| Problem::error(class, why)).details.push_str(&details);
    }
    problem
}
