//! Replicas and clients act: a message arrives, a timer fires.

use vr::{Instant, Replica, ReplicaId, Role, Rules, View};

use super::{Phase, UNTIL_RESUMED, World};
use crate::bugs::Sabotage;
use crate::check::liveness;
use crate::chronicle::{Cause, describe};
use crate::digest;
use crate::environment::{ClientPort, Delivery, Event, Postponed, ReplicaPort, slot_of};
use crate::marks::Moment;
use crate::node::Node;
use crate::packet::Packet;
use crate::setup::Expectation;
use crate::workload::Workload;

impl<W: Workload, R: Rules + Clone> World<W, R> {
    pub(super) fn deliver(&mut self, delivery: Delivery<W>) {
        let paused_until = self.paused_until(delivery.to);
        if paused_until > self.environment.now {
            self.environment.waits(delivery.message);
            return self.postpone(delivery.to, paused_until, Event::Deliver(delivery));
        }
        let Delivery { from, mut to, life, message, digest, mut packet } = delivery;
        self.environment.network.arrived(from, to);
        if matches!(self.environment.sabotage, Some(Sabotage::WrongGroup)) {
            to = self.environment.mixed_up(to, &mut packet).unwrap_or(to);
        }
        if let Some(nobody) = self.receiver_is_gone(to, &packet) {
            self.environment.begin_step(digest, Cause::ArrivalAtNobody(message, nobody));
            self.environment.marks.moment(Moment::DeliveredToNobody);
            return self.end_step();
        }
        self.environment.arrives(from, life, message, digest);
        match packet {
            Packet::Peer(message) => {
                self.replica_acts(to, |replica, now, port| replica.on_message(now, message, port));
            }
            Packet::Request(request) => {
                self.replica_acts(to, |replica, now, port| replica.on_request(now, request, port));
            }
            Packet::Read(read) => {
                self.replica_acts(to, |replica, now, port| replica.on_read(now, read, port));
            }
            Packet::Reply(address, reply) => self.client_hears(slot_of(address).0, reply),
            Packet::Mail(_) => unreachable!("there are no hosts here"),
        }
        self.end_step();
    }

    /// Lets something happen to a node when it goes on.
    #[cold]
    pub(super) fn postpone(&mut self, node: Node, until: u64, event: Event<W>) {
        if until == UNTIL_RESUMED {
            self.environment.waiting.push(Postponed { to: node, event });
        } else {
            self.environment.queue.push(until, event);
        }
    }

