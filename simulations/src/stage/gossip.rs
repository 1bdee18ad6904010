//! Gossip over the links: each second a node tells all others which life it is in. At the end every node must have
//! heard the present life of every other one.

use crate::{
    stage::site::Site,
    world::{World, links::SimLinks, report::Violation},
};
use bytes::Bytes;
use cluster::{
    host::Host,
    link::{Class, LinkEvent, Links},
    node::{Node as Me, NodeId},
};
use prost::Message;
use proto::v1::SlotRow;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How often a node speaks.
const EVERY: Duration = Duration::from_secs(1);

/// Time in which all must have heard it: links are made again with back-offs.
const HEARD_WITHIN: Duration = Duration::from_secs(20);

/// What a node has heard: each other node's life, and how often.
#[derive(Clone, Default)]
pub struct Gossip(Arc<Mutex<BTreeMap<NodeId, (u64, u64)>>>);

impl Gossip {
    /// Starts to speak and to listen.
    pub fn start(host: &Host, links: Arc<SimLinks>, me: Me) -> Self {
        let gossip = Self::default();
        let (up, speaking) = (Arc::new(Mutex::new(BTreeSet::new())), host.clone());
        let (peers, voice) = (up.clone(), links.clone());
        host.spawn("gossip", async move {
            loop {
                speaking.sleep(EVERY).await;
                let row = SlotRow {
                    epoch: speaking.now_us(),
                    node: me.id.to_string(),
                    boot: me.boot.0,
                    cell: me.cell.to_string(),
                };
                let payload = Bytes::from(row.encode_to_vec());
                let peers: Vec<NodeId> =
                    peers.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
                for peer in peers {
                    // A link that went down meanwhile is told to the listener.
                    let _ = voice.send(&peer, Class::Urgent, payload.clone());
                }
            }
        });
        let heard = gossip.clone();
        host.spawn("gossip heard", async move {
            while let Some(event) = links.next().await {
                heard.hear(event, &up);
            }
        });
        gossip
    }

    fn hear(&self, event: LinkEvent, up: &Mutex<BTreeSet<NodeId>>) {
        let mut up = up.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            LinkEvent::Up { peer, .. } => drop(up.insert(peer)),
            LinkEvent::Down { peer, .. } => drop(up.remove(&peer)),
            LinkEvent::Frame { from, payload, .. } => {
                let row = SlotRow::decode(payload).expect("links carry what was sent");
                assert_eq!(row.node, from.as_str(), "a node speaks for itself");
                let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                let (boot, times) = heard.entry(from).or_default();
                (*boot, *times) = (row.boot, *times + 1);
            }
        }
    }
}

/// In the end every node has heard the present life of every other one, in a while.
pub async fn verdict(world: &World, sites: &[Arc<Site>]) -> Result<(), Violation> {
    let until = world.now() + HEARD_WITHIN;
    loop {
        match heard(world, sites) {
            Err(_) if world.now() < until => world.sleep(EVERY).await,
            verdict => return verdict,
        }
    }
}

fn heard(world: &World, sites: &[Arc<Site>]) -> Result<(), Violation> {
    for site in sites {
        let gossip = site.gossip().expect("all sites run at the end");
        let heard = gossip.0.lock().unwrap_or_else(PoisonError::into_inner);
        for other in sites.iter().filter(|other| other.id != site.id && !other.has_moved()) {
            let (boot, times) = heard.get(&other.id).copied().unwrap_or_default();
            world.count("gossip", times);
            // A node that has taken another's place is found by its address, which links do not ask for yet.
            Violation::unless(site.has_moved() || Some(boot) == other.boot_id(), "links come back", || {
                format!("{} last heard life {boot:x} of {}", site.id, other.id)
            })?;
        }
    }
    Ok(())
}
