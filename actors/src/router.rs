//! The way to a channel: its slot, the slot's actor here or the node that owns it, and retries of what is lost on the
//! way.

mod forward;

use crate::channel::audience::GatewaySink;
use crate::channel::flight::Pilot;
use crate::channel::replay::Replay;
use crate::command::{Command, Done, ReplyTo};
use crate::config::Config;
use crate::gate::{Gate, Peaks};
use crate::hops::{Hop, Hops, Span};
use crate::peer::PeerNotice;
use crate::peers::Peers;
use crate::slot::{SlotArgs, SlotKeeper, SlotMessage};
use crate::store::{LogId, StoreError};
use cluster::host::Host;
use cluster::node::NodeId;
use cluster::router::Route;
use cluster::slots::told::ToldSlots;
use cluster::slots::{SLOTS, Slot, slot_of};
use cluster::table::Table;
use proto::id::UserId;
use proto::refusal::Refusal;
use proto::ts::Micros;
use ractor::{ActorCell, ActorRef, ActorRuntime, ActorStatus};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// Times a command is sent again when its answer got lost inside (an actor that panicked, a slot that moved).
pub const RESENDS_MAX: u32 = 5;

/// Commands of this node that may wait for the owners of their channels; beyond it senders are told to try again.
pub const PARKED_MAX: usize = 16_384;

/// A growing wait: 10 ms, doubled each time, at most 5 s.
pub fn back_off(tries: u32) -> Duration {
    Duration::from_millis((10u64 << tries.min(9)).min(5000))
}

struct Keeper {
    actor: ActorRef<SlotMessage>,
    gate: Gate,
    epoch: u64,
}

struct Shared {
    pilot: Pilot,
    config: Arc<Config>,
    root: ActorCell,
    lost: ToldSlots,
    peaks: Peaks,
    keepers: Vec<Mutex<Option<Keeper>>>,
    /// Other nodes; `None` where there are none.
    peers: Option<Peers>,
    /// Commands that may wait for an owner.
    parked: Arc<Semaphore>,
    hops: Hops,
}

/// Sends to channels by their slot. Cheap to clone.
#[derive(Clone)]
pub struct Router(Arc<Shared>);

impl Router {
    /// The node whose router this is.
    pub fn me(&self) -> &NodeId {
        &self.0.pilot.routes.me().id
    }

    /// A router over the node's slot table; slot actors are started under `root` when first needed.
    /// `lost` is told of each that ends.
    pub fn new(
        pilot: Pilot,
        config: Arc<Config>,
        root: ActorCell,
        lost: ToldSlots,
        peers: Option<Peers>,
    ) -> Self {
        let keepers = (0..SLOTS).map(|_| Mutex::new(None)).collect();
        let (peaks, parked) = (Peaks::default(), Arc::new(Semaphore::new(PARKED_MAX)));
        let hops = Hops::new(config.trace_hops_max);
        Self(Arc::new(Shared { pilot, config, root, lost, peaks, keepers, peers, parked, hops }))
    }

    /// How long this node's queues have been.
    pub fn peaks(&self) -> &Peaks {
        &self.0.peaks
    }

    /// What messages went through here.
    pub fn hops(&self) -> &Hops {
        &self.0.hops
    }
    /// Notes that somebody who asked here at `asked_us` has the answer.
    pub(crate) fn note_asked(&self, log: &LogId, done: &Done, asked_us: Micros) {
        if done.seq > 0 {
            let span = |hop, at_us| Span { us: done.us, seq: done.seq, hop, at_us, count: 0 };
            self.0.hops.note(log, [span(Hop::Asked, asked_us), span(Hop::Answered, self.host().now_us())]);
        }
    }

    /// The slot of a log.
    pub fn slot(log: &LogId) -> Slot {
        slot_of(log.workspace.as_str().as_bytes(), log.channel.to_string().as_bytes(), 1, None)
    }

    /// Whether this node owns the slot, as far as it knows.
    pub fn is_here(&self, slot: Slot) -> bool {
        matches!(self.0.pilot.routes.route(slot), Route::Local { .. })
    }
    /// Whether a refusal by a channel of this node is the end of a command: not when the slot is another's by now.
    pub fn is_final(&self, slot: Slot, refusal: &Refusal) -> bool {
        self.is_here(slot) || !matches!(refusal, Refusal::Unavailable(_) | Refusal::OutOfReach(_))
    }
    /// Who owns which slot, as far as this node knows.
    pub fn table(&self) -> &Table {
        self.0.pilot.routes.table()
    }
    /// Slots of a node, in whatever life of it, as far as this one knows.
    pub fn slots_of(&self, node: &NodeId) -> BTreeSet<Slot> {
        let table = self.table().now();
        Slot::all().filter(|slot| table.owner(*slot).is_some_and(|owner| owner.node.id == *node)).collect()
    }
    /// Time, chance, tasks.
    pub fn host(&self) -> &Host {
        &self.0.pilot.host
    }

