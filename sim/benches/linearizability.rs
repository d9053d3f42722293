//! How fast histories are judged, and in how much memory: `cargo bench -p sim --bench linearizability`.
//!
//! The histories are good by construction: every operation takes effect at one moment between its call and
//! its return, and each client has one under way nearly all the time, so almost all of them overlap. The
//! column `max alloc` is the most memory a judgement held at once, the history itself not included.

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use rand_chacha::ChaCha8Rng;
use sim::check::linearizability::{Call, Refusal, Verdict, judge, search};
use sim::history::generate::{Plan, good};
use sim::history::models::ModelName;
use sim::history::record::to_lines;
use sim::history::{self, Judgement, Limits, Subject};
use sim::random::{Draw, Purpose, stream};
use sim::workload::{Model, RegisterOperation};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// More than any of the searches needs.
const BUDGET: u64 = 100_000_000;

/// A register of which there is one for each key. Values are numbers, at first zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Register(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Operation {
    key: u64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Read,
    Write(u64),
    /// Answers what it saw.
    CompareAndSwap {
        from: u64,
        to: u64,
    },
}

impl Model for Register {
    type Operation = Operation;
    type Response = Option<u64>;

    fn apply(&mut self, operation: &Operation) -> Option<u64> {
        let saw = Some(self.0);
        match operation.kind {
            Kind::Read => saw,
            Kind::Write(value) => {
                self.0 = value;
                None
            }
            Kind::CompareAndSwap { from, to } => {
                if self.0 == from {
                    self.0 = to;
                }
                saw
            }
        }
    }

    fn observes_only(operation: &Operation) -> bool {
        operation.kind == Kind::Read
    }

    fn overwrites(operation: &Operation) -> bool {
        matches!(operation.kind, Kind::Write(_))
    }

    fn partition(operation: &Operation) -> u64 {
        operation.key
    }

    fn as_register(operation: &Operation, response: Option<&Option<u64>>) -> Option<RegisterOperation> {
        match (operation.kind, response) {
            (Kind::Read, Some(&Some(value))) => Some(RegisterOperation::Read(value)),
            (Kind::Write(value), None | Some(None)) => Some(RegisterOperation::Write(value)),
            (Kind::CompareAndSwap { from, to }, None) => Some(RegisterOperation::Swap { from, to }),
            (Kind::CompareAndSwap { from, to }, Some(&Some(saw))) if saw == from => {
                Some(RegisterOperation::Swap { from, to })
            }
            (Kind::CompareAndSwap { .. }, Some(&Some(saw))) => Some(RegisterOperation::Read(saw)),
            _ => None,
        }
    }

    fn register_value(&self, _partition: u64) -> Option<u64> {
        Some(self.0)
    }
}

const INITIAL: Register = Register(0);

type History = Vec<Call<Operation, Option<u64>>>;

/// Which values are written.
#[derive(Clone, Copy)]
enum Values {
    Unique,
    /// One of five, so a read seldom tells whose write it saw.
    Repeated,
}

/// So many operations by so many clients on so many keys.
fn history(length: usize, clients: usize, keys: u64, values: Values) -> History {
    let mut random = stream(1, Purpose::Client(0));
    let mut registers = vec![INITIAL; keys as usize];
    let mut history = History::with_capacity(length);
    // The operation each client waits for, and its response once it has taken effect.
    let mut waiting: Vec<Option<(usize, Option<Option<u64>>)>> = vec![None; clients];
    let mut open = 0;
    for now in 0.. {
        if history.len() == length && open == 0 {
            break;
        }
        let client = random.below(clients as u64) as usize;
        match waiting[client] {
            None if history.len() < length => {
                let operation = draw(&mut random, &registers, values, history.len() as u64);
                waiting[client] = Some((history.len(), None));
                open += 1;
                history.push(Call { client: client as u32, operation, called: now, returned: None });
            }
            None => {}
            Some((index, None)) => {
                let operation = &history[index].operation;
                let response = registers[operation.key as usize].apply(operation);
                waiting[client] = Some((index, Some(response)));
            }
            Some((index, Some(response))) => {
                history[index].returned = Some((now, response));
                waiting[client] = None;
                open -= 1;
            }
        }
    }
    history
}

