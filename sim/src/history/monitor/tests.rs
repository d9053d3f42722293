//! The monitors against trying every order.

use super::*;
use crate::check::linearizability::small_histories::shapes;
use crate::check::linearizability::{self, Verdict};
use crate::random::{Draw, Purpose, stream};
use crate::workload::Model;
use rand_chacha::ChaCha8Rng;

const DISCIPLINES: [Discipline; 4] =
    [Discipline::Queue, Discipline::Stack, Discipline::PriorityQueue, Discipline::Deque];

type History = Vec<Call<Operation, u64>>;

/// True if some order of all completed operations, and some of the others, explains the history.
fn some_order_explains(state: &Container, history: &History, placed: &mut Vec<bool>) -> bool {
    let is_done = |index: usize| placed[index] || history[index].returned.is_none();
    if (0..history.len()).all(is_done) {
        return true;
    }
    let limit = (0..history.len())
        .filter(|&index| !placed[index])
        .filter_map(|index| history[index].returned.as_ref().map(|(returned, _)| *returned))
        .min();
    for next in 0..history.len() {
        let call = &history[next];
        if placed[next] || limit.is_some_and(|limit| limit < call.called) {
            continue;
        }
        let mut state = state.clone();
        let response = state.apply(&call.operation);
        if call.returned.as_ref().is_some_and(|(_, seen)| *seen != response) {
            continue;
        }
        placed[next] = true;
        let explains = some_order_explains(&state, history, placed);
        placed[next] = false;
        if explains {
            return true;
        }
    }
    false
}

fn explains(initial: &Container, history: &History) -> bool {
    some_order_explains(initial, history, &mut vec![false; history.len()])
}

fn operations(discipline: Discipline, item: u64, random: &mut ChaCha8Rng) -> [Operation; 3] {
    let end = |random: &mut ChaCha8Rng| if random.below(2) == 0 { End::Front } else { End::Back };
    match discipline {
        Discipline::Queue => {
            [Operation::Insert(End::Back, item), Operation::Remove(End::Front), Operation::Peek(End::Front)]
        }
        Discipline::Stack | Discipline::PriorityQueue => {
            [Operation::Insert(End::Back, item), Operation::Remove(End::Back), Operation::Peek(End::Back)]
        }
        Discipline::Deque => [
            Operation::Insert(end(random), item),
            Operation::Remove(end(random)),
            Operation::Peek(end(random)),
        ],
    }
}

/// A history of values that differ from each other: what is removed or seen is anything, each removed once.
fn any_history(discipline: Discipline, random: &mut ChaCha8Rng, length: u64, pending: u64) -> History {
    let mut history = History::new();
    let mut items: Vec<u64> = Vec::new();
    let mut left: Vec<u64> = Vec::new();
    let mut kinds: Vec<u64> =
        (0..length).map(|_| [0, 0, 0, 1, 1, 1, 2, 3][random.below(8) as usize]).collect();
    kinds.sort_unstable_by_key(|&kind| kind.min(1));
    let times = 2 * length;
    for kind in kinds {
        let item = items.len() as u64 + 1;
        let all = operations(discipline, item, random);
        let (one, other) = (random.below(times), random.below(times));
        let width = random.below(times / 2);
        let called = if random.below(2) == 0 { one.min(other) } else { one };
        let returned = if random.below(2) == 0 { one.max(other) } else { one + width };
        let (operation, response) = match kind {
            0 => {
                items.push(item);
                left.push(item);
                (all[0], 0)
            }
            1 if !left.is_empty() => (all[1], left.swap_remove(random.below(left.len() as u64) as usize)),
            2 if !items.is_empty() => (all[2], items[random.below(items.len() as u64) as usize]),
            3 => (all[1 + random.below(2) as usize], 0),
            _ => continue,
        };
        let returned = (random.below(100) >= pending).then_some((returned, response));
        history.push(Call { client: 0, operation, called, returned });
    }
    history
}

