//! The stage: the sites, tenants and clients of a plan in a world, and what is done with all of them.

pub mod cell;
pub mod doors;
pub mod gossip;
pub mod neighbours;
pub mod operator;
pub mod seat;
pub mod settled;
pub mod site;
pub mod storm;
pub mod tenant;
pub mod vault;

use crate::{
    clients::{Person, native::Native, rtm::Rtm, web::Web},
    oracle::{Logs, Oracle},
    plan::{Client, Deed, Device, Do, Plan},
    promises::{bounds, copies, own_words::STALE_MAX, whole_serves},
    stage::{
        cell::Paper,
        seat::Seat,
        site::{NotUp, Site, node_id},
        tenant::{Tenant, log_name},
    },
    world::{
        World,
        clock::Skew,
        machine::{Hardware, MachineId},
        report::Violation,
    },
};
use actors::{
    admin::bootstrap,
    command::{Command, Verb},
    config::Config,
    context::Context,
    node::Node,
    store::LogId,
};
use cluster::node::NodeId;
use futures::future::try_join_all;
use proto::{id::ConversationId, refusal::Refusal, v1::JoinedRow};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

/// How long a machine stays down when nobody said how long.
const REST: Duration = Duration::from_millis(200);

/// A client's place on the stage.
pub struct Place {
    /// Its machine.
    pub machine: MachineId,
    /// Number of its workspace.
    pub tenant: usize,
    /// Its user.
    pub user: String,
    /// It keeps cursors, and must be level in the end.
    pub follows: bool,
    /// See [`Person::deaf_until`].
    pub deaf_until: Arc<AtomicU64>,
    /// See [`Person::revoked`].
    pub revoked: Arc<Mutex<Option<(String, Duration)>>>,
    /// Its token.
    pub token: Arc<Mutex<String>>,
    /// See [`Person::deeds`].
    pub deeds: Arc<Mutex<VecDeque<Deed>>>,
    /// See [`Person::busy`].
    pub busy: Arc<AtomicUsize>,
}

/// Everything of a run.
pub struct Stage {
    /// The world.
    pub world: World,
    /// What happens.
    pub plan: Plan,
    /// Nodes.
    pub sites: Vec<Arc<Site>>,
    /// Workspaces.
    pub tenants: Vec<Tenant>,
    /// Clients.
    pub places: Vec<Place>,
    /// Machines of those who belong to nobody.
    pub strangers: Mutex<Vec<MachineId>>,
    /// The slot table that the nodes play with.
    pub paper: Arc<Paper>,
    /// Who watches.
    pub oracle: Oracle,
}

/// Limits that a day's work reaches.
fn tight() -> Config {
    Config {
        channel_pending_max: 12,
        slot_pending_max: 64,
        channel_recent_max: 10,
        channel_rows_max: 10,
        channel_idle_ms: 1000,
        session_mailbox_max: 14,
        posts_in_flight_max: 8,
        relay_mailbox_max: 2,
        message_edits_max: 4,
        ..Config::default()
    }
}

impl Stage {
    /// Builds it and founds the workspaces; nobody is connected yet.
    pub async fn build(world: &World, plan: Plan) -> Result<Self, Violation> {
        let machines: BTreeMap<NodeId, MachineId> = plan
            .sites
            .iter()
            .enumerate()
            .filter(|(_, site)| !site.is_cell())
            .map(|(number, site)| (node_id(number), world.machine(format!("node-{number}"), site.hardware())))
            .collect();
        let paper = Arc::new(Paper::new(machines.keys().cloned().collect()));
        let mut sites = Vec::new();
        for (number, site) in plan.sites.iter().enumerate() {
            let public_url = format!("http://node-{number}/");
            let config = Config { public_url, ..if plan.tight { tight() } else { Config::default() } };
            let site = Arc::new(Site::new(world, (number, site), &machines, &paper, config));
            boot_all(&site).await?;
            if number == 0 {
                demo(&site).await?;
            }
            sites.push(site);
        }
        let oracle = Oracle::default();
        let mut stage = Self {
            world: world.clone(),
            plan,
            sites,
            tenants: Vec::new(),
            places: Vec::new(),
            strangers: Mutex::default(),
            paper,
            oracle,
        };
        let founded = stage.plan.workspaces.iter().enumerate().map(async |(number, workspace)| {
            let node = stage.sites[workspace.site].node().expect("it was booted just now");
            Tenant::found(&node.context, number, workspace).await
        });
        let founded = try_join_all(founded.collect::<Vec<_>>()).await;
        stage.tenants =
            founded.map_err(|refusal| whole_serves::failed("a workspace could not be founded", refusal))?;
        Ok(stage)
    }

