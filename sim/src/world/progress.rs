//! After the faults: a core of replicas is brought up and connected, and has to make progress.

use rand_chacha::ChaCha8Rng;
use vr::{ReplicaId, Role, Rules};

use super::{Ending, Phase, Stable, World};
use crate::check::Property;
use crate::check::linearizability::Call;
use crate::check::liveness::{Liveness, Seen, Unfinished};

use crate::environment::Event;
use crate::faults::lingering::{self, Lingering};
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

/// The members of a group when the faults stop.
struct Survivors {
    /// Those that have their memory.
    holders: Vec<ReplicaId>,
    /// Those that have not.
    amnesiacs: Vec<ReplicaId>,
    /// How many make a quorum.
    quorum: usize,
}

impl<W: Workload, R: Rules + Clone> World<W, R> {
    /// The faults stop: a core of replicas is brought up and connected.
    #[cold]
    pub(super) fn heal(&mut self) {
        if !matches!(self.phase, Phase::Faults) {
            return;
        }
        let survivors: Vec<Survivors> =
            (0..self.environment.placement.groups()).map(|group| self.survivors(group)).collect();
        self.healed_at_step = Some(self.environment.steps);
        self.environment.network.heal();
        self.environment.ambushes.clear();
        self.environment.release_all();
        self.environment.let_go(&Which::default());
        let lingering = self.choose_lingering(&survivors);
        let (core, cut) = match self.scripted_end(&survivors) {
            Some(end) => end,
            None => {
                let core = self.choose_cores(&survivors, lingering.as_ref());
                (core, self.what_stays_cut(lingering))
            }
        };
        self.environment.note_healed(&core, &cut);
        self.isolate_the_rest(&core, &cut);
        self.environment.network.cut(&cut);
        self.wake_everybody(&core);
        let endings = survivors.iter().enumerate().map(|(group, survivors)| {
            let replicas = self.environment.placement.numbers(group);
            let core = core.iter().copied().filter(|id| replicas.contains(&id.0)).collect();
            self.ending(group, survivors, core, !cut.is_empty())
        });
        self.phase = Phase::Ending { endings: endings.collect(), cut };
    }

    /// Who has the memory of a group, and who has not.
    fn survivors(&self, group: usize) -> Survivors {
        let members = &self.environment.checks.of(group).members;
        let (holders, amnesiacs) = members.group().members().partition(|&id| !members[id].is_amnesiac());
        Survivors { holders, amnesiacs, quorum: members.quorum() }
    }

    /// What is demanded of a group.
    fn ending(&self, group: usize, survivors: &Survivors, core: Vec<ReplicaId>, in_spite: bool) -> Ending {
        let (now, checks) = (self.environment.now, self.environment.checks.of(group));
        let holders = survivors.holders.len();
        if holders < survivors.quorum {
            // Messages that were on their way may still be answered; then silence.
            let until = now + self.setup.protocol.view_change_timeout_us * 1_000 * 40;
            // With f + 1 of an even group the lost ones can recover, if the primary is among them.
            let demanded = holders <= checks.members.failures_tolerated();
            return Ending::Stuck { until, calls_before: self.environment.history.len(), demanded };
        }
        let replicas = self.environment.placement.numbers(group).len();
        let liveness = Liveness::new(&self.setup, replicas, now, checks.views_started(), in_spite);
        Ending::Progress { core, liveness, stable: None }
    }

    /// Nothing will ever happen again. Under faults they stop; after them, nobody may be waiting.
    #[cold]
    pub(super) fn nothing_left(&mut self) {
        let Phase::Ending { endings, .. } = &self.phase else { return self.heal() };
        let unsettled = endings.iter().position(|ending| matches!(ending, Ending::Progress { .. }));
        let Some(group) = unsettled else {
            self.phase = Phase::Over;
            return;
        };
        let witness = "no timer is running and no message is on its way, but the group has not settled";
        self.environment.checks.of_mut(group).findings.add(Property::L6, "nothing left to happen", witness);
    }

