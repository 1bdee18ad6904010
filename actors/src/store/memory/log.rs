//! Logs in memory: rows, heads, directory, active channels.

use crate::store::fence::{self, ACTIVE_MINUTES_MAX, ACTIVE_PRUNED_MAX, Fits, LAST_ACTIVE_MINUTES};
use crate::store::page::{LOG_PAGE_BYTES, rows_max};
use crate::store::{Append, Appended, KeySeen, LogId, LogPage, ViewWrite, body_hash, key_hash, redact};
use cluster::slots::Slot;
use prost::Message;
use proto::ts::Micros;
use proto::v1::{BucketRow, Event, Head};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

#[derive(Default)]
pub struct Logs {
    rows: BTreeMap<(LogId, u64), Event>,
    heads: BTreeMap<(LogId, u32), Head>,
    directory: BTreeMap<(LogId, u32), BucketRow>,
    active: BTreeSet<(Slot, u64, LogId)>,
}

impl Logs {
    pub fn append(&mut self, append: &Append) -> Appended {
        let older = || Ok::<_, Infallible>(self.heads.get(&(append.log.clone(), append.bucket)).cloned());
        let Ok(judged) = fence::judge(append, self.head(&append.log), older);
        let fits = match judged {
            Ok(fits) => fits,
            Err(outcome) => return outcome,
        };
        let at = (append.log.clone(), append.bucket);
        let (first, last) = (&append.events[0], &append.events[append.events.len() - 1]);
        if fits == Fits::Opens {
            let row = BucketRow { first_seq: first.seq, first_us: first.us, ..BucketRow::default() };
            self.directory.insert(at.clone(), row);
        }
        let bucket = self.directory.entry(at.clone()).or_default();
        (bucket.last_seq, bucket.last_us) = (last.seq, last.us);
        self.heads.insert(at, fence::next_head(append));
        for event in &append.events {
            self.rows.insert((append.log.clone(), event.seq), event.clone());
        }
        fence::minutes(append).into_iter().for_each(|minute| self.mark_active(append, minute));
        self.redact(append);
        Appended::Applied
    }

    fn redact(&mut self, append: &Append) {
        for view in &append.views {
            let ViewWrite::Redact { rows } = view else { continue };
            for (_, seq) in rows {
                if let Some(event) = self.rows.get_mut(&(append.log.clone(), *seq)) {
                    redact(event);
                }
            }
        }
    }

    fn mark_active(&mut self, append: &Append, minute: u64) {
        let newest = self.active.iter().rfind(|row| row.0 == append.slot);
        let minute = newest.map_or(minute, |row| minute.max(row.1));
        let row = (append.slot, minute, append.log.clone());
        if self.active.contains(&row) {
            return;
        }
        let old = |at: &&(Slot, u64, LogId)| at.0 == append.slot && at.1 + ACTIVE_MINUTES_MAX < minute;
        let expired: Vec<_> = self.active.iter().filter(old).take(ACTIVE_PRUNED_MAX).cloned().collect();
        expired.iter().for_each(|old| {
            self.active.remove(old);
        });
        self.active.insert(row);
    }

    pub fn head(&self, log: &LogId) -> Option<(u32, Head)> {
        let all = self.heads.range((log.clone(), 0)..=(log.clone(), u32::MAX));
        all.last().map(|((_, bucket), head)| (*bucket, head.clone()))
    }

    pub fn page(&self, log: &LogId, after: u64, limit: usize) -> LogPage {
        let tail = self.head(log).map_or(0, |(_, head)| head.tail);
        let whole = (log.clone(), 0)..=(log.clone(), u64::MAX);
        let first = self.rows.range(whole).next().map_or(tail + 1, |((_, seq), _)| *seq);
        let mut events: Vec<Event> = Vec::new();
        let mut bytes = 0;
        let from = after.saturating_add(1);
        for (_, event) in self.rows.range((log.clone(), from)..=(log.clone(), u64::MAX)).take(rows_max(limit))
        {
            bytes += event.encoded_len();
            if bytes > LOG_PAGE_BYTES && !events.is_empty() {
                break;
            }
            events.push(event.clone());
        }
        LogPage { events, first, tail }
    }

    pub fn keys(&self, log: &LogId, bucket: u32) -> Vec<KeySeen> {
        let Some(row) = self.directory.get(&(log.clone(), bucket)) else { return Vec::new() };
        let rows = self.rows.range((log.clone(), row.first_seq)..=(log.clone(), row.last_seq));
        let keyed = rows.map(|(_, event)| event).filter(|event| !event.key.is_empty());
        let seen = |event: &Event| KeySeen {
            key: key_hash(&event.sender, &event.key),
            seq: event.seq,
            us: event.us,
            body: body_hash(event),
        };
        keyed.map(seen).collect()
    }

    pub fn directory(&self, log: &LogId, limit: usize) -> Vec<(u32, BucketRow)> {
        let all = self.directory.range((log.clone(), 0)..=(log.clone(), u32::MAX));
        let newest = all.rev().take(rows_max(limit));
        let mut rows: Vec<_> = newest.map(|((_, bucket), row)| (*bucket, *row)).collect();
        rows.reverse();
        rows
    }

    pub fn active(&self, slot: Slot, minute: u64) -> Vec<LogId> {
        let of_minute = self.active.iter().filter(|row| row.0 == slot && row.1 == minute);
        of_minute.map(|row| row.2.clone()).collect()
    }

    pub fn last_active(&self) -> Vec<LogId> {
        let mut slots: BTreeMap<Slot, BTreeMap<u64, Vec<&LogId>>> = BTreeMap::new();
        for (slot, minute, log) in &self.active {
            slots.entry(*slot).or_default().entry(*minute).or_default().push(log);
        }
        let last =
            slots.into_values().flat_map(|minutes| minutes.into_values().rev().take(LAST_ACTIVE_MINUTES));
        let logs: BTreeSet<LogId> = last.flatten().cloned().collect();
        logs.into_iter().collect()
    }

    pub fn retain(&mut self, log: &LogId, before_us: Micros, keep: usize) -> usize {
        let all = self.directory.range_mut((log.clone(), 0)..=(log.clone(), u32::MAX));
        let closed = all.rev().skip(keep.max(1));
        let mut dropped = Vec::new();
        for (_, row) in closed.filter(|(_, row)| row.last_us < before_us && !row.dropped) {
            row.dropped = true;
            dropped.push((row.first_seq, row.last_seq));
        }
        let gone = |seq: u64| dropped.iter().any(|(first, last)| (*first..=*last).contains(&seq));
        self.rows.retain(|(of, seq), _| of != log || !gone(*seq));
        dropped.len()
    }
}
