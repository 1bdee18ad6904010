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
    /// Older than the window: the store has to be asked.
    Old(OldKey),
    /// Too old to be known.
    Forgotten,
}

/// Clients' clocks may be this far from ours before their keys' times stop being of use.
pub const SKEW_US: Micros = 60 * 1_000_000;
/// Closed buckets that one look-up of an old key may read.
pub const KEY_BUCKETS_MAX: usize = 64;
/// Old keys whose look-up is remembered.
const OLD_KEYS_MAX: usize = 1024;

/// Where an old key has to be looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldKey {
    /// Its hash.
    pub key: u128,
    /// The first try cannot be older than this.
    pub from_us: Micros,
    /// From here on the window knows all keys.
    pub until_us: Micros,
}

/// What a look-up of an old key found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldKeyFound {
    /// Its first try.
    At(KeySeen),
    /// No bucket from its time on has it.
    Nowhere,
    /// It is too far back to be looked for, or retention dropped the rows that could have it.
    Forgotten,
}

/// Keys of two buckets, by hash, and what was found of older ones. Bounded by the buckets' size.
#[derive(Debug, Default)]
pub struct Window {
    current: HashMap<u128, KeySeen>,
    previous: HashMap<u128, KeySeen>,
    current_since: Micros,
    previous_since: Micros,
    old: HashMap<u128, OldKeyFound>,
}

impl Window {
    /// The window as the store has it. `previous` is `None` when there is no earlier bucket.
    pub fn load(previous: Option<Vec<KeySeen>>, current: Vec<KeySeen>) -> Self {
        let since = |keys: &[KeySeen]| keys.first().map_or(0, |seen| seen.us);
        let index = |keys: Vec<KeySeen>| keys.into_iter().map(|seen| (seen.key, seen)).collect();
        let previous_since = previous.as_deref().map_or(0, since);
        let current_since = if previous.is_some() { since(&current) } else { 0 };
        let (current, previous) = (index(current), index(previous.unwrap_or_default()));
        Self { current, previous, current_since, previous_since, old: HashMap::new() }
    }
    /// Looks a key up; `fingerprint` is the command's. A key whose own time lies before the window has to be looked
    /// for in the store; one without a time, or from the future, can only be known within the window.
    pub fn look_up(&self, sender: &str, key: &str, fingerprint: u64, now: Micros) -> Seen {
        let hash = key_hash(sender, key);
        let verdict = |seen: &KeySeen| match seen.body == fingerprint {
            true => Seen::Retry { seq: seen.seq, us: seen.us },
            false => Seen::Reused,
        };
        if let Some(seen) = self.current.get(&hash).or_else(|| self.previous.get(&hash)) {
            return verdict(seen);
        }
        let time = proto::key::time_us(key).filter(|time| *time <= now.saturating_add(SKEW_US));
        let from_us = time.map_or(Micros::MAX, |time| time.saturating_sub(SKEW_US));
        if from_us >= self.previous_since {
            return Seen::New;
        }
        match self.old.get(&hash) {
            Some(OldKeyFound::At(seen)) => verdict(seen),
            Some(OldKeyFound::Nowhere) => Seen::New,
            Some(OldKeyFound::Forgotten) => Seen::Forgotten,
            None => Seen::Old(OldKey { key: hash, from_us, until_us: self.previous_since }),
        }
    }
    /// Takes what a look-up found.
    pub fn learn(&mut self, key: u128, found: OldKeyFound) {
        if self.old.len() >= OLD_KEYS_MAX {
            self.old.clear();
        }
        self.old.insert(key, found);
    }
    /// Remembers a key.
    pub fn remember(&mut self, sender: &str, key: &str, seq: u64, us: Micros, fingerprint: u64) {
        let hash = key_hash(sender, key);
        self.old.remove(&hash);
        self.current.insert(hash, KeySeen { key: hash, seq, us, body: fingerprint });
    }
    /// A new bucket begins at this time: the keys of the one before the last are let go. What was looked for and
    /// not found may be in the bucket that leaves the window.
    pub fn roll(&mut self, us: Micros) {
        self.previous = std::mem::take(&mut self.current);
        (self.previous_since, self.current_since) = (self.current_since, us);
        self.old.clear();
    }
}
