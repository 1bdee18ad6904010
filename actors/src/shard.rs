//! A shard: the sessions of one single-threaded runtime, and which of them listen to which log.
//!
//! Owns: the local index log -> sessions.
//! Promises: every listening session gets the same shared event; a slow one never delays another.
//! May lose: what a full session queue cannot take; the session is marked lagging and resumes from its cursors.
//! Never does: wait for a session.

use crate::delivery::Delivery;
use crate::hops::{Hop, Hops, Span};
use crate::relay::RelayMessage;
use crate::session::ToSession;
use crate::session::mailbox::Listener;
use crate::store::LogId;
use cluster::host::Host;
use proto::id::UserId;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Messages waiting in a shard.
pub const SHARD_MAILBOX_MAX: usize = 8192;
/// Sessions are reminded of the time in this many groups, one group a turn, so that their pings spread.
const TICK_GROUPS: u32 = 10;

/// Tails of followed logs; `None` for one that cannot be followed now. All sessions share the ids.
pub type Tails = Vec<(LogId, Option<u64>)>;

/// What a shard is told.
pub enum ShardMessage {
    /// Events of one log, in order.
    Events(Arc<[Arc<Delivery>]>),
    /// Somebody types.
    Typing(LogId, UserId),
    /// The owner of a user's log is not heard from.
    Unheard(LogId),
    /// A session begins; answers its number here.
    Open(Listener, oneshot::Sender<u32>),
    /// A session is over; the logs that it followed.
    Close(u32, Vec<LogId>),
    /// A session follows these logs; answers where each stands.
    Follow(u32, Vec<LogId>, oneshot::Sender<Tails>),
    /// A session stops following a log.
    Unfollow(u32, LogId),
    /// The relay answered for a log that nobody here followed before.
    Ready(LogId, Option<u64>),
    /// The relay has been told that nobody here follows a log any more.
    Left(LogId),
    /// The node stops, or does not serve for now: every session is told, each with its turn.
    GoAway(GoAway),
    /// What sessions were sent away for is over.
    Welcome(&'static str),
}

/// Why and when to leave.
#[derive(Debug, Clone)]
pub struct GoAway {
    /// Why, in a word.
    pub reason: &'static str,
    /// Turns are spread over this long.
    pub window: Duration,
}

/// How a log stands with the relay. One question is under way at a time, so that none overtakes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The relay was asked to follow it.
    Asking,
    /// The relay follows it for this shard.
    Ready,
    /// The relay is being told that nobody listens any more.
    Leaving,
}

struct Entry {
    listeners: Vec<u32>,
    tail: u64,
    standing: Standing,
    waiting: Vec<oneshot::Sender<Option<u64>>>,
}

impl Entry {
    fn asking() -> Self {
        Self { listeners: Vec::new(), tail: 0, standing: Standing::Asking, waiting: Vec::new() }
    }
}

/// The shard's state.
pub struct Shard {
    number: usize,
    host: Host,
    relay: mpsc::Sender<RelayMessage>,
    hops: Hops,
    myself: mpsc::WeakSender<ShardMessage>,
    sessions: BTreeMap<u32, Listener>,
    next: u32,
    logs: HashMap<LogId, Entry>,
    tick: u32,
    /// Why nobody is to stay, once everybody was told to leave.
    leaving: Option<&'static str>,
}

impl Shard {
    /// Shard `number`, between a relay and the sessions to come.
    pub fn new(
        number: usize,
        host: Host,
        relay: mpsc::Sender<RelayMessage>,
        hops: Hops,
        myself: &mpsc::Sender<ShardMessage>,
    ) -> Self {
        Self {
            number,
            host,
            relay,
            hops,
            myself: myself.downgrade(),
            sessions: BTreeMap::new(),
            next: 0,
            logs: HashMap::new(),
            tick: 0,
            leaving: None,
        }
    }

    /// Runs until all senders are gone; ticks its sessions every `ping_interval`.
    pub async fn run(mut self, mut mailbox: mpsc::Receiver<ShardMessage>, ping_interval: Duration) {
        let mut turn = self.host.sleep(ping_interval / TICK_GROUPS);
        loop {
            tokio::select! {
                biased;
                message = mailbox.recv() => match message {
                    Some(message) => self.handle(message),
                    None => return,
                },
                () = &mut turn => {
                    turn = self.host.sleep(ping_interval / TICK_GROUPS);
                    self.tick_group();
                }
            }
        }
    }

