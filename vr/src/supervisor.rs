//! The supervisor: a replicated directory of the groups that run on a set of nodes.
//!
//! It is a [`Service`] like any other, replicated on all nodes, and every [`Host`](crate::Host) runs a replica of it.
//! Users [start](Operation::Start) and [stop](Operation::Stop) groups, [move](Operation::Move) them, and ask
//! [where](Operation::Where) they are. Hosts do what it says: a decision is an operation in its log, so that all hosts
//! know of the same ones, in the same order, whoever of them fails.
//!
//! ```
//! use vr::supervisor::{Operation, Refusal, Response};
//! use vr::{Configuration, GroupId, ReplicaId, Service, Supervisor};
//!
//! let nodes = |ids: &[u8]| Configuration::of(ids.iter().copied().map(ReplicaId)).unwrap();
//! let mut supervisor = Supervisor::new(nodes(&[0, 1, 2, 3, 4]), 100);
//!
//! let start = Operation::Start { machine: "locks", nodes: nodes(&[0, 2, 4]) };
//! assert_eq!(supervisor.execute(&start), Response::Started(GroupId(1)));
//! let start = Operation::Start { machine: "locks", nodes: nodes(&[0, 2]) };
//! assert_eq!(supervisor.execute(&start), Response::Refused(Refusal::TooFewNodes(2)));
//!
//! // Node 2 is dead. Its group gets the first of those that have the fewest groups.
//! let replace = Operation::Replace { failed: nodes(&[2]), heard: nodes(&[0, 1, 3, 4]) };
//! assert_eq!(supervisor.execute(&replace), Response::Decided(vec![GroupId(1)]));
//! let Response::Found(group) = supervisor.execute(&Operation::Where { group: GroupId(1) }) else { panic!() };
//! assert_eq!(group.epoch.members, nodes(&[0, 2, 4]));
//! assert_eq!(group.next, Some(nodes(&[0, 1, 4])));
//!
//! assert_eq!(supervisor.execute(&Operation::Stop { group: GroupId(1) }), Response::Stopped);
//! let refused = supervisor.execute(&Operation::Where { group: GroupId(1) });
//! assert_eq!(refused, Response::Refused(Refusal::Stopped(GroupId(1))));
//! ```
//!
//! # Tickets
//!
//! A node that has run a replica and lost its memory must not begin anew, or it breaks promises that it has
//! forgotten. It cannot know whether it has run one; the log does. A host [draws a ticket](Operation::Join) before it
//! starts a replica, and only a clean one lets the replica begin anew: the first that the node ever draws for the
//! group, and the first after it has [given back](Operation::Leave) the one before. It does so when it runs no replica,
//! and the directory wants none there: whatever it has promised, it was in epochs that are over. Who crashes between
//! the drawing and the start has lost nothing, but is treated as if it had, which costs the group as much as a crash
//! does. The tickets' numbers are the replicas' incarnations, too.
//!
//! This rests on the log knowing of every epoch to come: nobody else may reconfigure the groups of a supervisor, and
//! hosts see to it that nobody does.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::Arc;

use crate::configuration::Configuration;
use crate::epoch::{EpochStart, MIN_MEMBERS};
use crate::service::Service;
use crate::services::in_parts;
use crate::types::{Epoch, Incarnation, ReplicaId};

/// A replica group among those that a supervisor knows. The log numbers them from 1; no number is given twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u64);

impl GroupId {
    /// The group that runs the supervisor itself.
    pub const SUPERVISOR: Self = Self(0);
}

impl fmt::Display for GroupId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "g{}", self.0)
    }
}

/// The directory: what runs where. `M` describes a state machine, in whatever way the application likes. See the
/// [module](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Supervisor<M> {
    nodes: Configuration,
    groups_max: usize,
    groups: BTreeMap<GroupId, Group<M>>,
    last_group: GroupId,
    last_ticket: Incarnation,
}

/// One group, as the directory knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Group<M> {
    /// What state machine it runs.
    pub machine: M,
    /// The latest epoch that it was reported to be in, with its members. It may be in a later one.
    pub epoch: EpochStart,
    /// Who its members are to be in the epoch after that, if it is decided that they are to be others.
    pub next: Option<Configuration>,
    /// The last ticket that each node has drawn for it and not given back.
    pub tickets: BTreeMap<ReplicaId, Incarnation>,
}

