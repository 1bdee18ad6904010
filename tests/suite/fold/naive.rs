//! What the views have to say, computed from the log alone by the simplest program that can. Shares no code with the
//! product; an event that should never have been written is a panic.

use proto::id::UserId;
use proto::ts::Micros;
use proto::v1::event::Body;
use proto::v1::{Content, ConversationRow, Event, MemberRow, MessageKind, MessageRow, ReplyUser};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct Naive {
    pub(super) row: ConversationRow,
    pub(super) members: BTreeMap<UserId, MemberRow>,
    /// The last membership of everybody who ever had one: from which seq, and until which.
    pub(super) moves: BTreeMap<UserId, (u64, Option<u64>)>,
    /// Seqs whose contents a deletion has taken away.
    pub(super) redacted: BTreeSet<u64>,
    messages: BTreeMap<Micros, MessageRow>,
    reactions: BTreeMap<(Micros, String), Vec<UserId>>,
    countable: u64,
}

impl Naive {
    pub(super) fn of(events: &[Event]) -> Self {
        let mut naive = Self::default();
        for (event, seq) in events.iter().zip(1..) {
            assert_eq!(event.seq, seq, "the log is dense");
            naive.take(event);
            assert_eq!(event.countable, naive.countable, "running count at {seq}");
        }
        naive
    }

    fn take(&mut self, event: &Event) {
        match event.body.as_ref().expect("every event says what happened") {
            Body::Created(created) => {
                self.row.name = created.name.clone();
                self.row.kind = created.kind;
                created.members.iter().for_each(|user| self.enter(event, user, ""));
            }
            Body::Posted(posted) => {
                assert!(self.members.contains_key(&id(&event.sender)), "a stranger posted at {}", event.seq);
                if posted.thread_us != 0 {
                    let parent = &self.messages[&posted.thread_us];
                    assert_eq!(parent.thread_us, 0, "a thread hangs on a message, not on a reply");
                    assert_ne!(parent.kind(), MessageKind::Tombstone, "a thread grew on a tombstone");
                }
                self.countable += u64::from(posted.thread_us == 0 || posted.reply_broadcast);
                let mut row = line(event, &event.sender, MessageKind::Plain, "");
                row.content = posted.content.clone();
                row.thread_us = posted.thread_us;
                row.reply_broadcast = posted.reply_broadcast;
                row.client_msg_id = posted.client_msg_id.clone();
                row.body_seqs = vec![event.seq];
                self.messages.insert(event.us, row);
            }
            Body::Edited(edited) => {
                let row = self.messages.get_mut(&edited.target_us).expect("edited after it was deleted");
                assert_eq!(row.sender, event.sender, "edited by another at {}", event.seq);
                row.content = edited.content.clone();
                row.edited_us = event.us;
                row.edited_by = event.sender.clone();
                row.body_seqs.push(event.seq);
            }
            Body::Deleted(deleted) => self.delete(deleted.target_us),
            Body::Reacted(reacted) => {
                assert!(self.messages.contains_key(&reacted.target_us), "reacted to nothing");
                let users = self.reactions.entry((reacted.target_us, reacted.name.clone())).or_default();
                assert!(!users.contains(&id(&event.sender)), "reacted twice at {}", event.seq);
                users.push(id(&event.sender));
            }
            Body::Unreacted(reacted) => {
                let key = (reacted.target_us, reacted.name.clone());
                let users = self.reactions.get_mut(&key).expect("taken back, never given");
                let place = users.iter().position(|user| user.as_str() == event.sender);
                users.remove(place.expect("taken back, never given"));
                if users.is_empty() {
                    self.reactions.remove(&key);
                }
            }
            Body::Joined(joined) => {
                self.enter(event, &joined.user, &joined.inviter);
                self.say(event, &joined.user, MessageKind::Join, "");
            }
            Body::Left(left) => {
                assert!(self.members.remove(&id(&left.user)).is_some(), "a stranger left at {}", event.seq);
                self.moves.get_mut(&id(&left.user)).expect("was a member").1 = Some(event.seq);
                self.say(event, &left.user, MessageKind::Leave, "");
            }
            other => self.change(event, other),
        }
    }

    fn change(&mut self, event: &Event, body: &Body) {
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
                row.archived = true;
                (MessageKind::Archive, "")
            }
            Body::Unarchived(_) => {
                row.archived = false;
                (MessageKind::Unarchive, "")
            }
            other => panic!("{other:?} does not belong into a conversation"),
        };
        self.say(event, sender, kind, text);
    }

    fn enter(&mut self, event: &Event, user: &str, inviter: &str) {
        let row = MemberRow { seq: event.seq, inviter: inviter.to_owned() };
        assert!(self.members.insert(id(user), row).is_none(), "joined twice at {}", event.seq);
        self.moves.insert(id(user), (event.seq, None));
    }

    fn say(&mut self, event: &Event, who: &str, kind: MessageKind, text: &str) {
        self.messages.insert(event.us, line(event, who, kind, text));
    }

    fn delete(&mut self, us: Micros) {
        let mut row = self.messages.remove(&us).expect("deleted twice");
        assert_ne!(row.kind(), MessageKind::Tombstone, "deleted twice");
        self.redacted.extend(&row.body_seqs);
        self.reactions.retain(|(of, _), _| *of != us);
        if self.replies(us).next().is_some() {
            row.kind = MessageKind::Tombstone.into();
            row.content = None;
            row.body_seqs.clear();
            self.messages.insert(us, row);
        }
    }

    fn replies(&self, parent_us: Micros) -> impl DoubleEndedIterator<Item = &MessageRow> {
        self.messages.values().filter(move |row| row.thread_us == parent_us && parent_us != 0)
    }

    /// A message or reply with its thread's summary, counted now.
    pub(super) fn message(&self, us: Micros) -> Option<MessageRow> {
        let mut row = self.messages.get(&us)?.clone();
        let mut users: BTreeMap<&str, u32> = BTreeMap::new();
        for reply in self.replies(us) {
            *users.entry(&reply.sender).or_default() += 1;
            row.reply_count += 1;
            row.latest_reply_us = reply.us;
        }
        let named = |(user, count): (&str, u32)| ReplyUser { user: user.to_owned(), count };
        row.reply_users = users.into_iter().map(named).collect();
        Some(row)
    }

    /// What the channel shows, oldest first.
    pub(super) fn shown(&self) -> Vec<MessageRow> {
        let shown = self.messages.values().filter(|row| row.thread_us == 0 || row.reply_broadcast);
        shown.filter_map(|row| self.message(row.us)).collect()
    }

    /// What a thread shows, oldest first.
    pub(super) fn thread(&self, parent_us: Micros) -> Vec<MessageRow> {
        self.replies(parent_us).filter_map(|row| self.message(row.us)).collect()
    }

    pub(super) fn parents(&self) -> impl Iterator<Item = Micros> {
        self.messages.values().filter(|row| row.thread_us == 0).map(|row| row.us)
    }

    /// Reactions to one message: name, users in the order in which they reacted.
    pub(super) fn reactions(&self, us: Micros) -> Vec<(String, Vec<UserId>)> {
        let of_it = self.reactions.iter().filter(|((of, _), _)| *of == us);
        of_it.map(|((_, name), users)| (name.clone(), users.clone())).collect()
    }
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

fn id(user: &str) -> UserId {
    UserId::parse(user).expect("events name users")
}
