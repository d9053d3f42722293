//! Judges a register to which no value is written twice, without any search.
//!
//! Where values are unique, a read tells whose write it saw. Gibbons and Korach (1997) group each write
//! with the reads of its value. From the first return in a group to the last call in it the register holds
//! that value, and if that is a stretch of time (a forward zone), no other group's may overlap it.
//! Otherwise all operations of the group are open at one moment and for some time around it (a backward
//! zone), in which the whole group may take effect at once unless all of that time lies within a forward
//! zone. Such a history is linearizable exactly if no operation returns before another of its group that
//! it depends on was called, and no two zones are in conflict.
//!
//! A compare-and-swap reads one value and writes another, with nothing in between. So it makes one group of
//! two, and what holds of groups holds of such chains: the zone of a chain is made of all its operations.
//!
//! Operations of unknown outcome took effect if somebody saw what they left. If nobody did they may as well
//! have had none, and are left out.
//!
//! One thing is not covered entirely: a compare-and-swap that failed and does not say what it found.
//! It may have found any value but one, so a written value that nobody saw can matter. Such operations are
//! placed into the order found for the others; if that fails without being impossible there is no verdict.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use super::{Call, Refusal, prefix};
use crate::workload::{Model, RegisterOperation};

/// What zones say of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is linearizable.
    Linearizable,
    /// It is not.
    NotLinearizable {
        refusal: Refusal,
        /// True if the refusal names the first return that cannot be explained for certain.
        is_first: bool,
    },
    /// Not a register, or values are not unique, or see the end of the module's documentation.
    NotCovered,
}

/// Judges the operations `members` of a history, all those of one partition.
pub(super) fn judge<M: Model>(
    initial: &M,
    history: &[Call<M::Operation, M::Response>],
    partition: u64,
    members: &[u32],
) -> Judgement {
    let Some(calls) = calls_of::<M>(history, members) else {
        return Judgement::NotCovered;
    };
    match judge_as_register(initial, partition, &calls) {
        Some(true) => return Judgement::Linearizable,
        None => return Judgement::NotCovered,
        Some(false) => {}
    }
    let mut is_first = true;
    let refused = prefix::first_refused(&calls, |calls| {
        let verdict = judge_as_register(initial, partition, calls);
        is_first &= verdict.is_some();
        verdict != Some(false)
    });
    let (operation, placed) = refused.expect("it is not linearizable");
    let operation = calls[operation].client as usize;
    Judgement::NotLinearizable { refusal: Refusal { partition, placed, operation }, is_first }
}

/// What was asked, and what was answered if the outcome is known.
type Asked<'h, M> = (&'h <M as Model>::Operation, Option<&'h <M as Model>::Response>);

/// The calls of a partition, each with its index in the history for a client, unless one returned before it was
/// called. What was answered stays with the operation, so that it is not forgotten with a return.
fn calls_of<'h, M: Model>(
    history: &'h [Call<M::Operation, M::Response>],
    members: &[u32],
) -> Option<Vec<Call<Asked<'h, M>, ()>>> {
    let mut calls = Vec::with_capacity(members.len());
    for &index in members {
        let Call { operation, called, returned, .. } = &history[index as usize];
        let (returned, response) = match returned {
            Some((returned, _)) if returned < called => return None,
            Some((returned, response)) => (Some((*returned, ())), Some(response)),
            None => (None, None),
        };
        calls.push(Call { client: index, operation: (operation, response), called: *called, returned });
    }
    Some(calls)
}

/// Calls of a register, without observers of unknown outcome.
type RegisterCall = Call<RegisterOperation, ()>;

