//! Events of a conversation's log as RTM events: messages and their subtypes, reactions, members coming and going.
//!
//! Live deliveries carry the rows that an event changed; a replay has only the event, and says what that knows.

use crate::api::shape::message::message;
use crate::api::shape::{Object, object};
use crate::command::Aside;
use proto::id::WorkspaceId;
use proto::ts;
use proto::v1::event::Body;
use proto::v1::{self, Content, Event, MessageKind, MessageRow};
use serde_json::{Value, json};

/// One event on its way into frames.
struct Told<'a> {
    workspace: &'a WorkspaceId,
    channel: &'a str,
    event: &'a Event,
    aside: &'a Aside,
}

/// The frames of an event, in the order in which clients should see them.
pub(super) fn events(workspace: &WorkspaceId, channel: &str, event: &Event, aside: &Aside) -> Vec<Object> {
    let told = Told { workspace, channel, event, aside };
    match &event.body {
        Some(Body::Posted(posted)) => told.posted(posted),
        Some(Body::Edited(edited)) => told.edited(edited).into_iter().collect(),
        Some(Body::Deleted(deleted)) => vec![told.deleted(deleted.target_us)],
        Some(Body::Reacted(r)) => vec![told.reaction("reaction_added", r.target_us, &r.name)],
        Some(Body::Unreacted(r)) => vec![told.reaction("reaction_removed", r.target_us, &r.name)],
        Some(Body::Joined(joined)) => {
            let member = told.member("member_joined_channel", &joined.user, &joined.inviter);
            vec![told.notice(MessageKind::Join, &joined.user, ""), member]
        }
        Some(Body::Left(left)) => {
            let member = told.member("member_left_channel", &left.user, "");
            vec![told.notice(MessageKind::Leave, &left.user, ""), member]
        }
        Some(Body::Renamed(renamed)) => vec![told.notice(MessageKind::Rename, &event.sender, &renamed.name)],
        Some(Body::TopicSet(set)) => vec![told.notice(MessageKind::Topic, &event.sender, &set.topic)],
        Some(Body::PurposeSet(set)) => vec![told.notice(MessageKind::Purpose, &event.sender, &set.purpose)],
        Some(Body::Archived(_)) => told.closed(MessageKind::Archive, "archive"),
        Some(Body::Unarchived(_)) => told.closed(MessageKind::Unarchive, "unarchive"),
        _ => Vec::new(),
    }
}

impl Told<'_> {
    fn posted(&self, posted: &v1::Posted) -> Vec<Object> {
        if posted.content.as_ref().is_some_and(|content| content.redacted) {
            return Vec::new();
        }
        let row = MessageRow {
            us: self.event.us,
            sender: self.event.sender.clone(),
            kind: MessageKind::Plain.into(),
            content: posted.content.clone(),
            thread_us: posted.thread_us,
            reply_broadcast: posted.reply_broadcast,
            client_msg_id: posted.client_msg_id.clone(),
            ..MessageRow::default()
        };
        let mut shown = self.here(self.shape(&row));
        let mut frames = Vec::with_capacity(2);
        if let Some(parent) = &self.aside.parent {
            let root = self.shape(parent);
            shown.insert("parent_user_id".into(), parent.sender.as_str().into());
            if row.reply_broadcast {
                shown.insert("root".into(), root.clone().into());
            }
            let mut replied = self.hidden("message_replied");
            replied.insert("message".into(), root.into());
            replied.insert("thread_ts".into(), ts::format(row.thread_us).into());
            frames.push(replied);
        }
        frames.insert(0, shown);
        frames
    }

    fn edited(&self, edited: &v1::Edited) -> Option<Object> {
        if edited.content.as_ref().is_some_and(|content| content.redacted) {
            return None;
        }
        let row = MessageRow {
            us: edited.target_us,
            sender: self.event.sender.clone(),
            kind: MessageKind::Plain.into(),
            content: edited.content.clone(),
            edited_us: self.event.us,
            edited_by: self.event.sender.clone(),
            ..MessageRow::default()
        };
        let row = self.aside.message.as_deref().unwrap_or(&row);
        let mut changed = self.hidden("message_changed");
        changed.insert("message".into(), self.shape(row).into());
        self.with_previous(&mut changed);
        Some(changed)
    }

    fn deleted(&self, target_us: u64) -> Object {
        let mut deleted = self.hidden("message_deleted");
        deleted.insert("deleted_ts".into(), ts::format(target_us).into());
        self.with_previous(&mut deleted);
        deleted
    }

    fn reaction(&self, kind: &str, target_us: u64, name: &str) -> Object {
        let mut reaction = object(json!({
            "type": kind,
            "user": self.event.sender,
            "reaction": name,
            "item": { "type": "message", "channel": self.channel, "ts": ts::format(target_us) },
            "event_ts": ts::format(self.event.us),
        }));
        if let Some(row) = self.aside.message.as_ref().filter(|row| !row.sender.is_empty()) {
            reaction.insert("item_user".into(), row.sender.as_str().into());
        }
        reaction
    }

    fn member(&self, kind: &str, user: &str, inviter: &str) -> Object {
        let mut member = object(json!({
            "type": kind,
            "user": user,
            "channel": self.channel,
            "channel_type": &self.channel[..1],
            "team": self.workspace.as_str(),
            "event_ts": ts::format(self.event.us),
        }));
        if !inviter.is_empty() {
            member.insert("inviter".into(), inviter.into());
        }
        member
    }

    /// The line about it in the channel, and the event of its own that clients keep their lists by.
    fn closed(&self, kind: MessageKind, what: &str) -> Vec<Object> {
        let group = if self.channel.starts_with('G') { "group" } else { "channel" };
        let own = object(json!({
            "type": format!("{group}_{what}"),
            "channel": self.channel,
            "user": self.event.sender,
            "event_ts": ts::format(self.event.us),
        }));
        vec![self.notice(kind, &self.event.sender, ""), own]
    }

    fn notice(&self, kind: MessageKind, who: &str, value: &str) -> Object {
        let row = MessageRow {
            us: self.event.us,
            sender: who.to_owned(),
            kind: kind.into(),
            content: Some(Content { text: value.to_owned(), ..Content::default() }),
            ..MessageRow::default()
        };
        self.here(self.shape(&row))
    }

    /// A frame about a message that is not itself one to show.
    fn hidden(&self, subtype: &str) -> Object {
        self.here(object(json!({
            "type": "message",
            "subtype": subtype,
            "hidden": true,
            "ts": ts::format(self.event.us),
        })))
    }

    fn here(&self, mut frame: Object) -> Object {
        frame.insert("channel".into(), self.channel.into());
        frame.insert("event_ts".into(), ts::format(self.event.us).into());
        frame
    }

    fn with_previous(&self, frame: &mut Object) {
        if let Some(row) = &self.aside.previous {
            frame.insert("previous_message".into(), Value::Object(self.shape(row)));
        }
    }

    fn shape(&self, row: &MessageRow) -> Object {
        message(self.workspace, self.channel, row)
    }
}
