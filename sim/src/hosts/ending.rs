//! After the faults: the hosts that are left come up, and have to do what they are told.

use vr::{GroupId, Host, ReplicaId};

use super::world::{Phase, World};
use super::{AllRules, Supervising};
use crate::check::liveness::{Liveness, Seen, describe, longest_timeout};
use crate::check::{Checked, Property};

use crate::environment::Event;
use crate::marks::Moment;
use crate::node::Node;
use crate::workload::Workload;

/// How often, in steps after the faults, it is looked whether everything is done.
const LOOK_INTERVAL: u64 = 64;
/// How many requests each client makes after the faults.
const PROBES: u32 = 2;
/// For how many failure timeouts hosts may be replaced, one of a group after the other, that were silent before.
const REPLACEMENTS: u64 = 4;

/// The time after the faults.
pub(super) struct Ending {
    /// When everything must be done, in nanoseconds.
    deadline: u64,
    /// Who is heard of.
    pub(super) survivors: Vec<ReplicaId>,
    /// Whether a group had a member that is lost, and could have another one.
    must_replace: bool,
}

/// What is not done yet, and by what it is called if it stays so.
type Undone = (Property, &'static str, Option<GroupId>, String);

impl<W: Workload, R: AllRules> World<W, R> {
    /// The faults stop: all hosts that are not lost are brought up and connected.
    pub(super) fn heal(&mut self) {
        if !matches!(self.phase, Phase::Faults) {
            return;
        }
        let survivors = self.choose_survivors();
        let environment = &mut self.environment;
        self.healed_at_step = Some(environment.steps);
        environment.network.heal();
        environment.ambushes.clear();
        environment.release_all();
        environment.note_healed(&survivors, &[]);
        environment.isolate(|node| matches!(node, Node::Replica(id) if !survivors.contains(id)));
        self.wake_everybody(&survivors);
        // Who is lost may be found missing twice: a group may be on its way to another one that is lost.
        let lost = u64::from(self.setup.replicas) - survivors.len() as u64;
        if lost > 0 {
            self.environment.marks.moment(Moment::HostLost);
        }
        let silence = self.supervision().failure_timeout_us * 1_000 * (REPLACEMENTS + 2 * lost);
        // What runs where is decided by one group, and comes about in others.
        let bound = longest_timeout(&self.setup) * (u64::from(self.setup.replicas) + 3) * 2;
        let deadline = self.environment.now + silence + bound;
        let must_replace = self.not_replaced(&survivors).is_some();
        self.phase = Phase::Ending(Ending { deadline, survivors, must_replace });
    }

    /// Pauses end, hosts that are down start again, clients make their last requests.
    fn wake_everybody(&mut self, survivors: &[ReplicaId]) {
        let now = self.environment.now;
        for &id in survivors {
            let slot = &mut self.hosts[id.index()];
            (slot.paused_until, slot.timers_late_until) = (0, 0);
            self.schedule_host_timer(id);
            if self.hosts[id.index()].host.is_none() {
                self.environment.queue.push(now, Event::Restart(id));
            }
        }
        for slot in 0..self.setup.clients {
            let customer = &mut self.clients[usize::from(slot)];
            customer.slot.paused_until = 0;
            customer.slot.probes = Some(PROBES);
            if customer.has_nothing_to_do() {
                customer.slot.decide(&self.setup, &mut self.environment);
            }
            let life = self.environment.life(Node::Client(slot)) as u32;
            self.environment.queue.push(now, Event::Wake { slot, life });
            self.schedule_timer(Node::Client(slot));
        }
    }

    /// Looks whether everything is done.
    pub(super) fn look(&mut self) {
        let Phase::Ending(Ending { deadline, survivors, must_replace }) = &self.phase else { return };
        let is_late = self.environment.now >= *deadline;
        if !is_late && !self.environment.steps.is_multiple_of(LOOK_INTERVAL) {
            return;
        }
        match self.undone(survivors) {
            None => {
                if *must_replace {
                    self.environment.marks.moment(Moment::LostHostReplaced);
                }
                self.phase = Phase::Over;
            }
            Some((property, kind, group, witness)) if is_late => {
                let group = group.unwrap_or(GroupId::SUPERVISOR);
                self.environment.checks.of_mut(group.0 as usize).findings.add(property, kind, witness);
                // Where nobody wants to know of it, nothing more is waited for.
                self.phase = Phase::Over;
            }
            Some(_) => {}
        }
    }

    /// The first thing that is not done yet: what comes later may follow from it.
    fn undone(&self, survivors: &[ReplicaId]) -> Option<Undone> {
        let supervisor: Vec<Seen> = self.supervisors(survivors).collect();
        let groups = self.ledger.groups();
        not_converged(&supervisor, GroupId::SUPERVISOR)
            .or_else(|| groups.keys().find_map(|&group| self.group_is_not_there(group, survivors)))
            .or_else(|| self.not_replaced(survivors))
            .or_else(|| self.runs_too_much(survivors))
            .or_else(|| self.is_not_answered())
    }

    fn supervisors(&self, survivors: &[ReplicaId]) -> impl Iterator<Item = Seen> {
        survivors.iter().map(|&id| {
            let host = self.hosts[id.index()].host.as_ref();
            Seen::of(id, host.map(Host::supervisor), Supervising::digest)
        })
    }

    /// A group runs on its members, and on nobody else.
    fn group_is_not_there(&self, group: GroupId, survivors: &[ReplicaId]) -> Option<Undone> {
        let known = &self.ledger.groups()[&group];
        let undone = |witness: String| Some((Property::L10, "a move without end", Some(group), witness));
        let members = self.environment.checks.of(group.0 as usize).members.group();
        if let Some(next) = known.next {
            return undone(format!("it is to move to {next}, and is in {}", known.epoch.members));
        }
        if members != known.epoch.members {
            return undone(format!("it is in {members}, and the directory knows of {}", known.epoch.members));
        }
        let core: Vec<Seen> = members
            .members()
            .filter(|id| survivors.contains(id))
            .map(|id| {
                let host = self.hosts[id.index()].host.as_ref();
                Seen::of(id, host.and_then(|host| host.group(group)), W::digest)
            })
            .collect();
        not_converged(&core, group)
    }

    /// A member is lost, and there is a host that could take its place.
    fn not_replaced(&self, survivors: &[ReplicaId]) -> Option<Undone> {
        self.ledger.groups().iter().find_map(|(&group, known)| {
            let members = known.epoch.members;
            let lost = members.members().find(|id| !survivors.contains(id))?;
            let spare = survivors.iter().find(|id| !members.contains(**id))?;
            let witness = format!("{lost} is not heard of any more, and {spare} could take its place");
            Some((Property::L10, "a lost member that is not replaced", Some(group), witness))
        })
    }

    /// A host runs a replica that it should not, or has not given back a ticket.
    fn runs_too_much(&self, survivors: &[ReplicaId]) -> Option<Undone> {
        for &id in survivors {
            let Some(host) = &self.hosts[id.index()].host else { continue };
            let is_member =
                |group| self.ledger.groups().get(&group).is_some_and(|it| it.epoch.members.contains(id));
            if let Some((group, replica)) = host.groups().find(|(group, _)| !is_member(*group)) {
                let witness =
                    format!("{id} runs a replica of {group} ({:?}), and is no member", replica.role());
                return Some((Property::L10, "a replica that is not needed", None, witness));
            }
            let holds = |(_, it): &(&GroupId, &vr::supervisor::Group<super::Machine>)| {
                it.tickets.contains_key(&id) && !it.epoch.members.contains(id)
            };
            if let Some((group, _)) = self.ledger.groups().iter().find(holds) {
                let witness = format!("{id} has not given back its ticket for {group}");
                return Some((Property::L10, "a ticket that is not given back", None, witness));
            }
        }
        None
    }

    fn is_not_answered(&self) -> Option<Undone> {
        if !self.user.is_done() {
            let witness = "the user got no answer from the supervisor".to_owned();
            return Some((Property::L1, "no answer", None, witness));
        }
        let waiting = (0..).zip(&self.clients).find(|(_, client): &(u16, _)| !client.is_done())?;
        let (slot, client) = waiting;
        let witness = format!("c{slot} got no answer");
        Some((Property::L1, "no answer", client.group, witness))
    }
}

fn not_converged(core: &[Seen], group: GroupId) -> Option<Undone> {
    if Liveness::converged(core) {
        return None;
    }
    let found = |property, kind, what: &str| {
        Some((property, kind, Some(group), format!("{what}: {}", describe(core))))
    };
    if core.iter().any(|seen| matches!(seen.role, None | Some(vr::Role::Recovering))) {
        return found(Property::L3, "not recovered", "a replica did not start or recover");
    }
    found(Property::L2, "no convergence", "its members do not agree")
}
