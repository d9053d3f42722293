//! Digests the sources, so that results can say which code they come from: also in a tree with uncommitted
//! changes, without git, and the same in every profile and on every machine.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

#[path = "src/digest.rs"]
#[expect(unreachable_pub, reason = "the library is what makes it public")]
mod digest;

/// What runs follow from, seen from this folder.
const SOURCES: [&str; 5] = ["Cargo.toml", "src", "../vr/Cargo.toml", "../vr/src", "../scenarios"];

fn main() -> io::Result<()> {
    let mut code = digest::of("sources");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
        let mut files = Vec::new();
        collect(Path::new(source), &mut files)?;
        files.sort();
        for file in files {
            let text = fs::read_to_string(&file)?;
            // Neither the separator of paths nor that of lines may tell one machine from another.
            let name = file.to_string_lossy().replace('\\', "/");
            code = digest::mix(code, digest::of(&(name, text.replace("\r\n", "\n"))));
        }
    }
    println!("cargo::rustc-env=SIM_CODE_DIGEST={code:016x}");
    Ok(())
}

/// All sources at `path`, which is a file or a folder.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        // An editor's backup is no source.
        let is_source =
            path.extension().is_some_and(|kind| ["rs", "json", "toml"].map(Some).contains(&kind.to_str()));
        files.extend(is_source.then(|| path.to_owned()));
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}
