//! What follows from the slot table and from who takes slots. Both change seldom, and are looked at ten times a second.

use crate::{
    claimant::CellView,
    node::{Node, NodeId},
    ring::Ring,
    slots::Slot,
    table::{Owner, SlotTable},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Worked out for one table and one set of nodes that take slots.
pub(super) struct Known {
    /// `None` before the first look.
    table: Option<Arc<SlotTable>>,
    owners: BTreeSet<NodeId>,
    own: BTreeMap<Slot, Owner>,
    ring: Ring,
}

impl Known {
    /// Nothing is owned.
    pub(super) fn new(cell: &CellView) -> Self {
        Self { table: None, owners: BTreeSet::new(), own: BTreeMap::new(), ring: cell.ring() }
    }

    /// Takes a table; whether it is another one than the last.
    pub(super) fn learn(&mut self, table: Arc<SlotTable>, me: &Node) -> bool {
        if self.table.as_ref().is_some_and(|known| Arc::ptr_eq(known, &table)) {
            return false;
        }
        (self.owners, self.own) = Default::default();
        for (slot, owner) in Slot::all().filter_map(|slot| Some((slot, table.owner(slot)?))) {
            if !self.owners.contains(&owner.node.id) {
                self.owners.insert(owner.node.id.clone());
            }
            if *owner.node == *me {
                self.own.insert(slot, owner.clone());
            }
        }
        self.table = Some(table);
        true
    }

    /// Takes a cell: its ring is made again when others take slots.
    pub(super) fn places(&mut self, cell: &CellView) {
        if !cell.takers().eq(self.ring.nodes()) {
            self.ring = cell.ring();
        }
    }

    /// Who owns slots.
    pub(super) fn owners(&self) -> impl Iterator<Item = &NodeId> {
        self.owners.iter()
    }

    /// What this node owns.
    pub(super) fn own(&self) -> &BTreeMap<Slot, Owner> {
        &self.own
    }

    /// The ring of those that take slots.
    pub(super) fn ring(&self) -> &Ring {
        &self.ring
    }
}
