//! Every story, in both ways: it holds under the protocol as it is, and fails under each bug that it names, by the
//! property that it names. And what a story says when it does not go as told.

mod common;

use std::fs;
use std::sync::Arc;

use common::{code, err, folder, json, out, sim};
use sim::bugs;
use sim::check::Property;
use sim::client_slot::Way;
use sim::registry::{self, AnyManner, run_plain};
use sim::replay::{Likeness, Outcome, replay};
use sim::run::{Report, Verdict};
use sim::scenario::{Overrides, Scenario};
use sim::setup::Setup;
use sim::shrink::{Limits, Unshrinkable, shrink};

/// Timers jitter otherwise with each of these, and no story may depend on that.
const SEEDS: u64 = 8;

fn setup(story: &Scenario, seed: u64) -> Arc<Setup> {
    Arc::new(story.resolve(seed, &Overrides::default()))
}

fn run(story: &Scenario, seed: u64, bug: Option<&'static bugs::Bug>) -> Report {
    run_plain(&setup(story, seed), bug).expect("a known workload")
}

/// A story of three replicas and two clients that is made up for a test.
fn told(sentences: &[&str]) -> Scenario {
    let text = serde_json::json!({ "description": "A test.", "story": sentences }).to_string();
    Scenario::parse("test", &text).expect("a valid story")
}

fn ends_with(sentences: &[&str]) -> String {
    let report = run(&told(sentences), 0, None);
    let violation = report.violation().expect("it does not go as told").clone();
    assert_eq!(violation.property, Property::Story, "{violation:?}");
    assert_eq!(report.story.len(), sentences.len() - 1, "the last step is the one that fails");
    let (kind, step) = violation.kind.split_once(" at step ").expect("the step's number");
    assert_eq!(step, sentences.len().to_string());
    format!("{kind}: {}", violation.witness)
}

#[test]
fn every_story_holds() {
    for story in Scenario::stories() {
        for seed in 0..SEEDS {
            let report = run(&story, seed, None);
            assert_eq!(report.verdict, Verdict::Held, "{} with seed {seed}", story.name());
            let steps = report.setup.story.as_ref().expect("a story").sentences().len();
            assert_eq!(report.story.len(), steps, "{}: every step is passed", story.name());
        }
    }
}

#[test]
fn every_story_fails_under_the_bugs_that_it_names() {
    let mut shown = 0;
    for story in Scenario::stories() {
        for must in story.must_fail() {
            let bug = bugs::find(&must.bug).expect("checked when it was read");
            for seed in 0..SEEDS {
                let report = run(&story, seed, Some(bug));
                let found = report.violation().map(|violation| violation.property);
                let played = format!("{} under {} with seed {seed}", story.name(), bug.name);
                assert_eq!(found, Some(must.property), "{played}");
                if must.property == Property::Story {
                    let sentences = report.setup.story.as_ref().expect("a story").sentences();
                    assert_eq!(sentences.get(report.story.len()), must.at.as_ref(), "{played}");
                }
                shown += 1;
            }
        }
    }
    assert!(shown >= 110 * SEEDS, "{shown} runs");
}

#[test]
fn every_story_shows_a_bug() {
    for story in Scenario::stories() {
        assert!(!story.must_fail().is_empty(), "{} would hold whatever the rules are", story.name());
    }
}

/// Not hunted, and told by no story: what these tell apart is out of a story's sight.
const TESTED_ELSEWHERE: [(&str, &str); 1] =
    [("M-H7", "a story has one group and no hosts: `vr/tests/host.rs` tells of hosts and epochs")];

#[test]
fn every_bug_that_is_not_hunted_is_told() {
    let told: Vec<_> = Scenario::stories()
        .flat_map(|story| story.must_fail().iter().map(|must| must.bug.clone()).collect::<Vec<_>>())
        .collect();
    for bug in bugs::not_hunted() {
        let is_told = told.iter().any(|name| name == bug.name);
        let elsewhere = TESTED_ELSEWHERE.iter().filter(|(name, _)| *name == bug.name).count();
        assert_eq!(usize::from(is_told) + elsewhere, 1, "{} is shown by one or the other", bug.name);
    }
    for (name, _) in TESTED_ELSEWHERE {
        assert!(bugs::not_hunted().any(|bug| bug.name == name), "{name} is hunted, or no bug");
    }
}

