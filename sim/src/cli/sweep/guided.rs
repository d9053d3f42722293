//! `sim sweep --guided`: what came of it, for people and for machines.

use serde::Serialize;
use serde_json::{Map, Value};

use super::SweepArgs;
use crate::check::Violation;
use crate::cli::describe;
use crate::cli::exit::Exit;
use crate::cli::keep::{self, Kept, Smallest};
use crate::cli::run::{JsonViolation, json_marks};
use crate::cli::text::{self, BAD, DOUBTFUL, GOOD, count, items, line, of, seconds, styled};
use crate::guided::sweep::{Finding, Outcome, Shown, Trouble};
use crate::guided::{self, Recipe};
use crate::sweep::Plan;

/// How many findings are shown.
const GROUPS: usize = 10;

/// A guided sweep that has ended.
pub(super) struct Summary<'a> {
    args: &'a SweepArgs,
    plan: &'a Plan,
    outcome: &'a Outcome,
    findings: Vec<Group<'a>>,
}

/// Runs that show the same violation.
struct Group<'a> {
    signature: &'a str,
    finding: &'a Finding,
    /// The run that is described: the first one that is recorded, else the first.
    shown: &'a Shown,
    kept: Kept,
}

impl<'a> Summary<'a> {
    /// Sums up, and records a run of each finding.
    pub(super) fn new(args: &'a SweepArgs, plan: &'a Plan, outcome: &'a Outcome) -> Self {
        let mut groups: Vec<_> = outcome.findings.iter().collect();
        groups.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.count));
        let findings = groups.into_iter().take(GROUPS).map(|(signature, finding)| {
            let (shown, kept) = record(args, plan, finding);
            Group { signature, finding, shown, kept }
        });
        Self { args, plan, outcome, findings: findings.collect() }
    }

    /// How it ended.
    pub(super) fn exit(&self) -> Exit {
        let Outcome { runs, findings, inconclusive, harness_failed, stopped, .. } = self.outcome;
        let is_interrupted = *stopped && super::INTERRUPTED.load(std::sync::atomic::Ordering::Relaxed);
        Exit::gravest(&[
            (is_interrupted, Exit::Interrupted),
            (harness_failed.count > 0, Exit::HarnessFailed),
            (!findings.is_empty(), Exit::Violated),
            (*runs == 0, Exit::NothingRun),
            (inconclusive.count > 0, Exit::Inconclusive),
        ])
    }
}

/// Records one of the runs that show a finding: one whose decisions alone lead to it again.
fn record<'a>(args: &SweepArgs, plan: &Plan, finding: &'a Finding) -> (&'a Shown, Kept) {
    let mut why = String::new();
    for shown in &finding.first {
        let setup = plan.setup(shown.recipe.seed);
        let scenario = format!("guided-{}", setup.scenario);
        let path = keep::default_path(&args.report.failures, &scenario, shown.number);
        match guided::record(&setup, &shown.recipe, plan.bug) {
            Err(error) => why = error.to_string(),
            Ok((report, _)) if report.violation() != Some(&shown.violation) => {
                return (shown, Kept::Unequal(Box::new(report)));
            }
            Ok((_, trace)) if trace.head.expect.signature() != Some(shown.violation.signature()) => {
                why = "the decisions alone do not lead to it again".to_owned();
            }
            Ok((_, trace)) => {
                let kept = match keep::write(&trace, &path) {
                    Ok(()) => Kept::Written(path),
                    Err(error) => Kept::Failed(format!("{}: {error}", path.display())),
                };
                return (shown, kept);
            }
        }
    }
    (&finding.first[0], Kept::Failed(why))
}

// ---- For people --------------------------------------------------------------------------------------

