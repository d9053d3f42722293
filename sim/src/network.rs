//! The virtual network: one link for each direction between two nodes.
//!
//! What befalls a message is not the next draw of a stream but a keyed digest of what the message is
//! ([`Identity`]). So one message more or less, or a draw more or less, changes nothing for the others,
//! and a trace that names the messages with an unusual fate can be replayed on changed code.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashTable;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::digest;
use crate::groups::Placement;
use crate::node::Node;
use crate::packet::{Identity, Kind};
use crate::random::{self, Purpose};
use crate::setup;
use crate::stage::{Rule, Rules, Treatment};
use crate::timeline::{Befallen, Burst};
use rand::RngExt;
use vr::View;

/// What befalls a message that does not simply arrive after its link's usual delay. Times are in
/// nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It never arrives.
    Lost,
    /// It arrives after this time.
    Late(u64),
    /// It is kept back for this time.
    Held(u64),
    /// It arrives as usual, and again after this time.
    Twice(u64),
    /// It arrives when its receiver has become normal in a view that is this many later than its own.
    Outlasting(u64),
}

impl Fate {
    /// The time that it says, in nanoseconds; zero where it says none.
    #[must_use]
    pub const fn time(self) -> u64 {
        match self {
            Self::Late(time) | Self::Held(time) | Self::Twice(time) => time,
            Self::Lost | Self::Outlasting(_) => 0,
        }
    }
}

/// How long after its receiver's view has started a message arrives at the latest that was to outlast views,
/// in nanoseconds.
const AFTER_THE_START: u64 = 50_000_000;

/// Why a message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// By chance.
    Lost,
    /// The link is cut.
    Cut,
    /// The link is full.
    Overflow,
    /// A planted bug keeps it from being sent.
    Silenced,
    /// It was kept for a story, which never let it go.
    Kept,
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Nowhere.
    Dropped(Dropped),
    /// To its receiver, at this time.
    Once(u64),
    /// To its receiver, at both times.
    Twice(u64, u64),
    /// To its receiver, once that is normal in this view or a later one, and so long after that.
    Parked(u64, u64),
    /// To its receiver, when a story says so.
    Kept,
    /// To its receiver, at this time, and again when a story says so.
    Copied(u64),
}

/// A message's route, and the fate that led to it if it was unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routed {
    /// Where it goes.
    pub route: Route,
    /// What befell it, unless it travels plainly.
    pub fate: Option<Fate>,
    /// Whether the link keeps everything back at present.
    pub clogged: bool,
    /// A digest of what it is, and how many like it were sent before.
    pub digest: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Link {
    cuts: u16,
    in_flight: u32,
    clogged_until: u64,
}

/// All links and what befalls messages on them.
#[derive(Clone, Debug)]
pub struct Network {
    placement: Arc<Placement>,
    replicas: usize,
    nodes: usize,
    links: Vec<Link>,
    key: u64,
    setup: setup::Network,
    repeats: Repeats,
    /// Fates given from outside, in place of drawn ones.
    script: Option<ScriptedFates>,
    calm: bool,
    /// Turns the draws of fates into others; zero for those of the seed.
    salt: u64,
}

/// Fates given from outside.
#[derive(Clone, Debug)]
pub enum ScriptedFates {
    /// By what the message is.
    Named(FxHashMap<Identity, Fate>),
    /// By its link and kind, and from when on.
    Timed(FxHashMap<(Node, Node, Kind), Waiting>),
    /// By what a story says of messages like it.
    Told(Rules),
}

/// The fates that wait for messages of one kind on one link, in order.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    fates: VecDeque<Befallen>,
    burst: Burst,
}

impl ScriptedFates {
    /// Fates by time and place; they are in order.
    #[must_use]
    pub fn timed(fates: &[Befallen]) -> Self {
        let mut links = FxHashMap::<_, Waiting>::default();
        for befallen in fates {
            let link = (befallen.from, befallen.to, befallen.kind);
            links.entry(link).or_default().fates.push_back(*befallen);
        }
        Self::Timed(links)
    }

