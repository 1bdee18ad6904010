//! What is done to the nodes of a company, and what is to come of it at once.

use super::{
    Book, LOOK,
    town::{ALL, GATES, NODES, Town},
};
use crate::world::{World, clock::Skew, machine::Crash, report::Violation};
use cluster::host::Entropy;
use std::time::Duration;

/// Whoever posts where nothing was done waits no longer for the slots of an owner that was killed.
const KILLED_WITHIN: Duration = Duration::from_secs(3);
/// Links come up again within this long after a cut.
const LINKS_AGAIN: Duration = Duration::from_secs(6);
/// How often the rows of the slots are looked at: who has taken some keeps them.
const GLANCE: Duration = Duration::from_millis(500);
/// A node that runs late stops for so long, again and again: its links stay up.
const LATE_BY: Duration = Duration::from_millis(300);
const LATE_EVERY: Duration = Duration::from_millis(340);
/// A node that is not fit owns nothing after this long.
const YIELDS_WITHIN: Duration = Duration::from_secs(25);
/// After a cut all nodes have noticed within this long, and until then nobody yields.
const NOTICED_WITHIN: Duration = Duration::from_millis(700);
const YIELDS_AFTER: Duration = Duration::from_millis(4500);
/// One that is cut off from the other nodes, and not from the store, has lost its slots after this long.
const LOST_WITHIN: Duration = Duration::from_secs(12);
/// Nobody is given slots of a node that is well for so long after a cut.
const HALVES_FOR: Duration = Duration::from_secs(9);
/// How long a packet between a node and the store takes where the way is slow.
const SLOW_WAY: (Duration, Duration) = (Duration::from_millis(60), Duration::from_millis(200));
/// How many of so many packets get lost there.
const LOSSY_WAY: (u64, u64) = (3, 10);
/// How far a wrong clock is off.
const CLOCK_OFF_US: i64 = 600_000_000;
/// Steps in which the longest wait after each trouble is counted.
const WAITS_MS: [u64; 8] = [50, 100, 250, 500, 1000, 1500, 2000, 3000];

/// Eight troubles, each followed by a rest.
pub(super) async fn weather(
    world: &World,
    town: &Town,
    book: &Book,
    part: Duration,
) -> Result<(), Violation> {
    let chance = world.entropy("company");
    let half_ms = u64::try_from((part / 2).as_millis()).unwrap_or(u64::MAX).max(1);
    for _ in 0..8 {
        // One at a time: of four, three that are left are a majority. Of those that say that they are gray half are
        // taken at their word: none is to be left from before.
        while !town.all_run() || !town.gray().await.is_empty() {
            world.sleep(GLANCE).await;
        }
        world.sleep(part / 2).await;
        let node = chance.below(NODES as u64) as usize;
        let machine = town.machine(node);
        town.trouble([node]);
        book.open().longest_lately = Duration::ZERO;
        let kind = chance.below(15);
        match kind {
            14 => restart_store(world, town, &chance).await?,
            13 => cut_in_halves(world, town, node).await?,
            12 => kill_gateway(world, town, &chance),
            11 => cut_gateways(world, town, node, &chance).await?,
            10 => bad_way(world, town, node, &chance).await?,
            9 => cut_from_nodes(world, town, node).await?,
            8 => one_after_another(world, town, node).await,
            7 => wrong_clock(world, town, node, &chance).await?,
            5 => cut_one(world, town, node, &chance).await?,
            6 => run_late(world, town, node).await?,
            4 => town.leave(node).await,
            0 => world.crash(machine, Crash::Process),
            1 => world.crash(machine, Crash::Power),
            2 => world.pause(machine, Duration::from_millis(10 + chance.below(half_ms))),
            _ => {
                town.machines()
                    .filter(|other| *other != machine)
                    .for_each(|other| world.part(other, machine));
            }
        }
        world.sleep(part / 4).await;
        town.look(&chance).await?;
        let (gray, troubled) = (town.gray().await, town.troubled());
        Violation::unless(gray.is_subset(&troubled), "company", || {
            format!("{gray:?} are gray, and only to {troubled:?} something was done")
        })?;
        world.sleep(part / 4).await;
        let waited = u64::try_from(book.open().longest_lately.as_millis()).unwrap_or(u64::MAX);
        let upto = WAITS_MS.into_iter().find(|upto| waited <= *upto).unwrap_or(u64::MAX);
        match kind {
            0 | 1 | 8 => {
                world.count(&format!("company.waited_for_killed_ms.{upto:05}"), 1);
                let within = u128::from(waited) <= KILLED_WITHIN.as_millis();
                Violation::unless(within, "company", || {
                    format!("a post waited {waited} ms for a dead owner")
                })?;
            }
            4 => world.count(&format!("company.waited_for_stopped_ms.{upto:05}"), 1),
            _ => {}
        }
        world.heal_all();
        world.sleep(LINKS_AGAIN).await;
        town.trouble([]);
    }
    Ok(())
}

