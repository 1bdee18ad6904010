//! What somebody was told is sent is in the history for good, at the place they were told, also after a power cut of
//! everything.

use super::Promise;
use crate::{
    oracle::{Logs, book::Book},
    world::report::Violation,
};

/// See above.
pub const PROMISE: Promise = Promise {
    name: "acknowledged means kept",
    says: "What somebody was told is sent is in the history for good, where they were told, also after a power cut.",
};

/// Nothing that stood before a blackout is gone after it.
pub fn same(before: &Logs, after: &Logs) -> Result<(), Violation> {
    for (channel, events) in before.iter() {
        let left = after.of(channel);
        PROMISE.holds(left.get(..events.len()) == Some(events), || {
            format!(
                "{channel} had {} events before all power went, and {} other ones after",
                events.len(),
                left.len()
            )
        })?;
    }
    Ok(())
}

/// Every acknowledged command is in the log where its ack said.
pub fn judge(book: &Book, logs: &Logs) -> Result<(), Violation> {
    let kept = logs.by_key();
    for (key, command) in &book.commands {
        let Some((place, _)) = &command.acked else { continue };
        if place.us == 0 {
            // There was nothing to do.
            continue;
        }
        // RTM has no keys: its messages are found by their time.
        let found = kept.get(key.as_str()).copied();
        let found = found
            .or_else(|| logs.at(&command.channel, place.us).map(|event| (command.channel.as_str(), event)));
        let same = found.is_some_and(|(channel, event)| {
            let same_seq = place.seq.is_none_or(|seq| seq == event.seq);
            channel == command.channel && event.us == place.us && same_seq && event.sender == command.sender
        });
        PROMISE.holds(same, || {
            let found = found.map(|(channel, event)| (channel, event.seq, event.us, &event.sender));
            format!("{command:?} under {key}; the logs have it at {found:?}")
        })?;
    }
    Ok(())
}