    pub(super) fn receiver_is_gone(&self, to: Node, packet: &Packet<W::Service>) -> Option<&'static str> {
        match (to, packet) {
            (Node::Replica(replica), _) => {
                self.replicas[replica.index()].replica.is_none().then_some("the replica is down")
            }
            (Node::Client(_), Packet::Reply(address, _)) => {
                let present = self.environment.address_in(slot_of(*address).0);
                (*address != present).then_some("the client is gone")
            }
            (Node::Client(_), _) => unreachable!("only replies go to clients"),
        }
    }

    pub(super) fn paused_until(&self, node: Node) -> u64 {
        match node {
            Node::Replica(replica) => self.replicas[replica.index()].paused_until,
            Node::Client(slot) => self.clients[slot as usize].paused_until,
        }
    }

    /// Lets a replica act and then looks at it.
    pub(super) fn replica_acts(
        &mut self,
        node: Node,
        act: impl FnOnce(&mut Replica<W::Service, R>, Instant, &mut ReplicaPort<'_, W>),
    ) {
        let Node::Replica(id) = node else { unreachable!("a replica acts") };
        let slot = &mut self.replicas[id.index()];
        let Some(replica) = &mut slot.replica else { return };
        let now = slot.clock.read(self.environment.now);
        self.acting = Some(node);
        act(replica, now, &mut ReplicaPort { replica: id, environment: &mut self.environment });
        self.acting = None;
        self.after_replica(id);
    }

    pub(super) fn after_replica(&mut self, id: ReplicaId) {
        let slot = &mut self.replicas[id.index()];
        let Some(replica) = &slot.replica else { return };
        let (role, view) = (replica.role(), replica.view());
        let checks = &mut self.environment.checks[id];
        let (before, view_before) = (checks.members[id].role, checks.members[id].view);
        checks.after_step::<W, R>(id, replica);
        if let Some(chronicle) = &mut self.environment.chronicle {
            chronicle.after(id, Some(describe::state(replica)));
        }
        let state = view.0 << 2 ^ role as u64 ^ replica.op_number().0 << 40 ^ replica.commit_number().0 << 20;
        self.environment.digest = digest::mix(self.environment.digest, state);
        let deadline_changed = slot.clock.read(slot.timer_at.min(u64::MAX >> 2)) > replica.next_deadline();
        if before != Some(role) || view_before != view {
            self.role_changed(id, before, role, view);
        }
        if deadline_changed {
            self.schedule_replica_timer(id.index());
        }
    }

    pub(super) fn role_changed(&mut self, id: ReplicaId, before: Option<Role>, role: Role, view: View) {
        self.environment.tell_of(id, || describe::role_changed(role, view));
        if before == Some(Role::Recovering) && role != Role::Recovering {
            self.environment.marks.moment(Moment::Recovery);
        }
        if self.setup.expect == Expectation::Steady && matches!(self.phase, Phase::Faults) {
            let crashes = self.environment.marks.count(Moment::Crash);
            liveness::steady(id, view, crashes, &mut self.environment.checks[id].findings);
        }
        if matches!(role, Role::Primary | Role::Backup | Role::Witness) {
            self.environment.release(Node::Replica(id), view.0);
        }
        match role {
            Role::Primary => {
                self.replicas[id.index()].was_primary_of = Some(view);
                self.count_primaries(id);
            }
            Role::Backup if self.replicas[id.index()].was_primary_of.take().is_some() => {
                self.environment.marks.moment(Moment::OldPrimaryCaughtUp);
            }
            Role::Stopped => self.environment.marks.moment(Moment::ReplicaStopped),
            _ => {}
        }
        self.look_around(id);
    }

    /// A replica has become primary: what others are at the same time is worth to be counted.
    fn count_primaries(&mut self, id: ReplicaId) {
        let placement = &self.environment.placement;
        let is_primary = |id: &ReplicaId| {
            let replica = self.replicas[id.index()].replica.as_ref();
            replica.is_some_and(|replica| replica.role() == Role::Primary)
        };
        let group = placement.group_of(id);
        if placement.replicas(group).filter(is_primary).count() > 1 {
            self.environment.marks.moment(Moment::TwoPrimaries);
        }
        let mut others = (0..placement.groups()).filter(|&other| other != group);
        let host = placement.host_of(id);
        let is_apart = |id: &ReplicaId| is_primary(id) && placement.host_of(*id) != host;
        if others.any(|other| placement.replicas(other).any(|id| is_apart(&id))) {
            self.environment.marks.moment(Moment::PrimariesApart);
        }
    }

    pub(super) fn schedule_replica_timer(&mut self, index: usize) {
        let slot = &mut self.replicas[index];
        let Some(replica) = &slot.replica else { return };
        let at =
            slot.clock.when(replica.next_deadline()).max(self.environment.now).max(slot.timers_late_until);
        if at < slot.timer_at {
            slot.timer_at = at;
            self.environment.queue.push(at, Event::Timer(Node::Replica(ReplicaId(index as u8))));
        }
    }

    pub(super) fn schedule_client_timer(&mut self, index: usize) {
        let slot = &mut self.clients[index];
        let at = slot.clock.when(slot.client.next_deadline()).max(self.environment.now);
        if at < slot.timer_at {
            slot.timer_at = at;
            self.environment.queue.push(at, Event::Timer(Node::Client(index as u16)));
        }
    }

    /// When the node wants its timer to fire, by its own clock; never if it is down.
    pub(super) fn deadline(&self, node: Node) -> Instant {
        match node {
            Node::Replica(id) => {
                self.replicas[id.index()].replica.as_ref().map_or(Instant::NEVER, Replica::next_deadline)
            }
            Node::Client(slot) => self.clients[slot as usize].client.next_deadline(),
        }
    }

    /// A timer event. Deadlines move away all the time; the event of an earlier one finds that out here,
    /// and is no step.
    pub(super) fn timer(&mut self, node: Node) {
        let now = self.environment.now;
        let (paused_until, deadline) = (self.paused_until(node), self.deadline(node));
        let (timer_at, due) = match node {
            Node::Replica(replica) => {
                let slot = &mut self.replicas[replica.index()];
                (&mut slot.timer_at, slot.clock.read(now) >= deadline && now >= slot.timers_late_until)
            }
            Node::Client(client) => {
                let slot = &mut self.clients[client as usize];
                (&mut slot.timer_at, slot.clock.read(now) >= deadline)
            }
        };
        if *timer_at != now {
            return;
        }
        if paused_until > now {
            *timer_at = paused_until;
            if paused_until == UNTIL_RESUMED {
                return;
            }
            return self.environment.queue.push(paused_until, Event::Timer(node));
        }
        *timer_at = u64::MAX;
        if due { self.fire(node) } else { self.schedule_timer(node) }
    }

    pub(super) fn schedule_timer(&mut self, node: Node) {
        match node {
            Node::Replica(replica) => self.schedule_replica_timer(replica.index()),
            Node::Client(slot) => self.schedule_client_timer(slot as usize),
        }
    }

    /// A node's timer fires.
    pub(super) fn fire(&mut self, node: Node) {
        self.environment.begin_step(u64::from(node.number()) << 8 | 1, Cause::Timer(node));
        match node {
            Node::Replica(_) => self.replica_acts(node, |replica, now, port| {
                replica.on_timeout(now, port);
            }),
            Node::Client(slot) => {
                let port = &mut ClientPort { slot, group: None, environment: &mut self.environment };
                self.clients[slot as usize].fire(port);
            }
        }
        self.schedule_timer(node);
        self.end_step();
    }
}
