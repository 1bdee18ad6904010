//! A channel: the only writer of its log, while the log is hot.
//!
//! Owns: the log's position, the idempotency window, the members, recent events and rows.
//! Promises: an answer only after the append is durable; one order for everybody; no key twice.
//! May lose: everything in memory; the store has it, and what was not answered is asked again.
//! Never does: wait for the store or for another actor within a turn.

pub mod audience;
pub mod flight;
pub mod load;
pub mod log;
pub mod recent;
pub mod replay;
pub mod window;

mod parking;
mod promise;
mod turn;
mod ups;

use crate::command::Command;
use crate::config::Config;
use crate::gate::{Admitted, Permit};
use crate::router::Router;
use crate::slot::SlotMessage;
use crate::store::{BUCKET_ROWS, LogId, StoreError};
use crate::subject::{Need, Subject};
use audience::Audience;
use cluster::host::FaultPoint;
use cluster::slots::Slot;
use flight::{Landed, Pilot};
use load::{Awake, Row};
use log::Log;
use parking::Parking;
use promise::Promise;
use proto::id::UserId;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;
use recent::Recent;
use replay::{Reader, Replay};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::oneshot;
use turn::Unsure;
use ups::FollowUps;

pub use turn::FOLLOW_UP;

/// Newest buckets of a log that are kept whatever their age.
const BUCKETS_KEPT_MIN: usize = 2;

/// What a channel is told.
#[derive(RactorMessage)]
pub enum ChannelMessage {
    /// Do this and answer.
    Do(Command, Admitted),
    /// Events after a cursor.
    Read(Reader),
    /// What the store has of them.
    Replayed(Box<(Reader, Result<Replay, StoreError>)>),
    /// The tail, once it is known.
    Tail(oneshot::Sender<Result<u64, StoreError>>, Permit),
    /// The store's tail, as somebody else has read it.
    TailSeen(u64),
    /// Somebody types.
    Typing(UserId),
    /// The log has been read.
    Loaded(Box<Result<Awake, StoreError>>),
    /// A row has been read, by the read of this number.
    RowLoaded(u64, Need, Box<Result<Row, StoreError>>),
    /// The batch under way came to its end.
    Landed(Landed),
    /// The log ended there when it was looked at to be sure of an answer.
    Sure(Box<Unsure>, Result<u64, StoreError>),
    /// The follow-up to this log is done, of this event; `None`: the task that did it failed.
    Followed(LogId, Option<u64>),
    /// Time to look whether anybody still needs this actor.
    Idle,
}

/// What a channel is started with.
pub struct ChannelArgs {
    /// Its log.
    pub id: LogId,
    /// Its slot.
    pub slot: Slot,
    /// Epoch of the slot's claim.
    pub epoch: u64,
    /// Who listens; shared with the slot.
    pub audience: Arc<Audience>,
    /// Its slot's actor, told when the channel is idle.
    pub keeper: ActorRef<SlotMessage>,
    /// The way to the store.
    pub pilot: Pilot,
    /// The way to other channels, for follow-ups.
    pub router: Router,
    /// Limits.
    pub config: Arc<Config>,
}

/// The log and what it is about, once read.
pub(crate) struct Hot {
    pub(crate) log: Log,
    pub(crate) subject: Subject,
}

/// State of the actor.
pub struct ChannelState {
    pub(crate) args: ChannelArgs,
    pub(crate) myself: ActorRef<ChannelMessage>,
    pub(crate) hot: Option<Hot>,
    pub(crate) recent: Recent,
    pub(crate) waiting: VecDeque<(Command, Admitted)>,
    pub(crate) readers: Vec<Reader>,
    /// What was read for others and may be more than memory has, until the batch under way is back.
    pub(crate) ahead: Vec<(Reader, Replay)>,
    pub(crate) tails: Vec<(oneshot::Sender<Result<u64, StoreError>>, Permit)>,
    pub(crate) parking: Parking,
    pub(crate) follow: FollowUps,
    /// Messages that came by way of the slot, which counts them too: equal counts mean that none is on its way.
    pub(crate) taken: u64,
    pub(crate) busy_at: std::time::Duration,
    pub(crate) loads: u32,
    /// The store lost rows that were acknowledged: the log is not served any more.
    pub(crate) lost: Option<StoreError>,
}

