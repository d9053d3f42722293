//! The phrases that stories are made of.

use vr::{Role, View};

use crate::chronicle::listing::{action_in_words, nothing_gets};
use crate::chronicle::{Cause, Chronicle, Did, Effect, ReplicaState, Sent, Step, Who, in_group};
use crate::network::{Dropped, Fate};
use crate::node::Node;
use crate::packet::Kind;

/// What happened in a step. `numbers` says under which number each step was told, 0 if it was not.
pub(super) fn sentence(chronicle: &Chronicle, step: &Step, numbers: &[usize]) -> String {
    let beginning = beginning(chronicle, step, numbers);
    joined(chronicle, step, beginning, sent(chronicle, step))
}

/// The same, with what became of each message.
pub(super) fn sentence_with_fates(chronicle: &Chronicle, step: &Step) -> String {
    let beginning = match step.cause {
        Cause::Arrival(message) => Some(arrival_with_fate(&chronicle.messages[message as usize], step)),
        _ => beginning(chronicle, step, &vec![0; chronicle.steps.len()]),
    };
    let sentence = joined(chronicle, step, beginning, sent_with_fates(chronicle, step));
    format!("{sentence}{}{}", struck(chronicle, step), decides(chronicle, step))
}

/// Where a client that has its answer makes the request on which it decides with that, if it is later.
fn decides(chronicle: &Chronicle, step: &Step) -> String {
    let answered = step.effects.iter().find_map(|effect| match effect {
        Effect::Answered { client, number, .. } => Some((*client, *number)),
        _ => None,
    });
    let Some((node, answered)) = answered else { return String::new() };
    // The number that the client asks under next; a client that starts over has forgotten what it decided.
    let asks = |effect: &Effect| match effect {
        Effect::Requests { client, number, .. } if *client == node => Some(*number),
        Effect::StartsOver { client } if *client == node => Some(0),
        _ => None,
    };
    let mut later = chronicle.steps.iter().filter(|later| later.step > step.step);
    let next = later.find_map(|later| Some((later.step, later.effects.iter().find_map(asks)?)));
    match next {
        Some((made, number)) if number == answered + 1 => {
            format!(", and decides on its next request (made in #{made})")
        }
        _ => String::new(),
    }
}

/// A sentence of its parts.
fn joined(chronicle: &Chronicle, step: &Step, beginning: Option<String>, sent: Vec<String>) -> String {
    let beginning_is_told = beginning.is_some();
    let mut parts: Vec<String> = beginning.into_iter().collect();
    // A crash at a moment of the protocol comes after the message that was the moment.
    let (faults, others): (Vec<_>, Vec<_>) =
        step.effects.iter().partition(|effect| matches!(effect, Effect::Fault(_)));
    // The beginning says of which group it is.
    let group = if beginning_is_told { step.group(&chronicle.messages) } else { 0 };
    parts.extend(consequences(&others, group));
    parts.extend(sent);
    parts.extend(faults.into_iter().filter_map(followed));
    if parts.is_empty() {
        parts.push("nothing happens".to_owned());
    }
    parts.join(", ")
}

// ---- How a step begins -------------------------------------------------------------------------------

fn beginning(chronicle: &Chronicle, step: &Step, numbers: &[usize]) -> Option<String> {
    Some(match step.cause {
        Cause::Arrival(message) => {
            let message = &chronicle.messages[message as usize];
            let (to, from) = (message.identity.to, message.identity.from);
            format!(
                "{to} receives {} from {from}{}",
                name(message),
                history(chronicle, message, step, numbers)
            )
        }
        Cause::ArrivalAtNobody(message, why) => {
            let message = &chronicle.messages[message as usize];
            format!("{} for {} is lost: {why}", name(message), message.identity.to)
        }
        Cause::Timer(node) => timer(chronicle, step, node),
        Cause::PatienceLost(node) => format!("{node} gives its request up"),
        Cause::Restart(node) => format!("{node} starts again without its memory"),
        Cause::Mend => "the partition ends".to_owned(),
        Cause::Beginning | Cause::ClientActs(_) | Cause::Fault => return None,
    })
}

