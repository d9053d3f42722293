//! Traces: runs in files.
//!
//! A trace is JSON lines. The first line is the head: what a replay must show, the setup, the planted bug
//! if there is one. Then come the decisions, one a line, each addressed by what it is rather than by its
//! place, so that they mean the same to changed code. Then the digests after each step, for an exact
//! replay. The last line counts the lines before, so that a truncated file is recognised.

use std::convert::Infallible;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::check::Violation;
use crate::client_slot::Way;
use crate::decisions::{Decisions, Done, Healed, Made};
use crate::faults::Action;
use crate::network::Fate;
use crate::node::Node;
use crate::packet::Identity;
use crate::run::{Report, Verdict};
use crate::scenario::check_resolved;
use crate::setup::Setup;
use crate::timeline::Timeline;
use crate::whole_file;

/// The version of the format that is written, and the only one that is read.
pub const VERSION: u32 = 1;
/// What marks a file as a trace.
const FORMAT: &str = "vr-sim-trace";
/// How many digests go into a line.
const HASHES_A_LINE: usize = 64;

/// A recorded run. Operations are kept as JSON, whatever the workload.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The first line.
    pub head: Head,
    /// What makes the run what it is.
    pub decisions: Decisions<Value>,
}

/// The longest time that a trace may speak of, in nanoseconds: a hundred years.
const LATEST: u64 = 100 * 365 * 24 * 3_600 * 1_000_000_000;

/// The first line of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Always `vr-sim-trace`.
    pub format: String,
    /// The version of the format.
    pub version: u32,
    /// What a replay must show.
    pub expect: Expected,
    /// Why the trace is kept, if somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The planted bug, by its name in the list of `sim selftest --list`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bug: Option<String>,
    /// What the run follows.
    pub follows: Follows,
    /// The digest of the whole run, in hexadecimal.
    pub digest: String,
    /// The steps of the whole run.
    pub steps: u64,
    /// The setup.
    pub setup: Setup,
}

/// What a recorded run follows, and an exact replay must follow too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Follows {
    /// The seed: faults, requests and fates are drawn again.
    Seed,
    /// The decisions of the trace: it was made from another one.
    Decisions,
}

/// What a replay must show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// This violation.
    Violation(Violation),
    /// Nothing: the bug that once failed here has been fixed.
    Clean,
}

impl Expected {
    /// The signature of the violation, if one is expected.
    #[must_use]
    pub fn signature(&self) -> Option<String> {
        match self {
            Self::Violation(violation) => Some(violation.signature()),
            Self::Clean => None,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Entry {
    Action(Done),
    Request(Made<Value>),
    Fate(Identity, Fate),
    Healed(Healed),
    /// The digests after the steps from the given one on, eight hexadecimal digits each.
    Hashes(u64, String),
    /// The number of lines before this one, the head included.
    End(u64),
}

/// Why a file is not a usable trace.
#[derive(Debug)]
pub enum TraceError {
    /// It cannot be read.
    Unreadable(PathBuf, io::Error),
    /// Its first line does not say that it is a trace.
    Foreign(PathBuf),
    /// It is not whole, or was damaged.
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was expected there.
        what: String,
    },
    /// It was written by another version.
    OtherVersion(PathBuf, u32),
}

impl fmt::Display for TraceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(formatter, "{}: cannot be read: {error}", path.display()),
            Self::Foreign(path) => write!(
                formatter,
                "{}: is not a trace: expected a first line with \"format\":\"{FORMAT}\"",
                path.display()
            ),
            Self::Damaged { path, line, what } => write!(formatter, "{}:{line}: {what}", path.display()),
            Self::OtherVersion(path, version) => {
                let age = if *version > VERSION { "newer" } else { "older" };
                let path = path.display();
                write!(
                    formatter,
                    "{path}: written by {age} code: trace version {version}, expected {VERSION}"
                )
            }
        }
    }
}

impl std::error::Error for TraceError {}

impl Head {
    /// The head of a new trace.
    #[must_use]
    pub fn new(report: &Report, bug: Option<&str>, follows: Follows) -> Self {
        let expect = match &report.verdict {
            Verdict::Violated(violation) => Expected::Violation(violation.clone()),
            _ => Expected::Clean,
        };
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            expect,
            note: None,
            bug: bug.map(str::to_owned),
            follows,
            digest: format!("{:016x}", report.digest),
            steps: report.steps,
            setup: Setup::clone(&report.setup),
        }
    }
}

// ---- Writing -----------------------------------------------------------------------------------------

