//! The decisions that safety rests on, and those on which progress can founder, in one place.
//!
//! [`Rules`] has the right answer as the default body of each method and the reason as its
//! documentation. [`Standard`] takes them all and costs nothing. A test harness plants a bug by
//! overriding one method in a type of its own; the core never knows.

use crate::configuration::Configuration;
use crate::epoch::{MIN_MEMBERS, Refusal};
use crate::message::{MessageKind, Nonce};
use crate::service::Prediction;
use crate::types::{
    CommitNumber, Duration, Epoch, Incarnation, Instant, OpNumber, ReplicaId, RequestNumber, View,
};

/// The protocol's decisions.
pub trait Rules {
    // ---- Quorums ---------------------------------------------------------------------------------

    /// On how many replicas, the primary included, an operation must be before it is committed. Any such
    /// set must meet any set that starts a view.
    fn replication_quorum(&self, group: Configuration) -> usize {
        group.quorum()
    }

    /// From how many replicas, the new primary included, logs must have come before a view starts.
    fn view_change_quorum(&self, group: Configuration) -> usize {
        group.quorum()
    }

    /// How many replicas, the sender included, must propose a view before anyone moves to it. A single
    /// replica that hears nobody must not be able to depose a primary that works.
    fn proposal_quorum(&self, group: Configuration) -> usize {
        group.quorum()
    }

    /// From how many others a recovering replica needs answers: f + 1 of them meet every quorum, even
    /// one that counted the replica itself before it crashed (paper, section 4.3).
    fn recovery_quorum(&self, group: Configuration) -> usize {
        group.failures_tolerated() + 1
    }

    /// In whose name a vote (a DoViewChange) or an acknowledgement (a PrepareOk) is counted: that of its
    /// sender, so that one that arrives twice counts once. `uncounted` finds a replica of which
    /// nothing has been counted yet.
    fn counts_for(
        &self,
        kind: MessageKind,
        sender: ReplicaId,
        is_own: bool,
        uncounted: &dyn Fn() -> Option<ReplicaId>,
    ) -> ReplicaId {
        let _ = (kind, is_own, uncounted);
        sender
    }

    /// Who is primary of a view: the active members take turns (paper, section 4). A witness has no state to answer
    /// from.
    fn primary(&self, group: Configuration, view: View) -> ReplicaId {
        group.active_at(view.number())
    }

    // ---- Normal case -----------------------------------------------------------------------------

    /// Whether a Prepare or Commit of view `message` is for a replica in view `own`.
    fn accepts_in_view(&self, message: View, own: View) -> bool {
        message == own
    }

    /// Whether the prepared operation comes directly after the last one of the log.
    fn prepare_follows(&self, prepared: OpNumber, last: OpNumber) -> bool {
        prepared == last.next()
    }

    /// How many entries of the batch `first..=end` a backup leaves out that holds its beginning: its log ends at
    /// `last`, within the batch. The others it lacks.
    fn held_of_batch(&self, first: OpNumber, end: OpNumber, last: OpNumber) -> u64 {
        let _ = end;
        last.next().0 - first.0
    }

    /// What a backup acknowledges when it was sent the batch `first..=end` and its log ends, without a gap, at
    /// `last`. An acknowledgement vouches for everything before it, a witness's as well: what it acknowledges may be
    /// held nowhere else when the primary is gone.
    fn acknowledged(&self, first: OpNumber, end: OpNumber, last: OpNumber, is_witness: bool) -> OpNumber {
        let _ = (first, end, is_witness);
        last
    }

    /// Up to where a primary is done with its batches, once everything up to `committed` is executed, in the
    /// middle of the batch that ends at `end`: up to there, and the rest of the batch is still to be answered.
    fn done_with(&self, committed: CommitNumber, end: OpNumber) -> OpNumber {
        let _ = end;
        committed.op_number()
    }

    /// Whether an acknowledgement given in view `message` counts in view `own`. The log may have been
    /// another one.
    fn counts_acknowledgement(&self, message: View, own: View) -> bool {
        message == own
    }

    /// What an acknowledgement from before a view's start is worth in it.
    fn acknowledged_at_view_start(&self, before: OpNumber) -> OpNumber {
        let _ = before;
        OpNumber::ZERO
    }