/// What looks like a bug there and is none: reads while an epoch ends.
#[test]
fn reads_at_the_end_of_an_epoch_may_be_answered() {
    for name in ["a-read-at-the-end-of-an-epoch", "a-read-in-an-epoch-that-is-over"] {
        let story = Scenario::find(name).expect("built in");
        for seed in 0..SEEDS {
            let report = run(&story, seed, bugs::find("C-3"));
            assert_eq!(report.verdict, Verdict::Held, "{name} with seed {seed}");
        }
    }
}

// ---- Traces ------------------------------------------------------------------------------------------

#[test]
fn every_failure_of_a_story_replays_step_by_step() {
    for story in Scenario::stories() {
        let bug = story.must_fail().first().and_then(|must| bugs::find(&must.bug));
        let (report, trace) = registry::record(&setup(&story, 0), bug).expect("a known workload");
        let replayed = replay(&trace, true).expect("it was recorded here");
        assert_eq!(replayed.likeness, Likeness::Exact, "{}", story.name());
        let expected = if bug.is_some() { Outcome::Violated } else { Outcome::Clean };
        assert_eq!(replayed.outcome, expected, "{}", story.name());
        assert_eq!(replayed.report.digest, report.digest, "{}", story.name());
    }
}

/// On changed code the story is told again. Here the record is made to look like one of other code.
#[test]
fn on_changed_code_a_story_is_told_again() {
    let story = Scenario::find("a-recovery-meets-a-view-change").expect("built in");
    let (_, mut trace) = registry::record(&setup(&story, 0), bugs::find("M-T8")).expect("a known workload");
    trace.decisions.hashes[20] ^= 1;
    let replayed = replay(&trace, false).expect("it was recorded here");
    assert_eq!(replayed.outcome, Outcome::Violated);
    let Likeness::ByDecisions { first_difference, matched } = replayed.likeness else { panic!("exact") };
    assert_eq!(first_difference, 21);
    for (met, wanted) in [matched.actions, matched.requests, matched.fates] {
        assert_eq!(met, wanted);
        assert!(met > 0, "{matched:?}");
    }
}

/// What a story decides is written down as any run's decisions are: without its words, they lead to the same
/// violation at the same time.
#[test]
fn the_decisions_of_a_story_say_the_same_without_its_words() {
    let mut compared = 0;
    for story in Scenario::stories() {
        for must in story.must_fail().iter().filter(|must| must.property != Property::Story) {
            let (setup, bug) = (setup(&story, 0), bugs::find(&must.bug));
            let (told, trace) = registry::record(&setup, bug).expect("a known workload");
            let manner = AnyManner { script: Some(&trace.decisions), ..AnyManner::default() };
            let repeated =
                registry::run_any(&setup, bug, &manner, &mut |_| {}).expect("a known workload").report;
            let said = |report: &Report| {
                let violation = report.violation().expect("it must fail");
                (violation.signature(), violation.witness.clone(), violation.time)
            };
            assert_eq!(said(&repeated), said(&told), "{} under {}", story.name(), must.bug);
            compared += 1;
        }
    }
    assert!(compared >= 20, "{compared} stories");
}

/// How a client reads is a decision that shrinking keeps.
#[test]
fn a_read_that_was_told_outlasts_shrinking() {
    let story = Scenario::find("a-read-at-a-backup-that-is-behind").expect("built in");
    let (_, trace) = registry::record(&setup(&story, 0), bugs::find("M-L9")).expect("a known workload");
    let limits = Limits { steps: 200_000, stop: &|| false };
    let shrunk = shrink(&trace, &limits, &mut |_| {}).expect("it fails").trace;
    let ways: Vec<_> = shrunk.decisions.requests.iter().map(|made| made.way).collect();
    assert!(matches!(ways[..], [Some(Way::Causal { .. })]), "{ways:?}");
}

/// Its words are what is violated, so nothing can be left out but by its author.
#[test]
fn a_story_that_does_not_go_as_told_cannot_be_shrunk() {
    let (_, trace) =
        registry::record(&setup(&told(&["expect c0 waits"]), 0), None).expect("a known workload");
    let limits = Limits { steps: 200_000, stop: &|| false };
    assert_eq!(shrink(&trace, &limits, &mut |_| {}).unwrap_err(), Unshrinkable::Told);
}

