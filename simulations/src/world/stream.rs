//! A byte stream between two lives, as a TCP socket would be: ordered, bounded, late, in pieces; it can stall,
//! be reset, or go silent.

use crate::world::{
    World,
    machine::Life,
    pipe::{End, Pipe, Segment},
};
use bytes::Bytes;
use cells::gateway::parcel::Parcel;
use cluster::host::Entropy;
use std::{
    fmt,
    io::{self, ErrorKind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most bytes of one segment.
pub const SEGMENT_BYTES_MAX: usize = 16 * 1024;
/// One write in so many is cut short at a random place.
const SHORT_WRITE_ONE_IN: u64 = 8;

/// A connection: two ends, two directions.
pub(crate) struct Wire {
    pub(crate) id: u64,
    pub(crate) ends: [Life; 2],
    chance: Entropy,
    pipes: Mutex<[Pipe; 2]>,
}

impl Wire {
    pub(crate) fn new(world: &World, id: u64, ends: [Life; 2]) -> Self {
        let chance = world.entropy(&format!("wire/{id}"));
        Self { id, ends, chance, pipes: Mutex::new([Pipe::new(), Pipe::new()]) }
    }

    /// What each side sends.
    fn pipes(&self) -> MutexGuard<'_, [Pipe; 2]> {
        self.pipes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `side` puts a segment on its way.
    fn send(self: &Arc<Self>, world: &World, side: usize, segment: Segment) {
        let print = match &segment {
            Segment::Data(bytes) => xxhash_rust::xxh3::xxh3_64(bytes),
            Segment::Fin => 1,
            Segment::Reset => 2,
        };
        self.pipes()[side].send(segment);
        self.travel(world, side, print);
    }

    /// Schedules the arrival of the oldest segment that `side` has on its way.
    pub(crate) fn travel(self: &Arc<Self>, world: &World, side: usize, print: u64) {
        let (from, to) = (self.ends[side], self.ends[1 - side]);
        let latency = world.latency(from.machine, to.machine, &self.chance);
        let (wire, arriving) = (self.clone(), world.clone());
        if !world.lives(to) && world.life(to.machine).is_some() {
            // Whoever lives there now knows nothing of this connection.
            let there = world.life(to.machine);
            world.schedule(latency, there, "unknown", [self.id, print], move || wire.reset_by(&arriving, to));
            return;
        }
        world.schedule(latency, Some(to), "segment", [self.id, print], move || wire.arrive(&arriving, side));
    }

    fn arrive(self: Arc<Self>, world: &World, side: usize) {
        let (from, to) = (self.ends[side].machine, self.ends[1 - side].machine);
        if !world.reaches(from, to) {
            world.stall(from, to, self, side);
            return;
        }
        let nobody = {
            let mut pipes = self.pipes();
            let nobody = pipes[side].arrive();
            if pipes[side].end == End::Reset {
                pipes[1 - side].break_off();
            }
            nobody
        };
        if nobody {
            self.send(world, 1 - side, Segment::Reset);
        }
    }

    /// The kernel of `life` forgets the connection and says so to the other end.
    pub(crate) fn reset_by(self: &Arc<Self>, world: &World, life: Life) {
        let side = usize::from(self.ends[1] == life);
        if self.pipes()[side].end != End::Reset {
            self.send(world, side, Segment::Reset);
        }
    }

    /// Data from `side` waits for an answer that the other end cannot give any more.
    pub(crate) fn is_unanswered(&self, side: usize) -> bool {
        self.pipes()[side].is_unanswered()
    }
}

/// One end of a connection.
pub struct SimStream {
    world: World,
    wire: Arc<Wire>,
    side: usize,
}

impl SimStream {
    pub(crate) fn new(world: World, wire: Arc<Wire>, side: usize) -> Self {
        Self { world, wire, side }
    }

    /// The other machine's life.
    pub fn peer(&self) -> Life {
        self.wire.ends[1 - self.side]
    }

    fn is_alive(&self) -> bool {
        self.world.lives(self.wire.ends[self.side])
    }

    /// How much of a write is taken at once.
    fn piece(&self, wanted: usize) -> usize {
        let whole = wanted.min(SEGMENT_BYTES_MAX);
        if whole > 1 && self.wire.chance.chance(1, SHORT_WRITE_ONE_IN) {
            1 + self.wire.chance.below(whole as u64) as usize
        } else {
            whole
        }
    }

    /// Room was made: the writer at the other end hears of it as late as of anything else.
    fn open_window(&self) {
        let (me, peer) = (self.wire.ends[self.side], self.peer());
        let latency = self.world.latency(me.machine, peer.machine, &self.wire.chance);
        let (wire, side) = (self.wire.clone(), 1 - self.side);
        self.world.schedule(latency, Some(peer), "window", [self.wire.id, side as u64], move || {
            let waker = wire.pipes()[side].writer.take();
            waker.into_iter().for_each(std::task::Waker::wake);
        });
    }

    fn finish(&self) {
        let open = {
            let pipes = self.wire.pipes();
            !pipes[self.side].finished && !pipes[self.side].broken
        };
        if open {
            self.wire.send(&self.world, self.side, Segment::Fin);
        }
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(tokio::task::coop::poll_proceed(context)).made_progress();
        if !self.is_alive() || buffer.remaining() == 0 {
            return if self.is_alive() { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        let (bytes, waits) = {
            let mut pipes = self.wire.pipes();
            let pipe = &mut pipes[1 - self.side];
            let bytes = pipe.read(buffer.remaining());
            if bytes.is_empty() {
                match pipe.end {
                    End::Eof => return Poll::Ready(Ok(())),
                    End::Reset => return Poll::Ready(Err(ErrorKind::ConnectionReset.into())),
                    End::Open => pipe.reader = Some(context.waker().clone()),
                }
                return Poll::Pending;
            }
            (bytes, pipe.writer.is_some())
        };
        buffer.put_slice(&bytes);
        if waits {
            self.open_window();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(tokio::task::coop::poll_proceed(context)).made_progress();
        if !self.is_alive() {
            return Poll::Pending;
        }
        let window = {
            let mut pipes = self.wire.pipes();
            let pipe = &mut pipes[self.side];
            if pipe.broken || pipe.finished {
                return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
            }
            if pipe.window() == 0 {
                pipe.writer = Some(context.waker().clone());
                return Poll::Pending;
            }
            pipe.window()
        };
        let taken = self.piece(bytes.len().min(window));
        if taken > 0 {
            let segment = Segment::Data(Bytes::copy_from_slice(&bytes[..taken]));
            self.wire.send(&self.world, self.side, segment);
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finish();
        Poll::Ready(Ok(()))
    }
}

/// All shards of a simulated machine share one runtime: nothing has to be repacked.
impl Parcel for SimStream {
    type Packed = Self;

    fn pack(self) -> io::Result<Self> {
        Ok(self)
    }

    fn unpack(packed: Self) -> io::Result<Self> {
        Ok(packed)
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        let unread = self.wire.pipes()[1 - self.side].desert();
        // The end of a life tells the other side itself, or cannot.
        if self.is_alive() {
            if unread {
                self.wire.reset_by(&self.world, self.wire.ends[self.side]);
            } else {
                self.finish();
            }
        }
    }
}

impl fmt::Debug for SimStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimStream({} of wire {})", self.side, self.wire.id)
    }
}
