//! View changes (paper, section 4.2): StartViewChange, DoViewChange, StartView.
//!
//! A StartViewChange is first a proposal, on which nobody moves: a replica enters the next view when a
//! quorum has proposed it, or when it hears of someone who has entered. So a replica that can send but
//! not hear deposes nobody. That a quorum remembers what it voted for is not what safety rests on (the
//! published argument, which crashes invalidate), but the crash vectors of the DoViewChanges.

use std::sync::Arc;

use super::state_transfer::Transfer;
use super::{Phase, Replica};
use crate::configuration::Configuration;
use crate::log::Log;
use crate::message::{DoViewChange, MessageKind, NewState, Payload, StartView, StartViewChange};
use crate::outbox::{Ignored, Outbox, RarePath, ViewStart};
use crate::rules::{LogSummary, Rules};
use crate::service::Service;
use crate::types::{CommitNumber, Duration, Incarnation, Instant, OpNumber, ReplicaId, View};

/// Who proposes the view after the current one. A proposal that is not repeated lapses.
#[derive(Clone, Debug)]
pub(crate) struct Proposals {
    made_at: Option<Instant>,
    /// How often the own proposal was made.
    repeated: u32,
    heard_at: Box<[Option<Instant>]>,
    /// Whether anybody proposes: there is something to clear.
    any: bool,
}

/// What a replica remembers while it waits for a view to start.
#[derive(Clone, Debug)]
pub(crate) struct ViewChange<O> {
    /// At the primary of the view: the DoViewChanges received, by sender.
    votes: Vec<Option<Vote<O>>>,
    resend_at: Instant,
    resent: u32,
    /// When the next view is proposed.
    stalled_at: Instant,
    stalled: bool,
}

#[derive(Clone, Debug)]
struct Vote<O> {
    incarnation: Incarnation,
    said: Box<DoViewChange<O>>,
}

impl Proposals {
    pub(super) fn none(group: Configuration) -> Self {
        Self { made_at: None, repeated: 0, heard_at: vec![None; group.rows()].into(), any: false }
    }

    /// Forgets all proposals: the view is a new one, or its primary is alive. Who still wants the next view
    /// will say so again.
    #[inline]
    pub(super) fn clear(&mut self) {
        if self.any {
            *self = Self {
                made_at: None,
                repeated: 0,
                heard_at: vec![None; self.heard_at.len()].into(),
                any: false,
            };
        }
    }

    fn hear(&mut self, now: Instant, from: ReplicaId) {
        self.heard_at[from.index()] = Some(now);
        self.any = true;
    }

    fn make(&mut self, now: Instant) {
        self.made_at = Some(now);
        self.any = true;
        self.repeated += 1;
    }

    /// When to repeat the own proposal: less and less often, but within half of the time for which the
    /// others remember it.
    pub(super) fn interval(&self, resend_interval: Duration, primary_timeout: Duration) -> Duration {
        resend_interval.doubled(self.repeated.min(4)).min(primary_timeout)
    }

    fn count(&self, now: Instant, window: Duration) -> usize {
        let fresh = |made: &&Option<Instant>| made.is_some_and(|made| now.since(made) <= window);
        self.heard_at.iter().chain([&self.made_at]).filter(fresh).count()
    }
}

impl<O> ViewChange<O> {
    pub(super) fn next_deadline(&self) -> Instant {
        self.resend_at.min(self.stalled_at)
    }
}

impl<S: Service, R: Rules> Replica<S, R> {
    // ---- Proposing and entering ------------------------------------------------------------------

    /// Proposes the view after the current one to all.
    pub(super) fn propose_next_view(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        self.proposals.make(now);
        let view = self.rules.proposed_view(self.view);
        self.broadcast(Payload::StartViewChange(StartViewChange { view }), outbox);
        self.enter_proposed_view(now, outbox);
    }

