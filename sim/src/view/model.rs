//! What the page is given: the run, or a part of it, as plain data. The page's script reads it as it is
//! written here; nodes are numbers (replicas first), strings that come again and again are numbers too.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::hash::Hash;

use rustc_hash::FxHashMap;
use serde::Serialize;
use vr::{Epoch, ReplicaId, Role, View};

use super::past;
use super::words;
use crate::chronicle::{Cause, Chronicle, Did, Effect, ReplicaState, Sent, Step, facts};
use crate::faults::Action;
use crate::network::{Dropped, Fate};
use crate::node::Node;
use crate::packet::Kind;
use crate::run::{Report, Verdict};
use crate::trace::Head;

/// What stands in a replica's log in the place of what is in a checkpoint.
const IN_CHECKPOINT: &str = "(all up to here is in a checkpoint)";

/// How much of a replica's log is shown from before the part that is shown.
const LOG_TAIL: usize = 12;

/// A run, or a part of it.
#[derive(Debug, Serialize)]
pub struct Model {
    /// How many replicas there are: the first nodes.
    pub replicas: usize,
    /// The names of the nodes.
    pub nodes: Vec<String>,
    /// What the lanes of hosts show: each the replica of one group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lanes: Option<String>,
    /// The kinds of messages, by number.
    pub kinds: Vec<String>,
    /// All that is said more than once.
    pub strings: Vec<String>,
    /// How the run ended.
    pub verdict: &'static str,
    /// What is wrong, if anything is.
    pub violation: Option<Wrong>,
    /// The steps of the whole run.
    pub run_steps: u64,
    /// Whether this is the whole run.
    pub is_whole: bool,
    /// What was before the first step that is shown, for each replica.
    pub before: Vec<Before>,
    /// Log entries, each once: op-number, view, request. A replica that has lost its memory appends the
    /// same ones again.
    pub entries: Vec<(u64, u64, usize)>,
    /// The steps.
    pub steps: Vec<Row>,
    /// The messages that these steps send or receive.
    pub messages: Vec<Arrow>,
    /// Faults that last.
    pub bands: Vec<Band>,
    /// The clients' operations.
    pub calls: Vec<Bar>,
}

/// A violation.
#[derive(Debug, Serialize)]
pub struct Wrong {
    /// The property's name.
    pub property: String,
    /// The property in a few words.
    pub title: &'static str,
    /// In what way it does not hold.
    pub kind: String,
    /// What contradicts it.
    pub witness: String,
    /// Where it was seen.
    pub step: u64,
    /// What contradicts each other.
    pub facts: Vec<Placed>,
}

/// A fact with its place.
#[derive(Debug, Serialize)]
pub struct Placed {
    /// The step.
    pub step: u64,
    /// Whose fact it is.
    pub node: Option<usize>,
    /// What happened.
    pub text: String,
}

/// A replica before the first step that is shown.
#[derive(Debug, Default, Serialize)]
pub struct Before {
    /// What it was.
    pub state: Option<State>,
    /// The end of its log.
    pub last: u64,
    /// The last entries of its log: op-number, view, request.
    pub tail: Vec<(u64, u64, usize)>,
}

/// Role (0 primary, 1 backup, 2 view change, 3 recovering, 4 transitioning, 5 leaving, 6 stopped, 7 standby, 8 witness), view, last normal view, end of the log,
/// commit-number, life, and 1 if it waits for state.
pub type State = (u8, u64, u64, u64, u64, u64, u8);

