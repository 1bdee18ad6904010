//! A site: a store, and the node that has it; or a cell of several nodes that share it.

mod boot;

use crate::{
    plan,
    promises::whole_serves,
    stage::{
        cell::Paper,
        doors::Doors,
        neighbours::{Cast, Neighbours},
        seat::{For, Seat},
        vault::Vault,
    },
    world::{
        World,
        disk::SimDisk,
        machine::{Hardware, MachineId},
        report::Violation,
    },
};
use actors::{
    config::Config,
    node::Node,
    store::{LogId, Store},
};
pub use boot::NotUp;
use cluster::{
    host::Entropy,
    link::roles::{Role, Roles},
    node::NodeId,
};
use proto::v1::Event;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Events of one read.
const READ_EVENTS: usize = 1000;

/// A site.
pub struct Site {
    world: World,
    /// Number of the site.
    pub number: usize,
    /// Its nodes, and after them the store that they ask over links, if they do.
    pub seats: Vec<Arc<Seat>>,
    /// The store.
    pub vault: Vault,
    /// Nodes by themselves of all sites.
    peers: BTreeMap<NodeId, MachineId>,
    /// Those of this one, where there are several.
    neighbours: Option<Neighbours>,
    /// See [`Paper`].
    paper: Arc<Paper>,
    config: Config,
}

/// The name of the node of a site.
pub fn node_id(number: usize) -> NodeId {
    NodeId::parse(&format!("node-{number}")).expect("a plain name")
}

/// What a mutex holds, also after a panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Site {
    /// A site with an empty disk, not running. `peers`: see the field, this node among them if it is by itself.
    pub fn new(
        world: &World,
        (number, plan): (usize, &plan::Site),
        peers: &BTreeMap<NodeId, MachineId>,
        paper: &Arc<Paper>,
        config: Config,
    ) -> Self {
        let (world, chance) = (world.clone(), world.entropy(&format!("site/{number}")));
        let (peers, paper) = (peers.clone(), paper.clone());
        let own = |is_for, id, machines| Arc::new(Seat::new(&world, is_for, id, machines));
        let store_hardware = Hardware { blocking: plan.access(), ..Hardware::default() };
        let store = || world.machine(format!("store-{number}"), store_hardware.clone());
        if plan.is_cell() {
            let nodes: BTreeMap<NodeId, MachineId> = (0..plan.nodes)
                .map(|member| NodeId::parse(&format!("node-{number}-{member}")).expect("a plain name"))
                .map(|id| (id.clone(), world.machine(id.to_string(), plan.hardware())))
                .collect();
            let keeper = NodeId::parse(&format!("store-{number}")).expect("a plain name");
            let there = store();
            let members = nodes.iter().map(|(id, machine)| own(For::Member, id.clone(), [*machine; 2]));
            let seats = members.chain([own(For::Store, keeper.clone(), [there; 2])]).collect();
            let cell = format!("cell-{number}");
            let roles = Roles::of(&[Role::Gateway, Role::Channels]);
            let cast = Cast { members: nodes, roles, gateways: BTreeMap::new(), store: (keeper, there) };
            let neighbours = Some(Neighbours::new(&world, &cell, cast));
            let vault = Vault::new(&world, Some(there), chance);
            return Self { number, seats, vault, peers, neighbours, paper, config, world };
        }
        let id = node_id(number);
        let first = peers[&id];
        let (spare, store) = match plan.remote_store {
            true => {
                let store = store();
                (
                    world.machine(format!("node-{number}b"), world.hardware(first, Hardware::clone)),
                    Some(store),
                )
            }
            false => (first, None),
        };
        let seats = vec![own(For::Node, id, [first, spare])];
        let vault = Vault::new(&world, store, chance);
        Self { number, seats, vault, peers, neighbours: None, paper, config, world }
    }

    /// Where people find it.
    pub fn doors(&self) -> Doors {
        Doors::new(self.nodes().map(|seat| seat.address()).collect())
    }
    /// Seats of nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Seat>> {
        self.seats.iter().filter(|seat| seat.is_for != For::Store)
    }
    /// Several nodes share it.
    pub fn is_cell(&self) -> bool {
        self.neighbours.is_some()
    }
    /// The only node, or the first of several.
    pub fn first(&self) -> &Arc<Seat> {
        &self.seats[0]
    }
    /// Any seat; no draw where there is one only.
    pub fn any(&self, chance: &Entropy) -> &Arc<Seat> {
        match self.seats.as_slice() {
            [only] => only,
            seats => &seats[chance.below(seats.len() as u64) as usize],
        }
    }
    /// Machines that people are sent to.
    pub fn fronts(&self) -> Vec<MachineId> {
        self.nodes().map(|seat| seat.machine()).collect()
    }
    /// All its machines that are up.
    pub fn up(&self) -> Vec<MachineId> {
        let mut all: Vec<MachineId> = self.seats.iter().flat_map(|seat| seat.machines()).collect();
        all.extend(self.vault.machine().filter(|_| !self.is_cell()));
        all.retain(|machine| self.world.life(*machine).is_some());
        all
    }
    /// How often its nodes were started.
    pub fn starts(&self) -> u64 {
        self.nodes().map(|seat| seat.starts()).sum()
    }
    /// Another node has taken the place of the first.
    pub fn has_moved(&self) -> bool {
        self.first().has_moved()
    }
    /// Whether another node may have its store.
    pub fn store_is_remote(&self) -> bool {
        self.vault.machine().is_some()
    }
    /// Waits in world time.
    pub async fn rest(&self, span: Duration) {
        self.world.sleep(span).await;
    }
    /// Limits of its nodes.
    pub fn limits(&self) -> &Config {
        &self.config
    }
    /// The disk under the store.
    pub fn disk(&self) -> SimDisk {
        self.vault.disk()
    }
    /// The machine under the disk.
    pub fn disk_machine(&self) -> MachineId {
        self.vault.machine().unwrap_or_else(|| self.first().machine())
    }
    /// A node that runs, the first of them.
    pub fn node(&self) -> Option<Node> {
        self.nodes().find_map(|seat| seat.node())
    }
    /// Any node that runs; no draw where there is one only.
    pub fn any_node(&self, chance: &Entropy) -> Option<Node> {
        let mut run: Vec<Node> = self.nodes().filter_map(|seat| seat.node()).collect();
        match run.len() {
            0 | 1 => run.pop(),
            several => Some(run.swap_remove(chance.below(several as u64) as usize)),
        }
    }
    /// The store, as a node that has one of its own sees it; straight, where several ask it.
    pub fn store(&self) -> Option<Arc<dyn Store>> {
        if self.is_cell() { self.vault.engine() } else { self.node().map(|node| node.context.store.clone()) }
    }

    /// A whole log, as the store answers it.
    pub async fn read(&self, log: &LogId) -> Result<Vec<Event>, Violation> {
        let store = self.store().expect("a site is read while it runs");
        let (events, error) = read_all(&*store, log).await;
        match error {
            None => Ok(events),
            Some(error) => Err(whole_serves::failed(&format!("{log:?}"), error)),
        }
    }
}

/// All events that a store answers, and the error at which it stopped.
pub async fn read_all(store: &dyn Store, log: &LogId) -> (Vec<Event>, Option<String>) {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event.seq);
        match store.log(log, after, READ_EVENTS).await {
            Ok(page) if page.events.is_empty() => return (events, None),
            Ok(page) => events.extend(page.events),
            Err(error) => return (events, Some(error.to_string())),
        }
    }
}
