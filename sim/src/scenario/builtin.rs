//! The scenarios of the repository's folder `scenarios`, so that the binary works from anywhere.

macro_rules! text {
    ($name:literal) => {
        include_str!(concat!("../../../scenarios/", $name, ".json"))
    };
}

macro_rules! scenarios {
    ($($name:literal)*) => { &[$(($name, text!($name))),*] };
}

/// The default scenario, and what others take their defaults from.
pub(super) const SWARM: &str = text!("swarm");

/// Name and text of every scenario, in the order in which they are listed.
pub(super) const ALL: &[(&str, &str)] = scenarios! {
    "swarm"
    "calm"
    "lossy"
    "rare-losses"
    "slow-links"
    "far-apart"
    "partitions"
    "one-way-cuts"
    "one-fault-stays"
    "crash-storm"
    "primary-hunt"
    "quick-restarts"
    "rotating-primaries"
    "overlapping-recoveries"
    "clock-drift-and-pauses"
    "busy-clients"
    "services"
    "one-replica"
    "two-replicas"
    "four-replicas"
    "seven-replicas"
    "beyond-the-budget"
};
