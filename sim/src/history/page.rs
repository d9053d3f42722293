//! A history as a page: every client's operations as bars, in one file that needs no network.
//!
//! Of a long history, the operations around what is wrong are drawn, and what is left out is announced: a
//! drawing of everything would be wider than anybody looks.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::explain::{Finding, Member, Way};
use super::format::History;
use super::judge::{Judgement, Subject};
use super::words;

/// The most operations that are drawn.
const MOST_BARS: usize = 400;

const TEMPLATE: &str = include_str!("page.html");

/// The page, as HTML. `name` is what the history is called.
#[must_use]
pub fn page(name: &str, history: &History, subject: &Subject, judgement: &Judgement) -> String {
    let data = data(name, history, subject, judgement).to_string();
    // The browser must not take anything in it for the end of the script.
    let data = data.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
    TEMPLATE.replacen("{{data}}", &data, 1)
}

fn data(name: &str, history: &History, subject: &Subject, judgement: &Judgement) -> Value {
    let finding = match judgement {
        Judgement::NotLinearizable(finding) => Some(&**finding),
        _ => None,
    };
    let shown = shown(history, finding);
    let ranks = Ranks::of(history, &shown);
    let places: BTreeMap<usize, usize> =
        shown.iter().enumerate().map(|(place, &operation)| (operation, place)).collect();
    let order = match judgement {
        Judgement::Linearizable(order) => order.as_deref(),
        _ => finding.and_then(|finding| finding.prefix.as_deref()),
    };
    let way = |way: &Way| {
        let reasons = words::reasons(history, way)
            .into_iter()
            .map(|(operation, text)| json!([operation.and_then(|operation| places.get(&operation)), text]));
        json!({
            "order": points(history, &ranks, &places, &way.order),
            "text": words::sequence(history, &way.order),
            "state": way.state,
            "operation": places.get(&way.operation),
            "reasons": reasons.collect::<Vec<_>>(),
        })
    };
    let bars: Vec<Value> = shown.iter().map(|&operation| bar(history, &ranks, finding, operation)).collect();
    json!({
        "title": name,
        "verdict": words::verdict(judgement),
        "about": words::about(history, subject),
        "sentence": words::sentence(history, judgement),
        "bars": bars,
        "left_out": history.entries.len() - shown.len(),
        "width": ranks.times.len(),
        "order": order.map(|order| points(history, &ranks, &places, order)),
        "ways": finding.map_or_else(Vec::new, |finding| finding.ways.iter().map(way).collect()),
        "has_all_ways": finding.is_some_and(|finding| finding.has_all_ways),
    })
}

/// The operations that are drawn, in the order of their calls.
fn shown(history: &History, finding: Option<&Finding>) -> Vec<usize> {
    let entries = &history.entries;
    let mut all: Vec<usize> = (0..entries.len()).collect();
    if let Some(finding) = finding {
        let end = entries[finding.operation].returned.unwrap_or(u64::MAX);
        let matters = |index: usize| {
            let is_it = |member: &Member| member.operation == index && member.is_needed;
            index == finding.operation || finding.core.iter().any(is_it)
        };
        // What matters first, then what is nearest in time.
        let distance = |index: usize| {
            let returned = entries[index].returned.unwrap_or(entries[index].called);
            (!matters(index), returned.abs_diff(end))
        };
        all.sort_by_key(|&index| distance(index));
    } else {
        all.sort_by_key(|&index| entries[index].called);
    }
    all.truncate(MOST_BARS);
    all.sort_by_key(|&index| (entries[index].called, index));
    all
}

/// The moments at which something that is drawn begins or ends: only their order matters to the eye.
struct Ranks {
    times: Vec<u64>,
}

impl Ranks {
    fn of(history: &History, shown: &[usize]) -> Self {
        let entries = shown.iter().map(|&index| &history.entries[index]);
        let mut times: Vec<u64> =
            entries.flat_map(|entry| [Some(entry.called), entry.returned]).flatten().collect();
        times.sort_unstable();
        times.dedup();
        Self { times }
    }

    fn of_time(&self, time: u64) -> usize {
        self.times.partition_point(|&other| other < time)
    }
}

fn bar(history: &History, ranks: &Ranks, finding: Option<&Finding>, operation: usize) -> Value {
    let entry = &history.entries[operation];
    let member = finding.and_then(|finding| finding.core.iter().find(|member| member.operation == operation));
    json!({
        "line": entry.line,
        "client": entry.client,
        "from": ranks.of_time(entry.called),
        "to": entry.returned.map(|returned| ranks.of_time(returned)),
        "called": history.time(entry.called).to_string(),
        "returned": entry.returned.map(|returned| history.time(returned).to_string()),
        "operation": history.operation(operation),
        "answer": history.answer(operation),
        "matters": member.is_some_and(|member| member.is_needed),
        "blocked": finding.is_some_and(|finding| finding.operation == operation),
    })
}

/// Where operations take effect: of each the place among the bars, and the moment, in thousandths of ranks.
fn points(history: &History, ranks: &Ranks, places: &BTreeMap<usize, usize>, order: &[usize]) -> Vec<Value> {
    let mut moments: Vec<(u64, usize)> = Vec::with_capacity(order.len());
    let mut now = 0;
    for &operation in order {
        now = now.max(history.entries[operation].called);
        moments.push((now, operation));
    }
    let mut points = Vec::new();
    for together in moments.chunk_by(|(one, _), (other, _)| one == other) {
        for (place, (moment, operation)) in together.iter().enumerate() {
            let Some(bar) = places.get(operation) else { continue };
            let thousandths = ranks.of_time(*moment) * 1_000 + (place + 1) * 1_000 / (together.len() + 1);
            points.push(json!([bar, thousandths]));
        }
    }
    points
}
