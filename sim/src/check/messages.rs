//! Sanity of messages: S23.

use vr::{CommitNumber, Message, MessageKind, OpNumber, Payload, ReplicaId, Role, View};

use super::members::Member;
use super::{Findings, Property};

/// What was sent in the current step.
#[derive(Clone, Debug, Default)]
pub struct Messages {
    last: Option<(MessageKind, View)>,
    other_than_recovery: bool,
}

impl Messages {
    /// S23: the message carries its sender's name and life, and commits nothing that it does not hold.
    #[inline]
    pub(super) fn sent<O>(
        &mut self,
        member: &Member,
        replica: ReplicaId,
        message: &Message<O>,
        findings: &mut Findings,
    ) {
        let kind = message.payload.kind();
        if message.from != replica || message.incarnation != member.incarnation {
            let (from, life) = (message.from, message.incarnation);
            let witness = format!("{replica} sent a {kind:?} as {from} in life {life}");
            findings.add(Property::S23, "wrong sender", witness);
        }
        if let Some((committed, last)) = extent(&message.payload)
            && committed.op_number() > last
        {
            let witness =
                format!("{replica} sent a {kind:?} that commits op {committed} and ends at op {last}");
            findings.add(Property::S23, "commits more than it holds", witness);
        }
        self.last = Some((kind, message.view));
        self.other_than_recovery |= kind != MessageKind::Recovery;
    }

    /// S23: messages carry the view that their sender is in, and recovering replicas only ask.
    #[inline]
    pub(super) fn after_step(&mut self, replica: ReplicaId, role: Role, view: View, findings: &mut Findings) {
        let Some((kind, sent_in)) = self.last.take() else { return };
        let other_than_recovery = std::mem::take(&mut self.other_than_recovery);
        if sent_in != view {
            let witness = format!("{replica} sent a {kind:?} of view {sent_in}, but is in view {view}");
            findings.add(Property::S23, "wrong view", witness);
        }
        if role == Role::Recovering && other_than_recovery {
            findings.add(
                Property::S23,
                "sent while recovering",
                format!("{replica} sent a {kind:?} while recovering"),
            );
        }
    }
}

/// What the message commits, and the end of the log that it speaks of.
#[inline]
fn extent<O>(payload: &Payload<O>) -> Option<(CommitNumber, OpNumber)> {
    match payload {
        Payload::Prepare(prepare) => Some((prepare.commit_number, prepare.op_number)),
        Payload::DoViewChange(vote) => Some((vote.commit_number, vote.log.last())),
        Payload::StartView(start) => Some((start.commit_number, start.log.last())),
        Payload::RecoveryResponse(response) => {
            response.state.as_ref().map(|state| (state.commit_number, state.log.last()))
        }
        _ => None,
    }
}
