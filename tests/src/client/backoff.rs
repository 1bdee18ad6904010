//! When to connect again: base, doubled at each failure up to 30 s, plus 0-50 % (PROTOCOL.md).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Longest delay before the jitter, in ms.
const MAX_MS: u64 = 30_000;

/// The delay before attempt `attempt` (1 is the first after a cut), not shorter than what the server named.
/// The jitter is a function of `name` and attempt, so that clients spread and a test repeats.
pub(super) fn delay(base_ms: u64, attempt: u32, named_ms: u64, name: &str) -> Duration {
    let doubled = base_ms.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(MAX_MS);
    let mut hasher = DefaultHasher::new();
    (name, attempt).hash(&mut hasher);
    let percent = hasher.finish() % 51;
    Duration::from_millis(named_ms.max(doubled + doubled * percent / 100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_from_the_base_to_thirty_seconds_with_at_most_half_on_top() {
        for (attempt, bare) in [(1, 1000), (2, 2000), (3, 4000), (5, 16_000), (6, 30_000), (u32::MAX, 30_000)]
        {
            let ms = delay(1000, attempt, 0, "a").as_millis();
            assert!((bare..=bare + bare / 2).contains(&ms), "attempt {attempt}: {ms}");
        }
    }

    #[test]
    fn clients_of_other_names_come_back_at_other_times() {
        let delays: std::collections::BTreeSet<_> =
            (0..100).map(|n| delay(1000, 1, 0, &n.to_string())).collect();
        assert!(delays.len() > 30, "{} different delays of 51", delays.len());
    }

    #[test]
    fn a_delay_that_the_server_named_is_kept() {
        assert_eq!(delay(1000, 1, 9000, "a"), Duration::from_secs(9));
    }
}
