//! Judges the histories of containers in polynomial time where their values differ from each other.
//!
//! The search has to try every order of operations that overlap, for the order of two insertions shows only
//! when the values come back. Where every value is inserted once, the operations on one value belong
//! together, and more can be said (Bouajjani and others 2015; Emmi and Enea 2018; Abdulla and others 2025;
//! Lee and Mathur 2025). Three facts carry what is here:
//!
//! * **Projection.** Take all operations on some of the values out of a linearizable history of a container,
//!   and what is left is linearizable. So a few values that cannot be explained by themselves condemn the
//!   whole history; such a core is what a refusal names.
//! * **Separation.** An operation that finds the container empty separates: every value comes and goes
//!   before it, or after it. `components` finds what can be separated in one sweep.
//! * **Certificates.** A yes comes with an order that [`check_order`](crate::check::linearizability::witness)
//!   accepts; a no with a core that is small enough for the search to refute again. Nobody has to believe
//!   a monitor.
//!
//! An insertion of unknown outcome has taken effect if its value was seen, and need not have if it was not.
//! A removal of unknown outcome may have taken any value that is never seen to be removed: where there are
//! such, `attribution` finds out which values they must have taken.

mod attribution;
mod deque;
mod minimal;
mod priority_queue;
mod queue;
mod stack;

use rustc_hash::FxHashMap;

use super::judge::Limits;
use super::models::container::{Container, Discipline, End, Operation};
use crate::check::linearizability::{Call, witness};

/// What a monitor says of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// This order explains it.
    Linearizable(Vec<usize>),
    /// No order explains these operations of it, which are all there are on some values, and operations that
    /// found the container empty.
    NotLinearizable(Vec<usize>),
    /// Values repeat, or too much is unknown.
    Unknown,
}

/// A time after all others: of what is never seen to happen.
const NEVER: u64 = u64::MAX;

/// One operation of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    /// Its index in the history; nothing if it is only there to make things complete.
    index: Option<usize>,
    called: u64,
    returned: u64,
    end: End,
}

/// All operations on one value.
#[derive(Clone, Debug)]
struct Item {
    item: u64,
    insert: Step,
    peeks: Vec<Step>,
    remove: Step,
}

/// A history of a container whose values differ from each other.
#[derive(Clone, Debug, Default)]
struct Distinct {
    items: Vec<Item>,
    /// The operations that found the container empty.
    empties: Vec<Step>,
    /// The removals whose outcome is unknown.
    unknown: Vec<Step>,
}

/// The moments that matter of a group of operations: some operation of it has returned by `first`, and some
/// is not called before `last`.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: u64,
    last: u64,
}

/// Judges a history of a container that starts as `initial`. Where the `limits` end, the opinion is unknown, or
/// its core larger than it need be.
#[must_use]
pub fn monitor(initial: &Container, calls: &[Call<Operation, u64>], limits: Limits<'_>) -> Opinion {
    let distinct = match Distinct::of(initial, calls) {
        Ok(distinct) => distinct,
        Err(opinion) => return opinion,
    };
    let opinion = judge(Task { discipline: initial.discipline(), limits }, &distinct);
    match &opinion {
        // Its word is not taken for it.
        Opinion::Linearizable(order) if witness::check_order(initial, calls, order).is_err() => {
            Opinion::Unknown
        }
        _ => opinion,
    }
}

/// What is to be judged by, and until when.
#[derive(Clone, Copy)]
struct Task<'a> {
    discipline: Discipline,
    limits: Limits<'a>,
}

fn judge(task: Task<'_>, distinct: &Distinct) -> Opinion {
    if distinct.unknown.is_empty() {
        return match linearize(task, distinct) {
            Outcome::Order(order) => Opinion::Linearizable(order),
            Outcome::Stuck(core) => refuse(task, distinct.only(&core)),
            Outcome::Undecided => Opinion::Unknown,
        };
    }
    // None of them may have taken effect.
    if let Outcome::Order(order) = linearize(task, distinct) {
        return Opinion::Linearizable(order);
    }
    // They cannot have taken what others took.
    let removed = distinct.only_removed();
    if let Outcome::Stuck(core) = linearize(task, &removed) {
        return refuse(task, removed.only(&core));
    }
    match task.discipline {
        Discipline::Deque => match deque::linearize_with_unknown(distinct, task.limits.interrupted) {
            Outcome::Order(order) => Opinion::Linearizable(order),
            Outcome::Stuck(core) => {
                let core = Distinct { unknown: distinct.unknown.clone(), ..distinct.only(&core) };
                refuse_by(task, core, |part| deque::linearize_with_unknown(part, task.limits.explained))
            }
            Outcome::Undecided => Opinion::Unknown,
        },
        _ => attribution::judge(task, distinct),
    }
}

fn refuse(task: Task<'_>, core: Distinct) -> Opinion {
    refuse_by(task, core, |part| linearize(task, part))
}