/// The actor of one hot channel.
pub struct Channel;

impl Actor for Channel {
    type Msg = ChannelMessage;
    type State = ChannelState;
    type Arguments = ChannelArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<ChannelMessage>,
        args: ChannelArgs,
    ) -> Result<ChannelState, ActorProcessingErr> {
        let mut state = ChannelState {
            recent: Recent::new(args.config.channel_recent_max),
            busy_at: args.pilot.host.monotonic(),
            args,
            myself,
            hot: None,
            waiting: VecDeque::new(),
            readers: Vec::new(),
            ahead: Vec::new(),
            tails: Vec::new(),
            parking: Parking::default(),
            follow: FollowUps::default(),
            taken: 0,
            loads: 0,
            lost: None,
        };
        state.load();
        state.watch_idleness();
        Ok(state)
    }

    async fn handle(
        &self,
        _myself: ActorRef<ChannelMessage>,
        message: ChannelMessage,
        state: &mut ChannelState,
    ) -> Result<(), ActorProcessingErr> {
        let passed = matches!(
            message,
            ChannelMessage::Do(..)
                | ChannelMessage::Read(..)
                | ChannelMessage::Tail(..)
                | ChannelMessage::TailSeen(..)
        );
        state.taken += u64::from(passed);
        match message {
            ChannelMessage::Do(command, reply) => state.take(command, reply),
            ChannelMessage::Read(reader) => state.read(reader),
            ChannelMessage::Replayed(replayed) => {
                let (reader, replay) = *replayed;
                state.replayed(reader, replay);
            }
            ChannelMessage::Tail(reply, permit) => state.tail(reply, permit),
            ChannelMessage::TailSeen(tail) => state.tail_seen(tail),
            ChannelMessage::Typing(user) => state.args.audience.typing(&state.args.id, &user),
            ChannelMessage::Loaded(loaded) => state.loaded(*loaded),
            ChannelMessage::RowLoaded(read, need, loaded) => state.row_loaded(read, need, *loaded),
            ChannelMessage::Landed(landed) => state.landed(landed),
            ChannelMessage::Sure(unsure, tail) => state.sure(*unsure, tail),
            ChannelMessage::Followed(log, seq) => state.followed(&log, seq),
            ChannelMessage::Idle => state.look_idle(),
        }
        Ok(())
    }
}

impl ChannelState {
    /// Reads the log; until then commands wait.
    pub(crate) fn load(&mut self) {
        let args = &self.args;
        let (store, host) = (args.pilot.store.clone(), args.pilot.host.clone());
        let (id, slot, epoch) = (args.id.clone(), args.slot, args.epoch);
        let limits = crate::conversation::Limits {
            text_chars_max: args.config.text_chars_max,
            json_bytes_max: args.config.json_bytes_max,
            message_edits_max: args.config.message_edits_max,
            rows_max: args.config.channel_rows_max,
        };
        let wait = crate::router::back_off(self.loads);
        let again = self.loads > 0;
        self.loads += 1;
        let failed = StoreError::Unavailable("the log could not be read".into());
        let promise = Promise::new(&self.myself, ChannelMessage::Loaded(Box::new(Err(failed))));
        host.clone().spawn("channel load", async move {
            if again {
                host.sleep(wait).await;
            }
            host.fault(FaultPoint::BeforeLoad);
            let begun = host.monotonic();
            let loaded = load::load(store, id, slot, epoch, limits).await;
            let took = host.monotonic().saturating_sub(begun);
            metrics::histogram!("waggle_channel_load_seconds").record(took.as_secs_f64());
            promise.keep(ChannelMessage::Loaded(Box::new(loaded)));
        });
    }

    fn watch_idleness(&self) {
        let (host, myself) = (self.args.pilot.host.clone(), self.myself.clone());
        let every = std::time::Duration::from_millis(self.args.config.channel_idle_ms.max(1000));
        self.args.pilot.host.spawn("channel idleness", async move {
            loop {
                host.sleep(every).await;
                if myself.cast(ChannelMessage::Idle).is_err() {
                    return;
                }
            }
        });
    }

