//! Reconfigurations, in exact schedules and over whole epochs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vr::{
    ClientAddress, ClientId, Configuration, Epoch, EpochStart, Ignored, Incarnation, Instant, Member,
    Message, MessageKind, Options, Outbox, RarePath, Reconfiguration, Refusal, Replica, ReplicaId, Reply,
    ReplyBody, Request, RequestBody, RequestNumber, Role, Service, Standard, View,
};

#[derive(Clone, Debug, Default)]
struct Counter(u64);

impl Service for Counter {
    type Operation = u64;
    type Response = u64;
    type SnapshotPart = u64;

    fn execute(&mut self, operation: &u64) -> u64 {
        self.0 += operation;
        self.0
    }

    fn snapshot(&self) -> Vec<u64> {
        vec![self.0]
    }

    fn restore(&mut self, parts: &[u64]) {
        self.0 = parts.iter().sum();
    }
}

#[derive(Default)]
struct Network {
    messages: Vec<(ReplicaId, Message<Counter>)>,
    replies: Vec<Reply<u64>>,
    paths: Vec<RarePath>,
    ignored: Vec<Ignored>,
    epochs: BTreeSet<(u64, u64, String)>,
}

impl Outbox<Counter> for Network {
    fn send(&mut self, to: ReplicaId, message: Message<Counter>) {
        self.messages.push((to, message));
    }

    fn reply(&mut self, _to: ClientAddress, reply: Reply<u64>) {
        self.replies.push(reply);
    }

    fn took(&mut self, path: RarePath) {
        self.paths.push(path);
    }

    fn ignored(&mut self, reason: Ignored) {
        self.ignored.push(reason);
    }

    fn epoch_begins(&mut self, start: &EpochStart) {
        self.epochs.insert((start.epoch.0, start.after.0, start.members.to_string()));
    }
}

const MILLISECOND: u64 = 1_000_000;

/// Nodes of which the first three are the first group.
struct Nodes {
    replicas: Vec<Option<Replica<Counter>>>,
    network: Network,
    now: u64,
    cut: BTreeSet<u8>,
    options: Options,
    requests: u64,
    incarnations: u64,
}

fn group(ids: &[u8]) -> Configuration {
    Configuration::of(ids.iter().copied().map(ReplicaId)).expect("distinct nodes")
}

impl Nodes {
    fn new(nodes: u8) -> Self {
        Self::with(nodes, Options::default())
    }

    fn with(nodes: u8, options: Options) -> Self {
        let mut all = Self {
            replicas: Vec::new(),
            network: Network::default(),
            now: 0,
            cut: BTreeSet::new(),
            options,
            requests: 0,
            incarnations: 0,
        };
        for id in 0..nodes {
            let member = all.member(id, EpochStart::first(group(&[0, 1, 2])));
            let replica = if id < 3 {
                Replica::new(Instant(0), member, Standard, Counter::default())
            } else {
                Replica::standby(member, Standard, Counter::default())
            };
            all.replicas.push(Some(replica));
        }
        let register = Request { address: ClientAddress(9), body: RequestBody::Register };
        all.replica(0).on_request(Instant(0), Arc::new(register), &mut Network::default());
        all.run(50);
        all
    }

    fn member(&self, id: u8, epoch: EpochStart) -> Member {
        Member { id: ReplicaId(id), epoch, options: self.options, entropy: u64::from(id) * 77 + 5 }
    }

    fn replica(&mut self, id: u8) -> &mut Replica<Counter> {
        self.replicas[usize::from(id)].as_mut().expect("it is up")
    }

    fn crash(&mut self, id: u8) {
        self.replicas[usize::from(id)] = None;
    }

    fn restart(&mut self, id: u8, epoch: EpochStart) {
        self.incarnations += 1;
        let (member, incarnation) = (self.member(id, epoch), Incarnation(self.incarnations));
        let now = Instant(self.now);
        let replica =
            Replica::recover(now, member, incarnation, Standard, Counter::default(), &mut self.network);
        self.replicas[usize::from(id)] = Some(replica);
    }

