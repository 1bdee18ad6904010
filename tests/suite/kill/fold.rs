//! The fold of a conversation's log: what its pages have to show, worked out from the events alone.

use proto::ts;
use proto::v1::Event;
use proto::v1::event::Body;
use serde_json::Value;
use std::collections::BTreeMap;

/// A message as a page shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) ts: String,
    user: String,
    text: String,
    subtype: String,
    edited: String,
    thread_ts: String,
    pub(super) reply_count: u64,
    latest_reply: String,
    /// Who replied, in the order of their first replies.
    reply_users: Vec<String>,
    /// Users in the order in which they reacted, by name.
    reactions: BTreeMap<String, Vec<String>>,
}

impl Shown {
    /// As the Web API says it.
    pub(super) fn read(message: &Value) -> Self {
        let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        let texts = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
        };
        let reactions = message["reactions"].as_array().into_iter().flatten();
        let reactions: BTreeMap<String, Vec<String>> = reactions
            .map(|reaction| {
                (reaction["name"].as_str().unwrap_or_default().to_owned(), texts(&reaction["users"]))
            })
            .collect();
        Self {
            ts: text("ts"),
            user: text("user"),
            text: text("text"),
            subtype: text("subtype"),
            edited: message["edited"]["ts"].as_str().unwrap_or_default().to_owned(),
            thread_ts: text("thread_ts"),
            reply_count: message["reply_count"].as_u64().unwrap_or_default(),
            latest_reply: text("latest_reply"),
            reply_users: texts(&message["reply_users"]),
            reactions,
        }
    }
}

#[derive(Debug, Default)]
struct Message {
    user: String,
    text: String,
    edited_us: u64,
    thread_us: u64,
    broadcast: bool,
    joined: bool,
    tombstone: bool,
    reactions: BTreeMap<String, Vec<String>>,
}

/// A conversation as its log tells it.
#[derive(Debug, Default)]
pub(super) struct Fold(BTreeMap<u64, Message>);

impl Fold {
    pub(super) fn of(events: &[Event]) -> Self {
        let mut fold = Self::default();
        events.iter().for_each(|event| fold.take(event));
        fold
    }

    fn take(&mut self, event: &Event) {
        let user = event.sender.clone();
        let text = |content: &Option<proto::v1::Content>| {
            content.as_ref().map(|content| content.text.clone()).unwrap_or_default()
        };
        match &event.body {
            Some(Body::Posted(posted)) => {
                let (text, thread_us) = (text(&posted.content), posted.thread_us);
                let broadcast = posted.reply_broadcast;
                let message = Message { user, text, thread_us, broadcast, ..Message::default() };
                self.0.insert(event.us, message);
            }
            Some(Body::Joined(joined)) => {
                let text = format!("<@{}> has joined the channel", joined.user);
                let message = Message { user: joined.user.clone(), text, joined: true, ..Message::default() };
                self.0.insert(event.us, message);
            }
            Some(Body::Edited(edited)) => {
                if let Some(message) = self.0.get_mut(&edited.target_us) {
                    message.text = text(&edited.content);
                    message.edited_us = event.us;
                }
            }
            Some(Body::Reacted(reacted)) => {
                if let Some(message) = self.0.get_mut(&reacted.target_us) {
                    message.reactions.entry(reacted.name.clone()).or_default().push(user);
                }
            }
            Some(Body::Unreacted(reacted)) => {
                if let Some(message) = self.0.get_mut(&reacted.target_us) {
                    message.reactions.entry(reacted.name.clone()).or_default().retain(|who| *who != user);
                    message.reactions.retain(|_, users| !users.is_empty());
                }
            }
            Some(Body::Deleted(deleted)) => self.delete(deleted.target_us),
            _ => {}
        }
    }

    /// A message that has replies leaves a stone where it was.
    fn delete(&mut self, us: u64) {
        let has_replies = self.replies(us).next().is_some();
        match self.0.get_mut(&us) {
            Some(message) if has_replies => {
                message.tombstone = true;
                message.reactions.clear();
            }
            _ => _ = self.0.remove(&us),
        }
    }

    fn replies(&self, parent_us: u64) -> impl Iterator<Item = (u64, &Message)> {
        let later = self.0.range(parent_us + 1..);
        later.filter(move |(_, message)| message.thread_us == parent_us).map(|(us, message)| (*us, message))
    }

