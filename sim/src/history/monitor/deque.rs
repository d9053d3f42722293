//! Deques.
//!
//! No polynomial monitor for all of their histories is known to us, so this is a search, but one that knows
//! what is going to happen: when a value is inserted, it is known from which end it will leave, and that what
//! lies before it there must leave earlier. So most wrong orders of insertions are seen at once, where the
//! general search meets their end only when the values come back.
//!
//! Like the general search it goes from return to return. What is there to be seen is seen, and what is at the
//! end from which it leaves is removed, as soon as that can be: then nothing is lost by it. What is left to
//! choose is which value is inserted next.

use rustc_hash::FxHashSet;

use super::{Core, Distinct, Item, Outcome, Step, part_by_part};
use crate::history::models::container::End;

/// How many points of a part are visited before it is given up.
const MOST_VISITED: usize = 100_000;

/// Searches each part that can be separated.
pub(super) fn linearize(distinct: &Distinct, interrupted: &dyn Fn() -> bool) -> Outcome {
    part_by_part(distinct, |items| {
        let search = Search::new(items.iter().map(|&item| &distinct.items[item]).collect());
        match search.run(interrupted) {
            Outcome::Stuck(_) => Outcome::Stuck(Core { items: items.to_vec(), with_empties: false }),
            other => other,
        }
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Insert,
    Peek,
    Remove,
}

/// One part, laid out in time.
struct Search<'h> {
    items: Vec<&'h Item>,
    /// Every operation with its item.
    steps: Vec<(Step, usize, Role)>,
    /// All of them, in the order of their returns.
    returns: Vec<usize>,
    /// Those that are open at each return.
    open: Vec<Vec<usize>>,
}

/// How far an order goes.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Point {
    /// How many returns are behind it.
    at: usize,
    /// The operations that have taken effect and not returned.
    taken: Vec<usize>,
    /// The items, the front first.
    content: Vec<usize>,
}

/// A point to go on from, and how it was reached: the last of its steps, in [`Trail`].
struct Ahead {
    point: Point,
    trail: usize,
}

/// Steps, each with the one before it.
struct Trail(Vec<(usize, usize)>);

impl<'h> Search<'h> {
    fn new(items: Vec<&'h Item>) -> Self {
        let mut steps = Vec::new();
        for (place, item) in items.iter().enumerate() {
            steps.push((item.insert, place, Role::Insert));
            steps.extend(item.peeks.iter().map(|peek| (*peek, place, Role::Peek)));
            // What only completes the history is left out.
            steps.extend(item.remove.index.map(|_| (item.remove, place, Role::Remove)));
        }
        // One of unknown outcome that is here has taken effect before what follows this part.
        let mut returns: Vec<usize> = (0..steps.len()).collect();
        returns.sort_by_key(|&step| steps[step].0.returned);
        let mut by_call: Vec<usize> = (0..steps.len()).collect();
        by_call.sort_by_key(|&step| steps[step].0.called);
        let (mut called, mut now_open) = (0, Vec::new());
        let mut open = Vec::with_capacity(returns.len());
        for &step in &returns {
            let time = steps[step].0.returned;
            while let Some(&next) = by_call.get(called).filter(|&&next| steps[next].0.called <= time) {
                now_open.push(next);
                called += 1;
            }
            open.push(now_open.clone());
            now_open.retain(|&other| other != step);
        }
        Self { items, steps, returns, open }
    }

    fn run(&self, interrupted: &dyn Fn() -> bool) -> Outcome {
        let mut trail = Trail(vec![(usize::MAX, usize::MAX)]);
        let start = Point { at: 0, taken: Vec::new(), content: Vec::new() };
        let mut ahead = vec![Ahead { point: start, trail: 0 }];
        let mut known = FxHashSet::default();
        while let Some(mut next) = ahead.pop() {
            if self.go_on(&mut next, &mut trail) {
                return Outcome::Order(self.order(&trail, next.trail));
            }
            if !known.insert(next.point.clone()) {
                continue;
            }
            if known.len() > MOST_VISITED || (known.len().is_multiple_of(64) && interrupted()) {
                return Outcome::Undecided;
            }
            self.branch(&next, &mut trail, &mut ahead);
        }
        Outcome::Stuck(Core::default())
    }

