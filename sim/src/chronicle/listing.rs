//! A chronicle as lines of text, one for each thing that happened.

use std::fmt::Write as _;

use super::{Cause, Chronicle, Effect, Sent, Step};
use crate::faults::Action;
use crate::node::Node;
use crate::packet::Kind;

/// A line: what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The step.
    pub step: u64,
    /// The virtual time, in nanoseconds.
    pub time: u64,
    /// The node that acted, unless it was the environment.
    pub node: Option<Node>,
    /// The kind of message, for an arrival or a loss.
    pub kind: Option<Kind>,
    /// What happened. What followed from it is indented.
    pub text: String,
}

/// All lines of a chronicle.
#[must_use]
pub fn lines(chronicle: &Chronicle) -> Vec<Line> {
    chronicle.steps.iter().flat_map(|step| lines_of(chronicle, step)).collect()
}

fn lines_of(chronicle: &Chronicle, step: &Step) -> Vec<Line> {
    let node = step.node(&chronicle.messages);
    let line = |node, kind, text| Line { step: step.step, time: step.time, node, kind, text };
    let mut lines = Vec::new();
    match step.cause {
        Cause::Arrival(message) => {
            let message = &chronicle.messages[message as usize];
            let text = format!("receives {}", described(message));
            lines.push(line(node, Some(message.identity.kind), text));
        }
        Cause::ArrivalAtNobody(message, why) => {
            let identity = chronicle.messages[message as usize].identity;
            lines.push(line(node, Some(identity.kind), format!("{identity}: {why}")));
        }
        Cause::Timer(_) => lines.push(line(node, None, "timer fires".to_owned())),
        Cause::Restart(_) => lines.push(line(node, None, "starts again".to_owned())),
        Cause::PatienceLost(_) => lines.push(line(node, None, "gives its request up".to_owned())),
        Cause::Beginning | Cause::ClientActs(_) | Cause::Fault | Cause::Mend => {}
    }
    lines.extend(step.effects.iter().filter_map(|effect| {
        let (node, text) = followed(effect)?;
        Some(line(node, None, text))
    }));
    let sent = &chronicle.messages[step.sent.start as usize..step.sent.end as usize];
    lines.extend(sent.iter().filter_map(|message| {
        let why = message.dropped?;
        let text = format!("  dropped ({why:?}): {}", message.identity);
        Some(line(Some(message.identity.from), Some(message.identity.kind), text))
    }));
    lines
}

/// A message with all that it says.
#[must_use]
pub fn described(message: &Sent) -> String {
    let mut text = message.identity.to_string();
    for (index, (name, value)) in message.fields.iter().filter(|(name, _)| *name != "view").enumerate() {
        let _ = write!(text, "{} {name} {value}", if index == 0 { ":" } else { "," });
    }
    text
}

fn followed(effect: &Effect) -> Option<(Option<Node>, String)> {
    Some(match effect {
        Effect::Fault(action) => (None, format!("fault: {}", action_in_words(action))),
        Effect::Mended(links) => (None, format!("mended: {} links", links.len())),
        Effect::Healed(core) => (None, format!("the faults stop; the core is {core:?}")),
        Effect::StaysCut(links) => (None, format!("but {} links stay cut", links.len())),
        Effect::RoleChanged { replica, role, view } => {
            (Some(Node::Replica(*replica)), format!("  is now {role:?} of view {view}"))
        }
        Effect::Registers { client } => (Some(*client), "registers".to_owned()),
        Effect::Requests { client, operation, .. } => (Some(*client), format!("requests {operation}")),
        Effect::Answered { client, response, .. } => (Some(*client), format!("  is answered {response}")),
        Effect::StartsOver { client } => (Some(*client), "starts over as a new client".to_owned()),
        Effect::Appended { .. }
        | Effect::Truncated { .. }
        | Effect::Executed { .. }
        | Effect::ViewStarts { .. }
        | Effect::Ignored { .. }
        | Effect::Took { .. } => return None,
    })
}

/// What was done to the system, in words.
#[must_use]
pub fn action_in_words(action: &Action) -> String {
    let millis = |nanos: &u64| format!("{}.{:03} ms", nanos / 1_000_000, nanos / 1_000 % 1_000);
    match action {
        Action::Cut { shape, links, lasts } => {
            format!("a partition ({}) for {}: {}", kebab(shape), millis(lasts), links_in_words(links))
        }
        Action::Clog { links, lasts } => {
            format!("messages are kept back for {}: {}", millis(lasts), links_in_words(links))
        }
        Action::Crash { replica, target, restart_after } => {
            format!("r{replica} crashes ({}), to start again after {}", kebab(target), millis(restart_after))
        }
        Action::Pause { node, lasts } => format!("{node} stands still for {}", millis(lasts)),
        Action::FireEarly { node } => format!("{node}'s clock jumps ahead to its next timer"),
        Action::FireLate { node, lasts } => format!("{node}'s timers are late by {}", millis(lasts)),
        Action::CrashClient { slot } => format!("c{slot} crashes"),
    }
}

/// The name that scenario files use.
fn kebab(name: &impl serde::Serialize) -> String {
    serde_json::to_string(name).expect("a name can be written").trim_matches('"').to_owned()
}

/// Who does not hear whom: `r0 and (r1, r2)` both ways, `r0 → r1` one way.
fn links_in_words(links: &[(Node, Node)]) -> String {
    let is_cut = |from: Node, to: Node| links.contains(&(from, to));
    let mut parts: Vec<String> = Vec::new();
    let mut nodes: Vec<Node> = links.iter().flat_map(|&(from, to)| [from, to]).collect();
    nodes.sort_unstable();
    nodes.dedup();
    // Those who are cut off from the most come first, so that few words say much.
    let both_ways =
        |node: Node| nodes.iter().filter(move |&&to| is_cut(node, to) && is_cut(to, node)).copied();
    let mut order = nodes.clone();
    order.sort_by_key(|&node| (std::cmp::Reverse(both_ways(node).count()), node));
    let mut told: Vec<Node> = Vec::new();
    for node in order {
        let others: Vec<Node> = both_ways(node).filter(|other| !told.contains(other)).collect();
        if !others.is_empty() {
            parts.push(format!("{node} and {}", names(&others)));
        }
        told.push(node);
    }
    for &from in &nodes {
        let deaf: Vec<Node> =
            nodes.iter().copied().filter(|&to| is_cut(from, to) && !is_cut(to, from)).collect();
        if !deaf.is_empty() {
            parts.push(format!("{from} → {}", names(&deaf)));
        }
    }
    parts.join("; ")
}

fn names(nodes: &[Node]) -> String {
    let names: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    if let [one] = names.as_slice() { one.clone() } else { format!("({})", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use vr::ReplicaId;

    use super::*;

    #[test]
    fn cuts_are_told_by_whom_they_part() {
        let link = |from, to| (Node::Replica(ReplicaId(from)), Node::Replica(ReplicaId(to)));
        let both = |one, other| [link(one, other), link(other, one)];
        assert_eq!(links_in_words(&[both(0, 1), both(0, 2)].concat()), "r0 and (r1, r2)");
        assert_eq!(links_in_words(&[link(0, 1), link(0, 2)]), "r0 → (r1, r2)");
        assert_eq!(
            links_in_words(&[both(0, 1), both(0, 2), both(1, 2)].concat()),
            "r0 and (r1, r2); r1 and r2"
        );
        assert_eq!(links_in_words(&[both(0, 1).as_slice(), &[link(2, 0)]].concat()), "r0 and r1; r2 → r0");
    }
}
