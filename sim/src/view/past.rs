//! The causal past: what a step could know of. A step knows what its nodes did before it (program order),
//! and what the senders of the messages that arrive did before they sent them.

use crate::chronicle::{Cause, Chronicle, Step};
use crate::node::Node;

/// The nodes that act in a step or are acted upon; who acts comes first.
#[must_use]
pub fn nodes(chronicle: &Chronicle, step: &Step) -> Vec<Node> {
    let mut nodes: Vec<Node> = step.node(&chronicle.messages).into_iter().collect();
    nodes
        .extend(step.touches(chronicle).iter().filter(|&node| Some(*node) != step.node(&chronicle.messages)));
    nodes
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
        // The beginning is a fact of every replica, but nothing that anybody did; what reaches nobody leads
        // to nothing.
        let is_nothing = matches!(step.cause, Cause::Beginning | Cause::ArrivalAtNobody(..));
        let is_reached = rows.iter().any(|&row| is_followed[row])
            || step.sent.clone().any(|message| is_wanted[message as usize]);
        if !targets.contains(&index) && (is_nothing || !is_reached) {
            continue;
        }
        is_past[index] = true;
        rows.iter().for_each(|&row| is_followed[row] = true);
        if let Cause::Arrival(message) = step.cause {
            is_wanted[message as usize] = true;
        }
    }
    is_past
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::replay;
    use crate::trace::Trace;

    #[test]
    fn a_past_is_closed_and_no_larger_than_it_must_be() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../traces/published-recovery.trace.jsonl");
        let trace = Trace::read(path.as_ref()).expect("a kept trace");
        let replayed = replay(&trace, true).expect("it runs");
        let chronicle = replayed.chronicle.expect("it was asked for");
        let target = chronicle.steps.len() - 1;
        let is_past = of(&chronicle, &[target], usize::from(trace.head.setup.nodes()));
        // Held against the definition: one step before another, by node or by message, closed by hand.
        let mut expected = vec![false; chronicle.steps.len()];
        expected[target] = true;
        loop {
            let before = expected.clone();
            for (index, step) in chronicle.steps.iter().enumerate().filter(|(index, _)| before[*index]) {
                for (other, earlier) in chronicle.steps[..index].iter().enumerate() {
                    let is_nothing = matches!(earlier.cause, Cause::Beginning | Cause::ArrivalAtNobody(..));
                    let shares =
                        nodes(&chronicle, step).iter().any(|node| nodes(&chronicle, earlier).contains(node));
                    let is_sent =
                        matches!(step.cause, Cause::Arrival(message) if earlier.sent.contains(&message));
                    expected[other] |= !is_nothing && (shares || is_sent);
                }
            }
            if expected == before {
                break;
            }
        }
        assert_eq!(is_past, expected);
        assert!(is_past.contains(&false), "something had nothing to do with it");
    }
}
