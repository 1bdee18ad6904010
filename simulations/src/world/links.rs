//! Links between virtual nodes: the cluster's lanes, codec and inbox over the world's streams.
//!
//! Of two nodes the one with the lower name dials. Latency, cuts, resets and crashes are the network's; here only
//! connections are made, carried and made again.

mod carry;

use crate::world::{
    World,
    links::carry::{Connection, carry},
    machine::{Life, MachineId},
    network::Listener,
};
use bytes::Bytes;
use cluster::{
    host::Host,
    link::{Class, DownReason, LinkConfig, LinkError, LinkEvent, Links, inbox::Inbox, lane::Lane},
    node::{BootId, Node, NodeId},
};
use futures::future::BoxFuture;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// Port on which nodes meet.
pub const PORT: u16 = 7000;

/// A node's links; they close when its life ends.
pub struct SimLinks(Arc<Shared>);

/// What the tasks of a node's links share.
struct Shared {
    world: World,
    life: Life,
    host: Host,
    node: Node,
    config: LinkConfig,
    state: Mutex<State>,
    heard: Notify,
}

#[derive(Default)]
struct State {
    inbox: Inbox,
    connections: BTreeMap<NodeId, Connection>,
    made: u64,
}

impl SimLinks {
    /// Joins `peers` (the node itself may be among them) from a running machine, as this life of a node.
    pub fn join(
        world: &World,
        machine: MachineId,
        host: &Host,
        node: Node,
        config: LinkConfig,
        peers: &BTreeMap<NodeId, MachineId>,
    ) -> Self {
        let life = world.life(machine).expect("only a running machine joins");
        let shared = Arc::new(Shared {
            world: world.clone(),
            life,
            host: host.clone(),
            node,
            config,
            state: Mutex::default(),
            heard: Notify::new(),
        });
        let closed = shared.clone();
        world.on_crash(machine, move |_| closed.heard.notify_one());
        host.spawn("links accept", accept(shared.clone(), world.listen(machine, PORT)));
        for (peer, there) in
            peers.range(shared.node.id.clone()..).filter(|(peer, _)| **peer != shared.node.id)
        {
            host.spawn("links dial", dial(shared.clone(), peer.clone(), *there));
        }
        Self(shared)
    }
}

async fn accept(shared: Arc<Shared>, mut listener: Listener) {
    while let Some(stream) = listener.accept().await {
        let carried = shared.clone();
        shared.host.spawn("link", async move {
            carry(&carried, stream, None).await;
        });
    }
}

/// Keeps one connection to a peer.
async fn dial(shared: Arc<Shared>, peer: NodeId, there: MachineId) {
    let mut pause = shared.config.reconnect_min;
    loop {
        let connecting = shared.world.connect(shared.life.machine, there, PORT);
        if let Ok(Ok(stream)) = shared.host.timeout(shared.config.reconnect_max, connecting).await
            && carry(&shared, stream, Some(&peer)).await
        {
            pause = shared.config.reconnect_min;
        }
        shared.host.sleep(pause).await;
        pause = (pause * 2).min(shared.config.reconnect_max);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.host.monotonic()
    }

    /// A connection to this life of a peer is up. Answers its number and what wakes its writer.
    fn up(&self, peer: &NodeId, boot: BootId) -> (u64, Arc<Notify>) {
        let mut state = self.state();
        state.made += 1;
        let (number, wake) = (state.made, Arc::new(Notify::new()));
        let lane = Lane::new(self.config, self.now());
        let connection = Connection { number, lane, wake: wake.clone() };
        if let Some(replaced) = state.connections.insert(peer.clone(), connection) {
            replaced.wake.notify_one();
        }
        state.inbox.up(peer, boot);
        drop(state);
        self.world.note(Some(self.life.machine), "link up", [number, boot.0], peer.as_str());
        self.heard.notify_one();
        (number, wake)
    }

    /// That connection is over.
    fn down(&self, peer: &NodeId, number: u64, reason: DownReason) {
        let mut state = self.state();
        if state.connections.get(peer).is_none_or(|connection| connection.number != number) {
            return;
        }
        state.connections.remove(peer);
        self.world.note(Some(self.life.machine), "link down", [number, 0], &format!("{peer}: {reason}"));
        state.inbox.down(peer, reason);
        self.heard.notify_one();
    }

    /// Works on a connection that is still the peer's present one.
    fn with<T>(
        &self,
        peer: &NodeId,
        number: u64,
        work: impl FnOnce(&mut Connection, &mut Inbox) -> T,
    ) -> Option<T> {
        let mut state = self.state();
        let State { inbox, connections, .. } = &mut *state;
        let connection = connections.get_mut(peer).filter(|connection| connection.number == number)?;
        Some(work(connection, inbox))
    }
}

impl Links for SimLinks {
    fn send(&self, peer: &NodeId, class: Class, payload: Bytes) -> Result<(), LinkError> {
        let mut state = self.0.state();
        let connection = state.connections.get_mut(peer).ok_or(LinkError::Down)?;
        if !self.0.world.lives(self.0.life) {
            return Err(LinkError::Down);
        }
        connection.lane.push(class, payload)?;
        connection.wake.notify_one();
        Ok(())
    }

    fn next(&self) -> BoxFuture<'_, Option<LinkEvent>> {
        Box::pin(async move {
            loop {
                let heard = self.0.heard.notified();
                if !self.0.world.lives(self.0.life) {
                    return None;
                }
                if let Some(event) = self.0.state().next() {
                    return Some(event);
                }
                heard.await;
            }
        })
    }
}

impl State {
    fn next(&mut self) -> Option<LinkEvent> {
        let event = self.inbox.pop()?;
        if let LinkEvent::Frame { from, class, payload } = &event
            && let Some(connection) = self.connections.get_mut(from)
        {
            connection.lane.consumed(*class, payload);
            connection.wake.notify_one();
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests;
