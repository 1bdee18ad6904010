//! The event queue: ordered by time, then by a number drawn from the seed, so that equal times come in any order
//! but always the same one.

use crate::world::{clock::Nanos, machine::Life, timer::Timer};
use cluster::host::Entropy;
use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    sync::Arc,
};

/// What an event does.
pub(crate) enum Fire {
    /// Wakes a sleeper.
    Wake(Arc<Timer>),
    /// Anything else.
    Call(Box<dyn FnOnce() + Send>),
}

impl Fire {
    /// Nobody waits for it any more.
    pub(crate) fn is_cancelled(&self) -> bool {
        matches!(self, Self::Wake(timer) if Arc::strong_count(timer) == 1)
    }
}

/// One event.
pub(crate) struct Entry {
    pub(crate) at: Nanos,
    tie: u64,
    order: u64,
    pub(crate) owner: Option<Life>,
    pub(crate) kind: &'static str,
    pub(crate) ids: [u64; 2],
    pub(crate) fire: Fire,
}

impl Entry {
    fn rank(&self) -> (Nanos, u64, u64) {
        (self.at, self.tie, self.order)
    }
    /// The same event at a later time.
    pub(crate) fn postponed(mut self, at: Nanos) -> Self {
        self.at = self.at.max(at);
        self
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

/// Events to come.
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    ties: Entropy,
    order: u64,
    /// Size at which cancelled sleeps are swept out.
    sweep_at: usize,
}

/// Smallest queue that is swept for cancelled sleeps.
const SWEEP_MIN: usize = 4096;

impl Queue {
    pub(crate) fn new(ties: Entropy) -> Self {
        Self { heap: BinaryHeap::new(), ties, order: 0, sweep_at: SWEEP_MIN }
    }

    pub(crate) fn push(
        &mut self,
        at: Nanos,
        owner: Option<Life>,
        kind: &'static str,
        ids: [u64; 2],
        fire: Fire,
    ) {
        self.order += 1;
        let (tie, order) = (self.ties.next_u64(), self.order);
        self.heap.push(Reverse(Entry { at, tie, order, owner, kind, ids, fire }));
        if self.heap.len() >= self.sweep_at {
            self.heap.retain(|Reverse(entry)| !entry.fire.is_cancelled());
            self.sweep_at = SWEEP_MIN.max(2 * self.heap.len());
        }
    }

    /// Puts an event back, in its old place among its equals.
    pub(crate) fn put_back(&mut self, entry: Entry) {
        self.heap.push(Reverse(entry));
    }

    /// Time of the next event.
    pub(crate) fn next_at(&self) -> Option<Nanos> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    pub(crate) fn pop(&mut self) -> Option<Entry> {
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order_of(seed: u64) -> Vec<u64> {
        let mut queue = Queue::new(Entropy::from_u64(seed));
        for id in 0..20 {
            queue.push(5, None, "call", [id, 0], Fire::Call(Box::new(|| ())));
        }
        queue.push(4, None, "call", [99, 0], Fire::Call(Box::new(|| ())));
        std::iter::from_fn(|| queue.pop()).map(|entry| entry.ids[0]).collect()
    }

    #[test]
    fn equal_times_come_in_an_order_that_only_the_seed_decides() {
        assert_eq!(order_of(1), order_of(1));
        assert_ne!(order_of(1), order_of(2));
        assert_eq!(order_of(1)[0], 99, "an earlier time always comes first");
        assert_eq!(order_of(2).len(), 21);
    }

    #[test]
    fn cancelled_sleeps_do_not_pile_up() {
        let mut queue = Queue::new(Entropy::from_u64(1));
        for at in 0..10 * SWEEP_MIN as u64 {
            queue.push(at, None, "sleep", [0, 0], Fire::Wake(Arc::new(Timer::default())));
        }
        assert!(queue.heap.len() < SWEEP_MIN, "{} cancelled sleeps are kept", queue.heap.len());
    }
}
