//! Branching: a world goes on from where it is, and from here on chance decides anew.

use std::sync::Arc;

use vr::{ReplicaId, Rules};

use super::{Phase, World};
use crate::environment::Event;
use crate::faults::Source;
use crate::node::Node;
use crate::random::{self, Purpose};
use crate::setup::Setup;
use crate::stage::Which;
use crate::workload::Workload;

impl<W: Workload, R: Rules + Clone> World<W, R> {
    /// From here on everything is drawn from the streams of `seed`, until the faults stop after `steps`
    /// steps in all. A script or a story is followed no longer: chance takes its place, with the faults of the setup.
    ///
    /// What is on its way stays on its way, and faults that have begun go on.
    pub fn redraw(&mut self, seed: u64, steps: u64) {
        self.setup = Arc::new(Setup { seed, steps, ..Setup::clone(&self.setup) });
        self.environment.network.redraw(seed);
        for (index, slot) in self.replicas.iter_mut().enumerate() {
            let node = Node::Replica(ReplicaId(index as u8));
            slot.jitter = random::stream(seed, Purpose::Jitter(node.number()));
        }
        self.clients.iter_mut().for_each(|client| client.redraw(seed));
        // Those that were at work have their next strike in the queue.
        self.environment.let_go(&Which::default());
        let story = self.environment.stage.take();
        let are_new = self.environment.script.take().is_some() || story.is_some();
        self.sources = Source::all(&self.setup);
        if are_new && matches!(self.phase, Phase::Faults) {
            for index in 0..self.sources.len() {
                let at = self.environment.now + self.sources[index].next_in(&self.setup);
                self.environment.queue.push(at, Event::Strike(index));
            }
            self.let_clients_go_on();
        }
    }

    /// Clients for whom the script had nothing more decide for themselves.
    fn let_clients_go_on(&mut self) {
        for slot in 0..self.setup.clients {
            let client = &mut self.clients[slot as usize];
            if client.client.id().is_some()
                && !client.client.is_waiting()
                && client.next.is_none()
                && let Some(pause) = client.decide(&self.setup, &mut self.environment)
            {
                let life = self.environment.life(Node::Client(slot)) as u32;
                self.environment.queue.push(self.environment.now + pause, Event::Wake { slot, life });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use vr::Standard;

    use super::*;
    use crate::scenario::{Overrides, Scenario};
    use crate::workload::key_value::KeyValue;

    fn world_at(step: u64) -> World<KeyValue, Standard> {
        let setup = Scenario::find("swarm").expect("built in").resolve(3, &Overrides::default());
        let mut world = World::new(Arc::new(setup), Standard, None, true);
        while world.environment.steps < step && world.step() {}
        world
    }

    fn finish(mut world: World<KeyValue, Standard>) -> u64 {
        while world.step() {}
        assert_eq!(world.violation(), None);
        world.environment.digest
    }

    #[test]
    fn a_branch_goes_its_own_way_and_is_repeatable() {
        let trunk = world_at(400);
        let branch = |seed| {
            let mut world = trunk.clone();
            world.redraw(seed, 1_000);
            finish(world)
        };
        assert_ne!(branch(1), branch(2));
        assert_eq!(branch(1), branch(1));
        assert_ne!(branch(1), finish(trunk.clone()));
    }

    #[test]
    fn a_scripted_world_branches_into_chance() {
        let mut recorded = world_at(400);
        let decisions = recorded.take_record().expect("it was recorded");
        let setup = Arc::clone(recorded.setup());
        let script = Arc::new(crate::decisions::Script::new(&decisions));
        let mut world = World::<KeyValue, Standard>::new(setup, Standard, Some(script), false);
        while world.environment.steps < 200 && world.step() {}
        world.redraw(9, 2_000);
        let committed = world.environment.checks.first().ghost.last();
        while world.step() {}
        assert_eq!(world.violation(), None);
        assert!(world.healed_at_step().is_some_and(|step| step >= 2_000));
        assert!(world.environment.checks.first().ghost.last() > committed, "clients go on");
    }
}
