//! What the protocol promises of a group to which nothing happens, or one thing: how many messages and how
//! much time that takes. Every message takes the same time here, so most of it can be said exactly.

use std::panic;
use std::sync::Arc;

use serde_json::Value;
use sim::decisions::{Decisions, Done, Healed};
use sim::faults::Action;
use sim::marks::Marks;
use sim::node::Node;
use sim::registry::{self, AnyManner};
use sim::run::{Report, Verdict};
use sim::scenario::{Overrides, Scenario};
use sim::setup::{CrashTarget, PartitionShape, Protocol, Setup};
use vr::{Duration, Options, ReplicaId};

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;
/// How long every message travels.
const DELAY: u64 = MILLISECOND / 2;
/// When the one thing happens.
const THEN: u64 = SECOND;
const CLIENTS: u16 = 4;
/// After everything else.
const NEVER: u64 = 1_000 * SECOND;
/// How long a replica is cut off.
const CUT: u64 = 5 * SECOND;
const SEEDS: std::ops::Range<u64> = 0..5;

/// A group that is left in peace, with what its clients ask for.
struct Peace {
    setup: Arc<Setup>,
    report: Report,
    decisions: Decisions<Value>,
}

impl Peace {
    /// `think_us` is the mean pause of a client between two requests, in microseconds.
    fn new(seed: u64, replicas: u8, steps: u64, think_us: u64) -> Self {
        Self::adjusted(seed, replicas, steps, think_us, |_| {})
    }

    fn adjusted(seed: u64, replicas: u8, steps: u64, think_us: u64, adjust: impl FnOnce(&mut Setup)) -> Self {
        let calm = Scenario::find("calm").expect("built in");
        let overrides = Overrides {
            steps: Some(steps),
            replicas: Some(replicas),
            clients: Some(CLIENTS),
            workload: Some("key-value"),
        };
        let mut setup = calm.resolve(seed, &overrides);
        setup.network.delay_min_us = DELAY / 1_000;
        setup.network.delay_mean_us = 0;
        setup.traffic.think_mean_us = think_us;
        setup.protocol = usual();
        // What the paper promises of reads in the log, and of groups in which everybody has the state.
        (setup.traffic.fast_read_percent, setup.traffic.causal_read_percent) = (0, 0);
        setup.witnesses = 0;
        adjust(&mut setup);
        let setup = Arc::new(setup);
        let (report, trace) = registry::record(&setup, None).expect("a known workload");
        assert_eq!(report.verdict, Verdict::Held);
        Self { setup, report, decisions: trace.decisions }
    }

    /// The same again, with `action` done to it. In the end everybody is to agree.
    fn but(&self, actions: impl IntoIterator<Item = Action>) -> Report {
        self.but_at(actions.into_iter().map(|action| (THEN, action)))
    }

    /// The same again, with actions done to it at their times.
    fn but_at(&self, actions: impl IntoIterator<Item = (u64, Action)>) -> Report {
        let done = |(at, action)| Done { at, when_sent: None, action };
        let healed = self.decisions.healed.as_ref().expect("the faults stopped");
        assert!(healed.at > 2 * THEN, "there is time for it");
        let everybody = Healed { at: healed.at, core: (0..self.setup.replicas).collect(), cut: Vec::new() };
        let script = Decisions {
            actions: actions.into_iter().map(done).collect(),
            healed: Some(everybody),
            ..self.decisions.clone()
        };
        let manner = AnyManner { script: Some(&script), ..AnyManner::default() };
        let recorded = registry::run_any(&self.setup, None, &manner, &mut |_| {}).expect("a known workload");
        let report = recorded.report;
        assert_eq!(report.verdict, Verdict::Held, "{report:#?}");
        report
    }

    /// How many more operations were answered in peace than in `report`, as time that clients waited.
    fn outage(&self, report: &Report) -> u64 {
        let missing = self.report.marks.answered.saturating_sub(report.marks.answered);
        missing * 4 * DELAY / u64::from(CLIENTS)
    }
}

