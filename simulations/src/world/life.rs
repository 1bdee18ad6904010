//! A life from inside: what [`Machine`] is on a virtual machine.

use crate::world::{
    World,
    clock::{self, MachineClock, Nanos},
    machine::Life,
};
use cluster::host::{Blocking, Entropy, FaultPoint, Machine};
use futures::future::BoxFuture;
use proto::ts::Micros;
use std::{
    fmt,
    future::pending,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

/// Shortest sleep, so that a loop of empty sleeps cannot stop time.
pub const SLEEP_MIN: Duration = Duration::from_micros(1);

/// A life as its program sees it.
pub struct VirtualMachine {
    world: World,
    life: Life,
    latency: Entropy,
    booted: Nanos,
}

impl VirtualMachine {
    pub(crate) fn new(world: World, life: Life, latency: Entropy) -> Self {
        let booted = world.clock(life.machine).monotonic(world.now_ns());
        Self { world, life, latency, booted }
    }

    fn clock(&self) -> MachineClock {
        self.world.clock(self.life.machine)
    }

    fn start(&self, label: &'static str, task: BoxFuture<'static, ()>) {
        if !self.world.lives(self.life) {
            return;
        }
        let (world, life) = (self.world.clone(), self.life);
        let id = world.state().next_task();
        let done = TaskDone { world: world.clone(), life, id };
        world.note(Some(life.machine), "spawn", [id, 0], label);
        #[allow(clippy::disallowed_methods, reason = "this is what Host::spawn is in the simulator")]
        let handle = tokio::spawn(async move {
            let _done = done;
            task.await;
        });
        world.state().seats[life.machine.index()].tasks.insert(id, (label, handle.abort_handle()));
    }

    fn between(&self, (low, high): (Duration, Duration)) -> Duration {
        let width = clock::nanos(high.saturating_sub(low));
        low + Duration::from_nanos(self.latency.below(width + 1))
    }
}

impl Machine for VirtualMachine {
    fn now_us(&self) -> Micros {
        self.clock().wall_us(self.world.now_ns())
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.clock().monotonic(self.world.now_ns()).saturating_sub(self.booted))
    }

    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()> {
        if !self.world.lives(self.life) {
            return Box::pin(pending());
        }
        let span = Duration::from_nanos(self.clock().skew().world_span(clock::nanos(delay)));
        Box::pin(self.world.sleep_of(Some(self.life), span.max(SLEEP_MIN)))
    }

    fn spawn(&self, label: &'static str, task: BoxFuture<'static, ()>) {
        self.start(label, task);
    }

    fn spawn_on(&self, shard: usize, label: &'static str, task: BoxFuture<'static, ()>) {
        assert!(shard < self.shards(), "shard {shard} of {}", self.shards());
        self.start(label, task);
    }

    fn shards(&self) -> usize {
        self.world.hardware(self.life.machine, |hardware| hardware.shards)
    }

    /// The work runs whole at a moment drawn within the time it takes, so that a crash finds it not begun, or done
    /// and not yet answered.
    fn blocking(&self, work: Blocking) -> BoxFuture<'static, ()> {
        if !self.world.lives(self.life) {
            return Box::pin(pending());
        }
        let bounds = self.world.hardware(self.life.machine, |hardware| hardware.blocking);
        let whole = self.between(bounds);
        let before = self.between((Duration::ZERO, whole));
        let (world, life) = (self.world.clone(), self.life);
        Box::pin(async move {
            world.sleep_of(Some(life), before).await;
            // As on a thread of its own: a panic is the hook's business, and the answer never comes.
            let _ = catch_unwind(AssertUnwindSafe(work));
            if !world.lives(life) {
                pending::<()>().await;
            }
            world.sleep_of(Some(life), whole - before).await;
        })
    }

    fn fault(&self, point: FaultPoint) {
        self.world.pass(self.life, point);
    }
}

impl fmt::Debug for VirtualMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VirtualMachine({:?})", self.life)
    }
}

/// Takes a task off its machine's list when it ends, however it ends.
struct TaskDone {
    world: World,
    life: Life,
    id: u64,
}

