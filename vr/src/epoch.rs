//! Epochs (paper, section 7): how one configuration of the group follows another.

use std::fmt;

use crate::configuration::Configuration;
use crate::types::{ClientId, Epoch, OpNumber, RequestNumber, View};

/// The smallest group that a reconfiguration may lead to: a smaller one could lose nobody.
pub const MIN_MEMBERS: usize = 3;

/// With what an epoch begins. The same at every replica that knows of the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: Epoch,
    /// The op-number of the reconfiguration that led to it: the last operation of the epoch before. Zero for
    /// the first epoch.
    pub after: OpNumber,
    /// The view in which that operation's entry was created. Who holds an entry of this view at this op-number
    /// holds the same log up to there.
    pub created: View,
    /// The members.
    pub members: Configuration,
    /// The members of the epoch before.
    pub previous: Configuration,
}

impl EpochStart {
    /// The first epoch of a group.
    #[must_use]
    pub const fn first(members: Configuration) -> Self {
        Self { epoch: Epoch::ZERO, after: OpNumber::ZERO, created: View::ZERO, members, previous: members }
    }
}

/// An administrator's request for another configuration: the last operation of its epoch (paper, section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reconfiguration {
    /// The administrator's session.
    pub client: ClientId,
    /// The request's number within the session.
    pub number: RequestNumber,
    /// The epoch that it ends.
    pub epoch: Epoch,
    /// The members of that epoch.
    pub previous: Configuration,
    /// The members of the epoch that it begins.
    pub members: Configuration,
}

impl Reconfiguration {
    /// How the next epoch starts once this is committed at `after`, in an entry that was created in `created`.
    #[must_use]
    pub const fn start(&self, after: OpNumber, created: View) -> EpochStart {
        let Self { epoch, previous, members, .. } = *self;
        EpochStart { epoch: epoch.next(), after, created, members, previous }
    }
}

/// Why a reconfiguration is refused. Who says so has done nothing of it, and speaks for itself alone: a primary that is
/// deposed may not know that another one would do it, and a copy of the request may still come to that. Whether it has
/// is known for certain once the session's next request is answered, for requests are executed in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// It speaks of an epoch, or of a group, that is not the current one: somebody else was faster.
    OtherEpoch,
    /// The new group would have fewer than [`MIN_MEMBERS`] members.
    TooSmall,
    /// The new group would be the present one.
    NothingNew,
    /// Another reconfiguration is under way: it is not committed yet.
    UnderWay,
    /// The present epoch has only just begun: nothing was committed in it yet, or those who were replaced may still be
    /// needed. CheckEpoch tells when it may be followed by another.
    NotStarted,
    /// A member would become a witness that is active, or the other way round: it has to be replaced first, and can
    /// come back.
    OtherSide,
    /// The present epoch is the [last](Epoch::LAST) that there can be.
    NoMoreEpochs,
    /// The group belongs to a [`Supervisor`](crate::Supervisor), which is to be asked to
    /// [move](crate::supervisor::Operation::Move) it.
    Supervised,
}

impl Refusal {
    /// All reasons, in the order in which they are looked for.
    pub const ALL: [Self; 8] = [
        Self::Supervised,
        Self::OtherEpoch,
        Self::TooSmall,
        Self::NothingNew,
        Self::OtherSide,
        Self::NoMoreEpochs,
        Self::UnderWay,
        Self::NotStarted,
    ];
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherEpoch => write!(formatter, "the epoch is over: ask again with what the group is now"),
            Self::TooSmall => write!(formatter, "too few members: expected at least {MIN_MEMBERS}"),
            Self::NothingNew => write!(formatter, "the group has these members already"),
            Self::UnderWay => write!(formatter, "another reconfiguration is under way"),
            Self::NotStarted => write!(formatter, "the present epoch has not started yet"),
            Self::OtherSide => {
                write!(formatter, "a member would change between active and witness: replace it first")
            }
            Self::NoMoreEpochs => write!(
                formatter,
                "the group cannot be reconfigured any more: it was so {} times",
                Epoch::LAST
            ),
            Self::Supervised => write!(formatter, "the group belongs to a supervisor: ask that to move it"),
        }
    }
}

impl std::error::Error for Refusal {}
