//! Ways out: what hosts, their groups' clients and the user send goes to the network, what replicas in hosts tell goes to
//! the checks.

use std::marker::PhantomData;
use std::sync::Arc;

use vr::host::{Contents, Envelope, Letter};
use vr::supervisor::Ticket;
use vr::{
    Checkpoint, ClientAddress, ClientOutbox, CommitNumber, Entry, EpochStart, Execution, GroupId, HostOutbox,
    Ignored, Message, Observation, OpNumber, Outbox, Outcome, RarePath, Refusal, ReplicaId, Reply, Request,
    RequestBody, Role, View, ViewStart,
};

use super::mail::Mail;
use super::{Answer, Directory, Machine, Order, Running, Supervising};
use crate::check::directory::Ledger;
use crate::check::{Checked, Checks};
use crate::chronicle::{Did, Who, describe};
use crate::digest;
use crate::environment::{Environment, slot_of};
use crate::marks::Moment;
use crate::node::Node;
use crate::packet::Packet;
use crate::setup::Setup;
use crate::workload::Workload;

impl<W: Workload> Environment<W> {
    /// A host has acted, and one of its replicas is looked at.
    pub(super) fn looks_at(
        &mut self,
        group: GroupId,
        look: impl FnOnce(&mut Checks) -> (Role, View, CommitNumber),
    ) {
        let (role, view, commit_number) = look(self.checks.of_mut(group.0 as usize));
        let state = view.0 << 2 ^ role as u64 ^ commit_number.0 << 20 ^ group.0 << 56;
        self.digest = digest::mix(self.digest, state);
    }

    /// A replica in a host takes up a role.
    fn role_changes(&mut self, group: GroupId, host: ReplicaId, role: Role) {
        let before = self.checks.of(group.0 as usize).members[host].role;
        if before == Some(Role::Recovering) && role != Role::Recovering {
            self.marks.moment(Moment::Recovery);
        }
        if before != Some(role) && role == Role::Stopped {
            self.marks.moment(Moment::ReplicaStopped);
        }
    }
}

/// The replica of a group on a host.
pub(super) const fn who(group: GroupId, host: ReplicaId) -> Who {
    Who { replica: host, group: group.0 }
}

/// A host's way out.
pub(super) struct HostPort<'a, W: Workload> {
    pub(super) host: ReplicaId,
    pub(super) setup: &'a Setup,
    pub(super) environment: &'a mut Environment<W>,
    pub(super) ledger: &'a mut Ledger,
}

impl<W: Workload> HostPort<'_, W> {
    fn checks(&mut self, group: GroupId) -> &mut Checks {
        self.environment.checks.of_mut(group.0 as usize)
    }

    fn tell(&mut self, group: GroupId, did: impl FnOnce() -> Did) {
        self.environment.tell_of(who(group, self.host), did);
    }

    fn post(&mut self, to: ClientAddress, mail: Mail<W::Service>) {
        let client = Node::Client(slot_of(to).0);
        self.environment.transmit(Node::Replica(self.host), client, Packet::Mail(Box::new(mail)));
    }
}

