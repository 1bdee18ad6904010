//! What the senders were told: every acknowledged command, with its place.

use anyhow::{Result, bail};
use proto::v1::Ack;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// What a sender asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Post { text: String, thread_us: u64, broadcast: bool },
    Edit { target_us: u64, text: String },
    Delete { target_us: u64 },
    React { target_us: u64, name: String },
    Unreact { target_us: u64, name: String },
}

/// An acknowledged command.
#[derive(Debug, Clone)]
pub(super) struct Acked {
    /// Who sends one command after the other: their places rise.
    pub(super) lane: usize,
    pub(super) sender: String,
    pub(super) channel: String,
    pub(super) key: String,
    pub(super) what: What,
    pub(super) seq: u64,
    pub(super) us: u64,
}

#[derive(Debug, Default)]
pub(super) struct Book {
    acked: Mutex<Vec<Acked>>,
    acks: AtomicU64,
    retried: AtomicU64,
    longest_us: AtomicU64,
    failed: Mutex<Option<String>>,
    over: AtomicBool,
    moved: Notify,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Book {
    pub(super) fn acked(&self, entry: Acked, ack: &Ack) {
        held(&self.acked).push(entry);
        self.retried.fetch_add(ack.retried.into(), Relaxed);
        self.acks.fetch_add(1, Relaxed);
        self.moved.notify_waiters();
    }
    /// Notes how long work takes that ends with an answer.
    #[allow(clippy::disallowed_methods, reason = "how long real people wait is told, not judged")]
    pub(super) async fn timed<T>(&self, work: impl Future<Output = T>) -> T {
        let begun = std::time::Instant::now();
        let output = work.await;
        self.longest_us.fetch_max(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX), Relaxed);
        output
    }
    /// The longest wait for an answer that has come since this was asked last.
    pub(super) fn longest_wait(&self) -> Duration {
        Duration::from_micros(self.longest_us.swap(0, Relaxed))
    }
    /// Something that may not happen did: the test ends.
    pub(super) fn failed(&self, why: String) {
        held(&self.failed).get_or_insert(why);
        self.moved.notify_waiters();
    }

    pub(super) fn acks(&self) -> u64 {
        self.acks.load(Relaxed)
    }
    /// Acks of commands whose first ack was lost with a connection.
    pub(super) fn retried(&self) -> u64 {
        self.retried.load(Relaxed)
    }
    pub(super) fn all(&self) -> Vec<Acked> {
        held(&self.acked).clone()
    }

    /// Waits until there are this many acks.
    pub(super) async fn reach(&self, acks: u64) -> Result<()> {
        self.until(|book| book.acks() >= acks).await
    }
    /// Waits until each of so many lanes has had an answer after the first `acks` of all.
    pub(super) async fn everyone(&self, lanes: usize, acks: u64) -> Result<()> {
        let (mut heard, mut seen) = (BTreeSet::new(), usize::try_from(acks)?);
        self.until(move |book| {
            let acked = held(&book.acked);
            heard.extend(acked[seen..].iter().map(|entry| entry.lane));
            seen = acked.len();
            heard.len() >= lanes
        })
        .await
    }
    async fn until(&self, mut is_so: impl FnMut(&Self) -> bool) -> Result<()> {
        loop {
            let moved = self.moved.notified();
            let mut moved = std::pin::pin!(moved);
            moved.as_mut().enable();
            if let Some(why) = &*held(&self.failed) {
                bail!("{why}");
            }
            if is_so(self) {
                return Ok(());
            }
            moved.await;
        }
    }

    /// No sender begins another command.
    pub(super) fn close(&self) {
        self.over.store(true, Relaxed);
    }
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }
    pub(super) fn failure(&self) -> Option<String> {
        held(&self.failed).clone()
    }
}
