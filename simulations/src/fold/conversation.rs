//! A conversation, from its own log.

mod shown;

pub use shown::{broadcasts, unread};

use super::{in_order, unless, user, wrong};
use proto::id::UserId;
use proto::ts::Micros;
use proto::v1::event::Body;
use proto::v1::{
    Content, ConversationKind, ConversationRow, Event, MemberRow, MessageKind, MessageRow, Posted,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a conversation's log says of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fold {
    /// The conversation's row, without its creator and time, which the workspace's log decides, and its members.
    pub row: ConversationRow,
    /// Who is in it.
    pub members: BTreeMap<UserId, MemberRow>,
    /// The last membership of everybody who ever had one: from which seq, and until which.
    pub moves: BTreeMap<UserId, (u64, Option<u64>)>,
    /// Seqs whose contents a deletion has taken away.
    pub redacted: BTreeSet<u64>,
    /// Time of each event, in order.
    times: Vec<Micros>,
    messages: BTreeMap<Micros, MessageRow>,
    /// Replies by their parent.
    threads: BTreeMap<Micros, BTreeSet<Micros>>,
    /// Users by message and name, in the order in which they reacted.
    reactions: BTreeMap<Micros, BTreeMap<String, Vec<UserId>>>,
    /// Seqs of what counts as unread.
    countable: Vec<u64>,
    /// Seqs of what mentions everyone.
    broadcast: Vec<u64>,
}

impl Fold {
    /// Folds a whole log, from its first event on. The error names the seq that should not be there.
    pub fn of(events: &[Event]) -> Result<Self, String> {
        in_order(events)?;
        let mut fold = Self::default();
        for event in events {
            fold.allowed(event)?;
            fold.times.push(event.us);
            fold.take(event)?;
            let (has, says) = (event.countable, fold.countable.len() as u64);
            unless(has == says, event, || format!("has counted {has} messages, and there are {says}"))?;
            let (has, says) = (event.broadcast, fold.broadcast.len() as u64);
            unless(has == says, event, || format!("has counted {has} mentions of everyone, not {says}"))?;
        }
        Ok(fold)
    }

    /// Who may be heard here at all.
    fn allowed(&self, event: &Event) -> Result<(), String> {
        let begins = matches!(event.body, Some(Body::Created(_)));
        let first = event.seq == 1;
        unless(begins == first, event, || "makes the conversation again, or comes before it".into())?;
        let sender = &event.sender;
        if begins || sender.is_empty() {
            return Ok(());
        }
        let public = self.row.kind() == ConversationKind::Public;
        let enters = matches!(&event.body, Some(Body::Joined(joined)) if public && joined.user == *sender);
        let known = enters || self.members.contains_key(&user(event, sender)?);
        unless(known, event, || format!("is by {sender}, a stranger"))?;
        let always = match &event.body {
            Some(Body::Unarchived(_)) => true,
            Some(Body::Left(left)) => left.user == *sender,
            _ => false,
        };
        unless(always || !self.row.archived, event, || {
            format!("is by {sender} and comes after the archiving")
        })
    }

    fn take(&mut self, event: &Event) -> Result<(), String> {
        let body = event.body.as_ref().ok_or_else(|| wrong(event, "does not say what happened"))?;
        match body {
            Body::Created(created) => {
                self.row.name = created.name.clone();
                self.row.kind = created.kind;
                created.members.iter().try_for_each(|user| self.enter(event, user, ""))
            }
            Body::Posted(posted) => self.post(event, posted),
            Body::Edited(edited) => {
                let row = self.messages.get_mut(&edited.target_us);
                let row = row.ok_or_else(|| wrong(event, "edits what is not there"))?;
                let plain = row.kind() == MessageKind::Plain;
                unless(plain, event, || "edits what nobody wrote".into())?;
                let own = row.sender == event.sender;
                unless(own, event, || format!("edits, by {}, what {} wrote", event.sender, row.sender))?;
                row.content = edited.content.clone();
                row.edited_us = event.us;
                row.edited_by = event.sender.clone();
                row.body_seqs.push(event.seq);
                Ok(())
            }
            Body::Deleted(deleted) => self.delete(event, deleted.target_us),
            Body::Reacted(reacted) => self.react(event, reacted.target_us, &reacted.name),
            Body::Unreacted(reacted) => self.unreact(event, reacted.target_us, &reacted.name),
            Body::Joined(joined) => {
                self.enter(event, &joined.user, &joined.inviter)?;
                self.say(event, &joined.user, MessageKind::Join, "");
                Ok(())
            }
            Body::Left(left) => {
                let who = user(event, &left.user)?;
                let was = self.members.remove(&who).is_some();
                unless(was, event, || format!("lets {who} leave, a stranger"))?;
                self.moves.entry(who).and_modify(|(_, until)| *until = Some(event.seq));
                self.say(event, &left.user, MessageKind::Leave, "");
                Ok(())
            }
            other => self.change(event, other),
        }
    }

