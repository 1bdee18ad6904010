//! Taking events into the state, and saying what the views become.

use super::{Conversation, REPLY_USERS_MAX};
use crate::channel::log::bucket_of;
use crate::command::Aside;
use crate::store::ViewWrite;
use crate::subject::Applied;
use proto::id::UserId;
use proto::ts::Micros;
use proto::v1::event::Body;
use proto::v1::{self, ConversationRow, Event, MemberRow, MessageKind, MessageRow, ReplyUser};
use std::sync::Arc;

impl Conversation {
    /// Takes an event into the state. Events arrive in order, each once.
    pub fn apply(&mut self, event: &Event) -> Applied {
        match &event.body {
            Some(Body::Posted(posted)) => self.posted(event, posted),
            Some(Body::Edited(edited)) => self.edited(event, edited),
            Some(Body::Deleted(deleted)) => self.deleted(event, deleted.target_us),
            Some(Body::Reacted(reacted)) => self.reacted(event, reacted.target_us, &reacted.name, true),
            Some(Body::Unreacted(reacted)) => self.reacted(event, reacted.target_us, &reacted.name, false),
            Some(Body::Created(created)) => self.was_created(event, created),
            Some(Body::Joined(joined)) => self.joined(event, joined),
            Some(Body::Left(left)) => self.left(event, left),
            Some(Body::Renamed(renamed)) => self.changed(event, MessageKind::Rename, &renamed.name),
            Some(Body::TopicSet(set)) => self.changed(event, MessageKind::Topic, &set.topic),
            Some(Body::PurposeSet(set)) => self.changed(event, MessageKind::Purpose, &set.purpose),
            Some(Body::Archived(_)) => self.changed(event, MessageKind::Archive, ""),
            Some(Body::Unarchived(_)) => self.changed(event, MessageKind::Unarchive, ""),
            _ => Applied::default(),
        }
    }

    fn posted(&mut self, event: &Event, posted: &v1::Posted) -> Applied {
        let row = MessageRow {
            us: event.us,
            seq: event.seq,
            sender: event.sender.clone(),
            kind: MessageKind::Plain.into(),
            content: posted.content.clone(),
            thread_us: posted.thread_us,
            reply_broadcast: posted.reply_broadcast,
            client_msg_id: posted.client_msg_id.clone(),
            body_seqs: vec![event.seq],
            bucket: bucket_of(event.seq),
            ..MessageRow::default()
        };
        let mut views = Vec::with_capacity(2);
        let parent = self.summarise(posted.thread_us, event.seq, |parent| {
            parent.reply_count += 1;
            parent.latest_reply_us = event.us;
            count_reply(&mut parent.reply_users, &event.sender, 1);
        });
        views.extend(parent.iter().map(|parent| ViewWrite::Message(parent.as_ref().clone())));
        show(&row, &mut views);
        let message = Some(self.rows.put(row, event.seq));
        Applied { views, aside: Aside { message, parent, previous: None } }
    }

    fn edited(&mut self, event: &Event, edited: &v1::Edited) -> Applied {
        let Some(previous) = self.rows.get(edited.target_us) else { return Applied::default() };
        let mut row = previous.as_ref().clone();
        row.content = edited.content.clone();
        row.edited_us = event.us;
        row.edited_by = event.sender.clone();
        if !cluster::planted!(EditedBodyStays) {
            row.body_seqs.push(event.seq);
        }
        let mut views = Vec::with_capacity(2);
        if !cluster::planted!(EditNotShown) {
            show(&row, &mut views);
        }
        let message = Some(self.rows.put(row, event.seq));
        Applied { views, aside: Aside { message, previous: Some(previous), parent: None } }
    }

    fn deleted(&mut self, event: &Event, target_us: Micros) -> Applied {
        let Some(previous) = self.rows.get(target_us) else { return Applied::default() };
        let bucket = previous.bucket;
        let rows = previous.body_seqs.iter().map(|seq| (bucket_of(*seq), *seq)).collect();
        let mut views = vec![ViewWrite::Redact { rows }, ViewWrite::ReactionsGone { bucket, us: target_us }];
        if cluster::planted!(BodyStaysInLog) {
            views.remove(0);
        }
        if cluster::planted!(ReactionsOutlive) {
            views.pop();
        }
        let mut aside = Aside { previous: Some(previous.clone()), ..Aside::default() };
        if previous.reply_count > 0 {
            let mut stone = previous.as_ref().clone();
            stone.kind = MessageKind::Tombstone.into();
            stone.content = None;
            stone.body_seqs.clear();
            views.push(ViewWrite::Message(stone.clone()));
            aside.message = Some(self.rows.put(stone, event.seq));
            return Applied { views, aside };
        }
        let parent_us = previous.thread_us;
        let before = self.rows.reply_before(parent_us, target_us);
        self.rows.remove(target_us, event.seq);
        if parent_us == 0 || previous.reply_broadcast {
            views.push(ViewWrite::MessageGone { bucket, us: target_us });
        }
        if parent_us != 0 {
            views.push(ViewWrite::ReplyGone { parent_us, us: target_us });
            aside.parent = self.summarise(parent_us, event.seq, |parent| {
                if !cluster::planted!(ReplyCountKept) {
                    parent.reply_count = parent.reply_count.saturating_sub(1);
                }
                count_reply(&mut parent.reply_users, &previous.sender, -1);
                if parent.latest_reply_us == target_us {
                    parent.latest_reply_us = before.unwrap_or(0);
                }
            });
            views.extend(aside.parent.iter().map(|parent| ViewWrite::Message(parent.as_ref().clone())));
        }
        Applied { views, aside }
    }

