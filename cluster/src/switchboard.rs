//! The switchboard: calls, answers and notices between nodes, over their links.
//!
//! Owns: the calls of this node that wait for their answer, and parcels that are arriving in pieces.
//! Promises: a call ends once, with its answer or with an error that says whether the peer may have acted on it.
//! May lose: notices, and answers whose link went down; who asked is told.
//! Never does: send anything twice, hold more than its limits, or serve a peer whose role it is not.

pub mod parcels;

use crate::{
    host::Host,
    link::{Class, LinkError, LinkEvent, Links, roles::Roles},
    node::{BootId, NodeId},
};
use bytes::Bytes;
use futures::future::BoxFuture;
use parcels::{Assembly, encode};
use proto::v1::{Answer, Call, CallEnd, Notice, parcel::What};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::{Semaphore, oneshot};

/// Calls of one peer that are served at the same time; one more is answered busy.
pub const SERVED_MAX: usize = 4096;

/// What a node does for its peers.
pub trait Service: Send + Sync + 'static {
    /// Answers a call. It runs beside others; calls that came before it may still be under way.
    fn call(&self, from: &NodeId, body: Bytes) -> BoxFuture<'static, Bytes>;
    /// Takes a notice. Must not wait.
    fn notice(&self, from: &NodeId, body: Bytes);
    /// A peer's link is up, or (`None`) down: what is kept for its last connection is of no use any more. Must not
    /// wait. For services that keep something.
    fn peer(&self, _peer: &NodeId, _up: Option<Linked>) {}
}

/// A peer whose link is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linked {
    /// In which life.
    pub boot: BootId,
    /// What it was proved to be.
    pub roles: Roles,
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It was not sent: nothing was done.
    #[error("the call was not sent: {0}")]
    NotSent(#[from] LinkError),
    /// The peer serves as many as it can: nothing was done.
    #[error("the node serves as many calls as it can")]
    Busy,
    /// The peer does not do that: nothing was done.
    #[error("the node offers no such service")]
    NotServed,
    /// The link went down before the answer came: it may have been done.
    #[error("the link went down before the answer came")]
    Lost,
    /// No answer in time: it may have been done, or be done yet.
    #[error("no answer came in time")]
    TimedOut,
}

impl CallError {
    /// Whether the peer certainly did nothing.
    pub fn is_harmless(&self) -> bool {
        matches!(self, Self::NotSent(_) | Self::Busy | Self::NotServed)
    }
}

/// Who is waiting for an answer.
struct Waiting {
    peer: NodeId,
    answer: oneshot::Sender<Result<Bytes, CallError>>,
}

struct Shared {
    host: Host,
    links: Arc<dyn Links>,
    numbers: AtomicU64,
    waiting: Mutex<BTreeMap<u64, Waiting>>,
    offers: Mutex<Offers>,
}

/// What this node does for peers, and who they are.
#[derive(Default)]
struct Offers {
    services: BTreeMap<u32, Offer>,
    up: BTreeMap<NodeId, Linked>,
    /// Links that have come up so far.
    ups: u64,
}

/// A service, and the roles of which a peer has to have one.
#[derive(Clone)]
struct Offer {
    takers: Roles,
    service: Arc<dyn Service>,
}

/// The switchboard of a node. Cheap to clone.
#[derive(Clone)]
pub struct Switchboard(Arc<Shared>);

impl Switchboard {
    /// A switchboard over these links, which nobody else reads. It hears peers until the links close.
    pub fn start(host: &Host, links: Arc<dyn Links>) -> Self {
        let (numbers, waiting, offers) = Default::default();
        let board = Self(Arc::new(Shared { host: host.clone(), links, numbers, waiting, offers }));
        let hearing = Hearing { board: board.clone(), peers: BTreeMap::new() };
        host.spawn("switchboard", hearing.run());
        board
    }

