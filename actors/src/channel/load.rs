//! Waking a channel: what the store knows of its log, for each of the three kinds of logs.

use super::log::Log;
use super::ups::FollowUp;
use super::window::Window;
use crate::conversation::{Conversation, Limits};
use crate::follow;
use crate::inbox::Inbox;
use crate::roster::Roster;
use crate::store::{Answer, Listed, LogId, READ_ROWS_MAX, Store, StoreError};
use crate::subject::{Loaded, Need, Subject};
use cluster::slots::Slot;
use futures::future::{BoxFuture, ready};
use proto::id::ChannelId;
use std::sync::Arc;

/// Readings of a log that an earlier owner still writes to; each takes one of its appends, and it has few on their way.
const READINGS_MAX: u32 = 4;

/// A channel as the store has it, ready to work.
pub struct Awake {
    /// The log's position and window.
    pub log: Log,
    /// What it is about.
    pub subject: Subject,
    /// Follow-ups that may not have been done yet, in order.
    pub follow: Vec<FollowUp>,
}

/// Reads everything that a channel needs before its first command, as of one moment: an append of an earlier owner that
/// lands meanwhile would be in some of it and not in the rest. Seven bounded reads, and one page a thousand members;
/// [`StoreError::Busy`] when the log did not hold still.
pub async fn load(
    store: Arc<dyn Store>,
    id: LogId,
    slot: Slot,
    epoch: u64,
    limits: Limits,
) -> Result<Awake, StoreError> {
    let mut head = store.head(&id).await?;
    for _ in 0..READINGS_MAX {
        let window = match &head {
            None => Window::default(),
            Some((bucket, _)) => window(&*store, &id, *bucket).await?,
        };
        let begun = head.as_ref().map(|(_, head)| head);
        let mut subject = subject(&*store, &id, begun.is_some(), limits).await?;
        let log = Log::new(id.clone(), slot, epoch, begun, window);
        let follow = unfollowed(&*store, &id, &mut subject, log.followed(), log.durable()).await?;
        let now = store.head(&id).await?;
        if now == head {
            return Ok(Awake { log, subject, follow });
        }
        metrics::counter!("waggle_loads_overtaken_total").increment(1);
        head = now;
    }
    Err(StoreError::Busy)
}

async fn window(store: &dyn Store, id: &LogId, bucket: u32) -> Result<Window, StoreError> {
    let previous = match bucket.checked_sub(1) {
        Some(previous) => store.keys(id, previous).await?,
        None => Vec::new(),
    };
    let directory = store.directory(id, READ_ROWS_MAX).await?;
    Ok(Window::load(bucket, previous, store.keys(id, bucket).await?, directory))
}

/// The tail of a log in the store; 0 of one that has not begun.
pub async fn tail(store: &dyn Store, id: &LogId) -> Result<u64, StoreError> {
    Ok(store.head(id).await?.map_or(0, |(_, head)| head.tail))
}

/// The tail of a log on which no actor works; `None` when one should: follow-ups of its last events may not have been
/// done. Two bounded reads at most.
pub async fn stand(store: &dyn Store, id: &LogId) -> Result<Option<u64>, StoreError> {
    let Some((_, head)) = store.head(id).await? else { return Ok(Some(0)) };
    let has_follow_ups = !matches!(id.channel, ChannelId::User(_));
    if has_follow_ups && head.followed < head.tail {
        let page = store.log(id, head.followed, READ_ROWS_MAX).await?;
        let seen_to_its_end = page.events.last().is_some_and(|last| last.seq >= head.tail);
        let none = page.events.iter().all(|event| follow::ups(id, event, |_| true).is_empty());
        if !(seen_to_its_end && none) {
            return Ok(None);
        }
    }
    Ok(Some(head.tail))
}

