//! Why a history is not linearizable, in few operations and in words.
//!
//! Of a history that no order explains, hardly anything matters. What does not is taken away, but only in
//! ways that no order can lose by, so that what is left condemns the whole:
//!
//! * What comes after the first return that cannot be explained is cut off.
//! * Operations that only look are left out.
//! * Updates become ones of unknown outcome. They are not left out: who saw what they did would be wrong
//!   for no reason. Three exceptions: of a container all operations on one value may be left out together, of
//!   a register all on most values (see `register`), and what is overwritten before anybody looks (see
//!   `overwritten`).
//!
//! That is bounded, by work and by the clock of whoever asks: a finding that is
//! [cut short](Finding::is_cut_short) is right, but not as small as it might be.
//!
//! In the end nothing more can be taken away by itself. Where a single read is left, who wrote what it saw and
//! who overwrote that are put back, for a reader will ask for them. Of these few operations, every order that goes as far
//! as any is listed, with the reason why it goes no further.

mod overwritten;
mod register;
#[cfg(test)]
mod tests;

use rustc_hash::FxHashSet;

use super::judge::{Calls, Limits, ORDER_BUDGET, OwnedCalls, Patience, is_explained};
use super::models::{Context, Datatype, container};
use super::monitor::{Opinion, monitor};
use crate::check::linearizability::{self, Reason, Refusal, Verdict};
use crate::workload::RegisterOperation;

/// How many configurations each question about a weakened history may cost.
const QUESTION_BUDGET: u64 = 5_000;
/// The same for the few about ends of a history, on which everything else depends.
const TAIL_BUDGET: u64 = 50_000;
/// How much work all such questions together may be: each costs the operations that it is about, and
/// [`QUESTION_COST`] besides.
const WORK: u64 = 3_000_000;
/// What a question costs however few operations it is about.
const QUESTION_COST: u64 = 5_000;
/// How many returns the shortest end of a history has that is tried for what is wrong.
const FIRST_TAIL: usize = 8;
/// How many ways to explain the rest are described.
const WAYS: usize = 8;

/// What is known of a history that is not linearizable. Operations are indices into its entries.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The part of the history that is at fault, if it has a name: a key, a value.
    pub partition: Option<String>,
    /// The operations of that part, in ascending order, if it has a name.
    pub part: Option<Vec<usize>>,
    /// The operation that cannot be placed.
    pub operation: usize,
    /// So many operations of the part, the first that returned, can be explained.
    pub placed: usize,
    /// True if they are all that returned before the operation: then the prefix is the longest for certain.
    /// Otherwise a longer one may exist, and an earlier operation without a place.
    pub is_longest: bool,
    /// An order that explains them, if it could be had.
    pub prefix: Option<Vec<usize>>,
    /// What matters: by itself not linearizable, in the order of the calls.
    pub core: Vec<Member>,
    /// The orders of the core that go as far as any.
    pub ways: Vec<Way>,
    /// True if there are no other ones.
    pub has_all_ways: bool,
    /// True if time or work ran out: the core may be larger than need be, and ways may be missing.
    pub is_cut_short: bool,
}

/// An operation that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which one.
    pub operation: usize,
    /// True if its return matters, too; otherwise it is enough that it was called.
    pub has_returned: bool,
    /// False if no [way](Way) needs it: an operation that could only have helped, and does not.
    pub is_needed: bool,
}

/// A way to explain the core as far as that is possible.
#[derive(Clone, Debug)]
pub struct Way {
    /// Operations in the order in which they take effect.
    pub order: Vec<usize>,
    /// The state after them, in words.
    pub state: String,
    /// Why it does not go on: of each operation that could be next, why not.
    pub reasons: Vec<Obstacle>,
    /// The operation that has to be placed now.
    pub operation: usize,
}

/// Why an operation that could be next is no way out.
#[derive(Clone, Debug)]
pub struct Obstacle {
    /// Which one.
    pub operation: usize,
    /// True if it could be next, but then the operation that has to be placed still has no place.
    pub does_not_help: bool,
    /// The reason in words: `would be answered 1, and was answered 2`.
    pub text: String,
}

/// A part of a history: the calls that are left of it, weakened or not, each with its place in the whole.
struct Part<D: Datatype> {
    /// In ascending order.
    indices: Vec<usize>,
    calls: OwnedCalls<D>,
}

impl<D: Datatype> Clone for Part<D> {
    fn clone(&self) -> Self {
        Self { indices: self.indices.clone(), calls: self.calls.clone() }
    }
}

