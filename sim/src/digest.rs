//! Digests that are the same on every machine and in every build.

use std::hash::{Hash, Hasher};

/// Mixes `value` into `digest` (the 64-bit finaliser of MurmurHash3, keyed by what came before).
#[inline]
#[must_use]
pub const fn mix(digest: u64, value: u64) -> u64 {
    let mut mixed = (digest.rotate_left(23) ^ value).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^= mixed >> 32;
    mixed = mixed.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 29)
}

/// The digest of anything that can be hashed.
#[must_use]
pub fn of(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = Digest(0x9e37_79b9_7f4a_7c15);
    value.hash(&mut hasher);
    hasher.finish()
}

/// A hasher whose result depends on nothing but what was written: `usize` counts as `u64`, and integers
/// as their value whatever the byte order.
#[derive(Clone, Copy, Debug)]
pub struct Digest(u64);

impl Hasher for Digest {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = mix(self.0, u64::from_le_bytes(word));
        }
        self.0 = mix(self.0, bytes.len() as u64);
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_u16(&mut self, value: u16) {
        self.write_u64(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = mix(self.0, value);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn write_isize(&mut self, value: isize) {
        self.write_u64(value as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_fixed_for_ever() {
        assert_eq!(of(&(1_u64, "key")), of(&(1_u64, "key")));
        assert_ne!(of(&(1_u64, "key")), of(&(2_u64, "key")));
        assert_eq!(
            mix(1, 2),
            10_929_473_142_334_769_909,
            "recorded traces hold digests: this value must not change"
        );
    }
}
