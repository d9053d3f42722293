//! The first return of a history that cannot be explained.

use super::Call;

/// The first return, in time order, by which a history is not linearizable; equal times are taken in the
/// order of the history. Gives the operation's index and how many operations returned before it, or `None`
/// if `is_linearizable` says yes to the whole history.
///
/// Forgetting returns weakens a history: whatever explained it still does. So the first return that cannot
/// be explained is found by asking `is_linearizable` about a logarithmic number of weakened histories, in
/// which all returns from some moment on are unknown outcomes.
pub fn first_refused<O: Clone, R: Clone>(
    history: &[Call<O, R>],
    mut is_linearizable: impl FnMut(&[Call<O, R>]) -> bool,
) -> Option<(usize, usize)> {
    if is_linearizable(history) {
        return None;
    }
    let times = history.iter().zip(0..).filter_map(|(call, index)| Some((call.returned.as_ref()?.0, index)));
    let mut returns: Vec<(u64, usize)> = times.collect();
    returns.sort_unstable();
    // So many returns can be explained, and so many cannot.
    let (mut good, mut bad) = (0, returns.len());
    while good + 1 < bad {
        let middle = good.midpoint(bad);
        let mut weakened = history.to_vec();
        for &(_, index) in &returns[middle..] {
            weakened[index].returned = None;
        }
        *(if is_linearizable(&weakened) { &mut good } else { &mut bad }) = middle;
    }
    returns.get(good).map(|&(_, index)| (index, good))
}