/// What is asked of a [`Supervisor`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operation<M> {
    /// Starts a state machine on these nodes, some of which may be witnesses. Answered by [`Response::Started`].
    Start {
        /// Which one.
        machine: M,
        /// The members of its group: at least [`MIN_MEMBERS`].
        nodes: Configuration,
    },
    /// Stops a group. Its state is gone. Answered by [`Response::Stopped`]; its replicas stop when their hosts learn of
    /// it.
    Stop {
        /// Which one.
        group: GroupId,
    },
    /// Moves a group to these nodes, by a reconfiguration. Answered by [`Response::Decided`] before it is done: the
    /// group stays where it is until a quorum of its next members is heard. What is decided is not taken back, and
    /// nothing else is done to the group before, but that it can be [stopped](Self::Stop): others may be moving it
    /// already.
    Move {
        /// Which one.
        group: GroupId,
        /// Its members in its next epoch: at least [`MIN_MEMBERS`].
        nodes: Configuration,
    },
    /// Where is a group? Changes nothing. Answered by [`Response::Found`].
    Where {
        /// Which one.
        group: GroupId,
    },
    /// Which groups are there? In the order of their numbers. Changes nothing. Answered by [`Response::Listed`].
    List {
        /// Only groups after this one; zero: from the first on.
        after: GroupId,
        /// At most so many.
        limit: u32,
    },
    /// Asked by hosts, and taken from nobody else: a ticket, to start a replica with. Answered by [`Response::Ticket`].
    Join {
        /// Of which group.
        group: GroupId,
        /// Where.
        node: ReplicaId,
    },
    /// Asked by hosts, likewise: nothing of the group is left at a node where it should not be. Answered by
    /// [`Response::Recorded`].
    Leave {
        /// Which group.
        group: GroupId,
        /// Where.
        node: ReplicaId,
        /// The last ticket that the node has drawn.
        ticket: Incarnation,
        /// The last epoch in which the replica can have taken part; unknown if it was lost in a crash.
        until: Option<Epoch>,
    },
    /// Asked by the host of the supervisor's primary: these nodes seem to be dead, and are to be replaced wherever they
    /// can be. Answered by [`Response::Decided`]. A group of which too few members are heard to reconfigure it is left
    /// as it is, and of those that one group has lost, one is replaced at a time. Hosts take this from themselves, and
    /// not from each other, who may have asked long ago: what a user asks must come to the primary's host.
    Replace {
        /// Who seems to be dead.
        failed: Configuration,
        /// Who was heard lately: a place is given to nobody else. Nodes that are neither are left alone.
        heard: Configuration,
    },
    /// Asked by hosts, likewise: a group has come to an epoch. Answered by [`Response::Recorded`], also if that is
    /// known.
    Moved {
        /// Which one.
        group: GroupId,
        /// How its epoch started.
        epoch: EpochStart,
    },
}

/// What a [`Supervisor`] answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Response<M> {
    /// The group is to be started, and has this number.
    Started(GroupId),
    /// The group is to be stopped.
    Stopped,
    /// These groups are to be moved.
    Decided(Vec<GroupId>),
    /// What is known of the group.
    Found(Group<M>),
    /// The groups asked for.
    Listed(Vec<(GroupId, Group<M>)>),
    /// A replica may be started, in the way that the ticket says.
    Ticket(Ticket<M>),
    /// It is known.
    Recorded,
    /// Nothing was done, and why.
    Refused(Refusal),
}

/// Lets a host start one replica, once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ticket<M> {
    /// The group.
    pub group: GroupId,
    /// What state machine it runs.
    pub machine: M,
    /// The latest epoch that the group was reported to be in.
    pub epoch: EpochStart,
    /// Larger than on all tickets before: the replica's incarnation.
    pub number: Incarnation,
    /// Whether the node has taken part in none of the group's epochs from this one on, or the next. With any other
    /// ticket the replica has to recover.
    pub is_clean: bool,
}

