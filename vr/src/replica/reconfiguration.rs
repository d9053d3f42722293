//! Reconfiguration (paper, section 7): Reconfiguration, StartEpoch, EpochStarted, CheckEpoch, NewEpoch.
//!
//! An epoch ends with the operation that asks for another group. It is prepared and committed like any other, and
//! nothing comes after it. Whoever executes it is in the next epoch, in view 0; whoever hears of that epoch in
//! another way is too, but takes no part before it has the log up to the epoch's start. Those who are replaced keep
//! the state until enough members of the new group say that they have it, and then stop.
//!
//! Every message tells its sender's epoch. Who speaks of an earlier one is told of the present one, members and all;
//! who hears of a later one asks. So it is enough to reach anybody who knows.
//!
//! A replica that has crashed must not join an epoch that it may have been in before: what it acknowledged there is
//! forgotten. It recovers into an epoch only from a log that does not end it. If it had been in the next one, that
//! epoch's first operation would have been committed, and the log of which the answers tell would end with it.

use super::state_transfer::Transfer;
use super::view_change::Proposals;
use super::{Phase, Replica};
use crate::epoch::{EpochStart, Reconfiguration, Refusal};
use crate::log::{Entry, Log};
use crate::message::{
    EpochStarted, GetState, MessageKind, NewState, Payload, ReplyBody, Request, RequestBody,
};
use crate::outbox::{Execution, Ignored, Outbox, Outcome, RarePath};
use crate::rules::{Asked, Rules};
use crate::service::Service;
use crate::types::{ClientAddress, Epoch, Incarnation, Instant, OpNumber, ReplicaId, View};

/// What a replaced replica remembers until it may stop.
#[derive(Clone, Debug)]
pub(crate) struct Leaving {
    /// Which members have the state, by their numbers.
    started: Box<[bool]>,
    resend_at: Instant,
    resent: u32,
}

impl Leaving {
    pub(super) const fn next_deadline(&self) -> Instant {
        self.resend_at
    }
}

impl<S: Service, R: Rules> Replica<S, R> {
    // ---- What is known of epochs -----------------------------------------------------------------

    /// How the replica's epoch started.
    #[must_use]
    pub fn epoch_start(&self) -> EpochStart {
        self.epoch_start
    }

