//! Every way to judge, held against brute force on all small histories.

use std::collections::VecDeque;

use super::brute_force::{brute_force, first_refused};
use super::contest::{Way, contest_all};
use super::search::Strategy;
use super::witness::check_order;
use super::zones::{self, Judgement};
use super::{Budget, Call, Reason, Refusal, Verdict, explain, judge, linearize, partitions};
use crate::workload::{Model, RegisterOperation};

const AMPLE: u64 = 1_000_000;

type History<M> = Vec<Call<<M as Model>::Operation, <M as Model>::Response>>;

/// Every operation with every response of interest.
type Alphabet<M> = Vec<(<M as Model>::Operation, <M as Model>::Response)>;

/// When each operation is called, and when it returns if its outcome is known.
pub(crate) type Shape = Vec<(u64, Option<u64>)>;

/// All shapes of a number of operations, numbered in the order of their calls: at any moment the next is
/// called or an open one returns.
pub(crate) fn shapes(operations: usize) -> Vec<Shape> {
    fn extend(shape: &mut Shape, now: u64, operations: usize, shapes: &mut Vec<Shape>) {
        if shape.len() == operations {
            shapes.push(shape.clone());
        } else {
            shape.push((now, None));
            extend(shape, now + 1, operations, shapes);
            shape.pop();
        }
        for open in 0..shape.len() {
            if shape[open].1.is_none() {
                shape[open].1 = Some(now);
                extend(shape, now + 1, operations, shapes);
                shape[open].1 = None;
            }
        }
    }
    let mut shapes = Vec::new();
    extend(&mut Vec::new(), 0, operations, &mut shapes);
    shapes
}

/// What was met among small histories.
#[derive(Debug, Default)]
struct Count {
    histories: u64,
    linearizable: u64,
    /// How many zones gave a verdict on.
    covered: u64,
}

/// Examines every `stride`-th history of so many operations. In every other one, two events in a row have
/// the same time.
fn examine_all<M: Model>(
    initial: &M,
    alphabet: &Alphabet<M>,
    operations: usize,
    stride: usize,
    count: &mut Count,
) {
    let words = alphabet.len().pow(operations as u32);
    let shapes = shapes(operations);
    for number in (0..shapes.len() * words).step_by(stride) {
        let (shape, mut word) = (&shapes[number / words], number % words);
        let coarse = number / stride % 2 == 1;
        let time = |time: u64| if coarse { time / 2 } else { time };
        let call = |&(called, returned): &(u64, Option<u64>)| {
            let (operation, response) = &alphabet[word % alphabet.len()];
            word /= alphabet.len();
            Call {
                client: 0,
                operation: operation.clone(),
                called: time(called),
                returned: returned.map(|returned| (time(returned), response.clone())),
            }
        };
        let history: History<M> = shape.iter().map(call).collect();
        examine(initial, &history, count);
    }
}

/// Judges a history in every way.
fn examine<M: Model>(initial: &M, history: &History<M>, count: &mut Count) {
    let expected = brute_force(initial, history);
    count.histories += 1;
    count.linearizable += u64::from(expected);
    let refused = first_refused(initial, history);
    let right = refused.map_or(Verdict::Linearizable, |(operation, placed)| {
        Verdict::NotLinearizable(Refusal { partition: 0, placed, operation })
    });
    assert_eq!(expected, refused.is_none(), "{history:#?}");
    // Sets of any size are slower, so only now and then.
    let narrow = if count.histories.is_multiple_of(16) { 0 } else { u64::BITS };
    for strategies in [&[Strategy::DepthFirst], &[Strategy::BreadthFirst]] {
        let way = Way { strategies, narrow };
        let found = contest_all(initial, history, partitions::<M>(history), way, &mut Budget::from(AMPLE));
        assert_eq!(found, right, "{strategies:?} on {history:#?}");
    }
    assert_eq!(judge(initial, history, None, AMPLE), right, "{history:#?}");
    let members: Vec<u32> = (0..history.len() as u32).collect();
    match zones::judge(initial, history, 0, &members) {
        Judgement::NotCovered => {}
        Judgement::Linearizable => {
            assert!(expected, "{history:#?}");
            count.covered += 1;
        }
        Judgement::NotLinearizable { refusal, is_first } => {
            assert!(!expected, "{history:#?}");
            assert!(!is_first || right == Verdict::NotLinearizable(refusal), "{refusal:?} of {history:#?}");
            count.covered += 1;
        }
    }
    match right {
        Verdict::NotLinearizable(refusal) => is_explained(initial, history, &refusal),
        _ => {
            let order = linearize(initial, history, AMPLE).expect("it is linearizable");
            assert_eq!(check_order(initial, history, &order), Ok(()), "{order:?} of {history:#?}");
        }
    }
}

