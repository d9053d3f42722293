//! A story under way: how far it has been played, and what has been kept for it.

use std::sync::Arc;

use vr::ReplicaId;

use super::{Cast, Found, PATIENCE, Step, Story, Which};
use crate::client_slot::Way;
use crate::environment::Delivery;
use crate::node::Node;
use crate::packet::Identity;
use crate::workload::Workload;

/// A message that waits to be delivered.
#[derive(Clone)]
pub struct Kept<W: Workload> {
    /// What it is.
    pub identity: Identity,
    /// When it was sent, in nanoseconds.
    pub sent: u64,
    /// Whether it has travelled already.
    pub is_copy: bool,
    /// The message.
    pub delivery: Delivery<W>,
}

/// A reply as far as stories speak of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The request's number.
    pub number: u64,
    /// A digest of the response.
    pub response: u64,
}

/// A story under way.
#[derive(Clone)]
pub struct Stage<W: Workload> {
    story: Story,
    steps: Arc<[Step]>,
    /// When each step was passed, in nanoseconds.
    passed: Vec<u64>,
    /// When to look at the current step next, whatever else happens; `None` after the last.
    pub(crate) due: Option<u64>,
    /// When the current step began, if it has.
    pub(crate) began: Option<u64>,
    /// How many requests of the current step have been made.
    pub(crate) asked: usize,
    /// The latest view in which anybody was normal when the current step began.
    pub(crate) view_before: u64,
    /// What a client is to ask for now, and in which way if that is told.
    pub(crate) request: Option<(W::Operation, Option<Way>)>,
    /// Since when each client has had nothing to do, in nanoseconds.
    pub(crate) idle_since: Vec<u64>,
    /// The messages that wait to be delivered.
    pub(crate) kept: Vec<Kept<W>>,
    /// The links that partitions have cut.
    pub(crate) severed: Vec<(Node, Node)>,
    /// What each client's last causal read found, and which call of the history it is: there it has no answer.
    pub(crate) causal: Vec<Option<(usize, Option<Found>)>>,
    /// The last answer that was sent to each client, and whether it equals the one before.
    pub(crate) answers: Vec<Option<(Answer, bool)>>,
    /// Which replica told which client of another primary.
    pub(crate) redirected: Vec<(ReplicaId, u16)>,
}

impl<W: Workload> Stage<W> {
    /// A story at its beginning.
    ///
    /// # Panics
    /// If it speaks of somebody who is not there: setups are checked before.
    #[must_use]
    pub fn new(story: Story, cast: Cast) -> Self {
        let steps = story.steps(cast).unwrap_or_else(|misspoken| panic!("{misspoken}"));
        let clients = cast.clients;
        Self {
            story,
            steps: steps.into(),
            passed: Vec::new(),
            due: Some(0),
            began: None,
            asked: 0,
            view_before: 0,
            request: None,
            idle_since: vec![0; clients.into()],
            kept: Vec::new(),
            severed: Vec::new(),
            causal: vec![None; clients.into()],
            answers: vec![None; clients.into()],
            redirected: Vec::new(),
        }
    }

    /// When each step was passed so far, in nanoseconds.
    #[must_use]
    pub fn passed(&self) -> &[u64] {
        &self.passed
    }

    /// All steps.
    pub(crate) fn steps(&self) -> Arc<[Step]> {
        Arc::clone(&self.steps)
    }

    /// The current step, if there is one left.
    #[must_use]
    pub fn step(&self) -> Option<&Step> {
        self.steps.get(self.passed.len())
    }

    /// Until when the current step waits.
    pub(crate) fn patience_ends(&self) -> u64 {
        let patience = match self.step() {
            Some(&(Step::Until(_, patience) | Step::Wait(patience))) => patience,
            _ => PATIENCE,
        };
        self.began.unwrap_or_default() + patience
    }

    /// The current step is passed; the next one comes a moment later, so that it has a time of its own.
    pub(crate) fn pass(&mut self, now: u64) {
        self.passed.push(now);
        self.began = None;
        self.asked = 0;
        self.due = Some(now + 1);
    }

    /// Says what the current step is: its number and its words.
    pub(crate) fn describe(&self) -> String {
        let text = self.story.sentences().get(self.passed.len()).map_or("the end", String::as_str);
        format!("step {}, “{text}”", self.passed.len() + 1)
    }

    /// Takes out what is kept of these messages.
    pub(crate) fn take(&mut self, which: &Which) -> Vec<Kept<W>> {
        let is_one = |kept: &mut Kept<_>| which.covers(&kept.identity);
        self.kept.extract_if(.., is_one).collect()
    }

    /// A client is sent an answer.
    pub(crate) fn answers(&mut self, slot: u16, answer: Answer) {
        let last = &mut self.answers[usize::from(slot)];
        *last = Some((answer, last.is_some_and(|(before, _)| before == answer)));
    }
}
