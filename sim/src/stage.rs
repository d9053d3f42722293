//! Stories: exact schedules, told step by step in the protocol's words.
//!
//! A scenario with a `story` is a list of sentences. They are played one after the other; no fault strikes but
//! those that they tell of, clients ask for nothing but what they say, and links have a fixed delay. All checks
//! are on. After the last step the faults end as in every run: everything is let go, the whole group is up, and
//! must make progress.
//!
//! ```json
//! {
//!     "description": "An answer is lost, and the client asks again.",
//!     "must_fail": [{ "bug": "M-C2", "property": "S11" }],
//!     "story": [
//!         "until every client is registered",
//!         "drop Reply from r0 to c0",
//!         "c0 appends a=1",
//!         "until r0 has commit-number 3",
//!         "release Reply from r0 to c0",
//!         "until c0 is answered, within 500 ms",
//!         "expect c0 was sent the same answer again",
//!         "expect r0 has op-number 3"
//!     ]
//! }
//! ```
//!
//! `must_fail` names the planted bugs under which the story does not hold, and the property that must report each:
//! the tests play it both ways. Where the property is that the story goes as told, `at` is the sentence at which it
//! does not: `{ "bug": "M-T2", "property": "Story", "at": "until r1 is primary" }`. Unless the scenario says otherwise there are three replicas and two clients, a
//! message takes 1 ms, and timers have their usual lengths; their jitter is all that the seed decides.
//!
//! # What is done
//!
//! | sentence | meaning |
//! |---|---|
//! | `c0 puts a=1`, `c0 appends a=2`, `c0 gets a`, `c0 deletes a` | once the client is registered and has its last answer, it asks for this |
//! | `c0 puts a=1 to a=2000` | one put after the other; the step is passed when the last is answered |
//! | `c0 reads a` | once the client has its last answer, it asks the primary to read this, without the log |
//! | `c0 reads a at r1` | it asks that replica, for a state no older than what the client has seen |
//! | `c0 starts over` | the client crashes, and another one takes its place |
//! | `crash r2`, `restart r2` | the replica loses its memory; it starts again, and recovers |
//! | `pause r0`, `resume r0` | the node (also a client) stands still; what comes meanwhile waits |
//! | `time out r1` | the replica's clock jumps ahead to its next timer |
//! | `the clock of r0 runs 20 percent slow` | or `fast`: from here on, it and all its timers go at this rate. Leases allow for as much as `protocol.clock_drift_ppm` |
//! | `partition r0 from the rest`, `partition r0 and r1 from r2` | nothing gets from the ones to the others, nor back |
//! | `hold every DoViewChange from r2 to r1` | from here on, such messages are kept |
//! | `drop Prepare and Commit from r0 to anyone` | from here on, such messages are lost |
//! | `copy everything from r0 to r1` | from here on, such messages arrive, and a copy is kept |
//! | `deliver DoViewChange from r2 to r1` | what is kept of these sets out now, and arrives after the link's delay |
//! | `lose DoViewChange from r2 to r1` | what is kept of these never arrives |
//! | `release DoViewChange from r2 to r1` | what is kept of these sets out, and from here on they travel freely |
//! | `heal` | partitions end, all messages travel freely, and what is kept sets out |
//! | `reconfigure to r1, r2 and r3` | the administrator asks for this group; who is a witness stays one |
//! | `reconfigure to r1, r2 and r3 with witness r3` | the same, and says who are to be witnesses |
//! | `warm up r3` | a node that is no member is told to fetch the state ahead of time |
//! | `wait 100 ms` | time passes |
//!
//! Which messages: `everything`, or kinds by their names in the paper; from and to `r0`, `r0 and c1`, or
//! `anyone`; and if need be `in view 2`, the sender's, or `Request of session 3`, the op-number of its registration.
//! Of several sentences about one message the last one holds.
//!
//! # What is waited for, and what is expected
//!
//! `until` waits for a condition, `expect` demands it at once. A step that waits has 10 s of virtual time, or what
//! `, within 500 ms` says. A step whose time is over, an expectation that is not met and a deed that cannot be done
//! violate the property [`Story`](crate::check::Property::Story), which names the step.
//!
//! | condition | meaning |
//! |---|---|
//! | `r1 is primary`, `r1 and r2 are normal in view 2`, `every replica is backup` | the status: `normal`, `primary`, `backup`, `witness`, `recovering`, `changing views`, `fetching state`, `no member`, `stopped` or `down` |
//! | `r0 has stopped` | it was replaced, and is needed no more |
//! | `r1, r2 and r3 hold the same state` | these are normal, in one view, with the same log and the same state |
//! | `r1 and r2 have epoch 1` | they are in that epoch |
//! | `the reconfiguration is complete` | the administrator was told that the new group works |
//! | `a new primary is normal` | some replica is normal primary of a view later than any before this step |
//! | `r1 has op-number 3`, `r1 has commit-number 3 or more` | where its log ends; up to where it has executed |
//! | `every replica holds the same state` | all are normal, in one view, with the same log and the same state |
//! | `every client is registered`, `c0 is answered`, `c0 waits` | it has a session; it has all its answers; it has not |
//! | `c0 got a=1`, `c0 got nothing` | what the client's last request, a get or a read, was answered |
//! | `c0 was sent the same answer again` | a request was answered twice, by whomever, and equally |
//! | `r0 redirected c1` | the replica has told the client of another primary |
//! | `DoViewChange from r2 to r1 is kept` | at least one such message is kept |
//!
//! Each step takes place at a moment of its own, so that their order can be told.

