//! Commands that wait for an answer, pure: numbered, limited in flight, sent again under the same key after a
//! cut.

use proto::v1::ClientFrame;
use proto::v1::client_frame::Frame as Command;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A command and who waits for its answer; nobody, when the client asked by itself.
#[derive(Debug)]
pub(super) struct Waiting<W> {
    /// What was asked.
    pub(super) command: Command,
    /// Who waits.
    pub(super) waiter: Option<W>,
}

/// The outbox; `W` is whoever waits for an answer. A command that waits is unsent, in flight or parked.
#[derive(Debug)]
pub(super) struct Outbox<W> {
    made: u64,
    waiting: BTreeMap<u64, Waiting<W>>,
    unsent: BTreeSet<u64>,
    parked: BTreeSet<u64>,
    /// Commands that want no answer; not kept once sent.
    passing: VecDeque<Command>,
    resent: u64,
}

impl<W> Default for Outbox<W> {
    fn default() -> Self {
        Self {
            made: 0,
            waiting: BTreeMap::new(),
            unsent: BTreeSet::new(),
            parked: BTreeSet::new(),
            passing: VecDeque::new(),
            resent: 0,
        }
    }
}

/// Whether sending a command twice is the same as sending it once.
fn has_key(command: &Command) -> bool {
    let key = match command {
        Command::Post(c) => &c.key,
        Command::Edit(c) => &c.key,
        Command::Delete(c) => &c.key,
        Command::React(c) => &c.key,
        Command::Unreact(c) => &c.key,
        Command::Join(c) => &c.key,
        Command::Leave(c) => &c.key,
        Command::Mark(c) => &c.key,
        _ => return false,
    };
    !key.is_empty()
}

impl<W> Outbox<W> {
    /// Takes a command. Typing wants no answer.
    pub(super) fn push(&mut self, command: Command, waiter: Option<W>) {
        if matches!(command, Command::Typing(_)) {
            self.passing.push_back(command);
            return;
        }
        self.made += 1;
        self.waiting.insert(self.made, Waiting { command, waiter });
        self.unsent.insert(self.made);
    }
    /// The next frame to send, oldest first, while fewer than `in_flight_max` wait for an answer.
    pub(super) fn next(&mut self, in_flight_max: usize) -> Option<ClientFrame> {
        if let Some(command) = self.passing.pop_front() {
            return Some(ClientFrame { id: 0, frame: Some(command) });
        }
        if self.in_flight() >= in_flight_max {
            return None;
        }
        let id = self.unsent.pop_first()?;
        let command = self.waiting.get(&id)?.command.clone();
        Some(ClientFrame { id, frame: Some(command) })
    }
    /// Commands that were sent and have no answer yet.
    pub(super) fn in_flight(&self) -> usize {
        self.waiting.len() - self.unsent.len() - self.parked.len()
    }
    /// Whether the client asked this by itself.
    pub(super) fn is_own(&self, re: u64) -> bool {
        self.waiting.get(&re).is_some_and(|waiting| waiting.waiter.is_none())
    }
    /// An answer came: what it was about. `None` for an answer to nothing.
    pub(super) fn answered(&mut self, re: u64) -> Option<Waiting<W>> {
        self.unsent.remove(&re);
        self.parked.remove(&re);
        self.waiting.remove(&re)
    }
    /// Keeps a refused command for later. False when it has no key: sending it again could do it twice.
    pub(super) fn park(&mut self, re: u64) -> bool {
        let keyed = self.waiting.get(&re).is_some_and(|waiting| has_key(&waiting.command));
        if keyed && !self.unsent.contains(&re) {
            self.parked.insert(re);
        }
        keyed
    }
    /// A parked command is to be sent again, under the same key and number.
    pub(super) fn unpark(&mut self, id: u64) {
        if self.parked.remove(&id) {
            self.resent += 1;
            self.unsent.insert(id);
        }
    }
    /// The connection is gone: what has a key will be sent again in its old order; who else waits is
    /// returned.
    pub(super) fn cut(&mut self) -> Vec<W> {
        let lost = |(id, waiting): (&u64, &Waiting<W>)| {
            (!self.unsent.contains(id) && !has_key(&waiting.command)).then_some(*id)
        };
        let lost: Vec<u64> = self.waiting.iter().filter_map(lost).collect();
        let waiters = lost.iter().filter_map(|id| self.waiting.remove(id)?.waiter).collect();
        self.resent += (self.waiting.len() - self.unsent.len()) as u64;
        self.unsent = self.waiting.keys().copied().collect();
        self.parked.clear();
        self.passing.clear();
        waiters
    }
    /// The client ends: everybody who waits.
    pub(super) fn end(&mut self) -> Vec<W> {
        let waiting = std::mem::take(self).waiting;
        waiting.into_values().filter_map(|waiting| waiting.waiter).collect()
    }
    /// Commands without an answer yet.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
    /// Commands that were sent again.
    pub(super) fn resent(&self) -> u64 {
        self.resent
    }
}

#[cfg(test)]
mod tests;
