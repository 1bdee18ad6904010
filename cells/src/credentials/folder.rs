//! Credentials in a folder: the authority's certificate (and, where certificates are made, its key), the key of gossip,
//! and a certificate and a key a node.

use super::{Authority, Credentials, Issued, PemError, UnnamedError};
use crate::machine;
use cluster::node::{NameError, NodeId};
use cluster::swim::seal::Key;
use proto::ts::Micros;
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// The authority's certificate.
pub const AUTHORITY_FILE: &str = "authority.pem";
/// Its key: needed to make certificates, by nobody else.
pub const AUTHORITY_KEY_FILE: &str = "authority.key";

/// The keys of gossip, the same on every node: a line of 64 hexadecimal digits each. Datagrams are sealed with the
/// first and taken under any. To rotate: put the new key last on every node, then first, then take the old one away,
/// each time starting the nodes again one after the other.
pub const GOSSIP_KEYS_FILE: &str = "gossip.keys";
/// Keys that a node takes.
const GOSSIP_KEYS_MAX: usize = 8;

/// Why there are no credentials. A file that is named is there already, is missing or is none; nothing was overwritten.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Reading or writing.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// Not what it should be.
    #[error("{0} holds no certificate or key: {1}")]
    Pem(PathBuf, PemError),
    /// It names nobody.
    #[error("{0}: {1}")]
    Unnamed(PathBuf, UnnamedError),
    /// A certificate of another node.
    #[error("{path} was given to node {found}, and this is node {expected}")]
    OtherNode {
        /// The file.
        path: PathBuf,
        /// As the certificate has it.
        found: NodeId,
        /// As the configuration has it.
        expected: NodeId,
    },
    /// No keys.
    #[error("{0} has to be one to {GOSSIP_KEYS_MAX} lines of 64 hexadecimal digits")]
    Keys(PathBuf),
    /// The operating system has no chance to give.
    #[error("a key cannot be made: {0}")]
    Chance(#[from] io::Error),
    /// No name of a node.
    #[error(transparent)]
    Name(NameError),
    /// The authority is none, or a name cannot stand in a certificate.
    #[error("the certificate cannot be made: {0}")]
    Issue(#[from] rcgen::Error),
}

/// Makes an authority in a folder, which is made if it is not there.
pub fn make_authority(folder: &Path, now: Micros) -> Result<(), FolderError> {
    fs::create_dir_all(folder).map_err(|error| FolderError::File(folder.to_owned(), error))?;
    let (_, kept) = Authority::make(now)?;
    // The key first: without it a certificate is of no use, and the next try says which file is there.
    write(folder.join(AUTHORITY_KEY_FILE), &kept.key, true)?;
    let digits: String = machine::secret()?.iter().map(|byte| format!("{byte:02x}")).collect();
    write(folder.join(GOSSIP_KEYS_FILE), &format!("{digits}\n"), true)?;
    write(folder.join(AUTHORITY_FILE), &kept.certificate, false)
}

/// Makes the credentials of a node in the authority's folder; answers the files that the node needs.
pub fn make_node(
    folder: &Path,
    node: &NodeId,
    roles: &[String],
    now: Micros,
    days: u32,
) -> Result<[PathBuf; 3], FolderError> {
    let [authority, certificate, key] = files(folder, node);
    let issuer = Authority::of(&text(&folder.join(AUTHORITY_KEY_FILE))?)?;
    let issued = issuer.issue(node, roles, now, days)?;
    write(key.clone(), &issued.key, true)?;
    write(certificate.clone(), &issued.certificate, false)?;
    Ok([authority, certificate, key])
}

/// Reads the credentials of a node.
pub fn read(folder: &Path, node: &NodeId) -> Result<Credentials, FolderError> {
    let [authority, certificate, key] = files(folder, node);
    let issued = Issued { certificate: text(&certificate)?, key: text(&key)? };
    let credentials = Credentials::of(&text(&authority)?, &issued)
        .map_err(|error| FolderError::Pem(folder.to_owned(), error))?;
    match credentials.node() {
        Ok(found) if found == *node => Ok(credentials),
        Ok(found) => Err(FolderError::OtherNode { path: certificate, found, expected: node.clone() }),
        Err(error) => Err(FolderError::Unnamed(certificate, error)),
    }
}

/// Reads the keys of gossip.
pub fn gossip_keys(folder: &Path) -> Result<Vec<Key>, FolderError> {
    let path = folder.join(GOSSIP_KEYS_FILE);
    let keys: Option<Vec<Key>> = text(&path)?.lines().map(key).collect();
    match keys {
        Some(keys) if (1..=GOSSIP_KEYS_MAX).contains(&keys.len()) => Ok(keys),
        _ => Err(FolderError::Keys(path)),
    }
}

fn key(line: &str) -> Option<Key> {
    let line = line.trim();
    let mut key: Key = Default::default();
    if line.len() != 2 * key.len() || !line.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&line[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(key)
}

/// What a node needs: the authority's certificate, its own, and its key.
fn files(folder: &Path, node: &NodeId) -> [PathBuf; 3] {
    [AUTHORITY_FILE.to_owned(), format!("{node}.pem"), format!("{node}.key")].map(|name| folder.join(name))
}

fn text(path: &Path) -> Result<String, FolderError> {
    fs::read_to_string(path).map_err(|error| FolderError::File(path.to_owned(), error))
}

/// Writes a file that was not there; a secret one for its owner's eyes only.
fn write(path: PathBuf, text: &str, secret: bool) -> Result<(), FolderError> {
    let mode = if secret { 0o600 } else { 0o644 };
    let written = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    written().map_err(|error| FolderError::File(path.clone(), error))
}
