//! What somebody was told is sent is in the history for good, at the place they were told, also after a power cut of
//! everything.

use super::Promise;
use crate::{
    oracle::{
        Logs,
        book::{Book, Command, RTM_POST},
        logs::{self, Keyed},
    },
    world::report::Violation,
};
use proto::v1::Event;
use std::collections::BTreeSet;

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

/// The event that a command made: under its key, or, as RTM has no keys, at the time that its answer named.
pub fn made<'a>(
    logs: &'a Logs,
    keyed: &Keyed<'a>,
    key: &str,
    command: &'a Command,
) -> Option<(&'a str, &'a Event)> {
    if command.kind != RTM_POST {
        return keyed.get(key).copied();
    }
    let (place, _) = command.acked.as_ref()?;
    let event = logs.at(&command.channel, place.us).filter(|event| !logs::is_clients(&event.key))?;
    Some((&command.channel, event))
}

/// Every acknowledged command is in the log where its ack said, by itself.
pub fn judge(book: &Book, logs: &Logs) -> Result<(), Violation> {
    let (keyed, mut taken) = (logs.by_key(), BTreeSet::new());
    for (key, command) in &book.commands {
        let Some((place, _)) = &command.acked else { continue };
        if place.is_nowhere() && !command.is_of_words() {
            continue;
        }
        let made = made(logs, &keyed, key, command);
        // An edit that changes nothing is answered with the message, which somebody made before.
        let idle = made.is_none() && place.seq.is_none() && command.kind == "edit";
        let at = logs.at(&command.channel, place.us).map(|event| (command.channel.as_str(), event));
        let found = if idle { at } else { made };
        let same = found.is_some_and(|(channel, event)| {
            let same_seq = place.seq.is_none_or(|seq| seq == event.seq);
            let same_place = channel == command.channel && event.us == place.us && same_seq;
            same_place && event.sender == command.sender && (idle || says(command, event))
        });
        PROMISE.holds(same, || {
            let found = found.map(|(channel, event)| (channel, event.seq, event.us, &event.sender));
            format!("{command:?} under {key}; the logs have it at {found:?}")
        })?;
        PROMISE.holds(idle || taken.insert((&command.channel, place.us)), || {
            format!("{command:?} under {key} was given the place of another one")
        })?;
    }
    Ok(())
}

/// Whether an event of RTM has the words of its command: those under keys are compared by their key.
fn says(command: &Command, event: &Event) -> bool {
    let said = logs::content(event).map(|content| (content.redacted, logs::text_hash(&content.text)));
    command.kind != RTM_POST || said.is_some_and(|(gone, said)| gone || Some(said) == command.text)
}
