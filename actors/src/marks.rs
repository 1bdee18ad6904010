//! Read positions: a mark names a message; its place in the log and the running counts there are looked up.

use crate::command::{Command, Done, Verb};
use crate::context::Context;
use crate::store::StoreError;
use crate::tickets::Login;
use proto::id::ConversationId;
use proto::refusal::Refusal;
use proto::ts::Micros;

/// Moves a user's read position in a conversation to a message, forwards or back. Two bounded reads and one command
/// to the user's log. Refusals: `not_in_channel`, `message_not_found`.
pub async fn mark(
    context: &Context,
    login: &Login,
    channel: &ConversationId,
    key: String,
    us: Micros,
) -> Result<Done, Refusal> {
    let unavailable = |error: StoreError| Refusal::Unavailable(error.to_string());
    let log = Context::conversation(&login.workspace, channel);
    if context.store.member(&log, &login.user).await.map_err(unavailable)?.is_none() {
        return Err(Refusal::Named("not_in_channel"));
    }
    let row = context.store.message(&log, us).await.map_err(unavailable)?;
    let row = row.ok_or(Refusal::Named("message_not_found"))?;
    let page = context.store.log(&log, row.seq.saturating_sub(1), 1).await.map_err(unavailable)?;
    let event = page.events.first().filter(|event| event.seq == row.seq);
    let (countable, broadcast) = event.map_or((0, 0), |event| (event.countable, event.broadcast));
    let verb = Verb::Mark { channel: channel.clone(), target_us: us, seq: row.seq, countable, broadcast };
    let user = Context::user(&login.workspace, &login.user);
    context.execute(user, Command::by(&login.user, verb).keyed(key)).await
}
