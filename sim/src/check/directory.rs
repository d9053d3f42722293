//! What the supervisor's log decides, and whether hosts keep to it: S29, S30.

use std::collections::BTreeMap;

use vr::supervisor::{Group, Operation, Response, Ticket};
use vr::{
    Configuration, Epoch, EpochStart, Execution, GroupId, OpNumber, Outcome, ReplicaId, RequestBody, Role,
};

use super::members::Members;
use super::{Fact, Findings, Property};
use crate::hosts::{Directory, Machine};

/// The one supervisor's log, as it was committed, and what hosts have done.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// The directory after the last operation that was executed anywhere.
    groups: BTreeMap<GroupId, Group<Machine>>,
    /// Who is to follow in each epoch of a group.
    decided: BTreeMap<(GroupId, Epoch), Configuration>,
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
            let Some(next) = group.next else { continue };
            let epoch = group.epoch.epoch;
            let first = *self.decided.entry((id, epoch)).or_insert(next);
            if first != next {
                let witness = format!("epoch {epoch} of {id} is to be followed by {next}, after {first}");
                findings
                    .add(Property::S30, "decided twice", witness)
                    .between([Fact::committed(execution.op_number)]);
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
        if decided.is_none_or(|next| *next != start.members) {
            let (epoch, members) = (start.epoch, start.members);
            let decided = decided.map_or("nobody".to_owned(), Configuration::to_string);
            let witness = format!("epoch {epoch} is {members}, and {decided} was decided");
            findings.add(Property::S30, "moved as nobody decided", witness);
        }
    }

    /// S30: the directory knows of an epoch that the group has come to, as it was. Told of what it is told.
    pub fn recorded(
        group: GroupId,
        recorded: &EpochStart,
        members: &Members,
        op_number: OpNumber,
        findings: &mut Findings,
    ) {
        let known = members.epoch(recorded.epoch);
        if known != Some(*recorded) {
            let known = known.map_or("nobody has come to it".to_owned(), |known| format!("it is {known:?}"));
            let witness = format!("the directory is told that {group} is in {recorded:?}, and {known}");
            findings
                .add(Property::S30, "an epoch that is none", witness)
                .between([Fact::committed(op_number)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vr::{ClientAddress, ClientId, Entry, Request, RequestNumber, Service, View};

    use super::*;

    fn nodes(ids: [u8; 3]) -> Configuration {
        Configuration::of(ids.map(ReplicaId)).expect("some nodes")
    }

    fn directory() -> Directory {
        let mut directory = Directory::new(nodes([0, 1, 2]).union(nodes([3, 4, 5])), 8);
        directory.execute(&Operation::Start { machine: Machine, nodes: nodes([0, 1, 2]) });
        directory
    }

    /// What is found when a directory executes an operation, and one that comes to the same place says so.
    fn decide(ledger: &mut Ledger, directory: &mut Directory, operation: Operation<Machine>) -> Findings {
        let mut findings = Findings::default();
        let response = directory.execute(&operation);
        let body = RequestBody::Operation { client: ClientId(1), number: RequestNumber(1), operation };
        let request = Arc::new(Request { address: ClientAddress(1), body });
        let entry = Entry { view: View::ZERO, request, predicted: None };
        let (op_number, outcome) = (OpNumber(2), Outcome::Executed(&response));
        ledger.decided(&Execution { op_number, entry: &entry, outcome, service: directory }, &mut findings);
        findings
    }

    fn to(ids: [u8; 3]) -> Operation<Machine> {
        Operation::Move { group: GroupId(1), nodes: nodes(ids) }
    }

    fn kind(findings: &Findings) -> Option<&str> {
        findings.first().map(|violation| violation.kind.as_str())
    }

    #[test]
    fn an_epoch_has_one_successor() {
        let mut ledger = Ledger::default();
        assert_eq!(kind(&decide(&mut ledger, &mut directory(), to([0, 1, 3]))), None);
        assert_eq!(kind(&decide(&mut ledger, &mut directory(), to([0, 1, 3]))), None);
        assert_eq!(kind(&decide(&mut ledger, &mut directory(), to([0, 1, 4]))), Some("decided twice"));
    }

    #[test]
    fn a_group_moves_where_it_was_decided() {
        let mut ledger = Ledger::default();
        decide(&mut ledger, &mut directory(), to([0, 1, 3]));
        let begins = |members| {
            let mut findings = Findings::default();
            let start = EpochStart { epoch: Epoch(1), members, ..EpochStart::first(nodes([0, 1, 2])) };
            ledger.epoch_begins(GroupId(1), &start, &mut findings);
            kind(&findings).map(str::to_owned)
        };
        assert_eq!(begins(nodes([0, 1, 3])), None);
        assert_eq!(begins(nodes([0, 1, 4])).as_deref(), Some("moved as nobody decided"));
    }

    #[test]
    fn the_directory_is_told_what_is_so() {
        let first = EpochStart::first(nodes([0, 1, 2]));
        let members = Members::to_be_started(6, first.members);
        let recorded = |start: &EpochStart| {
            let mut findings = Findings::default();
            Ledger::recorded(GroupId(1), start, &members, OpNumber(9), &mut findings);
            kind(&findings).map(str::to_owned)
        };
        assert_eq!(recorded(&first), None);
        let other = EpochStart { members: nodes([0, 1, 3]), ..first };
        assert_eq!(recorded(&other).as_deref(), Some("an epoch that is none"));
        assert_eq!(
            recorded(&EpochStart { epoch: Epoch(1), ..first }).as_deref(),
            Some("an epoch that is none")
        );
    }
}
