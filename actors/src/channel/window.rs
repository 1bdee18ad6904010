//! The idempotency window: which keys made which seq. The current and the previous bucket are always in memory;
//! older ones are read once when a key's own time points at them, and kept while the channel is hot.

use crate::store::{KeySeen, key_hash};
use proto::ts::Micros;
use proto::v1::BucketRow;
use std::collections::{BTreeMap, HashMap};

/// Clients' clocks may be this far from ours before their keys' times stop being of use.
pub const SKEW_US: Micros = 60 * 1_000_000;
/// Closed buckets whose keys are looked through for one old key, and kept in memory: half a million keys, 24 MB at
/// the most.
pub const KEY_BUCKETS_MAX: usize = 128;

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Older than the window: the keys of this bucket have to be read first.
    Unread(u32),
    /// Too old to be known.
    Forgotten,
}

/// A bucket that is neither the current nor the previous one.
#[derive(Debug)]
struct Closed {
    last_us: Micros,
    dropped: bool,
    keys: Option<HashMap<u128, KeySeen>>,
}

/// Keys by hash. Bounded: two buckets, and [`KEY_BUCKETS_MAX`] closed ones.
#[derive(Debug, Default)]
pub struct Window {
    bucket: u32,
    current: HashMap<u128, KeySeen>,
    previous: HashMap<u128, KeySeen>,
    closed: BTreeMap<u32, Closed>,
}

impl Window {
    /// The window as the store has it: the newest bucket and the keys of it and of the one before, and the
    /// directory.
    pub fn load(
        bucket: u32,
        previous: Vec<KeySeen>,
        current: Vec<KeySeen>,
        directory: Vec<(u32, BucketRow)>,
    ) -> Self {
        let current = if cluster::planted!(KeysNotLoaded) { Vec::new() } else { current };
        let closed = directory.into_iter().filter(|(number, _)| number + 1 < bucket);
        let closed = closed
            .map(|(number, row)| (number, Closed { last_us: row.last_us, dropped: row.dropped, keys: None }))
            .collect();
        Self { bucket, current: index(current), previous: index(previous), closed }
    }
    /// Looks a key up; `fingerprint` is the command's. A key whose own time lies before the window is looked for in
    /// the closed buckets from that time on; one without a time, or from the future, can only be known within the
    /// window.
    pub fn look_up(&self, sender: &str, key: &str, fingerprint: u64, now: Micros) -> Seen {
        let hash = key_hash(sender, key);
        let verdict = |seen: &KeySeen| match seen.body == fingerprint || cluster::planted!(OtherBodyIsRetry) {
            true => Seen::Retry { seq: seen.seq, us: seen.us },
            false => Seen::Reused,
        };
        if let Some(seen) = self.current.get(&hash).or_else(|| self.previous.get(&hash)) {
            return verdict(seen);
        }
        let time = proto::key::time_us(key).filter(|time| *time <= now.saturating_add(SKEW_US));
        let from_us = time.map_or(Micros::MAX, |time| time.saturating_sub(SKEW_US));
        let mut looked = 0;
        for (number, closed) in self.closed.iter().rev().take_while(|(_, closed)| closed.last_us >= from_us) {
            looked += 1;
            if closed.dropped || looked > KEY_BUCKETS_MAX {
                return Seen::Forgotten;
            }
            match &closed.keys {
                None => return Seen::Unread(*number),
                Some(keys) => {
                    if let Some(seen) = keys.get(&hash) {
                        return verdict(seen);
                    }
                }
            }
        }
        Seen::New
    }
    /// Takes the keys of a closed bucket.
    pub fn learn(&mut self, bucket: u32, keys: Vec<KeySeen>) {
        if let Some(closed) = self.closed.get_mut(&bucket) {
            closed.keys = Some(index(keys));
        }
        let read = self.closed.values_mut().rev().filter(|closed| closed.keys.is_some());
        read.skip(KEY_BUCKETS_MAX).for_each(|closed| closed.keys = None);
    }
    /// Remembers a key.
    pub fn remember(&mut self, sender: &str, key: &str, seq: u64, us: Micros, fingerprint: u64) {
        let hash = key_hash(sender, key);
        self.current.insert(hash, KeySeen { key: hash, seq, us, body: fingerprint });
    }
    /// A new bucket begins, whose first event has this time: the one before the last leaves the window, and memory
    /// until an old key asks for it.
    pub fn roll(&mut self, us: Micros) {
        self.previous = std::mem::take(&mut self.current);
        if cluster::planted!(PreviousKeysDropped) {
            self.previous.clear();
        }
        self.bucket += 1;
        if let Some(number) = self.bucket.checked_sub(2) {
            // Its last event came before everything that is still in the window.
            let last_us = self.previous.values().map(|seen| seen.us).min().unwrap_or(us).saturating_sub(1);
            self.closed.insert(number, Closed { last_us, dropped: false, keys: None });
        }
    }
}

