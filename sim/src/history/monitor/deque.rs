//! Deques.
//!
//! No polynomial monitor for all of their histories is known to us, so this is a search, but one that knows
//! what is going to happen: when a value is inserted, it is known from which end it will leave, and that what
//! lies before it there must leave earlier. So most wrong orders of insertions are seen at once, where the
//! general search meets their end only when the values come back.
//!
//! Like the general search it goes from return to return. What is there to be seen is seen, and what is at the
//! end from which it leaves is removed, as soon as that can be: then nothing is lost by it. What is left to
//! choose is which value is inserted next, and which value a removal of unknown outcome takes.
//!
//! Where one value must lie nearer to an end than another can be told from who sees or removes the other there,
//! and whether the one can be gone by then. So of two values that are there at the same time, one often has to
//! be inserted before the other; what must come before a value is known before the search begins.

use rustc_hash::FxHashSet;

use super::{Core, Distinct, Item, Outcome, Step, part_by_part};
use crate::history::models::container::End;

/// How many points of a part are visited before it is given up, and of a few of its values.
const MOST_VISITED: usize = 100_000;
const FEW_VISITED: usize = 2_000;

/// About how many bytes the points that have been visited may take.
const MOST_BYTES: usize = 1 << 28;

/// So many times a few values may be given up, too, before no more are looked at.
const MOST_UNDECIDED: usize = 20;

/// Searches each part that can be separated.
pub(super) fn linearize(distinct: &Distinct, interrupted: &dyn Fn() -> bool) -> Outcome {
    part_by_part(distinct, |items| {
        let run = |items: &[usize], most| {
            let items = items.iter().map(|&item| &distinct.items[item]).collect();
            Search::new(items, &[], &[]).run(most, interrupted)
        };
        match run(items, MOST_VISITED) {
            Outcome::Stuck(_) => Outcome::Stuck(Core { items: items.to_vec(), with_empties: false }),
            Outcome::Undecided => refute_a_few(distinct, items, |few| run(few, FEW_VISITED)),
            order @ Outcome::Order(_) => order,
        }
    })
}

/// Searches everything at once: a removal of unknown outcome may have taken what nobody is seen to remove.
pub(super) fn linearize_with_unknown(distinct: &Distinct, interrupted: &dyn Fn() -> bool) -> Outcome {
    let all: Vec<usize> = (0..distinct.items.len()).collect();
    let run = |items: &[usize], empties: &[Step], most| {
        let items = items.iter().map(|&item| &distinct.items[item]).collect();
        Search::new(items, empties, &distinct.unknown).run(most, interrupted)
    };
    match run(&all, &distinct.empties, MOST_VISITED) {
        Outcome::Stuck(_) => Outcome::Stuck(Core { items: all, with_empties: true }),
        Outcome::Undecided => refute_a_few(distinct, &all, |few| run(few, &[], FEW_VISITED)),
        order @ Outcome::Order(_) => order,
    }
}

/// Looks for a few items, inserted one after another, that are stuck by themselves; first for very few.
fn refute_a_few(distinct: &Distinct, items: &[usize], run: impl Fn(&[usize]) -> Outcome) -> Outcome {
    let mut items = items.to_vec();
    items.sort_by_key(|&item| distinct.items[item].insert.called);
    let mut undecided = 0;
    for size in [4, 8, 16, 32, 64] {
        for start in (0..items.len()).step_by(size / 2) {
            let few = &items[start..items.len().min(start + size)];
            match run(few) {
                Outcome::Stuck(_) => {
                    return Outcome::Stuck(Core { items: few.to_vec(), with_empties: false });
                }
                Outcome::Undecided => undecided += 1,
                Outcome::Order(_) => {}
            }
            if undecided > MOST_UNDECIDED {
                return Outcome::Undecided;
            }
        }
    }
    Outcome::Undecided
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Insert,
    Peek,
    Remove,
    /// Finds nothing; of no item.
    Empty,
    /// A removal of unknown outcome; of no item.
    Unknown,
}

/// In place of an item where there is none.
const NO_ITEM: usize = usize::MAX;

/// One part, laid out in time.
struct Search<'h> {
    items: Vec<&'h Item>,
    /// Every operation with its item.
    steps: Vec<(Step, usize, Role)>,
    /// The insertion of each item, as a step, and what sees or removes it from there.
    inserts: Vec<u32>,
    uses: Vec<Vec<u32>>,
    /// All of them but removals of unknown outcome, in the order of their returns.
    returns: Vec<u32>,
    /// For each operation its place there.
    ranks: Vec<u32>,
    /// Those that are open at each return.
    open: Vec<Vec<u32>>,
    /// The removals of unknown outcome at the front and at the back, the first called first. Of two the first
    /// can do all that the other can.
    unknown: [Vec<u32>; 2],
    /// For each item those that must be inserted before it.
    before: Vec<Vec<u32>>,
}

