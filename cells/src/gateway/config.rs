//! Limits of the gateway, each with its default.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Where the gateway listens and what it takes. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port; port 0 picks one.
    pub listen: String,
    /// Connections that have not yet sent their first request; one more is refused.
    pub handshakes_max: usize,
    /// The same for one address; 0: no limit. Loopback and `trusted` are exempt.
    pub handshakes_per_ip_max: usize,
    /// Addresses without a limit of their own: balancers in front of this node.
    pub trusted: Vec<IpAddr>,
    /// The first request of a connection must be complete within this long, in ms.
    pub handshake_timeout_ms: u64,
    /// Request line and headers of a request, in bytes (at most 65536).
    pub header_bytes_max: usize,
    /// HTTP connections that have sent a request and are no WebSockets; one more is refused.
    pub http_connections_max: usize,
    /// An HTTP connection without a request for this long is closed, in ms.
    pub keep_alive_ms: u64,
    /// Body of a request, in bytes.
    pub body_bytes_max: usize,
    /// A body must be complete within this long, in ms.
    pub body_timeout_ms: u64,
    /// An HTTP client that takes nothing of its answer for this long is cut, in ms.
    pub write_timeout_ms: u64,
    /// Arguments of an API call, and parts of a multipart body.
    pub args_max: usize,
    /// API calls running at the same time; callers beyond it are told to try again.
    pub calls_max: usize,
    /// An API call is given up after this long, in ms; its outcome is then not known.
    pub call_timeout_ms: u64,
    /// Payload of a WebSocket message, in bytes.
    pub frame_bytes_max: usize,
    /// Pings and pongs that one WebSocket may send in a second; more end it.
    pub control_frames_per_s_max: u32,
    /// A peer may take this long to answer a close frame, in ms.
    pub close_timeout_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8065".into(),
            handshakes_max: 1024,
            handshakes_per_ip_max: 64,
            trusted: Vec::new(),
            handshake_timeout_ms: 5000,
            header_bytes_max: 8192,
            http_connections_max: 4096,
            keep_alive_ms: 60_000,
            body_bytes_max: 1024 * 1024,
            body_timeout_ms: 10_000,
            write_timeout_ms: 30_000,
            args_max: 256,
            calls_max: 1024,
            call_timeout_ms: 30_000,
            frame_bytes_max: proto::frame::FRAME_BYTES_MAX,
            control_frames_per_s_max: 100,
            close_timeout_ms: 1000,
        }
    }
}
