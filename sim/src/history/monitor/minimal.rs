//! Makes a core smaller.

use super::{Distinct, Step};

/// Takes away values, then what only looks, as long as what is left `is_refused`: in the end nothing more
/// can be taken away by itself.
pub(super) fn minimal(core: Distinct, is_refused: impl Fn(&Distinct) -> bool) -> Distinct {
    let mut core = core;
    shrink(core.items.len(), |kept| {
        let part = Distinct { items: choose(&core.items, kept), ..core.clone() };
        is_refused(&part)
    })
    .inspect(|kept| core.items = choose(&core.items, kept));
    shrink(core.empties.len(), |kept| {
        let part = Distinct { empties: choose(&core.empties, kept), ..core.clone() };
        is_refused(&part)
    })
    .inspect(|kept| core.empties = choose(&core.empties, kept));
    for item in 0..core.items.len() {
        let peeks: Vec<Step> = core.items[item].peeks.clone();
        let with = |kept: &[usize]| {
            let mut part = core.clone();
            part.items[item].peeks = choose(&peeks, kept);
            part
        };
        if let Some(kept) = shrink(peeks.len(), |kept| is_refused(&with(kept))) {
            core = with(&kept);
        }
    }
    core
}

fn choose<T: Clone>(all: &[T], kept: &[usize]) -> Vec<T> {
    kept.iter().map(|&place| all[place].clone()).collect()
}

/// Of the numbers below `count`, few that pass the test, taken away in ever smaller chunks; `None` if
/// nothing could be taken away.
fn shrink(count: usize, mut passes: impl FnMut(&[usize]) -> bool) -> Option<Vec<usize>> {
    let mut kept: Vec<usize> = (0..count).collect();
    let mut size = count;
    while size > 0 {
        let mut start = 0;
        let mut has_shrunk = false;
        while start < kept.len() {
            let end = (start + size).min(kept.len());
            let rest = [&kept[..start], &kept[end..]].concat();
            if passes(&rest) {
                kept = rest;
                has_shrunk = true;
            } else {
                start = end;
            }
        }
        // At the smallest size, again until nothing changes any more.
        if size > 1 || !has_shrunk {
            size /= 2;
        }
    }
    (kept.len() < count).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::shrink;

    #[test]
    fn what_does_not_matter_is_taken_away() {
        let needs = |wanted: &'static [usize]| {
            move |kept: &[usize]| wanted.iter().all(|number| kept.contains(number))
        };
        assert_eq!(shrink(100, needs(&[3, 50, 99])), Some(vec![3, 50, 99]));
        assert_eq!(shrink(3, needs(&[0, 1, 2])), None);
        assert_eq!(shrink(5, needs(&[])), Some(vec![]));
        assert_eq!(shrink(0, needs(&[])), None);
    }
}
