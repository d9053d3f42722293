//! What came of a sweep, for people and for machines.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::marks::Moment;
use crate::sweep::{Few, Found, Outcome, Plan, Shard};

use super::{ReportArgs, shrinking};
use crate::cli::Named;
use crate::cli::describe::{self, Messages};
use crate::cli::exit::Exit;
use crate::cli::keep::{self, JsonSmall, Kept, Small, Smallest};
use crate::cli::run::{JsonViolation, json_marks};
use crate::cli::text::{self, BAD, DOUBTFUL, GOOD, count, items, line, of, seconds, styled, word};

/// How many findings are shown.
const GROUPS: usize = 10;

/// A sweep that has ended.
pub(super) struct Summary<'a> {
    pub(super) plan: &'a Plan,
    pub(super) scenarios: &'a [Named],
    pub(super) outcome: &'a Outcome,
    /// The most frequent findings.
    pub(super) findings: Vec<Finding<'a>>,
    /// How long shrinking took, and whether there was too little time for it; none if nothing was shrunk.
    pub(super) shrinking: Option<(Duration, bool)>,
    /// Marks that were demanded and not reached.
    pub(super) unmet: Vec<String>,
}

/// Runs that show the same violation.
pub(super) struct Finding<'a> {
    signature: &'a str,
    pub(super) few: &'a Few<Found>,
    /// The lowest seed, which is the one that is recorded.
    pub(super) seed: u64,
    pub(super) found: &'a Found,
    kept: Kept,
    small: Smallest,
}

impl<'a> Summary<'a> {
    /// Sums up, and records a run of each finding.
    pub(super) fn new(
        args: &'a ReportArgs,
        plan: &'a Plan,
        scenarios: &'a [Named],
        outcome: &'a Outcome,
    ) -> Self {
        let mut groups: Vec<_> = outcome.violations.iter().collect();
        // Sorting is stable: findings as frequent as each other stay in the order of their names.
        groups.sort_by_key(|(_, few)| std::cmp::Reverse(few.count));
        let findings = groups.into_iter().take(GROUPS).filter_map(|(signature, few)| {
            let (&seed, found) = few.first.first_key_value()?;
            let setup = plan.setup(seed);
            let path = keep::default_path(&args.failures, &setup.scenario, seed);
            let kept = keep::keep(&setup, plan.bug, found.digest, &path);
            Some(Finding { signature, few, seed, found, kept, small: Smallest::None })
        });
        let findings = findings.collect();
        let unmet = args.unmet(&outcome.totals.marks);
        let mut summary = Self { plan, scenarios, outcome, findings, shrinking: None, unmet };
        if !args.no_shrink {
            summary.shrink(args);
        }
        summary
    }

    /// Shrinks runs of all findings that could be recorded, and keeps the smallest of each.
    fn shrink(&mut self, args: &ReportArgs) {
        let plan = self.plan;
        let recorded: Vec<_> =
            self.findings.iter_mut().filter(|finding| finding.kept.path().is_some()).collect();
        if recorded.is_empty() {
            return;
        }
        let seeds: Vec<Vec<u64>> =
            recorded.iter().map(|finding| finding.few.first.keys().copied().collect()).collect();
        let is_interrupted = || super::INTERRUPTED.load(Ordering::Relaxed);
        let shrunk = shrinking::shrink_all(plan, &seeds, args.shrink_time, &is_interrupted);
        for (finding, result) in recorded.into_iter().zip(shrunk.smallest) {
            finding.small = match result {
                shrinking::Smallest::OutOfTime => Smallest::OutOfTime,
                shrinking::Smallest::None => Smallest::None,
                shrinking::Smallest::Found(seed, trace) => {
                    let scenario = plan.scenarios[plan.scenario_of(seed)].name();
                    let path = keep::default_path(&args.failures, scenario, seed);
                    keep::write_small(seed, *trace, &path)
                }
            };
        }
        self.shrinking = Some((shrunk.took, shrunk.is_cut_short));
    }

