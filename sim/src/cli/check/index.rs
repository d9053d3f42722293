//! Lists of histories with known verdicts: an `index.json` as it lies beside them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;

use crate::history::value::Atom;
use crate::history::{Judgement, ModelName, Subject, words};

use super::super::exit::Exit;
use super::super::text::{BAD, DOUBTFUL, GOOD, complain, print, styled};
use super::CheckArgs;

/// A history of a list. What else the list says of it is for readers.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Listed {
    /// The file, from the folder of the list.
    file: PathBuf,
    /// What it is about.
    pub(super) model: ModelName,
    /// What that starts as, if the list says so.
    #[serde(default, deserialize_with = "present")]
    pub(super) init: Option<Atom>,
    /// The known verdict.
    linearizable: Option<bool>,
}

/// Null is an initial value, too.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Atom>, D::Error> {
    Atom::deserialize(deserializer).map(Some)
}

/// What an `index.json` in the folder of a history says of it.
pub(super) fn beside(history: &Path) -> Option<Listed> {
    let folder = history.parent()?;
    let listed = read(&folder.join("index.json")).ok()?;
    listed.into_iter().find(|listed| folder.join(&listed.file) == history)
}

fn read(index: &Path) -> Result<Vec<Listed>, String> {
    let text =
        fs::read_to_string(index).map_err(|error| format!("{}: cannot be read: {error}", index.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", index.display()))
}

/// Checks every history of a list: 0 if all have the verdict that it says, 1 if one has another, 3 if one is
/// uncertain; 2 if one cannot be read, which does not keep the others from being checked.
pub(super) fn run(args: &CheckArgs, index: &Path) -> Result<Exit, String> {
    let folder = index.parent().unwrap_or(Path::new(""));
    let all = read(index)?;
    if all.is_empty() {
        complain(&format!("{}: no history is listed", index.display()));
        return Ok(Exit::NothingRun);
    }
    let (mut wrong, mut uncertain, mut unread) = (0, 0, 0);
    let mut page = String::new();
    for listed in &all {
        let path = folder.join(&listed.file);
        let init = listed.init.clone().unwrap_or_else(|| listed.model.default_init());
        let subject = Subject { init, ..Subject::new(listed.model) };
        let case = match super::judge(args, &path, &subject) {
            Ok(case) => case,
            Err(problem) => {
                complain(&problem);
                unread += 1;
                continue;
            }
        };
        let is_linearizable = match case.judgement {
            Judgement::Linearizable(_) => Some(true),
            Judgement::NotLinearizable(_) => Some(false),
            Judgement::GaveUp { .. } => None,
        };
        let is_wrong = is_linearizable.zip(listed.linearizable).is_some_and(|(found, known)| found != known);
        wrong += usize::from(is_wrong);
        uncertain += usize::from(is_linearizable.is_none());
        if args.json {
            let object = json!({
                "history": path.display().to_string(),
                "model": listed.model.name(),
                "verdict": words::verdict(&case.judgement).replace(' ', "-"),
                "expected": listed.linearizable,
                "operations": case.history.entries.len(),
            });
            writeln!(page, "{object}").expect("strings take everything");
            continue;
        }
        let (style, word) = match () {
            () if is_wrong => (BAD, "WRONG"),
            () if is_linearizable.is_none() => (DOUBTFUL, "unsure"),
            () => (GOOD, "ok"),
        };
        let mark = styled(style, &format!("{word:6}"));
        let verdict = words::verdict(&case.judgement);
        writeln!(page, "{mark} {verdict:16} {:9} {}", listed.model.name(), listed.file.display())
            .expect("strings take everything");
    }
    if !args.json {
        let right = all.len() - wrong - uncertain - unread;
        let unread = if unread == 0 { String::new() } else { format!(", {unread} that cannot be read") };
        writeln!(
            page,
            "{right} of {} as listed, {wrong} otherwise, {uncertain} uncertain{unread}",
            all.len()
        )
        .expect("strings take everything");
    }
    if unread > 0 {
        print(&page, Exit::Usage);
        return Ok(Exit::Usage);
    }
    let exit = Exit::gravest(&[(wrong > 0, Exit::Violated), (uncertain > 0, Exit::Inconclusive)]);
    Ok(print(&page, exit))
}
