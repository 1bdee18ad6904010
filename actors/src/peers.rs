//! Other nodes: what this one asks the owners of channels for, and what it does for the gateways that ask it.
//!
//! Owns: a way to each gateway that listens here.
//! Promises: a call is done by an owner or answered with who that is; each gateway has one way, whatever it listens to.
//! May lose: notices; a gateway whose link was down subscribes again.
//! Never does: forward what was forwarded to it.

use crate::channel::audience::GatewaySink;
use crate::peer::{PeerAnswer, PeerCall, PeerError, PeerNotice};
use crate::relay::RelayMessage;
use crate::router::Router;
use crate::store::StoreError;
use bytes::Bytes;
use cluster::link::Class;
use cluster::node::{BootId, NodeId};
use cluster::slots::Slot;
use cluster::switchboard::{CallError, Linked, Service, Switchboard};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// The switchboard's number of this service.
pub const CHANNELS: u32 = 1;
/// An owner answers within this long, or its answer is taken for lost: a store that hangs gives up before.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Another node, in one of its lives. Cheap to clone.
#[derive(Clone)]
pub struct Peer {
    node: NodeId,
    board: Switchboard,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer({})", self.node)
    }
}

impl Peer {
    /// Which one.
    pub fn node(&self) -> &NodeId {
        &self.node
    }
    /// Tells it something; false when there is no room on the way or no link.
    pub fn tell(&self, notice: &PeerNotice) -> bool {
        // The end of a subscription must not arrive behind the next one, which is a call.
        let class = if matches!(notice, PeerNotice::Unsubscribe(..)) { Class::Urgent } else { Class::Normal };
        self.board.notify(&self.node, class, CHANNELS, notice.encode()).is_ok()
    }
    /// Passes events on that were encoded before.
    pub fn deliver(&self, events: Bytes) -> bool {
        self.board.notify(&self.node, Class::Normal, CHANNELS, events).is_ok()
    }
}

/// Why an owner's answer did not come. Nothing is known about what became of the call, unless it is harmless.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The switchboard says so.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A later build's answer.
    #[error("the answer is not understood: {0}")]
    Answer(#[from] PeerError),
}

impl AskError {
    /// Whether the peer certainly did nothing.
    pub fn is_harmless(&self) -> bool {
        matches!(self, Self::Call(error) if error.is_harmless())
    }
}

/// All other nodes. Cheap to clone.
#[derive(Clone)]
pub struct Peers(Arc<Shared>);

struct Shared {
    board: Switchboard,
    /// This life of this node.
    boot: BootId,
    /// Gateways that listen here.
    gateways: Mutex<BTreeMap<NodeId, Listening>>,
}

/// A gateway that listens, in one of its lives.
struct Listening {
    boot: BootId,
    sink: GatewaySink,
    /// Slots in which it has to listen again, and was not told yet.
    anew: BTreeSet<Slot>,
}

impl Drop for Listening {
    /// It listens by this connection no more.
    fn drop(&mut self) {
        self.sink.end();
    }
}

impl Peers {
    /// The peers that a switchboard reaches.
    pub fn new(board: Switchboard, boot: BootId) -> Self {
        Self(Arc::new(Shared { board, boot, gateways: Mutex::default() }))
    }
    /// This life of this node.
    pub fn boot(&self) -> BootId {
        self.0.boot
    }
    /// The way to a node.
    pub fn peer(&self, node: &NodeId) -> Peer {
        Peer { node: node.clone(), board: self.0.board.clone() }
    }
    /// Asks an owner. It is on its way, behind what it was asked before, when this returns.
    pub fn ask(
        &self,
        node: &NodeId,
        call: &PeerCall,
    ) -> impl Future<Output = Result<PeerAnswer, AskError>> + Send + use<> {
        let answer = self.0.board.call(node, Class::Urgent, CHANNELS, call.encode(), ANSWER_WITHIN);
        async move { Ok(PeerAnswer::decode(answer.await?)?) }
    }
    /// Tells all gateways that listen here the tails that moved, and slots in which they were not told to listen again.
    pub fn beacon(&self) {
        let sinks: Vec<GatewaySink> = self.gateways().values().map(|known| known.sink.clone()).collect();
        sinks.iter().for_each(GatewaySink::beacon);
        self.tell_anew();
    }
    /// The actors of these slots have ended, and with them who listened there: all gateways subscribe again. Whoever
    /// cannot be told now is told with a next beacon.
    pub fn slots_anew(&self, slots: &BTreeSet<Slot>) {
        self.gateways().values_mut().for_each(|known| known.anew.extend(slots));
        self.tell_anew();
    }
    fn tell_anew(&self) {
        for (node, known) in self.gateways().iter_mut().filter(|(_, known)| !known.anew.is_empty()) {
            let is_told = self.peer(node).tell(&PeerNotice::SlotsAnew(known.anew.clone()));
            if is_told {
                known.anew.clear();
            }
        }
    }

