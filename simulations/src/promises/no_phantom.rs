//! Nobody is shown what the history does not hold, and the history holds nothing that nobody sent.

use super::Promise;
use crate::{
    oracle::{
        Logs,
        book::{Book, Told},
        logs,
    },
    world::report::Violation,
};
use proto::v1::event::Body;
use serde_json::Value;
use std::collections::BTreeSet;

/// In every message of those that were there before anybody came.
pub const OLD: &str = " old ";

/// See above.
pub const PROMISE: Promise = Promise {
    name: "no phantoms",
    says: "Nobody is shown what the history does not hold, and the history holds nothing that nobody sent.",
};

/// Everything that was shown is in the log, and everything in it that bears a client's key was sent, with these words.
pub fn judge(book: &Book, logs: &Logs) -> Result<(), Violation> {
    for (client, channels) in &book.shown {
        for (channel, shown) in channels {
            PROMISE.holds(shown.last() <= logs.tail(channel), || {
                format!(
                    "client {client} was shown {} of {channel}, which ends at {}",
                    shown.last(),
                    logs.tail(channel)
                )
            })?;
        }
    }
    for (channel, held) in &book.pages {
        let (last, tail) = (held.last().map_or(0, |(seq, _)| *seq), logs.tail(channel));
        PROMISE.holds(last <= tail, || format!("a page held {last} of {channel}, which ends at {tail}"))?;
    }
    for told in &book.told {
        let event = logs.at(&told.channel, told.us).filter(|event| event.sender == told.sender);
        let held = event.and_then(logs::content);
        let same = held.is_some_and(|held| held.redacted || logs::text_hash(&held.text) == told.text);
        PROMISE.holds(same, || {
            let Told { client, channel, us, sender, .. } = told;
            format!(
                "client {client} was shown a message of {channel} by {sender} at {us}, which is not there"
            )
        })?;
    }
    for (channel, events) in logs.iter() {
        for event in events {
            if event.sender.is_empty() || !logs::is_clients(&event.key) {
                continue;
            }
            let sent = book.commands.get(&event.key);
            let known =
                sent.is_some_and(|command| command.channel == channel && command.sender == event.sender);
            PROMISE.holds(known, || {
                format!(
                    "{channel} holds {} with key {} by {}, which nobody sent",
                    event.seq, event.key, event.sender
                )
            })?;
            let Some(content) = logs::content(event) else { continue };
            let said = sent.and_then(|command| command.text);
            let as_said = content.redacted || said == Some(logs::text_hash(&content.text));
            PROMISE.holds(as_said, || {
                let kind = if matches!(event.body, Some(Body::Edited(_))) { "edit" } else { "message" };
                format!("{channel} {}: the {kind} does not say what was sent under {}", event.seq, event.key)
            })?;
        }
    }
    Ok(())
}

/// A page of the Web API shows messages of this channel with words that somebody has sent to it; what the system or the
/// founder said has a subtype or no words of its own.
pub fn history(book: &Book, client: usize, channel: &str, messages: &[Value]) -> Result<(), Violation> {
    let plain = messages.iter().filter(|message| message["subtype"].is_null());
    let texts: Vec<&str> = plain.filter_map(|message| message["text"].as_str()).collect();
    let said: BTreeSet<u64> = if texts.is_empty() {
        BTreeSet::new()
    } else {
        book.commands.values().filter(|sent| sent.channel == channel).filter_map(|sent| sent.text).collect()
    };
    let was_said = |text: &str| {
        let hash = logs::text_hash(text);
        said.contains(&hash) || book.unkeyed.contains(&(channel.to_owned(), hash)) || text.contains(OLD)
    };
    let unsaid = texts.into_iter().find(|text| !was_said(text));
    PROMISE.holds(unsaid.is_none(), || {
        format!("client {client}: a page of {channel} shows {unsaid:?}, which nobody sent there")
    })
}