fn timer(chronicle: &Chronicle, step: &Step, node: Node) -> String {
    let group = step.group(&chronicle.messages);
    let Some(before) = state_before(chronicle, step, node, group) else {
        return format!("{node} has waited long enough{}", in_group(group));
    };
    let (view, of) = (View(before.view), in_group(group));
    match before.role {
        Role::Primary => format!("{node}, primary of view {view}{of}, is at its timer"),
        Role::Backup | Role::Witness => format!("{node} times out in view {view}{of}"),
        Role::ViewChange => format!("{node} still waits for view {view}{of} to start"),
        Role::Recovering => format!("{node} still waits for answers to its recovery{of}"),
        Role::Transitioning => format!("{node} still waits for the log up to the start of its epoch{of}"),
        Role::Leaving => format!("{node} still waits for the new group to have the state{of}"),
        Role::Stopped | Role::Standby => format!("{node} is at its timer{of}"),
    }
}

/// What the node's replica of a group was before this step.
fn state_before<'a>(
    chronicle: &'a Chronicle,
    step: &Step,
    node: Node,
    group: u64,
) -> Option<&'a ReplicaState> {
    let Node::Replica(replica) = node else { return None };
    let index = chronicle.steps.binary_search_by_key(&step.step, |step| step.step).ok()?;
    chronicle.state_before(index, Who { replica, group })
}

/// Where an unusual message comes from.
fn history(chronicle: &Chronicle, message: &Sent, step: &Step, numbers: &[usize]) -> String {
    let is_copy = message.arrived.first().is_some_and(|&first| first != step.step);
    let what = match message.fate {
        Some(Fate::Twice(_)) if is_copy => "a copy, ",
        None | Some(Fate::Lost | Fate::Twice(_)) if message.waited => "",
        None | Some(Fate::Lost | Fate::Twice(_)) => return String::new(),
        Some(Fate::Late(_)) => "late, ",
        Some(Fate::Held(_) | Fate::Outlasting(_)) => "held, ",
    };
    let index = chronicle.steps.binary_search_by_key(&message.step, |step| step.step);
    match index.map(|index| numbers[index]) {
        Ok(number) if number > 0 => format!(" ({what}sent in {number})"),
        _ => format!(" ({what}sent in step {})", message.step),
    }
}

// ---- What follows ------------------------------------------------------------------------------------

/// What follows, where `group` is what is spoken of: when it is another one, that is said.
fn consequences(effects: &[&Effect], mut group: u64) -> Vec<String> {
    let mut phrases = Vec::new();
    for run in effects.chunk_by(|one, next| is_more_of(one, next)) {
        let Some(phrase) = together(run) else { continue };
        match run[0] {
            Effect::Did(who, _) if who.group != group => {
                group = who.group;
                phrases.push(format!("in g{group} {phrase}"));
            }
            _ => phrases.push(phrase),
        }
    }
    phrases
}

/// Entries that are appended or executed one after the other are told together.
fn is_more_of(one: &Effect, next: &Effect) -> bool {
    let (Effect::Did(who, one), Effect::Did(other, next)) = (one, next) else { return false };
    let is_same = matches!(
        (one, next),
        (Did::Appended { .. }, Did::Appended { .. }) | (Did::Executed { .. }, Did::Executed { .. })
    );
    who == other && is_same
}

fn together(run: &[&Effect]) -> Option<String> {
    match (run.first()?, run.last()?) {
        (
            Effect::Did(_, Did::Appended { op_number: first, .. }),
            Effect::Did(_, Did::Appended { op_number: last, .. }),
        ) if first < last => Some(format!("puts ops {first} to {last} into its log")),
        (
            Effect::Did(_, Did::Executed { op_number: first, .. }),
            Effect::Did(_, Did::Executed { op_number: last, .. }),
        ) if first < last => Some(format!("executes ops {first} to {last}")),
        (only, _) => followed(only),
    }
}

