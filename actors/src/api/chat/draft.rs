//! What a caller wants to say, checked: text, blocks, attachments, metadata, and a bot's disguise.

use crate::api::failure::Failure;
use crate::api::{Call, args};
use crate::auth;
use proto::v1::Content;
use serde_json::Value;

/// Most blocks of a message (Slack's limit).
const BLOCKS_MAX: usize = 50;
/// Most attachments of a message (Slack's limit).
const ATTACHMENTS_MAX: usize = 100;

/// A list of objects among the arguments, and Slack's words for what can be wrong with it.
struct Part {
    name: &'static str,
    max: usize,
    malformed: &'static str,
    too_many: &'static str,
    too_long: &'static str,
}

const BLOCKS: Part = Part {
    name: "blocks",
    max: BLOCKS_MAX,
    malformed: "invalid_blocks_format",
    too_many: "invalid_blocks",
    too_long: "msg_blocks_too_long",
};
const ATTACHMENTS: Part = Part {
    name: "attachments",
    max: ATTACHMENTS_MAX,
    malformed: "invalid_attachments",
    too_many: "too_many_attachments",
    too_long: "attachment_payload_limit_exceeded",
};

/// The parts that were given; `None` is "not said", an empty text "none".
#[derive(Debug, PartialEq)]
pub(super) struct Draft {
    text: Option<String>,
    blocks: Option<String>,
    attachments: Option<String>,
    metadata: Option<String>,
    username: String,
    icon_emoji: String,
    icon_url: String,
}

impl Draft {
    /// Reads and checks the arguments. `no_text` when there is nothing in them to say.
    pub(super) fn read(call: &Call) -> Result<Self, Failure> {
        let limits = &call.context.config;
        let text = args::text(&call.args, "text").or_else(|| args::text(&call.args, "markdown_text"));
        if text.as_ref().is_some_and(|text| text.chars().count() > limits.text_chars_max) {
            return Err(Failure::named("msg_too_long"));
        }
        let of = |name| args::text(&call.args, name).unwrap_or_default();
        let draft = Self {
            text,
            blocks: part(&call.args, &BLOCKS, limits.json_bytes_max)?,
            attachments: part(&call.args, &ATTACHMENTS, limits.json_bytes_max)?,
            metadata: metadata(&call.args, limits.json_bytes_max)?,
            username: of("username"),
            icon_emoji: of("icon_emoji"),
            icon_url: of("icon_url"),
        };
        if draft.text.is_none() && draft.blocks.is_none() && draft.attachments.is_none() {
            return Err(Failure::named("no_text"));
        }
        Ok(draft)
    }

    /// The content of a new message.
    pub(super) fn content(self, call: &Call) -> Result<Content, Failure> {
        let content = self.over(call, None)?;
        if content.text.is_empty() && content.blocks.is_empty() && content.attachments.is_empty() {
            return Err(Failure::named("no_text"));
        }
        Ok(content)
    }

    /// The content where what is not said stays as it was before.
    pub(super) fn over(self, call: &Call, before: Option<Content>) -> Result<Content, Failure> {
        let before = before.unwrap_or_default();
        let bot = &call.me.user;
        let mut content = Content {
            text: self.text.unwrap_or(before.text),
            blocks: self.blocks.unwrap_or(before.blocks),
            attachments: self.attachments.unwrap_or(before.attachments),
            metadata: self.metadata.unwrap_or(before.metadata),
            bot_id: bot.bot_id.clone(),
            app_id: auth::app_id(bot),
            username: before.username,
            icon_emoji: before.icon_emoji,
            icon_url: before.icon_url,
            redacted: false,
        };
        let disguised =
            ![&self.username, &self.icon_emoji, &self.icon_url].iter().all(|word| word.is_empty());
        if disguised && !bot.bot_id.is_empty() {
            call.need("chat:write.customize")?;
            (content.username, content.icon_emoji) = (self.username, self.icon_emoji);
            content.icon_url = self.icon_url;
        }
        Ok(content)
    }
}

