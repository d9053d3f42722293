//! Each check is shown something that it must reject. (Most of them also reject planted bugs: see
//! `sim selftest`. These are the ones that other checks beat to it, and the shapes that no bug has.)

use std::sync::Arc;

use vr::{
    ClientAddress, ClientId, Commit, CommitNumber, DoViewChange, Entry, Execution, Incarnation, Log, Message,
    Nonce, OpNumber, Outcome, Payload, Recovery, RecoveryResponse, Registration, ReplicaId, Reply, ReplyBody,
    Request, RequestBody, RequestNumber, Role, View, ViewStart,
};

use super::liveness::{self, Liveness, Seen, Unfinished};
use super::{Checks, Property};
use crate::groups::Placement;
use crate::scenario::{Overrides, Scenario};
use crate::setup::Setup;
use crate::workload::Workload;
use crate::workload::key_value::{KeyValue, List, Operation, Response, Store};

const R0: ReplicaId = ReplicaId(0);
const R1: ReplicaId = ReplicaId(1);
const R2: ReplicaId = ReplicaId(2);
const ADDRESS: ClientAddress = ClientAddress(77);

fn setup() -> Setup {
    let overrides = Overrides { replicas: Some(3), ..Overrides::default() };
    Setup { witnesses: 0, ..Scenario::find("calm").expect("built in").resolve(1, &overrides) }
}

fn fresh() -> Checks {
    let setup = setup();
    Checks::new(&setup, &Placement::new(&setup), 0)
}

fn checks() -> Checks {
    let mut checks = fresh();
    checks.registers(0, ADDRESS);
    checks
}

fn found(checks: &Checks) -> Option<Property> {
    checks.findings.first().map(|violation| violation.property)
}

fn registration(view: u64) -> Entry<Operation> {
    let request = Request { address: ADDRESS, body: RequestBody::Register };
    Entry { view: View(view), request: Arc::new(request), predicted: None }
}

fn get(number: u64, key: u64) -> Entry<Operation> {
    let body = RequestBody::Operation {
        client: ClientId(1),
        number: RequestNumber(number),
        operation: Operation::Get { key },
    };
    Entry { view: View(0), request: Arc::new(Request { address: ADDRESS, body }), predicted: None }
}

/// All replicas append `entry` at `op_number`.
fn append_everywhere(checks: &mut Checks, op_number: u64, entry: &Entry<Operation>) {
    for replica in [R0, R1, R2] {
        checks.appended(replica, OpNumber(op_number), entry);
    }
}

fn execute(checks: &mut Checks, replica: ReplicaId, op_number: u64, entry: &Entry<Operation>) {
    let response = Response::Found(List::EMPTY);
    let registered = Registration { client: ClientId(op_number), evicted: None };
    let outcome = match entry.request.body {
        RequestBody::Register => Outcome::Registered(registered),
        _ => Outcome::Executed(&response),
    };
    execute_with(checks, replica, op_number, entry, outcome);
}

fn execute_with(
    checks: &mut Checks,
    replica: ReplicaId,
    op_number: u64,
    entry: &Entry<Operation>,
    outcome: Outcome<'_, Response>,
) {
    let service = KeyValue::service();
    let execution = Execution { op_number: OpNumber(op_number), entry, outcome, service: &service };
    checks.executed::<KeyValue>(replica, &execution);
}

/// A session that was opened at op 1, and its client's request number 1.
fn with_session() -> Checks {
    let mut checks = checks();
    append_everywhere(&mut checks, 1, &registration(0));
    execute(&mut checks, R0, 1, &registration(0));
    checks.requested(0, ADDRESS, 1, &Operation::Get { key: 5 });
    assert_eq!(found(&checks), None);
    checks
}

#[test]
fn s1_different_entries_at_one_op_number() {
    let mut checks = with_session();
    append_everywhere(&mut checks, 2, &get(1, 5));
    execute(&mut checks, R0, 2, &get(1, 5));
    checks.truncated(R1, OpNumber(1));
    checks.appended(R1, OpNumber(2), &get(1, 6));
    execute(&mut checks, R1, 1, &registration(0));
    execute(&mut checks, R1, 2, &get(1, 6));
    assert_eq!(found(&checks), Some(Property::S1));
}

#[test]
fn s3_a_second_primary_of_a_view() {
    let mut checks = checks();
    checks.look_at(R0, Role::Primary, View(0));
    checks.look_at(R1, Role::Primary, View(0));
    assert_eq!(found(&checks), Some(Property::S3));
}

