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
//! * An operation of unknown outcome is tried only where it changes the state, is held back while
//!   an identical earlier one is unused, and of two configurations that differ only in which of
//!   these operations are used up, one whose set is contained in the other's makes the other
//!   superfluous.
//! * A depth-first and a breadth-first exploration compete. The first is quick to find an order;
//!   the second meets the smallest sets first and forgets what lies behind it.
//!
//! Partitions and explorations take turns, with growing allowances counted in configurations, so
//! verdicts are reproducible and a hard partition does not hide a violation in an easy one.

use std::cmp::{Ordering, Reverse};
use std::collections::binary_heap::PeekMut;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::hash::Hash;
use std::ops::Range;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::{Call, Refusal, Verdict};
use crate::workload::Model;

/// The explorations that compete.
const STRATEGIES: [Strategy; 2] = [Strategy::DepthFirst, Strategy::BreadthFirst];

/// The first allowance of an exploration, in configurations per operation of its partition: enough
/// for a history that needs little backtracking to be done in one go.
const FIRST_ALLOWANCE: u64 = 4;

/// Decides whether `history` is linearizable, given a service that starts as `initial`.
///
/// `budget` is the number of configurations that may be visited, over all partitions and
/// explorations together; when it is used up the verdict is [`Verdict::Undecided`]. One counts
/// twice if operations of unknown outcome are tried from it, too. A configuration costs time in
/// proportion to the operations open at once, and some 100 bytes in the usual case of at most 64
/// of them.
///
/// Where several partitions are at fault the refusal names the one that was refuted first.
pub fn search<M: Model>(initial: &M, history: &[Call<M::Operation, M::Response>], budget: u64) -> Verdict {
    let layouts = lay_out_all::<M>(history);
    if layouts.iter().all(|layout| layout.width() <= u64::BITS) {
        contest_all::<M, u64>(initial, layouts, &STRATEGIES, budget)
    } else {
        contest_all::<M, Vec<u64>>(initial, layouts, &STRATEGIES, budget)
    }
}

/// Lets all partitions take turns until one is refuted, all are explained, or the budget is gone.
pub(super) fn contest_all<M: Model, S: BitSet>(
    initial: &M,
    layouts: Vec<Layout<'_, M>>,
    strategies: &[Strategy],
    mut budget: u64,
) -> Verdict {
    let mut contests: Vec<_> =
        layouts.into_iter().map(|layout| Contest::<M, S>::new(initial, layout, strategies)).collect();
    let mut allowance = FIRST_ALLOWANCE;
    loop {
        let mut undecided = Vec::new();
        for mut contest in contests {
            match contest.take_turn(initial, allowance, &mut budget) {
                Verdict::Linearizable => {}
                Verdict::Undecided => undecided.push(contest),
                refused @ Verdict::NotLinearizable(_) => return refused,
            }
        }
        if undecided.is_empty() {
            return Verdict::Linearizable;
        }
        if budget == 0 {
            return Verdict::Undecided;
        }
        contests = undecided;
        allowance = allowance.saturating_mul(2);
    }
}

/// An order in which to explore configurations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    /// The configuration that has come furthest in time is next.
    DepthFirst,
    /// The configuration that has come least far in time is next.
    BreadthFirst,
}

/// The competing explorations of one partition.
struct Contest<'h, M: Model, S> {
    layout: Layout<'h, M>,
    transitions: Transitions<M>,
    explorations: Vec<Exploration<S>>,
}

impl<'h, M: Model, S: BitSet> Contest<'h, M, S> {
    fn new(initial: &M, layout: Layout<'h, M>, strategies: &[Strategy]) -> Self {
        let mut transitions = Transitions::new(initial);
        let explorations = strategies
            .iter()
            .map(|&strategy| Exploration::new(strategy, &layout, &mut transitions))
            .collect();
        Self { layout, transitions, explorations }
    }

    /// Gives each exploration an allowance per operation, as far as the budget goes.
    fn take_turn(&mut self, initial: &M, allowance: u64, budget: &mut u64) -> Verdict {
        let operations = self.layout.returns.len() as u64 + 1;
        for exploration in &mut self.explorations {
            let granted = allowance.saturating_mul(operations).min(*budget);
            let mut left = granted;
            let progress = exploration.advance(&self.layout, &mut self.transitions, &mut left);
            *budget -= granted - left;
            match progress {
                Ok(Verdict::Undecided) => {}
                Ok(verdict) => return verdict,
                Err(FamilyDisagrees) => {
                    self.start_again_without_families(initial);
                    return Verdict::Undecided;
                }
            }
        }
        Verdict::Undecided
    }