    fn enter_proposed_view(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        if self.proposals.count(now, self.proposals_window(now))
            >= self.rules.proposal_quorum(self.quorum_group())
        {
            self.enter_view_change(now, self.rules.proposed_view(self.view), outbox);
        }
    }

    /// For how long a proposal counts. Proposals are repeated at least once in each primary timeout; but one for
    /// a client that waits only when the client asks again, if the primary is heard meanwhile.
    fn proposals_window(&self, now: Instant) -> Duration {
        let usual = self.options.primary_timeout.doubled(1);
        let Phase::Backup(backup) = &self.phase else { return usual };
        backup.discontent_window(now).map_or(usual, |longer| longer.max(usual))
    }

    pub(super) fn on_start_view_change(
        &mut self,
        now: Instant,
        from: ReplicaId,
        view: View,
        start: StartViewChange,
        outbox: &mut impl Outbox<S>,
    ) {
        if view < self.view {
            return outbox.ignored(Ignored::OlderView);
        }
        let before = self.view;
        self.join_view_change(now, view, outbox);
        if start.view > self.view {
            self.proposals.hear(now, from);
            self.enter_proposed_view(now, outbox);
        } else if self.view == before {
            // If the sender has missed the start of this view, its DoViewChange tells the primary.
            outbox.ignored(Ignored::AlreadyInThatView);
        }
    }

    /// Others have entered the view `heard`.
    fn join_view_change(&mut self, now: Instant, heard: View, outbox: &mut impl Outbox<S>) {
        let joined = self.rules.view_joined(heard, self.view);
        if heard > self.view && joined > self.view {
            self.enter_view_change(now, joined, outbox);
        }
    }

    /// Stops normal operation, moves to `view` and votes for it.
    pub(super) fn enter_view_change(&mut self, now: Instant, view: View, outbox: &mut impl Outbox<S>) {
        self.drop_queue(outbox);
        if !std::mem::take(&mut self.view_has_worked) {
            self.failed_views = (self.failed_views + 1).min(self.options.backoff_limit);
        }
        self.view = view;
        self.last_normal_view = self.rules.last_normal_view_after_joining(view, self.last_normal_view);
        self.transfer = None;
        self.proposals.clear();
        let patience = self.backed_off(self.options.view_change_timeout);
        let leaves = self.rules.leaves_stalled_view_change();
        self.phase = Phase::ViewChange(ViewChange {
            votes: (0..self.group.rows()).map(|_| None).collect(),
            resend_at: now + self.jittered(self.options.resend_interval),
            resent: 0,
            stalled_at: if leaves { now + patience } else { Instant::NEVER },
            stalled: false,
        });
        self.announce_view_change(now, outbox);
    }

    /// Tells all that this replica is in its view, and the view's primary what its log is.
    fn announce_view_change(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        self.broadcast(Payload::StartViewChange(StartViewChange { view: self.view }), outbox);
        if !self.rules.may_vote(now, self.promised_until) {
            return self.hold_vote_back(outbox);
        }
        let vote = Box::new(DoViewChange {
            log: self.log_suffix(),
            last_normal_view: self.last_normal_view,
            commit_number: self.commit_number,
            incarnations: self.incarnations.clone(),
        });
        let primary = self.primary_of(self.view);
        if primary == self.id {
            self.count_vote(now, self.id, self.incarnation(), vote, outbox);
        } else {
            self.send(primary, Payload::DoViewChange(vote), outbox);
        }
    }

    /// A primary counts on this replica not to vote yet. It announces itself again once it may.
    fn hold_vote_back(&mut self, outbox: &mut impl Outbox<S>) {
        outbox.took(RarePath::VoteHeldBack);
        let Phase::ViewChange(change) = &mut self.phase else { return };
        change.resend_at = change.resend_at.min(self.promised_until);
    }