// ---- What does not go as told ------------------------------------------------------------------------

#[test]
fn a_step_that_waits_in_vain_is_named() {
    let vain = ends_with(&["pause r0", "until r0 is recovering, within 30 ms"]);
    let step = "step 2, “until r0 is recovering, within 30 ms”";
    assert_eq!(vain, format!("waited in vain: {step}: it did not come to this within 30 ms"));
    let vain = ends_with(&["drop Request from anyone to anyone", "c1 gets a"]);
    assert_eq!(vain, "waited in vain: step 2, “c1 gets a”: it did not come to this within 10000 ms");
}

#[test]
fn what_is_expected_must_be_so_at_once() {
    let not = |sentence| ends_with(&["until every client is registered", sentence]);
    for sentence in [
        "expect r1 is primary",
        "expect r0 is backup",
        "expect r0 is recovering",
        "expect r0 is changing views",
        "expect r0 is fetching state",
        "expect r0 is down",
        "expect r0 and r1 are normal in view 1",
        "expect a new primary is normal",
        "expect r0 has op-number 3",
        "expect r0 has op-number 3 or more",
        "expect r1 has commit-number 2",
        "expect every replica holds the same state",
        "expect c0 waits",
        "expect c0 got nothing",
        "expect c0 was sent the same answer again",
        "expect r0 redirected c0",
        "expect everything from anyone to anyone is kept",
    ] {
        assert_eq!(not(sentence), format!("not as expected: step 2, “{sentence}”: it is not so"));
    }
    let asked = |sentence| {
        ends_with(&["c0 puts b=7", "until c0 is answered", "c0 gets b", "until c0 is answered", sentence])
    };
    for sentence in ["expect c0 got b=8", "expect c0 got a=7", "expect c0 got nothing"] {
        assert_eq!(asked(sentence), format!("not as expected: step 5, “{sentence}”: it is not so"));
    }
    assert_eq!(
        ends_with(&["c0 puts a=1", "expect c0 is answered"]),
        "not as expected: step 2, “expect c0 is answered”: it is not so"
    );
    assert_eq!(
        ends_with(&["expect every client is registered"]),
        "not as expected: step 1, “expect every client is registered”: it is not so"
    );
}

/// The other half: each is met where it is so.
#[test]
fn what_is_so_is_as_expected() {
    let goes_on = |sentences: &[&str]| {
        let report = run(&told(sentences), 0, None);
        assert_eq!(report.verdict, Verdict::Held, "{sentences:?}");
    };
    goes_on(&[
        "until every client is registered",
        "expect c0 and c1 are answered",
        "expect r0 is primary in view 0",
        "expect r1, r2 are backup",
        "c0 gets z",
        "expect c0 waits",
        "until c0 is answered",
        "expect c0 got nothing",
        "c0 appends z=1",
        "c0 appends z=2",
        "c0 gets z",
        "until c0 is answered",
        "expect c0 got z=2",
        "expect r0 has op-number 6",
        "expect r0 has commit-number 5 or more",
        "c0 deletes z",
        "c1 starts over",
        "until every client is registered",
        "c1 gets z",
        "until c1 is answered",
        "expect c1 got nothing",
    ]);
    goes_on(&[
        "until every client is registered",
        "copy Prepare from r0 to r1",
        "hold PrepareOk from anyone to r0",
        "c0 puts a=1",
        "until PrepareOk from r1 and r2 to r0 is kept",
        "expect every Prepare from r0 to r1 is kept",
        "lose PrepareOk from r1 to r0",
        "expect c0 waits",
        "release PrepareOk from anyone to r0",
        "until c0 is answered",
        "crash r1 ",
        "expect r1 is down",
        "restart r1",
        "expect r1 is recovering",
        "until r1 is normal",
        "deliver Prepare from r0 to r1",
        "until every replica holds the same state",
    ]);
    goes_on(&[
        "until every replica has commit-number 2",
        "partition r2 from r0 and r1",
        "c0 puts a=1 to a=9",
        "drop NewState from anyone to r2",
        "wait 1 ms",
        "heal",
        "drop NewState from anyone to r2",
        "until r2 is fetching state",
        "heal",
        "until r2 has op-number 11",
    ]);
}

