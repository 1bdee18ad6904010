//! What follows from the slot table and from who takes slots. Both change seldom, and are looked at ten times a second.

use crate::{claimant::CellView, node::NodeId, ring::Ring, table::SlotTable};
use std::{collections::BTreeSet, sync::Arc};

/// Worked out for one table and one set of nodes that take slots.
pub(super) struct Known {
    /// `None` before the first look.
    table: Option<Arc<SlotTable>>,
    owners: BTreeSet<NodeId>,
    ring: Ring,
}

impl Known {
    /// Nothing is owned.
    pub(super) fn new(cell: &CellView) -> Self {
        Self { table: None, owners: BTreeSet::new(), ring: cell.ring() }
    }

    /// Takes a table; whether it is another one than the last.
    pub(super) fn learn(&mut self, table: Arc<SlotTable>) -> bool {
        if self.table.as_ref().is_some_and(|known| Arc::ptr_eq(known, &table)) {
            return false;
        }
        self.owners = table.owners();
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

    /// The ring of those that take slots.
    pub(super) fn ring(&self) -> &Ring {
        &self.ring
    }
}