/// A step.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its number.
    pub step: u64,
    /// Its time, in nanoseconds.
    pub time: u64,
    /// What it began with.
    pub cause: &'static str,
    /// Who acts, and who is acted upon.
    pub nodes: Vec<usize>,
    /// The message that arrives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<usize>,
    /// The messages that are sent: the first, and how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<(usize, usize)>,
    /// What happened, in words.
    pub what: String,
    /// What replicas have become by it, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub turn: Vec<String>,
    /// What else followed, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<String>,
    /// The replicas afterwards; `None` for one that is down.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<(usize, Option<State>)>,
    /// Entries that were appended: replica, the first by its number, and how many.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub appended: Vec<(usize, usize, usize)>,
    /// Logs that were cut: replica, what was kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<(usize, u64)>,
    /// Entries that were executed: replica, the first and the last op-number, and 1 if nobody had executed
    /// them before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub executed: Vec<(usize, u64, u64, u8)>,
    /// Whether the receiver ignored what arrived.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ignored: bool,
    /// Whether it is a heartbeat of which nothing came.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub routine: bool,
    /// Whether the violation could know of it.
    pub past: bool,
}

impl Row {
    /// What happened, as a sentence, but for what replicas have become by it.
    #[must_use]
    pub fn sentence(&self) -> String {
        let then = self.then.join("; ");
        match self.cause {
            _ if then.is_empty() => self.what.clone(),
            "fault" | "client" | "mend" => then,
            _ => format!("{}; {then}", self.what),
        }
    }

    /// Whether it is something from outside that happened up to a step: it has no lane, and is always shown.
    #[must_use]
    pub fn is_from_outside(&self, last: u64) -> bool {
        self.nodes.is_empty() && !self.then.is_empty() && self.step <= last
    }
}

/// A message.
#[derive(Debug, Serialize)]
pub struct Arrow {
    /// Its sender.
    pub from: usize,
    /// Its receiver.
    pub to: usize,
    /// Its kind.
    pub kind: usize,
    /// Its sender's view.
    pub view: u64,
    /// What it is about.
    pub number: u64,
    /// The step in which it was sent, if that is not among the steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// What it says: names and values.
    pub fields: Vec<(usize, usize)>,
    /// Why it never arrives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<&'static str>,
    /// Whether a partition cut it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// What befell it: `late`, `held` or `twice`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fate: Option<&'static str>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fate_text: Option<String>,
    /// The steps in which it arrived, but for those that are among the steps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arrived: Vec<u64>,
}

/// A fault that lasts.
#[derive(Debug, Serialize)]
pub struct Band {
    /// Of which kind: `partition`, `clog`, `pause`, `late`, `core`.
    pub kind: &'static str,
    /// The step in which it began.
    pub step: u64,
    /// The first step after its end.
    pub until: u64,
    /// What it is, in words.
    pub text: String,
    /// The nodes that it strikes, if not links.
    pub nodes: Vec<usize>,
    /// The links that it strikes.
    pub links: Vec<(usize, usize)>,
}

/// A client's operation.
#[derive(Debug, Serialize)]
pub struct Bar {
    /// The client.
    pub node: usize,
    /// Its place in the history.
    pub call: usize,
    /// What it asks for.
    pub operation: usize,
    /// When it was asked for.
    pub step: u64,
    /// When it was answered.
    pub end: Option<u64>,
    /// The answer.
    pub response: Option<usize>,
    /// Its point of linearization: the step, the replica and the op-number of its first execution, or of the answer
    /// to it if it is a read without the log.
    pub point: Option<(u64, usize, u64)>,
    /// When its client gave it up, or crashed.
    pub given_up: Option<u64>,
    /// Whether no order of the operations explains the answer.
    pub is_refused: bool,
}

/// What is the same for a part and the whole.
#[derive(Debug)]
pub struct Source<'a> {
    chronicle: &'a Chronicle,
    report: &'a Report,
    replicas: usize,
    /// The group whose replicas the lanes of hosts show: the one that the violation is about, or else the supervisor's.
    group: u64,
    facts: Vec<facts::Found>,
    /// Which steps are in the causal past of the facts.
    pub past: Vec<bool>,
}