    /// Connects everybody.
    pub async fn invite(&mut self) -> Result<(), Violation> {
        let tokens = (0..self.plan.clients.len()).map(|number| self.token_for(number));
        let tokens = try_join_all(tokens).await;
        let tokens = tokens.map_err(|refusal| whole_serves::failed("no token was given", refusal))?;
        tokens.into_iter().enumerate().for_each(|(number, token)| self.place(number, token));
        Ok(())
    }

    async fn token_for(&self, client: usize) -> Result<String, Refusal> {
        let Client { workspace, person, .. } = self.plan.clients[client];
        let node = self.site_of(workspace).node().expect("nothing has happened yet");
        let tenant = &self.tenants[workspace];
        tenant.token(&node.context, &tenant.people[person].0).await
    }

    fn place(&mut self, number: usize, token: String) {
        let client = &self.plan.clients[number];
        let tenant = &self.tenants[client.workspace];
        let site = &self.sites[self.plan.workspaces[client.workspace].site];
        let user = &tenant.people[client.person].0;
        let chance = self.world.entropy(&format!("client/{number}"));
        let skew = Skew { offset_us: chance.below(4_000_000) as i64 - 2_000_000, drift_ppm: 0 };
        let me = self.world.machine(format!("client-{number}"), Hardware { skew, ..Hardware::default() });
        let host = self.world.boot(me);
        let (deaf_until, revoked) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(None)));
        let token = Arc::new(Mutex::new(token));
        let (deeds, busy) = (Arc::new(Mutex::new(self.deeds_of(number))), Arc::new(AtomicUsize::new(0)));
        let person = Person {
            world: self.world.clone(),
            me,
            host: host.clone(),
            doors: site.doors(),
            number,
            device: client.device,
            tenant: client.workspace,
            workspace: tenant.workspace.to_string(),
            user: user.to_string(),
            token: token.clone(),
            channels: tenant.channels.iter().map(ToString::to_string).collect(),
            moves: self.moves(client.workspace, client.person),
            users: tenant.people.iter().map(|(user, _)| user.to_string()).collect(),
            deeds: deeds.clone(),
            stale_max: if site.store_is_remote() { STALE_MAX } else { Duration::ZERO },
            busy: busy.clone(),
            oracle: self.oracle.clone(),
            revoked: revoked.clone(),
            deaf_until: deaf_until.clone(),
            gives_up: chance.chance(1, 4),
        };
        self.places.push(Place {
            machine: me,
            tenant: client.workspace,
            user: user.to_string(),
            follows: client.device.form().is_some(),
            deaf_until,
            revoked,
            token,
            deeds,
            busy,
        });
        match (client.device, client.device.form()) {
            (_, Some(form)) => host.spawn("client", Native::new(person, form).run()),
            (Device::Rtm, _) => host.spawn("client", Rtm::new(person).run()),
            _ => host.spawn("client", Web::new(person).run()),
        }
    }

    fn deeds_of(&self, client: usize) -> VecDeque<Deed> {
        let begun = self.world.now();
        let own = self.plan.deeds.iter().filter(|deed| deed.client == client && !is_admins(&deed.what));
        own.map(|deed| {
            let at = begun + Duration::from_millis(deed.at_ms);
            Deed { at_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX), ..deed.clone() }
        })
        .collect()
    }

    /// Channels in which this person's membership may change in this plan, or never began.
    fn moves(&self, workspace: usize, person: usize) -> BTreeSet<String> {
        let channels = &self.plan.workspaces[workspace].channels;
        let stranger = |number: &usize| !channels[*number].members.contains(&person);
        let mut moves: BTreeSet<usize> = (0..channels.len()).filter(stranger).collect();
        for deed in &self.plan.deeds {
            let client = &self.plan.clients[deed.client];
            let mine = client.workspace == workspace && client.person == person;
            match &deed.what {
                Do::Join { channel } | Do::Leave { channel } if mine => _ = moves.insert(*channel),
                Do::Administer { channel, person: whom, .. } | Do::Kick { channel, person: whom }
                    if client.workspace == workspace && *whom == person =>
                {
                    moves.insert(*channel);
                }
                _ => {}
            }
        }
        moves
            .into_iter()
            .filter_map(|number| Some(self.tenants[workspace].channels.get(number)?.to_string()))
            .collect()
    }

    /// The site of a workspace.
    pub fn site_of(&self, tenant: usize) -> &Arc<Site> {
        &self.sites[self.plan.workspaces[tenant].site]
    }

    /// A node at which an operator of a workspace finds a door open.
    fn any_node(&self, tenant: usize) -> Option<Node> {
        let chance = self.world.entropy("door").fork(&format!("{tenant} {:?}", self.world.now()));
        self.site_of(tenant).any_node(&chance)
    }

    /// Seats of all nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Seat>> {
        self.sites.iter().flat_map(|site| site.nodes())
    }

    /// Logs of a workspace: the conversations it began with, those that were opened meanwhile, the people's, its own.
    pub async fn logs_of(&self, tenant: &Tenant) -> Result<Vec<LogId>, Violation> {
        let store = self.site_of(tenant.number).store().expect("read while it runs");
        let page = store.conversations(&tenant.workspace, None, 1000).await;
        let page = page.map_err(|error| whole_serves::failed("conversations could not be read", error))?;
        let conversations = page.rows.iter().map(|(channel, _)| tenant.log(channel));
        Ok(conversations.chain(tenant.own_logs()).collect())
    }

    /// All logs, as the stores of the running nodes answer them.
    pub async fn read_logs(&self) -> Result<Logs, Violation> {
        let mut logs = Logs::default();
        for tenant in &self.tenants {
            for log in self.logs_of(tenant).await? {
                let events = self.site_of(tenant.number).read(&log).await?;
                logs.add(log_name(&log), events);
            }
        }
        Ok(logs)
    }

    /// What a client follows, each with its tail: its own log, the workspace's, the conversations that it is in.
    pub async fn tails_of(&self, place: &Place) -> Result<BTreeMap<String, u64>, String> {
        let tenant = &self.tenants[place.tenant];
        let store = self.site_of(place.tenant).store().ok_or("its node is down")?;
        let (user, _) =
            tenant.people.iter().find(|(user, _)| user.as_str() == place.user).expect("a known user");
        let rows =
            store.joined(&tenant.workspace, user, None, 1000).await.map_err(|error| error.to_string())?;
        let stays = |row: &JoinedRow| !row.left;
        let joined = rows.rows.into_iter().filter(|(_, row)| stays(row)).map(|(channel, _)| channel);
        let joined: Vec<_> = joined.collect();
        // What the own log says comes after a while; the members' rows decide.
        let members = store.memberships(&tenant.workspace, user, joined.clone()).await;
        let members = members.map_err(|error| error.to_string())?;
        let joined = joined.into_iter().zip(members).filter(|(_, row)| row.is_some());
        let joined = joined.map(|(channel, _)| tenant.log(&channel));
        let own = tenant.own_logs().filter(|log| {
            let channel = log.channel.to_string();
            channel.starts_with("ws:") || channel == format!("user:{}", place.user)
        });
        let mut tails = BTreeMap::new();
        for log in joined.chain(own) {
            let head = store.head(&log).await.map_err(|error| error.to_string())?;
            tails.insert(log_name(&log), head.map_or(0, |(_, head)| head.tail));
        }
        Ok(tails)
    }

    /// The user behind a client.
    pub fn user_of(&self, client: usize) -> String {
        self.places[client].user.clone()
    }

    /// Nobody begins anything any more.
    pub fn send_home(&self) {
        self.places
            .iter()
            .for_each(|place| place.deeds.lock().unwrap_or_else(PoisonError::into_inner).clear());
    }

    /// Nobody is deaf any more.
    pub fn wake_readers(&self) {
        self.places.iter().for_each(|place| place.deaf_until.store(0, Relaxed));
    }
}

