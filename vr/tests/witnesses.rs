//! Witnesses: what they do and do not, in exact schedules and over whole runs.

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::Counter;
use common::nodes::Nodes;
use vr::{
    ClientAddress, ClientId, Configuration, Consistency, Freshness, Instant, MessageKind, OpNumber, Options,
    Payload, Prepare, RarePath, Read, Refusal, Replica, ReplicaId, Reply, ReplyBody, Request, RequestNumber,
    Role, Standard,
};

fn group(ids: &[u8], witnesses: &[u8]) -> Configuration {
    common::group(ids).with_witnesses(witnesses.iter().copied().map(ReplicaId)).expect("not too many")
}

/// A checkpoint after every fourth operation, and no more of the log than that needs.
fn tiny_checkpoints() -> Options {
    Options { checkpoint_interval: 4, log_margin: 0, suffix_margin: 0, ..Options::default() }
}

/// Three, of which the last is a witness.
fn three(options: Options) -> Nodes {
    Nodes::new(3, group(&[0, 1, 2], &[2]), options)
}

impl Nodes {
    /// What the client is answered, by whoever is primary, within a while.
    fn add(&mut self, amount: u64) -> u64 {
        let request = self.addition(amount);
        let asked = RequestNumber(self.requests);
        for _ in 0..100 {
            for id in 0..self.replicas.len() as u8 {
                let is_up = self.replicas[usize::from(id)].is_some() && !self.cut.contains(&id);
                if is_up && self.replica(id).role() == Role::Primary {
                    self.ask(id, &request);
                }
            }
            self.run(30);
            let answer = self.network.replies.drain(..).find_map(|(_, reply)| match reply {
                ReplyBody::Executed { number, response, .. } if number == asked => Some(response),
                _ => None,
            });
            if let Some(answer) = answer {
                return answer;
            }
        }
        panic!("no answer: {:?}", self.describe());
    }

    fn reconfigure(&mut self, primary: u8, epoch: u64, members: Configuration) -> Option<ReplyBody<u64>> {
        let previous = self.replica(primary).group();
        let request = self.reconfiguration(epoch, previous, members);
        let answer = self.ask(primary, &request);
        self.run(400);
        answer
    }

    fn describe(&self) -> Vec<String> {
        let one = |replica: &Option<Replica<Counter>>| match replica {
            None => "down".to_owned(),
            Some(replica) => format!(
                "{:?} view {} log {}..={} commit {}",
                replica.role(),
                replica.view(),
                replica.log().start(),
                replica.op_number(),
                replica.commit_number()
            ),
        };
        self.replicas.iter().map(one).collect()
    }

    fn start_of_log(&mut self, id: u8) -> u64 {
        self.replica(id).log().start().0
    }

    fn state(&mut self, id: u8) -> u64 {
        self.replica(id).service().0
    }
}

#[test]
fn a_witness_holds_the_log_and_executes_nothing() {
    let mut nodes = three(tiny_checkpoints());
    let sums: Vec<_> = (1..=10).map(|amount| nodes.add(amount)).collect();
    assert_eq!(sums.last(), Some(&55));
    nodes.run(100);
    assert_eq!(nodes.replica(2).role(), Role::Witness);
    assert_eq!(nodes.replica(2).commit_number(), nodes.replica(0).commit_number());
    assert_eq!((nodes.state(0), nodes.state(1), nodes.state(2)), (55, 55, 0));
    assert!(nodes.replica(2).client_table().sessions().is_empty() && nodes.replica(2).checkpoint().is_none());
    // Both others have a checkpoint after op 8 of 11.
    assert_eq!(nodes.start_of_log(2), 8);
}

#[test]
fn its_log_is_enough_when_the_primary_is_gone() {
    let mut nodes = three(tiny_checkpoints());
    nodes.add(1);
    nodes.cut.insert(1);
    (0..20).for_each(|_| _ = nodes.add(1));
    // What r1 lacks the witness keeps: r1 has a checkpoint of nothing.
    assert_eq!(nodes.start_of_log(2), 0);
    assert!(nodes.took(RarePath::WitnessKeepsForLaggard));
    nodes.crash(0);
    nodes.cut.clear();
    assert_eq!(nodes.add(1), 22);
    assert_eq!((nodes.replica(1).role(), nodes.replica(2).role()), (Role::Primary, Role::Witness));
    assert!(nodes.took(RarePath::WitnessLogAdopted));
}

