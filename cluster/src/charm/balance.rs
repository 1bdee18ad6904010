//! When, and which, slots of this node go to the nodes that the ring has for them: after a node has come back, say.
//!
//! A move costs the slot's channels a load. So nothing moves until the cell has been the same for [`HOLD_MIN`] and the
//! slot has been here as long (F2), and only some slots move at a time.

use super::HANDED_AT_ONCE;
use crate::{
    claimant::{CellView, move_of},
    claims::Claim,
    fence::{HOLD_MIN, MoveReason},
    node::{BootId, Node, NodeId},
    ring::Ring,
    slots::Slot,
    table::Owner,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    time::Duration,
};

/// Who is there, as far as placement goes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Standing {
    lives: BTreeMap<NodeId, BootId>,
    gone: BTreeSet<NodeId>,
    leaving: BTreeSet<NodeId>,
    /// Members; whoever owns no slots takes none either.
    gray: BTreeSet<NodeId>,
}

/// Since when things are as they are.
#[derive(Debug, Default)]
pub(super) struct Balance {
    standing: Standing,
    calm_since: Duration,
    /// Since when this node has each of its slots.
    held: BTreeMap<Slot, (Owner, Duration)>,
}

impl Balance {
    /// What this node owns has changed.
    pub(super) fn owns(&mut self, own: impl Iterator<Item = (Slot, Owner)>, now: Duration) {
        let mut before = mem::take(&mut self.held);
        let since = |(slot, owner): (Slot, Owner)| {
            let known = before.remove(&slot).filter(|(known, _)| known.epoch == owner.epoch);
            (slot, known.unwrap_or((owner, now)))
        };
        self.held = own.map(since).collect();
    }

    /// What to move now. With the cell goes its ring.
    pub(super) fn moves(&mut self, me: &Node, (cell, ring): (&CellView, &Ring), now: Duration) -> Vec<Claim> {
        let standing = Standing {
            lives: cell.lives.clone(),
            gone: cell.gone.keys().cloned().collect(),
            leaving: cell.leaving.clone(),
            gray: cell.gray.keys().filter(|node| cell.members.contains(*node)).cloned().collect(),
        };
        if standing != self.standing {
            (self.standing, self.calm_since) = (standing, now);
        }
        if now.saturating_sub(self.calm_since) < HOLD_MIN {
            return Vec::new();
        }
        let moved = |(slot, (owner, since)): (&Slot, &(Owner, Duration))| {
            let why = (MoveReason::Balance, now.saturating_sub(*since));
            move_of(*slot, owner, me, (cell, ring), why)
        };
        self.held.iter().filter_map(moved).take(HANDED_AT_ONCE).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::CellId;
    use std::sync::Arc;

    fn node(name: &str) -> Node {
        Node { id: NodeId::parse(name).unwrap(), boot: BootId(1), cell: CellId::parse("c").unwrap() }
    }
    /// `a` owns everything.
    fn own() -> BTreeMap<Slot, Owner> {
        let owner = Owner { node: Arc::new(node("a")), epoch: 1 };
        Slot::all().map(|slot| (slot, owner.clone())).collect()
    }
    fn cell(up: &[&str]) -> CellView {
        let members: BTreeSet<NodeId> = ["a", "b"].map(|name| node(name).id).into();
        CellView {
            lives: up.iter().map(|name| (node(name).id, BootId(1))).collect(),
            ..CellView::starting(members)
        }
    }
    /// What moves at this second.
    fn at(balance: &mut Balance, own: &BTreeMap<Slot, Owner>, up: &[&str], second: u32) -> Vec<Claim> {
        let cell = cell(up);
        balance.owns(own.iter().map(|(slot, owner)| (*slot, owner.clone())), second * SECOND);
        balance.moves(&node("a"), (&cell, &cell.ring()), second * SECOND)
    }
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_the_ring_has_for_a_node_that_is_back_goes_to_it_some_at_a_time_and_not_at_once() {
        let (mut balance, mut own, me) = (Balance::default(), own(), node("a"));
        assert!(at(&mut balance, &own, &[], 20).is_empty(), "nobody is there to take them");
        assert!(at(&mut balance, &own, &["b"], 50).is_empty(), "it has only just come");
        assert!(at(&mut balance, &own, &["b"], 59).is_empty());
        let ring = cell(&["b"]).ring();
        let astray = own.keys().filter(|slot| ring.owner(**slot) != Some(&me.id)).count();
        let mut moved = 0;
        for look in 0..100 {
            let moves = at(&mut balance, &own, &["b"], 60 + look);
            assert!(moves.len() <= HANDED_AT_ONCE);
            for claim in &moves {
                assert_eq!((claim.to.node.as_str(), claim.from_epoch, claim.to.epoch), ("b", 1, 2));
                assert_eq!(ring.owner(claim.slot), Some(&node("b").id));
                own.remove(&claim.slot);
            }
            moved += moves.len();
        }
        assert!(moved == astray && astray > 1000, "{moved} of {astray}");
    }

    #[test]
    fn what_came_a_moment_ago_stays_and_nothing_moves_while_nodes_come_and_go() {
        let (mut balance, mut own, me) = (Balance::default(), own(), node("a"));
        at(&mut balance, &own, &["b"], 1);
        let ring = cell(&["b"]).ring();
        let late = *own.keys().find(|slot| ring.owner(**slot) != Some(&me.id)).unwrap();
        own.get_mut(&late).unwrap().epoch = 5;
        at(&mut balance, &own, &["b"], 8);
        let moves = at(&mut balance, &own, &["b"], 12);
        assert!(moves.len() == HANDED_AT_ONCE && moves.iter().all(|claim| claim.slot != late));
        for second in 13..60 {
            let up: &[&str] = if second % 9 == 0 { &[] } else { &["b"] };
            assert!(at(&mut balance, &own, up, second).is_empty() || second < 18, "{second}");
        }
    }
}
