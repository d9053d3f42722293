//! Keeping failures: the traces of failing runs, and the commands that show them again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::bugs::Bug;
use crate::check::Violation;
use crate::registry;
use crate::run::Report;
use crate::setup::Setup;
use crate::shrink::{Limits, Shrunk, Size, Unshrinkable, shrink};
use crate::trace::Trace;

use super::text::{self, BAD, count, line, seconds, styled, word};

/// Where the traces of failing runs are put.
pub(crate) const FOLDER: &str = "failures";

/// A run that was made again to record it.
#[derive(Debug)]
pub(crate) enum Kept {
    /// It is in the file.
    Written(PathBuf),
    /// It came out differently: there is something in it that does not follow from the seed.
    Unequal(Box<Report>),
    /// It could not be recorded or written.
    Failed(String),
}

impl Kept {
    /// The file, if it was written.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Written(path) => Some(path),
            Self::Unequal(_) | Self::Failed(_) => None,
        }
    }
}

/// The file in `folder` that is made for a failing run.
pub(crate) fn default_path(folder: &Path, scenario: &str, seed: u64) -> PathBuf {
    folder.join(format!("{scenario}-{seed}.trace.jsonl"))
}

/// Makes a run again, records it, and writes the trace to `path`. `digest` is what the first run gave.
pub(crate) fn keep(setup: &Arc<Setup>, bug: Option<&'static Bug>, digest: u64, path: &Path) -> Kept {
    let (report, trace) = match registry::record(setup, bug) {
        Ok(recorded) => recorded,
        Err(error) => return Kept::Failed(error.to_string()),
    };
    if report.digest != digest {
        return Kept::Unequal(Box::new(report));
    }
    match write(&trace, path) {
        Ok(()) => Kept::Written(path.to_owned()),
        Err(error) => Kept::Failed(format!("{}: {error}", path.display())),
    }
}

/// Writes a trace, and makes the folder that it is to be in.
pub(crate) fn write(trace: &Trace, path: &Path) -> Result<(), String> {
    trace.write(path).map_err(|error| format!("cannot be written: {error}"))
}

// ---- Making them small -------------------------------------------------------------------------------

/// What may be spent on a trace that is shrunk without being asked for, in steps: some seconds.
const STEPS: u64 = 5_000_000;
/// How long shrinking may take altogether where nobody asked for it.
pub(crate) const TIME: Duration = Duration::from_secs(30);

/// The smallest trace of a finding.
#[derive(Clone, Debug)]
pub(crate) struct Small {
    /// The seed that it comes from.
    pub(crate) seed: u64,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The size of the run that it comes from.
    pub(crate) before: Size,
    /// Its own size.
    pub(crate) after: Size,
    /// Whether no single decision can be taken out.
    pub(crate) is_minimal: bool,
}

/// What came of looking for a finding's smallest trace.
#[derive(Clone, Debug)]
pub(crate) enum Smallest {
    /// It was not looked for, or cannot be had.
    None,
    /// There was no time to look for it.
    OutOfTime,
    /// This is it.
    Found(Small),
}

impl Smallest {
    /// The trace, if there is one.
    pub(crate) const fn found(&self) -> Option<&Small> {
        match self {
            Self::Found(small) => Some(small),
            Self::None | Self::OutOfTime => None,
        }
    }
}

/// What a finding's smallest trace is as JSON.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct JsonSmall {
    /// Where it is.
    trace: String,
    /// The seed of the run that it comes from.
    seed: u64,
    /// The decisions of that run.
    decisions_before: usize,
    /// Its own decisions.
    decisions: usize,
    /// Its steps.
    steps: u64,
    /// Whether no single decision can be taken out.
    minimal: bool,
}

impl Small {
    /// As JSON.
    pub(crate) fn json(&self) -> JsonSmall {
        JsonSmall {
            trace: self.path.display().to_string(),
            seed: self.seed,
            decisions_before: self.before.decisions,
            decisions: self.after.decisions,
            steps: self.after.steps,
            minimal: self.is_minimal,
        }
    }

    fn describe(&self, seed: u64) -> String {
        let (before, after) = (count(self.before.decisions as u64), count(self.after.decisions as u64));
        let noun = if self.before.decisions == 1 { "decision" } else { "decisions" };
        let from = if self.seed == seed { String::new() } else { format!(" (those of seed {})", self.seed) };
        let left =
            if self.is_minimal { String::new() } else { format!(", not yet minimal: {}", go_on(&self.path)) };
        format!("{before} {noun}{from} to {after}{left}")
    }
}

/// The command that goes on with making a trace small.
fn go_on(path: &Path) -> String {
    format!("sim shrink {} --time 5m", word(&path.display().to_string()))
}

