//! Nodes that reach each other again hear each other, and every slot has an owner that runs, and keeps it.

use super::Promise;
use crate::world::report::Violation;
use cluster::{node::NodeId, slots::Slot};
use std::time::Duration;

/// See above.
pub const PROMISE: Promise = Promise {
    name: "nodes meet again",
    says: "Nodes that reach each other again hear each other, and every slot has an owner that runs, and keeps it.",
};

/// What a node heard last of another one is of the life that the other lives.
pub fn heard(node: &str, other: &str, boot: u64, lives: Option<u64>) -> Result<(), Violation> {
    PROMISE.holds(Some(boot) == lives, || {
        format!("{node} last heard life {boot:x} of {other}, which lives {lives:x?}")
    })
}

/// Of the slots that are played for, so many are owned by each node that runs.
pub fn settled(owned: &[usize], played: usize) -> Result<(), Violation> {
    PROMISE.holds(owned.iter().sum::<usize>() == played, || {
        format!("of {played} slots the nodes that run own {owned:?}")
    })
}

/// `other`: a slot of which a node knows another owner than the first node of its cell does.
pub fn agree(node: &str, other: Option<(Slot, String)>) -> Result<(), Violation> {
    PROMISE.holds(other.is_none(), || format!("{node} takes another node for the owner of a slot: {other:?}"))
}

/// Slots of the cell of this node still move.
pub fn still_moving(node: &NodeId, within: Duration) -> Violation {
    PROMISE.broken(format!("slots of the cell of {node} still change their owners after {within:?}"))
}