/// What an operator does in an admin's name.
pub fn is_admins(what: &Do) -> bool {
    matches!(what, Do::Kick { .. } | Do::Revoke | Do::Administer { .. })
}

/// Boots what has a seat at a site until it is up: whoever dies while it starts is started again.
pub async fn boot(site: &Site, seat: &Seat) -> Result<(), Violation> {
    loop {
        match site.boot(seat).await {
            Ok(()) => return Ok(()),
            Err(NotUp::Broken(violation)) => return Err(violation),
            Err(NotUp::Died) => site.rest(REST).await,
        }
    }
}

/// Boots all of a site at once.
async fn boot_all(site: &Site) -> Result<(), Violation> {
    try_join_all(site.seats.iter().map(|seat| boot(site, seat))).await.map(|_| ())
}

/// An empty store gets a workspace to start in, once.
async fn demo(site: &Site) -> Result<(), Violation> {
    let node = site.node().expect("it was booted just now");
    for is_empty in [true, false] {
        let made = bootstrap(&node.context).await;
        let made = made.map_err(|error| whole_serves::failed("a store could not be seeded", error))?;
        whole_serves::seeded(is_empty, made.is_some())?;
    }
    Ok(())
}

/// A message by the system into every conversation, after everybody has left.
pub async fn speak_to_nobody(stage: &Stage) -> Result<(), Violation> {
    let said = everywhere(stage).map(|(tenant, channel)| speak(stage, tenant, channel, "is anybody there"));
    let said = try_join_all(said.collect::<Vec<_>>()).await?;
    // Whoever asks for what has just been said is answered from memory.
    let reads = || stage.world.gauges().sum("waggle_replay_store_reads_total");
    let before = reads();
    for ((tenant, channel), seq) in everywhere(stage).zip(said) {
        let replay = context(stage, tenant).router.read(&tenant.log(channel), seq - 1, 1).await;
        replay.map_err(|error| whole_serves::failed("a log could not be read", error))?;
    }
    bounds::just_said(reads() - before)
}

