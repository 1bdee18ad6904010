//! A node from its configuration: what is started in which order, and stopped in the reverse one.

mod company;
mod directory;
mod inquiry;
mod ready;

pub use company::JoinError;
pub use directory::{Directory, DirectoryError};
pub use ready::{NodeReady, Ready, url};

use crate::{
    config::{self, Config, OWN_URL},
    gateway::{Gateway, Phase},
    operator,
    storage::{self, RedbStore, SharedClaims},
    telemetry::Telemetry,
};
use actors::{
    admin::{self, AdminError, Bootstrap},
    node::{Node, StartError, company::Company as Peers},
    store::{
        Store,
        link::{OfferedStore, StoreLink},
        remote::RemoteStore,
    },
};
use cluster::{
    claims::Claims,
    host::Host,
    link::roles::Roles,
    node::{BootId, CellId, NameError, Node as Me, NodeId},
};
use company::Company;
use std::{collections::BTreeSet, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Name of the store's file in the data directory.
const STORE_FILE: &str = "store.redb";
/// A node that starts waits this long for others to own what is theirs: those that do not come are replaced by then.
const OWNERS_WITHIN: Duration = Duration::from_secs(10);
/// How often a node that starts or drains looks whether it is done.
const LOOK: Duration = Duration::from_millis(20);
/// A node that cannot reach the store, or the owners of what it has to make, tries again after this long.
const RETRY: Duration = Duration::from_millis(100);
/// Attempts after which it says why it is not ready, and says so again.
const RETRIES_TOLD: u32 = 50;

/// Why a node did not start. What had been started is stopped; the data is as it was.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(String, io::Error),
    /// The store cannot be opened.
    #[error("the store cannot be opened: {0}")]
    Store(#[from] storage::OpenError),
    /// A name that cannot be one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The other nodes cannot be met.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// The actors did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The first workspace could not be made.
    #[error("the workspace to start with could not be made: {0}")]
    Bootstrap(#[from] AdminError),
    /// The operator's socket cannot be made.
    #[error("the operator's socket {0} cannot be made: {1}")]
    Operator(PathBuf, io::Error),
    /// A name belongs to one process.
    #[error(
        "another process took this node's name while this one started, and is the node by now. This one has taken no \
         users, owns no channels, and ends. If it was the one that was to run: stop the other one, and start it again"
    )]
    Replaced,
    /// The machine stopped meanwhile.
    #[error("the machine stopped during the start")]
    Stopped,
}

/// A node that takes work.
pub struct Running {
    /// What it says of itself.
    pub ready: Ready,
    /// The one-time sign-in link, when the data directory was seeded.
    pub sign_in: Option<String>,
    host: Host,
    gateway: Gateway,
    /// Channels and sessions, unless it only keeps the store.
    node: Option<Node>,
    /// The store, if it is kept here.
    store: Option<RedbStore>,
    drain_window: Duration,
    /// Ends when another process has the node's name.
    name_lost: CancellationToken,
    /// Held until everything else is gone.
    _directory: Directory,
}

