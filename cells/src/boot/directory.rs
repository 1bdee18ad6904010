//! The data directory: made for its owner only, and used by one process at a time.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Name of the file that is locked; it holds the process id of who holds the lock.
const LOCK_FILE: &str = "lock";

/// Why a data directory cannot be used; nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It cannot be made, or the lock file in it cannot be written.
    #[error("the data directory {0} cannot be used: {1}")]
    Unusable(PathBuf, io::Error),
    /// Another process has it.
    #[error(
        "the data directory {path} is in use by another waggle process{}",
        .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who has it, if it said so.
        pid: Option<u32>,
    },
}

/// A locked data directory. The lock ends with the process, however that ends.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Makes the directory if it is not there and locks it, or says at once who has it.
    pub fn lock(path: &Path) -> Result<Self, DirectoryError> {
        let unusable = |e| DirectoryError::Unusable(path.to_owned(), e);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        // An absolute path stays right whatever becomes of the working directory, and operators can be given it.
        let path = fs::canonicalize(path).map_err(unusable)?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join(LOCK_FILE))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(e)) => return Err(unusable(e)),
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = (&mut lock).take(32).read_to_string(&mut text);
                return Err(DirectoryError::InUse { path, pid: text.trim().parse().ok() });
            }
        }
        let write = |lock: &mut File| {
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "{}", std::process::id())
        };
        write(&mut lock).map_err(unusable)?;
        Ok(Self { path, _lock: lock })
    }
    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("waggle-directory-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn a_directory_is_made_for_its_owner_only_and_given_to_one_process() {
        let path = scratch("one").join("deep");
        let first = Directory::lock(&path).unwrap();
        assert_eq!(fs::metadata(first.path()).unwrap().permissions().mode() & 0o777, 0o700);
        let error = Directory::lock(&path).unwrap_err();
        let said = format!(
            "the data directory {} is in use by another waggle process (pid {})",
            first.path().display(),
            std::process::id()
        );
        assert_eq!(error.to_string(), said);
        drop(first);
        Directory::lock(&path).unwrap();
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn what_is_no_directory_is_named() {
        let path = scratch("file");
        fs::write(&path, "x").unwrap();
        let error = Directory::lock(&path).unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()) && error.contains("cannot be used"), "{error}");
        fs::remove_file(path).unwrap();
    }
}
