//! A machine for tests: one thread, tasks in the order in which they were woken, blocking work done in place, a
//! clock that stands still unless it is moved. The same run gives the same bytes.
#![allow(clippy::disallowed_methods)] // an implementation of the seam that the rooms are told to use

use cluster::host::{Blocking, Entropy, Host, Machine};
use futures::future::BoxFuture;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};

/// 2024-01-01T00:00:00Z, in microseconds.
pub const START_US: u64 = 1_704_067_200_000_000;

/// The machine; tasks end when it is dropped.
pub struct Inline {
    runtime: Runtime,
    seam: Arc<Seam>,
}

struct Seam {
    handle: Handle,
    elapsed_us: AtomicU64,
}

impl Inline {
    pub fn new() -> Self {
        let runtime = Builder::new_current_thread().build().expect("a runtime without threads");
        let seam = Arc::new(Seam { handle: runtime.handle().clone(), elapsed_us: AtomicU64::new(0) });
        Self { runtime, seam }
    }

    pub fn host(&self) -> Host {
        Host::new(self.seam.clone(), Entropy::from_u64(1))
    }

    /// Runs a future and every task that it needs.
    pub fn run<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    /// A handle that moves the clock, also from within tasks.
    pub fn clock(&self) -> Clock {
        Clock(Arc::downgrade(&self.seam))
    }
}

/// Moves the clock of a machine.
#[derive(Clone)]
pub struct Clock(Weak<Seam>);

impl Clock {
    pub fn advance(&self, by: Duration) {
        let seam = self.0.upgrade().expect("the machine runs");
        seam.elapsed_us.fetch_add(u64::try_from(by.as_micros()).expect("a test is short"), Relaxed);
    }
}

impl Machine for Seam {
    fn now_us(&self) -> u64 {
        START_US + self.elapsed_us.load(Relaxed)
    }
    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.elapsed_us.load(Relaxed))
    }
    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()> {
        self.elapsed_us.fetch_add(u64::try_from(delay.as_micros()).expect("a test is short"), Relaxed);
        Box::pin(tokio::task::yield_now())
    }
    fn spawn(&self, _label: &'static str, task: BoxFuture<'static, ()>) {
        self.handle.spawn(task);
    }
    fn spawn_on(&self, _shard: usize, label: &'static str, task: BoxFuture<'static, ()>) {
        self.spawn(label, task);
    }
    fn shards(&self) -> usize {
        1
    }
    fn blocking(&self, work: Blocking) -> BoxFuture<'static, ()> {
        Box::pin(async move { work() })
    }
}
