//! Looks for any linearization of a history, or proves that there is none.
//!
//! The ancestors are the tree search of Wing and Gong (1993) and the memoisation and the
//! just-in-time formulation of Lowe (2017). The search walks along the returns in time order and
//! carries configurations: the state of the service, and which of the operations open at that
//! moment have already taken effect. As long as the operation that returns has taken effect
//! there is nothing to decide; only when it has not must something take effect now, be it that
//! operation or others before it. A configuration speaks only of open operations, so its size
//! depends on how many overlap and not on the length of the history.
//!
//! What keeps the number of configurations small:
//!
//! * Linearizability is local (Herlihy and Wing 1990): every partition is searched by itself.
//! * States are interned, so configurations compare states exactly and cheaply.
//! * A pure observer takes effect the moment its response is right: it changes nothing, so waiting
//!   can gain nothing. That is not true of an update that happens to change nothing now.
//! * Of equal operations with equal responses that are open, the one that returns first goes first.
//! * An operation of unknown outcome is tried only where it changes the state, and after equal ones
//!   that were called earlier. Of two configurations that differ only in which of these operations
//!   are used up, one whose set is contained in the other's makes the other superfluous.
//! * What is overwritten before anybody saw it may as well have taken effect just before that. So an
//!   operation that overwrites the state is tried ahead of its return only if somebody who is open
//!   sees what it left, and it may be placed in hindsight, just before the last one that overwrote
//!   the state, if it was open then ([`Configuration::since`]).
//! * States of which nobody can learn anything before they are overwritten are one state.
//! * A depth-first and a breadth-first exploration compete. The first is quick to find an order;
//!   the second meets the smallest sets first and forgets what lies behind it.
//!
//! Partitions and explorations take turns, with growing allowances counted in configurations, so
//! verdicts are reproducible and a hard partition does not hide a violation in an easy one.

use std::collections::{BTreeMap, VecDeque};

use hashbrown::HashTable;

use super::bit_set::BitSet;
use super::layout::{Completed, Family, Layout, Role, number};
use super::transitions::{INITIAL, OVERWRITTEN, Transitions, hash_of};
use super::used::{NONE_USED, UsedSets};
use crate::workload::Model;

/// How many operations to come are looked at to tell whether a state matters to any of them.
const LOOK_AHEAD: usize = 64;

/// So many operations of unknown outcome can be looked at in about the time of a visit.
const LOOKED_AT_PER_VISIT: u64 = 16;

/// An order in which to explore configurations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    /// The configuration that was found last is next.
    DepthFirst,
    /// A configuration that has come least far in time is next.
    BreadthFirst,
}

/// What all explorations of a partition share.
pub(super) struct Ground<'h, M: Model> {
    pub(super) layout: Layout<'h, M>,
    pub(super) transitions: Transitions<M>,
    pub(super) used_sets: UsedSets,
    /// A return that no order gets past, if one is known; see [`stale`](super::stale).
    pub(super) impassable: Option<u32>,
    /// How many operations of unknown outcome have been looked at.
    looked_at: u64,
}

/// A point the search has come to: 24 bytes as long as at most 64 operations are open at once.
#[derive(Clone, Debug)]
pub(super) struct Configuration<S> {
    /// The return that cannot be passed yet, as an index into [`Layout::returns`].
    pub(super) at: u32,
    /// Number of the state of the service.
    pub(super) state: u32,
    /// Completed operations below this number had been called when the state was last overwritten, so
    /// those that overwrite may still be placed just before that, unseen by anybody.
    since: u32,
    /// Number of the set of operations of unknown outcome that have taken effect.
    used: u32,
    /// The slots of the open completed operations that have taken effect.
    pub(super) taken: S,
}

/// One operation that takes effect, and whatever observers do by that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A completed one, now.
    Take(u32),
    /// A completed one, just before the state was last overwritten.
    TakeInHindsight(u32),
    /// One of unknown outcome, now.
    Use(u32),
}

