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

/// What scenarios under a supervisor take their defaults from, before those of the swarm.
pub(super) const SUPERVISED: &str = text!("supervised-groups");

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
    "services"
    "batches"
    "lease-reads"
    "confirmed-reads"
    "causal-reads"
    "predicted-values"
    "one-replica"
    "two-replicas"
    "four-replicas"
    "seven-replicas"
    "beyond-the-budget"
    "reconfigurations"
    "several-groups"
    "supervised-groups"
    "witnesses"
};

/// The same of scenarios beyond what is promised: they show that a promise's condition is needed. Something is violated
/// in some of their seeds, so no sweep draws them unless it is asked to.
pub(super) const BEYOND: &[(&str, &str)] = scenarios! {
    "leases-beyond-the-bound"
};

/// The same of every story.
pub(super) const STORIES: &[(&str, &str)] = stories! {
    "a-primary-sleeps"
    "published-recovery"
    "a-vote-and-one-that-knows"
    "an-answer-of-the-crashed"
    "a-recovery-hears-two-primaries"
    "a-recovery-hears-an-old-start"
    "a-recovery-meets-a-view-change"
    "a-recovering-replica-is-asked-to-vote"
    "published-state-transfer"
    "a-tail-that-is-not-committed"
    "a-new-state-comes-too-late"
    "the-view-of-the-last-entry"
    "the-longest-log"
    "an-old-start-view"
    "a-proposal-and-a-start-come-again"
    "the-commit-number-goes-back"
    "a-request-comes-twice"
    "a-request-in-flight-comes-twice"
    "a-request-that-a-view-change-dropped"
    "the-result-is-lost-with-the-primary"
    "answered-before-it-is-committed"
    "an-old-answer"
    "a-clients-third-life"
    "which-session-makes-room"
    "two-dead-primaries-in-a-row"
    "a-view-change-takes-longer-than-the-timeout"
    "one-view-further"
    "alone-in-a-later-view"
    "a-client-and-a-view-that-never-began"
    "all-alive-and-no-two-alike"
    "a-primary-that-hears-nobody"
    "a-replica-that-hears-nobody"
    "a-primary-deaf-to-clients"
    "an-idle-group"
    "a-lost-prepare"
    "a-gap-in-the-log"
    "a-lost-start-view-change"
    "a-lost-do-view-change"
    "a-lost-recovery"
    "a-lost-get-state"
    "a-lost-request"
    "a-peer-that-does-not-answer"
    "nothing-new-but-the-view"
    "a-primary-that-does-not-know"
    "an-answer-from-an-earlier-view"
    "a-lease-runs-out"
    "a-read-and-a-pause"
    "an-answer-that-leaves-late"
    "a-read-in-an-epoch-that-is-over"
    "a-read-at-the-end-of-an-epoch"
    "promises-of-the-group-before"
    "one-promise-of-four"
    "a-promise-heard-of-late"
    "a-promise-is-kept"
    "a-promise-outlives-a-crash"
    "a-slow-clock-and-fast-ones"
    "a-clock-that-is-put-back"
    "read-before-it-is-committed"
    "a-read-at-a-backup-that-is-behind"
    "what-was-read-at-another-backup"
    "a-read-says-as-of-when"
    "the-beginning-of-a-batch"
    "half-a-batch-is-committed"
    "twice-in-one-batch"
    "the-end-of-a-log-in-a-vote"
    "the-end-of-a-log-in-a-start-view"
    "a-checkpoint-and-an-old-request"
    "a-checkpoint-is-not-the-log"
    "a-checkpoint-of-a-later-view"
    "a-later-view-of-an-earlier-epoch"
    "an-epoch-begins-in-view-0"
    "a-request-after-the-end"
    "a-request-after-an-inherited-end"
    "two-ends-of-an-epoch"
    "the-administrator-asks-again"
    "a-member-that-dies-at-the-beginning"
    "a-member-that-is-dead-from-the-beginning"
    "a-member-without-the-log"
    "three-become-five"
    "who-is-replaced-keeps-the-state"
    "one-member-says-it-twice"
    "an-end-that-nobody-has-heard-of"
    "an-end-that-is-history"
    "recovering-where-one-is-no-member"
    "a-recovery-at-the-end-of-an-epoch"
    "a-new-member-and-the-sessions"
    "told-of-the-new-group"
    "a-lost-start-epoch"
    "a-lost-epoch-started"
    "a-cold-primary"
    "a-witness-has-no-state"
    "a-witness-with-a-gap"
    "what-a-witness-must-keep"
    "a-blackboard-for-life"
    "a-group-that-moves-on"
    "the-old-primary-dies-with-the-news"
    "a-primary-deaf-to-a-recovery"
    "the-log-of-a-witness"
    "two-witnesses-and-who-is-far-behind"
    "a-checkpoint-in-parts"
};
