//! The fields of a scenario file, and how each is checked and drawn.
//!
//! The sections mirror those of [`setup`], where the fields are documented that are only drawn here. Fields
//! are `None` where a file leaves them out, until the defaults are filled in.

use serde::Deserialize;
use vr::MIN_MEMBERS;

use crate::bugs;
use crate::check::Property;
use crate::setup::{self, CrashTarget, Expectation, LingeringShape, PartitionShape};
use crate::stage::{Cast, Misspoken, Story};
use crate::workload::Workload;
use crate::workload::key_value::KeyValue;
use crate::workload::library;
use crate::workload::library::blackboard::Blackboard;

use super::error::Refusal;
use super::value::{Draws, Name, Number, Selection};

/// The longest time, in microseconds: an hour.
const LONGEST: u64 = 3_600_000_000;

/// Parts in a probability of one.
const MILLION: u64 = 1_000_000;

/// A scenario file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// What the scenario is for, in one line.
    pub description: String,
    /// Whether fault families that are not named strike as in the swarm (true) or not at all (false, the
    /// default).
    #[serde(default)]
    pub swarm: bool,
    /// Events dispatched while faults strike: 1 to 1,000,000,000.
    pub steps: Option<Number>,
    /// Which service runs.
    pub workload: Option<Name>,
    /// Replicas in the group: 1 to 9.
    pub replicas: Option<Number>,
    /// Nodes that are no members at first, and may become some: 0 to 9.
    pub spares: Option<Number>,
    /// How many of the first group are witnesses: 0 to 4. A number that is drawn too large for the group is lowered to
    /// as many as it can lose.
    pub witnesses: Option<Number>,
    /// Clients at work at a time: 1 to 64.
    pub clients: Option<Number>,
    /// Groups on the same hosts: 1 to 4, and 1 where it is left out. Then `replicas` says how many hosts there are; each
    /// group is on all of them, or on three or five, and clients are shared out. Where there are fewer clients there
    /// are only as many groups, and where there are spares one.
    pub groups: Option<Number>,
    /// A supervisor on all hosts, whose user starts as many groups as `groups` says, and more. There is none where it is
    /// left out.
    pub supervision: Option<Supervision>,
    /// Delays and what befalls single messages.
    #[serde(default)]
    pub network: Network,
    /// How clients behave.
    #[serde(default)]
    pub traffic: Traffic,
    /// The protocol's timing and bounds.
    #[serde(default)]
    pub protocol: Protocol,
    /// What else goes wrong.
    #[serde(default)]
    pub faults: Faults,
    /// What must be true in the end: `"progress"` (the default), `"stuck"` or `"steady"`.
    pub expect: Option<Expectation>,
    /// What happens in place of chance, step by step: see [`stage`](crate::stage).
    pub story: Option<Story>,
    /// The planted bugs under which the story must fail, each with the property that must report it.
    #[serde(default)]
    pub must_fail: Vec<MustFail>,
}

/// A planted bug that a story shows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MustFail {
    /// The bug's name.
    pub bug: String,
    /// The property that must report it.
    pub property: Property,
    /// Where the property is that a story goes as told: the sentence at which it must not, so that one that breaks
    /// before it comes to the bug shows nothing.
    pub at: Option<String>,
}

/// What hosts need to know, and what the supervisor's user does: see [`setup::Supervision`]. All times are at least one
/// microsecond, and a host shows at least four times within the silence after which it is replaced that it is alive.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "documented at setup::Supervision")]
pub struct Supervision {
    pub alive_interval_us: Option<Number>,
    pub failure_timeout_us: Option<Number>,
    pub deed_interval_mean_us: Option<Number>,
}

/// Delays (microseconds, up to an hour), and what befalls single messages.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// The least delay: at least 1, so that time goes on.
    pub delay_min_us: Option<Number>,
    /// The mean of the exponential delay on top: 0 for none.
    pub delay_mean_us: Option<Number>,
    /// A fault family: messages that take very long.
    pub tail: Option<Mishap>,
    /// The longest that those, and the second copies of others, take: at least 1.
    pub tail_max_us: Option<Number>,
    /// A fault family: messages that are lost.
    pub loss: Option<Mishap>,
    /// A fault family: messages that arrive twice.
    pub duplicate: Option<Mishap>,
    /// A fault family: messages that change views, recover replicas or transfer state, kept back.
    pub hold: Option<Mishap>,
    /// The longest that those are kept back: at least 1.
    pub hold_max_us: Option<Number>,
    /// A fault family: messages between replicas that arrive in one of the views after theirs.
    pub outlast: Option<Mishap>,
    /// How many messages fit into one direction of a link: 1 to a million.
    pub link_capacity: Option<Number>,
}

