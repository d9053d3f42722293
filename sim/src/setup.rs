//! A run's setup: everything that a scenario left open is decided here, nothing is left to chance but
//! what the seed's streams draw while the run goes on.

use serde::{Deserialize, Serialize};
use vr::{Configuration, ReplicaId};

use crate::stage::Story;

/// The resolved configuration of one run. Written into traces as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// The scenario's name.
    pub scenario: String,
    /// The seed of every random stream.
    pub seed: u64,
    /// Events dispatched while faults strike, at most.
    pub steps: u64,
    /// Which service runs.
    pub workload: String,
    /// Replicas in the group: 1 to 9. With several groups, the hosts that these are on.
    pub replicas: u8,
    /// Nodes that are no members at first, and may become some: 0 to 9. Without any there is no administrator.
    #[serde(default, skip_serializing_if = "has_no_spares")]
    pub spares: u8,
    /// How many of the first group are witnesses, its last ones: as many of them as the group can lose at most.
    #[serde(default, skip_serializing_if = "has_no_spares")]
    pub witnesses: u8,
    /// Clients at work at a time: 1 to 64.
    pub clients: u16,
    /// The groups, if there are several; with one only it is on all hosts, and everything here is about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// The supervisor, if there is one. Then `replicas` says how many hosts there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervision: Option<Supervision>,
    /// Delays and what befalls single messages.
    pub network: Network,
    /// How clients behave.
    pub traffic: Traffic,
    /// The protocol's timing and bounds.
    pub protocol: Protocol,
    /// Which fault families are on, and how they strike.
    pub faults: Faults,
    /// What must be true in the end.
    pub expect: Expectation,
    /// What happens in place of chance, if it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub story: Option<Story>,
}

impl Setup {
    /// Whether reads rest on leases, and clocks are to keep to the bound that leases allow for.
    #[must_use]
    pub fn relies_on_clocks(&self) -> bool {
        self.protocol.lease_us > 0 && !self.faults.clock.as_ref().is_some_and(|clock| clock.beyond_bound)
    }
}

/// A supervisor on all hosts, and what a user asks of it. See [`vr::host`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Supervision {
    /// The groups that are started at first.
    pub groups: Vec<Group>,
    /// How often a host shows that it is alive, in microseconds.
    pub alive_interval_us: u64,
    /// After which silence a host is replaced, in microseconds.
    pub failure_timeout_us: u64,
    /// The mean time between two deeds of the user, in microseconds.
    pub deed_interval_mean_us: u64,
}

impl Supervision {
    /// One client less, that in a slot.
    pub fn dismiss(&mut self, slot: u16) {
        let mut end = 0;
        let employer = self.groups.iter_mut().find(|group| {
            end += group.clients;
            slot < end
        });
        if let Some(employer) = employer {
            employer.clients -= 1;
        }
    }
}

/// A group among several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The hosts that have a replica of it, in order: all, or three or five of them.
    pub hosts: Vec<u8>,
    /// How many of the clients are its own.
    pub clients: u16,
}

/// What befalls single messages. Probabilities are parts per million of the messages sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// The least delay, in microseconds.
    pub delay_min_us: u64,
    /// The mean of the exponential delay on top, in microseconds.
    pub delay_mean_us: u64,
    /// How many messages take very long.
    pub tail_per_million: u32,
    /// The longest that those take, in microseconds: drawn log-uniformly up to here.
    pub tail_max_us: u64,
    /// How many messages are lost.
    pub loss_per_million: u32,
    /// How many messages arrive twice, the copy possibly much later.
    pub duplicate_per_million: u32,
    /// How many messages that change views, recover replicas or transfer state are kept back.
    pub hold_per_million: u32,
    /// The longest that a message is kept back, in microseconds: drawn log-uniformly up to here.
    pub hold_max_us: u64,
    /// How many messages between replicas arrive views later: when their receiver has become normal in a
    /// view up to one round of the primaries, and one more, later than theirs.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub outlast_per_million: u32,
    /// How many messages fit into one direction of a link; more are dropped.
    pub link_capacity: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
const fn has_no_spares(spares: &u8) -> bool {
    *spares == 0
}

impl Setup {
    /// How many replicas there can be: the first group and the spares, or those of all groups.
    #[must_use]
    pub fn nodes(&self) -> u8 {
        if self.groups.is_empty() {
            return self.replicas + self.spares;
        }
        self.groups.iter().map(|group| group.hosts.len() as u8).sum()
    }

