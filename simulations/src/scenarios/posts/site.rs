//! A site: a machine, its disk, and the node that runs there.

use crate::{
    clients::PORT,
    scenarios::posts::gossip::Gossip,
    world::{
        World,
        disk::{SimDisk, TEARS, Tear},
        links::SimLinks,
        machine::{Crash, MachineId},
        network::Listener,
        report::Violation,
    },
};
use actors::{
    config::Config,
    node::Node,
    store::{LogId, Store},
};
use cells::{
    gateway::{self, Gateway},
    storage::{RedbStore, StorageConfig},
};
use cluster::{
    host::{Entropy, Host},
    link::LinkConfig,
    node::{BootId, CellId, Node as Me, NodeId},
};
use proto::v1::Event;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Memory of a simulated node for pages of its file.
const CACHE_BYTES: usize = 4 * 1024 * 1024;
/// Events of one read.
const READ_EVENTS: usize = 1000;

/// A site. Its disk outlives its node.
pub(super) struct Site {
    world: World,
    pub(super) machine: MachineId,
    pub(super) id: NodeId,
    peers: BTreeMap<NodeId, MachineId>,
    chance: Entropy,
    disk: Arc<Mutex<SimDisk>>,
    running: Mutex<Option<Running>>,
}

struct Running {
    node: Node,
    gossip: Gossip,
}

/// The name of the node of a site.
pub(super) fn node_id(at: u32) -> NodeId {
    NodeId::parse(&format!("node-{at}")).expect("a plain name")
}

/// Gives the gateway every connection that is made to the machine.
fn serve(host: &Host, gateway: Gateway, mut listener: Listener) {
    let spawner = host.clone();
    host.spawn("listener", async move {
        while let Some(stream) = listener.accept().await {
            let peer = IpAddr::from(Ipv4Addr::from(stream.peer().machine.0));
            spawner.spawn("http", gateway.clone().serve(stream, peer));
        }
    });
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Site {
    /// A site with an empty disk, not running.
    pub(super) fn new(world: &World, at: u32, machines: &BTreeMap<NodeId, MachineId>) -> Self {
        let id = node_id(at);
        Self {
            world: world.clone(),
            machine: machines[&id],
            chance: world.entropy(&format!("site/{at}")),
            id,
            peers: machines.clone(),
            disk: Arc::default(),
            running: Mutex::default(),
        }
    }

    /// Boots the machine and starts its node on what the disk holds.
    pub(super) async fn boot(&self) -> Result<Node, Violation> {
        let host = self.world.boot(self.machine);
        self.disk_at_crash();
        let config = StorageConfig { cache_bytes: CACHE_BYTES, ..StorageConfig::default() };
        let opened = RedbStore::open(host.clone(), lock(&self.disk).clone(), config);
        let store =
            Arc::new(opened.map_err(|error| Violation::new("the store always opens", error.to_string()))?);
        let cell = CellId::parse(self.id.as_str()).expect("a node's name is a cell's name");
        let me = Me { id: self.id.clone(), boot: BootId(host.entropy().next_u64()), cell };
        let started = Node::start(host.clone(), store.clone(), store, Config::default(), me.clone()).await;
        let node = started.map_err(|error| Violation::new("a node always starts", error.to_string()))?;
        let root = node.clone();
        self.world.on_crash(self.machine, move |_| root.kill());
        let links =
            SimLinks::join(&self.world, self.machine, &host, me.clone(), LinkConfig::default(), &self.peers);
        let gossip = Gossip::start(&host, Arc::new(links), me);
        let gateway = Gateway::new(host.clone(), gateway::config::Config::default(), Arc::new(String::new));
        gateway.open(node.clone());
        serve(&host, gateway, self.world.listen(self.machine, PORT));
        *lock(&self.running) = Some(Running { node: node.clone(), gossip });
        Ok(node)
    }

    /// Lets the disk take this many more changes and then none, until the power is cut.
    pub(super) fn break_disk(&self, changes: u64) {
        lock(&self.disk).break_in(Some(changes));
    }

    /// When this life ends, the disk becomes what the machine will find.
    fn disk_at_crash(&self) {
        let (disk, chance) = (self.disk.clone(), self.chance.clone());
        self.world.on_crash(self.machine, move |crash| {
            let tear = match crash {
                Crash::Process => Tear::Kept,
                Crash::Power => TEARS[chance.below(TEARS.len() as u64) as usize],
            };
            let mut disk = lock(&disk);
            let found = disk.cut(tear, &chance);
            *disk = found;
        });
    }

    /// What the running node has heard from the others.
    pub(super) fn gossip(&self) -> Option<Gossip> {
        lock(&self.running).as_ref().map(|running| running.gossip.clone())
    }

    /// Boot id of the running node.
    pub(super) fn boot_id(&self) -> Option<u64> {
        lock(&self.running).as_ref().map(|running| running.node.me.boot.0)
    }

    /// A whole log, as the running node's store answers it.
    pub(super) async fn read(&self, log: &LogId) -> Result<Vec<Event>, Violation> {
        let store = lock(&self.running).as_ref().map(|running| running.node.context.store.clone());
        let store: Arc<dyn Store> = store.expect("a site is read while it runs");
        let mut events: Vec<Event> = Vec::new();
        loop {
            let after = events.last().map_or(0, |event| event.seq);
            let page = store.log(log, after, READ_EVENTS).await;
            let page = page.map_err(|error| Violation::new("a whole store answers", error.to_string()))?;
            if page.events.is_empty() {
                return Ok(events);
            }
            events.extend(page.events);
        }
    }
}
