//! Where in a chronicle the facts are that contradict each other.

use vr::Role;

use super::{Cause, Chronicle, Did, Effect, ReplicaState, Sent, Step, Who};
use crate::check::{Fact, Violation};
use crate::node::Node;
use crate::packet::{Identity, Kind};

/// A fact with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The step's index in the chronicle.
    pub index: usize,
    /// Whose fact it is, if it is anybody's.
    pub node: Option<Node>,
    /// What happened, in a few words.
    pub text: String,
}

/// The facts of a violation with their places, in the order of their steps. A violation that names none
/// has its own step.
#[must_use]
pub fn of(chronicle: &Chronicle, violation: &Violation) -> Vec<Found> {
    let end = chronicle.steps.partition_point(|step| step.step <= violation.step);
    let mut found: Vec<Found> = Vec::new();
    for (position, fact) in violation.facts.iter().enumerate() {
        // The same fact twice: once the first time, once the last.
        let first = matches!(fact, Fact::Committed { .. }) || violation.facts[position + 1..].contains(fact);
        let place = |index: &usize| holder(chronicle, *index, fact, violation.group.unwrap_or_default());
        let index = if first {
            (0..end).find(|index| place(index).is_some())
        } else {
            (0..end).rev().find(|index| place(index).is_some())
        };
        found.extend(index.map(|index| Found { index, node: place(&index), text: fact.to_string() }));
    }
    if found.is_empty() && end > 0 {
        let node = chronicle.steps[end - 1].node(&chronicle.messages);
        found.push(Found { index: end - 1, node, text: violation.kind.clone() });
    }
    found.sort_by_key(|found| found.index);
    found.dedup_by_key(|found| (found.index, found.node));
    found
}

/// Whose fact it is, if it is one of this step.
fn holder(chronicle: &Chronicle, index: usize, fact: &Fact, group: usize) -> Option<Node> {
    let step = &chronicle.steps[index];
    match *fact {
        Fact::Entered { node, view } => becomes(chronicle, index, node, group, |state| state.view == view),
        Fact::Normal { node, view } => becomes(chronicle, index, node, group, |state| {
            state.view == view && matches!(state.role, Role::Primary | Role::Backup)
        }),
        Fact::Voted { node, view } => sends(chronicle, step, node, group, |it| {
            it.kind == Kind::DoViewChange && it.sender_view().0 == view
        }),
        Fact::Acknowledged { node, op_number } => {
            sends(chronicle, step, node, group, |it| it.kind == Kind::PrepareOk && it.number == op_number)
        }
        Fact::Called { call } => step.effects.iter().find_map(|effect| match effect {
            Effect::Requests { client, call: made, .. } | Effect::Answered { client, call: made, .. }
                if *made == Some(call) =>
            {
                Some(*client)
            }
            _ => None,
        }),
        Fact::Committed { .. }
        | Fact::Executed { .. }
        | Fact::Appended { .. }
        | Fact::Cut { .. }
        | Fact::Started { .. }
        | Fact::Answered { .. } => step
            .effects
            .iter()
            .find_map(|effect| told(effect, fact).filter(|_| is_of(chronicle, effect, group))),
    }
}

/// Whether an effect is one of a group: op-numbers and views are those of one.
fn is_of(chronicle: &Chronicle, effect: &Effect, group: usize) -> bool {
    let of = match effect {
        Effect::Did(who, _) => chronicle.group_of(Node::Replica(who.replica), who.group),
        Effect::Answered { client, group, .. } => chronicle.group_of(*client, *group),
        _ => return false,
    };
    of == group
}

/// Whose fact it is, if an effect tells of it.
fn told(effect: &Effect, fact: &Fact) -> Option<Node> {
    let (node, did) = match effect {
        Effect::Did(who, did) => (Node::Replica(who.replica), did),
        Effect::Answered { client, op_number, .. } => {
            return (*fact == Fact::Answered { op_number: *op_number }).then_some(*client);
        }
        _ => return None,
    };
    let is_it = match (did, *fact) {
        (Did::Executed { op_number, .. }, Fact::Committed { op_number: of }) => *op_number == of,
        (Did::Executed { op_number, .. }, Fact::Executed { node: who, op_number: of })
        | (Did::Appended { op_number, .. }, Fact::Appended { node: who, op_number: of }) => {
            (who, of) == (node, *op_number)
        }
        (Did::Truncated { .. }, Fact::Cut { node: who }) => who == node,
        (Did::ViewStarts { view, .. }, Fact::Started { view: of }) => *view == of,
        _ => false,
    };
    is_it.then_some(node)
}

/// The node, if its replica of the group is so after this step and was not before.
fn becomes(
    chronicle: &Chronicle,
    index: usize,
    node: Node,
    group: usize,
    is_so: impl Fn(&ReplicaState) -> bool,
) -> Option<Node> {
    let Node::Replica(replica) = node else { return None };
    let is_it = |who: &Who| who.replica == replica && chronicle.group_of(node, who.group) == group;
    let (who, after) = chronicle.steps[index].after.iter().find(|(who, _)| is_it(who))?;
    let is_new = || !chronicle.state_before(index, *who).is_some_and(&is_so);
    (after.as_ref().is_some_and(&is_so) && is_new()).then_some(node)
}

fn sends(
    chronicle: &Chronicle,
    step: &Step,
    node: Node,
    group: usize,
    is_it: impl Fn(&Identity) -> bool,
) -> Option<Node> {
    let sent = &chronicle.messages[step.sent.start as usize..step.sent.end as usize];
    let is_sent = sent.iter().any(|Sent { identity, .. }| {
        identity.from == node && chronicle.group_of(node, identity.group()) == group && is_it(identity)
    });
    (is_sent && step.cause != Cause::Beginning).then_some(node)
}