/// Which successors a visit looks for. Most histories never get to the later ones.
#[derive(Clone, Copy)]
enum Phase {
    /// The operation that must return takes effect.
    Due,
    /// Another completed one does.
    Others,
    /// One of unknown outcome does.
    Unknown,
}

/// How an advance of an exploration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Some configuration has passed every return.
    Explained,
    /// No configuration is left, or none can get past the furthest return.
    Refuted,
    /// The allowance is used up.
    OutOfAllowance,
    /// The exploration would need more memory than it may have.
    OutOfMemory,
    /// The caller wants no more of it.
    Interrupted,
}

/// What an exploration may cost from now on.
pub(super) struct Allowance<'a> {
    /// How many configurations it may visit; counts down.
    pub(super) configurations: u64,
    /// How many bytes it may take, together with the ground it walks on.
    pub(super) bytes: u64,
    /// Asked now and then whether to stop.
    pub(super) interrupted: Option<&'a dyn Fn() -> bool>,
}

/// One walk through the configurations of a partition.
pub(super) struct Exploration<S> {
    strategy: Strategy,
    /// Going breadth first, the configurations at each return; going depth first, one layer of all.
    layers: BTreeMap<u32, Layer<S>>,
    /// An emptied layer, to be filled again.
    spare: Option<Layer<S>>,
    /// The last return any configuration got to.
    pub(super) furthest: u32,
    /// True once some configuration has passed every return.
    explained: bool,
    /// After so many more visits it is asked whether to go on.
    until_asked: u64,
    /// How each configuration of the depth-first layer came to be, if that is of interest.
    origins: Option<Vec<Origin>>,
}

/// Where a configuration came from.
#[derive(Clone, Copy)]
struct Origin {
    from: u32,
    step: Step,
}

/// Configurations that have been met, and those among them still to be visited.
struct Layer<S> {
    met: Vec<Configuration<S>>,
    /// By return, state, and operations taken. There may be several that differ in the rest.
    numbers: HashTable<u32>,
    to_visit: VecDeque<(u32, Phase)>,
    /// What the sets own besides their own size.
    heap_bytes: usize,
}

impl<'h, M: Model> Ground<'h, M> {
    pub(super) fn new(initial: &M, layout: Layout<'h, M>) -> Self {
        let transitions = Transitions::new(initial, &layout);
        Self { layout, transitions, used_sets: UsedSets::default(), impassable: None, looked_at: 0 }
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.layout.bytes() + self.transitions.bytes() + self.used_sets.bytes()
    }

    /// What a completed operation makes of a state, or `None` if it answers something else there.
    fn answer_of(&mut self, state: u32, id: u32) -> Option<u32> {
        let symbol = self.layout.completed[id as usize].symbol;
        self.transitions.step(&self.layout, state, symbol)
    }

    /// What an operation of unknown outcome makes of a state.
    fn effect(&mut self, state: u32, symbol: u32) -> u32 {
        let next = self.transitions.step(&self.layout, state, symbol);
        next.expect("any response to an operation of unknown outcome is right")
    }

    /// The configuration before any step; `observed` as for [`follow`](Self::follow).
    pub(super) fn start<S: BitSet>(&mut self, observed: &mut impl FnMut(u32)) -> Configuration<S> {
        let mut start =
            Configuration { at: 0, state: INITIAL, since: 0, used: NONE_USED, taken: S::default() };
        self.settle(&mut start, observed);
        start
    }

    /// True if the state after a step is the same wherever it leads from.
    pub(super) fn is_overwriting(&self, step: Step) -> bool {
        let role = match step {
            Step::Take(id) => self.layout.completed[id as usize].role,
            Step::Use(id) => self.layout.families[self.layout.unknown[id as usize].family as usize].role,
            Step::TakeInHindsight(_) => return false,
        };
        role == Role::Overwriter
    }

