//! How the clock of another node stands to this one's, as one question and its answer show it: Cristian, "Probabilistic
//! clock synchronization", 1989.

use cluster::host::Host;
use proto::ts::Micros;
use std::time::Duration;

/// Clocks that are further apart than this are worth a word to an operator: times of messages jump when their channel
/// gets another owner. Nothing else rests on clocks.
const APART_MAX_US: u64 = 1_000_000;

/// When a question was asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    wall: Micros,
    at: Duration,
}

/// How far a clock is ahead, in microseconds, and how far that may be wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) ahead_us: i64,
    pub(super) unsure_us: u64,
}

impl Asked {
    pub(super) fn now(host: &Host) -> Self {
        Self { wall: host.now_us(), at: host.monotonic() }
    }
    /// What the answer, which has just come, says of the clock of whoever gave it.
    pub(super) fn answered(self, host: &Host, now_us: Micros) -> Clock {
        let took = host.monotonic().saturating_sub(self.at);
        let unsure_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX) / 2;
        let middle = self.wall.saturating_add(unsure_us);
        Clock { ahead_us: now_us.cast_signed().saturating_sub(middle.cast_signed()), unsure_us }
    }
}

impl Clock {
    /// How far times of it are to be shifted: what could be the network's doing is left alone.
    pub(super) fn shift_us(self) -> i64 {
        if self.ahead_us.unsigned_abs() > self.unsure_us { self.ahead_us } else { 0 }
    }
    /// What is amiss with it, in words, if something is.
    pub(super) fn trouble(self, node: &str, me: &str) -> Option<String> {
        let off_us = self.ahead_us.unsigned_abs();
        let way = if self.ahead_us > 0 { "ahead of" } else { "behind" };
        let is_off = off_us > APART_MAX_US.saturating_add(self.unsure_us);
        let seconds = off_us as f64 / 1e6;
        is_off.then(|| {
            format!("the clock of {node} is {seconds:.1} s {way} that of {me}: let both follow one time")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_named_when_it_is_further_off_than_the_network_explains() {
        let clock = |ahead_us, unsure_us| Clock { ahead_us, unsure_us };
        let said = |clock: Clock| clock.trouble("b", "a");
        let late = "the clock of b is 600.0 s behind that of a: let both follow one time";
        assert_eq!(said(clock(-600_000_000, 400)).as_deref(), Some(late));
        assert!(said(clock(1_500_000, 0)).unwrap().contains("1.5 s ahead of"));
        for fine in [clock(0, 0), clock(900_000, 0), clock(-1_200_000, 300_000)] {
            assert_eq!(said(fine), None, "{fine:?}");
        }
        assert_eq!([clock(300, 200), clock(-300, 400)].map(Clock::shift_us), [300, 0]);
    }
}