fn draw(random: &mut ChaCha8Rng, registers: &[Register], values: Values, unique: u64) -> Operation {
    let key = random.below(registers.len() as u64);
    let value = match values {
        Values::Unique => unique + 1,
        Values::Repeated => random.below(5),
    };
    let kind = match random.below(10) {
        0..5 => Kind::Read,
        5..9 => Kind::Write(value),
        // What is there now will often have been replaced by then.
        _ => Kind::CompareAndSwap { from: registers[key as usize].0, to: value },
    };
    Operation { key, kind }
}

/// Lets a read at nine tenths of a history see what was written long before.
fn with_stale_read(mut history: History) -> (History, usize) {
    let (from, long_before) = (history.len() / 10 * 9, history.len() / 10 * 8);
    let is_read = |call: &&Call<Operation, Option<u64>>| call.operation.kind == Kind::Read;
    let seen = |call: &Call<Operation, Option<u64>>| call.returned.expect("all returned").1;
    let current = |index: usize| (index - 100..index + 100).map(|index| seen(&history[index]));
    let (stale, value) = (from..)
        .filter(|&index| is_read(&&history[index]))
        .find_map(|index| {
            let other = history[..long_before].iter().rev().filter(is_read).map(seen);
            let unseen = |value: &Option<u64>| current(index).all(|seen| seen != *value);
            other.clone().find(unseen).or(Some(Some(5))).map(|value| (index, value))
        })
        .expect("there are many reads");
    let (returned, _) = history[stale].returned.expect("all returned");
    history[stale].returned = Some((returned, value));
    (history, stale)
}

fn bench(
    bencher: Bencher<'_, '_>,
    history: &History,
    judge: impl Fn(&History) -> Verdict,
    expected: &Verdict,
) {
    bencher.counter(ItemsCount::new(history.len())).bench_local(|| {
        let verdict = judge(black_box(history));
        match (&verdict, expected) {
            (Verdict::NotLinearizable(refusal), Verdict::NotLinearizable(expected)) => {
                assert_eq!(refusal.operation, expected.operation);
            }
            _ => assert_eq!(&verdict, expected),
        }
    });
}

fn by_search(history: &History) -> Verdict {
    search(&INITIAL, history, BUDGET)
}

fn by_judge(history: &History) -> Verdict {
    judge(&INITIAL, history, None, BUDGET)
}

fn stale(operation: usize) -> Verdict {
    Verdict::NotLinearizable(Refusal { partition: 0, placed: 0, operation })
}

/// One key, values repeated: only the search can tell.
#[divan::bench(args = [(10_000, 8), (100_000, 8), (10_000, 16), (10_000, 32)], sample_count = 3, sample_size = 1)]
fn repeated_values(bencher: Bencher<'_, '_>, (length, clients): (usize, usize)) {
    bench(bencher, &history(length, clients, 1, Values::Repeated), by_search, &Verdict::Linearizable);
}

/// One key, values unique.
#[divan::bench(args = [(10_000, 8), (100_000, 8), (10_000, 32)], sample_count = 10, sample_size = 1)]
fn unique_values(bencher: Bencher<'_, '_>, (length, clients): (usize, usize)) {
    bench(bencher, &history(length, clients, 1, Values::Unique), by_judge, &Verdict::Linearizable);
}

/// One key, values unique, but the search is not told.
#[divan::bench(args = [(10_000, 8), (100_000, 8), (10_000, 32)], sample_count = 3, sample_size = 1)]
fn unique_values_by_search(bencher: Bencher<'_, '_>, (length, clients): (usize, usize)) {
    bench(bencher, &history(length, clients, 1, Values::Unique), by_search, &Verdict::Linearizable);
}

/// A million operations of sixteen clients on a hundred keys.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn hundred_keys_unique_values(bencher: Bencher<'_, '_>) {
    bench(bencher, &history(1_000_000, 16, 100, Values::Unique), by_judge, &Verdict::Linearizable);
}