    /// The configuration after an operation took effect in another. `observed` is told which observers
    /// took effect with it, in their order.
    ///
    /// # Panics
    /// If the operation cannot take effect there.
    pub(super) fn follow<S: BitSet>(
        &mut self,
        from: &Configuration<S>,
        step: Step,
        observed: &mut impl FnMut(u32),
    ) -> Configuration<S> {
        let mut next = from.clone();
        match step {
            Step::Take(id) => {
                next.state = self.answer_of(from.state, id).expect("it can take effect");
                next.taken.insert(self.layout.completed[id as usize].slot);
            }
            Step::TakeInHindsight(id) => next.taken.insert(self.layout.completed[id as usize].slot),
            Step::Use(id) => {
                let family = self.layout.unknown[id as usize].family;
                next.state = self.effect(from.state, self.layout.families[family as usize].symbol);
                next.used = self.used_sets.with(from.used, id);
            }
        }
        if self.is_overwriting(step) {
            next.since = self.layout.returns[from.at as usize].called;
        }
        self.settle(&mut next, observed);
        next
    }

    /// Moves a configuration on in time as far as it goes, and gives it its normal form there.
    fn settle<S: BitSet>(&mut self, configuration: &mut Configuration<S>, observed: &mut impl FnMut(u32)) {
        self.pass_returns(configuration, observed);
        if (configuration.at as usize) < self.layout.returns.len() && self.layout.has_overwriters() {
            self.forget_the_overwritten(configuration);
        }
    }

    /// Passes every return whose operation has taken effect, and lets observers take effect where that
    /// helps.
    fn pass_returns<S: BitSet>(
        &mut self,
        configuration: &mut Configuration<S>,
        observed: &mut impl FnMut(u32),
    ) {
        while let Some(at) = self.layout.returns.get(configuration.at as usize) {
            let slot = self.layout.completed[at.completed as usize].slot;
            if !configuration.taken.contains(slot) {
                self.take_observers(configuration, observed);
            }
            if !configuration.taken.remove(slot) {
                return;
            }
            configuration.at += 1;
        }
    }

    /// Lets every open observer whose response is right take effect.
    fn take_observers<S: BitSet>(
        &mut self,
        configuration: &mut Configuration<S>,
        observed: &mut impl FnMut(u32),
    ) {
        let Self { layout, transitions, .. } = self;
        let mut taken = configuration.taken.clone();
        for (id, completed) in layout.untaken(configuration.at, &configuration.taken) {
            if completed.role == Role::Observer
                && transitions.step(layout, configuration.state, completed.symbol).is_some()
            {
                taken.insert(completed.slot);
                observed(id);
            }
        }
        configuration.taken = taken;
    }

    /// Makes configurations equal that differ only in what nobody can see any more: the state, if it
    /// will be overwritten before anybody learns of it, and the moment since which it has been there, as
    /// far as no open operation depends on it.
    fn forget_the_overwritten<S: BitSet>(&mut self, configuration: &mut Configuration<S>) {
        let Configuration { at, since, .. } = *configuration;
        let (called, _) = self.layout.called_by(at);
        let mut deadline = self.layout.first_overwritten(called);
        configuration.since = 0;
        for (id, completed) in self.layout.untaken(at, &configuration.taken) {
            match completed.role {
                // It need not overwrite this state.
                Role::Overwriter if id < since => configuration.since = configuration.since.max(id + 1),
                Role::Overwriter => deadline = deadline.min(completed.returned),
                _ => {}
            }
        }
        if configuration.state != OVERWRITTEN && self.is_unseen_until(configuration, deadline) {
            configuration.state = OVERWRITTEN;
        }
        if configuration.state == OVERWRITTEN {
            // Overwriting what nobody sees is no worse than having done so before.
            configuration.since = 0;
        }
    }

