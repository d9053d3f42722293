//! What happens, in words for those who have never seen the protocol: one function for each thing that can
//! happen. A step reads as its cause, and what followed from it.

use std::fmt::Write as _;

use vr::{ReplicaId, Role, View};

use crate::chronicle::{Cause, Chronicle, Did, Effect, Sent, Step, in_group, listing};
use crate::faults::Action;
use crate::network::{Dropped, Fate};
use crate::node::Node;
use crate::packet::Kind;

/// What a step began with.
#[must_use]
pub fn cause(chronicle: &Chronicle, step: &Step) -> String {
    let message = |index: u32| &chronicle.messages[index as usize];
    match step.cause {
        Cause::Beginning => "The run begins: all replicas are in view 0, whose primary is r0".to_owned(),
        Cause::Arrival(index) => of_group(message(index).identity.group(), arrival(message(index))),
        Cause::ArrivalAtNobody(index, why) => {
            let identity = message(index).identity;
            let of = in_group(identity.group());
            format!("A {:?} from {}{of} reaches nobody: {why}", identity.kind, identity.from)
        }
        Cause::Timer(node) => of_group(step.group(&chronicle.messages), timer(chronicle, step, node)),
        Cause::ClientActs(node) => format!("{node} goes on"),
        Cause::PatienceLost(node) => format!("{node} has waited too long and gives its request up"),
        Cause::Fault if step.effects.is_empty() => "A fault was due, and nothing to strike at".to_owned(),
        Cause::Fault => "Fault".to_owned(),
        Cause::Mend => "A partition ends".to_owned(),
        Cause::Restart(node) => format!("{node} starts again without its memory"),
    }
}

/// What is said of a group that a supervisor has started.
fn of_group(group: u64, said: String) -> String {
    if group > 0 { format!("in g{group} {said}") } else { said }
}

/// What a message tells its receiver.
#[must_use]
pub fn arrival(message: &Sent) -> String {
    let identity = message.identity;
    let (from, to, view, number) =
        (identity.from, identity.to, identity.sender_view(), identity.named_number());
    let field = |name: &str| field(message, name).unwrap_or("?");
    match identity.kind {
        Kind::Request => format!("{to} is asked by {from}: {}", field("request")),
        Kind::Prepare => {
            format!("{to} is told by the primary {from} to log op {number}: {}", field("request"))
        }
        Kind::PrepareOk => format!("{to} hears that {from} has logged everything up to op {number}"),
        Kind::Commit => {
            format!("{to} hears from the primary {from} that all up to op {number} is committed")
        }
        Kind::CommitOk => {
            format!(
                "{to} hears that {from} was in its view at round {number}, and promises {}",
                field("promise")
            )
        }
        Kind::Read => format!("{to} is asked by {from} to read: {}", field("read")),
        Kind::StartViewChange => format!("{to} hears that {from} wants to change to view {number}"),
        Kind::DoViewChange => format!(
            "{to} gets {from}'s vote for view {view}: its log to op {}, last normal in view {number}",
            field("log to op")
        ),
        Kind::StartView => {
            format!("{to} hears from {from} that view {view} has started, with a log to op {number}")
        }
        Kind::Recovery => format!("{to} is asked for the state by {from}, which has lost its memory"),
        Kind::RecoveryResponse if field("log to op") == "?" => {
            format!("{to} hears that {from} is in view {view}")
        }
        Kind::RecoveryResponse => {
            format!("{to} hears that {from} is in view {view}, and gets its log to op {}", field("log to op"))
        }
        Kind::StartEpoch | Kind::NewEpoch => {
            format!("{to} hears from {from} that epoch {number} has begun, with {}", field("members"))
        }
        Kind::EpochStarted => format!("{to} hears that {from} has the state of epoch {number}"),
        Kind::GetEpoch => format!("{to} is asked by {from} which epoch it is"),
        Kind::GetState => format!("{to} is asked by {from} for what comes after op {number}"),
        Kind::GetCheckpoint => format!("{to} is asked by {from} for checkpoint {}", field("checkpoint")),
        Kind::CheckpointPart => {
            format!("{to} gets a piece of checkpoint {} from {from}", field("checkpoint"))
        }
        Kind::NewState => {
            let operations = match field("entries") {
                "1" => "one operation".to_owned(),
                entries => format!("{entries} operations"),
            };
            format!("{to} gets the {operations} after op {number} from {from}")
        }
        Kind::Reply => format!("{to} hears from {from}: {}", field("reply")),
        Kind::Alive => format!("{to} hears that {from} is alive"),
    }
}