    /// The epoch that the replica is in.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.view.epoch()
    }

    /// Whether the log, as far as it is executed, reaches to the start of the epoch.
    #[must_use]
    pub fn has_epoch_start(&self) -> bool {
        self.commit_number.covers(self.epoch_start.after)
    }

    /// Whether the log ends with a Reconfiguration that is not known to be committed: nothing may come after it.
    #[must_use]
    pub fn is_epoch_ending(&self) -> bool {
        !self.commit_number.covers(self.log.last()) && self.ends_epoch(&self.log)
    }

    /// Whether `log` ends with the Reconfiguration of this replica's epoch.
    pub(super) fn ends_epoch(&self, log: &Log<S::Operation>) -> bool {
        let last = log.last_entry().map(|entry| &entry.request.body);
        matches!(last, Some(RequestBody::Reconfiguration(asked)) if asked.epoch == self.epoch())
    }

    fn is_member(&self) -> bool {
        self.group.contains(self.id)
    }

    /// The members of this epoch and of the one before: who may have its first state.
    pub(super) fn sources(&self) -> crate::configuration::Configuration {
        match self.phase {
            Phase::Transitioning | Phase::Leaving(_) => self.group.union(self.epoch_start.previous),
            _ => self.group,
        }
    }

    /// Up to where this replica, which is not normal, can send what members of the epoch start from: it has been
    /// replaced, or is changing views. Others may have none but it to ask, and the view change none but them to vote.
    pub(super) fn history_up_to(&self, get: GetState) -> Option<OpNumber> {
        let end = match self.phase {
            // One that was replaced and has recovered outside of the group may be the last one that has it.
            Phase::Leaving(_) | Phase::Standby | Phase::Stopped if self.epoch() > Epoch::ZERO => {
                self.epoch_start.after
            }
            Phase::ViewChange(_) if self.epoch() > Epoch::ZERO => self.commit_number.op_number(),
            _ => return None,
        };
        // Whichever view of the epoch was asked for: who has heard of one that is over now is helped by its start.
        (self.has_epoch_start() && get.after <= end).then_some(end)
    }

    /// Whether what the views of the epoch start from is of use here.
    pub(super) fn needs_history(&self) -> bool {
        matches!(self.phase, Phase::Transitioning) || self.is_outside()
    }

    // ---- Requests of administrators --------------------------------------------------------------

    /// Answers a reconfiguration that is refused; true if it is.
    #[inline]
    pub(super) fn refuse(&self, request: &Request<S::Operation>, outbox: &mut impl Outbox<S>) -> bool {
        let RequestBody::Reconfiguration(wanted) = &request.body else { return false };
        self.refuse_reconfiguration(request.address, wanted, outbox)
    }

    #[cold]
    fn refuse_reconfiguration(
        &self,
        address: ClientAddress,
        wanted: &Reconfiguration,
        outbox: &mut impl Outbox<S>,
    ) -> bool {
        let &Reconfiguration { client, number, epoch, previous, members } = wanted;
        let reason = self.rules.refusal(Asked {
            is_of_this_epoch: epoch == self.epoch() && previous == self.group,
            size: members.size(),
            is_same: members == self.group,
            changes_sides: members.changes_sides(self.group),
            is_last_epoch: self.epoch() == Epoch::LAST,
            is_ending: self.is_epoch_ending(),
            has_started: self.epoch() == Epoch::ZERO
                || self.commit_number.op_number() > self.epoch_start.after
                    && (self.is_start_covered() || self.is_start_covered_without(members)),
        });
        if let Some(reason) = reason {
            outbox.refused(reason);
            if reason == Refusal::OtherEpoch {
                self.redirect(address, outbox);
            }
            self.reply(address, ReplyBody::Refused { client, number, reason }, outbox);
        }
        reason.is_some()
    }

    /// Whether a request has to wait: the epoch is about to end, or the one that it asks about has not come.
    #[inline]
    pub(super) fn waits_for_epoch(&self, request: &Request<S::Operation>) -> bool {
        let speaks_of = match &request.body {
            RequestBody::CheckEpoch { .. } if !self.is_start_covered() => return true,
            RequestBody::CheckEpoch { epoch, .. } => *epoch,
            RequestBody::Reconfiguration(asked) => asked.epoch,
            RequestBody::Register | RequestBody::Operation { .. } => Epoch::ZERO,
        };
        speaks_of > self.epoch() || self.is_epoch_ending() && self.waits_for_epoch_end(request)
    }

    /// Whether a request has to wait, as the log ends with a Reconfiguration that is not known to be committed.
    #[cold]
    fn waits_for_epoch_end(&self, request: &Request<S::Operation>) -> bool {
        let is_own = self.log.last_entry().is_some_and(|entry| entry.view == self.view);
        let is_second = matches!(request.body, RequestBody::Reconfiguration(_));
        !is_second && !self.rules.takes_requests_at_epoch_end(is_own)
    }

    /// Tells a client whom to ask.
    pub(super) fn redirect(&self, to: ClientAddress, outbox: &mut impl Outbox<S>) {
        if self.epoch() == Epoch::ZERO {
            return self.reply(to, ReplyBody::NotPrimary, outbox);
        }
        outbox.took(RarePath::ClientToldOfEpoch);
        self.reply(to, ReplyBody::NewEpoch(Box::new(self.epoch_start())), outbox);
    }

    // ---- Execution -------------------------------------------------------------------------------

    /// Executes an administrator's request at `op_number`: it is no concern of the service.
    #[cold]
    pub(super) fn execute_for_administrator(
        &mut self,
        op_number: OpNumber,
        entry: &Entry<S::Operation>,
        outbox: &mut impl Outbox<S>,
    ) -> Option<(ClientAddress, ReplyBody<S::Response>)> {
        let request = &entry.request;
        let (client, number) = request.body.of_session().expect("an administrator has a session");
        self.client_table.executed(client, number);
        let service = &self.service;
        let Some(session) = self.client_table.session_mut(client) else {
            outbox.took(RarePath::EvictedInLog);
            outbox.executed(Execution { op_number, entry, outcome: Outcome::Evicted, service });
            return Some((request.address, ReplyBody::Evicted { client }));
        };
        if !self.rules.executes(number, session.executed) {
            outbox.executed(Execution { op_number, entry, outcome: Outcome::Duplicate, service });
            return None;
        }
        let reached = self.executed_epoch.map_or(Epoch::ZERO, |start| start.epoch);
        let outcome = match &request.body {
            RequestBody::Reconfiguration(asked) if asked.epoch == reached => {
                let mut start = asked.start(op_number, entry.view);
                start.epoch = self.rules.epoch_after(asked.epoch, self.view.epoch());
                self.executed_epoch = Some(start);
                if matches!(self.phase, Phase::Primary(_)) && entry.view != self.view {
                    outbox.took(RarePath::EpochEndedByLaterView);
                }
                Outcome::Reconfigured(start)
            }
            _ => Outcome::EpochChecked(reached),
        };
        let epoch = self.executed_epoch.map_or(Epoch::ZERO, |start| start.epoch);
        session.record(number, op_number, None);
        session.epoch = Some(epoch);
        let address = session.address;
        outbox.executed(Execution { op_number, entry, outcome, service });
        Some((address, ReplyBody::Epoch { client, number, op_number, epoch }))
    }

    // ---- Coming to an epoch ----------------------------------------------------------------------

    /// Whether nothing can follow for epochs from an input that has been handled.
    #[inline]
    pub(super) fn is_epoch_settled(&self) -> bool {
        let epoch = self.epoch();
        self.announced == epoch
            && self.executed_epoch.as_ref().is_none_or(|start| start.epoch <= epoch)
            && !self.rules.epoch_ends_when_prepared()
    }

    /// What follows from an input once it has been handled: the next epoch begins if the last operation of this one
    /// was executed, and those who are replaced are told once this replica has what they keep.
    #[cold]
    pub(super) fn settle_epoch(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        if let Some(start) = self.executed_epoch.filter(|start| start.epoch > self.epoch()) {
            self.enter_epoch(now, start, None, outbox);
        } else if self.rules.epoch_ends_when_prepared() {
            self.enter_prepared_epoch(now, outbox);
        }
        if self.announced < self.epoch() && self.is_normal() {
            self.announced = self.epoch();
            for to in self.epoch_start.previous.without(self.group) {
                self.send(to, Payload::EpochStarted(EpochStarted { epoch: self.epoch() }), outbox);
            }
        }
    }

    /// Only for a wrong rule.
    fn enter_prepared_epoch(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        let Some(entry) = self.log.last_entry() else { return };
        if let RequestBody::Reconfiguration(asked) = &entry.request.body
            && asked.epoch == self.epoch()
        {
            let start = asked.start(self.log.last(), entry.view);
            self.enter_epoch(now, start, None, outbox);
        }
    }

    /// Leaves the present epoch for a later one, of which `from` has told if it does not follow from the log.
    fn enter_epoch(
        &mut self,
        now: Instant,
        start: EpochStart,
        from: Option<ReplicaId>,
        outbox: &mut impl Outbox<S>,
    ) {
        assert!(start.epoch > self.epoch(), "epochs do not go back");
        if start.epoch > self.epoch().next() {
            outbox.took(RarePath::EpochSkipped);
        }
        outbox.epoch_begins(&start);
        let was_primary = matches!(self.phase, Phase::Primary(_));
        self.view = self.rules.first_view(start.epoch, self.view);
        self.epoch_start = start;
        self.group = start.members;
        self.view_has_worked = true;
        self.transfer = None;
        self.checkpoints.stop_fetching();
        self.resize_tables();
        self.take_side(outbox);
        if self.is_recovering() {
            outbox.took(RarePath::RecoveryOverEpoch);
            return self.recover_in_epoch(now, outbox);
        }
        self.trust_own_log(outbox);
        self.take_part_in_epoch(now, from, outbox);
        if was_primary {
            for to in start.members.union(start.previous).others(self.id) {
                self.send(to, Payload::StartEpoch(Box::new(self.epoch_start())), outbox);
            }
        }
    }

    /// Takes part in the epoch, told of it by nobody in the group.
    pub(super) fn hear_of_epoch(&mut self, now: Instant, start: EpochStart, outbox: &mut impl Outbox<S>) {
        if start.epoch > self.epoch() {
            outbox.took(RarePath::EpochLearned);
            self.enter_epoch(now, start, None, outbox);
        }
    }

    /// Waits for the log up to the start of the epoch.
    pub(super) fn enter_without_log(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        self.phase = Phase::Transitioning;
        self.fetch_history(now, None, outbox);
    }

    fn resize_tables(&mut self) {
        let rows = self.group.rows();
        self.acknowledged = vec![OpNumber::ZERO; rows].into();
        self.proposals = Proposals::none(self.group);
        self.make_room_for(ReplicaId(rows as u8 - 1));
    }

    /// Gives the crash vector a row for `node`.
    #[inline]
    pub(super) fn make_room_for(&mut self, node: ReplicaId) {
        if self.incarnations.len() <= node.index() {
            self.lengthen_crash_vector(node.index() + 1);
        }
    }

    #[cold]
    fn lengthen_crash_vector(&mut self, rows: usize) {
        let mut longer = std::mem::take(&mut self.incarnations).into_vec();
        longer.resize(rows, Incarnation::ZERO);
        self.incarnations = longer.into();
    }

    /// Finds out whether the own log goes up to the start of the epoch, though nobody had said that it is committed.
    fn trust_own_log(&mut self, outbox: &mut impl Outbox<S>) {
        let EpochStart { after, created, .. } = self.epoch_start;
        if self.has_epoch_start() {
            return;
        }
        let held = self.log.get(after).map(|entry| entry.view);
        if self.rules.holds_epoch_start(held, created) {
            outbox.took(RarePath::OwnLogTrusted);
            self.advance_commit(after.as_commit_number(), outbox);
        }
    }

    fn take_part_in_epoch(&mut self, now: Instant, from: Option<ReplicaId>, outbox: &mut impl Outbox<S>) {
        let after = self.epoch_start.after;
        if self.is_member() && self.is_witness() && !self.has_epoch_start() {
            self.begin_epoch_as_witness(outbox);
        }
        let has_log =
            self.has_epoch_start() || self.rules.epoch_ends_when_prepared() && self.log.last() >= after;
        if self.is_member() {
            if matches!(self.phase, Phase::Leaving(_) | Phase::Stopped) {
                outbox.took(RarePath::MemberAgain);
            }
            if has_log {
                self.truncate_log(after.max(self.commit_number.op_number()), outbox);
                self.log_end_replaced();
                self.last_normal_view = self.view;
                return self.enter_normal(now);
            }
            self.phase = Phase::Transitioning;
            return self.fetch_history(now, from, outbox);
        }
        match self.phase {
            Phase::Standby | Phase::Stopped => {}
            _ => {
                let resend_at = now + self.jittered(self.options.resend_interval);
                let started = vec![false; self.group.rows()].into();
                self.phase = Phase::Leaving(Leaving { started, resend_at, resent: 0 });
                // Others have what a witness lacks, and can do more with it.
                if !has_log && !self.is_witness() {
                    self.fetch_history(now, from, outbox);
                }
            }
        }
    }

    /// Asks for the log up to the start of the epoch: those who are replaced, and those who have it already.
    fn fetch_history(&mut self, now: Instant, from: Option<ReplicaId>, outbox: &mut impl Outbox<S>) {
        let first = from.unwrap_or_else(|| self.sources().member_after(self.id));
        self.transfer = Some(Transfer::of(self.view, OpNumber::ZERO, first, now));
        self.transfer_timeouts(now, outbox);
    }

    /// Whether the log in `state` is too short for the epoch, or ends nobody's transition.
    pub(super) fn lacks_epoch_start(&self, state: &NewState<S::Operation>) -> bool {
        matches!(self.phase, Phase::Transitioning) && state.last() < self.epoch_start.after
    }

    /// Tells of what a transition did, before the log in `state` takes the place of the own one.
    pub(super) fn tell_of_transition(&self, state: &NewState<S::Operation>, outbox: &mut impl Outbox<S>) {
        if !matches!(self.phase, Phase::Transitioning) {
            return;
        }
        outbox.took(RarePath::EpochFetched);
        if self.checkpoints.arrived() > OpNumber::ZERO {
            outbox.took(RarePath::CheckpointIntoEpoch);
        }
        let own = self.log.get(state.after.next()).map(|entry| entry.view);
        let sent = state.entries.first().map(|entry| entry.view);
        if own.is_some() && own != sent {
            outbox.took(RarePath::UntrustedEndOverwritten);
        }
    }

    /// Takes what is committed from a replica that changes views, and changes views with it: the epoch's first view is
    /// over, and of a later one nothing is known but what is committed. That is enough to vote. The last view that this
    /// replica was normal in is one of an earlier epoch, so its vote never counts for more than that of anybody who has
    /// acknowledged something in this one; and something that is committed in this one, somebody in every quorum has.
    pub(super) fn join_from_transition(
        &mut self,
        now: Instant,
        view: View,
        state: &NewState<S::Operation>,
        from_checkpoint: bool,
        outbox: &mut impl Outbox<S>,
    ) {
        assert_eq!(state.last(), state.commit_number.op_number(), "only what is committed");
        outbox.took(RarePath::TransitionIntoViewChange);
        self.replace_log(state, from_checkpoint, outbox);
        self.advance_commit(state.commit_number, outbox);
        self.enter_view_change(now, view, outbox);
    }

    // ---- Who is no member ------------------------------------------------------------------------

    /// Fetches the state ahead of time, so that a reconfiguration does not have to wait for it: as far as it is
    /// committed now. Does nothing but at a node that is no member.
    pub fn warm_up(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        if matches!(self.phase, Phase::Standby | Phase::Stopped) && self.transfer.is_none() {
            let first = self.group.member_after(self.id);
            self.transfer = Some(Transfer::of(self.view, OpNumber::ZERO, first, now));
            self.transfer_timeouts(now, outbox);
        }
    }

    /// Whether the replica is outside of the group, and takes of the state only what is committed.
    pub(super) fn is_outside(&self) -> bool {
        matches!(self.phase, Phase::Standby | Phase::Stopped | Phase::Leaving(_))
    }

    /// Takes what is committed over.
    pub(super) fn follow(&mut self, view: View, state: &NewState<S::Operation>, outbox: &mut impl Outbox<S>) {
        if self.transfer.is_none_or(|transfer| view < transfer.view) {
            return outbox.ignored(Ignored::LateNewState);
        }
        // Whoever answers may be in a view that is over, and hold what never was committed.
        let state = &state.committed();
        if !state.last().as_commit_number().covers(self.commit_number.op_number()) {
            // An answer to an earlier question.
            return outbox.ignored(Ignored::ShortNewState);
        }
        let from_checkpoint = state.after > self.commit_number.op_number();
        if from_checkpoint && !self.bridges(view, state) {
            return outbox.ignored(Ignored::NewStateWithGap);
        }
        self.replace_log(state, from_checkpoint, outbox);
        self.advance_commit(self.rules.learned_commit(state.commit_number, self.log.last()), outbox);
        let is_leaving = matches!(self.phase, Phase::Leaving(_));
        if !is_leaving || self.has_epoch_start() {
            outbox.took(if is_leaving { RarePath::LeavingCaughtUp } else { RarePath::WarmedUp });
            self.transfer = None;
            self.checkpoints.stop_fetching();
        }
    }

    /// A recovery has come to its end at a node that is no member: it takes no part, but knows that it is none.
    pub(super) fn stands_by(&mut self, outbox: &mut impl Outbox<S>) {
        if self.is_member() || !self.is_normal() {
            return;
        }
        outbox.took(RarePath::OutsiderRecovered);
        self.truncate_log(self.commit_number.op_number(), outbox);
        self.log_end_replaced();
        self.phase = Phase::Standby;
    }

    pub(super) fn leaving_timeouts(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        let interval = self.jittered(self.options.resend_interval);
        let start = self.epoch_start();
        let Phase::Leaving(leaving) = &mut self.phase else { return };
        if now < leaving.resend_at {
            return;
        }
        leaving.resent += 1;
        leaving.resend_at = now + interval.doubled(leaving.resent.min(3));
        let is_again = leaving.resent > 1;
        if is_again {
            outbox.took(RarePath::StartEpochSentAgain);
        }
        // Who has said so may have gone on to another epoch since, for whoever has not is gone.
        let is_asked = |member: &ReplicaId| is_again || !leaving.started[member.index()];
        let asked: Vec<_> = start.members.members().filter(is_asked).collect();
        for to in asked {
            self.send(to, Payload::StartEpoch(Box::new(start)), outbox);
        }
    }

    // ---- Messages --------------------------------------------------------------------------------

    /// A message of another epoch, or one that is about epochs.
    #[cold]
    pub(super) fn on_epoch_message(
        &mut self,
        now: Instant,
        from: ReplicaId,
        view: View,
        payload: Payload<S>,
        outbox: &mut impl Outbox<S>,
    ) {
        if view.epoch() < self.epoch() {
            return self.tell_epoch(from, outbox);
        }
        let is_later = view.epoch() > self.epoch();
        match payload {
            Payload::StartEpoch(start) | Payload::NewEpoch(start) if is_later => {
                outbox.took(RarePath::EpochLearned);
                self.enter_epoch(now, *start, Some(from), outbox);
            }
            _ if is_later => {
                outbox.ignored(Ignored::LaterEpoch);
                self.send(from, Payload::GetEpoch, outbox);
            }
            Payload::StartEpoch(_) => self.on_start_epoch(from, outbox),
            Payload::EpochStarted(_) => self.on_epoch_started(from, outbox),
            _ => outbox.ignored(Ignored::AlreadyInThatEpoch),
        }
    }

    fn tell_epoch(&self, to: ReplicaId, outbox: &mut impl Outbox<S>) {
        outbox.ignored(Ignored::OlderEpoch);
        if self.is_recovering() || !self.rules.tells_epoch() {
            return;
        }
        if matches!(self.phase, Phase::Stopped) {
            outbox.took(RarePath::StoppedTellsEpoch);
        }
        self.send(to, Payload::NewEpoch(Box::new(self.epoch_start())), outbox);
    }

    fn on_start_epoch(&self, from: ReplicaId, outbox: &mut impl Outbox<S>) {
        if !self.is_member() {
            return outbox.ignored(Ignored::NotAMember);
        }
        if self.is_recovering() {
            return outbox.ignored(Ignored::Recovering);
        }
        // In a view change, too, the log goes up to the start.
        let has_log = !matches!(self.phase, Phase::Transitioning);
        if !self.rules.announces_epoch(has_log) {
            return outbox.ignored(Ignored::Transitioning);
        }
        self.send(from, Payload::EpochStarted(EpochStarted { epoch: self.epoch() }), outbox);
    }

    fn on_epoch_started(&mut self, from: ReplicaId, outbox: &mut impl Outbox<S>) {
        if !self.group.contains(from) {
            return outbox.ignored(Ignored::NotFromAMember);
        }
        let needed = self.rules.epoch_quorum(self.group, self.epoch_start.previous);
        let Phase::Leaving(leaving) = &mut self.phase else { return outbox.ignored(Ignored::NotReplaced) };
        let uncounted = || self.group.members().find(|member| !leaving.started[member.index()]);
        let counted = self.rules.counts_for(MessageKind::EpochStarted, from, false, &uncounted);
        leaving.started[counted.index()] = true;
        // Witnesses have no state to give.
        if self.group.active().filter(|member| leaving.started[member.index()]).count() >= needed {
            self.phase = Phase::Stopped;
            self.transfer = None;
            self.checkpoints.stop_fetching();
            self.be_witness_no_more(outbox);
        }
    }
}
