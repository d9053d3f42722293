//! What is done to hosts: a fault strikes all replicas on one.

use vr::{Configuration, GroupId, Incarnation, ReplicaId, Role, View};

use super::AllRules;
use super::port::who;
use super::world::{Phase, World};
use crate::chronicle::{Cause, Effect};
use crate::environment::{Environment, Event};
use crate::faults::{Action, Ambush, Deed, Scene, Strike, group_of};
use crate::marks::Moment;
use crate::node::Node;
use crate::packet::Identity;
use crate::workload::Workload;

impl<W: Workload, R: AllRules> World<W, R> {
    /// What families see: the hosts, and who is primary of the supervisor's group or of another one.
    pub(super) fn scene(&self) -> Scene {
        let groups: Vec<(u64, Configuration)> =
            self.ledger.groups().iter().map(|(id, group)| (id.0, group.epoch.members)).collect();
        let choice = (self.environment.digest % (groups.len() as u64 + 1)) as usize;
        let aim = choice.checked_sub(1).map_or(GroupId::SUPERVISOR, |index| GroupId(groups[index].0));
        let members = &self.environment.checks.of(aim.0 as usize).members;
        let view = members.iter().map(|member| member.view).max().unwrap_or(View::ZERO);
        Scene {
            hosts: self.setup.replicas,
            view,
            group: members.group_of(view.epoch()),
            has_witnesses: false,
            administrator_waits: false,
            groups,
            clients: self.setup.clients,
        }
    }

