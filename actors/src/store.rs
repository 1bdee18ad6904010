//! What is kept, and what a store must promise: fenced appends to logs, views of them, and bounded reads.
//!
//! Every key starts with the workspace: a [`LogId`] cannot be made without one. The engines are `memory` (the
//! reference, in this crate), redb (`cells`) and, at scale, Cassandra; `remote` is the engine of another node, which
//! `service` answers for. One contract suite runs on all of them.

pub mod fence;
pub mod link;
pub mod memory;
pub mod page;
pub mod remote;
pub mod service;
mod wire;

use cluster::slots::Slot;
use futures::future::BoxFuture;
use proto::id::{ChannelId, ConversationId, UserId, WorkspaceId};
use proto::refusal::Refusal;
use proto::ts::Micros;
use proto::v1::{
    BucketRow, ConversationRow, Event, Head, JoinedRow, MarkRow, MemberRow, MessageRow, TokenRow, UserRow,
    WorkspaceRow,
};
use std::fmt;

/// Rows after which a log's bucket is closed and the next one opened.
pub const BUCKET_ROWS: u64 = 4096;
/// Most rows of one append.
pub const APPEND_ROWS_MAX: usize = 128;
/// Most bytes of one append, bodies kept apart not counted.
pub const APPEND_BYTES_MAX: usize = 256 * 1024;
/// Bodies above this are kept in the `body` table under their hash, not in the log row.
pub const INLINE_BODY_MAX: usize = 4 * 1024;
/// Most rows that one read returns, whatever was asked.
pub const READ_ROWS_MAX: usize = 1000;
/// Users named per reaction in a page; the count is always exact.
pub const REACTION_USERS_MAX: usize = 50;

/// Names a log: (workspace, region, generation, channel).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The region whose store holds it; 0 until there are several.
    pub region: u16,
    /// Raised by a region failover; 0 until there was one.
    pub generation: u32,
    /// The channel.
    pub channel: ChannelId,
}

impl LogId {
    /// The log of a channel in the first region and generation.
    pub fn new(workspace: WorkspaceId, channel: impl Into<ChannelId>) -> Self {
        Self { workspace, region: 0, generation: 0, channel: channel.into() }
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.workspace, self.channel)
    }
}

/// Names one append attempt; a resend after an unknown outcome carries the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub [u8; 16]);

/// One conditional batch: applied whole or not at all.
///
/// Condition, on the head of `bucket`: `tail = expected AND epoch <= mine AND last_us < first us AND batch != mine`.
/// When `bucket` has no head yet: `bucket` is 0 and `tail` is 0, or the head of `bucket - 1` has this `tail` and
/// an epoch not above ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Append {
    /// Which log.
    pub log: LogId,
    /// The slot of its channel, for the `active` rows.
    pub slot: Slot,
    /// Bucket that takes the rows.
    pub bucket: u32,
    /// Tail that the appender believes in: the seq before the first event.
    pub tail: u64,
    /// Epoch of the appender's claim.
    pub epoch: u64,
    /// This attempt.
    pub batch: BatchId,
    /// Kept in the head: up to which seq follow-ups in other logs are known to be done.
    pub followed: u64,
    /// Events `tail + 1 ..= tail + k`, 1 to [`APPEND_ROWS_MAX`], all of one bucket, `us` rising.
    pub events: Vec<Event>,
    /// What the views become, in order; written with the rows or, by engines without transactions, after them.
    pub views: Vec<ViewWrite>,
}

/// What became of an append.
#[derive(Debug, Clone, PartialEq)]
pub enum Appended {
    /// The rows are durable.
    Applied,
    /// They already were: this batch id is in the head.
    Already,
    /// The condition did not hold; nothing was written. The head that was there (`None`: the bucket cannot be
    /// opened on this tail).
    Refused(Option<Head>),
}