    fn body(&mut self, make: impl FnOnce(RequestNumber) -> RequestBody<u64>) -> Arc<Request<u64>> {
        self.requests += 1;
        Arc::new(Request { address: ClientAddress(9), body: make(RequestNumber(self.requests)) })
    }

    fn ask(&mut self, to: u8, request: &Arc<Request<u64>>) -> Option<ReplyBody<u64>> {
        let (now, request) = (Instant(self.now), Arc::clone(request));
        let Self { replicas, network, .. } = self;
        network.replies.clear();
        replicas[usize::from(to)].as_mut().expect("it is up").on_request(now, request, network);
        network.replies.pop().map(|reply| reply.body)
    }

    fn reconfiguration(&mut self, epoch: u64, previous: &[u8], members: &[u8]) -> Arc<Request<u64>> {
        let (previous, members) = (group(previous), group(members));
        self.body(|number| {
            let (client, epoch) = (ClientId(1), Epoch(epoch));
            let asked = Reconfiguration { client, number, epoch, previous, members };
            RequestBody::Reconfiguration(Box::new(asked))
        })
    }

    fn add(&mut self, to: u8, amount: u64) -> Option<ReplyBody<u64>> {
        let request =
            self.body(|number| RequestBody::Operation { client: ClientId(1), number, operation: amount });
        self.ask(to, &request);
        self.run(60);
        self.network.replies.pop().map(|reply| reply.body)
    }

    fn take(&mut self, kind: MessageKind, from: &[u8], to: &[u8]) -> Vec<(ReplicaId, Message<Counter>)> {
        let wanted = |(receiver, message): &(ReplicaId, Message<Counter>)| {
            message.payload.kind() == kind && from.contains(&message.from.0) && to.contains(&receiver.0)
        };
        let (taken, left) = std::mem::take(&mut self.network.messages).into_iter().partition(wanted);
        self.network.messages = left;
        taken
    }

    fn deliver(&mut self, kind: MessageKind, from: &[u8], to: &[u8]) -> usize {
        let messages = self.take(kind, from, to);
        let count = messages.len();
        messages.into_iter().for_each(|(to, message)| self.hand_over(to, message));
        count
    }

    fn hand_over(&mut self, to: ReplicaId, message: Message<Counter>) {
        if self.cut.contains(&to.0) || self.cut.contains(&message.from.0) {
            return;
        }
        let Self { replicas, network, now, .. } = self;
        if let Some(replica) = &mut replicas[to.index()] {
            replica.on_message(Instant(*now), message, network);
        }
    }

    /// Lets everything happen for a while; each message takes half a millisecond.
    fn run(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds * MILLISECOND;
        let mut travelling = BTreeMap::new();
        let mut sequence = 0;
        loop {
            for (to, message) in self.network.messages.drain(..) {
                sequence += 1;
                travelling.insert((self.now + MILLISECOND / 2, sequence), (to, message));
            }
            let deadline = |replica: &Option<Replica<Counter>>| {
                replica.as_ref().map_or(u64::MAX, |replica| replica.next_deadline().0)
            };
            let (deadline, node) = self.replicas.iter().map(deadline).zip(0_u8..).min().expect("a node");
            let deadline = deadline.max(self.now);
            match travelling.first_key_value() {
                Some((&(at, _), _)) if at <= deadline => {
                    if at > end {
                        break;
                    }
                    self.now = at;
                    let (_, (to, message)) = travelling.pop_first().expect("there is one");
                    self.hand_over(to, message);
                }
                _ if deadline > end => break,
                _ => {
                    self.now = deadline;
                    let Self { replicas, network, .. } = self;
                    let replica = replicas[usize::from(node)].as_mut().expect("it has a deadline");
                    replica.on_timeout(Instant(deadline), network);
                }
            }
        }
        self.now = end;
    }

