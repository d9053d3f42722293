//! After the faults: a core of replicas is brought up and connected, and has to make progress.

use vr::{Replica, ReplicaId, Role, Rules, View};

use super::{Phase, ReplicaSlot, Stable, World};
use crate::check::Property;
use crate::check::liveness::{Liveness, Seen, Unfinished};
use crate::chronicle::Effect;
use crate::decisions::Healed;
use crate::environment::Event;
use crate::faults::lingering::{self, Lingering, Survivors};
use crate::marks::Moment;
use crate::node::Node;
use crate::random::{self, Draw, Purpose};
use crate::stage::Which;
use crate::workload::Workload;

/// How often, in steps after the faults, convergence is looked for.
const LOOK_INTERVAL: u64 = 32;
/// For how many primary timeouts the core must stay in one view to count as stable.
const STABLE_TIMEOUTS: u64 = 4;
/// How many requests each client makes after the faults.
const PROBES: u32 = 2;

/// Links, each with its direction.
type Links = Vec<(Node, Node)>;

impl<W: Workload, R: Rules + Clone> World<W, R> {
    /// The faults stop: a core of replicas is brought up and connected.
    pub(super) fn heal(&mut self) {
        if !matches!(self.phase, Phase::Faults) {
            return;
        }
        let members = &self.environment.checks.members;
        let group = members.group();
        let (holders, amnesiacs): (Vec<_>, Vec<_>) =
            group.members().partition(|&id| !members[id].is_amnesiac());
        let quorum = members.quorum();
        self.healed_at_step = Some(self.environment.steps);
        self.environment.network.heal();
        self.environment.ambushes.clear();
        self.environment.release_all();
        self.environment.let_go(&Which::default());
        let now = self.environment.now;
        let lingering = self.choose_lingering(quorum, &holders);
        let spared =
            |id: &&ReplicaId| lingering.as_ref().is_none_or(|lingering| lingering.lame != Some(**id));
        let able: Vec<ReplicaId> = holders.iter().filter(spared).copied().collect();
        let (core, cut) = match self.scripted_end(quorum, &holders) {
            Some(end) => end,
            None => {
                let mut core = self.choose_core(quorum, &able, &amnesiacs, lingering.is_some());
                if self.setup.spares > 0 {
                    // Whoever was a member may be needed, and whoever is none may become one.
                    core = (0..self.setup.nodes()).map(ReplicaId).collect();
                }
                (core, self.what_stays_cut(lingering))
            }
        };
        self.environment.tell(|| Effect::Healed(core.clone()));
        if !cut.is_empty() {
            self.environment.tell(|| Effect::StaysCut(cut.clone()));
        }
        // A script's heal comes a moment after the time that it says.
        let at = self.environment.script.as_ref().and_then(|script| Some(script.healed.as_ref()?.at));
        let at = at.unwrap_or(now);
        let healed = || Healed { at, core: core.iter().map(|id| id.0).collect(), cut: cut.clone() };
        if let Some(record) = &mut self.environment.record {
            record.healed = Some(healed());
        }
        if let Some(recording) = &mut self.environment.recording {
            recording.timeline.healed = Some(healed());
        }
        self.isolate_the_rest(&core, &cut);
        self.environment.network.cut(&cut);
        self.wake_everybody(&core);
        if holders.len() < quorum {
            // Messages that were on their way may still be answered; then silence.
            let until = now + self.setup.protocol.view_change_timeout_us * 1_000 * 40;
            // With f + 1 of an even group the lost ones can recover, if the primary is among them.
            let demanded = holders.len() <= self.environment.checks.members.failures_tolerated();
            self.phase = Phase::Stuck { until, calls_before: self.environment.history.len(), demanded };
        } else {
            let views = self.environment.checks.views_started();
            let liveness = Liveness::new(&self.setup, now, views, !cut.is_empty());
            self.phase = Phase::Progress { core, cut, liveness, stable: None };
        }
    }

