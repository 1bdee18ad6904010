//! Which conversations a caller can see and read, and how arguments name them.

use super::failure::Failure;
use super::shape::conversation::Standing;
use super::{Call, args};
use crate::context::Context;
use crate::opening;
use crate::store::{READ_ROWS_MAX, StoreError};
use crate::tickets::Login;
use proto::id::{ConversationId, UserId};
use proto::v1::{ConversationKind, ConversationRow};

/// Pages of conversations read at most to find one by its name.
const NAME_PAGES_MAX: usize = 50;
/// Members of a direct conversation shown by name.
const OTHERS_MAX: usize = 9;

/// A conversation that the caller can see.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Its id.
    pub id: ConversationId,
    /// Its current state.
    pub row: ConversationRow,
    /// The caller is in it.
    pub member: bool,
}

/// The conversation that the argument `channel` names, if the caller can see it. One that is closed to the caller,
/// another workspace's and none at all are the same `channel_not_found`.
pub async fn seen(call: &Call) -> Result<Seen, Failure> {
    let id = id(&args::required(&call.args, "channel")?)?;
    call.visible(id).await?.ok_or_else(Failure::channel_not_found)
}

/// A conversation id, or `channel_not_found`.
pub fn id(text: &str) -> Result<ConversationId, Failure> {
    ConversationId::parse(text).map_err(|_| Failure::channel_not_found())
}

/// The conversation, if this login can see it.
pub async fn visible(
    context: &Context,
    login: &Login,
    id: ConversationId,
) -> Result<Option<Seen>, StoreError> {
    let log = Context::conversation(&login.workspace, &id);
    let row = context.store.conversation(&login.workspace, &id);
    let (row, member) = futures::future::try_join(row, context.store.member(&log, &login.user)).await?;
    let member = member.is_some();
    let row = row.filter(|row| member || row.kind() == ConversationKind::Public);
    Ok(row.map(|row| Seen { id, row, member }))
}

/// As [`seen`], and the token may do this (`read`, `history`) in conversations of its kind.
pub async fn seen_with(call: &Call, right: &str) -> Result<Seen, Failure> {
    let seen = seen(call).await?;
    call.need(&scope(seen.row.kind(), right))?;
    Ok(seen)
}

/// The scope that a right needs in conversations of this kind.
pub fn scope(kind: ConversationKind, right: &str) -> String {
    let kind = match kind {
        ConversationKind::Private => "groups",
        ConversationKind::Im => "im",
        ConversationKind::Mpim => "mpim",
        _ => "channels",
    };
    format!("{kind}:{right}")
}

/// How a login stands to a conversation it sees, for its shape.
pub async fn standing(context: &Context, login: &Login, seen: &Seen) -> Result<Standing, StoreError> {
    let mut others = Vec::new();
    if seen.row.kind() == ConversationKind::Im {
        let log = Context::conversation(&login.workspace, &seen.id);
        let listed = context.store.members(&log, None, OTHERS_MAX).await?;
        others.extend(listed.rows.into_iter().map(|(user, _)| user).filter(|user| *user != login.user));
        // Notes to oneself: the other one is oneself.
        if others.is_empty() {
            others.push(login.user.clone());
        }
    }
    Ok(Standing { member: seen.member, others })
}

/// Where a message goes: an id, `#name`, a bare name, or a user, whose direct conversation is opened.
pub async fn destination(call: &Call, text: &str) -> Result<ConversationId, Failure> {
    if let Ok(id) = ConversationId::parse(text) {
        return Ok(id);
    }
    if let Ok(user) = UserId::parse(text) {
        let opened = opening::direct(&call.context, call.workspace(), call.user(), &[user]).await;
        return match opened {
            Ok(opened) => Ok(opened.channel),
            Err(proto::refusal::Refusal::Named(_)) => Err(Failure::channel_not_found()),
            Err(other) => Err(other.into()),
        };
    }
    let name = text.strip_prefix('#').unwrap_or(text);
    by_name(call, name).await?.ok_or_else(Failure::channel_not_found)
}

/// The conversation of this name, if the caller can see it.
async fn by_name(call: &Call, name: &str) -> Result<Option<ConversationId>, Failure> {
    let mut after = None;
    for _ in 0..NAME_PAGES_MAX {
        let page = call.context.store.conversations(call.workspace(), after, READ_ROWS_MAX).await?;
        let found = page.rows.iter().find(|(_, row)| !name.is_empty() && row.name == name);
        if let Some((id, _)) = found {
            return Ok(call.visible(id.clone()).await?.map(|seen| seen.id));
        }
        after = page.rows.last().map(|(id, _)| id.clone());
        if !page.more {
            break;
        }
    }
    Ok(None)
}
