//! Queues.
//!
//! Operations that found the queue empty separate; each part is then judged by itself. Values leave in the
//! order in which they came, so a part needs one order of its values such that of two of them,
//!
//! * the one whose insertion returned before the other's was called comes first,
//! * so does the one of which something was seen at the front, or removed, before something of the other was
//!   inserted, seen or removed.
//!
//! That is also enough: [`place`] puts every operation as early as it can be in that order.

use super::{Core, Distinct, Item, NEVER, Outcome, Span, Step, part_by_part};

/// Looks for an order of the values in each part.
pub(super) fn linearize(distinct: &Distinct) -> Outcome {
    part_by_part(distinct, |items| match arrange(distinct, items) {
        Err(left) => Outcome::Stuck(Core { items: left, with_empties: false }),
        Ok(items) => match place(items.iter().map(|&item| &distinct.items[item])) {
            Some(steps) => Outcome::Order(steps),
            None => Outcome::Undecided,
        },
    })
}

/// What of a value bears on its place in the order.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    item: usize,
    inserted: Span,
    /// When it had first been seen or removed, and when the last of its operations was called.
    seen: Span,
}

impl Bounds {
    fn of(distinct: &Distinct, place: usize) -> Self {
        let item = &distinct.items[place];
        let leaving = || item.peeks.iter().chain([&item.remove]);
        let first = leaving().map(|step| step.returned).min().unwrap_or(NEVER);
        Self { item: place, inserted: item.insert.span(), seen: Span { first, last: item.span().last } }
    }
}

/// Orders values so that none must come before an earlier one; gives those that are left if that cannot be.
fn arrange(distinct: &Distinct, items: &[usize]) -> Result<Vec<usize>, Vec<usize>> {
    let bounds: Vec<Bounds> = items.iter().map(|&item| Bounds::of(distinct, item)).collect();
    let mut sweep = Sweep::new(&bounds);
    let mut order = Vec::with_capacity(items.len());
    while let Some(next) = sweep.next() {
        order.push(bounds[next].item);
    }
    if order.len() == items.len() {
        return Ok(order);
    }
    let is_left = |place: &usize| !sweep.is_taken[*place];
    Err((0..bounds.len()).filter(is_left).map(|place| bounds[place].item).collect())
}

/// Takes out, one after another, values that nothing left must precede. A value is free once it has passed
/// two gates, which only ever open wider: no other one was inserted before it was about to be, and none was
/// seen before the last of its operations was called.
struct Sweep<'a> {
    bounds: &'a [Bounds],
    is_taken: Vec<bool>,
    /// How many gates each has passed.
    passed: Vec<u8>,
    free: Vec<usize>,
    by_inserted_first: Queue,
    by_inserted_last: Queue,
    by_seen_first: Queue,
    by_seen_last: Queue,
    /// Passed the second gate although its own first is in the way.
    exempted: Option<usize>,
}

/// Places in the order of a key, and how many have been passed.
struct Queue {
    places: Vec<usize>,
    next: usize,
}

impl Queue {
    fn new(bounds: &[Bounds], key: impl Fn(&Bounds) -> u64) -> Self {
        let mut places: Vec<usize> = (0..bounds.len()).collect();
        places.sort_by_key(|&place| key(&bounds[place]));
        Self { places, next: 0 }
    }

    /// The first two that are not taken.
    fn first_two(&mut self, is_taken: &[bool]) -> [Option<usize>; 2] {
        while self.places.get(self.next).is_some_and(|&place| is_taken[place]) {
            self.next += 1;
        }
        let mut left = self.places[self.next..].iter().copied().filter(|&place| !is_taken[place]);
        [left.next(), left.next()]
    }
}

impl<'a> Sweep<'a> {
    fn new(bounds: &'a [Bounds]) -> Self {
        Self {
            bounds,
            is_taken: vec![false; bounds.len()],
            passed: vec![0; bounds.len()],
            free: Vec::new(),
            by_inserted_first: Queue::new(bounds, |bounds| bounds.inserted.first),
            by_inserted_last: Queue::new(bounds, |bounds| bounds.inserted.last),
            by_seen_first: Queue::new(bounds, |bounds| bounds.seen.first),
            by_seen_last: Queue::new(bounds, |bounds| bounds.seen.last),
            exempted: None,
        }
    }

    fn next(&mut self) -> Option<usize> {
        self.open();
        let next = self.free.pop()?;
        self.is_taken[next] = true;
        Some(next)
    }

    /// Lets through whatever can pass.
    fn open(&mut self) {
        let [first, _] = self.by_inserted_first.first_two(&self.is_taken);
        let limit = first.map_or(NEVER, |place| self.bounds[place].inserted.first);
        while let Some(&place) = self.by_inserted_last.places.get(self.by_inserted_last.next) {
            if self.bounds[place].inserted.last > limit {
                break;
            }
            self.by_inserted_last.next += 1;
            self.pass(place);
        }
        let [first, second] = self.by_seen_first.first_two(&self.is_taken);
        let limit = first.map_or(NEVER, |place| self.bounds[place].seen.first);
        while let Some(&place) = self.by_seen_last.places.get(self.by_seen_last.next) {
            if self.bounds[place].seen.last > limit {
                break;
            }
            self.by_seen_last.next += 1;
            if self.exempted != Some(place) {
                self.pass(place);
            }
        }
        // A value is not in its own way.
        let Some(first) = first else { return };
        let limit = second.map_or(NEVER, |place| self.bounds[place].seen.first);
        let own = self.bounds[first].seen;
        if own.last > own.first && own.last <= limit && self.exempted != Some(first) {
            self.exempted = Some(first);
            self.pass(first);
        }
    }

    fn pass(&mut self, place: usize) {
        self.passed[place] += 1;
        if self.passed[place] == 2 {
            self.free.push(place);
        }
    }
}

/// Puts every operation as early as it can be, given the order of the values. `None` if one comes too late.
fn place<'a>(items: impl Iterator<Item = &'a Item>) -> Option<Vec<usize>> {
    let (mut inserts, mut leaves) = (Vec::new(), Vec::new());
    let (mut inserted, mut left) = (0, 0);
    for item in items {
        inserted = put(&item.insert, inserted, &mut inserts)?;
        let front = left.max(inserted);
        let mut peeks = item.peeks.clone();
        peeks.sort_by_key(|step| step.called);
        left = front;
        for peek in &peeks {
            left = put(peek, left, &mut leaves)?;
        }
        left = put(&item.remove, left, &mut leaves)?;
    }
    Some(merge(&inserts, &leaves))
}

/// Puts a step at a time, not before `earliest`.
fn put(step: &Step, earliest: u64, line: &mut Vec<(u64, Option<usize>)>) -> Option<u64> {
    let at = step.called.max(earliest);
    line.push((at, step.index));
    (at <= step.returned).then_some(at)
}

/// Both lines in the order of time; at equal times insertions come first.
fn merge(inserts: &[(u64, Option<usize>)], leaves: &[(u64, Option<usize>)]) -> Vec<usize> {
    let mut order = Vec::with_capacity(inserts.len() + leaves.len());
    let mut inserts = inserts.iter().peekable();
    for &(at, index) in leaves {
        while let Some((_, index)) = inserts.next_if(|(inserted, _)| *inserted <= at) {
            order.extend(*index);
        }
        order.extend(index);
    }
    order.extend(inserts.filter_map(|(_, index)| *index));
    order
}