    /// What a backup may execute, told that `announced` is committed, with a log that ends at `last`.
    fn learned_commit(&self, announced: CommitNumber, last: OpNumber) -> CommitNumber {
        announced.min(last.as_commit_number())
    }

    /// After which op-number Prepares are sent again to a backup that has acknowledged up to `acknowledged`,
    /// when the log ends at `last`.
    fn resent_after(&self, acknowledged: OpNumber, last: OpNumber) -> OpNumber {
        let _ = last;
        acknowledged
    }

    /// Whether a primary whose Prepares nobody acknowledges falls silent and proposes the next view. It may be
    /// heard by all and hear nobody; then only it can know.
    fn abdicates(&self) -> bool {
        true
    }

    /// Whether a replica takes requests of clients.
    fn accepts_requests(&self, is_primary: bool, is_normal: bool) -> bool {
        is_primary && is_normal
    }

    /// What an operation is executed with for which `logged` was predicted; `own` is a random number that this
    /// replica would predict: what is in the log, or replicas would execute different things.
    fn prediction(&self, logged: Prediction, own: u64) -> Prediction {
        let _ = own;
        logged
    }

    // ---- Reads -----------------------------------------------------------------------------------

    /// Of how many backups a primary needs the promise, or the word that they are in its view, to answer a
    /// read: with itself a set that meets every one that starts a view.
    fn read_quorum(&self, group: Configuration) -> usize {
        group.quorum() - 1
    }

    /// Whether a primary answers a read. Without the one or the other, a later view may have begun, and
    /// have changed what is read.
    fn answers_read(&self, has_lease: bool, is_confirmed: bool) -> bool {
        has_lease || is_confirmed
    }

    /// Whether a primary answers reads while the log ends with a Reconfiguration that is not known to be committed.
    /// The members of the next epoch may have gone on without this replica, and none of those that gave it a lease
    /// need be among them (defect D-11).
    fn reads_at_epoch_end(&self) -> bool {
        false
    }

    /// Whether a primary that has executed up to `committed` may answer reads, in a view that began with a log to
    /// `inherited`: once all of that is committed. Some of it may have been answered by the primary before.
    fn reads_what_is_inherited(&self, committed: CommitNumber, inherited: OpNumber) -> bool {
        committed.covers(inherited)
    }

    /// What a primary measures its leases by: the clock that comes with every input, which never goes back. A
    /// clock of the wall, which is put right now and then, would make a lease longer.
    fn lease_clock(&self, now: Instant) -> Instant {
        now
    }

    /// From when, by the primary's clock, a backup's promise is counted: from the sending of what it heard. The
    /// promise began somewhere between this and the receipt of the backup's answer.
    fn lease_begins(&self, sent: Instant, answered: Instant) -> Instant {
        let _ = answered;
        sent
    }

    /// Whether a backup's answer to a heartbeat of view `message` counts in view `own`: it says that the backup was in
    /// that view, and of another one nothing (defect F-6).
    fn counts_heartbeat_answer(&self, message: View, own: View) -> bool {
        message == own
    }

    /// How much a primary counts of a promise of `promised`, if clocks are off by up to `drift_ppm`.
    fn lease_counted(&self, promised: Duration, drift_ppm: u32) -> Duration {
        crate::lease::counted(promised, drift_ppm)
    }

    /// Whether a replica votes that has promised to vote for no other view until `promised_until`.
    fn may_vote(&self, now: Instant, promised_until: Instant) -> bool {
        now >= promised_until
    }

    /// Until when a replica that starts again at `now` votes for no view: as long as a promise may last that it
    /// has forgotten.
    fn forgotten_promise_ends(&self, now: Instant, lease: Duration) -> Instant {
        now + lease
    }

    /// Whether a replica that has executed up to `committed` may answer a read of a client that has seen, or
    /// caused, what happened up to `after`.
    fn answers_causal_read(&self, committed: CommitNumber, after: OpNumber) -> bool {
        committed.covers(after)
    }

    /// After which op-number the answer to a read says that it looked at the state, by a replica that has executed
    /// up to `committed` and whose log ends at `last`.
    fn version_read(&self, committed: CommitNumber, last: OpNumber) -> OpNumber {
        let _ = last;
        committed.op_number()
    }

