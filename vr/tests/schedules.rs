//! Exact schedules: each is a way in which the protocol has failed, or would without one of its rules.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{CLIENT, Counter, MILLISECOND, Network, Sent, member, operation, register};
use vr::MessageKind::{
    DoViewChange, GetState, NewState, Prepare, PrepareOk, Recovery, RecoveryResponse, StartView,
    StartViewChange,
};
use vr::{
    ClientAddress, Configuration, Ignored, Incarnation, Instant, MessageKind, Options, Payload, RarePath,
    Replica, ReplicaId, Request, RequestBody, RequestNumber, Role, Rules, Standard, View,
};

struct Group<R: Rules> {
    replicas: Vec<Replica<Counter, R>>,
    network: Network<Counter>,
    rules: R,
    size: Configuration,
    now: u64,
    /// What does not arrive.
    is_lost: fn(&Sent<Counter>) -> bool,
}

impl<R: Rules + Copy> Group<R> {
    fn new(size: usize, rules: R) -> Self {
        let size = Configuration::new(size).expect("a valid size");
        let start = |id| member(id, size, Options::default());
        let replica = |id| Replica::new(Instant(0), start(id), rules, Counter::default());
        let replicas = size.members().map(replica).collect();
        Self { replicas, network: Network::default(), rules, size, now: 0, is_lost: |_| false }
    }

    fn at(&mut self, milliseconds: u64) -> &mut Self {
        self.now = milliseconds * MILLISECOND;
        self
    }

    fn time_out(&mut self, replica: u8) {
        self.replicas[usize::from(replica)].on_timeout(Instant(self.now), &mut self.network);
    }

    fn request(&mut self, replica: u8, request: &Arc<Request<u64>>) {
        let request = Arc::clone(request);
        self.replicas[usize::from(replica)].on_request(Instant(self.now), request, &mut self.network);
    }

    fn crash(&mut self, replica: u8, incarnation: u64) {
        let member = member(ReplicaId(replica), self.size, Options::default());
        let (now, incarnation) = (Instant(self.now), Incarnation(incarnation));
        self.replicas[usize::from(replica)] =
            Replica::recover(now, member, incarnation, self.rules, Counter::default(), &mut self.network);
    }

    /// Takes the messages of a kind to one of `to` off the network.
    fn take(&mut self, kind: MessageKind, from: &[u8], to: &[u8]) -> Vec<Sent<Counter>> {
        self.network.take(kind, |sender, receiver| from.contains(&sender) && to.contains(&receiver))
    }

    /// Delivers the messages of a kind between these replicas; says how many there were.
    fn deliver(&mut self, kind: MessageKind, from: &[u8], to: &[u8]) -> usize {
        let messages = self.take(kind, from, to);
        let count = messages.len();
        self.hand_over(messages);
        count
    }

    fn hand_over(&mut self, messages: Vec<Sent<Counter>>) {
        let is_lost = self.is_lost;
        for (to, message) in messages.into_iter().filter(|sent| !is_lost(sent)) {
            self.replicas[to.index()].on_message(Instant(self.now), message, &mut self.network);
        }
    }

    fn lose_the_rest(&mut self) {
        self.network.messages.clear();
    }

    fn role(&self, replica: u8) -> (Role, View) {
        let replica = &self.replicas[usize::from(replica)];
        (replica.role(), replica.view())
    }

    fn views(&self) -> Vec<u64> {
        self.replicas.iter().map(|replica| replica.view().0).collect()
    }

    /// Lets everything happen up to a time, with a delay in microseconds for each pair of replicas.
    fn run_until(&mut self, milliseconds: u64, delay: impl Fn(u8, u8) -> u64) {
        let end = milliseconds * MILLISECOND;
        let mut travelling = BTreeMap::new();
        let mut sequence = 0;
        loop {
            for (to, message) in self.network.messages.drain(..) {
                sequence += 1;
                let at = self.now + delay(message.from.0, to.0) * 1_000;
                travelling.insert((at, sequence), (to, message));
            }
            let deadlines = self.replicas.iter().map(|replica| replica.next_deadline().0);
            let (deadline, replica) = deadlines.zip(0..).min().expect("a replica");
            let deadline = deadline.max(self.now);
            match travelling.first_key_value() {
                Some((&(at, _), _)) if at <= deadline => {
                    if at > end {
                        break;
                    }
                    self.now = at;
                    let (_, message) = travelling.pop_first().expect("there is one");
                    self.hand_over(vec![message]);
                }
                _ if deadline > end => break,
                _ => {
                    self.now = deadline;
                    self.time_out(replica);
                }
            }
        }
        self.now = end;
    }
}

