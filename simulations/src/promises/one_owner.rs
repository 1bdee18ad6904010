//! A conversation changes its server when one starts, and never goes back and forth between two.

use super::Promise;
use crate::{oracle::Logs, world::report::Violation};

/// See above.
pub const PROMISE: Promise = Promise {
    name: "one owner at a time",
    says: "A conversation changes its server when one starts, and never goes back and forth between two.",
};

/// A start of a node claims its slots once, and each claim is an epoch: the logs of a workspace know no more epochs
/// than nodes were started for it.
pub fn judge(logs: &Logs, workspace: &str, starts: u64) -> Result<(), Violation> {
    for (channel, events) in logs.iter().filter(|(channel, _)| channel.split('/').next() == Some(workspace)) {
        let epoch = events.last().map_or(0, |event| event.epoch);
        PROMISE.holds(epoch <= starts, || {
            format!("{channel} has come to epoch {epoch}, and its servers were started {starts} times")
        })?;
    }
    Ok(())
}

/// The epoch of the last event of a log against the one in which its slot was claimed last.
pub fn claimed(channel: &str, written: u64, claimed: u64) -> Result<(), Violation> {
    PROMISE.holds(written <= claimed, || {
        format!("{channel} was written to in epoch {written}, and nobody has claimed more than {claimed}")
    })
}
