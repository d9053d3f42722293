//! A service of your own under every fault and check of the harness: here a bank.
//!
//! The whole command line works for it: `cargo run --release -p sim --example own_service -- sweep`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sim::digest;
use sim::random::Draw;
use sim::workload::{Model, Workload};
use vr::Service;

/// How many accounts there are, and what each begins with.
const ACCOUNTS: usize = 4;
const OPENING_BALANCE: u64 = 100;

/// First the service, as it would be without the harness.
#[derive(Clone)]
pub(crate) struct Bank([u64; ACCOUNTS]);

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Operation {
    Transfer { from: usize, to: usize, amount: u64 },
    Balance { account: usize },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Response {
    Transferred,
    Insufficient { balance: u64 },
    Balance(u64),
}

impl Service for Bank {
    type Operation = Operation;
    type Response = Response;
    /// The balance of one account.
    type SnapshotPart = u64;

    fn execute(&mut self, operation: &Operation) -> Response {
        match *operation {
            Operation::Balance { account } => Response::Balance(self.0[account]),
            Operation::Transfer { from, amount, .. } if self.0[from] < amount => {
                Response::Insufficient { balance: self.0[from] }
            }
            Operation::Transfer { from, to, amount } => {
                self.0[from] -= amount;
                self.0[to] += amount;
                Response::Transferred
            }
        }
    }

    fn snapshot(&self) -> Vec<u64> {
        self.0.to_vec()
    }

    fn restore(&mut self, parts: &[u64]) {
        self.0.copy_from_slice(parts);
    }
}

/// Then what clients ask of it, and how to tell its states apart.
impl Workload for Bank {
    const NAME: &'static str = "bank";
    type Operation = Operation;
    type Response = Response;
    type Service = Self;
    type Model = Ledger;

    fn service() -> Self {
        Self([OPENING_BALANCE; ACCOUNTS])
    }

    fn model() -> Ledger {
        Ledger::default()
    }

    fn operation(random: &mut ChaCha8Rng, _keys: u64, _unique: u64) -> Operation {
        let mut account = || random.below(ACCOUNTS as u64) as usize;
        let (from, to) = (account(), account());
        match random.below(3) {
            0 => Operation::Balance { account: from },
            _ => Operation::Transfer { from, to, amount: random.below(OPENING_BALANCE) },
        }
    }

    fn digest(service: &Self) -> u64 {
        digest::of(&service.0)
    }
}

/// Last the specification, written independently: the balances of the accounts that were ever used.
/// A transfer touches two accounts, so all of them are one partition, which is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ledger(BTreeMap<usize, u64>);

impl Model for Ledger {
    type Operation = Operation;
    type Response = Response;

    fn apply(&mut self, operation: &Operation) -> Response {
        let balance = |account| self.0.get(account).copied().unwrap_or(OPENING_BALANCE);
        match operation {
            Operation::Balance { account } => Response::Balance(balance(account)),
            Operation::Transfer { from, to, amount } => {
                let Some(rest) = balance(from).checked_sub(*amount) else {
                    return Response::Insufficient { balance: balance(from) };
                };
                self.0.insert(*from, rest);
                *self.0.entry(*to).or_insert(OPENING_BALANCE) += amount;
                Response::Transferred
            }
        }
    }

    fn observes_only(operation: &Operation) -> bool {
        matches!(operation, Operation::Balance { .. })
    }
}

/// The whole command line, for the bank: `cargo run -p sim --example own_service -- sweep --count 1000`.
fn main() -> ExitCode {
    sim::cli::main_for::<Bank>()
}
