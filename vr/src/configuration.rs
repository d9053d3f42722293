//! The group of replicas: its size, and the timing and bounds that its members agree on.

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::types::{Duration, ReplicaId};

/// The largest group: sender sets are kept in one machine word.
pub const MAX_REPLICAS: usize = 64;

/// The members of a group (paper, section 3): nodes by their ids, in an order known to all; and which of them are
/// witnesses (section 6.1), who hold the log and no state. All others are active.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Configuration {
    /// A bit for each node: members are distinct and sorted by construction.
    members: u64,
    /// A bit for each member that is a witness.
    witnesses: u64,
}

/// Why a group of the first so many nodes was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidGroupSize(
    /// The size that was asked for.
    pub usize,
);

impl fmt::Display for InvalidGroupSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a group of {} replicas: expected 1 to {MAX_REPLICAS}", self.0)
    }
}

impl std::error::Error for InvalidGroupSize {}

/// Why a group of these nodes was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidMembers {
    /// There are none.
    Nobody,
    /// The node is named more than once.
    Twice(ReplicaId),
    /// There can be no node of this number.
    OutOfRange(ReplicaId),
    /// Only a member can be a witness, or be replaced.
    NotAMember(ReplicaId),
    /// There would be so many witnesses, in a group of so many members: it would not survive the loss of as many as
    /// it should, if those were the others.
    TooManyWitnesses {
        /// How many witnesses were named.
        witnesses: usize,
        /// How many members there are.
        size: usize,
    },
}

impl fmt::Display for InvalidMembers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => write!(formatter, "a group without members: expected at least one"),
            Self::Twice(node) => {
                write!(formatter, "a group that names {node} twice: expected distinct nodes")
            }
            Self::OutOfRange(node) => {
                write!(formatter, "a group with {node}: expected nodes from r0 to r{}", MAX_REPLICAS - 1)
            }
            Self::NotAMember(node) => {
                write!(
                    formatter,
                    "a group with {node} as a witness, or replaced, which is no member: expected a member"
                )
            }
            Self::TooManyWitnesses { witnesses, size } => {
                let most = (size - 1) / 2;
                write!(formatter, "a group of {size} with {witnesses} witnesses: expected at most {most}")
            }
        }
    }
}

impl std::error::Error for InvalidMembers {}

impl Configuration {
    /// The group of the first `size` nodes.
    ///
    /// # Errors
    /// [`InvalidGroupSize`] unless `size` is from 1 to [`MAX_REPLICAS`].
    pub const fn new(size: usize) -> Result<Self, InvalidGroupSize> {
        if size == 0 || size > MAX_REPLICAS {
            return Err(InvalidGroupSize(size));
        }
        Ok(Self { members: u64::MAX >> (MAX_REPLICAS - size), witnesses: 0 })
    }

    /// The group of these nodes, in whatever order they are named.
    ///
    /// # Errors
    /// [`InvalidMembers`] if there is none, one is named twice, or its number is not below [`MAX_REPLICAS`].
    pub fn of(nodes: impl IntoIterator<Item = ReplicaId>) -> Result<Self, InvalidMembers> {
        let mut group = Self { members: 0, witnesses: 0 };
        for node in nodes {
            if node.index() >= MAX_REPLICAS {
                return Err(InvalidMembers::OutOfRange(node));
            }
            if group.contains(node) {
                return Err(InvalidMembers::Twice(node));
            }
            group.members |= 1 << node.0;
        }
        if group.members == 0 { Err(InvalidMembers::Nobody) } else { Ok(group) }
    }

