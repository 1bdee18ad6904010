//! A conversation: who is in it, what may be said, and how messages, threads and reactions change.
//!
//! Pure core of a channel whose log is a conversation. `decide` turns commands into events, `apply` (in
//! `apply.rs`) events into rows; both see only what is in memory and ask for what is not.

mod apply;
mod kept;
mod rows;
mod write;

use crate::command::{Command, Verb};
use crate::subject::{Decision, Draft, Loaded, Need};
use proto::id::UserId;
use proto::refusal::Refusal;
use proto::ts::Micros;
use proto::v1::event::Body;
use proto::v1::{self, Content, ConversationKind, ConversationRow, MessageRow};
use rows::Rows;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Distinct users that a thread's summary counts by name; later ones still count as replies.
pub const REPLY_USERS_MAX: usize = 100;
/// Longest reaction name in bytes, skin tone included.
const REACTION_NAME_MAX: usize = 100;
/// Longest topic or purpose, in characters (Slack's limit).
const TOPIC_CHARS_MAX: usize = 250;

/// Limits that a conversation needs.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Characters of a text.
    pub text_chars_max: usize,
    /// Bytes of blocks, attachments, metadata, each.
    pub json_bytes_max: usize,
    /// Edits of one message.
    pub message_edits_max: usize,
    /// Message rows in memory.
    pub rows_max: usize,
}

/// State of a conversation. Members are all in memory; messages only the recent and the touched ones.
#[derive(Debug)]
pub struct Conversation {
    limits: Limits,
    created: bool,
    row: Option<ConversationRow>,
    /// The store was asked for the row and had none.
    unknown: bool,
    members: BTreeSet<UserId>,
    rows: Rows,
    channel: proto::id::ConversationId,
}

impl Conversation {
    /// The state as the views have it; `created`: the log has its first event (the row may come before, from the
    /// workspace's log).
    pub fn new(
        channel: proto::id::ConversationId,
        created: bool,
        row: Option<ConversationRow>,
        members: BTreeSet<UserId>,
        limits: Limits,
    ) -> Self {
        Self { limits, created, row, unknown: false, members, rows: Rows::new(limits.rows_max), channel }
    }

    /// Whether this user is a member.
    pub fn has(&self, user: &UserId) -> bool {
        self.members.contains(user)
    }
    /// How many members it has.
    pub fn size(&self) -> usize {
        self.members.len()
    }
    /// The message as it is in memory.
    pub fn message(&self, us: Micros) -> Option<Arc<MessageRow>> {
        self.rows.get(us)
    }
    /// Takes a row that was read.
    pub fn loaded(&mut self, loaded: Loaded) {
        match loaded {
            // Nobody else writes it once this log has begun: then memory's is the newer one.
            Loaded::Conversation(_) if self.row.is_some() => {}
            Loaded::Conversation(row) => {
                self.unknown = row.is_none();
                self.row = row.map(|row| *row);
            }
            loaded => self.rows.loaded(loaded),
        }
    }
    /// Everything up to `seq` is in the store.
    pub fn durable(&mut self, seq: u64) {
        self.rows.durable(seq);
    }

    /// What to do about a command.
    pub fn decide(&mut self, command: &Command) -> Decision {
        if let Verb::Create { name, kind, members } = &*command.verb {
            return self.create(name, *kind, members);
        }
        let Some(row) = &self.row else { return Decision::refuse("channel_not_found") };
        let kind = row.kind();
        if let Some(refused) = self.refuse_stranger(command, kind, row.archived) {
            return refused;
        }
        if !self.created {
            // The event that makes it, a follow-up, is on its way: nothing may come before it.
            return Decision::Refuse(Refusal::Busy { retry_after_ms: 200 });
        }
        match &*command.verb {
            Verb::Post { content, thread_us, reply_broadcast, client_msg_id } => {
                self.post(content, *thread_us, *reply_broadcast, client_msg_id)
            }
            Verb::Edit { target_us, content } => self.edit(command, *target_us, content),
            Verb::Delete { target_us } => self.delete(command, *target_us),
            Verb::React { target_us, name } => self.react(command, *target_us, name, true),
            Verb::Unreact { target_us, name } => self.react(command, *target_us, name, false),
            Verb::Join => self.join(command.sender.as_ref(), "", kind),
            Verb::Invite { user } => self.join(Some(user), command.sender_str(), kind),
            Verb::Leave => self.leave(command.sender.as_ref(), "", kind),
            Verb::Kick { user } => self.leave(Some(user), command.sender_str(), kind),
            Verb::SetTopic { topic } => describe(kind, topic, |topic| Body::TopicSet(v1::TopicSet { topic })),
            Verb::SetPurpose { purpose } => {
                describe(kind, purpose, |purpose| Body::PurposeSet(v1::PurposeSet { purpose }))
            }
            Verb::Rename { name } if row.name == *name => Decision::Nothing(None),
            Verb::Rename { name } => silent(Body::Renamed(v1::Renamed { name: name.clone() })),
            Verb::Archive if row.archived => Decision::refuse("already_archived"),
            Verb::Archive => silent(Body::Archived(v1::Archived {})),
            Verb::Unarchive if !row.archived => Decision::refuse("not_archived"),
            Verb::Unarchive => silent(Body::Unarchived(v1::Unarchived {})),
            _ => Decision::refuse("method_not_supported_for_channel_type"),
        }
    }

