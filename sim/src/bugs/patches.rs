//! Bugs that no rule expresses: a rule that existed only to be broken would make the protocol harder to read,
//! so these are kept as source patches. The self test applies each to a copy of the sources; see
//! [`crate::patched`].

use crate::check::Property::{
    self, L1, L2, L3, L4, L6, L9, Panic, S1, S2, S3, S5, S6, S8, S9, S10, S11, S12, S21, S23,
};

/// A bug as a change of the sources.
#[derive(Clone, Copy, Debug)]
pub struct Patch {
    /// Its name in the catalogue.
    pub name: &'static str,
    /// What is wrong.
    pub what: &'static str,
    /// The change, as a unified diff against the root of the repository.
    pub diff: &'static str,
    /// The scenario in which it is hunted.
    pub scenario: &'static str,
    /// In how many seeds it must be found.
    pub seeds: u64,
    /// The checks that may find it first.
    pub caught_by: &'static [Property],
}

macro_rules! diff {
    ($name:literal) => {
        include_str!(concat!("patches/", $name, ".diff"))
    };
}

/// All of them.
pub const PATCHES: &[Patch] = &[
    Patch {
        name: "M-N5",
        what: "an operation is committed on its own acknowledgements, whatever became of the ones before",
        diff: diff!("m-n5"),
        scenario: "swarm",
        seeds: 40,
        caught_by: &[S5, S10, S8],
    },
    Patch {
        name: "M-V13",
        what: "the new primary counts what was committed before as executed",
        diff: diff!("m-v13"),
        scenario: "primary-hunt",
        seeds: 40,
        caught_by: &[S5, S10],
    },
    Patch {
        name: "M-V17",
        what: "one replica computes another primary than the others",
        diff: diff!("m-v17"),
        scenario: "swarm",
        seeds: 40,
        caught_by: &[S3, L1, L2, L3, L6, L9, S2, S9, S23, Panic],
    },
    Patch {
        name: "M-R18",
        what: "a recovered replica has an empty client table",
        diff: diff!("m-r18"),
        scenario: "crash-storm",
        seeds: 40,
        caught_by: &[S21, S11, S10],
    },
    Patch {
        name: "M-C8",
        what: "a request counts as executed, and its result is told, once it is prepared",
        diff: diff!("m-c8"),
        scenario: "swarm",
        seeds: 40,
        caught_by: &[S11, S12, S10, S21, S2],
    },
    Patch {
        name: "M-T7",
        what: "a Recovery of the primary counts as a sign of its life",
        diff: diff!("m-t7"),
        scenario: "crash-storm",
        seeds: 1_000,
        caught_by: &[L1, L3, L6, L9],
    },
    Patch {
        name: "M-T10",
        what: "a replica that waits for a later view's state hears of nothing else",
        diff: diff!("m-t10"),
        scenario: "primary-hunt",
        seeds: 400,
        caught_by: &[L1, L3, L4, L6, L9],
    },
    Patch {
        name: "M-N15",
        what: "the new primary predicts anew for what it has inherited",
        diff: diff!("m-n15"),
        scenario: "predicted-values",
        seeds: 400,
        caught_by: &[S10, S9, S1, S6],
    },
    Patch {
        name: "M-C11",
        what: "a request that waits for room is not known to wait, and comes into a batch twice",
        diff: diff!("m-c11"),
        scenario: "batches",
        seeds: 400,
        caught_by: &[S11],
    },
];
