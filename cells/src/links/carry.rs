//! One connection between two nodes, from hello to end.

use super::{MeetError, Met, Proved, Shared, Transport};
use cluster::{
    link::{
        DownReason,
        codec::{Decoder, encode},
        hello::{self, Life},
        lane::{Fault, Lane},
        roles::Roles,
    },
    node::{Node, NodeId},
};
use futures::future::{Either, select};
use proto::v1::{LinkBatch, LinkHello};
use std::{io, pin::pin, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split},
    sync::Notify,
};

/// Bytes read at once. Frames that are still in use share the buffer that they came in: another one is begun when this
/// one has little room left, not for each read.
const READ_BYTES: usize = 64 * 1024;
const ROOM_MIN: usize = 16 * 1024;

/// One side of a connection, as the node's links hold it.
pub(super) struct Connection {
    pub(super) number: u64,
    pub(super) life: Life,
    pub(super) lane: Lane,
    pub(super) wake: Arc<Notify>,
}

impl Connection {
    /// Wakes the writer if there is something for it.
    pub(super) fn wake_writer(&self) {
        if self.lane.is_ready() {
            self.wake.notify_one();
        }
    }
}

/// A connection whose peer has said who it is.
pub(super) struct Greeted<S> {
    peer: NodeId,
    life: Life,
    roles: Roles,
    stream: S,
    decoder: Decoder,
}

/// Says and hears hello. `expected`: who is dialled. Nobody when the peer only had a question, which is answered.
pub(super) async fn greet<T: Transport>(
    shared: &Shared<T>,
    met: Met<T::Stream>,
    expected: Option<&NodeId>,
) -> Result<Option<Greeted<T::Stream>>, MeetError> {
    let (mut stream, mut decoder) = (met.stream, Decoder::new(&shared.config));
    let hellos = async {
        say(&mut stream, &shared.hello()).await?;
        hear(&mut stream, &mut decoder).await
    };
    let said = shared.host.timeout(shared.config.silence_max(), hellos).await;
    let said = said.unwrap_or(Err(MeetError::Silent))?;
    let peer = hello::peer(&said)?;
    let (proved, roles) = match met.proved {
        Some(Proved { node, roles }) => (Some(node), roles),
        None => (None, Roles::ALL),
    };
    if let Some(proved) = proved.filter(|proved| *proved != peer.id) {
        return Err(MeetError::Impostor { proved, said: peer.id });
    }
    if said.asks {
        let answer = hello::answer(shared.hello(), shared.other_life(&peer));
        let answered = shared.host.timeout(shared.config.silence_max(), say(&mut stream, &answer)).await;
        return answered.unwrap_or(Err(MeetError::Silent)).map(|()| None);
    }
    check(&shared.node, &peer, expected)?;
    let life = Life { started_us: said.started_us, boot: peer.boot };
    if let Some(later) = shared.other_life(&peer).filter(|other| *other > life) {
        return Err(MeetError::Outlived { peer: peer.id, boot: life.boot, later: later.boot });
    }
    Ok(Some(Greeted { peer: peer.id, life, roles, stream, decoder }))
}

/// Carries batches until the connection ends.
pub(super) async fn carry<T: Transport>(shared: &Shared<T>, greeted: Greeted<T::Stream>) {
    let Greeted { peer, life, roles, stream, decoder } = greeted;
    let (number, wake) = shared.up(&peer, life, roles);
    let (read, write) = split(stream);
    let carried = Carried { shared, peer: &peer, number };
    let reading = pin!(carried.read(read, decoder));
    let writing = pin!(carried.write(write, &wake));
    let (Either::Left((reason, _)) | Either::Right((reason, _))) = select(reading, writing).await;
    shared.down(&peer, number, reason);
}

impl<T: Transport> Drop for Carried<'_, T> {
    /// Whoever carried was told to stop.
    fn drop(&mut self) {
        self.shared.down(self.peer, self.number, DownReason::Closed);
    }
}

/// Says a hello.
pub(super) async fn say(
    stream: &mut (impl AsyncWriteExt + Unpin),
    hello: &LinkHello,
) -> Result<(), MeetError> {
    stream.write_all(&encode(hello)).await?;
    Ok(stream.flush().await?)
}

/// Hears one.
pub(super) async fn hear(
    stream: &mut (impl AsyncReadExt + Unpin),
    decoder: &mut Decoder,
) -> Result<LinkHello, MeetError> {
    loop {
        if let Some(said) = decoder.hello()? {
            return Ok(said);
        }
        if fill(stream, decoder).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}

/// Whether the peer is whom it must be.
fn check(me: &Node, peer: &Node, expected: Option<&NodeId>) -> Result<(), MeetError> {
    match expected {
        _ if peer.id == me.id => Err(MeetError::Namesake(me.id.clone())),
        Some(expected) if *expected != peer.id => {
            Err(MeetError::OtherNode { expected: expected.clone(), found: peer.id.clone() })
        }
        _ => Ok(()),
    }
}

async fn fill(stream: &mut (impl AsyncReadExt + Unpin), decoder: &mut Decoder) -> io::Result<usize> {
    let buffer = decoder.buffer();
    if buffer.capacity() - buffer.len() < ROOM_MIN {
        buffer.reserve(READ_BYTES);
    }
    stream.read_buf(decoder.buffer()).await
}

struct Carried<'a, T: Transport> {
    shared: &'a Shared<T>,
    peer: &'a NodeId,
    number: u64,
}

impl<T: Transport> Carried<'_, T> {
    async fn read(&self, mut stream: ReadHalf<T::Stream>, mut decoder: Decoder) -> DownReason {
        loop {
            match decoder.batch() {
                Ok(Some(batch)) => {
                    if let Some(reason) = self.take(batch) {
                        return reason;
                    }
                }
                Ok(None) => match fill(&mut stream, &mut decoder).await {
                    Err(_) | Ok(0) => return DownReason::Closed,
                    Ok(_) => {}
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
            connection.wake_writer();
            Ok(())
        });
        self.shared.heard.notify_one();
        match taken {
            None => Some(DownReason::Replaced),
            Some(Ok(())) => None,
            Some(Err::<(), Fault>(fault)) => Some(DownReason::Broken(fault.to_string())),
        }
    }

    async fn write(&self, mut stream: WriteHalf<T::Stream>, wake: &Notify) -> DownReason {
        let (host, config) = (&self.shared.host, &self.shared.config);
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
                    let writing = async {
                        stream.write_all(&bytes).await?;
                        stream.flush().await
                    };
                    match host.timeout(config.silence_max(), writing).await {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) => return DownReason::Closed,
                        Err(_) => return DownReason::Silent,
                    }
                }
                Some((_, None, wake_at)) => {
                    let wait = wake_at.saturating_sub(now).min(config.heartbeat);
                    // Either something is to be said, or it is time to say that there is nothing.
                    let _ = host.timeout(wait, wake.notified()).await;
                }
            }
        }
    }
}
