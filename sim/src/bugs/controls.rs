//! Changes that look like bugs and are safe: no check may complain.

use vr::{CommitNumber, Configuration, LogSummary, OpNumber};

use crate::packet::Kind;

use super::{Bug, Sabotage, wrong};

wrong! {
    /// Of equal logs another one is taken.
    OtherOfEqualLogs {
        fn prefers_log(&self, candidate: LogSummary, best: LogSummary) -> bool {
            (candidate.last_normal_view, candidate.op_number) >= (best.last_normal_view, best.op_number)
        }
    }
}
wrong! {
    /// A view starts with a smaller commit-number than is known.
    SmallerCommitNumber {
        fn commit_number_of_new_view(&self, known: CommitNumber, _: OpNumber) -> CommitNumber {
            CommitNumber(known.0.saturating_sub(1))
        }
    }
}
wrong! {
    /// A backup does not acknowledge the log that came with a StartView, if its own was longer (M-V20). It
    /// costs a moment only: what is not committed at the start of a view, the primary sends again as
    /// Prepares, and those are acknowledged.
    LongerLogNotAcknowledged { fn acknowledges_start_view(&self, longer_before: bool) -> bool { !longer_before } }
}
wrong! {
    /// Only the last Prepare is sent again (M-T5). It costs a moment only: a Prepare that comes after a gap is
    /// kept, and makes the backup ask for what is missing.
    LastPrepareOnly {
        fn resent_after(&self, acknowledged: OpNumber, last: OpNumber) -> OpNumber {
            acknowledged.max(last.previous())
        }
    }
}
wrong! {
    /// The round of proposals is left out: whoever is dissatisfied moves at once. It disturbs more, and is
    /// safe.
    NoProposals { fn proposal_quorum(&self, _: Configuration) -> usize { 1 } }
}
wrong! {
    /// Reads are answered while a Reconfiguration is under way (M-L8). Only this primary can commit it, and is in the
    /// next epoch in the same step, without leases; or there has been a view change, which has waited for them.
    ReadsAtEpochEnd { fn reads_at_epoch_end(&self) -> bool { true } }
}

/// All controls.
pub const CONTROLS: &[Bug] = &[
    Bug::new("C-1", "of equal logs another one is taken", &OtherOfEqualLogs, 2_000, &[]),
    Bug::new(
        "C-2",
        "a view starts with a smaller commit-number than is known",
        &SmallerCommitNumber,
        2_000,
        &[],
    ),
    Bug::new("C-3", "reads are answered while a Reconfiguration is under way", &ReadsAtEpochEnd, 2_000, &[])
        .in_scenario("reconfigurations"),
    // Where a replica is deaf for ever, it costs progress: that is M-T11.
    Bug::new("C-4", "the round of proposals before a view change is left out", &NoProposals, 2_000, &[])
        .in_scenario("primary-hunt"),
    Bug::new(
        "C-5",
        "who had a longer log does not acknowledge a StartView",
        &LongerLogNotAcknowledged,
        2_000,
        &[],
    ),
    Bug::new("C-6", "only the last Prepare is sent again", &LastPrepareOnly, 2_000, &[]),
    // The Commit with which a primary begins makes the others ask for the view's log.
    Bug::silent("C-7", "no StartView is ever sent", Sabotage::All(Kind::StartView), 2_000, &[]),
];
