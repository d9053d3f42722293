//! The checks: what must hold whatever happens, one file for each family of invariants.
//!
//! Checks consume what replicas report while they act, plus a look at their public state after each
//! step. What they know (the *ghost state*) replicas never see. Each costs constant time for each entry
//! that is appended or executed, and for each message; the first violation ends the run.

pub mod checkpoints;
pub mod directory;
pub mod epochs;
pub mod execution;
pub mod fact;
pub mod ghost;
pub mod linearizability;
pub mod liveness;
pub mod log_agreement;
pub mod members;
pub mod messages;
pub mod quorum;
pub mod reads;
pub mod recovery;
pub mod replies;
pub mod requests;
pub mod views;
pub mod votes;
pub mod witnesses;

#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::Hash;

use serde::{Deserialize, Serialize};
use vr::{
    Checkpoint, ClientAddress, Configuration, Entry, Epoch, EpochStart, Execution, Incarnation, Message,
    Observation, OpNumber, Replica, ReplicaId, Reply, RequestNumber, Rules, Service, View, ViewStart,
};

use crate::groups::Placement;
use crate::setup::Setup;
use crate::workload::Workload;
pub use fact::Fact;
use ghost::Ghost;
use members::Members;

/// Declares the properties with their names and what they say.
macro_rules! properties {
    ($($id:ident $title:literal $doc:literal,)*) => {
        /// A property of every run. The names are those of the table in the README.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Property {
            $(#[doc = $doc] $id,)*
        }

        impl Property {
            /// All properties, in order.
            pub const ALL: &'static [Self] = &[$(Self::$id),*];

            /// The property in a few words.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$id => $title,)* }
            }
        }
    };
}

properties! {
    S1 "log agreement" "The same op-number committed at two replicas holds the same entry.",
    S2 "no committed operation is lost" "Every view starts with all operations committed in earlier views.",
    S3 "one primary in a view" "No two replicas are ever normal primary of one view.",
    S4 "views do not go back" "A replica's view, and the views it is normal in, never decrease until it crashes.",
    S4b "votes are kept" "Nobody whose vote started a view has since become normal in an earlier one.",
    S5 "execution in order" "Each replica executes every op-number once, one after the other.",
    S6 "logs without gaps" "Entries are appended at the next op-number, in the order of their views.",
    S7 "nothing committed is dropped" "No replica drops an entry that it knows to be committed.",
    S8 "committed means held by a quorum" "When an operation is committed, a quorum holds it.",
    S9 "one log in a view" "In one view all logs are parts of the primary's.",
    S10 "state machine agreement" "Executing an op-number gives the same result and state everywhere.",
    S11 "exactly once" "No request is executed twice.",
    S12 "replies tell the truth" "A reply says what the committed execution of the request answered.",
    S13 "client order" "Requests of a client are executed in the order in which it made them.",
    S14 "linearizability" "What clients saw is explained by one order of operations that respects real time.",
    S15 "leases exclude others" "While a primary answers on a lease, no later view has changed what it reads.",
    S16 "nobody goes back in time" "A client that reads causally never sees less than it has seen or done before.",
    S17 "one configuration in an epoch" "An epoch has one group and one start, the Reconfiguration that was committed there.",
    S18 "nothing after the end of an epoch" "Nothing is appended behind a Reconfiguration, nor committed in an epoch that has ended.",
    S19 "recovery is complete" "A recovered replica holds every committed operation that it held before.",
    S20 "votes are honest" "A DoViewChange tells the sender's last normal view and brings all it acknowledged.",
    S21 "client tables agree" "After the same op-number all client tables are the same.",
    S22 "checkpoints agree" "A checkpoint holds the one state, and client table, after its op-number.",
    S23 "messages make sense" "Messages carry their sender's state, and recovering replicas only ask.",
    S24 "promises are kept" "Nobody votes for a view while a primary may count on its promise not to.",
    S25 "witnesses hold no state" "A witness executes nothing, takes no checkpoint, and is never primary.",
    S26 "nothing is dropped without a checkpoint" "A replica drops only what its own checkpoint holds, a witness what a quorum of active members has executed.",
    S27 "nobody stops too early" "When a replaced replica stops, a quorum of active members of the new group has the state.",
    S28 "nothing is invented" "Every committed entry was requested by a client.",
    S29 "tickets tell the truth" "A host begins anew only where it has taken part in no epoch of the group to come.",
    S30 "moves are decided" "A group moves to the hosts that were decided in the supervisor's log.",
    L1 "every request is answered" "After faults stop, every client gets its answer within the bound.",
    L2 "replicas converge" "After faults stop, all members of the core agree within the bound.",
    L3 "recoveries complete" "After faults stop, no member of the core is left recovering.",
    L4 "state transfers complete" "After faults stop, no member of the core waits for state for ever.",
    L5 "views become stable" "After faults stop, only a few more view changes happen.",
    L6 "no standstill" "While requests are pending, the state of the group does not stay the same.",
    L7 "reconfigurations complete" "After faults stop, administrators are answered, members have the state, and replaced ones stop.",
    L9 "progress in spite of a fault" "A fault that the group can stand, and that stays, stops nobody who matters.",
    L10 "hosts do as they are told" "After faults stop, groups run where the supervisor's directory says, and nowhere else.",
    Stuck "stuck, not wrong" "After more memory was lost than the group can stand, nothing is answered any more.",
    Panic "no panic" "No replica or client panics.",
    Story "a story goes as told" "Every step of a story is passed in its time, and what it expects is so.",
}

