//! The self test: every planted bug must be found, every control must stay silent, from several independent
//! starts; and every check must be worth having.
//!
//! Which hunts there are, and what comes of them, does not depend on the number of threads. CPU times do,
//! and on the machine: they are kept apart from everything else.

pub mod blindfold;
mod faults;
mod hunt;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::bugs::Bug;
use crate::check::Property;
use crate::guided;

pub use faults::Faults;
pub use hunt::{Ending, Find, Hunt, Terms, hunt};

/// How far apart the seeds are from which two starts begin. No hunt gets as far.
pub const STRIDE: u64 = 1_000_000;

/// How many steps a guided hunt may take for each seed that a plain one may: about as many as its run has.
const STEPS_A_SEED: u64 = 4_000;

/// What came of hunting one bug, or control, from all starts.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The bug, or control.
    pub bug: &'static Bug,
    /// One hunt for each start, in order.
    pub hunts: Vec<Hunt>,
}

impl Outcome {
    /// The worst ending of all starts.
    ///
    /// # Panics
    /// If there was no start.
    #[must_use]
    pub fn ending(&self) -> Ending {
        self.hunts.iter().map(Hunt::ending).max().expect("at least one start")
    }

    /// Whether every start ended as it should: the bug was found by a check that should find it, or the
    /// control was silent.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.hunts.iter().all(|hunt| hunt.ending().is_good())
    }

    /// From how many starts something was found.
    #[must_use]
    pub fn found(&self) -> usize {
        self.finds().count()
    }

    /// What was found from each start that found something.
    pub fn finds(&self) -> impl Iterator<Item = &Find> {
        self.hunts.iter().filter_map(|hunt| hunt.found.as_ref())
    }

    /// The checks that found the bug, each with the number of starts, the most frequent first.
    #[must_use]
    pub fn finders(&self) -> Vec<(Property, usize)> {
        by_frequency(self.finds().map(|find| find.violation.property))
    }

    /// The median of the seeds run until the bug was found; `None` if most starts did not find it.
    #[must_use]
    pub fn seeds(&self) -> Option<u64> {
        self.median(|hunt| hunt.seeds)
    }

    /// The median of the steps taken until the bug was found.
    #[must_use]
    pub fn steps(&self) -> Option<u64> {
        self.median(|hunt| hunt.steps)
    }

    /// The median of the CPU time it took until the bug was found. It varies.
    #[must_use]
    pub fn cpu(&self) -> Option<Duration> {
        self.median(|hunt| hunt.cpu)
    }

    fn median<T: Ord + Copy>(&self, measure: impl Fn(&Hunt) -> T) -> Option<T> {
        let is_over = |hunt: &Hunt| hunt.found.is_some() || self.bug.is_control();
        median(self.hunts.iter().map(|hunt| is_over(hunt).then(|| measure(hunt))))
    }

    /// The faults that had struck by the time the bug was found: in all finds, and in some only.
    #[must_use]
    pub fn faults(&self) -> (Faults, Faults) {
        let mut finds = self.finds().map(|find| find.faults);
        let Some(first) = finds.next() else { return (Faults::NONE, Faults::NONE) };
        let (all, any) = finds.fold((first, first), |(all, any), next| (all.and(next), any.or(next)));
        (all, any.without(all))
    }
}

/// Items, each with the number of times that it occurs, the most frequent first.
pub(crate) fn by_frequency<T: Ord>(items: impl Iterator<Item = T>) -> Vec<(T, usize)> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    items.for_each(|item| *counts.entry(item).or_default() += 1);
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    counts
}

/// The median, where what is missing counts as more than all the rest: the item in the middle, of two the
/// larger one.
pub(crate) fn median<T: Ord>(items: impl Iterator<Item = Option<T>>) -> Option<T> {
    let mut items: Vec<Option<T>> = items.collect();
    items.sort_by(|one, other| match (one, other) {
        (Some(one), Some(other)) => one.cmp(other),
        (one, other) => other.is_some().cmp(&one.is_some()),
    });
    let middle = items.len() / 2;
    items.into_iter().nth(middle).flatten()
}