    /// Nothing will ever happen again. Under faults they stop; after them, nobody may be waiting.
    pub(super) fn nothing_left(&mut self) {
        match &self.phase {
            Phase::Faults => self.heal(),
            Phase::Progress { .. } => {
                let witness =
                    "no timer is running and no message is on its way, but the group has not settled";
                self.environment.checks.findings.add(Property::L6, "nothing left to happen", witness);
            }
            Phase::Stuck { .. } | Phase::Over => self.phase = Phase::Over,
        }
    }

    /// A fault that stays, if the scenario wants one and the group can stand it.
    fn choose_lingering(&self, quorum: usize, holders: &[ReplicaId]) -> Option<Lingering> {
        let may_linger = self.environment.script.is_none() && self.setup.spares == 0;
        let faults = self.setup.faults.lingering.as_ref().filter(|_| may_linger)?;
        let replicas: Vec<ReplicaId> = (0..self.setup.replicas).map(ReplicaId).collect();
        let is_up = |id: &&ReplicaId| self.replicas[id.index()].replica.is_some();
        let healthy: Vec<ReplicaId> = holders.iter().filter(is_up).copied().collect();
        let scene = self.scene();
        let (primary, clients) = (scene.primary(scene.view), self.setup.clients);
        let survivors = Survivors { replicas: &replicas, healthy: &healthy, primary, clients, quorum };
        let random = &mut random::stream(self.setup.seed, Purpose::Lingering);
        lingering::choose(random, &faults.shapes, survivors)
    }

    /// The core, and the links that stay cut, if a script says what they are.
    fn scripted_end(&self, quorum: usize, holders: &[ReplicaId]) -> Option<(Vec<ReplicaId>, Links)> {
        let healed = self.environment.script.as_ref()?.healed.as_ref()?;
        let core: Vec<_> = healed.core.iter().copied().map(ReplicaId).collect();
        let remembers = |id: &&ReplicaId| holders.contains(id);
        // Where the run has become another one, the core may not be one any more: it could not make
        // progress, and nobody would be at fault.
        if core.iter().filter(remembers).count() >= quorum || holders.len() < quorum {
            return Some((core, healed.cut.clone()));
        }
        Some(((0..self.setup.nodes()).map(ReplicaId).collect(), Vec::new()))
    }

    fn what_stays_cut(&mut self, lingering: Option<Lingering>) -> Links {
        let Some(lingering) = lingering else { return Links::new() };
        self.environment.marks.lingers(lingering.shape);
        lingering.links
    }

    /// Everybody, or a quorum of those who have their memory and some of those who have not. Everybody, too,
    /// where a fault stays: all that can be spared is taken up by it.
    fn choose_core(
        &mut self,
        quorum: usize,
        holders: &[ReplicaId],
        amnesiacs: &[ReplicaId],
        fault_stays: bool,
    ) -> Vec<ReplicaId> {
        let mut random = random::stream(self.setup.seed, Purpose::Heal);
        let everybody = random.chance(500_000)
            || holders.len() < quorum
            || fault_stays
            || self.environment.stage.is_some();
        let mut core = holders.to_vec();
        if !everybody {
            let size = quorum as u64 + random.below((holders.len() - quorum) as u64 + 1);
            while core.len() as u64 > size {
                core.remove(random.below(core.len() as u64) as usize);
            }
            self.environment.marks.moment(Moment::SmallCore);
        }
        for &id in amnesiacs {
            if everybody || random.chance(500_000) {
                core.push(id);
                self.environment.marks.moment(Moment::CoreRecovers);
            }
        }
        core.sort_unstable();
        core
    }

