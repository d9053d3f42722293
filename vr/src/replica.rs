//! A replica: its state, and which sub-protocol takes which input.
//!
//! A replica is a value. Three inputs change it: a message from a peer, a request from a client, and a
//! deadline that has passed; each is given the node's clock and an [`Outbox`] for the effects. Nothing
//! else happens: no clock is read, nothing random is drawn, nothing is sent but through the outbox.
//!
//! The sub-protocols are in the files beside: [`normal`], [`batching`], [`reads`], [`view_change`],
//! [`recovery`], [`state_transfer`], [`checkpoint`], [`reconfiguration`], [`witness`]. Each handler opens with the
//! reasons to ignore a message, by name.

mod batching;
mod checkpoint;
mod normal;
mod reads;
mod reconfiguration;
mod recovery;
mod state_transfer;
mod view_change;
mod witness;

use std::mem::discriminant;
use std::sync::Arc;

use crate::checkpoint::Checkpoint;
use crate::client_table::ClientTable;
use crate::configuration::{Configuration, Options};
use crate::entropy::Entropy;
use crate::epoch::EpochStart;
use crate::log::{Entry, Log};
use crate::message::{Message, MessageKind, Payload, Read, Reply, ReplyBody, Request};
use crate::outbox::{Ignored, Outbox, Role};
use crate::rules::{HeldState, Rules, Standard};
use crate::service::Service;
use crate::types::{
    ClientAddress, CommitNumber, Duration, Epoch, Incarnation, Instant, OpNumber, ReplicaId, View,
};

use checkpoint::Checkpoints;
use normal::{Backup, Primary};
use reconfiguration::Leaving;
use recovery::{Recovering, Unrecovered};
use state_transfer::Transfer;
use view_change::{Proposals, ViewChange};
use witness::Witness;

/// Who a replica is and in what group.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// The node.
    pub id: ReplicaId,
    /// The group, and how it came to be: the latest epoch that is known when the replica starts.
    pub epoch: EpochStart,
    /// Timing and bounds.
    pub options: Options,
    /// Feeds the jitter of timeouts, and what a primary [predicts](crate::Prediction). Should differ between
    /// replicas and restarts, so that they do not time out in step; nothing else depends on it.
    pub entropy: u64,
}

/// One member of a replica group, running the service `S` under the rules `R`.
#[derive(Clone, Debug)]
pub struct Replica<S: Service, R: Rules = Standard> {
    id: ReplicaId,
    /// The members of the epoch.
    group: Configuration,
    epoch_start: EpochStart,
    /// How the epoch started that the log leads to, as far as it is executed; `None` in the first one.
    executed_epoch: Option<EpochStart>,
    /// The last epoch of whose start at this replica those were told who were replaced.
    announced: Epoch,
    options: Options,
    rules: R,
    /// The latest incarnation known of each replica, its own included: the crash vector.
    incarnations: Box<[Incarnation]>,

    view: View,
    last_normal_view: View,
    phase: Phase<S::Operation>,
    log: Log<S::Operation>,
    /// Everything up to here is committed, executed, and never taken back.
    commit_number: CommitNumber,
    client_table: ClientTable<S::Response>,
    service: S,
    checkpoints: Checkpoints<S>,
    /// Present if this is a witness: the commit-number then says nothing of the service and the client table.
    witness: Option<Witness>,
    /// Up to where no witness's log needs to reach back.
    covered: OpNumber,

    /// What each backup has acknowledged in this view.
    acknowledged: Box<[OpNumber]>,
    /// Who wants the next view.
    proposals: Proposals,
    /// Until when this replica votes for no other view: it has promised so to a primary.
    promised_until: Instant,
    /// Causal reads that wait for what they ask for.
    waiting_reads: Vec<Arc<Read<S::Operation>>>,
    /// Who has asked to recover, and may be waiting for another view.
    unrecovered: Unrecovered,
    /// The state this replica is waiting for, if any.
    transfer: Option<Transfer>,
    /// View changes that led to nothing, less one for each time that a view has lasted: each doubles the
    /// timeouts.
    failed_views: u32,
    /// Whether the current view has been of use: it has lasted or, to its primary, something was committed in it.
    view_has_worked: bool,
    entropy: Entropy,
}

