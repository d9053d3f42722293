//! Requests and their order: S11, S13, S14 (online), S28.

use std::hash::Hash;

use rustc_hash::FxHashMap;
use vr::{
    ClientAddress, ClientId, Execution, OpNumber, Outcome, Registration, RequestBody, RequestNumber, Service,
};

use super::ghost::Committed;
use super::{Fact, Findings, Property};
use crate::digest;

/// What clients have asked for.
#[derive(Clone, Debug)]
pub struct Requests {
    /// The process in each client slot.
    addresses: Vec<ClientAddress>,
    /// The last request of each client process: its number and the digest of the operation.
    made: FxHashMap<ClientAddress, (u64, u64)>,
    /// The open session of each client process.
    sessions: FxHashMap<ClientAddress, ClientId>,
    /// The last executed request of each session, and where.
    executed: FxHashMap<ClientId, (RequestNumber, OpNumber)>,
    /// The last operation that any client knows to be executed.
    acknowledged: OpNumber,
    /// For each slot, what was acknowledged when its request was made.
    floors: Vec<OpNumber>,
}

impl Requests {
    pub(super) fn new(clients: usize) -> Self {
        Self {
            addresses: vec![ClientAddress::ZERO; clients],
            made: FxHashMap::default(),
            sessions: FxHashMap::default(),
            executed: FxHashMap::default(),
            acknowledged: OpNumber::ZERO,
            floors: vec![OpNumber::ZERO; clients],
        }
    }

    pub(super) fn registers(&mut self, slot: u16, address: ClientAddress) {
        self.made.entry(address).or_insert((0, 0));
        self.addresses[slot as usize] = address;
    }

    pub(super) fn requested<O: Hash>(
        &mut self,
        slot: u16,
        address: ClientAddress,
        number: u64,
        operation: &O,
    ) {
        self.made.insert(address, (number, digest::of(operation)));
        self.addresses[slot as usize] = address;
        self.floors[slot as usize] = self.acknowledged;
    }

    pub(super) fn reads(&mut self, slot: u16, address: ClientAddress) {
        self.addresses[slot as usize] = address;
        self.floors[slot as usize] = self.acknowledged;
    }

    /// The last op-number of which any client knows.
    pub(super) const fn acknowledged(&self) -> OpNumber {
        self.acknowledged
    }

    /// The address of the process in a slot.
    pub(super) fn address(&self, slot: u16) -> ClientAddress {
        self.addresses[slot as usize]
    }

    /// Whether nobody sees what the client at this address asks for: it lives in a host, and is tested with it.
    const fn is_unseen(address: ClientAddress) -> bool {
        address.is_in_host()
    }

    /// An operation is committed for the first time anywhere.
    #[inline]
    pub(super) fn committed<S: Service<Operation: Hash>>(
        &mut self,
        execution: &Execution<'_, S>,
        seen: &Committed,
        findings: &mut Findings,
    ) {
        let body = &execution.entry.request.body;
        if let RequestBody::Reconfiguration(_) | RequestBody::CheckEpoch { .. } = body {
            return self.committed_for_administrator(execution, seen, findings);
        }
        let RequestBody::Operation { client, number, operation } = body else {
            if !self.made.contains_key(&seen.address) && !Self::is_unseen(seen.address) {
                let witness = format!("op {} registers a client that there is not", seen.op_number);
                findings.add(Property::S28, "registration never asked for", witness);
            }
            if let Outcome::Registered(opened) = execution.outcome {
                self.has_one_session(seen, opened, findings);
            }
            return;
        };
        self.was_made(seen, *number, operation, findings);
        match execution.outcome {
            Outcome::Executed(_) => self.is_next(*client, *number, seen.op_number, findings),
            Outcome::Duplicate => {
                let op_number = seen.op_number;
                let witness = format!("op {op_number} is request {number} of session {client} once more");
                let (_, first) = self.executed.get(client).copied().unwrap_or_default();
                findings
                    .add(Property::S11, "twice in the log", witness)
                    .between([Fact::committed(first), Fact::committed(op_number)]);
            }
            Outcome::Evicted
            | Outcome::Registered(_)
            | Outcome::Reconfigured(_)
            | Outcome::EpochChecked(_) => {}
        }
    }

    /// S28 and S11, of what an administrator asks for. (Not S13: what was refused is skipped.)
    fn committed_for_administrator<S: Service>(
        &mut self,
        execution: &Execution<'_, S>,
        seen: &Committed,
        findings: &mut Findings,
    ) {
        let (op_number, Some((client, number))) = (seen.op_number, seen.request) else { return };
        let is_later = |&(last, _): &(u64, u64)| number.0 > last;
        if self.made.get(&seen.address).is_none_or(is_later) && !Self::is_unseen(seen.address) {
            let witness =
                format!("op {op_number} is request {number} of an administrator that has not made it");
            findings.add(Property::S28, "request never made", witness);
        }
        let (last, at) = self.executed.get(&client).copied().unwrap_or_default();
        if matches!(execution.outcome, Outcome::Duplicate) || number <= last {
            let witness = format!("op {op_number} is request {number} of session {client}, as was op {at}");
            findings
                .add(Property::S11, "executed twice", witness)
                .between([Fact::committed(at), Fact::committed(op_number)]);
        }
        if !matches!(execution.outcome, Outcome::Evicted) {
            self.executed.insert(client, (number, op_number));
        }
    }