    /// Cuts off who is not in the core, unless it is there as a fault that stays.
    pub(super) fn isolate_the_rest(&mut self, core: &[ReplicaId], cut: &[(Node, Node)]) {
        let replicas = (0..self.setup.nodes()).map(|id| Node::Replica(ReplicaId(id)));
        let nodes: Vec<Node> = replicas.chain((0..self.setup.client_slots()).map(Node::Client)).collect();
        let stays = |node: &Node| cut.iter().any(|(_, to)| to == node);
        let outside = |node: &Node| matches!(node, Node::Replica(id) if !core.contains(id)) && !stays(node);
        let links: Vec<(Node, Node)> = nodes
            .iter()
            .flat_map(|&from| nodes.iter().map(move |&to| (from, to)))
            .filter(|(from, to)| from != to && (outside(from) || outside(to)))
            .collect();
        self.environment.network.cut(&links);
    }

    /// Pauses end, crashed members of the core start again, clients make their last requests.
    pub(super) fn wake_everybody(&mut self, core: &[ReplicaId]) {
        let now = self.environment.now;
        self.environment.hand_over_waiting(|_| true);
        for index in 0..self.replicas.len() {
            self.replicas[index].paused_until = 0;
            self.replicas[index].timers_late_until = 0;
            self.schedule_replica_timer(index);
            let id = ReplicaId(index as u8);
            if self.replicas[index].replica.is_none() && core.contains(&id) {
                self.environment.queue.push(now, Event::Restart(id));
            }
        }
        for slot in 0..self.setup.clients {
            let client = &mut self.clients[slot as usize];
            client.paused_until = 0;
            client.probes = Some(PROBES);
            let idle = client.client.id().is_some() && !client.client.is_waiting();
            if idle && client.next.is_none() {
                client.decide(&self.setup, &mut self.environment);
            }
            let life = self.environment.life(Node::Client(slot)) as u32;
            self.environment.queue.push(now, Event::Wake { slot, life });
            self.schedule_client_timer(slot as usize);
        }
    }

    /// What remains to be done of reconfigurations.
    fn unfinished(&self) -> Unfinished {
        let members = &self.environment.checks.members;
        let group = members.group();
        let having = |roles: fn(Role) -> bool, is_member: bool| -> Vec<u16> {
            let ids = (0..self.setup.nodes()).map(ReplicaId).filter(|&id| group.contains(id) == is_member);
            ids.filter(|&id| members[id].role.is_some_and(roles)).map(|id| id.0.into()).collect()
        };
        Unfinished {
            administrator: self.administrator_waits(),
            transitioning: having(|role| role == Role::Transitioning, true),
            replaced: having(|role| !matches!(role, Role::Stopped | Role::Standby), false),
        }
    }

    pub(super) fn look(&mut self) {
        let now = self.environment.now;
        let unfinished = if self.setup.spares > 0 && self.environment.steps.is_multiple_of(LOOK_INTERVAL) {
            self.unfinished()
        } else {
            Unfinished::default()
        };
        match &mut self.phase {
            Phase::Progress { core, cut, liveness, stable } => {
                if !self.environment.steps.is_multiple_of(LOOK_INTERVAL) {
                    return;
                }
                let group = self.environment.checks.members.group();
                let members = core.iter().filter(|&&id| group.contains(id));
                let mut seen: Vec<Seen> =
                    members.map(|&id| seen::<W, R>(id, &self.replicas[id.index()])).collect();
                exempt_deaf(&mut seen, cut);
                let waiting: Vec<u16> = self
                    .clients
                    .iter()
                    .take(self.setup.clients.into())
                    .filter(|client| !client.is_done())
                    .map(|client| client.slot)
                    .collect();
                let settled = (waiting.is_empty() && unfinished.is_nothing() && Liveness::converged(&seen))
                    .then(|| seen[0].view);
                *stable = settled.map(|view| match *stable {
                    Some(stable) if stable.view == view => stable,
                    _ => Stable { since: now, view },
                });
                let calm = STABLE_TIMEOUTS * self.setup.protocol.primary_timeout_us * 1_000;
                if stable.is_some_and(|stable| now - stable.since >= calm) {
                    Liveness::settled(&seen, &mut self.environment.checks.findings);
                    self.phase = Phase::Over;
                    return;
                }
                let checks = &mut self.environment.checks;
                let views = checks.views_started();
                liveness.look(now, &seen, &waiting, &unfinished, views, &mut checks.findings);
                if now >= liveness.bound() {
                    // Where what is wrong is not to be reported, waiting longer shows nothing else.
                    self.phase = Phase::Over;
                }
            }
            Phase::Stuck { until, calls_before, demanded } => {
                // An answer that was on its way may still complete a recovery.
                let members = &self.environment.checks.members;
                let holders = members.iter().filter(|member| !member.is_amnesiac()).count();
                *demanded &= holders <= members.failures_tolerated();
                let answered =
                    self.environment.history[*calls_before..].iter().any(|call| call.returned.is_some());
                if answered && *demanded {
                    let witness =
                        "a request was answered although more memory was lost than the group can stand";
                    self.environment.checks.findings.add(Property::Stuck, "answered", witness);
                }
                if now >= *until {
                    self.phase = Phase::Over;
                }
            }
            Phase::Faults | Phase::Over => {}
        }
    }
}

