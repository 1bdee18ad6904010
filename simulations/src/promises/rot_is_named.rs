//! Bytes that went bad on a disk are named as damage and never served as something that was said.

use super::Promise;
use crate::world::report::Violation;
use proto::v1::Event;

/// See above.
pub const PROMISE: Promise = Promise {
    name: "damage is named",
    says: "Bytes that went bad on a disk are named as damage and never served as something that was said.",
};

/// What a damaged store answers of a log is what it held, as far as it answers.
pub fn as_it_was(channel: &str, was: &[Event], answered: &[Event]) -> Result<(), Violation> {
    for event in answered {
        let before = usize::try_from(event.seq).ok().and_then(|seq| was.get(seq.checked_sub(1)?));
        PROMISE.holds(before == Some(event), || {
            format!("{channel} {} was served from damaged bytes, and is not what was there", event.seq)
        })?;
    }
    Ok(())
}
