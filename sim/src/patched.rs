//! Planted bugs that are source patches: each is applied to a copy of the sources, built, and hunted there.
//!
//! One copy serves for all: a patch is applied, the copy is built, the patch is taken back. So the compiler
//! goes on from what it had, which a copy for each would not allow; the result is kept in `target/patched`
//! from one self test to the next.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io, process};

use serde_json::Value;

use crate::bugs::patches::Patch;
use crate::selftest::{STRIDE, by_frequency, median};

/// What came of hunting one of them from one start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Found by a check that may find it: by which, and after how many seeds.
    Found(String, u64),
    /// Found by a check from which it was not expected.
    FoundByAnother(String, u64),
    /// Nothing complained.
    Unfound,
}

/// The sources that this program was built from, if they are still there and cargo is at hand.
#[must_use]
pub fn checkout() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let has_sources = root.join("vr/src/rules.rs").is_file() && root.join("Cargo.lock").is_file();
    let cargo = Command::new("cargo").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    (has_sources && cargo.is_ok_and(|status| status.success())).then(|| root.to_owned())
}

/// A copy of the sources that is removed in the end.
#[derive(Debug)]
pub struct Copy {
    folder: PathBuf,
    target: PathBuf,
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Copy {
    /// Copies what is needed to build from `root`.
    ///
    /// # Errors
    /// If something cannot be read or written.
    pub fn of(root: &Path) -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("sim-patched-{}", process::id()));
        let copy = Self { folder, target: root.join("target/patched") };
        for name in ["Cargo.toml", "Cargo.lock", "vr", "sim", "scenarios"] {
            copy_tree(&root.join(name), &copy.folder.join(name))?;
        }
        Ok(copy)
    }

    /// Applies the patch, hunts it from each start, and takes it back.
    ///
    /// # Errors
    /// If it cannot be applied, built or run.
    pub fn hunt(&self, patch: &Patch, first: u64, starts: u64) -> Result<Vec<Ending>, String> {
        let files = self.apply(patch.diff)?;
        let starts = (0..starts).map(|start| first.wrapping_add(start * STRIDE));
        let endings = self.build().and_then(|()| starts.map(|start| self.sweep(patch, start)).collect());
        for (path, original) in files {
            fs::write(&path, original).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        endings
    }

    /// Returns the files that were changed, with their texts before.
    fn apply(&self, diff: &str) -> Result<Vec<(PathBuf, String)>, String> {
        let mut originals = Vec::new();
        for file in parse(diff)? {
            let path = self.folder.join(&file.path);
            let original = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", file.path))?;
            fs::write(&path, file.applied_to(&original)?)
                .map_err(|error| format!("{}: {error}", file.path))?;
            originals.push((path, original));
        }
        Ok(originals)
    }

    fn build(&self) -> Result<(), String> {
        // Quick to build rather than quick to run: these bugs are found within a few runs.
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--quiet", "-p", "sim", "--bin", "sim"]).current_dir(&self.folder);
        cargo.env("CARGO_TARGET_DIR", &self.target).env("CARGO_INCREMENTAL", "1");
        cargo.env("CARGO_PROFILE_DEV_OPT_LEVEL", "0").env("CARGO_PROFILE_DEV_DEBUG", "0");
        let output = cargo.output().map_err(|error| format!("cargo: {error}"))?;
        let first_error = || {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            text.lines().find(|line| line.starts_with("error")).unwrap_or("cargo build failed").to_owned()
        };
        if output.status.success() { Ok(()) } else { Err(first_error()) }
    }

    fn sweep(&self, patch: &Patch, first: u64) -> Result<Ending, String> {
        let mut sim = Command::new(self.target.join("debug/sim"));
        sim.args(["sweep", "--json", "--no-shrink", "--recheck", "0", "--scenario", patch.scenario]);
        sim.args(["--seeds", &format!("{first}..{}", first + patch.seeds)]).current_dir(&self.folder);
        let output = sim.output().map_err(|error| format!("the patched sim: {error}"))?;
        let summary: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("the patched sim printed no summary: {error}"))?;
        Ok(ending(patch, first, &summary))
    }
}

/// What the summary of a sweep says: the finding with the lowest seed counts.
fn ending(patch: &Patch, begun: u64, summary: &Value) -> Ending {
    let findings = summary["findings"].as_array().map_or(&[][..], Vec::as_slice);
    let first = findings.iter().filter_map(|finding| {
        let property = finding["signature"].as_str()?.split(':').next()?.to_owned();
        Some((finding["seeds"][0].as_u64()?, property))
    });
    match first.min() {
        None => Ending::Unfound,
        Some((seed, property)) if patch.caught_by.iter().any(|known| format!("{known:?}") == property) => {
            Ending::Found(property, seed - begun + 1)
        }
        Some((seed, property)) => Ending::FoundByAnother(property, seed - begun + 1),
    }
}

