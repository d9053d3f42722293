//! Histories to test and to measure by: good ones by construction.
//!
//! Clients call, and each call takes effect on one copy of the service at some moment before it returns: so
//! the order of these moments explains every answer. What the copy answers is written here once more, on
//! plain strings and independent of the [models](super::models) that histories are judged by, so that the
//! two can be held against each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::models::ModelName;
use super::record::{Op, Record};
use crate::random::Draw;

/// What a history is to look like.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The data type.
    pub model: ModelName,
    /// How many operations there are.
    pub operations: usize,
    /// How many clients have one under way at a time.
    pub clients: usize,
    /// Over how many keys they are spread, where there are any.
    pub keys: u64,
    /// How many values there are to choose from. `None`: each is written once.
    pub values: Option<u64>,
    /// Of a hundred operations, about so many whose outcome stays unknown.
    pub pending: u64,
}

impl Plan {
    /// One key, values that differ from each other, every outcome known.
    #[must_use]
    pub const fn new(model: ModelName, operations: usize, clients: usize) -> Self {
        Self { model, operations, clients, keys: 1, values: None, pending: 0 }
    }
}

/// What a client waits for.
#[derive(Clone, Copy)]
struct Waiting {
    record: usize,
    has_effect: bool,
}

/// A history that is linearizable.
#[must_use]
pub fn good(plan: &Plan, random: &mut ChaCha8Rng) -> Vec<Record> {
    let mut copy = Copy::new(plan.model);
    let mut records: Vec<Record> = Vec::with_capacity(plan.operations);
    let mut waiting: Vec<Option<Waiting>> = vec![None; plan.clients];
    let mut names: Vec<u64> = (0..plan.clients as u64).collect();
    let mut newcomers = plan.clients as u64..;
    for now in 0.. {
        if records.len() == plan.operations && waiting.iter().all(Option::is_none) {
            break;
        }
        let client = random.below(plan.clients as u64) as usize;
        match waiting[client] {
            None if records.len() < plan.operations => {
                waiting[client] = Some(Waiting { record: records.len(), has_effect: false });
                let op = draw(plan, records.len() as u64, random);
                let client = names[client];
                records.push(Record {
                    client,
                    call: now,
                    returned: None,
                    op,
                    result: Value::Null,
                    order: None,
                });
            }
            None => {}
            // What a client never hears of has had its effect, or not.
            Some(_) if random.below(200) < plan.pending => {
                records[waiting[client].expect("it is waiting").record].result = Value::Null;
                waiting[client] = None;
                names[client] = newcomers.next().expect("there are enough numbers");
            }
            Some(Waiting { record, has_effect: false }) => {
                records[record].result = copy.apply(&records[record].op);
                waiting[client] = Some(Waiting { record, has_effect: true });
            }
            Some(Waiting { record, has_effect: true }) => {
                records[record].returned = Some(now);
                waiting[client] = None;
            }
        }
    }
    records
}

/// An operation of the model.
fn draw(plan: &Plan, unique: u64, random: &mut ChaCha8Rng) -> Op {
    // Pieces of a store's values end somewhere.
    let end = if plan.model == ModelName::Kv && plan.values.is_none() { "." } else { "" };
    let mut value = || {
        let number = plan.values.map_or(unique + 1, |values| 1 + random.below(values));
        json!(format!("{number}{end}"))
    };
    let (one, other) = (value(), value());
    let key = random.below(plan.keys).to_string();
    let of = |kind| Op { kind, ..Op::default() };
    let with = |kind| Op { kind, value: Some(one.clone()), ..Op::default() };
    let at = |op: Op| Op { key: Some(key.clone()), ..op };
    let dice = random.below(12);
    match plan.model {
        ModelName::Register => at(match dice {
            0..5 => of("read"),
            5..9 => with("write"),
            _ => Op { kind: "cas", from: Some(other), to: Some(one), ..Op::default() },
        }),
        ModelName::Kv => at(match dice {
            0..5 => of("get"),
            5..8 => with("put"),
            _ => with("append"),
        }),
        ModelName::Queue => match dice {
            0..6 => with("enq"),
            6..11 => of("deq"),
            _ => of("peek"),
        },
        ModelName::Stack => match dice {
            0..6 => with("push"),
            6..11 => of("pop"),
            _ => of("peek"),
        },
        ModelName::Deque => match dice {
            0..3 => with("push_front"),
            3..6 => with("push_back"),
            6..8 => of("pop_front"),
            8..10 => of("pop_back"),
            10 => of("peek_front"),
            _ => of("peek_back"),
        },
        ModelName::Pqueue => match dice {
            0..6 => with("insert"),
            6..11 => of("poll"),
            _ => of("peek"),
        },
        ModelName::Set => match dice {
            0..4 => with("insert"),
            4..8 => with("remove"),
            _ => with("contains"),
        },
        ModelName::Mutex => of(if dice < 6 { "acquire" } else { "release" }),
        ModelName::Semaphore => of(if dice < 6 { "incr" } else { "decr" }),
    }
}

