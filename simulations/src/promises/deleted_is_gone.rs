//! What was deleted cannot be read any more, wherever one looks.

use super::Promise;
use crate::{
    oracle::{Logs, book::Book, logs},
    world::report::Violation,
};
use proto::v1::{Event, event::Body};
use std::{collections::BTreeSet, time::Duration};

/// See above.
pub const PROMISE: Promise = Promise {
    name: "deleted is gone",
    says: "What was deleted cannot be read any more, wherever one looks.",
};

/// What comes in answer to something that was asked for after a deletion was acknowledged, a page or all that a new
/// connection is shown, does not hold what was deleted.
pub fn events(book: &Book, channel: &str, asked: Duration, events: &[Event]) -> Result<(), Violation> {
    let Some(deleted) = book.deleted.get(channel) else { return Ok(()) };
    for event in events {
        let Some(us) = about(event) else { continue };
        let gone = deleted.get(&us).is_some_and(|at| *at < asked);
        let readable = logs::content(event).is_some_and(|content| !logs::is_gone(content));
        PROMISE.holds(!(gone && readable), || {
            format!("{channel} {} still says what was deleted before it was asked for", event.seq)
        })?;
    }
    Ok(())
}

/// In each log, the contents of deleted messages are taken away, and no others.
pub fn judge(logs: &Logs) -> Result<(), Violation> {
    for (channel, events) in logs.iter() {
        let deleted: BTreeSet<u64> = events
            .iter()
            .filter_map(|event| match &event.body {
                Some(Body::Deleted(deleted)) => Some(deleted.target_us),
                _ => None,
            })
            .collect();
        for event in events {
            let (Some(us), Some(content)) = (about(event), logs::content(event)) else { continue };
            let (gone, deleted) = (logs::is_gone(content), deleted.contains(&us));
            PROMISE.holds(gone == deleted && content.redacted == deleted, || {
                let state = if deleted { "was deleted and stays" } else { "is gone and was not deleted" };
                format!("{channel} {}: what it said {state}", event.seq)
            })?;
        }
    }
    Ok(())
}

/// The message whose content an event carries.
fn about(event: &Event) -> Option<u64> {
    match &event.body {
        Some(Body::Posted(_)) => Some(event.us),
        Some(Body::Edited(edited)) => Some(edited.target_us),
        _ => None,
    }
}
