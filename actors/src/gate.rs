//! Gates: ractor's mailboxes have no bound, so what enters one is counted in front of it and let go when answered.

use crate::command::{Done, Reply, ReplyTo};
use proto::refusal::Refusal;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The longest that any queue of a kind has been on this node, published as `waggle_queue_peak`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Peak {
    queue: &'static str,
    highest: Arc<AtomicUsize>,
}

impl Peak {
    fn of(queue: &'static str) -> Self {
        Self { queue, highest: Arc::default() }
    }
    /// A queue of this kind is so long. Nothing but a load unless it was never so long before.
    pub fn seen(&self, length: usize) {
        if length > self.highest.load(Ordering::Relaxed)
            && length > self.highest.fetch_max(length, Ordering::Relaxed)
        {
            metrics::gauge!("waggle_queue_peak", "queue" => self.queue).set(length as f64);
        }
    }
}

/// The peaks of a node's queues.
#[derive(Debug, Clone)]
pub struct Peaks {
    /// What waits at one slot: `slot_pending_max`.
    pub slot: Peak,
    /// What waits at one channel: `channel_pending_max`.
    pub channel: Peak,
    /// Commands of one session without their answer: `posts_in_flight_max`.
    pub session: Peak,
}

impl Default for Peaks {
    fn default() -> Self {
        Self { slot: Peak::of("slot"), channel: Peak::of("channel"), session: Peak::of("session") }
    }
}

/// Counts what waits behind it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Gate {
    inside: Arc<AtomicUsize>,
    max: usize,
    peak: Option<Peak>,
}

/// A place behind a gate; dropping it frees the place.
#[derive(Debug)]
pub struct Permit(Arc<AtomicUsize>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gate {
    /// A gate with room for `max`.
    pub fn new(max: usize) -> Self {
        Self { inside: Arc::default(), max, peak: None }
    }
    /// One that tells how many there were at most.
    pub fn with_peak(max: usize, peak: Peak) -> Self {
        Self { peak: Some(peak), ..Self::new(max) }
    }
    /// A place, or `None` when all are taken.
    pub fn enter(&self) -> Option<Permit> {
        let before = self.inside.fetch_add(1, Ordering::Relaxed);
        if before >= self.max {
            self.inside.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        if let Some(peak) = &self.peak {
            peak.seen(before + 1);
        }
        Some(Permit(self.inside.clone()))
    }
    /// How many are inside.
    pub fn inside(&self) -> usize {
        self.inside.load(Ordering::Relaxed)
    }
}

/// An answer that is owed, with its place behind the gate. Several askers may wait for one event (retries).
pub struct Admitted {
    replies: Vec<ReplyTo>,
    _permit: Option<Permit>,
}

impl Admitted {
    /// Owes one answer.
    pub fn new(reply: ReplyTo, permit: Option<Permit>) -> Self {
        Self { replies: vec![reply], _permit: permit }
    }
    /// Somebody else waits for the same.
    pub fn join(&mut self, other: Admitted) {
        self.replies.extend(other.replies);
    }
    /// Answers all: the first asker as it is, those that joined as retries.
    pub fn answer(self, result: Result<Done, Refusal>) {
        for (position, reply) in self.replies.into_iter().enumerate() {
            let mut result = result.clone();
            if let Ok(done) = &mut result {
                done.retried |= position > 0;
            }
            reply.answer(result);
        }
    }
}

impl Reply for Admitted {
    fn answer(self: Box<Self>, result: Result<Done, Refusal>) {
        Admitted::answer(*self, result);
    }
    fn is_abandoned(&self) -> bool {
        self.replies.iter().all(|reply| reply.is_abandoned())
    }
}
