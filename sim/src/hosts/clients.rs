//! Clients of groups: each works for one group, and for another one once that is stopped.

use vr::{ClientEvent, EpochStart, GroupId, Instant, Reply};

use super::AllRules;
use super::port::ClientPort;
use super::world::World;
use crate::check::linearizability::Call;
use crate::chronicle::{Cause, Effect};
use crate::client_slot::ClientSlot;
use crate::clock::Clock;
use crate::digest;
use crate::environment::{Environment, Event};
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
        let group = *group;
        let now = client.clock.read(self.environment.now);
        let address = client.client.address();
        if client.client.id().is_none() {
            self.environment.tell(|| Effect::Registers { client: Node::Client(slot), group: group.0 });
            self.environment.checks.of_mut(group.0 as usize).registers(slot, address);
            client.client.register(now, &mut ClientPort { slot, group, environment: &mut self.environment });
            return self.schedule_timer(Node::Client(slot));
        }
        let Some(operation) = client.next.take() else { return };
        client.requested += 1;
        let (number, asked) = (client.requested, client.decided);
        let call = self.environment.history.len();
        self.environment.tell(|| Effect::Requests {
            client: Node::Client(slot),
            group: group.0,
            number: asked,
            operation: format!("{operation:?}"),
            call: Some(call),
        });
        if let Some(chronicle) = &mut self.environment.chronicle {
            chronicle.call(address, number, call);
        }
        self.environment.checks.of_mut(group.0 as usize).requested(slot, address, number, &operation);
        let called = self.environment.tick();
        client.calling = Some(call);
        let made = Call { client: slot.into(), operation: operation.clone(), called, returned: None };
        self.environment.history.push(made);
        self.environment.callers.push((address, number));
        self.groups_of_calls.push(group);
        let port = &mut ClientPort { slot, group, environment: &mut self.environment };
        let request = client.client.request(now, operation, port);
        assert_eq!(request.map(|request| request.0), Ok(number), "the proxy counts as the slot does");
        if self.setup.traffic.patience_us > 0 {
            let at = self.environment.now + self.setup.traffic.patience_us * 1_000;
            let life = self.environment.life(Node::Client(slot)) as u32;
            self.environment.queue.push(at, Event::Patience { slot, life, request: asked });
        }
        self.schedule_timer(Node::Client(slot));
    }

    pub(super) fn client_hears(&mut self, slot: u16, group: GroupId, reply: Reply<W::Response>) {
        let client = &mut self.clients[usize::from(slot)].slot;
        let now = client.clock.read(self.environment.now);
        self.acting = Some(Node::Client(slot));
        let port = &mut ClientPort { slot, group, environment: &mut self.environment };
        let event = client.client.on_reply(now, reply, port);
        self.acting = None;
        match event {
            None => self.schedule_timer(Node::Client(slot)),
            Some(ClientEvent::Registered(_)) => self.client_decides(slot),
            Some(ClientEvent::Executed { number, op_number, response }) => {
                let call = client.calling.take().expect("an answer to a request that was made");
                let asked = client.decided;
                self.environment.tell(|| Effect::Answered {
                    client: Node::Client(slot),
                    group: group.0,
                    number: asked,
                    op_number: op_number.0,
                    response: format!("{response:?}"),
                    call: Some(call),
                });
                self.environment.digest = digest::mix(self.environment.digest, digest::of(&response));
                let checks = self.environment.checks.of_mut(group.0 as usize);
                checks.answered(slot, number.0, op_number, &response);
                let returned = self.environment.tick();
                self.environment.history[call].returned = Some((returned, response));
                self.call_is_over(slot);
            }
            Some(ClientEvent::Evicted) => {
                self.environment.marks.moment(Moment::ClientEvicted);
                self.start_client_over(slot);
            }
            Some(ClientEvent::Observed { .. } | ClientEvent::Epoch { .. } | ClientEvent::Refused { .. }) => {
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

    pub(super) fn client_is_impatient(&mut self, slot: u16) {
        let Customer { slot: client, group: Some(group) } = &mut self.clients[usize::from(slot)] else {
            return;
        };
        let now = client.clock.read(self.environment.now);
        if client.client.is_waiting() && now >= client.client.next_deadline() {
            self.environment.marks.moment(Moment::RequestRetried);
        }
        let port = &mut ClientPort { slot, group: *group, environment: &mut self.environment };
        client.client.on_timeout(now, port);
    }

    fn call_is_over(&mut self, slot: u16) {
        self.environment.marks.answered += 1;
        if let Some(probes) = &mut self.clients[usize::from(slot)].slot.probes {
            *probes = probes.saturating_sub(1);
        }
        self.client_decides(slot);
    }

    /// The client decides what to ask for next, and asks at once or later.
    pub(super) fn client_decides(&mut self, slot: u16) {
        let client = &mut self.clients[usize::from(slot)].slot;
        if client.is_done() {
            return;
        }
        let Some(pause) = client.decide(&self.setup, &mut self.environment) else { return };
        if pause == 0 && client.paused_until <= self.environment.now {
            return self.client_goes_on(slot);
        }
        let life = self.environment.life(Node::Client(slot)) as u32;
        self.environment.queue.push(self.environment.now + pause, Event::Wake { slot, life });
    }

    pub(super) fn lose_patience(&mut self, slot: u16, life: u32, request: u64) {
        let client = &self.clients[usize::from(slot)].slot;
        let node = Node::Client(slot);
        let is_current = self.environment.life(node) as u32 == life && client.decided == request;
        if !is_current || client.calling.is_none() || client.probes.is_some() {
            return;
        }
        self.environment.begin_step(u64::from(node.number()) << 8 | 3, Cause::PatienceLost(node));
        self.environment.marks.moment(Moment::RequestAbandoned);
        self.start_client_over(slot);
        self.end_step();
    }
}