/// Leaves out who does not hear the primary: where it is cannot be known there.
fn exempt_deaf(core: &mut Vec<Seen>, cut: &[(Node, Node)]) {
    let primaries = core.iter().filter(|seen| seen.role == Some(Role::Primary));
    let Some(primary) = primaries.max_by_key(|seen| seen.view).map(|seen| seen.replica) else { return };
    let link = |seen: &Seen| (Node::Replica(ReplicaId(primary)), Node::Replica(ReplicaId(seen.replica)));
    core.retain(|seen| !cut.contains(&link(seen)));
}

fn seen<W: Workload, R: Rules>(id: ReplicaId, slot: &ReplicaSlot<W, R>) -> Seen {
    let replica = slot.replica.as_ref();
    Seen {
        replica: id.0,
        role: replica.map(Replica::role),
        view: replica.map_or(View::ZERO, Replica::view),
        op_number: replica.map_or(0, |replica| replica.op_number().0),
        commit_number: replica.map_or(0, |replica| replica.commit_number().0),
        state: replica.map_or(0, |replica| W::digest(replica.service())),
        fetching: replica.is_some_and(Replica::is_fetching),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vr::Standard;

    use super::*;
    use crate::scenario::{Overrides, Scenario};
    use crate::workload::key_value::KeyValue;

    fn world(scenario: &str, seed: u64) -> World<KeyValue, Standard> {
        let setup = Scenario::find(scenario).expect("built in").resolve(seed, &Overrides::default());
        World::new(Arc::new(setup), Standard, None, false)
    }

    fn found(world: &World<KeyValue, Standard>) -> Option<Property> {
        world.violation().map(|violation| violation.property)
    }

    #[test]
    fn an_answer_when_the_group_should_be_stuck_is_a_violation() {
        let mut stuck = (0..100).map(|seed| world("beyond-the-budget", seed)).find_map(|mut world| {
            while world.step() {
                if matches!(world.phase, Phase::Stuck { demanded: true, .. })
                    && !world.environment.history.is_empty()
                {
                    return Some(world);
                }
            }
            None
        });
        let world = stuck.as_mut().expect("a run whose group is stuck");
        let call = world.environment.history[0].clone();
        world.environment.history.push(call);
        while world.step() {}
        assert_eq!(found(world), Some(Property::Stuck));
    }

    #[test]
    fn a_group_in_which_nothing_will_happen_any_more_stands_still() {
        let mut world = world("calm", 1);
        while matches!(world.phase, Phase::Faults) {
            world.step();
        }
        while world.environment.queue.pop().is_some() {}
        world.step();
        assert_eq!(found(&world), Some(Property::L6));
    }
}
