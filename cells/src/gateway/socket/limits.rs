//! Limits of the sockets of a gateway, and tungstenite's settings that follow from them.

use cluster::host::Host;
use std::time::Duration;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

/// tungstenite's own output is pongs and closes: one of each, with headers.
const CONTROL_OUT_BYTES_MAX: usize = 512;
/// tungstenite's own read buffer lives as long as the connection, so it is no larger than a short message.
const IDLE_BYTES: usize = 128;

/// Limits of every socket of a gateway.
pub struct SocketLimits {
    /// For the time a close may take.
    pub host: Host,
    /// Payload of one message, in bytes.
    pub frame_bytes_max: usize,
    /// Pings and pongs that a peer may send in a second.
    pub control_frames_per_s_max: u32,
    /// How long the peer may take to answer a close frame.
    pub close_timeout: Duration,
}

impl SocketLimits {
    fn config(&self) -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(IDLE_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(CONTROL_OUT_BYTES_MAX)
            .max_message_size(Some(self.frame_bytes_max))
            .max_frame_size(Some(self.frame_bytes_max))
    }
    /// tungstenite's state of a new connection.
    pub(super) fn context(&self) -> WebSocketContext {
        WebSocketContext::new(Role::Server, Some(self.config()))
    }
}

/// Pings and pongs of the running second.
#[derive(Default)]
pub(super) struct Controls {
    since: Duration,
    count: u32,
}

impl Controls {
    /// Counts one; true when it is one too many: answering them must not become a shard's work.
    pub(super) fn too_many(&mut self, limits: &SocketLimits) -> bool {
        let now = limits.host.monotonic();
        if now.saturating_sub(self.since) >= Duration::from_secs(1) {
            *self = Self { since: now, count: 0 };
        }
        self.count += 1;
        self.count > limits.control_frames_per_s_max
    }
}
