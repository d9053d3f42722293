//! Writing files of records.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use crate::sweep::{Plan, Record};

use super::chain::Chain;
use super::{Head, Reader, RecordsError};

/// A file of records that is being written.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
    /// The checksum of the lines so far.
    chain: Chain,
}

impl Writer {
    /// Begins the file of a sweep. One that is there is left alone: what took hours is not lost to a slip.
    ///
    /// # Errors
    /// If there is a file, or none can be written.
    pub fn create(path: &Path, head: &Head) -> Result<Self, RecordsError> {
        let unwritable = |error| RecordsError::unwritable(path, &error);
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(unwritable)?;
        }
        let file = match OpenOptions::new().append(true).create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let what = "is there already: expected no file, or --resume to go on with it";
                return Err(RecordsError::at(path, what));
            }
            file => file.map_err(unwritable)?,
        };
        let line = head.line();
        let mut writer = Self { path: path.to_owned(), file, chain: Chain::new(line.as_bytes()) };
        writer.write(&line)?;
        Ok(writer)
    }

    /// Goes on with the file of the sweep that `plan` and `head` describe, or begins one if there is none.
    /// `done` is given each record that is there. The seed to go on with comes along: none if nothing is
    /// left to do. A last line that is cut is removed.
    ///
    /// # Errors
    /// If the file is no valid one of this very sweep, was altered or damaged, or cannot be written.
    pub fn resume(
        path: &Path,
        plan: &Plan,
        head: &Head,
        done: &mut dyn FnMut(&Record),
    ) -> Result<(Self, Option<u64>), RecordsError> {
        if !has_begun(path, head)? {
            return Ok((Self::create(path, head)?, plan.first_from(plan.first)));
        }
        let mut reader = Reader::open_if(path, plan.overrides.workload, |found| is_same_part(head, found))?;
        while let Some(record) = reader.next_record()? {
            done(&record);
        }
        let file = OpenOptions::new().append(true).open(path);
        let file = file.and_then(|file| file.set_len(reader.offset()).map(|()| file));
        let file = file.map_err(|error| RecordsError::unwritable(path, &error))?;
        Ok((Self { path: path.to_owned(), file, chain: reader.chain() }, reader.expected()))
    }

    /// Appends a record. It is handed to the operating system at once: killing this process loses nothing
    /// of it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&mut self, record: &Record) -> Result<(), RecordsError> {
        let record = serde_json::to_string(record).expect("a record can be written");
        self.chain = self.chain.and(record.as_bytes());
        self.write(&self.chain.line(&record))
    }

    fn write(&mut self, line: &str) -> Result<(), RecordsError> {
        self.file.write_all(line.as_bytes()).map_err(|error| RecordsError::unwritable(&self.path, &error))
    }
}

/// Whether there is a file with more than a beginning of its head; one without is removed.
fn has_begun(path: &Path, head: &Head) -> Result<bool, RecordsError> {
    let unreadable = |error| RecordsError::unreadable(path, &error);
    let mut text = Vec::new();
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => BufReader::new(file.map_err(unreadable)?).read_until(b'\n', &mut text).map_err(unreadable)?,
    };
    let is_cut = !text.ends_with(b"\n") && head.line().as_bytes().starts_with(&text);
    if is_cut {
        fs::remove_file(path).map_err(unreadable)?;
    }
    Ok(!is_cut)
}

fn is_same_part(head: &Head, found: &Head) -> Result<(), String> {
    let shard = (head.shard != found.shard).then(|| format!("shard is {}, not {}", found.shard, head.shard));
    let difference = head.difference(found).or(shard);
    difference.map_or(Ok(()), |difference| Err(format!("holds the records of another sweep: {difference}")))
}
