//! Channels, groups and direct conversations.

use super::{Object, object};
use proto::id::{ConversationId, UserId, WorkspaceId};
use proto::v1::{ConversationKind, ConversationRow};
use serde_json::{Value, json};

/// Name of the channel that everybody is in and nobody can leave.
pub const GENERAL: &str = "general";

/// How the caller stands to a conversation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standing {
    /// The caller is in it.
    pub member: bool,
    /// Of a direct conversation: the others who are in it.
    pub others: Vec<UserId>,
}

/// A conversation as Slack shows it: an `im` for two, a channel for the rest.
pub fn conversation(
    workspace: &WorkspaceId,
    id: &ConversationId,
    row: &ConversationRow,
    standing: &Standing,
) -> Object {
    let created = row.created_us / 1_000_000;
    let updated = row.created_us.max(row.topic_us).max(row.purpose_us) / 1000;
    let mut shape = object(json!({
        "id": id.as_str(),
        "created": created,
        "updated": updated,
        "is_archived": row.archived,
        "is_im": row.kind() == ConversationKind::Im,
        "is_org_shared": false,
        "context_team_id": workspace.as_str(),
        "priority": 0,
    }));
    match row.kind() {
        ConversationKind::Im => shape.extend(im(standing)),
        kind => shape.extend(channel(id, row, kind, standing)),
    }
    shape
}

fn im(standing: &Standing) -> Object {
    let user = standing.others.first().map(UserId::as_str).unwrap_or_default();
    object(json!({ "user": user, "is_user_deleted": false }))
}

fn channel(
    id: &ConversationId,
    row: &ConversationRow,
    kind: ConversationKind,
    standing: &Standing,
) -> Object {
    let mpim = kind == ConversationKind::Mpim;
    let group = id.as_str().starts_with('G');
    let name = if mpim { mpim_name(id) } else { row.name.clone() };
    object(json!({
        "name": name,
        "name_normalized": name,
        "creator": row.creator,
        "is_channel": !group,
        "is_group": group,
        "is_mpim": mpim,
        "is_general": kind == ConversationKind::Public && row.name == GENERAL,
        "is_private": kind != ConversationKind::Public,
        "is_member": standing.member,
        "is_shared": false,
        "is_ext_shared": false,
        "is_pending_ext_shared": false,
        "pending_shared": [],
        "shared_team_ids": [],
        "pending_connected_team_ids": [],
        "unlinked": 0,
        "num_members": row.members,
        "previous_names": row.previous_names,
        "topic": stated(&row.topic, &row.topic_by, row.topic_us),
        "purpose": stated(&row.purpose, &row.purpose_by, row.purpose_us),
    }))
}

/// A group of several has no name of its own; clients want one that is unique.
fn mpim_name(id: &ConversationId) -> String {
    format!("mpdm-{}", id.as_str().to_ascii_lowercase())
}

fn stated(value: &str, by: &str, us: u64) -> Value {
    json!({ "value": value, "creator": by, "last_set": us / 1_000_000 })
}
