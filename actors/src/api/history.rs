//! `conversations.history` and `conversations.replies`: pages of messages.
//!
//! A page of history is two reads of the store (messages, reactions), however many edits and reactions there were;
//! who may read it is checked apart.

use super::access::{self, Seen};
use super::failure::Failure;
use super::page::{self, Way};
use super::shape::{self, message};
use super::{Answer, Call, args};
use crate::store::{LogId, MessageRange};
use proto::ts::{self, Micros};
use proto::v1::{ConversationKind, MessageRow};
use serde_json::{Value, json};

/// Messages of a page when nothing is said.
const HISTORY_DEFAULT: usize = 100;
/// Replies of a page when nothing is said, and the most of any page (Slack's limit).
const PAGE_MAX: usize = 999;

/// The times between which a page lies, both included; empty when `from_us > to_us`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    from_us: Micros,
    to_us: Micros,
    /// Only `oldest` was given: the page is the one closest to it.
    from_oldest: bool,
}

impl Bounds {
    fn read(call: &Call) -> Result<Self, Failure> {
        let oldest = args::time(&call.args, "oldest", "invalid_ts_oldest")?;
        let latest = args::time(&call.args, "latest", "invalid_ts_latest")?;
        let inclusive = args::flag(&call.args, "inclusive", false)?;
        Ok(Self::new(oldest, latest, inclusive))
    }
    /// `oldest` and `latest` are exclusive unless `inclusive`; 0 is no bound.
    fn new(oldest: Option<Micros>, latest: Option<Micros>, inclusive: bool) -> Self {
        let step = Micros::from(!inclusive);
        let oldest = oldest.filter(|us| *us > 0);
        Self {
            from_us: oldest.map_or(0, |us| us.saturating_add(step)),
            to_us: latest
                .map_or(Micros::MAX, |us| if us == Micros::MAX { us } else { us.saturating_sub(step) }),
            from_oldest: oldest.is_some() && latest.is_none(),
        }
    }
    /// The part that is left after the pages before.
    fn after(self, cursor: Option<Way>) -> Self {
        match cursor {
            None => self,
            Some(Way::Older(us)) => Self { to_us: self.to_us.min(us), from_oldest: false, ..self },
            Some(Way::Newer(us)) => Self { from_us: self.from_us.max(us), from_oldest: true, ..self },
        }
    }
    fn range(self, newest_first: bool, limit: usize) -> MessageRange {
        MessageRange { from_us: self.from_us, to_us: self.to_us, newest_first, limit }
    }
    fn is_empty(self) -> bool {
        self.from_us > self.to_us
    }
}

/// `conversations.history`: newest first. With `oldest` alone the page closest to it, else the one closest to
/// `latest`.
pub async fn history(call: &Call) -> Answer {
    let bounds = Bounds::read(call)?;
    let cursor = args::text(&call.args, "cursor").map(|token| Way::read(&token)).transpose()?;
    let limit = args::limit(&call.args, HISTORY_DEFAULT, PAGE_MAX)?;
    let seen = readable(call).await?;
    let log = call.log(&seen.id);
    let bounds = bounds.after(cursor);
    let mut rows = Vec::new();
    if !bounds.is_empty() {
        rows = call.context.store.messages(&log, bounds.range(!bounds.from_oldest, limit + 1)).await?;
    }
    let next = (rows.len() > limit).then(|| {
        let us = rows[limit].us;
        if bounds.from_oldest { Way::Newer(us) } else { Way::Older(us) }
    });
    rows.truncate(limit);
    if bounds.from_oldest {
        rows.reverse();
    }
    let messages = shapes(call, &seen, &log, &rows).await?;
    let mut answer = shape::object(json!({
        "messages": messages,
        "has_more": next.is_some(),
        "pin_count": 0,
        "channel_actions_count": 0,
    }));
    for name in ["oldest", "latest"] {
        if let Some(bound) = args::text(&call.args, name) {
            answer.insert(name.into(), bound.into());
        }
    }
    if let Some(way) = next {
        answer.insert("response_metadata".into(), page::next(Some(way.token())));
    }
    Ok(answer)
}

