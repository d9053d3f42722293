//! What holds of every workload of the library.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::*;
use crate::random::{Purpose, stream};

const COUNT: u64 = 20_000;

fn operations<W: Workload>(keys: u64) -> impl Iterator<Item = W::Operation> {
    let mut random = stream(42, Purpose::Client(0));
    (0..COUNT).map(move |unique| W::operation(&mut random, keys, unique))
}

/// The name at the beginning of what `Debug` writes.
fn kind(value: &impl Debug) -> String {
    format!("{value:?}").split(['(', ' ']).next().expect("a first part").to_owned()
}

/// So many kinds of operations and of responses; and so many of the operations change the state.
fn everything_occurs_and_agrees<W: Workload>(kinds: usize, changing: usize) {
    service_and_model_agree::<W>(kinds);
    observers_and_blind_writes_are_what_they_say::<W>(changing);
    partitions_do_not_influence_each_other::<W>();
    digests_tell_states_apart::<W>();
    traces_hold_operations::<W>();
}

fn service_and_model_agree<W: Workload>(expected: usize) {
    let (mut service, mut model) = (W::service(), W::model());
    let mut kinds = BTreeMap::<_, u32>::new();
    let (mut observers, mut observed) = (0, 0);
    for operation in operations::<W>(8) {
        let seen = service.observe(&operation);
        let response = service.execute(&operation);
        assert!(seen.as_ref().is_none_or(|seen| *seen == response), "{operation:?}");
        assert!(seen.is_none() || W::Model::observes_only(&operation), "{operation:?}");
        observers += u32::from(W::Model::observes_only(&operation));
        observed += u32::from(seen.is_some());
        assert_eq!(response, model.apply(&operation), "{operation:?}");
        for kind in [kind(&operation), kind(&response)] {
            *kinds.entry(kind).or_default() += 1;
        }
    }
    assert_eq!(kinds.len(), expected, "{kinds:?}");
    // What only reads by chance, as what it finds leaves nothing to be done, goes through the log.
    assert!(observed == observers || observed > 100, "{observed} of {observers}");
    assert!(kinds.values().all(|&count| count > 20), "{kinds:?}");
}

fn observers_and_blind_writes_are_what_they_say<W: Workload>(expected: usize) {
    let (mut model, mut other) = (W::model(), W::model());
    let mut changing = BTreeSet::new();
    for operation in operations::<W>(4) {
        let before = model.clone();
        let response = model.apply(&operation);
        if model != before {
            assert!(!W::Model::observes_only(&operation), "{operation:?}");
            changing.insert(kind(&operation));
        }
        if W::Model::overwrites(&operation) {
            assert_eq!(other.apply(&operation), response, "{operation:?}");
        }
        // In another state the next time.
        if changing.len().is_multiple_of(2) {
            other.apply(&operation);
        }
    }
    assert_eq!(changing.len(), expected, "{changing:?}");
}

fn partitions_do_not_influence_each_other<W: Workload>() {
    let mut whole = W::model();
    let mut parts = BTreeMap::<u64, W::Model>::new();
    for operation in operations::<W>(8) {
        let part = parts.entry(W::Model::partition(&operation)).or_insert_with(W::model);
        assert_eq!(part.apply(&operation), whole.apply(&operation), "{operation:?}");
    }
}

/// A restored service has the digest of the one that the snapshot was taken of, though it came to it otherwise.
fn digests_tell_states_apart<W: Workload>() {
    let (mut service, mut model, mut restored) = (W::service(), W::model(), W::service());
    let mut states = BTreeMap::new();
    for operation in operations::<W>(3).take(5_000) {
        service.execute(&operation);
        model.apply(&operation);
        restored.restore(&service.snapshot());
        let digest = W::digest(&service);
        assert_eq!(digest, W::digest(&restored), "{operation:?}");
        assert_eq!(*states.entry(digest).or_insert_with(|| model.clone()), model, "{operation:?}");
    }
    assert!(states.len() > 1);
}

fn traces_hold_operations<W: Workload>() {
    for operation in operations::<W>(8).take(1_000) {
        let text = serde_json::to_string(&operation).expect("string keys only");
        assert_eq!(serde_json::from_str::<W::Operation>(&text).expect("as written"), operation, "{text}");
    }
}

#[test]
fn a_store() {
    everything_occurs_and_agrees::<Store>(4 + 4, 2);
}

#[test]
fn a_blackboard() {
    everything_occurs_and_agrees::<Blackboard>(3 + 4, 2);
}

