//! Weather: everything of a plan happens in one world. Nodes on disks, people with habits, and whatever the seed has in
//! store for them.
//!
//! When the weather clears everything must be answered and level within [`HEALED_WITHIN`]; then views, logs and what
//! clients were shown are compared, everybody leaves, all machines lose their power at once, and what the disks hold is
//! judged again.

use crate::{
    faults::Fault,
    oracle::Logs,
    plan::{Plan, draw},
    promises::{
        self, answered, answered::HEALED_WITHIN, bounds, copies, everyone_level, no_panic, nothing_left,
        one_owner, rot_is_named, whole_serves,
    },
    scenarios::Settings,
    stage::{self, Stage, gossip, is_admins, settled, site, storm::LATE_REQUEST, tenant::log_name},
    world::{
        World,
        machine::Crash,
        panics::{ENGINE_MAY_PANIC, PLANNED_PANICS},
        report::{PLANNED, Violation},
    },
};
use actors::channel::FOLLOW_UP;
use cells::storage::{RedbStore, StorageConfig};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use std::{
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

/// How often it is looked whether all is well again.
const LOOK: Duration = Duration::from_secs(1);

/// Looks in a row at which all must be well.
const QUIET_LOOKS: u32 = 2;

/// Virtual time after the weather has cleared in which a run ends, whatever it waits for.
const ENDED_WITHIN: Duration = Duration::from_secs(3600);

/// The plan of a world: the one that was given, or the one that its seed draws.
pub fn plan(world: &World, settings: &Settings) -> Plan {
    let length_ms = settings.hours.map(|hours| (hours * 3_600_000.0) as u64);
    let wish = draw::Wish { workload: settings.workload.as_deref(), length_ms, nodes: settings.nodes };
    settings.plan.clone().unwrap_or_else(|| draw::plan(&world.entropy("plan"), wish))
}

/// Runs it.
pub async fn run(world: World, settings: Settings) -> Result<(), Violation> {
    let plan = plan(&world, &settings);
    let until = plan.clears_at() + ENDED_WITHIN;
    tokio::select! {
        biased;
        ended = live_and_judge(world.clone(), plan) => ended,
        () = world.sleep(until) => Err(whole_serves::PROMISE.broken(
            "an hour after the weather cleared somebody still waits for a start or an answer"
        )),
    }
}

async fn live_and_judge(world: World, plan: Plan) -> Result<(), Violation> {
    world.count(PLANNED, 1);
    world.count_of("workload", &plan.workload);
    let mut stage = Stage::build(&world, plan).await?;
    stage.invite().await?;
    let stage = Arc::new(stage);
    let among_others =
        stage.sites.iter().filter(|site| site.is_cell()).map(|site| site.nodes().count()).sum();
    let before = bounds::Work::so_far(&world, among_others);
    live(&stage).await?;
    let crowd = stage.plan.workspaces.iter().flat_map(|workspace| &workspace.channels);
    if crowd.map(|channel| channel.silent_members).sum::<usize>() == 0 {
        // A crowd's logs are still told of its making.
        bounds::judge(bounds::Work::so_far(&world, among_others).since(before))?;
    }
    stage.send_home();
    stage.clear().await?;
    heal(&stage).await?;
    let logs = stage.read_logs().await?;
    judge(&stage, &logs)?;
    compare_views(&stage, &logs).await?;
    gossip::verdict(&world, &stage.sites, &stage.paper).await?;
    settled::verdict(&stage).await?;
    everybody_leaves(&stage).await?;
    let logs = stage.read_logs().await?;
    blackout(&stage).await?;
    let kept = stage.read_logs().await?;
    judge(&stage, &kept)?;
    compare_views(&stage, &kept).await?;
    promises::kept::same(&logs, &kept)?;
    rot(&stage, &kept).await
}

/// Faults and operators, until the weather clears.
async fn live(stage: &Arc<Stage>) -> Result<(), Violation> {
    let world = &stage.world;
    let begun = world.now();
    world.count("begun_us", u64::try_from(begun.as_micros()).unwrap_or(u64::MAX));
    let mut under_way: FuturesUnordered<BoxFuture<'static, Result<(), Violation>>> = FuturesUnordered::new();
    for fault in stage.plan.faults.iter() {
        let (stage, fault) = (stage.clone(), fault.clone());
        // By its own name, so that it strikes the same where others are taken out of the plan.
        let chance = world.entropy(&format!("fault/{}/{}", fault.what.name(), fault.at_ms));
        under_way.push(Box::pin(async move {
            stage.world.sleep(Duration::from_millis(fault.at_ms)).await;
            stage.strike(fault.what, chance).await
        }));
    }
    for deed in stage.plan.deeds.iter().filter(|deed| is_admins(&deed.what)) {
        let (stage, deed) = (stage.clone(), deed.clone());
        under_way.push(Box::pin(async move {
            stage.world.sleep(Duration::from_millis(deed.at_ms)).await;
            stage.operate(&deed).await;
            Ok(())
        }));
    }
    let until = begun + stage.plan.clears_at();
    loop {
        let left = until.saturating_sub(world.now());
        if left.is_zero() {
            return Ok(());
        }
        tokio::select! {
            biased;
            Some(ended) = under_way.next() => ended?,
            () = world.sleep(left) => return Ok(()),
        }
    }
}

/// Waits until every command is answered and every client level with its logs.
async fn heal(stage: &Stage) -> Result<(), Violation> {
    let until = stage.world.now() + HEALED_WITHIN;
    let mut quiet = 0;
    loop {
        stage.world.sleep(LOOK).await;
        let open = stage.oracle.open();
        let busy = stage.places.iter().filter(|place| place.busy.load(Relaxed) > 0).count();
        let (late, follow_ups) = (under_way(stage, LATE_REQUEST), under_way(stage, FOLLOW_UP));
        let answered = open.is_empty() && busy == 0 && late == 0 && follow_ups == 0;
        let behind = if answered { behind(stage).await } else { Vec::new() };
        if answered && behind.is_empty() {
            // What an operator had under way when the weather cleared may still land.
            quiet += 1;
            if quiet < QUIET_LOOKS {
                continue;
            }
            stage.world.tell(|| "everything is answered, everybody is level".to_owned());
            return Ok(());
        }
        quiet = 0;
        if stage.world.now() < until {
            continue;
        }
        let book = stage.oracle.book();
        if let Some(first) = open.first() {
            let what = &book.commands[first];
            return Err(
                answered::PROMISE.broken(format!("{} commands are open, such as {what:?}", open.len()))
            );
        }
        answered::PROMISE.holds(answered, || {
            format!(
                "{busy} clients wait for answers, {late} requests have not reached their store, {follow_ups} logs have \
                 not been told of what happened in others"
            )
        })?;
        return Err(everyone_level::PROMISE.broken(behind.join(", ")));
    }
}

/// Tasks of this name on any machine: requests on their way to a store, of which nobody waits for the answer; what
/// events of one log make others do.
fn under_way(stage: &Stage, name: &str) -> usize {
    let tasks = stage.sites.iter().flat_map(|site| site.up()).map(|machine| stage.world.tasks(machine));
    tasks.filter_map(|tasks| tasks.get(name).copied()).sum()
}

async fn behind(stage: &Stage) -> Vec<String> {
    let mut behind = Vec::new();
    for (number, place) in stage.places.iter().enumerate().filter(|(_, place)| place.follows) {
        match stage.tails_of(place).await {
            Ok(tails) => behind.extend(everyone_level::behind(&stage.oracle.book(), number, &tails)),
            Err(error) => behind.push(error),
        }
    }
    behind
}

/// What can be judged from what was heard and the logs.
fn judge(stage: &Stage, logs: &Logs) -> Result<(), Violation> {
    let book = stage.oracle.book();
    promises::judge(&book, logs, &|client| stage.user_of(client))?;
    stage.tenants.iter().try_for_each(|tenant| {
        let site = stage.site_of(tenant.number);
        match site.is_cell() {
            // There an epoch is a claim: [`settled::verdict`] compares them.
            true => Ok(()),
            false => one_owner::judge(logs, tenant.workspace.as_str(), site.starts()),
        }
    })
}

/// Pages, members, names and unread counts against the logs.
async fn compare_views(stage: &Stage, logs: &Logs) -> Result<(), Violation> {
    let chance = stage.world.entropy("pages");
    for tenant in &stage.tenants {
        let store = stage.site_of(tenant.number).store().expect("it runs");
        promises::views::judge(&*store, tenant, logs, &chance).await?;
    }
    Ok(())
}

/// Everybody goes; nothing of them may stay, and nobody is sent anything.
async fn everybody_leaves(stage: &Stage) -> Result<(), Violation> {
    let world = &stage.world;
    stage::speak_to_all(stage).await?;
    stage.places.iter().for_each(|place| world.crash(place.machine, Crash::Process));
    let strangers = stage.strangers.lock().unwrap_or_else(PoisonError::into_inner).clone();
    strangers.into_iter().for_each(|machine| world.crash(machine, Crash::Process));
    world.sleep(Duration::from_secs(3)).await;
    let gauges = world.gauges();
    let sessions = stage.nodes().filter_map(|seat| seat.node()).map(|node| node.gateway.sessions()).sum();
    let tasks = stage.nodes().map(|seat| world.tasks(seat.machine())).collect::<Vec<_>>();
    nothing_left::after_all_left(sessions, &tasks)?;
    no_panic::caught(gauges, world.counted(PLANNED_PANICS))?;
    stage.sites.iter().try_for_each(|site| bounds::queues(gauges, site.limits()))?;
    let gateways = stage.sites.iter().map(|site| site.nodes().count()).max().unwrap_or(1);
    copies::at_most(gauges.sum("waggle_fanout_copies_total"), gauges.sum("waggle_events_total"), gateways)?;
    let before = gauges.sum("waggle_fanout_copies_total");
    stage::speak_to_nobody(stage).await?;
    copies::none_for_nobody(gauges.sum("waggle_fanout_copies_total") - before)?;
    Ok(())
}

/// All machines lose their power at once and boot again.
async fn blackout(stage: &Stage) -> Result<(), Violation> {
    let up: Vec<_> = stage.sites.iter().flat_map(|site| site.up()).collect();
    up.into_iter().for_each(|machine| stage.world.crash(machine, Crash::Power));
    stage.world.sleep(Duration::from_secs(1)).await;
    nothing_left::after_a_blackout()?;
    for site in &stage.sites {
        stage.all_back(site, Duration::ZERO).await?;
    }
    Ok(())
}

/// Bytes go bad on a disk at rest: what is served of it is right, or named damaged.
async fn rot(stage: &Stage, logs: &Logs) -> Result<(), Violation> {
    for fault in &stage.plan.faults {
        let Fault::BitRot { site, flips } = fault.what else { continue };
        stage.world.count_of("fault", fault.what.name());
        stage.world.count(ENGINE_MAY_PANIC, 1);
        let site = &stage.sites[site];
        let chance = stage.world.entropy(&format!("rot/{}", site.number));
        site.up().into_iter().for_each(|machine| stage.world.crash(machine, Crash::Power));
        let disk = site.disk();
        let bytes = disk.bytes().len() as u64;
        (0..flips).for_each(|_| disk.flip(chance.below(bytes.max(1)) as usize));
        let host = stage.world.boot(site.disk_machine());
        let config = StorageConfig { cache_bytes: 1 << 20, ..StorageConfig::default() };
        let Ok(store) = RedbStore::open(host, disk, config) else {
            stage.world.count("rot.refused", 1);
            continue;
        };
        for tenant in stage.tenants.iter().filter(|tenant| Arc::ptr_eq(stage.site_of(tenant.number), site)) {
            for log in tenant.channels.iter().map(|channel| tenant.log(channel)).chain(tenant.own_logs()) {
                let (events, error) = site::read_all(&store, &log).await;
                stage.world.count("rot.named", error.is_some().into());
                let name = log_name(&log);
                rot_is_named::as_it_was(&name, logs.of(&name), &events)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::trace::Telling;

    #[test]
    fn a_seed_of_weather_keeps_its_promises() {
        let report = World::simulate(5, Telling::Silent, |world| run(world, Settings::default()));
        assert_eq!(report.violation, None, "{}", report.tail.join("\n"));
        assert!(report.counted("messages") > 100, "{:?}", report.counters);
    }
}
