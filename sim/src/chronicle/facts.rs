//! Where in a chronicle the facts are that contradict each other.

use vr::{ReplicaId, Role};

use super::{Cause, Chronicle, Effect, ReplicaState, Step};
use crate::check::{Fact, Violation};
use crate::node::Node;
use crate::packet::Kind;

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
        let is_of_group = |node: &Node| is_of_group(chronicle, violation, *node);
        let place = |index: &usize| holder(chronicle, *index, fact, is_of_group);
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

/// Op-numbers and views are those of one group.
fn is_of_group(chronicle: &Chronicle, violation: &Violation, node: Node) -> bool {
    let placement = &chronicle.placement;
    violation.group.is_none_or(|group| match node {
        Node::Replica(replica) => placement.group_of(replica) == group,
        Node::Client(slot) => placement.group_of_client(slot) == group,
    })
}

/// Whose fact it is, if it is one of this step.
fn holder(
    chronicle: &Chronicle,
    index: usize,
    fact: &Fact,
    is_of_group: impl Fn(&Node) -> bool,
) -> Option<Node> {
    let step = &chronicle.steps[index];
    match *fact {
        Fact::Entered { node, view } => becomes(chronicle, index, node, |state| state.view == view),
        Fact::Normal { node, view } => becomes(chronicle, index, node, |state| {
            state.view == view && matches!(state.role, Role::Primary | Role::Backup)
        }),
        Fact::Voted { node, view } => sends(chronicle, step, node, Kind::DoViewChange, |_, of| of == view),
        Fact::Acknowledged { node, op_number } => {
            sends(chronicle, step, node, Kind::PrepareOk, |number, _| number == op_number)
        }
        Fact::Called { call } => step.effects.iter().find_map(|effect| match effect {
            Effect::Requests { client, call: made, .. } | Effect::Answered { client, call: made, .. }
                if *made == call =>
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
        | Fact::Answered { .. } => {
            step.effects.iter().filter_map(|effect| told(effect, fact)).find(is_of_group)
        }
    }
}

/// Whose fact it is, if an effect tells of it.
fn told(effect: &Effect, fact: &Fact) -> Option<Node> {
    let is = |replica: &ReplicaId, node: &Node| Node::Replica(*replica) == *node;
    match (effect, fact) {
        (Effect::Executed { replica, op_number, .. }, Fact::Committed { op_number: of })
            if op_number == of =>
        {
            Some(Node::Replica(*replica))
        }
        (Effect::Executed { replica, op_number, .. }, Fact::Executed { node, op_number: of })
        | (Effect::Appended { replica, op_number, .. }, Fact::Appended { node, op_number: of })
            if is(replica, node) && op_number == of =>
        {
            Some(*node)
        }
        (Effect::Truncated { replica, .. }, Fact::Cut { node }) if is(replica, node) => Some(*node),
        (Effect::ViewStarts { replica, view, .. }, Fact::Started { view: of }) if view == of => {
            Some(Node::Replica(*replica))
        }
        (Effect::Answered { client, op_number, .. }, Fact::Answered { op_number: of }) if op_number == of => {
            Some(*client)
        }
        _ => None,
    }
}

/// The node, if it is so after this step and was not before.
fn becomes(
    chronicle: &Chronicle,
    index: usize,
    node: Node,
    is_so: impl Fn(&ReplicaState) -> bool,
) -> Option<Node> {
    let Node::Replica(replica) = node else { return None };
    let state =
        |step: &Step| step.after.iter().find(|(other, _)| *other == replica).map(|(_, state)| state.clone());
    let holds = |state: Option<Option<ReplicaState>>| state.flatten().is_some_and(|state| is_so(&state));
    if !holds(state(&chronicle.steps[index])) {
        return None;
    }
    let before = chronicle.steps[..index].iter().rev().find_map(&state);
    (!holds(before)).then_some(node)
}

fn sends(
    chronicle: &Chronicle,
    step: &Step,
    node: Node,
    kind: Kind,
    is_it: impl Fn(u64, u64) -> bool,
) -> Option<Node> {
    let sent = &chronicle.messages[step.sent.start as usize..step.sent.end as usize];
    let is_sent = sent.iter().any(|message| {
        let identity = message.identity;
        identity.from == node && identity.kind == kind && is_it(identity.number, identity.sender_view().0)
    });
    (is_sent && step.cause != Cause::Beginning).then_some(node)
}