    /// The same group, of which these members are witnesses and all others are active.
    ///
    /// # Errors
    /// [`InvalidMembers`] if one is no member, is named twice, or there are more than
    /// [`failures_tolerated`](Self::failures_tolerated).
    pub fn with_witnesses(self, nodes: impl IntoIterator<Item = ReplicaId>) -> Result<Self, InvalidMembers> {
        let mut group = Self { members: self.members, witnesses: 0 };
        for node in nodes {
            if !group.contains(node) {
                return Err(InvalidMembers::NotAMember(node));
            }
            if group.is_witness(node) {
                return Err(InvalidMembers::Twice(node));
            }
            group.witnesses |= 1 << node.0;
        }
        let (witnesses, size) = (group.witnesses().len(), group.size());
        if witnesses > group.failures_tolerated() {
            return Err(InvalidMembers::TooManyWitnesses { witnesses, size });
        }
        Ok(group)
    }

    /// The same group with `new` in the place of `gone`: a witness if that is one.
    ///
    /// # Errors
    /// [`InvalidMembers`] if `gone` is no member, `new` is one already, or its number is not below [`MAX_REPLICAS`].
    pub fn replacing(self, gone: ReplicaId, new: ReplicaId) -> Result<Self, InvalidMembers> {
        if !self.contains(gone) {
            return Err(InvalidMembers::NotAMember(gone));
        }
        let as_it_was = |node| if node == gone { new } else { node };
        Self::of(self.others(gone).chain([new]))?.with_witnesses(self.witnesses().map(as_it_was))
    }

    /// How many members the group has.
    #[inline]
    #[must_use]
    pub const fn size(self) -> usize {
        self.members.count_ones() as usize
    }

    /// The members in their order.
    #[inline]
    pub const fn members(self) -> Members {
        Members(self.members)
    }

    /// The members that are witnesses, in their order.
    #[inline]
    pub const fn witnesses(self) -> Members {
        Members(self.witnesses)
    }

    /// The members that are active: that execute, and can be primary.
    #[inline]
    pub const fn active(self) -> Members {
        Members(self.members & !self.witnesses)
    }

    /// Whether `replica` is a member, and a witness.
    #[inline]
    #[must_use]
    pub const fn is_witness(self, replica: ReplicaId) -> bool {
        (replica.0 as usize) < MAX_REPLICAS && self.witnesses & 1 << replica.0 != 0
    }

    /// Whether there are witnesses.
    #[inline]
    #[must_use]
    pub const fn has_witnesses(self) -> bool {
        self.witnesses != 0
    }

    /// Whether a node that is a member of this group and of `other` is a witness in one of them and active in the
    /// other.
    #[must_use]
    pub const fn changes_sides(self, other: Self) -> bool {
        (self.witnesses ^ other.witnesses) & self.members & other.members != 0
    }

    /// The members but `replica`.
    #[inline]
    pub const fn others(self, replica: ReplicaId) -> Members {
        if self.contains(replica) { Members(self.members & !(1 << replica.0)) } else { self.members() }
    }

    /// The members that are not in `other`.
    #[inline]
    pub const fn without(self, other: Self) -> Members {
        Members(self.members & !other.members)
    }

    /// The nodes that are in this group or in `other`. (As to who is asked for state, no matter who is a witness.)
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self { members: self.members | other.members, witnesses: 0 }
    }

    /// The member at `place`, from 0, in the order of the members; counted on from the first one if there are
    /// not so many.
    #[inline]
    #[must_use]
    pub const fn member_at(self, place: u64) -> ReplicaId {
        at(self.members, place)
    }

    /// The active member at `place`, likewise.
    #[inline]
    #[must_use]
    pub const fn active_at(self, place: u64) -> ReplicaId {
        at(self.members & !self.witnesses, place)
    }

    /// The member that comes after `node` in their order; the first one after the last.
    #[must_use]
    pub const fn member_after(self, node: ReplicaId) -> ReplicaId {
        let later =
            if node.0 as usize + 1 < MAX_REPLICAS { self.members & (u64::MAX << (node.0 + 1)) } else { 0 };
        let from = if later == 0 { self.members } else { later };
        ReplicaId(from.trailing_zeros() as u8)
    }

    /// Whether `replica` is a member.
    #[inline]
    #[must_use]
    pub const fn contains(self, replica: ReplicaId) -> bool {
        (replica.0 as usize) < MAX_REPLICAS && self.members & 1 << replica.0 != 0
    }

    /// How many rows a table needs that has one for each member, by the numbers of the nodes.
    #[inline]
    #[must_use]
    pub const fn rows(self) -> usize {
        (u64::BITS - self.members.leading_zeros()) as usize
    }

    /// How many members may be without their memory (crashed or recovering) at the same time without
    /// the group losing anything: f = ⌊(K − 1) / 2⌋.
    #[inline]
    #[must_use]
    pub const fn failures_tolerated(self) -> usize {
        (self.size() - 1) / 2
    }

    /// The smallest number of members of which any two sets share one: K − f. (The paper's "f + 1" is
    /// this number only where K is odd.)
    #[inline]
    #[must_use]
    pub const fn quorum(self) -> usize {
        self.size() - self.failures_tolerated()
    }
}

