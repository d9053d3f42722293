//! Batches, reads without the log, leases and predictions, in exact schedules.

mod common;

use std::sync::Arc;

use common::{MILLISECOND, Sent, member};
use vr::{
    ClientAddress, ClientId, Configuration, Duration, Freshness, Ignored, Incarnation, Instant, Member,
    Message, MessageKind, OpNumber, Options, Payload, Prediction, RarePath, Read, Replica, ReplicaId,
    ReplyBody, Request, RequestBody, RequestNumber, Role, Service, Standard, StartViewChange, View,
};

/// What a counter is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Add(u64),
    Total,
    /// Adds what the primary has drawn.
    Draw,
}

#[derive(Clone, Debug, Default)]
struct Counter(u64);

impl Service for Counter {
    type Operation = Ask;
    type Response = u64;
    type SnapshotPart = u64;

    fn execute(&mut self, operation: &Ask) -> u64 {
        if let Ask::Add(amount) = operation {
            self.0 += amount;
        }
        self.0
    }

    fn needs_prediction(&self, operation: &Ask) -> bool {
        *operation == Ask::Draw
    }

    fn execute_predicted(&mut self, _: &Ask, prediction: Prediction) -> u64 {
        self.0 ^= prediction.random ^ prediction.time.0;
        self.0
    }

    fn observe(&self, operation: &Ask) -> Option<u64> {
        (*operation == Ask::Total).then_some(self.0)
    }

    fn snapshot(&self) -> Vec<u64> {
        vec![self.0]
    }

    fn restore(&mut self, parts: &[u64]) {
        self.0 = parts.iter().sum();
    }
}

type Network = common::Network<Counter>;

struct Group {
    replicas: Vec<Replica<Counter>>,
    network: Network,
    options: Options,
    now: u64,
}

impl Group {
    /// Three replicas, and a session for each of four clients.
    fn new(options: Options) -> Self {
        let mut group = Self { replicas: Vec::new(), network: Network::default(), options, now: 0 };
        for id in 0..3 {
            let member = group.member(id);
            group.replicas.push(Replica::new(Instant(0), member, Standard, Counter::default()));
        }
        for client in 1..=4 {
            let request = Request { address: ClientAddress(client), body: RequestBody::Register };
            group.replicas[0].on_request(Instant(0), Arc::new(request), &mut group.network);
            group.deliver(MessageKind::Prepare, &[1, 2]);
            group.deliver(MessageKind::PrepareOk, &[0]);
        }
        group.network = Network::default();
        group
    }

    fn member(&self, id: u8) -> Member {
        let size = Configuration::new(3).expect("a valid size");
        member(ReplicaId(id), size, self.options)
    }

    fn at(&mut self, milliseconds: u64) -> &mut Self {
        self.now = milliseconds * MILLISECOND;
        self
    }

    fn request(&mut self, client: u64, number: u64, operation: Ask) {
        let body =
            RequestBody::Operation { client: ClientId(client), number: RequestNumber(number), operation };
        let request = Arc::new(Request { address: ClientAddress(client), body });
        self.replicas[0].on_request(Instant(self.now), request, &mut self.network);
    }

    fn read(&mut self, replica: usize, number: u64, operation: Ask, freshness: Freshness) {
        let read = Read { address: ClientAddress(1), number: RequestNumber(number), operation, freshness };
        self.replicas[replica].on_read(Instant(self.now), Arc::new(read), &mut self.network);
    }

    fn time_out(&mut self, replica: usize) {
        self.replicas[replica].on_timeout(Instant(self.now), &mut self.network);
    }

    fn take(&mut self, kind: MessageKind, to: &[u8]) -> Vec<Sent<Counter>> {
        self.network.take(kind, |_, receiver| to.contains(&receiver))
    }

    /// Delivers the messages of a kind to these replicas; says how many there were.
    fn deliver(&mut self, kind: MessageKind, to: &[u8]) -> usize {
        let messages = self.take(kind, to);
        let count = messages.len();
        for (to, message) in messages {
            self.replicas[to.index()].on_message(Instant(self.now), message, &mut self.network);
        }
        count
    }

    fn answers(&mut self) -> Vec<u64> {
        let replies = std::mem::take(&mut self.network.replies);
        let answer = |(_, body)| match body {
            ReplyBody::Executed { response, .. } | ReplyBody::Observed { response, .. } => Some(response),
            _ => None,
        };
        replies.into_iter().filter_map(answer).collect()
    }

