//! The contract of [`Links`] on the simulated network, each case in worlds with default and with tight limits.

use super::*;
use crate::world::{
    machine::{Crash, Hardware},
    trace::Telling,
};
use bytes::Bytes;
use cluster::{
    link::{
        Class, DownReason, LinkError, LinkEvent, Links,
        contract::{self, Wire},
    },
    node::{BootId, CellId},
};
use futures::future::BoxFuture;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// Worlds a case.
const SEEDS: u64 = 20;

struct Rig {
    world: World,
    clock: Host,
    config: LinkConfig,
    machines: BTreeMap<NodeId, MachineId>,
    nodes: Mutex<Vec<(Node, Arc<dyn Links>)>>,
    crash: Crash,
}

impl Rig {
    fn new(world: &World, config: LinkConfig, crash: Crash) -> Self {
        let machines =
            (0..3).map(|at| (id(at), world.machine(format!("n{at}"), Hardware::default()))).collect();
        let suite = world.machine("suite", Hardware::default());
        let clock = world.boot(suite);
        let rig = Self { world: world.clone(), clock, config, machines, nodes: Mutex::default(), crash };
        (0..3).for_each(|node| rig.boot(node, 1));
        rig
    }
    fn boot(&self, at: usize, boot: u64) {
        let machine = self.machine(at);
        let host = self.world.boot(machine);
        let node = Node { id: id(at), boot: BootId(boot), cell: CellId::parse("a").unwrap() };
        let links =
            join(&self.world, machine, &host, node.clone(), self.config, (&self.machines, &Proofs::new()));
        let place: (Node, Arc<dyn Links>) = (node, Arc::new(links));
        let mut nodes = self.nodes.lock().unwrap();
        if at < nodes.len() { nodes[at] = place } else { nodes.push(place) }
    }
    fn machine(&self, at: usize) -> MachineId {
        self.machines[&id(at)]
    }
}

fn id(at: usize) -> NodeId {
    NodeId::parse(&format!("n{at}")).unwrap()
}

impl Wire for Rig {
    fn config(&self) -> LinkConfig {
        self.config
    }
    fn host(&self) -> Host {
        self.clock.clone()
    }
    fn node(&self, node: usize) -> Node {
        self.nodes.lock().unwrap()[node].0.clone()
    }
    fn links(&self, node: usize) -> Arc<dyn Links> {
        Arc::clone(&self.nodes.lock().unwrap()[node].1)
    }
    fn cut(&self, a: usize, b: usize) -> BoxFuture<'_, ()> {
        self.world.part(self.machine(a), self.machine(b));
        Box::pin(async {})
    }
    fn heal(&self, a: usize, b: usize) -> BoxFuture<'_, ()> {
        self.world.heal(self.machine(a), self.machine(b));
        self.world.heal(self.machine(b), self.machine(a));
        Box::pin(async {})
    }
    fn reboot(&self, node: usize) -> BoxFuture<'_, ()> {
        let boot = self.node(node).boot.0 + 1;
        self.world.crash(self.machine(node), self.crash);
        Box::pin(async move {
            self.world.sleep(Duration::from_secs(1)).await;
            self.boot(node, boot);
        })
    }
}

/// Limits small enough to be reached by a few frames.
fn tight() -> LinkConfig {
    LinkConfig {
        payload_bytes_max: 4000,
        queue_frames_max: 1500,
        queue_credits_max: 100_000,
        window_credits: 8200,
        batch_frames_max: 7,
        batch_bytes: 3000,
        ..LinkConfig::default()
    }
}

macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        $(#[test] fn $case() {
            let worlds = [(LinkConfig::default(), Crash::Process), (tight(), Crash::Power)];
            for (seed, (config, crash)) in (1..=SEEDS).zip(worlds.into_iter().cycle()) {
                let report = World::simulate(seed, Telling::Silent, |world| async move {
                    let rig = Rig::new(&world, config, crash);
                    contract::$case(&rig).await;
                    Ok(())
                });
                assert_eq!(report.violation, None, "{}", report.tail.join("\n"));
            }
        })+
    };
}
cases! {
    frames_arrive_in_order,
    a_full_queue_refuses_and_loses_nothing_it_took,
    an_urgent_frame_overtakes_a_backlog,
    a_frame_beyond_the_limit_is_refused_and_the_link_lives,
    a_cut_is_told_to_both_and_nothing_from_before_comes_after,
    a_restarted_peer_comes_up_in_its_new_life,
    a_peer_that_does_not_read_holds_up_nobody_else,
    a_stranger_cannot_be_sent_to,
}

#[test]
fn the_links_of_an_ended_life_are_closed() {
    let report = World::simulate(1, Telling::Silent, |world| async move {
        let rig = Rig::new(&world, LinkConfig::default(), Crash::Process);
        let old = rig.links(1);
        while !matches!(old.next().await, Some(LinkEvent::Up { .. })) {}
        world.crash(rig.machine(1), Crash::Process);
        while old.next().await.is_some() {}
        assert_eq!(old.send(&id(0), Class::Urgent, Bytes::new()), Err(LinkError::Down));
        Ok(())
    });
    assert_eq!(report.violation, None);
}

#[test]
fn a_peer_that_falls_silent_is_down_within_the_time_that_heartbeats_may_be_missing() {
    let report = World::simulate(1, Telling::Silent, |world| async move {
        let config = LinkConfig::default();
        let rig = Rig::new(&world, config, Crash::Power);
        let links = rig.links(0);
        let mut up = 0;
        while up < 2 {
            up += usize::from(matches!(links.next().await, Some(LinkEvent::Up { .. })));
        }
        world.sleep(Duration::from_secs(5)).await;
        let off = world.now();
        world.crash(rig.machine(2), Crash::Power);
        let down = LinkEvent::Down { peer: id(2), reason: DownReason::Silent };
        assert_eq!(links.next().await, Some(down));
        let after = world.now() - off;
        // What it said last took its time to arrive; the writer looks once a heart-beat.
        assert!(after <= config.silence_max() + config.heartbeat, "{after:?}");
        Ok(())
    });
    assert_eq!(report.violation, None);
}