/// Why a supervisor refuses what it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The group would have so few members.
    TooFewNodes(usize),
    /// The supervisor does not run on this node.
    UnknownNode(ReplicaId),
    /// There are as many groups as there may be.
    NoRoom(usize),
    /// No group has had this number yet.
    UnknownGroup(GroupId),
    /// The group was stopped.
    Stopped(GroupId),
    /// The node is no member of the group, and is not to become one.
    NotAMember(ReplicaId),
    /// The group is being moved already.
    UnderWay,
    /// The group has these members already.
    NothingNew,
    /// A member would become a witness that is active, or the other way round: it has to be moved away first, and can
    /// come back.
    OtherSide,
    /// The group is in the [last](Epoch::LAST) epoch that there can be.
    NoMoreEpochs,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewNodes(size) => {
                write!(formatter, "a group on {size} nodes: expected at least {MIN_MEMBERS}")
            }
            Self::UnknownNode(node) => write!(formatter, "the supervisor does not run on {node}"),
            Self::NoRoom(groups) => {
                write!(formatter, "there are {groups} groups already, as many as there may be")
            }
            Self::UnknownGroup(group) => write!(formatter, "there is no group {group}"),
            Self::Stopped(group) => write!(formatter, "group {group} was stopped"),
            Self::NotAMember(node) => write!(formatter, "{node} is no member of the group"),
            Self::UnderWay => write!(formatter, "the group is being moved already"),
            Self::NothingNew => write!(formatter, "the group has these members already"),
            Self::OtherSide => {
                write!(formatter, "a member would change between active and witness: move it away first")
            }
            Self::NoMoreEpochs => {
                write!(formatter, "the group cannot be moved any more: it was so {} times", Epoch::LAST)
            }
        }
    }
}

impl std::error::Error for Refusal {}

/// A piece of a snapshot of a [`Supervisor`]: first the numbers, then the groups.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part<M> {
    /// The last numbers that were given to a group, and to a ticket.
    Numbers(GroupId, Incarnation),
    /// Groups in ascending order of their numbers: at most
    /// [`ENTRIES_PER_PART`](crate::services::ENTRIES_PER_PART).
    Groups(Arc<[(GroupId, Group<M>)]>),
}

impl<M> Group<M> {
    /// Whether `node` is a member, or is to become one.
    #[must_use]
    pub fn concerns(&self, node: ReplicaId) -> bool {
        self.epoch.members.contains(node) || self.next.is_some_and(|next| next.contains(node))
    }

    /// The first epoch, from the present one on, of which `node` is a member, as far as it is decided.
    fn comes_to(&self, node: ReplicaId) -> Option<Epoch> {
        if self.epoch.members.contains(node) {
            return Some(self.epoch.epoch);
        }
        self.concerns(node).then(|| self.epoch.epoch.next())
    }

    /// The members, with a `failed` one replaced by `spare`, a witness by a witness, if that can be done and nothing
    /// else is under way. With a quorum that is `heard`, the next members have one too.
    fn replacing(
        &self,
        failed: Configuration,
        heard: Configuration,
        spare: impl FnOnce(Configuration) -> Option<ReplicaId>,
    ) -> Option<Configuration> {
        let members = self.epoch.members;
        let gone = members.members().find(|&member| failed.contains(member))?;
        let is_able = members.members().filter(|&member| heard.contains(member)).count() >= members.quorum();
        if self.next.is_some() || !is_able || self.epoch.epoch == Epoch::LAST {
            return None;
        }
        members.replacing(gone, spare(members)?).ok()
    }
}

impl<M> Supervisor<M> {
    /// A directory without groups, for hosts on `nodes`, with room for `groups_max`: the same at every replica.
    #[must_use]
    pub const fn new(nodes: Configuration, groups_max: usize) -> Self {
        Self {
            nodes,
            groups_max,
            groups: BTreeMap::new(),
            last_group: GroupId(0),
            last_ticket: Incarnation(0),
        }
    }

    /// The groups, as far as this replica knows.
    pub const fn groups(&self) -> &BTreeMap<GroupId, Group<M>> {
        &self.groups
    }

    /// The nodes that groups can run on.
    #[must_use]
    pub const fn nodes(&self) -> Configuration {
        self.nodes
    }

    /// What is known of a group.
    ///
    /// # Errors
    /// [`Refusal`] if there is none, or none any more.
    pub fn group(&self, group: GroupId) -> Result<&Group<M>, Refusal> {
        self.groups.get(&group).ok_or(self.why_absent(group))
    }

