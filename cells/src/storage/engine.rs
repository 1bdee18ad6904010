//! The life of the database: open, reopen after a fault of the disk, read snapshots, one write transaction at a time.
//!
//! Owns the [`redb::Database`]. Promises: what [`Engine::transact`] answers `Ok` is durable; what it answers
//! `NotApplied` has left no trace; everything else is called `Unknown`. Never writes to a file it could not read.

use super::StorageConfig;
use super::disk::Disk;
use super::format;
use super::tables::Tables;
use actors::store::StoreError;
use cluster::host::Host;
use redb::{Database, ReadTransaction, ReadableDatabase};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

/// After a failed attempt to reopen the database, everything is refused for this long.
const REOPEN_INTERVAL: Duration = Duration::from_millis(100);
/// A read that meets a fault of the disk is tried again once, on a database that was opened again.
const READ_ATTEMPTS: usize = 2;
/// Databases of one engine that may be left as they are after a panic. Each keeps its pages in memory (a database that
/// was opened a moment ago has few); after them everything is refused until the node starts again.
const ABANDONED_MAX: u32 = 32;

/// What can go wrong on the way to an answer.
#[derive(Debug)]
pub enum Trouble {
    /// A row does not check out.
    Damaged(String),
    /// The database or the disk refused.
    Redb(redb::Error),
    /// The database panicked on bytes that it did not expect.
    Panicked(String),
}

macro_rules! from_redb {
    ($($error:ident),+) => {
        $(impl From<redb::$error> for Trouble {
            fn from(error: redb::$error) -> Self {
                Self::Redb(error.into())
            }
        })+
    };
}
from_redb!(StorageError, TableError, TransactionError, CommitError);

impl Trouble {
    /// The file is not what the database expects: closing it may panic too.
    fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged(_) | Self::Panicked(_) | Self::Redb(redb::Error::Corrupted(_)))
    }

    /// The error for a caller whose call changed nothing.
    pub fn refusal(self) -> StoreError {
        match self {
            Self::Damaged(text) => StoreError::Damaged(text),
            Self::Redb(redb::Error::Corrupted(text)) => StoreError::Damaged(text),
            Self::Redb(error) => StoreError::Unavailable(error.to_string()),
            Self::Panicked(text) => StoreError::Damaged(format!("the database gave up: {text}")),
        }
    }
}

/// What became of a write that was not done.
#[derive(Debug)]
pub enum NotDone {
    /// Nothing was written.
    NotApplied(StoreError),
    /// It may or may not have been written.
    Unknown(String),
}

impl State {
    fn serves(&self, write: bool) -> bool {
        self.database.is_some() && (self.writable || !write)
    }

    /// Gives the database up.
    fn give_up(&mut self) {
        if let Some(database) = self.database.take() {
            self.leave(database, self.damaged);
        }
    }

