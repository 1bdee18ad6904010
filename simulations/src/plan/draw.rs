//! Draws a plan from a seed: swarm testing (Groce and others, "Swarm Testing", ISSTA 2012). Every seed leaves out most
//! kinds of faults and some kinds of deeds, so that no kind hides another, and draws its own rates.

use crate::{
    clients::{native::AGAIN_BACK_MAX, web::LOOKS},
    faults::{Fault, KINDS, Lie, PANICS, Way},
    plan::{
        Channel, Client, Deed, Device, Do, Plan, Site, Timed, Workspace,
        workload::{self, CROWD_SMALLER_BY, DEVICES, STADIUM_ONE_IN, WORKLOADS, Workload},
    },
    stage::operator::ADMIN_VERBS,
};
use cluster::host::{Entropy, FaultPoint};

/// Fewest workspaces of a world: tenants must have somebody to be kept apart from.
pub const WORKSPACES_MIN: u64 = 3;
/// Length of the weather, ms, at least and at most.
const WEATHER_MS: (u64, u64) = (10_000, 23_000);
/// One seed in so many has weather that outlasts a connection which is none, and a pause of a minute.
const LONG_ONE_IN: u64 = 20;
/// Length of that weather, ms.
const LONG_MS: (u64, u64) = (70_000, 90_000);
/// In it everybody does so much less in the same time.
const LONG_SLOWER_BY: u64 = 5;
/// How long a connection is none: longer than clients and nodes wait before they give one up.
const HALF_OPEN_MS: u64 = 60_000;
/// Longest time that a machine is frozen, ms.
const PAUSE_MS_MAX: u64 = 60_000;
/// Longest access of a disk, ms: where it is short nobody waits, where it is long much shares a commit.
const ACCESS_MS: [u64; 3] = [2, 20, 30];
/// One kind of fault in so many is part of a seed.
const KIND_ONE_IN: u64 = 6;
/// Kinds whose work is seldom seen when they strike, and how many times as many seeds have them. What one seed in
/// thirty shows is missing once in nine hundred times 200 seeds: a run of ten times as many would often be red.
const SELDOM_SEEN: [(&str, u64); 4] =
    [("takeover", 3), ("panic-at", 2), ("lying-store", 2), ("broken-disk", 2)];
/// Most faults of one kind.
const OF_KIND_MAX: u64 = 2;
/// Most panics that follow upon one.
const PANICS_MORE_MAX: u64 = 6;
/// One kind of deed in so many is left out.
const LEFT_OUT_ONE_IN: u64 = 5;
/// In one seed in so many the first site is a cell of several nodes.
const CELL_ONE_IN: u64 = 12;
/// Nodes of a cell, fewest and most.
const CELL_NODES: (u64, u64) = (2, 5);
/// Kinds of faults that only cells have: two cells of three have each.
const IN_CELLS: [&str; 2] = ["cell-cut", "gray-link"];
/// One seed in so many has channels that are a bucket old.
const AGED_ONE_IN: u64 = 16;
/// Messages of such a channel: the next bucket opens while people talk.
const AGED_MESSAGES: (u64, u64) = (4060, 4090);
/// Words of a message.
const WORDS_MAX: u64 = 12;

/// What may be asked of the drawing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish<'a> {
    /// This workload and no other.
    pub workload: Option<&'a str>,
    /// The weather lasts this long, ms.
    pub length_ms: Option<u64>,
    /// The first site has so many nodes.
    pub nodes: Option<usize>,
}

