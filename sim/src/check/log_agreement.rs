//! Agreement of logs: S1, S6, S7, S9.

use std::hash::Hash;

use rustc_hash::FxHashMap;
use vr::{Entry, Log, OpNumber, Prediction, ReplicaId, RequestBody, Role, View};

use super::ghost::Committed;
use super::members::{Link, Member};
use super::{Fact, Findings, Property};
use crate::digest;

/// S6: the entry goes to the next position, and its view is none before that of its predecessor.
#[inline]
pub(super) fn appended<O: Hash>(
    member: &mut Member,
    replica: ReplicaId,
    op_number: OpNumber,
    entry: &Entry<O>,
    findings: &mut Findings,
) {
    let last = member.log.last().copied().unwrap_or(Link { chain: 0, view: View::ZERO });
    if op_number.0 != member.log.len() as u64 + 1 {
        let end = member.log.len();
        let witness = format!("{replica} appended op {op_number} to a log that ends at {end}");
        findings
            .add(Property::S6, "gap", witness)
            .between([Fact::appended(replica, OpNumber(end as u64)), Fact::appended(replica, op_number)]);
    }
    if entry.view < last.view {
        let (view, before) = (entry.view, last.view);
        let witness =
            format!("{replica} appended op {op_number} of view {view} after an entry of view {before}");
        findings
            .add(Property::S6, "view order", witness)
            .between([Fact::appended(replica, op_number.previous()), Fact::appended(replica, op_number)]);
    }
    member.log.push(Link { chain: chained(last.chain, entry), view: entry.view });
    member.changed = true;
}

/// The digest of a log that ends with `entry`, where `before` is that of the log before it.
#[inline]
pub(super) fn chained<O: Hash>(before: u64, entry: &Entry<O>) -> u64 {
    match &entry.request.body {
        RequestBody::Register => digest::mix(before, entry.request.address.0),
        RequestBody::Operation { client, number, operation } => {
            let request = digest::mix(digest::mix(before, client.0), number.0);
            let asked = digest::mix(request, digest::of(operation));
            // What was predicted is part of the entry, where anything was.
            entry
                .predicted
                .as_deref()
                .map_or(asked, |predicted| digest::mix(asked, digest::of(&predicted_parts(predicted))))
        }
        RequestBody::Reconfiguration(asked) => digest::mix(before, digest::of(asked)),
        RequestBody::CheckEpoch { client, number, epoch } => {
            digest::mix(digest::mix(digest::mix(before, client.0), number.0), epoch.0)
        }
    }
}

const fn predicted_parts(predicted: &Prediction) -> (u64, u64) {
    (predicted.time.0, predicted.random)
}

/// S7: what is dropped is not known to be committed. (What only others know to be committed is a matter of
/// S2 and S9: a replica of an old view may hold entries of its own at those op-numbers.)
pub(super) fn truncated(
    member: &mut Member,
    replica: ReplicaId,
    last_kept: OpNumber,
    findings: &mut Findings,
) {
    if last_kept < member.executed {
        let executed = member.executed;
        let witness = format!("{replica} cut its log to op {last_kept}, but has executed op {executed}");
        findings
            .add(Property::S7, "committed entry dropped", witness)
            .between([Fact::executed(replica, executed), Fact::cut(replica)]);
    }
    member.log.truncate(last_kept.0 as usize);
    member.changed = true;
}

/// S1: what a replica commits is what was committed there before.
#[inline]
pub(super) fn agrees(replica: ReplicaId, committed: &Committed, seen: &Committed, findings: &mut Findings) {
    if committed.chain != seen.chain {
        let op_number = seen.op_number;
        let witness = format!(
            "op {op_number}: {replica} committed {} as {:016x}, before it was {} as {:016x}",
            describe(seen),
            seen.chain,
            describe(committed),
            committed.chain
        );
        findings
            .add(Property::S1, "different entries committed", witness)
            .between([Fact::committed(op_number), Fact::executed(replica, op_number)]);
    }
}

