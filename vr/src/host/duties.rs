//! What a host does of its own accord: it brings what runs here in line with the directory, and the directory in line
//! with what has happened.
//!
//! All of it follows from the present state, not from the event that led to it. So it does not matter what was lost or
//! left undone, or by whom: whoever is supervisor's primary next finds in the directory what is to be done.

use super::post::{Channel, Contents, Envelope, GroupLine, SupervisorLine, address_in_host};
use super::{Application, Host, HostOutbox, HostRules, Node, ResponseOf};
use crate::client::{Client, ClientEvent, ClientOptions, ClientOutbox};
use crate::configuration::Configuration;
use crate::epoch::{EpochStart, Refusal};
use crate::message::Reply;
use crate::outbox::{Outbox, Role};
use crate::replica::{Member, Replica};
use crate::rules::Rules;
use crate::supervisor::{self, GroupId, Operation, Response, Ticket};
use crate::types::{ClientAddress, Duration, Epoch, Incarnation, Instant, OpNumber, ReplicaId};

/// The host's client of the supervisor: one errand at a time.
#[derive(Clone, Debug)]
pub(super) struct Clerk<O, R: Rules> {
    pub(super) client: Client<O, R>,
    /// Where in the supervisor's log the last errand was done. What is to be done next follows from a directory in
    /// which that shows.
    done_at: OpNumber,
    /// Whether it asks for nodes to be replaced.
    is_replacing: bool,
}

/// Moves one group from one epoch to the next, as the directory says.
#[derive(Clone, Debug)]
pub(super) struct Administrator<O, R: Rules> {
    /// The epoch that the directory knows.
    epoch: Epoch,
    pub(super) client: Client<O, R>,
    /// Whether that epoch has yet to be found started, by an operation that is committed in it.
    must_check: bool,
    rest_until: Instant,
}

/// Signs of life.
#[derive(Clone, Debug)]
pub(super) struct Vigil {
    /// When each node was last heard, by its number.
    heard: Box<[Instant]>,
    /// When everybody was last given time to show themselves.
    began: Instant,
    /// When this node shows that it is alive, and looks who else is.
    pub(super) due_at: Instant,
}

impl<O: Clone, R: Rules> Clerk<O, R> {
    pub(super) fn new(address: ClientAddress, node: &Node, rules: R, entropy: u64) -> Self {
        let client = Client::new(address, node.nodes, node.options.clients, rules, entropy);
        Self { client, done_at: OpNumber::ZERO, is_replacing: false }
    }
}

impl<O: Clone, R: Rules> Administrator<O, R> {
    fn new(
        address: ClientAddress,
        options: ClientOptions,
        start: EpochStart,
        rules: R,
        entropy: u64,
    ) -> Self {
        let client = Client::new(address, start.members, options, rules, entropy).in_epoch(start.epoch);
        Self { epoch: start.epoch, client, must_check: false, rest_until: Instant(0) }
    }

    /// Goes on with the move to `next`.
    fn go_on(&mut self, now: Instant, next: Configuration, outbox: &mut impl ClientOutbox<O>) {
        // Once the epoch is over, its successor's primary tells the supervisor.
        let is_over = self.client.epoch() > self.epoch;
        if is_over || self.client.is_waiting() || now < self.rest_until {
            return;
        }
        if self.client.id().is_none() {
            self.client.register(now, outbox);
        } else if self.must_check {
            self.client.check_epoch(now, self.epoch, outbox).expect("a session, and nothing outstanding");
        } else {
            self.client.reconfigure(now, next, outbox).expect("a session, and nothing outstanding");
        }
    }
}

impl Vigil {
    pub(super) fn new(nodes: Configuration, now: Instant) -> Self {
        Self { heard: vec![now; nodes.rows()].into(), began: now, due_at: now }
    }

    pub(super) fn heard(&mut self, node: ReplicaId, now: Instant) {
        self.heard[node.index()] = now;
    }

