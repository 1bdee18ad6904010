//! What nodes say to each other about channels. A gateway forwards commands, reads and subscriptions to the node that
//! owns the channel; the owner answers, and tells what happens to the gateways that listen. Here it is only put into
//! bytes and taken out of them: nothing is sent, and no bytes make it panic.

mod wire;

use crate::channel::replay::Replay;
use crate::command::{Command, Done};
use crate::delivery::Delivery;
use crate::store::{LogId, StoreError};
use bytes::Bytes;
use cluster::node::BootId;
use cluster::slots::Slot;
use cluster::table::{Owner, RowError};
use prost::Message;
use proto::id::{IdError, UserId};
use proto::refusal::Refusal;
use proto::v1;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Why bytes are not what a peer of this build says. Nothing was done about them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// Not the protobuf message.
    #[error("the bytes do not parse: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// A part that is always there is not; a kind of part that only a later build knows looks like this too.
    #[error("there is no {0}, or one of a later build")]
    Absent(&'static str),
    /// A number that stands for nothing.
    #[error("{1} is no {0}")]
    Impossible(&'static str, i64),
    /// A text that is not the id that it should be.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A slot's row that names no owner that could be reached.
    #[error(transparent)]
    Row(#[from] RowError),
}

/// What a node asks the one that owns a channel, as far as it knows. Each call has one [`PeerAnswer`]; any may be
/// answered by `NotOwner`.
#[derive(Debug, Clone)]
pub enum PeerCall {
    /// Do this. Answered by `Done`, `Refused` or `Lost`.
    Do {
        /// To which log.
        log: LogId,
        /// Epoch of the slot's claim that the sender routes by.
        epoch: u64,
        /// How often the call was passed on.
        hops: u32,
        /// What to do, and under which key.
        command: Command,
    },
    /// Events of a log. Answered by `Replay` or `StoreError`.
    Read {
        /// Which log.
        log: LogId,
        /// Epoch of the slot's claim that the sender routes by.
        epoch: u64,
        /// Events after this seq.
        after: u64,
        /// At most so many; above `u32::MAX` the wire has that.
        limit: usize,
    },
    /// The sender has its first listener of a channel. Answered by `Tail` or `StoreError`.
    Subscribe {
        /// Which log.
        log: LogId,
        /// Epoch of the slot's claim that the sender routes by.
        epoch: u64,
        /// How often the call was passed on.
        hops: u32,
        /// The gateway's life that listens.
        boot: BootId,
    },
}

/// What a node answers to a [`PeerCall`].
#[derive(Debug, Clone)]
pub enum PeerAnswer {
    /// The command is durable, or had nothing to do.
    Done(Done),
    /// The command was refused; the refusal says whether it may have taken effect.
    Refused(Refusal),
    /// Events, all of the log that was asked for.
    Replay(Replay),
    /// The read or the subscription was not possible.
    StoreError(StoreError),
    /// The subscription is entered: the log's last durable seq.
    Tail(u64),
    /// The node does not own the slot: nothing was done.
    NotOwner {
        /// The slot.
        slot: Slot,
        /// Who owns it as far as the node knows.
        owner: Option<Owner>,
    },
    /// The command got lost inside, as when its way back is dropped: it may have taken effect, and may be sent again
    /// under the same key.
    Lost,
}

/// What a node tells another without an answer. Any of it may be lost.
#[derive(Debug, Clone)]
pub enum PeerNotice {
    /// The owner to a gateway: events of one log, in order. [`deliver_bytes`] makes the bytes for all gateways at once.
    Deliver(Arc<[Arc<Delivery>]>),
    /// The owner to a gateway: tails of logs that moved.
    Beacon(BTreeMap<LogId, u64>),
    /// The owner to a gateway: somebody types. Apart from `Typing`: two nodes that both believe to own a channel would
    /// tell each other for ever.
    Typed(LogId, UserId),
    /// The owner to a gateway: the actors of these slots have ended, and with them who listened there.
    SlotsAnew(BTreeSet<Slot>),
    /// A gateway to the owner: somebody types.
    Typing(LogId, UserId),
    /// A gateway to the owner: the last listener of a channel left, in this life of the gateway.
    Unsubscribe(LogId, BootId),
    /// A node to the owner: the store has the log as far as this.
    TailSeen(LogId, u64),
}

impl PeerCall {
    /// Which log it is about.
    pub fn log(&self) -> &LogId {
        let (Self::Do { log, .. } | Self::Read { log, .. } | Self::Subscribe { log, .. }) = self;
        log
    }
    /// The call as bytes.
    pub fn encode(&self) -> Bytes {
        v1::PeerCall::from(self).encode_to_vec().into()
    }
    /// Reads what [`Self::encode`] wrote, here or in another build. A call that is not understood was not done.
    pub fn decode(bytes: Bytes) -> Result<Self, PeerError> {
        v1::PeerCall::decode(bytes)?.try_into()
    }
}

impl PeerAnswer {
    /// The answer as bytes.
    pub fn encode(&self) -> Bytes {
        v1::PeerAnswer::from(self).encode_to_vec().into()
    }
    /// Reads what [`Self::encode`] wrote, here or in another build. An answer that is not understood says nothing: what
    /// was asked for may have been done.
    pub fn decode(bytes: Bytes) -> Result<Self, PeerError> {
        v1::PeerAnswer::decode(bytes)?.try_into()
    }
}

impl PeerNotice {
    /// The notice as bytes.
    pub fn encode(&self) -> Bytes {
        v1::PeerNotice::from(self).encode_to_vec().into()
    }
    /// Reads what [`Self::encode`] wrote, here or in another build.
    pub fn decode(bytes: Bytes) -> Result<Self, PeerError> {
        v1::PeerNotice::decode(bytes)?.try_into()
    }
}

/// The bytes of a [`PeerNotice::Deliver`] of these events, to be made once and shared among all gateways.
///
/// Panics when they are not of one log: under the name of another they would reach its followers.
pub fn deliver_bytes(events: &[Arc<Delivery>]) -> Bytes {
    wire::deliver(events).encode_to_vec().into()
}
