//! One connection between two nodes, from hello to end.

use crate::world::{links::Shared, stream::SimStream};
use cluster::{
    link::{
        DownReason, LinkConfig,
        codec::{Decoder, encode},
        hello,
        lane::Lane,
    },
    node::{Node, NodeId},
};
use futures::future::{Either, select};
use proto::v1::LinkBatch;
use std::{pin::pin, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split},
    sync::Notify,
};

/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;

/// One side of a connection, as the node's links hold it.
pub(super) struct Connection {
    pub(super) number: u64,
    pub(super) lane: Lane,
    pub(super) wake: Arc<Notify>,
}

/// Says and hears hello, then carries batches until the connection ends. `expected`: who is dialled. True when
/// the connection was up.
pub(super) async fn carry(shared: &Shared, mut stream: SimStream, expected: Option<&NodeId>) -> bool {
    let mut decoder = Decoder::new(&shared.config);
    let greeting = greet(shared, &mut stream, &mut decoder);
    let Ok(Some(peer)) = shared.host.timeout(shared.config.silence_max(), greeting).await else {
        return false;
    };
    if expected.is_some_and(|expected| *expected != peer.id) {
        return false;
    }
    let (number, wake) = shared.up(&peer.id, peer.boot);
    let (read, write) = split(stream);
    let carried = Carried { shared, peer: &peer.id, number };
    let reading = pin!(carried.read(read, decoder));
    let writing = pin!(carried.write(write, &wake));
    let (Either::Left((reason, _)) | Either::Right((reason, _))) = select(reading, writing).await;
    shared.down(&peer.id, number, reason);
    true
}

async fn greet(shared: &Shared, stream: &mut SimStream, decoder: &mut Decoder) -> Option<Node> {
    stream.write_all(&encode(&hello::hello(&shared.node))).await.ok()?;
    loop {
        if let Some(said) = decoder.hello().ok()? {
            return hello::peer(&said).ok();
        }
        if fill(stream, decoder).await? == 0 {
            return None;
        }
    }
}

async fn fill(stream: &mut (impl AsyncReadExt + Unpin), decoder: &mut Decoder) -> Option<usize> {
    decoder.buffer().reserve(READ_BYTES);
    stream.read_buf(decoder.buffer()).await.ok()
}

struct Carried<'a> {
    shared: &'a Shared,
    peer: &'a NodeId,
    number: u64,
}

impl Carried<'_> {
    async fn read(&self, mut stream: ReadHalf<SimStream>, mut decoder: Decoder) -> DownReason {
        loop {
            match decoder.batch() {
                Ok(Some(batch)) => {
                    if let Some(reason) = self.take(batch) {
                        return reason;
                    }
                }
                Ok(None) => match fill(&mut stream, &mut decoder).await {
                    None | Some(0) => return DownReason::Closed,
                    Some(_) => {}
                },
                Err(error) => return DownReason::Broken(error.to_string()),
            }
        }
    }

    /// Hands the frames of a batch to the node; the reason to end, if there is one.
    fn take(&self, batch: LinkBatch) -> Option<DownReason> {
        let now = self.shared.now();
        let taken = self.shared.with(self.peer, self.number, |connection, inbox| {
            let frames = connection.lane.take(batch, now)?;
            frames.into_iter().for_each(|(class, payload)| inbox.frame(self.peer, class, payload));
            // The batch may have brought credit.
            connection.wake.notify_one();
            Ok(())
        });
        self.shared.heard.notify_one();
        match taken {
            None => Some(DownReason::Replaced),
            Some(Ok(())) => None,
            Some(Err::<(), cluster::link::lane::Fault>(fault)) => Some(DownReason::Broken(fault.to_string())),
        }
    }

    async fn write(&self, mut stream: WriteHalf<SimStream>, wake: &Notify) -> DownReason {
        let LinkConfig { heartbeat, .. } = self.shared.config;
        loop {
            let now = self.shared.now();
            let next = self.shared.with(self.peer, self.number, |connection, _| {
                (connection.lane.silent(now), connection.lane.fill(now), connection.lane.wake_at())
            });
            match next {
                None => return DownReason::Replaced,
                Some((true, ..)) => return DownReason::Silent,
                Some((_, Some(batch), _)) => {
                    let bytes = encode(&batch);
                    let writing = stream.write_all(&bytes);
                    match self.shared.host.timeout(self.shared.config.silence_max(), writing).await {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) => return DownReason::Closed,
                        Err(_) => return DownReason::Silent,
                    }
                }
                Some((_, None, wake_at)) => {
                    let wait = wake_at.saturating_sub(now).min(heartbeat);
                    // Either something is to be said, or it is time to say that there is nothing.
                    let _ = self.shared.host.timeout(wait, wake.notified()).await;
                }
            }
        }
    }
}