#[test]
fn s3_a_primary_that_is_primary_of_the_same_view_in_its_next_life() {
    let mut checks = checks();
    checks.look_at(R0, Role::Primary, View(0));
    checks.crashed(R0);
    checks.restarted(R0, Incarnation(1));
    checks.look_at(R0, Role::Primary, View(0));
    assert_eq!(found(&checks), Some(Property::S3));
}

#[test]
fn s4_a_view_that_goes_back() {
    let mut checks = checks();
    checks.look_at(R1, Role::ViewChange, View(4));
    checks.look_at(R1, Role::ViewChange, View(3));
    assert_eq!(found(&checks), Some(Property::S4));
}

#[test]
fn s4_does_not_bind_a_replica_that_has_lost_its_memory() {
    let mut checks = checks();
    checks.look_at(R1, Role::ViewChange, View(4));
    checks.crashed(R1);
    checks.restarted(R1, Incarnation(1));
    checks.look_at(R1, Role::ViewChange, View(3));
    assert_eq!(found(&checks), None);
}

/// r1 starts view 1 on the votes of all, each in its first life.
fn view_1_starts(checks: &mut Checks) {
    let votes = [R0, R1, R2].map(|replica| (replica, Incarnation(0)));
    let (op_number, commit_number) = (OpNumber(0), CommitNumber(0));
    checks.view_starts(R1, &ViewStart { view: View(1), votes: &votes, op_number, commit_number });
}

fn recovered_into_view_0(checks: &mut Checks, replica: ReplicaId) {
    checks.crashed(replica);
    checks.restarted(replica, Incarnation(1));
    checks.look_at(replica, Role::Backup, View(0));
}

#[test]
fn s4b_a_voter_that_has_recovered_into_an_earlier_view() {
    let mut checks = checks();
    recovered_into_view_0(&mut checks, R2);
    assert_eq!(found(&checks), None);
    view_1_starts(&mut checks);
    assert_eq!(found(&checks), Some(Property::S4b));
}

#[test]
fn s4b_a_voter_that_recovers_into_an_earlier_view_afterwards() {
    let mut checks = checks();
    view_1_starts(&mut checks);
    assert_eq!(found(&checks), None);
    recovered_into_view_0(&mut checks, R2);
    assert_eq!(found(&checks), Some(Property::S4b));
}

#[test]
fn s9_a_log_that_is_shorter_than_that_of_the_views_start() {
    let mut checks = checks();
    checks.appended(R1, OpNumber(1), &registration(0));
    checks.look_at(R1, Role::Primary, View(1));
    assert_eq!(found(&checks), None);
    checks.look_at(R2, Role::Backup, View(1));
    assert_eq!(found(&checks), Some(Property::S9));
}

fn vote(checks: &mut Checks, last_normal_view: u64, entries: &[Entry<Operation>]) {
    let mut log = Log::default();
    entries.iter().for_each(|entry| _ = log.append(entry.clone()));
    let incarnations = vec![Incarnation(0); 3].into();
    let last_normal_view = View(last_normal_view);
    let vote = DoViewChange { log, last_normal_view, commit_number: CommitNumber(0), incarnations };
    let payload = Payload::DoViewChange(Box::new(vote));
    checks.sent::<Store>(R2, R1, &Message { from: R2, incarnation: Incarnation(0), view: View(1), payload });
}

#[test]
fn s20_votes_that_are_not_honest() {
    let voter = || {
        let mut checks = checks();
        checks.appended(R2, OpNumber(1), &registration(0));
        checks
    };
    let mut honest = voter();
    vote(&mut honest, 0, &[registration(0)]);
    assert_eq!(found(&honest), None);
    for (last_normal_view, entries) in [(1, vec![registration(0)]), (0, vec![]), (0, vec![get(1, 5)])] {
        let mut checks = voter();
        vote(&mut checks, last_normal_view, &entries);
        assert_eq!(found(&checks), Some(Property::S20));
    }
}

#[test]
fn s5_an_op_number_left_out() {
    let mut checks = with_session();
    append_everywhere(&mut checks, 2, &get(1, 5));
    execute(&mut checks, R1, 2, &get(1, 5));
    assert_eq!(found(&checks), Some(Property::S5));
}

