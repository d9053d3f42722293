//! Recovery of a replica that has lost its memory (paper, section 4.3), made safe by crash vectors
//! (Michael, Ports, Sharma and Szekeres, DISC 2017).
//!
//! The published protocol lets a replica recover into a view older than one it had voted for, while its
//! vote is still on its way; the vote then counts for a promise that nobody remembers. Here every replica
//! remembers the latest incarnation it knows of each other one *before* it answers a Recovery, and passes
//! that on with its own vote, so a vote of an earlier incarnation is recognised when votes are counted. The
//! answers that a recovery counts are held to the same: one whose sender has crashed since counts no more,
//! for its sender has forgotten the incarnation that it was to remember.

use super::state_transfer::Transfer;
use super::{Phase, Replica};
use crate::message::{NewState, Nonce, Payload, Recovery, RecoveryResponse, StartView};
use crate::outbox::{Ignored, Outbox, RarePath};
use crate::rules::{RecoveryAnswer, Rules};
use crate::service::Service;
use crate::types::{Incarnation, Instant, OpNumber, ReplicaId, View};

/// How often an attempt's patience is doubled at most. Whoever takes longer to answer than that brings nobody back.
const DOUBLINGS_MAX: u32 = 5;

/// What a replica remembers while it recovers.
#[derive(Clone, Debug)]
pub(crate) struct Recovering<O> {
    attempt: u64,
    answers: Vec<RecoveryAnswer>,
    /// The state that came with each answer that brought one.
    states: Vec<(ReplicaId, StartView<O>)>,
    resend_at: Instant,
    /// How often this attempt has asked.
    asked: u32,
}

/// How many attempts at a recovery, each of them as patient as any, must have failed in a view until a backup sees to
/// it. More than one, since of one the answer may have been lost.
const FAILED_ATTEMPTS: u64 = 2;

/// How often that number is doubled at most: at the default times to half an hour. Nobody is ever given up, and who has
/// been away for long does not wait for as long again.
const LONGEST_WAIT: u32 = 10;

/// Who has asked this replica to recover: one row for each node. It is kept over views, as those who cannot recover in
/// any would otherwise cost one after the other. A node that has recovered does not ask again before its next
/// incarnation, of which nothing is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unrecovered(Vec<Asking>);

/// What is known of a node that recovers.
#[derive(Clone, Copy, Debug)]
struct Asking {
    node: ReplicaId,
    incarnation: Incarnation,
    /// The view in which it was heard last.
    view: View,
    /// The first attempt that was heard of in that view, or the last before it. It may have begun before.
    first: u64,
    /// The last attempt that was heard of.
    last: u64,
    /// Whether the view after that one was proposed for its sake.
    seen_to: bool,
    /// How many views were left for its sake, and have not brought it back.
    left: u32,
}

impl Asking {
    const fn new(node: ReplicaId, incarnation: Incarnation, view: View, attempt: u64) -> Self {
        Self { node, incarnation, view, first: attempt, last: attempt, seen_to: false, left: 0 }
    }

    fn hear(&mut self, view: View, attempt: u64) {
        self.last = self.last.max(attempt);
        if self.view != view {
            // All begins anew, but for how long it is waited.
            let left = self.left + u32::from(self.seen_to);
            *self = Self { left, ..Self::new(self.node, self.incarnation, view, self.last) };
        }
    }

    /// How many attempts have failed that began in this view and were as patient as any, if `attempt` is under way.
    fn failed(&self, attempt: u64) -> u64 {
        attempt.saturating_sub(self.first.saturating_add(1).max(DOUBLINGS_MAX.into()))
    }
}

