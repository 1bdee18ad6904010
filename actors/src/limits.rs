//! Rates: how much may come from one place.

use std::time::Duration;

/// A token bucket: `per_s` on average, `burst` at once. Time is an argument.
#[derive(Debug, Clone, Copy)]
pub struct TokenBucket {
    per_s: f64,
    burst: f64,
    tokens: f64,
    at: Duration,
}

impl TokenBucket {
    /// A full bucket.
    pub fn new(per_s: u32, burst: u32, now: Duration) -> Self {
        let (per_s, burst) = (f64::from(per_s.max(1)), f64::from(burst.max(1)));
        Self { per_s, burst, tokens: burst, at: now }
    }
    /// Takes one, or says after how many milliseconds there will be one.
    pub fn take(&mut self, now: Duration) -> Result<(), u32> {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.tokens = (self.tokens + passed * self.per_s).min(self.burst);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(((1.0 - self.tokens) / self.per_s * 1000.0).ceil().max(1.0) as u32)
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
