//! Posts: three virtual nodes serve people for an hour while their machines fail.
//!
//! Each node is the product: actors, HTTP gateway, codecs and the redb engine on a simulated disk of its own, serving
//! one workspace. Its clients post over the native protocol (protobuf and JSON) and by the Web API. The nodes are
//! linked; over the links go heart-beats and gossip. (Nodes do not serve each other's workspaces yet.) Processes are
//! killed and machines lose their power in the middle of an append, one disk breaks in the middle of a commit, one
//! machine stops for half a minute, a clock is set back an hour, clients and nodes are cut off.
//!
//! At the end everything heals, all posts must be answered and all clients level; then all machines lose their power
//! at once, and what the disks hold is judged by the oracle.

mod gossip;
mod site;
mod tenant;
mod weather;

use crate::{
    clients::{Person, native::Native, web::Web},
    oracle::{Logs, Oracle},
    scenarios::{
        Settings,
        posts::{site::Site, tenant::Tenant, weather::Weather},
    },
    world::{
        World,
        clock::Skew,
        machine::{Crash, Hardware, MachineId},
        report::Violation,
    },
};
use cluster::node::NodeId;
use proto::frame::WireForm;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const SITES: u32 = 3;
/// Native clients of each workspace.
const PEOPLE: usize = 4;
/// Clients of each workspace's Web API.
const BOTS: usize = 1;
/// Longest pause of a client between two posts.
const THINK_MAX: Duration = Duration::from_secs(6);
/// Rounds of bad weather: a killed process and a power cut each, and something else.
const ROUNDS: usize = 3;
/// Virtual time in which everything must be answered and level after the last fault.
const HEAL_MAX: Duration = Duration::from_secs(120);

/// A node, its workspace and its clients.
struct Place {
    site: Site,
    tenant: Tenant,
    clients: Vec<MachineId>,
}

/// Runs it for the given time.
pub async fn run(world: World, settings: Settings) -> Result<(), Violation> {
    let (oracle, quiet) = (Oracle::default(), Arc::new(AtomicBool::new(false)));
    let places = settle(&world, &oracle, &quiet).await?;
    let part = settings.span() / 12;
    let weather = Weather { world: world.clone(), chance: world.entropy("weather"), down_max: part / 4 };
    for round in 0..ROUNDS {
        let at = |offset: usize| &places[(round + offset) % places.len()];
        world.sleep(part).await;
        weather.kill(&at(0).site, Crash::Process).await?;
        world.sleep(part).await;
        weather.kill(&at(1).site, Crash::Power).await?;
        world.sleep(part).await;
        match round {
            0 => weather.bad_clocks(&at(1).site, &at(2).site).await,
            1 => weather.broken_disk(&at(2).site).await?,
            _ => weather.cuts(at(1), at(2)).await,
        }
    }
    world.sleep(part * 2).await;
    quiet.store(true, Ordering::Relaxed);
    heal(&world, &oracle, &places).await?;
    gossip::verdict(&world, places.iter().map(|place| &place.site))?;
    let logs = after_a_blackout(&world, &places).await?;
    world.count("events kept", logs.events() as u64);
    oracle.verdict(&logs)
}

async fn settle(world: &World, oracle: &Oracle, quiet: &Arc<AtomicBool>) -> Result<Vec<Place>, Violation> {
    let machines: BTreeMap<NodeId, MachineId> = (0..SITES)
        .map(|at| (site::node_id(at), world.machine(format!("node-{at}"), Hardware::default())))
        .collect();
    let mut places = Vec::new();
    for at in 0..SITES {
        let site = Site::new(world, at, &machines);
        let node = site.boot().await?;
        let tenant = Tenant::found(&node.context, PEOPLE + BOTS)
            .await
            .map_err(|refusal| Violation::new("an empty store can be seeded", refusal.to_string()))?;
        let mut clients = Vec::new();
        for (number, (user, token)) in tenant.people.iter().enumerate() {
            let name = format!("client-{at}-{number}");
            let skew = Skew { offset_us: 1000 * number as i64 - 2000, drift_ppm: 50 * number as i64 };
            let me = world.machine(name.clone(), Hardware { skew, ..Hardware::default() });
            let person = Person {
                world: world.clone(),
                me,
                host: world.boot(me),
                server: site.machine,
                name,
                user: user.to_string(),
                token: token.clone(),
                channels: tenant.channels.iter().map(ToString::to_string).collect(),
                think: THINK_MAX,
                oracle: oracle.clone(),
                quiet: quiet.clone(),
            };
            let host = person.host.clone();
            match number {
                PEOPLE.. => host.spawn("client", Web::new(person).run()),
                number if number % 2 == 0 => {
                    host.spawn("client", Native::new(person, WireForm::Proto).run());
                }
                _ => host.spawn("client", Native::new(person, WireForm::Json).run()),
            }
            clients.push(me);
        }
        places.push(Place { site, tenant, clients });
    }
    Ok(places)
}

/// Waits until every post is answered and every client level with its logs.
async fn heal(world: &World, oracle: &Oracle, places: &[Place]) -> Result<(), Violation> {
    let until = world.now() + HEAL_MAX;
    loop {
        world.sleep(Duration::from_secs(1)).await;
        let open = oracle.open();
        let behind = if open == 0 { oracle.behind(&read(places).await?) } else { Vec::new() };
        if open == 0 && behind.is_empty() {
            return Ok(());
        }
        Violation::unless(world.now() < until, "everything heals", || {
            format!("{open} posts are unanswered, clients behind: {}", behind.join(", "))
        })?;
    }
}

/// The logs of all conversations, as the stores of the running nodes answer them.
async fn read(places: &[Place]) -> Result<Logs, Violation> {
    let mut logs = Logs::default();
    for Place { site, tenant, .. } in places {
        for log in tenant.logs() {
            let events = site.read(&log).await?;
            logs.add(log.channel.to_string(), events);
        }
    }
    Ok(logs)
}

/// All machines lose their power at once and boot again; what their disks hold.
async fn after_a_blackout(world: &World, places: &[Place]) -> Result<Logs, Violation> {
    places.iter().for_each(|place| world.crash(place.site.machine, Crash::Power));
    world.sleep(Duration::from_secs(1)).await;
    // The table is the process's: a process runs one world with actors.
    let left = ractor::registry::get_all_pids().len();
    Violation::unless(left == 0, "no actor outlives its node", || format!("{left} actors are left"))?;
    for place in places {
        place.site.boot().await?;
    }
    read(places).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_nodes_keep_what_they_acknowledged_through_crashes() {
        let report = World::simulate(5, false, |world| run(world, Settings { hours: 0.1 }));
        assert_eq!(report.violation, None, "{}", report.tail.join("\n"));
        assert!(report.counted("messages") > 1000, "{:?}", report.counters);
        assert!(report.counted("deliveries") > 4000, "{:?}", report.counters);
    }
}
