//! Below the database: the file, and a handle that survives the database.
//!
//! redb gives up on a backend after the first error. [`Disk`] keeps the real one, remembers that error, and lets
//! the engine open a fresh database on the same bytes.

use redb::StorageBackend;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes at the start of a file in which redb keeps its header; the rest of an unfinished creation is zero.
const HEADER_BYTES: u64 = 4096;
/// A creation that was cut short is never longer.
const UNFINISHED_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Length of redb's magic number.
const MAGIC_BYTES: usize = 9;

/// A file of the operating system, read and written by position.
#[derive(Debug)]
pub struct DiskFile(pub File);

impl StorageBackend for DiskFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }
    fn close(&self) -> io::Result<()> {
        self.0.unlock()
    }
}

/// Why the disk refused: what the engine decides by.
#[derive(Debug, Clone)]
pub struct Fault {
    /// No room (also: quota, largest file): writing again makes sense later, reading does now.
    pub full: bool,
    /// The operating system's words.
    pub text: String,
}

/// A shared handle of a backend. Databases come and go on it.
#[derive(Debug, Clone)]
pub struct Disk {
    backend: Arc<dyn StorageBackend>,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl Disk {
    /// Wraps a backend.
    pub fn new(backend: impl StorageBackend) -> Self {
        Self { backend: Arc::new(backend), fault: Arc::default() }
    }

    /// The first error since the last call.
    pub fn take_fault(&self) -> Option<Fault> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Lets others have the backend. Nothing may be read or written afterwards.
    pub fn release(&self) {
        let _ = self.noted(self.backend.close()); // a lock that stays goes with the process
    }

    /// Empties a file whose creation was cut short, and says whether it was one: no magic number, and nothing after
    /// the header. A damaged database has pages there and is left alone.
    pub fn clear_unfinished(&self) -> io::Result<bool> {
        let len = self.len()?;
        if len == 0 || len > UNFINISHED_BYTES_MAX {
            return Ok(false);
        }
        let mut start = vec![0; HEADER_BYTES.min(len) as usize];
        self.read(0, &mut start)?;
        if start.iter().take(MAGIC_BYTES).any(|byte| *byte != 0) {
            return Ok(false);
        }
        let mut chunk = vec![0; 64 * 1024];
        let mut at = HEADER_BYTES;
        while at < len {
            let size = chunk.len().min((len - at) as usize);
            self.read(at, &mut chunk[..size])?;
            if chunk[..size].iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += size as u64;
        }
        self.set_len(0).map(|()| true)
    }

    fn noted<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
            let full = matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge);
            let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
            fault.get_or_insert_with(|| Fault { full, text: error.to_string() });
        }
        result
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.noted(self.backend.len())
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.noted(self.backend.read(offset, out))
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.noted(self.backend.set_len(len))
    }
    fn sync_data(&self) -> io::Result<()> {
        if cluster::planted!(SkippedSync) {
            return Ok(());
        }
        self.noted(self.backend.sync_data())
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.noted(self.backend.write(offset, data))
    }
    fn close(&self) -> io::Result<()> {
        Ok(()) // only one database is closed; see `release`
    }
}
