//! What every actor and every call of the API gets: the host, the store, the way to the channels, the limits.

use crate::command::{Command, Done};
use crate::config::Config;
use crate::placement::Placement;
use crate::router::Router;
use crate::store::{LogId, Store};
use crate::tickets::Tickets;
use cluster::host::Host;
use proto::id::{ChannelId, ConversationId, UserId, WorkspaceId};
use proto::refusal::Refusal;
use std::sync::Arc;

/// Shared by everything on a node; cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// Time, chance, tasks.
    pub host: Host,
    /// What is kept.
    pub store: Arc<dyn Store>,
    /// The way to the channels.
    pub router: Router,
    /// Connect tickets: single-use, short-lived.
    pub tickets: Tickets,
    /// Where users connect.
    pub placement: Placement,
    /// Limits and URLs.
    pub config: Arc<Config>,
}

impl Context {
    /// Runs a command to its durable end, retrying what was lost on the way under one key.
    pub async fn execute(&self, log: LogId, command: Command) -> Result<Done, Refusal> {
        self.router.execute(log, command).await
    }
    /// A new id of this kind (`'C'`, `'U'`, `'B'` …).
    pub fn mint(&self, letter: char) -> String {
        proto::id::mint(letter, self.host.entropy().next_u64())
    }
    /// The log of a conversation.
    pub fn conversation(workspace: &WorkspaceId, channel: &ConversationId) -> LogId {
        LogId::new(workspace.clone(), channel.clone())
    }
    /// The log of a user.
    pub fn user(workspace: &WorkspaceId, user: &UserId) -> LogId {
        LogId::new(workspace.clone(), ChannelId::User(user.clone()))
    }
    /// The log of a workspace.
    pub fn workspace(workspace: &WorkspaceId) -> LogId {
        LogId::new(workspace.clone(), ChannelId::Workspace(workspace.clone()))
    }
}
