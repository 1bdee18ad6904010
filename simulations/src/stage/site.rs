//! A site: machines, a disk, and the node that runs there.

use crate::{
    clients::PORT,
    promises::whole_serves,
    stage::{
        cell::{Paper, Player},
        gossip::Gossip,
        storm::{Moods, Storm},
    },
    world::{
        World,
        clock::Skew,
        disk::{SimDisk, TEARS},
        links,
        machine::{Crash, Hardware, Life, MachineId},
        network::Listener,
        report::Violation,
        through::Through,
    },
};
use actors::{
    config::Config,
    node::Node,
    store::{LogId, Store},
};
use cells::{
    gateway::{self, Gateway},
    storage::{OpenError, RedbStore, StorageConfig},
};
use cluster::{
    host::{Entropy, FaultPoint, Host},
    link::LinkConfig,
    node::{BootId, CellId, Node as Me, NodeId},
};
use proto::v1::Event;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

/// Memory of a simulated node for pages of its file.
const CACHE_BYTES: usize = 4 * 1024 * 1024;
/// Starts on a whole disk that may come to nothing.
const FAILED_STARTS_MAX: u32 = 1;
/// Events of one read.
const READ_EVENTS: usize = 1000;

/// Why a node does not run although its machine was booted.
#[derive(Debug)]
pub enum NotUp {
    /// The machine died meanwhile.
    Died,
    /// It should have come up.
    Broken(Violation),
}

/// A site. Its disk outlives its node.
pub struct Site {
    world: World,
    /// Number of the site.
    pub number: usize,
    /// The machine that people are sent to.
    address: Arc<AtomicU32>,
    /// The machine of the node, and one for a second node in its place.
    machines: [MachineId; 2],
    /// The machine of the store, where it has one of its own.
    store_machine: Option<MachineId>,
    /// The node's name.
    pub id: NodeId,
    peers: BTreeMap<NodeId, MachineId>,
    /// See [`Paper`].
    paper: Arc<Paper>,
    chance: Entropy,
    disk: Arc<Mutex<SimDisk>>,
    shared: Mutex<Option<(Host, RedbStore)>>,
    /// Weather of its store.
    pub moods: Moods,
    config: Config,
    running: Mutex<Option<Running>>,
    /// Somebody sees to it that it comes back.
    pub repairing: AtomicBool,
    /// Starts in a row that came to nothing.
    failed_starts: AtomicU32,
    /// Where the next boot dies.
    trap: Mutex<Option<FaultPoint>>,
}

#[derive(Clone)]
struct Running {
    life: Life,
    node: Node,
    gossip: Gossip,
}