/// Explains a refusal of the search.
pub(super) fn by_refusal<D: Datatype>(
    context: &Context<'_>,
    initial: &D,
    calls: &Calls<D>,
    refusal: &Refusal,
    limits: Limits<'_>,
) -> Finding {
    let whole = Part::<D>::of_partition(calls, refusal.partition);
    let indices = whole.indices.clone();
    // Later operations take part with the answers that they will get. A cut forgets these, and where they
    // matter nothing is wrong with what it leaves.
    let cut = whole.cut_behind(refusal.operation);
    let patience = Patience::new(WORK);
    let part = cut.tail(initial, |part| part.is_refuted(initial, TAIL_BUDGET, &patience, limits));
    let part = part.unwrap_or_else(|| {
        let is_wrong = is_explained(initial, &cut.calls, ORDER_BUDGET, limits) == Some(false);
        if is_wrong { cut } else { whole.clone() }
    });
    let part = part.minimal(initial, &patience, limits);
    let told = overwritten::with_writer(initial, &part, &whole);
    let told = told.filter(|told| told.is_refuted(initial, QUESTION_BUDGET, &patience, limits));
    let part = told.unwrap_or(part);
    let partition = D::say_partition(context, refusal.partition);
    let finding = Finding {
        part: partition.as_ref().map(|_| indices),
        partition,
        operation: refusal.operation,
        placed: refusal.placed,
        is_longest: true,
        prefix: None,
        core: Vec::new(),
        ways: Vec::new(),
        has_all_ways: false,
        is_cut_short: false,
    };
    let mut finding = finding.with_core(context, initial, part, &patience, limits);
    // What matters comes first, for time may run out.
    finding.prefix = linearizability::longest_prefix(initial, calls, refusal, limits.budget(ORDER_BUDGET));
    finding
}

/// Explains a refusal of a monitor, which is about some operations of the history.
pub(super) fn by_core<D: Datatype>(
    context: &Context<'_>,
    initial: &D,
    calls: &Calls<D>,
    core: &[usize],
    limits: Limits<'_>,
) -> Finding {
    let whole = Part::<D> { indices: (0..calls.len()).collect(), calls: calls.to_vec() };
    let first = first_refused(initial, &whole, limits);
    // By the last return of the core it is too late for certain.
    let returned = |&index: &usize| Some((calls[index].returned.as_ref()?.0, index));
    let latest = core.iter().filter_map(returned).max().map_or(first.operation, |(_, index)| index);
    let finding = Finding {
        partition: None,
        part: None,
        operation: if first.is_certain { first.operation } else { latest },
        placed: first.placed,
        is_longest: first.is_certain,
        // Nothing is explained by nothing.
        prefix: first.prefix.or_else(|| (first.placed == 0).then(Vec::new)),
        core: Vec::new(),
        ways: Vec::new(),
        has_all_ways: false,
        is_cut_short: false,
    };
    // What is before that return is better, for then the two tell the same story.
    let cut = whole.cut_behind(first.operation);
    let part = match cut.container_core(initial, limits) {
        Some(part) if first.is_certain => part,
        _ => whole.only(core),
    };
    let patience = Patience::new(WORK);
    let part = part.minimal(initial, &patience, limits);
    finding.with_core(context, initial, part, &patience, limits)
}

impl Finding {
    fn with_core<D: Datatype>(
        mut self,
        context: &Context<'_>,
        initial: &D,
        part: Part<D>,
        patience: &Patience,
        limits: Limits<'_>,
    ) -> Self {
        let members = part.indices.iter().zip(&part.calls);
        self.core = members
            .map(|(&operation, call)| Member {
                operation,
                has_returned: call.returned.is_some(),
                is_needed: true,
            })
            .collect();
        self.core.sort_by_key(|member| (context.history.entries[member.operation].called, member.operation));
        let verdict = linearizability::judge(initial, &part.calls, None, limits.budget(ORDER_BUDGET));
        if let Verdict::NotLinearizable(refusal) = verdict {
            self.add_ways(context, initial, &part, &refusal, limits);
        }
        self.is_cut_short = patience.is_gone() || (limits.interrupted)();
        if !self.ways.is_empty() {
            let needed: FxHashSet<usize> = self.ways.iter().flat_map(|way| &way.order).copied().collect();
            self.core.iter_mut().for_each(|member| {
                member.is_needed = member.has_returned || needed.contains(&member.operation);
            });
        }
        self
    }