impl<W: Workload> HostOutbox<Running<W::Service>> for HostPort<'_, W> {
    fn send(&mut self, to: ReplicaId, envelope: Envelope<Running<W::Service>>) {
        let host = self.host;
        match &envelope.contents {
            Contents::Supervisor(Letter::Message(message)) => {
                self.checks(GroupId::SUPERVISOR).sent(host, to, message);
            }
            Contents::Group(group, Letter::Message(message)) => self.checks(*group).sent(host, to, message),
            _ => {}
        }
        let (from, to) = (Node::Replica(host), Node::Replica(to));
        self.environment.transmit(from, to, Packet::Mail(Box::new(Mail::Envelope(envelope))));
    }

    fn reply(&mut self, to: ClientAddress, group: GroupId, reply: Reply<W::Response>) {
        let host = self.host;
        self.checks(group).replied(host, to, &reply);
        self.post(to, Mail::Reply(group, to, reply));
    }

    fn supervisor_reply(&mut self, to: ClientAddress, reply: Reply<Answer>) {
        let host = self.host;
        self.checks(GroupId::SUPERVISOR).replied(host, to, &reply);
        self.post(to, Mail::Answer(to, reply));
    }

    fn no_such_group(&mut self, to: ClientAddress, group: GroupId) {
        self.post(to, Mail::Gone(group, to));
    }

    fn group_started(&mut self, group: GroupId, ticket: &Ticket<Machine>) {
        let host = self.host;
        self.tell(group, || Did::Begins { ticket: ticket.number.0, is_clean: ticket.is_clean });
        self.ledger.starts(group, host, ticket.is_clean);
        if ticket.is_clean {
            self.environment.marks.moment(Moment::BegunByTicket);
            self.checks(group).begins_anew(host, ticket.number);
        } else {
            self.environment.marks.moment(Moment::RecoveredByTicket);
            self.checks(group).restarted(host, ticket.number);
        }
    }

    fn group_stopped(&mut self, group: GroupId) {
        let host = self.host;
        self.environment.marks.moment(Moment::ReplicaDropped);
        self.tell(group, || Did::Dropped);
        if let Some(chronicle) = &mut self.environment.chronicle {
            chronicle.after(who(group, host), None);
        }
        if self.ledger.groups().contains_key(&group) {
            self.checks(group).left(host);
        } else {
            // The group was stopped. Others may go on a while: who has dropped its replica will not come back without.
            self.checks(group).crashed(host);
        }
    }

    fn role_changed(&mut self, group: GroupId, role: Role, view: View) {
        let host = self.host;
        self.tell(group, || describe::role_changed(role, view));
        self.ledger.took_part(group, host, role, view.epoch());
        self.environment.role_changes(group, host, role);
        let findings = &mut self.environment.checks.of_mut(group.0 as usize).findings;
        self.ledger.begins_as(group, host, role, findings);
        // What was sent from here to here has yet to happen in this step.
        self.checks(group).role_changed(host, role, view);
    }

    fn observe(&mut self, group: GroupId) -> impl Outbox<W::Service> {
        Watch::<W, W> {
            group,
            host: self.host,
            environment: &mut *self.environment,
            ledger: &mut *self.ledger,
            checked: PhantomData,
        }
    }

    fn observe_supervisor(&mut self) -> impl Outbox<Directory> {
        SupervisorWatch {
            setup: self.setup,
            watch: Watch::<W, Supervising> {
                group: GroupId::SUPERVISOR,
                host: self.host,
                environment: &mut *self.environment,
                ledger: &mut *self.ledger,
                checked: PhantomData,
            },
        }
    }
}

/// Listens to what a replica in a host tells of itself.
struct Watch<'a, W: Workload, C: Checked> {
    group: GroupId,
    host: ReplicaId,
    environment: &'a mut Environment<W>,
    ledger: &'a mut Ledger,
    checked: PhantomData<C>,
}

impl<W: Workload, C: Checked> Watch<'_, W, C> {
    fn checks(&mut self) -> &mut Checks {
        self.environment.checks.of_mut(self.group.0 as usize)
    }

    fn tell(&mut self, did: impl FnOnce() -> Did) {
        self.environment.tell_of(who(self.group, self.host), did);
    }

    fn mix(&mut self, what: u64) {
        self.environment.digest = digest::mix(self.environment.digest, what ^ self.group.0 << 56);
    }
}

impl<W: Workload, C: Checked> Outbox<C::Service> for Watch<'_, W, C> {
    fn send(&mut self, _: ReplicaId, _: Message<C::Service>) {
        unreachable!("the host sends it");
    }

    fn reply(&mut self, _: ClientAddress, _: Reply<<C::Service as vr::Service>::Response>) {
        unreachable!("the host sends it");
    }

    fn appended(&mut self, op_number: OpNumber, entry: &Entry<<C::Service as vr::Service>::Operation>) {
        let host = self.host;
        self.checks().appended(host, op_number, entry);
        self.tell(|| describe::appended(op_number, entry));
    }

    fn truncated(&mut self, last_kept: OpNumber) {
        let host = self.host;
        self.checks().truncated(host, last_kept);
        self.tell(|| Did::Truncated { last_kept: last_kept.0 });
    }

    fn checkpoint_taken(&mut self, checkpoint: &Checkpoint<C::Service>) {
        let host = self.host;
        self.checks().checkpoint_taken::<C>(host, checkpoint);
        self.environment.marks.moment(Moment::CheckpointTaken);
    }

    fn compacted(&mut self, through: OpNumber) {
        let host = self.host;
        self.checks().compacted(host, through);
        self.environment.marks.moment(Moment::LogCompacted);
        self.tell(|| Did::Compacted { through: through.0 });
    }

    fn log_begins(&mut self, after: OpNumber, is_witness: bool) {
        let host = self.host;
        self.checks().log_begins(host, after, is_witness);
        self.mix(after.0);
        self.tell(|| Did::LogBegins { after: after.0 });
    }

    fn checkpoint_installed(&mut self, checkpoint: &Checkpoint<C::Service>, service: &C::Service) {
        let host = self.host;
        self.checks().checkpoint_installed::<C>(host, checkpoint, service);
        let op_number = checkpoint.op_number().0;
        self.mix(op_number);
        self.tell(|| Did::CheckpointInstalled { op_number });
    }

    fn executed(&mut self, execution: Execution<'_, C::Service>) {
        let host = self.host;
        let digest = self.checks().executed::<C>(host, &execution);
        self.mix(digest);
        self.environment.tell_executed(who(self.group, host), &execution);
    }

    fn observed(&mut self, observation: Observation<'_, C::Service>) {
        let (host, state) = (self.host, C::digest(observation.service));
        self.checks().observed(host, &observation, state);
        self.mix(observation.op_number.0 ^ state);
        self.tell(|| describe::observed(&observation));
    }

    fn view_starts(&mut self, start: &ViewStart<'_>) {
        let host = self.host;
        self.checks().view_starts(host, start);
        self.tell(|| describe::view_starts(start));
    }

    fn epoch_begins(&mut self, start: &EpochStart) {
        let (host, group) = (self.host, self.group);
        if self.checks().epoch_begins(host, start) {
            self.environment.marks.moment(Moment::FirstInEpoch);
        }
        let findings = &mut self.environment.checks.of_mut(group.0 as usize).findings;
        self.ledger.epoch_begins(group, start, findings);
        self.mix(digest::of(start));
        self.tell(|| describe::epoch_begins(start));
    }

    fn refused(&mut self, reason: Refusal) {
        self.environment.marks.refused(reason);
    }

    fn ignored(&mut self, reason: Ignored) {
        self.environment.marks.ignored(reason);
        self.tell(|| Did::Ignored { reason: format!("{reason:?}") });
    }

    fn took(&mut self, path: RarePath) {
        self.environment.marks.rare(path);
        self.tell(|| Did::Took { path: format!("{path:?}") });
    }
}

