//! Tokens: made, hashed, looked up. A token's text is shown once and never kept; the store knows its SHA-256.

use crate::context::Context;
use crate::scopes::Scopes;
use crate::store::StoreError;
use crate::tickets::Login;
use proto::id::{UserId, WorkspaceId};
use proto::refusal::Refusal;
use proto::v1::{TokenKind, TokenRow, UserRow};
use sha2::{Digest, Sha256};

/// Longest token accepted, in bytes: more is not hashed.
pub const TOKEN_BYTES_MAX: usize = 256;
/// Random bytes in a token.
const TOKEN_RANDOM_BYTES: usize = 24;

/// The token has ended.
pub(crate) const REVOKED: Refusal = Refusal::Named("token_revoked");

/// A caller that has been recognised: the login, what kind of token it showed, and who that is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// Tenant, user, scopes.
    pub login: Login,
    /// User, bot or app token.
    pub kind: TokenKind,
    /// The user as the workspace has it.
    pub user: UserRow,
}

/// A new token and its hash. The token is for its owner's eyes; only the hash goes into a command.
pub fn new_token(context: &Context, kind: TokenKind) -> (String, String) {
    let mut random = [0u8; TOKEN_RANDOM_BYTES];
    context.host.entropy().fill(&mut random);
    let token = format!("{}{}", prefix(kind), hex(&random));
    let hash = hash(&token);
    (token, hash)
}

/// Hex SHA-256 of a token: the key under which the store knows it. The look-up compares hashes of secrets, never
/// secrets, so its time tells nothing about a token.
pub fn hash(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

/// The app behind a bot: an id of its own, or the bot's with the kind letter of apps.
pub fn app_id(user: &UserRow) -> String {
    match user.app_id.as_str() {
        "" if user.bot_id.is_empty() => String::new(),
        "" => format!("A{}", &user.bot_id[1..]),
        app => app.to_owned(),
    }
}

/// Who shows this token. Refusals: `not_authed` (there is none), `invalid_auth` (nobody), `token_revoked`,
/// `account_inactive`.
pub async fn identify(context: &Context, token: &str) -> Result<Identity, Refusal> {
    if token.is_empty() {
        return Err(Refusal::Named("not_authed"));
    }
    let known = ["xoxb-", "xoxp-", "xapp-"].iter().any(|prefix| token.starts_with(prefix));
    if !known || token.len() > TOKEN_BYTES_MAX {
        return Err(Refusal::Named("invalid_auth"));
    }
    let hash = hash(token);
    let row = context.store.token(&hash).await.map_err(refusal)?.ok_or(Refusal::Named("invalid_auth"))?;
    if is_revoked(&row) {
        return Err(REVOKED);
    }
    let (Ok(workspace), Ok(user)) = (WorkspaceId::parse(&row.workspace), UserId::parse(&row.user)) else {
        return Err(Refusal::Named("invalid_auth"));
    };
    let found = context.store.user(&workspace, &user).await.map_err(refusal)?;
    let found = found.ok_or(Refusal::Named("invalid_auth"))?;
    if found.deactivated {
        return Err(Refusal::Named("account_inactive"));
    }
    let kind = row.kind();
    let (bot_id, app_id) = (found.bot_id.clone(), app_id(&found));
    let login =
        Login { workspace, user, token_hash: hash, scopes: Scopes::of(kind, row.scopes), bot_id, app_id };
    Ok(Identity { login, kind, user: found })
}

/// The login of a token, for sockets. Refusals as [`identify`].
pub async fn login_by_token(context: &Context, token: &str) -> Result<Login, Refusal> {
    identify(context, token).await.map(|identity| identity.login)
}

/// Looks again at the token behind a login: it may have been revoked since, and somebody who follows the user's log
/// only now is not told of that. Refusals: `token_revoked`, and those of a store that did not answer.
pub async fn still_in(context: &Context, login: &Login) -> Result<(), Refusal> {
    if login.token_hash.is_empty() {
        return Ok(());
    }
    let row = context.store.token(&login.token_hash).await.map_err(refusal)?;
    if row.as_ref().is_some_and(is_revoked) { Err(REVOKED) } else { Ok(()) }
}

fn is_revoked(row: &TokenRow) -> bool {
    row.revoked && !cluster::planted!(RevokedLogsIn)
}

/// What a user is told of a store that did not answer a read.
pub fn refusal(error: StoreError) -> Refusal {
    match error {
        StoreError::Busy => Refusal::Busy { retry_after_ms: 1000 },
        other => Refusal::Unavailable(other.to_string()),
    }
}

fn prefix(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Bot => "xoxb-",
        TokenKind::App => "xapp-",
        _ => "xoxp-",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_published_sha256_of_the_token() {
        // NIST's vector for "abc".
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn an_app_without_an_id_takes_its_bots() {
        let bot = UserRow { bot_id: "B01".into(), ..UserRow::default() };
        assert_eq!(app_id(&bot), "A01");
        assert_eq!(app_id(&UserRow { app_id: "A77".into(), ..bot }), "A77");
        assert_eq!(app_id(&UserRow::default()), "");
    }
}