fn near(_: u8, _: u8) -> u64 {
    500
}

fn addition(number: u64) -> Arc<Request<u64>> {
    Arc::new(Request { address: CLIENT, body: operation(RequestNumber(number), 1) })
}

/// What voters know of crashes is not learned from their votes.
#[derive(Clone, Copy)]
struct CrashesAreNotPassedOn;

impl Rules for CrashesAreNotPassedOn {
    fn learns_incarnations_from_others(&self) -> bool {
        false
    }
}

/// Five replicas, of which never more than one is without its memory.
///
/// 1. r1, r2 and r3 propose view 1; only r2 hears the others, and enters. Its DoViewChange to r1 is slow.
/// 2. r2 crashes, and recovers into view 0 from r0, r3 and r4. Its Recovery to r1 is lost.
/// 3. r0 commits with r2 and r4.
/// 4. r2's old vote reaches r1, which enters view 1; r3 hears of that, and votes. It knows of r2's crash, and
///    with its vote r1 must learn that r2's is void: otherwise view 1 starts without what was committed.
fn votes_of_a_crashed_replica_and_of_one_that_knows<R: Rules + Copy>(rules: R) -> Group<R> {
    let mut group = Group::new(5, rules);
    group.at(130);
    for replica in [1, 2, 3] {
        group.time_out(replica);
    }
    group.deliver(StartViewChange, &[1, 3], &[2]);
    let vote = group.take(DoViewChange, &[2], &[1]);
    assert_eq!(vote.len(), 1);
    group.lose_the_rest();

    group.crash(2, 1);
    group.deliver(Recovery, &[2], &[0, 3, 4]);
    group.deliver(RecoveryResponse, &[0, 3, 4], &[2]);
    assert_eq!(group.role(2), (Role::Backup, View(0)));
    group.lose_the_rest();

    group.request(0, &register());
    group.deliver(Prepare, &[0], &[2, 4]);
    group.deliver(PrepareOk, &[2, 4], &[0]);
    assert_eq!(group.replicas[0].commit_number().0, 1, "committed, and the client was told");
    group.lose_the_rest();

    group.hand_over(vote);
    assert_eq!(group.role(1), (Role::ViewChange, View(1)));
    group.deliver(StartViewChange, &[1], &[3]);
    assert_eq!(group.deliver(DoViewChange, &[3], &[1]), 1);
    group
}

/// Whoever hears that others have entered the next view follows, and ignores nothing; who is there already does.
#[test]
fn a_start_view_change_is_ignored_where_nothing_comes_of_it() {
    let mut group = Group::new(5, Standard);
    group.at(130);
    for replica in [1, 2, 3] {
        group.time_out(replica);
    }
    group.deliver(StartViewChange, &[1, 3], &[2]);
    let mut entered = group.take(StartViewChange, &[2], &[3, 4]);
    entered.retain(|(_, message)| message.view == View(1));
    assert_eq!(entered.len(), 2);
    group.hand_over(entered.clone());
    assert_eq!([3, 4].map(|replica| group.role(replica)), [(Role::ViewChange, View(1)); 2]);
    assert_eq!(group.network.ignored, []);
    group.hand_over(entered);
    assert_eq!(group.network.ignored, [Ignored::AlreadyInThatView; 2]);
}

#[test]
fn a_vote_tells_who_has_crashed() {
    let group = votes_of_a_crashed_replica_and_of_one_that_knows(Standard);
    assert_eq!(group.role(1), (Role::ViewChange, View(1)));
    assert!(group.network.took(RarePath::StaleVoteDiscarded));
}

#[test]
fn not_to_learn_that_from_votes_would_lose_a_committed_operation() {
    let group = votes_of_a_crashed_replica_and_of_one_that_knows(CrashesAreNotPassedOn);
    assert_eq!(group.role(1), (Role::Primary, View(1)));
    assert_eq!(group.replicas[1].op_number().0, 0, "the new view has never heard of the operation");
}

/// Answers of replicas that have crashed since count towards a recovery.
#[derive(Clone, Copy)]
struct StaleAnswersCount;

impl Rules for StaleAnswersCount {
    fn answer_still_counts(&self, _: Incarnation, _: Incarnation) -> bool {
        true
    }
}

