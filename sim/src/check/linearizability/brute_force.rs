//! Tries every order: slow, obviously right, the yardstick for the search.

use super::Call;
use crate::workload::Model;

/// The longest history worth trying.
const LONGEST: usize = 8;

/// True if some order of the completed operations and some of the others is a linearization.
///
/// # Panics
///
/// If the history is longer than eight operations.
pub(super) fn brute_force<M: Model>(initial: &M, history: &[Call<M::Operation, M::Response>]) -> bool {
    let obliged: Vec<_> = history.iter().map(|call| call.returned.is_some()).collect();
    explains(initial, history, &obliged)
}

/// The first return, equal times in the order of the history, such that no order explains it and all before
/// it, and how many there are before it. Operations that return later may take effect, but only with the
/// responses that they will get.
pub(super) fn first_refused<M: Model>(
    initial: &M,
    history: &[Call<M::Operation, M::Response>],
) -> Option<(usize, usize)> {
    let times = history.iter().zip(0..).filter_map(|(call, index)| Some((call.returned.as_ref()?.0, index)));
    let mut returns: Vec<_> = times.collect();
    returns.sort_unstable();
    let mut obliged = vec![false; history.len()];
    for (placed, (_, index)) in returns.into_iter().enumerate() {
        obliged[index] = true;
        if !explains(initial, history, &obliged) {
            return Some((index, placed));
        }
    }
    None
}

/// True if some order explains all operations that are `obliged` to take effect, and others if need be.
fn explains<M: Model>(initial: &M, history: &[Call<M::Operation, M::Response>], obliged: &[bool]) -> bool {
    assert!(history.len() <= LONGEST, "too long to try every order");
    can_complete(initial, history, obliged, &mut vec![false; history.len()])
}

/// True if the operations not yet placed can follow, in some order.
fn can_complete<M: Model>(
    model: &M,
    history: &[Call<M::Operation, M::Response>],
    obliged: &[bool],
    placed: &mut Vec<bool>,
) -> bool {
    let all_placed = obliged.iter().zip(&*placed).all(|(obliged, placed)| *placed || !obliged);
    all_placed
        || (0..history.len()).any(|next| {
            if placed[next] || !may_be_next(history, placed, next) {
                return false;
            }
            let mut model = model.clone();
            let response = model.apply(&history[next].operation);
            if matches!(&history[next].returned, Some((_, observed)) if *observed != response) {
                return false;
            }
            placed[next] = true;
            let completed = can_complete(&model, history, obliged, placed);
            placed[next] = false;
            completed
        })
}

/// True unless an operation still to be placed, `next` included, returned before `next` was called.
fn may_be_next<O, R>(history: &[Call<O, R>], placed: &[bool], next: usize) -> bool {
    history.iter().zip(placed).filter(|(_, placed)| !**placed).all(|(call, _)| match call.returned {
        Some((returned, _)) => returned >= history[next].called,
        None => true,
    })
}