/// A fault family: something that happens to single messages.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mishap {
    /// In how many seeds the family is on: 0 to 100, 100 by default.
    #[serde(default = "always")]
    pub on_percent: u64,
    /// To how many messages it happens: 1 to a million.
    pub per_million: Option<Number>,
}

/// How clients behave: see [`setup::Traffic`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "documented at setup::Traffic")]
pub struct Traffic {
    pub think_mean_us: Option<Number>,
    pub burst_mean: Option<Number>,
    pub idle_mean_us: Option<Number>,
    pub patience_us: Option<Number>,
    pub keys: Option<Number>,
    pub fast_read_percent: Option<Number>,
    pub causal_read_percent: Option<Number>,
}

/// Timing and bounds of the protocol: see `vr::Options` and `vr::ClientOptions`. All but the back-off and
/// what is about checkpoints must be positive. A [`sessions_max`](Self::sessions_max) that is drawn too small for the clients is raised to
/// one more than there are clients.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "documented at vr::Options")]
pub struct Protocol {
    pub heartbeat_us: Option<Number>,
    pub primary_timeout_us: Option<Number>,
    pub view_change_timeout_us: Option<Number>,
    pub resend_us: Option<Number>,
    pub abdication_us: Option<Number>,
    pub backoff_limit: Option<Number>,
    pub pipeline_max: Option<Number>,
    pub sessions_max: Option<Number>,
    pub request_timeout_us: Option<Number>,
    pub checkpoint_interval: Option<Number>,
    pub log_margin: Option<Number>,
    pub suffix_margin: Option<Number>,
    pub batch_max: Option<Number>,
    pub lease_us: Option<Number>,
    pub clock_drift_ppm: Option<Number>,
}

/// The fault families that are not about single messages; all off where not named, unless it is a swarm.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// Links that carry nothing for a while.
    pub partition: Option<PartitionFaults>,
    /// Links that keep everything for a while and then let it go.
    pub clog: Option<IntervalFaults>,
    /// Replicas that lose their memory.
    pub crash: Option<CrashFaults>,
    /// Nodes that stand still while time goes on.
    pub pause: Option<IntervalFaults>,
    /// Clocks that are wrong, timers that fire early or late.
    pub clock: Option<ClockFaults>,
    /// Clients that crash.
    pub client: Option<ClientFaults>,
    /// A cut that stays when everything else stops, and in spite of which there must be progress. It is off,
    /// too, where no replica can be spared when the faults stop.
    pub lingering: Option<LingeringFaults>,
    /// An administrator who asks for other groups. It is off, too, where there are no spares.
    pub reconfiguration: Option<ReconfigurationFaults>,
}

/// How the administrator works.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReconfigurationFaults {
    /// In how many seeds the family is on: 0 to 100, 100 by default.
    #[serde(default = "always")]
    pub on_percent: u64,
    /// The mean time between two deeds of the administrator, in microseconds: at least 1.
    pub interval_mean_us: Option<Number>,
}

/// A fault family that strikes now and then and lasts a while: clogs and pauses.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntervalFaults {
    /// In how many seeds the family is on: 0 to 100, 100 by default.
    #[serde(default = "always")]
    pub on_percent: u64,
    /// The mean time between two, in microseconds: at least 1.
    pub interval_mean_us: Option<Number>,
    /// The mean time that one lasts, in microseconds: at least 1.
    pub duration_mean_us: Option<Number>,
}

/// How partitions strike.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionFaults {
    /// In how many seeds the family is on: 0 to 100, 100 by default.
    #[serde(default = "always")]
    pub on_percent: u64,
    /// The mean time between two partitions, in microseconds: at least 1.
    pub interval_mean_us: Option<Number>,
    /// The mean time that one lasts, in microseconds: at least 1.
    pub duration_mean_us: Option<Number>,
    /// The shapes that occur.
    pub shapes: Option<Selection<PartitionShape>>,
}

/// How replicas crash.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrashFaults {
    /// In how many seeds the family is on: 0 to 100, 100 by default. It is off, too, where the group is too
    /// small for any crash within the budget.
    #[serde(default = "always")]
    pub on_percent: u64,
    /// The mean time between two crashes, in microseconds: at least 1.
    pub interval_mean_us: Option<Number>,
    /// The mean time until the restart, in microseconds: at least 1.
    pub downtime_mean_us: Option<Number>,
    /// How many restarts are quicker than any timeout: 0 to a million.
    pub quick_restart_per_million: Option<Number>,
    /// Whom crashes aim at.
    pub targets: Option<Selection<CrashTarget>>,
    /// Whether more replicas may be without their memory at a time than the protocol can stand; false by
    /// default. The scenario must then expect the group to be stuck.
    #[serde(default)]
    pub beyond_budget: bool,
}