/// Refuses a history because of a core of it, made smaller as long as an order of it is not found.
fn refuse_by(task: Task<'_>, core: Distinct, linearize: impl Fn(&Distinct) -> Outcome) -> Opinion {
    let core = minimal::minimal(core, |part| {
        !(task.limits.explained)() && matches!(linearize(part), Outcome::Stuck(_))
    });
    Opinion::NotLinearizable(core.indices())
}

/// What came of looking for an order.
enum Outcome {
    /// Here is one.
    Order(Vec<usize>),
    /// There is none, not even of these.
    Stuck(Core),
    /// That could not be found out.
    Undecided,
}

/// Some items, by their places, and whether the operations that found nothing belong to it.
#[derive(Clone, Debug, Default)]
struct Core {
    items: Vec<usize>,
    with_empties: bool,
}

/// Looks for an order of everything but the removals of unknown outcome.
fn linearize(task: Task<'_>, distinct: &Distinct) -> Outcome {
    for (place, item) in distinct.items.iter().enumerate() {
        if !item.is_sound() {
            return Outcome::Stuck(Core { items: vec![place], with_empties: false });
        }
    }
    match task.discipline {
        Discipline::Stack => stack::linearize(distinct, task.limits.interrupted),
        Discipline::Queue => queue::linearize(distinct),
        Discipline::PriorityQueue => priority_queue::linearize(distinct),
        Discipline::Deque => deque::linearize(distinct, task.limits.interrupted),
    }
}

impl Distinct {
    /// Sorts a history by values. Gives an opinion where that is possible, or needed, without.
    fn of(initial: &Container, calls: &[Call<Operation, u64>]) -> Result<Self, Opinion> {
        let mut by_item = Sorted::default();
        // What is there from the beginning has been inserted in this order, before all else.
        let mut epoch = 0;
        for item in initial.items() {
            by_item.insert(item, Step { index: None, called: epoch, returned: epoch, end: End::Back });
            epoch += 1;
        }
        let mut distinct = Self::default();
        let latest =
            calls.iter().map(|call| call.returned.as_ref().map_or(call.called, |(returned, _)| *returned));
        if latest.max().is_some_and(|latest| latest >= NEVER - epoch) {
            return Err(Opinion::Unknown);
        }
        for (index, call) in calls.iter().enumerate() {
            let (returned, response) = match call.returned {
                Some((returned, response)) => (returned + epoch, Some(response)),
                None => (NEVER, None),
            };
            let called = call.called + epoch;
            let step = |end| Step { index: Some(index), called, returned, end };
            match (call.operation, response) {
                (Operation::Insert(end, item), _) => by_item.insert(item, step(end)),
                (Operation::Remove(end), None) => distinct.unknown.push(step(end)),
                (Operation::Peek(_), None) => {}
                (Operation::Remove(end) | Operation::Peek(end), Some(0)) => distinct.empties.push(step(end)),
                (Operation::Remove(end), Some(item)) => by_item.at(item).removes.push(step(end)),
                (Operation::Peek(end), Some(item)) => by_item.at(item).peeks.push(step(end)),
            }
        }
        let mut repeats = false;
        for seen in by_item.groups {
            let is_seen = !seen.peeks.is_empty() || !seen.removes.is_empty();
            if seen.removes.len() > seen.inserts.len() || (is_seen && seen.inserts.is_empty()) {
                return Err(Opinion::NotLinearizable(seen.indices()));
            }
            let [insert] = seen.inserts[..] else {
                repeats = true;
                continue;
            };
            repeats |= seen.item == 0;
            // Nobody would miss it if it had not taken effect.
            if !is_seen && insert.returned == NEVER {
                continue;
            }
            let never = Step { index: None, called: NEVER, returned: NEVER, end: End::Back };
            let remove = seen.removes.first().copied().unwrap_or(never);
            distinct.items.push(Item { item: seen.item, insert, peeks: seen.peeks, remove });
        }
        if repeats { Err(Opinion::Unknown) } else { Ok(distinct) }
    }

    /// These items alone.
    fn only(&self, core: &Core) -> Self {
        let items = core.items.iter().map(|&item| self.items[item].clone()).collect();
        let empties = if core.with_empties { self.empties.clone() } else { Vec::new() };
        Self { items, empties, unknown: Vec::new() }
    }

    /// Without the items that nobody is seen to remove.
    fn only_removed(&self) -> Self {
        let items = (0..self.items.len()).filter(|&item| !self.is_left(item)).collect();
        self.only(&Core { items, with_empties: true })
    }

    /// True if nobody is seen to remove the item.
    fn is_left(&self, item: usize) -> bool {
        self.items[item].remove.index.is_none()
    }

    /// All operations, by their index in the history, in its order.
    fn indices(&self) -> Vec<usize> {
        let items = self.items.iter().flat_map(Item::steps);
        let steps = items.chain(self.empties.iter().copied()).chain(self.unknown.iter().copied());
        let mut indices: Vec<usize> = steps.filter_map(|step| step.index).collect();
        indices.sort_unstable();
        indices
    }
}

