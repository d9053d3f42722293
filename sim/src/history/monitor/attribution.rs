//! Which values the removals of unknown outcome took, among those that nobody is seen to remove.
//!
//! A removal of unknown outcome takes effect at any time after its call, or never. So of two, the one called
//! first can do all that the other can: only the times of the calls matter. A value that stays is one that is
//! removed after all else; so one that is taken has an easier place than one that stays, the easier the
//! earlier its removal was called. That order of ease is what everything here rests on:
//!
//! * If there is no order even where every value in question has the first removal for itself, there is none.
//! * If there is none where one value stays and all others have the first removal, that value must be taken; by
//!   when its removal must have been called is found in the same way. These deadlines are met by giving the
//!   first removals to the values that need them first, or not at all (Jackson 1955). For a queue that is the
//!   whole answer, since its values are put in order by pairwise constraints.
//! * Otherwise, what is stuck where no further value is taken tells which values may be missing: one of them is
//!   taken. That is a search, but a small one.
//!
//! A yes is an order in which every removal takes one value at most.

use std::cell::Cell;

use super::{Distinct, Opinion, Outcome, Step, Task, linearize, minimal};

/// So much work, in operations looked at, goes into one history at most.
const WORK: usize = 20_000_000;

/// Judges a history in which removals of unknown outcome, all at the same end, may have taken values. Not for
/// deques, where a value that stays may be in the way of one that is taken.
pub(super) fn judge(task: Task<'_>, distinct: &Distinct) -> Opinion {
    let mut removals = distinct.unknown.clone();
    removals.sort_by_key(|step| step.called);
    let left = (0..distinct.items.len()).filter(|&item| distinct.is_left(item)).collect();
    let work = Cell::new(WORK);
    Attribution { task, distinct, removals, left, work }.judge()
}

/// Removals to be given to values.
struct Attribution<'a> {
    task: Task<'a>,
    distinct: &'a Distinct,
    /// Those of unknown outcome, the first called first.
    removals: Vec<Step>,
    /// The values that nobody is seen to remove, by their places.
    left: Vec<usize>,
    work: Cell<usize>,
}

/// For each of the values in question, which removal takes it, by its place; none if it stays.
type Taken = Vec<Option<usize>>;

/// Nothing is certain: the work is used up, or something could not be decided.
struct Uncertain;

