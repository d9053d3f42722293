//! Delta debugging (Zeller and Hildebrandt, 2002): taking out as much as can be taken out.

use std::ops::Range;

/// Takes pieces out of a list, large ones first, until no single item can be taken out any more: the list
/// is one-minimal then.
///
/// `try_without` takes a piece out of the list in `state` if what is left will do, and says whether it
/// did; it may take out more than it was asked to. `len` says how long the list is at present.
pub(super) fn minimize<S>(
    state: &mut S,
    len: impl Fn(&S) -> usize,
    mut try_without: impl FnMut(&mut S, Range<usize>) -> bool,
) {
    let mut size = len(state).div_ceil(2).next_power_of_two();
    loop {
        let taken = pass(state, size, &len, &mut try_without);
        // What could be taken out may have been all that kept others in.
        if size == 1 && !taken {
            return;
        }
        size = (size / 2).max(1);
    }
}

/// Tries each piece of this size, from the end to the beginning: what comes late has fewer consequences.
fn pass<S>(
    state: &mut S,
    size: usize,
    len: &impl Fn(&S) -> usize,
    try_without: &mut impl FnMut(&mut S, Range<usize>) -> bool,
) -> bool {
    let mut taken = false;
    let mut end = len(state);
    while end > 0 {
        let start = end.saturating_sub(size);
        taken |= try_without(state, start..end);
        end = start.min(len(state));
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Minimizes a list under a predicate; counts how often that is asked.
    fn minimized(items: Vec<u32>, fails: impl Fn(&[u32]) -> bool) -> (Vec<u32>, usize) {
        let mut asked = 0;
        let mut list = items;
        minimize(&mut list, Vec::len, |list, range| {
            asked += 1;
            let mut candidate = list.clone();
            candidate.drain(range);
            let is_kept = fails(&candidate);
            if is_kept {
                *list = candidate;
            }
            is_kept
        });
        (list, asked)
    }

    fn assert_one_minimal(list: &[u32], fails: impl Fn(&[u32]) -> bool) {
        assert!(fails(list));
        for index in 0..list.len() {
            let mut candidate = list.to_vec();
            candidate.remove(index);
            assert!(!fails(&candidate), "{} can be taken out of {list:?}", list[index]);
        }
    }

    #[test]
    fn what_is_needed_is_left() {
        let needed = [3, 50, 51, 999];
        let fails = |list: &[u32]| needed.iter().all(|item| list.contains(item));
        let (list, asked) = minimized((0..1_000).collect(), fails);
        assert_eq!(list, needed);
        assert!(asked < 200, "asked {asked} times: pieces are taken out whole");
    }

    #[test]
    fn everything_may_go_and_nothing_may() {
        assert!(minimized((0..77).collect(), |_| true).0.is_empty());
        assert!(minimized(Vec::new(), |_| true).0.is_empty());
        let all: Vec<_> = (0..77).collect();
        assert_eq!(minimized(all.clone(), |list| list.len() == 77).0, all);
    }

    /// Taking out one item makes others superfluous, or needed.
    #[test]
    fn a_predicate_that_is_not_monotone_gives_a_minimum_of_its_kind() {
        let odd_sum = |list: &[u32]| list.iter().sum::<u32>() % 2 == 1;
        let even_and_seven = |list: &[u32]| list.contains(&7) && list.len().is_multiple_of(2);
        let chained = |list: &[u32]| list.contains(&9) && (!list.contains(&20) || list.contains(&40));
        type Fails<'a> = &'a dyn Fn(&[u32]) -> bool;
        let fails: [Fails<'_>; 3] = [&odd_sum, &even_and_seven, &chained];
        for fails in fails {
            let items: Vec<u32> = (0..70).collect();
            assert!(fails(&items));
            let (list, _) = minimized(items, fails);
            assert_one_minimal(&list, fails);
            assert!(list.len() <= 2, "{list:?}");
        }
    }

    #[test]
    fn any_predicate_gives_a_one_minimal_list() {
        for key in 0..200_u64 {
            let fails = |list: &[u32]| {
                let digest = list.iter().fold(key, |digest, &item| crate::digest::mix(digest, item.into()));
                list.len() == 40 || digest.is_multiple_of(3)
            };
            let (list, _) = minimized((0..40).collect(), fails);
            assert_one_minimal(&list, fails);
        }
    }

    /// A try may take out more than it was asked to.
    #[test]
    fn a_list_that_shrinks_by_itself_is_followed() {
        let mut list: Vec<u32> = (0..100).collect();
        minimize(&mut list, Vec::len, |list, range| {
            let is_kept = !list[range.clone()].contains(&60);
            if is_kept {
                list.drain(range);
                list.retain(|&item| item >= 50);
            }
            is_kept
        });
        assert_eq!(list, [60]);
    }
}