    /// How it ended.
    pub(super) fn exit(&self) -> Exit {
        let Outcome { totals, violations, inconclusive, harness_failed, stopped, .. } = self.outcome;
        let is_interrupted = *stopped && super::INTERRUPTED.load(Ordering::Relaxed);
        Exit::gravest(&[
            (is_interrupted, Exit::Interrupted),
            (harness_failed.count > 0, Exit::HarnessFailed),
            (!self.unequal().is_empty(), Exit::Unequal),
            (!violations.is_empty(), Exit::Violated),
            (totals.runs == 0 || totals.empty > 0, Exit::NothingRun),
            (!self.unmet.is_empty(), Exit::MarkNotReached),
            (inconclusive.count > 0, Exit::Inconclusive),
        ])
    }

    /// The seeds that gave two results, with both digests: the first few.
    pub(super) fn unequal(&self) -> BTreeMap<u64, (u64, u64)> {
        let recorded = self.findings.iter().filter_map(|finding| match &finding.kept {
            Kept::Unequal(report) => Some((finding.seed, (finding.found.digest, report.digest))),
            Kept::Written(_) | Kept::Failed(_) => None,
        });
        recorded.chain(self.outcome.unequal.first.iter().map(|(&seed, &digests)| (seed, digests))).collect()
    }

    pub(super) fn scenario(&self, seed: u64) -> &Named {
        &self.scenarios[self.plan.scenario_of(seed)]
    }

    /// Whether the scenario of this name tells a story.
    pub(super) fn is_story(&self, name: &str) -> bool {
        self.scenarios.iter().any(|named| named.scenario.name() == name && named.scenario.is_story())
    }

    /// The command that makes one run again.
    pub(super) fn command(&self, seed: u64) -> String {
        let mut command = format!("sim run --seed {seed} --scenario {}", word(&self.scenario(seed).name));
        if let Some(steps) = self.plan.overrides.steps {
            command.push_str(&format!(" --steps {steps}"));
        }
        if let Some(bug) = self.plan.bug {
            command.push_str(&format!(" --bug {}", bug.name));
        }
        command
    }

    /// Says on stderr what went wrong beside violations, one line each.
    pub(super) fn complain(&self) {
        for finding in &self.findings {
            if let Kept::Failed(why) = &finding.kept {
                text::complain(why);
            }
        }
        let totals = &self.outcome.totals;
        if totals.runs == 0 {
            text::complain("nothing was run");
        }
        if totals.empty > 0 {
            text::complain(&format!("nothing happened in {}", of(totals.empty, ("run", "runs"))));
        }
        if !self.unmet.is_empty() {
            text::complain(&format!("not reached: {}", self.unmet.join(", ")));
        }
    }
}

// ---- For people --------------------------------------------------------------------------------------

