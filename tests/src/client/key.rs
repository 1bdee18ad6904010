//! Idempotency keys: UUIDv7 (RFC 9562, section 5.7).

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

/// Makes keys that are unique among all clients: time, a random number of this maker, a counter.
#[derive(Debug)]
pub struct Keys {
    maker: u64,
    made: u16,
}

impl Default for Keys {
    fn default() -> Self {
        Self { maker: RandomState::new().build_hasher().finish(), made: 0 }
    }
}

impl Keys {
    /// A new key with the time of now.
    #[allow(clippy::disallowed_methods, reason = "a client's clock is its own: it has no Host")]
    pub fn make(&mut self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.at(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
    }
    /// A new key with this time, in Unix milliseconds.
    pub fn at(&mut self, ms: u64) -> String {
        self.made = self.made.wrapping_add(1);
        let mut tail = [0; 10];
        tail[..2].copy_from_slice(&self.made.to_be_bytes());
        tail[2..].copy_from_slice(&self.maker.to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(ms, &tail).into_uuid().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_carries_its_time_and_the_server_accepts_it() {
        let key = Keys::default().at(1_800_000_000_123);
        assert_eq!(proto::key::time_us(&key), Some(1_800_000_000_123_000));
        assert_eq!(proto::key::check(&key, 1_800_000_000_123_000), Ok(()));
    }

    #[test]
    fn keys_of_one_millisecond_and_of_two_makers_differ() {
        let (mut a, mut b) = (Keys::default(), Keys::default());
        let keys: std::collections::BTreeSet<String> = (0..4000).flat_map(|_| [a.at(7), b.at(7)]).collect();
        assert_eq!(keys.len(), 8000);
    }
}
