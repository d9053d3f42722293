//! Locks: `acquire` and `release`.
//!
//! A plain lock knows no owners: `acquire` succeeds where the lock is free, `release` where it is taken,
//! whoever asks. More is understood where a history says it:
//!
//! * `key`: which lock, where there are several.
//! * `owner`: then only the owner can release the lock, and holding it already is no reason to get it.
//! * `inspect`: looks at a lock.
//! * An object as the result, of any of `done` (true or false, as otherwise), `holder` (the owner who holds
//!   the lock, as far as it says), and `token` (a fencing token: how often the lock was granted so far).
//!   To `acquire`, `holder` and `token` say who has the lock now; to `release`, what it was that ended.

use std::collections::BTreeMap;

use super::{Context, Datatype, Wrong};
use crate::history::format::{Entry, Kind};
use crate::history::value::{Atom, NULL, Value};
use crate::workload::Model;

/// All locks that were ever taken. A lock that is free and whose grants nobody asks for is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Locks {
    /// Every lock is taken to begin with, by nobody in particular.
    starts_taken: bool,
    /// Grants are counted: some operation of the history tells of them.
    counts: bool,
    locks: BTreeMap<Value, Lock>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Lock {
    holder: Option<Value>,
    token: u64,
}

/// What is asked of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    key: Value,
    owner: Value,
    what: What,
    told: Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    Acquire,
    Release,
    Inspect,
}

/// What of the answer a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Told {
    done: bool,
    holder: bool,
    token: bool,
}

/// What a client is told: only what it asked for, see [`Operation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Response {
    done: Option<bool>,
    holder: Option<Option<Value>>,
    token: Option<u64>,
}

impl Locks {
    fn lock(&self, key: Value) -> Lock {
        let initial = Lock { holder: self.starts_taken.then_some(NULL), token: 0 };
        self.locks.get(&key).copied().unwrap_or(initial)
    }
}

impl Model for Locks {
    type Operation = Operation;
    type Response = Response;

    fn apply(&mut self, operation: &Operation) -> Response {
        let Operation { key, owner, what, told } = *operation;
        let mut lock = self.lock(key);
        // To a release, who held the lock is worth telling, and else who holds it.
        let before = lock;
        let done = match (what, lock.holder) {
            (What::Acquire, None) => {
                lock = Lock { holder: Some(owner), token: lock.token + u64::from(self.counts) };
                true
            }
            (What::Release, Some(holder)) if holder == owner => {
                lock.holder = None;
                true
            }
            (What::Acquire | What::Release, _) => false,
            (What::Inspect, holder) => holder.is_some(),
        };
        if lock != before {
            self.locks.insert(key, lock);
        }
        let seen = if what == What::Release { before } else { lock };
        Response {
            done: told.done.then_some(done),
            holder: told.holder.then_some(seen.holder),
            token: told.token.then_some(seen.token),
        }
    }

    fn observes_only(operation: &Operation) -> bool {
        operation.what == What::Inspect
    }

    fn partition(operation: &Operation) -> u64 {
        operation.key
    }

    fn heap_bytes(&self) -> usize {
        self.locks.len().div_ceil(11) * 400
    }
}

impl Datatype for Locks {
    fn start(context: &Context<'_>, init: &Atom) -> Result<Self, String> {
        let starts_taken = match (init, init.text()) {
            (Atom::Null | Atom::Truth(false), _) | (_, Some("" | "free" | "unlocked" | "0" | "false")) => {
                false
            }
            (Atom::Truth(true), _) | (_, Some("taken" | "locked" | "1" | "true")) => true,
            _ => {
                return Err(format!("expected true if the lock is taken, false if it is free: found {init}"));
            }
        };
        let counts = |entry: &Entry| *context.atom(entry.result).member("token") != Atom::Null;
        let counts = context.history.entries.iter().any(counts);
        Ok(Self { starts_taken, counts, locks: BTreeMap::new() })
    }

    fn call(context: &Context<'_>, entry: &Entry) -> Result<(Operation, Response), Wrong> {
        let what = match entry.kind {
            Kind::Acquire => What::Acquire,
            Kind::Release => What::Release,
            Kind::Inspect => What::Inspect,
            _ => return Err(context.no_such_operation(entry, "acquire, release or inspect")),
        };
        let response = response(context, entry)?;
        let told = Told {
            done: response.done.is_some(),
            holder: response.holder.is_some(),
            token: response.token.is_some(),
        };
        Ok((Operation { key: entry.key, owner: entry.owner, what, told }, response))
    }

    fn say(context: &Context<'_>, response: &Response) -> String {
        match *response {
            Response { done: Some(done), holder: None, token: None } => done.to_string(),
            Response { done, holder, token } => {
                let members = [
                    done.map(|done| format!("done: {done}")),
                    holder.map(|holder| format!("holder: {}", context.say(holder.unwrap_or(NULL)))),
                    token.map(|token| format!("token: {token}")),
                ];
                format!("{{{}}}", members.into_iter().flatten().collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn say_state(&self, context: &Context<'_>, partition: u64) -> String {
        let Lock { holder, token } = self.lock(partition);
        let state = match holder {
            None => "free".to_owned(),
            Some(NULL) => "taken".to_owned(),
            Some(holder) => format!("held by {}", context.say(holder)),
        };
        if self.counts { format!("{state}, token {token}") } else { state }
    }

    fn say_partition(context: &Context<'_>, partition: u64) -> Option<String> {
        (partition != NULL).then(|| format!("lock {}", context.say(partition)))
    }
}

/// Without a truth value, a lock was granted or given back.
fn response(context: &Context<'_>, entry: &Entry) -> Result<Response, Wrong> {
    let result = context.atom(entry.result);
    if entry.returned.is_none() {
        return Ok(Response { done: None, holder: None, token: None });
    }
    if !matches!(result, Atom::Record(_)) {
        let done = context.truth(entry)?.unwrap_or(true);
        return Ok(Response { done: Some(done), holder: None, token: None });
    }
    let wrong = |member: &str, expected: &str| {
        ("result", format!("{member} should be {expected}: found {}", result.member(member)))
    };
    let has = |name: &str| matches!(result, Atom::Record(members) if members.iter().any(|(member, _)| member == name));
    let done = match result.member("done") {
        Atom::Null => None,
        atom => Some(atom.truth().ok_or_else(|| wrong("done", "true or false"))?),
    };
    let holder = has("holder").then(|| match result.member("holder") {
        Atom::Null => None,
        atom => Some(context.value_of(atom)),
    });
    let token = match result.member("token") {
        Atom::Null => None,
        atom => {
            let token = atom.number().and_then(|token| u64::try_from(token).ok());
            Some(token.ok_or_else(|| wrong("token", "a whole number"))?)
        }
    };
    Ok(Response { done, holder, token })
}
