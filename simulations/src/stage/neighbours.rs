//! What a node of a cluster has of the others in a world: links, gossip, and the names of all of them.

use crate::world::{
    World,
    datagrams::address,
    links,
    machine::{Crash, Life, MachineId},
};
use actors::{
    config::Config,
    node::{Node, company::Company},
    store::{
        Store,
        link::{OfferedStore, StoreLink},
        remote::RemoteStore,
    },
};
use cells::links::Proved;
use cluster::{
    claims::Claims,
    gossip::Gossip,
    host::Host,
    link::{
        LinkConfig,
        roles::{Role, Roles},
    },
    node::{BootId, CellId, Node as Me, NodeId},
    swim::{Identity, Swim, SwimConfig},
    switchboard::Switchboard,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

const GOSSIP_PORT: u16 = 7001;
/// The cluster's key.
const KEY: [u8; 32] = [7; 32];
/// How long a node waits before it asks for its slots again.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// A node that is stopped sends its sessions away within this window, and has this long for everything.
const GOES_OVER: Duration = Duration::from_millis(500);
const GOES_WITHIN: Duration = Duration::from_secs(10);

/// Starts a node's part in gossip on its machine, which has just been booted. `seeds`: whose addresses it is told.
pub fn gossip(
    world: &World,
    (machine, host, me): (MachineId, &Host, &Me),
    seeds: impl Iterator<Item = MachineId>,
    config: SwimConfig,
) -> Gossip {
    let identity = Identity {
        node: me.id.clone(),
        boot: me.boot,
        cell: me.cell.clone(),
        gossip: address(machine, GOSSIP_PORT),
        link: address(machine, links::PORT),
        rank: host.now_us(),
    };
    let seeds = seeds.map(|machine| address(machine, GOSSIP_PORT)).collect();
    let swim = Swim::new(identity, seeds, config, host.entropy());
    Gossip::start(host, swim, &[KEY], Arc::new(world.datagrams(machine, GOSSIP_PORT)))
}

/// Stops a node as an operator does: it hands its slots over, then its process ends. Whether all was done in time,
/// unless its machine died meanwhile.
pub async fn stop(world: &World, (machine, life): (MachineId, Life), node: &Node) -> Option<bool> {
    let stopped = world.while_alive(life, node.stop(GOES_OVER, GOES_WITHIN)).await;
    if world.lives(life) {
        world.crash(machine, Crash::Process);
    }
    stopped
}

/// The nodes of one cell, each on a machine of its own.
#[derive(Clone)]
pub struct Neighbours {
    world: World,
    cell: CellId,
    machines: BTreeMap<NodeId, MachineId>,
    members: BTreeSet<NodeId>,
    store: NodeId,
    proofs: links::Proofs,
}

/// Who runs where in a cell.
pub struct Cast {
    /// Nodes that may own slots.
    pub members: BTreeMap<NodeId, MachineId>,
    /// What those may do.
    pub roles: Roles,
    /// Nodes that take users and own no slots.
    pub gateways: BTreeMap<NodeId, MachineId>,
    /// The one that has the store.
    pub store: (NodeId, MachineId),
}

impl Neighbours {
    /// A cell of these.
    pub fn new(world: &World, cell: &str, cast: Cast) -> Self {
        let Cast { members, roles, gateways, store } = cast;
        let (name, gate, keeper) = (store.0.clone(), Roles::of(&[Role::Gateway]), [store].into());
        let (mut machines, mut proofs) = (BTreeMap::new(), links::Proofs::new());
        let names = members.keys().cloned().collect();
        let all: [(BTreeMap<_, _>, _); 3] =
            [(members, roles), (gateways, gate), (keeper, Roles::of(&[Role::Store]))];
        for (nodes, roles) in all {
            for (node, machine) in nodes {
                proofs.insert(machine, Proved { node: node.clone(), roles });
                machines.insert(node, machine);
            }
        }
        let (world, cell) = (world.clone(), CellId::parse(cell).expect("a plain name"));
        Self { world, cell, machines, members: names, store: name, proofs }
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
    fn life(&self, node: &NodeId, host: &Host) -> Me {
        Me { id: node.clone(), boot: BootId(host.entropy().next_u64()), cell: self.cell.clone() }
    }

    /// Its way to the others.
    fn board(&self, host: &Host, me: &Me) -> Switchboard {
        let (machine, config) = (self.machine(&me.id), LinkConfig::default());
        let all = (&self.machines, &self.proofs);
        let links = links::join(&self.world, machine, host, me.clone(), config, all);
        Switchboard::start(host, Arc::new(links))
    }

    /// Keeps the store of all of them.
    pub fn keep_store<S: Store + Claims>(&self, host: &Host, store: Arc<S>) {
        let board = self.board(host, &self.life(&self.store, host));
        OfferedStore::offer(&board, store);
    }

    /// Starts one of them; it asks for its slots until it has an answer.
    pub async fn start(&self, host: &Host, id: &NodeId, config: &Config) -> Node {
        let me = self.life(id, host);
        let company = self.company(host, &me);
        let store = self.store(&company);
        let takes_users = self.proofs[&self.machine(id)].roles.has(Role::Gateway);
        let gateway_url = if takes_users { format!("http://{id}/") } else { String::new() };
        let config = Config { gateway_url, ..config.clone() };
        loop {
            let (kept, claims, others) = (store.clone(), store.clone(), Some(company.clone()));
            match Node::start_among(host.clone(), kept, claims, config.clone(), me.clone(), others).await {
                Ok(node) => {
                    node.open_door();
                    return node;
                }
                Err(error) => self.world.tell(|| format!("{id} does not start yet: {error}")),
            }
            host.sleep(ASK_AGAIN).await;
        }
    }

    /// What a node has of the others.
    fn company(&self, host: &Host, me: &Me) -> Company {
        let (board, gossip) = (self.board(host, me), self.gossip(host, me));
        Company { board, gossip, members: self.members.clone() }
    }

    /// Its way to the store.
    fn store(&self, company: &Company) -> Arc<RemoteStore> {
        let link = StoreLink::new(company.board.clone(), self.store.clone());
        Arc::new(RemoteStore::new(Arc::new(link)))
    }

    fn gossip(&self, host: &Host, me: &Me) -> Gossip {
        let seeds = self.members.iter().map(|member| self.machine(member));
        gossip(&self.world, (self.machine(&me.id), host, me), seeds, SwimConfig::default())
    }
}