/// How clocks are wrong.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockFaults {
    /// In how many seeds the family is on: 0 to 100, 100 by default.
    #[serde(default = "always")]
    pub on_percent: u64,
    /// The largest offset of a node's clock, in microseconds: 0 to an hour.
    pub offset_max_us: Option<Number>,
    /// The largest deviation of a clock's rate, in parts per million: 0 to half a million.
    pub drift_max_ppm: Option<Number>,
    /// The mean time between two timers that fire early or late, in microseconds; 0 for never.
    pub timer_interval_mean_us: Option<Number>,
    /// The mean time by which a timer is late, in microseconds: 0 to an hour.
    pub late_mean_us: Option<Number>,
    /// Whether clocks may be wrong by more than leases allow for; false by default. Stale reads must then be expected.
    #[serde(default)]
    pub beyond_bound: bool,
}

/// How clients crash.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientFaults {
    /// In how many seeds the family is on: 0 to 100, 100 by default.
    #[serde(default = "always")]
    pub on_percent: u64,
    /// The mean time between two crashes of a client, in microseconds: at least 1.
    pub crash_interval_mean_us: Option<Number>,
}

/// What stays when the faults stop.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LingeringFaults {
    /// In how many seeds the family is on: 0 to 100, 100 by default.
    #[serde(default = "always")]
    pub on_percent: u64,
    /// The shapes that occur.
    pub shapes: Option<Selection<LingeringShape>>,
}

const fn always() -> u64 {
    100
}

impl Schema {
    /// Checks every field and draws it. Families that are off are checked and drawn like the others.
    pub(super) fn draw(&self, scenario: &str, seed: u64) -> Result<setup::Setup, Refusal> {
        let draws = &Draws::new(seed);
        let replicas = draws.number("replicas", &self.replicas, 1..=9)?;
        let spares: u8 = draws.number("spares", &self.spares, 0..=9)?;
        let witnesses: u8 = draws.number("witnesses", &self.witnesses, 0..=4)?;
        let clients = draws.number("clients", &self.clients, 1..=64)?;
        self.groups(seed)?;
        self.told_of(Cast { replicas: replicas + spares, clients })
            .map_err(|misspoken| Refusal::new("story", misspoken.to_string()))?;
        Ok(setup::Setup {
            scenario: scenario.to_owned(),
            seed,
            steps: draws.number("steps", &self.steps, 1..=1_000_000_000)?,
            workload: draws.name("workload", &self.workload)?,
            replicas,
            spares,
            witnesses,
            clients,
            groups: Vec::new(),
            supervision: self.supervision.as_ref().map(|it| it.draw(draws)).transpose()?,
            network: self.network.draw(draws)?,
            traffic: self.traffic.draw(draws)?,
            protocol: self.protocol.draw(draws)?,
            faults: self.faults.draw(draws)?,
            expect: self.expect.unwrap_or(Expectation::Progress),
            story: self.story.clone(),
        })
    }

    /// How many groups there are to be.
    pub(super) fn groups(&self, seed: u64) -> Result<u8, Refusal> {
        let count = self.groups.as_ref().map(|_| Draws::new(seed).number("groups", &self.groups, 1..=4));
        count.unwrap_or(Ok(1))
    }

    /// The story, if there is one, told of as many as there are in every seed.
    pub(super) fn check_story(&self) -> Result<(), Misspoken> {
        let least = |number: &Option<Number>| number.as_ref().map_or(0, Number::lowest);
        let (replicas, clients) = (least(&self.replicas), least(&self.clients));
        // What is out of range is refused by its name, later.
        let (replicas, clients) = (replicas.min(u8::MAX.into()) as u8, clients.min(u16::MAX.into()) as u16);
        let spares = least(&self.spares).min(9) as u8;
        self.told_of(Cast { replicas: replicas.saturating_add(spares), clients })
    }

    fn told_of(&self, cast: Cast) -> Result<(), Misspoken> {
        self.story.as_ref().map_or(Ok(()), |story| story.steps(cast).map(drop))
    }

