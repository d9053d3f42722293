//! State transfer (paper, section 5.2): GetState, NewState.
//!
//! Within a view, a backup that lacks operations asks for those after its last one. A replica that hears
//! of a later view asks for that view's log after its own commit-number, and until the answer is here
//! changes nothing: the published rule, which truncates and moves first, loses committed operations.

use super::{Phase, Replica};
use crate::message::{GetState, NewState, Payload};
use crate::outbox::{Ignored, Outbox, RarePath};
use crate::rules::Rules;
use crate::service::Service;
use crate::types::{Instant, OpNumber, ReplicaId, View};

/// The state that a replica waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    /// The view whose log is wanted.
    pub(super) view: View,
    /// Up to where operations are known to exist.
    up_to: OpNumber,
    /// Whom to ask next.
    pub(super) peer: ReplicaId,
    /// When to ask.
    pub(super) ask_at: Instant,
    /// How often it was asked since an answer has brought something.
    pub(super) asked: u32,
}

impl Transfer {
    /// The log of `view` up to `up_to`, asked for at once, `peer` first.
    pub(super) const fn of(view: View, up_to: OpNumber, peer: ReplicaId, now: Instant) -> Self {
        Self { view, up_to, peer, ask_at: now, asked: 0 }
    }
}

impl<S: Service, R: Rules> Replica<S, R> {
    /// Operations up to `op_number` exist in this view and are not here. They may merely be late, so ask
    /// for them only if they stay away.
    pub(super) fn missing_up_to(&mut self, now: Instant, op_number: OpNumber) {
        match &mut self.transfer {
            Some(transfer) => transfer.up_to = transfer.up_to.max(op_number),
            None => {
                self.transfer = Some(Transfer {
                    view: self.view,
                    up_to: op_number,
                    peer: self.primary_of(self.view),
                    ask_at: now + self.options.resend_interval,
                    asked: 0,
                });
            }
        }
    }

    /// A view that this replica is not normal in has started: `from` is.
    pub(super) fn hear_of_later_view(
        &mut self,
        now: Instant,
        from: ReplicaId,
        view: View,
        outbox: &mut impl Outbox<S>,
    ) {
        if self.transfer.is_some_and(|transfer| transfer.view >= view && self.waits_for_later_view()) {
            // Of those who are asked at the start of an epoch many have nothing yet. This one has.
            if matches!(self.phase, Phase::Transitioning) && self.transfer.is_some_and(|it| it.asked > 1) {
                self.ask_on(now, from, outbox);
            }
            return;
        }
        self.apply_state_before_transfer(now, view, outbox);
        self.transfer = Some(Transfer::of(view, OpNumber::ZERO, from, now));
        self.transfer_timeouts(now, outbox);
    }

    /// Whether the state that is waited for is that of a view this replica is not normal in.
    pub(super) fn waits_for_later_view(&self) -> bool {
        self.transfer.is_some_and(|transfer| transfer.view > self.view || !self.is_normal())
    }

    fn apply_state_before_transfer(&mut self, now: Instant, heard: View, outbox: &mut impl Outbox<S>) {
        let held = self.held();
        let state = self.rules.state_before_transfer(held, heard);
        if state == held {
            return;
        }
        self.truncate_log(state.op_number, outbox);
        self.log_end_replaced();
        self.view = state.view;
        self.last_normal_view = state.last_normal_view;
        self.enter_normal(now);
    }

    pub(super) fn transfer_timeouts(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        if self.transfer.is_none_or(|transfer| now < transfer.ask_at) {
            return;
        }
        self.fit_checkpoint(outbox);
        let Some(mut transfer) = self.transfer else { return };
        let catches_up = self.waits_for_later_view();
        if !catches_up && transfer.up_to <= self.log.last() {
            self.transfer = None;
            self.checkpoints.stop_fetching();
            return;
        }
        if transfer.asked > 0 {
            outbox.took(RarePath::StateRequestedAgain);
        }
        let peer = self.whom_to_ask(transfer);
        // A witness has no checkpoint, but may have the log that makes one needless.
        let wanted = self.checkpoints.wanted().filter(|_| !self.group.is_witness(peer));
        let question = match wanted {
            Some(get) => Payload::GetCheckpoint(get),
            None => {
                let after = self.lacking_after(transfer.view, catches_up).max(self.checkpoints.arrived());
                let back_to_covered =
                    self.group.has_witnesses() && self.checkpoints.arrived() > OpNumber::ZERO;
                Payload::GetState(GetState { view: transfer.view, after, back_to_covered })
            }
        };
        self.checkpoints.note_asked(peer);
        self.send(peer, question, outbox);
        transfer.asked += 1;
        // What a vote left out only its sender has.
        if self.log_for_view(transfer.view).is_none() {
            transfer.peer = self.rules.state_source_after(self.sources(), self.id, peer);
        }
        let interval = self.jittered(self.options.resend_interval);
        transfer.ask_at = now + interval.doubled(transfer.asked.min(3));
        self.transfer = Some(transfer);
    }

