//! Several groups on the same hosts: who is where.
//!
//! A *host* is what faults strike: a machine, or a process. With one group each host has one replica. With
//! several, each group has a replica on all hosts or on some, clients of its own, and a log of its own; what groups
//! share is the hosts they crash with, and the network between those. Replicas are numbered group after group, in the
//! order of their hosts, and so are clients.

use std::ops::{Index, IndexMut, Range};
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use vr::{Configuration, MIN_MEMBERS, ReplicaId};

use crate::check::{Checks, Properties, Violation};
use crate::node::Node;
use crate::random::{self, Draw, Purpose};
use crate::setup::{Group, Setup};

/// The sizes that a group may have which is not on all hosts.
const SMALLER: [u8; 2] = [3, 5];

/// Decides who is where: `count` groups on so many hosts, each on all of them or on three or five, and the clients
/// shared out evenly. Without a client a group would do nothing, so there are no more groups than clients. Nothing if
/// there is one group: it is on all hosts.
#[must_use]
pub fn draw(seed: u64, count: u8, hosts: u8, clients: u16) -> Vec<Group> {
    let count = u16::from(count).min(clients);
    if count < 2 {
        return Vec::new();
    }
    let random = &mut random::stream(seed, Purpose::Groups);
    let group = |number| Group {
        hosts: draw_hosts(random, hosts),
        clients: clients / count + u16::from(number < clients % count),
    };
    (0..count).map(group).collect()
}

/// All hosts, or three or five of them.
pub(crate) fn draw_hosts(random: &mut ChaCha8Rng, hosts: u8) -> Vec<u8> {
    let sizes: Vec<u8> = SMALLER.into_iter().filter(|&size| size < hosts).collect();
    let mut some: Vec<u8> = (0..hosts).collect();
    if !sizes.is_empty() && random.chance(500_000) {
        let size = random.pick(&sizes);
        while some.len() > size.into() {
            some.remove(random.below(some.len() as u64) as usize);
        }
    }
    some
}

/// Refuses groups that nothing could be drawn to: those of a trace that somebody has edited.
///
/// # Errors
/// What is wrong.
pub fn check(setup: &Setup) -> Result<(), String> {
    let Setup { groups, supervision, replicas: hosts, clients, .. } = setup;
    let (groups, least, field) = match supervision {
        Some(supervision) => (&supervision.groups, MIN_MEMBERS, "supervision.groups"),
        None => (groups, 1, "groups"),
    };
    if let Some(number) = groups.iter().position(|group| group.hosts.len() < least) {
        let problem = format!("too few: a group here needs {least} at least");
        return Err(format!("{field}[{number}].hosts: {:?}: {problem}", groups[number].hosts));
    }
    let is_sorted = |group: &Group| group.hosts.is_sorted_by(|one, other| one < other);
    let is_known = |group: &Group| group.hosts.iter().all(|host| host < hosts);
    if let Some(number) = groups.iter().position(|group| !is_sorted(group) || !is_known(group)) {
        let problem = format!("expected some of the {hosts} hosts, from 0, in order");
        return Err(format!("{field}[{number}].hosts: {:?}: {problem}", groups[number].hosts));
    }
    let sum = groups.iter().map(|group| u64::from(group.clients)).sum::<u64>();
    if !groups.is_empty() && sum != u64::from(*clients) {
        return Err(format!("{field}: {sum} clients together: expected {clients}, as clients says"));
    }
    Ok(())
}

/// Who is where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    groups: Vec<Placed>,
    /// The group and the host of each replica.
    homes: Vec<(u8, u8)>,
    hosts: u8,
}

/// Where a group is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Placed {
    /// Its replicas, among them those that are no members at first.
    replicas: Range<u8>,
    /// Its members at first.
    members: Configuration,
    /// Its clients, and its administrator.
    clients: Range<u16>,
}