    /// Refuses what does not go with a story, in what a file says itself.
    pub(super) fn check_told(&self) -> Result<(), Refusal> {
        if self.story.is_none() {
            let refused = || Refusal::new("must_fail", "only a scenario with a story has it");
            return if self.must_fail.is_empty() { Ok(()) } else { Err(refused()) };
        }
        if self.swarm {
            return Err(Refusal::new("swarm", "a story has no random faults"));
        }
        if self.faults.strike() {
            return Err(Refusal::new("faults", "a story has no random faults: it tells what happens"));
        }
        if self.network.mishaps().next().is_some() {
            return Err(Refusal::new(
                "network",
                "a story has no random losses and delays: it tells what happens",
            ));
        }
        self.must_fail.iter().enumerate().try_for_each(|(index, must)| self.check_must_fail(index, must))
    }

    fn check_must_fail(&self, index: usize, must: &MustFail) -> Result<(), Refusal> {
        let refused = |field: &str, problem: &str| {
            Err(Refusal::new(format!("must_fail[{index}].{field}"), problem.to_owned()))
        };
        if bugs::find(&must.bug).is_none() {
            let problem = "no such planted bug: expected one that `sim selftest --list` shows";
            return refused("bug", &format!("`{}`: {problem}", must.bug));
        }
        let is_sentence =
            |at: &String| self.story.as_ref().is_some_and(|story| story.sentences().contains(at));
        match &must.at {
            None if must.property == Property::Story => {
                refused("at", "missing: the sentence at which the story must not go on")
            }
            Some(_) if must.property != Property::Story => refused("at", r#"only with "property": "Story""#),
            Some(at) if !is_sentence(at) => refused("at", &format!("`{at}`: no sentence of the story")),
            _ => Ok(()),
        }
    }

    /// A story's words ask for operations that some workloads have.
    fn check_story_workload(&self) -> Result<(), Refusal> {
        const SPOKEN_OF: [&str; 2] = [KeyValue::NAME, Blackboard::NAME];
        let is_spoken_of = |name: &Name| matches!(name, Name::Fixed(name) if SPOKEN_OF.contains(&&**name));
        if self.story.is_none() || self.workload.as_ref().is_some_and(is_spoken_of) {
            return Ok(());
        }
        Err(Refusal::new("workload", format!("a story speaks of {} only", SPOKEN_OF.join(" or "))))
    }

    /// Refuses what no field is to blame for alone.
    pub(super) fn check_together(&self) -> Result<(), Refusal> {
        if self.description.trim().is_empty() || self.description.contains('\n') {
            return Err(Refusal::new("description", "one line is needed that says what the scenario is for"));
        }
        self.check_story_workload()?;
        self.check_budget(self.replicas.as_ref().map_or(0, Number::highest))?;
        self.check_expectation()?;
        self.check_reads()?;
        self.check_sessions()?;
        self.check_groups()?;
        self.network.check_sum()?;
        self.protocol.check_order()
    }

    /// Refuses crashes that could strike in no seed of a group of `replicas` at most.
    pub(super) fn check_budget(&self, replicas: u64) -> Result<(), Refusal> {
        match &self.faults.crash {
            Some(crash) if crash.on_percent == 100 && !crash.beyond_budget && tolerates_none(replicas) => {
                let problem = format!(
                    "a group of {replicas} tolerates no crash: 3 replicas or more are needed, \
                     or \"beyond_budget\": true"
                );
                Err(Refusal::new("faults.crash", problem))
            }
            _ => Ok(()),
        }
    }

    /// Refuses more reads than operations that could be read, and clocks on which leases cannot rely.
    fn check_reads(&self) -> Result<(), Refusal> {
        let most = |number: &Option<Number>| number.as_ref().map_or(0, Number::highest);
        let traffic = &self.traffic;
        let reads = most(&traffic.fast_read_percent) + most(&traffic.causal_read_percent);
        if reads > 100 {
            let problem = format!("up to {reads} reads of 100 together with traffic.fast_read_percent");
            return Err(Refusal::new("traffic.causal_read_percent", problem));
        }
        let allowed = self.protocol.clock_drift_ppm.as_ref().map_or(0, Number::lowest);
        let Some(clock) = &self.faults.clock else { return Ok(()) };
        let drift = most(&clock.drift_max_ppm);
        if most(&self.protocol.lease_us) > 0 && drift > allowed && !clock.beyond_bound {
            let problem = format!(
                "{drift} is more than protocol.clock_drift_ppm, {allowed}, on which leases rely: \
                 less is needed, or \"beyond_bound\": true"
            );
            return Err(Refusal::new("faults.clock.drift_max_ppm", problem));
        }
        Ok(())
    }

    fn check_expectation(&self) -> Result<(), Refusal> {
        let beyond_budget = self.faults.crash.as_ref().is_some_and(|crash| crash.beyond_budget);
        let stuck = self.expect == Some(Expectation::Stuck);
        if stuck && !beyond_budget {
            let problem = r#""stuck" is allowed only where faults.crash has "beyond_budget": true"#;
            return Err(Refusal::new("expect", problem));
        }
        if beyond_budget && !stuck {
            let problem = r#"true is allowed only with "expect": "stuck", for nothing else can be promised"#;
            return Err(Refusal::new("faults.crash.beyond_budget", problem));
        }
        Ok(())
    }

    /// Each client needs a session, and one more for the client that starts over.
    fn check_sessions(&self) -> Result<(), Refusal> {
        let sessions = self.protocol.sessions_max.as_ref().map_or(0, Number::highest);
        let clients = self.clients.as_ref().map_or(0, Number::lowest);
        if sessions > clients {
            return Ok(());
        }
        let problem =
            format!("{sessions} is too few for {clients} clients: at least {} is needed", clients + 1);
        Err(Refusal::new("protocol.sessions_max", problem))
    }
}

impl Schema {
    /// Refuses groups that there will never be.
    pub(super) fn check_groups(&self) -> Result<(), Refusal> {
        let (least, most) = self.groups.as_ref().map_or((1, 1), |groups| (groups.lowest(), groups.highest()));
        let refuse = |problem: &str| Err(Refusal::new("groups", problem));
        if most > 1 && self.story.is_some() {
            return refuse("a story is told of one group");
        }
        if least > 1 && self.spares.as_ref().is_some_and(|spares| spares.lowest() > 0) {
            return refuse("where there are spares there is one group");
        }
        if let Some(supervision) = &self.supervision {
            self.check_supervision()?;
            supervision.check_order()?;
        }
        if least > self.clients.as_ref().map_or(0, Number::highest) {
            return refuse("each group needs a client");
        }
        Ok(())
    }
}

impl Schema {
    /// Refuses what hosts of a supervisor do not have here.
    fn check_supervision(&self) -> Result<(), Refusal> {
        let refuse = |field: &str, problem: &str| Err(Refusal::new(field, problem));
        let most = |number: &Option<Number>| number.as_ref().map_or(0, Number::highest);
        if self.story.is_some() {
            return refuse("supervision", "a story is told of one group");
        }
        if most(&self.spares) > 0 || most(&self.witnesses) > 0 {
            return refuse("supervision", "hosts have neither spares nor witnesses: 0 is needed of both");
        }
        if let Some(name) = self.workload.as_ref().and_then(|name| name.other_than(library::NAMES)) {
            let known = library::NAMES.join(", ");
            return refuse(
                "workload",
                &format!("{name} does not run under a supervisor: expected one of {known}"),
            );
        }
        let hosts = self.replicas.as_ref().map_or(0, Number::lowest);
        if hosts < MIN_MEMBERS as u64 {
            return refuse(
                "replicas",
                &format!(
                    "{hosts} is too few: a group under a supervisor needs {MIN_MEMBERS} hosts, \
                     one for each of its members"
                ),
            );
        }
        if self.network.outlast.is_some() || self.faults.lingering.is_some() {
            return refuse("supervision", "network.outlast and faults.lingering must be null");
        }
        Ok(())
    }
}

/// Whether a group of this size has no crash within its budget.
pub(super) const fn tolerates_none(replicas: u64) -> bool {
    replicas < 3
}

impl Supervision {
    fn draw(&self, draws: &Draws) -> Result<setup::Supervision, Refusal> {
        let time = |field, number| draws.number(field, number, 1..=LONGEST);
        Ok(setup::Supervision {
            groups: Vec::new(),
            alive_interval_us: time("supervision.alive_interval_us", &self.alive_interval_us)?,
            failure_timeout_us: time("supervision.failure_timeout_us", &self.failure_timeout_us)?,
            deed_interval_mean_us: time("supervision.deed_interval_mean_us", &self.deed_interval_mean_us)?,
        })
    }