    /// True if nothing but operations that overwrite can take effect until the return `deadline`, so that
    /// nobody learns what is overwritten then.
    fn is_unseen_until<S: BitSet>(&mut self, configuration: &Configuration<S>, deadline: u32) -> bool {
        let Configuration { at, state, ref taken, .. } = *configuration;
        let Self { layout, transitions, .. } = self;
        let mut is_right = |symbol| transitions.step(layout, state, symbol).is_some();
        if layout.untaken(at, taken).any(|(_, open)| open.role == Role::Update && is_right(open.symbol)) {
            return false;
        }
        let ((called, _), (called_then, unknown_then)) = (layout.called_by(at), layout.called_by(deadline));
        let to_come = &layout.completed[called as usize..called_then.max(called) as usize];
        let sees = |open: &Completed| open.role != Role::Overwriter && is_right(open.symbol);
        if to_come.len() > LOOK_AHEAD || to_come.iter().any(sees) {
            return false;
        }
        layout.families.len() <= LOOK_AHEAD
            && layout.families.iter().all(|family| {
                family.role == Role::Overwriter
                    || family.members[0] >= unknown_then
                    || transitions.step(layout, state, family.symbol) == Some(state)
            })
    }

    /// True if an open operation other than one that overwrites could take effect next, seeing the state
    /// that `configuration` would have if it were `state`. `usable` is as [`usable`](Self::usable) gives it.
    fn is_seen<S: BitSet>(
        &mut self,
        configuration: &Configuration<S>,
        state: u32,
        usable: &[(u32, u32)],
    ) -> bool {
        let Configuration { at, ref taken, .. } = *configuration;
        let Self { layout, transitions, looked_at, .. } = self;
        let is_right = |open: &Completed| {
            open.role != Role::Overwriter && transitions.step(layout, state, open.symbol).is_some()
        };
        layout.untaken(at, taken).map(|(_, open)| open).any(is_right)
            || usable.iter().any(|&(family, _)| {
                *looked_at += 1;
                let family = &layout.families[family as usize];
                family.role != Role::Overwriter
                    && transitions.step(layout, state, family.symbol) != Some(state)
            })
    }

    /// The families of which an operation has been called and not been used, each with the first such.
    fn usable<S>(&mut self, configuration: &Configuration<S>) -> Vec<(u32, u32)> {
        let families = &self.layout.families;
        if families.is_empty() {
            return Vec::new();
        }
        self.looked_at += families.len() as u64;
        let called = self.layout.returns[configuration.at as usize].unknown;
        let mut used = vec![0_u32; families.len()];
        for &id in self.used_sets.get(configuration.used) {
            used[self.layout.unknown[id as usize].family as usize] += 1;
        }
        // They are in the order of their first calls.
        let families =
            families.iter().zip(used).zip(0..).take_while(|((family, _), _)| family.members[0] < called);
        let next = families.filter_map(|((family, used), number)| {
            family.members.get(used as usize).filter(|&&id| id < called).map(|&id| (number, id))
        });
        next.collect()
    }

    /// True if what is to come speaks for keeping the state rather than for the state `other`.
    fn is_awaited<S: BitSet>(&mut self, configuration: &Configuration<S>, other: u32) -> bool {
        let Configuration { at, state, ref taken, .. } = *configuration;
        let Self { layout, transitions, .. } = self;
        let (called, _) = layout.called_by(at);
        let to_come = layout.completed[called as usize..].iter().take(LOOK_AHEAD);
        let open = layout.untaken(at, taken).map(|(_, open)| open);
        for completed in open.chain(to_come).filter(|completed| completed.role != Role::Overwriter) {
            let mut is_right = |state| transitions.step(layout, state, completed.symbol).is_some();
            match (is_right(state), is_right(other)) {
                (true, false) => return true,
                (false, true) => return false,
                _ => {}
            }
        }
        false
    }
}