fn describe(committed: &Committed) -> String {
    match committed.request {
        None => format!("a registration from address {:x}", committed.address.0),
        Some((client, number)) => format!("request {number} of session {client}"),
    }
}

/// The logs of all views: S9.
#[derive(Clone, Debug, Default)]
pub struct ViewLogs {
    logs: FxHashMap<View, ViewLog>,
}

/// The log of one view: the digest of what the primary started with, and those of what it prepared.
#[derive(Clone, Debug)]
struct ViewLog {
    base: usize,
    chains: Vec<u64>,
}

impl ViewLogs {
    /// An epoch begins with the log up to `after`, whose digest is `chain`: so does its first view.
    pub(super) fn begin(&mut self, view: View, after: OpNumber, chain: u64) {
        self.logs.entry(view).or_insert_with(|| ViewLog { base: after.0 as usize, chains: vec![chain] });
    }

    /// S9: the log of a normal replica is a part of the log that the view's primary built.
    #[inline]
    pub(super) fn part_of_primary(
        &mut self,
        member: &mut Member,
        replica: ReplicaId,
        findings: &mut Findings,
    ) {
        match member.role {
            Some(Role::Primary) => self.extend(member),
            Some(Role::Backup | Role::Witness) => self.compare(member, replica, findings),
            _ => return,
        }
        member.changed = false;
    }

    fn extend(&mut self, member: &Member) {
        let view_log = self
            .logs
            .entry(member.view)
            .or_insert_with(|| ViewLog { base: member.log.len(), chains: vec![whole(member)] });
        let known = view_log.base + view_log.chains.len() - 1;
        if let Some(new) = member.log.get(known..) {
            view_log.chains.extend(new.iter().map(|link| link.chain));
        }
    }

    fn compare(&self, member: &Member, replica: ReplicaId, findings: &mut Findings) {
        let (end, view) = (member.log.len(), member.view);
        let Some(view_log) = self.logs.get(&view) else {
            if view > View::ZERO {
                let witness = format!("{replica} is normal in view {view}, which nobody has started");
                findings.add(Property::S9, "view without primary", witness);
            }
            return;
        };
        let Some(after_base) = end.checked_sub(view_log.base) else {
            let base = view_log.base;
            let witness =
                format!("{replica}'s log ends at op {end} in view {view}, which began with op {base}");
            findings
                .add(Property::S9, "log shorter than the view's", witness)
                .between([Fact::started(view), Fact::normal(replica, view)]);
            return;
        };
        match view_log.chains.get(after_base) {
            None => {
                let witness =
                    format!("{replica} holds op {end} in view {view}, which the primary never prepared");
                findings
                    .add(Property::S9, "entry not from the primary", witness)
                    .between([Fact::started(view), Fact::appended(replica, OpNumber(end as u64))]);
            }
            Some(&chain) if chain != whole(member) => {
                let witness = format!("{replica}'s log up to op {end} in view {view} is not the primary's");
                findings
                    .add(Property::S9, "logs differ in a view", witness)
                    .between([Fact::started(view), Fact::appended(replica, OpNumber(end as u64))]);
            }
            Some(_) => {}
        }
    }
}

/// The digest of a replica's whole log.
fn whole(member: &Member) -> u64 {
    member.log.last().map_or(0, |link| link.chain)
}

/// Holds what a replica told of its log against the log.
pub(super) fn audit<O: Hash>(member: &Member, replica: ReplicaId, log: &Log<O>, findings: &mut Findings) {
    let before = member.chain(log.start()).unwrap_or_default();
    let chain = log.entries_after(log.start()).fold(before, |chain, (_, entry)| chained(chain, entry));
    let told = whole(member);
    if chain != told || log.last().0 != member.log.len() as u64 {
        let (is, end) = (log.last(), member.log.len());
        let witness = format!(
            "{replica}'s log ends at op {is} with {chain:016x}; it told of op {end} with {told:016x}"
        );
        findings.add(Property::S6, "log differs from what was told", witness);
    }
}