impl Unrecovered {
    /// Hears of an attempt in `view`; says whether the view has had its time to bring the node back.
    fn waits_in_vain(&mut self, view: View, node: ReplicaId, nonce: Nonce) -> bool {
        let Nonce { incarnation, attempt } = nonce;
        self.0.retain(|asking| asking.node != node || asking.incarnation == incarnation);
        let Some(asking) = self.0.iter_mut().find(|asking| asking.node == node) else {
            self.0.push(Asking::new(node, incarnation, view, attempt));
            return false;
        };
        asking.hear(view, attempt);
        let waits = asking.failed(attempt) >= FAILED_ATTEMPTS << asking.left.min(LONGEST_WAIT);
        asking.seen_to |= waits;
        waits
    }
}

impl<O> Default for Recovering<O> {
    fn default() -> Self {
        Self { attempt: 0, answers: Vec::new(), states: Vec::new(), resend_at: Instant::NEVER, asked: 0 }
    }
}

impl<O> Recovering<O> {
    pub(super) const fn next_deadline(&self) -> Instant {
        self.resend_at
    }

    /// Keeps the latest answer of each replica.
    fn record(&mut self, answer: RecoveryAnswer, state: Option<StartView<O>>) {
        if self.answers.iter().any(|known| known.from == answer.from && known.view > answer.view) {
            return;
        }
        self.answers.retain(|known| known.from != answer.from);
        self.states.retain(|(from, _)| *from != answer.from);
        self.answers.push(answer);
        self.states.extend(state.map(|state| (answer.from, state)));
    }
}

impl<S: Service, R: Rules> Replica<S, R> {
    pub(super) fn start_recovery(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        self.phase = Phase::Recovering(Recovering::default());
        self.ask_for_recovery(now, outbox);
    }

    fn ask_for_recovery(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        let interval = self.jittered(self.options.resend_interval);
        let incarnation = self.incarnation();
        let Phase::Recovering(recovering) = &mut self.phase else { return };
        // Each attempt waits longer than the one before: the answer that matters carries the whole log, and
        // may take longer than the others.
        let doublings = (recovering.attempt as u32 + recovering.asked.min(2)).min(DOUBLINGS_MAX);
        recovering.resend_at = now + interval.doubled(doublings);
        recovering.asked += 1;
        let nonce = Nonce { incarnation, attempt: recovering.attempt };
        self.broadcast(Payload::Recovery(Recovery { nonce }), outbox);
    }

    pub(super) fn recovery_timeouts(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        let needed = self.rules.recovery_quorum(self.quorum_group());
        let is_settled = self.recovery_target().is_some();
        let Phase::Recovering(recovering) = &mut self.phase else { return };
        if now < recovering.resend_at {
            return;
        }
        if is_settled && self.transfer.is_some() {
            // It is known what to recover to; the log is on its way, from whoever has it.
            recovering.resend_at = now + self.options.resend_interval.doubled(3);
            return;
        }
        self.transfer = None;
        if !self.rules.asks_again(recovering.answers.len(), needed) {
            recovering.resend_at = Instant::NEVER;
            return;
        }
        if recovering.answers.len() >= needed {
            // A view change got in between: none of the answers is from the primary of the latest view.
            // Answers to a new attempt must not be mixed with these.
            outbox.took(RarePath::RecoveryRetried);
            recovering.attempt += 1;
            recovering.asked = 0;
            recovering.answers.clear();
            recovering.states.clear();
        }
        self.ask_for_recovery(now, outbox);
    }

    pub(super) fn on_recovery(
        &mut self,
        now: Instant,
        from: ReplicaId,
        recovery: Recovery,
        outbox: &mut impl Outbox<S>,
    ) {
        if !self.rules.answers_recovery(self.is_normal()) {
            return outbox.ignored(Ignored::NotNormal);
        }
        if self.has_heard_primary(from, recovery.nonce.incarnation) {
            return outbox.ignored(Ignored::RecoveredSince);
        }
        if from == self.primary_of(self.view) {
            // Only the primary could bring it back into this view, and it is the primary: the view is over.
            outbox.took(RarePath::PrimaryLostItsMemory);
            return self.propose_next_view(now, outbox);
        }
        if let Phase::Primary(primary) = &mut self.phase {
            primary.coverage.forget(from);
        }
        let is_primary = matches!(self.phase, Phase::Primary(_));
        let state = is_primary.then(|| self.state_for_recovery());
        let response =
            RecoveryResponse { nonce: recovery.nonce, incarnations: self.incarnations.clone(), state };
        self.send(from, Payload::RecoveryResponse(Box::new(response)), outbox);
        self.see_to_recovery(now, from, recovery.nonce, outbox);
    }