impl Summary<'_> {
    /// The whole summary.
    pub(super) fn page(&self) -> String {
        let mut page = String::new();
        self.head(&mut page);
        page.push('\n');
        self.verdict(&mut page);
        for group in &self.findings {
            page.push('\n');
            self.group(&mut page, group);
        }
        trouble(&mut page, "INCONCLUSIVE", &self.outcome.inconclusive);
        trouble(&mut page, "THE HARNESS FAILED", &self.outcome.harness_failed);
        page.push('\n');
        line(&mut page, "digest", &format!("{:016x}", self.outcome.digest));
        page
    }

    fn head(&self, page: &mut String) {
        let Outcome { runs, fresh, steps, time, marks, corpus, .. } = self.outcome;
        let parts = format!(
            "{} of fresh seeds from {}, {} that go on from rare places",
            count(*fresh),
            self.plan.first,
            count(runs - fresh)
        );
        line(page, "guided", &format!("{}: {parts}", of(*runs, ("run", "runs"))));
        let names: Vec<_> = self.plan.scenarios.iter().map(|scenario| scenario.name().to_owned()).collect();
        items(page, "scenarios", &names, ", ");
        if let Some(bug) = self.plan.bug {
            line(page, "bug", &format!("{}: {}", bug.name, bug.what));
        }
        line(
            page,
            "length",
            &format!("{}, {} of virtual time", of(*steps, ("step", "steps")), seconds(*time)),
        );
        let (reached, places) = (count(corpus.reached() as u64), count(corpus.places() as u64));
        line(page, "territory", &format!("{reached} states and combinations reached, {places} places kept"));
        describe::marks(page, marks);
        describe::unreached(page, marks);
    }

    fn verdict(&self, page: &mut String) {
        let Outcome { runs, findings, inconclusive, harness_failed, stopped, .. } = self.outcome;
        let violated: u64 = findings.values().map(|finding| finding.count).sum();
        let held = runs - violated - inconclusive.count - harness_failed.count;
        let style = if held == *runs && held > 0 { GOOD } else { text::LABEL };
        let mut parts = vec![format!("{} {}", styled(style, "HELD"), of(held, ("run", "runs")))];
        if violated > 0 {
            let ways = of(findings.len() as u64, ("finding", "findings"));
            parts.push(format!("{} {} ({ways})", styled(BAD, "VIOLATED"), of(violated, ("run", "runs"))));
        }
        for (style, label, number) in [
            (DOUBTFUL, "INCONCLUSIVE", inconclusive.count),
            (BAD, "THE HARNESS FAILED", harness_failed.count),
        ] {
            if number > 0 {
                parts.push(format!("{} {}", styled(style, label), of(number, ("run", "runs"))));
            }
        }
        let note = if *stopped && self.plan.count.is_some() { "  (stopped before the end)" } else { "" };
        page.push_str(&format!("{}{note}\n", parts.join("  ")));
    }

    fn group(&self, page: &mut String, group: &Group<'_>) {
        let Shown { number, recipe, violation } = group.shown;
        let runs = of(group.finding.count, ("run", "runs"));
        page.push_str(&format!("{}  ({runs})\n  {}\n", keep::headline(violation), violation.witness));
        let scenario = &self.plan.setup(recipe.seed).scenario;
        let changes = of(recipe.changes.len() as u64, ("change", "changes"));
        let place = format!("run {}: seed {} of {scenario} with {changes}", count(*number), recipe.seed);
        line(page, "  where", &format!("{place}, {}", keep::moment(violation)));
        keep::commands(page, &group.kept, &Smallest::None, recipe.seed, &self.command());
    }

    /// The command that makes the sweep again: a run depends on those before.
    fn command(&self) -> String {
        let mut command = format!("sim sweep --guided --seeds {}..", self.plan.first);
        if !self.args.scenario.is_empty() {
            let names = self.args.scenario.iter().map(|name| text::word(name));
            command.push_str(&format!(" --scenario {}", names.collect::<Vec<_>>().join(" ")));
        }
        if self.args.all_scenarios {
            command.push_str(" --all-scenarios");
        }
        if let Some(steps) = self.args.steps {
            command.push_str(&format!(" --steps {steps}"));
        }
        if let Some(bug) = self.args.bug {
            command.push_str(&format!(" --bug {}", bug.name));
        }
        command + &format!(" --count {}", self.outcome.runs)
    }
}

