//! Reads of logs: each is one snapshot.

use super::engine::Trouble;
use super::keys::{Key, Parts};
use super::tables::{BodyOf, Frozen, damaged, defs, frozen, open, open_bodied, open_header};
use super::write::newest_head;
use actors::store::fence::LAST_ACTIVE_MINUTES;
use actors::store::page::{LOG_PAGE_BYTES, rows_max};
use actors::store::{KeySeen, LogId, LogPage, body_hash, key_hash};
use cluster::slots::Slot;
use prost::Message;
use proto::v1::{ActiveRow, BucketRow, Event, Head, LogRow};
use redb::{ReadTransaction, ReadableTable};
use std::collections::BTreeSet;

/// The newest bucket and its head.
pub fn head(snapshot: &ReadTransaction, log: &LogId) -> Result<Option<(u32, Head)>, Trouble> {
    newest_head(&frozen(snapshot, defs::head)?, &Key::log(log))
}

/// Rows of a log after a seq. A hole is damage: seq is dense from the first row to the tail.
pub fn log(snapshot: &ReadTransaction, log: &LogId, after: u64, limit: usize) -> Result<LogPage, Trouble> {
    let at = Key::log(log);
    let tail = newest_head(&frozen(snapshot, defs::head)?, &at)?.map_or(0, |(_, head)| head.tail);
    let (rows, bodies) = (frozen(snapshot, defs::log)?, frozen(snapshot, defs::body)?);
    let first = first_seq(&rows, &at)?.unwrap_or(tail + 1);
    let missing = |seq: u64| damaged("log", at.clone().u64(seq).bytes(), format!("seq {seq} is missing"));
    let asked = after.saturating_add(1);
    // Who asks for what is there does not care what was before it.
    if asked < first && !begins_at(snapshot, &at, first)? {
        return Err(missing(first - 1));
    }
    let mut expected = asked.max(first);
    let mut events = Vec::new();
    let mut bytes = 0;
    let (from, end) = (at.clone().u64(expected), at.end());
    let mut found = rows.range::<&[u8]>(from.bytes()..end.as_slice())?;
    for _ in 0..rows_max(limit) {
        let Some(row) = found.next() else { break };
        let (key, row) = row?;
        if Parts::after(&at, key.value()).and_then(|mut parts| parts.u64()) != Some(expected) {
            return Err(missing(expected));
        }
        let body = || BodyOf::Log(expected).key(&at);
        let event = event(open_bodied(&bodies, "log", key.value(), body, row.value())?);
        bytes += event.encoded_len();
        if bytes > LOG_PAGE_BYTES && !events.is_empty() {
            break;
        }
        events.push(event);
        expected += 1;
    }
    let whole = events.len() == rows_max(limit) || bytes > LOG_PAGE_BYTES;
    if !whole && expected <= tail {
        return Err(missing(expected));
    }
    Ok(LogPage { events, first, tail })
}

/// Whether retention left a log that begins here: it drops whole buckets, and says of each that it did. What it left
/// begins with the oldest bucket of which it says nothing.
fn begins_at(snapshot: &ReadTransaction, at: &Key, first: u64) -> Result<bool, Trouble> {
    let (rows, end) = (frozen(snapshot, defs::directory)?, at.end());
    let mut begins = None;
    for row in ReadableTable::range::<&[u8]>(&rows, at.bytes()..end.as_slice())?.rev() {
        let (key, row) = row?;
        let row: BucketRow = open("directory", key.value(), row.value())?;
        if row.dropped {
            return Ok(begins == Some(first));
        }
        begins = Some(row.first_seq);
    }
    Ok(false)
}

fn first_seq(rows: &Frozen, at: &Key) -> Result<Option<u64>, Trouble> {
    let end = at.end();
    let Some(first) = ReadableTable::range::<&[u8]>(rows, at.bytes()..end.as_slice())?.next() else {
        return Ok(None);
    };
    let (key, _) = first?;
    let seq = Parts::after(at, key.value()).and_then(|mut parts| parts.u64());
    seq.ok_or_else(|| damaged("log", key.value(), "its key does not parse")).map(Some)
}

fn event(row: LogRow) -> Event {
    row.event.unwrap_or_default()
}

/// Idempotency keys of a bucket, from its rows.
pub fn keys(snapshot: &ReadTransaction, log: &LogId, bucket: u32) -> Result<Vec<KeySeen>, Trouble> {
    let at = Key::log(log);
    let Some(row) = bucket_row(snapshot, &at, bucket)? else { return Ok(Vec::new()) };
    let rows = frozen(snapshot, defs::log)?;
    let (first, last) = (at.clone().u64(row.first_seq), at.clone().u64(row.last_seq));
    let mut seen = Vec::new();
    for row in ReadableTable::range::<&[u8]>(&rows, first.bytes()..=last.bytes())? {
        let (key, row) = row?;
        let event = event(open_header("log", key.value(), row.value())?);
        if !event.key.is_empty() {
            let key = key_hash(&event.sender, &event.key);
            seen.push(KeySeen { key, seq: event.seq, us: event.us, body: body_hash(&event) });
        }
    }
    Ok(seen)
}

