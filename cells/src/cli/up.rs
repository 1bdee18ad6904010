//! `waggle up`: a whole cluster on this machine, until it is told to stop.

use super::{
    announce::announce,
    exit,
    settings::Settings,
    stop::{Stop, THREADS_STOP},
};
use crate::{
    config::{self, Format},
    machine::{self, Machine, Threads},
    telemetry::Telemetry,
    up::{NODES_MAX, Up as Cluster, Wish},
};
use anyhow::Context;
use clap::Args;
use std::{io::IsTerminal, process::ExitCode, time::Duration};

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
    #[command(flatten)]
    settings: Settings,
}

impl Up {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let own = [("--data", "node", "data", self.data), ("--listen", "gateway", "listen", self.listen)];
        let sets = self.settings.set.clone();
        let config = config::load(self.settings.sources(None, own))?;
        let telemetry = Telemetry::start(&config.log)?;
        let text = config.log.format == Format::Text
            || config.log.format == Format::Auto && std::io::stderr().is_terminal();
        let wish = Wish {
            nodes: usize::from(self.nodes),
            data: config.node.data.clone(),
            listen: config.gateway.listen.clone(),
            bootstrap: config.node.bootstrap,
            log_format: if text { "text" } else { "json" }.to_owned(),
            sets,
            drain: Duration::from_millis(config.node.drain_timeout_ms),
        };
        let code = up(wish, &telemetry);
        telemetry.flush();
        code
    }
}

/// Starts the cluster, runs it until it is asked to stop, drains it.
fn up(wish: Wish, telemetry: &Telemetry) -> anyhow::Result<ExitCode> {
    machine::raise_open_files();
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
        announce(&cluster.ready, None, telemetry);
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
