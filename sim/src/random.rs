//! Randomness with owners: one stream for each purpose, all from one seed, so that a draw added for one
//! purpose moves nothing in another. Integers only: a probability is parts per million.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Purpose {
    Scenario,
    Partition,
    Clog,
    Crash,
    Pause,
    Clock,
    Timer,
    ClientFault,
    Heal,
    Lingering,
    Reconfiguration,
    /// On which hosts each of several groups is.
    Groups,
    /// What the supervisor's user does.
    Supervision,
    /// Where a guided sweep goes on from, and how.
    Guidance,
    /// The key of the links' delays and losses.
    Links,
    /// Jitter of the replica or client with this node number.
    Jitter(u16),
    /// Operations and pauses of this client slot.
    Client(u16),
}

impl Purpose {
    const fn number(self) -> u64 {
        match self {
            Self::Scenario => 0,
            Self::Partition => 1,
            Self::Clog => 2,
            Self::Crash => 3,
            Self::Pause => 4,
            Self::Clock => 5,
            Self::ClientFault => 6,
            Self::Heal => 7,
            Self::Links => 8,
            Self::Timer => 9,
            Self::Lingering => 10,
            Self::Guidance => 11,
            Self::Reconfiguration => 12,
            Self::Groups => 13,
            Self::Supervision => 14,
            Self::Jitter(node) => 1 << 16 | node as u64,
            Self::Client(slot) => 2 << 16 | slot as u64,
        }
    }
}

/// The stream of `seed` for one purpose.
#[must_use]
pub fn stream(seed: u64, purpose: Purpose) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(purpose.number());
    random
}

/// Draws that the simulator is made of.
pub trait Draw {
    /// True with a probability of `per_million` parts per million.
    fn chance(&mut self, per_million: u32) -> bool;
    /// A number in `0..bound`; zero if `bound` is zero.
    fn below(&mut self, bound: u64) -> u64;
    /// A number around `mean`, exponentially distributed.
    fn around(&mut self, mean: u64) -> u64;
    /// A number from `low` to `high`, each order of magnitude as likely as another.
    fn log_uniform(&mut self, low: u64, high: u64) -> u64;
    /// One of `items`.
    ///
    /// # Panics
    /// If there is none.
    fn pick<T: Copy>(&mut self, items: &[T]) -> T;
}

impl Draw for ChaCha8Rng {
    fn chance(&mut self, per_million: u32) -> bool {
        self.random_range(0..1_000_000) < per_million
    }

    fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.random_range(0..bound) }
    }

    fn around(&mut self, mean: u64) -> u64 {
        exponential(self.random(), mean)
    }

    fn log_uniform(&mut self, low: u64, high: u64) -> u64 {
        log_uniform(self.random(), low, high)
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }
}

/// Turns 64 random bits into a number around `mean`, exponentially distributed: −ln(u) · mean, with the
/// binary logarithm taken as the number of leading zeros plus a linear piece.
#[inline]
#[must_use]
pub const fn exponential(bits: u64, mean: u64) -> u64 {
    // ln 2 in 1/65536.
    const LN_2: u64 = 45_426;
    let bits = bits | 1;
    let zeros = bits.leading_zeros();
    let mantissa = ((bits << zeros) >> 47) & 0xffff;
    let log = ((zeros as u64 + 1) << 16) - mantissa;
    (((log * LN_2) as u128 * mean as u128) >> 32) as u64
}

/// Turns 64 random bits into a number from `low` to `high`, both included, each doubling as likely as
/// another, however close the two are.
#[must_use]
pub fn log_uniform(bits: u64, low: u64, high: u64) -> u64 {
    let (low, high) = (low.max(1), high.max(low).max(1));
    let (bottom, top) = (binary_logarithm(low), binary_logarithm(high + 1));
    let exponent = bottom + ((u128::from(bits) * u128::from(top - bottom)) >> 64) as u64;
    power_of_two(exponent).clamp(low, high)
}

/// The fractional bits of a logarithm.
const FRACTION: u32 = 48;

/// The binary logarithm of a positive number, straight between powers of two.
fn binary_logarithm(number: u64) -> u64 {
    let whole = number.ilog2();
    let rest = u128::from(number - (1 << whole));
    (u64::from(whole) << FRACTION) + ((rest << FRACTION) >> whole) as u64
}

/// The inverse of [`binary_logarithm`].
fn power_of_two(exponent: u64) -> u64 {
    let whole = exponent >> FRACTION;
    let rest = exponent & ((1 << FRACTION) - 1);
    (1 << whole) + ((u128::from(rest) << whole) >> FRACTION) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_purpose_and_are_repeatable() {
        let draw = |purpose| stream(7, purpose).below(u64::MAX);
        assert_eq!(draw(Purpose::Crash), draw(Purpose::Crash));
        assert_ne!(draw(Purpose::Crash), draw(Purpose::Pause));
        assert_ne!(draw(Purpose::Client(0)), draw(Purpose::Client(1)));
    }

    #[test]
    fn exponential_numbers_have_their_mean() {
        let mut random = stream(1, Purpose::Heal);
        let sum: u64 = (0..100_000).map(|_| random.around(1_000)).sum();
        assert!((95_000_000..106_000_000).contains(&sum), "{sum}");
    }

    #[test]
    fn close_bounds_are_drawn_too() {
        let mut random = stream(1, Purpose::Scenario);
        let mut counts = [0_u32; 3];
        for _ in 0..10_000 {
            counts[log_uniform(random.random(), 3, 5) as usize - 3] += 1;
        }
        // log2(4/3), log2(5/4) and log2(6/5) are 0.415, 0.322 and 0.263, straight pieces a little different.
        let [three, four, five] = counts;
        assert!(three > four && four > five && five > 2_000, "{counts:?}");
        assert_eq!(log_uniform(u64::MAX, 80_000, 150_000), 150_000);
        assert_eq!(log_uniform(0, 80_000, 150_000), 80_000);
        assert_eq!(log_uniform(u64::MAX, 7, 7), 7);
    }

    #[test]
    fn no_magnitude_is_favoured() {
        let mut random = stream(1, Purpose::Scenario);
        let mut decades = [0_u32; 3];
        for _ in 0..30_000 {
            let number = log_uniform(random.random(), 10, 9_999);
            decades[number.ilog10() as usize - 1] += 1;
        }
        assert!(decades.iter().all(|&count| (9_000..11_000).contains(&count)), "{decades:?}");
    }
}