impl Property {
    /// Whether it is violated where something does not happen: then what everybody did has led to it.
    #[must_use]
    pub const fn is_about_everybody(self) -> bool {
        use Property::{L1, L2, L3, L4, L5, L6, L7, L9, L10, Stuck};
        matches!(self, L1 | L2 | L3 | L4 | L5 | L6 | L7 | L9 | L10 | Stuck)
    }
}

impl fmt::Display for Property {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?} ({})", self.title())
    }
}

/// A set of properties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties(u64);

impl Properties {
    /// No property.
    pub const NONE: Self = Self(0);

    /// The set with one property more.
    #[must_use]
    pub const fn with(self, property: Property) -> Self {
        Self(self.0 | 1 << property as u32)
    }

    /// Whether the property is in the set.
    #[must_use]
    pub const fn contains(self, property: Property) -> bool {
        self.0 & 1 << property as u32 != 0
    }
}

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The property.
    pub property: Property,
    /// In what way; two violations with the same property and kind count as the same finding.
    pub kind: String,
    /// Which of several groups it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<usize>,
    /// What contradicts it, in one sentence.
    pub witness: String,
    /// The step after which it was seen.
    pub step: u64,
    /// The virtual time, in nanoseconds.
    pub time: u64,
    /// What contradicts each other, the earlier first; empty where there is nothing but the step itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Fact>,
}

impl Violation {
    /// Whether both say the same of the same step. The facts are left out: they follow from the rest, and
    /// older traces do not name them.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let key = |violation: &Self| (violation.property, violation.step, violation.time);
        key(self) == key(other) && self.kind == other.kind && self.witness == other.witness
    }

    /// What is expected and what was found, in words: the first thing in which they are not the same.
    #[must_use]
    pub fn apart(&self, found: &Self) -> (String, String) {
        let (wanted, other) = (self.signature(), found.signature());
        let same = |expected: String, found: String| (format!("{wanted} {expected}"), format!("it {found}"));
        if wanted != other {
            (wanted, other)
        } else if self.step != found.step {
            same(format!("at step {}", self.step), format!("at step {}", found.step))
        } else if self.time != found.time {
            same(format!("at {} ns", self.time), format!("at {} ns", found.time))
        } else {
            same(format!("since “{}”", self.witness), format!("since “{}”", found.witness))
        }
    }

    /// What makes two violations the same finding.
    #[must_use]
    pub fn signature(&self) -> String {
        format!("{:?}:{}", self.property, self.kind)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {} (step {})", self.property, self.witness, self.step)
    }
}

/// The first violation, once there is one.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    first: Option<Violation>,
    /// Which of several groups these checks are about.
    group: Option<usize>,
    off: Properties,
    step: u64,
    time: u64,
}