    fn start_again_without_families(&mut self, initial: &M) {
        self.layout.dissolve_families();
        self.transitions = Transitions::new(initial);
        for exploration in &mut self.explorations {
            *exploration = Exploration::new(exploration.strategy, &self.layout, &mut self.transitions);
        }
    }
}

/// The operations of one partition, laid out in time.
pub(super) struct Layout<'h, M: Model> {
    partition: u64,
    /// Operations that returned, in the order of their calls.
    completed: Vec<Completed<'h, M>>,
    /// Updates of unknown outcome, in the order of their calls. An observer of unknown outcome
    /// says nothing and is left out.
    unknown: Vec<Unknown<'h, M>>,
    /// The members of each family, in the order of their calls.
    families: Vec<Vec<u32>>,
    /// The returns in time order: the moments at which something may have to be decided.
    returns: Vec<Return>,
    /// The completed operations open at each return, the next to return first; see [`Return::open`].
    open: Vec<u32>,
    /// How many bits tell the open completed operations apart.
    slots: u32,
}

struct Completed<'h, M: Model> {
    /// Index in the history.
    index: usize,
    operation: &'h M::Operation,
    response: &'h M::Response,
    /// The bit that stands for the operation while it is open.
    slot: u32,
    observes_only: bool,
}

struct Unknown<'h, M: Model> {
    operation: &'h M::Operation,
    /// The operations that are taken to be identical to this one, itself included.
    family: u32,
    /// The member of the family called just before this one.
    elder: Option<u32>,
}

struct Return {
    /// The completed operation that returns.
    completed: u32,
    /// Its neighbours and itself in [`Layout::open`].
    open: Range<usize>,
    /// How many operations of unknown outcome have been called by then.
    unknown: u32,
}

/// The two ends of an operation. At equal times calls come first: intervals are closed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Call,
    Return,
}

/// Lays out every partition of a history, in the order of their numbers.
pub(super) fn lay_out_all<M: Model>(history: &[Call<M::Operation, M::Response>]) -> Vec<Layout<'_, M>> {
    let mut members: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (index, call) in history.iter().enumerate() {
        let partition = M::partition(&call.operation);
        members.entry(partition).or_default().push(index);
    }
    members.into_iter().map(|(partition, members)| Layout::new(partition, history, &members)).collect()
}

impl<'h, M: Model> Layout<'h, M> {
    fn new(partition: u64, history: &'h [Call<M::Operation, M::Response>], members: &[usize]) -> Self {
        let mut layout = Self {
            partition,
            completed: Vec::new(),
            unknown: Vec::new(),
            families: Vec::new(),
            returns: Vec::new(),
            open: Vec::new(),
            slots: 0,
        };
        let mut family_of_text = BTreeMap::new();
        let mut free_slots = Vec::new();
        // Ordered by return, then index, exactly as the returns themselves are met below.
        let mut open: BTreeSet<(u64, usize, u32)> = BTreeSet::new();
        for (_, end, index) in ends_in_time_order(history, members) {
            let call = &history[index];
            match (end, &call.returned) {
                (End::Call, None) => layout.add_unknown(&call.operation, &mut family_of_text),
                (End::Call, Some((returned, response))) => {
                    let slot = free_slots.pop().unwrap_or_else(|| layout.add_slot());
                    let completed = layout.add_completed(index, &call.operation, response, slot);
                    open.insert((*returned, index, completed));
                }
                (End::Return, Some((_, response))) => match open.first() {
                    Some(&(_, first, completed)) if first == index => {
                        layout.add_return(completed, &open);
                        free_slots.push(layout.completed[completed as usize].slot);
                        open.pop_first();
                    }
                    _ => {
                        // It returns before its call: never open, so nothing gets past this return.
                        let slot = layout.add_slot();
                        let completed = layout.add_completed(index, &call.operation, response, slot);
                        layout.add_return(completed, &open);
                        break;
                    }
                },
                (End::Return, None) => unreachable!("only operations that returned have a return"),
            }
        }
        layout
    }

    fn add_slot(&mut self) -> u32 {
        self.slots += 1;
        self.slots - 1
    }

    fn add_completed(
        &mut self,
        index: usize,
        operation: &'h M::Operation,
        response: &'h M::Response,
        slot: u32,
    ) -> u32 {
        self.completed.push(Completed {
            index,
            operation,
            response,
            slot,
            observes_only: M::observes_only(operation),
        });
        number(self.completed.len() - 1)
    }

