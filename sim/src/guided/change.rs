//! What is decided otherwise than the seed says, and from which step on.

use serde::{Deserialize, Serialize};

use crate::faults::Action;

/// One change to a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// After how many steps.
    pub step: u64,
    /// What is changed.
    pub what: What,
}

/// What is changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// From here on faults, requests and the fates of messages are drawn from the streams of this seed.
    Redraw(u64),
    /// A fault is drawn from the streams of this seed, beside those of chance, and done at once.
    Strike(u64),
    /// This is done, beside what chance does.
    Do(Action),
    /// The next fault that chance wants is left out.
    Skip,
}