    fn add_ways<D: Datatype>(
        &mut self,
        context: &Context<'_>,
        initial: &D,
        part: &Part<D>,
        refusal: &Refusal,
        limits: Limits<'_>,
    ) {
        let explanation =
            linearizability::explain(initial, &part.calls, refusal, limits.budget(ORDER_BUDGET));
        let Some(explanation) = explanation else { return };
        self.has_all_ways = explanation.is_complete && explanation.survivors.len() <= WAYS;
        for survivor in explanation.survivors.into_iter().take(WAYS) {
            let mut model = initial.clone();
            for &index in &survivor.order {
                model.apply(&part.calls[index].operation);
            }
            let reasons = survivor.candidates.iter().map(|candidate| {
                let text = reason(context, &model, part, candidate.operation, refusal, &candidate.reason);
                let does_not_help = candidate.reason == Reason::DoesNotHelp;
                Obstacle { operation: part.indices[candidate.operation], does_not_help, text }
            });
            self.ways.push(Way {
                reasons: reasons.collect(),
                order: survivor.order.iter().map(|&index| part.indices[index]).collect(),
                state: model.say_state(context, refusal.partition),
                operation: part.indices[refusal.operation],
            });
        }
    }
}

fn reason<D: Datatype>(
    context: &Context<'_>,
    model: &D,
    part: &Part<D>,
    candidate: usize,
    refusal: &Refusal,
    reason: &Reason,
) -> String {
    let call = &part.calls[candidate];
    match (&call.returned, reason) {
        (Some((_, seen)), Reason::WrongResponse { .. }) => {
            let expected = D::say(context, &model.clone().apply(&call.operation));
            format!("would be answered {expected}, and was answered {}", D::say(context, seen))
        }
        _ => {
            let mut after = model.clone();
            after.apply(&call.operation);
            let blocked = &part.calls[refusal.operation];
            let state = after.say_state(context, refusal.partition);
            let answer = D::say(context, &after.apply(&blocked.operation));
            match &blocked.returned {
                Some((_, seen)) if candidate != refusal.operation => format!(
                    "is possible, but does not help: with {state}, {} would be answered {answer}, not {}",
                    context.history.operation(part.indices[refusal.operation]),
                    D::say(context, seen),
                ),
                _ => "is possible, but does not help".to_owned(),
            }
        }
    }
}

impl<D: Datatype> Part<D> {
    fn of_partition(calls: &Calls<D>, partition: u64) -> Self {
        let is_in = |index: &usize| D::partition(&calls[*index].operation) == partition;
        let indices: Vec<usize> = (0..calls.len()).filter(is_in).collect();
        Self { calls: indices.iter().map(|&index| calls[index].clone()).collect(), indices }
    }

    /// Some operations of it, by their index in the whole, as they are.
    fn only(&self, operations: &[usize]) -> Self {
        let is_in = |place: &usize| operations.binary_search(&self.indices[*place]).is_ok();
        self.choose(&(0..self.calls.len()).filter(is_in).collect::<Vec<_>>())
    }

    fn choose(&self, places: &[usize]) -> Self {
        Self {
            indices: places.iter().map(|&place| self.indices[place]).collect(),
            calls: places.iter().map(|&place| self.calls[place].clone()).collect(),
        }
    }

    /// What there is up to the return of an operation: later returns are unknown, later calls left out.
    fn cut_behind(&self, operation: usize) -> Self {
        let end = self.indices.iter().zip(&self.calls).find(|(index, _)| **index == operation);
        let end = end.and_then(|(_, call)| call.returned.as_ref()).map(|(returned, _)| *returned);
        end.map_or_else(|| self.clone(), |end| self.cut_at((end, operation)))
    }

    fn cut_at(&self, end: (u64, usize)) -> Self {
        let mut cut = Self { indices: Vec::new(), calls: Vec::new() };
        for (&index, call) in self.indices.iter().zip(&self.calls) {
            let is_late = |returned: &u64| (*returned, index) > end;
            let mut call = call.clone();
            if call.returned.as_ref().is_some_and(|(returned, _)| is_late(returned)) {
                call.returned = None;
            }
            let is_pointless = call.returned.is_none() && D::observes_only(&call.operation);
            if call.called <= end.0 && !is_pointless {
                cut.indices.push(index);
                cut.calls.push(call);
            }
        }
        cut
    }

