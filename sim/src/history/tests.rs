//! From the lines of a file to the verdict, against trying every order of its operations on a copy of the
//! service that knows nothing of the models.

use std::collections::BTreeSet;

use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::generate::{Copy, Plan, good};
use super::record::{Record, to_lines};
use super::*;
use crate::random::{Draw, Purpose, stream};

fn random(number: u16) -> ChaCha8Rng {
    stream(11, Purpose::Client(number))
}

fn judged(model: ModelName, records: &[Record]) -> Judgement {
    let mut history = History::read(to_lines(records).as_bytes()).unwrap();
    check(&mut history, &Subject::new(model), true, Limits::NONE).unwrap()
}

/// True if some order of all that returned up to `end`, and some of the rest, gives every answer.
fn some_order_explains(copy: &Copy, records: &[Record], end: (u64, usize), placed: &mut Vec<bool>) -> bool {
    let is_open = |index: &usize| !placed[*index];
    let returned = |index: usize| records[index].returned.filter(|&returned| (returned, index) <= end);
    let Some(limit) = (0..records.len()).filter(is_open).filter_map(returned).min() else { return true };
    let next: Vec<usize> =
        (0..records.len()).filter(is_open).filter(|&index| records[index].call <= limit).collect();
    next.into_iter().any(|index| {
        let mut copy = copy.clone();
        let answer = copy.apply(&records[index].op);
        if records[index].returned.is_some() && answer != records[index].result {
            return false;
        }
        placed[index] = true;
        let explains = some_order_explains(&copy, records, end, placed);
        placed[index] = false;
        explains
    })
}

fn explains_up_to(model: ModelName, records: &[Record], end: (u64, usize)) -> bool {
    some_order_explains(&Copy::new(model), records, end, &mut vec![false; records.len()])
}

fn explains(model: ModelName, records: &[Record]) -> bool {
    explains_up_to(model, records, (u64::MAX, usize::MAX))
}

/// True if this order gives every answer, and respects time.
fn follows(model: ModelName, records: &[Record], order: &[usize]) -> bool {
    let mut copy = Copy::new(model);
    let mut now = 0;
    let fits = order.iter().all(|&index| {
        let Record { call, returned, op, result, .. } = &records[index];
        now = now.max(*call);
        let answer = copy.apply(op);
        returned.is_none_or(|returned| answer == *result && now <= returned)
    });
    let placed: BTreeSet<usize> = order.iter().copied().collect();
    fits && placed.len() == order.len()
        && (0..records.len()).all(|index| records[index].returned.is_none() || placed.contains(&index))
}

/// Something is wrong with it, perhaps: an answer is another's, or an interval is moved.
fn disturb(records: &mut [Record], random: &mut ChaCha8Rng) {
    let of = |random: &mut ChaCha8Rng| random.below(records.len() as u64) as usize;
    let (one, other) = (of(random), of(random));
    match random.below(3) {
        0 if records[one].op.kind == records[other].op.kind && records[other].returned.is_some() => {
            let answer = records[other].result.clone();
            records[one].result = answer;
        }
        1 => {
            let length = records[one].returned.map_or(0, |returned| returned - records[one].call);
            records[one].call = random.below(3 * records.len() as u64);
            records[one].returned = records[one].returned.map(|_| records[one].call + length / 2);
        }
        _ if records[one].returned.is_some() => {
            records[one].result = match &records[one].result {
                Value::Bool(truth) => json!(!truth),
                Value::String(_) => json!(["1", "2", "12"][random.below(3) as usize]),
                other => other.clone(),
            };
        }
        _ => {}
    }
}

/// Times that are nearer to each other, so that many are equal.
fn squeeze(records: &mut [Record], by: u64) {
    for record in records {
        record.call /= by;
        record.returned = record.returned.map(|returned| returned / by);
    }
}