    /// Whoever begins to look for the dead gives everybody time to show themselves.
    pub(super) fn begin(&mut self, now: Instant) {
        self.heard.fill(now);
        self.began = now;
    }

    /// Whether the node has shown itself since.
    fn was_heard(&self, node: ReplicaId) -> bool {
        self.heard[node.index()] > self.began
    }
}

impl<A: Application, R: HostRules> Host<A, R> {
    /// Brings everything in line.
    pub(super) fn attend<B: HostOutbox<A>>(&mut self, now: Instant, outbox: &mut B) {
        self.drop_replicas(outbox);
        self.pass_epochs_on(now, outbox);
        self.move_groups(now, outbox);
        self.give_up_replacing();
        self.run_errand(now, outbox);
    }

    // ---- What runs here ----------------------------------------------------------------------------

    /// Drops the replicas of groups that were stopped, and those that their group needs no more.
    fn drop_replicas<B: HostOutbox<A>>(&mut self, outbox: &mut B) {
        if !self.knows_its_errands() {
            // A replica may have been started since, for what the directory here does not show yet.
            return;
        }
        let Self { node, rules, supervisor, groups, dropped, .. } = self;
        let directory = supervisor.service();
        groups.retain(|id, replica| {
            let is_kept = directory.group(id).is_ok_and(|group| {
                let recorded = group.epoch.epoch;
                let is_needed = group.concerns(node.id) || replica.epoch() > recorded;
                let is_kept = is_needed || !rules.may_drop(replica.role());
                if !is_kept {
                    dropped.insert(id, (replica.incarnation(), recorded));
                }
                is_kept
            });
            if !is_kept {
                outbox.group_stopped(id);
            }
            is_kept
        });
        let holds = |id: GroupId, ticket: &Incarnation| {
            directory.group(id).is_ok_and(|group| group.tickets.get(&node.id) == Some(ticket))
        };
        dropped.retain(|&id, (ticket, _)| holds(id, ticket));
    }

    fn pass_epochs_on<B: HostOutbox<A>>(&mut self, now: Instant, outbox: &mut B) {
        if !self.rules.passes_epochs_on() {
            return;
        }
        let directory = self.supervisor.service();
        let is_news = |(id, replica): (GroupId, &Replica<A::Service, R::Replica>)| {
            let start = directory.group(id).ok()?.epoch;
            (start.epoch > replica.epoch()).then_some((id, start))
        };
        let news: Vec<(GroupId, EpochStart)> = self.groups.iter().filter_map(is_news).collect();
        for (group, start) in news {
            self.at_group(group, outbox, |replica, outbox| replica.on_epoch(now, start, outbox));
        }
    }

    /// Starts a replica, as its ticket says.
    fn start_replica<B: HostOutbox<A>>(&mut self, now: Instant, ticket: &Ticket<A::Machine>, outbox: &mut B) {
        let group = ticket.group;
        if self.groups.contains(group) || self.supervisor.service().group(group).is_err() {
            return;
        }
        outbox.group_started(group, ticket);
        let entropy = self.entropy.draw();
        let Self { node, application, rules, groups, own_post, .. } = self;
        let member = Member { id: node.id, epoch: ticket.epoch, options: node.options.groups, entropy };
        let service = application.service(&ticket.machine);
        let (is_member, replica_rules) = (member.epoch.members.contains(node.id), rules.replica());
        let channel = &mut Channel { node: node.id, line: GroupLine(group), outbox, own_post };
        let number = ticket.number;
        let replica = if !rules.begins_anew(ticket.is_clean) {
            Replica::recover(now, member, number, replica_rules, service, channel)
        } else if is_member && member.epoch.epoch == Epoch::ZERO {
            Replica::new(now, member, replica_rules, service).in_incarnation(number)
        } else if is_member {
            Replica::join(now, member, number, replica_rules, service, channel)
        } else {
            let mut replica = Replica::standby(member, replica_rules, service).in_incarnation(number);
            replica.warm_up(now, channel);
            replica
        };
        channel.role_changed(replica.role(), replica.view());
        groups.insert(group, replica);
    }

