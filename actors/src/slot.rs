//! A slot: the supervisor of its channels.
//!
//! Owns: the table of its channels: who listens, the tail of those that are passive, the actors of those that are hot.
//! Promises: a command reaches its channel's actor, which is started if there is none; a panic of one stays its own.
//! May lose: commands inside an actor that panicked; who waits for them sends them again. With its own end, who
//! listens: the node is told, and its relay subscribes again.
//! Never does: wait for the store or for anybody.

use crate::channel::audience::{Audience, GatewaySink};
use crate::channel::flight::Pilot;
use crate::channel::load;
use crate::channel::replay::{Reader, Replay};
use crate::channel::{Channel, ChannelArgs, ChannelMessage};
use crate::command::{Command, ReplyTo};
use crate::config::Config;
use crate::gate::{Admitted, Gate, Permit};
use crate::router::Router;
use crate::store::{LogId, StoreError};
use cluster::host::FaultPoint;
use cluster::slots::Slot;
use cluster::slots::told::ToldSlots;
use proto::id::UserId;
use proto::refusal::Refusal;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, ActorRuntime, ActorStatus, SupervisionEvent};
use ractor_cluster::RactorMessage;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Panics of one channel after which it is only started again when somebody asks for it.
const EAGER_RESTARTS_MAX: u32 = 3;

/// The way back for a tail.
type TailReply = oneshot::Sender<Result<u64, StoreError>>;

/// What a slot is told, with the place that the message takes behind the slot's gate.
#[derive(RactorMessage)]
pub enum SlotMessage {
    /// For a channel: do this and answer.
    Do(LogId, Command, ReplyTo, Permit),
    /// For a channel: events after a cursor.
    Read(LogId, u64, usize, oneshot::Sender<Result<Replay, StoreError>>, Permit),
    /// A gateway has its first listener of a channel; answers the tail.
    Subscribe(LogId, GatewaySink, TailReply, Permit),
    /// The tail of a channel, from its actor: nobody else knows it.
    Tail(LogId, TailReply, Permit),
    /// A gateway's last listener of a channel left.
    Unsubscribe(LogId, Arc<str>),
    /// A gateway is gone, and listens to no channel any more.
    Forget(Arc<str>),
    /// Somebody types in a channel.
    Typing(LogId, UserId),
    /// The store's tail of a channel, read while this node believes to own it.
    TailSeen(LogId, u64),
    /// A channel's actor has nothing to do: its tail, and how many messages have reached it from here.
    Passive(LogId, ActorId, u64, u64),
}

/// What a slot is started with.
pub struct SlotArgs {
    /// Its number.
    pub slot: Slot,
    /// Epoch of this node's claim.
    pub epoch: u64,
    /// The way to the store.
    pub pilot: Pilot,
    /// The way to other channels.
    pub router: Router,
    /// Limits.
    pub config: Arc<Config>,
    /// Who has to know of its end.
    pub lost: ToldSlots,
}

struct Running {
    actor: ActorRef<ChannelMessage>,
    gate: Gate,
    /// Messages that were sent to it, each with a place behind its gate.
    passed: u64,
}

impl Running {
    fn send(&mut self, message: ChannelMessage) {
        self.passed += 1;
        // An actor that just ended drops the message; who waits for its answer sends it again.
        let _ = self.actor.cast(message);
    }
}

/// A channel of this slot. Passive: no actor, only who listens and the tail.
#[derive(Default)]
struct Entry {
    audience: Arc<Audience>,
    tail: Option<u64>,
    hot: Option<Running>,
    panics: u32,
}

/// State of the actor.
pub struct SlotState {
    args: SlotArgs,
    myself: ActorRef<SlotMessage>,
    channels: BTreeMap<LogId, Entry>,
    running: BTreeMap<ActorId, LogId>,
}

impl Drop for SlotState {
    fn drop(&mut self) {
        self.args.lost.tell(self.args.slot);
    }
}

/// The actor of one owned slot.
pub struct SlotKeeper;