    fn why_absent(&self, group: GroupId) -> Refusal {
        // Numbers are given out in order, so what was stopped need not be remembered.
        let was_there = group > GroupId(0) && group <= self.last_group;
        if was_there { Refusal::Stopped(group) } else { Refusal::UnknownGroup(group) }
    }

    /// Who would be members of which groups, were these nodes replaced now: a failed member by one of those that are
    /// heard, if possible one that holds no ticket of the group; of several by the one that has the fewest groups, and of
    /// several by the one with the lowest number.
    #[must_use]
    pub fn replacements(&self, failed: Configuration, heard: Configuration) -> Vec<(GroupId, Configuration)> {
        let mut load: BTreeMap<ReplicaId, usize> = BTreeMap::new();
        for node in self.nodes.members() {
            load.insert(node, self.groups.values().filter(|group| group.concerns(node)).count());
        }
        let mut decided = Vec::new();
        for (&id, group) in &self.groups {
            let is_free = |node: &ReplicaId| heard.contains(*node) && !failed.contains(*node);
            let spare = |members: Configuration| {
                // One that has yet to give back a ticket would have to recover, which costs as much as a crash.
                let cost = |node: &ReplicaId| (group.tickets.contains_key(node), load[node], *node);
                self.nodes.without(members).filter(is_free).min_by_key(cost)
            };
            let Some(next) = group.replacing(failed, heard, spare) else { continue };
            for new in next.without(group.epoch.members) {
                *load.entry(new).or_default() += 1;
            }
            decided.push((id, next));
        }
        decided
    }
}

impl<M: Clone> Supervisor<M> {
    fn check(&self, members: Configuration) -> Result<(), Refusal> {
        if let Some(unknown) = members.without(self.nodes).next() {
            return Err(Refusal::UnknownNode(unknown));
        }
        if members.size() < MIN_MEMBERS {
            return Err(Refusal::TooFewNodes(members.size()));
        }
        Ok(())
    }

    fn group_mut(&mut self, group: GroupId) -> Result<&mut Group<M>, Refusal> {
        let absent = self.why_absent(group);
        self.groups.get_mut(&group).ok_or(absent)
    }

    fn start(&mut self, machine: &M, nodes: Configuration) -> Result<Response<M>, Refusal> {
        self.check(nodes)?;
        if self.groups.len() >= self.groups_max {
            return Err(Refusal::NoRoom(self.groups.len()));
        }
        self.last_group = GroupId(self.last_group.0 + 1);
        let epoch = EpochStart::first(nodes);
        let group = Group { machine: machine.clone(), epoch, next: None, tickets: BTreeMap::new() };
        self.groups.insert(self.last_group, group);
        Ok(Response::Started(self.last_group))
    }

    fn stop(&mut self, group: GroupId) -> Result<Response<M>, Refusal> {
        self.groups.remove(&group).ok_or(self.why_absent(group))?;
        Ok(Response::Stopped)
    }

    fn move_group(&mut self, group: GroupId, nodes: Configuration) -> Result<Response<M>, Refusal> {
        self.check(nodes)?;
        let entry = self.group_mut(group)?;
        if entry.next.is_some() {
            return Err(Refusal::UnderWay);
        }
        if entry.epoch.members.changes_sides(nodes) {
            return Err(Refusal::OtherSide);
        }
        if entry.epoch.members == nodes {
            return Err(Refusal::NothingNew);
        }
        if entry.epoch.epoch == Epoch::LAST {
            return Err(Refusal::NoMoreEpochs);
        }
        entry.next = Some(nodes);
        Ok(Response::Decided(vec![group]))
    }

    fn join(&mut self, group: GroupId, node: ReplicaId) -> Result<Response<M>, Refusal> {
        let number = self.last_ticket.next();
        let entry = self.group_mut(group)?;
        if !entry.concerns(node) {
            return Err(Refusal::NotAMember(node));
        }
        let is_clean = entry.tickets.insert(node, number).is_none();
        let ticket = Ticket { group, machine: entry.machine.clone(), epoch: entry.epoch, number, is_clean };
        self.last_ticket = number;
        Ok(Response::Ticket(ticket))
    }