/// What a replica is doing, and what it remembers only while it does.
#[derive(Clone, Debug)]
pub(crate) enum Phase<O> {
    Primary(Primary<O>),
    Backup(Backup<O>),
    ViewChange(ViewChange<O>),
    Recovering(Recovering<O>),
    Transitioning,
    Leaving(Leaving),
    Stopped,
    Standby,
}

impl<S: Service, R: Rules> Replica<S, R> {
    /// A replica of a new group. All members start in view 0 with empty logs, and `service` must be in
    /// the same state at all of them.
    ///
    /// Only for the first start ever: a replica that has run before has forgotten what it promised and
    /// must [`recover`](Self::recover).
    ///
    /// # Panics
    /// If the member is not in its group, or its options are out of range (see [`Options::validate`]).
    #[must_use]
    pub fn new(now: Instant, member: Member, rules: R, service: S) -> Self {
        let mut replica = Self::blank(member, Incarnation::ZERO, rules, service);
        assert!(member.epoch.members.contains(member.id), "{} is not in {}", member.id, member.epoch.members);
        assert!(member.epoch.epoch == Epoch::ZERO, "a new group is in its first epoch");
        replica.enter_normal(now);
        replica
    }

    /// The same replica, which has just been made, told that it is that start of its node. A node that starts
    /// again for an epoch in which it has never taken part [stands by](Self::standby) or [joins](Self::join), and need
    /// not recover, but must not be taken for a ghost of its earlier self.
    #[must_use]
    pub fn in_incarnation(mut self, incarnation: Incarnation) -> Self {
        self.incarnations[self.id.index()] = incarnation;
        self
    }

    /// A node that is to become a member later: it waits until an epoch begins of which it is one (see
    /// [`warm_up`](Self::warm_up) for what it can do meanwhile).
    ///
    /// Only for the first start ever, like [`new`](Self::new); `service` must be in its initial state.
    ///
    /// # Panics
    /// If the node is a member already, or its options are out of range.
    #[must_use]
    pub fn standby(member: Member, rules: R, service: S) -> Self {
        let mut replica = Self::blank(member, Incarnation::ZERO, rules, service);
        assert!(!member.epoch.members.contains(member.id), "{} is in {}", member.id, member.epoch.members);
        replica.phase = Phase::Standby;
        replica
    }

    /// A member of an epoch that has begun without it: it fetches the log up to the epoch's start, and then takes part.
    ///
    /// Only for a node that has never taken part in this epoch or a later one, and does not run; in earlier ones it may
    /// have. `service` must be in its initial state, and `incarnation` larger than at any earlier start, or zero if
    /// there was none.
    ///
    /// # Panics
    /// If the node is no member, the epoch is the first one (see [`new`](Self::new)), or the options are out of
    /// range.
    pub fn join(
        now: Instant,
        member: Member,
        incarnation: Incarnation,
        rules: R,
        service: S,
        outbox: &mut impl Outbox<S>,
    ) -> Self {
        let mut replica = Self::blank(member, incarnation, rules, service);
        assert!(member.epoch.members.contains(member.id), "{} is not in {}", member.id, member.epoch.members);
        assert!(member.epoch.epoch > Epoch::ZERO, "the first epoch has no log to fetch");
        replica.enter_without_log(now, outbox);
        replica
    }

    /// A replica that was restarted and has lost its memory. It asks the others for the state and takes
    /// part in nothing until it has it.
    ///
    /// `service` must be in its initial state: all operations are executed anew. `incarnation` must be larger
    /// than at any earlier start of this replica, and above zero; one that was used before is not noticed
    /// here, but the others take the replica for a ghost of its earlier self and do not answer.
    ///
    /// The member's epoch may be over, as long as somebody who is in it, or was, can still be asked. A node that
    /// was never a member recovers too, if it has run before: it might have been made one since.
    ///
    /// # Panics
    /// If its options are out of range, or the incarnation is zero.
    pub fn recover(
        now: Instant,
        member: Member,
        incarnation: Incarnation,
        rules: R,
        service: S,
        outbox: &mut impl Outbox<S>,
    ) -> Self {
        assert!(incarnation > Incarnation::ZERO, "a restarted replica has an incarnation above zero");
        let mut replica = Self::blank(member, incarnation, rules, service);
        replica.keep_forgotten_promise(now);
        if replica.rules.must_recover() {
            replica.start_recovery(now, outbox);
        } else {
            replica.enter_normal(now);
        }
        replica
    }