/// Five replicas, of which never more than two are without their memory.
///
/// 1. r1, r2 and r3 propose view 1; only r2 hears the others, and enters. Its StartViewChange to r3 and its
///    DoViewChange to r1 are slow.
/// 2. r2 crashes. Its Recovery reaches r3 only, whose answer reaches r2.
/// 3. r3 crashes too, and recovers into view 0 from r0, r1 and r4, who have not heard of r2's crash.
/// 4. r2's Recovery reaches r0 and r4. Their answers show that r3 has crashed since it answered.
/// 5. If r2 counts r3's answer all the same, it is back in view 0, and nobody but r0 and r4 knows that its
///    vote for view 1 is void: r0 commits with r2 and r4, and r1 starts view 1 with r2's old vote and r3's.
fn recovery_with_an_answer_of_a_crashed_replica<R: Rules + Copy>(rules: R) -> Group<R> {
    let mut group = Group::new(5, rules);
    group.at(130);
    for replica in [1, 2, 3] {
        group.time_out(replica);
    }
    group.deliver(StartViewChange, &[1, 3], &[2]);
    assert_eq!(group.role(2), (Role::ViewChange, View(1)));
    let vote = group.take(DoViewChange, &[2], &[1]);
    let mut joining = group.take(StartViewChange, &[2], &[3]);
    joining.retain(|(_, message)| message.view == View(1));
    assert_eq!((vote.len(), joining.len()), (1, 1));
    group.lose_the_rest();

    group.crash(2, 1);
    assert_eq!(group.deliver(Recovery, &[2], &[3]), 1);
    assert_eq!(group.deliver(RecoveryResponse, &[3], &[2]), 1);
    let slow = group.take(Recovery, &[2], &[0, 4]);
    group.lose_the_rest();

    group.crash(3, 1);
    group.deliver(Recovery, &[3], &[0, 1, 4]);
    group.deliver(RecoveryResponse, &[0, 1, 4], &[3]);
    assert_eq!(group.role(3), (Role::Backup, View(0)));

    group.hand_over(slow);
    assert_eq!(group.deliver(RecoveryResponse, &[0, 4], &[2]), 2);
    group.lose_the_rest();

    group.request(0, &register());
    group.deliver(Prepare, &[0], &[2, 4]);
    group.deliver(PrepareOk, &[2, 4], &[0]);
    group.lose_the_rest();
    group.hand_over(joining);
    group.hand_over(vote);
    group.deliver(DoViewChange, &[3], &[1]);
    group
}

#[test]
fn a_recovery_does_not_count_the_answer_of_a_replica_that_has_crashed_since() {
    let group = recovery_with_an_answer_of_a_crashed_replica(Standard);
    assert_eq!(group.role(2).0, Role::Recovering);
    assert!(group.network.took(RarePath::StaleAnswerDiscarded));
    assert_eq!(group.replicas[0].commit_number().0, 0, "with one acknowledgement nothing is committed");
}

#[test]
fn counting_such_an_answer_would_lose_a_committed_operation() {
    let mut group = recovery_with_an_answer_of_a_crashed_replica(StaleAnswersCount);
    assert_eq!(group.role(2), (Role::Backup, View(0)));
    assert_eq!(group.replicas[0].commit_number().0, 1, "committed, and the client was told");
    assert_eq!(group.role(1), (Role::Primary, View(1)));
    assert_eq!(group.replicas[1].op_number().0, 0, "and the next view has never heard of it");
    assert!(group.take(StartView, &[1], &[0]).len() == 1);
}

/// 1. r4, in view 0, holds an uncommitted op 1 and misses op 2; it asks for what comes after op 1.
/// 2. r1, r2 and r3 start view 1 without either.
/// 3. r4's question reaches r1, which has nothing after op 1, in view 1.
///
/// Taken for the log of view 1, that answer would put r4 into view 1 with an op 1 that view 1 never had.
#[test]
fn an_answer_about_the_own_view_is_not_taken_for_the_log_of_a_later_view() {
    let mut group = Group::new(5, Standard);
    for address in 1..=3 {
        group.request(0, &Arc::new(Request { address: ClientAddress(address), body: RequestBody::Register }));
    }
    let prepares = group.take(Prepare, &[0], &[4]);
    group.lose_the_rest();
    group.hand_over(vec![prepares[0].clone(), prepares[2].clone()]);
    assert_eq!(group.replicas[4].op_number().0, 1);
    group.lose_the_rest();
    // The primary does not answer, so r4 asks r1 next.
    group.at(30).time_out(4);
    group.lose_the_rest();
    group.at(100).time_out(4);
    let question = group.take(GetState, &[4], &[1]);
    assert_eq!(question.len(), 1);
    group.lose_the_rest();

    group.at(130);
    for replica in [1, 2, 3] {
        group.time_out(replica);
    }
    for kind in [StartViewChange, StartViewChange, DoViewChange, StartView] {
        group.deliver(kind, &[1, 2, 3], &[1, 2, 3]);
    }
    assert_eq!(group.role(1), (Role::Primary, View(1)));
    group.lose_the_rest();

    group.hand_over(question);
    assert_eq!(group.deliver(NewState, &[1], &[4]), 1);
    assert_eq!(group.role(4), (Role::Backup, View(0)));
    assert!(group.network.ignored.contains(&Ignored::LateNewState));
}

