//! Reading files of records.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::sweep::{Plan, Record};

use super::chain::{self, Chain};
use super::{FORMAT, Head, RecordsError, VERSION};

/// Reads a file of records, line by line.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    input: BufReader<File>,
    head: Head,
    plan: Plan,
    given: Vec<String>,
    /// The seed whose record must be next.
    next: Option<u64>,
    /// The checksum of the lines read.
    chain: Chain,
    /// Lines read.
    line: u64,
    /// Bytes of whole lines read.
    offset: u64,
    /// Whether the file ends in the middle of a line.
    is_cut: bool,
}

impl Reader {
    /// Opens the file at `path`. `workload` is what this program puts in the place of all scenarios' own.
    ///
    /// # Errors
    /// If there is none, or it was not written by this code in this format.
    pub fn open(path: &Path, workload: Option<&'static str>) -> Result<Self, RecordsError> {
        Self::open_if(path, workload, |_| Ok(()))
    }

    /// The same, if `check` has nothing against the head.
    pub(super) fn open_if(
        path: &Path,
        workload: Option<&'static str>,
        check: impl FnOnce(&Head) -> Result<(), String>,
    ) -> Result<Self, RecordsError> {
        let unreadable = |error| RecordsError::unreadable(path, &error);
        let mut input = BufReader::new(File::open(path).map_err(unreadable)?);
        let mut text = Vec::new();
        input.read_until(b'\n', &mut text).map_err(unreadable)?;
        let head = head(path, &text)?;
        let planned = check(&head).and_then(|()| head.plan(workload));
        let (plan, given) = planned.map_err(|what| RecordsError::at(path, what))?;
        let next = plan.first_from(plan.first);
        Ok(Self {
            path: path.to_owned(),
            input,
            head,
            plan,
            given,
            next,
            chain: Chain::new(&text),
            line: 1,
            offset: text.len() as u64,
            is_cut: false,
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The first line.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// The plan that the records follow, on one thread.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The names that the scenarios were given on the command line.
    #[must_use]
    pub fn given(&self) -> &[String] {
        &self.given
    }

    /// The line that was read last, from 1.
    #[must_use]
    pub const fn line(&self) -> u64 {
        self.line
    }

    /// The seed whose record is to come next: none if all are there.
    #[must_use]
    pub const fn expected(&self) -> Option<u64> {
        self.next
    }

    /// The checksum of the lines that were read.
    pub(super) const fn chain(&self) -> Chain {
        self.chain
    }

    /// How many bytes the whole lines take that were read.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the file was found to end in the middle of a line, which is then left out.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The next record; none at the end.
    ///
    /// # Errors
    /// If there is a line that is none, not the one that must follow, or not as it was written.
    pub fn next_record(&mut self) -> Result<Option<Record>, RecordsError> {
        let mut text = Vec::new();
        let read = self.input.read_until(b'\n', &mut text);
        read.map_err(|error| RecordsError::unreadable(&self.path, &error))?;
        if !text.ends_with(b"\n") {
            self.is_cut = !text.is_empty();
            return Ok(None);
        }
        self.line += 1;
        self.offset += text.len() as u64;
        let Some((text, checksum)) = chain::split(text.trim_ascii_end()) else {
            return Err(damaged(&self.path, self.line, "damaged: expected a run, and a checksum at its end"));
        };
        let record: Record = parse(&self.path, self.line, &text)?;
        self.check(&record)?;
        self.chain = self.chain.and(&text);
        self.chain.check(checksum).map_err(|what| damaged(&self.path, self.line, &what))?;
        self.next = self.plan.after(record.seed);
        Ok(Some(record))
    }

    fn check(&self, record: &Record) -> Result<(), RecordsError> {
        let problem = match self.next {
            None => format!("seed {}: expected the end of this part of the sweep", record.seed),
            Some(seed) if seed != record.seed => format!("seed {}: expected seed {seed}", record.seed),
            Some(seed) => {
                let expected = self.plan.scenarios[self.plan.scenario_of(seed)].name();
                if record.scenario == expected {
                    return Ok(());
                }
                format!("seed {seed} of {}: expected {expected}", record.scenario)
            }
        };
        Err(damaged(&self.path, self.line, &problem))
    }
}

fn damaged(path: &Path, line: u64, what: &str) -> RecordsError {
    RecordsError(format!("{}:{line}: {what}", path.display()))
}

fn parse<T: DeserializeOwned>(path: &Path, line: u64, text: &[u8]) -> Result<T, RecordsError> {
    serde_json::from_slice(text).map_err(|error| {
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or(&what);
        damaged(path, line, &format!("damaged at column {}: {what}", error.column()))
    })
}

fn head(path: &Path, text: &[u8]) -> Result<Head, RecordsError> {
    if text.is_empty() {
        return Err(RecordsError::at(path, "an empty file: expected a sweep's records"));
    }
    let value: Value = serde_json::from_slice(text).unwrap_or_default();
    if value.get("format").and_then(Value::as_str) != Some(FORMAT) {
        let what = format!("no sweep's records: expected a first line with \"format\":\"{FORMAT}\"");
        return Err(RecordsError::at(path, what));
    }
    match value.get("version").and_then(Value::as_u64) {
        Some(version) if version != u64::from(VERSION) => {
            let age = if version > u64::from(VERSION) { "newer" } else { "older" };
            let what = format!("written by {age} code: records version {version}, expected {VERSION}");
            Err(RecordsError::at(path, what))
        }
        _ => parse(path, 1, text),
    }
}
