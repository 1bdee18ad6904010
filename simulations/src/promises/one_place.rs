//! Sending something twice says it once: one key has one place.

use super::Promise;
use crate::{
    oracle::{Logs, book::Place},
    world::report::Violation,
};
use std::collections::BTreeMap;

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

/// No log holds a key of one sender twice, and no workspace one of a person's: people use each for one thing. The
/// server's own name what they follow from, and may be told to many.
pub fn judge(logs: &Logs) -> Result<(), Violation> {
    let mut keys = BTreeMap::new();
    for (channel, events) in logs.iter() {
        let workspace = channel.split('/').next().unwrap_or_default();
        for event in events.iter().filter(|event| !event.key.is_empty()) {
            let within = if event.sender.is_empty() { channel } else { workspace };
            let first = keys.insert((within, &event.sender, &event.key), (channel, event.seq));
            PROMISE.holds(first.is_none(), || {
                format!(
                    "{channel} {} has key {} of {} a second time, after {first:?}",
                    event.seq, event.key, event.sender
                )
            })?;
        }
    }
    Ok(())
}