    pub(super) fn view_change_timeouts(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        let interval = self.jittered(self.options.resend_interval);
        let Phase::ViewChange(change) = &mut self.phase else { return };
        let stalled = now >= change.stalled_at;
        if now >= change.resend_at {
            change.resent += 1;
            change.resend_at = now + interval.doubled(change.resent.min(3));
            self.announce_view_change(now, outbox);
        }
        // The announcement may have started the view.
        let Phase::ViewChange(change) = &mut self.phase else { return };
        if stalled {
            change.stalled_at = now + self.proposals.interval(interval, self.options.primary_timeout);
            if !change.stalled {
                change.stalled = true;
                outbox.took(RarePath::ViewChangeStalled);
            }
            self.propose_next_view(now, outbox);
        }
    }

    // ---- The new primary -------------------------------------------------------------------------

    pub(super) fn on_do_view_change(
        &mut self,
        now: Instant,
        from: ReplicaId,
        incarnation: Incarnation,
        view: View,
        vote: Box<DoViewChange<S::Operation>>,
        outbox: &mut impl Outbox<S>,
    ) {
        if view < self.view {
            return outbox.ignored(Ignored::OlderView);
        }
        if self.primary_of(view) != self.id {
            return outbox.ignored(Ignored::NotPrimary);
        }
        self.learn_incarnations(&vote.incarnations);
        self.join_view_change(now, view, outbox);
        if view != self.view {
            // Only a wrong rule leads elsewhere.
            return;
        }
        if self.is_normal() {
            return self.send_start_view_again(from, outbox);
        }
        self.count_vote(now, from, incarnation, vote, outbox);
    }

    fn count_vote(
        &mut self,
        now: Instant,
        from: ReplicaId,
        incarnation: Incarnation,
        said: Box<DoViewChange<S::Operation>>,
        outbox: &mut impl Outbox<S>,
    ) {
        let Phase::ViewChange(change) = &mut self.phase else { return };
        let uncounted = || self.group.members().find(|at| change.votes[at.index()].is_none());
        let is_own = from == self.id;
        let counted = self.rules.counts_for(MessageKind::DoViewChange, from, is_own, &uncounted);
        change.votes[counted.index()] = Some(Vote { incarnation, said });
        for (sender, vote) in (0..).map(ReplicaId).zip(&mut change.votes) {
            let known = self.incarnations[sender.index()];
            let stale = |vote: &mut Vote<_>| !self.rules.vote_still_counts(vote.incarnation, known);
            if vote.take_if(stale).is_some() {
                outbox.took(RarePath::StaleVoteDiscarded);
            }
        }
        self.start_view_if_possible(now, outbox);
    }

    /// Starts the view once a quorum has voted, and what is missing of the best log is here.
    pub(super) fn start_view_if_possible(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        let Some((best, missing)) = self.best_vote() else { return };
        if missing.is_none() {
            return self.start_view(now, outbox);
        }
        if self.transfer.is_none_or(|transfer| transfer.view <= self.view && transfer.peer != best) {
            outbox.took(RarePath::LogFetchedForView);
            self.transfer = Some(Transfer::of(self.view, OpNumber::ZERO, best, now));
            self.transfer_timeouts(now, outbox);
        }
    }

    /// Whose log the view is to start with, if a quorum has voted; and after which op-number this replica lacks
    /// the entries before it, if it does.
    fn best_vote(&self) -> Option<(ReplicaId, Option<OpNumber>)> {
        let Phase::ViewChange(change) = &self.phase else { return None };
        if change.votes.iter().flatten().count() < self.rules.view_change_quorum(self.quorum_group()) {
            return None;
        }
        let (best, vote) = self.best_log(&change.votes);
        let log = &vote.said.log;
        let shared =
            self.shared_prefix(MessageKind::DoViewChange, vote.said.last_normal_view).min(log.last());
        let is_reached = log.start() <= shared || self.checkpoint_bridges(self.view, log.start(), log.last());
        Some((best, (!is_reached).then_some(shared)))
    }

