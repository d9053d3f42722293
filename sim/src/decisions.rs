//! The decisions that make a run what it is: what was done to the system, what clients asked for, and what
//! befell messages. Recorded in one run, they are the script of another.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::faults::Action;
use crate::network::Fate;
use crate::node::Node;
use crate::packet::Identity;

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
    pub fates: FxHashMap<Identity, Fate>,
    /// What clients ask for, by slot, life and number: the pause and the operation.
    pub requests: FxHashMap<(u16, u32, u64), (u64, O)>,
    /// The end of the faults.
    pub healed: Option<Healed>,
}

impl<O: Clone> Script<O> {
    /// The script that repeats these decisions.
    #[must_use]
    pub fn new(decisions: &Decisions<O>) -> Self {
        let timed = |done: &&Done| done.when_sent.is_none();
        let triggered = |done: &Done| Some((done.when_sent?, done.action.clone()));
        let key = |made: &Made<O>| (made.slot, made.life, made.number);
        Self {
            actions: decisions
                .actions
                .iter()
                .filter(timed)
                .map(|done| (done.at, done.action.clone()))
                .collect(),
            triggers: decisions.actions.iter().filter_map(triggered).collect(),
            fates: decisions.fates.iter().copied().collect(),
            requests: decisions
                .requests
                .iter()
                .map(|made| (key(made), (made.pause, made.operation.clone())))
                .collect(),
            healed: decisions.healed.clone(),
        }
    }
}
