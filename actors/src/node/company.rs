//! A node among others: it serves their gateways, and takes over from owners that are gone.

use super::inspect::Others;
use super::wake;
use crate::channel::flight::Pilot;
use crate::context::Context;
use crate::gateway::Gateway;
use crate::peers::{CHANNELS, PeerService, Peers};
use crate::relay::RelayMessage;
use crate::shard::GoAway;
use crate::tickets::remote::TICKETS;
use cluster::charm::sight::CELL;
use cluster::charm::{Charm, CharmArgs, Departure, Shown};
use cluster::gossip::Gossip;
use cluster::host::Host;
use cluster::link::roles::{Role, Roles};
use cluster::node::NodeId;
use cluster::placement::Door;
use cluster::slots::Slot;
use cluster::switchboard::Switchboard;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// A node that leaves tries for this long to hand its slots over: links may be on their way up.
const HANDED_WITHIN: Duration = Duration::from_secs(5);
const HAND_AGAIN: Duration = Duration::from_millis(100);
/// How often it is looked whether owners are heard: a token that has ended closes its sessions within five seconds.
const UNHEARD_LOOK: Duration = Duration::from_secs(1);
/// How often a gateway looks whether it is cut off.
const CUT_OFF_LOOK: Duration = Duration::from_millis(500);
/// Sessions are sent away over this long: others have room for them, and are to notice little.
const AWAY_WINDOW: Duration = Duration::from_secs(3);
/// Why they are.
const CUT_OFF: &str = "cut_off";

/// What a node needs of the others.
#[derive(Clone)]
pub struct Company {
    /// The way to them.
    pub board: Switchboard,
    /// Who is there.
    pub gossip: Gossip,
    /// Configured members of the cell, this node included.
    pub members: BTreeSet<NodeId>,
}

impl Company {
    /// The manager of this node's slots.
    pub(super) fn charm(&self, pilot: &Pilot, door: &Door) -> Charm {
        Charm::new(CharmArgs {
            host: pilot.host.clone(),
            me: Arc::new(pilot.routes.me().clone()),
            members: self.members.clone(),
            claims: pilot.claims.clone(),
            routes: pilot.routes.clone(),
            gossip: self.gossip.clone(),
            board: self.board.clone(),
            door: door.clone(),
        })
    }

    /// Begins to serve peers, to look after the slots, and to hear of their changes; answers the way to leave, and
    /// what is known of the others.
    pub(super) fn keep(
        self,
        charm: Charm,
        context: &Context,
        peers: Peers,
        relay: &mpsc::Sender<RelayMessage>,
    ) -> (Leave, Others) {
        let Self { board, gossip, members: _ } = self;
        let host = &context.host;
        let others = Others { board: board.clone(), gossip: gossip.clone(), shown: charm.shown() };
        let leave = Leave { departure: charm.departure(), gossip };
        let channels = PeerService::new(peers.clone(), context.router.clone(), relay.clone());
        let talkers = Roles::of(&[Role::Gateway, Role::Channels]);
        board.offer(CHANNELS, talkers, Arc::new(channels));
        board.offer(TICKETS, Roles::of(&[Role::Gateway]), Arc::new(context.tickets.clone()));
        board.offer(CELL, talkers, Arc::new(charm.sights()));
        host.spawn("charm", charm.run());
        host.spawn("slots changed", follow(context.clone(), relay.clone()));
        let me = context.router.me().clone();
        host.spawn("unheard owners", unheard_owners(context.clone(), me, board.clone(), relay.clone()));
        let (beat, every) = (host.clone(), Duration::from_millis(context.config.beacon_interval_ms));
        host.spawn("tail beacons of peers", async move {
            loop {
                beat.sleep(every).await;
                peers.beacon();
            }
        });
        (leave, others)
    }
}

/// The way of a node out of its company.
#[derive(Clone)]
pub(super) struct Leave {
    departure: Departure,
    gossip: Gossip,
}

impl Leave {
    /// Hands the slots over: this node's sessions use their channels where these are then.
    pub(super) async fn hand_over(&self, host: &Host) {
        let begun = host.monotonic();
        loop {
            let left = self.departure.depart().await;
            let (slots, took) = (left.slots, host.monotonic() - begun);
            if slots == 0 {
                return tracing::info!(?took, "all slots handed over");
            }
            if !left.has_taker {
                return tracing::info!(slots, "no other node takes the slots; they stay as they are");
            }
            if took >= HANDED_WITHIN {
                return tracing::warn!(slots, "slots not handed over; others take them without this node");
            }
            host.sleep(HAND_AGAIN).await;
        }
    }
    /// Says goodbye.
    pub(super) fn go(&self) {
        self.gossip.leave();
    }
}

/// A gateway that is cut off from some that others reach sends its sessions to those: channels of the ones that it does
/// not reach are of no use to its users as long as that lasts.
pub(super) async fn send_away_while_cut_off(host: Host, shown: Shown, gateway: Gateway) {
    loop {
        host.sleep(CUT_OFF_LOOK).await;
        match (shown.now().is_cut_off, gateway.is_away()) {
            (true, false) => gateway.send_away(&GoAway { reason: CUT_OFF, window: AWAY_WINDOW }).await,
            (false, true) => gateway.welcome(CUT_OFF).await,
            _ => {}
        }
    }
}

/// Owners from which this node has heard nothing for a while, and whose slots nobody else has taken: they may be cut
/// off from this node alone. What they say of users here, the end of a token above all, has to be looked up.
async fn unheard_owners(context: Context, me: NodeId, board: Switchboard, relay: mpsc::Sender<RelayMessage>) {
    let mut before = BTreeSet::new();
    loop {
        context.host.sleep(UNHEARD_LOOK).await;
        let linked = board.peers();
        let mut unheard = context.router.table().now().owners();
        unheard.retain(|owner| *owner != me && !linked.contains_key(owner));
        let slots: BTreeSet<Slot> =
            unheard.intersection(&before).flat_map(|owner| context.router.slots_of(owner)).collect();
        if !slots.is_empty() && relay.send(RelayMessage::Unheard(slots)).await.is_err() {
            return;
        }
        before = unheard;
    }
}

/// Slots have changed hands, first of all those that were claimed at the start: the relay listens to their new owners.
/// What an earlier owner may have left undone, or have written without anybody hearing of it, is looked after in those
/// that are this node's now.
async fn follow(context: Context, relay: mpsc::Sender<RelayMessage>) {
    loop {
        let slots = context.router.table().changes().next().await;
        let (here, elsewhere): (Vec<Slot>, Vec<Slot>) =
            slots.iter().partition(|slot| context.router.is_here(**slot));
        context.router.step_down(&elsewhere);
        let slots = if cluster::planted!(NotRenewedOnMove) { BTreeSet::new() } else { slots };
        if relay.send(RelayMessage::Renew(slots)).await.is_err() {
            return;
        }
        if !here.is_empty() && !cluster::planted!(ActiveNotLookedAt) {
            metrics::counter!("waggle_takeovers_total").increment(1);
            metrics::counter!("waggle_slots_taken_total").increment(here.len() as u64);
            context.host.spawn("wake", wake(context.clone(), false));
        }
    }
}
