//! Ending a connection so that the last words arrive: closing with unread bytes would reset it, and a reset throws
//! away what the peer has not read.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

/// Bytes that a peer may go on sending while it is told goodbye: many clients send a whole body before they read.
const DRAIN_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Ends our direction, then reads and forgets until the peer ends its own. The caller limits the time.
pub async fn linger<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut left = DRAIN_BYTES_MAX;
    poll_fn(|cx| {
        let mut bytes = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer));
            let count = buffer.filled().len();
            left = left.saturating_sub(count);
            if read.is_err() || count == 0 || left == 0 {
                return Poll::Ready(());
            }
        }
    })
    .await;
}
