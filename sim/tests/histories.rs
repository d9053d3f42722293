//! `sim check` and the histories that runs export, as scripts see them.

mod common;

use std::fs;

use common::{code, err, folder, json, out, sim};
use serde_json::Value;
use sim::scenario::{Overrides, Scenario};

const GOOD: &str = r#"{"client":0,"call":1,"return":4,"op":{"type":"write","key":"r","value":"1"},"result":null}
{"client":1,"call":2,"return":3,"op":{"type":"read","key":"r"},"result":"1"}
"#;

/// The second read no longer sees what the first has seen.
const BAD: &str = r#"{"client":0,"call":1,"return":9,"op":{"type":"write","key":"r","value":"1"},"result":null}
{"client":1,"call":2,"return":3,"op":{"type":"read","key":"r"},"result":"1"}
{"client":2,"call":2,"return":3,"op":{"type":"read","key":"s"},"result":null}
{"client":1,"call":4,"return":5,"op":{"type":"read","key":"r"},"result":null}"#;

#[test]
fn exit_codes_tell_the_verdict() {
    let folder = folder("histories/verdicts");
    fs::write(folder.join("good.jsonl"), GOOD).unwrap();
    fs::write(folder.join("bad.jsonl"), BAD).unwrap();
    let good = sim(&folder, "check good.jsonl --model register");
    assert_eq!((code(&good), out(&good).starts_with("LINEARIZABLE good.jsonl")), (0, true), "{}", out(&good));
    let bad = sim(&folder, "check bad.jsonl --model register");
    assert_eq!(code(&bad), 1);
    for expected in [
        "NOT LINEARIZABLE",
        "key r: line 4, client 1: read(r) → null has no place",
        "has no place",
        "explained",
    ] {
        assert!(out(&bad).contains(expected), "{expected}:\n{}", out(&bad));
    }
    let bad = json(&sim(&folder, "check bad.jsonl --model register --json"));
    assert_eq!(bad["verdict"], "not-linearizable");
    assert_eq!(bad["operation"]["line"], 4);
    assert_eq!(bad["placed"], 1);
    assert_eq!(bad["prefix"], serde_json::json!([1, 2]));
    assert_eq!(
        json(&sim(&folder, "check good.jsonl --model register --json"))["order"],
        serde_json::json!([1, 2])
    );
    // From standard input, and with another beginning.
    assert_eq!(code(&sim(&folder, "check good.jsonl --model register --init 1")), 0);
    assert_eq!(code(&sim(&folder, "check bad.jsonl --model register --init 1")), 1);
}

/// Many insertions of few values at the same time: no monitor helps, and there are too many orders.
#[test]
fn what_takes_too_long_is_given_up() {
    let folder = folder("histories/time");
    let line = |call: u32, returned: u32, op: &str, result: &str| {
        format!("{{\"call\":{call},\"return\":{returned},\"op\":{{\"type\":{op}}},\"result\":{result}}}\n")
    };
    let enq =
        |call, returned, value: u32| line(call, returned, &format!("\"enq\",\"value\":\"{value}\""), "null");
    let mut lines = enq(1, 2, 0) + &enq(3, 4, 1);
    lines.extend((0..38).map(|turn| enq(5 + turn, 50 + turn, turn % 2)));
    lines += &line(100, 101, "\"deq\"", "\"1\"");
    fs::write(folder.join("hard.jsonl"), lines).unwrap();
    let memory = sim(&folder, "check hard.jsonl --model queue --memory 4");
    assert_eq!(code(&memory), 3, "{}", out(&memory));
    assert!(out(&memory).starts_with("GAVE UP hard.jsonl"), "{}", out(&memory));
    let time = sim(&folder, "check hard.jsonl --model queue --time 0s");
    assert_eq!(code(&time), 3, "{}", out(&time));
    assert!(out(&time).contains("--time 0s, --memory 1024: more may decide it"), "{}", out(&time));
    let time = json(&sim(&folder, "check hard.jsonl --model queue --time 0s --json"));
    assert_eq!((&time["verdict"], &time["completed"]), (&"gave-up".into(), &41.into()));
}

