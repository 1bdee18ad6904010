//! Links within one process: the reference that [`crate::link::contract`] is written against. No time passes
//! and nothing is lost unless a link is cut; everything is encoded and decoded as on a wire.

use crate::{
    link::{
        Class, DownReason, LinkConfig, LinkError, LinkEvent, Links,
        codec::{Decoder, encode},
        hello,
        inbox::Inbox,
        lane::Lane,
        roles::Roles,
    },
    node::{Node, NodeId},
};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// A node's place in the network.
struct End {
    node: Node,
    /// What its peers take for proved.
    roles: Roles,
    inbox: Inbox,
    wake: Arc<Notify>,
}

/// A side of a connection, with the decoder of what comes to it.
struct Side {
    lane: Lane,
    decoder: Decoder,
}

/// All ends and connections; a connection is two sides, by (own, peer).
struct Network {
    config: LinkConfig,
    ends: BTreeMap<NodeId, End>,
    sides: BTreeMap<(NodeId, NodeId), Side>,
    cuts: BTreeSet<(NodeId, NodeId)>,
}

impl Network {
    /// Connects two ends if both are there, no cut is between them and they are not connected.
    fn connect(&mut self, a: &NodeId, b: &NodeId) {
        let there = self.ends.contains_key(a) && self.ends.contains_key(b);
        let apart = self.cuts.contains(&pair(a, b)) || self.sides.contains_key(&(a.clone(), b.clone()));
        if a == b || !there || apart {
            return;
        }
        for (own, peer) in [(a, b), (b, a)] {
            let lane = Lane::new(self.config, Duration::ZERO);
            let mut decoder = Decoder::new(&self.config);
            decoder.buffer().extend_from_slice(&encode(&hello::hello(&self.ends[peer].node, 0)));
            let said = decoder.hello().ok().flatten().and_then(|said| hello::peer(&said).ok());
            let boot = said.expect("this build reads its own hello").boot;
            let roles = self.ends[peer].roles;
            self.sides.insert((own.clone(), peer.clone()), Side { lane, decoder });
            self.hear(own, |inbox| inbox.up(peer, boot, roles));
        }
    }
    /// Ends the connection between two ends.
    fn disconnect(&mut self, a: &NodeId, b: &NodeId, reason: DownReason) {
        for (own, peer) in [(a, b), (b, a)] {
            if self.sides.remove(&(own.clone(), peer.clone())).is_some() {
                self.hear(own, |inbox| inbox.down(peer, reason.clone()));
            }
        }
    }
    /// Moves batches both ways until neither side has anything to say.
    fn pump(&mut self, a: &NodeId, b: &NodeId) {
        while self.carry(a, b) | self.carry(b, a) {}
    }
    /// Carries one batch; true if there was one.
    fn carry(&mut self, from: &NodeId, to: &NodeId) -> bool {
        let side = self.sides.get_mut(&(from.clone(), to.clone()));
        let Some(batch) = side.and_then(|side| side.lane.fill(Duration::ZERO)) else { return false };
        let Some(side) = self.sides.get_mut(&(to.clone(), from.clone())) else { return false };
        side.decoder.buffer().extend_from_slice(&encode(&batch));
        let read = side.decoder.batch().map_err(|error| error.to_string());
        let taken = read.and_then(|batch| {
            let batch = batch.ok_or("the batch was cut short")?;
            side.lane.take(batch, Duration::ZERO).map_err(|fault| fault.to_string())
        });
        match taken {
            Ok(frames) => self.hear(to, |inbox| {
                frames.into_iter().for_each(|(class, payload)| inbox.frame(from, class, payload));
            }),
            Err(why) => self.disconnect(from, to, DownReason::Broken(why)),
        }
        true
    }
    fn hear(&mut self, node: &NodeId, what: impl FnOnce(&mut Inbox)) {
        if let Some(end) = self.ends.get_mut(node) {
            what(&mut end.inbox);
            end.wake.notify_one();
        }
    }
    fn leave(&mut self, node: &NodeId, reason: DownReason) {
        let peers: Vec<NodeId> = self.ends.keys().cloned().collect();
        peers.iter().for_each(|peer| self.disconnect(node, peer, reason.clone()));
        if let Some(end) = self.ends.remove(node) {
            end.wake.notify_one();
        }
    }
}

