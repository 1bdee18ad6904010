//! A folder for one test, removed with its last user.

use anyhow::{Context, Result};
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A fresh folder that nobody else uses.
#[derive(Debug)]
pub struct Scratch {
    root: PathBuf,
}

impl Scratch {
    /// Makes the folder.
    pub fn new() -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("waggle-test-{}-{number}", std::process::id()));
        fs::create_dir_all(root.join("data")).with_context(|| format!("making {}", root.display()))?;
        Ok(Self { root })
    }
    /// The data directory in it.
    pub fn path(&self) -> PathBuf {
        self.root.join("data")
    }
    /// The folder itself, for what lies beside the data.
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// Where the nodes on this folder write their logs; later ones append.
    pub fn log(&self) -> Result<File> {
        let path = self.root.join("stderr.log");
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))
    }
    /// The end of the log.
    pub fn log_tail(&self, bytes: usize) -> String {
        let log = fs::read(self.root.join("stderr.log")).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(bytes)..]).into_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A folder that cannot be removed fails no test; the system clears its temporary folders.
        let _ = fs::remove_dir_all(&self.root);
    }
}
