//! Getting in and out: `conversations.create|open|join|invite|leave|mark`.

use super::access::{self, Seen};
use super::conversations::shaped;
use super::failure::Failure;
use super::shape;
use super::{Answer, Call, args};
use crate::command::Verb;
use crate::marks;
use crate::opening::{self, Plan};
use crate::store::MessageRange;
use proto::id::{ConversationId, UserId};
use proto::v1::ConversationKind;
use serde_json::json;

/// Most users of one invitation (Slack's limit).
const INVITED_MAX: usize = 1000;
const WRONG_KIND: &str = "method_not_supported_for_channel_type";

/// `conversations.create`.
pub async fn create(call: &Call) -> Answer {
    let name = args::text(&call.args, "name").ok_or_else(|| Failure::named("invalid_name_required"))?;
    let private = args::flag(&call.args, "is_private", false)?;
    let kind = if private { ConversationKind::Private } else { ConversationKind::Public };
    let channel = access::id(&call.context.mint('C'))?;
    let plan = Plan { channel, name, kind, members: vec![call.user().clone()] };
    let opened = opening::open(&call.context, call.workspace(), Some(call.user()), plan).await?;
    call.did();
    channel_answer(call, opened.channel).await
}

/// `conversations.open`: by `users`, or by `channel` for one that is known.
pub async fn open(call: &Call) -> Answer {
    let return_im = args::flag(&call.args, "return_im", false)?;
    if args::text(&call.args, "channel").is_some() {
        let seen = access::seen(call).await?;
        if !matches!(seen.row.kind(), ConversationKind::Im | ConversationKind::Mpim) {
            return Err(Failure::named(WRONG_KIND));
        }
        return opened_answer(call, seen, true, return_im).await;
    }
    let users = users(call)?;
    if users.is_empty() {
        return Err(Failure::named("users_list_not_supplied"));
    }
    let opened = opening::direct(&call.context, call.workspace(), call.user(), &users).await?;
    call.did();
    let seen = call.visible(opened.channel).await?.ok_or_else(Failure::channel_not_found)?;
    opened_answer(call, seen, opened.already, return_im).await
}

async fn opened_answer(call: &Call, seen: Seen, already: bool, whole: bool) -> Answer {
    let channel = match whole {
        true => shaped(call, &seen).await?,
        false => shape::object(json!({ "id": seen.id.as_str() })),
    };
    let mut answer = shape::object(json!({ "channel": channel }));
    if already {
        answer.extend(shape::object(json!({ "no_op": true, "already_open": true })));
    }
    Ok(answer)
}

/// `conversations.join`: public channels only. A member joins again with a warning.
pub async fn join(call: &Call) -> Answer {
    let channel = access::id(&args::required(&call.args, "channel")?)?;
    let done = call.tell(&channel, Verb::Join).await?;
    opening::note(&call.context, call.workspace(), call.user(), &channel, ConversationKind::Unknown).await?;
    let mut answer = channel_answer(call, channel).await?;
    if done.seq == 0 {
        let warning = "already_in_channel";
        answer.insert("warning".into(), warning.into());
        answer.insert("response_metadata".into(), json!({ "warnings": [warning] }));
    }
    Ok(answer)
}

/// `conversations.invite`: all or, at the first refusal, those before it.
pub async fn invite(call: &Call) -> Answer {
    let users = users(call)?;
    if users.is_empty() {
        return Err(Failure::named("no_user"));
    }
    if users.len() > INVITED_MAX {
        return Err(Failure::named("too_many_users"));
    }
    if users.contains(call.user()) {
        return Err(Failure::named("cant_invite_self"));
    }
    let channel = access::id(&args::required(&call.args, "channel")?)?;
    for user in &users {
        if call.context.store.user(call.workspace(), user).await?.is_none() {
            return Err(Failure::named("user_not_found"));
        }
    }
    let mut new = false;
    for user in users {
        new |= call.tell(&channel, Verb::Invite { user }).await?.seq != 0;
    }
    if !new {
        return Err(Failure::named("already_in_channel"));
    }
    channel_answer(call, channel).await
}

/// `conversations.leave`: not being in it is no error.
pub async fn leave(call: &Call) -> Answer {
    let seen = access::seen(call).await?;
    if seen.row.kind() == ConversationKind::Public && seen.row.name == shape::conversation::GENERAL {
        return Err(Failure::named("cant_leave_general"));
    }
    let done = call.tell(&seen.id, Verb::Leave).await?;
    let answer = if done.seq == 0 { json!({ "not_in_channel": true }) } else { json!({}) };
    Ok(shape::object(answer))
}

/// `conversations.mark`: moves the read position to the last message at or before `ts`.
pub async fn mark(call: &Call) -> Answer {
    let us = args::time(&call.args, "ts", "invalid_timestamp")?.unwrap_or(0).min(call.context.host.now_us());
    let seen = access::seen(call).await?;
    if !seen.member {
        return Err(Failure::named("not_in_channel"));
    }
    let range = MessageRange { from_us: 0, to_us: us, newest_first: true, limit: 1 };
    let rows = call.context.store.messages(&call.log(&seen.id), range).await?;
    if let Some(row) = rows.first() {
        marks::mark(&call.context, &call.me.login, &seen.id, String::new(), row.us).await?;
    }
    Ok(shape::Object::new())
}

async fn channel_answer(call: &Call, channel: ConversationId) -> Answer {
    let seen = call.visible(channel).await?.ok_or_else(Failure::channel_not_found)?;
    Ok(shape::object(json!({ "channel": shaped(call, &seen).await? })))
}

fn users(call: &Call) -> Result<Vec<UserId>, Failure> {
    let names = args::list(&call.args, "users")?;
    let parse = |name: &String| UserId::parse(name).map_err(|_| Failure::named("user_not_found"));
    names.iter().map(parse).collect()
}
