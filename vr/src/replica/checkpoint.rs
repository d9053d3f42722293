//! Checkpoints (paper, section 5.1): the log's beginning is dropped, and who lacks it is sent the state in its
//! place, piece by piece.
//!
//! A checkpoint that has arrived changes nothing by itself. It is installed together with the log that comes
//! after it, in one step, by whatever was waiting for that log: state transfer, recovery, or the start of a
//! view. Until then the replica claims no view whose log it does not hold.
//!
//! A large checkpoint takes longer to send than it takes clients to make the next one due, and without the log after it
//! it is of no use. So whoever sends one keeps it, and the log after it, for as long as it is fetched further and
//! further ([`Pinned`]); and whoever fetches one keeps to who sends it, though others have later ones.

use std::sync::Arc;

use super::{Phase, Replica};
use crate::checkpoint::{Arriving, Checkpoint, Origin};
use crate::log::Log;
use crate::message::{CheckpointPart, GetCheckpoint, NewState, Payload};
use crate::outbox::{Ignored, Outbox, RarePath};
use crate::rules::Rules;
use crate::service::Service;
use crate::types::{CommitNumber, Instant, OpNumber, ReplicaId, View};

/// How many pieces are sent in answer to one question: up to the next multiple of this.
const PARTS_AT_ONCE: usize = 8;

/// How many further checkpoints may be taken until who fetches an earlier one must have asked for more of it, or it is
/// let go. This is no time, but it is what waiting costs: the log that grows meanwhile.
const KEPT_FOR: u32 = 32;

/// And how many once it has asked for the log after it, which may get lost.
const KEPT_FOR_LOG: u32 = 2;

/// How often who sends a checkpoint is asked for its rest, or for the log after it, until others are asked.
const ASKED_AT_SENDER: u32 = 3;

/// The checkpoints that a replica holds.
#[derive(Debug)]
pub(crate) struct Checkpoints<S: Service> {
    latest: Option<Arc<Checkpoint<S>>>,
    /// The one before: others may be in the middle of fetching it.
    previous: Option<Arc<Checkpoint<S>>>,
    /// One that others are fetching from here.
    pinned: Option<Pinned<S>>,
    /// One whose pieces come from another replica.
    arriving: Option<Arriving<S>>,
    /// One that is here and waits for the log after it.
    arrived: Option<(Origin, Arc<Checkpoint<S>>)>,
}

/// A checkpoint that is kept with the log after it while others fetch it. There is one at a time: whoever needs a
/// checkpoint meanwhile is sent this one.
///
/// Nobody can make it last longer than [`KEPT_FOR`] checkpoints for each of its pieces and each who fetches it. So it
/// ends whatever they do, and with it the growth of the log.
#[derive(Debug)]
struct Pinned<S: Service> {
    checkpoint: Arc<Checkpoint<S>>,
    /// Who fetches it, or has; a row for each.
    fetches: Vec<Fetch>,
}

/// How far a replica has come with fetching a checkpoint.
#[derive(Clone, Copy, Debug)]
struct Fetch {
    by: ReplicaId,
    /// The furthest piece that it has asked for.
    part: usize,
    /// For how many further checkpoints the pinned one is kept for its sake.
    kept_for: u32,
}

impl<S: Service> Pinned<S> {
    /// A replica has asked for the rest of it, from `part` on. To ask for the same again is not to get further.
    fn asked_for(&mut self, by: ReplicaId, part: usize) {
        match self.fetches.iter_mut().find(|fetch| fetch.by == by) {
            Some(fetch) if part > fetch.part => (fetch.part, fetch.kept_for) = (part, KEPT_FOR),
            Some(_) => {}
            None => self.fetches.push(Fetch { by, part, kept_for: KEPT_FOR }),
        }
    }

    /// A replica has asked for the log after `after`.
    fn log_asked_for(&mut self, by: ReplicaId, after: OpNumber) {
        for fetch in self.fetches.iter_mut().filter(|fetch| fetch.by == by) {
            if after >= self.checkpoint.op_number() {
                fetch.kept_for = fetch.kept_for.min(KEPT_FOR_LOG);
            }
        }
    }

