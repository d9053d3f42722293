//! Files of records: what a sweep found out, a line for each run.
//!
//! A file is JSON lines. The first line is the [`Head`]: all that the sweep follows from, the code included.
//! Each further line is the [`Record`](crate::sweep::Record) of a run, in the order of seeds and without gaps, so the file is the
//! same to the byte whatever the number of threads. Lines are only ever appended: when a sweep is killed, the
//! file holds what was done, up to a last line that may be cut.
//! Each line of a record ends with a field `checksum`, chained with that of the line before: what was altered or
//! damaged since is refused.

mod chain;
mod reader;
mod writer;

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::bugs;
use crate::code;
use crate::digest;
use crate::scenario::{Overrides, Scenario};
use crate::sweep::{Hex, Plan};

pub use reader::Reader;
pub use writer::Writer;

/// The version of the format that is written, and the only one that is read.
pub const VERSION: u32 = 2;
/// What marks a file as one of records.
const FORMAT: &str = "vr-sim-sweep";

/// The first line: two sweeps with the same head, but for the shard, are parts of the same sweep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Always `vr-sim-sweep`.
    pub format: String,
    /// The version of the format.
    pub version: u32,
    /// The [digest of the sources](code::DIGEST).
    pub code: String,
    /// The part of the sweep: `k/n`.
    pub shard: String,
    /// The first seed of the whole sweep.
    pub first: u64,
    /// How many seeds, all shards together; null for no end.
    pub count: Option<u64>,
    /// How many seeds in a hundred are run twice.
    pub recheck_percent: u8,
    /// The planted bug, by its name, or null.
    pub bug: Option<String>,
    /// Events dispatched in each run while faults strike, if the command line fixed it.
    pub steps: Option<u64>,
    /// Replicas in the group, if the command line fixed it.
    pub replicas: Option<u8>,
    /// Clients at work at a time, if the command line fixed it.
    pub clients: Option<u16>,
    /// The workload, if it was not the scenarios' own.
    pub workload: Option<String>,
    /// The scenarios: seed s ran in the one at index s mod their number.
    pub scenarios: Vec<Source>,
}

/// A scenario of a sweep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// The digest of its text.
    pub digest: Hex,
    /// What is known of it beyond that, unless it is built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<SourceFile>,
}

/// A scenario that is not built in. The text goes along, so that nothing else is needed later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// The file, as it was given.
    pub path: String,
    /// What was in it.
    pub text: String,
}

/// What is wrong with a file of records: one line that says where, what, and what was expected.
#[derive(Debug)]
pub struct RecordsError(String);

impl fmt::Display for RecordsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for RecordsError {}

impl RecordsError {
    fn at(path: &Path, what: impl fmt::Display) -> Self {
        Self(format!("{}: {what}", path.display()))
    }

    fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self::at(path, format_args!("cannot be read: {error}"))
    }

    fn unwritable(path: &Path, error: &io::Error) -> Self {
        Self::at(path, format_args!("cannot be written: {error}"))
    }
}

