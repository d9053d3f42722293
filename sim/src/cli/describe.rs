//! What is run, and what came of it, in a few aligned lines.

use std::ops::Range;
use std::time::Duration;

use crate::bugs::Bug;
use crate::groups::Placement;
use crate::marks::{Fault, Marks, Moment};
use crate::setup::{
    ClientFaults, ClockFaults, ClogFaults, CrashFaults, Expectation, Faults, Group, LingeringFaults, Network,
    PartitionFaults, PauseFaults, Protocol, Setup, Supervision, Traffic,
};
use crate::stage::Story;

use super::text::{self, count, items, line, list, micros, of, percent};

/// The groups of counters that a sweep is expected to reach.
const EXPECTED_GROUPS: [&str; 5] = ["fault", "partition", "crash", "moment", "path"];

/// Describes a setup.
pub(crate) fn setup(page: &mut String, setup: &Setup, bug: Option<&Bug>) {
    line(page, "scenario", &setup.scenario);
    line(page, "seed", &setup.seed.to_string());
    if let Some(bug) = bug {
        line(page, "bug", &format!("{}: {}", bug.name, bug.what));
    }
    who(page, setup);
    if let Some(story) = &setup.story {
        line(page, "workload", &setup.workload);
        let fixed = || format!("every message takes {}", micros(setup.network.delay_min_us));
        let delay = if setup.network.delay_mean_us == 0 { fixed() } else { delay(&setup.network) };
        line(page, "network", &delay);
        return line(page, "steps", &format!("{} are told", count(story.sentences().len() as u64)));
    }
    items(page, "workload", &workload(&setup.workload, &setup.traffic), ", ");
    let features = features(&setup.protocol);
    if !features.is_empty() {
        items(page, "protocol", &features, ", ");
    }
    items(page, "network", &network(&setup.network), ", ");
    for (index, fault) in faults(&setup.faults).iter().enumerate() {
        items(page, if index == 0 { "faults" } else { "" }, fault, ", ");
    }
    line(page, "steps", &format!("{} under faults, then they stop", count(setup.steps)));
    match setup.expect {
        Expectation::Progress => {}
        Expectation::Stuck => line(page, "expected", "no answers once too much memory was lost"),
        Expectation::Steady => line(page, "expected", "no more view changes than crashes"),
    }
}

/// Who takes part, and where.
fn who(page: &mut String, setup: &Setup) {
    let clients = of(setup.clients.into(), ("client", "clients"));
    let hosts = format!("{}, {clients}", setup.replicas);
    if let Some(supervision) = &setup.supervision {
        line(page, "hosts", &hosts);
        items(page, "supervision", &supervised(supervision), ", ");
        started_groups(page, setup, supervision);
    } else if setup.groups.is_empty() {
        items(page, "group", &members(setup, clients), ", ");
    } else {
        line(page, "hosts", &hosts);
        groups(page, setup);
    }
}

fn members(setup: &Setup, clients: String) -> Vec<String> {
    let mut parts = vec![of(setup.replicas.into(), ("replica", "replicas"))];
    if setup.witnesses > 0 {
        parts.push(of(setup.witnesses.into(), ("of them a witness", "of them witnesses")));
    }
    if setup.spares > 0 {
        parts.push(of(setup.spares.into(), ("spare node", "spare nodes")));
    }
    parts.push(clients);
    parts
}

/// What is on of all that a group can do without.
fn features(protocol: &Protocol) -> Vec<String> {
    let mut parts = Vec::new();
    if protocol.checkpoint_interval > 0 {
        parts.push(match protocol.checkpoint_interval {
            1 => "a checkpoint after each operation".to_owned(),
            interval => format!("a checkpoint every {} operations", count(interval)),
        });
    }
    if protocol.batch_max > 1 {
        parts.push(format!("batches of up to {}", count(protocol.batch_max.into())));
    }
    if protocol.lease_us > 0 {
        parts.push(format!("leases of {}", micros(protocol.lease_us)));
    }
    parts
}

/// Where each of several groups is.
fn groups(page: &mut String, setup: &Setup) {
    let placement = Placement::new(setup);
    for (number, group) in setup.groups.iter().enumerate() {
        let replicas = placement.numbers(number);
        let replicas = names('r', replicas.start.into()..replicas.end.into());
        let clients = names('c', placement.clients(number));
        let label = if number == 0 { "groups" } else { "" };
        line(page, label, &format!("g{number}  {replicas} on {}, {clients}", hosts(group, setup)));
    }
}