    fn role(&mut self, id: u8) -> Role {
        self.replica(id).role()
    }

    fn agree(&mut self, ids: &[u8], epoch: u64, state: u64) {
        for &id in ids {
            let replica = self.replica(id);
            assert!(matches!(replica.role(), Role::Primary | Role::Backup), "{id}: {:?}", replica.role());
            assert_eq!((replica.epoch(), replica.service().0), (Epoch(epoch), state), "{id}");
            assert_eq!(replica.commit_number().op_number(), replica.op_number(), "{id}");
        }
        let epochs: BTreeSet<u64> = self.network.epochs.iter().map(|(epoch, ..)| *epoch).collect();
        assert_eq!(
            epochs.len(),
            self.network.epochs.len(),
            "one start of each epoch: {:?}",
            self.network.epochs
        );
    }

    fn took(&self, path: RarePath) -> bool {
        self.network.paths.contains(&path)
    }

    fn reconfigure(&mut self, primary: u8, epoch: u64, previous: &[u8], members: &[u8]) -> Arc<Request<u64>> {
        let request = self.reconfiguration(epoch, previous, members);
        self.ask(primary, &request);
        self.run(400);
        request
    }
}

#[test]
fn the_first_member_makes_room_for_three_new_ones() {
    let mut nodes = Nodes::new(6);
    nodes.add(0, 5);
    let request = nodes.reconfigure(0, 0, &[0, 1, 2], &[1, 2, 3, 4, 5]);
    nodes.agree(&[1, 2, 3, 4, 5], 1, 5);
    assert_eq!(nodes.role(0), Role::Stopped);
    assert_eq!(nodes.role(1), Role::Primary, "view 0 of the new epoch");
    assert!(matches!(nodes.add(1, 2), Some(ReplyBody::Executed { response: 7, .. })));
    nodes.run(50);
    nodes.agree(&[1, 2, 3, 4, 5], 1, 7);
    // A request from before is not executed again, whoever is asked: the answer has even been forgotten.
    assert_eq!(nodes.ask(1, &request), None);
    // Whoever asks the old group is told of the new one.
    let request = nodes.body(|number| RequestBody::Operation { client: ClientId(1), number, operation: 1 });
    assert!(matches!(nodes.ask(0, &request), Some(ReplyBody::NewEpoch(start)) if start.epoch == Epoch(1)));
}

#[test]
fn a_duplicate_is_answered_from_the_table_in_the_new_epoch() {
    let mut nodes = Nodes::new(5);
    let request = nodes.reconfigure(0, 0, &[0, 1, 2], &[2, 3, 4]);
    for member in [2, 3, 4] {
        let answer = nodes.ask(member, &request);
        assert!(matches!(answer, Some(ReplyBody::Epoch { epoch: Epoch(1), .. })), "{answer:?}");
    }
    assert!(nodes.took(RarePath::ReconfigurationAnsweredAgain));
    nodes.agree(&[2, 3, 4], 1, 0);
}

#[test]
fn everybody_is_replaced_by_nodes_that_start_from_a_checkpoint() {
    let options = Options { checkpoint_interval: 4, log_margin: 0, ..Options::default() };
    let mut nodes = Nodes::with(6, options);
    (0..12).for_each(|_| _ = nodes.add(0, 1));
    nodes.reconfigure(0, 0, &[0, 1, 2], &[3, 4, 5]);
    nodes.agree(&[3, 4, 5], 1, 12);
    assert!(nodes.took(RarePath::CheckpointIntoEpoch));
    assert_eq!([0, 1, 2].map(|id| nodes.role(id)), [Role::Stopped; 3]);
    let check = nodes.body(|number| RequestBody::CheckEpoch { client: ClientId(1), number, epoch: Epoch(1) });
    nodes.ask(3, &check);
    nodes.run(50);
    assert!(matches!(nodes.network.replies.pop().unwrap().body, ReplyBody::Epoch { epoch: Epoch(1), .. }));
}

