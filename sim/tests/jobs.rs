//! Sweeps in several jobs: records, parts that are merged, sweeps that go on after a stop, and what engines for
//! CI are told.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use common::{command, err, folder, sim};
use sim::records::{Reader, Writer};

/// A few runs of all scenarios.
const SWEEP: &str = "sweep --seeds 7..87 --steps 300 --recheck 20";

/// Runs a command that must end with `code`; gives what it printed.
fn expect(folder: &Path, arguments: &str, code: i32) -> String {
    let output = sim(folder, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments}: {}", err(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that must be refused with `code`, in one line that has `expected` in it, and nothing else.
fn refused(folder: &Path, arguments: &str, code: i32, expected: &str) {
    let output = sim(folder, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments}: {}", err(&output));
    let complaint = err(&output);
    assert!(complaint.starts_with("error: ") && complaint.contains(expected), "{arguments}: {complaint}");
    assert_eq!(complaint.lines().count(), 1, "{arguments}: {complaint}");
    assert!(output.stdout.is_empty(), "{arguments}");
}

fn read(folder: &Path, file: &str) -> String {
    fs::read_to_string(folder.join(file)).unwrap()
}

fn write(folder: &Path, file: &str, text: &str) {
    fs::write(folder.join(file), text).unwrap();
}

/// The files of four parts of [`SWEEP`].
fn four_parts(folder: &Path) -> &'static str {
    for part in 1..=4 {
        expect(folder, &format!("{SWEEP} --shard {part}/4 --jsonl {part}.jsonl"), 0);
    }
    "1.jsonl 2.jsonl 3.jsonl 4.jsonl"
}

// ---- Records -----------------------------------------------------------------------------------------

#[test]
fn records_are_the_same_for_any_number_of_threads() {
    let folder = folder("jobs/threads");
    expect(&folder, &format!("{SWEEP} --jobs 1 --jsonl one.jsonl"), 0);
    expect(&folder, &format!("{SWEEP} --jobs 4 --jsonl four.jsonl"), 0);
    assert_eq!(read(&folder, "one.jsonl"), read(&folder, "four.jsonl"));
    assert_eq!(read(&folder, "one.jsonl").lines().count(), 81);
}

#[test]
fn a_file_that_is_there_is_left_alone() {
    let folder = folder("jobs/left");
    write(&folder, "a.jsonl", "precious\n");
    refused(&folder, &format!("{SWEEP} --jsonl a.jsonl"), 2, "a.jsonl: is there already");
    refused(&folder, &format!("{SWEEP} --jsonl a.jsonl --resume"), 2, "a.jsonl: no sweep's records");
    refused(&folder, &format!("{SWEEP} --jsonl a.jsonl/b.jsonl"), 2, "a.jsonl/b.jsonl: cannot be written");
    refused(
        &folder,
        &format!("{SWEEP} --junit a.jsonl/b.xml"),
        2,
        "--junit a.jsonl/b.xml: a.jsonl is no folder",
    );
    assert_eq!(read(&folder, "a.jsonl"), "precious\n");
}

// ---- Merging -----------------------------------------------------------------------------------------

#[test]
fn four_parts_merged_are_the_whole_to_the_byte() {
    let folder = folder("jobs/merged");
    let parts = four_parts(&folder);
    for form in ["", "--json", "--require-marks", "--github"] {
        let code = if form == "--require-marks" { 7 } else { 0 };
        assert_eq!(
            expect(&folder, &format!("{SWEEP} {form}"), code),
            expect(&folder, &format!("merge {parts} {form}"), code)
        );
    }
    expect(&folder, &format!("{SWEEP} --jsonl whole.jsonl --junit whole.xml"), 0);
    expect(&folder, &format!("merge {parts} --jsonl merged.jsonl --junit merged.xml"), 0);
    assert_eq!(read(&folder, "whole.jsonl"), read(&folder, "merged.jsonl"));
    assert_eq!(read(&folder, "whole.xml"), read(&folder, "merged.xml"));
}

