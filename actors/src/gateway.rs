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
    pub(crate) context: Context,
    pub(crate) shard: mpsc::Sender<ShardMessage>,
    pub(crate) node: Arc<str>,
    pub(crate) boot: u64,
    number: usize,
    _permit: Permit,
    active: metrics::Gauge,
}

impl Seat {
    /// The shard on which the session has to run.
    pub fn shard(&self) -> usize {
        self.number
    }
    /// What sessions share.
    pub fn context(&self) -> &Context {
        &self.context
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.active.decrement(1.0);
    }
}

struct Shared {
    context: Context,
    shards: Vec<mpsc::Sender<ShardMessage>>,
    node: Arc<str>,
    boot: u64,
    gate: Gate,
    next: AtomicUsize,
    closed: AtomicBool,
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
        let (next, closed) = (AtomicUsize::new(0), AtomicBool::new(false));
        Self(Arc::new(Shared { context, shards, node: node.into(), boot, gate, next, closed }))
    }
    /// A seat on the next shard in turn.
    pub fn seat(&self) -> Result<Seat, Refusal> {
        if self.0.closed.load(Ordering::Acquire) {
            return Err(Refusal::Unavailable("the node stops".into()));
        }
        let Some(permit) = self.0.gate.enter() else {
            metrics::counter!("waggle_sessions_refused_total").increment(1);
            return Err(Refusal::Busy { retry_after_ms: 1000 });
        };
        let number = self.0.next.fetch_add(1, Ordering::Relaxed) % self.0.shards.len();
        let (region, gateway) = ("0", self.0.node.to_string());
        let active = metrics::gauge!("ws_connections_active", "region" => region, "gateway_id" => gateway);
        active.increment(1.0);
        Ok(Seat {
            context: self.0.context.clone(),
            shard: self.0.shards[number].clone(),
            node: self.0.node.clone(),
            boot: self.0.boot,
            number,
            _permit: permit,
            active,
        })
    }
    /// Sessions that are open.
    pub fn sessions(&self) -> usize {
        self.0.gate.inside()
    }
    /// No new sessions; those that are open are told to leave, each with its turn.
    pub async fn drain(&self, leave: &GoAway) {
        self.0.closed.store(true, Ordering::Release);
        for shard in &self.0.shards {
            let _ = shard.send(ShardMessage::GoAway(leave.clone())).await;
        }
    }
}
