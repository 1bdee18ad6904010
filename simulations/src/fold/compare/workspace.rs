//! A workspace's views: itself, its users, its conversations.

use super::row::{maps, same};
use super::{listed, read};
use crate::fold::{Named, Roster};
use actors::store::{LogId, Store};
use proto::id::{ChannelId, ConversationId, WorkspaceId};
use proto::v1::ConversationRow;
use std::collections::BTreeMap;

/// Rows of a page: few, so that there are pages.
const PAGE_ROWS: usize = 7;

/// Of a conversation's row, what the workspace's log decides.
fn born(kind: i32, creator: &str, created_us: u64) -> (i32, String, u64) {
    (kind, creator.to_owned(), created_us)
}

/// The workspace's row, its users, and of its conversations which there are, who made them when, and that each has a
/// name that it had or has: a new one is followed by the conversation's own log.
pub async fn roster(store: &dyn Store, workspace: &WorkspaceId, fold: &Roster) -> Result<(), String> {
    let found = read("workspaces", store.workspaces().await)?;
    let found = found.into_iter().find(|(id, _)| id == workspace).map(|(_, row)| row);
    same(|| format!("workspace {workspace}"), &found, &fold.workspace)?;

    let view = format!("users of {workspace}");
    let users = listed(&view, |after| store.users(workspace, after, PAGE_ROWS)).await?;
    maps(&view, &users, &fold.users)?;
    for user in fold.users.keys() {
        let found = read(&view, store.user(workspace, user).await)?;
        same(|| format!("{view}, {user} alone"), &found.as_ref(), &fold.users.get(user))?;
    }

    let view = format!("conversations of {workspace}");
    let rows = conversations(store, workspace).await?;
    let has = rows.iter().map(|(channel, row)| (channel, born(row.kind, &row.creator, row.created_us)));
    let says = fold.conversations.iter();
    let says =
        says.map(|(channel, named)| (channel, born(named.kind.into(), &named.creator, named.created_us)));
    maps(&view, &has.collect(), &says.collect())?;

    let log = LogId::new(workspace.clone(), ChannelId::Workspace(workspace.clone()));
    let head = read(&format!("the head of {}", log.channel), store.head(&log).await)?;
    let followed = head.map_or(0, |(_, head)| head.followed);
    for (channel, row, named) in both(&rows, fold) {
        let may = named.names_after(followed).any(|name| name == row.name);
        let says = if may { &row.name } else { named.name() };
        same(|| format!("{view}, the name of {channel}"), &row.name.as_str(), &says)?;
        let found = read(&view, store.conversation(workspace, channel).await)?;
        same(|| format!("{view}, {channel} alone"), &found.as_ref(), &Some(row))?;
    }
    Ok(())
}

/// Every conversation has the name that its workspace gave it last. True once all follow-ups are done.
pub async fn names(store: &dyn Store, workspace: &WorkspaceId, fold: &Roster) -> Result<(), String> {
    let rows = conversations(store, workspace).await?;
    for (channel, row, named) in both(&rows, fold) {
        let view = || format!("conversations of {workspace}, the name of {channel}");
        same(view, &row.name.as_str(), &named.name())?;
    }
    Ok(())
}

async fn conversations(
    store: &dyn Store,
    workspace: &WorkspaceId,
) -> Result<BTreeMap<ConversationId, ConversationRow>, String> {
    let view = format!("conversations of {workspace}");
    listed(&view, |after| store.conversations(workspace, after, PAGE_ROWS)).await
}

fn both<'a>(
    rows: &'a BTreeMap<ConversationId, ConversationRow>,
    fold: &'a Roster,
) -> impl Iterator<Item = (&'a ConversationId, &'a ConversationRow, &'a Named)> {
    rows.iter().filter_map(|(channel, row)| Some((channel, row, fold.conversations.get(channel)?)))
}