/// Hunts all of them. Returns what is to be printed and whether all were found from every start.
///
/// # Errors
/// If there are no sources or no cargo, or the sources cannot be copied.
pub fn hunt_all(
    patches: &[Patch],
    first: u64,
    starts: u64,
    over: &dyn Fn(&str),
) -> Result<(String, bool), String> {
    let root = checkout().ok_or("source patches need the sources of this program, and cargo")?;
    let copy = Copy::of(&root).map_err(|error| format!("the sources cannot be copied: {error}"))?;
    let mut text = String::new();
    let mut all = 0;
    for patch in patches {
        let told = match copy.hunt(patch, first, starts) {
            Ok(endings) => {
                all += usize::from(endings.iter().all(|ending| matches!(ending, Ending::Found(..))));
                told(&endings)
            }
            Err(why) => format!("failed: {why}"),
        };
        let _ = writeln!(text, "{:<6}  {told}  {}", patch.name, patch.what);
        over(patch.name);
    }
    let _ = writeln!(text, "\n{all} of {} source patches found from each of {starts} starts", patches.len());
    Ok((text, all == patches.len()))
}

/// How often it was found, after how many seeds in the median, and by which checks.
fn told(endings: &[Ending]) -> String {
    let found = endings.iter().filter(|ending| matches!(ending, Ending::Found(..))).count();
    let seeds = median(endings.iter().map(|ending| match ending {
        Ending::Found(_, seeds) | Ending::FoundByAnother(_, seeds) => Some(*seeds),
        Ending::Unfound => None,
    }));
    let by = by_frequency(endings.iter().filter_map(|ending| match ending {
        Ending::Found(property, _) => Some(property.clone()),
        Ending::FoundByAnother(property, _) => Some(format!("{property} (unexpected)")),
        Ending::Unfound => None,
    }));
    let by: Vec<_> = by.into_iter().map(|(property, _)| property).collect();
    let seeds = seeds.map_or("-".to_owned(), |seeds| seeds.to_string());
    format!("{found}/{}  {seeds:>5}  {:<8}", endings.len(), by.join(", "))
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy_tree(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to).map(drop)
}

// ---- Unified diffs -----------------------------------------------------------------------------------

/// The changes of one file: what is there, and what shall be.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    path: String,
    hunks: Vec<(String, String)>,
}

/// Reads a unified diff. Line numbers are not looked at: what a hunk removes, with its context, must be there
/// exactly once.
fn parse(diff: &str) -> Result<Vec<Change>, String> {
    let mut changes: Vec<Change> = Vec::new();
    for line in diff.split_inclusive('\n') {
        if let Some(path) = line.strip_prefix("+++ b/") {
            changes.push(Change { path: path.trim_end().to_owned(), hunks: Vec::new() });
            continue;
        }
        if line.starts_with("--- ") {
            continue;
        }
        let change =
            changes.last_mut().ok_or_else(|| format!("no file is named before `{}`", line.trim_end()))?;
        if line.starts_with("@@") {
            change.hunks.push((String::new(), String::new()));
            continue;
        }
        let (old, new) = change.hunks.last_mut().ok_or("a line before the first hunk")?;
        match line.split_at_checked(1) {
            Some((" ", text)) => {
                old.push_str(text);
                new.push_str(text);
            }
            Some(("-", text)) => old.push_str(text),
            Some(("+", text)) => new.push_str(text),
            _ => return Err(format!("`{}` is no line of a diff", line.trim_end())),
        }
    }
    Ok(changes)
}

impl Change {
    fn applied_to(&self, text: &str) -> Result<String, String> {
        let mut text = text.to_owned();
        for (old, new) in &self.hunks {
            let times = text.matches(old.as_str()).count();
            if times != 1 {
                return Err(format!("{}: a hunk fits in {times} places, not in one", self.path));
            }
            text = text.replacen(old.as_str(), new, 1);
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bugs::patches::PATCHES;

    #[test]
    fn every_patch_fits_the_sources() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
        for patch in PATCHES {
            let changes = parse(patch.diff).expect(patch.name);
            assert!(!changes.is_empty(), "{}", patch.name);
            for change in changes {
                let text = fs::read_to_string(root.join(&change.path)).expect(patch.name);
                assert_ne!(change.applied_to(&text).expect(patch.name), text);
            }
        }
    }

    #[test]
    fn a_hunk_that_fits_nowhere_or_twice_is_refused() {
        let diff = "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n";
        let change = &parse(diff).unwrap()[0];
        assert_eq!(change.applied_to("x\na\n"), Ok("x\nb\n".to_owned()));
        assert_eq!(change.applied_to("x\n"), Err("f: a hunk fits in 0 places, not in one".to_owned()));
        assert_eq!(change.applied_to("a\na\n"), Err("f: a hunk fits in 2 places, not in one".to_owned()));
        assert!(parse("-a\n").is_err());
    }

    #[test]
    fn the_lowest_seed_of_a_summary_counts() {
        let patch = PATCHES[0];
        let finding =
            |signature: &str, seed: u64| serde_json::json!({"signature": signature, "seeds": [seed]});
        let summary = serde_json::json!({"findings": [finding("L1:x", 7), finding("S5:y", 3)]});
        assert_eq!(ending(&patch, 1, &summary), Ending::Found("S5".to_owned(), 3));
        let summary = serde_json::json!({"findings": [finding("L1:x", 1), finding("S5:y", 3)]});
        assert_eq!(ending(&patch, 1, &summary), Ending::FoundByAnother("L1".to_owned(), 1));
        assert_eq!(ending(&patch, 1, &serde_json::json!({"findings": []})), Ending::Unfound);
    }
}
