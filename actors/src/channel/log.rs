//! A log being written: numbers, times, the idempotency window, and the one batch that is under way.
//!
//! Pure. Events are staged in memory first and leave in batches; nothing staged is acknowledged before its batch is
//! known applied (F3), and no second batch is built while one is open (F5).

use super::window::{Seen, Window};
use crate::command::{Aside, Command, Done};
use crate::gate::Admitted;
use crate::store::fence::event_bytes;
use crate::store::{
    APPEND_BYTES_MAX, APPEND_ROWS_MAX, Append, BUCKET_ROWS, BatchId, KeySeen, LogId, ViewWrite,
};
use crate::subject::Draft;
use cluster::slots::Slot;
use proto::refusal::Refusal;
use proto::ts::{self, Micros};
use proto::v1::{Event, Head};
use std::collections::VecDeque;
use std::time::Duration;

/// The bucket that holds a seq: buckets close by count, so it is arithmetic.
pub fn bucket_of(seq: u64) -> u32 {
    (seq.saturating_sub(1) / BUCKET_ROWS) as u32
}

/// An event that has its place but is not durable yet.
pub struct Staged {
    /// What asked for it, to ask again if the batch is refused.
    pub command: Command,
    /// Who waits for it.
    pub reply: Admitted,
    /// The event, numbered.
    pub event: Event,
    /// What it makes of the views.
    pub views: Vec<ViewWrite>,
    /// Context for live deliveries.
    pub aside: Aside,
    /// When it was staged, on the host's monotonic clock.
    pub at: Duration,
    /// Commands that found everything done already, or were refused, by this event or one before it that is not durable
    /// either.
    pub idle: Vec<Idle>,
}

/// A command that appends nothing, who waits for it, and its answer.
pub type Idle = (Command, Admitted, Result<Done, Refusal>);

/// Position of a log and what is on the way.
pub struct Log {
    id: LogId,
    slot: Slot,
    epoch: u64,
    tail: u64,
    durable: u64,
    last_us: Micros,
    countable: u64,
    broadcast: u64,
    followed: u64,
    window: Window,
    staged: VecDeque<Staged>,
    /// Events of the batch that is under way, oldest first.
    flying: Vec<Staged>,
    /// This owner has written since it read the log.
    written: bool,
}

impl Log {
    /// A log as the store has it.
    pub fn new(id: LogId, slot: Slot, epoch: u64, head: Option<&Head>, window: Window) -> Self {
        let head = head.cloned().unwrap_or_default();
        Self {
            id,
            slot,
            epoch,
            tail: head.tail,
            durable: head.tail,
            last_us: if cluster::planted!(TimeGoesBack) { 0 } else { head.last_us },
            countable: head.countable,
            broadcast: head.broadcast,
            followed: head.followed,
            window,
            staged: VecDeque::new(),
            flying: Vec::new(),
            written: false,
        }
    }
    /// Last seq in the store.
    pub fn durable(&self) -> u64 {
        self.durable
    }
    /// Up to which seq follow-ups are done.
    pub fn followed(&self) -> u64 {
        self.followed
    }
    /// Follow-ups up to here are done; kept with the next append.
    pub fn set_followed(&mut self, seq: u64) {
        self.followed = self.followed.max(seq);
    }
    /// An append of this owner is in the log, and every one of an earlier owner is refused behind it. Until then one
    /// that was on its way when the log was read may land, and memory does not know of it.
    pub fn has_written(&self) -> bool {
        self.written
    }
    /// Nothing is staged or under way.
    pub fn is_idle(&self) -> bool {
        self.staged.is_empty() && self.flying.is_empty()
    }
    /// What is known of a command's key.
    pub fn seen(&self, command: &Command, fingerprint: u64, now: Micros) -> Seen {
        if command.key.is_empty() {
            return Seen::New;
        }
        self.window.look_up(command.sender_str(), &command.key, fingerprint, now)
    }
    /// Takes the keys of a closed bucket.
    pub fn learn(&mut self, bucket: u32, keys: Vec<KeySeen>) {
        self.window.learn(bucket, keys);
    }
    /// Epoch of what this owner writes.
    fn epoch(&self) -> u64 {
        self.epoch - u64::from(cluster::planted!(EpochFalls) && self.written)
    }
    /// Gives a draft its place and time.
    pub fn number(&mut self, command: &Command, draft: Draft, fingerprint: u64, now: Micros) -> Event {
        self.tail += 1;
        self.last_us = ts::next(now, self.last_us);
        self.countable += u64::from(draft.countable);
        self.broadcast += u64::from(draft.broadcast);
        if bucket_of(self.tail) != bucket_of(self.tail - 1) {
            self.window.roll(self.last_us);
        }
        if !command.key.is_empty() {
            let sender = command.sender_str();
            self.window.remember(sender, &command.key, self.tail, self.last_us, fingerprint);
        }
        Event {
            seq: self.tail,
            us: self.last_us,
            epoch: self.epoch(),
            sender: command.sender_str().to_owned(),
            key: command.key.clone(),
            countable: self.countable,
            broadcast: self.broadcast,
            fingerprint,
            body: Some(draft.body),
        }
    }
    /// Puts a numbered event in line.
    pub fn stage(&mut self, staged: Staged) {
        assert_eq!(staged.event.seq, self.durable + 1 + (self.flying.len() + self.staged.len()) as u64);
        self.staged.push_back(staged);
    }
    /// The event with this seq that waits for durability, to hang another answer on it.
    pub fn waiting(&mut self, seq: u64) -> Option<&mut Staged> {
        self.flying.iter_mut().chain(self.staged.iter_mut()).find(|staged| staged.event.seq == seq)
    }
    /// The last event that waits for durability: what is true in memory is true for good when it is durable.
    pub fn newest(&mut self) -> Option<&mut Staged> {
        self.staged.back_mut().or(self.flying.last_mut())
    }
    /// The next batch, if none is under way: as many staged events as one append takes, all of one bucket.
    pub fn take_batch(&mut self, batch: BatchId) -> Option<Append> {
        if !self.flying.is_empty() || self.staged.is_empty() {
            return None;
        }
        let bucket = bucket_of(self.durable + 1);
        let mut bytes = 0;
        while let Some(next) = self.staged.front() {
            let size = event_bytes(&next.event);
            let full = self.flying.len() == APPEND_ROWS_MAX || bytes + size > APPEND_BYTES_MAX;
            if bucket_of(next.event.seq) != bucket || (full && !self.flying.is_empty()) {
                break;
            }
            bytes += size;
            self.flying.extend(self.staged.pop_front());
        }
        Some(Append {
            log: self.id.clone(),
            slot: self.slot,
            bucket,
            tail: self.durable,
            epoch: self.epoch(),
            batch,
            followed: self.followed,
            events: self.flying.iter().map(|staged| staged.event.clone()).collect(),
            views: self.flying.iter_mut().flat_map(|staged| std::mem::take(&mut staged.views)).collect(),
        })
    }
    /// The batch is in the store.
    pub fn applied(&mut self) -> Vec<Staged> {
        let done = std::mem::take(&mut self.flying);
        self.durable += done.len() as u64;
        self.written = true;
        done
    }
    /// The batch can never be applied: everything on the way, in order, to be asked again.
    pub fn abandon(self) -> Vec<Staged> {
        self.flying.into_iter().chain(self.staged).collect()
    }
}

#[cfg(test)]
mod tests;
