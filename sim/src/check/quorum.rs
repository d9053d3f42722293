//! Quorum evidence: S8.

use vr::ReplicaId;

use super::ghost::Committed;
use super::members::Members;
use super::{Findings, Property};

/// S8: at the moment an operation is first committed, a quorum holds it. A replica that has lost its
/// memory since it acknowledged counts, as long as it has not come back without.
#[inline]
pub(super) fn held(members: &Members, replica: ReplicaId, seen: &Committed, findings: &mut Findings) {
    let group = members.group_of(seen.view.epoch());
    let holders = members.in_group(group).filter(|member| member.holds(seen.op_number, seen.chain)).count();
    if holders < group.quorum() {
        let (op_number, quorum) = (seen.op_number, group.quorum());
        let witness =
            format!("{replica} committed op {op_number}, which {holders} hold; a quorum is {quorum}");
        findings.add(Property::S8, "committed without a quorum", witness);
    }
}