    /// The heartbeat is due; both backups hear it, and the primary hears them.
    fn beat(&mut self) {
        self.time_out(0);
        assert!(self.deliver(MessageKind::Commit, &[1, 2]) > 0, "a heartbeat was due");
        self.deliver(MessageKind::CommitOk, &[0]);
    }
}

fn batching() -> Options {
    Options { pipeline_max: 1, batch_max: 3, ..Options::default() }
}

fn leases() -> Options {
    Options { lease: Duration::from_millis(60), clock_drift_ppm: 200_000, ..Options::default() }
}

// ---- Batches -----------------------------------------------------------------------------------------

#[test]
fn an_idle_primary_waits_for_nobody_and_a_busy_one_prepares_together() {
    let mut group = Group::new(batching());
    group.request(1, 1, Ask::Add(1));
    assert_eq!(group.take(MessageKind::Prepare, &[1, 2]).len(), 2, "prepared at once");
    // The second copies are lost, so the pipeline stays full.
    for client in [2, 3, 4] {
        group.request(client, 1, Ask::Add(1));
    }
    assert_eq!(group.take(MessageKind::Prepare, &[1, 2]).len(), 0, "there is no room");
    group.request(1, 2, Ask::Add(1));
    assert_eq!(
        group.network.replies.pop(),
        Some((ClientAddress(1), ReplyBody::TryLater)),
        "nor in the queue"
    );
    group.request(3, 1, Ask::Add(1));
    assert_eq!(group.network.ignored.pop(), Some(Ignored::RequestInFlight), "a request waits once");

    group.at(30).time_out(0);
    group.deliver(MessageKind::Prepare, &[1]);
    group.deliver(MessageKind::PrepareOk, &[0]);
    let together = group.take(MessageKind::Prepare, &[1]);
    let [(_, Message { payload: Payload::Prepare(prepare), .. })] = &together[..] else {
        panic!("one Prepare, not {together:?}")
    };
    assert_eq!((prepare.op_number, prepare.last()), (OpNumber(6), OpNumber(8)));
    assert_eq!(group.answers(), [1]);
    assert!(group.network.took(RarePath::SeveralInABatch));
}

#[test]
fn of_a_batch_that_is_here_in_part_the_rest_is_taken() {
    let mut group = Group::new(Options { pipeline_max: 8, batch_max: 3, ..Options::default() });
    for client in 1..=3 {
        group.request(client, 1, Ask::Add(1));
    }
    // The first arrives at r1; then all three are sent again, together.
    let mut sent = group.take(MessageKind::Prepare, &[1]);
    let (_, first) = sent.remove(0);
    group.replicas[1].on_message(Instant(group.now), first, &mut group.network);
    group.network.messages.clear();
    group.at(30).time_out(0);
    assert_eq!(group.deliver(MessageKind::Prepare, &[1]), 1);
    assert_eq!(group.replicas[1].op_number(), OpNumber(7));
    assert!(group.network.took(RarePath::BatchHeldInPart));
    group.deliver(MessageKind::PrepareOk, &[0]);
    assert_eq!(group.answers(), [1, 2, 3]);
}

#[test]
fn a_commit_in_the_middle_of_a_batch_answers_its_beginning_and_later_its_end() {
    let mut group = Group::new(Options { batch_max: 2, pipeline_max: 1, ..Options::default() });
    group.request(1, 1, Ask::Add(1));
    group.network.messages.clear();
    for client in [2, 3] {
        group.request(client, 1, Ask::Add(1));
    }
    // Ops 5 and 6 are sent again in one batch once both are in the log; r1 has 5 alone.
    group.at(30).time_out(0);
    group.deliver(MessageKind::Prepare, &[1]);
    group.deliver(MessageKind::PrepareOk, &[0]);
    assert_eq!(group.answers(), [1]);
    // The batch 6..=7 is on its way; it arrives at r2, which lacks 5, and is kept.
    group.deliver(MessageKind::Prepare, &[2]);
    group.at(60).time_out(0);
    group.deliver(MessageKind::Prepare, &[1, 2]);
    group.deliver(MessageKind::PrepareOk, &[0]);
    assert_eq!(group.answers(), [2, 3]);
}