/// Hunts each bug from `starts` starts, the first of which begins at seed `first`. `over` is told of each
/// hunt that is over.
#[must_use]
pub fn test(
    bugs: &[&'static Bug],
    first: u64,
    starts: NonZeroUsize,
    jobs: NonZeroUsize,
    over: &(dyn Fn(&Hunt) + Sync),
) -> Vec<Outcome> {
    let starts = starts.get();
    let beginning = |index: usize| first.wrapping_add((index % starts) as u64 * STRIDE);
    let hunts = in_parallel(
        bugs.len() * starts,
        jobs,
        |index| bugs[index / starts].seeds,
        |index| {
            let bug = bugs[index / starts];
            let hunt = hunt(bug, &Terms::of(bug, beginning(index)));
            over(&hunt);
            hunt
        },
    );
    let mut hunts = hunts.into_iter();
    bugs.iter().map(|&bug| Outcome { bug, hunts: hunts.by_ref().take(starts).collect() }).collect()
}

/// Hunts the planted bugs among `outcomes` again, by guided sweeps from the same starts.
#[must_use]
pub fn guided(outcomes: &[Outcome], jobs: NonZeroUsize, over: &(dyn Fn(&Hunt) + Sync)) -> Vec<Outcome> {
    let before: Vec<&Hunt> = outcomes
        .iter()
        .filter(|outcome| !outcome.bug.is_control())
        .flat_map(|outcome| &outcome.hunts)
        .collect();
    let hunts = in_parallel(
        before.len(),
        jobs,
        |index| before[index].steps,
        |index| {
            let Hunt { bug, first, .. } = *before[index];
            let hunt = guided::hunt(bug, first, bug.seeds.saturating_mul(STEPS_A_SEED));
            over(&hunt);
            hunt
        },
    );
    let mut guided: Vec<Outcome> = Vec::new();
    for hunt in hunts {
        match guided.last_mut() {
            Some(last) if std::ptr::eq(last.bug, hunt.bug) => last.hunts.push(hunt),
            _ => guided.push(Outcome { bug: hunt.bug, hunts: vec![hunt] }),
        }
    }
    guided
}

/// Does `count` pieces of work on several threads, those with the largest budget first, so that none of
/// them is left over in the end. What comes of them is in their own order.
///
/// # Panics
/// If a piece of work does.
pub(crate) fn in_parallel<T: Send>(
    count: usize,
    jobs: NonZeroUsize,
    budget: impl Fn(usize) -> u64,
    work: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(budget(index)));
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..jobs.get().min(count) {
            scope.spawn(|| {
                while let Some(&index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = work(index);
                    done.lock().expect("nobody panics while it is held").push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("nobody panics while it is held");
    done.sort_by_key(|&(index, _)| index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bugs;

    fn outcome(name: &str, jobs: usize) -> Outcome {
        let bug = bugs::find(name).expect("a planted bug");
        let [starts, jobs] = [3, jobs].map(|number| NonZeroUsize::new(number).expect("positive"));
        test(&[bug], 0, starts, jobs, &|_| {}).remove(0)
    }

    #[test]
    fn the_median_counts_what_was_not_found_as_more_than_the_rest() {
        assert_eq!(median([Some(3), Some(1), Some(2)].into_iter()), Some(2));
        assert_eq!(median([None, Some(1), Some(2)].into_iter()), Some(2));
        assert_eq!(median([None, Some(1), None].into_iter()), None);
        assert_eq!(median([Some(1), Some(2)].into_iter()), Some(2));
        assert_eq!(median([].into_iter()), None::<u8>);
    }

    #[test]
    fn starts_are_independent_and_threads_change_nothing() {
        let (one, two) = (outcome("M-Q1", 1), outcome("M-Q1", 2));
        let seen = |outcome: &Outcome| {
            outcome.hunts.iter().map(|hunt| (hunt.seeds, hunt.steps, hunt.found.clone())).collect::<Vec<_>>()
        };
        assert_eq!(seen(&one), seen(&two));
        assert!(one.is_good());
        let seeds: Vec<u64> = one.finds().map(|find| find.seed / STRIDE).collect();
        assert_eq!(seeds, [0, 1, 2]);
    }

    #[test]
    fn faults_that_had_to_strike_are_told_from_those_that_happened_to() {
        let outcome = outcome("M-R1", 2);
        let (all, some) = outcome.faults();
        assert!(all.names().contains(&"crash"), "{all:?}");
        assert!(all.and(some) == Faults::NONE);
    }
}