impl Summary<'_> {
    /// The whole summary.
    pub(super) fn page(&self) -> String {
        let mut page = String::new();
        self.head(&mut page);
        self.statistics(&mut page);
        page.push('\n');
        self.verdict(&mut page);
        for finding in &self.findings {
            page.push('\n');
            self.finding(&mut page, finding);
        }
        self.troubles(&mut page);
        page.push('\n');
        line(&mut page, "digest", &format!("{:016x}", self.outcome.totals.digest));
        page
    }

    fn head(&self, page: &mut String) {
        let Plan { first, count: seeds, shard, bug, .. } = self.plan;
        let runs = of(self.outcome.totals.runs, ("run", "runs"));
        let seeds = match seeds {
            Some(0) => "no seeds".to_owned(),
            Some(seeds) if !self.outcome.stopped => {
                format!("seeds {first} to {}", first.saturating_add(seeds - 1))
            }
            _ => format!("seeds from {first}"),
        };
        let part = match *shard {
            Shard::WHOLE => String::new(),
            Shard { number, of } => format!(", part {number} of {of}"),
        };
        line(page, "sweep", &format!("{runs}, {seeds}{part}"));
        let names: Vec<_> = self.scenarios.iter().map(|named| named.scenario.name().to_owned()).collect();
        items(page, "scenarios", &names, ", ");
        if let Some(bug) = bug {
            line(page, "bug", &format!("{}: {}", bug.name, bug.what));
        }
    }

    fn statistics(&self, page: &mut String) {
        let totals = &self.outcome.totals;
        let (steps, faulty) = (of(totals.steps, ("step", "steps")), count(totals.fault_steps));
        let (after, time) = (count(totals.steps - totals.fault_steps), seconds(totals.time));
        line(
            page,
            "length",
            &format!("{steps} ({faulty} under faults, {after} after), {time} of virtual time"),
        );
        let (committed, answered) = (count(totals.committed), count(totals.marks.answered));
        line(page, "operations", &format!("{committed} committed, {answered} answered"));
        describe::events(page, totals.views, &totals.marks);
        describe::marks(page, &totals.marks);
        describe::unreached(page, &totals.marks);
        if totals.budget_exceeded > 0 {
            let runs = of(totals.budget_exceeded, ("run", "runs"));
            line(
                page,
                "safety only",
                &format!("{runs}, in which more memory was lost than the group can stand"),
            );
        }
        let rechecked = match (totals.rechecked, self.outcome.unequal.count) {
            (0, _) => "none".to_owned(),
            (runs, 0) => format!("{}, all came out the same", of(runs, ("run", "runs"))),
            (runs, unequal) => {
                format!("{}, {} came out differently", of(runs, ("run", "runs")), count(unequal))
            }
        };
        line(page, "run twice", &rechecked);
    }

    fn verdict(&self, page: &mut String) {
        let Outcome { totals, violations, inconclusive, harness_failed, stopped, .. } = self.outcome;
        let violated: u64 = violations.values().map(|few| few.count).sum();
        let held = totals.runs - violated - inconclusive.count - harness_failed.count;
        let mut parts = Vec::new();
        if held > 0 || totals.runs == 0 {
            let style = if held == totals.runs && held > 0 { GOOD } else { text::LABEL };
            parts.push(format!("{} {}", styled(style, "HELD"), of(held, ("run", "runs"))));
        }
        if violated > 0 {
            let ways = of(violations.len() as u64, ("finding", "findings"));
            parts.push(format!("{} {} ({ways})", styled(BAD, "VIOLATED"), of(violated, ("run", "runs"))));
        }
        let mut add = |style, label, number| {
            if number > 0 {
                parts.push(format!("{} {}", styled(style, label), of(number, ("run", "runs"))));
            }
        };
        add(DOUBTFUL, "INCONCLUSIVE", inconclusive.count);
        add(BAD, "THE HARNESS FAILED", harness_failed.count);
        let note = if *stopped && self.plan.count.is_some() { "  (stopped before the end)" } else { "" };
        page.push_str(&format!("{}{note}\n", parts.join("  ")));
    }

    fn finding(&self, page: &mut String, finding: &Finding<'_>) {
        let violation = &finding.found.violation;
        let times = of(finding.few.count, ("run", "runs"));
        page.push_str(&format!("{}  ({times})\n", keep::headline(violation)));
        page.push_str(&format!("  {}\n", violation.witness));
        let scenario = self.scenario(finding.seed).scenario.name();
        line(page, "  where", &format!("seed {} of {scenario}, {}", finding.seed, keep::moment(violation)));
        let others: Vec<String> = finding.few.first.keys().skip(1).map(|&seed| self.labelled(seed)).collect();
        if !others.is_empty() {
            let more = finding.few.count > finding.few.first.len() as u64;
            let dots = more.then(|| "…".to_owned());
            items(page, "  also", &others.into_iter().chain(dots).collect::<Vec<_>>(), ", ");
        }
        let command = self.command(finding.seed);
        keep::commands(page, &finding.kept, &finding.small, finding.seed, &command);
    }

    fn labelled(&self, seed: u64) -> String {
        if self.scenarios.len() == 1 {
            return seed.to_string();
        }
        format!("{seed} of {}", self.scenario(seed).scenario.name())
    }

    /// What else was not as it should be.
    fn troubles(&self, page: &mut String) {
        let hidden = self.outcome.violations.len().saturating_sub(self.findings.len());
        if hidden > 0 {
            page.push_str(&format!("\nand {}\n", of(hidden as u64, ("rarer finding", "rarer findings"))));
        }
        for (seed, (first, second)) in self.unequal() {
            let what = format!("seed {seed} gave two results: digests {first:016x} and {second:016x}");
            self.trouble(page, &format!("{} {what}", styled(BAD, "NOT DETERMINISTIC")), seed);
        }
        for (&seed, why) in &self.outcome.harness_failed.first {
            self.trouble(page, &format!("{} at seed {seed}: {why}", styled(BAD, "THE HARNESS FAILED")), seed);
        }
        for (&seed, why) in &self.outcome.inconclusive.first {
            self.trouble(page, &format!("{} seed {seed}: {why}", styled(DOUBTFUL, "INCONCLUSIVE")), seed);
        }
        if !self.unmet.is_empty() {
            let number = of(self.unmet.len() as u64, ("mark", "marks"));
            page.push_str(&format!("\n{} {number} that must be reached\n", styled(BAD, "NOT REACHED")));
            items(page, "", &self.unmet, ", ");
        }
    }

    fn trouble(&self, page: &mut String, what: &str, seed: u64) {
        page.push_str(&format!("\n{what}\n"));
        line(page, "  run again", &self.command(seed));
    }
}