    // ---- What the supervisor is told and asked ----------------------------------------------------

    /// Whether the directory, as it is known here, shows all that the clerk has done.
    fn knows_its_errands(&self) -> bool {
        self.supervisor.commit_number().covers(self.clerk.done_at)
    }

    /// Sends the clerk out with what is to be done, if it is not on its way.
    fn run_errand<B: HostOutbox<A>>(&mut self, now: Instant, outbox: &mut B) {
        if self.clerk.client.is_waiting() || !self.knows_its_errands() {
            return;
        }
        let Some(errand) = self.errand(now) else { return };
        let Self { node, clerk, own_post, .. } = self;
        let channel = &mut Channel { node: node.id, line: SupervisorLine, outbox, own_post };
        clerk.is_replacing = false;
        if clerk.client.id().is_none() {
            clerk.client.register(now, channel);
        } else {
            clerk.is_replacing = matches!(errand, Operation::Replace { .. });
            clerk.client.request(now, errand, channel).expect("a session, and nothing outstanding");
        }
    }

    fn errand(&self, now: Instant) -> Option<Operation<A::Machine>> {
        self.leave().or_else(|| self.join()).or_else(|| self.report()).or_else(|| self.replace(now))
    }

    /// Nothing of a group is left here. Should it ever come back, the node begins anew.
    fn leave(&self) -> Option<Operation<A::Machine>> {
        let (directory, node) = (self.supervisor.service(), self.node.id);
        if let Some((&group, &(ticket, until))) = self.dropped.first_key_value() {
            return Some(Operation::Leave { group, node, ticket, until: Some(until) });
        }
        directory.groups().iter().find_map(|(&group, known)| {
            let ticket = *known.tickets.get(&node)?;
            let is_lost = !known.concerns(node) && !self.groups.contains(group);
            is_lost.then_some(Operation::Leave { group, node, ticket, until: None })
        })
    }

    /// A group is to run here and does not.
    fn join(&self) -> Option<Operation<A::Machine>> {
        let (mut groups, node) = (self.supervisor.service().groups().iter(), self.node.id);
        let missing = groups.find(|(id, group)| group.concerns(node) && !self.groups.contains(**id));
        missing.map(|(&group, _)| Operation::Join { group, node })
    }

    /// A group has come to an epoch that the directory does not know.
    fn report(&self) -> Option<Operation<A::Machine>> {
        let directory = self.supervisor.service();
        let moved = self.groups.iter().find(|(id, replica)| {
            let is_news = |recorded| self.rules.reports_epoch(replica.role(), replica.epoch(), recorded);
            directory.group(*id).is_ok_and(|group| is_news(group.epoch.epoch))
        });
        moved.map(|(group, replica)| Operation::Moved { group, epoch: replica.epoch_start() })
    }

    /// Nodes seem to be dead, and something can be done about it.
    fn replace(&self, now: Instant) -> Option<Operation<A::Machine>> {
        let (failed, heard) = self.failed_and_heard(now)?;
        let is_needed = !self.supervisor.service().replacements(failed, heard).is_empty();
        is_needed.then_some(Operation::Replace { failed, heard })
    }

    /// Who asks for nodes to be replaced, and does not supervise any more, asks no more: those that it has missed may
    /// be there again by the time that it is heard. What others have prepared already may still be executed.
    fn give_up_replacing(&mut self) {
        let is_asking = self.clerk.is_replacing && self.clerk.client.is_waiting();
        if is_asking && !self.is_supervising() {
            self.replace_clerk();
        }
    }

    /// Another client takes over the errands.
    fn replace_clerk(&mut self) {
        let (address, entropy) = (self.next_address(), self.entropy.draw());
        let clerk = Clerk::new(address, &self.node, self.rules.replica(), entropy);
        self.clerk = Clerk { done_at: self.clerk.done_at, ..clerk };
    }

