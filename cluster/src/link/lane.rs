//! One side of one connection, as pure state: queues by class, batches, sequence numbers, credits,
//! heart-beats.
//!
//! A wire asks [`Lane::fill`] what to write whenever it can write, hands what it read to [`Lane::take`], says
//! what the node got by [`Lane::consumed`], and ends the connection on a [`Fault`] or when the lane is
//! [`Lane::silent`]. A connection starts with new lanes on both sides.

use crate::link::{Class, FRAME_CREDITS, LinkConfig, LinkError};
use bytes::Bytes;
use proto::v1::{LinkBatch, LinkClass, LinkEnvelope};
use std::{collections::VecDeque, time::Duration};

/// What a peer did that no peer of this build does; the connection must end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A batch is missing or came twice.
    #[error("batch {found} came where {expected} was next")]
    Gap {
        /// Its number.
        found: u64,
        /// The next number.
        expected: u64,
    },
    /// More than the window allows.
    #[error("the peer sent beyond its window")]
    Overrun,
    /// Credit for what was never sent, or less than before.
    #[error("the peer's credit does not fit what was sent")]
    Credit,
    /// A payload beyond the limit, or of no known class.
    #[error("the peer sent a frame that is too large or of no known class")]
    Frame,
}

/// What waits for the peer, and how far it may go.
#[derive(Debug, Default)]
struct Outbound {
    queue: VecDeque<Bytes>,
    queued: u64,
    sent: u64,
    granted: u64,
}

impl Outbound {
    /// Credits of the next frame, if it fits the peer's window.
    fn next(&self, window: u64) -> Option<u64> {
        let credits = self.queue.front().map(LinkConfig::credits)?;
        (self.sent + credits - self.granted <= window).then_some(credits)
    }
}

/// What came from the peer: credits that arrived, that the node consumed, and that the peer was told of.
#[derive(Debug, Default)]
struct Inbound {
    arrived: u64,
    consumed: u64,
    told: u64,
}

/// One side of a connection.
#[derive(Debug)]
pub struct Lane {
    config: LinkConfig,
    out: [Outbound; 2],
    inward: [Inbound; 2],
    seq_out: u64,
    seq_in: u64,
    spoke: Duration,
    heard: Duration,
}

