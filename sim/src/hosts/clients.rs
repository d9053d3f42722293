//! Clients of groups: each works for one group, and for another one once that is stopped.

use vr::{ClientEvent, EpochStart, GroupId, Instant, Reply};

use super::AllRules;
use super::world::World;
use crate::chronicle::{Cause, Effect};
use crate::client_slot::ClientSlot;
use crate::clock::Clock;
use crate::environment::{ClientPort, Environment, Event};
use crate::marks::Moment;
use crate::node::Node;
use crate::setup::Setup;
use crate::workload::Workload;

/// A client slot, and for which group it works.
pub(super) struct Customer<W: Workload, R: AllRules> {
    pub(super) slot: ClientSlot<W, R>,
    /// None: its group was stopped, or is not started yet.
    pub(super) group: Option<GroupId>,
}

impl<W: Workload, R: AllRules> Customer<W, R> {
    pub(super) fn new(
        setup: &Setup,
        slot: u16,
        clock: Clock,
        rules: R,
        environment: &mut Environment<W>,
    ) -> Self {
        Self { slot: ClientSlot::new(setup, slot, clock, rules, environment), group: None }
    }

    /// Whether it is at work, and waits for nothing.
    pub(super) fn has_nothing_to_do(&self) -> bool {
        let client = &self.slot.client;
        self.group.is_some() && client.id().is_some() && !client.is_waiting() && self.slot.next.is_none()
    }

    /// When it wants its timer to fire: never, if it works for nobody.
    pub(super) fn deadline(&self) -> Instant {
        if self.group.is_some() { self.slot.client.next_deadline() } else { Instant::NEVER }
    }

    /// Whether it has made all the requests that it was to make after the faults, or has nobody to make them to.
    pub(super) fn is_done(&self) -> bool {
        self.group.is_none() || self.slot.is_done()
    }
}

impl<W: Workload, R: AllRules> World<W, R> {
    /// A client goes to work for a group, of which it is told where it is.
    pub(super) fn employ(&mut self, slot: u16, group: GroupId, start: EpochStart) {
        let rules = self.rules.clone();
        let customer = &mut self.clients[usize::from(slot)];
        customer.slot.start_over_at(&self.setup, start, rules, &mut self.environment);
        customer.slot.client.search_on(self.environment.placement.members(0));
        customer.group = Some(group);
        self.environment.tell(|| Effect::StartsOver { client: Node::Client(slot) });
        self.client_goes_on(slot);
    }

    /// Another client takes the place of one, and works for the same group if that runs; else for the one that has
    /// the fewest clients.
    pub(super) fn start_client_over(&mut self, slot: u16) {
        let clients = &self.clients;
        let count = |group: GroupId| clients.iter().filter(|other| other.group == Some(group)).count();
        let present = clients[usize::from(slot)].group;
        let groups = self.ledger.groups();
        let kept = present.and_then(|group| Some((group, groups.get(&group)?.epoch)));
        let other =
            || groups.iter().min_by_key(|(id, _)| (count(**id), **id)).map(|(id, it)| (*id, it.epoch));
        match kept.or_else(other) {
            Some((group, start)) => self.employ(slot, group, start),
            None => self.clients[usize::from(slot)].group = None,
        }
    }

    pub(super) fn wake(&mut self, slot: u16, life: u32) {
        let node = Node::Client(slot);
        if self.environment.life(node) as u32 != life {
            return;
        }
        if slot == self.user.slot {
            self.environment.begin_step(u64::from(node.number()) << 8 | 2, Cause::ClientActs(node));
            self.user_goes_on();
            return self.end_step();
        }
        let customer = &self.clients[usize::from(slot)];
        if customer.slot.paused_until > self.environment.now {
            return self.environment.queue.push(customer.slot.paused_until, Event::Wake { slot, life });
        }
        let client = &customer.slot.client;
        let has_nothing = client.id().is_some() && customer.slot.next.is_none();
        if customer.group.is_none() || client.is_waiting() || has_nothing {
            return;
        }
        self.environment.begin_step(u64::from(node.number()) << 8 | 2, Cause::ClientActs(node));
        self.client_goes_on(slot);
        self.end_step();
    }

    /// The client registers, or makes the request that it has decided on.
    fn client_goes_on(&mut self, slot: u16) {
        let Customer { slot: client, group: Some(group) } = &mut self.clients[usize::from(slot)] else {
            return;
        };
        // It reads from whom it knows to be members.
        let members = client.client.group();
        let port = &mut ClientPort { slot, group: Some(*group), environment: &mut self.environment };
        if client.goes_on(&self.setup, members, port) {
            self.groups_of_calls.push(*group);
        }
        self.schedule_timer(Node::Client(slot));
    }

    pub(super) fn client_hears(&mut self, slot: u16, group: GroupId, reply: Reply<W::Response>) {
        let client = &mut self.clients[usize::from(slot)].slot;
        let port = &mut ClientPort { slot, group: Some(group), environment: &mut self.environment };
        self.acting = Some(Node::Client(slot));
        let event = client.hears(reply, port);
        self.acting = None;
        match event {
            None => self.schedule_timer(Node::Client(slot)),
            Some(ClientEvent::Registered(_)) => self.client_decides(slot),
            Some(ClientEvent::Executed { number, op_number, response }) => {
                client.take_answer(number, op_number, response, port);
                self.client_decides(slot);
            }
            Some(ClientEvent::Observed { op_number, response }) => {
                client.take_read_answer(op_number, response, port);
                self.client_decides(slot);
            }
            Some(ClientEvent::Evicted) => {
                self.environment.marks.moment(Moment::ClientEvicted);
                self.start_client_over(slot);
            }
            Some(ClientEvent::Epoch { .. } | ClientEvent::Refused { .. }) => {
                unreachable!("it has asked for no such thing")
            }
        }
    }

    /// A host says that the group was stopped.
    pub(super) fn client_hears_of_end(&mut self, slot: u16, group: GroupId) {
        if self.clients[usize::from(slot)].group == Some(group) {
            self.environment.marks.moment(Moment::ClientToldOfStop);
            self.start_client_over(slot);
        }
    }

    pub(super) fn fire_client(&mut self, slot: u16) {
        let Customer { slot: client, group: Some(group) } = &mut self.clients[usize::from(slot)] else {
            return;
        };
        let port = &mut ClientPort { slot, group: Some(*group), environment: &mut self.environment };
        client.fire(port);
    }

    /// The client decides what to ask for next, and asks at once or later.
    pub(super) fn client_decides(&mut self, slot: u16) {
        let client = &mut self.clients[usize::from(slot)].slot;
        if client.decides(&self.setup, &mut self.environment) {
            self.client_goes_on(slot);
        }
    }

    pub(super) fn lose_patience(&mut self, slot: u16, life: u32, request: u64) {
        let client = &self.clients[usize::from(slot)].slot;
        let node = Node::Client(slot);
        if !client.has_lost_patience(life, request, &self.environment) {
            return;
        }
        self.environment.begin_step(u64::from(node.number()) << 8 | 3, Cause::PatienceLost(node));
        self.environment.marks.moment(Moment::RequestAbandoned);
        self.start_client_over(slot);
        self.end_step();
    }
}
