//! What is done to the system: actions, crashes, restarts.

use std::ops::Range;
use std::sync::Arc;

use rand::RngExt;
use vr::{Incarnation, Instant, Replica, ReplicaId, Role, Rules, View};

use super::{Ending, Phase, ReplicaSlot, UNTIL_RESUMED, World, member};
use crate::bugs::Sabotage;
use crate::chronicle::{Cause, Effect};
use crate::clock::Clock;
use crate::environment::{Event, ReplicaPort};
use crate::faults::{Action, Ambush, Scene, Strike};
use crate::marks::Moment;
use crate::node::Node;
use crate::packet::Identity;
use crate::workload::Workload;

impl<W: Workload, R: Rules + Clone> World<W, R> {
    /// What families see: the hosts, and who is primary of a group among those.
    pub(super) fn scene(&self, group: usize) -> Scene {
        let placement = &self.environment.placement;
        let replicas = &self.replicas[range(placement.numbers(group))];
        let views = replicas.iter().filter_map(|slot| Some(slot.replica.as_ref()?.view()));
        let view = views.max().unwrap_or(View::ZERO);
        let members = self.environment.checks.of(group).members.group_of(view.epoch());
        Scene {
            hosts: placement.hosts(),
            view,
            group: placement.hosts_of(members),
            has_witnesses: self.setup.witnesses > 0,
            administrator_waits: self.administrator_waits(),
            groups: Vec::new(),
            clients: self.setup.clients,
        }
    }

    /// Of several groups, families look at one; at which is left to what has happened so far.
    pub(super) fn group_to_strike(&self) -> usize {
        (self.environment.digest % self.environment.placement.groups() as u64) as usize
    }

    /// What a family does to the hosts of a group, as something that is done to replicas.
    pub(super) fn on_replicas(&self, group: usize, strike: Strike) -> Strike {
        let placement = &self.environment.placement;
        match strike {
            Strike::Now(action) if placement.groups() > 1 => {
                action.on_replicas(placement, group).map_or(Strike::Nothing, Strike::Now)
            }
            strike => strike,
        }
    }

    #[cold]
    pub(super) fn strike(&mut self, index: usize) {
        if !matches!(self.phase, Phase::Faults) {
            return;
        }
        self.environment.begin_step((index as u64) << 8 | 4, Cause::Fault);
        let group = self.group_to_strike();
        let scene = self.scene(group);
        let strike = self.sources[index].strike(&self.setup, &scene);
        match self.on_replicas(group, strike) {
            Strike::Nothing => {}
            _ if self.skips > 0 => self.skips -= 1,
            // One at a time for each moment, or a backlog would strike all at once.
            Strike::Ambush(ambush) => {
                self.environment.ambushes.retain(|waiting| waiting.target != ambush.target);
                self.environment.ambushes.push(ambush);
            }
            Strike::Now(action) => self.perform(None, action),
        }
        let at = self.environment.now + self.sources[index].next_in(&self.setup);
        self.environment.queue.push(at, Event::Strike(index));
        self.end_step();
    }

    #[cold]
    pub(super) fn scripted(&mut self, index: usize) {
        if !matches!(self.phase, Phase::Faults) {
            return;
        }
        let Some(script) = self.environment.script.clone() else { return };
        self.environment.begin_step((index as u64) << 8 | 5, Cause::Fault);
        self.perform(None, script.actions[index].1.clone());
        self.end_step();
    }

    /// The moment of the protocol that a crash was waiting for has come.
    #[cold]
    pub(super) fn spring(&mut self) {
        if let Some((identity, action)) = self.environment.triggered.take()
            && matches!(self.phase, Phase::Faults)
        {
            self.perform(Some(identity), action);
        }
        if let Some(sprung) = self.environment.sprung.take() {
            let Ambush { target, restart_after } = sprung.ambush;
            let replica = sprung.replica.0;
            self.perform(Some(sprung.at), Action::Crash { replica, target, restart_after });
        }
    }