    /// S11: a registration that is executed once more opens no other session.
    /// Nor does a primary give one two positions.
    fn has_one_session(&mut self, seen: &Committed, opened: Registration, findings: &mut Findings) {
        let (address, op_number) = (seen.address, seen.op_number);
        if let Some(evicted) = opened.evicted {
            self.was_idle_longest(evicted, op_number, findings);
            self.sessions.retain(|_, session| *session != evicted);
        }
        let session = *self.sessions.entry(address).or_insert(opened.client);
        if session != opened.client {
            let witness = format!("client {address} has session {session} and is given {}", opened.client);
            findings.add(Property::S11, "two sessions", witness);
        } else if opened.client.0 != op_number.0 {
            let witness =
                format!("op {op_number} registers client {address} once more: it has session {session}");
            findings.add(Property::S11, "registered twice in the log", witness);
        }
    }

    /// S21: the session that makes room for another is the one that was used longest ago.
    fn was_idle_longest(&self, evicted: ClientId, op_number: OpNumber, findings: &mut Findings) {
        // A session's id is the op-number of its registration.
        let used = |session: ClientId| self.executed.get(&session).map_or(OpNumber(session.0), |&(_, at)| at);
        let Some(&idle) = self.sessions.values().min_by_key(|&&session| used(session)) else { return };
        if used(evicted) > used(idle) {
            let witness = format!(
                "op {op_number} evicts session {evicted}, used at op {}, and not {idle}, used at op {}",
                used(evicted),
                used(idle)
            );
            findings.add(Property::S21, "another session makes room", witness);
        }
    }

    /// S28: a client has asked for this.
    fn was_made<O: Hash>(
        &self,
        seen: &Committed,
        number: RequestNumber,
        operation: &O,
        findings: &mut Findings,
    ) {
        let op_number = seen.op_number;
        match self.made.get(&seen.address) {
            Some(&(last, _)) if number.0 < last => {}
            Some(&(last, made)) if number.0 == last => {
                if made != digest::of(operation) {
                    let witness = format!("op {op_number} holds another operation than its client requested");
                    findings.add(Property::S28, "operation changed", witness);
                }
            }
            None if Self::is_unseen(seen.address) => {}
            _ => {
                let witness = format!("op {op_number} is request {number} of a client that has not made it");
                findings.add(Property::S28, "request never made", witness);
            }
        }
    }

    /// S11 and S13: each request of a session is executed once, and after the one before it.
    fn is_next(
        &mut self,
        client: ClientId,
        number: RequestNumber,
        op_number: OpNumber,
        findings: &mut Findings,
    ) {
        let executed = self.executed.entry(client).or_default();
        let (last, at) = std::mem::replace(executed, (number, op_number));
        if number <= last {
            let witness = format!(
                "request {number} of session {client} was executed at op {at} and again at op {op_number}"
            );
            let again = if number == last { "executed twice" } else { "executed after a later one" };
            findings
                .add(Property::S11, again, witness)
                .between([Fact::committed(at), Fact::committed(op_number)]);
        } else if number > last.next() {
            let witness =
                format!("op {op_number} is request {number} of session {client}, after request {last}");
            findings
                .add(Property::S13, "request skipped", witness)
                .between([Fact::committed(at), Fact::committed(op_number)]);
        }
    }

    /// S14, as far as op-numbers show it: a request is executed after everything that was acknowledged
    /// to anybody before it was made.
    pub(super) fn answered(&mut self, slot: u16, op_number: OpNumber, findings: &mut Findings) {
        let floor = self.floors[slot as usize];
        if op_number <= floor {
            let witness = format!(
                "c{slot}'s request was executed at op {op_number}, although op {floor} was acknowledged before it was made"
            );
            findings
                .add(Property::S14, "executed in the past", witness)
                .between([Fact::answered(floor), Fact::answered(op_number)]);
        }
        self.acknowledged = self.acknowledged.max(op_number);
    }

    /// S14, as far as op-numbers show it: a read sees everything that was acknowledged to anybody before it was
    /// asked for.
    pub(super) fn read(&mut self, slot: u16, version: OpNumber, findings: &mut Findings) {
        let floor = self.floors[slot as usize];
        if version < floor {
            let witness = format!(
                "c{slot} read the state as of op {version}, although op {floor} was acknowledged before it asked"
            );
            findings
                .add(Property::S14, "read in the past", witness)
                .between([Fact::answered(floor), Fact::answered(version)]);
        }
        self.acknowledged = self.acknowledged.max(version);
    }
}
