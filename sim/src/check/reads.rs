//! Reads that do not go through the log, and the promises that some of them rest on: S14 (reads), S15, S16, S24.

use rustc_hash::FxHashMap;
use vr::{
    Basis, ClientAddress, Freshness, Message, Observation, OpNumber, Payload, ReplicaId, Service, ViewStart,
};

use super::ghost::Ghost;
use super::members::Members;
use super::{Fact, Findings, Property};

/// What replicas have promised, and what clients have seen.
#[derive(Clone, Debug)]
pub struct Reads {
    /// Until when, in true time, each replica has promised at least to vote for no other view. A crash changes
    /// nothing about that: the primary does not know of it.
    promised_until: Vec<u64>,
    /// By how much clocks may differ from true time, in parts per million.
    drift_ppm: u64,
    /// What each client process has seen or caused.
    seen: FxHashMap<ClientAddress, OpNumber>,
}

impl Reads {
    pub(super) fn new(replicas: usize, drift_ppm: u32) -> Self {
        Self { promised_until: vec![0; replicas], drift_ppm: drift_ppm.into(), seen: FxHashMap::default() }
    }

    // ---- Promises --------------------------------------------------------------------------------

    /// A promise is given, or a vote: S24.
    #[inline]
    pub(super) fn sent<S: Service>(
        &mut self,
        replica: ReplicaId,
        message: &Message<S>,
        now: u64,
        findings: &mut Findings,
    ) {
        match &message.payload {
            Payload::CommitOk(ok) => {
                let until = now + least_true_time(ok.promise.0, self.drift_ppm);
                let promised = &mut self.promised_until[replica.index()];
                *promised = until.max(*promised);
            }
            Payload::DoViewChange(_) => self.keeps_promise(replica, message.view.0, now, findings),
            _ => {}
        }
    }

    /// S24, of the vote that a new primary has not sent to anybody: its own.
    pub(super) fn view_starts(
        &self,
        replica: ReplicaId,
        start: &ViewStart<'_>,
        now: u64,
        findings: &mut Findings,
    ) {
        if start.votes.iter().any(|(voter, _)| *voter == replica) {
            self.keeps_promise(replica, start.view.0, now, findings);
        }
    }

    fn keeps_promise(&self, replica: ReplicaId, view: u64, now: u64, findings: &mut Findings) {
        let until = self.promised_until[replica.index()];
        if now < until {
            let early = (until - now) / 1_000;
            let witness = format!(
                "{replica} votes for view {view} at least {early} µs before the end of what it has promised to a primary"
            );
            findings
                .add(Property::S24, "vote inside a promise", witness)
                .between([Fact::voted(replica, vr::View(view))]);
        }
    }

    // ---- Reads -----------------------------------------------------------------------------------

    /// A replica answers a read. `state` is the digest of the service that it looked at; `acknowledged` is the
    /// last op-number of which any client knows.
    pub(super) fn observed<S: Service>(
        &self,
        members: &Members,
        replica: ReplicaId,
        observation: &Observation<'_, S>,
        state: u64,
        (ghost, acknowledged): (&Ghost, OpNumber),
        findings: &mut Findings,
    ) {
        let version = observation.op_number;
        let property = if observation.basis == Basis::Causality { Property::S16 } else { Property::S14 };
        let is_its_state = match ghost.get(version) {
            Some(committed) => committed.state == state,
            None => version == OpNumber::ZERO,
        };
        if !is_its_state {
            let witness = format!("{replica} answers a read as of op {version}, and looked at another state");
            findings
                .add(property, "another state than it says", witness)
                .between([Fact::committed(version), Fact::executed(replica, version)]);
        }
        if let Freshness::Causal(after) = observation.read.freshness
            && version < after
        {
            let witness =
                format!("{replica} answers a read as of op {version}, of a client that has seen op {after}");
            findings
                .add(Property::S16, "older than what is asked for", witness)
                .between([Fact::answered(after), Fact::executed(replica, version)]);
        }
        if observation.basis == Basis::Lease {
            excludes(members, replica, version, (ghost, acknowledged), findings);
        }
    }

    /// A client process has its answer: it knows of everything up to `op_number`.
    #[inline]
    pub(super) fn knows(&mut self, client: ClientAddress, op_number: OpNumber) {
        let seen = self.seen.entry(client).or_default();
        *seen = op_number.max(*seen);
    }

    /// S16: who reads causally never sees less than it has seen before, whichever replica it asks.
    pub(super) fn goes_on(
        &self,
        slot: u16,
        client: ClientAddress,
        version: OpNumber,
        findings: &mut Findings,
    ) {
        let seen = self.seen.get(&client).copied().unwrap_or_default();
        if version < seen {
            let witness = format!("c{slot} has seen op {seen}, and is shown the state as of op {version}");
            findings
                .add(Property::S16, "back in time", witness)
                .between([Fact::answered(seen), Fact::answered(version)]);
        }
    }
}

/// S15: while a primary answers on a lease, nobody knows of anything that it does not, and nothing is committed
/// after it in a later view.
fn excludes(
    members: &Members,
    replica: ReplicaId,
    version: OpNumber,
    (ghost, acknowledged): (&Ghost, OpNumber),
    findings: &mut Findings,
) {
    if version < acknowledged {
        let witness = format!(
            "{replica} answers a read on its lease as of op {version}; a client was answered from op {acknowledged} before"
        );
        findings
            .add(Property::S15, "acknowledged operation not seen", witness)
            .between([Fact::answered(acknowledged), Fact::executed(replica, version)]);
    }
    let own = members[replica].view;
    // Views of commits do not decrease, so the last one tells of all.
    if let Some(committed) = ghost.get(ghost.last()).filter(|committed| committed.view > own) {
        let (op_number, view) = (committed.op_number, committed.view);
        if op_number > version {
            let witness = format!(
                "{replica} answers a read on its lease of view {own} as of op {version}; op {op_number} is committed in view {view}"
            );
            findings
                .add(Property::S15, "a later view has committed", witness)
                .between([Fact::started(view), Fact::committed(op_number)]);
        }
    }
}

/// How long a span of a clock lasts at least, in true time, if the clock is fast by up to `drift_ppm`.
fn least_true_time(span: u64, drift_ppm: u64) -> u64 {
    let least = u128::from(span) * 1_000_000 / u128::from(1_000_000 + drift_ppm);
    // Clocks are read in whole nanoseconds.
    (least as u64).saturating_sub(2)
}
