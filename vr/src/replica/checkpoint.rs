//! Checkpoints (paper, section 5.1): the log's beginning is dropped, and who lacks it is sent the state in its
//! place, piece by piece.
//!
//! A checkpoint that has arrived changes nothing by itself. It is installed together with the log that comes
//! after it, in one step, by whatever was waiting for that log: state transfer, recovery, or the start of a
//! view. Until then the replica claims no view whose log it does not hold.

use std::sync::Arc;

use super::{Phase, Replica};
use crate::checkpoint::{Arriving, Checkpoint};
use crate::log::Log;
use crate::message::{CheckpointPart, GetCheckpoint, NewState, Payload};
use crate::outbox::{Ignored, Outbox, RarePath};
use crate::rules::Rules;
use crate::service::Service;
use crate::types::{CommitNumber, Instant, OpNumber, ReplicaId, View};

/// How many pieces are sent in answer to one question: up to the next multiple of this.
const PARTS_AT_ONCE: usize = 8;

/// The checkpoints that a replica holds.
#[derive(Debug)]
pub(crate) struct Checkpoints<S: Service> {
    latest: Option<Arc<Checkpoint<S>>>,
    /// The one before: others may be in the middle of fetching it.
    previous: Option<Arc<Checkpoint<S>>>,
    /// One whose pieces come from another replica.
    arriving: Option<Arriving<S>>,
    /// One that is here and waits for the log after it; and the first view whose log is known to begin with it.
    arrived: Option<(View, Arc<Checkpoint<S>>)>,
}

impl<S: Service> Clone for Checkpoints<S> {
    fn clone(&self) -> Self {
        let Self { latest, previous, arriving, arrived } = self;
        Self {
            latest: latest.clone(),
            previous: previous.clone(),
            arriving: arriving.clone(),
            arrived: arrived.clone(),
        }
    }
}

impl<S: Service> Checkpoints<S> {
    pub(super) const fn none() -> Self {
        Self { latest: None, previous: None, arriving: None, arrived: None }
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

    /// The first view whose log is known to begin with the checkpoint that has arrived, or else with the one that is
    /// arriving.
    pub(super) fn view(&self) -> Option<View> {
        let arrived = self.arrived.as_ref().map(|(view, _)| *view);
        arrived.or_else(|| self.arriving.as_ref().map(Arriving::view))
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

    fn at(&self, op_number: OpNumber) -> Option<&Arc<Checkpoint<S>>> {
        [&self.latest, &self.previous].into_iter().flatten().find(|held| held.op_number() == op_number)
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

    /// Drops what nobody should need. In a group with witnesses these are among those who might: a witness that is
    /// behind has no use for a checkpoint.
    pub(super) fn compact_log(&mut self, latest: OpNumber, outbox: &mut impl Outbox<S>) {
        let Some(previous) = self.checkpoints.previous.as_ref().map(|held| held.op_number()) else { return };
        let margin = self.options.log_margin;
        let mut through = self.rules.compacted_through(previous, latest, margin, self.log.last());
        if self.group.has_witnesses() {
            through = through.min(self.covered);
        }
        if through > self.log.start() {
            self.log.compact(through);
            outbox.compacted(through);
        }
    }

    // ---- Sending ---------------------------------------------------------------------------------

    pub(super) fn on_get_checkpoint(&self, to: ReplicaId, get: GetCheckpoint, outbox: &mut impl Outbox<S>) {
        match self.checkpoints.at(get.op_number) {
            Some(checkpoint) => self.send_checkpoint(to, checkpoint, get.part, outbox),
            None => self.send_latest_checkpoint(to, outbox),
        }
    }

    /// Sends the beginning of the latest checkpoint: the log does not reach back as far as it was asked for.
    pub(super) fn send_latest_checkpoint(&self, to: ReplicaId, outbox: &mut impl Outbox<S>) {
        match self.checkpoints.latest() {
            Some(checkpoint) => self.send_checkpoint(to, checkpoint, 0, outbox),
            None => outbox.ignored(Ignored::NoCheckpoint),
        }
    }

    fn send_checkpoint(
        &self,
        to: ReplicaId,
        checkpoint: &Arc<Checkpoint<S>>,
        first: usize,
        outbox: &mut impl Outbox<S>,
    ) {
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
        if self.commit_number.covers(op_number) || op_number <= self.checkpoints.arrived() {
            outbox.ignored(Ignored::LateCheckpoint);
            // Who answers so may not hold the one that is arriving, and nobody else might: what comes after the
            // earlier one is as good.
            if part == 0 && self.checkpoints.arriving.take().is_some() {
                outbox.took(RarePath::CheckpointSuperseded);
                self.ask_on(now, from, outbox);
            }
            return;
        }
        // Who does not hold the one that is arriving begins with another: a later one, or the last one that there
        // still is, if those who held the later one have lost it.
        let is_another = |arriving: &Arriving<S>| arriving.op_number() != op_number;
        if part > 0 && self.checkpoints.arriving.as_ref().is_some_and(is_another) {
            return outbox.ignored(Ignored::LateCheckpoint);
        }
        if self.checkpoints.arriving.take_if(|arriving| is_another(arriving)).is_some() {
            outbox.took(RarePath::CheckpointSuperseded);
        }
        let arriving = self
            .checkpoints
            .arriving
            .get_or_insert_with(|| Arriving::new(op_number, last_normal_view, parts));
        arriving.put(part, content);
        let is_complete = arriving.missing().is_none();
        if is_complete && let Some(arriving) = self.checkpoints.arriving.take() {
            self.checkpoints.arrived = Some((arriving.view(), Arc::new(arriving.complete())));
            outbox.took(RarePath::CheckpointFetched);
        }
        if is_complete {
            self.has_checkpoint(now, outbox);
        }
        if is_complete || (part + 1).is_multiple_of(PARTS_AT_ONCE) {
            self.ask_on(now, from, outbox);
        } else if let Some(transfer) = &mut self.transfer {
            // Another one might hold another checkpoint, and begin anew.
            transfer.peer = from;
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
