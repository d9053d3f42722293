//! The checks themselves on trial: each is switched off in turn, and what it found is hunted again.
//!
//! Only hunts that the check had ended are made again, and from the seed that ended them: up to there
//! nothing was seen, so nothing changes. A bug that is not found in twice as many seeds as with all
//! checks on counts as not found.

use std::num::NonZeroUsize;

use super::{Find, Hunt, Outcome, Terms, by_frequency, hunt, in_parallel, median};
use crate::bugs::Bug;
use crate::check::{Properties, Property};

/// How many times as many seeds may be needed without a check as with it.
pub const PATIENCE: u64 = 2;
/// How many seeds are tried at least.
const SEEDS_MIN: u64 = 100;

/// What one check is worth.
#[derive(Clone, Debug)]
pub struct Worth {
    /// The property that is checked.
    pub property: Property,
    /// What was hunted again without it, in the order of bugs. If there is nothing, nothing needs it.
    pub bugs: Vec<Without>,
}

/// What became of a bug without a check that had found it.
#[derive(Clone, Debug)]
pub struct Without {
    /// The bug.
    pub bug: &'static Bug,
    /// The hunts that the check had ended, each with all checks on and without this one.
    pub hunts: Vec<Again>,
}

/// A hunt with all checks on, and again with one of them off.
#[derive(Clone, Debug)]
pub struct Again {
    /// Steps with all checks on.
    pub steps: u64,
    /// What the others saw, if anything, and after how many steps more.
    pub later: Option<(Property, u64)>,
    /// What went wrong with the second hunt.
    pub failure: Option<String>,
}

impl Without {
    /// In how many hunts the bug was not found any more.
    #[must_use]
    pub fn unfound(&self) -> usize {
        self.hunts.iter().filter(|hunt| hunt.later.is_none()).count()
    }

    /// The checks that found it in place of the one that was off, the most frequent first.
    #[must_use]
    pub fn finders(&self) -> Vec<(Property, usize)> {
        by_frequency(self.hunts.iter().filter_map(|hunt| Some(hunt.later?.0)))
    }

    /// The median of the steps that it took longer; `None` if most hunts did not find it any more.
    #[must_use]
    pub fn delay(&self) -> Option<u64> {
        median(self.hunts.iter().map(|hunt| Some(hunt.later?.1)))
    }

    /// Whether the bug was not found, or later, at least once: the check was of use.
    #[must_use]
    pub fn is_need(&self) -> bool {
        self.hunts.iter().any(|hunt| hunt.later.is_none_or(|(_, delay)| delay > 0))
    }
}

impl Worth {
    /// Whether some bug is not found, or later, without the check.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        self.bugs.iter().any(Without::is_need)
    }
}

/// Switches each check off in turn. `outcomes` is what came of the self test from seed `first` on.
#[must_use]
pub fn worth(outcomes: &[Outcome], jobs: NonZeroUsize, over: &(dyn Fn(&'static Bug) + Sync)) -> Vec<Worth> {
    let ended: Vec<(&Hunt, &Find)> =
        outcomes.iter().flat_map(|outcome| &outcome.hunts).filter_map(ended_by_a_find).collect();
    let again = in_parallel(
        ended.len(),
        jobs,
        |index| seeds(ended[index].0),
        |index| {
            let (hunt, find) = ended[index];
            let again = without(hunt, find);
            over(hunt.bug);
            again
        },
    );
    let of = |property: Property| {
        let mut bugs: Vec<Without> = Vec::new();
        for ((hunt, find), again) in ended.iter().zip(&again) {
            if find.violation.property != property {
                continue;
            }
            match bugs.last_mut() {
                Some(last) if std::ptr::eq(last.bug, hunt.bug) => last.hunts.push(again.clone()),
                _ => bugs.push(Without { bug: hunt.bug, hunts: vec![again.clone()] }),
            }
        }
        Worth { property, bugs }
    };
    // No bug is hunted in stories.
    let hunting = Property::ALL.iter().filter(|property| **property != Property::Story);
    hunting.map(|&property| of(property)).collect()
}

fn ended_by_a_find(hunt: &Hunt) -> Option<(&Hunt, &Find)> {
    hunt.found.as_ref().map(|find| (hunt, find))
}

fn seeds(hunt: &Hunt) -> u64 {
    hunt.seeds.saturating_mul(PATIENCE - 1).max(SEEDS_MIN)
}

fn without(before: &Hunt, find: &Find) -> Again {
    let off = Properties::NONE.with(find.violation.property);
    let after = hunt(before.bug, &Terms { first: find.seed, seeds: seeds(before), off });
    let later = after.found.map(|found| (found.violation.property, after.steps - find.steps));
    Again { steps: before.steps, later, failure: after.failure }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bugs;
    use crate::selftest::test;

    fn worth_for(name: &str) -> Vec<Worth> {
        let bug = bugs::find(name).expect("a planted bug");
        let one = NonZeroUsize::MIN;
        worth(&test(&[bug], 0, one, one, &|_| {}), one, &|_| {})
    }

    #[test]
    fn a_bug_that_only_one_check_sees_is_not_found_without_it() {
        let worth = worth_for("M-V6");
        let needed: Vec<_> = worth.iter().filter(|worth| worth.is_needed()).collect();
        assert_eq!(needed.len(), 1);
        assert_eq!(needed[0].property, Property::S20);
        assert!(needed[0].bugs[0].unfound() == 1 || needed[0].bugs[0].delay() > Some(0));
    }

    #[test]
    fn what_another_check_sees_too_is_found_later() {
        let worth = worth_for("M-Q1");
        let needed = worth.iter().find(|worth| worth.is_needed()).expect("S8 ended the hunt");
        assert_eq!((needed.property, needed.bugs[0].unfound()), (Property::S8, 0));
        assert!(needed.bugs[0].finders().iter().all(|&(property, _)| property != Property::S8));
    }
}