/// The node at `place` among those in `nodes`, of which there is one at least.
const fn at(nodes: u64, place: u64) -> ReplicaId {
    let mut left = nodes;
    let count = nodes.count_ones() as u64;
    // The first members' turns come most often, and a division takes long.
    let mut passed = if place < count { place } else { place % count };
    while passed > 0 {
        left &= left - 1;
        passed -= 1;
    }
    ReplicaId(left.trailing_zeros() as u8)
}

/// Of a group without witnesses only the members count, so that digests of what it does stay what they were before
/// there were any.
impl Hash for Configuration {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.members.hash(state);
        (self.size() as u8).hash(state);
        if self.has_witnesses() {
            self.witnesses.hash(state);
        }
    }
}

/// The members by their names: `{r0, r3, r4}`, and `{r0, r3, r4 (witness)}`.
impl fmt::Display for Configuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, member) in self.members().enumerate() {
            let kind = if self.is_witness(member) { " (witness)" } else { "" };
            write!(formatter, "{}{member}{kind}", if place == 0 { "{" } else { ", " })?;
        }
        formatter.write_str("}")
    }
}

impl fmt::Debug for Configuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Nodes in the order of their numbers.
#[derive(Clone, Debug)]
pub struct Members(u64);

impl Iterator for Members {
    type Item = ReplicaId;

    #[inline]
    fn next(&mut self) -> Option<ReplicaId> {
        if self.0 == 0 {
            return None;
        }
        let first = ReplicaId(self.0.trailing_zeros() as u8);
        self.0 &= self.0 - 1;
        Some(first)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.0.count_ones() as usize;
        (left, Some(left))
    }
}

impl DoubleEndedIterator for Members {
    #[inline]
    fn next_back(&mut self) -> Option<ReplicaId> {
        let last = self.0.checked_ilog2()?;
        self.0 ^= 1 << last;
        Some(ReplicaId(last as u8))
    }
}

impl ExactSizeIterator for Members {}

