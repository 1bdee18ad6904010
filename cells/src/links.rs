//! Links to other nodes: the cluster's lanes, codec and inbox over byte streams, whoever makes those: TCP under mutual
//! TLS in production ([`tls`]), the simulated network in `simulations`.
//!
//! Owns: the connections of one life of a node, one a peer. Of two nodes the one with the lower name dials.
//! Promises: what [`cluster::link`] says, and that nobody is connected who is not whom the transport proved it to be.
//! May lose: with a connection, what was on its way; both sides are told.
//! Never does: grow beyond the limits of [`LinkConfig`], or wait in `send`.

mod carry;
mod namesake;
pub mod tls;
pub mod udp;

use crate::credentials::UnnamedError;
use bytes::Bytes;
use carry::{Connection, carry, greet};
use cluster::{
    host::Host,
    link::{
        Class, DownReason, LinkConfig, LinkError, LinkEvent, Links,
        codec::CodecError,
        hello::{self, HelloError, Life},
        inbox::Inbox,
        lane::Lane,
        roles::Roles,
    },
    node::{BootId, Node, NodeId},
};
use futures::future::BoxFuture;
use proto::{ts::Micros, v1::LinkHello};
use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;

/// Connections that are being secured at the same time; one more is closed.
pub const KNOCKS_MAX: usize = 128;

/// A stream to a peer, before anything was said on it.
pub struct Met<S> {
    /// The stream.
    pub stream: S,
    /// Whom the transport proved the peer to be; `None` where it proves nothing (the simulated network).
    pub proved: Option<Proved>,
}

/// What a peer's certificate says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// Who it is.
    pub node: NodeId,
    /// What it may do.
    pub roles: Roles,
}

/// A connection that was accepted and is still to be secured: done beside the listener, which goes on.
pub type Knock<S> = BoxFuture<'static, Result<Met<S>, MeetError>>;

/// What makes connections.
pub trait Transport: Send + Sync + 'static {
    /// Where a peer is found.
    type Address: Clone + PartialEq + fmt::Debug + Send + Sync;
    /// Bytes to and from a peer.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;
    /// Connects, and proves who is there where the transport can.
    fn connect(
        &self,
        address: &Self::Address,
    ) -> impl Future<Output = Result<Met<Self::Stream>, MeetError>> + Send;
    /// The next connection that a peer makes; `None` when there will be none any more.
    fn accept(&self) -> impl Future<Output = Option<Knock<Self::Stream>>> + Send;
}

/// Why a connection did not become a link. Nothing was sent on it but a hello.
#[derive(Debug, thiserror::Error)]
pub enum MeetError {
    /// Nobody there, or it went away.
    #[error("the connection could not be made or ended: {0}")]
    Io(io::Error),
    /// What the transport asks for was not shown.
    #[error("the peer could not prove who it is: {0}")]
    Unproved(Unproved),
    /// Not what a node says first.
    #[error("the peer's first message is none: {0}")]
    Codec(#[from] CodecError),
    /// A node that this build does not talk to.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// A certificate was given to another node.
    #[error("a node that proved to be {proved} says that it is {said}")]
    Impostor {
        /// As its certificate has it.
        proved: NodeId,
        /// As its hello has it.
        said: NodeId,
    },
    /// An address of another node.
    #[error("{found} answered where {expected} was expected")]
    OtherNode {
        /// Who was dialled.
        expected: NodeId,
        /// Who is there.
        found: NodeId,
    },
    /// A second process under our name, or we ourselves.
    #[error("the peer has this node's own name {0}: a name belongs to one process")]
    Namesake(NodeId),
    /// An earlier life of a node, or an earlier process under its name.
    #[error("{peer} in its life {boot} is refused: there is a link to {later}, a later life of it")]
    Outlived {
        /// The name.
        peer: NodeId,
        /// The earlier one.
        boot: BootId,
        /// The later one.
        later: BootId,
    },
    /// Connected or not, and nothing said.
    #[error("the peer did not say who it is in time")]
    Silent,
    /// Too many at once.
    #[error("{KNOCKS_MAX} connections are being secured already")]
    Crowded,
}

/// Why a peer has not proved who it is.
#[derive(Debug, thiserror::Error)]
pub enum Unproved {
    /// As TLS has it.
    #[error(transparent)]
    Tls(rustls::Error),
    /// A certificate that names no node.
    #[error(transparent)]
    Unnamed(#[from] UnnamedError),
}

impl Unproved {
    /// A word for metrics.
    fn word(&self) -> &'static str {
        use rustls::{AlertDescription, CertificateError, Error};
        match self {
            Self::Tls(Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            ))
            | Self::Tls(Error::AlertReceived(AlertDescription::CertificateExpired)) => "expired",
            Self::Tls(Error::InvalidCertificate(_) | Error::AlertReceived(AlertDescription::UnknownCA)) => {
                "other_authority"
            }
            Self::Tls(Error::PeerIncompatible(_)) => "downgraded",
            Self::Tls(Error::NoCertificatesPresented) => "no_certificate",
            Self::Tls(_) | Self::Unnamed(_) => "unproved",
        }
    }
}