    /// Sends to the slot's actor. Gives the message's place back as a refusal when there is no room or no owner.
    fn send(
        &self,
        log: &LogId,
        message: impl FnOnce(crate::gate::Permit) -> SlotMessage,
    ) -> Result<(), Refusal> {
        let slot = Self::slot(log);
        let Route::Local { epoch } = self.0.pilot.routes.route(slot) else {
            return Err(Refusal::Unavailable(format!("slot {slot} is not owned by this node")));
        };
        let mut keeper =
            self.0.keepers[usize::from(slot.number())].lock().unwrap_or_else(PoisonError::into_inner);
        let alive = keeper
            .as_ref()
            .is_some_and(|keeper| keeper.epoch == epoch && keeper.actor.get_status() <= ActorStatus::Running);
        if !alive {
            if let Some(old) = keeper.take() {
                // Its epoch is over: what its channels have not answered is sent again to the new one.
                old.actor.stop(Some("the slot's epoch changed".into()));
            }
            *keeper = Some(self.start(slot, epoch)?);
        }
        let Some(keeper) = keeper.as_ref() else { return Err(Refusal::Unknown) };
        let Some(place) = keeper.gate.enter() else {
            metrics::counter!("waggle_slot_busy_total").increment(1);
            return Err(Refusal::Busy { retry_after_ms: 200 });
        };
        // A slot that ends at this moment drops the message; who waits for its answer sends it again.
        let _ = keeper.actor.cast(message(place));
        Ok(())
    }

    fn start(&self, slot: Slot, epoch: u64) -> Result<Keeper, Refusal> {
        if self.0.root.get_status() > ActorStatus::Running {
            return Err(Refusal::Unavailable("the node stops".into()));
        }
        let args = SlotArgs {
            slot,
            epoch,
            pilot: self.0.pilot.clone(),
            router: self.clone(),
            config: self.0.config.clone(),
            lost: self.0.lost.clone(),
        };
        let started =
            ActorRuntime::<SlotKeeper>::spawn_linked_instant(None, SlotKeeper, args, self.0.root.clone());
        let (actor, _starting) = started.map_err(|error| Refusal::Unavailable(error.to_string()))?;
        let gate = Gate::with_peak(self.0.config.slot_pending_max, self.0.peaks.slot.clone());
        Ok(Keeper { actor, gate, epoch })
    }

    /// Sends a command to wherever its channel is; the answer comes to `reply`, or `reply` is dropped when the command
    /// got lost.
    pub fn submit(&self, log: &LogId, command: Command, reply: ReplyTo) {
        match &self.0.peers {
            Some(peers) if !self.is_here(Self::slot(log)) => self.forward(peers, log, command, reply),
            _ => self.submit_here(log, command, reply),
        }
    }

    /// The same for a channel of this node.
    pub fn submit_here(&self, log: &LogId, mut command: Command, reply: ReplyTo) {
        if cluster::planted!(FreshKeyOnResend) && command.attempt > 0 {
            command = self.keyed(Command { key: String::new(), ..command });
        }
        let mut reply = Some(reply);
        let sent = self.send(log, |place| {
            let reply = reply.take().unwrap_or_else(|| Box::new(oneshot::channel().0));
            SlotMessage::Do(log.clone(), command, reply, place)
        });
        if let (Err(refusal), Some(reply)) = (sent, reply) {
            reply.answer(Err(refusal));
        }
    }

    /// Gives a command a key if it has none, so that sending it again inside cannot double it.
    pub fn keyed(&self, command: Command) -> Command {
        if !command.key.is_empty() {
            return command;
        }
        let entropy = self.0.pilot.host.entropy();
        Command { key: format!("s-{:016x}{:016x}", entropy.next_u64(), entropy.next_u64()), ..command }
    }

    /// Runs a command to its durable end, sending it again under the same key when its answer got lost.
    pub async fn execute(&self, log: LogId, command: Command) -> Result<Done, Refusal> {
        let (mut command, asked_us) = (self.keyed(command), self.host().now_us());
        for tries in 0..RESENDS_MAX {
            let (reply, answer) = oneshot::channel();
            self.submit(&log, command.clone(), Box::new(reply));
            if let Ok(result) = answer.await {
                result.iter().for_each(|done| self.note_asked(&log, done, asked_us));
                return result.map_err(|refusal| command.refused(refusal));
            }
            metrics::counter!("waggle_commands_resent_total").increment(1);
            command.attempt += 1;
            self.0.pilot.host.sleep(back_off(tries)).await;
        }
        Err(Refusal::Unknown)
    }

