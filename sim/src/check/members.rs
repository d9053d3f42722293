//! What the checks know of each replica.

use std::ops::{Index, IndexMut, Range};

use vr::{Configuration, Epoch, EpochStart, Incarnation, OpNumber, ReplicaId, Role, View};

use super::ghost::{Committed, Ghost};

/// One entry of a log, as far as checks care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// A digest of this entry and all before it, so that equal digests mean equal prefixes.
    pub chain: u64,
    /// The view in which the entry was created.
    pub view: View,
}

impl Link {
    /// The entry of a committed operation.
    pub(super) const fn of(committed: &Committed) -> Self {
        Self { chain: committed.chain, view: committed.created }
    }
}

/// What a replica held when it lost its memory.
#[derive(Clone, Debug, Default)]
pub struct Lost {
    /// Its log.
    pub log: Vec<Link>,
    /// The latest view that it was normal in.
    pub normal_view: View,
    /// The last op-number executed.
    pub executed: OpNumber,
}

/// What is known of one replica.
#[derive(Clone, Debug, Default)]
pub struct Member {
    /// What it is; `None` while it is down.
    pub role: Option<Role>,
    /// Which start this is.
    pub incarnation: Incarnation,
    /// Its view.
    pub view: View,
    /// The latest view that it was normal in, in this incarnation.
    pub normal_view: View,
    /// The latest epoch that it ever took part in: it had executed the log up to that epoch's start.
    pub reached: Option<Epoch>,
    /// Its log.
    pub log: Vec<Link>,
    /// Whether the log has changed since it was last looked at.
    pub changed: bool,
    /// What it held when it lost its memory, until it has recovered.
    pub lost: Option<Lost>,
    /// The last op-number executed; of a witness, the last that it knows to be committed.
    pub executed: OpNumber,
    /// The op-number of its latest checkpoint.
    pub checkpoint: OpNumber,
}

impl Member {
    /// The digest of the log up to `op_number`.
    #[inline]
    #[must_use]
    pub fn chain(&self, op_number: OpNumber) -> Option<u64> {
        chain_at(&self.log, op_number)
    }

    /// Whether it holds the log with this digest at `op_number`; a replica without its memory counts for
    /// what it held.
    #[must_use]
    pub fn holds(&self, op_number: OpNumber, chain: u64) -> bool {
        let log = self.lost.as_ref().map_or(&self.log, |lost| &lost.log);
        chain_at(log, op_number) == Some(chain)
    }

    /// Whether it is up and normal.
    #[must_use]
    pub const fn is_normal(&self) -> bool {
        matches!(self.role, Some(Role::Primary | Role::Backup | Role::Witness))
    }

    /// Whether it was seen in this role and view before. Of a primary that starts a view the view is known in the middle
    /// of a step, and may be the only thing that is another one than before: not that it is normal there.
    #[inline]
    pub(super) fn is_known_in(&self, role: Role, view: View) -> bool {
        self.role == Some(role) && self.view == view && (self.normal_view == view || !self.is_normal())
    }

    /// Whether it is without its memory.
    #[must_use]
    pub const fn is_amnesiac(&self) -> bool {
        matches!(self.role, None | Some(Role::Recovering))
    }

    pub(super) fn crash(&mut self) {
        // What it recovers is about as long.
        let room = Vec::with_capacity(self.log.len());
        let log = std::mem::replace(&mut self.log, room);
        // What was held before the first crash counts until a recovery is complete.
        self.lost.get_or_insert(Lost { log, normal_view: self.normal_view, executed: self.executed });
        self.role = None;
        self.executed = OpNumber::ZERO;
        self.checkpoint = OpNumber::ZERO;
    }

    /// Its log is empty now, and begins after `after`; what comes before is what was committed.
    pub(super) fn begins_after(&mut self, after: OpNumber, ghost: &Ghost) {
        let committed = ghost.operations().get(..after.0 as usize).unwrap_or_default();
        self.log.clear();
        self.log.extend(committed.iter().map(Link::of));
        self.executed = after;
        self.checkpoint = OpNumber::ZERO;
        self.changed = true;
    }

