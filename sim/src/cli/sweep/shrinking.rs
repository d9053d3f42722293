//! Shrinking what a sweep found: first one run of every finding, then more of them, on all cores, within a
//! time limit that the findings share.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::keep;
use crate::setup::Setup;
use crate::shrink::Shrunk;
use crate::sweep::{Plan, STACK_BYTES};

/// How many runs of a finding are shrunk at most, to keep the smallest.
const RUNS: usize = 3;

/// What came of shrinking.
pub(super) struct Outcome {
    /// For each finding.
    pub(super) smallest: Vec<Smallest>,
    /// Whether something was left out or ended early, as there was no time.
    pub(super) is_cut_short: bool,
    /// How long it took.
    pub(super) took: Duration,
}

/// The smallest trace of a finding.
pub(super) enum Smallest {
    /// Its runs cannot be shrunk.
    None,
    /// There was no time for any of its runs.
    OutOfTime,
    /// The seed that it comes from, and the trace.
    Found(u64, Box<Shrunk>),
}

/// Shrinks runs of each finding, of which `seeds` are given, for at most `time`. What comes of a run depends
/// on nothing but the run, unless the time is up or `is_interrupted` says so.
///
/// # Panics
/// If a thread cannot be started.
pub(super) fn shrink_all(
    plan: &Plan,
    seeds: &[Vec<u64>],
    time: Duration,
    is_interrupted: &(dyn Fn() -> bool + Sync),
) -> Outcome {
    let jobs = plan.jobs.get();
    let queue = Mutex::new(Queue::new(plan, seeds));
    let bar = progress_bar(queue.lock().expect("nobody else has it yet").waiting.len());
    #[expect(clippy::disallowed_methods, reason = "a time limit, which the output tells of")]
    let started = Instant::now();
    let work = || {
        let mut done = Vec::new();
        loop {
            let left = time.saturating_sub(started.elapsed());
            let left = if is_interrupted() { Duration::ZERO } else { left };
            let Some((run, share)) = queue.lock().expect("nobody panics in it").next(left, jobs) else {
                return done;
            };
            let until = started.elapsed() + share;
            done.push(run.shrink(plan, &|| is_interrupted() || started.elapsed() >= until));
            bar.inc(1);
        }
    };
    let done = on_threads(jobs, &work);
    bar.finish_and_clear();
    let left_out = !queue.into_inner().expect("nobody panics in it").waiting.is_empty();
    let is_cut_short = left_out || done.iter().any(|done| done.is_cut_short);
    Outcome { smallest: smallest(seeds.len(), done), is_cut_short, took: started.elapsed() }
}

/// Does `work` on so many threads, and puts together what they have done.
fn on_threads<T: Send>(jobs: usize, work: &(impl Fn() -> Vec<T> + Sync)) -> Vec<T> {
    thread::scope(|scope| {
        let start = |_| {
            let builder = thread::Builder::new().stack_size(STACK_BYTES);
            builder.spawn_scoped(scope, work).expect("threads can be started")
        };
        let threads: Vec<_> = (0..jobs).map(start).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Vec<T>>| {
            thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
        };
        threads.into_iter().flat_map(join).collect()
    })
}

/// A bar on a terminal, nothing elsewhere.
fn progress_bar(runs: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} traces shrunk");
    ProgressBar::new(runs as u64).with_style(style.expect("the template is valid"))
}

/// The smallest of each finding; of several that are as small as each other, the first.
fn smallest(findings: usize, mut done: Vec<Done>) -> Vec<Smallest> {
    done.sort_by_key(|done| (done.finding, done.round));
    let of = |finding| {
        let mut done = done.iter().filter(|done| done.finding == finding).peekable();
        if done.peek().is_none() {
            return Smallest::OutOfTime;
        }
        let shrunk = done.filter_map(|done| Some((done.seed, done.shrunk.as_ref()?)));
        let smallest = shrunk.min_by_key(|(_, shrunk)| shrunk.after);
        smallest.map_or(Smallest::None, |(seed, shrunk)| Smallest::Found(seed, Box::new(shrunk.clone())))
    };
    (0..findings).map(of).collect()
}