    /// The group of the first epoch.
    ///
    /// # Panics
    /// If there are no replicas, or more than a group can have.
    #[must_use]
    pub fn first_group(&self) -> Configuration {
        let group = Configuration::new(self.replicas.into()).expect("a validated group size");
        let witnesses = usize::from(self.witnesses).min(group.failures_tolerated()) as u8;
        let last = (self.replicas - witnesses..self.replicas).map(ReplicaId);
        group.with_witnesses(last).expect("members, and not too many")
    }

    /// How many clients have a slot: those at work, and the administrator if there is one.
    #[must_use]
    pub const fn client_slots(&self) -> u16 {
        self.clients + self.administrator().is_some() as u16
    }

    /// The slot of the administrator, who asks for reconfigurations, or of the supervisor's user: after those of the
    /// clients.
    #[must_use]
    pub const fn administrator(&self) -> Option<u16> {
        if self.spares > 0 || self.supervision.is_some() { Some(self.clients) } else { None }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// How clients behave: bursts of requests with short pauses, then an idle gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    /// The mean pause between two requests of a burst, in microseconds; zero for none.
    pub think_mean_us: u64,
    /// The mean number of requests in a burst; zero for one burst without end.
    pub burst_mean: u64,
    /// The mean gap between bursts, in microseconds.
    pub idle_mean_us: u64,
    /// After how long without an answer a client gives its request up and starts over with a new
    /// session, in microseconds; zero for never.
    pub patience_us: u64,
    /// How many keys (accounts, locks, …) the operations are spread over: at least 1.
    pub keys: u64,
    /// Of the operations that only observe, how many in a hundred are asked as reads of the primary.
    #[serde(default, skip_serializing_if = "is_none")]
    pub fast_read_percent: u64,
    /// The same for causal reads.
    #[serde(default, skip_serializing_if = "is_none")]
    pub causal_read_percent: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
const fn is_none(number: &u64) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
const fn is_one(number: &u32) -> bool {
    *number == 1
}

const fn one() -> u32 {
    1
}

/// Timing and bounds of the protocol, in microseconds: see `vr::Options` and `vr::ClientOptions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "documented at vr::Options")]
pub struct Protocol {
    pub heartbeat_us: u64,
    pub primary_timeout_us: u64,
    pub view_change_timeout_us: u64,
    pub resend_us: u64,
    pub abdication_us: u64,
    pub backoff_limit: u32,
    pub pipeline_max: u32,
    pub sessions_max: u32,
    pub request_timeout_us: u64,
    /// Traces from before there were checkpoints have none.
    #[serde(default)]
    pub checkpoint_interval: u64,
    #[serde(default)]
    pub log_margin: u64,
    #[serde(default = "whole_log")]
    pub suffix_margin: u64,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub batch_max: u32,
    #[serde(default, skip_serializing_if = "is_none")]
    pub lease_us: u64,
    /// Without leases it means nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub clock_drift_ppm: u32,
}

/// A margin that no run's log exceeds.
const fn whole_log() -> u64 {
    1_000_000
}

/// The fault families; one that is absent is off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// Links that carry nothing for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<PartitionFaults>,
    /// Links that keep everything for a while and then let it go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clog: Option<ClogFaults>,
    /// Replicas that lose their memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crash: Option<CrashFaults>,
    /// Nodes that stand still while time goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<PauseFaults>,
    /// Clocks that are wrong, timers that fire early or late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockFaults>,
    /// Clients that crash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientFaults>,
    /// A cut that stays when everything else stops, and in spite of which there must be progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lingering: Option<LingeringFaults>,
    /// An administrator who asks for other groups. Off where there are no spares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconfiguration: Option<ReconfigurationFaults>,
}

/// How the administrator works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReconfigurationFaults {
    /// The mean time between two deeds of the administrator, in microseconds.
    pub interval_mean_us: u64,
}

/// How partitions strike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionFaults {
    /// The mean time between two partitions, in microseconds.
    pub interval_mean_us: u64,
    /// The mean time that one lasts, in microseconds. Partitions may overlap.
    pub duration_mean_us: u64,
    /// The shapes that occur: at least one.
    pub shapes: Vec<PartitionShape>,
}

/// How a partition divides the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartitionShape {
    /// One replica is cut off from the other replicas.
    IsolateOne,
    /// The primary (of the latest view) is cut off from the other replicas.
    IsolatePrimary,
    /// Two groups of replicas that do not hear each other.
    SplitInTwo,
    /// Three groups of replicas that do not hear each other.
    SplitInThree,
    /// Everyone hears a majority, and no two the same one: each replica hears its neighbours on a ring.
    MajorityRing,
    /// Two halves that are joined by one replica only.
    Bridge,
    /// One direction between one replica and all others is dead.
    OneWay,
    /// One direction of one link is dead.
    OneWayLink,
    /// A client is cut off from some of the replicas.
    ClientCut,
}

