//! The scenarios of the repository's folder `scenarios`, so that the binary works from anywhere.

macro_rules! text {
    ($($part:literal),*) => {
        include_str!(concat!("../../../scenarios/", $($part,)* ".json"))
    };
}

macro_rules! scenarios {
    ($($name:literal)*) => { &[$(($name, text!($name))),*] };
}

macro_rules! stories {
    ($($name:literal)*) => { &[$(($name, text!("stories/", $name))),*] };
}

/// The default scenario, and what others take their defaults from.
pub(super) const SWARM: &str = text!("swarm");

/// What stories take their defaults from.
pub(super) const TOLD: &str = include_str!("story-defaults.json");

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
    "one-replica"
    "two-replicas"
    "four-replicas"
    "seven-replicas"
    "beyond-the-budget"
};

/// The same of every story.
pub(super) const STORIES: &[(&str, &str)] = stories! {
};
