//! Opening a database: the file's form, its version, and what is wrong with it if anything is.

use super::OpenError;
use super::disk::Disk;
use super::engine::{Trouble, caught, close};
use super::overlay::Overlay;
use super::slots;
use super::tables::{Tables, defs};
use redb::{Database, DatabaseError, ReadableDatabase, StorageBackend, StorageError, TableError};
use std::io;

/// Version of tables, keys and rows that this build reads and writes.
pub const FORMAT: u32 = 2;
/// Memory for pages while opening is rehearsed: none, so that nothing is left to close with once the overlay has ended.
const REHEARSAL_CACHE_BYTES: usize = 0;
const FORMAT_KEY: &[u8] = b"format";

/// Opens the database on this disk, or creates it on an empty one. Tried on an overlay first, where every page is
/// read if `verify`: a file that does not open is not written to.
pub fn open(disk: &Disk, cache_bytes: usize, verify: bool) -> Result<Database, OpenError> {
    if disk.len().map_err(OpenError::Io)? > 0 && !disk.clear_unfinished().map_err(OpenError::Io)? {
        let overlay = overlay(disk)?;
        let leash = overlay.leash();
        let rehearsed = open_on(overlay, REHEARSAL_CACHE_BYTES, verify)?;
        // Closing writes. On damage that opening did not come across redb panics there, and once more in its own
        // clean-up, which ends the process: without its disk it fails instead.
        leash.end();
        close(rehearsed).map_err(|trouble| OpenError::Damaged(trouble.refusal().to_string()))?;
    }
    open_on(disk.clone(), cache_bytes, false).inspect(|_| drop(disk.take_fault()))
}

/// Opens the database for reading only: the disk is not written to.
pub fn open_frozen(disk: &Disk, cache_bytes: usize) -> Result<Database, OpenError> {
    open_on(overlay(disk)?, cache_bytes, false)
}

fn overlay(disk: &Disk) -> Result<Overlay, OpenError> {
    Overlay::new(disk.clone()).map_err(OpenError::Io)
}

fn open_on(backend: impl StorageBackend, cache_bytes: usize, verify: bool) -> Result<Database, OpenError> {
    let mut builder = redb::Builder::new();
    builder.set_cache_size(cache_bytes).set_check_integrity_on_open(verify);
    let database = match caught(|| Ok(builder.create_with_backend(backend))) {
        Ok(opened) => opened.map_err(refused)?,
        Err(trouble) => return Err(OpenError::Damaged(trouble.refusal().to_string())),
    };
    match caught(|| check(&database)) {
        Ok(FORMAT) => Ok(database),
        Ok(found) => Err(OpenError::Format { found }),
        Err(Trouble::Redb(redb::Error::Io(error))) => Err(OpenError::Io(error)),
        Err(trouble) => Err(OpenError::Damaged(trouble.refusal().to_string())),
    }
}

/// The format that the file has; an empty database becomes one of this build, one of format 1 is rewritten to it.
fn check(database: &Database) -> Result<u32, Trouble> {
    let snapshot = database.begin_read()?;
    let found = match snapshot.open_table(defs::format) {
        Ok(table) => table.get(FORMAT_KEY)?.map(|row| row.value().try_into().map(u32::from_be_bytes)),
        Err(TableError::TableDoesNotExist(_)) if snapshot.list_tables()?.next().is_none() => None,
        Err(error) => return Err(error.into()),
    };
    let is_first = match found {
        Some(Ok(1)) => true,
        Some(Ok(format)) => return Ok(format),
        Some(Err(_)) => return Err(Trouble::Damaged("the format row is not a number".into())),
        None => false,
    };
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    if is_first {
        slots::migrate(&transaction)?;
    }
    Tables::open(&transaction)?.format.insert(FORMAT_KEY, FORMAT.to_be_bytes().as_slice())?;
    transaction.commit()?;
    Ok(FORMAT)
}

fn refused(error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::Storage(StorageError::Io(error)) => match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                OpenError::Damaged(error.to_string())
            }
            _ => OpenError::Io(error),
        },
        DatabaseError::DatabaseAlreadyOpen => OpenError::Locked,
        other => OpenError::Damaged(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::keys::Key;
    use crate::storage::tables::{Definition, put};
    use cluster::claims::{Claim, ClaimOutcome};
    use cluster::slots::Slot;
    use proto::v1::SlotRow;

    fn row(epoch: u64) -> SlotRow {
        SlotRow { epoch, node: "n1".into(), boot: 7, cell: "a".into() }
    }

    fn slot(number: u16) -> Slot {
        Slot::new(number).expect("a slot")
    }

    #[test]
    fn a_file_with_a_row_a_slot_keeps_its_claims() {
        let builder = redb::Builder::new();
        let database =
            builder.create_with_backend(redb::backends::InMemoryBackend::new()).expect("it is new");
        let old = database.begin_write().expect("nobody else writes");
        {
            let mut slots = old.open_table(Definition::new("slot")).expect("a table");
            for (number, epoch) in [(0, 3), (63, 4), (64, 5), (4095, 6)] {
                put(&mut slots, &Key::slot(slot(number)), &row(epoch)).expect("a row");
            }
            let mut format = old.open_table(defs::format).expect("a table");
            format.insert(FORMAT_KEY, 1u32.to_be_bytes().as_slice()).expect("a row");
        }
        old.commit().expect("memory takes it");

        assert_eq!(check(&database).expect("it opens"), FORMAT);
        let snapshot = database.begin_read().expect("it reads");
        assert_eq!(slots::read(&snapshot, 0).expect("rows"), [(slot(0), row(3)), (slot(63), row(4))]);
        assert_eq!(slots::read(&snapshot, 1).expect("rows"), [(slot(64), row(5))]);
        assert_eq!(slots::one(&snapshot, slot(4095)).expect("a row"), row(6));
        assert_eq!(slots::one(&snapshot, slot(100)).expect("a row"), SlotRow::default());
        assert!(snapshot.open_table(Definition::new("slot")).is_err(), "the old table is still there");

        // What was claimed goes on from there.
        let transaction = database.begin_write().expect("nobody else writes");
        let claim = Claim { slot: slot(63), from_epoch: 3, to: row(9) };
        let outcomes = Tables::open(&transaction).expect("tables").claim(&[claim]).expect("outcomes");
        assert_eq!(outcomes, [ClaimOutcome::Refused(row(4))]);
    }
}
