//! Events of a user's own log and of the workspace's: what the user joined, left and read, who is new, what is
//! called otherwise. Nothing of a conversation that the user cannot see.

use crate::api::access::{self, Seen};
use crate::api::shape::conversation::conversation;
use crate::api::shape::{self, Object, object};
use crate::context::Context;
use crate::delivery::Delivery;
use crate::store::StoreError;
use crate::tickets::Login;
use proto::id::{ConversationId, UserId};
use proto::ts;
use proto::v1::event::Body;
use proto::v1::{self, ConversationKind, Event, UserRow};
use serde_json::{Value, json};

/// The frames of an event of `user:U` or `ws:T` for this login. What cannot be read now is left out: RTM clients
/// fetch what they miss.
pub async fn own_events(context: &Context, login: &Login, delivery: &Delivery) -> Vec<String> {
    match frame(context, login, &delivery.event).await {
        Ok(frame) => frame.into_iter().map(|frame| Value::Object(frame).to_string()).collect(),
        Err(error) => {
            tracing::warn!(%error, log = ?delivery.log, seq = delivery.event.seq, "own event left out");
            Vec::new()
        }
    }
}

async fn frame(context: &Context, login: &Login, event: &Event) -> Result<Option<Object>, StoreError> {
    match &event.body {
        Some(Body::ConversationJoined(joined)) => match ConversationId::parse(&joined.channel) {
            Ok(channel) => joined_frame(context, login, channel).await,
            Err(_) => Ok(None),
        },
        Some(Body::ConversationLeft(left)) => left_frame(context, login, event, &left.channel).await,
        Some(Body::Marked(marked)) => marked_frame(context, login, marked).await,
        Some(Body::ConversationAdded(added)) => Ok(created_frame(login, event, added)),
        Some(Body::ConversationRenamed(renamed)) => renamed_frame(context, login, event, renamed).await,
        Some(Body::UserAdded(added)) => Ok(team_join(login, event, added)),
        Some(Body::UserChanged(changed)) => user_change(context, login, changed).await,
        _ => Ok(None),
    }
}

async fn joined_frame(
    context: &Context,
    login: &Login,
    channel: ConversationId,
) -> Result<Option<Object>, StoreError> {
    let Some(seen) = access::visible(context, login, channel).await? else { return Ok(None) };
    let standing = access::standing(context, login, &seen).await?;
    let shape = conversation(&login.workspace, &seen.id, &seen.row, &standing);
    let kind = match seen.row.kind() {
        ConversationKind::Im => {
            let user = shape.get("user").cloned().unwrap_or_default();
            return Ok(Some(object(json!({ "type": "im_created", "user": user, "channel": shape }))));
        }
        kind => format!("{}_joined", word(kind)),
    };
    Ok(Some(object(json!({ "type": kind, "channel": shape }))))
}

async fn left_frame(
    context: &Context,
    login: &Login,
    event: &Event,
    channel: &str,
) -> Result<Option<Object>, StoreError> {
    let Ok(id) = ConversationId::parse(channel) else { return Ok(None) };
    let row = context.store.conversation(&login.workspace, &id).await?;
    let kind = format!("{}_left", word(row.unwrap_or_default().kind()));
    Ok(Some(object(json!({ "type": kind, "channel": channel, "event_ts": ts::format(event.us) }))))
}

async fn marked_frame(
    context: &Context,
    login: &Login,
    marked: &v1::Marked,
) -> Result<Option<Object>, StoreError> {
    let Ok(channel) = ConversationId::parse(&marked.channel) else { return Ok(None) };
    let Some(Seen { id, row, .. }) = access::visible(context, login, channel).await? else { return Ok(None) };
    let head = context.store.head(&Context::conversation(&login.workspace, &id)).await?;
    let unread = head.map_or(0, |(_, head)| head.countable.saturating_sub(marked.countable));
    Ok(Some(object(json!({
        "type": format!("{}_marked", word(row.kind())),
        "channel": id.as_str(),
        "ts": ts::format(marked.target_us),
        "unread_count": unread,
        "unread_count_display": unread,
    }))))
}

/// Only public conversations are announced to the workspace.
fn created_frame(login: &Login, event: &Event, added: &v1::ConversationAdded) -> Option<Object> {
    let public = added.kind() == ConversationKind::Public;
    public.then(|| {
        object(json!({
            "type": "channel_created",
            "channel": {
                "id": added.channel,
                "name": added.name,
                "name_normalized": added.name,
                "created": event.us / 1_000_000,
                "creator": added.creator,
                "is_channel": true,
                "is_shared": false,
                "is_org_shared": false,
                "context_team_id": login.workspace.as_str(),
            },
            "event_ts": ts::format(event.us),
        }))
    })
}

async fn renamed_frame(
    context: &Context,
    login: &Login,
    event: &Event,
    renamed: &v1::ConversationRenamed,
) -> Result<Option<Object>, StoreError> {
    let Ok(channel) = ConversationId::parse(&renamed.channel) else { return Ok(None) };
    let Some(Seen { id, row, .. }) = access::visible(context, login, channel).await? else { return Ok(None) };
    let group = row.kind() == ConversationKind::Private;
    Ok(Some(object(json!({
        "type": if group { "group_rename" } else { "channel_rename" },
        "channel": {
            "id": id.as_str(),
            "name": renamed.name,
            "name_normalized": renamed.name,
            "created": row.created_us / 1_000_000,
            "is_channel": true,
            "is_mpim": false,
        },
        "event_ts": ts::format(event.us),
    }))))
}

fn team_join(login: &Login, event: &Event, added: &v1::UserAdded) -> Option<Object> {
    let id = UserId::parse(&added.user).ok()?;
    let row = UserRow {
        name: added.name.clone(),
        real_name: added.real_name.clone(),
        email: added.email.clone(),
        bot: added.bot,
        bot_id: added.bot_id.clone(),
        app_id: added.app_id.clone(),
        admin: added.admin,
        updated_us: event.us,
        ..UserRow::default()
    };
    let user = shape::user(&login.workspace, &id, &row, sees_email(login));
    Some(object(json!({ "type": "team_join", "user": user, "event_ts": ts::format(event.us) })))
}

async fn user_change(
    context: &Context,
    login: &Login,
    changed: &v1::UserChanged,
) -> Result<Option<Object>, StoreError> {
    let Ok(id) = UserId::parse(&changed.user) else { return Ok(None) };
    let Some(row) = context.store.user(&login.workspace, &id).await? else { return Ok(None) };
    let user = shape::user(&login.workspace, &id, &row, sees_email(login));
    Ok(Some(object(json!({ "type": "user_change", "user": user }))))
}

fn sees_email(login: &Login) -> bool {
    login.scopes.has("users:read.email")
}

fn word(kind: ConversationKind) -> &'static str {
    match kind {
        ConversationKind::Im => "im",
        ConversationKind::Mpim => "mpim",
        ConversationKind::Private => "group",
        _ => "channel",
    }
}
