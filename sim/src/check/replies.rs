//! Replies: S12.

use std::hash::Hash;

use vr::{ClientAddress, ClientId, OpNumber, ReplicaId, Reply, ReplyBody};

use super::execution::response_digest;
use super::ghost::{Committed, Ghost};
use super::{Fact, Findings, Property};

/// S12, at the sender: the reply tells of a committed execution, and what it answered.
#[inline]
pub(super) fn sent<R: Hash>(
    ghost: &Ghost,
    replica: ReplicaId,
    to: ClientAddress,
    reply: &Reply<R>,
    findings: &mut Findings,
) {
    match &reply.body {
        ReplyBody::Executed { client, number, op_number, response } => {
            let committed = ghost.get(*op_number);
            let executed = committed
                .filter(|operation| operation.request == Some((*client, *number)) && operation.address == to);
            if executed.is_none() {
                let witness = format!(
                    "{replica} answered request {number} of session {client} from op {op_number}, where it is not committed"
                );
                findings.add(Property::S12, "answered before it is committed", witness);
            } else if executed.is_some_and(|operation| operation.outcome != response_digest(response)) {
                let witness = format!(
                    "{replica} answered request {number} of session {client} with another result than its execution's"
                );
                findings.add(Property::S12, "another result", witness);
            }
        }
        ReplyBody::Registered { client } => session_exists(ghost, replica, to, *client, findings),
        ReplyBody::Evicted { client } => {
            if !ghost.is_evicted(*client) {
                let witness = format!("{replica} calls session {client} evicted, which it is not");
                findings.add(Property::S12, "not evicted", witness);
            }
        }
        ReplyBody::Epoch { client, number, op_number, .. } => {
            let is_so = |operation: &Committed| {
                operation.request == Some((*client, *number)) && operation.address == to
            };
            if !ghost.get(*op_number).is_some_and(is_so) {
                let witness = format!(
                    "{replica} answered request {number} of an administrator from op {op_number}, where it is not committed"
                );
                findings.add(Property::S12, "answered before it is committed", witness);
            }
        }
        // What was read is looked at when the replica tells of it.
        ReplyBody::Observed { .. } | ReplyBody::NotARead { .. } => {}
        ReplyBody::NotPrimary | ReplyBody::TryLater | ReplyBody::Refused { .. } | ReplyBody::NewEpoch(_) => {}
    }
}

fn session_exists(
    ghost: &Ghost,
    replica: ReplicaId,
    to: ClientAddress,
    client: ClientId,
    findings: &mut Findings,
) {
    let registration = ghost.get(OpNumber(client.0));
    if registration.is_none_or(|operation| operation.request.is_some() || operation.address != to) {
        let witness =
            format!("{replica} told a client of session {client}, which is no registration of that client");
        findings.add(Property::S12, "session of another", witness);
    }
}

/// S12, at the receiver: what a client takes for its answer is the answer to its request.
pub(super) fn taken<R: Hash>(
    ghost: &Ghost,
    slot: u16,
    asked: (ClientAddress, u64),
    op_number: OpNumber,
    response: &R,
    findings: &mut Findings,
) {
    let (address, number) = asked;
    let answers = ghost.get(op_number).is_some_and(|operation| {
        operation.address == address
            && operation.request.is_some_and(|(_, asked)| asked.0 == number)
            && operation.outcome == response_digest(response)
    });
    if !answers {
        let witness = format!(
            "c{slot} took the reply from op {op_number} for the answer to its request {number}, which it is not"
        );
        findings
            .add(Property::S12, "answer to something else", witness)
            .between([Fact::committed(op_number), Fact::answered(op_number)]);
    }
}