    /// A fault that stays, if the scenario wants one and every group can stand it; it aims at one of them. What it says
    /// is about hosts.
    fn choose_lingering(&self, survivors: &[Survivors]) -> Option<Lingering> {
        let may_linger = self.environment.script.is_none() && self.setup.spares == 0;
        let faults = self.setup.faults.lingering.as_ref().filter(|_| may_linger)?;
        let random = &mut random::stream(self.setup.seed, Purpose::Lingering);
        let placement = &self.environment.placement;
        let is_up = |id: &&ReplicaId| self.replicas[id.index()].replica.is_some();
        let up = |survivors: &Survivors| survivors.holders.iter().filter(is_up).copied().collect::<Vec<_>>();
        let can_spare = |survivors: &Survivors| up(survivors).len() > survivors.quorum;
        let aim = if survivors.len() == 1 { 0 } else { random.below(survivors.len() as u64) as usize };
        if survivors.len() > 1 && !survivors.iter().all(can_spare) {
            return None;
        }
        let host = |id: ReplicaId| ReplicaId(placement.host_of(id));
        let replicas: Vec<ReplicaId> = placement.replicas(aim).map(host).collect();
        // A host is healthy if all its replicas are: a link that another group can stand may be all that a recovery needs.
        let remembers = |id: ReplicaId| survivors[placement.group_of(id)].holders.contains(&id);
        let is_healthy = |host: &ReplicaId| placement.on_host(host.0).all(remembers);
        let healthy: Vec<ReplicaId> = up(&survivors[aim]).into_iter().map(host).filter(is_healthy).collect();
        let scene = self.scene(aim);
        let choice = lingering::Survivors {
            replicas: &replicas,
            healthy: &healthy,
            primary: scene.primary(scene.view),
            clients: self.setup.clients,
            quorum: survivors[aim].quorum,
        };
        lingering::choose(random, &faults.shapes, choice)
    }

    /// The core, and the links that stay cut, if a script says what they are.
    fn scripted_end(&self, survivors: &[Survivors]) -> Option<(Vec<ReplicaId>, Links)> {
        let healed = self.environment.script.as_ref()?.healed.as_ref()?;
        let core: Vec<_> = healed.core.iter().copied().map(ReplicaId).collect();
        // Where the run has become another one, the core may not be one any more: it could not make
        // progress, and nobody would be at fault.
        let suffices = |survivors: &Survivors| {
            let remembers = |id: &&ReplicaId| survivors.holders.contains(id);
            core.iter().filter(remembers).count() >= survivors.quorum
                || survivors.holders.len() < survivors.quorum
        };
        if survivors.iter().all(suffices) {
            return Some((core, healed.cut.clone()));
        }
        Some(((0..self.setup.nodes()).map(ReplicaId).collect(), Vec::new()))
    }

    fn what_stays_cut(&mut self, lingering: Option<Lingering>) -> Links {
        let Some(lingering) = lingering else { return Links::new() };
        self.environment.marks.lingers(lingering.shape);
        self.environment.placement.links(&lingering.links)
    }

    /// The cores of all groups, in order.
    fn choose_cores(&mut self, survivors: &[Survivors], lingering: Option<&Lingering>) -> Vec<ReplicaId> {
        if self.setup.spares > 0 {
            // Whoever was a member may be needed, and whoever is none may become one.
            return (0..self.setup.nodes()).map(ReplicaId).collect();
        }
        let lame = lingering.and_then(|lingering| lingering.lame);
        let random = &mut random::stream(self.setup.seed, Purpose::Heal);
        let mut cores = Vec::new();
        for Survivors { holders, amnesiacs, quorum } in survivors {
            let is_lame = |id: &ReplicaId| lame == Some(ReplicaId(self.environment.placement.host_of(*id)));
            let able: Vec<ReplicaId> = holders.iter().copied().filter(|id| !is_lame(id)).collect();
            let lost: Vec<ReplicaId> = amnesiacs.iter().copied().filter(|id| !is_lame(id)).collect();
            cores.extend(self.choose_core(random, *quorum, &able, &lost, lingering.is_some()));
        }
        cores
    }

