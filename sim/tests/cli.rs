//! The command line as scripts see it: exit codes, output that is the same every time, clear complaints.

mod common;

use std::fs;
use std::process::{Command, Stdio};

use common::{code, command, err, folder, json, out, sim};
use serde_json::Value;

// ---- One seed ----------------------------------------------------------------------------------------

#[test]
fn bare_flags_run_one_seed() {
    let folder = folder("bare");
    let bare = sim(&folder, "--seed 42 --steps 2000");
    assert_eq!(code(&bare), 0);
    assert_eq!(bare.stdout, sim(&folder, "run --seed 42 --steps 2000").stdout);
    assert_eq!(bare.stdout, sim(&folder, "--seed 0x2a --steps 2_000").stdout);
    assert_eq!(sim(&folder, "").stdout, sim(&folder, "run --seed 0 --scenario swarm").stdout);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let folder = folder("same");
    for arguments in ["--seed 7 --scenario crash-storm", "--seed 7 --scenario crash-storm --json"] {
        let (once, again) = (sim(&folder, arguments), sim(&folder, arguments));
        assert_eq!(code(&once), 0);
        assert_eq!(once.stdout, again.stdout);
    }
    let other = sim(&folder, "--seed 8 --scenario crash-storm");
    assert_ne!(
        out(&sim(&folder, "--seed 7 --scenario crash-storm")).lines().last(),
        out(&other).lines().last()
    );
}

#[test]
fn a_run_as_json_holds_what_the_page_says() {
    let folder = folder("json");
    let arguments = "--seed 3 --scenario calm --replicas 5 --clients 2 --steps 1000";
    let object = json(&sim(&folder, &format!("{arguments} --json")));
    let page = sim(&folder, arguments);
    assert_eq!(object["verdict"], "held");
    assert_eq!(object["exit_code"], 0);
    assert_eq!((&object["setup"]["replicas"], &object["setup"]["clients"]), (&5.into(), &2.into()));
    assert_eq!(object["fault_steps"], 1000);
    assert!(out(&page).ends_with(&format!(" {}\n", object["digest"].as_str().unwrap())));
}

#[test]
fn a_page_says_what_is_run_under_a_supervisor() {
    let folder = folder("supervised");
    let arguments = "--scenario supervised-groups --seed 2 --steps 300";
    let setup = &json(&sim(&folder, &format!("{arguments} --json")))["setup"];
    let page = sim(&folder, arguments);
    let head = out(&page).split("\nworkload").next().unwrap();
    assert!(head.contains(&format!("\nhosts       {}, {} clients\n", setup["replicas"], setup["clients"])));
    assert!(head.contains("\nsupervision a sign of life every "), "{head}");
    assert!(head.contains(" the user asks for something every "), "{head}");
    let groups = setup["supervision"]["groups"].as_array().unwrap();
    assert!(head.contains("\ngroups      g1  at first on "), "{head}");
    assert_eq!(head.matches("  at first on ").count(), groups.len(), "{head}");
}

#[test]
fn a_run_is_recorded_on_demand() {
    let folder = folder("recorded");
    let output = sim(&folder, "--seed 3 --scenario calm --steps 500 --trace here.jsonl");
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(out(&output).contains("here.jsonl"));
    assert!(fs::read_to_string(folder.join("here.jsonl")).unwrap().starts_with("{\"format\":"));
    let output = sim(&folder, "--seed 3 --scenario calm --steps 500 --trace deep/in/here.jsonl");
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("--trace deep/in/here.jsonl: there is no folder deep/in\n"), "{output:?}");
    assert!(output.stdout.is_empty() && !folder.join("deep").exists(), "a folder may be mistyped");
    fs::write(folder.join("file"), "").unwrap();
    let output = sim(&folder, "--seed 3 --scenario calm --steps 500 --trace file/trace.jsonl");
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("file/trace.jsonl: file is no folder"), "{}", err(&output));
    assert!(output.stdout.is_empty(), "nothing is run in vain");
}

// ---- Failures ----------------------------------------------------------------------------------------

#[test]
fn a_violation_is_recorded_and_can_be_run_again() {
    let folder = folder("violation");
    let sweep = sim(&folder, "sweep --bug M-Q2 --count 300 --json --no-shrink");
    assert_eq!(code(&sweep), 1, "{}", err(&sweep));
    let summary = json(&sweep);
    let finding = &summary["findings"][0];
    assert!(folder.join(finding["trace"].as_str().unwrap()).is_file());
    let again = finding["command"].as_str().unwrap().strip_prefix("sim ").unwrap();
    fs::remove_dir_all(folder.join("failures")).unwrap();
    let run = sim(&folder, again);
    assert_eq!(code(&run), 1);
    let trace = format!("failures/swarm-{}.trace.jsonl", finding["seeds"][0]);
    assert!(out(&run).contains(&format!("sim replay {trace}\n")), "{}", out(&run));
    assert!(folder.join(&trace).is_file());
    assert!(out(&run).contains(finding["violation"]["witness"].as_str().unwrap()));
    let again = json(&sim(&folder, &format!("{again} --json")));
    assert_eq!(again["violation"], finding["violation"]);
}