    fn post(&mut self, event: &Event, posted: &Posted) -> Result<(), String> {
        unless(!event.sender.is_empty(), event, || "is a message by nobody".into())?;
        if posted.thread_us != 0 {
            let parent = self.messages.get(&posted.thread_us);
            let parent = parent.ok_or_else(|| wrong(event, "replies to what is not there"))?;
            unless(parent.thread_us == 0, event, || "hangs on a reply, not on a message".into())?;
            let gone = parent.kind() == MessageKind::Tombstone;
            unless(!gone, event, || "replies to a tombstone".into())?;
            self.threads.entry(posted.thread_us).or_default().insert(event.us);
        }
        let content = posted.content.clone().unwrap_or_default();
        if posted.thread_us == 0 || posted.reply_broadcast {
            self.countable.push(event.seq);
            // What it said is not known any more once it is redacted: its own count is all there is.
            let counted = event.broadcast > self.broadcast.len() as u64;
            if if content.redacted { counted } else { mentions_everyone(&content.text) } {
                self.broadcast.push(event.seq);
            }
        }
        let mut row = line(event, &event.sender, MessageKind::Plain, "");
        row.content = posted.content.clone();
        row.thread_us = posted.thread_us;
        row.reply_broadcast = posted.reply_broadcast;
        row.client_msg_id = posted.client_msg_id.clone();
        row.body_seqs = vec![event.seq];
        self.messages.insert(event.us, row);
        Ok(())
    }

    fn react(&mut self, event: &Event, us: Micros, name: &str) -> Result<(), String> {
        let row = self.messages.get(&us).filter(|row| row.kind() != MessageKind::Tombstone);
        unless(row.is_some(), event, || "reacts to what is not there".into())?;
        let who = user(event, &event.sender)?;
        let users = self.reactions.entry(us).or_default().entry(name.to_owned()).or_default();
        unless(!users.contains(&who), event, || format!("is the same reaction by {who} again"))?;
        users.push(who);
        Ok(())
    }

    fn unreact(&mut self, event: &Event, us: Micros, name: &str) -> Result<(), String> {
        let never = || wrong(event, "takes back what was never given");
        let names = self.reactions.get_mut(&us).ok_or_else(never)?;
        let users = names.get_mut(name).ok_or_else(never)?;
        let place = users.iter().position(|user| user.as_str() == event.sender).ok_or_else(never)?;
        users.remove(place);
        names.retain(|_, users| !users.is_empty());
        Ok(())
    }

    fn change(&mut self, event: &Event, body: &Body) -> Result<(), String> {
        let sender = &event.sender;
        let row = &mut self.row;
        let (kind, text) = match body {
            Body::Renamed(renamed) => {
                let old = std::mem::replace(&mut row.name, renamed.name.clone());
                row.previous_names.push(old);
                (MessageKind::Rename, renamed.name.as_str())
            }
            Body::TopicSet(set) => {
                (row.topic, row.topic_by, row.topic_us) = (set.topic.clone(), sender.clone(), event.us);
                (MessageKind::Topic, set.topic.as_str())
            }
            Body::PurposeSet(set) => {
                (row.purpose, row.purpose_by, row.purpose_us) =
                    (set.purpose.clone(), sender.clone(), event.us);
                (MessageKind::Purpose, set.purpose.as_str())
            }
            Body::Archived(_) => {
                unless(!row.archived, event, || "archives what is archived".into())?;
                row.archived = true;
                (MessageKind::Archive, "")
            }
            Body::Unarchived(_) => {
                unless(row.archived, event, || "unarchives what is not archived".into())?;
                row.archived = false;
                (MessageKind::Unarchive, "")
            }
            _ => return Err(wrong(event, "does not belong into a conversation")),
        };
        self.say(event, sender, kind, text);
        Ok(())
    }

    fn enter(&mut self, event: &Event, name: &str, inviter: &str) -> Result<(), String> {
        let who = user(event, name)?;
        let row = MemberRow { seq: event.seq, inviter: inviter.to_owned() };
        let new = self.members.insert(who.clone(), row).is_none();
        unless(new, event, || format!("lets {who} in, a member"))?;
        self.moves.insert(who, (event.seq, None));
        Ok(())
    }

    fn say(&mut self, event: &Event, who: &str, kind: MessageKind, text: &str) {
        self.messages.insert(event.us, line(event, who, kind, text));
    }

    fn delete(&mut self, event: &Event, us: Micros) -> Result<(), String> {
        let row = self.messages.remove(&us).filter(|row| row.kind() != MessageKind::Tombstone);
        let mut row = row.ok_or_else(|| wrong(event, "deletes what is not there"))?;
        let may = event.sender.is_empty() || event.sender == row.sender;
        unless(may, event, || format!("deletes, by {}, what {} wrote", event.sender, row.sender))?;
        self.redacted.extend(&row.body_seqs);
        self.reactions.remove(&us);
        if let Some(replies) = self.threads.get_mut(&row.thread_us) {
            replies.remove(&us);
        }
        if !self.replies(us).is_empty() {
            row.kind = MessageKind::Tombstone.into();
            row.content = None;
            row.body_seqs.clear();
            self.messages.insert(us, row);
        }
        Ok(())
    }

    fn replies(&self, parent_us: Micros) -> Vec<&MessageRow> {
        let replies = self.threads.get(&parent_us).into_iter().flatten();
        replies.filter_map(|us| self.messages.get(us)).collect()
    }
}

fn mentions_everyone(text: &str) -> bool {
    text.split("<!")
        .skip(1)
        .any(|rest| ["channel", "here", "everyone"].iter().any(|all| rest.starts_with(all)))
}

fn line(event: &Event, who: &str, kind: MessageKind, text: &str) -> MessageRow {
    MessageRow {
        us: event.us,
        seq: event.seq,
        sender: who.to_owned(),
        kind: kind.into(),
        content: Some(Content { text: text.to_owned(), ..Content::default() }),
        bucket: ((event.seq - 1) / 4096) as u32,
        ..MessageRow::default()
    }
}