    /// From now on peers with one of these roles are served so under this number. The service hears of the peers that
    /// are there already, of whatever role.
    pub fn offer(&self, number: u32, takers: Roles, service: Arc<dyn Service>) {
        let mut offers = self.offers();
        offers.up.iter().for_each(|(peer, linked)| service.peer(peer, Some(*linked)));
        offers.services.insert(number, Offer { takers, service });
    }

    /// What a peer was proved to be; nothing, of one without a link.
    pub fn roles(&self, peer: &NodeId) -> Roles {
        self.offers().up.get(peer).map_or(Roles::NONE, |linked| linked.roles)
    }

    /// Peers whose links are up, each in its life.
    pub fn peers(&self) -> BTreeMap<NodeId, BootId> {
        self.offers().up.iter().map(|(peer, linked)| (peer.clone(), linked.boot)).collect()
    }

    /// Calls a service of a peer. It is on its way, behind what was sent before in this class, when this returns: the
    /// future only waits for the answer, for `limit` at most.
    pub fn call(
        &self,
        peer: &NodeId,
        class: Class,
        service: u32,
        body: Bytes,
        limit: Duration,
    ) -> impl Future<Output = Result<Bytes, CallError>> + Send + use<> {
        let number = self.number();
        let (answer, answered) = oneshot::channel();
        // Before it is sent: the answer may come at once.
        self.waiting().insert(number, Waiting { peer: peer.clone(), answer });
        let sent = self.send(peer, class, What::Call(Call { number, service, body }));
        let place = Place { board: self.clone(), number };
        async move {
            sent?;
            let answered = place.board.0.host.timeout(limit, answered).await;
            answered.map_or(Err(CallError::TimedOut), |answer| answer.unwrap_or(Err(CallError::Lost)))
        }
    }

    /// Tells a service of a peer something. `Ok` promises nothing but the order within the class.
    pub fn notify(&self, peer: &NodeId, class: Class, service: u32, body: Bytes) -> Result<(), LinkError> {
        self.send(peer, class, What::Notice(Notice { service, body }))
    }

    fn send(&self, peer: &NodeId, class: Class, what: What) -> Result<(), LinkError> {
        for payload in encode(what, || self.number())? {
            self.0.links.send(peer, class, payload)?;
        }
        Ok(())
    }

    fn number(&self) -> u64 {
        self.0.numbers.fetch_add(1, Relaxed) + 1
    }

    /// How many links have come up so far: another number says that some peer has missed something.
    pub fn ups(&self) -> u64 {
        self.offers().ups
    }

    fn offers(&self) -> MutexGuard<'_, Offers> {
        self.0.offers.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// What is served under this number to a peer with these roles. Who may not have it is told what others are told
    /// where it is not served at all.
    fn service(&self, number: u32, peer: &NodeId, roles: Roles) -> Option<Arc<dyn Service>> {
        let Offer { takers, service } = self.offers().services.get(&number).cloned()?;
        if takers == Roles::ALL || roles.has_any(takers) {
            return Some(service);
        }
        metrics::counter!("waggle_calls_refused_total", "why" => "role").increment(1);
        tracing::warn!(%peer, number, %roles, %takers, "a node asked for what none of its roles may have");
        None
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u64, Waiting>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer has come. Who gave up waiting is passed over, and who answers for another peer.
    fn answered(&self, from: &NodeId, Answer { number, end, body }: Answer) {
        let mut waiting = self.waiting();
        if waiting.get(&number).is_none_or(|waiting| waiting.peer != *from) {
            return;
        }
        let Some(waiting) = waiting.remove(&number) else { return };
        let answer = match CallEnd::try_from(end) {
            Ok(CallEnd::Answered) => Ok(body),
            Ok(CallEnd::Busy) => Err(CallError::Busy),
            Ok(CallEnd::NotServed) => Err(CallError::NotServed),
            // A later build's word: it may have done it.
            Ok(CallEnd::Unknown) | Err(_) => Err(CallError::Lost),
        };
        let _ = waiting.answer.send(answer);
    }

    /// Nobody will answer what this peer was asked.
    fn lost(&self, peer: &NodeId) {
        let lost: Vec<Waiting> = self
            .waiting()
            .extract_if(.., |_, waiting| waiting.peer == *peer)
            .map(|(_, waiting)| waiting)
            .collect();
        lost.into_iter().for_each(|waiting| _ = waiting.answer.send(Err(CallError::Lost)));
    }
}

/// A call's place among those that wait; given back when nobody waits any more.
struct Place {
    board: Switchboard,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.board.waiting().remove(&self.number);
    }
}

