//! The slot table: who owns each slot as far as this node knows. Immutable, stamped with epochs, swapped
//! whole.
//!
//! It is read on every message and changed when slots move. It is a hint: a node that routes by an old table
//! is answered `NotOwner`, and an owner that is one no longer is stopped by the log's fence, not by this
//! table.

use crate::{
    claims::Claim,
    node::{BootId, CellId, NameError, Node, NodeId},
    slots::{SLOTS, Slot, told::ToldSlots},
};
use arc_swap::{ArcSwap, Guard};
use proto::v1::SlotRow;
use std::{collections::BTreeSet, sync::Arc};

/// An owner and the epoch of its claim; epochs start at 1 and count every change of the slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Who, in which life.
    pub node: Arc<Node>,
    /// Since which epoch.
    pub epoch: u64,
}

/// A row of the `slot` table that names no owner anyone could reach: written by a faulty program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the row of slot {slot} is damaged: {why}")]
pub struct RowError {
    /// The slot.
    pub slot: Slot,
    /// What is wrong.
    pub why: NameError,
}

impl Owner {
    /// Reads a row; `None` for one of epoch 0, which nobody ever owned.
    pub fn of_row(slot: Slot, row: &SlotRow) -> Result<Option<Self>, RowError> {
        if row.epoch == 0 {
            return Ok(None);
        }
        let damaged = |why| RowError { slot, why };
        let node = Node {
            id: NodeId::parse(&row.node).map_err(damaged)?,
            boot: BootId(row.boot),
            cell: CellId::parse(&row.cell).map_err(damaged)?,
        };
        Ok(Some(Self { node: Arc::new(node), epoch: row.epoch }))
    }
    /// As [`Owner::of_row`], for one row after another: an owner has many slots, and its name is read and kept once.
    pub fn of_next_row(before: Option<&Owner>, slot: Slot, row: &SlotRow) -> Result<Option<Self>, RowError> {
        match before {
            Some(before) if row.epoch > 0 && before.is_named_by(row) => {
                Ok(Some(Self { node: before.node.clone(), epoch: row.epoch }))
            }
            _ => Self::of_row(slot, row),
        }
    }
    fn is_named_by(&self, row: &SlotRow) -> bool {
        let Node { id, boot, cell } = &*self.node;
        boot.0 == row.boot && id.as_str() == row.node && cell.as_str() == row.cell
    }
    /// The compare-and-set that gives `slot` to `to`, from this owner or from nobody.
    pub fn claim(slot: Slot, from: Option<&Owner>, to: &Node) -> Claim {
        let from_epoch = from.map_or(0, |owner| owner.epoch);
        let (node, cell) = (to.id.to_string(), to.cell.to_string());
        Claim { slot, from_epoch, to: SlotRow { epoch: from_epoch + 1, node, boot: to.boot.0, cell } }
    }
}

/// One state of the table.
#[derive(Debug, Clone)]
pub struct SlotTable(Box<[Option<Owner>]>);

impl SlotTable {
    /// A table in which nothing is owned.
    pub fn empty() -> Self {
        Self(vec![None; usize::from(SLOTS)].into())
    }
    /// Who owns the slot, as far as is known.
    pub fn owner(&self, slot: Slot) -> Option<&Owner> {
        self.0[usize::from(slot.number())].as_ref()
    }
    /// Slots that this life of the node owns, in order, each with its epoch.
    pub fn owned_by<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = (Slot, u64)> + 'a {
        Slot::all().filter_map(move |slot| {
            let owner = self.owner(slot)?;
            (*owner.node == *node).then_some((slot, owner.epoch))
        })
    }
    /// Who owns slots.
    pub fn owners(&self) -> BTreeSet<NodeId> {
        let mut owners = BTreeSet::new();
        for owner in Slot::all().filter_map(|slot| self.owner(slot)) {
            if !owners.contains(&owner.node.id) {
                owners.insert(owner.node.id.clone());
            }
        }
        owners
    }
    /// Takes the news if its epoch is higher than what is known; true if it was.
    fn learn(&mut self, slot: Slot, news: &Owner) -> bool {
        let known = &mut self.0[usize::from(slot.number())];
        let is_newer = |known: &Owner| match crate::planted!(OlderNewsWins) {
            true => known.epoch != news.epoch,
            false => known.epoch < news.epoch,
        };
        let newer = known.as_ref().is_none_or(is_newer) && news.epoch > 0;
        if newer {
            *known = Some(news.clone());
        }
        newer
    }
}

/// The node's current table: many readers that never wait, news taken from rows, claims and gossip. Whoever brings the
/// news, [`Table::changes`] has them.
#[derive(Debug)]
pub struct Table {
    now: ArcSwap<SlotTable>,
    changes: ToldSlots,
}

