//! Normal operation (paper, section 4.1): Request, Prepare, PrepareOk, Commit, Reply.

use std::sync::Arc;

use super::batching::{Duty, Pipeline};
use super::reads::Reading;
use super::witness::Coverage;
use super::{Phase, Replica};
use crate::client_table::{Known, Session, Unanswered};
use crate::log::Entry;
use crate::message::{
    Batch, Commit, MessageKind, Payload, Prepare, PrepareOk, ReplyBody, Request, RequestBody,
};
use crate::outbox::{Execution, Ignored, Outbox, Outcome, RarePath};
use crate::rules::Rules;
use crate::service::Service;
use crate::types::{ClientAddress, CommitNumber, Duration, Incarnation, Instant, OpNumber, ReplicaId, View};

/// How many Prepares are sent again to one backup at a time; who has missed more asks for state.
const RESENT_AT_ONCE: usize = 16;

/// How often the patience with a primary is doubled until its view has lasted so long that the timeouts may
/// shrink. A backup hears a primary that has left for as long as messages travel, which may be longer than the
/// timeouts are.
const PROVEN_AFTER: u32 = 3;

/// How often the time that a primary has to take a request is doubled until a proposal lapses that was made for
/// somebody who waits: longer than a client waits before it asks again. A recovering replica asks all at once.
const PROPOSED_FOR_WAITING: u32 = 3;

/// What a primary remembers while its view lasts.
#[derive(Clone, Debug)]
pub(crate) struct Primary<O> {
    /// When the view will have lasted so long that the timeouts may shrink, if it commits something: heartbeats
    /// alone prove nothing to a primary, since nobody answers them.
    proven_at: Instant,
    heartbeat_at: Instant,
    /// When unacknowledged Prepares are sent again; never while everything is committed.
    resend_at: Instant,
    /// When the lack of acknowledgements becomes a reason to give up.
    abdicate_at: Instant,
    /// Silent, so that the backups elect someone whom they can answer.
    pub(super) abdicated: bool,
    pub(super) pipeline: Pipeline<O>,
    pub(super) reading: Reading<O>,
    pub(super) coverage: Coverage,
}

/// What a backup remembers while its view lasts.
#[derive(Clone, Debug)]
pub(crate) struct Backup<O> {
    /// When the primary will have been heard for so long that the timeouts may shrink.
    proven_at: Instant,
    /// How long the primary may be silent.
    patience: Duration,
    /// When the primary's silence becomes a reason to propose the next view.
    suspect_at: Instant,
    /// Prepares that arrived before their predecessors, in order.
    kept: Vec<(OpNumber, Entry<O>)>,
    /// The incarnation in which the primary was heard in this view.
    heard: Option<Incarnation>,
    /// A request that a client had to send to everybody, and until when the primary should take it.
    waiting: Option<(Arc<Request<O>>, Instant)>,
    /// Until when the primary's being alive is no reason to forget who wants the next view: a wait that only the
    /// primary could end, a client's or a recovering replica's, was a reason to propose it, and the primary has
    /// taken nothing since. It ends by itself, as who waited may have given up.
    discontent: Option<Discontent>,
}

/// A backup's, with a primary that does nothing for those who wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Discontent {
    until: Instant,
    /// For how long proposals are remembered meanwhile: they are made when those who wait ask again, and they ask
    /// less and less often.
    window: Duration,
}

impl<O> Primary<O> {
    pub(super) fn starting(
        now: Instant,
        patience: Duration,
        pipeline: Pipeline<O>,
        reading: Reading<O>,
        coverage: Coverage,
    ) -> Self {
        Self {
            proven_at: now + patience.doubled(PROVEN_AFTER),
            heartbeat_at: now,
            resend_at: Instant::NEVER,
            abdicate_at: Instant::NEVER,
            abdicated: false,
            pipeline,
            reading,
            coverage,
        }
    }

    /// A heartbeat is being sent: the next one is due later.
    pub(super) fn heartbeat_sent(&mut self, now: Instant, interval: Duration) {
        self.heartbeat_at = now + interval;
    }

