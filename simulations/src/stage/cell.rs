//! A cell in miniature: the nodes that are sites by themselves share a slot table of a few slots on paper, and by what
//! they hear of each other they claim and hand over as F1 and F2 let them. Nobody is served from it.

use crate::{
    promises::{nodes_meet, one_owner},
    stage::{seat::Seat, site::lock},
    world::{World, report::Violation},
};
use cluster::{
    claims::Claim,
    fence::{ClaimView, MoveReason, MoveView, OwnerSeen, forced_claim, planned_move},
    host::Host,
    node::{BootId, CellId, Node as Me, NodeId},
    ring::Ring,
    slots::{SLOTS, Slot},
    table::{Owner, Table},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// Slots on paper, spread over the ring.
const PLAYED: u16 = 12;
/// Longest time between reading the paper and writing on it.
const READ_TO_WRITE_MS: u64 = 400;

/// The slot table, and who may claim: a store that never fails.
#[derive(Debug, Default)]
pub struct Paper {
    rows: Mutex<BTreeMap<Slot, Owner>>,
    members: BTreeSet<NodeId>,
}

/// What a node sees of the others.
#[derive(Debug, Clone, Default)]
pub struct Sight {
    /// Links that are up, each to this life.
    pub up: BTreeMap<NodeId, BootId>,
    /// What each peer said last of whom it sees.
    pub said: BTreeMap<NodeId, BTreeSet<NodeId>>,
}

/// One node's part in it.
pub struct Player {
    world: World,
    host: Host,
    me: Me,
    paper: Arc<Paper>,
    table: Table,
    /// When each slot was seen to change its owner last.
    held: BTreeMap<Slot, Duration>,
}

impl Paper {
    /// An empty table of these members.
    pub fn new(members: BTreeSet<NodeId>) -> Self {
        Self { rows: Mutex::default(), members }
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<Slot, Owner>> {
        lock(&self.rows)
    }

    fn read(&self) -> Vec<(Slot, Owner)> {
        self.rows().iter().map(|(slot, owner)| (*slot, owner.clone())).collect()
    }

    /// Compare-and-set; the owner that was replaced, if the claim was applied.
    fn claim(&self, claim: &Claim) -> Option<Option<Owner>> {
        let mut rows = self.rows();
        let there = rows.get(&claim.slot).cloned();
        if there.as_ref().map_or(0, |owner| owner.epoch) != claim.from_epoch {
            return None;
        }
        let owner = Owner::of_row(claim.slot, &claim.to).expect("a claim of a node with a name");
        rows.extend(owner.map(|owner| (claim.slot, owner)));
        Some(there)
    }
}

impl Player {
    /// A node that has just started.
    pub fn new(world: &World, host: &Host, me: &Me, paper: Arc<Paper>) -> Self {
        let (world, host) = (world.clone(), host.clone());
        Self { world, host, me: member(me), paper, table: Table::default(), held: BTreeMap::new() }
    }

    /// Reads the table, decides by what it sees, and writes a moment later. `late`: how late its own loop runs.
    pub async fn play(&mut self, sight: &Sight, late: Duration) {
        let (changed, now) = (self.table.apply(&self.paper.read()), self.host.monotonic());
        self.held.extend(changed.into_iter().map(|slot| (slot, now)));
        let ring = Ring::new(sight.up.keys().cloned().chain([self.me.id.clone()]));
        let slots = (0..PLAYED).filter_map(|number| Slot::new(number * (SLOTS / PLAYED)));
        let wanted: Vec<(Claim, bool)> =
            slots.filter_map(|slot| self.wants(slot, &ring, sight, late)).collect();
        self.host.sleep(Duration::from_millis(self.host.entropy().below(READ_TO_WRITE_MS))).await;
        for (claim, is_forced) in wanted {
            let Some(from) = self.paper.claim(&claim) else {
                self.world.count("cell.refused", 1);
                continue;
            };
            self.world.count(if is_forced { "cell.claimed" } else { "rule.F2" }, 1);
            if let Err(violation) = from.map_or(Ok(()), |from| fair(&self.me, &from, sight, is_forced)) {
                self.world.violate(violation);
            }
        }
    }

    /// The claim that a rule allows, and whether it is forced.
    fn wants(&self, slot: Slot, ring: &Ring, sight: &Sight, late: Duration) -> Option<(Claim, bool)> {
        let table = self.table.now();
        let (owner, successor) = (table.owner(slot), ring.owner(slot));
        let (seen, second) = owner.map_or((OwnerSeen::Up, false), |owner| seen(owner, &self.me, sight));
        let view = ClaimView {
            me: &self.me,
            slot,
            owner,
            owner_seen: seen,
            second_observer: second,
            successor,
            members: self.paper.members.len(),
            members_linked: ring.nodes().len(),
            loop_lag: late,
        };
        if let Ok(claim) = forced_claim(&view) {
            return Some((claim, true));
        }
        let to = match successor? {
            me if *me == self.me.id => self.me.clone(),
            to => Me { id: to.clone(), boot: *sight.up.get(to)?, cell: self.me.cell.clone() },
        };
        let held = self.held.get(&slot).map_or(Duration::ZERO, |since| self.host.monotonic() - *since);
        let view = MoveView { me: &self.me, slot, owner, to: &to, held, reason: MoveReason::Balance };
        Some((planned_move(&view).ok()?, false))
    }
}

/// A node as a member of the cell on paper: each serves its people as a cell of its own.
fn member(node: &Me) -> Me {
    Me { cell: CellId::parse("paper").expect("a plain name"), ..node.clone() }
}

/// How an owner looks from here, and whether another node sees it gone as well.
fn seen(owner: &Owner, me: &Me, sight: &Sight) -> (OwnerSeen, bool) {
    let seen = match sight.up.get(&owner.node.id) {
        Some(boot) if *boot == owner.node.boot => OwnerSeen::Up,
        Some(_) => OwnerSeen::Rebooted,
        None if owner.node.id == me.id => OwnerSeen::Up,
        None => OwnerSeen::Down,
    };
    let others =
        sight.said.iter().filter(|(peer, _)| **peer != owner.node.id && sight.up.contains_key(*peer));
    let second = others.into_iter().any(|(_, sees)| !sees.contains(&owner.node.id));
    (seen, second)
}

/// Whoever is seen up, in the life that owns the slot, keeps it; and only the owner hands it over.
fn fair(me: &Me, from: &Owner, sight: &Sight, is_forced: bool) -> Result<(), Violation> {
    let is_up = sight.up.get(&from.node.id) == Some(&from.node.boot);
    let is_fair = if is_forced { !is_up } else { *from.node == *me };
    one_owner::PROMISE
        .holds(is_fair, || format!("{} took a slot from {}, whose link was up", me.id, from.node.id))
}

/// In the end every slot is with a node that runs.
pub fn settled(paper: &Paper, seats: &[&Seat]) -> Result<(), Violation> {
    // Links do not look for a node that has moved.
    if seats.is_empty() || seats.iter().any(|seat| seat.has_moved()) {
        return Ok(());
    }
    let table = Table::default();
    table.apply(&paper.read());
    let owned = |seat: &&Seat| seat.node().map_or(0, |node| table.now().owned_by(&member(&node.me)).count());
    let owned: Vec<usize> = seats.iter().map(owned).collect();
    nodes_meet::settled(&owned, usize::from(PLAYED))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, boot: u64) -> Me {
        let cell = CellId::parse("a").expect("a name");
        Me { id: NodeId::parse(name).expect("a name"), boot: BootId(boot), cell }
    }

    #[test]
    fn who_is_up_is_not_robbed_and_only_owners_hand_over() {
        let (me, other) = (node("me", 1), node("other", 2));
        let owned_by = |node: &Me| Owner { node: Arc::new(node.clone()), epoch: 3 };
        let sees = |boot| Sight { up: [(other.id.clone(), BootId(boot))].into(), ..Sight::default() };
        assert!(fair(&me, &owned_by(&other), &sees(2), true).is_err(), "it is up");
        assert_eq!(fair(&me, &owned_by(&other), &sees(3), true), Ok(()), "it is back in another life");
        assert_eq!(fair(&me, &owned_by(&other), &Sight::default(), true), Ok(()), "it is gone");
        assert!(fair(&me, &owned_by(&other), &Sight::default(), false).is_err(), "it is not ours to give");
        assert_eq!(fair(&me, &owned_by(&me), &sees(2), false), Ok(()));
    }

    #[test]
    fn a_claim_on_paper_needs_the_epoch_that_is_there() {
        let paper = Paper::new(BTreeSet::new());
        let slot = Slot::new(0).expect("a slot");
        let first = Owner::claim(slot, None, &node("me", 1));
        assert_eq!(paper.claim(&first), Some(None));
        assert_eq!(paper.claim(&first), None, "another row is there");
    }
}
