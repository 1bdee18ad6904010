//! What scripts look up, and the mistakes that they make: each call with what it must be answered.

use crate::{
    clients::{Person, knows::Knows},
    promises::{heard::Due, tenants},
};
use proto::ts;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Every kind of conversation.
const KINDS: &str = "public_channel,private_channel,im,mpim";
/// Names that no channel may have, and what is said of them.
const BAD_NAMES: [(&str, &str); 4] = [
    ("", "invalid_name_required"),
    ("With Spaces", "invalid_name_specials"),
    ("---", "invalid_name_punctuation"),
    (
        "a-name-that-goes-on-and-on-and-on-until-it-is-longer-than-eighty-characters-are-so-longer",
        "invalid_name_maxlength",
    ),
];

/// How arguments travel.
#[derive(Debug, Clone, PartialEq)]
pub enum Carried {
    /// As a JSON body.
    Json,
    /// As a form.
    Form,
    /// As the query of a GET.
    Query,
    /// As the parts of a multipart body.
    Parts,
    /// As these bytes of this type.
    Raw(&'static str, &'static str),
}

/// A call, and what it must be answered.
#[derive(Debug, Clone)]
pub struct Look {
    /// Slack's name of the method.
    pub method: &'static str,
    /// Its arguments.
    pub body: Value,
    /// How they travel.
    pub carried: Carried,
    /// What must come of it.
    pub due: Due,
}

/// What a script knows when it looks something up.
pub struct Known<'a> {
    /// Who looks.
    pub person: &'a Person,
    /// Own messages.
    pub knows: &'a Knows,
    /// Where the last page of a list ended, by method.
    pub cursors: &'a BTreeMap<&'static str, String>,
    /// A channel.
    pub channel: String,
    /// Somebody.
    pub user: String,
    /// How many messages back.
    pub back: usize,
}

type Make = fn(&Known) -> Option<Look>;

const GONE: &[&str] = &["message_not_found", "thread_not_found"];
const NONE: &[&str] = &[];