    pub(super) fn perform(&mut self, when_sent: Option<Identity>, action: Action) {
        if let Action::Crash { replica, .. } | Action::Kill { replica } = action
            && !self.may_crash(ReplicaId(replica))
        {
            return;
        }
        if self.is_inert(&action) {
            return;
        }
        self.environment.note(when_sent, &action);
        self.tell_of_host(&action);
        let now = self.environment.now;
        match action {
            Action::Cut { links, lasts, .. } => {
                self.environment.network.cut(&links);
                self.environment.queue.push(now + lasts, Event::Mend(links));
            }
            Action::Clog { links, lasts } => self.environment.network.clog(&links, now + lasts),
            Action::Crash { replica, restart_after, .. } => {
                self.crash(ReplicaId(replica), Some(restart_after));
            }
            Action::Pause { node, lasts } => self.on_host_of(node, |world, node| {
                let until = world.paused_until_mut(node);
                *until = (now + lasts).max(*until);
            }),
            Action::FireEarly { node } => self.fire_early(node),
            Action::SetRate { node, drift_ppm } => self.on_host_of(node, |world, node| {
                world.clock_mut(node).go_on_at(now, drift_ppm.into());
                world.schedule_timer(node);
            }),
            Action::FireLate { node, lasts } => self.on_host_of(node, |world, node| {
                if let Node::Replica(replica) = node {
                    world.replicas[replica.index()].timers_late_until = now + lasts;
                }
            }),
            Action::CrashClient { slot } => {
                if self.clients[slot as usize].calling.is_some() {
                    self.environment.marks.moment(Moment::ClientCrashedWaiting);
                }
                self.start_client_over(slot);
            }
            Action::Sever { links } => self.environment.network.cut(&links),
            Action::Mend { links } => self.mend_cut(&links),
            Action::Kill { replica } => self.crash(ReplicaId(replica), None),
            Action::Restart { replica } => {
                self.on_host_of(Node::Replica(ReplicaId(replica)), |world, node| match node {
                    Node::Replica(id) if world.replicas[id.index()].replica.is_none() => {
                        world.start_again(id)
                    }
                    _ => {}
                });
            }
            Action::Halt { node } => {
                self.on_host_of(node, |world, node| *world.paused_until_mut(node) = UNTIL_RESUMED);
            }
            Action::Resume { node } => self.on_host_of(node, Self::resume),
            Action::Reconfigure { members, witnesses } => self.order(&members, &witnesses),
            // There is no supervisor here.
            Action::Ask(_) => {}
            Action::WarmUp { replica } => {
                self.replica_acts(Node::Replica(ReplicaId(replica)), |replica, now, port| {
                    replica.warm_up(now, port);
                });
                self.schedule_replica_timer(replica.into());
            }
        }
    }

    /// Tells the chronicle who else is on the host to which something is done.
    fn tell_of_host(&mut self, action: &Action) {
        let Some(replica) = action.host_of().filter(|_| self.environment.chronicle.is_some()) else { return };
        self.on_host_of(Node::Replica(replica), |world, node| match node {
            Node::Replica(other) if other != replica => {
                world.environment.tell(|| Effect::Fault(action.clone().named_by(other)));
            }
            _ => {}
        });
    }

    /// Does something to all replicas on the host of a replica, in order of their groups; or to a client.
    fn on_host_of(&mut self, node: Node, mut does: impl FnMut(&mut Self, Node)) {
        let Node::Replica(replica) = node else { return does(self, node) };
        let placement = Arc::clone(&self.environment.placement);
        placement.beside(replica).for_each(|replica| does(self, Node::Replica(replica)));
    }

    /// Mends those of the links that are cut.
    fn mend_cut(&mut self, links: &[(Node, Node)]) {
        let network = &mut self.environment.network;
        let cut: Vec<_> = links.iter().copied().filter(|&link| network.is_cut(link)).collect();
        network.mend(&cut);
    }

    fn resume(&mut self, node: Node) {
        *self.paused_until_mut(node) = 0;
        self.environment.hand_over_waiting(|other| other == node);
        self.schedule_timer(node);
    }

    /// Whether the action would do nothing: there is nobody, or nothing to happen early.
    pub(super) fn is_inert(&self, action: &Action) -> bool {
        let is_down =
            |node: &Node| matches!(node, Node::Replica(id) if self.replicas[id.index()].replica.is_none());
        match action {
            Action::Pause { node, .. } | Action::FireLate { node, .. } => is_down(node),
            Action::Halt { node } => is_down(node) || self.paused_until(*node) == UNTIL_RESUMED,
            Action::Resume { node } => self.paused_until(*node) != UNTIL_RESUMED,
            Action::Restart { replica } => self.replicas[usize::from(*replica)].replica.is_some(),
            Action::Mend { links } => !links.iter().any(|&link| self.environment.network.is_cut(link)),
            Action::Reconfigure { members, witnesses } => !self.may_order(members, witnesses),
            Action::WarmUp { replica } => !self.may_warm_up(ReplicaId(*replica)),
            // A clock that leases can rely on does not jump.
            Action::FireEarly { node: Node::Replica(_) } if self.setup.relies_on_clocks() => true,
            Action::FireEarly { node } => {
                self.deadline(*node) == Instant::NEVER || self.paused_until(*node) > self.environment.now
            }
            Action::Ask(_) => true,
            _ => false,
        }
    }

    pub(super) fn paused_until_mut(&mut self, node: Node) -> &mut u64 {
        match node {
            Node::Replica(replica) => &mut self.replicas[replica.index()].paused_until,
            Node::Client(slot) => &mut self.clients[slot as usize].paused_until,
        }
    }

    fn clock_mut(&mut self, node: Node) -> &mut Clock {
        match node {
            Node::Replica(id) => &mut self.replicas[id.index()].clock,
            Node::Client(slot) => &mut self.clients[slot as usize].clock,
        }
    }

    /// The node's clock, which is that of its host, jumps ahead to its next deadline. (A timer that fires while the
    /// clock shows less would be none of the protocol's business: it looks at the clock.)
    fn fire_early(&mut self, node: Node) {
        let (now, deadline) = (self.environment.now, self.deadline(node));
        self.on_host_of(node, |world, node| {
            world.clock_mut(node).jump_to(now, deadline);
            world.schedule_timer(node);
        });
    }