fn trouble(page: &mut String, label: &str, trouble: &Trouble) {
    if let Some((number, why)) = &trouble.first {
        page.push_str(&format!("\n{} run {number}: {why}\n", styled(BAD, label)));
    }
}

// ---- For machines ------------------------------------------------------------------------------------

/// What `sim sweep --guided --json` prints. Fields keep their names and meaning; new ones may come.
#[derive(Debug, Serialize)]
struct Json<'a> {
    /// The exit code.
    exit_code: u8,
    /// Whether it was stopped before its end.
    stopped: bool,
    /// The first fresh seed.
    first_seed: u64,
    scenarios: Vec<&'a str>,
    /// The planted bug, or null.
    bug: Option<&'a str>,
    /// Runs that were made, and how many of them were of fresh seeds.
    runs: u64,
    fresh: u64,
    /// Steps that were taken: what branches share is counted once.
    steps: u64,
    /// What was reached, and the places that were kept.
    reached: usize,
    places: usize,
    inconclusive: u64,
    harness_failed: u64,
    /// Every counter, by its full name, over all runs.
    marks: Map<String, Value>,
    /// The most frequent findings, at most ten.
    findings: Vec<JsonFinding<'a>>,
    findings_in_all: usize,
    /// The digest of all runs in their order: 16 hexadecimal digits.
    digest: String,
}

/// Runs that show the same violation.
#[derive(Debug, Serialize)]
struct JsonFinding<'a> {
    signature: &'a str,
    /// How many runs show it.
    runs: u64,
    /// The run that the following fields describe, by its number from 1, and how to make it again.
    run: u64,
    recipe: JsonRecipe<'a>,
    violation: JsonViolation<'a>,
    /// Where it was recorded, or null.
    trace: Option<String>,
}

#[derive(Debug, Serialize)]
struct JsonRecipe<'a> {
    seed: u64,
    steps: u64,
    changes: &'a [guided::change::Change],
}

impl<'a> JsonRecipe<'a> {
    fn of(recipe: &'a Recipe) -> Self {
        Self { seed: recipe.seed, steps: recipe.steps, changes: &recipe.changes }
    }
}

impl Summary<'_> {
    /// The summary as one line of JSON.
    pub(super) fn json(&self) -> String {
        let Outcome { runs, fresh, steps, marks, findings, inconclusive, harness_failed, corpus, .. } =
            self.outcome;
        let json = Json {
            exit_code: self.exit().code(),
            stopped: self.outcome.stopped,
            first_seed: self.plan.first,
            scenarios: self.plan.scenarios.iter().map(|scenario| scenario.name()).collect(),
            bug: self.plan.bug.map(|bug| bug.name),
            runs: *runs,
            fresh: *fresh,
            steps: *steps,
            reached: corpus.reached(),
            places: corpus.places(),
            inconclusive: inconclusive.count,
            harness_failed: harness_failed.count,
            marks: json_marks(marks),
            findings: self.findings.iter().map(json_finding).collect(),
            findings_in_all: findings.len(),
            digest: format!("{:016x}", self.outcome.digest),
        };
        serde_json::to_string(&json).expect("the result has string keys only") + "\n"
    }
}

fn json_finding<'a>(group: &'a Group<'_>) -> JsonFinding<'a> {
    let violation: &Violation = &group.shown.violation;
    JsonFinding {
        signature: group.signature,
        runs: group.finding.count,
        run: group.shown.number,
        recipe: JsonRecipe::of(&group.shown.recipe),
        violation: JsonViolation::of(violation),
        trace: group.kept.path().map(|path| path.display().to_string()),
    }
}
