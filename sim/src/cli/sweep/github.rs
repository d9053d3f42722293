//! The result of a sweep for GitHub Actions: annotations, which are shown beside the run of a workflow, and
//! a summary of the step in Markdown.

use std::env;
use std::fs::OpenOptions;
use std::io::Write as _;

use crate::cli::keep;
use crate::cli::text::{self, count, of, seconds};

use super::summary::Summary;

/// How many annotations of a step are shown.
const ANNOTATIONS: usize = 10;
/// The variable that names the file to which the summary is appended.
const STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// Annotations, a line each: one for each finding, then the other troubles.
pub(super) fn annotations(summary: &Summary<'_>) -> String {
    let annotations = findings(summary).into_iter().chain(troubles(summary));
    annotations.take(ANNOTATIONS).map(|(title, message)| annotation(&title, &message)).collect()
}

fn findings(summary: &Summary<'_>) -> Vec<(String, String)> {
    let told = summary.findings.iter().map(|finding| {
        let violation = &finding.found.violation;
        let title = keep::title(violation);
        let scenario = summary.scenario(finding.seed).scenario.name();
        let message = format!(
            "{}\nin {}, first seed {} of {scenario}, {}\n{}",
            violation.witness,
            of(finding.few.count, ("run", "runs")),
            finding.seed,
            keep::moment(violation),
            summary.command(finding.seed)
        );
        (title, message)
    });
    told.collect()
}

/// Title and message of everything else that makes a sweep fail.
fn troubles(summary: &Summary<'_>) -> Vec<(String, String)> {
    let mut troubles = Vec::new();
    let mut add = |title: &str, message: String| troubles.push((title.to_owned(), message));
    for (seed, (first, second)) in summary.unequal() {
        let command = summary.command(seed);
        add("not deterministic", format!("seed {seed}: digests {first:016x} and {second:016x}\n{command}"));
    }
    for (seed, why) in &summary.outcome.harness_failed.first {
        add("the harness failed", format!("seed {seed}: {why}\n{}", summary.command(*seed)));
    }
    for (seed, why) in &summary.outcome.inconclusive.first {
        add("inconclusive", format!("seed {seed}: {why}\n{}", summary.command(*seed)));
    }
    if summary.outcome.totals.runs == 0 {
        add("nothing was run", "no seed was run".to_owned());
    }
    if summary.outcome.totals.empty > 0 {
        add(
            "empty runs",
            format!("nothing happened in {}", of(summary.outcome.totals.empty, ("run", "runs"))),
        );
    }
    if !summary.unmet.is_empty() {
        add("marks not reached", summary.unmet.join(", "));
    }
    troubles
}

/// A workflow command. What would end it, or a property of it, is escaped.
fn annotation(title: &str, message: &str) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    format!("::error title={}::{}\n", property(title), data(message))
}

/// The summary in Markdown.
pub(super) fn step_summary(summary: &Summary<'_>) -> String {
    let mut page = format!("### sim sweep: {}\n\n", summary.exit().meaning());
    let totals = &summary.outcome.totals;
    page.push_str(&format!(
        "{}, {}, {} of virtual time, {} committed, digest `{:016x}`\n\n",
        of(totals.runs, ("run", "runs")),
        of(totals.steps, ("step", "steps")),
        seconds(totals.time),
        of(totals.committed, ("operation", "operations")),
        totals.digest
    ));
    if !summary.findings.is_empty() {
        page.push_str("| finding | runs | first seed | what was seen |\n|---|--:|---|---|\n");
    }
    for finding in &summary.findings {
        let violation = &finding.found.violation;
        page.push_str(&format!(
            "| {} | {} | {} of {} | {} |\n",
            cell(&keep::title(violation)),
            count(finding.few.count),
            finding.seed,
            cell(summary.scenario(finding.seed).scenario.name()),
            cell(&violation.witness)
        ));
    }
    let hidden = summary.outcome.violations.len() - summary.findings.len();
    if hidden > 0 {
        page.push_str(&format!("\nand {}\n", of(hidden as u64, ("rarer finding", "rarer findings"))));
    }
    let commands: String =
        summary.findings.iter().map(|finding| summary.command(finding.seed) + "\n").collect();
    if !commands.is_empty() {
        page.push_str(&format!("\nTo see them again:\n\n```sh\n{commands}```\n"));
    }
    for (title, message) in troubles(summary) {
        let (first, command) = message.split_once('\n').unwrap_or((&message, ""));
        let command = if command.is_empty() { String::new() } else { format!(": `{command}`") };
        page.push_str(&format!("\n- **{title}**: {}{command}", cell(first)));
    }
    page.trim_end().to_owned() + "\n\n"
}

/// Text that means nothing in Markdown, on one line.
fn cell(text: &str) -> String {
    let mut plain = String::new();
    for letter in text.chars() {
        match letter {
            '\n' | '\r' => plain.push(' '),
            '<' => plain.push_str("&lt;"),
            '&' => plain.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '\\' | '[' | ']' => plain.extend(['\\', letter]),
            _ => plain.push(letter),
        }
    }
    plain
}

/// Appends to the summary of the step. Where there is none, this says so.
pub(super) fn append_to_step_summary(page: &str) -> Result<(), String> {
    let Some(path) = env::var_os(STEP_SUMMARY).filter(|path| !path.is_empty()) else {
        text::remark(&format!("{STEP_SUMMARY} is not set: no summary of the step is written"));
        return Ok(());
    };
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let written = file.and_then(|mut file| file.write_all(page.as_bytes()));
    written.map_err(|error| format!("{}: cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_workflow_command_is_escaped() {
        assert_eq!(
            annotation("S9: a, b", "50 %\r\nnext: line"),
            "::error title=S9%3A a%2C b::50 %25%0D%0Anext: line\n"
        );
    }

    #[test]
    fn a_cell_of_a_table_stays_one() {
        assert_eq!(cell("a|b\n<c> [d]"), r"a\|b &lt;c> \[d\]");
    }
}