    /// Adds an operation of unknown outcome to the family of its `Debug` text. Operations cannot be
    /// compared, and a text may leave something out; [`Transitions::effect`] notices if it matters.
    fn add_unknown(&mut self, operation: &'h M::Operation, family_of_text: &mut BTreeMap<String, u32>) {
        if M::observes_only(operation) {
            return;
        }
        let family = *family_of_text.entry(format!("{operation:?}")).or_insert(number(self.families.len()));
        if family as usize == self.families.len() {
            self.families.push(Vec::new());
        }
        let siblings = &mut self.families[family as usize];
        self.unknown.push(Unknown { operation, family, elder: siblings.last().copied() });
        siblings.push(number(self.unknown.len() - 1));
    }

    fn add_return(&mut self, completed: u32, open: &BTreeSet<(u64, usize, u32)>) {
        let start = self.open.len();
        self.open.extend(open.iter().map(|&(_, _, completed)| completed));
        self.returns.push(Return {
            completed,
            open: start..self.open.len(),
            unknown: number(self.unknown.len()),
        });
    }

    /// Makes every operation of unknown outcome a family of its own.
    fn dissolve_families(&mut self) {
        self.families = (0..number(self.unknown.len())).map(|id| vec![id]).collect();
        for (family, unknown) in (0..).zip(&mut self.unknown) {
            unknown.family = family;
            unknown.elder = None;
        }
    }

    /// How many bits the sets of a [`Configuration`] need.
    fn width(&self) -> u32 {
        self.slots.max(number(self.unknown.len()))
    }

    /// The completed operations open at a return that are not in `taken`, the next to return first.
    fn untaken<'a, S: BitSet>(
        &'a self,
        at: &Return,
        taken: &'a S,
    ) -> impl DoubleEndedIterator<Item = (u32, &'a Completed<'h, M>)> {
        self.open[at.open.clone()]
            .iter()
            .map(|&id| (id, &self.completed[id as usize]))
            .filter(|(_, completed)| !taken.contains(completed.slot))
    }
}

fn ends_in_time_order<O, R>(history: &[Call<O, R>], members: &[usize]) -> Vec<(u64, End, usize)> {
    let mut ends = Vec::with_capacity(2 * members.len());
    for &index in members {
        ends.push((history[index].called, End::Call, index));
        if let Some((returned, _)) = history[index].returned {
            ends.push((returned, End::Return, index));
        }
    }
    ends.sort_unstable();
    ends
}

/// Narrows an index; four bytes keep configurations small.
fn number(index: usize) -> u32 {
    u32::try_from(index).expect("fewer than 2^32 operations and states")
}

/// The states met so far, each with a number, and what the operations make of them.
struct Transitions<M> {
    states: Vec<Rc<M>>,
    numbers: FxHashMap<Rc<M>, u32>,
    /// By state and completed operation: the next state, if the response is right.
    answers: FxHashMap<(u32, u32), Option<u32>>,
    /// By state and family of operations of unknown outcome: the next state.
    effects: FxHashMap<(u32, u32), u32>,
}

/// Operations that were taken to be identical turn out to differ.
struct FamilyDisagrees;

impl<M: Model> Transitions<M> {
    /// The number of the state every exploration starts from.
    const INITIAL: u32 = 0;

    fn new(initial: &M) -> Self {
        let mut transitions = Self {
            states: Vec::new(),
            numbers: FxHashMap::default(),
            answers: FxHashMap::default(),
            effects: FxHashMap::default(),
        };
        transitions.intern(initial.clone());
        transitions
    }

    /// The state after a completed operation, or `None` if it would answer something else.
    fn answer(&mut self, layout: &Layout<'_, M>, state: u32, completed: u32) -> Option<u32> {
        if let Some(&next) = self.answers.get(&(state, completed)) {
            return next;
        }
        let Completed { operation, response, .. } = layout.completed[completed as usize];
        let mut model = M::clone(&self.states[state as usize]);
        let next = (model.apply(operation) == *response).then(|| self.intern(model));
        self.answers.insert((state, completed), next);
        next
    }

