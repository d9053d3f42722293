//! Taking out: what comes before, clients, replicas, then decisions by delta debugging.

use std::iter;
use std::ops::Range;
use std::sync::Arc;

use super::Size;
use super::case::{Case, Family};
use super::ddmin;
use super::finish::Named;
use super::oracle::{Failing, Oracle};
use crate::decisions::Done;
use crate::registry::{AnyManner, run_any};
use crate::setup::Setup;
use crate::timeline::Delays;
use crate::trace::{Follows, Trace};

/// How many more decisions may be needed where delays are decisions.
const SPELLED_OUT_AT_MOST: usize = 12;

/// After so many steps, in all candidates together, little progress is not worth another round.
const PATIENCE: u64 = 4_000_000;

/// The smallest failing case so far, and how to ask for a smaller one.
pub(super) struct Shrinker<'a, 'b> {
    pub(super) best: Case,
    /// How it fails.
    pub(super) failing: Failing,
    pub(super) oracle: &'a mut Oracle<'b>,
    /// Of how many decisions delays were spelled out in vain, if they were.
    spelled_in_vain: Option<usize>,
}

/// The case that a trace is, by time and place, if it fails as one.
pub(super) fn start(trace: &Trace, oracle: &mut Oracle<'_>) -> Option<(Case, Failing)> {
    let script = (trace.head.follows == Follows::Decisions).then_some(&trace.decisions);
    let manner = AnyManner { script, timeline: Some(Delays::Unusual), ..AnyManner::default() };
    let setup = trace.head.setup.clone();
    let recorded = run_any(&Arc::new(setup.clone()), oracle.bug(), &manner, &mut |_| {}).ok()?;
    let case = Case { setup, timeline: recorded.timeline? };
    let failing = oracle.run(&case, limit(&case, recorded.report.steps), Delays::Unusual)?;
    Some((case, failing))
}

/// For how many steps a case is run that used to fail after so many.
fn limit(case: &Case, steps: u64) -> u64 {
    if case.timeline.healed.is_some() { steps * 3 + 5_000 } else { steps * 5 / 4 + 200 }
}

/// Makes the case as small and simple as it gets.
pub(super) fn reduce((best, failing): (Case, Failing), oracle: &mut Oracle<'_>) -> Option<Named> {
    let mut shrinker = Shrinker { best, failing, oracle, spelled_in_vain: None };
    shrinker.all();
    let Shrinker { best, failing, .. } = shrinker;
    Some(Named { setup: best.setup, steps: failing.report.steps, decisions: failing.decisions })
}

impl Shrinker<'_, '_> {
    fn all(&mut self) {
        self.quiet();
        self.untriggered();
        self.steady();
        self.more_checkpoints();
        self.late_beginning();
        self.fewer_clients();
        self.fewer_replicas();
        loop {
            let before = self.best_size();
            self.untriggered();
            self.fewer_decisions();
            self.steady();
            self.spelled_out();
            self.more_checkpoints();
            self.late_beginning();
            self.fewer_clients();
            self.fewer_replicas();
            self.simplify();
            if !self.is_worth_another_round(before) || self.oracle.is_cut_off() {
                break;
            }
        }
    }

    /// Simpler in one way is less simple in another: only what is smaller is progress for certain. After a
    /// while little progress is none, for each round costs as much as the one before.
    fn is_worth_another_round(&self, before: Size) -> bool {
        let after = self.best_size();
        let is_much_smaller = after.decisions + before.decisions / 8 < before.decisions
            || (after.replicas, after.clients) < (before.replicas, before.clients);
        after < before && (is_much_smaller || self.oracle.spent < PATIENCE)
    }

    fn best_size(&self) -> Size {
        let Case { setup, timeline } = &self.best;
        let replicas = setup.nodes() - setup.spares;
        let steps = self.failing.report.steps;
        Size { decisions: timeline.len(), steps, replicas, clients: setup.clients }
    }