    fn leave(
        &mut self,
        group: GroupId,
        node: ReplicaId,
        ticket: Incarnation,
        until: Option<Epoch>,
    ) -> Result<Response<M>, Refusal> {
        let entry = self.group_mut(group)?;
        // The node may have drawn another one since, and run a replica with it. Or the group may be about to come back
        // to it, and the replica have known, before it was lost.
        let is_last = entry.tickets.get(&node) == Some(&ticket);
        let is_over = entry.comes_to(node).is_none_or(|first| until.is_some_and(|until| first > until));
        if is_last && is_over {
            entry.tickets.remove(&node);
        }
        Ok(Response::Recorded)
    }

    fn replace(&mut self, failed: Configuration, heard: Configuration) -> Response<M> {
        let decided = self.replacements(failed, heard);
        for (group, next) in &decided {
            self.groups.get_mut(group).expect("it is to be moved").next = Some(*next);
        }
        Response::Decided(decided.into_iter().map(|(group, _)| group).collect())
    }

    fn record(&mut self, group: GroupId, epoch: EpochStart) -> Result<Response<M>, Refusal> {
        let entry = self.group_mut(group)?;
        if epoch.epoch > entry.epoch.epoch {
            // What was decided for the epoch before has come about, or somebody else was faster.
            (entry.epoch, entry.next) = (epoch, None);
        }
        Ok(Response::Recorded)
    }

    fn find(&self, group: GroupId) -> Result<Response<M>, Refusal> {
        Ok(Response::Found(self.group(group)?.clone()))
    }

    fn list(&self, after: GroupId, limit: u32) -> Response<M> {
        let groups = self.groups.range(after.next()..).take(limit as usize);
        Response::Listed(groups.map(|(id, group)| (*id, group.clone())).collect())
    }
}