    fn shared_prefix(&self, kind: MessageKind, last_normal_view: View) -> OpNumber {
        self.rules.shared_prefix(kind, self.held(), last_normal_view)
    }

    /// After which op-number the new primary of `view` needs more of the best log than it was sent. `None` if it
    /// does not, or is not about to start that view.
    pub(super) fn log_for_view(&self, view: View) -> Option<OpNumber> {
        if view != self.view || self.primary_of(view) != self.id {
            return None;
        }
        self.best_vote()?.1
    }

    /// Whether this replica has voted for a view that has not started yet, and `primary` is to start it.
    pub(super) fn has_voted_for(&self, primary: ReplicaId, view: View) -> bool {
        matches!(self.phase, Phase::ViewChange(_)) && view == self.view && self.primary_of(view) == primary
    }

    /// More of the log that `from` has voted with. It has not changed since: nothing does until the view starts.
    pub(super) fn complete_vote(
        &mut self,
        now: Instant,
        from: ReplicaId,
        view: View,
        state: &NewState<S::Operation>,
        outbox: &mut impl Outbox<S>,
    ) {
        // Only the primary of this view has asked; but that may have been in an earlier life, or an earlier view.
        let Phase::ViewChange(change) = &mut self.phase else {
            return outbox.ignored(Ignored::LateNewState);
        };
        let Some(vote) = change.votes[from.index()].as_mut().filter(|_| view == self.view) else {
            return outbox.ignored(Ignored::LateNewState);
        };
        if state.last() != vote.said.log.last() || state.after >= vote.said.log.start() {
            return outbox.ignored(Ignored::LateNewState);
        }
        let mut log = Log::after(state.after);
        state.entries.iter().for_each(|entry| _ = log.append(entry.clone()));
        vote.said.log = log;
        self.start_view_if_possible(now, outbox);
    }

    fn start_view(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        let Phase::ViewChange(change) = &mut self.phase else { return };
        let votes = std::mem::take(&mut change.votes);
        let (best, vote) = self.best_log(&votes);
        let (mut log, last_normal_view) = (vote.said.log.clone(), vote.said.last_normal_view);
        let votes: Vec<(ReplicaId, Vote<_>)> =
            (0..).map(ReplicaId).zip(votes).filter_map(|(sender, vote)| Some((sender, vote?))).collect();
        let known = votes.iter().map(|(_, vote)| vote.said.commit_number).max().expect("a quorum of votes");
        self.tell_rare_votes(&votes, best, known, outbox);
        log.truncate(self.rules.kept_in_new_view(log.last(), known));
        let commit_number = self.rules.commit_number_of_new_view(known, log.last());
        let senders: Vec<_> = votes.iter().map(|(sender, vote)| (*sender, vote.incarnation)).collect();
        let op_number = log.last();
        outbox.view_starts(&ViewStart { view: self.view, votes: &senders, op_number, commit_number });
        assert!(commit_number.op_number() <= op_number, "the new view's log lacks committed operations");

        if op_number < self.log.last() {
            outbox.took(RarePath::TailTruncated);
        }
        let shared = self.shared_prefix(MessageKind::DoViewChange, last_normal_view);
        if log.start() > shared {
            outbox.took(RarePath::CheckpointAtViewStart);
            self.install_checkpoint(outbox);
        }
        self.adopt_log(log, outbox);
        self.last_normal_view = self.view;
        self.enter_normal(now);
        if self.log.last() > commit_number.op_number() && self.ends_epoch(&self.log) {
            outbox.took(RarePath::ViewStartedAtEpochEnd);
        }
        let start = Arc::new(StartView { log: self.log_suffix(), last_normal_view, commit_number });
        self.broadcast(Payload::StartView(start), outbox);
        self.advance_commit(commit_number, outbox);
        self.expect_acknowledgements(now);
        self.commit_acknowledged(now, outbox);
    }

