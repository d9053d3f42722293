//! A group that lives long: ten million operations, a crash now and then, and neither the memory nor the messages
//! grow. Exits with 1 if they do.
//!
//! `cargo run --release -p vr --example long_life [OPERATIONS]`

use std::collections::VecDeque;
use std::mem::{size_of, take};
use std::process::ExitCode;
use std::sync::Arc;

use vr::services::key_value_store::{KeyValueStore, Operation, Response};
use vr::{
    Client, ClientAddress, ClientOptions, ClientOutbox, Configuration, Content, EpochStart, Incarnation,
    Instant, Member, Message, Options, Outbox, Payload, Replica, ReplicaId, Reply, Request, Session,
    Standard, View,
};

type Service = KeyValueStore<u64, u64>;
type Asked = Operation<u64, u64>;

const KEYS: u64 = 1_000;
const REPLICAS: u8 = 3;
/// A message arrives after a tenth of a millisecond.
const TRAVEL: u64 = 100_000;

/// How many reports there are.
const REPORTS: u64 = 10;

/// What is on its way, and what was sent since the last report.
#[derive(Default)]
struct Network {
    messages: VecDeque<(ReplicaId, Message<Service>)>,
    requests: VecDeque<(ReplicaId, Arc<Request<Asked>>)>,
    replies: VecDeque<Reply<Response<u64, u64>>>,
    sent: Sent,
}

/// Messages between replicas.
#[derive(Default)]
struct Sent {
    messages: u64,
    /// All of them together, in bytes.
    bytes: u64,
    /// The largest, in bytes.
    largest: u64,
    /// How many were pieces of checkpoints.
    checkpoint_parts: u64,
}

impl Sent {
    fn count(&mut self, message: &Message<Service>) {
        let bytes = (size_of::<Message<Service>>() + held(&message.payload)) as u64;
        self.messages += 1;
        self.bytes += bytes;
        self.largest = self.largest.max(bytes);
        self.checkpoint_parts += u64::from(matches!(message.payload, Payload::CheckpointPart(_)));
    }
}

/// How much a message holds beyond its fixed part, in bytes, as if nothing of it were shared.
fn held(payload: &Payload<Service>) -> usize {
    let entry = size_of::<View>() + size_of::<Request<Asked>>();
    match payload {
        Payload::Prepare(prepare) => prepare.batch.entries().len() * entry,
        Payload::DoViewChange(vote) => vote.log.length() as usize * entry,
        Payload::StartView(start) => start.log.length() as usize * entry,
        Payload::NewState(state) => state.entries.len() * entry,
        Payload::RecoveryResponse(response) => {
            response.state.as_ref().map_or(0, |state| state.log.length() as usize * entry)
        }
        Payload::CheckpointPart(part) => match &part.content {
            Content::Sessions(sessions, _) => {
                sessions.len() * size_of::<Session<Response<u64, u64>>>() + size_of::<EpochStart>()
            }
            Content::Service(entries) => size_of_val(&entries[..]),
        },
        Payload::Request(_) => size_of::<Request<Asked>>(),
        _ => 0,
    }
}

impl Outbox<Service> for Network {
    fn send(&mut self, to: ReplicaId, message: Message<Service>) {
        self.sent.count(&message);
        self.messages.push_back((to, message));
    }

    fn reply(&mut self, _to: ClientAddress, reply: Reply<Response<u64, u64>>) {
        self.replies.push_back(reply);
    }
}

impl ClientOutbox<Asked> for Network {
    fn send(&mut self, to: ReplicaId, request: Arc<Request<Asked>>) {
        self.requests.push_back((to, request));
    }
}

struct Group {
    now: Instant,
    network: Network,
    replicas: Vec<Replica<Service>>,
    client: Client<Asked, Standard>,
    restarts: u64,
}

impl Group {
    fn new() -> Self {
        let now = Instant(0);
        let replicas =
            (0..REPLICAS).map(|id| Replica::new(now, member(id), Standard, Service::default())).collect();
        let mut network = Network::default();
        let group = Configuration::new(REPLICAS.into()).expect("a group of three");
        let mut client = Client::new(ClientAddress(1), group, ClientOptions::default(), Standard, 7);
        client.register(now, &mut network);
        Self { now, network, replicas, client, restarts: 0 }
    }