    pub(super) fn on_supervisor_answer<B: HostOutbox<A>>(
        &mut self,
        now: Instant,
        address: ClientAddress,
        reply: Reply<Response<A::Machine>>,
        outbox: &mut B,
    ) {
        let Self { node, clerk, own_post, .. } = self;
        if address != clerk.client.address() {
            return;
        }
        let channel = &mut Channel { node: node.id, line: SupervisorLine, outbox, own_post };
        let Some(event) = clerk.client.on_reply(now, reply, channel) else { return };
        self.is_settled = false;
        match event {
            ClientEvent::Executed { op_number, response, .. } => {
                self.clerk.done_at = op_number;
                if let Response::Ticket(ticket) = response {
                    self.start_replica(now, &ticket, outbox);
                }
            }
            ClientEvent::Evicted => self.replace_clerk(),
            ClientEvent::Registered(_)
            | ClientEvent::Epoch { .. }
            | ClientEvent::Refused { .. }
            | ClientEvent::Observed { .. } => {}
        }
    }

    // ---- Replacement of the dead -------------------------------------------------------------------

    /// Whether this is the host of the supervisor's primary, which sees to what the directory says of others.
    fn is_supervising(&self) -> bool {
        self.supervisor.role() == Role::Primary
    }

    fn silence(&self, now: Instant, node: ReplicaId) -> Duration {
        now.since(self.vigil.heard[node.index()])
    }

    /// The nodes that have been heard lately, and this one.
    fn heard(&self, now: Instant) -> Configuration {
        let (own, timeout) = (self.node.id, self.node.options.failure_timeout);
        let is_recent = |node: &ReplicaId| *node == own || self.silence(now, *node).doubled(1) < timeout;
        Configuration::of(self.node.nodes.members().filter(is_recent)).expect("this node at least")
    }

    /// How many of these nodes are there for certain: those that have been heard lately, not only given time to show
    /// themselves, and this one.
    fn count_here(&self, now: Instant, nodes: Configuration) -> usize {
        let (own, heard) = (self.node.id, self.heard(now));
        let is_here = |node: &ReplicaId| *node == own || heard.contains(*node) && self.vigil.was_heard(*node);
        nodes.members().filter(is_here).count()
    }

    /// The nodes that have been silent for too long, if it is for this one to say so; and those that were heard lately.
    fn failed_and_heard(&self, now: Instant) -> Option<(Configuration, Configuration)> {
        if !self.is_supervising() {
            return None;
        }
        let heard = self.heard(now);
        if !self.rules.may_suspect(heard.size(), self.node.nodes) {
            return None;
        }
        let timeout = self.node.options.failure_timeout;
        let is_silent = |node: &ReplicaId| self.silence(now, *node) >= timeout;
        let failed = Configuration::of(self.node.nodes.others(self.node.id).filter(is_silent)).ok()?;
        Some((failed, heard))
    }

    /// Shows that this node is alive, and sees to it that it looks at others with its eyes open.
    pub(super) fn keep_vigil<B: HostOutbox<A>>(&mut self, now: Instant, outbox: &mut B) {
        if now < self.vigil.due_at {
            return;
        }
        self.vigil.due_at = now + self.node.options.alive_interval;
        self.is_settled = false;
        if !self.rules.may_suspect(self.heard(now).size(), self.node.nodes) {
            // It is cut off itself. Once it is not any more, it does not hear everybody at once.
            self.vigil.begin(now);
        }
        let own = self.node.id;
        let primary = self.supervisor.primary_of(self.supervisor.view());
        // While it is not normal, it does not know who is primary.
        let is_shown = |to: &ReplicaId| *to == primary || !self.supervisor.is_normal();
        for to in self.node.nodes.others(own).filter(is_shown) {
            outbox.send(to, Envelope { from: own, contents: Contents::Alive });
        }
    }