#[test]
fn the_views_of_witnesses_are_left_out() {
    let mut nodes = Nodes::new(5, group(&[0, 1, 2, 3, 4], &[1, 3]), Options::default());
    for _ in 0..6 {
        nodes.add(1);
        let primary = (0..5).find(|&id| nodes.replica(id).role() == Role::Primary).expect("a primary");
        assert!([0, 2, 4].contains(&primary));
        nodes.cut = BTreeSet::from([primary]);
        nodes.run(600);
        nodes.cut.clear();
        nodes.run(200);
    }
    let views: Vec<_> = (0..5).map(|id| nodes.replica(id).view().0).collect();
    assert!(views.iter().all(|&view| view == views[0] && view >= 4), "{views:?}");
}

#[test]
fn clients_are_sent_to_the_primary() {
    let mut nodes = three(Options::default());
    let request = nodes.addition(3);
    assert_eq!(nodes.ask(2, &request), Some(ReplyBody::NotPrimary));
    assert_eq!(nodes.take(MessageKind::Request, &[2], &[0]).len(), 1, "the primary gets it all the same");
    nodes.ask(0, &request);
    nodes.run(60);
    // It was executed: the witness knows of no answer.
    assert_eq!(nodes.ask(2, &request), Some(ReplyBody::NotPrimary));
    for freshness in [Freshness::Linearizable, Freshness::Causal(OpNumber(1))] {
        let read = Read { address: ClientAddress(9), number: RequestNumber(1), operation: 0, freshness };
        let now = Instant(nodes.now);
        nodes.network.replies.clear();
        let Nodes { replicas, network, .. } = &mut nodes;
        replicas[2].as_mut().expect("it is up").on_read(now, Arc::new(read), network);
        assert_eq!(nodes.answer(), Some(ReplyBody::NotPrimary));
    }
}

#[test]
fn a_client_asks_no_witness_for_a_causal_read() {
    struct Sent(Vec<ReplicaId>);
    impl vr::ClientOutbox<u64> for Sent {
        fn send(&mut self, to: ReplicaId, _: Arc<Request<u64>>) {
            self.0.push(to);
        }
        fn send_read(&mut self, to: ReplicaId, _: Arc<Read<u64>>) {
            self.0.push(to);
        }
    }
    let (mut sent, three) = (Sent(Vec::new()), group(&[0, 1, 2], &[2]));
    let mut client =
        vr::Client::<u64>::new(ClientAddress(1), three, vr::ClientOptions::default(), Standard, 1);
    client.register(Instant(0), &mut sent);
    let view = vr::View(1);
    let body = ReplyBody::<u64>::Registered { client: ClientId(1) };
    client.on_reply(Instant(1), Reply { from: ReplicaId(1), view, body }, &mut sent);
    client.read(Instant(2), 0, Consistency::Causal { from: ReplicaId(2) }, &mut sent).expect("a session");
    assert_eq!(sent.0, [ReplicaId(0), ReplicaId(1)], "view 1 is r1's");
}

#[test]
fn an_acknowledgement_vouches_for_what_is_held() {
    let mut nodes = three(Options::default());
    nodes.cut.insert(1);
    let (first, second) = (nodes.addition(1), nodes.addition(2));
    nodes.ask(0, &first);
    let lost = nodes.take(MessageKind::Prepare, &[0], &[2]);
    nodes.ask(0, &second);
    let prepare = nodes.take(MessageKind::Prepare, &[0], &[2]).remove(0);
    assert!(matches!(&prepare.1.payload, Payload::Prepare(Prepare { op_number: OpNumber(3), .. })));
    nodes.hand_over(prepare);
    let (_, said) = nodes.take(MessageKind::PrepareOk, &[2], &[0]).remove(0);
    assert!(matches!(said.payload, Payload::PrepareOk(ok) if ok.op_number == OpNumber(1)));
    lost.into_iter().for_each(|sent| nodes.hand_over(sent));
    let (_, said) = nodes.take(MessageKind::PrepareOk, &[2], &[0]).remove(0);
    assert!(matches!(said.payload, Payload::PrepareOk(ok) if ok.op_number == OpNumber(3)));
}

