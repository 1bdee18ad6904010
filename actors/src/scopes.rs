//! What a token may do: Slack's scopes.

use proto::v1::TokenKind;
use std::sync::Arc;

/// Scopes that a bot's token has when none are named.
pub const BOT_SCOPES: &[&str] = &[
    "channels:history",
    "channels:join",
    "channels:manage",
    "channels:read",
    "chat:write",
    "chat:write.customize",
    "groups:history",
    "groups:read",
    "groups:write",
    "im:history",
    "im:read",
    "im:write",
    "mpim:history",
    "mpim:read",
    "mpim:write",
    "reactions:read",
    "reactions:write",
    "rtm:stream",
    "team:read",
    "users:read",
    "users:read.email",
];
/// Scopes that a person's token has when none are named.
pub const USER_SCOPES: &[&str] = &[
    "channels:history",
    "channels:read",
    "channels:write",
    "chat:write",
    "groups:history",
    "groups:read",
    "groups:write",
    "im:history",
    "im:read",
    "im:write",
    "mpim:history",
    "mpim:read",
    "mpim:write",
    "reactions:read",
    "reactions:write",
    "rtm:stream",
    "team:read",
    "users:read",
    "users:read.email",
];
/// Scopes that an app's token has when none are named.
const APP_SCOPES: &[&str] = &["connections:write"];

fn default(kind: TokenKind) -> &'static [&'static str] {
    match kind {
        TokenKind::Bot => BOT_SCOPES,
        TokenKind::App => APP_SCOPES,
        _ => USER_SCOPES,
    }
}

/// The scopes of one token. A connection keeps them for its whole life, and most tokens have the default ones: those
/// cost no memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scopes {
    /// Those of the token's kind.
    Default(&'static [&'static str]),
    /// Those that were named.
    Named(Arc<[String]>),
}

impl Scopes {
    /// The scopes that a token of this kind has when none are named.
    pub fn usual(kind: TokenKind) -> Self {
        Self::Default(default(kind))
    }
    /// The scopes of a token of this kind, as the store has them.
    pub fn of(kind: TokenKind, named: Vec<String>) -> Self {
        if named == default(kind) { Self::Default(default(kind)) } else { Self::Named(named.into()) }
    }
    /// The same where nobody says of which kind the token is.
    pub fn of_some_kind(named: Vec<String>) -> Self {
        let usual = [TokenKind::User, TokenKind::Bot, TokenKind::App].map(default);
        match usual.into_iter().find(|usual| named == *usual) {
            Some(usual) => Self::Default(usual),
            None => Self::Named(named.into()),
        }
    }
    fn iter(&self) -> impl Iterator<Item = &str> {
        let (default, named): (&[&str], &[String]) = match self {
            Self::Default(scopes) => (scopes, &[]),
            Self::Named(scopes) => (&[], scopes),
        };
        default.iter().copied().chain(named.iter().map(String::as_str))
    }
    /// Whether this one is among them.
    pub fn has(&self, scope: &str) -> bool {
        self.iter().any(|have| have == scope)
    }
    /// All of them, as the store keeps them.
    pub fn to_vec(&self) -> Vec<String> {
        self.iter().map(str::to_owned).collect()
    }
    /// All of them, with commas between.
    pub fn joined(&self) -> String {
        self.iter().collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(scopes: &[&str]) -> Vec<String> {
        scopes.iter().map(|scope| (*scope).to_owned()).collect()
    }

    #[test]
    fn a_token_has_what_the_store_says_whether_it_is_the_default_or_not() {
        for kind in [TokenKind::Bot, TokenKind::User, TokenKind::App] {
            let all = Scopes::of(kind, Scopes::usual(kind).to_vec());
            assert!(matches!(all, Scopes::Default(_)), "no memory of its own");
            assert_eq!(all.joined(), default(kind).join(","));
            assert!(default(kind).iter().all(|scope| all.has(scope)) && !all.has("admin"));
            let fewer = Scopes::of(kind, named(&["chat:write", "admin"]));
            assert_eq!((fewer.joined().as_str(), fewer.has("admin")), ("chat:write,admin", true));
            assert!(!fewer.has("rtm:stream") && !Scopes::of(kind, Vec::new()).has("chat:write"));
        }
    }
}
