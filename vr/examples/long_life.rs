//! A group that lives long: ten million operations, a crash now and then, and neither the memory nor the messages
//! grow. `cargo run --release -p vr --example long_life [OPERATIONS]`

use std::collections::VecDeque;
use std::sync::Arc;

use vr::services::key_value_store::{KeyValueStore, Operation, Response};
use vr::{
    Client, ClientAddress, ClientOptions, ClientOutbox, Configuration, EpochStart, Incarnation, Instant,
    Member, Message, Options, Outbox, Payload, Replica, ReplicaId, Reply, Request, Standard,
};

type Service = KeyValueStore<u64, u64>;
type Asked = Operation<u64, u64>;

const KEYS: u64 = 1_000;
const REPLICAS: u8 = 3;
/// A message arrives after a tenth of a millisecond.
const TRAVEL: u64 = 100_000;

/// What is on its way, and how much the largest message of the last report held.
#[derive(Default)]
struct Network {
    messages: VecDeque<(ReplicaId, Message<Service>)>,
    requests: VecDeque<(ReplicaId, Arc<Request<Asked>>)>,
    replies: VecDeque<Reply<Response<u64, u64>>>,
    most_entries: u64,
    checkpoint_parts: u64,
}

impl Network {
    fn measure(&mut self, payload: &Payload<Service>) {
        let entries = match payload {
            Payload::DoViewChange(vote) => vote.log.length(),
            Payload::StartView(start) => start.log.length(),
            Payload::NewState(state) => state.entries.len() as u64,
            Payload::RecoveryResponse(response) => {
                response.state.as_ref().map_or(0, |state| state.log.length())
            }
            _ => 0,
        };
        self.most_entries = self.most_entries.max(entries);
        self.checkpoint_parts += u64::from(matches!(payload, Payload::CheckpointPart(_)));
    }
}

impl Outbox<Service> for Network {
    fn send(&mut self, to: ReplicaId, message: Message<Service>) {
        self.measure(&message.payload);
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
        for (to, message) in std::mem::take(&mut network.messages) {
            replicas[to.index()].on_message(*now, message, network);
        }
        for (to, request) in std::mem::take(&mut network.requests) {
            replicas[to.index()].on_request(*now, request, network);
        }
        for reply in std::mem::take(&mut network.replies) {
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

/// The memory of this process in MiB, where the system says.
fn memory() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4 / 1_024)
}

fn main() {
    let operations: u64 = match std::env::args().nth(1).map(|argument| argument.parse()) {
        None => 10_000_000,
        Some(Ok(operations)) => operations,
        Some(Err(_)) => {
            eprintln!("usage: long_life [OPERATIONS]");
            std::process::exit(2);
        }
    };
    let report_every = (operations / 10).max(1);
    let crash_every = (operations / 100).max(1);
    let mut group = Group::new();
    println!("operations  view  entries kept  entries in a message  pieces of checkpoints  MiB");
    let mut done = 0;
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
        if done.is_multiple_of(crash_every) {
            group.crash();
        }
        if done.is_multiple_of(report_every) {
            report(&mut group, done);
        }
    }
}

/// What the group holds now, and what its messages held since the last report.
fn report(group: &mut Group, done: u64) {
    let kept = group.replicas.iter().map(|replica| replica.log().length()).max().unwrap_or_default();
    let view = group.replicas.iter().map(|replica| replica.view().0).max().unwrap_or_default();
    let Network { most_entries, checkpoint_parts, .. } = &mut group.network;
    let (entries, parts) = (std::mem::take(most_entries), std::mem::take(checkpoint_parts));
    let memory = memory().map_or("?".to_owned(), |mebibytes| mebibytes.to_string());
    println!("{done:10}  {view:4}  {kept:12}  {entries:20}  {parts:21}  {memory:>3}");
}
