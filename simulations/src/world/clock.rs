//! Clocks: the world's, which every event moves, and each machine's, which runs askew of it.

use proto::ts::Micros;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// World time in nanoseconds since its beginning.
pub type Nanos = u64;

/// Wall clock at the beginning of every world: 2026-01-01T00:00:00Z.
pub const WALL_START_US: Micros = 1_767_225_600_000_000;

/// What the binary's `clock_gettime` shows to code that asks the C library. One world a process is meant.
static SHOWN: AtomicU64 = AtomicU64::new(0);

/// The world time that [`publish`] set last.
pub fn shown() -> Nanos {
    SHOWN.load(Ordering::Relaxed)
}

pub(crate) fn publish(now: Nanos) {
    SHOWN.store(now, Ordering::Relaxed);
}

/// Whole nanoseconds, at most about 584 years.
pub(crate) fn nanos(time: Duration) -> Nanos {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A machine's clock as a function of world time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Skew {
    /// Wall clock minus the world's, microseconds.
    pub offset_us: i64,
    /// How much faster than the world it runs, parts per million (at most 10,000, which is 1 %).
    pub drift_ppm: i64,
}

impl Skew {
    /// World time to this machine's.
    pub(crate) fn local(self, world: Nanos) -> Nanos {
        scale(world, 1_000_000 + self.drift_ppm, 1_000_000)
    }
    /// A span of this machine's time to the world's, rounded up.
    pub(crate) fn world_span(self, local: Nanos) -> Nanos {
        let (scaled, rate) = (i128::from(local) * 1_000_000, i128::from(1_000_000 + self.drift_ppm));
        u64::try_from((scaled + rate - 1) / rate).unwrap_or(u64::MAX)
    }
}

/// A machine's clock, whose rate may change: the monotonic part goes on from where it is, whatever is set.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MachineClock {
    skew: Skew,
    /// World time at which the present rate began, and what the clock showed then.
    since: Nanos,
    shown: Nanos,
}

impl MachineClock {
    /// A clock of this skew from the beginning of the world on.
    pub(crate) fn new(skew: Skew) -> Self {
        Self { skew, since: 0, shown: 0 }
    }
    /// Another skew from now on.
    pub(crate) fn set(&mut self, skew: Skew, now: Nanos) {
        *self = Self { skew, since: now, shown: self.monotonic(now) };
    }
    pub(crate) fn skew(&self) -> Skew {
        self.skew
    }
    /// Time since the beginning of the world, as this machine counts it.
    pub(crate) fn monotonic(&self, world: Nanos) -> Nanos {
        self.shown + self.skew.local(world.saturating_sub(self.since))
    }
    /// The machine's wall clock.
    pub(crate) fn wall_us(&self, world: Nanos) -> Micros {
        (WALL_START_US + self.monotonic(world) / 1000).saturating_add_signed(self.skew.offset_us)
    }
}

fn scale(time: Nanos, multiply: i64, divide: i64) -> Nanos {
    let scaled = i128::from(time) * i128::from(multiply) / i128::from(divide);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_shows_more_and_its_sleeps_end_sooner() {
        let fast = Skew { offset_us: -500, drift_ppm: 10_000 };
        assert_eq!(fast.local(1_000_000_000), 1_010_000_000);
        assert_eq!(fast.world_span(1_010_000_000), 1_000_000_000);
        assert_eq!(MachineClock::new(fast).wall_us(1_000_000_000), WALL_START_US + 1_010_000 - 500);
    }

    #[test]
    fn a_clock_that_is_slowed_down_never_goes_back() {
        let mut clock = MachineClock::new(Skew { offset_us: 0, drift_ppm: 10_000 });
        let before = clock.monotonic(50_000_000_000);
        clock.set(Skew { offset_us: -7, drift_ppm: -10_000 }, 50_000_000_000);
        assert_eq!(clock.monotonic(50_000_000_000), before);
        assert_eq!(clock.monotonic(51_000_000_000), before + 990_000_000);
        assert_eq!(clock.wall_us(50_000_000_000), WALL_START_US + before / 1000 - 7);
    }

    #[test]
    fn a_machine_that_slept_its_time_sees_at_least_that_time_gone() {
        for drift_ppm in [-10_000, -3, 0, 7, 9_999] {
            let skew = Skew { offset_us: 0, drift_ppm };
            for span in [1, 999, 1_000_000, 86_400_000_000_000] {
                assert!(skew.local(skew.world_span(span)) >= span, "{span} ns at {drift_ppm} ppm");
            }
        }
    }
}
