//! The contract on the reference.

use super::*;
use crate::{
    host::{Host, paused},
    link::contract::{self, Wire},
    node::{BootId, CellId},
};

struct Rig {
    network: MemoryNetwork,
    config: LinkConfig,
    nodes: Mutex<Vec<(Node, Arc<dyn Links>)>>,
}

impl Rig {
    fn new(config: LinkConfig) -> Self {
        let network = MemoryNetwork::new(config);
        let rig = Self { network, config, nodes: Mutex::default() };
        (0..3).for_each(|node| rig.boot(node, 1));
        rig
    }
    fn boot(&self, at: usize, boot: u64) {
        let (id, cell) = (NodeId::parse(&format!("n{at}")).unwrap(), CellId::parse("a").unwrap());
        let node = Node { id, boot: BootId(boot), cell };
        let place: (Node, Arc<dyn Links>) = (node.clone(), Arc::new(self.network.join(node)));
        let mut nodes = self.nodes.lock().unwrap();
        if at < nodes.len() { nodes[at] = place } else { nodes.push(place) }
    }
}

impl Wire for Rig {
    fn config(&self) -> LinkConfig {
        self.config
    }
    fn host(&self) -> Host {
        paused::host()
    }
    fn node(&self, node: usize) -> Node {
        self.nodes.lock().unwrap()[node].0.clone()
    }
    fn links(&self, node: usize) -> Arc<dyn Links> {
        Arc::clone(&self.nodes.lock().unwrap()[node].1)
    }
    fn cut(&self, a: usize, b: usize) -> BoxFuture<'_, ()> {
        self.network.cut(&self.node(a).id, &self.node(b).id);
        Box::pin(async {})
    }
    fn heal(&self, a: usize, b: usize) -> BoxFuture<'_, ()> {
        self.network.heal(&self.node(a).id, &self.node(b).id);
        Box::pin(async {})
    }
    fn reboot(&self, node: usize) -> BoxFuture<'_, ()> {
        self.boot(node, self.node(node).boot.0 + 1);
        Box::pin(async {})
    }
}

/// Limits small enough to be reached by a few frames.
fn tight() -> LinkConfig {
    let payload_bytes_max = 4000;
    LinkConfig {
        payload_bytes_max,
        queue_frames_max: 1500,
        queue_credits_max: 100_000,
        window_credits: 8200,
        batch_frames_max: 7,
        batch_bytes: 3000,
        ..LinkConfig::default()
    }
}

fn run(case: impl AsyncFn(&Rig)) {
    for config in [LinkConfig::default(), tight()] {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(case(&Rig::new(config)));
    }
}

macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        $(#[test] fn $case() { run(async |rig| contract::$case(rig).await) })+
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
    let rig = Rig::new(LinkConfig::default());
    let old = rig.links(1);
    rig.boot(1, 2);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(old.next()), None);
}
