//! `waggle up`: a whole cluster on this machine, until it is told to stop.

use super::{exit, stop::Stop};
use crate::{
    config::{self, Bootstrap, Format, Sources},
    machine::{Machine, Threads},
    telemetry::Telemetry,
    up::{NODES_MAX, Up as Cluster, Wish},
};
use anyhow::Context;
use clap::{Args, ValueEnum};
use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

/// Threads get this long to end after everything was stopped.
const THREADS_STOP: Duration = Duration::from_secs(2);

/// Run a whole cluster on this machine: nodes and a store as processes, behind one address.
#[derive(Debug, Args)]
pub(super) struct Up {
    /// Nodes beside the one that keeps the store.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=NODES_MAX as i64))]
    nodes: u16,
    /// Where everything is kept, a folder a node [default: $WAGGLE_DATA or ./waggle-data].
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// The one address for all; port 0 picks one [default: 127.0.0.1:8065].
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// What an empty store is seeded with.
    #[arg(long, value_enum)]
    bootstrap: Option<Bootstrap>,
    /// How log records are written to stderr.
    #[arg(long, value_enum)]
    log_format: Option<Format>,
    /// Any setting, for all nodes; may be given many times.
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
}

impl Up {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let word =
            |value: Option<Format>| value?.to_possible_value().map(|value| value.get_name().to_owned());
        let flags = [
            ("--data", "node", "data", self.data.clone()),
            ("--listen", "gateway", "listen", self.listen.clone()),
            ("--log-format", "log", "format", word(self.log_format)),
        ];
        let given =
            |(flag, section, key, value): (_, _, _, Option<String>)| Some((flag, section, key, value?));
        let config = config::load(Sources {
            file: None,
            environment: std::env::vars().collect(),
            flags: flags.into_iter().filter_map(given).collect(),
            sets: self.set.clone(),
        })?;
        let telemetry = Telemetry::start(&config.log)?;
        let text = config.log.format == Format::Text
            || config.log.format == Format::Auto && std::io::stderr().is_terminal();
        let wish = Wish {
            nodes: usize::from(self.nodes),
            data: config.node.data.clone(),
            listen: config.gateway.listen.clone(),
            bootstrap: self.bootstrap.unwrap_or(config.node.bootstrap),
            log_format: if text { "text" } else { "json" }.to_owned(),
            sets: self.set,
            drain: Duration::from_millis(config.node.drain_timeout_ms),
        };
        let code = up(wish, &telemetry);
        telemetry.flush();
        code
    }
}

/// Starts the cluster, runs it until it is asked to stop, drains it.
fn up(wish: Wish, telemetry: &Telemetry) -> anyhow::Result<ExitCode> {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "limit of open files could not be raised");
    }
    let machine = Machine::start(Threads { shards: 1, ..Threads::default() });
    let machine = machine.context("threads could not be started")?;
    let host = machine.host();
    let stopped = machine.block_on(async move {
        let mut stop = Stop::new(false)?;
        let mut cluster = tokio::select! {
            biased;
            cluster = Cluster::start(host, wish, telemetry) => cluster?,
            () = stop.asked() => return Ok(true), // what was started ends with what starts it
        };
        announce(&cluster, telemetry);
        tokio::select! {
            () = cluster.watch() => {}
            () = stop.asked() => {}
        }
        tracing::info!("draining");
        let clean = tokio::select! {
            clean = cluster.stop() => clean,
            () = stop.asked() => false, // asked twice: no more patience
        };
        anyhow::Ok(clean)
    });
    machine.stop(THREADS_STOP);
    let clean = stopped?;
    tracing::info!(clean, "stopped");
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::from(exit::NOT_DRAINED) })
}

/// Says that all nodes are ready: a banner for people, a line for programs.
fn announce(cluster: &Cluster, telemetry: &Telemetry) {
    let mut stdout = std::io::stdout();
    tracing::info!(url = cluster.ready.base_url, "ready");
    telemetry.flush();
    let said = match stdout.is_terminal() {
        true => writeln!(stdout, "{}", cluster.ready),
        false => writeln!(stdout, "{}", cluster.ready.line()),
    };
    if let Err(error) = said.and_then(|()| stdout.flush()) {
        tracing::warn!(%error, "nobody reads stdout");
    }
}
