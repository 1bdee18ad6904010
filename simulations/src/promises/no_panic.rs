//! No panic goes unnoticed.

use super::Promise;
use crate::world::{gauges::Gauges, report::Violation};

/// See above.
pub const PROMISE: Promise = Promise { name: "no unhandled panic", says: "No panic goes unnoticed." };

/// Panics that an actor's supervisor caught: those that were planned.
pub fn caught(gauges: &Gauges, planned: u64) -> Result<(), Violation> {
    let names = ["waggle_channel_panics_total", "waggle_slot_panics_total", "waggle_task_panics_total"];
    let panics: u64 = names.iter().map(|name| gauges.sum(name)).sum();
    PROMISE.holds(panics <= planned, || {
        format!("{panics} panics were caught and counted, {planned} of them were planned")
    })
}
