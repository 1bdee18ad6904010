//! Messages: what people and bots wrote, and the lines that say what happened to the channel.

use super::{Object, object};
use crate::store::ReactionCount;
use proto::id::WorkspaceId;
use proto::ts::{self, Micros};
use proto::v1::{Content, MessageKind, MessageRow};
use serde_json::{Value, json};

/// Text that stands where a deleted parent's text was.
const TOMBSTONE_TEXT: &str = "This message was deleted.";

/// A message without its reactions. `channel` only decides between the words `channel_…` and `group_…`.
pub fn message(workspace: &WorkspaceId, channel: &str, row: &MessageRow) -> Object {
    let mut shape = object(json!({ "type": "message", "ts": ts::format(row.us) }));
    let content = row.content.as_ref();
    match row.kind() {
        MessageKind::Tombstone => shape.extend(object(json!({
            "subtype": "tombstone", "user": "USLACKBOT", "text": TOMBSTONE_TEXT, "hidden": true,
        }))),
        MessageKind::Plain | MessageKind::Unknown => {
            shape.insert("user".into(), row.sender.as_str().into());
            shape.insert("team".into(), workspace.as_str().into());
            shape.extend(said(content));
        }
        kind => shape.extend(notice(kind, channel, &row.sender, content.map_or("", |c| &c.text))),
    }
    if !row.client_msg_id.is_empty() {
        shape.insert("client_msg_id".into(), row.client_msg_id.as_str().into());
    }
    if row.edited_us != 0 {
        let edited = json!({ "user": row.edited_by, "ts": ts::format(row.edited_us) });
        shape.insert("edited".into(), edited);
    }
    shape.extend(thread(row));
    shape
}

/// What a content says: text, structured parts, and the bot that says it.
pub fn said(content: Option<&Content>) -> Object {
    let Some(content) = content else { return object(json!({ "text": "" })) };
    let mut shape = object(json!({ "text": content.text }));
    let parts =
        [("blocks", &content.blocks), ("attachments", &content.attachments), ("metadata", &content.metadata)];
    for (name, text) in parts {
        // Checked when it came in; a value that does not parse is left out rather than failing the page.
        if let Ok(value) = serde_json::from_str::<Value>(text) {
            shape.insert(name.into(), value);
        }
    }
    for (name, text) in [("bot_id", &content.bot_id), ("app_id", &content.app_id)] {
        if !text.is_empty() {
            shape.insert(name.into(), text.as_str().into());
        }
    }
    shape.extend(disguise(content));
    shape
}

/// A bot that speaks under another name or picture.
fn disguise(content: &Content) -> Object {
    let mut shape = Object::new();
    if !content.username.is_empty() {
        shape.insert("username".into(), content.username.as_str().into());
    }
    match (content.icon_emoji.as_str(), content.icon_url.as_str()) {
        ("", "") => {}
        ("", url) => drop(shape.insert("icons".into(), json!({ "image_48": url }))),
        (emoji, _) => drop(shape.insert("icons".into(), json!({ "emoji": emoji }))),
    }
    if !shape.is_empty() {
        shape.insert("subtype".into(), "bot_message".into());
    }
    shape
}

fn notice(kind: MessageKind, channel: &str, sender: &str, value: &str) -> Object {
    let group = if channel.starts_with('G') { "group" } else { "channel" };
    let (what, field, text) = match kind {
        MessageKind::Join => ("join", None, "has joined the channel".to_owned()),
        MessageKind::Leave => ("leave", None, "has left the channel".to_owned()),
        MessageKind::Rename => ("name", Some("name"), format!("has renamed the channel to \"{value}\"")),
        MessageKind::Topic => ("topic", Some("topic"), format!("set the channel topic: {value}")),
        MessageKind::Purpose => ("purpose", Some("purpose"), format!("set the channel purpose: {value}")),
        MessageKind::Archive => ("archive", None, "archived the channel".to_owned()),
        _ => ("unarchive", None, "un-archived the channel".to_owned()),
    };
    let who = if sender.is_empty() { "An administrator".to_owned() } else { format!("<@{sender}>") };
    let mut shape = object(json!({ "subtype": format!("{group}_{what}"), "text": format!("{who} {text}") }));
    if !sender.is_empty() {
        shape.insert("user".into(), sender.into());
    }
    if let Some(field) = field {
        shape.insert(field.into(), value.into());
    }
    shape
}

fn thread(row: &MessageRow) -> Object {
    let mut shape = Object::new();
    if row.thread_us != 0 {
        shape.insert("thread_ts".into(), ts::format(row.thread_us).into());
        if row.reply_broadcast {
            shape.insert("subtype".into(), "thread_broadcast".into());
        }
    } else if row.reply_count > 0 {
        let users: Vec<&str> = row.reply_users.iter().map(|user| user.user.as_str()).collect();
        shape.extend(object(json!({
            "thread_ts": ts::format(row.us),
            "reply_count": row.reply_count,
            "reply_users_count": users.len(),
            "reply_users": users,
            "latest_reply": ts::format(row.latest_reply_us),
            "is_locked": false,
            "subscribed": false,
        })));
    }
    shape
}

/// The reactions of one message, by name, each with its users in the order in which they reacted; `None` without any.
pub fn reactions(counts: &[ReactionCount], us: Micros) -> Option<Value> {
    let of_it = counts.iter().filter(|count| count.us == us);
    let shapes: Vec<Value> = of_it
        .map(|count| {
            let users: Vec<&str> = count.users.iter().map(proto::id::UserId::as_str).collect();
            json!({ "name": count.name, "users": users, "count": count.count })
        })
        .collect();
    (!shapes.is_empty()).then_some(Value::Array(shapes))
}

#[cfg(test)]
mod tests;
