//! What the checks know of each replica.

use std::ops::{Index, IndexMut};

use vr::{Incarnation, OpNumber, ReplicaId, Role, View};

/// One entry of a log, as far as checks care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// A digest of this entry and all before it, so that equal digests mean equal prefixes.
    pub chain: u64,
    /// The view in which the entry was created.
    pub view: View,
}

/// What a replica held when it lost its memory.
#[derive(Clone, Debug, Default)]
pub struct Lost {
    /// Its log.
    pub log: Vec<Link>,
    /// The latest view that it was normal in.
    pub normal_view: View,
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
    /// Its log.
    pub log: Vec<Link>,
    /// Whether the log has changed since it was last looked at.
    pub changed: bool,
    /// What it held when it lost its memory, until it has recovered.
    pub lost: Option<Lost>,
    /// The last op-number executed.
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
        matches!(self.role, Some(Role::Primary | Role::Backup))
    }

    /// Whether it is without its memory.
    #[must_use]
    pub const fn is_amnesiac(&self) -> bool {
        matches!(self.role, None | Some(Role::Recovering))
    }

    pub(super) fn crash(&mut self) {
        let log = std::mem::take(&mut self.log);
        // What was held before the first crash counts until a recovery is complete.
        self.lost.get_or_insert(Lost { log, normal_view: self.normal_view });
        self.role = None;
        self.executed = OpNumber::ZERO;
        self.checkpoint = OpNumber::ZERO;
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
        let recovered = self.lost.is_some() && matches!(role, Role::Primary | Role::Backup);
        self.role = Some(role);
        self.view = view;
        if self.is_normal() {
            self.normal_view = view;
        }
        recovered
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
pub struct Members(Vec<Member>);

impl Members {
    pub(super) fn new(replicas: usize) -> Self {
        let mut members = vec![Member::default(); replicas];
        for (index, member) in members.iter_mut().enumerate() {
            member.role = Some(if index == 0 { Role::Primary } else { Role::Backup });
            member.changed = true;
        }
        Self(members)
    }

    /// All replicas, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.0.iter()
    }

    /// How many are without their memory.
    #[must_use]
    pub fn amnesiacs(&self) -> usize {
        self.iter().filter(|member| member.is_amnesiac()).count()
    }

    /// How many a group of this size needs to agree.
    #[must_use]
    pub fn quorum(&self) -> usize {
        self.0.len() - self.failures_tolerated()
    }

    /// How many may be without their memory at a time.
    #[must_use]
    pub fn failures_tolerated(&self) -> usize {
        (self.0.len() - 1) / 2
    }
}

impl Index<ReplicaId> for Members {
    type Output = Member;

    #[inline]
    fn index(&self, replica: ReplicaId) -> &Member {
        &self.0[replica.index()]
    }
}

impl IndexMut<ReplicaId> for Members {
    #[inline]
    fn index_mut(&mut self, replica: ReplicaId) -> &mut Member {
        &mut self.0[replica.index()]
    }
}