    /// What befalls a message that is sent at `now`.
    fn take(&mut self, now: u64, identity: &Identity) -> Option<Fate> {
        match self {
            Self::Told(rules) => (rules.treatment(identity) == Treatment::Drop).then_some(Fate::Lost),
            Self::Named(fates) => fates.get(identity).copied(),
            Self::Timed(links) => {
                let Waiting { fates, burst } = links.get_mut(&(identity.from, identity.to, identity.kind))?;
                let place = burst.count(now);
                let latest = fates.iter().take_while(|befallen| befallen.at <= now).last()?.at;
                // What was meant for an earlier message that was never sent is not for this one.
                while fates.front().is_some_and(|befallen| befallen.at < latest) {
                    fates.pop_front();
                }
                let is_this = |befallen: &Befallen| befallen.at == latest && befallen.place == place;
                let index = fates.iter().position(is_this)?;
                fates.remove(index).map(|befallen| befallen.fate)
            }
        }
    }
}

impl Network {
    /// A network for the nodes of a run; with a script, only the messages that it names have a fate.
    #[must_use]
    pub fn new(setup: &setup::Setup, placement: &Arc<Placement>, script: Option<ScriptedFates>) -> Self {
        let replicas = usize::from(setup.nodes());
        let nodes = replicas + usize::from(setup.client_slots());
        Self {
            placement: Arc::clone(placement),
            replicas,
            nodes,
            links: vec![Link::default(); nodes * nodes],
            key: random::stream(setup.seed, Purpose::Links).random(),
            setup: setup.network.clone(),
            repeats: Repeats::default(),
            script,
            calm: false,
            salt: 0,
        }
    }

    /// Decides where a message goes that is sent at `now`, and tells the identity how many like it were sent before.
    pub fn route(&mut self, now: u64, identity: &mut Identity) -> Routed {
        let like_it = identity.digest(self.key);
        identity.repeat = self.repeats.count(like_it);
        let digest = digest::mix(like_it, identity.repeat.into());
        let link = self.link_index(identity.from, identity.to);
        let clogged = self.links[link].clogged_until > now;
        let (route, fate) = self.route_on(now, link, digest, identity);
        match route {
            Route::Dropped(_) => {}
            Route::Once(_) | Route::Parked(..) | Route::Kept => self.links[link].in_flight += 1,
            Route::Twice(..) | Route::Copied(_) => self.links[link].in_flight += 2,
        }
        Routed { route, fate, clogged, digest }
    }

    #[inline]
    fn route_on(&mut self, now: u64, link: usize, bits: u64, identity: &Identity) -> (Route, Option<Fate>) {
        let Link { cuts, in_flight, clogged_until } = self.links[link];
        if cuts > 0 {
            return (Route::Dropped(Dropped::Cut), None);
        }
        if in_flight >= self.setup.link_capacity && !self.calm {
            return (Route::Dropped(Dropped::Overflow), None);
        }
        let fate = match &mut self.script {
            Some(script) => script.take(now, identity),
            None if self.calm => None,
            None => self.draw_fate(bits ^ self.salt, identity),
        };
        let spread = random::exponential(digest::mix(bits, 1), self.setup.delay_mean_us * 1_000);
        let usual = now.max(clogged_until) + self.setup.delay_min_us * 1_000 + spread;
        let route = match fate {
            None => self.plain_route(usual, identity),
            Some(Fate::Lost) => Route::Dropped(Dropped::Lost),
            Some(Fate::Late(delay) | Fate::Held(delay)) => Route::Once(usual.max(now + delay)),
            Some(Fate::Twice(delay)) => Route::Twice(usual, now + delay),
            Some(Fate::Outlasting(views)) => {
                // Not at once: what it can do harm to has to be there first.
                let delay = random::log_uniform(digest::mix(bits, 4), usual - now, AFTER_THE_START);
                Route::Parked(identity.view + views, delay)
            }
        };
        (route, fate)
    }

    /// Where a message goes that nothing befalls.
    #[inline]
    fn plain_route(&self, usual: u64, identity: &Identity) -> Route {
        let Some(ScriptedFates::Told(rules)) = &self.script else { return Route::Once(usual) };
        match rules.treatment(identity) {
            Treatment::Hold => Route::Kept,
            Treatment::Copy => Route::Copied(usual),
            Treatment::Pass | Treatment::Drop => Route::Once(usual),
        }
    }