fn pair(a: &NodeId, b: &NodeId) -> (NodeId, NodeId) {
    (a.min(b).clone(), a.max(b).clone())
}

/// The network that in-process nodes join.
#[derive(Clone)]
pub struct MemoryNetwork(Arc<Mutex<Network>>);

impl MemoryNetwork {
    /// A network without nodes.
    pub fn new(config: LinkConfig) -> Self {
        let (ends, sides, cuts) = Default::default();
        Self(Arc::new(Mutex::new(Network { config, ends, sides, cuts })))
    }
    /// Joins as this life of a node, connected to all others that are not cut off; an earlier life leaves.
    pub fn join(&self, node: Node) -> MemoryLinks {
        self.join_proved(node, Roles::ALL)
    }
    /// The same as a node that proves to have these roles.
    pub fn join_proved(&self, node: Node, roles: Roles) -> MemoryLinks {
        let mut network = self.lock();
        network.leave(&node.id, DownReason::Replaced);
        let wake = Arc::new(Notify::new());
        let end = End { node: node.clone(), roles, inbox: Inbox::default(), wake: Arc::clone(&wake) };
        network.ends.insert(node.id.clone(), end);
        let peers: Vec<NodeId> = network.ends.keys().cloned().collect();
        peers.iter().for_each(|peer| network.connect(&node.id, peer));
        drop(network);
        MemoryLinks { network: self.clone(), node, wake }
    }
    /// Cuts the link between two nodes.
    pub fn cut(&self, a: &NodeId, b: &NodeId) {
        let mut network = self.lock();
        network.cuts.insert(pair(a, b));
        network.disconnect(a, b, DownReason::Closed);
    }
    /// Mends a cut.
    pub fn heal(&self, a: &NodeId, b: &NodeId) {
        let mut network = self.lock();
        network.cuts.remove(&pair(a, b));
        network.connect(a, b);
    }
    fn lock(&self) -> MutexGuard<'_, Network> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A node's links in a [`MemoryNetwork`]. They close when a later life of the node joins.
pub struct MemoryLinks {
    network: MemoryNetwork,
    node: Node,
    wake: Arc<Notify>,
}

impl MemoryLinks {
    /// The next event, if there is one now; `Err` once closed.
    fn poll(&self) -> Result<Option<LinkEvent>, ()> {
        let mut network = self.network.lock();
        let end = network.ends.get_mut(&self.node.id).filter(|end| end.node == self.node).ok_or(())?;
        let event = end.inbox.pop();
        if let Some(LinkEvent::Frame { from, class, payload }) = &event {
            let own = (self.node.id.clone(), from.clone());
            if let Some(side) = network.sides.get_mut(&own) {
                side.lane.consumed(*class, payload);
            }
            network.pump(&own.0, &own.1);
        }
        Ok(event)
    }
}

impl Links for MemoryLinks {
    fn send(&self, peer: &NodeId, class: Class, payload: Bytes) -> Result<(), LinkError> {
        let mut network = self.network.lock();
        let alive = network.ends.get(&self.node.id).is_some_and(|end| end.node == self.node);
        let own = (self.node.id.clone(), peer.clone());
        let side = network.sides.get_mut(&own).filter(|_| alive).ok_or(LinkError::Down)?;
        side.lane.push(class, payload)?;
        network.pump(&own.0, &own.1);
        Ok(())
    }
    fn next(&self) -> BoxFuture<'_, Option<LinkEvent>> {
        Box::pin(async move {
            loop {
                match self.poll() {
                    Err(()) => return None,
                    Ok(Some(event)) => return Some(event),
                    Ok(None) => self.wake.notified().await,
                }
            }
        })
    }
}

#[cfg(test)]
mod tests;
