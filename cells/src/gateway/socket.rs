//! A WebSocket over any stream. tungstenite reads, checks and answers control frames; frames that are ready to write
//! go past it, many in one vectored write, and never into the middle of what it is writing.

mod limits;
mod wire;

pub use limits::SocketLimits;

use super::linger::linger;
use actors::session::{FrameSocket, Incoming, SocketError};
use bytes::Bytes;
use limits::Controls;
use std::{
    future::{Future, poll_fn},
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tungstenite::{
    Error, Message,
    error::{CapacityError, ProtocolError},
    protocol::{CloseFrame, WebSocketContext, frame::Utf8Bytes},
};
use wire::Line;

/// Frames of one vectored write. Linux takes 1,024; beyond 64 nothing is gained.
const SLICES_MAX: usize = 64;
/// Bytes of a close frame's reason. Source: RFC 6455, section 5.5, less the two bytes of the code.
const REASON_BYTES_MAX: usize = 123;

/// What of the connection still works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Good,
    /// What comes in is no longer WebSocket; a close frame can still be sent.
    Deaf,
    /// The peer is gone or closed, or a frame was cut off in the middle: nothing can be said any more.
    Dead,
}

/// A server's end of a WebSocket.
pub struct Socket<S> {
    line: Line<S>,
    context: WebSocketContext,
    limits: Arc<SocketLimits>,
    health: Health,
    /// A frame has been written in part: only its rest may follow.
    torn: bool,
    /// tungstenite may have something to say: an answer to a ping or a close.
    owes: bool,
    controls: Controls,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Socket<S> {
    /// A socket whose handshake is done; `already_read` came after it.
    pub fn new(stream: S, already_read: &[u8], limits: Arc<SocketLimits>) -> Self {
        let (context, controls) = (limits.context(), Controls::default());
        let line = Line::new(stream, already_read);
        Self { line, context, limits, health: Health::Good, torn: false, owes: false, controls }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Incoming, SocketError>>> {
        if self.health != Health::Good || self.torn {
            return Poll::Ready(None);
        }
        loop {
            let mut wire = self.line.wire(cx);
            let message = match self.context.read(&mut wire) {
                Ok(message) => message,
                Err(Error::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.shrink(cx);
                    return Poll::Pending;
                }
                Err(e) => return Poll::Ready(self.failed(e)),
            };
            self.line.returned(message.len());
            self.owes |= message.is_ping() || message.is_close();
            if (message.is_ping() || message.is_pong()) && self.controls.too_many(&self.limits) {
                return Poll::Ready(self.refused(SocketError::Protocol("too many pings or pongs".into())));
            }
            match message {
                Message::Text(text) => return Poll::Ready(Some(Ok(Incoming::Text(text.into())))),
                Message::Binary(bytes) => return Poll::Ready(Some(Ok(Incoming::Binary(bytes)))),
                Message::Pong(_) => return Poll::Ready(Some(Ok(Incoming::Pong))),
                Message::Ping(_) | Message::Close(_) | Message::Frame(_) => {} // the next read answers them
            }
        }
    }

    /// Gives the memory of a large message back once nothing of it is needed.
    fn shrink(&mut self, cx: &mut Context<'_>) {
        if !self.line.wastes() || !self.context.can_write() {
            return;
        }
        let mut wire = self.line.wire(cx);
        if self.context.flush(&mut wire).is_ok() {
            self.context = self.limits.context();
            self.line.renewed();
        }
    }

    /// What a failed read means for the session.
    fn failed(&mut self, error: Error) -> Option<Result<Incoming, SocketError>> {
        self.health = Health::Dead;
        let error = match error {
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return None,
            Error::Io(e) if e.kind() == io::ErrorKind::ConnectionReset => return None,
            Error::Io(e) => return Some(Err(SocketError::Io(e.to_string()))),
            Error::Capacity(CapacityError::MessageTooLong { .. }) => SocketError::TooLarge,
            Error::Utf8(_) => SocketError::NotUtf8,
            other => SocketError::Protocol(other.to_string()),
        };
        self.refused(error)
    }

    /// What came is not taken; the peer can still be told.
    fn refused(&mut self, error: SocketError) -> Option<Result<Incoming, SocketError>> {
        self.health = Health::Deaf;
        let reason = match error {
            SocketError::TooLarge => "too_large",
            SocketError::NotUtf8 => "not_utf8",
            _ => "protocol",
        };
        metrics::counter!("waggle_ws_frames_refused_total", "reason" => reason).increment(1);
        Some(Err(error))
    }

    /// Writes what tungstenite has to say: pongs and closes.
    fn poll_control(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        if !self.owes {
            return Poll::Ready(Ok(()));
        }
        let mut wire = self.line.wire(cx);
        match self.context.flush(&mut wire) {
            Ok(()) => {
                self.owes = false;
                Poll::Ready(Ok(()))
            }
            Err(Error::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            Err(e) => {
                self.health = Health::Dead;
                Poll::Ready(Err(SocketError::Io(e.to_string())))
            }
        }
    }

    /// Writes as much as the kernel takes of `frames` from (frame, byte) on; moves `at` along.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        frames: &[Bytes],
        at: &mut (usize, usize),
    ) -> Poll<Result<(), SocketError>> {
        loop {
            advance(frames, at, 0);
            self.torn = at.1 > 0;
            let rest = &frames[at.0..];
            if rest.is_empty() {
                return Poll::Ready(Ok(()));
            }
            match ready!(poll_write_some(Pin::new(&mut self.line.stream), cx, rest, at.1)) {
                Ok(0) => return Poll::Ready(Err(self.cut_off(&io::ErrorKind::WriteZero.into()))),
                Ok(written) => advance(frames, at, written),
                Err(e) => return Poll::Ready(Err(self.cut_off(&e))),
            }
        }
    }

    fn cut_off(&mut self, error: &io::Error) -> SocketError {
        self.health = Health::Dead;
        SocketError::Io(error.to_string())
    }

    /// Says goodbye; the peer's answer is awaited by the caller's clock.
    async fn say_close(&mut self, code: u16, reason: &str) {
        let frame = CloseFrame { code: code.into(), reason: Utf8Bytes::from(shorten(reason)) };
        let mut wire_frame = Some(frame);
        let said = poll_fn(|cx| {
            let mut wire = self.line.wire(cx);
            // The first call queues the frame, the following ones flush it.
            match self.context.close(&mut wire, wire_frame.take()) {
                Err(Error::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
                other => Poll::Ready(other.is_ok()),
            }
        })
        .await;
        if !said {
            return;
        }
        if self.health == Health::Good {
            while poll_fn(|cx| self.poll_next(cx)).await.is_some_and(|message| message.is_ok()) {}
        }
        if self.health == Health::Deaf {
            linger(&mut self.line.stream).await;
        }
    }
}

/// One write of `frames`, the first from byte `skip` on. One frame alone, the usual case when it is quiet, goes by the
/// cheaper plain write.
fn poll_write_some<S: AsyncWrite>(
    stream: Pin<&mut S>,
    cx: &mut Context<'_>,
    frames: &[Bytes],
    skip: usize,
) -> Poll<io::Result<usize>> {
    if let [frame] = frames {
        return stream.poll_write(cx, &frame[skip..]);
    }
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let used = frames.len().min(SLICES_MAX);
    for (slice, frame) in slices.iter_mut().zip(frames) {
        *slice = IoSlice::new(frame);
    }
    slices[0].advance(skip);
    stream.poll_write_vectored(cx, &slices[..used])
}

/// Moves (frame, byte) on by `written` bytes, past empty frames as well.
fn advance(frames: &[Bytes], at: &mut (usize, usize), mut written: usize) {
    while let Some(frame) = frames.get(at.0) {
        let rest = frame.len() - at.1;
        if written < rest {
            at.1 += written;
            return;
        }
        written -= rest;
        *at = (at.0 + 1, 0);
    }
}

/// The reason, cut at a character's border to what fits into a close frame.
fn shorten(reason: &str) -> String {
    let mut end = reason.len().min(REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason[..end].to_owned()
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> FrameSocket for Socket<S> {
    fn next(&mut self) -> impl Future<Output = Option<Result<Incoming, SocketError>>> + Send {
        poll_fn(|cx| self.poll_next(cx))
    }

    async fn send(&mut self, frames: &[Bytes]) -> Result<(), SocketError> {
        if self.health == Health::Dead || self.torn {
            return Err(SocketError::Io("an earlier write was cut off".into()));
        }
        poll_fn(|cx| self.poll_control(cx)).await?;
        let mut at = (0, 0);
        poll_fn(|cx| self.poll_write(cx, frames, &mut at)).await?;
        poll_fn(|cx| Pin::new(&mut self.line.stream).poll_flush(cx)).await.map_err(|e| self.cut_off(&e))
    }

    // Boxed: it runs once, and a session's memory would hold its state for the whole connection.
    fn close(&mut self, code: u16, reason: &str) -> impl Future<Output = ()> + Send {
        let reason = reason.to_owned();
        Box::pin(async move {
            if self.health != Health::Dead && !self.torn {
                let limits = Arc::clone(&self.limits);
                let said = self.say_close(code, &reason);
                if limits.host.timeout(limits.close_timeout, said).await.is_err() {
                    metrics::counter!("waggle_ws_closes_unanswered_total").increment(1);
                }
            }
            self.health = Health::Dead;
            drop(self.line.stream.shutdown().await);
        })
    }
}

/// A session's state machine holds its socket in more than one place; a box keeps each of them small.
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> FrameSocket for Box<Socket<S>> {
    fn next(&mut self) -> impl Future<Output = Option<Result<Incoming, SocketError>>> + Send {
        (**self).next()
    }
    fn send(&mut self, frames: &[Bytes]) -> impl Future<Output = Result<(), SocketError>> + Send {
        (**self).send(frames)
    }
    fn close(&mut self, code: u16, reason: &str) -> impl Future<Output = ()> + Send {
        (**self).close(code, reason)
    }
}

#[cfg(test)]
mod tests;
