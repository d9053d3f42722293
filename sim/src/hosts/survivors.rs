//! Which hosts come up again after the faults: those that others have to do without are never heard of any more.

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
        let can_stand = |group: Configuration, is_amnesiac: &dyn Fn(ReplicaId) -> bool| {
            let gone = group.members().filter(|id| lost.contains(id) || is_amnesiac(*id)).count();
            // Who was heard a moment ago may yet be given the place of one who was not.
            let may_come = lost.iter().any(|id| !group.contains(*id));
            gone + usize::from(may_come) <= group.failures_tolerated()
        };
        let is_able = |group: GroupId| {
            let members = &self.environment.checks.of(group.0 as usize).members;
            self.needed(group).all(|needed| can_stand(needed, &|id| members[id].is_amnesiac()))
        };
        self.groups().all(is_able) && self.user.starts().all(|nodes| can_stand(nodes, &|_| false))
    }
}
