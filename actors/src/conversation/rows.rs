//! Messages and reactions of a conversation that are in memory, and why each is still there.

use super::kept::Kept;
use crate::subject::Loaded;
use proto::id::UserId;
use proto::ts::Micros;
use proto::v1::MessageRow;
use std::sync::Arc;

/// What memory says of a message.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found {
    /// It is here.
    Row(Arc<MessageRow>),
    /// It is known not to exist.
    Absent,
    /// It has to be read.
    Unknown,
}

/// The last reply but one of a thread, valid while nothing has touched the thread since.
#[derive(Debug)]
struct PreviousReply {
    parent_us: Micros,
    touched: u64,
    replies: Vec<Micros>,
}

/// A reaction: the message, the name, who.
type ReactionKey = (Micros, String, UserId);

/// Rows in memory; `None` is a message that does not exist.
#[derive(Debug)]
pub(super) struct Rows {
    messages: Kept<Micros, Option<Arc<MessageRow>>>,
    reactions: Kept<ReactionKey, bool>,
    previous: Option<PreviousReply>,
}

impl Rows {
    /// At most `max` messages and as many reactions, those not counted that the store does not have yet.
    pub(super) fn new(max: usize) -> Self {
        Self { messages: Kept::new(max), reactions: Kept::new(max), previous: None }
    }
    pub(super) fn get(&self, us: Micros) -> Option<Arc<MessageRow>> {
        self.messages.get(&us).cloned().flatten()
    }
    pub(super) fn find(&self, us: Micros) -> Found {
        match self.messages.get(&us) {
            None => Found::Unknown,
            Some(None) => Found::Absent,
            Some(Some(row)) => Found::Row(row.clone()),
        }
    }
    /// A message as it is after the event `touched`.
    pub(super) fn put(&mut self, row: MessageRow, touched: u64) -> Arc<MessageRow> {
        let row = Arc::new(row);
        self.messages.put(row.us, Some(row.clone()), touched);
        row
    }
    /// A message that the event `touched` has taken away.
    pub(super) fn remove(&mut self, us: Micros, touched: u64) {
        self.messages.put(us, None, touched);
        self.reactions.remove_if(|key| key.0 == us);
    }
    pub(super) fn touched(&self, us: Micros) -> u64 {
        self.messages.touched(&us)
    }
    /// Whether this user reacted so; `None` when it has to be read.
    pub(super) fn reacted(&self, us: Micros, name: &str, user: &UserId) -> Option<bool> {
        self.reactions.get(&(us, name.to_owned(), user.clone())).copied()
    }
    pub(super) fn react(&mut self, us: Micros, name: &str, user: &UserId, is: bool, touched: u64) {
        self.reactions.put((us, name.to_owned(), user.clone()), is, touched);
    }
    /// The newest reply below `us` of a thread (0: there is none), if it was read and is still valid.
    pub(super) fn reply_before(&self, parent_us: Micros, us: Micros) -> Option<Micros> {
        let previous = self.previous.as_ref()?;
        let valid = previous.parent_us == parent_us && previous.touched == self.touched(parent_us);
        valid.then(|| previous.replies.iter().copied().filter(|reply| *reply < us).max().unwrap_or(0))
    }
    pub(super) fn loaded(&mut self, loaded: Loaded) {
        match loaded {
            Loaded::Message(us, row) => {
                if self.previous.as_ref().is_some_and(|previous| previous.parent_us == us) {
                    // The parent has left memory since: what touched its thread meanwhile is not known any more.
                    self.previous = None;
                }
                self.messages.load(us, row.map(|row| Arc::new(*row)));
            }
            Loaded::Reaction(us, name, user, is) => self.reactions.load((us, name, user), is),
            Loaded::LastReplies(parent_us, touched, replies) => {
                self.previous = Some(PreviousReply { parent_us, touched, replies });
            }
            Loaded::Keys(..) | Loaded::Conversation(_) | Loaded::Token(..) => {}
        }
    }
    /// Everything up to `seq` is in the store.
    pub(super) fn durable(&mut self, seq: u64) {
        self.messages.durable(seq);
        self.reactions.durable(seq);
    }
}
