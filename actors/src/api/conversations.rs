//! Which conversations there are and who is in them: `conversations.list|info|members`, `users.conversations`.

use super::access::{self, Seen};
use super::failure::Failure;
use super::page;
use super::shape::{self, Object, conversation};
use super::{Answer, Call, args};
use crate::store::Listed;
use futures::future::try_join_all;
use proto::id::{ConversationId, UserId};
use proto::v1::{ConversationKind, ConversationRow};
use serde_json::{Value, json};

/// Conversations of a page when nothing is said, and the most of any page.
const LIST_DEFAULT: usize = 100;
const LIST_MAX: usize = 999;

/// The kinds that a list is asked for.
#[derive(Debug, Clone, PartialEq)]
struct Kinds(Vec<ConversationKind>);

impl Kinds {
    /// Reads `types`; public channels when nothing is said. The token needs the scope of each kind.
    fn read(call: &Call) -> Result<Self, Failure> {
        let mut types = args::list(&call.args, "types")?;
        if types.is_empty() {
            types.push("public_channel".to_owned());
        }
        let kinds = Self::named(&types)?;
        kinds.0.iter().try_for_each(|kind| call.need(&access::scope(*kind, "read")))?;
        Ok(kinds)
    }
    fn named(types: &[String]) -> Result<Self, Failure> {
        let kind = |name: &String| match name.as_str() {
            "public_channel" => Ok(ConversationKind::Public),
            "private_channel" => Ok(ConversationKind::Private),
            "mpim" => Ok(ConversationKind::Mpim),
            "im" => Ok(ConversationKind::Im),
            _ => Err(Failure::named("invalid_types")),
        };
        types.iter().map(kind).collect::<Result<_, _>>().map(Self)
    }
    fn has(&self, kind: ConversationKind) -> bool {
        self.0.contains(&kind)
    }
    fn closed(&self) -> bool {
        self.0.iter().any(|kind| *kind != ConversationKind::Public)
    }
}

/// What one page of a list is asked for.
struct Page {
    kinds: Kinds,
    exclude_archived: bool,
    after: Option<ConversationId>,
    limit: usize,
}

impl Page {
    fn read(call: &Call) -> Result<Self, Failure> {
        Ok(Self {
            kinds: Kinds::read(call)?,
            exclude_archived: args::flag(&call.args, "exclude_archived", false)?,
            after: page::after("team", args::text(&call.args, "cursor").as_deref())?,
            limit: args::limit(&call.args, LIST_DEFAULT, LIST_MAX)?,
        })
    }
    /// Rows to read for it: more than it holds when it is short, so that one row which is left out does not empty it.
    fn rows(&self) -> usize {
        self.limit.max(LIST_DEFAULT)
    }
    fn wants(&self, row: &ConversationRow) -> bool {
        self.kinds.has(row.kind()) && !(self.exclude_archived && row.archived)
    }
}

/// `conversations.list`: public channels of the workspace, and the caller's own closed conversations.
pub async fn list(call: &Call) -> Answer {
    let page = Page::read(call)?;
    let mut walk = Walk::new(page.limit);
    if page.kinds.has(ConversationKind::Public) {
        let (workspace, after) = (call.workspace(), page.after.clone());
        let mut listed = call.context.store.conversations(workspace, after, page.rows()).await?;
        // Direct conversations come after all channels: nothing public is among them or behind.
        listed.more &= listed.rows.last().is_some_and(|(id, _)| id.as_str() < "D");
        walk.take(&listed, |_, row| row.kind() == ConversationKind::Public && page.wants(row));
    }
    if page.kinds.closed() {
        let (workspace, after) = (call.workspace(), page.after.clone());
        let listed = call.context.store.joined(workspace, call.user(), after, page.rows()).await?;
        walk.take(&listed, |_, row| !row.left);
    }
    answer(call, &page, walk).await
}

