//! A history as a page: every client's operations as bars, in one file that needs no network.
//!
//! Of a long history, the operations around what is wrong are drawn, and what is left out is announced: a
//! drawing of everything would be wider than anybody looks.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;
use serde_json::{Value, json};

use super::explain::{Finding, Way};
use super::format::History;
use super::judge::{Judgement, Subject};
use super::words;

/// The most operations that are drawn.
const MOST_BARS: usize = 400;
/// Of how many operations of a way the order is written out.
const MOST_WORDS: usize = 40;

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
    let needed = needed(finding);
    let part = finding.and_then(|finding| finding.part.clone());
    let part = part.unwrap_or_else(|| (0..history.entries.len()).collect());
    let shown = shown(history, finding, &needed, &part);
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
            "text": words::end_of_sequence(history, &way.order, MOST_WORDS),
            "state": way.state,
            "operation": places.get(&way.operation),
            "reasons": reasons.collect::<Vec<_>>(),
        })
    };
    let bars: Vec<Value> =
        shown.iter().map(|&operation| bar(history, &ranks, finding, &needed, operation)).collect();
    json!({
        "title": name,
        "verdict": words::verdict(judgement),
        "about": words::about(history, subject),
        "sentence": words::sentence(history, judgement),
        "bars": bars,
        "part": finding.and_then(|finding| finding.partition.as_deref()),
        "elsewhere": history.entries.len() - part.len(),
        "left_out": part.len() - shown.len(),
        "width": ranks.times.len(),
        "order": order.map(|order| points(history, &ranks, &places, order)),
        "ways": finding.map_or_else(Vec::new, |finding| finding.ways.iter().map(way).collect()),
        "has_all_ways": finding.is_some_and(|finding| finding.has_all_ways),
    })
}

/// The operations without which nothing would be wrong.
fn needed(finding: Option<&Finding>) -> FxHashSet<usize> {
    let core = finding.into_iter().flat_map(|finding| &finding.core);
    core.filter(|member| member.is_needed).map(|member| member.operation).collect()
}

/// The operations of a part that are drawn, in the order of their calls.
fn shown(
    history: &History,
    finding: Option<&Finding>,
    needed: &FxHashSet<usize>,
    part: &[usize],
) -> Vec<usize> {
    let entries = &history.entries;
    let mut all = part.to_vec();
    if let Some(finding) = finding {
        let end = entries[finding.operation].returned.unwrap_or(u64::MAX);
        // What matters first, then what is nearest in time.
        all.sort_by_cached_key(|&index| {
            let returned = entries[index].returned.unwrap_or(entries[index].called);
            let matters = index == finding.operation || needed.contains(&index);
            (index != finding.operation, !matters, returned.abs_diff(end))
        });
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

fn bar(
    history: &History,
    ranks: &Ranks,
    finding: Option<&Finding>,
    needed: &FxHashSet<usize>,
    operation: usize,
) -> Value {
    let entry = &history.entries[operation];
    json!({
        "line": entry.line,
        "client": entry.client,
        "from": ranks.of_time(entry.called),
        "to": entry.returned.map(|returned| ranks.of_time(returned)),
        "called": history.time(entry.called).to_string(),
        "returned": entry.returned.map(|returned| history.time(returned).to_string()),
        "operation": history.operation(operation),
        "answer": history.answer(operation),
        "matters": needed.contains(&operation),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::explain::Member;
    use crate::history::{Limits, ModelName, check};

    fn history(lines: impl Iterator<Item = String>) -> History {
        History::read(lines.collect::<String>().as_bytes()).unwrap()
    }

    fn line(call: usize, op: &str, result: &str) -> String {
        let end = call + 1;
        format!(
            "{{\"client\":{},\"call\":{call},\"return\":{end},\"op\":{{{op}}},\"result\":{result}}}\n",
            call % 7
        )
    }

    #[test]
    fn only_the_key_at_fault_is_drawn() {
        let keys = ["a", "b", "c"].into_iter().enumerate();
        let write =
            |(place, key)| line(3 * place, &format!(r#""type":"write","key":"{key}","value":"1""#), "null");
        let bad = line(20, r#""type":"read","key":"b""#, "null");
        let mut history = history(keys.map(write).chain([bad]));
        let subject = Subject::new(ModelName::Register);
        let judgement = check(&mut history, &subject, true, Limits::NONE).unwrap();
        let data = data("x", &history, &subject, &judgement);
        let lines: Vec<_> = data["bars"].as_array().unwrap().iter().map(|bar| &bar["line"]).collect();
        assert_eq!(lines, [2, 4]);
        assert_eq!(
            (&data["part"], &data["elsewhere"], &data["left_out"]),
            (&json!("key b"), &json!(2), &json!(0))
        );
    }

    /// Whoever looks each of them up among all others never comes to an end.
    #[test]
    fn a_page_of_a_large_core_takes_no_longer_than_reading_it() {
        let count = 100_000;
        let mut history = history((0..count).map(|call| line(call, r#""type":"read""#, "\"7\"")));
        let subject = Subject::new(ModelName::Register);
        let judgement = check(&mut history, &subject, true, Limits::NONE).unwrap();
        let Judgement::NotLinearizable(mut finding) = judgement else { panic!("7 was never written") };
        let member = |operation| Member { operation, has_returned: true, is_needed: true };
        finding.core = (0..count).map(member).collect();
        finding.ways.iter_mut().for_each(|way| way.order = (0..count).collect());
        let html = page("x", &history, &subject, &Judgement::NotLinearizable(finding));
        assert!(html.len() < 1_000_000, "{}", html.len());
    }
}
