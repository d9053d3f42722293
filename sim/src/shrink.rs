//! Shrinking: the smallest trace that still fails in the same way.
//!
//! Decisions are taken out and made simpler as long as the run that is left violates the same property in
//! the same way. See [`crate::timeline`] for how decisions are addressed meanwhile.

mod case;
mod ddmin;
mod finish;
mod oracle;
mod reduce;
mod simplify;
mod sooner;

use std::fmt;

use crate::bugs;
use crate::check::Property;
use crate::replay::{self, Unreplayable};
use crate::run::Verdict;
use crate::trace::{Expected, Trace};
use finish::Named;
use oracle::Oracle;

/// How much may be spent on shrinking a trace.
pub struct Limits<'a> {
    /// Steps of simulation, in all candidates together. The result depends on this and nothing else,
    /// unless `stop` intervenes.
    pub steps: u64,
    /// Says that it is time to stop.
    pub stop: &'a dyn Fn() -> bool,
}

impl fmt::Debug for Limits<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Limits").field("steps", &self.steps).finish_non_exhaustive()
    }
}

/// How large a trace is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    /// Its decisions: fault actions, requests, fates of messages, and the end of the faults if there is one.
    pub decisions: usize,
    /// Its steps.
    pub steps: u64,
    /// Its replicas.
    pub replicas: u8,
    /// Its clients.
    pub clients: u16,
}

impl Size {
    /// Of a trace.
    #[must_use]
    pub fn of(trace: &Trace) -> Self {
        Self {
            decisions: trace.decisions.len(),
            steps: trace.head.steps,
            replicas: trace.head.setup.nodes() - trace.head.setup.spares,
            clients: trace.head.setup.clients,
        }
    }
}

/// How far shrinking is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Decisions left.
    pub decisions: usize,
    /// Runs made.
    pub candidates: u64,
}

/// What came of shrinking a trace.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The smallest trace that was found.
    pub trace: Trace,
    /// The size of the one that was given.
    pub before: Size,
    /// The size of the one that it began with, if that is another one, of the same setup and another seed,
    /// which fails in the same way much sooner.
    pub begun: Option<Size>,
    /// The size of the one that was found.
    pub after: Size,
    /// Whether it is known that no single decision can be taken out any more.
    pub is_minimal: bool,
    /// How many runs were made.
    pub candidates: u64,
    /// What they cost, in steps.
    pub steps: u64,
}

/// Why a trace cannot be shrunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unshrinkable {
    /// It expects a clean run.
    Clean,
    /// A story did not go as told: only its words say what was expected.
    Told,
    /// It does not show what it says.
    NotReproduced {
        /// What it names, as far as that differs.
        expected: String,
        /// What its run shows.
        found: String,
    },
    /// It cannot be replayed.
    Unreplayable(Unreplayable),
}

impl fmt::Display for Unshrinkable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clean => write!(formatter, "the trace is of a clean run: expected one with a violation"),
            Self::Told => {
                write!(formatter, "a story did not go as told: leave steps out of its file, and run it again")
            }
            Self::NotReproduced { expected, found } => {
                write!(formatter, "the trace no longer fails as it says: expected {expected}, found {found}")
            }
            Self::Unreplayable(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for Unshrinkable {}

/// Finds a trace that fails as `trace` does, from which no single decision can be taken out.
///
/// # Errors
/// [`Unshrinkable`] if the trace does not fail.
pub fn shrink(
    trace: &Trace,
    limits: &Limits<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Shrunk, Unshrinkable> {
    let Expected::Violation(expected) = &trace.head.expect else { return Err(Unshrinkable::Clean) };
    if expected.property == Property::Story {
        return Err(Unshrinkable::Told);
    }
    let replayed = replay::replay(trace, false).map_err(Unshrinkable::Unreplayable)?;
    let signature = match &replayed.report.verdict {
        Verdict::Violated(found) if replayed.outcome == replay::Outcome::Violated => found.signature(),
        verdict => {
            let (expected, found) = match verdict {
                Verdict::Violated(found) => expected.apart(found),
                Verdict::Held => (expected.signature(), "a clean run".to_owned()),
                Verdict::Inconclusive(why) | Verdict::HarnessFailed(why) => {
                    (expected.signature(), why.clone())
                }
            };
            return Err(Unshrinkable::NotReproduced { expected, found });
        }
    };
    let bug = trace.head.bug.as_deref().and_then(bugs::find);
    let mut oracle = Oracle::new(bug, signature, limits, progress);
    let sooner = sooner::sooner(trace, &mut oracle);
    let (begun, whole) = match &sooner {
        None => (trace, Named::of(trace, &replayed)),
        Some(sooner) => (sooner, Named::recorded(sooner)),
    };
    // By time and place it may be another run: then what its decisions name is all there is to go by.
    let reduced = reduce::start(begun, &mut oracle).and_then(|start| reduce::reduce(start, &mut oracle));
    let (found, is_minimal) = finish::finish(begun, reduced.unwrap_or(whole), &mut oracle);
    let before = Size::of(trace);
    let found = if Size::of(&found) < before { found } else { trace.clone() };
    Ok(Shrunk {
        after: Size::of(&found),
        trace: found,
        before,
        begun: sooner.as_ref().map(Size::of),
        is_minimal,
        candidates: oracle.candidates,
        steps: oracle.spent,
    })
}