fn followed(effect: &Effect) -> Option<String> {
    Some(match effect {
        Effect::Fault(action) => action_in_words(action),
        Effect::Told(sentence) => format!("the story goes on: {sentence}"),
        Effect::Healed(core) => {
            let names: Vec<String> = core.iter().map(ToString::to_string).collect();
            format!("the faults stop; {} have to make progress", and(&names))
        }
        Effect::StaysCut(links) => {
            format!("in spite of that {}, from now on", nothing_gets(links))
        }
        Effect::Did(_, did) => return done(did),
        Effect::Registers { client, group } => format!("{client} asks for a session{}", in_group(*group)),
        Effect::Requests { client, group, operation, .. } => {
            format!("{client} requests {operation}{}", in_group(*group))
        }
        Effect::Answered { op_number, response, .. } => {
            format!("has its answer from op {op_number}: {response}")
        }
        Effect::StartsOver { client } => format!("{client} starts over as a new client"),
        Effect::Mended(_) => return None,
    })
}

fn done(did: &Did) -> Option<String> {
    Some(match did {
        Did::Appended { op_number, request, .. } => format!("puts op {op_number} into its log: {request}"),
        Did::Truncated { last_kept } => format!("drops what its log holds after op {last_kept}"),
        Did::Compacted { through } => {
            format!("drops its log up to op {through}, for which there are checkpoints")
        }
        Did::LogBegins { after } => {
            format!("forgets its log, which begins after op {after} now")
        }
        Did::CheckpointInstalled { op_number } => {
            format!("puts the checkpoint after op {op_number} in the place of its state and log")
        }
        Did::Executed { op_number, outcome, .. } => {
            format!("executes op {op_number} (result: {outcome})")
        }
        Did::AnswersRead { op_number, basis, .. } => {
            format!("answers a read as of op {op_number}, by {}", in_words(basis))
        }
        Did::ViewStarts { view, votes, op_number, commit_number } => {
            let (view, votes): (View, Vec<String>) =
                (View(*view), votes.iter().map(ToString::to_string).collect());
            format!(
                "starts view {view} on the votes of {}: its log ends at op {op_number}, committed up to {commit_number}",
                and(&votes)
            )
        }
        Did::EpochBegins { epoch, members } => format!("comes to epoch {epoch}, with {members}"),
        Did::RoleChanged { role, view } => becomes(*role, *view),
        Did::Ignored { reason } => format!("ignores it: {}", in_words(reason)),
        Did::Begins { ticket, is_clean: true } => format!("starts a replica anew, on ticket {ticket}"),
        Did::Begins { ticket, is_clean: false } => {
            format!("starts a replica that has to recover, on ticket {ticket}")
        }
        Did::Dropped => "drops its replica".to_owned(),
        Did::Took { .. } => return None,
    })
}

fn becomes(role: Role, view: u64) -> String {
    let view = View(view);
    match role {
        Role::Primary => format!("is primary of view {view}"),
        Role::Backup => format!("is backup in view {view}"),
        Role::ViewChange => format!("changes to view {view}"),
        Role::Recovering => "is recovering".to_owned(),
        Role::Transitioning => format!("is a member of epoch {}, without its log", view.epoch()),
        Role::Leaving => format!("is replaced in epoch {}, and keeps the state", view.epoch()),
        Role::Stopped => "has stopped".to_owned(),
        Role::Standby => "stands by".to_owned(),
        Role::Witness => format!("is witness in view {view}"),
    }
}

/// `OlderView` as `older view`.
fn in_words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

// ---- Messages ----------------------------------------------------------------------------------------

/// What befell copies of a message, and to whom those went.
type Fates = Vec<(Option<String>, Vec<String>)>;

/// What was sent, one part for each different message: to whom, and what befell it.
fn sent(chronicle: &Chronicle, step: &Step) -> Vec<String> {
    let mut groups: Vec<(String, Fates)> = Vec::new();
    for message in step.sent.clone().map(|message| &chronicle.messages[message as usize]) {
        let (name, befell, to) = (name(message), befell(message), message.identity.to.to_string());
        let fates = match groups.iter_mut().find(|(other, _)| *other == name) {
            Some((_, fates)) => fates,
            None => {
                groups.push((name, Vec::new()));
                &mut groups.last_mut().expect("just pushed").1
            }
        };
        match fates.iter_mut().find(|(other, _)| *other == befell) {
            Some((_, receivers)) => receivers.push(to),
            None => fates.push((befell, vec![to])),
        }
    }
    groups.into_iter().map(|(name, fates)| format!("sends {name} {}", receivers(&fates))).collect()
}