    /// Events of a log after a cursor.
    pub async fn read(&self, log: &LogId, after: u64, limit: usize) -> Result<Replay, StoreError> {
        match &self.0.peers {
            Some(peers) => self.read_anywhere(peers, log, after, limit).await,
            None => self.read_here(log, after, limit).await,
        }
    }

    /// The same of a log of this node.
    pub async fn read_here(&self, log: &LogId, after: u64, limit: usize) -> Result<Replay, StoreError> {
        self.ask(log, |reply| {
            self.send(log, |place| SlotMessage::Read(log.clone(), after, limit, reply, place))
        })
        .await
    }

    /// Subscribes this node's gateway; answers the tail.
    pub async fn subscribe(&self, log: &LogId, sink: &GatewaySink) -> Result<u64, StoreError> {
        match &self.0.peers {
            Some(peers) => self.subscribe_anywhere(peers, log, sink).await,
            None => self.subscribe_here(log, sink).await,
        }
    }

    /// Subscribes a gateway to a log of this node.
    pub async fn subscribe_here(&self, log: &LogId, sink: &GatewaySink) -> Result<u64, StoreError> {
        self.ask(log, |reply| {
            self.send(log, |place| SlotMessage::Subscribe(log.clone(), sink.clone(), reply, place))
        })
        .await
    }

    /// What is answered from memory is answered under a claim that was confirmed lately (F6).
    async fn ask<T>(
        &self,
        log: &LogId,
        send: impl Fn(oneshot::Sender<Result<T, StoreError>>) -> Result<(), Refusal>,
    ) -> Result<T, StoreError> {
        if !self.0.pilot.tenure.holds(Self::slot(log)).await {
            return Err(StoreError::Unavailable("another node owns this channel now".into()));
        }
        for tries in 0..RESENDS_MAX {
            let (reply, answer) = oneshot::channel();
            match send(reply) {
                Err(Refusal::Busy { .. }) => {}
                Err(refusal) => return Err(StoreError::Unavailable(refusal.to_string())),
                Ok(()) => match answer.await {
                    Ok(Err(StoreError::Busy)) | Err(_) => {}
                    Ok(result) => return result,
                },
            }
            self.0.pilot.host.sleep(back_off(tries)).await;
        }
        Err(StoreError::Busy)
    }

    /// This node's last listener of a log left.
    pub fn unsubscribe(&self, log: &LogId, gateway: Arc<str>) {
        self.unsubscribe_here(log, gateway);
        self.tell_owner(log, |peers| PeerNotice::Unsubscribe(log.clone(), peers.boot()));
    }
    /// Tells a channel how far the store has it.
    pub fn tail_seen(&self, log: &LogId, tail: u64) {
        self.tail_seen_here(log, tail);
        self.tell_owner(log, |_| PeerNotice::TailSeen(log.clone(), tail));
    }
    /// Somebody types.
    pub fn typing(&self, log: &LogId, user: UserId) {
        self.tell_owner(log, |_| PeerNotice::Typing(log.clone(), user.clone()));
        self.typing_here(log, user);
    }
    /// A gateway's last listener of a log of this node left.
    pub fn unsubscribe_here(&self, log: &LogId, gateway: Arc<str>) {
        self.tell(log, |log| SlotMessage::Unsubscribe(log, gateway));
    }
    /// The store has a log of this node so far.
    pub fn tail_seen_here(&self, log: &LogId, tail: u64) {
        self.tell(log, |log| SlotMessage::TailSeen(log, tail));
    }
    /// Somebody types in a channel of this node.
    pub fn typing_here(&self, log: &LogId, user: UserId) {
        self.tell(log, |log| SlotMessage::Typing(log, user));
    }

    /// A gateway is gone: it listens to nothing here any more.
    pub fn forget_gateway(&self, gateway: &NodeId) {
        for keeper in &self.0.keepers {
            if let Some(keeper) = keeper.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
                let _ = keeper.actor.cast(SlotMessage::Forget(gateway.as_str().into()));
            }
        }
    }

    /// Lets go of slots that are another's now; what their channels have not answered is sent again to that one.
    pub fn step_down(&self, slots: &[Slot]) {
        for slot in slots.iter().filter(|slot| !self.is_here(**slot)) {
            let keeper = &self.0.keepers[usize::from(slot.number())];
            if let Some(keeper) = keeper.lock().unwrap_or_else(PoisonError::into_inner).take() {
                keeper.actor.stop(Some("the slot is another node's".into()));
            }
        }
    }

    /// For a slot that already has an actor; its gate still bounds what waits.
    fn tell(&self, log: &LogId, message: impl FnOnce(LogId) -> SlotMessage) {
        let slot = Self::slot(log);
        let keeper =
            self.0.keepers[usize::from(slot.number())].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keeper) = keeper.as_ref()
            && keeper.gate.inside() < self.0.config.slot_pending_max
        {
            let _ = keeper.actor.cast(message(log.clone()));
        }
    }
}
