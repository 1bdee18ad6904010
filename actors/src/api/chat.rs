//! `chat.*`: posting, updating, deleting.

mod draft;

use super::failure::Failure;
use super::shape::{self, Object, message};
use super::{Answer, Call, access, account, args};
use crate::command::{Command, Done, Verb};
use draft::Draft;
use proto::id::ConversationId;
use proto::ts::{self, Micros};
use proto::v1::MessageRow;
use serde_json::{Value, json};

/// `chat.postMessage`. `client_msg_id` is the idempotency key: a retry answers with the first message.
pub async fn post_message(call: &Call) -> Answer {
    let content = Draft::read(call)?.content(call)?;
    let thread_us = args::time(&call.args, "thread_ts", "invalid_thread_ts")?.unwrap_or(0);
    let reply_broadcast = args::flag(&call.args, "reply_broadcast", false)?;
    let channel = access::destination(call, &args::required(&call.args, "channel")?).await?;
    let client_msg_id = args::text(&call.args, "client_msg_id").unwrap_or_default();
    let key = client_msg_id.clone();
    let verb = Verb::Post { content, thread_us, reply_broadcast, client_msg_id };
    let command = Command::by(call.user(), verb).keyed(key);
    let done = call.execute(call.log(&channel), command).await?;
    let message = stored(call, &channel, &done, done.us).await?;
    Ok(shape::object(json!({ "channel": channel.as_str(), "ts": ts::format(done.us), "message": message })))
}

/// `chat.update`: what is not given stays as it was.
pub async fn update(call: &Call) -> Answer {
    let draft = Draft::read(call)?;
    let (channel, us) = addressed(call, "ts")?;
    // What is there only fills the gaps of the draft; whether the caller may see or change it is the channel's say.
    let before = call.context.store.message(&call.log(&channel), us).await?;
    let content = draft.over(call, before.and_then(|row| row.content))?;
    let done = call.tell(&channel, Verb::Edit { target_us: us, content }).await?;
    let message = stored(call, &channel, &done, us).await?;
    let text = message.get("text").cloned().unwrap_or_default();
    let head = json!({ "channel": channel.as_str(), "ts": ts::format(us), "text": text, "message": message });
    Ok(shape::object(head))
}

/// `chat.delete`.
pub async fn delete(call: &Call) -> Answer {
    let (channel, us) = addressed(call, "ts")?;
    call.tell(&channel, Verb::Delete { target_us: us }).await?;
    Ok(shape::object(json!({ "channel": channel.as_str(), "ts": ts::format(us) })))
}

/// `chat.getPermalink`.
pub async fn get_permalink(call: &Call) -> Answer {
    let seen = access::seen(call).await?;
    let us = args::time(&call.args, "message_ts", "message_not_found")?.unwrap_or(0);
    let row = call.context.store.message(&call.log(&seen.id), us).await?;
    let row = row.ok_or_else(|| Failure::named("message_not_found"))?;
    let channel = seen.id.as_str();
    Ok(shape::object(json!({ "channel": channel, "permalink": permalink(call, &seen.id, &row) })))
}

/// The address of a message; a reply's names its thread.
pub fn permalink(call: &Call, channel: &ConversationId, row: &MessageRow) -> String {
    let place = ts::format(row.us).replace('.', "");
    let thread = match row.thread_us {
        0 => String::new(),
        parent => format!("?thread_ts={}&cid={channel}", ts::format(parent)),
    };
    format!("{}archives/{channel}/p{place}{thread}", account::base_url(&call.context))
}

/// The message that `channel` and a ts argument name.
fn addressed(call: &Call, name: &str) -> Result<(ConversationId, Micros), Failure> {
    let channel = access::id(&args::required(&call.args, "channel")?)?;
    let us = args::time(&call.args, name, "message_not_found")?.unwrap_or(0);
    Ok((channel, us))
}

/// The message as it is stored: the command's answer has it, a retry's may not.
async fn stored(call: &Call, channel: &ConversationId, done: &Done, us: Micros) -> Result<Object, Failure> {
    let row = match &done.message {
        Some(row) => row.as_ref().clone(),
        None => {
            let row = call.context.store.message(&call.log(channel), us).await?;
            row.ok_or_else(|| Failure::named("message_not_found"))?
        }
    };
    let mut shape = message::message(call.workspace(), channel.as_str(), &row);
    if row.content.is_some_and(|content| !content.bot_id.is_empty()) {
        let profile: Value = shape::bot_profile(call.workspace(), call.user(), &call.me.user);
        shape.insert("bot_profile".into(), profile);
    }
    Ok(shape)
}