/// What hosts and the user of a supervisor keep to.
fn supervised(supervision: &Supervision) -> Vec<String> {
    let Supervision { alive_interval_us, failure_timeout_us, deed_interval_mean_us, .. } = supervision;
    vec![
        format!("a sign of life every {}", micros(*alive_interval_us)),
        format!("replaced after {} without", micros(*failure_timeout_us)),
        format!("the user asks for something every {}", micros(*deed_interval_mean_us)),
    ]
}

/// Where each of the groups is that the supervisor is asked to start at first: its own has number 0.
fn started_groups(page: &mut String, setup: &Setup, supervision: &Supervision) {
    let mut clients = 0..0;
    for (index, group) in supervision.groups.iter().enumerate() {
        clients = clients.end..clients.end + group.clients;
        let (label, number) = (if index == 0 { "groups" } else { "" }, index + 1);
        let (hosts, clients) = (hosts(group, setup), names('c', clients.clone()));
        line(page, label, &format!("g{number}  at first on {hosts}, {clients}"));
    }
}

fn hosts(group: &Group, setup: &Setup) -> String {
    if group.hosts.len() == usize::from(setup.replicas) {
        return "all hosts".to_owned();
    }
    format!("hosts {}", list(&group.hosts))
}

/// Nodes that are numbered one after the other.
fn names(letter: char, numbers: Range<u16>) -> String {
    match numbers.len() {
        0 => "none".to_owned(),
        1 => format!("{letter}{}", numbers.start),
        _ => format!("{letter}{} to {letter}{}", numbers.start, numbers.end - 1),
    }
}

/// The steps of a story that were passed, each with its time; then the one at which it ended, if it did.
pub(crate) fn told(page: &mut String, story: &Story, passed: &[u64]) {
    for (index, sentence) in story.sentences().iter().enumerate().take(passed.len() + 1) {
        let time = passed.get(index).map_or_else(|| "not passed".to_owned(), |&time| text::millis(time));
        page.push_str(&format!("{:>4}. {time:>14}  {sentence}\n", index + 1));
    }
}

fn workload(name: &str, traffic: &Traffic) -> Vec<String> {
    let mut parts = vec![name.to_owned(), of(traffic.keys, ("key", "keys"))];
    parts.push(match traffic.think_mean_us {
        0 => "no pause between requests".to_owned(),
        mean => format!("{} between requests", micros(mean)),
    });
    parts.push(match traffic.burst_mean {
        0 => "one burst without end".to_owned(),
        mean => format!("bursts of {} with gaps of {}", count(mean), micros(traffic.idle_mean_us)),
    });
    if traffic.patience_us > 0 {
        parts.push(format!("patience {}", micros(traffic.patience_us)));
    }
    for (share, what) in [(traffic.fast_read_percent, "fast"), (traffic.causal_read_percent, "causal")] {
        if share > 0 {
            parts.push(format!("{share} % of the reads {what}"));
        }
    }
    parts
}

fn network(network: &Network) -> Vec<String> {
    let mut parts = vec![delay(network)];
    let mut add = |per_million: u32, what: String| {
        if per_million > 0 {
            parts.push(format!("{} {what}", percent(per_million)));
        }
    };
    add(network.loss_per_million, "lost".to_owned());
    add(network.duplicate_per_million, "duplicated".to_owned());
    add(network.tail_per_million, format!("late by up to {}", micros(network.tail_max_us)));
    add(network.hold_per_million, format!("held for up to {}", micros(network.hold_max_us)));
    add(network.outlast_per_million, "views late".to_owned());
    parts.push(format!("links hold {}", of(network.link_capacity.into(), ("message", "messages"))));
    parts
}

fn delay(network: &Network) -> String {
    format!("delay {} + {} on average", micros(network.delay_min_us), micros(network.delay_mean_us))
}

/// The families that are on, each with how it strikes, then those that are off.
fn faults(faults: &Faults) -> Vec<Vec<String>> {
    let Faults { partition, clog, crash, pause, clock, client, lingering, reconfiguration } = faults;
    let mut families = vec![
        ("partition", partition.as_ref().map(partitions)),
        ("clog", clog.as_ref().map(clogs)),
        ("crash", crash.as_ref().map(crashes)),
        ("pause", pause.as_ref().map(pauses)),
        ("clock", clock.as_ref().map(clocks)),
        ("client", client.as_ref().map(clients)),
        ("lingering", lingering.as_ref().map(stays)),
    ];
    if let Some(faults) = reconfiguration {
        let every = format!("every {}", micros(faults.interval_mean_us));
        families.push(("reconfiguration", Some(vec![every])));
    }
    let off: Vec<&str> = families.iter().filter(|(_, how)| how.is_none()).map(|&(name, _)| name).collect();
    let on = families.iter().filter_map(|(name, how)| {
        let (first, rest) = how.as_deref()?.split_first()?;
        Some([&[format!("{name:9}  {first}")], rest].concat())
    });
    let mut lines: Vec<Vec<String>> = on.collect();
    if !off.is_empty() {
        lines.push(vec![format!("{:9}  {}", "off", off.join(", "))]);
    }
    lines
}

