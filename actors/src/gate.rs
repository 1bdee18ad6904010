//! Gates: ractor's mailboxes have no bound, so what enters one is counted in front of it and let go when answered.

use crate::command::{Done, Reply, ReplyTo};
use proto::refusal::Refusal;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what waits behind it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Gate {
    inside: Arc<AtomicUsize>,
    max: usize,
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
        Self { inside: Arc::default(), max }
    }
    /// A place, or `None` when all are taken.
    pub fn enter(&self) -> Option<Permit> {
        if self.inside.fetch_add(1, Ordering::Relaxed) >= self.max {
            self.inside.fetch_sub(1, Ordering::Relaxed);
            return None;
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
}