/// The primary's answer, with the whole log, takes longer than those of the others, who suffice.
#[test]
fn a_recovery_completes_however_far_away_the_primary_is() {
    for (size, delay) in [(3, 17), (4, 17), (5, 10), (5, 40), (7, 100)] {
        let mut group = Group::new(size, Standard);
        let far = |from, to| if from == 0 || to == 0 { delay * 1_000 } else { 500 };
        group.run_until(1_000, far);
        group.crash(2, 1);
        group.run_until(11_000, far);
        assert_eq!(group.role(2).0, Role::Backup, "group of {size}, primary {delay} ms away");
        assert!(!group.network.paths.contains(&RarePath::ProposedForRecovery), "a slow primary is not deaf");
    }
}

#[test]
fn a_late_copy_of_a_superseded_request_deposes_nobody() {
    let mut group = Group::new(3, Standard);
    group.request(0, &register());
    group.run_until(50, near);
    for number in [1, 2] {
        group.request(0, &addition(number));
        group.run_until(50 + 50 * number, near);
    }
    group.run_until(1_000, near);
    for backup in [1, 2] {
        group.request(backup, &addition(1));
    }
    group.run_until(3_000, near);
    assert_eq!(group.views(), [0, 0, 0]);
}

#[test]
fn the_retry_of_a_request_in_the_log_deposes_nobody() {
    let mut group = Group::new(3, Standard);
    group.run_until(10, near);
    group.request(0, &register());
    group.now = 10 * MILLISECOND;
    // The Prepare has arrived, what is committed is not known yet.
    assert_eq!(group.deliver(Prepare, &[0], &[1, 2]), 2);
    for backup in [1, 2] {
        group.request(backup, &register());
    }
    group.run_until(3_000, near);
    assert_eq!(group.views(), [0, 0, 0]);
}

#[test]
fn a_request_that_the_primary_does_not_take_makes_the_backups_propose_another() {
    let mut group = Group::new(3, Standard);
    group.run_until(10, near);
    for backup in [1, 2] {
        group.request(backup, &register());
    }
    // The primary is deaf to requests, also to those that are passed on.
    group.take(MessageKind::Request, &[1, 2], &[0]);
    group.run_until(3_000, near);
    assert!(group.network.took(RarePath::ProposedForClient));
    assert_eq!(group.views(), [1, 1, 1]);
}

/// A primary that hears nobody, in a group with nothing to do: all that it says is heard, so nobody suspects it, and
/// it misses no acknowledgements. But nobody else can bring a replica back into its view.
#[test]
fn a_deaf_primary_of_an_idle_group_is_replaced_for_the_sake_of_a_recovery() {
    for size in [5, 6, 7] {
        let mut group = Group::new(size, Standard);
        let deaf = |_: u8, to: u8| if to == 0 { 3_600_000_000 } else { 500 };
        group.run_until(50, deaf);
        group.crash(2, 1);
        group.run_until(10_000, deaf);
        assert_eq!(group.role(2), (Role::Backup, View(1)), "group of {size}");
        assert!(group.network.paths.contains(&RarePath::ProposedForRecovery));
    }
}

/// What a primary answers to a recovery: too large for a link, say, that lets all else through.
fn is_state_for_recovery((_, message): &Sent<Counter>) -> bool {
    matches!(&message.payload, Payload::RecoveryResponse(response) if response.state.is_some())
}

/// No view brings it back, so it is less and less often that one is left for its sake.
#[test]
fn a_replica_that_cannot_recover_costs_fewer_and_fewer_views() {
    let mut group = Group::new(5, Standard);
    group.run_until(50, near);
    group.crash(4, 1);
    group.is_lost = is_state_for_recovery;
    let mut views = Vec::new();
    for doublings in 0..6 {
        group.run_until(30_000 << doublings, near);
        views.push(group.views()[0]);
    }
    // As long again as it has taken so far: one view more or two, and the one that would be r4's own.
    assert!(views[0] <= 6 && views.windows(2).all(|pair| pair[1] <= pair[0] + 3), "{views:?}");
    // Whoever comes back in another incarnation has not waited yet.
    let before = views[5];
    group.crash(4, 2);
    group.run_until(965_000, near);
    assert_eq!(group.views()[0], before + 1);
    // And it is the others who wait: once it hears, it recovers.
    group.is_lost = |_| false;
    group.run_until(968_000, near);
    assert_eq!(group.role(4), (Role::Backup, View(before + 1)));
}