impl Lane {
    /// A fresh side at `now`, monotonic.
    pub fn new(config: LinkConfig, now: Duration) -> Self {
        let largest = config.payload_bytes_max as u64 + FRAME_CREDITS;
        assert!(config.window_credits >= 2 * largest, "half a window must let the largest frame go");
        assert!(config.queue_credits_max >= largest, "a queue must hold the largest frame");
        let (out, inward) = Default::default();
        Self { config, out, inward, seq_out: 0, seq_in: 0, spoke: now, heard: now }
    }
    /// Queues a frame.
    pub fn push(&mut self, class: Class, payload: Bytes) -> Result<(), LinkError> {
        let max = self.config.payload_bytes_max;
        if payload.len() > max {
            return Err(LinkError::TooLarge { bytes: payload.len(), max });
        }
        let (out, credits) = (&mut self.out[class as usize], LinkConfig::credits(&payload));
        let full = out.queue.len() >= self.config.queue_frames_max;
        if full || out.queued + credits > self.config.queue_credits_max {
            return Err(LinkError::Full);
        }
        out.queued += credits;
        out.queue.push_back(payload);
        Ok(())
    }
    /// The next batch to write: frames within the peer's windows, urgent ones first; credit once half a
    /// window was consumed; a heart-beat when it is time. `None` when there is nothing to say.
    pub fn fill(&mut self, now: Duration) -> Option<LinkBatch> {
        let envelopes = self.pick();
        let beat = now.saturating_sub(self.spoke) >= self.config.heartbeat;
        if envelopes.is_empty() && !beat && !self.owes_credit() {
            return None;
        }
        self.inward.iter_mut().for_each(|inward| inward.told = inward.consumed);
        self.seq_out += 1;
        self.spoke = now;
        let [urgent_credit, normal_credit] = [0, 1].map(|class: usize| self.inward[class].consumed);
        Some(LinkBatch { seq: self.seq_out, envelopes, urgent_credit, normal_credit })
    }
    fn pick(&mut self) -> Vec<LinkEnvelope> {
        let (mut envelopes, mut bytes) = (Vec::new(), 0);
        for class in Class::ALL {
            let out = &mut self.out[class as usize];
            while let Some(credits) = out.next(self.config.window_credits) {
                if envelopes.len() >= self.config.batch_frames_max || bytes >= self.config.batch_bytes {
                    break;
                }
                (out.sent, out.queued) = (out.sent + credits, out.queued - credits);
                let payload = out.queue.pop_front().unwrap_or_default();
                bytes += payload.len();
                envelopes.push(LinkEnvelope { class: wire_class(class).into(), payload });
            }
        }
        envelopes
    }
    fn owes_credit(&self) -> bool {
        let owes = |inward: &Inbound| inward.consumed - inward.told >= self.config.window_credits / 2;
        self.inward.iter().any(owes)
    }
    /// Whether there is something to say, heart-beats apart: a writer that waits has to be woken.
    pub fn is_ready(&self) -> bool {
        self.owes_credit() || self.out.iter().any(|out| out.next(self.config.window_credits).is_some())
    }
    /// Takes a batch that arrived; its frames in order.
    pub fn take(&mut self, batch: LinkBatch, now: Duration) -> Result<Vec<(Class, Bytes)>, Fault> {
        let expected = self.seq_in + 1;
        if batch.seq != expected {
            return Err(Fault::Gap { found: batch.seq, expected });
        }
        for (out, credit) in self.out.iter_mut().zip([batch.urgent_credit, batch.normal_credit]) {
            if credit < out.granted || credit > out.sent {
                return Err(Fault::Credit);
            }
            out.granted = credit;
        }
        let mut frames = Vec::with_capacity(batch.envelopes.len());
        for envelope in batch.envelopes {
            let class = class_of(envelope.class()).ok_or(Fault::Frame)?;
            if envelope.payload.len() > self.config.payload_bytes_max {
                return Err(Fault::Frame);
            }
            let inward = &mut self.inward[class as usize];
            inward.arrived += LinkConfig::credits(&envelope.payload);
            if inward.arrived - inward.told > self.config.window_credits {
                return Err(Fault::Overrun);
            }
            frames.push((class, envelope.payload));
        }
        (self.seq_in, self.heard) = (expected, now);
        Ok(frames)
    }
    /// The node got this frame: the peer may send as much again.
    pub fn consumed(&mut self, class: Class, payload: &Bytes) {
        let inward = &mut self.inward[class as usize];
        inward.consumed += LinkConfig::credits(payload);
        assert!(inward.consumed <= inward.arrived, "a frame was consumed that this lane never took");
    }
    /// Nothing was heard for longer than heart-beats may be missing.
    pub fn silent(&self, now: Duration) -> bool {
        now.saturating_sub(self.heard) >= self.config.silence_max()
    }
    /// When to call [`Lane::fill`] and [`Lane::silent`] again if nothing else happens.
    pub fn wake_at(&self) -> Duration {
        (self.spoke + self.config.heartbeat).min(self.heard + self.config.silence_max())
    }
    /// Frames that wait in a class's queue.
    pub fn queued(&self, class: Class) -> usize {
        self.out[class as usize].queue.len()
    }
}

fn wire_class(class: Class) -> LinkClass {
    match class {
        Class::Urgent => LinkClass::Urgent,
        Class::Normal => LinkClass::Normal,
    }
}

fn class_of(class: LinkClass) -> Option<Class> {
    match class {
        LinkClass::Urgent => Some(Class::Urgent),
        LinkClass::Normal => Some(Class::Normal),
        LinkClass::Unknown => None,
    }
}

#[cfg(test)]
mod tests;
