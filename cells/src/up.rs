//! A whole cluster on one machine: a store and nodes as processes of their own, behind one address.
//!
//! Owns: the processes that it starts, and the front: the address and the operator's socket that stand for all.
//! Promises: what it started ends with it, however it ends; whoever connects is given a node that is ready.
//! May lose: connections to a node that dies; clients come back, and are given another one.
//! Never does: start a node again, or end a process that it did not start.

mod child;
mod front;
mod plan;

use crate::{
    boot::{Directory, DirectoryError, NodeReady, Ready},
    operator,
    telemetry::Telemetry,
};
use child::{Child, ChildError};
use cluster::host::Host;
use front::Front;
use futures::future::{join_all, try_join_all};
use plan::{CONFIG_FILE, Plan, PlanError};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use plan::{NODES_MAX, Wish};

/// Beyond the limit that a node has for its drain, its process gets this long to end.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// How often it is looked whether a process of an earlier cluster is gone.
const LOOK: Duration = Duration::from_millis(20);

/// Why there is no cluster; nothing of it runs, and what is kept is as it was.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// The data directory.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// What nodes have to be told.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The public address.
    #[error("cannot listen on {0}: {1}")]
    Listen(String, io::Error),
    /// The operator's socket.
    #[error("the operator's socket {0} cannot be made: {1}")]
    Operator(PathBuf, io::Error),
    /// A node did not come up.
    #[error(transparent)]
    Child(#[from] ChildError),
}

/// A cluster that takes work.
pub struct Up {
    /// What it says of itself.
    pub ready: Ready,
    host: Host,
    store: Child,
    nodes: Vec<Child>,
    /// Ends the front.
    fronting: CancellationToken,
    drain: Duration,
    /// Held until everything else is gone.
    _directory: Directory,
}

/// Waits for the processes of a cluster that was here before: they drain when the one that started them is gone.
async fn free(host: &Host, root: &Path, limit: Duration) -> Result<(), DirectoryError> {
    let folders = std::fs::read_dir(root).map_err(|e| DirectoryError::Unusable(root.to_owned(), e))?;
    let folders = folders.filter_map(Result::ok).map(|entry| entry.path());
    let until = host.monotonic() + limit;
    for folder in folders.filter(|folder| folder.join(CONFIG_FILE).is_file()) {
        loop {
            match Directory::lock(&folder) {
                Err(DirectoryError::InUse { .. }) if host.monotonic() < until => host.sleep(LOOK).await,
                locked => break drop(locked?),
            }
        }
    }
    Ok(())
}

impl Up {
    /// Starts the store, then the nodes; ready when all are.
    pub async fn start(host: Host, wish: Wish, telemetry: &Telemetry) -> Result<Self, UpError> {
        let directory = Directory::lock(&wish.data)?;
        let failed = |error| UpError::Listen(wish.listen.clone(), error);
        let listener = TcpListener::bind(&wish.listen).await.map_err(failed)?;
        let public = crate::boot::url(listener.local_addr().map_err(failed)?);
        let plan = Plan::make(directory.path(), &wish, &public, host.now_us())?;

        free(&host, directory.path(), wish.drain + ENDS_WITHIN).await?;
        let store = Child::start(&host, plan.store(), &wish.log_format, telemetry).await?;
        let seed = store.ready.address.clone().unwrap_or_default();
        let start = |node| Child::start(&host, node, &wish.log_format, telemetry);
        let starting = plan.nodes(&seed)?.into_iter().map(start);
        let nodes: Vec<Child> = try_join_all(starting).await?;
        let all: Vec<NodeReady> = nodes.iter().chain([&store]).map(|child| child.ready.clone()).collect();
        plan.lasting(&all)?;

        let operator = directory.path().join(operator::FILE);
        let socket = operator::bind(&operator).map_err(|e| UpError::Operator(operator.clone(), e))?;
        let front = Arc::new(Front::new(&host, &all[..nodes.len()]));
        front.look_around().await;
        let fronting = CancellationToken::new();
        for (label, serving) in front.serve(listener, socket) {
            let ends = fronting.clone();
            host.spawn(label, async move {
                ends.run_until_cancelled(serving).await;
            });
        }
        let ready = Ready::of_nodes(public, operator.display().to_string(), all);
        let drain = wish.drain + ENDS_WITHIN;
        Ok(Self { ready, host, store, nodes, fronting, drain, _directory: directory })
    }

    /// Tells of processes that end, until all of this is dropped.
    pub async fn watch(&mut self) {
        join_all(self.nodes.iter_mut().chain([&mut self.store]).map(Child::missed)).await;
        std::future::pending().await
    }

    /// Takes no more connections, lets the nodes drain, then the store. True when all of them ended cleanly.
    pub async fn stop(mut self) -> bool {
        self.fronting.cancel();
        let host = &self.host;
        let nodes = join_all(self.nodes.iter_mut().map(|node| node.stop(host, self.drain))).await;
        let store = self.store.stop(host, self.drain).await;
        let _ = std::fs::remove_file(&self.ready.operator);
        nodes.into_iter().all(|clean| clean) && store
    }
}
