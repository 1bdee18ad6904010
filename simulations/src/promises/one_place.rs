//! Sending something twice says it once: one key has one place.

use super::Promise;
use crate::{
    oracle::{Logs, book::Place},
    world::report::Violation,
};
use std::collections::BTreeSet;

/// See above.
pub const PROMISE: Promise = Promise {
    name: "one place for one key",
    says: "Sending something twice says it once: one key has one place.",
};

/// A second acknowledgement names the first one's place.
pub fn same(key: &str, first: &Place, second: &Place) -> Result<(), Violation> {
    let same_seq = first.seq.is_none() || second.seq.is_none() || first.seq == second.seq;
    PROMISE.holds(first.us == second.us && same_seq, || {
        format!("{key} was acknowledged at {first:?} and then at {second:?}")
    })
}

/// No log holds a key of one sender twice.
pub fn judge(logs: &Logs) -> Result<(), Violation> {
    for (channel, events) in logs.iter() {
        let mut keys = BTreeSet::new();
        for event in events.iter().filter(|event| !event.key.is_empty()) {
            PROMISE.holds(keys.insert((&event.sender, &event.key)), || {
                format!("{channel} {} has key {} of {} a second time", event.seq, event.key, event.sender)
            })?;
        }
    }
    Ok(())
}
