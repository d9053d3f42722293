//! Reads that need no place in the log (paper, section 6.3): by the primary, on a lease or once its view is
//! confirmed, and by any replica, if what the client has seen is enough.
//!
//! A primary may have been replaced without knowing. Two things tell it that it was not. With a *lease*, enough
//! backups have promised to vote for no other view until later than now: see [`lease`](crate::lease). With a
//! *confirmation*, enough backups were in its view after the read had come: a round of heartbeats, answered;
//! no clock is needed. Either way everything that was answered to anybody before the read came is executed here,
//! but for one thing: what a new primary has inherited may have been answered by the one before, so it must be
//! committed first.
//!
//! A *causal* read says what its client has seen or caused. Any replica that has executed as much may answer: a
//! client never sees its own past undone, whichever replica it asks, but it may see an earlier state than others
//! have seen.

use std::sync::Arc;

use super::{Phase, Replica};
use crate::lease::Leases;
use crate::message::{Commit, CommitOk, Freshness, Payload, Pulse, Read, ReplyBody};
use crate::outbox::{Basis, Ignored, Observation, Outbox, RarePath};
use crate::rules::Rules;
use crate::service::Service;
use crate::types::{Duration, Instant, OpNumber, ReplicaId, View};

/// What a primary remembers of reads, and of what lets it answer them.
#[derive(Clone, Debug)]
pub(crate) struct Reading<O> {
    /// The end of the log with which the view began.
    pub(super) inherited: OpNumber,
    /// The last round of heartbeats that asked for an answer.
    round: u64,
    /// The last round that each backup has answered.
    answered: Box<[u64]>,
    leases: Leases,
    /// Reads that cannot be answered yet, in the order in which they came.
    waiting: Vec<Waiting<O>>,
}

/// A read that waits at the primary.
#[derive(Clone, Debug)]
struct Waiting<O> {
    read: Arc<Read<O>>,
    /// The first round that was sent after it came.
    round: u64,
}

impl<O> Read<O> {
    fn is_same(&self, other: &Self) -> bool {
        (self.address, self.number) == (other.address, other.number)
    }
}

impl<S: Service, R: Rules> Replica<S, R> {
    pub(super) fn no_reads(&self) -> Reading<S::Operation> {
        Reading {
            inherited: self.log.last(),
            round: 0,
            answered: vec![0; self.group.rows()].into(),
            leases: Leases::none(self.group),
            waiting: Vec::new(),
        }
    }

    pub(super) fn handle_read(
        &mut self,
        now: Instant,
        read: Arc<Read<S::Operation>>,
        outbox: &mut impl Outbox<S>,
    ) {
        if self.is_outside() {
            return self.redirect(read.address, outbox);
        }
        if !self.is_normal() {
            return self.reply(read.address, ReplyBody::TryLater, outbox);
        }
        if self.is_witness() {
            return self.redirect(read.address, outbox);
        }
        if self.service.observe(&read.operation).is_none() {
            return self.reply(read.address, ReplyBody::NotARead { number: read.number }, outbox);
        }
        match read.freshness {
            Freshness::Linearizable => self.read_at_primary(now, read, outbox),
            Freshness::Causal(after) => self.read_causally(read, after, outbox),
        }
    }

    // ---- Linearizable reads: the primary's side --------------------------------------------------

    fn read_at_primary(&mut self, now: Instant, read: Arc<Read<S::Operation>>, outbox: &mut impl Outbox<S>) {
        let has_lease = self.has_lease(now);
        let waiting_max = self.options.sessions_max;
        let Phase::Primary(primary) = &mut self.phase else {
            return self.reply(read.address, ReplyBody::NotPrimary, outbox);
        };
        if primary.abdicated {
            return self.reply(read.address, ReplyBody::TryLater, outbox);
        }
        let reading = &mut primary.reading;
        if reading.waiting.iter().any(|waiting| waiting.read.is_same(&read)) {
            return outbox.ignored(Ignored::ReadWaiting);
        }
        if reading.waiting.len() >= waiting_max {
            outbox.took(RarePath::TooManyReads);
            return self.reply(read.address, ReplyBody::TryLater, outbox);
        }
        reading.waiting.push(Waiting { read, round: reading.round + 1 });
        if !self.commit_number.covers(reading.inherited) {
            outbox.took(RarePath::ReadWaitsForInherited);
        } else if self.options.lease > Duration(0) && !has_lease {
            outbox.took(RarePath::ReadWithoutLease);
        }
        self.answer_reads(now, outbox);
    }

    /// Whether enough backups keep a promise to this primary.
    fn has_lease(&self, now: Instant) -> bool {
        let Phase::Primary(primary) = &self.phase else { return false };
        primary.reading.leases.held(self.rules.lease_clock(now)) >= self.rules.read_quorum(self.group)
    }

    /// The last round that enough backups have answered.
    fn confirmed_round(&self) -> u64 {
        let Phase::Primary(primary) = &self.phase else { return 0 };
        let mut sorted = primary.reading.answered.clone();
        sorted.sort_unstable_by(|left, right| right.cmp(left));
        match self.rules.read_quorum(self.group).checked_sub(1) {
            Some(last) => sorted[last],
            None => u64::MAX,
        }
    }

