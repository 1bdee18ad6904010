//! What operators call things: an id, or a name that means one thing.

use super::AdminError;
use crate::context::Context;
use crate::store::{Answer, Listed, READ_ROWS_MAX, StoreError};
use proto::id::{ConversationId, UserId, WorkspaceId};

/// Rows of one read.
pub(super) const PAGE: usize = READ_ROWS_MAX;

/// The workspace of this id or name.
pub(super) async fn workspace(context: &Context, name: &str) -> Result<WorkspaceId, AdminError> {
    let all = context.store.workspaces().await?;
    let by_id = all.iter().find(|(id, _)| id.as_str() == name);
    let found = by_id.or_else(|| all.iter().find(|(_, row)| row.name == name || row.domain == name));
    found.map(|(id, _)| id.clone()).ok_or_else(|| unknown("workspace", name))
}

/// The user of this id or handle.
pub(super) async fn user(
    context: &Context,
    workspace: &WorkspaceId,
    name: &str,
) -> Result<UserId, AdminError> {
    if let Ok(id) = UserId::parse(name)
        && context.store.user(workspace, &id).await?.is_some()
    {
        return Ok(id);
    }
    let handle = name.strip_prefix('@').unwrap_or(name);
    let read = |after| context.store.users(workspace, after, PAGE);
    let found = first(read, |row: &proto::v1::UserRow| row.name == handle).await?;
    found.ok_or_else(|| unknown("user", name))
}

/// The channel of this id or name.
pub(super) async fn channel(
    context: &Context,
    workspace: &WorkspaceId,
    name: &str,
) -> Result<ConversationId, AdminError> {
    if let Ok(id) = ConversationId::parse(name)
        && context.store.conversation(workspace, &id).await?.is_some()
    {
        return Ok(id);
    }
    let bare = name.strip_prefix('#').unwrap_or(name);
    let read = |after| context.store.conversations(workspace, after, PAGE);
    let found = first(read, |row: &proto::v1::ConversationRow| row.name == bare).await?;
    found.ok_or_else(|| unknown("channel", name))
}

/// The first row of a listing that fits, page by page.
async fn first<K: Clone, V>(
    read: impl Fn(Option<K>) -> Answer<Listed<K, V>>,
    fits: impl Fn(&V) -> bool,
) -> Result<Option<K>, StoreError> {
    let mut after = None;
    loop {
        let page = read(after).await?;
        if let Some((key, _)) = page.rows.iter().find(|(_, row)| fits(row)) {
            return Ok(Some(key.clone()));
        }
        after = page.rows.last().map(|(key, _)| key.clone());
        if !page.more {
            return Ok(None);
        }
    }
}

/// How many rows a listing has.
pub(super) async fn count<K: Clone, V>(
    read: impl Fn(Option<K>) -> Answer<Listed<K, V>>,
) -> Result<usize, StoreError> {
    let (mut after, mut count) = (None, 0);
    loop {
        let page = read(after).await?;
        count += page.rows.len();
        after = page.rows.last().map(|(key, _)| key.clone());
        if !page.more {
            return Ok(count);
        }
    }
}

fn unknown(kind: &'static str, name: &str) -> AdminError {
    AdminError::NotFound { kind, name: name.to_owned() }
}
