//! Where two runs part: the first event that is not the same in both.

use serde_json::Value;

use crate::chronicle::{Chronicle, Sent, Step};
use crate::setup::Setup;

/// How two runs compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The first place in the lists of steps at which another event happens, or one run has ended.
    pub event: Option<usize>,
    /// The first place at which something happens at another time; not after [`event`](Self::event).
    pub time: Option<usize>,
}

/// Compares two runs.
#[must_use]
pub fn difference(one: &Chronicle, other: &Chronicle) -> Difference {
    let shorter = one.steps.len().min(other.steps.len());
    let differs = |same: fn(&Chronicle, &Chronicle, usize) -> bool| {
        (0..shorter).find(|&index| !same(one, other, index))
    };
    let ends = (one.steps.len() != other.steps.len()).then_some(shorter);
    let event = differs(same_event).or(ends);
    let time = differs(|one, other, index| one.steps[index].time == other.steps[index].time);
    Difference { event, time: time.filter(|&time| event.is_none_or(|event| time <= event)) }
}

/// Whether the same happened, whenever it was. Messages are numbered in the order in which they were sent,
/// so up to the first difference equal numbers name equal messages.
fn same_event(one: &Chronicle, other: &Chronicle, index: usize) -> bool {
    let (left, right) = (&one.steps[index], &other.steps[index]);
    left.cause == right.cause
        && left.sent == right.sent
        && left.effects == right.effects
        && left.after == right.after
        && sent(one, left).iter().zip(sent(other, right)).all(|(one, other)| same_message(one, other))
}

fn sent<'a>(chronicle: &'a Chronicle, step: &Step) -> &'a [Sent] {
    &chronicle.messages[step.sent.start as usize..step.sent.end as usize]
}

fn same_message(one: &Sent, other: &Sent) -> bool {
    (&one.identity, &one.fields, one.fate, one.dropped)
        == (&other.identity, &other.fields, other.fate, other.dropped)
}

/// The settings in which two setups differ: their names, and both values in short. Of what only one of them
/// has at all, like a family of faults, no more is said than that.
#[must_use]
pub fn settings(one: &Setup, other: &Setup) -> Vec<(String, String, String)> {
    let value = |setup: &Setup| serde_json::to_value(setup).expect("a setup can be written");
    let mut found = Vec::new();
    compare("", &value(one), &value(other), &mut found);
    found
}

fn compare(name: &str, one: &Value, other: &Value, found: &mut Vec<(String, String, String)>) {
    match (one, other) {
        (Value::Object(left), Value::Object(right)) => {
            let mut keys: Vec<_> = left.keys().chain(right.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                let inner = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                let of =
                    |object: &serde_json::Map<String, Value>| object.get(key).cloned().unwrap_or(Value::Null);
                compare(&inner, &of(left), &of(right), found);
            }
        }
        _ if one == other => {}
        _ => found.push((name.to_owned(), in_short(one), in_short(other))),
    }
}

fn in_short(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Object(_) => "some".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "none".to_owned(),
        Value::Array(values) => values.iter().map(in_short).collect::<Vec<_>>().join(" "),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::registry::{AnyManner, run_any};
    use crate::scenario::{Overrides, Scenario};

    fn chronicle(seed: u64, steps: u64) -> (Setup, Chronicle) {
        let overrides = Overrides { steps: Some(steps), ..Overrides::default() };
        let setup = Scenario::find("lossy").expect("built in").resolve(seed, &overrides);
        let manner = AnyManner { chronicle: true, ..AnyManner::default() };
        let run = run_any(&Arc::new(setup.clone()), None, &manner, &mut |_| {}).expect("it can be run");
        (setup, *run.chronicle.expect("it was asked for"))
    }

    #[test]
    fn a_run_is_like_itself() {
        let (setup, one) = chronicle(1, 300);
        let (again, other) = chronicle(1, 300);
        assert_eq!(difference(&one, &other), Difference { event: None, time: None });
        assert!(settings(&setup, &again).is_empty());
    }

    #[test]
    fn runs_part_where_the_first_thing_is_not_the_same() {
        let (_, one) = chronicle(1, 300);
        let mut other = one.clone();
        let place = other.steps.iter().rposition(|step| !step.effects.is_empty()).expect("something happens");
        other.steps[place].effects.pop();
        assert_eq!(difference(&one, &other), Difference { event: Some(place), time: None });
        let mut late = one.clone();
        late.steps[place - 1].time += 1;
        assert_eq!(difference(&one, &late), Difference { event: None, time: Some(place - 1) });
        let mut short = one.clone();
        short.steps.truncate(place);
        assert_eq!(difference(&one, &short).event, Some(place));
        let mut lossy = one.clone();
        lossy.messages[0].dropped = Some(crate::network::Dropped::Cut);
        let sender = one.steps.iter().position(|step| step.sent.contains(&0)).expect("message 0 was sent");
        assert_eq!(difference(&one, &lossy).event, Some(sender));
    }

    #[test]
    fn settings_that_differ_are_named() {
        let (one, _) = chronicle(1, 300);
        let (other, _) = chronicle(1, 400);
        let named = |name: &str, one: &str, other: &str| (name.to_owned(), one.to_owned(), other.to_owned());
        assert_eq!(settings(&one, &other), [named("steps", "300", "400")]);
        let storm = Scenario::find("crash-storm").expect("built in").resolve(1, &Overrides::default());
        let mut calm = storm.clone();
        calm.faults.crash = None;
        calm.scenario = "calm".to_owned();
        let differing = settings(&storm, &calm);
        assert_eq!(
            differing,
            [named("faults.crash", "some", "none"), named("scenario", "crash-storm", "calm")]
        );
    }
}
