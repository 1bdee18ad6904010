//! Who was told that their message stands can read it at once.

use super::Promise;
use crate::{oracle::book::Book, world::report::Violation};
use std::time::Duration;

/// See above.
pub const PROMISE: Promise = Promise {
    name: "own words are readable",
    says: "Who was told that their message stands can read it at once.",
};

/// Rule F6: how long an owner that was replaced may go on answering from what it knows. Its claim counts as confirmed
/// for 2 s of its own clock, which may be 1 % slow, and a page is on its way for a while.
pub const STALE_MAX: Duration = Duration::from_millis(2_100);

/// A tail that was asked for after an acknowledgement is not before it.
pub fn readable(book: &Book, channel: &str, asked: Duration, tail: u64) -> Result<(), Violation> {
    let acked = book.commands.values().filter(|command| command.channel == channel).filter_map(|command| {
        let (place, heard) = command.acked.as_ref()?;
        (*heard < asked).then_some(place.seq).flatten()
    });
    let last = acked.max().unwrap_or(0);
    PROMISE.holds(tail >= last, || {
        format!("{channel} was said to end at {tail} after {last} had been acknowledged")
    })
}
