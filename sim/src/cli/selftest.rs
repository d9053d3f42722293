//! `sim selftest`: proves that the checks bite.

mod checks;
mod guidance;
mod report;
mod table;

use std::io::{self, IsTerminal};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::exit::Exit;
use super::text::{complain, print, remark};
use crate::bugs::patches::PATCHES;
use crate::bugs::{self, Bug};
use crate::patched;
use crate::selftest::{self, Outcome, blindfold};

/// What `sim selftest` is asked for.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Each bug is hunted in its scenario, seed after seed, from several independent starts: the first begins at
--first, the next ones a million seeds later each. It must be found from every start, by a check that should
find it, within its budget of seeds; a control must stay silent for as many. Shown are medians over the
starts: seeds and steps until found. The output is the same on every machine and with any --jobs, but for
--times.

Examples:
  sim selftest                              every bug and control, five starts each
  sim selftest --only M-V3 M-R12 --times    two of them, with the CPU time it took
  sim selftest --markdown --times           the table of sim/README.md
  sim selftest --patches                    the bugs that are patches of the sources, built one by one
  sim selftest --checks                     what would not be found, or later, without each check")]
pub(crate) struct SelftestArgs {
    /// List the planted bugs and controls, and run nothing
    #[arg(long, conflicts_with_all = ["checks", "markdown", "json"])]
    list: bool,
    /// Hunt only these bugs
    #[arg(long, value_name = "NAME", num_args = 1.., value_parser = super::BugParser, hide_possible_values = true)]
    only: Vec<&'static Bug>,
    /// The first seed of the first start
    #[arg(long, value_name = "SEED", default_value = "0", value_parser = super::number)]
    first: u64,
    /// From how many independent starts each bug is hunted
    #[arg(long, value_name = "N", default_value = "5", value_parser = starts)]
    starts: NonZeroUsize,
    /// Switch each check off in turn, and hunt again what it had found
    #[arg(long)]
    checks: bool,
    /// Hunt each bug by a guided sweep too, and compare
    #[arg(long, conflicts_with_all = ["checks", "times"])]
    guided: bool,
    /// Hunt the bugs that are patches of the sources: each is built first, which takes about a minute
    #[arg(long, conflicts_with_all = ["only", "checks", "guided", "markdown", "json", "times"])]
    patches: bool,
    /// Add the median CPU time until found. It varies from machine to machine
    #[arg(long, conflicts_with = "checks")]
    times: bool,
    /// Print the table as markdown, and nothing else
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Print one JSON object, and nothing else
    #[arg(long)]
    json: bool,
    /// Threads. It changes nothing but the speed. [default: one for each core]
    #[arg(long, value_name = "N", value_parser = super::jobs)]
    jobs: Option<NonZeroUsize>,
}

fn starts(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "expected a whole number of starts, at least 1".to_owned())
}

/// In which form the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Markdown,
    Json,
}

impl SelftestArgs {
    fn bugs(&self) -> Vec<&'static Bug> {
        if self.only.is_empty() { bugs::hunted().collect() } else { self.only.clone() }
    }

    const fn form(&self) -> Form {
        match (self.markdown, self.json) {
            (true, _) => Form::Markdown,
            (_, true) => Form::Json,
            _ => Form::Text,
        }
    }

    fn jobs(&self) -> NonZeroUsize {
        self.jobs.unwrap_or_else(super::cores)
    }
}

/// Runs `sim selftest`: 0 if every bug was found and every control silent, 1 if not.
#[must_use]
pub(crate) fn run(args: &SelftestArgs) -> u8 {
    let bugs = args.bugs();
    if args.list {
        return print(&list(&bugs), Exit::Held).code();
    }
    if args.patches {
        return patched(args).code();
    }
    #[expect(clippy::disallowed_methods, reason = "how long it took reaches stderr only")]
    let started = Instant::now();
    let outcomes = hunt(args, &bugs);
    let (page, exit) = if args.guided {
        let guided = guided(args, &outcomes);
        (guidance::page(&outcomes, &guided, args.form()), guidance::exit(&outcomes, &guided))
    } else if args.checks {
        let worth = blindfolded(args, &outcomes);
        (checks::page(&worth, args.form()), checks::exit(&worth))
    } else {
        (report::page(&outcomes, args.form(), args.times), report::exit(&outcomes))
    };
    let exit = print(&page, exit);
    remark(&time_taken(&outcomes, started.elapsed()));
    exit.code()
}