impl<'a> Source<'a> {
    /// What a run has for a page.
    #[must_use]
    pub fn new(head: &Head, report: &'a Report, chronicle: &'a Chronicle) -> Self {
        let replicas = usize::from(head.setup.nodes());
        let facts = report.violation().map(|violation| facts::of(chronicle, violation)).unwrap_or_default();
        let mut targets: Vec<usize> = facts.iter().map(|found| found.index).collect();
        if report.violation().is_some_and(|violation| violation.property.is_about_everybody()) {
            targets.extend(last_steps(chronicle, replicas));
        }
        let past = past::of(chronicle, &targets, replicas);
        let is_of_hosts = head.setup.supervision.is_some();
        let group = report.violation().and_then(|violation| violation.group).filter(|_| is_of_hosts);
        let group = group.unwrap_or_default() as u64;
        Self { chronicle, report, replicas, group, facts, past }
    }

    /// The indices of the steps with the facts.
    #[must_use]
    pub fn targets(&self) -> Vec<usize> {
        self.facts.iter().map(|found| found.index).collect()
    }

    /// The part of the run with these steps. They are all steps from some point on that are in a causal
    /// past, or simply all: so each replica's steps follow one another.
    #[must_use]
    pub fn model(&self, wanted: &[bool]) -> Model {
        let is_whole = wanted.iter().all(|&wanted| wanted);
        let (strings, entries) = (Numbered::default(), Numbered::default());
        Builder { source: self, strings, entries, wanted }.model(is_whole)
    }

    fn index(&self, node: Node) -> usize {
        node.index(self.replicas)
    }

    fn lanes(&self) -> Option<String> {
        let of_whom =
            if self.group > 0 { format!("g{}", self.group) } else { "the supervisor's group".to_owned() };
        self.report
            .setup
            .supervision
            .is_some()
            .then(|| format!("lanes show {of_whom} (dotted: no replica there)"))
    }

    /// What replicas did in a step, as far as the lanes show them.
    fn done(&self, step: &'a Step) -> impl Iterator<Item = (ReplicaId, &'a Did)> + use<'a> {
        let shown = self.group;
        step.effects.iter().filter_map(move |effect| match effect {
            Effect::Did(who, did) if who.group == shown => Some((who.replica, did)),
            _ => None,
        })
    }

    /// What these were after it.
    fn after(&self, step: &'a Step) -> impl Iterator<Item = (ReplicaId, Option<&'a ReplicaState>)> + use<'a> {
        let shown = self.group;
        let after = step.after.iter().filter(move |(who, _)| who.group == shown);
        after.map(|(who, state)| (who.replica, state.as_ref()))
    }
}

/// Things that are written once and then named by their numbers.
#[derive(Debug, Default)]
struct Numbered<T> {
    all: Vec<T>,
    numbers: FxHashMap<T, usize>,
}

impl<T: Clone + Eq + Hash> Numbered<T> {
    fn number<Q>(&mut self, thing: &Q) -> usize
    where
        T: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = T> + ?Sized,
    {
        if let Some(&number) = self.numbers.get(thing) {
            return number;
        }
        self.all.push(thing.to_owned());
        self.numbers.insert(thing.to_owned(), self.all.len() - 1);
        self.all.len() - 1
    }
}

struct Builder<'a> {
    source: &'a Source<'a>,
    strings: Numbered<String>,
    entries: Numbered<(u64, u64, usize)>,
    wanted: &'a [bool],
}