    /// Leaves a database. One on a damaged file is not closed: redb panics there, and once more in its own clean-up,
    /// which ends the process. Nothing is lost by it: what was committed is synced, and the next open takes the file as
    /// a crash would have left it. After an error of the disk alone, closing writes nothing.
    fn leave(&mut self, database: Database, damaged: bool) {
        if damaged {
            self.abandoned += 1;
            metrics::counter!("waggle_store_abandoned_total").increment(1);
            std::mem::forget(database);
        } else {
            // It fails where the disk does: the next open recovers the file.
            let _ = close(database);
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// The database on its disk.
pub struct Engine {
    host: Host,
    disk: Disk,
    config: StorageConfig,
    state: RwLock<State>,
}

struct State {
    database: Option<Database>,
    /// False while the disk takes no writes and the database only reads.
    writable: bool,
    /// A commit failed and may have reached the file without being durable: nothing may be read until it is known.
    unsettled: bool,
    /// Counts the databases that were opened, so that a fault of an older one is not held against the present one.
    opened: u64,
    /// When opening failed last, and why.
    failed: Option<(Duration, StoreError)>,
    /// Something in the file was not as it was written.
    damaged: bool,
    /// Databases that were left as they were, see [`ABANDONED_MAX`].
    abandoned: u32,
    closed: bool,
}

impl Engine {
    /// Opens, or creates, the database on this disk.
    pub fn open(host: Host, disk: Disk, config: StorageConfig) -> Result<Self, super::OpenError> {
        let database = format::open(&disk, config.cache_bytes, config.verify_on_open)?;
        let database = Some(database);
        let state = State {
            database,
            writable: true,
            unsettled: false,
            opened: 1,
            failed: None,
            damaged: false,
            abandoned: 0,
            closed: false,
        };
        Ok(Self { host, disk, config, state: RwLock::new(state) })
    }

    /// Runs `work` on a snapshot.
    pub fn read<T>(&self, work: impl Fn(&ReadTransaction) -> Result<T, Trouble>) -> Result<T, StoreError> {
        let mut refusal = StoreError::Busy;
        for _ in 0..READ_ATTEMPTS {
            let state = self.usable(false)?;
            let Some(database) = &state.database else { continue };
            let trouble = match caught(|| work(&database.begin_read()?)) {
                Ok(answer) => return Ok(answer),
                Err(trouble) => trouble,
            };
            let opened = state.opened;
            drop(state);
            self.discard(opened, &trouble);
            if let Trouble::Damaged(text) = trouble {
                return Err(StoreError::Damaged(text));
            }
            refusal = trouble.refusal();
        }
        Err(refusal)
    }

    /// Runs `work` in a write transaction; it says whether it wrote anything. `landed` finds out on a snapshot
    /// whether a transaction whose commit failed was applied after all (`None`: there is no telling).
    pub fn transact<T>(
        &self,
        work: impl FnOnce(&mut Tables) -> Result<(T, bool), Trouble>,
        landed: impl Fn(&ReadTransaction, &T) -> Result<Option<bool>, Trouble>,
    ) -> Result<T, NotDone> {
        let state = self.usable(true).map_err(NotDone::NotApplied)?;
        let Some(database) = &state.database else { return Err(NotDone::NotApplied(StoreError::Busy)) };
        let mut outcome = None;
        let result = caught(|| {
            let mut transaction = database.begin_write()?; // durability: immediate, redb's default
            transaction.set_quick_repair(true);
            if cluster::planted!(LazyCommit) {
                transaction.set_durability(redb::Durability::None).expect("one process has the file");
            }
            let (answer, wrote) = work(&mut Tables::open(&transaction)?)?;
            if wrote {
                outcome = Some(answer);
                transaction.commit()?;
                Ok(None)
            } else {
                transaction.abort()?;
                Ok(Some(answer))
            }
        });
        let trouble = match result {
            Ok(answer) => return Ok(answer.or(outcome).expect("one of both was just set")),
            Err(trouble) => trouble,
        };
        let opened = state.opened;
        drop(state);
        self.discard(opened, &trouble);
        if let Trouble::Damaged(_) = trouble {
            return Err(NotDone::NotApplied(trouble.refusal()));
        }
        let refusal = self.explain(trouble);
        let known = outcome.filter(|_| !cluster::planted!(FailedCommitNotSettled));
        let Some(outcome) = known else { return Err(NotDone::NotApplied(refusal)) };
        match self.settle(|snapshot| landed(snapshot, &outcome)) {
            Some(true) => Ok(outcome),
            Some(false) => Err(NotDone::NotApplied(refusal)),
            None => Err(NotDone::Unknown(refusal.to_string())),
        }
    }

    /// Finds out whether a failed commit was applied. Opening the file for writing syncs its header, so what is
    /// found then is durable. When the disk takes no writes, the file tells at least whether the commit is *not* in
    /// it; then reads go on from there.
    fn settle(&self, landed: impl Fn(&ReadTransaction) -> Result<Option<bool>, Trouble>) -> Option<bool> {
        if self.usable(true).is_ok() {
            return self.read(landed).ok().flatten();
        }
        let frozen = format::open_frozen(&self.disk, self.config.cache_bytes).ok();
        let mut state = self.write_state();
        let found = frozen.as_ref().map(|database| caught(|| landed(&database.begin_read()?)));
        if let Some(Ok(Some(false))) = found {
            state.give_up();
            (state.database, state.writable) = (frozen, false);
            state.opened += 1;
            return Some(false);
        }
        state.damaged |= matches!(&found, Some(Err(trouble)) if trouble.is_damage());
        if let Some(frozen) = frozen {
            let damaged = state.damaged;
            state.leave(frozen, damaged);
        }
        state.unsettled = true;
        None
    }

    /// Closes the database; every later call is refused.
    pub fn close(&self) {
        let mut state = self.write_state();
        if !state.closed {
            state.closed = true;
            state.give_up();
            self.disk.release();
        }
    }

    /// The present database, opened again if a fault took it or if it only reads and is to write.
    fn usable(&self, write: bool) -> Result<RwLockReadGuard<'_, State>, StoreError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if state.serves(write) {
            return Ok(state);
        }
        drop(state);
        self.reopen(&mut self.write_state(), write)?;
        Ok(self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn reopen(&self, state: &mut State, write: bool) -> Result<(), StoreError> {
        if state.closed {
            return Err(StoreError::Unavailable("it has been closed".into()));
        }
        if state.serves(write) {
            return Ok(());
        }
        if state.abandoned >= ABANDONED_MAX {
            let text =
                format!("the database gave up {} times; restore a backup, or start again", state.abandoned);
            return Err(StoreError::Damaged(text));
        }
        let now = self.host.monotonic();
        if state.failed.as_ref().is_none_or(|(at, _)| now >= *at + REOPEN_INTERVAL) {
            match format::open(&self.disk, self.config.cache_bytes, false) {
                Ok(database) => {
                    state.give_up();
                    (state.database, state.writable, state.unsettled) = (Some(database), true, false);
                    state.failed = None;
                    state.opened += 1;
                    metrics::counter!("waggle_store_reopened_total").increment(1);
                    return Ok(());
                }
                Err(error) => state.failed = Some((now, self.reason(&error))),
            }
        }
        if !write
            && !state.unsettled
            && let Ok(database) = format::open_frozen(&self.disk, self.config.cache_bytes)
        {
            state.give_up();
            (state.database, state.writable) = (Some(database), false);
            state.opened += 1;
            return Ok(());
        }
        Err(state.failed.as_ref().map_or(StoreError::Busy, |(_, why)| why.clone()))
    }

    fn reason(&self, error: &super::OpenError) -> StoreError {
        match self.disk.take_fault() {
            Some(fault) if fault.full => StoreError::Full(fault.text),
            _ => StoreError::Unavailable(error.to_string()),
        }
    }

    /// Notes a fault, and gives up the database that had it, unless somebody has already: one that has only read a
    /// damaged row is still good.
    fn discard(&self, opened: u64, trouble: &Trouble) {
        let mut state = self.write_state();
        state.damaged |= trouble.is_damage();
        if state.opened == opened
            && !matches!(trouble, Trouble::Damaged(_))
            && let Some(database) = state.database.take()
        {
            state.leave(database, trouble.is_damage());
        }
    }

    /// What the disk said, where redb only knows that it failed.
    fn explain(&self, trouble: Trouble) -> StoreError {
        match self.disk.take_fault() {
            Some(fault) if fault.full => StoreError::Full(fault.text),
            Some(fault) => StoreError::Unavailable(fault.text),
            None => trouble.refusal(),
        }
    }

    fn write_state(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes a database, which writes and may panic.
pub fn close(database: Database) -> Result<(), Trouble> {
    caught(|| {
        drop(database);
        Ok(())
    })
}

/// Turns a panic into trouble: redb promises no more for a damaged file.
pub fn caught<T>(work: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Trouble::Panicked(text.unwrap_or_default()))
    })
}
