//! Slots that somebody has to hear of: their actor has ended, or their owner is another.

use super::Slot;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Told by many, awaited by one. Holds each slot once, so that nothing is lost and nothing grows. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct ToldSlots(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    slots: Mutex<BTreeSet<Slot>>,
    told: Notify,
}

impl ToldSlots {
    /// One more.
    pub fn tell(&self, slot: Slot) {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner).insert(slot);
        self.0.told.notify_one();
    }
    /// All that were told since the last call; waits for one.
    pub async fn next(&self) -> BTreeSet<Slot> {
        loop {
            let slots = std::mem::take(&mut *self.0.slots.lock().unwrap_or_else(PoisonError::into_inner));
            if !slots.is_empty() {
                return slots;
            }
            self.0.told.notified().await;
        }
    }
}
