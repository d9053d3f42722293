//! Planted bugs: wrong answers to the protocol's decisions, each a type of its own, to prove that the
//! checks bite. One file for each part of the protocol.
//!
//! A bug is a [`Rules`] that overrides a method or two. What no rule expresses (a message that is never
//! sent again, a host that mixes its groups up) is a fault of the harness: see [`Sabotage`]. [`controls`] look like bugs and are safe.

pub mod checkpoints;
pub mod clients;
pub mod controls;
pub mod hosts;
pub mod liveness;
pub mod normal_case;
pub mod patches;
pub mod reads;
pub mod reconfiguration;
pub mod recovery;
pub mod state_transfer;
pub mod view_change;
pub mod witnesses;

use vr::{
    Admission, Asked, CommitNumber, Configuration, Duration, Epoch, HeldState, HostRules, Incarnation,
    Instant, LogSummary, MessageKind, Nonce, OpNumber, Prediction, RecoveryAnswer, Refusal, ReplicaId,
    RequestNumber, Role, Rules, Standard, View,
};

use crate::check::Property;
use crate::packet::{Identity, Kind};

/// A planted bug, or a control.
pub struct Bug {
    /// Its name in the catalogue: `M-` and a letter for the part of the protocol.
    pub name: &'static str,
    /// What is wrong.
    pub what: &'static str,
    /// The rules with the bug in them.
    pub rules: &'static (dyn Rules + Sync),
    /// What the harness does wrong.
    pub sabotage: Option<Sabotage>,
    /// The scenario in which it is hunted.
    pub scenario: &'static str,
    /// In how many seeds at most it must be found; for a control, how many must stay silent.
    pub seeds: u64,
    /// The checks that may find it first. Empty for a control: none may.
    pub caught_by: &'static [Property],
}

/// What goes wrong outside of the protocol's rules: with messages, and on hosts of several groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A message of this kind is sent once and never again.
    Resends(Kind),
    /// No message of this kind is ever sent.
    All(Kind),
    /// Now and then a host hands a message of a replica to its replica of another group, as if it had come from that group's replica
    /// on the sender's host.
    WrongGroup,
    /// A client that starts again goes by the address of its earlier life, and counts its requests anew.
    ClientsReturn,
    /// When a host starts again, only its replica of the first group recovers: the others begin as if they had never
    /// been there.
    OneRecovery,
    /// Hosts decide otherwise than their rules say.
    Host(HostFault),
}

impl Sabotage {
    /// Whether this message is kept from being sent.
    #[must_use]
    pub fn covers(self, identity: &Identity) -> bool {
        match self {
            Self::Resends(kind) => identity.kind == kind && identity.repeat > 0,
            Self::All(kind) => identity.kind == kind,
            Self::WrongGroup | Self::ClientsReturn | Self::OneRecovery | Self::Host(_) => false,
        }
    }
}

impl Bug {
    /// A bug in the rules, hunted in the swarm.
    #[must_use]
    pub const fn new(
        name: &'static str,
        what: &'static str,
        rules: &'static (dyn Rules + Sync),
        seeds: u64,
        caught_by: &'static [Property],
    ) -> Self {
        Self { name, what, rules, sabotage: None, scenario: "swarm", seeds, caught_by }
    }

    /// A bug outside of the rules: messages are kept from being sent, say.
    #[must_use]
    pub const fn silent(
        name: &'static str,
        what: &'static str,
        sabotage: Sabotage,
        seeds: u64,
        caught_by: &'static [Property],
    ) -> Self {
        Self { name, what, rules: &Standard, sabotage: Some(sabotage), scenario: "swarm", seeds, caught_by }
    }

    /// The same, hunted in another scenario.
    #[must_use]
    pub const fn in_scenario(mut self, scenario: &'static str) -> Self {
        self.scenario = scenario;
        self
    }

    /// Whether this is a control.
    #[must_use]
    pub const fn is_control(&self) -> bool {
        self.caught_by.is_empty()
    }
}

