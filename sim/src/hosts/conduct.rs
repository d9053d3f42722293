//! How a run of hosts is conducted, recorded and led another way.

use std::sync::Arc;

use vr::ReplicaId;

use super::AllRules;
use super::world::{Phase, World};
use crate::chronicle::{Cause, Chronicle};
use crate::decisions::Decisions;
use crate::environment::{Environment, Event};
use crate::faults::{Source, Strike};
use crate::guided::change::What;
use crate::node::Node;
use crate::random::{self, Draw, Purpose};
use crate::run::Simulated;
use crate::setup::Setup;
use crate::workload::Workload;

impl<W: Workload, R: AllRules> Simulated for World<W, R> {
    type Workload = W;

    fn step(&mut self) -> bool {
        Self::step(self)
    }

    fn is_over(&self) -> bool {
        Self::is_over(self)
    }

    fn setup(&self) -> &Arc<Setup> {
        &self.setup
    }

    fn environment(&self) -> &Environment<W> {
        &self.environment
    }

    fn environment_mut(&mut self) -> &mut Environment<W> {
        &mut self.environment
    }

    fn acting(&self) -> Option<Node> {
        self.acting
    }

    fn healed_at_step(&self) -> Option<u64> {
        self.healed_at_step
    }

    fn budget_exceeded(&self) -> bool {
        false
    }

    fn keep_chronicle(&mut self) {
        let placement = Arc::clone(&self.environment.placement);
        self.environment.chronicle = Some(Box::new(Chronicle::new(placement)));
        (0..self.setup.replicas).for_each(|host| self.tell_states(ReplicaId(host)));
    }

    fn take_record(&mut self) -> Option<Box<Decisions<W::Operation>>> {
        self.environment.record.take()
    }

    fn redraw(&mut self, seed: u64, steps: u64) {
        self.setup = Arc::new(Setup { seed, steps, ..Setup::clone(&self.setup) });
        self.environment.network.redraw(seed);
        for (id, slot) in (0..).map(ReplicaId).zip(&mut self.hosts) {
            slot.jitter = random::stream(seed, Purpose::Jitter(Node::Replica(id).number()));
        }
        self.clients.iter_mut().for_each(|client| client.slot.redraw(seed));
        let was_scripted = self.environment.script.take().is_some();
        self.sources = Source::all(&self.setup);
        if was_scripted && matches!(self.phase, Phase::Faults) {
            // Those that were at work have their next strike in the queue.
            for index in 0..self.sources.len() {
                let at = self.environment.now + self.sources[index].next_in(&self.setup);
                self.environment.queue.push(at, Event::Strike(index));
            }
            let idle = |slot: &u16| self.clients[usize::from(*slot)].has_nothing_to_do();
            let idle: Vec<u16> = (0..self.setup.clients).filter(idle).collect();
            idle.into_iter().for_each(|slot| self.client_decides(slot));
        }
    }

    fn stop_faults_after(&mut self, steps: u64) {
        self.setup = Arc::new(Setup { steps, ..Setup::clone(&self.setup) });
    }

    fn change(&mut self, what: &What) {
        if !matches!(self.phase, Phase::Faults) || self.is_over() {
            return;
        }
        match what {
            What::Redraw(seed) => {
                self.environment.network.redraw_fates(*seed);
                self.clients.iter_mut().for_each(|client| client.slot.redraw_operations(*seed));
                // What they were about to do at a time stays due at that time.
                self.sources = Source::all(&Setup { seed: *seed, ..Setup::clone(&self.setup) });
            }
            What::Strike(seed) => {
                let mut sources = Source::all(&Setup { seed: *seed, ..Setup::clone(&self.setup) });
                let index = random::stream(*seed, Purpose::Guidance).below(sources.len() as u64) as usize;
                match sources[index].strike(&self.setup, &self.scene()) {
                    Strike::Nothing => {}
                    Strike::Ambush(ambush) => self.environment.ambushes.push(ambush),
                    Strike::Now(action) => self.change(&What::Do(action)),
                }
            }
            What::Do(action) => {
                // A moment later, so that it has a time of its own by which a trace can tell the order.
                let is_free = self.environment.queue.next_at() > Some(self.environment.now + 1);
                self.environment.now += u64::from(is_free);
                self.environment.begin_step(8, Cause::Fault);
                self.perform(None, action.clone());
                self.end_step();
            }
            What::Skip => self.skips += 1,
        }
    }

    fn audit(&mut self) {
        for (id, slot) in (0..).map(ReplicaId).zip(&self.hosts) {
            let Some(host) = &slot.host else { continue };
            let checks = &mut self.environment.checks;
            checks.first_mut().audit::<super::Supervising, R>(id, host.supervisor());
            for (group, replica) in host.groups() {
                checks.of_mut(group.0 as usize).audit::<W, R>(id, replica);
            }
        }
    }

    fn group_of_call(&self, call: usize) -> usize {
        self.groups_of_calls[call].0 as usize
    }
}
