//! The embedded engine: logs, views and claims in one redb file, appends group-committed over channels.
//!
//! Owns the file. Promises: an answered append is on the disk; a refused one left no trace; a damaged row is
//! refused by its name and nothing is served in its place. May lose: what was not answered. Never overwrites a file
//! that it cannot read.

mod claims;
mod disk;
mod engine;
mod format;
mod keys;
mod overlay;
mod pages;
mod reads;
mod retain;
mod slots;
mod tables;
mod views;
mod write;
mod writer;

pub use claims::SharedClaims;

pub use writer::Counts;

use actors::store::{
    Answer, Append, Appended, KeySeen, Listed, LogId, LogPage, MessageRange, ReactionCount, Store, StoreError,
};
use actors::store::{fence, page::rows_max};
use cluster::claims::{Claim, ClaimOutcome, Claims, ClaimsError};
use cluster::host::Host;
use cluster::slots::Slot;
use disk::{Disk, DiskFile};
use engine::{Engine, Trouble};
use futures::FutureExt;
use futures::future::BoxFuture;
use keys::Key;
use proto::id::{ConversationId, UserId, WorkspaceId};
use proto::ts::Micros;
use proto::v1::{
    BucketRow, ConversationRow, Head, JoinedRow, MarkRow, MemberRow, MessageRow, SlotRow, TokenRow, UserRow,
    WorkspaceRow,
};
use redb::{ReadTransaction, StorageBackend};
use retain::Retained;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use tables::defs;
use writer::{Done, Work, Writer};

/// Settings of the embedded engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageConfig {
    /// Memory for pages of the file, in bytes.
    pub cache_bytes: usize,
    /// Reads every page when the store is opened (about 3 s for a million messages) and refuses a file in which any
    /// is damaged. Without it a damaged row is found when it is read, and named then.
    pub verify_on_open: bool,
    /// Appends, claims and steps of retention that may wait; one more is refused as busy.
    pub queue_jobs_max: usize,
    /// Bytes of appends that may wait; more are refused as busy.
    pub queue_bytes_max: usize,
    /// Rows after which a commit takes no further append.
    pub commit_rows_max: usize,
    /// Bytes after which a commit takes no further append.
    pub commit_bytes_max: usize,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            cache_bytes: 256 * 1024 * 1024,
            verify_on_open: false,
            queue_jobs_max: 4096,
            queue_bytes_max: 64 * 1024 * 1024,
            commit_rows_max: 1024,
            commit_bytes_max: 8 * 1024 * 1024,
        }
    }
}

/// Why a store was not opened. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the file.
    #[error("another process is using this store")]
    Locked,
    /// The bytes are not a database, or not all of one.
    #[error("the store is damaged, and was left as it is: {0}")]
    Damaged(String),
    /// Written by another version.
    #[error("the store has format {found}, this build reads format {}", format::FORMAT)]
    Format {
        /// Its format.
        found: u32,
    },
    /// The operating system refused.
    #[error("the store could not be read: {0}")]
    Io(io::Error),
    /// One of the above, with the file's name.
    #[error("{path}: {why}")]
    At {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: Box<OpenError>,
    },
}

/// The embedded engine. Clones share it; the last one that goes closes the file, [`RedbStore::close`] does so first.
#[derive(Clone)]
pub struct RedbStore {
    host: Host,
    engine: Arc<Engine>,
    writer: Writer,
}

impl RedbStore {
    /// Opens the store on a backend, or creates it on an empty one. Blocks for some reads and, on a new backend,
    /// two syncs.
    pub fn open(host: Host, backend: impl StorageBackend, config: StorageConfig) -> Result<Self, OpenError> {
        let engine = Arc::new(Engine::open(host.clone(), Disk::new(backend), config.clone())?);
        let writer = Writer::start(&host, engine.clone(), &config);
        Ok(Self { host, engine, writer })
    }

    /// Opens the store in a file, or creates it (mode 0600). The file is locked as long as it is open; a second
    /// process is refused at once.
    pub fn open_file(host: Host, path: &Path, config: StorageConfig) -> Result<Self, OpenError> {
        let opened = locked(path).and_then(|file| Self::open(host, DiskFile(file), config));
        opened.map_err(|why| OpenError::At { path: path.display().to_string(), why: Box::new(why) })
    }

    /// What has been committed since it was opened.
    pub fn counts(&self) -> &Counts {
        self.writer.counts()
    }