    pub(super) fn next_deadline(&self) -> Instant {
        let heartbeat_at = if self.abdicated { Instant::NEVER } else { self.heartbeat_at };
        heartbeat_at.min(self.resend_at).min(self.abdicate_at)
    }
}

impl<O> Backup<O> {
    /// For how long proposals count, if somebody waits for whom the next view was proposed.
    pub(super) fn discontent_window(&self, now: Instant) -> Option<Duration> {
        self.discontent.filter(|discontent| now < discontent.until).map(|discontent| discontent.window)
    }

    pub(super) fn starting(now: Instant, patience: Duration) -> Self {
        Self {
            proven_at: now + patience.doubled(PROVEN_AFTER),
            patience,
            suspect_at: now + patience,
            kept: Vec::new(),
            heard: None,
            waiting: None,
            discontent: None,
        }
    }

    pub(super) fn next_deadline(&self) -> Instant {
        let waiting = self.waiting.as_ref().map_or(Instant::NEVER, |&(_, until)| until);
        self.suspect_at.min(waiting)
    }

    /// Keeps a Prepare whose predecessors are missing; at most `bound` of them.
    fn keep(&mut self, op_number: OpNumber, entry: &Entry<O>, bound: usize) {
        if let Err(position) = self.kept.binary_search_by_key(&op_number, |&(kept, _)| kept)
            && self.kept.len() < bound
        {
            self.kept.insert(position, (op_number, entry.clone()));
        }
        assert!(self.kept.len() <= bound, "{} Prepares kept, of {bound} at most", self.kept.len());
    }
}

impl<S: Service, R: Rules> Replica<S, R> {
    // ---- Requests of clients ---------------------------------------------------------------------

    pub(super) fn handle_request(
        &mut self,
        now: Instant,
        request: Arc<Request<S::Operation>>,
        outbox: &mut impl Outbox<S>,
    ) {
        if self.is_witness() {
            return self.pass_on_as_witness(now, request, outbox);
        }
        let why = match self.client_table.lookup(&request, self.commit_number, &self.rules) {
            Known::Unanswered(why) => why,
            known => return self.answer_from_table(request.address, known, outbox),
        };
        let is_primary = self.primary_of(self.view) == self.id;
        if self.rules.accepts_requests(is_primary, self.is_normal()) {
            self.take_request(now, request, why, outbox);
        } else if let Phase::Backup(_) = self.phase {
            self.pass_on_request(now, request, outbox);
        } else if self.is_outside() {
            self.redirect(request.address, outbox);
        } else {
            self.reply(request.address, ReplyBody::TryLater, outbox);
        }
    }

    /// A request that a backup passed on.
    pub(super) fn on_passed_on_request(
        &mut self,
        now: Instant,
        request: Arc<Request<S::Operation>>,
        outbox: &mut impl Outbox<S>,
    ) {
        let is_primary = self.primary_of(self.view) == self.id;
        if !self.rules.accepts_requests(is_primary, self.is_normal()) {
            return outbox.ignored(Ignored::NotPrimary);
        }
        self.handle_request(now, request, outbox);
    }

    /// Answers what follows from executed operations alone. Any replica may: they are committed, and
    /// their results are the same everywhere.
    fn answer_from_table(
        &self,
        address: ClientAddress,
        known: Known<'_, S::Response>,
        outbox: &mut impl Outbox<S>,
    ) {
        if let (Known::Executed(session), Phase::Primary(primary)) = (&known, &self.phase)
            && session.last_used <= primary.reading.inherited
        {
            outbox.took(RarePath::AnsweredForEarlierPrimary);
        }
        let body = match known {
            Known::Registered(client) => ReplyBody::Registered { client },
            Known::Evicted(client) => ReplyBody::Evicted { client },
            Known::Executed(session) if session.epoch.is_some() => {
                outbox.took(RarePath::ReconfigurationAnsweredAgain);
                let &Session { client, executed: number, last_used: op_number, .. } = session;
                ReplyBody::Epoch { client, number, op_number, epoch: session.epoch.unwrap_or_default() }
            }
            Known::Executed(session) => {
                let Some(response) = session.response.clone() else { return };
                ReplyBody::Executed {
                    client: session.client,
                    number: session.executed,
                    op_number: session.last_used,
                    response,
                }
            }
            Known::Unanswered(_) => return,
        };
        let is_primary = matches!(self.phase, Phase::Primary(_));
        outbox.took(if is_primary { RarePath::AnsweredFromTable } else { RarePath::AnsweredByBackup });
        self.reply(address, body, outbox);
    }