#[test]
fn findings_are_merged_and_recorded() {
    let folder = folder("jobs/findings");
    let sweep = "sweep --bug M-S1 --all-scenarios --count 90 --steps 2000";
    for part in 1..=2 {
        expect(&folder, &format!("{sweep} --shard {part}/2 --jsonl {part}.jsonl"), 1);
    }
    let whole = expect(&folder, &format!("{sweep} --junit whole.xml"), 1);
    fs::remove_dir_all(folder.join("failures")).unwrap();
    assert_eq!(whole, expect(&folder, "merge 2.jsonl 1.jsonl --junit merged.xml", 1));
    assert_eq!(read(&folder, "whole.xml"), read(&folder, "merged.xml"));
    let (_, trace) = whole.split_once("sim replay ").unwrap();
    assert!(folder.join(trace.lines().next().unwrap()).is_file());
}

#[test]
fn a_scenario_file_goes_along_with_the_records() {
    let folder = folder("jobs/file");
    let text = r#"{ "description": "Small.", "replicas": 3, "steps": 200 }"#;
    write(&folder, "mine.json", text);
    let sweep = "sweep --scenario mine.json calm --count 12";
    let whole = expect(&folder, sweep, 0);
    expect(&folder, &format!("{sweep} --shard 1/2 --jsonl 1.jsonl"), 0);
    expect(&folder, &format!("{sweep} --shard 2/2 --jsonl 2.jsonl"), 0);
    write(&folder, "mine.json", &text.replace("200", "201"));
    assert_eq!(whole, expect(&folder, "merge 1.jsonl 2.jsonl", 0));
    let other = "2.jsonl: holds the records of another sweep: the content of mine is another";
    refused(&folder, &format!("{sweep} --shard 2/2 --jsonl 2.jsonl --resume"), 2, other);
    fs::remove_file(folder.join("2.jsonl")).unwrap();
    expect(&folder, &format!("{sweep} --shard 2/2 --jsonl 2.jsonl"), 0);
    let other = "2.jsonl: not a part of the same sweep as 1.jsonl: the content of mine is another";
    refused(&folder, "merge 1.jsonl 2.jsonl", 2, other);
}

#[test]
fn parts_that_do_not_fit_together_are_refused() {
    let folder = folder("jobs/misfits");
    four_parts(&folder);
    let part = read(&folder, "2.jsonl");
    let lines: Vec<&str> = part.lines().collect();
    let save = |file: &str, lines: &[&str]| write(&folder, file, &(lines.join("\n") + "\n"));
    save("short.jsonl", &lines[..lines.len() - 1]);
    save("gap.jsonl", &[&lines[..5], &lines[6..]].concat());
    save("twice.jsonl", &[&lines[..6], &lines[5..]].concat());
    write(&folder, "cut.jsonl", &part[..part.len() - 20]);
    write(&folder, "longer.jsonl", &format!("{part}{}\n", lines[5]));
    write(&folder, "tail.jsonl", &format!("{part}{{"));
    write(&folder, "newer.jsonl", &part.replacen("\"version\":2", "\"version\":3", 1));
    write(&folder, "older.jsonl", &part.replacen("\"version\":2", "\"version\":1", 1));
    write(&folder, "code.jsonl", &part.replacen("\"code\":\"", "\"code\":\"x", 1));
    write(&folder, "bug.jsonl", &part.replacen("\"bug\":null", "\"bug\":\"M-Q2\"", 1));
    write(&folder, "mark.jsonl", &part.replacen("\"sent:request\"", "\"sent:requests\"", 1));
    write(&folder, "fifths.jsonl", &part.replacen("\"2/4\"", "\"2/5\"", 1));
    write(&folder, "shard.jsonl", &part.replacen("\"2/4\"", "\"5/4\"", 1));
    write(&folder, "text.jsonl", "seeds\n");
    write(&folder, "empty.jsonl", "");
    let end = lines.len();
    let wrong: [(&str, &str); 18] = [
        ("3.jsonl", "part 2 of 4 is missing"),
        ("1.jsonl", "1.jsonl: part 1 of 4, as 1.jsonl is: expected each part once"),
        ("short.jsonl", &format!("short.jsonl: ends after line {}: expected seed", end - 1)),
        ("gap.jsonl", "gap.jsonl:6: seed"),
        ("twice.jsonl", "twice.jsonl:7: seed"),
        ("cut.jsonl", &format!("cut.jsonl:{end}: cut in the middle of the line: expected seed")),
        ("longer.jsonl", &format!("longer.jsonl:{}: seed", end + 1)),
        ("tail.jsonl", &format!("tail.jsonl:{}: something follows the last seed", end + 1)),
        ("newer.jsonl", "newer.jsonl: written by newer code: records version 3, expected 2"),
        ("older.jsonl", "older.jsonl: written by older code: records version 1, expected 2"),
        ("code.jsonl", "code.jsonl: made by code x"),
        ("bug.jsonl", "bug.jsonl: not a part of the same sweep as 1.jsonl: bug is \"M-Q2\", not null"),
        ("mark.jsonl", "there is no mark `sent:requests`"),
        ("fifths.jsonl", "fifths.jsonl: part 2 of 5, but 1.jsonl is part 1 of 4"),
        ("shard.jsonl", "shard.jsonl: expected k/n with k from 1 to n"),
        ("text.jsonl", "text.jsonl: no sweep's records: expected a first line with"),
        ("empty.jsonl", "empty.jsonl: an empty file"),
        ("none.jsonl", "none.jsonl: cannot be read"),
    ];
    for (file, expected) in wrong {
        let rest = if file == "3.jsonl" { "4.jsonl" } else { "3.jsonl 4.jsonl" };
        refused(&folder, &format!("merge 1.jsonl {file} {rest}"), 2, expected);
    }
}

