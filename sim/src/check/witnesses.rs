//! Witnesses: S25, S26 as far as it is about them, and what of S1 and S5 holds for who executes nothing.

use vr::{OpNumber, Replica, ReplicaId, Rules, Service, View};

use super::ghost::Ghost;
use super::members::{Member, Members};
use super::{Fact, Findings, Property};

/// S25: a witness has no state.
pub(super) fn holds_no_state(members: &Members, replica: ReplicaId, what: &str, findings: &mut Findings) {
    if members.is_witness(replica) {
        let witness = format!("{replica} {what}, and is a witness");
        findings.add(Property::S25, "witness with state", witness);
    }
}

/// S25: a witness is never primary.
pub(super) fn is_no_primary(members: &Members, replica: ReplicaId, view: View, findings: &mut Findings) {
    if members.group_of(view.epoch()).is_witness(replica) {
        let witness = format!("{replica} is primary of view {view}, and a witness");
        findings.add(Property::S25, "witness as primary", witness).between([Fact::normal(replica, view)]);
    }
}

/// S26: what a witness drops, or begins without, a quorum of active members has executed. Whoever is without its memory
/// counts for what it had.
pub(super) fn dropped(members: &Members, replica: ReplicaId, through: OpNumber, findings: &mut Findings) {
    let covers = |group: vr::Configuration| members.having_executed(group, through) >= group.quorum();
    if !members.living_groups().any(covers) {
        let having = members.having_executed(members.group(), through);
        let witness = format!(
            "{replica}, a witness, goes without what comes before op {through}, which {having} active members have executed"
        );
        findings
            .add(Property::S26, "witness's log dropped too early", witness)
            .between([Fact::committed(through)]);
    }
}

/// S1, S5: what a witness takes for committed is committed, it holds it, and it takes nothing back.
#[inline]
pub(super) fn knows<S: Service, R: Rules>(
    member: &mut Member,
    replica: ReplicaId,
    state: &Replica<S, R>,
    ghost: &Ghost,
    findings: &mut Findings,
) {
    let committed = state.commit_number().op_number();
    if committed == member.executed {
        return;
    }
    if committed < member.executed || committed > state.op_number() {
        let (before, last) = (member.executed, state.op_number());
        let witness = format!(
            "{replica} takes op {committed} for the last committed one of a log to op {last}, after op {before}"
        );
        findings.add(Property::S5, "commit-number of a witness", witness);
    }
    let known = ghost.get(committed).map(|known| known.chain);
    if committed > OpNumber::ZERO && known != member.chain(committed) {
        let witness = format!("{replica} takes op {committed} for committed, and holds another one");
        findings
            .add(Property::S1, "witness holds another entry", witness)
            .between([Fact::committed(committed)]);
    }
    member.executed = committed;
}