#[test]
fn s6_an_entry_after_a_gap() {
    let mut checks = checks();
    checks.appended(R1, OpNumber(2), &registration(0));
    assert_eq!(found(&checks), Some(Property::S6));
}

#[test]
fn s6_an_entry_of_an_earlier_view_after_one_of_a_later() {
    let mut checks = checks();
    checks.appended(R1, OpNumber(1), &registration(3));
    checks.appended(R1, OpNumber(2), &get(1, 5));
    assert_eq!(found(&checks), Some(Property::S6));
}

#[test]
fn s7_an_executed_entry_dropped() {
    let mut checks = with_session();
    checks.truncated(R0, OpNumber(0));
    assert_eq!(found(&checks), Some(Property::S7));
}

#[test]
fn s8_a_commit_that_only_the_primary_holds() {
    let mut checks = checks();
    checks.appended(R0, OpNumber(1), &registration(0));
    execute(&mut checks, R0, 1, &registration(0));
    assert_eq!(found(&checks), Some(Property::S8));
}

#[test]
fn s8_counts_what_a_crashed_replica_held() {
    let mut checks = checks();
    checks.appended(R0, OpNumber(1), &registration(0));
    checks.appended(R1, OpNumber(1), &registration(0));
    checks.crashed(R1);
    execute(&mut checks, R0, 1, &registration(0));
    assert_eq!(found(&checks), None);
}

#[test]
fn s10_two_results_of_one_execution() {
    let mut checks = with_session();
    append_everywhere(&mut checks, 2, &get(1, 5));
    execute(&mut checks, R0, 2, &get(1, 5));
    execute(&mut checks, R1, 1, &registration(0));
    let other = Response::Appended(3);
    execute_with(&mut checks, R1, 2, &get(1, 5), Outcome::Executed(&other));
    assert_eq!(found(&checks), Some(Property::S10));
}

#[test]
fn s11_a_request_executed_twice() {
    let mut checks = with_session();
    for op_number in [2, 3] {
        append_everywhere(&mut checks, op_number, &get(1, 5));
        execute(&mut checks, R0, op_number, &get(1, 5));
    }
    assert_eq!(found(&checks), Some(Property::S11));
}

#[test]
fn s11_a_request_twice_in_the_log_though_executed_once() {
    let mut checks = with_session();
    append_everywhere(&mut checks, 2, &get(1, 5));
    execute(&mut checks, R0, 2, &get(1, 5));
    append_everywhere(&mut checks, 3, &get(1, 5));
    execute_with(&mut checks, R0, 3, &get(1, 5), Outcome::Duplicate);
    assert_eq!(found(&checks), Some(Property::S11));
}

#[test]
fn s12_a_reply_without_a_commit() {
    let mut checks = with_session();
    let body = ReplyBody::Executed {
        client: ClientId(1),
        number: RequestNumber(1),
        op_number: OpNumber(2),
        response: Response::Found(List::EMPTY),
    };
    checks.replied(R0, ADDRESS, &Reply { from: R0, view: View(0), body });
    assert_eq!(found(&checks), Some(Property::S12));
}

#[test]
fn s12_the_session_of_another_client() {
    let mut checks = with_session();
    let body = ReplyBody::<Response>::Registered { client: ClientId(1) };
    checks.replied(R0, ClientAddress(78), &Reply { from: R0, view: View(0), body });
    assert_eq!(found(&checks), Some(Property::S12));
}

#[test]
fn s12_an_eviction_that_did_not_happen() {
    let mut checks = with_session();
    let body = ReplyBody::<Response>::Evicted { client: ClientId(1) };
    checks.replied(R0, ADDRESS, &Reply { from: R0, view: View(0), body });
    assert_eq!(found(&checks), Some(Property::S12));
}

#[test]
fn s13_a_request_left_out() {
    let mut checks = with_session();
    checks.requested(0, ADDRESS, 2, &Operation::Get { key: 5 });
    append_everywhere(&mut checks, 2, &get(2, 5));
    execute(&mut checks, R0, 2, &get(2, 5));
    assert_eq!(found(&checks), Some(Property::S13));
}

#[test]
fn s14_a_request_executed_before_what_was_acknowledged() {
    let mut checks = with_session();
    append_everywhere(&mut checks, 2, &get(1, 5));
    execute(&mut checks, R0, 2, &get(1, 5));
    checks.answered(0, 1, OpNumber(2), &Response::Found(List::EMPTY));
    assert_eq!(found(&checks), None);
    checks.requested(0, ADDRESS, 1, &Operation::Get { key: 5 });
    checks.answered(0, 1, OpNumber(2), &Response::Found(List::EMPTY));
    assert_eq!(found(&checks), Some(Property::S14));
}

