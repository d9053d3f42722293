//! Scenarios: what a run is made of, as far as it is decided before a seed is chosen.
//!
//! A scenario is a JSON file; its name is the file's stem. It must have a `description`, all else is
//! optional: the fields are those of [`Schema`]. Times carry their unit in their name.
//!
//! - A number is fixed, `5`, or drawn for each seed: `{"between": [1, 100]}` (each order of magnitude as
//!   likely as another) or `{"choose": [0, 5, {"between": [10, 20]}]}`.
//! - A list is fixed, `["primary"]`, or drawn: `{"some_of": ["primary", "random"]}`, at least one.
//! - A field that is left out is drawn as in `scenarios/swarm.json`, which names them all; but for `groups`: there is
//!   one group; and for `supervision`: there is no supervisor.
//! - Fault families (`tail`, `loss`, `duplicate` and `hold` of `network`, and all of `faults`) that are left
//!   out are off, or, in a scenario with `"swarm": true`, as in `scenarios/swarm.json`. `null` is off in any
//!   case. A family that is named, be it `{}`, is on in every seed, or in as many as its `on_percent` says.
//! - Some draws depend on others: crashes are off in groups that tolerate none, unless they may exceed the
//!   budget; crashes that aim at recovering replicas only aim at random ones too; and `sessions_max` is raised
//!   to one more than there are clients.
//!
//! - With `supervision`, be it `{}`, a supervisor on all hosts runs the groups, and its user starts, stops and moves
//!   them. `alive_interval_us` says how often a host shows that it is alive, `failure_timeout_us` after which silence
//!   it is replaced, and `deed_interval_mean_us` how often the user asks for something. These and all other fields that
//!   are left out are as in `scenarios/supervised-groups.json`, and then as in the swarm: hosts need a service of the
//!   library as their `workload`, three `replicas` or more, and neither `spares` nor `witnesses`, nor the families
//!   `outlast` and `lingering`.
//! - A scenario with a `story` has no random faults: it tells what happens, step by step, in the words of
//!   [`stage`](crate::stage).
//!
//! ```json
//! {
//!     "description": "Primaries crash while the network loses one message in a hundred.",
//!     "replicas": { "choose": [3, 5] },
//!     "network": { "loss": { "per_million": 10000 } },
//!     "faults": { "crash": { "on_percent": 80, "targets": ["primary"] } }
//! }
//! ```

mod builtin;
mod error;
mod resolved;
pub mod schema;
mod value;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::groups;
use crate::setup::{CrashTarget, Group, Setup};
use crate::workload::library;

use error::{Refusal, misspoken_in, syntax};
use schema::{Schema, tolerates_none};

pub use error::ScenarioError;
pub use resolved::check_resolved;
pub use schema::MustFail;
pub use value::{Name, Number, Selection};

/// A scenario that has been found valid.
#[derive(Clone, Debug)]
pub struct Scenario {
    name: String,
    text: String,
    /// Every field is given.
    schema: Schema,
}

/// What the command line fixes, whatever the scenario says. It moves no draw of another field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Events dispatched while faults strike: at least 1.
    pub steps: Option<u64>,
    /// Replicas in the group: 1 to 9.
    pub replicas: Option<u8>,
    /// Clients at work at a time: 1 to 64.
    pub clients: Option<u16>,
    /// The workload, by its name.
    pub workload: Option<&'static str>,
}

impl Scenario {
    /// All scenarios that are built in, in the order in which they are to be listed.
    ///
    /// # Panics
    /// If one is not valid: the tests see to it that all are.
    pub fn builtin() -> impl Iterator<Item = Self> {
        builtin::ALL.iter().map(|(name, text)| {
            Self::parse(name, text).unwrap_or_else(|error| panic!("built-in scenario: {error}"))
        })
    }

