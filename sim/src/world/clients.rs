//! What clients do: register, ask, wait, lose patience, start over.

use vr::{ClientEvent, OpNumber, Rules};

use super::World;
use crate::check::linearizability::Call;
use crate::chronicle::{Cause, Effect};
use crate::client_slot::Way;
use crate::digest;
use crate::environment::{ClientPort, Event, NOT_IN_THE_LOG};
use crate::marks::Moment;
use crate::node::Node;
use crate::workload::Workload;

impl<W: Workload, R: Rules + Clone> World<W, R> {
    pub(super) fn wake(&mut self, slot: u16, life: u32) {
        if self.environment.life(Node::Client(slot)) as u32 != life {
            return;
        }
        let paused_until = self.clients[slot as usize].paused_until;
        if paused_until > self.environment.now {
            return self.postpone(Node::Client(slot), paused_until, Event::Wake { slot, life });
        }
        let client = &self.clients[slot as usize];
        if client.client.is_waiting() || (client.client.id().is_some() && client.next.is_none()) {
            return;
        }
        let node = Node::Client(slot);
        self.environment.begin_step(u64::from(node.number()) << 8 | 2, Cause::ClientActs(node));
        self.client_goes_on(slot);
        self.end_step();
    }

    /// The client registers, or makes the request that it has decided on.
    pub(super) fn client_goes_on(&mut self, slot: u16) {
        if self.setup.administrator() == Some(slot) {
            return self.administrator_goes_on(slot);
        }
        let client = &mut self.clients[slot as usize];
        let now = client.clock.read(self.environment.now);
        if client.client.id().is_none() {
            self.environment.tell(|| Effect::Registers { client: Node::Client(slot), group: 0 });
            let address = client.client.address();
            self.environment.checks.of_client(slot).registers(slot, address);
            client.client.register(now, &mut ClientPort { slot, environment: &mut self.environment });
            return self.schedule_client_timer(slot as usize);
        }
        // An application may ask for its session whenever it likes: with one, nothing happens.
        client.client.register(now, &mut ClientPort { slot, environment: &mut self.environment });
        let Some(operation) = client.next.take() else { return };
        let placement = &self.environment.placement;
        let group = placement.members(placement.group_of_client(slot));
        client.way = client.way_of(&self.setup, group, &operation);
        let (way, asked) = (client.way, client.decided);
        client.requested += u64::from(way == Way::Log);
        let number = if way == Way::Log { client.requested } else { NOT_IN_THE_LOG };
        let address = client.client.address();
        let call = self.environment.history.len();
        self.environment.tell(|| Effect::Requests {
            client: Node::Client(slot),
            group: 0,
            number: asked,
            operation: format!("{operation:?}"),
            call: Some(call),
        });
        if way != Way::Log {
            self.environment.checks.of_client(slot).reads(slot, address);
        } else {
            if let Some(chronicle) = &mut self.environment.chronicle {
                chronicle.call(address, number, call);
            }
            self.environment.checks.of_client(slot).requested(slot, address, number, &operation);
        }
        let called = self.environment.tick();
        client.calling = Some(call);
        self.environment.history.push(Call {
            client: slot.into(),
            operation: operation.clone(),
            called,
            returned: None,
        });
        self.environment.callers.push((address, number));
        let port = &mut ClientPort { slot, environment: &mut self.environment };
        if way == Way::Log {
            let request = client.client.request(now, operation, port);
            assert_eq!(request.map(|request| request.0), Ok(number), "the proxy counts as the slot does");
        } else {
            let read = client.client.read(now, operation, way.consistency(), port);
            assert_eq!(read, Ok(()), "a client that waits for nothing");
        }
        if self.setup.traffic.patience_us > 0 {
            let at = self.environment.now + self.setup.traffic.patience_us * 1_000;
            let life = self.environment.life(Node::Client(slot)) as u32;
            self.environment.queue.push(at, Event::Patience { slot, life, request: asked });
        }
        self.schedule_client_timer(slot as usize);
    }

