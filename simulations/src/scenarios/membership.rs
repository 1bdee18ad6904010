//! Membership: nodes that gossip over sealed datagrams and keep links to each other, while paths lose what they carry,
//! nodes pause, lose power and come back. In the end every node sees exactly those that run; nobody who runs, and whose
//! paths are whole, is ever taken for dead.
//!
//! The same shore is measured: how often the living are taken for dead, and how soon the dead are ([`measure`]); and
//! what gossip costs as it grows ([`growth`]).

pub mod growth;
pub mod measure;

use crate::{
    scenarios::Settings,
    stage::neighbours,
    world::{
        World,
        links::{self, SimLinks},
        machine::{Crash, Hardware, MachineId},
        report::Violation,
    },
};
use cluster::{
    gossip::{Gossip, View},
    host::Host,
    link::{LinkConfig, LinkEvent, Links},
    node::{BootId, CellId, Node, NodeId},
    swim::SwimConfig,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long it lasts unless told otherwise.
const HOURS: f64 = 0.1;
/// Nodes of the scenario.
const NODES: usize = 6;
/// Time in which everybody agrees once nothing is in the way.
const SETTLED_WITHIN: Duration = Duration::from_secs(20);
/// How often somebody looks.
const LOOK: Duration = Duration::from_millis(50);

/// A node's part: its view by gossip, and whose links are up.
#[derive(Clone)]
struct Part {
    me: Node,
    gossip: Gossip,
    up: Arc<Mutex<BTreeSet<NodeId>>>,
}

impl Part {
    fn view(&self) -> Arc<View> {
        self.gossip.view()
    }
    fn up(&self) -> MutexGuard<'_, BTreeSet<NodeId>> {
        self.up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nodes, each on a machine of its own.
struct Shore {
    world: World,
    machines: BTreeMap<NodeId, MachineId>,
    parts: Mutex<BTreeMap<NodeId, Part>>,
    config: SwimConfig,
    with_links: bool,
}

fn name(number: usize) -> NodeId {
    NodeId::parse(&format!("n{number}")).expect("a plain name")
}

impl Shore {
    /// Starts so many nodes.
    fn new(world: &World, count: usize, config: SwimConfig, with_links: bool) -> Self {
        let machine = |number| (name(number), world.machine(format!("n{number}"), Hardware::default()));
        let machines: BTreeMap<NodeId, MachineId> = (0..count).map(machine).collect();
        let shore = Self { world: world.clone(), machines, parts: Mutex::default(), config, with_links };
        shore.machines.keys().for_each(|node| shore.boot(node));
        shore
    }

    fn parts(&self) -> MutexGuard<'_, BTreeMap<NodeId, Part>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Boots a machine and has its node take part. Everybody knows the addresses of the first two.
    fn boot(&self, node: &NodeId) {
        let machine = self.machines[node];
        let host = self.world.boot(machine);
        let cell = CellId::parse("shore").expect("a plain name");
        let me = Node { id: node.clone(), boot: BootId(host.entropy().next_u64()), cell };
        let seeds = self.machines.values().take(2).copied();
        let gossip = neighbours::gossip(&self.world, (machine, &host, &me), seeds, self.config);
        let up = Arc::<Mutex<BTreeSet<NodeId>>>::default();
        if self.with_links {
            let config = LinkConfig::default();
            let all = (&self.machines, &links::Proofs::new());
            let links = links::join(&self.world, machine, &host, me.clone(), config, all);
            listen(&host, links, up.clone());
        }
        self.parts().insert(node.clone(), Part { me, gossip, up });
    }

    /// Nodes that run.
    fn running(&self) -> Vec<Part> {
        let runs = |node: &NodeId| self.world.life(self.machines[node]).is_some();
        self.parts().iter().filter(|(node, _)| runs(node)).map(|(_, part)| part.clone()).collect()
    }

    /// Sets what is lost on every path.
    fn lose(&self, percent: u64) {
        for from in self.machines.values() {
            for to in self.machines.values().filter(|to| *to != from) {
                self.world.set_loss(*from, *to, (percent > 0).then_some((percent, 100)));
            }
        }
    }

    /// Whether everybody who runs sees exactly the others who run, in their present lives.
    fn agrees(&self) -> bool {
        let running = self.running();
        let lives = |except: &Part| -> BTreeMap<NodeId, BootId> {
            let others = running.iter().filter(|part| part.me.id != except.me.id);
            others.map(|part| (part.me.id.clone(), part.me.boot)).collect()
        };
        running.iter().all(|part| {
            let view = part.view();
            let seen = view.members.iter().map(|(node, seat)| (node.clone(), seat.identity.boot));
            seen.collect::<BTreeMap<_, _>>() == lives(part)
        })
    }

    /// Waits until everybody agrees; false when that takes too long.
    async fn settles(&self, within: Duration) -> bool {
        let until = self.world.now() + within;
        while !self.agrees() {
            if self.world.now() >= until {
                return false;
            }
            self.world.sleep(LOOK).await;
        }
        true
    }
}

/// Keeps track of whose links are up.
fn listen(host: &Host, links: SimLinks, up: Arc<Mutex<BTreeSet<NodeId>>>) {
    host.spawn("links heard", async move {
        while let Some(event) = links.next().await {
            let mut up = up.lock().unwrap_or_else(PoisonError::into_inner);
            match event {
                LinkEvent::Up { peer, .. } => _ = up.insert(peer),
                LinkEvent::Down { peer, .. } => _ = up.remove(&peer),
                LinkEvent::Frame { .. } => {}
            }
        }
    });
}

/// Runs it for the given time.
pub async fn run(world: World, settings: Settings) -> Result<(), Violation> {
    let shore = Shore::new(&world, NODES, SwimConfig::default(), true);
    let settled = |shore: &Shore, when: &str| {
        let sees = |part: &Part| format!("{} sees {:?}", part.me.id, part.view().members.keys());
        let said: Vec<String> = shore.running().iter().map(sees).collect();
        Violation::unless(shore.agrees(), "membership", || format!("{when}: {}", said.join(", ")))
    };
    shore.settles(SETTLED_WITHIN).await;
    settled(&shore, "after all have started")?;
    let chance = world.entropy("membership");
    let part = settings.span_or(HOURS) / 16;
    for _ in 0..8 {
        whole(&shore, part).await?;
        let node = name(chance.below(NODES as u64) as usize);
        let machine = shore.machines[&node];
        match chance.below(4) {
            0 => shore.lose(10 + chance.below(21)),
            1 => world.pause(machine, part / 2),
            2 => {
                world.crash(machine, Crash::Power);
                world.sleep(part / 2).await;
                shore.boot(&node);
            }
            _ => {
                for other in shore.machines.values().filter(|other| **other != machine) {
                    world.cut(*other, machine);
                }
            }
        }
        world.sleep(part / 2).await;
        world.heal_all();
        shore.settles(SETTLED_WITHIN).await;
        settled(&shore, "after the weather")?;
        world.count("membership.settled", 1);
    }
    Ok(())
}

/// While everything is whole nobody is taken for dead.
async fn whole(shore: &Shore, span: Duration) -> Result<(), Violation> {
    let until = shore.world.now() + span;
    while shore.world.now() < until {
        Violation::unless(shore.agrees(), "membership", || "a node that runs was taken for dead".to_owned())?;
        shore.world.sleep(LOOK).await;
    }
    Ok(())
}
