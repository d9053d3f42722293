//! Clocks of nodes: each runs at its own rate from its own start.

use vr::Instant;

/// A node's clock as a function of true time. Readings start at an hour, so that an offset never makes
/// one negative.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    offset: i64,
    /// Deviation of the rate, in 2⁻³².
    drift: i64,
}

const START: i64 = 3_600_000_000_000;

impl Clock {
    /// A clock that is `offset_us` microseconds ahead and runs `drift_ppm` parts per million fast.
    #[must_use]
    pub const fn new(offset_us: i64, drift_ppm: i64) -> Self {
        Self { offset: START + offset_us * 1_000, drift: (drift_ppm << 32) / 1_000_000 }
    }

    /// What the clock shows at the true time `now`, in nanoseconds.
    #[inline]
    #[must_use]
    pub const fn read(self, now: u64) -> Instant {
        let drifted = (now as i128 * self.drift as i128) >> 32;
        Instant((now as i64 + drifted as i64 + self.offset) as u64)
    }

    /// Jumps ahead so that it shows `reading` at the true time `now`; never back.
    pub const fn jump_to(&mut self, now: u64, reading: Instant) {
        let ahead = reading.0.saturating_sub(self.read(now).0);
        self.offset += ahead as i64;
    }

    /// From the true time `now` on it runs `drift_ppm` parts per million fast, or slow if negative.
    pub const fn go_on_at(&mut self, now: u64, drift_ppm: i64) {
        let reading = self.read(now).0;
        self.drift = (drift_ppm << 32) / 1_000_000;
        self.offset += reading as i64 - self.read(now).0 as i64;
    }

    /// The first true time at which the clock shows `deadline` or later.
    #[must_use]
    pub const fn when(self, deadline: Instant) -> u64 {
        if deadline.0 == Instant::NEVER.0 {
            return u64::MAX;
        }
        let elapsed = deadline.0 as i128 - self.offset as i128;
        let rate = (1_i128 << 32) + self.drift as i128;
        // A division of 128 bits is slow, and most clocks are right.
        let mut now = match self.drift {
            _ if elapsed <= 0 => 0,
            0 => elapsed as u64,
            _ => ((elapsed << 32) / rate) as u64,
        };
        while self.read(now).0 < deadline.0 {
            now += 1;
        }
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_due_exactly_when_the_clock_shows_it() {
        for drift in [-200, 0, 1, 500] {
            let clock = Clock::new(-7_000, drift);
            for deadline in [START as u64, START as u64 + 12_345_678, START as u64 + 9_876_543_210_123] {
                let when = clock.when(Instant(deadline));
                assert!(clock.read(when).0 >= deadline);
                assert!(when == 0 || clock.read(when - 1).0 < deadline, "drift {drift}");
            }
        }
        assert_eq!(Clock::new(0, 0).when(Instant::NEVER), u64::MAX);
    }

    #[test]
    fn a_jump_goes_ahead_and_never_back() {
        let mut clock = Clock::new(0, 100);
        let reading = Instant(clock.read(5_000_000).0 + 777);
        clock.jump_to(5_000_000, reading);
        assert_eq!(clock.read(5_000_000), reading);
        clock.jump_to(5_000_000, Instant(1));
        assert_eq!(clock.read(5_000_000), reading);
    }

    #[test]
    fn a_clock_of_another_rate_goes_on_from_where_it_was() {
        let mut clock = Clock::new(3, 1_000);
        let (now, second) = (77_000_000_000, 1_000_000_000);
        let reading = clock.read(now);
        clock.go_on_at(now, -200_000);
        assert_eq!(clock.read(now), reading);
        let gain = clock.read(now + second).0 - reading.0;
        assert!((799_999_999..=800_000_001).contains(&gain), "{gain}");
        assert_eq!(clock.read(clock.when(Instant(reading.0 + second))).0, reading.0 + second);
    }

    #[test]
    fn a_fast_clock_gains() {
        let (fast, right) = (Clock::new(0, 1_000), Clock::new(0, 0));
        let second = 1_000_000_000;
        let gain = fast.read(second).0 - right.read(second).0;
        assert!((999_990..=1_000_000).contains(&gain), "{gain}");
    }
}