/// The explanation of a refusal holds water: all that returned before is placed, in right orders, and what
/// is said of the candidates is so.
fn is_explained<M: Model>(initial: &M, history: &History<M>, refusal: &Refusal) {
    let explanation = explain(initial, history, refusal, AMPLE).expect("the budget is ample");
    assert!(explanation.is_complete || explanation.survivors.len() > 8, "{history:#?}");
    assert_eq!(explanation.prefix, explanation.survivors[0].order);
    let end = (history[refusal.operation].returned.as_ref().expect("it returned").0, refusal.operation);
    for survivor in &explanation.survivors {
        let mut weakened = history.clone();
        for (index, call) in weakened.iter_mut().enumerate() {
            let returned_before =
                call.returned.as_ref().is_some_and(|&(returned, _)| (returned, index) < end);
            if !returned_before && !survivor.order.contains(&index) {
                call.returned = None;
            }
        }
        assert_eq!(check_order(initial, &weakened, &survivor.order), Ok(()), "{survivor:?} of {history:#?}");
        assert!(!survivor.order.contains(&refusal.operation));
        assert!(survivor.candidates.iter().any(|candidate| candidate.operation == refusal.operation));
        for candidate in &survivor.candidates {
            let call = &history[candidate.operation];
            assert!(call.called <= end.0 && !survivor.order.contains(&candidate.operation));
            if let Reason::WrongResponse { expected, observed } = &candidate.reason {
                assert_ne!(expected, observed);
            }
        }
    }
}

/// A register with two kinds of compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Cell(u64);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum CellOperation {
    Read,
    Write(u64),
    /// Answers what it saw.
    Swap(u64, u64),
    /// Answers whether it had an effect.
    TrySwap(u64, u64),
}
use CellOperation::{Read, Swap, TrySwap, Write};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Done,
    Saw(u64),
    Was(bool),
}
use Answer::{Done, Saw, Was};

impl Model for Cell {
    type Operation = CellOperation;
    type Response = Answer;

    fn apply(&mut self, operation: &CellOperation) -> Answer {
        let saw = self.0;
        match *operation {
            Read => Saw(saw),
            Write(value) => {
                self.0 = value;
                Done
            }
            Swap(from, to) | TrySwap(from, to) => {
                if saw == from {
                    self.0 = to;
                }
                if matches!(operation, Swap(..)) { Saw(saw) } else { Was(saw == from) }
            }
        }
    }

    fn observes_only(operation: &CellOperation) -> bool {
        *operation == Read
    }

    fn overwrites(operation: &CellOperation) -> bool {
        matches!(operation, Write(_))
    }

    fn as_register(operation: &CellOperation, response: Option<&Answer>) -> Option<RegisterOperation> {
        match (operation, response) {
            (&Write(value), None | Some(Done)) => Some(RegisterOperation::Write(value)),
            (&(Swap(from, to) | TrySwap(from, to)), None) | (&TrySwap(from, to), Some(Was(true))) => {
                Some(RegisterOperation::Swap { from, to })
            }
            (&Swap(from, to), Some(&Saw(saw))) if saw == from => Some(RegisterOperation::Swap { from, to }),
            (Read | Swap(..), Some(&Saw(saw))) => Some(RegisterOperation::Read(saw)),
            (&TrySwap(from, _), Some(Was(false))) => Some(RegisterOperation::Mismatch(from)),
            _ => None,
        }
    }