impl<S: BitSet> Exploration<S> {
    pub(super) fn new<M: Model>(strategy: Strategy, ground: &mut Ground<'_, M>) -> Self {
        let mut exploration = Self {
            strategy,
            layers: BTreeMap::new(),
            spare: None,
            furthest: 0,
            explained: false,
            until_asked: 0,
            origins: None,
        };
        let start = ground.start(&mut |_| {});
        exploration.add(ground, start);
        exploration
    }

    /// A depth-first exploration that remembers how it got anywhere.
    pub(super) fn remembering<M: Model>(ground: &mut Ground<'_, M>) -> Self {
        let mut exploration = Self::new(Strategy::DepthFirst, ground);
        exploration.origins = Some(vec![Origin { from: 0, step: Step::Take(0) }]);
        exploration
    }

    /// Visits configurations until the verdict is certain or the allowance is used up.
    pub(super) fn advance<M: Model>(
        &mut self,
        ground: &mut Ground<'_, M>,
        allowance: &mut Allowance<'_>,
    ) -> Progress {
        loop {
            if self.explained {
                return Progress::Explained;
            }
            if ground.impassable == Some(self.furthest) {
                return Progress::Refuted;
            }
            let Some(mut first) = self.layers.first_entry() else {
                return Progress::Refuted;
            };
            let layer = first.get_mut();
            let next = match self.strategy {
                Strategy::DepthFirst => layer.to_visit.pop_back(),
                Strategy::BreadthFirst => layer.to_visit.pop_front(),
            };
            let Some((id, phase)) = next else {
                if self.strategy == Strategy::DepthFirst {
                    return Progress::Refuted;
                }
                self.spare = Some(first.remove().emptied());
                continue;
            };
            let configuration = layer.met[id as usize].clone();
            if configuration.is_superfluous() {
                continue;
            }
            if let Some(end) = self.pay(ground, allowance) {
                // Nothing is lost: it can go on from here with another allowance.
                let layer = self.layers.first_entry().expect("there is a layer").into_mut();
                match self.strategy {
                    Strategy::DepthFirst => layer.to_visit.push_back((id, phase)),
                    Strategy::BreadthFirst => layer.to_visit.push_front((id, phase)),
                }
                return end;
            }
            self.visit(ground, id, phase, &configuration);
        }
    }

    /// Takes the price of a visit out of the allowance, or says why there will be none.
    fn pay<M: Model>(
        &mut self,
        ground: &mut Ground<'_, M>,
        allowance: &mut Allowance<'_>,
    ) -> Option<Progress> {
        const ASKED_EVERY: u64 = 1024;
        if allowance.configurations == 0 {
            return Some(Progress::OutOfAllowance);
        }
        // Most visits look at few operations; one that looks at thousands takes as long as hundreds.
        let price = 1 + std::mem::take(&mut ground.looked_at) / LOOKED_AT_PER_VISIT;
        if self.until_asked <= price {
            self.until_asked = ASKED_EVERY;
            if allowance.interrupted.is_some_and(|interrupted| interrupted()) {
                return Some(Progress::Interrupted);
            }
            if self.bytes() as u64 + ground.bytes() as u64 > allowance.bytes {
                return Some(Progress::OutOfMemory);
            }
        }
        self.until_asked = self.until_asked.saturating_sub(price);
        allowance.configurations = allowance.configurations.saturating_sub(price);
        None
    }

    /// Looks for the successors of a configuration, the least promising first.
    fn visit<M: Model>(
        &mut self,
        ground: &mut Ground<'_, M>,
        id: u32,
        phase: Phase,
        configuration: &Configuration<S>,
    ) {
        let mut steps = Vec::new();
        let later = match phase {
            Phase::Due => {
                ground.find_due(configuration, &mut steps);
                Some(Phase::Others)
            }
            Phase::Others => {
                ground.find_others(configuration, &mut steps);
                (ground.layout.returns[configuration.at as usize].unknown > 0).then_some(Phase::Unknown)
            }
            Phase::Unknown => {
                ground.find_unknown(configuration, &mut steps);
                None
            }
        };
        if let Some(later) = later {
            let mut layer = self.layers.first_entry().expect("the configuration is in it");
            layer.get_mut().to_visit.push_back((id, later));
        }
        for step in steps {
            let next = ground.follow(configuration, step, &mut |_| {});
            if self.add(ground, next)
                && let Some(origins) = &mut self.origins
            {
                origins.push(Origin { from: id, step });
            }
        }
    }