/// Listens to the supervisor's replica, and keeps what its log decides.
struct SupervisorWatch<'a, W: Workload> {
    setup: &'a Setup,
    watch: Watch<'a, W, Supervising>,
}

impl<W: Workload> SupervisorWatch<'_, W> {
    fn decided(&mut self, execution: &Execution<'_, Directory>) {
        let Watch { environment, ledger, .. } = &mut self.watch;
        if let Some((group, first)) = ledger.decided(execution, &mut environment.checks.first_mut().findings)
        {
            environment.checks.push(Checks::of_new_group(self.setup, group.0 as usize, first));
        }
        if let (RequestBody::Operation { operation, .. }, Outcome::Executed(answer)) =
            (&execution.entry.request.body, &execution.outcome)
        {
            environment.marks.supervised(operation, answer);
            if let (Order::Moved { group, epoch }, Answer::Recorded) = (operation, answer) {
                let Checks { members, findings, .. } = environment.checks.of_mut(group.0 as usize);
                Ledger::recorded(*group, epoch, members, execution.op_number, findings);
            }
        }
    }
}

/// Passes on what it does nothing with itself.
macro_rules! pass_on {
    ($(fn $name:ident($($argument:ident: $type:ty),*);)*) => {
        $(fn $name(&mut self, $($argument: $type),*) { self.watch.$name($($argument),*) })*
    };
}

impl<W: Workload> Outbox<Directory> for SupervisorWatch<'_, W> {
    fn executed(&mut self, execution: Execution<'_, Directory>) {
        let is_first = self.watch.checks().ghost.is_next(execution.op_number);
        if is_first {
            self.decided(&execution);
        }
        self.watch.executed(execution);
    }

    pass_on! {
        fn send(to: ReplicaId, message: Message<Directory>);
        fn reply(to: ClientAddress, reply: Reply<Answer>);
        fn appended(op_number: OpNumber, entry: &Entry<Order>);
        fn truncated(last_kept: OpNumber);
        fn checkpoint_taken(checkpoint: &Checkpoint<Directory>);
        fn compacted(through: OpNumber);
        fn log_begins(after: OpNumber, is_witness: bool);
        fn checkpoint_installed(checkpoint: &Checkpoint<Directory>, service: &Directory);
        fn observed(observation: Observation<'_, Directory>);
        fn view_starts(start: &ViewStart<'_>);
        fn epoch_begins(start: &EpochStart);
        fn refused(reason: Refusal);
        fn ignored(reason: Ignored);
        fn took(path: RarePath);
    }
}

/// The user's way out.
pub(super) struct UserPort<'a, W: Workload> {
    pub(super) slot: u16,
    pub(super) environment: &'a mut Environment<W>,
}

impl<W: Workload> UserPort<'_, W> {
    fn post(&mut self, to: ReplicaId, mail: Mail<W::Service>) {
        self.environment.transmit(Node::Client(self.slot), Node::Replica(to), Packet::Mail(Box::new(mail)));
    }
}

impl<W: Workload> ClientOutbox<Order> for UserPort<'_, W> {
    fn send(&mut self, to: ReplicaId, order: Arc<Request<Order>>) {
        self.post(to, Mail::Order(order));
    }

    fn send_read(&mut self, to: ReplicaId, question: Arc<vr::Read<Order>>) {
        self.post(to, Mail::Question(question));
    }
}
