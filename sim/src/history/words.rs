//! What there is to say about a history and its verdict.

use super::explain::{Finding, Way};
use super::format::History;
use super::judge::{Judgement, Subject};
use super::models::ModelName;
use super::value::Atom;

/// The verdict in a word: `linearizable`, `not linearizable`, `gave up`.
#[must_use]
pub const fn verdict(judgement: &Judgement) -> &'static str {
    match judgement {
        Judgement::Linearizable(_) => "linearizable",
        Judgement::NotLinearizable(_) => "not linearizable",
        Judgement::GaveUp { .. } => "gave up",
    }
}

/// What the history is about: `a register that starts as null: 85 operations of 19 clients, 16 of them of
/// unknown outcome`.
#[must_use]
pub fn about(history: &History, subject: &Subject) -> String {
    let operations = count(history.entries.len(), "operation", "operations");
    let clients = count(history.clients(), "client", "clients");
    let pending = match history.pending() {
        0 => "every outcome known".to_owned(),
        pending => format!("{pending} of unknown outcome"),
    };
    let model = subject.model.name();
    let init = match (subject.model, &subject.init) {
        (ModelName::Mutex, Atom::Null | Atom::Truth(false)) => "free".to_owned(),
        (ModelName::Mutex, Atom::Truth(true)) => "taken".to_owned(),
        (_, init) => init.to_string(),
    };
    format!("a {model} that starts as {init}: {operations} of {clients}, {pending}")
}

/// The verdict in a sentence.
#[must_use]
pub fn sentence(history: &History, judgement: &Judgement) -> String {
    match judgement {
        Judgement::Linearizable(_) if history.entries.is_empty() => "There is nothing to explain.".to_owned(),
        Judgement::Linearizable(_) => "Some order explains every answer.".to_owned(),
        Judgement::NotLinearizable(finding) => refusal(history, finding),
        Judgement::GaveUp { partition, explained, completed } => {
            let part = partition.as_ref().map_or_else(String::new, |part| format!("{part}: "));
            let returned = count(*completed, "operation that returned", "operations that returned");
            format!("{part}{explained} of the {returned} can be explained; what comes then is uncertain.")
        }
    }
}

fn refusal(history: &History, finding: &Finding) -> String {
    let part = finding.partition.as_ref().map_or_else(String::new, |part| format!("{part}: "));
    let operation = operation(history, finding.operation);
    let Finding { placed, is_longest, .. } = finding;
    let before = match (placed, is_longest) {
        (0, true) => "nothing returned before".to_owned(),
        (0, false) => "how much can be explained is uncertain".to_owned(),
        (1, _) => "the one operation that returned before can be explained".to_owned(),
        (_, true) => format!("the {placed} operations that returned before can be explained"),
        (_, false) => format!("the first {placed} operations that returned can be explained, perhaps more"),
    };
    let when =
        if *is_longest { "" } else { "by the return of this operation at the latest, all orders fail: " };
    let what = if *is_longest { " has no place in any order" } else { "" };
    format!("{part}{when}{operation}{what}; {before}.")
}

/// An operation with everything that identifies it: `line 17, client 3: read(r) → 1`.
#[must_use]
pub fn operation(history: &History, index: usize) -> String {
    let entry = &history.entries[index];
    let client = entry.client.map_or_else(String::new, |client| format!(", client {client}"));
    format!("line {}{client}: {}", entry.line, in_short(history, index))
}

/// When it was called and returned, as in the file: `17 to 21`, `17 to ?`.
#[must_use]
pub fn times(history: &History, index: usize) -> String {
    let entry = &history.entries[index];
    let called = history.time(entry.called);
    let returned =
        entry.returned.map_or_else(|| "?".to_owned(), |returned| history.time(returned).to_string());
    format!("{called} to {returned}")
}

/// Operations one behind another: `write(r, 1), read(r) → 1`.
#[must_use]
pub fn sequence(history: &History, order: &[usize]) -> String {
    order.iter().map(|&index| in_short(history, index)).collect::<Vec<_>>().join(", ")
}

/// The same of the last operations, so many at most, with the number of those before.
#[must_use]
pub fn end_of_sequence(history: &History, order: &[usize], most: usize) -> String {
    let before = order.len().saturating_sub(most);
    let last = sequence(history, &order[before..]);
    if before > 0 { format!("{}, {last}", count(before, "operation", "operations")) } else { last }
}

/// An operation with its answer, if that says anything: `write(r, 1)`, `read(r) → 1`.
#[must_use]
pub fn in_short(history: &History, index: usize) -> String {
    let entry = &history.entries[index];
    match entry.returned {
        Some(_) if !entry.kind.answers_nothing() => {
            format!("{} → {}", history.operation(index), history.answer(index))
        }
        _ => history.operation(index),
    }
}

/// Why an order goes no further: the operations that could be next and would be answered otherwise, each with
/// the reason; then, in one go, those that could be next and do not help.
#[must_use]
pub fn reasons(history: &History, way: &Way) -> Vec<(Option<usize>, String)> {
    /// Of how many that do not help the reason is told, if there are more than one besides.
    const MOST: usize = 2;
    let (idle, wrong): (Vec<_>, Vec<_>) = way.reasons.iter().partition(|reason| reason.does_not_help);
    let mut all: Vec<_> = wrong.iter().map(|reason| (Some(reason.operation), reason.text.clone())).collect();
    let told = if idle.len() == MOST + 1 { idle.len() } else { idle.len().min(MOST) };
    all.extend(idle[..told].iter().map(|reason| (Some(reason.operation), reason.text.clone())));
    let rest = idle.len() - told;
    if rest > 0 {
        let lines: Vec<_> =
            idle[told..].iter().map(|reason| history.entries[reason.operation].line).collect();
        let lines = lines.iter().take(12).map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let dots = if rest > 12 { ", …" } else { "" };
        all.push((
            None,
            format!("nor does it help to go on with any of {rest} others (lines {lines}{dots})"),
        ));
    }
    all
}

/// `1 operation`, `2 operations`.
#[must_use]
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