    /// A silence is one only if signs of life are more frequent.
    fn check_order(&self) -> Result<(), Refusal> {
        let alive = self.alive_interval_us.as_ref().map_or(0, Number::highest);
        let failure = self.failure_timeout_us.as_ref().map_or(0, Number::lowest);
        if alive <= failure / 4 {
            return Ok(());
        }
        let problem =
            format!("{alive} is too long: at most a quarter of supervision.failure_timeout_us is needed");
        Err(Refusal::new("supervision.alive_interval_us", problem))
    }
}

impl Network {
    fn draw(&self, draws: &Draws) -> Result<setup::Network, Refusal> {
        let mishap = |fields: [&str; 2], family| Mishap::draw(family, draws, fields);
        Ok(setup::Network {
            delay_min_us: draws.number("network.delay_min_us", &self.delay_min_us, 1..=LONGEST)?,
            delay_mean_us: draws.number("network.delay_mean_us", &self.delay_mean_us, 0..=LONGEST)?,
            tail_per_million: mishap(["network.tail.on_percent", "network.tail.per_million"], &self.tail)?,
            tail_max_us: draws.number("network.tail_max_us", &self.tail_max_us, 1..=LONGEST)?,
            loss_per_million: mishap(["network.loss.on_percent", "network.loss.per_million"], &self.loss)?,
            duplicate_per_million: mishap(
                ["network.duplicate.on_percent", "network.duplicate.per_million"],
                &self.duplicate,
            )?,
            hold_per_million: mishap(["network.hold.on_percent", "network.hold.per_million"], &self.hold)?,
            hold_max_us: draws.number("network.hold_max_us", &self.hold_max_us, 1..=LONGEST)?,
            outlast_per_million: mishap(
                ["network.outlast.on_percent", "network.outlast.per_million"],
                &self.outlast,
            )?,
            link_capacity: draws.number("network.link_capacity", &self.link_capacity, 1..=MILLION)?,
        })
    }