impl Table {
    /// A table in which nothing is owned.
    pub fn new() -> Self {
        Self { now: ArcSwap::from_pointee(SlotTable::empty()), changes: ToldSlots::default() }
    }
    /// Slots that have changed hands since somebody asked last.
    pub fn changes(&self) -> &ToldSlots {
        &self.changes
    }
    /// The state now. Cheap; drop it before the next await.
    pub fn now(&self) -> Guard<Arc<SlotTable>> {
        self.now.load()
    }
    /// Takes what has a higher epoch than what is known and drops the rest; the slots that changed.
    pub fn apply(&self, news: &[(Slot, Owner)]) -> Vec<Slot> {
        let mut changed = Vec::new();
        self.now.rcu(|known| {
            let mut next = SlotTable::clone(known);
            changed.clear();
            changed
                .extend(news.iter().filter(|(slot, owner)| next.learn(*slot, owner)).map(|(slot, _)| slot));
            if changed.is_empty() { Arc::clone(known) } else { Arc::new(next) }
        });
        changed.iter().for_each(|slot| self.changes.tell(*slot));
        changed
    }
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str, epoch: u64) -> Owner {
        let row = SlotRow { epoch, node: name.into(), boot: 7, cell: "a".into() };
        Owner::of_row(slot(0), &row).unwrap().unwrap()
    }
    fn slot(number: u16) -> Slot {
        Slot::new(number).unwrap()
    }

    #[test]
    fn only_a_higher_epoch_changes_a_slot() {
        let table = Table::new();
        assert_eq!(table.apply(&[(slot(3), owner("m", 5))]), [slot(3)]);
        for (late, epoch) in [("n", 4), ("n", 5), ("n", 0)] {
            let mut news = owner(late, 1);
            news.epoch = epoch;
            assert_eq!(table.apply(&[(slot(3), news)]), []);
        }
        assert_eq!(table.now().owner(slot(3)), Some(&owner("m", 5)));
        assert_eq!(table.apply(&[(slot(3), owner("n", 6)), (slot(4), owner("n", 1))]), [slot(3), slot(4)]);
        assert_eq!(table.now().owner(slot(3)).unwrap().node.id.as_str(), "n");
    }

    #[test]
    fn a_reader_keeps_the_state_it_took_while_the_table_is_swapped() {
        let table = Table::new();
        let before = table.now();
        table.apply(&[(slot(9), owner("m", 1))]);
        assert_eq!(before.owner(slot(9)), None);
        assert!(table.now().owner(slot(9)).is_some());
    }

    #[test]
    fn news_from_two_threads_is_never_lost() {
        let table = Table::new();
        let halves: Vec<Vec<(Slot, Owner)>> = (0..2)
            .map(|half| Slot::all().filter(|s| s.number() % 2 == half).map(|s| (s, owner("m", 1))).collect())
            .collect();
        std::thread::scope(|scope| {
            for half in &halves {
                scope.spawn(|| half.chunks(16).for_each(|news| drop(table.apply(news))));
            }
        });
        assert!(Slot::all().all(|slot| table.now().owner(slot).is_some()));
    }

    #[test]
    fn a_row_with_an_unusable_name_is_an_error_and_one_of_epoch_zero_is_nobody() {
        let row = |epoch, node: &str| SlotRow { epoch, node: node.into(), boot: 1, cell: "a".into() };
        assert_eq!(Owner::of_row(slot(1), &row(0, "")), Ok(None));
        let error = Owner::of_row(slot(1), &row(1, "a b")).unwrap_err();
        assert!(error.to_string().starts_with("the row of slot 1 is damaged"), "{error}");
    }

    #[test]
    fn rows_of_one_owner_share_its_name_and_those_of_another_do_not() {
        let row = |epoch, node: &str, boot, cell: &str| {
            Owner::of_next_row(
                Some(&owner("m", 3)),
                slot(1),
                &SlotRow { epoch, node: node.into(), boot, cell: cell.into() },
            )
        };
        let before = owner("m", 3);
        let row_of_it = SlotRow { epoch: 4, node: "m".into(), boot: 7, cell: "a".into() };
        let next = Owner::of_next_row(Some(&before), slot(1), &row_of_it).unwrap().unwrap();
        assert!(Arc::ptr_eq(&next.node, &before.node));
        assert_eq!(next, owner("m", 4));
        for (node, boot, cell) in [("n", 7, "a"), ("m", 8, "a"), ("m", 7, "b")] {
            let other = row(4, node, boot, cell).unwrap().unwrap();
            assert_eq!(
                (other.node.id.as_str(), other.node.boot, other.node.cell.as_str()),
                (node, BootId(boot), cell)
            );
        }
        assert_eq!(row(0, "m", 7, "a"), Ok(None));
    }

    #[test]
    fn a_node_owns_what_names_its_present_life_only() {
        let table = Table::new();
        table.apply(&[(slot(1), owner("m", 4)), (slot(2), owner("n", 1)), (slot(5), owner("m", 2))]);
        let me = Node::clone(&owner("m", 1).node);
        assert_eq!(table.now().owned_by(&me).collect::<Vec<_>>(), [(slot(1), 4), (slot(5), 2)]);
        let reborn = Node { boot: BootId(8), ..me };
        assert_eq!(table.now().owned_by(&reborn).count(), 0);
    }

    #[test]
    fn a_claim_raises_the_epoch_by_one() {
        let me = Node::clone(&owner("n", 1).node);
        let first = Owner::claim(slot(1), None, &me);
        assert_eq!((first.from_epoch, first.to.epoch), (0, 1));
        let next = Owner::claim(slot(1), Some(&owner("m", 41)), &me);
        assert_eq!((next.from_epoch, next.to.epoch, next.to.node.as_str()), (41, 42, "n"));
    }
}