#[test]
fn reads_without_the_log_leave_it_as_it_is() {
    let report = run(
        &told(&[
            "until every client is registered",
            "c0 puts a=1",
            "until c0 is answered",
            "c1 reads a",
            "until c1 is answered, within 4 ms",
            "expect c1 got a=1",
            "c1 reads b at r2",
            "until c1 is answered, within 2 ms",
            "expect c1 got nothing",
            "c0 reads a at r2",
            "expect c0 waits",
            "until c0 is answered",
            "expect c0 got a=1",
            "expect r0 has op-number 3",
            "c0 reads a",
            "until c0 is answered",
            "c0 gets a",
            "until c0 is answered",
            "expect r0 has op-number 4",
        ]),
        0,
        None,
    );
    assert_eq!(report.verdict, Verdict::Held);
    let reads = ["until every client is registered", "c0 reads a at r2", "until c0 is answered"];
    assert!(ends_with(&[&reads[..], &["expect c0 got a=1"]].concat()).starts_with("not as expected"));
}

#[test]
fn a_clock_runs_as_it_is_told_to() {
    let report = run(
        &told(&[
            "until every client is registered",
            "the clock of r1 runs 90 percent slow",
            "pause r0",
            "wait 500 ms",
            "expect r1 and r2 are backup in view 0",
            "the clock of r1 runs 0 percent fast",
            "until r1 is primary in view 1, within 200 ms",
            "resume r0",
        ]),
        0,
        None,
    );
    assert_eq!(report.verdict, Verdict::Held);
}

#[test]
fn a_new_group_has_the_witnesses_that_are_named() {
    let text = r#"{"description": "A test.", "spares": 2, "story": [
        "until every client is registered",
        "reconfigure to r0, r1, r2, r3 and r4 with witnesses r3 and r4",
        "until the reconfiguration is complete",
        "expect r3 and r4 are witness",
        "c0 puts a=1",
        "until c0 is answered",
        "reconfigure to r0, r1, r2 and r4",
        "until the reconfiguration is complete",
        "expect r4 is witness"
    ]}"#;
    let report = run(&Scenario::parse("test", text).expect("a valid story"), 0, None);
    assert_eq!(report.verdict, Verdict::Held, "{:?}", report.violation());
}

/// What comes to a node that stands still comes to it when it goes on, and so does what it was about to do.
#[test]
fn a_node_that_stands_still_goes_on_where_it_was() {
    let report = run(
        &told(&[
            "until every client is registered",
            "pause c0",
            "c0 puts a=1",
            "wait 50 ms",
            "expect r0 has op-number 2",
            "resume c0",
            "until r0 has op-number 3",
            "pause c0",
            "wait 50 ms",
            "expect c0 waits",
            "resume c0",
            "until c0 is answered, within 1 ms",
            "pause r2",
            "c0 puts a=2",
            "wait 10 ms",
            "expect r2 has op-number 3",
            "resume r2",
            "until r2 has op-number 4, within 1 ms",
        ]),
        0,
        None,
    );
    assert_eq!(report.verdict, Verdict::Held);
}

#[test]
fn a_deed_that_would_do_nothing_is_refused() {
    let nothing = |sentence: &str| format!("impossible: step 1, “{sentence}”: nothing would come of it");
    for sentence in ["restart r1", "resume r0", "resume c0"] {
        assert_eq!(ends_with(&[sentence]), nothing(sentence));
    }
    let down = "it is down already, or the group cannot stand one more without its memory";
    assert_eq!(ends_with(&["crash r1", "crash r1"]), format!("impossible: step 2, “crash r1”: {down}"));
    assert_eq!(ends_with(&["crash r1", "crash r2"]), format!("impossible: step 2, “crash r2”: {down}"));
    for sentence in ["deliver Prepare from r0 to r1", "lose Prepare from r0 to r1"] {
        let refused = format!("impossible: step 1, “{sentence}”: no such message is kept");
        assert_eq!(ends_with(&[sentence]), refused);
    }
}