/// How far an order goes.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Point {
    /// How many returns are behind it.
    at: u32,
    /// How many of the removals of unknown outcome have taken effect, at the front and at the back.
    used: [u32; 2],
    /// The operations that have taken effect and not returned.
    taken: Vec<u32>,
    /// The items, the front first.
    content: Vec<u32>,
}

/// A point to go on from, and how it was reached: the last of its steps, in [`Trail`].
struct Ahead {
    point: Point,
    trail: usize,
}

/// Steps, each with the one before it.
struct Trail(Vec<(usize, usize)>);

impl<'h> Search<'h> {
    fn new(items: Vec<&'h Item>, empties: &[Step], unknown: &[Step]) -> Self {
        let mut search = Self {
            items,
            steps: Vec::new(),
            inserts: Vec::new(),
            uses: Vec::new(),
            returns: Vec::new(),
            ranks: Vec::new(),
            open: Vec::new(),
            unknown: [Vec::new(), Vec::new()],
            before: Vec::new(),
        };
        for place in 0..search.items.len() {
            let item = search.items[place];
            search.inserts.push(number(search.steps.len()));
            search.steps.push((item.insert, place, Role::Insert));
            let first = search.steps.len();
            search.steps.extend(item.peeks.iter().map(|peek| (*peek, place, Role::Peek)));
            // What only completes the history is left out.
            search.steps.extend(item.remove.index.map(|_| (item.remove, place, Role::Remove)));
            search.uses.push((first..search.steps.len()).map(number).collect());
        }
        search.steps.extend(empties.iter().map(|step| (*step, NO_ITEM, Role::Empty)));
        search.lay_out();
        let first = search.steps.len();
        search.steps.extend(unknown.iter().map(|step| (*step, NO_ITEM, Role::Unknown)));
        let mut by_call: Vec<usize> = (first..search.steps.len()).collect();
        by_call.sort_by_key(|&step| search.steps[step].0.called);
        for step in by_call {
            search.unknown[search.steps[step].0.end as usize].push(number(step));
        }
        search.before = search.find_before();
        search
    }

    fn lay_out(&mut self) {
        let steps = &self.steps;
        // One of unknown outcome that is here has taken effect before what follows this part.
        let mut returns: Vec<u32> = (0..steps.len()).map(number).collect();
        returns.sort_by_key(|&step| steps[step as usize].0.returned);
        let mut by_call: Vec<u32> = (0..steps.len()).map(number).collect();
        by_call.sort_by_key(|&step| steps[step as usize].0.called);
        let (mut called, mut now_open) = (0, Vec::new());
        for &step in &returns {
            let time = steps[step as usize].0.returned;
            while let Some(&next) = by_call.get(called).filter(|&&next| steps[next as usize].0.called <= time)
            {
                now_open.push(next);
                called += 1;
            }
            self.open.push(now_open.clone());
            now_open.retain(|&other| other != step);
        }
        self.ranks = vec![0; returns.len()];
        for (rank, &step) in returns.iter().enumerate() {
            self.ranks[step as usize] = number(rank);
        }
        self.returns = returns;
    }

    /// For each item those that enter while it is there, whatever the order, but must not lie beyond it.
    fn find_before(&self) -> Vec<Vec<u32>> {
        let mut by_return: Vec<u32> = (0..self.items.len()).map(number).collect();
        by_return.sort_by_key(|&item| self.items[item as usize].insert.returned);
        let find = |(place, item): (usize, &&Item)| {
            // Those that returned before its call are there already.
            let start = by_return
                .partition_point(|&other| self.items[other as usize].insert.returned < item.insert.called);
            let until = self.is_there_until(item);
            let meets = |&other: &u32| self.items[other as usize].insert.returned < until;
            let others = by_return[start..].iter().copied().take_while(meets);
            let others = others.filter(|&other| other as usize != place);
            others.filter(|&other| !self.can_come_behind(other as usize, place)).collect()
        };
        self.items.iter().enumerate().map(find).collect()
    }

    /// Until then an item is there for certain, once it is.
    fn is_there_until(&self, item: &Item) -> u64 {
        let can_be_taken =
            item.remove.index.is_none() && self.unknown.iter().any(|unknown| !unknown.is_empty());
        let last_peek = || item.peeks.iter().map(|peek| peek.called).max().unwrap_or(0);
        if can_be_taken { last_peek() } else { item.remove.called }
    }

