//! The decisions of a run by time and place.
//!
//! A trace addresses decisions by what they are about ([`crate::decisions`]), so that they mean the same to
//! changed code. Once decisions themselves are taken out or moved, that ties them to each other: without an
//! earlier crash there is no second life, without an earlier request the op-numbers behind it are others.
//! Here a request is made at a time, and a fate befalls the next message of a kind on a link. So shrinking
//! changes one decision and leaves the others as they are; the run that is left is recorded anew.

use rustc_hash::FxHashMap;

use crate::client_slot::Way;
use crate::decisions::{Done, Healed};
use crate::network::{Dropped, Fate, Route, Routed};
use crate::node::Node;
use crate::packet::{Identity, Kind};

/// All decisions of a run, by time and place. Times are in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline<O> {
    /// What was done to the system, in order.
    pub actions: Vec<Done>,
    /// What clients asked for, in the order in which they decided on it.
    pub requests: Vec<Asked<O>>,
    /// What befell messages, in the order in which they were sent.
    pub fates: Vec<Befallen>,
    /// The end of the faults, if the run came so far.
    pub healed: Option<Healed>,
}

/// A request: the slot's client asks at this time, or once it is free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked<O> {
    /// The client's slot.
    pub slot: u16,
    /// When.
    pub at: u64,
    /// What for.
    pub operation: O,
    /// How, if that is not left to the client.
    pub way: Option<Way>,
}

/// What befalls the next message of this kind on this link, from this time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Befallen {
    /// From when on.
    pub at: u64,
    /// Who sends it.
    pub from: Node,
    /// To whom.
    pub to: Node,
    /// Its kind.
    pub kind: Kind,
    /// Which one it is of those that are sent at the same time, from 0.
    pub place: u32,
    /// What befalls it.
    pub fate: Fate,
}

/// How the delays of messages go into a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delays {
    /// Only those that are a message's fate; the others follow from the setup.
    Unusual,
    /// Every one is a fate.
    All,
}

/// A timeline that is being recorded.
#[derive(Clone, Debug)]
pub struct Recording<O> {
    /// So far.
    pub timeline: Timeline<O>,
    /// Which delays are recorded.
    pub delays: Delays,
    bursts: FxHashMap<(Node, Node, Kind), Burst>,
}

/// Counts messages that are sent at the same time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Burst {
    at: u64,
    next: u32,
}

impl Burst {
    /// The place of the next one.
    pub const fn count(&mut self, now: u64) -> u32 {
        if self.at != now {
            *self = Self { at: now, next: 0 };
        }
        self.next += 1;
        self.next - 1
    }
}

impl<O> Recording<O> {
    /// Nothing yet.
    #[must_use]
    pub fn new(delays: Delays) -> Self {
        Self { timeline: Timeline::default(), delays, bursts: FxHashMap::default() }
    }

    /// A message is sent at `now`.
    #[cold]
    pub fn sent(&mut self, now: u64, identity: &Identity, routed: &Routed) {
        if matches!(routed.route, Route::Dropped(Dropped::Cut | Dropped::Overflow)) {
            return;
        }
        let Identity { from, to, kind, .. } = *identity;
        let place = self.bursts.entry((from, to, kind)).or_default().count(now);
        let delay = match routed.route {
            Route::Once(at) if self.delays == Delays::All => Some(Fate::Late(at - now)),
            _ => None,
        };
        if let Some(fate) = routed.fate.or(delay) {
            self.timeline.fates.push(Befallen { at: now, from, to, kind, place, fate });
        }
    }
}

impl<O> Default for Timeline<O> {
    fn default() -> Self {
        Self { actions: Vec::new(), requests: Vec::new(), fates: Vec::new(), healed: None }
    }
}

impl<O> Timeline<O> {
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

    /// The same with other operations.
    ///
    /// # Errors
    /// The first that `change` gives.
    pub fn try_map<P, E>(&self, change: impl Fn(&O) -> Result<P, E>) -> Result<Timeline<P>, E> {
        let asked = |asked: &Asked<O>| {
            Ok(Asked { slot: asked.slot, at: asked.at, operation: change(&asked.operation)?, way: asked.way })
        };
        Ok(Timeline {
            actions: self.actions.clone(),
            requests: self.requests.iter().map(asked).collect::<Result<_, E>>()?,
            fates: self.fates.clone(),
            healed: self.healed.clone(),
        })
    }
}
