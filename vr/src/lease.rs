//! Leases: on the word of its backups, a primary knows for a while that no later view begins.
//!
//! A backup that has heard the primary promises to vote for no other view for a span of its own clock. The
//! primary counts the promise from when it *sent* what the backup heard, which was earlier, and for a shorter
//! span, which covers the difference of their clocks' rates. So whenever the primary still counts a promise,
//! its giver still keeps it. Any quorum of votes meets any quorum of promises in somebody: while the primary
//! counts a quorum, itself included, no later view has begun.

use crate::configuration::Configuration;
use crate::types::{Duration, Instant, ReplicaId};

/// What its backups have promised to a primary.
#[derive(Clone, Debug)]
pub(crate) struct Leases {
    /// Until when, by the primary's clock, each replica's promise is counted.
    until: Box<[Instant]>,
}

impl Leases {
    pub(crate) fn none(group: Configuration) -> Self {
        Self { until: vec![Instant(0); group.rows()].into() }
    }

    /// The promise of `backup` is counted until `until`, or longer if an earlier one was.
    pub(crate) fn grant(&mut self, backup: ReplicaId, until: Instant) {
        let held = &mut self.until[backup.index()];
        *held = until.max(*held);
    }

    /// How many promises are counted at `now`.
    pub(crate) fn held(&self, now: Instant) -> usize {
        self.until.iter().filter(|&&until| now < until).count()
    }
}

/// How much of a promise of `promised` by its giver's clock its receiver may count on by its own clock, if the rate
/// of each differs from that of true time by up to `drift_ppm` parts per million: the giver's clock may be as
/// fast and the receiver's as slow as that.
pub(crate) const fn counted(promised: Duration, drift_ppm: u32) -> Duration {
    let drift = drift_ppm as u128;
    Duration((promised.0 as u128 * (1_000_000 - drift) / (1_000_000 + drift)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_ends_before_what_is_promised_however_clocks_run() {
        for drift_ppm in [0, 1, 100, 50_000, 500_000, 999_999] {
            for promised in [1, 999, 80_000_000] {
                let counted = counted(Duration(promised), drift_ppm).0;
                // In true time, times 10⁶: the giver's clock is fast, the receiver's is slow.
                let kept = u128::from(promised) * 1_000_000 * 1_000_000 / (1_000_000 + u128::from(drift_ppm));
                let relied_on =
                    u128::from(counted) * 1_000_000 * 1_000_000 / (1_000_000 - u128::from(drift_ppm));
                assert!(relied_on <= kept, "{promised} ns at {drift_ppm} ppm: {counted} ns");
            }
        }
        assert_eq!(counted(Duration(1_000), 0), Duration(1_000));
    }

    #[test]
    fn a_promise_is_counted_until_its_end_and_an_older_one_does_not_shorten_it() {
        let mut leases = Leases::none(Configuration::new(3).unwrap());
        leases.grant(ReplicaId(1), Instant(10));
        leases.grant(ReplicaId(1), Instant(5));
        leases.grant(ReplicaId(2), Instant(7));
        assert_eq!([6, 7, 9, 10].map(|now| leases.held(Instant(now))), [2, 1, 1, 0]);
    }
}
