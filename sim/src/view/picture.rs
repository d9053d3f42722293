//! A part of a run as a picture.
use std::ops::RangeInclusive;
use crate::chronicle::Chronicle;
use crate::run::Report;
use crate::trace::Head;

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The file.
    pub svg: String,
    /// How many steps it shows.
    pub shown: usize,
}

/// Draws it.
#[must_use]
pub fn picture(_head: &Head, _report: &Report, _chronicle: &Chronicle, _range: &RangeInclusive<u64>) -> Option<Picture> {
    None
}