/// The plan of a stream of chance.
pub fn plan(chance: &Entropy, wish: Wish<'_>) -> Plan {
    let workload = pick_workload(&chance.fork("workload"), wish.workload);
    let length = chance.fork("length");
    let long = wish.length_ms.is_none() && length.chance(1, LONG_ONE_IN);
    let drawn = || between(&length, if long { LONG_MS } else { WEATHER_MS });
    let clears_at_ms = wish.length_ms.unwrap_or_else(drawn);
    let who = chance.fork("who");
    let mut sites: Vec<Site> = (0..1 + who.below(3)).map(|_| site(&who)).collect();
    let cell = chance.fork("cell");
    if cell.chance(1, CELL_ONE_IN) && workload.silent_members.1 == 0 {
        sites[0].nodes = between(&cell, CELL_NODES) as usize;
    }
    sites[0].nodes = wish.nodes.unwrap_or(sites[0].nodes);
    let aged = who.chance(1, AGED_ONE_IN);
    let workspaces: Vec<Workspace> = (0..WORKSPACES_MIN as usize)
        .map(|at| workspace(&who, workload, at % sites.len(), at == 0, aged))
        .collect();
    let clients = clients(&who, workload, &workspaces);
    let mut plan = Plan {
        workload: workload.name.to_owned(),
        sites,
        workspaces,
        clients,
        deeds: Vec::new(),
        faults: Vec::new(),
        clears_at_ms,
        // Making a crowd of thousands within tight limits takes hours.
        tight: who.chance(1, 3) && workload.silent_members.1 == 0,
    };
    let gap_ms = workload.gap_ms * if long { LONG_SLOWER_BY } else { 1 };
    plan.deeds = deeds(&chance.fork("deeds"), workload, gap_ms, &plan);
    plan.faults = faults(&chance.fork("faults"), &plan);
    plan
}

fn between(chance: &Entropy, (low, high): (u64, u64)) -> u64 {
    low + chance.below(high - low + 1)
}

fn below(chance: &Entropy, bound: usize) -> usize {
    chance.below(bound.max(1) as u64) as usize
}

fn pick_workload(chance: &Entropy, wish: Option<&str>) -> &'static Workload {
    if let Some(wished) = wish.and_then(workload::find) {
        return wished;
    }
    if chance.chance(1, STADIUM_ONE_IN)
        && let Some(stadium) = workload::find("stadium")
    {
        return stadium;
    }
    weighted(chance, WORKLOADS.iter().map(|workload| (workload, workload.share)))
}

fn weighted<T>(chance: &Entropy, choices: impl Iterator<Item = (T, u64)> + Clone) -> T {
    let mut left = chance.below(choices.clone().map(|(_, weight)| weight).sum());
    for (choice, weight) in choices {
        if left < weight {
            return choice;
        }
        left -= weight;
    }
    unreachable!("a draw below the sum of the weights")
}

fn site(chance: &Entropy) -> Site {
    let offset_us = between(chance, (0, 1_000_000)) as i64 - 500_000;
    let drift_ppm = if chance.chance(1, 3) { between(chance, (0, 20_000)) as i64 - 10_000 } else { 0 };
    let remote_store = chance.chance(1, 2);
    let access_ms = ACCESS_MS[below(chance, ACCESS_MS.len())];
    Site { offset_us, drift_ppm, remote_store, access_ms, nodes: 1 }
}

/// The first of them has what is rare: a channel that is old, or a crowd of the largest size.
fn workspace(chance: &Entropy, workload: &Workload, site: usize, first: bool, aged: bool) -> Workspace {
    let people = between(chance, workload.people) as usize;
    let channels = (0..between(chance, workload.channels))
        .map(|number| {
            let all = number == 0;
            let members = (0..people).filter(|person| *person == 0 || all || chance.chance(3, 5)).collect();
            Channel {
                members,
                private: !all && chance.chance(1, 4),
                silent_members: if all { crowd(chance, workload, first) } else { 0 },
                aged: if all && first && aged { between(chance, AGED_MESSAGES) as usize } else { 0 },
            }
        })
        .collect();
    Workspace { site, people, channels }
}

fn crowd(chance: &Entropy, workload: &Workload, largest: bool) -> usize {
    let (fewest, most) = workload.silent_members;
    let drawn = if largest { most } else { between(chance, (fewest, most / CROWD_SMALLER_BY)) };
    drawn as usize
}

fn clients(chance: &Entropy, workload: &Workload, workspaces: &[Workspace]) -> Vec<Client> {
    let mut clients = Vec::new();
    for (workspace, there) in workspaces.iter().enumerate() {
        for person in 0..there.people {
            let second = chance.chance(1, workload.second_device_one_in);
            for _ in 0..1 + usize::from(second) {
                let device = weighted(chance, DEVICES.iter().copied());
                clients.push(Client { workspace, person, device });
            }
        }
    }
    clients
}