    fn take_request(
        &mut self,
        now: Instant,
        request: Arc<Request<S::Operation>>,
        why: Unanswered,
        outbox: &mut impl Outbox<S>,
    ) {
        match why {
            Unanswered::InFlight => return outbox.ignored(Ignored::RequestInFlight),
            Unanswered::Superseded => return outbox.ignored(Ignored::SupersededRequest),
            Unanswered::NotYetRegistered => return self.reply(request.address, ReplyBody::TryLater, outbox),
            Unanswered::New => {}
        }
        if self.is_pipeline_full(&request) {
            outbox.took(RarePath::PipelineFull);
            return self.reply(request.address, ReplyBody::TryLater, outbox);
        }
        if let Phase::Primary(Primary { abdicated: true, .. }) = self.phase {
            return self.reply(request.address, ReplyBody::TryLater, outbox);
        }
        if self.waits_for_epoch(&request) {
            return self.reply(request.address, ReplyBody::TryLater, outbox);
        }
        if self.refuse(&request, outbox) {
            return;
        }
        self.prepare_or_queue(now, request, outbox);
    }

    /// Arms the primary's timers if something is waiting to be acknowledged.
    pub(super) fn expect_acknowledgements(&mut self, now: Instant) {
        let uncommitted = !self.commit_number.covers(self.log.last());
        let patience = self.options.abdication_timeout.doubled(self.doublings());
        let Phase::Primary(primary) = &mut self.phase else { return };
        if !uncommitted {
            primary.resend_at = Instant::NEVER;
            primary.abdicate_at = Instant::NEVER;
        } else if primary.resend_at == Instant::NEVER {
            primary.resend_at = now + self.options.resend_interval;
            if self.rules.abdicates() {
                primary.abdicate_at = now + patience;
            }
        }
    }

    /// A request that came to a backup: tell the client who is primary, and see to it that the primary
    /// gets the request. If it takes nothing, it may be deaf to clients: propose another.
    pub(super) fn pass_on_request(
        &mut self,
        now: Instant,
        request: Arc<Request<S::Operation>>,
        outbox: &mut impl Outbox<S>,
    ) {
        self.redirect(request.address, outbox);
        if !self.rules.sees_to_requests() {
            return;
        }
        let primary = self.primary_of(self.view);
        self.send(primary, Payload::Request(Arc::clone(&request)), outbox);
        // Only of a request that is new here can the primary be expected to do something.
        let until = now + self.backed_off(self.options.abdication_timeout);
        let is_new = self.is_new(&request);
        let Phase::Backup(backup) = &mut self.phase else { return };
        if is_new && backup.waiting.is_none() {
            backup.waiting = Some((request, until));
        }
    }

    fn is_new(&self, request: &Arc<Request<S::Operation>>) -> bool {
        if self.is_witness() {
            return !self.is_in_log(request);
        }
        let known = self.client_table.lookup(request, self.commit_number, &self.rules);
        matches!(known, Known::Unanswered(Unanswered::New))
    }

    // ---- The backup's side -----------------------------------------------------------------------

