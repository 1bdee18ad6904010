//! One process of a cluster on this machine, from its start to its end.

use super::plan::Told;
use crate::{boot::NodeReady, telemetry::Telemetry};
use cluster::host::Host;
use serde::Deserialize;
use std::{io, path::PathBuf, process::ExitStatus, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::{ChildStdin, Command},
};

/// A node says that it is ready within this long: the first one waits for the owners of what it makes.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Longest line that is read of a node, in bytes.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// What is decided here, whatever the environment says for a node by itself.
const DECIDED: [&str; 10] = [
    "WAGGLE_NODE__DATA",
    "WAGGLE_NODE__NAME",
    "WAGGLE_NODE__ROLES",
    "WAGGLE_NODE__BOOTSTRAP",
    "WAGGLE_CLUSTER__CREDENTIALS",
    "WAGGLE_CLUSTER__LISTEN",
    "WAGGLE_CLUSTER__SEEDS",
    "WAGGLE_CLUSTER__MEMBERS",
    "WAGGLE_CLUSTER__STORE",
    "WAGGLE_GATEWAY__LISTEN",
];

/// Why a process is not a node. It does not run.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// No process.
    #[error("{0} could not be started: {1}")]
    Spawn(String, io::Error),
    /// It ended, or said something else.
    #[error("{0} did not become ready: {1}; its log is above")]
    Unready(String, String),
}

/// The part of a ready line that is read.
#[derive(Deserialize)]
struct ReadyLine {
    nodes: Vec<NodeReady>,
}

/// A node in a process of its own. Dropped, it is killed.
pub(super) struct Child {
    /// What it said when it was ready.
    pub(super) ready: NodeReady,
    process: tokio::process::Child,
    /// The node drains when this is closed, by us or with this process.
    stdin: Option<ChildStdin>,
    file: PathBuf,
    ended: Option<ExitStatus>,
}

impl Child {
    /// Starts it and waits until it takes work.
    pub(super) async fn start(
        host: &Host,
        told: Told,
        log_format: &str,
        telemetry: &Telemetry,
    ) -> Result<Self, ChildError> {
        let failed = |error| ChildError::Spawn(told.name.clone(), error);
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.args(["serve", "--stop-with-stdin", "--log-format", log_format, "--config"]).arg(&told.file);
        for set in &told.sets {
            command.arg("--set").arg(set);
        }
        for name in DECIDED {
            command.env_remove(name);
        }
        // In a group of its own: Ctrl-C is for this process, which tells the nodes before the store.
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().map_err(failed)?;
        let stdin = process.stdin.take();
        if let Some(stderr) = process.stderr.take() {
            host.spawn("log of a node", pass_on(told.name.clone(), stderr, telemetry.clone()));
        }
        let unready = |why: String| ChildError::Unready(told.name.clone(), why);
        let mut stdout = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut line = Vec::new();
        let mut limited = (&mut stdout).take(LINE_BYTES_MAX);
        match host.timeout(READY_WITHIN, limited.read_until(b'\n', &mut line)).await {
            Err(_) => return Err(unready(format!("it said nothing within {READY_WITHIN:?}"))),
            Ok(Err(error)) => return Err(unready(error.to_string())),
            Ok(Ok(_)) => {}
        }
        let ready: ReadyLine = match serde_json::from_slice(&line) {
            Ok(ready) => ready,
            Err(_) if line.is_empty() => return Err(unready("it ended".into())),
            Err(error) => return Err(unready(error.to_string())),
        };
        let ready = ready.nodes.into_iter().next().ok_or_else(|| unready("it named no node".into()))?;
        host.spawn("stdout of a node", async move {
            drop(tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await);
        });
        Ok(Self { ready, process, stdin, file: told.file, ended: None })
    }

    /// Completes when the process has ended without being asked to, and was told of.
    pub(super) async fn missed(&mut self) {
        if self.ended.is_some() {
            return;
        }
        match self.process.wait().await {
            Ok(status) => {
                self.ended = Some(status);
                let again = format!("waggle serve --config {}", self.file.display());
                let node = &self.ready.node;
                tracing::error!(node, pid = self.ready.pid, %status, again, "process ended; others go on");
            }
            Err(error) => tracing::error!(node = self.ready.node, %error, "process cannot be watched"),
        }
    }

    /// Asks it to drain; after `limit` it is killed. True when it ended cleanly, or had ended before.
    pub(super) async fn stop(&mut self, host: &Host, limit: Duration) -> bool {
        if self.ended.is_some() {
            return true;
        }
        drop(self.stdin.take());
        match host.timeout(limit, self.process.wait()).await {
            Ok(Ok(status)) => status.success(),
            _ => {
                let _ = self.process.kill().await; // it has ended, or ends
                false
            }
        }
    }
}

/// Passes a node's log on, with its name.
async fn pass_on(name: String, log: impl AsyncRead + Unpin, telemetry: Telemetry) {
    let mut log = BufReader::new(log);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut log).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        telemetry.pass_on(&match line.strip_prefix(b"{") {
            Some(rest) => [format!("{{\"process\":\"{name}\",").as_bytes(), rest].concat(),
            None => [format!("{name} | ").as_bytes(), &line].concat(),
        });
    }
}
