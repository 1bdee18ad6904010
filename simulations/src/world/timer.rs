//! A sleep that the event queue ends.

use crate::world::{World, machine::Life, queue::Fire};
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

/// Shared by the sleeper and the queue; the queue drops it unseen when the sleeper is gone.
#[derive(Default)]
pub(crate) struct Timer(Mutex<(bool, Option<Waker>)>);

impl Timer {
    /// The time has come.
    pub(crate) fn fire(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = true;
        let waker = state.1.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Completes when the queue says so.
pub(crate) struct Sleep(Arc<Timer>);

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0 {
            return Poll::Ready(());
        }
        state.1 = Some(context.waker().clone());
        Poll::Pending
    }
}

impl World {
    /// Completes after `delay` of world time; for scenarios and clients, which belong to no machine.
    pub fn sleep(&self, delay: Duration) -> impl Future<Output = ()> + Send + use<> {
        self.sleep_of(None, delay)
    }

    pub(crate) fn sleep_of(&self, owner: Option<Life>, delay: Duration) -> Sleep {
        let timer = Arc::new(Timer::default());
        let at = self.now_ns().saturating_add(super::clock::nanos(delay));
        self.schedule_at(at, owner, "sleep", [0, 0], Fire::Wake(timer.clone()));
        Sleep(timer)
    }
}
