//! The machine in production: a runtime for the work of the node, and a single-threaded runtime a shard, which holds
//! sessions for their whole lives.
//!
//! This is the one place that may ask the operating system for time, threads and tasks; everything else asks
//! [`cluster::host::Host`].
#![allow(clippy::disallowed_methods)] // the implementation of the seam that the other rooms are told to use

use cluster::host::{Blocking, Entropy, Host, Machine as Seam};
use futures::{FutureExt, future::BoxFuture};
use proto::ts::Micros;
use std::{
    future::Future,
    io,
    panic::AssertUnwindSafe,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How many threads of which kind a machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads {
    /// Single-threaded runtimes that hold sessions; 0: one a core.
    pub shards: usize,
    /// Threads for everything else that does not block; 0: one a core.
    pub workers: usize,
    /// Most threads that may block in disk or hashing at the same time; more work waits.
    pub blocking_max: usize,
}

impl Default for Threads {
    fn default() -> Self {
        Self { shards: 0, workers: 0, blocking_max: 32 }
    }
}

impl Threads {
    fn or_cores(count: usize) -> usize {
        if count > 0 { count } else { thread::available_parallelism().map_or(1, usize::from) }
    }
}

/// What tasks see of the machine.
struct Os {
    started: Instant,
    main: Handle,
    shards: Vec<Handle>,
    tasks: TaskTracker,
}

/// A running machine. Dropping it ends its tasks without waiting; [`Machine::stop`] waits.
pub struct Machine {
    os: Arc<Os>,
    host: Host,
    main: Option<Runtime>,
    stopping: CancellationToken,
    shards: Vec<thread::JoinHandle<()>>,
}

impl Machine {
    /// Starts the threads. The operating system gives the one seed of this process.
    pub fn start(threads: Threads) -> io::Result<Self> {
        Self::start_seeded(threads, Entropy::from_seed(secret()?))
    }
    /// Starts the threads with this chance.
    pub fn start_seeded(threads: Threads, entropy: Entropy) -> io::Result<Self> {
        let main = Builder::new_multi_thread()
            .thread_name("waggle")
            .worker_threads(Threads::or_cores(threads.workers))
            .max_blocking_threads(threads.blocking_max.max(1))
            .enable_all()
            .build()?;
        let stopping = CancellationToken::new();
        let (mut shards, mut handles) = (Vec::new(), Vec::new());
        for index in 0..Threads::or_cores(threads.shards) {
            let (thread, handle) = shard(index, stopping.clone())?;
            shards.push(thread);
            handles.push(handle);
        }
        let os = Arc::new(Os {
            started: Instant::now(),
            main: main.handle().clone(),
            shards: handles,
            tasks: TaskTracker::new(),
        });
        let host = Host::new(Arc::clone(&os) as Arc<dyn Seam>, entropy);
        Ok(Self { os, host, main: Some(main), stopping, shards })
    }
    /// The handle that actors get.
    pub fn host(&self) -> Host {
        self.host.clone()
    }
    /// Tasks that have not ended.
    pub fn tasks(&self) -> usize {
        self.os.tasks.len()
    }
    /// Runs a future on the calling thread, with this machine's timers and sockets around it.
    pub fn block_on<F: Future>(&self, work: F) -> F::Output {
        self.os.main.block_on(work)
    }
    /// Ends every task where it awaits, then waits at most `limit` for closures that block and for the threads.
    /// True when nothing was left running. Must not be called from a task.
    pub fn stop(mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        self.stopping.cancel();
        let (ended, end) = mpsc::channel();
        let shards = std::mem::take(&mut self.shards);
        let waiter = thread::Builder::new().name("waggle-stop".into()).spawn(move || {
            shards.into_iter().for_each(|shard| drop(shard.join()));
            let _ = ended.send(()); // nobody waits any more: the limit ran out
        });
        let shards_ended = waiter.is_ok() && end.recv_timeout(limit).is_ok();
        if let Some(main) = self.main.take() {
            main.shutdown_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        shards_ended && self.os.tasks.is_empty()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stopping.cancel();
        if let Some(main) = self.main.take() {
            main.shutdown_background();
        }
    }
}

/// One shard: a thread that runs its runtime until the machine stops, then drops what still runs on it.
fn shard(index: usize, stopping: CancellationToken) -> io::Result<(thread::JoinHandle<()>, Handle)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let thread = thread::Builder::new()
        .name(format!("waggle-shard-{index}"))
        .spawn(move || runtime.block_on(stopping.cancelled()))?;
    Ok((thread, handle))
}

impl Os {
    /// A task whose panic ends only itself and is counted.
    fn guarded(&self, label: &'static str, task: BoxFuture<'static, ()>) -> impl Future<Output = ()> + use<> {
        let token = self.tasks.token();
        async move {
            let _counted = token;
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                metrics::counter!("waggle_task_panics_total", "task" => label).increment(1);
                tracing::error!(task = label, "task panicked");
            }
        }
    }
}

/// Wall clock, microseconds since 1970; for command lines, which are no nodes and have no host.
pub fn wall_clock_us() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros::try_from(since.as_micros()).unwrap_or(Micros::MAX)
}

/// Lets this process have as many open files as it may.
pub fn raise_open_files() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "limit of open files could not be raised");
    }
}

/// A secret that nobody can guess; for command lines, as [`wall_clock_us`].
pub fn secret() -> io::Result<[u8; 32]> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    Ok(secret)
}

impl Seam for Os {
    fn now_us(&self) -> Micros {
        wall_clock_us()
    }
    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(delay))
    }
    fn spawn(&self, label: &'static str, task: BoxFuture<'static, ()>) {
        self.main.spawn(self.guarded(label, task));
    }
    fn spawn_on(&self, shard: usize, label: &'static str, task: BoxFuture<'static, ()>) {
        self.shards[shard % self.shards.len()].spawn(self.guarded(label, task));
    }
    fn shards(&self) -> usize {
        self.shards.len()
    }
    fn blocking(&self, work: Blocking) -> BoxFuture<'static, ()> {
        let running = self.main.spawn_blocking(self.counted(work));
        Box::pin(async move {
            if running.await.is_err_and(|end| end.is_panic()) {
                metrics::counter!("waggle_task_panics_total", "task" => "blocking").increment(1);
                tracing::error!(task = "blocking", "task panicked");
            }
        })
    }
}

impl Os {
    /// A closure that counts as a task until it has run: stopping says whether it did.
    fn counted(&self, work: Blocking) -> impl FnOnce() + Send + use<> {
        let token = self.tasks.token();
        move || {
            let _counted = token;
            work();
        }
    }
}

#[cfg(test)]
mod tests;
