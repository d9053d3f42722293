//! Counters: how often each fault struck and each rare path was taken. A run that reaches nothing proves
//! nothing, so a sweep can demand that all are above zero.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vr::{Ignored, RarePath, Refusal};

use crate::faults::Action;
use crate::hosts::{Answer, Order};
use crate::network::Fate;
use crate::packet::Kind;
use crate::setup::{CrashTarget, LingeringShape, PartitionShape};

/// Declares the marks that the simulator itself sets.
macro_rules! moments {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What the simulator sees from outside and what matters to have seen.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Moment {
            $($(#[$doc])* $name,)*
        }

        impl Moment {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

moments! {
    /// A replica crashed.
    Crash,
    /// A replica started again.
    Restart,
    /// A recovery came to its end.
    Recovery,
    /// A replica started again before any timeout could notice that it was gone.
    QuickRestart,
    /// A replica crashed while it recovered.
    CrashWhileRecovering,
    /// A crash was refused, because the group could not have stood it.
    CrashRefused,
    /// More replicas lost their memory than the group can stand.
    BudgetExceeded,
    /// A replica started to recover while another one was changing views.
    RecoveryDuringViewChange,
    /// Two replicas were normal primaries at the same time, in different views.
    TwoPrimaries,
    /// A replica that had been primary came back to a later view.
    OldPrimaryCaughtUp,
    /// A message arrived after its sender had crashed and come back.
    DeliveredFromEarlierLife,
    /// A message came to a node that is down, or a client that is gone.
    DeliveredToNobody,
    /// A message waited for a paused node.
    DeliveredAfterPause,
    /// A client gave its request up.
    RequestAbandoned,
    /// A client crashed with a request outstanding.
    ClientCrashedWaiting,
    /// A client was told that its session was evicted.
    ClientEvicted,
    /// A client sent a request again, to all.
    RequestRetried,
    /// The core that had to make progress after the faults was smaller than the group.
    SmallCore,
    /// A member of that core had to recover.
    CoreRecovers,
    /// A replica took a checkpoint.
    CheckpointTaken,
    /// A replica dropped the beginning of its log.
    LogCompacted,
    /// The administrator asked for another group.
    ReconfigurationRequested,
    /// An administrator took over from one who waited for an answer.
    AdministratorReplaced,
    /// The administrator was told that an epoch has begun.
    EpochBegun,
    /// The administrator was told that an epoch has started.
    EpochStarted,
    /// An epoch began for the first time anywhere.
    FirstInEpoch,
    /// A replica that had been replaced stopped.
    ReplicaStopped,
    /// A replica entered an epoch while it was changing views.
    EpochDuringViewChange,
    /// A reconfiguration was refused: the epoch is another one.
    RefusedOtherEpoch,
    /// A reconfiguration was refused: the group would be too small.
    RefusedTooSmall,
    /// A reconfiguration was refused: the group would be the same.
    RefusedNothingNew,
    /// A reconfiguration was refused: another one is under way.
    RefusedUnderWay,
    /// A reconfiguration was refused: the epoch has not started yet.
    RefusedNotStarted,
    /// A reconfiguration was refused: a member would change between active and witness.
    RefusedOtherSide,
    /// A client gave a read up that nobody answered, and asked through the log.
    ReadTurnedToLog,
    /// A host crashed with replicas of several groups on it.
    CrashOfSeveralGroups,
    /// Two groups had their primaries on different hosts.
    PrimariesApart,
    /// A run began with a group that is on some of the hosts only.
    GroupOnSomeHosts,
    /// A host began anew with a replica of a group, on a clean ticket.
    BegunByTicket,
    /// A host drew a ticket that is not clean, and its replica recovered.
    RecoveredByTicket,
    /// A host dropped a replica that its group needs no more.
    ReplicaDropped,
    /// The supervisor started a group.
    GroupStarted,
    /// The supervisor stopped a group.
    GroupStopped,
    /// The supervisor decided that a group is to move, because a user asked for it.
    MoveDecided,
    /// The supervisor decided that hosts which seem to be dead are to be replaced.
    ReplacementDecided,
    /// The supervisor heard that a group has moved.
    MoveRecorded,
    /// A host gave its ticket back.
    TicketGivenBack,
    /// The supervisor refused what it was asked for.
    OrderRefused,
    /// A host with the supervisor's primary crashed while a group was to move.
    SupervisorCrashedInMove,
    /// A client was told that its group was stopped.
    ClientToldOfStop,
    /// A host was lost for good when the faults stopped.
    HostLost,
    /// Other hosts took the places of those that were lost for good, in all groups that could spare them.
    LostHostReplaced,
}

/// The counters of a run, or of many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    moments: [u64; Moment::ALL.len()],
    rare: [u64; RarePath::ALL.len()],
    ignored: [u64; Ignored::ALL.len()],
    cuts: BTreeMap<PartitionShape, u64>,
    crashes: BTreeMap<CrashTarget, u64>,
    lingering: BTreeMap<LingeringShape, u64>,
    faults: [u64; FAULTS.len()],
    /// Messages sent, by kind.
    pub sent: [u64; Kind::ALL.len()],
    /// Messages delivered.
    pub delivered: u64,
    /// Messages dropped because their link was cut.
    pub cut: u64,
    /// Operations that clients know to be executed.
    pub answered: u64,
}

const FAULTS: [&str; 13] = [
    "lost",
    "late",
    "held",
    "duplicated",
    "overflow",
    "cut",
    "clogged",
    "pause",
    "early-timer",
    "late-timer",
    "client-crash",
    "clogged-link",
    "outlasting",
];

/// What befell a single message or node, by its place in the table of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Fault {
    Lost,
    Late,
    Held,
    Duplicated,
    Overflow,
    Cut,
    Clogged,
    Pause,
    EarlyTimer,
    LateTimer,
    ClientCrash,
    CloggedLink,
    Outlasting,
}

impl Default for Marks {
    fn default() -> Self {
        Self {
            moments: [0; Moment::ALL.len()],
            rare: [0; RarePath::ALL.len()],
            ignored: [0; Ignored::ALL.len()],
            cuts: BTreeMap::new(),
            crashes: BTreeMap::new(),
            lingering: BTreeMap::new(),
            faults: [0; FAULTS.len()],
            sent: [0; Kind::ALL.len()],
            delivered: 0,
            cut: 0,
            answered: 0,
        }
    }
}

/// How many kinds of events [`Marks::rare_events`] counts.
pub const RARE_EVENTS: usize = Moment::ALL.len() + RarePath::ALL.len();

impl Marks {
    /// How often each moment was seen and each rare path taken.
    #[must_use]
    pub fn rare_events(&self) -> [u64; RARE_EVENTS] {
        let mut counts = [0; RARE_EVENTS];
        let (moments, rare) = counts.split_at_mut(Moment::ALL.len());
        moments.copy_from_slice(&self.moments);
        rare.copy_from_slice(&self.rare);
        counts
    }

    /// Counts a moment.
    #[inline]
    pub const fn moment(&mut self, moment: Moment) {
        self.moments[moment as usize] += 1;
    }

    /// How often a moment was seen.
    #[must_use]
    pub const fn count(&self, moment: Moment) -> u64 {
        self.moments[moment as usize]
    }

    /// Counts a rare path.
    #[inline]
    pub const fn rare(&mut self, path: RarePath) {
        self.rare[path as usize] += 1;
    }

    /// Counts an ignored message.
    #[inline]
    pub const fn ignored(&mut self, reason: Ignored) {
        self.ignored[reason as usize] += 1;
    }

    /// Counts a fault.
    #[inline]
    pub const fn fault(&mut self, fault: Fault) {
        self.faults[fault as usize] += 1;
    }

    /// How often a fault struck.
    #[must_use]
    pub const fn faults(&self, fault: Fault) -> u64 {
        self.faults[fault as usize]
    }

    /// Counts the fate of a message.
    #[inline]
    pub const fn fate(&mut self, fate: Fate) {
        self.fault(match fate {
            Fate::Lost => Fault::Lost,
            Fate::Late(_) => Fault::Late,
            Fate::Held(_) => Fault::Held,
            Fate::Twice(_) => Fault::Duplicated,
            Fate::Outlasting(_) => Fault::Outlasting,
        });
    }

    /// Counts an action.
    pub fn action(&mut self, action: &Action) {
        match action {
            Action::Cut { shape, .. } => {
                self.fault(Fault::Cut);
                *self.cuts.entry(*shape).or_default() += 1;
            }
            Action::Crash { target, .. } => *self.crashes.entry(*target).or_default() += 1,
            Action::Clog { .. } => self.fault(Fault::CloggedLink),
            Action::Pause { .. } => self.fault(Fault::Pause),
            Action::FireEarly { .. } => self.fault(Fault::EarlyTimer),
            Action::FireLate { .. } => self.fault(Fault::LateTimer),
            Action::CrashClient { .. } => self.fault(Fault::ClientCrash),
            Action::Sever { .. } => self.fault(Fault::Cut),
            Action::Halt { .. } => self.fault(Fault::Pause),
            Action::Reconfigure { .. } => self.moment(Moment::ReconfigurationRequested),
            Action::WarmUp { .. }
            | Action::Ask(_)
            | Action::SetRate { .. }
            | Action::Mend { .. }
            | Action::Kill { .. }
            | Action::Restart { .. }
            | Action::Resume { .. } => {}
        }
    }

    /// Counts a reconfiguration that was refused.
    pub fn refused(&mut self, reason: Refusal) {
        self.moment(match reason {
            // No run is so long, and no client of a supervisor's groups asks that of them.
            Refusal::NoMoreEpochs | Refusal::Supervised => return,
            Refusal::OtherEpoch => Moment::RefusedOtherEpoch,
            Refusal::TooSmall => Moment::RefusedTooSmall,
            Refusal::NothingNew => Moment::RefusedNothingNew,
            Refusal::UnderWay => Moment::RefusedUnderWay,
            Refusal::NotStarted => Moment::RefusedNotStarted,
            Refusal::OtherSide => Moment::RefusedOtherSide,
        });
    }

    /// Counts what the supervisor was asked for and has done.
    pub fn supervised(&mut self, order: &Order, answer: &Answer) {
        let moment = match (order, answer) {
            (_, Answer::Refused(_)) => Moment::OrderRefused,
            (Order::Start { .. }, _) => Moment::GroupStarted,
            (Order::Stop { .. }, _) => Moment::GroupStopped,
            (Order::Move { .. }, _) => Moment::MoveDecided,
            (Order::Replace { .. }, Answer::Decided(groups)) if !groups.is_empty() => {
                Moment::ReplacementDecided
            }
            (Order::Moved { .. }, _) => Moment::MoveRecorded,
            (Order::Leave { .. }, _) => Moment::TicketGivenBack,
            _ => return,
        };
        self.moment(moment);
    }

    /// Counts a fault that stays.
    pub fn lingers(&mut self, shape: LingeringShape) {
        *self.lingering.entry(shape).or_default() += 1;
    }

    /// Messages sent, of all kinds.
    #[must_use]
    pub fn messages_sent(&self) -> u64 {
        self.sent.iter().sum()
    }

    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Self) {
        let add =
            |own: &mut [u64], other: &[u64]| own.iter_mut().zip(other).for_each(|(own, other)| *own += other);
        add(&mut self.moments, &other.moments);
        add(&mut self.rare, &other.rare);
        add(&mut self.ignored, &other.ignored);
        add(&mut self.faults, &other.faults);
        add(&mut self.sent, &other.sent);
        other.cuts.iter().for_each(|(&shape, count)| *self.cuts.entry(shape).or_default() += count);
        other.crashes.iter().for_each(|(&target, count)| *self.crashes.entry(target).or_default() += count);
        other.lingering.iter().for_each(|(&shape, n)| *self.lingering.entry(shape).or_default() += n);
        self.delivered += other.delivered;
        self.cut += other.cut;
        self.answered += other.answered;
    }

    /// Every counter with its name, in a fixed order, in groups: `fault:`, `partition:`, `crash:`,
    /// `lingering:`, `moment:`, `path:`, `ignored:`, `sent:`.
    #[must_use]
    pub fn all(&self) -> Vec<(String, u64)> {
        let mut all: Vec<(String, u64)> = Vec::new();
        let mut group = |prefix: &str, counts: Vec<(String, u64)>| {
            all.extend(counts.into_iter().map(|(name, count)| (format!("{prefix}:{name}"), count)));
        };
        group("fault", FAULTS.iter().map(|name| (*name).to_owned()).zip(self.faults).collect());
        let shapes = PartitionShape::ALL.iter();
        group(
            "partition",
            shapes.map(|shape| (kebab(shape), self.cuts.get(shape).copied().unwrap_or(0))).collect(),
        );
        let targets = CrashTarget::ALL.iter();
        group(
            "crash",
            targets.map(|target| (kebab(target), self.crashes.get(target).copied().unwrap_or(0))).collect(),
        );
        let shapes = LingeringShape::ALL.iter();
        group(
            "lingering",
            shapes.map(|shape| (kebab(shape), self.lingering.get(shape).copied().unwrap_or(0))).collect(),
        );
        group("moment", Moment::ALL.iter().map(kebab).zip(self.moments).collect());
        group("path", RarePath::ALL.iter().map(kebab).zip(self.rare).collect());
        group("ignored", Ignored::ALL.iter().map(kebab).zip(self.ignored).collect());
        group("sent", Kind::ALL.iter().map(kebab).zip(self.sent).collect());
        all
    }
}

/// `CamelCase` as `kebab-case`.
fn kebab(name: &impl std::fmt::Debug) -> String {
    let mut kebab = String::new();
    for letter in format!("{name:?}").chars() {
        if letter.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.extend(letter.to_lowercase());
    }
    kebab
}

// ---- As JSON -----------------------------------------------------------------------------------------

/// The names of all counters, in the order of [`Marks::all`].
static NAMES: LazyLock<Vec<String>> =
    LazyLock::new(|| Marks::default().all().into_iter().map(|(name, _)| name).collect());
/// Their places in that order.
static PLACES: LazyLock<BTreeMap<&str, usize>> =
    LazyLock::new(|| NAMES.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect());

impl Marks {
    /// All counters, in the order of [`all`](Self::all).
    fn counts(&self) -> impl Iterator<Item = u64> {
        let cuts = PartitionShape::ALL.iter().map(|shape| self.cuts.get(shape).copied().unwrap_or(0));
        let crashes = CrashTarget::ALL.iter().map(|target| self.crashes.get(target).copied().unwrap_or(0));
        let lingering =
            LingeringShape::ALL.iter().map(|shape| self.lingering.get(shape).copied().unwrap_or(0));
        let rest = [&self.moments[..], &self.rare, &self.ignored, &self.sent].into_iter().flatten().copied();
        self.faults.into_iter().chain(cuts).chain(crashes).chain(lingering).chain(rest)
    }

    /// The counter at a place in that order.
    fn counter(&mut self, place: usize) -> Option<&mut u64> {
        let cuts = FAULTS.len();
        let crashes = cuts + PartitionShape::ALL.len();
        let lingering = crashes + CrashTarget::ALL.len();
        let rest = lingering + LingeringShape::ALL.len();
        if place < cuts {
            return self.faults.get_mut(place);
        } else if place < crashes {
            return Some(self.cuts.entry(PartitionShape::ALL[place - cuts]).or_default());
        } else if place < lingering {
            return Some(self.crashes.entry(CrashTarget::ALL[place - crashes]).or_default());
        } else if place < rest {
            return Some(self.lingering.entry(LingeringShape::ALL[place - lingering]).or_default());
        }
        let groups = [&mut self.moments[..], &mut self.rare, &mut self.ignored, &mut self.sent];
        groups.into_iter().flatten().nth(place - rest)
    }

    /// The counter with this name: one of [`all`](Self::all), `delivered`, `cut` or `answered`.
    fn named(&mut self, name: &str) -> Option<&mut u64> {
        match name {
            "delivered" => Some(&mut self.delivered),
            "cut" => Some(&mut self.cut),
            "answered" => Some(&mut self.answered),
            _ => self.counter(*PLACES.get(name)?),
        }
    }
}

/// An object of the counters above zero, by their names.
impl Serialize for Marks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sums = [("delivered", self.delivered), ("cut", self.cut), ("answered", self.answered)];
        let named = NAMES.iter().map(String::as_str).zip(self.counts());
        serializer.collect_map(sums.into_iter().chain(named).filter(|(_, count)| *count > 0))
    }
}