/// Why a timer fires, as far as what is sent then shows it.
fn timer(chronicle: &Chronicle, step: &Step, node: Node) -> String {
    let sent = &chronicle.messages[step.sent.start as usize..step.sent.end as usize];
    let sends = |kind: Kind| sent.iter().any(|message| message.identity.kind == kind);
    if matches!(node, Node::Client(_)) {
        return format!("{node} has waited long enough for an answer");
    }
    if sends(Kind::DoViewChange) {
        format!("{node} is still waiting for the new view")
    } else if sends(Kind::StartViewChange) {
        format!("{node} has waited long enough for its primary")
    } else if sends(Kind::Commit) {
        format!("{node} shows that its view is alive")
    } else if sends(Kind::Prepare) {
        format!("{node} is still waiting for acknowledgements")
    } else if sends(Kind::Recovery) || sends(Kind::GetState) {
        format!("{node} is still waiting for the state")
    } else {
        format!("{node}'s timer fires")
    }
}

/// What replicas have become in a step: what a reader must not miss.
#[must_use]
pub fn turns(step: &Step) -> Vec<String> {
    let turn = |effect: &Effect| match effect {
        Effect::Did(who, did) => Some(of_group(who.group, became(who.replica, did)?)),
        _ => None,
    };
    step.effects.iter().filter_map(turn).collect()
}

fn became(replica: ReplicaId, did: &Did) -> Option<String> {
    Some(match did {
        Did::EpochBegins { epoch, members } => {
            format!("{replica} comes to epoch {epoch} with the members {members}")
        }
        Did::RoleChanged { role, view } => role_changed(replica, *role, *view),
        Did::Begins { ticket, is_clean: true } => {
            format!("{replica} starts a replica anew, on ticket {ticket}")
        }
        Did::Begins { ticket, is_clean: false } => {
            format!("{replica} starts a replica that has to recover, on ticket {ticket}")
        }
        Did::Dropped => format!("{replica} drops its replica"),
        _ => return None,
    })
}

/// Whether what arrived was ignored, and nothing else came of it: a message can be of no use as such, and
/// still move its receiver to a later view.
#[must_use]
pub fn is_ignored(step: &Step) -> bool {
    let is_ignored = step.effects.iter().any(|effect| matches!(effect, Effect::Did(_, Did::Ignored { .. })));
    is_ignored && turns(step).is_empty()
}

/// Whether a step is a heartbeat that travelled plainly and of which nothing came: its sending or its arrival.
#[must_use]
pub fn is_routine(chronicle: &Chronicle, step: &Step) -> bool {
    let is_plain = |index: u32| {
        let message = &chronicle.messages[index as usize];
        let is_heartbeat = message.identity.kind.is_heartbeat();
        is_heartbeat && message.fate.is_none() && message.dropped.is_none()
    };
    let is_heartbeat = match step.cause {
        Cause::Arrival(index) => step.sent.is_empty() && is_plain(index),
        Cause::Timer(_) => !step.sent.is_empty() && step.sent.clone().all(is_plain),
        _ => false,
    };
    is_heartbeat && step.effects.is_empty()
}

/// What else followed in a step, in order; repeated things are told once.
#[must_use]
pub fn effects(chronicle: &Chronicle, step: &Step) -> Vec<String> {
    let mut told: Vec<Phrase> = Vec::new();
    let mut rest = step.effects.as_slice();
    while let Some((first, after)) = rest.split_first() {
        let run = 1 + after.iter().zip(rest).take_while(|(next, before)| goes_on(before, next)).count();
        let is_told = !matches!(first, Effect::Did(_, Did::Ignored { .. })) || is_ignored(step);
        told.extend(effect(first, &rest[run - 1]).filter(|_| is_told).map(|said| (group_of(first), said)));
        rest = &rest[run..];
    }
    told.extend(sends(chronicle, step));
    // What a step began with says of which group it is.
    let is_said = matches!(step.cause, Cause::Arrival(_) | Cause::Timer(_));
    let mut spoken_of = if is_said { step.group(&chronicle.messages) } else { 0 };
    let say = |(group, said): Phrase| match group.filter(|group| *group != spoken_of) {
        Some(other) => {
            spoken_of = other;
            format!("in g{other} {said}")
        }
        None => said,
    };
    told.into_iter().map(say).collect()
}

