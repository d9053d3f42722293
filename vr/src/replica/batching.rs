//! Batching and pipelining (paper, section 6.2): requests that come while the pipeline is full are prepared
//! together once it has room.
//!
//! Each request keeps an op-number of its own; a batch is only how entries travel. Where a batch ends is known
//! to the primary alone, and other primaries, or the same one when it sends again, may cut elsewhere. So a backup
//! may hold a part of a batch, and a commit-number may end in the middle of one.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Phase, Replica};
use crate::log::Entry;
use crate::message::{Batch, Payload, Prepare, Request, RequestBody};
use crate::outbox::{Outbox, RarePath};
use crate::rules::Rules;
use crate::service::{Prediction, Service};
use crate::types::{Instant, OpNumber};

/// What a primary has prepared, and what waits for room.
#[derive(Clone, Debug)]
pub(crate) struct Pipeline<O> {
    /// Where each batch ends that is prepared and not committed as a whole, in order.
    ends: VecDeque<OpNumber>,
    /// Where the batch before the first of them ended.
    before: OpNumber,
    /// Requests that wait for room: at most a batch of them, and one behind them that ends the epoch.
    queue: Vec<Arc<Request<O>>>,
    /// Up to where the primary is done.
    done: OpNumber,
}

/// What a replica does about an operation that it executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// As a backup: keep its result.
    Execute,
    /// As the primary: keep its result, and answer the client.
    Answer,
    /// As a primary that is done with it already, which only a wrong rule makes it.
    Nothing,
}

impl<O> Pipeline<O> {
    /// What is left to be done for this operation, before it is executed.
    #[inline]
    pub(super) fn duty(&self, op_number: OpNumber) -> Duty {
        if op_number <= self.done { Duty::Nothing } else { Duty::Answer }
    }

    /// How many requests wait for room.
    #[inline]
    pub(super) fn queued(&self) -> u64 {
        self.queue.len() as u64
    }

    /// Whether nothing may wait behind those that do: the last of them ends the epoch.
    fn is_closed(&self) -> bool {
        self.queue.last().is_some_and(|last| ends_epoch(last))
    }

    /// Takes out what is to be prepared next: all that waits, but what ends the epoch by itself.
    fn take_batch(&mut self) -> Vec<Arc<Request<O>>> {
        let end =
            if self.is_closed() && self.queue.len() > 1 { self.queue.len() - 1 } else { self.queue.len() };
        let left = self.queue.split_off(end);
        std::mem::replace(&mut self.queue, left)
    }
}

fn ends_epoch<O>(request: &Request<O>) -> bool {
    matches!(request.body, RequestBody::Reconfiguration(_))
}

impl<S: Service, R: Rules> Replica<S, R> {
    /// The pipeline of a primary whose view begins: what it has inherited and is not known to be committed.
    pub(super) fn inherited_pipeline(&self) -> Pipeline<S::Operation> {
        let (committed, last) = (self.commit_number.op_number(), self.log.last());
        let starts = (committed.0..last.0).step_by(self.options.batch_max);
        let ends = starts.map(|start| OpNumber(start + self.options.batch_max as u64).min(last));
        Pipeline { ends: ends.collect(), before: committed, queue: Vec::new(), done: OpNumber::ZERO }
    }

    fn pipeline(&self) -> Option<&Pipeline<S::Operation>> {
        match &self.phase {
            Phase::Primary(primary) => Some(&primary.pipeline),
            _ => None,
        }
    }

    fn pipeline_has_room(&self) -> bool {
        self.pipeline().is_some_and(|pipeline| pipeline.ends.len() < self.options.pipeline_max)
    }

    /// Whether this request can neither be prepared nor wait. One that ends the epoch can always wait, for while
    /// clients are busy it would hardly ever find room; nothing waits behind it.
    pub(super) fn is_pipeline_full(&self, request: &Request<S::Operation>) -> bool {
        let Some(pipeline) = self.pipeline() else { return false };
        if pipeline.is_closed() {
            return true;
        }
        let waiting_max = if self.options.batch_max > 1 { self.options.batch_max } else { 0 };
        !self.pipeline_has_room() && !ends_epoch(request) && pipeline.queue.len() >= waiting_max
    }

    fn queued(&self) -> u64 {
        self.pipeline().map_or(0, Pipeline::queued)
    }

