//! One direction of a connection: what was sent, what has arrived, what was read. Pure state; time is the network's.

use bytes::{Buf, Bytes};
use std::{collections::VecDeque, task::Waker};

/// Bytes that may be sent and not yet read: send and receive buffers of both kernels together.
pub const WINDOW_BYTES: usize = 256 * 1024;

/// What travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    Data(Bytes),
    /// No more data comes.
    Fin,
    /// The sender knows nothing of this connection any more.
    Reset,
}

/// How reading ends once everything that arrived is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Open,
    Eof,
    Reset,
}

/// One direction.
pub(crate) struct Pipe {
    in_flight: VecDeque<Segment>,
    arrived: VecDeque<Bytes>,
    unread: usize,
    pub(crate) end: End,
    /// The sender has said that nothing more comes.
    pub(crate) finished: bool,
    /// The sender has learnt that nobody reads.
    pub(crate) broken: bool,
    /// The reading end is dropped.
    deserted: bool,
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
}

impl Pipe {
    pub(crate) fn new() -> Self {
        Self {
            in_flight: VecDeque::new(),
            arrived: VecDeque::new(),
            unread: 0,
            end: End::Open,
            finished: false,
            broken: false,
            deserted: false,
            reader: None,
            writer: None,
        }
    }

    /// Bytes that may be sent now.
    pub(crate) fn window(&self) -> usize {
        WINDOW_BYTES - self.unread
    }

    /// Puts a segment on its way; data within [`Pipe::window`].
    pub(crate) fn send(&mut self, segment: Segment) {
        if let Segment::Data(bytes) = &segment {
            self.unread += bytes.len();
            debug_assert!(self.unread <= WINDOW_BYTES, "sent past the window");
        }
        self.finished |= !matches!(segment, Segment::Data(_));
        self.in_flight.push_back(segment);
    }

    /// The oldest segment on its way arrives. True: the sender must be told that nobody is here.
    pub(crate) fn arrive(&mut self) -> bool {
        let Some(segment) = self.in_flight.pop_front() else { return false };
        match segment {
            Segment::Data(bytes) if self.deserted => {
                self.unread -= bytes.len();
                return true;
            }
            Segment::Data(bytes) => self.arrived.push_back(bytes),
            Segment::Fin if self.end == End::Open => self.end = End::Eof,
            Segment::Fin => {}
            Segment::Reset => self.end = End::Reset,
        }
        self.reader.take().into_iter().for_each(Waker::wake);
        false
    }

    /// Whether data is on its way.
    pub(crate) fn is_unanswered(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Reads at most `limit` bytes of what has arrived; empty when there is nothing.
    pub(crate) fn read(&mut self, limit: usize) -> Bytes {
        let Some(first) = self.arrived.front_mut() else { return Bytes::new() };
        let count = limit.min(first.len());
        let bytes = first.copy_to_bytes(count);
        if first.is_empty() {
            self.arrived.pop_front();
        }
        self.unread -= count;
        bytes
    }

    /// The reading end is dropped. True: there was something left to read, which the sender must be told.
    pub(crate) fn desert(&mut self) -> bool {
        self.deserted = true;
        !self.arrived.is_empty()
    }

    /// The sender learns that nobody reads: writes fail from now on.
    pub(crate) fn break_off(&mut self) {
        self.broken = true;
        self.writer.take().into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(text: &'static str) -> Segment {
        Segment::Data(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn bytes_are_read_in_the_order_sent_and_only_after_they_arrived() {
        let mut pipe = Pipe::new();
        pipe.send(data("abc"));
        pipe.send(data("de"));
        assert_eq!(pipe.read(10), "");
        pipe.arrive();
        assert_eq!((pipe.read(2), pipe.read(10), pipe.read(10)), ("ab".into(), "c".into(), "".into()));
        pipe.arrive();
        assert_eq!(pipe.read(10), "de");
    }

    #[test]
    fn the_window_opens_by_reading_not_by_arriving() {
        let mut pipe = Pipe::new();
        pipe.send(data("abc"));
        pipe.arrive();
        assert_eq!(pipe.window(), WINDOW_BYTES - 3);
        pipe.read(1);
        assert_eq!(pipe.window(), WINDOW_BYTES - 2);
    }

    #[test]
    fn an_end_comes_after_the_data_before_it() {
        let mut pipe = Pipe::new();
        pipe.send(data("x"));
        pipe.send(Segment::Fin);
        pipe.arrive();
        assert_eq!(pipe.end, End::Open);
        pipe.arrive();
        assert_eq!((pipe.end, pipe.read(9)), (End::Eof, "x".into()));
    }

    #[test]
    fn data_that_reaches_a_deserted_end_is_answered_with_a_reset() {
        let mut pipe = Pipe::new();
        assert!(!pipe.desert());
        pipe.send(data("x"));
        assert!(pipe.arrive());
        assert_eq!(pipe.window(), WINDOW_BYTES);
    }
}
