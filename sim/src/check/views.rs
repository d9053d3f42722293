//! Views: S2, S3, S4, S4b.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use vr::{Incarnation, OpNumber, ReplicaId, Role, View, ViewStart};

use super::ghost::{Committed, Ghost};
use super::members::{Link, Member, Members};
use super::{Fact, Findings, Property};

/// What is known of views.
#[derive(Clone, Debug)]
pub struct Views {
    primaries: FxHashMap<View, (ReplicaId, Incarnation)>,
    /// The last operation first committed in each view.
    committed: BTreeMap<View, OpNumber>,
    /// The latest view that has started on a vote of each replica.
    voted: Vec<View>,
    started: BTreeMap<View, Started>,
    latest_started: View,
    starting: Option<View>,
}

/// The log that a view started with, from the operations that were not known to be committed then.
#[derive(Clone, Debug)]
struct Started {
    by: ReplicaId,
    after: OpNumber,
    log: Vec<Link>,
}

impl Views {
    pub(super) fn new(replicas: usize) -> Self {
        Self {
            primaries: FxHashMap::default(),
            committed: BTreeMap::new(),
            voted: vec![View::ZERO; replicas],
            started: BTreeMap::new(),
            latest_started: View::ZERO,
            starting: None,
        }
    }

    /// A view starts, and its log is not in place yet. S4b; and S2, as far as the length of the log shows it.
    pub(super) fn starts(
        &mut self,
        members: &Members,
        replica: ReplicaId,
        start: &ViewStart<'_>,
        findings: &mut Findings,
    ) {
        let (view, end) = (start.view, start.op_number);
        for &(sender, incarnation) in start.votes {
            still_kept(&members[sender], sender, incarnation, view, findings);
            self.voted[sender.index()] = view.max(self.voted[sender.index()]);
        }
        let committed = self.committed_before(view);
        if end < committed {
            lost(replica, view, committed, end.0, findings);
        }
        self.starting = Some(view);
    }

    /// S4b, the other way round: who becomes normal in a view has given no vote on which a later one has
    /// started.
    pub(super) fn keeps_votes(&self, replica: ReplicaId, role: Role, view: View, findings: &mut Findings) {
        let voted = self.voted[replica.index()];
        if matches!(role, Role::Primary | Role::Backup | Role::Witness) && view < voted {
            let witness =
                format!("{replica} is normal in view {view}, but view {voted} has started on its vote");
            findings
                .add(Property::S4b, "normal before a view it voted for", witness)
                .between([Fact::started(voted), Fact::normal(replica, view)]);
        }
    }

    /// The last operation that was committed in an earlier view than this one.
    fn committed_before(&self, view: View) -> OpNumber {
        let earlier = self.committed.range(..view).map(|(_, &op_number)| op_number);
        earlier.max().unwrap_or(OpNumber::ZERO)
    }

    pub(super) const fn is_starting(&self) -> bool {
        self.starting.is_some()
    }

    /// How many views were started.
    #[must_use]
    pub fn count(&self) -> usize {
        self.started.len()
    }

    /// S2: a view starts with all that was committed before it.
    pub(super) fn started(
        &mut self,
        members: &Members,
        replica: ReplicaId,
        ghost: &Ghost,
        findings: &mut Findings,
    ) {
        let Some(view) = self.starting.take() else { return };
        let committed = self.committed_before(view);
        let member = &members[replica];
        let expected = ghost.get(committed).map_or(0, |operation| operation.chain);
        if member.chain(committed) != Some(expected) {
            lost(replica, view, committed, member.log.len() as u64, findings);
        }
        let log = member.log.get(committed.0 as usize..).unwrap_or_default().to_vec();
        self.started.insert(view, Started { by: replica, after: committed, log });
        self.latest_started = self.latest_started.max(view);
    }