    /// Up to one round of the primaries, and one view more; half of what is meant for a primary arrives when it
    /// is primary again.
    fn views_outlasted(&self, bits: u64, identity: &Identity) -> u64 {
        let Node::Replica(to) = identity.to else { return 1 };
        let group = self.placement.numbers(self.placement.group_of(to));
        let round = group.len() as u64;
        let is_for_primary = u64::from(to.0 - group.start) == View(identity.view).number() % round;
        let choice = digest::mix(bits, 3);
        if is_for_primary && choice.is_multiple_of(2) { round } else { 1 + (choice >> 1) % (round + 1) }
    }

    #[inline]
    fn draw_fate(&self, bits: u64, identity: &Identity) -> Option<Fate> {
        let setup = &self.setup;
        let roll = (((bits >> 32) * 1_000_000) >> 32) as u32;
        let lost = setup.loss_per_million;
        let twice = lost + setup.duplicate_per_million;
        let late = twice + setup.tail_per_million;
        let held = late + if identity.kind.is_rare() { setup.hold_per_million } else { 0 };
        let outlasting = held + if identity.belongs_to_a_view() { setup.outlast_per_million } else { 0 };
        if roll >= outlasting {
            return None;
        }
        let usual = (setup.delay_min_us + setup.delay_mean_us) * 1_000;
        let until = |longest_us: u64| random::log_uniform(digest::mix(bits, 2), usual, longest_us * 1_000);
        Some(match roll {
            roll if roll < lost => Fate::Lost,
            roll if roll < twice => Fate::Twice(until(setup.tail_max_us)),
            roll if roll < late => Fate::Late(until(setup.tail_max_us)),
            roll if roll < held => Fate::Held(until(setup.hold_max_us)),
            _ => Fate::Outlasting(self.views_outlasted(bits, identity)),
        })
    }

    /// A message was not sent after all.
    pub fn take_back(&mut self, identity: &Identity, routed: &mut Routed) {
        let link = self.link_index(identity.from, identity.to);
        self.links[link].in_flight -= match routed.route {
            Route::Dropped(_) => 0,
            Route::Once(_) | Route::Parked(..) | Route::Kept => 1,
            Route::Twice(..) | Route::Copied(_) => 2,
        };
        routed.route = Route::Dropped(Dropped::Silenced);
        routed.fate = None;
    }

    /// A message has left its link.
    #[inline]
    pub fn arrived(&mut self, from: Node, to: Node) {
        let link = self.link_index(from, to);
        self.links[link].in_flight -= 1;
    }

    /// Cuts these links; each cut must be mended.
    pub fn cut(&mut self, links: &[(Node, Node)]) {
        for &(from, to) in links {
            let link = self.link_index(from, to);
            self.links[link].cuts += 1;
        }
    }

    /// Takes a cut back.
    pub fn mend(&mut self, links: &[(Node, Node)]) {
        for &(from, to) in links {
            let link = self.link_index(from, to);
            self.links[link].cuts -= 1;
        }
    }

    /// Whether this link is cut.
    #[must_use]
    pub fn is_cut(&self, (from, to): (Node, Node)) -> bool {
        self.links[self.link_index(from, to)].cuts > 0
    }

    /// From here on messages are treated as a story says.
    pub fn follow(&mut self, rule: Rule) {
        if let Some(ScriptedFates::Told(rules)) = &mut self.script {
            rules.add(rule);
        }
    }

    /// From here on messages travel freely, whatever a story has said.
    pub fn forget_rules(&mut self) {
        if let Some(ScriptedFates::Told(rules)) = &mut self.script {
            rules.clear();
        }
    }

    /// How long a message takes at least, in nanoseconds.
    #[must_use]
    pub const fn least_delay(&self) -> u64 {
        self.setup.delay_min_us * 1_000
    }