#[test]
fn a_story_has_no_more_steps_than_its_scenario_says() {
    let text = r#"{"description": "A test.", "steps": 100, "story": ["wait 3600 s"]}"#;
    let story = Scenario::parse("test", text).expect("a valid story");
    let report = run(&story, 0, None);
    let violation = report.violation().expect("an hour has more steps");
    assert_eq!((violation.signature().as_str(), report.steps), ("Story:out of steps at step 1", 100));
    assert_eq!(violation.witness, "step 1, “wait 3600 s”: not passed within 100 steps");
}

// ---- The command line --------------------------------------------------------------------------------

#[test]
fn a_story_is_printed_step_by_step_and_its_trace_can_be_read() {
    let folder = folder("stories/printed");
    let held = sim(&folder, "run --scenario published-recovery");
    assert_eq!(code(&held), 0, "{}", err(&held));
    assert!(out(&held).contains("\n  12.      12.000 ms  until c0 is answered\n"), "{}", out(&held));
    assert!(out(&held).contains("\nHELD all properties\n"), "{}", out(&held));

    let violated = sim(&folder, "run --scenario published-recovery --bug M-R0");
    assert_eq!(code(&violated), 1);
    let text = out(&violated);
    assert!(text.contains("\n  14.     not passed  wait 10 ms\n"), "{text}");
    assert!(text.contains("\nVIOLATED S4b votes are kept: "), "{text}");
    let trace = "failures/published-recovery-0.trace.jsonl";
    let replayed = sim(&folder, &format!("replay {trace}"));
    assert_eq!(code(&replayed), 1, "{}", out(&replayed));
    assert!(out(&replayed).contains("exact: every step is the same"), "{}", out(&replayed));
    let shown = sim(&folder, &format!("trace show {trace} --all"));
    let words = out(&shown).split_whitespace().collect::<Vec<_>>().join(" ");
    for said in [
        "the story goes on: step 7, “crash r2”, r2 crashes",
        "r2 starts again",
        "log to op 2) from r2 (held, sent in ",
        "VIOLATED S4b",
    ] {
        assert!(words.contains(said), "{said}: {words}");
    }
    let viewed = sim(&folder, &format!("view {trace} -o page.html"));
    assert_eq!(code(&viewed), 0, "{}", err(&viewed));
    assert!(fs::metadata(folder.join("page.html")).is_ok_and(|page| page.len() > 10_000));
}

#[test]
fn a_story_of_ones_own_is_run_from_its_file_and_refused_where_it_is_wrong() {
    let folder = folder("stories/own");
    let write = |sentence: &str| {
        let text =
            format!("{{\n  \"description\": \"My own.\",\n  \"story\": [\n    \"{sentence}\"\n  ]\n}}\n");
        fs::write(folder.join("mine.json"), text).expect("a folder for it");
        sim(&folder, "run --scenario mine.json --json")
    };
    let held = json(&write("c0 puts a=1 to a=5"));
    assert_eq!(held["verdict"], "held");
    assert_eq!(held["story"].as_array().map(Vec::len), Some(1));
    let vain = write("until r1 is primary, within 50 ms");
    assert_eq!(code(&vain), 1);
    assert_eq!(json(&vain)["violation"]["signature"], "Story:waited in vain at step 1");
    let refused = write("c0 puts a=1, and b=2");
    assert_eq!((code(&refused), out(&refused)), (2, ""));
    assert_eq!(err(&refused), "error: mine.json:4:17: step 1: `,`: expected the end of the step\n");
}

#[test]
fn sweeps_draw_a_story_only_if_asked_to() {
    let folder = folder("stories/swept");
    let asked = sim(&folder, "sweep --count 3 --scenario an-old-answer --junit sweep.xml");
    assert_eq!(code(&asked), 0, "{}", err(&asked));
    let cases = |file: &str| fs::read_to_string(folder.join(file)).expect("it was written");
    assert!(cases("sweep.xml").contains("Story a story goes as told"));
    let plain = sim(&folder, "sweep --count 42 --junit plain.xml");
    assert_eq!(code(&plain), 0, "{}", err(&plain));
    assert!(!cases("plain.xml").contains("Story"), "what is never told is no case");
    assert!(Scenario::stories().all(|story| !out(&plain).contains(story.name())));
}
