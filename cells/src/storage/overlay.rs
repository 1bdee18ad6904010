//! A disk that is read and never written: changes stay in memory.
//!
//! redb writes while it opens a file. On an overlay it can show first whether it will succeed, and it can serve reads
//! from a disk that takes no writes.

use super::disk::Disk;
use redb::StorageBackend;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Unit in which changes are kept, in bytes.
const BLOCK_BYTES: u64 = 4096;

/// The disk below, and the changes above it.
#[derive(Debug)]
pub struct Overlay {
    disk: Disk,
    changes: Mutex<Changes>,
    over: Arc<AtomicBool>,
}

/// Ends an overlay from outside: redb owns it.
#[derive(Debug)]
pub struct Leash(Arc<AtomicBool>);

impl Leash {
    /// From now on the overlay refuses everything.
    pub fn end(self) {
        self.0.store(true, Relaxed);
    }
}

#[derive(Debug)]
struct Changes {
    len: u64,
    /// Bytes of the disk that still count: what was cut off does not come back.
    below: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    /// Nothing is changed yet.
    pub fn new(disk: Disk) -> io::Result<Self> {
        let len = disk.len()?;
        let changes = Mutex::new(Changes { len, below: len, blocks: BTreeMap::new() });
        Ok(Self { disk, changes, over: Arc::default() })
    }
    /// What ends it.
    pub fn leash(&self) -> Leash {
        Leash(self.over.clone())
    }

    fn goes_on(&self) -> io::Result<()> {
        if self.over.load(Relaxed) { Err(io::Error::other("the overlay has ended")) } else { Ok(()) }
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block as it is now: changed, from the disk, or empty.
    fn block(&self, changes: &Changes, number: u64) -> io::Result<Vec<u8>> {
        if let Some(block) = changes.blocks.get(&number) {
            return Ok(block.clone());
        }
        let mut block = vec![0; BLOCK_BYTES as usize];
        let start = number * BLOCK_BYTES;
        let there = changes.below.saturating_sub(start).min(BLOCK_BYTES) as usize;
        if there > 0 {
            self.disk.read(start, &mut block[..there])?;
        }
        Ok(block)
    }
}

/// The parts of `offset .. offset + len` by block: (block, where in it, where in the whole).
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let end = offset + len as u64;
    (offset / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES)).map(move |number| {
        let from = offset.max(number * BLOCK_BYTES);
        let to = end.min((number + 1) * BLOCK_BYTES);
        (number, (from % BLOCK_BYTES) as usize, (from - offset) as usize..(to - offset) as usize)
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.changes().len)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.goes_on()?;
        let changes = self.changes();
        if offset + out.len() as u64 > changes.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (number, at, range) in parts(offset, out.len()) {
            let block = self.block(&changes, number)?;
            let len = range.len();
            out[range].copy_from_slice(&block[at..at + len]);
        }
        Ok(())
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.goes_on()?;
        let mut changes = self.changes();
        let old = changes.len;
        (changes.len, changes.below) = (len, changes.below.min(len));
        if len < old {
            drop(changes.blocks.split_off(&len.div_ceil(BLOCK_BYTES)));
            if let Some(last) = changes.blocks.get_mut(&(len / BLOCK_BYTES)) {
                last[(len % BLOCK_BYTES) as usize..].fill(0);
            }
        }
        Ok(())
    }
    fn sync_data(&self) -> io::Result<()> {
        self.goes_on()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.goes_on()?;
        let mut changes = self.changes();
        for (number, at, range) in parts(offset, data.len()) {
            let mut block = self.block(&changes, number)?;
            block[at..at + range.len()].copy_from_slice(&data[range]);
            changes.blocks.insert(number, block);
        }
        changes.len = changes.len.max(offset + data.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;

    #[derive(Debug, Clone)]
    enum Change {
        Write(u64, Vec<u8>),
        Resize(u64),
    }

    fn change() -> impl Strategy<Value = Change> {
        let bytes = proptest::collection::vec(any::<u8>(), 1..9000);
        prop_oneof![
            (0u64..20_000, bytes).prop_map(|(at, bytes)| Change::Write(at, bytes)),
            (0u64..30_000).prop_map(Change::Resize)
        ]
    }

    fn apply(backend: &impl StorageBackend, change: &Change) {
        match change {
            Change::Write(at, bytes) => {
                let end = at + bytes.len() as u64;
                if backend.len().expect("a length") < end {
                    backend.set_len(end).expect("room");
                }
                backend.write(*at, bytes).expect("room");
            }
            Change::Resize(len) => backend.set_len(*len).expect("room"),
        }
    }

    fn all(backend: &impl StorageBackend) -> Vec<u8> {
        let mut bytes = vec![0; backend.len().expect("a length") as usize];
        backend.read(0, &mut bytes).expect("within its length");
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn an_overlay_reads_like_a_disk_that_was_written_and_the_disk_stays_as_it_was(
            below in proptest::collection::vec(change(), 0..4),
            above in proptest::collection::vec(change(), 0..8),
        ) {
            let (disk, model) = (Disk::new(InMemoryBackend::new()), InMemoryBackend::new());
            below.iter().for_each(|change| { apply(&disk, change); apply(&model, change); });
            let before = all(&disk);
            let overlay = Overlay::new(disk.clone()).expect("a length");
            above.iter().for_each(|change| { apply(&overlay, change); apply(&model, change); });
            prop_assert_eq!(all(&overlay), all(&model));
            prop_assert_eq!(all(&disk), before);
        }
    }
}