impl From<io::Error> for MeetError {
    /// Under TLS 1.3 a client learns with its first read that its certificate was not taken.
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(unproved) => Self::Unproved(Unproved::Tls(unproved.clone())),
            None => Self::Io(error),
        }
    }
}

impl MeetError {
    /// A word for metrics.
    fn word(&self) -> &'static str {
        match self {
            Self::Io(_) => "io",
            Self::Unproved(why) => why.word(),
            Self::Codec(_) => "codec",
            Self::Hello(_) => "hello",
            Self::Impostor { .. } => "impostor",
            Self::OtherNode { .. } => "other_node",
            Self::Namesake(_) => "namesake",
            Self::Outlived { .. } => "outlived",
            Self::Silent => "silent",
            Self::Crowded => "crowded",
        }
    }
}

/// A node's links over some transport. They close when they are dropped, and when their tasks end with the machine.
pub struct StreamLinks<T: Transport>(Arc<Shared<T>>);

/// What the tasks of a node's links share.
struct Shared<T: Transport> {
    transport: T,
    host: Host,
    node: Node,
    started_us: Micros,
    config: LinkConfig,
    state: Mutex<State<T::Address>>,
    heard: Notify,
    closing: CancellationToken,
}

struct State<A> {
    inbox: Inbox,
    connections: BTreeMap<NodeId, Connection>,
    /// Peers that are dialled from here, and what ends that.
    dialled: BTreeMap<NodeId, (A, CancellationToken)>,
    made: u64,
}

impl<T: Transport> StreamLinks<T> {
    /// Starts to accept peers, as this life of a node.
    pub fn start(host: &Host, node: Node, config: LinkConfig, transport: T) -> Self {
        let state = State {
            inbox: Inbox::default(),
            connections: BTreeMap::new(),
            dialled: BTreeMap::new(),
            made: 0,
        };
        let shared = Arc::new(Shared {
            transport,
            host: host.clone(),
            node,
            started_us: host.now_us(),
            config,
            state: Mutex::new(state),
            heard: Notify::new(),
            closing: CancellationToken::new(),
        });
        host.spawn("links accept", accept(Closes(shared.clone())));
        Self(shared)
    }

    /// Keeps a link to a peer at this address until it is forgotten or met at another one. Nodes with lower names dial
    /// this one by themselves.
    pub fn meet(&self, peer: &NodeId, address: T::Address) {
        let mut state = self.0.state();
        let known = state.dialled.get(peer).is_some_and(|(known, _)| *known == address);
        if *peer <= self.0.node.id || known || self.0.closing.is_cancelled() {
            return;
        }
        let ends = self.0.closing.child_token();
        if let Some((_, earlier)) = state.dialled.insert(peer.clone(), (address.clone(), ends.clone())) {
            earlier.cancel();
        }
        drop(state);
        let (shared, peer) = (self.0.clone(), peer.clone());
        self.0.host.spawn("links dial", async move {
            ends.run_until_cancelled(dial(&shared, &peer, &address)).await;
        });
    }

    /// Ends the link to a peer and dials it no more.
    pub fn forget(&self, peer: &NodeId) {
        let mut state = self.0.state();
        if let Some((_, ends)) = state.dialled.remove(peer) {
            ends.cancel();
        }
        let number = state.connections.get(peer).map(|connection| connection.number);
        drop(state);
        if let Some(number) = number {
            self.0.down(peer, number, DownReason::Closed);
        }
    }
}

impl<T: Transport> StreamLinks<T> {
    /// Closes all links and makes none any more.
    pub fn close(&self) {
        self.0.close();
    }
}

impl<T: Transport> Drop for StreamLinks<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Closes the links when the task that has it is ended.
struct Closes<T: Transport>(Arc<Shared<T>>);

impl<T: Transport> Drop for Closes<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

async fn accept<T: Transport>(links: Closes<T>) {
    let (shared, places) = (&links.0, Arc::new(Semaphore::new(KNOCKS_MAX)));
    while let Some(Some(knock)) = shared.closing.run_until_cancelled(shared.transport.accept()).await {
        let Ok(place) = places.clone().try_acquire_owned() else {
            refused(None, &MeetError::Crowded);
            continue;
        };
        let (inside, ends) = (shared.clone(), shared.closing.child_token());
        shared.host.spawn("link", async move {
            ends.run_until_cancelled(welcome(&inside, knock, place)).await;
        });
    }
}

/// Secures a connection that a peer has made, and carries it.
async fn welcome<T: Transport>(shared: &Shared<T>, knock: Knock<T::Stream>, place: OwnedSemaphorePermit) {
    let greeting = async { greet(shared, knock.await?, None).await };
    let greeted = shared.host.timeout(shared.config.reconnect_max, greeting).await;
    drop(place);
    match greeted.unwrap_or(Err(MeetError::Silent)) {
        Ok(Some(greeted)) => carry(shared, greeted).await,
        Ok(None) => {} // it knows what it asked
        Err(error) => refused(None, &error),
    }
}

