//! Progress after the faults have stopped: L1 to L7, and L9 where one of them has stayed.
//!
//! A core of replicas, large enough to make progress, is up and connected; the rest stays as it was. All
//! that is claimed is claimed of the core: what is outside may stay behind for ever.

use vr::{Replica, ReplicaId, Role, Rules, Service, View};

use super::{Findings, Property};
use crate::digest;
use crate::setup::Setup;

/// What can be seen of a member of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The replica's name.
    pub replica: u8,
    /// Its role; `None` while it is down.
    pub role: Option<Role>,
    /// Its view.
    pub view: View,
    /// The end of its log.
    pub op_number: u64,
    /// What it has committed.
    pub commit_number: u64,
    /// The digest of its service's state.
    pub state: u64,
    /// Whether it waits for state.
    pub fetching: bool,
}

impl Seen {
    /// What can be seen of a replica, whose service's state has this digest; of none if it is down.
    pub fn of<S: Service, R: Rules>(
        id: ReplicaId,
        replica: Option<&Replica<S, R>>,
        digest: impl Fn(&S) -> u64,
    ) -> Self {
        Self {
            replica: id.0,
            role: replica.map(Replica::role),
            view: replica.map_or(View::ZERO, Replica::view),
            op_number: replica.map_or(0, |replica| replica.op_number().0),
            commit_number: replica.map_or(0, |replica| replica.commit_number().0),
            state: replica.map_or(0, |replica| digest(replica.service())),
            fetching: replica.is_some_and(Replica::is_fetching),
        }
    }
}

/// What remains to be done of a reconfiguration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// Whether the administrator waits for an answer.
    pub administrator: bool,
    /// Members without the log up to the start of their epoch.
    pub transitioning: Vec<u16>,
    /// Replicas that are no members of the latest epoch and have not stopped.
    pub replaced: Vec<u16>,
}

impl Unfinished {
    /// Whether nothing remains.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        !self.administrator && self.transitioning.is_empty() && self.replaced.is_empty()
    }
}

/// The time after the faults.
#[derive(Clone, Debug)]
pub struct Liveness {
    /// When everything must have been answered and everybody agree, in nanoseconds.
    deadline: u64,
    /// How many views had started when the faults stopped.
    views_before: usize,
    views_allowed: usize,
    /// Whether a fault has stayed.
    in_spite: bool,
    interval: u64,
    look_at: u64,
    last_look: (u64, u32),
}

/// How many looks in a row may show the same.
const SAME_LOOKS: u32 = 3;

impl Liveness {
    /// The faults stop at `now` for a group of so many replicas; all of them, or all but one (`in_spite`).
    #[must_use]
    pub fn new(setup: &Setup, replicas: usize, now: u64, views_before: usize, in_spite: bool) -> Self {
        let longest = longest_timeout(setup);
        let bound = longest * (replicas as u64 + 3) * 2;
        let interval = longest * 2;
        Self {
            deadline: now + bound,
            views_before,
            // Each replica may have to double its timeouts up to the limit before they suffice, every time at
            // the cost of a view; then it may be anybody's turn.
            views_allowed: replicas * (1 + setup.protocol.backoff_limit as usize) + 6,
            in_spite,
            interval,
            look_at: now + interval,
            last_look: (0, 0),
        }
    }

    /// When everything must be done, in nanoseconds of virtual time.
    #[must_use]
    pub const fn bound(&self) -> u64 {
        self.deadline
    }

    /// Whether the core agrees on everything.
    #[must_use]
    pub fn converged(core: &[Seen]) -> bool {
        let has_no_state = |seen: &&Seen| seen.role == Some(Role::Witness);
        let Some(first) = core.iter().find(|seen| !has_no_state(seen)).or(core.first()) else { return true };
        core.iter().all(|seen| {
            matches!(seen.role, Some(Role::Primary | Role::Backup | Role::Witness))
                && seen.view == first.view
                && seen.op_number == first.op_number
                && seen.commit_number == first.op_number
                && (seen.state == first.state || has_no_state(&seen))
        })
    }

    /// L4: the core has settled, and nobody waits for state that will never be needed.
    pub fn settled(core: &[Seen], findings: &mut Findings) {
        let fetching: Vec<u16> =
            core.iter().filter(|seen| seen.fetching).map(|seen| seen.replica.into()).collect();
        if !fetching.is_empty() {
            let witness =
                format!("{} waits for state that everybody has: {}", names('r', &fetching), describe(core));
            findings.add(Property::L4, "state transfer without need", witness);
        }
    }

    /// Looks at the core at `now`; `waiting` are the clients without an answer.
    pub fn look(
        &mut self,
        now: u64,
        core: &[Seen],
        waiting: &[u16],
        unfinished: &Unfinished,
        views: usize,
        findings: &mut Findings,
    ) {
        let changes = views - self.views_before;
        if changes > self.views_allowed {
            let witness = format!("{changes} views have started since the faults stopped");
            findings.add(self.or_l9(Property::L5), "views go on changing", witness);
        }
        if now >= self.look_at {
            self.look_at = now + self.interval;
            self.standstill(core, waiting, findings);
        }
        if now >= self.deadline {
            self.reconfigured(core, unfinished, findings);
            self.overdue(core, waiting, findings);
        }
    }