    fn gateways(&self) -> MutexGuard<'_, BTreeMap<NodeId, Listening>> {
        self.0.gateways.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// The way to a gateway that listens.
    fn gateway(&self, node: &NodeId, boot: BootId) -> GatewaySink {
        let mut gateways = self.gateways();
        match gateways.get(node) {
            Some(known) if known.boot == boot => known.sink.clone(),
            _ => {
                let sink = GatewaySink::to(self.peer(node));
                let listening = Listening { boot, sink: sink.clone(), anew: BTreeSet::new() };
                gateways.insert(node.clone(), listening);
                sink
            }
        }
    }
    /// Whether that life of a gateway is the one that listens here.
    fn is_present(&self, node: &NodeId, boot: BootId) -> bool {
        self.gateways().get(node).is_some_and(|known| known.boot == boot)
    }
}

/// What this node does for others.
pub struct PeerService {
    peers: Peers,
    router: Router,
    relay: mpsc::Sender<RelayMessage>,
}

impl PeerService {
    /// A service over this node's channels and its relay.
    pub fn new(peers: Peers, router: Router, relay: mpsc::Sender<RelayMessage>) -> Self {
        Self { peers, router, relay }
    }

    fn answer(&self, from: &NodeId, call: PeerCall) -> BoxFuture<'static, PeerAnswer> {
        let log = call.log();
        let slot = Router::slot(log);
        if !self.router.is_here(slot) {
            let owner = self.router.table().now().owner(slot).cloned();
            return async move { PeerAnswer::NotOwner { slot, owner } }.boxed();
        }
        let router = self.router.clone();
        match call {
            PeerCall::Do { log, command, .. } => {
                let (reply, done) = oneshot::channel();
                router.submit_here(&log, command, Box::new(reply));
                let answer = move |done| match done {
                    Ok(Ok(done)) => PeerAnswer::Done(done),
                    Ok(Err(refusal)) if router.is_final(slot, &refusal) => PeerAnswer::Refused(refusal),
                    _ => PeerAnswer::Lost,
                };
                done.map(answer).boxed()
            }
            PeerCall::Read { log, after, limit, .. } => async move {
                router.read_here(&log, after, limit).await.map_or_else(
                    PeerAnswer::StoreError,
                    |mut replay| {
                        if cluster::planted!(PeerReplaySkipsFirst) && replay.events.len() > 1 {
                            replay.events.remove(0);
                        }
                        PeerAnswer::Replay(replay)
                    },
                )
            }
            .boxed(),
            PeerCall::Subscribe { log, boot, .. } => {
                let sink = self.peers.gateway(from, boot);
                async move {
                    let tail = router.subscribe_here(&log, &sink).await;
                    tail.map_or_else(PeerAnswer::StoreError, PeerAnswer::Tail)
                }
                .boxed()
            }
        }
    }

    /// No beacon would find what is missed without a subscription: the relay is told for certain.
    fn listen_anew(&self, slots: BTreeSet<Slot>) {
        let relay = self.relay.clone();
        self.router.host().spawn("listen anew", async move {
            let _ = relay.send(RelayMessage::Renew(slots)).await;
        });
    }

    fn told(&self, from: &NodeId, notice: PeerNotice) {
        // A relay whose mailbox is full finds what it missed by the next beacon.
        let relay = |message| drop(self.relay.try_send(message));
        match notice {
            PeerNotice::Deliver(events) => relay(RelayMessage::Deliver(events)),
            PeerNotice::Beacon(tails) => relay(RelayMessage::Beacon(tails)),
            PeerNotice::Typed(log, user) => relay(RelayMessage::Typing(log, user)),
            PeerNotice::SlotsAnew(slots) => self.listen_anew(slots),
            PeerNotice::Typing(log, user) => self.router.typing_here(&log, user),
            PeerNotice::Unsubscribe(log, boot) => {
                if self.peers.is_present(from, boot) {
                    self.router.unsubscribe_here(&log, from.as_str().into());
                }
            }
            PeerNotice::TailSeen(log, tail) => self.router.tail_seen_here(&log, tail),
        }
    }
}

impl Service for PeerService {
    fn call(&self, from: &NodeId, body: Bytes) -> BoxFuture<'static, Bytes> {
        let answer = match PeerCall::decode(body) {
            Ok(call) => self.answer(from, call),
            Err(error) => {
                tracing::warn!(peer = %from, %error, "call not understood");
                let refused = StoreError::Unavailable(format!("the call is not understood: {error}"));
                async move { PeerAnswer::StoreError(refused) }.boxed()
            }
        };
        answer.map(|answer| answer.encode()).boxed()
    }

    fn notice(&self, from: &NodeId, body: Bytes) {
        match PeerNotice::decode(body) {
            Ok(notice) => self.told(from, notice),
            Err(error) => tracing::warn!(peer = %from, %error, "notice not understood"),
        }
    }

    fn peer(&self, peer: &NodeId, up: Option<Linked>) {
        match up {
            // What its channels told meanwhile did not come: listen anew.
            Some(_) if cluster::planted!(NotRenewedOnLink) => {}
            Some(_) => self.listen_anew(self.router.slots_of(peer)),
            // It listens anew when it is back.
            None => {
                self.peers.gateways().remove(peer);
                self.router.forget_gateway(peer);
            }
        }
    }
}