    /// Where the next client lives: no session is taken up by another client than the one that opened it.
    fn next_address(&mut self) -> ClientAddress {
        let number = self.clients;
        self.clients += 1;
        address_in_host(self.node.id, self.node.incarnation, number)
    }

    /// Carries out what is decided.
    fn move_groups<B: HostOutbox<A>>(&mut self, now: Instant, outbox: &mut B) {
        let directory = self.supervisor.service();
        self.administrators
            .retain(|id, known| directory.group(*id).is_ok_and(|group| group.epoch.epoch <= known.epoch));
        if !self.is_supervising() {
            return;
        }
        let own = |id: GroupId| {
            let (failed, heard) = self.failed_and_heard(now)?;
            directory
                .replacements(failed, heard)
                .into_iter()
                .find_map(|(group, next)| (group == id).then_some(next))
        };
        let wanted = |(&id, group): (&GroupId, &supervisor::Group<A::Machine>)| {
            let next = self.rules.replacement(group.next, || own(id))?;
            self.rules.begins_move(self.count_here(now, next), next).then_some((id, group.epoch, next))
        };
        let moves: Vec<_> = directory.groups().iter().filter_map(wanted).collect();
        for (group, start, next) in moves {
            let entropy = self.entropy.draw();
            let address = (!self.administrators.contains_key(&group)).then(|| self.next_address());
            let Self { node, rules, administrators, own_post, .. } = self;
            if let Some(address) = address {
                let new = Administrator::new(address, node.options.clients, start, rules.replica(), entropy);
                administrators.insert(group, new);
            }
            let administrator = administrators.get_mut(&group).expect("there is one now");
            let channel = &mut Channel { node: node.id, line: GroupLine(group), outbox, own_post };
            administrator.go_on(now, next, channel);
        }
    }

    pub(super) fn on_group_answer<B: HostOutbox<A>>(
        &mut self,
        now: Instant,
        group: GroupId,
        address: ClientAddress,
        reply: Reply<ResponseOf<A>>,
        outbox: &mut B,
    ) {
        let Self { node, administrators, own_post, .. } = self;
        let Some(administrator) = administrators.get_mut(&group) else { return };
        if address != administrator.client.address() {
            return;
        }
        let channel = &mut Channel { node: node.id, line: GroupLine(group), outbox, own_post };
        let Some(event) = administrator.client.on_reply(now, reply, channel) else { return };
        self.is_settled = false;
        match event {
            ClientEvent::Epoch { .. } => administrator.must_check = false,
            ClientEvent::Refused { reason: Refusal::NotStarted, .. } => administrator.must_check = true,
            ClientEvent::Refused { .. } => {
                administrator.rest_until = now + node.options.clients.request_timeout
            }
            ClientEvent::Evicted => _ = administrators.remove(&group),
            ClientEvent::Registered(_) | ClientEvent::Executed { .. } | ClientEvent::Observed { .. } => {}
        }
    }

    // ---- Time --------------------------------------------------------------------------------------

    pub(super) fn clients_deadline(&self) -> Instant {
        let administrators = self.administrators.values().map(|known| known.client.next_deadline());
        administrators.chain([self.clerk.client.next_deadline()]).min().unwrap_or(Instant::NEVER)
    }

    pub(super) fn client_timeouts<B: HostOutbox<A>>(&mut self, now: Instant, outbox: &mut B) {
        let Self { node, clerk, administrators, own_post, .. } = self;
        let channel = &mut Channel { node: node.id, line: SupervisorLine, outbox: &mut *outbox, own_post };
        clerk.client.on_timeout(now, channel);
        for (&group, administrator) in administrators {
            let channel =
                &mut Channel { node: node.id, line: GroupLine(group), outbox: &mut *outbox, own_post };
            administrator.client.on_timeout(now, channel);
        }
    }
}
