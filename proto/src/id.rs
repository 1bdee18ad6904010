//! Ids: a kind letter and upper-case base-36 characters, as Slack's; and the names of channels, which are
//! wider.
//!
//! Source: Slack's published patterns (`[UW][A-Z0-9]{2,}`, `[CGD][A-Z0-9]{8,}`, `T…`, `B…`). Clients branch
//! on the first letter, so it is part of the type here. What [`mint`] makes matches these patterns; what is
//! read may be shorter, down to the letter and one character, since imported and hand-made ids are.

use std::{fmt, str::FromStr};

/// Longest id accepted from outside, in bytes.
pub const ID_BYTES_MAX: usize = 64;
/// Random characters after the kind letter of an id that Waggle makes.
pub const ID_RANDOM_CHARS: usize = 10;
const ALPHABET: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {expected}: {reason}")]
pub struct IdError {
    text: String,
    expected: &'static str,
    reason: &'static str,
}

fn check(text: &str, letters: &str, expected: &'static str) -> Result<(), IdError> {
    let fail = |reason| {
        let text = text.chars().take(ID_BYTES_MAX).collect();
        Err(IdError { text, expected, reason })
    };
    let Some(first) = text.chars().next() else {
        return fail("it is empty");
    };
    if text.len() > ID_BYTES_MAX {
        return fail("it is too long");
    }
    if !letters.contains(first) {
        return fail("its first letter is another kind");
    }
    if text.len() < 2 || !text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
        return fail("ids are upper-case letters and digits");
    }
    Ok(())
}

/// Builds an id from a kind letter and 10 characters of the given entropy (`random` is reduced modulo 36^10).
pub fn mint(letter: char, random: u64) -> String {
    let mut rest = random;
    let mut id = String::with_capacity(1 + ID_RANDOM_CHARS);
    id.push(letter);
    for _ in 0..ID_RANDOM_CHARS {
        id.push(ALPHABET[(rest % 36) as usize] as char);
        rest /= 36;
    }
    id
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $letters:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Checks and takes the text; the error names what was expected.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                check(text, $letters, $expected)?;
                Ok(Self(text.into()))
            }
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id_type!(
    /// A tenant. Everything kept or cached is keyed by it first.
    WorkspaceId, "T", "workspace id (T…)"
);
id_type!(
    /// A person or a bot of one workspace.
    UserId, "UW", "user id (U…)"
);
id_type!(
    /// Slack's channel: public or private channel (C…, G…) or direct conversation (D…).
    ConversationId, "CGD", "conversation id (C…, G… or D…)"
);

/// An ordered log with one owner: a conversation, a workspace (`ws:T…`) or a user (`user:U…`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ChannelId {
    /// A conversation people talk in.
    Conversation(ConversationId),
    /// A workspace's own log: users, conversation names, settings.
    Workspace(WorkspaceId),
    /// A user's own log: what they joined, read marks, mentions, tokens.
    User(UserId),
}

impl ChannelId {
    /// Reads `C…`, `G…`, `D…`, `ws:T…` or `user:U…`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        match text.split_once(':') {
            Some(("ws", id)) => WorkspaceId::parse(id).map(Self::Workspace),
            Some(("user", id)) => UserId::parse(id).map(Self::User),
            _ => ConversationId::parse(text).map(Self::Conversation),
        }
    }
    /// The conversation, when it is one.
    pub fn conversation(&self) -> Option<&ConversationId> {
        match self {
            Self::Conversation(id) => Some(id),
            _ => None,
        }
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conversation(id) => write!(f, "{id}"),
            Self::Workspace(id) => write!(f, "ws:{id}"),
            Self::User(id) => write!(f, "user:{id}"),
        }
    }
}

impl From<ConversationId> for ChannelId {
    fn from(id: ConversationId) -> Self {
        Self::Conversation(id)
    }
}

/// The id of the direct conversation of these users: the same for every order of the same members.
///
/// `D` for two (or one: notes to oneself), `G` for more; 10 characters (51.7 bits) of XXH3 over workspace and
/// sorted members, so that finding it needs no look-up. Two sets of members may share an id, by chance (about
/// 1 in 7,000 for a workspace of a million direct conversations) or by design of somebody who may choose the
/// set: who opens a conversation that exists compares its members and refuses when they differ.
pub fn direct(workspace: &WorkspaceId, members: &[UserId]) -> ConversationId {
    let mut sorted: Vec<&str> = members.iter().map(UserId::as_str).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let joined = format!("{workspace}\n{}", sorted.join("\n"));
    let letter = if sorted.len() > 2 { 'G' } else { 'D' };
    let text = mint(letter, xxhash_rust::xxh3::xxh3_64(joined.as_bytes()));
    ConversationId(text.into())
}

#[cfg(test)]
mod tests;
