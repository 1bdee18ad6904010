//! The receiver rule for one log: `last + 1` passes, `<= last` is dropped, anything later waits for what is missing.

use crate::delivery::Delivery;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Events that may wait for a gap; later ones are read again.
pub(super) const HELD_MAX: usize = 256;

/// What to do about what arrived.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    /// To pass on, in order.
    pub(super) ready: Vec<Arc<Delivery>>,
    /// Read what follows this seq: there is a gap.
    pub(super) missing_after: Option<u64>,
}

/// How far a log has come, and what came too early.
#[derive(Debug, Default)]
pub(super) struct Order {
    last: u64,
    tail: u64,
    started: bool,
    repairing: bool,
    held: BTreeMap<u64, Arc<Delivery>>,
}

impl Order {
    /// Last seq that was passed on.
    pub(super) fn last(&self) -> u64 {
        self.last
    }
    /// The subscription's tail: everything after it is live.
    pub(super) fn start(&mut self, tail: u64) {
        if !self.started {
            self.started = true;
            self.last = self.last.max(tail);
            self.tail = self.tail.max(tail);
        }
    }
    /// Live events.
    pub(super) fn arrive(&mut self, events: &[Arc<Delivery>]) -> Arrived {
        let mut arrived = Arrived::default();
        if let (false, Some(first)) = (self.started, events.first()) {
            // Live overtook the subscription's answer: the log starts here for us.
            self.start(first.event.seq - 1);
        }
        for delivery in events {
            self.take(delivery, &mut arrived.ready);
        }
        self.ask(&mut arrived);
        arrived
    }
    /// A tail beacon.
    pub(super) fn tail(&mut self, tail: u64) -> Arrived {
        let mut arrived = Arrived::default();
        if self.started {
            self.tail = self.tail.max(tail);
            self.ask(&mut arrived);
        }
        arrived
    }
    /// What a repair read, with the log's tail; `None` when it failed and has to be tried again.
    pub(super) fn repaired(&mut self, read: Option<(Vec<Arc<Delivery>>, u64)>) -> Arrived {
        self.repairing = cluster::planted!(RepairedOnce);
        let mut arrived = Arrived::default();
        if let Some((events, tail)) = read {
            self.tail = self.tail.max(tail);
            if events.is_empty() {
                // The owner has nothing after `last` yet: asking again at once would go round and round. The next
                // event or beacon asks.
                return arrived;
            }
            if let Some(first) = events.first() {
                // Retention may have dropped what is missing; sessions tell their clients to skip.
                self.last = self.last.max(first.event.seq - 1);
            }
            for delivery in &events {
                self.take(delivery, &mut arrived.ready);
            }
        }
        self.ask(&mut arrived);
        arrived
    }

    fn take(&mut self, delivery: &Arc<Delivery>, ready: &mut Vec<Arc<Delivery>>) {
        let seq = delivery.event.seq;
        self.tail = self.tail.max(seq);
        if seq > self.last + 1 {
            if self.held.len() < HELD_MAX {
                self.held.insert(seq, delivery.clone());
            }
            return;
        }
        if seq == self.last + 1 {
            self.last = seq;
            ready.push(delivery.clone());
        }
        while let Some(next) = self.held.remove(&(self.last + 1)) {
            self.last += 1;
            if !cluster::planted!(HeldEventsDropped) {
                ready.push(next);
            }
        }
        self.held = self.held.split_off(&(self.last + 1));
    }

    fn ask(&mut self, arrived: &mut Arrived) {
        if self.tail > self.last && !self.repairing {
            self.repairing = true;
            arrived.missing_after = Some(self.last);
        }
    }
}

#[cfg(test)]
mod tests;