mod play;
mod rules;
mod words;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vr::ReplicaId;

use crate::client_slot::Way;
use crate::node::Node;

pub use play::{Answer, Kept, Stage};
pub use rules::{Rule, Rules, Treatment, Which};

/// For how long a step waits that does not say it, in nanoseconds.
pub const PATIENCE: u64 = 10_000_000_000;

/// Sentences in the order in which they are played.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Story(Arc<[String]>);

/// A step of a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A client asks for this, one after the other; in this way, if one is told.
    Ask(u16, Vec<Ask>, Option<Way>),
    /// A client crashes, and another one takes its place.
    StartOver(u16),
    /// Replicas lose their memory.
    Crash(Vec<ReplicaId>),
    /// Replicas start again.
    Restart(Vec<ReplicaId>),
    /// Nodes stand still.
    Pause(Vec<Node>),
    /// Nodes go on.
    Resume(Vec<Node>),
    /// Replicas' clocks jump ahead to their next timers.
    TimeOut(Vec<ReplicaId>),
    /// Nodes' clocks run so fast from now on, in parts per million.
    SetRate(Vec<Node>, i32),
    /// Nothing gets from the ones to the others, nor back.
    Partition(Vec<ReplicaId>, Vec<ReplicaId>),
    /// From here on messages are treated so.
    Rule(Rule),
    /// What is kept sets out.
    Deliver(Which),
    /// What is kept is lost.
    Lose(Which),
    /// What is kept sets out, and its kind travels freely.
    Release(Which),
    /// The administrator asks for the group of these members.
    Reconfigure {
        /// The members.
        members: Vec<ReplicaId>,
        /// Those who are to be witnesses, if it is told: otherwise, who is one stays one.
        witnesses: Option<Vec<ReplicaId>>,
    },
    /// Nodes that are no members fetch the state ahead of time.
    WarmUp(Vec<ReplicaId>),
    /// Everything that was done to the network ends.
    Heal,
    /// So much time passes, in nanoseconds.
    Wait(u64),
    /// The condition is waited for, for so many nanoseconds.
    Until(Condition, u64),
    /// The condition must hold.
    Expect(Condition),
}

/// What a client asks for. Keys are letters: `a` is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Ask {
    Get { key: u64 },
    Put { key: u64, element: u64 },
    Append { key: u64, element: u64 },
    Delete { key: u64 },
}

/// Something that holds or does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The replicas have this status, and are in this view if one is named.
    Is(Vec<ReplicaId>, Status, Option<u64>),
    /// A replica is normal primary of a view later than any before this step.
    NewPrimary,
    /// The replicas have this number.
    Has(Vec<ReplicaId>, Position),
    /// These replicas are normal, in one view, with the same log and the same state.
    SameState(Vec<ReplicaId>),
    /// The replicas are in this epoch.
    InEpoch(Vec<ReplicaId>, u64),
    /// The administrator has nothing left to ask for.
    Reconfigured,
    /// The clients have sessions.
    Registered(Vec<u16>),
    /// The clients have all their answers.
    Answered(Vec<u16>),
    /// The client waits for an answer.
    Waits(u16),
    /// The client's last request was a get, answered so.
    Got(u16, Found),
    /// A request of the client was answered twice, and equally.
    SameAnswerAgain(u16),
    /// The replica has told the client of another primary.
    Redirected(ReplicaId, u16),
    /// At least one of these messages is kept.
    IsKept(Which),
}

/// What a replica is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Status {
    Normal,
    Primary,
    Backup,
    /// It is normal, and a witness.
    Witness,
    Recovering,
    ChangingViews,
    FetchingState,
    NoMember,
    Stopped,
    Down,
}

/// How far a replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Whether it is the commit-number that is meant, not the op-number.
    pub is_committed: bool,
    /// The number.
    pub number: u64,
    /// Whether it may be more.
    pub or_more: bool,
}

/// What a get finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// This, last, at this key.
    Element {
        /// The key.
        key: u64,
        /// The last element of its list.
        element: u64,
    },
}

/// Who there is to take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cast {
    /// How many replicas.
    pub replicas: u8,
    /// How many clients.
    pub clients: u16,
}

impl Cast {
    /// All replicas.
    pub fn replicas(self) -> impl Iterator<Item = ReplicaId> {
        (0..self.replicas).map(ReplicaId)
    }
}

/// A sentence that is no step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misspoken {
    /// Its index in the list.
    pub sentence: usize,
    /// Where the word begins that does not fit, in bytes.
    pub offset: usize,
    /// What was found and what was expected there.
    pub problem: String,
}

impl fmt::Display for Misspoken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "step {}: {}", self.sentence + 1, self.problem)
    }
}

impl Story {
    /// The sentences.
    #[must_use]
    pub fn sentences(&self) -> &[String] {
        &self.0
    }

    /// What the sentences mean where there are so many replicas and clients.
    ///
    /// # Errors
    /// [`Misspoken`] at the first sentence that is no step, or speaks of somebody who is not there.
    pub fn steps(&self, cast: Cast) -> Result<Vec<Step>, Misspoken> {
        let step = |(sentence, text): (usize, &String)| {
            words::step(text, cast).map_err(|(offset, problem)| Misspoken { sentence, offset, problem })
        };
        self.0.iter().enumerate().map(step).collect()
    }
}