    // ---- Clients ---------------------------------------------------------------------------------

    /// What to make of a session's request `number`, when `executed` is its last executed one and
    /// `in_flight` the last one in the log (zero for none).
    fn admission(
        &self,
        number: RequestNumber,
        executed: RequestNumber,
        in_flight: RequestNumber,
    ) -> Admission {
        if number < executed {
            Admission::Superseded
        } else if number == executed {
            Admission::Executed
        } else if number <= in_flight {
            Admission::InFlight
        } else {
            Admission::New
        }
    }

    /// Whether an entry of the log that holds request `number` is executed, when `executed` was executed
    /// before. A duplicate that has slipped into the log is harmless that way.
    fn executes(&self, number: RequestNumber, executed: RequestNumber) -> bool {
        number > executed
    }

    /// Whether what is in flight is derived anew after the log's end was replaced. Otherwise a request
    /// that the change dropped would be ignored for ever, or one that it kept be executed twice.
    fn rebuilds_in_flight(&self) -> bool {
        true
    }

    /// Whether a replica keeps the result of an executed request. Backups do too: one of them will have
    /// to answer the retry.
    fn stores_response(&self, is_primary: bool) -> bool {
        let _ = is_primary;
        true
    }

    /// Which session makes room for another when the table is full: the one used longest ago, by op-number.
    /// Only what follows from the log may decide, or the tables of two replicas part. `last_used` has an
    /// entry for each session, in the order in which they were opened.
    fn session_to_evict(&self, is_primary: bool, last_used: &[OpNumber]) -> Option<usize> {
        let _ = is_primary;
        (0..last_used.len()).min_by_key(|&index| last_used[index])
    }

    /// Whether a backup sees to a request that a client had to send to everybody: passes it on, and proposes
    /// the next view if the primary takes nothing. The primary may be deaf to clients.
    fn sees_to_requests(&self) -> bool {
        true
    }

    /// Whether a client takes a reply to request `answered` for the answer to `outstanding`.
    fn reply_is_for(&self, answered: RequestNumber, outstanding: RequestNumber) -> bool {
        answered == outstanding
    }

    // ---- View change -----------------------------------------------------------------------------

    /// The view that a replica proposes when view `current` does not work. Always another one: its
    /// primary may be the dead one.
    fn proposed_view(&self, current: View) -> View {
        current.next()
    }

    /// The view that a replica in view `own` enters when it hears that others have entered the later view
    /// `heard`: that one. Whoever is left behind in another view can neither be helped nor help.
    fn view_joined(&self, heard: View, own: View) -> View {
        let _ = own;
        heard
    }

    /// Whether a view change that comes to nothing is left for the next view: this one's primary may be dead.
    fn leaves_stalled_view_change(&self) -> bool {
        true
    }

    /// How often the timeouts are doubled where `failed_views` view changes came to nothing, less those made up
    /// for by views that lasted. Without it, a group whose view changes take longer than the timeout never completes one.
    fn doublings(&self, failed_views: u32, limit: u32) -> u32 {
        failed_views.min(limit)
    }

    /// The last normal view of a replica that has joined the view change to `joined`. It has not been
    /// normal there.
    fn last_normal_view_after_joining(&self, joined: View, last_normal: View) -> View {
        let _ = joined;
        last_normal
    }

    /// Whether a new primary rather takes `candidate`'s log than `best`'s: the later last normal view,
    /// then the longer log (paper, section 4.2, step 3). The view stamp of the last entry is no
    /// substitute: entries keep the stamp of the view that created them, also in a later view's log.
    fn prefers_log(&self, candidate: LogSummary, best: LogSummary) -> bool {
        (candidate.last_normal_view, candidate.op_number) > (best.last_normal_view, best.op_number)
    }

    /// How much of the chosen log the new primary keeps: all of it. What is not known to be committed may
    /// be.
    fn kept_in_new_view(&self, last: OpNumber, commit_number: CommitNumber) -> OpNumber {
        let _ = commit_number;
        last
    }

    /// What is committed at the start of a view whose log ends at `last`, where `known` is the largest
    /// commit-number among the votes.
    fn commit_number_of_new_view(&self, known: CommitNumber, last: OpNumber) -> CommitNumber {
        let _ = last;
        known
    }