    /// The vote with whose log the view starts; of at least one.
    fn best_log<'a>(&self, votes: &'a [Option<Vote<S::Operation>>]) -> (ReplicaId, &'a Vote<S::Operation>) {
        let summary = |(from, vote): (ReplicaId, &Vote<S::Operation>)| LogSummary {
            from,
            is_own: from == self.id,
            last_normal_view: vote.said.last_normal_view,
            op_number: vote.said.log.last(),
            last_entry_view: vote.said.log.last_entry_view(),
        };
        let votes = (0..).map(ReplicaId).zip(votes).filter_map(|(from, vote)| Some((from, vote.as_ref()?)));
        votes
            .reduce(
                |best, candidate| {
                    if self.rules.prefers_log(summary(candidate), summary(best)) { candidate } else { best }
                },
            )
            .expect("a quorum of votes")
    }

    fn tell_rare_votes(
        &self,
        votes: &[(ReplicaId, Vote<S::Operation>)],
        best: ReplicaId,
        known: CommitNumber,
        outbox: &mut impl Outbox<S>,
    ) {
        let first = votes[0].1.said.last_normal_view;
        if votes.iter().any(|(_, vote)| vote.said.last_normal_view != first) {
            outbox.took(RarePath::VotesOfDifferentViews);
        }
        if known > self.commit_number {
            outbox.took(RarePath::CommitLearnedFromVotes);
        }
        if best != self.id {
            outbox.took(RarePath::BetterLogAdopted);
        }
        if self.group.is_witness(best) {
            outbox.took(RarePath::WitnessLogAdopted);
        }
    }

    /// Helps a replica that has missed the start of this primary's view.
    fn send_start_view_again(&self, to: ReplicaId, outbox: &mut impl Outbox<S>) {
        outbox.took(RarePath::StartViewSentAgain);
        self.send(to, Payload::StartView(Arc::new(self.view_so_far())), outbox);
    }

    /// The view as it is now at its primary. It has grown since its start, so only who was normal in it can go on
    /// from more than what is committed.
    pub(super) fn view_so_far(&self) -> StartView<S::Operation> {
        StartView {
            log: self.log_suffix(),
            last_normal_view: self.last_normal_view,
            commit_number: self.commit_number,
        }
    }

    // ---- The others ------------------------------------------------------------------------------

    pub(super) fn on_start_view(
        &mut self,
        now: Instant,
        from: ReplicaId,
        view: View,
        start: &StartView<S::Operation>,
        outbox: &mut impl Outbox<S>,
    ) {
        if !self.rules.accepts_start_view(view, self.view, self.is_normal()) {
            return outbox.ignored(Ignored::ViewAlreadyStarted);
        }
        if from != self.primary_of(view) {
            return outbox.ignored(Ignored::NotFromPrimary);
        }
        let shared = self.shared_prefix(MessageKind::StartView, start.last_normal_view);
        if start.log.start() > shared.min(start.log.last()) {
            outbox.took(RarePath::StartViewTooShort);
            return self.hear_of_later_view(now, from, view, outbox);
        }
        let longer_before = self.log.last() > start.log.last();
        if longer_before {
            outbox.took(RarePath::StartViewToLongerLog);
        }
        let mut log = start.log.clone();
        if !self.rules.cuts_longer_log() {
            let end = log.last();
            self.log.entries_after(end).for_each(|(_, entry)| _ = log.append(entry.clone()));
        }
        self.adopt_log(log, outbox);
        self.view_has_worked &= view == self.view;
        self.view = view;
        self.last_normal_view = view;
        self.enter_normal(now);
        let committed = self.rules.commit_number_after_start_view(self.commit_number, start.commit_number);
        // Only a wrong rule puts it back; then what comes after is executed again.
        self.commit_number = self.commit_number.min(committed);
        self.advance_commit(committed, outbox);
        if self.rules.acknowledges_start_view(longer_before) {
            let op_number = self.log.last();
            self.acknowledge(from, op_number, outbox);
        }
    }
}