/// A node dies; when it is back the next one does, whose slots are for one that has just started.
async fn one_after_another(world: &World, town: &Town, node: usize) {
    world.crash(town.machine(node), Crash::Process);
    world.sleep(LOOK).await;
    while !town.all_run() {
        world.sleep(LOOK).await;
    }
    let next = (node + 1) % NODES;
    town.trouble([next]);
    world.crash(town.machine(next), Crash::Process);
}

/// Two nodes do not reach each other, and all others reach both: the later one by name yields. Where no datagram
/// reaches that one either, whoever has no link to it takes it for gone.
async fn cut_one(world: &World, town: &Town, node: usize, chance: &Entropy) -> Result<(), Violation> {
    let other = (node + 1) % NODES;
    world.part(town.machine(node), town.machine(other));
    let yields = node.max(other);
    if chance.chance(1, 2) {
        world.deafen(town.machine(yields));
    }
    town.trouble([yields]);
    world.sleep(NOTICED_WITHIN).await;
    nobody_loses(world, town, &[node, other], YIELDS_AFTER - NOTICED_WITHIN).await?;
    world.sleep(YIELDS_WITHIN - YIELDS_AFTER).await;
    world.count("company.yielded", 1);
    town.owns_nothing(yields)
}

/// Two nodes and the two others do not reach each other, by link or datagram: neither is a majority, and all keep what
/// they own.
async fn cut_in_halves(world: &World, town: &Town, node: usize) -> Result<(), Violation> {
    let half = [node, (node + 1) % NODES];
    for one in half {
        let others = (0..NODES).filter(|other| !half.contains(other));
        others.for_each(|other| world.part(town.machine(one), town.machine(other)));
        world.deafen(town.machine(one));
    }
    town.trouble(0..NODES);
    world.sleep(NOTICED_WITHIN).await;
    world.count("company.halves", 1);
    nobody_loses(world, town, &(0..NODES).collect::<Vec<_>>(), HALVES_FOR).await
}

/// For a while none of some nodes owns fewer slots than it did: also none that came back to it.
async fn nobody_loses(world: &World, town: &Town, nodes: &[usize], span: Duration) -> Result<(), Violation> {
    let (until, mut before) = (world.now() + span, town.rows().await);
    while world.now() < until {
        world.sleep(GLANCE).await;
        let now = town.rows().await;
        let loser = nodes.iter().find(|node| now[**node] < before[**node]);
        Violation::unless(loser.is_none(), "company", || {
            format!("nobody may take slots of {nodes:?}, and they owned {before:?} and own {now:?}")
        })?;
        before = now;
    }
    Ok(())
}

/// The store's process ends and runs again: that is no reason for any node to yield.
async fn restart_store(world: &World, town: &Town, chance: &Entropy) -> Result<(), Violation> {
    town.trouble(0..ALL);
    town.restart_store(Duration::from_millis(200 + chance.below(3000))).await;
    let until = world.now() + YIELDS_WITHIN;
    while world.now() < until {
        let gray = town.gray().await;
        Violation::unless(gray.is_empty(), "company", || {
            format!("the store was away, and {gray:?} are gray")
        })?;
        world.sleep(GLANCE).await;
    }
    world.count("company.store_restarted", 1);
    Ok(())
}

/// A gateway that owns no slots dies.
fn kill_gateway(world: &World, town: &Town, chance: &Entropy) {
    let gate = NODES + chance.below(GATES as u64) as usize;
    town.trouble([gate]);
    world.crash(town.machine(gate), Crash::Process);
}