impl Head {
    /// The head of a sweep. `given` are the names that its scenarios were given on the command line.
    #[must_use]
    pub fn new(plan: &Plan, given: &[String]) -> Self {
        let Overrides { steps, replicas, clients, workload } = plan.overrides;
        let sources = plan.scenarios.iter().zip(given).map(|(scenario, given)| Source::new(scenario, given));
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            code: code::DIGEST.to_owned(),
            shard: plan.shard.to_string(),
            first: plan.first,
            count: plan.count,
            recheck_percent: plan.recheck_percent,
            bug: plan.bug.map(|bug| bug.name.to_owned()),
            steps,
            replicas,
            clients,
            workload: workload.map(str::to_owned),
            scenarios: sources.collect(),
        }
    }

    /// The plan of the sweep, and the names that its scenarios were given on the command line. `workload` is
    /// what this program puts in the place of all scenarios' workloads.
    ///
    /// # Errors
    /// What this program does not have.
    pub fn plan(&self, workload: Option<&'static str>) -> Result<(Plan, Vec<String>), String> {
        if self.code != code::DIGEST {
            return Err(format!("made by code {}: expected this code, {}", self.code, code::DIGEST));
        }
        if self.workload.as_deref() != workload {
            let named = |name: Option<&str>| name.unwrap_or("the scenarios' own").to_owned();
            let (found, expected) = (named(self.workload.as_deref()), named(workload));
            return Err(format!("made with the workload {found}: expected {expected}"));
        }
        let bug = self.bug.as_deref().map(|name| bugs::find(name).ok_or(name)).transpose();
        let bug = bug.map_err(|name| format!("made with the bug {name}, which is unknown here"))?;
        if self.scenarios.is_empty() {
            return Err("names no scenario: expected at least one".to_owned());
        }
        let scenarios = self.scenarios.iter().map(Source::scenario).collect::<Result<Vec<_>, _>>()?;
        let given = self.scenarios.iter().map(|source| source.given().to_owned()).collect();
        let plan = Plan {
            scenarios,
            overrides: Overrides {
                steps: self.steps,
                replicas: self.replicas,
                clients: self.clients,
                workload,
            },
            bug,
            first: self.first,
            count: self.count,
            shard: self.shard.parse()?,
            jobs: NonZeroUsize::MIN,
            recheck_percent: self.recheck_percent,
        };
        Ok((plan, given))
    }

    /// What another sweep differs in, if it is not the same one: its value, and the one here. Which part
    /// of it does not matter, nor do the folders of scenario files.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        fn differs<T: PartialEq + Serialize>(name: &str, here: &T, there: &T) -> Option<String> {
            let shown = |value| serde_json::to_string(value).expect("settings can be written");
            (here != there).then(|| format!("{name} is {}, not {}", shown(there), shown(here)))
        }
        let contents = |head: &Self| head.scenarios.iter().map(|source| source.digest).collect::<Vec<_>>();
        let names = |head: &Self| head.scenarios.iter().map(|source| source.name.clone()).collect::<Vec<_>>();
        let changed = contents(self).into_iter().zip(contents(other)).position(|(here, there)| here != there);
        differs("code", &self.code, &other.code)
            .or_else(|| differs("bug", &self.bug, &other.bug))
            .or_else(|| differs("scenarios", &names(self), &names(other)))
            .or_else(|| {
                changed.map(|index| format!("the content of {} is another", self.scenarios[index].name))
            })
            .or_else(|| differs("steps", &self.steps, &other.steps))
            .or_else(|| differs("replicas", &self.replicas, &other.replicas))
            .or_else(|| differs("clients", &self.clients, &other.clients))
            .or_else(|| differs("workload", &self.workload, &other.workload))
            .or_else(|| differs("first", &self.first, &other.first))
            .or_else(|| differs("count", &self.count, &other.count))
            .or_else(|| differs("recheck_percent", &self.recheck_percent, &other.recheck_percent))
    }

    fn line(&self) -> String {
        serde_json::to_string(self).expect("a head can be written") + "\n"
    }
}

impl Source {
    fn new(scenario: &Scenario, given: &str) -> Self {
        let is_built_in = Scenario::builtin().any(|known| known.name() == given);
        let file = || SourceFile { path: given.to_owned(), text: scenario.text().to_owned() };
        Self {
            name: scenario.name().to_owned(),
            digest: Hex(digest::of(scenario.text())),
            file: (!is_built_in).then(file),
        }
    }

    fn scenario(&self) -> Result<Scenario, String> {
        let scenario = match &self.file {
            Some(file) => Scenario::parse(&self.name, &file.text),
            None => Scenario::find(&self.name),
        };
        let scenario = scenario.map_err(|error| error.to_string())?;
        if digest::of(scenario.text()) != self.digest.0 {
            return Err(format!("the content of the scenario {} is not what its digest says", self.name));
        }
        Ok(scenario)
    }

    fn given(&self) -> &str {
        self.file.as_ref().map_or(&self.name, |file| &file.path)
    }
}
