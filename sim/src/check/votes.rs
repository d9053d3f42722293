//! DoViewChange honesty: S20.

use vr::{DoViewChange, Message, OpNumber, Payload, ReplicaId, View};

use super::members::Member;
use super::{Findings, Property};

/// What each replica has promised.
#[derive(Clone, Debug)]
pub struct Votes {
    promised: Vec<Promised>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Promised {
    /// The last view in which it acknowledged something, and up to where.
    acknowledged: (View, OpNumber),
    /// Its last vote: for which view, from which last normal view, with which log.
    voted: Option<(View, View, OpNumber, u64)>,
}

impl Votes {
    pub(super) fn new(replicas: usize) -> Self {
        Self { promised: vec![Promised::default(); replicas] }
    }

    pub(super) fn crashed(&mut self, replica: ReplicaId) {
        self.promised[replica.index()] = Promised::default();
    }

    #[inline]
    pub(super) fn sent<O>(
        &mut self,
        member: &Member,
        replica: ReplicaId,
        message: &Message<O>,
        findings: &mut Findings,
    ) {
        let promised = &mut self.promised[replica.index()];
        match &message.payload {
            Payload::PrepareOk(ok) => {
                promised.acknowledged = promised.acknowledged.max((message.view, ok.op_number));
            }
            Payload::DoViewChange(vote) => promised.vote(member, replica, message.view, vote, findings),
            _ => {}
        }
    }
}

impl Promised {
    /// S20: the vote tells the last view that its sender was really normal in, brings everything that it
    /// acknowledged there, and does not change while the sender stays in the view.
    fn vote<O>(
        &mut self,
        member: &Member,
        replica: ReplicaId,
        view: View,
        vote: &DoViewChange<O>,
        findings: &mut Findings,
    ) {
        let (claimed, normal) = (vote.last_normal_view, member.normal_view);
        if claimed != normal {
            let witness = format!(
                "{replica} votes for view {view} as last normal in view {claimed}; it was in view {normal}"
            );
            findings.add(Property::S20, "wrong last normal view", witness);
        }
        let end = vote.log.last();
        let (acknowledged_in, acknowledged) = self.acknowledged;
        if end.0 != member.log.len() as u64 || (acknowledged_in == normal && end < acknowledged) {
            let witness = format!(
                "{replica} votes for view {view} with a log to op {end}; it acknowledged op {acknowledged}"
            );
            findings.add(Property::S20, "acknowledged operation missing", witness);
        }
        let said = (view, claimed, end, member.chain(end).unwrap_or_default());
        if let Some(before) = self.voted
            && before.0 == view
            && before != said
        {
            let witness = format!("{replica} votes for view {view} a second time, with another log");
            findings.add(Property::S20, "vote changed", witness);
        }
        self.voted = Some(said);
    }
}