/// The defaults, which the times below are about.
fn usual() -> Protocol {
    let Options { heartbeat_interval, primary_timeout, view_change_timeout, .. } = Options::default();
    let Options { resend_interval, abdication_timeout, backoff_limit, .. } = Options::default();
    let Options { pipeline_max, sessions_max, .. } = Options::default();
    let microseconds = |duration: Duration| duration.0 / 1_000;
    Protocol {
        heartbeat_us: microseconds(heartbeat_interval),
        primary_timeout_us: microseconds(primary_timeout),
        view_change_timeout_us: microseconds(view_change_timeout),
        resend_us: microseconds(resend_interval),
        abdication_us: microseconds(abdication_timeout),
        backoff_limit,
        pipeline_max: pipeline_max as u32,
        sessions_max: sessions_max as u32,
        request_timeout_us: 60_000,
        // What comes from checkpoints is not the paper's to promise: these groups keep their logs whole.
        checkpoint_interval: 0,
        log_margin: 0,
        suffix_margin: 1_000_000,
        // Nor are these: each request is prepared by itself, and read through the log.
        batch_max: 1,
        lease_us: 0,
        clock_drift_ppm: 0,
    }
}

fn count(marks: &Marks, name: &str) -> u64 {
    let found = marks.all().into_iter().find(|(known, _)| known == name);
    found.unwrap_or_else(|| panic!("no mark {name}")).1
}

