//! The chronicle of a run: everything that happened, for those who read about it (listings, stories,
//! pages, comparisons). Only kept where somebody asked for it. Operations, entries and answers are text
//! here, whatever the workload.
//!
//! What happened is a list of steps; each says who acted and on what, which messages were sent, what the
//! node told of itself, and what it was afterwards. Messages are numbered in the order in which they were
//! sent, so a step's messages are a range, and an arrival names the message that arrived.

mod causality;
pub(crate) mod describe;
pub mod facts;
pub mod listing;

use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use vr::{ClientAddress, ReplicaId, Role};

use crate::faults::Action;
use crate::groups::Placement;
use crate::network::{Dropped, Fate};
use crate::node::Node;
use crate::packet::Identity;

/// Everything that happened in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chronicle {
    /// The steps, in order. The first holds what came before any event: its number is 0.
    pub steps: Vec<Step>,
    /// The messages, in the order in which they were sent.
    pub messages: Vec<Sent>,
    /// The place of each request in the clients' history: by the client process and the request's number.
    calls: FxHashMap<(ClientAddress, u64), usize>,
    /// Who is in which group.
    placement: Arc<Placement>,
}

/// A step: one event, and all that followed at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number, from 1; 0 is the beginning.
    pub step: u64,
    /// The virtual time, in nanoseconds.
    pub time: u64,
    /// What happened.
    pub cause: Cause,
    /// The messages that were sent, by their numbers.
    pub sent: Range<u32>,
    /// What followed, in order.
    pub effects: Vec<Effect>,
    /// The replicas that acted or were acted upon, as they were afterwards. `None`: it is down.
    pub after: Vec<(Who, Option<ReplicaState>)>,
}

/// What a step began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nothing has happened yet.
    Beginning,
    /// A message came to its receiver.
    Arrival(u32),
    /// A message came, and nobody was there.
    ArrivalAtNobody(u32, &'static str),
    /// A node's timer fired.
    Timer(Node),
    /// A client's pause was over.
    ClientActs(Node),
    /// A client gave its request up.
    PatienceLost(Node),
    /// A fault family, or a script, was at its turn. What it did, if anything, is among the effects.
    Fault,
    /// A partition ended.
    Mend,
    /// A replica started again.
    Restart(Node),
}

/// A message that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// What it is; the repetition is counted.
    pub identity: Identity,
    /// The step in which it was sent.
    pub step: u64,
    /// When, in nanoseconds.
    pub time: u64,
    /// What it says, field by field.
    pub fields: Vec<(&'static str, String)>,
    /// What befell it, unless it travelled plainly.
    pub fate: Option<Fate>,
    /// Why it never arrives.
    pub dropped: Option<Dropped>,
    /// Whether the link kept everything back when it was sent.
    pub clogged: bool,
    /// Whether it came while its receiver stood still, and waited there.
    pub waited: bool,
    /// The steps in which it arrived: two if it was duplicated, none if the run ended before.
    pub arrived: Vec<u64>,
}

/// A replica: on which node, and of which group. Hosts have replicas of several groups, and the supervisor's is number
/// zero. Without hosts each replica is a node of its own, and zero stands for whatever its group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    /// The node.
    pub replica: ReplicaId,
    /// The group.
    pub group: u64,
}

impl From<ReplicaId> for Who {
    fn from(replica: ReplicaId) -> Self {
        Self { replica, group: 0 }
    }
}

/// What a replica is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaState {
    /// Its role.
    pub role: Role,
    /// Its view.
    pub view: u64,
    /// The last view in which it was normal.
    pub last_normal_view: u64,
    /// The end of its log.
    pub op_number: u64,
    /// What it knows to be committed (and has executed).
    pub commit_number: u64,
    /// In which life it is: how often it has started.
    pub incarnation: u64,
    /// Whether it waits for a state transfer.
    pub is_fetching: bool,
}