fn every(interval_us: u64, duration_us: u64) -> String {
    format!("every {} for {}", micros(interval_us), micros(duration_us))
}

fn partitions(faults: &PartitionFaults) -> Vec<String> {
    let first = format!("{}:", every(faults.interval_mean_us, faults.duration_mean_us));
    spread(first, list(&faults.shapes))
}

fn clogs(faults: &ClogFaults) -> Vec<String> {
    vec![every(faults.interval_mean_us, faults.duration_mean_us)]
}

fn crashes(faults: &CrashFaults) -> Vec<String> {
    let mut first = every(faults.interval_mean_us, faults.downtime_mean_us);
    if faults.quick_restart_per_million > 0 {
        first = format!("{first} ({} at once)", percent(faults.quick_restart_per_million));
    }
    let mut parts = spread(format!("{first}:"), list(&faults.targets));
    if faults.beyond_budget {
        parts.push("beyond the budget".to_owned());
    }
    parts
}

fn pauses(faults: &PauseFaults) -> Vec<String> {
    vec![every(faults.interval_mean_us, faults.duration_mean_us)]
}

fn clocks(faults: &ClockFaults) -> Vec<String> {
    let mut parts = vec![
        format!("off by up to {}", micros(faults.offset_max_us)),
        format!("rate by up to {} ppm", count(faults.drift_max_ppm.into())),
    ];
    if faults.timer_interval_mean_us > 0 {
        let (interval, late) = (micros(faults.timer_interval_mean_us), micros(faults.late_mean_us));
        parts.push(format!("a timer early or {late} late every {interval}"));
    }
    parts
}

fn clients(faults: &ClientFaults) -> Vec<String> {
    vec![format!("every {}", micros(faults.crash_interval_mean_us))]
}

fn stays(faults: &LingeringFaults) -> Vec<String> {
    spread("one stays:".to_owned(), list(&faults.shapes))
}

/// A list behind an introduction, in parts that may go into lines of their own.
fn spread(first: String, names: String) -> Vec<String> {
    let mut names = names.split(", ");
    let first = format!("{first} {}", names.next().unwrap_or_default());
    std::iter::once(first).chain(names.map(str::to_owned)).collect()
}

// ---- Counters ----------------------------------------------------------------------------------------

/// Describes what happened to replicas, clients and messages.
pub(crate) fn events(page: &mut String, views: u64, marks: &Marks) {
    let moment = |moment, noun| of(marks.count(moment), noun);
    let mut events = vec![
        of(views, ("view change", "view changes")),
        moment(Moment::Crash, ("crash", "crashes")),
        moment(Moment::Recovery, ("recovery", "recoveries")),
    ];
    let faults = [
        (Fault::Cut, ("partition", "partitions")),
        (Fault::CloggedLink, ("clog", "clogs")),
        (Fault::Pause, ("pause", "pauses")),
        (Fault::ClientCrash, ("client crash", "client crashes")),
    ];
    let struck = faults.into_iter().filter(|(fault, _)| marks.faults(*fault) > 0);
    events.extend(struck.map(|(fault, noun)| of(marks.faults(fault), noun)));
    items(page, "events", &events, ", ");
    let messages = Messages::of(marks);
    let dropped = format!(
        "{} dropped ({} lost, {} cut off, {} overflowed)",
        count(messages.dropped()),
        count(messages.lost),
        count(messages.cut),
        count(messages.overflow)
    );
    let messages = [
        format!("{} sent", count(messages.sent)),
        format!("{} delivered", count(messages.delivered)),
        dropped,
        format!("{} duplicated", count(messages.duplicated)),
        format!("{} held", count(messages.held)),
    ];
    items(page, "messages", &messages, ", ");
}

