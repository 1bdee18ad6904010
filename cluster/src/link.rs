//! Links: the data lane between nodes, as a node sees it. Sockets (`cells`), the simulated network
//! (`simulations`) and [`memory`] implement [`Links`]; all of them encode, and [`contract`] runs on each.
//!
//! Promised, per peer and class, between an `Up` and the next `Down`: frames arrive in the order in which
//! `send` took them, at most once and without gaps. An urgent frame may overtake normal ones. `send` never
//! waits: it takes a frame within the limits of [`LinkConfig`] or refuses it. A peer that reads slowly fills
//! its own queue and nobody else's.
//!
//! May be lost: everything that `send` took and the peer did not yet get from `next` when the link goes down.
//! Nothing is lost silently: both sides are told `Down`, and nothing of the old connection arrives after it.
//! Nothing is sent again by the link; who needs an answer asks again, with the same idempotency key.

pub mod codec;
pub mod contract;
pub mod hello;
pub mod inbox;
pub mod lane;
pub mod memory;
pub mod roles;

use crate::node::{BootId, NodeId};
use bytes::Bytes;
use futures::future::BoxFuture;
use roles::Roles;
use std::{fmt, time::Duration};

/// What goes first when there is more to send than the link takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Claims, hand-off and acknowledgements. Has queue and credit of its own: fan-out never holds it up.
    Urgent,
    /// Fan-out and everything else.
    Normal,
}

impl Class {
    /// Both, the first one first.
    pub const ALL: [Class; 2] = [Class::Urgent, Class::Normal];
}

/// Limits of a link. A queue at its limit refuses; nothing grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkConfig {
    /// Largest payload of one frame, in bytes; larger bodies are cut up by who sends them.
    pub payload_bytes_max: usize,
    /// Frames of one class that wait for one peer.
    pub queue_frames_max: usize,
    /// Credits of one class that wait for one peer.
    pub queue_credits_max: u64,
    /// Credits of one class that a peer may have on the way and unread. At least two largest frames, since
    /// credit is given back by the half window.
    pub window_credits: u64,
    /// Frames of one batch.
    pub batch_frames_max: usize,
    /// Payload bytes after which a batch takes no further frame.
    pub batch_bytes: usize,
    /// A side that has nothing to say says so this often.
    pub heartbeat: Duration,
    /// Heart-beats in a row that may be missing; then the link is down.
    pub misses_max: u32,
    /// Pause before a lost connection is tried again; doubles up to `reconnect_max`.
    pub reconnect_min: Duration,
    /// Longest pause between tries.
    pub reconnect_max: Duration,
}

/// Credits of a frame beside its payload's bytes, so that empty frames are not free.
pub const FRAME_CREDITS: u64 = 64;

impl LinkConfig {
    /// Credits that a payload takes.
    pub fn credits(payload: &Bytes) -> u64 {
        payload.len() as u64 + FRAME_CREDITS
    }
    /// Largest encoded batch: one that was not yet full took one more largest frame. Tags, lengths and
    /// credits are below 16 bytes a frame and 64 a batch.
    pub fn wire_bytes_max(&self) -> usize {
        self.batch_bytes + self.payload_bytes_max + 16 * self.batch_frames_max + 64
    }
    /// Silence after which a link is down.
    pub fn silence_max(&self) -> Duration {
        self.heartbeat * (self.misses_max + 1)
    }
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            payload_bytes_max: 512 * 1024,
            queue_frames_max: 8192,
            queue_credits_max: 8 * 1024 * 1024,
            window_credits: 4 * 1024 * 1024,
            batch_frames_max: 256,
            batch_bytes: 64 * 1024,
            heartbeat: Duration::from_millis(100),
            misses_max: 3,
            reconnect_min: Duration::from_millis(50),
            reconnect_max: Duration::from_secs(2),
        }
    }
}

/// Why a frame was not taken. Nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The queue to this peer is at its limit: shed, park or try later.
    #[error("the queue to this node is full")]
    Full,
    /// No connection to this peer now.
    #[error("there is no link to this node now")]
    Down,
    /// Larger than a frame may be.
    #[error("a frame of {bytes} bytes is larger than {max}")]
    TooLarge {
        /// Size of the payload.
        bytes: usize,
        /// Largest one.
        max: usize,
    },
}

/// Why a link went down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DownReason {
    /// The connection ended.
    Closed,
    /// Nothing was heard for too long; the peer may be alive.
    Silent,
    /// The peer is back in another life, or connected anew.
    Replaced,
    /// What came breaks the protocol.
    Broken(String),
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the connection ended"),
            Self::Silent => f.write_str("nothing was heard for too long"),
            Self::Replaced => f.write_str("the node is back in another life or by another connection"),
            Self::Broken(why) => write!(f, "the node broke the protocol: {why}"),
        }
    }
}

/// What a node hears from its links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// A peer, in this life, can be sent to; what is held of earlier connections is to be forgotten.
    Up {
        /// Who.
        peer: NodeId,
        /// Which life.
        boot: BootId,
        /// What it was proved to be; all roles where links prove nothing.
        roles: Roles,
    },
    /// A frame.
    Frame {
        /// Who sent it.
        from: NodeId,
        /// As it was sent.
        class: Class,
        /// What was sent.
        payload: Bytes,
    },
    /// The peer cannot be sent to; what was on the way in either direction may be lost.
    Down {
        /// Who.
        peer: NodeId,
        /// Why.
        reason: DownReason,
    },
}

/// The links of a node to all its peers.
pub trait Links: Send + Sync + 'static {
    /// Queues a frame. Never waits; `Ok` promises nothing but the order.
    fn send(&self, peer: &NodeId, class: Class, payload: Bytes) -> Result<(), LinkError>;
    /// The next event, urgent frames first; `None` when this node's links are closed for good. One task calls
    /// it.
    fn next(&self) -> BoxFuture<'_, Option<LinkEvent>>;
}
