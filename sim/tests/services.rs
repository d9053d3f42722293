//! Services that are wrong: what is checked from outside must notice, without any bug in the protocol.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sim::check::Property;
use sim::random::Draw;
use sim::registry::run_plain;
use sim::run::{Verdict, run};
use sim::scenario::{Overrides, Scenario};
use sim::setup::Setup;
use sim::workload::library::{self, Library};
use sim::workload::{Model, Workload};
use vr::Service;
use vr::services::locks::Token;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Operation {
    Add(u64),
    Read,
}

/// What makes a counter wrong.
trait Flaw: Clone + 'static {
    /// What is added when `amount` should be, and what is read when `value` should be.
    fn add(amount: u64) -> u64;
    fn read(value: u64, before: u64) -> u64;
}

#[derive(Clone, Default)]
struct Counter<F> {
    value: u64,
    before: u64,
    flaw: std::marker::PhantomData<F>,
}

impl<F: Flaw> Service for Counter<F> {
    type Operation = Operation;
    type Response = u64;
    type SnapshotPart = (u64, u64);

    fn execute(&mut self, operation: &Operation) -> u64 {
        match operation {
            Operation::Add(amount) => {
                self.before = self.value;
                self.value += F::add(*amount);
                self.value
            }
            Operation::Read => F::read(self.value, self.before),
        }
    }

    fn snapshot(&self) -> Vec<(u64, u64)> {
        vec![(self.value, self.before)]
    }