    fn register_value(&self, _partition: u64) -> Option<u64> {
        Some(self.0)
    }
}

#[test]
fn registers() {
    let alphabet = vec![
        (Read, Saw(0)),
        (Read, Saw(1)),
        (Read, Saw(2)),
        (Write(1), Done),
        (Write(2), Done),
        (Swap(0, 1), Saw(0)),
        (Swap(1, 2), Saw(1)),
        (Swap(1, 1), Saw(1)),
        (Swap(2, 0), Saw(2)),
        (Swap(0, 2), Saw(1)),
        (TrySwap(0, 1), Was(false)),
        (TrySwap(1, 2), Was(false)),
        (TrySwap(2, 3), Was(true)),
        (Write(0), Done),
        (Write(1), Saw(1)),
    ];
    let mut count = Count::default();
    for (operations, stride) in [(0, 1), (1, 1), (2, 1), (3, 3), (4, 211), (5, 34_651)] {
        examine_all(&Cell(0), &alphabet, operations, stride, &mut count);
    }
    assert!(count.linearizable > count.histories / 50, "{count:?}");
    assert!(count.covered > count.histories / 3 && count.covered < count.histories, "{count:?}");
}

/// Fewer operations, none of which zones leave to others unless values are repeated.
#[test]
fn registers_of_reads_and_writes() {
    let alphabet = vec![
        (Read, Saw(0)),
        (Read, Saw(1)),
        (Read, Saw(2)),
        (Write(1), Done),
        (Write(2), Done),
        (Swap(1, 2), Saw(1)),
    ];
    let mut count = Count::default();
    for (operations, stride) in [(3, 1), (4, 5), (5, 509), (6, 200_003)] {
        examine_all(&Cell(0), &alphabet, operations, stride, &mut count);
    }
    assert!(count.linearizable > count.histories / 50, "{count:?}");
    assert!(count.covered > count.histories / 2, "{count:?}");
}