    /// The state after an operation of unknown outcome, or an error if its family is not one.
    ///
    /// Members of a family stand in for one another only if they agree on every state the search
    /// meets. Then any order that uses a younger one first can be turned, step by step and through
    /// the same states, into one that uses the elder first.
    fn effect(&mut self, layout: &Layout<'_, M>, state: u32, family: u32) -> Result<u32, FamilyDisagrees> {
        if let Some(&next) = self.effects.get(&(state, family)) {
            return Ok(next);
        }
        let mut outcomes = layout.families[family as usize].iter().map(|&member| {
            let mut model = M::clone(&self.states[state as usize]);
            model.apply(layout.unknown[member as usize].operation);
            model
        });
        let outcome = outcomes.next().expect("a family has at least one member");
        if outcomes.any(|other| other != outcome) {
            return Err(FamilyDisagrees);
        }
        let next = self.intern(outcome);
        self.effects.insert((state, family), next);
        Ok(next)
    }

    fn intern(&mut self, model: M) -> u32 {
        if let Some(&known) = self.numbers.get(&model) {
            return known;
        }
        let new = number(self.states.len());
        let model = Rc::new(model);
        self.states.push(Rc::clone(&model));
        self.numbers.insert(model, new);
        new
    }
}

/// A point the search has come to.
#[derive(Clone)]
struct Configuration<S> {
    /// The return that cannot be passed yet, as an index into [`Layout::returns`].
    at: u32,
    /// Number of the state of the service.
    state: u32,
    /// The slots of the open completed operations that have taken effect.
    taken: S,
    /// The operations of unknown outcome that have taken effect.
    used: S,
}

/// Which operations a visit lets take effect. There can be hundreds of unknown outcome, most of
/// them to no avail, so they wait until the others have been tried.
#[derive(Clone, Copy)]
enum Next {
    Completed,
    Unknown,
}

/// A configuration to be visited, and how soon.
struct Candidate<S> {
    next: Next,
    /// The greatest is next: the strategy's choice of time; whether, going depth first, the
    /// operation that must return could take effect at once; few operations of unknown outcome
    /// used; the latest found.
    priority: (u32, bool, Reverse<u32>, u64),
    configuration: Configuration<S>,
}

impl<S> Ord for Candidate<S> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.priority.cmp(&other.priority)
    }
}

impl<S> PartialOrd for Candidate<S> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<S> PartialEq for Candidate<S> {
    fn eq(&self, other: &Self) -> bool {
        self.priority == other.priority
    }
}

impl<S> Eq for Candidate<S> {}

/// One walk through the configurations of a partition.
struct Exploration<S> {
    strategy: Strategy,
    frontier: BinaryHeap<Candidate<S>>,
    /// For each return, by state and operations taken: the operations of unknown outcome used.
    known: Vec<FxHashMap<(u32, S), Known<S>>>,
    /// The return at which the last configuration was visited, going breadth first; nothing before
    /// it can come up again.
    reached: u32,
    /// How many candidates there have been.
    found: u64,
    /// The last return any configuration got to.
    furthest: u32,
    /// The most completed operations that took effect in any configuration.
    placed: usize,
    /// True once some configuration has passed every return.
    explained: bool,
}

/// Sets of used operations with which a configuration was met, none containing another.
/// There is rarely a second, so the first is kept out of the vector.
struct Known<S> {
    first: S,
    others: Vec<S>,
}

impl<S: BitSet> Exploration<S> {
    fn new<M: Model>(strategy: Strategy, layout: &Layout<'_, M>, transitions: &mut Transitions<M>) -> Self {
        let mut exploration = Self {
            strategy,
            frontier: BinaryHeap::new(),
            known: layout.returns.iter().map(|_| FxHashMap::default()).collect(),
            reached: 0,
            found: 0,
            furthest: 0,
            placed: 0,
            explained: false,
        };
        let start = Configuration {
            at: 0,
            state: Transitions::<M>::INITIAL,
            taken: S::default(),
            used: S::default(),
        };
        exploration.add(layout, transitions, start);
        exploration
    }

    /// Visits configurations until the verdict is certain or the allowance is used up.
    fn advance<M: Model>(
        &mut self,
        layout: &Layout<'_, M>,
        transitions: &mut Transitions<M>,
        allowance: &mut u64,
    ) -> Result<Verdict, FamilyDisagrees> {
        while !self.explained {
            let Some(next) = self.frontier.peek_mut() else {
                return Ok(Verdict::NotLinearizable(self.refusal(layout)));
            };
            if *allowance == 0 {
                return Ok(Verdict::Undecided);
            }
            let candidate = PeekMut::pop(next);
            if self.is_superfluous(&candidate.configuration) {
                continue;
            }
            *allowance -= 1;
            self.forget_before(candidate.configuration.at);
            match candidate.next {
                Next::Completed => self.try_completed(layout, transitions, candidate.configuration),
                Next::Unknown => self.try_unknown(layout, transitions, &candidate.configuration)?,
            }
        }
        Ok(Verdict::Linearizable)
    }

