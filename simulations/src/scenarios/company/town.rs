//! Nodes on machines of their own, some of which only take users, and one more machine that has the store.

use super::{LOOK, is_owned, name};
use crate::{
    stage::neighbours::{self, Cast, Neighbours},
    world::{
        World,
        machine::{Crash, Hardware, Life, MachineId},
        report::Violation,
    },
};
use actors::{
    command::{Command, Verb},
    config::Config,
    context::Context,
    node::Node,
    opening::{self, Plan},
    placement::Placement,
    store::{LogId, READ_ROWS_MAX, Store, memory::MemoryStore},
};
use cluster::{
    claimant::read_rows,
    host::Entropy,
    link::roles::{Role, Roles},
    node::NodeId,
};
use proto::{
    id::{ConversationId, UserId, WorkspaceId},
    ts,
    v1::{ConversationKind, Event},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Nodes that may own slots.
pub(super) const NODES: usize = 4;
/// Nodes that only take users.
pub(super) const GATES: usize = 2;
/// Both: the gateways come last.
pub(super) const ALL: usize = NODES + GATES;
/// Channels that are written to.
const CHANNELS: usize = 6;
/// Users whose homes are looked up, in several workspaces.
const USERS: usize = 40;
const WORKSPACES: usize = 8;
/// A machine that went down is booted again after this long.
const REPAIRED_AFTER: Duration = Duration::from_secs(20);

/// A node that runs, in this life of its machine.
#[derive(Clone)]
struct Seat {
    life: Life,
    node: Node,
}

pub(super) struct Town {
    pub(super) world: World,
    /// It can be asked from outside the world's machines.
    store: Arc<MemoryStore>,
    neighbours: Neighbours,
    keeper: MachineId,
    /// Users are at home at nodes that own slots, too.
    members_take_users: bool,
    seats: Mutex<BTreeMap<usize, Seat>>,
    mended: Mutex<bool>,
    /// Nodes that something is done to.
    troubled: Mutex<BTreeSet<usize>>,
    /// Where each of those who listen does so.
    listens: Mutex<BTreeMap<usize, NodeId>>,
    /// Log and time of a message that was acknowledged not long ago.
    latest: Mutex<Option<(LogId, u64)>>,
}

pub(super) fn user(person: usize) -> UserId {
    UserId::parse(&format!("U{person:0>10}")).expect("a plain id")
}

pub(super) fn workspace() -> WorkspaceId {
    WorkspaceId::parse("T0000000001").expect("a plain id")
}

impl Town {
    /// The store runs; nodes are booted by [`Self::keep_up`].
    pub(super) fn new(world: &World) -> Self {
        let machine = |id: NodeId| (id.clone(), world.machine(id.to_string(), Hardware::default()));
        let members = (0..NODES).map(name).map(machine).collect();
        let gateways = (NODES..ALL).map(name).map(machine).collect();
        let store = machine(NodeId::parse("store").expect("a plain name"));
        let members_take_users = world.entropy("town").chance(1, 2);
        let of_gateways: &[Role] = if members_take_users { &[Role::Gateway] } else { &[] };
        let roles = Roles::of(&[of_gateways, &[Role::Channels]].concat());
        let keeper = store.1;
        let neighbours = Neighbours::new(world, "town", Cast { members, roles, gateways, store });
        let memory = Arc::new(MemoryStore::new());
        neighbours.keep_store(&world.boot(keeper), memory.clone());
        let (seats, mended, troubled, listens, latest) = Default::default();
        let (world, store) = (world.clone(), memory);
        Self {
            world,
            store,
            neighbours,
            keeper,
            members_take_users,
            seats,
            mended,
            troubled,
            listens,
            latest,
        }
    }

    pub(super) fn machine(&self, number: usize) -> MachineId {
        self.neighbours.machine(&name(number))
    }
    /// The machine that has the store.
    pub(super) fn keeper(&self) -> MachineId {
        self.keeper
    }
    pub(super) fn members_take_users(&self) -> bool {
        self.members_take_users
    }
    pub(super) fn machines(&self) -> impl Iterator<Item = MachineId> {
        self.neighbours.machines()
    }
    fn seats(&self) -> MutexGuard<'_, BTreeMap<usize, Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// From now on machines are booted at once.
    pub(super) fn mend(&self) {
        *self.mended.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }
    /// Something is done to some nodes, or to none any more.
    pub(super) fn trouble(&self, numbers: impl IntoIterator<Item = usize>) {
        *self.troubled.lock().unwrap_or_else(PoisonError::into_inner) = numbers.into_iter().collect();
    }
    pub(super) fn troubled(&self) -> BTreeSet<usize> {
        self.troubled.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    pub(super) fn is_troubled(&self, number: usize) -> bool {
        self.troubled.lock().unwrap_or_else(PoisonError::into_inner).contains(&number)
    }
    /// Somebody listens there from now on, or nowhere any more.
    pub(super) fn listens(&self, person: usize, at: Option<&NodeId>) {
        let mut listens = self.listens.lock().unwrap_or_else(PoisonError::into_inner);
        match at {
            Some(node) => listens.insert(person, node.clone()),
            None => listens.remove(&person),
        };
    }
    /// Nodes at which somebody listens.
    pub(super) fn listened_at(&self) -> BTreeSet<NodeId> {
        self.listens.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
    /// A message was acknowledged.
    pub(super) fn acked(&self, log: &LogId, us: u64) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some((log.clone(), us));
    }
    fn is_mended(&self) -> bool {
        *self.mended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Boots a node's machine whenever it is down for long enough.
    pub(super) async fn keep_up(&self, number: usize) {
        let machine = self.machine(number);
        loop {
            if self.world.life(machine).is_none() {
                self.seats().remove(&number);
                self.boot(number).await;
            }
            let mut down = Duration::ZERO;
            while self.world.life(machine).is_some() || down < REPAIRED_AFTER && !self.is_mended() {
                self.world.sleep(LOOK).await;
                down = if self.world.life(machine).is_some() { Duration::ZERO } else { down + LOOK };
            }
        }
    }

    async fn boot(&self, number: usize) {
        let machine = self.machine(number);
        let host = self.world.boot(machine);
        let life = self.world.life(machine).expect("it was booted");
        let config = Config { rate_per_s: 1_000_000, rate_burst: 1_000_000, ..Config::default() };
        let id = name(number);
        let starting = self.neighbours.start(&host, &id, &config);
        let Some(node) = self.world.while_alive(life, starting).await else { return };
        let root = node.clone();
        self.world.on_crash(machine, move |_: Crash| root.kill());
        self.seats().insert(number, Seat { life, node });
    }

    /// A node that runs, if there is one.
    pub(super) fn node(&self, number: usize) -> Option<(Life, Node)> {
        let seat = self.seats().get(&number).cloned()?;
        self.world.lives(seat.life).then_some((seat.life, seat.node))
    }

    /// Stops a node as an operator does. It is booted again in time.
    pub(super) async fn leave(&self, number: usize) {
        let Some((life, node)) = self.node(number) else { return };
        let table = node.context.router.table();
        let owned = || table.now().owned_by(&node.me).count();
        self.world.count("company.left", 1);
        let stopped = neighbours::stop(&self.world, (self.machine(number), life), &node).await;
        if stopped == Some(true) && owned() == 0 {
            self.world.count("company.left_with_nothing", 1);
        }
        self.world.tell(|| format!("n{number} was stopped ({stopped:?}) with {} slots", owned()));
    }

    /// The others have taken all slots of a node that is not fit.
    pub(super) fn owns_nothing(&self, number: usize) -> Result<(), Violation> {
        let others = (0..ALL).filter(|other| *other != number);
        for (_, other) in others.filter_map(|other| self.node(other)) {
            let slots = other.context.router.slots_of(&name(number)).len();
            let (id, by) = (name(number), &other.me.id);
            Violation::unless(slots == 0, "company", || {
                format!("{id} is not fit, and owns {slots} slots as {by} sees it")
            })?;
        }
        Ok(())
    }

    /// Whether some user is at home at a node, as any node says.
    pub(super) fn is_home(&self, number: usize) -> bool {
        let url = format!("ws://{}/", name(number));
        let workspace = |number| WorkspaceId::parse(&format!("T{number:0>10}")).expect("a plain id");
        let users =
            (0..WORKSPACES).flat_map(|at| (0..USERS).map(move |person| (workspace(at), user(person))));
        let users: Vec<(WorkspaceId, UserId)> = users.collect();
        let by = (0..ALL).filter_map(|number| self.node(number)).map(|(_, node)| node.context.placement);
        let names = |by: &Placement| {
            users.iter().any(|(at, user)| by.home(at, user, "").is_some_and(|home| home == url))
        };
        by.into_iter().any(|by| names(&by))
    }

    /// How many slots each node owns by the rows in the store.
    pub(super) async fn rows(&self) -> [usize; NODES] {
        let rows = read_rows(&*self.store).await.expect("it is in memory");
        let owned = |number| rows.values().filter(|owner| owner.node.id == name(number)).count();
        std::array::from_fn(owned)
    }

    /// Nodes that are gray in some node's view.
    pub(super) async fn gray(&self) -> BTreeSet<usize> {
        let mut gray = BTreeSet::new();
        for (life, node) in (0..ALL).filter_map(|number| self.node(number)) {
            let asked = self.world.while_alive(life, node.operate("cluster.status", &Value::Null)).await;
            let Some(Ok(told)) = asked else { continue };
            let lines = told["nodes"].as_array().cloned().unwrap_or_default();
            let is_gray = |number: &usize| {
                let is_it = |line: &&Value| line["node"] == name(*number).as_str();
                lines.iter().find(is_it).is_some_and(|line| line["state"] == "gray")
            };
            gray.extend((0..ALL).filter(is_gray));
        }
        gray
    }

    /// The process that keeps the store ends, and runs again after a while.
    pub(super) async fn restart_store(&self, after: Duration) {
        self.world.crash(self.keeper, Crash::Process);
        self.world.sleep(after).await;
        self.neighbours.keep_store(&self.world.boot(self.keeper), self.store.clone());
    }

    /// Whether all nodes run.
    pub(super) fn all_run(&self) -> bool {
        (0..ALL).all(|number| self.node(number).is_some())
    }

    /// An operator looks, at any node that runs; whatever goes on, each question has an answer.
    pub(super) async fn look(&self, chance: &Entropy) -> Result<(), Violation> {
        let (number, life, _) = self.anyone(chance).await;
        let Some((_, node)) = self.node(number) else { return Ok(()) };
        for verb in ["cluster.status", "cluster.ring", "cluster.health"] {
            let asked = self.world.while_alive(life, node.operate(verb, &Value::Null)).await;
            let is_answered = asked.is_none_or(|answer| answer.is_ok_and(|answer| answer["v"] == 1));
            Violation::unless(is_answered, "company", || format!("n{number} does not answer {verb}"))?;
        }
        let channel = json!({ "channel": "c0" });
        let place = node.operate("cluster.placement", &channel);
        // Which channel that is only the store knows.
        if let Some(Ok(place)) = self.world.while_alive(life, place).await {
            let why = place["placement"]["why"].as_array().is_some_and(|why| !why.is_empty());
            Violation::unless(why, "company", || format!("n{number} does not say why: {place}"))?;
        }
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((log, us)) = latest else { return Ok(()) };
        let message = json!({ "message": format!("{}/{}", log.channel, ts::format(us)) });
        // Who could tell may be gone, or cut off.
        if let Some(Ok(told)) = self.world.while_alive(life, node.operate("cluster.trace", &message)).await {
            let hops = told["trace"]["hops"].as_array().map_or(0, Vec::len);
            Violation::unless(hops > 0, "company", || format!("n{number} tells no hop: {told}"))?;
            self.world.count("company.traced", 1);
        }
        Ok(())
    }

    /// Another node says that a node's clock is wrong.
    pub(super) async fn tells_of_clock(&self, number: usize, chance: &Entropy) -> Result<(), Violation> {
        let other = (number + 1 + chance.below(NODES as u64 - 1) as usize) % NODES;
        let Some((life, node)) = self.node(other) else { return Ok(()) };
        let asked = self.world.while_alive(life, node.operate("cluster.health", &Value::Null)).await;
        let Some(Ok(told)) = asked else { return Ok(()) };
        let expected = format!("the clock of {} is 600.0 s", name(number));
        let troubles = told["troubles"].as_array().cloned().unwrap_or_default();
        let is_told =
            troubles.iter().any(|trouble| trouble.as_str().is_some_and(|t| t.starts_with(&expected)));
        self.world.count("company.clock_told", u64::from(is_told));
        Violation::unless(is_told, "company", || format!("n{other} does not say that {expected}: {told}"))
    }

    /// Any node that runs.
    pub(super) async fn anyone(&self, chance: &Entropy) -> (usize, Life, Context) {
        loop {
            let number = chance.below(ALL as u64) as usize;
            if let Some((life, node)) = self.node(number) {
                return (number, life, node.context);
            }
            self.world.sleep(LOOK).await;
        }
    }

    /// What comes of `work` at a node, unless that dies or it takes too long.
    pub(super) async fn with_patience<T>(
        &self,
        life: Life,
        patience: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::select! {
            biased;
            output = self.world.while_alive(life, work) => output,
            () = self.world.sleep(patience) => None,
        }
    }

    /// All events of a log, straight from the store.
    pub(super) async fn everything(&self, log: &LogId) -> Vec<Event> {
        let mut events: Vec<Event> = Vec::new();
        loop {
            let after = events.last().map_or(0, |event| event.seq);
            let page = self.store.log(log, after, READ_ROWS_MAX).await.expect("it is in memory");
            if page.events.is_empty() {
                return events;
            }
            events.extend(page.events);
        }
    }

    /// Makes a workspace, its people and channels, once all nodes run and all slots are owned.
    pub(super) async fn found(&self, people: usize) -> Vec<LogId> {
        let context = loop {
            let nodes: Vec<Node> =
                (0..ALL).filter_map(|number| self.node(number)).map(|(_, node)| node).collect();
            let log = Context::workspace(&workspace());
            if nodes.len() == ALL && nodes.iter().all(|node| is_owned(&node.context, &log)) {
                break nodes[0].context.clone();
            }
            self.world.sleep(LOOK).await;
        };
        let log = Context::workspace(&workspace());
        let make = Verb::CreateWorkspace { name: "Town".into(), domain: "town".into() };
        context.execute(log.clone(), Command::system("make", make)).await.expect("nothing is in the way");
        for person in 0..people {
            let verb = Verb::AddUser {
                user: user(person),
                name: format!("p{person}"),
                real_name: String::new(),
                email: String::new(),
                bot_id: String::new(),
                admin: false,
            };
            let add = Command::system(format!("add-{person}"), verb);
            context.execute(log.clone(), add).await.expect("nothing is in the way");
        }
        let mut logs = Vec::new();
        for number in 0..CHANNELS {
            let channel = ConversationId::parse(&context.mint('C')).expect("a minted id");
            let plan = Plan {
                channel: channel.clone(),
                name: format!("c{number}"),
                kind: ConversationKind::Public,
                members: (0..people).map(user).collect(),
            };
            opening::open(&context, &workspace(), None, plan).await.expect("nothing is in the way");
            logs.push(LogId::new(workspace(), channel));
        }
        logs
    }
}