/// Timing and bounds of the protocol. Safety rests on none of them except that
/// [`sessions_max`](Self::sessions_max) must be the same at all replicas, and that clocks keep to
/// [`clock_drift_ppm`](Self::clock_drift_ppm) where there are leases. All other times are above zero; see
/// [`validate`](Self::validate) for what else must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How often the primary sends Commit, whether or not there is anything new. A fraction of the primary
    /// timeout, so that a few may be lost.
    pub heartbeat_interval: Duration,
    /// How long a backup hears nothing from the primary until it proposes the next view. This one and the next
    /// ones double with view changes that lead to nothing, up to [`backoff_limit`](Self::backoff_limit) times.
    pub primary_timeout: Duration,
    /// How long a view change may take until the view after it is proposed.
    pub view_change_timeout: Duration,
    /// After how long an unanswered message is sent again for the first time; longer than a round trip.
    pub resend_interval: Duration,
    /// How long a primary waits for acknowledgements of a prepared operation until it abdicates.
    pub abdication_timeout: Duration,
    /// How often timeouts may double over view changes that led to nothing.
    pub backoff_limit: u32,
    /// How many batches may be prepared and not yet committed: at least 1.
    pub pipeline_max: usize,
    /// How many requests one batch holds at most, at least 1. A request is prepared at once while there is room in the pipeline; what
    /// comes meanwhile waits, as many as make one batch, and is prepared together. With 1 nothing waits, and
    /// each request is a batch.
    pub batch_max: usize,
    /// For how long a backup that has heard the primary votes for no other view, so that the primary may answer
    /// reads alone meanwhile. Zero: it promises nothing, and the primary confirms its view for each read.
    /// The primary's death is noticed later by so much, at most. May differ between replicas; but who is restarted
    /// with a shorter one forgets what it has promised before, and so must not be, unless it stays down for as long as
    /// the longer one.
    ///
    /// This is the one thing for which clocks matter: see [`clock_drift_ppm`](Self::clock_drift_ppm).
    pub lease: Duration,
    /// By how much the rate of any replica's clock differs from that of true time at most, in parts per
    /// million, steps included. Where it differs by more, reads that rest on a [`lease`](Self::lease) may
    /// be stale; nothing else depends on it.
    pub clock_drift_ppm: u32,
    /// How many client sessions the client table holds; one more evicts the one that has been idle for
    /// the largest number of operations. At least 1, and part of the replicated state: the same everywhere.
    pub sessions_max: usize,
    /// After how many operations a checkpoint is taken and the log in front of the one before dropped; zero:
    /// never, and the log is kept whole. While others are fetching a checkpoint from here, the log after it is kept, for
    /// as long as they get further with every 32 checkpoints taken: so 32 should take longer than an answer does, and
    /// 32 for each piece and each who fetches is the most that it can come to. May differ between replicas.
    pub checkpoint_interval: u64,
    /// How many operations before the latest checkpoint the log keeps at least, so that who is a little behind
    /// needs no checkpoint.
    pub log_margin: u64,
    /// How many operations that are known to be committed DoViewChange and StartView bring along, for those who
    /// know of fewer. Who lacks more asks for it.
    pub suffix_margin: u64,
}

/// What is wrong with [`Options`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidOptions {
    /// A time is zero.
    NoTime,
    /// Heartbeats come no more often than backups lose patience.
    SlowHeartbeat,
    /// Messages are sent again no more often than view changes are given up.
    SlowResend,
    /// Nothing may be in flight, or no session be open.
    NoRoom,
    /// Backups promise not to vote for longer than a view change may take.
    LongLease,
    /// A clock that may be so wrong as to stand still measures nothing.
    NoClock,
}

impl fmt::Display for InvalidOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoTime => "options with a time of zero: expected all times above zero",
            Self::SlowHeartbeat => "options whose heartbeat interval is not below the primary timeout",
            Self::SlowResend => "options whose resend interval is not below the view change timeout",
            Self::NoRoom => {
                "options without room: expected at least one operation in flight, one in a batch, and one session"
            }
            Self::LongLease => "options whose lease is not below the view change timeout",
            Self::NoClock => "options whose clock drift is not below a million parts per million",
        })
    }
}

impl std::error::Error for InvalidOptions {}

