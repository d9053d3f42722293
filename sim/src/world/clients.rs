//! What clients do: register, ask, wait, lose patience, start over.

use vr::{ClientEvent, Rules};

use super::World;
use crate::chronicle::{Cause, Effect};
use crate::environment::{ClientPort, Event};
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
        let placement = &self.environment.placement;
        let group = placement.members(placement.group_of_client(slot));
        let port = &mut ClientPort { slot, group: None, environment: &mut self.environment };
        self.clients[slot as usize].goes_on(&self.setup, group, port);
        self.schedule_client_timer(slot as usize);
    }

    pub(super) fn client_hears(&mut self, slot: u16, reply: vr::Reply<W::Response>) {
        let client = &mut self.clients[slot as usize];
        let port = &mut ClientPort { slot, group: None, environment: &mut self.environment };
        self.acting = Some(Node::Client(slot));
        let event = client.hears(reply, port);
        self.acting = None;
        match event {
            None => self.schedule_client_timer(slot as usize),
            Some(ClientEvent::Registered(_)) => self.client_decides(slot),
            Some(ClientEvent::Executed { number, op_number, response }) => {
                client.take_answer(number, op_number, response, port);
                self.client_decides(slot);
            }
            Some(ClientEvent::Observed { op_number, response }) => {
                client.take_read_answer(op_number, response, port);
                self.client_decides(slot);
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

    /// The client decides what to ask for next, and asks at once or later.
    pub(super) fn client_decides(&mut self, slot: u16) {
        if self.setup.administrator() == Some(slot) {
            return self.administrator_goes_on(slot);
        }
        if self.clients[slot as usize].decides(&self.setup, &mut self.environment) {
            self.client_goes_on(slot);
        }
    }

    pub(super) fn start_client_over(&mut self, slot: u16) {
        let rules = self.rules.clone();
        self.clients[slot as usize].start_over(&self.setup, rules, &mut self.environment);
        self.environment.tell(|| Effect::StartsOver { client: Node::Client(slot) });
        self.client_goes_on(slot);
    }

    pub(super) fn lose_patience(&mut self, slot: u16, life: u32, request: u64) {
        if !self.clients[slot as usize].has_lost_patience(life, request, &self.environment) {
            return;
        }
        let node = Node::Client(slot);
        self.environment.begin_step(u64::from(node.number()) << 8 | 3, Cause::PatienceLost(node));
        self.environment.marks.moment(Moment::RequestAbandoned);
        self.start_client_over(slot);
        self.end_step();
    }
}
