//! What `waggle admin` does: workspaces, users, tokens, channels. By the system's right, over the same commands as
//! everybody else; names and ids mean the same.

mod bootstrap;
mod find;

pub use bootstrap::{Bootstrap, bootstrap};

use crate::auth::{self, refusal};
use crate::command::{Command, Verb};
use crate::context::Context;
use crate::opening::{self, Plan};
use crate::scopes::Scopes;
use crate::store::{LogId, StoreError};
use proto::id::{ConversationId, UserId, WorkspaceId};
use proto::refusal::Refusal;
use proto::v1::{ConversationKind, TokenKind};
use serde_json::{Value, json};

/// Why a verb was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// No such verb.
    #[error("there is no admin verb {0:?}")]
    UnknownVerb(String),
    /// An argument is missing or cannot be read; nothing was changed.
    #[error("{0}")]
    Usage(String),
    /// A name or id means nothing here; nothing was changed.
    #[error("there is no {kind} {name:?}")]
    NotFound {
        /// workspace, user, channel, token.
        kind: &'static str,
        /// As it was given.
        name: String,
    },
    /// No node remembers what a message went through.
    #[error(
        "no node remembers {0:?}: each keeps its last hops only (trace_hops_max), none from before it started"
    )]
    Forgotten(String),
    /// Refused by the log that decides; what happened to state is the refusal's.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
}

impl From<StoreError> for AdminError {
    fn from(error: StoreError) -> Self {
        Self::Refused(refusal(error))
    }
}

/// Longest name or scope taken, in characters.
const ARGUMENT_CHARS_MAX: usize = 200;

/// Runs a verb. The answer has `id` or `token` for those who print one word, and more beside it.
pub async fn run(context: &Context, verb: &str, args: &Value) -> Result<Value, AdminError> {
    let admin = Admin { context, args };
    match verb {
        "workspace.create" => admin.create_workspace().await,
        "workspace.list" => admin.list_workspaces().await,
        "user.create" => admin.create_user().await,
        "token.create" => admin.create_token().await,
        "token.revoke" => admin.revoke_token().await,
        "channel.create" => admin.create_channel().await,
        "channel.join" => admin.join_channel().await,
        "store.stat" => admin.store_stat().await,
        other => Err(AdminError::UnknownVerb(other.to_owned())),
    }
}

/// The workspace and the conversation that the arguments name.
pub(crate) async fn log_of(context: &Context, args: &Value) -> Result<(WorkspaceId, LogId), AdminError> {
    let admin = Admin { context, args };
    let workspace = match (admin.optional("workspace")?.as_str(), &context.store.workspaces().await?[..]) {
        ("", [(only, _)]) => only.clone(),
        _ => admin.workspace().await?,
    };
    let channel = find::channel(context, &workspace, &admin.required("channel")?).await?;
    Ok((workspace.clone(), Context::conversation(&workspace, &channel)))
}

struct Admin<'a> {
    context: &'a Context,
    args: &'a Value,
}

