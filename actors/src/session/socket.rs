//! What a session needs of a WebSocket. `cells` gives it over real sockets, the simulator over simulated ones.

use bytes::Bytes;
use std::future::Future;

/// A data message from the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A text message, valid UTF-8.
    Text(Bytes),
    /// A binary message.
    Binary(Bytes),
    /// The answer to a ping.
    Pong,
}

/// Why a connection cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SocketError {
    /// A frame or message above the limit.
    #[error("the frame is larger than the limit")]
    TooLarge,
    /// A text message that is not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// Not the WebSocket protocol (RFC 6455).
    #[error("protocol violation: {0}")]
    Protocol(String),
    /// The connection broke.
    #[error("connection lost: {0}")]
    Io(String),
}

/// A WebSocket. What is sent are complete frames as `proto::frame` encodes them.
pub trait FrameSocket: Send + 'static {
    /// The next data message; `None` when the peer is gone. Cancel-safe. Pings are answered inside.
    fn next(&mut self) -> impl Future<Output = Option<Result<Incoming, SocketError>>> + Send;
    /// Writes whole frames, many in one vectored write; returns when the kernel has them all.
    fn send(&mut self, frames: &[Bytes]) -> impl Future<Output = Result<(), SocketError>> + Send;
    /// Sends a close frame, waits a bounded time for the peer's, closes.
    fn close(&mut self, code: u16, reason: &str) -> impl Future<Output = ()> + Send;
}
