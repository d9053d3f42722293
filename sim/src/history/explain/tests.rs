//! What is said about histories in which few values are written again and again.

use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::*;
use crate::history::generate::{Plan, good};
use crate::history::models::register::Registers;
use crate::history::models::{ModelName, Priority};
use crate::history::record::{Record, to_lines};
use crate::history::{History, Judgement, Subject, check};
use crate::random::{Draw, Purpose, stream};

fn random(number: u16) -> ChaCha8Rng {
    stream(12, Purpose::Client(number))
}

fn judged(records: &[Record]) -> Judgement {
    let mut history = History::read(to_lines(records).as_bytes()).unwrap();
    check(&mut history, &Subject::new(ModelName::Register), false, Limits::NONE).unwrap()
}

/// The core by itself: what is said of it has to be true.
fn core(records: &[Record], finding: &Finding) -> Vec<Record> {
    let member = |member: &Member| {
        let mut record = records[member.operation].clone();
        record.returned = record.returned.filter(|_| member.has_returned);
        record
    };
    finding.core.iter().map(member).collect()
}

/// After nine tenths of a history of so many values a read sees `answer`.
fn with_wrong_read(
    operations: usize,
    values: u64,
    answer: impl Fn(&[Record], usize) -> Value,
) -> Vec<Record> {
    let plan = Plan { values: Some(values), ..Plan::new(ModelName::Register, operations, 8) };
    let mut records = good(&plan, &mut random(1));
    let is_read = |index: &usize| records[*index].op.kind == "read" && records[*index].returned.is_some();
    let read = (operations * 9 / 10..operations).find(is_read).unwrap();
    records[read].result = answer(&records, read);
    records
}

#[test]
fn values_that_are_written_again_and_again_need_not_be_listed() {
    let never = |_: &[Record], _| Value::Null;
    // What no operation near the read writes or sees.
    let stale = |records: &[Record], read: usize| {
        let near = &records[read - 12..records.len().min(read + 12)];
        let speaks_of = |record: &&Record, value: &Value| {
            [record.op.value.as_ref(), record.op.to.as_ref(), Some(&record.result)].contains(&Some(value))
        };
        let all = records.iter().map(|record| &record.result).filter(|result| result.is_string());
        all.into_iter().find(|value| !near.iter().any(|record| speaks_of(&record, value))).unwrap().clone()
    };
    for records in [
        with_wrong_read(2_000, 5, never),
        with_wrong_read(10_000, 5, never),
        with_wrong_read(2_000, 30, stale),
    ] {
        let Judgement::NotLinearizable(finding) = judged(&records) else { panic!("the read is wrong") };
        assert!(!finding.is_cut_short && finding.core.len() <= 6, "{}", finding.core.len());
        assert!(matches!(judged(&core(&records, &finding)), Judgement::NotLinearizable(_)));
    }
}

/// What some order explains, some order explains with less to be explained.
#[test]
fn what_nobody_sees_is_left_out_only_where_no_order_can_lose() {
    let mut random = random(2);
    let (mut left_out, mut updates) = (0, 0);
    for round in 0..20_000 {
        let plan = Plan {
            values: Some(2 + random.below(2)),
            pending: [0, 20][random.below(2) as usize],
            ..Plan::new(ModelName::Register, 2 + random.below(9) as usize, 1 + random.below(4) as usize)
        };
        let records = good(&plan, &mut random);
        let mut history = History::read(to_lines(&records).as_bytes()).unwrap();
        history.names.intern_all(&crate::history::Atom::Null);
        let context = Context::new(&history, ModelName::Register, Priority::default());
        let initial = Registers::start(&context, &crate::history::Atom::Null).unwrap();
        let calls = history.entries.iter().map(|entry| {
            let (operation, response) = Registers::call(&context, entry).unwrap();
            let returned = entry.returned.map(|returned| (returned, response));
            linearizability::Call { client: 0, operation, called: entry.called, returned }
        });
        let part = Part::<Registers> { indices: (0..records.len()).collect(), calls: calls.collect() };
        let mut returns = part.returns();
        returns.retain(|_| random.below(3) > 0);
        let weaker = overwritten::weaker(&initial, &part, &returns).expect("it is a register's");
        let verdict = linearizability::judge(&initial, &weaker.calls, None, ORDER_BUDGET);
        let shown = || format!("{round} {returns:?} {:?}\n{}", weaker.indices, to_lines(&records));
        assert_eq!(verdict, Verdict::Linearizable, "{}", shown());
        left_out += part.calls.len() - weaker.calls.len();
        updates += weaker.calls.iter().filter(|call| call.returned.is_none()).count();
    }
    assert!(left_out > 10_000 && updates > 1_000, "{left_out} {updates}");
}
