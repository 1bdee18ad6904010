//! Messages and reactions of a conversation that are in memory, and why each is still there.

use crate::subject::Loaded;
use proto::id::UserId;
use proto::ts::Micros;
use proto::v1::MessageRow;
use std::collections::BTreeMap;
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

/// `row` as it will be once the event `touched` is durable; `None` is a message that is gone.
#[derive(Debug)]
struct Kept {
    row: Option<Arc<MessageRow>>,
    touched: u64,
}

/// The last reply but one of a thread, valid while nothing has touched the thread since.
#[derive(Debug)]
struct PreviousReply {
    parent_us: Micros,
    touched: u64,
    replies: Vec<Micros>,
}

/// Rows in memory. What an event touched stays until that event is in the store: before, the store would answer
/// with an older row.
#[derive(Debug)]
pub(super) struct Rows {
    max: usize,
    kept: BTreeMap<Micros, Kept>,
    reactions: BTreeMap<(Micros, String, UserId), (bool, u64)>,
    previous: Option<PreviousReply>,
}

impl Rows {
    pub(super) fn new(max: usize) -> Self {
        Self { max, kept: BTreeMap::new(), reactions: BTreeMap::new(), previous: None }
    }
    pub(super) fn get(&self, us: Micros) -> Option<Arc<MessageRow>> {
        self.kept.get(&us).and_then(|kept| kept.row.clone())
    }
    pub(super) fn find(&self, us: Micros) -> Found {
        match self.kept.get(&us) {
            None => Found::Unknown,
            Some(Kept { row: None, .. }) => Found::Absent,
            Some(Kept { row: Some(row), .. }) => Found::Row(row.clone()),
        }
    }
    pub(super) fn put(&mut self, row: MessageRow, touched: u64) -> Arc<MessageRow> {
        let row = Arc::new(row);
        self.kept.insert(row.us, Kept { row: Some(row.clone()), touched });
        row
    }
    pub(super) fn remove(&mut self, us: Micros, touched: u64) {
        self.kept.insert(us, Kept { row: None, touched });
        let of_it: Vec<_> = self.reactions.keys().filter(|key| key.0 == us).cloned().collect();
        for key in of_it {
            self.reactions.remove(&key);
        }
    }
    pub(super) fn touched(&self, us: Micros) -> u64 {
        self.kept.get(&us).map_or(0, |kept| kept.touched)
    }
    /// Whether this user reacted so; `None` when it has to be read.
    pub(super) fn reacted(&self, us: Micros, name: &str, user: &UserId) -> Option<bool> {
        self.reactions.get(&(us, name.to_owned(), user.clone())).map(|(is, _)| *is)
    }
    pub(super) fn react(&mut self, us: Micros, name: &str, user: &UserId, is: bool, touched: u64) {
        self.reactions.insert((us, name.to_owned(), user.clone()), (is, touched));
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
                let row = row.map(|row| Arc::new(*row));
                self.kept.entry(us).or_insert(Kept { row, touched: 0 });
            }
            Loaded::Reaction(us, name, user, is) => {
                self.reactions.entry((us, name, user)).or_insert((is, 0));
            }
            Loaded::LastReplies(parent_us, touched, replies) => {
                self.previous = Some(PreviousReply { parent_us, touched, replies });
            }
            Loaded::Keys(..) => {}
        }
    }
    /// Lets go of the oldest rows above the limit, and of reactions and absences, that the store has too.
    pub(super) fn evict(&mut self, durable: u64) {
        if self.reactions.len() > self.max {
            self.reactions.retain(|_, (_, touched)| *touched > durable);
        }
        let mut excess = self.kept.len().saturating_sub(self.max);
        if excess > 0 {
            self.kept.retain(|_, kept| {
                let goes = excess > 0 && kept.touched <= durable;
                excess -= usize::from(goes);
                !goes
            });
        }
    }
}