    /// Everybody, or a quorum of those who have their memory and some of those who have not. Everybody, too,
    /// where a fault stays: all that can be spared is taken up by it.
    fn choose_core(
        &mut self,
        random: &mut ChaCha8Rng,
        quorum: usize,
        holders: &[ReplicaId],
        amnesiacs: &[ReplicaId],
        fault_stays: bool,
    ) -> Vec<ReplicaId> {
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
        let stays = |node: &Node| cut.iter().any(|(_, to)| to == node);
        let is_in = |node: &Node| !matches!(node, Node::Replica(id) if !core.contains(id));
        self.environment.isolate(|node| !is_in(node) && !stays(node));
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
        let members = &self.environment.checks.first().members;
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

    /// Looks whether every group does what is demanded of it.
    pub(super) fn look(&mut self) {
        let Phase::Ending { cut, endings } = &mut self.phase else { return };
        let is_time = self.environment.steps.is_multiple_of(LOOK_INTERVAL);
        let is_due = |ending: &Ending| match ending {
            Ending::Progress { .. } => is_time,
            Ending::Stuck { .. } => true,
            Ending::Over => false,
        };
        if !endings.iter().any(is_due) {
            return;
        }
        let (cut, mut endings) = (std::mem::take(cut), std::mem::take(endings));
        for (group, ending) in endings.iter_mut().enumerate() {
            match ending {
                Ending::Progress { .. } if !is_time => {}
                Ending::Progress { .. } => self.look_at_progress(group, ending, &cut),
                Ending::Stuck { .. } => self.look_at_stuck(group, ending),
                Ending::Over => {}
            }
        }
        let is_over = endings.iter().all(|ending| matches!(ending, Ending::Over));
        self.phase = if is_over { Phase::Over } else { Phase::Ending { cut, endings } };
    }

    fn look_at_progress(&mut self, number: usize, ending: &mut Ending, cut: &Links) {
        let Ending::Progress { core, liveness, stable } = ending else { return };
        let now = self.environment.now;
        let unfinished = if self.setup.spares > 0 { self.unfinished() } else { Unfinished::default() };
        let clients = self.environment.placement.clients(number);
        let checks = self.environment.checks.of_mut(number);
        let group = checks.members.group();
        let members = core.iter().filter(|&&id| group.contains(id));
        let mut seen: Vec<Seen> =
            members.map(|&id| Seen::of(id, self.replicas[id.index()].replica.as_ref(), W::digest)).collect();
        exempt_deaf(&mut seen, cut);
        let waiting: Vec<u16> = self
            .clients
            .iter()
            .take(self.setup.clients.into())
            .filter(|client| clients.contains(&client.slot) && !client.is_done())
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
            Liveness::settled(&seen, &mut checks.findings);
            *ending = Ending::Over;
            return;
        }
        let views = checks.views_started();
        liveness.look(now, &seen, &waiting, &unfinished, views, &mut checks.findings);
        if now >= liveness.bound() {
            // Where what is wrong is not to be reported, waiting longer shows nothing else.
            *ending = Ending::Over;
        }
    }

    fn look_at_stuck(&mut self, number: usize, ending: &mut Ending) {
        let Ending::Stuck { until, calls_before, demanded } = ending else { return };
        let clients = self.environment.placement.clients(number);
        let checks = self.environment.checks.of_mut(number);
        // An answer that was on its way may still complete a recovery.
        let holders = checks.members.iter().filter(|member| !member.is_amnesiac()).count();
        *demanded &= holders <= checks.members.failures_tolerated();
        let is_answered =
            |call: &Call<_, _>| call.returned.is_some() && clients.contains(&(call.client as u16));
        if *demanded && self.environment.history[*calls_before..].iter().any(is_answered) {
            let witness = "a request was answered although more memory was lost than the group can stand";
            checks.findings.add(Property::Stuck, "answered", witness);
        }
        if self.environment.now >= *until {
            *ending = Ending::Over;
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

    fn is_stuck(world: &World<KeyValue, Standard>) -> bool {
        let Phase::Ending { endings, .. } = &world.phase else { return false };
        matches!(endings[..], [Ending::Stuck { demanded: true, .. }])
    }

    #[test]
    fn an_answer_when_the_group_should_be_stuck_is_a_violation() {
        let mut stuck = (0..100).map(|seed| world("beyond-the-budget", seed)).find_map(|mut world| {
            while world.step() {
                if is_stuck(&world) && !world.environment.history.is_empty() {
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