// ---- Reads at the primary ----------------------------------------------------------------------------

#[test]
fn without_leases_a_read_is_answered_once_a_later_round_is() {
    let mut group = Group::new(Options::default());
    group.read(0, 1, Ask::Total, Freshness::Linearizable);
    assert_eq!(group.answers(), [0; 0]);
    assert_eq!(group.deliver(MessageKind::Commit, &[1]), 1, "asked at once");
    // A read that comes while the round is on its way may have come after the backup answered it.
    group.read(0, 2, Ask::Total, Freshness::Linearizable);
    group.deliver(MessageKind::CommitOk, &[0]);
    assert_eq!(group.answers(), [0], "the first");
    group.deliver(MessageKind::Commit, &[2]);
    group.deliver(MessageKind::CommitOk, &[0]);
    assert_eq!(group.answers(), [0], "the second");
    assert!(group.network.took(RarePath::ReadByConfirmation));
}

#[test]
fn a_read_that_changes_something_is_none_and_only_a_primary_takes_others() {
    let mut group = Group::new(Options::default());
    group.read(0, 1, Ask::Add(1), Freshness::Linearizable);
    let not_a_read = ReplyBody::NotARead { number: RequestNumber(1) };
    assert_eq!(group.network.replies, [(ClientAddress(1), not_a_read)]);
    group.read(1, 2, Ask::Total, Freshness::Linearizable);
    assert_eq!(group.network.replies[1], (ClientAddress(1), ReplyBody::NotPrimary));
}

#[test]
fn a_lease_is_good_from_the_sending_on_for_less_than_the_promise() {
    let mut group = Group::new(leases());
    // Sent at 20 ms, heard of at 25 ms: 60 ms of a clock that may be fast are 40 ms of one that may be slow.
    group.at(20).time_out(0);
    group.at(25);
    group.deliver(MessageKind::Commit, &[1]);
    group.deliver(MessageKind::CommitOk, &[0]);
    group.at(59).read(0, 1, Ask::Total, Freshness::Linearizable);
    assert_eq!(group.answers(), [0]);
    group.at(60).read(0, 2, Ask::Total, Freshness::Linearizable);
    assert_eq!(group.answers(), [0; 0]);
    assert!(group.network.paths.ends_with(&[RarePath::ReadWithoutLease]));
    group.deliver(MessageKind::Commit, &[2]);
    group.deliver(MessageKind::CommitOk, &[0]);
    assert_eq!(group.answers(), [0], "the answer to the heartbeat is as good");
}

/// r1 has entered view 1, and r2 hears of it.
fn hears_of_view_1(group: &mut Group) {
    let payload = Payload::StartViewChange(StartViewChange { view: View(1) });
    let message = Message { from: ReplicaId(1), incarnation: Incarnation(0), view: View(1), payload };
    group.replicas[2].on_message(Instant(group.now), message, &mut group.network);
    assert_eq!((group.replicas[2].role(), group.replicas[2].view()), (Role::ViewChange, View(1)));
}

fn votes_sent(group: &mut Group) -> usize {
    group.take(MessageKind::DoViewChange, &[1]).len()
}

#[test]
fn who_has_promised_votes_later() {
    let mut group = Group::new(leases());
    group.at(20).beat();
    hears_of_view_1(group.at(79));
    assert_eq!(votes_sent(&mut group), 0);
    assert_eq!(group.network.paths, [RarePath::VoteHeldBack]);
    assert_eq!(group.replicas[2].next_deadline(), Instant(80 * MILLISECOND), "60 ms after the heartbeat");
    group.at(80).time_out(2);
    assert_eq!(votes_sent(&mut group), 1);
}

#[test]
fn who_is_bound_by_nothing_votes_at_once() {
    let mut group = Group::new(leases());
    group.at(20).beat();
    hears_of_view_1(group.at(80));
    assert_eq!(votes_sent(&mut group), 1);
}

