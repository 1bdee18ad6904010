//! The front of a cluster on one machine: one address and one operator's socket, passed on to nodes that are ready.

use super::plan::host_and_port;
use crate::boot::NodeReady;
use cluster::host::Host;
use futures::future::{BoxFuture, FutureExt, join_all};
use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::Semaphore,
};

/// Connections passed on at the same time, each with two open files; one more is closed.
const CONNECTIONS_MAX: usize = 8192;
/// How often nodes are asked whether they are ready.
const LOOK: Duration = Duration::from_millis(250);
/// A node that does not answer within this long is not ready.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// After a failed accept (no file descriptor left) the listener rests this long.
const ACCEPT_REST: Duration = Duration::from_millis(50);
/// What a node is asked.
const READY: &[u8] = b"GET /readyz HTTP/1.1\r\nhost: front\r\nconnection: close\r\n\r\n";
/// What it answers.
const IS_READY: &[u8] = b"HTTP/1.1 200";

/// A node behind the front.
struct Place {
    name: String,
    address: String,
    operator: PathBuf,
    is_ready: AtomicBool,
}

/// Who is behind the front, and whose turn it is.
pub(super) struct Front {
    host: Host,
    places: Vec<Place>,
    turn: AtomicUsize,
    room: Arc<Semaphore>,
}

impl Front {
    /// A front for these nodes.
    pub(super) fn new(host: &Host, nodes: &[NodeReady]) -> Self {
        let place = |node: &NodeReady| Place {
            name: node.node.clone(),
            address: host_and_port(&node.base_url).unwrap_or_default().to_owned(),
            operator: node.operator.clone().into(),
            is_ready: AtomicBool::new(false),
        };
        let (turn, room) = (AtomicUsize::new(0), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
        Self { host: host.clone(), places: nodes.iter().map(place).collect(), turn, room }
    }

    /// The tasks of the front: who is ready, clients, operators.
    pub(super) fn serve(
        self: Arc<Self>,
        clients: TcpListener,
        operators: UnixListener,
    ) -> [(&'static str, BoxFuture<'static, ()>); 3] {
        let (looking, serving) = (self.clone(), self.clone());
        let look = async move {
            loop {
                looking.host.sleep(LOOK).await;
                looking.look_around().await;
            }
        };
        let clients = async move {
            loop {
                match clients.accept().await {
                    Ok((client, _)) => serving.clone().pass_on("front", client, Self::to_gateway),
                    Err(error) => serving.rest(&error).await,
                }
            }
        };
        let operators = async move {
            loop {
                match operators.accept().await {
                    Ok((operator, _)) => self.clone().pass_on("front operator", operator, Self::to_operator),
                    Err(error) => self.rest(&error).await,
                }
            }
        };
        [
            ("front look", look.boxed()),
            ("front clients", clients.boxed()),
            ("front operators", operators.boxed()),
        ]
    }

    /// Asks all nodes whether they are ready.
    pub(super) async fn look_around(&self) {
        let looks = self.places.iter().map(|place| async {
            let is_ready =
                matches!(self.host.timeout(ANSWER_WITHIN, ask(&place.address)).await, Ok(Ok(true)));
            if place.is_ready.swap(is_ready, Ordering::Relaxed) != is_ready {
                tracing::info!(node = place.name, is_ready, "front");
            }
        });
        join_all(looks).await;
    }

    /// Nodes that are ready, in turn, then the others: one of them may be ready by now.
    fn candidates(&self) -> Vec<&Place> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = self.places.len();
        let mut places: Vec<&Place> = (0..count).map(|at| &self.places[(first + at) % count]).collect();
        places.sort_by_key(|place| !place.is_ready.load(Ordering::Relaxed));
        places
    }

    async fn to_gateway(self: Arc<Self>) -> Option<TcpStream> {
        for place in self.candidates() {
            if let Ok(Ok(node)) = self.host.timeout(ANSWER_WITHIN, connect(&place.address)).await {
                return Some(node);
            }
        }
        None
    }

    async fn to_operator(self: Arc<Self>) -> Option<UnixStream> {
        for place in self.candidates() {
            if let Ok(node) = UnixStream::connect(&place.operator).await {
                return Some(node);
            }
        }
        None
    }

    /// Passes a connection on to a node, until one of them ends it.
    fn pass_on<A, B, F>(self: Arc<Self>, label: &'static str, mut client: A, to: impl FnOnce(Arc<Self>) -> F)
    where
        A: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        B: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        F: Future<Output = Option<B>> + Send + 'static,
    {
        let Ok(place) = self.room.clone().try_acquire_owned() else {
            return tracing::warn!(CONNECTIONS_MAX, "front has no room for a connection");
        };
        let (host, node) = (self.host.clone(), to(self));
        host.spawn(label, async move {
            match node.await {
                Some(mut node) => drop(copy_bidirectional(&mut client, &mut node).await),
                None => tracing::warn!("front found no node that takes a connection"),
            }
            drop(place);
        });
    }

    async fn rest(&self, error: &io::Error) {
        tracing::warn!(%error, "front could not accept a connection");
        self.host.sleep(ACCEPT_REST).await;
    }
}

async fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // Who dials a port that nobody listens on, from the range that ports are picked from, can be given that port.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Whether a node says that it takes work.
async fn ask(address: &str) -> io::Result<bool> {
    let mut stream = connect(address).await?;
    stream.write_all(READY).await?;
    let mut answer = [0; IS_READY.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer == IS_READY)
}