#[test]
fn a_recovering_replica_that_hears_nobody_costs_no_view() {
    let mut group = Group::new(5, Standard);
    group.run_until(50, near);
    group.crash(4, 1);
    let deaf = |_: u8, to: u8| if to == 4 { 3_600_000_000 } else { 500 };
    group.run_until(600_000, deaf);
    assert_eq!(group.views(), [0; 5]);
}

/// r6 has tried to recover for a while when r0 dies. Of its first attempt in view 1 the answer is lost. Whether it is the
/// first thing that is heard of r6 in that view, or comes after a late copy of an earlier attempt:
#[test]
fn one_lost_answer_to_a_recovery_costs_no_view() {
    lose_one_answer_to_a_recovery(false);
    lose_one_answer_to_a_recovery(true);
}

fn lose_one_answer_to_a_recovery(after_copies: bool) {
    let mut group = Group::new(7, Standard);
    group.run_until(50, near);
    group.crash(6, 1);
    let copies = group.network.messages.clone();
    group.is_lost = |sent| {
        let attempt = match &sent.1.payload {
            Payload::RecoveryResponse(response) => response.nonce.attempt,
            _ => 0,
        };
        is_state_for_recovery(sent) && attempt <= 6
    };
    group.run_until(1_100, near);
    let dead = |from: u8, to: u8| if from == 0 || to == 0 { 3_600_000_000 } else { 500 };
    group.run_until(1_500, dead);
    assert_eq!(group.role(1), (Role::Primary, View(1)));
    if after_copies {
        group.hand_over(copies);
    }
    group.run_until(6_000, dead);
    assert!(!group.network.took(RarePath::ProposedForRecovery));
    assert_eq!((group.role(1), group.role(6)), ((Role::Primary, View(1)), (Role::Backup, View(1))));
}

#[test]
fn late_copies_of_a_recovery_depose_nobody() {
    let mut group = Group::new(3, Standard);
    group.run_until(50, near);
    group.crash(0, 1);
    let copies = group.network.messages.clone();
    group.run_until(1_000, near);
    group.crash(1, 1);
    group.run_until(2_000, near);
    group.crash(2, 1);
    group.run_until(3_000, near);
    assert_eq!(group.role(0), (Role::Primary, View(3)));
    group.hand_over(copies);
    group.run_until(4_000, near);
    assert_eq!(group.views(), [3, 3, 3]);
    assert!(group.network.ignored.contains(&Ignored::RecoveredSince));
}

/// However many primaries in a row are dead, the view after the last of them starts.
#[test]
fn dead_primaries_in_a_row_are_skipped() {
    let mut group = Group::new(7, Standard);
    group.run_until(50, near);
    // r0 to r2 are down for good: nothing from or to them gets through.
    let dead = |from: u8, to: u8| if from < 3 || to < 3 { 3_600_000_000 } else { 500 };
    group.run_until(20_000, dead);
    for replica in 3..7 {
        assert_eq!(group.role(replica).1, View(3), "r{replica}");
    }
}

/// A replica that can send but not hear proposes for ever, and deposes nobody.
#[test]
fn a_deaf_replica_deposes_nobody() {
    let mut group = Group::new(5, Standard);
    let deaf = |_: u8, to: u8| if to == 4 { 3_600_000_000 } else { 500 };
    group.run_until(5_000, deaf);
    assert_eq!(group.views(), [0, 0, 0, 0, 0]);
    group.request(0, &register());
    group.run_until(6_000, deaf);
    assert_eq!(group.replicas[0].commit_number().0, 1);
}

/// A primary that nobody can answer gives up, so that somebody else can take over.
#[test]
fn a_primary_without_acknowledgements_abdicates() {
    let mut group = Group::new(3, Standard);
    let mute = |_: u8, to: u8| if to == 0 { 3_600_000_000 } else { 500 };
    group.run_until(50, mute);
    group.request(0, &register());
    group.run_until(3_000, mute);
    assert!(group.network.took(RarePath::Abdicated));
    assert_eq!((group.role(1), group.role(2)), ((Role::Primary, View(1)), (Role::Backup, View(1))));
}