fn deeds(chance: &Entropy, workload: &Workload, gap_ms: u64, plan: &Plan) -> Vec<Deed> {
    let left_out = |name: &str| name != "post" && chance.fork(name).chance(1, LEFT_OUT_ONE_IN);
    let weights: Vec<_> = workload.deeds.iter().filter(|(name, _)| !left_out(name)).copied().collect();
    let mut deeds = Vec::new();
    for (number, client) in plan.clients.iter().enumerate() {
        let own = chance.fork(&format!("client/{number}"));
        let mut at_ms = own.below(gap_ms * 2);
        while at_ms < plan.clears_at_ms {
            let may = weights.iter().filter(|(name, _)| can(client.device, name)).copied();
            let name = weighted(&own, may);
            let what = deed(&own, name, client, &plan.workspaces[client.workspace]);
            deeds.push(Deed { at_ms, client: number, what });
            at_ms += 1 + own.below(gap_ms * 2);
        }
    }
    deeds.sort_by_key(|deed| deed.at_ms);
    deeds
}

/// Whether somebody who is connected so can do it at all.
fn can(device: Device, name: &str) -> bool {
    match name {
        "look" => device == Device::Web,
        "pause" => device.form().is_some(),
        _ => true,
    }
}

fn deed(chance: &Entropy, name: &str, client: &Client, there: &Workspace) -> Do {
    let in_it = |channel: &&(usize, &Channel)| channel.1.members.contains(&client.person);
    let all: Vec<(usize, &Channel)> = there.channels.iter().enumerate().collect();
    let own: Vec<usize> = all.iter().filter(in_it).map(|(number, _)| *number).collect();
    let channel = own[below(chance, own.len())];
    let any = below(chance, all.len());
    let back = below(chance, if chance.chance(1, 4) { 40 } else { 5 });
    let words = 1 + chance.below(if chance.chance(1, 60) { 600 } else { WORDS_MAX }) as usize;
    let person = below(chance, there.people);
    match name {
        "flood" => Do::Flood { channel, count: 10 + below(chance, 50) },
        "burst" => Do::Flood { channel, count: 4 + below(chance, 8) },
        "edit" => Do::Edit { channel, back, words },
        "delete" => Do::Delete { channel, back },
        "react" => Do::React { channel, back, emoji: below(chance, 4) },
        "unreact" => Do::Unreact { channel, back, emoji: below(chance, 4) },
        "mark" => Do::Mark { channel, back },
        "typing" => Do::Typing { channel },
        "join" => Do::Join { channel: any },
        "leave" => Do::Leave { channel: if chance.chance(1, 2) { any } else { channel } },
        "invite" => Do::Invite { channel, person },
        "kick" => Do::Kick { channel, person },
        "direct" => Do::Direct { person },
        "range" => Do::Range { channel, back: chance.below(60), limit: 1 + chance.below(80) as u32 },
        "history" => Do::History { channel, limit: 1 + below(chance, 60) },
        "look" => Do::Look { what: below(chance, LOOKS), channel, person, back },
        "pause" => Do::Pause { channel },
        "administer" => Do::Administer { what: below(chance, ADMIN_VERBS), channel: any, person },
        "reconnect" => Do::Reconnect,
        "again" => Do::Again {
            changed: chance.chance(1, 4),
            back: if chance.chance(1, 2) { 0 } else { below(chance, AGAIN_BACK_MAX) },
        },
        "nonsense" => Do::Nonsense { kind: below(chance, 6) },
        "revoke" => Do::Revoke,
        _ => Do::Post {
            channel,
            words,
            thread: chance.chance(1, 4).then_some(back),
            broadcast: chance.chance(1, 4),
            mention: chance.chance(1, 8).then_some(person),
        },
    }
}