/// `text` with the first `from` behind the line at `index` replaced.
fn altered(text: &str, index: usize, from: &str, to: &str) -> String {
    let at = text.match_indices('\n').nth(index - 1).unwrap().0;
    let changed = text[..at].to_owned() + &text[at..].replacen(from, to, 1);
    assert_ne!(changed, text);
    changed
}

#[test]
fn records_that_were_altered_are_refused() {
    let folder = folder("jobs/altered");
    four_parts(&folder);
    let part = read(&folder, "2.jsonl");
    let end = part.lines().count();
    let digest = part.lines().nth(5).unwrap().split_once("\"digest\":\"").unwrap().1;
    let digest = digest.split('"').next().unwrap();
    let mut other = digest.to_owned();
    other.replace_range(3..4, if &digest[3..4] == "0" { "1" } else { "0" });
    let last = part.trim_end().lines().last().unwrap();
    let checksum = last.strip_suffix("\"}").unwrap();
    let altered = [
        (
            "digest.jsonl",
            altered(&part, 5, digest, &other),
            "digest.jsonl:6: altered or damaged: its checksum is",
        ),
        (
            "committed.jsonl",
            altered(&part, 2, "\"committed\":", "\"committed\":1"),
            "committed.jsonl:3: altered",
        ),
        (
            "steps.jsonl",
            altered(&part, end - 1, "\"steps\":", "\"steps\":1"),
            &format!("steps.jsonl:{end}: altered"),
        ),
        (
            "without.jsonl",
            altered(&part, 3, "\"checksum\"", "\"checksun\""),
            "without.jsonl:4: damaged: expected a run",
        ),
        (
            "last.jsonl",
            part.replace(checksum, &format!("{}x", &checksum[..checksum.len() - 1])),
            &format!("last.jsonl:{end}: altered"),
        ),
        ("space.jsonl", altered(&part, 2, "\"seed\":", "\"seed\": "), "space.jsonl:3: altered"),
    ];
    for (file, text, expected) in &altered {
        write(&folder, file, text);
        refused(&folder, &format!("merge 1.jsonl {file} 3.jsonl 4.jsonl"), 2, expected);
        refused(&folder, &format!("{SWEEP} --shard 2/4 --jsonl {file} --resume"), 2, expected);
        assert_eq!(read(&folder, file), *text, "it is left as it is");
    }
}