async fn subject(store: &dyn Store, id: &LogId, begun: bool, limits: Limits) -> Result<Subject, StoreError> {
    let workspace = &id.workspace;
    Ok(match &id.channel {
        ChannelId::Conversation(channel) => {
            let row = store.conversation(workspace, channel).await?;
            let members = all(|after| store.members(id, after, READ_ROWS_MAX)).await?;
            let members = members.into_iter().map(|(user, _)| user).collect();
            Subject::Conversation(Box::new(Conversation::new(channel.clone(), begun, row, members, limits)))
        }
        ChannelId::Workspace(_) => {
            let row = store.workspaces().await?.into_iter().find(|(id, _)| id == workspace);
            let users = all(|after| store.users(workspace, after, READ_ROWS_MAX)).await?;
            let conversations = all(|after| store.conversations(workspace, after, READ_ROWS_MAX)).await?;
            Subject::Workspace(Box::new(Roster::new(row.map(|(_, row)| row), users, conversations)))
        }
        ChannelId::User(user) => {
            let joined = all(|after| store.joined(workspace, user, after, READ_ROWS_MAX)).await?;
            let marks = store.marks(workspace, user).await?;
            Subject::User(Box::new(Inbox::new(
                workspace.clone(),
                user.clone(),
                joined.into_iter().collect(),
                marks.into_iter().collect(),
            )))
        }
    })
}

/// All pages of a listing.
pub async fn all<K: Clone, V>(
    mut page: impl FnMut(Option<K>) -> Answer<Listed<K, V>>,
) -> Result<Vec<(K, V)>, StoreError> {
    let mut rows = Vec::new();
    loop {
        let after = rows.last().map(|(key, _): &(K, V)| key.clone());
        let listed = page(after).await?;
        rows.extend(listed.rows);
        if !listed.more {
            return Ok(rows);
        }
    }
}

/// Follow-ups of the events after the cursor that the head keeps.
async fn unfollowed(
    store: &dyn Store,
    id: &LogId,
    subject: &mut Subject,
    followed: u64,
    tail: u64,
) -> Result<Vec<FollowUp>, StoreError> {
    let mut follow = Vec::new();
    let mut after = followed;
    while after < tail {
        let page = store.log(id, after, READ_ROWS_MAX).await?;
        let Some(last) = page.events.last() else { break };
        after = last.seq;
        for event in &page.events {
            subject.not_followed(event);
            let ups = follow::ups(id, event, |user| subject.concerns(user));
            follow.extend(ups.into_iter().map(|(to, up)| (event.seq, to, up)));
        }
    }
    Ok(follow)
}

/// A row that a command waited for.
#[derive(Debug)]
pub struct Row {
    /// What it says.
    pub loaded: Loaded,
    /// The log's tail after it was read: the row says nothing of any later event.
    pub tail: u64,
}

/// Reads the row that a command waits for, and then the log's tail: an event of an earlier owner that landed after this
/// one loaded the log may be in the row.
pub async fn row(store: Arc<dyn Store>, id: LogId, need: Need) -> Result<Row, StoreError> {
    // A closed bucket has all its keys.
    let is_closed = matches!(need, Need::Keys(_));
    let loaded = read_row(&*store, &id, need).await?;
    let tail = if is_closed { 0 } else { tail(&*store, &id).await? };
    Ok(Row { loaded, tail })
}

fn read_row(store: &dyn Store, id: &LogId, need: Need) -> BoxFuture<'static, Result<Loaded, StoreError>> {
    match need {
        Need::Keys(bucket) => {
            let read = store.keys(id, bucket);
            Box::pin(async move { Ok(Loaded::Keys(bucket, read.await?)) })
        }
        Need::Message(us) => {
            let read = store.message(id, us);
            Box::pin(async move { Ok(Loaded::Message(us, read.await?.map(Box::new))) })
        }
        Need::Conversation => match &id.channel {
            ChannelId::Conversation(channel) => {
                let read = store.conversation(&id.workspace, channel);
                Box::pin(async move { Ok(Loaded::Conversation(read.await?.map(Box::new))) })
            }
            _ => Box::pin(ready(Ok(Loaded::Conversation(None)))),
        },
        Need::Token(hash) => {
            let read = store.token(&hash);
            Box::pin(async move { Ok(Loaded::Token(hash, read.await?)) })
        }
        Need::Reaction(us, name, user) => {
            let read = store.reaction(id, us, &name, &user);
            Box::pin(async move { Ok(Loaded::Reaction(us, name, user, read.await?)) })
        }
        Need::LastReplies { parent_us, durable } => {
            let range =
                crate::store::MessageRange { from_us: 0, to_us: u64::MAX, newest_first: true, limit: 2 };
            let read = store.thread(id, parent_us, range);
            Box::pin(async move {
                let replies = read.await?.into_iter().map(|row| row.us).collect();
                Ok(Loaded::LastReplies(parent_us, durable, replies))
            })
        }
    }
}
