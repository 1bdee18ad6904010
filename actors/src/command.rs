//! Commands: what can be asked of a channel, and what it answers. Imperative; the events they make are past tense.

use proto::id::{ConversationId, UserId};
use proto::refusal::Refusal;
use proto::ts::Micros;
use proto::v1::{Content, ConversationKind, Event, MessageRow, TokenKind};
use std::sync::Arc;

/// A command with what makes it retryable.
#[derive(Debug, Clone)]
pub struct Command {
    /// Who asks; `None` for the system itself.
    pub sender: Option<UserId>,
    /// Idempotency key; empty: the router gives it one, so that inner retries cannot double.
    pub key: String,
    /// 0 for the first try; every resend and reroute adds one.
    pub attempt: u32,
    /// What to do.
    pub verb: Arc<Verb>,
}

impl Command {
    /// A first attempt by a user, without a key.
    pub fn by(sender: &UserId, verb: Verb) -> Self {
        Self { sender: Some(sender.clone()), key: String::new(), attempt: 0, verb: Arc::new(verb) }
    }
    /// A first attempt by the system under a key.
    pub fn system(key: impl Into<String>, verb: Verb) -> Self {
        Self { sender: None, key: key.into(), attempt: 0, verb: Arc::new(verb) }
    }
    /// The same under this key.
    pub fn keyed(mut self, key: impl Into<String>) -> Self {
        self.key = key.into();
        self
    }
    /// What a refusal of this try says of the command: that of a try after one whose answer was lost does not say what
    /// became of that one, unless it looked.
    pub fn refused(&self, refusal: Refusal) -> Refusal {
        let unsaid =
            matches!(refusal, Refusal::Busy { .. } | Refusal::Unavailable(_) | Refusal::OutOfReach(_))
                && !cluster::planted!(RefusalHidesFirstTry);
        if unsaid && self.attempt > 0 { Refusal::Unknown } else { refusal }
    }
    /// The sender as events name it: empty for the system.
    pub fn sender_str(&self) -> &str {
        self.sender.as_ref().map_or("", UserId::as_str)
    }
}

/// What to do. The first group is for conversations, then workspaces (`ws:T`), then users (`user:U`).
#[derive(Debug, Clone, PartialEq)]
pub enum Verb {
    /// First event of a conversation: makes it, with its first members. Doing it twice is a no-op.
    Create {
        /// Empty for direct conversations.
        name: String,
        /// Public, private, direct.
        kind: ConversationKind,
        /// First members.
        members: Vec<UserId>,
    },
    /// Say something.
    Post {
        /// What.
        content: Content,
        /// The parent's us (or that of any of its replies) for a reply, 0 otherwise.
        thread_us: Micros,
        /// Show the reply in the channel as well.
        reply_broadcast: bool,
        /// Slack's `client_msg_id`, returned as it came.
        client_msg_id: String,
    },
    /// Replace one's own message.
    Edit {
        /// The message.
        target_us: Micros,
        /// New content.
        content: Content,
    },
    /// Delete one's own message (admins: any).
    Delete {
        /// The message.
        target_us: Micros,
    },
    /// Add a reaction.
    React {
        /// The message.
        target_us: Micros,
        /// Emoji name without colons.
        name: String,
    },
    /// Take a reaction back.
    Unreact {
        /// The message.
        target_us: Micros,
        /// Emoji name without colons.
        name: String,
    },
    /// Become a member of a public conversation. A no-op for members.
    Join,
    /// Stop being a member.
    Leave,
    /// Make somebody a member.
    Invite {
        /// Whom.
        user: UserId,
    },
    /// Remove somebody.
    Kick {
        /// Whom.
        user: UserId,
    },
    /// Set the topic.
    SetTopic {
        /// New topic.
        topic: String,
    },
    /// Set the purpose.
    SetPurpose {
        /// New purpose.
        purpose: String,
    },
    /// Give a new name; comes from the workspace's log, which decided that it is free.
    Rename {
        /// New name.
        name: String,
    },
    /// Close for writing.
    Archive,
    /// Open again.
    Unarchive,

