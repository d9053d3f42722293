//! Services that are wrong: what is checked from outside must notice, without any bug in the protocol.

use std::cell::Cell;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sim::check::Property;
use sim::random::Draw;
use sim::run::{Verdict, run};
use sim::scenario::{Overrides, Scenario};
use sim::setup::Setup;
use sim::workload::{Model, Workload};
use vr::Service;

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
