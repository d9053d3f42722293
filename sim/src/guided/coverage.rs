//! What a run reaches: abstract states of the group, and rare events in combination.
//!
//! The state is looked at whenever a replica changes its role or view, crashes or starts again. Of each
//! replica it keeps what the protocol's arguments are about, and forgets the rest: what it is, and how its
//! view, the last view it was normal in, and its log rank among those of the others. Which replica is
//! which does not matter, nor do absolute numbers; so the same situation later in a run, or with other
//! replicas in it, is the same state. To the state belongs which kinds of rare messages are still on their
//! way although they were kept back, and the rare events since the last look.

use rustc_hash::FxHashSet;

use crate::check::members::{Member, Members};
use crate::digest;
use crate::faults::Action;
use crate::marks::{Marks, RARE_EVENTS};
use crate::network::Fate;
use crate::packet::Identity;

/// How far down ranks are told apart: everything below is the same.
const RANKS: usize = 3;
/// How many replicas in the same state are told apart from more.
const ALIKE: u32 = 2;

/// What a run has reached, in the order in which it did.
#[derive(Clone, Debug)]
pub struct Coverage {
    /// What was reached for the first time in this run, and at which step.
    pub reached: Vec<(u64, u64)>,
    /// The fault actions of the run, and at which step.
    pub actions: Vec<(u64, Action)>,
    seen: FxHashSet<u64>,
    /// The rare events counted at the last look.
    events: [u64; RARE_EVENTS],
    /// Rare messages that were kept back: until when, and their kind.
    held: Vec<(u64, u8)>,
}

impl Default for Coverage {
    fn default() -> Self {
        Self {
            reached: Vec::new(),
            actions: Vec::new(),
            seen: FxHashSet::default(),
            events: [0; RARE_EVENTS],
            held: Vec::new(),
        }
    }
}

impl Coverage {
    /// Forgets where it was reached, not what: from here on only more than that is new.
    pub fn branch(&mut self) {
        self.reached.clear();
        self.actions.clear();
    }

    /// Takes note of the fate of a message that is sent at `now`.
    pub fn fate(&mut self, now: u64, identity: &Identity, fate: Fate) {
        if let Fate::Late(delay) | Fate::Held(delay) | Fate::Twice(delay) = fate
            && identity.kind.is_rare()
        {
            self.held.push((now + delay, identity.kind as u8));
        }
    }

    /// Looks at the group.
    pub fn look(&mut self, step: u64, now: u64, members: &Members, marks: &Marks) {
        self.held.retain(|&(until, _)| until > now);
        let held = self.held.iter().fold(0_u64, |held, &(_, kind)| held | 1 << kind);
        let state = state(members);
        self.reach(step, digest::mix(1, state));
        if held != 0 {
            self.reach(step, digest::mix(digest::mix(2, state), held));
        }
        self.look_at_events(step, state, marks);
    }

    /// Rare events that happened since the last look: each in this state, and each after each other one.
    fn look_at_events(&mut self, step: u64, state: u64, marks: &Marks) {
        let counts = marks.rare_events();
        let before = std::mem::replace(&mut self.events, counts);
        for (event, (now, was)) in
            counts.into_iter().zip(before).enumerate().filter(|(_, (now, was))| now != was)
        {
            self.reach(step, digest::mix(digest::mix(3, state), event as u64));
            if was == 0 && now > 0 {
                for earlier in (0..RARE_EVENTS).filter(|&other| before[other] > 0) {
                    let pair = (earlier * RARE_EVENTS + event) as u64;
                    self.reach(step, digest::mix(4, pair));
                }
            }
        }
    }

    fn reach(&mut self, step: u64, what: u64) {
        if self.seen.insert(what) {
            self.reached.push((what, step));
        }
    }
}

/// A digest of the abstract state.
fn state(members: &Members) -> u64 {
    let is_up = |member: &&Member| !member.is_amnesiac();
    let ranks = |measure: &dyn Fn(&Member) -> (u64, u64)| {
        let mut values: Vec<_> = members.iter().filter(is_up).map(measure).collect();
        values.sort_unstable_by(|one, other| other.cmp(one));
        values.dedup();
        values
    };
    let view = |member: &Member| (member.view.0, 0);
    let normal = |member: &Member| (member.normal_view.0, 0);
    let log = |member: &Member| (member.log.last().map_or(0, |link| link.view.0), member.log.len() as u64);
    let (views, normals, logs) = (ranks(&view), ranks(&normal), ranks(&log));
    let rank = |values: &[(u64, u64)], value: (u64, u64)| {
        values.iter().position(|&other| other == value).unwrap_or(RANKS).min(RANKS) as u64
    };
    let code = |member: &Member| {
        let role = member.role.map_or(0, |role| role as u64 + 1);
        if member.is_amnesiac() {
            return role;
        }
        let ranks = rank(&views, view(member)) << 4
            | rank(&normals, normal(member)) << 6
            | rank(&logs, log(member)) << 8;
        role | ranks
    };
    let mut codes: Vec<u64> = members.iter().map(code).collect();
    codes.sort_unstable();
    let mut digest = 0;
    for group in codes.chunk_by(|one, other| one == other) {
        digest = digest::mix(digest, group[0] << 8 | u64::from((group.len() as u32).min(ALIKE)));
    }
    digest
}
