//! Retention, in steps that are small enough to share a transaction with appends.

use super::engine::Trouble;
use super::keys::{Key, Parts};
use super::tables::{BodyOf, Tables, damaged, get, open, put, remove_bodied};
use actors::store::LogId;
use proto::ts::Micros;
use proto::v1::{BucketRow, Head, ReplyOfRow};
use redb::ReadableTable;

/// Rows of each view that one step removes at most.
pub const RETAIN_ROWS_MAX: usize = 1000;

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retained {
    /// Buckets or messages that were dropped.
    pub dropped: usize,
    /// There may be more: ask again.
    pub more: bool,
    /// Something was written.
    pub touched: bool,
}

impl Tables<'_> {
    /// Drops the rows of the oldest closed bucket that is due, if there is one.
    pub fn retain_log(&mut self, log: &LogId, before_us: Micros, keep: usize) -> Result<Retained, Trouble> {
        let log = Key::log(log);
        let Some((bucket, row)) = self.due_bucket(&log, before_us, keep)? else {
            return Ok(Retained::default());
        };
        let at_bucket = log.clone().u32(bucket);
        let head: Head = get(&self.head, "head", &at_bucket)?.ok_or_else(|| {
            damaged("head", at_bucket.bytes(), "it is missing, though its bucket is listed")
        })?;
        let (first, last) = (log.clone().u64(row.first_seq), log.clone().u64(head.tail));
        self.log.retain_in::<&[u8], _>(first.bytes()..=last.bytes(), |_, _| false)?;
        let body = |seq| BodyOf::Log(seq).key(&log);
        let (first, last) = (body(row.first_seq), body(head.tail));
        self.body.retain_in::<&[u8], _>(first.bytes()..=last.bytes(), |_, _| false)?;
        put(&mut self.directory, &at_bucket, &BucketRow { dropped: true, ..row })?;
        Ok(Retained { dropped: 1, more: true, touched: true })
    }

    /// The oldest bucket that is not dropped yet, unless it is among the newest `keep` or too young.
    fn due_bucket(
        &self,
        log: &Key,
        before_us: Micros,
        keep: usize,
    ) -> Result<Option<(u32, BucketRow)>, Trouble> {
        let end = log.end();
        let mut kept = 0;
        let mut oldest = None;
        for row in self.directory.range::<&[u8]>(log.bytes()..end.as_slice())?.rev() {
            let (key, row) = row?;
            let bucket = Parts::after(log, key.value()).and_then(|mut parts| parts.u32());
            let bucket = bucket.ok_or_else(|| damaged("directory", key.value(), "its key does not parse"))?;
            let row: BucketRow = open("directory", key.value(), row.value())?;
            if row.dropped {
                break;
            }
            kept += 1;
            oldest = (kept > keep.max(1)).then_some((bucket, row));
        }
        let Some((bucket, row)) = oldest else { return Ok(None) };
        let head: Option<Head> = get(&self.head, "head", &log.clone().u32(bucket))?;
        Ok(head.filter(|head| head.last_us < before_us).map(|_| (bucket, row)))
    }

    /// Drops up to [`RETAIN_ROWS_MAX`] messages, and as many replies and reactions, older than `before_us`.
    pub fn retain_views(&mut self, log: &LogId, before_us: Micros) -> Result<Retained, Trouble> {
        let at = Key::log(log);
        let end = at.clone().u64(before_us);
        let messages = oldest(&self.message, &at, &end, |parts| parts.u64())?;
        for us in &messages {
            let body = BodyOf::Message(*us).key(&at);
            remove_bodied(&mut self.message, &mut self.body, &at.clone().u64(*us), &body)?;
        }
        let replies = oldest(&self.reply_of, &at, &end, |parts| parts.u64())?;
        for us in &replies {
            let place = at.clone().u64(*us);
            if let Some(ReplyOfRow { parent_us }) = get(&self.reply_of, "reply_of", &place)? {
                let key = at.clone().u64(parent_us).u64(*us);
                remove_bodied(&mut self.thread, &mut self.body, &key, &BodyOf::Reply(*us).key(&at))?;
            }
            self.reply_of.remove(place.bytes())?;
        }
        let reactions = oldest(&self.reaction, &at, &end, |parts| Some(parts.rest().to_vec()))?;
        for rest in &reactions {
            self.reaction.remove(at.clone().raw(rest).bytes())?;
        }
        let most = messages.len().max(replies.len()).max(reactions.len());
        Ok(Retained { dropped: messages.len(), more: most == RETAIN_ROWS_MAX, touched: most > 0 })
    }
}

/// What `read` makes of the first keys of a log that are below `end`.
fn oldest<T>(
    rows: &impl ReadableTable<&'static [u8], &'static [u8]>,
    at: &Key,
    end: &Key,
    read: impl Fn(&mut Parts) -> Option<T>,
) -> Result<Vec<T>, Trouble> {
    let mut found = Vec::new();
    for row in rows.range::<&[u8]>(at.bytes()..end.bytes())?.take(RETAIN_ROWS_MAX) {
        let (key, _) = row?;
        let part = Parts::after(at, key.value()).and_then(|mut parts| read(&mut parts));
        found.push(part.ok_or_else(|| damaged("view", key.value(), "its key does not parse"))?);
    }
    Ok(found)
}