#[test]
fn verdicts_agree_with_trying_every_order() {
    for model in ModelName::ALL {
        let mut random = random(model as u16);
        let mut counts = [0; 2];
        for round in 0..6_000 {
            let plan = Plan {
                model,
                operations: 1 + random.below(7) as usize,
                clients: 1 + random.below(4) as usize,
                keys: 1 + random.below(2),
                values: [None, Some(1), Some(2), Some(3)][random.below(4) as usize],
                pending: [0, 0, 20][random.below(3) as usize],
            };
            let mut records = good(&plan, &mut random);
            for _ in 0..random.below(4) {
                disturb(&mut records, &mut random);
            }
            squeeze(&mut records, 1 + random.below(3));
            let expected = explains(model, &records);
            let judgement = judged(model, &records);
            let shown = || format!("{model:?} {round}: {judgement:?}\n{}", to_lines(&records));
            match &judgement {
                Judgement::Linearizable(order) => {
                    let order = order.as_ref().expect("small histories have an order");
                    assert!(expected && follows(model, &records, order), "{}", shown());
                }
                Judgement::NotLinearizable(finding) => {
                    assert!(!expected, "{}", shown());
                    if round % 5 == 0 {
                        examine(model, &records, finding, &shown);
                    }
                }
                Judgement::GaveUp { .. } => panic!("{}", shown()),
            }
            counts[usize::from(expected)] += 1;
        }
        assert!(counts.iter().all(|&count| count > 500), "{model:?}: {counts:?}");
    }
}

/// What is said about a history that is not linearizable is true.
fn examine(model: ModelName, records: &[Record], finding: &Finding, shown: &dyn Fn() -> String) {
    // Returns in the order of time; from the first that cannot be explained on, nothing is known.
    let mut returns: Vec<(u64, usize)> =
        records.iter().enumerate().filter_map(|(index, record)| Some((record.returned?, index))).collect();
    returns.sort_unstable();
    let end = (records[finding.operation].returned.unwrap(), finding.operation);
    assert!(!explains_up_to(model, records, end), "the operation is the last that can be meant: {}", shown());
    let before = returns.iter().copied().filter(|&other| other < end).max();
    // Where there are several parts, another one may be at fault even earlier.
    if finding.is_longest && finding.partition.is_none() {
        assert!(
            before.is_none_or(|before| explains_up_to(model, records, before)),
            "it is the first: {}",
            shown()
        );
        let before = returns.iter().filter(|&&other| other < end).count();
        assert_eq!(finding.placed, before, "{}", shown());
        if let Some(prefix) = &finding.prefix {
            let mut prefix_only = records.to_vec();
            for (index, record) in prefix_only.iter_mut().enumerate() {
                record.returned = record.returned.filter(|&returned| (returned, index) < end);
            }
            assert!(follows(model, &prefix_only, prefix), "{}", shown());
        }
    }
    let mut core: Vec<Record> = Vec::new();
    for member in &finding.core {
        let mut record = records[member.operation].clone();
        record.returned = record.returned.filter(|_| member.has_returned);
        core.push(record);
    }
    assert!(!core.is_empty() && !explains(model, &core), "the core suffices: {}", shown());
}

#[test]
fn long_histories_are_judged() {
    for model in ModelName::ALL {
        let plan = Plan { keys: 3, values: None, ..Plan::new(model, 2_000, 5) };
        let records = good(&plan, &mut random(100));
        assert!(matches!(judged(model, &records), Judgement::Linearizable(_)), "{model:?}");
        // What was answered twice, or by nobody, is found; and so is a removal that was never needed.
        let mut wrong = records.clone();
        let answers = |record: &&mut Record| record.result.is_string() || record.result.is_boolean();
        let victim = wrong.iter_mut().skip(1_800).find(answers).expect("something is answered");
        victim.result = match &victim.result {
            Value::Bool(truth) => json!(!truth),
            _ => json!("never written"),
        };
        match judged(model, &wrong) {
            Judgement::NotLinearizable(finding) => {
                assert!(!finding.core.is_empty(), "{model:?}");
            }
            // Two truth values next to each other may well be exchanged.
            Judgement::Linearizable(_) => {
                assert!(
                    matches!(model, ModelName::Set | ModelName::Mutex | ModelName::Semaphore),
                    "{model:?}"
                );
            }
            Judgement::GaveUp { .. } => panic!("{model:?}"),
        }
    }
}

/// What becomes of some operations is forgotten, as if their clients had never heard of them.
fn forget(records: &mut [Record], of: impl Fn(&Record) -> bool, every: usize) {
    for record in records.iter_mut().filter(|record| of(record)).step_by(every) {
        record.returned = None;
        record.result = Value::Null;
    }
}

