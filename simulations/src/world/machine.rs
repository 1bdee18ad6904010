//! Virtual machines: seats in the world on which a program is booted, paused and crashed.
//!
//! A boot is a *life*. A crash ends it at once, even in the middle of a task's turn: its handles go dead, its tasks
//! are aborted, its events never fire. A pause withholds every event of the machine, timers included, and releases
//! them in order.

use crate::world::{
    World,
    clock::{self, MachineClock, Skew},
    life::VirtualMachine,
    panics::PLANNED_PANIC,
    queue::Entry,
};
use cluster::host::{FaultPoint, Host};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::task::AbortHandle;

/// How often it is looked whether a life has ended.
const LOOK: Duration = Duration::from_millis(100);

/// A machine of this world, running or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineId(pub u32);

impl MachineId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// One boot of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Life {
    /// Which machine.
    pub machine: MachineId,
    /// 1 for its first boot.
    pub boot: u64,
}

/// How a life ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// `kill -9`: the system lives on, so written files stay and peers see resets.
    Process,
    /// Power is gone: unsynced writes may be lost or torn, and peers hear nothing.
    Power,
}

/// What a machine is made of.
#[derive(Debug, Clone)]
pub struct Hardware {
    /// Single-threaded runtimes that the program is told it has; here all share the world's one.
    pub shards: usize,
    /// Clock.
    pub skew: Skew,
    /// Bounds of the time that blocking work takes.
    pub blocking: (Duration, Duration),
}

impl Default for Hardware {
    fn default() -> Self {
        let blocking = (Duration::from_micros(100), Duration::from_millis(2));
        Self { shards: 2, skew: Skew::default(), blocking }
    }
}

type OnCrash = Box<dyn FnOnce(Crash) + Send>;

/// A place in the world; keeps what outlives a boot.
pub(crate) struct Seat {
    pub(crate) name: String,
    hardware: Hardware,
    pub(crate) clock: MachineClock,
    boot: u64,
    up: bool,
    /// Its last life ended without power.
    dark: bool,
    pub(crate) paused: bool,
    /// Events that came while it was paused.
    pub(crate) held: Vec<Entry>,
    pub(crate) tasks: BTreeMap<u64, (&'static str, AbortHandle)>,
    on_crash: Vec<OnCrash>,
    traps: Vec<Trap>,
    /// Lives that ended in a trap.
    trapped: u64,
}

/// Springs at the n-th passage of a fault point.
struct Trap {
    point: FaultPoint,
    passages: u64,
    /// Ends the life; else the code that passes panics.
    crash: Option<Crash>,
}

impl Seat {
    pub(crate) fn lives(&self, life: Life) -> bool {
        self.up && self.boot == life.boot
    }
}

impl World {
    /// A new machine, not yet running.
    pub fn machine(&self, name: impl Into<String>, hardware: Hardware) -> MachineId {
        assert!(hardware.shards > 0, "a machine has at least one shard");
        let mut state = self.state();
        let seats = &mut state.seats;
        seats.push(Seat {
            name: name.into(),
            clock: MachineClock::new(hardware.skew),
            hardware,
            boot: 0,
            up: false,
            dark: true,
            paused: false,
            held: Vec::new(),
            tasks: BTreeMap::new(),
            on_crash: Vec::new(),
            traps: Vec::new(),
            trapped: 0,
        });
        MachineId(u32::try_from(seats.len() - 1).expect("fewer than 2^32 machines"))
    }

    /// Boots a machine that is down: a new life, and the host for everything that runs in it.
    pub fn boot(&self, machine: MachineId) -> Host {
        let (life, name) = {
            let mut state = self.state();
            let seat = &mut state.seats[machine.index()];
            assert!(!seat.up, "{} is running already", seat.name);
            seat.boot += 1;
            seat.up = true;
            seat.dark = false;
            (Life { machine, boot: seat.boot }, seat.name.clone())
        };
        self.note(Some(machine), "boot", [life.boot, 0], "");
        self.answer_for_the_dead(life);
        let entropy = self.entropy(&format!("machine/{name}/{}", life.boot));
        let machine = VirtualMachine::new(self.clone(), life, entropy.fork("latency"));
        Host::new(Arc::new(machine), entropy)
    }