/// A history on a few lines.
fn shown(history: &[Call<Operation, u64>]) -> String {
    let lines = history.iter().map(|call| {
        let returned = call.returned.map_or("?".to_owned(), |(returned, _)| returned.to_string());
        let answer = call.returned.map_or("?".to_owned(), |(_, answer)| answer.to_string());
        format!("{}..{returned} {:?} {answer}", call.called, call.operation)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn monitors_agree_with_trying_every_order() {
    for discipline in DISCIPLINES {
        let mut random = stream(7, Purpose::Client(discipline as u16));
        let mut counts = [0; 2];
        for round in 0..40_000 {
            let length = 1 + random.below(7);
            let pending = [0, 0, 20, 60][random.below(4) as usize];
            let history = any_history(discipline, &mut random, length, pending);
            let initial = Container::new(discipline, []);
            let expected = explains(&initial, &history);
            match monitor(&initial, &history, Limits::NONE) {
                Opinion::Linearizable(_) => {
                    counts[0] += 1;
                    assert!(expected, "{discipline:?} {round} \n{}", shown(&history));
                }
                Opinion::NotLinearizable(core) => {
                    counts[1] += 1;
                    assert!(!expected, "{discipline:?} {round} \n{}", shown(&history));
                    let core: History = core.iter().map(|&index| history[index].clone()).collect();
                    assert!(
                        !explains(&initial, &core),
                        "{discipline:?} {round} \n{} core\n{}",
                        shown(&history),
                        shown(&core)
                    );
                }
                Opinion::Unknown => {
                    panic!("{discipline:?} {round} {expected}\n{}", shown(&history));
                }
            }
        }
        assert!(counts.iter().all(|&count| count > 5_000), "{discipline:?}: {counts:?}");
    }
}

/// Longer ones, in which much of what the search for a deque takes for granted matters, against the search
/// that knows nothing of deques. All values come and go as on a copy, then some answers are exchanged.
#[test]
fn deques_agree_with_searching() {
    let mut random = stream(7, Purpose::Client(10));
    let initial = Container::new(Discipline::Deque, []);
    let mut counts = [[0; 2]; 2];
    for round in 0..30_000 {
        let mut copy = initial.clone();
        let mut history = History::new();
        let (length, spread) = (8 + random.below(6), 1 + random.below(12));
        let pending = [0, 0, 15, 30][random.below(4) as usize];
        for number in 0..length {
            let all = operations(Discipline::Deque, number + 1, &mut random);
            let operation = all[[0, 0, 0, 0, 1, 1, 1, 2][random.below(8) as usize]];
            let response = copy.apply(&operation);
            let called = (2 * number + 12).saturating_sub(random.below(spread));
            let returned = 2 * number + 13 + random.below(spread);
            let is_known = random.below(100) >= pending;
            history.push(Call {
                client: 0,
                operation,
                called,
                returned: is_known.then_some((returned, response)),
            });
        }
        for _ in 0..random.below(6) {
            let of = |random: &mut ChaCha8Rng| random.below(length) as usize;
            let (one, other) = (of(&mut random), of(&mut random));
            let inserts = |call: &Call<Operation, u64>| matches!(call.operation, Operation::Insert(..));
            if !inserts(&history[one]) && !inserts(&history[other]) {
                let (left, right) = (history[one].returned, history[other].returned);
                if let (Some((at, left)), Some((then, right))) = (left, right) {
                    history[one].returned = Some((at, right));
                    history[other].returned = Some((then, left));
                }
            }
        }
        let expected = linearizability::search(&initial, &history, 10_000_000) == Verdict::Linearizable;
        let has_unknown = history
            .iter()
            .any(|call| matches!(call.operation, Operation::Remove(_)) && call.returned.is_none());
        counts[usize::from(has_unknown)][usize::from(expected)] += 1;
        let opinion = monitor(&initial, &history, Limits::NONE);
        let agrees = match &opinion {
            Opinion::Linearizable(_) => expected,
            Opinion::NotLinearizable(core) => {
                let core: History = core.iter().map(|&index| history[index].clone()).collect();
                !expected && linearizability::search(&initial, &core, 10_000_000) != Verdict::Linearizable
            }
            Opinion::Unknown => false,
        };
        assert!(agrees, "{round} {opinion:?} {expected}\n{}", shown(&history));
    }
    assert!(counts.iter().flatten().all(|&count| count > 400), "{counts:?}");
}

/// Each value is removed by a removal of its own, and not before that is called: with few removals called late
/// there is no order, with one more or an earlier one there is.
#[test]
fn removals_of_unknown_outcome_take_one_value_each() {
    for discipline in [Discipline::Queue, Discipline::PriorityQueue] {
        let end = if discipline == Discipline::Queue { End::Front } else { End::Back };
        // So many values come first, in both disciplines, before one that is seen to be removed at 200.
        let history = |values: u64, removals: &[u64]| -> History {
            let call = |operation, called, returned| Call { client: 0, operation, called, returned };
            let insert = |turn: u64| {
                let inserted = (10 * turn + 1, 0);
                call(Operation::Insert(End::Back, 100 - turn), 10 * turn, Some(inserted))
            };
            let last = call(Operation::Remove(end), 190, Some((200, 100 - values)));
            let removals = removals.iter().map(|&called| call(Operation::Remove(end), called, None));
            (0..=values).map(insert).chain([last]).chain(removals).collect()
        };
        let judged = |values, removals: &[u64]| {
            let history = history(values, removals);
            monitor(&Container::new(discipline, []), &history, Limits::NONE)
        };
        for (values, removals, is_good) in [
            (3, &[150, 150, 150][..], true),
            (3, &[150, 200, 5], true),
            (3, &[150, 150], false),
            (3, &[150, 201, 150], false),
            (3, &[150, 201, 150, 150], true),
            (9, &[200; 9], true),
            (9, &[200; 8], false),
            (0, &[], true),
        ] {
            match judged(values, removals) {
                Opinion::Linearizable(_) => assert!(is_good, "{discipline:?} {values} {removals:?}"),
                Opinion::NotLinearizable(_) => assert!(!is_good, "{discipline:?} {values} {removals:?}"),
                Opinion::Unknown => panic!("{discipline:?} {values} {removals:?}"),
            }
        }
    }
}

/// What clients can ask and be told where values differ: they are inserted in the order of their numbers but
/// in a priority queue, where the order says something.
fn alphabet(discipline: Discipline, values: u64) -> Vec<(Operation, u64)> {
    let ends: &[End] = match discipline {
        Discipline::Queue => &[End::Front],
        Discipline::Stack | Discipline::PriorityQueue => &[End::Back],
        Discipline::Deque => &[End::Front, End::Back],
    };
    let inserts: &[End] = if discipline == Discipline::Deque { ends } else { &[End::Back] };
    let mut alphabet = Vec::new();
    for &end in inserts {
        alphabet.extend((1..=values).map(|value| (Operation::Insert(end, value), 0)));
    }
    for &end in ends {
        alphabet.extend((0..=values).map(|value| (Operation::Remove(end), value)));
        alphabet.extend((0..=values).map(|value| (Operation::Peek(end), value)));
    }
    alphabet
}

/// True if each value is inserted at most once, and those of equal rank in the order of their numbers.
fn is_of_interest(discipline: Discipline, word: &[(Operation, u64)]) -> bool {
    let inserted: Vec<u64> = word
        .iter()
        .filter_map(|(operation, _)| match operation {
            Operation::Insert(_, item) => Some(*item),
            _ => None,
        })
        .collect();
    let mut sorted = inserted.clone();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.len() == inserted.len()
        && (discipline == Discipline::PriorityQueue || inserted.is_sorted())
        && sorted.iter().zip(1..).all(|(&item, number)| item == number)
}

/// Every history of up to three operations, and a share of those of four and five, at three values.
#[test]
fn monitors_agree_with_trying_every_order_of_all_small_histories() {
    for discipline in DISCIPLINES {
        let initial = Container::new(discipline, []);
        let (mut judged, mut linearizable) = (0_u64, 0_u64);
        for (operations, values, stride) in [(1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 3, 61), (5, 3, 48_611)] {
            let (alphabet, shapes) = (alphabet(discipline, values), shapes(operations));
            let words = (alphabet.len() as u64).pow(operations as u32);
            let mut number = 0_u64;
            for code in 0..words {
                let digit = |place: u32| code / (alphabet.len() as u64).pow(place) % alphabet.len() as u64;
                let word: Vec<_> =
                    (0..operations as u32).map(|place| alphabet[digit(place) as usize]).collect();
                if !is_of_interest(discipline, &word) {
                    continue;
                }
                // Every shape is met by some word, whatever the stride.
                let first = (stride - number % stride) % stride;
                for shape in shapes.iter().skip(first as usize).step_by(stride as usize) {
                    let calls = word.iter().zip(shape).map(|(&(operation, answer), &(called, returned))| {
                        let returned = returned.map(|returned| (returned, answer));
                        Call { client: 0, operation, called, returned }
                    });
                    let history: History = calls.collect();
                    let expected = explains(&initial, &history);
                    judged += 1;
                    linearizable += u64::from(expected);
                    let opinion = monitor(&initial, &history, Limits::NONE);
                    let agrees = match opinion {
                        Opinion::Linearizable(_) => expected,
                        Opinion::NotLinearizable(_) => !expected,
                        Opinion::Unknown => false,
                    };
                    assert!(agrees, "{discipline:?} {opinion:?} {expected}\n{}", shown(&history));
                }
                number += shapes.len() as u64;
            }
        }
        assert!(judged > 20_000 && linearizable > 1_000, "{discipline:?}: {judged}, {linearizable}");
    }
}