impl Actor for SlotKeeper {
    type Msg = SlotMessage;
    type State = SlotState;
    type Arguments = SlotArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<SlotMessage>,
        args: SlotArgs,
    ) -> Result<SlotState, ActorProcessingErr> {
        Ok(SlotState { args, myself, channels: BTreeMap::new(), running: BTreeMap::new() })
    }

    async fn handle(
        &self,
        _myself: ActorRef<SlotMessage>,
        message: SlotMessage,
        state: &mut SlotState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SlotMessage::Do(log, command, reply, _place) => state.pass(log, command, reply),
            SlotMessage::Read(log, after, limit, reply, _place) => state.read(log, after, limit, reply),
            SlotMessage::Subscribe(log, sink, reply, place) => state.subscribe(log, sink, reply, place),
            SlotMessage::Tail(log, reply, _place) => state.tail(&log, reply),
            SlotMessage::Unsubscribe(log, gateway) => state.unsubscribe(&log, &gateway),
            SlotMessage::Forget(gateway) => state.forget(&gateway),
            SlotMessage::Typing(log, user) => state.typing(log, user),
            SlotMessage::TailSeen(log, tail) => state.tail_seen(&log, tail),
            SlotMessage::Passive(log, actor, tail, taken) => state.passive(&log, &actor, tail, taken),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<SlotMessage>,
        event: SupervisionEvent,
        state: &mut SlotState,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorTerminated(cell, ..) => state.ended(&cell.get_id(), None),
            SupervisionEvent::ActorFailed(cell, error) => state.ended(&cell.get_id(), Some(error)),
            _ => {}
        }
        Ok(())
    }
}

impl SlotState {
    /// The channel's actor, started if there is none.
    fn hot(&mut self, log: &LogId) -> Option<&mut Running> {
        let entry = self.channels.entry(log.clone()).or_default();
        // An actor that failed is replaced at once: what is sent to it would be lost until its end is noticed.
        entry.hot.take_if(|hot| hot.actor.get_status() > ActorStatus::Running);
        if entry.hot.is_none() {
            let args = ChannelArgs {
                id: log.clone(),
                slot: self.args.slot,
                epoch: self.args.epoch,
                audience: entry.audience.clone(),
                keeper: self.myself.clone(),
                pilot: self.args.pilot.clone(),
                router: self.args.router.clone(),
                config: self.args.config.clone(),
            };
            let supervisor = self.myself.get_cell();
            match ActorRuntime::<Channel>::spawn_linked_instant(None, Channel, args, supervisor) {
                Ok((actor, _starting)) => {
                    metrics::counter!("waggle_channels_started_total").increment(1);
                    metrics::gauge!("channel_server_channels_per_host").increment(1.0);
                    self.running.insert(actor.get_id(), log.clone());
                    let most = self.args.config.channel_pending_max;
                    let most = if cluster::planted!(GateWithoutBound) { usize::MAX } else { most };
                    let gate = Gate::with_peak(most, self.args.router.peaks().channel.clone());
                    entry.hot = Some(Running { actor, gate, passed: 0 });
                }
                Err(error) => tracing::error!(channel = ?log, %error, "channel actor could not be started"),
            }
        }
        entry.hot.as_mut()
    }

    fn pass(&mut self, log: LogId, command: Command, reply: ReplyTo) {
        let Some(running) = self.hot(&log) else { return };
        match running.gate.enter() {
            Some(place) => {
                running.send(ChannelMessage::Do(command, Admitted::new(reply, Some(place))));
            }
            None => {
                metrics::counter!("waggle_channel_busy_total").increment(1);
                reply.answer(Err(Refusal::Busy { retry_after_ms: 200 }));
            }
        }
    }

    fn read(
        &mut self,
        log: LogId,
        after: u64,
        limit: usize,
        reply: oneshot::Sender<Result<Replay, StoreError>>,
    ) {
        let Some(running) = self.hot(&log) else { return };
        match running.gate.enter() {
            Some(place) => running.send(ChannelMessage::Read(Reader { after, limit, reply, place })),
            None => _ = reply.send(Err(StoreError::Busy)),
        }
    }