    /// Keeps a configuration to be visited unless one at least as good is known; false if so.
    fn add<M: Model>(&mut self, ground: &mut Ground<'_, M>, configuration: Configuration<S>) -> bool {
        let at = configuration.at;
        if at as usize == ground.layout.returns.len() {
            self.explained = true;
        }
        self.furthest = self.furthest.max(at);
        let key = match self.strategy {
            Strategy::DepthFirst => 0,
            Strategy::BreadthFirst => at,
        };
        let spare = &mut self.spare;
        let layer = self.layers.entry(key).or_insert_with(|| spare.take().unwrap_or_default());
        layer.add(configuration, &ground.used_sets, &mut ground.looked_at)
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let origins = self.origins.as_ref().map_or(0, |origins| origins.capacity() * size_of::<Origin>());
        self.layers.values().map(Layer::bytes).sum::<usize>() + origins
    }

    /// The configurations that a return stopped, as numbers, in the order in which they were met. Going
    /// depth first only.
    pub(super) fn met_at(&self, at: u32) -> impl Iterator<Item = u32> {
        let met = self.layers.get(&0).map_or(&[][..], |layer| &layer.met);
        let stopped = move |(_, met): &(usize, &Configuration<S>)| met.at == at;
        met.iter().enumerate().filter(stopped).map(|(id, _)| number(id))
    }

    /// The steps that led to a configuration. Only for an exploration that [remembers](Self::remembering).
    pub(super) fn steps_to(&self, mut id: u32) -> Vec<Step> {
        let origins = self.origins.as_ref().expect("it remembers");
        let mut steps = Vec::new();
        while id != 0 {
            let Origin { from, step } = origins[id as usize];
            steps.push(step);
            id = from;
        }
        steps.reverse();
        steps
    }
}

/// Which operations may take effect next, the least promising first.
impl<M: Model> Ground<'_, M> {
    /// The operation that must return.
    fn find_due<S: BitSet>(&mut self, configuration: &Configuration<S>, steps: &mut Vec<Step>) {
        let Configuration { at, state, since, .. } = *configuration;
        let id = self.layout.returns[at as usize].completed;
        let due = &self.layout.completed[id as usize];
        let (role, symbol) = (due.role, due.symbol);
        // It is the first of those that are open, unless it returned before its call.
        let first = self.layout.untaken(at, &configuration.taken).next().map(|(open, _)| open);
        if first != Some(id) {
            return;
        }
        let Some(next) = self.transitions.step(&self.layout, state, symbol) else {
            return;
        };
        steps.push(Step::Take(id));
        if role == Role::Overwriter && id < since {
            steps.push(Step::TakeInHindsight(id));
            if !self.is_awaited(configuration, next) {
                steps.swap(0, 1);
            }
        }
    }

    /// Other completed operations. Observers that have not taken effect yet would see the wrong thing.
    fn find_others<S: BitSet>(&mut self, configuration: &Configuration<S>, steps: &mut Vec<Step>) {
        let Configuration { at, state, .. } = *configuration;
        let due = self.layout.returns[at as usize].completed;
        let mut symbols = vec![self.layout.completed[due as usize].symbol];
        let mut ready = Vec::new();
        let open: Vec<_> = self.layout.untaken(at, &configuration.taken).map(|(id, _)| id).collect();
        let mut usable = None;
        for id in open {
            let &Completed { symbol, slot, role, .. } = &self.layout.completed[id as usize];
            // Of equal ones, the first to return goes first.
            if role == Role::Observer || symbols.contains(&symbol) {
                continue;
            }
            symbols.push(symbol);
            let Some(next) = self.transitions.step(&self.layout, state, symbol) else {
                continue;
            };
            if role == Role::Overwriter {
                let mut after = configuration.clone();
                after.taken.insert(slot);
                let usable = usable.get_or_insert_with(|| self.usable(configuration));
                if !self.is_seen(&after, next, usable) {
                    continue;
                }
            }
            let helps = self.answer_of(next, due).is_some();
            if helps { &mut ready } else { &mut *steps }.push(Step::Take(id));
        }
        steps.reverse();
        steps.extend(ready.into_iter().rev());
    }

    /// Operations of unknown outcome that make a difference.
    fn find_unknown<S: BitSet>(&mut self, configuration: &Configuration<S>, steps: &mut Vec<Step>) {
        let Configuration { at, state, .. } = *configuration;
        let due = self.layout.returns[at as usize].completed;
        let mut ready = Vec::new();
        let usable = self.usable(configuration);
        for &(family, id) in &usable {
            let Family { symbol, role, .. } = self.layout.families[family as usize];
            let next = self.effect(state, symbol);
            if next == state || role == Role::Overwriter && !self.is_seen(configuration, next, &usable) {
                continue;
            }
            let helps = self.answer_of(next, due).is_some();
            if helps { &mut ready } else { &mut *steps }.push(Step::Use(id));
        }
        steps.extend(ready);
    }
}