    /// True unless the item `other` cannot be inserted while `there` is there, to stay until it has returned.
    fn can_come_behind(&self, other: usize, there: usize) -> bool {
        let entered = self.items[other].insert.returned;
        let all = self.uses[other].iter().copied();
        let later = self.uses[there].iter().copied();
        let later = later.filter(|&step| self.steps[step as usize].0.called > entered);
        match self.items[other].insert.end {
            End::Front => self.can_lie((other, all), (there, later)),
            End::Back => self.can_lie((there, later), (other, all)),
        }
    }

    /// True if two items can lie next to each other, one nearer to the front, when those operations on each are
    /// still to come.
    fn can_lie(
        &self,
        (left, left_uses): (usize, impl Iterator<Item = u32>),
        (right, right_uses): (usize, impl Iterator<Item = u32>),
    ) -> bool {
        let first = |uses: &mut dyn Iterator<Item = u32>, end: End| {
            let steps = uses.map(|step| self.steps[step as usize].0).filter(|step| step.end == end);
            steps.map(|step| step.returned).min()
        };
        let mut right_uses = right_uses;
        let mut left_uses = left_uses;
        match (first(&mut right_uses, End::Front), first(&mut left_uses, End::Back)) {
            (None, None) => true,
            (Some(_), Some(_)) => false,
            (Some(time), None) => self.can_leave(left, End::Front, time),
            (None, Some(time)) => self.can_leave(right, End::Back, time),
        }
    }

    /// True if an item can be gone by a moment, from that end.
    fn can_leave(&self, item: usize, end: End, time: u64) -> bool {
        let remove = &self.items[item].remove;
        match remove.index {
            Some(_) => remove.end == end && remove.called <= time,
            None => {
                let first = self.unknown[end as usize].first();
                first.is_some_and(|&first| self.steps[first as usize].0.called <= time)
            }
        }
    }

    fn run(&self, most: usize, interrupted: &dyn Fn() -> bool) -> Outcome {
        let mut trail = Trail(vec![(usize::MAX, usize::MAX)]);
        let start = Point { at: 0, used: [0, 0], taken: Vec::new(), content: Vec::new() };
        let mut ahead = vec![Ahead { point: start, trail: 0 }];
        let mut known = FxHashSet::default();
        let mut bytes = 0;
        while let Some(mut next) = ahead.pop() {
            if self.go_on(&mut next, &mut trail) {
                return Outcome::Order(self.order(&trail, next.trail));
            }
            if known.contains(&next.point) {
                continue;
            }
            bytes += 2 * next.point.bytes();
            if known.len() >= most || bytes > MOST_BYTES || (known.len().is_multiple_of(64) && interrupted())
            {
                return Outcome::Undecided;
            }
            self.branch(&next, &mut trail, &mut ahead);
            known.insert(next.point);
        }
        Outcome::Stuck(Core::default())
    }

    /// Passes returns as long as nothing has to be chosen. True at the end.
    fn go_on(&self, ahead: &mut Ahead, trail: &mut Trail) -> bool {
        while let Some(step) = self.returns.get(ahead.point.at as usize) {
            while let Some(next) = self.certain(&ahead.point) {
                self.take(&mut ahead.point, next);
                ahead.trail = trail.push(ahead.trail, next as usize);
            }
            let Some(place) = ahead.point.taken.iter().position(|taken| taken == step) else {
                return false;
            };
            ahead.point.taken.remove(place);
            ahead.point.at += 1;
        }
        true
    }

    /// When the next operation that is to return does so.
    fn time(&self, point: &Point) -> u64 {
        self.steps[self.returns[point.at as usize] as usize].0.returned
    }

    fn untaken<'a>(&'a self, point: &'a Point) -> impl DoubleEndedIterator<Item = u32> + 'a {
        self.open[point.at as usize].iter().copied().filter(|step| !point.taken.contains(step))
    }

    /// True if the operation has taken effect.
    fn is_done(&self, point: &Point, step: u32) -> bool {
        self.ranks[step as usize] < point.at || point.taken.contains(&step)
    }

    /// What sees or removes an item and has not done so yet.
    fn to_come<'a>(&'a self, point: &'a Point, item: u32) -> impl Iterator<Item = u32> + 'a {
        self.uses[item as usize].iter().copied().filter(|&step| !self.is_done(point, step))
    }

