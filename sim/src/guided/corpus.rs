//! What was reached so far, and the places that are worth going to again.

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashMap;

use super::coverage::Coverage;
use super::{Made, Recipe};
use crate::faults::Action;
use crate::random::Draw;

/// How many places are kept at most.
const POINTS_MAX: usize = 4_096;
/// How many places of one run are kept at most.
const POINTS_A_RUN: usize = 4;
/// How many different things that were reached are remembered at most; what comes after is not new.
const REACHED_MAX: usize = 1 << 20;
/// Among how many places the one to go to is chosen.
const CHOICE: u64 = 8;
/// By how much a visit makes a place less worth another one, in times that others came there.
const VISIT: u64 = 4;

/// A place: a run, and the step at which it reached something new.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) recipe: Recipe,
    pub(super) step: u64,
    /// The faults of the run.
    pub(super) actions: Arc<[(u64, Action)]>,
    what: u64,
    visits: u64,
}

/// What was reached so far, and how often; and where.
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    reached: FxHashMap<u64, u64>,
    points: Vec<Point>,
}

impl Corpus {
    /// How many different things were reached.
    #[must_use]
    pub fn reached(&self) -> usize {
        self.reached.len()
    }

    /// How many places are kept.
    #[must_use]
    pub const fn places(&self) -> usize {
        self.points.len()
    }

    /// Takes note of what a run reached, and keeps the places where that was new.
    pub(super) fn add(&mut self, made: &Made, random: &mut ChaCha8Rng) {
        let Coverage { reached, actions, .. } = &*made.coverage;
        let mut new: Vec<(u64, u64)> = Vec::new();
        for &(what, step) in reached {
            if let Some(count) = self.reached.get_mut(&what) {
                *count += 1;
            } else if self.reached.len() < REACHED_MAX {
                self.reached.insert(what, 1);
                // After the faults there is nothing to decide.
                if step < made.report.fault_steps && new.last().is_none_or(|&(_, last)| last != step) {
                    new.push((what, step));
                }
            }
        }
        if new.is_empty() || made.report.violation().is_some() {
            return;
        }
        let actions: Arc<[(u64, Action)]> = actions.iter().cloned().collect();
        for _ in 0..POINTS_A_RUN.min(new.len()) {
            let (what, step) = new.swap_remove(random.below(new.len() as u64) as usize);
            let point =
                Point { recipe: made.recipe.clone(), step, actions: Arc::clone(&actions), what, visits: 0 };
            self.keep(point, random);
        }
    }

    fn keep(&mut self, point: Point, random: &mut ChaCha8Rng) {
        if self.points.len() < POINTS_MAX {
            self.points.push(point);
            return;
        }
        let worst = (0..CHOICE).map(|_| random.below(POINTS_MAX as u64) as usize);
        let worst = worst.max_by_key(|&index| self.weight(index)).expect("a choice of several");
        self.points[worst] = point;
    }

    /// How well known a place is.
    fn weight(&self, index: usize) -> u64 {
        let point = &self.points[index];
        self.reached.get(&point.what).copied().unwrap_or(0) + VISIT * point.visits
    }

    /// A place that few runs came to.
    pub(super) fn choose(&mut self, random: &mut ChaCha8Rng) -> Option<Point> {
        if self.points.is_empty() {
            return None;
        }
        let some = (0..CHOICE).map(|_| random.below(self.points.len() as u64) as usize);
        let rare = some.min_by_key(|&index| self.weight(index)).expect("a choice of several");
        self.points[rare].visits += 1;
        Some(self.points[rare].clone())
    }
}