fn receivers(fates: &[(Option<String>, Vec<String>)]) -> String {
    let part = |(befell, receivers): &(Option<String>, Vec<String>)| match befell {
        None => format!("to {}", and(receivers)),
        Some(befell) => format!("to {}: {befell}", and(receivers)),
    };
    let mut fates = fates.to_vec();
    fates.sort_by_key(|(befell, _)| befell.is_some());
    fates.iter().map(part).collect::<Vec<_>>().join("; ")
}

/// What befell a message on its way, and where it arrived.
fn befell(message: &Sent) -> Option<String> {
    let waits = message.waited.then(|| format!("waits, as {} stands still", message.identity.to));
    let befell: Vec<String> = befell_on_its_way(message).into_iter().chain(waits).collect();
    (!befell.is_empty()).then(|| befell.join(", then "))
}

fn befell_on_its_way(message: &Sent) -> Option<String> {
    let millis = |nanos: u64| format!("{} ms", nanos / 1_000_000);
    match (message.dropped, message.fate) {
        (Some(Dropped::Lost), _) => Some("lost".to_owned()),
        (Some(Dropped::Cut), _) => Some("cut off".to_owned()),
        (Some(Dropped::Overflow), _) => Some("the link is full".to_owned()),
        (Some(Dropped::Silenced), _) => Some("never sent, the planted bug".to_owned()),
        (Some(Dropped::Kept), _) => Some("kept, and never let go".to_owned()),
        (None, Some(Fate::Held(delay))) => Some(format!("held for {}", millis(delay))),
        (None, Some(Fate::Outlasting(views))) => {
            Some(format!("held until view {}", message.identity.view + views))
        }
        (None, Some(Fate::Late(delay))) => Some(format!("late by {}", millis(delay))),
        (None, Some(Fate::Twice(delay))) => Some(format!("and once more after {}", millis(delay))),
        (None, Some(Fate::Lost) | None) if message.clogged => Some("the link is clogged".to_owned()),
        (None, Some(Fate::Lost) | None) => None,
    }
}

/// An arrival, and how the message came: in which step it was sent, and what befell it on the way.
fn arrival_with_fate(message: &Sent, step: &Step) -> String {
    let (to, from) = (message.identity.to, message.identity.from);
    let copy = message.arrived.first().is_some_and(|&first| first != step.step);
    let copy = if copy { "a copy, " } else { "" };
    let fate = befell(message).map_or_else(String::new, |befell| format!(", {befell}"));
    format!("{to} receives {} from {from} ({copy}sent in #{}{fate})", name(message), message.step)
}

/// What was sent, one part for each different message, with what became of it on the way to each receiver.
fn sent_with_fates(chronicle: &Chronicle, step: &Step) -> Vec<String> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for message in step.sent.clone().map(|message| &chronicle.messages[message as usize]) {
        let receiver = format!("to {} ({})", message.identity.to, fate(message));
        let name = name(message);
        match groups.iter_mut().find(|(other, _)| *other == name) {
            Some((_, receivers)) => receivers.push(receiver),
            None => groups.push((name, vec![receiver])),
        }
    }
    groups.into_iter().map(|(name, receivers)| format!("sends {name} {}", receivers.join(", "))).collect()
}

/// What became of a message: what befell it, and when it came, if it was not dropped.
fn fate(message: &Sent) -> String {
    let arrived: Vec<String> = message.arrived.iter().map(|step| format!("#{step}")).collect();
    let arrival = match (message.dropped, arrived.is_empty()) {
        (Some(_), _) => None,
        (None, true) => Some("not delivered until the end".to_owned()),
        (None, false) => Some(format!("delivered in {}", and(&arrived))),
    };
    befell(message).into_iter().chain(arrival).collect::<Vec<_>>().join(", ")
}

