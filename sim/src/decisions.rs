//! The decisions that make a run what it is: what was done to the system, what clients asked for, and what
//! befell messages. Recorded in one run, they are the script of another.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use vr::ReplicaId;

use crate::client_slot::Way;
use crate::faults::Action;
use crate::network::{Fate, ScriptedFates};
use crate::node::Node;
use crate::packet::Identity;
use crate::timeline::Timeline;

/// A request that a client made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made<O> {
    /// The client's slot.
    pub slot: u16,
    /// The life of the client in it.
    pub life: u32,
    /// Which of its requests this is, from 1.
    pub number: u64,
    /// How long it waited before, in nanoseconds.
    pub pause: u64,
    /// What it asked for.
    pub operation: O,
    /// How, if a story told it. Otherwise the client follows its habit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<Way>,
}

/// Something that was done to the system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// When, in nanoseconds.
    pub at: u64,
    /// If it happened at the sending of a message: which one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_sent: Option<Identity>,
    /// What.
    #[serde(flatten)]
    pub action: Action,
}

/// The end of the faults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Healed {
    /// When, in nanoseconds.
    pub at: u64,
    /// The replicas that have to make progress.
    pub core: Vec<u8>,
    /// The links that stay cut, each with its direction.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<(Node, Node)>,
}

impl Healed {
    /// The nodes that it is about.
    pub fn nodes(&self) -> impl Iterator<Item = Node> {
        let core = self.core.iter().map(|&replica| Node::Replica(ReplicaId(replica)));
        core.chain(self.cut.iter().flat_map(|&(from, to)| [from, to]))
    }
}

/// All decisions of a run.
#[derive(Clone, Debug)]
pub struct Decisions<O> {
    /// What was done to the system, in order.
    pub actions: Vec<Done>,
    /// What clients asked for, in order.
    pub requests: Vec<Made<O>>,
    /// What befell messages that did not travel plainly.
    pub fates: Vec<(Identity, Fate)>,
    /// The end of the faults, if the run came so far.
    pub healed: Option<Healed>,
    /// The digest of the run after each step, its lower half.
    pub hashes: Vec<u32>,
}

impl<O> Decisions<O> {
    /// How many decisions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.actions.len() + self.requests.len() + self.fates.len() + usize::from(self.healed.is_some())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<O> Default for Decisions<O> {
    fn default() -> Self {
        Self {
            actions: Vec::new(),
            requests: Vec::new(),
            fates: Vec::new(),
            healed: None,
            hashes: Vec::new(),
        }
    }
}

/// Decisions in the form in which a run consults them.
#[derive(Clone, Debug)]
pub struct Script<O> {
    /// What is done at a time.
    pub actions: Vec<(u64, Action)>,
    /// What is done when a message is sent.
    pub triggers: FxHashMap<Identity, Action>,
    /// What befalls messages.
    pub fates: ScriptedFates,
    /// What clients ask for.
    pub requests: Requests<O>,
    /// The end of the faults.
    pub healed: Option<Healed>,
}

/// A request to be made: a time, the operation, and how to ask for it if that is not left to the client.
pub type Wanted<O> = (u64, O, Option<Way>);

/// What clients ask for, and when.
#[derive(Clone, Debug)]
pub enum Requests<O> {
    /// By slot, life and number: the pause before, and the operation.
    Named(FxHashMap<(u16, u32, u64), Wanted<O>>),
    /// By slot, one after the other, whatever life the client is in: the time before which it does not
    /// ask, and the operation.
    Timed(Vec<Vec<Wanted<O>>>),
}

/// Who asks, for the how-manieth time, and when.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// The client's slot.
    pub slot: u16,
    /// The life of the client in it.
    pub life: u32,
    /// Which of its requests this is, from 1.
    pub number: u64,
    /// How many the slot has made before, in all its lives.
    pub before: usize,
    /// The time, in nanoseconds.
    pub now: u64,
}

impl<O: Clone> Requests<O> {
    /// The pause and the operation, if there is one.
    #[must_use]
    pub fn get(&self, turn: Turn) -> Option<Wanted<O>> {
        match self {
            Self::Named(requests) => requests.get(&(turn.slot, turn.life, turn.number)).cloned(),
            Self::Timed(slots) => {
                let (at, operation, way) = slots.get(usize::from(turn.slot))?.get(turn.before)?;
                Some((at.saturating_sub(turn.now), operation.clone(), *way))
            }
        }
    }
}

impl<O: Clone> Script<O> {
    /// The script that repeats these decisions.
    #[must_use]
    pub fn new(decisions: &Decisions<O>) -> Self {
        let key = |made: &Made<O>| (made.slot, made.life, made.number);
        let requests = decisions.requests.iter();
        Self {
            fates: ScriptedFates::Named(decisions.fates.iter().copied().collect()),
            requests: Requests::Named(
                requests.map(|made| (key(made), (made.pause, made.operation.clone(), made.way))).collect(),
            ),
            ..Self::of_actions(&decisions.actions, decisions.healed.clone())
        }
    }

    /// The script that repeats what a timeline says.
    #[must_use]
    pub fn timed(timeline: &Timeline<O>) -> Self {
        let slots = timeline.requests.iter().map(|asked| usize::from(asked.slot) + 1).max().unwrap_or(0);
        let mut requests = vec![Vec::new(); slots];
        for asked in &timeline.requests {
            requests[usize::from(asked.slot)].push((asked.at, asked.operation.clone(), asked.way));
        }
        Self {
            fates: ScriptedFates::timed(&timeline.fates),
            requests: Requests::Timed(requests),
            ..Self::of_actions(&timeline.actions, timeline.healed.clone())
        }
    }

    fn of_actions(actions: &[Done], healed: Option<Healed>) -> Self {
        let timed = |done: &&Done| done.when_sent.is_none();
        let triggered = |done: &Done| Some((done.when_sent?, done.action.clone()));
        Self {
            actions: actions.iter().filter(timed).map(|done| (done.at, done.action.clone())).collect(),
            triggers: actions.iter().filter_map(triggered).collect(),
            fates: ScriptedFates::Named(FxHashMap::default()),
            requests: Requests::Named(FxHashMap::default()),
            healed,
        }
    }
}
