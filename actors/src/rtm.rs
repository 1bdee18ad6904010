//! RTM: the WebSocket of Slack's older SDKs. Frames as JSON texts, both ways; pure but for [`own_events`], which
//! reads what an event only names.

mod conversation;
mod incoming;
mod own;

pub use incoming::{FRAME_BYTES_MAX, RtmError, RtmIn, RtmMessage, parse};
pub use own::own_events;

use crate::delivery::Delivery;
use crate::tickets::Login;
use proto::id::ChannelId;
use proto::v1::Content;
use serde_json::{Map, Value, json};

/// First frame of every connection: clients are not connected before it.
pub fn hello() -> String {
    json!({ "type": "hello" }).to_string()
}

/// Last frame before a planned end: clients connect anew.
pub fn goodbye() -> String {
    json!({ "type": "goodbye" }).to_string()
}

/// Answer to a ticket that is used, too old or unknown; the connection closes after it.
pub fn expired() -> String {
    json!({ "type": "error", "error": { "code": 1, "msg": "Socket URL has expired" } }).to_string()
}

/// A message is durable under this `ts`. Without an id the client cannot match it, but learns the `ts`.
pub fn ack(id: Option<i64>, ts: &str, text: &str) -> String {
    answer(id, json!({ "ok": true, "ts": ts, "text": text }))
}

/// A frame was not done.
pub fn refused(id: Option<i64>, code: i64, msg: &str) -> String {
    answer(id, json!({ "ok": false, "error": { "code": code, "msg": msg } }))
}

/// Answer to a ping: what came with it goes back.
pub fn pong(id: Option<i64>, extras: &Map<String, Value>) -> String {
    let mut frame = extras.clone();
    frame.insert("type".into(), "pong".into());
    answer(id, Value::Object(frame))
}

/// Somebody is typing.
pub fn typing(channel: &str, user: &str) -> String {
    json!({ "type": "user_typing", "channel": channel, "user": user }).to_string()
}

/// What a message of this login says of its author: a bot's ids, nothing for people.
pub fn author(login: &Login) -> Content {
    Content { bot_id: login.bot_id.clone(), app_id: login.app_id.clone(), ..Content::default() }
}

/// The frames that an event of a conversation is for everybody in it.
pub fn events(delivery: &Delivery) -> Vec<String> {
    let ChannelId::Conversation(channel) = &delivery.log.channel else { return Vec::new() };
    let events =
        conversation::events(&delivery.log.workspace, channel.as_str(), &delivery.event, &delivery.aside);
    events.into_iter().map(|event| Value::Object(event).to_string()).collect()
}

fn answer(id: Option<i64>, mut frame: Value) -> String {
    if let Some(id) = id {
        frame["reply_to"] = id.into();
    }
    frame.to_string()
}

#[cfg(test)]
mod tests;