/// What is kept of a peer while its link is up.
struct Peer {
    assembly: [Assembly; 2],
    places: Arc<Semaphore>,
    roles: Roles,
}

/// The task that reads the links.
struct Hearing {
    board: Switchboard,
    peers: BTreeMap<NodeId, Peer>,
}

impl Hearing {
    async fn run(mut self) {
        while let Some(event) = self.board.0.links.next().await {
            match event {
                LinkEvent::Up { peer, boot, roles } => {
                    let (assembly, places) = (Default::default(), Arc::new(Semaphore::new(SERVED_MAX)));
                    self.peers.insert(peer.clone(), Peer { assembly, places, roles });
                    let (mut offers, linked) = (self.board.offers(), Linked { boot, roles });
                    offers.services.values().for_each(|offer| offer.service.peer(&peer, Some(linked)));
                    offers.up.insert(peer, linked);
                    offers.ups += 1;
                }
                LinkEvent::Down { peer, .. } => {
                    self.peers.remove(&peer);
                    self.board.lost(&peer);
                    let mut offers = self.board.offers();
                    offers.up.remove(&peer);
                    offers.services.values().for_each(|offer| offer.service.peer(&peer, None));
                }
                LinkEvent::Frame { from, class, payload } => self.frame(&from, class, payload),
            }
        }
        let waiting = std::mem::take(&mut *self.board.waiting());
        waiting.into_values().for_each(|waiting| _ = waiting.answer.send(Err(CallError::Lost)));
    }

    fn frame(&mut self, from: &NodeId, class: Class, payload: Bytes) {
        let Some(peer) = self.peers.get_mut(from) else { return };
        let roles = peer.roles;
        match peer.assembly[class as usize].take(payload) {
            Ok(None) => {}
            Ok(Some(What::Answer(answer))) => self.board.answered(from, answer),
            Ok(Some(What::Notice(Notice { service, body }))) => {
                match self.board.service(service, from, roles) {
                    Some(service) => service.notice(from, body),
                    None => {
                        metrics::counter!("waggle_parcels_dropped_total", "why" => "no_service").increment(1)
                    }
                }
            }
            Ok(Some(What::Call(call))) => self.called(from, roles, class, call),
            Ok(Some(What::Piece(_))) => unreachable!("pieces are put together"),
            Err(error) => {
                metrics::counter!("waggle_parcels_dropped_total", "why" => "malformed").increment(1);
                tracing::warn!(peer = %from, %error, "parcel not taken");
            }
        }
    }

    fn called(&self, from: &NodeId, roles: Roles, class: Class, Call { number, service, body }: Call) {
        let (board, to) = (self.board.clone(), from.clone());
        let end = move |end: CallEnd, body: Bytes| What::Answer(Answer { number, end: end.into(), body });
        let place = self.peers.get(from).and_then(|peer| peer.places.clone().try_acquire_owned().ok());
        // An answer that cannot be sent is lost: the link that it would go by is going, or its queue is full.
        let answer = move |what| {
            if let Err(error) = board.send(&to, class, what) {
                metrics::counter!("waggle_answers_lost_total").increment(1);
                tracing::warn!(peer = %to, %error, "answer not sent");
            }
        };
        match (self.board.service(service, from, roles), place) {
            (None, _) => answer(end(CallEnd::NotServed, Bytes::new())),
            (_, None) => answer(end(CallEnd::Busy, Bytes::new())),
            (Some(service), Some(place)) => {
                let answering = service.call(from, body);
                self.board.0.host.spawn("call", async move {
                    let body = answering.await;
                    answer(end(CallEnd::Answered, body));
                    drop(place);
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