    /// A further checkpoint is taken; says whether this one is needed no more.
    fn age(&mut self) -> bool {
        self.fetches.iter_mut().for_each(|fetch| fetch.kept_for = fetch.kept_for.saturating_sub(1));
        self.fetches.iter().all(|fetch| fetch.kept_for == 0)
    }
}

impl<S: Service> Clone for Pinned<S> {
    fn clone(&self) -> Self {
        Self { checkpoint: Arc::clone(&self.checkpoint), fetches: self.fetches.clone() }
    }
}

impl<S: Service> Clone for Checkpoints<S> {
    fn clone(&self) -> Self {
        let Self { latest, previous, pinned, arriving, arrived } = self;
        Self {
            latest: latest.clone(),
            previous: previous.clone(),
            pinned: pinned.clone(),
            arriving: arriving.clone(),
            arrived: arrived.clone(),
        }
    }
}

impl<S: Service> Checkpoints<S> {
    pub(super) const fn none() -> Self {
        Self { latest: None, previous: None, pinned: None, arriving: None, arrived: None }
    }

    pub(super) const fn latest(&self) -> Option<&Arc<Checkpoint<S>>> {
        self.latest.as_ref()
    }

    /// Forgets all: who is a witness needs none.
    pub(super) fn drop_all(&mut self) {
        *self = Self::none();
    }

    /// Forgets what was on its way: it is not needed any more.
    pub(super) fn stop_fetching(&mut self) {
        self.arriving = None;
        self.arrived = None;
    }

    /// Forgets what was on its way if the log has brought as much meanwhile.
    pub(super) fn forget_overtaken(&mut self, executed: CommitNumber) {
        self.arriving.take_if(|arriving| executed.covers(arriving.op_number()));
        self.arrived.take_if(|(_, arrived)| executed.covers(arrived.op_number()));
    }

    /// Goes on from the checkpoint that has arrived, with what `from` has after it; says whether another was arriving.
    fn give_up_arriving(&mut self, from: ReplicaId) -> bool {
        self.arrived.iter_mut().for_each(|(origin, _)| (origin.from, origin.asked) = (from, 0));
        self.arriving.take().is_some()
    }

    /// The first view whose log is known to begin with the checkpoint that has arrived, or else with the one that is
    /// arriving.
    pub(super) fn view(&self) -> Option<View> {
        let arrived = self.arrived.as_ref().map(|(origin, _)| origin.view);
        arrived.or_else(|| Some(self.arriving.as_ref()?.origin().view))
    }

    /// Where the checkpoint comes from that is arriving, or else has arrived.
    fn origin(&self) -> Option<&Origin> {
        let arrived = self.arrived.as_ref().map(|(origin, _)| origin);
        self.arriving.as_ref().map(Arriving::origin).or(arrived)
    }

    /// Its sender, until that has not answered for a while.
    pub(super) fn sender(&self) -> Option<ReplicaId> {
        self.origin().filter(|origin| origin.asked < ASKED_AT_SENDER).map(|origin| origin.from)
    }

    /// `peer` is asked for more of it, or for the log after it.
    pub(super) fn note_asked(&mut self, peer: ReplicaId) {
        let arrived = self.arrived.as_mut().map(|(origin, _)| origin);
        let origin = self.arriving.as_mut().map(Arriving::origin_mut).or(arrived);
        if let Some(origin) = origin.filter(|origin| origin.from == peer) {
            origin.asked += 1;
        }
    }

    /// The op-number of the checkpoint that is arriving, or has arrived; zero if there is none.
    fn under_way(&self) -> OpNumber {
        self.arriving.as_ref().map_or_else(|| self.arrived(), Arriving::op_number)
    }

    /// The op-number of the checkpoint that is here and not installed; zero if there is none.
    pub(super) fn arrived(&self) -> OpNumber {
        self.arrived.as_ref().map_or(OpNumber::ZERO, |(_, checkpoint)| checkpoint.op_number())
    }