    /// Changes a parent's thread summary; `None` when there is no parent (or it is gone).
    fn summarise(
        &mut self,
        parent_us: Micros,
        seq: u64,
        change: impl FnOnce(&mut MessageRow),
    ) -> Option<Arc<MessageRow>> {
        let mut parent = self.rows.get(parent_us)?.as_ref().clone();
        change(&mut parent);
        Some(self.rows.put(parent, seq))
    }

    fn reacted(&mut self, event: &Event, us: Micros, name: &str, is: bool) -> Applied {
        let (Some(row), Ok(user)) = (self.rows.get(us), UserId::parse(&event.sender)) else {
            return Applied::default();
        };
        self.rows.react(us, name, &user, is, event.seq);
        let (bucket, name, seq) = (row.bucket, name.to_owned(), event.seq);
        let write = match is {
            true => ViewWrite::Reaction { bucket, us, name, user, seq },
            false => ViewWrite::ReactionGone { bucket, us, name, user },
        };
        Applied { views: vec![write], aside: Aside { message: Some(row), ..Aside::default() } }
    }

    fn was_created(&mut self, event: &Event, created: &v1::Created) -> Applied {
        let mut views = Vec::with_capacity(created.members.len() + 1);
        for user in created.members.iter().filter_map(|user| UserId::parse(user).ok()) {
            self.members.insert(user.clone());
            views.push(ViewWrite::Member { user, row: MemberRow { seq: event.seq, inviter: String::new() } });
        }
        self.created = true;
        let old = self.row.take().unwrap_or_default();
        self.row = Some(ConversationRow {
            name: created.name.clone(),
            kind: created.kind,
            creator: if old.creator.is_empty() { event.sender.clone() } else { old.creator.clone() },
            created_us: if old.created_us == 0 { event.us } else { old.created_us },
            ..old
        });
        views.push(self.row_write());
        Applied { views, aside: Aside::default() }
    }

    fn joined(&mut self, event: &Event, joined: &v1::Joined) -> Applied {
        let Ok(user) = UserId::parse(&joined.user) else { return Applied::default() };
        self.members.insert(user.clone());
        let row = MemberRow { seq: event.seq, inviter: joined.inviter.clone() };
        let views = vec![ViewWrite::Member { user, row }, self.row_write()];
        self.notice(event, MessageKind::Join, &joined.user, "", views)
    }

    fn left(&mut self, event: &Event, left: &v1::Left) -> Applied {
        let Ok(user) = UserId::parse(&left.user) else { return Applied::default() };
        if left.by.is_empty() || !cluster::planted!(KickedMayPost) {
            self.members.remove(&user);
        }
        let views = vec![ViewWrite::MemberGone { user }, self.row_write()];
        self.notice(event, MessageKind::Leave, &left.user, "", views)
    }

    fn changed(&mut self, event: &Event, kind: MessageKind, text: &str) -> Applied {
        if let Some(row) = &mut self.row {
            let (value, by, us) = (text.to_owned(), event.sender.clone(), event.us);
            match kind {
                MessageKind::Rename => row.previous_names.push(std::mem::replace(&mut row.name, value)),
                MessageKind::Topic => (row.topic, row.topic_by, row.topic_us) = (value, by, us),
                MessageKind::Purpose => (row.purpose, row.purpose_by, row.purpose_us) = (value, by, us),
                MessageKind::Archive => row.archived = true,
                _ => row.archived = false,
            }
        }
        let views = vec![self.row_write()];
        self.notice(event, kind, &event.sender, text, views)
    }

    /// A line in the channel that says what happened.
    fn notice(
        &mut self,
        event: &Event,
        kind: MessageKind,
        who: &str,
        text: &str,
        mut views: Vec<ViewWrite>,
    ) -> Applied {
        let row = MessageRow {
            us: event.us,
            seq: event.seq,
            sender: who.to_owned(),
            kind: kind.into(),
            content: Some(v1::Content { text: text.to_owned(), ..v1::Content::default() }),
            bucket: bucket_of(event.seq),
            ..MessageRow::default()
        };
        views.push(ViewWrite::Message(row.clone()));
        let message = Some(self.rows.put(row, event.seq));
        Applied { views, aside: Aside { message, ..Aside::default() } }
    }

    fn row_write(&mut self) -> ViewWrite {
        let members = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        let row = self.row.get_or_insert_default();
        row.members = members;
        ViewWrite::Conversation { channel: self.channel.clone(), row: row.clone() }
    }
}

/// Where a message is seen: in the channel, in its thread, or both.
fn show(row: &MessageRow, views: &mut Vec<ViewWrite>) {
    if row.thread_us != 0 {
        views.push(ViewWrite::Reply(row.clone()));
    }
    if row.thread_us == 0 || row.reply_broadcast {
        views.push(ViewWrite::Message(row.clone()));
    }
}

fn count_reply(users: &mut Vec<ReplyUser>, sender: &str, by: i32) {
    match users.iter().position(|user| user.user == sender) {
        Some(known) => users[known].count = users[known].count.saturating_add_signed(by),
        None if by > 0 && users.len() < REPLY_USERS_MAX => {
            users.push(ReplyUser { user: sender.to_owned(), count: 1 });
        }
        None => {}
    }
    users.retain(|user| user.count > 0);
}
