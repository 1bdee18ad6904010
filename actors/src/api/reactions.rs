//! `reactions.add|remove|get`.

use super::failure::Failure;
use super::shape::{self, Object};
use super::{Answer, Call, access, args, chat, history};
use crate::command::Verb;
use proto::id::ConversationId;
use proto::ts::Micros;
use serde_json::json;

/// `reactions.add`.
pub async fn add(call: &Call) -> Answer {
    let name = emoji(call)?;
    let (channel, target_us) = item(call)?;
    call.tell(&channel, Verb::React { target_us, name }).await?;
    Ok(Object::new())
}

/// `reactions.remove`.
pub async fn remove(call: &Call) -> Answer {
    let name = emoji(call)?;
    let (channel, target_us) = item(call)?;
    call.tell(&channel, Verb::Unreact { target_us, name }).await?;
    Ok(Object::new())
}

/// `reactions.get`: the message with its reactions.
pub async fn get(call: &Call) -> Answer {
    let (_, us) = item(call)?;
    let seen = access::seen(call).await?;
    let (row, mut message) = history::one(call, &seen, us).await?;
    message["permalink"] = chat::permalink(call, &seen.id, &row).into();
    Ok(shape::object(json!({ "type": "message", "channel": seen.id.as_str(), "message": message })))
}

/// The emoji's name; people write it with its colons.
fn emoji(call: &Call) -> Result<String, Failure> {
    let name = args::required(&call.args, "name")?;
    Ok(name.trim_matches(':').to_owned())
}

/// The message that `channel` and `timestamp` name.
fn item(call: &Call) -> Result<(ConversationId, Micros), Failure> {
    let nothing = || Failure::named("no_item_specified");
    let us = args::time(&call.args, "timestamp", "bad_timestamp")?.ok_or_else(nothing)?;
    let channel = args::text(&call.args, "channel").ok_or_else(nothing)?;
    Ok((access::id(&channel)?, us))
}
