//! Tells when every task of the runtime waits.
//!
//! A current-thread runtime calls its park hook exactly when nothing is runnable; a task woken from the hook runs
//! instead of the thread going to sleep. That costs no system call, unlike a sleep of the paused clock.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
    task::{Poll, Waker},
};

/// The meeting point of the park hook and the driver.
#[derive(Clone, Default)]
pub(crate) struct Idle(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    driver: Option<Waker>,
    idle: bool,
}

impl Idle {
    /// From the park hook: nothing is runnable.
    pub(crate) fn announce(&self) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(driver) = waiting.driver.take() {
            waiting.idle = true;
            drop(waiting);
            driver.wake();
        }
    }

    /// Completes when nothing but the caller is runnable.
    pub(crate) async fn wait(&self) {
        poll_fn(|context| {
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if std::mem::take(&mut waiting.idle) {
                return Poll::Ready(());
            }
            waiting.driver = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
