//! A user's views: where the user is, how far the user read, which tokens open the door.

use super::row::{maps, same};
use super::{listed, read};
use crate::fold::{Fold, Inbox, broadcasts, unread as counted};
use actors::store::{LogId, Store};
use proto::id::{ConversationId, UserId, WorkspaceId};
use proto::v1::{JoinedRow, TokenRow};
use std::collections::BTreeMap;

/// Rows of a page of conversations: few, so that there are pages.
const PAGE_ROWS: usize = 5;

/// A user's conversations, marks and tokens. (Mentions have no view.)
pub async fn inbox(
    store: &dyn Store,
    workspace: &WorkspaceId,
    user: &UserId,
    fold: &Inbox,
) -> Result<(), String> {
    if let Some(owner) = fold.owner.as_ref().filter(|owner| *owner != user.as_str()) {
        return Err(format!(
            "the log of {user}: the store has it, and the log says that {owner} wrote there"
        ));
    }
    maps(&format!("conversations of {user}"), &joined(store, workspace, user).await?, &fold.joined)?;
    let view = format!("marks of {user}");
    let marks = read(&view, store.marks(workspace, user).await)?;
    maps(&view, &marks.into_iter().collect(), &fold.marks)?;
    for (hash, token) in &fold.tokens {
        let view = format!("the token {hash} of {user}");
        let found = read(&view, store.token(hash).await)?;
        let says = TokenRow { workspace: workspace.to_string(), user: user.to_string(), ..token.clone() };
        same(|| view.clone(), &found, &Some(says))?;
    }
    Ok(())
}

pub(super) async fn joined(
    store: &dyn Store,
    workspace: &WorkspaceId,
    user: &UserId,
) -> Result<BTreeMap<ConversationId, JoinedRow>, String> {
    let view = format!("conversations of {user}");
    listed(&view, |after| store.joined(workspace, user, after, PAGE_ROWS)).await
}

/// What a user has not read of a conversation: the difference of two running counts is what one counts in the log.
/// `log` and `fold` are the conversation's.
pub async fn unread(store: &dyn Store, log: &LogId, user: &UserId, fold: &Fold) -> Result<(), String> {
    let channel = log.channel.conversation().ok_or_else(|| format!("{log:?} is no conversation's log"))?;
    let view = format!("the mark of {user} in {channel}");
    let marks = read(&view, store.marks(&log.workspace, user).await)?;
    let head = read(&format!("the head of {channel}"), store.head(log).await)?;
    let head = head.map(|(_, head)| head).unwrap_or_default();
    same(|| format!("the head of {channel}, its tail"), &head.tail, &fold.tail())?;
    let Some((_, mark)) = marks.into_iter().find(|(marked, _)| marked == channel) else { return Ok(()) };
    let place = mark.seq.checked_sub(1).and_then(|at| fold.times().get(usize::try_from(at).ok()?));
    same(|| format!("{view}, the time at {}", mark.seq), &Some(&mark.us), &place)?;
    let has = head.countable.checked_sub(mark.countable);
    same(|| format!("{view}, unread after {}", mark.seq), &has, &Some(counted(fold, mark.seq)))?;
    let has = head.broadcast.checked_sub(mark.broadcast);
    same(|| format!("{view}, mentions of all after {}", mark.seq), &has, &Some(broadcasts(fold, mark.seq)))
}