/// True if the history is that of a register and linearizable; `None` if that is beyond zones.
fn judge_as_register<M: Model>(
    initial: &M,
    partition: u64,
    calls: &[Call<Asked<'_, M>, ()>],
) -> Option<bool> {
    let tells =
        |call: &&Call<Asked<'_, M>, ()>| call.returned.is_some() || !M::observes_only(call.operation.0);
    let asked: Vec<Asked<'_, M>> = calls.iter().filter(tells).map(|call| call.operation).collect();
    let (value, operations) = initial.all_as_register(partition, &asked)?;
    let calls: Vec<RegisterCall> = (calls.iter().filter(tells).zip(operations))
        .map(|(&Call { client, called, returned, .. }, operation)| Call {
            client,
            operation,
            called,
            returned,
        })
        .collect();
    check(value, &calls)
}

/// True if the register's history is linearizable; `None` if that is beyond zones.
pub(super) fn check(initial: u64, calls: &[RegisterCall]) -> Option<bool> {
    let groups = Groups::new(initial, calls);
    if !groups.are_unique() {
        return None;
    }
    let Some(chains) = groups.chains() else {
        return Some(false);
    };
    if are_in_conflict(&chains) {
        return Some(false);
    }
    if groups.mismatches.is_empty() {
        return Some(true);
    }
    if groups.mismatches.iter().any(|mismatch| groups.is_impossible(mismatch)) {
        return Some(false);
    }
    groups.can_place_mismatches(chains).then_some(true)
}

/// A time, with room for before all calls and after all returns.
type Time = i128;
const BEFORE_ALL: Time = -1;
const AFTER_ALL: Time = Time::MAX;

/// One operation that has an effect, or had one if it must have.
#[derive(Clone, Copy)]
struct Effect {
    called: Time,
    returned: Time,
    /// The group it ends, if any.
    from: Option<u32>,
    /// The group it starts.
    to: u32,
}

/// An operation that found another value than that of a group.
struct Mismatch {
    called: Time,
    returned: Time,
    not: u32,
}

/// What is known of one value.
#[derive(Clone, Copy)]
struct Group {
    /// How many operations may have put the value there, and one of them.
    producers: u32,
    producer: u32,
    /// True if somebody must have seen the value.
    is_seen: bool,
    /// True if it matters how often the value is written.
    must_be_unique: bool,
    first_read_returned: Time,
    last_read_called: Time,
    /// The swap that must have replaced the value.
    swap: Option<u32>,
    /// True if several did.
    is_swapped_twice: bool,
}

/// The operations of a register, grouped by values.
struct Groups {
    /// The first stands for the initial value.
    effects: Vec<Effect>,
    groups: Vec<Group>,
    mismatches: Vec<Mismatch>,
}

/// Groups that follow each other without anything in between, from a write on.
struct Chain {
    /// The write, in [`Groups::effects`].
    start: u32,
    first_returned: Time,
    last_called: Time,
}

impl Chain {
    /// True if the register has to hold the chain's values for some time.
    fn is_forward(&self) -> bool {
        self.first_returned < self.last_called
    }
}

impl Groups {
    fn new(initial: u64, calls: &[RegisterCall]) -> Self {
        let mut numbers = FxHashMap::default();
        let mut groups = Self { effects: Vec::new(), groups: Vec::new(), mismatches: Vec::new() };
        let initial = groups.number(&mut numbers, initial);
        groups.add_effect(BEFORE_ALL, BEFORE_ALL, None, initial);
        for call in calls {
            groups.add(call, &mut numbers);
        }
        groups.find_what_must_have_happened();
        groups
    }

    /// The number of a value's group.
    fn number(&mut self, numbers: &mut FxHashMap<u64, u32>, value: u64) -> u32 {
        match numbers.entry(value) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                self.groups.push(Group {
                    producers: 0,
                    producer: 0,
                    is_seen: false,
                    must_be_unique: false,
                    first_read_returned: AFTER_ALL,
                    last_read_called: BEFORE_ALL,
                    swap: None,
                    is_swapped_twice: false,
                });
                *new.insert(self.groups.len() as u32 - 1)
            }
        }
    }

    fn add(&mut self, call: &RegisterCall, numbers: &mut FxHashMap<u64, u32>) {
        let called = Time::from(call.called);
        let returned = call.returned.map_or(AFTER_ALL, |(returned, ())| Time::from(returned));
        let is_known = call.returned.is_some();
        match call.operation {
            RegisterOperation::Write(value) => {
                let to = self.number(numbers, value);
                self.add_effect(called, returned, None, to);
            }
            RegisterOperation::Swap { from, to } if from != to => {
                let (from, to) = (self.number(numbers, from), self.number(numbers, to));
                self.add_effect(called, returned, Some(from), to);
            }
            // Nobody can tell whether one of unknown outcome took effect.
            _ if !is_known => {}
            RegisterOperation::Read(value) | RegisterOperation::Swap { from: value, .. } => {
                let number = self.number(numbers, value);
                let group = &mut self.groups[number as usize];
                group.is_seen = true;
                group.first_read_returned = group.first_read_returned.min(returned);
                group.last_read_called = group.last_read_called.max(called);
            }
            RegisterOperation::Mismatch(value) => {
                let not = self.number(numbers, value);
                self.groups[not as usize].must_be_unique = true;
                self.mismatches.push(Mismatch { called, returned, not });
            }
        }
    }

    fn add_effect(&mut self, called: Time, returned: Time, from: Option<u32>, to: u32) {
        let group = &mut self.groups[to as usize];
        group.producers += 1;
        group.producer = self.effects.len() as u32;
        self.effects.push(Effect { called, returned, from, to });
        if returned != AFTER_ALL
            && let Some(from) = from
        {
            self.must_have_swapped(from, self.effects.len() as u32 - 1);
        }
    }

    fn must_have_swapped(&mut self, from: u32, swap: u32) {
        let group = &mut self.groups[from as usize];
        group.is_seen = true;
        group.is_swapped_twice |= group.swap.is_some();
        group.swap = Some(swap);
    }

    /// A swap of unknown outcome took effect if somebody saw its value, and then saw one itself.
    fn find_what_must_have_happened(&mut self) {
        let mut seen: Vec<u32> =
            (0..self.groups.len() as u32).filter(|&group| self.groups[group as usize].is_seen).collect();
        while let Some(group) = seen.pop() {
            let Group { producers, producer, .. } = self.groups[group as usize];
            if producers != 1 {
                continue;
            }
            let effect = self.effects[producer as usize];
            if let (Some(from), AFTER_ALL) = (effect.from, effect.returned) {
                if !self.groups[from as usize].is_seen {
                    seen.push(from);
                }
                self.must_have_swapped(from, producer);
            }
        }
    }

    /// True if every value that matters was written at most once.
    fn are_unique(&self) -> bool {
        self.groups.iter().all(|group| group.producers <= 1 || !(group.is_seen || group.must_be_unique))
    }

    /// All chains, unless one contradicts itself.
    fn chains(&self) -> Option<Vec<Chain>> {
        if self.groups.iter().any(|group| group.is_seen && (group.producers == 0 || group.is_swapped_twice)) {
            return None;
        }
        let mut chains = Vec::new();
        let mut swaps = self.groups.iter().filter(|group| group.swap.is_some()).count();
        for (start, effect) in self.effects.iter().enumerate() {
            let took_effect = effect.returned != AFTER_ALL || self.groups[effect.to as usize].is_seen;
            if effect.from.is_none() && took_effect {
                chains.push(self.chain(start as u32, &mut swaps)?);
            }
        }
        // Those left over follow each other in a circle.
        (swaps == 0).then_some(chains)
    }

    /// The chain that a write starts, unless it contradicts itself. Takes its swaps off `swaps`.
    fn chain(&self, start: u32, swaps: &mut usize) -> Option<Chain> {
        let mut chain = Chain { start, first_returned: AFTER_ALL, last_called: BEFORE_ALL };
        for effect in self.effects_from(start) {
            let Effect { called, returned, from, to } = self.effects[effect as usize];
            *swaps -= usize::from(from.is_some());
            chain.add(called, returned)?;
            let group = &self.groups[to as usize];
            if group.is_seen {
                chain.add(group.last_read_called, group.first_read_returned)?;
            }
        }
        Some(chain)
    }

    /// The operations with an effect that follow each other in a chain.
    fn effects_from(&self, start: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(Some(start), |&effect| {
            let group = &self.groups[self.effects[effect as usize].to as usize];
            if group.is_seen { group.swap } else { None }
        })
    }

    /// True if the register held the very value throughout.
    fn is_impossible(&self, mismatch: &Mismatch) -> bool {
        let group = &self.groups[mismatch.not as usize];
        if !group.is_seen {
            return false;
        }
        let producer = &self.effects[group.producer as usize];
        let swap_called = group.swap.map_or(BEFORE_ALL, |swap| self.effects[swap as usize].called);
        producer.returned.min(group.first_read_returned) < mismatch.called
            && mismatch.returned < group.last_read_called.max(swap_called)
    }

    /// True if one order of the chains has room for all mismatches.
    fn can_place_mismatches(&self, chains: Vec<Chain>) -> bool {
        let effects: Vec<u32> =
            in_order(chains).iter().flat_map(|chain| self.effects_from(chain.start)).collect();
        // Between an effect and the next, together with the reads in between, fits what returns no earlier
        // than anything up to the effect was called, and is called no later than anything from the next
        // effect on returns.
        let mut last_called = Vec::with_capacity(effects.len());
        let mut latest = BEFORE_ALL;
        for &effect in &effects {
            latest = latest.max(self.effects[effect as usize].called);
            last_called.push(latest);
            latest = latest.max(self.groups[self.effects[effect as usize].to as usize].last_read_called);
        }
        let mut first_returned = vec![AFTER_ALL; effects.len()];
        let mut earliest = AFTER_ALL;
        for (place, &effect) in effects.iter().enumerate().rev() {
            first_returned[place] = earliest;
            let group = &self.groups[self.effects[effect as usize].to as usize];
            earliest = earliest.min(group.first_read_returned).min(self.effects[effect as usize].returned);
        }
        // Each goes to the first place that fits and is not before that of another that had returned.
        let mut by_call: Vec<&Mismatch> = self.mismatches.iter().collect();
        by_call.sort_unstable_by_key(|mismatch| mismatch.called);
        let mut placed: BinaryHeap<Reverse<(Time, usize)>> = BinaryHeap::new();
        let mut earliest = 0;
        by_call.into_iter().all(|mismatch| {
            while let Some(&Reverse((returned, place))) = placed.peek()
                && returned < mismatch.called
            {
                earliest = earliest.max(place);
                placed.pop();
            }
            let first = first_returned.partition_point(|&returned| returned < mismatch.called);
            let behind_last = last_called.partition_point(|&called| called <= mismatch.returned);
            // A value that matters is there only once.
            let is_other = |&place: &usize| self.effects[effects[place] as usize].to != mismatch.not;
            let place = (first.max(earliest)..behind_last).take(2).find(is_other);
            placed.extend(place.map(|place| Reverse((mismatch.returned, place))));
            place.is_some()
        })
    }
}

