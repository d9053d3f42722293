//! What an event can have been caused by: what its node did before, and what reached that node by messages.

use super::{Cause, Chronicle, Effect, Step};
use crate::faults::Action;
use crate::node::Node;

impl Step {
    /// The nodes to whose past this step belongs: who acts, and on whom a fault acts.
    #[must_use]
    pub fn touches(&self, chronicle: &Chronicle) -> Vec<Node> {
        let mut nodes: Vec<Node> = self.node(&chronicle.messages).into_iter().collect();
        nodes.extend(self.after.iter().map(|(who, _)| Node::Replica(who.replica)));
        nodes.extend(self.effects.iter().flat_map(struck));
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// Whether this step puts an end to what was done until somebody should end it.
    #[must_use]
    pub fn ends(&self, begun: &Action) -> bool {
        let is_end = |effect: &Effect| match (begun, effect) {
            (Action::Sever { links }, Effect::Fault(Action::Mend { links: mended })) => {
                links.iter().all(|link| mended.contains(link))
            }
            (Action::Halt { node }, Effect::Fault(Action::Resume { node: resumed })) => node == resumed,
            _ => false,
        };
        self.effects.iter().any(is_end)
    }
}

/// The nodes that a fault acts on by itself. (A cut acts on messages, and each is marked with its loss.)
fn struck(effect: &Effect) -> Option<Node> {
    let Effect::Fault(action) = effect else { return None };
    match action {
        Action::Crash { replica, .. }
        | Action::Kill { replica }
        | Action::Restart { replica }
        | Action::WarmUp { replica } => Some(Node::Replica(vr::ReplicaId(*replica))),
        Action::Pause { node, .. }
        | Action::FireEarly { node }
        | Action::SetRate { node, .. }
        | Action::FireLate { node, .. }
        | Action::Halt { node }
        | Action::Resume { node } => Some(*node),
        Action::CrashClient { slot } => Some(Node::Client(*slot)),
        Action::Cut { .. }
        | Action::Clog { .. }
        | Action::Sever { .. }
        | Action::Mend { .. }
        | Action::Reconfigure { .. }
        | Action::Ask(_) => None,
    }
}

impl Chronicle {
    /// The steps, by their places in the list, that can have had a part in what is true of `nodes` after
    /// the step at `last`: for each step up to there whether it can.
    #[must_use]
    pub fn causal_past(&self, last: usize, nodes: &[Node]) -> Vec<bool> {
        let mut is_past = vec![false; self.steps.len().min(last + 1)];
        // The nodes whose every earlier step counts. A message makes its sender one from its sending on.
        let mut followed: Vec<Node> = nodes.to_vec();
        let mut wanted = vec![false; self.messages.len()];
        for index in (0..is_past.len()).rev() {
            let step = &self.steps[index];
            let touched = step.touches(self);
            let sends_wanted = step.sent.clone().any(|message| wanted[message as usize]);
            if !sends_wanted && !touched.iter().any(|node| followed.contains(node)) {
                continue;
            }
            is_past[index] = true;
            if sends_wanted {
                followed.extend(touched.iter().filter(|node| !followed.contains(node)).collect::<Vec<_>>());
            }
            if let Cause::Arrival(message) = step.cause {
                wanted[message as usize] = true;
            }
        }
        is_past
    }
}
