//! How a client's calls are made, and how they come to their ends: the same in every world.

use vr::{ClientEvent, Configuration, Instant, OpNumber, Reply, RequestNumber, Rules};

use super::{ClientSlot, Way};
use crate::check::linearizability::Call;
use crate::chronicle::Effect;
use crate::digest;
use crate::environment::{ClientPort, Environment, Event, NOT_IN_THE_LOG};
use crate::marks::Moment;
use crate::node::Node;
use crate::setup::Setup;
use crate::workload::Workload;

impl<W: Workload, R: Rules + Clone> ClientSlot<W, R> {
    // ---- A call begins ---------------------------------------------------------------------------

    /// The client, of a group with these members, registers, or makes the request that it has decided on. Whether it
    /// has made one: then it is the last call of the history.
    pub fn goes_on(&mut self, setup: &Setup, group: Configuration, port: &mut ClientPort<'_, W>) -> bool {
        let now = self.clock.read(port.environment.now);
        if self.client.id().is_none() {
            let (client, group) = (Node::Client(self.slot), port.group_told());
            port.environment.tell(|| Effect::Registers { client, group });
            port.checks().registers(self.slot, self.client.address());
            self.client.register(now, port);
            return false;
        }
        // An application may ask for its session whenever it likes: with one, nothing happens.
        self.client.register(now, port);
        let Some(operation) = self.next.take() else { return false };
        self.way = self.way_of(setup, group, &operation);
        self.begins_call(&operation, port);
        self.asks(now, operation, port);
        self.schedule_impatience(setup, port.environment);
        true
    }

    fn begins_call(&mut self, operation: &W::Operation, port: &mut ClientPort<'_, W>) {
        self.requested += u64::from(self.way == Way::Log);
        let number = if self.way == Way::Log { self.requested } else { NOT_IN_THE_LOG };
        let (group, environment) = (port.group_told(), &mut *port.environment);
        let call = environment.history.len();
        environment.tell(|| Effect::Requests {
            client: Node::Client(self.slot),
            group,
            number: self.decided,
            operation: format!("{operation:?}"),
            call: Some(call),
        });
        let (client, called) = (self.slot.into(), environment.tick());
        environment.history.push(Call { client, operation: operation.clone(), called, returned: None });
        environment.callers.push((self.client.address(), number));
        self.calling = Some(call);
        if self.way == Way::Log {
            self.log_call(call, operation, port);
        } else {
            port.checks().reads(self.slot, self.client.address());
        }
    }

    /// From here on it is the request with the last number.
    fn log_call(&self, call: usize, operation: &W::Operation, port: &mut ClientPort<'_, W>) {
        let (address, number) = (self.client.address(), self.requested);
        if let Some(chronicle) = &mut port.environment.chronicle {
            chronicle.call(address, number, call);
        }
        port.checks().requested(self.slot, address, number, operation);
    }

    fn asks(&mut self, now: Instant, operation: W::Operation, port: &mut ClientPort<'_, W>) {
        if self.way == Way::Log {
            let request = self.client.request(now, operation, port);
            let number = request.map(|request| request.0);
            assert_eq!(number, Ok(self.requested), "the proxy counts as the slot does");
        } else {
            let read = self.client.read(now, operation, self.way.consistency(), port);
            assert_eq!(read, Ok(()), "a client that waits for nothing");
        }
    }

    fn schedule_impatience(&self, setup: &Setup, environment: &mut Environment<W>) {
        if setup.traffic.patience_us > 0 {
            let at = environment.now + setup.traffic.patience_us * 1_000;
            let life = environment.life(Node::Client(self.slot)) as u32;
            environment.queue.push(at, Event::Patience { slot: self.slot, life, request: self.decided });
        }
    }

    /// Whether it still waits for the answer to this request, and may give it up.
    #[must_use]
    pub fn has_lost_patience(&self, life: u32, request: u64, environment: &Environment<W>) -> bool {
        let is_current = environment.life(Node::Client(self.slot)) as u32 == life && self.decided == request;
        is_current && self.calling.is_some() && self.probes.is_none()
    }