#[test]
fn a_failure_is_told_in_twelve_lines() {
    let folder = folder("twelve");
    let sweep = sim(&folder, "sweep --bug M-Q2 --count 300 --failures elsewhere --shrink-time 1s");
    assert_eq!(code(&sweep), 1);
    let page = out(&sweep);
    let (_, block) = page.split_once("\nVIOLATED ").unwrap();
    let block = block.split("\n\n").next().unwrap();
    assert!((5..=12).contains(&block.lines().count()), "{block}");
    assert!(block.contains("\n  replay    sim replay elsewhere/swarm-"), "{block}");
    assert!(folder.join("elsewhere").is_dir());
}

#[test]
fn wrong_usage_is_told_in_one_line() {
    let folder = folder("usage");
    fs::write(folder.join("typo.json"), "{\n  \"description\": \"d\",\n  \"replicsa\": 3\n}\n").unwrap();
    let stor = r#"{"description": "d", "workload": {"choose": ["store", "stor"]}}"#;
    fs::write(folder.join("stor.json"), stor).unwrap();
    let stor = "stor.json: workload: unknown workload `stor`: expected one of key-value, ";
    let wrong = [
        ("--scenario stor.json", stor),
        ("sweep --scenario stor.json --count 3", stor),
        ("sweep --scenario calm stor.json --count 3 --guided", stor),
        ("--scenario clam", "clam: no such scenario"),
        ("--scenario typo.json", "typo.json:3:"),
        ("sweep --scenario calm typo.json", "typo.json:3:"),
        ("--scenario none.json", "none.json: "),
        ("--seed 18446744073709551616", "expected a whole number from 0 to 18446744073709551615"),
        ("--seed x", "expected a whole number"),
        ("--replicas 10", "10 is not in 1..=9"),
        ("--steps 0", "steps: "),
        ("--scenario supervised-groups --replicas 2", "replicas: 2 is too few: "),
        ("--bug M-XX", "expected one of M-"),
        ("--seed 1 sweep", "cannot be used with"),
        ("sweep --seeds 7", "expected A..B, A..=B or A.."),
        ("sweep --seeds 9..5", "the range is reversed: expected its end not to be below 9"),
        ("sweep --guided --shard 1/2", "'--guided' cannot be used with '--shard"),
        ("sweep --guided --jsonl a.jsonl", "'--guided' cannot be used with '--jsonl"),
        ("selftest --starts 0", "expected a whole number of starts, at least 1"),
        ("trace show none.jsonl --from abc", "expected a whole number"),
        ("scenario show calm --seed x", "expected a whole number"),
        ("sweep --shard 3/2", "expected k/n with k from 1 to n"),
        ("sweep --time soon", "expected a time such as 60s"),
        ("sweep --require path:none", "expected one of path:"),
    ];
    for (arguments, expected) in wrong {
        let output = sim(&folder, arguments);
        assert_eq!(code(&output), 2, "{arguments}");
        assert_eq!(out(&output), "", "{arguments}");
        let first = err(&output).lines().next().unwrap();
        assert!(first.starts_with("error: ") && first.contains(expected), "{arguments}: {first}");
    }
}

