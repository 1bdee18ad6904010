//! Real `waggle serve` processes on 127.0.0.1, each with a data directory of its own, an operator beside them and a
//! plain HTTP client. Every process is killed by the pid it was started with; nothing else is touched.

pub mod gate;
pub mod http;
pub mod port;
pub mod scratch;

use anyhow::{Context, Result, anyhow, bail};
pub use http::Reply;
pub use scratch::Scratch;
use serde_json::{Value, json};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// A test that waits longer than this for one step hangs: it fails and says at what.
pub const STEP_MAX: Duration = Duration::from_secs(60);
/// How often it is looked whether a process is gone.
const LOOK: Duration = Duration::from_millis(10);
/// Bytes of a dead process's log that a failure shows.
const LOG_TAIL_BYTES: usize = 4096;

/// Gives one step of a test at most [`STEP_MAX`]; a step that takes longer hangs.
#[allow(clippy::disallowed_methods)] // Tests watch real processes on the real clock; only hanging is judged by it.
pub async fn step<T>(what: &str, work: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(STEP_MAX, work).await.map_err(|_| anyhow!("hung for {STEP_MAX:?}: {what}"))
}

/// Where `cargo build` put a binary of this workspace: beside the folder of the running test.
pub fn binary(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe().context("the path of the running test")?;
    let mut folder = here.parent().context("the test lies in a folder")?;
    if folder.ends_with("deps") {
        folder = folder.parent().context("deps lies in the profile's folder")?;
    }
    let path = folder.join(name);
    if !path.exists() {
        bail!("there is no {}: run `cargo build -p cells` (or tests/run, which does) first", path.display());
    }
    Ok(path)
}

/// What is started.
#[derive(Debug, Clone, Default)]
pub enum Program {
    /// One node.
    #[default]
    Serve,
    /// A cluster of so many nodes and a store, behind one address.
    Up(usize),
    /// A node of such a cluster again, by its configuration in this file of the scratch folder's data.
    Again(String),
}

impl Program {
    fn args(&self, data: &Scratch, port: u16) -> Vec<String> {
        let words: Vec<String> = match self {
            Self::Serve => vec!["serve".into()],
            Self::Up(nodes) => vec!["up".into(), "--nodes".into(), nodes.to_string()],
            Self::Again(file) => {
                let file = data.path().join(file).display().to_string();
                return vec!["serve".into(), "--config".into(), file];
            }
        };
        let place = ["--listen", &format!("127.0.0.1:{port}"), "--data", &data.path().display().to_string()];
        words.into_iter().chain(place.map(str::to_owned)).collect()
    }
}

/// How to start a node.
#[derive(Debug, Clone, Default)]
pub struct Serve {
    /// What it is.
    pub program: Program,
    /// An existing data directory; a fresh one by default.
    pub data: Option<Arc<Scratch>>,
    /// Port on 127.0.0.1; one that is free by default.
    pub port: u16,
    /// Further arguments of `waggle serve`.
    pub args: Vec<String>,
    /// Further environment (`WAGGLE_SECTION__KEY`).
    pub env: Vec<(String, String)>,
}

/// A process that is not ready yet. Dropping it kills the process.
#[derive(Debug)]
pub struct Starting {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    data: Arc<Scratch>,
}

impl Starting {
    /// Starts a node as told.
    pub fn spawn(serve: Serve) -> Result<Self> {
        let data = match serve.data {
            Some(data) => data,
            None => Arc::new(Scratch::new()?),
        };
        let mut child = Command::new(binary("waggle")?)
            .args(serve.program.args(&data, serve.port))
            .args(&serve.args)
            .envs(serve.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(data.log()?)
            .kill_on_drop(true)
            .spawn()
            .context("starting waggle serve")?;
        let stdout = child.stdout.take().context("its stdout is piped")?;
        Ok(Self { child, lines: BufReader::new(stdout).lines(), data })
    }

    /// Waits until the node says that it is ready.
    pub async fn ready(mut self) -> Result<Node> {
        match self.announced().await? {
            Some(line) => self.node(&line),
            None => {
                let status = step("a node that is not ready to end", self.child.wait()).await??;
                bail!(
                    "waggle serve ended with {status} before it was ready; its log ends:\n{}",
                    self.data.log_tail(LOG_TAIL_BYTES)
                )
            }
        }
    }

    /// Waits for the line that says that the node is ready; `None` when the process ended without it. May be
    /// dropped and asked again.
    pub async fn announced(&mut self) -> Result<Option<String>> {
        Ok(step("waggle serve getting ready", self.lines.next_line()).await??)
    }

    /// Kills the process at once (`SIGKILL`) and waits until it is gone. The data directory stays.
    pub async fn kill(mut self) -> Result<Arc<Scratch>> {
        self.child.start_kill().context("killing the node")?;
        step("a killed node to end", self.child.wait()).await??;
        Ok(self.data)
    }

    fn node(self, line: &str) -> Result<Node> {
        let Self { child, data, .. } = self;
        let ready: Value = serde_json::from_str(line).with_context(|| format!("the ready line: {line}"))?;
        let of = |name: &str| {
            let text = ready[name].as_str().map(str::to_owned);
            text.ok_or_else(|| anyhow!("the ready line has no {name:?}: {line}"))
        };
        let pid = child.id().context("a running process has a pid")?;
        let (base_url, api_url, operator) = (of("base_url")?, of("api_url")?, of("operator")?);
        Ok(Node { child, pid, base_url, api_url, operator, ready, data })
    }
}

/// A running node. Dropping it kills the process.
#[derive(Debug)]
pub struct Node {
    child: Child,
    /// Process id.
    pub pid: u32,
    /// `http://127.0.0.1:PORT/`.
    pub base_url: String,
    /// `http://127.0.0.1:PORT/api/`.
    pub api_url: String,
    /// Address of the operator's socket.
    pub operator: String,
    /// The whole line that it printed when it was ready.
    pub ready: Value,
    /// Its data directory, for a restart.
    pub data: Arc<Scratch>,
}

impl Node {
    /// Starts a node on a fresh data directory and waits until it is ready.
    pub async fn start() -> Result<Self> {
        Self::serve(Serve::default()).await
    }

