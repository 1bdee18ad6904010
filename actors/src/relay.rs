//! A relay: one per gateway node. Events come in once and go on to the shards whose sessions listen.
//!
//! Owns: which logs have local listeners, and how far each has come.
//! Promises: each shard sees each log dense and in order; gaps are repaired once for all.
//! May lose: typing; events when its mailbox is full, until the next tail beacon finds the gap.
//! Never does: hold more than a bounded number of events for a gap, or wait for a session.

mod order;

use crate::channel::audience::GatewaySink;
use crate::delivery::Delivery;
use crate::hops::{Hop, Span};
use crate::router::Router;
use crate::shard::ShardMessage;
use crate::store::{LogId, READ_ROWS_MAX};
use cluster::host::Host;
use cluster::slots::Slot;
use order::{Arrived, Order};
use proto::id::{ChannelId, UserId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Wait before a read or a subscription that failed is tried again.
const TRIED_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Where a log stands when a session begins to follow it: its tail, or `None` when it cannot be followed now.
pub type FollowAnswer = oneshot::Sender<Option<u64>>;

/// What a relay is told.
pub enum RelayMessage {
    /// Events of one log, in order.
    Deliver(Arc<[Arc<Delivery>]>),
    /// Tails of logs that moved.
    Beacon(BTreeMap<LogId, u64>),
    /// Somebody types.
    Typing(LogId, UserId),
    /// A shard has its first listener of a log.
    Follow(LogId, usize, FollowAnswer),
    /// A shard's last listener of a log left.
    Unfollow(LogId, usize),
    /// The owner answered a subscription with the log's tail.
    Subscribed(LogId, Option<u64>),
    /// Actors of these slots have ended, and with them who listened there.
    Renew(BTreeSet<Slot>),
    /// Owners of these slots are not heard from, and nobody takes their place.
    Unheard(BTreeSet<Slot>),
    /// The owner's next actor answered a subscription with the log's tail; `None`: it could not.
    Renewed(LogId, Option<u64>),
    /// A gap was read; `None`: it could not be.
    Repaired(LogId, Option<(Vec<Arc<Delivery>>, u64)>),
}

/// One followed log.
#[derive(Default)]
struct Upstream {
    shards: Vec<usize>,
    order: Order,
    ready: bool,
    waiting: Vec<FollowAnswer>,
}

/// The relay's state.
pub struct Relay {
    host: Host,
    router: Router,
    sink: GatewaySink,
    name: Arc<str>,
    myself: mpsc::Sender<RelayMessage>,
    shards: Vec<mpsc::Sender<ShardMessage>>,
    logs: BTreeMap<LogId, Upstream>,
}

impl Relay {
    /// A relay of the gateway `name`; `myself` is its mailbox.
    pub fn new(
        host: Host,
        router: Router,
        name: &str,
        myself: mpsc::Sender<RelayMessage>,
        shards: Vec<mpsc::Sender<ShardMessage>>,
    ) -> Self {
        let sink = GatewaySink::new(name, myself.clone());
        Self { host, router, sink, name: name.into(), myself, shards, logs: BTreeMap::new() }
    }
    /// The way to this relay for channels' audiences.
    pub fn sink(&self) -> GatewaySink {
        self.sink.clone()
    }

    /// Runs until all senders are gone.
    pub async fn run(mut self, mut mailbox: mpsc::Receiver<RelayMessage>) {
        while let Some(message) = mailbox.recv().await {
            self.handle(message).await;
        }
    }

    async fn handle(&mut self, message: RelayMessage) {
        match message {
            RelayMessage::Deliver(events) => self.deliver(&events).await,
            RelayMessage::Beacon(tails) => {
                for (log, tail) in tails {
                    if let Some(upstream) = self.logs.get_mut(&log) {
                        let arrived = upstream.order.tail(tail);
                        self.act(&log, arrived).await;
                    }
                }
            }
            RelayMessage::Typing(log, user) => self.typing(&log, &user),
            RelayMessage::Follow(log, shard, answer) => self.follow(log, shard, answer),
            RelayMessage::Unfollow(log, shard) => self.unfollow(&log, shard),
            RelayMessage::Subscribed(log, tail) => self.subscribed(&log, tail).await,
            RelayMessage::Renew(slots) => {
                let lost = |log: &&LogId| slots.contains(&Router::slot(log));
                self.logs.keys().filter(lost).for_each(|log| self.renew(log.clone()));
            }
            RelayMessage::Unheard(slots) => self.unheard(&slots).await,
            RelayMessage::Renewed(log, tail) => self.renewed(log, tail).await,
            RelayMessage::Repaired(log, read) => {
                let Some(upstream) = self.logs.get_mut(&log) else { return };
                let arrived = upstream.order.repaired(read);
                self.act(&log, arrived).await;
            }
        }
    }

    async fn deliver(&mut self, events: &Arc<[Arc<Delivery>]>) {
        let Some(first) = events.first() else { return };
        let log = first.log.clone();
        let Some(upstream) = self.logs.get_mut(&log) else {
            // The owner was not told that nobody listens any more, or has not heard it yet.
            return self.router.unsubscribe(&log, self.name.clone());
        };
        let arrived = upstream.order.arrive(events);
        self.act(&log, arrived).await;
    }

    /// Passes on what is in order, and reads what is missing.
    async fn act(&mut self, log: &LogId, arrived: Arrived) {
        if !arrived.ready.is_empty() {
            let batch: Arc<[Arc<Delivery>]> = arrived.ready.into();
            self.router.hops().note(log, Span::of(&batch, Hop::Arrived, self.host.now_us(), 0));
            let shards = self.logs.get(log).map(|upstream| upstream.shards.clone()).unwrap_or_default();
            for shard in shards {
                // A shard never waits for a session, so this wait is short; it is what slows channels down when
                // this gateway has too much to do.
                let _ = self.shards[shard].send(ShardMessage::Events(batch.clone())).await;
            }
        }
        if let Some(after) = arrived.missing_after {
            metrics::counter!("waggle_relay_gaps_total").increment(1);
            let (router, myself, log) = (self.router.clone(), self.myself.clone(), log.clone());
            let host = self.host.clone();
            self.host.spawn("relay repair", async move {
                let read = router.read(&log, after, READ_ROWS_MAX).await;
                if read.is_err() {
                    host.sleep(TRIED_AGAIN_AFTER).await;
                }
                let read = read.ok().map(|replay| (replay.events, replay.tail));
                let _ = myself.send(RelayMessage::Repaired(log, read)).await;
            });
        }
    }

    fn typing(&self, log: &LogId, user: &UserId) {
        let Some(upstream) = self.logs.get(log) else { return };
        for shard in &upstream.shards {
            // Transient: dropped when there is no room.
            let _ = self.shards[*shard].try_send(ShardMessage::Typing(log.clone(), user.clone()));
        }
    }

    /// Sessions look up what the own logs of their users would have told them.
    async fn unheard(&self, slots: &BTreeSet<Slot>) {
        let is_own =
            |log: &LogId| matches!(log.channel, ChannelId::User(_)) && slots.contains(&Router::slot(log));
        for (log, upstream) in self.logs.iter().filter(|(log, _)| is_own(log)) {
            for shard in &upstream.shards {
                let _ = self.shards[*shard].send(ShardMessage::Unheard(log.clone())).await;
            }
        }
    }

    fn follow(&mut self, log: LogId, shard: usize, answer: FollowAnswer) {
        let upstream = self.logs.entry(log.clone()).or_default();
        let alone = upstream.shards.is_empty() && upstream.waiting.is_empty();
        let first = alone || cluster::planted!(TwoCopies);
        if !upstream.shards.contains(&shard) {
            upstream.shards.push(shard);
        }
        if upstream.ready {
            let _ = answer.send(Some(upstream.order.last()));
            return;
        }
        upstream.waiting.push(answer);
        if first {
            let (router, myself, sink) = (self.router.clone(), self.myself.clone(), self.sink.clone());
            self.host.spawn("relay subscribe", async move {
                let tail = router.subscribe(&log, &sink).await.ok();
                let _ = myself.send(RelayMessage::Subscribed(log, tail)).await;
            });
        }
    }

    async fn subscribed(&mut self, log: &LogId, tail: Option<u64>) {
        let Some(upstream) = self.logs.get_mut(log) else {
            return self.router.unsubscribe(log, self.name.clone());
        };
        let Some(tail) = tail else {
            self.logs.remove(log);
            // The owner may have entered this gateway before it failed to answer.
            return self.router.unsubscribe(log, self.name.clone());
        };
        upstream.ready = true;
        upstream.order.start(tail);
        let last = upstream.order.last();
        std::mem::take(&mut upstream.waiting).into_iter().for_each(|answer| _ = answer.send(Some(last)));
        // An event of an earlier subscription may have come first: what followed it then is missing.
        let arrived = upstream.order.tail(tail);
        self.act(log, arrived).await;
    }

    fn renew(&self, log: LogId) {
        let (router, myself, sink) = (self.router.clone(), self.myself.clone(), self.sink.clone());
        let host = self.host.clone();
        self.host.spawn("relay renewal", async move {
            let tail = router.subscribe(&log, &sink).await.ok();
            if tail.is_none() {
                host.sleep(TRIED_AGAIN_AFTER).await;
            }
            let _ = myself.send(RelayMessage::Renewed(log, tail)).await;
        });
    }

    /// What went by meanwhile is missing now.
    async fn renewed(&mut self, log: LogId, tail: Option<u64>) {
        let Some(upstream) = self.logs.get_mut(&log) else {
            return self.router.unsubscribe(&log, self.name.clone());
        };
        match tail {
            Some(tail) => {
                let arrived = upstream.order.tail(tail);
                self.act(&log, arrived).await;
            }
            None => self.renew(log),
        }
    }

    fn unfollow(&mut self, log: &LogId, shard: usize) {
        let Some(upstream) = self.logs.get_mut(log) else { return };
        upstream.shards.retain(|known| *known != shard);
        if upstream.shards.is_empty() && upstream.waiting.is_empty() {
            self.logs.remove(log);
            if !cluster::planted!(NeverUnsubscribes) {
                self.router.unsubscribe(log, self.name.clone());
            }
        }
    }
}
