//! Histories of any system's operations, judged: the heart of `sim check`.
//!
//! A history is a file of one JSON object per line (see [`mod@format`]), the work of whatever recorded it. A
//! data type says what a single copy of the service would answer (see [`models`]). [`judge`] decides
//! whether the one explains the other, and [`explain`] says in words, where it does not, which operation has
//! no place and why; [`page`] draws that.
//!
//! ```text
//! file ─► format ─► History ─► models ─► calls ─► monitor, else search ─► Judgement ─► explain ─► page
//! ```
//!
//! For a container (queue, stack, deque, priority queue) whose values differ from each other, a polynomial
//! [`monitor`] takes the place of the search, which would have to try every order of what overlaps.

pub mod explain;
pub mod format;
pub mod generate;
pub mod judge;
pub mod models;
pub mod monitor;
pub mod page;
pub mod record;
pub mod value;
pub mod words;

pub use explain::Finding;
pub use format::{Entry, History, Kind, Unreadable};
pub use judge::{Judgement, Limits, Subject, check};
pub use models::ModelName;
pub use value::{Atom, Names, Value};

#[cfg(test)]
mod tests;