#[test]
fn bad_input_is_one_clear_line() {
    let folder = folder("histories/input");
    fs::write(folder.join("broken.jsonl"), format!("{GOOD}{{\"call\":5,")).unwrap();
    fs::write(folder.join("stack.jsonl"), GOOD.replace("write", "push")).unwrap();
    fs::write(folder.join("good.jsonl"), GOOD).unwrap();
    for (arguments, expected) in [
        ("check broken.jsonl --model register", "broken.jsonl:3:10: "),
        ("check stack.jsonl --model register", "stack.jsonl:1: a register has no operation \"push\""),
        ("check missing.jsonl --model kv", "missing.jsonl: cannot be read"),
        ("check . --model kv", ".: this is a folder"),
        ("check good.jsonl", "--model is needed: expected one of register, kv"),
        ("check good.jsonl --model register -o good.jsonl/page.html", "good.jsonl is no folder"),
        ("check good.jsonl --model semaphore --init x", "--init: expected the number of permits"),
        ("check --index good.jsonl", "good.jsonl: "),
    ] {
        let output = sim(&folder, arguments);
        assert_eq!(code(&output), 2, "{arguments}: {}", err(&output));
        assert!(err(&output).contains(expected), "{arguments}: {}", err(&output));
        assert_eq!(err(&output).lines().count(), 1, "{arguments}: {}", err(&output));
        assert_eq!(out(&output), "", "{arguments}");
    }
}

#[test]
fn indices_are_checked_and_give_defaults() {
    let folder = folder("histories/index");
    fs::write(folder.join("bad.jsonl"), BAD).unwrap();
    fs::write(folder.join("one.jsonl"), GOOD.replace("\"result\":\"1\"", "\"result\":\"7\"")).unwrap();
    let index = |verdict| {
        format!(
            r#"[{{"file":"bad.jsonl","model":"register","init":null,"linearizable":false}},
               {{"file":"one.jsonl","model":"register","init":7,"linearizable":{verdict},"source":"here"}}]"#
        )
    };
    fs::write(folder.join("index.json"), index(true)).unwrap();
    let all = sim(&folder, "check --index index.json");
    assert_eq!(code(&all), 0, "{}{}", out(&all), err(&all));
    assert!(out(&all).ends_with("2 of 2 as listed, 0 otherwise, 0 uncertain\n"), "{}", out(&all));
    // The model and the initial value of a single one.
    let one = sim(&folder, "check one.jsonl");
    assert_eq!(code(&one), 0, "{}", err(&one));
    assert_eq!(code(&sim(&folder, "check one.jsonl --init null")), 1);
    fs::write(folder.join("index.json"), index(false)).unwrap();
    let all = sim(&folder, "check --index index.json");
    assert_eq!(code(&all), 1);
    assert!(out(&all).contains("WRONG  linearizable     register  one.jsonl"), "{}", out(&all));
    // One that cannot be read does not keep the others from being checked.
    let listed = r#"[{"file":"gone.jsonl","model":"register","linearizable":true},
        {"file":"one.jsonl","model":"register","init":7,"linearizable":true}]"#;
    fs::write(folder.join("index.json"), listed).unwrap();
    let all = sim(&folder, "check --index index.json");
    assert_eq!(code(&all), 2);
    assert!(err(&all).contains("gone.jsonl: cannot be read"), "{}", err(&all));
    assert!(out(&all).contains("linearizable     register  one.jsonl"), "{}", out(&all));
    assert!(out(&all).contains("1 that cannot be read"), "{}", out(&all));
    fs::write(folder.join("index.json"), "[]").unwrap();
    assert_eq!(code(&sim(&folder, "check --index index.json")), 4);
}

#[test]
fn pages_are_written_whole() {
    let folder = folder("histories/page");
    fs::write(folder.join("bad.jsonl"), BAD).unwrap();
    fs::create_dir(folder.join("pages")).unwrap();
    let checked = sim(&folder, "check bad.jsonl --model register -o pages/bad.html");
    assert_eq!(code(&checked), 1);
    let page = fs::read_to_string(folder.join("pages/bad.html")).unwrap();
    assert!(page.contains("\"not linearizable\"") && page.trim_end().ends_with("</html>"));
    assert!(!page.contains("http://") || page.matches("http://").count() == 1, "only the name of SVG");
    assert_eq!(fs::read_dir(folder.join("pages")).unwrap().count(), 1);
    // Folders that are missing are made, as everywhere.
    assert_eq!(code(&sim(&folder, "check bad.jsonl --model register -o a/b/bad.html")), 1);
    assert!(folder.join("a/b/bad.html").is_file());
}

