//! Partitions of every shape: links that carry nothing for a while.

use rand_chacha::ChaCha8Rng;
use vr::ReplicaId;

use super::{Action, Scene, Strike};
use crate::node::Node;
use crate::random::Draw;
use crate::setup::{PartitionFaults, PartitionShape};

type Links = Vec<(Node, Node)>;

pub(super) fn strike(random: &mut ChaCha8Rng, faults: &PartitionFaults, scene: &Scene) -> Strike {
    let shape = random.pick(&faults.shapes);
    let lasts = 1 + random.around(faults.duration_mean_us * 1_000);
    let links = links(random, shape, scene);
    if links.is_empty() {
        return Strike::Nothing;
    }
    Strike::Now(Action::Cut { shape, links: links.into(), lasts })
}

fn links(random: &mut ChaCha8Rng, shape: PartitionShape, scene: &Scene) -> Links {
    let replicas = scene.replicas();
    let size = replicas.len();
    let any = random.pick(&replicas);
    match shape {
        PartitionShape::IsolateOne => between(&replicas, |one, other| one == any || other == any),
        PartitionShape::IsolatePrimary => {
            let primary = scene.primary(scene.view);
            between(&replicas, |one, other| one == primary || other == primary)
        }
        PartitionShape::SplitInTwo => split(random, &replicas, 2),
        PartitionShape::SplitInThree => split(random, &replicas, 3),
        PartitionShape::MajorityRing => majority_ring(random, replicas),
        PartitionShape::Bridge => bridge(random, replicas),
        PartitionShape::OneWay if random.chance(500_000) => between(&replicas, |one, _| one == any),
        PartitionShape::OneWay => between(&replicas, |_, other| other == any),
        PartitionShape::OneWayLink => {
            let other = random.pick(&replicas);
            between(&replicas, |from, to| (from, to) == (any, other))
        }
        PartitionShape::ClientCut => {
            let client = Node::Client(random.below(scene.clients.into()) as u16);
            let cut_off = 1 + random.below(size as u64);
            let both_ways = |replica| [(Node::Replica(replica), client), (client, Node::Replica(replica))];
            shuffled(random, replicas).into_iter().take(cut_off as usize).flat_map(both_ways).collect()
        }
    }
}

/// The links between two different replicas of which `cut` holds.
fn between(replicas: &[ReplicaId], cut: impl Fn(ReplicaId, ReplicaId) -> bool) -> Links {
    let pairs = replicas.iter().flat_map(|&from| replicas.iter().map(move |&to| (from, to)));
    pairs
        .filter(|&(from, to)| from != to && cut(from, to))
        .map(|(from, to)| (Node::Replica(from), Node::Replica(to)))
        .collect()
}

/// Each replica falls into one of the groups by chance.
fn split(random: &mut ChaCha8Rng, replicas: &[ReplicaId], groups: u64) -> Links {
    let group: Vec<u64> = replicas.iter().map(|_| random.below(groups)).collect();
    between(replicas, |from, to| group[from.index()] != group[to.index()])
}

/// The replicas on a ring, each of which hears as many neighbours as make a majority with it.
fn majority_ring(random: &mut ChaCha8Rng, replicas: Vec<ReplicaId>) -> Links {
    let size = replicas.len();
    let order = shuffled(random, replicas.clone());
    let place = |replica| order.iter().position(|&at| at == replica).expect("all are on the ring");
    let reach = (size / 2).div_ceil(2);
    between(&replicas, |from, to| {
        let distance = place(from).abs_diff(place(to));
        distance.min(size - distance) > reach
    })
}

/// Two halves that both hear one replica, and not each other.
fn bridge(random: &mut ChaCha8Rng, replicas: Vec<ReplicaId>) -> Links {
    let order = shuffled(random, replicas.clone());
    let half = |replica| {
        let place = order.iter().position(|&at| at == replica).expect("all are in the order");
        (place > 0).then_some(place % 2)
    };
    between(&replicas, |from, to| half(from).zip(half(to)).is_some_and(|(from, to)| from != to))
}

fn shuffled(random: &mut ChaCha8Rng, mut replicas: Vec<ReplicaId>) -> Vec<ReplicaId> {
    for last in (1..replicas.len()).rev() {
        replicas.swap(last, random.below(last as u64 + 1) as usize);
    }
    replicas
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};
    use vr::View;

    fn drawn(shape: PartitionShape, size: usize) -> Links {
        let group = vr::Configuration::new(size).expect("a valid size");
        let scene = Scene {
            hosts: size as u8,
            view: View(1),
            group,
            has_witnesses: false,
            administrator_waits: false,
            groups: Vec::new(),
            clients: 2,
        };
        links(&mut stream(3, Purpose::Partition), shape, &scene)
    }

    /// How many other replicas each one still exchanges messages with.
    fn neighbours(links: &Links, size: u8) -> Vec<usize> {
        let cut = |a, b| links.contains(&(Node::Replica(ReplicaId(a)), Node::Replica(ReplicaId(b))));
        let hears =
            |one| (0..size).filter(|&other| one != other && !cut(one, other) && !cut(other, one)).count();
        (0..size).map(hears).collect()
    }

    #[test]
    fn an_isolated_primary_hears_nobody_and_the_rest_hear_each_other() {
        assert_eq!(neighbours(&drawn(PartitionShape::IsolatePrimary, 5), 5), [3, 0, 3, 3, 3]);
    }

    #[test]
    fn on_a_majority_ring_everyone_hears_a_majority_and_nobody_all() {
        for size in [5, 7, 9] {
            for heard in neighbours(&drawn(PartitionShape::MajorityRing, size.into()), size) {
                assert!(heard + 1 > usize::from(size) / 2, "of {size}: {heard}");
                assert!(heard + 1 < size.into());
            }
        }
    }

    #[test]
    fn a_bridge_is_heard_by_all() {
        let heard = neighbours(&drawn(PartitionShape::Bridge, 5), 5);
        assert_eq!(heard.iter().filter(|&&count| count == 4).count(), 1);
        assert_eq!(heard.iter().filter(|&&count| count == 2).count(), 4);
    }

    #[test]
    fn one_way_cuts_leave_the_other_direction() {
        let links = drawn(PartitionShape::OneWay, 3);
        assert_eq!(links.len(), 2);
        assert!(links.iter().all(|&(from, to)| !links.contains(&(to, from))));
    }

    #[test]
    fn a_client_cut_spares_the_replicas_links() {
        let links = drawn(PartitionShape::ClientCut, 3);
        assert!(!links.is_empty());
        assert!(
            links.iter().all(|(from, to)| matches!((from, to), (Node::Client(_), _) | (_, Node::Client(_))))
        );
    }
}