    /// Whether a StartView of view `message` is for a replica in view `own`. A view that has begun is not
    /// begun again.
    fn accepts_start_view(&self, message: View, own: View, is_normal: bool) -> bool {
        message > own || (message == own && !is_normal)
    }

    /// The commit-number of a replica that was at `own` and is sent the log of a view of which
    /// `announced` is committed. It never goes back, or operations would be executed twice.
    fn commit_number_after_start_view(&self, own: CommitNumber, announced: CommitNumber) -> CommitNumber {
        own.max(announced)
    }

    /// Whether a log that is longer than the new view's is cut to it.
    fn cuts_longer_log(&self) -> bool {
        true
    }

    /// Whether a backup acknowledges the log that it was sent with a StartView.
    fn acknowledges_start_view(&self, longer_before: bool) -> bool {
        let _ = longer_before;
        true
    }

    // ---- Recovery --------------------------------------------------------------------------------

    /// Whether a restarted replica must recover before it takes part.
    fn must_recover(&self) -> bool {
        true
    }

    /// Whether a recovering replica looks at messages of this kind. It has forgotten what it promised, so
    /// it takes part in nothing (paper, section 4.3).
    fn takes_part_while_recovering(&self, kind: MessageKind) -> bool {
        matches!(kind, MessageKind::RecoveryResponse | MessageKind::StartEpoch | MessageKind::NewEpoch)
    }

    /// Whether a replica answers a Recovery. In a view change its state may be about to be superseded.
    fn answers_recovery(&self, is_normal: bool) -> bool {
        is_normal
    }

    /// Whether a recovering replica that has `answers` goes on asking. Enough answers need not be the right
    /// ones: a view change may have got in between.
    fn asks_again(&self, answers: usize, needed: usize) -> bool {
        let _ = (answers, needed);
        true
    }

    /// Whether a RecoveryResponse belongs to the attempt under way.
    fn nonce_matches(&self, answered: Nonce, own: Nonce) -> bool {
        answered == own
    }

    /// Whose state a recovering replica adopts, once it can tell: that of the primary of the latest view
    /// among the answers, when there are enough of them (paper, section 4.3, step 3).
    fn recovery_source(&self, group: Configuration, answers: &[RecoveryAnswer]) -> Option<ReplicaId> {
        if answers.len() < self.recovery_quorum(group) {
            return None;
        }
        let latest = answers.iter().map(|answer| answer.view).max()?;
        let primary = self.primary(group, latest);
        answers
            .iter()
            .find(|answer| answer.from == primary && answer.view == latest && answer.has_state)
            .map(|answer| answer.from)
    }

    /// Whether a backup sees to a recovery whose attempts go on failing: proposes the next view, and waits longer
    /// before it does so again for the same one. The primary may be deaf to everybody, which in an idle group nothing
    /// else shows; or no view may bring the replica back.
    fn sees_to_recoveries(&self) -> bool {
        true
    }

    /// The last normal view of a replica that has recovered into `view`.
    fn last_normal_view_after_recovery(&self, view: View) -> View {
        view
    }

    /// Whether a message of incarnation `claimed` is heard, when the latest known one of its sender is
    /// `known`. What an earlier incarnation promised was forgotten in the crash (the defect of the
    /// published recovery: Michael et al., DISC 2017).
    fn hears_incarnation(&self, claimed: Incarnation, known: Incarnation) -> bool {
        claimed >= known
    }

    /// Whether a replica learns of crashes from those who vote for its view or answer its recovery. They may
    /// be the only ones who have heard of them.
    fn learns_incarnations_from_others(&self) -> bool {
        true
    }

    /// Whether a DoViewChange that was kept still counts when its view starts. Its sender may have
    /// crashed since.
    fn vote_still_counts(&self, claimed: Incarnation, known: Incarnation) -> bool {
        claimed >= known
    }

    /// Whether a RecoveryResponse that was kept still counts. Its sender may have crashed since, and with it
    /// forgotten that the asker had: it would then vote without exposing what the asker has forgotten.
    fn answer_still_counts(&self, claimed: Incarnation, known: Incarnation) -> bool {
        claimed >= known
    }