/// What is said, and of which group, if it is of one: see [`Who`](crate::chronicle::Who).
type Phrase = (Option<u64>, String);

const fn group_of(effect: &Effect) -> Option<u64> {
    match effect {
        Effect::Did(who, _) => Some(who.group),
        _ => None,
    }
}

/// Whether the second effect is the first one again, one op-number later.
fn goes_on(first: &Effect, second: &Effect) -> bool {
    let (Effect::Did(who, first), Effect::Did(other, second)) = (first, second) else { return false };
    let is_next = match (first, second) {
        (Did::Appended { op_number, .. }, Did::Appended { op_number: next, .. })
        | (Did::Executed { op_number, .. }, Did::Executed { op_number: next, .. }) => *next == op_number + 1,
        _ => false,
    };
    who == other && is_next
}

/// An effect, or several of a kind from `first` to `last`.
fn effect(first: &Effect, last: &Effect) -> Option<String> {
    Some(match (first, last) {
        (Effect::Did(who, first), Effect::Did(_, last)) => return done(who.replica, first, last),
        (Effect::Fault(action), _) => fault(action),
        (Effect::Told(sentence), _) => format!("the story goes on: {sentence}"),
        (Effect::Mended(links), _) => {
            let carry = carry(links.len(), "carries messages", "carry messages");
            format!("{carry} again: {}", named(links, '↔', '→'))
        }
        (Effect::Healed(core), _) => {
            format!("the faults stop; {} have to make progress", names(core))
        }
        (Effect::StaysCut(links), _) => stays_cut(links),
        (Effect::Registers { client, group }, _) => {
            format!("{client} asks for a session{}", in_group(*group))
        }
        (Effect::Requests { client, group, operation, .. }, _) => {
            format!("{client} asks for {operation}{}", in_group(*group))
        }
        (Effect::Answered { client, response, .. }, _) => format!("{client} has its answer: {response}"),
        (Effect::StartsOver { client }, _) => format!("{client} starts over as a new client"),
        _ => return None,
    })
}

fn done(replica: ReplicaId, first: &Did, last: &Did) -> Option<String> {
    Some(match (first, last) {
        (Did::Appended { op_number: from, .. }, Did::Appended { op_number: to, .. }) => {
            format!("logs {}", ops(*from, *to))
        }
        (Did::Executed { op_number: from, .. }, Did::Executed { op_number: to, .. }) => {
            format!("executes {}, which {} committed", ops(*from, *to), if from == to { "is" } else { "are" })
        }
        (Did::Truncated { last_kept }, _) => {
            format!("{} drops its log after op {last_kept}", replica)
        }
        (Did::Compacted { through }, _) => {
            format!("drops its log up to op {through}: it is in checkpoints")
        }
        (Did::LogBegins { after }, _) => {
            format!("forgets its log, which begins after op {after} now")
        }
        (Did::CheckpointInstalled { op_number }, _) => {
            format!("puts the checkpoint after op {op_number} in the place of its state")
        }
        (Did::ViewStarts { view, votes, op_number, .. }, _) => {
            let (view, votes) = (View(*view), names(votes));
            format!("has the votes of {votes}: starts view {view} with a log to op {op_number}")
        }
        (Did::Ignored { reason }, _) => format!("ignores it ({})", plain(reason)),
        // A wrong rule can make it an earlier view.
        (Did::Took { path }, _) if path == "CaughtUpWithLaterView" => {
            "(takes over another view's log)".to_owned()
        }
        (Did::Took { path }, _) => format!("({})", plain(path)),
        _ => return None,
    })
}

fn role_changed(replica: ReplicaId, role: Role, view: u64) -> String {
    let view = View(view);
    match role {
        Role::Primary => format!("{replica} is now primary of view {view}"),
        Role::Backup => format!("{replica} is now a backup in view {view}"),
        Role::ViewChange => format!("{replica} leaves its view and waits for view {view}"),
        Role::Recovering => format!("{replica} is now recovering"),
        Role::Transitioning => {
            format!("{replica} is now a member of epoch {}, without its log", view.epoch())
        }
        Role::Leaving => format!("{replica} is replaced, and keeps the state for the new group"),
        Role::Stopped => format!("{replica} has stopped"),
        Role::Standby => format!("{replica} stands by"),
        Role::Witness => format!("{replica} is now a witness in view {view}"),
    }
}

