//! What was shown once stays what it was: an event of a conversation never changes.

use super::Promise;
use crate::{
    oracle::{Logs, book::Book},
    world::report::Violation,
};

/// See above.
pub const PROMISE: Promise = Promise {
    name: "history does not change",
    says: "What was shown once stays what it was: an event of a conversation never changes.",
};

/// Every event that was shown, or stood in a page, is the one that the log holds.
pub fn judge(book: &Book, logs: &Logs) -> Result<(), Violation> {
    for (client, channels) in &book.shown {
        for (channel, shown) in channels {
            for run in &shown.runs {
                for (seq, print) in (run.from + 1..).zip(&run.prints) {
                    let same = logs.event(channel, seq).is_some_and(|event| print.is_still(event));
                    PROMISE.holds(same, || {
                        format!("client {client} was shown another {seq} of {channel} than the log holds")
                    })?;
                }
            }
        }
    }
    for (channel, held) in &book.pages {
        for (seq, print) in held {
            let same = logs.event(channel, *seq).is_some_and(|event| print.is_still(event));
            PROMISE.holds(same, || format!("a page held another {seq} of {channel} than the log holds"))?;
        }
    }
    Ok(())
}
