//! Views in memory: one map a table, written blindly.

use crate::store::{LogId, ViewWrite};
use proto::id::{ChannelId, ConversationId, UserId, WorkspaceId};
use proto::ts::Micros;
use proto::v1::{
    ConversationRow, JoinedRow, MarkRow, MemberRow, MessageRow, TokenRow, UserRow, WorkspaceRow,
};
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Views {
    pub(super) messages: BTreeMap<(LogId, Micros), MessageRow>,
    pub(super) replies: BTreeMap<(LogId, Micros, Micros), MessageRow>,
    pub(super) reply_of: BTreeMap<(LogId, Micros), Micros>,
    pub(super) reactions: BTreeMap<(LogId, Micros, String, UserId), u64>,
    pub(super) members: BTreeMap<(LogId, UserId), MemberRow>,
    pub(super) joined: BTreeMap<(WorkspaceId, UserId, ConversationId), JoinedRow>,
    pub(super) marks: BTreeMap<(WorkspaceId, UserId, ConversationId), MarkRow>,
    pub(super) users: BTreeMap<(WorkspaceId, UserId), UserRow>,
    pub(super) conversations: BTreeMap<(WorkspaceId, ConversationId), ConversationRow>,
    pub(super) workspaces: BTreeMap<WorkspaceId, WorkspaceRow>,
    pub(super) tokens: BTreeMap<String, TokenRow>,
}

impl Views {
    pub fn apply(&mut self, log: &LogId, view: ViewWrite) {
        let workspace = log.workspace.clone();
        let log = log.clone();
        match view {
            ViewWrite::Message(row) => drop(self.messages.insert((log, row.us), row)),
            ViewWrite::MessageGone { us, .. } => drop(self.messages.remove(&(log, us))),
            ViewWrite::Reply(row) => {
                self.reply_of.insert((log.clone(), row.us), row.thread_us);
                self.replies.insert((log, row.thread_us, row.us), row);
            }
            ViewWrite::ReplyGone { parent_us, us } => {
                self.reply_of.remove(&(log.clone(), us));
                self.replies.remove(&(log, parent_us, us));
            }
            ViewWrite::Reaction { us, name, user, seq, .. } => {
                self.reactions.insert((log, us, name, user), seq);
            }
            ViewWrite::ReactionGone { us, name, user, .. } => {
                self.reactions.remove(&(log, us, name, user));
            }
            ViewWrite::ReactionsGone { us, .. } => self.reactions.retain(|at, _| at.0 != log || at.1 != us),
            ViewWrite::Member { user, row } => drop(self.members.insert((log, user), row)),
            ViewWrite::MemberGone { user } => drop(self.members.remove(&(log, user))),
            ViewWrite::Joined { channel, row } => {
                self.joined.insert((workspace, owner(log), channel), row);
            }
            ViewWrite::Mark { channel, row } => {
                self.marks.insert((workspace, owner(log), channel), row);
            }
            ViewWrite::Token { hash, row } => drop(self.tokens.insert(hash, row)),
            ViewWrite::User { user, row } => drop(self.users.insert((workspace, user), row)),
            ViewWrite::Conversation { channel, row } => {
                self.conversations.insert((workspace, channel), row);
            }
            ViewWrite::Workspace(row) => drop(self.workspaces.insert(workspace, row)),
            ViewWrite::Redact { .. } => {} // the log's part
        }
    }

    pub fn retain(&mut self, log: &LogId, before_us: Micros) -> usize {
        let old = |of: &LogId, us: Micros| of == log && us < before_us;
        let before = self.messages.len();
        self.messages.retain(|at, _| !old(&at.0, at.1));
        self.replies.retain(|at, _| !old(&at.0, at.2));
        self.reply_of.retain(|at, _| !old(&at.0, at.1));
        self.reactions.retain(|at, _| !old(&at.0, at.1));
        before - self.messages.len()
    }
}

fn owner(log: LogId) -> UserId {
    match log.channel {
        ChannelId::User(user) => user,
        other => unreachable!("assert_whole lets only a user's log write this view, not {other}"),
    }
}