#[test]
fn a_witness_that_has_lost_its_memory_gets_the_log_again_from_where_it_is_needed() {
    let mut nodes = three(tiny_checkpoints());
    (0..20).for_each(|_| _ = nodes.add(1));
    nodes.run(100);
    nodes.crash(2);
    nodes.restart(2);
    nodes.run(200);
    assert_eq!(nodes.replica(2).role(), Role::Witness);
    assert!(nodes.took(RarePath::WitnessBeganLater) && nodes.start_of_log(2) > 0, "without a checkpoint");
    assert_eq!(nodes.replica(2).commit_number(), nodes.replica(0).commit_number());
    // And it counts: r1 goes on with it.
    nodes.crash(0);
    assert_eq!(nodes.add(1), 21);
}

#[test]
fn actives_keep_for_a_witness_what_another_active_lacks() {
    let mut nodes = Nodes::new(5, group(&[0, 1, 2, 3, 4], &[3, 4]), tiny_checkpoints());
    nodes.add(1);
    nodes.cut = BTreeSet::from([2, 4]);
    (0..30).for_each(|_| _ = nodes.add(1));
    assert_eq!([0, 1, 3].map(|id| nodes.start_of_log(id)), [0; 3], "r2 lacks all of it");
    // Who was with the others is gone, and who is left has missed everything.
    nodes.crash(3);
    nodes.cut = BTreeSet::from([2]);
    assert_eq!(nodes.add(1), 32);
    nodes.cut.clear();
    nodes.run(300);
    nodes.add(1);
    nodes.run(300);
    assert!([0, 1, 2, 4].iter().all(|&id| nodes.start_of_log(id) >= 24), "{:?}", nodes.describe());
    assert_eq!([0, 1, 2].map(|id| nodes.state(id)), [33; 3]);
}

#[test]
fn an_active_member_goes_on_from_a_checkpoint_and_keeps_the_log_before_it() {
    let mut nodes = Nodes::new(5, group(&[0, 1, 2, 3, 4], &[3, 4]), tiny_checkpoints());
    (0..9).for_each(|_| _ = nodes.add(1));
    nodes.run(100);
    nodes.cut = BTreeSet::from([2]);
    (0..20).for_each(|_| _ = nodes.add(1));
    nodes.crash(1);
    nodes.restart(1);
    nodes.run(300);
    assert_eq!(nodes.replica(1).role(), Role::Backup);
    assert!(nodes.took(RarePath::CheckpointAtRecovery), "{:?}", nodes.describe());
    let checkpoint = nodes.replica(1).checkpoint().expect("it began with one").op_number().0;
    assert!(nodes.start_of_log(1) < checkpoint, "{:?}", nodes.describe());
    assert_eq!(nodes.start_of_log(1), nodes.start_of_log(3));
    assert_eq!(nodes.state(1), 29);
}

#[test]
fn a_group_gets_other_witnesses_and_those_who_were_replaced_stop() {
    let mut nodes = Nodes::new(6, group(&[0, 1, 2], &[2]), tiny_checkpoints());
    (0..12).for_each(|_| _ = nodes.add(1));
    nodes.reconfigure(0, 0, group(&[0, 1, 3], &[3]));
    let roles = [0, 1, 2, 3].map(|id| nodes.replica(id).role());
    assert_eq!(roles, [Role::Primary, Role::Backup, Role::Stopped, Role::Witness]);
    nodes.add(1);
    // Who was a witness can come back and be active: it gets the state.
    nodes.reconfigure(0, 1, group(&[0, 2, 3], &[3]));
    let roles = [0, 1, 2, 3].map(|id| nodes.replica(id).role());
    assert_eq!(roles, [Role::Primary, Role::Stopped, Role::Backup, Role::Witness]);
    assert_eq!(nodes.add(1), 14);
    nodes.run(100);
    assert_eq!(nodes.state(2), 14);
    assert!(nodes.took(RarePath::WitnessNoMore));
    // And the other way round.
    nodes.reconfigure(0, 2, group(&[0, 1, 2], &[1]));
    assert_eq!(nodes.replica(1).role(), Role::Witness);
    assert!(nodes.took(RarePath::BecameWitness));
    nodes.crash(0);
    assert_eq!(nodes.add(1), 15);
    assert_eq!(nodes.state(2), 15);
}