    /// The core that a monitor finds in it, if it is a container's and there is one.
    fn container_core(&self, initial: &D, limits: Limits<'_>) -> Option<Self> {
        let (container, calls) = initial.as_container(&self.calls)?;
        match monitor(container, calls, limits) {
            Opinion::NotLinearizable(core) => Some(self.choose(&core)),
            _ => None,
        }
    }

    /// True if nothing explains it, if that is easily said.
    fn is_refuted(&self, initial: &D, configurations: u64, patience: &Patience, limits: Limits<'_>) -> bool {
        !(limits.interrupted)()
            && patience.lasts(self.calls.len() as u64 + QUESTION_COST)
            && is_explained(initial, &self.calls, configurations, limits) == Some(false)
    }

    /// The part with nothing but the last returns, as few as are refuted: in most cases what is wrong is near
    /// the end.
    fn tail(&self, initial: &D, is_refuted: impl Fn(&Self) -> bool) -> Option<Self> {
        let mut returns = self.returns();
        returns.sort_by_key(|&place| {
            (self.calls[place].returned.as_ref().map(|(returned, _)| *returned), self.indices[place])
        });
        let sizes = std::iter::successors(Some(FIRST_TAIL), |size| Some(4 * size));
        sizes.take_while(|&size| size < returns.len()).find_map(|size| {
            let mut early = returns[..returns.len() - size].to_vec();
            early.sort_unstable();
            let tail = self.weaker(initial, &early);
            let blind = tail.weaker(initial, &tail.lookers(initial));
            [blind, tail].into_iter().find(&is_refuted)
        })
    }

    /// Weakens the part until nothing more can be.
    fn minimal(self, initial: &D, patience: &Patience, limits: Limits<'_>) -> Self {
        let goes_on = || !(limits.interrupted)() && !patience.is_gone();
        let is_refuted = |part: &Self| part.is_refuted(initial, QUESTION_BUDGET, patience, limits);
        let mut part = register::relevant(initial, &self, is_refuted).unwrap_or(self);
        // Most of what only looks is of no use, and what it saw is in the way of leaving that out.
        let lookers = part.lookers(initial);
        let blind = part.weaker(initial, &lookers);
        if !lookers.is_empty() && is_refuted(&blind) {
            part = blind;
        }
        let mut size = part.returns().len().div_ceil(2);
        while size > 0 {
            let mut has_changed = false;
            // What comes late matters most, so the early ones go first.
            let mut returns = part.returns();
            while !returns.is_empty() && goes_on() {
                let chunk: Vec<usize> = returns.drain(..size.min(returns.len())).collect();
                let weaker = part.weaker(initial, &chunk);
                if is_refuted(&weaker) {
                    let indices: Vec<usize> = returns.iter().map(|&place| part.indices[place]).collect();
                    part = weaker;
                    returns = part.places(&indices);
                    has_changed = true;
                }
            }
            if !goes_on() {
                break;
            }
            if size > 1 || !has_changed {
                size /= 2;
            }
        }
        part
    }

    /// The places of the operations whose return is known.
    fn returns(&self) -> Vec<usize> {
        (0..self.calls.len()).filter(|&place| self.calls[place].returned.is_some()).collect()
    }

    /// The places of those whose return is known and that change nothing, without the latest return.
    fn lookers(&self, initial: &D) -> Vec<usize> {
        let operations = register::operations(initial, self);
        let fails = |place: usize| {
            let operation = operations.as_ref().and_then(|operations| operations[place]);
            matches!(operation, Some(RegisterOperation::Mismatch(_)))
        };
        let mut places = self.returns_but_last();
        places.retain(|&place| D::observes_only(&self.calls[place].operation) || fails(place));
        places
    }

    /// The same without the latest return.
    fn returns_but_last(&self) -> Vec<usize> {
        let mut places = self.returns();
        let end = |place: usize| self.calls[place].returned.as_ref().map(|(returned, _)| *returned);
        let last = places.iter().copied().max_by_key(|&place| (end(place), place));
        places.retain(|&place| Some(place) != last);
        places
    }

    /// The places of operations that are in it; both are in ascending order.
    fn places(&self, indices: &[usize]) -> Vec<usize> {
        indices.iter().filter_map(|index| self.indices.binary_search(index).ok()).collect()
    }

