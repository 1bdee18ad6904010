//! Who writes after an answer stands after it: a conversation's order is one that could have happened.

use super::Promise;
use crate::{
    oracle::{Logs, book::Book},
    world::report::Violation,
};
use std::collections::BTreeMap;

/// See above.
pub const PROMISE: Promise = Promise {
    name: "order is as it happened",
    says: "Who writes after an answer stands after it: a conversation's order is one that could have happened.",
};

/// Appends are linearizable: the order is known from the log, so it takes one pass from the end, with the earliest
/// answer of all that stands later. Retries may have been applied at any time from their first try on.
pub fn judge(book: &Book, logs: &Logs) -> Result<(), Violation> {
    let mut by_channel: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for command in book.commands.values() {
        let Some((place, heard)) = &command.acked else { continue };
        if let Some(event) = logs.at(&command.channel, place.us) {
            by_channel.entry(&command.channel).or_default().push((event.seq, command.sent, *heard));
        }
    }
    for (channel, mut appends) in by_channel {
        appends.sort_unstable();
        let mut earliest = None;
        for (seq, sent, heard) in appends.into_iter().rev() {
            if let Some((later, at)) = earliest {
                PROMISE.holds(sent <= at, || {
                    format!("{channel}: {later} was answered at {at:?}, before {seq} was sent at {sent:?}")
                })?;
            }
            if earliest.is_none_or(|(_, at)| heard < at) {
                earliest = Some((seq, heard));
            }
        }
    }
    Ok(())
}
