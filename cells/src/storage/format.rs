//! Opening a database: the file's form, its version, and what is wrong with it if anything is.

use super::OpenError;
use super::disk::Disk;
use super::engine::{Trouble, caught};
use super::tables::{Tables, defs};
use redb::{Database, DatabaseError, ReadableDatabase, StorageError, TableError};
use std::io;

/// Version of tables, keys and rows that this build reads and writes.
pub const FORMAT: u32 = 1;
const FORMAT_KEY: &[u8] = b"format";

/// Opens the database on this disk, or creates it on an empty one.
pub fn open(disk: &Disk, cache_bytes: usize) -> Result<Database, OpenError> {
    disk.clear_unfinished().map_err(OpenError::Io)?;
    let created =
        caught(|| Ok(redb::Builder::new().set_cache_size(cache_bytes).create_with_backend(disk.clone())));
    let database = match created {
        Ok(opened) => opened.map_err(refused)?,
        Err(panicked) => return Err(OpenError::Damaged(format!("{panicked:?}"))),
    };
    match caught(|| check(&database)) {
        Ok(FORMAT) => {
            disk.take_fault();
            Ok(database)
        }
        Ok(found) => Err(OpenError::Format { found }),
        Err(Trouble::Redb(redb::Error::Io(error))) => Err(OpenError::Io(error)),
        Err(trouble) => Err(OpenError::Damaged(trouble.refusal().to_string())),
    }
}

/// The format that the file has; an empty database becomes one of this build.
fn check(database: &Database) -> Result<u32, Trouble> {
    let snapshot = database.begin_read()?;
    let found = match snapshot.open_table(defs::format) {
        Ok(table) => table.get(FORMAT_KEY)?.map(|row| row.value().try_into().map(u32::from_be_bytes)),
        Err(TableError::TableDoesNotExist(_)) if snapshot.list_tables()?.next().is_none() => None,
        Err(error) => return Err(error.into()),
    };
    match found {
        Some(Ok(format)) => return Ok(format),
        Some(Err(_)) => return Err(Trouble::Damaged("the format row is not a number".into())),
        None => {}
    }
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
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