// ---- For machines ------------------------------------------------------------------------------------

/// What `sim sweep --json` prints. Fields keep their names and meaning; new ones may come.
#[derive(Debug, Serialize)]
struct Json<'a> {
    /// The exit code.
    exit_code: u8,
    /// Whether it was stopped, by a time limit or by Ctrl-C, before all seeds were run.
    stopped: bool,
    /// The first seed.
    first_seed: u64,
    /// How many seeds there were to be, all shards together; null for no limit.
    seeds: Option<u64>,
    /// Which part of the sweep this is, `k/n`.
    shard: String,
    /// The scenarios: seed s ran in the one at index s mod their number.
    scenarios: Vec<&'a str>,
    /// The planted bug, or null.
    bug: Option<&'a str>,
    /// Runs that were made.
    runs: u64,
    /// How many of them were run twice.
    rechecked: u64,
    /// Runs in which a property was violated.
    violated: u64,
    /// Runs in which a check gave up.
    inconclusive: u64,
    /// Runs in which the harness failed.
    harness_failed: u64,
    /// Runs in which more memory was lost than the group can stand: held to safety only.
    budget_exceeded: u64,
    /// Events dispatched in all.
    steps: u64,
    /// Events dispatched before the faults stopped.
    fault_steps: u64,
    /// Virtual time, in nanoseconds.
    virtual_time_ns: u64,
    /// Operations that were committed.
    committed: u64,
    /// Operations whose answer reached their client.
    answered: u64,
    /// Views started by a view change.
    view_changes: u64,
    /// Replicas that lost their memory.
    crashes: u64,
    /// Recoveries that came to their end.
    recoveries: u64,
    /// What became of messages.
    messages: Messages,
    /// Every counter, by its full name.
    marks: Map<String, Value>,
    /// The counters of the groups fault, partition, crash, moment and path that are zero.
    marks_not_reached: Vec<String>,
    /// Those that were demanded and are zero.
    marks_unmet: &'a [String],
    /// The most frequent findings, at most ten.
    findings: Vec<JsonFinding<'a>>,
    /// How many findings there are in all.
    findings_in_all: usize,
    /// Runs with the lowest seeds, of each kind of trouble.
    not_deterministic: Vec<JsonUnequal<'a>>,
    /// See above.
    inconclusive_runs: Vec<JsonTrouble<'a>>,
    /// See above.
    harness_failures: Vec<JsonTrouble<'a>>,
    /// The digests of all runs: 16 hexadecimal digits. Those of all shards add up (modulo 2^64) to that of
    /// the whole.
    digest: String,
}