impl Findings {
    /// Reports a violation; only the first is kept. Facts may be added to it.
    #[cold]
    pub fn add(&mut self, property: Property, kind: &str, witness: impl Into<String>) -> Added<'_> {
        if self.first.is_some() || self.off.contains(property) {
            return Added(None);
        }
        let (step, time) = (self.step, self.time);
        let kind = kind.to_owned();
        let witness = match self.group {
            None => witness.into(),
            Some(group) => format!("in g{group}, {}", witness.into()),
        };
        let group = self.group;
        let violation = Violation { property, kind, group, witness, step, time, facts: Vec::new() };
        Added(Some(self.first.insert(violation)))
    }

    /// The first violation.
    #[inline]
    #[must_use]
    pub fn first(&self) -> Option<&Violation> {
        self.first.as_ref()
    }

    /// From here on violations of these properties are not reported, and the run goes on. What their
    /// checks keep for others is kept as before.
    pub const fn turn_off(&mut self, off: Properties) {
        self.off = off;
    }

    /// Whether violations of this property are reported.
    #[must_use]
    pub const fn is_on(&self, property: Property) -> bool {
        !self.off.contains(property)
    }

    /// The following reports belong to the same step as those of others.
    pub const fn at_same_time_as(&mut self, others: &Self) {
        self.at(others.step, others.time);
        self.off = others.off;
    }

    /// Which step the following reports belong to.
    #[inline]
    pub const fn at(&mut self, step: u64, time: u64) {
        self.step = step;
        self.time = time;
    }
}

/// A violation that has just been reported, unless it was not the first.
#[derive(Debug)]
pub struct Added<'a>(Option<&'a mut Violation>);

impl Added<'_> {
    /// Says which facts contradict each other, the earlier first.
    pub fn between(self, facts: impl IntoIterator<Item = Fact>) {
        if let Some(violation) = self.0 {
            violation.facts = facts.into_iter().collect();
        }
    }
}

/// What is replicated, as far as checks care.
pub trait Checked {
    /// The replicated service.
    type Service: Service<Operation: Hash, Response: Hash>;

    /// The service in its initial state.
    fn service() -> Self::Service;

    /// A digest of the service's state: see [`Workload::digest`].
    fn digest(service: &Self::Service) -> u64;
}

impl<W: Workload> Checked for W {
    type Service = W::Service;

    fn service() -> W::Service {
        W::service()
    }

    fn digest(service: &W::Service) -> u64 {
        W::digest(service)
    }
}

/// All online checks of a run.
#[derive(Clone, Debug)]
pub struct Checks {
    /// What was found.
    pub findings: Findings,
    /// What is known of each replica.
    pub members: Members,
    /// What was committed.
    pub ghost: Ghost,
    views: views::Views,
    logs: log_agreement::ViewLogs,
    votes: votes::Votes,
    requests: requests::Requests,
    execution: execution::Execution,
    messages: messages::Messages,
    epochs: epochs::Epochs,
    reads: reads::Reads,
}

impl Checks {
    /// The checks of a group in a run.
    #[must_use]
    pub fn new(setup: &Setup, placement: &Placement, group: usize) -> Self {
        let replicas = usize::from(setup.nodes());
        let members = Members::new(replicas, placement.numbers(group), placement.members(group));
        Self::of(setup, (placement.groups() > 1).then_some(group), members)
    }

    /// The checks of a group that is to be started, where nobody runs it yet.
    #[must_use]
    pub fn of_new_group(setup: &Setup, group: usize, first: Configuration) -> Self {
        let members = Members::to_be_started(usize::from(setup.nodes()), first);
        let mut checks = Self::of(setup, Some(group), members);
        // Whoever starts first may do more in the same step.
        checks.logs.begin(View::ZERO, OpNumber::ZERO, 0);
        checks
    }

    fn of(setup: &Setup, group: Option<usize>, members: Members) -> Self {
        let replicas = usize::from(setup.nodes());
        Self {
            findings: Findings { group, ..Findings::default() },
            members,
            ghost: Ghost::default(),
            views: views::Views::new(replicas),
            logs: log_agreement::ViewLogs::default(),
            votes: votes::Votes::new(replicas),
            requests: requests::Requests::new(usize::from(setup.client_slots())),
            execution: execution::Execution::new(replicas),
            messages: messages::Messages::new(replicas),
            epochs: epochs::Epochs::default(),
            reads: reads::Reads::new(replicas, setup.protocol.clock_drift_ppm),
        }
    }

