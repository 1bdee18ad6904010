//! Gossip of nodes by themselves, over links: each second a node tells all others which life it is in. At the end every
//! node must have heard the present life of every other one.

use crate::{
    promises::nodes_meet,
    stage::{
        cell::{self, Paper, Player, Sight},
        seat::Seat,
        site::{Site, lock},
    },
    world::{World, links::SimLinks, report::Violation},
};
use bytes::Bytes;
use cluster::{
    host::Host,
    link::{Class, LinkEvent, Links},
    node::{Node as Me, NodeId},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

/// How often a node speaks.
const EVERY: Duration = Duration::from_secs(1);

/// Time in which all must have heard it: links are made again with back-offs.
const HEARD_WITHIN: Duration = Duration::from_secs(20);

/// What a node has heard: each other node's life, and how often.
#[derive(Clone, Default)]
pub struct Gossip(Arc<Mutex<BTreeMap<NodeId, (u64, u64)>>>);

/// What a node says each second: its life, and whom it sees.
#[derive(Serialize, Deserialize)]
struct Said {
    node: String,
    boot: u64,
    sees: BTreeSet<String>,
}

impl Gossip {
    /// Starts to speak, to listen, and to play its part in the cell.
    pub fn start(host: &Host, links: Arc<SimLinks>, me: &Me, mut player: Player) -> Self {
        let gossip = Self::default();
        let (sight, speaking) = (Arc::new(Mutex::new(Sight::default())), host.clone());
        let (seen, voice, me) = (sight.clone(), links.clone(), me.clone());
        host.spawn("gossip", async move {
            loop {
                let due = speaking.monotonic() + EVERY;
                speaking.sleep(EVERY).await;
                let late = speaking.monotonic().saturating_sub(due);
                let sight = lock(&seen).clone();
                let sees = sight.up.keys().map(ToString::to_string).collect();
                let said = Said { node: me.id.to_string(), boot: me.boot.0, sees };
                let payload = Bytes::from(serde_json::to_vec(&said).expect("plain data"));
                for peer in sight.up.keys() {
                    // A link that went down meanwhile is told to the listener.
                    let _ = voice.send(peer, Class::Urgent, payload.clone());
                }
                player.play(&sight, late).await;
            }
        });
        let heard = gossip.clone();
        host.spawn("gossip heard", async move {
            while let Some(event) = links.next().await {
                heard.hear(event, &sight);
            }
        });
        gossip
    }

    fn hear(&self, event: LinkEvent, sight: &Mutex<Sight>) {
        let mut sight = lock(sight);
        match event {
            LinkEvent::Up { peer, boot, .. } => drop(sight.up.insert(peer, boot)),
            LinkEvent::Down { peer, .. } => {
                sight.up.remove(&peer);
                sight.said.remove(&peer);
            }
            LinkEvent::Frame { from, payload, .. } => {
                let said: Said = serde_json::from_slice(&payload).expect("links carry what was sent");
                assert_eq!(said.node, from.as_str(), "a node speaks for itself");
                let sees = said.sees.iter().filter_map(|name| NodeId::parse(name).ok()).collect();
                sight.said.insert(from.clone(), sees);
                let mut heard = lock(&self.0);
                let (boot, times) = heard.entry(from).or_default();
                (*boot, *times) = (said.boot, *times + 1);
            }
        }
    }
}

/// In the end every node has heard the present life of every other one, and every slot on paper is with one that runs,
/// in a while.
pub async fn verdict(world: &World, sites: &[Arc<Site>], paper: &Paper) -> Result<(), Violation> {
    let alone: Vec<&Seat> = sites.iter().filter(|site| !site.is_cell()).map(|site| &**site.first()).collect();
    let until = world.now() + HEARD_WITHIN;
    loop {
        match heard(world, &alone).and_then(|()| cell::settled(paper, &alone)) {
            Err(_) if world.now() < until => world.sleep(EVERY).await,
            verdict => return verdict,
        }
    }
}

fn heard(world: &World, seats: &[&Seat]) -> Result<(), Violation> {
    for seat in seats {
        let gossip = seat.gossip().expect("all sites run at the end");
        let heard = lock(&gossip.0);
        for other in seats.iter().filter(|other| other.id != seat.id && !other.has_moved()) {
            let (boot, times) = heard.get(&other.id).copied().unwrap_or_default();
            world.count("gossip", times);
            // A node that has taken another's place is found by its address, which links do not ask for yet.
            if !seat.has_moved() {
                nodes_meet::heard(seat.id.as_str(), other.id.as_str(), boot, other.boot_id())?;
            }
        }
    }
    Ok(())
}