impl Builder<'_> {
    fn model(mut self, is_whole: bool) -> Model {
        let source = self.source;
        let chronicle = source.chronicle;
        let clients = usize::from(source.report.setup.client_slots());
        let replica = |index| Node::Replica(ReplicaId(index as u8)).to_string();
        let nodes = (0..source.replicas).map(replica).chain((0..clients).map(|slot| format!("c{slot}")));
        let (numbers, messages) = self.messages();
        let mut is_committed: Vec<bool> = Vec::new();
        let mut steps = Vec::new();
        for (index, step) in chronicle.steps.iter().enumerate() {
            let first = first_executions(source.done(step), &mut is_committed);
            if self.wanted[index] {
                steps.push(self.row(index, step, &numbers, &first));
            }
        }
        Model {
            replicas: source.replicas,
            nodes: nodes.collect(),
            lanes: source.lanes(),
            kinds: Kind::ALL.iter().map(|kind| format!("{kind:?}")).collect(),
            verdict: verdict(&source.report.verdict),
            violation: self.violation(),
            run_steps: source.report.steps,
            is_whole,
            before: self.before(),
            steps,
            messages,
            bands: self.bands(),
            calls: self.calls(),
            entries: self.entries.all,
            strings: self.strings.all,
        }
    }

    fn violation(&self) -> Option<Wrong> {
        let violation = self.source.report.violation()?;
        let placed = |found: &facts::Found| Placed {
            step: self.source.chronicle.steps[found.index].step,
            node: found.node.map(|node| self.source.index(node)),
            text: found.text.clone(),
        };
        Some(Wrong {
            property: format!("{:?}", violation.property),
            title: violation.property.title(),
            kind: violation.kind.clone(),
            witness: violation.witness.clone(),
            step: violation.step,
            facts: self.source.facts.iter().map(placed).collect(),
        })
    }

    // ---- Steps ---------------------------------------------------------------------------------------

    fn row(&mut self, index: usize, step: &Step, numbers: &[Option<usize>], first: &[bool]) -> Row {
        let source = self.source;
        let chronicle = source.chronicle;
        let message = match step.cause {
            Cause::Arrival(message) | Cause::ArrivalAtNobody(message, _) => numbers[message as usize],
            _ => None,
        };
        let count = step.sent.len();
        let sent = (count > 0).then(|| numbers[step.sent.start as usize]).flatten();
        let mut row = Row {
            step: step.step,
            time: step.time,
            cause: cause(&step.cause),
            nodes: past::nodes(chronicle, step).iter().map(|&node| source.index(node)).collect(),
            message,
            sent: sent.map(|sent| (sent, count)),
            what: words::cause(chronicle, step),
            turn: words::turns(step),
            then: words::effects(chronicle, step),
            after: source.after(step).map(|(id, after)| (id.index(), after.map(state))).collect(),
            appended: Vec::new(),
            cut: Vec::new(),
            executed: Vec::new(),
            ignored: words::is_ignored(step),
            routine: words::is_routine(chronicle, step),
            past: source.past[index],
        };
        let mut first = first.iter();
        for (replica, did) in source.done(step) {
            match did {
                Did::Appended { op_number, view, request } => {
                    let request = self.strings.number(request);
                    let entry = self.entries.number(&(*op_number, page_view(*view), request));
                    match row.appended.last_mut() {
                        Some((who, first, count)) if *who == replica.index() && *first + *count == entry => {
                            *count += 1;
                        }
                        _ => row.appended.push((replica.index(), entry, 1)),
                    }
                }
                Did::Truncated { last_kept } => row.cut.push((replica.index(), *last_kept)),
                Did::LogBegins { after: 0 } => row.cut.push((replica.index(), 0)),
                Did::CheckpointInstalled { op_number } | Did::LogBegins { after: op_number } => {
                    let request = self.strings.number(IN_CHECKPOINT);
                    let entry = self.entries.number(&(*op_number, 0, request));
                    row.cut.push((replica.index(), 0));
                    row.appended.push((replica.index(), entry, 1));
                }
                Did::Executed { op_number, .. } => {
                    let (replica, is_first) = (replica.index(), u8::from(first.next() == Some(&true)));
                    match row.executed.last_mut() {
                        Some((who, _, last, known))
                            if *who == replica && *last + 1 == *op_number && *known == is_first =>
                        {
                            *last = *op_number;
                        }
                        _ => row.executed.push((replica, *op_number, *op_number, is_first)),
                    }
                }
                _ => {}
            }
        }
        row
    }

    /// What each replica was before the first step that is shown.
    fn before(&mut self) -> Vec<Before> {
        let steps = &self.source.chronicle.steps;
        let first = self.wanted.iter().position(|&wanted| wanted).unwrap_or(steps.len());
        // The beginning itself is nothing that happens.
        let end = if first == 0 { 1.min(steps.len()) } else { first };
        let mut logs: Vec<Vec<(u64, &str)>> = vec![Vec::new(); self.source.replicas];
        let mut states: Vec<Option<&ReplicaState>> = vec![None; self.source.replicas];
        for step in &steps[..end] {
            for (replica, did) in self.source.done(step) {
                let log = &mut logs[replica.index()];
                match did {
                    Did::Appended { view, request, .. } => log.push((page_view(*view), request)),
                    Did::Truncated { last_kept } => log.truncate(*last_kept as usize),
                    Did::CheckpointInstalled { op_number } | Did::LogBegins { after: op_number } => {
                        *log = vec![(0, IN_CHECKPOINT); *op_number as usize];
                    }
                    _ => {}
                }
            }
            for (replica, after) in self.source.after(step) {
                states[replica.index()] = after;
                if after.is_none() {
                    logs[replica.index()].clear();
                }
            }
        }
        let mut befores = Vec::new();
        for (log, known) in logs.iter().zip(states) {
            let skipped = log.len().saturating_sub(LOG_TAIL);
            let entries = log.iter().enumerate().skip(skipped);
            let tail = entries
                .map(|(index, (view, request))| (index as u64 + 1, *view, self.strings.number(*request)));
            let tail = tail.collect();
            befores.push(Before { state: known.map(state), last: log.len() as u64, tail });
        }
        befores
    }

    // ---- Messages ------------------------------------------------------------------------------------

    /// The messages that the wanted steps send or receive, and their new numbers.
    fn messages(&mut self) -> (Vec<Option<usize>>, Vec<Arrow>) {
        let chronicle = self.source.chronicle;
        let mut is_needed = vec![false; chronicle.messages.len()];
        let wanted = chronicle.steps.iter().zip(self.wanted).filter(|(_, wanted)| **wanted);
        for (step, _) in wanted {
            if let Cause::Arrival(message) | Cause::ArrivalAtNobody(message, _) = step.cause {
                is_needed[message as usize] = true;
            }
            step.sent.clone().for_each(|message| is_needed[message as usize] = true);
        }
        let mut numbers = vec![None; is_needed.len()];
        let mut arrows = Vec::new();
        for (index, message) in chronicle.messages.iter().enumerate().filter(|(index, _)| is_needed[*index]) {
            numbers[index] = Some(arrows.len());
            arrows.push(self.arrow(message));
        }
        (numbers, arrows)
    }

    fn is_wanted(&self, step: u64) -> bool {
        let steps = &self.source.chronicle.steps;
        steps.binary_search_by_key(&step, |step| step.step).is_ok_and(|index| self.wanted[index])
    }

    fn arrow(&mut self, message: &Sent) -> Arrow {
        let identity = message.identity;
        let fields = message.fields.iter();
        let fate = match message.fate {
            Some(Fate::Late(_)) => Some("late"),
            Some(Fate::Held(_) | Fate::Outlasting(_)) => Some("held"),
            Some(Fate::Twice(_)) => Some("twice"),
            Some(Fate::Lost) => None,
            None => message.clogged.then_some("held"),
        };
        let kept_back = || "kept back by the link".to_owned();
        Arrow {
            from: self.source.index(identity.from),
            to: self.source.index(identity.to),
            kind: identity.kind as usize,
            view: page_view(identity.sender_view().0),
            number: if identity.kind.numbers_views() { page_view(identity.number) } else { identity.number },
            step: (!self.is_wanted(message.step)).then_some(message.step),
            fields: fields
                .map(|(name, value)| (self.strings.number(*name), self.strings.number(value)))
                .collect(),
            dropped: message.dropped.map(words::dropped),
            cut: message.dropped == Some(Dropped::Cut),
            fate,
            fate_text: match fate {
                Some(_) => Some(message.fate.map_or_else(kept_back, words::fate)),
                None => message.waited.then(|| words::waited(message)),
            },
            arrived: message.arrived.iter().copied().filter(|&step| !self.is_wanted(step)).collect(),
        }
    }

    // ---- What lasts ----------------------------------------------------------------------------------

    fn bands(&self) -> Vec<Band> {
        let steps = &self.source.chronicle.steps;
        let end = steps.last().map_or(0, |step| step.step) + 1;
        let healed = steps
            .iter()
            .find(|step| step.effects.iter().any(|effect| matches!(effect, Effect::Healed(_))))
            .map_or(end, |step| step.step + 1);
        let mut bands = Vec::new();
        for step in steps {
            let until = |lasts: &u64| {
                let after = steps.partition_point(|other| other.time < step.time.saturating_add(*lasts));
                steps.get(after).map_or(end, |step| step.step).min(healed)
            };
            for effect in &step.effects {
                let Some((kind, lasts, nodes, links)) = self.lasting(effect) else { continue };
                let (text, until) = match effect {
                    Effect::Fault(action) => {
                        let ended = steps
                            .iter()
                            .filter(|later| later.step > step.step)
                            .find(|later| later.ends(action));
                        (words::fault(action), ended.map_or_else(|| until(&lasts), |ended| ended.step))
                    }
                    Effect::StaysCut(links) => (words::stays_cut(links), end),
                    _ => ("the faults have stopped".to_owned(), end),
                };
                bands.push(Band { kind, step: step.step, until, text, nodes, links });
            }
        }
        bands
    }

    /// The kind of a fault that lasts, for how long, and what it strikes.
    #[allow(clippy::type_complexity, reason = "a band without its place")]
    fn lasting(&self, effect: &Effect) -> Option<(&'static str, u64, Vec<usize>, Vec<(usize, usize)>)> {
        let index = |node: Node| self.source.index(node);
        let pairs =
            |links: &[(Node, Node)]| links.iter().map(|&(from, to)| (index(from), index(to))).collect();
        Some(match effect {
            Effect::Fault(Action::Cut { links, lasts, .. }) => ("partition", *lasts, vec![], pairs(links)),
            Effect::Fault(Action::Clog { links, lasts }) => ("clog", *lasts, vec![], pairs(links)),
            Effect::Fault(Action::Pause { node, lasts }) => ("pause", *lasts, vec![index(*node)], vec![]),
            Effect::Fault(Action::Sever { links }) => ("partition", u64::MAX, vec![], pairs(links)),
            Effect::Fault(Action::Halt { node }) => ("pause", u64::MAX, vec![index(*node)], vec![]),
            Effect::Fault(Action::FireLate { node, lasts }) => ("late", *lasts, vec![index(*node)], vec![]),
            Effect::StaysCut(links) => ("partition", 0, vec![], pairs(links)),
            Effect::Healed(core) => ("core", 0, core.iter().map(|id| id.index()).collect(), vec![]),
            _ => return None,
        })
    }

    fn calls(&mut self) -> Vec<Bar> {
        let mut bars: Vec<Bar> = Vec::new();
        let chronicle = self.source.chronicle;
        let refused = self.source.report.violation().and_then(|violation| {
            violation.facts.iter().find_map(|fact| match fact {
                crate::check::Fact::Called { call } => Some(*call),
                _ => None,
            })
        });
        for (step, effect) in
            chronicle.steps.iter().flat_map(|step| step.effects.iter().map(move |e| (step, e)))
        {
            match effect {
                Effect::Requests { client, operation, call: Some(call), .. } => bars.push(Bar {
                    node: self.source.index(*client),
                    call: *call,
                    operation: self.strings.number(operation),
                    step: step.step,
                    end: None,
                    response: None,
                    point: None,
                    given_up: None,
                    is_refused: refused == Some(*call),
                }),
                Effect::Did(who, Did::Executed { op_number, call: Some(call), takes_effect: true, .. }) => {
                    let point = (step.step, who.replica.index(), *op_number);
                    bars[*call].point.get_or_insert(point);
                }
                Effect::Answered { call: Some(call), op_number, response, .. } => {
                    let response = self.strings.number(response);
                    let bar = &mut bars[*call];
                    (bar.end, bar.response) = (Some(step.step), Some(response));
                    if bar.point.is_none() && !bar.is_refused {
                        bar.point = point_of_read(chronicle, step, *op_number);
                    }
                }
                Effect::StartsOver { client } => {
                    let node = self.source.index(*client);
                    if let Some(open) = bars.iter_mut().rev().find(|bar| bar.node == node)
                        && open.end.is_none()
                    {
                        open.given_up = Some(step.step);
                    }
                }
                _ => {}
            }
        }
        // Where only a part is shown, operations before it are of no interest.
        let first =
            self.wanted.iter().position(|&wanted| wanted).map_or(0, |index| chronicle.steps[index].step);
        bars.retain(|bar| bar.end.or(bar.given_up).is_none_or(|end| end >= first));
        bars
    }
}