    // ---- While a replica acts ----------------------------------------------------------------------

    /// A replica sends a message.
    #[inline]
    pub fn sent<S: vr::Service<Operation: std::hash::Hash>>(
        &mut self,
        replica: ReplicaId,
        to: ReplicaId,
        message: &Message<S>,
    ) {
        let member = &self.members[replica];
        self.messages.nonces(replica, to, message, &mut self.findings);
        self.messages.sent(member, replica, message, &mut self.findings);
        self.votes.sent(member, replica, message, &mut self.findings);
        let now = self.findings.time;
        self.reads.sent(replica, message, now, &mut self.findings);
    }

    /// A replica answers a read, from a state of this digest.
    pub fn observed<S: vr::Service>(
        &mut self,
        replica: ReplicaId,
        observation: &Observation<'_, S>,
        state: u64,
    ) {
        let known = (&self.ghost, self.requests.acknowledged());
        self.reads.observed(&self.members, replica, observation, state, known, &mut self.findings);
    }

    /// A replica sends a reply.
    #[inline]
    pub fn replied<R: std::hash::Hash>(&mut self, replica: ReplicaId, to: ClientAddress, reply: &Reply<R>) {
        replies::sent(&self.ghost, replica, to, reply, &mut self.findings);
    }

    /// A replica appends to its log.
    #[inline]
    pub fn appended<O: std::hash::Hash>(
        &mut self,
        replica: ReplicaId,
        op_number: OpNumber,
        entry: &Entry<O>,
    ) {
        epochs::nothing_after_the_end(
            &self.members[replica],
            &self.epochs,
            &self.ghost,
            (replica, op_number, entry.view),
            &mut self.findings,
        );
        let member = &mut self.members[replica];
        log_agreement::appended(member, replica, op_number, entry, &mut self.findings);
        self.epochs.appended(member, entry);
    }

    /// A replica drops the end of its log.
    pub fn truncated(&mut self, replica: ReplicaId, last_kept: OpNumber) {
        log_agreement::truncated(&mut self.members[replica], replica, last_kept, &mut self.findings);
    }

    /// A replica takes a checkpoint.
    pub fn checkpoint_taken<W: Checked>(&mut self, replica: ReplicaId, checkpoint: &Checkpoint<W::Service>) {
        witnesses::holds_no_state(&self.members, replica, "took a checkpoint", &mut self.findings);
        let mut service = W::service();
        service.restore(checkpoint.service_parts());
        let taken = checkpoints::Taken::of::<W>(checkpoint, &service);
        checkpoints::taken(&mut self.members[replica], replica, &taken, &self.ghost, &mut self.findings);
        self.execution.table_at(replica, &taken, &mut self.findings);
    }

    /// A replica drops the beginning of its log.
    pub fn compacted(&mut self, replica: ReplicaId, through: OpNumber) {
        if self.members.is_witness(replica) {
            return witnesses::dropped(&self.members, replica, through, &mut self.findings);
        }
        checkpoints::compacted(&self.members[replica], replica, through, &mut self.findings);
    }

    /// A replica's log is empty now and begins after `after`.
    pub fn log_begins(&mut self, replica: ReplicaId, after: OpNumber, is_witness: bool) {
        // What comes before an epoch is for others to keep.
        if is_witness && !self.members.is_epoch_start(after) {
            witnesses::dropped(&self.members, replica, after, &mut self.findings);
        }
        self.members[replica].begins_after(after, &self.ghost);
    }

    /// A checkpoint takes the place of a replica's state and log; `service` is what came of it.
    pub fn checkpoint_installed<W: Checked>(
        &mut self,
        replica: ReplicaId,
        checkpoint: &Checkpoint<W::Service>,
        service: &W::Service,
    ) {
        witnesses::holds_no_state(&self.members, replica, "installed a checkpoint", &mut self.findings);
        // A view that starts without what was committed is the cause of whatever comes after.
        let taken = checkpoints::Taken::of::<W>(checkpoint, service);
        checkpoints::installed(&mut self.members[replica], replica, &taken, &self.ghost, &mut self.findings);
        self.execution.table_at(replica, &taken, &mut self.findings);
    }