/// What is done to the system.
#[must_use]
pub fn fault(action: &Action) -> String {
    match action {
        Action::Cut { links, lasts, .. } => {
            format!("the network is cut for {}: {}", millis(*lasts), cut(links))
        }
        Action::Clog { links, lasts } => {
            let carry = carry(links.len(), "keeps its messages back", "keep their messages back");
            format!("{carry} for {}: {}", millis(*lasts), named(links, '↔', '→'))
        }
        Action::Crash { replica, restart_after, .. } => {
            format!(
                "r{replica} crashes and loses its memory; it starts again after {}",
                millis(*restart_after)
            )
        }
        Action::Pause { node, lasts } => format!("{node} stands still for {}", millis(*lasts)),
        Action::FireEarly { node } => format!("{node}'s clock jumps ahead to its next timer"),
        Action::SetRate { node, drift_ppm } => listing::clock_runs(*node, *drift_ppm),
        Action::FireLate { node, lasts } => format!("{node}'s timers are late by {}", millis(*lasts)),
        Action::CrashClient { slot } => format!("c{slot} crashes"),
        Action::Sever { links } => format!("the network is cut: {}", cut(links)),
        Action::Mend { links } => {
            let carry = carry(links.len(), "carries messages again", "carry messages again");
            format!("{carry}: {}", named(links, '↔', '→'))
        }
        Action::Kill { replica } => format!("r{replica} crashes and loses its memory"),
        Action::Restart { replica } => format!("r{replica} starts again"),
        Action::Halt { node } => format!("{node} stands still"),
        Action::Resume { node } => format!("{node} goes on"),
        Action::Reconfigure { members, witnesses } => {
            format!("the administrator asks for the group {}", listing::group(members, witnesses))
        }
        Action::WarmUp { replica } => format!("r{replica} is told to fetch the state"),
        Action::Ask(deed) => listing::asked(deed),
    }
}

/// What stays when the faults stop.
#[must_use]
pub fn stays_cut(links: &[(Node, Node)]) -> String {
    format!("these stay cut off: {}", cut(links))
}

fn carry(links: usize, one: &str, many: &str) -> String {
    if links == 1 { format!("1 link {one}") } else { format!("{links} links {many}") }
}

/// Who cannot hear whom: in short where both directions are cut.
#[must_use]
pub fn cut(links: &[(Node, Node)]) -> String {
    named(links, '∤', '↛')
}

/// Links, with one sign for both directions and one for a single one.
fn named(links: &[(Node, Node)], both: char, one: char) -> String {
    let mut pairs: Vec<String> = Vec::new();
    for &(from, to) in links {
        let is_mutual = links.contains(&(to, from));
        if is_mutual && from < to {
            pairs.push(format!("{from} {both} {to}"));
        } else if !is_mutual {
            pairs.push(format!("{from} {one} {to}"));
        }
    }
    match pairs.len() {
        0..=6 => pairs.join(", "),
        more => format!("{} and {} more", pairs[..5].join(", "), more - 5),
    }
}

/// What is sent in a step: one phrase for each thing that is said, whoever it is said to.
fn sends(chronicle: &Chronicle, step: &Step) -> Vec<Phrase> {
    let sent = &chronicle.messages[step.sent.start as usize..step.sent.end as usize];
    let mut phrases: Vec<(Phrase, Vec<String>)> = Vec::new();
    for message in sent {
        let (said, to) = ((Some(message.identity.group()), saying(message)), receiver(message));
        match phrases.iter_mut().find(|(other, _)| *other == said) {
            Some((_, receivers)) => receivers.push(to),
            None => phrases.push((said, vec![to])),
        }
    }
    let to = |((group, said), receivers): (Phrase, Vec<String>)| {
        (group, format!("{said} to {}", receivers.join(", ")))
    };
    phrases.into_iter().map(to).collect()
}

