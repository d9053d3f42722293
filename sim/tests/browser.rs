//! The page that `sim view` writes, in a real browser. Needs Chromium and its driver:
//!
//!     apt-get install chromium chromium-driver
//!     cargo test -p sim --test browser -- --ignored

mod common;

#[path = "browser/webdriver.rs"]
mod webdriver;

use std::fs;
use std::process::Command;

use common::{folder, kept};
use webdriver::Browser;

const DOWN: char = '\u{E015}';
const UP: char = '\u{E013}';
const RIGHT: char = '\u{E014}';
const ENTER: char = '\u{E007}';
const ESCAPE: char = '\u{E00C}';
const END: char = '\u{E010}';

fn sim(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_sim")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn selected(browser: &Browser) -> u64 {
    let step = browser.run("return document.querySelector('[aria-selected=true]')?.id.slice(5) ?? null");
    step.as_str().expect("an event is selected").parse().unwrap()
}

#[test]
#[ignore = "needs Chromium: cargo test -p sim --test browser -- --ignored"]
fn a_page_shows_a_violation_and_can_be_explored() {
    let folder = folder("browser/page");
    let page = folder.join("page.html");
    let output = page.to_str().unwrap();
    let browser = Browser::start(&folder.join("profile"));

    let said = sim(&["view", &kept("recovered-into-an-older-view"), "-o", output]);
    browser.open(&page);
    let facts = shows_the_violation(&browser, &said);

    let likelihood = folder.join("likelihood.json");
    let points = format!(
        r#"[{{"step":{},"failed":4,"of":20}},{{"step":{},"failed":19,"of":20}}]"#,
        facts[0] - 1,
        facts[0]
    );
    fs::write(&likelihood, format!(r#"{{"points":{points},"decisive":[{}]}}"#, facts[0])).unwrap();
    let curve = format!("--likelihood={}", likelihood.display());
    sim(&["view", &kept("recovered-into-an-older-view"), "-o", output, &curve]);
    browser.open(&page);
    selects_events(&browser, facts);
    filters(&browser, steps(&said));
    searches(&browser);
    what_comes_from_outside_has_no_past(&browser);
    has_themes_and_help(&browser);
    assert_eq!(
        browser.run("return performance.getEntriesByType('resource').length"),
        0,
        "nothing is fetched"
    );

    // A run that held, of which only the end is there at first.
    let said = sim(&["view", &kept("new-state-of-another-view"), "-o", output]);
    browser.open(&page);
    shows_the_end_and_then_all(&browser, steps(&said));
    heartbeats_are_folded(&browser);

    let trace = folder.join("long.jsonl");
    sim(&["run", "--seed", "42", "--steps", "100000", "--trace", trace.to_str().unwrap()]);
    let said = sim(&["view", trace.to_str().unwrap(), "-o", output]);
    browser.open(&page);
    let ready = browser.run("return performance.getEntriesByName('ready')[0].startTime").as_f64().unwrap();
    eprint!("100,000 steps: ready after {ready:.0} ms; {said}");
    // It takes a fifth of a second; machines that do other things as well get much more.
    assert!(ready < 5_000.0, "{ready} ms");
    assert!(steps(&said) > 100_000, "{said}");
    shows_the_end_and_then_all(&browser, steps(&said));
    assert_eq!(browser.console(), Vec::<String>::new());
}

/// How many steps there are: "the last 1,500 of 7,681 steps at first".
fn steps(said: &str) -> u64 {
    let number = said.split(" of ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    number.replace(',', "").parse().unwrap_or_else(|_| panic!("the number of steps: {said}"))
}

/// The steps of the two facts that contradict each other.
fn shows_the_violation(browser: &Browser, said: &str) -> [u64; 2] {
    let finding = browser.text("#finding");
    assert!(finding.contains("S4b votes are kept"), "{finding}");
    assert!(finding.contains("r2 is normal in view 0, but view 1 has started on its vote"), "{finding}");
    assert_eq!(browser.count("#finding button"), 2, "both facts");
    let fact = |nth: u64| {
        let step =
            browser.run(&format!("return document.querySelectorAll('#finding button')[{nth}].dataset.step"));
        step.as_str().unwrap().parse().unwrap()
    };
    let facts = [fact(0), fact(1)];
    assert!(facts[0] < facts[1]);
    assert!(browser.count("#drawing .ring") >= 1);
    assert_eq!(browser.count("#drawing .link"), 1);
    assert_eq!(selected(browser), facts[1], "the step of the violation");
    let status = browser.text("#status");
    assert!(
        status.contains(&format!("of {} steps shown", steps(said))) && status.contains("left out"),
        "{status}"
    );
    assert!(browser.count("#drawing .cross") > 0, "what the partition cut ends in a cross");
    assert!(browser.count("#drawing .wall") > 0, "and the partition can be seen");
    facts
}

fn selects_events(browser: &Browser, [first, last]: [u64; 2]) {
    let details = browser.text("#details");
    assert!(details.contains(&format!("Step {last}")) && details.contains("recovering"), "{details}");
    browser.press(&UP.to_string());
    let before = selected(browser);
    assert!(before < last);
    browser.press(&DOWN.to_string());
    assert_eq!(selected(browser), last);
    browser.press(&ENTER.to_string());
    let sender = selected(browser);
    assert!(
        browser.text("#details").contains(&format!("step {last}")),
        "where the message was sent: {sender}"
    );
    browser.press("v");
    assert_eq!(selected(browser), last);
    browser.press("v");
    assert_eq!(selected(browser), first, "the other fact");
    assert!(browser.text("#details").contains("from 20 to 95 %"), "{}", browser.text("#details"));
    assert_eq!(browser.text(&format!("#step-{first} .jump")), "⚑ 20 to 95 %");
    assert!(browser.text("#details").contains("view 1 starts"), "{}", browser.text("#details"));
    browser.press(&RIGHT.to_string());
    assert_ne!(selected(browser), first);
    assert!(browser.count(".row.dim") > 0, "what is not in the causal past is faint");
    browser.click(&format!("#step-{first}"));
    assert_eq!(selected(browser), first);
    let details = browser.text("#details").to_lowercase();
    assert!(details.contains("message: doviewchange") && details.contains("last normal view"), "{details}");
}

fn filters(browser: &Browser, steps: u64) {
    let choose = |id: &str, value: &str| {
        let script = format!(
            "const list = document.getElementById('{id}'); list.value = '{value}'; list.dispatchEvent(new Event('change', {{ bubbles: true }}))"
        );
        browser.run(&script);
    };
    browser.press("c");
    assert!(browser.text("#status").contains(&format!("{steps} of {steps}")), "{}", browser.text("#status"));
    choose("kind", "DoViewChange");
    assert_eq!(browser.count("#rows .row"), 2, "the only vote, and the other fact of the violation");
    assert!(browser.text("#rows .sentence").contains("vote for view 1"));
    assert_eq!(browser.count("#rows .row.fact"), 2);
    choose("kind", "");
    choose("view", "1");
    let in_view = browser.count("#rows .row");
    assert!((1..steps).contains(&in_view), "{in_view}");
    choose("view", "");
    assert_eq!(browser.count("#lanes div"), 6);
    browser.click("#nodes input[value='0']");
    assert_eq!(browser.count("#lanes div"), 5, "one lane less");
    browser.run("document.getElementById('scroll').focus()");
    browser.press("x");
    assert_eq!(browser.count("#lanes div"), 6);
}

fn searches(browser: &Browser) {
    browser.press("/");
    browser.press("without its memory");
    assert_eq!(browser.text("#matches"), "1 found");
    browser.press(&ENTER.to_string());
    assert!(browser.text("#details").contains("without its memory"));
    browser.press(&ESCAPE.to_string());
    assert_eq!(browser.run("return document.activeElement.id"), "scroll");
}

/// Heartbeats of which nothing came are one row, until they are asked for.
fn heartbeats_are_folded(browser: &Browser) {
    let rows = || browser.run("return Number(document.querySelector('.row').getAttribute('aria-setsize'))");
    let status = browser.text("#status");
    assert!(status.contains("heartbeats folded"), "{status}");
    let few = rows().as_u64().unwrap();
    browser.press("h");
    assert!(rows().as_u64().unwrap() > few);
    assert!(!browser.text("#status").contains("folded"));
    browser.press("h");
    assert_eq!(rows().as_u64().unwrap(), few);
}

fn what_comes_from_outside_has_no_past(browser: &Browser) {
    assert!(browser.count(".row.dim") > 0, "a restart has a past");
    browser.press("x");
    browser.press("/");
    browser.press("the network is cut");
    browser.press(&ENTER.to_string());
    assert!(browser.text("#details").contains("The network is cut"), "{}", browser.text("#details"));
    assert_eq!(browser.count(".row.dim"), 0);
    assert!(!browser.text("#details").to_lowercase().contains("causal past"));
    browser.press(&ESCAPE.to_string());
    browser.press("x");
    let legend = browser.text("#legend");
    for sign in
        ["of a state transfer", "of a client", "stands still", "timer", "contradict each other", "decisive"]
    {
        assert!(legend.contains(sign), "{sign} in {legend}");
    }
}

fn has_themes_and_help(browser: &Browser) {
    let paper = || browser.run("return getComputedStyle(document.body).backgroundColor");
    let before = paper();
    browser.press("t");
    assert_ne!(paper(), before);
    browser.press("?");
    assert!(browser.text("#help").contains("Time goes downwards"));
    browser.press(&ESCAPE.to_string());
    assert_eq!(browser.count("dialog[open]"), 0);
}

fn shows_the_end_and_then_all(browser: &Browser, steps: u64) {
    let grouped = browser.run(&format!("return ({steps}).toLocaleString('en')"));
    let grouped = grouped.as_str().unwrap();
    let status = browser.text("#status");
    assert!(status.contains(&format!("of {grouped} steps shown")) && status.contains("left out"), "{status}");
    assert!(browser.count("#rows .row") < 100, "only what is in sight is drawn");
    browser.press("a");
    let all = format!("{grouped} of {grouped} steps shown");
    let is_there = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        browser.text("#status").contains(&all)
    });
    assert!(is_there, "{}", browser.text("#status"));
    browser.press(&END.to_string());
    assert_eq!(selected(browser), steps - 1);
    assert!(browser.count("#rows .row") < 100);
}
