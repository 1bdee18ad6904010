//! What a log is about: the rules that turn commands into events and events into views. Pure: no time, chance or IO.

use crate::command::{Aside, Command, Verb};
use crate::conversation::Conversation;
use crate::inbox::Inbox;
use crate::roster::Roster;
use crate::store::{KeySeen, ViewWrite};
use proto::id::UserId;
use proto::refusal::Refusal;
use proto::ts::Micros;
use proto::v1::event::Body;
use proto::v1::{ConversationRow, Event, MessageRow, TokenRow};
use std::sync::Arc;

/// An event that is decided but not yet numbered.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// What happened.
    pub body: Body,
    /// Counts as unread for others.
    pub countable: bool,
    /// Mentions everyone.
    pub broadcast: bool,
}

impl Draft {
    /// An event that nobody has to read.
    pub fn silent(body: Body) -> Self {
        Self { body, countable: false, broadcast: false }
    }
}

/// What becomes of a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Append this event.
    Append(Box<Draft>),
    /// It is so already; the message it is about, if any.
    Nothing(Option<Arc<MessageRow>>),
    /// Not allowed, or not possible.
    Refuse(Refusal),
    /// A row has to be read first; the command is parked under its message meanwhile.
    Need(Need),
}

impl Decision {
    /// A refusal by one of Slack's error strings.
    pub fn refuse(code: &'static str) -> Self {
        Self::Refuse(Refusal::Named(code))
    }
}

/// A row that is not in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// A message or reply.
    Message(Micros),
    /// Whether a user reacted so to a message.
    Reaction(Micros, String, UserId),
    /// The last two replies of a thread, read once everything up to `durable` is in the store.
    LastReplies {
        /// The parent.
        parent_us: Micros,
        /// Seq of the last staged event that touched the thread.
        durable: u64,
    },
    /// The keys of a closed bucket.
    Keys(u32),
    /// The conversation's own row, which the workspace's log may have begun since the log was loaded.
    Conversation,
    /// A token of this user, by its hash.
    Token(String),
}

impl Need {
    /// The message under which the command waits.
    pub fn about(&self) -> Micros {
        match self {
            Self::Message(us) | Self::Reaction(us, ..) => *us,
            Self::LastReplies { parent_us, .. } => *parent_us,
            // No message has such a time: these wait by themselves.
            Self::Keys(bucket) => 1 << 63 | u64::from(*bucket),
            Self::Conversation => u64::MAX,
            Self::Token(_) => u64::MAX - 1,
        }
    }
}

/// A row that was read.
#[derive(Debug, Clone, PartialEq)]
pub enum Loaded {
    /// A message or reply, `None` when there is none.
    Message(Micros, Option<Box<MessageRow>>),
    /// Whether a user reacted so.
    Reaction(Micros, String, UserId, bool),
    /// The last two replies, newest first, and the seq up to which they are current.
    LastReplies(Micros, u64, Vec<Micros>),
    /// The keys of a closed bucket.
    Keys(u32, Vec<KeySeen>),
    /// The conversation's own row, `None` when the workspace's log knows none.
    Conversation(Option<Box<ConversationRow>>),
    /// Whose token has this hash, `None` when nobody's.
    Token(String, Option<TokenRow>),
}

/// What an event changes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Applied {
    /// Views to write along with it.
    pub views: Vec<ViewWrite>,
    /// Context for live deliveries.
    pub aside: Aside,
}

/// The state of one of the three kinds of logs.
#[derive(Debug)]
pub enum Subject {
    /// People talking.
    Conversation(Box<Conversation>),
    /// A workspace's users and names.
    Workspace(Box<Roster>),
    /// One user's memberships and marks.
    User(Box<Inbox>),
}

impl Subject {
    /// What to do about a command.
    pub fn decide(&mut self, command: &Command) -> Decision {
        match self {
            Self::Conversation(conversation) => conversation.decide(command),
            Self::Workspace(roster) => roster.decide(command),
            Self::User(inbox) => inbox.decide(command),
        }
    }
    /// Takes an event into the state. Called once for each event, in order, before it is durable.
    pub fn apply(&mut self, event: &Event) -> Applied {
        match self {
            Self::Conversation(conversation) => conversation.apply(event),
            Self::Workspace(roster) => roster.apply(event),
            Self::User(inbox) => inbox.apply(event),
        }
    }
    /// Takes an event whose follow-ups may not be done into a state that was read from the views: of a conversation
    /// that was renamed, the view has the new name only when the conversation's own log has followed.
    pub fn not_followed(&mut self, event: &Event) {
        if let Self::Workspace(roster) = self {
            roster.apply(event);
        }
    }
    /// Takes a row that was read.
    pub fn loaded(&mut self, loaded: Loaded) {
        match self {
            Self::Conversation(conversation) => conversation.loaded(loaded),
            Self::User(inbox) => inbox.loaded(loaded),
            Self::Workspace(_) => {}
        }
    }
    /// Everything up to `seq` is in the store: rows may leave memory.
    pub fn durable(&mut self, seq: u64) {
        if let Self::Conversation(conversation) = self {
            conversation.durable(seq);
        }
    }
    /// How many it reaches: a conversation's members, or the one whose log it is. A workspace's log counts for one.
    pub fn size(&self) -> usize {
        match self {
            Self::Conversation(conversation) => conversation.size(),
            Self::User(_) | Self::Workspace(_) => 1,
        }
    }
    /// Whether what happens here may be told to this user: of a conversation, only to its members.
    pub fn concerns(&self, user: &UserId) -> bool {
        match self {
            Self::Conversation(conversation) => conversation.has(user),
            _ => true,
        }
    }
    /// The message as it is in memory.
    pub fn message(&self, us: Micros) -> Option<Arc<MessageRow>> {
        match self {
            Self::Conversation(conversation) => conversation.message(us),
            _ => None,
        }
    }
}

/// The message that a command is about, for the order of parked commands.
pub fn about(verb: &Verb) -> Option<Micros> {
    match verb {
        Verb::Post { thread_us, .. } if *thread_us != 0 => Some(*thread_us),
        Verb::Edit { target_us, .. }
        | Verb::Delete { target_us }
        | Verb::React { target_us, .. }
        | Verb::Unreact { target_us, .. } => Some(*target_us),
        _ => None,
    }
}
