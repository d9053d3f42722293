//! Recovery: S19.

use vr::{OpNumber, ReplicaId};

use super::ghost::Ghost;
use super::members::{Link, Member, chain_at};
use super::{Findings, Property};

/// S19: a replica that has recovered holds, in place, every committed operation that it held before it
/// lost its memory. Others may have counted on it.
pub(super) fn complete(member: &mut Member, replica: ReplicaId, ghost: &Ghost, findings: &mut Findings) {
    let Some(lost) = member.lost.take() else { return };
    let held = committed_prefix(&lost, ghost);
    let expected = ghost.get(held).map_or(0, |operation| operation.chain);
    if member.chain(held) != Some(expected) {
        let (end, view) = (member.log.len(), member.view);
        let witness = format!(
            "{replica} held committed op {held} before it crashed, and has recovered into view {view} with a log (to op {end}) without it"
        );
        findings.add(Property::S19, "recovered without a committed operation", witness);
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
