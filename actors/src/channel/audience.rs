//! Who gets a channel's events: gateway nodes with at least one listener. One copy each, whatever the listeners.

use crate::delivery::Delivery;
use crate::peer::{PeerNotice, deliver_bytes};
use crate::peers::Peer;
use crate::relay::RelayMessage;
use crate::store::LogId;
use bytes::Bytes;
use proto::id::UserId;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering::Relaxed},
};
use tokio::sync::mpsc;

/// Tails that moved since the last beacon, by log.
type Moved = Arc<Mutex<BTreeMap<LogId, u64>>>;

/// Most logs of one beacon; more wait for the next one.
const BEACON_LOGS_MAX: usize = 4096;

/// The way to one gateway node's relay. Bounded: what does not fit is found again by the next tail beacon.
#[derive(Clone, Debug)]
pub struct GatewaySink {
    name: Arc<str>,
    way: Way,
    moved: Moved,
    /// The gateway is gone, or has gone by another connection: whoever still is about to enter it does not.
    is_over: Arc<AtomicBool>,
}

#[derive(Clone, Debug)]
enum Way {
    /// On this node.
    Here(mpsc::Sender<RelayMessage>),
    /// On another.
    There(Peer),
}

/// Events on their way to several gateways; as bytes when the first one is on another node.
struct Batch<'a> {
    events: &'a Arc<[Arc<Delivery>]>,
    bytes: OnceCell<Bytes>,
}

impl GatewaySink {
    /// A sink into a relay's mailbox.
    pub fn new(name: &str, relay: mpsc::Sender<RelayMessage>) -> Self {
        Self::by(name.into(), Way::Here(relay))
    }
    /// A sink to the relay of another node.
    pub fn to(peer: Peer) -> Self {
        Self::by(peer.node().as_str().into(), Way::There(peer))
    }
    fn by(name: Arc<str>, way: Way) -> Self {
        Self { name, way, moved: Moved::default(), is_over: Arc::default() }
    }
    /// From here on nobody enters it into an audience; from those that have it already it is to be removed after that.
    pub fn end(&self) {
        self.is_over.store(true, Relaxed);
    }
    /// Whether it has ended. A subscription may have waited for a claim to be confirmed, longer than its gateway lived.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }
    fn moved(&self) -> std::sync::MutexGuard<'_, BTreeMap<LogId, u64>> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn deliver(&self, log: &LogId, batch: &Batch<'_>, tail: u64) {
        self.moved().insert(log.clone(), tail);
        let fits = match &self.way {
            Way::Here(relay) => relay.try_send(RelayMessage::Deliver(batch.events.clone())).is_ok(),
            Way::There(peer) => peer.deliver(batch.bytes.get_or_init(|| deliver_bytes(batch.events)).clone()),
        };
        if !fits {
            metrics::counter!("waggle_relay_overflow_total").increment(1);
        }
    }
    /// Tells the relay the tails that moved since the last time.
    pub fn beacon(&self) {
        let mut moved = self.moved();
        let mut tails = std::mem::take(&mut *moved);
        if tails.len() > BEACON_LOGS_MAX
            && let Some(split) = tails.keys().nth(BEACON_LOGS_MAX).cloned()
        {
            *moved = tails.split_off(&split);
        }
        if tails.is_empty() || cluster::planted!(NoTailBeacon) {
            return;
        }
        let unsaid = match &self.way {
            Way::Here(relay) => match relay.try_send(RelayMessage::Beacon(tails)) {
                Err(mpsc::error::TrySendError::Full(RelayMessage::Beacon(tails))) => tails,
                _ => return,
            },
            Way::There(peer) => {
                let notice = PeerNotice::Beacon(tails);
                match (peer.tell(&notice), notice) {
                    (false, PeerNotice::Beacon(tails)) => tails,
                    _ => return,
                }
            }
        };
        for (log, tail) in unsaid {
            moved.entry(log).or_insert(tail);
        }
    }
    /// Typing is transient: what does not fit is dropped.
    fn typing(&self, log: &LogId, user: &UserId) {
        let (log, user) = (log.clone(), user.clone());
        match &self.way {
            Way::Here(relay) => drop(relay.try_send(RelayMessage::Typing(log, user))),
            Way::There(peer) => drop(peer.tell(&PeerNotice::Typed(log, user))),
        }
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
    /// One copy to each gateway; how many those are (I9).
    pub fn spread(&self, log: &LogId, events: &Arc<[Arc<Delivery>]>, tail: u64) -> usize {
        let (sinks, batch) = (self.sinks(), Batch { events, bytes: OnceCell::new() });
        sinks.iter().for_each(|sink| sink.deliver(log, &batch, tail));
        metrics::counter!("waggle_fanout_copies_total").increment(sinks.len() as u64);
        sinks.len()
    }
    /// The tail, for gateways that may have missed events: they compare and ask.
    pub fn remind(&self, log: &LogId, tail: u64) {
        for sink in self.sinks().iter() {
            sink.moved().insert(log.clone(), tail);
        }
    }
    /// Somebody types.
    pub fn typing(&self, log: &LogId, user: &UserId) {
        self.sinks().iter().for_each(|sink| sink.typing(log, user));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_entered_once() {
        let (relay, _heard) = mpsc::channel(1);
        let (audience, sink) = (Audience::default(), GatewaySink::new("g", relay));
        audience.add(sink.clone());
        audience.add(sink);
        assert_eq!(audience.sinks().len(), 1);
        audience.remove("g");
        assert!(audience.is_empty());
    }
}
