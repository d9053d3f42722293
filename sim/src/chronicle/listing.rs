//! A chronicle as lines of text, one for each thing that happened.

use std::fmt::Write as _;

use super::{Cause, Chronicle, Did, Effect, Sent, Step, in_group};
use crate::faults::{Action, Deed};
use crate::node::Node;
use crate::packet::Kind;

/// A line: what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The step.
    pub step: u64,
    /// The virtual time, in nanoseconds.
    pub time: u64,
    /// The node that acted, unless it was the environment.
    pub node: Option<Node>,
    /// The kind of message, for an arrival or a loss.
    pub kind: Option<Kind>,
    /// What happened. What followed from it is indented.
    pub text: String,
}

/// All lines of a chronicle.
#[must_use]
pub fn lines(chronicle: &Chronicle) -> Vec<Line> {
    chronicle.steps.iter().flat_map(|step| lines_of(chronicle, step)).collect()
}

fn lines_of(chronicle: &Chronicle, step: &Step) -> Vec<Line> {
    let node = step.node(&chronicle.messages);
    let line = |node, kind, text| Line { step: step.step, time: step.time, node, kind, text };
    let mut lines = Vec::new();
    match step.cause {
        Cause::Arrival(message) => {
            let message = &chronicle.messages[message as usize];
            let text = format!("receives {}", described(message));
            lines.push(line(node, Some(message.identity.kind), text));
        }
        Cause::ArrivalAtNobody(message, why) => {
            let identity = chronicle.messages[message as usize].identity;
            lines.push(line(node, Some(identity.kind), format!("{identity}: {why}")));
        }
        Cause::Timer(_) => lines.push(line(node, None, "timer fires".to_owned())),
        Cause::Restart(_) => lines.push(line(node, None, "starts again".to_owned())),
        Cause::PatienceLost(_) => lines.push(line(node, None, "gives its request up".to_owned())),
        Cause::Beginning | Cause::ClientActs(_) | Cause::Fault | Cause::Mend => {}
    }
    lines.extend(step.effects.iter().filter_map(|effect| {
        let (node, text) = followed(effect)?;
        Some(line(node, None, text))
    }));
    let sent = &chronicle.messages[step.sent.start as usize..step.sent.end as usize];
    lines.extend(sent.iter().filter_map(|message| {
        let why = message.dropped?;
        let text = format!("  dropped ({why:?}): {}", message.identity);
        Some(line(Some(message.identity.from), Some(message.identity.kind), text))
    }));
    lines
}

/// A message with all that it says.
#[must_use]
pub fn described(message: &Sent) -> String {
    let mut text = message.identity.to_string();
    for (index, (name, value)) in message.fields.iter().filter(|(name, _)| *name != "view").enumerate() {
        let _ = write!(text, "{} {name} {value}", if index == 0 { ":" } else { "," });
    }
    text
}

fn followed(effect: &Effect) -> Option<(Option<Node>, String)> {
    Some(match effect {
        Effect::Fault(action) => (None, format!("fault: {}", action_in_words(action))),
        Effect::Told(sentence) => (None, format!("story: {sentence}")),
        Effect::Mended(links) => (None, format!("mended: {} links", links.len())),
        Effect::Healed(core) => {
            let names: Vec<String> = core.iter().map(ToString::to_string).collect();
            (None, format!("the faults stop; {} have to make progress", names.join(", ")))
        }
        Effect::StaysCut(links) => (None, format!("but {} links stay cut", links.len())),
        Effect::Did(who, did) => {
            (Some(Node::Replica(who.replica)), format!("  {}{}", became(did)?, in_group(who.group)))
        }
        Effect::Registers { client, group } => (Some(*client), format!("registers{}", in_group(*group))),
        Effect::Requests { client, group, operation, .. } => {
            (Some(*client), format!("requests {operation}{}", in_group(*group)))
        }
        Effect::Answered { client, response, .. } => (Some(*client), format!("  is answered {response}")),
        Effect::StartsOver { client } => (Some(*client), "starts over as a new client".to_owned()),
    })
}

/// What a replica has become. What else it does is seen by what it sends.
fn became(did: &Did) -> Option<String> {
    Some(match did {
        Did::EpochBegins { epoch, members } => format!("comes to epoch {epoch} with the members {members}"),
        Did::RoleChanged { role, view } => format!("is now {role:?} of view {}", vr::View(*view)),
        Did::Begins { ticket, is_clean: true } => format!("begins anew on ticket {ticket}"),
        Did::Begins { ticket, is_clean: false } => format!("is to recover on ticket {ticket}"),
        Did::Dropped => "is dropped".to_owned(),
        Did::Appended { .. }
        | Did::Truncated { .. }
        | Did::Compacted { .. }
        | Did::CheckpointInstalled { .. }
        | Did::LogBegins { .. }
        | Did::Executed { .. }
        | Did::AnswersRead { .. }
        | Did::ViewStarts { .. }
        | Did::Ignored { .. }
        | Did::Took { .. } => return None,
    })
}

