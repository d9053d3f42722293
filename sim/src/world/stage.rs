//! A story is played: its steps are done at their times, and its conditions looked at.

use vr::{OpNumber, Replica, ReplicaId, Role, Rules, View};

use super::World;
use crate::check::Property;
use crate::chronicle::{Cause, Effect};
use crate::client_slot::Way;
use crate::faults::Action;
use crate::node::Node;
use crate::stage::{Condition, Found, Position, Rule, Stage, Status, Step, Treatment, Which};
use crate::workload::Workload;

/// What is said of a deed that would do nothing.
const NOTHING: &str = "nothing would come of it";

impl<W: Workload, R: Rules + Clone> World<W, R> {
    /// Whether a step of the story comes before the next event.
    pub(super) fn story_is_due(&self) -> bool {
        let due = self.environment.stage.as_ref().and_then(|stage| stage.due);
        due.is_some_and(|due| self.environment.queue.next_at().is_none_or(|next| due <= next))
    }

    /// The time of the story's current step has come: to be done, or to be over.
    #[cold]
    pub(super) fn play(&mut self) {
        let stage = self.stage();
        let (due, index, steps) = (stage.due.take(), stage.passed().len(), stage.steps());
        self.environment.now = due.expect("a step was due");
        let Some(step) = steps.get(index) else { return self.heal() };
        self.environment.begin_step((index as u64) << 8 | 9, Cause::Fault);
        let (now, view_before) = (self.environment.now, self.latest_normal_view());
        let stage = self.stage();
        if stage.began.is_none() {
            (stage.began, stage.view_before) = (Some(now), view_before);
            let sentence = stage.describe();
            self.environment.tell(|| Effect::Told(sentence));
        }
        self.attempt(step);
        self.end_step();
    }

    /// Something has happened: the step that waits may be passed, or have waited too long.
    #[cold]
    pub(super) fn watch_story(&mut self) {
        if self.environment.steps >= self.setup.steps {
            return self.break_off("out of steps", &format!("not passed within {} steps", self.setup.steps));
        }
        let now = self.environment.now;
        let Some(stage) = self.environment.stage.as_ref().filter(|stage| stage.began.is_some()) else {
            return;
        };
        match stage.step() {
            Some(Step::Until(condition, _)) if self.holds(condition) => self.stage().pass(now),
            Some(&Step::Ask(client, ..)) if self.is_free(client) => self.stage().due = Some(now + 1),
            _ => {}
        }
    }

    fn stage(&mut self) -> &mut Stage<W> {
        self.environment.stage.as_mut().expect("a story is played")
    }

    /// The story does not go on: `why` says what is wrong with the current step.
    fn break_off(&mut self, kind: &str, why: &str) {
        let stage = self.stage();
        let kind = format!("{kind} at step {}", stage.passed().len() + 1);
        let witness = format!("{}: {why}", stage.describe());
        self.environment.checks.first_mut().findings.add(Property::Story, &kind, witness);
    }

    // ---- Steps -----------------------------------------------------------------------------------

    fn attempt(&mut self, step: &Step) {
        let now = self.environment.now;
        let ends = self.stage().patience_ends();
        match step {
            Step::Until(condition, _) if self.holds(condition) => self.stage().pass(now),
            Step::Wait(_) if now >= ends => self.stage().pass(now),
            Step::Ask(client, asks, way) if self.is_free(*client) => {
                let asked = self.stage().asked;
                match asks.get(asked).map(W::asked_for) {
                    Some(Some(operation)) => self.ask(*client, operation, *way),
                    Some(None) => self.break_off("impossible", "this workload has no such operation"),
                    None => self.stage().pass(now),
                }
            }
            Step::Until(..) | Step::Ask(..) if now >= ends => {
                let waited = (ends - self.stage().began.unwrap_or(ends)) / 1_000_000;
                self.break_off("waited in vain", &format!("it did not come to this within {waited} ms"));
            }
            Step::Until(..) | Step::Ask(..) | Step::Wait(_) => self.stage().due = Some(ends),
            Step::Expect(condition) if self.holds(condition) => self.stage().pass(now),
            Step::Expect(_) => self.break_off("not as expected", "it is not so"),
            _ => match self.deed(step) {
                Ok(()) => self.stage().pass(now),
                Err(why) => self.break_off("impossible", why),
            },
        }
    }