    /// Who may do what at all: strangers learn nothing of closed conversations, archived ones take no changes.
    fn refuse_stranger(&self, command: &Command, kind: ConversationKind, archived: bool) -> Option<Decision> {
        let Some(sender) = &command.sender else { return None };
        let member = self.members.contains(sender);
        let public = kind == ConversationKind::Public;
        if !member && !public {
            return Some(Decision::refuse("channel_not_found"));
        }
        if !member && !matches!(*command.verb, Verb::Join | Verb::Leave) {
            return Some(Decision::refuse("not_in_channel"));
        }
        let closed = archived && !matches!(*command.verb, Verb::Unarchive | Verb::Archive | Verb::Leave);
        closed.then(|| Decision::refuse("is_archived"))
    }

    fn create(&self, name: &str, kind: ConversationKind, members: &[UserId]) -> Decision {
        if self.created {
            return Decision::Nothing(None);
        }
        if self.row.is_none() && !self.unknown {
            // Whoever asked for the conversation before it was there woke this actor without its row, which the
            // workspace's log has written since: who made it and when is in there.
            return Decision::Need(Need::Conversation);
        }
        let members = members.iter().map(|user| user.as_str().to_owned()).collect();
        silent(Body::Created(v1::Created { name: name.to_owned(), kind: kind.into(), members }))
    }

    fn react(&mut self, command: &Command, target_us: Micros, name: &str, add: bool) -> Decision {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_+-:'".contains(&b);
        if name.is_empty() || name.len() > REACTION_NAME_MAX || !name.bytes().all(plain) {
            return Decision::refuse("invalid_name");
        }
        let Some(user) = &command.sender else { return Decision::refuse("no_permission") };
        match self.rows.find(target_us) {
            rows::Found::Unknown => return Decision::Need(Need::Message(target_us)),
            rows::Found::Absent => return Decision::refuse("message_not_found"),
            rows::Found::Row(row) if row.kind() == v1::MessageKind::Tombstone => {
                return Decision::refuse("message_not_found");
            }
            rows::Found::Row(_) => {}
        }
        let name = name.to_owned();
        match (self.rows.reacted(target_us, &name, user), add) {
            (None, _) => Decision::Need(Need::Reaction(target_us, name, user.clone())),
            (Some(true), true) => Decision::refuse("already_reacted"),
            (Some(false), false) => Decision::refuse("no_reaction"),
            (_, true) => silent(Body::Reacted(v1::Reacted { target_us, name })),
            (_, false) => silent(Body::Unreacted(v1::Unreacted { target_us, name })),
        }
    }

    fn join(&self, user: Option<&UserId>, inviter: &str, kind: ConversationKind) -> Decision {
        let Some(user) = user else { return Decision::refuse("user_not_found") };
        if matches!(kind, ConversationKind::Im | ConversationKind::Mpim) {
            return Decision::refuse("method_not_supported_for_channel_type");
        }
        if self.members.contains(user) {
            return Decision::Nothing(None);
        }
        silent(Body::Joined(v1::Joined { user: user.as_str().to_owned(), inviter: inviter.to_owned() }))
    }

    fn leave(&self, user: Option<&UserId>, by: &str, kind: ConversationKind) -> Decision {
        let Some(user) = user else { return Decision::refuse("user_not_found") };
        if matches!(kind, ConversationKind::Im | ConversationKind::Mpim) {
            return Decision::refuse("method_not_supported_for_channel_type");
        }
        if !self.members.contains(user) {
            return Decision::Nothing(None);
        }
        silent(Body::Left(v1::Left { user: user.as_str().to_owned(), by: by.to_owned() }))
    }
}

fn silent(body: Body) -> Decision {
    Decision::Append(Box::new(Draft::silent(body)))
}

fn describe(kind: ConversationKind, text: &str, body: impl FnOnce(String) -> Body) -> Decision {
    match kind {
        ConversationKind::Im => Decision::refuse("method_not_supported_for_channel_type"),
        _ if text.chars().count() > TOPIC_CHARS_MAX => Decision::refuse("too_long"),
        _ => silent(body(text.to_owned())),
    }
}

/// Checks a message's content against the limits; Slack's error strings.
fn check(content: &Content, limits: &Limits) -> Result<(), Refusal> {
    let json = [&content.blocks, &content.attachments, &content.metadata];
    if content.text.is_empty() && content.blocks.is_empty() && content.attachments.is_empty() {
        return Err(Refusal::Named("no_text"));
    }
    if content.text.len() > limits.text_chars_max && content.text.chars().count() > limits.text_chars_max {
        return Err(Refusal::Named("msg_too_long"));
    }
    if json.iter().any(|json| json.len() > limits.json_bytes_max) {
        return Err(Refusal::Named("msg_blocks_too_long"));
    }
    Ok(())
}

/// Whether a text mentions everyone: `<!channel>`, `<!here>` or `<!everyone>`.
pub(crate) fn mentions_everyone(text: &str) -> bool {
    ["<!channel", "<!here", "<!everyone"].iter().any(|mark| text.contains(mark))
}

#[cfg(test)]
mod tests;