impl Trace {
    /// Writes the trace to `path`, and makes the folders that it needs; a trace that is there is either the old
    /// or the new one, whole.
    ///
    /// # Errors
    /// Whatever writing to the disk may fail with.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        whole_file::write(path, |out| self.write_lines(out))
    }

    fn write_lines(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut lines = 0;
        let mut line = |value: String| -> io::Result<()> {
            lines += 1;
            out.write_all(value.as_bytes())?;
            out.write_all(b"\n")
        };
        line(serde_json::to_string(&self.head)?)?;
        for entry in self.entries() {
            line(serde_json::to_string(&entry)?)?;
        }
        let end = serde_json::to_string(&Entry::End(lines))?;
        writeln!(out, "{end}")
    }

    fn entries(&self) -> impl Iterator<Item = Entry> {
        let Decisions { actions, requests, fates, healed, hashes } = &self.decisions;
        let hashes = hashes.chunks(HASHES_A_LINE).enumerate().map(|(index, chunk)| {
            let digits = chunk.iter().map(|hash| format!("{hash:08x}")).collect();
            Entry::Hashes((index * HASHES_A_LINE) as u64 + 1, digits)
        });
        let actions = actions.iter().cloned().map(Entry::Action);
        let requests = requests.iter().cloned().map(Entry::Request);
        let fates = fates.iter().map(|&(identity, fate)| Entry::Fate(identity, fate));
        actions.chain(requests).chain(fates).chain(healed.clone().map(Entry::Healed)).chain(hashes)
    }
}

// ---- Reading -----------------------------------------------------------------------------------------

impl Trace {
    /// Reads the trace at `path`.
    ///
    /// # Errors
    /// [`TraceError`] if there is no readable, whole trace of this version.
    pub fn read(path: &Path) -> Result<Self, TraceError> {
        let unreadable = |error| TraceError::Unreadable(path.to_owned(), error);
        let mut reader =
            Reader { path, line: 0, lines: BufReader::new(File::open(path).map_err(unreadable)?).lines() };
        let first = reader.next()?.ok_or_else(|| reader.damaged("an empty file: expected a trace"))?;
        let head = reader.head(&first)?;
        check_resolved(&head.setup).map_err(|what| reader.damaged(format!("setup: {what}")))?;
        let mut trace = Self { head, decisions: Decisions::default() };
        loop {
            let line = reader.next()?.ok_or_else(|| {
                reader.damaged("the file ends here: expected more lines, up to one with `end`")
            })?;
            match reader.parse(&line)? {
                Entry::Action(done) => {
                    reader.known(&trace.head.setup, done.action.nodes())?;
                    reader.in_time(done.at.max(done.action.lasts()))?;
                    reader.goes_forward(&done.action)?;
                    trace.decisions.actions.push(done);
                }
                Entry::Request(made) => {
                    reader.known(&trace.head.setup, made.way.and_then(Way::replica).into_iter())?;
                    reader.in_time(made.pause)?;
                    trace.decisions.requests.push(made);
                }
                Entry::Fate(identity, fate) => {
                    reader.in_time(fate.time())?;
                    trace.decisions.fates.push((identity, fate));
                }
                Entry::Healed(healed) => {
                    reader.known(&trace.head.setup, healed.nodes())?;
                    reader.in_time(healed.at)?;
                    trace.decisions.healed = Some(healed);
                }
                Entry::Hashes(from, digits) => {
                    trace.decisions.add_hashes(from, &digits).map_err(|what| reader.damaged(what))?
                }
                Entry::End(lines) => return reader.end(lines).map(|()| trace),
            }
        }
    }
}

impl Decisions<Value> {
    fn add_hashes(&mut self, from: u64, digits: &str) -> Result<(), &'static str> {
        if from != self.hashes.len() as u64 + 1 {
            return Err("digests are missing before this line");
        }
        if !digits.is_ascii() || !digits.len().is_multiple_of(8) {
            return Err("expected digests of eight hexadecimal digits");
        }
        for start in (0..digits.len()).step_by(8) {
            let hash = u32::from_str_radix(&digits[start..start + 8], 16);
            self.hashes.push(hash.map_err(|_| "expected digests of eight hexadecimal digits")?);
        }
        Ok(())
    }
}

struct Reader<'a> {
    path: &'a Path,
    line: usize,
    lines: io::Lines<BufReader<File>>,
}