#[test]
fn nobody_stops_on_the_word_of_a_witness() {
    let mut nodes = Nodes::new(5, group(&[0, 1, 2], &[2]), tiny_checkpoints());
    (0..12).for_each(|_| _ = nodes.add(1));
    nodes.cut.insert(3);
    nodes.reconfigure(0, 0, group(&[0, 3, 4], &[4]));
    // The new group works, by r0 and the witness. If r0 failed, r3 would need what r1 has.
    assert_eq!(nodes.add(1), 13);
    assert_eq!(nodes.replica(1).role(), Role::Leaving);
    // As long as r3 is to stay, that may still happen.
    for next in [group(&[0, 2, 3], &[2]), group(&[1, 3, 4], &[4])] {
        let refused = nodes.reconfigure(0, 1, next);
        assert!(
            matches!(refused, Some(ReplyBody::Refused { reason: Refusal::NotStarted, .. })),
            "{refused:?}"
        );
    }
    nodes.cut.clear();
    nodes.run(600);
    assert_eq!([1, 2].map(|id| nodes.replica(id).role()), [Role::Stopped; 2]);
    assert_eq!(nodes.replica(3).role(), Role::Backup);
}

/// r3 dies before it has the state, so that nothing is covered any more.
#[test]
fn a_member_that_dies_when_its_epoch_begins_can_be_replaced() {
    let mut nodes = Nodes::new(5, group(&[0, 1, 2], &[2]), tiny_checkpoints());
    (0..12).for_each(|_| _ = nodes.add(1));
    nodes.cut.insert(3);
    nodes.reconfigure(0, 0, group(&[0, 2, 3], &[2]));
    assert_eq!(nodes.add(1), 13);
    assert_eq!(nodes.reconfigure(0, 1, group(&[0, 2, 4], &[2])), None, "it is not refused");
    nodes.run(1_000);
    assert_eq!((nodes.replica(4).role(), nodes.state(4)), (Role::Backup, 13));
    assert_eq!(nodes.role(1), Role::Stopped, "it waits for r3 no more");
    nodes.crash(0);
    assert_eq!(nodes.add(1), 14);
}

#[test]
fn a_member_does_not_change_sides_at_once() {
    let mut nodes = three(Options::default());
    let refused = nodes.reconfigure(0, 0, group(&[0, 1, 2], &[1]));
    assert!(matches!(refused, Some(ReplyBody::Refused { reason: Refusal::OtherSide, .. })), "{refused:?}");
    let refused = nodes.reconfigure(0, 0, group(&[0, 1, 2], &[]));
    assert!(matches!(refused, Some(ReplyBody::Refused { reason: Refusal::OtherSide, .. })), "{refused:?}");
}

#[test]
fn what_a_quorum_of_active_members_has_is_covered() {
    use vr::Rules as _;
    let covered = |members: &[u8], witnesses: &[u8], checkpoints: &[u64]| {
        let checkpoints: Vec<_> = checkpoints.iter().copied().map(OpNumber).collect();
        Standard.covered(group(members, witnesses), &checkpoints).0
    };
    assert_eq!(covered(&[0, 1, 2], &[2], &[9, 4]), 4, "every one");
    assert_eq!(covered(&[0, 1, 2, 3, 4], &[3, 4], &[9, 7, 2]), 2, "every one");
    assert_eq!(covered(&[0, 1, 2, 3, 4], &[4], &[9, 7, 6, 2]), 6, "as many as meet every quorum of votes");
    assert_eq!(covered(&[0, 1, 2, 3], &[3], &[9, 7, 2]), 2);
}
