//! The operator's socket: a Unix socket in the data directory, for its owner only. Each line is a request, a JSON
//! object `{verb, args}`; each answer is a line `{ok, result}` or `{ok, error, kind}`.

pub mod client;

use actors::{admin::AdminError, node::Node};
use cluster::host::Host;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
};

/// Name of the socket in the data directory.
pub const FILE: &str = "operator.sock";
/// Bytes of a request or an answer, with its line end.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;
/// Operators at the same time; one more is told to come back.
const OPERATORS_MAX: usize = 32;
/// A request must arrive within this long; then the connection ends.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// After a failed accept the listener rests this long.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// One line from an operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// As `workspace.create`.
    pub verb: String,
    /// A JSON object.
    #[serde(default)]
    pub args: Value,
}

/// One line to an operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Whether it was done.
    pub ok: bool,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whose fault: `usage` or `refused`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
}

/// Why something was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The request makes no sense.
    Usage,
    /// The node would not.
    Refused,
}

impl Reply {
    fn refused(kind: Kind, error: impl ToString) -> Self {
        Self { ok: false, result: None, error: Some(error.to_string()), kind: Some(kind) }
    }
}

/// Makes the socket, in place of one that an earlier process left. Only for who holds the data directory's lock.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves operators until the machine stops.
pub async fn serve(listener: UnixListener, host: Host, node: Node) {
    let places = Arc::new(Semaphore::new(OPERATORS_MAX));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "operator could not be accepted");
                host.sleep(ACCEPT_REST).await;
                continue;
            }
        };
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => {
                let (host_in, node) = (host.clone(), node.clone());
                host.spawn("operator", async move {
                    if let Err(error) = converse(stream, &host_in, &node).await {
                        tracing::debug!(%error, "operator's connection ended");
                    }
                    drop(place);
                });
            }
            Err(_) => {
                metrics::counter!("waggle_operators_refused_total").increment(1);
                drop(stream);
            }
        }
    }
}

/// Answers line after line.
async fn converse(stream: UnixStream, host: &Host, node: &Node) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut reading = BufReader::new(reading);
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut reading).take(LINE_BYTES_MAX as u64);
        let next = limited.read_until(b'\n', &mut line);
        let count = host.timeout(REQUEST_TIMEOUT, next).await.map_err(|_| io::ErrorKind::TimedOut)??;
        if count == 0 {
            return Ok(());
        }
        let whole = line.ends_with(b"\n");
        let reply = match serde_json::from_slice::<Request>(&line) {
            _ if !whole => {
                Reply::refused(Kind::Usage, format!("a request is a line of at most {LINE_BYTES_MAX} bytes"))
            }
            Err(error) => Reply::refused(Kind::Usage, format!("not a request: {error}")),
            Ok(request) => run(node, &request).await,
        };
        let mut bytes = serde_json::to_vec(&reply)?;
        bytes.push(b'\n');
        host.timeout(REQUEST_TIMEOUT, writing.write_all(&bytes))
            .await
            .map_err(|_| io::ErrorKind::TimedOut)??;
        if !whole {
            return Ok(());
        }
    }
}

async fn run(node: &Node, request: &Request) -> Reply {
    tracing::info!(verb = request.verb, "operator");
    match node.operate(&request.verb, &request.args).await {
        Ok(result) => Reply { ok: true, result: Some(result), error: None, kind: None },
        Err(error @ (AdminError::UnknownVerb(_) | AdminError::Usage(_))) => {
            Reply::refused(Kind::Usage, error)
        }
        Err(error) => Reply::refused(Kind::Refused, error),
    }
}
