//! A place for a client process: who is in it, what it waits for, what it does next.

mod calls;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use vr::{Client, ClientOptions, Configuration, Consistency, Duration, Epoch, EpochStart, ReplicaId, Rules};

use crate::clock::Clock;
use crate::decisions::{Turn, Wanted};
use crate::digest;
use crate::environment::Environment;
use crate::faults::ReplicaName;
use crate::node::Node;
use crate::random::{self, Draw, Purpose};
use crate::setup::Setup;
use crate::timeline::Asked;
use crate::workload::{Model, Workload};

/// How a client asks for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Through the log.
    Log,
    /// As a read that the primary answers.
    Fast,
    /// As a read that any replica answers that has executed enough.
    Causal {
        /// The one that is asked first.
        from: ReplicaName,
    },
}

impl Way {
    /// What such a read must have seen.
    #[must_use]
    pub const fn consistency(self) -> Consistency {
        match self {
            Self::Causal { from } => Consistency::Causal { from: ReplicaId(from) },
            Self::Fast | Self::Log => Consistency::Linearizable,
        }
    }

    /// The replica that it names, if it names one.
    #[must_use]
    pub const fn replica(self) -> Option<Node> {
        match self {
            Self::Causal { from } => Some(Node::Replica(ReplicaId(from))),
            Self::Fast | Self::Log => None,
        }
    }
}

/// What the administrator has to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// That these become the group.
    Reconfigure(Configuration),
    /// Whether this epoch has started.
    Check(Epoch),
}

/// A client slot.
#[derive(Clone)]
pub struct ClientSlot<W: Workload, R: Rules> {
    /// The slot's number.
    pub slot: u16,
    /// The client process in it.
    pub client: Client<W::Operation, R>,
    /// The slot's clock.
    pub clock: Clock,
    /// Until when the process stands still, in nanoseconds.
    pub paused_until: u64,
    /// When its timer event is queued, in nanoseconds.
    pub timer_at: u64,
    /// The call of the history that waits for its answer.
    pub calling: Option<usize>,
    /// What it will ask for next.
    pub next: Option<W::Operation>,
    /// How, if that was decided along with it.
    told_way: Option<Way>,
    /// How many requests it has decided on in this life.
    pub decided: u64,
    /// What the administrator has to ask for; `None` in the slots of clients.
    pub errand: Option<Errand>,
    /// How many of them went through the log.
    pub requested: u64,
    /// How it asked for what it waits for.
    pub way: Way,
    /// After the faults: how many more requests it makes.
    pub probes: Option<u32>,
    random: ChaCha8Rng,
    jitter: ChaCha8Rng,
    burst_left: u64,
    /// How many requests it has decided on in all lives.
    decided_ever: usize,
}

impl<W: Workload, R: Rules + Clone> ClientSlot<W, R> {
    /// The slot at the beginning of a run, with its first process.
    pub fn new(setup: &Setup, slot: u16, clock: Clock, rules: R, environment: &mut Environment<W>) -> Self {
        let mut jitter = random::stream(setup.seed, Purpose::Jitter(Node::Client(slot).number()));
        let start = whereabouts(slot, environment);
        let client = process(setup, slot, start, rules, &mut jitter, environment);
        Self {
            slot,
            client,
            clock,
            paused_until: 0,
            timer_at: u64::MAX,
            calling: None,
            next: None,
            told_way: None,
            decided: 0,
            errand: None,
            requested: 0,
            way: Way::Log,
            probes: None,
            random: random::stream(setup.seed, Purpose::Client(slot)),
            jitter,
            burst_left: 0,
            decided_ever: 0,
        }
    }

    /// A new process takes the slot over.
    pub fn start_over(&mut self, setup: &Setup, rules: R, environment: &mut Environment<W>) {
        let start = whereabouts(self.slot, environment);
        self.start_over_at(setup, start, rules, environment);
    }

    /// A new process takes the slot over, which is told where its group is.
    pub fn start_over_at(
        &mut self,
        setup: &Setup,
        start: EpochStart,
        rules: R,
        environment: &mut Environment<W>,
    ) {
        self.client = process(setup, self.slot, start, rules, &mut self.jitter, environment);
        self.calling = None;
        self.next = None;
        self.decided = 0;
        self.requested = 0;
    }

    /// How this client, of `group`, asks for an operation. It is a habit of the client's that does not change, so
    /// that it needs no place in a trace; unless a story tells how. Causal reads go to one replica after the other.
    pub fn way_of(&self, setup: &Setup, group: Configuration, operation: &W::Operation) -> Way {
        let (fast, causal) = (setup.traffic.fast_read_percent, setup.traffic.causal_read_percent);
        if !W::Model::observes_only(operation) {
            return Way::Log;
        }
        if let Some(way) = self.told_way {
            return way;
        }
        if fast + causal == 0 {
            return Way::Log;
        }
        let habit = digest::mix(digest::of(operation), setup.seed ^ u64::from(self.slot));
        match (habit >> 32) % 100 {
            part if part < fast => Way::Fast,
            part if part < fast + causal => {
                Way::Causal { from: group.member_at(self.decided + u64::from(self.slot)).0 }
            }
            _ => Way::Log,
        }
    }