    /// It lacks everything: the whole log saves it a question. What is left of one that has been compacted would be of no
    /// use without the checkpoint in front of it.
    fn state_for_recovery(&self) -> StartView<S::Operation> {
        let view = self.view_so_far();
        if self.log.start() == OpNumber::ZERO { StartView { log: self.log.clone(), ..view } } else { view }
    }

    /// A new attempt means that the last one had answers enough, but none from the primary. The primary may hear
    /// nobody: as long as there is nothing to prepare, nothing else would show that, and all that it says is heard. But
    /// it may also be the node that hears nothing of what it needs, so from view to view it is waited longer.
    fn see_to_recovery(&mut self, now: Instant, from: ReplicaId, nonce: Nonce, outbox: &mut impl Outbox<S>) {
        if !matches!(self.phase, Phase::Backup(_)) {
            return;
        }
        if self.unrecovered.waits_in_vain(self.view, from, nonce) && self.rules.sees_to_recoveries() {
            outbox.took(RarePath::ProposedForRecovery);
            self.be_discontent(now);
            self.propose_next_view(now, outbox);
        }
    }

    pub(super) fn on_recovery_response(
        &mut self,
        now: Instant,
        from: ReplicaId,
        incarnation: Incarnation,
        view: View,
        response: RecoveryResponse<S::Operation>,
        outbox: &mut impl Outbox<S>,
    ) {
        let own = self.incarnation();
        let Phase::Recovering(recovering) = &mut self.phase else {
            return outbox.ignored(Ignored::OtherNonce);
        };
        let own = Nonce { incarnation: own, attempt: recovering.attempt };
        if !self.rules.nonce_matches(response.nonce, own) {
            return outbox.ignored(Ignored::OtherNonce);
        }
        let answer = RecoveryAnswer { from, incarnation, view, has_state: response.state.is_some() };
        recovering.record(answer, response.state);
        self.learn_incarnations(&response.incarnations);
        self.discard_stale_answers(outbox);
        let Some((source, view, op_number)) = self.recovery_target() else {
            return self.tell_of_ending_epoch(outbox);
        };
        if self.recovers_from_answer(source) {
            return self.finish_recovery(now, source, outbox);
        }
        if self.transfer.is_none_or(|transfer| transfer.view < view) {
            outbox.took(RarePath::LogFetchedForRecovery);
            self.transfer = Some(Transfer::of(view, op_number, source, now));
            self.transfer_timeouts(now, outbox);
        }
    }

    /// To what this replica is to recover, once the answers tell: who was primary of the latest view, that view,
    /// and the end of its log.
    pub(super) fn recovery_target(&self) -> Option<(ReplicaId, View, OpNumber)> {
        let Phase::Recovering(recovering) = &self.phase else { return None };
        let source = self.rules.recovery_source(self.quorum_group(), &recovering.answers)?;
        let view = recovering.answers.iter().find(|answer| answer.from == source)?.view;
        let (_, state) = recovering.states.iter().find(|(from, _)| *from == source)?;
        let is_ending = !state.commit_number.covers(state.log.last()) && self.ends_epoch(&state.log);
        if is_ending && !self.rules.recovers_at_epoch_end() {
            return None;
        }
        Some((source, view, state.log.last()))
    }

    /// Says so if it is only for the end of the epoch that the answers do not tell what to recover to.
    fn tell_of_ending_epoch(&self, outbox: &mut impl Outbox<S>) {
        let Phase::Recovering(recovering) = &self.phase else { return };
        if self.rules.recovery_source(self.quorum_group(), &recovering.answers).is_some() {
            outbox.took(RarePath::RecoveryAtEpochEnd);
            outbox.ignored(Ignored::EpochEnding);
        }
    }