fn index(keys: Vec<KeySeen>) -> HashMap<u128, KeySeen> {
    keys.into_iter().map(|seen| (seen.key, seen)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Micros = 1_000_000;

    /// A UUIDv7 of this time.
    fn key(us: Micros, random: u64) -> String {
        format!("{:08x}-{:04x}-7000-8000-{random:012x}", (us / 1000) >> 16, (us / 1000) & 0xffff)
    }
    fn bucket(from_us: Micros) -> Vec<KeySeen> {
        let seen = |n| {
            let us = from_us + n * SECOND;
            KeySeen { key: key_hash("U1", &key(us, n)), seq: n, us, body: 7 }
        };
        (0..10).map(seen).collect()
    }
    fn row(number: u64) -> (u32, BucketRow) {
        let (first_us, last_us) = (number * 1000 * SECOND, (number * 1000 + 9) * SECOND);
        (number as u32, BucketRow { first_us, last_us, ..BucketRow::default() })
    }
    fn window() -> Window {
        let start = |number: u64| bucket(number * 1000 * SECOND);
        Window::load(4, start(3), start(4), (0..=4).map(row).collect())
    }

    #[test]
    fn an_old_key_is_looked_for_from_its_own_time_on_and_read_once() {
        let (mut window, now) = (window(), 4500 * SECOND);
        let old = key(1003 * SECOND, 3);
        assert_eq!(window.look_up("U1", &old, 7, now), Seen::Unread(2));
        window.learn(2, bucket(2000 * SECOND));
        assert_eq!(window.look_up("U1", &old, 7, now), Seen::Unread(1));
        window.learn(1, bucket(1000 * SECOND));
        assert_eq!(window.look_up("U1", &old, 7, now), Seen::Retry { seq: 3, us: 1003 * SECOND });
        assert_eq!(window.look_up("U1", &old, 8, now), Seen::Reused);
        assert_eq!(window.look_up("U1", &key(1003 * SECOND, 99), 7, now), Seen::New, "nothing is read again");
    }

    #[test]
    fn a_key_of_now_and_one_without_a_time_read_nothing() {
        let (window, now) = (window(), 4500 * SECOND);
        assert_eq!(window.look_up("U1", &key(now, 1), 7, now), Seen::New);
        assert_eq!(window.look_up("U1", "no time in it", 7, now), Seen::New);
        let ahead = key(now + SKEW_US + 2 * SECOND, 1);
        assert_eq!(window.look_up("U1", &ahead, 7, now), Seen::New);
    }

    #[test]
    fn a_key_whose_rows_retention_dropped_is_forgotten_not_new() {
        let mut directory: Vec<_> = (0..=4).map(row).collect();
        directory[1].1.dropped = true;
        let mut window = Window::load(4, bucket(3000 * SECOND), bucket(4000 * SECOND), directory);
        window.learn(2, bucket(2000 * SECOND));
        let old = key(1003 * SECOND, 3);
        assert_eq!(window.look_up("U1", &old, 7, 4500 * SECOND), Seen::Forgotten);
    }

    #[test]
    fn a_bucket_that_leaves_the_window_is_read_again_when_a_key_asks_for_it() {
        let (mut window, now) = (window(), 5000 * SECOND);
        window.roll(now);
        let old = key(3002 * SECOND, 2);
        assert_eq!(window.look_up("U1", &old, 7, now), Seen::Unread(3));
        window.learn(3, bucket(3000 * SECOND));
        assert_eq!(window.look_up("U1", &old, 7, now), Seen::Retry { seq: 2, us: 3002 * SECOND });
    }

    #[test]
    fn a_time_is_believed_as_far_ahead_as_clocks_may_be_and_reaches_what_ended_then() {
        let (window, end) = (window(), 2009 * SECOND);
        let at = |time| window.look_up("U1", &key(time, 99), 7, end);
        assert_eq!(
            at(end + SKEW_US),
            Seen::Unread(2),
            "the bucket that ended when it begins to be looked for"
        );
        assert_eq!(at(end + SKEW_US + SECOND), Seen::New, "further ahead is no time");
    }

    #[test]
    fn as_many_closed_buckets_are_looked_through_as_are_kept() {
        let look = |closed: usize| {
            let last = closed as u64 + 1;
            let mut window = Window::load(last as u32, Vec::new(), Vec::new(), (0..=last).map(row).collect());
            let now = last * 1000 * SECOND;
            (0..closed as u32).for_each(|number| window.learn(number, Vec::new()));
            window.look_up("U1", &key(SECOND, 99), 7, now)
        };
        assert_eq!(look(KEY_BUCKETS_MAX), Seen::New);
        assert_eq!(look(KEY_BUCKETS_MAX + 1), Seen::Forgotten);
    }
}
