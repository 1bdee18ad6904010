//! Who is calling, where, and how to stay connected: `auth.*`, `team.info`, `rtm.connect`.

use super::failure::Failure;
use super::{Answer, Call, args, shape};
use crate::auth;
use crate::command::{Command, Verb};
use crate::context::Context;
use proto::v1::{TokenKind, WorkspaceRow};
use serde_json::json;

/// `auth.test`. `bot_id` only for bot tokens: RTM clients drop every event whose `bot_id` equals their own.
pub async fn auth_test(call: &Call) -> Answer {
    let team = workspace(call).await?;
    let mut answer = shape::object(json!({
        "url": base_url(&call.context),
        "team": team.name,
        "user": call.me.user.name,
        "team_id": call.workspace().as_str(),
        "user_id": call.user().as_str(),
        "is_enterprise_install": false,
    }));
    if call.is_bot() && !call.me.user.bot_id.is_empty() {
        answer.insert("bot_id".into(), call.me.user.bot_id.as_str().into());
    }
    let app = auth::app_id(&call.me.user);
    if call.me.kind != TokenKind::User && !app.is_empty() {
        answer.insert("app_id".into(), app.into());
    }
    Ok(answer)
}

/// `auth.revoke`: ends the token that calls.
pub async fn auth_revoke(call: &Call) -> Answer {
    if args::flag(&call.args, "test", false)? {
        return Ok(shape::object(json!({ "revoked": false })));
    }
    let hash = call.me.login.token_hash.clone();
    let command = Command::by(call.user(), Verb::RevokeToken { hash });
    call.execute(Context::user(call.workspace(), call.user()), command).await?;
    Ok(shape::object(json!({ "revoked": true })))
}

/// `team.info`: the caller's own workspace; others are not known to exist.
pub async fn team_info(call: &Call) -> Answer {
    let asked = args::text(&call.args, "team");
    if asked.is_some_and(|team| team != call.workspace().as_str()) {
        return Err(Failure::named("team_not_found"));
    }
    let row = workspace(call).await?;
    let team = shape::team(call.workspace(), &row, &base_url(&call.context));
    Ok(shape::object(json!({ "team": team })))
}

/// `rtm.connect`: a single-use address at the user's home. The ticket is in the path: some clients replace the whole
/// query.
pub async fn rtm_connect(call: &Call) -> Answer {
    let row = workspace(call).await?;
    let ticket = call.context.tickets.issue(call.me.login.clone());
    let ticket = ticket.ok_or(proto::refusal::Refusal::Busy { retry_after_ms: 1000 })?;
    Ok(shape::object(json!({
        "url": call.context.placement.socket_url(call.workspace(), call.user(), &format!("rtm/{ticket}")),
        "self": { "id": call.user().as_str(), "name": call.me.user.name },
        "team": { "id": call.workspace().as_str(), "name": row.name, "domain": row.domain },
    })))
}

/// Where users reach this cluster, with its trailing slash: SDKs append `api/` to it.
pub fn base_url(context: &Context) -> String {
    format!("{}/", context.config.public_url.trim_end_matches('/'))
}

async fn workspace(call: &Call) -> Result<WorkspaceRow, Failure> {
    let all = call.context.store.workspaces().await?;
    let mine = all.into_iter().find(|(id, _)| id == call.workspace());
    mine.map(|(_, row)| row).ok_or_else(|| Failure::named("team_not_found"))
}
