//! The idempotency window: which keys made which seq, for the log's current and previous bucket.

use crate::store::{KeySeen, key_hash};
use proto::ts::Micros;
use std::collections::HashMap;

/// What is known of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Never used within the window.
    New,
    /// A retry: this is the first try's place.
    Retry {
        /// Its seq.
        seq: u64,
        /// Its time.
        us: Micros,
    },
    /// Used with another content.
    Reused,
}

/// Keys of two buckets, by hash. Bounded by the buckets' size.
#[derive(Debug, Default)]
pub struct Window {
    current: HashMap<u128, KeySeen>,
    previous: HashMap<u128, KeySeen>,
}

impl Window {
    /// The window as the store has it.
    pub fn load(previous: Vec<KeySeen>, current: Vec<KeySeen>) -> Self {
        let index = |keys: Vec<KeySeen>| keys.into_iter().map(|seen| (seen.key, seen)).collect();
        Self { current: index(current), previous: index(previous) }
    }
    /// Looks a key up; `fingerprint` is the command's.
    pub fn look_up(&self, sender: &str, key: &str, fingerprint: u64) -> Seen {
        let hash = key_hash(sender, key);
        match self.current.get(&hash).or_else(|| self.previous.get(&hash)) {
            None => Seen::New,
            Some(seen) if seen.body == fingerprint => Seen::Retry { seq: seen.seq, us: seen.us },
            Some(_) => Seen::Reused,
        }
    }
    /// Remembers a key.
    pub fn remember(&mut self, sender: &str, key: &str, seq: u64, us: Micros, fingerprint: u64) {
        let hash = key_hash(sender, key);
        self.current.insert(hash, KeySeen { key: hash, seq, us, body: fingerprint });
    }
    /// A new bucket was opened: the keys of the one before the last are let go.
    pub fn roll(&mut self) {
        self.previous = std::mem::take(&mut self.current);
    }
}