impl Chain {
    /// Adds operations that follow all others, given the last call and the first return among them; `None`
    /// if one of them returned before one of the others was called.
    fn add(&mut self, last_called: Time, first_returned: Time) -> Option<()> {
        if first_returned < self.last_called {
            return None;
        }
        self.first_returned = self.first_returned.min(first_returned);
        self.last_called = self.last_called.max(last_called);
        Some(())
    }
}

/// True if two chains must each come before the other.
fn are_in_conflict(chains: &[Chain]) -> bool {
    let mut forward: Vec<(Time, Time)> = (chains.iter().filter(|chain| chain.is_forward()))
        .map(|chain| (chain.first_returned, chain.last_called))
        .collect();
    forward.sort_unstable();
    let overlap = forward.windows(2).any(|pair| pair[1].0 < pair[0].1);
    overlap
        || chains.iter().filter(|chain| !chain.is_forward()).any(|chain| {
            last_before(&forward, chain.last_called).is_some_and(|(_, end)| chain.first_returned < end)
        })
}

/// The last of some zones, given in order, that begins before a moment.
fn last_before(zones: &[(Time, Time)], moment: Time) -> Option<(Time, Time)> {
    let behind = zones.partition_point(|&(begin, _)| begin < moment);
    behind.checked_sub(1).map(|last| zones[last])
}

/// Chains that are not in conflict, in an order that respects real time: backward zones as early as possible.
fn in_order(mut chains: Vec<Chain>) -> Vec<Chain> {
    let mut forward: Vec<(Time, Time)> = (chains.iter().filter(|chain| chain.is_forward()))
        .map(|chain| (chain.first_returned, chain.last_called))
        .collect();
    forward.sort_unstable();
    chains.sort_by_key(|chain| {
        if chain.is_forward() {
            return (chain.first_returned, true);
        }
        let moment = chain.last_called;
        (last_before(&forward, moment).map_or(moment, |(_, end)| moment.max(end)), false)
    });
    chains
}