#[test]
fn a_checked_scenario_can_be_run() {
    let folder = folder("checked");
    fs::write(folder.join("stor.json"), r#"{"description": "d", "workload": "stor"}"#).unwrap();
    fs::write(folder.join("store.json"), r#"{"description": "d", "workload": "store"}"#).unwrap();
    let checked = sim(&folder, "scenario check stor.json store.json");
    assert_eq!((code(&checked), out(&checked)), (2, "store.json: ok\n"));
    assert!(err(&checked).starts_with("stor.json: workload: unknown workload `stor`: "), "{}", err(&checked));
}

#[test]
fn a_story_from_beyond_the_end_says_where_that_is() {
    let folder = folder("beyond");
    let trace = common::kept("published-state-transfer");
    let shown = sim(&folder, &format!("trace show {trace} --from 999999"));
    assert_eq!(code(&shown), 0);
    assert!(err(&shown).contains("--from 999999: the trace ends at step "), "{}", err(&shown));
    assert!(!err(&sim(&folder, &format!("trace show {trace}"))).contains("ends at step"));
    assert!(!out(&sim(&folder, "trace show --help")).contains(&u64::MAX.to_string()));
}

/// A folder stands where a file is to be, in ways that are seen before anything is run and in ways that are not:
/// nobody can write below /dev/null/, and nobody into /proc.
#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_is_told_in_one_line() {
    let folder = folder("unwritable");
    let trace = common::kept("published-state-transfer");
    let run = "--seed 3 --scenario calm --steps 300";
    let wrong = [
        format!("{run} --trace /proc/none/a"),
        format!("{run} --history /proc/none/a"),
        format!("{run} --trace /proc/a"),
        "sweep --scenario calm --count 2 --steps 300 --junit /proc/none/a".to_owned(),
        "sweep --scenario calm --count 2 --steps 300 --jsonl /proc/none/a".to_owned(),
        format!("shrink {trace} -o /proc/none/a"),
        format!("shrink {trace} -o /dev/null/a"),
        format!("replay {trace} --rerecord /proc/none/a"),
        format!("replay {trace} --history /proc/none/a"),
        format!("view {trace} -o /proc/none/a"),
        format!("view {trace} --svg /proc/none/a"),
        "man -o /proc/none".to_owned(),
    ];
    for arguments in wrong {
        let output = sim(&folder, &arguments);
        assert_eq!(code(&output), 2, "{arguments}: {}", err(&output));
        let complaints: Vec<_> = err(&output).lines().filter(|line| line.starts_with("error: ")).collect();
        let [complaint] = complaints[..] else { panic!("{arguments}: {}", err(&output)) };
        assert!(complaint.contains("/a") || complaint.contains("/proc/none/sim"), "{complaint}");
    }
}

#[test]
fn nothing_run_is_not_success() {
    let folder = folder("nothing");
    for arguments in ["sweep --count 0", "sweep --seeds 5..5", "sweep --time 0s"] {
        let output = sim(&folder, arguments);
        assert_eq!(code(&output), 4, "{arguments}");
        assert!(err(&output).contains("nothing was run"), "{}", err(&output));
    }
}

#[test]
fn marks_can_be_demanded() {
    let folder = folder("marks");
    let calm = "sweep --scenario calm --count 4 --steps 300";
    assert_eq!(code(&sim(&folder, &format!("{calm} --require path:prepare-kept"))), 0);
    let output = sim(&folder, &format!("{calm} --require path:prepare-kept --require moment:crash"));
    assert_eq!(code(&output), 7);
    assert!(err(&output).contains("not reached: moment:crash\n"), "{}", err(&output));
    let output = sim(&folder, &format!("{calm} --require-marks --json"));
    assert_eq!(code(&output), 7);
    let summary = json(&output);
    assert_eq!(summary["exit_code"], 7);
    assert_eq!(summary["marks_unmet"], summary["marks_not_reached"]);
}

// ---- Many seeds --------------------------------------------------------------------------------------

#[test]
fn the_number_of_threads_changes_nothing() {
    let folder = folder("jobs");
    for arguments in
        ["sweep --count 60 --steps 500 --recheck 20", "sweep --bug M-Q2 --seeds 0..300 --no-shrink"]
    {
        let one = sim(&folder, &format!("{arguments} --jobs 1"));
        let two = sim(&folder, &format!("{arguments} --jobs 2"));
        assert_eq!(out(&one), out(&two));
        assert_eq!(one.status, two.status);
    }
}

#[test]
fn shards_add_up() {
    let folder = folder("shards");
    let sweep = |shard: &str| json(&sim(&folder, &format!("sweep --seeds 7..47 --steps 300 --json {shard}")));
    let digest = |summary: &Value| u64::from_str_radix(summary["digest"].as_str().unwrap(), 16).unwrap();
    let whole = sweep("");
    let parts = [sweep("--shard 1/3"), sweep("--shard 2/3"), sweep("--shard 3/3")];
    assert_eq!(whole["runs"], 40);
    assert_eq!(parts.iter().map(|part| part["runs"].as_u64().unwrap()).sum::<u64>(), 40);
    assert_eq!(parts.iter().map(digest).fold(0, u64::wrapping_add), digest(&whole));
}

#[cfg(unix)]
#[test]
fn an_interrupted_sweep_writes_what_was_done() {
    let folder = folder("interrupted");
    let child = command(&folder, "sweep --time 5m --scenario calm --jobs 1 --json")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 130);
    let summary = json(&output);
    assert!(summary["runs"].as_u64().unwrap() > 0);
    assert_eq!(summary["stopped"], true);
}

// ---- Where the output goes ---------------------------------------------------------------------------

#[test]
fn pipes_get_no_colours() {
    let folder = folder("colours");
    for arguments in
        ["--seed 1 --steps 500", "sweep --count 5 --steps 300", "sweep --count 0", "--scenario clam"]
    {
        for no_color in [false, true] {
            let mut command = command(&folder, arguments);
            if no_color {
                command.env("NO_COLOR", "1");
            }
            let output = command.output().unwrap();
            assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b), "{arguments}");
        }
    }
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let folder = folder("closed");
    for arguments in ["--seed 1 --steps 500", "sweep --count 5 --steps 300", "scenario list", "--help"] {
        let mut child =
            command(&folder, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(code(&output), 0, "{arguments}");
        assert!(!err(&output).contains("panicked"), "{arguments}");
    }
}

#[test]
fn the_help_teaches() {
    let folder = folder("help");
    let output = sim(&folder, "--help");
    assert_eq!(code(&output), 0);
    let run = sim(&folder, "run --help");
    assert!(out(&run).contains("Examples:\n  sim run --seed 42 "), "{}", out(&run));
    assert!(!out(&run).contains("M-N1"), "the names are for shells: {}", out(&run));
    for expected in
        ["sim --seed 42 --steps 100000", "sim sweep --count 2000", "Exit codes:", "130  interrupted"]
    {
        assert!(out(&output).contains(expected), "{expected}");
    }
}