/// A million operations of sixteen clients on a hundred keys, for the search.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn hundred_keys_repeated_values(bencher: Bencher<'_, '_>) {
    bench(bencher, &history(1_000_000, 16, 100, Values::Repeated), by_search, &Verdict::Linearizable);
}

/// Ten thousand operations of eight clients, and one read that sees what was there long before.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn stale_read_unique_values(bencher: Bencher<'_, '_>) {
    let (history, operation) = with_stale_read(history(10_000, 8, 1, Values::Unique));
    bench(bencher, &history, by_judge, &stale(operation));
}

/// The same by search alone.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn stale_read_unique_values_by_search(bencher: Bencher<'_, '_>) {
    let (history, operation) = with_stale_read(history(10_000, 8, 1, Values::Unique));
    bench(bencher, &history, by_search, &stale(operation));
}

/// The same where values are repeated: a value that was not there lately.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn stale_read_repeated_values(bencher: Bencher<'_, '_>) {
    let (history, operation) = with_stale_read(history(10_000, 8, 1, Values::Repeated));
    bench(bencher, &history, by_search, &stale(operation));
}

/// The lines of a history of distinct values, as anybody could have recorded it.
fn lines(model: ModelName, operations: usize, clients: usize) -> String {
    to_lines(&good(&Plan::new(model, operations, clients), &mut stream(2, Purpose::Client(0))))
}

/// From the lines of a file to the verdict.
fn bench_check(bencher: Bencher<'_, '_>, model: ModelName, lines: &str, is_linearizable: bool) {
    bencher.counter(ItemsCount::new(lines.lines().count())).bench_local(|| {
        let mut history = history::History::read(black_box(lines).as_bytes()).expect("it is well-formed");
        let judgement = history::check(&mut history, &Subject::new(model), false, Limits::NONE);
        match judgement.expect("it is of this model") {
            Judgement::Linearizable(_) => assert!(is_linearizable),
            Judgement::NotLinearizable(_) => assert!(!is_linearizable),
            Judgement::GaveUp { .. } => panic!("it should be decided"),
        }
    });
}

/// Five hundred operations of seven clients, every value once: what a general search does not live to see.
#[divan::bench(
    args = [ModelName::Queue, ModelName::Stack, ModelName::Deque, ModelName::Pqueue, ModelName::Set],
    sample_count = 10, sample_size = 1
)]
fn container(bencher: Bencher<'_, '_>, model: ModelName) {
    bench_check(bencher, model, &lines(model, 500, 7), true);
}

/// The same, where one removal gave a value that another gave long before.
#[divan::bench(
    args = [ModelName::Queue, ModelName::Stack, ModelName::Deque, ModelName::Pqueue],
    sample_count = 10, sample_size = 1
)]
fn container_with_a_value_out_of_turn(bencher: Bencher<'_, '_>, model: ModelName) {
    bench_check(bencher, model, &out_of_turn(model), false);
}

/// Exchanges the answers of two removals that are far apart.
fn out_of_turn(model: ModelName) -> String {
    let mut records = good(&Plan::new(model, 500, 7), &mut stream(2, Purpose::Client(0)));
    let removes = |index: &usize| {
        let record = &records[*index];
        record.result.is_string() && !record.op.kind.starts_with("peek")
    };
    let removals: Vec<usize> = (0..records.len()).filter(removes).collect();
    let (early, late) = (removals[removals.len() / 4], removals[removals.len() * 9 / 10]);
    let answer = std::mem::take(&mut records[early].result);
    records[early].result = std::mem::replace(&mut records[late].result, answer);
    to_lines(&records)
}

/// A hundred thousand operations of eight clients.
#[divan::bench(args = [ModelName::Queue, ModelName::Stack, ModelName::Pqueue], sample_count = 3, sample_size = 1)]
fn long_container(bencher: Bencher<'_, '_>, model: ModelName) {
    bench_check(bencher, model, &lines(model, 100_000, 8), true);
}