    /// Prepares a request if there is room, or lets it wait.
    pub(super) fn prepare_or_queue(
        &mut self,
        now: Instant,
        request: Arc<Request<S::Operation>>,
        outbox: &mut impl Outbox<S>,
    ) {
        if self.pipeline_has_room() || self.pipeline().is_none() {
            let entry = self.entry(now, request);
            return self.prepare(now, Batch::One(entry), outbox);
        }
        outbox.took(match ends_epoch(&request) {
            true => RarePath::ReconfigurationQueued,
            false => RarePath::RequestQueued,
        });
        self.client_table.mark_in_flight(&request);
        let Phase::Primary(primary) = &mut self.phase else { return };
        primary.pipeline.queue.push(request);
    }

    /// Prepares what waits, as far as there is room.
    pub(super) fn prepare_queued(&mut self, now: Instant, outbox: &mut impl Outbox<S>) {
        while self.queued() > 0 && self.pipeline_has_room() {
            let Phase::Primary(primary) = &mut self.phase else { return };
            let batch = primary.pipeline.take_batch();
            if batch.len() > 1 {
                outbox.took(RarePath::SeveralInABatch);
            }
            let entries: Vec<_> = batch.into_iter().map(|request| self.entry(now, request)).collect();
            self.prepare(now, entries.into(), outbox);
        }
    }

    /// The entry that a request becomes.
    fn entry(&mut self, now: Instant, request: Arc<Request<S::Operation>>) -> Entry<S::Operation> {
        let needs_prediction = match &request.body {
            RequestBody::Register | RequestBody::Reconfiguration(_) | RequestBody::CheckEpoch { .. } => false,
            RequestBody::Operation { operation, .. } => self.service.needs_prediction(operation),
        };
        let predicted =
            needs_prediction.then(|| Box::new(Prediction { time: now, random: self.entropy.draw() }));
        Entry { view: self.view, request, predicted }
    }

    fn prepare(&mut self, now: Instant, batch: Batch<S::Operation>, outbox: &mut impl Outbox<S>) {
        let op_number = self.log.last().next();
        for entry in batch.entries() {
            self.append(entry.clone(), outbox);
        }
        if let Phase::Primary(primary) = &mut self.phase {
            primary.pipeline.ends.push_back(self.log.last());
        }
        let prepare = Prepare { op_number, commit_number: self.commit_number, batch };
        self.broadcast(Payload::Prepare(prepare), outbox);
        self.expect_acknowledgements(now);
        self.commit_acknowledged(now, outbox);
    }

    /// What is in the log after `after`, in batches, to be sent again: so many entries, or one batch.
    pub(super) fn batches_after(
        &self,
        after: OpNumber,
        entries: usize,
    ) -> impl Iterator<Item = (OpNumber, Batch<S::Operation>)> {
        let size = self.options.batch_max;
        let end = self.log.last().0.min(after.0 + entries.max(size) as u64);
        (after.0..end).step_by(size).map(move |start| {
            let start = OpNumber(start);
            let count = size.min((end - start.0) as usize);
            (start.next(), self.log.batch_after(start, count))
        })
    }

    /// Something was committed: batches may have come to their end.
    pub(super) fn batches_committed(&mut self, outbox: &mut impl Outbox<S>) {
        let Phase::Primary(primary) = &mut self.phase else { return };
        let (pipeline, committed) = (&mut primary.pipeline, self.commit_number.op_number());
        while let Some(&end) = pipeline.ends.front().filter(|end| **end <= committed) {
            pipeline.before = end;
            pipeline.ends.pop_front();
        }
        pipeline.done = committed;
        if let Some(&end) = pipeline.ends.front()
            && pipeline.before < committed
        {
            outbox.took(RarePath::BatchCommittedInPart);
            pipeline.done = self.rules.done_with(self.commit_number, end);
        }
    }

    /// This replica may be primary no more: what waits is left to the clients, who ask again.
    pub(super) fn drop_queue(&mut self, outbox: &mut impl Outbox<S>) {
        let Phase::Primary(primary) = &mut self.phase else { return };
        if !std::mem::take(&mut primary.pipeline.queue).is_empty() {
            outbox.took(RarePath::QueueDropped);
            self.log_end_replaced();
        }
    }
}
