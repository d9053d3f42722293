//! The words of the protocol as types, so that a view cannot be passed where an op-number is meant.

use std::fmt;

/// Declares a number of the protocol: a `u64` that only compares with its own kind.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// The number zero.
            pub const ZERO: Self = Self(0);

            /// The number after this one.
            #[inline]
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }
    };
}

number! {
    /// An epoch-number: which configuration of the group. Starts at 0; each reconfiguration begins the next.
    Epoch
}
number! {
    /// An op-number: a position in the log, from 1. Zero stands for "before the first operation".
    OpNumber
}
number! {
    /// A commit-number: the op-number up to which operations are known to be committed.
    CommitNumber
}
number! {
    /// The number that a client gives to a request: from 1, one more for each.
    RequestNumber
}
number! {
    /// A client's session: the op-number at which its registration was executed. The log hands them
    /// out, so no two sessions ever share one.
    ClientId
}
number! {
    /// Where replies to one client process are sent. Opaque to the protocol; the transport gives each
    /// client process (and each restart of one) an address of its own.
    ClientAddress
}
number! {
    /// How often a replica has been started: strictly larger at each restart. A counter that is kept
    /// over restarts, or a clock that never goes back, can provide it.
    Incarnation
}

impl Epoch {
    /// The last one that a [`View`] has room for: a group can be reconfigured 65,535 times.
    pub const LAST: Self = Self((1 << (u64::BITS - View::NUMBER_BITS)) - 1);
}

impl ClientAddress {
    pub(crate) const IN_HOST: u64 = 1 << 63;

    /// Whether the client lives in a [`Host`](crate::Host), which gives it this address.
    #[must_use]
    pub const fn is_in_host(self) -> bool {
        self.0 & Self::IN_HOST != 0
    }
}

/// A view: its epoch, and its view-number in that. Says who is primary, and since which view change; never
/// decreases while a replica keeps its memory.
///
/// Both are in one word, the epoch in the upper bits, so that views compare by their epochs first: a view of a
/// later epoch is a later view. `View(3)` is view 3 of the first epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct View(pub u64);

impl View {
    /// View 0 of the first epoch.
    pub const ZERO: Self = Self(0);

    pub(crate) const NUMBER_BITS: u32 = 48;

    /// View `number` of `epoch`.
    ///
    /// # Panics
    /// If the number is 2^48 or more, or the epoch 2^16 or more.
    #[must_use]
    pub const fn of(epoch: Epoch, number: u64) -> Self {
        assert!(number >> Self::NUMBER_BITS == 0, "a view-number of 48 bits");
        assert!(epoch.0 >> (u64::BITS - Self::NUMBER_BITS) == 0, "an epoch-number of 16 bits");
        Self(epoch.0 << Self::NUMBER_BITS | number)
    }

    /// The epoch that the view belongs to.
    #[inline]
    #[must_use]
    pub const fn epoch(self) -> Epoch {
        Epoch(self.0 >> Self::NUMBER_BITS)
    }

    /// The view-number in its epoch, from 0.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0 & ((1 << Self::NUMBER_BITS) - 1)
    }

    /// The view after this one in its epoch.
    #[inline]
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The number alone in the first epoch, `1/3` for view 3 of epoch 1.
impl fmt::Display for View {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.epoch() {
            Epoch::ZERO => self.number().fmt(formatter),
            epoch => write!(formatter, "{epoch}/{}", self.number()),
        }
    }
}

impl CommitNumber {
    /// The op-number of the last committed operation.
    #[inline]
    #[must_use]
    pub const fn op_number(self) -> OpNumber {
        OpNumber(self.0)
    }

    /// Whether the operation at `op_number` is committed.
    #[inline]
    #[must_use]
    pub const fn covers(self, op_number: OpNumber) -> bool {
        op_number.0 <= self.0
    }
}

impl OpNumber {
    /// The number before this one; zero stays zero.
    #[inline]
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The commit-number of a log of which everything up to here is committed.
    #[inline]
    #[must_use]
    pub const fn as_commit_number(self) -> CommitNumber {
        CommitNumber(self.0)
    }
}

/// A node that is, or may become, a member of the replica group. Nodes are numbered from 0, over all epochs: no
/// number is given to another node later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub u8);

impl ReplicaId {
    /// The index of this replica in tables with one row per node.
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "r{}", self.0)
    }
}

/// A reading of a node's own clock, in nanoseconds since a moment of its own choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub u64);

/// A span of a node's own clock, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub u64);

impl Instant {
    /// A moment that never comes: the deadline of a timer that is not running.
    pub const NEVER: Self = Self(u64::MAX);

    /// How long ago `earlier` was; zero if it lies ahead.
    #[inline]
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Instant {
    type Output = Self;

    #[inline]
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Duration {
    /// A span of whole milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    /// A span of whole microseconds.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros * 1_000)
    }

    /// This span doubled `times` times, or as long as can be told.
    #[must_use]
    pub const fn doubled(self, times: u32) -> Self {
        match 1_u64.checked_shl(times) {
            Some(factor) => Self(self.0.saturating_mul(factor)),
            None => Self(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_of_a_later_epoch_is_a_later_view() {
        let (old, new) = (View::of(Epoch(1), 7), View::of(Epoch(2), 0));
        assert!(old < new && old.next() < new);
        assert_eq!((new.epoch(), new.number()), (Epoch(2), 0));
        assert_eq!((old.next().epoch(), old.next().number()), (Epoch(1), 8));
        assert_eq!(View::of(Epoch(0), 3), View(3));
        assert_eq!([View(3), old].map(|view| view.to_string()), ["3", "1/7"]);
    }
}