    fn show(&self, us: u64, message: &Message) -> Shown {
        let mut shown = Shown {
            ts: ts::format(us),
            user: message.user.clone(),
            text: message.text.clone(),
            reactions: message.reactions.clone(),
            ..Shown::default()
        };
        if message.joined {
            shown.subtype = "channel_join".into();
        }
        if message.edited_us != 0 {
            shown.edited = ts::format(message.edited_us);
        }
        if message.tombstone {
            shown.subtype = "tombstone".into();
            shown.user = "USLACKBOT".into();
            shown.text = "This message was deleted.".into();
        }
        if message.thread_us != 0 {
            shown.thread_ts = ts::format(message.thread_us);
            if message.broadcast {
                shown.subtype = "thread_broadcast".into();
            }
        }
        shown
    }

    /// Adds what a parent's line says about its thread.
    fn summarise(shown: &mut Shown, replies: &[(u64, &Message)]) {
        shown.reply_count = replies.len() as u64;
        for (us, reply) in replies {
            shown.thread_ts.clone_from(&shown.ts);
            shown.latest_reply = ts::format(*us);
            if !shown.reply_users.contains(&reply.user) {
                shown.reply_users.push(reply.user.clone());
            }
        }
    }

    /// `conversations.history`, newest first.
    pub(super) fn history(&self) -> Vec<Shown> {
        let mut threads: BTreeMap<u64, Vec<(u64, &Message)>> = BTreeMap::new();
        for (us, message) in self.0.iter().filter(|(_, message)| message.thread_us != 0) {
            threads.entry(message.thread_us).or_default().push((*us, message));
        }
        let in_channel =
            self.0.iter().rev().filter(|(_, message)| message.thread_us == 0 || message.broadcast);
        let lines = in_channel.map(|(us, message)| {
            let mut shown = self.show(*us, message);
            if let Some(replies) = threads.get(us) {
                Self::summarise(&mut shown, replies);
            }
            shown
        });
        lines.collect()
    }

    /// The replies of `conversations.replies`, oldest first, without the parent.
    pub(super) fn thread(&self, parent_ts: &str) -> Vec<Shown> {
        let parent_us = ts::parse(parent_ts).unwrap_or_default();
        self.replies(parent_us).map(|(us, reply)| self.show(us, reply)).collect()
    }
}

#[test]
fn a_fold_shows_edits_reactions_threads_and_stones() {
    use proto::v1::{Content, Deleted, Edited, Posted, Reacted, Unreacted};
    let content = |text: &str| Some(Content { text: text.into(), ..Content::default() });
    let posted =
        |text, thread_us| Body::Posted(Posted { content: content(text), thread_us, ..Posted::default() });
    let wave = |target_us| Reacted { target_us, name: "wave".into() };
    let bodies = [
        posted("parent", 0),
        posted("reply", 1),
        posted("gone", 0),
        Body::Edited(Edited { target_us: 2, content: content("better reply") }),
        Body::Reacted(wave(1)),
        Body::Reacted(wave(2)),
        Body::Unreacted(Unreacted { target_us: 2, name: "wave".into() }),
        Body::Deleted(Deleted { target_us: 3 }),
    ];
    let event = |(us, body)| Event { us, seq: us, sender: "U1".into(), body: Some(body), ..Event::default() };
    let mut events: Vec<Event> = (1..).zip(bodies).map(event).collect();
    let fold = Fold::of(&events);
    let [parent] = &fold.history()[..] else { panic!("one line: {:?}", fold.history()) };
    assert_eq!((parent.text.as_str(), parent.reply_count), ("parent", 1));
    assert_eq!(parent.reactions["wave"], ["U1"]);
    let [reply] = &fold.thread(&parent.ts)[..] else { panic!("one reply") };
    assert_eq!((reply.text.as_str(), reply.edited.as_str()), ("better reply", "0.000004"));
    assert!(reply.reactions.is_empty());
    events.push(event((9, Body::Deleted(Deleted { target_us: 1 }))));
    let stone = &Fold::of(&events).history()[0];
    assert_eq!((stone.subtype.as_str(), stone.reply_count, stone.reactions.len()), ("tombstone", 1, 0));
}