fn faults(chance: &Entropy, plan: &Plan) -> Vec<Timed> {
    let mut faults = Vec::new();
    for kind in KINDS {
        let own = chance.fork(kind.name);
        let times = SELDOM_SEEN.iter().find(|(name, _)| *name == kind.name).map_or(1, |(_, times)| *times);
        let (seeds, of) = if IN_CELLS.contains(&kind.name) { (2, 3) } else { (1, KIND_ONE_IN / times) };
        if !own.chance(seeds, of) {
            continue;
        }
        for _ in 0..1 + own.below(OF_KIND_MAX) {
            let at_ms = between(&own, (500, latest(kind.name, plan.clears_at_ms)));
            faults.extend(fault(&own, kind.name, plan).map(|what| Timed { at_ms, what }));
        }
    }
    faults.sort_by_key(|fault| fault.at_ms);
    faults
}

/// When a fault of this kind strikes at the latest: its whole length before the weather clears, where there is room.
fn latest(name: &str, clears_at_ms: u64) -> u64 {
    let latest = clears_at_ms.saturating_sub(1000).max(501);
    let whole = if name == "half-open" { HALF_OPEN_MS } else { 0 };
    latest.checked_sub(whole).filter(|at_ms| *at_ms > 500).unwrap_or(latest)
}

/// A fault of this kind; `None` where there is nothing that it could strike.
fn fault(chance: &Entropy, name: &str, plan: &Plan) -> Option<Fault> {
    let site = below(chance, plan.sites.len());
    let client = below(chance, plan.clients.len());
    let way = [Way::Both, Way::There, Way::Back][below(chance, 3)];
    let for_ms = between(chance, (200, 12_000));
    let down_ms = between(chance, (50, 4_000));
    let one_in = between(chance, (1, 8));
    Some(match name {
        "crash" => Fault::Crash { site, down_ms },
        "crash-at" => Fault::CrashAt {
            site,
            point: below(chance, FaultPoint::ALL.len()),
            passage: between(chance, (1, 30)),
            power: chance.chance(1, 2),
            down_ms,
        },
        "panic-at" => Fault::PanicAt {
            site,
            point: below(chance, PANICS.len()),
            passage: if chance.chance(1, 2) { between(chance, (1, 3)) } else { between(chance, (1, 60)) },
            more: if chance.chance(1, 4) { chance.below(PANICS_MORE_MAX) } else { 0 },
        },
        "crash-loop" => Fault::CrashLoop { site, times: between(chance, (2, 4)) },
        "power-cut" => Fault::PowerCut { site, down_ms },
        "full-disk" => Fault::FullDisk { site, blocks: chance.below(64), for_ms },
        "slow-disk" => Fault::SlowDisk { site, access_ms: between(chance, (5, 1500)), for_ms },
        "broken-disk" => Fault::BrokenDisk {
            site,
            changes: chance.below(60),
            only_syncs: chance.chance(1, 2),
            for_ms: down_ms,
        },
        "bit-rot" => Fault::BitRot { site, flips: 1 + below(chance, 12) },
        "pause" => Fault::Pause { site, for_ms: between(chance, (10, PAUSE_MS_MAX.min(plan.clears_at_ms))) },
        "clock-step" => Fault::ClockStep { site, by_ms: between(chance, (0, 7_200_000)) as i64 - 3_600_000 },
        "clock-drift" => Fault::ClockDrift { site, ppm: between(chance, (0, 20_000)) as i64 - 10_000 },
        "cut" => Fault::Cut { client, way, for_ms },
        "half-open" => Fault::HalfOpen { client, for_ms: HALF_OPEN_MS },
        "delay" => Fault::Delay { client, late_ms: between(chance, (20, 3_000)), for_ms },
        "reset" => Fault::Reset { client },
        "client-pause" => Fault::ClientPause { client, for_ms: between(chance, (100, 40_000)) },
        "slow-reader" => Fault::SlowReader { client, for_ms: between(chance, (1_000, 20_000)) },
        "storm" => Fault::Storm { site },
        "strangers" => Fault::Strangers { site, count: 1 + below(chance, 12) },
        "slow-store" => Fault::SlowStore { site, late_ms: between(chance, (10, 4_000)), for_ms },
        "lying-store" => {
            let lie = [Lie::AppliedUnheard, Lie::Lost, Lie::Late, Lie::Twice][below(chance, 4)];
            Fault::LyingStore { site, lie, one_in, for_ms }
        }
        "throttled" => Fault::Throttled { site, one_in, for_ms },
        "refused" => Fault::Refused { site, for_ms },
        "stop" => Fault::Stop { site, down_ms },
        "takeover" => {
            let is_remote = |site: &usize| plan.sites[*site].remote_store && !plan.sites[*site].is_cell();
            let remote: Vec<usize> = (0..plan.sites.len()).filter(is_remote).collect();
            let site = *remote.get(below(chance, remote.len()))?;
            Fault::Takeover { site, frozen_ms: between(chance, (500, 15_000)) }
        }
        _ => return link_fault(chance, name, plan, &Drawn { site, way, for_ms, one_in }),
    })
}

