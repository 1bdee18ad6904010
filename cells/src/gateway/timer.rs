//! hyper's timer over the host's clock. The only time hyper measures here is that of a request's head.

use cluster::host::Host;
use futures::future::BoxFuture;
use hyper::rt::{Sleep, Timer};
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// Times the head of a connection's requests: the first must come soon, later ones may be waited for.
#[derive(Clone)]
pub struct HeadTimer {
    host: Host,
    /// hyper counts in `Instant`s; this one stands for `anchor_at` of the host's monotonic time.
    anchor: Instant,
    anchor_at: Duration,
    /// How much longer a head may take once a request was answered.
    patience: Duration,
    answered: Arc<AtomicBool>,
}

impl HeadTimer {
    /// A timer for one connection. Heads get what hyper is told, and `patience` more once `answered` is set.
    #[allow(clippy::disallowed_methods)] // an opaque name for "now": only differences to it are used
    pub fn new(host: Host, patience: Duration, answered: Arc<AtomicBool>) -> Self {
        let anchor_at = host.monotonic();
        Self { host, anchor: Instant::now(), anchor_at, patience, answered }
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        let patience = if self.answered.load(Ordering::Relaxed) { self.patience } else { Duration::ZERO };
        Box::pin(Waiting(Mutex::new(self.host.sleep(duration + patience))))
    }
    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(self.now()))
    }
    fn now(&self) -> Instant {
        self.anchor + self.host.monotonic().saturating_sub(self.anchor_at)
    }
}

/// A sleep of the host. The lock is never contended: it makes the sleep `Sync`, which hyper asks for.
struct Waiting(Mutex<BoxFuture<'static, ()>>);

impl Future for Waiting {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll(cx)
    }
}

impl Sleep for Waiting {}