/// The operations on each value as they are met, in the order of their first.
#[derive(Default)]
struct Sorted {
    groups: Vec<Seen>,
    places: FxHashMap<u64, usize>,
}

struct Seen {
    item: u64,
    inserts: Vec<Step>,
    peeks: Vec<Step>,
    removes: Vec<Step>,
}

impl Sorted {
    fn at(&mut self, item: u64) -> &mut Seen {
        let place = *self.places.entry(item).or_insert(self.groups.len());
        if place == self.groups.len() {
            self.groups.push(Seen { item, inserts: Vec::new(), peeks: Vec::new(), removes: Vec::new() });
        }
        &mut self.groups[place]
    }

    fn insert(&mut self, item: u64, step: Step) {
        self.at(item).inserts.push(step);
    }
}

impl Seen {
    fn indices(&self) -> Vec<usize> {
        let steps = self.inserts.iter().chain(&self.peeks).chain(&self.removes);
        let mut indices: Vec<usize> = steps.filter_map(|step| step.index).collect();
        indices.sort_unstable();
        indices
    }
}

impl Item {
    /// All its operations.
    fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        [self.insert].into_iter().chain(self.peeks.iter().copied()).chain([self.remove])
    }

    fn span(&self) -> Span {
        let first = self.steps().map(|step| step.returned).min().unwrap_or(NEVER);
        let last = self.steps().map(|step| step.called).max().unwrap_or(0);
        Span { first, last }
    }

    /// True if it can have been inserted before all else and removed after all else that concerns it.
    fn is_sound(&self) -> bool {
        let Span { first, last } = self.span();
        self.insert.called <= first && self.remove.returned >= last
    }
}

impl Step {
    const fn span(&self) -> Span {
        Span { first: self.returned, last: self.called }
    }
}

/// Looks for an order part by part: operations that find nothing, and values that are gone before others come,
/// separate parts. `arrange` looks for an order of such values as cannot be separated.
fn part_by_part(distinct: &Distinct, arrange: impl Fn(&[usize]) -> Outcome) -> Outcome {
    let items = distinct.items.iter().enumerate().map(|(index, item)| (Ok(index), item.span()));
    let empties = distinct.empties.iter().map(|step| (Err(step.index), step.span()));
    let mut order = Vec::new();
    for part in components(items.chain(empties).collect()) {
        if let [(Err(index), _)] = part[..] {
            order.extend(index);
            continue;
        }
        let items: Vec<usize> = part.iter().filter_map(|(group, _)| group.ok()).collect();
        if items.len() < part.len() {
            return Outcome::Stuck(Core { items, with_empties: true });
        }
        match arrange(&items) {
            Outcome::Order(steps) => order.extend(steps),
            other => return other,
        }
    }
    Outcome::Order(order)
}

/// Splits groups into the smallest parts that can follow one another, in an order in which they can.
///
/// A group whose `first` lies before its `last` is there between the two, whatever the order. Those that
/// are there at the same time cannot be separated, nor can others of what is chained to them in that way.
/// Any other group can come and go at one moment, from its `last` to its `first`. It belongs to a part only
/// if that is there all the while.
fn components<T>(groups: Vec<(T, Span)>) -> Vec<Vec<(T, Span)>> {
    let (mut lasting, passing): (Vec<_>, Vec<_>) =
        groups.into_iter().partition(|(_, span)| span.first < span.last);
    lasting.sort_by_key(|(_, span)| span.first);
    let mut parts: Vec<(Span, Vec<(T, Span)>)> = Vec::new();
    for (group, span) in lasting {
        match parts.last_mut() {
            Some((whole, part)) if span.first < whole.last => {
                whole.last = whole.last.max(span.last);
                part.push((group, span));
            }
            _ => parts.push((span, vec![(group, span)])),
        }
    }
    // What comes and goes before a part, by the place of the part.
    let mut between: Vec<(usize, u64, (T, Span))> = Vec::new();
    for (group, span) in passing {
        let after = parts.partition_point(|(whole, _)| whole.first < span.last);
        match parts[..after].last_mut() {
            Some((whole, part)) if span.first < whole.last => part.push((group, span)),
            last => {
                let moment = last.map_or(span.last, |(whole, _)| whole.last.max(span.last));
                let place = parts.partition_point(|(whole, _)| whole.first < moment);
                between.push((place, moment, (group, span)));
            }
        }
    }
    between.sort_by_key(|&(place, moment, _)| (place, moment));
    let mut between = between.into_iter().peekable();
    let mut all = Vec::with_capacity(parts.len() + between.len());
    for (place, (_, part)) in parts.into_iter().enumerate() {
        while let Some((_, _, passing)) = between.next_if(|&(before, _, _)| before <= place) {
            all.push(vec![passing]);
        }
        all.push(part);
    }
    all.extend(between.map(|(_, _, passing)| vec![passing]));
    all
}

#[cfg(test)]
mod tests;
