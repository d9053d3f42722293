//! Finds answers that come too late: by then the value that they tell of had been replaced for certain.
//!
//! Whoever sees a value of a register sees what the last operation before it left. So among those that may have
//! put that value there, one at least must not be too late, and must not have returned before another
//! operation was called that found or left another value and returned before this one was called. Where values
//! repeat, a search would have to go through all that can have happened before it knows; this takes one
//! scan. It proves no history right.

use rustc_hash::FxHashMap;

use super::Call;
use super::layout::{Completed, Layout};
use crate::workload::{Model, RegisterOperation};

/// Those that may have put one value there.
#[derive(Default)]
struct Producers {
    /// In the order of their calls, the latest return of any up to it.
    completed: Vec<(u64, u64)>,
    /// The first call of one of unknown outcome.
    unknown: Option<u64>,
    /// True if the value is there to begin with.
    is_initial: bool,
}

/// The latest calls of operations that found or left one value, and of those that did another.
#[derive(Default)]
struct Latest {
    most: Option<(u64, u64)>,
    other: Option<(u64, u64)>,
}

/// The first return, as an index into [`Layout::returns`], by which somebody has seen what was not there any more:
/// no order gets past it. `None` if there is none, or the partition is no register.
pub(super) fn first_stale<M: Model>(
    initial: &M,
    history: &[Call<M::Operation, M::Response>],
    layout: &Layout<'_, M>,
) -> Option<u32> {
    let value = initial.register_value(layout.partition)?;
    let views: Vec<RegisterOperation> = (layout.symbols.iter())
        .map(|symbol| M::as_register(symbol.operation, symbol.response))
        .collect::<Option<_>>()?;
    let view = |completed: &Completed| views[completed.symbol as usize];
    let returned =
        |completed: &Completed| history[completed.index as usize].returned.as_ref().map(|(at, _)| *at);
    let producers = producers(value, history, layout, &views);
    let mut latest = Latest::default();
    let mut behind = layout.returns.iter().map(|at| &layout.completed[at.completed as usize]).peekable();
    let mut first = None;
    // They are in the order of their calls.
    for completed in &layout.completed {
        let called = history[completed.index as usize].called;
        while let Some(earlier) = behind.next_if(|earlier| returned(earlier) < Some(called)) {
            let called = history[earlier.index as usize].called;
            match view(earlier) {
                RegisterOperation::Read(value) | RegisterOperation::Write(value) => latest.add(called, value),
                RegisterOperation::Swap { from, to } => {
                    latest.add(called, from);
                    latest.add(called, to);
                }
                RegisterOperation::Mismatch(_) => {}
            }
        }
        let (RegisterOperation::Read(seen) | RegisterOperation::Swap { from: seen, .. }) = view(completed)
        else {
            continue;
        };
        let is_explained = returned(completed).is_none_or(|returned| {
            producers
                .get(&seen)
                .is_some_and(|producers| producers.may_precede(returned, latest.besides(seen)))
        });
        if !is_explained && first.is_none_or(|first| completed.returned < first) {
            first = Some(completed.returned);
        }
    }
    first.filter(|&first| (first as usize) < layout.returns.len())
}

fn producers<M: Model>(
    initial: u64,
    history: &[Call<M::Operation, M::Response>],
    layout: &Layout<'_, M>,
    views: &[RegisterOperation],
) -> FxHashMap<u64, Producers> {
    let mut producers: FxHashMap<u64, Producers> = FxHashMap::default();
    producers.entry(initial).or_default().is_initial = true;
    let produced = |symbol: u32| match views[symbol as usize] {
        RegisterOperation::Write(value) => Some(value),
        RegisterOperation::Swap { from, to } if from != to => Some(to),
        _ => None,
    };
    for completed in &layout.completed {
        let Call { called, returned, .. } = &history[completed.index as usize];
        if let (Some(value), Some((returned, _))) = (produced(completed.symbol), returned) {
            let of_value = &mut producers.entry(value).or_default().completed;
            let latest = of_value.last().map_or(*returned, |&(_, latest)| latest.max(*returned));
            of_value.push((*called, latest));
        }
    }
    for unknown in &layout.unknown {
        let symbol = layout.families[unknown.family as usize].symbol;
        if let Some(value) = produced(symbol) {
            let called = history[unknown.index as usize].called;
            producers.entry(value).or_default().unknown.get_or_insert(called);
        }
    }
    producers
}

impl Producers {
    /// True if one of them was called by the moment `end`, and had not returned before `replaced`.
    fn may_precede(&self, end: u64, replaced: Option<u64>) -> bool {
        let in_time = self.completed.partition_point(|&(called, _)| called <= end);
        (self.is_initial && replaced.is_none())
            || self.unknown.is_some_and(|called| called <= end)
            || self.completed[..in_time].last().is_some_and(|&(_, returned)| Some(returned) >= replaced)
    }
}

impl Latest {
    fn add(&mut self, called: u64, value: u64) {
        let new = Some((called, value));
        match self.most {
            Some((_, most)) if most == value => self.most = self.most.max(new),
            _ if self.most.is_none_or(|(latest, _)| latest <= called) => {
                self.other = std::mem::replace(&mut self.most, new);
            }
            _ => match self.other {
                Some((latest, _)) if latest >= called => {}
                _ => self.other = new,
            },
        }
    }

    /// The latest call of one that found or left another value.
    fn besides(&self, value: u64) -> Option<u64> {
        let other = if self.most.is_some_and(|(_, most)| most == value) { self.other } else { self.most };
        other.map(|(called, _)| called)
    }
}