    /// Whether a replica remembers the incarnation of a Recovery before it answers. The answer may be
    /// what lets the sender recover into an old view; a vote given later has to expose that.
    fn learns_incarnation_from_recovery(&self) -> bool {
        true
    }

    // ---- State transfer --------------------------------------------------------------------------

    /// What a replica that holds `held` changes when it hears of a later view, before it has that view's
    /// state: nothing. To drop entries lowers the number of copies of operations that may be committed,
    /// and to adopt the view claims a log that is not there (the defect of the published section 5.2).
    fn state_before_transfer(&self, held: HeldState, heard: View) -> HeldState {
        let _ = heard;
        held
    }

    /// After which op-number a replica asks for the log of a later view. What lies above its
    /// commit-number may have been replaced there.
    fn transfer_after(&self, commit_number: CommitNumber, last: OpNumber) -> OpNumber {
        let _ = last;
        commit_number.op_number()
    }

    /// Whether a replica in view `own` takes the log of view `message` over, when it waits for that of
    /// `wanted`. An answer that comes after the replica has moved on is too late.
    fn accepts_new_state(&self, message: View, own: View, wanted: Option<View>, is_normal: bool) -> bool {
        wanted.is_some_and(|wanted| message >= wanted) && (message > own || (message == own && !is_normal))
    }

    /// Whom a replica asks for state after `peer`, which has not answered and may never be able to.
    fn state_source_after(&self, group: Configuration, own: ReplicaId, peer: ReplicaId) -> ReplicaId {
        let next = group.member_after(peer);
        if next == own { group.member_after(own) } else { next }
    }

    /// Whether a GetState is answered by a replica that has nothing after what the asker holds. Silence would
    /// leave an asker that has the log, but not the view, waiting for ever.
    fn answers_without_entries(&self) -> bool {
        true
    }

    /// Whether a replica in view `own` can answer for view `wanted`. One that is not normal answers for its vote
    /// only (`for_own_vote`): the primary of the view that it has voted for may need more of the log than the
    /// vote brought, and nobody else may have it. The published "only if normal" would leave it waiting.
    fn answers_get_state(&self, is_normal: bool, own: View, wanted: View, for_own_vote: bool) -> bool {
        (is_normal && own >= wanted) || for_own_vote
    }

    /// Up to where the log of a replica that holds `held` is the beginning of a log whose owner was last normal
    /// in `last_normal`, or ends where that one does. What is committed is the same everywhere; what is not is
    /// the same only if both come from the same view. `kind` is that of the message that brought the end of the
    /// other log: DoViewChange or StartView.
    fn shared_prefix(&self, kind: MessageKind, held: HeldState, last_normal: View) -> OpNumber {
        let _ = kind;
        if held.last_normal_view == last_normal { held.op_number } else { held.commit_number.op_number() }
    }

    // ---- Checkpoints -----------------------------------------------------------------------------

    /// After which operation a replica that has executed up to `executed` takes a checkpoint now, if it does:
    /// after the one just executed. The state is that after this operation and no other.
    fn checkpoint_due(&self, executed: CommitNumber, interval: u64) -> Option<OpNumber> {
        executed.0.is_multiple_of(interval).then_some(executed.op_number())
    }

    /// Whether a checkpoint holds the client table. Otherwise who starts from it executes requests again.
    fn checkpoint_holds_sessions(&self) -> bool {
        true
    }

    /// Up to where the log is dropped once the checkpoint `latest` is taken, of a log that ends at `last`: no
    /// further than the checkpoint before it, which others may be fetching.
    fn compacted_through(
        &self,
        previous: OpNumber,
        latest: OpNumber,
        margin: u64,
        last: OpNumber,
    ) -> OpNumber {
        let _ = last;
        previous.min(OpNumber(latest.0.saturating_sub(margin)))
    }

    /// Whether a checkpoint is installed only together with the log after it. A replica that has become normal
    /// in a view on the checkpoint alone claims a log that it does not hold.
    fn waits_for_log_after_checkpoint(&self) -> bool {
        true
    }

    /// Whether the log of view `log` begins with what a checkpoint holds whose sender was last normal in view
    /// `held_in`. Operations that were committed in a later view need not be in it: taken for its beginning, they
    /// stand in for others that the log of that view has in their places.
    fn checkpoint_precedes(&self, held_in: View, log: View) -> bool {
        held_in <= log
    }