impl Running {
    /// Starts a node. Its door is open, and says that it is not ready, before the store is.
    pub async fn start(host: Host, mut config: Config, telemetry: &Telemetry) -> Result<Self, BootError> {
        let directory = Directory::lock(&config.node.data)?;
        let (listener, address) = listen(&config.gateway.listen).await?;
        let own_url = ready::url(address);
        find_urls(&mut config.actors, &own_url);
        telemetry.keep_up(&host);
        let render = telemetry.clone();
        let gateway = Gateway::new(host.clone(), config.gateway.clone(), Arc::new(move || render.render()));
        host.spawn("listener", gateway.clone().listen(listener));

        let me = Me {
            id: NodeId::parse(&config.node.name)?,
            boot: BootId(host.entropy().next_u64()),
            cell: CellId::parse(&config.node.cell)?,
        };
        let roles = Roles::named(config.node.roles.iter().map(String::as_str));
        let company = match config.cluster.is_several() {
            true => Some(company::join(&host, &me, roles, &config.cluster).await?),
            false => None,
        };
        let has = |role| config.node.has_role(role);
        let store = match has("store") {
            true => Some(open_store(&host, &directory, config.storage.clone()).await?),
            false => None,
        };
        if let (Some(company), Some(store)) = (&company, &store) {
            OfferedStore::offer(&company.board, Arc::new(store.clone()));
        }
        let name_lost = company.as_ref().map(|company| company.name_lost.clone()).unwrap_or_default();
        gateway.set_phase(Phase::Claiming);
        let mut ready = Ready::of(&config, own_url, company.as_ref().map(|company| &company.address));
        let drain_window = Duration::from_millis(config.node.drain_window_ms);
        let (mut node, mut sign_in) = (None, None);
        if has("gateway") || has("channels") {
            let (started, seeded) =
                start_settled(&host, &config, &me, store.as_ref(), company.as_ref()).await?;
            sign_in = seeded.and_then(|bootstrapped| link(&ready, bootstrapped));
            let operator = directory.path().join(operator::FILE);
            let socket = operator::bind(&operator).map_err(|e| BootError::Operator(operator.clone(), e))?;
            host.spawn("operators", operator::serve(socket, host.clone(), started.clone()));
            ready.operated_at(&operator);
            host.spawn("name", give_way(name_lost.clone(), started.clone()));
            node = Some(started);
        } else if let Some(company) = &company {
            actors::node::offer_facts(&company.board, &host, &company.gossip);
        }
        let gateway_id = me.id.to_string();
        metrics::gauge!("ws_connections_active", "region" => "0", "gateway_id" => gateway_id).increment(0.0);
        match node.clone().filter(|_| has("gateway")) {
            Some(node) => gateway.open(node),
            None => gateway.set_phase(Phase::Ready),
        }
        Ok(Self {
            ready,
            sign_in,
            host,
            gateway,
            node,
            store,
            drain_window,
            name_lost,
            _directory: directory,
        })
    }
    /// Completes when another process has this node's name: this one serves nothing any more.
    pub async fn replaced(&self) {
        match &self.node {
            Some(node) => node.replaced().await,
            None => self.name_lost.cancelled().await,
        }
    }
    /// Takes no more work, sends everybody away, finishes what is under way and closes the store. True when all of it
    /// was done within `limit`.
    pub async fn stop(self, limit: Duration) -> bool {
        let until = self.host.monotonic() + limit;
        self.gateway.drain();
        let window = self.drain_window.min(limit);
        let left = || until.saturating_sub(self.host.monotonic());
        let drained = match &self.node {
            Some(node) => node.stop(window, limit).await,
            None => true,
        };
        self.gateway.close();
        let answered = async {
            while self.gateway.answering() > 0 {
                self.host.sleep(LOOK).await;
            }
        };
        let answered = self.host.timeout(left(), answered).await.is_ok();
        let closed = match &self.store {
            Some(store) => self.host.timeout(left(), store.close()).await.is_ok(),
            None => true,
        };
        // Nobody answers there any more. If it cannot be removed the next process will.
        let _ = std::fs::remove_file(&self.ready.operator);
        drained && answered && closed
    }
}

/// Claims the slots and starts the actors; a store that other nodes have may not be reached yet.
async fn start_node(
    host: &Host,
    config: &Config,
    me: &Me,
    own: Option<&RedbStore>,
    company: Option<&Company>,
) -> Result<Node, BootError> {
    let (kept, claims): (Arc<dyn Store>, Arc<dyn Claims>) = match (own, company) {
        (None, Some(company)) => {
            let link = StoreLink::new(company.board.clone(), NodeId::parse(&config.cluster.store)?);
            let remote = RemoteStore::new(Arc::new(link));
            (Arc::new(remote.clone()), Arc::new(remote))
        }
        (Some(own), None) => (Arc::new(own.clone()), Arc::new(own.clone())),
        (Some(own), Some(_)) => (Arc::new(own.clone()), Arc::new(SharedClaims(own.clone()))),
        (None, None) => unreachable!("the configuration was checked"),
    };
    if let (None, Some(company)) = (own, company) {
        reach(host, company, &config.cluster.store).await?;
    }
    let members = config.cluster.members.iter().map(|name| NodeId::parse(name));
    let members: BTreeSet<NodeId> = members.collect::<Result<_, _>>()?;
    let mut attempts = Attempts { host, made: 0 };
    loop {
        let peers = company.map(|company| Peers {
            board: company.board.clone(),
            gossip: company.gossip.clone(),
            members: members.clone(),
        });
        let (kept, claims, actors) = (kept.clone(), claims.clone(), config.actors.clone());
        match Node::start_among(host.clone(), kept, claims, actors, me.clone(), peers).await {
            Err(StartError::Claims(error)) if company.is_some() => {
                let store = &config.cluster.store;
                let why = || tracing::warn!(store, %error, "slots not claimed yet; trying on");
                attempts.rest(why).await;
            }
            started => return Ok(started?),
        }
    }
}