    pub(super) fn on_prepare(
        &mut self,
        now: Instant,
        from: ReplicaId,
        view: View,
        prepare: Prepare<S::Operation>,
        outbox: &mut impl Outbox<S>,
    ) {
        if !self.hears_primary(now, from, view, outbox) {
            return;
        }
        let (first, end, held) = (prepare.op_number, prepare.last(), self.log.last());
        let Prepare { commit_number, batch, .. } = prepare;
        if self.rules.prepare_follows(first, held) {
            self.append_all(batch, 0, outbox);
        } else if first > held {
            outbox.took(RarePath::PrepareKept);
            let bound = self.options.pipeline_max * self.options.batch_max;
            let Phase::Backup(backup) = &mut self.phase else { return };
            for (number, entry) in (first.0..).zip(batch.entries()) {
                backup.keep(OpNumber(number), entry, bound);
            }
            self.missing_up_to(now, end);
        } else if end > held {
            outbox.took(RarePath::BatchHeldInPart);
            let known = self.rules.held_of_batch(first, end, held) as usize;
            self.append_all(batch, known, outbox);
        }
        let acknowledged = self.rules.acknowledged(first, end, self.log.last(), self.is_witness());
        self.acknowledge(from, acknowledged, outbox);
        self.learn_commit(now, commit_number, outbox);
    }

    /// Appends what the primary has prepared, but for the first `known` entries, and what was kept of what comes
    /// after.
    fn append_all(&mut self, batch: Batch<S::Operation>, known: usize, outbox: &mut impl Outbox<S>) {
        match batch {
            Batch::One(entry) if known == 0 => _ = self.append(entry, outbox),
            _ => batch.entries()[known..].iter().for_each(|entry| _ = self.append(entry.clone(), outbox)),
        }
        self.primary_took_something();
        self.append_kept(outbox);
        self.forget_filled_gap();
    }

    /// The primary takes requests: no client's wait speaks against it.
    #[inline]
    pub(super) fn primary_took_something(&mut self) {
        if let Phase::Backup(backup) = &self.phase
            && (backup.waiting.is_some() || backup.discontent.is_some())
        {
            self.forget_discontent();
        }
    }

    #[cold]
    fn forget_discontent(&mut self) {
        let Phase::Backup(backup) = &mut self.phase else { return };
        backup.waiting = None;
        if backup.discontent.take().is_some() {
            self.proposals.clear();
        }
    }

    /// Appends the kept Prepares that have become the next.
    #[inline]
    pub(super) fn append_kept(&mut self, outbox: &mut impl Outbox<S>) {
        if let Phase::Backup(backup) = &self.phase
            && !backup.kept.is_empty()
        {
            self.append_next_kept(outbox);
        }
    }

    #[cold]
    fn append_next_kept(&mut self, outbox: &mut impl Outbox<S>) {
        let Phase::Backup(backup) = &mut self.phase else { return };
        let mut kept = std::mem::take(&mut backup.kept);
        kept.retain(|(op_number, entry)| {
            if *op_number == self.log.last().next() {
                self.append(entry.clone(), outbox);
            }
            *op_number > self.log.last()
        });
        if let Phase::Backup(backup) = &mut self.phase {
            backup.kept = kept;
        }
    }

    pub(super) fn on_commit(
        &mut self,
        now: Instant,
        from: ReplicaId,
        view: View,
        commit: Commit,
        outbox: &mut impl Outbox<S>,
    ) {
        if !self.hears_primary(now, from, view, outbox) {
            return;
        }
        if let Some(pulse) = commit.pulse {
            self.answer_pulse(now, from, pulse, outbox);
        }
        self.learn_commit(now, commit.commit_number, outbox);
        self.learn_coverage(from, commit.covered, outbox);
    }

    /// Whether a Prepare or Commit is from the primary of this backup's view; if so, the primary is alive.
    fn hears_primary(
        &mut self,
        now: Instant,
        from: ReplicaId,
        view: View,
        outbox: &mut impl Outbox<S>,
    ) -> bool {
        if !self.rules.accepts_in_view(view, self.view) {
            if view > self.view {
                self.hear_of_later_view(now, from, view, outbox);
            } else {
                outbox.ignored(Ignored::OlderView);
            }
            return false;
        }
        if from != self.primary_of(view) {
            outbox.ignored(Ignored::NotFromPrimary);
            return false;
        }
        let Phase::Backup(backup) = &mut self.phase else {
            // The view has started without this replica: its StartView was lost.
            self.hear_of_later_view(now, from, view, outbox);
            return false;
        };
        backup.suspect_at = now + backup.patience;
        backup.heard = Some(self.incarnations[from.index()]);
        let is_proven = now >= backup.proven_at;
        if backup.discontent_window(now).is_none() {
            self.proposals.clear();
        }
        if is_proven {
            let patience = self.shrink_timeouts();
            let Phase::Backup(backup) = &mut self.phase else { return true };
            backup.patience = patience;
            backup.proven_at = now + patience.doubled(PROVEN_AFTER);
        }
        true
    }

