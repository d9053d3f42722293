//! [`vr::services::Replicated`]: a finite state machine of a job, which is submitted, worked on, and done or given
//! up after some failures.

use std::fmt::{self, Debug, Formatter};

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use vr::services::{Replicated, StateMachine};

use super::asked::{Ask, Asked};
use crate::random::Draw;
use crate::workload::{Model, Workload};

/// How many workers there are. Few, so that it is often the right one who speaks.
const WORKERS: u64 = 2;
/// How often a job may fail.
const FAILURES: u64 = 3;

/// The workload. No model of `sim check` is like this machine, so its histories are not exported.
#[derive(Clone, Copy, Debug)]
pub struct Job;

/// The states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum State {
    /// There is no job yet.
    #[default]
    Idle,
    /// Nobody works on the job.
    Waiting {
        /// Which one.
        job: u64,
        /// How often it has failed.
        failures: u64,
    },
    /// Somebody works on it.
    Running {
        /// Which one.
        job: u64,
        /// Who.
        worker: u64,
        /// How often it has failed.
        failures: u64,
    },
    /// It is done, and the next one can be submitted.
    Done {
        /// Which one.
        job: u64,
    },
    /// It has failed too often, and the next one can be submitted.
    GivenUp {
        /// Which one.
        job: u64,
    },
}

/// The events. Jobs differ from each other throughout a run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// There is a job to be done.
    Submit {
        /// Which one.
        job: u64,
    },
    /// A worker wants to begin.
    Start {
        /// Who.
        worker: u64,
    },
    /// A worker has done the job.
    Finish {
        /// Who.
        worker: u64,
    },
    /// A worker has failed.
    Fail {
        /// Who.
        worker: u64,
    },
    /// Somebody wants to know.
    Look,
}

/// The replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// To a submission.
    Accepted,
    /// To a submission: this one comes first.
    Busy(u64),
    /// To a start: the job to be done.
    Started(u64),
    /// To a start: no job waits.
    NothingToDo,
    /// To the worker who has done the job.
    Finished,
    /// To the worker who has failed: the job waits again.
    Again,
    /// To the worker who has failed: it was once too often.
    GivenUp,
    /// To somebody who does not work on a job.
    NotYours,
    /// To somebody who looks.
    Seen(State),
}

impl StateMachine for State {
    type Event = Event;
    type Reply = Reply;

    fn on_event(&self, event: &Event) -> (Reply, Option<Self>) {
        match (*self, *event) {
            (state, Event::Look) => (Reply::Seen(state), None),
            (Self::Waiting { job, .. } | Self::Running { job, .. }, Event::Submit { .. }) => {
                (Reply::Busy(job), None)
            }
            (_, Event::Submit { job }) => (Reply::Accepted, Some(Self::Waiting { job, failures: 0 })),
            (Self::Waiting { job, failures }, Event::Start { worker }) => {
                (Reply::Started(job), Some(Self::Running { job, worker, failures }))
            }
            (_, Event::Start { .. }) => (Reply::NothingToDo, None),
            (Self::Running { job, worker: who, .. }, Event::Finish { worker }) if who == worker => {
                (Reply::Finished, Some(Self::Done { job }))
            }
            (Self::Running { job, worker: who, failures }, Event::Fail { worker }) if who == worker => {
                match failures + 1 {
                    FAILURES => (Reply::GivenUp, Some(Self::GivenUp { job })),
                    failures => (Reply::Again, Some(Self::Waiting { job, failures })),
                }
            }
            (_, Event::Finish { .. } | Event::Fail { .. }) => (Reply::NotYours, None),
        }
    }

    fn observe(&self, event: &Event) -> Option<Reply> {
        (*event == Event::Look).then_some(Reply::Seen(*self))
    }
}

/// The specification: the last job, who works on it, what has come of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ledger {
    job: Option<u64>,
    worker: Option<u64>,
    failures: u64,
    is_done: bool,
}

impl Workload for Job {
    const NAME: &'static str = "job";
    type Operation = Event;
    type Response = Reply;
    type Service = Asked<Replicated<State>, Event>;
    type Model = Ledger;

    fn service() -> Self::Service {
        Asked::new(Replicated::default())
    }

    fn model() -> Ledger {
        Ledger::default()
    }

    fn operation(random: &mut ChaCha8Rng, _keys: u64, unique: u64) -> Event {
        let worker = random.below(WORKERS);
        match random.below(10) {
            0..3 => Event::Submit { job: unique },
            3..5 => Event::Start { worker },
            5 => Event::Finish { worker },
            6..9 => Event::Fail { worker },
            _ => Event::Look,
        }
    }

    fn digest(service: &Self::Service) -> u64 {
        service.digest()
    }
}

impl Ask<Replicated<State>> for Event {
    fn ask(&self, _: &Replicated<State>) -> Self {
        *self
    }
}

impl Model for Ledger {
    type Operation = Event;
    type Response = Reply;

    fn apply(&mut self, event: &Event) -> Reply {
        let open = self.job.filter(|_| !self.is_done && self.failures < FAILURES);
        match *event {
            Event::Look => Reply::Seen(self.state()),
            Event::Submit { job } => match open {
                Some(job) => Reply::Busy(job),
                None => {
                    *self = Self { job: Some(job), ..Self::default() };
                    Reply::Accepted
                }
            },
            Event::Start { worker } => match open {
                Some(job) if self.worker.is_none() => {
                    self.worker = Some(worker);
                    Reply::Started(job)
                }
                _ => Reply::NothingToDo,
            },
            Event::Finish { worker } | Event::Fail { worker } if self.worker != Some(worker) => {
                Reply::NotYours
            }
            Event::Finish { .. } => {
                (self.worker, self.failures, self.is_done) = (None, 0, true);
                Reply::Finished
            }
            Event::Fail { .. } => {
                (self.worker, self.failures) = (None, self.failures + 1);
                if self.failures < FAILURES { Reply::Again } else { Reply::GivenUp }
            }
        }
    }

    fn observes_only(event: &Event) -> bool {
        *event == Event::Look
    }
}

impl Ledger {
    fn state(&self) -> State {
        let Self { job, worker, failures, is_done } = *self;
        match (job, worker) {
            (None, _) => State::Idle,
            (Some(job), _) if is_done => State::Done { job },
            (Some(job), _) if failures == FAILURES => State::GivenUp { job },
            (Some(job), Some(worker)) => State::Running { job, worker, failures },
            (Some(job), None) => State::Waiting { job, failures },
        }
    }
}

/// As a call: `start(worker 1)`.
impl Debug for Event {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Submit { job } => write!(formatter, "submit(job {job})"),
            Self::Start { worker } => write!(formatter, "start(worker {worker})"),
            Self::Finish { worker } => write!(formatter, "finish(worker {worker})"),
            Self::Fail { worker } => write!(formatter, "fail(worker {worker})"),
            Self::Look => write!(formatter, "look()"),
        }
    }
}
