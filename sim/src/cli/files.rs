//! Writing results to files.

use std::path::Path;

use super::exit::Exit;
use super::text::{complain, remark, word};
use crate::history::record::{Export, to_lines};
use crate::setup::Setup;
use crate::whole_file;

/// Why the file that `flag` asks for cannot be written to `path`, as far as can be seen before the run.
pub(crate) fn no_place(flag: &str, path: &Path) -> Option<String> {
    // Folders that are missing are made; what is in their place must not be a file.
    let above = path.ancestors().skip(1).find(|folder| folder.exists());
    if path.is_dir() {
        return Some(format!("{flag} {}: this is a folder: expected a file", path.display()));
    }
    let file = above.filter(|above| !above.is_dir())?;
    Some(format!("{flag} {}: {} is no folder", path.display(), file.display()))
}

/// The same for a file whose folder must be there: one that is mistyped is not to be made, and what cannot be written
/// is better known before a long run than after it.
pub(crate) fn unwritable(flag: &str, path: &Path) -> Option<String> {
    if let Some(problem) = no_place(flag, path) {
        return Some(problem);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    let missing = folder.map(|folder| format!("there is no folder {}", folder.display()));
    let failed = || whole_file::try_out(path).err().map(|error| format!("cannot be written: {error}"));
    missing.or_else(failed).map(|problem| format!("{flag} {}: {problem}", path.display()))
}

/// Writes the history of a run, and says how it is checked.
pub(crate) fn export(path: &Path, setup: &Setup, history: Option<&Export>) -> Result<(), Exit> {
    let Some(Export { model, records }) = history else {
        complain(&if setup.groups.is_empty() {
            format!("--history: the workload {} fits no model of `sim check`", setup.workload)
        } else {
            format!(
                "--history: {} groups have a history each: expected a run of one group",
                setup.groups.len()
            )
        });
        return Err(Exit::Usage);
    };
    if let Err(problem) = replace(path, to_lines(records).as_bytes()) {
        complain(&problem);
        return Err(Exit::Usage);
    }
    let path = word(&path.display().to_string());
    remark(&format!("history: sim check {path} --model {}", model.name()));
    Ok(())
}

/// Writes a file, with the folders that it needs, whole or not at all.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), String> {
    whole_file::write(path, |out| out.write_all(content))
        .map_err(|error| format!("{}: cannot be written: {error}", path.display()))
}