    /// Finishes what is queued and closes the file; everything after is refused.
    pub fn close(&self) -> BoxFuture<'static, ()> {
        self.writer.close().boxed()
    }

    fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl Fn(&ReadTransaction) -> Result<T, Trouble> + Send + 'static,
    ) -> Answer<T> {
        count(operation);
        let (host, engine) = (self.host.clone(), self.engine.clone());
        async move {
            let answer = host.blocking(move || engine.read(work)).await;
            answer.unwrap_or_else(|| Err(StoreError::Unavailable("this node is stopping".into())))
        }
        .boxed()
    }

    fn submit(&self, operation: &'static str, work: Work) -> BoxFuture<'static, Result<Done, StoreError>> {
        count(operation);
        self.writer.submit(work).boxed()
    }

    /// Repeats a step of retention until nothing is left to do; appends get their turn in between.
    fn retain(&self, operation: &'static str, step: impl Fn() -> Work + Send + 'static) -> Answer<usize> {
        let store = self.clone();
        async move {
            let mut dropped = 0;
            loop {
                let Done::Retained(done) = store.submit(operation, step()).await? else {
                    unreachable!("a step of retention is answered as one")
                };
                let Retained { more, .. } = done;
                dropped += done.dropped;
                if !more {
                    return Ok(dropped);
                }
            }
        }
        .boxed()
    }
}

/// Locks the file against other processes; makes the name of a new one durable.
fn locked(path: &Path) -> Result<File, OpenError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(path).map_err(OpenError::Io)?;
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::Locked,
        TryLockError::Error(error) => OpenError::Io(error),
    })?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(OpenError::Io)?;
    }
    Ok(file)
}

fn count(operation: &'static str) {
    metrics::counter!("store_qps", "operation" => operation).increment(1);
}