#[test]
fn a_seed_with_two_results_is_told() {
    let folder = folder("jobs/unequal");
    four_parts(&folder);
    let part = read(&folder, "2.jsonl");
    // As a run with another result would have written it: the checksums are right.
    let mut reader = Reader::open(&folder.join("2.jsonl"), None).unwrap();
    let mut writer = Writer::create(&folder.join("again.jsonl"), reader.head()).unwrap();
    while let Some(mut record) = reader.next_record().unwrap() {
        if reader.line() == part.lines().count() as u64 {
            record.digest.0 ^= 1;
        }
        writer.add(&record).unwrap();
    }
    let told = "gave two results: digest";
    refused(&folder, "merge 2.jsonl again.jsonl", 5, told);
    refused(
        &folder,
        "merge 1.jsonl 2.jsonl 3.jsonl 4.jsonl again.jsonl",
        5,
        &format!("in again.jsonl:{}", part.lines().count()),
    );
}

#[test]
fn parts_without_an_end_are_merged_as_far_as_they_went() {
    let folder = folder("jobs/endless");
    for part in 1..=2 {
        expect(&folder, &format!("sweep --time 1s --steps 300 --shard {part}/2 --jsonl {part}.jsonl"), 0);
    }
    let records = |file: &str| read(&folder, file).lines().count() - 1;
    let summary: serde_json::Value =
        serde_json::from_str(&expect(&folder, "merge 1.jsonl 2.jsonl --json", 0)).unwrap();
    assert_eq!(summary["runs"], records("1.jsonl") + records("2.jsonl"));
    assert_eq!((&summary["stopped"], &summary["seeds"]), (&true.into(), &serde_json::Value::Null));
    refused(&folder, "merge 1.jsonl 2.jsonl --jsonl whole.jsonl", 2, "a sweep without an end has no whole");
}

// ---- Going on ----------------------------------------------------------------------------------------

/// Starts a sweep that takes a while, and waits until some runs are in its file.
fn started(folder: &Path, sweep: &str) -> Child {
    let mut command = command(folder, &format!("{sweep} --jobs 2 --jsonl part.jsonl"));
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let lines = || fs::read_to_string(folder.join("part.jsonl")).map_or(0, |text| text.lines().count());
    while lines() < 10 {
        thread::sleep(Duration::from_millis(2));
    }
    child
}

/// Goes on with `part.jsonl`, and holds the result against a sweep that was never stopped.
fn goes_on(folder: &Path, sweep: &str) {
    let before = read(folder, "part.jsonl");
    assert!(before.lines().count() < 1_000, "it was stopped in the middle");
    let resumed = sim(folder, &format!("{sweep} --jobs 3 --jsonl part.jsonl --resume"));
    assert!(err(&resumed).contains(", going on with seed "), "{}", err(&resumed));
    let whole = expect(folder, &format!("{sweep} --jsonl whole.jsonl"), 0);
    assert_eq!(String::from_utf8(resumed.stdout).unwrap(), whole);
    let after = read(folder, "part.jsonl");
    assert_eq!(after, read(folder, "whole.jsonl"));
    let kept = &before[..before.rfind('\n').unwrap() + 1];
    assert!(after.starts_with(kept));
    // With everything done, nothing is run.
    let again = sim(folder, &format!("{sweep} --jsonl part.jsonl --resume"));
    assert!(err(&again).contains("holds 1,000 runs, nothing is left to do"), "{}", err(&again));
    assert_eq!(String::from_utf8(again.stdout).unwrap(), whole);
}

const LONG: &str = "sweep --count 1000 --steps 1000";

#[test]
fn a_sweep_that_was_killed_goes_on() {
    let folder = folder("jobs/killed");
    let mut child = started(&folder, LONG);
    child.kill().unwrap();
    child.wait().unwrap();
    // A machine that loses its power cuts lines as well.
    let text = read(&folder, "part.jsonl");
    let (whole, _) = text.trim_end().rsplit_once('\n').unwrap();
    write(&folder, "part.jsonl", &text[..whole.len() + 30]);
    goes_on(&folder, LONG);
}

#[cfg(unix)]
#[test]
fn a_sweep_that_was_interrupted_goes_on() {
    let folder = folder("jobs/interrupted");
    let mut child = started(&folder, LONG);
    let signalled = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(read(&folder, "part.jsonl").ends_with('\n'));
    goes_on(&folder, LONG);
}