    /// Hands over all that is on its way, and lets time pass.
    fn go_on(&mut self) {
        self.now = Instant(self.now.0 + TRAVEL);
        let Self { now, network, replicas, client, .. } = self;
        for (to, message) in take(&mut network.messages) {
            replicas[to.index()].on_message(*now, message, network);
        }
        for (to, request) in take(&mut network.requests) {
            replicas[to.index()].on_request(*now, request, network);
        }
        for reply in take(&mut network.replies) {
            _ = client.on_reply(*now, reply, network);
        }
        for replica in replicas.iter_mut().filter(|replica| replica.next_deadline() <= *now) {
            replica.on_timeout(*now, network);
        }
        if client.next_deadline() <= *now {
            client.on_timeout(*now, network);
        }
    }

    /// One replica loses its memory, and recovers.
    fn crash(&mut self) {
        self.restarts += 1;
        let id = (self.restarts % u64::from(REPLICAS)) as u8;
        let life = Incarnation(self.restarts);
        let service = Service::default();
        self.replicas[usize::from(id)] =
            Replica::recover(self.now, member(id), life, Standard, service, &mut self.network);
    }
}

fn member(id: u8) -> Member {
    let group = Configuration::new(REPLICAS.into()).expect("a group of three");
    Member {
        id: ReplicaId(id),
        epoch: EpochStart::first(group),
        options: Options::default(),
        entropy: u64::from(id) + 1,
    }
}

/// The memory of this process in KiB, where the system says.
fn memory() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4)
}

fn main() -> ExitCode {
    let operations = match std::env::args().nth(1).map(|argument| argument.parse::<u64>()) {
        None => 10_000_000,
        Some(Ok(operations)) if operations >= 100 * REPORTS => operations,
        Some(_) => {
            eprintln!("usage: long_life [OPERATIONS], at least {}", 100 * REPORTS);
            return ExitCode::from(2);
        }
    };
    let mut group = Group::new();
    println!("operations  view  entries kept  bytes in a message  in the largest  checkpoint pieces     KiB");
    let mut done = 0;
    let mut reports = Vec::new();
    while done < operations {
        group.go_on();
        if group.client.id().is_none() || group.client.is_waiting() {
            continue;
        }
        done += 1;
        let operation = match done % 4 {
            0 => Operation::Get { key: done % KEYS },
            _ => Operation::Put { key: done % KEYS, value: done },
        };
        group.client.request(group.now, operation, &mut group.network).expect("nothing is outstanding");
        if done.is_multiple_of(operations / (10 * REPORTS)) {
            group.crash();
        }
        if done.is_multiple_of(operations / REPORTS) {
            reports.push(Report::of(&mut group));
            reports[reports.len() - 1].print(done);
        }
    }
    match has_grown(&reports) {
        None => ExitCode::SUCCESS,
        Some(what) => {
            eprintln!("{what} has grown by more than a quarter");
            ExitCode::from(1)
        }
    }
}

/// What the group holds now, and what its messages held since the last report.
struct Report {
    view: u64,
    entries_kept: u64,
    bytes_in_message: u64,
    largest: u64,
    checkpoint_parts: u64,
    /// In KiB.
    memory: Option<u64>,
}

impl Report {
    fn of(group: &mut Group) -> Self {
        let most = |of: fn(&Replica<Service>) -> u64| group.replicas.iter().map(of).max().unwrap_or_default();
        let (entries_kept, view) = (most(|replica| replica.log().length()), most(|replica| replica.view().0));
        let Sent { messages, bytes, largest, checkpoint_parts } = take(&mut group.network.sent);
        let bytes_in_message = bytes / messages.max(1);
        Self { view, entries_kept, bytes_in_message, largest, checkpoint_parts, memory: memory() }
    }

    fn print(&self, done: u64) {
        let Self { view, entries_kept, bytes_in_message, largest, checkpoint_parts, memory } = self;
        let memory = memory.map_or("?".to_owned(), |kibibytes| kibibytes.to_string());
        println!(
            "{done:10}  {view:4}  {entries_kept:12}  {bytes_in_message:18}  {largest:14}  {checkpoint_parts:17}  {memory:>6}"
        );
    }
}

/// What is larger at the end of a group's life than at its beginning, if anything is.
fn has_grown(reports: &[Report]) -> Option<&'static str> {
    let (young, old) = reports.split_at(reports.len() / 2);
    let grows = |of: fn(&Report) -> u64| {
        let most = |reports: &[Report]| reports.iter().map(of).max().unwrap_or_default();
        most(old) > most(young) + most(young) / 4
    };
    [
        ("what is kept of the log", grows(|report| report.entries_kept)),
        ("what a message holds", grows(|report| report.bytes_in_message)),
        ("what the largest message holds", grows(|report| report.largest)),
        ("the memory", grows(|report| report.memory.unwrap_or_default())),
    ]
    .into_iter()
    .find_map(|(what, has_grown)| has_grown.then_some(what))
}