#[test]
fn what_must_be_refused_is_refused_with_its_reason() {
    let mut nodes = Nodes::new(6);
    let mut refused = |epoch, previous: &[u8], members: &[u8]| {
        let request = nodes.reconfiguration(epoch, previous, members);
        match nodes.ask(0, &request) {
            Some(ReplyBody::Refused { reason, .. }) => Some(reason),
            None => None,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(0, &[0, 1, 3], &[0, 1, 4]), Some(Refusal::OtherEpoch));
    assert_eq!(refused(0, &[0, 1, 2], &[0, 1]), Some(Refusal::TooSmall));
    assert_eq!(refused(0, &[0, 1, 2], &[2, 1, 0]), Some(Refusal::NothingNew));
    assert_eq!(refused(0, &[0, 1, 2], &[0, 1, 3]), None);
    assert_eq!(refused(0, &[0, 1, 2], &[0, 1, 4]), Some(Refusal::UnderWay));
    let request = nodes.body(|number| RequestBody::Operation { client: ClientId(1), number, operation: 1 });
    assert_eq!(nodes.ask(0, &request), Some(ReplyBody::TryLater), "nothing comes after a Reconfiguration");
    nodes.run(200);
    let request = nodes.reconfiguration(1, &[0, 1, 3], &[0, 1, 2]);
    assert!(
        matches!(nodes.ask(0, &request), Some(ReplyBody::Refused { reason: Refusal::NotStarted, .. })),
        "the present epoch has not committed anything"
    );
    let late = nodes.reconfiguration(2, &[0, 1, 3], &[0, 1, 2]);
    assert_eq!(nodes.ask(0, &late), Some(ReplyBody::TryLater), "it knows of an epoch that has not come here");
}

#[test]
fn several_in_a_row_and_back_again() {
    let mut nodes = Nodes::new(7);
    let mut state = 0;
    let groups: [&[u8]; 6] =
        [&[0, 1, 2], &[1, 2, 3, 4, 5], &[4, 5, 6], &[0, 1, 2, 6], &[0, 3, 4], &[0, 1, 2]];
    for (epoch, pair) in groups.windows(2).enumerate() {
        nodes.reconfigure(pair[0][0], epoch as u64, pair[0], pair[1]);
        state += 1;
        nodes.add(pair[1][0], 1);
        nodes.run(100);
        nodes.agree(pair[1], epoch as u64 + 1, state);
        for &gone in pair[0].iter().filter(|id| !pair[1].contains(id)) {
            assert_eq!(nodes.role(gone), Role::Stopped, "{gone} after {pair:?}");
        }
    }
    assert!(nodes.took(RarePath::MemberAgain));
}

#[test]
fn a_member_that_was_cut_off_learns_of_two_epochs_at_once() {
    let mut nodes = Nodes::new(6);
    nodes.cut.insert(2);
    nodes.reconfigure(0, 0, &[0, 1, 2], &[1, 2, 3]);
    nodes.add(1, 3);
    nodes.run(300);
    nodes.reconfigure(1, 1, &[1, 2, 3], &[2, 3, 4, 5]);
    nodes.add(3, 4);
    nodes.run(1_000);
    assert_eq!(nodes.replica(2).epoch(), Epoch(0));
    nodes.cut.clear();
    nodes.run(2_000);
    nodes.agree(&[2, 3, 4, 5], 2, 7);
    assert!(nodes.took(RarePath::EpochSkipped));
    assert_eq!([0, 1].map(|id| nodes.role(id)), [Role::Stopped; 2]);
}

/// The only one who knows that the epoch is over crashes; another one holds its last operation, and does not know
/// that it is committed.
#[test]
fn who_holds_the_end_of_the_epoch_can_be_told_so() {
    let mut nodes = Nodes::new(5);
    let request = nodes.reconfiguration(0, &[0, 1, 2], &[0, 3, 4]);
    nodes.ask(0, &request);
    nodes.cut.insert(2);
    assert_eq!(nodes.deliver(MessageKind::Prepare, &[0], &[1]), 1);
    assert_eq!(nodes.deliver(MessageKind::PrepareOk, &[1], &[0]), 1);
    assert_eq!(nodes.deliver(MessageKind::StartEpoch, &[0], &[3]), 1);
    nodes.network.messages.clear();
    nodes.crash(0);
    nodes.cut.clear();
    nodes.run(1_000);
    assert!(nodes.took(RarePath::OwnLogTrusted));
    nodes.agree(&[3, 4], 1, 0);
    nodes.restart(0, EpochStart::first(group(&[0, 1, 2])));
    nodes.run(1_000);
    nodes.agree(&[0, 3, 4], 1, 0);
    assert!(nodes.took(RarePath::RecoveryOverEpoch));
    assert_eq!([1, 2].map(|id| nodes.role(id)), [Role::Stopped; 2]);
}

/// r1 has acknowledged in epoch 1 and lost its memory. Those of epoch 0 who have not heard of its end must not bring
/// it back there, or it would join epoch 1 again without what it had acknowledged.
#[test]
fn nobody_recovers_into_an_epoch_that_is_about_to_end() {
    let mut nodes = Nodes::new(5);
    let request = nodes.reconfiguration(0, &[0, 1, 2], &[1, 3, 4]);
    nodes.ask(0, &request);
    nodes.deliver(MessageKind::Prepare, &[0], &[1, 2]);
    nodes.network.messages.clear();
    nodes.crash(1);
    nodes.restart(1, EpochStart::first(group(&[0, 1, 2])));
    assert_eq!(nodes.deliver(MessageKind::Recovery, &[1], &[0, 2]), 2);
    assert_eq!(nodes.deliver(MessageKind::RecoveryResponse, &[0, 2], &[1]), 2);
    assert_eq!(nodes.role(1), Role::Recovering);
    assert!(nodes.took(RarePath::RecoveryAtEpochEnd));
    nodes.run(1_000);
    nodes.agree(&[1, 3, 4], 1, 0);
}

/// r0 appends what nobody else sees, and is cut off. The others reconfigure; its end of the log is not theirs.
#[test]
fn an_end_of_the_log_that_is_not_the_epochs_is_dropped() {
    let mut nodes = Nodes::new(4);
    nodes.cut.insert(0);
    for _ in 0..5 {
        let request =
            nodes.body(|number| RequestBody::Operation { client: ClientId(1), number, operation: 100 });
        nodes.ask(0, &request);
    }
    nodes.run(1_000);
    let primary = (1..3).find(|&id| nodes.role(id) == Role::Primary).expect("a later view");
    nodes.reconfigure(primary, 0, &[0, 1, 2], &[0, 2, 3]);
    nodes.run(1_000);
    nodes.cut.clear();
    nodes.run(2_000);
    nodes.agree(&[0, 2, 3], 1, 0);
    assert!(nodes.took(RarePath::UntrustedEndOverwritten));
}

#[test]
fn nodes_that_are_no_members_can_have_the_state_ahead_of_time() {
    let mut nodes = Nodes::new(4);
    nodes.add(0, 5);
    let Nodes { replicas, network, now, .. } = &mut nodes;
    replicas[3].as_mut().unwrap().warm_up(Instant(*now), network);
    nodes.run(50);
    assert_eq!((nodes.role(3), nodes.replica(3).service().0), (Role::Standby, 5));
    nodes.crash(3);
    nodes.restart(3, EpochStart::first(group(&[0, 1, 2])));
    nodes.run(50);
    assert_eq!((nodes.role(3), nodes.replica(3).service().0), (Role::Standby, 5));
    assert!(nodes.took(RarePath::OutsiderRecovered));
    nodes.reconfigure(0, 0, &[0, 1, 2], &[0, 1, 2, 3]);
    nodes.agree(&[0, 1, 2, 3], 1, 5);
    assert_eq!(nodes.replica(3).view(), View::of(Epoch(1), 0));
}
