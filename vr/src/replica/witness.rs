//! Witnesses (paper, section 6.1): members that hold the log, and no state.
//!
//! Of 2f + 1 members f can be witnesses. A witness acknowledges, votes, promises and answers recoveries like any
//! backup, with its log; but it never is primary, and it executes nothing, so it has neither service nor client
//! table, and takes and is sent no checkpoint. Its commit-number says what it knows to be committed.
//!
//! It cannot replace the beginning of its log by a checkpoint of its own, and that of one other replica does not do:
//! the active member that is left when others have failed may be the one that is furthest behind, and go on from the
//! witness's log. So a witness drops only what is [covered](Rules::covered): what a quorum of active members has
//! checkpoints of. Backups tell the primary how far theirs are; the primary tells all, with each Commit, up to where
//! everything is covered. It counts what it was told in its own view, by the present incarnation of each, so that
//! whoever has recovered since, or becomes primary of a later view, has executed as much.
//!
//! A witness that has missed what the others' logs do not hold any more begins its log where theirs do, if that is
//! covered. So that it is, active members, too, keep in their logs what is not covered, also when they go on from a
//! checkpoint. While an active member is down or far behind, the logs of all others grow, until it is back or replaced.
//! A group with witnesses goes on to another epoch once a quorum of active members, which are all of them where there
//! are as many witnesses as there can be, has executed what came before the present one: until then those who were
//! replaced at its start may still be needed. Or once all have who are to stay, for one that is down has to be replaced.
//!
//! Whether an epoch ends with a Reconfiguration in the log, execution decides (the administrator's session may be
//! gone). So a witness comes to an epoch only when it is told. It needs nothing to begin it.
//!
//! Left out is what the paper calls an optimisation: that witnesses are sent nothing while all active members work.

use std::sync::Arc;

use super::{Phase, Replica};
use crate::configuration::Configuration;
use crate::log::Log;
use crate::message::{NewState, Payload, PrepareOk, ReplyBody, Request, RequestBody};
use crate::outbox::{Outbox, RarePath};
use crate::rules::Rules;
use crate::service::Service;
use crate::types::{CommitNumber, Instant, OpNumber, ReplicaId, View};

/// How far back a witness looks for a client's request in its log.
const LOOKED_BACK: u64 = 1_024;

/// What a node remembers that is a witness.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Witness {
    /// What its service had executed when it became one.
    state_at: CommitNumber,
}

/// What a primary knows of checkpoints: the latest of each active member, as told in its view by the member's
/// present incarnation. Empty in a group without witnesses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coverage {
    checkpoints: Box<[OpNumber]>,
}

impl Coverage {
    fn tell(&mut self, from: ReplicaId, checkpoint: OpNumber) {
        if let Some(known) = self.checkpoints.get_mut(from.index()) {
            *known = checkpoint.max(*known);
        }
    }

    /// What this replica had is lost.
    pub(super) fn forget(&mut self, replica: ReplicaId) {
        if let Some(known) = self.checkpoints.get_mut(replica.index()) {
            *known = OpNumber::ZERO;
        }
    }
}

impl Witness {
    /// Of a node without any state.
    pub(super) const fn new() -> Self {
        Self { state_at: CommitNumber::ZERO }
    }
}

impl<S: Service, R: Rules> Replica<S, R> {
    /// Whether the replica holds the log and no state. One that has been replaced stays a witness until it stops.
    #[inline]
    #[must_use]
    pub fn is_witness(&self) -> bool {
        self.witness.is_some()
    }

    // ---- What is covered -------------------------------------------------------------------------

    pub(super) fn no_coverage(&self) -> Coverage {
        let rows = if self.group.has_witnesses() { self.group.rows() } else { 0 };
        Coverage { checkpoints: vec![OpNumber::ZERO; rows].into() }
    }

    /// The checkpoint that others are told of. The start of the epoch is as good as one: who takes part has executed
    /// all up to there.
    fn told_checkpoint(&self) -> OpNumber {
        if !self.group.has_witnesses() || self.is_witness() {
            return OpNumber::ZERO;
        }
        let latest = self.checkpoints.latest().map_or(OpNumber::ZERO, |latest| latest.op_number());
        latest.max(self.epoch_start().after)
    }

    /// Acknowledges everything up to `op_number`.
    #[inline]
    pub(super) fn acknowledge(&self, to: ReplicaId, op_number: OpNumber, outbox: &mut impl Outbox<S>) {
        let checkpoint = self.told_checkpoint();
        self.send(to, Payload::PrepareOk(PrepareOk { op_number, checkpoint }), outbox);
    }

