//! The facts that contradict each other in a violation.
//!
//! A fact names something that happened by what it is, so that checks need not remember when it was. A
//! reader who has the chronicle of the run finds the step: see [`crate::chronicle::facts`].

use std::fmt;

use serde::{Deserialize, Serialize};
use vr::{OpNumber, ReplicaId, View};

use crate::node::Node;

/// Something that happened, as far as a violation is about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fact {
    /// An op-number was executed for the first time anywhere.
    Committed {
        /// The op-number.
        op_number: u64,
    },
    /// A replica executed an op-number.
    Executed {
        /// The replica.
        node: Node,
        /// The op-number.
        op_number: u64,
    },
    /// A replica appended an entry.
    Appended {
        /// The replica.
        node: Node,
        /// Its op-number.
        op_number: u64,
    },
    /// A replica dropped the end of its log.
    Cut {
        /// The replica.
        node: Node,
    },
    /// A view was started by its primary.
    Started {
        /// The view.
        view: u64,
    },
    /// A replica came into a view.
    Entered {
        /// The replica.
        node: Node,
        /// The view.
        view: u64,
    },
    /// A replica became normal in a view.
    Normal {
        /// The replica.
        node: Node,
        /// The view.
        view: u64,
    },
    /// A replica voted for a view: it sent a DoViewChange.
    Voted {
        /// The replica.
        node: Node,
        /// The view.
        view: u64,
    },
    /// A replica acknowledged an op-number: it sent a PrepareOk.
    Acknowledged {
        /// The replica.
        node: Node,
        /// The op-number.
        op_number: u64,
    },
    /// A client was answered from an op-number.
    Answered {
        /// The op-number.
        op_number: u64,
    },
    /// A call of the clients' history came to its end, or was made if it has none.
    Called {
        /// Its place in the history.
        call: usize,
    },
}

impl Fact {
    pub(super) const fn committed(op_number: OpNumber) -> Self {
        Self::Committed { op_number: op_number.0 }
    }

    pub(super) const fn executed(replica: ReplicaId, op_number: OpNumber) -> Self {
        Self::Executed { node: Node::Replica(replica), op_number: op_number.0 }
    }

    pub(super) const fn appended(replica: ReplicaId, op_number: OpNumber) -> Self {
        Self::Appended { node: Node::Replica(replica), op_number: op_number.0 }
    }

    pub(super) const fn cut(replica: ReplicaId) -> Self {
        Self::Cut { node: Node::Replica(replica) }
    }

    pub(super) const fn started(view: View) -> Self {
        Self::Started { view: view.0 }
    }

    pub(super) const fn entered(replica: ReplicaId, view: View) -> Self {
        Self::Entered { node: Node::Replica(replica), view: view.0 }
    }

    pub(super) const fn normal(replica: ReplicaId, view: View) -> Self {
        Self::Normal { node: Node::Replica(replica), view: view.0 }
    }

    pub(super) const fn voted(replica: ReplicaId, view: View) -> Self {
        Self::Voted { node: Node::Replica(replica), view: view.0 }
    }

    pub(super) const fn acknowledged(replica: ReplicaId, op_number: OpNumber) -> Self {
        Self::Acknowledged { node: Node::Replica(replica), op_number: op_number.0 }
    }

    pub(super) const fn answered(op_number: OpNumber) -> Self {
        Self::Answered { op_number: op_number.0 }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Committed { op_number } => write!(formatter, "op {op_number} is committed"),
            Self::Executed { node, op_number } => write!(formatter, "{node} executes op {op_number}"),
            Self::Appended { node, op_number } => write!(formatter, "{node} appends op {op_number}"),
            Self::Cut { node } => write!(formatter, "{node} cuts its log"),
            Self::Started { view } => write!(formatter, "view {view} starts"),
            Self::Entered { node, view } => write!(formatter, "{node} is in view {view}"),
            Self::Normal { node, view } => write!(formatter, "{node} is normal in view {view}"),
            Self::Voted { node, view } => write!(formatter, "{node} votes for view {view}"),
            Self::Acknowledged { node, op_number } => {
                write!(formatter, "{node} acknowledges op {op_number}")
            }
            Self::Answered { op_number } => write!(formatter, "a client is answered from op {op_number}"),
            Self::Called { .. } => write!(formatter, "this operation has no place in any order"),
        }
    }
}
