//! No actor, session or connection outlives what it belongs to.

use super::Promise;
use crate::world::report::Violation;
use std::collections::BTreeMap;

/// See above.
pub const PROMISE: Promise = Promise {
    name: "nothing is left behind",
    says: "No actor, session or connection outlives what it belongs to.",
};

/// Sessions and requests that healthy nodes still count after everybody left.
pub fn after_all_left(sessions: usize, tasks: &[BTreeMap<&str, usize>]) -> Result<(), Violation> {
    PROMISE.holds(sessions == 0, || {
        format!("{sessions} sessions are left after everybody went; the nodes' tasks are {tasks:?}")
    })
}

/// Actors after all machines lost their power. The table is the process's: a process runs one world with actors.
pub fn after_a_blackout() -> Result<(), Violation> {
    let left = ractor::registry::get_all_pids().len();
    PROMISE.holds(left == 0, || format!("{left} actors outlived their nodes"))
}