    /// From here on the client draws from other streams.
    pub fn redraw(&mut self, seed: u64) {
        self.random = random::stream(seed, Purpose::Client(self.slot));
        self.jitter = random::stream(seed, Purpose::Jitter(Node::Client(self.slot).number()));
    }

    /// From here on operations and pauses are drawn from another stream.
    pub fn redraw_operations(&mut self, seed: u64) {
        self.random = random::stream(seed, Purpose::Client(self.slot));
    }

    /// Decides what to ask for next, and how long to wait before, in nanoseconds. `None` if a script has
    /// nothing more for this client.
    pub fn decide(&mut self, setup: &Setup, environment: &mut Environment<W>) -> Option<u64> {
        let life = environment.life(Node::Client(self.slot)) as u32;
        let number = self.decided + 1;
        let turn = Turn { slot: self.slot, life, number, before: self.decided_ever, now: environment.now };
        let script = environment.script.as_ref();
        let scripted =
            script.map(|script| script.requests.get(turn)).or_else(|| told(self.slot, environment));
        // After the faults everybody has to make progress, whether or not the script goes that far.
        if matches!(scripted, Some(None)) && self.probes.is_none() {
            return None;
        }
        self.decided = number;
        self.decided_ever += 1;
        // What a script leaves open is drawn again by whoever repeats the script: no decision.
        let is_decision = !matches!(scripted, Some(None));
        let (pause, operation, way) = scripted.flatten().unwrap_or_else(|| {
            let pause = self.draw_pause(setup);
            let unique = u64::from(self.slot) << 40 | u64::from(life) << 24 | self.decided;
            (pause, W::operation_for(&setup.workload, &mut self.random, setup.traffic.keys, unique), None)
        });
        if let Some(record) = environment.record.as_mut().filter(|_| is_decision) {
            let (slot, operation) = (self.slot, operation.clone());
            record.requests.push(crate::decisions::Made { slot, life, number, pause, operation, way });
        }
        if let Some(recording) = environment.recording.as_mut().filter(|_| is_decision) {
            let at = environment.now + pause;
            recording.timeline.requests.push(Asked {
                slot: self.slot,
                at,
                operation: operation.clone(),
                way,
            });
        }
        (self.next, self.told_way) = (Some(operation), way);
        // A story says when, and the pause is only written down.
        Some(if self.probes.is_some() || environment.stage.is_some() { 0 } else { pause })
    }

    fn draw_pause(&mut self, setup: &Setup) -> u64 {
        let traffic = &setup.traffic;
        if traffic.burst_mean > 0 {
            if self.burst_left == 0 {
                self.burst_left = 1 + self.random.around(traffic.burst_mean);
                return self.random.around(traffic.idle_mean_us * 1_000);
            }
            self.burst_left -= 1;
        }
        if traffic.think_mean_us == 0 { 0 } else { self.random.around(traffic.think_mean_us * 1_000) }
    }

    /// Whether the client has made all the requests that it was to make after the faults.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.probes == Some(0) && self.calling.is_none()
    }
}

/// What a story has for the client, if one is played: how long it has had nothing to do, and the request.
fn told<W: Workload>(slot: u16, environment: &mut Environment<W>) -> Option<Option<Wanted<W::Operation>>> {
    let now = environment.now;
    let stage = environment.stage.as_mut()?;
    let request = stage.request.take();
    let idle_since = &mut stage.idle_since[usize::from(slot)];
    if request.is_none() {
        *idle_since = now;
    }
    Some(request.map(|(operation, way)| (now - *idle_since, operation, way)))
}

/// Where the directory says that the group of the client in a slot is.
fn whereabouts<W: Workload>(slot: u16, environment: &Environment<W>) -> EpochStart {
    environment.directory[environment.placement.group_of_client(slot)]
}

fn process<W: Workload, R: Rules>(
    setup: &Setup,
    slot: u16,
    start: EpochStart,
    rules: R,
    jitter: &mut ChaCha8Rng,
    environment: &mut Environment<W>,
) -> Client<W::Operation, R> {
    environment.next_life(Node::Client(slot));
    let EpochStart { epoch, members, .. } = start;
    let address = environment.address_in(slot);
    Client::new(address, members, options(setup), rules, jitter.random()).in_epoch(epoch)
}

/// Timing of the clients in a run.
pub(crate) const fn options(setup: &Setup) -> ClientOptions {
    ClientOptions {
        request_timeout: Duration::from_micros(setup.protocol.request_timeout_us),
        backoff_limit: setup.protocol.backoff_limit,
    }
}
