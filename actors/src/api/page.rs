//! Page tokens: opaque to clients, the place to go on from inside. A place, never an offset, so that what arrives
//! meanwhile moves nothing.

use super::failure::Failure;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use proto::ts::Micros;
use serde_json::{Value, json};

/// Longest page token looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 256;

/// The page token of a place: base64 of `kind:place`, as Slack's.
pub fn token(kind: &str, place: impl std::fmt::Display) -> String {
    BASE64_STANDARD.encode(format!("{kind}:{place}"))
}

/// The place in a page token of this kind; `None` when it is another kind's, or none at all.
pub fn place(kind: &str, token: &str) -> Option<String> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let bytes = BASE64_STANDARD_NO_PAD.decode(token.trim_end_matches('=')).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    text.strip_prefix(kind)?.strip_prefix(':').map(str::to_owned)
}

/// The id after which a list goes on.
pub fn after<T: std::str::FromStr>(kind: &str, token: Option<&str>) -> Result<Option<T>, Failure> {
    let invalid = || Failure::named("invalid_cursor");
    match token {
        None => Ok(None),
        Some(token) => place(kind, token).ok_or_else(invalid)?.parse().map(Some).map_err(|_| invalid()),
    }
}

/// `response_metadata` with the token of the next page; empty at the end.
pub fn next(token: Option<String>) -> Value {
    json!({ "next_cursor": token.unwrap_or_default() })
}

/// Which way a page of messages goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To older messages, from this time down, it included.
    Older(Micros),
    /// To newer messages, from this time up, it included.
    Newer(Micros),
}

impl Way {
    /// The page token.
    pub fn token(self) -> String {
        match self {
            Self::Older(us) => token("next_ts", us),
            Self::Newer(us) => token("next_newer_ts", us),
        }
    }
    /// From a page token.
    pub fn read(token: &str) -> Result<Self, Failure> {
        let older = place("next_ts", token).and_then(|us| us.parse().ok()).map(Self::Older);
        let newer = || place("next_newer_ts", token).and_then(|us| us.parse().ok()).map(Self::Newer);
        older.or_else(newer).ok_or_else(|| Failure::named("invalid_cursor"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_a_page_token_or_refused(text in ".{0,300}") {
            if let Ok(way) = Way::read(&text) {
                prop_assert_eq!(Way::read(&way.token()), Ok(way));
            }
            let _ = after::<proto::id::UserId>("user", Some(&text));
        }
    }

    #[test]
    fn a_page_token_of_messages_is_slacks_own() {
        // Slack's documented example for conversations.history.
        assert_eq!(Way::Older(1_512_085_861_000_543).token(), "bmV4dF90czoxNTEyMDg1ODYxMDAwNTQz");
    }

    #[test]
    fn a_page_token_survives_the_way_there_and_back() {
        for way in [Way::Older(0), Way::Older(Micros::MAX), Way::Newer(1_512_085_861_000_543)] {
            assert_eq!(Way::read(&way.token()), Ok(way));
        }
        let user = token("user", "U061NFTT2");
        assert_eq!(user, "dXNlcjpVMDYxTkZUVDI=", "Slack's documented example for users.list");
        let read: Option<proto::id::UserId> = after("user", Some(&user)).unwrap();
        assert_eq!(read.unwrap().as_str(), "U061NFTT2");
        assert_eq!(place("user", user.trim_end_matches('=')).as_deref(), Some("U061NFTT2"), "unpadded");
    }

    #[test]
    fn a_token_of_another_list_or_of_nobody_is_refused() {
        let long = "A".repeat(1000);
        for wrong in ["x", "%%%", "dXNlcjpVMDYxTkZUVDI=", "bmV4dF90czpub3c=", long.as_str()] {
            assert_eq!(Way::read(wrong).unwrap_err().code, "invalid_cursor", "{wrong}");
        }
        let channel = token("team", "C061FA5PB");
        assert!(after::<proto::id::UserId>("user", Some(&channel)).is_err());
        assert!(after::<proto::id::UserId>("user", Some(&token("user", "C061FA5PB"))).is_err());
    }
}
