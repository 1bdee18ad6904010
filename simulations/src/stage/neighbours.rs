//! What a node of a cluster has of the others in a world: links, gossip, and the names of all of them.

use crate::world::{World, datagrams::address, links, machine::MachineId};
use actors::{
    node::company::Company,
    store::{link::StoreLink, remote::RemoteStore},
};
use cluster::{
    gossip::Gossip,
    host::Host,
    link::LinkConfig,
    node::{BootId, CellId, Node as Me, NodeId},
    swim::{Identity, Swim, SwimConfig},
    switchboard::Switchboard,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

const GOSSIP_PORT: u16 = 7001;
const KEY: [u8; 32] = [7; 32];

/// The machines of one cell, by the names of those who run there.
#[derive(Clone)]
pub struct Neighbours {
    world: World,
    cell: CellId,
    machines: BTreeMap<NodeId, MachineId>,
    members: BTreeSet<NodeId>,
    store: NodeId,
}

impl Neighbours {
    /// A cell of these nodes, and one more that has the store.
    pub fn new(
        world: &World,
        cell: &str,
        nodes: BTreeMap<NodeId, MachineId>,
        store: (NodeId, MachineId),
    ) -> Self {
        let cell = CellId::parse(cell).expect("a plain name");
        let (world, members, name) = (world.clone(), nodes.keys().cloned().collect(), store.0.clone());
        let machines = nodes.into_iter().chain([store]).collect();
        Self { world, cell, machines, members, store: name }
    }

    /// All machines.
    pub fn machines(&self) -> impl Iterator<Item = MachineId> {
        self.machines.values().copied()
    }

    /// The machine of one of them.
    pub fn machine(&self, node: &NodeId) -> MachineId {
        self.machines[node]
    }

    /// A new life of one of them, on its machine, which has just been booted.
    pub fn life(&self, node: &NodeId, host: &Host) -> Me {
        Me { id: node.clone(), boot: BootId(host.entropy().next_u64()), cell: self.cell.clone() }
    }

    /// Its way to the others.
    pub fn board(&self, host: &Host, me: &Me) -> Switchboard {
        let (machine, config) = (self.machine(&me.id), LinkConfig::default());
        let links = links::join(&self.world, machine, host, me.clone(), config, &self.machines);
        Switchboard::start(host, Arc::new(links))
    }

    /// What a node has of the others.
    pub fn company(&self, host: &Host, me: &Me) -> Company {
        let (board, gossip) = (self.board(host, me), self.gossip(host, me));
        Company { board, gossip, members: self.members.clone() }
    }

    /// Its way to the store.
    pub fn store(&self, company: &Company) -> Arc<RemoteStore> {
        let link = StoreLink::new(company.board.clone(), self.store.clone());
        Arc::new(RemoteStore::new(Arc::new(link)))
    }

    fn gossip(&self, host: &Host, me: &Me) -> Gossip {
        let machine = self.machine(&me.id);
        let identity = Identity {
            node: me.id.clone(),
            boot: me.boot,
            cell: me.cell.clone(),
            gossip: address(machine, GOSSIP_PORT),
            link: address(machine, links::PORT),
            rank: host.now_us(),
        };
        let seeds = self.members.iter().map(|member| address(self.machine(member), GOSSIP_PORT)).collect();
        let swim = Swim::new(identity, seeds, SwimConfig::default(), host.entropy());
        Gossip::start(host, swim, &[KEY], Arc::new(self.world.datagrams(machine, GOSSIP_PORT)))
    }
}