#[test]
fn who_has_forgotten_a_promise_keeps_it() {
    let mut group = Group::new(leases());
    group.at(40);
    let (now, member) = (Instant(group.now), group.member(2));
    let service = Counter::default();
    group.replicas[2] = Replica::recover(now, member, Incarnation(1), Standard, service, &mut group.network);
    group.deliver(MessageKind::Recovery, &[0, 1]);
    group.deliver(MessageKind::RecoveryResponse, &[2]);
    assert_eq!(group.replicas[2].role(), Role::Backup);
    hears_of_view_1(group.at(99));
    assert_eq!(
        votes_sent(&mut group),
        0,
        "what it promised before the crash may last until 60 ms after the restart"
    );
    group.at(100).time_out(2);
    assert_eq!(votes_sent(&mut group), 1);
}

#[test]
fn a_new_primary_reads_once_what_it_inherited_is_committed() {
    let mut group = Group::new(Options::default());
    group.request(1, 1, Ask::Add(7));
    group.deliver(MessageKind::Prepare, &[1]);
    group.deliver(MessageKind::PrepareOk, &[0]);
    assert_eq!(group.answers(), [7], "the old primary has answered");
    group.network.messages.clear();
    for at in [400, 401] {
        for replica in [1, 2] {
            group.at(at).time_out(replica);
        }
    }
    group.deliver(MessageKind::StartViewChange, &[1, 2]);
    group.deliver(MessageKind::DoViewChange, &[1]);
    assert_eq!(group.replicas[1].role(), Role::Primary);
    assert_eq!(group.replicas[1].commit_number().0, 4, "it does not know that op 5 is committed");
    group.read(1, 1, Ask::Total, Freshness::Linearizable);
    assert!(group.network.took(RarePath::ReadWaitsForInherited));
    let started = group.take(MessageKind::StartView, &[2]);
    // Its view is confirmed before r2's acknowledgement arrives.
    for (_, message) in started {
        group.replicas[2].on_message(Instant(group.now), message, &mut group.network);
    }
    let acknowledgement = group.take(MessageKind::PrepareOk, &[1]);
    group.time_out(1);
    group.deliver(MessageKind::Commit, &[2]);
    assert!(group.deliver(MessageKind::CommitOk, &[1]) > 0);
    assert_eq!(group.answers(), [0; 0], "confirmed, and still not to be read");
    for (_, message) in acknowledgement {
        group.replicas[1].on_message(Instant(group.now), message, &mut group.network);
    }
    assert!(group.answers().contains(&7));
}

// ---- Causal reads ------------------------------------------------------------------------------------

#[test]
fn a_causal_read_waits_for_what_its_client_has_seen() {
    let mut group = Group::new(Options::default());
    group.request(1, 1, Ask::Add(7));
    group.deliver(MessageKind::Prepare, &[1, 2]);
    group.deliver(MessageKind::PrepareOk, &[0]);
    assert_eq!(group.answers(), [7]);
    group.read(2, 1, Ask::Total, Freshness::Causal(OpNumber(2)));
    assert_eq!(group.answers(), [0], "an earlier state is good enough for who has seen no later one");
    group.read(2, 2, Ask::Total, Freshness::Causal(OpNumber(5)));
    group.read(2, 2, Ask::Total, Freshness::Causal(OpNumber(5)));
    assert_eq!(group.network.ignored.pop(), Some(Ignored::ReadWaiting));
    assert_eq!(group.answers(), [0; 0]);
    group.at(20).time_out(0);
    group.deliver(MessageKind::Commit, &[2]);
    assert_eq!(group.answers(), [7]);
}

// ---- Predictions -------------------------------------------------------------------------------------

#[test]
fn all_execute_what_the_primary_has_predicted() {
    let mut group = Group::new(Options::default());
    group.at(5).request(1, 1, Ask::Draw);
    group.request(2, 1, Ask::Draw);
    group.at(6);
    group.deliver(MessageKind::Prepare, &[1, 2]);
    group.deliver(MessageKind::PrepareOk, &[0]);
    group.at(20).time_out(0);
    group.deliver(MessageKind::Commit, &[1, 2]);
    let totals: Vec<u64> = group.replicas.iter().map(|replica| replica.service().0).collect();
    assert!(totals[0] != 0 && totals.iter().all(|total| *total == totals[0]), "{totals:?}");
    let predicted =
        |op_number| group.replicas[2].log().get(OpNumber(op_number)).unwrap().predicted.as_deref().unwrap();
    assert_eq!(predicted(5).time, Instant(5 * MILLISECOND));
    assert_ne!(predicted(5).random, predicted(6).random);
}
