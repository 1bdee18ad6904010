//! A node's actors: claims its slots, starts relay, shards and gateway; stops them in the reverse order.
//!
//! Owns: the root of the slots' actors, for one life of the node.
//! Promises: nothing starts before the slots are claimed; a slot's actor that fails is started again, and followed as
//! before.
//! May lose: sessions that are left when a stop runs out of time; they resume from their cursors.
//! Never does: open a socket, or take a slot that another node may hold.

mod clock;
pub mod company;
mod inspect;
mod trace;

use crate::channel::flight::Pilot;
use crate::channel::load;
use crate::channel::replay::NO_EVENTS;
use crate::config::Config;
use crate::context::Context;
use crate::gateway::Gateway;
use crate::peers::Peers;
use crate::placement::Placement;
use crate::relay::{Relay, RelayMessage};
use crate::router::Router;
use crate::shard::{GoAway, SHARD_MAILBOX_MAX, Shard};
use crate::store::{LogId, Store, StoreError};
use crate::tenure::Tenure;
use crate::tickets::Tickets;
use cluster::charm::Charm;
use cluster::claimant::{CellView, ClaimantError, claim_slots};
use cluster::claims::Claims;
use cluster::host::{FaultPoint, Host};
use cluster::link::roles::Roles;
use cluster::node::Node as Me;
use cluster::placement::Door;
use cluster::slots::Slot;
use cluster::slots::told::ToldSlots;
use cluster::table::Table;
use company::{Company, Leave};
use futures::stream::{self, StreamExt};
pub use inspect::offer_facts;
use inspect::{FACTS, Facts, Others};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use trace::{HOPS, Memory};

/// How often a stopping node looks whether its sessions are gone.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// When the tails of channels that an earlier owner wrote to last are looked at again: a request to the store has
/// its end within seconds.
const LATE_LOOKS: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(10)];

/// Channels that are woken, or looked at, at a time: a node that takes over for a busy one has thousands before it.
const WAKES_AT_ONCE: usize = 32;
/// First and longest pause between attempts to wake channels.
const WAKE_PAUSE_FIRST: Duration = Duration::from_millis(200);
const WAKE_PAUSE_MAX: Duration = Duration::from_secs(5);
/// Attempts, some five minutes; after them a channel is woken when somebody needs it.
const WAKE_ATTEMPTS_MAX: usize = 64;

/// Why a node did not start; nothing of it runs.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The slot table could not be settled. Claims that were made stay made; starting again is safe.
    #[error("the node could not claim its slots: {0}")]
    Claims(#[from] ClaimantError),
    /// The root actor did not start.
    #[error("the root actor did not start: {0}")]
    Root(String),
}

/// The supervisor of the slots. A slot that fails takes its channels with it; each is started again when needed.
struct Root;

impl Actor for Root {
    type Msg = RootMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<RootMessage>, _: ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<RootMessage>,
        event: SupervisionEvent,
        _: &mut (),
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(_, error) = event {
            metrics::counter!("waggle_slot_panics_total").increment(1);
            tracing::error!(%error, "slot actor failed; it is started again when it is needed");
        }
        Ok(())
    }
}

/// The root takes no messages: it only supervises.
#[derive(ractor_cluster::RactorMessage)]
enum RootMessage {}

/// One node's actors, over a host, a store and claims. No sockets.
#[derive(Clone)]
pub struct Node {
    /// What API calls and sessions share.
    pub context: Context,
    /// Seats for sessions.
    pub gateway: Gateway,
    /// This life of the node.
    pub me: Arc<Me>,
    /// Slots that were claimed at the start.
    pub claimed: usize,
    root: ActorCell,
    door: Door,
    /// The way out, where there are others.
    leave: Option<Leave>,
    /// What is known of them.
    others: Option<Others>,
    facts: Facts,
    tenure: Tenure,
    /// Whether another life of it has its place.
    replaced: watch::Receiver<bool>,
}