impl Options {
    /// Whether a group can work with these options.
    ///
    /// # Errors
    /// [`InvalidOptions`] unless all times are above zero, the heartbeat interval is below the primary
    /// timeout, the resend interval and the lease below the view change timeout, the bounds at least 1, and the
    /// drift of clocks below a million.
    pub fn validate(&self) -> Result<(), InvalidOptions> {
        let Self { heartbeat_interval, primary_timeout, view_change_timeout, resend_interval, .. } = *self;
        let times = [
            heartbeat_interval,
            primary_timeout,
            view_change_timeout,
            resend_interval,
            self.abdication_timeout,
        ];
        if times.contains(&Duration(0)) {
            Err(InvalidOptions::NoTime)
        } else if heartbeat_interval >= primary_timeout {
            Err(InvalidOptions::SlowHeartbeat)
        } else if resend_interval >= view_change_timeout {
            Err(InvalidOptions::SlowResend)
        } else if self.pipeline_max == 0 || self.batch_max == 0 || self.sessions_max == 0 {
            Err(InvalidOptions::NoRoom)
        } else if self.lease >= view_change_timeout {
            Err(InvalidOptions::LongLease)
        } else if self.clock_drift_ppm >= 1_000_000 {
            Err(InvalidOptions::NoClock)
        } else {
            Ok(())
        }
    }
}

