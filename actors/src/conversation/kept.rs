//! A bounded memory of rows as the store has them, or will have them.

use std::collections::{BTreeMap, BTreeSet};

/// Values by key. One that an event touched stays until that event is in the store: before, the store would answer
/// with an older one. Those are beside the limit. Of the others the one that was written or read longest ago goes
/// first: what a waiting command has just been given is still there when its next row comes, however much the store
/// does not have yet.
#[derive(Debug)]
pub(super) struct Kept<K, V> {
    max: usize,
    entries: BTreeMap<K, Entry<V>>,
    /// Keys in the order in which they were written or read.
    order: BTreeMap<u64, K>,
    /// Keys that the store does not have as they are here, by the event that touched them last.
    unsaved: BTreeSet<(u64, K)>,
    clock: u64,
    durable: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    touched: u64,
    at: u64,
}

impl<K: Ord + Clone, V> Kept<K, V> {
    /// Nothing; at most `max`, and what the store does not have yet.
    pub(super) fn new(max: usize) -> Self {
        let (entries, order, unsaved) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { max, entries, order, unsaved, clock: 0, durable: 0 }
    }
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }
    /// The event that touched it last, 0 if none did since it was read.
    pub(super) fn touched(&self, key: &K) -> u64 {
        self.entries.get(key).map_or(0, |entry| entry.touched)
    }
    /// As it will be once the event `touched` is durable.
    pub(super) fn put(&mut self, key: K, value: V, touched: u64) {
        self.clock += 1;
        self.order.insert(self.clock, key.clone());
        if let Some(old) = self.entries.insert(key.clone(), Entry { value, touched, at: self.clock }) {
            self.order.remove(&old.at);
            self.unsaved.remove(&(old.touched, key.clone()));
        }
        if touched > self.durable {
            self.unsaved.insert((touched, key));
        }
    }
    /// As the store has it; what is here already is not older.
    pub(super) fn load(&mut self, key: K, value: V) {
        if !self.entries.contains_key(&key) {
            self.put(key, value, 0);
            self.evict();
        }
    }
    /// Lets go of what does not fit here.
    pub(super) fn remove_if(&mut self, goes: impl Fn(&K) -> bool) {
        self.entries.retain(|key, _| !goes(key));
        self.order.retain(|_, key| !goes(key));
        self.unsaved.retain(|(_, key)| !goes(key));
    }
    /// Everything up to `seq` is in the store.
    pub(super) fn durable(&mut self, seq: u64) {
        self.durable = seq;
        while self.unsaved.first().is_some_and(|(touched, _)| *touched <= seq) {
            self.unsaved.pop_first();
        }
        self.evict();
    }

    fn evict(&mut self) {
        let excess = (self.entries.len() - self.unsaved.len()).saturating_sub(self.max);
        if excess == 0 {
            return;
        }
        let saved = |key: &K| self.entries.get(key).is_none_or(|entry| entry.touched <= self.durable);
        let goes = self.order.iter().filter(|(_, key)| saved(key)).take(excess);
        for (at, key) in goes.map(|(at, key)| (*at, key.clone())).collect::<Vec<_>>() {
            self.order.remove(&at);
            self.entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_durable_stays_whatever_the_limit() {
        let mut kept = Kept::new(2);
        (1..=10).for_each(|seq| kept.put(seq, 'x', seq));
        kept.durable(4);
        assert_eq!(
            (1..=10).filter(|key| kept.get(key).is_some()).collect::<Vec<_>>(),
            [3, 4, 5, 6, 7, 8, 9, 10]
        );
        kept.durable(10);
        assert_eq!((1..=10).filter(|key| kept.get(key).is_some()).collect::<Vec<_>>(), [9, 10]);
    }

    #[test]
    fn two_rows_of_one_command_stay_beside_any_number_that_the_store_does_not_have() {
        let mut kept = Kept::new(2);
        (1..=10).for_each(|seq| kept.put(seq, (), seq));
        kept.load(11, ());
        kept.load(12, ());
        assert!(kept.get(&11).is_some() && kept.get(&12).is_some());
        kept.load(13, ());
        assert_eq!([11, 12, 13].map(|key| kept.get(&key).is_some()), [false, true, true]);
        assert_eq!(kept.entries.len(), 12);
    }

    #[test]
    fn reading_alone_fills_no_memory() {
        let mut kept = Kept::new(3);
        (0..1000).for_each(|key| kept.load(key, ()));
        assert_eq!((kept.entries.len(), kept.order.len()), (3, 3));
        assert!(kept.get(&999).is_some());
    }

    #[test]
    fn the_oldest_by_use_goes_first_not_the_lowest_key() {
        let mut kept = Kept::new(3);
        (100..103).for_each(|key| kept.put(key, (), 1));
        kept.durable(1);
        kept.load(5, ());
        kept.put(103, (), 2);
        kept.durable(2);
        assert!(kept.get(&5).is_some(), "it was read a moment ago");
        assert_eq!([100, 101, 102, 103].map(|key| kept.get(&key).is_some()), [false, false, true, true]);
    }

    #[test]
    fn what_the_store_says_replaces_nothing_that_is_here() {
        let mut kept = Kept::new(3);
        kept.put(1, "new", 9);
        kept.load(1, "old");
        assert_eq!((kept.get(&1), kept.touched(&1)), (Some(&"new"), 9));
        kept.put(2, "other", 9);
        kept.remove_if(|key| *key == 1);
        assert_eq!((kept.get(&1), kept.touched(&1)), (None, 0));
        assert_eq!(kept.get(&2), Some(&"other"));
        assert!(kept.order.values().eq([&2]), "its turn to go comes as before");
    }
}
