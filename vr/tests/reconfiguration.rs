//! Reconfigurations, in exact schedules and over whole epochs.

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::group;
use common::nodes::Nodes;
use vr::{
    ClientId, Epoch, Instant, MessageKind, Options, RarePath, Refusal, ReplyBody, Request, RequestBody, Role,
    View,
};

/// So many nodes, of which the first three are the first group.
fn nodes(count: u8) -> Nodes {
    Nodes::new(count, group(&[0, 1, 2]), Options::default())
}

impl Nodes {
    fn add(&mut self, to: u8, amount: u64) -> Option<ReplyBody<u64>> {
        let request = self.addition(amount);
        self.ask(to, &request);
        self.run(60);
        self.answer()
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

    fn reconfigure(&mut self, primary: u8, epoch: u64, previous: &[u8], members: &[u8]) -> Arc<Request<u64>> {
        let request = self.reconfiguration(epoch, group(previous), group(members));
        self.ask(primary, &request);
        self.run(400);
        request
    }
}

#[test]
fn the_first_member_makes_room_for_three_new_ones() {
    let mut nodes = nodes(6);
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
    let request = nodes.addition(1);
    assert!(matches!(nodes.ask(0, &request), Some(ReplyBody::NewEpoch(start)) if start.epoch == Epoch(1)));
}

#[test]
fn a_duplicate_is_answered_from_the_table_in_the_new_epoch() {
    let mut nodes = nodes(5);
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
    let mut nodes = Nodes::new(6, group(&[0, 1, 2]), options);
    (0..12).for_each(|_| _ = nodes.add(0, 1));
    nodes.reconfigure(0, 0, &[0, 1, 2], &[3, 4, 5]);
    nodes.agree(&[3, 4, 5], 1, 12);
    assert!(nodes.took(RarePath::CheckpointIntoEpoch));
    assert_eq!([0, 1, 2].map(|id| nodes.role(id)), [Role::Stopped; 3]);
    let check = nodes.body(|number| RequestBody::CheckEpoch { client: ClientId(1), number, epoch: Epoch(1) });
    nodes.ask(3, &check);
    nodes.run(50);
    assert!(matches!(nodes.answer().unwrap(), ReplyBody::Epoch { epoch: Epoch(1), .. }));
}

/// Where clients are busy there is hardly ever room. Who came first comes first, alone or with others in a batch.
#[test]
fn a_reconfiguration_waits_for_its_turn_and_nothing_waits_behind_it() {
    for (batch_max, waiting) in [(1, 0), (3, 2)] {
        let options = Options { pipeline_max: 1, batch_max, ..Options::default() };
        let mut nodes = Nodes::new(4, group(&[0, 1, 2]), options);
        nodes.add(0, 1);
        for _ in 0..=waiting {
            let request = nodes.addition(1);
            assert_eq!(nodes.ask(0, &request), None);
        }
        let request = nodes.reconfiguration(0, group(&[0, 1, 2]), group(&[1, 2, 3]));
        assert_eq!(nodes.ask(0, &request), None, "it waits");
        let later = nodes.addition(1);
        assert_eq!(nodes.ask(0, &later), Some(ReplyBody::TryLater));
        nodes.run(400);
        nodes.agree(&[1, 2, 3], 1, 2 + waiting);
        assert_eq!(nodes.role(0), Role::Stopped);
        assert!(nodes.took(RarePath::ReconfigurationQueued));
        assert_eq!(nodes.took(RarePath::SeveralInABatch), waiting > 1);
    }
}

#[test]
fn what_must_be_refused_is_refused_with_its_reason() {
    let mut nodes = nodes(6);
    let mut refused = |epoch, previous: &[u8], members: &[u8]| {
        let request = nodes.reconfiguration(epoch, group(previous), group(members));
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
    let request = nodes.addition(1);
    assert_eq!(nodes.ask(0, &request), Some(ReplyBody::TryLater), "nothing comes after a Reconfiguration");
    nodes.run(200);
    let request = nodes.reconfiguration(1, group(&[0, 1, 3]), group(&[0, 1, 2]));
    assert!(
        matches!(nodes.ask(0, &request), Some(ReplyBody::Refused { reason: Refusal::NotStarted, .. })),
        "the present epoch has not committed anything"
    );
    let late = nodes.reconfiguration(2, group(&[0, 1, 3]), group(&[0, 1, 2]));
    assert_eq!(nodes.ask(0, &late), Some(ReplyBody::TryLater), "it knows of an epoch that has not come here");
}

#[test]
fn several_in_a_row_and_back_again() {
    let mut nodes = nodes(7);
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
    let mut nodes = nodes(6);
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
    let mut nodes = nodes(5);
    let request = nodes.reconfiguration(0, group(&[0, 1, 2]), group(&[0, 3, 4]));
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
    nodes.restart(0);
    nodes.run(1_000);
    nodes.agree(&[0, 3, 4], 1, 0);
    assert!(nodes.took(RarePath::RecoveryOverEpoch));
    assert_eq!([1, 2].map(|id| nodes.role(id)), [Role::Stopped; 2]);
}

/// r1 has acknowledged in epoch 1 and lost its memory. Those of epoch 0 who have not heard of its end must not bring
/// it back there, or it would join epoch 1 again without what it had acknowledged.
#[test]
fn nobody_recovers_into_an_epoch_that_is_about_to_end() {
    let mut nodes = nodes(5);
    let request = nodes.reconfiguration(0, group(&[0, 1, 2]), group(&[1, 3, 4]));
    nodes.ask(0, &request);
    nodes.deliver(MessageKind::Prepare, &[0], &[1, 2]);
    nodes.network.messages.clear();
    nodes.crash(1);
    nodes.restart(1);
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
    let mut nodes = nodes(4);
    nodes.cut.insert(0);
    for _ in 0..5 {
        let request = nodes.addition(100);
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
    let mut nodes = nodes(4);
    nodes.add(0, 5);
    let Nodes { replicas, network, now, .. } = &mut nodes;
    replicas[3].as_mut().unwrap().warm_up(Instant(*now), network);
    nodes.run(50);
    assert_eq!((nodes.role(3), nodes.replica(3).service().0), (Role::Standby, 5));
    nodes.crash(3);
    nodes.restart(3);
    nodes.run(50);
    assert_eq!((nodes.role(3), nodes.replica(3).service().0), (Role::Standby, 5));
    assert!(nodes.took(RarePath::OutsiderRecovered));
    nodes.reconfigure(0, 0, &[0, 1, 2], &[0, 1, 2, 3]);
    nodes.agree(&[0, 1, 2, 3], 1, 5);
    assert_eq!(nodes.replica(3).view(), View::of(Epoch(1), 0));
}
