//! The kinds of faults, as far as it matters which of them a bug needs.

use std::fmt;

use crate::marks::{Fault, Marks, Moment};

/// A set of kinds of faults.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Faults(u32);

/// A kind of fault, and how often it struck.
type Kind = (&'static str, fn(&Marks) -> u64);

/// The kinds with their names in tables.
const KINDS: &[Kind] = &[
    ("loss", |marks| marks.faults(Fault::Lost)),
    ("duplicates", |marks| marks.faults(Fault::Duplicated)),
    ("late", |marks| marks.faults(Fault::Late)),
    ("held", |marks| marks.faults(Fault::Held)),
    ("full links", |marks| marks.faults(Fault::Overflow)),
    ("partition", |marks| marks.faults(Fault::Cut)),
    ("clog", |marks| marks.faults(Fault::CloggedLink)),
    ("crash", |marks| marks.count(Moment::Crash)),
    ("quick restart", |marks| marks.count(Moment::QuickRestart)),
    ("pause", |marks| marks.faults(Fault::Pause)),
    ("early timer", |marks| marks.faults(Fault::EarlyTimer)),
    ("late timer", |marks| marks.faults(Fault::LateTimer)),
    ("client crash", |marks| marks.faults(Fault::ClientCrash)),
];

impl Faults {
    /// No fault.
    pub const NONE: Self = Self(0);

    /// Those that were on in a run and struck at least once.
    #[must_use]
    pub fn struck(marks: &Marks) -> Self {
        let bit = |(index, (_, count)): (usize, &Kind)| u32::from(count(marks) > 0) << index;
        Self(KINDS.iter().enumerate().map(bit).sum())
    }

    /// Those that are in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that are in one of the sets at least.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are not in the other set.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Their names.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let is_in = |index: usize| self.0 & 1 << index != 0;
        KINDS.iter().enumerate().filter(|&(index, _)| is_in(index)).map(|(_, &(name, _))| name).collect()
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.names()).finish()
    }
}