/// A message by the system into one conversation after the other, while everybody listens.
pub async fn speak_to_all(stage: &Stage) -> Result<(), Violation> {
    let gauges = stage.world.gauges();
    let moved = || (gauges.sum("waggle_fanout_copies_total"), gauges.sum("waggle_events_total"));
    for (tenant, channel) in everywhere(stage) {
        let before = moved();
        speak(stage, tenant, channel, "is everybody there").await?;
        stage.world.sleep(REST).await;
        let after = moved();
        copies::at_most(after.0 - before.0, after.1 - before.1, gateways(stage, tenant))?;
    }
    Ok(())
}

/// Nodes at which somebody of a workspace is connected.
fn gateways(stage: &Stage, tenant: &Tenant) -> usize {
    let fronts: BTreeSet<MachineId> = stage.site_of(tenant.number).fronts().into_iter().collect();
    let people = stage.places.iter().filter(|place| place.tenant == tenant.number);
    let at: BTreeSet<MachineId> = people.flat_map(|place| stage.world.connected(place.machine)).collect();
    at.intersection(&fronts).count()
}

fn everywhere(stage: &Stage) -> impl Iterator<Item = (&Tenant, &ConversationId)> {
    stage.tenants.iter().flat_map(|tenant| tenant.channels.iter().map(move |channel| (tenant, channel)))
}

fn context(stage: &Stage, tenant: &Tenant) -> Context {
    stage.site_of(tenant.number).node().expect("it runs").context.clone()
}

/// Answers where it stands.
async fn speak(
    stage: &Stage,
    tenant: &Tenant,
    channel: &ConversationId,
    topic: &str,
) -> Result<u64, Violation> {
    let topic = Verb::SetTopic { topic: topic.into() };
    let done = context(stage, tenant).execute(tenant.log(channel), Command::system("", topic)).await;
    done.map(|done| done.seq).map_err(|refusal| whole_serves::failed("nothing could be said", refusal))
}
