//! F6: how an owner answers reads and subscribes while it cannot confirm that it still is the owner.

use std::time::Duration;

/// An own append or a serial read confirms a claim for this long, by the owner's monotonic clock.
pub const CONFIRMED_FOR: Duration = Duration::from_secs(2);

/// How to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// As usual.
    Fresh,
    /// Marked `stale_since`.
    Stale {
        /// When the claim was last confirmed, on the owner's monotonic clock.
        since: Duration,
    },
    /// Not at all: most peers do reach the store, so it is we who are cut off and another may own the slot.
    Silent,
}

/// The answer at `now`, both times on the owner's monotonic clock. This bounds staleness; safety does not use
/// it.
pub fn freshness(now: Duration, last_confirmed: Duration, most_peers_reach_store: bool) -> Freshness {
    if now.saturating_sub(last_confirmed) < CONFIRMED_FOR {
        Freshness::Fresh
    } else if most_peers_reach_store {
        Freshness::Silent
    } else {
        Freshness::Stale { since: last_confirmed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unconfirmed_owner_is_marked_stale_or_silent_from_two_seconds_on() {
        let at = Duration::from_millis;
        for (now, peers, expected) in [
            (1_000, true, Freshness::Fresh),
            (2_999, false, Freshness::Fresh),
            (3_000, false, Freshness::Stale { since: at(1_000) }),
            (3_000, true, Freshness::Silent),
            (500, true, Freshness::Fresh),
        ] {
            assert_eq!(freshness(at(now), at(1_000), peers), expected, "at {now} ms");
        }
    }
}