/// Runs that show the same violation.
#[derive(Debug, Serialize)]
struct JsonFinding<'a> {
    signature: &'a str,
    /// How many runs show it.
    runs: u64,
    /// The lowest seeds that do.
    seeds: Vec<u64>,
    /// The scenario of the lowest seed; the following fields describe that run.
    scenario: &'a str,
    violation: JsonViolation<'a>,
    /// Where it was recorded, or null.
    trace: Option<String>,
    /// Its smallest trace, or null if none was made.
    shrunk: Option<JsonSmall>,
    /// How to make it again.
    command: String,
}

#[derive(Debug, Serialize)]
struct JsonTrouble<'a> {
    seed: u64,
    scenario: &'a str,
    reason: &'a str,
}

#[derive(Debug, Serialize)]
struct JsonUnequal<'a> {
    seed: u64,
    scenario: &'a str,
    digests: [String; 2],
}

impl Summary<'_> {
    /// The summary as one line of JSON.
    pub(super) fn json(&self) -> String {
        let Outcome { totals, violations, inconclusive, harness_failed, stopped, .. } = self.outcome;
        let json = Json {
            exit_code: self.exit().code(),
            stopped: *stopped,
            first_seed: self.plan.first,
            seeds: self.plan.count,
            shard: self.plan.shard.to_string(),
            scenarios: self.scenarios.iter().map(|named| named.scenario.name()).collect(),
            bug: self.plan.bug.map(|bug| bug.name),
            runs: totals.runs,
            rechecked: totals.rechecked,
            violated: violations.values().map(|few| few.count).sum(),
            inconclusive: inconclusive.count,
            harness_failed: harness_failed.count,
            budget_exceeded: totals.budget_exceeded,
            steps: totals.steps,
            fault_steps: totals.fault_steps,
            virtual_time_ns: totals.time,
            committed: totals.committed,
            answered: totals.marks.answered,
            view_changes: totals.views,
            crashes: totals.marks.count(Moment::Crash),
            recoveries: totals.marks.count(Moment::Recovery),
            messages: Messages::of(&totals.marks),
            marks: json_marks(&totals.marks),
            marks_not_reached: describe::missing_marks(&totals.marks),
            marks_unmet: &self.unmet,
            findings: self.findings.iter().map(|finding| self.json_finding(finding)).collect(),
            findings_in_all: violations.len(),
            not_deterministic: self.json_unequal(),
            inconclusive_runs: self.json_troubles(inconclusive),
            harness_failures: self.json_troubles(harness_failed),
            digest: format!("{:016x}", totals.digest),
        };
        serde_json::to_string(&json).expect("the result has string keys only") + "\n"
    }

    fn json_finding<'b>(&'b self, finding: &'b Finding<'_>) -> JsonFinding<'b> {
        JsonFinding {
            signature: finding.signature,
            runs: finding.few.count,
            seeds: finding.few.first.keys().copied().collect(),
            scenario: self.scenario(finding.seed).scenario.name(),
            violation: JsonViolation::of(&finding.found.violation),
            trace: finding.kept.path().map(|path| path.display().to_string()),
            shrunk: finding.small.found().map(Small::json),
            command: self.command(finding.seed),
        }
    }

    fn json_unequal(&self) -> Vec<JsonUnequal<'_>> {
        let unequal = self.unequal().into_iter();
        let unequal = unequal.map(|(seed, (first, second))| JsonUnequal {
            seed,
            scenario: self.scenario(seed).scenario.name(),
            digests: [first, second].map(|digest| format!("{digest:016x}")),
        });
        unequal.collect()
    }

    fn json_troubles<'b>(&'b self, few: &'b Few<String>) -> Vec<JsonTrouble<'b>> {
        let trouble = |(&seed, reason): (&u64, &'b String)| JsonTrouble {
            seed,
            scenario: self.scenario(seed).scenario.name(),
            reason,
        };
        few.first.iter().map(trouble).collect()
    }
}