    fn blank(member: Member, incarnation: Incarnation, rules: R, service: S) -> Self {
        let Member { id, epoch, options, entropy } = member;
        let group = epoch.members;
        options.validate().unwrap_or_else(|invalid| panic!("{invalid}"));
        let mut incarnations = vec![Incarnation::ZERO; group.rows().max(id.index() + 1)];
        incarnations[id.index()] = incarnation;
        Self {
            id,
            group,
            epoch_start: epoch,
            executed_epoch: None,
            announced: Epoch::ZERO,
            options,
            rules,
            incarnations: incarnations.into(),
            view: View::of(epoch.epoch, 0),
            last_normal_view: View::ZERO,
            phase: Phase::Recovering(Recovering::default()),
            log: Log::default(),
            commit_number: CommitNumber::ZERO,
            client_table: ClientTable::default(),
            service,
            checkpoints: Checkpoints::none(),
            witness: group.is_witness(id).then(Witness::new),
            covered: OpNumber::ZERO,
            acknowledged: vec![OpNumber::ZERO; group.rows()].into(),
            proposals: Proposals::none(group),
            promised_until: Instant(0),
            waiting_reads: Vec::new(),
            unrecovered: Unrecovered::default(),
            transfer: None,
            failed_views: 0,
            view_has_worked: true,
            entropy: Entropy::new(entropy),
        }
    }

    // ---- Inputs ----------------------------------------------------------------------------------

    /// A message from another replica.
    pub fn on_message(&mut self, now: Instant, message: Message<S>, outbox: &mut impl Outbox<S>) {
        self.telling_role_changes(now, outbox, |replica, outbox| replica.receive(now, message, outbox));
    }

    /// A request from a client.
    pub fn on_request(
        &mut self,
        now: Instant,
        request: Arc<Request<S::Operation>>,
        outbox: &mut impl Outbox<S>,
    ) {
        self.telling_role_changes(now, outbox, |replica, outbox| {
            replica.handle_request(now, request, outbox);
        });
    }

    /// A read from a client.
    pub fn on_read(&mut self, now: Instant, read: Arc<Read<S::Operation>>, outbox: &mut impl Outbox<S>) {
        self.telling_role_changes(now, outbox, |replica, outbox| replica.handle_read(now, read, outbox));
    }

    /// A deadline has passed, or may have: what is due by `now` is done.
    pub fn on_timeout(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        self.telling_role_changes(now, outbox, |replica, outbox| {
            match replica.phase {
                Phase::Primary(_) => replica.primary_timeouts(now, outbox),
                Phase::Backup(_) => replica.backup_timeouts(now, outbox),
                Phase::ViewChange(_) => replica.view_change_timeouts(now, outbox),
                Phase::Recovering(_) => replica.recovery_timeouts(now, outbox),
                Phase::Leaving(_) => replica.leaving_timeouts(now, outbox),
                Phase::Transitioning | Phase::Stopped | Phase::Standby => {}
            }
            replica.transfer_timeouts(now, outbox);
        });
    }

    /// Somebody outside of the group knows that `start` has begun: a directory, an operator. Nothing that the
    /// replica knows already changes anything. It need not be told, unless all that it could ask are gone.
    pub fn on_epoch(&mut self, now: Instant, start: EpochStart, outbox: &mut impl Outbox<S>) {
        self.telling_role_changes(now, outbox, |replica, outbox| replica.hear_of_epoch(now, start, outbox));
    }

    /// When [`on_timeout`](Self::on_timeout) wants to be called next.
    #[must_use]
    pub fn next_deadline(&self) -> Instant {
        let phase = match &self.phase {
            Phase::Primary(primary) => primary.next_deadline(),
            Phase::Backup(backup) => backup.next_deadline(),
            Phase::ViewChange(view_change) => view_change.next_deadline(),
            Phase::Recovering(recovering) => recovering.next_deadline(),
            Phase::Leaving(leaving) => leaving.next_deadline(),
            Phase::Transitioning | Phase::Stopped | Phase::Standby => Instant::NEVER,
        };
        match &self.transfer {
            Some(transfer) => phase.min(transfer.ask_at),
            None => phase,
        }
    }

