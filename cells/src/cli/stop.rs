//! When a command that runs until it is told to stop is told so.

use std::{io, thread, time::Duration};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

/// Threads get this long to end after everything was drained.
pub(super) const THREADS_STOP: Duration = Duration::from_secs(2);

/// Asks to stop: SIGTERM, Ctrl-C, or the end of stdin where that counts.
pub(super) struct Stop {
    terminate: Signal,
    interrupt: Signal,
    stdin: Option<oneshot::Receiver<()>>,
}

impl Stop {
    /// Listens from now on.
    pub(super) fn new(with_stdin: bool) -> io::Result<Self> {
        let stdin = match with_stdin {
            true => Some(ended_stdin()?),
            false => None,
        };
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            stdin,
        })
    }
    /// Completes each time that it is asked.
    pub(super) async fn asked(&mut self) {
        let Self { terminate, interrupt, stdin } = self;
        let ended = async {
            match stdin {
                Some(stdin) => drop(stdin.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = ended => self.stdin = None, // it ends once
        }
    }
}

/// A thread of its own, which nothing waits for: a read of stdin cannot be ended.
fn ended_stdin() -> io::Result<oneshot::Receiver<()>> {
    let (ended, end) = oneshot::channel();
    thread::Builder::new().name("waggle-stdin".into()).spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        drop(ended);
    })?;
    Ok(end)
}