fn patched(args: &SelftestArgs) -> Exit {
    let progress = Progress::new("building", PATCHES.len());
    match patched::hunt_all(PATCHES, args.first, args.starts.get() as u64, &|name| progress.tell(name)) {
        Ok((page, true)) => print(&page, Exit::Held),
        Ok((page, false)) => print(&page, Exit::Violated),
        Err(why) => {
            complain(&why);
            Exit::HarnessFailed
        }
    }
}

fn list(bugs: &[&Bug]) -> String {
    let mut table = table::Table::new(vec![("bug", table::Side::Left), ("what is wrong", table::Side::Left)]);
    bugs.iter().for_each(|bug| table.row(vec![bug.name.to_owned(), bug.what.to_owned()]));
    for patch in PATCHES.iter().filter(|_| bugs.len() > 1) {
        table.row(vec![patch.name.to_owned(), format!("{} (a source patch)", patch.what)]);
    }
    table.text()
}

fn hunt(args: &SelftestArgs, bugs: &[&'static Bug]) -> Vec<Outcome> {
    let progress = Progress::new("hunting", bugs.len() * args.starts.get());
    selftest::test(bugs, args.first, args.starts, args.jobs(), &|hunt| progress.over(hunt.bug))
}

fn blindfolded(args: &SelftestArgs, outcomes: &[Outcome]) -> Vec<blindfold::Worth> {
    let progress = Progress::new("without a check", outcomes.iter().map(Outcome::found).sum());
    blindfold::worth(outcomes, args.jobs(), &|bug| progress.over(bug))
}

fn guided(args: &SelftestArgs, outcomes: &[Outcome]) -> Vec<Outcome> {
    let progress = Progress::new("guided", outcomes.len() * args.starts.get());
    selftest::guided(outcomes, args.jobs(), &|hunt| progress.over(hunt.bug))
}

/// How far it is: on a terminal a bar, elsewhere a line for each tenth.
struct Progress {
    what: &'static str,
    bar: Mutex<ProgressBar>,
}

impl Progress {
    fn new(what: &'static str, length: usize) -> Self {
        let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {msg}");
        let style = style.expect("the template is valid");
        let bar = ProgressBar::new(length as u64).with_style(style).with_prefix(what);
        Self { what, bar: Mutex::new(bar) }
    }

    fn over(&self, bug: &'static Bug) {
        self.tell(bug.name);
    }

    fn tell(&self, name: &str) {
        let bar = self.bar.lock().expect("nobody panics while it is held");
        bar.set_message(name.to_owned());
        bar.inc(1);
        let (done, all) = (bar.position(), bar.length().unwrap_or(0).max(1));
        if !io::stderr().is_terminal() && done * 10 / all > (done - 1) * 10 / all {
            remark(&format!("{}: {done} of {all}", self.what));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Ok(bar) = self.bar.lock() {
            bar.finish_and_clear();
        }
    }
}

fn time_taken(outcomes: &[Outcome], real: Duration) -> String {
    let cpu: Duration = outcomes.iter().flat_map(|outcome| &outcome.hunts).map(|hunt| hunt.cpu).sum();
    let mut planted: Vec<_> = outcomes.iter().filter(|outcome| !outcome.bug.is_control()).collect();
    planted.sort_by_key(|outcome| std::cmp::Reverse(outcome.cpu()));
    let slowest = planted.iter().take(5);
    let slowest = slowest.map(|outcome| format!("{} {}", outcome.bug.name, report::seconds(outcome.cpu())));
    format!(
        "{:.1} s, {:.1} s of CPU time for the hunts; the longest in the median: {}",
        real.as_secs_f64(),
        cpu.as_secs_f64(),
        slowest.collect::<Vec<_>>().join(", ")
    )
}
