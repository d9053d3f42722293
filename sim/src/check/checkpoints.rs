//! Checkpoints: S22, S26, and what installing one means for S5.

use vr::{Checkpoint, OpNumber, ReplicaId};

use super::execution::table_digest;
use super::ghost::Ghost;
use super::members::{Link, Member};
use super::{Checked, Fact, Findings, Property};

/// A checkpoint, as far as checks care.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    /// The op-number after which it says to have been taken.
    pub(super) op_number: OpNumber,
    /// The digest of the service's state.
    pub(super) state: u64,
    /// How many sessions there are.
    pub(super) sessions: usize,
    /// The digest of the client table.
    pub(super) table: u64,
}

impl Taken {
    /// `service` is what the checkpoint's pieces make.
    pub(super) fn of<W: Checked>(checkpoint: &Checkpoint<W::Service>, service: &W::Service) -> Self {
        Self {
            op_number: checkpoint.op_number(),
            state: W::digest(service),
            sessions: checkpoint.sessions().len(),
            table: table_digest(checkpoint.sessions()),
        }
    }
}

/// S22: a checkpoint holds the state after its op-number, and no other.
pub(super) fn taken(
    member: &mut Member,
    replica: ReplicaId,
    taken: &Taken,
    ghost: &Ghost,
    findings: &mut Findings,
) {
    member.checkpoint = taken.op_number;
    is_state_after(replica, "took", taken, ghost, findings);
}

/// S26: what is dropped is in a checkpoint of the replica's own, and that is executed.
pub(super) fn compacted(member: &Member, replica: ReplicaId, through: OpNumber, findings: &mut Findings) {
    let (checkpoint, executed) = (member.checkpoint, member.executed);
    if through > checkpoint || checkpoint > executed {
        let witness = format!(
            "{replica} dropped its log up to op {through}; it has a checkpoint after op {checkpoint}, and has executed op {executed}"
        );
        findings
            .add(Property::S26, "log dropped without a checkpoint", witness)
            .between([Fact::executed(replica, executed)]);
    }
}

/// S22, S5: a checkpoint that is installed holds what was committed up to its op-number, and takes nothing back.
pub(super) fn installed(
    member: &mut Member,
    replica: ReplicaId,
    taken: &Taken,
    ghost: &Ghost,
    findings: &mut Findings,
) {
    let (op_number, executed) = (taken.op_number, member.executed);
    if op_number <= executed {
        let witness =
            format!("{replica} installed checkpoint {op_number} after it had executed op {executed}");
        findings
            .add(Property::S5, "checkpoint takes executed operations back", witness)
            .between([Fact::executed(replica, executed)]);
    }
    is_state_after(replica, "installed", taken, ghost, findings);
    let committed = ghost.operations().get(..op_number.0 as usize).unwrap_or_default();
    member.log.clear();
    member.log.extend(committed.iter().map(Link::of));
    member.executed = op_number;
    member.checkpoint = op_number;
    member.changed = true;
}

fn is_state_after(replica: ReplicaId, what: &str, taken: &Taken, ghost: &Ghost, findings: &mut Findings) {
    let op_number = taken.op_number;
    match ghost.get(op_number) {
        None => {
            let witness =
                format!("{replica} {what} a checkpoint after op {op_number}, which is not committed");
            findings.add(Property::S22, "checkpoint of what is not committed", witness);
        }
        Some(committed) if committed.state != taken.state => {
            let witness =
                format!("{replica} {what} a checkpoint after op {op_number} that holds another state");
            findings
                .add(Property::S22, "checkpoint of another state", witness)
                .between([Fact::committed(op_number)]);
        }
        Some(_) => {}
    }
}
