//! The gateway of a node: seats for sessions on its shards.
//!
//! Owns: how many sessions there are and where.
//! Promises: no more sessions than the limit; each one's beginning and end is counted.
//! May lose: nothing; sessions keep themselves.
//! Never does: open a socket.

use crate::context::Context;
use crate::gate::{Gate, Permit};
use crate::shard::{GoAway, ShardMessage};
use proto::refusal::Refusal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// Room for one session.
pub struct Seat {
    gateway: Gateway,
    number: usize,
    _permit: Permit,
}

impl Seat {
    /// The shard on which the session has to run.
    pub fn shard(&self) -> usize {
        self.number
    }
    /// That shard's mailbox.
    pub(crate) fn shard_mailbox(&self) -> &mpsc::Sender<ShardMessage> {
        &self.gateway.0.shards[self.number]
    }
    /// What sessions share.
    pub fn context(&self) -> &Context {
        &self.gateway.0.context
    }
    /// The node's name.
    pub(crate) fn node(&self) -> &str {
        &self.gateway.0.node
    }
    /// Which start of the node this is.
    pub(crate) fn boot(&self) -> u64 {
        self.gateway.0.boot
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.gateway.0.active.decrement(1.0);
    }
}

struct Shared {
    context: Context,
    shards: Vec<mpsc::Sender<ShardMessage>>,
    node: Arc<str>,
    boot: u64,
    gate: Gate,
    active: metrics::Gauge,
    next: AtomicUsize,
    closed: AtomicBool,
    away: AtomicBool,
}

/// Hands out seats. Cheap to clone.
#[derive(Clone)]
pub struct Gateway(Arc<Shared>);

impl Gateway {
    /// A gateway over these shards, for at most `sessions_max` sessions.
    pub fn new(
        context: Context,
        shards: Vec<mpsc::Sender<ShardMessage>>,
        node: &str,
        boot: u64,
        sessions_max: usize,
    ) -> Self {
        let gate = Gate::new(sessions_max);
        let (region, gateway) = ("0", node.to_owned());
        let active = metrics::gauge!("ws_connections_active", "region" => region, "gateway_id" => gateway);
        let (next, closed, away) = Default::default();
        Self(Arc::new(Shared { context, shards, node: node.into(), boot, gate, active, next, closed, away }))
    }
    /// A seat on the next shard in turn.
    pub fn seat(&self) -> Result<Seat, Refusal> {
        if self.0.closed.load(Ordering::Acquire) {
            return Err(Refusal::Unavailable("the node stops".into()));
        }
        if self.is_away() {
            return Err(Refusal::Unavailable("the node is cut off from others of its cell".into()));
        }
        let Some(permit) = self.0.gate.enter() else {
            metrics::counter!("waggle_sessions_refused_total").increment(1);
            return Err(Refusal::Busy { retry_after_ms: 1000 });
        };
        let number = self.0.next.fetch_add(1, Ordering::Relaxed) % self.0.shards.len();
        self.0.active.increment(1.0);
        Ok(Seat { gateway: self.clone(), number, _permit: permit })
    }
    /// Sessions that are open.
    pub fn sessions(&self) -> usize {
        self.0.gate.inside()
    }
    /// No new sessions; those that are open are told to leave, each with its turn.
    pub async fn drain(&self, leave: &GoAway) {
        self.0.closed.store(true, Ordering::Release);
        self.tell_shards(|| ShardMessage::GoAway(leave.clone())).await;
    }
    /// The same for now: until [`Self::welcome`].
    pub async fn send_away(&self, leave: &GoAway) {
        self.0.away.store(true, Ordering::Release);
        self.tell_shards(|| ShardMessage::GoAway(leave.clone())).await;
    }
    /// Sessions that were sent away for this reason may come again, unless the node stops meanwhile.
    pub async fn welcome(&self, reason: &'static str) {
        self.tell_shards(|| ShardMessage::Welcome(reason)).await;
        self.0.away.store(false, Ordering::Release);
    }
    /// Whether sessions are sent away for now.
    pub fn is_away(&self) -> bool {
        self.0.away.load(Ordering::Acquire)
    }
    async fn tell_shards(&self, message: impl Fn() -> ShardMessage) {
        for shard in &self.0.shards {
            let _ = shard.send(message()).await; // a shard ends with its node
        }
    }
}
