//! A host for tests on tokio's paused clock: when nothing moves any more, what waits for time gives up at once instead
//! of hanging.

use super::{Blocking, Entropy, Host, Machine};
use futures::future::BoxFuture;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

struct Paused(Instant);

impl Machine for Paused {
    fn now_us(&self) -> u64 {
        0
    }
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
    #[expect(clippy::disallowed_methods, reason = "this is a Machine: what Host gets its time from")]
    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(delay))
    }
    #[expect(clippy::disallowed_methods, reason = "this is a Machine: what Host starts tasks with")]
    fn spawn(&self, _: &'static str, task: BoxFuture<'static, ()>) {
        drop(tokio::spawn(task));
    }
    fn spawn_on(&self, _: usize, label: &'static str, task: BoxFuture<'static, ()>) {
        self.spawn(label, task);
    }
    fn shards(&self) -> usize {
        1
    }
    fn blocking(&self, work: Blocking) -> BoxFuture<'static, ()> {
        work();
        Box::pin(async {})
    }
}

/// A host within a runtime whose clock is paused.
#[expect(clippy::disallowed_methods, reason = "this is a Machine: what Host gets its time from")]
pub(crate) fn host() -> Host {
    Host::new(Arc::new(Paused(Instant::now())), Entropy::from_u64(1))
}