    /// Keeps everything that is sent on these links until the given time.
    pub fn clog(&mut self, links: &[(Node, Node)], until: u64) {
        for &(from, to) in links {
            let link = self.link_index(from, to);
            self.links[link].clogged_until = until;
        }
    }

    /// From here on the fates of messages are drawn anew, also where a script gave them before.
    pub fn redraw(&mut self, seed: u64) {
        self.key = random::stream(seed, Purpose::Links).random();
        self.script = None;
    }

    /// From here on the fates of messages are drawn anew, but usual delays stay what they are.
    pub fn redraw_fates(&mut self, seed: u64) {
        self.salt = random::stream(seed, Purpose::Links).random();
    }

    /// Takes everything back and lets nothing befall messages any more.
    pub fn heal(&mut self) {
        self.calm = true;
        self.script = None;
        for link in &mut self.links {
            link.cuts = 0;
            link.clogged_until = 0;
        }
    }

    #[inline]
    const fn link_index(&self, from: Node, to: Node) -> usize {
        from.index(self.replicas) * self.nodes + to.index(self.replicas)
    }
}

/// Counts how often each message was sent, so that a message sent again has a fate of its own. Forgets
/// what was not sent again for a long time, to stay small.
#[derive(Clone, Debug)]
struct Repeats {
    /// By the messages' digests, which do as hashes.
    counts: HashTable<Repeat>,
    generation: u32,
    /// How many messages were sent in this generation.
    sent: usize,
}

/// A message, by its digest.
#[derive(Clone, Copy, Debug)]
struct Repeat {
    message: u64,
    /// How often it was sent before.
    count: u32,
    /// In which generation it was sent last.
    generation: u32,
}

impl Default for Repeats {
    fn default() -> Self {
        Self { counts: HashTable::with_capacity(Self::ROOM), generation: 0, sent: 0 }
    }
}

impl Repeats {
    /// For how many messages there is room from the beginning: short runs send fewer.
    const ROOM: usize = 1_700;
    /// How many distinct messages are remembered at least. After as many, those are forgotten that were not among them.
    const GENERATION: usize = 4_096;

    #[inline]
    fn count(&mut self, message: u64) -> u32 {
        let found = self.counts.find_mut(message, |known| known.message == message);
        if let Some(known) = found {
            known.count += 1;
            let count = known.count;
            if known.generation != self.generation {
                known.generation = self.generation;
                self.note_sent(message);
            }
            return count;
        }
        let generation = self.generation;
        self.counts.insert_unique(message, Repeat { message, count: 0, generation }, |known| known.message);
        self.note_sent(message);
        0
    }

    /// The message is sent for the first time in this generation, or else in the next one.
    #[inline]
    fn note_sent(&mut self, message: u64) {
        if self.sent >= Self::GENERATION {
            self.begin_generation(message);
        }
        self.sent += 1;
    }

    #[cold]
    fn begin_generation(&mut self, message: u64) {
        self.generation += 1;
        self.sent = 0;
        let (last, generation) = (self.generation - 1, self.generation);
        self.counts.retain(|known| known.generation == last);
        if let Some(known) = self.counts.find_mut(message, |known| known.message == message) {
            known.generation = generation;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_lately_is_remembered_and_what_was_not_is_forgotten() {
        let mut repeats = Repeats::default();
        let mut others = 0..;
        let mut send_others = |repeats: &mut Repeats, count: usize| {
            others.by_ref().take(count).for_each(|other| assert_eq!(repeats.count(digest::mix(1, other)), 0));
        };
        let message = digest::mix(3, 4);
        assert_eq!([0; 3].map(|_| repeats.count(message)), [0, 1, 2]);
        // Into the next generation, and to the end of it.
        send_others(&mut repeats, 2 * Repeats::GENERATION - 2);
        assert_eq!(repeats.count(message), 3, "it was sent in the generation before");
        send_others(&mut repeats, Repeats::GENERATION);
        assert_eq!(repeats.count(message), 4);
        send_others(&mut repeats, 3 * Repeats::GENERATION);
        assert_eq!(repeats.count(message), 0, "it was sent long ago");
        assert!(repeats.counts.len() <= 2 * Repeats::GENERATION + 1, "{}", repeats.counts.len());
    }
}
