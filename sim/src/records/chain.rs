//! Checksums of records: each line carries one over itself, chained with that of the line before.
//!
//! So a line that was changed, lost or moved is known when the file is read, and a file that was cut short at
//! the end of a line is a sound one that can be gone on with. They tell accidents, and edits by hand; whoever
//! computes them anew is believed.

use crate::digest;

/// What comes before the digits of a checksum in a line.
const FIELD: &[u8] = b",\"checksum\":\"";
/// How many digits it has.
const DIGITS: usize = 16;
/// What comes behind them.
const END: &[u8] = b"\"}";

/// The checksum of the lines so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain(u64);

impl Chain {
    /// Begins with the first line, which carries no checksum of its own. `head` comes with the end of the line.
    pub(super) fn new(head: &[u8]) -> Self {
        Self(digest::of(head))
    }

    /// The chain with one more record, which is a JSON object.
    pub(super) fn and(self, record: &[u8]) -> Self {
        Self(digest::mix(self.0, digest::of(record)))
    }

    /// The line of the record that this chain ends with.
    pub(super) fn line(self, record: &str) -> String {
        let fields = record.strip_suffix('}').expect("a record is an object");
        let name = String::from_utf8_lossy(FIELD);
        format!("{fields}{name}{:016x}\"}}\n", self.0)
    }

    /// Whether this is the checksum that a line carries.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) fn check(self, carried: &str) -> Result<(), String> {
        let expected = format!("{:016x}", self.0);
        if carried == expected {
            return Ok(());
        }
        Err(format!("altered or damaged: its checksum is {carried}, expected {expected}"))
    }
}

/// Takes a line, without its end, apart: the record, and the checksum that it carries.
pub(super) fn split(line: &[u8]) -> Option<(Vec<u8>, &str)> {
    let (front, digits) = line.strip_suffix(END)?.split_last_chunk::<DIGITS>()?;
    let fields = front.strip_suffix(FIELD)?;
    let digits = std::str::from_utf8(digits).ok()?;
    Some(([fields, b"}"].concat(), digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDS: [&str; 3] = [r#"{"seed":1}"#, r#"{"seed":2}"#, r#"{"seed":3}"#];

    fn lines() -> Vec<String> {
        let mut chain = Chain::new(b"{}\n");
        let line = |record: &&str| {
            chain = chain.and(record.as_bytes());
            chain.line(record)
        };
        RECORDS.iter().map(line).collect()
    }

    /// How many of the lines are sound, from the first on.
    fn sound(lines: &[String]) -> usize {
        let mut chain = Chain::new(b"{}\n");
        let is_sound = |line: &&String| {
            let Some((record, carried)) = split(line.trim_end().as_bytes()) else { return false };
            chain = chain.and(&record);
            chain.check(carried).is_ok()
        };
        lines.iter().take_while(is_sound).count()
    }

    #[test]
    fn a_line_that_is_not_what_was_written_is_known() {
        assert_eq!(sound(&lines()), 3);
        let with = |index: usize, from: &str, to: &str| {
            let mut lines = lines();
            lines[index] = lines[index].replacen(from, to, 1);
            sound(&lines)
        };
        assert_eq!([with(0, "1", "7"), with(1, "2", "7"), with(2, "3", "7")], [0, 1, 2]);
        assert_eq!(with(1, "checksum", "checksun"), 1);
        let [first, second, third] = lines().try_into().expect("three lines");
        assert_eq!(sound(&[first.clone(), third.clone()]), 1, "one is lost");
        assert_eq!(sound(&[second.clone(), first.clone(), third]), 0, "two are in each other's place");
        assert_eq!(sound(&[first.clone(), first]), 1, "one is there twice");
        assert_eq!(sound(&["{}".to_owned()]), 0);
    }
}