impl std::fmt::Debug for Bug {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name)
    }
}

/// All planted bugs.
pub fn planted() -> impl Iterator<Item = &'static Bug> {
    let families: [&'static [Bug]; 11] = [
        normal_case::BUGS,
        view_change::BUGS,
        recovery::BUGS,
        state_transfer::BUGS,
        checkpoints::BUGS,
        clients::BUGS,
        reads::BUGS,
        liveness::BUGS,
        reconfiguration::BUGS,
        hosts::BUGS,
        witnesses::BUGS,
    ];
    families.into_iter().flatten()
}

/// All planted bugs, then all controls: what the self test hunts.
pub fn hunted() -> impl Iterator<Item = &'static Bug> {
    planted().chain(controls::CONTROLS)
}

/// The bugs that only a story finds, and those that no number of seeds finds that anybody would wait for.
pub fn not_hunted() -> impl Iterator<Item = &'static Bug> {
    let families: [&'static [Bug]; 4] =
        [recovery::TOLD, checkpoints::RARE, reconfiguration::RARE, hosts::RARE];
    families.into_iter().flatten()
}

/// Those that the self test hunts, then those that it does not.
pub fn all() -> impl Iterator<Item = &'static Bug> {
    hunted().chain(not_hunted())
}

/// The bug or control with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Bug> {
    all().find(|bug| bug.name.eq_ignore_ascii_case(name))
}