    /// Takes the candidate if it fails.
    pub(super) fn attempt(&mut self, candidate: Case) -> bool {
        if candidate == self.best {
            return false;
        }
        let limit = limit(&candidate, self.failing.report.steps);
        let Some(failing) = self.oracle.run(&candidate, limit, Delays::Unusual) else { return false };
        // What had no effect was not recorded: then it is not needed.
        let effective = Case { timeline: failing.timeline.clone(), setup: candidate.setup.clone() };
        let again =
            if effective == candidate { None } else { self.oracle.run(&effective, limit, Delays::Unusual) };
        (self.best, self.failing) = match again {
            Some(again) if again.timeline == effective.timeline => (effective, again),
            _ => (candidate, failing),
        };
        true
    }

    /// Takes the first of several candidates that fails.
    pub(super) fn attempt_any(&mut self, candidates: impl IntoIterator<Item = Case>) -> bool {
        let mut candidates = candidates.into_iter();
        // Making a candidate takes time too: without time for its run, none is made.
        while !self.is_over() {
            let Some(candidate) = candidates.next() else { return false };
            if self.attempt(candidate) {
                return true;
            }
        }
        false
    }

    /// Whether there is no time left: nothing can be gained any more.
    pub(super) const fn is_over(&self) -> bool {
        self.oracle.is_cut_off()
    }

    // ---- What a script makes superfluous -----------------------------------------------------------

    /// No clocks that are wrong, no rates of faults: a script says what happens.
    fn quiet(&mut self) {
        let mut case = self.best.clone();
        let faults = &mut case.setup.faults;
        // Whether more memory may be lost than the group can stand is asked of this one.
        faults.crash = faults.crash.take().filter(|crash| crash.beyond_budget);
        (faults.partition, faults.clog, faults.pause, faults.client) = (None, None, None, None);
        let network = &mut case.setup.network;
        (network.loss_per_million, network.duplicate_per_million) = (0, 0);
        (network.tail_per_million, network.hold_per_million) = (0, 0);
        self.attempt(case);
        let mut case = self.best.clone();
        case.setup.faults.clock = None;
        self.attempt(case);
    }

    /// What happened at the sending of a message happens right after, by the clock.
    fn untriggered(&mut self) {
        let untriggered = |done: &mut Done| done.at += u64::from(done.when_sent.take().is_some());
        let mut case = self.best.clone();
        case.timeline.actions.iter_mut().for_each(untriggered);
        if self.attempt(case) {
            return;
        }
        for index in 0..self.best.timeline.actions.len() {
            if self.is_over() {
                return;
            }
            let mut case = self.best.clone();
            case.timeline.actions.get_mut(index).into_iter().for_each(untriggered);
            self.attempt(case);
        }
    }

    /// Every message takes as long as any other.
    fn steady(&mut self) {
        let network = &self.best.setup.network;
        if network.delay_mean_us == 0 {
            return;
        }
        let (min, mean) = (network.delay_min_us, network.delay_mean_us);
        let case = self.best.clone();
        let delays = [min + mean, min, min + mean / 2, min + 2 * mean];
        self.attempt_any(delays.map(|delay| {
            let mut case = case.clone();
            (case.setup.network.delay_min_us, case.setup.network.delay_mean_us) = (delay, 0);
            case
        }));
    }

    /// Every message takes as long as any other, but for those of which a fate says how long they take: at
    /// first all, then as few as it takes. So nothing is left to a draw, and what remains of the delays can
    /// be seen. What was in vain is worth another try where much less is left.
    fn spelled_out(&mut self) {
        let fewest = self.failing.decisions.len();
        let is_vain = self.spelled_in_vain.is_some_and(|before| fewest + before / 4 > before);
        if self.best.setup.network.delay_mean_us == 0 || is_vain {
            return;
        }
        let Some(spelled) = self.oracle.run(&self.best, self.failing.report.steps, Delays::All) else {
            return;
        };
        let best = self.best.clone();
        let mut case = Case { setup: best.setup.clone(), timeline: spelled.timeline };
        case.setup.network.delay_mean_us = 0;
        self.spelled_in_vain = Some(fewest);
        if !self.attempt(case) {
            return;
        }
        self.fewer_decisions();
        // A few more are worth it: the trace does not depend on draws then.
        if self.failing.decisions.len() > fewest + SPELLED_OUT_AT_MOST {
            self.attempt(best);
        }
    }

    // ---- Larger pieces -----------------------------------------------------------------------------

