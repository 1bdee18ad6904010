//! Slack's objects as JSON, made from rows. Names and types are Slack's; what is not known is left out, never null.

pub mod conversation;
pub mod message;

use crate::auth;
use proto::id::{UserId, WorkspaceId};
use proto::v1::{UserRow, WorkspaceRow};
use serde_json::{Map, Value, json};

/// A JSON object under construction.
pub type Object = Map<String, Value>;

/// Turns `json!({…})` into the object it is.
pub fn object(value: Value) -> Object {
    match value {
        Value::Object(map) => map,
        other => unreachable!("not an object: {other}"),
    }
}

/// A user. `email` says whether the caller may see the address.
pub fn user(workspace: &WorkspaceId, id: &UserId, row: &UserRow, email: bool) -> Object {
    let base = object(json!({
        "id": id.as_str(),
        "team_id": workspace.as_str(),
        "name": row.name,
        "deleted": row.deactivated,
        "profile": profile(workspace, row, email),
        "is_bot": row.bot,
        "is_app_user": false,
        "updated": row.updated_us / 1_000_000,
    }));
    if row.deactivated {
        return base;
    }
    let mut user = base;
    user.extend(object(json!({
        "color": "9f69e7",
        "real_name": real_name(row),
        "tz": "Etc/UTC",
        "tz_label": "Coordinated Universal Time",
        "tz_offset": 0,
        "is_admin": row.admin,
        "is_owner": row.admin,
        "is_primary_owner": false,
        "is_restricted": false,
        "is_ultra_restricted": false,
        "is_email_confirmed": !row.email.is_empty(),
        "who_can_share_contact_card": "EVERYONE",
    })));
    user
}

fn profile(workspace: &WorkspaceId, row: &UserRow, email: bool) -> Object {
    let display = row.display_name.as_str();
    let mut profile = object(json!({
        "real_name": real_name(row),
        "real_name_normalized": real_name(row),
        "display_name": display,
        "display_name_normalized": display,
        "title": "",
        "phone": "",
        "skype": "",
        "status_text": "",
        "status_emoji": "",
        "status_expiration": 0,
        "avatar_hash": "",
        "team": workspace.as_str(),
    }));
    if email && !row.email.is_empty() {
        profile.insert("email".into(), row.email.as_str().into());
    }
    if !row.bot_id.is_empty() {
        profile.insert("bot_id".into(), row.bot_id.as_str().into());
        profile.insert("api_app_id".into(), auth::app_id(row).into());
    }
    profile
}

fn real_name(row: &UserRow) -> &str {
    if row.real_name.is_empty() { &row.name } else { &row.real_name }
}

/// What bot posts carry about the bot that made them.
pub fn bot_profile(workspace: &WorkspaceId, user: &UserId, row: &UserRow) -> Value {
    json!({
        "id": row.bot_id,
        "app_id": auth::app_id(row),
        "user_id": user.as_str(),
        "name": real_name(row),
        "deleted": row.deactivated,
        "updated": row.updated_us / 1_000_000,
        "team_id": workspace.as_str(),
    })
}

/// A workspace.
pub fn team(id: &WorkspaceId, row: &WorkspaceRow, url: &str) -> Value {
    json!({
        "id": id.as_str(),
        "name": row.name,
        "domain": row.domain,
        "email_domain": "",
        "icon": { "image_default": true },
        "url": url,
    })
}
