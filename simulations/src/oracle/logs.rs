//! Logs as they are left at the end, and what must hold of each by itself.

use crate::world::report::Violation;
use prost::Message;
use proto::v1::{Event, event::Body};
use std::collections::{BTreeMap, BTreeSet};

/// Logs by channel, each from its first seq on.
#[derive(Debug, Clone, Default)]
pub struct Logs(BTreeMap<String, Vec<Event>>);

/// What tells two events apart, of that which followers are shown.
pub(super) fn print(event: &Event) -> u64 {
    let shown = Event { fingerprint: 0, ..event.clone() };
    xxhash_rust::xxh3::xxh3_64(&shown.encode_to_vec())
}

impl Logs {
    /// Adds the log of a channel.
    pub fn add(&mut self, channel: impl Into<String>, events: Vec<Event>) {
        self.0.insert(channel.into(), events);
    }

    /// How many events there are.
    pub fn events(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    pub(super) fn tail(&self, channel: &str) -> u64 {
        self.0.get(channel).map_or(0, |events| events.len() as u64)
    }

    pub(super) fn event(&self, channel: &str, seq: u64) -> Option<&Event> {
        self.0.get(channel)?.get(usize::try_from(seq).ok()?.checked_sub(1)?)
    }

    fn all(&self) -> impl Iterator<Item = (&str, &Event)> {
        self.0.iter().flat_map(|(channel, events)| events.iter().map(move |event| (channel.as_str(), event)))
    }

    /// All events that carry a key.
    pub(super) fn by_key(&self) -> BTreeMap<&str, (&str, &Event)> {
        let keyed = self.all().filter(|(_, event)| !event.key.is_empty());
        keyed.map(|(channel, event)| (event.key.as_str(), (channel, event))).collect()
    }

    /// Messages, which only clients send.
    pub(super) fn of_clients(&self) -> impl Iterator<Item = (&str, &Event)> {
        let all =
            self.0.iter().flat_map(|(channel, events)| events.iter().map(move |e| (channel.as_str(), e)));
        all.filter(|(_, event)| matches!(event.body, Some(Body::Posted(_))))
    }

    /// Each log is dense, its times rise, its epochs do not fall, and no key is in it twice.
    pub(super) fn are_sound(&self) -> Result<(), Violation> {
        for (channel, events) in &self.0 {
            let (mut us, mut epoch, mut keys) = (0, 0, BTreeSet::new());
            for (seq, event) in (1..).zip(events) {
                Violation::unless(event.seq == seq, "a log is dense", || {
                    format!("{channel} holds {} where {seq} should be", event.seq)
                })?;
                Violation::unless(event.us > us, "times rise along a log", || {
                    format!("{channel} {seq} is of {} after {us}", event.us)
                })?;
                Violation::unless(event.epoch >= epoch, "epochs do not fall along a log", || {
                    format!("{channel} {seq} is of epoch {} after {epoch}", event.epoch)
                })?;
                let once = event.key.is_empty() || keys.insert((&event.sender, &event.key));
                Violation::unless(once, "one place for one key", || {
                    format!("{channel} {seq} has key {} a second time", event.key)
                })?;
                (us, epoch) = (event.us, event.epoch);
            }
        }
        Ok(())
    }
}
