//! Read positions: a mark names a message; its place in the log and the running counts there are looked up.

use crate::command::{Command, Done, Verb};
use crate::context::Context;
use crate::conversation::mentions_everyone;
use crate::store::{LogId, MessageRange, READ_ROWS_MAX, Store, StoreError};
use crate::tickets::Login;
use proto::id::ConversationId;
use proto::refusal::Refusal;
use proto::ts::Micros;
use proto::v1::{MessageKind, MessageRow};

/// Messages that are counted where the log does not say how many there are: those before them are not unread.
const COUNTED_MAX: u64 = 10_000;

/// Moves a user's read position in a conversation to a message, forwards or back. Three bounded reads and one command
/// to the user's log. Refusals: `not_in_channel`, `message_not_found`.
///
/// Of a message whose row retention has dropped from the log, the counts are those of the oldest row that the log
/// still has, less what the channel shows between the two: at most [`COUNTED_MAX`] messages, a read a thousand. What
/// was deleted there is not unread any more, and mentions of everyone are those that the texts have now.
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
    let (countable, broadcast) = counts_at(&*context.store, &log, &row).await.map_err(unavailable)?;
    let verb = Verb::Mark { channel: channel.clone(), target_us: us, seq: row.seq, countable, broadcast };
    let user = Context::user(&login.workspace, &login.user);
    context.execute(user, Command::by(&login.user, verb).keyed(key)).await
}

/// The running counts at a message: of all that is countable, and of mentions of everyone.
async fn counts_at(store: &dyn Store, log: &LogId, row: &MessageRow) -> Result<(u64, u64), StoreError> {
    let page = store.log(log, row.seq.saturating_sub(1), 1).await?;
    let (oldest_us, mut countable, mut broadcast) = match page.events.first() {
        Some(event) if event.seq == row.seq => return Ok((event.countable, event.broadcast)),
        Some(event) => (event.us, event.countable, event.broadcast),
        None => {
            let head = store.head(log).await?.map(|(_, head)| head).unwrap_or_default();
            (head.last_us, head.countable, head.broadcast)
        }
    };
    let mut range = MessageRange {
        from_us: row.us.saturating_add(1),
        to_us: oldest_us,
        newest_first: true,
        limit: READ_ROWS_MAX,
    };
    let mut left = COUNTED_MAX;
    while left > 0 {
        let shown = store.messages(log, range).await?;
        let Some(last) = shown.last() else { break };
        range.to_us = last.us.saturating_sub(1);
        left = left.saturating_sub(shown.len() as u64);
        for message in shown.iter().filter(|message| is_countable(message)) {
            let text = message.content.as_ref().map_or("", |content| content.text.as_str());
            countable = countable.saturating_sub(1);
            broadcast = broadcast.saturating_sub(u64::from(mentions_everyone(text)));
        }
    }
    Ok((countable, broadcast))
}

/// Whether a message that is shown in its channel was posted: notices count for nobody.
fn is_countable(message: &MessageRow) -> bool {
    matches!(message.kind(), MessageKind::Plain | MessageKind::Tombstone)
}