    /// The view has lasted: takes one doubling of the timeouts back. All of them at once would be too much:
    /// a group that is far apart would never learn how long its view changes take. Returns how long the
    /// primary may now be silent.
    fn shrink_timeouts(&mut self) -> Duration {
        self.view_has_worked = true;
        self.failed_views = self.failed_views.saturating_sub(1);
        self.backed_off(self.options.primary_timeout)
    }

    /// Whether this is the primary, and was heard in this view in this incarnation.
    pub(super) fn has_heard_primary(&self, from: ReplicaId, incarnation: Incarnation) -> bool {
        let Phase::Backup(backup) = &self.phase else { return false };
        from == self.primary_of(self.view) && backup.heard == Some(incarnation)
    }

    fn learn_commit(&mut self, now: Instant, announced: CommitNumber, outbox: &mut impl Outbox<S>) {
        if !self.log.last().as_commit_number().covers(announced.op_number()) {
            self.missing_up_to(now, announced.op_number());
        }
        let learned = self.rules.learned_commit(announced, self.log.last());
        self.advance_commit(learned, outbox);
    }

    pub(super) fn backup_timeouts(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        let resend_interval = self.jittered(self.options.resend_interval);
        let Phase::Backup(backup) = &mut self.phase else { return };
        let suspects = now >= backup.suspect_at;
        let overdue = backup.waiting.take_if(|&mut (_, until)| now >= until);
        let client_waits = overdue.is_some_and(|(request, _)| self.is_new(&request));
        if !suspects && !client_waits {
            return;
        }
        let again = now + self.proposals.interval(resend_interval, self.options.primary_timeout);
        let Phase::Backup(backup) = &mut self.phase else { return };
        backup.suspect_at = again;
        if client_waits {
            self.be_discontent(now);
            outbox.took(RarePath::ProposedForClient);
        }
        self.propose_next_view(now, outbox);
    }

    /// Somebody waits for the primary in vain. That it is alive is no excuse.
    pub(super) fn be_discontent(&mut self, now: Instant) {
        let window = self.options.abdication_timeout.doubled(self.doublings() + PROPOSED_FOR_WAITING);
        let Phase::Backup(backup) = &mut self.phase else { return };
        backup.discontent = Some(Discontent { until: now + window, window });
    }

    // ---- The primary's side ----------------------------------------------------------------------

    pub(super) fn on_prepare_ok(
        &mut self,
        now: Instant,
        from: ReplicaId,
        view: View,
        ok: PrepareOk,
        outbox: &mut impl Outbox<S>,
    ) {
        // Nobody acknowledges to the primary of a view that it has not started: another view is an older one.
        if !self.rules.counts_acknowledgement(view, self.view) {
            return outbox.ignored(Ignored::OlderView);
        }
        if !matches!(self.phase, Phase::Primary(_)) {
            return outbox.ignored(Ignored::NotPrimary);
        }
        assert!(
            view != self.view || ok.op_number <= self.log.last(),
            "{from} acknowledged {} of a log that ends at {}",
            ok.op_number,
            self.log.last()
        );
        self.hear_checkpoint(from, ok.checkpoint);
        let is_uncounted = |at: &ReplicaId| self.acknowledged[at.index()] < ok.op_number;
        let uncounted = || self.group.others(self.id).find(is_uncounted);
        let counted = self.rules.counts_for(MessageKind::PrepareOk, from, false, &uncounted);
        let acknowledged = &mut self.acknowledged[counted.index()];
        if ok.op_number > *acknowledged {
            *acknowledged = ok.op_number;
            // Who comes after the quorum commits nothing.
            if !self.commit_number.covers(ok.op_number) {
                self.commit_acknowledged(now, outbox);
            }
        }
    }

