//! Epochs: S17, S18, S27.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;
use vr::{Entry, Epoch, EpochStart, OpNumber, Outcome, ReplicaId, RequestBody, RequestNumber, Role, View};

use super::ghost::{Committed, Ghost};
use super::members::{Member, Members};
use super::{Fact, Findings, Property};

/// How epochs have ended in the log.
#[derive(Clone, Debug, Default)]
pub struct Epochs {
    /// The start of the next epoch, by the op-number of the Reconfiguration that was committed.
    ends: BTreeMap<OpNumber, EpochStart>,
    /// The digests of the logs that end with a Reconfiguration.
    ending: FxHashSet<u64>,
}

impl Epochs {
    /// A replica has appended an entry to its log.
    #[inline]
    pub(super) fn appended<O>(&mut self, member: &Member, entry: &Entry<O>) {
        if matches!(entry.request.body, RequestBody::Reconfiguration(_)) {
            self.ending.extend(member.log.last().map(|last| last.chain));
        }
    }

    /// An operation is committed for the first time anywhere. S18: not behind the end of its epoch.
    #[inline]
    pub(super) fn committed<R>(
        &mut self,
        members: &Members,
        outcome: &Outcome<'_, R>,
        seen: &Committed,
        findings: &mut Findings,
    ) {
        let epoch = seen.view.epoch();
        if epoch < members.latest_epoch()
            && let Some(next) = members.epoch(epoch.next())
            && seen.op_number > next.after
        {
            let (op_number, end) = (seen.op_number, next.after);
            let witness =
                format!("op {op_number} is committed in epoch {epoch}, which has ended at op {end}");
            findings
                .add(Property::S18, "committed after the end of its epoch", witness)
                .between([Fact::committed(end), Fact::committed(op_number)]);
        }
        if let Outcome::Reconfigured(start) = outcome {
            self.ends.insert(seen.op_number, *start);
        }
    }

    /// S17: a replica comes to an epoch with the one group and start that it has. True if it is the first.
    pub(super) fn begins(
        &self,
        members: &mut Members,
        replica: ReplicaId,
        start: &EpochStart,
        findings: &mut Findings,
    ) -> bool {
        let EpochStart { epoch, after, members: group, .. } = *start;
        if self.ends.get(&after) != Some(start) {
            let witness = format!(
                "{replica} comes to epoch {epoch} with {group} after op {after}, where no such Reconfiguration is committed"
            );
            findings.add(Property::S17, "epoch without its Reconfiguration", witness);
        }
        match members.epoch(epoch) {
            Some(known) if known != *start => {
                let (other, end) = (known.members, known.after);
                let witness = format!(
                    "{replica} comes to epoch {epoch} with {group} after op {after}; it has {other} after op {end}"
                );
                findings
                    .add(Property::S17, "two configurations of an epoch", witness)
                    .between([Fact::committed(end), Fact::committed(after)]);
                false
            }
            Some(_) => false,
            None if epoch == members.latest_epoch().next() => {
                members.begin(*start);
                true
            }
            None => {
                let latest = members.latest_epoch();
                let witness =
                    format!("{replica} comes to epoch {epoch}, but nobody has come further than {latest}");
                findings.add(Property::S17, "epoch left out", witness);
                false
            }
        }
    }

    /// S17: an administrator is told of an epoch that there is, from where it asked.
    pub(super) fn answered(
        &self,
        members: &Members,
        number: RequestNumber,
        op_number: OpNumber,
        epoch: Epoch,
        findings: &mut Findings,
    ) {
        let known =
            members.epoch(epoch).or_else(|| self.ends.values().find(|start| start.epoch == epoch).copied());
        if known.is_none_or(|start| start.after > op_number) {
            let witness = format!(
                "an administrator is told from op {op_number} that its request {number} has led to epoch {epoch}, which it has not"
            );
            findings.add(Property::S17, "administrator told of another epoch", witness);
        }
    }
}

/// S18: nothing is appended behind the Reconfiguration that ends its epoch.
#[inline(always)]
pub(super) fn nothing_after_the_end(
    member: &Member,
    epochs: &Epochs,
    ghost: &Ghost,
    (replica, op_number, view): (ReplicaId, OpNumber, View),
    findings: &mut Findings,
) {
    // Mostly no epoch ends.
    if !epochs.ending.is_empty() {
        is_behind_an_end(member, epochs, ghost, (replica, op_number, view), findings);
    }
}

#[cold]
fn is_behind_an_end(
    member: &Member,
    epochs: &Epochs,
    ghost: &Ghost,
    (replica, op_number, view): (ReplicaId, OpNumber, View),
    findings: &mut Findings,
) {
    let Some(last) = member.log.last().filter(|last| epochs.ending.contains(&last.chain)) else { return };
    let end = op_number.previous();
    // One that came too late, or whose session is gone, was executed and has ended nothing.
    let is_void = ghost.get(end).is_some_and(|committed| committed.chain == last.chain)
        && !epochs.ends.contains_key(&end);
    if view.epoch() == last.view.epoch() && !is_void {
        let epoch = view.epoch();
        let witness = format!(
            "{replica} appended op {op_number} of epoch {epoch} behind the Reconfiguration at op {end}"
        );
        findings
            .add(Property::S18, "appended behind a Reconfiguration", witness)
            .between([Fact::appended(replica, end), Fact::appended(replica, op_number)]);
    }
}

/// S27: a replaced replica stops when a quorum of active members of the new group has the log up to the start of its epoch.
pub(super) fn may_stop(
    members: &Members,
    replica: ReplicaId,
    view: View,
    ghost: &Ghost,
    findings: &mut Findings,
) {
    let Some(start) = members.epoch(view.epoch()) else { return };
    let Some(chain) = ghost.get(start.after).map(|committed| committed.chain) else { return };
    let has_it = |member: &&Member| {
        member.reached.is_some_and(|reached| reached >= start.epoch) && member.holds(start.after, chain)
    };
    // Who has come further and recovered since may be in the middle of it.
    let holders = members.active_in(start.members).filter(has_it).count();
    let quorum = start.members.quorum();
    if holders < quorum && !members.has_state_later(start.epoch) {
        let (epoch, group) = (start.epoch, start.members);
        let witness = format!(
            "{replica} stops in epoch {epoch}, while {holders} of {group} have its log: a quorum is {quorum}"
        );
        findings.add(Property::S27, "stopped too early", witness).between([Fact::committed(start.after)]);
    }
}

/// S27: likewise, a host drops a replica that is no member any more; or what it held is of no more use.
pub(super) fn may_be_dropped(members: &Members, replica: ReplicaId, ghost: &Ghost, findings: &mut Findings) {
    let holds_state = !matches!(
        members[replica].role,
        None | Some(Role::Stopped | Role::Standby | Role::Recovering | Role::Transitioning)
    );
    if holds_state {
        may_stop(members, replica, View::of(members.latest_epoch(), 0), ghost, findings);
    }
}