// ---- Who is next -------------------------------------------------------------------------------------

/// A run to be shrunk.
struct Run {
    /// Which finding it shows.
    finding: usize,
    /// How many runs of that finding come before it.
    round: usize,
    setup: Arc<Setup>,
}

/// A run that was shrunk.
struct Done {
    finding: usize,
    round: usize,
    seed: u64,
    shrunk: Option<Shrunk>,
    /// Whether its time was up before its end.
    is_cut_short: bool,
}

impl Run {
    fn shrink(&self, plan: &Plan, is_time_up: &dyn Fn() -> bool) -> Done {
        let is_cut_short = Cell::new(false);
        let stop = || {
            is_cut_short.set(is_cut_short.get() || is_time_up());
            is_cut_short.get()
        };
        let shrunk = keep::shrink_run(&self.setup, plan.bug, &stop);
        let Self { finding, round, .. } = *self;
        Done { finding, round, seed: self.setup.seed, shrunk, is_cut_short: is_cut_short.get() }
    }
}

/// Runs that wait to be shrunk, in rounds: the first run of every finding, then the second of every one.
struct Queue {
    waiting: VecDeque<Run>,
}

impl Queue {
    fn new(plan: &Plan, seeds: &[Vec<u64>]) -> Self {
        let round = |round: usize| {
            let seed = move |(finding, seeds): (usize, &Vec<u64>)| Some((finding, *seeds.get(round)?));
            let run = move |(finding, seed)| Run { finding, round, setup: plan.setup(seed) };
            seeds.iter().enumerate().filter_map(seed).map(run)
        };
        Self { waiting: (0..RUNS).flat_map(round).collect() }
    }

    /// The next run, and how long it may take of the time that is left; none if there is none of either.
    fn next(&mut self, left: Duration, jobs: usize) -> Option<(Run, Duration)> {
        let round = self.waiting.front().filter(|_| left > Duration::ZERO)?.round;
        let waiting = self.waiting.iter().filter(|run| run.round == round).count();
        self.waiting.pop_front().map(|run| (run, share(left, waiting, jobs)))
    }
}

/// How long one of `waiting` runs of a round may take on one of `jobs` threads, so that there is as much for
/// each of the others. What it leaves over goes to those that come after it.
fn share(left: Duration, waiting: usize, jobs: usize) -> Duration {
    left / u32::try_from(waiting.div_ceil(jobs)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use super::*;

    const TIME: Duration = Duration::from_secs(30);

    /// How long each of `runs` may take on `jobs` threads, if each takes all that it may, but for the first
    /// few, which take a second.
    fn shares(runs: usize, jobs: usize, quick: usize) -> Vec<Duration> {
        let mut free: BinaryHeap<_> = (0..jobs).map(|_| Reverse(Duration::ZERO)).collect();
        let run = |index: usize| {
            let Reverse(now) = free.pop().expect("a thread");
            let share = share(TIME - now, runs - index, jobs);
            let took = if index < quick { share.min(Duration::from_secs(1)) } else { share };
            free.push(Reverse(now + took));
            assert!(now + took <= TIME);
            share
        };
        (0..runs).map(run).collect()
    }

    #[test]
    fn every_run_of_a_round_has_its_part_of_the_time() {
        for (runs, jobs) in [(1_usize, 1), (4, 1), (10, 1), (1, 2), (2, 2), (3, 2), (5, 2), (10, 4), (3, 8)] {
            let fair = TIME / runs.div_ceil(jobs) as u32;
            // Halves of nanoseconds are rounded down.
            let least = fair - Duration::from_nanos(runs as u64);
            let shares = shares(runs, jobs, 0);
            assert!(shares.iter().all(|share| *share >= least), "{runs} on {jobs}: {shares:?}");
        }
        assert_eq!(shares(4, 2, 0), [TIME / 2; 4]);
    }

    #[test]
    fn what_one_leaves_over_goes_to_the_next() {
        assert_eq!(shares(3, 1, 2)[2], Duration::from_secs(28));
        assert_eq!(shares(2, 1, 1)[1], Duration::from_secs(29));
    }
}