    /// Passes returns as long as nothing has to be chosen. True at the end.
    fn go_on(&self, ahead: &mut Ahead, trail: &mut Trail) -> bool {
        while let Some(&step) = self.returns.get(ahead.point.at) {
            while let Some(next) = self.certain(&ahead.point) {
                self.take(&mut ahead.point, next);
                ahead.trail = trail.push(ahead.trail, next);
            }
            let Some(place) = ahead.point.taken.iter().position(|&taken| taken == step) else {
                return false;
            };
            ahead.point.taken.remove(place);
            ahead.point.at += 1;
        }
        true
    }

    fn untaken<'a>(&'a self, point: &'a Point) -> impl DoubleEndedIterator<Item = usize> + 'a {
        self.open[point.at].iter().copied().filter(|step| !point.taken.contains(step))
    }

    /// An operation that may as well take effect now: one that sees what is there, or removes what nobody
    /// has to see any more.
    fn certain(&self, point: &Point) -> Option<usize> {
        self.untaken(point).find(|&step| {
            let (Step { end, .. }, item, role) = self.steps[step];
            let is_at_end = match end {
                End::Front => point.content.first() == Some(&item),
                End::Back => point.content.last() == Some(&item),
            };
            match role {
                Role::Insert => false,
                Role::Peek => is_at_end,
                Role::Remove => is_at_end && self.is_seen(point, item),
            }
        })
    }

    /// True if everybody who sees the item has done so.
    fn is_seen(&self, point: &Point, item: usize) -> bool {
        let time = self.steps[self.returns[point.at]].0.returned;
        // One that is not called yet is not open.
        let outstanding = self.items[item].peeks.iter().filter(|peek| peek.called > time).count();
        let is_open = |step: usize| self.steps[step].1 == item && self.steps[step].2 == Role::Peek;
        outstanding == 0 && !self.untaken(point).any(is_open)
    }

    fn take(&self, point: &mut Point, step: usize) {
        let (Step { end, .. }, item, role) = self.steps[step];
        match (role, end) {
            (Role::Insert, End::Front) => point.content.insert(0, item),
            (Role::Insert, End::Back) => point.content.push(item),
            (Role::Remove, End::Front) => _ = point.content.remove(0),
            (Role::Remove, End::Back) => _ = point.content.pop(),
            (Role::Peek, _) => {}
        }
        let place = point.taken.partition_point(|&taken| taken < step);
        point.taken.insert(place, step);
    }

    /// Every value that can be inserted now; the one that is waited for last, so that it is tried first.
    fn branch(&self, from: &Ahead, trail: &mut Trail, ahead: &mut Vec<Ahead>) {
        let wanted = self.steps[self.returns[from.point.at]].1;
        let mut inserts: Vec<usize> = self.untaken(&from.point).collect();
        inserts.retain(|&step| self.steps[step].2 == Role::Insert && self.can_enter(&from.point, step));
        inserts.sort_by_key(|&step| {
            (self.steps[step].1 == wanted, std::cmp::Reverse(self.steps[step].0.returned))
        });
        for step in inserts {
            let mut point = from.point.clone();
            self.take(&mut point, step);
            ahead.push(Ahead { point, trail: trail.push(from.trail, step) });
        }
    }

    /// True unless the value would then leave in a wrong order.
    fn can_enter(&self, point: &Point, step: usize) -> bool {
        let (Step { end, .. }, item, _) = self.steps[step];
        let new = self.items[item];
        point.content.iter().all(|&other| {
            let other = self.items[other];
            match end {
                End::Front => can_lie(new, other),
                End::Back => can_lie(other, new),
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

impl Trail {
    fn push(&mut self, before: usize, step: usize) -> usize {
        self.0.push((before, step));
        self.0.len() - 1
    }
}

/// True if both can leave in some order while `left` lies nearer to the front.
fn can_lie(left: &Item, right: &Item) -> bool {
    let leaves = |item: &Item, end: End| item.remove.index.is_some() && item.remove.end == end;
    let (left_first, right_first) = (leaves(right, End::Front), leaves(left, End::Back));
    if left_first && right_first {
        return false;
    }
    (!left_first || can_precede(&left.remove, &right.remove))
        && (!right_first || can_precede(&right.remove, &left.remove))
}

const fn can_precede(one: &Step, other: &Step) -> bool {
    one.index.is_some() && one.called <= other.returned
}