/// A row of `directory` says where its bucket starts; where it ends is in its head.
fn joined(row: BucketRow, head: &Head) -> BucketRow {
    BucketRow { last_seq: head.tail, last_us: head.last_us, ..row }
}

fn bucket_row(snapshot: &ReadTransaction, at: &Key, bucket: u32) -> Result<Option<BucketRow>, Trouble> {
    let key = at.clone().u32(bucket);
    let row = super::tables::get(&frozen(snapshot, defs::directory)?, "directory", &key)?;
    let head = super::tables::get(&frozen(snapshot, defs::head)?, "head", &key)?;
    Ok(row.zip(head).map(|(row, head)| joined(row, &head)))
}

/// Buckets of a log in order, the newest ones.
pub fn directory(
    snapshot: &ReadTransaction,
    log: &LogId,
    limit: usize,
) -> Result<Vec<(u32, BucketRow)>, Trouble> {
    let at = Key::log(log);
    let end = at.end();
    let (rows, heads) = (frozen(snapshot, defs::directory)?, frozen(snapshot, defs::head)?);
    let range = || at.bytes()..end.as_slice();
    let newest = ReadableTable::range::<&[u8]>(&rows, range())?.rev().take(rows_max(limit));
    let mut heads = ReadableTable::range::<&[u8]>(&heads, range())?.rev();
    let mut buckets = Vec::new();
    for row in newest {
        let (key, row) = row?;
        let head = heads.next().ok_or_else(|| damaged("head", key.value(), "it is missing"))??;
        if head.0.value() != key.value() {
            return Err(damaged("head", key.value(), "it is missing"));
        }
        let bucket = Parts::after(&at, key.value()).and_then(|mut parts| parts.u32());
        let bucket = bucket.ok_or_else(|| damaged("directory", key.value(), "its key does not parse"))?;
        let head: Head = open("head", key.value(), head.1.value())?;
        buckets.push((bucket, joined(open("directory", key.value(), row.value())?, &head)));
    }
    buckets.reverse();
    Ok(buckets)
}

/// Channels of a slot that were appended to in a minute.
pub fn active(snapshot: &ReadTransaction, slot: Slot, minute: u64) -> Result<Vec<LogId>, Trouble> {
    let at = Key::slot(slot).u64(minute);
    let end = at.end();
    let mut logs = Vec::new();
    let rows = frozen(snapshot, defs::active)?;
    for row in ReadableTable::range::<&[u8]>(&rows, at.bytes()..end.as_slice())? {
        let (key, row) = row?;
        let ActiveRow {} = open("active", key.value(), row.value())?;
        let log = Parts::after(&at, key.value()).and_then(|mut parts| parts.log());
        logs.push(log.ok_or_else(|| damaged("active", key.value(), "its key does not parse"))?);
    }
    Ok(logs)
}

/// Channels of the newest recorded minutes of every slot.
pub fn last_active(snapshot: &ReadTransaction) -> Result<Vec<LogId>, Trouble> {
    let rows = frozen(snapshot, defs::active)?;
    let (mut logs, mut from) = (BTreeSet::new(), Key::default());
    // From slot to slot that has rows: most have none.
    while let Some(row) = ReadableTable::range::<&[u8]>(&rows, from.bytes()..)?.next() {
        let unparsed = |key: &[u8]| damaged("active", key, "its key does not parse");
        let key = row?.0;
        let slot = Parts::of(key.value()).u16().and_then(Slot::new).ok_or_else(|| unparsed(key.value()))?;
        let at = Key::slot(slot);
        let end = at.end();
        let mut minutes = BTreeSet::new();
        for row in ReadableTable::range::<&[u8]>(&rows, at.bytes()..end.as_slice())?.rev() {
            let (key, row) = row?;
            let ActiveRow {} = open("active", key.value(), row.value())?;
            let mut parts = Parts::after(&at, key.value()).ok_or_else(|| unparsed(key.value()))?;
            let minute = parts.u64().ok_or_else(|| unparsed(key.value()))?;
            minutes.insert(minute);
            if minutes.len() > LAST_ACTIVE_MINUTES {
                break;
            }
            logs.insert(parts.log().ok_or_else(|| unparsed(key.value()))?);
        }
        from = Key::default().raw(&end);
    }
    Ok(logs.into_iter().collect())
}