/// What was done to the system, in words.
#[must_use]
pub fn action_in_words(action: &Action) -> String {
    let millis = |nanos: &u64| format!("{}.{:03} ms", nanos / 1_000_000, nanos / 1_000 % 1_000);
    match action {
        Action::Cut { shape, links, lasts } => {
            format!("a partition ({}) for {}: {}", kebab(shape), millis(lasts), nothing_gets(links))
        }
        Action::Clog { links, lasts } => {
            format!("messages are kept back for {} {}", millis(lasts), stretches(links).join(", and "))
        }
        Action::Crash { replica, target, restart_after } => {
            format!("r{replica} crashes ({}), to start again after {}", kebab(target), millis(restart_after))
        }
        Action::Pause { node, lasts } => format!("{node} stands still for {}", millis(lasts)),
        Action::FireEarly { node } => format!("{node}'s clock jumps ahead to its next timer"),
        Action::SetRate { node, drift_ppm } => clock_runs(*node, *drift_ppm),
        Action::FireLate { node, lasts } => format!("{node}'s timers are late by {}", millis(lasts)),
        Action::CrashClient { slot } => format!("c{slot} crashes"),
        Action::Sever { links } => format!("a partition: {}", nothing_gets(links)),
        Action::Mend { links } => format!("messages get through again {}", stretches(links).join(", and ")),
        Action::Kill { replica } => format!("r{replica} crashes"),
        Action::Restart { replica } => format!("r{replica} starts again"),
        Action::Halt { node } => format!("{node} stands still"),
        Action::Resume { node } => format!("{node} goes on"),
        Action::Reconfigure { members, witnesses } => {
            format!("the administrator asks for the group {}", group(members, witnesses))
        }
        Action::WarmUp { replica } => format!("r{replica} is told to fetch the state"),
        Action::Ask(deed) => asked(deed),
    }
}

/// What the supervisor's user asks for.
#[must_use]
pub fn asked(deed: &Deed) -> String {
    match deed {
        Deed::Start { hosts } => format!("the user asks for a group on {}", group(hosts, &[])),
        Deed::Stop { group } => format!("the user asks to stop g{group}"),
        Deed::Move { group: moved, hosts } => {
            format!("the user asks to move g{moved} to {}", group(hosts, &[]))
        }
        Deed::Find { group } => format!("the user asks where g{group} is"),
    }
}

/// How a clock runs from now on: "r0's clock runs 20 percent slow".
#[must_use]
pub fn clock_runs(node: Node, drift_ppm: i32) -> String {
    let (hundredths, direction) =
        (drift_ppm.unsigned_abs() / 100, if drift_ppm < 0 { "slow" } else { "fast" });
    let percent = match hundredths % 100 {
        0 => format!("{}", hundredths / 100),
        rest => format!("{}.{rest:02}", hundredths / 100),
    };
    format!("{node}'s clock runs {percent} percent {direction}")
}

