//! Boots what has a seat at a site: a node with its store, a node among others, the store of those.

use super::Site;
use crate::{
    clients::PORT,
    promises::whole_serves,
    stage::{
        cell::Player,
        gossip::Gossip,
        neighbours::Neighbours,
        seat::{For, Running, Seat},
    },
    world::{
        links,
        machine::{Crash, Life, MachineId},
        network::Listener,
        report::Violation,
    },
};
use actors::node::Node;
use cells::gateway::{self, Gateway};
use cluster::{
    host::Host,
    link::LinkConfig,
    node::{BootId, CellId, Node as Me},
};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, atomic::Ordering::Relaxed},
};

/// Starts on a whole disk that may come to nothing.
const FAILED_STARTS_MAX: u32 = 1;

/// Why a seat is empty although its machine was booted.
#[derive(Debug)]
pub enum NotUp {
    /// The machine died meanwhile.
    Died,
    /// It should have come up.
    Broken(Violation),
}

/// A machine that has just been booted.
struct Booted {
    host: Host,
    machine: MachineId,
    life: Life,
}

/// Gives the gateway every connection that is made to the machine.
fn serve(host: &Host, gateway: Gateway, mut listener: Listener) {
    let spawner = host.clone();
    host.spawn("listener", async move {
        while let Some(stream) = listener.accept().await {
            let peer = IpAddr::from(Ipv4Addr::from(stream.peer().machine.0));
            spawner.spawn("http", gateway.clone().serve(stream, peer));
        }
    });
}

impl Site {
    /// Boots the machine of a seat, and starts on it what belongs there.
    pub async fn boot(&self, seat: &Seat) -> Result<(), NotUp> {
        let machine = seat.machine();
        let host = self.world.boot(machine);
        self.world.count("boots", 1);
        if let Some(point) = seat.trap() {
            self.world.crash_at(machine, point, 1, Crash::Process);
        }
        let end = self.end_of(machine);
        let Some(life) = self.world.life(machine) else { return Err(NotUp::Died) };
        let booted = Booted { host, machine, life };
        let start = async {
            match (seat.is_for, &self.neighbours) {
                (For::Store, Some(neighbours)) => self.start_store(&booted, neighbours),
                (For::Member, Some(neighbours)) => {
                    let node = Some(neighbours.start(&booted.host, &seat.id, &self.config).await);
                    Ok(Running { life, node, gossip: None })
                }
                _ => self.start_alone(seat, &booted).await,
            }
        };
        // What waits for a machine that has died waits for ever.
        let running = tokio::select! {
            biased;
            started = start => started?,
            () = end => return Err(NotUp::Died),
        };
        if self.world.life(machine) != Some(life) {
            running.node.iter().for_each(Node::kill);
            return Err(NotUp::Died);
        }
        if let Some(node) = &running.node {
            let root = node.clone();
            self.world.on_crash(machine, move |_| root.kill());
            let config = gateway::config::Config::default();
            let gateway = Gateway::new(booted.host.clone(), config, Arc::new(String::new));
            gateway.open(node.clone());
            serve(&booted.host, gateway, self.world.listen(machine, PORT));
        }
        seat.runs(running);
        Ok(())
    }

    /// A node with a store of its own.
    async fn start_alone(&self, seat: &Seat, booted: &Booted) -> Result<Running, NotUp> {
        let Booted { host, machine, life } = booted;
        let store = self.opened(self.vault.open_for(host, *machine), *machine)?;
        let cell = CellId::parse(seat.id.as_str()).expect("a node's name is a cell's name");
        let me = Me { id: seat.id.clone(), boot: BootId(host.entropy().next_u64()), cell };
        let started = Node::start(host.clone(), store.clone(), store, self.config.clone(), me.clone()).await;
        let node = match started {
            Ok(node) => node,
            Err(_) if self.world.life(*machine) != Some(*life) => return Err(NotUp::Died),
            // Nobody can claim on a disk that takes nothing: whoever started the node starts it again.
            Err(_) if self.may_fail_to_start(seat) => {
                self.world.crash(*machine, Crash::Process);
                return Err(NotUp::Died);
            }
            Err(error) => return Err(NotUp::Broken(whole_serves::failed("the node did not start", error))),
        };
        if self.world.life(*machine) != Some(*life) {
            node.kill();
            return Err(NotUp::Died);
        }
        let config = LinkConfig::default();
        let peers = (&self.peers, &links::Proofs::new());
        let links = links::join(&self.world, *machine, host, me.clone(), config, peers);
        let player = Player::new(&self.world, host, &me, self.paper.clone());
        let gossip = Gossip::start(host, Arc::new(links), &me, player);
        Ok(Running { life: *life, node: Some(node), gossip: Some(gossip) })
    }

    /// The store of several nodes.
    fn start_store(&self, booted: &Booted, neighbours: &Neighbours) -> Result<Running, NotUp> {
        let Booted { host, machine, life } = booted;
        neighbours.keep_store(host, self.opened(self.vault.open_to_serve(host, *machine), *machine)?);
        Ok(Running { life: *life, node: None, gossip: None })
    }

    /// A store that opened; on an ill disk it need not.
    fn opened<T>(&self, opened: Result<T, Violation>, machine: MachineId) -> Result<T, NotUp> {
        match opened {
            Err(_) if self.disk().is_ill() => {
                self.world.crash(machine, Crash::Process);
                self.world.crash(self.disk_machine(), Crash::Process);
                Err(NotUp::Died)
            }
            opened => opened.map_err(NotUp::Broken),
        }
    }

    /// A start may fail while the disk takes nothing, and once after that: it began too early.
    fn may_fail_to_start(&self, seat: &Seat) -> bool {
        self.disk().is_ill() || seat.failed_starts.fetch_add(1, Relaxed) < FAILED_STARTS_MAX
    }

    /// Completes when the present life of a machine ends, also if that is before anybody waits for it.
    fn end_of(&self, machine: MachineId) -> impl Future<Output = ()> + use<> {
        let (tell, told) = tokio::sync::oneshot::channel::<()>();
        self.world.on_crash(machine, move |_| drop(tell));
        async move { drop(told.await) }
    }
}