    /// Whom to ask: whose turn it is, unless somebody is sending a checkpoint.
    fn whom_to_ask(&self, transfer: Transfer) -> ReplicaId {
        self.keeps_to(transfer).unwrap_or(transfer.peer)
    }

    /// Who sends the checkpoint that is needed, until that one has not answered for a while: others may hold another
    /// one, and not the log after this one. But what a vote left out only its sender has.
    pub(super) fn keeps_to(&self, transfer: Transfer) -> Option<ReplicaId> {
        let for_vote = self.checkpoints.wanted().is_none() && self.log_for_view(transfer.view).is_some();
        self.checkpoints.sender().filter(|_| !for_vote)
    }

    /// Before a question: a checkpoint that the log has overtaken is not needed any more; with one that came from
    /// a later view, it is that view's log or a later one's that is waited for.
    fn fit_checkpoint(&mut self, outbox: &mut impl Outbox<S>) {
        self.checkpoints.forget_overtaken(self.commit_number);
        let Some(transfer) = &mut self.transfer else { return };
        if let Some(view) = self.checkpoints.view()
            && !self.rules.checkpoint_precedes(view, transfer.view)
        {
            outbox.took(RarePath::CheckpointOfLaterView);
            transfer.view = view;
        }
    }

    /// After which op-number the log of `view` that is waited for is to begin.
    fn lacking_after(&self, view: View, catches_up: bool) -> OpNumber {
        if let Some(missing) = self.log_for_view(view) {
            missing
        } else if catches_up {
            self.kept_at_transfer()
        } else {
            self.log.last()
        }
    }

    /// Up to where the log is kept when that of a later view, or of the start of an epoch, takes its place.
    fn kept_at_transfer(&self) -> OpNumber {
        if matches!(self.phase, Phase::Transitioning) {
            self.rules.history_after(self.commit_number, self.log.last())
        } else {
            self.rules.transfer_after(self.commit_number, self.log.last())
        }
    }

    /// Asks `from`, whose answer has just come, for what is missing next.
    pub(super) fn ask_on(&mut self, now: Instant, from: ReplicaId, outbox: &mut impl Outbox<S>) {
        let Some(transfer) = &mut self.transfer else { return };
        (transfer.peer, transfer.ask_at, transfer.asked) = (from, now, 0);
        self.transfer_timeouts(now, outbox);
    }

    pub(super) fn on_get_state(&mut self, from: ReplicaId, get: GetState, outbox: &mut impl Outbox<S>) {
        let for_own_vote = self.has_voted_for(from, get.view);
        let history = if for_own_vote { None } else { self.history_up_to(get) };
        let is_history = history.is_some();
        let is_able = self.rules.answers_get_state(self.is_normal(), self.view, get.view, for_own_vote);
        if !is_able && !is_history {
            return outbox.ignored(if self.is_normal() { Ignored::OlderView } else { Ignored::NotNormal });
        }
        self.checkpoints.log_asked_for(from, get.after);
        let end = history.unwrap_or(self.log.last());
        let mut after = get.after;
        if get.back_to_covered {
            after = after.min(self.covered.max(self.log.start()));
        }
        if after < self.log.start() {
            if !self.group.is_witness(from) {
                return self.offer_checkpoint(from, outbox);
            }
            after = self.log.start();
            if after > end || !self.rules.may_begin_after(after, self.covered) {
                return outbox.ignored(Ignored::NotCovered);
            }
        }
        if self.log.last() <= after && !self.rules.answers_without_entries() {
            return;
        }
        let entries = self.log.entries_after(after).map(|(_, entry)| entry.clone());
        let entries = entries.take((end.0 - after.0.min(end.0)) as usize).collect();
        let (for_vote, covered) = (for_own_vote, self.covered);
        let commit_number = if is_history { end.as_commit_number() } else { self.commit_number };
        let state = NewState { after, entries, for_vote, is_history, commit_number, covered };
        self.send(from, Payload::NewState(Box::new(state)), outbox);
    }

    pub(super) fn on_new_state(
        &mut self,
        now: Instant,
        from: ReplicaId,
        view: View,
        state: &NewState<S::Operation>,
        outbox: &mut impl Outbox<S>,
    ) {
        self.covered = state.covered.max(self.covered);
        if state.for_vote {
            return self.complete_vote(now, from, view, state, outbox);
        }
        if state.is_history && !self.needs_history() {
            return outbox.ignored(Ignored::LateNewState);
        }
        if view == self.view && matches!(self.phase, Phase::Backup(_)) {
            return self.fill_gap(state, outbox);
        }
        if self.is_recovering() {
            return self.recover_from(now, view, state, outbox);
        }
        if self.is_outside() {
            return self.follow(view, state, outbox);
        }
        let later = self.transfer.filter(|_| self.waits_for_later_view());
        let wanted = later.map(|transfer| transfer.view);
        let is_wanted = self.rules.accepts_new_state(view, self.view, wanted, self.is_normal());
        if !is_wanted && !state.is_history {
            return outbox.ignored(Ignored::LateNewState);
        }
        // An answer to what was asked about this replica's own view would leave its unconfirmed end alone.
        let from_checkpoint = state.after > self.kept_at_transfer();
        if from_checkpoint && !self.bridges(view, state) {
            return outbox.ignored(Ignored::NewStateWithGap);
        }
        if self.lacks_epoch_start(state) {
            return outbox.ignored(Ignored::ShortNewState);
        }
        self.tell_of_transition(state, outbox);
        if from_checkpoint {
            self.tell_bridge(RarePath::CheckpointIntoLaterView, outbox);
        }
        outbox.took(RarePath::CaughtUpWithLaterView);
        if state.is_history && view > self.view {
            return self.join_from_transition(now, view, state, from_checkpoint, outbox);
        }
        let view = if state.is_history { self.view } else { view };
        self.become_normal_with(now, view, state, from_checkpoint, outbox);
    }

