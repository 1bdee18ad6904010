//! How the slots of a cell come to rest: all its nodes know one owner of each, one that runs, and nothing moves any
//! more.

use crate::{
    promises::{nodes_meet, one_owner},
    stage::{Stage, site::Site, tenant::log_name},
    world::{World, report::Violation},
};
use actors::{node::Node, router::Router};
use cluster::{fence::HOLD_MIN, slots::Slot, table::SlotTable};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(500);
/// Nothing moves for this long: longer than slots are held before they go back to where they belong.
const STAYS: Duration = HOLD_MIN.saturating_add(Duration::from_secs(2));
/// Time in which they come to rest: slots of the dead are claimed, those of nodes that are back return in turns.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// Owner of each slot: name, life, epoch.
type Owners = BTreeMap<Slot, (String, u64, u64)>;

fn owners(table: &SlotTable) -> Owners {
    let owner = |slot| {
        let owner = table.owner(slot)?;
        Some((slot, (owner.node.id.to_string(), owner.node.boot.0, owner.epoch)))
    };
    Slot::all().filter_map(owner).collect()
}

/// What all nodes of a cell agree upon.
fn agreed(site: &Site) -> Result<Owners, Violation> {
    let nodes: Vec<Node> = site.nodes().filter_map(|seat| seat.node()).collect();
    let lives: Vec<(String, u64)> =
        nodes.iter().map(|node| (node.me.id.to_string(), node.me.boot.0)).collect();
    let known = |node: &Node| owners(&node.context.router.table().now());
    let first = nodes.first().map(known).unwrap_or_default();
    for node in &nodes {
        let other = known(node).into_iter().find(|(slot, owner)| first.get(slot) != Some(owner));
        nodes_meet::agree(node.me.id.as_str(), other.map(|(slot, owner)| (slot, owner.0)))?;
    }
    let runs = |owner: &&(String, u64, u64)| lives.iter().any(|life| *life == (owner.0.clone(), owner.1));
    nodes_meet::settled(&[first.values().filter(runs).count()], Slot::all().count())?;
    Ok(first)
}

/// Waits until they have come to rest.
async fn at_rest(world: &World, site: &Site) -> Result<Owners, Violation> {
    let until = world.now() + SETTLED_WITHIN;
    let (mut since, mut last) = (world.now(), Owners::new());
    loop {
        let is_late = world.now() >= until;
        let owners = match agreed(site) {
            Ok(owners) if owners == last && world.now() - since >= STAYS => return Ok(owners),
            Ok(_) if is_late => return Err(nodes_meet::still_moving(&site.first().id, SETTLED_WITHIN)),
            Err(violation) if is_late => return Err(violation),
            Ok(owners) => owners,
            Err(_) => Owners::new(),
        };
        if owners != last {
            (since, last) = (world.now(), owners);
        }
        world.sleep(LOOK).await;
    }
}

/// Every cell comes to rest; no log knows an epoch that nobody has claimed.
pub async fn verdict(stage: &Stage) -> Result<(), Violation> {
    for site in stage.sites.iter().filter(|site| site.is_cell()) {
        let owners = at_rest(&stage.world, site).await?;
        let here = |tenant: usize| Arc::ptr_eq(stage.site_of(tenant), site);
        for tenant in stage.tenants.iter().filter(|tenant| here(tenant.number)) {
            for log in stage.logs_of(tenant).await? {
                let written = site.read(&log).await?.last().map_or(0, |event| event.epoch);
                let claimed = owners.get(&Router::slot(&log)).map_or(0, |(_, _, epoch)| *epoch);
                one_owner::claimed(&log_name(&log), written, claimed)?;
            }
        }
    }
    Ok(())
}
