//! The decisions of a host that its groups' safety rests on, or their progress.

use crate::configuration::Configuration;
use crate::outbox::Role;
use crate::rules::{Rules, Standard};
use crate::types::Epoch;

/// A host's decisions, besides those of the replicas that it runs: the right answer is the default body of each, as in
/// [`Rules`].
pub trait HostRules {
    /// The rules of the replicas and of the clients in the host.
    type Replica: Rules + Clone;

    /// Those of one of them.
    fn replica(&self) -> Self::Replica;

    /// Whether a replica that is started begins anew: only with a clean ticket. With any other, its node may have taken
    /// part in this epoch or a later one, and has forgotten what it promised.
    fn begins_anew(&self, is_clean: bool) -> bool {
        is_clean
    }

    /// Who the members of a group are to be instead of the present ones, if they are to be others: as `decided` in the
    /// supervisor's log. What this host would decide, after what it has heard lately (`own`), another host decides
    /// in another way; and the nodes that are to become members would not know of it.
    fn replacement(
        &self,
        decided: Option<Configuration>,
        own: impl FnOnce() -> Option<Configuration>,
    ) -> Option<Configuration> {
        let _ = own;
        decided
    }

    /// Whether a host takes a request to replace nodes from another host: whom that has missed may have been heard here
    /// since.
    fn takes_replacements_from_others(&self) -> bool {
        false
    }

    /// Whether a group is moved to `next`, of whose members `here` are heard: not before they can go on where the
    /// present ones end. Those would wait for ever for a group of the dead.
    fn begins_move(&self, here: usize, next: Configuration) -> bool {
        here >= next.quorum()
    }

    /// Whether a host that has heard `heard` nodes lately, itself included, takes those for dead that it has not heard
    /// for long. One that hears no quorum is cut off itself.
    fn may_suspect(&self, heard: usize, nodes: Configuration) -> bool {
        heard >= nodes.quorum()
    }

    /// Whether a replica of a node that is no member of the group is dropped: once the group needs it no more. Until
    /// enough of the new members have the state, those that they replace may be the only ones who do.
    fn may_drop(&self, role: Role) -> bool {
        matches!(role, Role::Stopped | Role::Standby | Role::Recovering)
    }

    /// Whether a host tells the supervisor which epoch a group has come to that it knows in `recorded`, by a replica
    /// in `role` and epoch `own`. One that works there is enough.
    fn reports_epoch(&self, role: Role, own: Epoch, recorded: Epoch) -> bool {
        role == Role::Primary && own > recorded
    }

    /// Whether a host tells its replicas of epochs that they have missed. All whom they could ask may be gone.
    fn passes_epochs_on(&self) -> bool {
        true
    }
}

impl HostRules for Standard {
    type Replica = Self;

    fn replica(&self) -> Self {
        Self
    }
}
