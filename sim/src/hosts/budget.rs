//! How much may be lost: whether a host may crash, and which hosts come up again after the faults. Those that others
//! have to do without are never heard of any more.

use vr::{Configuration, GroupId, ReplicaId};

use super::AllRules;
use super::world::World;
use crate::random::{self, Draw, Purpose};
use crate::workload::Workload;

impl<W: Workload, R: AllRules> World<W, R> {
    /// All hosts, or those that are left when some are lost for good; in order.
    pub(super) fn choose_survivors(&self) -> Vec<ReplicaId> {
        let everybody: Vec<ReplicaId> = self.nodes().members().collect();
        if let Some(healed) = self.environment.script.as_ref().and_then(|script| script.healed.as_ref()) {
            let survivors: Vec<_> =
                everybody.iter().copied().filter(|id| healed.core.contains(&id.0)).collect();
            let lost: Vec<_> = everybody.iter().copied().filter(|id| !survivors.contains(id)).collect();
            // Where the run has become another one, groups may need whom they did without before.
            return if self.can_do_without(&lost, false) { survivors } else { everybody };
        }
        let random = &mut random::stream(self.setup.seed, Purpose::Heal);
        let mut lost = Vec::new();
        if random.chance(500_000) {
            let mut candidates = everybody.clone();
            while !candidates.is_empty() {
                let candidate = candidates.remove(random.below(candidates.len() as u64) as usize);
                lost.push(candidate);
                if !self.can_do_without(&lost, true) || (lost.len() > 1 && random.chance(500_000)) {
                    lost.pop();
                }
            }
        }
        everybody.into_iter().filter(|id| !lost.contains(id)).collect()
    }

    /// Whether every group can stand that these hosts are gone, on top of those that have lost their memory. Who was
    /// heard a moment ago may yet be given the place of one who was not: by chance that may happen, and then it counts.
    fn can_do_without(&self, lost: &[ReplicaId], by_chance: bool) -> bool {
        let may_come =
            |group: Configuration| usize::from(by_chance && lost.iter().any(|id| !group.contains(*id)));
        let is_able = |group: GroupId| {
            self.needed(group, None).iter().all(|needed| {
                let gone = self.without_memory(group, needed, lost) + may_come(needed.members);
                gone <= needed.members.failures_tolerated()
            })
        };
        let can_start = |nodes: Configuration| {
            let gone = nodes.members().filter(|id| lost.contains(id)).count();
            gone + may_come(nodes) <= nodes.failures_tolerated()
        };
        self.groups().all(is_able) && self.user.starts().all(can_start)
    }

    /// Whether the groups on a host can stand that it loses its memory.
    pub(super) fn can_spare(&self, id: ReplicaId) -> bool {
        let is_able = |group: GroupId| {
            let mut concerned =
                self.needed(group, None).into_iter().filter(|needed| needed.members.contains(id));
            concerned.all(|needed| self.can_recover(group, &needed, &[id]))
        };
        self.groups().all(is_able)
    }

    /// Whether a group can begin to work on these hosts, after all moves that are asked for already.
    pub(super) fn can_move(&self, group: GroupId, to: Configuration) -> bool {
        self.needed(group, Some(to)).last().is_some_and(|needed| self.can_recover(group, needed, &[]))
    }

    fn can_recover(&self, group: GroupId, needed: &Needed, more: &[ReplicaId]) -> bool {
        self.without_memory(group, needed, more) <= needed.members.failures_tolerated()
    }

    /// How many would have to recover, were some more to lose their memory.
    fn without_memory(&self, group: GroupId, needed: &Needed, more: &[ReplicaId]) -> usize {
        let members = &self.environment.checks.of(group.0 as usize).members;
        let is_without =
            |id: &ReplicaId| more.contains(id) || needed.unclean.contains(id) || members[*id].is_amnesiac();
        needed.members.members().filter(is_without).count()
    }

    /// The memberships on whose state others rest, of one of the groups; and those that may come to be, in order.
    fn needed(&self, group: GroupId, asked: Option<Configuration>) -> Vec<Needed> {
        let members = &self.environment.checks.of(group.0 as usize).members;
        let clean = |members| Needed { members, unclean: Vec::new() };
        let mut needed: Vec<Needed> = members.living_groups().map(clean).collect();
        let Some(known) = self.ledger.groups().get(&group) else { return needed };
        needed.push(clean(known.epoch.members));
        // A node that leaves a group and comes back before it has given back its ticket has to recover.
        let has_ticket = |id: &ReplicaId| known.tickets.contains_key(id);
        let runs = |id: &ReplicaId| {
            let host = self.hosts[id.index()].host.as_ref();
            known.concerns(*id) && host.is_some_and(|host| host.group(group).is_some())
        };
        let has_left = |id: &ReplicaId| has_ticket(id) && members[*id].reached.is_some() && !runs(id);
        let mut unclean: Vec<ReplicaId> =
            self.nodes().without(known.epoch.members).filter(has_left).collect();
        for members in known.next.into_iter().chain(self.user.moves(group)).chain(asked) {
            needed.push(Needed { members, unclean: unclean.clone() });
            unclean.extend(self.nodes().without(members).filter(has_ticket));
        }
        needed
    }
}

/// A membership of a group that somebody may need.
struct Needed {
    members: Configuration,
    /// Who would come to it without a memory of the group.
    unclean: Vec<ReplicaId>,
}
