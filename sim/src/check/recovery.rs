//! Recovery: S19.

use vr::{OpNumber, ReplicaId};

use super::ghost::{Committed, Ghost};
use super::members::{Link, Member, chain_at};
use super::{Fact, Findings, Property};

/// S19: a replica that has recovered holds, in place, every committed operation that it held before it
/// lost its memory. Others may have counted on it.
///
/// Operations count that were committed before the view it recovered into, or in a view that it had been
/// normal in. In other views nobody counted on it: what it held is committed there only because the client
/// asked again, and may be committed after the answer that it recovered from was sent.
pub(super) fn complete(member: &mut Member, replica: ReplicaId, ghost: &Ghost, findings: &mut Findings) {
    let Some(lost) = member.lost.take() else { return };
    let view = member.view;
    let prefix = committed_prefix(&lost.log, ghost);
    let counted = |operation: &&Committed| operation.view < view || operation.view <= lost.normal_view;
    let Some(held) = ghost.operations()[..prefix.0 as usize].iter().rev().find(counted) else { return };
    if member.chain(held.op_number) != Some(held.chain) {
        let (end, op_number) = (member.log.len(), held.op_number);
        let witness = format!(
            "{replica} held committed op {op_number} before it crashed, and has recovered into view {view} with a log (to op {end}) without it"
        );
        findings
            .add(Property::S19, "recovered without a committed operation", witness)
            .between([Fact::committed(op_number), Fact::normal(replica, view)]);
    }
}

/// The last op-number up to which `log` holds what is committed.
fn committed_prefix(log: &[Link], ghost: &Ghost) -> OpNumber {
    let end = ghost.last().0.min(log.len() as u64);
    let agrees = |number: u64| {
        chain_at(log, OpNumber(number)) == ghost.get(OpNumber(number)).map(|operation| operation.chain)
    };
    // Chains agree up to some point and differ from there on.
    let (mut agreed, mut differs) = (0, end + 1);
    while agreed + 1 < differs {
        let middle = u64::midpoint(agreed, differs);
        if agrees(middle) { agreed = middle } else { differs = middle }
    }
    OpNumber(agreed)
}