    #[cold]
    pub(super) fn mend(&mut self, links: &[(Node, Node)]) {
        if matches!(self.phase, Phase::Faults) {
            self.environment.begin_step(6, Cause::Mend);
            self.environment.network.mend(links);
            self.environment.tell(|| Effect::Mended(links.to_vec()));
            self.end_step();
        }
    }

    /// Whether a crash of a replica's host stays within what its groups can stand; a scenario may want more than that.
    pub(super) fn may_crash(&mut self, id: ReplicaId) -> bool {
        if self.replicas[id.index()].replica.is_none() {
            return false;
        }
        if self.environment.placement.beside(id).all(|id| self.can_spare(id)) {
            return true;
        }
        if self.setup.faults.crash.as_ref().is_some_and(|crash| crash.beyond_budget) {
            self.budget_exceeded = true;
            self.environment.marks.moment(Moment::BudgetExceeded);
            return true;
        }
        self.environment.marks.moment(Moment::CrashRefused);
        false
    }

    /// Whether the group of a replica can stand that it loses its memory.
    fn can_spare(&self, id: ReplicaId) -> bool {
        let members = &self.environment.checks[id].members;
        self.needed_groups(self.environment.placement.group_of(id)).all(|group| members.can_spare(group, id))
    }

    /// The host of a replica crashes, and starts again after so long, if it does by itself.
    pub(super) fn crash(&mut self, id: ReplicaId, restart_after: Option<u64>) {
        let mut hit = 0;
        self.on_host_of(Node::Replica(id), |world, node| {
            if let Node::Replica(id) = node
                && world.replicas[id.index()].replica.is_some()
            {
                world.lose_memory(id);
                hit += 1;
                if let Some(restart_after) = restart_after {
                    let at = world.environment.now + restart_after;
                    world.environment.queue.push(at, Event::Restart(id));
                }
            }
        });
        if hit > 1 {
            self.environment.marks.moment(Moment::CrashOfSeveralGroups);
        }
    }

    /// A replica loses its memory.
    fn lose_memory(&mut self, id: ReplicaId) {
        let slot = &mut self.replicas[id.index()];
        if self.environment.checks[id].members[id].role == Some(Role::Recovering) {
            self.environment.marks.moment(Moment::CrashWhileRecovering);
        }
        slot.replica = None;
        slot.paused_until = 0;
        slot.timer_at = u64::MAX;
        slot.was_primary_of = None;
        slot.crashed_at = self.environment.now;
        self.environment.checks[id].crashed(id);
        if let Some(chronicle) = &mut self.environment.chronicle {
            chronicle.after(id, None);
        }
        self.environment.marks.moment(Moment::Crash);
        self.look_around(id);
    }

    #[cold]
    pub(super) fn restart(&mut self, id: ReplicaId) {
        if self.replicas[id.index()].replica.is_some() || !self.may_restart(id) {
            return;
        }
        self.environment.begin_step(u64::from(id.0) << 8 | 7, Cause::Restart(Node::Replica(id)));
        self.start_again(id);
        self.end_step();
    }

    /// After the faults, who is not in the core stays down.
    fn may_restart(&self, id: ReplicaId) -> bool {
        let Phase::Ending { endings, .. } = &self.phase else { return true };
        match &endings[self.environment.placement.group_of(id)] {
            Ending::Progress { core, .. } => core.contains(&id),
            Ending::Stuck { .. } | Ending::Over => true,
        }
    }

    pub(super) fn start_again(&mut self, id: ReplicaId) {
        let node = Node::Replica(id);
        let incarnation = Incarnation(self.environment.next_life(node));
        self.environment.checks[id].restarted(id, incarnation);
        self.environment.marks.moment(Moment::Restart);
        let changing = |slot: &ReplicaSlot<W, R>| {
            slot.replica.as_ref().is_some_and(|replica| replica.role() == Role::ViewChange)
        };
        let placement = &self.environment.placement;
        let group = placement.group_of(id);
        if self.replicas[range(placement.numbers(group))].iter().any(changing) {
            self.environment.marks.moment(Moment::RecoveryDuringViewChange);
        }
        let slot = &mut self.replicas[id.index()];
        if self.environment.now - slot.crashed_at < self.setup.protocol.primary_timeout_us * 1_000 {
            self.environment.marks.moment(Moment::QuickRestart);
        }
        let member = member(&self.setup, id, self.environment.directory[group], slot.jitter.random());
        let now = slot.clock.read(self.environment.now);
        let begins_anew = group > 0 && self.environment.sabotage == Some(Sabotage::OneRecovery);
        self.acting = Some(node);
        let mut port = ReplicaPort { replica: id, environment: &mut self.environment };
        let (rules, service) = (self.rules.clone(), W::service());
        slot.replica = Some(if begins_anew {
            Replica::new(now, member, rules, service)
        } else {
            Replica::recover(now, member, incarnation, rules, service, &mut port)
        });
        self.acting = None;
        self.after_replica(id);
        self.schedule_replica_timer(id.index());
    }
}

fn range(numbers: Range<u8>) -> Range<usize> {
    numbers.start.into()..numbers.end.into()
}
