//! The yard: nothing but actors, machines and chance, to see that the world itself can be replayed.
//!
//! Three machines each run a supervisor with workers that greet each other at random times, panic now and then and
//! are restarted. One machine crashes and boots again, one is paused. Third parties' chance (hash order, `select!`,
//! the C library's entropy and clock) is written into the trace on purpose.

use crate::{
    scenarios::Settings,
    world::{
        World,
        machine::{Crash, Hardware, MachineId},
        panics::PLANNED_PANIC,
        report::Violation,
    },
};
use cluster::host::{Entropy, Host};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::{collections::HashMap, time::Duration};

const MACHINES: u32 = 3;
const WORKERS: usize = 20;
const THINK_MS_MAX: u64 = 2_000;
const PANIC_ONE_IN: u64 = 200;

/// Runs the yard for the given time.
pub async fn run(world: World, settings: Settings) -> Result<(), Violation> {
    let machines: Vec<MachineId> =
        (0..MACHINES).map(|number| world.machine(format!("yard-{number}"), Hardware::default())).collect();
    for machine in &machines {
        open(&world, *machine).await;
    }
    strangers(&world).await;
    let part = settings.span() / 4;
    world.sleep(part).await;
    world.crash(machines[0], Crash::Power);
    world.pause(machines[1], part / 10);
    world.sleep(part).await;
    let before = world.counted("messages");
    open(&world, machines[0]).await;
    world.sleep(part * 2).await;
    strangers(&world).await;
    let after = world.counted("messages");
    Violation::unless(after > before, "liveness", || "nobody speaks after the restart".into())?;
    let (panics, restarts) = (world.counted("panics.planned"), world.counted("restarts"));
    // A crash may take the supervisor between a panic and its restart.
    Violation::unless(panics - restarts <= 1, "supervision", || {
        format!("{panics} panics, {restarts} restarts")
    })
}

/// Boots a machine and its supervisor.
async fn open(world: &World, machine: MachineId) {
    let host = world.boot(machine);
    let yard = Yard { world: world.clone(), machine, host };
    let (root, _task) = Actor::spawn(None, yard, ()).await.expect("the yard's start cannot fail");
    let cell = root.get_cell();
    world.on_crash(machine, move |_| cell.kill());
}

/// What other crates would draw from the system: in the trace, so that the hash notices when it is not the seed's.
async fn strangers(world: &World) {
    let keys: HashMap<u64, ()> = (0..64).map(|key| (key, ())).collect();
    let order = keys.keys().fold(0u64, |order, key| order.wrapping_mul(67).wrapping_add(*key));
    let mut branches = 0u64;
    for _ in 0..64 {
        let bit = tokio::select! { () = async {} => 0, () = async {} => 1 };
        branches = branches << 1 | bit;
    }
    world.note(None, "strangers", [order, branches], "");
    let mut bytes = [0; 8];
    #[allow(clippy::disallowed_methods, reason = "the point: what others get who ask the system")]
    let (entropy, instant) = (getrandom::fill(&mut bytes), std::time::SystemTime::now());
    let wall = instant.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    world.note(
        None,
        "strangers",
        [u64::from_le_bytes(bytes), wall.as_micros() as u64],
        &format!("{entropy:?}"),
    );
}

struct Yard {
    world: World,
    machine: MachineId,
    host: Host,
}

enum YardMessage {
    Replace(usize),
}
impl ractor::Message for YardMessage {}

struct YardState {
    workers: Vec<ActorRef<WorkerMessage>>,
    hired: u64,
}

impl Yard {
    async fn hire(&self, yard: ActorCell, hired: &mut u64) -> ActorRef<WorkerMessage> {
        *hired += 1;
        let chance = self.host.entropy().fork(&format!("worker {hired}"));
        let worker = Worker { world: self.world.clone(), machine: self.machine, chance: chance.clone() };
        let spawned = Actor::spawn_linked(None, worker, *hired, yard).await;
        let (worker, _task) = spawned.expect("a worker's start cannot fail");
        let (host, ticked) = (self.host.clone(), worker.clone());
        self.host.spawn("ticks", async move {
            while ticked.cast(WorkerMessage::Tick).is_ok() {
                host.sleep(Duration::from_micros(1 + chance.below(THINK_MS_MAX * 1000))).await;
            }
        });
        worker
    }

    fn introduce(workers: &[ActorRef<WorkerMessage>]) {
        for worker in workers {
            // A worker that is gone is replaced, and everybody introduced again.
            let _ = worker.cast(WorkerMessage::Meet(workers.to_vec()));
        }
    }
}

impl Actor for Yard {
    type Msg = YardMessage;
    type State = YardState;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<YardMessage>,
        (): (),
    ) -> Result<YardState, ActorProcessingErr> {
        let mut state = YardState { workers: Vec::new(), hired: 0 };
        for _ in 0..WORKERS {
            state.workers.push(self.hire(myself.get_cell(), &mut state.hired).await);
        }
        Self::introduce(&state.workers);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<YardMessage>,
        YardMessage::Replace(place): YardMessage,
        state: &mut YardState,
    ) -> Result<(), ActorProcessingErr> {
        state.workers[place] = self.hire(myself.get_cell(), &mut state.hired).await;
        self.world.count("restarts", 1);
        Self::introduce(&state.workers);
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<YardMessage>,
        event: SupervisionEvent,
        state: &mut YardState,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(cell, _) = event {
            let place = state.workers.iter().position(|worker| worker.get_id() == cell.get_id());
            let place = place.expect("only workers are children");
            self.host.sleep(Duration::from_millis(5)).await;
            myself.cast(YardMessage::Replace(place))?;
        }
        Ok(())
    }
}

#[derive(Clone)]
struct Worker {
    world: World,
    machine: MachineId,
    chance: Entropy,
}

enum WorkerMessage {
    Meet(Vec<ActorRef<WorkerMessage>>),
    Tick,
    Greet { from: u64 },
}
impl ractor::Message for WorkerMessage {}

struct WorkerState {
    number: u64,
    others: Vec<ActorRef<WorkerMessage>>,
}

impl Actor for Worker {
    type Msg = WorkerMessage;
    type State = WorkerState;
    type Arguments = u64;

    async fn pre_start(
        &self,
        _myself: ActorRef<WorkerMessage>,
        number: u64,
    ) -> Result<WorkerState, ActorProcessingErr> {
        Ok(WorkerState { number, others: Vec::new() })
    }

    async fn handle(
        &self,
        _myself: ActorRef<WorkerMessage>,
        message: WorkerMessage,
        state: &mut WorkerState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            WorkerMessage::Meet(others) => state.others = others,
            WorkerMessage::Tick if state.others.is_empty() => {}
            WorkerMessage::Tick => {
                let chosen = self.chance.below(state.others.len() as u64) as usize;
                // A greeting to somebody who just panicked is lost.
                let _ = state.others[chosen].cast(WorkerMessage::Greet { from: state.number });
            }
            WorkerMessage::Greet { from } => {
                self.world.count("messages", 1);
                self.world.note(Some(self.machine), "greet", [from, state.number], "");
                assert!(!self.chance.chance(1, PANIC_ONE_IN), "{PLANNED_PANIC}: greeted by {from}");
            }
        }
        Ok(())
    }
}
