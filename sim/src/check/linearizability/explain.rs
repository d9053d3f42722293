//! What a reader wants to know beyond a verdict: an order that explains a history, or how far one goes and
//! what stands in the way then.

use super::bit_set::BitSet;
use super::layout::{Layout, number};
use super::search::{Allowance, Exploration, Ground, Progress, Step};
use super::{Budget, Call, Refusal, partitions};
use crate::workload::Model;

/// The most survivors described.
const SURVIVORS: usize = 16;

/// Why a history is not linearizable: how far an order of its operations goes, and what stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// A longest linearizable prefix: operations of the partition, as indices into the history, in an
    /// order that explains every return before that of the refused operation.
    pub prefix: Vec<usize>,
    /// What is left to go on from when the refused operation must return, the prefix's own first. They
    /// differ in the state or in which of the operations still open have taken effect.
    pub survivors: Vec<Survivor>,
    /// True if there are no other survivors.
    pub is_complete: bool,
}

/// One way to explain everything up to the return of the refused operation, and why it ends there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survivor {
    /// Operations in the order in which they took effect.
    pub order: Vec<usize>,
    /// The state they lead to, as the model's `Debug` text.
    pub state: String,
    /// The operations that might be next.
    pub candidates: Vec<Candidate>,
}

/// An operation that has not taken effect though it has been called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Index in the history.
    pub operation: usize,
    /// Why it is no way out.
    pub reason: Reason,
}

/// Why an operation that could be next is no way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It would answer something else. `Debug` texts of the responses.
    WrongResponse {
        /// What the model answers.
        expected: String,
        /// What the client saw.
        observed: String,
    },
    /// It may take effect, but the refused operation has no place after it either.
    DoesNotHelp,
}

/// Explains a refusal that [`judge`](super::judge) gave for the same history. `None` if that takes more than
/// the budget.
pub fn explain<'a, M: Model>(
    initial: &M,
    history: &[Call<M::Operation, M::Response>],
    refusal: &Refusal,
    budget: impl Into<Budget<'a>>,
) -> Option<Explanation> {
    explain_by(initial, history, refusal, SURVIVORS, &budget.into())
}

/// The [prefix](Explanation::prefix) alone, which is had sooner. `None` if it takes more than the budget.
pub fn longest_prefix<'a, M: Model>(
    initial: &M,
    history: &[Call<M::Operation, M::Response>],
    refusal: &Refusal,
    budget: impl Into<Budget<'a>>,
) -> Option<Vec<usize>> {
    explain_by(initial, history, refusal, 1, &budget.into()).map(|explanation| explanation.prefix)
}

/// Explains with at most so many survivors.
fn explain_by<M: Model>(
    initial: &M,
    history: &[Call<M::Operation, M::Response>],
    refusal: &Refusal,
    most: usize,
    budget: &Budget<'_>,
) -> Option<Explanation> {
    let (partition, members) =
        partitions::<M>(history).into_iter().find(|&(partition, _)| partition == refusal.partition)?;
    let ground = Ground::new(initial, Layout::new(partition, history, &members));
    match ground.layout.width() <= u64::BITS {
        true => explain_with::<M, u64>(initial, history, refusal, ground, most, budget),
        false => explain_with::<M, Vec<u64>>(initial, history, refusal, ground, most, budget),
    }
}

fn explain_with<M: Model, S: BitSet>(
    initial: &M,
    history: &[Call<M::Operation, M::Response>],
    refusal: &Refusal,
    mut ground: Ground<'_, M>,
    most: usize,
    budget: &Budget<'_>,
) -> Option<Explanation> {
    let goal = number(refusal.placed);
    let mut exploration = Exploration::<S>::remembering(&mut ground);
    let mut left = budget.configurations;
    let mut is_complete = false;
    // In growing pieces, for the first survivors are soon there, and the last one may be far.
    let mut piece = 1 << 12;
    // One more than is wanted tells whether there are others; where one is enough, nobody asks.
    let wanted = if most == 1 { 0 } else { most };
    while !is_complete && left > 0 && exploration.met_at(goal).nth(wanted).is_none() {
        let granted = piece.min(left);
        let mut allowance =
            Allowance { configurations: granted, bytes: budget.bytes, interrupted: budget.interrupted };
        match exploration.advance(&mut ground, &mut allowance) {
            Progress::OutOfAllowance => {}
            Progress::Refuted => is_complete = true,
            _ => break,
        }
        left -= granted - allowance.configurations;
        piece *= 2;
    }
    let met: Vec<u32> = exploration.met_at(goal).take(most + 1).collect();
    is_complete &= met.len() <= most;
    let survivors: Vec<_> = (met.iter().take(most))
        .map(|&id| {
            let order = order::<M, S>(&mut ground, &exploration.steps_to(id));
            survivor(initial, history, &ground, goal, order)
        })
        .collect();
    let prefix = survivors.first()?.order.clone();
    Some(Explanation { prefix, survivors, is_complete })
}

