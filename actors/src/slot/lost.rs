//! Slots whose actor has ended on this node, by a panic or because its epoch was over: nobody there knows any more who
//! listens.

use cluster::slots::Slot;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Told by slots, awaited by the node. Holds each slot once. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LostSlots(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    slots: Mutex<BTreeSet<Slot>>,
    told: Notify,
}

impl LostSlots {
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