/// Gateways that own no slots do not reach a node that others reach: they are nobody's home after a while. Where nobody
/// else takes users it is the node that yields.
async fn cut_gateways(world: &World, town: &Town, node: usize, chance: &Entropy) -> Result<(), Violation> {
    let one = NODES + chance.below(GATES as u64) as usize;
    let cut: Vec<usize> = if chance.chance(1, 2) { (NODES..ALL).collect() } else { vec![one] };
    cut.iter().for_each(|gate| world.part(town.machine(node), town.machine(*gate)));
    town.trouble(cut.iter().copied().chain([node]));
    let before = town.rows().await[node];
    world.sleep(YIELDS_WITHIN).await;
    if cut.len() == GATES && !town.members_take_users() {
        world.count("company.yielded_to_gateways", 1);
        let left = cut.iter().find(|gate| !town.is_home(**gate));
        Violation::unless(left.is_none(), "company", || format!("nobody is at home at gateway {left:?}"))?;
        return town.owns_nothing(node);
    }
    world.count("company.gateways_yielded", 1);
    let homes: Vec<usize> = cut.into_iter().filter(|gate| town.is_home(*gate)).collect();
    Violation::unless(homes.is_empty(), "company", || {
        format!("{homes:?} do not reach n{node}, and are somebody's home")
    })?;
    let owned = town.rows().await[node];
    Violation::unless(owned * 2 >= before, "company", || {
        format!("n{node} owned {before} slots and owns {owned}, and most gateways reach it")
    })
}

/// A node's way to the store is slow, loses much, or is cut, and that of the others is not.
async fn bad_way(world: &World, town: &Town, node: usize, chance: &Entropy) -> Result<(), Violation> {
    let (machine, store, kind) = (town.machine(node), town.keeper(), chance.below(3));
    for (from, to) in [(machine, store), (store, machine)] {
        match kind {
            0 => world.set_latency(from, to, SLOW_WAY),
            1 => world.set_loss(from, to, Some(LOSSY_WAY)),
            _ => world.cut(from, to),
        }
    }
    world.sleep(YIELDS_WITHIN).await;
    world.count(["company.slow_way", "company.lossy_way", "company.cut_way"][kind as usize], 1);
    town.owns_nothing(node)
}

/// A node reaches none of the others, and the store: they take its slots, and it takes none of theirs.
async fn cut_from_nodes(world: &World, town: &Town, node: usize) -> Result<(), Violation> {
    let others = (0..NODES).filter(|other| *other != node);
    others.for_each(|other| world.part(town.machine(other), town.machine(node)));
    let cut_at = world.now();
    world.sleep(NOTICED_WITHIN).await;
    let mut theirs = 0;
    while world.now() < cut_at + YIELDS_WITHIN {
        let rows = town.rows().await;
        let (owned, others) = (rows[node], rows.iter().sum::<usize>() - rows[node]);
        let may_own = world.now() < cut_at + LOST_WITHIN;
        Violation::unless(owned == 0 || may_own, "company", || {
            format!("n{node}, alone, owns {owned} slots")
        })?;
        Violation::unless(others >= theirs, "company", || {
            format!("n{node}, alone, took slots of the others: they owned {theirs} and own {others}")
        })?;
        theirs = others;
        world.sleep(GLANCE).await;
    }
    world.count("company.alone", 1);
    town.owns_nothing(node)
}

/// A node runs, and its loop is late all the time.
async fn run_late(world: &World, town: &Town, node: usize) -> Result<(), Violation> {
    let until = world.now() + YIELDS_WITHIN;
    while world.now() < until {
        world.pause(town.machine(node), LATE_BY);
        world.sleep(LATE_EVERY).await;
    }
    world.count("company.yielded", 1);
    town.owns_nothing(node)
}

/// The clock of a node is ten minutes off for a while: nothing comes of it but a word to operators.
async fn wrong_clock(world: &World, town: &Town, node: usize, chance: &Entropy) -> Result<(), Violation> {
    let offset_us = if chance.chance(1, 2) { CLOCK_OFF_US } else { -CLOCK_OFF_US };
    let clock = |offset_us| world.set_skew(town.machine(node), Skew { offset_us, ..Skew::default() });
    clock(offset_us);
    world.sleep(LINKS_AGAIN).await;
    let told = town.tells_of_clock(node, chance).await;
    clock(0);
    told
}