/// What followed in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Something was done to the system.
    Fault(Action),
    /// A step of a story began: its number and its words.
    Told(String),
    /// Links carry messages again.
    Mended(Vec<(Node, Node)>),
    /// The faults ended, and these replicas have to make progress.
    Healed(Vec<ReplicaId>),
    /// In spite of that these links, each with its direction, carry nothing from now on.
    StaysCut(Vec<(Node, Node)>),
    /// A replica did something.
    Did(Who, Did),
    /// A client asks for a session.
    Registers {
        /// The client.
        client: Node,
        /// Of a client of hosts: for which group it works. Else zero.
        group: u64,
    },
    /// A client makes a request.
    Requests {
        /// The client.
        client: Node,
        /// Of a client of hosts: for which group it works. Else zero.
        group: u64,
        /// The number of the request.
        number: u64,
        /// What it asks for.
        operation: String,
        /// The call's place in the clients' history; none for what administrators and users of a supervisor ask for.
        call: Option<usize>,
    },
    /// A client takes a reply for the answer to its request.
    Answered {
        /// The client.
        client: Node,
        /// Of a client of hosts: for which group it works. Else zero.
        group: u64,
        /// The number of the request.
        number: u64,
        /// Where it was executed.
        op_number: u64,
        /// The answer.
        response: String,
        /// The call's place in the clients' history; none for what administrators and users of a supervisor ask for.
        call: Option<usize>,
    },
    /// A new client process takes the slot over.
    StartsOver {
        /// The slot.
        client: Node,
    },
}

/// What a replica did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Did {
    /// Appended an entry.
    Appended {
        /// Where.
        op_number: u64,
        /// The view in which the entry was first given its op-number.
        view: u64,
        /// What was asked for.
        request: String,
    },
    /// Dropped the entries after this one.
    Truncated {
        /// The last op-number that it kept.
        last_kept: u64,
    },
    /// Dropped the entries up to this one: they are in a checkpoint.
    Compacted {
        /// The last op-number that it dropped.
        through: u64,
    },
    /// Has an empty log now, which begins after this op-number.
    LogBegins {
        /// The op-number.
        after: u64,
    },
    /// Put a checkpoint in the place of its state and log.
    CheckpointInstalled {
        /// The op-number after which it was taken.
        op_number: u64,
    },
    /// Executed an entry.
    Executed {
        /// Which.
        op_number: u64,
        /// What was asked for.
        request: String,
        /// What came of it.
        outcome: String,
        /// The call that it answers, by its place in the clients' history; none for a registration.
        call: Option<usize>,
        /// Whether the service executed it: not so a registration, a duplicate, a request of a session
        /// that is gone.
        takes_effect: bool,
    },
    /// Answered a read without the log.
    AnswersRead {
        /// Which read of its client it is.
        number: u64,
        /// After which op-number it looked at the state.
        op_number: u64,
        /// By what right.
        basis: String,
    },
    /// Starts a view from these votes.
    ViewStarts {
        /// The view.
        view: u64,
        /// Whose votes were counted.
        votes: Vec<ReplicaId>,
        /// Where the log of the new view ends.
        op_number: u64,
        /// What is known to be committed.
        commit_number: u64,
    },
    /// Has come to an epoch.
    EpochBegins {
        /// The epoch.
        epoch: u64,
        /// Its members.
        members: String,
    },
    /// Has another role or view.
    RoleChanged {
        /// Its role now.
        role: Role,
        /// Its view now.
        view: u64,
    },
    /// Ignored what arrived.
    Ignored {
        /// Why.
        reason: String,
    },
    /// Took a path that is rare and matters.
    Took {
        /// Which.
        path: String,
    },
    /// Was started by its host, as a supervisor said.
    Begins {
        /// The number of its ticket.
        ticket: u64,
        /// Whether it begins anew; else it has to recover.
        is_clean: bool,
    },
    /// Was dropped by its host: its group was stopped, or runs elsewhere.
    Dropped,
}

impl Step {
    /// The node that acts, unless it is the environment. An arrival is acted upon by the receiver.
    #[must_use]
    pub fn node(&self, messages: &[Sent]) -> Option<Node> {
        match self.cause {
            Cause::Arrival(message) | Cause::ArrivalAtNobody(message, _) => {
                Some(messages[message as usize].identity.to)
            }
            Cause::Timer(node)
            | Cause::ClientActs(node)
            | Cause::PatienceLost(node)
            | Cause::Restart(node) => Some(node),
            Cause::Beginning | Cause::Fault | Cause::Mend => None,
        }
    }

