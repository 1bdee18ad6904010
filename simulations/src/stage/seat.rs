//! A seat: the machines of one node, or of a store that nodes share, and what runs there in this life.

use crate::{
    stage::{gossip::Gossip, site::lock},
    world::{
        World,
        clock::Skew,
        machine::{Life, MachineId},
    },
};
use actors::node::Node;
use cluster::{host::FaultPoint, node::NodeId};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
};

/// What a seat is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// A node with a store of its own, on its machine or on another one.
    Node,
    /// One of several nodes that ask their store over links.
    Member,
    /// The store of those.
    Store,
}

/// What runs there.
#[derive(Clone)]
pub struct Running {
    /// In which life of the machine.
    pub life: Life,
    /// The node; none where only the store runs.
    pub node: Option<Node>,
    /// What a node by itself has heard from those of other sites.
    pub gossip: Option<Gossip>,
}

/// A seat.
pub struct Seat {
    world: World,
    /// What it is for.
    pub is_for: For,
    /// Name of the node.
    pub id: NodeId,
    /// The machine that people are sent to.
    address: Arc<AtomicU32>,
    /// The machine of the node, and one for a second node in its place.
    machines: [MachineId; 2],
    running: Mutex<Option<Running>>,
    /// Somebody sees to it that it comes back.
    pub repairing: AtomicBool,
    /// Starts in a row that came to nothing.
    pub failed_starts: AtomicU32,
    /// Where the next boot dies.
    trap: Mutex<Option<FaultPoint>>,
}

impl Seat {
    /// A seat on these machines, nothing running.
    pub fn new(world: &World, is_for: For, id: NodeId, machines: [MachineId; 2]) -> Self {
        let address = Arc::new(AtomicU32::new(machines[0].0));
        let (running, repairing, failed_starts, trap) = Default::default();
        Self { world: world.clone(), is_for, id, address, machines, running, repairing, failed_starts, trap }
    }

    /// Where people find the node, now and after it has moved.
    pub fn address(&self) -> Arc<AtomicU32> {
        self.address.clone()
    }
    /// The machine that people are sent to.
    pub fn machine(&self) -> MachineId {
        MachineId(self.address.load(Relaxed))
    }
    /// The other machine.
    pub fn spare(&self) -> MachineId {
        if self.machine() == self.machines[0] { self.machines[1] } else { self.machines[0] }
    }
    /// Both; one, where the second is the first.
    pub fn machines(&self) -> Vec<MachineId> {
        let mut machines = self.machines.to_vec();
        machines.dedup();
        machines
    }
    /// Another node has taken the place of the first.
    pub fn has_moved(&self) -> bool {
        self.machine() != self.machines[0]
    }
    /// From now on people are sent to the other machine.
    pub fn redirect(&self) {
        self.address.store(self.spare().0, Relaxed);
    }
    /// The next boot dies nowhere.
    pub fn disarm(&self) {
        *lock(&self.trap) = None;
    }
    /// The next boot dies here.
    pub fn trap_next_boot(&self, point: FaultPoint) {
        *lock(&self.trap) = Some(point);
    }
    /// Where this boot dies.
    pub fn trap(&self) -> Option<FaultPoint> {
        lock(&self.trap).take()
    }
    /// How often it was started, on either machine.
    pub fn starts(&self) -> u64 {
        self.machines().into_iter().map(|machine| self.world.boots(machine)).sum()
    }
    /// Sets the clock of both machines.
    pub fn set_clock(&self, change: impl Fn(Skew) -> Skew) {
        let skew = change(self.world.clock(self.machine()).skew());
        self.machines().into_iter().for_each(|machine| self.world.set_skew(machine, skew));
    }

    /// It has started.
    pub fn runs(&self, running: Running) {
        self.failed_starts.store(0, Relaxed);
        *lock(&self.running) = Some(running);
    }
    /// What runs, if its machine is up and it has started.
    pub fn running(&self) -> Option<Running> {
        let life = self.world.life(self.machine())?;
        lock(&self.running).clone().filter(|running| running.life == life)
    }
    /// The running node.
    pub fn node(&self) -> Option<Node> {
        self.running()?.node
    }
    /// Boot id of the running node.
    pub fn boot_id(&self) -> Option<u64> {
        self.node().map(|node| node.me.boot.0)
    }
    /// What the running node has heard from those of other sites.
    pub fn gossip(&self) -> Option<Gossip> {
        self.running()?.gossip
    }
}