    /// L7: every reconfiguration comes to its end.
    fn reconfigured(&self, core: &[Seen], unfinished: &Unfinished, findings: &mut Findings) {
        let Unfinished { administrator, transitioning, replaced } = unfinished;
        let state = describe(core);
        if !transitioning.is_empty() {
            let witness =
                format!("{} is a member without the log of its epoch: {state}", names('r', transitioning));
            findings.add(Property::L7, "new member without the state", witness);
        }
        if !replaced.is_empty() {
            let witness = format!("{} is replaced, and has not stopped: {state}", names('r', replaced));
            findings.add(Property::L7, "replaced member goes on", witness);
        }
        if *administrator {
            let witness = format!("the administrator got no answer: {state}");
            findings.add(Property::L7, "administrator without answer", witness);
        }
    }

    /// What it is called if this does not hold, in spite of a fault or without.
    const fn or_l9(&self, property: Property) -> Property {
        if self.in_spite { Property::L9 } else { property }
    }

    /// L6: with requests pending, the state of the core changes.
    fn standstill(&mut self, core: &[Seen], waiting: &[u16], findings: &mut Findings) {
        let state = core.iter().fold(0, |digest, seen| {
            let role = seen.role.map_or(0, |role| role as u64 + 1);
            [role, seen.view.0, seen.op_number, seen.commit_number].into_iter().fold(digest, digest::mix)
        });
        let (last, times) = self.last_look;
        self.last_look = if state == last { (state, times + 1) } else { (state, 1) };
        if self.last_look.1 > SAME_LOOKS && !waiting.is_empty() {
            let witness = format!("{} waits, and nothing changes: {}", names('c', waiting), describe(core));
            findings.add(self.or_l9(Property::L6), "standstill", witness);
        }
    }

    /// L1 to L5: the time is up. What is wrong is named by what comes first; the rest follows from it, and is
    /// reported where that is not.
    fn overdue(&self, core: &[Seen], waiting: &[u16], findings: &mut Findings) {
        let named = |holds: &dyn Fn(&Seen) -> bool| -> Vec<u16> {
            core.iter().filter(|seen| holds(seen)).map(|seen| seen.replica.into()).collect()
        };
        let recovering = named(&|seen| matches!(seen.role, None | Some(Role::Recovering)));
        let fetching = named(&|seen| seen.fetching);
        let state = describe(core);
        if !recovering.is_empty() {
            let witness = format!("{} did not recover: {state}", names('r', &recovering));
            findings.add(Property::L3, "not recovered", witness);
        }
        if !waiting.is_empty() {
            let witness = format!("{} got no answer: {state}", names('c', waiting));
            findings.add(self.or_l9(Property::L1), "no answer", witness);
        }
        if !fetching.is_empty() {
            let witness = format!("{} waits for state: {state}", names('r', &fetching));
            findings.add(Property::L4, "state transfer without end", witness);
        }
        if Liveness::converged(core) {
            let witness = format!("the core agrees, but in no view for long: {state}");
            findings.add(self.or_l9(Property::L5), "no stable view", witness);
        } else {
            findings.add(Property::L2, "no convergence", format!("the core does not agree: {state}"));
        }
    }
}

/// L5, while faults strike: each crash costs one view at most, and nothing else costs any.
pub fn steady(replica: ReplicaId, view: View, crashes: u64, findings: &mut Findings) {
    if view.number() > crashes {
        let witness = format!("{replica} is in view {view}, after {crashes} crashes and nothing worse");
        findings.add(Property::L5, "more view changes than crashes", witness);
    }
}

/// The longest that anything waits before it is tried again, in nanoseconds.
pub(crate) fn longest_timeout(setup: &Setup) -> u64 {
    let protocol = &setup.protocol;
    let backed_off =
        (protocol.view_change_timeout_us.max(protocol.primary_timeout_us).max(protocol.abdication_us)
            << protocol.backoff_limit)
            * 5
            / 4;
    let retry = (protocol.request_timeout_us << protocol.backoff_limit) * 5 / 4;
    // A recovery doubles its patience five times at most.
    let recovery = (protocol.resend_us << 5) * 5 / 4;
    let travel = (setup.network.delay_min_us + setup.network.delay_mean_us) * 20;
    (backed_off.max(retry).max(recovery)
        + travel
        + 2 * setup.faults.clock.as_ref().map_or(0, |clock| clock.late_mean_us))
        * 1_000
}

fn names(prefix: char, numbers: &[u16]) -> String {
    numbers.iter().map(|number| format!("{prefix}{number}")).collect::<Vec<_>>().join(", ")
}

/// The core in words.
pub(crate) fn describe(core: &[Seen]) -> String {
    let member = |seen: &Seen| {
        let role = seen.role.map_or("down".to_owned(), |role| format!("{role:?}"));
        let Seen { replica, view, op_number, commit_number, .. } = seen;
        format!("r{replica} {role} view {view} op {op_number} commit {commit_number}")
    };
    core.iter().map(member).collect::<Vec<_>>().join("; ")
}
