//! Slack's own replies and events as names and JSON types (`golden/slack-shapes.json`): what we answer may leave
//! fields out, but has no other names and no other types.

use serde_json::Value;
use std::collections::BTreeMap;

type Shape = BTreeMap<String, String>;

/// Values whose inside is not ours to check.
const OPAQUE: [&str; 8] =
    ["args", "attachments", "blocks", "files", "icon", "icons", "metadata", "previous_message"];

/// Fields that Slack's documentation names and no sample happens to show.
const DOCUMENTED: [(&str, &str, &str); 6] = [
    ("api/auth.revoke", "revoked", "bool"),
    ("api/conversations.leave", "not_in_channel", "bool"),
    ("rtm/ChannelMarkedEvent", "unread_count", "number"),
    ("rtm/ChannelMarkedEvent", "unread_count_display", "number"),
    ("rtm/ImMarkedEvent", "unread_count", "number"),
    ("rtm/ImMarkedEvent", "unread_count_display", "number"),
];

/// Where messages stand in replies and events.
const MESSAGE: &[&str] = &["message", "messages[]", "root", "messages[].root"];

/// An object that several replies carry: every sample shows some of its fields.
struct Class {
    /// Where it stands in a reply: `channel`, `channels[]` …
    places: &'static [&'static str],
    /// All fields that any sample shows.
    fields: Shape,
}

pub(super) struct Oracle {
    shapes: BTreeMap<String, Shape>,
    classes: Vec<Class>,
}

impl Oracle {
    pub(super) fn load() -> Self {
        let golden: Value = serde_json::from_str(include_str!("../../golden/slack-shapes.json")).unwrap();
        let mut shapes: BTreeMap<String, Shape> = serde_json::from_value(golden["shapes"].clone()).unwrap();
        for (name, field, kind) in DOCUMENTED {
            shapes.get_mut(name).unwrap().insert(field.to_owned(), kind.to_owned());
        }
        // A message event is a message itself.
        let events = |name: &str| name == "rtm/MessageEvent" || name.starts_with("events/Message");
        let message = fields(&shapes, MESSAGE);
        for (_, shape) in shapes.iter_mut().filter(|(name, _)| events(name)) {
            shape.extend(message.iter().map(|(name, kind)| (name.clone(), kind.clone())));
        }
        let classes = [&["channel", "channels[]"][..], MESSAGE, &["user", "members[]"][..]];
        let classes = classes.map(|places| Class { places, fields: fields(&shapes, places) }).into();
        Self { shapes, classes }
    }

    /// What is wrong with a reply of a method, a line each.
    pub(super) fn reply(&self, method: &str, reply: &Value) -> Vec<String> {
        self.check(&format!("api/{method}"), reply)
    }

    /// What is wrong with an RTM frame, a line each. Answers to the client's own frames have no sample.
    pub(super) fn frame(&self, frame: &Value) -> Vec<String> {
        let Some(kind) = frame["type"].as_str().filter(|kind| *kind != "pong") else { return Vec::new() };
        let name = match frame["subtype"].as_str() {
            Some("message_changed") => "events/MessageChangedPayload".to_owned(),
            Some("message_deleted") => "events/MessageDeletedPayload".to_owned(),
            Some("message_replied") => "events/MessageRepliedPayload".to_owned(),
            Some("bot_message") => "events/MessageBotPayload".to_owned(),
            Some("thread_broadcast") => "events/MessageThreadBroadcastPayload".to_owned(),
            Some(other) => format!("events/Message{}Payload", camel(&other.replace("group_", "channel_"))),
            None => format!("rtm/{}Event", camel(kind)),
        };
        self.check(&name, frame)
    }

    fn check(&self, name: &str, value: &Value) -> Vec<String> {
        let Some(shape) = self.shapes.get(name) else { return vec![format!("there is no sample of {name}")] };
        let mut wrong = Vec::new();
        self.walk(shape, "", value, &mut wrong);
        wrong.iter().map(|line| format!("{name}: {line}")).collect()
    }

    fn walk(&self, shape: &Shape, path: &str, value: &Value, wrong: &mut Vec<String>) {
        let place = if path.is_empty() { "." } else { path };
        match (self.known(shape, place), kind(value)) {
            (None, found) => return wrong.push(format!("{place} ({found}) is none of Slack's fields")),
            (Some(known), found) if known != found => {
                return wrong.push(format!("{place} is {found}, Slack's is {known}"));
            }
            _ => {}
        }
        if OPAQUE.contains(&place) || OPAQUE.iter().any(|name| place.ends_with(&format!(".{name}"))) {
            return;
        }
        let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match value {
            Value::Object(map) => {
                map.iter().for_each(|(name, value)| self.walk(shape, &join(name), value, wrong))
            }
            Value::Array(items) => {
                items.iter().for_each(|item| self.walk(shape, &format!("{path}[]"), item, wrong));
            }
            _ => {}
        }
    }

    fn known<'a>(&'a self, shape: &'a Shape, place: &str) -> Option<&'a str> {
        let known = shape.get(place).or_else(|| self.classes.iter().find_map(|class| class.known(place)));
        known.map(String::as_str)
    }
}

impl Class {
    fn known(&self, place: &str) -> Option<&String> {
        let prefix = self.places.iter().find(|prefix| place.starts_with(&format!("{prefix}.")))?;
        self.fields.get(&place[prefix.len() + 1..])
    }
}

fn fields(shapes: &BTreeMap<String, Shape>, places: &[&str]) -> Shape {
    let all = shapes.values().flatten();
    let inside = |path: &str| {
        let prefix = places.iter().find(|prefix| path.starts_with(&format!("{prefix}.")))?;
        Some(path[prefix.len() + 1..].to_owned())
    };
    all.filter_map(|(path, kind)| Some((inside(path)?, kind.clone()))).collect()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn camel(snake: &str) -> String {
    let upper = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    snake.split('_').map(upper).collect()
}

#[test]
fn the_oracle_sees_wrong_names_and_wrong_types() {
    let oracle = Oracle::load();
    let good = serde_json::json!({ "ok": true, "channel": "C1", "ts": "1.000001" });
    assert_eq!(oracle.reply("chat.delete", &good), Vec::<String>::new());
    let wrong = serde_json::json!({ "ok": 1, "channel": null, "when": "now" });
    let lines = oracle.reply("chat.delete", &wrong);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(oracle.reply("chat.nothing", &good).len(), 1);
}
