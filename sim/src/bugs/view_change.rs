//! Bugs of view changes.

use vr::{CommitNumber, LogSummary, OpNumber, View};

use super::{Bug, wrong};
use crate::check::Property::{Panic, S1, S2, S3, S4, S5, S6, S7, S8, S9, S10, S11, S12, S19, S20, S23};

wrong! {
    /// The longest log wins.
    LongestLog {
        fn prefers_log(&self, candidate: LogSummary, best: LogSummary) -> bool { candidate.op_number > best.op_number }
    }
}
wrong! {
    /// The latest last normal view wins, whatever the length.
    LatestView {
        fn prefers_log(&self, candidate: LogSummary, best: LogSummary) -> bool {
            candidate.last_normal_view > best.last_normal_view
        }
    }
}
wrong! {
    /// The view stamp of the last entry stands in for the last normal view.
    LastEntryView {
        fn prefers_log(&self, candidate: LogSummary, best: LogSummary) -> bool {
            (candidate.last_entry_view, candidate.op_number) > (best.last_entry_view, best.op_number)
        }
    }
}
wrong! {
    /// A StartView of any view is taken.
    AnyStartView { fn accepts_start_view(&self, _: View, _: View, _: bool) -> bool { true } }
}
wrong! {
    /// The last normal view moves on when a view change is joined.
    NormalTooEarly { fn last_normal_view_after_joining(&self, joined: View, _: View) -> View { joined } }
}
wrong! {
    /// The new primary keeps its own log.
    OwnLog {
        fn prefers_log(&self, candidate: LogSummary, best: LogSummary) -> bool { candidate.is_own && !best.is_own }
    }
}
wrong! {
    /// The commit-number follows the StartView, also backwards.
    CommitGoesBack {
        fn commit_number_after_start_view(&self, _: CommitNumber, announced: CommitNumber) -> CommitNumber { announced }
    }
}
wrong! {
    /// Everything in the new view's log is taken for committed.
    EverythingCommitted {
        fn commit_number_of_new_view(&self, _: CommitNumber, last: OpNumber) -> CommitNumber { last.as_commit_number() }
    }
}
wrong! {
    /// What is not known to be committed is dropped.
    TailDropped {
        fn kept_in_new_view(&self, _: OpNumber, commit_number: CommitNumber) -> OpNumber { commit_number.op_number() }
    }
}
wrong! {
    /// A backup with a longer log keeps its end.
    LongerLogKept { fn cuts_longer_log(&self) -> bool { false } }
}
wrong! {
    /// The primary of a view that has not started takes requests.
    EarlyRequests { fn accepts_requests(&self, is_primary: bool, _: bool) -> bool { is_primary } }
}

/// The bugs of this part.
pub const BUGS: &[Bug] = &[
    Bug::new("M-V1", "the new primary takes the longest log", &LongestLog, 10_000, &[S6, S1, S2, S7]),
    Bug::new(
        "M-V2",
        "the new primary takes the log of the latest normal view, whatever its length",
        &LatestView,
        400,
        &[S1, S2, S7],
    ),
    Bug::new(
        "M-V3",
        "the new primary goes by the view of the last entry",
        &LastEntryView,
        200_000,
        &[S1, S2, S6, S7],
    ),
    Bug::new(
        "M-V4",
        "a StartView of any view is taken",
        &AnyStartView,
        1_000,
        &[S8, S9, S1, S4, S3, S7, Panic],
    ),
    Bug::new(
        "M-V6",
        "the last normal view is that of a view change joined",
        &NormalTooEarly,
        200,
        &[S20, S2],
    ),
    Bug::new("M-V7", "the new primary keeps its own log", &OwnLog, 1_000, &[S1, S2, S7]),
    Bug::new(
        "M-V9",
        "the commit-number goes back with a StartView",
        &CommitGoesBack,
        1_000,
        &[S5, S11, S10, S23],
    ),
    Bug::new(
        "M-V10",
        "everything in the new view's log is taken for committed",
        &EverythingCommitted,
        400,
        &[S8, S12, S2],
    ),
    Bug::new(
        "M-V11",
        "the new primary drops what is not known to be committed",
        &TailDropped,
        400,
        &[S1, S2, S7, S19],
    ),
    Bug::new("M-V12", "a backup keeps the end of its longer log", &LongerLogKept, 400, &[S9, S1]),
    Bug::new(
        "M-V14",
        "the primary of a view that has not started takes requests",
        &EarlyRequests,
        400,
        &[S1, S3, S2, S20, S9, S8, S23],
    ),
];