impl GroupId {
    const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl<M: Clone + Debug> Service for Supervisor<M> {
    type Operation = Operation<M>;
    type Response = Response<M>;
    type SnapshotPart = Part<M>;

    fn execute(&mut self, operation: &Operation<M>) -> Response<M> {
        let result = match operation {
            Operation::Start { machine, nodes } => self.start(machine, *nodes),
            Operation::Stop { group } => self.stop(*group),
            Operation::Move { group, nodes } => self.move_group(*group, *nodes),
            Operation::Where { group } => self.find(*group),
            Operation::List { after, limit } => Ok(self.list(*after, *limit)),
            Operation::Join { group, node } => self.join(*group, *node),
            Operation::Leave { group, node, ticket, until } => self.leave(*group, *node, *ticket, *until),
            Operation::Replace { failed, heard } => Ok(self.replace(*failed, *heard)),
            Operation::Moved { group, epoch } => self.record(*group, *epoch),
        };
        result.unwrap_or_else(Response::Refused)
    }

    fn observe(&self, operation: &Operation<M>) -> Option<Response<M>> {
        match operation {
            Operation::Where { group } => Some(self.find(*group).unwrap_or_else(Response::Refused)),
            Operation::List { after, limit } => Some(self.list(*after, *limit)),
            _ => None,
        }
    }

    fn snapshot(&self) -> Vec<Part<M>> {
        let groups = in_parts(self.groups.iter().map(|(id, group)| (*id, group.clone())));
        let numbers = Part::Numbers(self.last_group, self.last_ticket);
        [numbers].into_iter().chain(groups.into_iter().map(Part::Groups)).collect()
    }

    fn restore(&mut self, parts: &[Part<M>]) {
        *self = Self::new(self.nodes, self.groups_max);
        for part in parts {
            match part {
                Part::Numbers(group, ticket) => (self.last_group, self.last_ticket) = (*group, *ticket),
                Part::Groups(groups) => self.groups.extend(groups.iter().cloned()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::tests::{Random, most_parts_restored};
    use crate::types::{Epoch, OpNumber, View};

    fn nodes(ids: &[u8]) -> Configuration {
        Configuration::of(ids.iter().copied().map(ReplicaId)).unwrap()
    }

    fn supervisor(groups: &[&[u8]]) -> Supervisor<&'static str> {
        let mut supervisor = Supervisor::new(nodes(&[0, 1, 2, 3, 4, 5, 6]), 4);
        for members in groups {
            supervisor.execute(&Operation::Start { machine: "it", nodes: nodes(members) });
        }
        supervisor
    }

    fn moved(group: u64, epoch: u64, members: &[u8], previous: &[u8]) -> Operation<&'static str> {
        let [members, previous] = [members, previous].map(nodes);
        let created = View::of(Epoch(epoch - 1), 0);
        let epoch = EpochStart { epoch: Epoch(epoch), after: OpNumber(9), created, members, previous };
        Operation::Moved { group: GroupId(group), epoch }
    }

    fn members_of(supervisor: &Supervisor<&'static str>, group: u64) -> (String, Option<String>) {
        let group = supervisor.group(GroupId(group)).unwrap();
        (group.epoch.members.to_string(), group.next.map(|next| next.to_string()))
    }

    #[test]
    fn what_cannot_be_is_refused_and_says_why() {
        let mut supervisor = supervisor(&[&[0, 1, 2], &[0, 1, 2]]);
        supervisor.execute(&Operation::Stop { group: GroupId(1) });
        let start = |members: &[u8]| Operation::Start { machine: "it", nodes: nodes(members) };
        let to = |group, members: &[u8]| Operation::Move { group: GroupId(group), nodes: nodes(members) };
        for (operation, refusal) in [
            (start(&[0, 1]), Refusal::TooFewNodes(2)),
            (start(&[5, 6, 7]), Refusal::UnknownNode(ReplicaId(7))),
            (Operation::Stop { group: GroupId(1) }, Refusal::Stopped(GroupId(1))),
            (Operation::Stop { group: GroupId(0) }, Refusal::UnknownGroup(GroupId(0))),
            (Operation::Where { group: GroupId(3) }, Refusal::UnknownGroup(GroupId(3))),
            (Operation::Join { group: GroupId(2), node: ReplicaId(3) }, Refusal::NotAMember(ReplicaId(3))),
            (to(2, &[2, 1, 0]), Refusal::NothingNew),
            (to(1, &[2, 1, 3]), Refusal::Stopped(GroupId(1))),
            (moved(1, 1, &[0, 1, 3], &[0, 1, 2]), Refusal::Stopped(GroupId(1))),
        ] {
            assert_eq!(supervisor.execute(&operation), Response::Refused(refusal), "{operation:?}");
        }
        assert_eq!(supervisor.execute(&to(2, &[1, 2, 3])), Response::Decided(vec![GroupId(2)]));
        assert_eq!(supervisor.execute(&to(2, &[1, 2, 4])), Response::Refused(Refusal::UnderWay));
        for group in 3..6 {
            assert_eq!(supervisor.execute(&start(&[0, 1, 2])), Response::Started(GroupId(group)));
        }
        assert_eq!(supervisor.execute(&start(&[0, 1, 2])), Response::Refused(Refusal::NoRoom(4)));
    }

    #[test]
    fn only_a_node_that_has_given_back_its_ticket_begins_anew() {
        let mut supervisor = supervisor(&[&[0, 1, 2], &[0, 1, 2]]);
        let draw = |supervisor: &mut Supervisor<_>, group, node| {
            let operation = Operation::Join { group: GroupId(group), node: ReplicaId(node) };
            match supervisor.execute(&operation) {
                Response::Ticket(ticket) => (ticket.is_clean, ticket.number.0),
                other => panic!("{other:?}"),
            }
        };
        let drawn = [(1, 0), (1, 1), (1, 0), (2, 0), (1, 0), (1, 2)];
        let tickets = drawn.map(|(group, node)| draw(&mut supervisor, group, node));
        assert_eq!(tickets, [(true, 1), (true, 2), (false, 3), (true, 4), (false, 5), (true, 6)]);
        let leave = |supervisor: &mut Supervisor<_>, ticket, until: Option<u64>| {
            let (group, node, ticket) = (GroupId(1), ReplicaId(0), Incarnation(ticket));
            supervisor.execute(&Operation::Leave { group, node, ticket, until: until.map(Epoch) });
            !supervisor.group(group).unwrap().tickets.contains_key(&node)
        };
        supervisor.execute(&moved(1, 1, &[1, 2, 3], &[0, 1, 2]));
        assert!(!leave(&mut supervisor, 3, Some(1)), "a word of an earlier life, which comes late");
        assert!(leave(&mut supervisor, 5, None));
        assert_eq!(draw(&mut supervisor, 2, 0), (false, 7));
        supervisor.execute(&Operation::Move { group: GroupId(1), nodes: nodes(&[0, 1, 2]) });
        assert_eq!(draw(&mut supervisor, 1, 0), (true, 8));
        // A replica that was lost may have been in the epoch that is decided; one that was dropped was not.
        assert!(!leave(&mut supervisor, 8, None));
        assert!(!leave(&mut supervisor, 8, Some(2)));
        assert!(leave(&mut supervisor, 8, Some(1)));
        assert_eq!(draw(&mut supervisor, 1, 0), (true, 9));
        supervisor.execute(&moved(1, 2, &[0, 1, 2], &[1, 2, 3]));
        assert!(!leave(&mut supervisor, 9, Some(2)));
    }

    #[test]
    fn failed_nodes_are_replaced_by_those_with_the_fewest_groups() {
        let mut supervisor = supervisor(&[&[0, 1, 2], &[0, 1, 2], &[1, 2, 3], &[2, 3, 4, 5, 6]]);
        let replace = |failed: &[u8]| {
            let heard: Vec<u8> = (0..7).filter(|node| !failed.contains(node)).collect();
            Operation::Replace { failed: nodes(failed), heard: nodes(&heard) }
        };
        assert_eq!(supervisor.execute(&replace(&[0])), Response::Decided([1, 2].map(GroupId).to_vec()));
        assert_eq!(members_of(&supervisor, 1), ("{r0, r1, r2}".into(), Some("{r1, r2, r4}".into())));
        assert_eq!(members_of(&supervisor, 2), ("{r0, r1, r2}".into(), Some("{r1, r2, r5}".into())));
        assert_eq!(supervisor.execute(&replace(&[0])), Response::Decided(vec![]), "they are under way");
        supervisor.execute(&moved(1, 1, &[1, 2, 4], &[0, 1, 2]));
        assert_eq!(members_of(&supervisor, 1), ("{r1, r2, r4}".into(), None));
        // Of two that one group has lost, one goes first; who has lost most of its members cannot be helped.
        assert_eq!(supervisor.execute(&replace(&[3, 4, 5])), Response::Decided([1, 3].map(GroupId).to_vec()));
        assert_eq!(members_of(&supervisor, 3).1.as_deref(), Some("{r1, r2, r6}"));
        assert_eq!(members_of(&supervisor, 4).1, None);
    }

    #[test]
    fn a_witness_is_replaced_by_a_witness_and_nobody_changes_sides() {
        let group = |ids: &[u8], witness| nodes(ids).with_witnesses([ReplicaId(witness)]).unwrap();
        let mut supervisor = supervisor(&[]);
        supervisor.execute(&Operation::Start { machine: "it", nodes: group(&[0, 1, 2], 2) });
        let to = |nodes| Operation::Move { group: GroupId(1), nodes };
        for nodes in [group(&[0, 1, 2], 1), nodes(&[0, 1, 2]), nodes(&[0, 2, 3])] {
            assert_eq!(supervisor.execute(&to(nodes)), Response::Refused(Refusal::OtherSide), "{nodes}");
        }
        for (failed, expected) in [(0, group(&[1, 2, 3], 2)), (2, group(&[0, 1, 3], 3))] {
            let mut supervisor = supervisor.clone();
            let heard: Vec<u8> = (0..7).filter(|node| *node != failed).collect();
            supervisor.execute(&Operation::Replace { failed: nodes(&[failed]), heard: nodes(&heard) });
            assert_eq!(supervisor.group(GroupId(1)).unwrap().next, Some(expected));
        }
    }

    #[test]
    fn after_the_last_epoch_a_group_stays_where_it_is() {
        let mut supervisor = supervisor(&[&[0, 1, 2]]);
        supervisor.execute(&moved(1, Epoch::LAST.0, &[0, 1, 2], &[0, 1, 3]));
        let to = Operation::Move { group: GroupId(1), nodes: nodes(&[0, 1, 3]) };
        assert_eq!(supervisor.execute(&to), Response::Refused(Refusal::NoMoreEpochs));
        let replace = Operation::Replace { failed: nodes(&[2]), heard: nodes(&[0, 1, 3, 4, 5, 6]) };
        assert_eq!(supervisor.execute(&replace), Response::Decided(vec![]));
    }

    #[test]
    fn a_group_on_all_nodes_keeps_its_failed_member() {
        let mut supervisor = supervisor(&[&[0, 1, 2, 3, 4, 5, 6]]);
        assert_eq!(
            supervisor
                .execute(&Operation::Replace { failed: nodes(&[6]), heard: nodes(&[0, 1, 2, 3, 4, 5]) }),
            Response::Decided(vec![])
        );
    }

    #[test]
    fn who_holds_a_ticket_of_the_group_is_taken_last() {
        let mut supervisor = supervisor(&[&[0, 1, 2], &[0, 1, 4], &[5, 6, 4]]);
        supervisor.execute(&Operation::Move { group: GroupId(1), nodes: nodes(&[0, 1, 3]) });
        supervisor.execute(&Operation::Join { group: GroupId(1), node: ReplicaId(3) });
        supervisor.execute(&moved(1, 1, &[0, 1, 2], &[0, 1, 3]));
        supervisor.execute(&Operation::Replace { failed: nodes(&[2]), heard: nodes(&[0, 1, 3, 4, 5]) });
        assert_eq!(members_of(&supervisor, 1).1.as_deref(), Some("{r0, r1, r5}"));
    }

    #[test]
    fn who_is_not_heard_gets_no_place_and_does_not_count() {
        let mut supervisor = supervisor(&[&[0, 1, 2], &[2, 5, 6]]);
        let replace = |heard: &[u8]| Operation::Replace { failed: nodes(&[2]), heard: nodes(heard) };
        assert_eq!(supervisor.execute(&replace(&[0, 3, 4, 5])), Response::Decided(vec![]), "too few of each");
        assert_eq!(
            supervisor.execute(&replace(&[0, 1, 5, 6, 2])),
            Response::Decided([1, 2].map(GroupId).to_vec())
        );
        assert_eq!(members_of(&supervisor, 1).1.as_deref(), Some("{r0, r1, r5}"));
        assert_eq!(members_of(&supervisor, 2).1.as_deref(), Some("{r0, r5, r6}"));
    }

    #[test]
    fn an_epoch_that_is_over_is_not_recorded() {
        let mut supervisor = supervisor(&[&[0, 1, 2]]);
        supervisor.execute(&moved(1, 2, &[1, 2, 3], &[1, 2, 4]));
        supervisor.execute(&Operation::Move { group: GroupId(1), nodes: nodes(&[4, 5, 6]) });
        assert_eq!(supervisor.execute(&moved(1, 1, &[1, 2, 4], &[0, 1, 2])), Response::Recorded);
        assert_eq!(members_of(&supervisor, 1), ("{r1, r2, r3}".into(), Some("{r4, r5, r6}".into())));
    }

    fn operation(random: &mut Random) -> Operation<u64> {
        let mut some =
            || Configuration::of([0, 1, 2].map(|part| ReplicaId((part * 3 + random.below(3)) as u8)));
        let (members, previous) = (some().unwrap(), some().unwrap());
        let group = GroupId(random.below(200));
        let node = ReplicaId(random.below(9) as u8);
        match random.below(17) {
            0..8 => Operation::Start { machine: random.below(5), nodes: members },
            8 => Operation::Stop { group },
            9 => Operation::Move { group, nodes: members },
            10 => Operation::Where { group },
            11 => Operation::List { after: group, limit: random.below(9) as u32 },
            12 | 13 => Operation::Join { group, node },
            14 => Operation::Leave {
                group,
                node,
                ticket: Incarnation(random.below(100)),
                until: Some(Epoch(1)),
            },
            15 => Operation::Replace {
                failed: Configuration::of([node]).unwrap(),
                heard: members.union(previous),
            },
            _ => {
                let (epoch, after) = (Epoch(random.below(5)), OpNumber(random.below(100)));
                let epoch = EpochStart { epoch, after, created: View::ZERO, members, previous };
                Operation::Moved { group, epoch }
            }
        }
    }

    #[test]
    fn a_restored_one_is_the_same() {
        let parts = most_parts_restored(&Supervisor::new(Configuration::new(9).unwrap(), 150), operation);
        assert!(parts > 2, "{parts}: the numbers, and groups in several pieces");
    }
}