/// One write to a view. All are blind puts or deletes, so that applying one twice changes nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum ViewWrite {
    /// A message shown in the channel, by its `bucket` and `us`.
    Message(MessageRow),
    /// A message that is no longer shown.
    MessageGone {
        /// Bucket of the message.
        bucket: u32,
        /// Its id.
        us: Micros,
    },
    /// A reply, by `row.thread_us` and `row.us`; also enters `reply_of`.
    Reply(MessageRow),
    /// A reply that is gone.
    ReplyGone {
        /// Its parent.
        parent_us: Micros,
        /// Its id.
        us: Micros,
    },
    /// A user's reaction to a message or reply.
    Reaction {
        /// Bucket of the message.
        bucket: u32,
        /// The message.
        us: Micros,
        /// Emoji name without colons.
        name: String,
        /// Who.
        user: UserId,
        /// The event that made it; users are listed in this order.
        seq: u64,
    },
    /// A reaction taken back.
    ReactionGone {
        /// Bucket of the message.
        bucket: u32,
        /// The message.
        us: Micros,
        /// Emoji name without colons.
        name: String,
        /// Who.
        user: UserId,
    },
    /// All reactions of a deleted message.
    ReactionsGone {
        /// Bucket of the message.
        bucket: u32,
        /// The message.
        us: Micros,
    },
    /// A member of this conversation.
    Member {
        /// Who.
        user: UserId,
        /// Since which seq.
        row: MemberRow,
    },
    /// Not a member any more.
    MemberGone {
        /// Who.
        user: UserId,
    },
    /// From a user's log: a conversation the user is, or was, in.
    Joined {
        /// The conversation.
        channel: ConversationId,
        /// Since which seq, and whether it is over.
        row: JoinedRow,
    },
    /// From a user's log: a read position.
    Mark {
        /// The conversation.
        channel: ConversationId,
        /// The position.
        row: MarkRow,
    },
    /// From a user's log: a token, by the hex SHA-256 of its text.
    Token {
        /// Hash of the token.
        hash: String,
        /// Whose it is.
        row: TokenRow,
    },
    /// From a workspace's log: a user.
    User {
        /// Who.
        user: UserId,
        /// Current state.
        row: UserRow,
    },
    /// From a workspace's log: a conversation.
    Conversation {
        /// Which.
        channel: ConversationId,
        /// Current state.
        row: ConversationRow,
    },
    /// From a workspace's log: the workspace itself.
    Workspace(WorkspaceRow),
    /// Takes the contents out of these log rows; seq, us, sender and key stay. Seqs that retention dropped are
    /// skipped.
    Redact {
        /// Rows of this log, each with its bucket.
        rows: Vec<(u32, u64)>,
    },
}

/// Why a store did not answer as asked. Never says "failed" for a write whose fate is open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A write may or may not have been applied; resend the same batch until it is known.
    #[error("the outcome of the write is not known: {0}")]
    Unknown(String),
    /// The store takes no writes now (disk full); nothing was written, reads go on.
    #[error("the store takes no writes: {0}")]
    Full(String),
    /// A row does not check out; nothing was changed.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The store's queue is at its limit; nothing was written.
    #[error("the store's queue is full")]
    Busy,
    /// The store has been closed or cannot be reached; nothing was written.
    #[error("the store is not available: {0}")]
    Unavailable(String),
}

impl From<StoreError> for Refusal {
    /// What a user is told whose command was not done for it.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) => Self::OutOfReach(why),
            error => Self::Unavailable(error.to_string()),
        }
    }
}

/// Rows of a log. `events` continue from `after + 1`, or from `first` when that is higher (retention).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogPage {
    /// In order, dense.
    pub events: Vec<Event>,
    /// The lowest seq that the log still holds (1 when nothing was dropped, tail + 1 when it holds none).
    pub first: u64,
    /// The tail when the page was read.
    pub tail: u64,
}

/// A range of time in a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageRange {
    /// Lowest `us`, inclusive.
    pub from_us: Micros,
    /// Highest `us`, inclusive.
    pub to_us: Micros,
    /// True: the highest first.
    pub newest_first: bool,
    /// Most rows.
    pub limit: usize,
}

/// All reactions of one name to one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReactionCount {
    /// The message.
    pub us: Micros,
    /// Emoji name.
    pub name: String,
    /// How many users.
    pub count: u32,
    /// The first [`REACTION_USERS_MAX`] of them, in the order in which they reacted.
    pub users: Vec<UserId>,
}

/// An idempotency key in a bucket: 128-bit hash of (sender, key), the seq it made, and the body's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySeen {
    /// [`key_hash`] of sender and key.
    pub key: u128,
    /// The seq.
    pub seq: u64,
    /// Time of that seq.
    pub us: Micros,
    /// [`body_hash`] of the event.
    pub body: u64,
}

/// Hash under which an idempotency key is remembered.
pub fn key_hash(sender: &str, key: &str) -> u128 {
    xxhash_rust::xxh3::xxh3_128(format!("{sender}\n{key}").as_bytes())
}

/// What tells a retry from a reused key: the hash of the command that made the event, which a redaction keeps.
pub fn body_hash(event: &Event) -> u64 {
    event.fingerprint
}

/// Takes the contents out of an event, as a redaction does; everything else stays.
pub fn redact(event: &mut Event) {
    use proto::v1::{Content, event::Body};
    let gone = || Some(Content { redacted: true, ..Content::default() });
    match &mut event.body {
        Some(Body::Posted(posted)) => posted.content = gone(),
        Some(Body::Edited(edited)) => edited.content = gone(),
        _ => {}
    }
}

/// A result that outlives the call.
pub type Answer<T> = BoxFuture<'static, Result<T, StoreError>>;

/// A page of a view that is listed by key: rows after the given key, and whether there are more.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed<K, V> {
    /// Rows in the order of their keys.
    pub rows: Vec<(K, V)>,
    /// More rows follow.
    pub more: bool,
}