    fn receive(&mut self, now: Instant, message: Message<S>, outbox: &mut impl Outbox<S>) {
        let Message { from, incarnation, view, .. } = message;
        let kind = message.payload.kind();
        let is_of_other_epoch = !self.rules.hears_epoch(kind, view.epoch(), self.view.epoch());
        let may_speak = self.group.contains(from) || is_of_other_epoch || kind.crosses_groups();
        if !may_speak || from == self.id {
            return outbox.ignored(Ignored::NotFromAMember);
        }
        if self.is_recovering() && !self.hears_while_recovering(kind, view) {
            return outbox.ignored(Ignored::Recovering);
        }
        self.make_room_for(from);
        if !self.rules.hears_incarnation(incarnation, self.incarnations[from.index()]) {
            return outbox.ignored(Ignored::StaleIncarnation);
        }
        if kind != MessageKind::Recovery || self.rules.learns_incarnation_from_recovery() {
            self.learn_incarnation(from, incarnation);
        }
        if is_of_other_epoch {
            return self.on_epoch_message(now, from, view, message.payload, outbox);
        }
        if !self.is_normal()
            && let Some(reason) = self.reason_to_take_no_part(kind)
        {
            return outbox.ignored(reason);
        }
        match message.payload {
            Payload::Prepare(prepare) => self.on_prepare(now, from, view, prepare, outbox),
            Payload::PrepareOk(ok) => self.on_prepare_ok(now, from, view, ok, outbox),
            Payload::Commit(commit) => self.on_commit(now, from, view, commit, outbox),
            Payload::CommitOk(ok) => self.on_commit_ok(now, from, view, ok, outbox),
            Payload::StartViewChange(start) => {
                self.on_start_view_change(now, from, view, start, outbox);
            }
            Payload::DoViewChange(vote) => {
                self.on_do_view_change(now, from, incarnation, view, vote, outbox);
            }
            Payload::StartView(start) => self.on_start_view(now, from, view, &start, outbox),
            Payload::Recovery(recovery) => self.on_recovery(now, from, recovery, outbox),
            Payload::RecoveryResponse(response) => {
                self.on_recovery_response(now, from, incarnation, view, *response, outbox);
            }
            Payload::GetState(get) => self.on_get_state(from, get, outbox),
            Payload::NewState(state) => self.on_new_state(now, from, view, &state, outbox),
            Payload::GetCheckpoint(get) => self.on_get_checkpoint(from, get, outbox),
            Payload::CheckpointPart(part) => self.on_checkpoint_part(now, from, *part, outbox),
            Payload::Request(request) => self.on_passed_on_request(now, request, outbox),
            of_epochs @ (Payload::StartEpoch(_)
            | Payload::EpochStarted(_)
            | Payload::NewEpoch(_)
            | Payload::GetEpoch) => self.on_epoch_message(now, from, view, of_epochs, outbox),
        }
    }

    /// Whether a replica that is recovering looks at such a message of `view`.
    #[cold]
    fn hears_while_recovering(&self, kind: MessageKind, view: View) -> bool {
        let is_awaited = self.transfer.is_some() && kind.is_state();
        let is_news = view.epoch() > self.view.epoch();
        self.rules.takes_part_while_recovering(kind) || is_awaited || is_news
    }

    /// Why a replica that is not normal takes no part in what such a message is about, if it does not.
    #[cold]
    fn reason_to_take_no_part(&self, kind: MessageKind) -> Option<Ignored> {
        let is_transitioning = matches!(self.phase, Phase::Transitioning);
        if self.is_outside() && !kind.crosses_groups() {
            Some(Ignored::NotAMember)
        } else if is_transitioning && !self.rules.takes_part_while_transitioning(kind) {
            Some(Ignored::Transitioning)
        } else {
            None
        }
    }

    #[inline]
    fn telling_role_changes<B: Outbox<S>>(
        &mut self,
        now: Instant,
        outbox: &mut B,
        act: impl FnOnce(&mut Self, &mut B),
    ) {
        let before = (discriminant(&self.phase), self.view);
        act(self, outbox);
        if !self.is_epoch_settled() {
            self.settle_epoch(now, outbox);
        }
        if before != (discriminant(&self.phase), self.view) {
            self.tell_role(outbox);
        }
    }

    #[cold]
    fn tell_role(&self, outbox: &mut impl Outbox<S>) {
        outbox.role_changed(self.role(), self.view);
    }

    // ---- What can be seen ------------------------------------------------------------------------

    /// The node that the replica is.
    #[must_use]
    pub fn id(&self) -> ReplicaId {
        self.id
    }