impl Store for RedbStore {
    fn append(&self, append: Append) -> Answer<Appended> {
        fence::assert_whole(&append);
        let done = self.submit("append", Work::Append(Box::new(append)));
        done.map(|done| match done? {
            Done::Appended(outcome) => Ok(outcome),
            other => unreachable!("an append is not answered by {other:?}"),
        })
        .boxed()
    }
    fn head(&self, log: &LogId) -> Answer<Option<(u32, Head)>> {
        let log = log.clone();
        self.read("head", move |snapshot| reads::head(snapshot, &log))
    }
    fn log(&self, log: &LogId, after: u64, limit: usize) -> Answer<LogPage> {
        let log = log.clone();
        self.read("log", move |snapshot| reads::log(snapshot, &log, after, limit))
    }
    fn keys(&self, log: &LogId, bucket: u32) -> Answer<Vec<KeySeen>> {
        let log = log.clone();
        self.read("keys", move |snapshot| reads::keys(snapshot, &log, bucket))
    }
    fn directory(&self, log: &LogId, limit: usize) -> Answer<Vec<(u32, BucketRow)>> {
        let log = log.clone();
        self.read("directory", move |snapshot| reads::directory(snapshot, &log, limit))
    }
    fn messages(&self, log: &LogId, range: MessageRange) -> Answer<Vec<MessageRow>> {
        let log = log.clone();
        self.read("messages", move |snapshot| pages::messages(snapshot, &log, range))
    }
    fn thread(&self, log: &LogId, parent_us: Micros, range: MessageRange) -> Answer<Vec<MessageRow>> {
        let log = log.clone();
        self.read("thread", move |snapshot| pages::thread(snapshot, &log, parent_us, range))
    }
    fn message(&self, log: &LogId, us: Micros) -> Answer<Option<MessageRow>> {
        let log = log.clone();
        self.read("message", move |snapshot| pages::message(snapshot, &log, us))
    }
    fn reactions(&self, log: &LogId, from_us: Micros, to_us: Micros) -> Answer<Vec<ReactionCount>> {
        let log = log.clone();
        self.read("reactions", move |snapshot| pages::reactions(snapshot, &log, from_us, to_us))
    }
    fn reaction(&self, log: &LogId, us: Micros, name: &str, user: &UserId) -> Answer<bool> {
        let key = views::reaction_key(&Key::log(log), us, name, user.as_str());
        self.read("reaction", move |snapshot| pages::exists(snapshot, &key))
    }
    fn member(&self, log: &LogId, user: &UserId) -> Answer<Option<MemberRow>> {
        let key = Key::log(log).id(user.as_str());
        self.read("member", move |snapshot| pages::one(snapshot, defs::member, &key))
    }
    fn memberships(
        &self,
        workspace: &WorkspaceId,
        user: &UserId,
        channels: Vec<ConversationId>,
    ) -> Answer<Vec<Option<MemberRow>>> {
        let log = |channel| LogId::new(workspace.clone(), channel);
        let keys: Vec<Key> =
            channels.into_iter().map(|channel| Key::log(&log(channel)).id(user.as_str())).collect();
        self.read("memberships", move |snapshot| {
            keys.iter().map(|key| pages::one(snapshot, defs::member, key)).collect()
        })
    }
    fn members(&self, log: &LogId, after: Option<UserId>, limit: usize) -> Answer<Listed<UserId, MemberRow>> {
        let at = Key::log(log);
        self.read("members", move |snapshot| {
            let after = after.as_ref().map(UserId::as_str);
            pages::listed(snapshot, defs::member, &at, after, rows_max(limit), |parts| parts.user())
        })
    }
    fn joined(
        &self,
        workspace: &WorkspaceId,
        user: &UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Answer<Listed<ConversationId, JoinedRow>> {
        let at = Key::workspace(workspace).id(user.as_str());
        self.read("joined", move |snapshot| {
            let after = after.as_ref().map(ConversationId::as_str);
            pages::listed(snapshot, defs::joined, &at, after, rows_max(limit), |parts| parts.conversation())
        })
    }
    fn marks(&self, workspace: &WorkspaceId, user: &UserId) -> Answer<Vec<(ConversationId, MarkRow)>> {
        let at = Key::workspace(workspace).id(user.as_str());
        self.read("marks", move |snapshot| {
            let all =
                pages::listed(snapshot, defs::mark, &at, None, usize::MAX, |parts| parts.conversation());
            Ok(all?.rows)
        })
    }
    fn user(&self, workspace: &WorkspaceId, user: &UserId) -> Answer<Option<UserRow>> {
        let key = Key::workspace(workspace).id(user.as_str());
        self.read("user", move |snapshot| pages::one(snapshot, defs::user, &key))
    }
    fn conversation(
        &self,
        workspace: &WorkspaceId,
        channel: &ConversationId,
    ) -> Answer<Option<ConversationRow>> {
        let key = Key::workspace(workspace).id(channel.as_str());
        self.read("conversation", move |snapshot| pages::one(snapshot, defs::conversation, &key))
    }
    fn users(
        &self,
        workspace: &WorkspaceId,
        after: Option<UserId>,
        limit: usize,
    ) -> Answer<Listed<UserId, UserRow>> {
        let at = Key::workspace(workspace);
        self.read("users", move |snapshot| {
            let after = after.as_ref().map(UserId::as_str);
            pages::listed(snapshot, defs::user, &at, after, rows_max(limit), |parts| parts.user())
        })
    }
    fn conversations(
        &self,
        workspace: &WorkspaceId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Answer<Listed<ConversationId, ConversationRow>> {
        let at = Key::workspace(workspace);
        self.read("conversations", move |snapshot| {
            let after = after.as_ref().map(ConversationId::as_str);
            let limit = rows_max(limit);
            pages::listed(snapshot, defs::conversation, &at, after, limit, |parts| parts.conversation())
        })
    }
    fn workspaces(&self) -> Answer<Vec<(WorkspaceId, WorkspaceRow)>> {
        self.read("workspaces", |snapshot| {
            let all = Key::default();
            let id = |parts: &mut keys::Parts| parts.workspace();
            Ok(pages::listed(snapshot, defs::workspace, &all, None, usize::MAX, id)?.rows)
        })
    }
    fn token(&self, hash: &str) -> Answer<Option<TokenRow>> {
        let key = Key::default().text(hash);
        self.read("token", move |snapshot| pages::one(snapshot, defs::token, &key))
    }
    fn active(&self, slot: Slot, minute: u64) -> Answer<Vec<LogId>> {
        self.read("active", move |snapshot| reads::active(snapshot, slot, minute))
    }
    fn last_active(&self) -> Answer<Vec<LogId>> {
        self.read("last_active", reads::last_active)
    }
    fn retain_log(&self, log: &LogId, before_us: Micros, keep: usize) -> Answer<usize> {
        let log = log.clone();
        self.retain("retain_log", move || Work::RetainLog(log.clone(), before_us, keep))
    }
    fn retain_views(&self, log: &LogId, before_us: Micros) -> Answer<usize> {
        let log = log.clone();
        self.retain("retain_views", move || Work::RetainViews(log.clone(), before_us))
    }
}

impl Claims for RedbStore {
    fn read(&self, partition: u16) -> BoxFuture<'static, Result<Vec<(Slot, SlotRow)>, ClaimsError>> {
        let rows = Self::read(self, "claims_read", move |snapshot| slots::read(snapshot, partition));
        rows.map(|rows| rows.map_err(|error| ClaimsError(error.to_string()))).boxed()
    }
    /// The file is locked.
    fn is_exclusive(&self) -> bool {
        true
    }
    fn claim(&self, claims: Vec<Claim>) -> BoxFuture<'static, Result<Vec<ClaimOutcome>, ClaimsError>> {
        claims.iter().for_each(Claim::assert_rising);
        let done = self.submit("claim", Work::Claim(claims));
        done.map(|done| match done {
            Ok(Done::Claimed(outcomes)) => Ok(outcomes),
            Ok(other) => unreachable!("claims are not answered by {other:?}"),
            Err(error) => Err(ClaimsError(error.to_string())),
        })
        .boxed()
    }
}