/// Keeps one connection to a peer.
async fn dial<T: Transport>(shared: &Shared<T>, peer: &NodeId, address: &T::Address) {
    let mut pause = shared.config.reconnect_min;
    loop {
        let greeting = async { greet(shared, shared.transport.connect(address).await?, Some(peer)).await };
        let greeted = shared.host.timeout(shared.config.reconnect_max, greeting).await;
        match greeted.unwrap_or(Err(MeetError::Silent)) {
            Ok(Some(greeted)) => {
                carry(shared, greeted).await;
                pause = shared.config.reconnect_min;
            }
            Ok(None) => {} // who asks dials, and is dialled by mistake at most
            Err(error) => refused(Some(peer), &error),
        }
        shared.host.sleep(pause).await;
        pause = (pause * 2).min(shared.config.reconnect_max);
    }
}

/// A connection did not become a link.
fn refused(peer: Option<&NodeId>, error: &MeetError) {
    metrics::counter!("waggle_links_refused_total", "reason" => error.word()).increment(1);
    let peer = peer.map(NodeId::as_str);
    match error {
        // A node that is not there is told by whoever misses it.
        MeetError::Io(_) | MeetError::Silent => tracing::debug!(peer, %error, "node not reached"),
        _ => tracing::warn!(peer, %error, "connection to a node refused"),
    }
}

impl<T: Transport> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T::Address>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.host.monotonic()
    }

    fn hello(&self) -> LinkHello {
        hello::hello(&self.node, self.started_us)
    }

    fn close(&self) {
        self.closing.cancel();
        let ended = std::mem::take(&mut self.state().connections);
        ended.into_values().for_each(|connection| connection.wake.notify_one());
        self.heard.notify_one();
    }

    /// A connection to this life of a peer is up. Answers its number and what wakes its writer.
    fn up(&self, peer: &NodeId, life: Life, roles: Roles) -> (u64, Arc<Notify>) {
        let mut state = self.state();
        state.made += 1;
        let (number, wake) = (state.made, Arc::new(Notify::new()));
        let lane = Lane::new(self.config, self.now());
        let connection = Connection { number, life, lane, wake: wake.clone() };
        if let Some(replaced) = state.connections.insert(peer.clone(), connection) {
            replaced.wake.notify_one();
        }
        state.inbox.up(peer, life.boot, roles);
        drop(state);
        tracing::info!(%peer, boot = %life.boot, %roles, "link up");
        self.heard.notify_one();
        (number, wake)
    }

    /// Another life that goes by a node's name: this one itself, or one that is heard.
    fn other_life(&self, node: &Node) -> Option<Life> {
        let (state, now) = (self.state(), self.now());
        let heard = || state.connections.get(&node.id).filter(|connection| !connection.lane.silent(now));
        let other = match node.id == self.node.id {
            true => Some(Life { started_us: self.started_us, boot: self.node.boot }),
            false => heard().map(|connection| connection.life),
        };
        other.filter(|life| life.boot != node.boot)
    }

    /// That connection is over.
    fn down(&self, peer: &NodeId, number: u64, reason: DownReason) {
        let mut state = self.state();
        if state.connections.get(peer).is_none_or(|connection| connection.number != number) {
            return;
        }
        if let Some(ended) = state.connections.remove(peer) {
            ended.wake.notify_one();
        }
        tracing::info!(%peer, %reason, "link down");
        state.inbox.down(peer, reason);
        self.heard.notify_one();
    }

    /// Works on a connection that is still the peer's present one.
    fn with<R>(
        &self,
        peer: &NodeId,
        number: u64,
        work: impl FnOnce(&mut Connection, &mut Inbox) -> R,
    ) -> Option<R> {
        let mut state = self.state();
        let State { inbox, connections, .. } = &mut *state;
        let connection = connections.get_mut(peer).filter(|connection| connection.number == number)?;
        Some(work(connection, inbox))
    }
}

impl<T: Transport> Links for StreamLinks<T> {
    fn send(&self, peer: &NodeId, class: Class, payload: Bytes) -> Result<(), LinkError> {
        let mut state = self.0.state();
        let connection = state.connections.get_mut(peer).ok_or(LinkError::Down)?;
        connection.lane.push(class, payload)?;
        connection.wake.notify_one();
        Ok(())
    }

    fn next(&self) -> BoxFuture<'_, Option<LinkEvent>> {
        Box::pin(async move {
            loop {
                let heard = self.0.heard.notified();
                if self.0.closing.is_cancelled() {
                    return None;
                }
                if let Some(event) = self.0.state().next() {
                    return Some(event);
                }
                heard.await;
            }
        })
    }
}

impl<A> State<A> {
    fn next(&mut self) -> Option<LinkEvent> {
        let event = self.inbox.pop()?;
        if let LinkEvent::Frame { from, class, payload } = &event
            && let Some(connection) = self.connections.get_mut(from)
        {
            connection.lane.consumed(*class, payload);
            connection.wake_writer();
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests;
