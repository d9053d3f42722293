//! What each check is worth, for people, for a README, for machines.

use std::fmt::Write as _;

use serde::Serialize;

use super::Form;
use super::report::{finders, number};
use super::table::{Side, Table};
use crate::check::Property;
use crate::cli::exit::Exit;
use crate::cli::text::{count, items};
use crate::selftest::blindfold::{PATIENCE, Without, Worth};

/// The whole report.
pub(super) fn page(worth: &[Worth], form: Form) -> String {
    match form {
        Form::Text => table(worth).text() + &summary(worth),
        Form::Markdown => table(worth).markdown(),
        Form::Json => json(worth),
    }
}

/// How it ended: a check that nothing needs is no failure, a hunt that could not be made is.
pub(super) fn exit(worth: &[Worth]) -> Exit {
    let hunts = || worth.iter().flat_map(|worth| &worth.bugs).flat_map(|without| &without.hunts);
    Exit::gravest(&[
        (hunts().next().is_none(), Exit::NothingRun),
        (hunts().any(|hunt| hunt.failure.is_some()), Exit::HarnessFailed),
    ])
}

fn table(worth: &[Worth]) -> Table {
    let columns = vec![
        ("check", Side::Left),
        ("bug", Side::Left),
        ("not found without it", Side::Right),
        ("found later by", Side::Left),
        ("steps later", Side::Right),
    ];
    let mut table = Table::new(columns);
    for Worth { property, bugs } in worth {
        for without in bugs {
            table.row(vec![
                format!("{property:?}"),
                without.bug.name.to_owned(),
                format!("{}/{}", without.unfound(), without.hunts.len()),
                finders(&without.finders()),
                number(without.delay()),
            ]);
        }
    }
    table
}

fn summary(worth: &[Worth]) -> String {
    let names = |wanted: &dyn Fn(&Worth) -> bool| -> Vec<String> {
        let wanted = worth.iter().filter(|worth| wanted(worth));
        wanted.map(|worth| format!("{:?}", worth.property)).collect()
    };
    let is_vital = |worth: &Worth| worth.bugs.iter().any(|without| without.unfound() > 0);
    let vital = names(&is_vital);
    let useful = names(&|worth| worth.is_needed() && !is_vital(worth));
    let idle = names(&|worth| !worth.is_needed());
    let mut text = String::new();
    let mut group = |title: &str, names: &[String]| {
        let _ = writeln!(text, "\n{} {title}", count(names.len() as u64));
        if !names.is_empty() {
            items(&mut text, "", names, ", ");
        }
    };
    group("checks without which some bug is not found", &vital);
    group("checks without which some bug is found later", &useful);
    group("checks that none of these bugs needs: another one is always first", &idle);
    let _ = writeln!(
        text,
        "\nNot found: not within {PATIENCE} times as many seeds as with all checks on, and at least 100 more."
    );
    text
}

/// What `sim selftest --checks --json` prints. Fields keep their names and meaning; new ones may come.
#[derive(Debug, Serialize)]
struct Json<'a> {
    /// The exit code.
    exit_code: u8,
    /// One entry for each property.
    checks: Vec<JsonCheck<'a>>,
}

#[derive(Debug, Serialize)]
struct JsonCheck<'a> {
    property: Property,
    title: &'a str,
    /// Whether some bug is not found, or later, without it.
    needed: bool,
    bugs: Vec<JsonWithout<'a>>,
}

#[derive(Debug, Serialize)]
struct JsonWithout<'a> {
    bug: &'a str,
    /// Hunts that the check had ended.
    hunts: usize,
    /// How many of them found nothing without it.
    not_found: usize,
    /// The checks that found the bug in its place, with the number of hunts.
    found_by: Vec<(Property, usize)>,
    /// The median of the steps that it took longer; null if most of them found nothing.
    steps_later: Option<u64>,
    /// What went wrong with hunts.
    failures: Vec<&'a str>,
}

fn json(worth: &[Worth]) -> String {
    let checks = worth.iter().map(|worth| JsonCheck {
        property: worth.property,
        title: worth.property.title(),
        needed: worth.is_needed(),
        bugs: worth.bugs.iter().map(json_without).collect(),
    });
    let json = Json { exit_code: exit(worth).code(), checks: checks.collect() };
    serde_json::to_string(&json).expect("the result has string keys only") + "\n"
}

fn json_without(without: &Without) -> JsonWithout<'_> {
    JsonWithout {
        bug: without.bug.name,
        hunts: without.hunts.len(),
        not_found: without.unfound(),
        found_by: without.finders(),
        steps_later: without.delay(),
        failures: without.hunts.iter().filter_map(|hunt| hunt.failure.as_deref()).collect(),
    }
}