impl Drop for TaskDone {
    fn drop(&mut self) {
        let mut state = self.world.state();
        let seat = &mut state.seats[self.life.machine.index()];
        if seat.lives(self.life) {
            seat.tasks.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{
        machine::{Crash, Hardware, MachineId},
        report::Report,
        trace::Telling,
    };
    use cluster::host::Host;
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    fn ticks(host: &Host, every: Duration) -> Arc<AtomicU64> {
        let count = Arc::new(AtomicU64::new(0));
        let (host, counted) = (host.clone(), count.clone());
        let sleeper = host.clone();
        host.spawn("ticks", async move {
            loop {
                sleeper.sleep(every).await;
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        count
    }

    fn simulate<F>(scenario: impl FnOnce(World, MachineId) -> F) -> Report
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let report = World::simulate(7, Telling::Silent, |world| {
            let machine = world.machine("one", Hardware::default());
            let run = scenario(world, machine);
            async move {
                run.await;
                Ok(())
            }
        });
        assert_eq!(report.violation, None);
        report
    }

    #[test]
    fn time_passes_only_by_events() {
        let report = simulate(|world, machine| async move {
            let count = ticks(&world.boot(machine), Duration::from_secs(1));
            world.sleep(Duration::from_millis(86_400_500)).await;
            assert_eq!(count.load(Ordering::Relaxed), 86_400);
        });
        assert_eq!(report.elapsed, Duration::from_millis(86_400_500));
    }

    #[test]
    fn a_crash_ends_every_task_and_the_old_host_is_dead() {
        simulate(|world, machine| async move {
            let host = world.boot(machine);
            let count = ticks(&host, Duration::from_millis(1));
            world.sleep(Duration::from_micros(10_500)).await;
            world.crash(machine, Crash::Process);
            assert_eq!(world.life(machine), None);
            let again = world.boot(machine);
            let late = count.clone();
            host.spawn("late", async move {
                late.fetch_add(1000, Ordering::Relaxed);
            });
            let twice = ticks(&again, Duration::from_millis(1));
            world.sleep(Duration::from_micros(5_500)).await;
            assert_eq!(count.load(Ordering::Relaxed), 10, "the first life is over");
            assert_eq!(Arc::strong_count(&count), 1, "its tasks are dropped");
            assert_eq!(twice.load(Ordering::Relaxed), 5);
        });
    }

    #[test]
    fn a_pause_withholds_timers_and_releases_them_in_order() {
        simulate(|world, machine| async move {
            let host = world.boot(machine);
            let order = Arc::new(std::sync::Mutex::new(Vec::new()));
            for wait in [3u64, 1, 2] {
                let (sleeper, order) = (host.clone(), order.clone());
                host.spawn("sleeper", async move {
                    sleeper.sleep(Duration::from_millis(wait)).await;
                    order.lock().unwrap().push((wait, sleeper.monotonic().as_millis()));
                });
            }
            world.pause(machine, Duration::from_millis(50));
            world.sleep(Duration::from_millis(40)).await;
            assert_eq!(*order.lock().unwrap(), []);
            world.sleep(Duration::from_millis(20)).await;
            assert_eq!(*order.lock().unwrap(), [(1, 50), (2, 50), (3, 50)]);
        });
    }

    #[test]
    fn a_fault_point_crashes_at_the_passage_asked_for() {
        simulate(|world, machine| async move {
            let host = world.boot(machine);
            world.crash_at(machine, FaultPoint::Loaded, 3, Crash::Power);
            let (inside, passed) = (host.clone(), Arc::new(AtomicU64::new(0)));
            let seen = passed.clone();
            host.spawn("walker", async move {
                loop {
                    inside.fault(FaultPoint::Loaded);
                    inside.sleep(Duration::from_millis(1)).await;
                    seen.fetch_add(1, Ordering::Relaxed);
                }
            });
            world.sleep(Duration::from_secs(1)).await;
            assert_eq!((passed.load(Ordering::Relaxed), world.life(machine)), (2, None));
            assert_eq!(world.counted("point.loaded"), 3);
        });
    }

    #[test]
    fn blocking_work_takes_time_and_a_panic_in_it_answers_nothing() {
        simulate(|world, machine| async move {
            let host = world.boot(machine);
            let begun = world.now();
            assert_eq!(host.blocking(|| 5).await, Some(5));
            assert!(world.now() >= begun + Duration::from_micros(100));
            assert_eq!(host.blocking(|| panic!("planned panic")).await, None::<()>);
        });
    }

    #[test]
    fn a_panic_nobody_planned_breaks_a_promise() {
        let report = World::simulate(1, Telling::Silent, |world| async move {
            let machine = world.machine("one", Hardware::default());
            let host = world.boot(machine);
            host.spawn("falls", async { panic!("oh") });
            world.sleep(Duration::from_secs(1)).await;
            Ok(())
        });
        let violation = report.violation.expect("a violation");
        assert_eq!(violation.property, "no unhandled panic");
        assert!(violation.detail.contains("oh at "), "{violation}");
    }

    #[test]
    fn a_world_where_nothing_can_happen_is_reported_as_stuck() {
        let report = World::simulate(1, Telling::Silent, |_| pending());
        assert_eq!(report.violation.expect("a violation").property, "liveness");
    }

    #[test]
    fn the_runtimes_own_timers_fire_at_their_time_too() {
        simulate(|world, machine| async move {
            let host = world.boot(machine);
            let events = ticks(&host, Duration::from_micros(300));
            #[allow(clippy::disallowed_methods, reason = "what a dependency would do")]
            tokio::time::sleep(Duration::from_millis(30)).await;
            assert_eq!(world.now(), Duration::from_millis(30));
            assert_eq!(events.load(Ordering::Relaxed), 99);
        });
    }
}
