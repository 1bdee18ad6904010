//! How often the living are taken for dead, and how soon the dead are: by gossip, by links that fall silent, and by
//! both, each when two observers agree. It is what rule F1's corroboration was chosen by.

use super::{LOOK, Part, Shore, name};
use crate::world::{World, machine::Crash, trace::Telling};
use cluster::{node::NodeId, swim::SwimConfig};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// What a node may take for the sign that another one is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// Gossip has it down.
    Down,
    /// The link to it is.
    Silent,
    /// The link is, and somebody's probe was not answered either.
    SilentAndSuspected,
    /// Both have it down.
    SilentAndDown,
}

impl Sign {
    /// All of them.
    pub const ALL: [Sign; 4] = [Sign::Down, Sign::Silent, Sign::SilentAndSuspected, Sign::SilentAndDown];

    fn is_shown(self, observer: &Part, node: &NodeId) -> bool {
        let view = observer.view();
        let (seat, silent) = (view.members.get(node), !observer.up().contains(node));
        match self {
            Sign::Down => seat.is_none(),
            Sign::Silent => silent,
            Sign::SilentAndSuspected => silent && seat.is_none_or(|seat| seat.is_suspected),
            Sign::SilentAndDown => silent && seat.is_none(),
        }
    }
}

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Nodes.
    pub nodes: usize,
    /// Datagrams lost, and pieces of streams sent again, of a hundred.
    pub loss: u64,
    /// Times of the protocol.
    pub config: SwimConfig,
    /// Time that everybody lives.
    pub watch: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// Times that one observer began to take a living node for dead.
    pub one: BTreeMap<Sign, u64>,
    /// Times that two did at once: what F1 would act on.
    pub two: BTreeMap<Sign, u64>,
    /// Time from the loss of power until two observers agreed; `None`: not within [`FOUND_WITHIN`].
    pub found: BTreeMap<Sign, Option<Duration>>,
    /// The same until all others did.
    pub known: BTreeMap<Sign, Option<Duration>>,
    /// Bytes of gossip that a node sent in a second.
    pub bytes: f64,
}

/// Longest time that a death may go unnoticed.
pub const FOUND_WITHIN: Duration = Duration::from_secs(60);
/// Observers that have to agree.
const OBSERVERS: usize = 2;

/// Runs one shore: all live, then one of them dies.
pub fn measure(seed: u64, setting: Setting) -> Measured {
    let result = Arc::new(Mutex::new(Measured::default()));
    let told = result.clone();
    let report = World::simulate(seed, Telling::Silent, move |world| async move {
        let measured = watch(&world, setting).await;
        *told.lock().unwrap_or_else(PoisonError::into_inner) = measured;
        Ok(())
    });
    assert_eq!(report.violation, None, "a measurement breaks no promise");
    result.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

async fn watch(world: &World, setting: Setting) -> Measured {
    let shore = Shore::new(world, setting.nodes, setting.config, true);
    shore.settles(FOUND_WITHIN).await;
    let mut measured = Measured::default();
    shore.lose(setting.loss);
    let (began, mut before) = (world.gauges().sum("waggle_gossip_sent_bytes_total"), BTreeMap::new());
    let until = world.now() + setting.watch;
    while world.now() < until {
        let living: Vec<NodeId> = shore.machines.keys().cloned().collect();
        for sign in Sign::ALL {
            let now = signs(&shore, sign, &living);
            let was = before.insert(sign, now.clone()).unwrap_or_default();
            let news = |observers: usize| {
                let of = |node: &NodeId| now.get(node).map_or(0, BTreeSet::len) >= observers;
                let was = |node: &NodeId| was.get(node).map_or(0, BTreeSet::len) >= observers;
                living.iter().filter(|node| of(node) && !was(node)).count() as u64
            };
            let fresh = |(node, by): (&NodeId, &BTreeSet<NodeId>)| {
                by.difference(was.get(node).unwrap_or(&BTreeSet::new())).count() as u64
            };
            *measured.one.entry(sign).or_default() += now.iter().map(fresh).sum::<u64>();
            *measured.two.entry(sign).or_default() += news(OBSERVERS);
        }
        world.sleep(LOOK).await;
    }
    let sent = world.gauges().sum("waggle_gossip_sent_bytes_total") - began;
    measured.bytes = sent as f64 / setting.nodes as f64 / setting.watch.as_secs_f64();
    death(&shore, &mut measured).await;
    measured
}

/// One node loses power, and somebody looks how soon that is noticed.
async fn death(shore: &Shore, measured: &mut Measured) {
    let (dead, world) = (name(shore.machines.len() / 2), &shore.world);
    world.crash(shore.machines[&dead], Crash::Power);
    let (died, all) = (world.now(), shore.machines.len() - 1);
    let wanted = || Sign::ALL.into_iter().flat_map(|sign| [(sign, OBSERVERS), (sign, all)]);
    let mut at: BTreeMap<(Sign, usize), Duration> = BTreeMap::new();
    while at.len() < wanted().count() && world.now() < died + FOUND_WITHIN {
        for (sign, observers) in wanted() {
            let by = signs(shore, sign, std::slice::from_ref(&dead)).get(&dead).map_or(0, BTreeSet::len);
            if by >= observers {
                at.entry((sign, observers)).or_insert(world.now() - died);
            }
        }
        world.sleep(LOOK / 5).await;
    }
    for sign in Sign::ALL {
        measured.found.insert(sign, at.get(&(sign, OBSERVERS)).copied());
        measured.known.insert(sign, at.get(&(sign, all)).copied());
    }
}

/// By which running nodes each of these is taken for dead.
fn signs(shore: &Shore, sign: Sign, nodes: &[NodeId]) -> BTreeMap<NodeId, BTreeSet<NodeId>> {
    let mut signs: BTreeMap<NodeId, BTreeSet<NodeId>> = BTreeMap::new();
    for observer in shore.running() {
        for node in nodes.iter().filter(|node| **node != observer.me.id) {
            if sign.is_shown(&observer, node) {
                signs.entry(node.clone()).or_default().insert(observer.me.id.clone());
            }
        }
    }
    signs
}
