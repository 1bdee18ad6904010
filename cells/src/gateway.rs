//! Sockets: what comes in over TCP becomes requests and sessions here.
//!
//! Owns: the listener and the connections until they are sessions.
//! Promises: every connection ends within a named limit or becomes a session; what is refused is told why, and counted.
//! May lose: connections, when the process ends; clients come back.
//! Never does: decide what a request means.

pub mod admission;
pub mod config;
pub mod linger;
pub mod parcel;
pub mod socket;

mod api;
mod http;
mod page;
mod route;
mod stall;
mod timer;
mod upgrade;

use actors::node::Node;
use admission::Admission;
use bytes::Bytes;
use cluster::host::{Entropy, Host};
use config::Config;
use parcel::Parcel;
use socket::SocketLimits;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// After a failed accept (no file descriptor left) the listener rests this long.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// What state the node is in, as `/readyz` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// The store is being opened.
    Loading = 0,
    /// Slots are being claimed.
    Claiming = 1,
    /// Work is taken.
    Ready = 2,
    /// Work is finished, none is taken.
    Draining = 3,
    /// Work is taken, but other nodes do it better: this one does not reach some of them.
    CutOff = 4,
}

impl Phase {
    const ALL: [Self; 5] = [Self::Loading, Self::Claiming, Self::Ready, Self::Draining, Self::CutOff];

    /// As `/readyz` names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Claiming => "claiming",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::CutOff => "cut_off",
        }
    }
}

/// Renders `/metrics`.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

struct Shared {
    host: Host,
    ids: Entropy,
    config: Config,
    socket_limits: Arc<SocketLimits>,
    admission: Admission,
    calls: Semaphore,
    phase: AtomicU8,
    node: OnceLock<Node>,
    metrics: Metrics,
    draining: CancellationToken,
    closed: CancellationToken,
}

/// A node's door. It opens before the node is ready and says so. Clones share it.
#[derive(Clone)]
pub struct Gateway(Arc<Shared>);

impl Gateway {
    /// A door without a node behind it yet.
    pub fn new(host: Host, config: Config, metrics: Metrics) -> Self {
        let socket_limits = Arc::new(SocketLimits {
            host: host.clone(),
            frame_bytes_max: config.frame_bytes_max,
            control_frames_per_s_max: config.control_frames_per_s_max,
            close_timeout: Duration::from_millis(config.close_timeout_ms),
        });
        let admission = Admission::new(&config);
        let calls = Semaphore::new(config.calls_max.min(Semaphore::MAX_PERMITS));
        let (phase, node) = (AtomicU8::new(0), OnceLock::new());
        let (draining, closed) = (CancellationToken::new(), CancellationToken::new());
        let ids = host.entropy().fork("request ids");
        for limit in LIMITS {
            metrics::counter!("waggle_gateway_refusals_total", "limit" => limit).increment(0);
        }
        Self(Arc::new(Shared {
            host,
            ids,
            config,
            socket_limits,
            admission,
            calls,
            phase,
            node,
            metrics,
            draining,
            closed,
        }))
    }
    /// What `/readyz` says.
    pub fn phase(&self) -> Phase {
        let phase = Phase::ALL[usize::from(self.0.phase.load(Ordering::Acquire))];
        let is_away = phase == Phase::Ready && self.0.node.get().is_some_and(|node| node.gateway.is_away());
        if is_away { Phase::CutOff } else { phase }
    }
    /// The start got further.
    pub fn set_phase(&self, phase: Phase) {
        self.0.phase.store(phase as u8, Ordering::Release);
    }
    /// From here on work is taken, by this node. A second node is ignored.
    pub fn open(&self, node: Node) {
        let is_first = self.0.node.set(node.clone()).is_ok();
        self.set_phase(Phase::Ready);
        if is_first {
            node.open_door();
        }
    }
    /// Takes no new sessions; a connection ends with its answer. Whoever asks is told that the node goes.
    pub fn drain(&self) {
        self.set_phase(Phase::Draining);
        self.0.draining.cancel();
    }
    /// Takes no more connections.
    pub fn close(&self) {
        self.0.closed.cancel();
    }
    /// Connections that have asked something and are no sessions.
    pub fn answering(&self) -> usize {
        self.0.admission.http_connections()
    }
    /// The node, once there is one.
    fn node(&self) -> Option<&Node> {
        self.0.node.get()
    }
    /// Takes connections until [`Gateway::close`].
    pub async fn listen(self, listener: TcpListener) {
        let closed = self.0.closed.clone();
        let accepting = async {
            loop {
                match listener.accept().await {
                    Ok((stream, peer)) => self.accepted(stream, peer),
                    Err(error) => self.rest(&error).await,
                }
            }
        };
        closed.run_until_cancelled(accepting).await;
    }
    fn accepted(&self, stream: TcpStream, peer: SocketAddr) {
        if let Err(error) = stream.set_nodelay(true) {
            return tracing::debug!(%error, "connection lost before it began");
        }
        match self.0.admission.handshake(peer.ip()) {
            Ok(place) => self.0.host.spawn("http", http::serve(self.clone(), stream, place)),
            Err(full) => {
                refused(full.limit());
                // The answer is a courtesy: one attempt, nothing is waited for.
                let _ = stream.try_write(http::TOO_MANY);
            }
        }
    }
    async fn rest(&self, error: &io::Error) {
        refused("accept");
        tracing::warn!(%error, "connection could not be accepted");
        self.0.host.sleep(ACCEPT_REST).await;
    }
    /// Serves one connection that is not TCP, a simulated one, to its end or until it is a session.
    pub async fn serve<S: Parcel>(self, stream: S, peer: IpAddr) {
        match self.0.admission.handshake(peer) {
            Ok(place) => http::serve(self, stream, place).await,
            Err(full) => refused(full.limit()),
        }
    }
}

/// Counts what a limit of the gateway refused.
fn refused(limit: &'static str) {
    debug_assert!(LIMITS.contains(&limit), "{limit} is not listed");
    metrics::counter!("waggle_gateway_refusals_total", "limit" => limit).increment(1);
}

/// An answer of the gateway.
type Answer = hyper::Response<http_body_util::Full<Bytes>>;

/// After this answer the connection ends.
trait Closing {
    fn closing(self) -> Self;
}

impl Closing for Answer {
    fn closing(mut self) -> Self {
        let close = hyper::header::HeaderValue::from_static("close");
        self.headers_mut().insert(hyper::header::CONNECTION, close);
        self
    }
}

/// What can be refused, so that each has its count from the start.
const LIMITS: [&str; 11] = [
    "accept",
    "args_max",
    "body_bytes_max",
    "body_timeout_ms",
    "call_timeout_ms",
    "calls_max",
    "handshakes_max",
    "handshakes_per_ip_max",
    "http_connections_max",
    "sessions_max",
    "write_timeout_ms",
];

#[cfg(test)]
mod tests;