/// What is drawn for every fault, used or not.
struct Drawn {
    site: usize,
    way: Way,
    for_ms: u64,
    one_in: u64,
}

/// The same for those that strike the ways between nodes.
fn link_fault(chance: &Entropy, name: &str, plan: &Plan, drawn: &Drawn) -> Option<Fault> {
    let Drawn { site, way, for_ms, one_in } = *drawn;
    let pair = || {
        let other = (site + 1 + below(chance, plan.sites.len().saturating_sub(1))) % plan.sites.len();
        let have_links = other != site && !plan.sites[site].is_cell() && !plan.sites[other].is_cell();
        have_links.then_some((site, other))
    };
    // Of the first cell; the store has a seat as well.
    let seats = || {
        let site = plan.sites.iter().position(Site::is_cell)?;
        let (seats, one) = (plan.sites[site].nodes + 1, below(chance, plan.sites[site].nodes));
        Some((site, one, (one + 1 + below(chance, seats - 1)) % seats))
    };
    Some(match name {
        "cell-cut" => seats().map(|(site, one, other)| Fault::CellCut { site, one, other, way, for_ms })?,
        "gray-link" => {
            let late_ms = between(chance, (10, 2_000));
            let gray = |(site, one, other)| Fault::GrayLink {
                site,
                one,
                other,
                one_in: one_in + 2,
                late_ms,
                for_ms,
            };
            seats().map(gray)?
        }
        "link-cut" => pair().map(|(one, other)| Fault::LinkCut { one, other, way, for_ms })?,
        "lossy-link" => {
            pair().map(|(one, other)| Fault::LossyLink { one, other, one_in: one_in + 1, for_ms })?
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn of(seed: u64) -> Plan {
        plan(&Entropy::from_u64(seed).fork("plan"), Wish::default())
    }

    #[test]
    fn a_seed_has_one_plan_and_a_plan_is_its_file() {
        for seed in 0..20 {
            let plan = of(seed);
            assert_eq!(plan, of(seed));
            assert_eq!(Plan::from_json(&plan.to_json()).expect("its own file"), plan);
        }
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn two_hundred_seeds_have_every_kind_of_fault_deed_device_and_workload_but_the_rarest() {
        let plans: Vec<Plan> = (0..200).map(of).collect();
        let faults: BTreeSet<_> = plans.iter().flat_map(|plan| &plan.faults).map(|f| f.what.name()).collect();
        assert_eq!(faults, KINDS.iter().map(|kind| kind.name).collect());
        let devices: BTreeSet<_> = plans.iter().flat_map(|plan| &plan.clients).map(|c| c.device).collect();
        assert_eq!(devices.len(), 4);
        let workloads: BTreeSet<_> = plans.iter().map(|plan| plan.workload.clone()).collect();
        assert!(workloads.len() >= WORKLOADS.len() - 1, "{workloads:?}");
        let deeds: BTreeSet<_> = plans.iter().flat_map(|plan| &plan.deeds).map(|d| d.what.name()).collect();
        assert_eq!(deeds, Do::NAMES.iter().copied().collect());
    }

    #[test]
    fn there_are_always_three_tenants_and_a_swarm_leaves_most_faults_out() {
        for seed in 0..100 {
            let plan = of(seed);
            assert_eq!(plan.workspaces.len(), 3);
            let kinds: BTreeSet<_> = plan.faults.iter().map(|fault| fault.what.name()).collect();
            assert!(kinds.len() < KINDS.len() / 2, "seed {seed}: {kinds:?}");
            assert!(plan.faults.is_sorted_by_key(|fault| fault.at_ms));
        }
    }
}