#[test]
fn a_sweep_goes_on_with_the_same_settings_only() {
    let folder = folder("jobs/settings");
    expect(&folder, &format!("{SWEEP} --shard 1/2 --jsonl a.jsonl"), 0);
    let other = [
        ("--shard 2/2", "another sweep: shard is 1/2, not 2/2"),
        ("--shard 1/2 --bug M-Q2 --all-scenarios", "bug is null, not \"M-Q2\""),
        ("--shard 1/2 --scenario calm", "scenarios is [\"swarm\","),
        ("--shard 1/2 --count 9", "count is 80, not 9"),
    ];
    for (arguments, expected) in other {
        refused(&folder, &format!("{SWEEP} {arguments} --jsonl a.jsonl --resume"), 2, expected);
    }
    refused(&folder, "sweep --jsonl a.jsonl --resume", 2, "another sweep: steps is 300, not null");
    // Nothing but a part of the first line: the sweep was killed as it began.
    let text = read(&folder, "a.jsonl");
    write(&folder, "b.jsonl", &text[..40]);
    expect(&folder, &format!("{SWEEP} --shard 1/2 --jsonl b.jsonl --resume"), 0);
    assert_eq!(text, read(&folder, "b.jsonl"));
}

// ---- Engines -----------------------------------------------------------------------------------------

#[test]
fn the_part_is_taken_from_the_environment_and_said() {
    let folder = folder("jobs/environment");
    let second = expect(&folder, &format!("{SWEEP} --shard 2/4"), 0);
    let in_job = |arguments: &str, index: &str| {
        let mut command = command(&folder, arguments);
        command.env("JOB_COMPLETION_INDEX", index).env("JOB_COMPLETIONS", "4").output().unwrap()
    };
    let output = in_job(SWEEP, "1");
    assert_eq!(String::from_utf8(output.stdout.clone()).unwrap(), second);
    let said = "part 2 of 4, as Kubernetes says: --shard 1/1 makes everything\n";
    assert!(err(&output).starts_with(said), "{}", err(&output));
    let whole = in_job(&format!("{SWEEP} --shard 1/1"), "1");
    assert_eq!(whole.stdout, sim(&folder, SWEEP).stdout);
    let wrong = in_job(SWEEP, "4");
    assert_eq!((wrong.status.code(), wrong.stdout.len()), (Some(2), 0));
    assert!(err(&wrong).starts_with("error: JOB_COMPLETION_INDEX is 4"), "{}", err(&wrong));
}

/// How many elements of this name a file of XML has.
fn elements(xml: &str, name: &str) -> usize {
    xml.matches(&format!("<{name} ")).count()
}

#[test]
fn junit_has_a_case_for_each_scenario_and_property() {
    let folder = folder("jobs/junit");
    expect(&folder, "sweep --scenario calm lossy --count 20 --steps 300 --junit deep/held.xml", 0);
    let held = read(&folder, "deep/held.xml");
    let cases_each = elements(&held, "testcase");
    assert!(held.contains("<testcase name=\"S1 log agreement\" classname=\"lossy\"/>"), "{held}");
    assert_eq!(
        (elements(&held, "testsuite"), elements(&held, "failure"), elements(&held, "error")),
        (3, 0, 0)
    );
    expect(&folder, "sweep --scenario calm lossy --count 40 --steps 300 --junit more.xml", 0);
    assert_eq!(elements(&read(&folder, "more.xml"), "testcase"), cases_each, "cases are not seeds");
    expect(&folder, "sweep --bug M-Q2 --count 300 --no-shrink --junit violated.xml", 1);
    let violated = read(&folder, "violated.xml");
    assert!(elements(&violated, "failure") > 0 && violated.contains("sim run --seed "), "{violated}");
    // Whatever makes the exit code another one than 0 is a case that fails.
    expect(
        &folder,
        "sweep --scenario calm lossy --seeds 4..5 --steps 300 --require moment:crash --junit marks.xml",
        7,
    );
    let marks = read(&folder, "marks.xml");
    assert!(marks.contains("<failure message=\"not reached: moment:crash\""), "{marks}");
    assert!(marks.contains("<skipped message=\"no seed was run in this scenario\""), "{marks}");
    expect(&folder, "sweep --count 0 --junit nothing.xml", 4);
    assert_eq!(elements(&read(&folder, "nothing.xml"), "error"), 1);
}