impl<'de> Deserialize<'de> for Marks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ByName)
    }
}

struct ByName;

impl<'de> Visitor<'de> for ByName {
    type Value = Marks;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("counters by their names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Marks, A::Error> {
        let mut marks = Marks::default();
        while let Some((name, count)) = map.next_entry::<Cow<'_, str>, u64>()? {
            match marks.named(&name) {
                Some(counter) => *counter = count,
                None => return Err(A::Error::custom(format_args!("there is no mark `{name}`"))),
            }
        }
        Ok(marks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_a_name_of_its_own() {
        let names: Vec<String> = Marks::default().all().into_iter().map(|(name, _)| name).collect();
        let mut unique = names.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), names.len());
        assert!(names.contains(&"path:stale-vote-discarded".to_owned()));
        assert!(names.contains(&"crash:after-do-view-change".to_owned()));
    }

    #[test]
    fn counters_survive_as_json() {
        let mut marks = Marks { delivered: 1, cut: 2, answered: 3, ..Marks::default() };
        let places = NAMES.len();
        (0..places).for_each(|place| *marks.counter(place).unwrap() = 100 + place as u64);
        assert_eq!(marks.counter(places), None);
        assert!(marks.all().into_iter().map(|(_, count)| count).eq(100..100 + places as u64));
        assert!(marks.counts().eq(100..100 + places as u64));
        let text = serde_json::to_string(&marks).unwrap();
        assert_eq!(serde_json::from_str::<Marks>(&text).unwrap(), marks);
        assert_eq!(serde_json::to_string(&Marks::default()).unwrap(), "{}");
        let wrong = serde_json::from_str::<Marks>("{\"path:none\":1}").unwrap_err().to_string();
        assert!(wrong.starts_with("there is no mark `path:none`"), "{wrong}");
    }

    #[test]
    fn tables_and_enumerations_are_in_the_same_order() {
        assert!(RarePath::ALL.iter().enumerate().all(|(index, &path)| path as usize == index));
        assert_eq!(FAULTS[Fault::CloggedLink as usize], "clogged-link");
        assert_eq!(FAULTS[Fault::EarlyTimer as usize], "early-timer");
        assert_eq!(FAULTS[Fault::Outlasting as usize], "outlasting");
    }
}
