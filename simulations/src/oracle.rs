//! The oracle: what clients sent, were told and were shown. It stands outside: it knows nothing but what went over the
//! clients' connections and the rows that a store answers.
//!
//! What it hears is judged by [`crate::promises`]: at once where that is possible, else at the end, against the logs
//! that are left.

pub mod book;
pub mod logs;

use crate::{
    promises::{self, in_order, one_place, own_words},
    world::report::Violation,
};
use book::{Book, Command, Place, Told};
use proto::v1::{Event, Page, event::Body};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use logs::Logs;
use logs::Print;

/// Shared by all clients of a world.
#[derive(Debug, Clone, Default)]
pub struct Oracle(Arc<Mutex<Book>>);

impl Oracle {
    /// What has been heard so far.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client is about to send a command under this key.
    pub fn sent(&self, key: &str, command: Command) {
        self.book().commands.insert(key.to_owned(), command);
    }

    /// It was told that the command is durable. A second ack must name the same place.
    pub fn acked(&self, key: &str, place: Place, now: Duration) -> Result<(), Violation> {
        let mut book = self.book();
        let Some(command) = book.commands.get_mut(key) else {
            return Err(one_place::PROMISE.broken(format!("{key} was acknowledged and never sent")));
        };
        match &command.acked {
            // What had nothing to do took no place, and may have something to do when it is sent once more.
            Some((first, _)) if !first.is_nowhere() => one_place::same(key, first, &place)?,
            _ => command.acked = Some((place, now)),
        }
        let (deleted, channel) = (command.deletes, command.channel.clone());
        if let Some(us) = deleted {
            book.deleted.entry(channel).or_default().entry(us).or_insert(now);
        }
        Ok(())
    }

    /// It was refused, and the client will not ask again. `applied`: the refusal leaves open whether it was done.
    pub fn given_up(&self, key: &str, code: &str, unknown: bool) {
        if let Some(command) = self.book().commands.get_mut(key).filter(|command| command.acked.is_none()) {
            command.given_up = Some((code.to_owned(), unknown));
        }
    }

    /// Somebody says that it types in a channel.
    pub fn typed(&self, channel: &str, user: &str) {
        self.book().typed.insert((channel.to_owned(), user.to_owned()));
    }

    /// A client follows a channel from the seq after `from`.
    pub fn follows(&self, client: usize, channel: &str, from: u64) -> Result<(), Violation> {
        let mut book = self.book();
        let shown = book.shown.entry(client).or_default().entry(channel.to_owned()).or_default();
        in_order::resumed(client, channel, shown, from)
    }

    /// Somebody says this without a key: an edit of the Web API.
    pub fn said(&self, channel: &str, text: &str) {
        self.book().unkeyed.insert((channel.to_owned(), logs::text_hash(text)));
    }

    /// A client was shown an event of a channel that it follows.
    pub fn shown(&self, client: usize, channel: &str, event: &Event) -> Result<(), Violation> {
        let mut book = self.book();
        let all = book.shown.entry(client).or_default();
        let shown = match all.get_mut(channel) {
            Some(shown) => shown,
            None => all.entry(channel.to_owned()).or_default(),
        };
        in_order::next(client, channel, shown, event.seq)?;
        shown.take(event);
        if let Some(Body::ConversationJoined(joined)) = &event.body {
            let workspace = channel.split('/').next().unwrap_or_default();
            let name = format!("{workspace}/{}", joined.channel);
            all.entry(name).or_default().may_begin_at(joined.seq);
        }
        Ok(())
    }

    /// A bot was shown a message over RTM.
    pub fn told(&self, told: Told) {
        self.book().told.push(told);
    }

    /// A client asked for a part of a log at `asked` and was given this page.
    pub fn page(&self, client: usize, channel: &str, asked: Duration, page: &Page) -> Result<(), Violation> {
        let mut book = self.book();
        in_order::page(channel, page)?;
        own_words::readable(&book, channel, asked, page.tail)?;
        promises::deleted_is_gone::events(&book, channel, asked, &page.events)?;
        let held = page.events.iter().map(|event| (event.seq, Print::of(event)));
        if !page.events.is_empty() {
            book.readers.insert((client, channel.to_owned()));
        }
        book.pages.entry(channel.to_owned()).or_default().extend(held);
        Ok(())
    }

    /// Where a client stands in a channel, if it follows it.
    pub fn cursor(&self, client: usize, channel: &str) -> Option<u64> {
        self.book().shown.get(&client)?.get(channel).map(book::Shown::last)
    }

    /// Where a client stands in each channel that it follows: its cursors.
    pub fn cursors(&self, client: usize) -> BTreeMap<String, u64> {
        let book = self.book();
        let own = book.shown.get(&client);
        let followed = own.into_iter().flatten().filter(|(_, shown)| shown.has_begun());
        followed.map(|(channel, shown)| (channel.clone(), shown.last())).collect()
    }

    /// Commands sent that have no answer yet.
    pub fn open(&self) -> Vec<String> {
        let book = self.book();
        book.commands.iter().filter(|(_, command)| command.is_open()).map(|(key, _)| key.clone()).collect()
    }

    /// Commands acknowledged.
    pub fn acks(&self) -> usize {
        self.book().commands.values().filter(|command| command.acked.is_some()).count()
    }
}