/// The members of a group: "r0, r1, r2 (witness)".
#[must_use]
pub fn group(members: &[u8], witnesses: &[u8]) -> String {
    let name = |id: &u8| {
        let kind = if witnesses.contains(id) { " (witness)" } else { "" };
        format!("r{id}{kind}")
    };
    members.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// The name that scenario files use.
fn kebab(name: &impl serde::Serialize) -> String {
    serde_json::to_string(name).expect("a name can be written").trim_matches('"').to_owned()
}

/// What does not get through where: "nothing gets between r0 and r1 or r2, nor from r0 to r3".
#[must_use]
pub fn nothing_gets(links: &[(Node, Node)]) -> String {
    format!("nothing gets {}", stretches(links).join(", nor "))
}

/// Links in few words, those of both directions first: "between r0 and r1 or r2", "from r0 to r3".
fn stretches(links: &[(Node, Node)]) -> Vec<String> {
    let is_mutual = |&(from, to): &(Node, Node)| links.contains(&(to, from));
    let (mutual, one_way): (Vec<_>, Vec<_>) = links.iter().copied().partition(is_mutual);
    let between = stars(mutual).into_iter().map(|star| format!("between {} and {}", star.hub, star.others()));
    let one_way = stars(one_way).into_iter().map(|star| match star.is_sender {
        true => format!("from {} to {}", star.hub, star.others()),
        false => format!("from {} to {}", star.others(), star.hub),
    });
    between.chain(one_way).collect()
}

/// Links that have one end in common.
struct Star {
    hub: Node,
    is_sender: bool,
    others: Vec<Node>,
}

impl Star {
    fn others(&self) -> String {
        let names: Vec<String> = self.others.iter().map(ToString::to_string).collect();
        match names.as_slice() {
            [front @ .., last] if !front.is_empty() => format!("{} or {last}", front.join(", ")),
            _ => names.concat(),
        }
    }
}

/// Groups links by the ends that most of them have in common, so that few words say much. A link of both
/// directions is in one group.
fn stars(mut links: Vec<(Node, Node)>) -> Vec<Star> {
    let mut stars = Vec::new();
    links.sort_unstable();
    while !links.is_empty() {
        let star = |hub: Node, is_sender: bool| {
            let other = |&(from, to): &(Node, Node)| if is_sender { (from, to) } else { (to, from) };
            let others = links.iter().map(other).filter(|(end, _)| *end == hub).map(|(_, other)| other);
            Star { hub, is_sender, others: others.collect() }
        };
        let all = links.iter().flat_map(|&(from, to)| [star(from, true), star(to, false)]);
        // The first of the largest.
        let largest =
            all.reduce(|best, next| if next.others.len() > best.others.len() { next } else { best });
        let Some(largest) = largest else { break };
        links.retain(|&(from, to)| {
            let is_in = |end, other| end == largest.hub && largest.others.contains(&other);
            !is_in(from, to) && !is_in(to, from)
        });
        stars.push(largest);
    }
    stars
}

#[cfg(test)]
mod tests {
    use vr::ReplicaId;

    use super::*;

    #[test]
    fn cuts_are_told_by_whom_they_part() {
        let link = |from, to| (Node::Replica(ReplicaId(from)), Node::Replica(ReplicaId(to)));
        let both = |one, other| [link(one, other), link(other, one)];
        let told = |links: &[&[(Node, Node)]]| nothing_gets(&links.concat());
        assert_eq!(told(&[&both(0, 1)]), "nothing gets between r0 and r1");
        assert_eq!(told(&[&both(0, 1), &both(2, 0)]), "nothing gets between r0 and r1 or r2");
        assert_eq!(told(&[&[link(0, 1), link(0, 2), link(0, 3)]]), "nothing gets from r0 to r1, r2 or r3");
        assert_eq!(told(&[&[link(1, 0), link(2, 0)]]), "nothing gets from r1 or r2 to r0");
        assert_eq!(
            told(&[&both(0, 2), &both(1, 2), &both(0, 1)]),
            "nothing gets between r0 and r1 or r2, nor between r1 and r2"
        );
        // As in a partition of both kinds: two groups, and what is cut one way only.
        assert_eq!(
            told(&[&both(0, 2), &[link(0, 3), link(1, 0)]]),
            "nothing gets between r0 and r2, nor from r0 to r3, nor from r1 to r0"
        );
    }

    #[test]
    fn every_link_is_told_once() {
        let nodes: Vec<Node> = (0..4).map(|id| Node::Replica(ReplicaId(id))).collect();
        let all = nodes.iter().flat_map(|&from| nodes.iter().map(move |&to| (from, to)));
        let all: Vec<_> = all.filter(|(from, to)| from != to).collect();
        for bits in 1_u32..1 << all.len() {
            let links: Vec<_> = all
                .iter()
                .enumerate()
                .filter(|(place, _)| bits >> place & 1 == 1)
                .map(|(_, link)| *link)
                .collect();
            let mut told: Vec<(Node, Node)> = Vec::new();
            for stretch in stretches(&links) {
                let (words, separator) = match stretch.strip_prefix("from ") {
                    Some(words) => (words, " to "),
                    None => (stretch.strip_prefix("between ").expect("one of the two"), " and "),
                };
                let (from, to) = words.split_once(separator).expect("two ends");
                let names = |text: &str| -> Vec<Node> {
                    text.split([',', ' ']).filter_map(|name| name.parse().ok()).collect()
                };
                for (from, to) in
                    names(from).into_iter().flat_map(|from| names(to).into_iter().map(move |to| (from, to)))
                {
                    told.push((from, to));
                    told.extend((separator == " and ").then_some((to, from)));
                }
            }
            told.sort_unstable();
            assert_eq!(told, links);
        }
    }
}
