//! Links between virtual nodes: the product's own, over the world's streams. Latency, cuts, resets and crashes are the
//! network's.

use crate::world::{
    World,
    machine::{Life, MachineId},
    network::Listener,
    stream::SimStream,
};
use cells::links::{Knock, MeetError, Met, Proved, StreamLinks, Transport};
use cluster::{
    host::Host,
    link::LinkConfig,
    node::{Node, NodeId},
};
use std::collections::BTreeMap;
use tokio::sync::Mutex;

/// Port on which nodes meet.
pub const PORT: u16 = 7000;

/// A node's links in a world.
pub type SimLinks = StreamLinks<SimTransport>;

/// What is proved of those that run on some machines.
pub type Proofs = BTreeMap<MachineId, Proved>;

/// Streams of one life of a machine. A peer of whom nothing is proved is whom it says it is, and may do everything.
pub struct SimTransport {
    world: World,
    life: Life,
    listener: Mutex<Listener>,
    proofs: Proofs,
}

impl SimTransport {
    fn met(&self, stream: SimStream) -> Met<SimStream> {
        let proved = self.proofs.get(&stream.peer().machine).cloned();
        Met { stream, proved }
    }
}

impl Transport for SimTransport {
    type Address = MachineId;
    type Stream = SimStream;

    async fn connect(&self, there: &MachineId) -> Result<Met<SimStream>, MeetError> {
        let stream = self.world.connect(self.life.machine, *there, PORT).await?;
        Ok(self.met(stream))
    }

    async fn accept(&self) -> Option<Knock<SimStream>> {
        let stream = self.listener.lock().await.accept().await?;
        let met = self.met(stream);
        Some(Box::pin(async move { Ok(met) }))
    }
}

/// Joins `peers` (the node itself may be among them) from a running machine, as this life of a node.
pub fn join(
    world: &World,
    machine: MachineId,
    host: &Host,
    node: Node,
    config: LinkConfig,
    (peers, proofs): (&BTreeMap<NodeId, MachineId>, &Proofs),
) -> SimLinks {
    let life = world.life(machine).expect("only a running machine joins");
    let listener = Mutex::new(world.listen(machine, PORT));
    let transport = SimTransport { world: world.clone(), life, listener, proofs: proofs.clone() };
    let links = StreamLinks::start(host, node, config, transport);
    peers.iter().for_each(|(peer, there)| links.meet(peer, *there));
    links
}

#[cfg(test)]
mod tests;
