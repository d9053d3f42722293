//! Stacks.
//!
//! In a sequential history of a stack, what happens between the push of a value and its pop concerns values
//! above it, or looks at the value itself; so histories are nested blocks, one behind another. That is undone
//! from the outside:
//!
//! 1. What can be separated is separated: each part is judged by itself.
//! 2. In a part that cannot, one value must be at the bottom all the time. Its push can come before all other
//!    operations, and its pop after them. Any value of which that is true may be taken for it: what is
//!    linearizable with it is linearizable without it, and whatever order explains the rest still does so
//!    between its push and its pop.
//! 3. Without that value, an operation that looks at it is one that finds the stack above it empty: something
//!    that must stand alone when the rest is separated. A value of which that is not true is not at the
//!    bottom.
//!
//! Each value at the bottom costs a sweep over what is above it.

use super::{Core, Distinct, Outcome, Span, Step, components};

/// What has to be put in order: a value with all its operations, or an operation that sees the bottom.
#[derive(Clone, Copy, Debug)]
enum Group {
    Item(usize),
    /// With the value that it looks at, or none.
    Bottom(Step, Option<usize>),
}

enum Task {
    Arrange(Vec<(Group, Span)>),
    Write(Step),
}

/// Looks for an order, from the outside to the inside.
pub(super) fn linearize(distinct: &Distinct, interrupted: &dyn Fn() -> bool) -> Outcome {
    let mut groups: Vec<(Group, Span)> =
        (0..distinct.items.len()).map(|item| (Group::Item(item), distinct.items[item].span())).collect();
    groups.extend(distinct.empties.iter().map(|step| (Group::Bottom(*step, None), step.span())));
    let mut order = Vec::new();
    let mut tasks = vec![Task::Arrange(groups)];
    while let Some(task) = tasks.pop() {
        match task {
            Task::Write(step) => order.extend(step.index),
            Task::Arrange(_) if interrupted() => return Outcome::Undecided,
            Task::Arrange(groups) => {
                // They are taken from the back.
                for part in components(groups).into_iter().rev() {
                    if let Err(core) = arrange(distinct, part, &mut tasks) {
                        return Outcome::Stuck(core);
                    }
                }
            }
        }
    }
    Outcome::Order(order)
}

/// Arranges a part that cannot be separated.
fn arrange(distinct: &Distinct, part: Vec<(Group, Span)>, tasks: &mut Vec<Task>) -> Result<(), Core> {
    if let [(Group::Bottom(step, _), _)] = part[..] {
        tasks.push(Task::Write(step));
        return Ok(());
    }
    if part.iter().any(|(group, _)| matches!(group, Group::Bottom(..))) {
        return Err(core(&part));
    }
    let Some((item, above)) = bottom(distinct, &part) else {
        return Err(core(&part));
    };
    tasks.push(Task::Write(distinct.items[item].remove));
    tasks.push(Task::Arrange(above));
    tasks.push(Task::Write(distinct.items[item].insert));
    Ok(())
}

/// A value that can be at the bottom of all others, and what is above it then. Where it is looked at, what
/// is above it must leave it free at that moment; so one that is not is the better choice.
fn bottom(distinct: &Distinct, part: &[(Group, Span)]) -> Option<(usize, Vec<(Group, Span)>)> {
    let first = part.iter().map(|(_, span)| span.first).min()?;
    let last = part.iter().map(|(_, span)| span.last).max()?;
    let items = part.iter().enumerate().filter_map(|(place, (group, _))| match group {
        Group::Item(item) => Some((place, *item)),
        Group::Bottom(..) => None,
    });
    let mut fitting = items.filter(|&(_, item)| {
        let item = &distinct.items[item];
        item.insert.called <= first && item.remove.returned >= last
    });
    let is_unseen = |&(_, item): &(usize, usize)| distinct.items[item].peeks.is_empty();
    if let Some((place, item)) = fitting.clone().find(is_unseen) {
        let mut above = part.to_vec();
        above.swap_remove(place);
        return Some((item, above));
    }
    fitting.find_map(|(place, item)| {
        let mut above = part.to_vec();
        above.swap_remove(place);
        let peeks = distinct.items[item].peeks.iter();
        above.extend(peeks.map(|step| (Group::Bottom(*step, Some(item)), step.span())));
        let is_free = |part: &Vec<(Group, Span)>| {
            part.len() == 1 || part.iter().all(|(group, _)| matches!(group, Group::Item(_)))
        };
        components(above.clone()).iter().all(is_free).then_some((item, above))
    })
}

fn core(part: &[(Group, Span)]) -> Core {
    let mut core = Core::default();
    for (group, _) in part {
        match group {
            Group::Item(item) | Group::Bottom(_, Some(item)) => core.items.push(*item),
            Group::Bottom(_, None) => core.with_empties = true,
        }
    }
    core.items.sort_unstable();
    core.items.dedup();
    core
}
