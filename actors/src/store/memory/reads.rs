//! Reads of the views in memory.

use super::views::Views;
use crate::store::page::{Tally, rows_max};
use crate::store::{Listed, LogId, MessageRange, ReactionCount};
use proto::id::{ConversationId, UserId, WorkspaceId};
use proto::ts::Micros;
use proto::v1::{
    ConversationRow, JoinedRow, MarkRow, MemberRow, MessageRow, TokenRow, UserRow, WorkspaceRow,
};

impl Views {
    pub fn messages(&self, log: &LogId, range: MessageRange) -> Vec<MessageRow> {
        if range.from_us > range.to_us {
            return Vec::new();
        }
        let within = (log.clone(), range.from_us)..=(log.clone(), range.to_us);
        page(self.messages.range(within).map(|(_, row)| row), range)
    }

    pub fn thread(&self, log: &LogId, parent_us: Micros, range: MessageRange) -> Vec<MessageRow> {
        if range.from_us > range.to_us {
            return Vec::new();
        }
        let at = |us| (log.clone(), parent_us, us);
        page(self.replies.range(at(range.from_us)..=at(range.to_us)).map(|(_, row)| row), range)
    }

    pub fn message(&self, log: &LogId, us: Micros) -> Option<MessageRow> {
        let reply = || {
            let parent = self.reply_of.get(&(log.clone(), us))?;
            self.replies.get(&(log.clone(), *parent, us)).cloned()
        };
        self.messages.get(&(log.clone(), us)).cloned().or_else(reply)
    }

    pub fn reactions(&self, log: &LogId, from_us: Micros, to_us: Micros) -> Vec<ReactionCount> {
        let mut tally = Tally::default();
        for ((of, us, name, user), seq) in &self.reactions {
            if of == log && (from_us..=to_us).contains(us) {
                tally.add(*us, name, user.clone(), *seq);
            }
        }
        tally.finish()
    }

    pub fn reaction(&self, log: &LogId, us: Micros, name: &str, user: &UserId) -> bool {
        self.reactions.contains_key(&(log.clone(), us, name.into(), user.clone()))
    }

    pub fn member(&self, log: &LogId, user: &UserId) -> Option<MemberRow> {
        self.members.get(&(log.clone(), user.clone())).cloned()
    }

    pub fn members(&self, log: &LogId, after: Option<UserId>, limit: usize) -> Listed<UserId, MemberRow> {
        let of_log = self.members.iter().filter(|(at, _)| at.0 == *log);
        listed(of_log.map(|(at, row)| (at.1.clone(), row.clone())), after, limit)
    }

    pub fn joined(
        &self,
        workspace: &WorkspaceId,
        user: &UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Listed<ConversationId, JoinedRow> {
        let of_user = self.joined.iter().filter(|(at, _)| at.0 == *workspace && at.1 == *user);
        listed(of_user.map(|(at, row)| (at.2.clone(), *row)), after, limit)
    }

    pub fn marks(&self, workspace: &WorkspaceId, user: &UserId) -> Vec<(ConversationId, MarkRow)> {
        let of_user = self.marks.iter().filter(|(at, _)| at.0 == *workspace && at.1 == *user);
        of_user.map(|(at, row)| (at.2.clone(), *row)).collect()
    }

    pub fn user(&self, workspace: &WorkspaceId, user: &UserId) -> Option<UserRow> {
        self.users.get(&(workspace.clone(), user.clone())).cloned()
    }

    pub fn users(
        &self,
        workspace: &WorkspaceId,
        after: Option<UserId>,
        limit: usize,
    ) -> Listed<UserId, UserRow> {
        let here = self.users.iter().filter(|(at, _)| at.0 == *workspace);
        listed(here.map(|(at, row)| (at.1.clone(), row.clone())), after, limit)
    }

    pub fn conversation(&self, workspace: &WorkspaceId, channel: &ConversationId) -> Option<ConversationRow> {
        self.conversations.get(&(workspace.clone(), channel.clone())).cloned()
    }

    pub fn conversations(
        &self,
        workspace: &WorkspaceId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Listed<ConversationId, ConversationRow> {
        let here = self.conversations.iter().filter(|(at, _)| at.0 == *workspace);
        listed(here.map(|(at, row)| (at.1.clone(), row.clone())), after, limit)
    }

    pub fn workspaces(&self) -> Vec<(WorkspaceId, WorkspaceRow)> {
        self.workspaces.iter().map(|(id, row)| (id.clone(), row.clone())).collect()
    }

    pub fn token(&self, hash: &str) -> Option<TokenRow> {
        self.tokens.get(hash).cloned()
    }
}

fn page<'a>(rows: impl DoubleEndedIterator<Item = &'a MessageRow>, range: MessageRange) -> Vec<MessageRow> {
    let limit = rows_max(range.limit);
    if range.newest_first {
        rows.rev().take(limit).cloned().collect()
    } else {
        rows.take(limit).cloned().collect()
    }
}

fn listed<K: Ord, V>(rows: impl Iterator<Item = (K, V)>, after: Option<K>, limit: usize) -> Listed<K, V> {
    let mut rest = rows.filter(|(key, _)| after.as_ref().is_none_or(|after| key > after));
    let rows: Vec<_> = rest.by_ref().take(rows_max(limit)).collect();
    Listed { more: rest.next().is_some(), rows }
}