impl Reader<'_> {
    fn next(&mut self) -> Result<Option<String>, TraceError> {
        self.line += 1;
        match self.lines.next().transpose() {
            Ok(line) => Ok(line),
            Err(error) if error.kind() == io::ErrorKind::InvalidData && self.line == 1 => {
                Err(TraceError::Foreign(self.path.to_owned()))
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(self.damaged("not text: expected a line of JSON"))
            }
            Err(error) => Err(TraceError::Unreadable(self.path.to_owned(), error)),
        }
    }

    fn damaged(&self, what: impl Into<String>) -> TraceError {
        TraceError::Damaged { path: self.path.to_owned(), line: self.line, what: what.into() }
    }

    fn head(&self, line: &str) -> Result<Head, TraceError> {
        let value: Value = serde_json::from_str(line).unwrap_or_default();
        // A line that was cut still says what it was to be.
        if value["format"] != FORMAT && !(value.is_null() && line.contains(FORMAT)) {
            return Err(TraceError::Foreign(self.path.to_owned()));
        }
        match value.get("version").and_then(Value::as_u64) {
            Some(version) if version != u64::from(VERSION) => Err(TraceError::OtherVersion(
                self.path.to_owned(),
                u32::try_from(version).unwrap_or(u32::MAX),
            )),
            _ => self.parse(line),
        }
    }

    fn parse<T: DeserializeOwned>(&self, line: &str) -> Result<T, TraceError> {
        serde_json::from_str(line).map_err(|error| {
            let text = error.to_string();
            let text = text.split(" at line ").next().unwrap_or(&text);
            self.damaged(format!("damaged at column {}: {text}", error.column()))
        })
    }

    /// Refuses nodes that the setup does not have.
    fn known(&self, setup: &Setup, mut nodes: impl Iterator<Item = Node>) -> Result<(), TraceError> {
        let is_unknown = |node: &Node| match node {
            Node::Replica(replica) => replica.0 >= setup.nodes(),
            Node::Client(slot) => *slot >= setup.client_slots(),
        };
        nodes.find(is_unknown).map_or(Ok(()), |node| {
            let Setup { replicas, clients, .. } = setup;
            Err(self.damaged(format!("{node}: expected one of {replicas} replicas and {clients} clients")))
        })
    }

    /// Refuses times that no run comes to.
    fn in_time(&self, time: u64) -> Result<(), TraceError> {
        if time <= LATEST {
            return Ok(());
        }
        Err(self.damaged(format!("a time of {time} ns: expected at most {LATEST}, which is a hundred years")))
    }

    /// Refuses clocks that stand still or go back.
    fn goes_forward(&self, action: &Action) -> Result<(), TraceError> {
        match action {
            Action::SetRate { drift_ppm: drift @ ..=-1_000_000, .. } => {
                Err(self.damaged(format!("a clock with a drift of {drift} ppm: expected more than -1000000")))
            }
            _ => Ok(()),
        }
    }

    /// The last line: it must say how many came before, and nothing may follow.
    fn end(&mut self, lines: u64) -> Result<(), TraceError> {
        let before = self.line as u64 - 1;
        if lines != before {
            return Err(self.damaged(format!("lines are missing: {before} came before, expected {lines}")));
        }
        match self.next()? {
            None => Ok(()),
            Some(_) => Err(self.damaged("something follows the end of the trace: expected nothing")),
        }
    }
}

// ---- Operations as JSON ------------------------------------------------------------------------------

impl<O: Serialize> Decisions<O> {
    /// The same decisions with operations as JSON.
    ///
    /// # Panics
    /// If an operation cannot be written as JSON.
    #[must_use]
    pub fn to_json(&self) -> Decisions<Value> {
        let request = |made: &Made<O>| Made {
            slot: made.slot,
            life: made.life,
            number: made.number,
            pause: made.pause,
            operation: to_json(&made.operation),
            way: made.way,
        };
        Decisions {
            actions: self.actions.clone(),
            requests: self.requests.iter().map(request).collect(),
            fates: self.fates.clone(),
            healed: self.healed.clone(),
            hashes: self.hashes.clone(),
        }
    }
}

impl Decisions<Value> {
    /// The same decisions with the operations of a workload.
    ///
    /// # Errors
    /// If an operation is none of that workload.
    pub fn with_operations<O: DeserializeOwned>(&self) -> Result<Decisions<O>, String> {
        let request = |made: &Made<Value>| {
            let operation = from_json(&made.operation)?;
            let &Made { slot, life, number, pause, way, .. } = made;
            Ok(Made { slot, life, number, pause, operation, way })
        };
        Ok(Decisions {
            actions: self.actions.clone(),
            requests: self.requests.iter().map(request).collect::<Result<_, String>>()?,
            fates: self.fates.clone(),
            healed: self.healed.clone(),
            hashes: self.hashes.clone(),
        })
    }
}

impl<O: Serialize> Timeline<O> {
    /// The same timeline with operations as JSON.
    ///
    /// # Panics
    /// If an operation cannot be written as JSON.
    #[must_use]
    pub fn to_json(&self) -> Timeline<Value> {
        let Ok(timeline) = self.try_map(|operation| Ok::<_, Infallible>(to_json(operation)));
        timeline
    }
}

impl Timeline<Value> {
    /// The same timeline with the operations of a workload.
    ///
    /// # Errors
    /// If an operation is none of that workload.
    pub fn with_operations<O: DeserializeOwned>(&self) -> Result<Timeline<O>, String> {
        self.try_map(from_json)
    }
}

fn to_json<O: Serialize>(operation: &O) -> Value {
    serde_json::to_value(operation).expect("operations can be written as JSON")
}

fn from_json<O: DeserializeOwned>(operation: &Value) -> Result<O, String> {
    O::deserialize(operation)
        .map_err(|error| format!("`{operation}` is no operation of this workload: {error}"))
}
