//! How much may be lost: whether a host may crash, and which hosts come up again after the faults. Those that others
//! have to do without are never heard of any more.

use vr::{Configuration, GroupId, ReplicaId};

use super::AllRules;
use super::world::World;
use crate::marks::Moment;
use crate::random::{self, Draw, Purpose};
use crate::workload::Workload;

impl<W: Workload, R: AllRules> World<W, R> {
    /// All hosts, or those that are left when some are lost for good; in order.
    pub(super) fn choose_survivors(&mut self) -> Vec<ReplicaId> {
        let everybody: Vec<ReplicaId> = self.nodes().members().collect();
        if let Some(healed) = self.environment.script.as_ref().and_then(|script| script.healed.as_ref()) {
            let survivors: Vec<_> =
                everybody.iter().copied().filter(|id| healed.core.contains(&id.0)).collect();
            let lost: Vec<_> = everybody.iter().copied().filter(|id| !survivors.contains(id)).collect();
            // Where the run has become another one, groups may need whom they did without before.
            return if self.can_do_without(&lost) { survivors } else { everybody };
        }
        let random = &mut random::stream(self.setup.seed, Purpose::Heal);
        let mut lost = Vec::new();
        if random.chance(500_000) {
            let mut candidates = everybody.clone();
            while !candidates.is_empty() {
                let candidate = candidates.remove(random.below(candidates.len() as u64) as usize);
                lost.push(candidate);
                if !self.can_do_without(&lost) || (lost.len() > 1 && random.chance(500_000)) {
                    lost.pop();
                }
            }
        }
        if !lost.is_empty() {
            self.environment.marks.moment(Moment::HostLost);
        }
        everybody.into_iter().filter(|id| !lost.contains(id)).collect()
    }

    /// Whether every group can stand that these hosts are gone, on top of those that have lost their memory.
    fn can_do_without(&self, lost: &[ReplicaId]) -> bool {
        // Who was heard a moment ago may yet be given the place of one who was not.
        let may_come = |group: Configuration| usize::from(lost.iter().any(|id| !group.contains(*id)));
        let is_able = |group: GroupId| {
            self.needed(group).all(|needed| {
                self.without_memory(group, needed, lost) + may_come(needed) <= needed.failures_tolerated()
            })
        };
        let can_start = |nodes: Configuration| {
            let gone = nodes.members().filter(|id| lost.contains(id)).count();
            gone + may_come(nodes) <= nodes.failures_tolerated()
        };
        self.groups().all(is_able) && self.user.starts().all(can_start)
    }

    /// How many of these nodes would have to recover a group, were some more to lose their memory of it.
    pub(super) fn without_memory(&self, group: GroupId, of: Configuration, more: &[ReplicaId]) -> usize {
        let members = &self.environment.checks.of(group.0 as usize).members;
        let is_without = |id: &ReplicaId| {
            more.contains(id) || members[*id].is_amnesiac() || self.comes_back_unclean(group, *id)
        };
        of.members().filter(is_without).count()
    }

    /// Whether a node that has left a group would have to recover if the group came back to it: it has not given its
    /// ticket back, and its replica is dropped, or will be.
    fn comes_back_unclean(&self, group: GroupId, id: ReplicaId) -> bool {
        let Some(known) = self.ledger.groups().get(&group) else { return false };
        let members = &self.environment.checks.of(group.0 as usize).members;
        let has_left = members[id].reached.is_some() && !known.epoch.members.contains(id);
        let host = self.hosts[id.index()].host.as_ref();
        let stays = known.concerns(id) && host.is_some_and(|host| host.group(group).is_some());
        has_left && known.tickets.contains_key(&id) && !stays
    }

    /// Whether the groups on a host can stand that it loses its memory.
    pub(super) fn can_spare(&self, id: ReplicaId) -> bool {
        let is_able = |group: GroupId| {
            let mut concerned = self.needed(group).filter(|needed| needed.contains(id));
            concerned.all(|needed| self.without_memory(group, needed, &[id]) <= needed.failures_tolerated())
        };
        self.groups().all(is_able)
    }

    /// The groups on whose state others rest, of one of the groups; and those that may come to be.
    fn needed(&self, group: GroupId) -> impl Iterator<Item = Configuration> {
        let known = self.ledger.groups().get(&group);
        let listed = known.map(|known| known.epoch.members).into_iter().chain(known.and_then(|it| it.next));
        let living = self.environment.checks.of(group.0 as usize).members.living_groups();
        living.chain(listed).chain(self.user.moves(group))
    }
}