#[test]
fn s23_a_message_in_the_name_of_another() {
    let mut checks = checks();
    let payload = Payload::<Store>::Commit(Commit {
        commit_number: CommitNumber(0),
        pulse: None,
        covered: vr::OpNumber::ZERO,
    });
    checks.sent(R1, R0, &Message { from: R2, incarnation: Incarnation(0), view: View(0), payload });
    assert_eq!(found(&checks), Some(Property::S23));
}

fn recovery_message(attempt: u64, answer: bool) -> Message<Store> {
    let nonce = Nonce { incarnation: Incarnation(0), attempt };
    let payload = if answer {
        let incarnations = vec![Incarnation(0); 3].into();
        Payload::RecoveryResponse(Box::new(RecoveryResponse { nonce, incarnations, state: None }))
    } else {
        Payload::Recovery(Recovery { nonce })
    };
    let from = if answer { R0 } else { R1 };
    Message { from, incarnation: Incarnation(0), view: View(0), payload }
}

#[test]
fn s23_an_answer_to_a_recovery_that_was_not_begun() {
    let mut checks = checks();
    checks.sent(R1, R0, &recovery_message(1, false));
    checks.sent(R0, R1, &recovery_message(1, true));
    assert_eq!(found(&checks), None);
    checks.sent(R0, R1, &recovery_message(2, true));
    assert_eq!(found(&checks), Some(Property::S23));
}

#[test]
fn s28_a_registration_that_nobody_asked_for() {
    let mut checks = fresh();
    append_everywhere(&mut checks, 1, &registration(0));
    execute(&mut checks, R0, 1, &registration(0));
    assert_eq!(found(&checks), Some(Property::S28));
}

#[test]
fn s28_a_request_that_nobody_made() {
    let mut checks = with_session();
    append_everywhere(&mut checks, 2, &get(2, 5));
    execute(&mut checks, R0, 2, &get(2, 5));
    assert_eq!(found(&checks), Some(Property::S28));
}

#[test]
fn s28_another_operation_than_was_requested() {
    let mut checks = with_session();
    append_everywhere(&mut checks, 2, &get(1, 6));
    execute(&mut checks, R0, 2, &get(1, 6));
    assert_eq!(found(&checks), Some(Property::S28));
}

fn seen(replica: u8) -> Seen {
    Seen {
        replica,
        role: Some(if replica == 0 { Role::Primary } else { Role::Backup }),
        view: View(2),
        op_number: 9,
        commit_number: 9,
        state: 1,
        fetching: false,
    }
}

/// What is complained of when the time is up with the core in this state.
fn overdue(core: &[Seen], waiting: &[u16]) -> Option<Property> {
    let mut checks = checks();
    let mut liveness = Liveness::new(&setup(), 3, 0, 0, false);
    let bound = liveness.bound();
    liveness.look(bound, core, waiting, &Unfinished::default(), 0, &mut checks.findings);
    found(&checks)
}

#[test]
fn l1_to_l4_when_the_time_is_up() {
    let core = [seen(0), seen(1)];
    assert_eq!(overdue(&core, &[3]), Some(Property::L1));
    assert_eq!(overdue(&[seen(0), Seen { commit_number: 8, ..seen(1) }], &[]), Some(Property::L2));
    assert_eq!(
        overdue(&[seen(0), Seen { role: Some(Role::Recovering), ..seen(1) }], &[3]),
        Some(Property::L3)
    );
    assert_eq!(
        overdue(&[seen(0), Seen { fetching: true, op_number: 8, ..seen(1) }], &[]),
        Some(Property::L4)
    );
}

#[test]
fn the_core_agrees_only_if_it_agrees_on_everything() {
    assert!(Liveness::converged(&[seen(0), seen(1)]));
    for other in [
        Seen { view: View(3), ..seen(1) },
        Seen { op_number: 10, ..seen(1) },
        Seen { commit_number: 8, ..seen(1) },
        Seen { state: 2, ..seen(1) },
        Seen { role: Some(Role::ViewChange), ..seen(1) },
        Seen { role: None, ..seen(1) },
    ] {
        assert!(!Liveness::converged(&[seen(0), other]), "{other:?}");
    }
}

