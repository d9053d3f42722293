//! `sim view` writes pages and pictures, and refuses what it cannot show.

mod common;

use std::fs;
use std::process::{Command, Output};
use std::sync::Arc;

use common::{folder, kept};
use sim::registry::record;
use sim::replay::replay;
use sim::scenario::{Overrides, Scenario};
use sim::view::model::Source;

fn sim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sim")).args(arguments).output().unwrap()
}

fn written(arguments: &[&str]) -> String {
    let output = sim(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What is said when nothing is written.
fn refused(arguments: &[&str], code: i32) -> String {
    let output = sim(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
fn a_page_is_one_file_that_needs_nothing() {
    let folder = folder("view/page");
    let page = folder.join("page.html");
    let said = written(&["view", &kept("published-state-transfer"), "-o", page.to_str().unwrap()]);
    assert!(said.contains("steps at first, those that led to the violation"), "{said}");
    let page = fs::read_to_string(page).unwrap();
    let outside = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!outside.contains("http://") && !outside.contains("https://"), "nothing is fetched");
    assert!(page.contains("default-src 'none'"));
    assert!(page.contains("r2's log ends at op 0 in view 1, which began with op 1"));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn likelihoods_are_found_on_the_way() {
    let page = folder("view/likelihood").join("page.html");
    let page = page.to_str().unwrap();
    written(&["view", &kept("published-state-transfer"), "-o", page, "--likelihood"]);
    let text = fs::read_to_string(page).unwrap();
    assert!(text.contains(r#""likelihood":{"points":[{"step":0,"#), "there are points");
    assert!(!text.contains(r#""decisive":[]"#), "and decisive events");
}

#[test]
fn the_kept_picture_is_what_the_tool_draws() {
    let picture = folder("view/picture").join("picture.svg");
    written(&["view", &kept("published-state-transfer"), "--svg", picture.to_str().unwrap()]);
    let kept_picture = concat!(env!("CARGO_MANIFEST_DIR"), "/published-state-transfer.svg");
    let is_same = fs::read_to_string(picture).unwrap() == fs::read_to_string(kept_picture).unwrap();
    assert!(
        is_same,
        "draw it again: sim view traces/published-state-transfer.trace.jsonl --svg sim/published-state-transfer.svg"
    );
}

#[test]
fn a_picture_shows_the_steps_that_are_asked_for() {
    let picture = folder("view/range").join("picture.svg");
    let path = picture.to_str().unwrap();
    let said =
        written(&["view", &kept("new-state-of-another-view"), "--svg", path, "--from", "100", "--to", "119"]);
    assert!(said.contains(": 20 of "), "{said}");
    let said = written(&["view", &kept("new-state-of-another-view"), "--svg", path]);
    assert!(said.contains(": 60 of "), "{said}");
    fs::write(&picture, "old").unwrap();
    let said = refused(&["view", &kept("new-state-of-another-view"), "--svg", path, "--from", "900000"], 2);
    assert!(said.contains("expected steps from 0 to "), "{said}");
    assert_eq!(fs::read_to_string(&picture).unwrap(), "old");
}

#[test]
fn bad_input_is_refused_in_one_line() {
    let folder = folder("view/refused");
    let page = folder.join("page.html");
    let page = page.to_str().unwrap();
    let missing = refused(&["view", "there-is-no-such-trace", "-o", page], 2);
    assert!(missing.contains("there-is-no-such-trace"), "{missing}");
    let curve = folder.join("curve.json");
    for (text, expected) in [
        ("[1, 2]", "expected"),
        (r#"{"points":[{"step":1,"failed":3,"of":2}]}"#, "step 1: 3 of 2 runs cannot fail"),
    ] {
        fs::write(&curve, text).unwrap();
        let option = format!("--likelihood={}", curve.display());
        let said = refused(&["view", &kept("published-recovery"), "-o", page, &option], 2);
        assert!(said.contains(expected), "{said}");
    }
    let nowhere = folder.join("curve.json/page.html");
    let said = refused(&["view", &kept("published-recovery"), "-o", nowhere.to_str().unwrap()], 2);
    assert!(said.contains("curve.json"), "{said}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "only the curve");
}

/// What was answered took effect at one moment, whether it went through the log or was read without it.
#[test]
fn every_answered_call_has_its_point() {
    for (scenario, seed) in [("lease-reads", 1), ("supervised-groups", 1), ("supervised-groups", 6)] {
        let setup = Scenario::find(scenario).expect("built in").resolve(seed, &Overrides::default());
        let (report, trace) = record(&Arc::new(setup), None).expect("a known workload");
        let chronicle = replay(&trace, true).expect("replayable").chronicle.expect("it was asked for");
        let model = Source::new(&trace.head, &report, &chronicle).model(&vec![true; chronicle.steps.len()]);
        let answered: Vec<_> = model.calls.iter().filter(|call| call.end.is_some()).collect();
        assert!(answered.len() > 20, "{}", answered.len());
        for call in answered {
            let (step, ..) = call.point.unwrap_or_else(|| panic!("call {} has none", call.call));
            assert!((call.step..=call.end.unwrap_or_default()).contains(&step), "call {}", call.call);
        }
    }
}
