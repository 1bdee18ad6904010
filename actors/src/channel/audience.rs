//! Who gets a channel's events: gateway nodes with at least one listener. One copy each, whatever the listeners.

use crate::delivery::Delivery;
use crate::relay::RelayMessage;
use crate::store::LogId;
use proto::id::UserId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Tails that moved since the last beacon, by log.
type Moved = Arc<Mutex<BTreeMap<LogId, u64>>>;

/// Most logs of one beacon; more wait for the next one.
const BEACON_LOGS_MAX: usize = 4096;

/// The way to one gateway node's relay. Bounded: what does not fit is found again by the next tail beacon.
#[derive(Clone, Debug)]
pub struct GatewaySink {
    name: Arc<str>,
    relay: mpsc::Sender<RelayMessage>,
    moved: Moved,
}

impl GatewaySink {
    /// A sink into a relay's mailbox.
    pub fn new(name: &str, relay: mpsc::Sender<RelayMessage>) -> Self {
        Self { name: name.into(), relay, moved: Moved::default() }
    }
    fn deliver(&self, log: &LogId, events: &Arc<[Arc<Delivery>]>, tail: u64) {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).insert(log.clone(), tail);
        if self.relay.try_send(RelayMessage::Deliver(events.clone())).is_err() {
            metrics::counter!("waggle_relay_overflow_total").increment(1);
        }
    }
    /// Tells the relay the tails that moved since the last time.
    pub fn beacon(&self) {
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tails = std::mem::take(&mut *moved);
        if tails.len() > BEACON_LOGS_MAX
            && let Some(split) = tails.keys().nth(BEACON_LOGS_MAX).cloned()
        {
            *moved = tails.split_off(&split);
        }
        if tails.is_empty() || cluster::planted!(NoTailBeacon) {
            return;
        }
        if let Err(mpsc::error::TrySendError::Full(RelayMessage::Beacon(tails))) =
            self.relay.try_send(RelayMessage::Beacon(tails))
        {
            for (log, tail) in tails {
                moved.entry(log).or_insert(tail);
            }
        }
    }
    fn typing(&self, log: &LogId, user: &UserId) {
        // Typing is transient: what does not fit is dropped.
        let _ = self.relay.try_send(RelayMessage::Typing(log.clone(), user.clone()));
    }
}

/// The gateways that listen. Shared between a slot and the channel's actor, so that a panic of the actor does not
/// forget who listens.
#[derive(Debug, Default)]
pub struct Audience(Mutex<Vec<GatewaySink>>);

impl Audience {
    fn sinks(&self) -> std::sync::MutexGuard<'_, Vec<GatewaySink>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// A gateway has its first listener. Twice is once.
    pub fn add(&self, sink: GatewaySink) {
        let mut sinks = self.sinks();
        if !cluster::planted!(TwoCopies) {
            sinks.retain(|known| known.name != sink.name);
        }
        sinks.push(sink);
    }
    /// A gateway's last listener left.
    pub fn remove(&self, name: &str) {
        self.sinks().retain(|known| &*known.name != name);
    }
    /// Nobody listens.
    pub fn is_empty(&self) -> bool {
        self.sinks().is_empty()
    }
    /// One copy to each gateway.
    pub fn spread(&self, log: &LogId, events: &Arc<[Arc<Delivery>]>, tail: u64) {
        let sinks = self.sinks();
        sinks.iter().for_each(|sink| sink.deliver(log, events, tail));
        metrics::counter!("waggle_fanout_copies_total").increment(sinks.len() as u64);
    }
    /// The tail, for gateways that may have missed events: they compare and ask.
    pub fn remind(&self, log: &LogId, tail: u64) {
        for sink in self.sinks().iter() {
            sink.moved.lock().unwrap_or_else(PoisonError::into_inner).insert(log.clone(), tail);
        }
    }
    /// Somebody types.
    pub fn typing(&self, log: &LogId, user: &UserId) {
        self.sinks().iter().for_each(|sink| sink.typing(log, user));
    }
}