/// The name of the node of a site.
pub fn node_id(number: usize) -> NodeId {
    NodeId::parse(&format!("node-{number}")).expect("a plain name")
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

/// What a mutex holds, also after a panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Site {
    /// A site with an empty disk, not running. `machines` are the first machines of all sites.
    pub fn new(
        world: &World,
        number: usize,
        machines: &BTreeMap<NodeId, MachineId>,
        paper: &Arc<Paper>,
        remote_store: bool,
        config: Config,
    ) -> Self {
        let id = node_id(number);
        let first = machines[&id];
        let hardware = world.hardware(first, Hardware::clone);
        let (spare, store_machine) = if remote_store {
            let blocking = hardware.blocking;
            let store =
                world.machine(format!("store-{number}"), Hardware { blocking, ..Hardware::default() });
            (world.machine(format!("node-{number}b"), hardware), Some(store))
        } else {
            (first, None)
        };
        Self {
            world: world.clone(),
            number,
            address: Arc::new(AtomicU32::new(first.0)),
            machines: [first, spare],
            store_machine,
            chance: world.entropy(&format!("site/{number}")),
            id,
            peers: machines.clone(),
            paper: paper.clone(),
            disk: Arc::default(),
            shared: Mutex::default(),
            moods: Moods::default(),
            config,
            running: Mutex::default(),
            repairing: AtomicBool::new(false),
            failed_starts: AtomicU32::new(0),
            trap: Mutex::default(),
        }
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
    /// All its machines that are up.
    pub fn up(&self) -> Vec<MachineId> {
        let mut all = self.of_the_node();
        all.extend(self.store_machine);
        all.retain(|machine| self.world.life(*machine).is_some());
        all
    }
    /// The next boot dies nowhere.
    pub fn disarm(&self) {
        *lock(&self.trap) = None;
    }
    /// The next boot dies here.
    pub fn trap_next_boot(&self, point: FaultPoint) {
        *lock(&self.trap) = Some(point);
    }
    /// How often its node was started, on either machine.
    pub fn starts(&self) -> u64 {
        self.of_the_node().into_iter().map(|machine| self.world.boots(machine)).sum()
    }
    /// The machines on which its node may run.
    fn of_the_node(&self) -> Vec<MachineId> {
        let mut machines = self.machines.to_vec();
        machines.dedup();
        machines
    }
    /// Waits in world time.
    pub async fn rest(&self, span: Duration) {
        self.world.sleep(span).await;
    }
    /// Another node has taken the place of the first.
    pub fn has_moved(&self) -> bool {
        self.machine() != self.machines[0]
    }
    /// Whether another node may have its store.
    pub fn store_is_remote(&self) -> bool {
        self.store_machine.is_some()
    }
    /// Limits of its node.
    pub fn limits(&self) -> &Config {
        &self.config
    }
    /// From now on people are sent to the other machine.
    pub fn redirect(&self) {
        self.address.store(self.spare().0, Relaxed);
    }

    /// The engine, on the machine of the node or on one of its own.
    fn open_store(&self, host: &Host) -> Result<(RedbStore, Option<Host>), Violation> {
        let broken = |error: OpenError| whole_serves::failed("the store did not open", error);
        let config = StorageConfig { cache_bytes: CACHE_BYTES, ..StorageConfig::default() };
        let Some(machine) = self.store_machine else {
            self.disk_at_crash(self.machine());
            let store = RedbStore::open(host.clone(), lock(&self.disk).clone(), config).map_err(broken)?;
            return Ok((store, None));
        };
        let mut shared = lock(&self.shared);
        if shared.is_none() || self.world.life(machine).is_none() {
            // Its own of an earlier life, if there was one, never answers.
            *shared = None;
            let there = self.world.boot(machine);
            self.disk_at_crash(machine);
            let store = RedbStore::open(there.clone(), lock(&self.disk).clone(), config).map_err(broken)?;
            *shared = Some((there, store));
        }
        let (there, store) = shared.clone().expect("opened just now");
        Ok((store, Some(there)))
    }

    /// Boots the machine that people are sent to, and starts its node on what the disk holds.
    pub async fn boot(&self) -> Result<Node, NotUp> {
        let machine = self.machine();
        let host = self.world.boot(machine);
        self.world.count("boots", 1);
        if let Some(point) = lock(&self.trap).take() {
            self.world.crash_at(machine, point, 1, Crash::Process);
        }
        let (life, end) = (self.world.life(machine), self.end_of(machine));
        let start = async {
            let (engine, there) = match self.open_store(&host) {
                Ok(opened) => opened,
                Err(_) if self.disk().is_ill() => {
                    self.world.crash(machine, Crash::Process);
                    self.world.crash(self.disk_machine(), Crash::Process);
                    return Err(NotUp::Died);
                }
                Err(violation) => return Err(NotUp::Broken(violation)),
            };
            let chance = host.entropy().fork("storm");
            let storm = Storm { node: host.clone(), store: there, moods: self.moods.clone(), chance };
            let store = Arc::new(Through::new(engine, storm));
            let cell = CellId::parse(self.id.as_str()).expect("a node's name is a cell's name");
            let me = Me { id: self.id.clone(), boot: BootId(host.entropy().next_u64()), cell };
            let started =
                Node::start(host.clone(), store.clone(), store, self.config.clone(), me.clone()).await;
            let node = match started {
                Ok(node) => node,
                Err(_) if self.world.life(machine) != life => return Err(NotUp::Died),
                // Nobody can claim on a disk that takes nothing: whoever started the node starts it again.
                Err(_) if self.may_fail_to_start() => {
                    self.world.crash(machine, Crash::Process);
                    return Err(NotUp::Died);
                }
                Err(error) => {
                    return Err(NotUp::Broken(whole_serves::failed("the node did not start", error)));
                }
            };
            Ok((node, me))
        };
        // What waits for a machine that has died waits for ever.
        let (node, me) = tokio::select! {
            biased;
            started = start => started?,
            () = end => return Err(NotUp::Died),
        };
        if self.world.life(machine) != life {
            node.kill();
            return Err(NotUp::Died);
        }
        let root = node.clone();
        self.world.on_crash(machine, move |_| root.kill());
        let links = links::join(&self.world, machine, &host, me.clone(), LinkConfig::default(), &self.peers);
        let player = Player::new(&self.world, &host, &me, self.paper.clone());
        let gossip = Gossip::start(&host, Arc::new(links), &me, player);
        let gateway = Gateway::new(host.clone(), gateway::config::Config::default(), Arc::new(String::new));
        gateway.open(node.clone());
        serve(&host, gateway, self.world.listen(machine, PORT));
        self.failed_starts.store(0, Relaxed);
        let life = life.expect("it lives");
        *lock(&self.running) = Some(Running { life, node: node.clone(), gossip });
        Ok(node)
    }

    /// A start may fail while the disk takes nothing, and once after that: it began too early.
    fn may_fail_to_start(&self) -> bool {
        self.disk().is_ill() || self.failed_starts.fetch_add(1, Relaxed) < FAILED_STARTS_MAX
    }

    /// Completes when the present life of a machine ends, also if that is before anybody waits for it.
    fn end_of(&self, machine: MachineId) -> impl Future<Output = ()> + use<> {
        let (tell, told) = tokio::sync::oneshot::channel::<()>();
        self.world.on_crash(machine, move |_| drop(tell));
        async move { drop(told.await) }
    }

    /// The disk under the node.
    pub fn disk(&self) -> SimDisk {
        lock(&self.disk).clone()
    }

    /// The machine under the disk.
    pub fn disk_machine(&self) -> MachineId {
        self.store_machine.unwrap_or_else(|| self.machine())
    }

    /// Sets the clock of both machines.
    pub fn set_clock(&self, change: impl Fn(Skew) -> Skew) {
        let skew = change(self.world.clock(self.machine()).skew());
        self.of_the_node().into_iter().for_each(|machine| self.world.set_skew(machine, skew));
    }

    /// When this life ends, the disk becomes what the machine will find.
    fn disk_at_crash(&self, machine: MachineId) {
        let (disk, chance) = (self.disk.clone(), self.chance.clone());
        self.world.on_crash(machine, move |crash| {
            let mut disk = lock(&disk);
            let found = match crash {
                Crash::Process => disk.survivor(),
                Crash::Power => {
                    let tear = TEARS[chance.below(TEARS.len() as u64) as usize];
                    disk.cut(tear, &chance)
                }
            };
            *disk = found;
        });
    }

    /// What the running node has heard from the others.
    pub fn gossip(&self) -> Option<Gossip> {
        lock(&self.running).as_ref().map(|running| running.gossip.clone())
    }

    /// The running node, if its machine is up and it has started.
    pub fn node(&self) -> Option<Node> {
        let life = self.world.life(self.machine())?;
        let running = lock(&self.running);
        running.as_ref().filter(|running| running.life == life).map(|running| running.node.clone())
    }

    /// Boot id of the running node.
    pub fn boot_id(&self) -> Option<u64> {
        self.node().map(|node| node.me.boot.0)
    }

    /// The running node's store.
    pub fn store(&self) -> Option<Arc<dyn Store>> {
        self.node().map(|node| node.context.store.clone())
    }

    /// A whole log, as the running node's store answers it.
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
