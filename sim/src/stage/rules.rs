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
    /// From somebody in this view.
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