    /// The group of the message that arrived, or else of what happened first. Zero where no hosts are: see [`Who`].
    #[must_use]
    pub fn group(&self, messages: &[Sent]) -> u64 {
        if let Cause::Arrival(message) | Cause::ArrivalAtNobody(message, _) = self.cause {
            return messages[message as usize].identity.group();
        }
        let done = self.effects.iter().find_map(|effect| match effect {
            Effect::Did(who, _) => Some(who.group),
            _ => None,
        });
        let said = || self.sent.clone().next().map(|message| messages[message as usize].identity.group());
        done.or_else(said).unwrap_or_default()
    }

    /// What is said of a replica after this step, if anything is.
    fn state_of(&self, who: Who) -> Option<Option<&ReplicaState>> {
        self.after.iter().find(|(other, _)| *other == who).map(|(_, state)| state.as_ref())
    }
}

/// ` in g2`, of a group that a supervisor has started; nothing for group zero.
#[must_use]
pub fn in_group(group: u64) -> String {
    if group > 0 { format!(" in g{group}") } else { String::new() }
}

// Mostly none is kept: `#[cold]` keeps what is written into one from lying between what every step runs through.
impl Chronicle {
    /// A chronicle in which nothing has happened yet.
    #[must_use]
    pub fn new(placement: Arc<Placement>) -> Self {
        let (steps, messages, calls) = (Vec::new(), Vec::new(), FxHashMap::default());
        let mut chronicle = Self { steps, messages, calls, placement };
        chronicle.begin(0, 0, Cause::Beginning);
        chronicle
    }

    /// A step begins.
    #[cold]
    pub fn begin(&mut self, step: u64, time: u64, cause: Cause) {
        if let Cause::Arrival(message) | Cause::ArrivalAtNobody(message, _) = cause {
            self.messages[message as usize].arrived.push(step);
        }
        let next = self.messages.len() as u32;
        self.steps.push(Step { step, time, cause, sent: next..next, effects: Vec::new(), after: Vec::new() });
    }

    /// Something follows in the step that goes on (or has just ended).
    #[cold]
    pub fn effect(&mut self, effect: Effect) {
        self.current().effects.push(effect);
    }

    /// A message is sent in the step that goes on.
    #[cold]
    pub fn sent(&mut self, message: Sent) {
        self.messages.push(message);
        let end = self.messages.len() as u32;
        self.current().sent.end = end;
    }

    /// A message has come, and waits until its receiver stands still no longer.
    #[cold]
    pub fn waits(&mut self, message: u32) {
        self.messages[message as usize].waited = true;
    }

    /// What a replica is now; the last that is said of it in a step counts.
    #[cold]
    pub fn after(&mut self, who: impl Into<Who>, state: Option<ReplicaState>) {
        let (who, after) = (who.into(), &mut self.current().after);
        after.retain(|(other, _)| *other != who);
        after.push((who, state));
    }

    /// The last that was said of a replica before the step at this place in the list. `None`: it is down, or nothing was.
    #[must_use]
    pub fn state_before(&self, index: usize, who: Who) -> Option<&ReplicaState> {
        self.steps[..index].iter().rev().find_map(|step| step.state_of(who)).flatten()
    }

    /// The group of a node's replica or client, of which it was said that its group is this one: see [`Who`].
    #[must_use]
    pub fn group_of(&self, node: Node, group: u64) -> usize {
        match node {
            _ if group > 0 => group as usize,
            Node::Replica(replica) => self.placement.group_of(replica),
            Node::Client(slot) => self.placement.group_of_client(slot),
        }
    }

    /// A client process makes a request: it is the call with this place in the history.
    #[cold]
    pub fn call(&mut self, address: ClientAddress, number: u64, call: usize) {
        self.calls.insert((address, number), call);
    }

    /// The place in the history of a client process's request.
    #[must_use]
    pub fn call_of(&self, address: ClientAddress, number: u64) -> Option<usize> {
        self.calls.get(&(address, number)).copied()
    }

    fn current(&mut self) -> &mut Step {
        self.steps.last_mut().expect("there is always the beginning")
    }
}