/// A list of objects as its text; an empty list is an empty text.
fn part(args: &crate::api::Args, part: &Part, bytes_max: usize) -> Result<Option<String>, Failure> {
    let malformed = |_| Failure::named(part.malformed);
    let Some(value) = args::json(args, part.name).map_err(malformed)? else { return Ok(None) };
    let Value::Array(items) = &value else { return Err(Failure::named(part.malformed)) };
    if items.is_empty() {
        return Ok(Some(String::new()));
    }
    if items.len() > part.max {
        return Err(Failure::named(part.too_many));
    }
    let typed = |item: &Value| item["type"].is_string();
    if !items.iter().all(Value::is_object) || (part.name == "blocks" && !items.iter().all(typed)) {
        return Err(Failure::named(if part.name == "blocks" { "invalid_blocks" } else { part.malformed }));
    }
    bounded(&value, bytes_max, part.too_long).map(Some)
}

fn metadata(args: &crate::api::Args, bytes_max: usize) -> Result<Option<String>, Failure> {
    let malformed = |_| Failure::named("invalid_metadata_format");
    let Some(value) = args::json(args, "metadata").map_err(malformed)? else { return Ok(None) };
    if !value["event_type"].is_string() || !value["event_payload"].is_object() {
        return Err(Failure::named("invalid_metadata_schema"));
    }
    bounded(&value, bytes_max, "metadata_too_large").map(Some)
}

fn bounded(value: &Value, bytes_max: usize, too_long: &'static str) -> Result<String, Failure> {
    let text = value.to_string();
    if text.len() > bytes_max { Err(Failure::named(too_long)) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(spec: &Part, value: Value) -> Result<Option<String>, String> {
        let args = [(spec.name.to_owned(), value)].into_iter().collect();
        part(&args, spec, 200).map_err(|failure| failure.code.into_owned())
    }

    #[test]
    fn lists_are_kept_as_text_whether_sent_as_value_or_text() {
        let kept = Ok(Some(r#"[{"type":"divider"}]"#.to_owned()));
        assert_eq!(read(&BLOCKS, json!([{ "type": "divider" }])), kept);
        assert_eq!(read(&BLOCKS, json!(r#"[ {"type": "divider"} ]"#)), kept);
        assert_eq!(read(&BLOCKS, json!("")), Ok(None), "not said");
        assert_eq!(read(&BLOCKS, json!("[]")), Ok(Some(String::new())), "none");
    }

    #[test]
    fn malformed_lists_are_refused_by_name() {
        let many = |n| Value::Array(vec![json!({}); n]);
        let cases = [
            (&BLOCKS, json!("[{"), "invalid_blocks_format"),
            (&BLOCKS, json!({ "type": "divider" }), "invalid_blocks_format"),
            (&BLOCKS, json!([1]), "invalid_blocks"),
            (&BLOCKS, json!([{ "kind": "divider" }]), "invalid_blocks"),
            (&BLOCKS, many(51), "invalid_blocks"),
            (&BLOCKS, json!([{ "type": "x".repeat(200) }]), "msg_blocks_too_long"),
            (&ATTACHMENTS, json!("{}"), "invalid_attachments"),
            (&ATTACHMENTS, json!(["x"]), "invalid_attachments"),
            (&ATTACHMENTS, many(101), "too_many_attachments"),
            (&ATTACHMENTS, json!([{ "text": "x".repeat(200) }]), "attachment_payload_limit_exceeded"),
        ];
        for (spec, value, code) in cases {
            assert_eq!(read(spec, value.clone()), Err(code.to_owned()), "{value}");
        }
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(read(&BLOCKS, json!(deep)), Err("invalid_blocks_format".to_owned()));
    }

    #[test]
    fn metadata_has_a_type_and_a_payload() {
        let read = |value| {
            let args = [("metadata".to_owned(), value)].into_iter().collect();
            metadata(&args, 200).map_err(|failure| failure.code.into_owned())
        };
        let good = json!({ "event_type": "made", "event_payload": { "id": 1 } });
        assert_eq!(read(good.clone()).map(|kept| kept.is_some()), Ok(true));
        assert_eq!(read(json!({ "event_type": "made" })), Err("invalid_metadata_schema".to_owned()));
        assert_eq!(read(json!("{")), Err("invalid_metadata_format".to_owned()));
    }
}
