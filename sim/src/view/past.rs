//! The causal past: what a step could know of. A step knows what its nodes did before it (program order),
//! and what the senders of the messages that arrive did before they sent them.

use crate::chronicle::{Cause, Chronicle, Effect, Step};
use crate::faults::Action;
use crate::node::Node;
use vr::ReplicaId;

/// The nodes that act in a step or are acted upon; who acts comes first.
#[must_use]
pub fn nodes(chronicle: &Chronicle, step: &Step) -> Vec<Node> {
    let acting = step.node(&chronicle.messages);
    let seen = step.after.iter().map(|(replica, _)| Node::Replica(*replica));
    let struck = step.effects.iter().filter_map(struck);
    let mut nodes: Vec<Node> = Vec::new();
    for node in acting.into_iter().chain(seen).chain(struck) {
        if !nodes.contains(&node) {
            nodes.push(node);
        }
    }
    nodes
}

/// The node that a fault strikes, or that an effect is about.
fn struck(effect: &Effect) -> Option<Node> {
    match effect {
        Effect::Fault(Action::Crash { replica, .. }) => Some(Node::Replica(ReplicaId(*replica))),
        Effect::Fault(
            Action::Pause { node, .. } | Action::FireEarly { node } | Action::FireLate { node, .. },
        ) => Some(*node),
        Effect::Fault(Action::CrashClient { slot }) => Some(Node::Client(*slot)),
        Effect::StartsOver { client } | Effect::Registers { client } => Some(*client),
        _ => None,
    }
}

/// Which steps are in the causal past of `targets` (indices of steps), the targets included. One pass,
/// from the last step to the first.
#[must_use]
pub fn of(chronicle: &Chronicle, targets: &[usize], replicas: usize) -> Vec<bool> {
    let mut is_past = vec![false; chronicle.steps.len()];
    let mut is_wanted = vec![false; chronicle.messages.len()];
    // Nodes whose earlier steps are all in the past.
    let mut is_followed: Vec<bool> = Vec::new();
    for (index, step) in chronicle.steps.iter().enumerate().rev() {
        let rows: Vec<usize> = nodes(chronicle, step).iter().map(|node| node.index(replicas)).collect();
        is_followed.resize(is_followed.len().max(rows.iter().max().map_or(0, |row| row + 1)), false);
        let is_in = targets.contains(&index)
            || rows.iter().any(|&row| is_followed[row])
            || step.sent.clone().any(|message| is_wanted[message as usize]);
        // The beginning is a fact of every replica, but nothing that anybody did.
        if !is_in || (step.cause == Cause::Beginning && !targets.contains(&index)) {
            continue;
        }
        is_past[index] = true;
        rows.iter().for_each(|&row| is_followed[row] = true);
        if let Cause::Arrival(message) | Cause::ArrivalAtNobody(message, _) = step.cause {
            is_wanted[message as usize] = true;
        }
    }
    is_past
}