    /// Listening wakes nobody: a passive channel's tail is known here or in the store.
    fn subscribe(&mut self, log: LogId, sink: GatewaySink, reply: TailReply, place: Permit) {
        if sink.is_over() {
            let _ = reply.send(Err(StoreError::Unavailable("the gateway has gone".into())));
            return;
        }
        let entry = self.channels.entry(log.clone()).or_default();
        entry.audience.add(sink);
        self.args.pilot.host.fault(FaultPoint::Subscribed);
        match (&entry.hot, entry.tail) {
            (None, Some(tail)) => _ = reply.send(Ok(tail)),
            // An actor that failed may have had an append under way: only the next one knows how it ended.
            (None, None) if entry.panics == 0 => self.read_tail(log, reply, place),
            _ => self.tail(&log, reply),
        }
    }

    fn read_tail(&self, log: LogId, reply: TailReply, place: Permit) {
        let (store, myself) = (self.args.pilot.store.clone(), self.myself.clone());
        self.args.pilot.host.spawn("slot tail", async move {
            match load::stand(&*store, &log).await {
                Ok(Some(tail)) => _ = reply.send(Ok(tail)),
                // Something is left to be done, or it cannot be read: the channel's actor sees to it.
                Ok(None) | Err(_) => _ = myself.cast(SlotMessage::Tail(log, reply, place)),
            }
        });
    }

    fn tail(&mut self, log: &LogId, reply: TailReply) {
        let Some(running) = self.hot(log) else { return };
        match running.gate.enter() {
            Some(place) => running.send(ChannelMessage::Tail(reply, place)),
            None => _ = reply.send(Err(StoreError::Busy)),
        }
    }

    fn unsubscribe(&mut self, log: &LogId, gateway: &str) {
        if let Some(entry) = self.channels.get(log) {
            entry.audience.remove(gateway);
            if entry.hot.is_none() && entry.audience.is_empty() {
                self.channels.remove(log);
            }
        }
    }

    fn forget(&mut self, gateway: &str) {
        self.channels.retain(|_, entry| {
            entry.audience.remove(gateway);
            entry.hot.is_some() || !entry.audience.is_empty()
        });
    }

    fn typing(&mut self, log: LogId, user: UserId) {
        // Transient, and no reason to wake a channel: whoever listens is known here.
        if let Some(entry) = self.channels.get(&log) {
            self.args.pilot.host.fault(FaultPoint::Transient);
            entry.audience.typing(&log, &user);
        }
    }

    /// An earlier owner's batch may land after this one has read the tail: nobody else would tell of it.
    fn tail_seen(&mut self, log: &LogId, tail: u64) {
        let Some(entry) = self.channels.get_mut(log) else { return };
        match &mut entry.hot {
            Some(hot) => hot.send(ChannelMessage::TailSeen(tail)),
            None => {
                entry.tail = None;
                entry.audience.remind(log, tail);
            }
        }
    }

    fn passive(&mut self, log: &LogId, actor: &ActorId, tail: u64, taken: u64) {
        let Some(entry) = self.channels.get_mut(log) else { return };
        // What came to it after it said so may be done already: then the tail, too, is another.
        let quiet = entry.hot.as_ref().is_some_and(|hot| hot.actor.get_id() == *actor && hot.passed == taken);
        if !quiet {
            return;
        }
        if let Some(hot) = entry.hot.take() {
            hot.actor.stop(Some("passive".into()));
        }
        entry.tail = Some(tail);
        entry.panics = 0;
        if entry.audience.is_empty() {
            self.channels.remove(log);
        }
    }

    fn ended(&mut self, actor: &ActorId, error: Option<ActorProcessingErr>) {
        let Some(log) = self.running.remove(actor) else { return };
        metrics::gauge!("channel_server_channels_per_host").decrement(1.0);
        let Some(entry) = self.channels.get_mut(&log) else { return };
        if entry.hot.as_ref().is_some_and(|hot| hot.actor.get_id() == *actor) {
            (entry.hot, entry.tail) = (None, None);
        }
        let Some(error) = error else { return };
        metrics::counter!("waggle_channel_panics_total").increment(1);
        tracing::error!(channel = ?log, %error, "channel actor failed; it is started again from the store");
        entry.panics += 1;
        if entry.panics <= EAGER_RESTARTS_MAX && !cluster::planted!(NoEagerRestart) {
            // What was durable but not delivered is found by the tail that the new actor announces; follow-ups that
            // were not done are done, whether anybody listens or not.
            self.hot(&log);
        }
    }
}
