//! The oracle: what clients sent, were told and were shown, judged against the logs that are left at the end.
//!
//! It stands outside: it knows nothing but what went over the clients' connections and the rows that a store
//! answers. What can be judged at once is; the rest is judged by [`Oracle::verdict`].

mod logs;

use crate::world::report::Violation;
use proto::v1::{Ack, Event};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use logs::Logs;

/// Where an acknowledged command stands.
#[derive(Debug, PartialEq)]
struct Place {
    channel: String,
    us: u64,
    /// `None`: the answer named no seq (the Web API's do not).
    seq: Option<u64>,
}

/// What one client was shown of one channel: the seq before the first event, and a print of each event.
#[derive(Debug, Default, Clone)]
struct Shown {
    from: u64,
    prints: Vec<u64>,
}

impl Shown {
    fn last(&self) -> u64 {
        self.from + self.prints.len() as u64
    }
}

#[derive(Debug, Default)]
struct Book {
    /// Channel and sender, by idempotency key.
    sent: BTreeMap<String, (String, String)>,
    acked: BTreeMap<String, Place>,
    /// By client and channel.
    shown: BTreeMap<(String, String), Shown>,
}

/// Shared by all clients of a world.
#[derive(Debug, Clone, Default)]
pub struct Oracle(Arc<Mutex<Book>>);

impl Oracle {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client is about to send a command under this key.
    pub fn sent(&self, sender: &str, channel: &str, key: &str) {
        self.book().sent.insert(key.to_owned(), (channel.to_owned(), sender.to_owned()));
    }

    /// It was told that the command is durable. A second ack must name the same place.
    pub fn acked(&self, key: &str, ack: &Ack) -> Result<(), Violation> {
        let place = Place { channel: ack.channel.clone(), us: ack.us, seq: (ack.seq > 0).then_some(ack.seq) };
        match self.book().acked.entry(key.to_owned()) {
            Entry::Vacant(entry) => drop(entry.insert(place)),
            Entry::Occupied(first) if *first.get() == place => {}
            Entry::Occupied(first) => {
                let detail = format!("{key} was acknowledged at {:?} and then at {place:?}", first.get());
                return Err(Violation::new("one place for one key", detail));
            }
        }
        Ok(())
    }

    /// A client follows a channel from the seq after `from`; following again must not move it.
    pub fn follows(&self, client: &str, channel: &str, from: u64) -> Result<(), Violation> {
        let mut book = self.book();
        let fresh = || Shown { from, prints: Vec::new() };
        let shown = book.shown.entry((client.to_owned(), channel.to_owned())).or_insert_with(fresh);
        Violation::unless(shown.last() == from, "a client resumes from its cursor", || {
            format!("{client} was at {} of {channel} and is served from {from}", shown.last())
        })
    }

    /// A client was shown the next event of a channel that it follows.
    pub fn shown(&self, client: &str, channel: &str, event: &Event) -> Result<(), Violation> {
        let mut book = self.book();
        let shown = book.shown.entry((client.to_owned(), channel.to_owned())).or_default();
        Violation::unless(event.seq == shown.last() + 1, "dense and in order for every client", || {
            format!("{client} was at {} of {channel} and was shown {}", shown.last(), event.seq)
        })?;
        shown.prints.push(logs::print(event));
        Ok(())
    }

    /// Where a client stands in each channel that it follows: its cursors.
    pub fn cursors(&self, client: &str) -> BTreeMap<String, u64> {
        let book = self.book();
        let own = book.shown.iter().filter(|((name, _), _)| name == client);
        own.map(|((_, channel), shown)| (channel.clone(), shown.last())).collect()
    }

    /// Commands sent and not acknowledged.
    pub fn open(&self) -> usize {
        let book = self.book();
        book.sent.len() - book.acked.len()
    }

    /// Commands acknowledged.
    pub fn acks(&self) -> usize {
        self.book().acked.len()
    }

    /// Clients that have not been shown everything of `logs` yet.
    pub fn behind(&self, logs: &Logs) -> Vec<String> {
        let book = self.book();
        let late = book.shown.iter().filter(|((_, channel), shown)| shown.last() < logs.tail(channel));
        late.map(|((client, channel), shown)| format!("{client} at {} of {channel}", shown.last())).collect()
    }

    /// Judges everything against the logs that are left.
    pub fn verdict(&self, logs: &Logs) -> Result<(), Violation> {
        logs.are_sound()?;
        let book = self.book();
        let kept = logs.by_key();
        for (key, place) in &book.acked {
            let found = kept.get(key.as_str()).copied();
            let same = found.is_some_and(|(channel, event)| {
                channel == place.channel
                    && event.us == place.us
                    && place.seq.is_none_or(|seq| seq == event.seq)
            });
            Violation::unless(same, "acknowledged means kept", || {
                let found = found.map(|(channel, event)| (channel, event.seq, event.us));
                format!("{key} was acknowledged at {place:?}; the logs have it at {found:?}")
            })?;
        }
        logs.of_clients().try_for_each(|(channel, event)| {
            let known = book.sent.get(&event.key).is_some_and(|(c, s)| c == channel && *s == event.sender);
            Violation::unless(known, "nothing is in a log that nobody sent", || {
                format!("{channel} holds {} with key {:?} by {:?}", event.seq, event.key, event.sender)
            })
        })?;
        for ((client, channel), shown) in &book.shown {
            for (seq, print) in (shown.from + 1..).zip(&shown.prints) {
                let same = logs.event(channel, seq).is_some_and(|event| logs::print(event) == *print);
                Violation::unless(same, "what is delivered is in the log", || {
                    format!("{client} was shown another {seq} of {channel} than the log holds")
                })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
