//! What is demanded of a sweep, and in which forms its result is told.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use crate::marks::Marks;
use crate::sweep::{Outcome, Plan};

use super::summary::Summary;
use super::{github, junit};
use crate::cli::exit::Exit;
use crate::cli::{Named, describe, files, keep, text};

/// What is demanded of a sweep, and in which forms its result is told: the same for a sweep that is made
/// and one that is merged.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReportArgs {
    /// Demand that every fault struck, and every rare path was taken, at least once
    #[arg(long)]
    pub(super) require_marks: bool,
    /// Demand that this mark was reached, such as path:stale-vote-discarded
    #[arg(long, value_name = "MARK", value_parser = mark)]
    pub(super) require: Vec<String>,
    /// Print one JSON object, and nothing else
    #[arg(long)]
    pub(super) json: bool,
    /// Write the result as JUnit XML to this file: a case for each scenario and property
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) junit: Option<PathBuf>,
    /// Print annotations for GitHub, at most ten (on stderr with --json), and append to its step summary
    #[arg(long)]
    pub(super) github: bool,
    /// Where to put a trace of each finding
    #[arg(long, value_name = "DIR", default_value = keep::FOLDER, value_hint = ValueHint::DirPath)]
    pub(super) failures: PathBuf,
    /// Leave the traces as they are: by default some runs of each finding are shrunk
    #[arg(long)]
    pub(super) no_shrink: bool,
    /// How long shrinking may take: 30s, 5m. Every finding has its part of it
    #[arg(
        long, value_name = "TIME", default_value = "30s", value_parser = super::time,
        conflicts_with = "no_shrink"
    )]
    pub(super) shrink_time: Duration,
}

fn mark(name: &str) -> Result<String, String> {
    let known = Marks::default().all();
    if known.iter().any(|(known, _)| known == name) {
        return Ok(name.to_owned());
    }
    let group = name.split(':').next().unwrap_or_default();
    let prefix = format!("{group}:");
    let names: Vec<_> =
        known.into_iter().map(|(name, _)| name).filter(|name| name.starts_with(&prefix)).collect();
    Err(if names.is_empty() {
        "expected GROUP:NAME with a group of fault, partition, crash, moment, path, ignored, sent".to_owned()
    } else {
        format!("expected one of {}", names.join(", "))
    })
}

impl ReportArgs {
    /// Whether the result can be written where it is wanted, as far as can be seen before there is one.
    pub(crate) fn check(&self) -> Result<(), String> {
        let problem = self.junit.as_deref().and_then(|path| files::no_place("--junit", path));
        problem.map_or(Ok(()), Err)
    }

    /// The marks that are demanded and were not reached.
    pub(super) fn unmet(&self, marks: &Marks) -> Vec<String> {
        let mut unmet = if self.require_marks { describe::missing_marks(marks) } else { Vec::new() };
        let zero = marks.all().into_iter().filter(|(_, count)| *count == 0);
        let more = zero.map(|(name, _)| name).filter(|name| self.require.contains(name));
        let more: Vec<_> = more.filter(|name| !unmet.contains(name)).collect();
        unmet.extend(more);
        unmet
    }
}

/// Tells the result of a sweep in all forms that are wanted, and says how it ended. How long shrinking took,
/// if anything was shrunk, comes along.
pub(crate) fn conclude(
    args: &ReportArgs,
    plan: &Plan,
    scenarios: &[Named],
    outcome: &Outcome,
) -> (Exit, Option<Duration>) {
    let summary = Summary::new(args, plan, scenarios, outcome);
    let page = if args.json { summary.json() } else { summary.page() };
    let mut exit = text::print(&page, summary.exit());
    let mut told = Vec::new();
    if let Some(path) = &args.junit {
        told.push(files::replace(path, junit::text(&summary).as_bytes()));
    }
    if args.github {
        let annotations = github::annotations(&summary);
        if args.json {
            annotations.lines().for_each(text::remark);
        } else {
            exit = text::print(&annotations, exit);
        }
        told.push(github::append_to_step_summary(&github::step_summary(&summary)));
    }
    for problem in told.into_iter().filter_map(Result::err) {
        text::complain(&problem);
        exit = if exit == Exit::Held { Exit::Usage } else { exit };
    }
    summary.complain();
    if let Some((_, true)) = summary.shrinking {
        let limit = args.shrink_time.as_secs();
        text::remark(&format!("shrinking was cut short after {limit} s: --shrink-time gives it more"));
    }
    (exit, summary.shrinking.map(|(took, _)| took))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_known_by_their_full_names() {
        assert_eq!(mark("moment:crash"), Ok("moment:crash".to_owned()));
        assert!(mark("moment:crush").unwrap_err().contains("moment:crash, "));
        assert!(mark("crash").unwrap_err().starts_with("expected one of crash:random, "));
        assert!(mark("").unwrap_err().starts_with("expected GROUP:NAME"));
    }
}
