//! An empty store gets a workspace to start in.

use super::{AdminError, NewUser, create_channel, create_user, create_workspace, find};
use crate::context::Context;
use crate::scopes::Scopes;
use crate::tickets::Login;
use proto::id::{UserId, WorkspaceId};
use proto::refusal::Refusal;
use proto::v1::TokenKind;

/// Name of the first workspace, and of who administers it.
const NAME: &str = "demo";
const ADMIN: &str = "admin";
/// Channels of the first workspace.
const CHANNELS: [&str; 2] = ["general", "random"];

/// What was made, and the one-time ticket that signs its administrator in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrap {
    /// The workspace `demo`.
    pub workspace: WorkspaceId,
    /// Its user `admin`.
    pub admin: UserId,
    /// A connect ticket: single-use and short-lived, as all of them.
    pub sign_in_ticket: Option<String>,
}

/// Makes workspace `demo` with user `admin` and channels `general` and `random`, unless the store has a workspace. A
/// start that was cut short in the middle of it is finished by the next one.
pub async fn bootstrap(context: &Context) -> Result<Option<Bootstrap>, AdminError> {
    let workspace = match &context.store.workspaces().await?[..] {
        [] => create_workspace(context, NAME).await?,
        [(id, row)] if row.name == NAME => id.clone(),
        _ => return Ok(None),
    };
    let conversations = context.store.conversations(&workspace, None, CHANNELS.len()).await?;
    if conversations.rows.len() >= CHANNELS.len() {
        return Ok(None);
    }
    let admin = match find::user(context, &workspace, ADMIN).await {
        Err(AdminError::NotFound { .. }) => {
            let user = NewUser { name: ADMIN.to_owned(), email: String::new(), bot: false, admin: true };
            create_user(context, &workspace, &user).await?
        }
        found => found?,
    };
    for name in CHANNELS {
        match create_channel(context, &workspace, name, false, Some(&admin)).await {
            Err(AdminError::Refused(Refusal::Named("name_taken"))) => {}
            made => drop(made?),
        }
    }
    let login = Login {
        workspace: workspace.clone(),
        user: admin.clone(),
        token_hash: String::new(),
        scopes: Scopes::usual(TokenKind::User),
        bot_id: String::new(),
        app_id: String::new(),
    };
    let sign_in_ticket = context.tickets.issue(login);
    Ok(Some(Bootstrap { workspace, admin, sign_in_ticket }))
}
