//! Jitter from a number that the caller provides: the core draws no randomness of its own.

use crate::types::Duration;

/// Spreads one number given from outside over as many timeouts as are needed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entropy(u64);

impl Entropy {
    pub(crate) const fn new(entropy: u64) -> Self {
        Self(entropy)
    }

    /// `span`, or up to a quarter longer.
    pub(crate) fn jittered(&mut self, span: Duration) -> Duration {
        let part = self.next() % 256;
        Duration(span.0.saturating_add(span.0 / 1024 * part))
    }

    /// A number that looks random.
    pub(crate) const fn draw(&mut self) -> u64 {
        self.next()
    }

    /// SplitMix64 (Steele, Lea and Flood 2014).
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