#[test]
fn removals_of_unknown_outcome_are_attributed_in_long_histories() {
    for model in [ModelName::Queue, ModelName::Stack, ModelName::Pqueue] {
        for (clients, every) in [(7, 100), (16, 100), (16, 6)] {
            let plan = Plan { values: None, ..Plan::new(model, 500, clients) };
            let mut records = good(&plan, &mut random(400 + model as u16));
            let removes = |record: &Record| record.result.is_string() && record.op.kind != "peek";
            forget(&mut records, removes, every);
            let judgement = judged(model, &records);
            assert!(
                matches!(judgement, Judgement::Linearizable(Some(_))),
                "{model:?} {clients} {judgement:?}"
            );
            // What was removed last has never been inserted so late.
            let of = |record: &Record| record.op.kind == "insert" || record.result.is_null();
            let last = records.iter().rposition(removes).expect("something is removed");
            let value = records[last].result.clone();
            let insertion =
                records.iter().position(|record| of(record) && record.op.value.as_ref() == Some(&value));
            let insertion = insertion.expect("it has been inserted");
            records[insertion].call = records[last].returned.expect("it returned") + 1;
            records[insertion].returned = Some(records[insertion].call + 1);
            let judgement = judged(model, &records);
            assert!(matches!(judgement, Judgement::NotLinearizable(_)), "{model:?} {clients} {judgement:?}");
        }
    }
}

/// What the search alone gives up: appended pieces and deques by many clients, some of unknown outcome.
#[test]
fn many_clients_are_no_harder() {
    let answered = |record: &Record| record.result.is_string();
    for (model, clients, pending) in
        [(ModelName::Kv, 16, 0), (ModelName::Kv, 50, 5), (ModelName::Deque, 16, 0), (ModelName::Deque, 7, 5)]
    {
        let operations = if model == ModelName::Kv { 4_000 } else { 500 };
        let plan = Plan { values: None, pending, ..Plan::new(model, operations, clients) };
        let mut records = good(&plan, &mut random(600 + clients as u16));
        let judgement = judged(model, &records);
        assert!(matches!(judgement, Judgement::Linearizable(_)), "{model:?} {clients} {judgement:?}");
        // Two answers are exchanged that are far from each other.
        let found: Vec<usize> = (0..records.len()).filter(|&index| answered(&records[index])).collect();
        let (one, other) = (found[found.len() / 4], found[3 * found.len() / 4]);
        assert_ne!(records[one].result, records[other].result);
        let (early, late) = records.split_at_mut(other);
        std::mem::swap(&mut early[one].result, &mut late[0].result);
        let judgement = judged(model, &records);
        assert!(matches!(judgement, Judgement::NotLinearizable(_)), "{model:?} {clients} {judgement:?}");
    }
}

/// A read that sees what was overwritten long ago, after nine tenths of a history.
fn stale_read(operations: usize, values: Option<u64>) -> Vec<Record> {
    let plan = Plan { keys: 1, values, ..Plan::new(ModelName::Register, operations, 8) };
    let mut records = good(&plan, &mut random(500));
    let reads: Vec<usize> = (0..records.len()).filter(|&index| records[index].op.kind == "read").collect();
    let stale = reads.len() * 9 / 10;
    let answer = records[reads[stale]].result.clone();
    let older = reads[..stale - 200].iter().rev().find(|&&index| records[index].result != answer);
    records[reads[stale]].result = records[*older.expect("values change")].result.clone();
    records
}

#[test]
fn a_stale_read_in_a_long_history_is_explained_in_a_few_operations() {
    let records = stale_read(10_000, None);
    assert!(records.iter().any(|record| record.op.kind == "cas"), "zones alone do not do");
    let Judgement::NotLinearizable(finding) = judged(ModelName::Register, &records) else {
        panic!("the read is stale");
    };
    assert!(finding.prefix.as_ref().is_some_and(|prefix| prefix.len() >= finding.placed));
    assert!(!finding.is_cut_short && finding.core.len() < 60, "{}", finding.core.len());
    let member = |member: &explain::Member| {
        let mut record = records[member.operation].clone();
        record.returned = record.returned.filter(|_| member.has_returned);
        record
    };
    let core: Vec<Record> = finding.core.iter().map(member).collect();
    assert!(matches!(judged(ModelName::Register, &core), Judgement::NotLinearizable(_)));
}

