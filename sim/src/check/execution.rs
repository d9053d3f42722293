//! Execution: S5, S10, S21.

use std::hash::Hash;

use vr::{OpNumber, Outcome, Replica, ReplicaId, Rules, Service, Session, View};

use super::checkpoints::Taken;
use super::ghost::Committed;
use super::members::{Member, Members};
use super::{Checked, Fact, Findings, Property};
use crate::digest;

/// S5: execution goes on where it stopped. Returns the digest of the log up to the executed entry.
#[inline]
pub(super) fn in_order(
    members: &mut Members,
    replica: ReplicaId,
    op_number: OpNumber,
    findings: &mut Findings,
) -> Option<u64> {
    let member = &mut members[replica];
    if op_number != member.executed.next() {
        let before = member.executed;
        let witness = format!("{replica} executed op {op_number} after op {before}");
        findings
            .add(Property::S5, "not the next operation", witness)
            .between([Fact::executed(replica, before), Fact::executed(replica, op_number)]);
    }
    member.executed = op_number;
    let chain = member.chain(op_number);
    if chain.is_none() {
        findings.add(
            Property::S5,
            "not in the log",
            format!("{replica} executed op {op_number}, which it does not hold"),
        );
    }
    chain
}

/// S5, after the step: what is committed is executed, and in the log.
#[inline]
pub(super) fn committed_is_executed<S: Service, R: Rules>(
    member: &Member,
    replica: ReplicaId,
    state: &Replica<S, R>,
    findings: &mut Findings,
) {
    let (committed, last) = (state.commit_number().op_number(), state.op_number());
    if committed != member.executed || committed > last {
        let executed = member.executed;
        let witness = format!(
            "{replica} has committed op {committed} and executed op {executed} of a log to op {last}"
        );
        findings.add(Property::S5, "commit-number differs from what is executed", witness);
    }
}

/// What an execution looks like to the checks.
#[inline]
pub(super) fn observe<W: Checked>(
    execution: &vr::Execution<'_, W::Service>,
    chain: u64,
    view: View,
) -> Committed {
    let request = &execution.entry.request;
    Committed {
        op_number: execution.op_number,
        chain,
        view,
        created: execution.entry.view,
        address: request.address,
        request: request.body.of_session(),
        executed: matches!(execution.outcome, Outcome::Executed(_)),
        outcome: outcome_digest(&execution.outcome),
        state: W::digest(execution.service),
    }
}

/// The digest of a response, as it is kept of executed operations.
#[inline]
pub(super) fn response_digest(response: &impl Hash) -> u64 {
    digest::mix(1, digest::of(response))
}

#[inline]
fn outcome_digest<R: Hash>(outcome: &Outcome<'_, R>) -> u64 {
    match outcome {
        Outcome::Executed(response) => response_digest(*response),
        Outcome::Registered(registration) => {
            let evicted = registration.evicted.map_or(0, |client| client.0);
            digest::mix(digest::mix(2, registration.client.0), evicted)
        }
        Outcome::Duplicate => digest::mix(3, 0),
        Outcome::Evicted => digest::mix(4, 0),
        Outcome::Reconfigured(start) => digest::mix(5, digest::of(start)),
        Outcome::EpochChecked(epoch) => digest::mix(6, epoch.0),
    }
}

/// S10: executing an op-number gives the same result and the same state everywhere.
#[inline]
pub(super) fn agrees(replica: ReplicaId, committed: &Committed, seen: &Committed, findings: &mut Findings) {
    let op_number = seen.op_number;
    if committed.outcome != seen.outcome {
        let witness =
            format!("op {op_number}: {replica} got another result than the replica that executed it first");
        findings
            .add(Property::S10, "results differ", witness)
            .between([Fact::committed(op_number), Fact::executed(replica, op_number)]);
    }
    if committed.state != seen.state {
        let witness =
            format!("after op {op_number}: {replica}'s service is in another state than the first one's");
        findings
            .add(Property::S10, "states differ", witness)
            .between([Fact::committed(op_number), Fact::executed(replica, op_number)]);
    }
}

/// The client tables' digests at some op-numbers: S21.
#[derive(Clone, Debug)]
pub struct Execution {
    tables: Vec<Option<u64>>,
    /// The commit-number of each replica when it was last looked at.
    seen_at: Vec<u64>,
}

impl Execution {
    pub(super) fn new(replicas: usize) -> Self {
        Self { tables: Vec::new(), seen_at: vec![0; replicas] }
    }

    /// S21: at the same commit-number all client tables are the same. Small tables are compared at every
    /// commit-number at which a step ends, large ones less often, so that the cost stays the same.
    #[inline]
    pub(super) fn table_agrees<W: Checked, R: Rules>(
        &mut self,
        replica: ReplicaId,
        state: &Replica<W::Service, R>,
        findings: &mut Findings,
    ) {
        let commit_number = state.commit_number().0;
        let interval = (state.client_table().sessions().len() as u64 / 4).max(1);
        if commit_number > self.seen_at[replica.index()] && commit_number.is_multiple_of(interval) {
            let sessions = state.client_table().sessions();
            self.compare(replica, commit_number, sessions.len(), table_digest(sessions), findings);
        }
        self.seen_at[replica.index()] = commit_number;
    }

    /// S21, of a checkpoint's client table.
    pub(super) fn table_at(&mut self, replica: ReplicaId, taken: &Taken, findings: &mut Findings) {
        self.compare(replica, taken.op_number.0, taken.sessions, taken.table, findings);
    }

    fn compare(
        &mut self,
        replica: ReplicaId,
        commit_number: u64,
        sessions: usize,
        digest: u64,
        findings: &mut Findings,
    ) {
        // Only a session's operations are taken, and a session makes room for another only.
        if commit_number > 0 && sessions == 0 {
            let witness =
                format!("after op {commit_number}: there is no session in {replica}'s client table");
            let at = OpNumber(commit_number);
            findings
                .add(Property::S21, "client table without a session", witness)
                .between([Fact::executed(replica, at)]);
        }
        let index = commit_number as usize;
        if self.tables.len() <= index {
            self.tables.resize(index + 1, None);
        }
        if *self.tables[index].get_or_insert(digest) != digest {
            let witness =
                format!("after op {commit_number}: {replica}'s client table is not the first one's");
            let at = OpNumber(commit_number);
            findings
                .add(Property::S21, "client tables differ", witness)
                .between([Fact::committed(at), Fact::executed(replica, at)]);
        }
    }
}

/// The digest of the replicated part of a client table.
#[must_use]
pub fn table_digest<R: Hash>(sessions: &[Session<R>]) -> u64 {
    // Of each session by itself, so that a processor need not wait for one digest to begin with the next.
    let of_session = |session: &Session<R>| {
        let numbers = digest::mix(digest::mix(session.client.0, session.executed.0), session.last_used.0);
        let answer = digest::mix(numbers, digest::of(&session.response));
        session.epoch.map_or(answer, |epoch| digest::mix(answer, epoch.0))
    };
    sessions.iter().map(of_session).fold(0, digest::mix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_without_a_session_is_found() {
        let (mut execution, mut findings) = (Execution::new(1), Findings::default());
        execution.compare(ReplicaId(0), 0, 0, 0, &mut findings);
        assert!(findings.first().is_none());
        execution.compare(ReplicaId(0), 1, 0, 0, &mut findings);
        assert_eq!(findings.first().map(|found| found.property), Some(Property::S21));
    }
}