    /// A replica executes an entry. Returns a digest of the entry, its outcome and the state afterwards.
    #[inline]
    pub fn executed<W: Checked>(&mut self, replica: ReplicaId, execution: &Execution<'_, W::Service>) -> u64 {
        if self.members.is_witness(replica) {
            let what = format!("executed op {}", execution.op_number);
            witnesses::holds_no_state(&self.members, replica, &what, &mut self.findings);
        }
        // A view that starts without what was committed is the cause of whatever its execution shows.
        self.views.started(&self.members, replica, &self.ghost, &mut self.findings);
        let chain = execution::in_order(&mut self.members, replica, execution.op_number, &mut self.findings);
        let Some(chain) = chain else { return 0 };
        let seen = execution::observe::<W>(execution, chain, self.members[replica].view);
        if self.ghost.is_next(execution.op_number) {
            quorum::held(&self.members, replica, &seen, &mut self.findings);
            self.views.committed(&seen, &mut self.findings);
            self.epochs.committed(&self.members, &execution.outcome, &seen, &mut self.findings);
            self.requests.committed(execution, &seen, &mut self.findings);
            if let vr::Outcome::Registered(registration) = &execution.outcome {
                self.ghost.evict(registration.evicted);
            }
            self.ghost.commit(seen);
        } else if let Some(committed) = self.ghost.get(execution.op_number) {
            log_agreement::agrees(replica, committed, &seen, &mut self.findings);
            execution::agrees(replica, committed, &seen, &mut self.findings);
        }
        chain ^ seen.outcome.rotate_left(21) ^ seen.state.rotate_left(42)
    }

    /// A replica comes to an epoch. True if it is the first.
    pub fn epoch_begins(&mut self, replica: ReplicaId, start: &EpochStart) -> bool {
        let is_first = self.epochs.begins(&mut self.members, replica, start, &mut self.findings);
        if is_first && let Some(end) = self.ghost.get(start.after) {
            self.logs.begin(View::of(start.epoch, 0), start.after, end.chain);
        }
        is_first
    }

    /// A replica is about to start a view.
    pub fn view_starts(&mut self, replica: ReplicaId, start: &ViewStart<'_>) {
        self.members[replica].view = start.view;
        self.views.starts(&self.members, replica, start, &mut self.findings);
        let now = self.findings.time;
        self.reads.view_starts(replica, start, now, &mut self.findings);
    }

    /// A replica has taken up another role or view: told where it may do more in the same step.
    pub fn role_changed(&mut self, replica: ReplicaId, role: vr::Role, view: View) {
        self.look_at(replica, role, view);
    }

    // ---- After a step ------------------------------------------------------------------------------

    /// A replica has acted: looks at what it is now.
    #[inline]
    pub fn after_step<W: Checked, R: Rules>(&mut self, replica: ReplicaId, state: &Replica<W::Service, R>) {
        let (role, view) = (state.role(), state.view());
        if state.is_witness() {
            witnesses::knows(&mut self.members[replica], replica, state, &self.ghost, &mut self.findings);
        } else {
            execution::committed_is_executed(&self.members[replica], replica, state, &mut self.findings);
            self.execution.table_agrees::<W, R>(replica, state, &mut self.findings);
        }
        let member = &self.members[replica];
        if !member.is_known_in(role, view) || self.views.is_starting() {
            self.look_at(replica, role, view);
        } else if member.changed {
            self.look_at_log(replica, view);
        }
        votes::knows_normal_view(replica, role, (view, state.last_normal_view()), &mut self.findings);
        self.messages.after_step(replica, role, state, &mut self.findings);
    }

