//! A workspace as an operator would seed it: people with tokens, and conversations.
//!
//! All workspaces give the same ids to their users and channels: what forgets to name the workspace hits another
//! tenant's.

use crate::{
    plan,
    promises::{no_phantom::OLD, tenants},
};
use actors::{
    auth,
    command::{Command, Verb},
    context::Context,
    opening::{self, Plan},
    scopes::Scopes,
    store::LogId,
};
use futures::future::try_join_all;
use proto::{
    id::{ConversationId, UserId, WorkspaceId},
    refusal::Refusal,
    v1::{Content, ConversationKind, TokenKind},
};
use std::time::Duration;

/// Commands that the founder has on their way at once.
const AT_ONCE: usize = 64;

/// Number of the first who never connects.
const SILENT_FROM: usize = 1_000_000;

/// A workspace.
pub struct Tenant {
    /// Its number.
    pub number: usize,
    /// Its id.
    pub workspace: WorkspaceId,
    /// Users and their tokens.
    pub people: Vec<(UserId, String)>,
    /// Conversations that it began with.
    pub channels: Vec<ConversationId>,
}

fn user_id(person: usize) -> UserId {
    UserId::parse(&format!("U{person:010}")).expect("a legal id")
}

fn channel_id(channel: usize) -> ConversationId {
    ConversationId::parse(&format!("C{channel:010}")).expect("a legal id")
}

/// Runs a command of the founder, who comes back when he is told to.
async fn insist(context: &Context, log: LogId, command: Command) -> Result<(), Refusal> {
    let command = context.router.keyed(command);
    loop {
        match context.execute(log.clone(), command.clone()).await {
            Ok(_) => return Ok(()),
            Err(refusal) if refusal.retry_after_ms() > 0 => {
                context.host.sleep(Duration::from_millis(refusal.retry_after_ms().into())).await;
            }
            Err(refusal) => return Err(refusal),
        }
    }
}

impl Tenant {
    /// Makes a workspace.
    pub async fn found(context: &Context, number: usize, plan: &plan::Workspace) -> Result<Self, Refusal> {
        let workspace = WorkspaceId::parse(&format!("T{number:010}")).expect("a legal id");
        let tag = tenants::tag(number);
        let create = Verb::CreateWorkspace { name: tag.clone(), domain: tag };
        insist(context, Context::workspace(&workspace), Command::system("", create)).await?;
        let mut tenant = Self { number, workspace, people: Vec::new(), channels: Vec::new() };
        let tokens = try_join_all((0..plan.people).map(|person| tenant.add(context, person))).await?;
        tenant.people = (0..plan.people).map(user_id).zip(tokens).collect();
        let silent = plan.channels.iter().map(|channel| channel.silent_members).max().unwrap_or(0);
        tenant.add_silent(context, silent).await?;
        let channels = plan.channels.iter().enumerate();
        let opened = channels.map(|(channel, about)| tenant.open(context, channel, about));
        tenant.channels = try_join_all(opened).await?;
        if let Some(last) = silent.checked_sub(1) {
            tenant.until_told(context, &user_id(SILENT_FROM + last)).await;
        }
        Ok(tenant)
    }

    async fn add(&self, context: &Context, person: usize) -> Result<String, Refusal> {
        let user = user_id(person);
        let add = Verb::AddUser {
            user: user.clone(),
            name: format!("{}-person{person}", tenants::tag(self.number)),
            real_name: format!("Person {person} of {}", tenants::tag(self.number)),
            email: String::new(),
            bot_id: String::new(),
            admin: person == 0,
        };
        insist(context, Context::workspace(&self.workspace), Command::system("", add)).await?;
        self.token(context, &user).await
    }

    /// People who never connect.
    async fn add_silent(&self, context: &Context, people: usize) -> Result<(), Refusal> {
        let numbers: Vec<usize> = (0..people).collect();
        for some in numbers.chunks(AT_ONCE) {
            let adds = some.iter().map(|number| {
                let add = Verb::AddUser {
                    user: user_id(SILENT_FROM + number),
                    name: format!("{}-silent{number}", tenants::tag(self.number)),
                    real_name: String::new(),
                    email: String::new(),
                    bot_id: String::new(),
                    admin: false,
                };
                insist(context, Context::workspace(&self.workspace), Command::system("", add))
            });
            try_join_all(adds).await?;
        }
        Ok(())
    }

    /// Waits until somebody's own log knows of a conversation: a crowd is told one after the other.
    async fn until_told(&self, context: &Context, user: &UserId) {
        let told = async || {
            let rows = context.store.joined(&self.workspace, user, None, 1).await;
            rows.is_ok_and(|listed| !listed.rows.is_empty())
        };
        while !told().await {
            context.host.sleep(Duration::from_secs(1)).await;
        }
    }

    /// Another token for a user.
    pub async fn token(&self, context: &Context, user: &UserId) -> Result<String, Refusal> {
        let (token, hash) = auth::new_token(context, TokenKind::User);
        let scopes = Scopes::usual(TokenKind::User).to_vec();
        let issue = Verb::IssueToken { hash, kind: TokenKind::User, scopes };
        insist(context, Context::user(&self.workspace, user), Command::system("", issue)).await?;
        Ok(token)
    }

    async fn open(
        &self,
        context: &Context,
        channel: usize,
        about: &plan::Channel,
    ) -> Result<ConversationId, Refusal> {
        let mut members: Vec<UserId> = about.members.iter().map(|person| user_id(*person)).collect();
        let silent = (0..about.silent_members).map(|number| user_id(SILENT_FROM + number));
        members.extend(silent);
        let kind = if about.private { ConversationKind::Private } else { ConversationKind::Public };
        let name = format!("{}-room{channel}", tenants::tag(self.number));
        let first = members.first().cloned();
        let plan = Plan { channel: channel_id(channel), name, kind, members };
        let opened = opening::open(context, &self.workspace, first.as_ref(), plan).await?;
        self.age(context, &opened.channel, about.aged).await?;
        Ok(opened.channel)
    }

    /// Fills a conversation with old messages.
    async fn age(&self, context: &Context, channel: &ConversationId, messages: usize) -> Result<(), Refusal> {
        let log = Context::conversation(&self.workspace, channel);
        let numbers: Vec<usize> = (0..messages).collect();
        for some in numbers.chunks(AT_ONCE) {
            let posts = some.iter().map(|number| {
                let text = format!("{}{OLD}{number}", tenants::tag(self.number));
                let content = Content { text, ..Content::default() };
                let client_msg_id = String::new();
                let post = Verb::Post { content, thread_us: 0, reply_broadcast: false, client_msg_id };
                insist(context, log.clone(), Command::by(&user_id(0), post))
            });
            try_join_all(posts).await?;
        }
        Ok(())
    }

    /// The log of a conversation.
    pub fn log(&self, channel: &ConversationId) -> LogId {
        Context::conversation(&self.workspace, channel)
    }

    /// Logs of the people and of the workspace.
    pub fn own_logs(&self) -> impl Iterator<Item = LogId> {
        let own = self.people.iter().map(|(user, _)| Context::user(&self.workspace, user));
        own.chain([Context::workspace(&self.workspace)])
    }
}

/// The name under which the oracle knows a log.
pub fn log_name(log: &LogId) -> String {
    format!("{}/{}", log.workspace, log.channel)
}
