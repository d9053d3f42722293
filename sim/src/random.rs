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
    ClientFault,
    Heal,
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
    const LN_2: u128 = 45_426;
    let bits = bits | 1;
    let zeros = bits.leading_zeros();
    let mantissa = ((bits << zeros) >> 47) & 0xffff;
    let log = ((zeros as u128 + 1) << 16) - mantissa as u128;
    ((log * LN_2 * mean as u128) >> 32) as u64
}

/// Turns 64 random bits into a number from `low` to `high` of which each doubling is as likely as another.
#[must_use]
pub const fn log_uniform(bits: u64, low: u64, high: u64) -> u64 {
    let low = if low == 0 { 1 } else { low };
    if high <= low {
        return low;
    }
    // The doublings between low and high, in 1/65536, cut off by the final minimum.
    let ratio = high / low;
    let whole = 63 - ratio.leading_zeros() as u64;
    let part = ((ratio << (63 - whole)) >> 47) & 0xffff;
    let span = (whole << 16) + part + 1;
    let exponent = ((bits >> 32) * span) >> 32;
    let scaled = (low as u128) << (exponent >> 16);
    let value = scaled + ((scaled * (exponent & 0xffff) as u128) >> 16);
    if value > high as u128 { high } else { value as u64 }
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
    fn log_uniform_numbers_stay_in_range_and_favour_no_magnitude() {
        let mut random = stream(1, Purpose::Heal);
        let mut decades = [0_u32; 3];
        for _ in 0..30_000 {
            let number = random.log_uniform(10, 10_000);
            assert!((10..=10_000).contains(&number));
            decades[number.ilog10().min(3) as usize - 1] += 1;
        }
        assert!(decades.iter().all(|&count| (8_500..11_500).contains(&count)), "{decades:?}");
        assert_eq!(random.log_uniform(5, 5), 5);
        assert_eq!(random.log_uniform(0, 0), 1);
    }
}