impl<S: BitSet> Configuration<S> {
    /// True if a better one has become known since; see [`Layer::add`].
    fn is_superfluous(&self) -> bool {
        self.at == u32::MAX
    }

    fn key(&self) -> (u32, u32, &S) {
        (self.at, self.state, &self.taken)
    }
}

impl<S> Default for Layer<S> {
    fn default() -> Self {
        Self { met: Vec::new(), numbers: HashTable::new(), to_visit: VecDeque::new(), heap_bytes: 0 }
    }
}

impl<S: BitSet> Layer<S> {
    /// Adds a configuration, in place of any that it makes superfluous; false if it is so itself. Counts the
    /// operations of unknown outcome that it has `looked_at`.
    fn add(&mut self, configuration: Configuration<S>, used_sets: &UsedSets, looked_at: &mut u64) -> bool {
        let is_better = |one: &Configuration<S>, other: &Configuration<S>| {
            one.since >= other.since && used_sets.is_subset(one.used, other.used)
        };
        let hash = hash_of(&configuration.key());
        let alike: Vec<u32> = (self.numbers.iter_hash(hash).copied())
            .filter(|&id| self.met[id as usize].key() == configuration.key())
            .collect();
        *looked_at += alike.len() as u64 * used_sets.get(configuration.used).len() as u64;
        if alike.iter().any(|&id| is_better(&self.met[id as usize], &configuration)) {
            return false;
        }
        for id in alike {
            if is_better(&configuration, &self.met[id as usize]) {
                if let Ok(entry) = self.numbers.find_entry(hash, |&other| other == id) {
                    entry.remove();
                }
                self.met[id as usize].at = u32::MAX;
            }
        }
        let id = number(self.met.len());
        self.heap_bytes += configuration.taken.heap_bytes();
        self.met.push(configuration);
        self.numbers.insert_unique(hash, id, |&id| hash_of(&self.met[id as usize].key()));
        self.to_visit.push_back((id, Phase::Due));
        true
    }

    /// The layer without anything in it, ready to be used for another return.
    fn emptied(mut self) -> Self {
        self.met.clear();
        self.numbers.clear();
        self.to_visit.clear();
        self.heap_bytes = 0;
        self
    }

    fn bytes(&self) -> usize {
        self.met.capacity() * size_of::<Configuration<S>>()
            + self.heap_bytes
            + self.numbers.allocation_size()
            + self.to_visit.capacity() * size_of::<(u32, Phase)>()
    }
}