impl Node {
    /// Claims the slots and starts everything, as a node by itself.
    pub async fn start(
        host: Host,
        store: Arc<dyn Store>,
        claims: Arc<dyn Claims>,
        config: Config,
        me: Me,
    ) -> Result<Self, StartError> {
        Self::start_among(host, store, claims, config, me, None).await
    }

    /// The same as one of several; claims its share of the slots.
    pub async fn start_among(
        host: Host,
        store: Arc<dyn Store>,
        claims: Arc<dyn Claims>,
        config: Config,
        me: Me,
        company: Option<Company>,
    ) -> Result<Self, StartError> {
        host.fault(FaultPoint::BeforeClaims);
        let members =
            company.as_ref().map_or_else(|| [me.id.clone()].into(), |company| company.members.clone());
        let claimed = claim_slots(&*claims, &me, &CellView::starting(members), &host).await?;
        let (me, table) = (Arc::new(me), Arc::new(Table::new()));
        table.apply(&claimed.rows);
        host.fault(FaultPoint::SlotsClaimed);
        let (root, _ended) =
            Actor::spawn(None, Root, ()).await.map_err(|error| StartError::Root(error.to_string()))?;
        let root = root.get_cell();
        let config = Arc::new(config);
        let routes = cluster::router::Router::new(me.clone(), table);
        let exclusive = claims.is_exclusive();
        let tenure = Tenure::new(host.clone(), claims.clone(), routes.clone());
        let pilot =
            Pilot { host: host.clone(), store: store.clone(), claims, routes, tenure: tenure.clone() };
        let lost = ToldSlots::default();
        let peers = company.as_ref().map(|company| Peers::new(company.board.clone(), me.boot));
        let router = Router::new(pilot.clone(), config.clone(), root.clone(), lost.clone(), peers.clone());
        let others = company.as_ref().map(|company| company.board.clone());
        let tickets = Tickets::new(host.clone(), me.id.clone(), config.tickets_max, config.ticket_ms, others);
        let door = Door::new(&config.gateway_url);
        let charm = company.as_ref().map(|company| company.charm(&pilot, &door));
        let placement = Placement::new(config.clone(), charm.as_ref().map(Charm::shown));
        let context =
            Context { host: host.clone(), store, router: router.clone(), tickets, placement, config };
        let (shards, relay) = start_relay(&context, me.id.as_str());
        let sessions_max = context.config.sessions_max;
        let gateway = Gateway::new(context.clone(), shards, me.id.as_str(), me.boot.0, sessions_max);
        let gossip = company.as_ref().map(|company| company.gossip.clone());
        let facts = Facts::new(&host, gossip, Some((gateway.clone(), router.hops().clone())));
        if let Some(company) = &company {
            company.board.offer(FACTS, Roles::ALL, Arc::new(facts.clone()));
            company.board.offer(HOPS, Roles::ALL, Arc::new(Memory { router: router.clone() }));
        }
        let company = company.zip(charm).zip(peers.clone());
        let kept = company.map(|((company, charm), peers)| company.keep(charm, &context, peers, &relay));
        let (leave, others) = kept.unzip();
        if leave.is_none() {
            host.spawn("wake", wake(context.clone(), exclusive));
        }
        if let Some(Others { shown, .. }) = &others {
            let doors = company::send_away_while_cut_off(host.clone(), shown.clone(), gateway.clone());
            host.spawn("doors", doors);
        }
        host.spawn("lost slots", replace_lost(context.clone(), lost, (relay, peers)));
        let ((tells, replaced), claimed) = (watch::channel(false), claimed.claimed);
        let node = Self { context, gateway, me, claimed, root, door, leave, others, facts, tenure, replaced };
        host.spawn("replaced", node.clone().leave_when_replaced(tells));
        Ok(node)
    }

    /// Its door is open: from here on others may send users there.
    pub fn open_door(&self) {
        self.door.open();
    }

    /// Whether it knows an owner of every slot. A node that starts with others learns of theirs when links come up.
    pub fn knows_all_owners(&self) -> bool {
        let table = self.context.router.table().now();
        Slot::all().all(|slot| table.owner(slot).is_some())
    }