/// Where a read was answered as of this op-number: the step in which the answer that arrives was given, if it was one.
fn point_of_read(chronicle: &Chronicle, step: &Step, op_number: u64) -> Option<(u64, usize, u64)> {
    let Cause::Arrival(message) = step.cause else { return None };
    let answer = &chronicle.messages[message as usize];
    let place = chronicle.steps.binary_search_by_key(&answer.step, |step| step.step).ok()?;
    chronicle.steps[place].effects.iter().find_map(|effect| match effect {
        Effect::Did(who, Did::AnswersRead { op_number: of, .. })
            if Node::Replica(who.replica) == answer.identity.from && *of == op_number =>
        {
            Some((answer.step, who.replica.index(), op_number))
        }
        _ => None,
    })
}

/// The index of the last step of each node.
fn last_steps(chronicle: &Chronicle, replicas: usize) -> Vec<usize> {
    let mut last: BTreeMap<usize, usize> = BTreeMap::new();
    for (index, step) in chronicle.steps.iter().enumerate() {
        last.extend(past::nodes(chronicle, step).iter().map(|node| (node.index(replicas), index)));
    }
    last.into_values().collect()
}

/// For each execution among what replicas did, whether nobody had executed the op-number before.
fn first_executions<'a>(
    done: impl Iterator<Item = (ReplicaId, &'a Did)>,
    is_committed: &mut Vec<bool>,
) -> Vec<bool> {
    let executed = done.filter_map(|(_, did)| match did {
        Did::Executed { op_number, .. } => Some(*op_number as usize),
        _ => None,
    });
    executed
        .map(|op_number| {
            is_committed.resize(is_committed.len().max(op_number + 1), false);
            !std::mem::replace(&mut is_committed[op_number], true)
        })
        .collect()
}