    /// An operation that may as well take effect now: one that sees what is there, or removes what nobody
    /// has to see any more.
    fn certain(&self, point: &Point) -> Option<u32> {
        self.untaken(point).find(|&step| {
            let (Step { end, .. }, item, role) = self.steps[step as usize];
            let is_at_end = point.at_end(end).is_some_and(|there| there as usize == item);
            match role {
                Role::Insert | Role::Unknown => false,
                Role::Peek => is_at_end,
                Role::Remove => is_at_end && self.to_come(point, number(item)).all(|other| other == step),
                Role::Empty => point.content.is_empty(),
            }
        })
    }

    fn take(&self, point: &mut Point, step: u32) {
        let (Step { end, .. }, item, role) = self.steps[step as usize];
        match (role, end) {
            (Role::Insert, End::Front) => point.content.insert(0, number(item)),
            (Role::Insert, End::Back) => point.content.push(number(item)),
            (Role::Remove | Role::Unknown, End::Front) => _ = point.content.remove(0),
            (Role::Remove | Role::Unknown, End::Back) => _ = point.content.pop(),
            (Role::Peek | Role::Empty, _) => {}
        }
        if role == Role::Unknown {
            point.used[end as usize] += 1;
            return;
        }
        let place = point.taken.partition_point(|&taken| taken < step);
        point.taken.insert(place, step);
    }

    /// Every value that can be inserted now; the one that is waited for last, so that it is tried first.
    fn branch(&self, from: &Ahead, trail: &mut Trail, ahead: &mut Vec<Ahead>) {
        let (due, wanted, role) = self.steps[self.returns[from.point.at as usize] as usize];
        let mut next: Vec<u32> = self.untaken(&from.point).collect();
        next.retain(|&step| self.steps[step as usize].2 == Role::Insert && self.can_enter(&from.point, step));
        next.sort_by_key(|&step| {
            let (Step { returned, .. }, item, _) = self.steps[step as usize];
            (item == wanted, std::cmp::Reverse(returned))
        });
        // Is something in the way of what is there, or of nothing being there?
        let is_there = from.point.content.iter().any(|&item| item as usize == wanted);
        for end in [End::Front, End::Back] {
            let is_in_the_way = role == Role::Empty || is_there && end == due.end;
            let place = if is_in_the_way { next.len() } else { 0 };
            next.splice(place..place, self.usable(&from.point, end));
        }
        for step in next {
            let mut point = from.point.clone();
            self.take(&mut point, step);
            ahead.push(Ahead { point, trail: trail.push(from.trail, step as usize) });
        }
    }

    /// A removal of unknown outcome that can take effect now.
    fn usable(&self, point: &Point, end: End) -> Option<u32> {
        let step = *self.unknown[end as usize].get(point.used[end as usize] as usize)?;
        let item = point.at_end(end)?;
        let is_free =
            self.items[item as usize].remove.index.is_none() && self.to_come(point, item).next().is_none();
        (is_free && self.steps[step as usize].0.called <= self.time(point)).then_some(step)
    }

    /// True unless what is there would then leave in a wrong order, or something must be inserted before.
    fn can_enter(&self, point: &Point, step: u32) -> bool {
        let (Step { end, .. }, item, _) = self.steps[step as usize];
        let has_entered = |&other: &u32| self.is_done(point, self.inserts[other as usize]);
        self.before[item].iter().all(has_entered)
            && point.content.iter().all(|&other| {
                let new = (item, self.uses[item].iter().copied());
                let other = (other as usize, self.to_come(point, other));
                match end {
                    End::Front => self.can_lie(new, other),
                    End::Back => self.can_lie(other, new),
                }
            })
    }

    fn order(&self, trail: &Trail, last: usize) -> Vec<usize> {
        let mut order = Vec::new();
        let mut at = last;
        while let (before, step) = trail.0[at]
            && step != usize::MAX
        {
            order.extend(self.steps[step].0.index);
            at = before;
        }
        order.reverse();
        order
    }
}

impl Point {
    fn at_end(&self, end: End) -> Option<u32> {
        match end {
            End::Front => self.content.first().copied(),
            End::Back => self.content.last().copied(),
        }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + (self.taken.len() + self.content.len()) * size_of::<u32>()
    }
}

impl Trail {
    fn push(&mut self, before: usize, step: usize) -> usize {
        self.0.push((before, step));
        self.0.len() - 1
    }
}

/// Narrows an index; points are many.
fn number(index: usize) -> u32 {
    u32::try_from(index).expect("fewer than 2^32 operations")
}
