//! The weather of the posts: what goes wrong, where, and for how long.

use crate::{
    scenarios::posts::{Place, site::Site},
    world::{
        World,
        clock::Skew,
        machine::{Crash, MachineId},
        report::Violation,
    },
};
use cluster::host::Entropy;
use std::time::Duration;

/// Where a node may die: points that it passes on every append.
const DEADLY: [&str; 5] =
    ["before append", "store.commit", "store.committed", "between append and ack", "between ack and fan-out"];
/// Passages before a node dies there.
const PASSAGES_MAX: u64 = 40;
/// A node that serves people passes its fault points at least this often.
const PASSAGE_MAX: Duration = Duration::from_secs(120);
/// Changes of a disk before it breaks: a commit makes some tens.
const DISK_CHANGES_MAX: u64 = 60;
const PAUSE: Duration = Duration::from_secs(30);
const HOUR_US: i64 = 3_600_000_000;

/// Makes bad days.
pub(super) struct Weather {
    pub(super) world: World,
    pub(super) chance: Entropy,
    /// Longest time that a machine is down or a path is cut.
    pub(super) down_max: Duration,
}

impl Weather {
    /// Ends the life of a node in the middle of an append, and boots it again.
    pub(super) async fn kill(&self, site: &Site, crash: Crash) -> Result<(), Violation> {
        let point = DEADLY[self.chance.below(DEADLY.len() as u64) as usize];
        self.world.crash_at(site.machine, point, 1 + self.chance.below(PASSAGES_MAX), crash);
        let until = self.world.now() + PASSAGE_MAX;
        while self.world.life(site.machine).is_some() {
            Violation::unless(self.world.now() < until, "liveness", || {
                format!("{} does not reach {point:?}", site.id)
            })?;
            self.world.sleep(Duration::from_millis(10)).await;
        }
        self.back(site).await
    }

    /// Breaks a disk at a change in the middle of a commit; soon after, the power goes too.
    pub(super) async fn broken_disk(&self, site: &Site) -> Result<(), Violation> {
        self.world.count("fault.disk", 1);
        site.break_disk(self.chance.below(DISK_CHANGES_MAX));
        self.world.sleep(Duration::from_millis(self.chance.below(5_000))).await;
        self.world.crash(site.machine, Crash::Power);
        self.back(site).await
    }

    /// Sets one clock back by an hour and stops the other machine for a while.
    pub(super) async fn bad_clocks(&self, back: &Site, stopped: &Site) {
        self.world.set_skew(back.machine, Skew { offset_us: -HOUR_US, drift_ppm: 100 });
        self.world.pause(stopped.machine, PAUSE);
        self.world.sleep(PAUSE).await;
    }

    /// Cuts two nodes off from each other, then a node from one of its clients; resets another client.
    pub(super) async fn cuts(&self, one: &Place, other: &Place) {
        self.cut(one.site.machine, other.site.machine).await;
        self.cut(one.clients[0], one.site.machine).await;
        self.world.reset(other.clients[0], other.site.machine);
    }

    async fn cut(&self, one: MachineId, other: MachineId) {
        self.world.cut(one, other);
        self.world.cut(other, one);
        self.world.sleep(self.a_while()).await;
        self.world.heal(one, other);
        self.world.heal(other, one);
    }

    async fn back(&self, site: &Site) -> Result<(), Violation> {
        self.world.sleep(self.a_while()).await;
        site.boot().await.map(drop)
    }

    fn a_while(&self) -> Duration {
        let most = u64::try_from(self.down_max.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(1 + self.chance.below(most))
    }
}