impl PartitionShape {
    /// All shapes.
    pub const ALL: [Self; 9] = [
        Self::IsolateOne,
        Self::IsolatePrimary,
        Self::SplitInTwo,
        Self::SplitInThree,
        Self::MajorityRing,
        Self::Bridge,
        Self::OneWay,
        Self::OneWayLink,
        Self::ClientCut,
    ];
}

/// How links clog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClogFaults {
    /// The mean time between two clogs, in microseconds.
    pub interval_mean_us: u64,
    /// The mean time that one lasts, in microseconds.
    pub duration_mean_us: u64,
}

/// How replicas crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrashFaults {
    /// The mean time between two crashes, in microseconds.
    pub interval_mean_us: u64,
    /// The mean time until the restart, in microseconds.
    pub downtime_mean_us: u64,
    /// How many restarts are quicker than any timeout, in parts per million.
    pub quick_restart_per_million: u32,
    /// Whom crashes aim at: at least one.
    pub targets: Vec<CrashTarget>,
    /// Whether more replicas may be without their memory at a time than the protocol can stand.
    pub beyond_budget: bool,
}

/// Whom a crash aims at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrashTarget {
    /// Any replica.
    Random,
    /// The primary of the latest view.
    Primary,
    /// The primary of the view after that.
    NextPrimary,
    /// Whoever sends the next DoViewChange, right after it left.
    AfterDoViewChange,
    /// A replica that recovers, once its Recovery has left: it starts over.
    DuringRecovery,
    /// The primary, when the acknowledgement that would make a quorum is on its way to it.
    BeforeQuorum,
    /// Whoever answers the next Recovery, right after the answer left.
    AfterRecoveryResponse,
    /// Whoever starts the next view, right after the first StartView left.
    AfterStartView,
}

impl CrashTarget {
    /// All targets.
    pub const ALL: [Self; 8] = [
        Self::Random,
        Self::Primary,
        Self::NextPrimary,
        Self::AfterDoViewChange,
        Self::DuringRecovery,
        Self::BeforeQuorum,
        Self::AfterRecoveryResponse,
        Self::AfterStartView,
    ];
}

/// How nodes pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseFaults {
    /// The mean time between two pauses, in microseconds.
    pub interval_mean_us: u64,
    /// The mean time that one lasts, in microseconds.
    pub duration_mean_us: u64,
}

/// How clocks are wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockFaults {
    /// The largest offset of a node's clock, in microseconds.
    pub offset_max_us: u64,
    /// The largest deviation of a clock's rate, in parts per million.
    pub drift_max_ppm: u32,
    /// The mean time between two timers that fire early (the clock jumps ahead to the deadline) or late,
    /// in microseconds; zero for never.
    pub timer_interval_mean_us: u64,
    /// The mean time by which a timer is late, in microseconds.
    pub late_mean_us: u64,
    /// Whether clocks may also be wrong by more than leases allow for. If not, no clock of a replica with leases jumps
    /// ahead, and none drifts by more than `clock_drift_ppm`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub beyond_bound: bool,
}

/// How clients crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientFaults {
    /// The mean time between two crashes of a client, in microseconds. It starts over with a new session.
    pub crash_interval_mean_us: u64,
}

/// What stays when the faults stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LingeringFaults {
    /// The shapes that occur: at least one.
    pub shapes: Vec<LingeringShape>,
}

/// A cut that the group can stand for ever, as long as a replica can be spared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LingeringShape {
    /// The primary is heard by all and hears no other replica, and in half of the cases no client either.
    DeafPrimary,
    /// The same, of any replica.
    DeafReplica,
    /// The primary and the clients do not hear each other.
    ClientsCutOff,
    /// One replica is not heard by the primary, but hears it.
    OneWayLink,
}

impl LingeringShape {
    /// All shapes.
    pub const ALL: [Self; 4] = [Self::DeafPrimary, Self::DeafReplica, Self::ClientsCutOff, Self::OneWayLink];
}

/// What must be true in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expectation {
    /// Once faults stop, everything is answered and everybody agrees.
    Progress,
    /// More memory was lost than the group can stand: it must stop answering, and never have answered
    /// wrong. If the faults happened not to exceed the budget, progress is expected.
    Stuck,
    /// Progress; and while faults strike, no more view changes than crashes. To be asked for where messages
    /// are lost so rarely, and timeouts are so long, that something is always sent again in time.
    Steady,
}