/// Where values repeat, a search alone would look at millions of configurations.
#[test]
fn a_stale_read_among_values_that_repeat_needs_little_search() {
    let mut history = History::read(to_lines(&stale_read(10_000, Some(50))).as_bytes()).unwrap();
    let asked = std::cell::Cell::new(0);
    let interrupted = || {
        asked.set(asked.get() + 1);
        false
    };
    let limits = Limits { interrupted: &interrupted, explained: &|| true, ..Limits::NONE };
    let judgement = check(&mut history, &Subject::new(ModelName::Register), false, limits).unwrap();
    assert!(matches!(judgement, Judgement::NotLinearizable(_)), "{judgement:?}");
    // It is asked every thousand configurations or so.
    assert!(asked.get() < 100, "{}", asked.get());
}

#[test]
fn an_explanation_that_must_stop_leaves_the_verdict() {
    for (model, records) in [
        (ModelName::Register, stale_read(2_000, None)),
        (
            ModelName::Queue,
            good(&Plan { values: None, ..Plan::new(ModelName::Queue, 500, 4) }, &mut random(501)),
        ),
    ] {
        let mut records = records;
        if model == ModelName::Queue {
            let removed = |record: &Record| record.result.is_string() && record.op.kind == "deq";
            let removed: Vec<usize> = (0..records.len()).filter(|&index| removed(&records[index])).collect();
            let (one, other) = (removed[10], removed[removed.len() - 10]);
            let (early, late) = records.split_at_mut(other);
            std::mem::swap(&mut early[one].result, &mut late[0].result);
        }
        let mut history = History::read(to_lines(&records).as_bytes()).unwrap();
        let limits = Limits { explained: &|| true, ..Limits::NONE };
        match check(&mut history, &Subject::new(model), false, limits).unwrap() {
            Judgement::NotLinearizable(finding) => assert!(finding.is_cut_short, "{finding:?}"),
            other => panic!("{other:?}"),
        }
    }
}

/// How histories of a model may be written.
#[test]
fn every_spelling_is_understood() {
    let verdict = |model, init: Value, lines: &str| -> Result<bool, String> {
        let mut history = History::read(lines.as_bytes()).map_err(|problem| problem.to_string())?;
        let init = serde_json::from_value(init).unwrap();
        let subject = Subject { init, ..Subject::new(model) };
        match check(&mut history, &subject, false, Limits::NONE).map_err(|problem| problem.to_string())? {
            Judgement::Linearizable(_) => Ok(true),
            Judgement::NotLinearizable(_) => Ok(false),
            Judgement::GaveUp { .. } => panic!("{lines}"),
        }
    };
    let null = || Value::Null;
    // A missing line end, members in another order, numbers for strings, what is not listed.
    let line = r#"{"op":{"value":7,"type":"enq"},"note":"x","return":2,"call":1}
{"result":"7","call":3,"return":4,"op":{"type":"deq"},"client":-1}"#;
    assert_eq!(verdict(ModelName::Queue, json!([]), line), Ok(true));
    assert_eq!(verdict(ModelName::Queue, json!(["7"]), line), Ok(true));
    assert_eq!(verdict(ModelName::Queue, json!(["8"]), line), Ok(false));
    // Of unknown outcome: whatever its result says.
    let line = r#"{"call":1,"return":null,"op":{"type":"write","value":"1"},"result":"?"}
{"call":2,"return":2,"op":{"type":"read"},"result":"1"}
{"call":3,"return":3,"op":{"type":"read"},"result":null}"#;
    assert_eq!(verdict(ModelName::Register, null(), line), Ok(false));
    let (first, _) = line.rsplit_once('\n').unwrap();
    assert_eq!(verdict(ModelName::Register, null(), first), Ok(true));
    // It takes effect at most once.
    let line = r#"{"call":1,"return":null,"op":{"type":"incr"}}
{"call":2,"return":3,"op":{"type":"decr"},"result":true}
{"call":4,"return":5,"op":{"type":"decr"},"result":true}"#;
    assert_eq!(verdict(ModelName::Semaphore, json!(0), line), Ok(false));
    assert_eq!(verdict(ModelName::Semaphore, json!("1"), line), Ok(true));
    // Equal times overlap, in either order of the lines.
    let line = r#"{"call":2,"return":3,"op":{"type":"acquire"},"result":true}
{"call":1,"return":2,"op":{"type":"acquire"},"result":false}"#;
    assert_eq!(verdict(ModelName::Mutex, null(), line), Ok(true));
    let line = line.replace("\"call\":2", "\"call\":3");
    assert_eq!(verdict(ModelName::Mutex, null(), &line), Ok(false));
    assert_eq!(verdict(ModelName::Mutex, json!(true), &line), Ok(false));
    // A value that was never written; null written and read; the empty string is not null.
    let line = r#"{"call":1,"return":2,"op":{"type":"read","key":"a"},"result":""}"#;
    assert_eq!(verdict(ModelName::Register, null(), line), Ok(false));
    assert_eq!(verdict(ModelName::Register, json!(""), line), Ok(true));
    let line = r#"{"call":1,"return":2,"op":{"type":"get","key":"a"},"result":""}"#;
    assert_eq!(verdict(ModelName::Kv, json!(""), line), Ok(true));
    // What a store keeps its lists by may be in a string, too.
    let line = r#"{"call":1,"return":2,"op":{"type":"append","key":"a","value":"a\u001f"},"result":null}
{"call":3,"return":4,"op":{"type":"get","key":"a"},"result":["a"]}"#;
    assert_eq!(verdict(ModelName::Kv, json!(""), line), Ok(false));
    assert_eq!(verdict(ModelName::Kv, json!(""), &line.replace("[\"a\"]", "\"a\\u001f\"")), Ok(true));
    // Decimals by what they are worth.
    let line = r#"{"call":1,"return":2,"op":{"type":"insert","value":"10.5"},"result":null}
{"call":3,"return":4,"op":{"type":"insert","value":9.50},"result":null}
{"call":5,"return":6,"op":{"type":"poll"},"result":"10.50"}
{"call":7,"return":8,"op":{"type":"poll"},"result":"9.5"}"#;
    assert_eq!(verdict(ModelName::Pqueue, json!([]), line), Ok(true));
    assert_eq!(verdict(ModelName::Pqueue, json!(["9.7"]), line), Ok(false));
    // Nothing at all.
    assert_eq!(verdict(ModelName::Set, json!([]), "\n\n"), Ok(true));
    // What another model has.
    let line = r#"{"call":1,"return":2,"op":{"type":"pop"},"result":null}"#;
    assert!(
        verdict(ModelName::Queue, json!([]), line).unwrap_err().starts_with("1: a queue has no operation")
    );
    let line = r#"{"call":1,"return":2,"op":{"type":"insert","value":"1"},"result":"x"}"#;
    assert_eq!(
        verdict(ModelName::Set, json!([]), line),
        Err("1: insert answers true or false: found x".to_owned())
    );
    assert!(verdict(ModelName::Set, json!("x"), "").unwrap_err().starts_with("--init: expected a list"));
}

