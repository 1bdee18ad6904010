//! Carries faults out, and heals them.

use crate::{
    clients::strangers,
    faults::{Fault, Lie, PANICS, Way},
    stage::{self, Stage, site::Site, storm::Mood},
    world::{
        World,
        clock::Skew,
        machine::{Crash, Hardware, MachineId},
        report::Violation,
    },
};
use cluster::host::{Entropy, FaultPoint};
use std::{
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

/// How long a trap waits for its fault point.
const TRAP_MAX: Duration = Duration::from_secs(20);
/// How long requests go astray before a node freezes.
const REQUESTS_STRAY: Duration = Duration::from_millis(800);
/// Time until somebody notices that a node is frozen.
const NOTICED: Duration = Duration::from_millis(500);

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

impl Stage {
    /// Strikes, and heals what heals by itself. Completes when it is over.
    pub async fn strike(self: Arc<Self>, fault: Fault, chance: Entropy) -> Result<(), Violation> {
        let waits = matches!(
            fault,
            Fault::BitRot { .. } | Fault::CrashAt { .. } | Fault::CrashLoop { .. } | Fault::Takeover { .. }
        );
        if !waits {
            self.struck(fault.name());
        }
        self.world.note(None, "fault", [0, 0], fault.name());
        self.world.tell(|| format!("{}: {fault:?}", fault.name()));
        match (fault.site(), fault.client()) {
            (Some(site), _) => self.at_site(&self.sites[site].clone(), fault, chance).await,
            (_, Some(client)) => {
                self.at_client(client, fault).await;
                Ok(())
            }
            _ => {
                self.between_nodes(fault).await;
                Ok(())
            }
        }
    }

    /// Counts a fault. Those that wait for their moment are counted when it has come.
    fn struck(&self, name: &str) {
        self.world.count_of("fault", name);
    }

    async fn at_site(&self, site: &Arc<Site>, fault: Fault, chance: Entropy) -> Result<(), Violation> {
        let world = &self.world;
        match fault {
            Fault::Crash { down_ms, .. } => self.down(site, Crash::Process, down_ms).await,
            Fault::PowerCut { down_ms, .. } => self.down(site, Crash::Power, down_ms).await,
            Fault::CrashAt { point, passage, power, down_ms, .. } => {
                let crash = if power { Crash::Power } else { Crash::Process };
                let point = FaultPoint::ALL[point % FaultPoint::ALL.len()];
                self.trap(site, point, passage, crash, down_ms).await
            }
            Fault::PanicAt { point, passage, more, .. } => {
                let point = PANICS[point % PANICS.len()];
                // Each springs at a passage of its own.
                (passage..=passage + more).for_each(|passage| world.panic_at(site.machine(), point, passage));
                Ok(())
            }
            Fault::CrashLoop { times, .. } => self.crash_loop(site, times).await,
            Fault::FullDisk { blocks, for_ms, .. } => {
                site.disk().set_room(Some(blocks));
                world.sleep(ms(for_ms)).await;
                site.disk().set_room(None);
                Ok(())
            }
            Fault::SlowDisk { access_ms, for_ms, .. } => {
                let well = self.plan.sites[site.number].access();
                world.set_blocking(site.disk_machine(), (well.0, ms(access_ms).max(well.1)));
                world.sleep(ms(for_ms)).await;
                world.set_blocking(site.disk_machine(), well);
                Ok(())
            }
            Fault::BrokenDisk { changes, only_syncs, for_ms, .. } => {
                match only_syncs {
                    false => site.disk().break_in(Some(changes)),
                    true => site.disk().break_syncs_in(changes),
                }
                world.sleep(ms(for_ms)).await;
                self.whole_power_cut(site).await
            }
            Fault::Pause { for_ms, .. } => {
                world.pause(site.machine(), ms(for_ms));
                world.sleep(ms(for_ms)).await;
                Ok(())
            }
            Fault::ClockStep { by_ms, .. } => {
                site.set_clock(|skew| Skew { offset_us: skew.offset_us + by_ms * 1000, ..skew });
                Ok(())
            }
            Fault::ClockDrift { ppm, .. } => {
                site.set_clock(|skew| Skew { drift_ppm: ppm, ..skew });
                Ok(())
            }
            Fault::Storm { .. } => {
                let there = self.places.iter().filter(|place| Arc::ptr_eq(self.site_of(place.tenant), site));
                there.for_each(|place| world.reset(place.machine, site.machine()));
                Ok(())
            }
            Fault::Strangers { count, .. } => {
                (0..count).for_each(|number| self.stranger(site, number, &chance));
                Ok(())
            }
            Fault::Takeover { frozen_ms, .. } => self.take_over(site, frozen_ms).await,
            other => {
                self.in_a_mood(site, other).await;
                Ok(())
            }
        }
    }

    /// Somebody who does not keep to the protocol calls at the node.
    fn stranger(&self, site: &Site, number: usize, chance: &Entropy) {
        let me = self.world.machine(format!("stranger-{number}"), Hardware::default());
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner).push(me);
        let (host, chance) = (self.world.boot(me), chance.fork(&format!("stranger/{number}")));
        let visit = strangers::visit(self.world.clone(), me, host.clone(), site.machine(), chance);
        host.spawn("stranger", visit);
    }

    /// Weather of a store. Each kind ends by itself: others may last longer.
    async fn in_a_mood(&self, site: &Site, fault: Fault) {
        let change: (u64, fn(&mut Mood)) = match fault {
            Fault::SlowStore { late_ms, for_ms, .. } => {
                site.moods.lock().late = Some(ms(late_ms));
                (for_ms, |mood| mood.late = None)
            }
            Fault::LyingStore { lie, one_in, for_ms, .. } => {
                site.moods.lock().lie = Some((lie, one_in));
                (for_ms, |mood| mood.lie = None)
            }
            Fault::Throttled { one_in, for_ms, .. } => {
                site.moods.lock().throttle = Some(one_in);
                (for_ms, |mood| mood.throttle = None)
            }
            Fault::Refused { for_ms, .. } => {
                site.moods.lock().refuses = true;
                (for_ms, |mood| mood.refuses = false)
            }
            // Bit rot waits for the end.
            _ => return,
        };
        let (for_ms, end) = change;
        self.world.sleep(ms(for_ms)).await;
        end(&mut site.moods.lock());
    }

    async fn at_client(&self, client: usize, fault: Fault) {
        let (world, place) = (&self.world, &self.places[client]);
        let (me, site) = (place.machine, self.site_of(place.tenant));
        match fault {
            Fault::Cut { way, for_ms, .. } => self.cut(me, site.machine(), way, ms(for_ms)).await,
            Fault::HalfOpen { for_ms, .. } => self.cut(me, site.machine(), Way::Both, ms(for_ms)).await,
            Fault::Delay { late_ms, for_ms, .. } => {
                let server = site.machine();
                let late = (Duration::from_micros(100), ms(late_ms));
                let paths = [(me, server), (server, me)];
                paths.iter().for_each(|(from, to)| world.set_latency(*from, *to, late));
                world.sleep(ms(for_ms)).await;
                let well = crate::world::network::LATENCY_DEFAULT;
                paths.iter().for_each(|(from, to)| world.set_latency(*from, *to, well));
            }
            Fault::Reset { .. } => world.reset(me, site.machine()),
            Fault::ClientPause { for_ms, .. } => {
                world.pause(me, ms(for_ms));
                world.sleep(ms(for_ms)).await;
            }
            Fault::SlowReader { for_ms, .. } => {
                let until = world.now() + ms(for_ms);
                place.deaf_until.store(u64::try_from(until.as_nanos()).unwrap_or(u64::MAX), Relaxed);
                world.sleep(ms(for_ms)).await;
            }
            _ => {}
        }
    }

    async fn between_nodes(&self, fault: Fault) {
        match fault {
            Fault::LinkCut { one, other, way, for_ms } => {
                let (one, other) = (self.sites[one].machine(), self.sites[other].machine());
                self.cut(one, other, way, ms(for_ms)).await;
            }
            Fault::LossyLink { one, other, one_in, for_ms } => {
                let (one, other) = (self.sites[one].machine(), self.sites[other].machine());
                for (from, to) in [(one, other), (other, one)] {
                    self.world.set_loss(from, to, Some((1, one_in)));
                }
                self.world.sleep(ms(for_ms)).await;
                for (from, to) in [(one, other), (other, one)] {
                    self.world.set_loss(from, to, None);
                }
            }
            _ => {}
        }
    }

    async fn cut(&self, one: MachineId, other: MachineId, way: Way, span: Duration) {
        let paths = match way {
            Way::Both => vec![(one, other), (other, one)],
            Way::There => vec![(one, other)],
            Way::Back => vec![(other, one)],
        };
        paths.iter().for_each(|(from, to)| self.world.cut(*from, *to));
        self.world.sleep(span).await;
        paths.iter().for_each(|(from, to)| self.world.heal(*from, *to));
    }

    /// Ends a node's life and sees to it that it comes back.
    async fn down(&self, site: &Site, crash: Crash, down_ms: u64) -> Result<(), Violation> {
        self.world.crash(site.machine(), crash);
        self.back(site, ms(down_ms)).await
    }

    /// The disk goes on with what was synced: its machine loses its power.
    async fn whole_power_cut(&self, site: &Site) -> Result<(), Violation> {
        site.up().into_iter().for_each(|machine| self.world.crash(machine, Crash::Power));
        self.back(site, ms(200)).await
    }

    async fn trap(
        &self,
        site: &Site,
        point: FaultPoint,
        passage: u64,
        crash: Crash,
        down_ms: u64,
    ) -> Result<(), Violation> {
        let machine = site.machine();
        let trapped = self.world.trapped(machine);
        self.world.crash_at(machine, point, passage, crash);
        let until = self.world.now() + TRAP_MAX;
        while self.world.life(machine).is_some() && self.world.now() < until {
            self.world.sleep(ms(20)).await;
        }
        if self.world.life(machine).is_some() {
            // It never came by.
            self.world.disarm(machine);
            return Ok(());
        }
        if self.world.trapped(machine) > trapped {
            self.struck("crash-at");
            self.world.tell(|| format!("{} dies at «{}»", site.id, point.name()));
        }
        self.back(site, ms(down_ms)).await
    }

    async fn crash_loop(&self, site: &Site, times: u64) -> Result<(), Violation> {
        if site.repairing.swap(true, Relaxed) {
            return Ok(());
        }
        self.struck("crash-loop");
        self.world.crash(site.machine(), Crash::Process);
        for number in 0..times {
            self.world.sleep(ms(100)).await;
            let point = [FaultPoint::BeforeClaims, FaultPoint::SlotsClaimed, FaultPoint::StoreCommit];
            site.trap_next_boot(point[number as usize % point.len()]);
            // It dies, which is the point.
            let _ = site.boot().await;
            if self.world.life(site.machine()).is_some() {
                self.world.crash(site.machine(), Crash::Power);
            }
        }
        site.repairing.store(false, Relaxed);
        self.back(site, ms(100)).await
    }

    /// A second node takes the place of one that is frozen; that one thaws, and must find out.
    async fn take_over(&self, site: &Site, frozen_ms: u64) -> Result<(), Violation> {
        let (frozen, next) = (site.machine(), site.spare());
        if site.repairing.swap(true, Relaxed) {
            return Ok(());
        }
        if self.world.life(frozen).is_none() || frozen == next || self.world.life(next).is_some() {
            site.repairing.store(false, Relaxed);
            return Ok(());
        }
        // Some requests are still on their way to the store when it freezes, and land when another has begun.
        site.moods.lock().lie = Some((Lie::Late, 2));
        self.world.sleep(REQUESTS_STRAY).await;
        self.struck("takeover");
        self.world.pause(frozen, ms(frozen_ms));
        site.moods.lock().lie = None;
        self.world.sleep(NOTICED).await;
        site.redirect();
        site.repairing.store(false, Relaxed);
        self.world.tell(|| format!("another {} starts in the place of the frozen one", site.id));
        self.back(site, Duration::ZERO).await?;
        self.world.sleep(ms(frozen_ms)).await;
        // Whoever replaced it ends it, in time.
        self.world.sleep(ms(8_000)).await;
        self.world.crash(frozen, Crash::Process);
        Ok(())
    }

    /// Boots a site that is down, unless somebody does already.
    pub(crate) async fn back(&self, site: &Site, after: Duration) -> Result<(), Violation> {
        if site.repairing.swap(true, Relaxed) {
            return Ok(());
        }
        self.world.sleep(after).await;
        let booted = if self.world.life(site.machine()).is_none() { stage::boot(site).await } else { Ok(()) };
        site.repairing.store(false, Relaxed);
        self.world.tell(|| format!("{} is up", site.id));
        booted
    }

    /// Ends all weather: paths heal, disks have room, stores are honest, machines run.
    pub async fn clear(&self) -> Result<(), Violation> {
        self.world.heal_all();
        self.world.resume_all();
        self.wake_readers();
        for site in &self.sites {
            *site.moods.lock() = Default::default();
            site.disk().set_room(None);
            site.disk().break_in(None);
            self.world.set_blocking(site.disk_machine(), self.plan.sites[site.number].access());
            site.up().into_iter().for_each(|machine| self.world.disarm(machine));
            if site.spare() != site.machine() {
                self.world.crash(site.spare(), Crash::Process);
            }
            site.disarm();
            // Whoever was at it has been sent home.
            site.repairing.store(false, Relaxed);
            if site.node().is_none() {
                self.world.crash(site.machine(), Crash::Process);
                self.back(site, Duration::ZERO).await?;
            }
        }
        World::tell(&self.world, || "the weather clears".to_owned());
        Ok(())
    }
}