    /// The run begins shortly before it fails; whoever was the primary then is the first replica.
    fn late_beginning(&mut self) {
        const POINTS: usize = 24;
        let moments = self.best.moments();
        let end = self.failing.violation().time;
        let lead = 4_000 * (self.best.setup.network.delay_min_us + self.best.setup.network.delay_mean_us);
        let step = moments.len().div_ceil(POINTS).max(1);
        let best = self.best.clone();
        let moments = moments.into_iter().rev().filter(|&at| at < end && at > lead).step_by(step);
        for from in moments {
            if self.is_over() {
                return;
            }
            let late = best.since(from, lead);
            let rotations = best.rotations().map(|by| late.rotated(by));
            if self.attempt_any(rotations.flat_map(|late| [late.with_steady_delays(), late])) {
                return;
            }
        }
    }

    /// Checkpoints as often as may be, and no log kept in front of them: fewer operations lead to one.
    fn more_checkpoints(&mut self) {
        let best = self.best.clone();
        let (interval, margin) = (best.setup.protocol.checkpoint_interval, best.setup.protocol.log_margin);
        let all = iter::successors(Some(1), |shorter| Some(shorter * 4));
        let shorter = all.take_while(|&shorter| shorter < interval).chain([interval]);
        // The present one, with the present margin, is no candidate: `attempt` sees that.
        let margins = [0, margin].into_iter().take(if margin == 0 { 1 } else { 2 });
        let tried = shorter.flat_map(|interval| margins.clone().map(move |margin| (interval, margin)));
        self.attempt_any(tried.filter(|_| interval > 0).map(|tried| {
            let mut case = best.clone();
            let protocol = &mut case.setup.protocol;
            (protocol.checkpoint_interval, protocol.log_margin) = tried;
            case
        }));
    }

    fn fewer_clients(&mut self) {
        for slot in (0..self.best.setup.clients).rev() {
            if self.best.setup.clients > 1 && !self.is_over() {
                self.attempt(self.best.without_client(slot));
            }
        }
    }

    /// Two less, or one less, until no more can be spared.
    fn fewer_replicas(&mut self) {
        while self.fewer_groups() {}
        // Reconfigurations name them, and what a supervisor is asked for.
        let are_named = |setup: &Setup| setup.spares > 0 || setup.supervision.is_some();
        while !are_named(&self.best.setup) && self.best.setup.groups.is_empty() {
            let size = self.best.setup.replicas;
            let two = (0..size).flat_map(|one| (0..one).map(move |other| vec![other, one]));
            let two = two.filter(|_| size > 2);
            let one = (0..size).map(|one| vec![one]).filter(|_| size > 1);
            let best = self.best.clone();
            let fewer = two.chain(one).map(|out| best.without_replicas(&out));
            let rotated = fewer.flat_map(|case| (0..case.setup.replicas).map(move |by| case.rotated(by)));
            if !self.attempt_any(rotated) {
                return;
            }
        }
    }

    /// One of several groups, one less, or one host less.
    fn fewer_groups(&mut self) -> bool {
        let best = self.best.clone();
        let (groups, hosts) = (best.setup.groups.len(), best.setup.replicas);
        if groups < 2 {
            return false;
        }
        let one = (0..groups).map(|only| vec![only]);
        let one_less = (0..groups).map(|out| (0..groups).filter(|&group| group != out).collect());
        let fewer = one.chain(one_less).map(|kept: Vec<usize>| best.with_groups(&kept));
        let fewer = fewer.chain((0..hosts).filter_map(|host| best.without_host(host)));
        // Who moves up has other delays, unless all are the same.
        self.attempt_any(fewer.flat_map(|case| [case.with_steady_delays(), case]))
    }

    // ---- Single decisions --------------------------------------------------------------------------

    fn fewer_decisions(&mut self) {
        for family in [Family::All, Family::Fates, Family::Requests, Family::Actions] {
            ddmin::minimize(
                self,
                |shrinker| shrinker.best.len(family),
                |shrinker, range: Range<usize>| {
                    !shrinker.is_over() && shrinker.attempt(shrinker.best.without(family, range))
                },
            );
        }
    }
}
