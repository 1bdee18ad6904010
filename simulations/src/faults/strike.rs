//! Carries faults out, and heals them.

use crate::{
    clients::strangers,
    faults::{Fault, Lie, PANICS, Way},
    stage::{
        self, Stage, neighbours,
        seat::{Running, Seat},
        site::Site,
        storm::Mood,
    },
    world::{
        World,
        clock::Skew,
        machine::{Crash, Hardware, MachineId},
        network::LATENCY_DEFAULT,
        report::Violation,
    },
};
use cluster::host::{Entropy, FaultPoint};
use futures::future::try_join_all;
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

/// Pairs of machines.
type Paths = Vec<(MachineId, MachineId)>;

/// From a machine to all nodes of a site.
fn paths(from: MachineId, site: &Site) -> Paths {
    site.fronts().into_iter().map(|node| (from, node)).collect()
}

/// Between two seats of a cell.
fn between(site: &Site, one: usize, other: usize) -> Paths {
    let machine = |seat: usize| site.seats[seat % site.seats.len()].machine();
    vec![(machine(one), machine(other))]
}

impl Stage {
    /// Strikes, and heals what heals by itself. Completes when it is over.
    pub async fn strike(self: Arc<Self>, fault: Fault, chance: Entropy) -> Result<(), Violation> {
        let waits = matches!(
            fault,
            Fault::BitRot { .. }
                | Fault::CrashAt { .. }
                | Fault::CrashLoop { .. }
                | Fault::Takeover { .. }
                | Fault::Stop { .. }
        );
        if !waits {
            self.struck(fault.name());
        }
        self.world.note(None, "fault", [0, 0], fault.name());
        self.world.tell(|| format!("{}: {fault:?}", fault.name()));
        match (fault.site(), fault.client()) {
            (Some(site), _) => self.at_site(&self.sites[site].clone(), fault, &chance).await,
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

    async fn at_site(&self, site: &Arc<Site>, fault: Fault, chance: &Entropy) -> Result<(), Violation> {
        let world = &self.world;
        let seat = site.any(&chance.fork("seat"));
        match fault {
            Fault::Crash { down_ms, .. } => self.down(site, seat, Crash::Process, down_ms).await,
            Fault::PowerCut { down_ms, .. } => self.down(site, seat, Crash::Power, down_ms).await,
            Fault::Stop { down_ms, .. } => self.stop(site, seat, down_ms).await,
            Fault::CrashAt { point, passage, power, down_ms, .. } => {
                let crash = if power { Crash::Power } else { Crash::Process };
                let point = FaultPoint::ALL[point % FaultPoint::ALL.len()];
                self.trap(site, seat, (point, passage), crash, down_ms).await
            }
            Fault::PanicAt { point, passage, more, .. } => {
                let point = PANICS[point % PANICS.len()];
                // Each springs at a passage of its own.
                (passage..=passage + more).for_each(|passage| world.panic_at(seat.machine(), point, passage));
                Ok(())
            }
            Fault::CrashLoop { times, .. } => self.crash_loop(site, seat, times).await,
            Fault::Pause { for_ms, .. } => {
                world.pause(seat.machine(), ms(for_ms));
                world.sleep(ms(for_ms)).await;
                Ok(())
            }
            Fault::ClockStep { by_ms, .. } => {
                seat.set_clock(|skew| Skew { offset_us: skew.offset_us + by_ms * 1000, ..skew });
                Ok(())
            }
            Fault::ClockDrift { ppm, .. } => {
                seat.set_clock(|skew| Skew { drift_ppm: ppm, ..skew });
                Ok(())
            }
            Fault::Storm { .. } => {
                let there = self.places.iter().filter(|place| Arc::ptr_eq(self.site_of(place.tenant), site));
                there.for_each(|place| self.reset(place.machine, site));
                Ok(())
            }
            Fault::Strangers { count, .. } => {
                (0..count).for_each(|number| self.stranger(site, number, chance));
                Ok(())
            }
            Fault::Takeover { frozen_ms, .. } => self.take_over(site, frozen_ms).await,
            other => self.at_store(site, other).await,
        }
    }

    /// What strikes the store of a site, its disk, or the ways within a cell.
    async fn at_store(&self, site: &Site, fault: Fault) -> Result<(), Violation> {
        let world = &self.world;
        match fault {
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
            Fault::CellCut { one, other, way, for_ms, .. } => {
                self.cut(between(site, one, other), way, ms(for_ms)).await;
                Ok(())
            }
            Fault::GrayLink { one, other, one_in, late_ms, for_ms, .. } => {
                self.gray(between(site, one, other), one_in, ms(late_ms), ms(for_ms)).await;
                Ok(())
            }
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
        let visit =
            strangers::visit(self.world.clone(), me, host.clone(), site.doors().pick(&chance), chance);
        host.spawn("stranger", visit);
    }

    /// Weather of a store. Each kind ends by itself: others may last longer.
    async fn in_a_mood(&self, site: &Site, fault: Fault) {
        let change: (u64, fn(&mut Mood)) = match fault {
            Fault::SlowStore { late_ms, for_ms, .. } => {
                site.vault.moods.lock().late = Some(ms(late_ms));
                (for_ms, |mood| mood.late = None)
            }
            Fault::LyingStore { lie, one_in, for_ms, .. } => {
                site.vault.moods.lock().lie = Some((lie, one_in));
                (for_ms, |mood| mood.lie = None)
            }
            Fault::Throttled { one_in, for_ms, .. } => {
                site.vault.moods.lock().throttle = Some(one_in);
                (for_ms, |mood| mood.throttle = None)
            }
            Fault::Refused { for_ms, .. } => {
                site.vault.moods.lock().refuses = true;
                (for_ms, |mood| mood.refuses = false)
            }
            // Bit rot waits for the end.
            _ => return,
        };
        let (for_ms, end) = change;
        self.world.sleep(ms(for_ms)).await;
        end(&mut site.vault.moods.lock());
    }

    async fn at_client(&self, client: usize, fault: Fault) {
        let (world, place) = (&self.world, &self.places[client]);
        let (me, site) = (place.machine, self.site_of(place.tenant));
        match fault {
            Fault::Cut { way, for_ms, .. } => self.cut(paths(me, site), way, ms(for_ms)).await,
            Fault::HalfOpen { for_ms, .. } => self.cut(paths(me, site), Way::Both, ms(for_ms)).await,
            Fault::Delay { late_ms, for_ms, .. } => {
                self.late(&paths(me, site), ms(late_ms), ms(for_ms)).await;
            }
            Fault::Reset { .. } => self.reset(me, site),
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
                self.cut(paths(self.sites[one].first().machine(), &self.sites[other]), way, ms(for_ms)).await;
            }
            Fault::LossyLink { one, other, one_in, for_ms } => {
                let paths = paths(self.sites[one].first().machine(), &self.sites[other]);
                self.lossy(&paths, one_in, ms(for_ms)).await;
            }
            _ => {}
        }
    }

    /// Nobody tells either end.
    async fn cut(&self, paths: Paths, way: Way, span: Duration) {
        let there = paths.iter().copied().filter(|_| way != Way::Back);
        let back = paths.iter().map(|(one, other)| (*other, *one)).filter(|_| way != Way::There);
        let cut: Paths = there.chain(back).collect();
        cut.iter().for_each(|(from, to)| self.world.cut(*from, *to));
        self.world.sleep(span).await;
        cut.iter().for_each(|(from, to)| self.world.heal(*from, *to));
    }

    async fn late(&self, paths: &Paths, late: Duration, span: Duration) {
        let set = |latency| {
            for (one, other) in paths {
                self.world.set_latency(*one, *other, latency);
                self.world.set_latency(*other, *one, latency);
            }
        };
        set((Duration::from_micros(100), late));
        self.world.sleep(span).await;
        set(LATENCY_DEFAULT);
    }

    async fn lossy(&self, paths: &Paths, one_in: u64, span: Duration) {
        let set = |loss| {
            for (one, other) in paths {
                self.world.set_loss(*one, *other, loss);
                self.world.set_loss(*other, *one, loss);
            }
        };
        set(Some((1, one_in)));
        self.world.sleep(span).await;
        set(None);
    }

    async fn gray(&self, paths: Paths, one_in: u64, late: Duration, span: Duration) {
        futures::join!(self.lossy(&paths, one_in, span), self.late(&paths, late, span));
    }

    /// Resets the connections between a client and a site.
    fn reset(&self, client: MachineId, site: &Site) {
        site.fronts().into_iter().for_each(|node| self.world.reset(client, node));
    }

    /// Ends a life and sees to it that another one begins.
    async fn down(&self, site: &Site, seat: &Seat, crash: Crash, down_ms: u64) -> Result<(), Violation> {
        self.world.crash(seat.machine(), crash);
        self.back(site, seat, ms(down_ms)).await
    }

    /// Stops a node as an operator does; its process ends when it has gone, or when the operator's patience does.
    async fn stop(&self, site: &Site, seat: &Seat, down_ms: u64) -> Result<(), Violation> {
        let Some(Running { life, node: Some(node), .. }) = seat.running() else { return Ok(()) };
        if seat.repairing.swap(true, Relaxed) {
            return Ok(());
        }
        self.struck("stop");
        let stopped = neighbours::stop(&self.world, (seat.machine(), life), &node).await;
        self.world.tell(|| format!("{} was stopped ({stopped:?})", seat.id));
        seat.repairing.store(false, Relaxed);
        self.back(site, seat, ms(down_ms)).await
    }

    /// The disk goes on with what was synced: its machine loses its power, and with it all of the site.
    async fn whole_power_cut(&self, site: &Site) -> Result<(), Violation> {
        site.up().into_iter().for_each(|machine| self.world.crash(machine, Crash::Power));
        self.all_back(site, ms(200)).await
    }

    async fn trap(
        &self,
        site: &Site,
        seat: &Seat,
        (point, passage): (FaultPoint, u64),
        crash: Crash,
        down_ms: u64,
    ) -> Result<(), Violation> {
        let machine = seat.machine();
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
            self.world.tell(|| format!("{} dies at «{}»", seat.id, point.name()));
        }
        self.back(site, seat, ms(down_ms)).await
    }

    async fn crash_loop(&self, site: &Site, seat: &Seat, times: u64) -> Result<(), Violation> {
        if seat.repairing.swap(true, Relaxed) {
            return Ok(());
        }
        self.struck("crash-loop");
        self.world.crash(seat.machine(), Crash::Process);
        for number in 0..times {
            self.world.sleep(ms(100)).await;
            let point = [FaultPoint::BeforeClaims, FaultPoint::SlotsClaimed, FaultPoint::StoreCommit];
            seat.trap_next_boot(point[number as usize % point.len()]);
            // It dies, which is the point; where it does not come that far, it is given up.
            tokio::select! {
                biased;
                _ = site.boot(seat) => {}
                () = self.world.sleep(TRAP_MAX) => {}
            }
            if self.world.life(seat.machine()).is_some() {
                self.world.crash(seat.machine(), Crash::Power);
            }
        }
        seat.repairing.store(false, Relaxed);
        self.back(site, seat, ms(100)).await
    }

    /// A second node takes the place of one that is frozen; that one thaws, and must find out.
    async fn take_over(&self, site: &Site, frozen_ms: u64) -> Result<(), Violation> {
        let seat = site.first();
        let (frozen, next) = (seat.machine(), seat.spare());
        if seat.repairing.swap(true, Relaxed) {
            return Ok(());
        }
        if self.world.life(frozen).is_none() || frozen == next || self.world.life(next).is_some() {
            seat.repairing.store(false, Relaxed);
            return Ok(());
        }
        // Some requests are still on their way to the store when it freezes, and land when another has begun.
        site.vault.moods.lock().lie = Some((Lie::Late, 2));
        self.world.sleep(REQUESTS_STRAY).await;
        self.struck("takeover");
        self.world.pause(frozen, ms(frozen_ms));
        site.vault.moods.lock().lie = None;
        self.world.sleep(NOTICED).await;
        seat.redirect();
        seat.repairing.store(false, Relaxed);
        self.world.tell(|| format!("another {} starts in the place of the frozen one", seat.id));
        self.back(site, seat, Duration::ZERO).await?;
        self.world.sleep(ms(frozen_ms)).await;
        // Whoever replaced it ends it, in time.
        self.world.sleep(ms(8_000)).await;
        self.world.crash(frozen, Crash::Process);
        Ok(())
    }

    /// Boots a seat that is down, unless somebody does already.
    pub(crate) async fn back(&self, site: &Site, seat: &Seat, after: Duration) -> Result<(), Violation> {
        if seat.repairing.swap(true, Relaxed) {
            return Ok(());
        }
        self.world.sleep(after).await;
        let is_down = self.world.life(seat.machine()).is_none();
        let booted = if is_down { stage::boot(site, seat).await } else { Ok(()) };
        seat.repairing.store(false, Relaxed);
        self.world.tell(|| format!("{} is up", seat.id));
        booted
    }

    /// Boots all seats of a site that are down.
    pub(crate) async fn all_back(&self, site: &Site, after: Duration) -> Result<(), Violation> {
        try_join_all(site.seats.iter().map(|seat| self.back(site, seat, after))).await.map(|_| ())
    }

    /// Ends all weather: paths heal, disks have room, stores are honest, machines run.
    pub async fn clear(&self) -> Result<(), Violation> {
        self.world.heal_all();
        self.world.resume_all();
        self.wake_readers();
        for site in &self.sites {
            *site.vault.moods.lock() = Default::default();
            site.disk().set_room(None);
            site.disk().break_in(None);
            self.world.set_blocking(site.disk_machine(), self.plan.sites[site.number].access());
            site.up().into_iter().for_each(|machine| self.world.disarm(machine));
            for seat in &site.seats {
                if seat.spare() != seat.machine() {
                    self.world.crash(seat.spare(), Crash::Process);
                }
                seat.disarm();
                // Whoever was at it has been sent home, and may have left it half stopped.
                let was_at_it = seat.repairing.swap(false, Relaxed);
                if was_at_it || seat.running().is_none() {
                    self.world.crash(seat.machine(), Crash::Process);
                }
            }
            self.all_back(site, Duration::ZERO).await?;
        }
        World::tell(&self.world, || "the weather clears".to_owned());
        Ok(())
    }
}
