//! Making simpler what cannot be taken out: shorter waits, round numbers, fewer links, plainer operations,
//! usual settings.

use std::sync::Arc;

use serde_json::Value;

use super::case::Case;
use super::ddmin;
use super::reduce::Shrinker;
use crate::faults::Action;
use crate::network::Fate;
use crate::node::Node;
use crate::scenario::{Overrides, Scenario};
use crate::setup::Setup;

/// Grids for times, in nanoseconds, coarsest first.
const GRIDS: [u64; 5] = [100_000_000, 10_000_000, 1_000_000, 100_000, 10_000];
/// Gaps that are shorter than this are left as they are, in nanoseconds.
const SHORT: u64 = 1_000_000;

impl Shrinker<'_, '_> {
    /// Makes everything simpler that can be.
    pub(super) fn simplify(&mut self) {
        self.shorter_waits();
        self.fewer_links();
        self.plainer_fates();
        self.usual_settings();
        self.plainer_operations();
        self.shorter_stretches();
        self.round_times();
    }

    // ---- Time ------------------------------------------------------------------------------------

    /// What comes after a gap comes earlier: at once, or after a part of the gap.
    fn shorter_waits(&mut self) {
        let mut index = self.best.moments().len();
        while index > 0 && !self.is_over() {
            index -= 1;
            let moments = self.best.moments();
            let Some(&at) = moments.get(index) else { continue };
            let gap = at - if index == 0 { 0 } else { moments[index - 1] };
            if gap < SHORT {
                continue;
            }
            let best = self.best.clone();
            let parts = [gap - SHORT / 2, gap / 8 * 7, gap / 4 * 3, gap / 2, gap / 4];
            let earlier = parts.into_iter().filter(|&by| by > 0);
            self.attempt_any(
                earlier.flat_map(|by| [true, false].map(|shorten| best.earlier(at, by, shorten))),
            );
        }
    }

    /// What lasts is as short as it may be, or a round time.
    fn shorter_stretches(&mut self) {
        let count = self.best.clone().stretches_mut().count();
        for index in 0..count {
            if self.is_over() {
                return;
            }
            let case = self.best.clone();
            let Some(now) = stretch(&mut case.clone(), index).copied() else { return };
            let shorter = [0, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];
            let shorter = shorter.into_iter().filter(|&to| to < now);
            let round = GRIDS.map(|grid| now.next_multiple_of(grid)).into_iter().filter(|&to| to != now);
            self.attempt_any(shorter.chain(round).map(|to| {
                let mut case = case.clone();
                if let Some(lasts) = stretch(&mut case, index) {
                    *lasts = to;
                }
                case
            }));
        }
    }

    /// Decisions at round times: all of them, or each by itself.
    fn round_times(&mut self) {
        let case = self.best.clone();
        self.attempt_any(GRIDS.map(|grid| {
            let mut case = case.clone();
            case.times_mut().for_each(|at| *at = at.next_multiple_of(grid));
            case.in_order()
        }));
        for index in 0..self.best.timeline.len() {
            if self.is_over() {
                return;
            }
            let case = self.best.clone();
            let Some(now) = case.clone().times_mut().nth(index).map(|at| *at) else { return };
            let round = GRIDS.map(|grid| now.next_multiple_of(grid));
            // Those behind the first that changes nothing are finer.
            self.attempt_any(round.into_iter().take_while(|&to| to != now).map(|to| {
                let mut case = case.clone();
                case.times_mut().nth(index).into_iter().for_each(|at| *at = to);
                case.in_order()
            }));
        }
    }

    // ---- Faults ----------------------------------------------------------------------------------

    /// Cuts and clogs of as few links as will do.
    fn fewer_links(&mut self) {
        for index in 0..self.best.timeline.actions.len() {
            ddmin::minimize(
                self,
                |shrinker| shrinker.best.timeline.actions.get(index).and_then(links).map_or(0, <[_]>::len),
                |shrinker, range| {
                    if shrinker.is_over() {
                        return false;
                    }
                    let mut case = shrinker.best.clone();
                    let action = &mut case.timeline.actions[index].action;
                    let (Action::Cut { links, .. } | Action::Clog { links, .. } | Action::Sever { links }) =
                        action
                    else {
                        return false;
                    };
                    let mut left = links.to_vec();
                    left.drain(range);
                    *links = Arc::from(left);
                    !links.is_empty() && shrinker.attempt(case)
                },
            );
        }
    }

