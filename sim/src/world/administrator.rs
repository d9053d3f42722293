//! What the administrator does: asks for another group, then whether it works, and tells the directory.

use vr::{Configuration, Epoch, ReplicaId, Role, Rules};

use super::World;
use crate::chronicle::Effect;
use crate::client_slot::Errand;
use crate::environment::ClientPort;
use crate::faults::group_of;
use crate::marks::Moment;
use crate::node::Node;
use crate::workload::Workload;

impl<W: Workload, R: Rules + Clone> World<W, R> {
    /// Whether the administrator has asked for something, and has no answer yet.
    pub(super) fn administrator_waits(&self) -> bool {
        let slot = self.setup.administrator();
        slot.is_some_and(|slot| self.clients[usize::from(slot)].errand.is_some())
    }

    /// The memberships that must keep the state of a group: the present one, those before it whose successor does not
    /// have the state yet, and those that may come to be. And that of the directory: whoever starts asks there, and until the
    /// administrator knows that another group works, nobody else can be asked.
    pub(super) fn needed_groups(&self, group: usize) -> impl Iterator<Item = Configuration> {
        let members = &self.environment.checks.of(group).members;
        let latest = members.latest_epoch();
        let ordered = self.ordered.iter().filter(move |(epoch, _)| *epoch >= latest).map(|(_, group)| *group);
        let asked_next =
            self.setup.administrator().and_then(|slot| match self.clients[usize::from(slot)].errand {
                Some(Errand::Reconfigure(group)) => Some(group),
                _ => None,
            });
        let directory = self.environment.directory[group].members;
        members.living_groups().chain(ordered).chain(asked_next).chain([directory])
    }

    /// Whether such a group can be asked for: somebody must be there to ask, and enough members to start it.
    pub(super) fn may_order(&self, members: &[u8], witnesses: &[u8]) -> bool {
        let group = group_of(members, witnesses);
        let known = |group: &Configuration| group.members().all(|id| id.index() < self.replicas.len());
        self.setup.administrator().is_some()
            && group.is_some_and(|group| {
                let amnesiacs = self.environment.checks.first().members.amnesiacs_in(group);
                known(&group) && amnesiacs <= group.failures_tolerated()
            })
    }

    pub(super) fn may_warm_up(&self, id: ReplicaId) -> bool {
        let role = self.replicas[id.index()].replica.as_ref().map(vr::Replica::role);
        matches!(role, Some(Role::Standby | Role::Stopped))
    }

    /// The administrator is to ask for this group. If one is waiting for an answer, another one takes over.
    pub(super) fn order(&mut self, members: &[u8], witnesses: &[u8]) {
        let Some(slot) = self.setup.administrator() else { return };
        let Some(group) = group_of(members, witnesses) else { return };
        let was_waiting =
            self.clients[usize::from(slot)].errand.replace(Errand::Reconfigure(group)).is_some();
        if was_waiting {
            self.environment.marks.moment(Moment::AdministratorReplaced);
            return self.start_client_over(slot);
        }
        self.administrator_goes_on(slot);
    }

    /// Asks for a session, or for what the administrator has to ask for next.
    pub(super) fn administrator_goes_on(&mut self, slot: u16) {
        let client = &mut self.clients[usize::from(slot)];
        let now = client.clock.read(self.environment.now);
        let (address, is_waiting) = (client.client.address(), client.client.is_waiting());
        if is_waiting {
            return;
        }
        if client.client.id().is_none() {
            self.environment.tell(|| Effect::Registers { client: Node::Client(slot), group: 0 });
            self.environment.checks.first_mut().registers(slot, address);
        }
        let port = &mut ClientPort { slot, group: None, environment: &mut self.environment };
        let asked = match client.errand {
            _ if client.client.id().is_none() => {
                client.client.register(now, port);
                None
            }
            None => None,
            Some(Errand::Reconfigure(members)) => client.client.reconfigure(now, members, port).ok(),
            Some(Errand::Check(epoch)) => client.client.check_epoch(now, epoch, port).ok(),
        };
        if let Some(number) = asked {
            let errand = client.errand;
            if let Some(Errand::Reconfigure(group)) = errand {
                let latest = self.environment.checks.first().members.latest_epoch();
                self.ordered.retain(|(epoch, _)| *epoch >= latest);
                self.ordered.push((latest, group));
            }
            self.environment.checks.first_mut().requested_by_administrator(slot, address, number);
            self.environment.tell(|| Effect::Requests {
                client: Node::Client(slot),
                group: 0,
                number: number.0,
                operation: match errand {
                    Some(Errand::Reconfigure(members)) => format!("the group {members}"),
                    Some(Errand::Check(epoch)) => format!("to know whether epoch {epoch} has started"),
                    None => unreachable!("it has asked"),
                },
                call: None,
            });
        }
        self.schedule_client_timer(usize::from(slot));
    }

    /// The administrator is told of an epoch: that it has begun, or that it has started.
    pub(super) fn epoch_is_known(&mut self, slot: u16, epoch: Epoch) {
        let client = &mut self.clients[usize::from(slot)];
        match client.errand {
            Some(Errand::Reconfigure(_)) => {
                self.environment.marks.moment(Moment::EpochBegun);
                client.errand = Some(Errand::Check(epoch));
            }
            _ => {
                self.environment.marks.moment(Moment::EpochStarted);
                if let Some(start) = self.environment.checks.first().members.epoch(epoch) {
                    self.environment.directory[0] = start;
                }
                client.errand = None;
            }
        }
        self.administrator_goes_on(slot);
    }

    /// What was asked for is refused. Another one may have been faster: what is known of the group is looked up anew.
    pub(super) fn errand_is_over(&mut self, slot: u16) {
        self.clients[usize::from(slot)].errand = None;
        self.administrator_goes_on(slot);
    }
}
