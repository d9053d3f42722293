//! Changes that look like bugs and are safe: no check may complain.

use vr::{CommitNumber, Configuration, LogSummary, OpNumber};

use super::{Bug, wrong};

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
    /// A later view's log is fetched from its beginning.
    WholeLogFetched { fn transfer_after(&self, _: CommitNumber, _: OpNumber) -> OpNumber { OpNumber::ZERO } }
}

wrong! {
    /// The round of proposals is left out: whoever is dissatisfied moves at once. It disturbs more, and is
    /// safe.
    NoProposals { fn proposal_quorum(&self, _: Configuration) -> usize { 1 } }
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
    Bug::new("C-3", "a later view's log is fetched from its beginning", &WholeLogFetched, 2_000, &[]),
    Bug::new("C-4", "the round of proposals before a view change is left out", &NoProposals, 2_000, &[]),
];
