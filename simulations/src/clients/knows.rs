//! What a client remembers of what it said and saw, to act on it later.

use proto::v1::{Event, event::Body};
use std::collections::{BTreeMap, VecDeque};

/// Messages remembered of a channel.
const SEEN_MAX: usize = 64;

/// By channel, the newest last.
#[derive(Debug, Default)]
pub struct Knows {
    own: BTreeMap<String, VecDeque<u64>>,
    seen: BTreeMap<String, VecDeque<u64>>,
}

fn push(list: &mut VecDeque<u64>, us: u64) {
    if list.len() == SEEN_MAX {
        list.pop_front();
    }
    list.push_back(us);
}

fn back(list: Option<&VecDeque<u64>>, back: usize) -> Option<u64> {
    let list = list?;
    list.get(list.len().checked_sub(1 + back)?).copied()
}

impl Knows {
    /// It wrote a message.
    pub fn wrote(&mut self, channel: &str, us: u64) {
        push(self.own.entry(channel.to_owned()).or_default(), us);
    }
    /// It saw an event.
    pub fn saw(&mut self, channel: &str, event: &Event) {
        if matches!(event.body, Some(Body::Posted(_))) {
            self.saw_message(channel, event.us);
        }
    }
    /// It saw a message.
    pub fn saw_message(&mut self, channel: &str, us: u64) {
        push(self.seen.entry(channel.to_owned()).or_default(), us);
    }
    /// One of its own messages, so many back.
    pub fn own(&self, channel: &str, so_many: usize) -> Option<u64> {
        back(self.own.get(channel), so_many)
    }
    /// Any message, so many back.
    pub fn any(&self, channel: &str, so_many: usize) -> Option<u64> {
        back(self.seen.get(channel), so_many)
    }
}