    /// What to ask for next: the first piece that is missing of the checkpoint that is arriving.
    pub(super) fn wanted(&self) -> Option<GetCheckpoint> {
        let arriving = self.arriving.as_ref()?;
        Some(GetCheckpoint { op_number: arriving.op_number(), part: arriving.missing()? })
    }

    fn pinned(&self) -> Option<&Arc<Checkpoint<S>>> {
        self.pinned.as_ref().map(|pinned| &pinned.checkpoint)
    }

    fn at(&self, op_number: OpNumber) -> Option<&Arc<Checkpoint<S>>> {
        let previous = self.previous.as_ref();
        let held = [self.latest(), previous, self.pinned()];
        held.into_iter().flatten().find(|held| held.op_number() == op_number)
    }

    /// The checkpoint for who has begun with none: the one that others are fetching, or else the latest.
    fn offered(&self) -> Option<&Arc<Checkpoint<S>>> {
        self.pinned().or(self.latest())
    }

    /// Keeps `checkpoint` for who has asked for its rest, unless others are fetching another one.
    fn pin(&mut self, checkpoint: &Arc<Checkpoint<S>>, by: ReplicaId, part: usize) {
        let pin = || Pinned { checkpoint: Arc::clone(checkpoint), fetches: Vec::new() };
        let pinned = self.pinned.get_or_insert_with(pin);
        if pinned.checkpoint.op_number() == checkpoint.op_number() {
            pinned.asked_for(by, part);
        }
    }

    /// A replica has asked for the log after `after`: if that comes after the pinned checkpoint, it has that one.
    pub(super) fn log_asked_for(&mut self, by: ReplicaId, after: OpNumber) {
        if let Some(pinned) = &mut self.pinned {
            pinned.log_asked_for(by, after);
        }
    }
}

impl<S: Service, R: Rules> Replica<S, R> {
    // ---- Taking ----------------------------------------------------------------------------------

    /// Takes a checkpoint if one is due, and drops what the log holds in front of the one before.
    #[inline]
    pub(super) fn take_checkpoint_if_due(&mut self, outbox: &mut impl Outbox<S>) {
        let interval = self.options.checkpoint_interval;
        if interval > 0
            && let Some(op_number) = self.rules.checkpoint_due(self.commit_number, interval)
        {
            self.take_checkpoint(op_number, outbox);
        }
    }

    #[cold]
    fn take_checkpoint(&mut self, op_number: OpNumber, outbox: &mut impl Outbox<S>) {
        let sessions =
            if self.rules.checkpoint_holds_sessions() { self.client_table.sessions() } else { &[] };
        let checkpoint =
            Arc::new(Checkpoint::take(op_number, sessions.into(), self.executed_epoch, &self.service));
        outbox.checkpoint_taken(&checkpoint);
        let previous = self.checkpoints.latest.replace(checkpoint);
        self.checkpoints.previous = previous.filter(|previous| previous.op_number() < op_number);
        self.checkpoints.pinned.take_if(Pinned::age);
        self.compact_log(op_number, outbox);
    }

    /// What is executed is in no log any more, so it is kept for others as a checkpoint.
    pub(super) fn keep_state(&mut self) {
        if self.commit_number > CommitNumber::ZERO {
            let (op_number, sessions) = (self.commit_number.op_number(), self.client_table.sessions());
            let state = Checkpoint::take(op_number, sessions.into(), self.executed_epoch, &self.service);
            self.checkpoints = Checkpoints { latest: Some(Arc::new(state)), ..Checkpoints::none() };
        }
    }

    /// Drops what nobody should need: not what comes after a checkpoint that somebody is fetching. In a group with
    /// witnesses these are among those who might: a witness that is behind has no use for a checkpoint.
    pub(super) fn compact_log(&mut self, latest: OpNumber, outbox: &mut impl Outbox<S>) {
        let Some(previous) = self.checkpoints.previous.as_ref().map(|held| held.op_number()) else { return };
        let margin = self.options.log_margin;
        let mut through = self.rules.compacted_through(previous, latest, margin, self.log.last());
        if let Some(pinned) = self.checkpoints.pinned() {
            through = through.min(pinned.op_number());
        }
        if self.group.has_witnesses() {
            through = through.min(self.covered);
        }
        if through > self.log.start() {
            self.log.compact(through);
            outbox.compacted(through);
        }
    }

