//! `waggle serve`: one node, until it is told to stop.

use super::{
    announce::announce,
    exit,
    settings::Settings,
    stop::{Stop, THREADS_STOP},
};
use crate::{
    boot::Running,
    config::{self, Sources},
    machine::{self, Machine, Threads},
    telemetry::Telemetry,
};
use anyhow::{Context, ensure};
use clap::Args;
use std::{path::PathBuf, process::ExitCode, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

/// Run one node; everything it needs is built in.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Settings; `waggle config --explain` prints them all.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where everything is kept [default: $WAGGLE_DATA or ./waggle-data].
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Address and port; port 0 picks one [default: 127.0.0.1:8065].
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// What this node does, comma-separated.
    #[arg(long, value_name = "ROLE,...")]
    role: Option<String>,
    #[command(flatten)]
    settings: Settings,
    /// Drain when stdin ends, as when asked to stop: with the process that started this one.
    #[arg(long, hide = true)]
    stop_with_stdin: bool,
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let with_stdin = self.stop_with_stdin;
        let config = config::load(self.sources())?;
        let telemetry = Telemetry::start(&config.log)?;
        let code = serve(config, &telemetry, with_stdin);
        telemetry.flush();
        code
    }

    fn sources(self) -> Sources {
        let own = [
            ("--data", "node", "data", self.data),
            ("--listen", "gateway", "listen", self.listen),
            ("--role", "node", "roles", self.role),
        ];
        self.settings.sources(self.config, own)
    }
}

/// Builds the node, runs it until it is asked to stop, drains it.
fn serve(config: config::Config, telemetry: &Telemetry, with_stdin: bool) -> anyhow::Result<ExitCode> {
    machine::raise_open_files();
    let threads = Threads {
        shards: config.node.shards,
        workers: config.node.workers,
        blocking_max: config.node.blocking_threads_max,
    };
    let drain = Duration::from_millis(config.node.drain_timeout_ms);
    let machine = Machine::start(threads).context("threads could not be started")?;
    let host = machine.host();
    let drained = machine.block_on(async move {
        let mut stop = Stop::new(with_stdin)?;
        // Listened to, a write over the largest file allowed is an error, as of a full disk, and not the end.
        let _file_size = signal(SignalKind::from_raw(libc::SIGXFSZ))?;
        // A node that is not ready has nothing to drain.
        let running = tokio::select! {
            biased;
            running = Running::start(host, config, telemetry) => running?,
            () = stop.asked() => return Ok((true, false)),
        };
        announce(&running.ready, running.sign_in.as_deref(), telemetry);
        let is_replaced = tokio::select! {
            () = stop.asked() => false,
            () = running.replaced() => true,
        };
        tracing::info!(is_replaced, "draining");
        let drained = tokio::select! {
            drained = running.stop(drain) => drained,
            () = stop.asked() => false, // asked twice: no more patience
        };
        anyhow::Ok((drained, is_replaced))
    });
    let ended = machine.stop(THREADS_STOP);
    let (drained, is_replaced) = drained?;
    let clean = drained && ended;
    tracing::info!(clean, "stopped");
    ensure!(
        !is_replaced,
        "another process has this node's name and channels by now: a name belongs to one process"
    );
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::from(exit::NOT_DRAINED) })
}
