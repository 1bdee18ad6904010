//! Logs as the stores have them.

use prost::Message;
use proto::v1::{Content, ConversationAdded, ConversationKind, ConversationRenamed, Event, event::Body};
use std::collections::BTreeMap;

/// Events by their key, each with its channel.
pub type Keyed<'a> = BTreeMap<&'a str, (&'a str, &'a Event)>;

/// Whether a key is a client's own: messages of RTM, calls without a key and the founder's deeds get one from the
/// server.
pub fn is_clients(key: &str) -> bool {
    !key.is_empty() && !key.starts_with("s-")
}

/// Logs by workspace and channel (`T…/C…`), each from its first seq on.
#[derive(Debug, Clone, Default)]
pub struct Logs(BTreeMap<String, Vec<Event>>);

/// What is kept of an event that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Print {
    /// Of all but its content.
    pub event: u64,
    /// Of its content; `None` where there is none, or it was taken away.
    pub words: Option<u64>,
}

impl Print {
    /// Of an event as it was shown.
    pub fn of(event: &Event) -> Self {
        Self { event: print(event), words: words(event) }
    }
    /// Whether the log has what was shown. Who saw a content before a deletion took it away saw the same event.
    pub fn is_still(self, event: &Event) -> bool {
        let gone = content(event).is_some_and(|content| content.redacted);
        self.event == print(event) && (gone || self.words == words(event))
    }
}

/// What tells two events apart, of that which followers are shown, but for their contents. Of conversations that are
/// not public, the workspace's followers only see that there is one.
fn print(event: &Event) -> u64 {
    let mut shown = Event { fingerprint: 0, ..event.clone() };
    let closed = match &mut shown.body {
        Some(Body::ConversationAdded(added)) if added.kind() != ConversationKind::Public => {
            *added = ConversationAdded { kind: added.kind, ..ConversationAdded::default() };
            true
        }
        Some(Body::ConversationRenamed(renamed)) if renamed.kind() != ConversationKind::Public => {
            *renamed = ConversationRenamed { kind: renamed.kind, ..ConversationRenamed::default() };
            true
        }
        _ => false,
    };
    if closed {
        (shown.sender, shown.key) = (String::new(), String::new());
    }
    if let Some(content) = content_mut(&mut shown) {
        *content = Content::default();
    }
    xxhash_rust::xxh3::xxh3_64(&shown.encode_to_vec())
}

/// Hash of a text, as commands keep it.
pub fn text_hash(text: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(text.as_bytes())
}

fn words(event: &Event) -> Option<u64> {
    let content = content(event).filter(|content| !content.redacted)?;
    Some(xxhash_rust::xxh3::xxh3_64(&content.encode_to_vec()))
}

/// Whether nothing is left of what was said.
pub fn is_gone(content: &Content) -> bool {
    *content == Content { redacted: true, ..Content::default() }
}

fn content_mut(event: &mut Event) -> Option<&mut Content> {
    match &mut event.body {
        Some(Body::Posted(posted)) => posted.content.as_mut(),
        Some(Body::Edited(edited)) => edited.content.as_mut(),
        _ => None,
    }
}

/// What an event says, if it says something.
pub fn content(event: &Event) -> Option<&Content> {
    match &event.body {
        Some(Body::Posted(posted)) => posted.content.as_ref(),
        Some(Body::Edited(edited)) => edited.content.as_ref(),
        _ => None,
    }
}

impl Logs {
    /// Adds the log of a channel.
    pub fn add(&mut self, channel: impl Into<String>, events: Vec<Event>) {
        self.0.insert(channel.into(), events);
    }
    /// How many events there are.
    pub fn events(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }
    /// Each log with its name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Event])> {
        self.0.iter().map(|(channel, events)| (channel.as_str(), events.as_slice()))
    }
    /// One log; empty when there is none.
    pub fn of(&self, channel: &str) -> &[Event] {
        self.0.get(channel).map_or(&[], Vec::as_slice)
    }
    /// Last seq of a log.
    pub fn tail(&self, channel: &str) -> u64 {
        self.of(channel).len() as u64
    }
    /// The event at a place.
    pub fn event(&self, channel: &str, seq: u64) -> Option<&Event> {
        self.of(channel).get(usize::try_from(seq).ok()?.checked_sub(1)?)
    }
    /// The event of a time.
    pub fn at(&self, channel: &str, us: u64) -> Option<&Event> {
        let events = self.of(channel);
        events.binary_search_by_key(&us, |event| event.us).ok().map(|at| &events[at])
    }
    /// All events that carry a key: channel and event.
    pub fn by_key(&self) -> Keyed<'_> {
        let keyed =
            self.iter().flat_map(|(channel, events)| events.iter().map(move |event| (channel, event)));
        let keyed = keyed.filter(|(_, event)| !event.key.is_empty());
        keyed.map(|(channel, event)| (event.key.as_str(), (channel, event))).collect()
    }
}