impl Placement {
    /// Who is where in a run.
    ///
    /// # Panics
    /// If the setup is not one that was [checked](check).
    #[must_use]
    pub fn new(setup: &Setup) -> Self {
        let everywhere: Vec<u8> = (0..setup.replicas + setup.spares).collect();
        let only = [Group { hosts: everywhere, clients: setup.client_slots() }];
        let groups = if setup.groups.is_empty() { &only[..] } else { &setup.groups };
        let (mut placed, mut homes) = (Vec::new(), Vec::new());
        let mut clients = 0..0;
        for (number, group) in groups.iter().enumerate() {
            let first = homes.len() as u8;
            homes.extend(group.hosts.iter().map(|&host| (number as u8, host)));
            clients = clients.end..clients.end + group.clients;
            let size = group.hosts.len() as u8 - setup.spares;
            let members = Configuration::of((first..first + size).map(ReplicaId)).expect("a validated group");
            placed.push(Placed {
                replicas: first..homes.len() as u8,
                members: if setup.groups.is_empty() { setup.first_group() } else { members },
                clients: clients.clone(),
            });
        }
        Self { groups: placed, homes, hosts: setup.replicas + setup.spares }
    }

    /// How many groups there are.
    #[must_use]
    pub const fn groups(&self) -> usize {
        self.groups.len()
    }

    /// How many hosts there are.
    #[must_use]
    pub const fn hosts(&self) -> u8 {
        self.hosts
    }

    /// The group of a replica.
    #[inline]
    #[must_use]
    pub fn group_of(&self, replica: ReplicaId) -> usize {
        self.homes[replica.index()].0.into()
    }

    /// The group of the client in a slot.
    ///
    /// # Panics
    /// If there is no such slot.
    #[must_use]
    pub fn group_of_client(&self, slot: u16) -> usize {
        self.groups
            .iter()
            .position(|group| group.clients.contains(&slot))
            .expect("the slot of a group's client")
    }

    /// The host of a replica.
    #[must_use]
    pub fn host_of(&self, replica: ReplicaId) -> u8 {
        self.homes[replica.index()].1
    }

    /// The replicas of a group.
    pub fn replicas(&self, group: usize) -> impl DoubleEndedIterator<Item = ReplicaId> + use<> {
        self.groups[group].replicas.clone().map(ReplicaId)
    }

    /// The numbers of these.
    #[must_use]
    pub fn numbers(&self, group: usize) -> Range<u8> {
        self.groups[group].replicas.clone()
    }

    /// The client slots of a group.
    #[must_use]
    pub fn clients(&self, group: usize) -> Range<u16> {
        self.groups[group].clients.clone()
    }

    /// The members of a group at first.
    #[must_use]
    pub fn members(&self, group: usize) -> Configuration {
        self.groups[group].members
    }

    /// The replicas on the host of `replica`, in order of their groups.
    pub fn beside(&self, replica: ReplicaId) -> impl Iterator<Item = ReplicaId> + use<'_> {
        self.on_host(self.host_of(replica))
    }

    /// The replicas on a host, in order of their groups.
    pub fn on_host(&self, host: u8) -> impl Iterator<Item = ReplicaId> + use<'_> {
        let all = self.homes.iter().zip(0..);
        all.filter(move |((_, home), _)| *home == host).map(|(_, replica)| ReplicaId(replica))
    }

    /// The replica of a group on a host, if it has one there.
    #[must_use]
    pub fn on_host_in(&self, group: usize, host: u8) -> Option<ReplicaId> {
        self.on_host(host).find(|&replica| self.group_of(replica) == group)
    }

    /// The hosts that a group's members are on at first or later: in their order, with the hosts' numbers.
    ///
    /// # Panics
    /// Never: each replica has a host of its own.
    #[must_use]
    pub fn hosts_of(&self, members: Configuration) -> Configuration {
        if self.groups() == 1 {
            // A replica has its host's number.
            return members;
        }
        let host_of = |replica| ReplicaId(self.host_of(replica));
        let hosts = Configuration::of(members.members().map(host_of));
        let hosts = hosts.expect("each replica has a host of its own");
        let witnesses = members.members().filter(|&member| members.is_witness(member)).map(host_of);
        hosts.with_witnesses(witnesses).expect("as many as the members have")
    }

    /// The links between nodes that these links between hosts, and between hosts and clients, stand for: those between
    /// replicas of one group.
    #[must_use]
    pub fn links(&self, links: &[(Node, Node)]) -> Vec<(Node, Node)> {
        let on = |group: usize, node: Node| match node {
            Node::Replica(host) => self.on_host_in(group, host.0).map(Node::Replica),
            Node::Client(slot) => self.groups[group].clients.contains(&slot).then_some(node),
        };
        let of = |group: usize| {
            links.iter().filter_map(move |&(from, to)| Some((on(group, from)?, on(group, to)?)))
        };
        (0..self.groups()).flat_map(of).collect()
    }
}

