//! A workspace as an operator would seed it: people with tokens, and conversations that all of them are in.

use actors::{
    auth,
    command::{Command, Verb},
    context::Context,
    opening::{self, Plan},
    scopes::Scopes,
    store::LogId,
};
use proto::{
    id::{ConversationId, UserId, WorkspaceId},
    refusal::Refusal,
    v1::{ConversationKind, TokenKind},
};

const CHANNELS: usize = 3;

/// A workspace.
pub(super) struct Tenant {
    workspace: WorkspaceId,
    /// Users and their tokens.
    pub(super) people: Vec<(UserId, String)>,
    /// Conversations.
    pub(super) channels: Vec<ConversationId>,
}

impl Tenant {
    /// Makes a workspace on an empty node.
    pub(super) async fn found(context: &Context, people: usize) -> Result<Self, Refusal> {
        let workspace = WorkspaceId::parse(&context.mint('T')).expect("minted ids are legal");
        let create = Verb::CreateWorkspace { name: "Simulated".into(), domain: "simulated".into() };
        context.execute(Context::workspace(&workspace), Command::system("", create)).await?;
        let mut tenant = Self { workspace, people: Vec::new(), channels: Vec::new() };
        for number in 0..people {
            tenant.add(context, number).await?;
        }
        for number in 0..CHANNELS {
            tenant.open(context, number).await?;
        }
        Ok(tenant)
    }

    async fn add(&mut self, context: &Context, number: usize) -> Result<(), Refusal> {
        let user = UserId::parse(&context.mint('U')).expect("minted ids are legal");
        let add = Verb::AddUser {
            user: user.clone(),
            name: format!("person{number}"),
            real_name: format!("Person {number}"),
            email: String::new(),
            bot_id: String::new(),
            admin: number == 0,
        };
        context.execute(Context::workspace(&self.workspace), Command::system("", add)).await?;
        let (token, hash) = auth::new_token(context, TokenKind::User);
        let scopes = Scopes::usual(TokenKind::User).to_vec();
        let issue = Verb::IssueToken { hash, kind: TokenKind::User, scopes };
        context.execute(Context::user(&self.workspace, &user), Command::system("", issue)).await?;
        self.people.push((user, token));
        Ok(())
    }

    async fn open(&mut self, context: &Context, number: usize) -> Result<(), Refusal> {
        let channel = ConversationId::parse(&context.mint('C')).expect("minted ids are legal");
        let members: Vec<UserId> = self.people.iter().map(|(user, _)| user.clone()).collect();
        let (name, kind) = (format!("room{number}"), ConversationKind::Public);
        let plan = Plan { channel, name, kind, members: members.clone() };
        let opened = opening::open(context, &self.workspace, members.first(), plan).await?;
        self.channels.push(opened.channel);
        Ok(())
    }

    /// Logs that are judged: the conversations', the workspace's and the people's.
    pub(super) fn logs(&self) -> impl Iterator<Item = LogId> {
        let conversations =
            self.channels.iter().map(|channel| Context::conversation(&self.workspace, channel));
        let own = self.people.iter().map(|(user, _)| Context::user(&self.workspace, user));
        conversations.chain(own).chain([Context::workspace(&self.workspace)])
    }
}
