//! What the supervisor's log decides, and whether hosts keep to it: S29, S30.

use std::collections::BTreeMap;

use vr::supervisor::{Group, Operation, Response, Ticket};
use vr::{
    Configuration, Epoch, EpochStart, Execution, GroupId, OpNumber, Outcome, ReplicaId, RequestBody, Role,
};

use super::{Fact, Findings, Property};
use crate::hosts::{Directory, Machine};

/// The one supervisor's log, as it was committed, and what hosts have done.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// The directory after the last operation that was executed anywhere.
    groups: BTreeMap<GroupId, Group<Machine>>,
    /// Where in the log each epoch of a group was given its successor, and who its members are to be.
    decided: BTreeMap<(GroupId, Epoch), (OpNumber, Configuration)>,
    /// The last epoch in which each node has taken part, in whatever life.
    taken_part: BTreeMap<(GroupId, ReplicaId), Epoch>,
    /// Where a replica is being started on a ticket that is not clean.
    must_recover: Option<(GroupId, ReplicaId)>,
}

impl Ledger {
    /// The groups that run, or are to.
    #[must_use]
    pub const fn groups(&self) -> &BTreeMap<GroupId, Group<Machine>> {
        &self.groups
    }

    /// An operation of the supervisor's log is executed for the first time anywhere. Tells of a group that is to be
    /// started.
    pub fn decided(
        &mut self,
        execution: &Execution<'_, Directory>,
        findings: &mut Findings,
    ) -> Option<(GroupId, Configuration)> {
        self.groups.clone_from(execution.service.groups());
        for (&id, group) in &self.groups {
            if let Some(next) = group.next {
                self.decided.entry((id, group.epoch.epoch)).or_insert((execution.op_number, next));
            }
        }
        let (RequestBody::Operation { operation, .. }, Outcome::Executed(response)) =
            (&execution.entry.request.body, &execution.outcome)
        else {
            return None;
        };
        match (operation, response) {
            (Operation::Start { nodes, .. }, Response::Started(group)) => Some((*group, *nodes)),
            (Operation::Join { node, .. }, Response::Ticket(ticket)) => {
                self.is_true(ticket, *node, execution.op_number, findings);
                None
            }
            _ => None,
        }
    }

    /// A host is about to start a replica.
    pub fn starts(&mut self, group: GroupId, node: ReplicaId, is_clean: bool) {
        self.must_recover = (!is_clean).then_some((group, node));
    }

    /// S29: with a ticket that is not clean, a replica recovers. Told of each role that one takes up.
    pub fn begins_as(&mut self, group: GroupId, node: ReplicaId, role: Role, findings: &mut Findings) {
        if self.must_recover.take_if(|starting| *starting == (group, node)).is_some()
            && role != Role::Recovering
        {
            let witness = format!("{node} begins anew in {group} as {role:?}, and its ticket is not clean");
            findings.add(Property::S29, "begun anew on a ticket that is not clean", witness);
        }
    }

    /// A replica in a host takes part in an epoch of its group.
    pub fn took_part(&mut self, group: GroupId, node: ReplicaId, role: Role, epoch: Epoch) {
        if matches!(role, Role::Primary | Role::Backup | Role::ViewChange) {
            let last = self.taken_part.entry((group, node)).or_insert(epoch);
            *last = epoch.max(*last);
        }
    }

    /// S29: who begins anew has promised nothing in the epochs to come.
    fn is_true(
        &self,
        ticket: &Ticket<Machine>,
        node: ReplicaId,
        op_number: OpNumber,
        findings: &mut Findings,
    ) {
        let EpochStart { epoch, members, .. } = ticket.epoch;
        let first = if members.contains(node) { epoch } else { epoch.next() };
        let last = self.taken_part.get(&(ticket.group, node)).copied();
        if ticket.is_clean && last.is_some_and(|last| last >= first) {
            let (group, last) = (ticket.group, last.unwrap_or_default());
            let witness = format!(
                "{node} is to begin anew in epoch {first} of {group}, and has taken part in epoch {last}"
            );
            findings
                .add(Property::S29, "clean ticket for one who has taken part", witness)
                .between([Fact::committed(op_number)]);
        }
    }

    /// S30: a group moves where the supervisor's log says, and nowhere else.
    pub fn epoch_begins(&self, group: GroupId, start: &EpochStart, findings: &mut Findings) {
        if group == GroupId::SUPERVISOR {
            return;
        }
        let decided = self.decided.get(&(group, Epoch(start.epoch.0 - 1)));
        if decided.is_none_or(|(_, next)| *next != start.members) {
            let (epoch, members) = (start.epoch, start.members);
            let decided = decided.map_or("nobody".to_owned(), |(_, next)| next.to_string());
            let witness = format!("epoch {epoch} is {members}, and {decided} was decided");
            findings.add(Property::S30, "moved as nobody decided", witness);
        }
    }
}
