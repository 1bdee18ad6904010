//! The store of another node: calls over the switchboard, and the service that answers them.

use super::Store;
use super::remote::{Carry, CarryError};
use super::service::StoreService;
use bytes::Bytes;
use cluster::claims::Claims;
use cluster::link::Class;
use cluster::link::roles::{Role, Roles};
use cluster::node::NodeId;
use cluster::switchboard::{Linked, Service, Switchboard};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The switchboard's number of this service.
const STORE: u32 = 2;
/// A store answers within this long, or its answer is taken for lost.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// The way to the node that has the store.
pub struct StoreLink {
    board: Switchboard,
    node: NodeId,
}

impl StoreLink {
    /// By this switchboard, to this node.
    pub fn new(board: Switchboard, node: NodeId) -> Self {
        Self { board, node }
    }
}

impl Carry for StoreLink {
    fn carry(&self, call: Bytes) -> BoxFuture<'static, Result<Bytes, CarryError>> {
        let roles = self.board.roles(&self.node);
        if !roles.has(Role::Store) && roles != Roles::NONE {
            let why = format!("the certificate of {} does not give it the role store", self.node);
            return ready(Err(CarryError::NotSent(why))).boxed();
        }
        // On its way when this returns: appends arrive in their order.
        let answer = self.board.call(&self.node, Class::Urgent, STORE, call, ANSWER_WITHIN);
        let carried = |answer: Result<Bytes, cluster::switchboard::CallError>| {
            answer.map_err(|error| match error.is_harmless() {
                true => CarryError::NotSent(error.to_string()),
                false => CarryError::Lost(error.to_string()),
            })
        };
        answer.map(carried).boxed()
    }
}

/// A store for the peers of a switchboard: nodes that take users read it, those that own channels write it, too.
pub struct OfferedStore {
    service: StoreService,
    /// Peers with the role channels.
    writers: Mutex<BTreeSet<NodeId>>,
}

impl OfferedStore {
    /// Offers a store, and its slot table.
    pub fn offer<S: Store + Claims>(board: &Switchboard, store: Arc<S>) {
        let service = StoreService::new(store.clone(), store);
        let offered = Self { service, writers: Mutex::default() };
        board.offer(STORE, Roles::of(&[Role::Gateway, Role::Channels]), Arc::new(offered));
    }
    fn writers(&self) -> MutexGuard<'_, BTreeSet<NodeId>> {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service for OfferedStore {
    fn call(&self, from: &NodeId, body: Bytes) -> BoxFuture<'static, Bytes> {
        let may_write = self.writers().contains(from);
        self.service.answer(body, may_write)
    }
    fn peer(&self, peer: &NodeId, up: Option<Linked>) {
        match up.is_some_and(|linked| linked.roles.has(Role::Channels)) {
            true => self.writers().insert(peer.clone()),
            false => self.writers().remove(peer),
        };
    }
    fn notice(&self, from: &NodeId, _: Bytes) {
        tracing::debug!(peer = %from, "a store takes no notices");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;
    use crate::store::remote::RemoteStore;
    use crate::store::{StoreError, wire::samples};
    use cluster::node::BootId;

    /// Calls of one peer, without a way between.
    struct By(Arc<OfferedStore>, NodeId);

    impl Carry for By {
        fn carry(&self, call: Bytes) -> BoxFuture<'static, Result<Bytes, CarryError>> {
            self.0.call(&self.1, call).map(Ok).boxed()
        }
    }

    #[tokio::test]
    async fn a_node_that_may_own_no_channels_reads_the_store_and_writes_nothing() {
        let store = Arc::new(MemoryStore::new());
        let service = StoreService::new(store.clone(), store);
        let offered = Arc::new(OfferedStore { service, writers: Mutex::default() });
        let peer = |name: &str, role| {
            let (id, roles) = (NodeId::parse(name).unwrap(), Roles::of(&[role]));
            offered.peer(&id, Some(Linked { boot: BootId(1), roles }));
            (RemoteStore::new(Arc::new(By(offered.clone(), id.clone()))), id)
        };
        let ((owner, id), (gateway, _)) = (peer("owner", Role::Channels), peer("gateway", Role::Gateway));
        let append = samples::append("C1", 0, 0, Vec::new());
        let log = append.log.clone();
        let why = "only a node with the role channels writes";
        let refused = gateway.append(append.clone()).await.unwrap_err();
        assert!(matches!(&refused, StoreError::Unavailable(said) if said.contains(why)), "{refused}");
        assert!(gateway.claim(Vec::new()).await.is_err());
        assert!(gateway.retain_views(&log, 0).await.is_err());
        assert!(gateway.retain_log(&log, 0, 1).await.is_err());
        assert_eq!(gateway.log(&log, 0, 10).await.unwrap().tail, 0, "nothing was written, and it may read");
        owner.append(append.clone()).await.unwrap();
        assert_eq!(gateway.log(&log, 0, 10).await.unwrap().tail, 2);
        offered.peer(&id, None);
        assert!(owner.append(append).await.is_err(), "what it may do goes with its link");
    }
}