    fn look_at(&mut self, replica: ReplicaId, role: vr::Role, view: View) {
        if role == vr::Role::Primary {
            witnesses::is_no_primary(&self.members, replica, view, &mut self.findings);
        }
        let findings = &mut self.findings;
        self.views.monotonic(&self.members[replica], replica, role, view, findings);
        self.views.started(&self.members, replica, &self.ghost, findings);
        self.views.keeps_votes(replica, role, view, findings);
        let has_stopped = role == vr::Role::Stopped && self.members[replica].role != Some(role);
        let recovered = self.members[replica].takes_role(role, view);
        if recovered {
            recovery::complete(&mut self.members[replica], replica, &self.ghost, findings);
        }
        if has_stopped {
            epochs::may_stop(&self.members, replica, view, &self.ghost, findings);
        }
        self.views.one_primary(&self.members[replica], replica, findings);
        self.look_at_log(replica, view);
    }

    /// The replica's log has changed, or its role.
    fn look_at_log(&mut self, replica: ReplicaId, view: View) {
        let (epoch, epoch_start) = (view.epoch(), self.members.start_of(view.epoch()));
        self.members[replica].note_reached(epoch, epoch_start);
        self.logs.part_of_primary(&mut self.members[replica], replica, &mut self.findings);
    }

    // ---- From outside ------------------------------------------------------------------------------

    /// A replica loses its memory.
    pub fn crashed(&mut self, replica: ReplicaId) {
        self.members[replica].crash();
        self.votes.crashed(replica);
    }

    /// A replica starts again.
    pub fn restarted(&mut self, replica: ReplicaId, incarnation: Incarnation) {
        self.members[replica].restart(incarnation);
    }

    /// A node begins anew: it has promised nothing to the group's epochs from now on.
    pub fn begins_anew(&mut self, replica: ReplicaId, incarnation: Incarnation) {
        self.members[replica].begin_anew(incarnation);
    }

    /// A node that is no member any more drops its replica, and all that this held.
    pub fn left(&mut self, replica: ReplicaId) {
        epochs::may_be_dropped(&self.members, replica, &self.ghost, &mut self.findings);
        self.members[replica].leave();
    }

    /// A client process asks for a session.
    pub fn registers(&mut self, slot: u16, address: ClientAddress) {
        self.requests.registers(slot, address);
    }

    /// A client process makes a request.
    pub fn requested<O: std::hash::Hash>(
        &mut self,
        slot: u16,
        address: ClientAddress,
        number: u64,
        operation: &O,
    ) {
        self.requests.requested(slot, address, number, operation);
    }

    /// An administrator makes a request.
    pub fn requested_by_administrator(&mut self, slot: u16, address: ClientAddress, number: RequestNumber) {
        self.requests.requested(slot, address, number.0, &());
    }

    /// An administrator takes a reply for the answer to its request.
    pub fn answered_administrator(
        &mut self,
        slot: u16,
        number: RequestNumber,
        op_number: OpNumber,
        epoch: Epoch,
    ) {
        self.epochs.answered(&self.members, number, op_number, epoch, &mut self.findings);
        self.requests.answered(slot, op_number, &mut self.findings);
    }

    /// A client process takes a reply for the answer to its request.
    pub fn answered<R: std::hash::Hash>(
        &mut self,
        slot: u16,
        number: u64,
        op_number: OpNumber,
        response: &R,
    ) {
        let asked = (self.requests.address(slot), number);
        replies::taken(&self.ghost, slot, asked, op_number, response, &mut self.findings);
        self.requests.answered(slot, op_number, &mut self.findings);
        self.reads.knows(asked.0, op_number);
    }

    /// A client process asks for a read.
    pub fn reads(&mut self, slot: u16, address: ClientAddress) {
        self.requests.reads(slot, address);
    }

    /// A client process takes a reply for the answer to its read, as of `version`.
    pub fn read(&mut self, slot: u16, version: OpNumber, is_causal: bool) {
        let address = self.requests.address(slot);
        if !is_causal {
            self.requests.read(slot, version, &mut self.findings);
        }
        self.reads.goes_on(slot, address, version, &mut self.findings);
        self.reads.knows(address, version);
    }

    /// How many views were started.
    #[must_use]
    pub fn views_started(&self) -> usize {
        self.views.count()
    }

    /// Holds the shadow of a replica's log against the log itself.
    pub fn audit<W: Checked, R: Rules>(&mut self, replica: ReplicaId, state: &Replica<W::Service, R>) {
        log_agreement::audit(&self.members[replica], replica, state.log(), &mut self.findings);
    }
}