    /// Up to where it has executed; up to where it had, if it is without its memory.
    #[must_use]
    pub fn reaches(&self) -> OpNumber {
        self.lost.as_ref().map_or(self.executed, |lost| lost.executed)
    }

    /// It begins where it has promised nothing.
    pub(super) fn begin_anew(&mut self, incarnation: Incarnation) {
        self.restart(incarnation);
        (self.role, self.lost) = (Some(Role::Standby), None);
    }

    /// It holds nothing any more, and nobody counts on it.
    pub(super) fn leave(&mut self) {
        if self.is_amnesiac() {
            // Those whom it was to serve may still count it as lost.
            self.role = None;
            return;
        }
        let (incarnation, reached) = (self.incarnation, self.reached);
        *self = Self { role: Some(Role::Standby), incarnation, reached, ..Self::default() };
    }

    pub(super) const fn restart(&mut self, incarnation: Incarnation) {
        self.role = Some(Role::Recovering);
        self.incarnation = incarnation;
        self.view = View::ZERO;
        self.normal_view = View::ZERO;
        self.changed = false;
    }

    /// Takes note of the replica's role; true if a recovery has just come to its end.
    pub(super) fn takes_role(&mut self, role: Role, view: View) -> bool {
        let recovered = self.lost.is_some() && matches!(role, Role::Primary | Role::Backup | Role::Witness);
        if role == Role::Standby {
            // Nobody counts on a node that is no member.
            self.lost = None;
        }
        self.role = Some(role);
        self.view = view;
        if self.is_normal() {
            self.normal_view = view;
        }
        recovered
    }

    /// Takes note of whether the replica takes part in its epoch and has executed what came before.
    pub(super) fn note_reached(&mut self, epoch: Epoch, epoch_start: OpNumber) {
        let takes_part = self.is_normal() || self.role == Some(Role::ViewChange);
        if takes_part && self.executed >= epoch_start {
            self.reached = self.reached.max(Some(epoch));
        }
    }
}

/// The digest of `log` up to `op_number`; position zero is the empty log.
#[inline]
#[must_use]
pub fn chain_at(log: &[Link], op_number: OpNumber) -> Option<u64> {
    match op_number.0 {
        0 => Some(0),
        number => log.get(number as usize - 1).map(|link| link.chain),
    }
}

/// All replicas.
#[derive(Clone, Debug)]
pub struct Members {
    replicas: Vec<Member>,
    /// How each epoch started.
    epochs: Vec<EpochStart>,
}

impl Members {
    /// `replicas` nodes, of which these are `present` and `first` are the first group. The others are none of
    /// the checks' business: like a replica that is down, each of them holds nothing.
    pub(super) fn new(replicas: usize, present: Range<u8>, first: Configuration) -> Self {
        let mut members = vec![Member::default(); replicas];
        for id in present.map(ReplicaId) {
            let member = &mut members[id.index()];
            let role = match id {
                _ if first.is_witness(id) => Role::Witness,
                _ if id == first.member_at(0) => Role::Primary,
                _ => Role::Backup,
            };
            let is_member = first.contains(id);
            member.role = Some(if is_member { role } else { Role::Standby });
            member.reached = is_member.then_some(Epoch::ZERO);
            member.changed = true;
        }
        Self { replicas: members, epochs: vec![EpochStart::first(first)] }
    }

    /// `replicas` nodes of which none runs yet. Until it does, none has lost anything.
    pub(super) fn to_be_started(replicas: usize, first: Configuration) -> Self {
        let standby = Member { role: Some(Role::Standby), ..Member::default() };
        Self { replicas: vec![standby; replicas], epochs: vec![EpochStart::first(first)] }
    }

    // ---- Epochs ----------------------------------------------------------------------------------

    /// How the epoch started, if anybody has come to it.
    #[must_use]
    pub fn epoch(&self, epoch: Epoch) -> Option<EpochStart> {
        self.epochs.get(epoch.0 as usize).copied()
    }

    /// After which op-number the epoch started; zero if nobody has come to it.
    #[inline]
    #[must_use]
    pub fn start_of(&self, epoch: Epoch) -> OpNumber {
        self.epochs.get(epoch.0 as usize).map_or(OpNumber::ZERO, |start| start.after)
    }