#[test]
fn l5_views_that_go_on_changing() {
    let mut checks = checks();
    let mut liveness = Liveness::new(&setup(), 3, 0, 10, false);
    liveness.look(1, &[seen(0)], &[], &Unfinished::default(), 14, &mut checks.findings);
    assert_eq!(found(&checks), None);
    liveness.look(2, &[seen(0)], &[], &Unfinished::default(), 40, &mut checks.findings);
    assert_eq!(found(&checks), Some(Property::L5));
}

#[test]
fn l5_a_view_change_without_a_crash() {
    let mut checks = checks();
    liveness::steady(R1, View(2), 2, &mut checks.findings);
    assert_eq!(found(&checks), None);
    liveness::steady(R1, View(3), 2, &mut checks.findings);
    assert_eq!(found(&checks), Some(Property::L5));
}

#[test]
fn l9_where_a_fault_has_stayed() {
    let mut checks = checks();
    let mut liveness = Liveness::new(&setup(), 3, 0, 0, true);
    liveness.look(liveness.bound(), &[seen(0)], &[3], &Unfinished::default(), 0, &mut checks.findings);
    assert_eq!(found(&checks), Some(Property::L9));
}

#[test]
fn l6_a_standstill_with_somebody_waiting() {
    let look = |waiting: &[u16]| {
        let mut checks = checks();
        let mut liveness = Liveness::new(&setup(), 3, 0, 0, false);
        // Looks far apart, all before the deadline, show the same.
        let bound = liveness.bound();
        (1..64).for_each(|part| {
            liveness.look(
                bound * part / 64,
                &[seen(0)],
                waiting,
                &Unfinished::default(),
                0,
                &mut checks.findings,
            )
        });
        found(&checks)
    };
    assert_eq!(look(&[1]), Some(Property::L6));
    assert_eq!(look(&[]), None);
}

#[test]
fn s21_a_session_that_is_in_use_makes_room() {
    let (other, third) = (ClientAddress(78), ClientAddress(79));
    let mut checks = with_session();
    for (op_number, address) in [(2, other), (4, third)] {
        checks.registers(0, address);
        let request = Request { address, body: RequestBody::Register };
        let entry = Entry { view: View(0), request: Arc::new(request), predicted: None };
        append_everywhere(&mut checks, op_number, &entry);
        if op_number == 2 {
            execute(&mut checks, R0, 2, &entry);
            append_everywhere(&mut checks, 3, &get(1, 5));
            execute(&mut checks, R0, 3, &get(1, 5));
            assert_eq!(found(&checks), None);
        } else {
            let registered = Registration { client: ClientId(4), evicted: Some(ClientId(1)) };
            execute_with(&mut checks, R0, 4, &entry, Outcome::Registered(registered));
        }
    }
    assert_eq!(found(&checks), Some(Property::S21));
}

/// Three replicas, of which r2 is a witness.
fn checks_with_witness() -> Checks {
    let setup = Setup { witnesses: 1, ..setup() };
    let mut checks = Checks::new(&setup, &Placement::new(&setup), 0);
    checks.registers(0, ADDRESS);
    checks
}

#[test]
fn s25_a_witness_that_executes() {
    let mut checks = checks_with_witness();
    append_everywhere(&mut checks, 1, &registration(0));
    execute(&mut checks, R0, 1, &registration(0));
    assert_eq!(found(&checks), None);
    execute(&mut checks, R2, 1, &registration(0));
    assert_eq!(found(&checks), Some(Property::S25));
}

#[test]
fn s25_a_witness_as_primary() {
    let mut checks = checks_with_witness();
    checks.look_at(R2, Role::Primary, View(2));
    assert_eq!(found(&checks), Some(Property::S25));
}

#[test]
fn s26_a_witness_drops_what_every_active_member_has_executed_and_no_more() {
    for has_executed in [false, true] {
        let mut checks = checks_with_witness();
        append_everywhere(&mut checks, 1, &registration(0));
        execute(&mut checks, R0, 1, &registration(0));
        if has_executed {
            execute(&mut checks, R1, 1, &registration(0));
            // It counts for what it had, until it is back.
            checks.crashed(R1);
        }
        checks.compacted(R2, OpNumber(1));
        assert_eq!(found(&checks), (!has_executed).then_some(Property::S26));
    }
}