/// Everything but a failed compare-and-swap that says no more is covered where values are unique.
#[test]
fn zones_cover_all_registers_with_unique_values() {
    let mut count = Count::default();
    let alphabet = [
        (Read, Saw(0)),
        (Read, Saw(1)),
        (Read, Saw(2)),
        (Read, Saw(3)),
        (Write(1), Done),
        (Swap(1, 2), Saw(1)),
        (Swap(0, 3), Saw(0)),
        (Swap(3, 4), Saw(1)),
    ];
    let shapes = shapes(4);
    let words = alphabet.len().pow(4);
    for number in (0..shapes.len() * words).step_by(13) {
        let word = (0..4).map(|place| number % words / alphabet.len().pow(place) % alphabet.len());
        let word: Vec<usize> = word.collect();
        let is_repeated =
            |writer: &usize| (4..7).contains(writer) && word.iter().filter(|one| *one == writer).count() > 1;
        if word.iter().any(is_repeated) {
            continue;
        }
        let calls = word.iter().zip(&shapes[number / words]).map(|(&symbol, &(called, returned))| {
            let (operation, response) = alphabet[symbol].clone();
            Call { client: 0, operation, called, returned: returned.map(|returned| (returned, response)) }
        });
        examine(&Cell(0), &calls.collect(), &mut count);
    }
    assert!(count.histories > 10_000 && count.covered == count.histories, "{count:?}");
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Queue(VecDeque<u8>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum QueueOperation {
    Enqueue(u8),
    Dequeue,
}
use QueueOperation::{Dequeue, Enqueue};

impl Model for Queue {
    type Operation = QueueOperation;
    type Response = Option<u8>;

    fn apply(&mut self, operation: &QueueOperation) -> Option<u8> {
        match *operation {
            Enqueue(value) => {
                self.0.push_back(value);
                None
            }
            Dequeue => self.0.pop_front(),
        }
    }
}

#[test]
fn queues() {
    let alphabet =
        vec![(Enqueue(1), None), (Enqueue(2), None), (Dequeue, None), (Dequeue, Some(1)), (Dequeue, Some(2))];
    let mut count = Count::default();
    for (operations, stride) in [(1, 1), (2, 1), (3, 1), (4, 7), (5, 307)] {
        examine_all(&Queue::default(), &alphabet, operations, stride, &mut count);
    }
    assert!(count.linearizable > count.histories / 50 && count.covered == 0, "{count:?}");
}

/// A list of which some operations see a part: what overwrites it hides it from those that come later only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct List(Vec<u8>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum ListOperation {
    Get,
    Put(u8),
    /// Answers the new length.
    Append(u8),
    /// Answers nothing, and needs one element.
    Shorten,
}
use ListOperation::{Append, Get, Put, Shorten};

impl Model for List {
    type Operation = ListOperation;
    type Response = Vec<u8>;

    fn apply(&mut self, operation: &ListOperation) -> Vec<u8> {
        match *operation {
            Get => self.0.clone(),
            Put(value) => {
                self.0 = vec![value];
                Vec::new()
            }
            Append(value) => {
                self.0.push(value);
                vec![self.0.len() as u8]
            }
            Shorten => self.0.pop().into_iter().collect(),
        }
    }

    fn observes_only(operation: &ListOperation) -> bool {
        *operation == Get
    }

    fn overwrites(operation: &ListOperation) -> bool {
        matches!(operation, Put(_))
    }

    fn heap_bytes(&self) -> usize {
        self.0.capacity()
    }
}

#[test]
fn lists() {
    let alphabet = vec![
        (Get, vec![]),
        (Get, vec![1]),
        (Get, vec![1, 2]),
        (Put(1), vec![]),
        (Put(2), vec![]),
        (Append(2), vec![1]),
        (Append(2), vec![2]),
        (Shorten, vec![2]),
        (Shorten, vec![]),
    ];
    let mut count = Count::default();
    for (operations, stride) in [(1, 1), (2, 1), (3, 1), (4, 61), (5, 6_007)] {
        examine_all(&List::default(), &alphabet, operations, stride, &mut count);
    }
    assert!(count.linearizable > count.histories / 50, "{count:?}");
}

/// Small histories with long ones of unknown outcome around them: the shapes above have at most a few.
#[test]
fn unknown_outcomes() {
    let alphabet = [
        (Read, Saw(1)),
        (Read, Saw(2)),
        (Write(1), Done),
        (Write(2), Done),
        (TrySwap(1, 2), Was(true)),
        (TrySwap(1, 2), Was(false)),
    ];
    let pending = [Write(1), Write(2), TrySwap(1, 2), TrySwap(2, 1), Write(1), Swap(0, 2)];
    let mut count = Count::default();
    let (shapes, words) = (shapes(3), alphabet.len().pow(3));
    for number in 0..shapes.len() * words {
        let shape = &shapes[number / words];
        let mut word = number % words;
        let mut history = Vec::new();
        for &(called, returned) in shape {
            let (operation, response) = alphabet[word % alphabet.len()].clone();
            word /= alphabet.len();
            let returned = returned.map(|returned| (returned, response));
            history.push(Call { client: 0, operation, called, returned });
        }
        for (index, operation) in pending.iter().enumerate() {
            if ((number / 3) >> index) & 1 == 1 && history.len() < 6 {
                let called = (number as u64 + index as u64) % 6;
                history.push(Call { client: 0, operation: operation.clone(), called, returned: None });
            }
        }
        examine(&Cell(0), &history, &mut count);
    }
    assert!(count.linearizable > count.histories / 50, "{count:?}");
}