    /// The latest epoch that anybody has come to.
    #[must_use]
    pub fn latest_epoch(&self) -> Epoch {
        self.latest().epoch
    }

    fn latest(&self) -> &EpochStart {
        self.epochs.last().expect("there is always the first")
    }

    /// Whether an epoch starts after this op-number.
    pub(super) fn is_epoch_start(&self, after: OpNumber) -> bool {
        self.epochs.iter().any(|start| start.after == after)
    }

    /// The members of the latest epoch.
    #[must_use]
    pub fn group(&self) -> Configuration {
        self.latest().members
    }

    /// The members of an epoch; those of the latest one if nobody has come to it.
    #[inline]
    #[must_use]
    pub fn group_of(&self, epoch: Epoch) -> Configuration {
        self.epochs.get(epoch.0 as usize).unwrap_or_else(|| self.latest()).members
    }

    pub(super) fn begin(&mut self, start: EpochStart) {
        self.epochs.push(start);
    }

    /// The members of an epoch.
    pub fn in_group(&self, group: Configuration) -> impl Iterator<Item = &Member> {
        group.members().filter_map(|id| self.replicas.get(id.index()))
    }

    /// The active members of an epoch.
    pub fn active_in(&self, group: Configuration) -> impl Iterator<Item = &Member> {
        group.active().filter_map(|id| self.replicas.get(id.index()))
    }

    /// The groups on whose state others rest: that of the latest epoch, and those from the last one on of which a
    /// quorum of active members has come to have it.
    pub fn living_groups(&self) -> impl Iterator<Item = Configuration> {
        let last = self
            .epochs
            .iter()
            .rev()
            .find(|start| self.has_state(start))
            .map_or(0, |start| start.epoch.0 as usize);
        self.epochs[last..].iter().map(|start| start.members)
    }

    /// Whether a quorum of a later epoch's active members has come to have its state.
    #[must_use]
    pub(super) fn has_state_later(&self, epoch: Epoch) -> bool {
        self.epochs.iter().filter(|start| start.epoch > epoch).any(|start| self.has_state(start))
    }

    fn has_state(&self, start: &EpochStart) -> bool {
        let reached = |member: &&Member| member.reached.is_some_and(|reached| reached >= start.epoch);
        self.active_in(start.members).filter(reached).count() >= start.members.quorum()
    }

    /// Whether the replica is a witness in the epoch that it is in.
    #[inline]
    #[must_use]
    pub fn is_witness(&self, replica: ReplicaId) -> bool {
        self.group_of(self[replica].view.epoch()).is_witness(replica)
    }

    /// How many active members of a group have executed all up to `op_number`.
    #[must_use]
    pub fn having_executed(&self, group: Configuration, op_number: OpNumber) -> usize {
        self.active_in(group).filter(|member| member.reaches() >= op_number).count()
    }

    /// How many of these are without their memory.
    #[must_use]
    pub fn amnesiacs_in(&self, group: Configuration) -> usize {
        self.in_group(group).filter(|member| member.is_amnesiac()).count()
    }

    /// Whether the group can stand that this replica loses its memory.
    #[must_use]
    pub fn can_spare(&self, group: Configuration, replica: ReplicaId) -> bool {
        let one_more = group.contains(replica) && !self[replica].is_amnesiac();
        self.amnesiacs_in(group) + usize::from(one_more) <= group.failures_tolerated()
    }

    // ---- Replicas --------------------------------------------------------------------------------

    /// All replicas, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.replicas.iter()
    }

    /// How many the present group needs to agree.
    #[must_use]
    pub fn quorum(&self) -> usize {
        self.group().quorum()
    }

    /// How many of the present group may be without their memory at a time.
    #[must_use]
    pub fn failures_tolerated(&self) -> usize {
        self.group().failures_tolerated()
    }
}

impl Index<ReplicaId> for Members {
    type Output = Member;

    #[inline]
    fn index(&self, replica: ReplicaId) -> &Member {
        &self.replicas[replica.index()]
    }
}

impl IndexMut<ReplicaId> for Members {
    #[inline]
    fn index_mut(&mut self, replica: ReplicaId) -> &mut Member {
        &mut self.replicas[replica.index()]
    }
}