#[test]
fn a_register() {
    everything_occurs_and_agrees::<Register>(3 + 4, 2);
}

#[test]
fn a_counter() {
    everything_occurs_and_agrees::<Counter>(2 + 2, 1);
}

#[test]
fn a_set() {
    everything_occurs_and_agrees::<Set>(3 + 3, 2);
}

#[test]
fn fencing_locks() {
    everything_occurs_and_agrees::<FencingLocks>(3 + 5, 2);
}

#[test]
fn a_job() {
    everything_occurs_and_agrees::<Job>(5 + 9, 4);
}

#[test]
fn all_at_once() {
    // Some of them have operations, or responses, of the same name.
    everything_occurs_and_agrees::<Library>(19 + 27, 13);
}

#[test]
fn registers_are_seen_as_registers() {
    let mut model = Library::model();
    let partition = |operation| Models::partition(&Operation::Register(operation));
    let write = register::Operation::Write { value: 5 };
    assert_eq!(model.register_value(partition(write)), Some(0));
    model.apply(&Operation::Register(write));
    assert_eq!(model.register_value(partition(write)), Some(6));
    assert_eq!(model.register_value(Models::partition(&Operation::Counter(counter::Operation::Read))), None);

    let seen = |operation, response| {
        Models::as_register(&Operation::Register(operation), Some(&Response::Register(response)))
    };
    let swap = register::Operation::CompareAndSwap { expected: None, new: 2 };
    assert_eq!(seen(swap, register::Response::Swapped), Some(RegisterOperation::Swap { from: 0, to: 3 }));
    assert_eq!(seen(swap, register::Response::Mismatched(Some(4))), Some(RegisterOperation::Read(5)));
    // No register finds what was expected and refuses all the same.
    assert_eq!(seen(swap, register::Response::Mismatched(None)), None);
    assert_eq!(
        Models::as_register(&Operation::Register(swap), Some(&Response::Job(job::Reply::Again))),
        None
    );
}

/// What `sim check` is given of a call.
fn exported(calls: Vec<(Operation, Option<Response>)>) -> Option<(ModelName, String)> {
    let call = |(operation, response): (_, Option<_>)| Call {
        client: 0,
        operation,
        called: 1,
        returned: response.map(|response| (2, response)),
    };
    let history: Vec<_> = calls.into_iter().map(call).collect();
    let (model, said) = Library::export(&history, &[])?;
    let mut text = String::new();
    for (op, answer) in said {
        let op = serde_json::to_string(&op).expect("string keys only");
        writeln!(text, "{op} {answer}").expect("a string takes everything");
    }
    Some((model, text))
}

#[test]
fn histories_of_one_service_are_exported_where_there_is_a_model() {
    let register = |operation, response| (Operation::Register(operation), response);
    let swap = register::Operation::CompareAndSwap { expected: None, new: 2 };
    let read = register::Operation::Read;
    let calls = vec![
        register(swap, Some(Response::Register(register::Response::Swapped))),
        register(swap, Some(Response::Register(register::Response::Mismatched(Some(2))))),
        register(read, Some(Response::Register(register::Response::Value(Some(2))))),
        register(register::Operation::Write { value: 3 }, None),
    ];
    let expected = r#"{"type":"cas","from":null,"to":"2"} true
{"type":"cas","from":null,"to":"2"} false
{"type":"read"} "2"
{"type":"write","value":"3"} null
"#;
    assert_eq!(exported(calls.clone()), Some((ModelName::Register, expected.to_owned())));

    let contains = set::Operation::Contains { value: 7 };
    let set = (Operation::Set(contains), Some(Response::Set(set::Response::Contained(true))));
    let expected = "{\"type\":\"contains\",\"value\":\"7\"} true\n";
    assert_eq!(exported(vec![set.clone()]), Some((ModelName::Set, expected.to_owned())));

    let swap = blackboard::Operation::CompareAndSwap { key: 3, expected: Some(1), new: None };
    let swapped = Response::Blackboard(blackboard::Response::Swapped);
    let expected = "{\"type\":\"cas\",\"key\":\"3\",\"from\":\"1\",\"to\":null} true\n";
    let board = (Operation::Blackboard(swap), Some(swapped));
    assert_eq!(exported(vec![board]), Some((ModelName::Register, expected.to_owned())));

    assert_eq!(exported(vec![(Operation::Counter(counter::Operation::Read), None)]), None);
    assert_eq!(exported([calls, vec![set]].concat()), None, "two services");
}