/// Where the shrunk form of a trace is put: beside it.
pub(crate) fn shrunk_path(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (stem, ending) = name.split_once(".trace.").or_else(|| name.rsplit_once('.')).unwrap_or((&name, ""));
    let ending = match (name.contains(".trace."), ending) {
        (true, ending) => format!(".trace.{ending}"),
        (false, "") => String::new(),
        (false, ending) => format!(".{ending}"),
    };
    let stem = stem.strip_suffix(".shrunk").unwrap_or(stem);
    path.with_file_name(format!("{stem}.shrunk{ending}"))
}

/// Shrinks a trace while somebody is looking on.
pub(crate) fn watched(trace: &Trace, limits: &Limits<'_>) -> Result<Shrunk, Unshrinkable> {
    let bar = ProgressBar::new_spinner().with_style(
        ProgressStyle::with_template("{spinner} shrinking: {msg}").expect("the template is valid"),
    );
    let before = count(trace.decisions.len() as u64);
    let shrunk = shrink(trace, limits, &mut |progress| {
        let (left, candidates) = (count(progress.decisions as u64), count(progress.candidates));
        bar.set_message(format!("{before} decisions to {left} so far, {candidates} runs"));
        bar.tick();
    });
    bar.finish_and_clear();
    shrunk
}

/// Shrinks the run of a setup with nobody looking on, within the bounds for what nobody asked for. `None` if
/// it cannot be done.
pub(crate) fn shrink_run(
    setup: &Arc<Setup>,
    bug: Option<&'static Bug>,
    stop: &dyn Fn() -> bool,
) -> Option<Shrunk> {
    let (_, trace) = registry::record(setup, bug).ok()?;
    shrink(&trace, &Limits { steps: STEPS, stop }, &mut |_| {}).ok()
}

/// Shrinks the run of a setup within the same bounds, while somebody is looking on, and keeps the result
/// beside `path`.
pub(crate) fn keep_small(
    setup: &Arc<Setup>,
    bug: Option<&'static Bug>,
    path: &Path,
    stop: &dyn Fn() -> bool,
) -> Smallest {
    let recorded = registry::record(setup, bug).ok();
    let shrunk = recorded.and_then(|(_, trace)| watched(&trace, &Limits { steps: STEPS, stop }).ok());
    shrunk.map_or(Smallest::None, |shrunk| write_small(setup.seed, shrunk, path))
}

/// Keeps what the run of `seed`, which is recorded at `path`, was shrunk to.
pub(crate) fn write_small(seed: u64, shrunk: Shrunk, path: &Path) -> Smallest {
    let path = shrunk_path(path);
    let Shrunk { trace, before, after, is_minimal, .. } = shrunk;
    if let Err(error) = write(&trace, &path) {
        text::complain(&format!("{}: {error}", path.display()));
        return Smallest::None;
    }
    Smallest::Found(Small { seed, path, before, after, is_minimal })
}

// ---- Telling -----------------------------------------------------------------------------------------

/// What was violated, and in what way.
pub(crate) fn title(violation: &Violation) -> String {
    let Violation { property, kind, .. } = violation;
    format!("{property:?} {}: {kind}", property.title())
}

/// The headline of a violation.
pub(crate) fn headline(violation: &Violation) -> String {
    format!("{} {}", styled(BAD, "VIOLATED"), title(violation))
}

/// When a violation was seen.
pub(crate) fn moment(violation: &Violation) -> String {
    format!("step {}, at {} of virtual time", count(violation.step), seconds(violation.time))
}

/// Says how to replay a trace and how to look at it, or why there is none.
pub(crate) fn commands(page: &mut String, kept: &Kept, small: &Smallest, seed: u64, run_again: &str) {
    let mut show = |path: &Path| {
        let path = word(&path.display().to_string());
        line(page, "  replay", &format!("sim replay {path}"));
        line(page, "  show", &format!("sim trace show {path}"));
    };
    match (kept, small) {
        (Kept::Written(path), Smallest::Found(small)) => {
            show(&small.path);
            line(page, "  shrunk", &small.describe(seed));
            line(page, "  in full", &format!("sim replay {}", word(&path.display().to_string())));
        }
        (Kept::Written(path), Smallest::OutOfTime) => {
            show(path);
            line(page, "  shrunk", &format!("not yet, there was no time: {}", go_on(path)));
        }
        (Kept::Written(path), Smallest::None) => show(path),
        (Kept::Unequal(_), _) => {
            line(page, "  no trace", "the run came out differently when it was recorded")
        }
        (Kept::Failed(why), _) => line(page, "  no trace", why),
    }
    line(page, "  run again", run_again);
}

/// Says on stderr where two runs of one seed part, if they do.
pub(crate) fn complain_if_unequal(kept: &Kept, scenario: &str, seed: u64, digest: u64) -> bool {
    let Kept::Unequal(report) = kept else { return false };
    text::complain(&format!(
        "seed {seed} of {scenario} gave two results: digest {digest:016x}, then {:016x}",
        report.digest
    ));
    true
}