    pub(super) fn strike(&mut self, index: usize) {
        if !matches!(self.phase, Phase::Faults) {
            return;
        }
        self.environment.begin_step((index as u64) << 8 | 4, Cause::Fault);
        let scene = self.scene();
        match self.sources[index].strike(&self.setup, &scene) {
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

    pub(super) fn scripted(&mut self, index: usize) {
        let Some(script) = self.environment.script.clone().filter(|_| matches!(self.phase, Phase::Faults))
        else {
            return;
        };
        self.environment.begin_step((index as u64) << 8 | 5, Cause::Fault);
        self.perform(None, script.actions[index].1.clone());
        self.end_step();
    }

    /// The moment of the protocol that a crash was waiting for has come.
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
        if self.is_inert(&action) {
            return;
        }
        self.environment.note(when_sent, &action);
        let now = self.environment.now;
        match action {
            Action::Cut { links, lasts, .. } => {
                self.environment.network.cut(&links);
                self.environment.queue.push(now + lasts, Event::Mend(links));
            }
            Action::Clog { links, lasts } => self.environment.network.clog(&links, now + lasts),
            Action::Crash { replica, restart_after, .. } => {
                self.crash(ReplicaId(replica));
                self.environment.queue.push(now + restart_after, Event::Restart(ReplicaId(replica)));
            }
            Action::Pause { node, lasts } => {
                let until = self.paused_until_mut(node);
                *until = (now + lasts).max(*until);
            }
            Action::FireEarly { node } => self.fire_early(node),
            Action::FireLate { node: Node::Replica(host), lasts } => {
                self.hosts[host.index()].timers_late_until = now + lasts;
            }
            Action::CrashClient { slot } => {
                if self.clients[usize::from(slot)].slot.calling.is_some() {
                    self.environment.marks.moment(Moment::ClientCrashedWaiting);
                }
                self.start_client_over(slot);
            }
            Action::Ask(deed) => self.order(&deed),
            // Nothing else happens to hosts: it is inert.
            _ => {}
        }
    }

    /// Whether the action would do nothing, or more than the groups can stand.
    fn is_inert(&mut self, action: &Action) -> bool {
        // The user stays: who edits a trace may think otherwise.
        let is_user = |node: Node| node == Node::Client(self.user.slot);
        if !matches!(action, Action::Cut { .. } | Action::Clog { .. }) && action.nodes().any(is_user) {
            return true;
        }
        let is_down =
            |node: &Node| matches!(node, Node::Replica(id) if self.hosts[id.index()].host.is_none());
        match action {
            Action::Crash { replica, .. } => !self.may_crash(ReplicaId(*replica)),
            Action::Pause { node, .. } | Action::FireLate { node, .. } => is_down(node),
            // A clock that leases can rely on does not jump.
            Action::FireEarly { node: Node::Replica(_) } if self.setup.relies_on_clocks() => true,
            Action::FireEarly { node } => {
                self.deadline(*node) == vr::Instant::NEVER || self.paused_until(*node) > self.environment.now
            }
            Action::CrashClient { slot } => self.clients[usize::from(*slot)].group.is_none(),
            Action::Ask(deed) => !self.may_ask(deed),
            Action::Cut { .. } | Action::Clog { .. } => false,
            _ => true,
        }
    }

    /// Whether the user has time for it, and a group that is to move can begin to work on those hosts.
    fn may_ask(&self, deed: &Deed) -> bool {
        let group = |group: u64| self.ledger.groups().get(&GroupId(group));
        self.user.has_time()
            && match deed {
                Deed::Start { hosts } => {
                    group_of(hosts, &[]).is_some() && self.ledger.groups().len() < super::GROUPS_MAX
                }
                Deed::Stop { .. } => self.ledger.groups().len() > 1 + self.user.stops(),
                Deed::Find { .. } => true,
                Deed::Move { group: id, hosts } => {
                    let next = group(*id).and(group_of(hosts, &[]));
                    next.is_some_and(|next| self.can_move(GroupId(*id), next))
                }
            }
    }

    fn paused_until_mut(&mut self, node: Node) -> &mut u64 {
        match node {
            Node::Replica(host) => &mut self.hosts[host.index()].paused_until,
            Node::Client(slot) => &mut self.clients[usize::from(slot)].slot.paused_until,
        }
    }

    /// The node's clock jumps ahead to its next deadline.
    fn fire_early(&mut self, node: Node) {
        let (now, deadline) = (self.environment.now, self.deadline(node));
        match node {
            Node::Replica(id) => self.hosts[id.index()].clock.jump_to(now, deadline),
            Node::Client(slot) => self.clients[usize::from(slot)].slot.clock.jump_to(now, deadline),
        }
        self.schedule_timer(node);
    }

    pub(super) fn mend(&mut self, links: &[(Node, Node)]) {
        if matches!(self.phase, Phase::Faults) {
            self.environment.begin_step(6, Cause::Mend);
            self.environment.network.mend(links);
            self.environment.tell(|| Effect::Mended(links.to_vec()));
            self.end_step();
        }
    }

    // ---- Crashes -----------------------------------------------------------------------------------

    /// Whether it is up, and the groups on it can stand that it loses its memory.
    fn may_crash(&mut self, id: ReplicaId) -> bool {
        let is_up = self.hosts[id.index()].host.is_some();
        let may_crash = is_up && self.can_spare(id);
        if is_up && !may_crash {
            self.environment.marks.moment(Moment::CrashRefused);
        }
        may_crash
    }

    /// All groups that run, the supervisor's first.
    pub(super) fn groups(&self) -> impl Iterator<Item = GroupId> {
        [GroupId::SUPERVISOR].into_iter().chain(self.ledger.groups().keys().copied())
    }

    fn crash(&mut self, id: ReplicaId) {
        let is_moving = self.ledger.groups().values().any(|group| group.next.is_some());
        if is_moving && self.is_supervising(id) {
            self.environment.marks.moment(Moment::SupervisorCrashedInMove);
        }
        let slot = &mut self.hosts[id.index()];
        let host = slot.host.take().expect("it is up");
        (slot.paused_until, slot.timer_at) = (0, u64::MAX);
        self.environment.marks.moment(Moment::Crash);
        if host.groups().next().is_some() {
            self.environment.marks.moment(Moment::CrashOfSeveralGroups);
        }
        if let Some(chronicle) = &mut self.environment.chronicle {
            let groups = [GroupId::SUPERVISOR].into_iter().chain(host.groups().map(|(group, _)| group));
            groups.for_each(|group| chronicle.after(who(group, id), None));
        }
        // Who may have drawn a ticket, and not begun, is treated as if it had.
        let is_concerned = |group: &GroupId| {
            let known = self.ledger.groups().get(group);
            known.is_none_or(|known| known.concerns(id) || known.tickets.contains_key(&id))
        };
        let hit: Vec<GroupId> = self.groups().filter(is_concerned).collect();
        for group in hit {
            let Environment { checks, marks, .. } = &mut self.environment;
            let checks = checks.of_mut(group.0 as usize);
            if checks.members[id].role == Some(Role::Recovering) {
                marks.moment(Moment::CrashWhileRecovering);
            }
            checks.crashed(id);
        }
    }

    pub(super) fn restart(&mut self, id: ReplicaId) {
        let is_lost = matches!(&self.phase, Phase::Ending(ending) if !ending.survivors.contains(&id));
        if self.hosts[id.index()].host.is_some() || is_lost {
            return;
        }
        let node = Node::Replica(id);
        self.environment.begin_step(u64::from(id.0) << 8 | 7, Cause::Restart(node));
        let incarnation = Incarnation(self.environment.next_life(node));
        self.environment.checks.first_mut().restarted(id, incarnation);
        self.environment.marks.moment(Moment::Restart);
        self.start_host(id, incarnation);
        self.end_step();
    }
}
