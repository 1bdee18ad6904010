//! The last events of a hot channel, for replays that need no store.

use crate::command::Aside;
use crate::delivery::Delivery;
use crate::store::redact;
use proto::v1::Event;
use std::collections::VecDeque;
use std::sync::Arc;

/// A dense run of durable events that ends at the tail. Bounded.
#[derive(Debug)]
pub struct Recent {
    max: usize,
    events: VecDeque<Arc<Delivery>>,
}

impl Recent {
    /// Nothing yet; at most `max` events.
    pub fn new(max: usize) -> Self {
        Self { max, events: VecDeque::new() }
    }
    /// The next event.
    pub fn push(&mut self, delivery: Arc<Delivery>) {
        if self.events.len() == self.max {
            self.events.pop_front();
        }
        self.events.push_back(delivery);
    }
    /// Takes the content out of an event, as the store did: who replays it later gets what is left.
    pub fn redact(&mut self, seq: u64) {
        self.change(seq, redact);
    }
    /// Replaces an event by what becomes of it.
    pub(super) fn change(&mut self, seq: u64, change: impl FnOnce(&mut Event)) {
        let Some(first) = self.events.front().map(|delivery| delivery.event.seq) else { return };
        let place = seq.checked_sub(first).and_then(|place| usize::try_from(place).ok());
        if let Some(delivery) = place.and_then(|place| self.events.get_mut(place)) {
            let mut event = delivery.event.clone();
            change(&mut event);
            *delivery = Arc::new(Delivery::new(delivery.log.clone(), event, Aside::default()));
        }
    }
    /// Up to `limit` events after `after`; `None` when the run begins later.
    pub fn after(&self, after: u64, limit: usize) -> Option<Vec<Arc<Delivery>>> {
        let first = self.events.front()?.event.seq;
        let off = u64::from(cluster::planted!(RecentOffByOne));
        let skip = usize::try_from((after + 1 + off).checked_sub(first)?.saturating_sub(off)).ok()?;
        Some(self.events.iter().skip(skip).take(limit).cloned().collect())
    }
}
