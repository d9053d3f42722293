//! The replicas at a node, and which of them wants to be called next.

use std::collections::{BTreeMap, BTreeSet};

use crate::replica::Replica;
use crate::rules::Rules;
use crate::service::Service;
use crate::supervisor::GroupId;
use crate::types::Instant;

/// Replicas by their groups. However many there are, an input costs what its own replica does with it.
#[derive(Clone)]
pub(super) struct Groups<S: Service, R: Rules> {
    replicas: BTreeMap<GroupId, Replica<S, R>>,
    /// The next deadline of each.
    deadlines: BTreeSet<(Instant, GroupId)>,
}

impl<S: Service, R: Rules> Groups<S, R> {
    pub(super) const fn none() -> Self {
        Self { replicas: BTreeMap::new(), deadlines: BTreeSet::new() }
    }

    pub(super) fn get(&self, group: GroupId) -> Option<&Replica<S, R>> {
        self.replicas.get(&group)
    }

    pub(super) fn contains(&self, group: GroupId) -> bool {
        self.replicas.contains_key(&group)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (GroupId, &Replica<S, R>)> {
        self.replicas.iter().map(|(id, replica)| (*id, replica))
    }

    pub(super) fn insert(&mut self, group: GroupId, replica: Replica<S, R>) {
        assert!(!self.contains(group), "{group} runs here already");
        self.deadlines.insert((replica.next_deadline(), group));
        self.replicas.insert(group, replica);
    }

    /// Keeps those of which that is said.
    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(GroupId, &Replica<S, R>) -> bool) {
        self.replicas.retain(|&id, replica| {
            let is_kept = is_kept(id, replica);
            if !is_kept {
                self.deadlines.remove(&(replica.next_deadline(), id));
            }
            is_kept
        });
    }

    /// Does something with a group's replica, if there is one.
    pub(super) fn with(&mut self, group: GroupId, act: impl FnOnce(&mut Replica<S, R>)) {
        let Some(replica) = self.replicas.get_mut(&group) else { return };
        let before = replica.next_deadline();
        act(replica);
        let after = replica.next_deadline();
        if before != after {
            let was_there = self.deadlines.remove(&(before, group));
            assert!(was_there, "{group} changed its deadline unseen");
            self.deadlines.insert((after, group));
        }
    }

    pub(super) fn next_deadline(&self) -> Instant {
        self.deadlines.first().map_or(Instant::NEVER, |&(deadline, _)| deadline)
    }

    /// Those whose deadlines have passed by `now`, in the order of these.
    pub(super) fn due(&self, now: Instant) -> Vec<GroupId> {
        self.deadlines.iter().take_while(|(deadline, _)| *deadline <= now).map(|&(_, group)| group).collect()
    }
}