fn state(state: &ReplicaState) -> State {
    let role = match state.role {
        Role::Primary => 0,
        Role::Backup => 1,
        Role::ViewChange => 2,
        Role::Recovering => 3,
        Role::Transitioning => 4,
        Role::Leaving => 5,
        Role::Stopped => 6,
        Role::Standby => 7,
        Role::Witness => 8,
    };
    let fetching = u8::from(state.is_fetching);
    let ReplicaState { view, last_normal_view, op_number, commit_number, incarnation, .. } = *state;
    (role, page_view(view), page_view(last_normal_view), op_number, commit_number, incarnation, fetching)
}

/// A view as the page has it: the epoch above 32 bits of view-number, which a browser's numbers hold exactly.
const fn page_view(view: u64) -> u64 {
    let view = View(view);
    view.epoch().0 << 32 | view.number()
}

/// The view that the page has as this number.
pub(super) const fn view_on_page(number: u64) -> View {
    View::of(Epoch(number >> 32), number & 0xffff_ffff)
}

const fn cause(cause: &Cause) -> &'static str {
    match cause {
        Cause::Beginning => "beginning",
        Cause::Arrival(_) => "arrival",
        Cause::ArrivalAtNobody(..) => "nobody",
        Cause::Timer(_) => "timer",
        Cause::ClientActs(_) => "client",
        Cause::PatienceLost(_) => "patience",
        Cause::Fault => "fault",
        Cause::Mend => "mend",
        Cause::Restart(_) => "restart",
    }
}

const fn verdict(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "held",
        Verdict::Violated(_) => "violated",
        Verdict::Inconclusive(_) => "inconclusive",
        Verdict::HarnessFailed(_) => "the harness failed",
    }
}
