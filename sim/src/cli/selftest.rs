//! `sim selftest`: proves that the checks bite.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::bugs::patches::PATCHES;
use crate::bugs::{self, Bug};
use crate::patched;
use crate::selftest::{Ending, Hunt, hunt};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::exit::Exit;
use super::text::{count, print};

/// What `sim selftest` is asked for.
#[derive(Clone, Debug, Args)]
pub(crate) struct SelftestArgs {
    /// List the planted bugs and controls, and run nothing.
    #[arg(long)]
    list: bool,
    /// Hunt only this bug; may be given several times.
    #[arg(long, value_name = "NAME", value_parser = super::planted_bug)]
    only: Vec<&'static Bug>,
    /// The first seed of each hunt.
    #[arg(long, value_name = "SEED", default_value = "0", value_parser = super::number)]
    first: u64,
    /// Threads to use [default: all cores]. The result is the same with any number.
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
}

/// Runs `sim selftest`: 0 if every bug was found and every control silent, 1 if not.
#[must_use]
pub(crate) fn run(args: &SelftestArgs) -> u8 {
    let bugs: Vec<&'static Bug> =
        if args.only.is_empty() { bugs::all().collect() } else { args.only.clone() };
    let (text, exit) = if args.list {
        (list(&bugs), Exit::Held)
    } else {
        let hunts = hunt_all(&bugs, args);
        let patches = if args.only.is_empty() { PATCHES } else { &[] };
        let (patched, all_found) =
            if patches.is_empty() { (String::new(), true) } else { patched::hunt_all(patches) };
        let exit = if all_found { exit(&hunts) } else { Exit::gravest(&[(true, Exit::Violated)]) };
        (table(&hunts) + &summary(&hunts) + &patched, exit)
    };
    print(&text, exit).code()
}

fn list(bugs: &[&Bug]) -> String {
    let mut text = String::new();
    for bug in bugs {
        let _ = writeln!(text, "{:<6}  {}", bug.name, bug.what);
    }
    for patch in PATCHES.iter().filter(|_| bugs.len() > 1) {
        let _ = writeln!(text, "{:<6}  {} (a source patch)", patch.name, patch.what);
    }
    text
}

fn hunt_all(bugs: &[&'static Bug], args: &SelftestArgs) -> Vec<Hunt> {
    let jobs = args.jobs.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let progress = progress_bar(bugs.len());
    let next = AtomicUsize::new(0);
    let hunts: Mutex<Vec<(usize, Hunt)>> = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..jobs.min(bugs.len()) {
            scope.spawn(|| {
                while let Some(&bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let index =
                        bugs.iter().position(|other| std::ptr::eq(*other, bug)).expect("it is one of them");
                    let found = hunt(bug, args.first);
                    progress.set_message(bug.name);
                    progress.inc(1);
                    hunts.lock().expect("no hunter panics").push((index, found));
                }
            });
        }
    });
    progress.finish_and_clear();
    let mut hunts = hunts.into_inner().expect("no hunter panics");
    hunts.sort_by_key(|&(index, _)| index);
    hunts.into_iter().map(|(_, hunt)| hunt).collect()
}

fn progress_bar(length: usize) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("hunting {bar:30} {pos}/{len} {msg}").expect("a valid template");
    ProgressBar::new(length as u64).with_style(style)
}

fn table(hunts: &[Hunt]) -> String {
    let mut text =
        format!("{:<6}  {:>8}  {:>12}  {:<8}  {}\n", "bug", "seeds", "steps", "found by", "what is wrong");
    for hunt in hunts {
        let found_by = match (&hunt.found, hunt.ending()) {
            (Some((_, violation)), _) => format!("{:?}", violation.property),
            (None, Ending::Silent) => "silent".to_owned(),
            (None, _) => "-".to_owned(),
        };
        let (name, seeds, steps) = (hunt.bug.name, count(hunt.seeds), count(hunt.steps));
        let _ = writeln!(text, "{name:<6}  {seeds:>8}  {steps:>12}  {found_by:<8}  {}", hunt.bug.what);
    }
    text
}

fn summary(hunts: &[Hunt]) -> String {
    let mut text = String::new();
    for hunt in hunts.iter().filter(|hunt| !hunt.is_good()) {
        let _ = writeln!(text, "\n{}: {}", hunt.bug.name, complaint(hunt));
    }
    let ended = |ending| hunts.iter().filter(|hunt| hunt.ending() == ending).count();
    let planted = hunts.iter().filter(|hunt| !hunt.bug.is_control()).count();
    let controls = hunts.len() - planted;
    let (found, silent) = (ended(Ending::Found), ended(Ending::Silent));
    let _ =
        writeln!(text, "\n{found} of {planted} planted bugs found, {silent} of {controls} controls silent");
    text
}

fn complaint(hunt: &Hunt) -> String {
    let bug = hunt.bug;
    match (&hunt.found, hunt.ending()) {
        (Some((seed, violation)), Ending::FoundByAnother) => format!(
            "seed {seed} was caught by {}, which is not one of the checks expected to: {:?}",
            violation.property, bug.caught_by
        ),
        (Some((seed, violation)), _) => {
            format!(
                "a false alarm at seed {seed} of {}: {}: {}",
                bug.scenario, violation.property, violation.witness
            )
        }
        (None, Ending::Unfound) => {
            format!("not found in {} seeds of {}", count(hunt.seeds), bug.scenario)
        }
        (None, _) => hunt.failure.clone().unwrap_or_default(),
    }
}

fn exit(hunts: &[Hunt]) -> Exit {
    Exit::gravest(&[
        (hunts.is_empty(), Exit::NothingRun),
        (hunts.iter().any(|hunt| hunt.ending() == Ending::Failed), Exit::HarnessFailed),
        (hunts.iter().any(|hunt| !hunt.is_good()), Exit::Violated),
    ])
}