    /// Appends what is missing in this view. Every normal replica's log of the view is a part of the
    /// primary's, so it does not matter who answered.
    fn fill_gap(&mut self, state: &NewState<S::Operation>, outbox: &mut impl Outbox<S>) {
        if state.after > self.log.last() {
            if !self.bridges(self.view, state) {
                return outbox.ignored(Ignored::NewStateWithGap);
            }
            self.tell_bridge(RarePath::CheckpointInView, outbox);
            self.install_bridge(state, outbox);
            self.log_end_replaced();
        }
        let known = (self.log.last().0 - state.after.0) as usize;
        for entry in state.entries.iter().skip(known) {
            outbox.took(RarePath::GapFetched);
            self.append(entry.clone(), outbox);
            self.primary_took_something();
        }
        self.append_kept(outbox);
        self.forget_filled_gap();
        let last = self.log.last();
        let primary = self.primary_of(self.view);
        self.acknowledge(primary, last, outbox);
        self.advance_commit(self.rules.learned_commit(state.commit_number, last), outbox);
    }

    /// Nothing is waited for any more if the log reaches as far as is known in this view.
    pub(super) fn forget_filled_gap(&mut self) {
        if let Some(transfer) = &self.transfer
            && transfer.view == self.view
            && transfer.up_to <= self.log.last()
        {
            self.transfer = None;
            self.checkpoints.stop_fetching();
        }
    }

    /// Replaces everything above the commit-number by the log of `view`, from the checkpoint that has arrived on if
    /// there is a gap in between, and becomes normal there.
    pub(super) fn become_normal_with(
        &mut self,
        now: Instant,
        view: View,
        state: &NewState<S::Operation>,
        from_checkpoint: bool,
        outbox: &mut impl Outbox<S>,
    ) {
        self.replace_log(state, from_checkpoint, outbox);
        self.view_has_worked &= view == self.view;
        self.view = view;
        self.last_normal_view = view;
        self.enter_normal(now);
        let learned = self.rules.learned_commit(state.commit_number, self.log.last());
        self.advance_commit(learned, outbox);
        let primary = self.primary_of(view);
        let op_number = self.log.last();
        self.stands_by(outbox);
        if primary != self.id && self.is_normal() {
            self.acknowledge(primary, op_number, outbox);
        }
    }

    /// Takes the log of `state` over: from the checkpoint that has arrived on if there is a gap in between.
    pub(super) fn replace_log(
        &mut self,
        state: &NewState<S::Operation>,
        from_checkpoint: bool,
        outbox: &mut impl Outbox<S>,
    ) {
        if from_checkpoint {
            self.replace_by_checkpoint(state, outbox);
        } else {
            self.replace_log_after(state, outbox);
        }
    }

    /// Makes the log the entries of `state` that come after the checkpoint, if it takes one.
    fn replace_by_checkpoint(&mut self, state: &NewState<S::Operation>, outbox: &mut impl Outbox<S>) {
        let op_number = self.install_bridge(state, outbox);
        for entry in state.entries.iter().skip(self.rules.entries_in_checkpoint(state.after, op_number)) {
            self.append(entry.clone(), outbox);
        }
        self.log_end_replaced();
    }

    /// Makes the log `log[..=after]` followed by the entries of `state`, touching only what differs.
    fn replace_log_after(&mut self, state: &NewState<S::Operation>, outbox: &mut impl Outbox<S>) {
        // An answer to an earlier question may begin where a checkpoint has taken the place of the log since.
        let mut common = state.after.max(self.log.start());
        let compacted = (common.0 - state.after.0) as usize;
        let mut entries = state.entries.get(compacted..).unwrap_or_default().iter();
        while let (Some(held), Some(sent)) = (self.log.get(common.next()), entries.as_slice().first()) {
            if held.view != sent.view {
                break;
            }
            common = common.next();
            entries.next();
        }
        let committed = self.commit_number.op_number();
        self.truncate_log(common, outbox);
        assert!(common >= committed, "state that parts at {common} from committed operation {committed}");
        for entry in entries {
            self.append(entry.clone(), outbox);
        }
        self.log_end_replaced();
    }
}