    pub(super) fn client_hears(&mut self, slot: u16, reply: vr::Reply<W::Response>) {
        let client = &mut self.clients[slot as usize];
        let now = client.clock.read(self.environment.now);
        self.acting = Some(Node::Client(slot));
        let event =
            client.client.on_reply(now, reply, &mut ClientPort { slot, environment: &mut self.environment });
        self.acting = None;
        match event {
            None => {
                self.turn_to_log(slot);
                self.schedule_client_timer(slot as usize);
            }
            Some(ClientEvent::Registered(_)) => self.client_decides(slot),
            Some(ClientEvent::Executed { number, op_number, response }) => {
                let call = client.calling.take().expect("an answer to a request that was made");
                let asked = client.decided;
                self.environment.tell(|| Effect::Answered {
                    client: Node::Client(slot),
                    group: 0,
                    number: asked,
                    op_number: op_number.0,
                    response: format!("{response:?}"),
                    call: Some(call),
                });
                self.environment.digest = digest::mix(self.environment.digest, digest::of(&response));
                self.environment.checks.of_client(slot).answered(slot, number.0, op_number, &response);
                let returned = self.environment.tick();
                self.environment.history[call].returned = Some((returned, response));
                self.call_is_over(slot);
            }
            Some(ClientEvent::Observed { op_number, response }) => {
                self.read_is_answered(slot, op_number, response)
            }
            Some(ClientEvent::Epoch { number, op_number, epoch }) => {
                self.environment
                    .checks
                    .of_client(slot)
                    .answered_administrator(slot, number, op_number, epoch);
                self.epoch_is_known(slot, epoch);
            }
            Some(ClientEvent::Refused { .. }) => self.errand_is_over(slot),
            Some(ClientEvent::Evicted) => {
                self.environment.marks.moment(Moment::ClientEvicted);
                self.start_client_over(slot);
            }
        }
    }

    /// A read was answered. One that is causal is held to what its client has seen; it makes no claim that a history
    /// of all clients could be judged by, and stays there as a call without an answer.
    fn read_is_answered(&mut self, slot: u16, op_number: OpNumber, response: W::Response) {
        let client = &mut self.clients[slot as usize];
        let call = client.calling.take().expect("an answer to a read that was made");
        let (number, way) = (client.decided, client.way);
        self.environment.tell(|| Effect::Answered {
            client: Node::Client(slot),
            group: 0,
            number,
            op_number: op_number.0,
            response: format!("{response:?}"),
            call: Some(call),
        });
        self.environment.digest = digest::mix(self.environment.digest, digest::of(&response));
        self.environment.checks.of_client(slot).read(slot, op_number, matches!(way, Way::Causal { .. }));
        let returned = self.environment.tick();
        if way == Way::Fast {
            self.environment.history[call].returned = Some((returned, response));
            self.environment.versions.push((op_number, call));
        } else if let Some(stage) = &mut self.environment.stage {
            let operation = &self.environment.history[call].operation;
            stage.causal[usize::from(slot)] = Some((call, W::found(operation, &response)));
        }
        self.call_is_over(slot);
    }

    /// A read that was not answered may have become a request: then it is one to the checks as well.
    pub(super) fn turn_to_log(&mut self, slot: u16) {
        let client = &mut self.clients[slot as usize];
        let number = client.client.last_request().0;
        let Some(call) = client.calling.filter(|_| number > client.requested) else { return };
        client.requested = number;
        client.way = Way::Log;
        let address = client.client.address();
        self.environment.callers[call] = (address, number);
        self.environment.marks.moment(Moment::ReadTurnedToLog);
        if let Some(chronicle) = &mut self.environment.chronicle {
            chronicle.call(address, number, call);
        }
        let operation = &self.environment.history[call].operation;
        self.environment.checks.of_client(slot).requested(slot, address, number, operation);
    }

    fn call_is_over(&mut self, slot: u16) {
        self.environment.marks.answered += 1;
        if let Some(probes) = &mut self.clients[slot as usize].probes {
            *probes = probes.saturating_sub(1);
        }
        self.client_decides(slot);
    }

    /// The client decides what to ask for next, and asks at once or later.
    pub(super) fn client_decides(&mut self, slot: u16) {
        if self.setup.administrator() == Some(slot) {
            return self.administrator_goes_on(slot);
        }
        let client = &mut self.clients[slot as usize];
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

    pub(super) fn start_client_over(&mut self, slot: u16) {
        let rules = self.rules.clone();
        self.clients[slot as usize].start_over(&self.setup, rules, &mut self.environment);
        self.environment.tell(|| Effect::StartsOver { client: Node::Client(slot) });
        self.client_goes_on(slot);
    }

    pub(super) fn lose_patience(&mut self, slot: u16, life: u32, request: u64) {
        let client = &self.clients[slot as usize];
        let is_current =
            self.environment.life(Node::Client(slot)) as u32 == life && client.decided == request;
        if !is_current || client.calling.is_none() || client.probes.is_some() {
            return;
        }
        let node = Node::Client(slot);
        self.environment.begin_step(u64::from(node.number()) << 8 | 3, Cause::PatienceLost(node));
        self.environment.marks.moment(Moment::RequestAbandoned);
        self.start_client_over(slot);
        self.end_step();
    }
}
