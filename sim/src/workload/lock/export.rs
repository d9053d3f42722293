//! Histories of locks, for `sim check`.

use serde_json::{Value, json};

use super::{Operation, Response};
use crate::check::linearizability::Call;
use crate::history::ModelName;
use crate::history::record::{Op, asked_and_answered};

pub(super) fn export(history: &[Call<Operation, Response>]) -> (ModelName, Vec<(Op, Value)>) {
    (ModelName::Mutex, asked_and_answered(history, op, answer))
}

fn op(operation: &Operation) -> Op {
    let (kind, lock, owner) = match *operation {
        Operation::Acquire { lock, owner } => ("acquire", lock, Some(owner)),
        Operation::Release { lock, owner } => ("release", lock, Some(owner)),
        Operation::Inspect { lock } => ("inspect", lock, None),
    };
    let owner = owner.map(|owner| owner.to_string());
    Op { kind, key: Some(lock.to_string()), owner, ..Op::default() }
}

/// What was answered, in the members that the model `mutex` knows.
fn answer(operation: &Operation, response: &Response) -> Value {
    let name = |holder: u64| holder.to_string();
    match (*response, *operation) {
        (Response::Granted { token }, Operation::Acquire { owner, .. }) => {
            json!({ "done": true, "holder": name(owner), "token": token })
        }
        (Response::Refused { holder, token }, _) => {
            json!({ "done": false, "holder": name(holder), "token": token })
        }
        (Response::Released { token }, _) => json!({ "done": true, "token": token }),
        (Response::NotHeld { holder }, _) => json!({ "done": false, "holder": holder.map(name) }),
        (Response::Held { holder, token }, _) => json!({ "holder": name(holder), "token": token }),
        (Response::Free { token }, _) => json!({ "holder": null, "token": token }),
        // No lock answers so: let nothing explain it.
        (Response::Granted { token }, _) => json!({ "done": true, "holder": "nobody asked", "token": token }),
    }
}