    /// Without the returns of the operations at these places, in ascending order; what only looks is left
    /// out, and of a register what nobody sees.
    fn weaker(&self, initial: &D, places: &[usize]) -> Self {
        if let Some(weaker) = overwritten::weaker(initial, self, places) {
            return weaker;
        }
        let mut weaker = Self { indices: Vec::new(), calls: Vec::new() };
        for (place, (&index, call)) in self.indices.iter().zip(&self.calls).enumerate() {
            let mut call = call.clone();
            if places.binary_search(&place).is_ok() {
                if D::observes_only(&call.operation) {
                    continue;
                }
                call.returned = None;
            }
            weaker.indices.push(index);
            weaker.calls.push(call);
        }
        weaker
    }
}

/// The first return that cannot be explained, as far as it can be found out.
struct First {
    operation: usize,
    placed: usize,
    is_certain: bool,
    prefix: Option<Vec<usize>>,
}

/// Finds it for a container, whose general search would not end: what can be explained is certain, by the
/// order that does; what cannot be is, if a monitor or a short search says so.
fn first_refused<D: Datatype>(initial: &D, whole: &Part<D>, limits: Limits<'_>) -> First {
    let mut returns: Vec<(u64, usize)> = whole
        .calls
        .iter()
        .zip(&whole.indices)
        .filter_map(|(call, &index)| Some((call.returned.as_ref()?.0, index)))
        .collect();
    returns.sort_unstable();
    let (mut good, mut bad) = (0, returns.len());
    let mut prefix = None;
    // The earliest return by which all orders fail for certain.
    let mut impossible = None;
    while good < bad {
        // The first question is about the end: the whole is known to be bad, without its last return.
        let middle = good.midpoint(bad);
        let end = returns[middle];
        match explained_up_to(initial, whole, end, limits) {
            Opinion::Linearizable(order) => {
                prefix = Some(order);
                good = middle + 1;
            }
            Opinion::NotLinearizable(_) => {
                bad = middle;
                impossible = Some(middle);
            }
            Opinion::Unknown => bad = middle,
        }
    }
    let place = good.min(returns.len() - 1);
    let cut = whole.cut_at(returns[place]);
    let is_certain = impossible == Some(place)
        || is_explained(initial, &cut.calls, QUESTION_BUDGET, limits) == Some(false);
    First { operation: returns[place].1, placed: place, is_certain, prefix }
}

/// An order that explains everything up to a return; not linearizable, without a core, if there is none for
/// certain.
fn explained_up_to<D: Datatype>(
    initial: &D,
    whole: &Part<D>,
    end: (u64, usize),
    limits: Limits<'_>,
) -> Opinion {
    /// Of how many operations with a later return every choice is tried.
    const MOST_LATE: usize = 6;
    /// After all other times.
    const LAST: u64 = u64::MAX >> 1;
    let cut = whole.cut_at(end);
    // What returned later may have had its effect, with the answer that it got then, or not. An insertion is
    // answered nothing, and so may stay one of unknown outcome.
    let Some((_, operations)) = initial.as_container(&cut.calls) else { return Opinion::Unknown };
    let is_late = |&place: &usize| {
        let is_insertion = matches!(operations[place].operation, container::Operation::Insert(..));
        let has_returned = whole.calls[cut.indices[place]].returned.is_some();
        cut.calls[place].returned.is_none() && has_returned && !is_insertion
    };
    let late: Vec<usize> = (0..cut.calls.len()).filter(is_late).collect();
    let choices = late.len().min(MOST_LATE);
    let mut is_certain = late.len() <= MOST_LATE;
    for choice in (0..1_usize << choices).rev() {
        if (limits.interrupted)() {
            return Opinion::Unknown;
        }
        let takes_part = |place: &usize| match late.iter().position(|late| late == place) {
            Some(bit) => bit < choices && choice >> bit & 1 == 1,
            None => true,
        };
        let places: Vec<usize> = (0..cut.calls.len()).filter(takes_part).collect();
        let mut part = cut.choose(&places);
        for (index, call) in part.indices.iter().zip(&mut part.calls) {
            if call.returned.is_none() && late.iter().any(|&place| cut.indices[place] == *index) {
                let answer = whole.calls[*index].returned.clone();
                call.returned = answer.map(|(_, answer)| (LAST, answer));
            }
        }
        let Some((container, calls)) = initial.as_container(&part.calls) else { return Opinion::Unknown };
        match monitor(container, calls, limits) {
            Opinion::Linearizable(order) => {
                return Opinion::Linearizable(order.into_iter().map(|place| part.indices[place]).collect());
            }
            Opinion::NotLinearizable(_) => {}
            Opinion::Unknown => is_certain = false,
        }
    }
    if is_certain { Opinion::NotLinearizable(Vec::new()) } else { Opinion::Unknown }
}