impl Attribution<'_> {
    fn judge(&self) -> Opinion {
        let refused = || Opinion::NotLinearizable(self.distinct.indices());
        let deadlines = match self.deadlines() {
            Ok(Some(deadlines)) => deadlines,
            Ok(None) => return refused(),
            Err(Uncertain) => return Opinion::Unknown,
        };
        let Some(taken) = self.by_deadline(&deadlines) else {
            return refused();
        };
        match self.complete(taken) {
            Ok(Some(order)) => Opinion::Linearizable(order),
            Ok(None) => refused(),
            Err(Uncertain) => Opinion::Unknown,
        }
    }

    /// Looks for an order where values are taken like that. A removal may be given to several: then it is one
    /// of as many that are called at the same time.
    fn ask(&self, taken: &Taken) -> Result<Outcome, Uncertain> {
        self.ask_of(&self.attributed(taken))
    }

    fn ask_of(&self, attributed: &Distinct) -> Result<Outcome, Uncertain> {
        let size = attributed.items.len() + attributed.empties.len() + 1;
        let Some(work) = self.work.get().checked_sub(size) else { return Err(Uncertain) };
        self.work.set(work);
        if (self.task.limits.interrupted)() {
            return Err(Uncertain);
        }
        match linearize(self.task, attributed) {
            Outcome::Undecided => Err(Uncertain),
            outcome => Ok(outcome),
        }
    }

    fn is_possible(&self, taken: &Taken) -> Result<bool, Uncertain> {
        Ok(matches!(self.ask(taken)?, Outcome::Order(_)))
    }

    fn attributed(&self, taken: &Taken) -> Distinct {
        let mut attributed = self.distinct.clone();
        attributed.unknown.clear();
        for (&item, removal) in self.left.iter().zip(taken) {
            if let Some(removal) = *removal {
                attributed.items[item].remove = self.removals[removal];
            }
        }
        attributed
    }

    /// For each value the last removal that it can do with while all others have the first: the number of
    /// removals if it can stay. `None` if there is no order at all.
    fn deadlines(&self) -> Result<Option<Vec<usize>>, Uncertain> {
        let eased = vec![Some(0); self.left.len()];
        if !self.is_possible(&eased)? {
            return Ok(None);
        }
        let mut deadlines = vec![self.removals.len(); self.left.len()];
        for place in self.needed(&eased)? {
            let (mut good, mut bad) = (0, self.removals.len());
            while good + 1 < bad {
                let middle = good.midpoint(bad);
                let mut taken = eased.clone();
                taken[place] = Some(middle);
                *(if self.is_possible(&taken)? { &mut good } else { &mut bad }) = middle;
            }
            deadlines[place] = good;
        }
        Ok(Some(deadlines))
    }

    /// The values that cannot stay, even if all others are taken. Many that can are found so at once.
    fn needed(&self, eased: &Taken) -> Result<Vec<usize>, Uncertain> {
        let mut needed = Vec::new();
        let mut ahead = vec![(0, self.left.len())];
        while let Some((start, end)) = ahead.pop() {
            let mut taken = eased.clone();
            taken[start..end].fill(None);
            if start == end || self.is_possible(&taken)? {
                continue;
            }
            if end - start == 1 {
                needed.push(start);
                continue;
            }
            let middle = start.midpoint(end);
            ahead.extend([(start, middle), (middle, end)]);
        }
        Ok(needed)
    }

    /// Gives the first removals to the values that need them first; `None` if one comes too late.
    fn by_deadline(&self, deadlines: &[usize]) -> Option<Taken> {
        let mut needed: Vec<usize> = (0..deadlines.len()).collect();
        needed.retain(|&place| deadlines[place] < self.removals.len());
        needed.sort_by_key(|&place| deadlines[place]);
        let mut taken = vec![None; deadlines.len()];
        for (removal, place) in needed.into_iter().enumerate() {
            if removal > deadlines[place] {
                return None;
            }
            taken[place] = Some(removal);
        }
        Some(taken)
    }

    /// Looks for an order in which these values are taken, and others as need be.
    fn complete(&self, taken: Taken) -> Result<Option<Vec<usize>>, Uncertain> {
        if let Outcome::Order(order) = self.ask(&taken)? {
            return Ok(Some(order));
        }
        let is_taken: Vec<bool> = taken.iter().map(Option::is_some).collect();
        let mut ahead = vec![(is_taken.clone(), vec![false; is_taken.len()])];
        let mut is_certain = true;
        while let Some((is_taken, stays)) = ahead.pop() {
            let count = is_taken.iter().filter(|&&is_taken| is_taken).count();
            if count > self.removals.len() {
                continue;
            }
            let eased = is_taken.iter().map(|&is_taken| is_taken.then_some(0)).collect();
            let Some(missing) = self.missing(&eased)? else {
                match self.assign(&is_taken)? {
                    Some(order) => return Ok(Some(order)),
                    // To take more might make it easier for these.
                    None => is_certain &= count == self.removals.len(),
                }
                continue;
            };
            let mut stays = stays;
            for place in missing {
                if is_taken[place] || stays[place] {
                    continue;
                }
                let mut with = is_taken.clone();
                with[place] = true;
                ahead.push((with, stays.clone()));
                stays[place] = true;
            }
        }
        if is_certain { Ok(None) } else { Err(Uncertain) }
    }

    /// Values of which one more at least must be taken; `None` if there is an order.
    fn missing(&self, taken: &Taken) -> Result<Option<Vec<usize>>, Uncertain> {
        let attributed = self.attributed(taken);
        let Outcome::Stuck(core) = self.ask_of(&attributed)? else { return Ok(None) };
        let core = minimal::minimal(attributed.only(&core), |part| {
            matches!(self.ask_of(part), Ok(Outcome::Stuck(_)))
        });
        let items: Vec<u64> = core.items.iter().map(|item| item.item).collect();
        let is_in = |place: &usize| items.contains(&self.distinct.items[self.left[*place]].item);
        Ok(Some((0..self.left.len()).filter(is_in).collect()))
    }

    /// Looks for an order in which exactly these values are taken, each by a removal of its own: the first
    /// ones, for they are the best. Which value gets the last of them is tried, then which gets the one before.
    fn assign(&self, is_taken: &[bool]) -> Result<Option<Vec<usize>>, Uncertain> {
        let count = is_taken.iter().filter(|&&is_taken| is_taken).count();
        let eased: Taken = is_taken.iter().map(|&is_taken| is_taken.then_some(0)).collect();
        let mut ahead = vec![(eased, count)];
        while let Some((taken, free)) = ahead.pop() {
            let Outcome::Order(order) = self.ask(&taken)? else { continue };
            if free <= 1 {
                return Ok(Some(order));
            }
            for place in (0..taken.len()).filter(|&place| taken[place] == Some(0)) {
                let mut with = taken.clone();
                with[place] = Some(free - 1);
                ahead.push((with, free - 1));
            }
        }
        Ok(None)
    }
}