/// The checks of each group. Mostly there is one, and whoever looks for its checks has them at once.
#[derive(Clone, Debug)]
pub struct GroupChecks {
    first: Checks,
    others: Vec<Checks>,
    placement: Arc<Placement>,
}

impl GroupChecks {
    /// The checks of a run.
    #[must_use]
    pub fn new(setup: &Setup, placement: &Arc<Placement>) -> Self {
        let checks = |group| Checks::new(setup, placement, group);
        let others = (1..placement.groups()).map(checks).collect();
        Self { first: checks(0), others, placement: Arc::clone(placement) }
    }

    /// The checks of the only group, where there is one only: of the first one otherwise.
    #[must_use]
    pub const fn first(&self) -> &Checks {
        &self.first
    }

    /// The same, to report to.
    pub const fn first_mut(&mut self) -> &mut Checks {
        &mut self.first
    }

    /// The checks of a group.
    #[must_use]
    pub fn of(&self, group: usize) -> &Checks {
        if group == 0 { &self.first } else { &self.others[group - 1] }
    }

    /// The same, to report to.
    pub fn of_mut(&mut self, group: usize) -> &mut Checks {
        if group == 0 { &mut self.first } else { &mut self.others[group - 1] }
    }

    #[cold]
    fn of_replica(&self, replica: ReplicaId) -> &Checks {
        self.of(self.placement.group_of(replica))
    }

    #[cold]
    fn of_replica_mut(&mut self, replica: ReplicaId) -> &mut Checks {
        self.of_mut(self.placement.group_of(replica))
    }

    /// The checks of the group of a client.
    pub fn of_client(&mut self, slot: u16) -> &mut Checks {
        if self.others.is_empty() {
            return &mut self.first;
        }
        self.of_mut(self.placement.group_of_client(slot))
    }

    /// One group more, from now on.
    pub fn push(&mut self, mut checks: Checks) {
        checks.findings.at_same_time_as(&self.first.findings);
        self.others.push(checks);
    }

    /// The checks of all groups.
    pub fn iter(&self) -> impl Iterator<Item = &Checks> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Which step the following reports belong to.
    #[inline(always)]
    pub fn at(&mut self, step: u64, time: u64) {
        self.first.findings.at(step, time);
        if !self.others.is_empty() {
            self.others.iter_mut().for_each(|checks| checks.findings.at(step, time));
        }
    }

    /// The first violation, once there is one: within a step, that of the first group.
    #[inline(always)]
    #[must_use]
    pub fn first_violation(&self) -> Option<&Violation> {
        let first = self.first.findings.first();
        if first.is_some() || self.others.is_empty() {
            return first;
        }
        self.others.iter().find_map(|checks| checks.findings.first())
    }

    /// From here on violations of these properties are not reported.
    pub fn turn_off(&mut self, off: Properties) {
        self.first.findings.turn_off(off);
        self.others.iter_mut().for_each(|checks| checks.findings.turn_off(off));
    }
}

impl Index<ReplicaId> for GroupChecks {
    type Output = Checks;

    #[inline(always)]
    fn index(&self, replica: ReplicaId) -> &Checks {
        if self.others.is_empty() { &self.first } else { self.of_replica(replica) }
    }
}