/// The one copy of a service.
#[derive(Clone, Debug)]
pub struct Copy {
    model: ModelName,
    /// By key.
    values: BTreeMap<String, String>,
    items: VecDeque<String>,
    set: BTreeSet<String>,
    count: u64,
}

impl Copy {
    /// A copy as it starts.
    #[must_use]
    pub const fn new(model: ModelName) -> Self {
        Self { model, values: BTreeMap::new(), items: VecDeque::new(), set: BTreeSet::new(), count: 0 }
    }

    /// Does what is asked for, and answers.
    ///
    /// # Panics
    /// If the model has no such operation.
    pub fn apply(&mut self, op: &Op) -> Value {
        let key = op.key.clone().unwrap_or_default();
        let text = |value: &Option<Value>| {
            value.as_ref().and_then(Value::as_str).map(str::to_owned).unwrap_or_default()
        };
        let value = text(&op.value);
        let maybe = |item: Option<String>| item.map_or(Value::Null, Value::String);
        let by_priority = self.model == ModelName::Pqueue;
        match op.kind {
            "read" => maybe(self.values.get(&key).cloned()),
            "get" => json!(self.values.get(&key).cloned().unwrap_or_default()),
            "write" | "put" => {
                self.values.insert(key, value);
                Value::Null
            }
            "append" => {
                self.values.entry(key).or_default().push_str(&value);
                Value::Null
            }
            "cas" => {
                let is_there = op
                    .from
                    .as_ref()
                    .is_some_and(|from| self.values.get(&key) == Some(&text(&Some(from.clone()))));
                if is_there {
                    self.values.insert(key, text(&op.to));
                }
                json!(is_there)
            }
            "insert" if self.model == ModelName::Set => json!(self.set.insert(value)),
            "remove" => json!(self.set.remove(&value)),
            "contains" => json!(self.set.contains(&value)),
            "push_front" => {
                self.items.push_front(value);
                Value::Null
            }
            "enq" | "push" | "push_back" | "insert" => {
                self.items.push_back(value);
                Value::Null
            }
            "poll" | "peek" if by_priority => {
                let number = |item: &String| item.parse::<i64>().expect("numbers were inserted");
                let Some(most) = self.items.iter().map(number).max() else { return Value::Null };
                let place = self.items.iter().position(|item| number(item) == most).expect("it is there");
                let item =
                    if op.kind == "poll" { self.items.remove(place) } else { self.items.get(place).cloned() };
                maybe(item)
            }
            "deq" | "pop_front" => maybe(self.items.pop_front()),
            "pop" | "pop_back" => maybe(self.items.pop_back()),
            "peek" if self.model == ModelName::Stack => maybe(self.items.back().cloned()),
            "peek" | "peek_front" => maybe(self.items.front().cloned()),
            "peek_back" => maybe(self.items.back().cloned()),
            "acquire" => json!(std::mem::replace(&mut self.count, 1) == 0),
            "release" => json!(std::mem::replace(&mut self.count, 0) == 1),
            "incr" => {
                self.count += 1;
                json!(true)
            }
            "decr" => {
                let can = self.count > 0;
                self.count -= u64::from(can);
                json!(can)
            }
            other => panic!("no {other} here"),
        }
    }
}
