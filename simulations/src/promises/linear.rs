//! Who writes after an answer stands after it: a conversation's order is one that could have happened.

use super::{Promise, kept};
use crate::{
    oracle::{Logs, book::Book},
    world::report::Violation,
};
use std::{collections::BTreeMap, time::Duration};

/// See above.
pub const PROMISE: Promise = Promise {
    name: "order is as it happened",
    says: "Who writes after an answer stands after it: a conversation's order is one that could have happened.",
};

/// Appends are linearizable: the order is known from the log, so it takes one pass from the end, with the earliest
/// answer of all that stands later. Retries may have been applied at any time from their first try on; what was never
/// answered stands before nothing that was answered before it was sent.
pub fn judge(book: &Book, logs: &Logs) -> Result<(), Violation> {
    let (keyed, mut by_channel) = (logs.by_key(), BTreeMap::<&str, Vec<_>>::new());
    for (key, command) in &book.commands {
        if let Some((channel, event)) = kept::made(logs, &keyed, key, command) {
            let heard = command.acked.as_ref().map(|(_, heard)| *heard);
            by_channel.entry(channel).or_default().push((event.seq, command.sent, heard));
        }
    }
    for (channel, mut appends) in by_channel {
        appends.sort_unstable();
        let mut earliest: Option<(u64, Duration)> = None;
        for (seq, sent, heard) in appends.into_iter().rev() {
            if let Some((later, at)) = earliest {
                PROMISE.holds(sent <= at, || {
                    format!("{channel}: {later} was answered at {at:?}, before {seq} was sent at {sent:?}")
                })?;
            }
            if let Some(heard) = heard.filter(|heard| earliest.is_none_or(|(_, at)| *heard < at)) {
                earliest = Some((seq, heard));
            }
        }
    }
    Ok(())
}
