//! A disk that forgets: what was written and not synced survives a power cut whole, torn, reordered or not at all.
//!
//! A [`SimDisk`] is a storage backend for redb. It keeps the bytes that a running program sees, and what takes back
//! what it changed since the last sync, from which [`SimDisk::cut`] makes what a machine finds when its power was cut.
//! A recording disk can take back everything since its start, so that one run can be cut at every point of its past
//! ([`History::cut`]). It can also be full, and broken.

use cluster::host::Entropy;
use redb::StorageBackend;
use std::collections::BTreeSet;
use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a drive writes as one: a torn write loses some of its sectors, never a part of one.
pub const SECTOR_BYTES: usize = 512;
/// Unit in which room is taken.
pub const BLOCK_BYTES: u64 = 4096;

/// What becomes of unsynced writes in a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tear {
    /// None survives.
    Dropped,
    /// All survive.
    Kept,
    /// Each sector of each survives or not.
    Torn,
    /// A random part of them survives whole, in any order.
    Reordered,
}

/// All four.
pub const TEARS: [Tear; 4] = [Tear::Dropped, Tear::Kept, Tear::Torn, Tear::Reordered];

/// One change of the disk.
#[derive(Debug, Clone)]
enum Change {
    Write { offset: u64, data: Vec<u8> },
    Resize(u64),
    Sync,
}

/// A change as it is taken back. Most never are: a program's write costs a copy of what it covers, a sync nothing.
#[derive(Debug, Clone, Copy)]
enum Done {
    /// So many bytes, on a file that was so long.
    Write {
        offset: usize,
        len: usize,
        file: usize,
    },
    /// The file was so long.
    Resize {
        file: usize,
    },
    Sync,
}

/// A disk. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug, Clone, Default)]
struct State {
    bytes: Vec<u8>,
    /// Since the last sync; when recording, since the start.
    done: Vec<Done>,
    /// The bytes that were covered or cut off, one change's behind the other's.
    covered: Vec<u8>,
    recording: bool,
    syncs: u64,
    taken: BTreeSet<u64>,
    /// Blocks that may still be taken; `None`: as many as one likes.
    room: Option<u64>,
    /// Writes, resizes and syncs until the disk breaks; `None`: it does not.
    breaks_in: Option<u64>,
    /// When it breaks, only syncs fail.
    only_syncs: bool,
    /// Likewise until a single one fails.
    fails_in: Option<u64>,
}