/// No path was taken that the protocol has for rare occasions, but these.
fn nothing_rare_but(marks: &Marks, expected: &[&str]) {
    let path = |(name, count): (String, u64)| Some((name.strip_prefix("path:")?.to_owned(), count));
    let taken = marks.all().into_iter().filter_map(path).filter(|&(_, count)| count > 0);
    let unexpected: Vec<_> = taken.filter(|(path, _)| !expected.contains(&path.as_str())).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

fn crash(replica: u8, restart_after: u64) -> Action {
    Action::Crash { replica, target: CrashTarget::Random, restart_after }
}

/// These links carry nothing for a while.
fn cut(links: impl IntoIterator<Item = (Node, Node)>, lasts: u64) -> Action {
    Action::Cut { shape: PartitionShape::OneWay, links: links.into_iter().collect(), lasts }
}

fn replica(name: u8) -> Node {
    Node::Replica(ReplicaId(name))
}

/// One replica hears nobody and is heard by nobody, clients included.
fn isolate(alone: u8, replicas: u8, lasts: u64) -> Action {
    let others = (0..replicas).filter(|&other| other != alone).map(replica);
    let others = others.chain((0..CLIENTS).map(Node::Client));
    cut(others.flat_map(|other| [(replica(alone), other), (other, replica(alone))]), lasts)
}

/// Normal operation (paper, section 4.1): four message delays for each request; of messages, the request, the
/// reply, and two for each backup. Nothing is sent twice, nothing goes to waste.
#[test]
fn a_group_in_peace_does_what_is_needed_and_nothing_else() {
    for (seed, replicas) in SEEDS.zip([3, 5, 4, 7, 2]) {
        let peace = Peace::new(seed, replicas, 30_000 * u64::from(replicas), 0);
        let report = peace.but([]);
        let marks = &report.marks;
        let backups = u64::from(replicas) - 1;
        assert_eq!(report.views, 0);
        assert_eq!(report.committed, marks.answered + u64::from(CLIENTS), "each client registers");
        assert_eq!(count(marks, "sent:request"), report.committed);
        assert_eq!(count(marks, "sent:reply"), report.committed);
        assert_eq!(count(marks, "sent:prepare"), backups * report.committed);
        assert_eq!(count(marks, "sent:prepare-ok"), backups * report.committed);
        let heartbeats = count(marks, "sent:commit");
        let expected = backups * (report.time / (20 * MILLISECOND));
        assert!(heartbeats.abs_diff(expected) <= 2 * backups, "{heartbeats} heartbeats, not {expected}");
        for (name, count) in marks.all() {
            let is_needed = ["sent:request", "sent:reply", "sent:prepare", "sent:prepare-ok", "sent:commit"]
                .contains(&name.as_str());
            assert!(is_needed || count == 0, "{name} was reached {count} times");
        }
        let faults_stop = peace.decisions.healed.as_ref().expect("they did").at;
        let possible = u64::from(CLIENTS) * faults_stop / (4 * DELAY);
        assert!(marks.answered + 4 * u64::from(CLIENTS) >= possible, "{} of {possible}", marks.answered);
    }
}

/// Messages that overtake each other cost nothing: what comes too early is kept until what is missing is there.
#[test]
fn nothing_is_fetched_that_is_merely_late() {
    for (seed, replicas) in SEEDS.zip([3, 5, 4, 7, 2]) {
        let peace = Peace::adjusted(seed, replicas, 20_000 * u64::from(replicas), 0, |setup| {
            setup.network.delay_mean_us = 1_000
        });
        let report = peace.but([]);
        nothing_rare_but(&report.marks, &["prepare-kept"]);
        let marks = &report.marks;
        assert_eq!(report.views, 0);
        assert!(count(marks, "path:prepare-kept") > 100);
        assert_eq!(count(marks, "sent:get-state"), 0);
        assert_eq!(count(marks, "sent:prepare"), (u64::from(replicas) - 1) * report.committed);
    }
}

/// A dead primary costs one view change. The backups wait for up to 125 ms, and the clients, which have sent their
/// requests to all for the first time before that, try again after up to 75 ms and 150 ms more.
#[test]
fn a_dead_primary_is_replaced_at_once() {
    for (seed, replicas) in SEEDS.zip([3, 5, 4, 7, 3]) {
        let peace = Peace::new(seed, replicas, 60_000, 0);
        let report = peace.but([crash(0, NEVER)]);
        nothing_rare_but(
            &report.marks,
            &["start-view-sent-again", "recovered-into-later-view", "answered-from-table"],
        );
        assert_eq!(report.views, 1);
        let outage = peace.outage(&report);
        assert!(outage < 230 * MILLISECOND, "{outage} ns");
        assert!(count(&report.marks, "moment:request-retried") <= 2 * u64::from(CLIENTS));
    }
}

/// Messages of a view change may overtake each other: nobody has to send any of them twice.
#[test]
fn a_view_change_does_not_care_for_the_order_of_messages() {
    for seed in 0..12 {
        let peace = Peace::adjusted(seed, 3, 30_000, 10_000, |setup| setup.network.delay_mean_us = 1_000);
        let report = peace.but([crash(0, NEVER)]);
        assert_eq!(report.views, 1);
        assert_eq!(count(&report.marks, "sent:do-view-change"), 1);
    }
}

/// A primary that is back at once has lost its memory: nobody waits for a timeout but the clients, whose first
/// retry comes after up to 75 ms.
#[test]
fn a_primary_that_lost_its_memory_is_replaced_sooner() {
    for (seed, replicas) in SEEDS.zip([3, 5, 4, 7, 3]) {
        let peace = Peace::new(seed, replicas, 60_000, 0);
        let report = peace.but([crash(0, MILLISECOND)]);
        nothing_rare_but(
            &report.marks,
            &["start-view-sent-again", "recovered-into-later-view", "primary-lost-its-memory"],
        );
        assert_eq!(report.views, 1);
        let outage = peace.outage(&report);
        assert!(outage < 80 * MILLISECOND, "{outage} ns");
        let recoveries = count(&report.marks, "sent:recovery");
        let backups = u64::from(replicas) - 1;
        assert!(recoveries <= 2 * backups, "{recoveries} Recoveries sent");
        let prepares = count(&report.marks, "sent:prepare");
        let needed = backups * report.committed;
        assert!(
            prepares <= needed,
            "{prepares} Prepares, not {needed}: what the new view began with was sent again"
        );
    }
}

/// A backup that nobody tells of the start of a view hears of it with the next heartbeat, and fetches its log.
#[test]
fn a_backup_that_missed_the_start_catches_up() {
    for (seed, replicas) in SEEDS.zip([5, 7, 6, 5, 8]) {
        let peace = Peace::new(seed, replicas, 30_000 * u64::from(replicas), 0);
        let last = replicas - 1;
        let report = peace.but([crash(0, MILLISECOND), cut([(replica(1), replica(last))], 5 * MILLISECOND)]);
        nothing_rare_but(
            &report.marks,
            &[
                "start-view-sent-again",
                "recovered-into-later-view",
                "primary-lost-its-memory",
                "caught-up-with-later-view",
            ],
        );
        let marks = &report.marks;
        assert_eq!(report.views, 1);
        assert_eq!(count(marks, "path:caught-up-with-later-view"), 1);
        assert_eq!(count(marks, "sent:get-state"), 1);
        assert_eq!(count(marks, "sent:new-state"), 1);
    }
}

/// A backup that was cut off while a view began in which nothing has happened yet lacks nothing but the view, and is
/// told so.
#[test]
fn a_backup_that_lacks_nothing_but_the_view_is_told() {
    for (seed, replicas) in SEEDS.zip([5, 7, 6, 5, 8]) {
        let peace = Peace::new(seed, replicas, 5_000, NEVER / 1_000);
        let report = peace.but([crash(0, NEVER), isolate(2, replicas, SECOND)]);
        let marks = &report.marks;
        assert_eq!(report.views, 1);
        assert_eq!(count(marks, "path:caught-up-with-later-view"), 1);
        assert_eq!(count(marks, "sent:get-state"), 1);
        assert_eq!(count(marks, "sent:new-state"), 1);
    }
}

/// The next primary and others have just missed something when the primary dies. The view starts with the log of
/// those who have not, and nobody has to cut or fetch anything.
#[test]
fn a_new_primary_that_is_behind_takes_the_log_of_others() {
    for (seed, replicas) in SEEDS.zip([5, 7, 6, 5, 8]) {
        let peace = Peace::new(seed, replicas, 60_000, 10_000);
        let behind = |alone| (THEN, isolate(alone, replicas, 40 * MILLISECOND));
        let report = peace.but_at([behind(1), behind(3), (THEN + 40 * MILLISECOND, crash(0, NEVER))]);
        let marks = &report.marks;
        assert_eq!(report.views, 1);
        assert_eq!(count(marks, "path:better-log-adopted"), 1);
        nothing_rare_but(
            marks,
            &[
                "better-log-adopted",
                "commit-learned-from-votes",
                "start-view-sent-again",
                "recovered-into-later-view",
                "answered-from-table",
            ],
        );
    }
}

/// A client that was silent while the primary was replaced asks the old one, which tells it where to go: two more
/// message delays, and no timeout.
#[test]
fn a_client_follows_to_the_new_primary() {
    let retried = |seed| {
        let peace = Peace::new(seed, 3, 5_000, 500_000);
        let report = peace.but([crash(0, MILLISECOND)]);
        nothing_rare_but(&report.marks, &["recovered-into-later-view", "primary-lost-its-memory"]);
        assert_eq!(report.views, 1);
        count(&report.marks, "moment:request-retried")
    };
    let retried: u64 = SEEDS.map(retried).sum();
    assert!(retried <= 5, "{retried} of 20 clients had to send a request again");
}

/// The old primary passes requests on to the new one; also where that is in vain, nobody waits for a timeout.
#[test]
fn a_client_follows_although_the_old_primary_cannot() {
    let retried = |seed| {
        let peace = Peace::new(seed, 3, 5_000, 500_000);
        let restart = (THEN, crash(0, MILLISECOND));
        let deaf = (THEN + 100 * MILLISECOND, cut([(replica(0), replica(1))], CUT));
        let report = peace.but_at([restart, deaf]);
        nothing_rare_but(&report.marks, &["recovered-into-later-view", "primary-lost-its-memory"]);
        assert_eq!(report.views, 1);
        count(&report.marks, "moment:request-retried")
    };
    let retried: u64 = SEEDS.map(retried).sum();
    assert!(retried <= 5, "{retried} of 20 clients had to send a request again");
}

/// The primary of the next view is dead too. The backups wait for up to 125 ms and then up to 188 ms, and the
/// clients try again after up to 75 ms, 150 ms and 300 ms.
#[test]
fn two_dead_primaries_in_a_row_are_replaced() {
    for seed in SEEDS {
        let peace = Peace::new(seed, 5, 60_000, 0);
        let report = peace.but([crash(0, NEVER), crash(1, NEVER)]);
        nothing_rare_but(
            &report.marks,
            &[
                "start-view-sent-again",
                "recovered-into-later-view",
                "answered-from-table",
                "view-change-stalled",
            ],
        );
        assert_eq!(report.views, 1);
        let outage = peace.outage(&report);
        assert!(outage < 530 * MILLISECOND, "{outage} ns");
    }
}

/// A backup that restarts recovers from the first answers, and nobody else notices.
#[test]
fn a_backup_recovers_in_one_round() {
    for (seed, replicas) in SEEDS.zip([3, 5, 4, 7, 3]) {
        let peace = Peace::new(seed, replicas, 60_000, 0);
        let report = peace.but([crash(1, MILLISECOND)]);
        nothing_rare_but(&report.marks, &[]);
        assert_eq!(report.views, 0);
        assert_eq!(count(&report.marks, "sent:recovery"), u64::from(replicas) - 1);
        assert_eq!(count(&report.marks, "sent:recovery-response"), u64::from(replicas) - 1);
        assert_eq!(count(&report.marks, "moment:recovery"), 1);
        assert_eq!(count(&report.marks, "moment:request-retried"), 0);
        assert!(report.marks.answered + u64::from(CLIENTS) >= peace.report.marks.answered);
    }
}

/// Who recovers and reaches nobody asks less and less often; once it is heard, one round suffices.
#[test]
fn a_recovery_that_nobody_hears_is_patient() {
    for (seed, replicas) in SEEDS.zip([3, 5, 4, 7, 3]) {
        let peace = Peace::new(seed, replicas, 30_000, 10_000);
        let report = peace.but([isolate(1, replicas, CUT), crash(1, MILLISECOND)]);
        nothing_rare_but(&report.marks, &[]);
        let marks = &report.marks;
        let others = u64::from(replicas) - 1;
        assert_eq!(report.views, 0);
        assert_eq!(count(marks, "moment:recovery"), 1);
        let (sent, most) = (count(marks, "sent:recovery"), others * (CUT / (100 * MILLISECOND) + 4));
        assert!(sent <= most, "{sent} Recoveries, not {most}");
        assert!(count(marks, "sent:recovery-response") <= 2 * others);
    }
}

/// Answers that are not enough, since the primary's is not among them, are asked for again in a new attempt; and
/// attempts become less and less frequent too.
#[test]
fn a_recovery_that_the_primary_cannot_answer_is_patient() {
    for (seed, replicas) in SEEDS.zip([5, 7, 6, 8, 5]) {
        let peace = Peace::new(seed, replicas, 30_000, 10_000);
        // Shorter than it takes until the backups see to it.
        let report = peace.but([cut([(replica(0), replica(1))], CUT / 10), crash(1, MILLISECOND)]);
        let marks = &report.marks;
        let others = u64::from(replicas) - 1;
        assert_eq!(report.views, 0);
        assert_eq!(count(marks, "moment:recovery"), 1);
        nothing_rare_but(marks, &["recovery-retried"]);
        // After up to 25 ms, 50 ms, 100 ms and so on; from the fifth attempt on after 600 ms at the earliest.
        let (sent, most) = (count(marks, "sent:recovery"), others * (CUT / 10 / (600 * MILLISECOND) + 6));
        assert!(sent <= most, "{sent} Recoveries, not {most}");
    }
}

/// Once attempts are as patient as any and fail all the same, the backups see to it: another primary can answer.
#[test]
fn a_recovery_that_the_primary_never_answers_costs_one_view() {
    for (seed, replicas) in SEEDS.zip([5, 7, 6, 8, 5]) {
        let peace = Peace::new(seed, replicas, 30_000, 10_000);
        let report = peace.but([cut([(replica(0), replica(1))], CUT), crash(1, MILLISECOND)]);
        assert!(
            (1..=2).contains(&report.views),
            "{} views: the next primary may be the one that recovers",
            report.views
        );
        assert_eq!(count(&report.marks, "moment:recovery"), 1);
        assert!(count(&report.marks, "path:proposed-for-recovery") > 0);
    }
}

/// Who asks for what it missed and reaches nobody asks less and less often, and each time somebody else. What it
/// keeps meanwhile it need not fetch.
#[test]
fn a_state_transfer_that_nobody_hears_is_patient() {
    for (seed, replicas) in SEEDS.zip([3, 5, 4, 7, 3]) {
        let peace = Peace::new(seed, replicas, 30_000, 10_000);
        let alone = isolate(1, replicas, 50 * MILLISECOND);
        let mute = cut((0..replicas).filter(|&to| to != 1).map(|to| (replica(1), replica(to))), CUT);
        let report = peace.but([alone, mute]);
        let marks = &report.marks;
        assert_eq!(report.views, 0);
        nothing_rare_but(marks, &["prepare-kept", "state-requested-again", "gap-fetched"]);
        let (asked, most) = (count(marks, "sent:get-state"), CUT / (150 * MILLISECOND) + 6);
        assert!((2..=most).contains(&asked), "{asked} GetStates, not {most}");
        assert_eq!(count(marks, "sent:new-state"), 1);
    }
}

/// A view change that takes long is announced less and less often.
#[test]
fn a_view_change_that_takes_long_is_announced_with_patience() {
    for (seed, replicas) in SEEDS.zip([5, 7, 6, 8, 5]) {
        let peace = Peace::adjusted(seed, replicas, 60_000, 10_000, |setup| {
            setup.protocol.view_change_timeout_us = CUT / 1_000;
        });
        let report = peace.but([crash(0, NEVER), crash(1, NEVER)]);
        nothing_rare_but(
            &report.marks,
            &[
                "start-view-sent-again",
                "recovered-into-later-view",
                "answered-from-table",
                "view-change-stalled",
            ],
        );
        let marks = &report.marks;
        assert_eq!(report.views, 1);
        let others = u64::from(replicas) - 2;
        let (sent, most) = (count(marks, "sent:do-view-change"), others * (CUT / (150 * MILLISECOND) + 6));
        assert!(sent <= most, "{sent} DoViewChanges, not {most}");
    }
}

/// A primary that hears nothing has no reason to give up, and is heard; but the clients wait. They send their
/// requests to all after up to 75 ms, and the primary is given 200 ms to take them.
#[test]
fn a_deaf_primary_is_replaced() {
    for (seed, replicas) in SEEDS.zip([3, 5, 4, 7, 3]) {
        let peace = Peace::new(seed, replicas, 30_000, 500_000);
        let others = (1..replicas).map(replica).chain((0..CLIENTS).map(Node::Client));
        let report = peace.but([cut(others.map(|other| (other, replica(0))), CUT)]);
        let marks = &report.marks;
        assert_eq!(report.views, 1);
        nothing_rare_but(
            marks,
            &[
                "proposed-for-client",
                "start-view-sent-again",
                "caught-up-with-later-view",
                "answered-from-table",
            ],
        );
        assert!(count(marks, "path:proposed-for-client") > 0);
        let retried = count(marks, "moment:request-retried");
        assert!(retried <= 3 * u64::from(CLIENTS), "{retried} requests sent again");
    }
}

/// A backup that was cut off deposes nobody, also when it is back; and it has not flooded the network.
#[test]
fn a_backup_that_was_cut_off_comes_back_quietly() {
    for (seed, replicas) in SEEDS.zip([3, 5, 4, 7, 3]) {
        let peace = Peace::new(seed, replicas, 30_000, 10_000);
        let report = peace.but([isolate(1, replicas, CUT)]);
        nothing_rare_but(&report.marks, &["gap-fetched", "prepare-kept"]);
        let marks = &report.marks;
        let backups = u64::from(replicas) - 1;
        assert_eq!(report.views, 0);
        assert_eq!(count(marks, "moment:request-retried"), 0);
        assert_eq!(count(marks, "sent:prepare"), backups * report.committed, "nothing is sent in vain");
        assert_eq!(count(marks, "sent:get-state"), 1, "all that was missed is fetched at once");
        assert_eq!(count(marks, "sent:new-state"), 1);
        is_patient(marks, backups);
    }
}

/// A primary that was cut off is replaced once, and comes back as a backup.
#[test]
fn a_primary_that_was_cut_off_comes_back_as_a_backup() {
    for (seed, replicas) in SEEDS.zip([3, 5, 4, 7, 3]) {
        let peace = Peace::new(seed, replicas, 30_000, 10_000);
        let report = peace.but([isolate(0, replicas, CUT)]);
        nothing_rare_but(
            &report.marks,
            &["start-view-sent-again", "caught-up-with-later-view", "answered-from-table", "abdicated"],
        );
        let marks = &report.marks;
        assert_eq!(report.views, 1);
        assert_eq!(count(marks, "path:caught-up-with-later-view"), 1);
        assert_eq!(count(marks, "sent:get-state"), 1, "once suffices");
        assert!(count(marks, "moment:request-retried") <= 2 * u64::from(CLIENTS));
        is_patient(marks, u64::from(replicas) - 1);
    }
}

/// Who waits for the next view alone says so once in each primary timeout, after a few times in quick succession.
/// The others say so a few times.
fn is_patient(marks: &Marks, backups: u64) {
    let (sent, most) = (count(marks, "sent:start-view-change"), backups * (CUT / (100 * MILLISECOND) + 8));
    assert!(sent <= most, "{sent} StartViewChanges, not {most}");
}

/// A view change that comes to nothing makes everybody more patient, a view that lasts makes them as quick as
/// before.
#[test]
fn patience_is_lost_again() {
    for seed in SEEDS {
        let peace = Peace::new(seed, 5, 250_000, 0);
        let back = SECOND / 2;
        let before = [(THEN, crash(0, back)), (THEN, crash(1, back)), (2 * THEN, crash(2, back))];
        let last = (3 * THEN, crash(3, back));
        let [before, after] = [peace.but_at(before.clone()), peace.but_at(before.into_iter().chain([last]))];
        assert_eq!([before.views, after.views], [2, 3]);
        let outage = peace.outage(&after) - peace.outage(&before);
        assert!(outage < 230 * MILLISECOND, "{outage} ns");
    }
}

/// Where messages take longer than the timeout of a view change allows for, none would ever come to its end;
/// but patience grows.
#[test]
fn slow_links_are_overcome_with_patience() {
    for (seed, replicas) in SEEDS.zip([3, 5, 4, 7, 3]) {
        let peace = Peace::adjusted(seed, replicas, 60_000, 0, |setup| {
            setup.network.delay_min_us = 25_000;
            setup.protocol.request_timeout_us = 500_000;
            setup.protocol.view_change_timeout_us = 30_000;
        });
        let report = peace.but([crash(0, NEVER)]);
        assert!((1..=2 * u64::from(replicas)).contains(&report.views), "{} views", report.views);
        assert!(report.marks.answered > peace.report.marks.answered * 9 / 10);
    }
}

/// A primary whose backups cannot answer it gives up after 200 ms, and comes back as a backup. The backups wait
/// for up to 125 ms; the clients try again after up to 75 ms, 150 ms and 300 ms.
#[test]
fn a_primary_that_hears_nobody_gives_up() {
    for (seed, replicas) in SEEDS.zip([3, 5, 4, 7, 3]) {
        let peace = Peace::new(seed, replicas, 60_000, 0);
        let report = peace.but([cut((1..replicas).map(|other| (replica(other), replica(0))), SECOND)]);
        nothing_rare_but(&report.marks, &["start-view-sent-again", "caught-up-with-later-view", "abdicated"]);
        let marks = &report.marks;
        assert_eq!(report.views, 1);
        assert_eq!(count(marks, "path:abdicated"), 1);
        assert_eq!(count(marks, "path:caught-up-with-later-view"), 1);
        assert_eq!(count(marks, "sent:get-state"), 1, "once suffices");
        let outage = peace.outage(&report);
        assert!(outage < 530 * MILLISECOND, "{outage} ns");
        let retried = count(marks, "moment:request-retried");
        assert!(retried <= 3 * u64::from(CLIENTS), "{retried} requests sent again");
    }
}

/// A client that does not reach the primary, nor the primary it, is served by the backups: they pass its requests
/// on, and answer when it tries again. Nobody else notices.
#[test]
fn a_client_without_the_primary_is_served_by_backups() {
    for (seed, replicas) in SEEDS.zip([3, 5, 4, 7, 3]) {
        let peace = Peace::new(seed, replicas, 60_000, 0);
        let links = [(Node::Client(0), replica(0)), (replica(0), Node::Client(0))];
        let report = peace.but([cut(links, SECOND)]);
        nothing_rare_but(&report.marks, &["answered-by-backup", "answered-from-table"]);
        let marks = &report.marks;
        assert_eq!(report.views, 0);
        let outage = peace.outage(&report);
        assert!(outage < SECOND / u64::from(CLIENTS) + 20 * MILLISECOND, "{outage} ns");
        let retried = count(marks, "moment:request-retried");
        // Each of its requests takes two retries: after 60 to 75 ms, and after 120 to 150 ms.
        assert!((8..=12).contains(&retried), "{retried} requests sent again");
    }
}

/// With options that no group can work with, no replica starts.
#[test]
fn options_that_cannot_work_are_refused() {
    let adjustments: [fn(&mut Setup); 4] = [
        |setup| setup.protocol.abdication_us = 0,
        |setup| setup.protocol.heartbeat_us = setup.protocol.primary_timeout_us,
        |setup| setup.protocol.resend_us = setup.protocol.view_change_timeout_us,
        |setup| setup.protocol.pipeline_max = 0,
    ];
    for adjust in adjustments {
        let calm = Scenario::find("calm").expect("built in");
        let mut setup = calm.resolve(0, &Overrides::default());
        adjust(&mut setup);
        let ran = panic::catch_unwind(|| registry::record(&Arc::new(setup), None));
        assert!(ran.is_err(), "{ran:?}");
    }
}
