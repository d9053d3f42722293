//! Priority queues.
//!
//! A value bears only on those of lower priority: none of them can be seen or removed while it is there. So
//! the values are placed one after another, the one of highest priority first, and each for as short a time
//! as it can be: from the earliest moment by which some operation on it must have happened to the latest
//! before which some other cannot. Whatever order explains the history has it there at least that long.
//! An operation that finds nothing is one that looks at a value of lowest priority which is always there.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{Core, Distinct, Item, Outcome, Step};

/// When something happens, and in which order if more happens at that time.
type Moment = (u64, Phase, u64, u8);

/// What comes first at one time: what ends or goes on, what comes and goes at once, what begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Before,
    Within,
    After,
}

/// Looks for a place for each value, in the order of priority.
pub(super) fn linearize(distinct: &Distinct) -> Outcome {
    let mut by_priority: Vec<usize> = (0..distinct.items.len()).collect();
    by_priority.sort_by_key(|&item| Reverse(distinct.items[item].item));
    let mut taken = Taken::default();
    let mut moments: Vec<(Moment, usize)> = Vec::new();
    for (count, &item) in by_priority.iter().enumerate() {
        let Some(stay) = place(&distinct.items[item], &taken, &mut moments) else {
            let items = by_priority[..=count].to_vec();
            return Outcome::Stuck(Core { items, with_empties: false });
        };
        if stay.0 < stay.1 {
            taken.add(stay.0, stay.1);
        }
    }
    for step in &distinct.empties {
        let at = taken.earliest(step.called);
        if at > step.returned {
            return Outcome::Stuck(Core { items: by_priority, with_empties: true });
        }
        moments.extend(step.index.map(|index| ((at, Phase::Within, 0, 0), index)));
    }
    moments.sort_unstable();
    Outcome::Order(moments.into_iter().map(|(_, index)| index).collect())
}

/// Places the operations on a value, and says from when to when it is there.
fn place(item: &Item, taken: &Taken, moments: &mut Vec<(Moment, usize)>) -> Option<(u64, u64)> {
    let Item { insert, peeks, remove, .. } = item;
    // Of each operation the earliest and the latest moment.
    let (mut from, mut to) = (insert.returned, insert.called);
    for step in peeks.iter().chain([remove]) {
        let earliest = taken.earliest(step.called.max(insert.called));
        let latest = taken.latest(step.returned);
        if latest < earliest {
            return None;
        }
        from = from.min(latest);
        to = to.max(earliest);
    }
    // Whatever is seen of it must be seen before it is removed.
    if taken.latest(remove.returned) < to {
        return None;
    }
    // All at once, if nothing keeps it.
    let from = from.min(to);
    let comes_and_goes = from == to;
    let mut write = |at: u64, step: &Step, kind: u8| {
        let (phase, rank) = match () {
            () if comes_and_goes => (Phase::Within, u64::MAX - item.item),
            () if at == from => (Phase::After, item.item),
            () => (Phase::Before, u64::MAX - item.item),
        };
        moments.extend(step.index.map(|index| ((at, phase, rank, kind), index)));
    };
    write(from, insert, 0);
    for peek in peeks {
        write(taken.earliest(peek.called.max(from)), peek, 1);
    }
    write(to, remove, 2);
    Some((from, to))
}

/// The times at which values of higher priority are there, without their ends, by their beginnings.
#[derive(Default)]
struct Taken(BTreeMap<u64, u64>);

impl Taken {
    /// The interval that holds a time within, if there is one.
    fn around(&self, time: u64) -> Option<(u64, u64)> {
        let (&from, &to) = self.0.range(..time).next_back()?;
        (time < to).then_some((from, to))
    }

    /// The first time not before `time` that is not taken.
    fn earliest(&self, time: u64) -> u64 {
        self.around(time).map_or(time, |(_, to)| to)
    }

    /// The last time not after `time` that is not taken.
    fn latest(&self, time: u64) -> u64 {
        self.around(time).map_or(time, |(from, _)| from)
    }

    /// Adds an interval, joined with those that overlap it. Those that merely touch it stay apart: the time
    /// between them is free.
    fn add(&mut self, from: u64, to: u64) {
        let (mut from, mut to) = (from, to);
        while let Some((&start, &end)) = self.0.range(..to).next_back().filter(|&(_, &end)| end > from) {
            self.0.remove(&start);
            from = from.min(start);
            to = to.max(end);
        }
        self.0.insert(from, to);
    }
}