    /// The names of the built-in scenarios, in the order of [`Scenario::builtin`].
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        builtin::ALL.iter().map(|(name, _)| *name)
    }

    /// The names of the built-in stories, in the order of [`Scenario::stories`].
    pub fn story_names() -> impl Iterator<Item = &'static str> {
        builtin::STORIES.iter().map(|(name, _)| *name)
    }

    /// The stories that are built in, in the order in which they are to be listed. No sweep draws them unless it is
    /// asked to.
    ///
    /// # Panics
    /// If one is not valid: the tests see to it that all are.
    pub fn stories() -> impl Iterator<Item = Self> {
        builtin::STORIES.iter().map(|(name, text)| {
            Self::parse(name, text).unwrap_or_else(|error| panic!("built-in story: {error}"))
        })
    }

    /// The built-in scenario or story of this name or else the one in the file of this name.
    ///
    /// # Errors
    /// If there is neither, or the file is no valid scenario.
    pub fn find(name_or_path: &str) -> Result<Self, ScenarioError> {
        let mut built_in = builtin::ALL.iter().chain(builtin::BEYOND).chain(builtin::STORIES);
        if let Some((name, text)) = built_in.find(|(name, _)| *name == name_or_path) {
            return Self::parse(name, text);
        }
        let path = Path::new(name_or_path);
        let is_path = path.extension().is_some() || path.components().count() > 1 || path.is_file();
        if is_path {
            return Self::load(path);
        }
        let known = builtin::ALL.iter().map(|&(name, _)| name).collect();
        Err(ScenarioError::Unknown { name: name_or_path.to_owned(), known })
    }

    /// Reads a scenario from a file and checks it.
    ///
    /// # Errors
    /// If the file cannot be read or is no valid scenario.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ScenarioError> {
        let path = path.as_ref();
        let file = path.display().to_string();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        match fs::read_to_string(path) {
            Ok(text) => Self::parse_file(&file, &name, &text),
            Err(error) => Err(ScenarioError::Unreadable { file, problem: error.to_string() }),
        }
    }

    /// Takes a scenario from the text of a file and checks it.
    ///
    /// # Errors
    /// If it is no valid scenario.
    pub fn parse(name: &str, text: &str) -> Result<Self, ScenarioError> {
        Self::parse_file(&format!("{name}.json"), name, text)
    }

    fn parse_file(file: &str, name: &str, text: &str) -> Result<Self, ScenarioError> {
        // The text itself must fit the schema: the parser knows lines and columns, and nobody does later.
        let given = serde_json::from_str::<Schema>(text).map_err(|error| syntax(file, &error))?;
        given.check_told().map_err(|refusal| refusal.in_file(file))?;
        let mut complete = object(text);
        if given.story.is_some() {
            fill_in(&mut complete, &TOLD, false);
        }
        if given.supervision.is_some() {
            fill_in(&mut complete, &SUPERVISED, given.swarm);
        }
        fill_in(&mut complete, &SWARM, given.swarm);
        let schema = Schema::deserialize(Value::Object(complete)).map_err(|error| syntax(file, &error))?;
        schema.check_story().map_err(|misspoken| misspoken_in(file, text, &schema, &misspoken))?;
        schema
            .draw(name, 0)
            .and_then(|_| schema.check_together())
            .map_err(|refusal| refusal.in_file(file))?;
        Ok(Self { name: name.to_owned(), text: text.to_owned(), schema })
    }

    /// The name: the stem of the file's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the scenario is for, in one line.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.schema.description
    }

    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The workloads that its seeds draw. Whether there are such is not known here: see
    /// [`registry::check_workload`](crate::registry::check_workload).
    pub fn workloads(&self) -> impl Iterator<Item = &str> {
        self.schema.workload.iter().flat_map(Name::all)
    }

    /// Whether it can run with another workload, if one is given: under a supervisor only the services of the library
    /// can.
    #[must_use]
    pub fn can_run(&self, workload: Option<&str>) -> bool {
        self.schema.supervision.is_none() || workload.is_none_or(|name| library::NAMES.contains(&name))
    }

    /// Whether a story is told, in place of chance.
    #[must_use]
    pub fn is_story(&self) -> bool {
        self.schema.story.is_some()
    }

    /// The planted bugs under which the story must fail.
    #[must_use]
    pub fn must_fail(&self) -> &[MustFail] {
        &self.schema.must_fail
    }

    /// Whether the command line may fix this much of the scenario.
    ///
    /// # Errors
    /// If a number is out of range, or the group would be too small for the scenario's crashes, so that
    /// they would never strike, or there would be too few hosts or clients for its groups.
    pub fn check_overrides(&self, overrides: &Overrides) -> Result<(), ScenarioError> {
        if let Some(workload) = overrides.workload.filter(|_| self.is_story()) {
            let problem = format!("a story speaks of another workload than {workload}");
            return Err(Refusal::new("story", problem).in_file(&self.name));
        }
        if let Some(workload) = overrides.workload.filter(|name| !self.can_run(Some(name))) {
            let problem = format!("{workload} does not run under a supervisor");
            return Err(Refusal::new("supervision", problem).in_file(&self.name));
        }
        let mut schema = self.schema.clone();
        let fix = |field: &mut Option<Number>, number: Option<u64>| {
            if let Some(number) = number {
                *field = Some(Number::Fixed(number));
            }
        };
        fix(&mut schema.steps, overrides.steps);
        fix(&mut schema.replicas, overrides.replicas.map(u64::from));
        fix(&mut schema.clients, overrides.clients.map(u64::from));
        let budget = |_| overrides.replicas.map_or(Ok(()), |replicas| schema.check_budget(replicas.into()));
        let checked = schema.draw(&self.name, 0).and_then(budget).and_then(|()| schema.check_groups());
        checked.map_err(|refusal| refusal.in_file(&self.name))
    }

    /// Decides everything that the scenario leaves open. The same seed gives the same setup.
    ///
    /// Overrides are taken as they are: see [`check_overrides`](Self::check_overrides).
    ///
    /// # Panics
    /// Never: that the fields are valid was checked when the scenario was read.
    #[must_use]
    pub fn resolve(&self, seed: u64, overrides: &Overrides) -> Setup {
        let drawn = self.schema.draw(&self.name, seed);
        let mut setup = drawn.expect("whether fields are valid does not depend on the seed");
        setup.steps = overrides.steps.unwrap_or(setup.steps);
        setup.replicas = overrides.replicas.unwrap_or(setup.replicas);
        setup.clients = overrides.clients.unwrap_or(setup.clients);
        if let Some(workload) = overrides.workload {
            workload.clone_into(&mut setup.workload);
        }
        let groups = self.schema.groups(seed).expect("the same holds of groups");
        reconcile(&mut setup, groups);
        setup
    }
}