    /// What is executed once the checkpoint taken after `op_number` is installed: all up to there, and nothing
    /// of it again.
    fn commit_number_after_checkpoint(&self, op_number: OpNumber) -> CommitNumber {
        op_number.as_commit_number()
    }

    /// Whether the client table is taken over from a checkpoint. It travels with the state wherever that goes, also
    /// to who joins an epoch (`is_joining`).
    fn restores_sessions(&self, is_joining: bool) -> bool {
        let _ = is_joining;
        true
    }

    /// How many entries of a NewState that begins after `after` are in the checkpoint taken at `op_number`.
    fn entries_in_checkpoint(&self, after: OpNumber, op_number: OpNumber) -> usize {
        (op_number.0 - after.0) as usize
    }

    // ---- Witnesses -------------------------------------------------------------------------------

    /// Whether a witness executes what is committed. It has no state to execute it on.
    fn witness_executes(&self) -> bool {
        false
    }

    /// Up to where no log needs to reach back for the sake of an active member of `group`, when each of those has a
    /// checkpoint at one of `checkpoints`, the latest first: to where a quorum of them has one. Where there are f
    /// witnesses that is all of them: any one may be the only one that is left, and have nothing to go on from but
    /// a witness's log. Where there are fewer witnesses, there is one of these in every quorum, and one is left
    /// whichever f fail.
    fn covered(&self, group: Configuration, checkpoints: &[OpNumber]) -> OpNumber {
        checkpoints[group.quorum() - 1]
    }

    /// Whether the log of a witness that lacks what comes before may begin after `start`, when all is
    /// [`covered`](Self::covered) up to `covered`.
    fn may_begin_after(&self, start: OpNumber, covered: OpNumber) -> bool {
        start <= covered
    }

    // ---- Reconfiguration -------------------------------------------------------------------------

    /// Whether a message of kind `kind` and epoch `message` is handled by a replica in epoch `own`. Votes, answers
    /// and acknowledgements of different epochs are by different groups, and never mix.
    fn hears_epoch(&self, kind: MessageKind, message: Epoch, own: Epoch) -> bool {
        let _ = kind;
        message == own
    }

    /// Of which group a quorum is needed in an epoch with the members `current`, after one with `previous`.
    fn quorum_group(&self, current: Configuration, previous: Configuration) -> Configuration {
        let _ = previous;
        current
    }

    /// Why a reconfiguration is refused, if it is. One at a time: a second one in an epoch would give it two ends.
    fn refusal(&self, asked: Asked) -> Option<Refusal> {
        if !asked.is_of_this_epoch {
            Some(Refusal::OtherEpoch)
        } else if asked.size < MIN_MEMBERS {
            Some(Refusal::TooSmall)
        } else if asked.is_same {
            Some(Refusal::NothingNew)
        } else if asked.changes_sides {
            Some(Refusal::OtherSide)
        } else if asked.is_last_epoch {
            Some(Refusal::NoMoreEpochs)
        } else if asked.is_ending {
            Some(Refusal::UnderWay)
        } else if !asked.has_started {
            Some(Refusal::NotStarted)
        } else {
            None
        }
    }

    /// What becomes of a reconfiguration that the client table says this of: a duplicate is answered like any other,
    /// also when it arrives in the epoch that it has led to.
    fn reconfiguration_admission(&self, admission: Admission) -> Admission {
        admission
    }

    /// Whether a primary takes requests although its log ends with a Reconfiguration, of its own view (`is_own`) or
    /// inherited. Operations behind it would have op-numbers that the next epoch gives to others.
    fn takes_requests_at_epoch_end(&self, is_own: bool) -> bool {
        let _ = is_own;
        false
    }

    /// Whether an epoch ends when its Reconfiguration is prepared, and not only when it is committed. A view
    /// change may drop it, and another one be committed in its place.
    fn epoch_ends_when_prepared(&self) -> bool {
        false
    }

    /// Which epoch begins when a Reconfiguration of epoch `ended` is executed by a replica in epoch `own`. One that
    /// is executed again, as history, leads where it led before.
    fn epoch_after(&self, ended: Epoch, own: Epoch) -> Epoch {
        let _ = own;
        ended.next()
    }