#[test]
fn a_search_that_must_stop_gives_up() {
    let plan = Plan { values: Some(2), ..Plan::new(ModelName::Queue, 400, 12) };
    let mut history = History::read(to_lines(&good(&plan, &mut random(200))).as_bytes()).unwrap();
    let limits = Limits { bytes: 1 << 20, interrupted: &|| true, explained: &|| true };
    let judgement = check(&mut history, &Subject::new(ModelName::Queue), false, limits).unwrap();
    assert!(matches!(judgement, Judgement::GaveUp { .. }), "{judgement:?}");
}

#[test]
fn pages_hold_what_is_said() {
    let plan = Plan { pending: 5, ..Plan::new(ModelName::Register, 900, 4) };
    let mut records = good(&plan, &mut random(300));
    let reads = |record: &&mut Record| record.op.kind == "read" && record.returned.is_some();
    records.iter_mut().skip(700).find(reads).unwrap().result = json!("</script><b>");
    let mut history = History::read(to_lines(&records).as_bytes()).unwrap();
    let subject = Subject::new(ModelName::Register);
    let judgement = check(&mut history, &subject, true, Limits::NONE).unwrap();
    let html = page::page("a <history>", &history, &subject, &judgement);
    let (_, data) = html.split_once(r#"<script type="application/json" id="data">"#).unwrap();
    let data: Value = serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap();
    assert_eq!(data["verdict"], "not linearizable");
    let bars = data["bars"].as_array().unwrap();
    assert_eq!(bars.len() + data["left_out"].as_u64().unwrap() as usize, 900);
    let blocked: Vec<_> = bars.iter().filter(|bar| bar["blocked"] == true).collect();
    assert_eq!(blocked.len(), 1);
    assert_eq!(blocked[0]["answer"], "</script><b>");
}