    // ---- Sending ---------------------------------------------------------------------------------

    pub(super) fn on_get_checkpoint(
        &mut self,
        to: ReplicaId,
        get: GetCheckpoint,
        outbox: &mut impl Outbox<S>,
    ) {
        match self.checkpoints.at(get.op_number).cloned() {
            Some(checkpoint) => self.send_checkpoint(to, &checkpoint, get.part, outbox),
            None => self.offer_checkpoint(to, outbox),
        }
    }

    /// Sends the beginning of a checkpoint: the log does not reach back as far as it was asked for.
    pub(super) fn offer_checkpoint(&mut self, to: ReplicaId, outbox: &mut impl Outbox<S>) {
        match self.checkpoints.offered().cloned() {
            Some(checkpoint) => self.send_checkpoint(to, &checkpoint, 0, outbox),
            None => outbox.ignored(Ignored::NoCheckpoint),
        }
    }

    fn send_checkpoint(
        &mut self,
        to: ReplicaId,
        checkpoint: &Arc<Checkpoint<S>>,
        first: usize,
        outbox: &mut impl Outbox<S>,
    ) {
        self.checkpoints.pin(checkpoint, to, first);
        let (op_number, parts) = (checkpoint.op_number(), checkpoint.parts());
        let end = (first / PARTS_AT_ONCE + 1) * PARTS_AT_ONCE;
        for part in first..end.min(parts) {
            let content = checkpoint.part(part).expect("a piece of the checkpoint");
            let last_normal_view = self.last_normal_view;
            let part = CheckpointPart { op_number, last_normal_view, part, parts, content };
            self.send(to, Payload::CheckpointPart(Box::new(part)), outbox);
        }
    }

    // ---- Fetching --------------------------------------------------------------------------------

    /// Whether the checkpoint `op_number`, of which `from` sends the beginning, is worth leaving the one for that is
    /// arriving, or waits for its log: if that one's sender has come to a later one, or says nothing any more. Others
    /// have later ones all the time.
    fn leaves_checkpoint_for(&self, from: ReplicaId, op_number: OpNumber) -> bool {
        let has_later = |sender| sender == from && op_number > self.checkpoints.under_way();
        self.transfer.and_then(|transfer| self.keeps_to(transfer)).is_none_or(has_later)
    }

    pub(super) fn on_checkpoint_part(
        &mut self,
        now: Instant,
        from: ReplicaId,
        part: CheckpointPart<S>,
        outbox: &mut impl Outbox<S>,
    ) {
        let CheckpointPart { op_number, last_normal_view, part, parts, content } = part;
        if self.transfer.is_none() {
            return outbox.ignored(Ignored::LateCheckpoint);
        }
        let is_arriving = |arriving: &Arriving<S>| arriving.op_number() == op_number;
        let goes_on = self.checkpoints.arriving.as_ref().is_some_and(is_arriving);
        if !goes_on && !self.leaves_checkpoint_for(from, op_number) {
            return outbox.ignored(Ignored::OtherCheckpoint);
        }
        if self.commit_number.covers(op_number) || op_number <= self.checkpoints.arrived() {
            outbox.ignored(Ignored::LateCheckpoint);
            // Who answers so may not hold the one that is arriving, and nobody else might: what comes after the
            // earlier one is as good.
            if part == 0 && self.checkpoints.give_up_arriving(from) {
                outbox.took(RarePath::CheckpointSuperseded);
                self.ask_on(now, from, outbox);
            }
            return;
        }
        // Who does not hold the one that is arriving begins with another: a later one, or the last one that there
        // still is, if those who held the later one have lost it.
        if part > 0 && !goes_on && self.checkpoints.arriving.is_some() {
            return outbox.ignored(Ignored::LateCheckpoint);
        }
        if self.checkpoints.arriving.take_if(|arriving| !is_arriving(arriving)).is_some() {
            outbox.took(RarePath::CheckpointSuperseded);
        }
        let origin = Origin { from, view: last_normal_view, asked: 0 };
        let arriving =
            self.checkpoints.arriving.get_or_insert_with(|| Arriving::new(op_number, origin, parts));
        if !arriving.put(from, part, content) {
            return outbox.ignored(Ignored::LateCheckpoint);
        }
        match arriving.missing() {
            None => self.complete_checkpoint(now, from, outbox),
            Some(missing) => self.lacks_part(now, from, part, missing, outbox),
        }
    }