    /// The epoch in which this replica was recovering is over: what was answered there counts for nothing in the
    /// next one.
    pub(super) fn recover_in_epoch(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        let Phase::Recovering(recovering) = &mut self.phase else { return };
        *recovering = Recovering { attempt: recovering.attempt + 1, ..Recovering::default() };
        self.ask_for_recovery(now, outbox);
    }

    /// Whether the answer of `source` brings the whole log.
    fn recovers_from_answer(&self, source: ReplicaId) -> bool {
        let Phase::Recovering(recovering) = &self.phase else { return false };
        recovering.states.iter().any(|(from, state)| *from == source && state.log.start() == OpNumber::ZERO)
    }

    /// Forgets answers whose senders have crashed since.
    fn discard_stale_answers(&mut self, outbox: &mut impl Outbox<S>) {
        let Phase::Recovering(recovering) = &mut self.phase else { return };
        let before = recovering.answers.len();
        let known = |from: ReplicaId| self.incarnations[from.index()];
        recovering
            .answers
            .retain(|answer| self.rules.answer_still_counts(answer.incarnation, known(answer.from)));
        let Recovering { answers, states, .. } = recovering;
        states.retain(|(from, _)| answers.iter().any(|answer| answer.from == *from));
        if answers.len() < before {
            outbox.took(RarePath::StaleAnswerDiscarded);
        }
    }

    fn finish_recovery(&mut self, now: Instant, source: ReplicaId, outbox: &mut impl Outbox<S>) {
        let Phase::Recovering(recovering) = &mut self.phase else { return };
        let answers = std::mem::take(&mut recovering.answers);
        let states = std::mem::take(&mut recovering.states);
        let view = answers.iter().find(|answer| answer.from == source).expect("it answered").view;
        let (_, state) = states.into_iter().find(|(from, _)| *from == source).expect("it sent its state");
        assert!(state.commit_number.op_number() <= state.log.last(), "{source} lacks what it committed");
        if view > View::ZERO {
            outbox.took(RarePath::RecoveredIntoLaterView);
        }
        self.view = view;
        self.last_normal_view = self.rules.last_normal_view_after_recovery(view);
        self.adopt_log_to_execute(state.log, state.commit_number, outbox);
        self.enter_normal(now);
        self.advance_commit(state.commit_number, outbox);
        let op_number = self.log.last();
        self.stands_by(outbox);
        if self.is_normal() {
            self.acknowledge(source, op_number, outbox);
        }
    }

    /// A log for a replica that has its answers but not the log they told of. As good as that log is one that
    /// goes on from it, and the log of any later view: that one began with all that was committed.
    pub(super) fn recover_from(
        &mut self,
        now: Instant,
        view: View,
        state: &NewState<S::Operation>,
        outbox: &mut impl Outbox<S>,
    ) {
        // An answer counts only while its sender has not crashed since.
        self.discard_stale_answers(outbox);
        let Some((_, target, op_number)) = self.recovery_target() else {
            return outbox.ignored(Ignored::LateNewState);
        };
        if view < target {
            return outbox.ignored(Ignored::LateNewState);
        }
        if view == target && state.last() < op_number {
            return outbox.ignored(Ignored::ShortNewState);
        }
        let from_checkpoint = state.after > OpNumber::ZERO;
        if from_checkpoint && !self.bridges(view, state) {
            return outbox.ignored(Ignored::NewStateWithGap);
        }
        if from_checkpoint {
            self.tell_bridge(RarePath::CheckpointAtRecovery, outbox);
        }
        if view > View::ZERO {
            outbox.took(RarePath::RecoveredIntoLaterView);
        }
        self.become_normal_with(now, view, state, from_checkpoint, outbox);
        self.last_normal_view = self.rules.last_normal_view_after_recovery(view);
    }
}