#[test]
fn github_gets_annotations_and_a_summary() {
    let folder = folder("jobs/github");
    let sweep = "sweep --bug M-S1 --scenario swarm crash-storm --count 40";
    let with_summary = |arguments: &str| {
        command(&folder, arguments).env("GITHUB_STEP_SUMMARY", "summary.md").output().unwrap()
    };
    let output = with_summary(&format!("{sweep} --github"));
    assert_eq!(output.status.code(), Some(1));
    let page = expect(&folder, sweep, 1);
    let told = String::from_utf8(output.stdout).unwrap();
    let annotations = told.strip_prefix(&page).unwrap();
    assert!(annotations.starts_with("::error title=S9 one log in a view%3A "), "{annotations}");
    assert!((1..=10).contains(&annotations.lines().count()));
    let summary = read(&folder, "summary.md");
    assert!(
        summary.starts_with("### sim sweep: a property was violated\n") && summary.contains("| S9 "),
        "{summary}"
    );
    // As JSON, stdout is one object and nothing else; summaries are appended.
    let output = with_summary(&format!("{sweep} --github --json"));
    assert_eq!(String::from_utf8(output.stdout.clone()).unwrap().lines().count(), 1);
    assert!(err(&output).contains("\n::error title=") || err(&output).starts_with("::error title="));
    assert_eq!(read(&folder, "summary.md"), summary.repeat(2));
    let output = sim(&folder, &format!("{sweep} --github"));
    assert!(err(&output).contains("GITHUB_STEP_SUMMARY is not set"), "{}", err(&output));
}

// ---- Shells and man ----------------------------------------------------------------------------------

/// Whether a program is there: not every machine has every shell.
fn has(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// What bash offers for the last of these words.
fn completed(folder: &Path, words: &[&str]) -> String {
    let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
    let complete = format!(
        "source ./bash; COMP_WORDS=(sim {}); COMP_CWORD={}; _sim sim {last} {before}; echo ${{COMPREPLY[@]}}",
        words.join(" "),
        words.len()
    );
    let output = Command::new("bash").args(["--norc", "-c", &complete]).current_dir(folder).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", err(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn shells_complete_the_command_line() {
    let folder = folder("jobs/completions");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = expect(&folder, &format!("completions {shell}"), 0);
        assert!(script.contains("sweep") && script.contains("jsonl"), "{shell}");
        write(&folder, shell, &script);
    }
    if has("bash") {
        assert_eq!(completed(&folder, &["sweep", "--json"]), "--jsonl --json\n");
        assert_eq!(completed(&folder, &["run", "--scenario", "cr"]), "crash-storm\n");
        assert_eq!(completed(&folder, &["--scenario", "sw"]), "swarm\n");
        assert!(completed(&folder, &["sweep", "--bug", "M-N1"]).starts_with("M-N1 "));
        assert_eq!(completed(&folder, &["selftest", "--only", "M-S4"]), "M-S4\n");
        // Nothing, and so what bash offers by default: files.
        assert_eq!(completed(&folder, &["run", "--scenario", "scenarios/"]), "\n");
    }
    for shell in ["zsh", "fish"].into_iter().filter(|shell| has(shell)) {
        let output = Command::new(shell).args(["-n", shell]).current_dir(&folder).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{shell}: {output:?}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = folder("jobs/man");
    assert!(expect(&folder, "man", 0).contains(".SH SYNOPSIS"));
    expect(&folder, "man -o deep/man", 0);
    let pages: Vec<PathBuf> =
        fs::read_dir(folder.join("deep/man")).unwrap().map(|entry| entry.unwrap().path()).collect();
    for expected in ["sim.1", "sim-sweep.1", "sim-merge.1", "sim-trace-show.1"] {
        assert!(pages.iter().any(|page| page.ends_with(expected)), "{expected}");
    }
    refused(&folder, "man -o deep/man/sim.1", 2, "deep/man/sim.1/sim.1: cannot be written");
    if has("groff") {
        for page in pages {
            let output = Command::new("groff").args(["-man", "-Tutf8", "-ww"]).arg(&page).output().unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{page:?}: {}", err(&output));
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let is_sweep = page.ends_with("sim-sweep.1");
            assert!(!is_sweep || text.contains("ten minutes\n"), "examples stay on their line: {text}");
        }
    }
}