/// What became of messages.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(crate) struct Messages {
    /// All that were sent.
    pub(crate) sent: u64,
    /// Those that arrived, copies included.
    pub(crate) delivered: u64,
    /// Those that the network lost.
    pub(crate) lost: u64,
    /// Those whose link was cut.
    pub(crate) cut: u64,
    /// Those that did not fit into their link.
    pub(crate) overflow: u64,
    /// Those that were to arrive twice.
    pub(crate) duplicated: u64,
    /// Those that were kept back.
    pub(crate) held: u64,
}

impl Messages {
    /// From the counters.
    pub(crate) fn of(marks: &Marks) -> Self {
        Self {
            sent: marks.messages_sent(),
            delivered: marks.delivered,
            lost: marks.faults(Fault::Lost),
            cut: marks.cut,
            overflow: marks.faults(Fault::Overflow),
            duplicated: marks.faults(Fault::Duplicated),
            held: marks.faults(Fault::Held),
        }
    }

    const fn dropped(&self) -> u64 {
        self.lost + self.cut + self.overflow
    }
}

/// The counters that a sweep is expected to reach, by group.
pub(crate) fn expected_marks(marks: &Marks) -> Vec<(&'static str, Vec<(String, u64)>)> {
    let all = marks.all();
    let group = |group: &'static str| {
        let named = all.iter().filter_map(|(name, count)| {
            let (prefix, name) = name.split_once(':')?;
            (prefix == group).then(|| (name.to_owned(), *count))
        });
        (group, named.collect())
    };
    EXPECTED_GROUPS.into_iter().map(group).collect()
}

/// The names of the counters that a sweep is expected to reach and that are zero.
pub(crate) fn missing_marks(marks: &Marks) -> Vec<String> {
    let groups = expected_marks(marks).into_iter();
    let missing = groups.flat_map(|(group, named)| {
        named.into_iter().filter(|(_, count)| *count == 0).map(move |(name, _)| format!("{group}:{name}"))
    });
    missing.collect()
}

/// How many marks were reached, in one line.
pub(crate) fn marks_in_short(page: &mut String, marks: &Marks) {
    let groups = expected_marks(marks);
    let reached = |named: &[(String, u64)]| named.iter().filter(|(_, count)| *count > 0).count();
    let parts = groups.iter().map(|(group, named)| format!("{group} {}/{}", reached(named), named.len()));
    let parts = parts.collect::<Vec<_>>().join(", ");
    let sum: usize = groups.iter().map(|(_, named)| reached(named)).sum();
    let all: usize = groups.iter().map(|(_, named)| named.len()).sum();
    line(page, "marks", &format!("{sum} of {all} reached ({parts})"));
}

/// Which marks were reached, and how often.
pub(crate) fn marks(page: &mut String, marks: &Marks) {
    marks_in_short(page, marks);
    for (group, named) in expected_marks(marks) {
        let reached = named.iter().filter(|(_, count)| *count > 0);
        let reached: Vec<String> =
            reached.map(|(name, number)| format!("{name} {}", count(*number))).collect();
        if !reached.is_empty() {
            items(page, &format!("  {group}"), &reached, ", ");
        }
    }
}

/// Which marks were not reached, group by group. Of many runs that matters; one run reaches few.
pub(crate) fn unreached(page: &mut String, marks: &Marks) {
    let mut label = "not reached";
    for (group, named) in expected_marks(marks) {
        let all = named.len();
        let missing: Vec<String> =
            named.into_iter().filter(|(_, count)| *count == 0).map(|(name, _)| name).collect();
        if !missing.is_empty() {
            let names = if missing.len() == all { "all of them".to_owned() } else { missing.join(", ") };
            let text = format!("{group}: {names}");
            items(page, label, &text.split_inclusive(", ").map(str::to_owned).collect::<Vec<_>>(), "");
            label = "";
        }
    }
}

/// Steps a second, and virtual to real time: on stderr, because it is never the same twice.
pub(crate) fn speed(
    steps: u64,
    virtual_nanoseconds: u64,
    real: Duration,
    shrinking: Option<Duration>,
) -> String {
    let seconds = real.as_secs_f64().max(1e-9);
    let rate = count((steps as f64 / seconds) as u64);
    let ratio = count((virtual_nanoseconds as f64 / 1e9 / seconds) as u64);
    let shrinking = shrinking
        .map_or_else(String::new, |time| format!("; shrinking took {:.2} s more", time.as_secs_f64()));
    let text = format!("took {seconds:.2} s: {rate} steps/s, {ratio} times as fast as real time{shrinking}");
    text::styled(text::LABEL, &text)
}