    /// Commits what a quorum holds.
    pub(super) fn commit_acknowledged(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        self.acknowledged[self.id.index()] = self.log.last();
        let committed = self.held_by_quorum();
        if committed > self.commit_number {
            self.commit(now, committed, outbox);
        }
    }

    fn commit(&mut self, now: Instant, committed: CommitNumber, outbox: &mut impl Outbox<S>) {
        self.advance_commit(committed, outbox);
        let Phase::Primary(primary) = &mut self.phase else { return };
        if primary.abdicated {
            primary.abdicated = false;
            self.proposals.clear();
            outbox.took(RarePath::Resumed);
        }
        primary.resend_at = Instant::NEVER;
        self.view_has_worked = true;
        if now >= primary.proven_at {
            let patience = self.shrink_timeouts();
            let Phase::Primary(primary) = &mut self.phase else { return };
            primary.proven_at = now + patience.doubled(PROVEN_AFTER);
        }
        self.expect_acknowledgements(now);
        self.prepare_queued(now, outbox);
        self.answer_reads(now, outbox);
    }

    /// Up to where a replication quorum has acknowledged the log, or what is known to be committed if that is more.
    fn held_by_quorum(&self) -> CommitNumber {
        let quorum = self.rules.replication_quorum(self.quorum_group());
        let mut committed = self.commit_number;
        // An acknowledgement leads one step further, or none: sorting would do more than is needed.
        loop {
            let (mut holders, mut next) = (0, OpNumber(u64::MAX));
            for &held in self.acknowledged.iter().filter(|&&held| !committed.covers(held)) {
                holders += 1;
                next = next.min(held);
            }
            if holders < quorum.max(1) {
                return committed;
            }
            committed = next.as_commit_number();
        }
    }

    pub(super) fn primary_timeouts(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        let resend_interval = self.jittered(self.options.resend_interval);
        let Phase::Primary(primary) = &mut self.phase else { return };
        let (resend, abdicate) = (now >= primary.resend_at, now >= primary.abdicate_at);
        let heartbeat = now >= primary.heartbeat_at && !primary.abdicated;
        if heartbeat {
            self.send_heartbeat(now, outbox);
        }
        if resend && let Phase::Primary(primary) = &mut self.phase {
            primary.resend_at = now + resend_interval;
            // A silent primary must look dead, so an abdicated one sends no Prepare either.
            if !primary.abdicated {
                self.resend_prepares(outbox);
            }
        }
        if abdicate {
            self.abdicate(now, resend_interval, outbox);
        }
    }

    fn resend_prepares(&self, outbox: &mut impl Outbox<S>) {
        let committed = self.commit_number.op_number();
        for to in self.group.others(self.id) {
            let acknowledged = self.acknowledged[to.index()].max(committed);
            let after = self.rules.resent_after(acknowledged, self.log.last());
            for (op_number, batch) in self.batches_after(after, RESENT_AT_ONCE) {
                let prepare = Prepare { op_number, commit_number: self.commit_number, batch };
                self.send(to, Payload::Prepare(prepare), outbox);
            }
        }
    }

    /// Gives up: those whom this primary can reach cannot reach it.
    fn abdicate(&mut self, now: Instant, resend_interval: Duration, outbox: &mut impl Outbox<S>) {
        let again = now + self.proposals.interval(resend_interval, self.options.primary_timeout);
        let Phase::Primary(primary) = &mut self.phase else { return };
        primary.abdicate_at = again;
        if !primary.abdicated {
            primary.abdicated = true;
            outbox.took(RarePath::Abdicated);
        }
        self.propose_next_view(now, outbox);
    }

    // ---- Execution -------------------------------------------------------------------------------

