//! Writing histories: one [`Record`] per line, as [`format`](super::format) reads them.

use serde::Serialize;
use serde_json::Value;

use super::models::ModelName;
use crate::check::linearizability::Call;

/// One operation, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Who called.
    pub client: u64,
    /// When it was called.
    pub call: u64,
    /// When it returned; null if its outcome is unknown.
    #[serde(rename = "return")]
    pub returned: Option<u64>,
    /// What was asked for.
    pub op: Op,
    /// What was answered; null if that is unknown.
    pub result: Value,
    /// Its place in the order in which the system says that operations took effect, if it took effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<u64>,
}

/// What an operation asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Op {
    /// Its name, one of [`Kind`](super::Kind).
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Of what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// For whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What is written, inserted, looked for: a string, or a list of strings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// What a compare-and-swap expects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// How many elements a compare-and-swap expects instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// What a compare-and-swap writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// A history of a run, and what it is about.
#[derive(Clone, Debug)]
pub struct Export {
    /// What `sim check` is to judge it by.
    pub model: ModelName,
    /// The operations, in the order of their calls.
    pub records: Vec<Record>,
}

/// Of each call, what was asked for and what was answered: null where no answer came.
pub fn asked_and_answered<O, R>(
    history: &[Call<O, R>],
    op: impl Fn(&O) -> Op,
    answer: impl Fn(&O, &R) -> Value,
) -> Vec<(Op, Value)> {
    let both = |Call { operation, returned, .. }: &Call<O, R>| {
        let answered = returned.as_ref().map(|(_, response)| answer(operation, response));
        (op(operation), answered.unwrap_or(Value::Null))
    };
    history.iter().map(both).collect()
}

/// The lines of a history.
#[must_use]
pub fn to_lines(records: &[Record]) -> String {
    let line = |record| serde_json::to_string(record).expect("a record has string keys only") + "\n";
    records.iter().map(line).collect()
}