#[test]
fn nothing_to_check_is_no_pass() {
    let folder = folder("histories/nothing");
    fs::write(folder.join("empty.jsonl"), "").unwrap();
    fs::write(folder.join("blank.jsonl"), "\n  \n").unwrap();
    for arguments in
        ["empty.jsonl --model register", "blank.jsonl --model queue --json", "- --model kv -o x.html"]
    {
        let output = sim(&folder, &format!("check {arguments}"));
        assert_eq!((code(&output), out(&output)), (4, ""), "{arguments}");
        assert!(
            err(&output).contains("there is no operation in it, so nothing was checked"),
            "{}",
            err(&output)
        );
        assert_eq!(err(&output).lines().count(), 1, "{}", err(&output));
    }
    assert!(!folder.join("x.html").exists());
}

#[test]
fn the_examples_of_the_help_run() {
    let folder = folder("histories/help");
    fs::write(folder.join("register.jsonl"), GOOD).unwrap();
    fs::write(folder.join("queue.jsonl"), r#"{"call":1,"return":2,"op":{"type":"deq"}}"#).unwrap();
    fs::create_dir(folder.join("histories")).unwrap();
    fs::write(folder.join("histories/good.jsonl"), GOOD).unwrap();
    let index = r#"[{"file":"good.jsonl","model":"register","linearizable":true}]"#;
    fs::write(folder.join("histories/index.json"), index).unwrap();
    let help = sim(&folder, "check --help");
    let (_, examples) = out(&help).split_once("Examples:\n").unwrap();
    let lines = examples.lines().take_while(|line| line.starts_with("  sim "));
    let mut count = 0;
    for line in lines {
        // What comes after many blanks says what the example is about.
        let line = line.trim_start().split("  ").next().unwrap();
        for command in line.split("; ") {
            let output = sim(&folder, command.strip_prefix("sim ").unwrap());
            assert_eq!(code(&output), 0, "{command}: {}", err(&output));
            count += 1;
        }
    }
    assert_eq!(count, 6, "{examples}");
}

/// What is known is printed, even of operations of which it does not matter when they took effect.
#[test]
fn known_outcomes_are_not_called_unknown() {
    let folder = folder("histories/known");
    let lines = r#"{"client":0,"call":1,"return":2,"op":{"type":"enq","value":"a"}}
{"client":1,"call":3,"return":4,"op":{"type":"enq","value":"b"}}
{"client":2,"call":5,"return":6,"op":{"type":"deq"},"result":"b"}
{"client":2,"call":7,"return":8,"op":{"type":"deq"},"result":"b"}"#;
    fs::write(folder.join("queue.jsonl"), lines).unwrap();
    let checked = sim(&folder, "check queue.jsonl --model queue");
    assert_eq!(code(&checked), 1);
    assert!(
        out(&checked).contains("every outcome known") && !out(&checked).contains('?'),
        "{}",
        out(&checked)
    );
    assert!(out(&checked).contains("enq(b)  even if it took effect later, or never"), "{}", out(&checked));
    let lines = r#"{"call":1,"return":2,"op":{"type":"release"},"result":true}"#;
    fs::write(folder.join("mutex.jsonl"), lines).unwrap();
    let checked = sim(&folder, "check mutex.jsonl --model mutex");
    assert!(out(&checked).contains("a mutex that starts as free"), "{}", out(&checked));
    assert!(out(&checked).contains("before any of them it is free"), "{}", out(&checked));
}

/// With the answer that the poll will get, the peek is at fault and nothing before it: where the outcome of the
/// poll counts as unknown, it might have taken the value away.
#[test]
fn the_first_return_at_fault_is_named() {
    let folder = folder("histories/first");
    let lines = r#"{"call":1,"return":2,"op":{"type":"insert","value":"7"},"result":null}
{"call":3,"return":5,"op":{"type":"peek"},"result":null}
{"call":4,"return":6,"op":{"type":"poll"},"result":null}"#;
    fs::write(folder.join("late.jsonl"), lines).unwrap();
    let found = json(&sim(&folder, "check late.jsonl --model pqueue --json"));
    assert_eq!(
        (&found["operation"]["line"], &found["is_longest_prefix"]),
        (&2.into(), &true.into()),
        "{found}"
    );
    let lines = r#"{"call":1,"return":2,"op":{"type":"deq"},"result":"1"}"#;
    fs::write(folder.join("none.jsonl"), lines).unwrap();
    let found = json(&sim(&folder, "check none.jsonl --model queue --json"));
    assert_eq!(
        (&found["prefix"], &found["is_cut_short"]),
        (&serde_json::json!([]), &false.into()),
        "{found}"
    );
}

/// What the clients of a run saw is judged as the run was, whatever its workload; also with what the system
/// says of the order left out, so that the search has to find one.
#[test]
fn runs_export_histories_that_are_judged_alike() {
    let folder = folder("histories/runs");
    for scenario in ["swarm", "calm", "busy-clients"] {
        let resolved = |seed| Scenario::find(scenario).unwrap().resolve(seed, &Overrides::default());
        // Of several groups each has a history of its own.
        for seed in (0..).filter(|&seed| resolved(seed).groups.is_empty()).take(6) {
            let run = sim(
                &folder,
                &format!("--scenario {scenario} --seed {seed} --steps 3000 --history run.jsonl"),
            );
            assert_eq!(code(&run), 0, "{}", err(&run));
            let hint =
                err(&run).lines().find_map(|line| line.strip_prefix("history: sim ")).unwrap().to_owned();
            let checked = sim(&folder, &hint);
            assert_eq!(code(&checked), 0, "{scenario} {seed}: {}", out(&checked));
            let lines = fs::read_to_string(folder.join("run.jsonl")).unwrap();
            let blind: String = lines
                .lines()
                .map(|line| {
                    let mut record: Value = serde_json::from_str(line).unwrap();
                    record.as_object_mut().unwrap().remove("order");
                    format!("{record}\n")
                })
                .collect();
            fs::write(folder.join("run.jsonl"), blind).unwrap();
            let checked = sim(&folder, &format!("{hint} --time 5s"));
            assert_ne!(code(&checked), 1, "{scenario} {seed}: {}", out(&checked));
        }
    }
}

/// So do the services of the library that are like one of the data types; the others say that there is none.
#[test]
fn runs_of_the_library_export_histories_where_there_is_a_model() {
    let folder = folder("histories/library");
    for (workload, model) in [
        ("register", Some("register")),
        ("blackboard", Some("register")),
        ("set", Some("set")),
        ("counter", None),
        ("services", None),
    ] {
        let text = format!(
            r#"{{"description": "A test.", "swarm": true, "workload": "{workload}", "replicas": 3, "steps": 2000,
                "traffic": {{"keys": 3}}}}"#
        );
        fs::write(folder.join("scenario.json"), text).unwrap();
        for seed in 0..3 {
            let run = sim(&folder, &format!("--scenario scenario.json --seed {seed} --history run.jsonl"));
            let Some(model) = model else {
                assert_eq!(code(&run), 2, "{workload}: {}", err(&run));
                assert!(err(&run).contains(workload), "{}", err(&run));
                continue;
            };
            assert_eq!(code(&run), 0, "{workload} {seed}: {}", err(&run));
            let checked = sim(&folder, &format!("check run.jsonl --model {model}"));
            assert_eq!(code(&checked), 0, "{workload} {seed}: {}", out(&checked));
            assert!(out(&checked).starts_with("LINEARIZABLE"), "{}", out(&checked));
        }
    }
}

#[test]
fn replays_export_what_runs_export() {
    let folder = folder("histories/replay");
    let run = sim(&folder, "--seed 3 --steps 2000 --history run.jsonl --trace run.trace.jsonl");
    assert_eq!(code(&run), 0, "{}", err(&run));
    assert_eq!(code(&sim(&folder, "replay run.trace.jsonl --history again.jsonl")), 0);
    let read = |name| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(read("run.jsonl"), read("again.jsonl"));
    assert!(read("run.jsonl").lines().count() > 20);
}
