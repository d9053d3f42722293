//! Large checkpoints, in a group that takes new ones much faster than one travels.

mod common;

use std::sync::Arc;

use common::{CLIENT, MILLISECOND, Network, Sent, member, operation};
use vr::{
    Configuration, GetState, Ignored, Incarnation, Instant, Message, Options, Payload, RarePath, Replica,
    ReplicaId, Request, RequestBody, RequestNumber, Role, Service, Standard,
};

/// How many pieces the state has; a checkpoint has one more.
const PAGES: usize = 200;

/// How many operations lead to a checkpoint, and how many the client asks for while a message travels.
const INTERVAL: u64 = 4;

/// A state of many pieces.
#[derive(Clone, Debug)]
struct Pages(Vec<u64>);

impl Default for Pages {
    fn default() -> Self {
        Self(vec![0; PAGES])
    }
}

impl Service for Pages {
    type Operation = u64;
    type Response = u64;
    type SnapshotPart = u64;

    fn execute(&mut self, operation: &u64) -> u64 {
        let page = &mut self.0[*operation as usize % PAGES];
        *page += 1;
        *page
    }

    fn snapshot(&self) -> Vec<u64> {
        self.0.clone()
    }

    fn restore(&mut self, parts: &[u64]) {
        self.0 = parts.to_vec();
    }
}

/// A group with a client that never waits.
struct Group {
    replicas: Vec<Replica<Pages>>,
    network: Network<Pages>,
    size: Configuration,
    now: u64,
    requests: u64,
    /// Who neither hears nor is heard.
    cut: Vec<u8>,
    /// What else does not arrive, by how many messages were sent before.
    is_lost: fn(u64, &Sent<Pages>) -> bool,
    sent: u64,
    /// How many pieces of checkpoints were sent.
    parts: usize,
}

fn options() -> Options {
    Options { checkpoint_interval: INTERVAL, log_margin: 0, suffix_margin: 16, ..Options::default() }
}

impl Group {
    fn new(size: usize) -> Self {
        let size = Configuration::new(size).expect("a valid size");
        let start = |id| Replica::new(Instant(0), member(id, size, options()), Standard, Pages::default());
        let mut group = Self {
            replicas: size.members().map(start).collect(),
            network: Network::default(),
            size,
            now: 0,
            requests: 0,
            cut: Vec::new(),
            is_lost: |_, _| false,
            sent: 0,
            parts: 0,
        };
        group.ask(RequestBody::Register);
        group.run(20);
        group
    }

    fn replica(&self, id: u8) -> &Replica<Pages> {
        &self.replicas[usize::from(id)]
    }

    /// Asks whoever is primary.
    fn ask(&mut self, body: RequestBody<u64>) {
        let is_up = |replica: &&mut Replica<Pages>| {
            replica.role() == Role::Primary && !self.cut.contains(&replica.id().0)
        };
        let Some(primary) = self.replicas.iter_mut().find(is_up) else { return };
        let request = Arc::new(Request { address: CLIENT, body });
        primary.on_request(Instant(self.now), request, &mut self.network);
    }

    fn step(&mut self) {
        self.now += MILLISECOND / 2;
        let now = Instant(self.now);
        for (to, message) in std::mem::take(&mut self.network.messages) {
            self.sent += 1;
            self.parts += usize::from(matches!(message.payload, Payload::CheckpointPart(_)));
            let sent = (to, message);
            if !self.cut.contains(&to.0)
                && !self.cut.contains(&sent.1.from.0)
                && !(self.is_lost)(self.sent, &sent)
            {
                self.replicas[to.index()].on_message(now, sent.1, &mut self.network);
            }
        }
        for replica in self.replicas.iter_mut().filter(|replica| replica.next_deadline() <= now) {
            replica.on_timeout(now, &mut self.network);
        }
    }

    /// Lets everything happen that happens while so many messages travel one after the other.
    fn run(&mut self, steps: u64) {
        (0..steps).for_each(|_| self.step());
    }

    /// The same, while there is a checkpoint to be taken with each step.
    fn run_busy(&mut self, steps: u64) {
        for _ in 0..steps {
            for _ in 0..INTERVAL {
                self.requests += 1;
                self.ask(operation(RequestNumber(self.requests), self.requests));
            }
            self.step();
        }
    }

    /// Runs until the replicas are no more behind than messages are; says how many steps that took.
    fn run_until_together(&mut self, most: u64) -> u64 {
        let behind = |group: &Self| {
            let commits = group.replicas.iter().filter(|replica| !group.cut.contains(&replica.id().0));
            let commits: Vec<_> = commits.map(|replica| replica.commit_number().0).collect();
            commits.iter().max().expect("a replica") - commits.iter().min().expect("a replica")
        };
        for step in 0..most {
            if behind(self) <= 10 * INTERVAL {
                return step;
            }
            self.run_busy(1);
        }
        panic!("{} operations behind after {most} steps and {} pieces", behind(self), self.parts);
    }

    /// A busy group of which the last replica was cut off for a while.
    fn with_laggard(size: usize) -> Self {
        let mut group = Self::new(size);
        group.cut = vec![size as u8 - 1];
        group.run_busy(100);
        group.cut.clear();
        group
    }

    /// How much of the log is kept, by whoever keeps most.
    fn kept(&self) -> u64 {
        self.replicas.iter().map(|replica| replica.log().length()).max().expect("a replica")
    }

