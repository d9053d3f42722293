//! What a sweep keeps of one run: enough to sum up the sweep without making the run again.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::marks::Marks;
use crate::run::{Report, Verdict};

/// What is kept of one run. As JSON, with a checksum, it is one line of a file of [records](crate::records).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// What came of it.
    pub verdict: Verdict,
    /// The digest of everything that happened; 0 if the run could not be made.
    pub digest: Hex,
    /// The digest of the second run, if the run was made twice; 0 if the second one could not be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Hex>,
    /// Events dispatched in all.
    pub steps: u64,
    /// Events dispatched before the faults stopped.
    pub fault_steps: u64,
    /// Virtual time, in nanoseconds.
    pub virtual_time_ns: u64,
    /// Operations committed.
    pub committed: u64,
    /// Views started by a view change.
    pub view_changes: u64,
    /// Whether more memory was lost than the group can stand, so that no progress could be demanded.
    #[serde(default, skip_serializing_if = "is_false")]
    pub budget_exceeded: bool,
    /// The counters.
    pub marks: Marks,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Record {
    /// Of a run.
    #[must_use]
    pub fn of(seed: u64, report: Report) -> Self {
        Self {
            scenario: report.setup.scenario.clone(),
            seed,
            verdict: report.verdict,
            digest: Hex(report.digest),
            again: None,
            steps: report.steps,
            fault_steps: report.fault_steps,
            virtual_time_ns: report.time,
            committed: report.committed,
            view_changes: report.views,
            budget_exceeded: report.budget_exceeded,
            marks: report.marks,
        }
    }

    /// Of a run that could not be made, or not be judged.
    #[must_use]
    pub fn failed(scenario: String, seed: u64, why: String) -> Self {
        Self {
            scenario,
            seed,
            verdict: Verdict::HarnessFailed(why),
            digest: Hex(0),
            again: None,
            steps: 0,
            fault_steps: 0,
            virtual_time_ns: 0,
            committed: 0,
            view_changes: 0,
            budget_exceeded: false,
            marks: Marks::default(),
        }
    }

    /// Both digests, if the run came out differently the second time.
    #[must_use]
    pub fn unequal(&self) -> Option<(u64, u64)> {
        self.again.filter(|again| *again != self.digest).map(|again| (self.digest.0, again.0))
    }

    /// Whether all properties held, each time that the run was made.
    #[must_use]
    pub fn has_held(&self) -> bool {
        self.verdict == Verdict::Held && self.unequal().is_none()
    }
}

/// A digest. As JSON it is 16 hexadecimal digits: many readers of JSON cannot hold a 64-bit number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hex(pub u64);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:016x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_digits = text.len() == 16 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let digest = u64::from_str_radix(&text, 16).ok().filter(|_| is_digits);
        digest.map(Self).ok_or_else(|| serde::de::Error::custom("expected 16 hexadecimal digits"))
    }
}