impl IndexMut<ReplicaId> for GroupChecks {
    #[inline(always)]
    fn index_mut(&mut self, replica: ReplicaId) -> &mut Checks {
        if self.others.is_empty() { &mut self.first } else { self.of_replica_mut(replica) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Overrides, Scenario};

    fn setup(groups: &[(&[u8], u16)]) -> Setup {
        let mut setup = Scenario::find("calm").expect("built in").resolve(1, &Overrides::default());
        setup.replicas = 5;
        setup.clients = groups.iter().map(|(_, clients)| clients).sum();
        setup.groups =
            groups.iter().map(|&(hosts, clients)| Group { hosts: hosts.to_vec(), clients }).collect();
        setup
    }

    #[test]
    fn replicas_and_clients_are_numbered_group_after_group() {
        let placement = Placement::new(&setup(&[(&[0, 1, 2, 3, 4], 2), (&[0, 2, 4], 1)]));
        assert_eq!(placement.numbers(1), 5..8);
        assert_eq!(placement.clients(1), 2..3);
        assert_eq!(placement.members(1).to_string(), "{r5, r6, r7}");
        assert_eq!(placement.hosts_of(placement.members(1)).to_string(), "{r0, r2, r4}");
        assert_eq!(placement.beside(ReplicaId(2)).collect::<Vec<_>>(), [ReplicaId(2), ReplicaId(6)]);
        assert_eq!(placement.beside(ReplicaId(1)).collect::<Vec<_>>(), [ReplicaId(1)]);
        assert_eq!(placement.on_host_in(1, 4), Some(ReplicaId(7)));
        assert_eq!(placement.on_host_in(1, 3), None);
        assert_eq!(placement.group_of_client(2), 1);
    }

    #[test]
    fn a_link_between_hosts_is_one_between_the_replicas_of_each_group() {
        let placement = Placement::new(&setup(&[(&[0, 1, 2, 3, 4], 2), (&[0, 2, 4], 1)]));
        let (replica, client) = (|id| Node::Replica(ReplicaId(id)), Node::Client);
        let links = |from, to| placement.links(&[(from, to)]);
        assert_eq!(links(replica(0), replica(2)), [(replica(0), replica(2)), (replica(5), replica(6))]);
        assert_eq!(links(replica(0), replica(1)), [(replica(0), replica(1))]);
        assert_eq!(links(client(2), replica(4)), [(client(2), replica(7))]);
        assert_eq!(links(client(2), replica(3)), []);
    }

    #[test]
    fn groups_are_on_all_hosts_or_on_three_or_five_of_them() {
        let mut sizes = [0; 10];
        for seed in 0..200 {
            let groups = draw(seed, 4, 9, 6);
            assert_eq!(groups.len(), 4);
            assert_eq!(groups.iter().map(|group| group.clients).collect::<Vec<_>>(), [2, 2, 1, 1]);
            groups.iter().for_each(|group| sizes[group.hosts.len()] += 1);
        }
        assert!(sizes.iter().enumerate().all(|(size, &count)| (count > 100) == [3, 5, 9].contains(&size)));
        assert!(draw(1, 4, 3, 1).is_empty(), "a group needs a client");
        assert_eq!(draw(1, 4, 3, 2).len(), 2);
    }

    #[test]
    fn groups_that_cannot_be_are_refused() {
        let refused = |groups: &[(&[u8], u16)]| check(&setup(groups)).unwrap_err();
        assert!(
            refused(&[(&[0, 5], 1), (&[0], 1)])
                .starts_with("groups[0].hosts: [0, 5]: expected some of the 5")
        );
        assert!(refused(&[(&[0], 1), (&[1, 0], 1)]).starts_with("groups[1].hosts: [1, 0]"));
        assert_eq!(refused(&[(&[], 1)]), "groups[0].hosts: []: too few: a group here needs 1 at least");
        let supervised = Scenario::find("supervised-groups").expect("built in");
        let mut supervised = supervised.resolve(2, &Overrides::default());
        supervised.supervision.as_mut().expect("it has one").groups[0].hosts = vec![0, 1];
        let problem = "supervision.groups[0].hosts: [0, 1]: too few: a group here needs 3 at least";
        assert_eq!(check(&supervised), Err(problem.to_owned()));
        let mut setup = setup(&[(&[0, 1], 1), (&[1, 2], 1)]);
        assert_eq!(check(&setup), Ok(()));
        setup.clients = 3;
        assert!(check(&setup).unwrap_err().contains("expected 3"));
    }
}
