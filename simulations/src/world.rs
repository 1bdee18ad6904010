//! A world: one paused runtime, one event queue, many virtual machines.
//!
//! Time stands still while any task can run. When all of them wait, the driver takes the next event of the queue,
//! moves the clock to it and fires it. Everything that takes time (sleeps, network, blocking work) is such an
//! event, so one seed gives one history.
//!
//! The runtime's own timers (a dependency may use them) are served too, at their millisecond, between the events.

pub mod clock;
pub mod datagrams;
pub mod disk;
pub mod gauges;
mod idle;
pub mod life;
pub mod links;
pub mod machine;
pub mod network;
pub mod panics;
mod pipe;
mod queue;
pub mod report;
pub mod stream;
pub mod through;
pub mod timer;
pub mod trace;

use crate::{
    promises::alive,
    world::{
        clock::Nanos,
        gauges::Gauges,
        idle::Idle,
        machine::{Life, MachineId, Seat},
        network::Network,
        queue::{Entry, Fire, Queue},
        report::{Report, Violation},
        trace::{Telling, Trace},
    },
};
use cluster::host::{Entropy, FaultPoint};
use std::{
    collections::BTreeMap,
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

/// Events fired at one instant after which time is said to stand still.
pub const EVENTS_PER_INSTANT_MAX: u64 = 1_000_000;
/// Virtual time without any event after which the world is said to be stuck.
pub const STUCK_AFTER: Duration = Duration::from_secs(3600);

/// A handle to the world. Cheap to clone.
#[derive(Clone)]
pub struct World(Arc<Inner>);

pub(crate) struct Inner {
    state: Mutex<State>,
    trace: Mutex<Trace>,
    network: Mutex<Network>,
    idle: Idle,
    gauges: Gauges,
    entropy: Entropy,
    tokio_start: tokio::time::Instant,
}

struct State {
    now: Nanos,
    queue: Queue,
    seats: Vec<Seat>,
    counters: BTreeMap<String, u64>,
    /// How often each fault point of the product was passed.
    points: BTreeMap<FaultPoint, u64>,
    violation: Option<Violation>,
    finished: bool,
    /// The driver waits for the runtime's clock to reach this time.
    parked: Option<(Nanos, Waker)>,
    at_this_instant: u64,
    tasks_started: u64,
}

impl State {
    fn next_task(&mut self) -> u64 {
        self.tasks_started += 1;
        self.tasks_started
    }
}

impl World {
    /// Runs `scenario` in a fresh world of this seed until it ends or a promise is broken. One world a thread at a
    /// time.
    pub fn simulate<F, S>(seed: u64, telling: Telling, scenario: S) -> Report
    where
        S: FnOnce(World) -> F,
        F: Future<Output = Result<(), Violation>> + Send + 'static,
    {
        let gauges = Gauges::default();
        let watched = gauges.clone();
        metrics::with_local_recorder(&watched, || Self::history(seed, telling, gauges, scenario))
    }

    fn history<F, S>(seed: u64, telling: Telling, gauges: Gauges, scenario: S) -> Report
    where
        S: FnOnce(World) -> F,
        F: Future<Output = Result<(), Violation>> + Send + 'static,
    {
        let entropy = Entropy::from_u64(seed);
        let idle = Idle::default();
        let parked = idle.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .on_thread_park(move || parked.announce())
            .build()
            .expect("a runtime without sockets needs nothing from the system");
        runtime.block_on(async {
            let world = Self::new(entropy, idle, gauges, telling);
            let _panics = panics::watch(&world);
            let scenario = scenario(world.clone());
            let finish = world.clone();
            #[allow(clippy::disallowed_methods, reason = "the scenario lives outside all machines")]
            let (driver, _scenario) = (
                tokio::spawn(world.clone().drive()),
                tokio::spawn(async move { finish.finish(scenario.await) }),
            );
            driver.await.expect("the driver does not panic");
            world.report(seed)
        })
    }

    fn new(entropy: Entropy, idle: Idle, gauges: Gauges, telling: Telling) -> Self {
        clock::publish(0);
        Self(Arc::new(Inner {
            state: Mutex::new(State {
                now: 0,
                queue: Queue::new(entropy.fork("ties")),
                seats: Vec::new(),
                counters: BTreeMap::new(),
                points: BTreeMap::new(),
                violation: None,
                finished: false,
                parked: None,
                at_this_instant: 0,
                tasks_started: 0,
            }),
            trace: Mutex::new(Trace::new(telling)),
            network: Mutex::default(),
            idle,
            gauges,
            entropy,
            #[allow(clippy::disallowed_methods, reason = "the paused clock of the world's own runtime")]
            tokio_start: tokio::time::Instant::now(),
        }))
    }

    /// Virtual time since the world began.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.now_ns())
    }

    /// An independent stream of chance for `label`.
    pub fn entropy(&self, label: &str) -> Entropy {
        self.0.entropy.fork(label)
    }

    /// Writes what happened into the trace: `ids` and `text` count for the hash.
    pub fn note(&self, machine: Option<MachineId>, kind: &'static str, ids: [u64; 2], text: &str) {
        let now = self.now_ns();
        self.trace().add(now, machine, kind, ids, text);
    }

    /// Adds to a named count; the report shows all of them.
    pub fn count(&self, name: &str, by: u64) {
        let mut state = self.state();
        match state.counters.get_mut(name) {
            Some(count) => *count += by,
            None => drop(state.counters.insert(name.to_owned(), by)),
        }
    }

    /// Adds one to a count of a group: `fault.crash`, `refusal.ratelimited`.
    pub fn count_of(&self, group: &str, name: &str) {
        self.count(&format!("{group}.{name}"), 1);
    }

    /// Somebody was refused with this code.
    pub fn count_refusal(&self, code: &str) {
        self.count_of("refusal", code);
    }

    /// Somebody did this.
    pub fn count_deed(&self, name: &str) {
        self.count_of("deed", name);
    }

    /// A sentence of the story, for those who read what happened.
    pub fn tell(&self, sentence: impl FnOnce() -> String) {
        let trace = self.trace();
        if trace.is_told() {
            let sentence = sentence();
            let now = self.state().now;
            trace.tell(now, sentence);
        }
    }

    /// A named count so far; fault points count as `point.NAME`.
    pub fn counted(&self, name: &str) -> u64 {
        let state = self.state();
        let point = || {
            let name = name.strip_prefix("point.")?;
            state.points.iter().find(|(point, _)| point.name() == name).map(|(_, count)| *count)
        };
        state.counters.get(name).copied().or_else(point).unwrap_or_default()
    }

    /// The product's own metrics, of all machines together.
    pub fn gauges(&self) -> &Gauges {
        &self.0.gauges
    }

    /// A promise is broken: the first one said ends the run.
    pub fn violate(&self, violation: Violation) {
        self.tell(|| format!(">>> here a promise is broken: {violation}"));
        let mut state = self.state();
        if state.violation.is_none() {
            state.violation = Some(violation);
        }
    }

    /// Fires `call` after `delay` unless `owner` has died by then; while `owner` is paused it waits.
    pub(crate) fn schedule(
        &self,
        delay: Duration,
        owner: Option<Life>,
        kind: &'static str,
        ids: [u64; 2],
        call: impl FnOnce() + Send + 'static,
    ) {
        let at = self.now_ns().saturating_add(clock::nanos(delay));
        self.schedule_at(at, owner, kind, ids, Fire::Call(Box::new(call)));
    }

    pub(crate) fn schedule_at(
        &self,
        at: Nanos,
        owner: Option<Life>,
        kind: &'static str,
        ids: [u64; 2],
        fire: Fire,
    ) {
        let wake = {
            let mut state = self.state();
            state.queue.push(at, owner, kind, ids, fire);
            let sooner = state.parked.as_ref().is_some_and(|(until, _)| at < *until);
            if sooner { state.parked.take() } else { None }
        };
        if let Some((_, waker)) = wake {
            waker.wake();
        }
    }

    pub(crate) fn now_ns(&self) -> Nanos {
        let runtime = self.runtime_ns();
        let mut state = self.state();
        if runtime > state.now {
            state.now = runtime;
            clock::publish(runtime);
        }
        state.now
    }

    fn runtime_ns(&self) -> Nanos {
        #[allow(clippy::disallowed_methods, reason = "the paused clock of the world's own runtime")]
        let now = tokio::time::Instant::now();
        clock::nanos(now - self.0.tokio_start)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trace(&self) -> MutexGuard<'_, Trace> {
        self.0.trace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, result: Result<(), Violation>) {
        if let Err(violation) = result {
            self.violate(violation);
        }
        self.state().finished = true;
    }

    async fn drive(self) {
        loop {
            self.0.idle.wait().await;
            let next = {
                let state = self.state();
                if state.finished || state.violation.is_some() {
                    return;
                }
                state.queue.next_at()
            };
            let until = next.unwrap_or_else(|| self.now_ns() + clock::nanos(STUCK_AFTER));
            let millisecond = until - until % 1_000_000;
            if millisecond > self.runtime_ns() && !self.runtime_reaches(millisecond, until).await {
                continue;
            }
            if next.is_none() {
                self.violate(alive::PROMISE.broken("nothing is left that could happen"));
                return;
            }
            self.fire_next();
        }
    }

    /// Lets the runtime's own clock reach `millisecond`. False when an event sooner than `until` came up meanwhile.
    async fn runtime_reaches(&self, millisecond: Nanos, until: Nanos) -> bool {
        let deadline = self.0.tokio_start + Duration::from_nanos(millisecond);
        #[allow(clippy::disallowed_methods, reason = "the paused clock of the world's own runtime")]
        let sleep = pin!(tokio::time::sleep_until(deadline));
        Reach { world: self, until, sleep }.await
    }

    fn fire_next(&self) {
        let Some(entry) = self.take_next() else { return };
        self.trace().add(entry.at, entry.owner.map(|life| life.machine), entry.kind, entry.ids, "");
        match entry.fire {
            Fire::Wake(timer) => timer.fire(),
            Fire::Call(call) => call(),
        }
    }

    /// The next event that is to be fired; drops those of the dead, puts those of the paused aside.
    fn take_next(&self) -> Option<Entry> {
        let mut state = self.state();
        let entry = state.queue.pop()?;
        if entry.fire.is_cancelled() {
            return None;
        }
        if let Some(life) = entry.owner {
            let seat = &mut state.seats[life.machine.index()];
            if !seat.lives(life) {
                return None;
            }
            if seat.paused {
                seat.held.push(entry);
                return None;
            }
        }
        if entry.at > state.now {
            state.now = entry.at;
            state.at_this_instant = 0;
            clock::publish(entry.at);
        }
        state.at_this_instant += 1;
        if state.at_this_instant > EVENTS_PER_INSTANT_MAX {
            let detail = format!("time stands still at {}: last event {}", entry.at, entry.kind);
            state.violation.get_or_insert(alive::PROMISE.broken(detail));
        }
        Some(entry)
    }

    fn report(&self, seed: u64) -> Report {
        let state = self.state();
        let trace = self.trace();
        Report {
            seed,
            hash: trace.hash(),
            events: trace.events(),
            elapsed: Duration::from_nanos(state.now),
            counters: state.counters.clone(),
            points: state.points.clone(),
            gauges: self.0.gauges.all(),
            violation: state.violation.clone(),
            tail: trace.tail(|machine| state.seats[machine.index()].name.clone()),
        }
    }
}

/// Waits for the runtime's clock, or for an event sooner than expected.
struct Reach<'a, 's> {
    world: &'a World,
    until: Nanos,
    sleep: Pin<&'s mut tokio::time::Sleep>,
}

impl Future for Reach<'_, '_> {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        if self.sleep.as_mut().poll(context).is_ready() {
            self.world.state().parked = None;
            return Poll::Ready(true);
        }
        let mut state = self.world.state();
        if state.queue.next_at().is_some_and(|at| at < self.until) {
            state.parked = None;
            return Poll::Ready(false);
        }
        state.parked = Some((self.until, context.waker().clone()));
        Poll::Pending
    }
}
