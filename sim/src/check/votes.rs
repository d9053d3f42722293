//! DoViewChange honesty: S20.

use std::hash::Hash;

use vr::{DoViewChange, Log, Message, OpNumber, Payload, ReplicaId, Role, Service, View};

use super::log_agreement::chained;
use super::members::Member;
use super::{Fact, Findings, Property};

/// What each replica has promised.
#[derive(Clone, Debug)]
pub struct Votes {
    promised: Vec<Promised>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Promised {
    /// The last view in which it acknowledged something, up to where, and the digest of the log up to there.
    acknowledged: (View, OpNumber, u64),
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
    pub(super) fn sent<S: Service<Operation: Hash>>(
        &mut self,
        member: &Member,
        replica: ReplicaId,
        message: &Message<S>,
        findings: &mut Findings,
    ) {
        let promised = &mut self.promised[replica.index()];
        match &message.payload {
            Payload::PrepareOk(ok) => {
                let chain = member.chain(ok.op_number).unwrap_or_default();
                promised.acknowledged = promised.acknowledged.max((message.view, ok.op_number, chain));
            }
            Payload::DoViewChange(vote) => promised.vote(member, replica, message.view, vote, findings),
            _ => {}
        }
    }
}

/// S20: a normal replica knows that it is.
#[inline]
pub(super) fn knows_normal_view(
    replica: ReplicaId,
    role: Role,
    (view, known): (View, View),
    findings: &mut Findings,
) {
    if matches!(role, Role::Primary | Role::Backup | Role::Witness) && known != view {
        let witness =
            format!("{replica} is normal in view {view}, but takes view {known} for its last normal one");
        findings.add(Property::S20, "last normal view forgotten", witness);
    }
}

impl Promised {
    /// S20: the vote tells the last view that its sender was really normal in, brings everything that it
    /// acknowledged there, and does not change while the sender stays in the view.
    fn vote<O: Hash>(
        &mut self,
        member: &Member,
        replica: ReplicaId,
        view: View,
        vote: &DoViewChange<O>,
        findings: &mut Findings,
    ) {
        let (claimed, normal) = (vote.last_normal_view, member.normal_view);
        // Views of earlier epochs are all alike: whoever has acknowledged anything in this one comes before them.
        let is_of_this_epoch = claimed.max(normal).epoch() == view.epoch();
        if claimed != normal && is_of_this_epoch {
            let witness = format!(
                "{replica} votes for view {view} as last normal in view {claimed}; it was in view {normal}"
            );
            findings
                .add(Property::S20, "wrong last normal view", witness)
                .between([Fact::normal(replica, normal), Fact::voted(replica, view)]);
        }
        let end = vote.log.last();
        let (acknowledged_in, acknowledged, chain) = self.acknowledged;
        // What was acknowledged in an earlier epoch is in the log up to this one's start, if it was committed.
        let counts = acknowledged_in == normal && normal.epoch() == view.epoch();
        let holds_it = !counts || member.chain(acknowledged) == Some(chain);
        if !holds_it || !is_own_log(member, &vote.log) {
            let witness = format!(
                "{replica} votes for view {view} with a log to op {end}; it acknowledged op {acknowledged}"
            );
            findings
                .add(Property::S20, "acknowledged operation missing", witness)
                .between([Fact::acknowledged(replica, acknowledged), Fact::voted(replica, view)]);
        }
        let said = (view, claimed, end, member.chain(end).unwrap_or_default());
        if let Some(before) = self.voted
            && before.0 == view
            && before != said
        {
            let witness = format!("{replica} votes for view {view} a second time, with another log");
            findings
                .add(Property::S20, "vote changed", witness)
                .between([Fact::voted(replica, view), Fact::voted(replica, view)]);
        }
        self.voted = Some(said);
    }
}

/// Whether a vote brings its sender's log, as far as the end of the log tells.
fn is_own_log<O: Hash>(member: &Member, log: &Log<O>) -> bool {
    let end = log.last();
    // What the vote leaves out, the sender holds.
    let nothing = member.chain(end);
    let last = log.get(end).map_or(nothing, |entry| Some(chained(member.chain(end.previous())?, entry)));
    end.0 == member.log.len() as u64 && last == member.chain(end)
}