    /// The members of the replica's epoch.
    #[must_use]
    pub fn group(&self) -> Configuration {
        self.group
    }

    /// The view the replica is in, or is changing to.
    #[must_use]
    pub fn view(&self) -> View {
        self.view
    }

    /// The last view in which the replica's status was normal.
    #[must_use]
    pub fn last_normal_view(&self) -> View {
        self.last_normal_view
    }

    /// What the replica is to its group.
    #[must_use]
    pub fn role(&self) -> Role {
        // Each phase has one role but for this one: so it is looked up in a table.
        let role = match self.phase {
            Phase::Primary(_) => Role::Primary,
            Phase::Backup(_) => Role::Backup,
            Phase::ViewChange(_) => Role::ViewChange,
            Phase::Recovering(_) => Role::Recovering,
            Phase::Transitioning => Role::Transitioning,
            Phase::Leaving(_) => Role::Leaving,
            Phase::Stopped => Role::Stopped,
            Phase::Standby => Role::Standby,
        };
        if role == Role::Backup && self.is_witness() { Role::Witness } else { role }
    }

    /// Which start of the replica this is.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.incarnations[self.id.index()]
    }

    /// The op-number of the last entry of the log.
    #[must_use]
    pub fn op_number(&self) -> OpNumber {
        self.log.last()
    }

    /// Up to where operations are known to be committed, and are executed unless this is a witness.
    #[must_use]
    pub fn commit_number(&self) -> CommitNumber {
        self.commit_number
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> &Log<S::Operation> {
        &self.log
    }

    /// The client table.
    #[must_use]
    pub fn client_table(&self) -> &ClientTable<S::Response> {
        &self.client_table
    }

    /// The replicated service, as executed up to the commit-number. Of a witness it says nothing.
    #[must_use]
    pub fn service(&self) -> &S {
        &self.service
    }

    /// The latest checkpoint that this replica took or was sent.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&Checkpoint<S>> {
        self.checkpoints.latest().map(|latest| &**latest)
    }

    /// Whether the replica is waiting for state from another one.
    #[must_use]
    pub fn is_fetching(&self) -> bool {
        self.transfer.is_some()
    }

    // ---- What the sub-protocols share ------------------------------------------------------------

    pub(crate) fn is_normal(&self) -> bool {
        matches!(self.phase, Phase::Primary(_) | Phase::Backup(_))
    }

    pub(crate) fn is_recovering(&self) -> bool {
        matches!(self.phase, Phase::Recovering(_))
    }

    pub(crate) fn primary_of(&self, view: View) -> ReplicaId {
        self.rules.primary(self.group, view)
    }

    /// Takes up the role that the current view gives this replica.
    pub(crate) fn enter_normal(&mut self, now: Instant) {
        self.proposals.clear();
        self.transfer = None;
        self.checkpoints.stop_fetching();
        for acknowledged in &mut self.acknowledged {
            *acknowledged = self.rules.acknowledged_at_view_start(*acknowledged);
        }
        let patience = self.backed_off(self.options.primary_timeout);
        self.phase = if self.primary_of(self.view) == self.id {
            let (pipeline, coverage) = (self.inherited_pipeline(), self.no_coverage());
            Phase::Primary(Primary::starting(now, patience, pipeline, self.no_reads(), coverage))
        } else {
            Phase::Backup(Backup::starting(now, patience))
        };
    }

    pub(crate) fn message(&self, payload: Payload<S>) -> Message<S> {
        Message { from: self.id, incarnation: self.incarnation(), view: self.view, payload }
    }

    pub(crate) fn send(&self, to: ReplicaId, payload: Payload<S>, outbox: &mut impl Outbox<S>) {
        assert_ne!(to, self.id, "a replica does not send to itself");
        outbox.send(to, self.message(payload));
    }

    pub(crate) fn broadcast(&self, payload: Payload<S>, outbox: &mut impl Outbox<S>) {
        let mut others = self.group.others(self.id);
        let Some(last) = others.next_back() else { return };
        for to in others {
            outbox.send(to, self.message(payload.clone()));
        }
        outbox.send(last, self.message(payload));
    }

    /// The group of which a quorum decides.
    pub(crate) fn quorum_group(&self) -> Configuration {
        self.rules.quorum_group(self.group, self.epoch_start.previous)
    }

    pub(crate) fn reply(&self, to: ClientAddress, body: ReplyBody<S::Response>, outbox: &mut impl Outbox<S>) {
        outbox.reply(to, Reply { from: self.id, view: self.view, body });
    }

    pub(crate) fn learn_incarnation(&mut self, of: ReplicaId, incarnation: Incarnation) {
        let known = &mut self.incarnations[of.index()];
        *known = incarnation.max(*known);
    }

    pub(crate) fn learn_incarnations(&mut self, known_elsewhere: &[Incarnation]) {
        if !self.rules.learns_incarnations_from_others() {
            return;
        }
        if let Some(last) = known_elsewhere.len().checked_sub(1) {
            self.make_room_for(ReplicaId(last as u8));
        }
        for (known, &elsewhere) in self.incarnations.iter_mut().zip(known_elsewhere) {
            *known = elsewhere.max(*known);
        }
    }

    pub(crate) fn append(&mut self, entry: Entry<S::Operation>, outbox: &mut impl Outbox<S>) -> OpNumber {
        if !self.is_witness() {
            self.client_table.mark_in_flight(&entry.request);
        }
        outbox.appended(self.log.last().next(), &entry);
        self.log.append(entry)
    }

    pub(crate) fn held(&self) -> HeldState {
        HeldState {
            view: self.view,
            last_normal_view: self.last_normal_view,
            op_number: self.log.last(),
            commit_number: self.commit_number,
        }
    }

    /// The end of the log, as far back as view changes and recoveries send it.
    pub(crate) fn log_suffix(&self) -> Log<S::Operation> {
        let margin = self.options.suffix_margin;
        self.log.suffix(OpNumber(self.commit_number.0.saturating_sub(margin)))
    }

    /// Makes the log the one that ends with `log`, which holds the same committed operations. Where `log` begins
    /// after them, this replica's own log comes before it: the caller has made sure that it is the same.
    pub(crate) fn adopt_log(&mut self, log: Log<S::Operation>, outbox: &mut impl Outbox<S>) {
        self.adopt_log_to_execute(log, self.commit_number, outbox);
    }

    /// The same, where the caller goes on to execute everything up to `committed_in_log`: that is in flight no more.
    pub(crate) fn adopt_log_to_execute(
        &mut self,
        log: Log<S::Operation>,
        committed_in_log: CommitNumber,
        outbox: &mut impl Outbox<S>,
    ) {
        let committed = self.commit_number.op_number();
        let known = committed.max(log.start()).min(log.last());
        assert!(known <= self.log.last(), "a log from {} on, after one that ends earlier", log.start());
        let common = self.log.common_prefix(&log, known);
        if common < self.log.last() {
            outbox.truncated(common);
        }
        assert!(
            common >= committed,
            "a log that ends at {common} would drop committed operation {committed}"
        );
        if log.start() <= self.log.start() {
            // To share a log costs less than to copy what differs.
            self.log = log;
        } else {
            self.log.truncate(common);
            log.entries_after(common).for_each(|(_, entry)| _ = self.log.append(entry.clone()));
        }
        self.log.entries_after(common).for_each(|(op_number, entry)| outbox.appended(op_number, entry));
        self.rebuild_in_flight(committed_in_log);
    }

    pub(crate) fn truncate_log(&mut self, last_kept: OpNumber, outbox: &mut impl Outbox<S>) {
        if last_kept < self.log.last() {
            outbox.truncated(last_kept);
            self.log.truncate(last_kept);
        }
    }

    pub(crate) fn log_end_replaced(&mut self) {
        self.rebuild_in_flight(self.commit_number);
    }

    /// What comes after `committed` is in flight.
    fn rebuild_in_flight(&mut self, committed: CommitNumber) {
        if self.rules.rebuilds_in_flight() && !self.is_witness() {
            self.client_table.rebuild_in_flight(&self.log, committed);
        }
    }

    /// `span`, made longer for the view changes that led to nothing, and by up to a quarter at
    /// random, so that replicas do not time out in step.
    pub(crate) fn backed_off(&mut self, span: Duration) -> Duration {
        let doublings = self.doublings();
        self.entropy.jittered(span.doubled(doublings))
    }

    /// How often timeouts are doubled for the view changes that led to nothing.
    pub(crate) fn doublings(&self) -> u32 {
        self.rules.doublings(self.failed_views, self.options.backoff_limit)
    }

    pub(crate) fn jittered(&mut self, span: Duration) -> Duration {
        self.entropy.jittered(span)
    }
}
