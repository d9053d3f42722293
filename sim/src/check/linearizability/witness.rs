//! Checks one proposed linearization in a single scan.
//!
//! A system that replicates a log knows the order in which its operations took effect. If that
//! order respects real time and explains every response, the history is linearizable and nothing
//! needs to be searched for.

use std::fmt;

use super::Call;
use crate::workload::Model;

/// Why a proposed order is not a linearization. Operations are indices into the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderRefused {
    /// The order names an operation that the history does not have.
    NoSuchOperation {
        /// The index that is out of range.
        operation: usize,
    },
    /// The order names an operation more than once.
    PlacedTwice {
        /// The repeated operation.
        operation: usize,
    },
    /// The order leaves out an operation that returned.
    NeverPlaced {
        /// The missing operation.
        operation: usize,
    },
    /// The history itself lets an operation return before its call, so no instant is left for it.
    ReturnedBeforeCall {
        /// The impossible operation.
        operation: usize,
    },
    /// An operation that had returned is placed behind one that was not called by then.
    AgainstRealTime {
        /// The operation that had returned.
        operation: usize,
        /// The operation, placed earlier, that was called later.
        behind: usize,
    },
    /// The service, fed the operations in this order, answers something else.
    WrongResponse {
        /// The operation that got another response.
        operation: usize,
        /// What the service answers in this order, as its `Debug` text.
        expected: String,
        /// What the client saw, as its `Debug` text.
        observed: String,
    },
}

impl fmt::Display for OrderRefused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchOperation { operation } => {
                write!(formatter, "the order names operation {operation}, which the history does not have")
            }
            Self::PlacedTwice { operation } => {
                write!(formatter, "the order names operation {operation} more than once")
            }
            Self::NeverPlaced { operation } => {
                write!(formatter, "operation {operation} returned, but the order leaves it out")
            }
            Self::ReturnedBeforeCall { operation } => {
                write!(formatter, "operation {operation} returned before it was called")
            }
            Self::AgainstRealTime { operation, behind } => write!(
                formatter,
                "operation {operation} had returned before operation {behind} was called, but is \
                 placed behind it"
            ),
            Self::WrongResponse { operation, expected, observed } => write!(
                formatter,
                "operation {operation} would answer {expected} in this order, but the client saw \
                 {observed}"
            ),
        }
    }
}

impl std::error::Error for OrderRefused {}

/// Checks that `order`, indices into `history`, is a linearization of it.
///
/// Every completed operation must occur exactly once, one of unknown outcome at most once. An
/// order respects real time exactly if no operation returns before the latest call among those
/// placed up to and including it, so one running maximum is all the scan carries along.
///
/// # Errors
///
/// The first reason met along the order. It says that this order is wrong, not that the history
/// is.
pub fn check_order<M: Model>(
    initial: &M,
    history: &[Call<M::Operation, M::Response>],
    order: &[usize],
) -> Result<(), OrderRefused> {
    let mut model = initial.clone();
    let mut placed = vec![false; history.len()];
    let mut latest_called: Option<(u64, usize)> = None;
    for &operation in order {
        let call = history.get(operation).ok_or(OrderRefused::NoSuchOperation { operation })?;
        if std::mem::replace(&mut placed[operation], true) {
            return Err(OrderRefused::PlacedTwice { operation });
        }
        check_real_time(call, operation, latest_called)?;
        latest_called = latest_called.max(Some((call.called, operation)));
        check_response(&mut model, call, operation)?;
    }
    let missing = |&operation: &usize| history[operation].returned.is_some() && !placed[operation];
    match (0..history.len()).find(missing) {
        Some(operation) => Err(OrderRefused::NeverPlaced { operation }),
        None => Ok(()),
    }
}

fn check_real_time<O, R>(
    call: &Call<O, R>,
    operation: usize,
    latest_called: Option<(u64, usize)>,
) -> Result<(), OrderRefused> {
    let Some((returned, _)) = call.returned else {
        return Ok(());
    };
    if returned < call.called {
        return Err(OrderRefused::ReturnedBeforeCall { operation });
    }
    match latest_called {
        Some((called, behind)) if returned < called => {
            Err(OrderRefused::AgainstRealTime { operation, behind })
        }
        _ => Ok(()),
    }
}

fn check_response<M: Model>(
    model: &mut M,
    call: &Call<M::Operation, M::Response>,
    operation: usize,
) -> Result<(), OrderRefused> {
    let expected = model.apply(&call.operation);
    match &call.returned {
        Some((_, observed)) if *observed != expected => Err(OrderRefused::WrongResponse {
            operation,
            expected: format!("{expected:?}"),
            observed: format!("{observed:?}"),
        }),
        _ => Ok(()),
    }
}
