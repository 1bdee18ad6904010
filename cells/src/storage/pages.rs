//! Reads of the views: each is one snapshot, pages across buckets included.

use super::engine::Trouble;
use super::keys::{Key, Parts};
use super::tables::{BodyOf, Definition, damaged, defs, frozen, get, open, open_bodied};
use actors::store::page::{Tally, rows_max};
use actors::store::{Listed, LogId, MessageRange, ReactionCount};
use proto::record::Record;
use proto::ts::Micros;
use proto::v1::{MessageRow, ReactionRow, ReplyOfRow};
use redb::{ReadTransaction, ReadableTable, TableHandle};
use std::ops::Bound;

/// A page of the messages shown in a channel.
pub fn messages(
    snapshot: &ReadTransaction,
    log: &LogId,
    range: MessageRange,
) -> Result<Vec<MessageRow>, Trouble> {
    let at = Key::log(log);
    page(snapshot, defs::message, &at, range, |us| BodyOf::Message(us).key(&at))
}

/// A page of a thread's replies.
pub fn thread(
    snapshot: &ReadTransaction,
    log: &LogId,
    parent_us: Micros,
    range: MessageRange,
) -> Result<Vec<MessageRow>, Trouble> {
    let log = Key::log(log);
    page(snapshot, defs::thread, &log.clone().u64(parent_us), range, |us| BodyOf::Reply(us).key(&log))
}

fn page(
    snapshot: &ReadTransaction,
    table: Definition,
    at: &Key,
    range: MessageRange,
    body: impl Fn(Micros) -> Key,
) -> Result<Vec<MessageRow>, Trouble> {
    if range.from_us > range.to_us {
        return Ok(Vec::new());
    }
    let (rows, bodies) = (frozen(snapshot, table)?, frozen(snapshot, defs::body)?);
    let (from, to) = (at.clone().u64(range.from_us), at.clone().u64(range.to_us));
    let mut found = ReadableTable::range::<&[u8]>(&rows, from.bytes()..=to.bytes())?;
    let mut messages = Vec::new();
    while messages.len() < rows_max(range.limit) {
        let next = if range.newest_first { found.next_back() } else { found.next() };
        let Some(row) = next else { break };
        let (key, row) = row?;
        let us = Parts::after(at, key.value()).and_then(|mut parts| parts.u64()).unwrap_or_default();
        messages.push(open_bodied(&bodies, table.name(), key.value(), || body(us), row.value())?);
    }
    Ok(messages)
}

/// One message, or one reply through `reply_of`.
pub fn message(snapshot: &ReadTransaction, log: &LogId, us: Micros) -> Result<Option<MessageRow>, Trouble> {
    let at = Key::log(log);
    let bodies = frozen(snapshot, defs::body)?;
    let key = at.clone().u64(us);
    if let Some(row) = frozen(snapshot, defs::message)?.get(key.bytes())? {
        let body = || BodyOf::Message(us).key(&at);
        return open_bodied(&bodies, "message", key.bytes(), body, row.value()).map(Some);
    }
    let place: Option<ReplyOfRow> = get(&frozen(snapshot, defs::reply_of)?, "reply_of", &key)?;
    let Some(ReplyOfRow { parent_us }) = place else { return Ok(None) };
    let key = at.clone().u64(parent_us).u64(us);
    let row = frozen(snapshot, defs::thread)?.get(key.bytes())?;
    let row = row.ok_or_else(|| damaged("thread", key.bytes(), "it is missing, though reply_of names it"))?;
    let body = || BodyOf::Reply(us).key(&at);
    open_bodied(&bodies, "thread", key.bytes(), body, row.value()).map(Some)
}

/// Reactions to all messages in a range of time.
pub fn reactions(
    snapshot: &ReadTransaction,
    log: &LogId,
    from_us: Micros,
    to_us: Micros,
) -> Result<Vec<ReactionCount>, Trouble> {
    let mut tally = Tally::default();
    if from_us > to_us {
        return Ok(tally.finish());
    }
    let at = Key::log(log);
    let (from, end) = (at.clone().u64(from_us), at.clone().u64(to_us).end());
    let rows = frozen(snapshot, defs::reaction)?;
    for row in ReadableTable::range::<&[u8]>(&rows, from.bytes()..end.as_slice())? {
        let (key, row) = row?;
        let ReactionRow { seq } = open("reaction", key.value(), row.value())?;
        let parts = Parts::after(&at, key.value());
        let parsed = parts.and_then(|mut parts| Some((parts.u64()?, parts.text()?, parts.user()?)));
        let (us, name, user) =
            parsed.ok_or_else(|| damaged("reaction", key.value(), "its key does not parse"))?;
        tally.add(us, &name, user, seq);
    }
    Ok(tally.finish())
}

/// Whether this reaction exists.
pub fn exists(snapshot: &ReadTransaction, reaction: &Key) -> Result<bool, Trouble> {
    let row: Option<ReactionRow> = one(snapshot, defs::reaction, reaction)?;
    Ok(row.is_some())
}

/// One row of a view.
pub fn one<R: Record>(
    snapshot: &ReadTransaction,
    table: Definition,
    key: &Key,
) -> Result<Option<R>, Trouble> {
    get(&frozen(snapshot, table)?, table.name(), key)
}

/// Rows whose key is `at` and one more id, after the given one.
pub fn listed<K, R: Record>(
    snapshot: &ReadTransaction,
    table: Definition,
    at: &Key,
    after: Option<&str>,
    limit: usize,
    read: impl Fn(&mut Parts) -> Option<K>,
) -> Result<Listed<K, R>, Trouble> {
    let rows = frozen(snapshot, table)?;
    let end = at.end();
    let after = after.map(|after| at.clone().id(after));
    let from = after.as_ref().map_or(Bound::Included(at.bytes()), |after| Bound::Excluded(after.bytes()));
    let mut found = ReadableTable::range::<&[u8]>(&rows, (from, Bound::Excluded(end.as_slice())))?;
    let mut listed = Vec::new();
    for row in found.by_ref().take(limit) {
        let (key, row) = row?;
        let id = Parts::after(at, key.value()).and_then(|mut parts| read(&mut parts));
        let id = id.ok_or_else(|| damaged(table.name(), key.value(), "its key does not parse"))?;
        listed.push((id, open(table.name(), key.value(), row.value())?));
    }
    Ok(Listed { more: found.next().transpose()?.is_some(), rows: listed })
}
