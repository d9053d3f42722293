//! How a story wants messages to be treated.

use crate::node::Node;
use crate::packet::{Identity, Kind};

/// What becomes of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// They travel plainly.
    Pass,
    /// They are lost.
    Drop,
    /// They are kept.
    Hold,
    /// They travel plainly, and a copy is kept.
    Copy,
}

/// Some of all messages. What is `None` is left open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// Of one of these kinds.
    pub kinds: Option<Vec<Kind>>,
    /// From one of these.
    pub from: Option<Vec<Node>>,
    /// To one of these.
    pub to: Option<Vec<Node>>,
    /// From somebody in this view; of requests, of this session.
    pub view: Option<u64>,
}

impl Which {
    /// Whether this message is one of them.
    #[must_use]
    pub fn covers(&self, message: &Identity) -> bool {
        fn allows<T: PartialEq>(some: Option<&Vec<T>>, one: T) -> bool {
            some.is_none_or(|some| some.contains(&one))
        }
        allows(self.kinds.as_ref(), message.kind)
            && allows(self.from.as_ref(), message.from)
            && allows(self.to.as_ref(), message.to)
            && self.view.is_none_or(|view| view == message.view)
    }
}

/// Some messages, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What becomes of them.
    pub treatment: Treatment,
    /// Which ones.
    pub which: Which,
}

/// All rules that have been told, in order.
#[derive(Clone, Debug, Default)]
pub struct Rules(Vec<Rule>);

impl Rules {
    /// From here on this holds, whatever was said before.
    pub fn add(&mut self, rule: Rule) {
        self.0.push(rule);
    }

    /// From here on all messages travel plainly.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// What becomes of this message: the last rule about it decides.
    #[must_use]
    pub fn treatment(&self, message: &Identity) -> Treatment {
        let rule = self.0.iter().rev().find(|rule| rule.which.covers(message));
        rule.map_or(Treatment::Pass, |rule| rule.treatment)
    }
}

#[cfg(test)]
mod tests {
    use vr::ReplicaId;

    use super::*;

    #[test]
    fn the_last_rule_about_a_message_decides() {
        let [r0, r1] = [0, 1].map(|id| Node::Replica(ReplicaId(id)));
        let commit = Identity { from: r0, to: r1, kind: Kind::Commit, view: 3, number: 7, repeat: 0 };
        let prepare = Identity { kind: Kind::Prepare, ..commit };
        let mut rules = Rules::default();
        let treatments = |rules: &Rules| [rules.treatment(&commit), rules.treatment(&prepare)];
        assert_eq!(treatments(&rules), [Treatment::Pass; 2]);
        rules.add(Rule { treatment: Treatment::Drop, which: Which::default() });
        assert_eq!(treatments(&rules), [Treatment::Drop; 2]);
        let commits = Which { kinds: Some(vec![Kind::Commit]), ..Which::default() };
        rules.add(Rule { treatment: Treatment::Hold, which: commits });
        assert_eq!(treatments(&rules), [Treatment::Hold, Treatment::Drop]);
        for other in [
            Which { from: Some(vec![r1]), ..Which::default() },
            Which { to: Some(vec![r0]), ..Which::default() },
            Which { view: Some(2), ..Which::default() },
        ] {
            rules.add(Rule { treatment: Treatment::Copy, which: other });
        }
        assert_eq!(treatments(&rules), [Treatment::Hold, Treatment::Drop]);
        rules.clear();
        assert_eq!(treatments(&rules), [Treatment::Pass; 2]);
    }
}