    /// Forgets what the breadth-first exploration cannot meet again.
    fn forget_before(&mut self, at: u32) {
        if self.strategy == Strategy::BreadthFirst {
            while self.reached < at {
                self.known[self.reached as usize] = FxHashMap::default();
                self.reached += 1;
            }
        }
    }

    /// Lets each completed operation that may take effect do so, the least promising first.
    fn try_completed<M: Model>(
        &mut self,
        layout: &Layout<'_, M>,
        transitions: &mut Transitions<M>,
        configuration: Configuration<S>,
    ) {
        let at = &layout.returns[configuration.at as usize];
        // Observers that have not taken effect yet would see the wrong thing.
        let updates =
            layout.untaken(at, &configuration.taken).filter(|(_, completed)| !completed.observes_only);
        for (id, completed) in updates.rev() {
            if let Some(next) = transitions.answer(layout, configuration.state, id) {
                let mut successor = configuration.clone();
                successor.state = next;
                successor.taken.insert(completed.slot);
                self.add(layout, transitions, successor);
            }
        }
        if at.unknown > 0 {
            let used = configuration.used.count() + 1;
            self.push(configuration, Next::Unknown, false, used);
        }
    }

    /// Lets each operation of unknown outcome that makes a difference take effect.
    fn try_unknown<M: Model>(
        &mut self,
        layout: &Layout<'_, M>,
        transitions: &mut Transitions<M>,
        configuration: &Configuration<S>,
    ) -> Result<(), FamilyDisagrees> {
        let Configuration { at, state, ref used, .. } = *configuration;
        let called = 0..layout.returns[at as usize].unknown;
        for (id, unknown) in called.zip(&layout.unknown) {
            let elder_is_unused = unknown.elder.is_some_and(|elder| !used.contains(elder));
            if used.contains(id) || elder_is_unused {
                continue;
            }
            let next = transitions.effect(layout, state, unknown.family)?;
            if next != state {
                let mut successor = configuration.clone();
                successor.state = next;
                successor.used.insert(id);
                self.add(layout, transitions, successor);
            }
        }
        Ok(())
    }

    /// Moves a configuration on in time as far as it goes, and keeps it to be visited there unless
    /// one at least as good is known.
    fn add<M: Model>(
        &mut self,
        layout: &Layout<'_, M>,
        transitions: &mut Transitions<M>,
        mut configuration: Configuration<S>,
    ) {
        let blocked_by = pass_returns(layout, transitions, &mut configuration);
        let Some(blocked_by) = blocked_by else {
            self.explained = true;
            return;
        };
        if self.is_new(&configuration) {
            let Configuration { at, state, .. } = configuration;
            self.furthest = self.furthest.max(at);
            self.placed = (self.placed).max(at as usize + configuration.taken.count() as usize);
            let is_ready = transitions.answer(layout, state, blocked_by).is_some();
            let used = configuration.used.count();
            self.push(configuration, Next::Completed, is_ready, used);
        }
    }

    /// Remembers a configuration, unless one at least as good is known.
    fn is_new(&mut self, configuration: &Configuration<S>) -> bool {
        let Configuration { at, state, ref taken, ref used } = *configuration;
        match self.known[at as usize].entry((state, taken.clone())) {
            Entry::Vacant(entry) => {
                entry.insert(Known { first: used.clone(), others: Vec::new() });
                true
            }
            Entry::Occupied(entry) => entry.into_mut().add(used),
        }
    }

    /// True if a better configuration has become known since this one.
    fn is_superfluous(&self, configuration: &Configuration<S>) -> bool {
        let Configuration { at, state, ref taken, ref used } = *configuration;
        let known = self.known[at as usize].get(&(state, taken.clone()));
        known.is_some_and(|known| !known.contains(used))
    }

    fn push(&mut self, configuration: Configuration<S>, next: Next, is_ready: bool, used: u32) {
        let (when, is_ready) = match self.strategy {
            Strategy::DepthFirst => (configuration.at, is_ready),
            Strategy::BreadthFirst => (u32::MAX - configuration.at, false),
        };
        self.found += 1;
        self.frontier.push(Candidate {
            next,
            priority: (when, is_ready, Reverse(used), self.found),
            configuration,
        });
    }