/// Adjusts what was drawn, or overridden, without a look at the others, and decides where so many groups are.
fn reconcile(setup: &mut Setup, groups: u8) {
    let too_small = tolerates_none(setup.replicas.into());
    setup.faults.crash.take_if(|crash| too_small && !crash.beyond_budget);
    // Somebody has to crash before anybody can crash while recovering.
    if let Some(crash) = &mut setup.faults.crash
        && crash.targets == [CrashTarget::DuringRecovery]
    {
        crash.targets.push(CrashTarget::Random);
    }
    // An administrator needs somebody to make a member of, and spares somebody who makes them members.
    setup.faults.reconfiguration.take_if(|_| setup.spares == 0);
    setup.witnesses = setup.witnesses.min(setup.replicas.saturating_sub(1) / 2);
    if setup.faults.reconfiguration.is_none() && setup.story.is_none() {
        setup.spares = 0;
    }
    if let Some(supervision) = &mut setup.supervision {
        let everywhere = Group { hosts: (0..setup.replicas).collect(), clients: setup.clients };
        supervision.groups = groups::draw(setup.seed, groups, setup.replicas, setup.clients);
        if supervision.groups.is_empty() {
            supervision.groups.push(everywhere);
        }
    } else if setup.spares == 0 && setup.witnesses == 0 {
        setup.groups = groups::draw(setup.seed, groups, setup.replicas, setup.clients);
    }
    let sessions_needed = u32::from(setup.client_slots()) + 1;
    setup.protocol.sessions_max = setup.protocol.sessions_max.max(sessions_needed);
}

/// The scenario that every other one takes its defaults from.
static SWARM: LazyLock<Map<String, Value>> = LazyLock::new(|| object(builtin::SWARM));

/// What a story leaves open must not be left to chance.
static TOLD: LazyLock<Map<String, Value>> = LazyLock::new(|| object(builtin::TOLD));

/// What a supervisor's hosts are, unless a scenario says otherwise.
static SUPERVISED: LazyLock<Map<String, Value>> = LazyLock::new(|| object(builtin::SUPERVISED));

/// Fills in what a scenario leaves out.
fn fill_in(given: &mut Map<String, Value>, defaults: &Map<String, Value>, swarm: bool) {
    for (name, default) in defaults.iter().filter(|(name, _)| !["swarm", "groups"].contains(&&***name)) {
        let is_section = ["supervision", "network", "traffic", "protocol", "faults"].contains(&name.as_str());
        if let (true, Value::Object(defaults)) = (is_section, default) {
            let section = given.entry(name).or_insert_with(|| Value::Object(Map::new()));
            complete_section(section, defaults, swarm);
        } else {
            given.entry(name).or_insert_with(|| default.clone());
        }
    }
}

fn complete_section(section: &mut Value, defaults: &Map<String, Value>, swarm: bool) {
    let Value::Object(section) = section else { return };
    for (name, default) in defaults {
        // In the swarm each fault family says how often it is on, and nothing else does.
        let is_family = default.get("on_percent").is_some();
        match (section.get_mut(name), default) {
            (None, _) if is_family && !swarm => {}
            (None, default) => drop(section.insert(name.clone(), default.clone())),
            (Some(Value::Object(family)), Value::Object(defaults)) if is_family => {
                complete_family(family, defaults);
            }
            (Some(_), _) => {}
        }
    }
}

fn complete_family(family: &mut Map<String, Value>, defaults: &Map<String, Value>) {
    // A family that is named is on, unless it says itself how often.
    for (name, default) in defaults.iter().filter(|(name, _)| *name != "on_percent") {
        family.entry(name).or_insert_with(|| default.clone());
    }
}

/// The object that a valid scenario's text is.
fn object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).expect("the schema is an object")
}
