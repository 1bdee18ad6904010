//! Bytes that went bad on a disk are named as damage and never served as something that was said.

use super::Promise;
use crate::world::report::Violation;
use proto::v1::Event;

/// See above.
pub const PROMISE: Promise = Promise {
    name: "damage is named",
    says: "Bytes that went bad on a disk are named as damage and never served as something that was said.",
};

/// What a damaged store answers of a log is what it held from the first event on, as far as it answers.
pub fn as_it_was(channel: &str, was: &[Event], answered: &[Event]) -> Result<(), Violation> {
    for (at, event) in answered.iter().enumerate() {
        PROMISE.holds(was.get(at) == Some(event), || {
            let missing =
                if event.seq > at as u64 + 1 { "what comes before it is missing" } else { "it is another" };
            format!("{channel} {} was served from damaged bytes, unnamed, and {missing}", event.seq)
        })?;
    }
    Ok(())
}