    /// The primary is told of a checkpoint.
    #[inline]
    pub(super) fn hear_checkpoint(&mut self, from: ReplicaId, checkpoint: OpNumber) {
        if let Phase::Primary(primary) = &mut self.phase {
            primary.coverage.tell(from, checkpoint);
        }
    }

    /// Up to where all is covered, as far as this primary knows.
    pub(super) fn count_coverage(&mut self, outbox: &mut impl Outbox<S>) -> OpNumber {
        if !self.group.has_witnesses() {
            return OpNumber::ZERO;
        }
        self.hear_checkpoint(self.id, self.told_checkpoint());
        let Phase::Primary(primary) = &self.phase else { return self.covered };
        let told = &primary.coverage.checkpoints;
        let mut told: Vec<_> = self.group.active().map(|member| told[member.index()]).collect();
        told.sort_unstable_by(|left, right| right.cmp(left));
        // Its own must be among them: who recovers in this view does so from the primary.
        let covered = self.rules.covered(self.group, &told).min(self.told_checkpoint());
        self.covered = covered.max(self.covered);
        self.compact_as_covered(outbox);
        self.covered
    }

    fn compact_as_covered(&mut self, outbox: &mut impl Outbox<S>) {
        if let Some(latest) = self.checkpoints.latest().map(|latest| latest.op_number()) {
            self.compact_log(latest, outbox);
        }
    }

    /// The primary says up to where all is covered.
    pub(super) fn learn_coverage(
        &mut self,
        primary: ReplicaId,
        covered: OpNumber,
        outbox: &mut impl Outbox<S>,
    ) {
        if !self.group.has_witnesses() {
            return;
        }
        self.covered = covered.max(self.covered);
        if self.is_witness() {
            return self.compact_witness(outbox);
        }
        self.compact_as_covered(outbox);
        if self.told_checkpoint() > covered {
            // What it was told may have been lost, or was told before the checkpoint was taken.
            outbox.took(RarePath::CheckpointToldAgain);
            self.acknowledge(primary, self.log.last(), outbox);
        }
    }

    fn compact_witness(&mut self, outbox: &mut impl Outbox<S>) {
        let committed = self.commit_number.op_number();
        let through = self.covered.min(committed);
        if through > self.log.start() {
            outbox.took(RarePath::WitnessCompacted);
            self.log.compact(through);
            outbox.compacted(through);
        }
        let interval = self.options.checkpoint_interval;
        if interval > 0 && self.log.start().0 + 3 * interval < committed.0 {
            outbox.took(RarePath::WitnessKeepsForLaggard);
        }
    }

    // ---- Going on without what comes before ------------------------------------------------------

    /// Whether this replica can go on from `state`, which begins after what it keeps: with a checkpoint, or as a
    /// witness that needs nothing of what comes before.
    pub(super) fn bridges(&self, view: View, state: &NewState<S::Operation>) -> bool {
        if self.is_witness() {
            self.rules.may_begin_after(state.after, state.covered)
        } else {
            self.checkpoint_bridges(view, state.after, state.last())
        }
    }

    /// Puts what bridges the gap in the place of the whole log. Returns after what the log begins now.
    pub(super) fn install_bridge(
        &mut self,
        state: &NewState<S::Operation>,
        outbox: &mut impl Outbox<S>,
    ) -> OpNumber {
        if !self.is_witness() {
            let op_number = self.checkpoints.arrived();
            self.install_checkpoint(outbox);
            if self.group.has_witnesses() {
                // What comes before the checkpoint is kept for a witness that is behind.
                let before = state.entries.iter().take((op_number.0 - state.after.0) as usize);
                self.log = Log::after(state.after);
                before.for_each(|entry| _ = self.log.append(entry.clone()));
            }
            return op_number;
        }
        outbox.took(RarePath::WitnessBeganLater);
        self.begin_log_after(state.after.as_commit_number(), outbox);
        state.after
    }

    /// Tells that a checkpoint was of use, if it was one.
    pub(super) fn tell_bridge(&self, path: RarePath, outbox: &mut impl Outbox<S>) {
        if !self.is_witness() {
            outbox.took(path);
        }
    }

    // ---- Clients ---------------------------------------------------------------------------------