    /// The fault families that are named.
    fn mishaps(&self) -> impl Iterator<Item = &Mishap> {
        [&self.tail, &self.loss, &self.duplicate, &self.hold, &self.outlast].into_iter().flatten()
    }

    /// A message suffers one thing at most, so there cannot be more of them than messages.
    fn check_sum(&self) -> Result<(), Refusal> {
        let numbers = self.mishaps().filter_map(|family| family.per_million.as_ref());
        let sum: u64 = numbers.map(Number::highest).sum();
        if sum <= MILLION {
            return Ok(());
        }
        let problem = format!(
            "tail, loss, duplicate, hold and outlast befall up to {sum} messages per million together: \
             {MILLION} is allowed"
        );
        Err(Refusal::new("network", problem))
    }
}

impl Mishap {
    /// How many messages in a million it befalls; zero where the family is off.
    fn draw(family: &Option<Self>, draws: &Draws, fields: [&str; 2]) -> Result<u32, Refusal> {
        let Some(family) = family else { return Ok(0) };
        let on = draws.is_on(fields[0], family.on_percent)?;
        let per_million = draws.number(fields[1], &family.per_million, 1..=MILLION)?;
        Ok(if on { per_million } else { 0 })
    }
}

/// A number that is zero where it is left out.
fn percent(draws: &Draws, field: &str, number: &Option<Number>) -> Result<u64, Refusal> {
    number.as_ref().map_or(Ok(0), |_| draws.number(field, number, 0..=100))
}

impl Traffic {
    fn draw(&self, draws: &Draws) -> Result<setup::Traffic, Refusal> {
        Ok(setup::Traffic {
            think_mean_us: draws.number("traffic.think_mean_us", &self.think_mean_us, 0..=LONGEST)?,
            burst_mean: draws.number("traffic.burst_mean", &self.burst_mean, 0..=MILLION)?,
            idle_mean_us: draws.number("traffic.idle_mean_us", &self.idle_mean_us, 0..=LONGEST)?,
            patience_us: draws.number("traffic.patience_us", &self.patience_us, 0..=LONGEST)?,
            keys: draws.number("traffic.keys", &self.keys, 1..=1_000_000_000)?,
            fast_read_percent: percent(draws, "traffic.fast_read_percent", &self.fast_read_percent)?,
            causal_read_percent: percent(draws, "traffic.causal_read_percent", &self.causal_read_percent)?,
        })
    }
}

impl Protocol {
    fn draw(&self, draws: &Draws) -> Result<setup::Protocol, Refusal> {
        let time = |field, number| draws.number(field, number, 1..=LONGEST);
        let operations = |field, number| draws.number(field, number, 0..=MILLION);
        // What is left out is off, and moves no draw of anything else.
        let optional = |field, number: &Option<Number>, range, off: u64| {
            number.as_ref().map_or(Ok(off), |_| draws.number(field, number, range))
        };
        Ok(setup::Protocol {
            heartbeat_us: time("protocol.heartbeat_us", &self.heartbeat_us)?,
            primary_timeout_us: time("protocol.primary_timeout_us", &self.primary_timeout_us)?,
            view_change_timeout_us: time("protocol.view_change_timeout_us", &self.view_change_timeout_us)?,
            resend_us: time("protocol.resend_us", &self.resend_us)?,
            abdication_us: time("protocol.abdication_us", &self.abdication_us)?,
            backoff_limit: draws.number("protocol.backoff_limit", &self.backoff_limit, 0..=16)?,
            pipeline_max: draws.number("protocol.pipeline_max", &self.pipeline_max, 1..=MILLION)?,
            sessions_max: draws.number("protocol.sessions_max", &self.sessions_max, 1..=MILLION)?,
            request_timeout_us: time("protocol.request_timeout_us", &self.request_timeout_us)?,
            checkpoint_interval: operations("protocol.checkpoint_interval", &self.checkpoint_interval)?,
            log_margin: operations("protocol.log_margin", &self.log_margin)?,
            suffix_margin: operations("protocol.suffix_margin", &self.suffix_margin)?,
            batch_max: optional("protocol.batch_max", &self.batch_max, 1..=1_000, 1)? as u32,
            lease_us: optional("protocol.lease_us", &self.lease_us, 0..=LONGEST, 0)?,
            clock_drift_ppm: optional("protocol.clock_drift_ppm", &self.clock_drift_ppm, 0..=MILLION - 1, 0)?
                as u32,
        })
    }

