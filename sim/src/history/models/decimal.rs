//! The order of the values of a priority queue.

use std::cmp::Ordering;

use crate::history::value::Atom;

/// What the place of a value in the order of priorities depends on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Number(Decimal),
    Text(String),
}

/// A decimal number of any length: `0.` and the digits, times ten to the power of the scale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    is_negative: bool,
    scale: i64,
    /// Without zeros at either end; none at all for zero.
    digits: String,
}

impl Rank {
    pub(super) fn of(atom: &Atom) -> Self {
        let number = atom.text().and_then(Decimal::parse);
        number.map_or_else(|| Self::Text(atom.to_string()), Self::Number)
    }
}

impl Decimal {
    /// Reads an optional sign, digits with or without a point, and an optional exponent.
    fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let unsigned = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = [whole, fraction].concat();
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let significant = digits.trim_start_matches('0');
        let zeros = digits.len() - significant.len();
        let digits = significant.trim_end_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { is_negative: false, scale: 0, digits });
        }
        let scale = whole.len() as i64 - zeros as i64 + i64::from(exponent);
        Some(Self { is_negative: mantissa.starts_with('-'), scale, digits })
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.digits.is_empty(), number.is_negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let by_size = self.scale.cmp(&other.scale).then_with(|| self.digits.cmp(&other.digits));
        sign(self).cmp(&sign(other)).then(if self.is_negative { by_size.reverse() } else { by_size })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(text: &str) -> Rank {
        Rank::of(&Atom::Text(text.to_owned()))
    }

    #[test]
    fn numbers_are_ordered_by_what_they_are_worth() {
        let (long, longer) = ("9".repeat(40), format!("1{}", "0".repeat(40)));
        let ascending = [
            "-1e3", "-100.5", "-100", "-0.02", "-0.010", "0", "0.001", "0.01", "9.5", "10", "10.25", "10.5",
            "99", "1E2", &long, &longer, "", "1 2", "1.2.3", "ten",
        ];
        let ranks = ascending.map(rank);
        for (place, one) in ranks.iter().enumerate() {
            for (other_place, other) in ranks.iter().enumerate() {
                assert_eq!(one.cmp(other), place.cmp(&other_place), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn spellings_of_a_number_are_worth_the_same() {
        for (one, other) in [("07", "7"), ("7.0", "7"), ("-0", "0.00"), ("+1.50", "15e-1"), (".5", "0.5")] {
            assert_eq!(rank(one), rank(other), "{one} {other}");
        }
        assert_ne!(rank("7"), rank("7a"));
    }
}
