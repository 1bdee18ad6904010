//! What gossip alone costs a node, and how soon a death is known to all, as the cell grows.

use super::{Shore, name};
use crate::world::{World, machine::Crash, trace::Telling};
use cluster::swim::SwimConfig;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Time in which everybody has heard of everybody, and the news of that is told no more.
const SETTLED_AFTER: Duration = Duration::from_secs(90);
/// Longest time that a death may go unknown to somebody.
const KNOWN_WITHIN: Duration = Duration::from_secs(60);
/// How often it is looked who knows.
const LOOK: Duration = Duration::from_millis(100);

/// What came of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Grown {
    /// Members that a node knows, at least; all others when everybody knows everybody.
    pub least_known: usize,
    /// Bytes of gossip that a node sent in a second while nothing happened.
    pub bytes: f64,
    /// Time from a node's loss of power until all others had it down; `None`: not within a minute.
    pub known: Option<Duration>,
}

/// Runs one cell of so many nodes that gossip, watched for so long.
pub fn grow(seed: u64, nodes: usize, watch: Duration) -> Grown {
    let result = Arc::new(Mutex::new(Grown::default()));
    let told = result.clone();
    let report = World::simulate(seed, Telling::Silent, move |world| async move {
        let grown = run(&world, nodes, watch).await;
        *told.lock().unwrap_or_else(PoisonError::into_inner) = grown;
        Ok(())
    });
    assert_eq!(report.violation, None, "a measurement breaks no promise");
    *result.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn run(world: &World, nodes: usize, watch: Duration) -> Grown {
    let shore = Shore::new(world, nodes, SwimConfig::default(), false);
    world.sleep(SETTLED_AFTER).await;
    let parts = shore.running();
    let least_known = parts.iter().map(|part| part.view().members.len()).min().unwrap_or_default();
    let sent = || world.gauges().sum("waggle_gossip_sent_bytes_total");
    let before = sent();
    world.sleep(watch).await;
    let bytes = (sent() - before) as f64 / nodes as f64 / watch.as_secs_f64();
    let dead = name(nodes / 2);
    world.crash(shore.machines[&dead], Crash::Power);
    let (died, mut known) = (world.now(), None);
    while known.is_none() && world.now() < died + KNOWN_WITHIN {
        world.sleep(LOOK).await;
        let knows = |part: &super::Part| part.me.id == dead || !part.view().members.contains_key(&dead);
        known = parts.iter().all(knows).then(|| world.now() - died);
    }
    Grown { least_known, bytes, known }
}