    /// First event of a workspace.
    CreateWorkspace {
        /// Shown name.
        name: String,
        /// Lower-case name in URLs.
        domain: String,
    },
    /// Add a person or a bot; the name and e-mail address are unique.
    AddUser {
        /// Its new id.
        user: UserId,
        /// Handle.
        name: String,
        /// Shown name.
        real_name: String,
        /// May be empty.
        email: String,
        /// A bot's own id (B…), empty for people.
        bot_id: String,
        /// May manage the workspace.
        admin: bool,
    },
    /// Reserve a name and make a conversation; its log is made as a follow-up.
    AddConversation {
        /// Its new id.
        channel: ConversationId,
        /// Name, unique in the workspace; empty for direct conversations.
        name: String,
        /// Public, private, direct.
        kind: ConversationKind,
        /// First members, the creator included.
        members: Vec<UserId>,
    },
    /// Reserve a new name for a conversation; its log is told as a follow-up.
    RenameConversation {
        /// Which.
        channel: ConversationId,
        /// New name, unique.
        name: String,
    },

    /// Follow-up of a `Joined` in a conversation.
    NoteJoined {
        /// The conversation.
        channel: ConversationId,
        /// The seq of `Joined`.
        seq: u64,
        /// Kind of the conversation.
        kind: ConversationKind,
    },
    /// Follow-up of a `Left` in a conversation.
    NoteLeft {
        /// The conversation.
        channel: ConversationId,
        /// The seq of `Left`.
        seq: u64,
    },
    /// Follow-up of a message that names the user.
    NoteMention {
        /// The conversation.
        channel: ConversationId,
        /// The message.
        target_us: Micros,
    },
    /// Move the read position, forwards or back.
    Mark {
        /// The conversation.
        channel: ConversationId,
        /// Position: the last message read.
        target_us: Micros,
        /// Its seq.
        seq: u64,
        /// Running counts there.
        countable: u64,
        /// Running counts there.
        broadcast: u64,
    },
    /// Keep a token's hash.
    IssueToken {
        /// Hex SHA-256 of the token.
        hash: String,
        /// User, bot or app.
        kind: TokenKind,
        /// What it may do.
        scopes: Vec<String>,
    },
    /// End a token; live sessions that used it are closed.
    RevokeToken {
        /// Hex SHA-256 of the token.
        hash: String,
    },
}

impl Verb {
    /// What tells a retry from a reused key: a hash over the verb and its arguments, the same in every build.
    pub fn fingerprint(&self) -> u64 {
        use prost::Message;
        let mut print = Fingerprint::default();
        match self {
            Self::Create { name, kind, members } => {
                print.text("create").text(name).number(*kind as u64).texts(members);
            }
            Self::Post { content, thread_us, reply_broadcast, .. } => {
                print.text("post").bytes(&content.encode_to_vec()).number(*thread_us);
                print.number(u64::from(*reply_broadcast));
            }
            Self::Edit { target_us, content } => {
                print.text("edit").number(*target_us).bytes(&content.encode_to_vec());
            }
            Self::Delete { target_us } => _ = print.text("delete").number(*target_us),
            Self::React { target_us, name } => _ = print.text("react").number(*target_us).text(name),
            Self::Unreact { target_us, name } => _ = print.text("unreact").number(*target_us).text(name),
            Self::Join => _ = print.text("join"),
            Self::Leave => _ = print.text("leave"),
            Self::Invite { user } => _ = print.text("invite").text(user.as_str()),
            Self::Kick { user } => _ = print.text("kick").text(user.as_str()),
            Self::SetTopic { topic } => _ = print.text("topic").text(topic),
            Self::SetPurpose { purpose } => _ = print.text("purpose").text(purpose),
            Self::Rename { name } => _ = print.text("rename").text(name),
            Self::Archive => _ = print.text("archive"),
            Self::Unarchive => _ = print.text("unarchive"),
            Self::CreateWorkspace { name, domain } => _ = print.text("workspace").text(name).text(domain),
            Self::AddUser { user, name, real_name, email, bot_id, admin } => {
                print.text("user").text(user.as_str()).text(name).text(real_name).text(email).text(bot_id);
                print.number(u64::from(*admin));
            }
            Self::AddConversation { channel, name, kind, members } => {
                print
                    .text("conversation")
                    .text(channel.as_str())
                    .text(name)
                    .number(*kind as u64)
                    .texts(members);
            }
            Self::RenameConversation { channel, name } => {
                print.text("rename conversation").text(channel.as_str()).text(name);
            }
            Self::NoteJoined { channel, seq, .. } => {
                print.text("joined").text(channel.as_str()).number(*seq);
            }
            Self::NoteLeft { channel, seq } => _ = print.text("left").text(channel.as_str()).number(*seq),
            Self::NoteMention { channel, target_us } => {
                print.text("mention").text(channel.as_str()).number(*target_us);
            }
            Self::Mark { channel, target_us, .. } => {
                print.text("mark").text(channel.as_str()).number(*target_us);
            }
            Self::IssueToken { hash, .. } => _ = print.text("issue").text(hash),
            Self::RevokeToken { hash } => _ = print.text("revoke").text(hash),
        }
        print.0.digest()
    }
}