    fn refusal<M: Model>(&self, layout: &Layout<'_, M>) -> Refusal {
        let blocked_by = layout.returns[self.furthest as usize].completed;
        Refusal {
            partition: layout.partition,
            placed: self.placed,
            operation: layout.completed[blocked_by as usize].index,
        }
    }
}

/// Passes every return whose operation has taken effect, and lets observers take effect where that
/// helps. Returns the completed operation that blocks the way, or `None` at the end of time.
fn pass_returns<M: Model, S: BitSet>(
    layout: &Layout<'_, M>,
    transitions: &mut Transitions<M>,
    configuration: &mut Configuration<S>,
) -> Option<u32> {
    while let Some(at) = layout.returns.get(configuration.at as usize) {
        let slot = layout.completed[at.completed as usize].slot;
        if !configuration.taken.contains(slot) {
            let observers = take_observers(layout, transitions, at, configuration);
            configuration.taken = observers;
        }
        if !configuration.taken.remove(slot) {
            return Some(at.completed);
        }
        configuration.at += 1;
    }
    None
}

/// The operations that have taken effect once every observer whose response is right has.
fn take_observers<M: Model, S: BitSet>(
    layout: &Layout<'_, M>,
    transitions: &mut Transitions<M>,
    at: &Return,
    configuration: &Configuration<S>,
) -> S {
    let mut taken = configuration.taken.clone();
    let observers = layout.untaken(at, &configuration.taken).filter(|(_, completed)| completed.observes_only);
    for (id, completed) in observers {
        if let Some(next) = transitions.answer(layout, configuration.state, id) {
            debug_assert_eq!(next, configuration.state, "an observer changed the state");
            taken.insert(completed.slot);
        }
    }
    taken
}

impl<S: BitSet> Known<S> {
    fn sets(&self) -> impl Iterator<Item = &S> {
        std::iter::once(&self.first).chain(&self.others)
    }

    fn contains(&self, used: &S) -> bool {
        self.sets().any(|known| known == used)
    }

    /// Adds a set of used operations in place of those that contain it; false if it contains one.
    fn add(&mut self, used: &S) -> bool {
        if self.sets().any(|known| known.is_subset(used)) {
            return false;
        }
        self.others.retain(|known| !used.is_subset(known));
        if used.is_subset(&self.first) {
            self.first = used.clone();
        } else {
            self.others.push(used.clone());
        }
        true
    }
}

/// A set of small numbers.
pub(super) trait BitSet: Clone + Default + Eq + Hash {
    fn contains(&self, bit: u32) -> bool;
    fn insert(&mut self, bit: u32);
    /// Removes a number; false if it was not there.
    fn remove(&mut self, bit: u32) -> bool;
    fn is_subset(&self, other: &Self) -> bool;
    fn count(&self) -> u32;
}

/// Numbers below 64.
impl BitSet for u64 {
    fn contains(&self, bit: u32) -> bool {
        self & (1 << bit) != 0
    }

    fn insert(&mut self, bit: u32) {
        *self |= 1 << bit;
    }

    fn remove(&mut self, bit: u32) -> bool {
        let was_there = self.contains(bit);
        *self &= !(1 << bit);
        was_there
    }

    fn is_subset(&self, other: &Self) -> bool {
        self & !other == 0
    }

    fn count(&self) -> u32 {
        self.count_ones()
    }
}

/// Any numbers, 64 to a word. The last word is never empty, so equal sets are equal vectors.
impl BitSet for Vec<u64> {
    fn contains(&self, bit: u32) -> bool {
        let word = self.get((bit / u64::BITS) as usize);
        word.is_some_and(|word| word.contains(bit % u64::BITS))
    }

    fn insert(&mut self, bit: u32) {
        let word = (bit / u64::BITS) as usize;
        if self.len() <= word {
            self.resize(word + 1, 0);
        }
        self[word].insert(bit % u64::BITS);
    }

    fn remove(&mut self, bit: u32) -> bool {
        let word = self.get_mut((bit / u64::BITS) as usize);
        let was_there = word.is_some_and(|word| word.remove(bit % u64::BITS));
        while self.last() == Some(&0) {
            self.pop();
        }
        was_there
    }

    fn is_subset(&self, other: &Self) -> bool {
        let is_covered = |(word, cover): (&u64, &u64)| word.is_subset(cover);
        self.len() <= other.len() && self.iter().zip(other).all(is_covered)
    }

    fn count(&self) -> u32 {
        self.iter().map(BitSet::count).sum()
    }
}
