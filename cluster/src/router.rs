//! Where a slot's commands go. A pure answer from the table; carrying them there is the link's business.

use crate::{
    node::{Node, NodeId},
    slots::Slot,
    table::{SlotTable, Table},
};
use std::sync::Arc;

/// Where a command for a slot goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// This node owns it, by its claim of this epoch.
    Local {
        /// Epoch of the claim.
        epoch: u64,
    },
    /// Another node owns it.
    Remote {
        /// Which one.
        node: NodeId,
        /// Epoch of its claim: travels with the command, so that the receiver can tell whose table is older.
        epoch: u64,
    },
    /// Nobody is known to own it, or only an earlier life of this node: claim, or try again.
    Unowned,
}

/// The answer of one table.
pub fn route(table: &SlotTable, me: &Node, slot: Slot) -> Route {
    match table.owner(slot) {
        Some(owner) if *owner.node == *me => Route::Local { epoch: owner.epoch },
        Some(owner) if owner.node.id == me.id => Route::Unowned,
        Some(owner) => Route::Remote { node: owner.node.id.clone(), epoch: owner.epoch },
        None => Route::Unowned,
    }
}

/// Routes by the node's current table. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Router {
    me: Arc<Node>,
    table: Arc<Table>,
}

impl Router {
    /// A router of this life of the node.
    pub fn new(me: Arc<Node>, table: Arc<Table>) -> Self {
        Self { me, table }
    }
    /// Where commands for the slot go now.
    pub fn route(&self, slot: Slot) -> Route {
        route(&self.table.now(), &self.me, slot)
    }
    /// This node.
    pub fn me(&self) -> &Node {
        &self.me
    }
    /// The table it routes by.
    pub fn table(&self) -> &Table {
        &self.table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        node::{BootId, CellId},
        table::Owner,
    };

    fn node(name: &str, boot: u64) -> Node {
        Node { id: NodeId::parse(name).unwrap(), boot: BootId(boot), cell: CellId::parse("a").unwrap() }
    }
    fn owned(node: Node, epoch: u64) -> Owner {
        Owner { node: Arc::new(node), epoch }
    }

    #[test]
    fn a_slot_goes_to_its_owner_and_an_earlier_life_of_this_node_is_nobody() {
        let slots: Vec<Slot> = Slot::all().take(4).collect();
        let table = Arc::new(Table::new());
        let router = Router::new(Arc::new(node("me", 2)), Arc::clone(&table));
        table.apply(&[
            (slots[0], owned(node("me", 2), 5)),
            (slots[1], owned(node("me", 1), 4)),
            (slots[2], owned(node("other", 2), 9)),
        ]);
        assert_eq!(router.route(slots[0]), Route::Local { epoch: 5 });
        assert_eq!(router.route(slots[1]), Route::Unowned);
        assert_eq!(router.route(slots[2]), Route::Remote { node: node("other", 2).id, epoch: 9 });
        assert_eq!(router.route(slots[3]), Route::Unowned);
    }

    #[test]
    fn the_next_route_follows_a_move() {
        let slot = Slot::new(7).unwrap();
        let table = Arc::new(Table::new());
        let router = Router::new(Arc::new(node("me", 1)), Arc::clone(&table));
        table.apply(&[(slot, owned(node("me", 1), 1))]);
        assert_eq!(router.route(slot), Route::Local { epoch: 1 });
        table.apply(&[(slot, owned(node("other", 1), 2))]);
        assert_eq!(router.route(slot), Route::Remote { node: node("other", 1).id, epoch: 2 });
    }
}