/// `conversations.replies`: oldest first. The parent opens every page: export tools take the first message of each
/// page for it.
pub async fn replies(call: &Call) -> Answer {
    let not_found = || Failure::named("thread_not_found");
    let us = args::time(&call.args, "ts", "thread_not_found")?.ok_or_else(not_found)?;
    let bounds = Bounds::read(call)?;
    let cursor = args::text(&call.args, "cursor").map(|token| Way::read(&token)).transpose()?;
    let limit = args::limit(&call.args, PAGE_MAX, PAGE_MAX)?;
    let seen = readable(call).await?;
    let log = call.log(&seen.id);
    let store = &call.context.store;
    let mut parent = store.message(&log, us).await?.ok_or_else(not_found)?;
    if parent.thread_us != 0 {
        parent = store.message(&log, parent.thread_us).await?.ok_or_else(not_found)?;
    }
    let bounds = bounds.after(cursor);
    let mut rows = vec![parent.clone()];
    if !bounds.is_empty() && parent.reply_count > 0 {
        rows.extend(store.thread(&log, parent.us, bounds.range(false, limit + 1)).await?);
    }
    let next = rows.get(limit + 1).map(|row| Way::Newer(row.us));
    rows.truncate(limit + 1);
    let mut messages = shapes(call, &seen, &log, &rows).await?;
    for reply in &mut messages[1..] {
        reply["parent_user_id"] = parent.sender.as_str().into();
    }
    let mut answer = shape::object(json!({ "messages": messages, "has_more": next.is_some() }));
    if let Some(way) = next {
        answer.insert("response_metadata".into(), page::next(Some(way.token())));
    }
    Ok(answer)
}

/// A conversation whose messages the caller may read: a bot has to be in it.
async fn readable(call: &Call) -> Result<Seen, Failure> {
    let seen = access::seen_with(call, "history").await?;
    if call.is_bot() && !seen.member && seen.row.kind() == ConversationKind::Public {
        return Err(Failure::named("not_in_channel"));
    }
    Ok(seen)
}

async fn shapes(call: &Call, seen: &Seen, log: &LogId, rows: &[MessageRow]) -> Result<Vec<Value>, Failure> {
    let Some(first) = rows.iter().map(|row| row.us).min() else { return Ok(Vec::new()) };
    let last = rows.iter().map(|row| row.us).max().unwrap_or(first);
    let reactions = call.context.store.reactions(log, first, last).await?;
    let metadata = args::flag(&call.args, "include_all_metadata", false)?;
    let shape = |row: &MessageRow| {
        let mut shape = message::message(call.workspace(), seen.id.as_str(), row);
        if let Some(reactions) = message::reactions(&reactions, row.us) {
            shape.insert("reactions".into(), reactions);
        }
        if !metadata {
            shape.remove("metadata");
        }
        Value::Object(shape)
    };
    Ok(rows.iter().map(shape).collect())
}

/// One message by its ts, with its reactions.
pub async fn one(call: &Call, seen: &Seen, us: Micros) -> Result<(MessageRow, Value), Failure> {
    let log = call.log(&seen.id);
    let row = call.context.store.message(&log, us).await?;
    let row = row.ok_or_else(|| Failure::named("message_not_found"))?;
    let mut shapes = shapes(call, seen, &log, std::slice::from_ref(&row)).await?;
    let shape = shapes.pop().unwrap_or_else(|| json!({ "ts": ts::format(us) }));
    Ok((row, shape))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_exclude_what_they_name_unless_inclusive() {
        let outside = Bounds::new(Some(10), Some(20), false);
        assert_eq!((outside.from_us, outside.to_us), (11, 19));
        let inside = Bounds::new(Some(10), Some(20), true);
        assert_eq!((inside.from_us, inside.to_us), (10, 20));
        let none = Bounds::new(Some(0), Some(Micros::MAX), false);
        assert_eq!((none.from_us, none.to_us, none.from_oldest), (0, Micros::MAX, false));
        assert!(Bounds::new(Some(10), Some(10), false).is_empty());
        assert!(Bounds::new(None, Some(0), false).range(true, 1).to_us == 0, "before the first of all");
    }

    #[test]
    fn a_page_goes_on_in_its_direction_inside_the_bounds() {
        let bounds = Bounds::new(Some(10), None, false);
        assert!(bounds.from_oldest);
        let newer = bounds.after(Some(Way::Newer(15)));
        assert_eq!((newer.from_us, newer.to_us, newer.from_oldest), (15, Micros::MAX, true));
        let older = bounds.after(Some(Way::Older(15)));
        assert_eq!((older.from_us, older.to_us, older.from_oldest), (11, 15, false));
        assert!(bounds.after(Some(Way::Older(5))).is_empty());
    }
}