/// What a message says, from the sender's side.
fn saying(message: &Sent) -> String {
    let identity = message.identity;
    let (kind, view, number) = (identity.kind, identity.sender_view(), identity.named_number());
    let said = match kind {
        Kind::Request => "sends the request".to_owned(),
        Kind::Prepare => format!("proposes op {number}"),
        Kind::PrepareOk => format!("acknowledges op {number}"),
        Kind::Commit => format!("says that all up to op {number} is committed"),
        Kind::CommitOk => {
            format!("answers round {number}, with a promise of {}", field(message, "promise").unwrap_or("?"))
        }
        Kind::Read => "sends the read".to_owned(),
        Kind::StartViewChange => format!("calls for view {number}"),
        Kind::DoViewChange => format!("sends its vote and log for view {view}"),
        Kind::StartView => format!("announces view {view} and its log"),
        Kind::Recovery => "asks for the state".to_owned(),
        Kind::RecoveryResponse => format!("answers that it is in view {view}"),
        Kind::StartEpoch | Kind::NewEpoch => format!("says that epoch {number} has begun"),
        Kind::EpochStarted => format!("says that it has the state of epoch {number}"),
        Kind::GetEpoch => "asks which epoch it is".to_owned(),
        Kind::GetState => format!("asks for what comes after op {number}"),
        Kind::NewState => format!("sends what comes after op {number}"),
        Kind::GetCheckpoint => format!("asks for checkpoint {}", identity.number >> 16),
        Kind::CheckpointPart => format!("sends a piece of checkpoint {}", identity.number >> 16),
        Kind::Reply => format!("answers “{}”", field(message, "reply").unwrap_or_default()),
        Kind::Alive => "shows that it is alive".to_owned(),
    };
    if matches!(kind, Kind::Reply | Kind::Read | Kind::Request) { said } else { format!("{said} ({kind:?})") }
}

/// The receiver of a message, and what befalls the message on its way.
fn receiver(message: &Sent) -> String {
    let mut text = message.identity.to.to_string();
    let befalls = match (message.dropped, message.fate) {
        (Some(why), _) => Some(dropped(why).to_owned()),
        (None, Some(fate)) => Some(self::fate(fate)),
        (None, None) => message.clogged.then(|| "kept back by the link".to_owned()),
    };
    let befalls = befalls.or_else(|| message.waited.then(|| waited(message)));
    if let Some(befalls) = befalls {
        let _ = write!(text, " ({befalls})");
    }
    text
}

/// What is said of a message that came while its receiver stood still.
#[must_use]
pub fn waited(message: &Sent) -> String {
    format!("waits, as {} stands still", message.identity.to)
}

/// Why a message never arrives.
#[must_use]
pub const fn dropped(why: Dropped) -> &'static str {
    match why {
        Dropped::Lost => "lost",
        Dropped::Cut => "cut off by the partition",
        Dropped::Overflow => "dropped: the link is full",
        Dropped::Silenced => "never sent: the planted bug",
        Dropped::Kept => "kept, and never let go",
    }
}

/// What befalls a message.
#[must_use]
pub fn fate(fate: Fate) -> String {
    match fate {
        Fate::Lost => "lost".to_owned(),
        Fate::Late(delay) => format!("late: {}", millis(delay)),
        Fate::Held(delay) => format!("held back for {}", millis(delay)),
        Fate::Outlasting(views) => {
            let views = if views == 1 { "a later view".to_owned() } else { format!("a view {views} later") };
            format!("held back until its receiver works in {views}")
        }
        Fate::Twice(delay) => format!("arrives twice, the copy after {}", millis(delay)),
    }
}

fn field<'a>(message: &'a Sent, name: &str) -> Option<&'a str> {
    message.fields.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str())
}

fn names(replicas: &[ReplicaId]) -> String {
    replicas.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn ops(from: u64, to: u64) -> String {
    if from == to { format!("op {from}") } else { format!("ops {from} to {to}") }
}

/// `OlderView` as `older view`.
fn plain(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push(' ');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

/// A time in milliseconds with as many places as matter.
#[must_use]
pub fn millis(nanoseconds: u64) -> String {
    let (whole, micros) = (nanoseconds / 1_000_000, nanoseconds / 1_000 % 1_000);
    match whole {
        0..10 => format!("{whole}.{micros:03} ms"),
        10..1_000 => format!("{whole}.{} ms", micros / 100),
        _ => format!("{}.{:02} s", whole / 1_000, whole % 1_000 / 10),
    }
}
