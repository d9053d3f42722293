//! Sanity of messages: S23.

use vr::{
    CommitNumber, Incarnation, Message, MessageKind, OpNumber, Payload, Replica, ReplicaId, Role, Rules,
    Service, View,
};

use super::members::Member;
use super::{Findings, Property};

/// What was sent in the current step.
#[derive(Clone, Debug)]
pub struct Messages {
    last: Option<(MessageKind, View)>,
    other_than_recovery: bool,
    asked_for_state: Option<View>,
    /// A message of an earlier view than its sender was in.
    earlier_view: Option<(MessageKind, View, View)>,
    /// The last attempt at a recovery of each replica.
    attempts: Vec<(Incarnation, u64)>,
}

impl Messages {
    pub(super) fn new(replicas: usize) -> Self {
        Self {
            last: None,
            other_than_recovery: false,
            asked_for_state: None,
            earlier_view: None,
            attempts: vec![(Incarnation::ZERO, 0); replicas],
        }
    }

    /// S23: who answers a recovery answers an attempt that was made.
    #[inline]
    pub(super) fn nonces<S: Service>(
        &mut self,
        replica: ReplicaId,
        to: ReplicaId,
        message: &Message<S>,
        findings: &mut Findings,
    ) {
        match &message.payload {
            Payload::Recovery(recovery) => {
                self.attempts[replica.index()] = (recovery.nonce.incarnation, recovery.nonce.attempt);
            }
            Payload::RecoveryResponse(response) => {
                let answered = (response.nonce.incarnation, response.nonce.attempt);
                if answered > self.attempts[to.index()] {
                    let witness = format!("{replica} answers a recovery that {to} has not begun");
                    findings.add(Property::S23, "answer without a question", witness);
                }
            }
            _ => {}
        }
    }

    /// S23: the message carries its sender's name and life, and commits nothing that it does not hold.
    #[inline]
    pub(super) fn sent<S: Service>(
        &mut self,
        member: &Member,
        replica: ReplicaId,
        message: &Message<S>,
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
        if message.view < member.view {
            self.earlier_view.get_or_insert((kind, message.view, member.view));
        }
        self.last = Some((kind, message.view));
        self.other_than_recovery |= !matches!(
            kind,
            MessageKind::Recovery
                | MessageKind::GetState
                | MessageKind::GetCheckpoint
                | MessageKind::GetEpoch
        );
        if matches!(kind, MessageKind::GetState | MessageKind::GetCheckpoint) {
            self.asked_for_state = Some(message.view);
        }
    }

    /// S23: messages carry the view that their sender is in, recovering replicas only ask, and who asks for
    /// state waits for it.
    #[inline]
    pub(super) fn after_step<S: Service, R: Rules>(
        &mut self,
        replica: ReplicaId,
        role: Role,
        state: &Replica<S, R>,
        findings: &mut Findings,
    ) {
        let view = state.view();
        // Who has left the view in the same step does not need its state any more.
        if self.asked_for_state.take() == Some(view) && !state.is_fetching() {
            let witness = format!("{replica} asked for state, but does not wait for it");
            findings.add(Property::S23, "asked without waiting", witness);
        }
        let Some((kind, sent_in)) = self.last.take() else { return };
        let other_than_recovery = std::mem::take(&mut self.other_than_recovery);
        if let Some((kind, sent_in, own)) = self.earlier_view.take() {
            let witness = format!("{replica} sent a {kind:?} of view {sent_in} in view {own}");
            findings.add(Property::S23, "wrong view", witness);
        }
        // The last operation of an epoch may be executed after what it sent.
        if sent_in != view && sent_in.epoch() == view.epoch() {
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
fn extent<S: Service>(payload: &Payload<S>) -> Option<(CommitNumber, OpNumber)> {
    match payload {
        Payload::Prepare(prepare) => Some((prepare.commit_number, prepare.last())),
        Payload::DoViewChange(vote) => Some((vote.commit_number, vote.log.last())),
        Payload::StartView(start) => Some((start.commit_number, start.log.last())),
        Payload::NewState(state) => {
            Some((state.commit_number, OpNumber(state.after.0 + state.entries.len() as u64)))
        }
        Payload::RecoveryResponse(response) => {
            response.state.as_ref().map(|state| (state.commit_number, state.log.last()))
        }
        _ => None,
    }
}
