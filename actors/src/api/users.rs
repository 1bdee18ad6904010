//! `users.list|info`.

use super::failure::Failure;
use super::page;
use super::shape;
use super::{Answer, Call, args};
use crate::store::READ_ROWS_MAX;
use proto::id::UserId;
use serde_json::{Value, json};

/// `users.list`.
pub async fn list(call: &Call) -> Answer {
    let after = page::after("user", args::text(&call.args, "cursor").as_deref())?;
    let limit = args::limit(&call.args, READ_ROWS_MAX, READ_ROWS_MAX)?;
    let listed = call.context.store.users(call.workspace(), after, limit).await?;
    let email = call.has("users:read.email");
    let shape = |(id, row): &(UserId, proto::v1::UserRow)| {
        Value::Object(shape::user(call.workspace(), id, row, email))
    };
    let members: Vec<Value> = listed.rows.iter().map(shape).collect();
    let last = listed.rows.last().filter(|_| listed.more).map(|(id, _)| page::token("user", id));
    let now = call.context.host.now_us() / 1_000_000;
    Ok(shape::object(json!({
        "members": members,
        "cache_ts": now,
        "response_metadata": page::next(last),
    })))
}

/// `users.info`. A user of another workspace is not known to exist.
pub async fn info(call: &Call) -> Answer {
    let not_found = || Failure::named("user_not_found");
    let id = UserId::parse(&args::required(&call.args, "user")?).map_err(|_| not_found())?;
    let row = call.context.store.user(call.workspace(), &id).await?.ok_or_else(not_found)?;
    let mut user = shape::user(call.workspace(), &id, &row, call.has("users:read.email"));
    if args::flag(&call.args, "include_locale", false)? {
        user.insert("locale".into(), "en-US".into());
    }
    Ok(shape::object(json!({ "user": user })))
}
