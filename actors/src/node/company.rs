//! A node among others: it serves their gateways, and takes over from owners that are gone.

use super::wake;
use crate::channel::flight::Pilot;
use crate::context::Context;
use crate::peers::{CHANNELS, PeerService, Peers};
use crate::relay::RelayMessage;
use crate::tickets::remote::TICKETS;
use cluster::charm::sight::CELL;
use cluster::charm::{Charm, CharmArgs};
use cluster::gossip::Gossip;
use cluster::node::NodeId;
use cluster::slots::Slot;
use cluster::switchboard::Switchboard;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// What a node needs of the others.
pub struct Company {
    /// The way to them.
    pub board: Switchboard,
    /// Who is there.
    pub gossip: Gossip,
    /// Configured members of the cell, this node included.
    pub members: BTreeSet<NodeId>,
}

impl Company {
    /// Begins to serve peers, to look after the slots, and to hear of their changes.
    pub(super) fn keep(
        self,
        context: &Context,
        pilot: &Pilot,
        peers: Peers,
        relay: &mpsc::Sender<RelayMessage>,
    ) {
        let Self { board, gossip, members } = self;
        let host = &context.host;
        let charm = Charm::new(CharmArgs {
            host: host.clone(),
            me: Arc::new(pilot.routes.me().clone()),
            members,
            claims: pilot.claims.clone(),
            routes: pilot.routes.clone(),
            gossip,
            board: board.clone(),
        });
        let channels = PeerService::new(peers.clone(), context.router.clone(), relay.clone());
        board.offer(CHANNELS, Arc::new(channels));
        board.offer(TICKETS, Arc::new(context.tickets.clone()));
        board.offer(CELL, Arc::new(charm.sights()));
        host.spawn("charm", charm.run());
        host.spawn("slots changed", follow(context.clone(), relay.clone()));
        let (beat, every) = (host.clone(), Duration::from_millis(context.config.beacon_interval_ms));
        host.spawn("tail beacons of peers", async move {
            loop {
                beat.sleep(every).await;
                peers.beacon();
            }
        });
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
        if relay.send(RelayMessage::Renew(slots)).await.is_err() {
            return;
        }
        if !here.is_empty() {
            metrics::counter!("waggle_slots_taken_total").increment(here.len() as u64);
            context.host.spawn("wake", wake(context.clone(), false));
        }
    }
}