impl SimDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty disk that keeps its whole past.
    pub fn recording() -> Self {
        Self(Arc::new(Mutex::new(State { recording: true, ..State::default() })))
    }

    /// A disk that holds these bytes, durable.
    pub fn holding(bytes: Vec<u8>) -> Self {
        let taken = (0..(bytes.len() as u64).div_ceil(BLOCK_BYTES)).collect();
        Self(Arc::new(Mutex::new(State { bytes, taken, ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes as a running program reads them.
    pub fn bytes(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }

    /// Changes one byte behind the program's back.
    pub fn flip(&self, offset: usize) {
        self.state().bytes[offset] ^= 0xff;
    }

    /// How many changes there were, of a recording disk: the power can be cut after each.
    pub fn position(&self) -> usize {
        self.state().done.len()
    }

    /// Syncs so far.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Leaves room for this many more blocks of 4 KiB; `None`: for any number.
    pub fn set_room(&self, blocks: Option<u64>) {
        self.state().room = blocks;
    }

    /// Lets this many more writes, resizes and syncs succeed and every later one fail; `None` repairs the disk.
    pub fn break_in(&self, changes: Option<u64>) {
        let mut state = self.state();
        (state.breaks_in, state.only_syncs) = (changes, false);
    }

    /// Lets this many more succeed; later writes still reach the file, and every sync fails: a drive that reports what
    /// it could not write back only when it is asked (Rebello and others, "Can Applications Recover from fsync
    /// Failures?", USENIX ATC 2020).
    pub fn break_syncs_in(&self, changes: u64) {
        let mut state = self.state();
        (state.breaks_in, state.only_syncs) = (Some(changes), true);
    }

    /// Whether it is broken, about to break, or short of room.
    pub fn is_ill(&self) -> bool {
        let state = self.state();
        state.breaks_in.is_some() || state.room.is_some()
    }

    /// Lets this many more writes, resizes and syncs succeed, then one fail.
    pub fn fail_once_in(&self, changes: u64) {
        self.state().fails_in = Some(changes);
    }

    /// Everything that happened so far; on a disk that does not record, since the last sync.
    pub fn history(&self) -> History {
        self.state().history()
    }

    /// What the next process finds when this one is killed now: everything that was written, synced or not. The old
    /// handle does not reach it any more.
    pub fn survivor(&self) -> Self {
        Self(Arc::new(Mutex::new(State { breaks_in: None, fails_in: None, ..self.state().clone() })))
    }

    /// What the machine finds when its power is cut now, and a disk that holds it.
    pub fn cut(&self, tear: Tear, entropy: &Entropy) -> Self {
        Self::holding(self.history().cut(self.position(), tear, entropy))
    }
}

impl State {
    /// Whether the disk lets a change happen.
    fn allow(&mut self, sync: bool) -> Result<()> {
        match &mut self.breaks_in {
            Some(0) if self.only_syncs && !sync => {}
            Some(0) => return Err(Error::other("the disk is broken")),
            Some(left) => *left -= 1,
            None => {}
        }
        if let Some(left) = self.fails_in {
            self.fails_in = left.checked_sub(1);
            if self.fails_in.is_none() {
                return Err(Error::other("this write failed"));
            }
        }
        Ok(())
    }

    /// Notes a change that is about to happen: the file's bytes from `from` to `to` are covered or cut off.
    fn note(&mut self, done: Done, from: usize, to: usize) {
        self.done.push(done);
        let to = to.min(self.bytes.len());
        self.covered.extend_from_slice(&self.bytes[from.min(to)..to]);
    }

    /// Takes everything back, from the last change to the first.
    fn history(&self) -> History {
        let (mut bytes, mut covered) = (self.bytes.clone(), self.covered.clone());
        let mut uncover = |bytes: &mut Vec<u8>, offset: usize, end: usize| {
            let from = covered.len() - end.saturating_sub(offset);
            bytes[end.min(offset)..end].copy_from_slice(&covered[from..]);
            covered.truncate(from);
        };
        let mut changes: Vec<Change> = Vec::with_capacity(self.done.len());
        for done in self.done.iter().rev() {
            changes.push(match *done {
                Done::Write { offset, len, file } => {
                    let data = bytes[offset..offset + len].to_vec();
                    bytes.truncate(file);
                    uncover(&mut bytes, offset, file.min(offset + len));
                    Change::Write { offset: offset as u64, data }
                }
                Done::Resize { file } => {
                    let len = bytes.len();
                    bytes.resize(file, 0);
                    uncover(&mut bytes, len, file);
                    Change::Resize(len as u64)
                }
                Done::Sync => Change::Sync,
            });
        }
        changes.reverse();
        History { durable: bytes, changes, synced: 0 }
    }

    fn take(&mut self, offset: u64, len: usize) -> Result<()> {
        let blocks = offset / BLOCK_BYTES..(offset + len as u64).div_ceil(BLOCK_BYTES);
        let new: Vec<u64> = blocks.filter(|block| !self.taken.contains(block)).collect();
        if let Some(room) = &mut self.room {
            let left = room.checked_sub(new.len() as u64);
            *room = left.ok_or_else(|| Error::from(ErrorKind::StorageFull))?;
        }
        self.taken.extend(new);
        Ok(())
    }
}

impl StorageBackend for SimDisk {
    fn len(&self) -> Result<u64> {
        Ok(self.state().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let state = self.state();
        let from = usize::try_from(offset).map_err(Error::other)?;
        let bytes = state.bytes.get(from..from + out.len());
        out.copy_from_slice(bytes.ok_or_else(|| Error::from(ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let (mut state, to) = (self.state(), usize::try_from(len).map_err(Error::other)?);
        state.allow(false)?;
        let file = state.bytes.len();
        state.note(Done::Resize { file }, to, file);
        state.taken.split_off(&len.div_ceil(BLOCK_BYTES));
        state.bytes.resize(to, 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        let mut state = self.state();
        state.allow(true)?;
        state.syncs += 1;
        if state.recording {
            state.done.push(Done::Sync);
        } else {
            state.done.clear();
            state.covered.clear();
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut state = self.state();
        state.take(offset, data.len())?;
        state.allow(false)?;
        let (from, file) = (usize::try_from(offset).map_err(Error::other)?, state.bytes.len());
        state.note(Done::Write { offset: from, len: data.len(), file }, from, from + data.len());
        cover(&mut state.bytes, offset, data);
        Ok(())
    }
}

/// A disk's past. Cuts must be asked for in rising order: each sync that lies before a cut is folded in for good.
#[derive(Debug, Clone)]
pub struct History {
    durable: Vec<u8>,
    changes: Vec<Change>,
    /// Changes that are in `durable`.
    synced: usize,
}

impl History {
    /// How many changes there are.
    pub fn changes(&self) -> usize {
        self.changes.len()
    }

    /// Positions just after each sync.
    pub fn syncs(&self) -> Vec<usize> {
        let all = self.changes.iter().zip(1..);
        all.filter(|(change, _)| matches!(change, Change::Sync)).map(|(_, at)| at).collect()
    }

    /// The bytes that survive when the power is cut after the first `at` changes.
    pub fn cut(&mut self, at: usize, tear: Tear, entropy: &Entropy) -> Vec<u8> {
        let at = at.min(self.changes.len());
        let last_sync = self.changes[..at].iter().rposition(|change| matches!(change, Change::Sync));
        if let Some(last) = last_sync {
            assert!(last + 1 >= self.synced, "cuts are asked for in rising order");
            for change in &self.changes[self.synced..=last] {
                apply(&mut self.durable, change);
            }
            self.synced = last + 1;
        }
        let mut bytes = self.durable.clone();
        let unsynced = &self.changes[self.synced..at];
        match tear {
            Tear::Dropped => {}
            Tear::Kept => unsynced.iter().for_each(|change| apply(&mut bytes, change)),
            Tear::Torn => {
                survive_len(&mut bytes, unsynced, entropy);
                unsynced.iter().for_each(|change| apply_torn(&mut bytes, change, entropy));
            }
            Tear::Reordered => {
                survive_len(&mut bytes, unsynced, entropy);
                let mut left: Vec<&Change> = unsynced.iter().filter(|_| entropy.chance(1, 2)).collect();
                while !left.is_empty() {
                    let next = left.swap_remove(entropy.below(left.len() as u64) as usize);
                    if let Change::Write { offset, data } = next {
                        write(&mut bytes, *offset, data);
                    }
                }
            }
        }
        bytes
    }
}

/// One of the lengths that the file had since the last sync.
fn survive_len(bytes: &mut Vec<u8>, unsynced: &[Change], entropy: &Entropy) {
    let mut len = bytes.len() as u64;
    let mut lengths = vec![len];
    for change in unsynced {
        len = match change {
            Change::Write { offset, data } => len.max(offset + data.len() as u64),
            Change::Resize(len) => *len,
            Change::Sync => len,
        };
        lengths.push(len);
    }
    lengths.dedup();
    resize(bytes, lengths[entropy.below(lengths.len() as u64) as usize]);
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, data } => cover(bytes, *offset, data),
        Change::Resize(len) => resize(bytes, *len),
        Change::Sync => {}
    }
}

/// Writes, and makes the file longer for it if need be.
fn cover(bytes: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let end = offset + data.len() as u64;
    if end > bytes.len() as u64 {
        resize(bytes, end);
    }
    write(bytes, offset, data);
}

fn apply_torn(bytes: &mut [u8], change: &Change, entropy: &Entropy) {
    let Change::Write { offset, data } = change else { return };
    for (sector, at) in data.chunks(SECTOR_BYTES).zip((*offset..).step_by(SECTOR_BYTES)) {
        if entropy.chance(1, 2) {
            write(bytes, at, sector);
        }
    }
}

fn resize(bytes: &mut Vec<u8>, len: u64) {
    bytes.resize(usize::try_from(len).expect("a simulated disk fits in memory"), 0);
}

/// Writes what lies within the file.
fn write(bytes: &mut [u8], offset: u64, data: &[u8]) {
    let from = bytes.len().min(usize::try_from(offset).expect("a simulated disk fits in memory"));
    let to = bytes.len().min(from + data.len());
    bytes[from..to].copy_from_slice(&data[..to - from]);
}

#[cfg(test)]
mod tests;