    /// A request that came to a witness: the primary is to take it, and if it takes nothing, to be replaced.
    pub(super) fn pass_on_as_witness(
        &mut self,
        now: Instant,
        request: Arc<Request<S::Operation>>,
        outbox: &mut impl Outbox<S>,
    ) {
        outbox.took(RarePath::WitnessPassedOn);
        if let Phase::Backup(_) = self.phase {
            self.pass_on_request(now, request, outbox);
        } else if self.is_outside() {
            self.redirect(request.address, outbox);
        } else {
            self.reply(request.address, ReplyBody::TryLater, outbox);
        }
    }

    /// Whether the request, or a later one of its session, is in the log, not too far back.
    pub(super) fn is_in_log(&self, request: &Request<S::Operation>) -> bool {
        let (start, last) = (self.log.start(), self.log.last());
        let after = OpNumber(last.0.saturating_sub(LOOKED_BACK)).max(start);
        self.log.entries_after(after).any(|(_, entry)| {
            let logged = &entry.request;
            match (request.body.of_session(), logged.body.of_session()) {
                (Some((client, number)), Some((logged, later))) => client == logged && number <= later,
                (None, None) => {
                    matches!(request.body, RequestBody::Register) && request.address == logged.address
                }
                _ => false,
            }
        })
    }

    // ---- Becoming one, and ceasing to be ---------------------------------------------------------

    /// Takes the side that the group of a new epoch gives this replica. One that is replaced stays what it is.
    pub(super) fn take_side(&mut self, outbox: &mut impl Outbox<S>) {
        let is_witness = self.group.is_witness(self.id);
        if self.is_recovering() {
            self.witness = is_witness.then(Witness::new);
        } else if is_witness && !self.is_witness() {
            self.be_witness(outbox);
        } else if !is_witness && self.group.contains(self.id) {
            self.be_witness_no_more(outbox);
        }
    }

    /// Whether the epoch is so far that those who were replaced at its start are not needed, whatever fails: what
    /// they had, a quorum of active members has executed.
    pub(super) fn is_start_covered(&self) -> bool {
        !self.group.has_witnesses() || self.covered >= self.epoch_start().after
    }

    /// Whether it is so for all who are to stay active in a group of these members: whoever has yet to execute what
    /// came before the epoch leaves the group, and may be dead. New members get it from those who stay.
    pub(super) fn is_start_covered_without(&self, next: Configuration) -> bool {
        let Phase::Primary(primary) = &self.phase else { return false };
        let (told, start) = (&primary.coverage.checkpoints, self.epoch_start().after);
        // A primary has executed it, or it would not be one.
        let has_start = |member: ReplicaId| member == self.id || told[member.index()] >= start;
        let mut staying = self.group.active().filter(|member| next.contains(*member)).peekable();
        staying.peek().is_some() && staying.all(has_start)
    }

    /// Keeps what it has of the state for later. Its log may begin after what is covered, so it is no witness's.
    fn be_witness(&mut self, outbox: &mut impl Outbox<S>) {
        self.witness = Some(Witness { state_at: self.commit_number });
        self.checkpoints.drop_all();
        self.waiting_reads.clear();
        if self.commit_number > CommitNumber::ZERO {
            outbox.took(RarePath::BecameWitness);
            self.begin_log_after(CommitNumber::ZERO, outbox);
        }
    }

    /// A witness needs nothing to begin an epoch: what comes before its start is kept by those who were members, until
    /// enough active ones have the state.
    pub(super) fn begin_epoch_as_witness(&mut self, outbox: &mut impl Outbox<S>) {
        outbox.took(RarePath::WitnessBeganEpoch);
        self.begin_log_after(self.epoch_start().after.as_commit_number(), outbox);
    }

    fn begin_log_after(&mut self, committed: CommitNumber, outbox: &mut impl Outbox<S>) {
        let after = committed.op_number();
        (self.commit_number, self.log) = (committed, Log::after(after));
        outbox.log_begins(after, self.is_witness());
        self.log_end_replaced();
    }

    /// Goes back to what it had of the state when it became a witness. Nobody needs its log any more: what it holds a
    /// quorum of a later group has.
    pub(super) fn be_witness_no_more(&mut self, outbox: &mut impl Outbox<S>) {
        let Some(Witness { state_at }) = self.witness.take() else { return };
        outbox.took(RarePath::WitnessNoMore);
        self.begin_log_after(state_at, outbox);
        self.keep_state();
    }
}