    /// A timer that waits for others must be longer than the one that makes them speak.
    pub(super) fn check_order(&self) -> Result<(), Refusal> {
        let heartbeat = ("protocol.heartbeat_us", &self.heartbeat_us);
        let resend = ("protocol.resend_us", &self.resend_us);
        let orders = [
            (heartbeat, ("protocol.primary_timeout_us", &self.primary_timeout_us)),
            (resend, ("protocol.view_change_timeout_us", &self.view_change_timeout_us)),
            (resend, ("protocol.abdication_us", &self.abdication_us)),
            (
                ("protocol.lease_us", &self.lease_us),
                ("protocol.view_change_timeout_us", &self.view_change_timeout_us),
            ),
        ];
        for ((field, shorter), (other, longer)) in orders {
            let shorter = shorter.as_ref().map_or(0, Number::highest);
            let longer = longer.as_ref().map_or(0, Number::lowest);
            if shorter >= longer {
                let problem =
                    format!("{shorter} is too long: less than {other} is needed, which may be {longer}");
                return Err(Refusal::new(field, problem));
            }
        }
        Ok(())
    }
}

impl Faults {
    /// Whether any family is named.
    const fn strike(&self) -> bool {
        let Self { partition, clog, crash, pause, clock, client, lingering, reconfiguration } = self;
        partition.is_some()
            || clog.is_some()
            || crash.is_some()
            || pause.is_some()
            || clock.is_some()
            || client.is_some()
            || lingering.is_some()
            || reconfiguration.is_some()
    }

    fn draw(&self, draws: &Draws) -> Result<setup::Faults, Refusal> {
        Ok(setup::Faults {
            partition: family(&self.partition, draws, PartitionFaults::draw)?,
            clog: family(&self.clog, draws, IntervalFaults::draw_clog)?,
            crash: family(&self.crash, draws, CrashFaults::draw)?,
            pause: family(&self.pause, draws, IntervalFaults::draw_pause)?,
            clock: family(&self.clock, draws, ClockFaults::draw)?,
            client: family(&self.client, draws, ClientFaults::draw)?,
            lingering: family(&self.lingering, draws, LingeringFaults::draw)?,
            reconfiguration: family(&self.reconfiguration, draws, ReconfigurationFaults::draw)?,
        })
    }
}

/// A family that is on in this seed, or nothing. `draw` says whether it is on, and what it would be.
fn family<T, U>(
    family: &Option<T>,
    draws: &Draws,
    draw: impl Fn(&T, &Draws) -> Result<(bool, U), Refusal>,
) -> Result<Option<U>, Refusal> {
    let drawn = family.as_ref().map(|family| draw(family, draws)).transpose()?;
    Ok(drawn.and_then(|(on, faults)| on.then_some(faults)))
}

impl PartitionFaults {
    fn draw(&self, draws: &Draws) -> Result<(bool, setup::PartitionFaults), Refusal> {
        let time = |field, number| draws.number(field, number, 1..=LONGEST);
        let faults = setup::PartitionFaults {
            interval_mean_us: time("faults.partition.interval_mean_us", &self.interval_mean_us)?,
            duration_mean_us: time("faults.partition.duration_mean_us", &self.duration_mean_us)?,
            shapes: draws.selection("faults.partition.shapes", &self.shapes)?,
        };
        Ok((draws.is_on("faults.partition.on_percent", self.on_percent)?, faults))
    }
}

impl IntervalFaults {
    fn draw_clog(&self, draws: &Draws) -> Result<(bool, setup::ClogFaults), Refusal> {
        let time = |field, number| draws.number(field, number, 1..=LONGEST);
        let faults = setup::ClogFaults {
            interval_mean_us: time("faults.clog.interval_mean_us", &self.interval_mean_us)?,
            duration_mean_us: time("faults.clog.duration_mean_us", &self.duration_mean_us)?,
        };
        Ok((draws.is_on("faults.clog.on_percent", self.on_percent)?, faults))
    }