    /// S2, the other way round: what is committed in a view is in every later view that has started.
    #[inline]
    pub(super) fn committed(&mut self, seen: &Committed, findings: &mut Findings) {
        if seen.view < self.latest_started {
            self.committed_late(seen, findings);
        }
        if let Some(mut last) = self.committed.last_entry()
            && *last.key() == seen.view
        {
            last.insert(seen.op_number);
        } else {
            self.committed.insert(seen.view, seen.op_number);
        }
    }

    fn committed_late(&self, seen: &Committed, findings: &mut Findings) {
        let Some((view, started)) = self.started.range(seen.view.next()..).next() else { return };
        let position = seen.op_number.0.checked_sub(started.after.0 + 1);
        let held = position.and_then(|position| started.log.get(position as usize));
        if held.is_none_or(|link| link.chain != seen.chain) {
            let Committed { op_number, view: own, .. } = seen;
            let by = started.by;
            let witness = format!(
                "op {op_number} is committed in view {own}, but {by} has started view {view} without it"
            );
            findings
                .add(Property::S2, "committed although a later view lacks it", witness)
                .between([Fact::started(*view), Fact::committed(*op_number)]);
        }
    }

    /// S3: a view has one primary, in one life of it.
    pub(super) fn one_primary(&mut self, member: &Member, replica: ReplicaId, findings: &mut Findings) {
        if member.role != Some(Role::Primary) {
            return;
        }
        let own = (replica, member.incarnation);
        let known = *self.primaries.entry(member.view).or_insert(own);
        if known != own {
            let (view, (other, life)) = (member.view, known);
            let witness = format!(
                "{replica} (life {}) is primary of view {view}, and so was {other} (life {life})",
                member.incarnation
            );
            findings
                .add(Property::S3, "two primaries in a view", witness)
                .between([Fact::normal(other, view), Fact::normal(replica, view)]);
        }
    }

    /// S4: neither the view nor the view it is normal in goes back.
    pub(super) fn monotonic(
        &self,
        member: &Member,
        replica: ReplicaId,
        role: Role,
        view: View,
        findings: &mut Findings,
    ) {
        if view < member.view {
            let before = member.view;
            findings
                .add(
                    Property::S4,
                    "view went back",
                    format!("{replica} went from view {before} to view {view}"),
                )
                .between([Fact::entered(replica, before), Fact::entered(replica, view)]);
        }
        if matches!(role, Role::Primary | Role::Backup | Role::Witness) && view < member.normal_view {
            let before = member.normal_view;
            let witness = format!("{replica} is normal in view {view} after it was in view {before}");
            findings
                .add(Property::S4, "normal view went back", witness)
                .between([Fact::normal(replica, before), Fact::normal(replica, view)]);
        }
    }
}

fn lost(replica: ReplicaId, view: View, committed: OpNumber, end: u64, findings: &mut Findings) {
    let witness = format!(
        "op {committed} was committed, but {replica} starts view {view} with a log (to op {end}) without it"
    );
    findings
        .add(Property::S2, "view starts without a committed operation", witness)
        .between([Fact::committed(committed), Fact::started(view)]);
}

/// S4b: a voter that has crashed since has not recovered into an earlier view.
fn still_kept(
    member: &Member,
    sender: ReplicaId,
    incarnation: Incarnation,
    view: View,
    findings: &mut Findings,
) {
    let has_recovered = member.incarnation > incarnation && member.role.is_some() && member.lost.is_none();
    // Who has come back outside of the group takes part in nothing, but knows of the epoch that it is outside of.
    let known = if member.role == Some(Role::Standby) { member.view } else { member.normal_view };
    if has_recovered && known < view {
        let (life, normal) = (member.incarnation, member.normal_view);
        let witness = format!(
            "view {view} starts on a vote of {sender} in life {incarnation}, which is in life {life} and was normal in view {normal}"
        );
        findings
            .add(Property::S4b, "vote of a forgotten life", witness)
            .between([Fact::normal(sender, normal), Fact::started(view)]);
    }
}
