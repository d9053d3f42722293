//! Keeping failures: the traces of failing runs, and the commands that show them again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bugs::Bug;
use crate::check::Violation;
use crate::registry;
use crate::run::Report;
use crate::setup::Setup;
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
    write(&trace, path)
}

/// Writes a trace to `path`, in a folder that need not be there yet.
pub(crate) fn write(trace: &Trace, path: &Path) -> Kept {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder.map_or(Ok(()), fs::create_dir_all).and_then(|()| trace.write(path)) {
        Ok(()) => Kept::Written(path.to_owned()),
        Err(error) => Kept::Failed(format!("{}: cannot be written: {error}", path.display())),
    }
}

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
pub(crate) fn commands(page: &mut String, kept: &Kept, run_again: &str) {
    match kept {
        Kept::Written(path) => {
            let path = word(&path.display().to_string());
            line(page, "  replay", &format!("sim replay {path}"));
            line(page, "  show", &format!("sim trace show {path}"));
        }
        Kept::Unequal(_) => line(page, "  no trace", "the run came out differently when it was recorded"),
        Kept::Failed(why) => line(page, "  no trace", why),
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