    fn tick_group(&mut self) {
        self.tick = (self.tick + 1) % TICK_GROUPS;
        if self.tick == 0 && !cluster::planted!(EndNotTold) {
            self.bury();
        }
        for (number, session) in &self.sessions {
            if number % TICK_GROUPS == self.tick {
                session.give(ToSession::Tick);
            }
        }
    }

    fn handle(&mut self, message: ShardMessage) {
        match message {
            ShardMessage::Events(events) => self.events(&events),
            ShardMessage::Typing(log, user) => self.typing(&log, &user),
            ShardMessage::Unheard(log) => {
                let listeners =
                    self.logs.get(&log).map(|entry| entry.listeners.as_slice()).unwrap_or_default();
                let sessions = listeners.iter().filter_map(|number| self.sessions.get(number));
                sessions.for_each(|session| session.give_transient(ToSession::Unheard));
            }
            ShardMessage::Open(listener, answer) => {
                self.next = self.next.wrapping_add(1);
                if let Some(reason) = self.leaving {
                    // It took its seat before, and has not heard of it.
                    listener.give(ToSession::GoAway(Box::new((reason, Duration::ZERO))));
                    listener.give(ToSession::Leave);
                }
                self.sessions.insert(self.next, listener);
                let _ = answer.send(self.next);
            }
            ShardMessage::Close(session, logs) => self.close(session, &logs),
            ShardMessage::Follow(session, logs, answer) => self.follow(session, logs, answer),
            ShardMessage::Unfollow(session, log) => self.unfollow(session, &log),
            ShardMessage::Ready(log, tail) => self.ready(&log, tail),
            ShardMessage::Left(log) => self.left(&log),
            ShardMessage::GoAway(leave) => self.go_away(&leave),
            ShardMessage::Welcome(reason) => _ = self.leaving.take_if(|leaving| *leaving == reason),
        }
    }

    fn events(&mut self, events: &[Arc<Delivery>]) {
        let Some(last) = events.last() else { return };
        let Some(entry) = self.logs.get_mut(&last.log) else { return };
        if !cluster::planted!(StaleTailOfShard) {
            entry.tail = entry.tail.max(last.event.seq);
        }
        for number in &entry.listeners {
            if let Some(session) = self.sessions.get(number) {
                session.give_events(events);
            }
        }
        let now_us = self.host.now_us();
        self.hops.note(&last.log, Span::of(events, Hop::Handed, now_us, entry.listeners.len()));
        let age = Duration::from_micros(now_us.saturating_sub(last.event.us));
        metrics::histogram!("message_delivery_latency_p99", "region" => "0").record(age);
    }

    fn typing(&self, log: &LogId, user: &UserId) {
        let Some(entry) = self.logs.get(log) else { return };
        let typed: Arc<(LogId, UserId)> = Arc::new((log.clone(), user.clone()));
        if cluster::planted!(TypingCrossesTenants) {
            let alike = self.logs.iter().filter(|(known, _)| known.channel == log.channel && *known != log);
            let others = alike.flat_map(|(_, entry)| &entry.listeners);
            let others = others.filter_map(|number| self.sessions.get(number));
            others.for_each(|session| session.give_transient(ToSession::Typing(typed.clone())));
        }
        for session in entry.listeners.iter().filter_map(|number| self.sessions.get(number)) {
            session.give_transient(ToSession::Typing(typed.clone()));
        }
    }

    fn follow(&mut self, session: u32, logs: Vec<LogId>, answer: oneshot::Sender<Tails>) {
        let mut tails = Tails::with_capacity(logs.len());
        let mut pending = Vec::new();
        for log in logs {
            // The id that is answered is the index's own: sessions share it.
            let log = match self.logs.get_key_value(&log) {
                Some((shared, _)) => shared.clone(),
                None => {
                    self.ask_relay(log.clone());
                    log
                }
            };
            let entry = self.logs.entry(log.clone()).or_insert_with(Entry::asking);
            if !entry.listeners.contains(&session) {
                entry.listeners.push(session);
            }
            if entry.standing == Standing::Ready {
                tails.push((log, Some(entry.tail)));
                continue;
            }
            let (tell, told) = oneshot::channel();
            entry.waiting.push(tell);
            pending.push((log, told));
        }
        if pending.is_empty() {
            let _ = answer.send(tails);
            return;
        }
        self.host.spawn_on(self.number, "session follows", async move {
            for (log, told) in pending {
                tails.push((log, told.await.ok().flatten()));
            }
            let _ = answer.send(tails);
        });
    }