impl Admin<'_> {
    async fn create_workspace(&self) -> Result<Value, AdminError> {
        let name = self.required("name")?;
        let all = self.context.store.workspaces().await?;
        if all.iter().any(|(_, row)| row.name == name) {
            return Err(Refusal::Named("name_taken").into());
        }
        let id = create_workspace(self.context, &name).await?;
        Ok(json!({ "id": id.as_str(), "name": name }))
    }

    async fn list_workspaces(&self) -> Result<Value, AdminError> {
        let all = self.context.store.workspaces().await?;
        let shown = |(id, row): &(WorkspaceId, proto::v1::WorkspaceRow)| -> Value {
            json!({ "id": id.as_str(), "name": row.name, "domain": row.domain })
        };
        Ok(json!({ "workspaces": all.iter().map(shown).collect::<Vec<_>>() }))
    }

    async fn create_user(&self) -> Result<Value, AdminError> {
        let workspace = self.workspace().await?;
        let user = NewUser {
            name: self.required("name")?,
            email: self.optional("email")?,
            bot: self.flag("bot")?,
            admin: self.flag("admin")?,
        };
        let id = create_user(self.context, &workspace, &user).await?;
        Ok(json!({ "id": id.as_str(), "name": user.name, "workspace": workspace.as_str() }))
    }

    async fn create_token(&self) -> Result<Value, AdminError> {
        let workspace = self.workspace().await?;
        let user = find::user(self.context, &workspace, &self.required("user")?).await?;
        let row = self.context.store.user(&workspace, &user).await?.unwrap_or_default();
        let kind = match self.optional("kind")?.as_str() {
            "" if row.bot => TokenKind::Bot,
            "" | "user" => TokenKind::User,
            "bot" if !row.bot => {
                return Err(AdminError::Usage("a bot token needs a bot: user create --bot".to_owned()));
            }
            "bot" => TokenKind::Bot,
            "app" => TokenKind::App,
            other => return Err(AdminError::Usage(format!("kind is user, bot or app, not {other:?}"))),
        };
        let scopes = self.scopes(kind)?;
        let token = issue_token(self.context, &workspace, &user, kind, scopes.clone()).await?;
        Ok(json!({ "token": token, "user": user.as_str(), "workspace": workspace.as_str(), "scope": scopes }))
    }

    async fn revoke_token(&self) -> Result<Value, AdminError> {
        let hash = auth::hash(&self.required("token")?);
        let not_found = || AdminError::NotFound { kind: "token", name: "that was given".to_owned() };
        let row = self.context.store.token(&hash).await?.ok_or_else(not_found)?;
        let (Ok(workspace), Ok(user)) = (WorkspaceId::parse(&row.workspace), UserId::parse(&row.user)) else {
            return Err(not_found());
        };
        if !row.revoked {
            let command = Command::system("", Verb::RevokeToken { hash });
            self.context.execute(Context::user(&workspace, &user), command).await?;
        }
        Ok(json!({ "id": user.as_str(), "revoked": true }))
    }

    async fn create_channel(&self) -> Result<Value, AdminError> {
        let workspace = self.workspace().await?;
        let name = self.required("name")?;
        let private = self.flag("private")?;
        let id = create_channel(self.context, &workspace, &name, private, None).await?;
        Ok(json!({ "id": id.as_str(), "name": name, "workspace": workspace.as_str() }))
    }

    /// By invitation of the system, so that private channels can be joined too.
    async fn join_channel(&self) -> Result<Value, AdminError> {
        let workspace = self.workspace().await?;
        let user = find::user(self.context, &workspace, &self.required("user")?).await?;
        let channel = find::channel(self.context, &workspace, &self.required("channel")?).await?;
        let command = Command::system("", Verb::Invite { user: user.clone() });
        let log = Context::conversation(&workspace, &channel);
        let done = self.context.execute(log.clone(), command).await?;
        let joined = done.seq != 0;
        opening::follow_up(self.context, log, done).await?;
        Ok(json!({ "id": channel.as_str(), "user": user.as_str(), "joined": joined }))
    }

    async fn store_stat(&self) -> Result<Value, AdminError> {
        let all = self.context.store.workspaces().await?;
        let mut stats = Vec::with_capacity(all.len());
        for (id, row) in all {
            let users = find::count(|after| self.context.store.users(&id, after, find::PAGE)).await?;
            let channels =
                find::count(|after| self.context.store.conversations(&id, after, find::PAGE)).await?;
            stats.push(
                json!({ "id": id.as_str(), "name": row.name, "users": users, "conversations": channels }),
            );
        }
        Ok(json!({ "workspaces": stats }))
    }

    async fn workspace(&self) -> Result<WorkspaceId, AdminError> {
        find::workspace(self.context, &self.required("workspace")?).await
    }

    fn required(&self, name: &str) -> Result<String, AdminError> {
        match self.optional(name)? {
            text if text.is_empty() => Err(AdminError::Usage(format!("{name} is missing"))),
            text => Ok(text),
        }
    }
    fn optional(&self, name: &str) -> Result<String, AdminError> {
        match &self.args[name] {
            Value::Null => Ok(String::new()),
            Value::String(text) if text.chars().count() <= ARGUMENT_CHARS_MAX => Ok(text.clone()),
            Value::String(_) => {
                Err(AdminError::Usage(format!("{name} is over {ARGUMENT_CHARS_MAX} characters")))
            }
            other => Err(AdminError::Usage(format!("{name} is a text, not {other}"))),
        }
    }
    fn flag(&self, name: &str) -> Result<bool, AdminError> {
        match &self.args[name] {
            Value::Null => Ok(false),
            Value::Bool(flag) => Ok(*flag),
            other => Err(AdminError::Usage(format!("{name} is true or false, not {other}"))),
        }
    }
    fn scopes(&self, kind: TokenKind) -> Result<Vec<String>, AdminError> {
        let wrong = |what: &Value| AdminError::Usage(format!("scope is a list of words, not {what}"));
        let word = |text: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b":._-".contains(&b);
            !text.is_empty() && text.len() <= ARGUMENT_CHARS_MAX && text.bytes().all(plain)
        };
        match &self.args["scope"] {
            Value::Null => Ok(Scopes::usual(kind).to_vec()),
            Value::Array(items) if items.is_empty() => Ok(Scopes::usual(kind).to_vec()),
            Value::Array(items) => items
                .iter()
                .map(|item| match item.as_str().filter(|text| word(text)) {
                    Some(text) => Ok(text.to_owned()),
                    None => Err(wrong(item)),
                })
                .collect(),
            other => Err(wrong(other)),
        }
    }
}

