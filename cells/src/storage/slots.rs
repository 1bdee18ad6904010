//! The slot table: one row a partition, so that a start reads and claims everything in 64 rows.

use super::engine::Trouble;
use super::keys::{Key, Parts};
use super::tables::{Definition, Tables, damaged, defs, frozen, get, open, put};
use cluster::claims::{self, Claim, ClaimOutcome, SLOTS_PER_PARTITION};
use cluster::slots::Slot;
use proto::v1::{PartitionRow, SlotOwner, SlotRow};
use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Format 1 had a row a slot.
const ROW_A_SLOT: Definition = Definition::new("slot");

/// Claims of a partition, those that exist.
pub fn read(snapshot: &ReadTransaction, partition: u16) -> Result<Vec<(Slot, SlotRow)>, Trouble> {
    let row = row(&frozen(snapshot, defs::partition)?, partition)?;
    let numbers = partition * SLOTS_PER_PARTITION..;
    let slots = numbers.zip((0..row.epochs.len()).map(|place| slot_at(&row, place)));
    let owned = slots.filter(|(_, slot)| slot.epoch > 0);
    Ok(owned.filter_map(|(number, slot)| Some((Slot::new(number)?, slot))).collect())
}

/// The claim of a slot; empty if nobody ever owned it.
pub fn one(snapshot: &ReadTransaction, slot: Slot) -> Result<SlotRow, Trouble> {
    let (partition, place) = place(slot);
    Ok(slot_at(&row(&frozen(snapshot, defs::partition)?, partition)?, place))
}

impl Tables<'_> {
    /// Applies claims in order, each by itself.
    pub fn claim(&mut self, claims: &[Claim]) -> Result<Vec<ClaimOutcome>, Trouble> {
        let (mut rows, mut outcomes) = (BTreeMap::new(), Vec::with_capacity(claims.len()));
        for claim in claims {
            let (partition, place) = place(claim.slot);
            let row = match rows.entry(partition) {
                Entry::Vacant(entry) => entry.insert(row(&self.partition, partition)?),
                Entry::Occupied(entry) => entry.into_mut(),
            };
            let is_as_believed = row.epochs.get(place).copied().unwrap_or(0) == claim.from_epoch;
            outcomes.push(if is_as_believed || cluster::planted!(ClaimUnconditional) {
                set_slot(row, place, &claim.to);
                ClaimOutcome::Applied
            } else {
                ClaimOutcome::Refused(slot_at(row, place))
            });
        }
        rows.into_iter()
            .try_for_each(|(partition, row)| put(&mut self.partition, &key(partition), &tidied(row)))?;
        Ok(outcomes)
    }
}

/// Rewrites the rows of format 1.
pub fn migrate(transaction: &WriteTransaction) -> Result<(), Trouble> {
    let mut rows: BTreeMap<u16, PartitionRow> = BTreeMap::new();
    for row in transaction.open_table(ROW_A_SLOT)?.range::<&[u8]>(..)? {
        let (key, row) = row?;
        let slot = Parts::of(key.value()).u16().and_then(Slot::new);
        let slot = slot.ok_or_else(|| damaged("slot", key.value(), "its key does not parse"))?;
        let (partition, place) = place(slot);
        set_slot(rows.entry(partition).or_default(), place, &open("slot", key.value(), row.value())?);
    }
    transaction.delete_table(ROW_A_SLOT)?;
    let mut table = transaction.open_table(defs::partition)?;
    rows.into_iter().try_for_each(|(partition, row)| put(&mut table, &key(partition), &row))
}

fn key(partition: u16) -> Key {
    Key::default().u16(partition)
}

/// A slot's partition, and its place in that.
fn place(slot: Slot) -> (u16, usize) {
    (claims::partition(slot), usize::from(slot.number() % SLOTS_PER_PARTITION))
}

fn row(
    rows: &impl ReadableTable<&'static [u8], &'static [u8]>,
    partition: u16,
) -> Result<PartitionRow, Trouble> {
    let key = key(partition);
    let row: PartitionRow = get(rows, "partition", &key)?.unwrap_or_default();
    let fits = row.epochs.len() <= usize::from(SLOTS_PER_PARTITION) && row.owner_of.len() == row.epochs.len();
    let known =
        row.owner_of.iter().zip(&row.epochs).all(|(at, epoch)| *epoch == 0 || owner(&row, *at).is_some());
    if !fits || !known {
        return Err(damaged("partition", key.bytes(), "its slots and their owners do not fit together"));
    }
    Ok(row)
}

fn owner(row: &PartitionRow, at: u32) -> Option<&SlotOwner> {
    row.owners.get(usize::try_from(at).ok()?)
}

/// The claim at a place of a partition; empty if there is none.
fn slot_at(row: &PartitionRow, place: usize) -> SlotRow {
    let epoch = row.epochs.get(place).copied().filter(|epoch| *epoch > 0);
    let owner = row.owner_of.get(place).and_then(|at| owner(row, *at)).cloned();
    match (epoch, owner) {
        (Some(epoch), Some(SlotOwner { node, boot, cell })) => SlotRow { epoch, node, boot, cell },
        _ => SlotRow::default(),
    }
}

fn set_slot(row: &mut PartitionRow, place: usize, to: &SlotRow) {
    let slots = row.epochs.len().max(place + 1);
    row.epochs.resize(slots, 0);
    row.owner_of.resize(slots, 0);
    let is_to = |owner: &SlotOwner| owner.boot == to.boot && owner.node == to.node && owner.cell == to.cell;
    let known = row.owners.iter().position(is_to).unwrap_or_else(|| {
        row.owners.push(SlotOwner { node: to.node.clone(), boot: to.boot, cell: to.cell.clone() });
        row.owners.len() - 1
    });
    row.epochs[place] = to.epoch;
    row.owner_of[place] = u32::try_from(known).expect("an owner a slot at most, and those of one call");
}

/// Without owners that own nothing any more.
fn tidied(mut row: PartitionRow) -> PartitionRow {
    let owns = |at: usize| {
        row.epochs.iter().zip(&row.owner_of).any(|(epoch, of)| *epoch > 0 && usize::try_from(*of) == Ok(at))
    };
    let kept: Vec<usize> = (0..row.owners.len()).filter(|at| owns(*at)).collect();
    let now_at =
        |old: u32| kept.iter().position(|kept| usize::try_from(old) == Ok(*kept)).unwrap_or_default();
    row.owner_of.iter_mut().for_each(|at| *at = u32::try_from(now_at(*at)).unwrap_or_default());
    row.owners = kept.iter().map(|at| std::mem::take(&mut row.owners[*at])).collect();
    row
}
