//! Histories of the lists, for `sim check`: with all elements in place of digests.
//!
//! The clients see digests, so the lists are found again: those that the committed operations lead to, then,
//! where a run went wrong, those that single appends make of lists that are known. A digest of no such list
//! is written as what nobody can have stored.

use rustc_hash::FxHashMap;
use serde_json::{Value, json};

use super::{CHAIN, List, Lists, Operation, Response, mix};
use crate::check::linearizability::Call;
use crate::history::ModelName;
use crate::history::record::{Op, asked_and_answered};
use crate::workload::Model;

/// How many appends to known lists are tried to find those that the committed operations don't explain.
const MOST_TRIED: usize = 1_000_000;

type History = [Call<Operation, Response>];

pub(super) fn export(history: &History, order: &[usize]) -> (ModelName, Vec<(Op, Value)>) {
    let known = Known::of(history, order);
    (ModelName::Kv, asked_and_answered(history, op, |_, response| known.answer(response)))
}

fn op(operation: &Operation) -> Op {
    let list = |element: u64| Some(json!([element.to_string()]));
    let key = |key: u64| Some(key.to_string());
    match *operation {
        Operation::Get { key: of } => Op { kind: "get", key: key(of), ..Op::default() },
        Operation::Put { key: of, element } => {
            Op { kind: "put", key: key(of), value: list(element), ..Op::default() }
        }
        Operation::Append { key: of, element } => {
            Op { kind: "append", key: key(of), value: list(element), ..Op::default() }
        }
        Operation::Delete { key: of } => Op { kind: "delete", key: key(of), ..Op::default() },
        Operation::CompareAndSwap { key: of, expected, element } => {
            Op { kind: "cas", key: key(of), length: Some(expected), to: list(element), ..Op::default() }
        }
        // What nobody knows was never executed, and nobody can have read it.
        Operation::Draw { key: of, drawn } => {
            Op { kind: "put", key: key(of), value: list(drawn.unwrap_or(0)), ..Op::default() }
        }
    }
}

/// The elements of lists, by their digests.
struct Known(FxHashMap<u64, Vec<u64>>);

impl Known {
    fn of(history: &History, order: &[usize]) -> Self {
        let mut known = Self(FxHashMap::from_iter([(CHAIN, Vec::new())]));
        let mut lists = Lists::default();
        for &call in order {
            let operation = &history[call].operation;
            lists.apply(operation);
            known.add(lists.elements(Lists::partition(operation)));
        }
        known.add_appended(history);
        known
    }

    fn add(&mut self, elements: &[u64]) {
        self.0.entry(super::summary(elements).chain).or_insert_with(|| elements.to_vec());
    }

    /// Finds lists that were seen, and that the committed operations did not lead to.
    fn add_appended(&mut self, history: &History) {
        let seen = history.iter().filter_map(|call| seen(&call.returned.as_ref()?.1));
        let longest = seen.filter(|list| !self.0.contains_key(&list.chain)).map(|list| list.length).max();
        let Some(longest) = longest else { return };
        let mut appended = Vec::new();
        for call in history {
            match call.operation {
                Operation::Put { element, .. }
                | Operation::CompareAndSwap { element, .. }
                | Operation::Draw { drawn: Some(element), .. } => self.add(&[element]),
                Operation::Append { element, .. } => appended.push(element),
                _ => {}
            }
        }
        let mut tried = 0;
        for length in 0..longest {
            let mut shorter: Vec<_> =
                self.0.values().filter(|list| list.len() as u64 == length).cloned().collect();
            // The map's order must not matter.
            shorter.sort_unstable();
            for list in shorter {
                let chain = super::summary(&list).chain;
                for &element in appended.iter().filter(|element| !list.contains(element)) {
                    tried += 1;
                    if tried > MOST_TRIED {
                        return;
                    }
                    self.0.entry(mix(chain, element)).or_insert_with(|| [&list[..], &[element]].concat());
                }
            }
        }
    }

    fn list(&self, list: &List) -> Value {
        match self.0.get(&list.chain).filter(|elements| super::summary(elements) == *list) {
            Some(elements) => elements.iter().map(ToString::to_string).collect(),
            None => json!([format!("{} elements, digest {:016x}", list.length, list.chain)]),
        }
    }

    fn answer(&self, response: &Response) -> Value {
        match response {
            Response::Written | Response::Drawn(_) => Value::Null,
            Response::Appended(length) => json!(length),
            Response::Found(list) | Response::Deleted(list) => self.list(list),
            Response::Swapped(list) => json!({ "swapped": true, "was": self.list(list) }),
            Response::Mismatched(list) => json!({ "swapped": false, "was": self.list(list) }),
        }
    }
}

fn seen(response: &Response) -> Option<List> {
    match response {
        Response::Written | Response::Appended(_) | Response::Drawn(_) => None,
        Response::Found(list)
        | Response::Deleted(list)
        | Response::Swapped(list)
        | Response::Mismatched(list) => Some(*list),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_were_not_committed_are_found_too() {
        let call =
            |operation, response| Call { client: 0, operation, called: 1, returned: Some((2, response)) };
        let list = |elements: &[u64]| super::super::summary(elements);
        let history = [
            call(Operation::Put { key: 1, element: 5 }, Response::Written),
            call(Operation::Append { key: 1, element: 6 }, Response::Appended(2)),
            call(Operation::Append { key: 1, element: 7 }, Response::Appended(3)),
            call(Operation::Get { key: 1 }, Response::Found(list(&[5, 7, 6]))),
            call(Operation::Delete { key: 1 }, Response::Deleted(list(&[8]))),
            call(
                Operation::CompareAndSwap { key: 1, expected: 2, element: 9 },
                Response::Mismatched(list(&[])),
            ),
        ];
        let (model, records) = export(&history, &[0, 1]);
        assert_eq!(model, ModelName::Kv);
        let answers: Vec<String> = records.iter().map(|(_, answer)| answer.to_string()).collect();
        assert_eq!(answers[..4], ["null", "2", "3", r#"["5","7","6"]"#]);
        assert!(answers[4].starts_with("[\"1 elements, digest "), "{}", answers[4]);
        assert_eq!(answers[5], r#"{"swapped":false,"was":[]}"#);
    }
}