    /// The view in which `epoch` begins, for a replica that was in view `left`: 0, or two replicas that left the
    /// epoch before in different views would begin with different primaries.
    fn first_view(&self, epoch: Epoch, left: View) -> View {
        let _ = left;
        View::of(epoch, 0)
    }

    /// Whether a replica takes part in its epoch, by a message of this kind, before it has the log up to the
    /// epoch's start. Its vote would be worth nothing, and might count for much.
    fn takes_part_while_transitioning(&self, kind: MessageKind) -> bool {
        !matches!(kind, MessageKind::StartViewChange | MessageKind::DoViewChange | MessageKind::Recovery)
    }

    /// Whether a replica that holds an entry created in `held` at the op-number of an epoch's start, whose entry was
    /// created in `created`, has the log of that epoch up to there. Otherwise what is not known to be committed
    /// may be something else.
    fn holds_epoch_start(&self, held: Option<View>, created: View) -> bool {
        held == Some(created)
    }

    /// After which op-number a member of an epoch fetches the log up to its start: after what it knows to be
    /// committed. What comes after may have been replaced.
    fn history_after(&self, commit_number: CommitNumber, last: OpNumber) -> OpNumber {
        let _ = last;
        commit_number.op_number()
    }

    /// Whether a member answers StartEpoch with EpochStarted. Only with the log: those who have it will stop.
    fn announces_epoch(&self, has_log: bool) -> bool {
        has_log
    }

    /// How many active members of a new group must have the state until those of the `previous` one may stop: as many
    /// as leave a copy when the failures happen that the new group can stand.
    fn epoch_quorum(&self, group: Configuration, previous: Configuration) -> usize {
        let _ = previous;
        group.quorum()
    }

    /// Whether who speaks of an earlier epoch is told of the present one, members and all. Everybody else that it
    /// knows may have stopped.
    fn tells_epoch(&self) -> bool {
        true
    }

    /// Whether a recovery ends with a log at whose end an epoch ends. The next one may have begun, and this replica
    /// have taken part in it before it crashed: then it has to recover there.
    fn recovers_at_epoch_end(&self) -> bool {
        false
    }
}

/// A reconfiguration that is asked for, and what the primary knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Whether it speaks of the primary's epoch and group.
    pub is_of_this_epoch: bool,
    /// How many members the new group would have.
    pub size: usize,
    /// Whether they are those of the present one.
    pub is_same: bool,
    /// Whether one that stays a member would be a witness and is active, or the other way round.
    pub changes_sides: bool,
    /// Whether no epoch can follow the present one.
    pub is_last_epoch: bool,
    /// Whether the log ends with a reconfiguration that is not committed.
    pub is_ending: bool,
    /// Whether something was committed in this epoch.
    pub has_started: bool,
}

/// The protocol as it should be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standard;

impl Rules for Standard {}

/// What to make of a client's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Give it an op-number.
    New,
    /// It is the last executed one: send its result again.
    Executed,
    /// It is in the log: the answer will come.
    InFlight,
    /// A later request of the session was executed: nobody waits for this one.
    Superseded,
}

/// What a log is worth, as far as a new primary is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSummary {
    /// Whose log it is.
    pub from: ReplicaId,
    /// Whether it is the new primary's own.
    pub is_own: bool,
    /// The last view in which its owner's status was normal.
    pub last_normal_view: View,
    /// Where it ends.
    pub op_number: OpNumber,
    /// The view in which its last entry was created.
    pub last_entry_view: View,
}

/// One answer to a recovering replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryAnswer {
    /// Who answered.
    pub from: ReplicaId,
    /// In which incarnation.
    pub incarnation: Incarnation,
    /// The view it was normal in.
    pub view: View,
    /// Whether the answer brought the state along.
    pub has_state: bool,
}

/// The part of a replica's state that state transfer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldState {
    /// The replica's view.
    pub view: View,
    /// The last view in which its status was normal.
    pub last_normal_view: View,
    /// Where its log ends.
    pub op_number: OpNumber,
    /// What it knows to be committed.
    pub commit_number: CommitNumber,
}
