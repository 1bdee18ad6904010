//! What one would see of a conversation after its last event.

use super::Fold;
use crate::fold::unless;
use proto::id::UserId;
use proto::ts::Micros;
use proto::v1::event::Body;
use proto::v1::{Content, Event, MessageRow, ReplyUser};
use std::collections::BTreeMap;

impl Fold {
    /// The log's last seq.
    pub fn tail(&self) -> u64 {
        self.times.len() as u64
    }

    /// Times of all events, in order.
    pub fn times(&self) -> &[Micros] {
        &self.times
    }

    /// A message or reply with its thread's summary, counted now; users in the order of their ids, however many.
    pub fn message(&self, us: Micros) -> Option<MessageRow> {
        let mut row = self.messages.get(&us)?.clone();
        let mut users: BTreeMap<&str, u32> = BTreeMap::new();
        for reply in self.replies(us) {
            *users.entry(&reply.sender).or_default() += 1;
            row.reply_count += 1;
            row.latest_reply_us = reply.us;
        }
        let named = |(user, count): (&str, u32)| ReplyUser { user: user.to_owned(), count };
        row.reply_users = users.into_iter().map(named).collect();
        Some(row)
    }

    /// What the channel shows, oldest first.
    pub fn shown(&self) -> Vec<MessageRow> {
        let shown = self.messages.values().filter(|row| row.thread_us == 0 || row.reply_broadcast);
        shown.filter_map(|row| self.message(row.us)).collect()
    }

    /// What a thread shows, oldest first.
    pub fn thread(&self, parent_us: Micros) -> Vec<MessageRow> {
        self.replies(parent_us).into_iter().filter_map(|row| self.message(row.us)).collect()
    }

    /// Messages that could have replies, by time.
    pub fn parents(&self) -> impl Iterator<Item = Micros> {
        self.messages.values().filter(|row| row.thread_us == 0).map(|row| row.us)
    }

    /// Reactions to one message: by name, users in the order in which they reacted.
    pub fn reactions(&self, us: Micros) -> BTreeMap<String, Vec<UserId>> {
        self.reactions.get(&us).cloned().unwrap_or_default()
    }

    /// Deletions took their contents out of this log, and nothing else did.
    pub fn redactions(&self, events: &[Event]) -> Result<(), String> {
        let gone = Content { redacted: true, ..Content::default() };
        for event in events {
            let content = match &event.body {
                Some(Body::Posted(posted)) => posted.content.clone().unwrap_or_default(),
                Some(Body::Edited(edited)) => edited.content.clone().unwrap_or_default(),
                _ => continue,
            };
            let deleted = self.redacted.contains(&event.seq);
            unless(!deleted || content == gone, event, || "still says what was deleted".into())?;
            unless(deleted || !content.redacted, event, || "is redacted and was not deleted".into())?;
        }
        Ok(())
    }
}

/// Messages after a position that count as unread there: what the channel showed when it was said, deleted or not.
pub fn unread(conversation: &Fold, mark_seq: u64) -> u64 {
    conversation.countable.iter().filter(|seq| **seq > mark_seq).count() as u64
}

/// As [`unread`], of those that mention everyone.
pub fn broadcasts(conversation: &Fold, mark_seq: u64) -> u64 {
    conversation.broadcast.iter().filter(|seq| **seq > mark_seq).count() as u64
}