impl Default for Options {
    /// Values for a local network.
    fn default() -> Self {
        Self {
            heartbeat_interval: Duration::from_millis(20),
            primary_timeout: Duration::from_millis(100),
            view_change_timeout: Duration::from_millis(150),
            resend_interval: Duration::from_millis(25),
            abdication_timeout: Duration::from_millis(200),
            backoff_limit: 4,
            pipeline_max: 64,
            batch_max: 1,
            lease: Duration(0),
            clock_drift_ppm: 1_000,
            sessions_max: 64,
            checkpoint_interval: 1_024,
            log_margin: 1_024,
            suffix_margin: 128,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_a_members_place_is_what_that_was() {
        let [r0, r1, r2, r3] = [0, 1, 2, 3].map(ReplicaId);
        let group = Configuration::of([r0, r1, r2]).unwrap().with_witnesses([r2]).unwrap();
        let replaced = |gone, new| group.replacing(gone, new).map(|group| group.to_string());
        assert_eq!(replaced(r0, r3), Ok("{r1, r2 (witness), r3}".into()));
        assert_eq!(replaced(r2, r3), Ok("{r0, r1, r3 (witness)}".into()));
        assert_eq!(replaced(r2, r1), Err(InvalidMembers::Twice(r1)));
        assert_eq!(replaced(r3, r1), Err(InvalidMembers::NotAMember(r3)));
    }

    #[test]
    fn any_two_quorums_meet_and_a_quorum_survives_the_tolerated_failures() {
        for size in 1..=MAX_REPLICAS {
            let group = Configuration::new(size).unwrap();
            assert!(2 * group.quorum() > size);
            assert_eq!(group.quorum() + group.failures_tolerated(), size);
            // A recovering replica asks f + 1 others: they must meet every quorum less the replica itself.
            assert!(size == 1 || group.failures_tolerated() + 1 + group.quorum() - 1 > size - 1);
        }
    }

    #[test]
    fn options_that_cannot_work_are_refused() {
        let default = Options::default();
        assert_eq!(default.validate(), Ok(()));
        let slow = Options { heartbeat_interval: default.primary_timeout, ..default };
        assert_eq!(slow.validate(), Err(InvalidOptions::SlowHeartbeat));
        let slow = Options { resend_interval: default.view_change_timeout, ..default };
        assert_eq!(slow.validate(), Err(InvalidOptions::SlowResend));
        assert_eq!(
            Options { abdication_timeout: Duration(0), ..default }.validate(),
            Err(InvalidOptions::NoTime)
        );
        assert_eq!(Options { pipeline_max: 0, ..default }.validate(), Err(InvalidOptions::NoRoom));
        assert_eq!(Options { sessions_max: 0, ..default }.validate(), Err(InvalidOptions::NoRoom));
    }

    #[test]
    fn members_are_distinct_and_in_the_order_of_their_numbers() {
        let nodes = |ids: &[u8]| Configuration::of(ids.iter().copied().map(ReplicaId));
        let group = nodes(&[7, 1, 4]).unwrap();
        assert_eq!(group.members().collect::<Vec<_>>(), [1, 4, 7].map(ReplicaId));
        assert_eq!(group.members().rev().collect::<Vec<_>>(), [7, 4, 1].map(ReplicaId));
        assert_eq!(group.others(ReplicaId(4)).collect::<Vec<_>>(), [1, 7].map(ReplicaId));
        assert_eq!((0..4).map(|place| group.member_at(place).0).collect::<Vec<_>>(), [1, 4, 7, 1]);
        assert_eq!([0, 1, 5, 7, 63].map(|node| group.member_after(ReplicaId(node)).0), [1, 4, 7, 1, 1]);
        assert_eq!((group.size(), group.rows(), group.to_string()), (3, 8, "{r1, r4, r7}".to_owned()));
        assert!(!group.contains(ReplicaId(0)) && !group.contains(ReplicaId(200)));
        let more = group.union(nodes(&[0, 1]).unwrap());
        assert_eq!((more.size(), more.without(group).collect::<Vec<_>>()), (4, vec![ReplicaId(0)]));
        assert_eq!(nodes(&[2, 0, 1]), Ok(Configuration::new(3).unwrap()));
        assert_eq!(nodes(&[]), Err(InvalidMembers::Nobody));
        assert_eq!(nodes(&[2, 3, 2]), Err(InvalidMembers::Twice(ReplicaId(2))));
        assert_eq!(nodes(&[64]), Err(InvalidMembers::OutOfRange(ReplicaId(64))));
        assert_eq!(Configuration::new(64).unwrap().size(), 64);
    }

    #[test]
    fn witnesses_are_members_and_no_more_than_may_fail() {
        let group = |size| Configuration::new(size).unwrap();
        let witnesses = |size, ids: &[u8]| group(size).with_witnesses(ids.iter().copied().map(ReplicaId));
        let five = witnesses(5, &[4, 1]).unwrap();
        assert_eq!(five.witnesses().map(|id| id.0).collect::<Vec<_>>(), [1, 4]);
        assert_eq!(five.active().map(|id| id.0).collect::<Vec<_>>(), [0, 2, 3]);
        assert_eq!((0..4).map(|view| five.active_at(view).0).collect::<Vec<_>>(), [0, 2, 3, 0]);
        assert_eq!(five.to_string(), "{r0, r1 (witness), r2, r3, r4 (witness)}");
        assert!(five.is_witness(ReplicaId(4)) && !five.is_witness(ReplicaId(0)) && five != group(5));
        assert!(!five.is_witness(ReplicaId(200)) && !group(5).has_witnesses());
        assert_eq!(witnesses(3, &[3]), Err(InvalidMembers::NotAMember(ReplicaId(3))));
        assert_eq!(witnesses(5, &[3, 3]), Err(InvalidMembers::Twice(ReplicaId(3))));
        let too_many = |witnesses, size| Err(InvalidMembers::TooManyWitnesses { witnesses, size });
        assert_eq!(witnesses(3, &[1, 2]), too_many(2, 3));
        assert_eq!(witnesses(2, &[1]), too_many(1, 2));
        assert_eq!(witnesses(4, &[3]).unwrap().active().len(), 3);
        assert!(five.changes_sides(witnesses(5, &[4]).unwrap()));
        assert!(!five.changes_sides(Configuration::of([0, 2, 6].map(ReplicaId)).unwrap()));
    }

    #[test]
    fn a_quorum_can_be_active_members_alone() {
        for size in 1..=MAX_REPLICAS {
            let group = Configuration::new(size).unwrap();
            let last = (0..group.failures_tolerated()).map(|place| ReplicaId((size - 1 - place) as u8));
            assert!(group.with_witnesses(last).unwrap().active().len() >= group.quorum());
        }
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert_eq!(Configuration::new(0), Err(InvalidGroupSize(0)));
        assert_eq!(Configuration::new(65), Err(InvalidGroupSize(65)));
    }
}
