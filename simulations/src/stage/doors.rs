//! Where people find a site: at any of its nodes, as a balancer in front of them would send them.

use crate::world::machine::MachineId;
use cluster::host::Entropy;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

/// The addresses of a site's nodes, each of which may move.
#[derive(Clone)]
pub struct Doors(Vec<Arc<AtomicU32>>);

impl Doors {
    /// These, at least one.
    pub fn new(addresses: Vec<Arc<AtomicU32>>) -> Self {
        Self(addresses)
    }

    /// One of them; no draw where there is one only.
    pub fn pick(&self, chance: &Entropy) -> MachineId {
        let address = match self.0.as_slice() {
            [only] => only,
            several => &several[chance.below(several.len() as u64) as usize],
        };
        MachineId(address.load(Relaxed))
    }
}