    /// A client makes the next request of the current step. Of several the last answer is waited for.
    fn ask(&mut self, client: u16, operation: W::Operation, way: Option<Way>) {
        let now = self.environment.now;
        let stage = self.stage();
        stage.request = Some((operation, way));
        stage.asked += 1;
        stage.began = Some(now);
        let is_single = matches!(stage.step(), Some(Step::Ask(_, asks, _)) if asks.len() == 1);
        if is_single {
            stage.pass(now);
        } else {
            stage.due = Some(stage.patience_ends());
        }
        self.client_decides(client);
    }

    fn deed(&mut self, step: &Step) -> Result<(), &'static str> {
        match step {
            Step::StartOver(slot) => self.try_to(Action::CrashClient { slot: *slot }),
            Step::Crash(ids) => self.each(ids, |id| Action::Kill { replica: id.0 }),
            Step::Restart(ids) => self.each(ids, |id| Action::Restart { replica: id.0 }),
            Step::TimeOut(ids) => self.each(ids, |id| Action::FireEarly { node: Node::Replica(id) }),
            Step::SetRate(nodes, drift_ppm) => {
                self.each(nodes, |node| Action::SetRate { node, drift_ppm: *drift_ppm })
            }
            Step::Pause(nodes) => self.each(nodes, |node| Action::Halt { node }),
            Step::Resume(nodes) => self.each(nodes, |node| Action::Resume { node }),
            Step::Partition(ones, others) => self.partition(ones, others),
            Step::Rule(rule) => {
                self.environment.network.follow(rule.clone());
                Ok(())
            }
            Step::Deliver(which) => self.deliver_kept(which),
            Step::Lose(which) => self.lose_kept(which),
            Step::Release(which) => {
                let rule = Rule { treatment: Treatment::Pass, which: which.clone() };
                self.environment.network.follow(rule);
                self.environment.let_go(which);
                Ok(())
            }
            Step::Reconfigure { members, witnesses } => {
                let group = self.environment.checks.first().members.group();
                let is_one = |id: &&ReplicaId| match witnesses {
                    Some(witnesses) => witnesses.contains(id),
                    None => group.is_witness(**id),
                };
                let witnesses: Vec<u8> = members.iter().filter(is_one).map(|id| id.0).collect();
                let members: Vec<u8> = members.iter().map(|id| id.0).collect();
                self.try_to(Action::Reconfigure { members: members.into(), witnesses: witnesses.into() })
            }
            Step::WarmUp(ids) => self.each(ids, |id| Action::WarmUp { replica: id.0 }),
            Step::Heal => self.mend_everything(),
            _ => unreachable!("steps that wait are no deeds"),
        }
    }

    fn each<T: Copy>(&mut self, all: &[T], action: impl Fn(T) -> Action) -> Result<(), &'static str> {
        all.iter().try_for_each(|&one| self.try_to(action(one)))
    }

    fn try_to(&mut self, action: Action) -> Result<(), &'static str> {
        if let Action::Kill { replica } = action
            && !self.may_crash(ReplicaId(replica))
        {
            return Err("it is down already, or the group cannot stand one more without its memory");
        }
        if self.is_inert(&action) {
            return Err(NOTHING);
        }
        self.perform(None, action);
        Ok(())
    }

    fn partition(&mut self, ones: &[ReplicaId], others: &[ReplicaId]) -> Result<(), &'static str> {
        let both = |&one: &ReplicaId, &other: &ReplicaId| {
            let (one, other) = (Node::Replica(one), Node::Replica(other));
            [(one, other), (other, one)]
        };
        let links: Vec<_> =
            ones.iter().flat_map(|one| others.iter().flat_map(move |other| both(one, other))).collect();
        self.stage().severed.extend(&links);
        self.try_to(Action::Sever { links: links.into() })
    }

    fn mend_everything(&mut self) -> Result<(), &'static str> {
        let severed = std::mem::take(&mut self.stage().severed);
        if !severed.is_empty() {
            self.try_to(Action::Mend { links: severed.into() })?;
        }
        self.environment.network.forget_rules();
        self.environment.let_go(&Which::default());
        Ok(())
    }

    fn deliver_kept(&mut self, which: &Which) -> Result<(), &'static str> {
        if self.environment.let_go(which) == 0 { Err("no such message is kept") } else { Ok(()) }
    }

    fn lose_kept(&mut self, which: &Which) -> Result<(), &'static str> {
        if self.environment.give_up(which) == 0 { Err("no such message is kept") } else { Ok(()) }
    }

    // ---- Conditions ------------------------------------------------------------------------------

    fn replica(&self, id: ReplicaId) -> Option<&Replica<W::Service, R>> {
        self.replicas[id.index()].replica.as_ref()
    }

    fn latest_normal_view(&self) -> u64 {
        let members = self.environment.checks.first().members.iter();
        members.map(|member| member.normal_view.0).max().unwrap_or(0)
    }

    /// Whether the client has a session, and all its answers.
    fn is_free(&self, client: u16) -> bool {
        let slot = &self.clients[usize::from(client)];
        slot.client.id().is_some() && !slot.client.is_waiting() && slot.next.is_none()
    }

    fn holds(&self, condition: &Condition) -> bool {
        let stage = self.environment.stage.as_ref().expect("a story is played");
        let client = |slot: &u16| &self.clients[usize::from(*slot)].client;
        match condition {
            Condition::Is(ids, status, view) => ids.iter().all(|&id| self.is(id, *status, *view)),
            Condition::NewPrimary => {
                self.replicas.iter().filter_map(|slot| slot.replica.as_ref()).any(|replica| {
                    replica.role() == Role::Primary && replica.view() > View(stage.view_before)
                })
            }
            Condition::Has(ids, position) => ids.iter().all(|&id| self.has(id, *position)),
            Condition::SameState(ids) => self.hold_the_same_state(ids),
            Condition::InEpoch(ids, epoch) => {
                ids.iter().all(|&id| self.replica(id).is_some_and(|replica| replica.epoch().0 == *epoch))
            }
            Condition::Reconfigured => !self.administrator_waits(),
            Condition::Registered(clients) => clients.iter().all(|slot| client(slot).id().is_some()),
            Condition::Answered(clients) => clients.iter().all(|&slot| self.is_free(slot)),
            Condition::Waits(slot) => client(slot).is_waiting(),
            Condition::Got(slot, found) => self.got(*slot, *found),
            Condition::SameAnswerAgain(slot) => {
                stage.answers[usize::from(*slot)].is_some_and(|(_, is_again)| is_again)
            }
            Condition::Redirected(id, slot) => stage.redirected.contains(&(*id, *slot)),
            Condition::IsKept(which) => stage.kept.iter().any(|kept| which.covers(&kept.identity)),
        }
    }

    fn is(&self, id: ReplicaId, status: Status, view: Option<u64>) -> bool {
        let Some(replica) = self.replica(id) else { return status == Status::Down };
        let has_it = match status {
            Status::Normal => matches!(replica.role(), Role::Primary | Role::Backup | Role::Witness),
            Status::Primary => replica.role() == Role::Primary,
            Status::Backup => replica.role() == Role::Backup,
            Status::Witness => replica.role() == Role::Witness,
            Status::Recovering => replica.role() == Role::Recovering,
            Status::ChangingViews => replica.role() == Role::ViewChange,
            Status::FetchingState => replica.is_fetching(),
            Status::NoMember => replica.role() == Role::Standby,
            Status::Stopped => replica.role() == Role::Stopped,
            Status::Down => false,
        };
        has_it && view.is_none_or(|view| replica.view() == View(view))
    }

    fn has(&self, id: ReplicaId, position: Position) -> bool {
        let Some(replica) = self.replica(id) else { return false };
        let number = if position.is_committed { replica.commit_number().0 } else { replica.op_number().0 };
        number == position.number || (position.or_more && number > position.number)
    }

    fn hold_the_same_state(&self, ids: &[ReplicaId]) -> bool {
        let members = &self.environment.checks.first().members;
        let state = |&id: &ReplicaId| {
            let member = &members[id];
            let replica = self.replica(id).filter(|_| member.is_normal())?;
            let last = replica.op_number();
            let log = member.chain(OpNumber(last.0));
            Some((replica.view(), last, log, replica.commit_number(), W::digest(replica.service())))
        };
        let mut states = ids.iter().map(state);
        let first = states.next().flatten();
        first.is_some() && states.all(|other| other == first)
    }

    fn got(&self, client: u16, found: Found) -> bool {
        let history = &self.environment.history;
        let Some(last) = history.iter().rposition(|call| call.client == u32::from(client)) else {
            return false;
        };
        let causal = self.environment.stage.as_ref().and_then(|stage| stage.causal[usize::from(client)]);
        let got = match (&history[last].returned, causal) {
            (Some((_, response)), _) => W::found(&history[last].operation, response),
            (None, Some((call, found))) if call == last => found,
            _ => None,
        };
        got == Some(found)
    }
}