    /// Sends sessions away over `window`, hands the slots over to other nodes meanwhile, waits for the sessions and for
    /// what is on its way to the store. False when `limit` ran out first: sessions that are left are cut, and resume by
    /// cursor.
    pub async fn stop(&self, window: Duration, limit: Duration) -> bool {
        let host = &self.context.host;
        self.gateway.drain(&GoAway { reason: "restarting", window }).await;
        let drained = host
            .timeout(limit, async {
                // Who leaves says so: from then on others send no users here. Who has been replaced has done that,
                // and has nothing to hand over.
                if let Some(leave) = self.leave.as_ref().filter(|_| !*self.replaced.borrow()) {
                    leave.hand_over(host).await;
                }
                while self.gateway.sessions() > 0 {
                    host.sleep(DRAIN_LOOK).await;
                }
            })
            .await
            .is_ok();
        self.root.stop(Some("the node stops".into()));
        self.leave.iter().for_each(Leave::go);
        drained
    }

    /// A node that was frozen may find another one in its place: it sends its sessions there and answers nothing more.
    async fn leave_when_replaced(self, tells: watch::Sender<bool>) {
        self.tenure.replaced().await;
        metrics::counter!("waggle_node_replaced_total").increment(1);
        tracing::error!(node = %self.me.id, "another life of this node has taken its place; this one stops serving");
        self.context.host.fault(FaultPoint::Replaced);
        self.door.close();
        self.gateway.drain(&GoAway { reason: "replaced", window: Duration::ZERO }).await;
        self.root.stop(Some("replaced".into()));
        tells.send_replace(true);
    }

    /// Another life of this node has its place: this one stops serving.
    pub fn give_way(&self) {
        self.tenure.give_way();
    }

    /// Completes when another life of this node has its place: this one serves nothing any more.
    pub async fn replaced(&self) {
        let mut replaced = self.replaced.clone();
        if replaced.wait_for(|replaced| *replaced).await.is_err() {
            // It ends in another way.
            std::future::pending::<()>().await;
        }
    }

    /// Ends all actors at once, as a crash does: nothing is drained.
    pub fn kill(&self) {
        self.root.kill();
    }
}

/// Wakes the channels that were written to last before this node started: what follows from their events in other
/// logs may not have been done.
///
/// Where another node may have owned them, their tails are looked at again after a while: a batch that was on its
/// way to the store, or that a frozen owner sent when it thawed, lands after they were read.
async fn wake(context: Context, exclusive: bool) {
    let mut tails = BTreeMap::new();
    wake_all(&context, last_active(&context).await, &mut tails).await;
    let looks = if exclusive { &[] } else { &LATE_LOOKS[..] };
    for wait in looks {
        context.host.sleep(*wait).await;
        let looks = stream::iter(last_active(&context).await).map(async |log| {
            let tail = load::tail(&*context.store, &log).await;
            (log, tail)
        });
        let mut looks = pin!(looks.buffered(WAKES_AT_ONCE));
        let mut moved = Vec::new();
        while let Some((log, tail)) = looks.next().await {
            match tail {
                Ok(tail) if tails.get(&log) == Some(&tail) => {}
                Ok(tail) => {
                    context.router.tail_seen(&log, tail);
                    // It may have fallen asleep, with nobody listening: what follows from the event is to be done.
                    moved.push(log);
                }
                Err(error) => tracing::warn!(?log, %error, "tail could not be looked at again"),
            }
        }
        wake_all(&context, moved, &mut tails).await;
    }
}

/// Wakes channels, those that cannot be woken now again and again. Keeps their tails.
async fn wake_all(context: &Context, mut asleep: Vec<LogId>, tails: &mut BTreeMap<LogId, u64>) {
    for pause in pauses() {
        asleep = wake_each(context, asleep, tails).await;
        if asleep.is_empty() {
            return;
        }
        context.host.sleep(pause).await;
    }
}