/// What the replicas on which a fault acts were before.
fn struck(chronicle: &Chronicle, step: &Step) -> String {
    if !step.effects.iter().any(|effect| matches!(effect, Effect::Fault(_))) {
        return String::new();
    }
    let state = |(node, group): (Node, u64)| {
        let ReplicaState { role, view, .. } = *state_before(chronicle, step, node, group)?;
        let (view, of) = (View(view), in_group(group));
        Some(match role {
            Role::Primary => format!("{node} was primary of view {view}{of}"),
            Role::Backup => format!("{node} was backup in view {view}{of}"),
            Role::ViewChange => format!("{node} was changing to view {view}{of}"),
            Role::Recovering => format!("{node} was recovering{of}"),
            Role::Transitioning => format!("{node} was waiting for the log of epoch {}{of}", view.epoch()),
            Role::Leaving => format!("{node} was replaced{of}"),
            Role::Stopped => format!("{node} had stopped{of}"),
            Role::Standby => format!("{node} was no member{of}"),
            Role::Witness => format!("{node} was witness in view {view}{of}"),
        })
    };
    // Of a host that crashed all its replicas are down.
    let others = step.after.iter().filter(|(who, _)| who.group > 0);
    let others = others.map(|(who, _)| (Node::Replica(who.replica), who.group));
    let touched = step.touches(chronicle).into_iter().map(|node| (node, 0));
    let states: Vec<String> = touched.chain(others).filter_map(state).collect();
    if states.is_empty() { String::new() } else { format!(" ({})", states.join(", ")) }
}

/// The message as the paper writes it, and of which group it is among several of a supervisor.
fn name(message: &Sent) -> String {
    let name = name_in_group(message);
    match message.identity.group() {
        0 => name,
        group => format!("{name} in g{group}"),
    }
}

/// Its name and what matters of its fields.
fn name_in_group(message: &Sent) -> String {
    let identity = &message.identity;
    let field = |name: &str| {
        message.fields.iter().find(|(other, _)| *other == name).map_or("", |(_, value)| value.as_str())
    };
    let (kind, view) = (identity.kind, identity.sender_view());
    match kind {
        Kind::Prepare | Kind::PrepareOk => format!("{kind:?}(view {view}, op {})", field("op-number")),
        Kind::Commit => format!("Commit(view {view}, up to op {})", field("commit")),
        Kind::CommitOk => format!("CommitOk(view {view}, round {})", field("round")),
        // The paper's message says that the sender has moved; one view ahead of its sender it proposes to.
        Kind::StartViewChange if field("new view") == view.to_string() => format!("StartViewChange({view})"),
        Kind::StartViewChange => format!("StartViewChange({}), a proposal,", field("new view")),
        Kind::DoViewChange => format!(
            "DoViewChange({view}; last normal in view {}, log to op {})",
            field("last normal view"),
            field("log to op")
        ),
        Kind::StartView => format!("StartView({view}; log to op {})", field("log to op")),
        Kind::Recovery => "Recovery".to_owned(),
        Kind::RecoveryResponse if field("log to op").is_empty() => format!("RecoveryResponse(view {view})"),
        Kind::RecoveryResponse => format!("RecoveryResponse(view {view}; log to op {})", field("log to op")),
        Kind::GetState => format!("GetState(view {}, after op {})", field("wanted view"), field("after op")),
        Kind::NewState => {
            format!("NewState(view {view}, {} entries after op {})", field("entries"), field("after op"))
        }
        Kind::GetCheckpoint => {
            format!("GetCheckpoint({}, from piece {})", field("checkpoint"), field("from piece"))
        }
        Kind::CheckpointPart => format!("CheckpointPart({}, {})", field("checkpoint"), field("piece")),
        Kind::StartEpoch | Kind::NewEpoch => format!("{kind:?}({}, {})", field("epoch"), field("members")),
        Kind::EpochStarted => format!("EpochStarted({})", field("epoch")),
        Kind::GetEpoch => "GetEpoch".to_owned(),
        Kind::Request => format!("Request({})", field("request")),
        Kind::Read => format!("Read({}, {})", field("read"), field("wanted")),
        Kind::Reply => format!("Reply({})", field("reply")),
        Kind::Alive => "Alive".to_owned(),
    }
}

/// `a`, `a and b`, `a, b and c`.
fn and(names: &[String]) -> String {
    match names {
        [] => "nobody".to_owned(),
        [one] => one.clone(),
        [front @ .., last] => format!("{} and {last}", front.join(", ")),
    }
}