    /// Messages that are lost rather than late or doubled.
    fn plainer_fates(&mut self) {
        for index in 0..self.best.timeline.fates.len() {
            if self.is_over() {
                return;
            }
            let mut case = self.best.clone();
            let Some(befallen) = case.timeline.fates.get_mut(index) else { return };
            befallen.fate = Fate::Lost;
            self.attempt(case);
        }
    }

    // ---- Settings and operations -----------------------------------------------------------------

    /// The settings of a calm run: all of them, or each part.
    fn usual_settings(&mut self) {
        let Ok(calm) = Scenario::find("calm") else { return };
        let usual = calm.resolve(0, &Overrides::default());
        let changes: [&dyn Fn(&mut Setup); 6] = [
            &|setup| setup.protocol = usual.protocol.clone(),
            &|setup| setup.traffic = usual.traffic.clone(),
            &|setup| setup.traffic.patience_us = 0,
            &|setup| {
                let delay = setup.network.delay_min_us;
                setup.network = usual.network.clone();
                (setup.network.delay_min_us, setup.network.delay_mean_us) = (delay, 0);
            },
            &|setup| {
                if setup.network.delay_mean_us == 0 {
                    setup.network.delay_min_us = 1_000;
                }
            },
            &|setup| setup.traffic.keys = 1,
        ];
        let mut all = self.best.clone();
        changes.iter().for_each(|change| change(&mut all.setup));
        if self.attempt(all) {
            return;
        }
        for change in changes {
            let mut case = self.best.clone();
            change(&mut case.setup);
            self.attempt(case);
        }
    }

    /// All clients ask for the same, or numbers in operations (keys among them) are as small as may be.
    fn plainer_operations(&mut self) {
        let Some(first) = self.best.timeline.requests.first().cloned() else { return };
        let mut small = first.operation.clone();
        each_number(&mut small, &mut |_, number| *number = 1.into());
        for operation in [small, first.operation] {
            let mut case = self.best.clone();
            case.timeline.requests.iter_mut().for_each(|asked| asked.operation = operation.clone());
            if case == self.best || self.attempt(case) {
                return;
            }
        }
        let mut unified = self.best.clone();
        for asked in &mut unified.timeline.requests {
            each_number(&mut asked.operation, &mut |name, number| {
                if name == "key" {
                    *number = 1.into();
                }
            });
        }
        self.attempt(unified);
        for index in 0..self.best.timeline.requests.len() {
            if self.is_over() {
                return;
            }
            let mut case = self.best.clone();
            let Some(asked) = case.timeline.requests.get_mut(index) else { return };
            each_number(&mut asked.operation, &mut |_, number| *number = 1.into());
            self.attempt(case);
        }
    }
}

fn stretch(case: &mut Case, index: usize) -> Option<&mut u64> {
    case.stretches_mut().nth(index).map(|(_, lasts)| lasts)
}

fn links(done: &crate::decisions::Done) -> Option<&[(Node, Node)]> {
    match &done.action {
        Action::Cut { links, .. } | Action::Clog { links, .. } | Action::Sever { links } => Some(links),
        _ => None,
    }
}

/// Changes every number in an operation; `change` is told the name of the field that it is in.
fn each_number(value: &mut Value, change: &mut impl FnMut(&str, &mut serde_json::Number)) {
    fn visit(name: &str, value: &mut Value, change: &mut impl FnMut(&str, &mut serde_json::Number)) {
        match value {
            Value::Number(number) if number.is_u64() => change(name, number),
            Value::Array(items) => items.iter_mut().for_each(|item| visit(name, item, change)),
            Value::Object(fields) => {
                fields.iter_mut().for_each(|(name, item)| visit(name, item, change));
            }
            _ => {}
        }
    }
    visit("", value, change);
}