    /// The current life of a machine that runs.
    pub fn life(&self, machine: MachineId) -> Option<Life> {
        let state = self.state();
        let seat = &state.seats[machine.index()];
        seat.up.then_some(Life { machine, boot: seat.boot })
    }

    /// How often a machine was booted.
    pub fn boots(&self, machine: MachineId) -> u64 {
        self.state().seats[machine.index()].boot
    }

    /// Runs `hook` when the current life of `machine` ends, in the moment it ends: pulls plugs, kills root actors.
    pub fn on_crash(&self, machine: MachineId, hook: impl FnOnce(Crash) + Send + 'static) {
        self.state().seats[machine.index()].on_crash.push(Box::new(hook));
    }

    /// Ends the current life of a machine; nothing when it is down.
    pub fn crash(&self, machine: MachineId, crash: Crash) {
        let (life, hooks, tasks, held) = {
            let mut state = self.state();
            let seat = &mut state.seats[machine.index()];
            if !std::mem::take(&mut seat.up) {
                return;
            }
            seat.paused = false;
            seat.dark = crash == Crash::Power;
            seat.traps.clear();
            let life = Life { machine, boot: seat.boot };
            let (hooks, tasks) = (std::mem::take(&mut seat.on_crash), std::mem::take(&mut seat.tasks));
            (life, hooks, tasks, std::mem::take(&mut seat.held))
        };
        self.count("world.crash", 1);
        self.note(Some(machine), "crash", [crash as u64, tasks.len() as u64], "");
        hooks.into_iter().for_each(|hook| hook(crash));
        self.hang_up(life, crash);
        tasks.into_values().for_each(|(_, task)| task.abort());
        drop(held);
    }

    /// Crashes the current life of `machine` when it passes the fault point for the n-th time (from 1).
    pub fn crash_at(&self, machine: MachineId, point: FaultPoint, passages: u64, crash: Crash) {
        self.arm(machine, Trap { point, passages, crash: Some(crash) });
    }

    /// Makes the code panic that passes the fault point for the n-th time (from 1) in the current life of `machine`.
    pub fn panic_at(&self, machine: MachineId, point: FaultPoint, passages: u64) {
        self.arm(machine, Trap { point, passages, crash: None });
    }

    /// A machine that is down passes nothing: the trap is not for its next life.
    fn arm(&self, machine: MachineId, trap: Trap) {
        let mut state = self.state();
        let seat = &mut state.seats[machine.index()];
        if seat.up {
            seat.traps.push(trap);
        }
    }

    /// Takes the traps of [`World::crash_at`] and [`World::panic_at`] away that have not sprung.
    pub fn disarm(&self, machine: MachineId) {
        self.state().seats[machine.index()].traps.clear();
    }

    /// Lives of a machine that ended at a fault point of [`World::crash_at`].
    pub fn trapped(&self, machine: MachineId) -> u64 {
        self.state().seats[machine.index()].trapped
    }

    /// Withholds all events of a machine for `span`; nothing when it is down or paused already.
    pub fn pause(&self, machine: MachineId, span: Duration) {
        let life = {
            let mut state = self.state();
            let seat = &mut state.seats[machine.index()];
            if !seat.up || seat.paused {
                return;
            }
            seat.paused = true;
            Life { machine, boot: seat.boot }
        };
        self.count("world.pause", 1);
        self.note(Some(machine), "pause", [clock::nanos(span), 0], "");
        let world = self.clone();
        self.schedule(span, None, "resume", [u64::from(machine.0), life.boot], move || world.release(life));
    }