/// A store. Reads see every append that was answered before they were asked.
pub trait Store: Send + Sync + 'static {
    /// Appends, conditionally; answered only when durable or refused.
    fn append(&self, append: Append) -> Answer<Appended>;
    /// The newest bucket and its head; `None` for a log without rows.
    fn head(&self, log: &LogId) -> Answer<Option<(u32, Head)>>;
    /// At most `limit` (and [`READ_ROWS_MAX`]) rows after `after`, at most about 1 MiB of them, at least one if
    /// there is one.
    fn log(&self, log: &LogId, after: u64, limit: usize) -> Answer<LogPage>;
    /// Idempotency keys of a bucket, in the order of seq.
    fn keys(&self, log: &LogId, bucket: u32) -> Answer<Vec<KeySeen>>;
    /// Buckets of a log in order, at most `limit`, the newest ones.
    fn directory(&self, log: &LogId, limit: usize) -> Answer<Vec<(u32, BucketRow)>>;
    /// A page of the messages shown in a channel. One read, across buckets.
    fn messages(&self, log: &LogId, range: MessageRange) -> Answer<Vec<MessageRow>>;
    /// A page of a thread's replies. One read.
    fn thread(&self, log: &LogId, parent_us: Micros, range: MessageRange) -> Answer<Vec<MessageRow>>;
    /// One message or reply (through `reply_of`) by its us.
    fn message(&self, log: &LogId, us: Micros) -> Answer<Option<MessageRow>>;
    /// Reactions to all messages in a range of time. One read.
    fn reactions(&self, log: &LogId, from_us: Micros, to_us: Micros) -> Answer<Vec<ReactionCount>>;
    /// Whether this user reacted so.
    fn reaction(&self, log: &LogId, us: Micros, name: &str, user: &UserId) -> Answer<bool>;
    /// One user's membership of a conversation.
    fn member(&self, log: &LogId, user: &UserId) -> Answer<Option<MemberRow>>;
    /// One user's membership of each of these conversations, in their order. One read.
    fn memberships(
        &self,
        workspace: &WorkspaceId,
        user: &UserId,
        channels: Vec<ConversationId>,
    ) -> Answer<Vec<Option<MemberRow>>>;
    /// Members of a conversation, by user id.
    fn members(&self, log: &LogId, after: Option<UserId>, limit: usize) -> Answer<Listed<UserId, MemberRow>>;
    /// Conversations of a user, left ones included, by conversation id.
    fn joined(
        &self,
        workspace: &WorkspaceId,
        user: &UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Answer<Listed<ConversationId, JoinedRow>>;
    /// Read positions of a user.
    fn marks(&self, workspace: &WorkspaceId, user: &UserId) -> Answer<Vec<(ConversationId, MarkRow)>>;
    /// One user of a workspace.
    fn user(&self, workspace: &WorkspaceId, user: &UserId) -> Answer<Option<UserRow>>;
    /// One conversation of a workspace.
    fn conversation(
        &self,
        workspace: &WorkspaceId,
        channel: &ConversationId,
    ) -> Answer<Option<ConversationRow>>;
    /// Users of a workspace, by id.
    fn users(
        &self,
        workspace: &WorkspaceId,
        after: Option<UserId>,
        limit: usize,
    ) -> Answer<Listed<UserId, UserRow>>;
    /// Conversations of a workspace, by id.
    fn conversations(
        &self,
        workspace: &WorkspaceId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Answer<Listed<ConversationId, ConversationRow>>;
    /// Workspaces, by id.
    fn workspaces(&self) -> Answer<Vec<(WorkspaceId, WorkspaceRow)>>;
    /// Whose token has this hash. The only look-up without a workspace: it is what finds the workspace.
    fn token(&self, hash: &str) -> Answer<Option<TokenRow>>;
    /// Channels of a slot that were appended to in a minute (us / 60,000,000). A slot's minutes never go back: while
    /// the clock says an earlier one than the newest that is recorded, channels are recorded under that.
    fn active(&self, slot: Slot, minute: u64) -> Answer<Vec<LogId>>;
    /// Channels appended to in the newest [`fence::LAST_ACTIVE_MINUTES`] recorded minutes of each slot: what a node
    /// that starts again has to look at, however long it was down. One read.
    fn last_active(&self) -> Answer<Vec<LogId>>;
    /// Drops the log rows of closed buckets whose last row is older than `before_us`; heads stay. Answers how many
    /// buckets were dropped. `keep` newest buckets are never dropped (at least the open one).
    fn retain_log(&self, log: &LogId, before_us: Micros, keep: usize) -> Answer<usize>;
    /// Drops messages, replies and reactions older than `before_us` from the views. Answers how many messages.
    fn retain_views(&self, log: &LogId, before_us: Micros) -> Answer<usize>;
}