    fn complete_checkpoint(&mut self, now: Instant, from: ReplicaId, outbox: &mut impl Outbox<S>) {
        let Some(arriving) = self.checkpoints.arriving.take() else { return };
        self.checkpoints.arrived = Some((*arriving.origin(), Arc::new(arriving.complete())));
        outbox.took(RarePath::CheckpointFetched);
        self.has_checkpoint(now, outbox);
        self.ask_on(now, from, outbox);
    }

    /// The piece `part` has come; the first one that is missing is `missing`. Of what was asked for all is here, or the
    /// end is; or more is on its way.
    fn lacks_part(
        &mut self,
        now: Instant,
        from: ReplicaId,
        part: usize,
        missing: usize,
        outbox: &mut impl Outbox<S>,
    ) {
        let is_filled = missing > part && missing.is_multiple_of(PARTS_AT_ONCE);
        if is_filled || (part + 1).is_multiple_of(PARTS_AT_ONCE) {
            self.ask_on(now, from, outbox);
        } else if let Some(transfer) = &mut self.transfer {
            (transfer.peer, transfer.asked) = (from, 1);
            transfer.ask_at = now + self.options.resend_interval.doubled(1);
        }
    }

    /// A checkpoint is here: it may be all that a new primary waits for.
    fn has_checkpoint(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        if !self.rules.waits_for_log_after_checkpoint() && self.waits_for_later_view() {
            let (after, view) = (self.checkpoints.arrived(), self.transfer.map(|transfer| transfer.view));
            let (entries, commit_number) = (Arc::new([]), after.as_commit_number());
            let (for_vote, is_history, covered) = (false, false, OpNumber::ZERO);
            let state = NewState { after, entries, for_vote, is_history, commit_number, covered };
            return self.become_normal_with(now, view.expect("it waits for one"), &state, true, outbox);
        }
        self.start_view_if_possible(now, outbox);
    }

    // ---- Installing ------------------------------------------------------------------------------

    /// Whether the checkpoint that has arrived comes between what is held and the log of `view` from `start` to
    /// `last`.
    pub(super) fn checkpoint_bridges(&self, view: View, start: OpNumber, last: OpNumber) -> bool {
        let arrived = self.checkpoints.arrived();
        let precedes = |from| self.rules.checkpoint_precedes(from, view);
        self.checkpoints.view().is_some_and(precedes)
            && arrived > self.commit_number.op_number()
            && start <= arrived
            && arrived <= last
    }

    /// Puts the checkpoint that has arrived in the place of the service, the client table and the whole log.
    /// What comes after it is to be appended in the same step.
    pub(super) fn install_checkpoint(&mut self, outbox: &mut impl Outbox<S>) {
        let (_, checkpoint) = self.checkpoints.arrived.take().expect("a checkpoint has arrived");
        let op_number = checkpoint.op_number();
        assert!(
            !self.commit_number.covers(op_number),
            "checkpoint {op_number} would take back what was executed up to {}",
            self.commit_number
        );
        self.service.restore(checkpoint.service_parts());
        let is_joining = matches!(self.phase, Phase::Transitioning);
        let sessions = if self.rules.restores_sessions(is_joining) { checkpoint.sessions() } else { &[] };
        self.client_table.restore(sessions);
        self.executed_epoch = checkpoint.epoch();
        self.commit_number = self.rules.commit_number_after_checkpoint(op_number);
        self.log = Log::after(op_number);
        outbox.checkpoint_installed(&checkpoint, &self.service);
        self.checkpoints = Checkpoints { latest: Some(checkpoint), ..Checkpoints::none() };
    }
}