/// Starts the actors, waits until the owners of what there is are known, and makes the first workspace if that is to be
/// done here.
async fn start_settled(
    host: &Host,
    config: &Config,
    me: &Me,
    own: Option<&RedbStore>,
    company: Option<&Company>,
) -> Result<(Node, Option<Bootstrap>), BootError> {
    let name_lost = company.map(|company| company.name_lost.clone()).unwrap_or_default();
    // Without its name a node reaches nobody, and would wait for ever.
    let starting = name_lost.run_until_cancelled(start_node(host, config, me, own, company));
    let node = starting.await.unwrap_or(Err(BootError::Replaced))?;
    let settling = async {
        if company.is_some() {
            meet_owners(host, &node).await;
        }
        seed(host, config, &node, company.is_some()).await
    };
    let seeded = tokio::select! {
        seeded = settling => seeded?,
        () = node.replaced() => return Err(BootError::Replaced),
        () = name_lost.cancelled() => {
            node.kill();
            return Err(BootError::Replaced);
        }
    };
    Ok((node, seeded))
}

/// What is to be taken from the listening address.
fn find_urls(actors: &mut actors::config::Config, own_url: &str) {
    if actors.public_url.is_empty() {
        own_url.clone_into(&mut actors.public_url);
    }
    if actors.gateway_url == OWN_URL {
        actors.gateway_url = ready::reachable(own_url, &actors.public_url).to_owned();
    }
}

/// A node whose name is another process's stops serving.
async fn give_way(name_lost: CancellationToken, node: Node) {
    name_lost.cancelled().await;
    node.give_way();
}

/// Attempts of a start that waits for other nodes.
struct Attempts<'a> {
    host: &'a Host,
    /// Those before the next one.
    made: u32,
}

impl Attempts<'_> {
    /// Waits for the next attempt; says why there is one now and then.
    async fn rest(&mut self, why: impl FnOnce()) {
        if self.made.is_multiple_of(RETRIES_TOLD) {
            why();
        }
        self.made += 1;
        self.host.sleep(RETRY).await;
    }
}

/// A node among others takes work when it knows who owns what: until then calls would wait in it.
async fn meet_owners(host: &Host, node: &Node) {
    let met = async {
        while !node.knows_all_owners() {
            host.sleep(LOOK).await;
        }
    };
    if host.timeout(OWNERS_WITHIN, met).await.is_err() {
        tracing::warn!("some slots have no owner yet; what is for them waits");
    }
}

/// Waits for the link to the node that has the store.
async fn reach(host: &Host, company: &Company, store: &str) -> Result<(), BootError> {
    let store = NodeId::parse(store)?;
    // A link takes a moment to come up: the first attempt is nothing to tell of.
    let mut attempts = Attempts { host, made: 1 };
    while !company.board.peers().contains_key(&store) {
        let why = || tracing::warn!(%store, "no link to the node that has the store yet; trying on");
        attempts.rest(why).await;
    }
    Ok(())
}

/// What an empty store begins with. Owners among other nodes may not be there yet.
async fn seed(
    host: &Host,
    config: &Config,
    node: &Node,
    among_others: bool,
) -> Result<Option<Bootstrap>, BootError> {
    if config.node.bootstrap == config::Bootstrap::None {
        return Ok(None);
    }
    let mut attempts = Attempts { host, made: 0 };
    loop {
        match admin::bootstrap(&node.context).await {
            Err(AdminError::Refused(refusal)) if among_others && refusal.retry_after_ms() > 0 => {
                let why = || tracing::warn!(%refusal, "the first workspace is not made yet; trying on");
                attempts.rest(why).await;
            }
            seeded => return Ok(seeded?),
        }
    }
}

async fn listen(address: &str) -> Result<(TcpListener, SocketAddr), BootError> {
    let failed = |e| BootError::Listen(address.to_owned(), e);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

async fn open_store(
    host: &Host,
    directory: &Directory,
    config: storage::StorageConfig,
) -> Result<RedbStore, BootError> {
    let path = directory.path().join(STORE_FILE);
    let inside = host.clone();
    let opened = host.blocking(move || RedbStore::open_file(inside, &path, config)).await;
    Ok(opened.ok_or(BootError::Stopped)??)
}

fn link(ready: &Ready, seeded: Bootstrap) -> Option<String> {
    seeded.sign_in_ticket.map(|ticket| format!("{}signin/{ticket}", ready.base_url))
}
