//! Files that are written whole or not at all.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process;

/// Writes what `content` says to `path`, and makes the folders that it needs.
///
/// A file goes through a temporary one beside it, so that what is there is the old or the new one, whole. A link
/// stays, and what it leads to is replaced. What is no file (a pipe, a terminal, `/dev/stdout`) is written to.
///
/// # Errors
/// Whatever writing may fail with; then nothing has changed, unless it was no file.
pub(crate) fn write(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let through = |file: File| {
        let mut out = BufWriter::new(file);
        content(&mut out)?;
        out.flush()
    };
    match fs::metadata(path) {
        Ok(there) if is_shared(path, &there) => OpenOptions::new().append(true).open(path).and_then(through),
        Ok(_) => replace(&fs::canonicalize(path)?, through),
        Err(_) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            folder.map_or(Ok(()), fs::create_dir_all)?;
            replace(path, through)
        }
    }
}

/// Whether others may write there too: what is no file; and `/dev/stdout`, which may be one.
fn is_shared(path: &Path, there: &Metadata) -> bool {
    !there.is_file() || path.starts_with("/dev") || path.starts_with("/proc")
}

/// Sees whether [`write`] could put a file at `path`, in a folder that there is. What is no file is not touched.
///
/// # Errors
/// Whatever making a file there fails with.
pub(crate) fn try_out(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(there) if is_shared(path, &there) => Ok(()),
        Ok(_) => try_out_beside(&fs::canonicalize(path)?),
        Err(_) => try_out_beside(path),
    }
}

fn try_out_beside(path: &Path) -> io::Result<()> {
    let temporary = temporary(path);
    File::create(&temporary).and_then(|_| fs::remove_file(temporary))
}

/// Where a file is written until it is whole.
fn temporary(path: &Path) -> PathBuf {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", process::id()));
    PathBuf::from(temporary)
}

fn replace(path: &Path, write: impl FnOnce(File) -> io::Result<()>) -> io::Result<()> {
    let temporary = temporary(path);
    File::create(&temporary)
        .and_then(write)
        .and_then(|()| fs::rename(&temporary, path))
        .inspect_err(|_| _ = fs::remove_file(&temporary))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;
    use std::thread;

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("whole-file-{}-{name}", process::id()));
        fs::create_dir_all(&folder).expect("writable");
        folder
    }

    fn put(path: &Path, text: &str) -> io::Result<()> {
        write(path, |out| out.write_all(text.as_bytes()))
    }

    #[test]
    fn a_file_is_replaced_and_its_folder_made() {
        let folder = scratch("plain");
        let path = folder.join("deep/er/file");
        for text in ["one", "two"] {
            put(&path, text).expect("written");
            assert_eq!(fs::read_to_string(&path).expect("there"), text);
        }
        assert_eq!(fs::read_dir(folder.join("deep/er")).expect("there").count(), 1, "nothing is left over");
        fs::remove_dir_all(folder).expect("there");
    }

    #[test]
    fn what_was_there_stays_if_writing_fails() {
        let folder = scratch("failing");
        let path = folder.join("file");
        put(&path, "old").expect("written");
        write(&path, |out| out.write_all(b"new").and(Err(io::ErrorKind::Other.into())))
            .expect_err("it fails");
        assert_eq!(fs::read_to_string(&path).expect("there"), "old");
        assert_eq!(fs::read_dir(&folder).expect("there").count(), 1, "nothing is left over");
        fs::remove_dir_all(folder).expect("there");
    }

    #[test]
    fn to_try_out_leaves_everything_as_it_is() {
        let folder = scratch("trying");
        let path = folder.join("file");
        try_out(&path).expect("there could be one");
        assert_eq!(fs::read_dir(&folder).expect("there").count(), 0);
        put(&path, "old").expect("written");
        try_out(&path).expect("it could be replaced");
        assert_eq!(fs::read_to_string(&path).expect("there"), "old");
        try_out(&folder.join("none/file")).expect_err("there is no such folder");
        assert_eq!(fs::read_dir(&folder).expect("there").count(), 1, "nothing is made");
        fs::remove_dir_all(folder).expect("there");
    }

    #[test]
    fn a_link_stays_one() {
        let folder = scratch("link");
        let (path, link) = (folder.join("file"), folder.join("link"));
        put(&path, "old").expect("written");
        symlink(&path, &link).expect("made");
        put(&link, "new").expect("written");
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(fs::read_to_string(&path).expect("there"), "new");
        fs::remove_dir_all(folder).expect("there");
    }

    /// A pipe, as `>(cmd)` makes one in a shell.
    #[test]
    fn what_is_no_file_is_written_to() {
        let (mut reader, writer) = io::pipe().expect("made");
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
        let reading = thread::spawn(move || {
            let mut text = String::new();
            io::Read::read_to_string(&mut reader, &mut text).map(|_| text)
        });
        put(Path::new(&path), "through").expect("written");
        drop(writer);
        assert_eq!(reading.join().expect("it does not panic").expect("read"), "through");
    }
}
