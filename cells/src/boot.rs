//! A node from its configuration: what is started in which order, and stopped in the reverse one.

mod directory;
mod ready;

pub use directory::{Directory, DirectoryError};
pub use ready::{NodeReady, Ready};

use crate::{
    config::{self, Config},
    gateway::{Gateway, Phase},
    operator,
    storage::{self, RedbStore},
    telemetry::Telemetry,
};
use actors::{
    admin::{self, AdminError, Bootstrap},
    node::{Node, StartError},
};
use cluster::{
    host::Host,
    node::{BootId, CellId, NameError, NodeId},
};
use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::net::TcpListener;

/// Name of the store's file in the data directory.
const STORE_FILE: &str = "store.redb";
/// How often a draining node looks whether it is done.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

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
    /// The actors did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The first workspace could not be made.
    #[error("the workspace to start with could not be made: {0}")]
    Bootstrap(#[from] AdminError),
    /// The operator's socket cannot be made.
    #[error("the operator's socket {0} cannot be made: {1}")]
    Operator(PathBuf, io::Error),
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
    node: Node,
    store: RedbStore,
    drain_window: Duration,
    /// Held until everything else is gone.
    _directory: Directory,
}

impl Running {
    /// Starts a node. Its door is open, and says that it is not ready, before the store is.
    pub async fn start(host: Host, mut config: Config, telemetry: &Telemetry) -> Result<Self, BootError> {
        let directory = Directory::lock(&config.node.data)?;
        let (listener, address) = listen(&config.gateway.listen).await?;
        if config.actors.public_url.is_empty() {
            config.actors.public_url = ready::url(address);
        }
        telemetry.keep_up(&host);
        let render = telemetry.clone();
        let gateway = Gateway::new(host.clone(), config.gateway.clone(), Arc::new(move || render.render()));
        host.spawn("listener", gateway.clone().listen(listener));

        let store = open_store(&host, &directory, config.storage.clone()).await?;
        gateway.set_phase(Phase::Claiming);
        let me = cluster::node::Node {
            id: NodeId::parse(&config.node.name)?,
            boot: BootId(host.entropy().next_u64()),
            cell: CellId::parse(&config.node.cell)?,
        };
        let (kept, claims) = (Arc::new(store.clone()), Arc::new(store.clone()));
        let node = Node::start(host.clone(), kept, claims, config.actors.clone(), me).await?;
        let seeded = match config.node.bootstrap {
            config::Bootstrap::Demo => admin::bootstrap(&node.context).await?,
            config::Bootstrap::None => None,
        };
        let operator = directory.path().join(operator::FILE);
        let socket = operator::bind(&operator).map_err(|e| BootError::Operator(operator.clone(), e))?;
        host.spawn("operators", operator::serve(socket, host.clone(), node.context.clone()));
        let gateway_id = node.me.id.to_string();
        metrics::gauge!("ws_connections_active", "region" => "0", "gateway_id" => gateway_id).increment(0.0);
        gateway.open(node.clone());
        let ready = Ready::of(&config, &operator);
        let sign_in = seeded.and_then(|seeded| link(&ready, seeded));
        let drain_window = Duration::from_millis(config.node.drain_window_ms);
        Ok(Self { ready, sign_in, host, gateway, node, store, drain_window, _directory: directory })
    }
    /// Takes no more work, sends everybody away, finishes what is under way and closes the store. True when all of it
    /// was done within `limit`.
    pub async fn stop(self, limit: Duration) -> bool {
        let until = self.host.monotonic() + limit;
        self.gateway.drain();
        let window = self.drain_window.min(limit);
        let left = || until.saturating_sub(self.host.monotonic());
        let drained = self.node.stop(window, limit).await;
        self.gateway.close();
        let answered = async {
            while self.gateway.answering() > 0 {
                self.host.sleep(DRAIN_LOOK).await;
            }
        };
        let answered = self.host.timeout(left(), answered).await.is_ok();
        let closed = self.host.timeout(left(), self.store.close()).await.is_ok();
        // Nobody answers there any more. If it cannot be removed the next process will.
        let _ = std::fs::remove_file(&self.ready.operator);
        drained && answered && closed
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
