//! What a write transaction does for one append.
//!
//! Any trouble on the way leaves the transaction unusable; the writer drops it and tries the jobs one by one.

use super::engine::Trouble;
use super::keys::{Key, Parts};
use super::tables::{BodyOf, Tables, damaged, get, open, open_header, put, put_bodied};
use actors::store::fence::{self, ACTIVE_MINUTES_MAX, ACTIVE_PRUNED_MAX, Fits};
use actors::store::{Append, Appended, LogId, redact};
use cluster::slots::Slot;
use proto::v1::{ActiveRow, BucketRow, Head, LogRow};
use redb::ReadableTable;

/// The newest bucket of a log.
pub fn newest_head(
    heads: &impl ReadableTable<&'static [u8], &'static [u8]>,
    log: &Key,
) -> Result<Option<(u32, Head)>, Trouble> {
    let end = log.end();
    let Some(last) = heads.range::<&[u8]>(log.bytes()..end.as_slice())?.next_back() else { return Ok(None) };
    let (key, row) = last?;
    let bucket = Parts::after(log, key.value()).and_then(|mut parts| parts.u32());
    let bucket = bucket.ok_or_else(|| damaged("head", key.value(), "its key does not parse"))?;
    Ok(Some((bucket, open("head", key.value(), row.value())?)))
}

impl Tables<'_> {
    /// Applies an append if its condition holds.
    pub fn append(&mut self, append: &Append) -> Result<Appended, Trouble> {
        let log = Key::log(&append.log);
        let at_bucket = log.clone().u32(append.bucket);
        let newest = newest_head(&self.head, &log)?;
        let opens_log = newest.is_none();
        let fits = match fence::judge(append, newest, || get(&self.head, "head", &at_bucket))? {
            Ok(fits) => fits,
            Err(outcome) => return Ok(outcome),
        };
        if opens_log && self.log.range::<&[u8]>(log.bytes()..log.end().as_slice())?.next().is_some() {
            return Err(damaged("head", log.bytes(), "it is missing, though the log has rows"));
        }
        if fits == Fits::Opens {
            let first = &append.events[0];
            let row = BucketRow { first_seq: first.seq, first_us: first.us, ..BucketRow::default() };
            put(&mut self.directory, &at_bucket, &row)?;
        }
        put(&mut self.head, &at_bucket, &fence::next_head(append))?;
        for minute in fence::minutes(append) {
            self.mark_active(append.slot, minute, &append.log)?;
        }
        for event in &append.events {
            let seq = event.seq;
            let row =
                LogRow { event: Some(event.clone()), batch: append.batch.0.to_vec(), ..LogRow::default() };
            let key = log.clone().u64(seq);
            let there = put_bodied(&mut self.log, &mut self.body, &key, &BodyOf::Log(seq).key(&log), row)?;
            if there && !cluster::planted!(TailUnchecked) {
                return Err(damaged("log", key.bytes(), "it lies beyond the tail"));
            }
        }
        append.views.iter().try_for_each(|view| self.view(&append.log, &log, view))?;
        Ok(Appended::Applied)
    }

    /// Takes the contents out of log rows; seqs that are gone are skipped.
    pub(super) fn redact(&mut self, log: &Key, seqs: impl Iterator<Item = u64>) -> Result<(), Trouble> {
        for seq in seqs {
            let key = log.clone().u64(seq);
            let found = self.log.get(key.bytes())?;
            let Some(row) = found.map(|row| open_header("log", key.bytes(), row.value())) else { continue };
            let mut row: LogRow = row?;
            row.event.iter_mut().for_each(redact);
            put_bodied(&mut self.log, &mut self.body, &key, &BodyOf::Log(seq).key(log), row)?;
        }
        Ok(())
    }

    fn mark_active(&mut self, slot: Slot, minute: u64, log: &LogId) -> Result<(), Trouble> {
        let of_slot = Key::slot(slot);
        let newest = self.active.range::<&[u8]>(of_slot.bytes()..of_slot.end().as_slice())?.next_back();
        let newest = newest.transpose()?.and_then(|(key, _)| Parts::after(&of_slot, key.value())?.u64());
        let minute = minute.max(newest.unwrap_or_default());
        let key = of_slot.clone().u64(minute).and_log(log);
        if self.active.get(key.bytes())?.is_some() {
            return Ok(());
        }
        let expired = Key::slot(slot).u64(minute.saturating_sub(ACTIVE_MINUTES_MAX));
        let old = self.active.range::<&[u8]>(of_slot.bytes()..expired.bytes())?.take(ACTIVE_PRUNED_MAX);
        let old: Vec<Vec<u8>> = old.map(|row| Ok(row?.0.value().to_vec())).collect::<Result<_, Trouble>>()?;
        for key in old {
            self.active.remove(key.as_slice())?;
        }
        put(&mut self.active, &key, &ActiveRow {})
    }
}