    /// Executes everything up to `committed`. A witness takes note of it.
    pub(super) fn advance_commit(&mut self, committed: CommitNumber, outbox: &mut impl Outbox<S>) {
        if self.is_witness() && !self.rules.witness_executes() {
            self.commit_number = committed.max(self.commit_number);
            return;
        }
        while self.commit_number < committed {
            self.execute_next(outbox);
        }
        self.batches_committed(outbox);
        self.answer_waiting_reads(outbox);
    }

    fn execute_next(&mut self, outbox: &mut impl Outbox<S>) {
        let op_number = self.commit_number.next().op_number();
        let (duty, queued) = match &self.phase {
            Phase::Primary(primary) => (primary.pipeline.duty(op_number), primary.pipeline.queued()),
            _ => (Duty::Execute, 0),
        };
        let answer = self.execute(op_number, duty, outbox);
        self.commit_number = op_number.as_commit_number();
        let not_executed = self.log.last().0 - op_number.0 + queued;
        assert!(
            self.client_table.in_flight_rows() as u64 <= not_executed || !self.rules.rebuilds_in_flight(),
            "more is in flight than the {not_executed} operations that are in the log or the queue and not executed"
        );
        if let Some((address, body)) = answer
            && duty == Duty::Answer
        {
            self.reply(address, body, outbox);
        }
        self.take_checkpoint_if_due(outbox);
    }

    #[cold]
    fn execute_registration(
        &mut self,
        op_number: OpNumber,
        entry: &Entry<S::Operation>,
        duty: Duty,
        outbox: &mut impl Outbox<S>,
    ) -> (ClientAddress, ReplyBody<S::Response>) {
        let address = entry.request.address;
        let is_primary = duty != Duty::Execute;
        let sessions_max = self.options.sessions_max;
        let registration = self.client_table.register(address, op_number, sessions_max, |last_used| {
            self.rules.session_to_evict(is_primary, last_used)
        });
        if registration.evicted.is_some() {
            outbox.took(RarePath::SessionEvicted);
        }
        let outcome = Outcome::Registered(registration);
        outbox.executed(Execution { op_number, entry, outcome, service: &self.service });
        (address, ReplyBody::Registered { client: registration.client })
    }

    fn execute(
        &mut self,
        op_number: OpNumber,
        duty: Duty,
        outbox: &mut impl Outbox<S>,
    ) -> Option<(ClientAddress, ReplyBody<S::Response>)> {
        let entry = self.log.get(op_number).expect("a committed operation is in the log");
        let (client, number, operation) = match &entry.request.body {
            RequestBody::Operation { client, number, operation } => (*client, *number, operation),
            RequestBody::Register => {
                return Some(self.execute_registration(op_number, &entry.clone(), duty, outbox));
            }
            RequestBody::Reconfiguration(_) | RequestBody::CheckEpoch { .. } => {
                return self.execute_for_administrator(op_number, &entry.clone(), outbox);
            }
        };
        let service = &mut self.service;
        let Some(session) = self.client_table.session_mut(client) else {
            outbox.took(RarePath::EvictedInLog);
            self.client_table.executed(client, number);
            outbox.executed(Execution { op_number, entry, outcome: Outcome::Evicted, service });
            return Some((entry.request.address, ReplyBody::Evicted { client }));
        };
        if !self.rules.executes(number, session.executed) {
            self.client_table.executed(client, number);
            outbox.executed(Execution { op_number, entry, outcome: Outcome::Duplicate, service });
            return None;
        }
        let response = match entry.predicted.as_deref() {
            None => service.execute(operation),
            Some(&prediction) => {
                let prediction = self.rules.prediction(prediction, self.entropy.clone().draw());
                service.execute_predicted(operation, prediction)
            }
        };
        let outcome = Outcome::Executed(&response);
        outbox.executed(Execution { op_number, entry, outcome, service });
        let answer = (duty == Duty::Answer).then(|| {
            let response = response.clone();
            (session.address, ReplyBody::Executed { client, number, op_number, response })
        });
        let stores = self.rules.stores_response(duty != Duty::Execute) && duty != Duty::Nothing;
        let stored = stores.then_some(response);
        session.record(number, op_number, stored);
        self.client_table.executed(client, number);
        answer
    }
}