    fn look_idle(&mut self) {
        let idle_ms = u128::from(self.args.config.channel_idle_ms);
        let quiet = self.args.pilot.host.monotonic().saturating_sub(self.busy_at).as_millis() >= idle_ms;
        let idle = self.hot.as_ref().is_some_and(|hot| hot.log.is_idle());
        if quiet && idle && self.parking.is_empty() && self.follow.is_empty() {
            let tail = self.hot.as_ref().map_or(0, |hot| hot.log.durable());
            let actor = self.myself.get_id();
            // The slot stops this actor unless something is on its way to it.
            let _ =
                self.args.keeper.cast(SlotMessage::Passive(self.args.id.clone(), actor, tail, self.taken));
        }
    }

    fn loaded(&mut self, loaded: Result<Awake, StoreError>) {
        match loaded {
            Ok(awake) => {
                self.loads = 1;
                let tail = awake.log.durable();
                self.follow.extend(awake.follow);
                self.hot = Some(Hot { log: awake.log, subject: awake.subject });
                self.args.pilot.host.fault(FaultPoint::Loaded);
                self.args.audience.remind(&self.args.id, tail);
                if tail > BUCKETS_KEPT_MIN as u64 * BUCKET_ROWS || self.args.config.retention_hours > 0 {
                    self.retain();
                }
                self.run_follow_ups();
                let waiting = std::mem::take(&mut self.waiting);
                waiting.into_iter().for_each(|(command, reply)| self.take(command, reply));
                let readers = std::mem::take(&mut self.readers);
                readers.into_iter().for_each(|reader| self.read(reader));
                let tails = std::mem::take(&mut self.tails);
                tails.into_iter().for_each(|(reply, permit)| self.tail(reply, permit));
            }
            Err(error) => self.load_failed(error),
        }
    }

    /// The store cannot be read now: those who wait are told at once, and reading is tried again while anybody asks.
    fn load_failed(&mut self, error: StoreError) {
        tracing::warn!(channel = ?self.args.id, %error, "channel could not be loaded");
        metrics::counter!("waggle_channel_load_failures_total").increment(1);
        for (command, reply) in self.waiting.drain(..) {
            reply.answer(Err(command.refused(error.clone().into())));
        }
        self.readers.drain(..).for_each(|reader| reader.answer(Err(error.clone())));
        for (reply, _) in self.tails.drain(..) {
            let _ = reply.send(Err(error.clone()));
        }
        self.load();
    }

    /// Drops what nobody can ask for any more: log rows older than the resume window, messages older than the
    /// retention. Looked at when the channel wakes and when a bucket is full.
    pub(crate) fn retain(&self) {
        let config = &self.args.config;
        let (id, store) = (self.args.id.clone(), self.args.pilot.store.clone());
        let now = self.args.pilot.host.now_us();
        let before = |hours: u64| now.saturating_sub(hours * 3_600_000_000);
        let log_before = before(config.resume_window_hours);
        let messages_before = (config.retention_hours > 0).then(|| before(config.retention_hours));
        self.args.pilot.host.spawn("channel retention", async move {
            let dropped = store.retain_log(&id, log_before, BUCKETS_KEPT_MIN).await;
            if let Err(error) = dropped {
                tracing::warn!(channel = ?id, %error, "old log rows were not dropped; tried again later");
            }
            if let Some(before) = messages_before
                && let Err(error) = store.retain_views(&id, before).await
            {
                tracing::warn!(channel = ?id, %error, "old messages were not dropped; tried again later");
            }
        });
    }

    fn tail(&mut self, reply: oneshot::Sender<Result<u64, StoreError>>, permit: Permit) {
        match (&self.hot, &self.lost) {
            (Some(hot), _) => _ = reply.send(Ok(hot.log.durable())),
            (None, Some(lost)) => _ = reply.send(Err(lost.clone())),
            (None, None) => self.tails.push((reply, permit)),
        }
    }
}