    /// A question of a replica that has not asked it of itself.
    fn ask_for_state(&mut self, from: u8, to: u8) {
        let replica = self.replica(from);
        let (view, after, incarnation) = (replica.view(), replica.op_number(), replica.incarnation());
        let payload = Payload::GetState(GetState { view, after, back_to_covered: false });
        let question = Message { from: ReplicaId(from), incarnation, view, payload };
        let now = Instant(self.now);
        self.replicas[usize::from(to)].on_message(now, question, &mut self.network);
    }

    fn crash(&mut self, id: u8) {
        let member = member(ReplicaId(id), self.size, options());
        let (now, incarnation) = (Instant(self.now), Incarnation(self.now));
        self.replicas[usize::from(id)] =
            Replica::recover(now, member, incarnation, Standard, Pages::default(), &mut self.network);
    }
}

/// What a fetch may cost without faults: each piece once, and a beginning or two that were not needed.
const ENOUGH: usize = PAGES + 1 + 16;

/// What a replica keeps of its log in a busy group where all is well: from the checkpoint before the last one.
const USUAL: u64 = 5 * INTERVAL;

#[test]
fn a_large_checkpoint_arrives_though_new_ones_are_taken_all_the_time() {
    let mut group = Group::with_laggard(3);
    let steps = group.run_until_together(1_000);
    assert!(group.network.took(RarePath::CheckpointInView));
    assert!(group.parts <= ENOUGH && steps < 300, "{} pieces in {steps} steps", group.parts);
    // What was kept for it is let go.
    group.run_busy(20);
    assert!(group.kept() <= USUAL, "{}", group.kept());
}

#[test]
fn so_it_does_at_recovery() {
    let mut group = Group::new(3);
    group.run_busy(100);
    group.crash(2);
    let steps = group.run_until_together(1_000);
    assert!(group.network.took(RarePath::CheckpointAtRecovery));
    assert!(group.parts <= ENOUGH && steps < 300, "{} pieces in {steps} steps", group.parts);
}

/// It is asked for what is missing again, and of the one that sends it: another one would begin with another.
#[test]
fn lost_pieces_do_not_make_it_begin_anew() {
    let mut group = Group::with_laggard(5);
    group.is_lost = |sent, (_, message)| {
        use Payload::{CheckpointPart, GetCheckpoint, GetState, NewState};
        let is_of_transfer =
            matches!(message.payload, CheckpointPart(_) | GetCheckpoint(_) | GetState(_) | NewState(_));
        is_of_transfer && sent % 7 == 0
    };
    // At full speed, as many checkpoints as are waited for would be taken before anything is asked for again.
    for _ in 0..300 {
        group.run_busy(1);
        group.run(19);
    }
    let commits = [0, 4].map(|id| group.replica(id).commit_number().0);
    assert!(commits[1] + 10 * INTERVAL >= commits[0], "{commits:?}, {} pieces", group.parts);
    assert!(!group.network.took(RarePath::CheckpointSuperseded));
    assert!(group.parts <= 2 * ENOUGH, "{} pieces", group.parts);
}

/// Its first question was answered late, when it had asked somebody else as well; and that one's answer comes later.
#[test]
fn the_beginning_of_another_one_does_not_make_it_begin_anew() {
    let mut group = Group::with_laggard(3);
    group.run_busy(70);
    assert!(group.replica(2).is_fetching() && group.parts > 0);
    group.ask_for_state(2, 1);
    group.run_until_together(1_000);
    assert!(group.network.ignored.contains(&Ignored::OtherCheckpoint));
    assert!(!group.network.took(RarePath::CheckpointSuperseded));
}

#[test]
fn who_comes_later_is_sent_the_one_that_others_fetch() {
    let mut group = Group::new(5);
    group.cut = vec![3, 4];
    group.run_busy(100);
    group.cut = vec![4];
    group.run_busy(20);
    group.cut.clear();
    let steps = group.run_until_together(1_000);
    assert!(group.parts <= 2 * ENOUGH && steps < 300, "{} pieces in {steps} steps", group.parts);
    assert!(!group.network.took(RarePath::CheckpointSuperseded));
}

#[test]
fn another_one_goes_on_when_the_one_that_sends_it_dies() {
    let mut group = Group::with_laggard(5);
    group.run_busy(70);
    assert!(group.replica(4).is_fetching() && group.parts > 0);
    group.cut = vec![0];
    group.run_busy(1_000);
    group.run_until_together(1_000);
    assert!(group.network.took(RarePath::CheckpointSuperseded));
    assert!(group.parts <= 3 * ENOUGH, "{} pieces", group.parts);
}

/// What is kept for others is let go when they ask no more.
#[test]
fn a_checkpoint_that_nobody_fetches_any_more_is_let_go() {
    let mut group = Group::with_laggard(3);
    group.run_busy(70);
    assert!(group.replica(2).is_fetching() && group.kept() > USUAL);
    group.cut = vec![2];
    group.run_busy(40);
    let kept = [0, 1].map(|id| group.replica(id).log().length());
    assert!(kept.iter().all(|&kept| kept <= USUAL), "{kept:?}");
}

/// Or when they ask for the same again and again, also where one of two begins whenever the other's time is over.
#[test]
fn a_fetch_that_gets_no_further_does_not_make_the_log_grow() {
    let mut group = Group::new(5);
    group.cut = vec![3, 4];
    let mut most = 0;
    for step in 0..2_000 {
        group.run_busy(1);
        let asking = if step % 40 < 20 { 3 } else { 4 };
        if step > 100 {
            group.ask_for_state(asking, 0);
        }
        most = most.max(group.replica(0).log().length());
    }
    // Each of them can hold it for 32 checkpoints.
    assert!((32 * INTERVAL..64 * INTERVAL).contains(&most), "{most} entries");
}
