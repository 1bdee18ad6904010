//! `waggle serve`: one node, until it is told to stop.

use super::{exit, stop::Stop};
use crate::{
    boot::Running,
    config::{self, Bootstrap, Format, Sources},
    machine::{Machine, Threads},
    telemetry::Telemetry,
};
use anyhow::Context;
use clap::Args;
use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};
use tokio::signal::unix::{SignalKind, signal};

/// Threads get this long to end after everything was drained.
const THREADS_STOP: Duration = Duration::from_secs(2);

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
    /// What an empty data directory is seeded with.
    #[arg(long, value_enum)]
    bootstrap: Option<Bootstrap>,
    /// How log records are written to stderr.
    #[arg(long, value_enum)]
    log_format: Option<Format>,
    /// Any setting; may be given many times.
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
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
        let flags = [
            ("--data", "node", "data", self.data),
            ("--listen", "gateway", "listen", self.listen),
            ("--role", "node", "roles", self.role),
            ("--bootstrap", "node", "bootstrap", self.bootstrap.map(word)),
            ("--log-format", "log", "format", self.log_format.map(word)),
        ];
        let given =
            |(flag, section, key, value): (_, _, _, Option<String>)| Some((flag, section, key, value?));
        Sources {
            file: self.config,
            environment: std::env::vars().collect(),
            flags: flags.into_iter().filter_map(given).collect(),
            sets: self.set,
        }
    }
}

/// Builds the node, runs it until it is asked to stop, drains it.
fn serve(config: config::Config, telemetry: &Telemetry, with_stdin: bool) -> anyhow::Result<ExitCode> {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "limit of open files could not be raised");
    }
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
            () = stop.asked() => return Ok(true),
        };
        announce(&running, telemetry);
        stop.asked().await;
        tracing::info!("draining");
        let drained = tokio::select! {
            drained = running.stop(drain) => drained,
            () = stop.asked() => false, // asked twice: no more patience
        };
        anyhow::Ok(drained)
    });
    let ended = machine.stop(THREADS_STOP);
    let clean = drained? && ended;
    tracing::info!(clean, "stopped");
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::from(exit::NOT_DRAINED) })
}

/// The word that stands for a value on the command line and in the file.
fn word(value: impl clap::ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Says that the node is ready: a banner for people, a line for programs, who find the sign-in link in the log by then.
/// A closed stdout is no reason to stop.
fn announce(running: &Running, telemetry: &Telemetry) {
    let mut stdout = std::io::stdout();
    let terminal = stdout.is_terminal();
    if let (Some(link), false) = (&running.sign_in, terminal) {
        tracing::info!(link, "sign in once by this link");
    }
    let url = &running.ready.base_url;
    tracing::info!(url, "ready");
    telemetry.flush();
    let said = if terminal {
        writeln!(stdout, "{}", running.ready)
            .and_then(|()| running.sign_in.iter().try_for_each(|link| writeln!(stdout, "  sign in   {link}")))
    } else {
        writeln!(stdout, "{}", running.ready.line())
    };
    if let Err(error) = said.and_then(|()| stdout.flush()) {
        tracing::warn!(%error, "nobody reads stdout");
    }
}
