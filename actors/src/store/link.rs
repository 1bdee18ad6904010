//! The store of another node: calls over the switchboard, and the service that answers them.

use super::remote::{Carry, CarryError};
use super::service::StoreService;
use bytes::Bytes;
use cluster::link::Class;
use cluster::link::roles::{Role, Roles};
use cluster::node::NodeId;
use cluster::switchboard::{Service, Switchboard};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use std::time::Duration;

/// The switchboard's number of this service.
pub const STORE: u32 = 2;
/// Who may ask for it.
pub const ASKERS: Roles = Roles::of(&[Role::Gateway, Role::Channels]);
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

impl Service for StoreService {
    fn call(&self, _: &NodeId, body: Bytes) -> BoxFuture<'static, Bytes> {
        self.answer(body)
    }
    fn notice(&self, from: &NodeId, _: Bytes) {
        tracing::debug!(peer = %from, "a store takes no notices");
    }
}