    fn draw_pause(&self, draws: &Draws) -> Result<(bool, setup::PauseFaults), Refusal> {
        let time = |field, number| draws.number(field, number, 1..=LONGEST);
        let faults = setup::PauseFaults {
            interval_mean_us: time("faults.pause.interval_mean_us", &self.interval_mean_us)?,
            duration_mean_us: time("faults.pause.duration_mean_us", &self.duration_mean_us)?,
        };
        Ok((draws.is_on("faults.pause.on_percent", self.on_percent)?, faults))
    }
}

impl CrashFaults {
    fn draw(&self, draws: &Draws) -> Result<(bool, setup::CrashFaults), Refusal> {
        let time = |field, number| draws.number(field, number, 1..=LONGEST);
        let faults = setup::CrashFaults {
            interval_mean_us: time("faults.crash.interval_mean_us", &self.interval_mean_us)?,
            downtime_mean_us: time("faults.crash.downtime_mean_us", &self.downtime_mean_us)?,
            quick_restart_per_million: draws.number(
                "faults.crash.quick_restart_per_million",
                &self.quick_restart_per_million,
                0..=MILLION,
            )?,
            targets: draws.selection("faults.crash.targets", &self.targets)?,
            beyond_budget: self.beyond_budget,
        };
        Ok((draws.is_on("faults.crash.on_percent", self.on_percent)?, faults))
    }
}

impl ClockFaults {
    fn draw(&self, draws: &Draws) -> Result<(bool, setup::ClockFaults), Refusal> {
        let time = |field, number| draws.number(field, number, 0..=LONGEST);
        let faults = setup::ClockFaults {
            offset_max_us: time("faults.clock.offset_max_us", &self.offset_max_us)?,
            drift_max_ppm: draws.number(
                "faults.clock.drift_max_ppm",
                &self.drift_max_ppm,
                0..=MILLION / 2,
            )?,
            timer_interval_mean_us: time(
                "faults.clock.timer_interval_mean_us",
                &self.timer_interval_mean_us,
            )?,
            late_mean_us: time("faults.clock.late_mean_us", &self.late_mean_us)?,
            beyond_bound: self.beyond_bound,
        };
        Ok((draws.is_on("faults.clock.on_percent", self.on_percent)?, faults))
    }
}

impl LingeringFaults {
    fn draw(&self, draws: &Draws) -> Result<(bool, setup::LingeringFaults), Refusal> {
        let shapes = draws.selection("faults.lingering.shapes", &self.shapes)?;
        let is_on = draws.is_on("faults.lingering.on_percent", self.on_percent)?;
        Ok((is_on, setup::LingeringFaults { shapes }))
    }
}

impl ReconfigurationFaults {
    fn draw(&self, draws: &Draws) -> Result<(bool, setup::ReconfigurationFaults), Refusal> {
        let field = "faults.reconfiguration.interval_mean_us";
        let interval_mean_us = draws.number(field, &self.interval_mean_us, 1..=LONGEST)?;
        let is_on = draws.is_on("faults.reconfiguration.on_percent", self.on_percent)?;
        Ok((is_on, setup::ReconfigurationFaults { interval_mean_us }))
    }
}

impl ClientFaults {
    fn draw(&self, draws: &Draws) -> Result<(bool, setup::ClientFaults), Refusal> {
        let field = "faults.client.crash_interval_mean_us";
        let faults = setup::ClientFaults {
            crash_interval_mean_us: draws.number(field, &self.crash_interval_mean_us, 1..=LONGEST)?,
        };
        Ok((draws.is_on("faults.client.on_percent", self.on_percent)?, faults))
    }
}
