//! A conversation's log has no holes, its times rise, and an owner that was replaced writes nothing more.

use super::Promise;
use crate::{oracle::Logs, world::report::Violation};

/// See above.
pub const PROMISE: Promise = Promise {
    name: "logs are sound",
    says: "A conversation's log has no holes, its times rise, and an owner that was replaced writes nothing more.",
};

/// Each log is dense, its times rise, its epochs do not fall.
pub fn judge(logs: &Logs) -> Result<(), Violation> {
    for (channel, events) in logs.iter() {
        let (mut us, mut epoch) = (0, 0);
        for (seq, event) in (1..).zip(events) {
            PROMISE
                .holds(event.seq == seq, || format!("{channel} holds {} where {seq} should be", event.seq))?;
            PROMISE.holds(event.us > us, || format!("{channel} {seq} is of {} after {us}", event.us))?;
            PROMISE.holds(event.epoch >= epoch, || {
                format!("{channel} {seq} is of epoch {} after {epoch}", event.epoch)
            })?;
            (us, epoch) = (event.us, event.epoch);
        }
    }
    Ok(())
}
