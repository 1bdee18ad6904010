//! Where slots should be: a consistent-hash ring over the members of a cell. Used when planning only; what
//! counts is the claim in the slot's row.
//!
//! The ring is `hashring` with our own virtual entries, since it has none. Its hash is SipHash-2-4 with a
//! zero key over the bytes that `Entry` and `Start` write; a golden test holds it.
//!
//! A block's 16 slots stand in [`LANES`] lanes (`slot mod 4`) on up to four nodes, so that a bad node touches
//! a share of few blocks and a poisonous workspace hurts four nodes at most. Each lane walks the ring from
//! its own point and takes the first of its [`LANE_CHOICES`] nearest nodes that no earlier lane of the block
//! has, or else the nearest. Two choices are a compromise: insisting on four different nodes moves up to
//! 1.9/n of the slots when one of n <= 7 nodes leaves (chains of lanes that give way), two choices at most
//! 1.5/n, one choice 1.3/n with fewer nodes a block.

use crate::{
    node::NodeId,
    slots::{BLOCKS, Slot},
};
use hashring::HashRing;
use std::{
    collections::BTreeSet,
    hash::{Hash, Hasher},
};

/// Entries of each node on the ring. Source: measured, 160 entries spread keys over 9 nodes with a highest
/// load of 1.12 times the mean, 40 with 1.24, and 512 gain little for three times the work.
pub const ENTRIES_PER_NODE: u16 = 160;
/// Nodes that share a block, at most: a lane is every fourth slot of it.
pub const LANES: u16 = 4;
/// Different nodes that a lane considers.
pub const LANE_CHOICES: usize = 2;

/// An entry of a node on the ring.
#[derive(Debug, Clone)]
struct Entry {
    name: NodeId,
    node: usize,
    copy: u16,
}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.name.as_str().as_bytes());
        state.write(&[0]);
        state.write(&self.copy.to_le_bytes());
    }
}

/// Where a lane of a block starts to walk. Names of nodes cannot hold a zero byte, so no entry hashes these
/// bytes.
struct Start {
    block: u16,
    lane: u16,
}

impl Hash for Start {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&[0, 0]);
        state.write(&self.block.to_le_bytes());
        state.write(&self.lane.to_le_bytes());
    }
}

/// Where slots should be with these nodes; the same for the same set, in whatever order it came. Worked out once:
/// asking costs nothing.
#[derive(Debug, Clone)]
pub struct Ring {
    nodes: Vec<NodeId>,
    /// Number of the node of each lane, block by block; empty on an empty ring.
    lanes: Vec<usize>,
}

impl Ring {
    /// The ring of these nodes.
    pub fn new(nodes: impl IntoIterator<Item = NodeId>) -> Self {
        let nodes: Vec<NodeId> = nodes.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let circle = Circle::new(&nodes);
        let lanes = (0..BLOCKS).flat_map(|block| circle.lanes(block)).collect();
        Self { nodes, lanes }
    }
    /// The nodes, by name.
    pub fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }
    /// Who should own the slot; `None` on an empty ring.
    pub fn owner(&self, slot: Slot) -> Option<&NodeId> {
        let lane = slot.block() * LANES + slot.number() % LANES;
        self.lanes.get(usize::from(lane)).map(|node| &self.nodes[*node])
    }
    /// Who should own each slot, in the order of slots; empty on an empty ring.
    pub fn placement(&self) -> Vec<&NodeId> {
        Slot::all().filter_map(|slot| self.owner(slot)).collect()
    }
}

/// The entries of all nodes in the order of their hashes.
struct Circle {
    ring: HashRing<Entry>,
    /// Node at each place, in order.
    order: Vec<usize>,
    /// Place of entry (node, copy) in `order`.
    places: Vec<usize>,
    /// Different nodes that a lane considers.
    choices: usize,
}

impl Circle {
    fn new(nodes: &[NodeId]) -> Self {
        let entries = nodes.iter().enumerate().flat_map(|(node, name)| {
            (0..ENTRIES_PER_NODE).map(move |copy| Entry { name: name.clone(), node, copy })
        });
        let mut ring = HashRing::new();
        ring.batch_add(entries.collect());
        let mut places = vec![0; ring.len()];
        let mut order = Vec::with_capacity(ring.len());
        for entry in ring.clone() {
            places[place_of(&entry)] = order.len();
            order.push(entry.node);
        }
        Self { ring, order, places, choices: LANE_CHOICES.min(nodes.len()) }
    }
    /// The node of each lane of a block.
    fn lanes(&self, block: u16) -> Vec<usize> {
        let mut lanes = Vec::with_capacity(usize::from(LANES));
        for lane in 0..LANES {
            let choices = self.walk(&Start { block, lane });
            let free = choices.iter().find(|node| !lanes.contains(*node));
            lanes.extend(free.or(choices.first()));
        }
        lanes
    }
    /// The first [`LANE_CHOICES`] different nodes from a point on, once around.
    fn walk(&self, start: &Start) -> Vec<usize> {
        let first = self.ring.get(start).map_or(0, |entry| self.places[place_of(entry)]);
        let mut found = Vec::with_capacity(self.choices);
        for node in self.order[first..].iter().chain(&self.order[..first]) {
            if found.len() == self.choices {
                break;
            }
            if !found.contains(node) {
                found.push(*node);
            }
        }
        found
    }
}

/// Index of an entry in `places`.
fn place_of(entry: &Entry) -> usize {
    entry.node * usize::from(ENTRIES_PER_NODE) + usize::from(entry.copy)
}

#[cfg(test)]
mod tests;