/// Describes the point that an order of operations leads to.
fn survivor<M: Model>(
    initial: &M,
    history: &[Call<M::Operation, M::Response>],
    ground: &Ground<'_, M>,
    goal: u32,
    order: Vec<usize>,
) -> Survivor {
    let mut model = initial.clone();
    for &index in &order {
        model.apply(&history[index].operation);
    }
    let (called, unknown) = ground.layout.called_by(goal);
    let completed = ground.layout.completed[..called as usize].iter().map(|completed| completed.index);
    let unknown = ground.layout.unknown[..unknown as usize].iter().map(|unknown| unknown.index);
    let mut placed = order.clone();
    placed.sort_unstable();
    let candidates = completed.chain(unknown).map(|index| index as usize);
    let candidates = candidates.filter(|index| placed.binary_search(index).is_err()).map(|operation| {
        let call = &history[operation];
        let expected = model.clone().apply(&call.operation);
        let reason = match &call.returned {
            Some((_, observed)) if *observed != expected => {
                Reason::WrongResponse { expected: format!("{expected:?}"), observed: format!("{observed:?}") }
            }
            _ => Reason::DoesNotHelp,
        };
        Candidate { operation, reason }
    });
    Survivor { candidates: candidates.collect(), state: format!("{model:?}"), order }
}

/// An order of a history's operations that explains every response, as
/// [`check_order`](super::witness::check_order) takes it. `None` if there is none or the budget ran out.
///
/// Operations of unknown outcome are in it only if others need them.
pub fn linearize<'a, M: Model>(
    initial: &M,
    history: &[Call<M::Operation, M::Response>],
    budget: impl Into<Budget<'a>>,
) -> Option<Vec<usize>> {
    let mut budget = budget.into();
    let mut orders = Vec::new();
    for (partition, members) in partitions::<M>(history) {
        let ground = Ground::new(initial, Layout::new(partition, history, &members));
        orders.push(match ground.layout.width() <= u64::BITS {
            true => linearize_with::<M, u64>(ground, &mut budget)?,
            false => linearize_with::<M, Vec<u64>>(ground, &mut budget)?,
        });
    }
    Some(merge(history, &orders))
}

fn linearize_with<M: Model, S: BitSet>(
    mut ground: Ground<'_, M>,
    budget: &mut Budget<'_>,
) -> Option<Vec<usize>> {
    let mut exploration = Exploration::<S>::remembering(&mut ground);
    let mut allowance = Allowance {
        configurations: budget.configurations,
        bytes: budget.bytes,
        interrupted: budget.interrupted,
    };
    let progress = exploration.advance(&mut ground, &mut allowance);
    budget.configurations = allowance.configurations;
    if progress != Progress::Explained {
        return None;
    }
    let end = exploration.met_at(number(ground.layout.returns.len())).last()?;
    Some(order::<M, S>(&mut ground, &exploration.steps_to(end)))
}

/// The order in which operations take effect along a way through the configurations.
fn order<M: Model, S: BitSet>(ground: &mut Ground<'_, M>, steps: &[Step]) -> Vec<usize> {
    let mut order = Vec::new();
    // Where the state was last overwritten: there goes what is placed in hindsight.
    let mut overwritten = 0;
    let mut observed = Vec::new();
    let mut configuration = ground.start::<S>(&mut |id| observed.push(id));
    let mut steps = steps.iter();
    loop {
        let observers = observed.drain(..).map(|id| ground.layout.completed[id as usize].index as usize);
        order.extend(observers);
        let Some(&step) = steps.next() else {
            return order;
        };
        if ground.is_overwriting(step) {
            overwritten = order.len();
        }
        match step {
            Step::Take(id) => order.push(ground.layout.completed[id as usize].index as usize),
            Step::Use(id) => order.push(ground.layout.unknown[id as usize].index as usize),
            Step::TakeInHindsight(id) => {
                order.insert(overwritten, ground.layout.completed[id as usize].index as usize);
                overwritten += 1;
            }
        }
        configuration = ground.follow(&configuration, step, &mut |id| observed.push(id));
    }
}

/// One order of all operations, given those of the partitions.
///
/// Each operation gets the earliest moment at which it can take effect given what is placed before it, which
/// is never later than its return. Such moments are ordered within a partition as its operations are.
fn merge<O, R>(history: &[Call<O, R>], orders: &[Vec<usize>]) -> Vec<usize> {
    let mut placed = Vec::with_capacity(history.len());
    for (partition, order) in orders.iter().enumerate() {
        let mut moment = 0;
        for (place, &index) in order.iter().enumerate() {
            moment = moment.max(history[index].called);
            placed.push((moment, partition, place, index));
        }
    }
    placed.sort_unstable();
    placed.into_iter().map(|(_, _, _, index)| index).collect()
}