    /// Answers the reads that can be answered now, and sees to it that the others will be.
    pub(super) fn answer_reads(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        let Phase::Primary(primary) = &self.phase else { return };
        let reading = &primary.reading;
        if reading.waiting.is_empty() {
            return;
        }
        let has_leases = self.options.lease > Duration(0);
        let is_committed = self.rules.reads_what_is_inherited(self.commit_number, reading.inherited)
            && (!self.is_epoch_ending() || self.rules.reads_at_epoch_end());
        let (has_lease, confirmed) = (self.has_lease(now), self.confirmed_round());
        let Phase::Primary(primary) = &mut self.phase else { return };
        let reading = &mut primary.reading;
        let may_answer = |waiting: &mut Waiting<_>| {
            is_committed && self.rules.answers_read(has_lease, waiting.round <= confirmed)
        };
        let answered: Vec<_> = reading.waiting.extract_if(.., may_answer).collect();
        let asks_again = !reading.waiting.is_empty() && reading.round <= confirmed && !primary.abdicated;
        for Waiting { read, round } in answered {
            let (basis, path) = if !has_leases || (round <= confirmed && !has_lease) {
                (Basis::Confirmation, RarePath::ReadByConfirmation)
            } else {
                (Basis::Lease, RarePath::ReadByLease)
            };
            outbox.took(path);
            self.answer_read(&read, basis, outbox);
        }
        if asks_again {
            self.send_heartbeat(now, outbox);
        }
    }

    fn answer_read(&self, read: &Arc<Read<S::Operation>>, basis: Basis, outbox: &mut impl Outbox<S>) {
        let response = self.service.observe(&read.operation).expect("an operation that only observes");
        let op_number = self.rules.version_read(self.commit_number, self.log.last());
        outbox.observed(Observation { read, op_number, basis, service: &self.service });
        self.reply(read.address, ReplyBody::Observed { number: read.number, op_number, response }, outbox);
    }

    /// Tells all that the primary is alive, and asks for their word if a lease or a read needs it.
    pub(super) fn send_heartbeat(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        let (interval, has_leases) = (self.options.heartbeat_interval, self.options.lease > Duration(0));
        let sent = self.rules.lease_clock(now);
        let covered = self.count_coverage(outbox);
        let Phase::Primary(primary) = &mut self.phase else { return };
        primary.heartbeat_sent(now, interval);
        let reading = &mut primary.reading;
        let pulse = (has_leases || !reading.waiting.is_empty()).then(|| {
            reading.round += 1;
            Pulse { round: reading.round, sent }
        });
        let commit_number = self.commit_number;
        self.broadcast(Payload::Commit(Commit { commit_number, pulse, covered }), outbox);
    }

    pub(super) fn on_commit_ok(
        &mut self,
        now: Instant,
        from: ReplicaId,
        view: View,
        ok: CommitOk,
        outbox: &mut impl Outbox<S>,
    ) {
        if !self.rules.counts_heartbeat_answer(view, self.view) {
            return outbox.ignored(Ignored::OlderView);
        }
        let begins = self.rules.lease_begins(ok.pulse.sent, self.rules.lease_clock(now));
        let until = begins + self.rules.lease_counted(ok.promise, self.options.clock_drift_ppm);
        let Phase::Primary(primary) = &mut self.phase else {
            return outbox.ignored(Ignored::NotPrimary);
        };
        let reading = &mut primary.reading;
        assert!(
            ok.pulse.round <= reading.round,
            "{from} answers round {} of {}",
            ok.pulse.round,
            reading.round
        );
        let answered = &mut reading.answered[from.index()];
        *answered = ok.pulse.round.max(*answered);
        if ok.promise > Duration(0) {
            reading.leases.grant(from, until);
        }
        self.answer_reads(now, outbox);
    }

    // ---- Linearizable reads: the backups' side ---------------------------------------------------

    /// The primary wants to know whether this backup is in its view: it is, and promises to help nobody to leave
    /// it for as long as a lease lasts.
    pub(super) fn answer_pulse(
        &mut self,
        now: Instant,
        primary: ReplicaId,
        pulse: Pulse,
        outbox: &mut impl Outbox<S>,
    ) {
        let promise = self.options.lease;
        self.promised_until = self.promised_until.max(now + promise);
        self.send(primary, Payload::CommitOk(CommitOk { pulse, promise }), outbox);
    }

    /// What this replica promised before it lost its memory it keeps.
    pub(super) fn keep_forgotten_promise(&mut self, now: Instant) {
        self.promised_until = self.rules.forgotten_promise_ends(now, self.options.lease);
    }

    // ---- Causal reads ----------------------------------------------------------------------------

    fn read_causally(&mut self, read: Arc<Read<S::Operation>>, after: OpNumber, outbox: &mut impl Outbox<S>) {
        if self.rules.answers_causal_read(self.commit_number, after) {
            outbox.took(RarePath::CausalRead);
            return self.answer_read(&read, Basis::Causality, outbox);
        }
        if self.waiting_reads.iter().any(|waiting| waiting.is_same(&read)) {
            return outbox.ignored(Ignored::ReadWaiting);
        }
        if self.waiting_reads.len() >= self.options.sessions_max {
            // Who has waited longest has asked another replica meanwhile.
            self.waiting_reads.remove(0);
            outbox.took(RarePath::TooManyReads);
        }
        outbox.took(RarePath::CausalReadWaited);
        self.waiting_reads.push(read);
    }

    /// Answers the causal reads for which enough is executed now.
    #[inline]
    pub(super) fn answer_waiting_reads(&mut self, outbox: &mut impl Outbox<S>) {
        if !self.waiting_reads.is_empty() {
            self.answer_ready_reads(outbox);
        }
    }

    #[cold]
    fn answer_ready_reads(&mut self, outbox: &mut impl Outbox<S>) {
        let is_ready = |read: &mut Arc<Read<_>>| match read.freshness {
            Freshness::Causal(after) => self.rules.answers_causal_read(self.commit_number, after),
            Freshness::Linearizable => unreachable!("it would wait at the primary"),
        };
        let ready: Vec<_> = self.waiting_reads.extract_if(.., is_ready).collect();
        for read in ready {
            self.answer_read(&read, Basis::Causality, outbox);
        }
    }
}