/// The rules of a bug, as one type for all of them.
#[derive(Clone, Copy, Debug)]
pub struct Planted(&'static Bug);

impl Planted {
    /// The rules of `bug`.
    #[must_use]
    pub const fn new(bug: &'static Bug) -> Self {
        Self(bug)
    }
}

/// Passes every decision on. A decision that is missing here would be the standard one, and the bugs that
/// override it would never be found: the self test shows that.
macro_rules! pass_on {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        impl Rules for Planted {
            $(#[inline] fn $name(&self, $($argument: $type),*) -> $result { self.0.rules.$name($($argument),*) })*
        }
    };
}

pass_on! {
    fn replication_quorum(group: Configuration) -> usize;
    fn view_change_quorum(group: Configuration) -> usize;
    fn proposal_quorum(group: Configuration) -> usize;
    fn recovery_quorum(group: Configuration) -> usize;
    fn counts_for(
        kind: MessageKind, sender: ReplicaId, is_own: bool, uncounted: &dyn Fn() -> Option<ReplicaId>
    ) -> ReplicaId;
    fn primary(group: Configuration, view: View) -> ReplicaId;
    fn accepts_in_view(message: View, own: View) -> bool;
    fn prepare_follows(prepared: OpNumber, last: OpNumber) -> bool;
    fn held_of_batch(first: OpNumber, end: OpNumber, last: OpNumber) -> u64;
    fn acknowledged(first: OpNumber, end: OpNumber, last: OpNumber, is_witness: bool) -> OpNumber;
    fn done_with(committed: CommitNumber, end: OpNumber) -> OpNumber;
    fn prediction(logged: Prediction, own: u64) -> Prediction;
    fn read_quorum(group: Configuration) -> usize;
    fn answers_read(has_lease: bool, is_confirmed: bool) -> bool;
    fn reads_at_epoch_end() -> bool;
    fn reads_what_is_inherited(committed: CommitNumber, inherited: OpNumber) -> bool;
    fn lease_clock(now: Instant) -> Instant;
    fn lease_begins(sent: Instant, answered: Instant) -> Instant;
    fn counts_heartbeat_answer(message: View, own: View) -> bool;
    fn lease_counted(promised: Duration, drift_ppm: u32) -> Duration;
    fn may_vote(now: Instant, promised_until: Instant) -> bool;
    fn forgotten_promise_ends(now: Instant, lease: Duration) -> Instant;
    fn answers_causal_read(committed: CommitNumber, after: OpNumber) -> bool;
    fn version_read(committed: CommitNumber, last: OpNumber) -> OpNumber;
    fn counts_acknowledgement(message: View, own: View) -> bool;
    fn acknowledged_at_view_start(before: OpNumber) -> OpNumber;
    fn learned_commit(announced: CommitNumber, last: OpNumber) -> CommitNumber;
    fn resent_after(acknowledged: OpNumber, last: OpNumber) -> OpNumber;
    fn abdicates() -> bool;
    fn accepts_requests(is_primary: bool, is_normal: bool) -> bool;
    fn admission(number: RequestNumber, executed: RequestNumber, in_flight: RequestNumber) -> Admission;
    fn executes(number: RequestNumber, executed: RequestNumber) -> bool;
    fn rebuilds_in_flight() -> bool;
    fn stores_response(is_primary: bool) -> bool;
    fn session_to_evict(is_primary: bool, last_used: &[OpNumber]) -> Option<usize>;
    fn sees_to_requests() -> bool;
    fn reply_is_for(answered: RequestNumber, outstanding: RequestNumber) -> bool;
    fn proposed_view(current: View) -> View;
    fn view_joined(heard: View, own: View) -> View;
    fn leaves_stalled_view_change() -> bool;
    fn doublings(failed_views: u32, limit: u32) -> u32;
    fn last_normal_view_after_joining(joined: View, last_normal: View) -> View;
    fn prefers_log(candidate: LogSummary, best: LogSummary) -> bool;
    fn kept_in_new_view(last: OpNumber, commit_number: CommitNumber) -> OpNumber;
    fn commit_number_of_new_view(known: CommitNumber, last: OpNumber) -> CommitNumber;
    fn accepts_start_view(message: View, own: View, is_normal: bool) -> bool;
    fn commit_number_after_start_view(own: CommitNumber, announced: CommitNumber) -> CommitNumber;
    fn cuts_longer_log() -> bool;
    fn acknowledges_start_view(longer_before: bool) -> bool;
    fn must_recover() -> bool;
    fn takes_part_while_recovering(kind: MessageKind) -> bool;
    fn answers_recovery(is_normal: bool) -> bool;
    fn asks_again(answers: usize, needed: usize) -> bool;
    fn nonce_matches(answered: Nonce, own: Nonce) -> bool;
    fn recovery_source(group: Configuration, answers: &[RecoveryAnswer]) -> Option<ReplicaId>;
    fn last_normal_view_after_recovery(view: View) -> View;
    fn hears_incarnation(claimed: Incarnation, known: Incarnation) -> bool;
    fn vote_still_counts(claimed: Incarnation, known: Incarnation) -> bool;
    fn answer_still_counts(claimed: Incarnation, known: Incarnation) -> bool;
    fn learns_incarnation_from_recovery() -> bool;
    fn sees_to_recoveries() -> bool;
    fn learns_incarnations_from_others() -> bool;
    fn state_before_transfer(held: HeldState, heard: View) -> HeldState;
    fn transfer_after(commit_number: CommitNumber, last: OpNumber) -> OpNumber;
    fn accepts_new_state(message: View, own: View, wanted: Option<View>, is_normal: bool) -> bool;
    fn state_source_after(group: Configuration, own: ReplicaId, peer: ReplicaId) -> ReplicaId;
    fn answers_without_entries() -> bool;
    fn answers_get_state(is_normal: bool, own: View, wanted: View, for_own_vote: bool) -> bool;
    fn shared_prefix(kind: MessageKind, held: HeldState, last_normal: View) -> OpNumber;
    fn checkpoint_due(executed: CommitNumber, interval: u64) -> Option<OpNumber>;
    fn checkpoint_holds_sessions() -> bool;
    fn compacted_through(previous: OpNumber, latest: OpNumber, margin: u64, last: OpNumber) -> OpNumber;
    fn waits_for_log_after_checkpoint() -> bool;
    fn checkpoint_precedes(held_in: View, log: View) -> bool;
    fn commit_number_after_checkpoint(op_number: OpNumber) -> CommitNumber;
    fn entries_in_checkpoint(after: OpNumber, op_number: OpNumber) -> usize;
    fn restores_sessions(is_joining: bool) -> bool;
    fn witness_executes() -> bool;
    fn covered(group: Configuration, checkpoints: &[OpNumber]) -> OpNumber;
    fn may_begin_after(start: OpNumber, covered: OpNumber) -> bool;
    fn hears_epoch(kind: MessageKind, message: Epoch, own: Epoch) -> bool;
    fn quorum_group(current: Configuration, previous: Configuration) -> Configuration;
    fn refusal(asked: Asked) -> Option<Refusal>;
    fn reconfiguration_admission(admission: Admission) -> Admission;
    fn takes_requests_at_epoch_end(is_own: bool) -> bool;
    fn epoch_ends_when_prepared() -> bool;
    fn epoch_after(ended: Epoch, own: Epoch) -> Epoch;
    fn first_view(epoch: Epoch, left: View) -> View;
    fn takes_part_while_transitioning(kind: MessageKind) -> bool;
    fn holds_epoch_start(held: Option<View>, created: View) -> bool;
    fn history_after(commit_number: CommitNumber, last: OpNumber) -> OpNumber;
    fn announces_epoch(has_log: bool) -> bool;
    fn epoch_quorum(group: Configuration, previous: Configuration) -> usize;
    fn tells_epoch() -> bool;
    fn recovers_at_epoch_end() -> bool;
}

/// A decision that a host makes wrongly: each is a method of [`HostRules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the method of the same name, answered wrongly")]
pub enum HostFault {
    BeginsAnew,
    Replacement,
    MayDrop,
    ReportsEpoch,
    PassesEpochsOn,
    MaySuspect,
}

impl Planted {
    fn is(&self, fault: HostFault) -> bool {
        self.0.sabotage == Some(Sabotage::Host(fault))
    }
}

impl HostRules for Planted {
    type Replica = Self;

    fn replica(&self) -> Self {
        *self
    }

    fn begins_anew(&self, is_clean: bool) -> bool {
        Standard.begins_anew(is_clean) || self.is(HostFault::BeginsAnew)
    }

    fn replacement(
        &self,
        decided: Option<Configuration>,
        own: impl FnOnce() -> Option<Configuration>,
    ) -> Option<Configuration> {
        let alone = if self.is(HostFault::Replacement) { own() } else { None };
        alone.or(decided)
    }

    fn may_suspect(&self, heard: usize, nodes: Configuration) -> bool {
        Standard.may_suspect(heard, nodes) && !self.is(HostFault::MaySuspect)
    }

    fn may_drop(&self, role: Role) -> bool {
        Standard.may_drop(role) || self.is(HostFault::MayDrop)
    }

    fn reports_epoch(&self, role: Role, own: Epoch, recorded: Epoch) -> bool {
        Standard.reports_epoch(role, own, recorded) && !self.is(HostFault::ReportsEpoch)
    }

    fn passes_epochs_on(&self) -> bool {
        Standard.passes_epochs_on() && !self.is(HostFault::PassesEpochsOn)
    }
}

/// Declares rules with some of their answers replaced.
macro_rules! wrong {
    ($(#[$doc:meta])* $name:ident { $($method:item)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl vr::Rules for $name { $($method)* }
    };
}
use wrong;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_scenarios_exist() {
        let mut names: Vec<_> = all().map(|bug| bug.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all().count());
        for bug in all() {
            assert!(crate::scenario::Scenario::find(bug.scenario).is_ok(), "{}", bug.name);
        }
        assert!(planted().all(|bug| !bug.is_control()));
        assert!(controls::CONTROLS.iter().all(Bug::is_control));
        assert!(find("m-v3").is_some());
        assert!(patches::PATCHES.iter().all(|patch| find(patch.name).is_none()));
    }
}