    /// Starts a node as told and waits until it is ready.
    pub async fn serve(serve: Serve) -> Result<Self> {
        Starting::spawn(serve)?.ready().await
    }

    /// Kills the process at once (`SIGKILL`) and waits until it is gone. The data directory stays.
    pub async fn kill(mut self) -> Result<Arc<Scratch>> {
        self.child.start_kill().context("killing the node")?;
        step("a killed node to end", self.child.wait()).await??;
        Ok(self.data.clone())
    }

    /// Asks the process to drain and stop (`SIGTERM`) and answers its exit code.
    pub async fn stop(self) -> Result<i32> {
        self.signal(libc::SIGTERM)?;
        self.ended().await
    }

    /// Waits for the process to end, after a signal, and answers its exit code.
    pub async fn ended(mut self) -> Result<i32> {
        let status = step("a node to drain and stop", self.child.wait()).await??;
        status.code().ok_or_else(|| anyhow!("the node was ended by a signal: {status}"))
    }

    /// Sends a signal to this process alone.
    pub fn signal(&self, signal: i32) -> Result<()> {
        send(self.pid, signal)
    }

    /// A process of the cluster that this one runs, by its name: its pid.
    pub fn pid_of(&self, name: &str) -> Result<u32> {
        let nodes = self.ready["nodes"].as_array().context("nodes of the ready line")?;
        let node = nodes.iter().find(|node| node["node"] == name);
        let pid = node.and_then(|node| node["pid"].as_u64()).with_context(|| format!("no node {name}"))?;
        Ok(u32::try_from(pid)?)
    }

    /// Runs `waggle admin …` against this node; answers what it printed. Fails with its words and exit code.
    pub async fn admin(&self, args: &[&str]) -> Result<String> {
        let run = Command::new(binary("waggle")?)
            .args(["admin", "--node", &self.operator])
            .args(args)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = step("waggle admin", run).await?.context("running waggle admin")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("waggle admin {} ended with {}: {}", args.join(" "), output.status, said.trim());
        }
        Ok(String::from_utf8(output.stdout).context("what admin printed")?.trim().to_owned())
    }

    /// Calls a method of the Web API with a JSON body.
    pub async fn api(&self, method: &str, token: &str, args: Value) -> Result<Value> {
        http::api(&self.api_url, method, token, &args).await
    }

    /// As [`Node::api`]; fails unless the answer is `ok`.
    pub async fn ok(&self, method: &str, token: &str, args: Value) -> Result<Value> {
        let answer = self.api(method, token, args.clone()).await?;
        if answer["ok"] != json!(true) {
            bail!("{method} {args} answered {answer}");
        }
        Ok(answer)
    }

    /// Gets a page of the node.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        http::send("GET", &format!("{}{}", self.base_url, path.trim_start_matches('/')), &[], Vec::new())
            .await
    }
}

/// Waits until whoever started these processes has taken note of their end: what they had locked is free then.
#[allow(clippy::disallowed_methods)] // As `step`: only hanging is judged by the real clock.
pub async fn gone(pids: &[u32]) -> Result<()> {
    let gone = async {
        while pids.iter().any(|pid| Path::new(&format!("/proc/{pid}")).exists()) {
            tokio::time::sleep(LOOK).await;
        }
    };
    step(&format!("processes {pids:?} to end"), gone).await
}

/// Sends a signal to a process that a [`Node`] told the pid of, or to that itself, by way of `kill(1)`: this crate has
/// no unsafe code, and a process a signal is cheap enough.
pub fn send(pid: u32, signal: i32) -> Result<()> {
    let status =
        std::process::Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).status()?;
    if !status.success() {
        bail!("kill -{signal} {pid} ended with {status}");
    }
    Ok(())
}