    fn ask_relay(&self, log: LogId) {
        let (relay, myself, shard) = (self.relay.clone(), self.myself.clone(), self.number);
        self.host.spawn_on(shard, "shard follows", async move {
            let (answer, told) = oneshot::channel();
            let _ = relay.send(RelayMessage::Follow(log.clone(), shard, answer)).await;
            let tail = told.await.ok().flatten();
            if let Some(myself) = myself.upgrade() {
                let _ = myself.send(ShardMessage::Ready(log, tail)).await;
            }
        });
    }

    fn ready(&mut self, log: &LogId, tail: Option<u64>) {
        let Some(entry) = self.logs.get_mut(log) else { return };
        entry.standing = Standing::Ready;
        entry.tail = entry.tail.max(tail.unwrap_or(0));
        let now = tail.map(|_| entry.tail);
        std::mem::take(&mut entry.waiting).into_iter().for_each(|waiting| _ = waiting.send(now));
        if tail.is_none() {
            // It cannot be followed now: those who wanted to have been told.
            entry.listeners.clear();
        }
        if entry.listeners.is_empty() {
            self.forget(log);
        }
    }

    /// Followed again while the relay was told to forget it: then it is asked again, in this order.
    fn left(&mut self, log: &LogId) {
        let Some(entry) = self.logs.remove(log) else { return };
        if !entry.listeners.is_empty() || !entry.waiting.is_empty() {
            self.logs.insert(log.clone(), Entry { standing: Standing::Asking, ..entry });
            self.ask_relay(log.clone());
        }
    }

    fn unfollow(&mut self, session: u32, log: &LogId) {
        if let Some(entry) = self.logs.get_mut(log) {
            entry.listeners.retain(|listener| *listener != session);
            if entry.listeners.is_empty() && entry.standing == Standing::Ready {
                self.forget(log);
            }
        }
    }

    fn forget(&mut self, log: &LogId) {
        if let Some(entry) = self.logs.get_mut(log) {
            entry.standing = Standing::Leaving;
        }
        let (relay, log, shard) = (self.relay.clone(), log.clone(), self.number);
        let myself = self.myself.clone();
        self.host.spawn_on(shard, "shard unfollows", async move {
            let _ = relay.send(RelayMessage::Unfollow(log.clone(), shard)).await;
            if let Some(myself) = myself.upgrade() {
                let _ = myself.send(ShardMessage::Left(log)).await;
            }
        });
    }

    /// Sessions that ended without a word (their task failed) leave like the others.
    fn bury(&mut self) {
        let known = self.sessions.len();
        self.sessions.retain(|_, session| !session.is_closed());
        if self.sessions.len() == known {
            return;
        }
        let (sessions, mut silent) = (&self.sessions, Vec::new());
        for (log, entry) in &mut self.logs {
            entry.listeners.retain(|listener| sessions.contains_key(listener));
            if entry.listeners.is_empty() && entry.standing == Standing::Ready {
                silent.push(log.clone());
            }
        }
        silent.sort_unstable();
        silent.iter().for_each(|log| self.forget(log));
    }

    fn close(&mut self, session: u32, logs: &[LogId]) {
        self.sessions.remove(&session);
        if !cluster::planted!(ListenersLeak) {
            logs.iter().for_each(|log| self.unfollow(session, log));
        }
    }

    fn go_away(&mut self, leave: &GoAway) {
        self.leaving = Some(leave.reason);
        let count = u32::try_from(self.sessions.len()).unwrap_or(u32::MAX).max(1);
        let mut turns = Vec::new();
        for (turn, session) in (0u32..).zip(self.sessions.values()) {
            let delay = leave.window * turn / count;
            session.give(ToSession::GoAway(Box::new((leave.reason, delay))));
            turns.push((delay, session.clone()));
        }
        let (host, begun) = (self.host.clone(), self.host.monotonic());
        self.host.spawn("turns to leave", async move {
            for (delay, session) in turns {
                host.sleep((begun + delay).saturating_sub(host.monotonic())).await;
                session.give(ToSession::Leave);
            }
        });
    }
}

#[cfg(test)]
mod tests;