    // ---- While it lasts ----------------------------------------------------------------------------

    /// A reply came.
    pub fn hears(
        &mut self,
        reply: Reply<W::Response>,
        port: &mut ClientPort<'_, W>,
    ) -> Option<ClientEvent<W::Response>> {
        let now = self.clock.read(port.environment.now);
        let event = self.client.on_reply(now, reply, port);
        if event.is_none() {
            self.notice_turn_to_log(port);
        }
        event
    }

    /// The timer has fired.
    pub fn fire(&mut self, port: &mut ClientPort<'_, W>) {
        let now = self.clock.read(port.environment.now);
        if self.client.is_waiting() && now >= self.client.next_deadline() {
            port.environment.marks.moment(Moment::RequestRetried);
        }
        self.client.on_timeout(now, port);
        self.notice_turn_to_log(port);
    }

    /// A read that was not answered may have become a request: then it is one to the checks as well.
    fn notice_turn_to_log(&mut self, port: &mut ClientPort<'_, W>) {
        let number = self.client.last_request().0;
        let Some(call) = self.calling.filter(|_| number > self.requested) else { return };
        (self.requested, self.way) = (number, Way::Log);
        port.environment.callers[call] = (self.client.address(), number);
        port.environment.marks.moment(Moment::ReadTurnedToLog);
        let operation = port.environment.history[call].operation.clone();
        self.log_call(call, &operation, port);
    }

    // ---- It ends -------------------------------------------------------------------------------------

    /// Its request was answered.
    pub fn take_answer(
        &mut self,
        number: RequestNumber,
        op_number: OpNumber,
        response: W::Response,
        port: &mut ClientPort<'_, W>,
    ) {
        let call = self.end_call(op_number, &response, port);
        port.checks().answered(self.slot, number.0, op_number, &response);
        let returned = port.environment.tick();
        port.environment.history[call].returned = Some((returned, response));
    }

    /// Its read was answered. One that is causal is held to what its client has seen; it makes no claim that a history
    /// of all clients could be judged by, and stays there as a call without an answer.
    pub fn take_read_answer(
        &mut self,
        op_number: OpNumber,
        response: W::Response,
        port: &mut ClientPort<'_, W>,
    ) {
        let call = self.end_call(op_number, &response, port);
        port.checks().read(self.slot, op_number, matches!(self.way, Way::Causal { .. }));
        let environment = &mut *port.environment;
        let returned = environment.tick();
        if self.way == Way::Fast {
            environment.history[call].returned = Some((returned, response));
            environment.versions.push((op_number, call));
        } else if let Some(stage) = &mut environment.stage {
            let operation = &environment.history[call].operation;
            stage.causal[usize::from(self.slot)] = Some((call, W::found(operation, &response)));
        }
    }

    fn end_call(
        &mut self,
        op_number: OpNumber,
        response: &W::Response,
        port: &mut ClientPort<'_, W>,
    ) -> usize {
        let call = self.calling.take().expect("an answer to what was asked for");
        let (group, environment) = (port.group_told(), &mut *port.environment);
        environment.tell(|| Effect::Answered {
            client: Node::Client(self.slot),
            group,
            number: self.decided,
            op_number: op_number.0,
            response: format!("{response:?}"),
            call: Some(call),
        });
        environment.digest = digest::mix(environment.digest, digest::of(response));
        environment.marks.answered += 1;
        if let Some(probes) = &mut self.probes {
            *probes = probes.saturating_sub(1);
        }
        call
    }

    /// Decides what to ask for next. Whether it asks at once; if it is later, it will be woken.
    pub fn decides(&mut self, setup: &Setup, environment: &mut Environment<W>) -> bool {
        if self.is_done() {
            return false;
        }
        let Some(pause) = self.decide(setup, environment) else { return false };
        if pause == 0 && self.paused_until <= environment.now {
            return true;
        }
        let life = environment.life(Node::Client(self.slot)) as u32;
        environment.queue.push(environment.now + pause, Event::Wake { slot: self.slot, life });
        false
    }
}