/// Length-prefixed fields under XXH3, so that no two lists of fields hash alike by running together.
#[derive(Default)]
struct Fingerprint(xxhash_rust::xxh3::Xxh3);

impl Fingerprint {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
        self
    }
    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }
    fn number(&mut self, number: u64) -> &mut Self {
        self.0.update(&number.to_le_bytes());
        self
    }
    fn texts(&mut self, ids: &[UserId]) -> &mut Self {
        ids.iter().fold(self.number(ids.len() as u64), |print, id| print.text(id.as_str()))
    }
}

/// A command that is durable, or that had nothing to do.
#[derive(Debug, Clone)]
pub struct Done {
    /// Its place in the log. 0: nothing had to be done and nothing was written (joining twice).
    pub seq: u64,
    /// Its time; a message's id.
    pub us: Micros,
    /// The key was known: this is the first try's place.
    pub retried: bool,
    /// The event; `None` for retries and no-ops.
    pub event: Option<Arc<Event>>,
    /// The message as it is now, for commands about a message.
    pub message: Option<Arc<MessageRow>>,
}

/// Where an answer goes. Dropping it unanswered is an answer too: the receiver learns that the command is lost and
/// sends it again under the same key.
pub type ReplyTo = Box<dyn Reply>;

/// Takes one answer.
pub trait Reply: Send {
    /// The answer.
    fn answer(self: Box<Self>, result: Result<Done, Refusal>);
    /// Nobody waits for it any more.
    fn is_abandoned(&self) -> bool;
}

impl Reply for tokio::sync::oneshot::Sender<Result<Done, Refusal>> {
    fn answer(self: Box<Self>, result: Result<Done, Refusal>) {
        // The asker may have gone; the command's fate does not depend on it.
        let _ = (*self).send(result);
    }
    fn is_abandoned(&self) -> bool {
        self.is_closed()
    }
}

/// What an event changed beyond itself, sent along with live deliveries so that Slack's forms can be made without
/// reading the store. Not kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Aside {
    /// The message after the event.
    pub message: Option<Arc<MessageRow>>,
    /// The message before the event (edits and deletions).
    pub previous: Option<Arc<MessageRow>>,
    /// For replies: the parent with its new summary.
    pub parent: Option<Arc<MessageRow>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_try_that_was_not_let_in_says_nothing_of_the_first() {
        let first = Command::system("k", Verb::Join);
        let second = Command { attempt: 1, ..first.clone() };
        for not_now in [Refusal::Busy { retry_after_ms: 200 }, Refusal::Unavailable("full".into())] {
            assert_eq!(first.refused(not_now.clone()), not_now);
            assert_eq!(second.refused(not_now), Refusal::Unknown);
        }
        // Who says so has looked the key up first.
        for looked in [Refusal::Named("is_archived"), Refusal::KeyReused, Refusal::Unknown] {
            assert_eq!(second.refused(looked.clone()), looked);
        }
    }
}