/// `users.conversations`: what a user is in, as far as the caller can see it too.
pub async fn of_user(call: &Call) -> Answer {
    let page = Page::read(call)?;
    let user = match args::text(&call.args, "user") {
        None => call.user().clone(),
        Some(user) => UserId::parse(&user).map_err(|_| Failure::named("user_not_found"))?,
    };
    if user != *call.user() && call.context.store.user(call.workspace(), &user).await?.is_none() {
        return Err(Failure::named("user_not_found"));
    }
    let mut walk = Walk::new(page.limit);
    let listed = call.context.store.joined(call.workspace(), &user, page.after.clone(), page.rows()).await?;
    walk.take(&listed, |_, row| !row.left);
    answer(call, &page, walk).await
}

/// `conversations.info`.
pub async fn info(call: &Call) -> Answer {
    let seen = access::seen_with(call, "read").await?;
    let mut channel = shaped(call, &seen).await?;
    if seen.member {
        let marks = call.context.store.marks(call.workspace(), call.user()).await?;
        let mark = marks.iter().find(|(id, _)| *id == seen.id).map_or(0, |(_, mark)| mark.us);
        channel.insert("last_read".into(), proto::ts::format(mark).into());
    }
    if !args::flag(&call.args, "include_num_members", false)? {
        channel.remove("num_members");
    }
    Ok(shape::object(json!({ "channel": channel })))
}

/// `conversations.members`.
pub async fn members(call: &Call) -> Answer {
    let after = page::after("user", args::text(&call.args, "cursor").as_deref())?;
    let limit = args::limit(&call.args, LIST_DEFAULT, LIST_MAX)?;
    let seen = access::seen_with(call, "read").await?;
    let listed = call.context.store.members(&call.log(&seen.id), after, limit).await?;
    let members: Vec<&str> = listed.rows.iter().map(|(user, _)| user.as_str()).collect();
    let last = listed.more.then(|| members.last()).flatten().map(|user| page::token("user", user));
    Ok(shape::object(json!({ "members": members, "response_metadata": page::next(last) })))
}

/// The shape of a conversation that the caller sees.
pub async fn shaped(call: &Call, seen: &Seen) -> Result<Object, Failure> {
    let standing = access::standing(&call.context, &call.me.login, seen).await?;
    Ok(conversation::conversation(call.workspace(), &seen.id, &seen.row, &standing))
}

/// Ids of one page, gathered from lists that are sorted by id. A list that ends early bounds the page: beyond its
/// last id it may have more.
#[derive(Debug)]
struct Walk {
    limit: usize,
    ids: Vec<ConversationId>,
    horizon: Option<ConversationId>,
}

impl Walk {
    fn new(limit: usize) -> Self {
        Self { limit, ids: Vec::new(), horizon: None }
    }
    fn take<V>(&mut self, listed: &Listed<ConversationId, V>, keep: impl Fn(&ConversationId, &V) -> bool) {
        self.ids.extend(listed.rows.iter().filter(|(id, row)| keep(id, row)).map(|(id, _)| id.clone()));
        if let Some((last, _)) = listed.rows.last().filter(|_| listed.more)
            && self.horizon.as_ref().is_none_or(|horizon| last < horizon)
        {
            self.horizon = Some(last.clone());
        }
    }
    /// The page's ids, and the id after which the next page goes on.
    fn end(mut self) -> (Vec<ConversationId>, Option<ConversationId>) {
        self.ids.sort_unstable();
        self.ids.dedup();
        if let Some(horizon) = &self.horizon {
            self.ids.retain(|id| id <= horizon);
        }
        if self.ids.len() > self.limit {
            self.ids.truncate(self.limit);
            let last = self.ids.last().cloned();
            return (self.ids, last);
        }
        (self.ids, self.horizon)
    }
}

/// Pages may be short: what the caller does not see, or has not asked for, is left out after the walk.
async fn answer(call: &Call, page: &Page, walk: Walk) -> Answer {
    let (ids, next) = walk.end();
    let seen = try_join_all(ids.into_iter().map(|id| call.visible(id))).await?;
    let wanted: Vec<Seen> = seen.into_iter().flatten().filter(|seen| page.wants(&seen.row)).collect();
    let shapes = try_join_all(wanted.iter().map(|seen| shaped(call, seen))).await?;
    let channels: Vec<Value> = shapes.into_iter().map(Value::Object).collect();
    let next = page::next(next.map(|id| page::token("team", id)));
    Ok(shape::object(json!({ "channels": channels, "response_metadata": next })))
}

#[cfg(test)]
mod tests;
