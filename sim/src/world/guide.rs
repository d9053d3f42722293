//! A world is told to go another way than its seed says, and what it reaches is looked at.

use std::sync::Arc;

use vr::{ReplicaId, Rules};

use super::{Phase, World};
use crate::chronicle::Cause;
use crate::faults::{Action, Source, Strike};
use crate::guided::change::What;
use crate::random::{self, Draw, Purpose};
use crate::setup::Setup;
use crate::workload::Workload;

impl<W: Workload, R: Rules + Clone> World<W, R> {
    /// Decides something otherwise, from here on. Only decisions change, those that are recorded: delays
    /// and jitter stay those of the seed, so that a record of the run leads to it again.
    pub fn change(&mut self, what: &What) {
        if !matches!(self.phase, Phase::Faults) || self.is_over() {
            return;
        }
        match what {
            What::Redraw(seed) => self.redraw_decisions(*seed),
            What::Strike(seed) => self.strike_as_well(*seed),
            What::Do(action) => self.do_as_well(action),
            What::Skip => self.skips += 1,
        }
    }

    fn redraw_decisions(&mut self, seed: u64) {
        self.environment.network.redraw_fates(seed);
        self.clients.iter_mut().for_each(|client| client.redraw_operations(seed));
        // What they were about to do at a time stays due at that time.
        self.sources = Source::all(&Setup { seed, ..Setup::clone(&self.setup) });
    }

    fn strike_as_well(&mut self, seed: u64) {
        let mut sources = Source::all(&Setup { seed, ..Setup::clone(&self.setup) });
        if sources.is_empty() {
            return;
        }
        let index = random::stream(seed, Purpose::Guidance).below(sources.len() as u64) as usize;
        let group = self.group_to_strike();
        let strike = sources[index].strike(&self.setup, &self.scene(group));
        match self.on_replicas(group, strike) {
            Strike::Nothing => {}
            Strike::Ambush(ambush) => self.environment.ambushes.push(ambush),
            Strike::Now(action) => self.do_as_well(&action),
        }
    }

    fn do_as_well(&mut self, action: &Action) {
        // A moment later, so that it has a time of its own by which a trace can tell the order.
        self.environment.now += u64::from(self.environment.queue.next_at() > Some(self.environment.now + 1));
        self.environment.begin_step(8, Cause::Fault);
        self.perform(None, action.clone());
        self.end_step();
    }

    /// From here on the faults stop after `steps` steps in all.
    pub fn stop_faults_after(&mut self, steps: u64) {
        self.setup = Arc::new(Setup { steps, ..Setup::clone(&self.setup) });
    }

    /// Looks at the group of a replica, if somebody wants to know what a run reaches.
    #[inline]
    pub(super) fn look_around(&mut self, replica: ReplicaId) {
        let environment = &mut self.environment;
        if let Some(coverage) = &mut environment.coverage {
            let (members, marks) = (&environment.checks[replica].members, &environment.marks);
            coverage.look(environment.steps, environment.now, members, marks);
        }
    }
}
