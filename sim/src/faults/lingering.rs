//! Faults that stay when all others stop, and in spite of which the group has to make progress.

use rand_chacha::ChaCha8Rng;
use vr::ReplicaId;

use crate::node::Node;
use crate::random::Draw;
use crate::setup::LingeringShape;

/// A fault that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lingering {
    /// What it looks like.
    pub shape: LingeringShape,
    /// The links that carry nothing any more, each with its direction.
    pub links: Vec<(Node, Node)>,
    /// The replica of which no progress can be demanded.
    pub lame: Option<ReplicaId>,
}

/// What there is when the faults stop.
#[derive(Clone, Copy, Debug)]
pub struct Survivors<'a> {
    /// All replicas.
    pub replicas: &'a [ReplicaId],
    /// Those that are up and have their memory.
    pub healthy: &'a [ReplicaId],
    /// The primary of the latest view.
    pub primary: ReplicaId,
    /// How many client slots there are.
    pub clients: u16,
    /// How many replicas make a quorum.
    pub quorum: usize,
}

/// A fault that a group with these survivors can stand; `None` if there is no replica to spare.
pub fn choose(
    random: &mut ChaCha8Rng,
    shapes: &[LingeringShape],
    survivors: Survivors<'_>,
) -> Option<Lingering> {
    let Survivors { replicas, healthy, primary, quorum, .. } = survivors;
    let shape = random.pick(shapes);
    let other = random.pick(replicas);
    let hears_clients = random.chance(500_000);
    if healthy.len() <= quorum || !healthy.contains(&primary) {
        return None;
    }
    let clients: Vec<Node> = (0..survivors.clients).map(Node::Client).collect();
    let (links, lame) = match shape {
        LingeringShape::DeafPrimary => (deaf(primary, replicas, &clients, hears_clients), Some(primary)),
        LingeringShape::DeafReplica => (deaf(other, replicas, &clients, hears_clients), Some(other)),
        LingeringShape::ClientsCutOff => {
            let primary = Node::Replica(primary);
            (clients.iter().flat_map(|&client| [(client, primary), (primary, client)]).collect(), None)
        }
        LingeringShape::OneWayLink => (vec![(Node::Replica(other), Node::Replica(primary))], None),
    };
    let fits = healthy.contains(&other) && (shape != LingeringShape::OneWayLink || other != primary);
    fits.then_some(Lingering { shape, links, lame })
}

/// The links to `lame`: those from the other replicas, and from the clients unless it hears those.
fn deaf(lame: ReplicaId, replicas: &[ReplicaId], clients: &[Node], hears_clients: bool) -> Vec<(Node, Node)> {
    let others = replicas.iter().filter(|&&other| other != lame).map(|&other| Node::Replica(other));
    let clients = clients.iter().copied().filter(|_| !hears_clients);
    others.chain(clients).map(|from| (from, Node::Replica(lame))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{self, Purpose};

    const REPLICAS: [ReplicaId; 3] = [ReplicaId(0), ReplicaId(1), ReplicaId(2)];

    fn chosen(shape: LingeringShape, healthy: &[ReplicaId]) -> Vec<Lingering> {
        let survivors =
            Survivors { replicas: &REPLICAS, healthy, primary: ReplicaId(1), clients: 2, quorum: 2 };
        let choose = |seed| choose(&mut random::stream(seed, Purpose::Lingering), &[shape], survivors);
        (0..50).filter_map(choose).collect()
    }

    #[test]
    fn there_must_be_a_replica_to_spare() {
        for shape in LingeringShape::ALL {
            assert!(chosen(shape, &REPLICAS[..2]).is_empty());
            assert!(!chosen(shape, &REPLICAS).is_empty());
        }
    }

    #[test]
    fn a_deaf_primary_is_heard_and_hears_no_replica() {
        let primary = Node::Replica(ReplicaId(1));
        for lingering in chosen(LingeringShape::DeafPrimary, &REPLICAS) {
            assert_eq!(lingering.lame, Some(ReplicaId(1)));
            assert!(lingering.links.iter().all(|&(_, to)| to == primary));
            assert!([2, 4].contains(&lingering.links.len()), "with or without the clients");
        }
    }
}