/// Wakes channels; answers which of them may be woken later.
async fn wake_each(context: &Context, logs: Vec<LogId>, tails: &mut BTreeMap<LogId, u64>) -> Vec<LogId> {
    let wakes = stream::iter(logs).map(async |log| {
        let replay = context.router.read(&log, NO_EVENTS, 1).await;
        (log, replay)
    });
    let mut wakes = pin!(wakes.buffered(WAKES_AT_ONCE));
    let mut failed = Vec::new();
    while let Some((log, replay)) = wakes.next().await {
        match replay {
            Ok(replay) => _ = tails.insert(log, replay.tail),
            Err(error) => {
                tracing::warn!(?log, %error, "channel could not be woken");
                // What is damaged stays so, and is told to whoever needs it.
                failed.extend((!matches!(error, StoreError::Damaged(_))).then_some(log));
            }
        }
    }
    failed
}

/// The channels of this node that were written to last, as soon as the store tells.
async fn last_active(context: &Context) -> Vec<LogId> {
    for pause in pauses() {
        match context.store.last_active().await {
            Ok(mut logs) => {
                logs.retain(|log| context.router.is_here(Router::slot(log)));
                return logs;
            }
            Err(error) => {
                tracing::warn!(%error, "channels that were active could not be read");
                if matches!(error, StoreError::Damaged(_)) {
                    break;
                }
            }
        }
        context.host.sleep(pause).await;
    }
    Vec::new()
}

/// A pause after each attempt to wake channels: longer and longer.
fn pauses() -> impl Iterator<Item = Duration> {
    let longer = |pause: &Duration| Some((*pause * 2).min(WAKE_PAUSE_MAX));
    std::iter::successors(Some(WAKE_PAUSE_FIRST), longer).take(WAKE_ATTEMPTS_MAX)
}

/// A slot's actor that has ended is forgotten by nobody: the relays listen again at the next one, this node's and those
/// of peers, and channels with something to do are woken there.
async fn replace_lost(
    context: Context,
    lost: ToldSlots,
    (relay, peers): (mpsc::Sender<RelayMessage>, Option<Peers>),
) {
    loop {
        let slots = lost.next().await;
        peers.iter().for_each(|peers| peers.slots_anew(&slots));
        if relay.send(RelayMessage::Renew(slots.clone())).await.is_err() {
            return;
        }
        match context.store.last_active().await {
            Ok(mut logs) => {
                let is_ours = |slot| slots.contains(&slot) && context.router.is_here(slot);
                logs.retain(|log| is_ours(Router::slot(log)));
                // Once: what fails here again is woken when somebody needs it.
                wake_each(&context, logs, &mut BTreeMap::new()).await;
            }
            Err(error) => tracing::warn!(%error, "channels of a slot that failed could not be read"),
        }
    }
}

/// The ways to the shards.
type Shards = Vec<mpsc::Sender<crate::shard::ShardMessage>>;

/// Starts the relay and the shards' indexes; answers the ways to them.
fn start_relay(context: &Context, name: &str) -> (Shards, mpsc::Sender<RelayMessage>) {
    let (host, config) = (&context.host, &context.config);
    let (relay_sender, relay_mailbox) = mpsc::channel(config.relay_mailbox_max);
    let ping = Duration::from_millis(config.ping_interval_ms);
    let shards: Vec<_> = (0..host.shards())
        .map(|number| {
            let (sender, mailbox) = mpsc::channel(SHARD_MAILBOX_MAX);
            let shard = Shard::new(
                number,
                host.clone(),
                relay_sender.clone(),
                context.router.hops().clone(),
                &sender,
            );
            host.spawn_on(number, "shard", shard.run(mailbox, ping));
            sender
        })
        .collect();
    let relay = Relay::new(host.clone(), context.router.clone(), name, relay_sender.clone(), shards.clone());
    let (sink, every) = (relay.sink(), Duration::from_millis(config.beacon_interval_ms));
    host.spawn("relay", relay.run(relay_mailbox));
    let beat = host.clone();
    host.spawn("tail beacons", async move {
        loop {
            beat.sleep(every).await;
            sink.beacon();
        }
    });
    (shards, relay_sender)
}