    /// Lets every machine that is paused go on.
    pub fn resume_all(&self) {
        let paused: Vec<Life> = {
            let state = self.state();
            let seats = state.seats.iter().zip(0..).filter(|(seat, _)| seat.paused);
            seats.map(|(seat, number)| Life { machine: MachineId(number), boot: seat.boot }).collect()
        };
        paused.into_iter().for_each(|life| self.release(life));
    }

    fn release(&self, life: Life) {
        let now = self.now_ns();
        let mut state = self.state();
        let seat = &mut state.seats[life.machine.index()];
        if seat.lives(life) && std::mem::take(&mut seat.paused) {
            let held = std::mem::take(&mut seat.held);
            for (order, entry) in (0..).zip(held) {
                state.queue.put_back(entry.postponed(now + order));
            }
        }
    }

    /// Sets how long blocking work takes there: what a slow disk does.
    pub fn set_blocking(&self, machine: MachineId, bounds: (Duration, Duration)) {
        self.note(Some(machine), "blocking", [clock::nanos(bounds.0), clock::nanos(bounds.1)], "");
        self.state().seats[machine.index()].hardware.blocking = bounds;
    }

    /// Sets a machine's clock: a step, a drift, or both.
    pub fn set_skew(&self, machine: MachineId, skew: Skew) {
        self.count("world.clock", 1);
        self.note(Some(machine), "clock", [skew.offset_us as u64, skew.drift_ppm as u64], "");
        let now = self.now_ns();
        let mut state = self.state();
        let seat = &mut state.seats[machine.index()];
        seat.clock.set(skew, now);
    }

    /// Whether nothing answers there, not even a kernel.
    pub(crate) fn is_dark(&self, machine: MachineId) -> bool {
        self.state().seats[machine.index()].dark
    }

    /// Tasks that run on a machine, by label.
    pub fn tasks(&self, machine: MachineId) -> BTreeMap<&'static str, usize> {
        let mut tasks = BTreeMap::new();
        for (label, _) in self.state().seats[machine.index()].tasks.values() {
            *tasks.entry(*label).or_default() += 1;
        }
        tasks
    }

    /// Whether this life goes on.
    pub fn lives(&self, life: Life) -> bool {
        self.state().seats[life.machine.index()].lives(life)
    }

    /// What comes of `work`, unless the life ends first.
    pub async fn while_alive<T>(&self, life: Life, work: impl Future<Output = T>) -> Option<T> {
        let ended = async {
            while self.lives(life) {
                self.sleep(LOOK).await;
            }
        };
        tokio::select! {
            biased;
            output = work => Some(output),
            () = ended => None,
        }
    }

    /// A life passes a fault point.
    pub(crate) fn pass(&self, life: Life, point: FaultPoint) {
        if !self.lives(life) {
            return;
        }
        self.note(Some(life.machine), "point", [0, 0], point.name());
        let sprung = {
            let mut state = self.state();
            *state.points.entry(point).or_default() += 1;
            let traps = &mut state.seats[life.machine.index()].traps;
            traps.iter_mut().filter(|trap| trap.point == point).for_each(|trap| {
                trap.passages = trap.passages.saturating_sub(1);
            });
            let sprung = traps.iter().position(|trap| trap.passages == 0);
            sprung.map(|index| traps.remove(index).crash)
        };
        match sprung {
            Some(Some(crash)) => {
                self.state().seats[life.machine.index()].trapped += 1;
                self.crash(life.machine, crash);
            }
            Some(None) => panic!("{PLANNED_PANIC} at «{}»", point.name()),
            None => {}
        }
    }

    pub(crate) fn clock(&self, machine: MachineId) -> MachineClock {
        self.state().seats[machine.index()].clock
    }

    pub(crate) fn hardware<T>(&self, machine: MachineId, read: impl FnOnce(&Hardware) -> T) -> T {
        read(&self.state().seats[machine.index()].hardware)
    }
}
