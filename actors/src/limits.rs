//! Rates: how much may come from one place.

use std::time::Duration;

/// One token in the bucket's unit: exact, so that what accrued is never rounded away.
const TOKEN: u64 = 1_000_000_000;

/// A token bucket: `per_s` on average, `burst` at once. Time is an argument.
#[derive(Debug, Clone, Copy)]
pub struct TokenBucket {
    per_s: u64,
    burst: u64,
    /// In billionths of a token: what one token a second brings in a nanosecond.
    held: u64,
    at: Duration,
}

impl TokenBucket {
    /// A full bucket.
    pub fn new(per_s: u32, burst: u32, now: Duration) -> Self {
        let burst = u64::from(burst.max(1)) * TOKEN;
        Self { per_s: u64::from(per_s.max(1)), burst, held: burst, at: now }
    }
    /// Takes one, or says after how many milliseconds there will be one.
    pub fn take(&mut self, now: Duration) -> Result<(), u32> {
        let passed = u64::try_from(now.saturating_sub(self.at).as_nanos()).unwrap_or(u64::MAX);
        self.at = self.at.max(now);
        self.held = self.held.saturating_add(passed.saturating_mul(self.per_s)).min(self.burst);
        if let Some(rest) = self.held.checked_sub(TOKEN) {
            self.held = rest;
            return Ok(());
        }
        let wait_ms = (TOKEN - self.held).div_ceil(self.per_s).div_ceil(1_000_000);
        Err(u32::try_from(wait_ms).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_holds_and_the_refusal_names_the_delay() {
        let at = Duration::from_millis;
        let mut bucket = TokenBucket::new(10, 3, at(0));
        assert_eq!([bucket.take(at(0)), bucket.take(at(0)), bucket.take(at(0))], [Ok(()); 3]);
        assert_eq!(bucket.take(at(0)), Err(100));
        assert_eq!(bucket.take(at(99)), Err(1));
        assert_eq!(bucket.take(at(100)), Ok(()));
        assert_eq!(bucket.take(at(50)), Err(100), "a clock that goes back gives nothing");
    }
}
