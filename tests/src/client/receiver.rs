//! The receiver rule, pure: `seq = last + 1` apply; `<= last` drop; else hold, at most 256, and ask for the
//! range.

use proto::v1::event::Body;
use proto::v1::{Cursor, Event};
use std::collections::BTreeMap;

/// Events of one channel held behind a gap; beyond it they are dropped and come again by the range.
pub const HELD_MAX: usize = 256;
/// Most events asked for at once.
pub const RANGE_MAX: u32 = 1000;

/// What to do about something that came.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// This event is next.
    Apply(String, Box<Event>),
    /// Ask for (after, after + limit].
    Ask {
        /// Channel with the gap.
        channel: String,
        /// The last seq applied.
        after: u64,
        /// How many are missing, at most [`RANGE_MAX`].
        limit: u32,
    },
}

#[derive(Debug, Default)]
struct Position {
    /// Everything up to here was applied.
    last: u64,
    /// The furthest seq that the server is known to have.
    tail: u64,
    held: BTreeMap<u64, Event>,
    asked: bool,
    /// Something came since the last beacon.
    moved: bool,
}

/// Positions in all channels.
#[derive(Debug, Default)]
pub struct Receiver {
    channels: BTreeMap<String, Position>,
    duplicates: u64,
}

impl Receiver {
    /// A channel begins after `seq`, unless it has begun.
    pub fn start(&mut self, channel: &str, seq: u64) {
        let fresh = || Position { last: seq, tail: seq, ..Position::default() };
        self.channels.entry(channel.to_owned()).or_insert_with(fresh);
    }
    /// The last seq applied.
    pub fn last(&self, channel: &str) -> Option<u64> {
        self.channels.get(channel).map(|position| position.last)
    }
    /// The cursors to resume from.
    pub fn cursors(&self) -> Vec<Cursor> {
        let cursor = |(channel, position): (&String, &Position)| Cursor {
            channel: channel.clone(),
            seq: position.last,
        };
        self.channels.iter().map(cursor).collect()
    }
    /// Events that came again.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }
    /// The connection is gone: questions will not be answered, and the server starts from the cursors.
    pub fn cut(&mut self) {
        for position in self.channels.values_mut() {
            position.held.clear();
            position.asked = false;
            position.moved = false;
            position.tail = position.last;
        }
    }

    /// The server's log ends at `seq`: what came beyond is not in it any more.
    pub fn ends(&mut self, channel: &str, seq: u64) {
        if let Some(position) = self.channels.get_mut(channel).filter(|position| position.last > seq) {
            *position = Position { last: seq, tail: seq, ..Position::default() };
        }
    }
    /// Events were delivered. A channel that is not known begins with the first of them.
    pub fn deliver(&mut self, channel: &str, events: Vec<Event>) -> Vec<Step> {
        if let Some(first) = events.first() {
            self.start(channel, first.seq.saturating_sub(1));
        }
        let mut steps = Vec::new();
        for event in events {
            self.take(channel, event, &mut steps);
        }
        if self.channels.get(channel).is_some_and(|position| !position.held.is_empty()) {
            self.ask_if_behind(channel, &mut steps);
        }
        steps
    }
    /// The server's log ends at `tail`. While events of the channel keep coming, the rest is on its way; when
    /// none came since the last beacon, something is lost.
    pub fn beacon(&mut self, channel: &str, tail: u64) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Some(position) = self.channels.get_mut(channel) {
            position.tail = position.tail.max(tail);
            if !std::mem::take(&mut position.moved) {
                self.ask_if_behind(channel, &mut steps);
            }
        }
        steps
    }
    /// What was asked for came, perhaps less than that. After an empty page nothing is asked until the
    /// channel moves or a beacon says so.
    pub fn page(&mut self, channel: &str, events: Vec<Event>, tail: u64) -> Vec<Step> {
        let empty = events.is_empty();
        if let Some(position) = self.channels.get_mut(channel) {
            position.asked = false;
            position.tail = position.tail.max(tail);
        }
        let mut steps = Vec::new();
        for event in events {
            self.take(channel, event, &mut steps);
        }
        if !empty {
            self.ask_if_behind(channel, &mut steps);
        }
        steps
    }
    /// A question was refused; it may be asked again.
    pub fn unasked(&mut self, channel: &str) {
        if let Some(position) = self.channels.get_mut(channel) {
            position.asked = false;
        }
    }
    /// What is before `seq` is not there any more, or not for us: go on at `seq`. Never goes back.
    pub fn skip_to(&mut self, channel: &str, seq: u64) -> Vec<Step> {
        self.start(channel, seq.saturating_sub(1));
        let mut steps = Vec::new();
        if let Some(position) = self.channels.get_mut(channel) {
            position.last = position.last.max(seq.saturating_sub(1));
            position.asked = false;
            self.drain(channel, &mut steps);
        }
        steps
    }

    fn take(&mut self, channel: &str, event: Event, steps: &mut Vec<Step>) {
        let Some(position) = self.channels.get_mut(channel) else { return };
        position.tail = position.tail.max(event.seq);
        position.moved = true;
        if event.seq <= position.last || position.held.contains_key(&event.seq) {
            self.duplicates += 1;
            return;
        }
        if event.seq == position.last + 1 || position.held.len() < HELD_MAX {
            position.held.insert(event.seq, event);
            self.drain(channel, steps);
        }
    }

    /// Applies what is held and next.
    fn drain(&mut self, channel: &str, steps: &mut Vec<Step>) {
        let mut begun = Vec::new();
        let Some(position) = self.channels.get_mut(channel) else { return };
        position.held.retain(|seq, _| *seq > position.last);
        while let Some(next) = position.last.checked_add(1)
            && let Some(event) = position.held.remove(&next)
        {
            position.last = event.seq;
            if let Some(Body::ConversationJoined(joined)) = &event.body {
                begun.push((joined.channel.clone(), joined.seq));
            }
            steps.push(Step::Apply(channel.to_owned(), Box::new(event)));
        }
        for (channel, seq) in begun {
            // Joined again: what lies between was not for us.
            steps.extend(self.skip_to(&channel, seq));
        }
    }

    fn ask_if_behind(&mut self, channel: &str, steps: &mut Vec<Step>) {
        let Some(position) = self.channels.get_mut(channel) else { return };
        let next_held = position.held.keys().next().copied();
        let missing = next_held.map_or(position.tail, |held| held - 1).saturating_sub(position.last);
        if missing == 0 || position.asked {
            return;
        }
        position.asked = true;
        let limit = u32::try_from(missing).unwrap_or(RANGE_MAX).min(RANGE_MAX);
        steps.push(Step::Ask { channel: channel.to_owned(), after: position.last, limit });
    }
}

#[cfg(test)]
mod tests;