/// A user to be made.
struct NewUser {
    name: String,
    email: String,
    bot: bool,
    admin: bool,
}

async fn create_workspace(context: &Context, name: &str) -> Result<WorkspaceId, AdminError> {
    let id = WorkspaceId::parse(&context.mint('T')).map_err(|error| AdminError::Usage(error.to_string()))?;
    let verb = Verb::CreateWorkspace { name: name.to_owned(), domain: domain(name) };
    context.execute(Context::workspace(&id), Command::system("", verb)).await?;
    Ok(id)
}

async fn create_user(
    context: &Context,
    workspace: &WorkspaceId,
    user: &NewUser,
) -> Result<UserId, AdminError> {
    let id = UserId::parse(&context.mint('U')).map_err(|error| AdminError::Usage(error.to_string()))?;
    let bot_id = if user.bot { context.mint('B') } else { String::new() };
    let verb = Verb::AddUser {
        user: id.clone(),
        name: user.name.clone(),
        real_name: user.name.clone(),
        email: user.email.clone(),
        bot_id,
        admin: user.admin,
    };
    context.execute(Context::workspace(workspace), Command::system("", verb)).await?;
    Ok(id)
}

async fn issue_token(
    context: &Context,
    workspace: &WorkspaceId,
    user: &UserId,
    kind: TokenKind,
    scopes: Vec<String>,
) -> Result<String, AdminError> {
    let (token, hash) = auth::new_token(context, kind);
    let command = Command::system("", Verb::IssueToken { hash, kind, scopes });
    context.execute(Context::user(workspace, user), command).await?;
    Ok(token)
}

async fn create_channel(
    context: &Context,
    workspace: &WorkspaceId,
    name: &str,
    private: bool,
    creator: Option<&UserId>,
) -> Result<ConversationId, AdminError> {
    let minted = ConversationId::parse(&context.mint('C'));
    let channel = minted.map_err(|error| AdminError::Usage(error.to_string()))?;
    let kind = if private { ConversationKind::Private } else { ConversationKind::Public };
    let members = creator.into_iter().cloned().collect();
    let plan = Plan { channel, name: name.to_owned(), kind, members };
    Ok(opening::open(context, workspace, creator, plan).await?.channel)
}

/// A name as it may stand in a URL: lower-case letters, digits and dashes.
fn domain(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let domain: String = name.chars().map(plain).collect();
    domain.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_the_name_as_it_may_stand_in_a_url() {
        for (name, expected) in [("Acme Inc.", "acme-inc"), ("demo", "demo"), ("Überall", "berall")] {
            assert_eq!(domain(name), expected, "{name}");
        }
    }
}
