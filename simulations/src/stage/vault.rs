//! The store of a site: a disk, the engine on it, and the weather between the engine and whoever asks it.

use crate::{
    promises::whole_serves,
    stage::{
        site::lock,
        storm::{Moods, Storm},
    },
    world::{
        World,
        disk::{SimDisk, TEARS},
        machine::{Crash, MachineId},
        report::Violation,
        through::Through,
    },
};
use actors::store::Store;
use cells::storage::{OpenError, RedbStore, StorageConfig};
use cluster::host::{Entropy, Host};
use std::sync::{Arc, Mutex};

/// Memory of a simulated engine for pages of its file.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// The engine as nodes see it.
pub type Weathered = Arc<Through<RedbStore, Storm>>;

/// A store. Its disk outlives everything.
pub struct Vault {
    world: World,
    /// Where it has a machine of its own.
    machine: Option<MachineId>,
    chance: Entropy,
    disk: Arc<Mutex<SimDisk>>,
    /// What is open on a machine of its own.
    open: Mutex<Option<(Host, RedbStore)>>,
    /// Its weather.
    pub moods: Moods,
}

impl Vault {
    /// An empty disk, on a machine of its own if one is given.
    pub fn new(world: &World, machine: Option<MachineId>, chance: Entropy) -> Self {
        let (disk, open, moods) = Default::default();
        Self { world: world.clone(), machine, chance, disk, open, moods }
    }

    /// Its own machine.
    pub fn machine(&self) -> Option<MachineId> {
        self.machine
    }

    /// The disk.
    pub fn disk(&self) -> SimDisk {
        lock(&self.disk).clone()
    }

    /// What is open on its own machine, past all weather.
    pub fn engine(&self) -> Option<Arc<dyn Store>> {
        let open = lock(&self.open);
        open.as_ref().map(|(_, engine)| -> Arc<dyn Store> { Arc::new(engine.clone()) })
    }

    /// Opens the engine for a node: on its machine, or on the store's own, where it may be open already.
    pub fn open_for(&self, node: &Host, machine: MachineId) -> Result<Weathered, Violation> {
        let Some(own) = self.machine else {
            let engine = self.open_at(node, machine)?;
            return Ok(self.weathered(engine, node.clone(), None));
        };
        let is_open = lock(&self.open).is_some() && self.world.life(own).is_some();
        if !is_open {
            // Its own of an earlier life, if there was one, never answers.
            *lock(&self.open) = None;
            let there = self.world.boot(own);
            let engine = self.open_at(&there, own)?;
            *lock(&self.open) = Some((there, engine));
        }
        let (there, engine) = lock(&self.open).clone().expect("opened just now");
        Ok(self.weathered(engine, node.clone(), Some(there)))
    }

    /// Opens the engine on a machine that has just been booted, for those who ask it over links.
    pub fn open_to_serve(&self, host: &Host, machine: MachineId) -> Result<Weathered, Violation> {
        *lock(&self.open) = None;
        let engine = self.open_at(host, machine)?;
        *lock(&self.open) = Some((host.clone(), engine.clone()));
        Ok(self.weathered(engine, host.clone(), None))
    }

    fn open_at(&self, host: &Host, machine: MachineId) -> Result<RedbStore, Violation> {
        self.disk_at_crash(machine);
        let config = StorageConfig { cache_bytes: CACHE_BYTES, ..StorageConfig::default() };
        let broken = |error: OpenError| whole_serves::failed("the store did not open", error);
        RedbStore::open(host.clone(), self.disk(), config).map_err(broken)
    }

    fn weathered(&self, engine: RedbStore, node: Host, store: Option<Host>) -> Weathered {
        let chance = node.entropy().fork("storm");
        Arc::new(Through::new(engine, Storm { node, store, moods: self.moods.clone(), chance }))
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
}