    fn restore(&mut self, parts: &[(u64, u64)]) {
        (self.value, self.before) = parts[0];
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Sum(u64);

impl Model for Sum {
    type Operation = Operation;
    type Response = u64;

    fn apply(&mut self, operation: &Operation) -> u64 {
        if let Operation::Add(amount) = operation {
            self.0 += amount;
        }
        self.0
    }

    fn observes_only(operation: &Operation) -> bool {
        *operation == Operation::Read
    }
}

#[derive(Clone)]
struct Flawed<F>(std::marker::PhantomData<F>);

impl<F: Flaw + Clone> Workload for Flawed<F> {
    const NAME: &'static str = "flawed-counter";
    type Operation = Operation;
    type Response = u64;
    type Service = Counter<F>;
    type Model = Sum;

    fn service() -> Counter<F> {
        Counter { value: 0, before: 0, flaw: std::marker::PhantomData }
    }

    fn model() -> Sum {
        Sum::default()
    }

    fn operation(random: &mut ChaCha8Rng, _keys: u64, unique: u64) -> Operation {
        if random.chance(500_000) { Operation::Read } else { Operation::Add(1 + unique % 7) }
    }

    fn digest(service: &Counter<F>) -> u64 {
        service.value
    }
}

#[derive(Clone)]
struct Sound;
#[derive(Clone)]
struct Stale;
#[derive(Clone)]
struct Undetermined;
#[derive(Clone)]
struct Panicking;

impl Flaw for Sound {
    fn add(amount: u64) -> u64 {
        amount
    }
    fn read(value: u64, _: u64) -> u64 {
        value
    }
}

impl Flaw for Stale {
    fn add(amount: u64) -> u64 {
        amount
    }
    fn read(_: u64, before: u64) -> u64 {
        before
    }
}

thread_local! {
    static EXECUTIONS: Cell<u64> = const { Cell::new(0) };
}

impl Flaw for Undetermined {
    fn add(amount: u64) -> u64 {
        // Something that differs from replica to replica, as a clock would.
        EXECUTIONS.set(EXECUTIONS.get() + 1);
        if EXECUTIONS.get().is_multiple_of(50) { amount + 1 } else { amount }
    }
    fn read(value: u64, _: u64) -> u64 {
        value
    }
}

impl Flaw for Panicking {
    fn add(amount: u64) -> u64 {
        EXECUTIONS.set(EXECUTIONS.get() + 1);
        assert!(!EXECUTIONS.get().is_multiple_of(50), "the service gives up");
        amount
    }
    fn read(value: u64, _: u64) -> u64 {
        value
    }
}

fn setup() -> Setup {
    let overrides =
        Overrides { steps: Some(3_000), replicas: Some(3), clients: Some(4), ..Overrides::default() };
    Scenario::find("calm").expect("built in").resolve(5, &overrides)
}

fn property(verdict: &Verdict) -> Option<Property> {
    match verdict {
        Verdict::Violated(violation) => Some(violation.property),
        _ => None,
    }
}

#[test]
fn a_sound_service_is_found_sound() {
    let report = run::<Flawed<Sound>>(&setup());
    assert_eq!(report.verdict, Verdict::Held);
    assert!(report.marks.answered > 100);
}

/// All replicas agree on the stale answer, so only the clients' history shows it.
#[test]
fn s14_a_service_that_reads_stale_values() {
    assert_eq!(property(&run::<Flawed<Stale>>(&setup()).verdict), Some(Property::S14));
}

#[test]
fn s10_a_service_that_is_not_deterministic() {
    assert_eq!(property(&run::<Flawed<Undetermined>>(&setup()).verdict), Some(Property::S10));
}

#[test]
fn a_panic_in_a_replica_is_a_violation_and_says_where() {
    let report = run::<Flawed<Panicking>>(&setup());
    let violation = report.violation().expect("a panic");
    assert_eq!(violation.property, Property::Panic);
    assert!(violation.witness.contains("the service gives up"), "{}", violation.witness);
    assert!(violation.kind.contains("services.rs"), "{}", violation.kind);
}

/// The same service under other faults, in a value that two threads could share.
#[test]
fn a_setup_can_be_shared() {
    let setup = Arc::new(setup());
    let digests: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(|| run::<Flawed<Sound>>(&setup).digest)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(digests[0], digests[1]);
}

/// The services of the library, all of which execute everything as they should, and answer something else at
/// times.
#[derive(Clone)]
struct Untruthful(library::Services);

impl Service for Untruthful {
    type Operation = library::Operation;
    type Response = library::Response;
    type SnapshotPart = library::SnapshotPart;

    fn execute(&mut self, operation: &library::Operation) -> library::Response {
        untrue(self.0.execute(operation))
    }

    fn snapshot(&self) -> Vec<library::SnapshotPart> {
        self.0.snapshot()
    }

    fn restore(&mut self, parts: &[library::SnapshotPart]) {
        self.0.restore(parts);
    }
}

/// Of each service one answer that would be given if something had been forgotten in it.
fn untrue(response: library::Response) -> library::Response {
    use library::Response::{Blackboard, Counter, FencingLocks, Job, Register, Set, Store};
    use vr::services::{blackboard, counter, key_value_store, locks, register, set};
    match response {
        Store(key_value_store::Response::Scanned(mut entries)) => {
            entries.pop();
            Store(key_value_store::Response::Scanned(entries))
        }
        Blackboard(blackboard::Response::Mismatched(_)) => Blackboard(blackboard::Response::Swapped),
        Register(register::Response::Mismatched(_)) => Register(register::Response::Swapped),
        Counter(counter::Response::OutOfRange(total)) => Counter(counter::Response::Total(total)),
        Set(set::Response::Removed(_)) => Set(set::Response::Removed(true)),
        FencingLocks(locks::Response::Granted { token: Token(token) }) => {
            FencingLocks(locks::Response::Granted { token: Token(token - 1) })
        }
        Job(library::job::Reply::NotYours) => Job(library::job::Reply::Finished),
        other => other,
    }
}

#[derive(Clone)]
struct UntruthfulLibrary;

impl Workload for UntruthfulLibrary {
    const NAME: &'static str = "untruthful-library";
    type Operation = library::Operation;
    type Response = library::Response;
    type Service = Untruthful;
    type Model = library::Models;

    fn service() -> Untruthful {
        Untruthful(Library::service())
    }

    fn model() -> library::Models {
        Library::model()
    }

    fn operation(random: &mut ChaCha8Rng, keys: u64, unique: u64) -> library::Operation {
        Library::operation(random, keys, unique)
    }

    fn operation_for(name: &str, random: &mut ChaCha8Rng, keys: u64, unique: u64) -> library::Operation {
        Library::operation_for(name, random, keys, unique)
    }

    fn digest(service: &Untruthful) -> u64 {
        Library::digest(&service.0)
    }
}

#[test]
fn s14_each_service_of_the_library_if_it_answers_wrongly() {
    for name in library::NAMES {
        let setup = Setup { workload: (*name).to_owned(), ..setup() };
        let report = run::<UntruthfulLibrary>(&setup);
        assert_eq!(property(&report.verdict), Some(Property::S14), "{name}");
        let sound = run_plain(&Arc::new(setup), None).expect("built in");
        assert_eq!(sound.verdict, Verdict::Held, "{name}");
        assert!(sound.marks.answered > 100, "{name}: {}", sound.marks.answered);
    }
}

#[test]
fn the_library_holds_under_all_faults() {
    let scenario = Scenario::find("services").expect("built in");
    for name in library::NAMES {
        let overrides = Overrides { workload: Some(name), ..Overrides::default() };
        let (mut answered, mut recoveries) = (0, 0);
        for seed in 0..30 {
            let setup = Arc::new(scenario.resolve(seed, &overrides));
            let report = run_plain(&setup, None).expect("built in");
            assert_eq!(report.verdict, Verdict::Held, "{name}, seed {seed}");
            answered += report.marks.answered;
            let marks: BTreeMap<_, _> = report.marks.all().into_iter().collect();
            recoveries += marks["moment:recovery"];
        }
        assert!(answered > 1_000 && recoveries > 30, "{name}: {answered} answered, {recoveries} recoveries");
    }
}

/// The scenario chooses each of them, and nothing else.
#[test]
fn the_scenario_of_the_library_names_all_of_it() {
    let scenario = Scenario::find("services").expect("built in");
    let drawn = (0..200).map(|seed| scenario.resolve(seed, &Overrides::default()).workload);
    let drawn: BTreeSet<String> = drawn.collect();
    assert_eq!(drawn, library::NAMES.iter().map(|name| (*name).to_owned()).collect());
}