/// A call that is answered.
fn good(method: &'static str, body: Value, errors: &'static [&'static str]) -> Option<Look> {
    Some(Look { method, body, carried: Carried::Json, due: Due::Answer(errors) })
}

/// A call that is a mistake.
fn bad(method: &'static str, body: Value, error: &'static str) -> Option<Look> {
    Some(Look { method, body, carried: Carried::Json, due: Due::Error(error) })
}

impl Known<'_> {
    fn at(&self) -> Option<String> {
        Some(ts::format(self.knows.own(&self.channel, self.back)?))
    }
    /// The next page of a list, or its first.
    fn paged(&self, method: &'static str, mut body: Value, errors: &'static [&'static str]) -> Option<Look> {
        if let Some(cursor) = self.cursors.get(method) {
            body["cursor"] = cursor.as_str().into();
        }
        good(method, body, errors)
    }
    fn name(&self) -> String {
        format!("{}-{:x}", tenants::tag(self.person.tenant), self.person.host.entropy().below(1 << 40))
    }
}

/// Everything that is looked up. New ones go to the end of their list.
const LOOKUPS: &[Make] = &[
    |known| known.paged("users.list", json!({ "limit": 2 }), NONE),
    |known| good("users.info", json!({ "user": known.user, "include_locale": true }), NONE),
    |_| good("team.info", json!({}), NONE),
    |_| good("auth.test", json!({}), NONE),
    |_| good("auth.revoke", json!({ "test": true }), NONE),
    |known| {
        let body = json!({ "types": KINDS, "limit": 3, "exclude_archived": true });
        known.paged("conversations.list", body, NONE)
    },
    |_| good("conversations.list", json!({}), NONE),
    |known| {
        let body = json!({ "channel": known.channel, "include_num_members": true });
        good("conversations.info", body, NONE)
    },
    |known| known.paged("conversations.members", json!({ "channel": known.channel, "limit": 2 }), NONE),
    |known| {
        let body = json!({ "user": known.user, "types": KINDS, "limit": 2 });
        known.paged("users.conversations", body, NONE)
    },
    |known| {
        let body = json!({ "channel": known.channel, "ts": known.at()?, "limit": 3 });
        good("conversations.replies", body, GONE)
    },
    |known| good("reactions.get", json!({ "channel": known.channel, "timestamp": known.at()? }), GONE),
    |known| {
        let body = json!({ "channel": known.channel, "timestamp": known.at()?, "name": ":eyes:" });
        good("reactions.remove", body, &["message_not_found", "no_reaction"])
    },
    |known| good("chat.getPermalink", json!({ "channel": known.channel, "message_ts": known.at()? }), GONE),
    |known| {
        let private = known.back.is_multiple_of(2);
        good("conversations.create", json!({ "name": known.name(), "is_private": private }), &["name_taken"])
    },
    |known| {
        let others = known.person.users.iter().filter(|user| **user != known.person.user).take(2);
        let users = others.cloned().collect::<Vec<_>>().join(",");
        good("conversations.open", json!({ "users": users, "return_im": true }), NONE)
    },
    |_| good("api.test", json!({ "foo": "bar" }), NONE),
    |_| good("rtm.connect", json!({}), NONE),
    |known| {
        let body = json!({
            "channel": known.channel, "oldest": known.at()?, "inclusive": true, "limit": 2,
            "include_all_metadata": true,
        });
        known.paged("conversations.history", body, NONE)
    },
    |known| {
        good(
            "conversations.history",
            json!({ "channel": known.channel, "latest": known.at()?, "limit": 2 }),
            NONE,
        )
    },
];

/// Every mistake.
const MISTAKES: &[Make] = &[
    |_| bad("conversations.everything", json!({}), "unknown_method"),
    |_| bad("users.info", json!({}), "invalid_arguments"),
    |_| bad("users.list", json!({ "cursor": "nonsense" }), "invalid_cursor"),
    |_| bad("users.list", json!({ "limit": "many" }), "invalid_limit"),
    |_| bad("conversations.list", json!({ "types": "wrong" }), "invalid_types"),
    |_| bad("users.conversations", json!({ "user": "UNOBODY" }), "user_not_found"),
    |known| {
        let body = json!({ "channel": known.channel, "include_num_members": "perhaps" });
        bad("conversations.info", body, "invalid_arguments")
    },
    |known| bad("chat.postMessage", json!({ "channel": known.channel }), "no_text"),
    |known| bad("chat.postMessage", json!({ "channel": known.channel, "text": "" }), "no_text"),
    |known| {
        bad(
            "chat.postMessage",
            json!({ "channel": known.channel, "text": "x".repeat(50_000) }),
            "msg_too_long",
        )
    },
    |known| {
        let body = json!({ "channel": known.channel, "text": "x", "blocks": [{ "no": "type" }] });
        bad("chat.postMessage", body, "invalid_blocks")
    },
    |known| {
        let body = json!({ "channel": known.channel, "text": "x", "attachments": "[1]" });
        bad("chat.postMessage", body, "invalid_attachments")
    },
    |known| {
        let body = json!({ "channel": known.channel, "text": "x", "metadata": { "event_type": 1 } });
        bad("chat.postMessage", body, "invalid_metadata_schema")
    },
    |_| bad("chat.postMessage", json!({ "channel": "#nowhere", "text": "x" }), "channel_not_found"),
    |known| bad("conversations.invite", json!({ "channel": known.channel, "users": "" }), "no_user"),
    |known| {
        let body = json!({ "channel": known.channel, "users": [known.person.user] });
        bad("conversations.invite", body, "cant_invite_self")
    },
    |_| bad("conversations.history", json!({ "channel": "CNOWHERE00" }), "channel_not_found"),
    |known| {
        let body = json!({ "channel": known.channel, "oldest": "yesterday" });
        bad("conversations.history", body, "invalid_ts_oldest")
    },
    |_| bad("api.test", json!({ "error": "as_asked" }), "as_asked"),
    |known| {
        let (name, error) = BAD_NAMES[known.back % BAD_NAMES.len()];
        bad("conversations.create", json!({ "name": name }), error)
    },
    |_| bad("team.info", json!({ "team": "TELSEWHERE" }), "team_not_found"),
    |known| bad("reactions.get", json!({ "channel": known.channel }), "no_item_specified"),
    |_| bad("conversations.open", json!({}), "users_list_not_supplied"),
    |_| raw("application/json", "[1]", "json_not_object"),
    |_| raw("application/json", "{", "invalid_json"),
    |_| raw("text/plain", "hello", "invalid_post_type"),
    |_| raw("application/json; charset=latin-1", "{}", "invalid_charset"),
    |_| raw("application/x-www-form-urlencoded", "a=%ff", "invalid_form_data"),
];

fn raw(kind: &'static str, body: &'static str, error: &'static str) -> Option<Look> {
    Some(Look {
        method: "api.test",
        body: Value::Null,
        carried: Carried::Raw(kind, body),
        due: Due::Error(error),
    })
}

/// How many there are.
pub const LOOKS: usize = LOOKUPS.len() + MISTAKES.len();

/// One of them; arguments of lookups travel in every way.
pub fn look(known: &Known, what: usize) -> Option<Look> {
    let Some(lookup) = LOOKUPS.get(what) else { return MISTAKES.get(what - LOOKUPS.len())?(known) };
    let carried = [Carried::Json, Carried::Form, Carried::Query, Carried::Parts];
    Some(Look { carried: carried[known.back % carried.len()].clone(), ..lookup(known)? })
}

/// Arguments as the names and texts of a form.
pub fn fields(body: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    body.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
}
