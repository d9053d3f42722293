//! How far a sweep is, on stderr: a bar on a terminal, a line every few seconds elsewhere.

use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::sweep::{Plan, Progress};

use crate::cli::text::{self, count, of};

/// How often the bar moves.
const BAR_PERIOD: Duration = Duration::from_millis(100);
/// How often a line is printed.
const LINE_PERIOD: Duration = Duration::from_secs(5);

/// Does `work`, and shows meanwhile how far it is.
pub(super) fn shown<T>(
    progress: &Progress,
    plan: &Plan,
    limit: Option<Duration>,
    started: Instant,
    work: impl FnOnce() -> T,
) -> T {
    let is_done = AtomicBool::new(false);
    let runs = plan.count.map(|count| count / plan.shard.of);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            if io::stderr().is_terminal() {
                show_bar(progress, runs, limit, started, &is_done);
            } else {
                print_lines(progress, runs, started, &is_done);
            }
        });
        let _end = End { is_done: &is_done, watcher: watcher.thread().clone() };
        work()
    })
}

/// Tells the watcher to end, also if the work panics: else it would be waited for for ever.
struct End<'a> {
    is_done: &'a AtomicBool,
    watcher: Thread,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.is_done.store(true, Ordering::Relaxed);
        self.watcher.unpark();
    }
}

fn show_bar(
    progress: &Progress,
    runs: Option<u64>,
    limit: Option<Duration>,
    started: Instant,
    is_done: &AtomicBool,
) {
    // With a time limit, time is what comes to its end.
    let length = limit.map(|limit| limit.as_millis() as u64).or(runs);
    let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let style = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {msg}");
    bar.set_style(style.expect("the template is valid"));
    while !is_done.load(Ordering::Relaxed) {
        let elapsed = started.elapsed();
        let done = progress.runs.load(Ordering::Relaxed);
        bar.set_position(limit.map_or(done, |_| elapsed.as_millis() as u64));
        bar.set_message(text_of(progress, runs, elapsed));
        thread::park_timeout(BAR_PERIOD);
    }
    bar.finish_and_clear();
}

fn print_lines(progress: &Progress, runs: Option<u64>, started: Instant, is_done: &AtomicBool) {
    let mut next = LINE_PERIOD;
    while !is_done.load(Ordering::Relaxed) {
        let elapsed = started.elapsed();
        if elapsed >= next {
            text::remark(&format!("{} s: {}", elapsed.as_secs(), text_of(progress, runs, elapsed)));
            next += LINE_PERIOD;
        }
        thread::park_timeout(next.saturating_sub(elapsed).max(BAR_PERIOD));
    }
}

fn text_of(progress: &Progress, runs: Option<u64>, elapsed: Duration) -> String {
    let done = count(progress.runs.load(Ordering::Relaxed));
    let done = runs.map_or(done.clone(), |runs| format!("{done} of {}", count(runs)));
    let failures = of(progress.failures.load(Ordering::Relaxed), ("failure", "failures"));
    let steps = progress.steps.load(Ordering::Relaxed);
    let rate = count((steps as f64 / elapsed.as_secs_f64().max(0.001)) as u64);
    format!("{done} runs, {failures}, {rate} steps/s")
}
