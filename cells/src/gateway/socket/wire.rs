//! The stream of a WebSocket as tungstenite wants it, and the count that tells when tungstenite holds nothing of it.

use bytes::{Buf, Bytes};
use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes taken from the stream at once, onto the stack: what tungstenite does not want yet waits in [`Line::rest`].
const READ_BYTES: usize = 4096;
/// A message above this makes tungstenite's buffer large; a new one is taken when it is empty again.
const SMALL_MESSAGE_BYTES: usize = 1024;

/// The stream, what came of it that tungstenite has not asked for yet, and the count.
pub(super) struct Line<S> {
    pub(super) stream: S,
    rest: Bytes,
    balance: Balance,
}

/// Bytes taken from the stream against bytes of what tungstenite returned: when equal, its buffer is empty.
///
/// What it returned is counted with the shortest headers, so a peer that uses longer ones or fragments never balances
/// and merely keeps its buffer.
#[derive(Default)]
struct Balance {
    taken: u64,
    returned: u64,
    large: bool,
}

impl<S> Line<S> {
    /// A stream of which something was read already.
    pub(super) fn new(stream: S, already_read: &[u8]) -> Self {
        let balance = Balance { taken: already_read.len() as u64, ..Default::default() };
        Self { stream, rest: Bytes::copy_from_slice(already_read), balance }
    }
    /// The stream for one poll.
    pub(super) fn wire<'a, 'c>(&'a mut self, cx: &'a mut Context<'c>) -> Wire<'a, 'c, S> {
        Wire { line: self, cx }
    }
    /// tungstenite returned a frame with this payload.
    pub(super) fn returned(&mut self, payload: usize) {
        let header = match payload {
            0..126 => 6,
            126..65_536 => 8,
            _ => 14,
        };
        self.balance.returned += (payload + header) as u64;
        self.balance.large |= payload > SMALL_MESSAGE_BYTES;
    }
    /// True when tungstenite holds a large buffer with nothing in it.
    pub(super) fn wastes(&self) -> bool {
        self.balance.large && self.balance.taken == self.balance.returned
    }
    /// tungstenite starts anew, with a small buffer.
    pub(super) fn renewed(&mut self) {
        self.balance = Balance::default();
    }
}

/// The stream as tungstenite wants it: what would wait is `WouldBlock`, and the task is woken.
pub(super) struct Wire<'a, 'c, S> {
    line: &'a mut Line<S>,
    cx: &'a mut Context<'c>,
}

fn or_would_block<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// Copies what fits into `bytes`; how much that was.
fn fill(bytes: &mut [u8], from: &[u8]) -> usize {
    let count = bytes.len().min(from.len());
    bytes[..count].copy_from_slice(&from[..count]);
    count
}

impl<S: AsyncRead + Unpin> io::Read for Wire<'_, '_, S> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.line.rest.is_empty() {
            let mut stack = [MaybeUninit::uninit(); READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut stack);
            or_would_block(Pin::new(&mut self.line.stream).poll_read(self.cx, &mut buffer))?;
            let read = buffer.filled();
            self.line.balance.taken += read.len() as u64;
            let count = fill(bytes, read);
            self.line.rest = Bytes::copy_from_slice(&read[count..]);
            return Ok(count);
        }
        let count = fill(bytes, &self.line.rest);
        self.line.rest.advance(count);
        if self.line.rest.is_empty() {
            self.line.rest = Bytes::new(); // an empty slice would keep the memory of the whole
        }
        Ok(count)
    }
}

impl<S: AsyncWrite + Unpin> io::Write for Wire<'_, '_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        or_would_block(Pin::new(&mut self.line.stream).poll_write(self.cx, bytes))
    }
    fn flush(&mut self) -> io::Result<()> {
        or_would_block(Pin::new(&mut self.line.stream).poll_flush(self.cx))
    }
}
