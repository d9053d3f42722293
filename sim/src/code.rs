//! Which code this is.

/// The digest of the sources that runs follow from: `vr`, `sim` and the scenarios, 16 hexadecimal digits. Two
/// builds of the same sources have the same one, whatever the profile and the machine. A workload of your
/// own is not in it.
pub const DIGEST: &str = env!("SIM_CODE_DIGEST");

/// The version and the digest, for people.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (code ", env!("SIM_CODE_DIGEST"), ")");
