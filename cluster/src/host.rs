//! One source of time, chance, tasks and faults for everything that runs on a node.
//!
//! Production implements [`Machine`] with the operating system, the simulator with an event queue. Nothing else in
//! `cluster` and `actors` may ask the clock, draw a random number or start a task (`.clippy.toml`).

mod entropy;
#[cfg(test)]
pub(crate) mod paused;
mod point;

pub use entropy::Entropy;
pub use point::{FaultPoint, Rule};

use futures::future::{BoxFuture, Either, select};
use proto::ts::Micros;
use std::{fmt, future::Future, pin::pin, sync::Arc, time::Duration};

/// A closure that blocks: disk, compression, hashing of large things.
pub type Blocking = Box<dyn FnOnce() + Send>;

/// What a machine must offer. All methods are called from tasks of this machine only.
pub trait Machine: Send + Sync + 'static {
    /// Wall clock, microseconds since 1970. May jump in both directions.
    fn now_us(&self) -> Micros;
    /// Time since an arbitrary start; never goes back.
    fn monotonic(&self) -> Duration;
    /// Completes after `delay` of monotonic time.
    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()>;
    /// Starts a task on any thread; it ends with the machine.
    fn spawn(&self, label: &'static str, task: BoxFuture<'static, ()>);
    /// Starts a task on the given shard (`shard < shards()`), where it stays.
    fn spawn_on(&self, shard: usize, label: &'static str, task: BoxFuture<'static, ()>);
    /// Number of shards: single-threaded runtimes that hold sessions.
    fn shards(&self) -> usize;
    /// Runs a closure where blocking is allowed; completes when it is done.
    fn blocking(&self, work: Blocking) -> BoxFuture<'static, ()>;
    /// A named point where the simulator may stop, delay or crash the node; nothing in production.
    fn fault(&self, _point: FaultPoint) {}
}

/// The handle that every actor gets. Cheap to clone.
#[derive(Clone)]
pub struct Host {
    machine: Arc<dyn Machine>,
    entropy: Entropy,
}

/// The time allowed ran out; the future was dropped, what it started may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("timed out: the outcome is not known")]
pub struct TimedOut;

impl Host {
    /// A host on this machine whose chance comes from `entropy`.
    pub fn new(machine: Arc<dyn Machine>, entropy: Entropy) -> Self {
        Self { machine, entropy }
    }
    /// Wall clock, microseconds since 1970.
    pub fn now_us(&self) -> Micros {
        self.machine.now_us()
    }
    /// Monotonic time since an arbitrary start.
    pub fn monotonic(&self) -> Duration {
        self.machine.monotonic()
    }
    /// Completes after `delay`.
    pub fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()> {
        self.machine.sleep(delay)
    }
    /// Gives `work` at most `limit`.
    pub async fn timeout<F: Future>(&self, limit: Duration, work: F) -> Result<F::Output, TimedOut> {
        match select(pin!(work), self.sleep(limit)).await {
            Either::Left((output, _)) => Ok(output),
            Either::Right(((), _)) => Err(TimedOut),
        }
    }
    /// Starts a task; it ends with the machine.
    pub fn spawn(&self, label: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.machine.spawn(label, Box::pin(task));
    }
    /// Starts a task on a shard, where it stays.
    pub fn spawn_on(
        &self,
        shard: usize,
        label: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.machine.spawn_on(shard, label, Box::pin(task));
    }
    /// Number of shards.
    pub fn shards(&self) -> usize {
        self.machine.shards()
    }
    /// Runs `work` where blocking is allowed. `None` when the machine stopped before it ran to its end, or it
    /// panicked.
    pub async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (answer, result) = tokio::sync::oneshot::channel();
        self.machine.blocking(Box::new(move || drop(answer.send(work())))).await;
        result.await.ok()
    }
    /// This host's chance; fork it by label for each user.
    pub fn entropy(&self) -> &Entropy {
        &self.entropy
    }
    /// A named fault point; free in production.
    pub fn fault(&self, point: FaultPoint) {
        self.machine.fault(point);
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host")
    }
}
