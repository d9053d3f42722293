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
    assert!(history.len() <= LONGEST, "too long to try every order");
    can_complete(initial, history, &mut vec![false; history.len()])
}

/// True if the operations not yet placed can follow, in some order.
fn can_complete<M: Model>(
    model: &M,
    history: &[Call<M::Operation, M::Response>],
    placed: &mut Vec<bool>,
) -> bool {
    let all_placed = history.iter().zip(&*placed).all(|(call, placed)| *placed || call.returned.is_none());
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
            let completed = can_complete(&model, history, placed);
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
